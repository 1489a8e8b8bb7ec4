/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO: who speaks, of which archive, and what for. */
#include "tools/vault/internal.h"

#define MAGIC "COFVAULT"
#define VERSION 1u
#define TAKES_RECEIPTS 1u
#define TAKES_MORE 2u
#define FIXED (8 + 4 + 4 + 16 + 16)

int vault_hello_send(struct vault_wire *w, enum vault_role role, const uint8_t id[16], const char *conf,
		     uint8_t ret_session[16])
{
	uint8_t fixed[FIXED] = {0};

	memcpy(fixed, MAGIC, 8);
	cof_put_le32(fixed + 8, VERSION);
	fixed[12] = (uint8_t)role;
	fixed[13] = role == VAULT_SENDS ? TAKES_RECEIPTS | TAKES_MORE : 0;
	memcpy(fixed + 16, id, 16);
	cof_random(ret_session, 16);
	memcpy(fixed + 32, ret_session, 16);
	return vault_send(w, VAULT_HELLO,
			  (struct iovec[]){{.iov_base = fixed, .iov_len = FIXED},
					   {.iov_base = (void *)(uintptr_t)conf, .iov_len = strlen(conf)}},
			  2);
}

int vault_hello_read(const struct cof_buf *body, struct vault_hello *ret, unsigned *ret_code, struct cof_diag *diag)
{
	*ret_code = VAULT_R_MALFORMED;
	if (body->len < FIXED || memcmp(body->data, MAGIC, 8))
		return cof_fail(diag, -EPROTO, "this is a vault of Coffer, and what spoke to it is not coffer");
	if (cof_get_le32(body->data + 8) != VERSION) {
		*ret_code = VAULT_R_VERSION;
		return cof_fail(diag, -EPROTONOSUPPORT, "the vault speaks version %u of the protocol, and what spoke to it version %u", VERSION,
				cof_get_le32(body->data + 8));
	}
	ret->role = body->data[12];
	ret->receipts = body->data[13] & TAKES_RECEIPTS;
	ret->more = body->data[13] & TAKES_MORE;
	memcpy(ret->id, body->data + 16, 16);
	memcpy(ret->session, body->data + 32, 16);
	ret->conf = (const char *)body->data + FIXED;
	ret->conf_len = body->len - FIXED;
	if (ret->role < VAULT_SENDS || ret->role > VAULT_CHALLENGES || memchr(ret->conf, 0, ret->conf_len) ||
	    (ret->role == VAULT_SENDS) != (ret->conf_len > 0))
		return cof_fail(diag, -EPROTO, "HELLO is malformed");
	return 0;
}
