/* SPDX-License-Identifier: Apache-2.0 */
/* Which newest head a vault has of an archive: the beginning of a fetch, which ends there. */
#include "tools/vault/internal.h"

static int take_identity(struct vault_wire *w, const uint8_t id[16], char **ret_conf,
			 struct cof_diag *diag)
{
	cof_autobuf struct cof_buf body = {0};
	struct vault_hello hello = {.role = 0};
	struct cof_conf conf;
	unsigned code;
	int r = vault_expect(w, VAULT_HELLO, &body, NULL, diag);

	if (r == 0)
		r = vault_hello_read(&body, &hello, &code, diag);
	if (r == 0)
		r = cof_conf_parse(hello.conf, hello.conf_len, &conf, diag);
	if (r < 0)
		return r;
	if (hello.role != VAULT_SENDS || memcmp(conf.id, id, 16) != 0)
		return cof_fail(diag, -EPROTO, "the vault sent another archive than was asked for");
	*ret_conf = strndup(hello.conf, hello.conf_len);
	return *ret_conf ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

int vault_ask_identity(struct vault_wire *w, const uint8_t id[16], char **ret_conf,
		       struct cof_diag *diag)
{
	uint8_t session[16];
	int r = vault_hello_send(w, VAULT_FETCHES, id, "", session);

	if (r < 0 && r != -EPIPE)
		return cof_fail(
		    diag, r,
		    "the vault does not answer: its program, or ssh, said on standard error why");
	return take_identity(w, id, ret_conf, diag);
}

int vault_ask_head(struct vault_wire *w, struct cof_buf *ret_head, char **ret_note, struct cof_diag *diag)
{
	uint8_t nothing[VAULT_STATE_FIXED] = {0};
	size_t used;
	int r = vault_send(w, VAULT_STATE,
			   &(struct iovec){.iov_base = nothing, .iov_len = sizeof(nothing)}, 1);

	if (r < 0)
		return cof_fail(diag, r, "the vault ended before it said which head it has");
	r = vault_expect(w, VAULT_HEAD, ret_head, NULL, diag);
	if (r < 0)
		return r;
	used = ret_head->len < 12
		   ? SIZE_MAX
		   : 12 + ((size_t)cof_get_le16(ret_head->data + 8) + cof_get_le16(ret_head->data + 10)) *
			      COF_HASH;
	if (used >= ret_head->len || ret_head->len - used > COF_NOTE_MAX)
		return cof_fail(diag, -EPROTO, "HEAD is malformed");
	*ret_note = strndup((const char *)ret_head->data + used, ret_head->len - used);
	return *ret_note ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}
