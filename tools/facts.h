/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive's chain and store tell, for coffer due, coverage and compliance. Bounded: what is kept does not grow
 * with the archive, but by types of events, shelves, CAs, changes (R6) and records of escrow.
 */
#ifndef COFFER_FACTS_H
#define COFFER_FACTS_H

#include "tools/cas.h"
#include "tools/changes.h"
#include "tools/coverage.h"
#include "tools/escrow-ledger.h"
#include "tools/releases.h"
#include "tools/shelves.h"

#include "fs/rules/incident.h"

struct done { /* the last event of a type */
	char type[32];
	int64_t time; /* record time, or when it happened as claimed */
	uint64_t sequence, count;
};

struct retirement { /* of a vault */
	char name[64];
	int64_t since;
	bool open; /* no receipt of it yet */
};

struct destroyed { /* by one request */
	char request[65];
	int64_t since;
	bool certified, agreement; /* by the newest certificate; the rest is what that says */
	int64_t keys, unknown, failed;
	size_t open;
	char names[320]; /* of what is open, as far as they fit */
};

enum { KEPT_HOLD = 1, KEPT_BUNDLE = 2 };

#define DONE_MAX 1024 /* types of events that are told apart; further ones only count */

struct facts_shelf {
	int64_t ino;
	char name[256];
	int64_t files; /* -1: not known, of an archive that is not mounted */
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
	uint64_t frames, events;
	uint64_t restore_bytes; /* of the last restore drill that went well */
	int64_t restore_took, restore_promised; /* ns, of the last restore drill; 0: none, or no time was promised */
	struct retirement *retirements;
	size_t n_retirements;
	struct destroyed *destructions;
	size_t n_destructions;
	uint64_t first_enrolled; /* sequence of the first record that a vault got R; 0: none did */
	int64_t enrolled_at;
	struct changes changes;
	struct coverage *coverage;
	struct cas cas; /* judged by policy */
	int64_t last_offsite; /* when a vault in another place confirmed last, of a mounted archive; INT64_MIN: not known */
	struct ledger escrow;
	struct releases releases;
	int64_t lag; /* by which the wall clock is ahead of retention time; 0: not known */
	struct cof_json *ceremonies; /* epochs, by facts_made_name, of which the making is on record; rehearsals and abandoned ones are none */
	struct cof_incidents incidents;
	uint8_t *kept; /* of each incident: sum of KEPT_… */
	size_t n_kept;
	int64_t last_proof; /* of time, by the newest token; INT64_MIN: none */
	int64_t deviation_ms, deviation_limit_ms; /* of the wall clock; limit 0: not mounted */
	char *people; /* the newest people file, or NULL */
	struct cof_buf measured; /* of the last MOUNT frame: digests, a line each */
};

/* A mounted archive is asked through its daemon, which finds all of it by its index; another one's frames are read
 * with its key, twice. Nothing is changed. */
int facts_gather(const char *arg, struct opener_args *opener, struct facts *ret, struct cof_diag *diag);
void facts_done(struct facts *f);
/* Of an epoch as a ceremony made it: number, key, SHA-256 of its document. */
#define FACTS_MADE 144
void facts_made_name(uint32_t number, const char *epoch_key, const char *document, char ret[FACTS_MADE]);
const struct done *facts_last(const struct facts *f, const char *type); /* NULL: never */
uint64_t facts_count(const struct facts *f, const char *type);
const char *facts_shelf_name(const struct facts *f, uint64_t ino); /* "?" */
/* "epoch 1"; "epoch 1 of keys" where more than one shelf has epochs. */
void facts_epoch_name(const struct facts *f, const struct ledger_epoch *e, char *ret, size_t room);
/* The people in force, parsed. False: none. */
bool facts_people(const struct facts *f, struct cof_people *ret);

#endif
