/* SPDX-License-Identifier: Apache-2.0 */
/* Changes put together from the events of their steps. */
#include "tools/changes.h"

#include "base/json.h"
#include "fs/rules/profile.h"

#include <stdio.h>

void changes_done(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->change[i].business);
		free(c->change[i].reason);
	}
	free(c->change);
	free(c->measured);
	free(c->named);
	*c = (struct changes){0};
}

static int keep(uint64_t **table, size_t *n, uint64_t v)
{
	uint64_t *q = realloc(*table, (*n + 1) * sizeof(*q));

	if (!q)
		return -ENOMEM;
	*table = q;
	q[(*n)++] = v;
	return 0;
}

static struct change *by_id(struct changes *c, const char *id)
{
	for (size_t i = c->n; i--;)
		if (!strcmp(c->change[i].id, id))
			return &c->change[i];
	return NULL;
}

static struct change *new_change(struct changes *c, const char *id)
{
	struct change *q = realloc(c->change, (c->n + 1) * sizeof(*q));

	if (!q)
		return NULL;
	c->change = q;
	q = &c->change[c->n++];
	*q = (struct change){.state = COF_CHANGE_REQUESTED};
	snprintf(q->id, sizeof(q->id), "%s", id);
	return q;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int begin(struct changes *c, const char *id, const struct cof_json *form, const struct cof_json *event)
{
	struct change *q = by_id(c, id) ? NULL : new_change(c, id);
	const char *kind = cof_json_str(form, "kind"), *time = cof_json_str(event, "time");

	if (!q)
		return by_id(c, id) ? 0 : -ENOMEM;
	q->batch = kind && !strcmp(kind, "batch");
	q->business = copy(cof_json_str(event, "path"));
	q->reason = copy(cof_json_str(event, "detail"));
	if (!time || cof_time_parse(time, &q->requested) < 0)
		q->requested = INT64_MIN;
	return 0;
}

static int take_named(struct changes *c, const struct cof_json *form)
{
	const struct cof_json *all = cof_json_get(form, "changed");
	uint64_t frame;
	int r = 0;

	for (size_t i = 0; r == 0 && all && i < cof_json_count(all); i++)
		if (cof_json_value_uint(cof_json_at(all, i), &frame) == 0)
			r = keep(&c->named, &c->n_named, frame);
	return r;
}

static int take_step(struct changes *c, enum cof_change_step step, const char *id, const struct cof_json *event)
{
	const char *text = cof_json_str(event, "form"), *time = cof_json_str(event, "time"), *signer = cof_json_str(event, "signer");
	const char *outcome = cof_json_str(event, "outcome");
	cof_autojson struct cof_json *form = NULL;
	struct change *q;
	int64_t sequence = 0;
	int r = text ? cof_json_parse(text, strlen(text), &form) : -EUCLEAN;

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (step == COF_CHANGE_REQUESTED)
		r = begin(c, id, form, event);
	q = by_id(c, id);
	if (r < 0 || !q)
		return r;
	(void)cof_json_int(event, "sequence", &sequence);
	q->at[step].sequence = (uint64_t)sequence;
	snprintf(q->at[step].time, sizeof(q->at[step].time), "%s", time ? time : "?");
	snprintf(q->at[step].signer, sizeof(q->at[step].signer), "%s", signer ? signer : "?");
	q->state = step == COF_CHANGE_CHECKED && (!outcome || strcmp(outcome, "success")) ? COF_CHANGE_APPROVED : step;
	return take_named(c, form);
}

/* What says by itself that something is another than it was. */
static bool is_measured(const char *type)
{
	return !strcmp(type, "changed") || !strcmp(type, "policy-changed") || !strcmp(type, "policy-set") ||
	       !strcmp(type, "profile-changed");
}

int changes_add(struct changes *c, const struct cof_json *event)
{
	const char *type = cof_json_str(event, "event"), *id = cof_json_str(event, "change");
	enum cof_change_step step;
	int64_t sequence;

	if (!type)
		return 0;
	if (id && strlen(id) == 64 && cof_change_find(type, &step) == 0)
		return take_step(c, step, id, event);
	if (is_measured(type) && cof_json_int(event, "sequence", &sequence) == 0)
		return keep(&c->measured, &c->n_measured, (uint64_t)sequence);
	return 0;
}

bool change_is_open(const struct change *c)
{
	return c->state != COF_CHANGE_DECLINED && c->state != COF_CHANGE_CHECKED;
}

bool change_is_owed(const struct change *c, const char *signers)
{
	bool checker = !*signers || cof_profile_word(signers, "checker", 7);

	return change_is_open(c) && (checker || c->state != COF_CHANGE_DONE);
}

int changes_find(const struct changes *c, const char *digits, const struct change **ret)
{
	const struct change *found = NULL;
	size_t n = strlen(digits);

	if (n < 8)
		return -ENOENT;
	for (size_t i = 0; i < c->n; i++) {
		if (strncmp(c->change[i].id, digits, n) != 0)
			continue;
		if (found)
			return -EEXIST;
		found = &c->change[i];
	}
	if (!found)
		return -ENOENT;
	*ret = found;
	return 0;
}

bool changes_is_named(const struct changes *c, uint64_t frame)
{
	for (size_t i = 0; i < c->n_named; i++)
		if (c->named[i] == frame)
			return true;
	return false;
}
