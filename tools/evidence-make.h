/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cmd-evidence.c and evidence-*.c. */
#ifndef COFFER_EVIDENCE_MAKE_H
#define COFFER_EVIDENCE_MAKE_H

#include "crypto/age.h"
#include "tools/evidence/evidence.h"
#include "tools/people.h"

#define EVIDENCE_RECIPIENTS 16

struct making {
	struct people_asking ask;
	struct cof_json *paths; /* in the archive */
	const char *basis, *incident, *hold_case, *out;
	struct cof_buf to; /* names, with commas between */
	uint8_t recipient[EVIDENCE_RECIPIENTS][COF_AGE_KEY];
	size_t n_recipients;
	bool rehearsal, json;
	/* on the way */
	struct cof_json *files; /* lines of evidence-list */
	char *incident_id;	/* whole */
	char *stix;
	int64_t disclosure;
	uint64_t bytes;
	char manifest[2 * COF_HASH + 1];
	struct evidence_checked checked;
};
int evidence_make(struct making *m, struct cof_diag *diag);
void evidence_make_say(const struct making *m);
void evidence_making_done(struct making *m);

/* evidence-incident.c: the whole id, the STIX bundle, and where nothing else is named the case of a hold that is of it. */
int evidence_incident(struct making *m, struct cof_diag *diag);

#endif
