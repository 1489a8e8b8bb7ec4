/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/sshsig: signatures of people (SSHSIG), judged by ssh-keygen -Y verify, with the keys' intervals and the
 * revocation list as of a given time. Nothing is written to a disk: ssh-keygen is given descriptors of memory.
 * Thread-safe: all functions. Dates without a zone in an allowed_signers file are UTC here.
 */
#ifndef COF_SSHSIG_H
#define COF_SSHSIG_H

#include "fs/rules/approve.h"

/* A cof_verify_signature (user: not used): forks and runs ssh-keygen, at most 10 s. For programs that may exec. */
int cof_sshsig_verify(void *user, const struct cof_signature *s, struct cof_diag *diag);

/*
 * For a daemon that may not: a process of its own, forked before there are keys, threads and confinement, which
 * holds no key and no descriptor but its socket, has no capability, and runs ssh-keygen when asked. It ends when
 * the socket does. One question at a time.
 */
struct cof_sshsig;
/* What the process gives up before it serves; fd: the socket, which it keeps. NULL: nothing (tests). */
typedef int (*cof_sshsig_confine)(void *user, int fd, struct cof_diag *diag);
int cof_sshsig_start(cof_sshsig_confine confine, void *user, struct cof_sshsig **ret, struct cof_diag *diag);
void cof_sshsig_end(struct cof_sshsig *s); /* and waits until it has ended; NULL is fine */
/* A cof_verify_signature, user: the struct cof_sshsig. */
int cof_sshsig_ask(void *sshsig, const struct cof_signature *s, struct cof_diag *diag);

#endif
