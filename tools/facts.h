/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive's chain and store tell, gathered in one pass for coffer due and coffer compliance. */
#ifndef COFFER_FACTS_H
#define COFFER_FACTS_H

#include "tools/shelves.h"

#include "fs/rules/profile.h"

struct done { /* the last event of a type */
	char type[32];
	int64_t time; /* record time, or when it happened as claimed */
	uint64_t sequence, count;
};

struct facts_shelf {
	int64_t ino;
	char name[256];
	struct cof_policy policy;
};

struct facts {
	struct store store;
	bool mounted;
	struct cof_json *status;
	int64_t created;
	struct cof_profile policy; /* in force; the defaults where policy_sequence is 0 */
	uint64_t policy_sequence;
	struct done *done; /* one for each type of event */
	size_t n_done;
	struct facts_shelf *shelves;
	size_t n_shelves;
	uint64_t frames, mounts, unmounts, heartbeats, clock_steps, people_frames, requests, approvals;
	uint64_t events, events_without_outcome; /* without: of all */
	int64_t last_offsite; /* when a vault in another place confirmed last; INT64_MIN: never */
	int64_t last_proof; /* of time, by the newest token; INT64_MIN: none */
	int64_t deviation_ms, deviation_limit_ms; /* of the wall clock; limit 0: not mounted */
	char *people; /* the newest people file, or NULL */
	struct cof_buf measured; /* of the last MOUNT frame: digests, a line each */
};

/* A mounted archive is asked through its daemon, another one read with its key; nothing is changed. */
int facts_gather(const char *arg, struct opener_args *opener, struct facts *ret, struct cof_diag *diag);
void facts_done(struct facts *f);
const struct done *facts_last(const struct facts *f, const char *type); /* NULL: never */

#endif
