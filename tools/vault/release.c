/* SPDX-License-Identifier: Apache-2.0 */
/*
 * R is released to who restores (docs/vault-protocol.md 7). The archive is gone then, so its log cannot be asked: people sign
 * a document of this vault, and the vault judges it as if REQUEST and APPROVAL frames with it came next in its copy, which it
 * has judged whole before. Its own clock says whether it expired, its own record that it was used.
 */
#include <stdio.h>
#include <time.h>

#include "crypto/age.h"
#include "fs/rules/approve.h"
#include "fs/sshsig/sshsig.h"
#include "tools/vault/internal.h"

#define ACTION "vault-release"
#define RELEASED "released" /* in the copy: a line of JSON for each */
#define RELEASED_MAX (1u << 20)
#define REASON_MAX 4096u /* of it in what is signed: the whole reason is in the document */
enum { TYPE_REQUEST = 20, TYPE_APPROVAL = 21 };

/* ---- the document ---- */

static int head_of(struct cof_io *io, struct cof_checkpoint *ret, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_conf conf;
	size_t n = 0;
	int r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == 0)
		r = cof_checkpoint_open(note, n, &conf.vkey, ret);
	return r < 0 ? cof_fail(diag, r, "this vault has no head of the archive that it signed: %s", strerror(-r)) : 0;
}

static void set_hex(struct cof_json *o, const char *key, const uint8_t *p, size_t n)
{
	char hex[2 * COF_HASH + 1];

	cof_hex(p, n, hex);
	cof_json_set_str(o, key, hex);
}

static void set_second(struct cof_json *o, const char *key, int64_t seconds)
{
	char text[32];

	cof_time_text(seconds * COF_NSEC, text);
	memcpy(text + strlen("2026-01-01T00:00:00"), "Z", 2); /* without its fraction */
	cof_json_set_str(o, key, text);
}

int vault_release_document(const struct vault_place *v, const uint8_t id[16], const char *author, const char *to, const char *reason,
			   struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *head = cof_json_object();
	uint8_t nonce[16], key[COF_AGE_KEY], sheet[COF_HASH];
	int64_t now = cof_now(CLOCK_REALTIME) / COF_NSEC;
	struct cof_io *io = NULL;
	struct cof_checkpoint c = {.size = 0};
	char vkey[COF_VKEY_MAX];
	int r = vault_place_archive(v, id, &io, diag);

	cof_json_set(o, "head", head);
	if (r == 0)
		r = head_of(io, &c, diag);
	cof_io_free(io);
	if (r == 0 && cof_age_recipient_parse(to, strlen(to), key) < 0)
		r = cof_fail(diag, -EINVAL, "'%s' is no age recipient (age1…)", to);
	if (r < 0)
		return r;
	cof_vkey_text(&v->vkey, vkey);
	cof_random(nonce, sizeof(nonce));
	cof_sha256(reason, strlen(reason), sheet);
	cof_json_set_str(o, "action", ACTION);
	set_hex(o, "archive", id, 16);
	cof_json_set_str(o, "author", author);
	set_second(o, "created", now);
	set_second(o, "expires", now + VAULT_RELEASE_LIFE / COF_NSEC);
	set_hex(head, "root", c.root, COF_HASH);
	cof_json_set_uint(head, "size", c.size);
	set_hex(o, "nonce", nonce, sizeof(nonce));
	cof_json_set_str(o, "reason", reason);
	set_hex(o, "sheet", sheet, sizeof(sheet));
	cof_json_set_str(o, "to", to);
	cof_json_set_str(o, "vault", vkey);
	cof_json_set_uint(o, "version", 1);
	r = cof_json_canonical(o, ret);
	return r < 0 || ret->failed ? cof_fail(diag, r < 0 ? r : -ENOMEM, "the document cannot be made") : 0;
}

/* ---- judging it ---- */

struct releasing {
	const struct vault_place *place;
	const struct vault_approval *approval;
	size_t n;
	const char *document;
	const struct cof_request *q;
	uint64_t sequence; /* of the frame that would come next */
	int64_t now;
	uint64_t offences; /* in the copy itself */
	bool met;
	struct cof_diag *diag;
};

static void found(void *user, uint64_t sequence COF_UNUSED, const char *type, const char *rule COF_UNUSED, const char *reason COF_UNUSED)
{
	struct releasing *r = user;

	r->offences += !strcmp(type, "people") || !strcmp(type, "policy");
}

static void put_signature(struct cof_buf *fields, const struct vault_approval *a)
{
	cof_autobuf struct cof_buf b = {0};

	cof_buf_add(&b, a->name, strlen(a->name) + 1);
	cof_buf_add(&b, a->armored, strlen(a->armored));
	if (b.failed)
		fields->failed = true;
	else
		cof_field_put(fields, COF_T_SIGNATURE, b.data, b.len);
}

static int take_frame(struct releasing *r, struct cof_judge *j, unsigned type, const struct cof_buf *fields, const char *who)
{
	struct cof_judge_frame f = {.type = type, .sequence = r->sequence++, .record_time = r->now, .retention_time = r->now,
				    .proven_from = r->now, .fields = fields->data, .n = fields->len};
	struct cof_judgement said = {.rule = NULL};
	int e = fields->failed ? -ENOMEM : cof_judge_take(j, &f, &said);

	if (e == -EPERM)
		return cof_fail(r->diag, e, "the signature of %s does not count (%s): %s", who, said.rule, said.reason);
	r->met |= e == 0 && said.met;
	return e;
}

static int behind(void *user, struct cof_judge *j)
{
	struct releasing *r = user;
	const uint8_t approve = COF_VERDICT_APPROVE;
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->n; i++) {
		cof_autobuf struct cof_buf fields = {0};

		cof_field_put(&fields, COF_T_REQUEST, r->q->id, sizeof(r->q->id));
		if (i == 0)
			cof_field_put(&fields, COF_T_DOCUMENT, r->document, strlen(r->document));
		else
			cof_field_put(&fields, COF_T_VERDICT, &approve, 1);
		put_signature(&fields, &r->approval[i]);
		e = take_frame(r, j, i ? TYPE_APPROVAL : TYPE_REQUEST, &fields, r->approval[i].name);
	}
	if (e == 0 && !r->met) {
		struct cof_approval_rule rule;
		char text[64] = "two persons";

		if (cof_judge_rule(j, ACTION, NULL, &rule) == 0)
			cof_approval_rule_text(&rule, text);
		e = cof_fail(r->diag, -EPERM, "more signatures are wanted: the archive's rule is %s, the author among them", text);
	}
	return e;
}

static int judge(struct releasing *r, struct cof_io *io)
{
	struct cof_judge_store p = {.verify = cof_sshsig_verify, .now = r->now, .finding = found, .user = r, .behind = behind};
	struct cof_judged seen;
	struct cof_checkpoint head = {.size = 0};
	struct cof_conf conf;
	struct cof_diag why = {""};
	int e = cof_conf_load(io, &conf, r->diag);

	if (e == 0)
		e = head_of(io, &head, r->diag);
	if (e < 0)
		return e;
	if (conf.flags & COF_ARCHIVE_TEST_CLOCK)
		p.now = 0;
	r->sequence = head.size;
	e = cof_store_judge(io, &p, &seen, &why);
	if (e < 0)
		return *r->diag->text ? e : cof_fail(r->diag, e, "%s", why.text);
	if (seen.unreadable || seen.end < head.size)
		return cof_fail(r->diag, -EBADMSG, "frames of the copy cannot be read, and what people signed may be among them: coffer-vault scrub, and "
						   "a sync mends it. Nothing is released before");
	return r->offences ? cof_fail(r->diag, -EPERM, "people or policy of this archive were changed by what nobody permitted: coffer-vault status. "
						       "Nothing is released by them")
			   : 0;
}

/* ---- once ---- */

static int used(struct cof_io *io, const uint8_t id[32], struct cof_buf *lines, struct cof_diag *diag)
{
	cof_autofree uint8_t *text = NULL;
	char hex[2 * COF_HASH + 1];
	size_t n = 0;
	int r = cof_io_load(io, RELEASED, RELEASED_MAX, &text, &n);

	if (r < 0 && r != -ENOENT)
		return cof_fail(diag, r, "what was released before cannot be read: %s", strerror(-r));
	cof_hex(id, 32, hex);
	if (text && n && memmem(text, n, hex, strlen(hex)))
		return cof_fail(diag, -EPERM, "this request was executed already (replay): make a new one");
	if (text && n)
		cof_buf_add(lines, text, n);
	return 0;
}

/* For the host, if there is one still: it is told at its next session. */
static int sign_it(struct cof_io *io, const struct releasing *r, const struct cof_json *line)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autobuf struct cof_buf signed_text = {0};
	const char *text = cof_json_text((struct cof_json *)line, false);
	int e = text ? cof_json_parse(text, strlen(text), &o) : -ENOMEM;

	if (e == 0)
		cof_json_set_bytes(o, "reason", cof_json_str(o, "reason"), strnlen(cof_json_str(o, "reason"), REASON_MAX));
	if (e == 0)
		e = vault_released_sign(r->place, r->q->archive, o, &signed_text);
	return e < 0 ? e : vault_receipt_keep(io, signed_text.data, signed_text.len, r->diag);
}

static int note(struct cof_io *io, const struct releasing *r, struct cof_buf *lines, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *names = cof_json_array();
	const char *text;
	int e;

	cof_json_set_time(o, "time", r->now);
	set_hex(o, "request", r->q->id, sizeof(r->q->id));
	cof_json_set_str(o, "to", cof_json_str(r->q->doc, "to"));
	cof_json_set_str(o, "reason", cof_json_str(r->q->doc, "reason"));
	for (size_t i = 0; i < r->n; i++)
		cof_json_append(names, cof_json_new_str(r->approval[i].name));
	cof_json_set(o, "signed", names);
	e = sign_it(io, r, o);
	if (e < 0)
		return cof_fail(diag, e, "that R is released cannot be signed, so it is not: %s", strerror(-e));
	text = cof_json_text(o, false);
	cof_buf_printf(lines, "%s\n", text ? text : "");
	e = !text || lines->failed ? -ENOMEM : cof_io_replace(io, RELEASED, lines->data, lines->len);
	return e < 0 ? cof_fail(diag, e, "that R is released cannot be noted, so it is not: %s", strerror(-e)) : 0;
}

static int check_document(const struct vault_place *v, const struct cof_request *q, uint8_t to[COF_AGE_KEY], struct cof_diag *diag)
{
	const char *vault = cof_json_str(q->doc, "vault"), *text = cof_json_str(q->doc, "to");
	char vkey[COF_VKEY_MAX];

	cof_vkey_text(&v->vkey, vkey);
	if (strcmp(q->action, ACTION) != 0)
		return cof_fail(diag, -EPERM, "the document asks for \"%s\" and not for " ACTION, q->action);
	if (!vault || strcmp(vault, vkey) != 0)
		return cof_fail(diag, -EPERM, "the document is for another vault");
	if (!text || !cof_json_str(q->doc, "reason") || cof_age_recipient_parse(text, strlen(text), to) < 0)
		return cof_fail(diag, -EPERM, "the document names no age recipient, or no reason");
	return 0;
}

int vault_release(const struct vault_place *v, const uint8_t id[16], const char *document, const struct vault_approval *approval, size_t n,
		  struct cof_buf *ret, struct cof_diag *diag)
{
	struct releasing r = {.place = v, .approval = approval, .n = n, .document = document, .now = cof_now(CLOCK_REALTIME), .diag = diag};
	cof_autobuf struct cof_buf lines = {0}, sealed = {0};
	struct cof_request q = {.doc = NULL};
	struct cof_diag why = {""};
	uint8_t to[COF_AGE_KEY];
	struct cof_io *io = NULL;
	int e = cof_request_parse(document, strlen(document), &q, &why);

	if (e < 0)
		return cof_fail(diag, e, "the document is none of coffer-vault release: %s", why.text);
	r.q = &q;
	e = check_document(v, &q, to, diag);
	if (e == 0)
		e = vault_place_archive(v, id, &io, diag);
	if (e == 0)
		e = cof_io_lock(io, "coffer-vault", diag);
	if (e == 0) {
		e = used(io, q.id, &lines, diag);
		if (e == 0)
			e = judge(&r, io);
		if (e == 0)
			e = vault_keys_give(v, io, id, NULL, to, &sealed, diag);
		if (e == 0)
			e = note(io, &r, &lines, diag);
		cof_io_unlock(io);
	}
	cof_io_free(io);
	cof_request_done(&q);
	if (e == 0)
		cof_buf_add(ret, sealed.data, sealed.len);
	return e;
}
