/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the open archive's one connection to its TPM. One thread at a time, reached
 * again by itself after it was gone; who is mounted runs on meanwhile.
 *
 * A TPM answers in milliseconds, or when it likes; after 10 s one behind a socket counts as gone. Never use it in a thread that others wait for (a
 * FUSE worker, the log's keeper), nor with a lock of the archive held. Only cof_tpm_link_said never
 * waits for the TPM.
 */
#ifndef COF_ARCHIVE_TPM_LINK_H
#define COF_ARCHIVE_TPM_LINK_H

#include "crypto/tpm.h"

struct cof_tpm_link;

/* where: as cof_tpm_open, copied. Connects with the first use: it may be gone when an archive is opened. */
int cof_tpm_link_new(const char *where, struct cof_tpm_link **ret);
void cof_tpm_link_free(struct cof_tpm_link *l); /* NULL is fine; nobody uses it any more */
const char *cof_tpm_link_where(const struct cof_tpm_link *l);

/*
 * Runs fn with the connection, alone, after connecting if there is none; -ENODEV when nobody answers.
 * fn returns what its last command did, and does nothing else that takes long. A connection that broke
 * is given up, so that the next use connects anew. *ret_cause (may be NULL): of the failure.
 */
typedef int (*cof_tpm_use_fn)(struct cof_tpm *t, void *arg, struct cof_diag *diag);
int cof_tpm_link_use(struct cof_tpm_link *l, cof_tpm_use_fn fn, void *arg,
		     enum cof_tpm_cause *ret_cause, struct cof_diag *diag);

/* From any thread: nobody waits for longer than 3 s any more, and whoever comes after one who waited in vain
 * not at all. NULL is fine. */
void cof_tpm_link_closing(struct cof_tpm_link *l);

/* For status: 0 when the last use did what it should, else its error and sentence. Does not wait. */
int cof_tpm_link_said(struct cof_tpm_link *l, struct cof_diag *ret);

/* The one command that more than one part wants. */
int cof_tpm_link_clock(struct cof_tpm_link *l, struct cof_tpm_clock *ret, struct cof_diag *diag);

#endif
