/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guards the root key: openers behind one interface, and sealed boxes (docs/format.md 7.1, 7.2).
 * Works on bytes in memory, and for tpm2 with a TPM; who calls reads and writes the files.
 */
#ifndef COF_SEAL_H
#define COF_SEAL_H

#include "crypto/tpm.h"

enum cof_opener_kind { COF_OPENER_PASSPHRASE = 1, COF_OPENER_FILE = 2, COF_OPENER_TPM2 = 3 };

const char *cof_opener_name(enum cof_opener_kind kind); /* "passphrase", "file", "tpm2"; NULL */
bool cof_opener_is_weak(enum cof_opener_kind kind);	/* status says so */

#define COF_SEAL_SIZE 200

struct cof_argon2_cost { /* zero values mean the defaults: 256 MiB, 3 passes, 4 lanes */
	uint32_t memory_kib, passes, lanes;
};

/* The secret of an opener: a passphrase's bytes, a key file's whole content, a PIN. */
struct cof_opener_secret {
	enum cof_opener_kind kind;
	const void *data; /* secure memory, the caller's */
	size_t len;	  /* passphrase 1 to 1024, file 32 to 4096: else -EINVAL; PIN 1 to 1024, 0: none */
	const char *tpm;  /* of tpm2: where the TPM is (cof_tpm_open), NULL: the device */
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

/* Seals another root key under the wrap key that cof_seal_make gave: renewal without the secret. */
int cof_seal_rewrap(uint8_t blob[COF_SEAL_SIZE], const uint8_t wrap[COF_KEY],
		    const uint8_t root[COF_KEY], uint64_t generation);

/* ---- the opener tpm2: as above, and what the TPM needs behind it ---- */

#define COF_SEAL_TPM2_MAX 8192

/* The value that a PIN is to the TPM. */
int cof_seal_tpm2_auth(const uint8_t archive_id[16], const void *pin, size_t n,
		       uint8_t ret[COF_TPM_AUTH]);
/* Draws a key, has the TPM seal it, and wraps the root key under it and a wrap key drawn anew each
 * time, which nobody keeps: after a renewal no older blob helps. Errors as cof_tpm_seal. */
int cof_seal_tpm2_make(struct cof_tpm *t, const struct cof_tpm_seal_params *p,
		       const uint8_t archive_id[16], const uint8_t root[COF_KEY],
		       uint64_t generation, struct cof_buf *ret, struct cof_diag *diag);
/* auth: NULL without a PIN. Errors as cof_seal_open and cof_tpm_unseal. */
int cof_seal_tpm2_open(struct cof_tpm *t, const uint8_t *auth, const uint8_t archive_id[16],
		       const uint8_t *blob, size_t len, uint8_t ret_root[COF_KEY],
		       uint64_t *ret_generation, struct cof_diag *diag);
/* What the blob says without being opened: nothing of it is proven. -EUCLEAN · -EXDEV */
int cof_seal_tpm2_read(const uint8_t archive_id[16], const uint8_t *blob, size_t len,
		       struct cof_tpm_sealed *ret, uint64_t *ret_generation);

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
