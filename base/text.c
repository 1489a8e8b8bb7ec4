/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes and sizes: hexadecimal, base64 (RFC 4648 section 4), "64M". */
#include "base/base.h"

#include <stdio.h>

void cof_hex(const void *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int cof_unhex(const char *s, size_t chars, void *out)
{
	uint8_t *b = out;

	if (chars % 2)
		return -EUCLEAN;
	for (size_t i = 0; i < chars; i++) {
		if (hex_digit(s[i]) < 0)
			return -EUCLEAN;
	}
	for (size_t i = 0; i < chars / 2; i++)
		b[i] = (uint8_t)(hex_digit(s[2 * i]) << 4 | hex_digit(s[2 * i + 1]));
	return 0;
}

size_t cof_base64_len(size_t n)
{
	return n / 3 * 4 + (n % 3 ? 4 : 0);
}

void cof_base64(const void *p, size_t n, char *out)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)b[i] << 16;

		if (left > 1)
			v |= (uint32_t)b[i + 1] << 8;
		if (left > 2)
			v |= b[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[v & 63] : '=';
	}
	*out = '\0';
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Everything is judged before anything is written. */
static int base64_check(const char *s, size_t chars, size_t *ret_pad)
{
	size_t pad = 0;
	int last;

	if (chars % 4)
		return -EUCLEAN;
	if (chars && s[chars - 1] == '=')
		pad = s[chars - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < chars - pad; i++) {
		if (base64_digit(s[i]) < 0)
			return -EUCLEAN;
	}
	if (pad) {
		last = base64_digit(s[chars - pad - 1]);
		if (last & (pad == 2 ? 15 : 3))
			return -EUCLEAN; /* bits that stand for nothing have to be zero */
	}
	*ret_pad = pad;
	return 0;
}

int cof_unbase64(const char *s, size_t chars, void *out, size_t cap, size_t *ret_n)
{
	uint8_t *b = out;
	size_t pad, n;

	if (base64_check(s, chars, &pad) < 0)
		return -EUCLEAN;
	n = chars / 4 * 3 - pad;
	if (n > cap)
		return -EUCLEAN;
	for (size_t i = 0, o = 0; i < chars; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++)
			v = v << 6 | (s[i + k] == '=' ? 0 : (uint32_t)base64_digit(s[i + k]));
		for (int k = 2; k >= 0 && o < n; k--)
			b[o++] = (uint8_t)(v >> 8 * k);
	}
	*ret_n = n;
	return 0;
}

int cof_size_parse(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGTP";
	uint64_t v = 0;
	const char *unit;
	char c;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -EINVAL;
	}
	if (*s) {
		c = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
		unit = strchr(units, c);
		if (!unit || s[1])
			return -EINVAL;
		for (const char *u = units; u <= unit; u++) {
			if (__builtin_mul_overflow(v, 1024u, &v))
				return -EINVAL;
		}
	}
	*ret = v;
	return 0;
}

void cof_size_text(uint64_t n, char out[24])
{
	static const char units[] = "KMGTPE";
	double v = (double)n;
	size_t unit = 0;

	if (n < 1024) {
		snprintf(out, 24, "%u B", (unsigned)n);
		return;
	}
	/* 1023.95 and more would be printed as 1024.0 of the smaller unit */
	for (v /= 1024; v >= 1023.95 && units[unit + 1]; unit++)
		v /= 1024;
	snprintf(out, 24, "%.1f %ciB", v, units[unit]);
}
