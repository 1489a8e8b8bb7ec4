/* SPDX-License-Identifier: Apache-2.0 */
/* Options about the recovery envelope: recipients, and identity files. */
#ifndef COFFER_RECOVERY_H
#define COFFER_RECOVERY_H

#include "crypto/age.h"
#include "escrow/epoch.h"
#include "fs/archive/archive.h"

#define IDENTITIES_MAX 16

struct recovery {
	uint8_t recipients[COF_AGE_RECIPIENTS][COF_AGE_KEY];
	size_t n;
	const char *epoch; /* file of an epoch's document, the only recipient; or NULL */
	struct cof_buf epoch_text;
	const char *test; /* identity file to try the envelope with, or NULL */
	uint8_t (*identities)[COF_AGE_KEY]; /* of it, once loaded; secure memory */
	size_t n_identities;
};

/* An exit code: a message when text is no recipient. */
int recovery_add(struct recovery *r, const char *option, const char *text);
/* The same, and besides a file with the document of an epoch. */
int recovery_add_or_epoch(struct recovery *r, const char *option, const char *text);
static inline bool recovery_given(const struct recovery *r)
{
	return r->n > 0 || r->epoch;
}
/* "" or what is wrong. */
const char *recovery_conflict(const struct recovery *r, bool none);
/* Reads the identity file of test, if there is one, and the epoch's document, which has to be valid: then its
 * recipient is the one there is. */
int recovery_load(struct recovery *r, const char *store, struct cof_diag *diag);
struct cof_recovery recovery_params(const struct recovery *r);
void recovery_done(struct recovery *r); /* wipes */

/* An identity file as age-keygen writes it; it may not lie in the store (NULL: there is none). *ret: secure memory. */
int identities_load(const char *path, const char *store, uint8_t (**ret)[COF_AGE_KEY], size_t *ret_n,
		    struct cof_diag *diag);

/*
 * seal/recovery-epoch.json: to which epoch the envelope that is there is sealed, and its document (docs/format.md 7.7).
 * note writes it, where an epoch was given, behind the envelope; find: -ENOENT: there is none, or it is of
 * another envelope.
 */
int recovery_note(const struct recovery *r, struct cof_io *io, struct cof_diag *diag);
int recovery_find_epoch(struct cof_io *io, struct cof_epoch *ret, struct cof_diag *diag);
/* Adds "shares": {"epoch", "scheme", "persons", "custodians", "rehearsal"} to "recovery", where find finds one. */
void recovery_tell_shares(struct cof_io *io, struct cof_json *recovery);

/* What a vault released (coffer-vault release), as it is asked for, and once it is loaded. */
struct released {
	const char *path;     /* --vault-keys; NULL: nothing was released */
	const char *identity; /* --vault-identity: file of the identities to which it is sealed; NULL: those of the envelope */
	bool without;	      /* --without-vaults */
	struct cof_buf file;
	uint8_t (*identities)[COF_AGE_KEY]; /* secure memory */
};
/* "" or what is wrong. */
const char *released_conflict(const struct released *r);
/* Reads both files, of which the identities may not lie in the store (NULL: there is none), and has p name them. */
int released_load(struct released *r, const char *store, struct cof_recover_params *p, struct cof_diag *diag);
void released_done(struct released *r); /* wipes */
/* What of the log is not of the keys that came out of the envelope, and what that may come from; store: where verify can be run, or NULL. */
void recovery_say_unlike(const struct cof_recovered_keys *k, const struct released *r, const char *store);

/* What became of what people destroyed, where the log that was recovered still had its bytes. */
void recovery_say_ended(const struct cof_ended_again *e);

#define RECOVERY_SAID 160
/* What status and seal show say of "recovery" (NULL: there is none). */
void recovery_said(const struct cof_json *o, char out[RECOVERY_SAID]);

#endif
