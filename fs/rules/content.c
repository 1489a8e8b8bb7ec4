/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about a file's content. An open file grows and never changes below its end; a committed
 * file never changes. A shelf's quota is asked before anything grows.
 */
#include "fs/rules/internal.h"

#include <fcntl.h>
#include <linux/falloc.h>

const char rule_immutable[] =
    "A committed file never changes; write what is new to a file of its own.";
static const char below_end[] =
    "What is written stays: only bytes at or beyond the end can be added (open with O_APPEND).";

/* The file shall end at `end`. The sum of the sizes counts, a hole as much as bytes. */
static void grow(const struct rule_in *in, uint64_t end, enum cof_effect effect,
		 struct cof_ruling *rl)
{
	uint64_t quota = in->policy->quota_bytes, more = end - in->o->size;

	if (quota && (in->o->shelf_bytes > quota || more > quota - in->o->shelf_bytes))
		return rule_error(rl, -EDQUOT, "quota",
				  "The shelf's quota of bytes is used up; it can be raised with "
				  "coffer shelf set.");
	rule_accept(rl, effect);
}

void rule_open(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;
	bool writes = (op->flags & O_ACCMODE) != O_RDONLY;

	if (o->kind == RULE_DIR && (writes || (op->flags & O_TRUNC)))
		return rule_error(rl, -EISDIR, "kind", "This is a directory.");
	if (rule_is_fixed(o->state) && (writes || (op->flags & O_TRUNC)))
		return rule_refuse(rl, -EPERM, "committed", rule_immutable);
	if ((op->flags & O_TRUNC) && o->size)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "A file with content cannot be emptied; open it with O_APPEND, or rename "
		    "it to a free name and begin a new one.");
	rule_accept(rl, COF_EFFECT_NONE);
}

void rule_write(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;

	if (o->kind != RULE_FILE)
		return rule_error(rl, o->kind == RULE_DIR ? -EISDIR : -EINVAL, "kind",
				  "This is no file.");
	if (op->offset > INT64_MAX || op->length > INT64_MAX - op->offset)
		return rule_error(rl, -EFBIG, "size", "A file ends before byte 2^63.");
	/* Before the state: a resent write may be the last one before the commit. */
	if (op->resent && op->length && op->offset < o->size)
		return rule_accept(rl, COF_EFFECT_ECHO);
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", rule_immutable);
	if (!op->length)
		return rule_accept(rl, COF_EFFECT_NONE);
	if (op->offset < o->size)
		return rule_refuse(rl, -EPERM, "append-only", below_end);
	grow(in, op->offset + op->length,
	     op->offset > o->size ? COF_EFFECT_HOLE : COF_EFFECT_APPEND, rl);
	if (!rl->error && in->policy->leak_guard == COF_LEAK_REFUSE)
		rl->reason = "allowed, unless the shelf's leak guard finds a secret in it"; /* this knows no bytes */
}

void rule_truncate(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;

	if (o->kind != RULE_FILE)
		return rule_error(rl, o->kind == RULE_DIR ? -EISDIR : -EINVAL, "kind",
				  "This is no file.");
	if (op->length > INT64_MAX)
		return rule_error(rl, -EFBIG, "size", "A file ends before byte 2^63.");
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", rule_immutable);
	if (op->length < o->size)
		return rule_refuse(
		    rl, -EPERM, "append-only",
		    "A file cannot be shortened; rename it to a free name and begin a new one "
		    "(for logrotate: create or dateext instead of copytruncate).");
	if (op->length == o->size)
		return rule_accept(rl, COF_EFFECT_NONE);
	grow(in, op->length, COF_EFFECT_HOLE, rl);
}

void rule_fallocate(const struct rule_in *in, struct cof_ruling *rl)
{
	const struct cof_object *o = in->o;
	const struct cof_op *op = in->op;

	if (o->kind != RULE_FILE)
		return rule_error(rl, -ENODEV, "kind", "This is no file.");
	if (rule_is_fixed(o->state))
		return rule_refuse(rl, -EPERM, "committed", rule_immutable);
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

void rule_mmap(const struct rule_in *in COF_UNUSED, struct cof_ruling *rl)
{
	rule_refuse(
	    rl, -ENODEV, "no-shared-mapping",
	    "A shared mapping could change bytes that are written; use write with O_APPEND.");
}

void rule_reflink(const struct rule_in *in COF_UNUSED, struct cof_ruling *rl)
{
	rule_error(rl, -EOPNOTSUPP, "no-reflink",
		   "Blocks cannot be shared between files here; copy by reading and writing.");
}
