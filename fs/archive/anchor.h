/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the anchor of an open archive, a counter in its TPM that is raised behind the
 * checkpoints (docs/format.md 7.10). A thread of its own raises it: what the TPM does, or does not do,
 * holds up nobody, and an archive whose TPM is gone runs on without.
 */
#ifndef COF_ARCHIVE_ANCHOR_H
#define COF_ARCHIVE_ANCHOR_H

#include "fs/archive/keys-nv.h"

struct cof_archive;
struct cof_anchor;

#define COF_ANCHOR_INTERVAL (10 * COF_NSEC)

/* An archive whose keys name no anchor has none: *ret is NULL then, as everything here takes it. */
int cof_anchor_new(struct cof_archive *a, struct cof_anchor **ret);
void cof_anchor_free(struct cof_anchor *n);

struct cof_anchor_found { /* at mount */
	enum cof_anchor_state state;
	uint64_t n;	   /* of UNPROVEN: checkpoints that may be missing */
	bool read_only;	   /* why, in text */
	struct cof_diag text;
};
/* Asks the TPM, and judges what the log has, from its MOUNT frame at `mount` on. An error: the TPM does not
 * answer. */
int cof_anchor_open(struct cof_anchor *n, uint64_t mount, struct cof_anchor_found *ret,
		    struct cof_diag *diag);
/* What MOUNT says; what RECOVERY says, if anything was found that has to be on record. */
void cof_anchor_mount_fields(struct cof_anchor *n, struct cof_buf *fields);
bool cof_anchor_unproven(const struct cof_anchor *n);
void cof_anchor_recovery_fields(struct cof_anchor *n, struct cof_buf *fields);

/* cof_log_params.anchor and .anchored; user is the archive. */
void cof_anchor_fields(void *archive, struct cof_buf *fields);
void cof_anchor_written(void *archive, uint64_t sequence);
/* The newest checkpoint names a value that was an earlier one's, so it could be cut off unseen, and the next raise is due:
 * another checkpoint has to be made, though nothing is new. */
bool cof_anchor_owes(struct cof_anchor *n);

int cof_anchor_start(struct cof_anchor *n); /* the thread */
/* Raises what is due, now (tests have no threads). */
void cof_anchor_step(struct cof_anchor *n);
/* The thread ends; the next checkpoint is the last one, and is anchored at once. */
void cof_anchor_closing(struct cof_anchor *n);
void cof_anchor_abandon(struct cof_anchor *n); /* the thread ends, nothing is raised */
/* The log was closed, all of it durable. */
void cof_anchor_closed(struct cof_anchor *n);

void cof_anchor_status(struct cof_anchor *n, struct cof_json *into); /* waits for no TPM */

#endif
