/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time-stamp tokens of RFC 3161: queries made, answers taken apart, tokens checked. GnuTLS reads the
 * signed message, libtasn1 what is in it; both are included in crypto/stamp*.c only. No network here.
 *
 * Nothing of a token is believed before its signature holds, and who signed it counts only by a chain
 * to certificates that the caller trusts. Certificates have to be valid at the token's own time; that
 * one was revoked is not looked at. Thread-safe. Errors: -errno with a sentence in diag.
 */
#ifndef COF_STAMP_H
#define COF_STAMP_H

#include "crypto/crypto.h"

#define COF_STAMP_TOKEN_MAX 32768u    /* bytes of a token */
#define COF_STAMP_RESPONSE_MAX 36864u /* of an answer: a token, and what was said beside it */
#define COF_STAMP_CA_MAX (256u << 10) /* of a file with trusted certificates, PEM */
#define COF_STAMP_NONCE 8

struct cof_stamp {
	int64_t time;	  /* its own, ns; 1970 or later, and time + accuracy does not overflow */
	int64_t accuracy; /* ns either way; a second where it says nothing, since most leave fractions out */
	uint8_t imprint[COF_HASH];
	uint8_t serial[40], nonce[40]; /* as numbers, big endian, shortest */
	size_t serial_len, nonce_len;  /* nonce_len 0: it has none */
	char authority[256];	       /* the signer's name in its certificate */
	bool trusted;		       /* there is a chain to a certificate that was given */
	uint8_t anchor[COF_HASH];      /* trusted: SHA-256 of that certificate */
};

/* A query for the time of this SHA-256 hash, with a nonce, asking for the signer's certificate. */
int cof_stamp_query(const uint8_t imprint[COF_HASH], const uint8_t nonce[COF_STAMP_NONCE],
		    struct cof_buf *ret);

/* The token in an answer (TimeStampResp), or p itself where it is a token already; *ret_token points
 * into p. -EPERM: the authority refused, and why · -EUCLEAN: neither, or bytes behind it · -EFBIG */
int cof_stamp_token(const void *p, size_t n, const uint8_t **ret_token, size_t *ret_n,
		    struct cof_diag *diag);

/* Checks signature, signer's certificate (for time stamping alone, valid then, named by the token)
 * and, where ca is not NULL, the chain to one of these certificates (PEM, any number).
 * -EUCLEAN malformed · -EFBIG · -EBADMSG the signature does not hold · -EKEYREJECTED the signer may
 * not stamp, is too weak or does not lead to ca · -EOPNOTSUPP for another hash, or this system cannot check it · -EINVAL ca is no certificate */
int cof_stamp_open(const void *token, size_t n, const void *ca, size_t ca_len, struct cof_stamp *ret,
		   struct cof_diag *diag);

#endif
