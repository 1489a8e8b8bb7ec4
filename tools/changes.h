/* SPDX-License-Identifier: Apache-2.0 */
/* The changes of an archive, as the events of their steps tell. Pure. */
#ifndef COFFER_CHANGES_H
#define COFFER_CHANGES_H

#include "fs/rules/approve.h"

struct change_step {
	uint64_t sequence;
	char time[40], signer[COF_PRINCIPAL];
};
struct change {
	char id[65];
	bool batch;
	enum cof_change_step state;
	struct change_step at[COF_CHANGE_CHECKED + 1]; /* the last of each; sequence 0: there was none */
	char *business, *reason; /* of what it asks for; may be NULL */
	int64_t requested;	 /* ns, as recorded */
};
struct changes { /* zero to begin with */
	struct change *change;
	size_t n;
	uint64_t *measured; /* frames of events that say that a program, a library or a policy is another one */
	size_t n_measured;
	uint64_t *named; /* those of them that a change names */
	size_t n_named;
};

int changes_add(struct changes *c, const struct cof_json *event); /* of any type, in order */
void changes_done(struct changes *c);
bool change_is_open(const struct change *c); /* neither declined nor checked */
/* Open by the policy's change_signers, words out of requester, approver and checker: one that names no checker is content
 * when it is done. "": as change_is_open. */
bool change_is_owed(const struct change *c, const char *signers);
/* By the first digits of its id, 8 at least. -ENOENT, -EEXIST: several begin so. */
int changes_find(const struct changes *c, const char *digits, const struct change **ret);
bool changes_is_named(const struct changes *c, uint64_t frame);

#endif
