/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits and retention. What is asked for is brought between the shelf's minimum and maximum (or
 * refused, where the shelf is strict), and both are recorded. Afterwards an end only moves away.
 */
#include "fs/rules/internal.h"

int64_t rule_end(int64_t now, int64_t span)
{
	int64_t end;

	if (span == COF_RETAIN_INFINITE)
		return COF_RETAIN_INFINITE;
	if (__builtin_add_overflow(now, span, &end) || end == COF_RETAIN_INFINITE)
		return COF_RETAIN_INFINITE - 1;
	return end;
}

static bool whole(int64_t given, int64_t kept, int64_t unit)
{
	return given % unit == 0 && kept >= given && kept - given < unit;
}

bool rule_same_end(int64_t given, int64_t kept)
{
	if (given == kept)
		return true;
	if (kept == COF_RETAIN_NONE || kept == COF_RETAIN_INFINITE || given < 0 || kept < 0)
		return false;
	return whole(given, kept, COF_NSEC) || whole(given, kept, COF_NSEC / 1000);
}

static bool autocommit_due(const struct cof_policy *p, const struct cof_object *o, int64_t now)
{
	return p && p->autocommit && o->kind == RULE_FILE && o->state == RULE_OPEN && o->size &&
	       !o->has_writers && rule_end(o->idle_since, p->autocommit) <= now;
}

static bool is_over(int64_t until, int64_t now)
{
	return until != COF_RETAIN_NONE && until != COF_RETAIN_INFINITE && until <= now;
}

int64_t cof_rule_end(const struct cof_object *o)
{
	if (o->event_due || o->retain_until == COF_RETAIN_NONE)
		return COF_RETAIN_INFINITE;
	return COF_MAX(o->retain_until, o->least_until);
}

/* Grants between the bounds; *bounded says which one moved it, or NULL. */
static int64_t clamp(const struct rule_in *in, int64_t asked, const char **bounded)
{
	int64_t least = rule_end(in->now, in->policy->retention_min);
	int64_t most = rule_end(in->now, in->policy->retention_max);

	*bounded = asked < least ? "clamped-min" : asked > most ? "clamped-max" : NULL;
	return COF_MAX(COF_MIN(asked, most), least);
}

/* What was asked for as an end counts as long from the event as it would have from the commit. */
static int64_t granted_span(const struct rule_in *in, const struct cof_ruling *rl)
{
	return rl->retain_until == COF_RETAIN_INFINITE ? COF_RETAIN_INFINITE : rl->retain_until - in->now;
}

static void grant(const struct rule_in *in, int64_t asked, bool strict, struct cof_ruling *rl)
{
	const struct cof_policy *p = in->policy;
	int64_t until = COF_RETAIN_NONE;
	const char *bounded = NULL, *rule = "none";

	if (p->retention && asked == COF_RETAIN_NONE) {
		until = rule_end(in->now, p->retention_default);
		rule = "default";
	} else if (p->retention) {
		until = clamp(in, asked, &bounded);
		rule = bounded ? bounded : "asked";
	}
	if (bounded && strict)
		return rule_refuse(
		    rl, -EINVAL, "retention-bounds",
		    "The retention asked for lies outside the shelf's minimum and maximum, and the "
		    "shelf is strict; ask for one between them (touch -a -d), or for none.");
	rule_accept(rl, COF_EFFECT_COMMIT);
	rl->rule = rule;
	rl->retain_until = until;
	rl->asked_until = asked;
	rl->mode = (uint8_t)p->mode;
	if (p->mode == COF_COMPLIANCE && p->cooling_off)
		rl->binds_from = rule_end(in->now, p->cooling_off);
	if (p->retention && p->retain_event[0]) {
		rl->event = p->retain_event;
		rl->event_span = asked == COF_RETAIN_NONE ? p->retention_default : granted_span(in, rl);
	}
	cof_rule_least(in->o->least_until, rl);
}

/* What a certificate in it says counts however short the shelf's maximum is. */
void cof_rule_least(int64_t least, struct cof_ruling *rl)
{
	if (rl->retain_until == COF_RETAIN_NONE || least <= rl->retain_until)
		return;
	rl->retain_until = least;
	if (strcmp(rl->rule, "autocommit") != 0)
		rl->rule = "least";
}

int64_t cof_rule_follow(int64_t latest, int64_t longest, int64_t committed, int64_t margin)
{
	int64_t by_latest = latest == COF_RETAIN_NONE ? COF_RETAIN_NONE : rule_end(latest, margin);

	return longest > 0 ? COF_MAX(by_latest, rule_end(committed, longest)) : by_latest;
}

void rule_take_commit(const struct cof_ruling *commit, struct cof_object *o)
{
	o->mode_kept = commit->mode;
	o->binds_from = commit->binds_from;
	o->event_due = commit->event != NULL;
	o->event_span = commit->event_span;
	if (commit->event)
		memcpy(o->event, commit->event, strlen(commit->event) + 1);
}

void rule_grant(const struct rule_in *in, int64_t asked, struct cof_ruling *rl)
{
	grant(in, asked, in->policy->strict, rl);
}

/* What was asked for may be over by now: then nothing is asked. */
static int64_t asked_by_atime(const struct rule_in *in)
{
	return in->o->asked_until > in->now ? in->o->asked_until : COF_RETAIN_NONE;
}

void rule_grant_by_atime(const struct rule_in *in, struct cof_ruling *rl)
{
	rule_grant(in, asked_by_atime(in), rl);
}

uint8_t cof_state_now(const struct cof_policy *policy, const struct cof_object *object, int64_t now)
{
	struct cof_ruling commit;
	uint8_t state = object->state;
	struct cof_object o = *object;

	if (cof_rule_autocommit(policy, object, now, &commit)) {
		state = RULE_COMMITTED;
		o.retain_until = commit.retain_until;
		rule_take_commit(&commit, &o);
	}
	/* What is in it is read when its COMMIT frame is written: until then nobody knows that it is over. */
	if (object->state == RULE_OPEN && state == RULE_COMMITTED && policy->certificates)
		return state;
	/* Expired means removable: what is held is not, nor what was extended after it was over. A row that
	 * says expired without an end is taken at its word. */
	if (state == RULE_EXPIRED && o.retain_until == COF_RETAIN_NONE && !o.holds)
		return state;
	if (state == RULE_COMMITTED || state == RULE_EXPIRED)
		return !o.holds && is_over(cof_rule_end(&o), now) ? RULE_EXPIRED : RULE_COMMITTED;
	return state;
}

bool cof_rule_autocommit(const struct cof_policy *policy, const struct cof_object *object,
			 int64_t now, struct cof_ruling *ret)
{
	struct rule_in in = {.policy = policy, .o = object};

	if (!autocommit_due(policy, object, now))
		return false;
	/* As of the moment it was due: when somebody looks must not matter. */
	in.now = rule_end(object->idle_since, policy->autocommit);
	grant(&in, asked_by_atime(&in), false, ret);
	ret->rule = "autocommit";
	return true;
}

void rule_extend(const struct rule_in *in, int64_t asked, struct cof_ruling *rl)
{
	int64_t kept = in->o->retain_until, until = asked;
	const char *bounded = NULL;

	if (in->o->state == RULE_DESTROYED)
		return rule_refuse(rl, -EPERM, "destroyed",
				   "Its content is gone; nothing is retained.");
	if (rule_same_end(asked, kept))
		return rule_accept(rl, COF_EFFECT_NONE);
	if (kept == COF_RETAIN_NONE && asked != COF_RETAIN_INFINITE)
		return rule_refuse(rl, -EPERM, "no-end",
				   "This file never ends by itself; an end would take from that.");
	if (asked < kept)
		return rule_refuse(
		    rl, -EPERM, "retention",
		    "A retention can be extended, never shortened; ask for a later end.");
	if (asked <= in->now)
		return rule_error(rl, -EINVAL, "retention-past",
				  "The end asked for is over already.");
	if (in->policy->retention)
		until = clamp(in, asked, &bounded);
	if (bounded && (in->policy->strict || until <= kept || kept == COF_RETAIN_NONE))
		return rule_refuse(
		    rl, -EINVAL, "retention-bounds",
		    "The end asked for lies outside the shelf's minimum and maximum.");
	rule_accept(rl, COF_EFFECT_EXTEND);
	rl->rule = bounded ? bounded : "asked";
	rl->retain_until = until;
	rl->asked_until = asked;
}

void rule_retain(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->kind != RULE_FILE)
		return rule_error(rl, -EINVAL, "kind", "Only files have a retention.");
	if (!rule_owner_or_root(in))
		return rule_refuse(rl, -EPERM, "not-owner",
				   "Only its owner and root can extend a file's retention.");
	if (!rule_is_fixed(in->o->state))
		return rule_error(
		    rl, -EINVAL, "not-committed",
		    "This file is open: commit it first (coffer commit, or chmod a-w).");
	if (in->op->retain == COF_RETAIN_NONE)
		return rule_error(rl, -EINVAL, "retention-text", "No end is given.");
	rule_extend(in, in->op->retain, rl);
}

/* Zero and COF_RETAIN_NONE ask for nothing: then the access time counts, else the default. */
void rule_commit(const struct rule_in *in, struct cof_ruling *rl)
{
	int64_t asked = in->op->retain ? in->op->retain : COF_RETAIN_NONE;

	if (in->o->kind != RULE_FILE)
		return rule_error(rl, -EINVAL, "kind", "Only files can be committed.");
	if (!rule_owner_or_root(in))
		return rule_refuse(rl, -EPERM, "not-owner",
				   "Only its owner and root can commit a file.");
	if (rule_is_fixed(in->o->state))
		return asked == COF_RETAIN_NONE ? rule_accept(rl, COF_EFFECT_NONE)
						: rule_extend(in, asked, rl);
	if (asked == COF_RETAIN_NONE)
		return rule_grant_by_atime(in, rl);
	if (asked <= in->now)
		return rule_error(rl, -EINVAL, "retention-past",
				  "The end asked for is over already.");
	rule_grant(in, asked, rl);
}
