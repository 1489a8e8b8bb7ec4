/* SPDX-License-Identifier: Apache-2.0 */
/* Private to sync: putting what vaults signed into the archive's chain. */
#ifndef COFFER_VAULT_RECORD_H
#define COFFER_VAULT_RECORD_H

#include "tools/opener.h"
#include "tools/vaults.h"

struct vault_recording {
	const struct store *store;
	struct opener_args *opener; /* NULL: no key is given */
	bool quiet;		     /* nothing but complaints is printed */
	bool full;		     /* that no more receipts are kept was said */
	int64_t began;		     /* CLOCK_BOOTTIME when the session began */
	struct cof_archive *archive; /* opened here; NULL: not */
};
/* *ret (the caller's) is what the daemon's verb cosign answers; it stays NULL where nobody has the archive open and no
 * key was given: the next mount does it. */
int vault_record(struct vault_recording *r, const struct vault_entry *e, struct cof_json **ret, struct cof_diag *diag);
/* What there is to say of a vault, as an event (cof_archive_vault_told). Where nobody has the archive open: not. */
int vault_told(struct vault_recording *r, const char *type, const char *vault, const char *detail, struct cof_diag *diag);
/* What happened with a vault or copy, as a VAULT frame: the fields of docs/format.md 4.2 by name. Where nobody has the archive
 * open it waits in STORE/vaults/pending for who opens it next; a document that waits there already does so once. -ENOBUFS: no more
 * documents are kept there. */
int vault_recorded(struct vault_recording *r, struct cof_json *record, struct cof_diag *diag);
/* A text that a vault signed and sent (struct vault_sent, receipts of a bundle): judged, and on record. -EUCLEAN · -EKEYREJECTED ·
 * -EXDEV · -EINVAL: not of what this archive did. */
int vault_receipt_take(struct vault_recording *r, const struct vault_entry *e, const char *text, struct cof_diag *diag);
/* coffer vault retire: begins it, or with a receipt (a file) ends it. */
int vault_retire(const struct store *s, const char *name, const char *receipt, struct cof_diag *diag);
int vault_record_done(struct vault_recording *r, struct cof_diag *diag);

#endif
