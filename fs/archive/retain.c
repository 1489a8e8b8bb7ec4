/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing and extending: what the rules granted becomes a COMMIT or an EXTEND frame.
 *
 * A file that was idle for long enough counts as committed from then on; its frame is written when
 * somebody asks for it, or by the keeper. The keeper knows the files that were written in this mount,
 * as many as it has places for. A frame that comes late says what it would have said in time.
 */
#include "fs/archive/certs.h"
#include "fs/rules/approve.h"

#define WRITE_BITS 0222u

static int put_with(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
		    struct cof_draft *d, const struct cof_ruling *rl, const struct cof_buf *more,
		    struct cof_reply *ret)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_applied on = {.o = o};
	struct cof_append done;
	int r;

	cof_field_put_i64(&fields, COF_T_RETAIN_UNTIL, rl->retain_until);
	cof_field_put_i64(&fields, COF_T_ASKED_UNTIL, rl->asked_until);
	cof_field_put_str(&fields, COF_T_RULE, rl->rule);
	cof_buf_add(&fields, more->data, more->len);
	if (fields.failed || more->failed)
		return -ENOMEM;
	d->object = o->node.ino;
	d->public_part = fields.data;
	d->public_len = (uint32_t)fields.len;
	r = cof_actor_use(a, who, false, &d->actor);
	if (r == 0)
		r = cof_archive_put(a, d, &on, &done);
	if (r < 0)
		return r;
	cof_reply_wrote(ret, &done);
	ret->changed = true;
	return 0;
}

/* What a verifier without keys has to know, beside the end: where it lies, and what may end it early. */
static void put_binding(const struct cof_obj *o, const struct cof_ruling *rl, struct cof_buf *fields)
{
	cof_field_put_u64(fields, COF_T_SHELF_INO, o->node.shelf);
	if (rl->mode)
		cof_field_put_u8(fields, COF_T_RETAIN_MODE, rl->mode);
	if (rl->binds_from != COF_RETAIN_NONE)
		cof_field_put_i64(fields, COF_T_BINDS_FROM, rl->binds_from);
	if (rl->event) {
		cof_field_put_str(fields, COF_T_EVENT_NAME, rl->event);
		cof_field_put_i64(fields, COF_T_EVENT_SPAN, rl->event_span);
	}
}

int cof_commit(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
	       const struct cof_op *op, const struct cof_ruling *rl, struct cof_reply *ret)
{
	cof_autobuf struct cof_buf private_part = {0}, more = {0};
	cof_autocerts struct cof_certs certs = {0};
	struct cof_draft d = {.type = COF_COMMIT, .position = o->size};
	struct cof_ruling granted = *rl;
	uint32_t mode = o->node.mode & ~WRITE_BITS;
	int r = cof_certs_look(a, o, &certs);

	if (r < 0)
		return r;
	cof_rule_least(certs.least, &granted);
	cof_certs_tell(a, o, who, &certs);
	if (op && op->kind == COF_OP_CHMOD)
		mode = op->mode & 07777;
	cof_field_put_u32(&private_part, COF_T_MODE, mode);
	cof_buf_add(&private_part, certs.found.data, certs.found.len);
	if (private_part.failed)
		return -ENOMEM;
	d.plain = private_part.data;
	d.length = (uint32_t)private_part.len;
	put_binding(o, &granted, &more);
	cof_buf_add(&more, certs.told.data, certs.told.len);
	r = put_with(a, o, who, &d, &granted, &more, ret);
	if (r < 0)
		return r;
	ret->committed = true;
	cof_sum_certificates(a, certs.n, ret->sequence);
	if (!who->daemon)
		cof_recent_add(a, o->node.ino, who);
	return 0;
}

int cof_extend(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
	       const struct cof_ruling *rl, struct cof_reply *ret)
{
	cof_autobuf struct cof_buf more = {0};
	struct cof_draft d = {.type = COF_EXTEND};

	if (rl->effect == COF_EFFECT_EVENT) {
		cof_field_put_str(&more, COF_T_EVENT_NAME, rl->event);
		cof_field_put_i64(&more, COF_T_EVENT_SPAN, rl->event_span);
	}
	return put_with(a, o, who, &d, rl, &more, ret);
}

/* ---- by approval ---- */

static int put_approved(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
			const struct cof_op *op, const uint8_t request[32],
			const struct cof_ruling *rl, struct cof_reply *ret)
{
	cof_autobuf struct cof_buf more = {0};
	struct cof_draft d = {.type = COF_EXTEND};

	if (op->kind == COF_OP_EVENT_DECLARE) {
		cof_field_put_str(&more, COF_T_EVENT_NAME, op->name);
		cof_field_put_i64(&more, COF_T_EVENT_TIME, op->retain);
	}
	cof_field_put_i64(&more, COF_T_WAS_UNTIL, o->node.retain_until);
	cof_field_put(&more, COF_T_REQUEST, request, 32);
	return put_with(a, o, who, &d, rl, &more, ret);
}

/* Whether a frame of the same request, before a crash, left the object so. */
static bool done_before(const struct cof_obj *o, const struct cof_op *op)
{
	if (o->node.state != COF_STATE_COMMITTED)
		return true;
	return op->kind == COF_OP_EVENT_DECLARE ? !o->node.event_due
						: !o->node.event_due && o->node.retain_until == op->retain;
}

/* What was promised behind the approval nobody approved to be shortened: there may be days between it and the mount that
 * carries it out. Without an end it never ends, which is later than any. */
static int check_promised(struct cof_archive *a, const struct cof_obj *o, uint64_t met)
{
	struct cof_node then;
	int64_t now = o->node.retain_until;
	int r = cof_ix(a, cof_index_get_node(a->ix, met, o->node.ino, &then));

	if (r < 0 || !then.commit_sequence) /* committed for being idle: its frame says what held then */
		return r;
	if (then.retain_until != COF_RETAIN_NONE && (now == COF_RETAIN_NONE || now > then.retain_until))
		return -ECANCELED;
	return o->node.event_due && !then.event_due ? -ECANCELED : 0;
}

int cof_retain_approved(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			const uint8_t request[32], uint64_t met, struct cof_reply *ret, struct cof_ruling *rl)
{
	struct cof_obj *o;
	int r = cof_obj_get(a, op->ino, &o);

	if (r < 0)
		return r;
	r = cof_judge(a, o, NULL, op, who, ret, rl);
	if (r == 0 && !done_before(o, op))
		r = check_promised(a, o, met);
	if (r == 0)
		r = put_approved(a, o, who, op, request, rl, ret);
	else if (done_before(o, op))
		r = 1;
	cof_obj_put(a, o);
	return r;
}

int cof_commit_due(struct cof_archive *a, struct cof_obj *o, struct cof_reply *ret)
{
	static const struct cof_who daemon = {.daemon = true};
	struct cof_object view;
	struct cof_ruling rl;

	cof_obj_rule_view(a, o, &view);
	if (!cof_rule_autocommit(cof_obj_policy(o), &view, cof_clock_retention(&a->clock), &rl))
		return 0;
	return cof_commit(a, o, &daemon, NULL, &rl, ret);
}

/* ---- the keeper's part ---- */

void cof_idle_note(struct cof_archive *a, const struct cof_obj *o)
{
	int64_t span = cof_obj_policy(o)->autocommit, due;
	struct cof_idle *place = &a->idle[o->node.ino % COF_IDLE];

	if (!span || a->load_at != COF_INDEX_NOW ||
	    __builtin_add_overflow(o->written, span, &due))
		return;
	pthread_mutex_lock(&a->recent_lock);
	*place = (struct cof_idle){.ino = o->node.ino, .due = due};
	pthread_mutex_unlock(&a->recent_lock);
}

/* The next one that is due, from *at on, taken out. 0: none. */
static uint64_t take_due(struct cof_archive *a, unsigned *at, int64_t now)
{
	uint64_t ino = 0;

	pthread_mutex_lock(&a->recent_lock);
	for (; *at < COF_IDLE && !ino; ++*at)
		if (a->idle[*at].ino && a->idle[*at].due <= now) {
			ino = a->idle[*at].ino;
			a->idle[*at] = (struct cof_idle){0};
		}
	pthread_mutex_unlock(&a->recent_lock);
	return ino;
}

/* One that has a writer, or had one until a moment ago, is looked at again later. */
static void look_again(struct cof_archive *a, struct cof_obj *o, int64_t now)
{
	struct cof_object view;
	int64_t due;

	if (o->node.state != COF_STATE_OPEN)
		return;
	cof_obj_rule_view(a, o, &view);
	if (__builtin_add_overflow(view.has_writers ? now : view.idle_since,
				   cof_obj_policy(o)->autocommit, &due))
		return;
	pthread_mutex_lock(&a->recent_lock);
	if (!a->idle[o->node.ino % COF_IDLE].ino)
		a->idle[o->node.ino % COF_IDLE] =
		    (struct cof_idle){.ino = o->node.ino, .due = COF_MAX(due, now + 1)};
	pthread_mutex_unlock(&a->recent_lock);
}

void cof_idle_tick(struct cof_archive *a)
{
	int64_t now = cof_clock_retention(&a->clock);
	unsigned at = 0;
	uint64_t ino;

	while ((ino = take_due(a, &at, now))) {
		struct cof_reply reply = {0};
		struct cof_obj *o;

		if (cof_obj_get(a, ino, &o) < 0)
			continue; /* who asks for it meets the same error, and is told */
		/* What cannot be written now is written on the next access. */
		(void)cof_commit_due(a, o, &reply);
		look_again(a, o, now);
		cof_obj_put(a, o);
		if (reply.committed && a->p.changed)
			a->p.changed(a->p.user, ino);
	}
}
