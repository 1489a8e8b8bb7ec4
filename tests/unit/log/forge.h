/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites a closed archive of one segment as somebody could who has the signing key: every hash,
 * stored hash and signature fits, the seal tags do not. */
#ifndef TEST_LOG_FORGE_H
#define TEST_LOG_FORGE_H

#include "world.h"

struct forged { /* a frame on its way into the new log */
	struct cof_frame f;
	uint8_t *payload; /* f.stored bytes; may be replaced with others of f.public_length */
	bool drop;
};
typedef void (*forge_fn)(struct forged *frame, void *user);

/* FORGE_BAD_NOTE: the checkpoint in the chain has a signature that does not hold. */
enum { FORGE_TILES = 1, FORGE_CHECKPOINT = 2, FORGE_ALL = 3, FORGE_BAD_NOTE = 4 };

/* what: which of the derived and signed files follow the new frames. */
void forge(struct world *w, forge_fn fn, void *user, int what);

#endif
