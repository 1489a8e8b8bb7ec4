/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on every request: a table of short functions, one for each kind of operation. Nobody
 * is exempt, neither root nor the daemon itself. A rule looks at its arguments only, so that it can
 * be asked again at any time and anywhere. Sentences say what was refused and what is possible
 * instead.
 *
 * Rules about contents and attributes are in rule-file.c, rules about names here.
 */
#include "fs/rules/internal.h"

#include <linux/fs.h>

static void rule_create(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (op->node_kind != RULE_FILE && op->node_kind != RULE_DIR &&
	    op->node_kind != RULE_SYMLINK)
		return rule_error(rl, -EINVAL, "kind",
				  "Only files, directories and symbolic links exist here.");
	if (o->in_root)
		return rule_refuse(
		    rl, -EPERM, "shelves-only",
		    "The top directory holds shelves only, which are made with the archive; "
		    "create this inside a shelf.");
	rule_accept(rl, COF_EFFECT_CREATE);
}

static void rule_unlink(const struct cof_object *o, const struct cof_op *op COF_UNUSED,
			struct cof_ruling *rl)
{
	if (o->kind == RULE_DIR)
		return rule_error(rl, -EISDIR, "kind",
				  "This is a directory; an empty one goes with rmdir.");
	if (rule_is_fixed(o->state))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file cannot be removed; it stays readable where it is.");
	if (o->kind == RULE_FILE && o->size)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "A file with content cannot be removed; it can be renamed to a free "
		    "name, appended to, or committed with chmod a-w.");
	rule_accept(rl, COF_EFFECT_REMOVE);
}

static void rule_rmdir(const struct cof_object *o, const struct cof_op *op COF_UNUSED,
		       struct cof_ruling *rl)
{
	if (o->kind != RULE_DIR)
		return rule_error(rl, -ENOTDIR, "kind", "This is not a directory.");
	if (o->is_root || o->is_shelf)
		return rule_refuse(rl, -EPERM, "shelf",
				   "A shelf cannot be removed: it is part of the archive's shape.");
	if (!o->empty_dir)
		return rule_error(rl, -ENOTEMPTY, "not-empty",
				  "Only an empty directory can be removed.");
	rule_accept(rl, COF_EFFECT_REMOVE);
}

/* What may stand at the new name: nothing, an empty open file, an empty directory. */
static bool rename_target(const struct cof_object *o, struct cof_ruling *rl)
{
	if (!o->target_exists)
		return true;
	if (o->target_kind == RULE_DIR) {
		if (o->kind != RULE_DIR)
			rule_error(rl, -EISDIR, "kind", "The new name is a directory.");
		else if (!o->target_empty)
			rule_error(rl, -ENOTEMPTY, "not-empty",
				   "The directory at the new name is not empty.");
		else
			return true;
		return false;
	}
	if (o->kind == RULE_DIR)
		rule_error(rl, -ENOTDIR, "kind", "The new name is not a directory.");
	else if (rule_is_fixed(o->target_state))
		rule_refuse(rl, -EPERM, "committed",
			    "A committed file cannot be replaced; choose a free name.");
	else if (o->target_kind != RULE_FILE || !o->target_empty)
		rule_refuse(
		    rl, -EPERM, "append-only",
		    "What stands at the new name has content and cannot be replaced; choose a free "
		    "name.");
	else
		return true;
	return false;
}

static void rule_rename(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (op->flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return rule_error(rl, -EINVAL, "flags", "Unknown flags of renameat2.");
	if (op->flags & (RENAME_EXCHANGE | RENAME_WHITEOUT))
		return rule_refuse(
		    rl, -EPERM, "no-exchange",
		    "Names cannot be exchanged or whited out; rename to a free name.");
	if (o->is_root || o->is_shelf)
		return rule_refuse(rl, -EPERM, "shelf",
				   "A shelf keeps its name: it is part of the archive's shape.");
	if (o->new_parent_is_root)
		return rule_refuse(
		    rl, -EPERM, "shelves-only",
		    "The top directory holds shelves only; choose a name inside a shelf.");
	if (o->target_exists && (op->flags & RENAME_NOREPLACE))
		return rule_error(rl, -EEXIST, "exists", "The new name is taken.");
	if (rule_is_fixed(o->state)) {
		if (!o->rename_once || op->new_parent != op->parent || o->target_exists)
			return rule_refuse(
			    rl, -EPERM, "committed",
			    "A committed file keeps its name and place; make a symbolic link "
			    "to it instead.");
		return rule_accept(rl, COF_EFFECT_RENAME);
	}
	if (!rename_target(o, rl))
		return;
	if (o->kind == RULE_DIR && !o->empty_dir)
		return rule_refuse(
		    rl, -EPERM, "directory-in-use",
		    "A directory can be renamed only while it is empty; make a new one and "
		    "let new files go there.");
	rule_accept(rl, COF_EFFECT_RENAME);
}

static void rule_link(const struct cof_object *o COF_UNUSED, const struct cof_op *op COF_UNUSED,
		      struct cof_ruling *rl)
{
	rule_refuse(
	    rl, -EPERM, "no-hard-links",
	    "A file has one name, so that its history is one; make a symbolic link instead.");
}

static void rule_mknod(const struct cof_object *o COF_UNUSED, const struct cof_op *op COF_UNUSED,
		       struct cof_ruling *rl)
{
	rule_refuse(rl, -EPERM, "no-special-files",
		    "Devices, sockets and FIFOs cannot be kept in an archive; put them elsewhere.");
}

typedef void (*rule_fn)(const struct cof_object *, const struct cof_op *, struct cof_ruling *);

static const struct {
	const char *name;
	rule_fn rule;
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
    [COF_OP_SETXATTR] = {"setxattr", rule_xattr},
    [COF_OP_REMOVEXATTR] = {"removexattr", rule_xattr},
    [COF_OP_MMAP_WRITE] = {"mmap-write", rule_mmap},
    [COF_OP_REFLINK] = {"reflink", rule_reflink},
};

const char *cof_op_name(enum cof_op_kind kind)
{
	return (unsigned)kind < COF_OP_COUNT_ && rules[kind].name ? rules[kind].name : "unknown";
}

void cof_rule(const struct cof_policy *policy, const struct cof_object *object,
	      const struct cof_op *op, const struct cof_who *who COF_UNUSED, int64_t now COF_UNUSED,
	      struct cof_ruling *ret)
{
	struct cof_ruling rl;

	if ((unsigned)op->kind >= COF_OP_COUNT_ || !rules[op->kind].rule)
		rule_error(&rl, -ENOSYS, "unknown", "This operation is not known.");
	else if (object->state == RULE_REMOVED && op->kind != COF_OP_CREATE)
		rule_error(&rl, -ENOENT, "removed", "This file has been removed.");
	else
		rules[op->kind].rule(object, op, &rl);
	if (rl.error == -EPERM && policy && policy->refuse_rofs)
		rl.error = -EROFS;
	*ret = rl;
}
