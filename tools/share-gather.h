/* SPDX-License-Identifier: Apache-2.0 */
/* A quorum's shares, one at a time and in any order, from the terminal or from descriptors, and the secret of them. */
#ifndef COFFER_SHARE_GATHER_H
#define COFFER_SHARE_GATHER_H

#include "escrow/epoch.h"

struct share_gathering {
	const struct cof_epoch *epoch;
	const char *title; /* above the list on the terminal: what the shares are for */
	const int *fds;	   /* n_fds of them; none: the terminal */
	unsigned n_fds;
	int passphrase_fd; /* below 0: asked for, where the epoch has one */
	bool (*shut_out)(void *user, const char *custodian); /* whose share does not count; NULL: nobody's */
	void *user;
	unsigned idle;	   /* the terminal: seconds until it gives up; 0: waits for ever */
};
/*
 * identity: secure memory. What is wrong about a share is said at once, with its custodian's name, and passed over; on
 * the terminal what each group still misses is shown before each share. Shares are wiped as they are taken in, and all are
 * when this ends. -EAGAIN: not enough came · -EINTR: interrupted · -ETIMEDOUT: nobody typed · -EKEYREJECTED: the
 * passphrase is another one.
 */
int share_gather(const struct share_gathering *g, uint8_t identity[COF_AGE_KEY], struct cof_diag *diag);

struct share_delivery {
	const char *input, *output; /* an age file to the epoch; a new file, mode 0400 */
	const uint8_t (*to)[COF_AGE_KEY]; /* encrypted to these n_to again; 0: in clear */
	size_t n_to;
	const uint8_t *digest; /* SHA-256 that the age file has to have; NULL: any */
};
/* The file opened by the epoch's secret, and written; durable, or not there. *ret_canary: it was a drill's. */
int share_deliver(const struct share_delivery *d, const uint8_t (*identity)[COF_AGE_KEY], bool *ret_canary, struct cof_diag *diag);

#endif
