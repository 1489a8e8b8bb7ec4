/* SPDX-License-Identifier: Apache-2.0 */
/* Base58 with a checksum (as Bitcoin has it), and base64 as it stands in other texts. */
#include "fs/leak/internal.h"

#define MOST 96 /* bytes of payload and checksum */
#define LIMBS (MOST / 4)

static int base58_value(uint8_t c)
{
	static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* The number, as len bytes; five digits at a time, in limbs of 32 bits, the lowest first. */
static bool decode(const uint8_t *p, size_t n, uint8_t *out, size_t len)
{
	uint32_t limbs[LIMBS + 1] = {0};
	bool ok = true;

	for (size_t i = 0; ok && i < n;) {
		uint32_t times = 1;
		uint64_t carry = 0;

		for (unsigned j = 0; ok && j < 5 && i < n; j++, i++) {
			int v = base58_value(p[i]);

			ok = v >= 0;
			times *= 58;
			carry = carry * 58 + (unsigned)(ok ? v : 0);
		}
		for (size_t j = 0; j <= len / 4; j++) {
			carry += (uint64_t)limbs[j] * times;
			limbs[j] = (uint32_t)carry;
			carry >>= 32;
		}
		ok = ok && !carry;
	}
	for (size_t i = 0; i < 4 * (len / 4 + 1); i++) {
		uint8_t b = (uint8_t)(limbs[i / 4] >> 8 * (i % 4));

		if (i < len)
			out[len - 1 - i] = b;
		else
			ok = ok && !b;
	}
	explicit_bzero(limbs, sizeof(limbs));
	return ok;
}

bool cof_leak_base58check(const uint8_t *p, size_t n, uint8_t *out, size_t len)
{
	uint8_t all[MOST], sum[COF_HASH];
	bool ok;

	if (len + 4 > MOST)
		return false;
	ok = decode(p, n, all, len + 4);
	if (ok) {
		cof_sha256(all, len, sum);
		cof_sha256(sum, sizeof(sum), sum);
		ok = !memcmp(sum, all + len, 4);
	}
	if (ok)
		memcpy(out, all, len);
	explicit_bzero(all, sizeof(all));
	return ok;
}

int cof_leak_base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

size_t cof_leak_base64(const uint8_t *p, size_t n, uint8_t *out, size_t cap)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t len = 0;

	for (size_t i = 0; i < n && len < cap; i++) {
		int v = cof_leak_base64_value(p[i]);

		if (v < 0)
			break;
		bits = bits << 6 | (unsigned)v;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[len++] = (uint8_t)(bits >> held);
		}
	}
	return len;
}
