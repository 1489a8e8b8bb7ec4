/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/guard: what the daemon gives up before it reads a byte of an archive, so that whoever takes it
 * over by such bytes gets little; and what it is made of (digests), so that a change shows.
 * seccomp.h and cap-ng.h are included in this folder only.
 *
 * The order: cof_guard_only, forks if any, cof_guard_become, cof_guard_confine, then keys and
 * threads. All of it from the one thread that there is; cof_guard_seal, _refused and _status from any.
 */
#ifndef COF_GUARD_H
#define COF_GUARD_H

#include "base/json.h"

#include <limits.h>

/* ---- the process (process.c) ---- */

/* Environment down to a list of names, no core dump, no descriptor from 3 on but those of keep (-1:
 * none), no new privileges by exec. */
int cof_guard_only(const int *keep, size_t n, struct cof_diag *diag);

/* ---- rights (rights.c) ---- */

/* Becomes this user, with the groups that the user is in, and without a capability, for good; uid 0 stays
 * uid 0, without a capability. Locked memory and descriptors may be had as before. A caller who is not
 * root has to be this user already: else -EPERM. */
int cof_guard_become(uid_t uid, gid_t gid, struct cof_diag *diag);
/* Root with what mounting takes, and no more, for good. */
int cof_guard_root_part(struct cof_diag *diag);
/* A process that runs ssh-keygen for the daemon (fs/sshsig): no descriptor but fd, this user without a capability,
 * files to read and run by a list, none to write, no TCP. */
int cof_guard_sign_part(int fd, uid_t uid, gid_t gid, struct cof_diag *diag);

/* ---- confinement (confine.c, calls.c, paths.c) ---- */

struct cof_guard_params {
	const char *store; /* may be read and written, and nothing else may */
	const char *index; /* beside it, or NULL */
	const char *tpm;   /* where the TPM is, as cof_tpm wants it; NULL: none is used */
	bool uring;	   /* requests over io_uring */
};

/* System calls by a list and files by a list, for this process and all its threads, for good. Without
 * Landlock in the kernel files are not confined, and the status says so; without seccomp: -ENOSYS. */
int cof_guard_confine(const struct cof_guard_params *p, struct cof_diag *diag);
/* Once it serves: what only a start needs is refused from here on too. */
int cof_guard_seal(void);
/* A SHA-256 of the list in force, for the record. Zero before cof_guard_confine. */
void cof_guard_digest(uint8_t ret[32]);

/* A call that is not on the list fails with EPERM (execve and the like end the process). The first time
 * for each call SIGUSR1 is sent to the process; then this tells its name, one at a time. False: no more. */
bool cof_guard_refused(char ret_name[64], uint64_t *ret_times);

/* uid, gid, no_new_privs, dumpable, capabilities, seccomp, landlock (ABI; 0: absent), secret_memory
 * ("memfd_secret", "locked") as the kernel tells them of this process. */
void cof_guard_status(struct cof_json *into);

/* ---- what it is made of (measure.c) ---- */

#define COF_MEASURED_NAME 64

struct cof_measured {
	char path[PATH_MAX];	      /* where it was mapped from */
	char name[COF_MEASURED_NAME]; /* its last part, cut to fit */
	uint8_t digest[32];	      /* SHA-256 */
	bool replaced;		      /* another file is there by now: digest is zero */
};

/* The program that runs first, and each library that is mapped, by name. *ret: the caller's to free. */
int cof_guard_measure(struct cof_measured **ret, size_t *ret_n, struct cof_diag *diag);
int cof_guard_measure_file(const char *path, struct cof_measured *ret, struct cof_diag *diag);

#endif
