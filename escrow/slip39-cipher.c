/* SPDX-License-Identifier: Apache-2.0 */
/* The secret under a passphrase: four rounds of a Feistel network over PBKDF2 (SLIP-0039, "Encryption"). */
#include "escrow/slip39-private.h"

#include "crypto/crypto.h"

#define ROUNDS 4
#define PASSPHRASE_MAX 256

struct cipher {
	const struct cof_slip39_share *of;
	const char *passphrase;
	size_t passphrase_len, half;
	uint8_t *work; /* secure: round ‖ passphrase, then salt, then output */
};

static int round_key(struct cipher *c, unsigned round, const uint8_t *right, uint8_t *ret)
{
	uint8_t *salt = c->work + 1 + PASSPHRASE_MAX;
	size_t n = 0;

	c->work[0] = (uint8_t)round;
	memcpy(c->work + 1, c->passphrase, c->passphrase_len);
	if (!c->of->extendable) {
		memcpy(salt, "shamir", 6);
		salt[6] = (uint8_t)(c->of->id >> 8);
		salt[7] = (uint8_t)c->of->id;
		n = 8;
	}
	memcpy(salt + n, right, c->half);
	return cof_pbkdf2(c->work, 1 + c->passphrase_len, salt, n + c->half, 2500u << c->of->exponent, ret, c->half);
}

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s < 32 || *s > 126)
			return false;
	return true;
}

static int run(const struct cof_slip39_share *of, const char *passphrase, uint8_t *secret, size_t n, bool decrypt)
{
	cof_autosecret uint8_t *work = cof_secret_alloc(1 + PASSPHRASE_MAX + 8 + 3 * COF_SLIP39_SECRET_MAX);
	struct cipher c = {of, passphrase, strlen(passphrase), n / 2, work};
	uint8_t *f, *left = secret, *right = secret + n / 2;
	int r = 0;

	if (!work)
		return -ENOMEM;
	if (c.passphrase_len > PASSPHRASE_MAX || !is_printable(passphrase))
		return -EINVAL;
	f = work + 1 + PASSPHRASE_MAX + 8 + COF_SLIP39_SECRET_MAX;
	for (unsigned i = 0; r == 0 && i < ROUNDS; i++) {
		r = round_key(&c, decrypt ? ROUNDS - 1 - i : i, right, f);
		for (size_t k = 0; k < c.half; k++) { /* left, right = right, left ^ f */
			uint8_t l = left[k] ^ f[k];

			left[k] = right[k];
			right[k] = l;
		}
	}
	for (size_t k = 0; k < c.half; k++) {
		uint8_t l = left[k];

		left[k] = right[k];
		right[k] = l;
	}
	return r;
}

int cof_slip39_encrypt(const struct cof_slip39_share *parameters, const char *passphrase, uint8_t *secret, size_t n)
{
	return run(parameters, passphrase, secret, n, false);
}

int cof_slip39_decrypt(const struct cof_slip39_share *parameters, const char *passphrase, uint8_t *secret, size_t n)
{
	return run(parameters, passphrase, secret, n, true);
}
