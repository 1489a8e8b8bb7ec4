/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is judged or changed about one object: opening, modes, owners, times, committing.
 *
 * A commit is remembered for a minute with the process that made it, which may rename the file once: rsync
 * takes the write permission from its temporary name and renames it then. The memory is this run's only,
 * and holds the last COF_RECENT commits.
 */
#include <fcntl.h>

#include "fs/archive/note.h"
#include "fs/archive/show.h"

#define RENAME_ONCE_NS (60 * COF_NSEC)

/* ---- commits that may still be renamed once ---- */

void cof_recent_add(struct cof_archive *a, uint64_t ino, const struct cof_who *who)
{
	struct cof_recent new = {.ino = ino, .deadline = cof_now(CLOCK_BOOTTIME) + RENAME_ONCE_NS};

	if (!who->pid || cof_actor_process(who->pid, &new.tgid, &new.start) < 0)
		return; /* a process that cannot be told from others has no privilege */
	pthread_mutex_lock(&a->recent_lock);
	a->recent[a->recent_next] = new;
	a->recent_next = (a->recent_next + 1) % COF_RECENT;
	pthread_mutex_unlock(&a->recent_lock);
}

bool cof_recent_may(struct cof_archive *a, uint64_t ino, const struct cof_who *who)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);
	uint64_t start;
	uint32_t tgid;
	bool may = false;

	if (!who->pid || cof_actor_process(who->pid, &tgid, &start) < 0)
		return false;
	pthread_mutex_lock(&a->recent_lock);
	for (unsigned i = 0; i < COF_RECENT && !may; i++) {
		const struct cof_recent *r = &a->recent[i];

		may = r->ino == ino && r->tgid == tgid && r->start == start && now < r->deadline;
	}
	pthread_mutex_unlock(&a->recent_lock);
	return may;
}

void cof_recent_used(struct cof_archive *a, uint64_t ino)
{
	pthread_mutex_lock(&a->recent_lock);
	for (unsigned i = 0; i < COF_RECENT; i++)
		if (a->recent[i].ino == ino)
			a->recent[i] = (struct cof_recent){0};
	pthread_mutex_unlock(&a->recent_lock);
}

/* ---- frames ---- */

struct change { /* one request about one object, which is held */
	struct cof_archive *a;
	const struct cof_who *who;
	const struct cof_op *op;
	struct cof_obj *o;
	struct cof_reply *reply;
};

static int put(struct change *c, struct cof_draft *d, const struct cof_buf *private_part)
{
	struct cof_applied on = {.o = c->o};
	struct cof_append done;
	int r = private_part->failed ? -ENOMEM : cof_actor_use(c->a, c->who, false, &d->actor);

	d->object = c->o->node.ino;
	d->plain = private_part->data;
	d->length = (uint32_t)private_part->len;
	if (r == 0)
		r = cof_archive_put(c->a, d, &on, &done);
	if (r == 0)
		cof_reply_wrote(c->reply, &done);
	return r;
}

static int change_attr(struct change *c, const struct cof_ruling *rl)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_ATTR};
	const struct cof_op *op = c->op;
	int r;

	switch (op->kind) {
	case COF_OP_CHMOD:
		cof_field_put_u32(&fields, COF_T_MODE, op->mode & 07777);
		break;
	case COF_OP_CHOWN:
		if (op->valid & COF_SET_UID)
			cof_field_put_u32(&fields, COF_T_UID, op->uid);
		if (op->valid & COF_SET_GID)
			cof_field_put_u32(&fields, COF_T_GID, op->gid);
		break;
	case COF_OP_UTIMES:
		if (rl->effect == COF_EFFECT_ASK)
			cof_field_put_i64(&fields, COF_T_ASKED_UNTIL, rl->asked_until);
		if (op->valid & (COF_SET_MTIME | COF_SET_MTIME_NOW))
			cof_field_put_i64(&fields, COF_T_MTIME,
					  op->valid & COF_SET_MTIME_NOW ? cof_now(CLOCK_REALTIME)
									: op->mtime);
		break;
	case COF_OP_SETXATTR:
	case COF_OP_REMOVEXATTR:
		r = cof_xattr_check(c->a, op);
		if (r < 0)
			return r;
		cof_xattr_fields(op, &fields);
		break;
	default:
		return -EOPNOTSUPP;
	}
	return put(c, &d, &fields);
}

/* An access time in the year 9999 stands for "infinite" where that is what is kept; to ask for infinity by
 * a time is not possible: a copy of such a file must not be locked for ever by its copied times. */
static void read_access_time(const struct cof_obj *o, struct cof_op *op)
{
	if (op->kind == COF_OP_UTIMES && op->atime == COF_RETAIN_INFINITE &&
	    o->node.retain_until != COF_RETAIN_INFINITE)
		op->atime = COF_RETAIN_INFINITE - 1;
}

static int change(struct change *c, struct cof_ruling *rl)
{
	int r = cof_judge(c->a, c->o, NULL, c->op, c->who, c->reply, rl);

	if (r < 0)
		return r;
	switch (rl->effect) {
	case COF_EFFECT_ATTR:
	case COF_EFFECT_ASK:
		return change_attr(c, rl);
	case COF_EFFECT_COMMIT:
		return cof_commit(c->a, c->o, c->who, c->op, rl, c->reply);
	case COF_EFFECT_EXTEND:
	case COF_EFFECT_EVENT:
		if (c->op->kind == COF_OP_EVENT_DECLARE)
			return -EOPNOTSUPP;
		return cof_extend(c->a, c->o, c->who, rl, c->reply);
	case COF_EFFECT_SHELF:
		return cof_shelf_frame(c->a, c->o, c->who, c->op, NULL, c->reply);
	case COF_EFFECT_HOLD:
	case COF_EFFECT_END:
	case COF_EFFECT_REMOVE:
		return -EOPNOTSUPP; /* those have ways of their own: holds, and requests */
	default:
		return 0;
	}
}

static bool opens_for_writing(const struct cof_op *op)
{
	return op->kind == COF_OP_OPEN && (op->flags & O_ACCMODE) != O_RDONLY;
}

/* ---- readings ---- */

/* Opened read-only there is no log to write to, and who did that had the key: said once, not refused. */
static int no_log(struct cof_archive *a)
{
	if (!atomic_exchange(&a->reads_told, true))
		cof_alarm(a, "The archive is open read-only: readings on shelves with read_events are not on record.");
	return 0;
}

/* What cannot be put on record is not opened. Reading through the handle is covered by its opening. */
static int record_reading(struct change *c)
{
	struct cof_event e = {.type = COF_EV_READ, .operation = "open", .who = c->who, .ordinary = true};
	cof_autobuf struct cof_buf path = {0};
	struct cof_append done;
	int r;

	if (!c->a->log)
		return no_log(c->a);
	r = cof_ix(c->a, cof_show_index_path(c->a->ix, COF_INDEX_NOW, c->o->node.ino, &path));
	cof_buf_add(&path, "", 1);
	if (r == 0 && path.failed)
		r = -ENOMEM;
	if (r < 0)
		return r;
	e.object = c->o->node.ino;
	e.path = (const char *)path.data;
	r = cof_event_emit(c->a, &e, &done.ret_sequence);
	if (r == 0)
		cof_reply_wrote(c->reply, &done);
	return r;
}

static bool is_reading(const struct change *c)
{
	return c->op->kind == COF_OP_OPEN && (c->op->flags & O_ACCMODE) != O_WRONLY && !c->who->daemon &&
	       c->o->node.kind == COF_KIND_FILE && cof_obj_policy(c->o)->read_events;
}

int cof_do_attr(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret, struct cof_ruling *rl)
{
	struct cof_op own = *op;
	struct change c = {.a = a, .who = who, .op = &own, .reply = ret};
	int r = cof_obj_get(a, op->ino, &c.o);

	if (r < 0)
		return r;
	read_access_time(c.o, &own);
	r = change(&c, rl);
	if (r == 0 && is_reading(&c))
		r = record_reading(&c);
	if (r == 0) {
		if (opens_for_writing(op))
			cof_writers_opened(a->writers, op->ino);
		cof_reply_fill(a, c.o, op, ret);
	}
	cof_obj_put(a, c.o);
	return r;
}
