/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/sshsig. */
#ifndef COF_SSHSIG_INTERNAL_H
#define COF_SSHSIG_INTERNAL_H

#include "fs/sshsig/sshsig.h"

#define COF_SSH_KEYGEN "/usr/bin/ssh-keygen"
#define COF_SSHSIG_SECONDS 10 /* that a judgement may take */

/* Runs ssh-keygen with these descriptors as its files; *ret_code its exit code, out what it wrote on both
 * streams, terminated. -ETIMEDOUT, -ENOENT: it is not installed. */
struct cof_sshsig_run {
	const char *principal, *purpose, *time;
	int people, revoked, signature, document; /* revoked: -1 for none */
};
int cof_sshsig_run(const struct cof_sshsig_run *run, char *out, size_t cap, int *ret_code);

/* Whether the parts are such as ssh-keygen may be given: lengths, principal and purpose without surprises. */
int cof_sshsig_sane(const struct cof_signature *s, struct cof_diag *diag);

#endif
