/* SPDX-License-Identifier: Apache-2.0 */
/* Private to escrow's slip39 files: Shamir over GF(256), and the cipher of the secret. */
#ifndef COF_SLIP39_PRIVATE_H
#define COF_SLIP39_PRIVATE_H

#include "escrow/slip39.h"

/* ---- one level of sharing (slip39-shamir.c) ---- */

struct cof_slip39_point { /* y: n bytes, secret */
	uint8_t x;
	const uint8_t *y;
};
/* The polynomial through these points (distinct x), at x. ret: n bytes, secure memory. */
void cof_slip39_interpolate(const struct cof_slip39_point *p, size_t count, uint8_t x, size_t n, uint8_t *ret);
/* count shares of n bytes each into ret, x is the place. */
int cof_slip39_share_out(unsigned threshold, unsigned count, const uint8_t *secret, size_t n, uint8_t *ret);
/* -EBADMSG: they do not belong together. Exactly threshold points. */
int cof_slip39_bring_together(unsigned threshold, const struct cof_slip39_point *p, size_t n, uint8_t *ret);
uint8_t cof_gf256_mul(uint8_t a, uint8_t b); /* constant time */
uint8_t cof_gf256_inv(uint8_t a);	     /* of 0: 0 */

/* ---- the cipher (slip39-cipher.c): in place, n bytes ---- */

int cof_slip39_encrypt(const struct cof_slip39_share *parameters, const char *passphrase, uint8_t *secret, size_t n);
int cof_slip39_decrypt(const struct cof_slip39_share *parameters, const char *passphrase, uint8_t *secret, size_t n);

/* The seed of the Ed25519 key whose public half is the share's commitment. ret: secure memory. */
int cof_slip39_share_seed(const struct cof_slip39_share *share, uint8_t ret[32]);

#endif
