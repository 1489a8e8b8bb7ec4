/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: what happened with vaults and copies, as VAULT frames (docs/format.md 4.2). Whoever syncs,
 * checks, restores and retires gives the fields of a record as JSON; they are put here. A record is of what happened: it
 * is written although the rules did not permit it, and verify says so.
 */
#ifndef COF_ARCHIVE_VAULTS_H
#define COF_ARCHIVE_VAULTS_H

#include "fs/archive/internal.h"

/* Field 220 */
enum cof_vault_what {
	COF_VR_MET = 1,	   /* a vault was added: its key, where it says that it stands */
	COF_VR_TRANSFER,   /* frames left; the frame's position: those that are there then */
	COF_VR_BUCKET,	   /* a copy was added: what its server can do */
	COF_VR_CHECKED,	   /* a copy was compared with what was put there */
	COF_VR_DRILL,	   /* a restore was tried */
	COF_VR_RETIRING,   /* a vault was asked to destroy what it has */
	COF_VR_RETIRED,	   /* and signed that it did */
	COF_VR_BUNDLED,	   /* a bundle was written */
	COF_VR_ENROLLED,   /* a vault was given the tree R */
	COF_VR_RELEASED,   /* and gave it to who restores */
	COF_VR_PUNCTURED,  /* and destroyed what a request names: its receipt is a RECEIPT frame */
	COF_VR_HANDED_OVER, /* the archive went to a successor */
	COF_VR_COUNT_
};
const char *cof_vault_what_name(uint8_t what); /* "transfer"; "unknown" */

/* ---- vault-fields.c ---- */

/* A field 220 to 229 into the object. False: its length is not the field's. */
bool cof_vault_field_show(struct cof_json *o, const struct cof_field *f);
/* From JSON with the names of docs/format.md 4.2: -EINVAL with a sentence; what is not known is refused. *ret_position:
 * of the frame. */
int cof_vault_fields(const struct cof_json *record, struct cof_buf *public_part, struct cof_buf *private_part,
		     uint64_t *ret_position, struct cof_diag *diag);

/* ---- vault-receipt.c ---- */

/* Field 245 into the object, with what it says in words. */
bool cof_vault_receipt_show(struct cof_json *o, const struct cof_field *f);
/* The record punctured: name, vault and, as document, the receipt. 1: on record, durable · 0: it was before · -EINVAL */
int cof_vault_receipt_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record, uint64_t *ret_sequence,
			  struct cof_diag *diag);

/* ---- vault-enroll.c ---- */

/* The tree R that waits for vaults, made anew where content was destroyed, the people lock held: each overwritten, and a record
 * of its new digest. After an error, and once more, it is as good. */
int cof_vault_waiting_anew(struct cof_archive *a, const struct cof_who *who, struct cof_diag *diag);

/* ---- vault-record.c ---- */

/* STORE/vaults/pending: what happened while nobody had the archive open, a record in JSON a line. Chained and removed;
 * what is malformed is left out, and told. */
void cof_vault_records_pending(struct cof_archive *a);

#endif
