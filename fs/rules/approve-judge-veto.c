/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on releases of escrow that wait: until when, and who ends one meanwhile. The delay is that of the shelf's policy when
 * the rule was met, and counts from that frame by retention time, so no clock that somebody sets makes it shorter.
 */
#include "fs/rules/approve-judge.h"
#include "fs/rules/internal.h"

#include <stdio.h>

/* COF_RETAIN_NONE: it waits for nothing. */
int64_t judge_release_until(const struct cof_judge *j, const struct judged_request *r, const struct cof_judge_frame *f)
{
	struct cof_policy room;
	int64_t delay = 0;
	uint64_t shelf;

	if (strcmp(r->q.action, "escrow-release") != 0)
		return COF_RETAIN_NONE;
	for (size_t i = 0; cof_request_shelf(r->q.doc, i, &shelf) == 0; i++) {
		const struct cof_policy *p = judge_policy(j, shelf, &room);

		if (p)
			delay = COF_MAX(delay, p->release_delay);
	}
	return delay ? rule_end(f->retention_time, delay) : COF_RETAIN_NONE;
}

bool judge_release_waits(const struct judged_request *r)
{
	return r->state == COF_REQUEST_MET && r->until != COF_RETAIN_NONE && !r->used;
}

/* A rule that names no role could be met by anybody; who stops one then has to be somebody who answers for keys. */
static int may_veto(const struct cof_judge *j, const struct judged_request *r, const struct judge_signature *s, struct cof_judgement *ret)
{
	struct cof_approval_rule rule;
	char text[64];
	unsigned roles;

	if (cof_judge_rule(j, r->q.action, r->q.doc, &rule) < 0)
		return judge_no(ret, "unknown-action", "a shelf of the request is not there any more");
	roles = rule.roles ? rule.roles : COF_ROLE_OFFICER | COF_ROLE_CUSTODIAN;
	if (s->person->roles & roles)
		return 0;
	cof_roles_text(roles, text);
	return judge_no(ret, "role", "%s cannot veto a release: who may has one of the roles %s", s->principal, text);
}

/* Signed as any refusal. That the request expired meanwhile does not keep it from being ended. */
int judge_veto(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_request *r, bool apply, struct cof_judgement *ret)
{
	struct cof_field signature;
	struct judge_signature s;
	int e;

	if (cof_field_find(f->fields, f->n, COF_T_SIGNATURE, &signature) < 0 || judge_signature_take(&signature, &s) < 0)
		return judge_no(ret, "malformed", "the veto lacks its signature");
	e = judge_signature(j, f, &j->people, COF_SIGN_REFUSE, r->doc, r->doc_len, &s, ret);
	if (e == 0)
		e = may_veto(j, r, &s, ret);
	if (e < 0 || !apply)
		return e;
	r->state = COF_REQUEST_REFUSED;
	(void)snprintf(r->outcome, sizeof(r->outcome), "vetoed by %s", s.principal);
	return 0;
}
