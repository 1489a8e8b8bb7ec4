/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands between a program and a software TPM, and cuts the power at a command that changes the TPM:
 * before it, or after it was done and before the answer. From then on nobody answers. Or it hangs: it takes
 * commands and keeps them to itself.
 */
#ifndef COF_TEST_TPM_PROXY_H
#define COF_TEST_TPM_PROXY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpm_proxy {
	char socket[108]; /* what cof_tpm_open takes */
	const char *upstream;
	int listener;
	pthread_t thread;
	atomic_uint seen; /* commands that change the TPM, since the last plan */
	atomic_uint cut;  /* 0: never */
	atomic_bool after, dead, stop;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool hangs;
	unsigned kept; /* commands that it took while it hung */
	uint8_t *heard;	     /* what goes over the line, both ways, where the test has room for it; NULL: not kept */
	size_t heard_n, heard_max;
	void (*on_cut)(void *user); /* in the proxy's thread; may be NULL */
	void *user;
};

void tpm_proxy_start(struct tpm_proxy *p, const char *upstream); /* beside it, with ".proxy" */
void tpm_proxy_stop(struct tpm_proxy *p);
/* The n-th such command from now on; 0: none. The power is on again. */
void tpm_proxy_hang(struct tpm_proxy *p, bool hangs);
void tpm_proxy_wait(struct tpm_proxy *p); /* until it has a command that it keeps */
void tpm_proxy_plan(struct tpm_proxy *p, unsigned n, bool after);

#endif
