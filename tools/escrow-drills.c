/* SPDX-License-Identifier: Apache-2.0 */
/* Drills of escrow, by their records. */
#include "tools/escrow-drills.h"

#include <stdio.h>

/* ---- who holds shares ---- */

static void add_custodian(const struct ledger *l, struct escrow_drills *d, const char *name)
{
	if (!name || strlen(name) >= sizeof(d->custodian->name) || escrow_ledger_destroyed(l, d->epoch, name) ||
	    escrow_ledger_revoked(l, d->epoch->shelf, name))
		return;
	d->custodian[d->n] = (struct drilled_custodian){.last = INT64_MIN, .asked = INT64_MIN, .failed = INT64_MIN};
	snprintf(d->custodian[d->n++].name, sizeof(d->custodian->name), "%s", name);
}

/* As the record of the epoch's document lists them. */
static int find_custodians(const struct ledger *l, struct escrow_drills *d)
{
	const char *text = ledger_text(d->epoch->o, "detail");
	cof_autojson struct cof_json *detail = NULL;
	const struct cof_json *names = NULL;
	int r = cof_json_parse(text, strlen(text), &detail);

	if (r == -ENOMEM)
		return r;
	if (r == 0)
		names = cof_json_get(detail, "custodians");
	d->custodian = calloc(COF_CUSTODIANS_MAX, sizeof(*d->custodian));
	if (!d->custodian)
		return -ENOMEM;
	for (size_t i = 0; i < cof_json_count(names) && d->n < COF_CUSTODIANS_MAX; i++)
		add_custodian(l, d, cof_json_value_str(cof_json_at(names, i)));
	return 0;
}

/* ---- what was done ---- */

static struct drilled_custodian *custodian_of(const struct escrow_drills *d, const char *name)
{
	for (unsigned i = 0; i < d->n; i++)
		if (!strcmp(d->custodian[i].name, name))
			return &d->custodian[i];
	return NULL;
}

static bool is_success(const struct cof_json *o)
{
	return !strcmp(ledger_text(o, "outcome"), "success");
}

/* What was right before stays so when somebody brings it a second time: that is an event. */
static bool is_replay(const struct cof_json *o)
{
	return !strncmp(ledger_text(o, "reason"), "replayed", 8);
}

static void take_share(struct escrow_drills *d, const struct cof_json *o, int64_t time)
{
	struct drilled_custodian *c = custodian_of(d, ledger_text(o, "name"));

	if (!c)
		return;
	if (!cof_json_get(o, "of")) {
		c->asked = time;
	} else if (is_success(o)) {
		c->last = time;
		c->asked = c->failed = INT64_MIN;
	} else if (!is_replay(o)) {
		c->failed = time;
		c->reason = ledger_text(o, "reason");
	}
}

static void take_full(struct escrow_drills *d, const struct cof_json *o, int64_t time)
{
	if (!cof_json_get(o, "of")) {
		d->canary = time;
	} else if (is_success(o)) {
		d->full = time;
		d->took = ledger_number(o, "took_ns");
		d->promised = ledger_number(o, "promised_ns");
		d->canary = d->full_failed = INT64_MIN;
	} else if (!is_replay(o)) {
		d->full_failed = time;
		d->full_reason = ledger_text(o, "reason");
	}
}

static void take(struct escrow_drills *d, const struct cof_json *o)
{
	int64_t time;

	if (strcmp(ledger_what(o), "drill") != 0 || ledger_shelf(o) != d->epoch->shelf || (uint32_t)ledger_number(o, "epoch") != d->epoch->number ||
	    strcmp(ledger_text(o, "epoch_key"), d->epoch->epoch_key) != 0 || cof_time_parse(ledger_text(o, "time"), &time) < 0)
		return;
	if (*ledger_text(o, "name"))
		take_share(d, o, time);
	else
		take_full(d, o, time);
}

/* ---- what is due ---- */

static int64_t due_after(const struct ledger_epoch *e, int64_t last, int64_t each)
{
	int64_t due;

	if (!each || __builtin_add_overflow(last == INT64_MIN ? e->valid : last, each, &due))
		return INT64_MAX;
	return due;
}

int escrow_drills_of(const struct ledger *l, const struct ledger_epoch *e, const struct cof_profile *p, struct escrow_drills *ret)
{
	int r;

	*ret = (struct escrow_drills){.epoch = e, .full = INT64_MIN, .full_failed = INT64_MIN, .canary = INT64_MIN, .shares_due = INT64_MAX,
				      .shares_last = INT64_MAX};
	r = find_custodians(l, ret);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n_records; i++)
		take(ret, l->record[i]);
	for (unsigned i = 0; i < ret->n; i++) {
		struct drilled_custodian *c = &ret->custodian[i];

		c->due = due_after(e, c->last, p->escrow_drill);
		ret->shares_due = COF_MIN(ret->shares_due, c->due);
		ret->shares_last = COF_MIN(ret->shares_last, c->last);
	}
	if (!ret->n)
		ret->shares_last = INT64_MIN;
	ret->full_due = due_after(e, ret->full, p->escrow_full_drill);
	return 0;
}

void escrow_drills_done(struct escrow_drills *d)
{
	free(d->custodian);
	*d = (struct escrow_drills){.n = 0};
}

bool escrow_drills_wanted(const struct ledger *l, const struct ledger_epoch *e)
{
	if (!e->valid || e->revoked || e->rehearsal)
		return false;
	for (size_t i = 0; i < l->n_epochs; i++) {
		const struct ledger_epoch *other = &l->epoch[i];

		if (other != e && other->shelf == e->shelf && !strcmp(other->epoch_key, e->epoch_key) && other->valid && !other->revoked &&
		    other->valid_at > e->valid_at)
			return false;
	}
	if (escrow_ledger_keys(l, e->epoch_key))
		return true;
	for (size_t i = 0; i < l->n_epochs; i++) {
		const struct ledger_epoch *other = &l->epoch[i];

		if (other->shelf == e->shelf && !other->rehearsal && other->valid && !other->revoked && other->valid_at > e->valid_at)
			return false;
	}
	return true;
}

bool escrow_drills_late(const struct escrow_drills *d)
{
	return d->full != INT64_MIN && d->promised && d->took > d->promised;
}

void escrow_drills_who(const struct escrow_drills *d, int64_t now, char *ret, size_t room)
{
	int64_t until = COF_MAX(d->shares_due, now);
	size_t at = 0;

	*ret = '\0';
	for (unsigned i = 0; i < d->n; i++)
		if (d->custodian[i].due <= until && at + sizeof(d->custodian->name) + 2 < room)
			at += (size_t)snprintf(ret + at, room - at, "%s%s", at ? ", " : "", d->custodian[i].name);
}

/* ---- the policy ---- */

int escrow_policy(struct escrow_shelf *s, struct cof_profile *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	struct cof_profile_file file;
	const char *text;
	int r = people_ask_one(&s->ask, "policy", args, &o, diag);

	cof_profile_default(ret);
	if (r < 0 || !cof_json_bool(o, "set"))
		return r;
	text = ledger_text(o, "policy");
	r = cof_profile_parse(text, strlen(text), &file, diag);
	if (r < 0)
		return r;
	*ret = file.archive;
	cof_profile_file_done(&file);
	return 0;
}
