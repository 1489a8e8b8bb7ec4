/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: primitives over libgcrypt. gcrypt.h is included inside this folder only.
 *
 * Thread-safety: functions without an object are thread-safe after cof_crypto_init; an object is
 * used by one thread at a time.
 */
#ifndef COF_CRYPTO_H
#define COF_CRYPTO_H

#include "base/base.h"

#define COF_HASH 32	 /* SHA-256 */
#define COF_KEY 32	 /* AES-256, HMAC keys, seeds */
#define COF_NONCE 12
#define COF_TAG 16

/*
 * Initialises libgcrypt with a locked pool of secure_bytes (rounded up; 4 MiB is plenty). Call once,
 * after the last fork (locks do not survive one). -EPERM with a sentence when memory cannot be
 * locked: Coffer refuses to run so. Also computes known answers with all that is offered here. Makes the
 * process undumpable (prctl, RLIMIT_CORE). A second call in the same process returns 0.
 */
int cof_crypto_init(size_t secure_bytes, struct cof_diag *diag);
/*
 * The same for a program that soon ends and mostly needs little of its pool: all of it is reserved and counts as locked, and
 * a page is taken when the first secret comes to lie there. 4 MiB of memfd_secret at once take 10 ms, and interrupt every processor a
 * thousand times. A daemon takes them at once, so as not to need them when there are none.
 */
int cof_crypto_init_brief(size_t secure_bytes, struct cof_diag *diag);

/* What does the cryptography of this process. */
struct cof_module {
	char name[32], version[64];
	char status[128]; /* of its self-tests, and whether it is in a validated mode */
	bool ok;
};
#define COF_MODULES 3
/* After cof_crypto_init, which has run the self-tests. again: runs them once more. Thread-safe. */
void cof_crypto_modules(bool again, struct cof_module ret[COF_MODULES]);
/* Where secrets are: "memfd_secret", or "locked" memory. */
const char *cof_secret_memory(void);

/* ---- secrets ---- */

/*
 * Locked, excluded from dumps, zeroed; 32-byte granules. NULL when the pool is used up (-ENOMEM to
 * callers). A forked child inherits neither secrets nor AEAD objects: touching one faults there.
 */
void *cof_secret_alloc(size_t n);
void cof_secret_free(void *p); /* wipes; NULL is fine */
void cof_secret_freep(void *p);
#define cof_autosecret COF_CLEANUP(cof_secret_freep)
void cof_wipe(void *p, size_t n);
bool cof_equal(const void *a, const void *b, size_t n); /* constant time */

void cof_random(void *p, size_t n); /* strong enough for keys; never fails */

/* ---- hashes (FIPS 180-4, RFC 2104, RFC 5869) ---- */

void cof_sha256(const void *p, size_t n, uint8_t out[COF_HASH]);
void cof_sha256v(const struct iovec *iov, int count, uint8_t out[COF_HASH]); /* at most 64 */
void cof_sha512(const void *p, size_t n, uint8_t out[64]);

struct cof_sha256; /* incremental, for what does not fit in memory */
struct cof_sha256 *cof_sha256_new(void);
void cof_sha256_update(struct cof_sha256 *h, const void *p, size_t n);
void cof_sha256_final(struct cof_sha256 *h, uint8_t out[COF_HASH]); /* may be read again after reset */
void cof_sha256_reset(struct cof_sha256 *h);
void cof_sha256_free(struct cof_sha256 *h);

/* MD5: never for security. S3 wants it beside what is sent (Content-MD5), and names objects' versions by it. */
struct cof_md5;
struct cof_md5 *cof_md5_new(void); /* NULL: out of memory, or the library is in a mode without it */
void cof_md5_update(struct cof_md5 *h, const void *p, size_t n);
void cof_md5_final(struct cof_md5 *h, uint8_t out[16]);
void cof_md5_free(struct cof_md5 *h);

/* key: any length. At most 8 vectors. */
void cof_hmac(const void *key, size_t key_len, const struct iovec *iov, int count,
	      uint8_t out[COF_HASH]);
/* salt may be NULL (then 32 zero bytes, as RFC 5869 says). n at most 255 * 32. Intermediate
 * values are wiped; out may be secure memory. */
int cof_hkdf(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len, const void *info,
	     size_t info_len, void *out, size_t n);

/* PBKDF2 with HMAC-SHA256 (RFC 8018). salt_len at least 1. out may be secure memory. */
int cof_pbkdf2(const void *pass, size_t pass_len, const void *salt, size_t salt_len, uint32_t steps, void *out, size_t n);

/* ---- AEAD: AES-256-GCM (SP 800-38D), tag of 16 bytes behind the ciphertext ---- */

struct cof_aead; /* a key schedule, in secure memory */

int cof_aead_new(const uint8_t key[COF_KEY], struct cof_aead **ret);
void cof_aead_free(struct cof_aead *a);
void cof_aead_freep(struct cof_aead **a);
#define cof_autoaead COF_CLEANUP(cof_aead_freep)
/* out: n + 16 bytes; may not overlap in, except out == in. */
int cof_aead_seal(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
		  size_t aad_len, const void *in, size_t n, void *out);
/* n: bytes of plaintext; in has n + 16. The tag is checked before success; on -EBADMSG out is wiped. */
int cof_aead_open(struct cof_aead *a, const uint8_t nonce[COF_NONCE], const void *aad,
		  size_t aad_len, const void *in, size_t n, void *out);

/* ---- Ed25519 (RFC 8032) ---- */

/* Longer messages are refused with -EINVAL: libgcrypt's expressions hold no more than 64 KiB. */
#define COF_ED25519_MESSAGE_MAX 65280

int cof_ed25519_public(const uint8_t seed[32], uint8_t ret_public[32]);
int cof_ed25519_sign(const uint8_t seed[32], const void *msg, size_t n, uint8_t ret_sig[64]);
int cof_ed25519_verify(const uint8_t public_key[32], const void *msg, size_t n,
		       const uint8_t sig[64]); /* -EBADMSG */

/* ---- X25519 (RFC 7748) ---- */

int cof_x25519_public(const uint8_t secret[32], uint8_t ret_public[32]);
/* -EBADMSG: a point of low order, of which the result would be known to everybody. */
int cof_x25519(const uint8_t secret[32], const uint8_t public_key[32], uint8_t ret_shared[32]);

/* ---- Argon2id (RFC 9106) ---- */

/* memory in KiB. -ENOMEM when that much cannot be had: never lowered silently. out 32 bytes. */
int cof_argon2id(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
		 uint32_t memory_kib, uint32_t passes, uint32_t lanes, uint8_t out[32]);

#endif
