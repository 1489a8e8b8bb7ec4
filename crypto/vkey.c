/* SPDX-License-Identifier: Apache-2.0 */
/* Verifier keys of C2SP signed notes: "name+key id in hex+base64(algorithm ‖ public key)". */
#include <stdio.h>

#include "crypto/note.h"
#include "crypto/private.h"

static void key_id(const char *name, uint8_t algorithm, const uint8_t public_key[32],
		   uint8_t out[4])
{
	uint8_t hash[COF_HASH], mark[2] = {'\n', algorithm};
	const struct iovec v[] = {
	    {(void *)name, strlen(name)}, {mark, 2}, {(void *)public_key, 32}};

	cof_sha256v(v, 3, hash);
	memcpy(out, hash, 4);
}

int cof_vkey_make(const char *name, uint8_t algorithm, const uint8_t public_key[32],
		  struct cof_vkey *ret)
{
	struct cof_vkey key = {.algorithm = algorithm};
	size_t n = strnlen(name, COF_NOTE_NAME);

	if (!cof_note_name_ok(name, n))
		return -EINVAL;
	memcpy(key.name, name, n);
	memcpy(key.public_key, public_key, 32);
	key_id(key.name, algorithm, public_key, key.id);
	*ret = key;
	return 0;
}

int cof_vkey_parse(const char *text, struct cof_vkey *ret)
{
	struct cof_vkey key;
	char name[COF_NOTE_NAME], hex[9];
	uint8_t blob[33];
	size_t n;
	size_t len = strnlen(text, COF_VKEY_MAX);
	const char *plus = memchr(text, '+', len);

	if (len == COF_VKEY_MAX || !plus || plus - text >= COF_NOTE_NAME ||
	    len - (size_t)(plus - text) < 10 || plus[9] != '+')
		return -EUCLEAN;
	memcpy(name, text, (size_t)(plus - text));
	name[plus - text] = 0;
	const char *base64 = plus + 10;
	if (cof_unbase64(base64, len - (size_t)(base64 - text), blob, sizeof(blob), &n) < 0 ||
	    n != sizeof(blob))
		return -EUCLEAN;
	if (cof_vkey_make(name, blob[0], blob + 1, &key) < 0)
		return -EUCLEAN;
	cof_hex(key.id, 4, hex); /* lower case only, so compared as text */
	if (memcmp(hex, plus + 1, 8) != 0)
		return -EUCLEAN;
	*ret = key;
	return 0;
}

void cof_vkey_text(const struct cof_vkey *key, char out[COF_VKEY_MAX])
{
	uint8_t blob[33] = {key->algorithm};
	char hex[9], base64[45];

	memcpy(blob + 1, key->public_key, 32);
	cof_hex(key->id, 4, hex);
	cof_base64(blob, sizeof(blob), base64);
	/* 191 + 1 + 8 + 1 + 44 bytes at most: always fits */
	(void)snprintf(out, COF_VKEY_MAX, "%.*s+%s+%s", COF_NOTE_NAME - 1, key->name, hex, base64);
}
