/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 6962 / RFC 9162 over SHA-256: hashes, incremental frontier, proofs.
 * Trees hold fewer than 2^63 leaves.
 */
#ifndef COF_MERKLE_H
#define COF_MERKLE_H

#include "crypto/crypto.h"

void cof_merkle_empty(uint8_t out[COF_HASH]);
void cof_merkle_leaf(const void *entry, size_t n, uint8_t out[COF_HASH]);
void cof_merkle_node(const uint8_t left[COF_HASH], const uint8_t right[COF_HASH],
		     uint8_t out[COF_HASH]);
/* Tree head over leaf hashes in memory (n may be 0). */
void cof_merkle_root(const uint8_t (*leaves)[COF_HASH], uint64_t n, uint8_t out[COF_HASH]);

/* ---- incremental ---- */

#define COF_TILE 256 /* leaves of a subtree whose root is stored: a level rises by 8 */

struct cof_frontier {
	uint64_t size;
	uint8_t node[64][COF_HASH]; /* node[h]: the complete subtree of 2^h leaves, where bit h of size is set */
};

/* Called for each complete subtree of 256^level leaves (level 0: the leaf itself), rising. */
typedef void (*cof_tile_fn)(void *user, unsigned level, uint64_t index,
			    const uint8_t hash[COF_HASH]);

void cof_frontier_init(struct cof_frontier *f);
void cof_frontier_add(struct cof_frontier *f, const uint8_t leaf[COF_HASH], cof_tile_fn fn,
		      void *user); /* fn may be NULL */
/* The next COF_TILE leaves at once, by the root of their subtree; the size is a multiple of COF_TILE.
 * fn is not called for the leaves. */
void cof_frontier_add_tile(struct cof_frontier *f, const uint8_t root[COF_HASH], cof_tile_fn fn,
			   void *user);
void cof_frontier_root(const struct cof_frontier *f, uint8_t out[COF_HASH]);

/* ---- stored levels and proofs ---- */

/* Reads stored hash index of level (0 to 7, subtrees of 256^level leaves). 0 or -errno. */
typedef int (*cof_tile_get)(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH]);

/* The frontier of a tree of this size, from stored levels (reads at most 255 hashes a level). */
int cof_frontier_load(struct cof_frontier *ret, uint64_t size, cof_tile_get get, void *user);
/* Root of the subtree [start, start + n) where it is one of RFC 6962's subtrees. */
int cof_merkle_range(uint64_t start, uint64_t n, cof_tile_get get, void *user,
		     uint8_t out[COF_HASH]);

#define COF_PROOF_MAX 64 /* hashes in any proof */

/* Proofs from stored levels; *ret_n hashes into proof. -EINVAL: index or sizes out of range. */
int cof_merkle_inclusion(uint64_t index, uint64_t size, cof_tile_get get, void *user,
			 uint8_t proof[COF_PROOF_MAX][COF_HASH], size_t *ret_n);
int cof_merkle_consistency(uint64_t old_size, uint64_t size, cof_tile_get get, void *user,
			   uint8_t proof[COF_PROOF_MAX][COF_HASH], size_t *ret_n);

/* RFC 9162 2.1.3.2 and 2.1.4.2, strict. 0 or -EBADMSG. */
int cof_merkle_verify_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[COF_HASH],
				const uint8_t (*proof)[COF_HASH], size_t n,
				const uint8_t root[COF_HASH]);
int cof_merkle_verify_consistency(uint64_t old_size, uint64_t size,
				  const uint8_t (*proof)[COF_HASH], size_t n,
				  const uint8_t old_root[COF_HASH], const uint8_t root[COF_HASH]);

#endif
