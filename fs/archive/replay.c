/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index follows the log: what it lacks is read back and applied, from where it was fed last or
 * from the beginning. Objects are loaded as they were before each frame, so that a second time
 * changes nothing. A frame that cannot be read is told of and passed over: one damaged place must
 * not hide the rest. But then a file may be longer than is known here, or committed: nothing is
 * added any more.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fs/archive/events.h"

#define FEED_EVERY 32768u
#define ALARMS 16 /* of frames that cannot be used, in one replay */

uint64_t cof_archive_size(void *archive)
{
	struct cof_archive *a = archive;
	uint64_t size = atomic_load(&a->size);

	/* What the index missed must be asked for again, all from where it stands now: what the shelves
	 * hold is not known as of any size in between. */
	if (atomic_load(&a->stale) || cof_shelves_put(a, size) < 0)
		return cof_index_fed(a->ix);
	return size;
}

int cof_archive_feed(struct cof_archive *a)
{
	int r;

	pthread_mutex_lock(&a->feed_lock);
	r = cof_index_feed(a->ix, cof_archive_size, a);
	pthread_mutex_unlock(&a->feed_lock);
	/* Damage met while writing does not go away by trying again: whoever comes next builds it
	 * anew. */
	if (cof_ix(a, r) == -COF_EINDEX)
		cof_stale(a, cof_index_fed(a->ix));
	return r;
}

struct progress {
	struct cof_archive *a;
	uint64_t replayed;
};

static uint64_t progress(void *user)
{
	struct progress *p = user;

	return cof_shelves_put(p->a, p->replayed) < 0 ? cof_index_fed(p->a->ix) : p->replayed;
}

/* ---- one frame ---- */

static bool reads_payload(const struct cof_frame *f)
{
	switch (f->type) {
	case COF_EVENT: /* what people signed */
		return f->public_length > 0;
	case COF_MOUNT:
	case COF_CREATE:
	case COF_SHELF:
	case COF_HOLE:
	case COF_COMMIT:
	case COF_EXTEND:
	case COF_ATTR:
	case COF_REMOVE:
	case COF_DESTROY:
	case COF_RENAME:
	case COF_STAMP:
	case COF_COSIGN:
	case COF_PEOPLE:
	case COF_REQUEST:
	case COF_APPROVAL:
	case COF_POLICY:
	case COF_HOLD:
	case COF_ESCROW:
	case COF_CEREMONY:
	case COF_RECEIPT:
		return true;
	default:
		return false;
	}
}

/* Of what is read: the archive's own, about no inode. */
static bool is_general(unsigned type)
{
	return type == COF_MOUNT || type == COF_STAMP || type == COF_COSIGN || type == COF_PEOPLE || type == COF_REQUEST ||
	       type == COF_APPROVAL || type == COF_POLICY || type == COF_HOLD || type == COF_EVENT ||
	       type == COF_ESCROW || type == COF_CEREMONY || type == COF_RECEIPT;
}

static bool touches_objects(const struct cof_frame *f)
{
	return reads_payload(f) ? !is_general(f->type) : f->type == COF_APPEND;
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
	    new_parent == f->object || cof_field_find(b->data, b->len, COF_T_NEW_NAME, &name) < 0)
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

/* The number of what cannot be read is used up all the same: a removed inode without a name stands
 * for it. */
static int keep_number(struct cof_archive *a, const struct cof_frame *f)
{
	struct cof_node n =
			    {
				.ino = f->object,
				.kind = COF_KIND_FILE,
				.state = COF_STATE_REMOVED,
				.created = f->record_time,
				.mtime = f->record_time,
				.ctime = f->record_time,
				.created_sequence = f->sequence,
				.retain_until = INT64_MIN,
				.asked_until = INT64_MIN,
				.binds_from = INT64_MIN,
				.least_until = INT64_MIN,
				.follow_from = INT64_MIN,
			    },
			there;
	int r;

	if (f->type != COF_CREATE || f->object <= COF_ROOT_INO || f->object >> 48)
		return 0;
	r = cof_index_get_node(a->ix, COF_INDEX_NOW, f->object, &there);
	return r == -ENOENT ? cof_index_put_node(a->ix, f->sequence, &n) : r;
}

/* The log is not what was written. */
static void log_damage(struct cof_archive *a, uint64_t address, const char *fmt, ...)
{
	struct cof_diag what;
	int none = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what.text, sizeof(what.text), fmt, ap);
	va_end(ap);
	if (atomic_compare_exchange_strong(&a->failed, &none, -EUCLEAN))
		cof_fail(
		    &a->damage, 0,
		    "%s/log/%08llx.seg at offset %llu: %.300s; nothing will be written to this "
		    "archive. Run: coffer verify %s",
		    cof_io_where(a->io), (unsigned long long)(address / a->conf.segment_size),
		    (unsigned long long)(address % a->conf.segment_size), what.text,
		    cof_io_where(a->io));
	if (a->passed_over++ < ALARMS)
		cof_fault(a, "log/%08llx.seg at offset %llu: %s. Run coffer verify.",
			  (unsigned long long)(address / a->conf.segment_size),
			  (unsigned long long)(address % a->conf.segment_size), what.text);
}

static int pass_over(struct cof_archive *a, const struct cof_frame *f, uint64_t address, int err)
{
	log_damage(a, address, "the %s frame %llu cannot be used for the index: %s",
		   cof_frame_type_name(f->type), (unsigned long long)f->sequence, strerror(-err));
	return keep_number(a, f);
}

/*
 * Frames of this file are missing. Their place is kept by a stretch that leads to no frame, so that
 * reading it gives an error, and what lies behind it stays where it was.
 */
static int bridge(struct cof_archive *a, struct cof_obj *o, const struct cof_frame *f,
		  uint64_t address)
{
	struct cof_stretch gap = {
	    .position = o->size,
	    .length = f->position - o->size,
	    .address = address - 1,
	    .sequence = f->sequence - 1,
	};
	int r;

	if (f->position > INT64_MAX || !address || !f->sequence)
		return -EUCLEAN;
	log_damage(a, address, "%llu bytes of inode %llu before its offset %llu are missing",
		   (unsigned long long)gap.length, (unsigned long long)f->object,
		   (unsigned long long)f->position);
	r = cof_index_add_stretch(a->ix, o->node.ino, &gap);
	if (r == 0)
		o->size = f->position;
	return r;
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
	else if (touches_objects(f))
		r = cof_obj_get(a, f->object, &on.o);
	if (r == 0 && on.o &&
	    (f->type == COF_APPEND || f->type == COF_HOLE || f->type == COF_COMMIT) &&
	    f->position > on.o->size)
		r = bridge(a, on.o, f, address);
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

static int replay_frame(struct cof_archive *a, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	int r = 0;

	a->load_at = f->sequence;
	if (cof_event_frame(f->type))
		r = cof_ix(a, cof_events_index(a, f, address));
	if (r < 0)
		return r;
	if (reads_payload(f))
		r = cof_frame_read(a->walker, a->ring, a->conf.id, address, f, &public_part,
				   &private_part);
	if (r == 0)
		r = fetch_and_apply(a, f, address, &public_part, &private_part);
	switch (r) {
	case -EBADMSG:
	case -EUCLEAN:
	case -ENOENT:
	case -ENOKEY:
		return pass_over(a, f, address, r);
	case -COF_EINDEX:
		/* What an index that was built from nothing lacks, a mount's salt, the log lacks. */
		if (!a->from_nothing)
			return r;
		atomic_store(&a->damaged, false);
		return pass_over(a, f, address, -ENOKEY);
	default:
		return r;
	}
}

/* ---- the whole tail ---- */

static int find_last(void *user, const char *name)
{
	uint64_t *last = user;
	unsigned number;
	int end = 0;

	if (sscanf(name, "%8x.seg%n", &number, &end) == 1 && end == 12 && !name[12])
		*last = COF_MAX(*last, (uint64_t)number);
	return 0;
}

/* Behind a header that cannot be read nothing is found until a next segment begins. 0: none does. */
static int next_segment(struct cof_archive *a, uint64_t *address, struct cof_frame *f)
{
	uint64_t size = a->conf.segment_size, last = 0;
	int r = cof_io_list(a->io, "log", find_last, &last);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (uint64_t n = *address / size + 1; n <= last; n++) {
		r = cof_reader_header(a->walker, n * size, f, NULL, NULL);
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
			return r; /* nothing is wrong with the log */
		if (r < 0)
			continue;
		*address = n * size;
		return 1;
	}
	return 0;
}

/* Where nobody cut it off, a torn tail is the end and no damage: is this the first frame of one? */
static bool torn(struct cof_archive *a, uint64_t expected, uint64_t at, const struct cof_frame *f,
		 int err)
{
	cof_autobuf struct cof_buf b = {0};

	if (!a->passive || expected < a->covered)
		return false;
	if (err < 0 || f->sequence != expected)
		return err == 0 || err == -EUCLEAN || err == -EOPNOTSUPP || err == -ENODATA;
	err = cof_frame_read(a->walker, NULL, a->conf.id, at, f, &b, NULL);
	return err == -EUCLEAN || err == -EBADMSG;
}

/* Frames of another archive, or of a later place: the segment behind goes on before them. */
static bool alien(struct cof_archive *a, uint64_t expected, uint64_t at, const struct cof_frame *f)
{
	struct cof_frame next;

	return f->sequence > expected && next_segment(a, &at, &next) > 0 &&
	       next.sequence > expected && next.sequence <= f->sequence;
}

/* The next frame that is there: 1. 0: none is, before end. */
static int next_frame(struct cof_archive *a, uint64_t expected, uint64_t end, uint64_t *at,
		      struct cof_frame *ret)
{
	struct cof_diag why = {""};
	uint64_t from = *at;
	int r = cof_reader_header(a->walker, from, ret, NULL, &why), more = 1;

	if (torn(a, expected, from, ret, r))
		return 0;
	if (r == -ENODATA && (expected >= end || !a->log)) {
		/* Without a log open for writing nobody says where it ends. */
		more = expected >= end ? 0 : next_segment(a, at, ret);
		if (more <= 0)
			return more;
	} else if (r == -ENODATA || r == -EUCLEAN || r == -EOPNOTSUPP || r == -EIO) {
		more = next_segment(a, at, ret);
	} else if (r < 0) {
		return r;
	}
	if (more < 0)
		return more;
	if (r < 0)
		log_damage(a, from, "frame %llu cannot be read%s%s", (unsigned long long)expected,
			   why.text[0] ? ": " : "", why.text);
	else if (expected < end && ret->sequence != expected)
		log_damage(a, *at, "frame %llu stands where %llu belongs",
			   (unsigned long long)ret->sequence, (unsigned long long)expected);
	while (more > 0 && alien(a, expected, *at, ret))
		more = next_segment(a, at, ret);
	return more < 0 ? more : more && ret->sequence < end;
}

static int walk(struct cof_archive *a, uint64_t address, uint64_t end, struct progress *p)
{
	uint64_t count = 0, at = address;
	struct cof_frame f;
	int r;

	while ((r = next_frame(a, p->replayed, end, &at, &f)) > 0) {
		if (f.sequence >= p->replayed) { /* else it is a copy of one that was here */
			r = replay_frame(a, &f, at);
			if (r < 0)
				return r;
			p->replayed = f.sequence + 1;
		}
		if (a->passed_over)
			r = cof_incomplete_mark(a);
		if (r >= 0 && ++count % FEED_EVERY == 0)
			r = cof_index_feed(a->ix, progress, p);
		if (r >= 0)
			r = cof_reader_next(a->walker, at, &f, &at);
		if (r < 0)
			return r == -ENODATA || r == -ENOENT ? 0 : r;
	}
	return r;
}

/* A reader for this thread alone, which is given what it goes through out of a window. */
static int begin_walk(struct cof_archive *a)
{
	int r = cof_reader_new(a->io, &a->conf, &a->walker);

	if (r == 0)
		cof_reader_walk(a->walker, true);
	return r;
}

static void end_walk(struct cof_archive *a)
{
	cof_reader_free(a->walker);
	a->walker = NULL;
}

static int replay(struct cof_archive *a)
{
	uint64_t fed = cof_index_fed(a->ix), address = 0;
	uint64_t end = a->log ? atomic_load(&a->size) : UINT64_MAX;
	struct progress p = {a, fed};
	struct cof_diag diag;
	int r = cof_ix(a, cof_events_begin(a, fed));

	if (r < 0)
		return r;
	a->events_known = true;
	if (fed < end)
		r = fed ? cof_reader_find(a->walker, fed, &address, &diag) : 0;
	if (fed >= end || (r == -ENOENT && !a->log))
		return 0;
	if (r < 0) /* a damaged log: what the index has is what there is */
		return !a->log ? 0 : r == -ENOENT ? -EUCLEAN : r;
	cof_obj_clear(a);
	a->passed_over = 0;
	a->from_nothing = !fed;
	cof_index_bulk(a->ix, true);
	r = walk(a, address, end, &p);
	cof_index_bulk(a->ix, false);
	a->load_at = COF_INDEX_NOW;
	if (r == 0 && a->passed_over)
		r = cof_incomplete_mark(a);
	if (a->passed_over > ALARMS)
		cof_alarm(a, "%llu frames in all cannot be used for the index.",
			  (unsigned long long)a->passed_over);
	if (r == 0)
		r = cof_index_feed(a->ix, progress, &p);
	cof_obj_clear(a);
	if (r == 0 && atomic_load(&a->size) < p.replayed)
		atomic_store(&a->size, p.replayed);
	if (atomic_load(&a->next_ino) <= cof_index_last_ino(a->ix))
		atomic_store(&a->next_ino, cof_index_last_ino(a->ix) + 1);
	return r;
}

int cof_replay(struct cof_archive *a)
{
	int r = begin_walk(a);

	if (r == 0)
		r = replay(a);
	end_walk(a);
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

/* All headers are where they belong. If not, a frame that is another one than the index says is the
 * log's fault, and the index knows what should be there: it stays. */
static int look_through(struct cof_archive *a)
{
	uint64_t end = a->log ? atomic_load(&a->size) : cof_index_fed(a->ix), at = 0, n = 0;
	struct cof_frame f;
	int r;

	a->passed_over = 0;
	while ((r = next_frame(a, n, end, &at, &f)) > 0 && !a->passed_over) {
		n++;
		r = cof_reader_next(a->walker, at, &f, &at);
		if (r < 0)
			break;
	}
	return r < 0 ? r : a->passed_over || n < end ? -EIO : 0;
}

static int look_over(struct cof_archive *a)
{
	int r = begin_walk(a);

	if (r == 0)
		r = look_through(a);
	end_walk(a);
	return r;
}

static int rebuild(struct cof_archive *a, bool damaged)
{
	int r = -EUCLEAN;

	if (!damaged)
		r = cof_replay(a); /* it only missed something */
	if (r < 0) {
		r = look_over(a);
		if (r < 0)
			return r;
		cof_obj_clear(a);
		atomic_store(&a->incomplete, false);
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
	bool wanted, again;
	int r = 0;

	pthread_rwlock_wrlock(&a->gate);
	damaged = atomic_load(&a->damaged);
	stale = atomic_load(&a->stale);
	/* Another thread may have done it just now; and a place that stays wrong must not have the
	 * index built again and again: never, when it is the log that is damaged. */
	again = !a->repaired_at || (!a->log_damaged && now - a->repaired_at > 10 * COF_NSEC);
	cof_chunks_clear(a->chunks);
	cof_places_clear(a->places); /* one of them may be what is wrong */
	wanted = (stale && !a->repair_failed) || ((stale || damaged) && again);
	if (wanted) {
		r = rebuild(a, damaged);
		if (r == 0) {
			atomic_store(&a->stale, false);
			atomic_store(&a->stale_from, UINT64_MAX);
			atomic_store(&a->damaged, false);
			atomic_fetch_add(&a->rebuilds, 1);
		}
		a->repair_failed = r;
		if (damaged || r < 0)
			a->log_damaged = a->passed_over > 0;
		a->repaired_at = cof_now(CLOCK_BOOTTIME);
	} else {
		r = a->repair_failed;
	}
	pthread_rwlock_unlock(&a->gate);
	if (wanted && damaged && r == 0)
		cof_alarm(a, "The index was damaged and has been rebuilt from the log.");
	else if (wanted && r < 0)
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
