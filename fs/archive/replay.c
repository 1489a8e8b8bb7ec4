/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index follows the log: what it lacks is read back and applied, from where it was fed last or from the
 * beginning. Objects are loaded as they were before each frame, so that a second time changes nothing.
 * A frame that cannot be read is told of and passed over: one damaged place must not hide the rest.
 */
#include "fs/archive/internal.h"

#define FEED_EVERY 32768u
#define ALARMS 16 /* of frames that cannot be used, in one replay */

uint64_t cof_archive_size(void *archive)
{
	struct cof_archive *a = archive;
	uint64_t size = atomic_load(&a->size);

	/* What the index missed must be asked for again. */
	return atomic_load(&a->stale) ? COF_MIN(size, (uint64_t)atomic_load(&a->stale_from)) : size;
}

int cof_archive_feed(struct cof_archive *a)
{
	int r;

	pthread_mutex_lock(&a->feed_lock);
	r = cof_index_feed(a->ix, cof_archive_size, a);
	pthread_mutex_unlock(&a->feed_lock);
	/* Damage met while writing does not go away by trying again: whoever comes next builds it anew. */
	if (cof_ix(a, r) == -COF_EINDEX)
		cof_stale(a, cof_index_fed(a->ix));
	return r;
}

static uint64_t progress(void *user)
{
	return *(uint64_t *)user;
}

/* ---- one frame ---- */

static bool reads_payload(unsigned type)
{
	switch (type) {
	case COF_MOUNT:
	case COF_CREATE:
	case COF_SHELF:
	case COF_HOLE:
	case COF_COMMIT:
	case COF_ATTR:
	case COF_REMOVE:
	case COF_RENAME:
		return true;
	default:
		return false;
	}
}

static bool touches_objects(unsigned type)
{
	return reads_payload(type) ? type != COF_MOUNT : type == COF_APPEND;
}

/* The directories and the replaced object that a frame's fields name. */
static int fetch_others(struct cof_archive *a, const struct cof_frame *f, const struct cof_buf *b,
			struct cof_applied *on)
{
	struct cof_field name;
	uint64_t parent = 0, new_parent = 0, target;
	int r = 0;

	if (f->type != COF_CREATE && f->type != COF_REMOVE && f->type != COF_RENAME)
		return 0;
	if (cof_field_u64(b->data, b->len, COF_T_PARENT, &parent) < 0 || parent == f->object)
		return -EUCLEAN;
	r = cof_obj_get(a, parent, &on->dir);
	if (r < 0 || f->type != COF_RENAME)
		return r;
	if (cof_field_u64(b->data, b->len, COF_T_NEW_PARENT, &new_parent) < 0 ||
	    new_parent == f->object ||
	    cof_field_find(b->data, b->len, COF_T_NEW_NAME, &name) < 0)
		return -EUCLEAN;
	if (new_parent == parent)
		on->new_dir = on->dir;
	else
		r = cof_obj_get(a, new_parent, &on->new_dir);
	if (r < 0)
		return r;
	r = cof_ix(a, cof_index_lookup(a->ix, a->load_at, new_parent, (const char *)name.value,
				       name.len, &target));
	if (r == -ENOENT)
		return 0;
	if (r == 0 && (target == f->object || target == parent || target == new_parent))
		return -EUCLEAN;
	return r < 0 ? r : cof_obj_get(a, target, &on->target);
}

static int fetch_and_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address,
			   const struct cof_buf *public_part, const struct cof_buf *private_part)
{
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	struct cof_applied on = {0};
	int r = 0;

	if (skip > public_part->len)
		skip = public_part->len;
	if (f->type == COF_CREATE)
		r = cof_obj_new(a, f->object, &on.o);
	else if (touches_objects(f->type))
		r = cof_obj_get(a, f->object, &on.o);
	if (r == 0)
		r = fetch_others(a, f, private_part, &on);
	if (r == 0)
		r = cof_apply(a, f, address, public_part->data + skip, public_part->len - skip,
			      private_part->data, private_part->len, &on);
	cof_obj_put(a, on.target);
	if (on.new_dir != on.dir)
		cof_obj_put(a, on.new_dir);
	cof_obj_put(a, on.dir);
	cof_obj_put(a, on.o);
	return r;
}

/* The number of what cannot be read is used up all the same: a removed inode without a name stands for it. */
static int keep_number(struct cof_archive *a, const struct cof_frame *f)
{
	struct cof_node n = {
	    .ino = f->object,
	    .kind = COF_KIND_FILE,
	    .state = COF_STATE_REMOVED,
	    .created = f->record_time,
	    .mtime = f->record_time,
	    .ctime = f->record_time,
	    .created_sequence = f->sequence,
	    .retain_until = INT64_MIN,
	}, there;
	int r;

	if (f->type != COF_CREATE || f->object <= COF_ROOT_INO || f->object >> 48)
		return 0;
	r = cof_index_get_node(a->ix, COF_INDEX_NOW, f->object, &there);
	return r == -ENOENT ? cof_index_put_node(a->ix, f->sequence, &n) : r;
}

static int pass_over(struct cof_archive *a, const struct cof_frame *f, uint64_t address, int err)
{
	if (a->passed_over++ < ALARMS)
		cof_alarm(a,
			  "The %s frame %llu (segment %08llx, offset %llu) cannot be used for the index: "
			  "%s. Run coffer verify.",
			  cof_frame_type_name(f->type), (unsigned long long)f->sequence,
			  (unsigned long long)(address / a->conf.segment_size),
			  (unsigned long long)(address % a->conf.segment_size), strerror(-err));
	return keep_number(a, f);
}

static int replay_frame(struct cof_archive *a, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	int r = 0;

	a->load_at = f->sequence;
	if (reads_payload(f->type))
		r = cof_frame_read(a->reader, a->ring, a->conf.id, address, f, &public_part,
				   &private_part);
	if (r == 0)
		r = fetch_and_apply(a, f, address, &public_part, &private_part);
	switch (r) {
	case -EBADMSG:
	case -EUCLEAN:
	case -ENOENT:
	case -ENOKEY:
		return pass_over(a, f, address, r);
	default:
		return r;
	}
}

/* ---- the whole tail ---- */

/* Behind a header that cannot be read nothing is found until the next segment begins. */
static int next_segment(struct cof_archive *a, uint64_t *address, struct cof_frame *f)
{
	uint64_t size = a->conf.segment_size, at = (*address / size + 1) * size;
	int r = cof_reader_header(a->reader, at, f, NULL, NULL);

	if (r < 0)
		return r;
	*address = at;
	return 0;
}

static int walk(struct cof_archive *a, uint64_t address, uint64_t end, uint64_t *replayed)
{
	struct cof_diag diag = {0};
	struct cof_frame f;
	uint64_t count = 0, at = address, next;
	int r;

	for (;;) {
		r = cof_reader_header(a->reader, at, &f, NULL, &diag);
		if (r == -ENODATA)
			return 0;
		if (r < 0) {
			cof_alarm(a, "A part of the log cannot be read: %s. Run coffer verify.",
				  diag.text);
			if (next_segment(a, &at, &f) < 0)
				return 0;
		}
		if (f.sequence >= end)
			return 0;
		r = replay_frame(a, &f, at);
		if (r < 0)
			return r;
		*replayed = f.sequence + 1;
		if (++count % FEED_EVERY == 0 &&
		    (r = cof_index_feed(a->ix, progress, replayed)) < 0)
			return r;
		r = cof_reader_next(a->reader, at, &f, &next);
		if (r < 0)
			return r == -ENODATA || r == -ENOENT ? 0 : r;
		at = next;
	}
}

int cof_replay(struct cof_archive *a)
{
	uint64_t fed = cof_index_fed(a->ix), address = 0;
	uint64_t end = a->log ? atomic_load(&a->size) : UINT64_MAX;
	uint64_t replayed = fed;
	struct cof_diag diag;
	int r = 0;

	if (fed < end)
		r = fed ? cof_reader_find(a->reader, fed, &address, &diag) : 0;
	if (fed >= end || r == -ENOENT)
		return 0;
	if (r < 0)
		return a->log ? r : 0; /* a damaged log: what the index has is what there is */
	cof_obj_clear(a);
	a->passed_over = 0;
	cof_index_bulk(a->ix, true);
	r = walk(a, address, end, &replayed);
	cof_index_bulk(a->ix, false);
	a->load_at = COF_INDEX_NOW;
	if (a->passed_over > ALARMS)
		cof_alarm(a, "%llu frames in all cannot be used for the index.",
			  (unsigned long long)a->passed_over);
	cof_obj_clear(a);
	if (r == 0)
		r = cof_index_feed(a->ix, progress, &replayed);
	if (r == 0 && atomic_load(&a->size) < replayed)
		atomic_store(&a->size, replayed);
	if (atomic_load(&a->next_ino) <= cof_index_last_ino(a->ix))
		atomic_store(&a->next_ino, cof_index_last_ino(a->ix) + 1);
	return r;
}

/* ---- repair while running ---- */

int cof_ix(struct cof_archive *a, int err)
{
	if (err != -EBADMSG && err != -EUCLEAN)
		return err;
	atomic_store(&a->damaged, true);
	return -COF_EINDEX;
}

void cof_stale(struct cof_archive *a, uint64_t sequence)
{
	uint_fast64_t from = atomic_load(&a->stale_from);

	while (sequence < from && !atomic_compare_exchange_weak(&a->stale_from, &from, sequence))
		;
	atomic_store(&a->stale, true);
}

static int rebuild(struct cof_archive *a, bool damaged)
{
	int r = -EUCLEAN;

	if (!damaged)
		r = cof_replay(a); /* it only missed something */
	if (r < 0) {
		cof_obj_clear(a);
		r = cof_index_reset(a->ix);
		if (r == 0)
			r = cof_replay(a);
	}
	a->load_at = COF_INDEX_NOW;
	return r;
}

int cof_archive_repair(struct cof_archive *a)
{
	int64_t now = cof_now(CLOCK_BOOTTIME);
	bool damaged, stale;
	int r = 0;

	pthread_rwlock_wrlock(&a->gate);
	damaged = atomic_load(&a->damaged);
	stale = atomic_load(&a->stale);
	/* Another thread may have done it just now; and a place that stays wrong must not have the index
	 * built again and again. */
	if (stale || (damaged && (!a->repaired_at || now - a->repaired_at > 10 * COF_NSEC))) {
		r = rebuild(a, damaged);
		if (r == 0) {
			atomic_store(&a->stale, false);
			atomic_store(&a->stale_from, UINT64_MAX);
			atomic_store(&a->damaged, false);
			atomic_fetch_add(&a->rebuilds, 1);
		}
		a->repaired_at = cof_now(CLOCK_BOOTTIME);
	}
	pthread_rwlock_unlock(&a->gate);
	if (damaged && r == 0)
		cof_alarm(a, "The index was damaged and has been rebuilt from the log.");
	else if (r < 0)
		cof_alarm(a, "The index cannot be rebuilt: %s.", strerror(-r));
	return r;
}

void cof_gate_enter(struct cof_archive *a)
{
	pthread_rwlock_rdlock(&a->gate);
	if (!atomic_load_explicit(&a->stale, memory_order_relaxed))
		return;
	pthread_rwlock_unlock(&a->gate);
	/* When it fails, each call says so for itself, on what it finds. */
	(void)cof_archive_repair(a);
	pthread_rwlock_rdlock(&a->gate);
}

void cof_gate_leave(struct cof_archive *a)
{
	pthread_rwlock_unlock(&a->gate);
}
