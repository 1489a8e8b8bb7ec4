/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door: every mutating request, from whomever, comes through cof_archive_do. It enters the gate,
 * hands the request to the part that knows it, records what was refused, and answers.
 */
#include <fcntl.h>

#include "fs/archive/asked.h"

static bool only_reads(const struct cof_op *op)
{
	return op->kind == COF_OP_OPEN && (op->flags & O_ACCMODE) == O_RDONLY &&
	       !(op->flags & O_TRUNC);
}

static bool read_only(struct cof_archive *a)
{
	return !a->log || atomic_load(&a->failed) != 0;
}

static int act(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
	       struct cof_reply *ret, struct cof_ruling *rl)
{
	switch (op->kind) {
	case COF_OP_WRITE:
	case COF_OP_TRUNCATE:
		return cof_do_write(a, who, op, ret, rl);
	case COF_OP_CREATE:
	case COF_OP_UNLINK:
	case COF_OP_RMDIR:
	case COF_OP_RENAME:
	case COF_OP_LINK:
	case COF_OP_MKNOD:
	case COF_OP_SHELF_ADD:
		return cof_do_name(a, who, op, ret, rl);
	default:
		return cof_do_attr(a, who, op, ret, rl);
	}
}

/* What a refused name stood for, so that the event can tell. 0: nothing, or nothing to be had. */
static uint64_t named(struct cof_archive *a, uint64_t dir, const char *name)
{
	uint64_t ino;

	if (!dir || !name || cof_index_lookup(a->ix, COF_INDEX_NOW, dir, name, strlen(name), &ino) < 0)
		return 0;
	return ino;
}

/* rm of what has expired, where the shelf's policy lets it ask: no offence, and each file is asked for once. */
static bool was_asked(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op, const struct cof_ruling *rl)
{
	return rl->effect == COF_EFFECT_ASK_REMOVE && cof_removal_ask(a, who, op) == 0;
}

static void record(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		   const struct cof_ruling *rl)
{
	struct cof_op about = *op;

	if (!about.ino && op->kind != COF_OP_CREATE)
		about.ino = named(a, op->parent, op->name);
	if (!about.target_ino)
		about.target_ino = named(a, op->new_parent, op->new_name);
	if (!was_asked(a, who, &about, rl))
		cof_event_refused(a, who, &about, rl);
}

static int once(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret)
{
	struct cof_reply reply = {0};
	struct cof_ruling rl = {0};
	int r;

	if (read_only(a) && !only_reads(op))
		return -EROFS; /* nothing can be recorded any more either */
	if (cof_virtual_reads(op)) {
		*ret = reply;
		return 0;
	}
	if (cof_virtual_refuses(op, &rl)) {
		record(a, who, op, &rl);
		return rl.error;
	}
	if (op->kind == COF_OP_COMMIT || op->kind == COF_OP_RETAIN || op->kind == COF_OP_UNLINK ||
	    op->kind == COF_OP_CHMOD || op->kind >= COF_OP_RETAIN_EVENT)
		cof_clock_look(&a->clock);
	r = act(a, who, op, &reply, &rl);
	if (r == 0)
		*ret = reply;
	else /* what was idle may have been committed all the same */
		*ret = (struct cof_reply){.committed = reply.committed, .changed = reply.changed};
	if (r < 0 && rl.error && rl.record && r == rl.error)
		record(a, who, op, &rl);
	return r;
}

int cof_archive_do(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		   struct cof_reply *ret)
{
	struct cof_reply reply = {0};
	int r;

	COF_GATED(a, r, once(a, who, op, &reply));
	if (reply.changed && a->p.changed)
		a->p.changed(a->p.user, reply.attr.ino ? reply.attr.ino : op->ino);
	if (r == 0 && op->kind == COF_OP_SHELF_ADD && a->p.changed)
		a->p.changed(a->p.user, COF_ROOT_INO);
	if (r == 0)
		*ret = reply;
	else
		ret->committed = reply.committed;
	return r;
}

void cof_archive_release(struct cof_archive *a, uint64_t ino)
{
	cof_writers_closed(a->writers, ino, cof_clock_retention(&a->clock));
}
