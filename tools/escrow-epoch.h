/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs of escrow for coffer escrow: made, and confirmed by their custodians. */
#ifndef COFFER_ESCROW_EPOCH_H
#define COFFER_ESCROW_EPOCH_H

#include "base/json.h"
#include "tools/share-gather.h"
#include "tools/sheet-print.h"

struct epoch_asked {
	const char *scheme; /* file */
	const char *dir;    /* is made */
	uint32_t number;
	bool rehearsal;
	const uint8_t *secret; /* of an epoch that these are other shares of; NULL: a new one */
	int sheets_fd; /* where the sheets of custodians on paper go; below 0: there may be none */
	enum cof_language language;
	bool html; /* else PDF */
};
/* NAME.age for each custodian with an age recipient, the sheets of the others as one document, and last epoch.json,
 * files durable. into: what the document says, and "challenges": {NAME: …}. After an error there is no epoch.json. */
int escrow_epoch_make(const struct epoch_asked *a, struct cof_json *into, struct cof_diag *diag);
/* The same with other shares of an epoch's secret, of which shares are gathered first, as `how` says; a->secret and
 * a->rehearsal are set by it. -EINVAL: not a number of its own. */
int escrow_epoch_reshare(struct epoch_asked *a, const struct share_gathering *how, struct cof_json *into, struct cof_diag *diag);
/* The document in the file, with the custodian's proof in it; into: "valid", "confirmed", "missing": […]. */
int escrow_epoch_confirm(const char *path, const char *name, const char *challenge, const char *proof, struct cof_json *into,
			 struct cof_diag *diag);

#endif
