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
/* The same of any line, to any path in the store. */
int cof_auditor_put(const struct cof_keys *k, struct cof_io *io, const char *path, const struct cof_auditor *a,
		    struct cof_diag *diag);

struct cof_auditor_files {
	uint32_t lineage[COF_AUDITORS_MAX];
	size_t n;
};
int cof_auditor_list(struct cof_io *io, struct cof_auditor_files *ret);
void cof_auditor_path(uint32_t lineage, char out[64]);
/* A file's line, of this archive. -EKEYREJECTED: not sealed to these identities · -EXDEV · all said in diag. */
int cof_auditor_open(struct cof_io *io, const uint8_t id[16], const char *path,
		     const uint8_t (*identities)[32], size_t n, struct cof_auditor *ret, struct cof_diag *diag);
/* cof_store_seal_auditors, with the store's lock held. */
int cof_auditors_renew(struct cof_keys *k, struct cof_io *io, const struct cof_auditor_renewal *p,
		       struct cof_auditors_renewed *ret, struct cof_diag *diag);
/* A renewal of them was cut behind its note (auditor-renew.c): 1, else 0. */
int cof_auditors_unfinished(struct cof_io *io);
/* "auditor": {"lineage": of the newest file, "recipients": n, "error": …}, where there is one; needs no key. */
int cof_auditor_status(struct cof_io *io, struct cof_json *into);

#endif
