/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy asks of the places of an archive's copies (R40 to R42), and how far it is so: vaults and buckets alike. */
#ifndef COFFER_PLACEMENT_H
#define COFFER_PLACEMENT_H

#include "fs/rules/profile.h"
#include "tools/buckets.h"
#include "tools/vaults.h"

struct placed { /* a vault, or a copy in a bucket, as far as its place goes; texts of the entry */
	const char *name, *place, *jurisdiction, *administration, *basis; /* "": not said */
	bool bucket;
	unsigned grade; /* as it states it; 0: not said */
	int64_t confirmed; /* ns; INT64_MIN: never */
};
struct placed placed_vault(const struct vault_entry *e);
struct placed placed_bucket(const struct bucket *b); /* confirmed: not known */

/* Whether anything may leave for there: its jurisdiction is one of the policy's, it is as far from the host as that asks,
 * what the transfer rests on is said where that is asked for, and a vault states the grade that is. -EPERM with the reason; what is not known is not so. */
int placement_check(const struct store *s, const struct cof_profile *p, const struct placed *c, struct cof_diag *diag);
/* The same by the policy in force. */
int placement_may_leave(const struct store *s, const struct placed *c, struct cof_diag *diag);
/* Appends {"text": sentence} for each thing that is not as the policy has it: too few places, too near, too long ago, one
 * administration. */
int placement_judge(const struct store *s, const struct cof_profile *p, struct cof_json *array, struct cof_diag *diag);

/* Too few places are no reason to have fewer: what the policy in force asks of them and is not so is said, on standard error. */
void placement_say(const struct store *s);

#endif
