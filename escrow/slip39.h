/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SLIP-0039: a secret in shares of words, in two levels: so many groups, and in each so many members.
 * Both kinds are read, extendable and not; new shares are extendable. Arithmetic over GF(256) takes the
 * same time whatever the values are.
 *
 * Thread-safety: functions without an object are thread-safe; a session is used by one thread at a time.
 * Shares and sessions hold secrets: cof_secret_alloc them or let these functions do so; cof_crypto_init first.
 */
#ifndef COF_SLIP39_H
#define COF_SLIP39_H

#include "base/base.h"

#define COF_SLIP39_SECRET_MIN 16 /* bytes; a multiple of 2 up to the most */
#define COF_SLIP39_SECRET_MAX 64
#define COF_SLIP39_GROUPS 16
#define COF_SLIP39_MEMBERS 16
#define COF_SLIP39_WORDS 59	       /* of the longest share */
#define COF_SLIP39_TEXT (COF_SLIP39_WORDS * 9) /* bytes of its words, with a NUL */
#define COF_SLIP39_EXPONENT_MAX 15

struct cof_slip39_share {
	uint16_t id; /* 15 bits: one for each splitting */
	bool extendable;
	uint8_t exponent;
	uint8_t group, group_threshold, groups;	  /* group counts from 0 */
	uint8_t member, member_threshold; /* member counts from 0 */
	uint8_t length;
	uint8_t value[COF_SLIP39_SECRET_MAX]; /* secret */
};

/* ---- words ---- */

#define COF_SLIP39_LIST 1024
const char *cof_slip39_word(unsigned index); /* below COF_SLIP39_LIST */
/* By the whole word or its first four letters, in either case. -ENOENT */
int cof_slip39_index(const char *word, size_t n);
/* Up to max words of the list that a typing error may have made into this one, nearest first. */
size_t cof_slip39_near(const char *word, size_t n, unsigned *ret, size_t max);

/* Words with anything but letters between them. -EUCLEAN, with the number of the word that is none of the list and
 * what may have been meant (never put in its place), or with what the checksum says; -E2BIG: too many words. */
int cof_slip39_read(const char *text, size_t n, struct cof_slip39_share *ret, struct cof_diag *diag);
/* out: terminated, secure memory. -EINVAL: no such share. */
int cof_slip39_write(const struct cof_slip39_share *share, char out[COF_SLIP39_TEXT]);

/* ---- splitting ---- */

struct cof_slip39_group {
	uint8_t threshold, members;
};
struct cof_slip39_scheme {
	uint8_t threshold, n_groups;
	struct cof_slip39_group group[COF_SLIP39_GROUPS];
	uint8_t exponent; /* PBKDF2 takes 10,000 × 2^exponent steps */
};
/* -EINVAL with what is wrong: thresholds above counts, 1 of many members (each would be the whole). */
int cof_slip39_scheme_check(const struct cof_slip39_scheme *s, struct cof_diag *diag);
size_t cof_slip39_count(const struct cof_slip39_scheme *s);

/* ret: cof_slip39_count shares, group by group, secure memory. passphrase: printable ASCII, may be empty. */
int cof_slip39_split(const struct cof_slip39_scheme *s, const uint8_t *secret, size_t n, const char *passphrase,
		     struct cof_slip39_share *ret, struct cof_diag *diag);

/* ---- combining: shares come one by one, in any order ---- */

struct cof_slip39_session;

enum cof_slip39_added {
	COF_SLIP39_TAKEN,
	COF_SLIP39_SURPLUS,   /* its group had enough: kept, to find a wrong one with */
	COF_SLIP39_DUPLICATE, /* it was there */
};
struct cof_slip39_progress {
	uint8_t group_threshold, groups, complete; /* groups that have enough */
	struct {
		uint8_t threshold; /* 0: no share of it came yet */
		uint8_t have;
	} group[COF_SLIP39_GROUPS];
	bool ready;
};

int cof_slip39_session_new(struct cof_slip39_session **ret);
void cof_slip39_session_free(struct cof_slip39_session *s); /* wipes; NULL is fine */
/* Copies. -EINVAL: of another set, or contradicts one that is there (diag says in what). */
int cof_slip39_session_add(struct cof_slip39_session *s, const struct cof_slip39_share *share,
			   enum cof_slip39_added *ret, struct cof_diag *diag);
void cof_slip39_session_progress(const struct cof_slip39_session *s, struct cof_slip39_progress *ret);
/* ret: COF_SLIP39_SECRET_MAX bytes, secure memory. -EAGAIN: not enough. -EBADMSG: a group's shares do not belong
 * together; diag names the wrong one where surplus shares tell it, else the group. A wrong passphrase gives another
 * secret, and shows nowhere here: compare a check value. */
int cof_slip39_session_recover(struct cof_slip39_session *s, const char *passphrase, uint8_t *ret, size_t *ret_n,
			       struct cof_diag *diag);

/* What is known of a share without giving it away: the Ed25519 public key whose seed is derived from it. */
int cof_slip39_commitment(const struct cof_slip39_share *share, uint8_t ret[32]);

#endif
