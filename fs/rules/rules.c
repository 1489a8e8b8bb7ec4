/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on every request: a table of short functions, one for each kind of operation. Nobody
 * is exempt, neither root nor the daemon itself. A rule looks at its arguments only, so that it can
 * be asked again at any time and anywhere. Sentences say what was refused and what is possible
 * instead.
 *
 * content.c: what a file holds; attr.c: its attributes; names.c: names; retain.c: commits and
 * retention; hold.c: legal holds, events, and what ends by approval; shelf.c: shelves and their policies.
 */
#include "fs/rules/internal.h"

static const struct {
	const char *name;
	rule_fn *rule;
} rules[COF_OP_COUNT_] = {
    [COF_OP_CREATE] = {"create", rule_create},
    [COF_OP_OPEN] = {"open", rule_open},
    [COF_OP_WRITE] = {"write", rule_write},
    [COF_OP_TRUNCATE] = {"truncate", rule_truncate},
    [COF_OP_FALLOCATE] = {"fallocate", rule_fallocate},
    [COF_OP_CHMOD] = {"chmod", rule_chmod},
    [COF_OP_CHOWN] = {"chown", rule_chown},
    [COF_OP_UTIMES] = {"utimes", rule_utimes},
    [COF_OP_UNLINK] = {"unlink", rule_unlink},
    [COF_OP_RMDIR] = {"rmdir", rule_rmdir},
    [COF_OP_RENAME] = {"rename", rule_rename},
    [COF_OP_LINK] = {"link", rule_link},
    [COF_OP_MKNOD] = {"mknod", rule_mknod},
    [COF_OP_COMMIT] = {"commit", rule_commit},
    [COF_OP_RETAIN] = {"retain", rule_retain},
    [COF_OP_SHELF_ADD] = {"shelf-add", rule_shelf_add},
    [COF_OP_SHELF_SET] = {"shelf-set", rule_shelf_set},
    [COF_OP_SETXATTR] = {"setxattr", rule_xattr},
    [COF_OP_REMOVEXATTR] = {"removexattr", rule_xattr},
    [COF_OP_SETFLAGS] = {"setflags", rule_setflags},
    [COF_OP_MMAP_WRITE] = {"mmap-write", rule_mmap},
    [COF_OP_REFLINK] = {"reflink", rule_reflink},
    [COF_OP_RETAIN_EVENT] = {"retain-event", rule_retain_event},
    [COF_OP_HOLD_BEGIN] = {"hold-begin", rule_hold_begin},
    [COF_OP_HOLD_END] = {"hold-end", rule_hold_end},
    [COF_OP_RETENTION_END] = {"retention-end", rule_retention_end},
    [COF_OP_EVENT_DECLARE] = {"event-declare", rule_event_declare},
    [COF_OP_REMOVE] = {"remove", rule_remove},
    [COF_OP_DESTROY] = {"destroy", rule_destroy},
};

const char *cof_op_name(enum cof_op_kind kind)
{
	return (unsigned)kind < COF_OP_COUNT_ && rules[kind].name ? rules[kind].name : "unknown";
}

void cof_rule(const struct cof_policy *policy, const struct cof_object *object,
	      const struct cof_op *op, const struct cof_who *who, int64_t now,
	      struct cof_ruling *ret)
{
	struct cof_policy none;
	struct cof_object as_of_now = *object;
	struct rule_in in = {policy, &as_of_now, op, who, now};
	struct cof_ruling rl, commit;
	bool commit_first;

	if (!policy) {
		cof_policy_default(&none);
		in.policy = &none;
	}
	commit_first = cof_rule_autocommit(in.policy, object, now, &commit);
	if (commit_first) {
		as_of_now.retain_until = commit.retain_until;
		as_of_now.asked_until = commit.asked_until;
		rule_take_commit(&commit, &as_of_now);
	}
	as_of_now.state = cof_state_now(in.policy, object, now);
	if ((unsigned)op->kind >= COF_OP_COUNT_ || !rules[op->kind].rule)
		rule_error(&rl, -ENOSYS, "unknown", "This operation is not known.");
	else if (object->state == RULE_REMOVED && op->kind != COF_OP_CREATE && op->kind != COF_OP_DESTROY)
		rule_error(&rl, -ENOENT, "removed", "This file has been removed.");
	else
		rules[op->kind].rule(&in, &rl);
	if (rl.error == -EPERM && in.policy->refuse_rofs)
		rl.error = -EROFS;
	rl.commit_first = commit_first;
	*ret = rl;
}
