/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file for whoever has the private key of an X.509 certificate: CMS AuthEnvelopedData (RFC 5083, 5084) in DER, AES-256-GCM
 * under a key that goes to the certificate's RSA key by OAEP with SHA-256, or to its key on P-256 or P-384 by ECDH with a key made
 * for it alone (RFC 5753: dhSinglePass-stdDH with SHA-256 or SHA-384, AES-256 key wrap). `openssl cms -decrypt -inform DER` opens it.
 * As age it does not say who made it.
 *
 * GnuTLS reads the certificate, libgcrypt encrypts; plaintext and key stay in secure memory. Nothing is judged of a
 * certificate's chain or revocation: whose it is those see who approve its fingerprint.
 *
 * Thread-safe, no state; cof_crypto_init first.
 */
#ifndef COF_CMS_H
#define COF_CMS_H

#include "crypto/cert.h"

#define COF_CMS_CERT_MAX (64u << 10) /* bytes of a certificate's file */
#define COF_CMS_NAME (12 + 64 + 1)   /* "x509-sha256:", the fingerprint in hexadecimal, a NUL */
#define COF_CMS_BITS_MIN 2048	     /* of RSA (R15) */
#define COF_CMS_CURVE_MIN 256	     /* of elliptic curves (R15) */
#define COF_CMS_COORDINATE 48	     /* bytes of one, at most */

struct cof_cms_recipient {
	char name[COF_CMS_NAME];
	struct cof_cert cert; /* subject, issuer, serial, validity, fingerprint */
	unsigned bits, curve; /* curve: 256, 384; 0: RSA */
	bool short_curve;
	struct cof_buf der, issuer, serial, modulus, exponent; /* as the certificate has them */
	struct cof_buf point; /* 4, x, y */
};
/* The first certificate of a PEM file, or one in DER. now: wall clock, ns. -EUCLEAN: it is none, or is not sound ·
 * -EOPNOTSUPP: its key is of another kind · -EKEYREJECTED: its key is too short, or has a public exponent that is 1 or even, or its keyUsage
 * does not say keyEncipherment (RSA), keyAgreement (curves) · -EKEYEXPIRED: not yet, or not any more. Each with a sentence. Done with cof_cms_recipient_done, also after a failure. */
int cof_cms_recipient_read(const void *p, size_t n, int64_t now, struct cof_cms_recipient *ret, struct cof_diag *diag);
void cof_cms_recipient_done(struct cof_cms_recipient *r);
/* Whether the text is the name of such a recipient. */
bool cof_cms_name_ok(const char *name);

/* plain: may be secure memory. ret: appended. */
int cof_cms_encrypt(const struct cof_cms_recipient *to, const void *plain, size_t n, struct cof_buf *ret, struct cof_diag *diag);

#endif
