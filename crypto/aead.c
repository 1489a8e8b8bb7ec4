/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM (SP 800-38D) with 96-bit nonces and full tags; one key schedule for many messages. */
#include "crypto/private.h"

/* A handle of libgcrypt 1.10 takes 2 KiB of the pool; more in versions with larger tables. */
#define HANDLE_ROOM (8u << 10)

struct cof_aead {
	gcry_cipher_hd_t gcm;
};

int cof_aead_new(const uint8_t key[COF_KEY], struct cof_aead **ret)
{
	struct cof_aead *a;
	gcry_error_t e;

	if (!cof_pool_room(HANDLE_ROOM))
		return -ENOMEM;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	e = gcry_cipher_open(&a->gcm, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, GCRY_CIPHER_SECURE);
	if (!e)
		e = gcry_cipher_setkey(a->gcm, key, COF_KEY);
	if (e) {
		cof_aead_free(a);
		return cof_gcry_errno(e);
	}
	*ret = a;
	return 0;
}

void cof_aead_free(struct cof_aead *a)
{
	if (!a)
		return;
	gcry_cipher_close(a->gcm); /* NULL is fine; wipes the key schedule */
	free(a);
}

void cof_aead_freep(struct cof_aead **a)
{
	cof_aead_free(*a);
}

static gcry_error_t start(struct cof_aead *a, const uint8_t *nonce, const void *aad, size_t aad_len)
{
	gcry_error_t e = gcry_cipher_setiv(a->gcm, nonce, COF_NONCE);

	if (!e && aad_len)
		e = gcry_cipher_authenticate(a->gcm, aad, aad_len);
	return e;
}

int cof_aead_seal(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
		  size_t aad_len, const void *in, size_t n, void *out)
{
	gcry_error_t e = start(a, nonce, aad, aad_len);

	if (n > SIZE_MAX - COF_TAG)
		return -EINVAL;
	if (!e && n)
		e = gcry_cipher_encrypt(a->gcm, out, n, out == in ? NULL : in, out == in ? 0 : n);
	if (!e)
		e = gcry_cipher_gettag(a->gcm, (uint8_t *)out + n, COF_TAG);
	return cof_gcry_errno(e);
}

int cof_aead_open(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
		  size_t aad_len, const void *in, size_t n, void *out)
{
	gcry_error_t e = start(a, nonce, aad, aad_len);

	if (n > SIZE_MAX - COF_TAG)
		return -EINVAL;
	if (!e && n)
		e = gcry_cipher_decrypt(a->gcm, out, n, out == in ? NULL : in, out == in ? 0 : n);
	if (!e)
		e = gcry_cipher_checktag(a->gcm, (const uint8_t *)in + n, COF_TAG);
	if (e && n)
		explicit_bzero(out, n);
	return cof_gcry_errno(e);
}
