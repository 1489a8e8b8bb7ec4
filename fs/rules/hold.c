/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Legal holds, retentions that wait for an event, and what ends by approval only. A hold is
 * stronger than everything: what it covers is neither removed nor replaced, whatever its retention
 * says. What weakens is judged twice: without an approval the refusal names the request to file,
 * with one it is looked at whether it makes sense.
 */
#include "fs/rules/internal.h"

static const char held[] =
    "It is on legal hold, and stays until each hold on it ends by approval (coffer "
    "request hold-end).";

bool rule_held(const struct rule_in *in, struct cof_ruling *rl)
{
	if (!in->o->holds)
		return false;
	rule_refuse(rl, -EPERM, "held", held);
	return true;
}

static bool is_fixed_file(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->kind != RULE_FILE) {
		rule_error(rl, -EINVAL, "kind", "Only files have a retention.");
		return false;
	}
	if (in->o->state == RULE_DESTROYED) {
		rule_error(rl, -EINVAL, "destroyed", "Its content is gone; nothing is retained.");
		return false;
	}
	if (!rule_is_fixed(in->o->state)) {
		rule_error(rl, -EINVAL, "not-committed",
			   "This file is open: commit it first (coffer commit, or chmod a-w).");
		return false;
	}
	return true;
}

void rule_hold_begin(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->kind != RULE_FILE && in->o->kind != RULE_DIR)
		return rule_error(rl, -EINVAL, "kind", "Only files and directories are held.");
	if (!in->who->daemon && in->who->uid != 0)
		return rule_refuse(rl, -EPERM, "root-only", "Holds are begun by root.");
	rule_accept(rl, COF_EFFECT_HOLD);
}

void rule_hold_end(const struct rule_in *in, struct cof_ruling *rl)
{
	if (!in->o->holds)
		return rule_error(rl, -EINVAL, "not-held", "It is not on hold.");
	if (!in->op->approved)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "A hold ends by request and approval only (coffer request hold-end).");
	rule_accept(rl, COF_EFFECT_HOLD);
}

/* Whether a quorum may: the file's own mode, as it was committed, and the shelf's of now, which may
 * have become stronger since. */
static bool can_be_ended(const struct rule_in *in)
{
	const struct cof_object *o = in->o;
	bool cooling = o->binds_from > 0 && in->now < o->binds_from;

	return cooling || (o->mode_kept == COF_GOVERNANCE && in->policy->mode == COF_GOVERNANCE);
}

void rule_retention_end(const struct rule_in *in, struct cof_ruling *rl)
{
	int64_t asked = in->op->retain;

	if (!is_fixed_file(in, rl))
		return;
	if (!can_be_ended(in))
		return rule_refuse(
		    rl, -EPERM, "compliance",
		    "Its retention is one of compliance, and binds: nobody ends it early.");
	if (!in->op->approved)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "A retention ends early by request and approval only (coffer request "
		    "retention-end).");
	if (asked == COF_RETAIN_NONE || asked >= cof_rule_end(in->o))
		return rule_error(rl, -EINVAL, "retention-later",
				  "That is no earlier end; coffer retain gives a later one.");
	if (in->o->least_until > asked && in->o->least_until > 0)
		return rule_refuse(rl, -EPERM, "least",
				   "What it holds demands a later end: that of its certificates.");
	rule_accept(rl, COF_EFFECT_END);
	rl->rule = "ended";
	rl->retain_until = rl->asked_until = asked;
}

void rule_retain_event(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_policy *p = in->policy;
	const char *name = in->op->name ? in->op->name : "";

	if (!is_fixed_file(in, rl))
		return;
	if (!rule_owner_or_root(in))
		return rule_refuse(rl, -EPERM, "not-owner",
				   "Only its owner and root can extend a file's retention.");
	if (!cof_event_name_ok(name))
		return rule_error(rl, -EINVAL, "event-name",
				  "The name of an event has 1 to 31 of a-z, 0-9 and -.");
	if (in->o->event_due && !strcmp(in->o->event, name))
		return rule_accept(rl, COF_EFFECT_NONE);
	if (in->o->event_due)
		return rule_refuse(
		    rl, -EPERM, "event",
		    "Its retention waits for another event already, and goes on to.");
	if (in->o->retain_until == COF_RETAIN_NONE)
		return rule_refuse(
		    rl, -EPERM, "no-end",
		    "This file never ends by itself; an event would take from that.");
	/* Until it is declared there is no end: a shelf with a maximum has to allow for that. */
	if (p->retention && p->retention_max != COF_RETAIN_INFINITE && !p->retain_event[0])
		return rule_refuse(rl, -EINVAL, "retention-bounds",
				   "The shelf has a maximum, and an event may never come.");
	rule_accept(rl, COF_EFFECT_EVENT);
	rl->rule = "event";
	rl->retain_until = in->o->retain_until;
	rl->event = name;
	rl->event_span = p->retention ? p->retention_default : 0;
}

void rule_event_declare(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const char *name = in->op->name ? in->op->name : "";
	int64_t when = in->op->retain, end;

	if (!is_fixed_file(in, rl))
		return;
	if (!o->event_due || strcmp(o->event, name) != 0)
		return rule_error(rl, -EINVAL, "event-none",
				  "Its retention does not wait for this event.");
	if (!in->op->approved)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "An event that a retention waits for is declared by request and approval "
		    "only (coffer request event-declare).");
	if (when < 0 || when > in->now)
		return rule_error(rl, -EINVAL, "event-time",
				  "An event is declared once it has happened, not before.");
	end = rule_end(when, o->event_span);
	rule_accept(rl, COF_EFFECT_EVENT);
	rl->rule = "declared";
	rl->retain_until = COF_MAX(end, o->retain_until); /* the longest counts */
}

void rule_remove(const struct rule_in *in, struct cof_ruling *rl)
{
	if (!is_fixed_file(in, rl) || rule_held(in, rl))
		return;
	if (in->o->state != RULE_EXPIRED)
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "Its retention is not over; only what has expired can be removed.");
	if (!in->op->approved)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "What has expired goes by request and approval only, the auditor's among "
		    "them (coffer request remove).");
	rule_accept(rl, COF_EFFECT_REMOVE);
}

/* An escrowed key ends with its backups (R29): where no end was promised, or a quorum may end the retention anyway, that
 * is one step. */
static bool may_end_now(const struct rule_in *in)
{
	const struct cof_object *o = in->o;

	if (o->state == RULE_EXPIRED || o->state == RULE_REMOVED)
		return true;
	return o->escrow && !o->event_due && (o->least_until <= 0 || o->least_until <= in->now) &&
	       (o->retain_until == COF_RETAIN_NONE || can_be_ended(in));
}

void rule_destroy(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;

	if (o->kind != RULE_FILE)
		return rule_error(rl, -EINVAL, "kind", "Only files are destroyed; name those in it.");
	if (o->state == RULE_DESTROYED || o->destroyed)
		return rule_error(rl, -EINVAL, "destroyed", "Its content is gone already.");
	if (rule_held(in, rl))
		return;
	if (o->state == RULE_OPEN)
		return rule_refuse(rl, -EPERM, "not-committed",
				   "This file is open: what is destroyed was committed, or removed, before.");
	if (!may_end_now(in))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "Its retention is not over; only what has expired or was removed can be destroyed, and escrowed keys.");
	if (!in->op->approved)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "Content is destroyed by request and approval only, the auditor's among them (coffer request destroy).");
	rule_accept(rl, COF_EFFECT_DESTROY);
}
