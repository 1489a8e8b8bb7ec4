/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, SHA-512, HMAC, HKDF. The one-shot functions work on the stack alone: libgcrypt's own
 * HMAC costs a handle each time (6 µs against 0.3), so it is built here from two plain hashes.
 */
#include <assert.h>

#include "crypto/private.h"

#define BLOCK 64
#define VECTORS 64 /* of one cof_sha256v */

/*
 * A hash over valid memory cannot fail, unless the library found itself broken (FIPS error state).
 * Nothing safe can follow then: neither a made-up hash nor a void function that reports nothing.
 */
static void hash_buffers(int algo, const gcry_buffer_t *b, int count, uint8_t *out)
{
	if (gcry_md_hash_buffers(algo, 0, out, b, count) != 0)
		__builtin_trap();
}

void cof_sha256(const void *p, size_t n, uint8_t out[COF_HASH])
{
	/* Of nothing (FIPS 180-4): each frame without a public part asks for it. */
	static const uint8_t empty[COF_HASH] = {
	    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
	    0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	    0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
	const gcry_buffer_t b = {.len = n, .data = (void *)p};

	if (n)
		hash_buffers(GCRY_MD_SHA256, &b, 1, out);
	else
		memcpy(out, empty, sizeof(empty));
}

void cof_sha512(const void *p, size_t n, uint8_t out[64])
{
	const gcry_buffer_t b = {.len = n, .data = (void *)p};

	hash_buffers(GCRY_MD_SHA512, &b, 1, out);
}

static void fill(gcry_buffer_t *b, const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++)
		b[i] = (gcry_buffer_t){.len = iov[i].iov_len, .data = iov[i].iov_base};
}

void cof_sha256v(const struct iovec *iov, int count, uint8_t out[COF_HASH])
{
	gcry_buffer_t b[VECTORS];

	assert(count >= 0 && count <= VECTORS);
	fill(b, iov, count);
	hash_buffers(GCRY_MD_SHA256, b, count, out);
}

/* ---- incremental ---- */

struct cof_sha256 {
	gcry_md_hd_t md;
};

struct cof_sha256 *cof_sha256_new(void)
{
	struct cof_sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	if (gcry_md_open(&h->md, GCRY_MD_SHA256, 0)) {
		free(h);
		return NULL;
	}
	return h;
}

void cof_sha256_update(struct cof_sha256 *h, const void *p, size_t n)
{
	gcry_md_write(h->md, p, n);
}

void cof_sha256_final(struct cof_sha256 *h, uint8_t out[COF_HASH])
{
	const uint8_t *digest = gcry_md_read(h->md, GCRY_MD_SHA256);

	assert(digest);
	memcpy(out, digest, COF_HASH);
}

void cof_sha256_reset(struct cof_sha256 *h)
{
	gcry_md_reset(h->md);
}

void cof_sha256_free(struct cof_sha256 *h)
{
	if (!h)
		return;
	gcry_md_close(h->md);
	free(h);
}

/* ---- MD5, for protocols that compare bytes by it ---- */

struct cof_md5 {
	gcry_md_hd_t md;
};

struct cof_md5 *cof_md5_new(void)
{
	struct cof_md5 *h = calloc(1, sizeof(*h));

	if (h && gcry_md_open(&h->md, GCRY_MD_MD5, 0)) {
		free(h);
		return NULL;
	}
	return h;
}

void cof_md5_update(struct cof_md5 *h, const void *p, size_t n)
{
	gcry_md_write(h->md, p, n);
}

void cof_md5_final(struct cof_md5 *h, uint8_t out[16])
{
	const uint8_t *digest = gcry_md_read(h->md, GCRY_MD_MD5);

	assert(digest);
	memcpy(out, digest, 16);
}

void cof_md5_free(struct cof_md5 *h)
{
	if (!h)
		return;
	gcry_md_close(h->md);
	free(h);
}

/* ---- HMAC, HKDF ---- */

/* The library's hash state lay in frames below ours and is not wiped there. */
static __attribute__((noinline)) void wipe_stack_below(void)
{
	uint8_t area[1024];

	explicit_bzero(area, sizeof(area));
}

void cof_hmac(const void *key, size_t key_len, const struct iovec *iov, int count,
	      uint8_t out[COF_HASH])
{
	uint8_t pad[BLOCK], short_key[BLOCK] = {0}, inner[COF_HASH];
	gcry_buffer_t b[9] = {{.len = BLOCK, .data = pad}};

	assert(count >= 0 && count <= 8);
	if (key_len > BLOCK)
		cof_sha256(key, key_len, short_key);
	else if (key_len > 0)
		memcpy(short_key, key, key_len);
	for (int i = 0; i < BLOCK; i++)
		pad[i] = short_key[i] ^ 0x36;
	fill(b + 1, iov, count);
	hash_buffers(GCRY_MD_SHA256, b, count + 1, inner);
	for (int i = 0; i < BLOCK; i++)
		pad[i] = short_key[i] ^ 0x5c;
	b[1] = (gcry_buffer_t){.len = COF_HASH, .data = inner};
	hash_buffers(GCRY_MD_SHA256, b, 2, out);
	explicit_bzero(pad, sizeof(pad));
	explicit_bzero(short_key, sizeof(short_key));
	explicit_bzero(inner, sizeof(inner));
	wipe_stack_below();
}

int cof_hkdf(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len, const void *info,
	     size_t info_len, void *out, size_t n)
{
	static const uint8_t no_salt[COF_HASH];
	uint8_t prk[COF_HASH], t[COF_HASH], *to = out;
	size_t t_len = 0;

	if (n > 255 * COF_HASH)
		return -EINVAL;
	const struct iovec in = {(void *)ikm, ikm_len};
	cof_hmac(salt ? salt : no_salt, salt ? salt_len : sizeof(no_salt), &in, 1, prk);
	for (uint8_t i = 1; n > 0; i++) {
		const struct iovec v[] = {{t, t_len}, {(void *)info, info_len}, {&i, 1}};
		cof_hmac(prk, sizeof(prk), v, 3, t);
		t_len = sizeof(t);
		size_t take = COF_MIN(n, sizeof(t));
		memcpy(to, t, take);
		to += take;
		n -= take;
	}
	explicit_bzero(prk, sizeof(prk));
	explicit_bzero(t, sizeof(t));
	return 0;
}

int cof_pbkdf2(const void *pass, size_t pass_len, const void *salt, size_t salt_len, uint32_t steps, void *out, size_t n)
{
	if (!salt_len || !steps)
		return -EINVAL;
	return cof_gcry_errno(gcry_kdf_derive(pass, pass_len, GCRY_KDF_PBKDF2, GCRY_MD_SHA256, salt, salt_len, steps, n, out));
}
