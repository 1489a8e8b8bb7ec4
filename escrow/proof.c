/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges and their answers. */
#include "escrow/proof.h"

#include "crypto/crypto.h"
#include "escrow/slip39-private.h"

#include <stdio.h>

#define RANDOM 24 /* characters of five bits */
#define BLOCK 4	  /* of them between two '-' */
#define PURPOSE_MAX 16

/* None that are taken for one another: no 0, 1, l, o. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";

void cof_proof_challenge(const char *purpose, char out[COF_PROOF_CHALLENGE])
{
	uint8_t random[RANDOM];
	size_t at = (size_t)snprintf(out, PURPOSE_MAX + 1, "%s", purpose);

	at = COF_MIN(at, (size_t)PURPOSE_MAX);
	cof_random(random, sizeof(random));
	for (size_t i = 0; i < RANDOM; i++) {
		if (i % BLOCK == 0)
			out[at++] = '-';
		out[at++] = alphabet[random[i] & 31];
	}
	out[at] = 0;
}

bool cof_proof_challenge_ok(const char *text, const char *purpose)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	if (!n || n > PURPOSE_MAX || (purpose && (strlen(purpose) != n || memcmp(text, purpose, n) != 0)))
		return false;
	text += n;
	for (size_t block = 0; block < RANDOM / BLOCK; block++) {
		if (*text++ != '-')
			return false;
		for (size_t i = 0; i < BLOCK; i++, text++)
			if (!*text || !strchr(alphabet, *text))
				return false;
	}
	return !*text;
}

static size_t message(const char *challenge, char out[COF_PROOF_CHALLENGE + 32])
{
	return (size_t)snprintf(out, COF_PROOF_CHALLENGE + 32, "coffer/1 share proof\n%s\n", challenge);
}

int cof_proof_make(const struct cof_slip39_share *share, const char *challenge, char out[COF_PROOF_TEXT])
{
	cof_autosecret uint8_t *seed = NULL;
	char msg[COF_PROOF_CHALLENGE + 32];
	uint8_t signature[64];
	int r;

	if (!cof_proof_challenge_ok(challenge, NULL))
		return -EINVAL;
	seed = cof_secret_alloc(32);
	r = seed ? cof_slip39_share_seed(share, seed) : -ENOMEM;
	if (r == 0)
		r = cof_ed25519_sign(seed, msg, message(challenge, msg), signature);
	if (r == 0)
		cof_base64(signature, sizeof(signature), out);
	return r;
}

int cof_proof_verify(const uint8_t commitment[32], const char *challenge, const char *proof)
{
	char msg[COF_PROOF_CHALLENGE + 32];
	uint8_t signature[64];
	size_t n = 0;

	if (!cof_proof_challenge_ok(challenge, NULL) || strlen(proof) != COF_PROOF_TEXT - 1 ||
	    cof_unbase64(proof, COF_PROOF_TEXT - 1, signature, sizeof(signature), &n) < 0 || n != sizeof(signature))
		return -EINVAL;
	return cof_ed25519_verify(commitment, msg, message(challenge, msg), signature);
}
