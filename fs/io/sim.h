/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated store: in memory, deterministic from its seed, faults on demand. A store operation
 * is any call that changes something (create, write, sync, allocate, truncate, mkdir, rename,
 * unlink, rmdir, sync_dir); they are counted from 1. A write that is continued counts again.
 */
#ifndef COF_SIM_H
#define COF_SIM_H

#include "fs/io/io.h"

struct cof_sim;

struct cof_sim *cof_sim_new(uint64_t seed);
void cof_sim_free(struct cof_sim *sim);
/* A store over the simulated disk; the disk outlives it. */
int cof_sim_open(struct cof_sim *sim, struct cof_io **ret);

uint64_t cof_sim_ops(const struct cof_sim *sim); /* operations so far */

enum cof_sim_fault {
	COF_SIM_CRASH, /* this operation and all later ones fail with -ESHUTDOWN; a write may have
			  happened in part */
	COF_SIM_EIO,   /* this operation fails with -EIO, once */
	COF_SIM_EIO_WRITE, /* as EIO: the first write from this operation on */
	COF_SIM_EIO_SYNC,  /* the same of a sync */
	COF_SIM_SHORT, /* a write is taken in part and continued: invisible to a right caller */
};
/* At operation n (counted as above). Several may be planned. */
void cof_sim_plan(struct cof_sim *sim, enum cof_sim_fault fault, uint64_t n);
/* From here on the bytes of each write are added to `to`, also of one that fails. NULL: no more. Not cloned. */
void cof_sim_watch(struct cof_sim *sim, struct cof_buf *to);
void cof_sim_limit(struct cof_sim *sim, uint64_t bytes); /* disk size; -ENOSPC beyond; 0: none */
void cof_sim_lie(struct cof_sim *sim, bool ignore_syncs); /* a disk that ignores flushes */

enum cof_sim_loss {
	COF_SIM_KEEP, /* killed process: everything written is there */
	COF_SIM_LOSE, /* power cut: everything not synced is gone */
	COF_SIM_TEAR, /* power cut: of what was not synced, each 512-byte sector of each write is kept or
			 lost by the seed, in any order; names not synced are kept or lost too */
};
/* After a crash (or at any time with no store open): what the disk holds now. Clears faults. */
void cof_sim_reboot(struct cof_sim *sim, enum cof_sim_loss loss);

/* Direct access for tests: flip a bit, copy, read. -ENOENT, -ERANGE */
int cof_sim_flip(struct cof_sim *sim, const char *path, uint64_t off, unsigned bit);
struct cof_sim *cof_sim_clone(const struct cof_sim *sim);
int cof_sim_peek(struct cof_sim *sim, const char *path, const uint8_t **ret, size_t *ret_n);

#endif
