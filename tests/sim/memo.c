/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 is a pure function, and most of the time that a simulated day takes: what was answered once
 * is answered the same again. A table by a hash of everything that goes in; who needs the place of
 * another takes it.
 */
#include "crypto/crypto.h"

int __wrap_cof_ed25519_verify(const uint8_t public_key[32], const void *msg, size_t n,
			      const uint8_t sig[64]);
int __wrap_cof_ed25519_public(const uint8_t seed[32], uint8_t ret_public[32]);
int __real_cof_ed25519_verify(const uint8_t public_key[32], const void *msg, size_t n,
			      const uint8_t sig[64]);
int __real_cof_ed25519_public(const uint8_t seed[32], uint8_t ret_public[32]);

#define PLACES 4096

static struct {
	uint8_t hash[COF_HASH], out[32];
	int result;
} memo[2][PLACES];

/* True: it was asked before. */
static bool find(int which, const struct iovec *iov, int count, unsigned *ret)
{
	uint8_t hash[COF_HASH];

	cof_sha256v(iov, count, hash);
	*ret = cof_get_le32(hash) % PLACES;
	if (!memcmp(memo[which][*ret].hash, hash, COF_HASH))
		return true;
	memcpy(memo[which][*ret].hash, hash, COF_HASH);
	return false;
}

int __wrap_cof_ed25519_verify(const uint8_t public_key[32], const void *msg, size_t n,
			      const uint8_t sig[64])
{
	struct iovec iov[3] = {{(void *)(uintptr_t)public_key, 32},
			       {(void *)(uintptr_t)sig, 64},
			       {(void *)(uintptr_t)msg, n}};
	unsigned at;

	if (!find(0, iov, 3, &at))
		memo[0][at].result = __real_cof_ed25519_verify(public_key, msg, n, sig);
	return memo[0][at].result;
}

int __wrap_cof_ed25519_public(const uint8_t seed[32], uint8_t ret_public[32])
{
	struct iovec iov = {(void *)(uintptr_t)seed, 32};
	unsigned at;

	if (!find(1, &iov, 1, &at))
		memo[1][at].result = __real_cof_ed25519_public(seed, memo[1][at].out);
	if (memo[1][at].result == 0)
		memcpy(ret_public, memo[1][at].out, 32);
	return memo[1][at].result;
}
