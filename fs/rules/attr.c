/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about attributes: mode, owner, times, extended attributes, flags. An access time asks for a
 * retention, or for a later end; a mode without write permission, or the immutable flag, commits.
 */
#include "fs/rules/internal.h"

#include <linux/fs.h>

#define WRITE_BITS 0222u

void rule_chmod(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;
	uint32_t mode = op->mode & 07777;
	/* Also when there was no write bit before: cp -p and tar create with 0400 and say chmod
	 * last. */
	bool commits = o->kind == RULE_FILE && o->size && !(mode & WRITE_BITS);

	if (o->is_root)
		return rule_refuse(
		    rl, -EPERM, "fixed-root",
		    "The top directory's mode and owner are part of the format; change the "
		    "shelf's instead.");
	if (o->kind == RULE_SYMLINK)
		return rule_error(rl, -EOPNOTSUPP, "kind",
				  "A symbolic link has no mode of its own.");
	if (mode == o->mode && (rule_is_fixed(o->state) || !commits))
		return rule_accept(rl, COF_EFFECT_NONE);
	if (rule_is_fixed(o->state))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file's permissions are part of the record; copy it where "
		    "they have to differ.");
	if (commits)
		return rule_grant_by_atime(in, rl);
	rule_accept(rl, COF_EFFECT_ATTR);
}

void rule_chown(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;
	bool uid = (op->valid & COF_SET_UID) && op->uid != o->uid;
	bool gid = (op->valid & COF_SET_GID) && op->gid != o->gid;

	if (!uid && !gid)
		return rule_accept(rl, COF_EFFECT_NONE);
	if (o->is_root)
		return rule_refuse(
		    rl, -EPERM, "fixed-root",
		    "The top directory's mode and owner are part of the format; change the "
		    "shelf's instead.");
	if (rule_is_fixed(o->state))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file keeps its owner; change the owner before committing.");
	rule_accept(rl, COF_EFFECT_ATTR);
}

/* Only an access time alone may come, and only to say a later end. */
static void utimes_fixed(const struct rule_in *in, struct cof_ruling *rl)
{
	int64_t asked = COF_MIN(in->op->atime, COF_RETAIN_INFINITE - 1);

	if (in->op->valid != COF_SET_ATIME || in->o->kind != RULE_FILE)
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file's times are part of the record; a later access time alone "
		    "(touch -a -d) extends its retention.");
	if (in->o->retain_until == COF_RETAIN_INFINITE && asked == COF_RETAIN_INFINITE - 1)
		return rule_accept(rl, COF_EFFECT_NONE);
	rule_extend(in, asked, rl);
}

/* On an open file the access time is what is asked for; a past one asks for nothing. */
static void utimes_open(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_op *op = in->op;
	bool mtime = op->valid & (COF_SET_MTIME | COF_SET_MTIME_NOW);
	bool atime = op->valid & (COF_SET_ATIME | COF_SET_ATIME_NOW);
	bool future = (op->valid & COF_SET_ATIME) && op->atime > in->now;
	int64_t asked = future ? COF_MIN(op->atime, COF_RETAIN_INFINITE - 1) : COF_RETAIN_NONE;

	if (in->o->kind == RULE_FILE && atime && asked != in->o->asked_until) {
		rule_accept(rl, COF_EFFECT_ASK);
		rl->asked_until = asked;
		return;
	}
	rule_accept(rl, mtime ? COF_EFFECT_ATTR : COF_EFFECT_NONE);
}

void rule_utimes(const struct rule_in *in, struct cof_ruling *rl)
{
	if (rule_is_fixed(in->o->state))
		return utimes_fixed(in, rl);
	if (in->o->is_root && (in->op->valid & (COF_SET_MTIME | COF_SET_MTIME_NOW)))
		return rule_refuse(rl, -EPERM, "fixed-root",
				   "The top directory's times are the archive's own.");
	utimes_open(in, rl);
}

/* The kernel lets anybody through to these, so that we judge: the owner and root may. */
static void xattr_retain(const struct rule_in *in, bool extend_only, struct cof_ruling *rl)
{
	const struct cof_op *op = in->op;
	int64_t asked;

	if (op->kind == COF_OP_REMOVEXATTR)
		return rule_refuse(rl, -EPERM, "retention",
				   "A retention cannot be taken away, only extended.");
	if (!op->data || cof_retain_parse(op->data, (size_t)op->length, &asked) < 0)
		return rule_error(rl, -EINVAL, "retention-text",
				  "The value is an end: 2031-01-02T03:04:05Z, or infinite.");
	struct cof_op with_end = *op;
	struct rule_in as_op = *in;

	with_end.retain = asked;
	as_op.op = &with_end;
	if (extend_only || rule_is_fixed(in->o->state))
		return rule_retain(&as_op, rl);
	rule_commit(&as_op, rl);
}

void rule_xattr(const struct rule_in *in, struct cof_ruling *rl)
{
	const char *name = in->op->name ? in->op->name : "";

	if (!strcmp(name, "user.coffer.retain_until") ||
	    !strcmp(name, "system.coffer.retain_until"))
		return xattr_retain(in, false, rl);
	if (!strcmp(name, "user.immutable.until"))
		return xattr_retain(in, true, rl);
	if (!strncmp(name, "user.coffer.", 12))
		return rule_refuse(
		    rl, -EPERM, "coffer-attributes",
		    "The user.coffer attributes tell what the archive knows; of them only "
		    "retain_until can be set.");
	if (rule_is_fixed(in->o->state))
		return rule_refuse(rl, -EPERM, "committed", rule_immutable);
	if (strncmp(name, "user.", 5) || !name[5] ||
	    (in->o->kind != RULE_FILE && in->o->kind != RULE_DIR))
		return rule_error(
		    rl, -EOPNOTSUPP, "attribute-names",
		    "Only attributes under user. are kept, of files and directories.");
	if (in->o->is_root)
		return rule_refuse(rl, -EPERM, "fixed-root",
				   "The top directory's attributes are part of the format; use the "
				   "shelf's instead.");
	rule_accept(rl, COF_EFFECT_ATTR);
}

/*
 * chattr: an open file has the flag a, a committed one i. Flags can be added, never removed; of
 * what can be added, only i does anything. The kernel lets root alone change these two.
 */
void rule_setflags(const struct rule_in *in, struct cof_ruling *rl)
{
	bool fixed = rule_is_fixed(in->o->state);
	uint32_t flags = in->op->flags;
	uint32_t kept = fixed ? FS_IMMUTABLE_FL : FS_APPEND_FL;

	if (in->o->kind != RULE_FILE)
		return flags ? rule_error(rl, -EOPNOTSUPP, "kind", "Only files have such flags.")
			     : rule_accept(rl, COF_EFFECT_NONE);
	if (!(flags & (kept | FS_IMMUTABLE_FL)))
		return rule_refuse(rl, -EPERM, fixed ? "committed" : "append-only",
				   fixed
				       ? "A committed file stays immutable: the flag i cannot be "
					 "removed."
				       : "An open file grows only: the flag a cannot be removed.");
	if (flags & ~(uint32_t)(FS_IMMUTABLE_FL | FS_APPEND_FL))
		return rule_error(rl, -EOPNOTSUPP, "flags", "Only the flags a and i exist here.");
	if (fixed || !(flags & FS_IMMUTABLE_FL))
		return rule_accept(rl, COF_EFFECT_NONE);
	if (!rule_owner_or_root(in))
		return rule_refuse(rl, -EPERM, "not-owner",
				   "Only its owner and root can commit a file.");
	rule_grant_by_atime(in, rl);
}
