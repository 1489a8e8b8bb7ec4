/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on REQUEST and APPROVAL frames: who signed what, when, and whether the rule is met by it. */
#include "fs/rules/approve-judge.h"

#include "crypto/crypto.h"

#include <stdio.h>

/* ---- signatures ---- */

int judge_signature_take(const struct cof_field *field, struct judge_signature *ret)
{
	const uint8_t *end = memchr(field->value, 0, field->len);
	size_t n = end ? (size_t)(end - field->value) : 0;

	*ret = (struct judge_signature){0};
	if (!n || n >= sizeof(ret->principal))
		return -EUCLEAN;
	memcpy(ret->principal, field->value, n);
	ret->armored = (const char *)end + 1;
	ret->n = field->len - n - 1;
	return 0;
}

static int said(struct cof_judgement *ret, int error, const struct judge_signature *s, const struct cof_diag *why)
{
	const char *rule = error == -EKEYREVOKED ? "revoked" : error == -EKEYEXPIRED ? "key-interval" : "wrong-signature";

	return judge_no(ret, rule, "the signature of %s does not count: %s", s->principal, why->text);
}

static const struct cof_person_key *key_of(const struct cof_people *people, const struct judge_signature *s)
{
	for (size_t i = 0; i < people->n_keys; i++) {
		const struct cof_person_key *k = &people->key[i];

		if (&people->person[k->person] == s->person && k->authority == s->info.certificate &&
		    !memcmp(k->key, k->authority ? s->info.authority : s->info.key, 32))
			return k;
	}
	return NULL;
}

int judge_signature(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_people *people,
		    const char *purpose, const void *doc, size_t doc_len, struct judge_signature *s,
		    struct cof_judgement *ret)
{
	const struct cof_person_key *key;
	struct cof_signature c;
	struct cof_diag why = {""};
	int r = cof_signature_read(s->armored, s->n, &s->info, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return said(ret, -EUCLEAN, s, &why);
	s->person = cof_people_find(people, s->principal);
	if (!s->person)
		return judge_no(ret, "unknown-person", "%s is not in the people file (coffer people show)", s->principal);
	if (s->person->roles == COF_ROLE_VAULT)
		return judge_no(ret, "role", "%s is a vault, which neither requests nor approves", s->principal);
	if (strcmp(s->info.purpose, purpose) != 0)
		return judge_no(ret, "wrong-purpose", "the signature of %s was made for \"%s\", and %s is wanted "
						      "(ssh-keygen -Y sign -n %s)",
				s->principal, s->info.purpose, purpose, purpose);
	key = key_of(people, s);
	if (!key)
		return judge_no(ret, "wrong-key", "the key that signed is none that the people file has for %s", s->principal);
	if (s->info.hardware && !s->info.present)
		return judge_no(ret, "not-present", "the hardware key of %s signed without anybody touching it", s->principal);
	if (key->verify_required && !s->info.verified)
		return judge_no(ret, "not-verified", "the hardware key of %s did not verify the person (PIN or body)",
				s->principal);
	if (f->trusted)
		return 0;
	if (!j->p.verify)
		return -EOPNOTSUPP;
	c = (struct cof_signature){.people = people->text,
				   .people_len = people->text_len,
				   .revoked = people->revoked,
				   .revoked_len = people->revoked_len,
				   .principal = s->principal,
				   .purpose = purpose,
				   .document = doc,
				   .document_len = doc_len,
				   .armored = s->armored,
				   .armored_len = s->n,
				   .time = judge_signed_at(f)};
	r = j->p.verify(j->p.verify_user, &c, &why);
	if (r == -EKEYREJECTED || r == -EKEYREVOKED || r == -EKEYEXPIRED || r == -EUCLEAN)
		return said(ret, r, s, &why);
	if (r < 0)
		(void)judge_no(ret, "not-judged", "the signature of %s could not be judged: %s", s->principal, why.text);
	return r;
}

/* ---- documents ---- */

int judge_head(struct cof_judge *j, const struct cof_judge_frame *f, uint64_t size, const uint8_t named[32],
	       struct cof_judgement *ret)
{
	uint8_t root[32];
	int r = size > f->sequence ? -ENOENT : 0;

	if (r == 0 && (f->trusted || !j->p.head))
		return 0;
	if (r == 0)
		r = j->p.head(j->p.head_user, size, root);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r < 0 || memcmp(root, named, sizeof(root)) != 0)
		return judge_no(ret, "wrong-head", "the head that the document names (%llu frames) is none of this log: it was "
						   "made on another copy of the archive, or the log was rewritten",
				(unsigned long long)size);
	return 0;
}

int judge_document(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_request *q,
		   struct cof_judgement *ret)
{
	char text[32];

	if (memcmp(q->archive, j->p.archive_id, sizeof(q->archive)) != 0)
		return judge_no(ret, "wrong-archive", "the request is for another archive");
	if (judge_fastest(f) >= q->expires) {
		cof_time_text(q->expires, text);
		return judge_no(ret, "expired", "the request expired at %s, by the fastest of the archive's clocks: make a new one",
				text);
	}
	return judge_head(j, f, q->head, q->root, ret);
}

int judge_before(const struct cof_judge *j, const struct cof_request *q, struct cof_judgement *ret)
{
	const uint8_t *now = NULL;
	uint64_t shelf;

	if (!strcmp(q->action, "people-set"))
		now = j->people_digest;
	else if (!strcmp(q->action, "profile-set") && j->has_profile)
		now = j->profile_digest;
	else if (!strcmp(q->action, "shelf-set") && !j->p.policy && cof_request_shelf(q->doc, 0, &shelf) == 0)
		for (size_t i = 0; i < j->n_shelves && !now; i++)
			now = j->shelf[i].ino == shelf ? j->shelf[i].digest : NULL;
	if (now && (!q->has_before || memcmp(now, q->before, 32) != 0))
		return judge_no(ret, "changed-object", "what it would change is no longer as it was when the request was made: "
						       "make a new one");
	return 0;
}

/* Whoever keeps back that it was done could do it once more, or later: over what others approved meanwhile. */
int judge_once(const struct cof_judge *j, const struct judged_request *r, struct cof_judgement *ret)
{
	return r->used ? judge_no(ret, "finished", "the request that it names was carried out before") : judge_before(j, &r->q, ret);
}

/* What is known of its objects is not as it was. Whoever wrote the frame had looked, but extensions and holds take no
 * turn with people's frames, and one may have come in between: no offence, but nothing is done by that request. */
static bool is_stale(const struct cof_judge *j, const struct cof_request *q)
{
	uint64_t first, count;

	for (size_t i = 0; j->n_objects && cof_request_range(q->doc, i, &first, &count) == 0; i++)
		for (uint64_t k = 0; k < count; k++) {
			const struct judged_object *o = judge_object(j, first + k);

			if (o && o->last >= q->head)
				return true;
		}
	return false;
}

/* ---- REQUEST ---- */

#define CLOCK_SLACK (86400 * COF_NSEC) /* that a clock may have been set back since it was made */

/* Whoever dates a document later than any clock here would have it live for longer than a request may. */
static int check_life(const struct cof_judge_frame *f, const struct cof_request *q, struct cof_judgement *ret)
{
	char text[32];

	if (f->trusted || q->expires - COF_REQUEST_LIFE - CLOCK_SLACK <= judge_fastest(f))
		return 0;
	cof_time_text(q->created, text);
	return judge_no(ret, "created", "the request says that it was made at %s, which no clock of the archive has reached, and would be open "
					"for more than 90 days from now: make a new one",
			text);
}

static int check_people_document(const struct cof_judge *j, const struct cof_request *q, struct cof_judgement *ret)
{
	const char *text = cof_json_str(q->doc, "people"), *revoked = cof_json_str(q->doc, "revoked");
	struct cof_people p;
	struct cof_diag why = {""};
	int r;

	if (strcmp(q->action, "people-set") != 0)
		return 0;
	if (!text)
		return judge_no(ret, "malformed", "the request has no people file in it");
	r = cof_people_parse(text, strlen(text), revoked, revoked ? strlen(revoked) : 0, j->profile.exclusive, &p, &why);
	if (r == -EUCLEAN)
		return judge_no(ret, "people", "the people file: %s", why.text);
	if (r < 0)
		return r;
	if (cof_people_count(&p, COF_ROLE_OFFICER) < 2)
		r = judge_no(ret, "people", "the people file: two officers at least, or nothing could be approved any more");
	cof_people_done(&p);
	return r;
}

static int check_request(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_request *q,
			 const struct cof_field *doc, struct judge_signature *s, struct cof_judgement *ret)
{
	struct cof_approval_rule rule;
	int r;

	memcpy(ret->request, q->id, sizeof(ret->request));
	ret->about_request = true;
	r = judge_document(j, f, q, ret);
	if (r == 0)
		r = check_life(f, q, ret);
	if (r < 0)
		return r;
	if (judge_find(j, q->id))
		return judge_no(ret, "replay", "this request is in the chain already: one that was decided is not decided again");
	r = cof_judge_rule(j, q->action, q->doc, &rule);
	if (r < 0)
		return judge_no(ret, "unknown-action", "\"%s\" is no action that can be requested, or of a shelf that is not there",
				q->action);
	if (strcmp(s->principal, q->author) != 0)
		return judge_no(ret, "author", "the request names %s as its author and is signed by %s", q->author, s->principal);
	r = judge_signature(j, f, &j->people, COF_SIGN_REQUEST, doc->value, doc->len, s, ret);
	if (r == 0)
		r = check_people_document(j, q, ret);
	return r == 0 ? judge_before(j, q, ret) : r;
}

static int add_signer(struct judged_request *r, const struct judge_signature *s, uint64_t sequence)
{
	struct cof_signer *q = realloc(r->signer, (r->n_signers + 1) * sizeof(*q));

	if (!q)
		return -ENOMEM;
	r->signer = q;
	q[r->n_signers] = (struct cof_signer){.roles = s->person->roles, .sequence = sequence};
	memcpy(q[r->n_signers].name, s->principal, sizeof(s->principal));
	memcpy(q[r->n_signers++].key, s->info.key, 32);
	return 0;
}

/* Takes q. */
static int keep_request(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_request *q,
			const struct cof_field *doc, const struct judge_signature *s)
{
	struct judged_request *r = calloc(1, sizeof(*r));
	int e;

	if (!r) {
		cof_request_done(q);
		return -ENOMEM;
	}
	r->q = *q;
	r->sequence = f->sequence;
	r->until = COF_RETAIN_NONE;
	r->doc = malloc(doc->len + 1u);
	e = r->doc ? add_signer(r, s, f->sequence) : -ENOMEM;
	if (e < 0) {
		judge_request_free(r);
		return e;
	}
	memcpy(r->doc, doc->value, doc->len);
	r->doc_len = doc->len;
	return judge_add_request(j, r);
}

int judge_request(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct cof_field doc, signature;
	struct judge_signature s;
	struct cof_request q;
	struct cof_diag why = {""};
	int r;

	if (!j->has_people)
		return judge_no(ret, "no-people", "this archive has no people yet, so nothing that weakens protection can be "
						  "requested: coffer people set FILE comes first");
	if (cof_field_find(f->fields, f->n, COF_T_DOCUMENT, &doc) < 0 ||
	    cof_field_find(f->fields, f->n, COF_T_SIGNATURE, &signature) < 0 || judge_signature_take(&signature, &s) < 0)
		return judge_no(ret, "malformed", "the request lacks its document or its signature");
	r = cof_request_parse(doc.value, doc.len, &q, &why);
	if (r == -EUCLEAN)
		return judge_no(ret, "malformed", "%s", why.text);
	if (r < 0)
		return r;
	r = check_request(j, f, &q, &doc, &s, ret);
	if (r < 0 || !apply) {
		cof_request_done(&q);
		return r;
	}
	return keep_request(j, f, &q, &doc, &s);
}

/* ---- APPROVAL ---- */

static int check_open(const struct judged_request *r, struct cof_judgement *ret)
{
	if (r->state == COF_REQUEST_OPEN)
		return 0;
	return judge_no(ret, "finished", "the request is %s already%s%s", cof_request_state_name(r->state),
			r->outcome[0] ? ": " : "", r->outcome);
}

static int check_person(const struct judged_request *r, const struct judge_signature *s, bool approves,
			struct cof_judgement *ret)
{
	for (size_t i = 0; approves && i < r->n_signers; i++) {
		const struct cof_signer *w = &r->signer[i];
		bool name = !strcmp(w->name, s->principal);

		if (name && i == 0)
			return judge_no(ret, "author", "%s made the request and cannot approve it", s->principal);
		if (name)
			return judge_no(ret, "same-person", "%s approved it already, and counts once", s->principal);
		if (!memcmp(w->key, s->info.key, sizeof(w->key)))
			return judge_no(ret, "same-key", "the key that signed for %s signed for %s already: one person under two "
							 "names counts once",
					s->principal, w->name);
	}
	return 0;
}

static bool is_met(const struct judged_request *r, const struct judge_signature *s, const struct cof_approval_rule *rule)
{
	unsigned roles = s->person->roles;

	for (size_t i = 0; i < r->n_signers; i++)
		roles |= r->signer[i].roles;
	return r->n_signers + 1 >= rule->persons && !(rule->roles & ~roles);
}

static int decide(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_request *r,
		  const struct judge_signature *s, bool approves, bool apply, struct cof_judgement *ret)
{
	struct cof_approval_rule rule;
	bool stale;
	int e;

	if (!approves) {
		if (apply) {
			r->state = COF_REQUEST_REFUSED;
			(void)snprintf(r->outcome, sizeof(r->outcome), "refused by %s", s->principal);
		}
		return 0;
	}
	e = cof_judge_rule(j, r->q.action, r->q.doc, &rule);
	if (e < 0)
		return judge_no(ret, "unknown-action", "a shelf of the request is not there any more");
	ret->met = is_met(r, s, &rule);
	stale = ret->met && is_stale(j, &r->q);
	ret->met &= !stale;
	if (!apply)
		return 0;
	e = add_signer(r, s, f->sequence);
	if (e == 0 && stale) {
		r->state = COF_REQUEST_FAILED;
		r->stale = true;
		(void)snprintf(r->outcome, sizeof(r->outcome), "changed-object");
	}
	if (e == 0 && ret->met) {
		r->state = COF_REQUEST_MET;
		r->met = f->sequence;
		r->until = judge_release_until(j, r, f);
	}
	return e;
}

static int judge_vote(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_request *r, bool approves,
		      bool apply, struct cof_judgement *ret)
{
	struct cof_field signature;
	struct judge_signature s;
	int e = check_open(r, ret);

	if (e == 0)
		e = judge_document(j, f, &r->q, ret);
	if (e < 0)
		return e;
	if (cof_field_find(f->fields, f->n, COF_T_SIGNATURE, &signature) < 0 || judge_signature_take(&signature, &s) < 0)
		return judge_no(ret, "malformed", "the approval lacks its signature");
	e = judge_signature(j, f, &j->people, approves ? COF_SIGN_APPROVE : COF_SIGN_REFUSE, r->doc, r->doc_len, &s, ret);
	if (e == 0)
		e = check_person(r, &s, approves, ret);
	if (e == 0 && approves)
		e = judge_before(j, &r->q, ret);
	return e == 0 ? decide(j, f, r, &s, approves, apply, ret) : e;
}

/* Written by the archive itself: what became of a request whose rule was met. */
static int judge_outcome(const struct cof_judge_frame *f, struct judged_request *r, bool done, bool apply,
			 struct cof_judgement *ret)
{
	struct cof_field text;
	size_t n = 0;

	if (r->stale && !done) { /* who found it so says so, once */
		r->stale = !apply;
		return 0;
	}
	if (r->state != COF_REQUEST_MET)
		return judge_no(ret, "not-approved", "an outcome of a request that is %s", cof_request_state_name(r->state));
	if (!apply)
		return 0;
	r->state = done ? COF_REQUEST_DONE : COF_REQUEST_FAILED;
	if (cof_field_find(f->fields, f->n, COF_T_OUTCOME, &text) == 0) {
		n = COF_MIN(text.len, sizeof(r->outcome) - 1);
		memcpy(r->outcome, text.value, n);
	}
	r->outcome[n] = '\0';
	return 0;
}

int judge_approval(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_request *r;
	uint8_t id[32], verdict;

	if (cof_field_bytes(f->fields, f->n, COF_T_REQUEST, id, sizeof(id)) < 0 ||
	    cof_field_u8(f->fields, f->n, COF_T_VERDICT, &verdict) < 0)
		return judge_no(ret, "malformed", "the approval lacks the request's id or a verdict");
	memcpy(ret->request, id, sizeof(id));
	ret->about_request = true;
	r = judge_find(j, id);
	if (!r)
		return judge_no(ret, "unknown-request", "there is no such request in the chain: coffer requests lists them");
	switch (verdict) {
	case COF_VERDICT_APPROVE:
	case COF_VERDICT_REFUSE:
		if (verdict == COF_VERDICT_REFUSE && judge_release_waits(r))
			return judge_veto(j, f, r, apply, ret);
		return judge_vote(j, f, r, verdict == COF_VERDICT_APPROVE, apply, ret);
	case COF_VERDICT_DONE:
	case COF_VERDICT_FAILED:
		return judge_outcome(f, r, verdict == COF_VERDICT_DONE, apply, ret);
	}
	return judge_no(ret, "malformed", "a verdict that is none");
}
