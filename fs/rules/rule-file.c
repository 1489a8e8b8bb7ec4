/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about a file's content and attributes. An open file grows and never changes below its end;
 * a committed file never changes. Taking away the last write permission of a file with content
 * commits it.
 */
#include "fs/rules/internal.h"

#include <fcntl.h>
#include <linux/falloc.h>

#define WRITE_BITS 0222u

static const char immutable[] =
    "A committed file never changes; write what is new to a file of its own.";
static const char below_end[] =
    "What is written stays: only bytes at or beyond the end can be added (open with O_APPEND).";

void rule_open(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	bool writes = (op->flags & O_ACCMODE) != O_RDONLY;

	if (o->kind == RULE_DIR && (writes || (op->flags & O_TRUNC)))
		return rule_error(rl, -EISDIR, "kind", "This is a directory.");
	if (rule_is_fixed(o->state) && (writes || (op->flags & O_TRUNC)))
		return rule_refuse(rl, -EPERM, "committed", immutable);
	if ((op->flags & O_TRUNC) && o->size)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "A file with content cannot be emptied; open it with O_APPEND, or rename "
		    "it to a free name and begin a new one.");
	rule_accept(rl, COF_EFFECT_NONE);
}

void rule_write(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (o->kind != RULE_FILE)
		return rule_error(rl, o->kind == RULE_DIR ? -EISDIR : -EINVAL, "kind",
				  "This is no file.");
	if (op->offset > INT64_MAX || op->length > INT64_MAX - op->offset)
		return rule_error(rl, -EFBIG, "size", "A file ends before byte 2^63.");
	/* Before the state: a resent write may be the last one before the commit. */
	if (op->resent && op->length && op->offset < o->size)
		return rule_accept(rl, COF_EFFECT_ECHO);
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", immutable);
	if (!op->length)
		return rule_accept(rl, COF_EFFECT_NONE);
	if (op->offset < o->size)
		return rule_refuse(rl, -EPERM, "append-only", below_end);
	rule_accept(rl, op->offset > o->size ? COF_EFFECT_HOLE : COF_EFFECT_APPEND);
}

void rule_truncate(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (o->kind != RULE_FILE)
		return rule_error(rl, o->kind == RULE_DIR ? -EISDIR : -EINVAL, "kind",
				  "This is no file.");
	if (op->length > INT64_MAX)
		return rule_error(rl, -EFBIG, "size", "A file ends before byte 2^63.");
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", immutable);
	if (op->length < o->size)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "A file cannot be shortened; rename it to a free name and begin a new one "
		    "(for logrotate: create or dateext instead of copytruncate).");
	rule_accept(rl, op->length > o->size ? COF_EFFECT_HOLE : COF_EFFECT_NONE);
}

void rule_fallocate(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (o->kind != RULE_FILE)
		return rule_error(rl, -ENODEV, "kind", "This is no file.");
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", immutable);
	/* Nothing is there to punch: cp --sparse says so of each hole that it leaves at the end. */
	if (op->flags == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) && op->offset >= o->size)
		return rule_accept(rl, COF_EFFECT_NONE);
	if (op->flags != FALLOC_FL_KEEP_SIZE)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "Space can be asked for with FALLOC_FL_KEEP_SIZE alone; nothing can be "
		    "punched, zeroed, collapsed or inserted, and a file grows by writing.");
	rule_accept(rl, COF_EFFECT_NONE);
}

void rule_chmod(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	uint32_t mode = op->mode & 07777;

	if (o->is_root)
		return rule_refuse(
		    rl, -EPERM, "fixed-root",
		    "The top directory's mode and owner are part of the format; change the "
		    "shelf's instead.");
	if (o->kind == RULE_SYMLINK)
		return rule_error(rl, -EOPNOTSUPP, "kind",
				  "A symbolic link has no mode of its own.");
	if (mode == o->mode)
		return rule_accept(rl, COF_EFFECT_NONE);
	if (rule_is_fixed(o->state))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file's permissions are part of the record; copy it where "
		    "they have to differ.");
	if (o->kind == RULE_FILE && o->size && (o->mode & WRITE_BITS) && !(mode & WRITE_BITS))
		return rule_accept(rl, COF_EFFECT_COMMIT);
	rule_accept(rl, COF_EFFECT_ATTR);
}

void rule_chown(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
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

void rule_utimes(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	bool mtime = op->valid & (COF_SET_MTIME | COF_SET_MTIME_NOW);

	if (rule_is_fixed(o->state))
		return rule_refuse(
		    rl, -EPERM, "committed",
		    "A committed file's times are part of the record; set them before "
		    "committing.");
	if (o->is_root && mtime)
		return rule_refuse(rl, -EPERM, "fixed-root",
				   "The top directory's times are the archive's own.");
	/* An access time is not kept. */
	rule_accept(rl, mtime ? COF_EFFECT_ATTR : COF_EFFECT_NONE);
}

void rule_commit(const struct cof_object *o, const struct cof_op *op COF_UNUSED,
		 struct cof_ruling *rl)
{
	if (o->kind != RULE_FILE)
		return rule_error(rl, -EINVAL, "kind", "Only files can be committed.");
	rule_accept(rl, rule_is_fixed(o->state) ? COF_EFFECT_NONE : COF_EFFECT_COMMIT);
}

void rule_xattr(const struct cof_object *o, const struct cof_op *op, struct cof_ruling *rl)
{
	if (op->name && !strncmp(op->name, "user.coffer.", 12))
		return rule_refuse(
		    rl, -EPERM, "coffer-attributes",
		    "The user.coffer attributes tell what the archive knows and cannot be "
		    "set.");
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", immutable);
	/* It would promise what nothing here keeps. */
	if (op->name && !strcmp(op->name, "user.immutable.until"))
		return rule_error(rl, -EOPNOTSUPP, "no-retention",
				  "Retention is not in this version; chmod a-w makes a file immutable.");
	if (!op->name || strncmp(op->name, "user.", 5) || !op->name[5] ||
	    (o->kind != RULE_FILE && o->kind != RULE_DIR))
		return rule_error(rl, -EOPNOTSUPP, "attribute-names",
				  "Only attributes under user. are kept, of files and directories.");
	if (o->is_root)
		return rule_refuse(
		    rl, -EPERM, "fixed-root",
		    "The top directory's attributes are part of the format; use the shelf's instead.");
	rule_accept(rl, COF_EFFECT_ATTR);
}

void rule_mmap(const struct cof_object *o COF_UNUSED, const struct cof_op *op COF_UNUSED,
	       struct cof_ruling *rl)
{
	rule_refuse(
	    rl, -ENODEV, "no-shared-mapping",
	    "A shared mapping could change bytes that are written; use write with O_APPEND.");
}

void rule_reflink(const struct cof_object *o COF_UNUSED, const struct cof_op *op COF_UNUSED,
		  struct cof_ruling *rl)
{
	rule_error(rl, -EOPNOTSUPP, "no-reflink",
		   "Blocks cannot be shared between files here; copy by reading and writing.");
}
