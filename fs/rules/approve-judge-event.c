/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on EVENT frames that a person signed: the form is of this archive, and the signature its signer's.
 * A review besides takes up where the one before it ended, a step of a change follows the one before.
 */
#include "fs/rules/approve-judge.h"

#include "base/json.h"
#include "crypto/crypto.h"

#include <stdio.h>

enum { T_SIGNATURE = 147, T_FORM = 148, T_REVIEWED = 149, T_CHANGE = 155 }; /* docs/format.md 4 */

static const char *const review_types[COF_REVIEWS] = {"review", "failed-logins"};

const char *cof_review_type(enum cof_review kind)
{
	return review_types[kind];
}

int cof_review_find(const char *type, enum cof_review *ret)
{
	for (unsigned i = 0; type && i < COF_REVIEWS; i++)
		if (!strcmp(type, review_types[i])) {
			*ret = i;
			return 0;
		}
	return -ENOENT;
}

int cof_judge_reviewed(const struct cof_judge *j, enum cof_review kind, uint64_t *ret_to, uint64_t *ret_sequence)
{
	const struct judged_review *v = &j->review[kind];

	if (!v->sequence)
		return -ENOENT;
	*ret_to = v->next - 1;
	*ret_sequence = v->sequence;
	return 0;
}

/* ---- reviews ---- */

struct range {
	uint64_t from, to, size;
	uint8_t root[32];
};

static int range_of(const struct cof_json *o, struct range *ret)
{
	const struct cof_json *head = cof_json_get(o, "head");
	const char *root = head ? cof_json_str(head, "root") : NULL;
	int64_t from, to, size;

	if (cof_json_int(o, "from", &from) < 0 || cof_json_int(o, "to", &to) < 0 || !root || strlen(root) != 64 ||
	    strspn(root, "0123456789abcdef") != 64 || cof_unhex(root, 64, ret->root) < 0 || cof_json_int(head, "size", &size) < 0 || from < 0 || to < from || size <= to)
		return -EUCLEAN;
	ret->from = (uint64_t)from;
	ret->to = (uint64_t)to;
	ret->size = (uint64_t)size;
	return 0;
}

static int judge_range(const struct cof_judge *j, const struct cof_judge_frame *f, enum cof_review kind,
		       const struct range *v, struct cof_judgement *ret)
{
	uint64_t next = j->review[kind].next;

	if (v->from != next)
		return judge_no(ret, "range", "this review begins with frame %llu, and the next one has to begin with frame %llu: none is "
					      "reviewed twice, and none is skipped",
				(unsigned long long)v->from, (unsigned long long)next);
	if (v->size != v->to + 1 || v->to >= f->sequence)
		return judge_no(ret, "range", "this review ends with frame %llu, which is not the last one of the head that it names",
				(unsigned long long)v->to);
	return 0;
}

/* The field says in clear what the form says, for who looks for the newest one. */
static int judge_review(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_json *o, enum cof_review kind,
			const struct judge_signature *s, bool apply, struct cof_judgement *ret)
{
	uint64_t reviewed;
	struct range v;
	int r;

	if (range_of(o, &v) < 0 || cof_field_u64(f->fields, f->n, T_REVIEWED, &reviewed) < 0 || reviewed != v.to)
		return judge_no(ret, "form", "a review that does not say which frames it looked at");
	if (!(s->person->roles & (COF_ROLE_AUDITOR | COF_ROLE_OFFICER)))
		return judge_no(ret, "role", "%s is neither auditor nor officer, and cannot review", s->principal);
	r = judge_range(j, f, kind, &v, ret);
	if (r == 0)
		r = judge_head(j, f, v.size, v.root, ret);
	if (r == 0 && apply)
		j->review[kind] = (struct judged_review){v.to + 1, f->sequence};
	return r;
}

/* ---- forms that there were: each is in a log once, or one act of a person would count several times ---- */

static uint8_t *form_place(const struct judged_forms *f, const uint8_t digest[32])
{
	static const uint8_t free_place[32];
	size_t at = (size_t)cof_get_le64(digest) & (f->places - 1);

	while (memcmp(f->digest[at], free_place, 32) != 0 && memcmp(f->digest[at], digest, 32) != 0)
		at = (at + 1) & (f->places - 1);
	return f->digest[at];
}

static bool form_known(const struct judged_forms *f, const uint8_t digest[32])
{
	return f->places && !memcmp(form_place(f, digest), digest, 32);
}

static int form_keep(struct judged_forms *f, const uint8_t digest[32])
{
	static const uint8_t free_place[32];
	struct judged_forms more = {.n = f->n, .places = f->places ? 2 * f->places : 64};

	if (f->n >= f->places / 2) {
		more.digest = calloc(more.places, sizeof(*more.digest));
		if (!more.digest)
			return -ENOMEM;
		for (size_t i = 0; i < f->places; i++)
			if (memcmp(f->digest[i], free_place, 32) != 0)
				memcpy(form_place(&more, f->digest[i]), f->digest[i], 32);
		free(f->digest);
		*f = more;
	}
	memcpy(form_place(f, digest), digest, 32);
	f->n++;
	return 0;
}

/* ---- forms ---- */

struct form {
	struct cof_json *o;
	const struct cof_field *text;
	uint8_t digest[32];
	enum cof_review kind;
	bool reviews, changes;
};

static int judge_signed(struct cof_judge *j, const struct cof_judge_frame *f, const struct form *form,
			struct judge_signature *s, bool apply, struct cof_judgement *ret)
{
	const char *purpose = form->reviews ? COF_SIGN_REVIEW : form->changes ? COF_SIGN_CHANGE : COF_SIGN_EVENT;
	int r = judge_signature(j, f, &j->people, purpose, form->text->value, form->text->len, s, ret);

	/* Before a step of it counts once more; of a review the range tells. */
	if (r == 0 && !form->reviews && form_known(&j->forms, form->digest))
		r = judge_no(ret, "repeated", "this form is in the log already: what it says happened once");
	if (r == 0 && form->changes)
		r = judge_change_step(j, f, form->o, form->text, s, apply, ret);
	return r == 0 && form->reviews ? judge_review(j, f, form->o, form->kind, s, apply, ret) : r;
}

static bool is_canonical(const struct form *form)
{
	cof_autobuf struct cof_buf again = {0};

	return cof_json_canonical(form->o, &again) == 0 && !again.failed && again.len == form->text->len && again.data &&
	       !memcmp(again.data, form->text->value, again.len);
}

static bool has(const struct cof_judge_frame *f, uint8_t tag)
{
	struct cof_field field;

	return cof_field_find(f->fields, f->n, tag, &field) == 0;
}

/* What the form is, and that the fields which say so in clear agree. Without a range it is no review, whatever it is
 * called. */
static int sort_of(const struct cof_judge_frame *f, struct form *form, struct cof_judgement *ret)
{
	const char *event = cof_json_str(form->o, "event");
	enum cof_change_step step;

	form->reviews = cof_json_get(form->o, "to") != NULL;
	form->changes = cof_change_find(event, &step) == 0;
	if (form->reviews && cof_review_find(event, &form->kind) < 0)
		return judge_no(ret, "form", "it says which frames it looked at, and is no review");
	if (!form->reviews && has(f, T_REVIEWED))
		return judge_no(ret, "form", "a review that does not say which frames it looked at");
	if (form->changes != has(f, T_CHANGE))
		return judge_no(ret, "form", "a step of a change that does not say of which");
	return 0;
}

static int judge_form(struct cof_judge *j, const struct cof_judge_frame *f, struct form *form, const struct cof_field *armored,
		      bool apply, struct cof_judgement *ret)
{
	struct judge_signature s = {.armored = (const char *)armored->value, .n = armored->len};
	const char *archive = cof_json_str(form->o, "archive"), *signer = cof_json_str(form->o, "signer");
	int64_t version = 0;
	char hex[33];
	int r;

	cof_hex(j->p.archive_id, sizeof(j->p.archive_id), hex);
	if (!is_canonical(form) || cof_json_has_null(form->o) || !signer || strlen(signer) >= sizeof(s.principal))
		return judge_no(ret, "form", "the event's form cannot be read, or names no signer");
	if (cof_json_int(form->o, "version", &version) < 0 || version != 1)
		return judge_no(ret, "form", "the event's form is of another version");
	if (!archive || strcmp(archive, hex) != 0)
		return judge_no(ret, "wrong-archive", "the event's form is for another archive");
	if (!j->has_people)
		return judge_no(ret, "no-people", "an event was signed where nobody is enrolled");
	r = sort_of(f, form, ret);
	if (r < 0)
		return r;
	snprintf(s.principal, sizeof(s.principal), "%s", signer);
	cof_sha256(form->text->value, form->text->len, form->digest);
	r = judge_signed(j, f, form, &s, apply, ret);
	return r == 0 && apply ? form_keep(&j->forms, form->digest) : r;
}

int judge_event(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct cof_field text = {0}, armored = {0};
	int a = cof_field_find(f->fields, f->n, T_FORM, &text), b = cof_field_find(f->fields, f->n, T_SIGNATURE, &armored), r;
	struct form form = {.text = &text};

	if (a < 0 && b < 0 && !has(f, T_REVIEWED) && !has(f, T_CHANGE))
		return 0; /* nobody's signature is in it */
	if (a < 0 || b < 0)
		return judge_no(ret, "form", "an event has a form without a signature, or a signature without a form");
	r = cof_json_parse((const char *)text.value, text.len, &form.o);
	if (r == -ENOMEM)
		return r;
	r = r < 0 ? judge_no(ret, "form", "the event's form cannot be read, or names no signer")
		  : judge_form(j, f, &form, &armored, apply, ret);
	cof_json_free(form.o);
	return r;
}
