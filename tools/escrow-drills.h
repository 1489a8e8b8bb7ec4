/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drills of escrow by its records: when each custodian showed last to have the share, when a quorum recovered a canary, and
 * when either is due by the policy. Pure but for escrow_policy.
 */
#ifndef COFFER_ESCROW_DRILLS_H
#define COFFER_ESCROW_DRILLS_H

#include "tools/escrow-ledger.h"

#include "fs/rules/profile.h"

struct drilled_custodian {
	char name[32];
	int64_t last;	   /* answered rightly; INT64_MIN: never */
	int64_t due;	   /* INT64_MAX: the policy has no date */
	int64_t asked;	   /* the newest nonce, where it was not answered; INT64_MIN */
	int64_t failed;	   /* a wrong answer behind the last right one; INT64_MIN */
	const char *reason; /* of that; borrowed from the ledger */
};
struct escrow_drills { /* of one epoch */
	const struct ledger_epoch *epoch;
	struct drilled_custodian *custodian; /* who has a share that counts: not destroyed, and not revoked */
	unsigned n;
	int64_t shares_due; /* the first of them; INT64_MAX */
	int64_t shares_last; /* since when all of them have; INT64_MIN: not all did */
	int64_t full, full_due;	       /* INT64_MIN: never; INT64_MAX: no date */
	int64_t took, promised;	       /* of the last full one, ns; promised 0: nothing was */
	int64_t full_failed;	       /* one behind it that failed; INT64_MIN */
	const char *full_reason;
	int64_t canary; /* the newest that was not recovered yet; INT64_MIN */
};
/* Done with escrow_drills_done, also after an error. */
int escrow_drills_of(const struct ledger *l, const struct ledger_epoch *e, const struct cof_profile *p, struct escrow_drills *ret);
void escrow_drills_done(struct escrow_drills *d);
/*
 * Whether drills of this epoch are due: it is in force, no rehearsal, and keys go to it or are encrypted to it; of several
 * documents of one secret the newest.
 */
bool escrow_drills_wanted(const struct ledger *l, const struct ledger_epoch *e);
/* The last full one took longer than was promised. */
bool escrow_drills_late(const struct escrow_drills *d);
/* The names of those who are due first, with commas; those overdue where somebody is. */
void escrow_drills_who(const struct escrow_drills *d, int64_t now, char *ret, size_t room);

/* The archive's policy in force, or the defaults. */
int escrow_policy(struct escrow_shelf *s, struct cof_profile *ret, struct cof_diag *diag);

#endif
