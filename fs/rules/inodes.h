/* SPDX-License-Identifier: Apache-2.0 */
/* A set of inodes: a bit for each, in pages by number, since there may be millions and most lie beside each other. */
#ifndef COF_RULES_INODES_H
#define COF_RULES_INODES_H

#include "base/base.h"

#define COF_INODES_PAGE 512u

struct cof_inode_range {
	uint64_t first, count;
};

struct cof_inodes { /* open addressing; all zero: empty */
	struct cof_inodes_page {
		uint64_t number, bits[COF_INODES_PAGE / 64];
		bool used;
	} *page;
	size_t n, places;
};

/* -ENOMEM; -E2BIG: more pages than `most`. */
int cof_inodes_add(struct cof_inodes *s, uint64_t ino, size_t most);
bool cof_inodes_has(const struct cof_inodes *s, uint64_t ino);
bool cof_inodes_any(const struct cof_inodes *s, uint64_t first, uint64_t count); /* of these, one or more */
/* The page of this number, which may not be used. There is one place at least. */
const struct cof_inodes_page *cof_inodes_page(const struct cof_inodes *s, uint64_t number);
bool cof_inodes_page_has(const struct cof_inodes_page *p, uint64_t ino);
void cof_inodes_done(struct cof_inodes *s);

#endif
