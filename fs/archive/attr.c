/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is judged or changed about one object: opening, modes, owners, times, committing.
 *
 * A commit is remembered for a minute with the process that made it, which may rename the file once: rsync
 * takes the write permission from its temporary name and renames it then. The memory is this run's only,
 * and holds the last COF_RECENT commits.
 */
#include "fs/archive/internal.h"

#define RENAME_ONCE_NS (60 * COF_NSEC)
#define WRITE_BITS 0222u

/* ---- commits that may still be renamed once ---- */

static void recent_add(struct cof_archive *a, uint64_t ino, const struct cof_who *who)
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

static int change_attr(struct change *c)
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

/* Without a retention for now: the frame says so rather than nothing. */
static int commit(struct change *c)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	struct cof_draft d = {.type = COF_COMMIT, .position = c->o->size};
	uint32_t mode = c->op->kind == COF_OP_CHMOD ? c->op->mode & 07777
						    : c->o->node.mode & ~WRITE_BITS;
	int r;

	cof_field_put_i64(&public_part, COF_T_RETAIN_UNTIL, INT64_MIN);
	cof_field_put_i64(&public_part, COF_T_ASKED_UNTIL, INT64_MIN);
	cof_field_put_str(&public_part, COF_T_RULE, "none");
	cof_field_put_u32(&private_part, COF_T_MODE, mode);
	if (public_part.failed)
		return -ENOMEM;
	d.public_part = public_part.data;
	d.public_len = (uint32_t)public_part.len;
	r = put(c, &d, &private_part);
	if (r == 0)
		recent_add(c->a, c->o->node.ino, c->who);
	return r;
}

static int change(struct change *c, struct cof_ruling *rl)
{
	cof_judge(c->o, NULL, c->op, c->who, rl);
	if (rl->error)
		return rl->error;
	switch (rl->effect) {
	case COF_EFFECT_ATTR:
		return change_attr(c);
	case COF_EFFECT_COMMIT:
		return commit(c);
	default:
		return 0;
	}
}

int cof_do_attr(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret, struct cof_ruling *rl)
{
	struct change c = {.a = a, .who = who, .op = op, .reply = ret};
	int r = cof_obj_get(a, op->ino, &c.o);

	if (r < 0)
		return r;
	r = change(&c, rl);
	if (r == 0)
		cof_reply_fill(c.o, op, ret);
	cof_obj_put(a, c.o);
	return r;
}
