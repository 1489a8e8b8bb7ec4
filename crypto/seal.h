/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guards the root key: openers behind one interface, and sealed boxes (docs/format.md 7.1, 7.2).
 * Works on bytes in memory; who calls reads and writes the files. tpm2 joins as one more kind.
 */
#ifndef COF_SEAL_H
#define COF_SEAL_H

#include "crypto/crypto.h"

enum cof_opener_kind { COF_OPENER_PASSPHRASE = 1, COF_OPENER_FILE = 2, COF_OPENER_TPM2 = 3 };

const char *cof_opener_name(enum cof_opener_kind kind); /* "passphrase", "file", "tpm2"; NULL */
bool cof_opener_is_weak(enum cof_opener_kind kind);	/* status says so */

#define COF_SEAL_SIZE 200

struct cof_argon2_cost { /* zero values mean the defaults: 256 MiB, 3 passes, 4 lanes */
	uint32_t memory_kib, passes, lanes;
};

/* The secret of an opener: a passphrase's bytes, or a key file's whole content. */
struct cof_opener_secret {
	enum cof_opener_kind kind;
	const void *data; /* secure memory, the caller's */
	size_t len;	  /* passphrase 1 to 1024, file 32 to 4096: else -EINVAL */
};

/* Draws a wrap key (returned: it goes into the top page) and wraps the root key under it. */
int cof_seal_make(const struct cof_opener_secret *secret, const uint8_t archive_id[16],
		  const struct cof_argon2_cost *cost, const uint8_t root[COF_KEY],
		  uint64_t generation, uint8_t ret_blob[COF_SEAL_SIZE], uint8_t ret_wrap[COF_KEY]);
/* -EUCLEAN malformed (bounds on costs are checked before they are spent: 4 GiB, 64 passes, 64 lanes)
 * · -EKEYREJECTED wrong secret or altered blob · -EXDEV another archive's · -EINVAL other kind */
int cof_seal_open(const struct cof_opener_secret *secret, const uint8_t archive_id[16],
		  const uint8_t *blob, size_t len, uint8_t ret_root[COF_KEY],
		  uint64_t *ret_generation, struct cof_diag *diag);
int cof_seal_kind(const uint8_t *blob, size_t len, enum cof_opener_kind *ret); /* -EUCLEAN */

/* ---- sealed boxes ---- */

enum cof_box_kind { COF_BOX_TOP = 1, COF_BOX_PAGE_H = 2, COF_BOX_PAGE_R = 3, COF_BOX_EPOCH = 4 };

#define COF_BOX_OVERHEAD 76 /* header of 60 and tag of 16 */
#define COF_BOX_MAX (4u << 20)

int cof_box_seal(enum cof_box_kind kind, const uint8_t key[COF_KEY], const uint8_t archive_id[16],
		 uint64_t generation, uint64_t page, const void *plain, size_t n,
		 struct cof_buf *ret);
/* Plaintext into secure memory, to be freed with cof_secret_free. -EUCLEAN · -EBADMSG · -EXDEV */
int cof_box_open(enum cof_box_kind kind, const uint8_t key[COF_KEY], const uint8_t archive_id[16],
		 uint64_t page, const void *box, size_t len, uint64_t *ret_generation,
		 void **ret_plain, size_t *ret_n);

#endif
