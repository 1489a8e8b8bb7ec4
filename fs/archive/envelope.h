/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the recovery envelope, seal/recovery.age (docs/format.md 7.7): the trees H and R
 * and the log signing key, sealed to people's age keys. It stands outside the openers: whoever opens it
 * has the archive's keys, and no root key, passphrase or TPM is asked.
 */
#ifndef COF_ARCHIVE_ENVELOPE_H
#define COF_ARCHIVE_ENVELOPE_H

#include "fs/archive/archive.h"
#include "fs/archive/keys-box.h"

#define COF_ENVELOPE_FILE "seal/recovery.age"
#define COF_ENVELOPE_NEXT COF_ENVELOPE_FILE ".next" /* not tried yet */

/* What these keys are in an envelope; secure memory, to be freed with cof_secret_free. -EFBIG */
int cof_envelope_plain(const struct cof_keys *k, void **ret, size_t *ret_n);
/* Trees and signing key; the rest is zero. -EUCLEAN · -EXDEV: another archive's */
int cof_envelope_take(const uint8_t archive_id[16], const void *plain, size_t n, struct cof_keys **ret);

/* Makes the file beside the old one (COF_ENVELOPE_NEXT) and tries it; use puts it in its place. The trial: it is read back,
 * opened, and has to give keys under which the first MOUNT frame was written; with identities one of them
 * has to open it too. Without them it is not proven that somebody has the identities of the recipients.
 * After an error the old one is there as it was. */
int cof_envelope_make(const struct cof_keys *k, struct cof_io *io, const struct cof_conf *conf,
		      const struct cof_recovery *r, struct cof_diag *diag);
int cof_envelope_use(struct cof_io *io, struct cof_diag *diag);
/* Opens one with identities. Every failure is said in diag; where: what the file is called in it. */
int cof_envelope_open(const struct cof_conf *conf, const char *where, const void *file, size_t len,
		      const uint8_t (*identities)[32], size_t n, struct cof_keys **ret,
		      struct cof_diag *diag);
/* "recovery": {"recipients": n, "error": …} where there is one; needs no key. */
int cof_envelope_status(struct cof_io *io, struct cof_json *into);

/* ---- do keys belong to a log? (keys-check.c) ---- */

struct cof_keys_checked {
	uint32_t mounts;    /* of MOUNT frames, all of them written under these keys */
	uint64_t files, unlike; /* first writes to a file that were, and were not (which may be damage) */
	uint64_t last_inode; /* that a frame names */
	uint64_t epoch;	    /* of the last MOUNT frame */
	uint32_t lineage;
	uint64_t *destroyed; /* inodes of DESTROY frames, ascending; the caller's to free */
	size_t n_destroyed;
	bool damaged; /* frames could not be read: what was destroyed may be among them */
};

/* The signing key is that of archive.conf, and the commitments of the log's frames are of these keys.
 * first: only the first MOUNT frame is looked at. Damaged frames are passed over. -EKEYREJECTED: other
 * keys · -ENODATA: no MOUNT frame can be read · -EOPNOTSUPP: frames that a later Coffer wrote. */
int cof_keys_check(const struct cof_keys *k, struct cof_io *io, const struct cof_conf *conf, bool first,
		   struct cof_keys_checked *ret, struct cof_diag *diag);

#endif
