/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about names: what can be made, removed and renamed. A name that stands for content keeps
 * standing for it.
 */
#include "fs/rules/internal.h"

#include <linux/fs.h>

void rule_create(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;

	if (op->node_kind != RULE_FILE && op->node_kind != RULE_DIR &&
	    op->node_kind != RULE_SYMLINK)
		return rule_error(rl, -EINVAL, "kind",
				  "Only files, directories and symbolic links exist here.");
	if (o->in_root)
		return rule_refuse(rl, -EPERM, "shelves-only",
				   "The top directory holds shelves only, which coffer shelf add "
				   "makes; create this "
				   "inside a shelf.");
	if (in->policy->quota_files && o->shelf_files >= in->policy->quota_files)
		return rule_error(
		    rl, -EDQUOT, "quota",
		    "The shelf's quota of files is used up; it can be raised with coffer "
		    "shelf set.");
	rule_accept(rl, COF_EFFECT_CREATE);
}

void rule_unlink(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;

	if (o->kind == RULE_DIR)
		return rule_error(rl, -EISDIR, "kind",
				  "This is a directory; an empty one goes with rmdir.");
	if (rule_held(in, rl))
		return;
	if (o->state == RULE_EXPIRED && in->policy->remove_by_rm) {
		rule_refuse(
		    rl, -EPERM, "asked",
		    "Its retention is over. rm puts on record that it shall go; it goes once that is "
		    "requested (coffer request remove --asked) and approved, the auditor among those who sign.");
		rl->effect = COF_EFFECT_ASK_REMOVE;
		return;
	}
	if (o->state == RULE_EXPIRED)
		return rule_refuse(
		    rl, -EPERM, "needs-approval",
		    "Its retention is over, but it goes by request and approval only, not by rm "
		    "(coffer request remove).");
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

void rule_rmdir(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;

	if (o->kind != RULE_DIR)
		return rule_error(rl, -ENOTDIR, "kind", "This is not a directory.");
	if (o->is_root || o->is_shelf)
		return rule_refuse(rl, -EPERM, "shelf",
				   "A shelf cannot be removed: it is part of the archive's shape.");
	if (!o->empty_dir)
		return rule_error(rl, -ENOTEMPTY, "not-empty",
				  "Only an empty directory can be removed.");
	if (rule_held(in, rl))
		return;
	rule_accept(rl, COF_EFFECT_REMOVE);
}

/* What may stand at the new name: nothing, an empty open file, an empty directory. */
static bool rename_target(const struct cof_object *o, struct cof_ruling *rl)
{
	if (!o->target_exists)
		return true;
	if (o->target_held) {
		rule_refuse(rl, -EPERM, "held",
			    "What stands at the new name is on legal hold; choose a free name.");
		return false;
	}
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

void rule_rename(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;

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
	if (o->held_by_name)
		return rule_refuse(
		    rl, -EPERM, "held",
		    "A legal hold names it, and it keeps its name until that ends by approval (coffer "
		    "request hold-end).");
	if (rule_is_fixed(o->state)) {
		if (!o->rename_once || op->new_parent != op->parent || o->other_shelf ||
		    o->target_exists)
			return rule_refuse(
			    rl, -EPERM, "committed",
			    "A committed file keeps its name and place; make a symbolic link "
			    "to it instead.");
		return rule_accept(rl, COF_EFFECT_RENAME);
	}
	/* As between two filesystems: nothing that is kept was attempted, and mv goes on to copy. */
	if (o->other_shelf)
		return rule_error(
		    rl, -EXDEV, "other-shelf",
		    "A file stays in its shelf, whose policy it was written under; copy it.");
	if (!rename_target(o, rl))
		return;
	if (o->kind == RULE_DIR && !o->empty_dir)
		return rule_refuse(
		    rl, -EPERM, "directory-in-use",
		    "A directory can be renamed only while it is empty; make a new one and "
		    "let new files go there.");
	rule_accept(rl, COF_EFFECT_RENAME);
}

void rule_link(const struct rule_in *in COF_UNUSED, struct cof_ruling *rl)
{
	rule_refuse(
	    rl, -EPERM, "no-hard-links",
	    "A file has one name, so that its history is one; make a symbolic link instead.");
}

void rule_mknod(const struct rule_in *in COF_UNUSED, struct cof_ruling *rl)
{
	rule_refuse(rl, -EPERM, "no-special-files",
		    "Devices, sockets and FIFOs cannot be kept in an archive; put them elsewhere.");
}
