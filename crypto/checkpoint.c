/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C2SP checkpoints: three lines, origin, decimal size, base64 of the root; and the paths of
 * tlog-tiles. Strict: one text for one tree head, so no leading zeroes, no extension lines.
 */
#include <stdio.h>

#include "crypto/note.h"
#include "crypto/private.h"

#define ROOT_CHARS 44 /* base64 of 32 bytes */

/* A line without its newline; steps over it. */
static bool take_line(const char **s, const char *end, const char **ret, size_t *ret_n)
{
	const char *nl = memchr(*s, '\n', (size_t)(end - *s));

	if (!nl)
		return false;
	*ret = *s;
	*ret_n = (size_t)(nl - *s);
	*s = nl + 1;
	return true;
}

/* Decimal, no sign, no leading zero, below 2^63. */
static int parse_size(const char *s, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 19 || (n > 1 && s[0] == '0'))
		return -EUCLEAN;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EUCLEAN;
		v = v * 10 + (uint64_t)(s[i] - '0'); /* 19 digits fit 64 bits */
	}
	if (v > INT64_MAX)
		return -EUCLEAN;
	*ret = v;
	return 0;
}

int cof_checkpoint_parse(const char *text, size_t n, struct cof_checkpoint *ret)
{
	struct cof_checkpoint cp = {0};
	const char *at = text, *end = text + n, *origin, *size, *root;
	size_t origin_n, size_n, root_n, got;

	if (!take_line(&at, end, &origin, &origin_n) || !take_line(&at, end, &size, &size_n) ||
	    !take_line(&at, end, &root, &root_n) || at != end)
		return -EUCLEAN;
	if (!cof_note_name_ok(origin, origin_n) || parse_size(size, size_n, &cp.size) < 0)
		return -EUCLEAN;
	if (root_n != ROOT_CHARS || cof_unbase64(root, root_n, cp.root, COF_HASH, &got) < 0 ||
	    got != COF_HASH)
		return -EUCLEAN;
	memcpy(cp.origin, origin, origin_n);
	*ret = cp;
	return 0;
}

int cof_checkpoint_text(const struct cof_checkpoint *cp, struct cof_buf *ret)
{
	char root[ROOT_CHARS + 1];

	if (!cof_note_name_ok(cp->origin, strnlen(cp->origin, COF_NOTE_NAME)) ||
	    cp->size > INT64_MAX)
		return -EINVAL;
	cof_base64(cp->root, COF_HASH, root);
	cof_buf_printf(ret, "%s\n%llu\n%s\n", cp->origin, (unsigned long long)cp->size, root);
	return ret->failed ? -ENOMEM : 0;
}

int cof_checkpoint_sign(const struct cof_checkpoint *cp, const struct cof_vkey *key,
			const uint8_t seed[32], struct cof_buf *ret)
{
	cof_autobuf struct cof_buf text = {0};

	int err = cof_checkpoint_text(cp, &text);
	if (err < 0)
		return err;
	if (strncmp(cp->origin, key->name, COF_NOTE_NAME) != 0)
		return -EINVAL;
	return cof_note_sign((const char *)text.data, text.len, key, seed, ret);
}

int cof_checkpoint_open(const void *note, size_t len, const struct cof_vkey *key,
			struct cof_checkpoint *ret)
{
	struct cof_checkpoint cp;
	struct cof_note opened;

	if (key->algorithm != COF_NOTE_ED25519)
		return -EINVAL;
	int err = cof_note_open(note, len, key, 1, &opened);
	if (err == 0)
		err = cof_checkpoint_parse(opened.text, opened.text_len, &cp);
	if (err < 0)
		return err;
	if (strncmp(cp.origin, key->name, COF_NOTE_NAME) != 0)
		return -EBADMSG;
	*ret = cp;
	return 0;
}

int cof_tile_path(int level, uint64_t index, unsigned width, char *out, size_t cap)
{
	unsigned group[7]; /* 1000^7 is above 2^64 */
	int groups = 0;
	char path[96];
	size_t n;

	if (level < -1 || level > 63 || width < 1 || width > 256)
		return -EINVAL;
	do {
		group[groups++] = (unsigned)(index % 1000);
		index /= 1000;
	} while (index > 0);
	n = level < 0 ? (size_t)snprintf(path, sizeof(path), "tile/entries")
		      : (size_t)snprintf(path, sizeof(path), "tile/%d", level);
	while (groups-- > 0)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/%s%03u", groups ? "x" : "",
				      group[groups]);
	if (width < 256)
		n += (size_t)snprintf(path + n, sizeof(path) - n, ".p/%u", width);
	if (n >= cap)
		return -ENAMETOOLONG;
	memcpy(out, path, n + 1);
	return 0;
}
