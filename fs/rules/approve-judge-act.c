/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on frames that do something: what weakens names the request that permits it, and does what the
 * request says. Objects are followed as far as they are watched (approve-judge.c); of one that is not, its
 * request alone is judged.
 */
#include "fs/rules/approve-judge.h"
#include "fs/rules/internal.h"

#include "crypto/crypto.h"

enum { /* docs/format.md 4 */
	T_RETAIN_UNTIL = 24, T_RULE = 26, T_POLICY = 27, T_EVENT_NAME = 101, T_EVENT_TIME = 102, T_LEAST_UNTIL = 103, T_RETAIN_MODE = 104, T_BINDS_FROM = 105,
	T_CERT_NOT_AFTER = 161, T_CERT_LONGEST = 162, T_FOLLOWS = 163
};
#define SLACK (3600 * COF_NSEC) /* between a ruling and its frame: a daemon that is stopped lets it wait */

int judge_act(struct cof_judge *j, const struct cof_judge_frame *f, const char *action, const char *other,
	      struct judged_request **ret_request, struct cof_judgement *ret)
{
	struct judged_request *r;
	uint8_t id[32];

	*ret_request = NULL;
	if (cof_field_bytes(f->fields, f->n, COF_T_REQUEST, id, sizeof(id)) < 0)
		return 0;
	memcpy(ret->request, id, sizeof(id));
	ret->about_request = true;
	r = judge_find(j, id);
	if (!r)
		return judge_no(ret, "unknown-request", "the request that it names is not in the chain");
	if (r->state != COF_REQUEST_MET)
		return judge_no(ret, r->state == COF_REQUEST_OPEN ? "not-approved" : "finished", "the request that it names is %s",
				cof_request_state_name(r->state));
	if (strcmp(r->q.action, action) != 0 && (!other || strcmp(r->q.action, other) != 0))
		return judge_no(ret, "wrong-action", "the request that it names is for %s", r->q.action);
	*ret_request = r;
	return 0;
}

static bool same(const char *text, const struct cof_field *field)
{
	return text && strlen(text) == field->len && !memcmp(text, field->value, field->len);
}

bool judge_names_object(const struct judged_request *q, uint64_t ino)
{
	uint64_t first, count;

	for (size_t i = 0; cof_request_range(q->q.doc, i, &first, &count) == 0; i++)
		if (ino >= first && ino - first < count)
			return true;
	return false;
}

/* ---- shelves ---- */

static struct judged_shelf *shelf_of(struct cof_judge *j, uint64_t ino)
{
	for (size_t i = 0; i < j->n_shelves; i++)
		if (j->shelf[i].ino == ino)
			return &j->shelf[i];
	return NULL;
}

static int keep_shelf(struct cof_judge *j, uint64_t ino, const struct cof_policy *policy, const struct cof_field *text,
		      int64_t since)
{
	struct judged_shelf *s = shelf_of(j, ino), *q;

	if (!s) {
		q = realloc(j->shelf, (j->n_shelves + 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		j->shelf = q;
		s = &q[j->n_shelves++];
		*s = (struct judged_shelf){.ino = ino, .policy = *policy};
	}
	s->least_before = s->policy.retention ? s->policy.retention_min : 0;
	s->since = since;
	s->policy = *policy;
	cof_sha256(text->value, text->len, s->digest);
	return 0;
}

int judge_shelf(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	const struct judged_shelf *s = shelf_of(j, f->object);
	struct judged_request *q = NULL;
	struct cof_policy policy;
	struct cof_field text;
	const char *why;
	uint64_t shelf;
	int r;

	if (cof_field_find(f->fields, f->n, T_POLICY, &text) < 0 ||
	    cof_policy_parse((const char *)text.value, text.len, &policy, NULL) < 0)
		return judge_no(ret, "malformed", "a shelf's policy cannot be read");
	r = f->trusted ? 0 : judge_act(j, f, "shelf-set", NULL, &q, ret);
	if (r == 0 && q &&
	    (!same(cof_json_str(q->q.doc, "policy"), &text) || cof_request_shelf(q->q.doc, 0, &shelf) < 0 || shelf != f->object))
		r = judge_no(ret, "wrong-document", "another policy or shelf was approved");
	if (r == 0 && q)
		r = judge_once(j, q, ret);
	if (r == 0 && s && !f->trusted && !cof_policy_keeps_mode(&s->policy, &policy))
		r = judge_no(ret, "compliance", "a shelf of compliance stays one");
	if (r == 0 && !q && s && !f->trusted && !cof_policy_is_stronger(&s->policy, &policy, &why))
		r = judge_no(ret, "not-approved", "%s: %s", why, judge_no_request);
	if (r < 0 || !apply)
		return r;
	if (q)
		q->used = true;
	return keep_shelf(j, f->object, &policy, &text, f->retention_time);
}

/* ---- the archive's policy ---- */

/* Whether it became weaker than the one before; the first is what the archive was made with, or more than it had. */
static int check_profile(const struct cof_judge *j, const struct cof_profile *then, struct cof_judgement *ret)
{
	const char *key;

	if (!j->has_profile || cof_profile_is_stronger(&j->profile, then, &key))
		return 0;
	return judge_no(ret, "not-approved", "%s would promise less: %s", key, judge_no_request);
}

/* What an archive of this version writes is read by it; of what a later one wrote nothing is known to be weaker. */
int judge_profile(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_request *q = NULL;
	struct cof_profile_file file = {.shelves = NULL};
	struct cof_field text;
	int r = cof_field_find(f->fields, f->n, T_POLICY, &text), known;

	if (r < 0)
		return judge_no(ret, "malformed", "a policy frame without a policy");
	known = cof_profile_parse((const char *)text.value, text.len, &file, NULL);
	if (known == -ENOMEM)
		return known;
	cof_profile_file_done(&(struct cof_profile_file){.shelves = file.shelves});
	r = f->trusted ? 0 : judge_act(j, f, "profile-set", NULL, &q, ret);
	if (r == 0 && q && !same(cof_json_str(q->q.doc, "profile"), &text))
		r = judge_no(ret, "wrong-document", "another profile was approved");
	if (r == 0 && q)
		r = judge_once(j, q, ret);
	if (r == 0 && !q && !f->trusted && known < 0)
		r = judge_no(ret, "malformed", "a policy frame that cannot be read");
	if (r == 0 && !q && !f->trusted)
		r = check_profile(j, &file.archive, ret);
	if (r < 0 || !apply)
		return r;
	if (q)
		q->used = true;
	cof_sha256(text.value, text.len, j->profile_digest);
	j->has_profile = true;
	if (known == 0)
		j->profile = file.archive;
	return 0;
}

/* ---- files ---- */

static bool has(const struct cof_judge_frame *f, uint8_t tag)
{
	struct cof_field field;

	return cof_field_find(f->fields, f->n, tag, &field) == 0;
}

/* How long certificates last that were committed; what follows them is kept as long. */
static void take_certificates(struct cof_judge *j, const struct cof_judge_frame *f)
{
	int64_t latest = COF_RETAIN_NONE, longest = 0;

	(void)cof_field_i64(f->fields, f->n, T_CERT_NOT_AFTER, &latest);
	(void)cof_field_i64(f->fields, f->n, T_CERT_LONGEST, &longest);
	j->latest = COF_MAX(j->latest, latest);
	j->longest = COF_MAX(j->longest, longest);
}

int64_t judge_end_of(const struct cof_judge *j, const struct judged_object *o)
{
	const struct judged_shelf *s = shelf_of((struct cof_judge *)j, o->shelf);
	int64_t end = COF_MAX(o->until, o->least), margin = o->margin;

	if (s && s->policy.retain_certificates)
		margin = COF_MAX(margin, s->policy.retain_margin);
	if (o->until == COF_RETAIN_NONE || margin == COF_RETAIN_NONE)
		return o->until == COF_RETAIN_NONE ? COF_RETAIN_NONE : end;
	return COF_MAX(end, cof_rule_follow(j->latest, j->longest, o->committed_at, margin));
}

/* Whether it promises as long as its shelf asks for at least, from the frame on: what was ruled lies a moment before it, and so
 * may the policy. One that the daemon commits for being idle counts from earlier, which who reads all frames can tell. */
static int check_least(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	int64_t until = COF_RETAIN_NONE, least;
	struct cof_field rule = {0};
	struct judged_shelf *s;
	uint64_t ino = 0;

	(void)cof_field_u64(f->fields, f->n, COF_T_SHELF_INO, &ino);
	(void)cof_field_i64(f->fields, f->n, T_RETAIN_UNTIL, &until);
	(void)cof_field_find(f->fields, f->n, T_RULE, &rule);
	s = shelf_of(j, ino);
	if (!s || !s->policy.retention || until == COF_RETAIN_NONE || until == COF_RETAIN_INFINITE || same("autocommit", &rule))
		return 0;
	least = s->policy.retention_min;
	if (s->since > f->retention_time - SLACK)
		least = COF_MIN(least, s->least_before);
	if (least == COF_RETAIN_INFINITE || until < rule_end(f->retention_time - SLACK, least))
		return judge_no(ret, "retention-min", "inode %llu is kept for less than its shelf asks for at least",
				(unsigned long long)f->object);
	return 0;
}

int judge_append(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	return cof_inodes_has(&j->committed, f->object)
		       ? judge_no(ret, "after-commit", "inode %llu was committed, and grows for all that", (unsigned long long)f->object)
		       : 0;
}

static int keep_commit(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_object *o;
	struct judged_shelf *s;
	uint64_t shelf = 0;
	int r = cof_inodes_add(&j->committed, f->object, SIZE_MAX);

	(void)cof_field_u64(f->fields, f->n, COF_T_SHELF_INO, &shelf);
	s = shelf_of(j, shelf);
	if (r == 0 && s)
		r = cof_inodes_add(&s->files, f->object, SIZE_MAX);
	if (r == 0)
		r = judge_removed_follow(j, f->object, 1);
	if (r < 0)
		return r;
	take_certificates(j, f);
	o = judge_object(j, f->object);
	if (!o)
		return 0;
	o->committed = true;
	o->margin = COF_RETAIN_NONE;
	(void)cof_field_i64(f->fields, f->n, T_FOLLOWS, &o->margin);
	o->committed_at = f->retention_time;
	o->until = COF_RETAIN_NONE;
	(void)cof_field_i64(f->fields, f->n, T_RETAIN_UNTIL, &o->until);
	o->shelf = shelf;
	o->mode = COF_COMPLIANCE;
	o->binds_from = 0;
	o->least = COF_RETAIN_NONE;
	(void)cof_field_u8(f->fields, f->n, T_RETAIN_MODE, &o->mode);
	(void)cof_field_i64(f->fields, f->n, T_BINDS_FROM, &o->binds_from);
	(void)cof_field_i64(f->fields, f->n, T_LEAST_UNTIL, &o->least);
	o->waits = has(f, T_EVENT_NAME);
	o->last = f->sequence;
	return 0;
}

int judge_commit(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	int r = cof_inodes_has(&j->committed, f->object)
			? judge_no(ret, "after-commit", "inode %llu was committed before", (unsigned long long)f->object)
			: check_least(j, f, ret);
	int e = apply && !cof_inodes_has(&j->committed, f->object) ? keep_commit(j, f) : 0;

	return e < 0 ? e : r;
}

/* Without an end it never ends by itself: that is later than any. */
static bool is_earlier(int64_t one, int64_t other)
{
	return one != COF_RETAIN_NONE && (other == COF_RETAIN_NONE || one < other);
}

/* What its COMMIT frame promised, and the shelf's policy of now, which may have become stronger. */
bool judge_can_end(const struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f)
{
	struct cof_policy room;
	const struct cof_policy *p = o->shelf ? judge_policy(j, o->shelf, &room) : NULL;

	return f->retention_time < o->binds_from || (o->mode == COF_GOVERNANCE && (!p || p->mode == COF_GOVERNANCE));
}

static int may_end(const struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f,
		   struct cof_judgement *ret)
{
	if (judge_can_end(j, o, f))
		return 0;
	return judge_no(ret, "compliance", "inode %llu was committed under compliance: nobody ends its retention",
			(unsigned long long)o->ino);
}

static bool same_time(const struct cof_json *doc, const char *key, int64_t time)
{
	const char *text = cof_json_str(doc, key);
	int64_t said;

	return text && cof_time_parse(text, &said) == 0 && said == time;
}

/* It does what the document of its request says: that end, or that event at that time, which only lets it end later. */
static int check_end(const struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f,
		     const struct cof_request *q, int64_t until, struct cof_judgement *ret)
{
	struct cof_field name;
	int64_t happened = COF_RETAIN_NONE;

	if (!strcmp(q->action, "retention-end")) {
		if (!same_time(q->doc, "until", until) || has(f, T_EVENT_NAME))
			return judge_no(ret, "wrong-document", "another end than the one that was approved");
		return o && is_earlier(until, o->until) ? may_end(j, o, f, ret) : 0;
	}
	(void)cof_field_i64(f->fields, f->n, T_EVENT_TIME, &happened);
	if (cof_field_find(f->fields, f->n, T_EVENT_NAME, &name) < 0 || !same(cof_json_str(q->doc, "event"), &name) ||
	    !same_time(q->doc, "happened", happened))
		return judge_no(ret, "wrong-document", "another event, or time of it, than the one that was approved");
	if (o && !o->waits && is_earlier(until, o->until))
		return judge_no(ret, "compliance", "nothing waits for this event, and inode %llu would end earlier",
				(unsigned long long)o->ino);
	return 0;
}

/* An earlier end without a request has no effect (docs/format.md 4), so it is no offence either. */
int judge_extend(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_object *o = judge_object(j, f->object);
	int64_t until = COF_RETAIN_NONE;
	struct judged_request *q;
	int r = judge_act(j, f, "retention-end", "event-declare", &q, ret);

	(void)cof_field_i64(f->fields, f->n, T_RETAIN_UNTIL, &until);
	if (r == 0 && q && !judge_names_object(q, f->object))
		r = judge_no(ret, "wrong-document", "the request does not name inode %llu", (unsigned long long)f->object);
	if (r == 0 && q)
		r = check_end(j, o, f, &q->q, until, ret);
	if (r == 0 && !q && has(f, T_EVENT_TIME))
		r = judge_no(ret, "not-approved", "inode %llu waits for its event no longer: %s", (unsigned long long)f->object, judge_no_request);
	if (r < 0 || !apply || !o)
		return r;
	if (has(f, T_EVENT_NAME))
		o->waits = !has(f, T_EVENT_TIME);
	else if (q)
		o->waits = false;
	if (q || !is_earlier(until, o->until)) {
		o->until = until;
		o->last = f->sequence;
	}
	return 0;
}

static int may_remove(struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct judged_request *q;
	int64_t until;
	int r = judge_act(j, f, "remove", NULL, &q, ret);

	if (r < 0)
		return r;
	if (q && !judge_names_object(q, f->object))
		return judge_no(ret, "wrong-document", "the request does not name inode %llu", (unsigned long long)f->object);
	if (o && !o->committed && o->holds)
		return judge_no(ret, "held", "inode %llu is on legal hold", (unsigned long long)f->object);
	if (!o || !o->committed)
		return 0;
	if (!q)
		return judge_no(ret, "not-approved", "inode %llu was committed: %s", (unsigned long long)f->object, judge_no_request);
	if (o->holds)
		return judge_no(ret, "held", "inode %llu is on legal hold", (unsigned long long)f->object);
	until = judge_end_of(j, o);
	if (until == COF_RETAIN_NONE || until > f->retention_time || o->waits)
		return judge_no(ret, "retained", "the retention of inode %llu is not over", (unsigned long long)f->object);
	return 0;
}

int judge_remove(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_object *o = judge_object(j, f->object);
	int r = may_remove(j, o, f, ret);

	if (r == 0 && apply && o)
		o->removed = true;
	return r;
}
