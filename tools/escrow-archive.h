/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escrow in an archive, for the verbs: which shelf is meant, records read and written. Mounted: its daemon does it;
 * not mounted: the archive is opened with its key. One struct people_asking (tools/people.h) for either.
 *
 * A record is a JSON object; its fields are those of docs/format.md 10.1: what (always), epoch, epoch_key, key,
 * sha256, public_key, owner, purpose, level, usage, usage_decided, rehearsal, wrapped, persons, bits, certificate, of,
 * outcome, name, reason, detail, to, proposes, promised_ns, took_ns, challenge, proof. Others are refused. What is public in
 * the chain and what is not is said there: names, reasons, details and proofs are not.
 */
#ifndef COFFER_ESCROW_ARCHIVE_H
#define COFFER_ESCROW_ARCHIVE_H

#include "tools/people.h"

struct escrow_shelf {
	struct people_asking ask;
	char name[256]; /* of the shelf; "" : all of them */
};
#define ESCROW_SHELF_INIT                                                                          \
	{                                                                                          \
		.ask = PEOPLE_ASKING_INIT                                                          \
	}
/*
 * arg: a store or mount point, or one of these and the name of a shelf behind it ("/srv/store/keys", whether it is
 * mounted or not). named: the shelf has to be said, else it may be left out. s->ask.opener is filled before.
 */
int escrow_open(struct escrow_shelf *s, const char *arg, bool named, struct cof_diag *diag);
int escrow_close(struct escrow_shelf *s, int r, struct cof_diag *diag); /* r, or what closing says */

/* One record without a file ("drill", "medium", "sheet", "confirmed" …), durable. record is borrowed; ret_sequence may be
 * NULL. -EPERM: refused, and on record. */
int escrow_record(struct escrow_shelf *s, struct cof_json *record, uint64_t *ret_sequence, struct cof_diag *diag);
/* One of a recovery, with the certificate of whom it is for, in DER; empty: for none. */
int escrow_record_to(struct escrow_shelf *s, struct cof_json *record, const struct cof_buf *der, struct cof_diag *diag);
/* And what the archive wrote: its public fields. *ret is the caller's. */
int escrow_record_told(struct escrow_shelf *s, struct cof_json *record, struct cof_json **ret, struct cof_diag *diag);
/* A file FILE.EXT on the shelf (file NULL: a key, called by its number) and its record. *ret: sequence, ino, path, sha256,
 * key; the caller's. */
int escrow_put(struct escrow_shelf *s, const char *file, const char *ext, const void *data, size_t n, struct cof_json *record,
	       struct cof_json **ret, struct cof_diag *diag);
/* All records, in order: their fields and sequence, time, ino of the file, request; info: and retain_until of the file. */
int escrow_records(struct escrow_shelf *s, bool info, cof_show_fn fn, void *user, struct cof_diag *diag);
/* Those that are about no key: of epochs, custodians, drills, media and tokens. They do not grow with the keys. */
int escrow_records_few(struct escrow_shelf *s, cof_show_fn fn, void *user, struct cof_diag *diag);
/* The file of a record. */
int escrow_read(struct escrow_shelf *s, uint64_t sequence, struct cof_buf *ret, struct cof_diag *diag);
/* A key that the rules refuse: an event, never a byte of the key. */
int escrow_refused(struct escrow_shelf *s, const char *rule, const char *clause, const char *reason, const char *path,
		   struct cof_diag *diag);

#endif
