/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux answers itself before the daemon is asked: ordinary permissions (the mount has
 * default_permissions) and what FUSE does not pass on. This is a model for explanations, the table
 * in docs/rules.md and tests; the decisions are the kernel's own. Of groups it knows the primary
 * one only.
 */
#include "fs/rules/internal.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

static bool says(struct cof_ruling *rl, int error, const char *reason)
{
	rule_error(rl, error, "linux", reason);
	return true;
}

static bool may(const struct rule_in *in, uint32_t bits) /* 4: read, 2: write */
{
	uint32_t mode = in->o->mode;

	if (in->who->daemon || in->who->uid == 0)
		return true;
	if (in->who->uid == in->o->uid)
		mode >>= 6;
	else if (in->who->gid == in->o->gid)
		mode >>= 3;
	return (mode & bits) == bits;
}

static bool no_access(struct cof_ruling *rl)
{
	return says(rl, -EACCES, "The file's mode gives no such permission.");
}

static bool not_owner(struct cof_ruling *rl)
{
	return says(rl, -EPERM, "Only its owner and root may change this.");
}

static bool kernel_open(const struct rule_in *in, struct cof_ruling *rl)
{
	uint32_t flags = in->op->flags, access = flags & O_ACCMODE;
	uint32_t bits =
	    (access != O_WRONLY ? 4u : 0) | (access != O_RDONLY || flags & O_TRUNC ? 2u : 0);

	if (in->o->kind == RULE_DIR && (flags & O_TMPFILE) == O_TMPFILE)
		return says(rl, -EOPNOTSUPP, "Files without a name do not exist here.");
	if (in->o->kind == RULE_DIR && bits & 2)
		return says(rl, -EISDIR, "This is a directory.");
	if (in->o->kind == RULE_SYMLINK)
		return false; /* what it points to is opened */
	return !may(in, bits) && no_access(rl);
}

static bool kernel_fallocate(const struct rule_in *in, struct cof_ruling *rl)
{
	uint32_t passed = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

	return (in->op->flags & ~passed) && says(rl, -EOPNOTSUPP, "FUSE does not pass this on.");
}

static bool kernel_chown(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_op *op = in->op;

	if (in->who->daemon || in->who->uid == 0)
		return false;
	if (in->who->uid != in->o->uid || (op->valid & COF_SET_UID && op->uid != in->o->uid))
		return says(rl, -EPERM, "Only root gives files away.");
	if (op->valid & COF_SET_GID && op->gid != in->o->gid && op->gid != in->who->gid)
		return says(rl, -EPERM, "An owner gives a file only to a group of his own.");
	return false;
}

/* Both times to now is what a write does too, so who may write may do that. */
static bool kernel_utimes(const struct rule_in *in, struct cof_ruling *rl)
{
	bool touch = in->op->valid == (COF_SET_ATIME_NOW | COF_SET_MTIME_NOW);

	if (rule_owner_or_root(in))
		return false;
	return !touch ? not_owner(rl) : !may(in, 2) && no_access(rl);
}

static bool kernel_chmod(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->kind == RULE_SYMLINK)
		return says(rl, -EOPNOTSUPP, "A symbolic link has no mode of its own.");
	return !rule_owner_or_root(in) && not_owner(rl);
}

static bool kernel_xattr(const struct rule_in *in, struct cof_ruling *rl)
{
	const char *name = in->op->name ? in->op->name : "";
	bool root = in->who->daemon || in->who->uid == 0;

	if (!strncmp(name, "user.", 5)) {
		if (in->o->kind != RULE_FILE && in->o->kind != RULE_DIR)
			return says(rl, -EPERM, "Only files and directories have such attributes.");
		return !may(in, 2) && no_access(rl);
	}
	if (!strncmp(name, "system.posix_acl_", 17))
		return !rule_owner_or_root(in) && not_owner(rl);
	if (!strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9))
		return !root && says(rl, -EPERM, "Only root sets such attributes.");
	/* Those under system. are judged by whom they belong to. */
	return strncmp(name, "system.", 7) && !may(in, 2) && no_access(rl);
}

static bool kernel_setflags(const struct rule_in *in, struct cof_ruling *rl)
{
	uint32_t held = in->o->kind != RULE_FILE      ? 0
			: rule_is_fixed(in->o->state) ? FS_IMMUTABLE_FL
						      : FS_APPEND_FL;
	uint32_t changed = in->op->flags ^ held;

	if (!rule_owner_or_root(in))
		return not_owner(rl);
	if (in->who->uid && changed & (FS_IMMUTABLE_FL | FS_APPEND_FL))
		return says(rl, -EPERM, "Only root changes the flags a and i.");
	return false;
}

/* It belongs to root, and its mode is fixed: 0755. */
static bool in_top(const struct rule_in *in, bool top, struct cof_ruling *rl)
{
	return top && !in->who->daemon && in->who->uid &&
	       says(rl, -EACCES, "Only root may change names in the top directory.");
}

/* The object is the directory that it shall come into. */
static bool kernel_create(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->target_exists)
		return says(rl, -EEXIST, "The name is taken.");
	return in_top(in, in->o->is_root, rl);
}

static bool kernel_mknod(const struct rule_in *in, struct cof_ruling *rl)
{
	uint32_t type = in->op->mode & S_IFMT;

	if (in_top(in, in->o->is_root, rl))
		return true;
	return in->who->uid && (type == S_IFBLK || type == S_IFCHR) &&
	       says(rl, -EPERM, "Only root makes device nodes.");
}

/* fs.protected_hardlinks, which distributions set: only to what one owns, or could write. */
static bool kernel_link(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in->o->kind == RULE_DIR)
		return says(rl, -EPERM, "A directory has one name.");
	if (rule_owner_or_root(in) || (in->o->kind == RULE_FILE && may(in, 6)))
		return false;
	return says(rl, -EPERM, "Only to one's own files, or to those one could write.");
}

static bool kernel_rename(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;

	if (in_top(in, o->is_shelf || o->new_parent_is_root, rl))
		return true;
	/* Its entry ".." would change. */
	if (o->kind == RULE_DIR && (o->other_shelf || in->op->new_parent != in->op->parent) &&
	    !may(in, 2))
		return no_access(rl);
	if (!o->target_exists || in->op->flags & RENAME_EXCHANGE)
		return false;
	if (in->op->flags & RENAME_NOREPLACE)
		return says(rl, -EEXIST, "The new name is taken.");
	if (o->target_kind == RULE_DIR && o->kind != RULE_DIR)
		return says(rl, -EISDIR, "The new name is a directory.");
	if (o->target_kind != RULE_DIR && o->kind == RULE_DIR)
		return says(rl, -ENOTDIR, "The new name is not a directory.");
	return false;
}

static bool kernel_rmdir(const struct rule_in *in, struct cof_ruling *rl)
{
	if (in_top(in, in->o->is_shelf, rl))
		return true;
	return in->o->kind != RULE_DIR && says(rl, -ENOTDIR, "This is not a directory.");
}

bool cof_rule_kernel(const struct cof_object *object, const struct cof_op *op,
		     const struct cof_who *who, struct cof_ruling *ret)
{
	const struct rule_in in = {.o = object, .op = op, .who = who};

	if (!object->kind && op->kind != COF_OP_CREATE && op->kind != COF_OP_MKNOD)
		return says(ret, -ENOENT, "Nothing has this name.");
	switch (op->kind) {
	case COF_OP_CREATE:
		return kernel_create(&in, ret);
	case COF_OP_OPEN:
		return kernel_open(&in, ret);
	case COF_OP_TRUNCATE: /* by name; a descriptor was judged when it was opened */
		return object->kind == RULE_FILE && !may(&in, 2) && no_access(ret);
	case COF_OP_FALLOCATE:
		return kernel_fallocate(&in, ret);
	case COF_OP_CHMOD:
		return kernel_chmod(&in, ret);
	case COF_OP_CHOWN:
		return kernel_chown(&in, ret);
	case COF_OP_UTIMES:
		return kernel_utimes(&in, ret);
	case COF_OP_SETXATTR:
	case COF_OP_REMOVEXATTR:
		return kernel_xattr(&in, ret);
	case COF_OP_SETFLAGS:
		return kernel_setflags(&in, ret);
	case COF_OP_RENAME:
		return kernel_rename(&in, ret);
	case COF_OP_LINK:
		return kernel_link(&in, ret);
	case COF_OP_MKNOD:
		return kernel_mknod(&in, ret);
	case COF_OP_UNLINK:
		return object->kind == RULE_DIR && says(ret, -EISDIR, "This is a directory.");
	case COF_OP_RMDIR:
		return kernel_rmdir(&in, ret);
	case COF_OP_MMAP_WRITE:
		return says(ret, -ENODEV,
			    "Files that are written past the page cache are not mapped.");
	case COF_OP_REFLINK:
		return says(ret, -EOPNOTSUPP, "FUSE does not pass this on.");
	default:
		return false;
	}
}
