/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the records of key escrow, ESCROW frames (docs/format.md 4 and 10.1).
 *
 * A shelf of escrow is a shelf like any other; what lies on it are age files, schemes and documents of epochs, each a
 * committed file, and what they are, and what was done with them, say ESCROW frames. A frame about a file is behind
 * its COMMIT frame: a file without one is none of escrow's. The archive understands neither schemes nor epochs: it keeps
 * what it is given, and asks for approved requests where a record weakens something.
 *
 * The index has the frames as the stretches of an inode that no file has, as it has those of people.
 */
#ifndef COF_ARCHIVE_ESCROW_H
#define COF_ARCHIVE_ESCROW_H

#include "fs/archive/people.h"

/* Field 190 */
enum cof_escrow_what {
	COF_ESC_SCHEME = 1,	  /* file: a scheme */
	COF_ESC_EPOCH,		  /* file: the document of an epoch that is begun */
	COF_ESC_EPOCH_VALID,	  /* request: keys go to it from here on; `of`: the EPOCH record */
	COF_ESC_CUSTODIAN,	  /* request: enrolled */
	COF_ESC_CUSTODIAN_REVOKED, /* request */
	COF_ESC_KEY,		  /* file: a key, encrypted to an epoch */
	COF_ESC_RELEASE,	  /* request: may be recovered once, for `to` */
	COF_ESC_ATTEMPT,	  /* a recovery begins; `of`: the RELEASE */
	COF_ESC_RECOVERED,	  /* and was delivered */
	COF_ESC_FAILED,		  /* and was not */
	COF_ESC_ROTATED,	  /* file: the same key, encrypted to another epoch */
	COF_ESC_REVOKED,	  /* request: a key or an epoch is of no use any more */
	COF_ESC_DRILL, COF_ESC_MEDIUM, COF_ESC_SHEET,
	COF_ESC_SHARE_DESTROYED,  /* a custodian has destroyed a share of an epoch */
	COF_ESC_CONFIRMED,	  /* a custodian has shown to have a share */
	COF_ESC_PROPOSED,	  /* field 205: what it would be once it was approved */
	COF_ESC_TOKEN,		  /* a hardware module of the inventory */
	COF_ESC_TPM_KEY,	  /* request: the key with which a custodian signs for a TPM; field 196: which */
	COF_ESC_TPM_KEY_REVOKED,  /* request */
	COF_ESC_TPM_ENDED,	  /* request: what a TPM opened at one value of its counter is to end (field 254) */
	COF_ESC_TPM_RAISED,	  /* `of` that: the counter was raised, or could not be */
	COF_ESC_COUNT_
};
const char *cof_escrow_name(uint8_t what); /* "epoch-valid"; "unknown" */
/* 0: none. What counts only with an approved request. */
bool cof_escrow_needs_request(uint8_t what);

/* ---- escrow-fields.c ---- */

bool cof_escrow_tag(uint8_t tag); /* a field of ESCROW frames */
/* A field of an ESCROW frame into the object. False: its length is not the field's. */
bool cof_escrow_show(struct cof_json *o, const struct cof_field *f);
/* From JSON with the names of docs/format.md 10.1: -EINVAL with a sentence; what is not known is refused. */
int cof_escrow_fields(const struct cof_json *record, struct cof_buf *public_part, struct cof_buf *private_part,
		      struct cof_diag *diag);

/* ---- escrow.c ---- */

struct cof_escrow_record {
	uint64_t sequence, object;
	int64_t time, retention; /* record time; retention time */
	struct cof_buf public_part, private_part;
};
void cof_escrow_record_done(struct cof_escrow_record *r);
uint8_t cof_escrow_what(const struct cof_escrow_record *r); /* 0: malformed */

/*
 * The lists that the index keeps: all records; those that are about no key, of epochs, custodians and drills, which do not
 * grow with the keys; those about one key, by its number; and the KEY records of one public key, by its digest.
 */
enum cof_escrow_list_of { COF_ESCROW_ALL, COF_ESCROW_NO_KEY, COF_ESCROW_OF_KEY, COF_ESCROW_OF_PUBLIC_KEY, COF_ESCROW_OF_FILE };
uint64_t cof_escrow_list(enum cof_escrow_list_of what, const void *value, size_t n);
/* The frame is one: remembered by the index. */
int cof_escrow_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part, size_t public_len);
/* All of a list in order from a sequence on, until fn returns not 0, which is returned when negative. Outside the gate. What
 * a list is about has to be looked at again. */
typedef int (*cof_escrow_fn)(void *user, const struct cof_escrow_record *r);
int cof_escrow_each(struct cof_archive *a, uint64_t list, uint64_t from, cof_escrow_fn fn, void *user);
/* escrow-counts.c: those alone that count, by the judge of a whole chain; from the first, of a list of all or of those about no key.
 * passed: NULL, or which others there are, done with cof_escrow_passed_done, also after an error. */
struct cof_escrow_passed {
	uint64_t *sequence; /* in order */
	size_t n;
};
int cof_escrow_each_counted(struct cof_archive *a, uint64_t list, cof_escrow_fn fn, void *user, struct cof_escrow_passed *passed);
bool cof_escrow_passed_over(const struct cof_escrow_passed *p, uint64_t sequence);
void cof_escrow_passed_done(struct cof_escrow_passed *p);
int cof_escrow_get(struct cof_archive *a, uint64_t sequence, struct cof_escrow_record *ret); /* -ENOENT */
/* Written and durable; the people lock held. request: 32 bytes, or NULL. */
int cof_escrow_put(struct cof_archive *a, const struct cof_who *who, uint64_t object, struct cof_buf *public_part,
		   const struct cof_buf *private_part, const uint8_t *request, uint64_t *ret_sequence,
		   struct cof_diag *diag);

/* ---- escrow-fit.c: whether a record may be written as things are ---- */

struct cof_escrow_facts { /* of a record, by its public part */
	uint8_t what;
	uint64_t shelf, of;
	uint32_t epoch;
	uint8_t epoch_key[32], key[16], outcome; /* outcome 0: not said */
	bool has_epoch, has_key, has_of, rehearsal, wrapped;
	unsigned persons; /* that it takes at the fewest; 0: not said */
};
void cof_escrow_facts(const void *public_part, size_t n, struct cof_escrow_facts *ret);
/* with_file: a file is put with it. Times are added to the public part where the record is one of a drill. -EPERM: refused;
 * -EEXIST: it is kept already. */
int cof_escrow_fit(struct cof_archive *a, struct cof_buf *public_part, const struct cof_buf *private_part, bool with_file,
		   struct cof_diag *diag);
/* escrow-file.c: of it, that the file is of no key yet. */
int cof_escrow_fit_file(struct cof_archive *a, const struct cof_escrow_facts *want, const struct cof_buf *public_part, bool with_file,
			struct cof_diag *diag);
/* escrow-drill.c: of it, what drills need. */
int cof_escrow_fit_drill(struct cof_archive *a, const struct cof_escrow_facts *want, struct cof_buf *public_part,
			 const struct cof_buf *private_part, bool with_file, struct cof_diag *diag);

/* escrow-tpm.c: of records of the TPM road, or that propose one. */
int cof_escrow_fit_tpm(struct cof_archive *a, const struct cof_escrow_facts *want, const struct cof_buf *public_part,
		       const struct cof_buf *private_part, struct cof_diag *diag);

/* act-escrow.c: whether a key may go to it as the policy is. certificate: base64 of DER, where it is the name of one; sheet: told
 * whose it is, or NULL. */
int cof_escrow_recipient(struct cof_archive *a, const char *to, const char *certificate, struct cof_buf *sheet, struct cof_diag *diag);

/* escrow-watch.c: a tick of the keeper, outside the gate; now: boot time. */
void cof_escrow_watch(struct cof_archive *a, int64_t now);

/* ---- escrow-verbs.c: called by cof_archive_people ---- */

bool cof_escrow_verb(const char *verb);
bool cof_escrow_reads(const char *verb); /* needs no people lock */
int cof_escrow_act(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		   cof_show_fn fn, void *user, struct cof_diag *diag);

#endif
