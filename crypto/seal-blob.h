/* SPDX-License-Identifier: Apache-2.0 */
/* Private to seal.c and seal-tpm2.c: the 200 bytes that every opener's file begins with. */
#ifndef COF_SEAL_BLOB_H
#define COF_SEAL_BLOB_H

#include "crypto/seal.h"

enum {
	AT_KIND = 8,
	AT_VERSION = 9,
	AT_COST = 12,
	AT_ARCHIVE = 24,
	AT_SALT = 40,
	AT_NONCE_A = 72,
	AT_WRAP = 84,
	AT_GENERATION = 132,
	AT_NONCE_B = 140,
	AT_ROOT = 152
};

#define COF_SEAL_MAGIC "COFSEAL1"
#define SALT 32
#define AD_A AT_NONCE_A
#define AD_B (AT_NONCE_A + 8)

/* Everything that is not sealed: fresh salt and nonces, costs zero. */
void cof_seal_begin(uint8_t blob[COF_SEAL_SIZE], enum cof_opener_kind kind,
		    const uint8_t archive_id[16], uint64_t generation);
/* keys: KEK, wrap key; secure memory. */
int cof_seal_wrap(uint8_t *blob, const uint8_t (*keys)[COF_KEY], const uint8_t root[COF_KEY]);
/* keys: the KEK, then room for wrap key and root key; secure memory. -EBADMSG */
int cof_seal_unwrap(const uint8_t *blob, uint8_t (*keys)[COF_KEY]);

#endif
