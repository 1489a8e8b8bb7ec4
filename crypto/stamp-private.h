/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by crypto/stamp*.c: what libtasn1 reads for the rest of it. */
#ifndef COF_STAMP_PRIVATE_H
#define COF_STAMP_PRIVATE_H

#include "crypto/stamp.h"

/* The bytes that one DER value takes, of tag SEQUENCE. False: it is none, or not of definite length. */
bool cof_der_sequence(const uint8_t *p, size_t n, size_t *ret_n);
/* The signed content: time, accuracy, imprint, serial, nonce of ret. -EUCLEAN · -EOPNOTSUPP */
int cof_tst_info(const uint8_t *p, size_t n, struct cof_stamp *ret, struct cof_diag *diag);

struct cof_signing_certificate { /* which certificate the signature says it was made with */
	bool sha1;
	uint8_t hash[COF_HASH]; /* 20 bytes with sha1 */
};
/* version2: of RFC 5035, else of RFC 2634. -EOPNOTSUPP: by another hash. */
int cof_signing_certificate(const uint8_t *p, size_t n, bool version2,
			    struct cof_signing_certificate *ret);

#endif
