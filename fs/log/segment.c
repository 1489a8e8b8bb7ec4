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

#define AGAIN_NS (COF_NSEC / 5) /* between attempts to allocate on a full disk */

void cof_segment_path(uint32_t number, char out[32])
{
	snprintf(out, 32, "log/%08x.seg", number);
}

static int wrap(struct cof_file *f, uint32_t number, struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (!s) {
		cof_io_close(f);
		return -ENOMEM;
	}
	s->file = f;
	s->number = number;
	*ret = s;
	return 0;
}

/* Allocated, durable, and with a name that lasts. */
int cof_segment_new(struct cof_log *log, uint32_t number, struct segment **ret)
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
		r = cof_io_sync(f);
	if (!r)
		r = cof_io_sync_dir(log->p.io, "log");
	if (r < 0) {
		cof_io_close(f);
		(void)cof_io_unlink(log->p.io, path); /* an empty leftover is found by recovery */
		return r;
	}
	cof_io_map(f);
	return wrap(f, number, ret);
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
	return wrap(f, number, ret);
}

void cof_segment_free(struct segment *s)
{
	if (!s)
		return;
	cof_io_close(s->file);
	free(s);
}

static void roll(struct cof_log *log)
{
	struct segment *s = log->current;

	s->end = log->size;
	s->next = NULL;
	*log->closing_tail = s;
	log->closing_tail = &s->next;
	log->current = log->prepared_next;
	log->current->first = log->size;
	log->prepared_next = NULL;
	pthread_cond_signal(&log->keeper_wake);
}

/* Makes the next segment with the chain lock dropped; others that need one wait on `prepared`. */
static int make_next(struct cof_log *log)
{
	uint32_t n = log->current->number + 1;
	struct segment *s = NULL;
	int r;

	log->preparing = true;
	pthread_mutex_unlock(&log->chain);
	r = cof_segment_new(log, n, &s);
	/* Full segments hold a descriptor each until they are synced. */
	if ((r == -EMFILE || r == -ENFILE) && !cof_log_sync(log, atomic_load(&log->written) - 1))
		r = cof_segment_new(log, n, &s);
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

void cof_segment_prepare(struct cof_log *log)
{
	pthread_mutex_lock(&log->chain);
	if (!atomic_load(&log->failed) && !log->prepared_next && !log->preparing &&
	    (log->out_of_space || log->current->used > log->conf.segment_size / 2))
		(void)make_next(log); /* its failure shows as out_of_space, or to who needs it */
	pthread_mutex_unlock(&log->chain);
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
