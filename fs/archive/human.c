/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person did and says so: a form that its signer signed (ssh-keygen -Y sign -n coffer-event; of a review
 * -n coffer-review, of a change -n coffer-change), on record as an EVENT frame. The form, in clear, says kind, outcome, time, signer and the digest
 * of the sheet; the sheet, where the object, the place and the words are, with a salt, stays private. A form that says
 * "to" is a review of the frames up to there: the judge looks that none is left out. So it does with the steps of a
 * change.
 */
#include "fs/archive/note.h"
#include "fs/archive/people.h"

#define FORM_MAX 4096
#define SHEET_MAX 60000
#define AHEAD_NS (300 * COF_NSEC)	   /* of the wall clock here */
#define LIFE_NS (90 * 86400 * COF_NSEC) /* from the making of a form to its being brought */

struct form {
	struct cof_json *doc, *sheet;
	const char *event, *catalogue, *outcome, *signer; /* of doc */
	int64_t time, created, to;
	bool reviews, changes;
	uint8_t change[32]; /* which */
	struct cof_judgement said; /* of the signature, and what the judge asks besides */
	int64_t asked;		   /* record time */
};

static void form_done(struct form *f)
{
	cof_json_free(f->doc);
	cof_json_free(f->sheet);
}

static int parse_canonical(const struct cof_buf *text, const char *what, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autobuf struct cof_buf again = {0};
	int r = cof_json_parse((const char *)text->data, text->len, &o);

	if (r == 0)
		r = cof_json_canonical(o, &again);
	if (r == -ENOMEM)
		return r;
	/* One newline stands behind it, so that it is a text. */
	if (r == 0 && (!again.len || again.data[again.len - 1] != '\n'))
		cof_buf_add(&again, "\n", 1);
	if (r < 0 || again.failed || again.len != text->len || !again.data || memcmp(again.data, text->data, text->len) != 0)
		return cof_fail(diag, -EINVAL, "the %s is not in canonical form: bring it as coffer event add wrote it", what);
	*ret = o;
	o = NULL;
	return 0;
}

static int check_archive(struct cof_archive *a, const struct form *f, struct cof_diag *diag)
{
	const char *id = cof_json_str(f->doc, "archive");
	char hex[33];

	cof_hex(a->conf.id, sizeof(a->conf.id), hex);
	return id && !strcmp(id, hex) ? 0 : cof_fail(diag, -EINVAL, "this form is for another archive");
}

static int check_kind(struct form *f, struct cof_diag *diag)
{
	enum cof_change_step step;
	enum cof_review kind;

	f->event = cof_json_str(f->doc, "event");
	f->catalogue = cof_json_str(f->doc, "catalogue");
	f->outcome = cof_json_str(f->doc, "outcome");
	f->signer = cof_json_str(f->doc, "signer");
	if (!f->event || !cof_event_type_valid(f->event))
		return cof_fail(diag, -EINVAL, "the form names no type of event: a-z, 0-9 and -");
	if (cof_event_type(f->event))
		return cof_fail(diag, -EINVAL, "%s is what Coffer itself says; a person's event takes another type", f->event);
	f->reviews = cof_json_int(f->doc, "to", &f->to) == 0;
	f->changes = cof_change_find(f->event, &step) == 0;
	if (cof_review_find(f->event, &kind) == 0 && !f->reviews)
		return cof_fail(diag, -EINVAL, "%s says what was looked at, frame by frame: coffer review makes it", f->event);
	if (f->catalogue && !cof_catalogue_find(f->catalogue))
		return cof_fail(diag, -EINVAL, "the catalogue has no kind %.16s", f->catalogue);
	if (!f->outcome || !cof_outcome_valid(f->outcome))
		return cof_fail(diag, -EINVAL, "the outcome is success, failure or attempt");
	return f->signer ? 0 : cof_fail(diag, -EINVAL, "the form names no signer");
}

static int check_times(struct form *f, struct cof_diag *diag)
{
	const char *time = cof_json_str(f->doc, "time"), *created = cof_json_str(f->doc, "created");
	int64_t now = cof_now(CLOCK_REALTIME);

	if (!time || !created || cof_time_parse(time, &f->time) < 0 || cof_time_parse(created, &f->created) < 0)
		return cof_fail(diag, -EINVAL, "the form's times are missing or no times");
	if (f->time > now + AHEAD_NS || f->created > now + AHEAD_NS)
		return cof_fail(diag, -EINVAL, "the form's time is in the future by the clock here");
	if (f->created < now - LIFE_NS)
		return cof_fail(diag, -EINVAL, "the form was made more than 90 days ago: make it again");
	return 0;
}

static int check_sheet(const struct form *f, const struct cof_buf *sheet, struct cof_diag *diag)
{
	const char *hex = cof_json_str(f->doc, "sheet");
	uint8_t digest[COF_HASH];
	char own[65];

	cof_sha256(sheet->data, sheet->len, digest);
	cof_hex(digest, sizeof(digest), own);
	return hex && !strcmp(hex, own) ? 0
					: cof_fail(diag, -EINVAL, "this sheet is not the one that the form names: its SHA-256 is another");
}

/* ---- once only ---- */

struct looking {
	const char *form;
	bool found;
};

static int same_form(void *user, struct cof_json *event)
{
	const char *form = cof_json_str(event, "form");
	struct looking *l = user;

	l->found = form && !strcmp(form, l->form);
	return l->found;
}

static int check_new(struct cof_archive *a, const struct form *f, const struct cof_buf *text, struct cof_diag *diag)
{
	/* The clock here may have stood behind the one where the form was made. */
	struct cof_events_query q = {.since = f->created - 86400 * COF_NSEC, .until = INT64_MAX, .type = f->event};
	struct looking l = {.form = (const char *)text->data};
	uint64_t next;
	int r = cof_archive_events(a, &q, same_form, &l, &next);

	if (r < 0)
		return cof_fail(diag, r, "the events cannot be read: %s", strerror(-r));
	return l.found ? cof_fail(diag, -EEXIST, "this form is on record already") : 0;
}

/* ---- on record ---- */

/* The form that asks for a change is its name; the others have that. */
static int find_change(struct form *f, const struct cof_buf *text, struct cof_diag *diag)
{
	const char *hex = cof_json_str(f->doc, "change");

	if (!f->changes)
		return 0;
	if (!strcmp(f->event, cof_change_type(COF_CHANGE_REQUESTED))) {
		cof_sha256(text->data, text->len, f->change);
		return 0;
	}
	if (!hex || strlen(hex) != 64 || cof_unhex(hex, 64, f->change) < 0)
		return cof_fail(diag, -EINVAL, "the form does not say which change it is of: coffer change makes it");
	return 0;
}

static int put_public(const struct form *f, const struct cof_buf *text, const struct cof_buf *armored, struct cof_buf *ret)
{
	cof_field_put(ret, COF_T_FORM, text->data, text->len);
	cof_field_put(ret, COF_T_EVENT_SIGNATURE, armored->data, armored->len);
	if (f->reviews)
		cof_field_put_u64(ret, COF_T_REVIEWED, (uint64_t)f->to);
	if (f->changes)
		cof_field_put(ret, COF_T_CHANGE, f->change, sizeof(f->change));
	return ret->failed ? -ENOMEM : 0;
}

/* As whoever verifies the chain will judge it. */
static int check_signature(struct cof_archive *a, struct form *f, const struct cof_buf *text, const struct cof_buf *armored,
			   struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0};
	int64_t retention;
	int r = put_public(f, text, armored, &fields);

	cof_clock_now(&a->clock, &f->asked, &retention);
	return r < 0 ? r : cof_people_ask(a, COF_EVENT, &fields, &f->said, diag);
}

static int put(struct cof_archive *a, const struct cof_who *who, struct form *f, const struct cof_buf *text,
	       const struct cof_buf *armored, uint64_t *ret_sequence, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf public_part = {0}, fields = {0}, sheet = {0};
	struct cof_event e = {.type = f->event, .catalogue = f->catalogue, .outcome = f->outcome, .source = "person",
			      .actor_name = f->signer, .time = f->time, .who = who,
			      .path = cof_json_str(f->sheet, "object"), .place = cof_json_str(f->sheet, "place"),
			      .detail = cof_json_str(f->sheet, "text"), .severity = "notice"};
	int r = put_public(f, text, armored, &public_part);

	if (r == 0)
		r = cof_json_canonical(f->sheet, &sheet);
	if (r < 0)
		return r;
	if (sheet.len && sheet.data[sheet.len - 1] != '\n')
		cof_buf_add(&sheet, "\n", 1);
	cof_field_put(&fields, COF_T_SHEET, sheet.data, sheet.len);
	if (fields.failed || sheet.failed)
		return -ENOMEM;
	e.public_fields = public_part.data;
	e.public_len = public_part.len;
	e.fields = fields.data;
	e.fields_len = fields.len;
	return cof_people_emit(a, &e, f->asked, &f->said, ret_sequence, diag);
}

static int check(struct cof_archive *a, struct form *f, const struct cof_buf *text, const struct cof_buf *sheet,
		 const struct cof_buf *armored, struct cof_diag *diag)
{
	int r = parse_canonical(text, "form", &f->doc, diag);

	if (r == 0)
		r = parse_canonical(sheet, "sheet", &f->sheet, diag);
	if (r == 0)
		r = check_archive(a, f, diag);
	if (r == 0)
		r = check_kind(f, diag);
	if (r == 0)
		r = find_change(f, text, diag);
	if (r == 0)
		r = check_times(f, diag);
	if (r == 0)
		r = check_sheet(f, sheet, diag);
	if (r == 0)
		r = check_signature(a, f, text, armored, diag);
	return r == 0 ? check_new(a, f, text, diag) : r;
}

/* What of a form does not do, in a word. */
static const char *refusal(const struct form *f, int r)
{
	static const char *const more[] = {"range", "role", "wrong-head", "step", "same-person", "unknown-change", "no-people",
					    "repeated"};

	for (size_t i = 0; r == -EPERM && f->said.rule && i < COF_COUNT(more); i++)
		if (!strcmp(f->said.rule, more[i]))
			return more[i];
	return r == -EPERM ? "signature" : r == -EEXIST ? "repeated" : "form";
}

int cof_human_event(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, sheet = {0}, armored = {0};
	struct form f = {.doc = NULL};
	struct cof_diag why;
	uint64_t sequence = 0;
	int r = cof_people_bytes(args, "document", FORM_MAX, &text, diag);

	if (r == 0)
		r = cof_people_bytes(args, "sheet", SHEET_MAX, &sheet, diag);
	if (r == 0)
		r = cof_people_bytes(args, "signature", COF_SIGNATURE_MAX, &armored, diag);
	if (r < 0)
		return r;
	r = check(a, &f, &text, &sheet, &armored, diag);
	if (r == -EINVAL || r == -EPERM || r == -EEXIST) {
		why = *diag;
		r = cof_people_refused(a, who, f.reviews ? "review" : f.changes ? "change" : "event", refusal(&f, r), why.text, diag);
	} else if (r == 0) {
		r = put(a, who, &f, &text, &armored, &sequence, diag);
	}
	if (r == 0) {
		cof_json_set_uint(into, "sequence", sequence);
		cof_json_set_str(into, "event", f.event);
		cof_json_set_str(into, "signer", f.signer);
	}
	form_done(&f);
	return r;
}

int cof_human_reviews(struct cof_archive *a, struct cof_json *into)
{
	for (enum cof_review kind = 0; kind < COF_REVIEWS; kind++) {
		struct cof_json *one = cof_json_object();
		uint64_t to, sequence;

		if (cof_judge_reviewed(cof_people_judge(a), kind, &to, &sequence) == 0) {
			cof_json_set_uint(one, "from", to + 1);
			cof_json_set_uint(one, "last", sequence);
		} else {
			cof_json_set_uint(one, "from", 0);
		}
		cof_json_set(into, cof_review_type(kind), one);
	}
	return 0;
}
