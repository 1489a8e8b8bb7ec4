/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on changes of ledgers and systems: asked for, approved by somebody else, done, and its result checked by a
 * third. Each step is an EVENT frame with a form that its person signed; which change it is of stands in clear.
 */
#include "fs/rules/approve-judge.h"

#include "crypto/crypto.h"

#define T_CHANGE 155 /* docs/format.md 4 */

static const struct {
	const char *type;
	enum cof_change_step step;
} steps[] = {
    {"change-requested", COF_CHANGE_REQUESTED}, {"change-approved", COF_CHANGE_APPROVED}, {"change-declined", COF_CHANGE_DECLINED},
    {"change-done", COF_CHANGE_DONE},		{"change-checked", COF_CHANGE_CHECKED},
};

int cof_change_find(const char *type, enum cof_change_step *ret)
{
	for (size_t i = 0; type && i < COF_COUNT(steps); i++)
		if (!strcmp(type, steps[i].type)) {
			*ret = steps[i].step;
			return 0;
		}
	return -ENOENT;
}

const char *cof_change_type(enum cof_change_step step)
{
	for (size_t i = 0; i < COF_COUNT(steps); i++)
		if (steps[i].step == step)
			return steps[i].type;
	return "change";
}

static struct judged_change *find(const struct cof_judge *j, const uint8_t id[32])
{
	for (size_t i = 0; i < j->n_changes; i++)
		if (!memcmp(j->change[i].id, id, 32))
			return &j->change[i];
	return NULL;
}

static bool took_part(const struct judged_change *c, const struct judge_signature *s)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(c->by[i].name, s->principal) || !memcmp(c->by[i].key, s->info.key, sizeof(s->info.key)))
			return true;
	return false;
}

static void take_part(struct judged_change *c, const struct judge_signature *s)
{
	if (c->n < COF_COUNT(c->by) && !took_part(c, s)) {
		memcpy(c->by[c->n].name, s->principal, sizeof(s->principal));
		memcpy(c->by[c->n++].key, s->info.key, sizeof(s->info.key));
	}
}

/* Which state it has to be in, and what it is called then. */
static int may_follow(const struct judged_change *c, enum cof_change_step step, const struct judge_signature *s,
		      struct cof_judgement *ret)
{
	enum cof_change_step wanted = step == COF_CHANGE_DONE ? COF_CHANGE_APPROVED
				      : step == COF_CHANGE_CHECKED ? COF_CHANGE_DONE : COF_CHANGE_REQUESTED;
	bool decides = step == COF_CHANGE_APPROVED || step == COF_CHANGE_DECLINED;

	if (c->state != wanted)
		return judge_no(ret, "step", "%s follows %s, and this change is at %s", cof_change_type(step), cof_change_type(wanted),
				cof_change_type(c->state));
	if (c->n == COF_COUNT(c->by) && !took_part(c, s))
		return judge_no(ret, "step", "%u persons took part in this change: ask for a new one", c->n);
	if (step == COF_CHANGE_DONE)
		return 0;
	if (took_part(c, s))
		return judge_no(ret, "same-person", "%s took part in this change already: %s is somebody else's", s->principal,
				cof_change_type(step));
	if (!(s->person->roles & (decides ? COF_ROLE_OFFICER : COF_ROLE_OFFICER | COF_ROLE_AUDITOR)))
		return judge_no(ret, "role", "%s is no %s, and cannot sign %s", s->principal, decides ? "officer" : "officer or auditor",
				cof_change_type(step));
	return 0;
}

static int add(struct cof_judge *j, const uint8_t id[32], const struct judge_signature *s)
{
	struct judged_change *q;

	if (!(j->n_changes & (j->n_changes - 1))) { /* room in powers of two */
		q = realloc(j->change, (j->n_changes ? 2 * j->n_changes : 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		j->change = q;
	}
	q = &j->change[j->n_changes++];
	*q = (struct judged_change){.state = COF_CHANGE_REQUESTED};
	memcpy(q->id, id, 32);
	take_part(q, s);
	return 0;
}

static int request(struct cof_judge *j, const uint8_t id[32], const struct cof_field *text, const struct judge_signature *s,
		   bool apply, struct cof_judgement *ret)
{
	uint8_t own[32];

	cof_sha256(text->value, text->len, own);
	if (memcmp(own, id, 32) != 0)
		return judge_no(ret, "form", "the change that it names is not the one that its form begins");
	if (find(j, id))
		return judge_no(ret, "step", "this change was asked for already");
	return apply ? add(j, id, s) : 0;
}

int judge_change_step(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_json *o, const struct cof_field *text,
		 const struct judge_signature *s, bool apply, struct cof_judgement *ret)
{
	const char *hex = cof_json_str(o, "change"), *outcome = cof_json_str(o, "outcome");
	enum cof_change_step step;
	struct judged_change *c;
	uint8_t id[32], named[32];
	int r;

	if (cof_field_bytes(f->fields, f->n, T_CHANGE, id, sizeof(id)) < 0 || cof_change_find(cof_json_str(o, "event"), &step) < 0)
		return judge_no(ret, "form", "a step of a change that does not say of which, or what");
	if (step == COF_CHANGE_REQUESTED)
		return request(j, id, text, s, apply, ret);
	if (!hex || strlen(hex) != 64 || cof_unhex(hex, 64, named) < 0 || memcmp(named, id, 32) != 0)
		return judge_no(ret, "form", "the change that it names is not the one of its form");
	c = find(j, id);
	if (!c)
		return judge_no(ret, "unknown-change", "nobody asked for this change: coffer change list tells those there are");
	r = may_follow(c, step, s, ret);
	if (r < 0 || !apply)
		return r;
	take_part(c, s);
	/* A result that does not hold has to be done again. */
	c->state = step == COF_CHANGE_CHECKED && (!outcome || strcmp(outcome, "success")) ? COF_CHANGE_APPROVED : step;
	return 0;
}
