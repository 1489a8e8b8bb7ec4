/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merkle leaf hashes of the pieces of one large message, shared with threads that have nothing else to do. The
 * caller makes the pieces in order, on its own memory, and is given their hashes at the end.
 */
#ifndef COF_LEAVES_H
#define COF_LEAVES_H

#include <stdatomic.h>

#include "crypto/merkle.h"

#define COF_LEAF_PIECES 16

struct cof_leaves; /* the threads; thread-safe */

/* processors - 1 threads, three at most. NULL in the place of one is fine below: nobody helps. */
int cof_leaves_new(unsigned processors, struct cof_leaves **ret);
void cof_leaves_free(struct cof_leaves *l); /* no job is under way */

/* Something else that the same message takes, and that needs none of its pieces: a helper does it first. */
struct cof_beside {
	void (*run)(void *user);
	void *user;
};

struct cof_leaf_job { /* on the caller's stack, filled by begin */
	unsigned n;
	const struct cof_beside *beside;
	uint8_t (*leaf)[COF_HASH];
	struct iovec piece[COF_LEAF_PIECES];
	unsigned n_ready, inside;
	bool shared;
	_Atomic uint32_t ready, claimed, done;
};

/* n pieces will come, at most COF_LEAF_PIECES; their hashes go to leaf. beside: NULL for nothing; run once, by
 * anybody, before end returns. */
void cof_leaves_begin(struct cof_leaves *l, struct cof_leaf_job *j, unsigned n,
		      uint8_t (*leaf)[COF_HASH], const struct cof_beside *beside);
void cof_leaves_ready(struct cof_leaf_job *j, const void *piece, size_t n); /* the next piece is there */
/* All hashes are in leaf; also after an error, with fewer pieces than were announced. Always call it. */
void cof_leaves_end(struct cof_leaves *l, struct cof_leaf_job *j);

#endif
