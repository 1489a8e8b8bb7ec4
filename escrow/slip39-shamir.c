/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shamir's sharing over GF(256) with Rijndael's polynomial, byte by byte. The secret stands at 255, a digest of
 * it at 254, so that shares that do not belong together show. No table is looked up by a secret, no branch
 * taken on one.
 */
#include "escrow/slip39-private.h"

#include "crypto/crypto.h"

#define X_SECRET 255
#define X_DIGEST 254
#define DIGEST 4

uint8_t cof_gf256_mul(uint8_t a, uint8_t b)
{
	uint8_t r = 0;

	for (int i = 0; i < 8; i++) {
		r ^= (uint8_t)(a & -(b >> i & 1));
		a = (uint8_t)(a << 1 ^ (0x1b & -(a >> 7)));
	}
	return r;
}

/* a^254 */
uint8_t cof_gf256_inv(uint8_t a)
{
	uint8_t square = a, r = 1;

	for (int i = 1; i < 8; i++) {
		square = cof_gf256_mul(square, square);
		r = cof_gf256_mul(r, square);
	}
	return r;
}

void cof_slip39_interpolate(const struct cof_slip39_point *p, size_t count, uint8_t x, size_t n, uint8_t *ret)
{
	uint8_t out[COF_SLIP39_SECRET_MAX] = {0};

	for (size_t i = 0; i < count; i++) {
		uint8_t over = 1, under = 1, factor;

		for (size_t j = 0; j < count; j++) {
			if (j == i)
				continue;
			over = cof_gf256_mul(over, x ^ p[j].x);
			under = cof_gf256_mul(under, p[i].x ^ p[j].x);
		}
		factor = cof_gf256_mul(over, cof_gf256_inv(under));
		for (size_t k = 0; k < n; k++)
			out[k] ^= cof_gf256_mul(p[i].y[k], factor);
	}
	memcpy(ret, out, n);
	cof_wipe(out, sizeof(out));
}

/* First bytes of HMAC(r, secret); r: what follows them in the digest share. */
static void digest_of(const uint8_t *r, const uint8_t *secret, size_t n, uint8_t ret[DIGEST])
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)secret, .iov_len = n};
	uint8_t mac[COF_HASH];

	cof_hmac(r, n - DIGEST, &iov, 1, mac);
	memcpy(ret, mac, DIGEST);
	cof_wipe(mac, sizeof(mac));
}

int cof_slip39_share_out(unsigned threshold, unsigned count, const uint8_t *secret, size_t n, uint8_t *ret)
{
	struct cof_slip39_point base[COF_SLIP39_MEMBERS];
	cof_autosecret uint8_t *digest = NULL;
	unsigned random = threshold - 2;

	if (threshold == 1) {
		for (unsigned i = 0; i < count; i++)
			memcpy(ret + i * n, secret, n);
		return 0;
	}
	digest = cof_secret_alloc(n);
	if (!digest)
		return -ENOMEM;
	cof_random(digest + DIGEST, n - DIGEST);
	digest_of(digest + DIGEST, secret, n, digest);
	for (unsigned i = 0; i < random; i++) {
		cof_random(ret + i * n, n);
		base[i] = (struct cof_slip39_point){(uint8_t)i, ret + i * n};
	}
	base[random] = (struct cof_slip39_point){X_DIGEST, digest};
	base[random + 1] = (struct cof_slip39_point){X_SECRET, secret};
	for (unsigned i = random; i < count; i++)
		cof_slip39_interpolate(base, threshold, (uint8_t)i, n, ret + i * n);
	return 0;
}

int cof_slip39_bring_together(unsigned threshold, const struct cof_slip39_point *p, size_t n, uint8_t *ret)
{
	cof_autosecret uint8_t *digest = NULL;
	uint8_t want[DIGEST];

	if (threshold == 1) {
		memcpy(ret, p[0].y, n);
		return 0;
	}
	digest = cof_secret_alloc(n);
	if (!digest)
		return -ENOMEM;
	cof_slip39_interpolate(p, threshold, X_SECRET, n, ret);
	cof_slip39_interpolate(p, threshold, X_DIGEST, n, digest);
	digest_of(digest + DIGEST, ret, n, want);
	if (cof_equal(want, digest, DIGEST))
		return 0;
	cof_wipe(ret, n);
	return -EBADMSG;
}
