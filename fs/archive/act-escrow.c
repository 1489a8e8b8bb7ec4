/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The actions of escrow. escrow-accept: what a record proposes counts from then on, an epoch that was begun, a custodian
 * enrolled or revoked, a key or epoch revoked. escrow-release: a key may be recovered, once, for a recipient that the
 * document names. What they do is a record each; keys are neither read nor opened.
 */
#include "fs/archive/escrow.h"
#include "crypto/age.h"
#include "crypto/cms.h"

#include <stdio.h>

#define COF_CERTIFICATE_MAX 8192 /* bytes of one that something is released to */

/* ---- what both share ---- */

static int get_shelf(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, uint64_t *ret, struct cof_diag *diag)
{
	const char *name = cof_action_word(args, 0);
	struct cof_json *shelves = cof_json_array();
	int r = name ? cof_archive_resolve(a, name, ret) : -EINVAL;

	cof_json_append(shelves, cof_json_new_uint(*ret));
	cof_json_set(doc, "shelves", shelves);
	return r < 0 ? cof_fail(diag, -EINVAL, "which shelf? \"%.64s\" is none of this archive", name ? name : "") : 0;
}

/* So that those who sign see what it is about: each field by its name. */
static void put_line(void *user, const char *key, const char *text)
{
	struct cof_buf *sheet = user;

	if (!text)
		return;
	cof_buf_printf(sheet, "%s: ", key);
	for (; *text; text++)
		cof_buf_printf(sheet, *text == '\n' ? "\n    " : "%c", *text);
	cof_buf_add(sheet, "\n", 1);
}

static void tell(const struct cof_escrow_record *r, struct cof_buf *sheet)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const struct cof_buf *parts[] = {&r->public_part, &r->private_part};
	struct cof_field f;

	for (size_t i = 0; i < COF_COUNT(parts); i++) {
		size_t off = 0;

		while (cof_field_next(parts[i]->data, parts[i]->len, &off, &f) > 0)
			if (cof_escrow_tag(f.tag))
				(void)cof_escrow_show(o, &f);
	}
	cof_json_each(o, put_line, sheet);
}

static uint64_t shelf_of(const struct cof_escrow_record *r)
{
	uint64_t shelf = 0;

	(void)cof_field_u64(r->public_part.data, r->public_part.len, COF_T_ESCROW_SHELF, &shelf);
	return shelf;
}

/* Whether the act's record is there, of before a crash. */
struct done {
	const uint8_t *request;
	bool found;
};

static int is_done(void *user, const struct cof_escrow_record *r)
{
	struct done *d = user;
	uint8_t id[32];

	d->found = cof_field_bytes(r->public_part.data, r->public_part.len, COF_T_REQUEST, id, sizeof(id)) == 0 &&
		   !memcmp(id, d->request, sizeof(id));
	return d->found;
}

/* What the judge says of it once it is asked about the frame, said before anybody signs. */
static int check_made(struct cof_archive *a, const struct cof_escrow_facts *f, const uint8_t *document, struct cof_diag *diag)
{
	struct cof_judgement w;
	int r = f->has_epoch && !f->rehearsal ? cof_judge_made(cof_people_judge(a), f->epoch, f->epoch_key, document, &w) : 0;

	return r == -EPERM ? cof_fail(diag, r, "%s", w.reason) : r;
}

/* ---- escrow-accept ---- */

static uint8_t proposes(const struct cof_escrow_record *r)
{
	uint8_t what = 0;

	if (cof_escrow_what(r) == COF_ESC_EPOCH)
		return COF_ESC_EPOCH_VALID;
	if (cof_escrow_what(r) != COF_ESC_PROPOSED ||
	    cof_field_u8(r->public_part.data, r->public_part.len, COF_T_ESCROW_PROPOSES, &what) < 0)
		return 0;
	return cof_escrow_needs_request(what) && what != COF_ESC_RELEASE ? what : 0;
}

static int get_record(struct cof_archive *a, const struct cof_json *doc, struct cof_escrow_record *ret, struct cof_diag *diag)
{
	int64_t sequence = 0;
	uint64_t shelf = 0;
	int r = cof_json_int(doc, "record", &sequence) < 0 || sequence <= 0 ? -ENOENT : cof_escrow_get(a, (uint64_t)sequence, ret);

	if (r == 0 && (!proposes(ret) || cof_request_shelf(doc, 0, &shelf) < 0 || shelf != shelf_of(ret)))
		r = -ENOENT;
	if (r < 0)
		cof_escrow_record_done(ret);
	return r == -ENOENT ? cof_fail(diag, -EINVAL, "record %lld of escrow proposes nothing on this shelf", (long long)sequence) : r;
}

static int fill_accept(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		       struct cof_diag *diag)
{
	const char *word = cof_action_word(args, 1);
	struct cof_escrow_record record = {.sequence = 0};
	uint64_t shelf = 0;
	char *end = NULL;
	int r = get_shelf(a, args, doc, &shelf, diag);

	if (r < 0)
		return r;
	cof_json_set_uint(doc, "record", word ? strtoull(word, &end, 10) : 0);
	if (!word || *end)
		return cof_fail(diag, -EINVAL, "which record? The number that coffer escrow named when it was proposed");
	r = get_record(a, doc, &record, diag);
	if (r < 0)
		return r;
	cof_json_set_str(doc, "what", cof_escrow_name(proposes(&record)));
	tell(&record, sheet);
	cof_escrow_record_done(&record);
	return sheet->failed ? -ENOMEM : 0;
}

struct accepted {
	uint64_t of;
	bool found;
};

static int is_accepted(void *user, const struct cof_escrow_record *r)
{
	struct accepted *w = user;
	uint64_t of = 0;

	w->found = cof_escrow_needs_request(cof_escrow_what(r)) && cof_escrow_what(r) != COF_ESC_RELEASE &&
		   cof_field_u64(r->public_part.data, r->public_part.len, COF_T_ESCROW_OF, &of) == 0 && of == w->of;
	return w->found;
}

static int check_accept(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct cof_escrow_record record = {.sequence = 0};
	struct accepted w = {.found = false};
	struct cof_escrow_facts facts;
	uint8_t document[32] = {0};
	int r = get_record(a, doc, &record, diag);

	if (r < 0)
		return r;
	w.of = record.sequence;
	cof_escrow_facts(record.public_part.data, record.public_part.len, &facts);
	(void)cof_field_bytes(record.public_part.data, record.public_part.len, COF_T_ESCROW_SHA256, document, sizeof(document));
	if (facts.what == COF_ESC_EPOCH && facts.outcome != 1)
		r = cof_fail(diag, -EPERM, "the epoch's document is not valid yet: not every custodian had confirmed when it was put here");
	if (r == 0 && facts.what == COF_ESC_EPOCH)
		r = check_made(a, &facts, document, diag);
	if (r == 0)
		r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, is_accepted, &w);
	cof_escrow_record_done(&record);
	return r == 0 && w.found ? cof_fail(diag, -EPERM, "it was accepted already") : r;
}

/* What it proposes, with the same fields. */
static int copy_fields(const struct cof_escrow_record *r, struct cof_buf *ret)
{
	struct cof_field f;
	size_t off = 0;
	int more;

	cof_field_put_u8(ret, COF_T_ESCROW, proposes(r));
	cof_field_put_u64(ret, COF_T_ESCROW_OF, r->sequence);
	while ((more = cof_field_next(r->public_part.data, r->public_part.len, &off, &f)) > 0)
		if (f.tag > COF_T_ESCROW && f.tag != COF_T_ESCROW_OF && f.tag != COF_T_ESCROW_PROPOSES)
			cof_field_put(ret, f.tag, f.value, f.len);
	return more < 0 ? more : ret->failed ? -ENOMEM : 0;
}

static int apply_accept(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	struct cof_escrow_record record = {.sequence = 0};
	cof_autobuf struct cof_buf fields = {0};
	struct done before = {.request = g->request};
	uint64_t sequence;
	int r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, is_done, &before);

	if (r < 0 || before.found)
		return r;
	r = get_record(a, doc, &record, diag);
	if (r == 0)
		r = copy_fields(&record, &fields);
	if (r == 0)
		r = cof_escrow_put(a, g->who, record.object, &fields, &record.private_part, g->request, &sequence, diag);
	cof_escrow_record_done(&record);
	return r;
}

const struct cof_action cof_act_escrow_accept = {.name = "escrow-accept", .fill = fill_accept, .check = check_accept, .apply = apply_accept};

/* ---- escrow-release ---- */

struct finding {
	uint64_t shelf;
	uint8_t key[16];
	struct cof_buf *sheet; /* NULL: not told */
	bool found, revoked;
	struct cof_escrow_facts file; /* of the newest one that counts: to which epoch it is encrypted */
};

/* As the judge of a whole chain has it: a key is taken in once, and stays of a rehearsal, or of none. */
static void meet_file(struct finding *w, const struct cof_escrow_record *r)
{
	struct cof_escrow_facts f;

	cof_escrow_facts(r->public_part.data, r->public_part.len, &f);
	if (f.what == COF_ESC_KEY ? w->found : f.what != COF_ESC_ROTATED || !w->found || f.rehearsal != w->file.rehearsal)
		return;
	w->file = f;
	w->found = true;
	if (f.what == COF_ESC_KEY && w->sheet)
		tell(r, w->sheet);
}

static int find_key(void *user, const struct cof_escrow_record *r)
{
	struct finding *w = user;
	uint8_t key[16];

	if (shelf_of(r) != w->shelf ||
	    cof_field_bytes(r->public_part.data, r->public_part.len, COF_T_ESCROW_KEY, key, sizeof(key)) < 0 ||
	    memcmp(key, w->key, sizeof(key)) != 0)
		return 0;
	meet_file(w, r);
	w->revoked |= cof_escrow_what(r) == COF_ESC_REVOKED;
	return 0;
}

static bool is_age(const char *to)
{
	uint8_t recipient[COF_AGE_KEY];

	return to && cof_age_recipient_parse(to, strlen(to), recipient) == 0;
}

/* Documents are made elsewhere, too: what is no recipient would be approved, and nobody could have the key. */
static int check_form(const char *to, struct cof_diag *diag)
{
	if (to && (is_age(to) || cof_cms_name_ok(to)))
		return 0;
	return cof_fail(diag, -EINVAL, "to whom? An age recipient (age1...), behind the key's number; or by coffer escrow recover "
				       "--to FILE a certificate");
}

static int look_for(struct cof_archive *a, const struct cof_json *doc, struct finding *w, struct cof_diag *diag)
{
	const char *key = cof_json_str(doc, "key");
	int r = cof_request_shelf(doc, 0, &w->shelf) < 0 || !key || strlen(key) != 32 || cof_unhex(key, 32, w->key) < 0 ? -EINVAL : 0;

	if (r == 0)
		r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_OF_KEY, w->key, sizeof(w->key)), 0, find_key, w);
	if (r == 0 && !w->found)
		r = -EINVAL;
	if (r == -EINVAL)
		return cof_fail(diag, r, "which key? \"%.64s\" is none on this shelf: coffer escrow list has them", key ? key : "");
	if (r == 0 && w->revoked)
		return cof_fail(diag, -EPERM, "this key was revoked: nobody recovers it");
	if (r == 0)
		r = check_form(cof_json_str(doc, "recipient"), diag);
	return r == 0 ? check_made(a, &w->file, NULL, diag) : r;
}

static void tell_certificate(const struct cof_cms_recipient *c, struct cof_buf *sheet)
{
	char serial[2 * COF_CERT_SERIAL_MAX + 1], end[32];

	cof_hex(c->cert.serial, c->cert.serial_len, serial);
	cof_time_text(c->cert.not_after, end);
	put_line(sheet, "the owner of the certificate", c->cert.subject);
	put_line(sheet, "issued by", c->cert.issuer);
	put_line(sheet, "serial number", serial);
	put_line(sheet, "valid until", end);
}

/* R15: as the policy has it, where that is more than the least of this version. */
static int check_strength(struct cof_archive *a, const struct cof_cms_recipient *c, struct cof_diag *diag)
{
	struct cof_profile p;
	uint32_t least;
	int r = cof_archive_policy(a, &p);

	least = c->curve ? p.ecc_bits : p.rsa_bits;
	return r == 0 && c->bits < least ? cof_fail(diag, -EPERM, "the certificate's key has %u bits; the policy asks for %u (%s)", c->bits, least,
						    c->curve ? "ecc_bits" : "rsa_bits")
					 : r;
}

/* An age recipient, or the name of a certificate, with the certificate, so that those who sign see whose it is. */
int cof_escrow_recipient(struct cof_archive *a, const char *to, const char *text, struct cof_buf *sheet, struct cof_diag *diag)
{
	struct cof_cms_recipient c = {.bits = 0};
	size_t n = text ? strlen(text) : 0, len = 0;
	uint8_t der[COF_CERTIFICATE_MAX];
	int r = check_form(to, diag);

	if (r < 0 || !to || is_age(to)) /* none is of no form */
		return r;
	if (!n || n > cof_base64_len(sizeof(der)) || cof_unbase64(text, n, der, sizeof(der), &len) < 0)
		return cof_fail(diag, -EINVAL, "the certificate that %s names has to be given with it, at most %zu bytes: coffer escrow recover "
					       "--to FILE does", to, sizeof(der));
	r = cof_cms_recipient_read(der, len, cof_now(CLOCK_REALTIME), &c, diag);
	if (r == 0 && strcmp(c.name, to) != 0)
		r = cof_fail(diag, -EINVAL, "the certificate that was given is %s, not %s", c.name, to);
	if (r == 0)
		r = check_strength(a, &c, diag);
	if (r == 0 && sheet)
		tell_certificate(&c, sheet);
	cof_cms_recipient_done(&c);
	return r;
}

static int fill_release(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
			struct cof_diag *diag)
{
	const char *key = cof_action_word(args, 1), *to = cof_action_word(args, 2);
	struct finding w = {.sheet = sheet};
	uint64_t shelf = 0;
	int r = get_shelf(a, args, doc, &shelf, diag);

	if (r < 0)
		return r;
	cof_buf_printf(sheet, "This key is released to %s, once:\n", to ? to : "");
	r = cof_escrow_recipient(a, to, cof_action_word(args, 3), sheet, diag);
	if (r < 0)
		return r;
	if (!cof_json_str(args, "reason"))
		return cof_fail(diag, -EINVAL, "a key is released for a reason: --reason TEXT");
	cof_json_set_str(doc, "key", key ? key : "");
	cof_json_set_str(doc, "recipient", to ? to : "");
	r = look_for(a, doc, &w, diag);
	return r == 0 && sheet->failed ? -ENOMEM : r;
}

static int check_release(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct finding w = {.found = false};

	return look_for(a, doc, &w, diag);
}

static int apply_release(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0}, nothing = {0};
	const char *to = cof_json_str(doc, "recipient");
	struct done before = {.request = g->request};
	struct finding w = {.found = false};
	uint64_t sequence;
	int r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, is_done, &before);

	if (r < 0 || before.found)
		return r;
	r = look_for(a, doc, &w, diag);
	if (r < 0)
		return r;
	cof_field_put_u8(&fields, COF_T_ESCROW, COF_ESC_RELEASE);
	cof_field_put_u64(&fields, COF_T_ESCROW_SHELF, w.shelf);
	cof_field_put(&fields, COF_T_ESCROW_KEY, w.key, sizeof(w.key));
	cof_field_put_str(&fields, COF_T_ESCROW_TO, to ? to : "");
	return cof_escrow_put(a, g->who, 0, &fields, &nothing, g->request, &sequence, diag);
}

const struct cof_action cof_act_escrow_release = {.name = "escrow-release", .fill = fill_release, .check = check_release, .apply = apply_release};
