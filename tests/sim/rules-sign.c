/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/rules-sign.h"

#include <stdio.h>

#include "crypto/crypto.h"

const char *const sign_name[SIGN_PERSONS] = {"alice", "bob", "carol", "dave", "erin", "frank", "gina"};

static void put(struct cof_buf *b, const void *p, size_t n)
{
	uint8_t length[4];

	cof_put_be32(length, (uint32_t)n);
	cof_buf_add(b, length, 4);
	cof_buf_add(b, p, n);
}

static void put_text(struct cof_buf *b, const char *text)
{
	put(b, text, strlen(text));
}

static void public_blob(unsigned who, struct cof_buf *ret)
{
	uint8_t point[32];

	memset(point, 0x40 + (int)who, sizeof(point));
	put_text(ret, "ssh-ed25519");
	put(ret, point, sizeof(point));
}

void sign_public(unsigned who, char out[128])
{
	cof_autobuf struct cof_buf blob = {0};
	char text[100];

	public_blob(who, &blob);
	cof_base64(blob.data, blob.len, text);
	(void)snprintf(out, 128, "ssh-ed25519 %s", text);
}

void sign_document(unsigned who, const char *purpose, const void *doc, size_t n, bool good, struct cof_buf *armored)
{
	cof_autobuf struct cof_buf key = {0}, said = {0}, raw = {0}, blob = {0};
	cof_autofree char *text = NULL;
	uint8_t hash[64];

	public_blob(who, &key);
	put(&said, key.data, key.len);
	put_text(&said, purpose);
	put(&said, doc, n);
	if (!good)
		put_text(&said, "and something else");
	cof_sha256(said.data, said.len, hash);
	cof_sha256(hash, 32, hash + 32);
	put_text(&raw, "ssh-ed25519");
	put(&raw, hash, sizeof(hash));
	cof_buf_add(&blob, "SSHSIG\0\0\0\1", 10);
	put(&blob, key.data, key.len);
	put_text(&blob, purpose);
	put_text(&blob, "");
	put_text(&blob, "sha512");
	put(&blob, raw.data, raw.len);
	text = malloc(cof_base64_len(blob.len) + 1);
	if (!text)
		abort();
	cof_base64(blob.data, blob.len, text);
	cof_buf_printf(armored, "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n", text);
}

int sign_verify(void *user COF_UNUSED, const struct cof_signature *s, struct cof_diag *diag)
{
	char public[128];

	for (unsigned who = 0; who < SIGN_PERSONS; who++) {
		cof_autobuf struct cof_buf armored = {0};

		if (strcmp(sign_name[who], s->principal) != 0)
			continue;
		sign_public(who, public);
		if (!memmem(s->people, s->people_len, public, strlen(public)))
			break;
		if (s->revoked_len && memmem(s->revoked, s->revoked_len, public, strlen(public)))
			return cof_fail(diag, -EKEYREVOKED, "the key is revoked");
		sign_document(who, s->purpose, s->document, s->document_len, true, &armored);
		if (armored.len == s->armored_len && !memcmp(armored.data, s->armored, armored.len))
			return 0;
	}
	return cof_fail(diag, -EKEYREJECTED, "the signature is not over this");
}
