/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoch of escrow: an X25519 key pair. The public half is an age recipient, to which each escrowed key is
 * encrypted as an age file; the secret, 32 bytes, exists only as SLIP-39 shares of a scheme's custodians.
 * The epoch's document is public, canonical JSON:
 *
 *   {"created":"2026-01-02T03:04:05.678Z","custodians":[…],"epoch":1,"exponent":1,"format":"coffer-epoch/1",
 *    "passphrase":false,"recipient":"age1…","rehearsal":false,"scheme":"[scheme]\n…","set":12345,
 *    "tried":true,"valid":false}
 *
 * custodians, in the order of the shares: {"challenge":"confirm-…","commitment":HEX,"group":"…","index":1,"member":1,
 * "name":"…","proof":BASE64}, challenge and proof once the holder has confirmed (escrow/proof.h), else without both.
 * index counts the groups from 1, member the members of a group. set is SLIP-39's identifier, in each share.
 * tried: every minimal subset of the shares gave the secret before one was handed out. valid: tried, and confirmed
 * by all; before that nothing may be encrypted to the recipient. There is no other check value: a wrong
 * passphrase gives a secret whose public half is not the recipient.
 *
 * Valid is a document that is canonical (it is written again and compared), fits its scheme, and whose proofs
 * verify. Who made it it does not say: the archive's log does.
 *
 * Thread-safety: functions without a session are thread-safe; a session belongs to one thread at a time.
 * cof_crypto_init first: 1 MiB suffices.
 */
#ifndef COF_EPOCH_H
#define COF_EPOCH_H

#include "crypto/age.h"
#include "escrow/proof.h"
#include "escrow/scheme.h"

#define COF_EPOCH_MAX (256u << 10) /* bytes of a document */
#define COF_EPOCH_EXPONENT 1	   /* unless another is asked for */

struct cof_epoch_holder {
	uint8_t commitment[32];
	char challenge[COF_PROOF_CHALLENGE]; /* empty: not confirmed */
	char proof[COF_PROOF_TEXT];
};
struct cof_epoch {
	uint32_t number; /* from 1 */
	int64_t created; /* ns, whole milliseconds */
	bool rehearsal, passphrase, tried;
	uint16_t set;
	uint8_t exponent;
	char recipient[COF_AGE_RECIPIENT];
	char *scheme_text;
	struct cof_scheme scheme;
	struct cof_epoch_holder *holder; /* scheme.n_custodians, in the same order */
};

/* -EUCLEAN, diag says what. Done with cof_epoch_done. */
int cof_epoch_parse(const void *text, size_t n, struct cof_epoch *ret, struct cof_diag *diag);
int cof_epoch_write(const struct cof_epoch *e, struct cof_buf *ret); /* with a newline behind */
void cof_epoch_done(struct cof_epoch *e);		      /* may be done twice */

bool cof_epoch_valid(const struct cof_epoch *e);
int cof_epoch_find(const struct cof_epoch *e, const char *custodian); /* index; -ENOENT */
/* That of the share with these numbers; -ENOENT. */
int cof_epoch_holder_of(const struct cof_epoch *e, unsigned group, unsigned member);
/* The holder has shown to have the share. -EINVAL: not a challenge "confirm-…" · -EBADMSG: not made with that share. */
int cof_epoch_confirm(struct cof_epoch *e, unsigned holder, const char *challenge, const char *proof, struct cof_diag *diag);

/* ---- making one ---- */

struct cof_epoch_shares; /* words, in secure memory */

struct cof_epoch_order {
	uint32_t number;
	int64_t created; /* ns; cut to milliseconds */
	const char *passphrase; /* printable ASCII; NULL or empty: none. Without it the shares are worth nothing. */
	uint8_t exponent;
	bool rehearsal;
	const uint8_t *secret; /* NULL: a new key pair; else that of an epoch before, for which these are other shares */
	void (*progress)(void *user, uint64_t done, uint64_t total); /* of the subsets tried; may be NULL */
	void *user;
};
/* A new key pair, split, and tried: read back from its words, in every minimal subset. -EUCLEAN: the scheme ·
 * -EINVAL: the order, or a custodian's recipient · -EIO: a subset did not give the secret (the memory is bad). */
int cof_epoch_make(const char *scheme, size_t n, const struct cof_epoch_order *order, struct cof_epoch *ret,
		   struct cof_epoch_shares **ret_shares, struct cof_diag *diag);
void cof_epoch_shares_free(struct cof_epoch_shares *s); /* wipes; NULL is fine */
/* Of a holder, valid until the shares are freed. NULL: forgotten. */
const char *cof_epoch_words(const struct cof_epoch_shares *s, unsigned holder);
void cof_epoch_forget(struct cof_epoch_shares *s, unsigned holder); /* wipes one that was handed out */
/* An age file for the custodian: the words and a newline. -ENOENT: the custodian's medium is paper. */
int cof_epoch_seal_share(const struct cof_epoch *e, const struct cof_epoch_shares *s, unsigned holder, struct cof_buf *ret);

/* How many minimal subsets there are, as they are tried: in each group, and among the groups. */
uint64_t cof_epoch_subsets(const struct cof_slip39_scheme *s);

/* ---- combining: shares come one by one, in any order ---- */

struct cof_epoch_session; /* borrows the epoch */

struct cof_epoch_progress {
	bool ready;
	unsigned groups_complete;
	unsigned have[COF_SLIP39_GROUPS]; /* shares; the scheme says how many it takes */
	bool given[COF_CUSTODIANS_MAX];	  /* by holder */
};
int cof_epoch_session_new(const struct cof_epoch *e, struct cof_epoch_session **ret);
void cof_epoch_session_free(struct cof_epoch_session *s); /* wipes; NULL is fine */
/* The holder's share does not count from here on: they were revoked before the epoch came into force. Before any share. */
void cof_epoch_session_shut_out(struct cof_epoch_session *s, unsigned holder);
/*
 * ret_holder, where not NULL: whose share it is, also with -EKEYREJECTED and -EKEYREVOKED. A surplus share is not kept.
 * Refused ones change nothing: -EUCLEAN, -E2BIG: the words (as cof_slip39_read) · -EINVAL: of another set ·
 * -EKEYREJECTED: its numbers are those of a custodian, but it is not the share that was given to them; diag names them ·
 * -EKEYREVOKED: it is, and they are shut out.
 */
int cof_epoch_session_add(struct cof_epoch_session *s, const char *words, size_t n, enum cof_slip39_added *ret,
			  unsigned *ret_holder, struct cof_diag *diag);
void cof_epoch_session_progress(const struct cof_epoch_session *s, struct cof_epoch_progress *ret);
/* The secret half. After success the session has no share any more. ret: secure memory. -EAGAIN: not enough ·
 * -EKEYREJECTED: the passphrase is another one. */
int cof_epoch_session_secret(struct cof_epoch_session *s, const char *passphrase, uint8_t ret[COF_AGE_KEY],
			     struct cof_diag *diag);
/* "the group officers needs 1 more: of alice, bob"; of each group that could still be completed, with "; " between.
 * Empty when ready. */
void cof_epoch_session_missing(const struct cof_epoch_session *s, struct cof_buf *ret);

#endif
