/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files approve-*.c of fs/rules: public keys and signatures as OpenSSH writes them. */
#ifndef COF_APPROVE_PRIVATE_H
#define COF_APPROVE_PRIVATE_H

#include "fs/rules/approve.h"

/* Bytes with a place in them: RFC 4251's strings. */
struct ssh_bytes {
	const uint8_t *p;
	size_t n;
};
int ssh_take(struct ssh_bytes *b, struct ssh_bytes *ret); /* a string; -EUCLEAN */
int ssh_take_u32(struct ssh_bytes *b, uint32_t *ret);
bool ssh_is(const struct ssh_bytes *b, const char *text);

struct ssh_key {
	uint8_t key[32]; /* as in struct cof_signature_info */
	bool hardware, certificate;
	uint8_t authority[32];
};
/* A public key or certificate in its wire form; nothing may follow. -EUCLEAN, -EOPNOTSUPP: a kind that is not
 * taken. type: NULL, or what it has to be. */
int ssh_key_read(const uint8_t *p, size_t n, const char *type, struct ssh_key *ret);
bool ssh_key_type_known(const char *type, size_t n); /* of plain keys */

/* "auditor", …, "vault"; 0: no role. */
unsigned approve_role(const char *text, size_t n);

/* What identifies the key with this point, as ssh_key_read gives it. */
void ssh_ed25519_digest(const uint8_t point[32], uint8_t ret[32]);

#endif
