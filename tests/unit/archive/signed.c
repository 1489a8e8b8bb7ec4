/* SPDX-License-Identifier: Apache-2.0 */
#include "signed.h"

#include <stdio.h>

#include "fs/archive/people.h"

static void put_string(struct cof_buf *b, const void *p, size_t n)
{
	uint8_t len[4];

	cof_put_be32(len, (uint32_t)n);
	cof_buf_add(b, len, 4);
	cof_buf_add(b, p, n);
}

static void put_key(struct cof_buf *b, const uint8_t point[32])
{
	put_string(b, "ssh-ed25519", 11);
	put_string(b, point, 32);
}

void put_person(struct cof_buf *text, const char *name, const uint8_t point[32], const char *roles)
{
	cof_autobuf struct cof_buf key = {0};
	char base64[128];

	put_key(&key, point);
	cof_base64(key.data, key.len, base64);
	cof_buf_printf(text, "%s ssh-ed25519 %s roles=%s\n", name, base64, roles);
}

void put_armored(struct cof_buf *armored, const uint8_t point[32], const char *purpose)
{
	cof_autobuf struct cof_buf key = {0}, raw = {0};
	char text[600];

	put_key(&key, point);
	cof_buf_add(&raw, "SSHSIG\0\0\0\1", 10);
	put_string(&raw, key.data, key.len);
	put_string(&raw, purpose, strlen(purpose));
	put_string(&raw, "", 0);
	put_string(&raw, "sha512", 6);
	put_string(&raw, "\0\0\0\13ssh-ed25519\0\0\0\1x", 20);
	cof_base64(raw.data, raw.len, text);
	cof_buf_printf(armored, "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n", text);
}

void put_signature(struct cof_buf *fields, const char *name, const uint8_t point[32], const char *purpose)
{
	cof_autobuf struct cof_buf value = {0};

	cof_buf_add(&value, name, strlen(name) + 1);
	put_armored(&value, point, purpose);
	cof_field_put(fields, COF_T_SIGNATURE, value.data, value.len);
}

void set_hex(struct cof_json *o, const char *key, const void *p, size_t n)
{
	char text[65];

	cof_hex(p, n, text);
	cof_json_set_str(o, key, text);
}
