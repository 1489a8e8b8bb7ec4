/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive on the simulated disk beside a model of it, for tests that take the disk away.
 *
 * The log is a sequence of frames, so whatever a crash leaves must be the state after a beginning
 * of what was asked for: no shorter than what was acknowledged as durable, and never anything else.
 * The model keeps the state after each frame that was asked for since the last opening; what is
 * found is looked up among them.
 */
#ifndef COF_TEST_SIM_WORLD_H
#define COF_TEST_SIM_WORLD_H

#include <check.h>

#include "fs/archive/archive.h"
#include "fs/io/sim.h"

#define WORLD_NODES 64
#define WORLD_PATH 128
#define WORLD_SEGMENT 65536u

struct node {
	char path[WORLD_PATH];
	uint64_t ino;
	uint8_t kind;
	bool committed;
	int64_t until, asked; /* retention; COF_RETAIN_NONE */
	unsigned quota;	      /* of a shelf: MiB, 0: none */
	uint8_t *data;
	size_t size;
	size_t state; /* after the last frame about it */
};

struct promise { /* a commit whose frame is durable, and the end that it said */
	uint64_t ino;
	int64_t until;
};

struct world {
	struct cof_sim *sim;
	struct cof_io *io;
	struct cof_archive *archive;
	struct cof_opened opened;
	uint8_t *key, archive_id[16], auditor[32];
	const char *index_dir;

	struct node node[WORLD_NODES];
	size_t nodes;
	struct promise promise[WORLD_NODES];
	size_t promises;
	char **state; /* texts, the first as it was opened */
	size_t states;
	size_t acked,
	    durable; /* states that have to be reached: by a killed process, by a power cut */
	/* Refusals: asked for; out of memory into the log; of these durable. */
	uint64_t refused, refused_flushed, refused_durable;
	bool made;      /* init returned 0 */
	bool down;      /* something failed: nothing more is asked */
	bool full_disk; /* -ENOSPC may come: the model goes back to what is there */
	unsigned alarms;
	uint32_t client; /* whose account asks */

	/* Retention time: when last looked at, and that of frames that are in, or durable; and the
	 * boot time of that look. */
	int64_t ret_seen, ret_acked, ret_durable, boot_seen;
	bool rebooted; /* since then */
	bool tpm;      /* an opener is one, as far as the clocks go */
	int64_t ret_base, passed_base; /* with it: retention at the last boot, and the true time */

	struct cof_sim *older; /* a copy of the disk as it once was, and what it held */
	char *older_text;
};

void world_new(struct world *w, uint64_t seed, const char *index_dir);
void world_free(struct world *w);

/* Each returns 0 or the error; after an error that the step does not expect, down is set. */
int world_init(struct world *w);
int world_open(struct world *w);
int world_close(struct world *w);
int world_create(struct world *w, const char *path, uint8_t kind);
int world_append(struct world *w, const char *path,
		 size_t n); /* bytes that follow from path and offset */
int world_hole(struct world *w, const char *path, uint64_t size);
int world_write_far(struct world *w, const char *path, size_t gap,
		    size_t n); /* a hole and bytes, in one */
int world_rename(struct world *w, const char *from, const char *to);
int world_rename_over(struct world *w, const char *from,
		      const char *to); /* what is there goes with it */
int world_remove(struct world *w, const char *path);
/* Compares a range with the model. */
void world_read(struct world *w, const char *path, uint64_t off, size_t n);
int world_commit(struct world *w, const char *path);
int world_ask(struct world *w, const char *path, int64_t until); /* by access time */
int world_extend(struct world *w, const char *path, int64_t until);
int world_raise_quota(struct world *w); /* of audit, which has one and keeps files for ever unless asked */
int world_fsync(struct world *w, const char *path);     /* NULL: everything */
int world_overwrite(struct world *w, const char *path); /* has to be refused */
int world_tick(struct world *w);
int world_checkpoint(struct world *w);
int world_shelf_add(struct world *w, const char *name, unsigned quota);
void world_pass(struct world *w, int64_t ns); /* time; files that are idle commit themselves */

/* Something that has to be refused, and counted: false when nothing here is of that kind. */
#define WORLD_REFUSALS 14
bool world_refuse(struct world *w, unsigned kind, size_t from);

struct node *world_node(struct world *w, const char *path); /* NULL */

/* Leaves the archive as a dead process does, and the disk as loss says; the store is opened again.
 */
void world_crash(struct world *w, enum cof_sim_loss loss);
/* Opens after a crash and compares: some state from the one that has to be reached on. Fails the
 * test with what is wrong; the model goes on from what was found. */
void world_reopen(struct world *w, enum cof_sim_loss loss);
/* Verifies the closed store. allow_tail: frames behind the checkpoint and a torn end are fine. */
void world_verify(struct world *w, bool allow_tail);
/* The tree as it is, as text. */
char *world_text(struct world *w);

/* A copy of the disk is kept, of an archive that is open or closed. */
void world_keep_older(struct world *w);
/* The whole store as it was then, or as it is now (a clone): it opens as what it was, takes appends
 * and verifies; no nonce is used twice. */
void world_restore_older(const struct world *w);
void world_clone(const struct world *w);
/* One folder or file of the store as it was then, in a copy of what there is now: right bytes or an
 * error, and a sentence. */
void world_mix_older(const struct world *w, const char *what);
/* A bit of some file flips, in a copy: verify names it, reading gives the right bytes or an error. */
void world_rot(const struct world *w, uint64_t random);

extern char world_doing[256]; /* for messages: what the test is at */

#endif
