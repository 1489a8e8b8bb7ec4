/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A naive model of the index: a list of what each frame did. What stands at a tree size is found by
 * doing all of it again from the start. Frame n is entry n of the list.
 */
#ifndef MODEL_H
#define MODEL_H

#include "test-index.h"

#define DIRS 4 /* inodes 1 to 4; the others are files */
#define INODES 24
#define NAMES 10 /* in each directory */
#define VALUES 3
#define MOUNTS 4
#define ACTORS 4

enum what { NOTHING, NODE, VALUE, LINK, UNLINK, RENAME, BYTES, MOUNT, ACTOR };

struct frame {
	enum what what;
	uint64_t ino;                               /* or mount */
	unsigned dir, name, to_dir, to_name, value; /* or actor */
	uint64_t number; /* size of a node, seed of a value, length of a stretch, address */
	bool hole;
};

struct model {
	struct frame *f;
	uint64_t n, cap;
};

struct entry {
	uint64_t ino, cookie;
};

struct state { /* at one tree size */
	bool node[INODES + 1];
	uint64_t size[INODES + 1];
	uint64_t value[INODES + 1][VALUES]; /* 0: none */
	struct entry name[DIRS + 1][NAMES];
	uint64_t end[INODES + 1];
	uint64_t mount[MOUNTS], mount_address[MOUNTS];
	uint64_t actor[MOUNTS][ACTORS]; /* address + 1 */
};

/* One more frame, drawn; a burst of stretches may be several. */
void model_grow(struct model *m, struct dice *d);
void model_done(struct model *m);
void model_at(const struct model *m, uint64_t at, struct state *ret);
/* Does one frame to the index, in enter/leave. */
int model_put(struct cof_index *ix, const struct model *m, uint64_t sequence);
/* From what the index says it has to the end. */
void model_catch_up(struct cof_index *ix, const struct model *m);
/* Asks everything at a tree size. true: all answers are right; false: some were -EBADMSG or
 * -EUCLEAN, and all others right. Fails the test on a wrong one. */
bool model_check(struct cof_index *ix, const struct model *m, uint64_t at, bool damaged);

#endif
