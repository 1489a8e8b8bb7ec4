/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shelves: root makes them, and replaces a policy by a stronger one. What a policy promises is
 * compared key by key; the first promise that would be less than it was decides.
 */
#include "fs/rules/internal.h"

/* Every promise, each under its own name. */
enum weaker_key {
	WEAKER_DURABILITY,
	WEAKER_NO_END,
	WEAKER_NO_RETENTION,
	WEAKER_MIN,
	WEAKER_DEFAULT,
	WEAKER_MAX,
	WEAKER_STRICT,
	WEAKER_NO_AUTOCOMMIT,
	WEAKER_AUTOCOMMIT,
	WEAKER_QUOTA,
	WEAKER_QUOTA_FILES,
	WEAKER_STAGING,
	WEAKER_KIND,
	WEAKER_MODE,
	WEAKER_COOLING,
	WEAKER_EVENT,
	WEAKER_FOLLOWS,
	WEAKER_CERTIFICATES,
	WEAKER_MARGIN,
	WEAKER_READS,
	WEAKER_SILENCE,
	WEAKER_GUARD,
	WEAKER_APPROVE_HOLD,
	WEAKER_APPROVE_REMOVE,
	WEAKER_APPROVE_END,
	WEAKER_APPROVE_POLICY,
	WEAKER_APPROVE_ESCROW,
	WEAKER_REMOVE,
	WEAKER_DELAY,
};
#define WEAKER(text)                                                                               \
	{                                                                                          \
		text, "A shelf's policy can only become stronger, but " text                       \
		      "; what is weaker goes by approval (coffer request shelf-set)."              \
	}
static const struct rule_weaker weaker[] = {
    [WEAKER_DURABILITY] = WEAKER("durability would no longer be that of each write"),
    [WEAKER_NO_END] =
	WEAKER("files that never end would get an end (unless retention_min is infinite)"),
    [WEAKER_NO_RETENTION] = WEAKER("retention would be taken away (for no end it can be infinite)"),
    [WEAKER_MIN] = WEAKER("retention_min would be shorter"),
    [WEAKER_DEFAULT] = WEAKER("retention would be shorter"),
    [WEAKER_MAX] = WEAKER("retention_max would be shorter"),
    [WEAKER_STRICT] = WEAKER("strict would no longer hold"),
    [WEAKER_NO_AUTOCOMMIT] = WEAKER("autocommit would be taken away"),
    [WEAKER_AUTOCOMMIT] = WEAKER("autocommit would come later"),
    [WEAKER_QUOTA] = WEAKER("quota would promise less room"),
    [WEAKER_QUOTA_FILES] = WEAKER("quota_files would promise fewer files"),
    [WEAKER_STAGING] = WEAKER("staging would let files be withdrawn"),
    [WEAKER_KIND] = WEAKER("record_kind would be another"),
    [WEAKER_MODE] = WEAKER("mode would be governance, where retention can be ended early"),
    [WEAKER_COOLING] = WEAKER("cooling_off would be longer"),
    [WEAKER_EVENT] = WEAKER("retain_event would be another, or none"),
    [WEAKER_FOLLOWS] = WEAKER("retain_follows would be taken away"),
    [WEAKER_CERTIFICATES] = WEAKER("certificates would be taken away"),
    [WEAKER_MARGIN] = WEAKER("retain_margin would be shorter"),
    [WEAKER_READS] = WEAKER("read_events would be taken away"),
    [WEAKER_SILENCE] = WEAKER("silence would be noticed later, or never"),
    [WEAKER_GUARD] = WEAKER("leak_guard would let more through"),
    [WEAKER_APPROVE_HOLD] = WEAKER("approve_hold_end would ask for fewer persons or roles"),
    [WEAKER_APPROVE_REMOVE] = WEAKER("approve_remove would ask for fewer persons or roles"),
    [WEAKER_APPROVE_END] = WEAKER("approve_retention_end would ask for fewer persons or roles"),
    [WEAKER_APPROVE_POLICY] = WEAKER("approve_policy would ask for fewer persons or roles"),
    [WEAKER_APPROVE_ESCROW] = WEAKER("approve_escrow would ask for fewer persons or roles"),
    [WEAKER_REMOVE] = WEAKER("remove would let rm file requests"),
    [WEAKER_DELAY] = WEAKER("release_delay would be shorter"),
};

static bool less_room(uint64_t old, uint64_t new_one)
{
	return new_one && (!old || new_one < old);
}

const struct rule_weaker *rule_find_weaker(const struct cof_policy *a, const struct cof_policy *b)
{
	bool endless = b->retention && b->retention_min == COF_RETAIN_INFINITE;
	bool both = a->retention && b->retention;
	const bool found[] = {
	    [WEAKER_DURABILITY] = b->durability < a->durability,
	    [WEAKER_NO_END] = !a->retention && b->retention && !endless,
	    [WEAKER_NO_RETENTION] = a->retention && !b->retention,
	    [WEAKER_MIN] = both && b->retention_min < a->retention_min,
	    [WEAKER_DEFAULT] = both && b->retention_default < a->retention_default,
	    [WEAKER_MAX] = both && b->retention_max < a->retention_max,
	    [WEAKER_STRICT] = both && a->strict && !b->strict,
	    [WEAKER_NO_AUTOCOMMIT] = a->autocommit && !b->autocommit,
	    [WEAKER_AUTOCOMMIT] = a->autocommit && b->autocommit > a->autocommit,
	    [WEAKER_QUOTA] = less_room(a->quota_bytes, b->quota_bytes),
	    [WEAKER_QUOTA_FILES] = less_room(a->quota_files, b->quota_files),
	    [WEAKER_STAGING] = b->staging && !a->staging,
	    [WEAKER_KIND] = a->record_kind[0] && strcmp(a->record_kind, b->record_kind) != 0,
	    [WEAKER_MODE] = b->mode > a->mode,
	    [WEAKER_COOLING] = b->cooling_off > a->cooling_off,
	    [WEAKER_EVENT] = a->retain_event[0] && strcmp(a->retain_event, b->retain_event) != 0,
	    [WEAKER_FOLLOWS] = a->retain_certificates && !b->retain_certificates,
	    [WEAKER_CERTIFICATES] = a->certificates && !b->certificates,
	    [WEAKER_MARGIN] = b->retain_margin < a->retain_margin,
	    [WEAKER_READS] = a->read_events && !b->read_events,
	    [WEAKER_SILENCE] = a->silence && (!b->silence || b->silence > a->silence),
	    [WEAKER_GUARD] = b->leak_guard < a->leak_guard,
	    [WEAKER_APPROVE_HOLD] = rule_approve_weaker(a, b, COF_APPROVE_HOLD_END),
	    [WEAKER_APPROVE_REMOVE] = rule_approve_weaker(a, b, COF_APPROVE_REMOVE),
	    [WEAKER_APPROVE_END] = rule_approve_weaker(a, b, COF_APPROVE_RETENTION_END),
	    [WEAKER_APPROVE_POLICY] = rule_approve_weaker(a, b, COF_APPROVE_POLICY),
	    [WEAKER_APPROVE_ESCROW] = rule_approve_weaker(a, b, COF_APPROVE_ESCROW),
	    [WEAKER_REMOVE] = b->remove_by_rm && !a->remove_by_rm,
	    [WEAKER_DELAY] = b->release_delay < a->release_delay,
	};

	for (size_t i = 0; i < COF_COUNT(found); i++)
		if (found[i])
			return &weaker[i];
	return NULL;
}

bool cof_policy_is_stronger(const struct cof_policy *old, const struct cof_policy *new_one,
			    const char **ret_why)
{
	const struct rule_weaker *w = rule_find_weaker(old, new_one);

	if (w && ret_why)
		*ret_why = w->what;
	return !w;
}

/* What both have in common: root asks, and the text is a policy. */
static bool readable(const struct rule_in *in, struct cof_policy *ret, struct cof_ruling *rl)
{
	const struct cof_op *op = in->op;

	if (!in->who->daemon && in->who->uid != 0) {
		rule_refuse(rl, -EPERM, "root-only", "Shelves are made and changed by root.");
		return false;
	}
	if (cof_policy_parse(op->data ? op->data : "", op->data ? (size_t)op->length : 0, ret,
			     NULL) < 0) {
		rule_error(rl, -EINVAL, "policy-text",
			   "The policy cannot be read; coffer help shelf tells its keys.");
		return false;
	}
	return true;
}

void rule_shelf_add(const struct rule_in *in, struct cof_ruling *rl)
{
	const char *name = in->op->name ? in->op->name : "";
	struct cof_policy p;

	if (!readable(in, &p, rl))
		return;
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return rule_error(rl, -EINVAL, "name", "This is no name for a shelf.");
	if (strlen(name) > 255)
		return rule_error(rl, -ENAMETOOLONG, "name", "A name has at most 255 bytes.");
	if (in->o->target_exists)
		return rule_error(rl, -EEXIST, "exists", "The name is taken.");
	rule_accept(rl, COF_EFFECT_SHELF);
}

void rule_shelf_set(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct rule_weaker *w;
	struct cof_policy p;

	if (!in->o->is_shelf || in->o->kind != RULE_DIR)
		return rule_error(rl, -EINVAL, "kind", "This is no shelf.");
	if (!readable(in, &p, rl))
		return;
	w = rule_find_weaker(in->policy, &p);
	if (w)
		return rule_refuse(rl, -EPERM, "weaker", w->sentence);
	rule_accept(rl, COF_EFFECT_SHELF);
}
