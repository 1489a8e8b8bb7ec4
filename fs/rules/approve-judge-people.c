/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on PEOPLE frames: the first, countersigned by every officer in it, and those that follow by request. */
#include "fs/rules/approve-judge.h"

#include "crypto/crypto.h"

#include <stdio.h>

void judge_people_digest(const char *text, size_t n, const void *revoked, size_t revoked_len, uint8_t ret[32])
{
	struct iovec iov[] = {{(void *)(uintptr_t)text, n},
			      {(void *)(uintptr_t)"", 1},
			      {(void *)(uintptr_t)revoked, revoked_len}};

	cof_sha256v(iov, 3, ret);
}

static bool same_text(const char *text, const struct cof_field *field)
{
	return text ? strlen(text) == field->len && !memcmp(text, field->value, field->len) : !field->len;
}

/* Every signature there is counts for one officer; in the end each of them has one. */
static int countersigned(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_people *people,
			 const struct cof_field *doc, struct cof_judgement *ret)
{
	cof_autofree bool *signed_by = calloc(people->n_persons + 1, sizeof(*signed_by));
	struct cof_field field;
	size_t off = 0;
	int r;

	if (!signed_by)
		return -ENOMEM;
	while ((r = cof_field_next(f->fields, f->n, &off, &field)) == 1) {
		struct judge_signature s;

		if (field.tag != COF_T_SIGNATURE)
			continue;
		if (judge_signature_take(&field, &s) < 0)
			return judge_no(ret, "malformed", "a countersignature names nobody");
		r = judge_signature(j, f, people, COF_SIGN_PEOPLE, doc->value, doc->len, &s, ret);
		if (r < 0)
			return r;
		signed_by[s.person - people->person] = true;
	}
	for (size_t i = 0; r == 0 && i < people->n_persons; i++)
		if ((people->person[i].roles & COF_ROLE_OFFICER) && !signed_by[i])
			return judge_no(ret, "countersign", "the first people file has to be signed by each officer in it, and %s has "
							    "not (ssh-keygen -Y sign -n " COF_SIGN_PEOPLE ")",
					people->person[i].name);
	return r < 0 ? judge_no(ret, "malformed", "the frame is damaged") : 0;
}

static int judge_first(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_people *people,
		       const struct cof_field *text, const struct cof_field *revoked, struct cof_judgement *ret)
{
	struct cof_diag why = {""};
	struct cof_request q;
	struct cof_field doc;
	int r;

	if (cof_field_find(f->fields, f->n, COF_T_DOCUMENT, &doc) < 0)
		return judge_no(ret, "malformed", "the first people frame lacks the document that the officers sign");
	r = cof_request_parse(doc.value, doc.len, &q, &why);
	if (r < 0)
		return r == -EUCLEAN ? judge_no(ret, "malformed", "%s", why.text) : r;
	if (strcmp(q.action, "people-first") != 0 || !same_text(cof_json_str(q.doc, "people"), text) ||
	    !same_text(cof_json_str(q.doc, "revoked"), revoked))
		r = judge_no(ret, "wrong-document", "the officers signed another people file");
	if (r == 0)
		r = judge_document(j, f, &q, ret);
	if (r == 0 && cof_people_count(people, COF_ROLE_OFFICER) < 2)
		r = judge_no(ret, "people", "two officers at least, or nothing could ever be approved");
	if (r == 0)
		r = countersigned(j, f, people, &doc, ret);
	cof_request_done(&q);
	return r;
}

/* Those that follow come by a request, whose document has their text. */
static int judge_next(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_field *text,
		      const struct cof_field *revoked, bool apply, struct cof_judgement *ret)
{
	struct judged_request *q;
	int r = judge_act(j, f, "people-set", NULL, &q, ret);

	if (r < 0)
		return r;
	if (!q)
		return judge_no(ret, "not-approved", "the people change by an approved request only (coffer request people-set)");
	if (!same_text(cof_json_str(q->q.doc, "people"), text) || !same_text(cof_json_str(q->q.doc, "revoked"), revoked))
		return judge_no(ret, "wrong-document", "another people file was approved");
	r = judge_once(j, q, ret);
	q->used |= r == 0 && apply;
	return r;
}

/* Signatures count under the people they were given under. */
static void end_open_requests(struct cof_judge *j, const struct cof_judge_frame *f)
{
	for (size_t i = 0; i < j->n_requests; i++) {
		struct judged_request *r = j->request[i];

		if (r->state != COF_REQUEST_OPEN)
			continue;
		r->state = COF_REQUEST_FAILED;
		(void)snprintf(r->outcome, sizeof(r->outcome), "the people changed (frame %llu): request it anew",
			       (unsigned long long)f->sequence);
	}
}

int judge_people(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct cof_field text, revoked = {.value = (const uint8_t *)""};
	struct cof_diag why = {""};
	struct cof_people people;
	int r = cof_field_find(f->fields, f->n, COF_T_PEOPLE, &text);

	if (r < 0)
		return judge_no(ret, "malformed", "a people frame without people");
	(void)cof_field_find(f->fields, f->n, COF_T_REVOKED, &revoked);
	r = cof_people_parse((const char *)text.value, text.len, revoked.value, revoked.len, j->profile.exclusive, &people, &why);
	if (r < 0)
		return r == -EUCLEAN ? judge_no(ret, "people", "the people file: %s", why.text) : r;
	r = j->has_people ? judge_next(j, f, &text, &revoked, apply, ret) : judge_first(j, f, &people, &text, &revoked, ret);
	if (r < 0 || !apply) {
		cof_people_done(&people);
		return r;
	}
	cof_people_done(&j->people);
	j->people = people;
	j->has_people = true;
	j->people_sequence = f->sequence;
	judge_people_digest(people.text, people.text_len, people.revoked, people.revoked_len, j->people_digest);
	end_open_requests(j, f);
	return 0;
}
