/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault signs once it has given out the tree R, for the host that may still be there (docs/vault-protocol.md 7):
 *
 *   coffer-vault-released/1
 *   {"archive","reason","request","signed","time","to","vault"}, canonical JSON
 *   signature BASE64         Ed25519 by the vault's key over both lines before
 */
#include <stdio.h>

#include "crypto/age.h"
#include "fs/rules/receipt.h"
#include "tools/vault/internal.h"

#define FIRST "coffer-vault-released/1\n"

bool vault_released_is(const char *text)
{
	return !strncmp(text, FIRST, strlen(FIRST));
}

int vault_released_sign(const struct vault_place *v, const uint8_t id[16], struct cof_json *o, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf line = {0};
	char hex[33], vkey[COF_VKEY_MAX], text[96];
	uint8_t signature[64];
	int r;

	cof_hex(id, 16, hex);
	cof_vkey_text(&v->vkey, vkey);
	cof_json_set_str(o, "archive", hex);
	cof_json_set_str(o, "vault", vkey);
	r = cof_json_canonical(o, &line);
	if (r < 0)
		return r;
	cof_buf_printf(ret, FIRST "%.*s", (int)line.len, (const char *)line.data);
	if (ret->failed)
		return -ENOMEM;
	r = cof_ed25519_sign(v->seed, ret->data, ret->len, signature);
	if (r < 0)
		return r;
	cof_base64(signature, sizeof(signature), text);
	cof_buf_printf(ret, "signature %s\n", text);
	return ret->failed ? -ENOMEM : ret->len > COF_RECEIPT_MAX ? -E2BIG : 0;
}

static bool is_of(const struct cof_json *o, const uint8_t id[16], const struct cof_vkey *vkey)
{
	const char *archive = cof_json_str(o, "archive"), *vault = cof_json_str(o, "vault");
	char hex[33], text[COF_VKEY_MAX];

	cof_hex(id, 16, hex);
	cof_vkey_text(vkey, text);
	return archive && vault && !strcmp(archive, hex) && !strcmp(vault, text);
}

/* An id, an age recipient, a reason: what goes on record is no other text that a vault liked to sign. */
static bool is_whole(const struct cof_json *o)
{
	const char *request = cof_json_str(o, "request"), *to = cof_json_str(o, "to");
	uint8_t digest[32], key[COF_AGE_KEY];

	return request && strlen(request) == 64 && cof_unhex(request, 64, digest) == 0 && to && cof_age_recipient_parse(to, strlen(to), key) == 0 &&
	       cof_json_str(o, "reason");
}

int vault_released_read(const char *text, const uint8_t id[16], const struct cof_vkey *vkey, struct cof_json **ret, struct cof_diag *diag)
{
	const char *line = text + strlen(FIRST), *end = vault_released_is(text) ? strchr(line, '\n') : NULL, *said;
	cof_autojson struct cof_json *o = NULL;
	uint8_t signature[64];
	size_t n = 0, len;

	if (!end || strncmp(end + 1, "signature ", 10) != 0)
		return cof_fail(diag, -EUCLEAN, "this is not what a vault signs that released the tree R");
	said = end + 11;
	len = strcspn(said, "\n");
	if (len >= 96 || strcmp(said + len, "\n") != 0 || cof_unbase64(said, len, signature, sizeof(signature), &n) < 0 || n != 64 ||
	    cof_json_parse(line, (size_t)(end - line), &o) < 0)
		return cof_fail(diag, -EUCLEAN, "this is not what a vault signs that released the tree R");
	if (cof_ed25519_verify(vkey->public_key, text, (size_t)(end + 1 - text), signature) < 0)
		return cof_fail(diag, -EKEYREJECTED, "what says that the tree R was released is not signed by this vault");
	if (!is_of(o, id, vkey))
		return cof_fail(diag, -EXDEV, "what says that the tree R was released is about another archive or vault");
	if (!is_whole(o))
		return cof_fail(diag, -EUCLEAN, "what says that the tree R was released does not say by which request, or not to which age recipient");
	*ret = o;
	o = NULL;
	return 0;
}
