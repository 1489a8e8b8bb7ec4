/* SPDX-License-Identifier: Apache-2.0 */
/* Options about the recovery envelope: recipients, and identity files. */
#ifndef COFFER_RECOVERY_H
#define COFFER_RECOVERY_H

#include "crypto/age.h"
#include "fs/archive/archive.h"

#define IDENTITIES_MAX 16

struct recovery {
	uint8_t recipients[COF_AGE_RECIPIENTS][COF_AGE_KEY];
	size_t n;
	const char *test; /* identity file to try the envelope with, or NULL */
	uint8_t (*identities)[COF_AGE_KEY]; /* of it, once loaded; secure memory */
	size_t n_identities;
};

/* An exit code: a message when text is no recipient. */
int recovery_add(struct recovery *r, const char *option, const char *text);
/* "" or what is wrong. */
const char *recovery_conflict(const struct recovery *r, bool none);
/* Reads the identity file of test, if there is one. */
int recovery_load_test(struct recovery *r, const char *store, struct cof_diag *diag);
struct cof_recovery recovery_params(const struct recovery *r);
void recovery_done(struct recovery *r); /* wipes */

/* An identity file as age-keygen writes it; it may not lie in the store (NULL: there is none). *ret: secure memory. */
int identities_load(const char *path, const char *store, uint8_t (**ret)[COF_AGE_KEY], size_t *ret_n,
		    struct cof_diag *diag);

#define RECOVERY_SAID 160
/* What status and seal show say of "recovery" (NULL: there is none). */
void recovery_said(const struct cof_json *o, char out[RECOVERY_SAID]);

#endif
