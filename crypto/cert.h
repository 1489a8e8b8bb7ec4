/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file says that holds certificates, revocation lists (CRLs) or requests: PEM with any number of
 * blocks and any text around them, or one DER value; a chain in PKCS#7 or CMS gives what is in it. GnuTLS
 * reads all of it. Nothing is judged: no signature, no chain, no validity; a certificate that nobody would
 * trust is one that has to be kept as well.
 *
 * Thread-safe, no state. Times are wall-clock ns. Private keys in the file are passed over.
 */
#ifndef COF_CERT_H
#define COF_CERT_H

#include "crypto/crypto.h"

#define COF_CERT_FILE_MAX (1u << 20) /* bytes of a file that is read; of a larger one nothing is said */
#define COF_CERT_ITEMS_MAX 256	     /* certificates, CRLs, requests in one file; a chain counts as one besides */
#define COF_CERT_NAME_MAX 1024	     /* bytes of a name that are kept */
#define COF_CERT_SERIAL_MAX 64	     /* bytes of a serial number; a longer one cannot be read */

#define COF_CERT_NO_TIME INT64_MIN /* it says nothing. What was before 1970 counts as 1970 */

enum cof_cert_kind { COF_CERT_CERTIFICATE = 1, COF_CERT_CRL = 2, COF_CERT_REQUEST = 3 };
enum { /* flags */
	COF_CERT_CA = 1,	    /* may issue certificates (basic constraints) */
	COF_CERT_SELF_ISSUED = 2,   /* subject and issuer are the same name: a root, as a rule */
	COF_CERT_NO_END = 4,	    /* 99991231235959Z: no well-defined end (RFC 5280) */
	COF_CERT_FLAGS = 7
};

struct cof_cert {
	enum cof_cert_kind kind;
	uint8_t flags;
	int64_t not_before; /* of a CRL: its own time */
	int64_t not_after;  /* of a CRL: when the next one is due. Beyond 2262 it is INT64_MAX - 1 */
	uint8_t fingerprint[COF_HASH]; /* SHA-256 of the DER */
	uint8_t serial[COF_CERT_SERIAL_MAX]; /* as DER has it, big endian; of a CRL its number. Negative where the first bit is set */
	size_t serial_len;		     /* 0: none */
	char subject[COF_CERT_NAME_MAX + 1]; /* RFC 4514, UTF-8; cut where it is longer. CRL: "" */
	char issuer[COF_CERT_NAME_MAX + 1];  /* request: "" */
};

struct cof_cert_sum { /* of a whole file */
	unsigned items;	   /* that were read */
	unsigned unread;   /* blocks that say they are one, and cannot be read */
	int64_t not_after; /* the latest, of certificates and CRLs; COF_CERT_NO_TIME: none */
	int64_t longest;   /* the longest validity of a certificate, ns; 0: none */
};

/* Calls fn for each item, in order; what it returns, if not 0, ends the reading.
 * -ENODATA: nothing of the kind is in there · -EUCLEAN: something, and none of it can be read · -EFBIG: larger than
 * the bounds above. Each said in diag, as what follows "the file" (-EUCLEAN: with the first reason). *ret also
 * when fn ended it; with -EUCLEAN its count of unread ones. */
typedef int (*cof_cert_fn)(void *user, const struct cof_cert *c);
int cof_cert_read(const void *p, size_t n, cof_cert_fn fn, void *user, struct cof_cert_sum *ret,
		  struct cof_diag *diag);

#endif
