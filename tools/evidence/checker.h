/* SPDX-License-Identifier: Apache-2.0 */
/* Private to check.c and check-file.c: a bundle that is checked. */
#ifndef COFFER_EVIDENCE_CHECKER_H
#define COFFER_EVIDENCE_CHECKER_H

#include "tools/evidence/internal.h"

struct checking {
	struct scan s;
	struct cof_diag diag;
	const struct evidence_keys *keys;
	struct evidence_checked *ret;
	void (*fn)(void *user, const struct evidence_seen *s);
	void *user;
	/* of bundle.json and the checkpoint */
	uint8_t archive[16];
	struct cof_vkey log; /* claimed */
	struct cof_buf note;
	struct cof_checkpoint head;
	/* of the bag */
	struct cof_sha256 *manifest;
	uint64_t octets, count;
	struct cof_buf tags;
	uint8_t *body, *plain; /* of a frame; a chunk */
};

/* Behind the last byte of an entry: its line counts. */
int check_entry_end(struct checking *c);
/* An entry that is one canonical JSON object. */
int check_json(struct checking *c, const char *name, uint64_t most, struct cof_json **ret);
/* Which of the given vaults signed this note, the newest; 0: none did. -EBADMSG: one of them, or the log, did not. */
int check_signers(struct checking *c, const char *note, size_t n, int64_t *ret_time, char by[COF_NOTE_NAME]);
int check_file(struct checking *c, uint64_t number); /* check-file.c */

#endif
