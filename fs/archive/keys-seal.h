/* SPDX-License-Identifier: Apache-2.0 */
/* Private to keys*.c: the openers' files, and what an unfinished renewal left. */
#ifndef COF_ARCHIVE_KEYS_SEAL_H
#define COF_ARCHIVE_KEYS_SEAL_H

#include "fs/archive/keys-box.h"

#define COF_SEAL_DIR "seal"

struct cof_seal_file { /* seal/passphrase-2, seal/tpm2-1.next */
	enum cof_opener_kind kind;
	uint32_t n;
	bool next; /* of a root key that is not in force yet */
	bool staged; /* of a recovery that is not in force yet; cof_seal_name knows none of these */
};

/* False for anything else, "passphrase-012" and "passphrase-1.new" too. */
bool cof_seal_name(const char *name, struct cof_seal_file *ret);
void cof_seal_path(const struct cof_seal_file *f, char out[64]);

#define COF_SEAL_FILES 64
struct cof_seal_files { /* in ascending order of names */
	struct cof_seal_file file[COF_SEAL_FILES];
	size_t n;
};
/* -ENOENT: no such directory. -E2BIG: more than any archive has. */
int cof_seal_list(struct cof_io *io, struct cof_seal_files *ret);
/* -ENOENT, -EUCLEAN, -EXDEV; without a word. */
int cof_seal_tpm2_load(struct cof_io *io, const uint8_t archive_id[16], const struct cof_seal_file *f,
		       struct cof_tpm_sealed *ret, uint64_t *ret_generation);

/* Finds the file that the secret opens: k->root, generation, top_next. */
int cof_keys_open_root(struct cof_keys *k, struct cof_io *io, const struct cof_opener_secret *secret,
		       struct cof_diag *diag);

/* ---- a renewal (keys-renew.c) ---- */

/* Nothing is unfinished, nor are there pages of one that ended before its top was there. */
int cof_keys_renew_begin(struct cof_keys *k, struct cof_io *io, const struct cof_renewal *r, struct cof_diag *diag);
/* next: as k, and what else it shall have, its pages durable with COF_KEYS_NEXT behind their names. Once it returns 0 its
 * top is in force, and k has its root key. */
int cof_keys_renew_to(struct cof_keys *k, struct cof_keys *next, struct cof_io *io, const struct cof_renewal *r,
		      struct cof_diag *diag);

/* Brings the files of a new root key into force: the top first. May be repeated after any failure. */
int cof_keys_forward(struct cof_io *io, struct cof_diag *diag);
/* 0: nothing is pending (any more) · 1: it was, and was brought into force · -EAGAIN: it is, and the
 * TPM that decides could not be asked (said in diag) · other errors. */
int cof_keys_settle(struct cof_io *io, const uint8_t archive_id[16], const char *tpm,
		    struct cof_diag *diag);
/* Without the TPM, by somebody who says that it is gone for good: what k was opened from is in force. */
int cof_keys_settle_as_opened(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag);

/* ---- a recovery (recover.c) ---- */

/* -EAGAIN: one is in force and not finished. */
int cof_keys_recovered_check(struct cof_io *io, struct cof_diag *diag);
/* Finishes it. The store lock is held. */
int cof_keys_recovered_finish(struct cof_io *io, struct cof_diag *diag);

#endif
