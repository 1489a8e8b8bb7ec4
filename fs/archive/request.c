/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs about people, requests and approvals. What comes in is JSON with documents and signatures that were
 * made elsewhere; what is decided is the judge's (fs/rules/approve.h).
 */
#include "fs/archive/ceremony.h"
#include "fs/archive/destroy.h"
#include "fs/archive/escrow.h"
#include "fs/archive/evidence.h"
#include "fs/archive/people.h"

#include <stdio.h>

/* ---- requests and approvals ---- */

static enum cof_request_state state_now(struct cof_archive *a, const struct cof_request_view *v)
{
	int64_t record, retention;

	cof_clock_now(&a->clock, &record, &retention);
	return v->state == COF_REQUEST_OPEN && COF_MAX(record, retention) >= v->request->expires ? COF_REQUEST_EXPIRED : v->state;
}

static void tell_request(struct cof_archive *a, const struct cof_request_view *v, bool documents, struct cof_json *into)
{
	struct cof_json *signers = cof_json_array();
	char text[64];

	cof_people_hex(into, "id", v->request->id, 32);
	cof_json_set_str(into, "action", v->request->action);
	cof_json_set_str(into, "state", cof_request_state_name(state_now(a, v)));
	if (v->outcome[0])
		cof_json_set_str(into, "outcome", v->outcome);
	cof_approval_rule_text(&v->rule, text);
	cof_json_set_str(into, "rule", text);
	cof_json_set_time(into, "created", v->request->created);
	cof_json_set_time(into, "expires", v->request->expires);
	cof_json_set_uint(into, "sequence", v->sequence);
	if (v->until != COF_RETAIN_NONE) {
		cof_json_set_time(into, "release_at", v->until);
		cof_json_set_int(into, "release_in_ns", COF_MAX(v->until - cof_clock_retention(&a->clock), 0));
	}
	for (size_t i = 0; i < v->n_signers; i++) {
		struct cof_json *one = cof_json_object();

		cof_roles_text(v->signer[i].roles, text);
		cof_json_set_str(one, "name", v->signer[i].name);
		cof_json_set_str(one, "roles", text);
		cof_json_set_uint(one, "sequence", v->signer[i].sequence);
		cof_json_append(signers, one);
	}
	cof_json_set(into, "signed", signers);
	if (documents)
		cof_people_base64(into, "document", v->document, v->document_len);
}

static int refused_here(struct cof_archive *a, const struct cof_who *who, const char *what, const char *kind, const char *rule,
			int r, struct cof_diag *diag)
{
	struct cof_diag why = *diag;

	if (r == -ENOMEM || r == -EIO)
		return r;
	return cof_people_refused_as(a, who, what, kind, rule, why.text, diag);
}

int cof_request_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag)
{
	const struct cof_people *people = cof_judge_people(cof_people_judge(a));
	cof_autobuf struct cof_buf doc = {0}, sheet = {0}, armored = {0}, fields = {0}, private_part = {0};
	struct cof_request_view v;
	uint8_t digest[COF_HASH];
	struct cof_judgement w;
	struct cof_request q = {0};
	uint64_t sequence;
	int r = cof_people_bytes(args, "document", COF_REQUEST_MAX, &doc, diag);

	if (r == 0)
		r = cof_people_bytes(args, "sheet", COF_SHEET_MAX, &sheet, diag);
	if (r == 0)
		r = cof_people_bytes(args, "signature", COF_SIGNATURE_MAX, &armored, diag);
	if (r == 0)
		r = cof_request_parse(doc.data, doc.len, &q, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	if (!people)
		r = cof_people_refused(a, who, "request", "no-people", cof_no_people, diag);
	cof_sha256(sheet.data, sheet.len, digest);
	if (r == 0 && memcmp(digest, q.sheet, sizeof(digest)) != 0)
		r = cof_fail(diag, -EINVAL, "this sheet is not the one that the request names: its SHA-256 is another");
	cof_field_put(&fields, COF_T_REQUEST, q.id, sizeof(q.id));
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	cof_field_put(&private_part, COF_T_SHEET, sheet.data, sheet.len);
	if (r == 0)
		r = cof_people_signature(people, cof_json_str(args, "principal") ? cof_json_str(args, "principal") : q.author, &armored,
					 &fields, diag);
	if (r == 0 && cof_people_ask(a, COF_REQUEST, &fields, &w, diag) == 0) { /* else refused below, and recorded */
		r = cof_grant_check(a, &q, diag);
		if (r < 0)
			r = refused_here(a, who, "request", cof_people_kind(COF_REQUEST, &fields), "not-possible", r, diag);
	}
	if (r == 0)
		r = cof_people_put(a, who, COF_REQUEST, &fields, &private_part, &w, &sequence, diag);
	if (r == 0 && cof_judge_request(cof_people_judge(a), q.id, &v) == 0)
		tell_request(a, &v, false, into);
	cof_request_done(&q);
	return r;
}

/* By the document, or by its id in hex. */
static int find_request(struct cof_archive *a, const struct cof_json *args, struct cof_request_view *ret, struct cof_diag *diag)
{
	const char *hex = cof_json_str(args, "id");
	cof_autobuf struct cof_buf doc = {0};
	uint8_t id[32];
	int r = 0;

	if (hex) {
		if (strlen(hex) != 64 || cof_unhex(hex, 64, id) < 0)
			return cof_fail(diag, -EINVAL, "a request's id is 64 hex digits");
	} else {
		r = cof_people_bytes(args, "document", COF_REQUEST_MAX, &doc, diag);
		if (r < 0)
			return r;
		cof_sha256(doc.data, doc.len, id);
	}
	r = cof_judge_request(cof_people_judge(a), id, ret);
	return r < 0 ? cof_fail(diag, -ENOENT, "there is no such request in the chain: its author has to submit it first (coffer "
					       "request --submit); coffer requests lists them")
		     : 0;
}

int cof_request_vote(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag)
{
	const struct cof_people *people = cof_judge_people(cof_people_judge(a));
	const char *verdict = cof_json_str(args, "verdict");
	bool approves = verdict && !strcmp(verdict, "approve");
	cof_autobuf struct cof_buf armored = {0}, fields = {0};
	struct cof_request_view v = {0};
	struct cof_judgement w;
	struct cof_field signer;
	uint64_t sequence;
	uint8_t id[32];
	bool waits;
	int r;

	if (!people)
		return cof_people_refused(a, who, "approval", "no-people", cof_no_people, diag);
	cof_release_due(a);
	if (!approves && (!verdict || strcmp(verdict, "refuse") != 0))
		return cof_fail(diag, -EINVAL, "\"verdict\" is approve or refuse");
	r = cof_people_bytes(args, "signature", COF_SIGNATURE_MAX, &armored, diag);
	if (r == 0)
		r = find_request(a, args, &v, diag);
	if (r < 0 || !v.request)
		return r;
	memcpy(id, v.request->id, sizeof(id));
	waits = v.until != COF_RETAIN_NONE;
	r = waits && !approves ? cof_release_late(a, who, &v, diag) : 0;
	if (r < 0)
		return r;
	cof_field_put(&fields, COF_T_REQUEST, id, sizeof(id));
	cof_field_put_u8(&fields, COF_T_VERDICT, approves ? COF_VERDICT_APPROVE : COF_VERDICT_REFUSE);
	r = cof_people_signature(people, cof_json_str(args, "principal"), &armored, &fields, diag);
	if (r == 0 && approves && cof_people_ask(a, COF_APPROVAL, &fields, &w, diag) == 0) {
		r = cof_grant_check(a, v.request, diag);
		if (r < 0)
			r = refused_here(a, who, "approval", NULL, "changed-object", r, diag);
	}
	if (r == 0)
		r = cof_people_put(a, who, COF_APPROVAL, &fields, NULL, &w, &sequence, diag);
	if (r == 0 && w.met)
		r = cof_grant_run(a, who, id, false, diag);
	if (cof_judge_request(cof_people_judge(a), id, &v) == 0) {
		if (r == 0 && waits && cof_field_find(fields.data, fields.len, COF_T_SIGNATURE, &signer) == 0)
			cof_release_vetoed(a, who, &v, (const char *)signer.value); /* principal NUL signature */
		tell_request(a, &v, false, into);
	}
	return r;
}

int cof_request_list(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	struct cof_request_view v;
	bool one = cof_json_str(args, "id") != NULL;
	int r = one ? find_request(a, args, &v, diag) : 0;

	for (size_t i = 0; r == 0 && (one || cof_judge_request_at(cof_people_judge(a), i, &v) == 0); i++) {
		cof_autojson struct cof_json *o = cof_json_object();

		tell_request(a, &v, one || cof_json_bool(args, "documents"), o);
		r = fn(user, o);
		if (one)
			break;
	}
	return r;
}

/* ---- all of them ---- */
static const struct {
	const char *name;
	bool reads;
} verbs[] = {{"people", true}, {"people-set", false}, {"people-first", false}, {"request-make", false}, {"request", false}, {"approve", false},
	     {"requests", true}, {"event-put", false}, {"policy", true}, {"policy-set", false}, {"reviews", true}, {"head", false},
	     {"ceremony-put", false}, {"ceremonies", true},
	     {"destroy-plan", true}, {"destroy-run", false}, {"destroy-certificate", false}};

static bool is_verb(const char *verb, bool only_reads)
{
	for (size_t i = 0; i < COF_COUNT(verbs); i++)
		if (!strcmp(verbs[i].name, verb))
			return verbs[i].reads || !only_reads;
	return false;
}

bool cof_archive_people_verb(const char *verb)
{
	return is_verb(verb, false) || cof_escrow_verb(verb) || cof_evidence_verb(verb);
}

static int one_verb(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		    cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	bool writes = !cof_escrow_verb(verb) && !is_verb(verb, true);
	int r = writes ? cof_people_writable(a, diag) : 0;

	if (r < 0)
		return r;
	if (cof_escrow_verb(verb))
		return cof_escrow_act(a, who, verb, args, fn, user, diag);
	if (!strcmp(verb, "policy") || !strcmp(verb, "policy-set")) {
		r = !strcmp(verb, "policy") ? cof_profile_show(a, o) : cof_profile_set(a, who, args, o, diag);
		return r < 0 ? r : fn(user, o);
	}
	if (writes && !a->p.verify_signature)
		return cof_fail(diag, -EOPNOTSUPP, "this program cannot judge signatures");
	if (!strcmp(verb, "requests"))
		return cof_request_list(a, args, fn, user, diag);
	if (!strcmp(verb, "destroy-plan"))
		return cof_destroy_plan(a, args, fn, user, diag);
	if (!strcmp(verb, "ceremonies"))
		return cof_ceremony_list(a, fn, user, diag);
	r = !strcmp(verb, "people")	  ? cof_people_show(a, o, diag)
	    : !strcmp(verb, "reviews")	  ? cof_human_reviews(a, o)
	    : !strcmp(verb, "head")	  ? cof_request_head(a, o, diag)
	    : !strcmp(verb, "people-set") ? cof_people_set(a, args, o, diag)
	    : !strcmp(verb, "people-first") ? cof_people_first(a, who, args, o, diag)
	    : !strcmp(verb, "request-make") ? cof_request_make(a, args, o, diag)
	    : !strcmp(verb, "event-put")    ? cof_human_event(a, who, args, o, diag)
	    : !strcmp(verb, "destroy-run")  ? cof_destroy_run(a, who, args, o, diag)
	    : !strcmp(verb, "destroy-certificate") ? cof_destroy_certificate(a, who, args, o, diag)
	    : !strcmp(verb, "ceremony-put") ? cof_ceremony_put(a, who, args, o, diag)
	    : !strcmp(verb, "request")	    ? cof_request_put(a, who, args, o, diag)
					    : cof_request_vote(a, who, args, o, diag);
	return r < 0 ? r : fn(user, o);
}

int cof_archive_people(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		       cof_show_fn fn, void *user, struct cof_diag *diag)
{
	int r;

	if (!cof_archive_people_verb(verb))
		return cof_fail(diag, -EOPNOTSUPP, "no such verb");
	if (cof_escrow_reads(verb))
		return cof_escrow_act(a, who, verb, args, fn, user, diag);
	if (cof_evidence_verb(verb))
		return cof_evidence_act(a, who, verb, args, fn, user, diag);
	cof_people_lock(a);
	r = one_verb(a, who, verb, args, fn, user, diag);
	cof_people_unlock(a);
	return r;
}
