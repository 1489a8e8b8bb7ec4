/* SPDX-License-Identifier: Apache-2.0 */
/* What the records of escrow amount to: keys, epochs, custodians, releases as they are now. Pure but for escrow_ledger_load. */
#ifndef COFFER_ESCROW_LEDGER_H
#define COFFER_ESCROW_LEDGER_H

#include "escrow/epoch.h"
#include "tools/escrow-archive.h"

#define LEDGER_BY_TPM "by the TPM" /* detail of a recovery that took no shares */
#define ESCROW_ID 33 /* bytes of a key's number in hexadecimal, with a NUL */

struct ledger_key {
	char id[ESCROW_ID];
	uint64_t shelf, sequence;   /* of its record */
	uint64_t file;		    /* the record whose file it lies in now: of the key, or of its last rotation */
	uint32_t epoch;		    /* to which that is encrypted */
	char epoch_key[65];
	struct cof_json *o;	    /* its record */
	int64_t created, rotated;   /* ns; rotated 0: never */
	uint64_t release;	    /* sequence of one that was not used yet; 0: none */
	const char *to;		    /* of that */
	unsigned recoveries, opened; /* delivered; begun */
	int64_t recovered;	    /* the last one; 0: never */
	bool revoked;
};
struct ledger_epoch {
	uint64_t shelf, sequence; /* of its newest record with a document */
	uint32_t number;
	char epoch_key[65];
	struct cof_json *o;
	int64_t begun, valid; /* valid 0: not yet */
	int64_t recovered;    /* when a key of it was recovered last; 0: never */
	uint64_t recovered_at; /* sequence of that */
	uint64_t valid_at;	/* sequence of the record that put it in force */
	unsigned keys;	      /* whose file is encrypted to it now */
	bool rehearsal, revoked;
};
struct ledger {
	struct cof_json **record; /* all, in order */
	size_t n_records;
	struct ledger_key *key;
	struct ledger_epoch *epoch;
	size_t n_keys, n_epochs;
	uint32_t *by_id; /* index + 1, open addressing */
	size_t places;
	uint64_t scheme; /* sequence of the newest scheme; 0: none */
};
/* Of the shelf, or of all where none is named; info as of escrow_records. Done with escrow_ledger_done, also after an error. */
int escrow_ledger_load(struct escrow_shelf *s, bool info, struct ledger *ret, struct cof_diag *diag);
/* Without the keys, and what was done with them: what that takes does not grow with them. */
int escrow_ledger_load_few(struct escrow_shelf *s, struct ledger *ret, struct cof_diag *diag);
/* The next one, as a record or as the event that is made of it; borrowed. */
int escrow_ledger_add(struct ledger *l, struct cof_json *record);
void escrow_ledger_done(struct ledger *l);

/* By its number or the beginning of it. -ENOENT, -ENOTUNIQ with a sentence. */
int escrow_ledger_find(const struct ledger *l, const char *id, struct ledger_key **ret, struct cof_diag *diag);
/* The newest that is in force; NULL: none is. */
struct ledger_epoch *escrow_ledger_current(const struct ledger *l, bool rehearsal);
struct ledger_epoch *escrow_ledger_epoch_of(const struct ledger *l, const struct ledger_key *k); /* NULL */
/* Of this epoch key: the one with the newest document that is in force, else with the newest; NULL: none is here. */
struct ledger_epoch *escrow_ledger_epoch_with(const struct ledger *l, const char *epoch_key);
/* The document of that; checked. Done with cof_epoch_done. */
int escrow_ledger_document(struct escrow_shelf *s, const struct ledger *l, const char *epoch_key, struct cof_epoch *ret,
			   struct cof_diag *diag);
/* That of one epoch, which may be of other shares of the same secret. */
int escrow_ledger_document_of(struct escrow_shelf *s, const struct ledger_epoch *e, struct cof_epoch *ret, struct cof_diag *diag);
/* Keys that are encrypted to it now, whichever shares of its secret they are called after. */
unsigned escrow_ledger_keys(const struct ledger *l, const char *epoch_key);
/* Whether the custodian has destroyed the share of that epoch, was revoked: by the last record that says so. */
bool escrow_ledger_destroyed(const struct ledger *l, const struct ledger_epoch *e, const char *custodian);
bool escrow_ledger_revoked(const struct ledger *l, const char *custodian);
/* Whether the custodian was revoked when that epoch came into force: a share of it does not count then. Of an epoch that was
 * in force before, it does: what is encrypted to it has to come out, to go to another one. */
bool escrow_ledger_shut_out(const struct ledger *l, const struct ledger_epoch *e, const char *custodian);
/* The same, for share_gathering: of the epoch whose document escrow_ledger_document gives. */
struct ledger_shut_out {
	const struct ledger *ledger;
	const struct ledger_epoch *epoch;
};
bool escrow_ledger_shuts_out(void *user, const char *custodian);
const char *ledger_what(const struct cof_json *o); /* "key": of a record, or of the event that is made of it */
const char *ledger_text(const struct cof_json *o, const char *key); /* "" where there is none */
int64_t ledger_number(const struct cof_json *o, const char *key);   /* 0 */

#endif
