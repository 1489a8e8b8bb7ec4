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
};
/* Writes what the vault lacks by its newest receipt, says so, and puts it on record. -EPERM: the policy lets nothing go
 * there · -EEXIST. */
int bundles_write(const struct bundling *p, const struct vault_entry *e, const char *path, struct cof_diag *diag);
/* What came back: judged as a vault's word is, and put on record. -EXDEV: of another archive · -ESTALE: older than what is
 * known · -ENOENT: of no vault of this archive. */
int bundles_receipt(const struct bundling *p, const char *path, struct cof_diag *diag);

#endif
