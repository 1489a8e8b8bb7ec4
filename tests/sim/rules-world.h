/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive on the simulated disk beside the model of its rules (rules-model.h). Each step asks both, and both
 * have to say the same; afterwards, and behind each crash, all that the rules go by is compared. What a crash
 * leaves has to be a state of the model that was asked for, no older than what was durable.
 */
#ifndef COF_TEST_RULES_WORLD_H
#define COF_TEST_RULES_WORLD_H

#include <check.h>

#include "fs/archive/internal.h"
#include "fs/io/sim.h"
#include "tests/sim/rules-model.h"

struct draft { /* on paper: what was made, and may be handed in, once or more, now or later */
	struct rm_request q;
	struct cof_buf doc, sheet;
	bool elsewhere; /* it names another archive */
};

struct rules_world {
	struct cof_sim *sim;
	struct cof_io *io;
	struct cof_archive *archive;
	struct cof_opened opened;
	uint8_t *key;
	struct rm m;	  /* as of now */
	struct rm *state; /* after each step since the last opening; the first as it was opened */
	size_t states, room, acked, durable;
	int64_t ret_acked, ret_durable; /* retention times of frames that are in, and durable */
	struct draft draft[RM_REQUESTS];
	unsigned drafts;
	uint64_t crash_at; /* operation of the store; 0: none */
	uint64_t last;	   /* sequence of the newest frame that a step told of */
	bool down, rebooted;
	unsigned done[RM_ACTS], refused;
	bool look; /* into each file, too: behind a destruction, an opening, and now and then */
	unsigned looks;
};

extern char rules_doing[256];

void rules_new(struct rules_world *w, uint64_t seed);
void rules_free(struct rules_world *w);
void rules_close(struct rules_world *w);
void rules_open(struct rules_world *w); /* after a clean end */
void rules_crash(struct rules_world *w, enum cof_sim_loss loss);
/* again: the first opening crashes too, at that operation; 0: it does not. */
void rules_reopen(struct rules_world *w, enum cof_sim_loss loss, uint64_t again);
/* Of a store that nobody has open, as coffer verify does; clean: nothing is missing at its end. */
void rules_judge(struct rules_world *w, bool clean);

void rules_pass(struct rules_world *w, int64_t ns);
void rules_create(struct rules_world *w, unsigned dir, bool is_dir);
void rules_write(struct rules_world *w, unsigned node);
void rules_commit(struct rules_world *w, unsigned node, int64_t asked);
void rules_extend(struct rules_world *w, unsigned node, int64_t until);
void rules_wait(struct rules_world *w, unsigned node, uint8_t event);
void rules_unlink(struct rules_world *w, unsigned node);
void rules_rename(struct rules_world *w, unsigned node, unsigned dir);
void rules_hold(struct rules_world *w, const uint8_t *nodes, unsigned n);
void rules_set_policy(struct rules_world *w, unsigned shelf, const struct rm_policy *p);
void rules_sync(struct rules_world *w);
void rules_make(struct rules_world *w, struct rm_request *q, int64_t life, bool elsewhere);
void rules_submit(struct rules_world *w, unsigned draft, unsigned signer, bool good);
void rules_vote(struct rules_world *w, unsigned draft, unsigned signer, bool approves, bool good, bool other_purpose);

/* rules-ask.c */
void rules_policy_text(const struct rm_policy *p, char out[256]);
void rules_people_text(const struct rm_people *p, struct cof_buf *people, struct cof_buf *revoked);
void rules_first_people(struct rules_world *w);
void rules_path(const struct rm *m, unsigned node, char out[256]);
extern const char *const rules_shelf[RM_SHELVES];
/* rules-world.c: one step. */
void rules_begin(struct rules_world *w, const struct rm *next, int want);
void rules_end(struct rules_world *w, const char *what, const struct rm *next, int want, int r, bool wrote, bool durable);

#endif
