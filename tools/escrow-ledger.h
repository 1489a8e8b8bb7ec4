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
	size_t released;	    /* the newest release that was not used yet: place + 1 in the ledger's list; 0: none */
	unsigned recoveries, opened; /* delivered; begun */
	int64_t recovered;	    /* the last one; 0: never */
	bool revoked;
};
struct ledger_release {
	uint64_t sequence;
	const char *to;
	size_t before; /* another one of the key, as `released` */
};
struct ledger_epoch {
	uint64_t shelf, sequence; /* of the record with its document: the one that was accepted; until then the newest */
	char document[65];	  /* in force: its SHA-256, as it was accepted */
	uint32_t number;
	char epoch_key[65];
	struct cof_json *o;   /* the record of `sequence` */
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
	struct ledger_release *release;
	size_t n_keys, n_epochs, n_releases;
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
/* The newest release of the key that was not used yet, to whom it names or (NULL) to anybody; the next older one of the key. NULL */
const struct ledger_release *escrow_ledger_release(const struct ledger *l, const struct ledger_key *k, const char *to);
const struct ledger_release *escrow_ledger_release_before(const struct ledger *l, const struct ledger_release *r);
/* The newest that is in force; NULL: none is. Of a ledger of several shelves: on any, or on this one. */
struct ledger_epoch *escrow_ledger_current(const struct ledger *l, bool rehearsal);
struct ledger_epoch *escrow_ledger_current_on(const struct ledger *l, uint64_t shelf, bool rehearsal);
struct ledger_epoch *escrow_ledger_epoch_of(const struct ledger *l, const struct ledger_key *k); /* NULL */
/* Of this epoch key: the newest that is in force, else that was, else to practise with, else the newest; NULL: none is here. */
struct ledger_epoch *escrow_ledger_epoch_with(const struct ledger *l, const char *epoch_key);
/* Of this number, by the same order: whoever puts an epoch here gives it any number. NULL: none is here. */
struct ledger_epoch *escrow_ledger_epoch_numbered(const struct ledger *l, uint32_t number);
/* The document of escrow_ledger_epoch_with; checked. Done with cof_epoch_done. */
int escrow_ledger_document(struct escrow_shelf *s, const struct ledger *l, const char *epoch_key, struct cof_epoch *ret,
			   struct cof_diag *diag);
/* That of one epoch, which may be of other shares of the same secret. */
int escrow_ledger_document_of(struct escrow_shelf *s, const struct ledger_epoch *e, struct cof_epoch *ret, struct cof_diag *diag);
/* Whether that is what was accepted; of an epoch that is not in force anything is. */
bool escrow_ledger_is_document(const struct ledger_epoch *e, const void *data, size_t n);
/* Keys that are encrypted to it now, whichever shares of its secret they are called after. */
unsigned escrow_ledger_keys(const struct ledger *l, const char *epoch_key);
/* Whether the custodian has destroyed the share of that epoch, was revoked on that shelf (0: of a ledger of one): by the
 * last record that says so. */
bool escrow_ledger_destroyed(const struct ledger *l, const struct ledger_epoch *e, const char *custodian);
bool escrow_ledger_revoked(const struct ledger *l, uint64_t shelf, const char *custodian);
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
uint64_t ledger_shelf(const struct cof_json *o);    /* inode: of a record, or of that event */
const char *ledger_text(const struct cof_json *o, const char *key); /* "" where there is none */
int64_t ledger_number(const struct cof_json *o, const char *key);   /* 0 */

#endif
