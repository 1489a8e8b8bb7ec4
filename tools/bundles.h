/* SPDX-License-Identifier: Apache-2.0 */
/* Private to sync: an archive's vaults that are reached by hand, by bundles out and receipts back. */
#ifndef COFFER_BUNDLES_H
#define COFFER_BUNDLES_H

#include "tools/vault-record.h"

#define BUNDLE_URL "bundle:" /* of a vault that no line leads to */

struct bundling {
	const struct store *store;
	struct vault_recording *recording;
	const void *envelope;
	size_t envelope_len;
	uint64_t split; /* bytes of a part; 0: one file */
	struct vault_progress progress;
};
/* Writes what the vault lacks by its newest receipt, says so, and puts it on record. -EPERM: the policy lets nothing go
 * there · -EEXIST. */
int bundles_write(const struct bundling *p, const struct vault_entry *e, const char *path, struct cof_diag *diag);
/* What came back: judged as a vault's word is, and put on record. -EXDEV: of another archive · -ESTALE: older than what is
 * known · -ENOENT: of no vault of this archive. *ret_alarm: something in it that the vault signed was not taken, and is told. */
int bundles_receipt(const struct bundling *p, const char *path, bool *ret_alarm, struct cof_diag *diag);

/* To whom keys for this vault are sealed, as a receipt of it says: signed with its key, or -EKEYREJECTED. */
int bundles_recipient(const struct store *s, const struct vault_entry *e, const char *path, char ret[VAULT_RECIPIENT], struct cof_diag *diag);

#endif
