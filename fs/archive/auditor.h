/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor secrets: with which verify recomputes every seal, a line of text for each lineage of the
 * seal, sealed to auditors' age keys in seal/auditor.age and seal/auditor-N.age (docs/format.md 7.5).
 */
#ifndef COF_ARCHIVE_AUDITOR_H
#define COF_ARCHIVE_AUDITOR_H

#include "fs/archive/archive.h"
#include "fs/archive/keys-box.h"

/* Who it is sealed to, from here on: noted in k, for the next lineage too; keys/top has to be written. */
int cof_auditors_set(struct cof_keys *k, const uint8_t (*recipients)[COF_KEY], size_t n);
/* The file of k's lineage, which begins at epoch with this secret; tried by reading it back. Nothing without
 * recipients. */
int cof_auditor_write(const struct cof_keys *k, struct cof_io *io, uint64_t epoch,
		      const uint8_t secret[COF_KEY], struct cof_diag *diag);
/* "auditor": {"lineage": of the newest file, "recipients": n, "error": …}, where there is one; needs no key. */
int cof_auditor_status(struct cof_io *io, struct cof_json *into);

#endif
