/* SPDX-License-Identifier: Apache-2.0 */
/* Private to age*.c: the header, and keys in Bech32. */
#ifndef COF_AGE_PRIVATE_H
#define COF_AGE_PRIVATE_H

#include "crypto/age.h"

#define COF_AGE_WRAPPED (COF_AGE_FILE_KEY + COF_TAG)

struct cof_age_stanza { /* one of X25519 */
	uint8_t ephemeral[COF_AGE_KEY];
	uint8_t wrapped[COF_AGE_WRAPPED];
};

struct cof_age_header {
	const uint8_t *at; /* the file */
	size_t mac_input;  /* bytes that the MAC covers, from the beginning through "---" */
	size_t len;	   /* of the header: where the payload begins */
	uint8_t mac[COF_HASH];
	size_t recipients, others;
};

/* fn for each stanza of X25519, in order, may be NULL; returns 0 to go on, or what parse returns then.
 * -EUCLEAN: malformed, whatever fn said to what came before. */
typedef int (*cof_age_stanza_fn)(void *user, const struct cof_age_stanza *s);
int cof_age_header_parse(const void *file, size_t n, struct cof_age_header *ret, cof_age_stanza_fn fn,
			 void *user);
/* "-> X25519 …" and its body. */
void cof_age_stanza_put(struct cof_buf *b, const struct cof_age_stanza *s);
/* Unpadded: 43 characters for 32 bytes, and a terminator. */
void cof_age_base64(const uint8_t key[32], char out[45]);

#endif
