/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032), pure, without context. */
#include <pthread.h>

#include "crypto/private.h"

/*
 * One signature at a time: it takes memory from the pool's reserve, whose size is made for one.
 * Signing is rare (a checkpoint a second).
 */
static pthread_mutex_t secret_lock = PTHREAD_MUTEX_INITIALIZER;

static void sexp_freep(gcry_sexp_t *s)
{
	gcry_sexp_release(*s);
}
#define autosexp COF_CLEANUP(sexp_freep)

/* Copies the 32 bytes of a token's value, NULL when it is absent or not 32 bytes. */
static bool token(gcry_sexp_t s, const char *name, uint8_t out[32])
{
	autosexp gcry_sexp_t t = gcry_sexp_find_token(s, name, 0);
	size_t n = 0;
	const char *data = t ? gcry_sexp_nth_data(t, 1, &n) : NULL;

	if (!data || n != 32)
		return false;
	memcpy(out, data, 32);
	return true;
}

/* The private key as libgcrypt wants it. The seed goes through secure memory: then the
 * expression is in secure memory too. */
static int private_key(const uint8_t seed[32], const uint8_t public_key[32], gcry_sexp_t *ret)
{
	gcry_error_t e;
	uint8_t *copy = gcry_malloc_secure(32);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, seed, 32);
	if (public_key)
		e = gcry_sexp_build(ret, NULL,
				    "(private-key(ecc(curve Ed25519)(flags eddsa)(q %b)(d %b)))",
				    32, public_key, 32, copy);
	else
		e = gcry_sexp_build(
		    ret, NULL, "(private-key(ecc(curve Ed25519)(flags eddsa)(d %b)))", 32, copy);
	gcry_free(copy);
	return cof_gcry_errno(e);
}

static int derive_public(const uint8_t seed[32], uint8_t ret_public[32])
{
	autosexp gcry_sexp_t key = NULL;
	gcry_ctx_t ctx = NULL;
	gcry_mpi_t q = NULL;
	unsigned bits = 0;
	int err = private_key(seed, NULL, &key);

	if (err < 0)
		return err;
	err = cof_gcry_errno(gcry_mpi_ec_new(&ctx, key, NULL));
	if (err < 0)
		return err;
	q = gcry_mpi_ec_get_mpi("q@eddsa", ctx, 0);
	const void *data = q ? gcry_mpi_get_opaque(q, &bits) : NULL;
	if (data && bits == 256)
		memcpy(ret_public, data, 32);
	else
		err = -EIO;
	gcry_mpi_release(q);
	gcry_ctx_release(ctx);
	return err;
}

int cof_ed25519_public(const uint8_t seed[32], uint8_t ret_public[32])
{
	pthread_mutex_lock(&secret_lock);
	cof_pool_confidential(true);
	int err = derive_public(seed, ret_public);
	cof_pool_confidential(false);
	pthread_mutex_unlock(&secret_lock);
	return err;
}

/*
 * libgcrypt 1.10 counts the bytes of a list in 16 bits and checks nothing: a longer message would
 * make an expression that ends the process when it is read.
 */
static int message(const void *msg, size_t n, gcry_sexp_t *ret)
{
	if (n > COF_ED25519_MESSAGE_MAX)
		return -EINVAL;
	return cof_gcry_errno(gcry_sexp_build(
	    ret, NULL, "(data(flags eddsa)(hash-algo sha512)(value %b))", (int)n, n ? msg : ""));
}

static int sign(const uint8_t seed[32], const void *msg, size_t n, uint8_t sig[64])
{
	autosexp gcry_sexp_t key = NULL, data = NULL, result = NULL;
	uint8_t public_key[32];
	int err = derive_public(seed, public_key);

	if (err == 0)
		err = private_key(seed, public_key, &key);
	if (err == 0)
		err = message(msg, n, &data);
	if (err == 0)
		err = cof_gcry_errno(gcry_pk_sign(&result, data, key));
	if (err == 0 && (!token(result, "r", sig) || !token(result, "s", sig + 32)))
		err = -EIO;
	return err;
}

int cof_ed25519_sign(const uint8_t seed[32], const void *msg, size_t n, uint8_t ret_sig[64])
{
	uint8_t sig[64];

	pthread_mutex_lock(&secret_lock);
	cof_pool_confidential(true);
	int err = sign(seed, msg, n, sig);
	cof_pool_confidential(false);
	pthread_mutex_unlock(&secret_lock);
	if (err == 0)
		memcpy(ret_sig, sig, sizeof(sig));
	return err;
}

/* RFC 8032 5.1.7: S below the group's order, or anyone could make a second valid signature. */
static bool scalar_in_range(const uint8_t s[32])
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
					  0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
					  0,    0,    0,    0,    0,    0,    0,    0,
					  0,    0,    0,    0,    0,    0,    0,    0x10};

	for (int i = 31; i >= 0; i--)
		if (s[i] != order[i])
			return s[i] < order[i];
	return false;
}

int cof_ed25519_verify(const uint8_t public_key[32], const void *msg, size_t n,
		       const uint8_t sig[64])
{
	autosexp gcry_sexp_t key = NULL, data = NULL, s = NULL;

	if (!scalar_in_range(sig + 32))
		return -EBADMSG;
	int err = cof_gcry_errno(gcry_sexp_build(
	    &key, NULL, "(public-key(ecc(curve Ed25519)(flags eddsa)(q %b)))", 32, public_key));
	if (err == 0)
		err = message(msg, n, &data);
	if (err == 0)
		err = cof_gcry_errno(gcry_sexp_build(&s, NULL, "(sig-val(eddsa(r %b)(s %b)))", 32,
						     sig, 32, sig + 32));
	if (err < 0)
		return err;
	gcry_error_t e = gcry_pk_verify(s, data, key);
	if (!e)
		return 0;
	/* A key or a point that is none is a signature that does not verify. */
	return gcry_err_code(e) == GPG_ERR_ENOMEM ? -ENOMEM : -EBADMSG;
}
