/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments: making, opening, rolling over, and the space that is kept back.
 *
 * A segment is allocated whole before its first frame, so a frame that was numbered has its space.
 * The next one is made ahead of time. While there is none (a full disk), the last `reserve` bytes
 * of the current one are for system frames only: refusals, alarms, checkpoints, unmount.
 */
#include <stdio.h>

#include "fs/log/internal.h"

/* Bytes that go to the disk at a time while a stream is written: a sync, the next checkpoint's at the latest,
 * then finds little left, and the kernel does not come to throttle the writer. */
#define PUSH ((uint64_t)8 << 20)

#define KEEP ((uint64_t)256 << 20) /* bytes of a stream that stay in the page cache behind it */
#define ZERO ((uint64_t)1 << 20) /* bytes of zeros written ahead at a time */
#define STREAM_NS (2 * COF_NSEC) /* a segment that is full sooner belongs to a stream */
#define AGAIN_NS (COF_NSEC / 5) /* between attempts to allocate on a full disk */

void cof_segment_path(uint32_t number, char out[32])
{
	snprintf(out, 32, "log/%08x.seg", number);
}

/* f is the segment's once this succeeds. */
static int wrap(struct cof_log *log, struct cof_file *f, const char *path, uint32_t number,
		struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->file = s->sync[0] = f;
	for (unsigned i = 1; i < COF_SYNCS; i++) /* to read: it takes none of the last descriptors */
		if (cof_io_open(log->p.io, path, COF_IO_RDONLY, &s->sync[i]) < 0)
			break;
	s->number = number;
	atomic_init(&s->refs, 1);
	*ret = s;
	return 0;
}

/* Allocated whole; not durable yet, and nor is its name. */
static int make(struct cof_log *log, uint32_t number, struct segment **ret)
{
	struct cof_file *f;
	char path[32];
	int r;

	cof_segment_path(number, path);
	r = cof_io_create(log->p.io, path, &f);
	if (r < 0)
		return r;
	r = cof_io_allocate(f, 0, log->conf.segment_size);
	if (!r)
		r = wrap(log, f, path, number, ret);
	if (r < 0) {
		cof_io_close(f);
		(void)cof_io_unlink(log->p.io, path); /* an empty leftover is found by recovery */
		return r;
	}
	cof_io_map(f);
	return 0;
}

int cof_segment_settle(struct cof_log *log, struct segment *s)
{
	int r = atomic_load(&s->settled) ? 0 : cof_io_sync_dir(log->p.io, "log");

	if (!r)
		atomic_store(&s->settled, true);
	return r;
}

int cof_segment_new(struct cof_log *log, uint32_t number, struct segment **ret)
{
	struct segment *s = NULL;
	char path[32];
	int r = make(log, number, &s);

	if (r < 0 || !s)
		return r;
	r = cof_io_sync(s->file);
	if (!r)
		r = cof_segment_settle(log, s);
	if (!r) {
		*ret = s;
		return 0;
	}
	cof_segment_free(s);
	cof_segment_path(number, path);
	(void)cof_io_unlink(log->p.io, path);
	return r;
}

/*
 * Ahead of who makes its first frames durable, so that they need not wait for it. Through a descriptor of its own: an error is
 * told to each descriptor once, and one that is told here would be missing where frames wait. So an error is nobody's yet.
 */
static void settle_ahead(struct cof_log *log, struct segment *s)
{
	struct cof_file *f;
	char path[32];

	cof_segment_path(s->number, path);
	if (cof_io_open(log->p.io, path, COF_IO_RDONLY, &f) < 0)
		return;
	if (cof_io_sync(f) == 0)
		(void)cof_segment_settle(log, s);
	cof_io_close(f);
}

int cof_segment_open(struct cof_log *log, uint32_t number, struct segment **ret)
{
	struct cof_file *f;
	char path[32];
	int r;

	cof_segment_path(number, path);
	r = cof_io_open(log->p.io, path, COF_IO_RDWR, &f);
	if (r < 0)
		return r;
	r = wrap(log, f, path, number, ret);
	if (r < 0)
		cof_io_close(f);
	return r;
}

void cof_segment_free(struct segment *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < COF_SYNCS; i++)
		cof_io_close(s->sync[i]);
	free(s);
}

void cof_segment_due(struct cof_log *log)
{
	struct segment *s = log->current;
	struct push *p = &log->push;
	uint64_t n = (s->used & ~(uint64_t)4095) - s->pushed;

	if (s->used - s->pushed < PUSH || !log->has_pusher || (p->segment && p->segment != s))
		return;
	if (!p->segment) {
		*p = (struct push){.segment = s, .off = s->pushed};
		atomic_fetch_add(&s->refs, 1);
		pthread_cond_signal(&log->push_wake);
	}
	p->n += n;
	s->pushed += n;
}

/* A thread of its own: where the disk has much to write already, the kernel lets whoever begins more of it wait. */
void *cof_log_pusher(void *arg)
{
	struct cof_log *log = arg;

	pthread_mutex_lock(&log->chain);
	while (!log->keeper_stop) {
		struct push p = log->push;

		if (!p.segment) {
			pthread_cond_wait(&log->push_wake, &log->chain);
			continue;
		}
		log->push = (struct push){.segment = NULL};
		pthread_mutex_unlock(&log->chain);
		cof_io_push(p.segment->file, p.off, p.n);
		cof_segment_free(p.segment);
		pthread_mutex_lock(&log->chain);
	}
	pthread_mutex_unlock(&log->chain);
	return NULL;
}

void cof_segment_forget(struct cof_log *log, uint32_t full)
{
	uint64_t behind = KEEP / log->conf.segment_size + 1;
	struct cof_file *f;
	char path[32];

	if (full < behind)
		return;
	cof_segment_path(full - (uint32_t)behind, path);
	if (cof_io_open(log->p.io, path, COF_IO_RDONLY, &f) < 0)
		return; /* it only takes memory that the kernel can have back */
	cof_io_forget(f, 0, 0);
	cof_io_close(f);
}

/*
 * A sync of space that was allocated but never written has to change the file's extents too, under a journal a
 * commit of its own. While syncs are small, that is done for a stretch at a time. A frame that is numbered lies
 * beyond `used` at the earliest and is written by a later batch, so nothing is ever overwritten by zeros.
 *
 * A page at a time: the kernel keeps what one call wrote in pieces as large as the call, a store through the mapping
 * makes all of a piece dirty, and each sync then writes it whole (350 KiB for one line, measured).
 */
int cof_segment_zero(struct segment *s, uint64_t used, uint64_t size)
{
	static const uint8_t zeros[4096];
	uint64_t zeroed = atomic_load(&s->zeroed), at = COF_MAX(zeroed, used), to;

	if (zeroed >= COF_MIN(used + ZERO / 4, size))
		return 0;
	to = COF_MIN((at + ZERO) & ~(uint64_t)(sizeof(zeros) - 1), size);
	while (at < to) {
		uint64_t n = COF_MIN(sizeof(zeros) - at % sizeof(zeros), to - at);
		int r = cof_io_write(s->file, zeros, (size_t)n, at);

		if (r < 0)
			return r;
		at += n;
	}
	atomic_store(&s->zeroed, to);
	return 0;
}

static void roll(struct cof_log *log)
{
	struct segment *s = log->current;
	int64_t now = cof_log_boottime();

	s->end = log->size;
	s->next = NULL;
	*log->closing_tail = s;
	log->closing_tail = &s->next;
	log->current = log->prepared_next;
	log->current->first = log->size;
	log->prepared_next = NULL;
	log->streaming = now - log->rolled_at < STREAM_NS;
	log->rolled_at = now;
	log->asked = log->streaming;
	if (log->streaming)
		pthread_cond_signal(&log->prepare_wake);
}

/* Makes the next segment with the chain lock dropped; others that need one wait on `prepared`. */
static int make_next(struct cof_log *log)
{
	uint32_t n = log->current->number + 1;
	struct segment *s = NULL;
	int r;

	log->preparing = true;
	pthread_mutex_unlock(&log->chain);
	r = make(log, n, &s);
	/* Full segments hold a descriptor each until they are synced. */
	if ((r == -EMFILE || r == -ENFILE) && !cof_log_sync(log, atomic_load(&log->written) - 1))
		r = make(log, n, &s);
	pthread_mutex_lock(&log->chain);
	log->preparing = false;
	log->out_of_space = r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
	if (log->out_of_space) {
		log->prepare_again = cof_log_boottime() + AGAIN_NS;
		r = -ENOSPC;
	}
	if (!r)
		log->prepared_next = s;
	pthread_cond_broadcast(&log->prepared);
	return r;
}

int cof_segment_place(struct cof_log *log, uint64_t need, bool system)
{
	struct segment *s = log->current;
	uint64_t size = log->conf.segment_size;
	uint64_t limit = size - (system || log->prepared_next ? 0 : log->reserve);
	int r;

	if (!log->asked && s->used + need > size / 2) {
		log->asked = true;
		pthread_cond_signal(&log->prepare_wake);
	}
	if (s->used + need <= limit)
		return 0;
	if (log->prepared_next) {
		roll(log);
		return 0;
	}
	if (log->preparing) {
		pthread_cond_wait(&log->prepared, &log->chain);
		return -EAGAIN;
	}
	if (log->out_of_space && cof_log_boottime() < log->prepare_again)
		return -ENOSPC;
	r = make_next(log);
	return r < 0 ? r : -EAGAIN;
}

/* chain is held. */
static bool should_prepare(const struct cof_log *log)
{
	return !atomic_load(&log->failed) && !log->prepared_next && !log->preparing &&
	       (log->out_of_space || log->streaming || log->current->used > log->conf.segment_size / 2);
}

/* The one that was made last, with the chain lock dropped. It may be in use meanwhile. */
static void settle_next(struct cof_log *log)
{
	struct segment *s = log->prepared_next;

	if (!s || atomic_load(&s->settled))
		return;
	atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&log->chain);
	settle_ahead(log, s);
	cof_segment_free(s);
	pthread_mutex_lock(&log->chain);
}

/*
 * A thread of its own: a segment is settled by two syncs, which behind a stream wait for what the disk has to write
 * already, and a writer that finds no segment stands still. So it is there before they are done.
 */
void *cof_log_preparer(void *arg)
{
	struct cof_log *log = arg;
	struct timespec ts;
	int64_t until;

	pthread_mutex_lock(&log->chain);
	while (!log->keeper_stop) {
		bool made = should_prepare(log) && make_next(log) == 0;

		if (made && !log->streaming) /* behind a stream whoever syncs its frames does it along with them */
			settle_next(log);
		if (made || log->keeper_stop)
			continue; /* a failure shows as out_of_space, or to who needs the segment */
		until = cof_log_boottime() + (log->out_of_space ? AGAIN_NS : COF_NSEC);
		ts = (struct timespec){.tv_sec = until / COF_NSEC, .tv_nsec = until % COF_NSEC};
		pthread_cond_timedwait(&log->prepare_wake, &log->chain, &ts);
	}
	pthread_mutex_unlock(&log->chain);
	return NULL;
}

bool cof_reserve_give_up(struct cof_log *log)
{
	if (cof_io_unlink(log->p.io, "reserve") < 0)
		return false;
	log->reserve_given_up = true;
	return true;
}

/* Back once there is room again; derived, so an error only means that it is tried again. */
void cof_reserve_renew(struct cof_log *log)
{
	uint64_t room, total;
	struct cof_file *f;

	if (!log->reserve_given_up || cof_io_space(log->p.io, &room, &total) < 0 ||
	    room < 2 * log->conf.segment_size + (8u << 20))
		return;
	if (cof_io_create(log->p.io, "reserve", &f) < 0)
		return;
	log->reserve_given_up = cof_io_allocate(f, 0, 1u << 20) < 0;
	cof_io_close(f);
	if (log->reserve_given_up)
		(void)cof_io_unlink(log->p.io, "reserve"); /* or the next attempt finds it */
}
