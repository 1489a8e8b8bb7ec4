/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: mixing the seal of an open archive (docs/format.md 7.5). The next MOUNT frame has to
 * prove what only frames up to the last mixing gave, so that who takes the host later cannot cut this mount
 * before that place and write on. At the end of each mount, and each seal_interval where frames came.
 */
#ifndef COF_ARCHIVE_MIX_H
#define COF_ARCHIVE_MIX_H

#include "base/json.h"

struct cof_archive;
struct cof_mix;

#define COF_SEAL_INTERVAL (3600 * COF_NSEC)

/* NULL is fine everywhere but in new. */
int cof_mix_new(struct cof_archive *a, struct cof_mix **ret);
void cof_mix_free(struct cof_mix *x);
/* MOUNT is durable, and what comes next is where it belongs. */
void cof_mix_begun(struct cof_mix *x, uint64_t sequence);
/* Mixes when it is due. Waits for disk and TPM: a thread of its own. */
void cof_mix_step(struct cof_mix *x);
/* The thread has ended; the last checkpoint is going to be made. */
void cof_mix_closing(struct cof_mix *x);
/* It was, and all of the log is durable. What the disk refused is an error; what the TPM did is said only. */
int cof_mix_closed(struct cof_mix *x, struct cof_diag *diag);

uint64_t cof_mix_writes(struct cof_mix *x); /* of the TPM's index, in its life */
void cof_mix_status(struct cof_mix *x, struct cof_json *into); /* waits for nobody */

#endif
