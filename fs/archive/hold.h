/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files hold*.c and apply-hold.c: what the index keeps of a hold, and its frames. */
#ifndef COF_ARCHIVE_HOLD_H
#define COF_ARCHIVE_HOLD_H

#include "fs/archive/internal.h"
#include "fs/rules/approve.h"

typedef int (*cof_hold_progress)(void *user, uint64_t processed);

enum { /* field "what" of a HOLD frame */
	COF_HOLD_BEGIN = 1, COF_HOLD_ADD, COF_HOLD_END, COF_HOLD_LAID
};
#define COF_HOLD_BATCH 256 /* inodes that one frame covers, at most */
#define COF_HOLD_CASE 255  /* bytes of a case's name */
#define COF_HOLD_PATHS 256 /* that one hold names */
#define COF_HOLD_KEY 32

struct cof_hold_record {
	uint64_t previous; /* id of the hold before; 0: none */
	int64_t begun, ended; /* record time; ended 0: in force */
	bool laying;
	uint64_t processed, skipped, failed;
	const uint8_t *text; /* fields: case, paths, reason, inodes that it names; lies in what it was decoded from */
	size_t text_len;
};
void cof_hold_key(uint64_t id, char out[COF_HOLD_KEY]);
void cof_hold_encode(const struct cof_hold_record *h, struct cof_buf *ret);
int cof_hold_decode(const struct cof_buf *b, struct cof_hold_record *ret); /* -EUCLEAN */
/* As the index has it now; text lies in b. -ENOENT */
int cof_hold_get(struct cof_archive *a, uint64_t id, struct cof_buf *b, struct cof_hold_record *ret);
/* The hold in force of that case (the newest), or with that number as text. -ENOENT */
int cof_hold_find(struct cof_archive *a, const char *name, uint64_t *ret_id);
void cof_hold_json(uint64_t id, const struct cof_hold_record *h, struct cof_json *into);

/* A HOLD frame about these objects, locked and in ascending order; inside the gate. */
struct cof_hold_frame {
	uint8_t what;
	uint64_t id;
	uint64_t processed, skipped, failed; /* LAID */
	const uint8_t *request; /* END: 32 bytes */
	const void *text;	/* BEGIN: private fields */
	size_t text_len;
};
int cof_hold_put(struct cof_archive *a, const struct cof_who *who, const struct cof_hold_frame *f,
		 struct cof_obj **many, size_t n, uint64_t *ret_sequence);

#endif
