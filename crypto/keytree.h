/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A puncturable key tree (GGM): 48-bit inode numbers, 16 branches, 12 levels; docs/format.md 7.3.
 * Pure: no I/O. The state is the set of seeds that still lead somewhere; puncturing an inode
 * removes what leads to it and keeps its siblings. Seeds live in secure memory.
 * One thread at a time for puncture; derive may run concurrently with derive.
 */
#ifndef COF_KEYTREE_H
#define COF_KEYTREE_H

#include "crypto/crypto.h"

#define COF_KEYTREE_BITS 48
#define COF_KEYTREE_LEVELS 12
#define COF_KEYTREE_TOP 8 /* entries of at most this depth are in the top page */

struct cof_keytree;

struct cof_keytree_entry {
	uint8_t depth;	 /* 0 to 12 */
	uint64_t prefix; /* the top 4 * depth bits of the inode numbers below it */
	uint8_t seed[COF_KEY];
};

struct cof_keytree *cof_keytree_new(void); /* empty: derives nothing */
void cof_keytree_free(struct cof_keytree *t);
/* For a new archive: the one entry of depth 0. */
int cof_keytree_add_root(struct cof_keytree *t, const uint8_t seed[COF_KEY]);
/* -EUCLEAN: depth or prefix out of range. -EEXIST: overlaps an entry that is there. */
int cof_keytree_add(struct cof_keytree *t, const struct cof_keytree_entry *e);

/* -ENOKEY punctured (or never there); -EINVAL inode of 2^48 or more. */
int cof_keytree_derive(const struct cof_keytree *t, uint64_t inode, uint8_t ret_leaf[COF_KEY]);
/* -ENOKEY: already. All or nothing (-ENOMEM). What is removed is wiped. */
int cof_keytree_puncture(struct cof_keytree *t, uint64_t inode);
/* The same seeds once more, to be punctured while others derive from the first. NULL: no memory left. */
struct cof_keytree *cof_keytree_copy(const struct cof_keytree *t);

/*
 * Generations: from an inode number on, which is a multiple of 2^16 and from where on none was used yet, the seeds are
 * others (of a host that gives them to a vault) or are not there any more (of one to whom others bring them).
 * cut removes what leads to it and all behind; fresh cuts and draws new ones. -EINVAL: not such a number. All or nothing.
 */
#define COF_KEYTREE_CUT (UINT64_C(1) << 16)
int cof_keytree_cut(struct cof_keytree *t, uint64_t from);
int cof_keytree_fresh(struct cof_keytree *t, uint64_t from);

/* Entries in ascending order of (first inode number below, depth); fn gets a wiped-after copy. */
typedef int (*cof_keytree_fn)(void *user, const struct cof_keytree_entry *e);
int cof_keytree_each(const struct cof_keytree *t, cof_keytree_fn fn, void *user);
size_t cof_keytree_count(const struct cof_keytree *t);

#endif
