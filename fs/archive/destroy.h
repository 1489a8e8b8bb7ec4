/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: ending the content of files (docs/format.md 4.4). act-destroy.c has the order of things: DESTROY
 * frames durable and under a checkpoint, keys out of the trees, and then what is here, bytes off the disk.
 */
#ifndef COF_ARCHIVE_DESTROY_H
#define COF_ARCHIVE_DESTROY_H

#include "fs/archive/people.h"

struct cof_erasing { /* of one file, or of several */
	uint64_t frames, bytes; /* APPEND frames, and what they have behind their public parts */
	uint64_t erased;	/* frames whose bytes read back as zeros */
	uint64_t missing;	/* frames that are not where the index says: nothing was overwritten there */
	uint64_t punched;	/* bytes whose blocks went back to the filesystem */
};
/* What a DESTROY frame says: without looking at the frames. Inside the gate. */
int cof_destroy_count(struct cof_archive *a, uint64_t ino, uint64_t end, struct cof_erasing *ret);
/* Overwrites, syncs, gives blocks back and reads again what was there of a file; adds to *sum. Once more it changes nothing. */
int cof_destroy_erase(struct cof_archive *a, uint64_t ino, struct cof_erasing *sum, struct cof_diag *diag);

/* destroy-verbs.c: what a request would end, an object a file; one that is approved gone on with; a certificate on record. */
int cof_destroy_plan(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_destroy_run(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag);
int cof_destroy_certificate(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
			    struct cof_diag *diag);

/* What leads to their keys out of both trees, and out of what waits for vaults; once more it changes nothing. The people lock is held.
 * who NULL: the daemon. */
int cof_destroy_keys(struct cof_archive *a, const struct cof_who *who, const uint64_t *ino, size_t n, struct cof_diag *diag);

/* recover-erase.c: of a recovered archive. It is due, durably; then what is due is carried out (without that nothing is, and *ret is
 * all 0); then put on record. */
struct cof_ended_params {
	struct cof_io *io;
	const struct cof_keys *keys; /* what was done is believed to who has them */
	cof_verify_signature verify;
	void *verify_user;
	/* Before their bytes go, and of all that counts. NULL: the keys are without them already. */
	int (*keys_out)(void *user, const uint64_t *ino, size_t n, struct cof_diag *diag);
	void *user;
};
int cof_ended_due(struct cof_io *io);
/* The inodes of what counts as destroyed, in the order of the log; *ret is the caller's to free. None where frames cannot be read or
 * are under no checkpoint: what is due then stays due. */
int cof_ended_counted(const struct cof_ended_params *p, uint64_t **ret, size_t *ret_n, struct cof_diag *diag);
int cof_ended_carry_out(const struct cof_ended_params *p, struct cof_ended_again *ret, struct cof_diag *diag);
int cof_ended_record(struct cof_archive *a, struct cof_diag *diag); /* at a mount: first what is due. What fails stays due, and is told */

/* Which request destroyed it. -ENOENT: none did. */
int cof_destroyed_by(struct cof_archive *a, uint64_t ino, uint8_t ret[32]);
int cof_destroyed_at(struct cof_archive *a, uint64_t ino, uint64_t *ret); /* sequence of its DESTROY frame; the same errors */
#define COF_VALUE_DESTROYED "destroyed" /* of an inode in the index: the request's id */

#endif
