/* SPDX-License-Identifier: Apache-2.0 */
/* coffer verify --tpm: what the TPM's counter says of the log's end. */
#ifndef COFFER_VERIFY_ANCHOR_H
#define COFFER_VERIFY_ANCHOR_H

#include "fs/log/log.h"

struct anchor_asked {
	const char *tpm; /* where it is; NULL: nobody asked for it */
	struct cof_anchored before; /* what the log had when the counter was read */
	uint64_t value;
	uint32_t resets;
	int err; /* the counter could not be read: why, in text */
	struct cof_diag text;
	bool told;	 /* there is something to say: */
	enum cof_verdict verdict;
	bool decides;	 /* graver than what the log alone says */
};

/* Before the log is verified, so that a daemon beside us cannot be ahead of what is read. -ENODATA: nothing here has or
 * had a TPM, so that there is nothing to ask; said. Whatever else goes wrong is for anchor_judge. */
int anchor_ask(struct anchor_asked *a, struct cof_io *io, struct cof_diag *diag);
/* Judges, and raises the verdict where it has to be graver. */
void anchor_judge(struct anchor_asked *a, struct cof_verified *v);

#endif
