/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request's bytes to accepted frames. Bytes are sealed and hashed under the file's own lock, outside
 * all others; the log then only numbers, links and tags. A small write allocates nothing and asks no
 * database.
 */
#include <limits.h>

#include "fs/archive/events.h"
#include "fs/archive/leak.h"

#define SMALL 8192u /* stored bytes that fit on the stack */

/* Stretches that may wait in memory: from the first number on who writes feeds the index itself, from the
 * second on writing stops (the index's disk is full). The index would wait at 65,536. */
#define PENDING_FEED 40000u
#define PENDING_STOP 60000u

/* A write of more than this is a large one; beside others of less it is cut into frames of CROWDED_FRAME. */
#define LARGE COF_CHUNK
#define CROWDED_FRAME (4 * COF_CHUNK)
#define CROWD 4u /* small writes since the last large one */

/* ---- scratch buffers ---- */

void *cof_scratch_take(struct cof_archive *a)
{
	void *buf = NULL;

	pthread_mutex_lock(&a->pool_lock);
	for (;;) {
		if (a->pool_free) {
			buf = a->pool[--a->pool_free];
			break;
		}
		if (a->pool_made < COF_COUNT(a->pool)) {
			buf = malloc(COF_SCRATCH);
			if (buf)
				a->pool_made++;
			if (buf || !a->pool_made)
				break; /* without any buffer out nobody would give one back */
		}
		pthread_cond_wait(&a->pool_cond, &a->pool_lock);
	}
	pthread_mutex_unlock(&a->pool_lock);
	return buf;
}

void cof_scratch_give(struct cof_archive *a, void *buf)
{
	if (!buf)
		return;
	pthread_mutex_lock(&a->pool_lock);
	a->pool[a->pool_free++] = buf;
	pthread_cond_signal(&a->pool_cond);
	pthread_mutex_unlock(&a->pool_lock);
}

/* ---- one frame ---- */

static int make_room(struct cof_archive *a, bool system)
{
	int r = 0;

	if (cof_index_pending(a->ix) < PENDING_FEED)
		return 0;
	pthread_mutex_lock(&a->feed_lock);
	if (cof_index_pending(a->ix) >= PENDING_FEED)
		r = cof_index_feed(a->ix, cof_archive_size, a);
	pthread_mutex_unlock(&a->feed_lock);
	if (cof_ix(a, r) == -COF_EINDEX) /* as cof_archive_feed */
		cof_stale(a, cof_index_fed(a->ix));
	/* Frames that touch no stretch may always go on. */
	if (r < 0 && !system && cof_index_pending(a->ix) >= PENDING_STOP)
		return -ENOSPC;
	return 0;
}

static int seal(struct cof_archive *a, const struct cof_draft *d, struct cof_frame *f, void *out)
{
	struct cof_ring_key *key = NULL;
	const void *public_part = d->public_part;
	uint32_t public_len = d->public_len;
	int r;

	if (!d->length && !d->commitment)
		return cof_payload_seal(f, NULL, a->conf.id, public_part, public_len, NULL, out);
	r = cof_ring_take(a->ring, cof_frame_key_object(f), a->mount, &key);
	if (r < 0)
		return r;
	if (d->commitment) {
		f->flags |= COF_FRAME_COMMITMENT;
		public_part = key->commitment;
		public_len = COF_HASH;
	}
	f->counter = d->length ? cof_log_counter(a->log, cof_frame_chunks(d->length)) : 0;
	r = cof_payload_seal_shared(f, key->aead, a->conf.id, public_part, public_len, d->plain, out,
				    d->alone ? NULL : a->leaves, d->guard ? &d->guard->beside : NULL);
	cof_ring_give(a->ring, key);
	return r;
}

static void raise_size(struct cof_archive *a, uint64_t size)
{
	uint_fast64_t seen = atomic_load_explicit(&a->size, memory_order_relaxed);

	while (seen < size && !atomic_compare_exchange_weak(&a->size, &seen, size))
		;
}

/* In order: whoever appends an event waits for who is about it. Not yet, while the index is being filled. */
static int index_event(struct cof_archive *a, const struct cof_frame *f, uint64_t address)
{
	return a->events_known ? cof_events_index(a, f, address) : 0;
}

static int append(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on,
		  struct cof_append *ap)
{
	bool event = cof_event_frame(d->type);
	int r;

	if (event)
		pthread_mutex_lock(&a->events_lock);
	cof_index_enter(a->ix);
	r = cof_log_append(a->log, ap);
	if (r == 0) {
		ap->frame.sequence = ap->ret_sequence;
		ap->frame.record_time = ap->ret_record_time;
		ap->frame.retention_time = ap->ret_retention_time;
		ap->frame.mount = a->mount;
		/* Accepted: from here on nothing may fail the request. What the index missed it learns from
		 * the log. */
		if (on && cof_apply(a, &ap->frame, ap->ret_address, d->public_part, d->public_len,
				    d->plain, d->length, on) < 0)
			cof_stale(a, ap->ret_sequence);
		if (event && index_event(a, &ap->frame, ap->ret_address) < 0)
			cof_stale(a, ap->ret_sequence);
		raise_size(a, ap->ret_sequence + 1);
	}
	cof_index_leave(a->ix);
	if (event)
		pthread_mutex_unlock(&a->events_lock);
	return r;
}

int cof_archive_put(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on,
		    struct cof_append *ret)
{
	uint8_t small[SMALL];
	struct cof_append ap = {.system = d->system};
	uint64_t need = (uint64_t)d->length + (uint64_t)COF_TAG * cof_frame_chunks(d->length) +
			(d->commitment ? COF_HASH : d->public_len);
	void *out = small;
	int r;

	if (!a->log || a->mount == 0)
		return -EROFS;
	if (need > COF_SCRATCH || (d->commitment && d->public_len))
		return -EINVAL;
	r = make_room(a, d->system);
	if (r < 0)
		return r;
	if (need > sizeof(small))
		out = cof_scratch_take(a);
	if (!out)
		return -ENOMEM;
	ap.frame = (struct cof_frame){
	    .type = d->type,
	    .version = 1,
	    .object = d->object,
	    .position = d->position,
	    .length = d->length,
	    .mount = a->mount,
	    .actor = d->actor,
	};
	r = seal(a, d, &ap.frame, out);
	if (r == 0 && d->guard)
		r = cof_guard_judge(d->guard);
	ap.stored = out;
	if (r == 0)
		r = append(a, d, on, &ap);
	if (out != small)
		cof_scratch_give(a, out);
	if (r == 0 && ret)
		*ret = ap;
	return r;
}

/* ---- writes ---- */

/* Once more, since what it says by itself of how long it is kept was read with the commit. */
static void judge_committed(struct cof_archive *a, struct cof_obj *o, struct cof_object *view,
			    const struct cof_op *op, const struct cof_who *who, int64_t now,
			    struct cof_ruling *rl)
{
	struct cof_object fresh;

	cof_obj_rule_view(a, o, &fresh);
	view->state = fresh.state;
	view->mode = fresh.mode;
	view->retain_until = fresh.retain_until;
	view->asked_until = fresh.asked_until;
	view->least_until = fresh.least_until;
	cof_rule(cof_obj_policy(o), view, op, who, now, rl);
	rl->commit_first = true;
}

int cof_judge(struct cof_archive *a, struct cof_obj *o, struct cof_object *view,
	      const struct cof_op *op, const struct cof_who *who, struct cof_reply *reply,
	      struct cof_ruling *rl)
{
	int64_t now = cof_clock_retention(&a->clock);
	struct cof_object own;
	int r;

	if (!view) {
		cof_obj_rule_view(a, o, &own);
		view = &own;
	}
	cof_rule(cof_obj_policy(o), view, op, who, now, rl);
	if (!rl->commit_first || !reply || !a->log || atomic_load(&a->failed))
		return rl->error;
	/* The rest of the ruling is about the committed file already. */
	r = cof_commit_due(a, o, reply);
	if (r == 0 && cof_obj_policy(o)->certificates)
		judge_committed(a, o, view, op, who, now, rl);
	return rl->error ? rl->error : op->kind == COF_OP_OPEN ? 0 : r;
}

void cof_reply_wrote(struct cof_reply *ret, const struct cof_append *done)
{
	ret->wrote = true;
	ret->sequence = done->ret_sequence;
}

void cof_reply_fill(struct cof_archive *a, struct cof_obj *o, const struct cof_op *op,
		    struct cof_reply *ret)
{
	cof_obj_attr(a, o, &ret->attr);
	ret->durable = ret->wrote && (op->durable || cof_obj_policy(o)->durability == COF_DURABLE_ON_WRITE);
}

static int put_hole(struct cof_archive *a, struct cof_obj *o, uint32_t actor, uint64_t length,
		    struct cof_reply *ret)
{
	struct cof_applied on = {.o = o};
	struct cof_append done;
	uint8_t text[8];
	struct cof_draft d = {
	    .type = COF_HOLE,
	    .object = o->node.ino,
	    .position = o->size,
	    .actor = actor,
	    .public_part = text,
	    .public_len = sizeof(text),
	};
	int r;

	cof_put_le64(text, length);
	r = cof_archive_put(a, &d, &on, &done);
	if (r == 0)
		cof_reply_wrote(ret, &done);
	return r;
}

/*
 * A line waits until all frames before it are with the kernel, and for a processor. So while lines come in between,
 * a large write takes neither for long: smaller frames, and no processor besides its own.
 */
static bool crowded(struct cof_archive *a, uint64_t length)
{
	uint32_t n;

	if (length <= LARGE) {
		atomic_fetch_add_explicit(&a->small_writes, 1, memory_order_relaxed);
		return false;
	}
	n = atomic_load_explicit(&a->small_writes, memory_order_relaxed);
	return n - atomic_exchange_explicit(&a->small_seen, n, memory_order_relaxed) >= CROWD;
}

/* What is accepted stays: an error after the first frame is a short write. guard: NULL, or of all bytes. */
static int put_bytes(struct cof_archive *a, struct cof_obj *o, uint32_t actor, const void *data,
		     uint64_t length, struct cof_guarded *guard, struct cof_reply *ret)
{
	uint32_t max = cof_log_max_length(a->log);
	const uint8_t *at = data;
	struct cof_applied on = {.o = o};
	bool alone = crowded(a, length);
	struct cof_append done;
	int r = 0;

	if (!max)
		return -EFBIG;
	if (alone)
		max = COF_MIN(max, CROWDED_FRAME);
	while (length && r == 0) {
		uint32_t n = (uint32_t)COF_MIN(length, (uint64_t)max);
		struct cof_draft d = {
		    .type = COF_APPEND,
		    .object = o->node.ino,
		    .position = o->size,
		    .actor = actor,
		    .plain = at,
		    .length = n,
		    .commitment = !o->committed_key,
		    .alone = alone,
		    .guard = at == data ? guard : NULL,
		};

		r = cof_archive_put(a, &d, &on, &done);
		if (r == 0) {
			o->committed_key = true;
			cof_reply_wrote(ret, &done);
			at += n;
			length -= n;
		}
	}
	return at == data ? r : 0;
}

/* A resent write whose beginning is there already: *ret_same bytes of it, when they are equal. */
static int compare_stored(struct cof_archive *a, const struct cof_obj *o, const struct cof_op *op,
			  uint64_t *ret_same)
{
	uint64_t n = COF_MIN(op->length, o->size - op->offset), done = 0;
	uint8_t *buf = malloc(COF_CHUNK);
	int r = buf ? 0 : -ENOMEM;

	while (r == 0 && done < n) {
		size_t step = (size_t)COF_MIN(n - done, (uint64_t)COF_CHUNK);

		r = cof_read_range(a, COF_INDEX_NOW, o->node.ino, op->offset + done, buf, step);
		if (r == 0 && memcmp(buf, (const uint8_t *)op->data + done, step))
			r = -EPERM;
		done += step;
	}
	free(buf);
	if (r == 0)
		*ret_same = n;
	return r;
}

static void judge_again(struct cof_archive *a, struct cof_obj *o, const struct cof_op *op,
			const struct cof_who *who, struct cof_ruling *rl)
{
	struct cof_op plain = *op;

	plain.resent = false;
	(void)cof_judge(a, o, NULL, &plain, who, NULL, rl); /* rl says it */
}

/* What is left to write of it once the part that is there was found equal. */
static int resume(struct cof_archive *a, struct cof_obj *o, const struct cof_op *op,
		  const struct cof_who *who, struct cof_op *ret_rest, struct cof_ruling *rl)
{
	uint64_t same = 0;
	int r = compare_stored(a, o, op, &same);

	if (r == -EPERM) {
		judge_again(a, o, op, who, rl);
		return rl->error ? rl->error : -EPERM;
	}
	if (r < 0)
		return r;
	*ret_rest = *op;
	ret_rest->offset += same;
	ret_rest->length -= same;
	ret_rest->data = (const uint8_t *)op->data + same;
	if (ret_rest->length)
		judge_again(a, o, ret_rest, who, rl);
	else
		rl->effect = COF_EFFECT_NONE;
	return rl->error;
}

/* What it will add is set aside before anything is chained, so that writers of other files in the
 * shelf cannot take it meanwhile. */
static int judge_and_reserve(struct cof_archive *a, struct cof_obj *o, const struct cof_op *op,
			     const struct cof_who *who, struct cof_reply *ret,
			     struct cof_ruling *rl)
{
	uint64_t end = op->kind == COF_OP_TRUNCATE ? op->length : op->offset + op->length;
	int r;

	for (;;) {
		r = cof_judge(a, o, NULL, op, who, ret, rl);
		if (r < 0 || (rl->effect != COF_EFFECT_APPEND && rl->effect != COF_EFFECT_HOLE))
			return r;
		if (cof_shelf_reserve(o->shelf, end - o->size, cof_obj_policy(o)->quota_bytes)) {
			o->reserved = end - o->size;
			return 0;
		}
	}
}

/* A hole of so many bytes, then those of rest, unless the shelf's guard is against them. */
static int put_guarded(struct cof_archive *a, struct cof_obj *o, uint32_t actor, uint64_t hole,
		       const struct cof_op *rest, struct cof_guarded *g, struct cof_reply *ret,
		       struct cof_ruling *rl)
{
	uint64_t n = rest->kind == COF_OP_TRUNCATE ? 0 : rest->length;
	int r = cof_guard_begin(a, o, hole, rest->data, (size_t)n, g);
	bool guarded = g->mode != COF_LEAK_OFF;

	if (r == 0 && hole && guarded) /* which would stay */
		r = cof_guard_judge(g);
	if (r == 0 && hole)
		r = put_hole(a, o, actor, hole, ret);
	if (r == 0 && n)
		r = put_bytes(a, o, actor, rest->data, n, guarded ? g : NULL, ret);
	cof_guard_end(g, o, r, rl);
	return r;
}

static int write_locked(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
			const struct cof_op *op, struct cof_guarded *g, struct cof_reply *ret,
			struct cof_ruling *rl)
{
	struct cof_op rest = *op;
	bool truncate = op->kind == COF_OP_TRUNCATE;
	uint64_t end = truncate ? op->length : op->offset;
	uint32_t actor;
	int r = 0;

	r = judge_and_reserve(a, o, op, who, ret, rl);
	if (r < 0)
		return r;
	if (rl->effect == COF_EFFECT_ECHO) {
		/* As the first time: what it wrote has to be durable when this one has to be. */
		ret->wrote = o->last_sequence != 0;
		ret->sequence = o->last_sequence;
		r = resume(a, o, op, who, &rest, rl);
		end = rest.offset;
	}
	if (r < 0 || rl->effect == COF_EFFECT_NONE)
		return r;
	r = cof_actor_use(a, who, false, &actor);
	if (r == 0)
		r = put_guarded(a, o, actor, rl->effect == COF_EFFECT_HOLE ? end - o->size : 0, &rest, g, ret,
				rl);
	return r;
}

int cof_do_write(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		 struct cof_reply *ret, struct cof_ruling *rl)
{
	struct cof_guarded guard;
	struct cof_obj *o;
	int r = cof_obj_get(a, op->ino, &o);

	if (r < 0)
		return r;
	guard.mode = COF_LEAK_OFF;
	r = write_locked(a, o, who, op, &guard, ret, rl);
	cof_shelf_release(o->shelf, o->reserved);
	o->reserved = 0;
	if (r == 0) {
		cof_reply_fill(a, o, op, ret);
		if (op->kind == COF_OP_WRITE)
			ret->length = COF_MIN(o->size - op->offset, op->length);
	}
	cof_obj_put(a, o);
	cof_guard_tell(a, who, op, &guard);
	return r;
}
