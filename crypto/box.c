/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed boxes: what keys/ consists of.
 *
 *   0 "COFKEYS1" · 8 kind · 9 version 1 · 10 zero · 12 length of the plaintext · 16 archive id ·
 *   32 generation · 40 page number · 48 nonce · 60 plaintext sealed, associated data 0 to 59
 */
#include "crypto/seal.h"

#define MAGIC "COFKEYS1"
#define HEADER 60

enum {
	AT_KIND = 8,
	AT_VERSION = 9,
	AT_LENGTH = 12,
	AT_ARCHIVE = 16,
	AT_GENERATION = 32,
	AT_PAGE = 40,
	AT_NONCE = 48
};

static bool place_ok(enum cof_box_kind kind, uint64_t page)
{
	if (kind == COF_BOX_PAGE_H || kind == COF_BOX_PAGE_R)
		return page <= UINT32_MAX; /* the top 32 bits of inode numbers */
	return (kind == COF_BOX_TOP || kind == COF_BOX_EPOCH) && page == 0;
}

int cof_box_seal(enum cof_box_kind kind, const uint8_t key[COF_KEY], const uint8_t archive_id[16],
		 uint64_t generation, uint64_t page, const void *plain, size_t n,
		 struct cof_buf *ret)
{
	cof_autoaead struct cof_aead *a = NULL;
	cof_autofree uint8_t *box = NULL;

	if (!place_ok(kind, page) || n > COF_BOX_MAX)
		return -EINVAL;
	box = calloc(1, n + COF_BOX_OVERHEAD);
	if (!box)
		return -ENOMEM;
	memcpy(box, MAGIC, 8);
	box[AT_KIND] = (uint8_t)kind;
	box[AT_VERSION] = 1;
	cof_put_le32(box + AT_LENGTH, (uint32_t)n);
	memcpy(box + AT_ARCHIVE, archive_id, 16);
	cof_put_le64(box + AT_GENERATION, generation);
	cof_put_le64(box + AT_PAGE, page);
	cof_random(box + AT_NONCE, COF_NONCE);
	int err = cof_aead_new(key, &a);
	if (err == 0)
		err = cof_aead_seal(a, box + AT_NONCE, box, HEADER, plain, n, box + HEADER);
	if (err < 0)
		return err;
	cof_buf_add(ret, box, n + COF_BOX_OVERHEAD);
	return ret->failed ? -ENOMEM : 0;
}

int cof_box_open(enum cof_box_kind kind, const uint8_t key[COF_KEY], const uint8_t archive_id[16],
		 uint64_t page, const void *box, size_t len, uint64_t *ret_generation,
		 void **ret_plain, size_t *ret_n)
{
	cof_autoaead struct cof_aead *a = NULL;
	const uint8_t *b = box;
	void *plain;

	if (!place_ok(kind, page))
		return -EINVAL;
	if (len < COF_BOX_OVERHEAD || len > COF_BOX_MAX + COF_BOX_OVERHEAD ||
	    memcmp(b, MAGIC, 8) != 0 || b[AT_KIND] != kind || b[AT_VERSION] != 1 || b[10] != 0 ||
	    b[11] != 0 || cof_get_le32(b + AT_LENGTH) != len - COF_BOX_OVERHEAD)
		return -EUCLEAN;
	if (memcmp(b + AT_ARCHIVE, archive_id, 16) != 0)
		return -EXDEV;
	if (cof_get_le64(b + AT_PAGE) != page)
		return -EUCLEAN;
	size_t n = len - COF_BOX_OVERHEAD;
	int err = cof_aead_new(key, &a);
	if (err < 0)
		return err;
	plain = cof_secret_alloc(n);
	if (!plain)
		return -ENOMEM;
	err = cof_aead_open(a, b + AT_NONCE, b, HEADER, b + HEADER, n, plain);
	if (err < 0) {
		cof_secret_free(plain);
		return err;
	}
	*ret_generation = cof_get_le64(b + AT_GENERATION);
	*ret_plain = plain;
	*ret_n = n;
	return 0;
}
