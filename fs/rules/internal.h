/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/rules: what its files share. */
#ifndef COF_RULES_INTERNAL_H
#define COF_RULES_INTERNAL_H

#include "fs/rules/rules.h"

/* The numbers of enum cof_kind and enum cof_state, which this folder may not include (it stands on
 * base alone). A unit test compares them. */
enum { RULE_FILE = 1, RULE_DIR = 2, RULE_SYMLINK = 3 };
enum { RULE_OPEN = 0, RULE_COMMITTED = 1, RULE_EXPIRED = 2, RULE_DESTROYED = 3, RULE_REMOVED = 4 };

static inline bool rule_is_fixed(uint8_t state) /* never to change again */
{
	return state == RULE_COMMITTED || state == RULE_EXPIRED || state == RULE_DESTROYED;
}

/* What a ruling is made of, as one argument. policy is never NULL here. */
struct rule_in {
	const struct cof_policy *policy;
	const struct cof_object *o; /* its state is the one of now */
	const struct cof_op *op;
	const struct cof_who *who;
	int64_t now;
};

/* Tools that read an end and set it again lose digits: equal in the digits that are given. */
bool rule_same_end(int64_t given, int64_t kept);
/* A finite end that does not overflow; infinite only when the span is. */
int64_t rule_end(int64_t now, int64_t span);

static inline void rule_accept(struct cof_ruling *rl, enum cof_effect effect)
{
	*rl = (struct cof_ruling){.effect = effect,
				  .rule = "allowed",
				  .reason = "allowed",
				  .retain_until = COF_RETAIN_NONE,
				  .asked_until = COF_RETAIN_NONE,
				  .binds_from = COF_RETAIN_NONE};
}

/* An attempt against what the archive promises: goes on record. */
static inline void rule_refuse(struct cof_ruling *rl, int error, const char *rule,
			       const char *reason)
{
	rule_accept(rl, COF_EFFECT_NONE);
	rl->error = error;
	rl->record = true;
	rl->rule = rule;
	rl->reason = reason;
}

/* A request that makes no sense, or that this filesystem does not have: an error, no event. */
static inline void rule_error(struct cof_ruling *rl, int error, const char *rule,
			      const char *reason)
{
	rule_refuse(rl, error, rule, reason);
	rl->record = false;
}

static inline bool rule_owner_or_root(const struct rule_in *in)
{
	return in->who->daemon || in->who->uid == 0 || in->who->uid == in->o->uid;
}

extern const char rule_immutable[]; /* the sentence about committed files */

typedef void rule_fn(const struct rule_in *in, struct cof_ruling *rl);

/* content.c */
rule_fn rule_open, rule_write, rule_truncate, rule_fallocate, rule_mmap, rule_reflink;
/* attr.c */
rule_fn rule_chmod, rule_chown, rule_utimes, rule_xattr, rule_setflags;
/* names.c */
rule_fn rule_create, rule_unlink, rule_rmdir, rule_rename, rule_link, rule_mknod;
/* retain.c */
rule_fn rule_commit, rule_retain;
/* hold.c */
rule_fn rule_hold_begin, rule_hold_end, rule_retention_end, rule_retain_event, rule_event_declare, rule_remove, rule_destroy;
/* True, and refused, where a hold keeps it. */
bool rule_held(const struct rule_in *in, struct cof_ruling *rl);
/* shelf.c */
rule_fn rule_shelf_add, rule_shelf_set;

/* A commit by whatever door; asked: COF_RETAIN_NONE, or an end in the future. */
void rule_grant(const struct rule_in *in, int64_t asked, struct cof_ruling *rl);
/* The object as it is behind that COMMIT frame: event and mode. */
void rule_take_commit(const struct cof_ruling *commit, struct cof_object *o);
/* As rule_grant, with what the access time asked for. */
void rule_grant_by_atime(const struct rule_in *in, struct cof_ruling *rl);
/* A later end for a committed file. Who may is not judged here. */
void rule_extend(const struct rule_in *in, int64_t asked, struct cof_ruling *rl);

/* policy-approve.c: false where it is no rule; and whether b asks for less than a. */
bool rule_approve_read(struct cof_policy *p, enum cof_approve what, const char *value);
bool rule_approve_weaker(const struct cof_policy *a, const struct cof_policy *b, enum cof_approve what);

/* NULL: stronger or equal. Else what would be weaker, and the sentence for people. */
struct rule_weaker {
	const char *what, *sentence;
};
const struct rule_weaker *rule_find_weaker(const struct cof_policy *old,
					   const struct cof_policy *new_one);

#endif
