/* SPDX-License-Identifier: Apache-2.0 */
#include "signed.h"

#include <stdio.h>

#include "fs/archive/internal.h"
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

/* ---- archives in which such people are enrolled ---- */

const uint8_t signed_alices[32] = {101}, signed_bobs[32] = {102};

static int good(void *user, const struct cof_signature *signature, struct cof_diag *why)
{
	(void)user;
	(void)signature;
	(void)why;
	return 0;
}

static void on_alarm(void *user, const char *text)
{
	struct store *s = user;

	snprintf(s->alarm, sizeof(s->alarm), "%s", text);
}

void signed_reopen(struct store *s)
{
	struct cof_archive_params p = {.io = s->io, .secret = &s->secret, .index_dir = "", .alarm = on_alarm, .user = s, .no_threads = true, .verify_signature = good};
	struct cof_diag diag = {""};

	store_close(s);
	ck_assert_msg(cof_archive_open(&p, &s->archive, &s->opened, &diag) == 0, "%s", diag.text);
}

void signed_put(struct store *s, uint8_t type, const struct cof_buf *public_part)
{
	static const struct cof_applied nothing;
	struct cof_draft d = {.type = type, .system = true, .public_part = public_part->data, .public_len = (uint32_t)public_part->len};

	cof_gate_enter(s->archive);
	ck_assert_int_eq(cof_archive_put(s->archive, &d, &nothing, NULL), 0);
	cof_gate_leave(s->archive);
}

struct cof_json *signed_document(struct store *s, const char *action)
{
	struct cof_json *o = cof_json_object(), *head = cof_json_object();
	int64_t now = cof_now(CLOCK_REALTIME);
	uint8_t zero[32] = {0};
	struct cof_diag diag;

	ck_assert_int_eq(cof_request_head(s->archive, head, &diag), 0);
	cof_json_set_str(o, "action", action);
	set_hex(o, "archive", s->archive->conf.id, 16);
	cof_json_set_str(o, "author", "alice");
	cof_json_set_time(o, "created", now - now % COF_NSEC);
	cof_json_set_time(o, "expires", now - now % COF_NSEC + 10 * 86400 * COF_NSEC);
	cof_json_set(o, "head", head);
	set_hex(o, "nonce", zero, 16);
	set_hex(o, "sheet", zero, 32);
	cof_json_set_int(o, "version", 1);
	return o;
}

void signed_enroll(struct store *s)
{
	cof_autobuf struct cof_buf people = {0}, doc = {0}, fields = {0};
	cof_autojson struct cof_json *o = signed_document(s, "people-first");

	put_person(&people, "alice", signed_alices, "officer");
	put_person(&people, "bob", signed_bobs, "officer");
	cof_json_set_str(o, "people", (char *)people.data);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_field_put(&fields, COF_T_PEOPLE, people.data, people.len);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	put_signature(&fields, "alice", signed_alices, COF_SIGN_PEOPLE);
	put_signature(&fields, "bob", signed_bobs, COF_SIGN_PEOPLE);
	signed_put(s, COF_PEOPLE, &fields);
}
