/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge: what it remembers, which rule an action has to meet, and who looks at which frame.
 *
 * What grows with a chain is one entry a request, one for each object that a request names or that is removed by one
 * (followed only after a first pass, cof_judge_watch), and a bit for each that is removed otherwise or
 * committed.
 */
#include "fs/rules/approve-judge.h"

#include "crypto/crypto.h"

#include <stdio.h>

const char judge_no_request[] = "it weakens protection, and names no approved request";

int judge_no(struct cof_judgement *ret, const char *rule, const char *fmt, ...)
{
	va_list ap;

	ret->rule = rule;
	va_start(ap, fmt);
	(void)vsnprintf(ret->reason, sizeof(ret->reason), fmt, ap);
	va_end(ap);
	return -EPERM;
}

int cof_judge_new(const struct cof_judge_params *p, struct cof_judge **ret)
{
	struct cof_judge *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->p = *p;
	j->latest = COF_RETAIN_NONE;
	cof_profile_default(&j->profile);
	*ret = j;
	return 0;
}

void judge_request_free(struct judged_request *r)
{
	if (!r)
		return;
	cof_request_done(&r->q);
	free(r->doc);
	free(r->signer);
	free(r);
}

void cof_judge_free(struct cof_judge *j)
{
	if (!j)
		return;
	cof_people_done(&j->people);
	for (size_t i = 0; i < j->n_requests; i++)
		judge_request_free(j->request[i]);
	for (size_t i = 0; i < j->n_holds; i++)
		free(j->hold[i].range);
	free(j->hold);
	free(j->ended);
	for (size_t i = 0; i < j->n_shelves; i++)
		cof_inodes_done(&j->shelf[i].files);
	judge_named_free(j);
	free(j->change);
	free(j->ceremony);
	free(j->vault);
	free(j->receipt);
	free(j->release);
	free(j->tpm);
	judge_proposals_free(j);
	free(j->kept);
	free(j->file);
	free(j->forms.digest);
	cof_inodes_done(&j->removed);
	cof_inodes_done(&j->committed);
	free(j->epoch);
	free(j->drill);
	free(j->request);
	free(j->by_id);
	free(j->shelf);
	free(j->object);
	free(j);
}

/* ---- requests by their ids, which are hashes ---- */

static void place(struct cof_judge *j, size_t i)
{
	size_t at = (size_t)cof_get_le64(j->request[i]->q.id) & (j->places - 1);

	while (j->by_id[at])
		at = (at + 1) & (j->places - 1);
	j->by_id[at] = (uint32_t)i + 1;
}

struct judged_request *judge_find(const struct cof_judge *j, const uint8_t id[32])
{
	if (!j->places)
		return NULL;
	for (size_t at = (size_t)cof_get_le64(id) & (j->places - 1); j->by_id[at]; at = (at + 1) & (j->places - 1))
		if (!memcmp(j->request[j->by_id[at] - 1]->q.id, id, 32))
			return j->request[j->by_id[at] - 1];
	return NULL;
}

static int grow(struct cof_judge *j)
{
	size_t places = j->places ? 2 * j->places : 64;
	struct judged_request **q;
	uint32_t *t;

	if (j->n_requests < j->places / 2)
		return 0;
	q = realloc(j->request, places * sizeof(struct judged_request *));
	if (!q)
		return -ENOMEM;
	j->request = q;
	t = calloc(places, sizeof(*t));
	if (!t)
		return -ENOMEM;
	free(j->by_id);
	j->by_id = t;
	j->places = places;
	for (size_t i = 0; i < j->n_requests; i++)
		place(j, i);
	return 0;
}

int judge_add_request(struct cof_judge *j, struct judged_request *r)
{
	int e = grow(j);

	if (e < 0) {
		judge_request_free(r);
		return e;
	}
	j->request[j->n_requests] = r;
	place(j, j->n_requests++);
	return 0;
}

/* ---- objects ---- */

struct judged_object *judge_object(const struct cof_judge *j, uint64_t ino)
{
	if (!j->object_places)
		return NULL;
	for (size_t at = (ino * 0x9e3779b97f4a7c15u >> 20) & (j->object_places - 1); j->object[at].ino;
	     at = (at + 1) & (j->object_places - 1))
		if (j->object[at].ino == ino)
			return &j->object[at];
	return NULL;
}

static void put_object(struct judged_object *table, size_t places, const struct judged_object *o)
{
	size_t at = (o->ino * 0x9e3779b97f4a7c15u >> 20) & (places - 1);

	while (table[at].ino)
		at = (at + 1) & (places - 1);
	table[at] = *o;
}

int judge_object_add(struct cof_judge *j, uint64_t ino)
{
	struct judged_object fresh = {.ino = ino, .until = COF_RETAIN_NONE, .least = COF_RETAIN_NONE};

	if (!ino || judge_object(j, ino))
		return 0;
	if (j->n_objects >= COF_WATCHED_MAX)
		return -E2BIG;
	if (j->n_objects >= j->object_places / 2) {
		size_t places = j->object_places ? 2 * j->object_places : 64;
		struct judged_object *t = calloc(places, sizeof(*t));

		if (!t)
			return -ENOMEM;
		for (size_t i = 0; i < j->object_places; i++)
			if (j->object[i].ino)
				put_object(t, places, &j->object[i]);
		free(j->object);
		j->object = t;
		j->object_places = places;
	}
	put_object(j->object, j->object_places, &fresh);
	j->n_objects++;
	return 0;
}

/* ---- policies and rules ---- */

const struct cof_policy *judge_policy(const struct cof_judge *j, uint64_t shelf, struct cof_policy *room)
{
	if (j->p.policy)
		return j->p.policy(j->p.policy_user, shelf, room) == 0 ? room : NULL;
	for (size_t i = 0; i < j->n_shelves; i++)
		if (j->shelf[i].ino == shelf)
			return &j->shelf[i].policy;
	return NULL;
}

enum scope { OF_SHELVES, OF_PEOPLE, OF_PROFILE, OF_CLOCK, OF_DESTROY, OF_VAULT };
static const struct {
	const char *action;
	enum scope scope;
	enum cof_approve rule;
} actions[] = {
    {"hold-end", OF_SHELVES, COF_APPROVE_HOLD_END},
    {"remove", OF_SHELVES, COF_APPROVE_REMOVE},
    {"destroy", OF_DESTROY, COF_APPROVE_REMOVE},
    {"retention-end", OF_SHELVES, COF_APPROVE_RETENTION_END},
    {"event-declare", OF_SHELVES, COF_APPROVE_RETENTION_END},
    {"shelf-set", OF_SHELVES, COF_APPROVE_POLICY},
    {"escrow-accept", OF_SHELVES, COF_APPROVE_ESCROW},
    {"escrow-release", OF_SHELVES, COF_APPROVE_ESCROW},
    {"people-set", OF_PEOPLE, 0},
    {"profile-set", OF_PROFILE, 0},
    {"clock-catch-up", OF_CLOCK, 0},
    {"vault-release", OF_VAULT, 0}, /* judged by a vault that was asked, never in a log */
};

static int merge_text(struct cof_approval_rule *to, const char *text)
{
	struct cof_approval_rule r;

	if (cof_approval_rule_parse(text, &r) < 0)
		return -EUCLEAN;
	cof_approval_rule_merge(to, &r);
	return 0;
}

static int merge_shelf(const struct cof_judge *j, uint64_t shelf, enum cof_approve what, struct cof_approval_rule *to)
{
	struct cof_policy room;
	const struct cof_policy *p = judge_policy(j, shelf, &room);

	return p ? merge_text(to, cof_policy_approve(p, what)) : -EUCLEAN;
}

/* Of the shelves that the document names, and of those in which its objects, or those of its hold, are known to lie. */
static int merge_shelves(const struct cof_judge *j, const struct cof_json *doc, enum cof_approve what,
			 struct cof_approval_rule *to)
{
	struct cof_policy none;
	uint64_t shelf, first, count;
	int r;

	cof_policy_default(&none);
	r = merge_text(to, cof_policy_approve(&none, what));
	for (size_t i = 0; r == 0 && cof_request_shelf(doc, i, &shelf) == 0; i++)
		r = merge_shelf(j, shelf, what, to);
	for (size_t i = 0; r == 0 && j->n_objects && cof_request_range(doc, i, &first, &count) == 0; i++)
		for (uint64_t k = 0; r == 0 && k < count; k++) {
			const struct judged_object *o = judge_object(j, first + k);

			if (o && o->shelf)
				r = merge_shelf(j, o->shelf, what, to);
		}
	for (size_t i = 0; r == 0 && what == COF_APPROVE_HOLD_END && i < j->n_shelves; i++)
		if (judge_holds_on(j, doc, &j->shelf[i]))
			r = merge_shelf(j, j->shelf[i].ino, what, to);
	return r;
}

/* What it takes to end its retention and to remove it, and the archive's own rule for what cannot be undone. */
static int merge_destroy(const struct cof_judge *j, const struct cof_json *doc, struct cof_approval_rule *to)
{
	int r = merge_shelves(j, doc, COF_APPROVE_REMOVE, to);

	if (r == 0)
		r = merge_shelves(j, doc, COF_APPROVE_RETENTION_END, to);
	return r < 0 ? r : merge_text(to, j->profile.approve_destroy);
}

int cof_judge_rule(const struct cof_judge *j, const char *action, const struct cof_json *doc,
		   struct cof_approval_rule *ret)
{
	struct cof_approval_rule rule = {.persons = 2};
	int r = -ENOENT;

	for (size_t i = 0; i < COF_COUNT(actions); i++) {
		if (strcmp(actions[i].action, action) != 0)
			continue;
		r = actions[i].scope == OF_SHELVES    ? merge_shelves(j, doc, actions[i].rule, &rule)
		    : actions[i].scope == OF_DESTROY  ? merge_destroy(j, doc, &rule)
		    : actions[i].scope == OF_PEOPLE   ? merge_text(&rule, j->profile.approve_people)
		    : actions[i].scope == OF_VAULT    ? merge_text(&rule, "2 officer")
		    : actions[i].scope == OF_PROFILE  ? merge_text(&rule, j->profile.approve_profile)
						      : merge_text(&rule, j->profile.approve_clock);
	}
	if (r == 0)
		*ret = rule;
	return r;
}

/* ---- frames ---- */

static int escrow(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_object *o = judge_object(j, f->object);
	int r = judge_escrow(j, f, apply, ret);

	if (r == 0 && apply && o)
		o->escrow = true;
	return r;
}

static int one(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	switch (f->type) {
	case TYPE_PEOPLE:
		return judge_people(j, f, apply, ret);
	case TYPE_REQUEST:
		return judge_request(j, f, apply, ret);
	case TYPE_APPROVAL:
		return judge_approval(j, f, apply, ret);
	case TYPE_SHELF:
		return judge_shelf(j, f, apply, ret);
	case TYPE_POLICY:
		return judge_profile(j, f, apply, ret);
	case TYPE_CLOCK:
		return judge_clock(j, f, apply, ret);
	case TYPE_COSIGN:
		return judge_cosign(j, f, apply);
	case TYPE_COMMIT:
		return judge_commit(j, f, apply, ret);
	case TYPE_APPEND:
	case TYPE_HOLE:
		return judge_append(j, f, ret);
	case TYPE_EXTEND:
		return judge_extend(j, f, apply, ret);
	case TYPE_REMOVE:
		return judge_remove(j, f, apply, ret);
	case TYPE_DESTROY:
		return judge_destroy(j, f, apply, ret);
	case TYPE_CREATE:
	case TYPE_RENAME:
		return judge_place(j, f, apply);
	case TYPE_EVENT:
		return judge_event(j, f, apply, ret);
	case TYPE_HOLD:
		return judge_hold(j, f, apply, ret);
	case TYPE_ESCROW:
		return escrow(j, f, apply, ret);
	case TYPE_CEREMONY:
		return judge_ceremony(j, f, apply, ret);
	case TYPE_VAULT:
		return judge_vault(j, f, apply, ret);
	case TYPE_RECEIPT:
		return judge_receipt(j, f, apply, ret);
	default:
		return 0;
	}
}

int cof_judge_take(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct cof_judgement w = {0};
	int r = one(j, f, true, &w);

	*ret = w;
	return r;
}

int cof_judge_ask(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct cof_judgement w = {0};
	int r = one(j, f, false, &w);

	*ret = w;
	return r;
}

/* ---- asking ---- */

const struct cof_people *cof_judge_people(const struct cof_judge *j)
{
	return j->has_people ? &j->people : NULL;
}

uint64_t cof_judge_people_sequence(const struct cof_judge *j)
{
	return j->people_sequence;
}

const char *cof_request_state_name(enum cof_request_state s)
{
	static const char *const names[] = {"open", "approved", "done", "failed", "refused", "expired"};

	return (unsigned)s < COF_COUNT(names) ? names[s] : "unknown";
}

static int view(const struct cof_judge *j, const struct judged_request *r, struct cof_request_view *ret)
{
	*ret = (struct cof_request_view){.request = &r->q,
					 .document = r->doc,
					 .document_len = r->doc_len,
					 .state = r->state,
					 .sequence = r->sequence,
					 .met = r->met,
					 .until = r->state == COF_REQUEST_MET ? r->until : COF_RETAIN_NONE,
					 .signer = r->signer,
					 .n_signers = r->n_signers,
					 .outcome = r->outcome};
	(void)cof_judge_rule(j, r->q.action, r->q.doc, &ret->rule);
	return 0;
}

int cof_judge_request(const struct cof_judge *j, const uint8_t id[32], struct cof_request_view *ret)
{
	const struct judged_request *r = judge_find(j, id);

	return r ? view(j, r, ret) : -ENOENT;
}

int cof_judge_request_at(const struct cof_judge *j, size_t i, struct cof_request_view *ret)
{
	return i < j->n_requests ? view(j, j->request[i], ret) : -ENOENT;
}
