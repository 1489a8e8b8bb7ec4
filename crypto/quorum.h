/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret that a TPM gives out to a quorum only, and looks at the quorum itself: PolicySigned by the P-256 keys of the persons of
 * a set, PolicyOR over the sets (at most 8), then PolicyNV eq on a normal counter. What each of them signs, by ECDSA with
 * SHA-256, is 100 bytes: the session's nonce (32), seconds until it expires (4, big endian), the hash of this one command on this
 * one object (cpHash, 32), and the object's reference (policyRef, 32). So a signature is for one session, once, in time, for one
 * object; signatures of two sessions do not add up; and one raise of the counter ends the object.
 *
 * The TPM knows nothing of recipients or reasons: those are for who asks for the signatures (docs/escrow.md, "The TPM road").
 *
 * Thread-safety: as crypto/tpm.h. Reading, writing and comparing: thread-safe. cof_crypto_init first.
 */
#ifndef COF_QUORUM_H
#define COF_QUORUM_H

#include "crypto/tpm.h"

#define COF_QUORUM_KEYS 16
#define COF_QUORUM_SETS 8
#define COF_QUORUM_NAME 32    /* bytes of a person's name, with a NUL: a-z, 0-9, '-' */
#define COF_QUORUM_MESSAGE 100 /* bytes that are signed */
#define COF_QUORUM_SECONDS 86400 /* at most */

/* ---- P-256 ---- */

#define COF_P256_POINT 64 /* x ‖ y, big endian */
#define COF_P256_SIGNATURE 64 /* r ‖ s */
/* A public key, PEM or DER of SubjectPublicKeyInfo. -EUCLEAN: none, or not of P-256. */
int cof_p256_public(const void *p, size_t n, uint8_t ret[COF_P256_POINT], struct cof_diag *diag);
/* As openssl dgst -sha256 -sign writes it (DER). -EUCLEAN */
int cof_p256_signature(const void *p, size_t n, uint8_t ret[COF_P256_SIGNATURE]);
/* ECDSA with SHA-256. -EBADMSG: not by that key over that; so too for a point that is not on the curve. */
int cof_p256_verify(const uint8_t point[COF_P256_POINT], const void *msg, size_t n, const uint8_t sig[COF_P256_SIGNATURE]);

bool cof_p256_on_curve(const uint8_t point[COF_P256_POINT]);

/* ---- the object ---- */

struct cof_quorum_person {
	char name[COF_QUORUM_NAME];
	uint8_t point[COF_P256_POINT];
};
struct cof_quorum { /* with all that is needed to open it; nothing in it is secret */
	struct cof_tpm_sealed object; /* no branches, no PIN */
	uint8_t ref[COF_HASH];
	unsigned n_persons, n_sets;
	struct cof_quorum_person person[COF_QUORUM_KEYS];
	uint32_t set[COF_QUORUM_SETS]; /* bit i: person i */
};
/* Whether persons and sets can be one: 2 to 16 of different names and keys, 1 to 8 different sets of 2 at least, none
 * of which holds another. -EINVAL with a sentence. */
int cof_quorum_check(const struct cof_quorum *q, struct cof_diag *diag);
/* As bytes (docs/format.md 10.3). load: -EUCLEAN; every bound is checked, and cof_quorum_check. */
int cof_quorum_store(const struct cof_quorum *q, struct cof_buf *ret);
int cof_quorum_load(const void *p, size_t n, struct cof_quorum *ret);

/* q: index and value of the counter (in object), ref, persons, sets are given; the rest of object is filled. */
int cof_quorum_seal(struct cof_tpm *t, struct cof_quorum *q, const uint8_t secret[COF_TPM_SECRET], struct cof_diag *diag);

/* What the TPM opens at one value of one of its counters, whatever the object and the quorum: its digest names it on record. */
void cof_quorum_epoch(const struct cof_quorum *q, uint8_t ret[COF_HASH]);
/* Ends that: the counter is raised by one, and no signature, of whenever, opens any of it again. ret_before: somebody had done so.
 * -EXDEV, -ENOKEY: another TPM, or a cleared one, opens none of it anyway. May be repeated after any failure. */
int cof_quorum_end(struct cof_tpm *t, const struct cof_quorum *q, bool *ret_before, struct cof_diag *diag);

/* ---- opening ---- */

struct cof_quorum_call {
	const struct cof_quorum *q;
	uint8_t message[COF_QUORUM_MESSAGE];
	uint8_t signature[COF_QUORUM_KEYS][COF_P256_SIGNATURE];
	bool has[COF_QUORUM_KEYS];
};
/* nonce, seconds, cpHash and reference as one message. */
void cof_quorum_message(const uint8_t nonce[COF_HASH], uint32_t seconds, const uint8_t cphash[COF_HASH], const uint8_t ref[COF_HASH],
			uint8_t ret[COF_QUORUM_MESSAGE]);
/* That of Unseal on the object. -EUCLEAN: its public area is damaged. */
int cof_quorum_cphash(const struct cof_quorum *q, uint8_t ret[COF_HASH]);
/* Takes a signature; one that does not hold is refused, so that who brought it is told: -EBADMSG. */
int cof_quorum_take(struct cof_quorum_call *c, unsigned person, const uint8_t sig[COF_P256_SIGNATURE]);
/* The first set of which all have signed: its number; -EAGAIN */
int cof_quorum_ready(const struct cof_quorum_call *c);

/*
 * Opens a session of so many seconds, calls collect, which returns once cof_quorum_ready says so or with an error, and gives the TPM
 * the signatures of that set. ret_secret: secure memory. The session ends with the call, however it ends.
 * -EKEYREJECTED: the TPM refuses a signature, or the quorum is another one than the object's · -ETIME: it took too long ·
 * -ESTALE: the counter has gone past it (COF_TPM_COUNTER) · else as cof_tpm_unseal, or what collect gave.
 */
typedef int (*cof_quorum_collect)(void *user, struct cof_quorum_call *c, struct cof_diag *diag);
int cof_quorum_open(struct cof_tpm *t, const struct cof_quorum *q, uint32_t seconds, cof_quorum_collect collect, void *user,
		    uint8_t ret_secret[COF_TPM_SECRET], struct cof_diag *diag);

#endif
