/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of a tar (POSIX ustar) in one form, so that a reader can compare all 512 bytes: libraries that write tars leave
 * themselves room, and a byte that nobody looks at could be changed. Sizes of 8 GiB and more are in base 256, as GNU tar has it.
 */
#include "tools/evidence/internal.h"

#include <stdio.h>

#define SIZE_OCTAL (1ull << 33)

uint64_t tar_padded(uint64_t size)
{
	return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static bool name_ok(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/");

	return n && n <= NAME_MAX_TAR && !name[n] && name[0] != '/' && !strstr(name, "//") && !strstr(name, "/..");
}

static void put_octal(uint8_t *at, int digits, uint64_t v)
{
	for (int i = digits - 1; i >= 0; i--, v >>= 3)
		at[i] = (uint8_t)('0' + (v & 7));
	at[digits] = 0;
}

int tar_encode(const struct tar_entry *e, uint8_t out[TAR_BLOCK])
{
	unsigned sum = 0;

	if (!name_ok(e->name) || e->size > INT64_MAX || e->mtime < 0 || e->mtime >= (int64_t)SIZE_OCTAL)
		return -EINVAL;
	memset(out, 0, TAR_BLOCK);
	memcpy(out, e->name, strlen(e->name));
	put_octal(out + 100, 7, 0644);
	put_octal(out + 108, 7, 0);
	put_octal(out + 116, 7, 0);
	if (e->size < SIZE_OCTAL) {
		put_octal(out + 124, 11, e->size);
	} else {
		out[124] = 0x80;
		cof_put_be64(out + 128, e->size);
	}
	put_octal(out + 136, 11, (uint64_t)e->mtime);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257, "ustar\00000", 8);
	put_octal(out + 329, 7, 0);
	put_octal(out + 337, 7, 0);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += out[i];
	put_octal(out + 148, 6, sum);
	return 0;
}

static int get_octal(const uint8_t *at, int digits, uint64_t *ret)
{
	uint64_t v = 0;

	for (int i = 0; i < digits; i++) {
		if (at[i] < '0' || at[i] > '7')
			return -EUCLEAN;
		v = v << 3 | (uint64_t)(at[i] - '0');
	}
	*ret = v;
	return 0;
}

int tar_decode(const uint8_t in[TAR_BLOCK], struct tar_entry *ret)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t again[TAR_BLOCK];
	struct tar_entry e = {.name = ""};
	uint64_t mtime = 0;

	if (!memcmp(in, zeros, TAR_BLOCK))
		return -ENODATA;
	memcpy(e.name, in, NAME_MAX_TAR);
	if (in[124] & 0x80)
		e.size = cof_get_be64(in + 128);
	else if (get_octal(in + 124, 11, &e.size) < 0)
		return -EUCLEAN;
	if (get_octal(in + 136, 11, &mtime) < 0)
		return -EUCLEAN;
	e.mtime = (int64_t)mtime;
	if (tar_encode(&e, again) < 0 || memcmp(in, again, TAR_BLOCK) != 0)
		return -EUCLEAN;
	*ret = e;
	return 0;
}
