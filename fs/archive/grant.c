/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people may request, and how it is done once: the APPROVAL frame that meets the rule is durable, then the
 * act's frames, which carry the request's id, then an APPROVAL frame with the outcome. A crash before that one
 * lets the next mount do it again: acts are idempotent. Behind it nothing of the request is done any more.
 */
#include "fs/archive/note.h"
#include "fs/archive/people.h"

#include <stdio.h>

extern const struct cof_action cof_act_shelf_set, cof_act_people_set, cof_act_clock_catch_up, cof_act_profile_set,
    cof_act_hold_end, cof_act_retention_end, cof_act_event_declare, cof_act_remove, cof_act_destroy, cof_act_escrow_accept, cof_act_escrow_release;

const struct cof_action *const cof_actions[] = {
    &cof_act_shelf_set,
    &cof_act_people_set,
    &cof_act_clock_catch_up,
    &cof_act_profile_set,
    &cof_act_hold_end,
    &cof_act_retention_end,
    &cof_act_event_declare,
    &cof_act_remove,
    &cof_act_destroy,
    &cof_act_escrow_accept,
    &cof_act_escrow_release,
    NULL,
};

const struct cof_action *cof_action_find(const char *name)
{
	for (size_t i = 0; name && cof_actions[i]; i++)
		if (!strcmp(cof_actions[i]->name, name))
			return cof_actions[i];
	return NULL;
}

/* ---- whether it may be ---- */

struct since {
	struct cof_archive *a;
	uint64_t head, at; /* at: as of this frame */
};

/* As the judge without keys sees it: not what it looks like, but whether anything happened to it since. */
static int is_older(void *user, uint64_t ino)
{
	const struct since *s = user;
	uint64_t last = 0;
	int r;

	COF_GATED(s->a, r, cof_ix(s->a, cof_index_node_since(s->a->ix, COF_INDEX_NOW, ino, &last)));
	return r < 0 ? r : last >= s->head ? -ESTALE : 0;
}

static int check_before(struct cof_archive *a, const struct cof_action *action, const struct cof_request *q,
			struct cof_diag *diag)
{
	struct since since = {a, q->head, COF_INDEX_NOW};
	uint8_t now[32];
	int r;

	if (!q->has_before)
		return 0;
	r = action->state ? action->state(a, q->doc, now, diag) : cof_action_objects_state(a, q->doc, now, diag);
	if (r < 0)
		return r;
	r = memcmp(now, q->before, sizeof(now)) != 0 ? -ESTALE
	    : action->state ? 0 : cof_action_each_object(q->doc, is_older, &since);
	return r != -ESTALE
		       ? r
		       : cof_fail(diag, -ESTALE, "what it would change is no longer as it was when the request was made: make a new one");
}

/*
 * A document need not come from here: who writes one by hand could leave out what its signers are held to, the rules of
 * shelves and what has to be as it was, or name objects where nobody looks at them.
 */
static int check_whole(struct cof_archive *a, const struct cof_action *action, const struct cof_request *q, struct cof_diag *diag)
{
	uint64_t first, count;
	bool objects = cof_request_range(q->doc, 0, &first, &count) == 0;

	if (objects != action->objects)
		return cof_fail(diag, -EINVAL, objects ? "a request to %s names no objects" : "the request to %s names no object",
				q->action);
	if (!q->has_before && (objects || action->state))
		return cof_fail(diag, -EINVAL, "the request does not say how what it would change was (\"before\"): let coffer request "
					       "make it");
	return objects ? cof_action_check_shelves(a, q->doc, diag) : 0;
}

int cof_grant_check(struct cof_archive *a, const struct cof_request *q, struct cof_diag *diag)
{
	const struct cof_action *action = cof_action_find(q->action);
	int r;

	if (!action)
		return cof_fail(diag, -EOPNOTSUPP, "this version does not do %s", q->action);
	r = check_whole(a, action, q, diag);
	if (r == 0)
		r = check_before(a, action, q, diag);
	return r == 0 && action->check ? action->check(a, q->doc, diag) : r;
}

/* ---- doing it ---- */

/* What another try may mend: the request stays approved, and the next mount does it. */
static bool passes(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EIO || err == -ENOMEM || err == -EROFS;
}

static int put_outcome(struct cof_archive *a, const struct cof_who *who, const uint8_t id[32], bool done, const char *text,
		       struct cof_diag *diag)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	uint64_t sequence;

	cof_field_put(&fields, COF_T_REQUEST, id, 32);
	cof_field_put_u8(&fields, COF_T_VERDICT, done ? COF_VERDICT_DONE : COF_VERDICT_FAILED);
	cof_field_put(&fields, COF_T_OUTCOME, text, COF_MIN(strlen(text), (size_t)150));
	return cof_people_put(a, who, COF_APPROVAL, &fields, NULL, &w, &sequence, diag);
}

static void tell(struct cof_archive *a, const struct cof_request *q, bool done, const char *why)
{
	cof_autofree char *text = NULL;
	char hex[65];

	cof_hex(q->id, 32, hex);
	if (asprintf(&text, "%s: request %s by %s%s%s", q->action, hex, q->author, *why ? ": " : "", why) < 0)
		text = NULL;
	cof_gate_enter(a);
	(void)cof_event_emit(a, &(struct cof_event){.type = done ? COF_EV_REQUEST_DONE : COF_EV_REQUEST_FAILED,
						   .catalogue = !done && !strcmp(q->action, "people-set") ? "A.2.1" : NULL,
						   .actor_name = q->author,
						   .detail = text ? text : q->action},
			     NULL);
	cof_gate_leave(a);
}

static int was_older(void *user, uint64_t ino)
{
	const struct since *s = user;
	uint64_t last = 0;
	int r;

	COF_GATED(s->a, r, cof_ix(s->a, cof_index_node_since(s->a->ix, s->at, ino, &last)));
	return r < 0 ? r : last >= s->head ? -ESTALE : 0;
}

/* A crash may have come between an approval that was too late and its outcome: as of that approval's frame it is
 * judged again, as everybody does who reads the chain. */
static int check_met(struct cof_archive *a, const struct cof_request *q, uint64_t met, struct cof_diag *diag)
{
	struct since since = {a, q->head, met};
	const struct cof_action *action = cof_action_find(q->action);
	int r = action && q->has_before && !action->state ? cof_action_each_object(q->doc, was_older, &since) : 0;

	return r != -ESTALE ? r : cof_fail(diag, r, "what it would change had changed when its rule was met: make a new one");
}

static int act(struct cof_archive *a, const struct cof_action *action, const struct cof_request *q, const struct cof_grant *g,
	       bool resumed, struct cof_diag *diag)
{
	int r = resumed ? check_met(a, q, g->approval, diag) : cof_grant_check(a, q, diag);

	return r == 0 ? action->apply(a, q->doc, g, diag) : r;
}

int cof_grant_run(struct cof_archive *a, const struct cof_who *who, const uint8_t id[32], bool resumed, struct cof_diag *diag)
{
	const struct cof_action *action;
	struct cof_request_view v;
	struct cof_grant g = {.who = who};
	struct cof_diag why = {""};
	struct cof_request q = {0};
	int r = cof_judge_request(cof_people_judge(a), id, &v), e;

	if (r < 0 || v.state != COF_REQUEST_MET)
		return r < 0 ? r : cof_fail(diag, -EINVAL, "the request is %s", cof_request_state_name(v.state));
	if (v.until != COF_RETAIN_NONE && cof_clock_retention(&a->clock) < v.until) {
		cof_release_wait(a, who, &v, resumed && a->p.no_threads); /* a daemon tells it at each mount */
		return 0;
	}
	/* Of its own: the judge moves on with the act's frames. */
	r = cof_request_parse(v.document, v.document_len, &q, diag);
	if (r < 0)
		return r;
	memcpy(g.request, id, sizeof(g.request));
	g.approval = v.met;
	action = cof_action_find(q.action);
	r = action ? act(a, action, &q, &g, resumed, &why)
		   : cof_fail(&why, -EOPNOTSUPP, "this version does not do %s", q.action);
	if (passes(r)) {
		r = cof_fail(diag, r, "it is approved and not done yet (%s): the next mount does it", why.text[0] ? why.text : strerror(-r));
	} else {
		e = put_outcome(a, who, id, r == 0, r == 0 ? "done" : why.text[0] ? why.text : strerror(-r), diag);
		if (e == 0)
			tell(a, &q, r == 0, why.text);
		r = e < 0 ? e : r < 0 ? cof_fail(diag, r, "it was approved, and could not be done: %s", why.text) : 0;
	}
	cof_request_done(&q);
	return r;
}

int cof_people_resume(struct cof_archive *a)
{
	static const struct cof_who daemon = {.daemon = true};
	struct cof_request_view v;
	struct cof_diag why;
	int r = 0;

	cof_people_lock(a);
	for (size_t i = 0; cof_judge_request_at(cof_people_judge(a), i, &v) == 0; i++) {
		uint8_t id[32];

		if (v.state != COF_REQUEST_MET)
			continue;
		memcpy(id, v.request->id, sizeof(id));
		why.text[0] = '\0';
		r = cof_grant_run(a, &daemon, id, true, &why);
		if (r < 0)
			cof_fault(a, "A request that was approved before the daemon ended: %s", why.text);
	}
	cof_people_unlock(a);
	return 0;
}
