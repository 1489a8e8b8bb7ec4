/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes a signed note and a key name may consist of. */
#include "crypto/note.h"
#include "crypto/private.h"

/*
 * One code point. Returns its length, 0 for what is no UTF-8: overlong forms, surrogates, beyond
 * U+10FFFF and cut sequences are none.
 */
static size_t decode(const uint8_t *s, size_t n, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80       ? 1
		     : s[0] >> 5 == 6  ? 2
		     : s[0] >> 4 == 14 ? 3
		     : s[0] >> 3 == 30 ? 4
				       : 0;

	if (len == 0 || len > n)
		return 0;
	uint32_t c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

/* Unicode's White_Space beyond ASCII. */
static bool is_space(uint32_t c)
{
	return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

bool cof_note_text_ok(const char *s, size_t n)
{
	uint32_t c = 0;

	for (size_t i = 0, len; i < n; i += len) {
		len = decode((const uint8_t *)s + i, n - i, &c);
		if (len == 0 || (c < 0x20 && c != '\n'))
			return false;
	}
	return true;
}

bool cof_note_name_ok(const char *s, size_t n)
{
	uint32_t c = 0;

	if (n == 0 || n >= COF_NOTE_NAME)
		return false;
	for (size_t i = 0, len; i < n; i += len) {
		len = decode((const uint8_t *)s + i, n - i, &c);
		if (len == 0 || c == '+' || is_space(c) || is_control(c))
			return false;
	}
	return true;
}
