/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: what an archive with a TPM's opener keeps in the TPM's NV (docs/format.md 7.5):
 * the seal's epoch and secret, which only the bearer of an authorisation in keys/top reads and writes,
 * and the anchor, a counter. Without a TPM the secret lies in keys/epoch and there is no anchor.
 */
#ifndef COF_ARCHIVE_KEYS_NV_H
#define COF_ARCHIVE_KEYS_NV_H

#include "fs/archive/keys-box.h"
#include "fs/archive/tpm-link.h"

/* Defines both in this TPM, writes k's epoch, lineage and secret there, and notes them in k: durable
 * once keys/top is written. After an error nothing is left in the TPM. */
int cof_nv_define(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag);
/* Removes them from the TPM, as far as they are there, and forgets them in k. */
void cof_nv_undefine(struct cof_keys *k, struct cof_tpm *t);

/* -ENOENT, -EUCLEAN: the index is gone, or not what was defined: said. Into k->next. */
int cof_nv_read(struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag);

/* Whether this TPM holds them: its answer to a question about the seal's index is authenticated. */
int cof_nv_prove(const struct cof_keys *k, struct cof_tpm *t, struct cof_diag *diag);

static inline bool cof_keys_nv_here(const struct cof_keys *k)
{
	return k->nv.here;
}

/* Removes keys/epoch, since the TPM holds the secret. */
int cof_nv_drop_file(struct cof_io *io, struct cof_diag *diag);

/*
 * As a mount does it: epoch and secret from where they are, into k; what an interrupted move left in
 * keys/epoch is removed. *ret_lost: the TPM answers, and what it should hold is not there.
 */
int cof_keys_fetch_epoch(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l,
			 bool *ret_lost, struct cof_diag *diag);

/*
 * While it is mounted: what the next MOUNT frame has to prove goes on by one mixing, whose frame is durable. -ESTALE:
 * what is there was not mixed at m->on, but at *ret_found, and stays.
 */
int cof_keys_mix(struct cof_keys *k, struct cof_io *io, struct cof_tpm_link *l, const struct cof_mixing *m,
		 uint64_t *ret_found, enum cof_tpm_cause *ret_cause, struct cof_diag *diag);

/*
 * Before the first MOUNT frame of a lineage: its auditor secret is sealed once more. Another recovery or new
 * lineage, begun before this mount and cut, has put that of keys there which never came into force.
 */
struct cof_archive;
int cof_lineage_begin(struct cof_archive *a, struct cof_diag *diag);
/* A new lineage's mark (lineage.c). 1: this one is to be put on record · 0 · -errno. done: it is. */
int cof_lineage_due(struct cof_io *io, uint32_t lineage);
int cof_lineage_done(struct cof_io *io);

#endif
