/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys in DER: PKCS#8, PKCS#1 (RSA) and SEC1 (EC). All three begin with a SEQUENCE whose
 * first element is INTEGER 0 or 1; the elements behind it must be the right ones and fit into it.
 */
#include "fs/leak/internal.h"

#define MOST 16384 /* bytes of a key */
#define NEED 64	   /* bytes from the version on that decide, where the key has so many */

struct element {
	uint8_t tag;
	size_t at, len; /* of its content */
};

/* The element at `at`, of definite length below 64 KiB in its shortest form. */
static bool element(const struct scan *s, size_t at, struct element *ret)
{
	const uint8_t *p = s->p + at;
	size_t left = s->n - at;

	if (at >= s->n || left < 2)
		return false;
	*ret = (struct element){p[0], at + 2, p[1]};
	if (p[1] < 0x80)
		return true;
	if (p[1] == 0x81 && left > 2 && p[2] >= 0x80) {
		ret->at = at + 3;
		ret->len = p[2];
		return true;
	}
	if (p[1] != 0x82 || left < 4 || p[2] == 0)
		return false;
	ret->at = at + 4;
	ret->len = (size_t)p[2] << 8 | p[3];
	return true;
}

/* The SEQUENCE whose content begins at `at`: where it begins itself, or SIZE_MAX. */
static size_t outer(const struct scan *s, size_t at, struct element *ret)
{
	for (size_t head = 2; head <= 4 && head <= at; head++)
		if (s->p[at - head] == 0x30 && element(s, at - head, ret) && ret->at == at)
			return at - head;
	return SIZE_MAX;
}

/* AlgorithmIdentifier with an OID, then an OCTET STRING. */
static bool is_pkcs8(const struct scan *s, size_t at, size_t end)
{
	struct element algorithm, oid, key;

	return element(s, at, &algorithm) && algorithm.tag == 0x30 && algorithm.len < 0x80 &&
	       element(s, algorithm.at, &oid) && oid.tag == 0x06 && oid.len >= 3 &&
	       oid.len <= algorithm.len && element(s, algorithm.at + algorithm.len, &key) &&
	       key.tag == 0x04 && key.len >= 16 && key.at + key.len <= end;
}

/* The modulus and the public exponent, an odd number of at most four bytes. */
static bool is_pkcs1(const struct scan *s, size_t at, size_t end)
{
	struct element modulus, exponent;

	return element(s, at, &modulus) && modulus.tag == 0x02 && modulus.len >= 64 &&
	       element(s, modulus.at + modulus.len, &exponent) && exponent.tag == 0x02 &&
	       exponent.len >= 1 && exponent.len <= 4 && exponent.at + exponent.len < end &&
	       exponent.at + exponent.len <= s->n && s->p[exponent.at + exponent.len - 1] & 1;
}

/* The key, then the curve in [0] or the public key in [1], if anything. */
static bool is_sec1(const struct scan *s, size_t at, size_t end)
{
	struct element key, more;

	if (!element(s, at, &key) || key.tag != 0x04 || key.len < 20 || key.len > 66)
		return false;
	return element(s, key.at + key.len, &more) && (more.tag == 0xa0 || more.tag == 0xa1) &&
	       more.at + more.len <= end;
}

void cof_leak_judge_der(struct scan *s, size_t at)
{
	struct element all;
	size_t start = outer(s, at, &all), end, need;
	bool key;

	if (start == SIZE_MAX || !scan_wanted(s, start) || all.len < 32 || all.len > MOST)
		return;
	end = all.at + all.len;
	if (s->p[at + 2] == 0)
		key = is_pkcs8(s, at + 3, end) || is_pkcs1(s, at + 3, end);
	else
		key = is_pkcs8(s, at + 3, end) || is_sec1(s, at + 3, end);
	if (key) {
		cof_leak_found(s, COF_LEAK_DER, start, end - start);
		return;
	}
	/* of an RSA key the exponent lies behind the modulus */
	need = at + 3 < s->n && s->p[at + 3] == 0x02 ? COF_LEAK_TAIL / 2 : NEED;
	if (s->n < COF_MIN(end, at + need))
		scan_wait(s, start);
}
