/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a private key is: its form, algorithm, strength, and which public key belongs to it; and what a
 * certificate or request says of a public key's use. GnuTLS takes them apart, with secrets in ordinary
 * memory: cof_private_key_read is for a process that has nothing else and ends after it (escrow/intake.h).
 *
 * Thread-safe, no state.
 */
#ifndef COF_PRIVATE_KEY_H
#define COF_PRIVATE_KEY_H

#include "crypto/crypto.h"

#define COF_PRIVATE_KEY_MAX (64u << 10)	      /* bytes of a file that is read */
#define COF_PRIVATE_KEY_STEPS 4000000	      /* of a key derivation from a passphrase, at most */
#define COF_PRIVATE_KEY_PASSPHRASE 1024	      /* bytes, with a NUL */

enum cof_key_form {
	COF_FORM_PKCS8 = 1, COF_FORM_PKCS8_ENCRYPTED, COF_FORM_PKCS1, COF_FORM_SEC1, COF_FORM_OPENSSH, COF_FORM_PKCS12
};
const char *cof_key_form_name(enum cof_key_form form);

enum { COF_USE_SIGN = 1, COF_USE_ENCRYPT = 2 }; /* bits. 0: nothing says it */

struct cof_private_key {
	enum cof_key_form form;
	char algorithm[24];	  /* "RSA", "EC/ECDSA", "EdDSA (Ed25519)", as GnuTLS names it */
	unsigned bits;
	bool weak;		  /* below RSA 2048 or 256 bits on a curve, or DSA (R15) */
	unsigned use;		  /* what the algorithm alone can do; 0: either */
	uint8_t public_id[COF_HASH]; /* SHA-256 of the SubjectPublicKeyInfo */
};
/*
 * PEM or DER: PKCS#8, plain or encrypted, PKCS#1, SEC1, PKCS#12 with one key; OpenSSH's own form without a
 * passphrase. passphrase: NULL or terminated. pkcs8: the key as plain PKCS#8 in DER, room for COF_PRIVATE_KEY_MAX
 * bytes; may be NULL. -EUCLEAN: none of them, or damaged · -ENOKEY: a passphrase is needed · -EKEYREJECTED: it is a
 * wrong one · -EOPNOTSUPP: a form or algorithm that is not read · -E2BIG: too large, or too many steps. Each with a
 * sentence.
 */
int cof_private_key_read(const void *p, size_t n, const char *passphrase, struct cof_private_key *ret, uint8_t *pkcs8,
			 size_t *ret_n, struct cof_diag *diag);

struct cof_public_use { /* of a certificate, or a request (PKCS#10) */
	bool request, has_usage, ca;
	unsigned use; /* bits, of keyUsage; 0 where it has none, or none that is known */
	uint8_t public_id[COF_HASH], fingerprint[COF_HASH];
};
/* The first in a PEM file, or one DER value. -EUCLEAN with a sentence. Public: any process may. */
int cof_public_use_read(const void *p, size_t n, struct cof_public_use *ret, struct cof_diag *diag);

#endif
