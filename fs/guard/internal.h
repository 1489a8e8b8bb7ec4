/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/guard. */
#ifndef COF_GUARD_INTERNAL_H
#define COF_GUARD_INTERNAL_H

#include "fs/guard/guard.h"

#include <stdatomic.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COF_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define COF_SANITIZED 1
#endif
#endif
#ifndef COF_SANITIZED
#define COF_SANITIZED 0
#endif

#define COF_CALLS_MAX 1024 /* numbers of system calls that are counted */

/* ---- calls.c ---- */

enum cof_calls { /* which rows of the table hold */
	COF_CALLS_ALWAYS = 1,
	COF_CALLS_URING = 2,   /* with requests over io_uring */
	COF_CALLS_NET = 4,     /* with a TPM behind TCP */
	COF_CALLS_START = 8,   /* until it serves */
	COF_CALLS_CHECKED = 16 /* in a build with sanitizers */
};
int cof_calls_allow(unsigned which, uint8_t ret_digest[32], struct cof_diag *diag);
int cof_calls_seal(void);
bool cof_calls_name(int number, char ret[64]);

/* ---- paths.c ---- */

int cof_paths_abi(void); /* of Landlock; 0: the kernel has none */
int cof_paths_sign(struct cof_diag *diag);
int cof_paths_allow(const struct cof_guard_params *p, struct cof_diag *diag);

/* ---- refused.c ---- */

int cof_refused_catch(void); /* SIGSYS */

/* "swtpm:host=…,port=…" and the like: TCP. */
bool cof_guard_tpm_tcp(const char *tpm);

#endif
