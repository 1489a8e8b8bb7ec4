/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that persons sign elsewhere, made by the archive itself: requests, and the first people; and the people as they are.
 */
#include "fs/archive/people.h"

#include <stdio.h>

#define LIFE_DEFAULT (7 * 86400 * COF_NSEC)

void cof_people_base64(struct cof_json *into, const char *key, const void *p, size_t n)
{
	cof_autofree char *text = malloc(cof_base64_len(n) + 1);

	if (!text)
		return;
	cof_base64(p, n, text);
	cof_json_set_str(into, key, text);
}

void cof_people_hex(struct cof_json *into, const char *key, const void *p, size_t n)
{
	char hex[2 * 64 + 1];

	cof_hex(p, COF_MIN(n, (size_t)64), hex);
	cof_json_set_str(into, key, hex);
}

static void set_second(struct cof_json *into, const char *key, int64_t ns)
{
	char text[32];

	cof_time_text(ns - ns % COF_NSEC, text);
	memcpy(text + 19, "Z", 2); /* whole seconds */
	cof_json_set_str(into, key, text);
}

/* ---- making one ---- */

int cof_request_head(struct cof_archive *a, struct cof_json *into, struct cof_diag *diag)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint cp = {0};
	size_t n = 0;
	int r = cof_archive_checkpoint(a);

	if (r == 0)
		r = cof_io_load(a->io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == 0)
		r = cof_checkpoint_open(note, n, &a->conf.vkey, &cp);
	if (r < 0)
		return cof_fail(diag, r, "there is no checkpoint that a document could name: %s", strerror(-r));
	cof_people_hex(into, "root", cp.root, sizeof(cp.root));
	cof_json_set_uint(into, "size", cp.size);
	return 0;
}

static int set_head(struct cof_archive *a, struct cof_json *doc, struct cof_diag *diag)
{
	struct cof_json *head = cof_json_object();
	int r = cof_request_head(a, head, diag);

	cof_json_set(doc, "head", head);
	return r;
}

/* One line of the sheet; what people wrote must not look like another line. */
static void sheet_line(struct cof_buf *sheet, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	cof_buf_printf(sheet, "%-8s ", name);
	for (const char *c = text; *c; c++)
		cof_buf_printf(sheet, *c == '\n' ? "\n         " : "%c", *c);
	cof_buf_add(sheet, "\n", 1);
}

static void begin_sheet(struct cof_archive *a, const struct cof_json *args, const struct cof_json *doc, struct cof_buf *sheet)
{
	uint8_t salt[16];
	char hex[33];

	cof_random(salt, sizeof(salt));
	cof_hex(salt, sizeof(salt), hex);
	cof_buf_printf(sheet, "What this request is about. Its SHA-256 is in the request that is signed.\n\n");
	sheet_line(sheet, "salt", hex);
	sheet_line(sheet, "action", cof_json_str(doc, "action"));
	sheet_line(sheet, "archive", a->conf.vkey.name);
	sheet_line(sheet, "id", cof_json_str(doc, "archive"));
	sheet_line(sheet, "author", cof_json_str(doc, "author"));
	sheet_line(sheet, "created", cof_json_str(doc, "created"));
	sheet_line(sheet, "expires", cof_json_str(doc, "expires"));
	sheet_line(sheet, "reason", cof_json_str(args, "reason"));
	sheet_line(sheet, "case", cof_json_str(args, "case"));
	cof_buf_add(sheet, "\n", 1);
}

static int life_of(const struct cof_json *args, int64_t *ret, struct cof_diag *diag)
{
	*ret = LIFE_DEFAULT;
	if (cof_json_get(args, "expires") && (cof_json_int(args, "expires", ret) < 0 || *ret < COF_NSEC || *ret > COF_REQUEST_LIFE))
		return cof_fail(diag, -EINVAL, "a request lives for a second at least, and 90 days at most");
	return 0;
}

static int start_document(struct cof_archive *a, const struct cof_json *args, const char *action, struct cof_json *doc,
			  struct cof_diag *diag)
{
	const char *author = cof_json_str(args, "author");
	int64_t record, retention, life;
	uint8_t nonce[16];
	int r = life_of(args, &life, diag);

	if (r < 0)
		return r;
	if (!author || !*author || strlen(author) >= COF_PRINCIPAL)
		return cof_fail(diag, -EINVAL, "who makes the request? Name the author as the people file has it (--as NAME)");
	cof_clock_now(&a->clock, &record, &retention);
	cof_random(nonce, sizeof(nonce));
	cof_json_set_str(doc, "action", action);
	cof_people_hex(doc, "archive", a->conf.id, sizeof(a->conf.id));
	cof_json_set_str(doc, "author", author);
	set_second(doc, "created", COF_MAX(record, retention));
	set_second(doc, "expires", COF_MAX(record, retention) + life + COF_NSEC);
	cof_people_hex(doc, "nonce", nonce, sizeof(nonce));
	cof_json_set_int(doc, "version", 1);
	return set_head(a, doc, diag);
}

/* The rule is said to those who sign; what counts is the one in force when they do. */
static void say_rule(struct cof_archive *a, const char *action, const struct cof_json *doc, struct cof_buf *sheet)
{
	struct cof_approval_rule rule;
	char text[64];

	if (cof_judge_rule(cof_people_judge(a), action, doc, &rule) < 0)
		return;
	cof_approval_rule_text(&rule, text);
	cof_buf_printf(sheet, "\nIt takes %s: so many persons in all, the author included, and one of each role named.\n", text);
}

static int give(struct cof_json *doc, struct cof_buf *sheet, struct cof_json *into, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	uint8_t digest[COF_HASH];
	struct cof_request q;
	int r;

	if (sheet->failed)
		return -ENOMEM;
	if (sheet->len > COF_SHEET_MAX)
		return cof_fail(diag, -E2BIG, "the request names too much at once: make several");
	cof_sha256(sheet->data, sheet->len, digest);
	cof_people_hex(doc, "sheet", digest, sizeof(digest));
	r = cof_json_canonical(doc, &text);
	if (r == 0)
		r = cof_request_parse(text.data, text.len, &q, diag);
	if (r < 0)
		return text.len > COF_REQUEST_MAX ? cof_fail(diag, -E2BIG, "the request names too much at once: make several") : r;
	cof_people_base64(into, "document", text.data, text.len);
	cof_people_base64(into, "sheet", sheet->data, sheet->len);
	cof_people_hex(into, "id", q.id, sizeof(q.id));
	cof_json_set_str(into, "action", q.action);
	cof_request_done(&q);
	return 0;
}

const char cof_no_people[] =
    "this archive has no people yet, so nothing that weakens protection can be requested: coffer people set comes first";

int cof_request_make(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag)
{
	const char *name = cof_json_str(args, "action");
	const struct cof_action *action = cof_action_find(name);
	cof_autojson struct cof_json *doc = cof_json_object();
	cof_autobuf struct cof_buf sheet = {0};
	const struct cof_people *people = cof_judge_people(cof_people_judge(a));
	struct cof_request q = {0};
	int r;

	if (!action)
		return cof_fail(diag, -EINVAL, "\"%.40s\" is nothing that can be requested (coffer request --help)", name ? name : "");
	if (!people)
		return cof_fail(diag, -EPERM, "%s", cof_no_people);
	r = start_document(a, args, name, doc, diag);
	if (r == 0 && !cof_people_find(people, cof_json_str(args, "author")))
		r = cof_fail(diag, -EINVAL, "%s is not in the people file (coffer people show)", cof_json_str(args, "author"));
	if (r < 0)
		return r;
	begin_sheet(a, args, doc, &sheet);
	r = action->fill(a, args, doc, &sheet, diag);
	if (r < 0)
		return r;
	say_rule(a, name, doc, &sheet);
	r = give(doc, &sheet, into, diag);
	if (r < 0)
		return r;
	q.doc = doc;
	strcpy(q.action, name);
	return action->check ? action->check(a, doc, diag) : 0;
}

/* ---- the people ---- */

static int make_people(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag)
{
	const char *text = cof_json_str(args, "people"), *revoked = cof_json_str(args, "revoked");
	cof_autojson struct cof_json *doc = cof_json_object(), *more = NULL;
	cof_autobuf struct cof_buf sheet = {0};
	struct cof_people p = {0};
	const char *author = cof_json_str(args, "author");
	int r;

	if (!text)
		return cof_fail(diag, -EINVAL, "\"people\" is the people file as text");
	r = cof_people_parse(text, strlen(text), revoked, revoked ? strlen(revoked) : 0, NULL, &p, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	r = cof_people_fit(a, text, strlen(text), diag);
	if (r < 0) {
		cof_people_done(&p);
		return r;
	}
	more = cof_json_object();
	for (size_t i = 0; i < p.n_persons && (!author || !*author); i++)
		if (p.person[i].roles & COF_ROLE_OFFICER)
			author = p.person[i].name;
	cof_json_set_str(more, "author", author ? author : "");
	if (cof_json_str(args, "reason"))
		cof_json_set_str(more, "reason", cof_json_str(args, "reason"));
	r = cof_people_count(&p, COF_ROLE_OFFICER) < 2
		    ? cof_fail(diag, -EINVAL, "the people file: two officers at least, or nothing could ever be approved")
		    : start_document(a, more, "people-first", doc, diag);
	if (r == 0) {
		begin_sheet(a, more, doc, &sheet);
		cof_buf_printf(&sheet, "The first people of this archive. Each officer signs (ssh-keygen -Y sign -n "
				       COF_SIGN_PEOPLE "):\n\n");
		cof_buf_add(&sheet, text, strlen(text));
		cof_json_set_str(doc, "people", text);
		if (revoked && *revoked)
			cof_json_set_str(doc, "revoked", revoked);
		r = give(doc, &sheet, into, diag);
	}
	cof_people_done(&p);
	return r;
}

/* The first people; later ones are requested. */
int cof_people_set(struct cof_archive *a, const struct cof_json *args, struct cof_json *into, struct cof_diag *diag)
{
	cof_autojson struct cof_json *more = NULL;
	struct cof_json *words;

	if (!cof_judge_people(cof_people_judge(a)))
		return make_people(a, args, into, diag);
	more = cof_json_object();
	words = cof_json_array();
	cof_json_append(words, cof_json_new_str(cof_json_str(args, "people") ? cof_json_str(args, "people") : ""));
	if (cof_json_str(args, "revoked"))
		cof_json_append(words, cof_json_new_str(cof_json_str(args, "revoked")));
	cof_json_set(more, "words", words);
	cof_json_set_str(more, "action", "people-set");
	cof_json_set_str(more, "author", cof_json_str(args, "author") ? cof_json_str(args, "author") : "");
	if (cof_json_str(args, "reason"))
		cof_json_set_str(more, "reason", cof_json_str(args, "reason"));
	return cof_request_make(a, more, into, diag);
}

static int first_fields(const struct cof_request *q, const struct cof_people *people, const struct cof_buf *doc,
			const struct cof_json *args, struct cof_buf *ret, struct cof_diag *diag)
{
	const struct cof_json *all = cof_json_get(args, "signatures");
	const char *revoked = cof_json_str(q->doc, "revoked");
	int r = 0;

	cof_field_put(ret, COF_T_PEOPLE, people->text, people->text_len);
	if (revoked)
		cof_field_put_str(ret, COF_T_REVOKED, revoked);
	cof_field_put(ret, COF_T_DOCUMENT, doc->data, doc->len);
	for (size_t i = 0; r == 0 && i < cof_json_count(all); i++) {
		cof_autobuf struct cof_buf armored = {0};
		const struct cof_json *one = cof_json_at(all, i);

		r = cof_people_bytes(one, "signature", COF_SIGNATURE_MAX, &armored, diag);
		if (r == 0)
			r = cof_people_signature(people, cof_json_str(one, "principal"), &armored, ret, diag);
	}
	return r;
}

int cof_people_first(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag)
{
	cof_autobuf struct cof_buf doc = {0}, fields = {0};
	const char *text, *revoked;
	struct cof_judgement w;
	struct cof_people people = {0};
	struct cof_request q = {0};
	uint64_t sequence = 0;
	int r = cof_people_bytes(args, "document", COF_REQUEST_MAX, &doc, diag);

	if (r == 0)
		r = cof_request_parse(doc.data, doc.len, &q, diag);
	if (r < 0)
		return r;
	text = cof_json_str(q.doc, "people");
	revoked = cof_json_str(q.doc, "revoked");
	r = !text ? cof_fail(diag, -EINVAL, "this document has no people file in it")
		  : cof_people_parse(text, strlen(text), revoked, revoked ? strlen(revoked) : 0, NULL, &people, diag);
	if (r == 0)
		r = first_fields(&q, &people, &doc, args, &fields, diag);
	if (r == 0)
		r = cof_people_put(a, who, COF_PEOPLE, &fields, NULL, &w, &sequence, diag);
	if (r == 0)
		cof_json_set_uint(into, "sequence", sequence);
	cof_people_done(&people);
	cof_request_done(&q);
	return r;
}

int cof_people_show(struct cof_archive *a, struct cof_json *into, struct cof_diag *diag)
{
	const struct cof_people *p = cof_judge_people(cof_people_judge(a));
	struct cof_json *persons = cof_json_array();
	char roles[64];

	if (!p) {
		cof_json_free(persons);
		return cof_fail(diag, -ENOENT, "this archive has no people yet: nothing that weakens protection is possible. Make a "
					       "people file and give it to coffer people set");
	}
	for (size_t i = 0; i < p->n_persons; i++) {
		struct cof_json *one = cof_json_object();
		uint64_t keys = 0, hardware = 0, authorities = 0;

		for (size_t k = 0; k < p->n_keys; k++) {
			if (p->key[k].person != i)
				continue;
			keys++;
			hardware += p->key[k].hardware;
			authorities += p->key[k].authority;
		}
		cof_roles_text(p->person[i].roles, roles);
		cof_json_set_str(one, "name", p->person[i].name);
		cof_json_set_str(one, "roles", roles);
		cof_json_set_uint(one, "keys", keys);
		cof_json_set_uint(one, "hardware", hardware);
		cof_json_set_uint(one, "authorities", authorities);
		cof_json_append(persons, one);
	}
	cof_json_set(into, "persons", persons);
	cof_json_set_bytes(into, "people", p->text, p->text_len);
	if (p->revoked_len)
		cof_json_set_bytes(into, "revoked", p->revoked, p->revoked_len);
	cof_json_set_uint(into, "sequence", cof_judge_people_sequence(cof_people_judge(a)));
	return 0;
}
