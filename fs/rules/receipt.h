/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault signs once it has destroyed what a request names (docs/vault-protocol.md 8): a text, so that people can read it.
 * It is for one request, of one archive, under one head that the vault had verified. Pure.
 */
#ifndef COF_RECEIPT_H
#define COF_RECEIPT_H

#include "crypto/note.h"
#include "fs/rules/inodes.h"

#define COF_RECEIPT_MAX 60000u /* bytes, so that a field of a frame holds it */
#define COF_RECEIPT_RANGES 1000u

enum cof_receipt_key { COF_RECEIPT_NONE, COF_RECEIPT_FILE, COF_RECEIPT_TPM2 }; /* what guards R at the vault; NONE: it has no R */

struct cof_receipt {
	uint8_t archive[16], request[32], root[COF_HASH];
	struct cof_vkey vkey;
	uint64_t size;	      /* frames of the head with that root */
	uint64_t first, last; /* the DESTROY frames that were carried out: sequence of the first and of the last */
	uint64_t from;	      /* inode number from which on the vault has R; 0: it has none */
	uint64_t leaves;      /* that lead nowhere any more: of the objects, those from there on */
	uint64_t frames, bytes; /* APPEND frames whose sealed bytes were overwritten and read back */
	enum cof_receipt_key key;
	int64_t begun, ended; /* by the vault's clock */
	struct cof_inode_range *range; /* ascending, none touches another */
	size_t n;
};
/* Adds one behind those that are there. -E2BIG: no more of them fit. */
int cof_receipt_add(struct cof_receipt *r, uint64_t inode);
uint64_t cof_receipt_objects(const struct cof_receipt *r); /* how many */
bool cof_receipt_names(const struct cof_receipt *r, uint64_t inode);
int cof_receipt_sign(const struct cof_receipt *r, const uint8_t seed[32], struct cof_buf *ret);
/* -EUCLEAN: it is none, byte for byte · -EKEYREJECTED: not signed with the key that it names. */
int cof_receipt_read(const void *text, size_t n, struct cof_receipt *ret, struct cof_diag *diag);
void cof_receipt_done(struct cof_receipt *r); /* one that is all zero is fine */

#endif
