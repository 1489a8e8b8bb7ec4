/* SPDX-License-Identifier: Apache-2.0 */
/* One drill of escrow: what cmd-escrow-drill.c was asked for, and those who do it. */
#ifndef COFFER_ESCROW_DRILL_H
#define COFFER_ESCROW_DRILL_H

#include "tools/escrow-drills.h"
#include "tools/share-options.h"

#define EXIT_LATE 3

struct drill {
	struct escrow_shelf shelf;
	struct ledger ledger;
	struct cof_profile policy;
	const struct ledger_epoch *epoch;
	struct cof_epoch doc;
	int holder; /* the custodian's place in it */
	const char *custodian, *proof, *recovered, *output;
	struct share_sources shares;
	uint32_t number; /* 0: the epoch in force */
	bool start, rehearsal, json, late;
};

/* A record of this epoch; of: what it ends, 0: it begins. outcome, reason: NULL: none. The caller's. */
struct cof_json *drill_record(const struct drill *d, uint64_t of, const char *outcome, const char *reason);
bool drill_is(const struct drill *d, const struct cof_json *record); /* one of a drill of this epoch */
bool drill_ended(const struct drill *d, uint64_t begun);	     /* rightly */

/* escrow-drill-share.c: one custodian. */
int drill_ask(struct drill *d, struct cof_diag *diag);
int drill_answer(struct drill *d, struct cof_diag *diag);
/* escrow-drill-full.c: a quorum. */
int drill_full(struct drill *d, struct cof_diag *diag);

#endif
