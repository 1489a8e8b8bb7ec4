/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of crypto/ only: the locked pool behind cof_secret_alloc and libgcrypt, and
 * the conversion of libgcrypt's errors.
 */
#ifndef COF_CRYPTO_PRIVATE_H
#define COF_CRYPTO_PRIVATE_H

#include <gcrypt.h>

#include "crypto/crypto.h"

/*
 * Kept back for what libgcrypt takes while it computes (an Ed25519 signature uses about 20 KiB, and
 * those are made one at a time). Its internal allocators end the process when they get nothing, so
 * objects that live longer must never reach into this.
 */
#define COF_POOL_RESERVE (256u << 10)

/* Maps and locks the pool and hands it to libgcrypt. Before any other call of libgcrypt. at_once: so many bytes of it are there
 * from the beginning, the others once they are used. */
int cof_pool_init(size_t bytes, size_t at_once, struct cof_diag *diag);
/* KiB that this process has locked, or -1 where /proc cannot tell. */
long cof_pool_locked_kib(void);
/* True while an object of n bytes that lives long can be had without touching the reserve. */
bool cof_pool_room(size_t n);

/*
 * The next allocation of at least n bytes that libgcrypt makes in this thread comes from memory of
 * its own that is left out of dumps and locked where the limits allow. disarm tells whether it was
 * made; the memory itself goes back when libgcrypt frees it, in the same thread.
 */
void cof_pool_arm_large(size_t n);
bool cof_pool_disarm_large(void);

/* Between true and false what libgcrypt allocates in this thread comes from the pool, as long as there is
 * room, also where it asks for ordinary memory: gcry_pk_sign copies the key's expression there. */
void cof_pool_confidential(bool on);

int cof_gcry_errno(gcry_error_t e);
/* Known answers of every primitive offered here: -EIO with the name of the one that is wrong. */
int cof_crypto_selftest(struct cof_diag *diag);

/* As cof_argon2id, with the optional secret and associated data of RFC 9106 (may be NULL). */
struct cof_argon2_extra {
	const void *secret, *ad;
	size_t secret_len, ad_len;
};
int cof_argon2id_full(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
		      uint32_t memory_kib, uint32_t passes, uint32_t lanes,
		      const struct cof_argon2_extra *extra, uint8_t out[32]);

/* ---- ChaCha20-Poly1305 (RFC 8439, age-primitives.c): the tag behind the ciphertext, no associated data ---- */

/* n: bytes of plaintext, here and there. out has n + 16, or n. */
int cof_chacha_seal(const uint8_t key[COF_KEY], const uint8_t nonce[COF_NONCE], const void *in,
		    size_t n, void *out);
/* -EBADMSG, and out is wiped. */
int cof_chacha_open(const uint8_t key[COF_KEY], const uint8_t nonce[COF_NONCE], const void *in,
		    size_t n, void *out);

/* ---- notes (note-text.c) ---- */

/* Valid UTF-8 without control characters but newline: what a note may consist of. */
bool cof_note_text_ok(const char *s, size_t n);
/* A key name: not empty, fits COF_NOTE_NAME, no space or control character of Unicode, no plus. */
bool cof_note_name_ok(const char *s, size_t n);

#endif
