/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 (RFC 7748), and ChaCha20-Poly1305 (RFC 8439): what age is made of. */
#include <pthread.h>

#include "crypto/private.h"

/* One at a time: the scalar's copy in the library takes from the pool's reserve. */
static pthread_mutex_t secret_lock = PTHREAD_MUTEX_INITIALIZER;

/* point NULL: the base point. The scalar goes through secure memory: then the library's copy is
 * in secure memory too. */
static int multiply(uint8_t out[32], const uint8_t secret[32], const uint8_t *point)
{
	static const uint8_t zero[32];
	gcry_error_t e;
	uint8_t *scalar = gcry_malloc_secure(32);
	uint8_t u[32], *result = gcry_malloc_secure(32);
	int err = scalar && result ? 0 : -ENOMEM;

	if (!err) {
		memcpy(scalar, secret, 32);
		scalar[0] &= 0xf8;
		scalar[31] = (uint8_t)((scalar[31] & 0x7f) | 0x40);
		if (point) {
			memcpy(u, point, 32);
			u[31] &= 0x7f;
		}
		e = gcry_ecc_mul_point(GCRY_ECC_CURVE25519, result, scalar, point ? u : NULL);
		err = cof_gcry_errno(e);
	}
	/* For a point of low order the library says success and gives zeros. */
	if (!err && cof_equal(result, zero, 32))
		err = -EBADMSG;
	if (!err)
		memcpy(out, result, 32);
	gcry_free(scalar);
	gcry_free(result);
	return err;
}

int cof_x25519_public(const uint8_t secret[32], uint8_t ret_public[32])
{
	pthread_mutex_lock(&secret_lock);
	int err = multiply(ret_public, secret, NULL);
	pthread_mutex_unlock(&secret_lock);
	return err;
}

int cof_x25519(const uint8_t secret[32], const uint8_t public_key[32], uint8_t ret_shared[32])
{
	pthread_mutex_lock(&secret_lock);
	int err = multiply(ret_shared, secret, public_key);
	pthread_mutex_unlock(&secret_lock);
	return err;
}

/* ---- ChaCha20-Poly1305 ---- */

#define HANDLE_ROOM (4u << 10)

static int chacha_new(const uint8_t key[COF_KEY], const uint8_t nonce[COF_NONCE], gcry_cipher_hd_t *ret)
{
	gcry_error_t e;

	if (!cof_pool_room(HANDLE_ROOM))
		return -ENOMEM;
	e = gcry_cipher_open(ret, GCRY_CIPHER_CHACHA20, GCRY_CIPHER_MODE_POLY1305, GCRY_CIPHER_SECURE);
	if (e)
		return cof_gcry_errno(e);
	e = gcry_cipher_setkey(*ret, key, COF_KEY);
	if (!e)
		e = gcry_cipher_setiv(*ret, nonce, COF_NONCE);
	if (e)
		gcry_cipher_close(*ret);
	return cof_gcry_errno(e);
}

int cof_chacha_seal(const uint8_t key[COF_KEY], const uint8_t nonce[COF_NONCE], const void *in,
		    size_t n, void *out)
{
	gcry_cipher_hd_t h;
	gcry_error_t e = 0;
	int err = chacha_new(key, nonce, &h);

	if (err)
		return err;
	if (n)
		e = gcry_cipher_encrypt(h, out, n, in, n);
	if (!e)
		e = gcry_cipher_gettag(h, (uint8_t *)out + n, COF_TAG);
	gcry_cipher_close(h);
	return cof_gcry_errno(e);
}

int cof_chacha_open(const uint8_t key[COF_KEY], const uint8_t nonce[COF_NONCE], const void *in,
		    size_t n, void *out)
{
	gcry_cipher_hd_t h;
	gcry_error_t e = 0;
	int err = chacha_new(key, nonce, &h);

	if (err)
		return err;
	if (n)
		e = gcry_cipher_decrypt(h, out, n, in, n);
	if (!e)
		e = gcry_cipher_checktag(h, (const uint8_t *)in + n, COF_TAG);
	gcry_cipher_close(h);
	if (e && n)
		explicit_bzero(out, n);
	return cof_gcry_errno(e);
}
