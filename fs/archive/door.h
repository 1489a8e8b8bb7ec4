/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the archive's own door. Three wrong passphrases or PINs in a row lock it, over
 * restarts, for both; key files and a TPM without a PIN cannot be guessed and are not kept out. The count is
 * in seal/attempts (docs/format.md 7.11), which whoever may write there can remove.
 *
 * A try is written there, durably, before it is judged, and who tries keeps all others out until it is: a
 * program that is killed in between has used up a try, and tries at the same time are counted one by one.
 */
#ifndef COF_ARCHIVE_DOOR_H
#define COF_ARCHIVE_DOOR_H

#include "crypto/seal.h"
#include "fs/archive/opener-event.h"

#define COF_DOOR_TRIES 3
#define COF_DOOR_FILE "seal/attempts"

struct cof_door {
	struct cof_io *io;
	int guard;
	bool counts;	   /* what follows is written back */
	uint8_t archive_id[16];
	uint32_t failures; /* wrong ones in a row */
	uint32_t lockings; /* in a row, without the right one in between */
	int64_t locked;	   /* since when (record time); 0: it is not */
	bool trying;	   /* somebody's try is not judged yet: */
	struct cof_opener_event attempt;
	struct cof_opener_events events; /* for the next mount */
};

enum cof_door_result { COF_DOOR_OPENED, COF_DOOR_WRONG, COF_DOOR_NOT_JUDGED };

/* Before a passphrase or PIN is tried. waited: by coffer unlock, for which the door opens again after a time.
 * -EACCES with a sentence: locked. Where nothing can be written (a read-only filesystem, a full disk) nothing is
 * counted, but a lock holds. Followed by cof_door_end. */
int cof_door_begin(struct cof_io *io, const uint8_t archive_id[16], enum cof_opener_kind kind, bool waited,
		   struct cof_door *ret, struct cof_diag *diag);
/* said: what was said of a wrong one; how many tries are left is added. */
void cof_door_end(struct cof_door *d, enum cof_door_result result, struct cof_diag *said);
/* No lock and no count any more; an event. kind: of the opener that did it, or 0. 1: it was locked. */
int cof_door_lift(struct cof_io *io, const uint8_t archive_id[16], enum cof_opener_how how,
		  enum cof_opener_kind kind, struct cof_diag *diag);
/* For status: an object "lockout" of failures, max, locked; since, until (of the wait) while it is. */
int cof_door_status(struct cof_io *io, const uint8_t archive_id[16], struct cof_json *into);

/* ---- the file (door-file.c) ---- */

/* Keeps all others out, and reads. -ENOENT: there is no such file, and nothing is held (of begin: it is).
 * A damaged file counts as empty and leaves an event. */
int cof_door_hold(struct cof_io *io, const uint8_t archive_id[16], struct cof_door *ret);
int cof_door_read(struct cof_io *io, const uint8_t archive_id[16], struct cof_door *ret);
/* Durable; removes the file where nothing is left to say. */
int cof_door_write(struct cof_door *d);
void cof_door_release(struct cof_door *d);
/* -EUCLEAN · -EXDEV: another archive's */
int cof_door_load(const uint8_t archive_id[16], const void *p, size_t n, struct cof_door *ret);

#endif
