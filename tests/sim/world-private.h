/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the world share: the model's parts, and a step's way into the archive. */
#ifndef COF_TEST_SIM_WORLD_PRIVATE_H
#define COF_TEST_SIM_WORLD_PRIVATE_H

#include <stdio.h>

#include "fs/archive/internal.h"
#include "tests/sim/audit.h"
#include "tests/sim/clocks.h"
#include "tests/sim/world.h"

/* world-model.c */
char *world_model_text(struct world *w);
void world_push(struct world *w, struct node *n); /* a state more; n: whom its frame is about */
void world_forget_states(struct world *w);
void world_forget_nodes(struct world *w);
struct node *world_add_node(struct world *w, const char *path, uint8_t kind, uint64_t ino);
void world_drop_node(struct world *w, struct node *n);
void world_grow(struct node *n, size_t more, bool zeros);
bool world_in_shelf(const struct node *n, const char *shelf);
uint64_t world_held(const struct world *w, const char *shelf, uint64_t *ret_files);
void world_take_over(struct world *w); /* the model becomes what is there */

void world_promise(struct world *w); /* what is committed now is durable */

/* world.c */
int world_try_open(struct world *w, struct cof_diag *diag);
void world_check_clock(struct world *w); /* of an archive that is open */

/* world-steps.c */
extern const struct cof_who world_root;
/* Does it; the model's states for it were pushed before. */
int world_act(struct world *w, const struct cof_who *who, const struct cof_op *op,
	      struct cof_reply *reply);
int world_sync_to(struct world *w, uint64_t sequence, size_t state);
uint64_t world_parent_of(struct world *w, const char *path, const char **ret_name);

#endif
