/* SPDX-License-Identifier: Apache-2.0 */
/* A small archive over the simulated store, for the tests of fs/log. */
#ifndef TEST_LOG_WORLD_H
#define TEST_LOG_WORLD_H

#include <check.h>

#include "fs/io/sim.h"
#include "fs/log/log.h"

#define WORLD_SEGMENT 65536u

struct world {
	struct cof_sim *sim;
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_log_secrets secrets; /* of the next mount */
	uint8_t mix[32];		/* what it has to prove, and of which frame */
	uint64_t mixed_at;
	struct cof_log *log;
	struct cof_recovered rec;
	uint32_t mount;
	int failed;
	int64_t clock;		   /* what the log is told, both times */
	struct cof_verified found; /* by world_verify */
	unsigned findings;
	struct cof_finding worst; /* the first with the final verdict's number or above */
};

int world_begin(struct world *w, uint64_t seed); /* creates and mounts */
int world_begin_as(struct world *w, uint64_t seed, uint8_t id, uint8_t key); /* another archive */
struct cof_log_params world_params(struct world *w);
int world_mount(struct world *w);
int world_reopen(struct world *w); /* opens the store anew and the log; does not mount */
void world_mix(struct world *w);   /* the seal, as fs/archive does */
void world_close(struct world *w); /* a clean close that has to work */
void world_end(struct world *w);

/* A public frame with n bytes that follow from tag, which is its object too. */
int world_put(struct world *w, uint64_t tag, uint32_t n, bool system, uint64_t *ret_sequence);
/* A sealed APPEND of n bytes under a key that follows from tag. */
int world_seal(struct world *w, uint64_t tag, uint32_t n, uint64_t *ret_sequence);

/* Verifies what is there. auditor may be NULL. Fails the test when it cannot run. */
enum cof_verdict world_verify(struct world *w, const uint8_t *auditor);
enum cof_verdict world_verify_with(struct world *w, const struct cof_verify_params *p);

/* Rewrites a file of the closed store as a whole (NULL: removes it). */
void world_replace(struct world *w, const char *path, const void *p, size_t n);

#endif
