/* SPDX-License-Identifier: Apache-2.0 */
/*
 * age v1 (age-encryption.org/v1) with X25519 recipients: small files, from memory to memory. What is
 * made here the program age opens, and the other way round. age does not say who made a file.
 *
 * A header: the line "age-encryption.org/v1", for each recipient a stanza "-> X25519 EPHEMERAL" and a
 * line with the file key sealed for it, "--- MAC". Behind it a nonce of 16 bytes and the content in
 * chunks of 64 KiB, the last one marked. Stanzas of other kinds are passed over.
 */
#ifndef COF_AGE_H
#define COF_AGE_H

#include "crypto/crypto.h"

#define COF_AGE_KEY 32
#define COF_AGE_RECIPIENT 63 /* characters of "age1…", with terminator */
#define COF_AGE_IDENTITY 75  /* of "AGE-SECRET-KEY-1…" */
#define COF_AGE_FILE_KEY 16
#define COF_AGE_RECIPIENTS 64
#define COF_AGE_PLAIN_MAX (1u << 20)
#define COF_AGE_FILE_MAX (COF_AGE_PLAIN_MAX + (64u << 10))

/* ---- keys as text ---- */

/* The text as a whole, in the case that age writes: else -EINVAL. */
int cof_age_recipient_parse(const char *text, size_t n, uint8_t ret[COF_AGE_KEY]);
int cof_age_identity_parse(const char *text, size_t n, uint8_t ret[COF_AGE_KEY]);
void cof_age_recipient_text(const uint8_t key[COF_AGE_KEY], char out[COF_AGE_RECIPIENT]);
void cof_age_identity_text(const uint8_t key[COF_AGE_KEY], char out[COF_AGE_IDENTITY]);
/* An identity file as age-keygen writes it: lines, "#" begins a comment. -EINVAL: a line is no identity,
 * or there is none · -E2BIG: more than cap. */
int cof_age_identities_parse(const char *text, size_t n, uint8_t (*ret)[COF_AGE_KEY], size_t cap,
			     size_t *ret_n);

/* ---- files ---- */

/* -EINVAL: no recipient, too many, or one is a point of low order · -EFBIG: more than PLAIN_MAX.
 * ret_file_key: 16 bytes, may be NULL: with it the same bytes open without an identity. */
int cof_age_encrypt(const uint8_t (*recipients)[COF_AGE_KEY], size_t n, const void *plain, size_t len,
		    uint8_t *ret_file_key, struct cof_buf *ret);
/* The same for what does not fit in memory: put gets what to write, in order; what it returns, if not 0, ends it. */
struct cof_age_stream;
int cof_age_stream_new(const uint8_t (*recipients)[COF_AGE_KEY], size_t n, int (*put)(void *user, const void *p, size_t n), void *user,
		       struct cof_age_stream **ret);
int cof_age_stream_write(struct cof_age_stream *a, const void *p, size_t n);
int cof_age_stream_end(struct cof_age_stream *a); /* nothing more comes */
void cof_age_stream_free(struct cof_age_stream *a); /* NULL is fine */
/* Plaintext into secure memory, to be freed with cof_secret_free; ret_plain may get an empty one.
 * -EUCLEAN: not the form of an age file · -EKEYREJECTED: not for any of these identities ·
 * -EBADMSG: altered, cut off, or longer than it was · -EFBIG. */
int cof_age_decrypt(const uint8_t (*identities)[COF_AGE_KEY], size_t n, const void *file, size_t len,
		    void **ret_plain, size_t *ret_n);
int cof_age_decrypt_by_key(const uint8_t file_key[COF_AGE_FILE_KEY], const void *file, size_t len,
			   void **ret_plain, size_t *ret_n);
/* How many X25519 recipients the header names, unproven; other stanzas count in *ret_others. -EUCLEAN */
int cof_age_recipients(const void *file, size_t len, size_t *ret, size_t *ret_others);

#endif
