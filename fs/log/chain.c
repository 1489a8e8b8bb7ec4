/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain: numbering, linking and tagging a frame, and the leader's role in writing.
 *
 * An appender that finds no leader becomes it and writes everything that is queued, its own frame
 * included, at once (a hand-over to another thread costs more than the write). While it writes,
 * others number their frames and queue them; the leader serves one such batch and then hands the
 * role to the first of those who wait.
 */
#include <stddef.h>

#include "fs/log/internal.h"

#define BATCH_FRAMES 256

enum told { NOTHING, SLEEPS, TOLD };

/* Everything a header needs that is known only now. chain is held. */
static void number(struct cof_log *log, struct cof_append *a, struct pending *p)
{
	struct cof_frame *f = &a->frame;
	int64_t record, retention;

	log->p.times.now(log->p.times.user, &record, &retention);
	if (retention < log->last_retention)
		retention = log->last_retention;
	log->last_retention = retention;
	f->version = 1;
	f->sequence = log->size;
	f->mount = log->mount;
	f->record_time = record;
	f->retention_time = retention;
	memset(f->seal_tag, 0, sizeof(f->seal_tag));
	cof_frame_encode(f, p->header);
	cof_seal_tag(LOG_SEAL(log), p->header, log->previous, f->seal_tag);
	cof_frame_encode(f, p->header);
	cof_frame_leaf(p->header, log->previous, log->previous);
	memcpy(log->ring[log->size % COF_LEAF_RING], log->previous, COF_HASH);

	p->segment = log->current;
	p->offset = log->current->used;
	p->sequence = log->size;
	p->stored = a->stored;
	p->stored_len = f->stored;
	log->current->used += COF_FRAME_HEADER + f->stored;
	log->size++;
	a->ret_sequence = p->sequence;
	a->ret_address = (uint64_t)p->segment->number * log->conf.segment_size + p->offset;
	a->ret_record_time = record;
	a->ret_retention_time = retention;
	if (cof_frame_significant(f)) {
		log->last_significant = log->size;
		if (!log->uncovered_since) {
			log->uncovered_since = cof_log_boottime();
			pthread_cond_signal(&log->keeper_wake);
		}
	} else if (a->ret_seal_key) {
		memcpy(a->ret_seal_key, LOG_SEAL(log), COF_KEY);
	}
}

static int write_run(struct pending *first, struct pending *end)
{
	struct iovec iov[2 * BATCH_FRAMES];
	int n = 0;

	for (struct pending *p = first; p != end; p = p->next) {
		iov[n++] = (struct iovec){p->header, COF_FRAME_HEADER};
		if (p->stored_len)
			iov[n++] = (struct iovec){(void *)p->stored, p->stored_len};
	}
	return cof_io_writev(first->segment->file, iov, n, first->offset);
}

/* Writes a list of frames that follow each other; a run ends where the segment changes. */
static int write_batch(struct pending *list)
{
	while (list) {
		struct pending *end = list;
		int n = 0, r;

		while (end && end->segment == list->segment && n < BATCH_FRAMES) {
			end = end->next;
			n++;
		}
		r = write_run(list, end);
		if (r < 0)
			return r;
		list = end;
	}
	return 0;
}

/* p may be gone as soon as it was told. */
static void tell(struct pending *p)
{
	if (atomic_exchange_explicit(&p->told, TOLD, memory_order_acq_rel) == SLEEPS)
		sem_post(&p->wake);
}

static void breathe(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* Until it was told. With one processor there is nobody to turn for. */
static void await_word(const struct cof_log *log, struct pending *p)
{
	int seen = NOTHING;

	for (unsigned i = 0; i < log->turns; i++) {
		if (atomic_load_explicit(&p->told, memory_order_acquire) == TOLD)
			return;
		breathe();
	}
	sem_init(&p->wake, 0, 0);
	if (atomic_compare_exchange_strong(&p->told, &seen, SLEEPS))
		while (sem_wait(&p->wake) < 0)
			;
	sem_destroy(&p->wake);
}

/* Answers a batch. own is the caller's, not told. */
static void answer(struct pending *list, const struct pending *own, int err)
{
	while (list) {
		struct pending *p = list;

		list = p->next;
		p->err = err;
		if (p != own)
			tell(p);
	}
}

/* The leader's role. chain is held on entry and on return; own is in the queue. */
static void lead(struct cof_log *log, struct pending *own)
{
	int err = 0;

	for (int round = 0; log->queue && round < 2; round++) {
		struct pending *list = log->queue, *last;
		struct segment *ahead = NULL;
		uint64_t end = log->size, used = log->current->used;

		last = (void *)((char *)log->queue_tail - offsetof(struct pending, next));
		if (atomic_load(&log->ahead) && last->segment == log->current)
			ahead = log->current; /* stays until last is written */

		log->queue = NULL;
		log->queue_tail = &log->queue;
		pthread_mutex_unlock(&log->chain);
		if (!err && !atomic_load(&log->failed))
			err = write_batch(list);
		if (!err && ahead && !atomic_load(&log->failed))
			err = cof_segment_zero(ahead, used, log->conf.segment_size);
		if (err)
			cof_log_fail(log, err, "writing the log");
		else if (!atomic_load(&log->failed))
			atomic_store(&log->written, end);
		answer(list, own, atomic_load(&log->failed) ? -EIO : 0);
		pthread_mutex_lock(&log->chain);
	}
	if (log->queue) { /* those who came during the last round go on by themselves */
		log->queue->lead = true;
		tell(log->queue);
	} else {
		log->leading = false;
	}
}

static void enqueue(struct cof_log *log, struct pending *p)
{
	p->next = NULL;
	*log->queue_tail = p;
	log->queue_tail = &p->next;
}

/* Brings a numbered frame to the kernel. chain is held on entry, not on return. */
static int write_out(struct cof_log *log, struct pending *p)
{
	bool wait = log->leading;

	p->lead = false;
	atomic_init(&p->told, NOTHING);
	enqueue(log, p);
	if (!wait) {
		log->leading = true;
		lead(log, p);
		cof_segment_due(log);
		pthread_mutex_unlock(&log->chain);
		return p->err;
	}
	pthread_mutex_unlock(&log->chain);
	await_word(log, p);
	if (p->lead) {
		pthread_mutex_lock(&log->chain);
		lead(log, p);
		cof_segment_due(log);
		pthread_mutex_unlock(&log->chain);
	}
	return p->err;
}

static int check(struct cof_log *log, const struct cof_append *a)
{
	const struct cof_frame *f = &a->frame;

	if (!f->type || f->length > COF_FRAME_LENGTH_MAX ||
	    f->public_length > COF_FRAME_LENGTH_MAX ||
	    f->stored != f->public_length + f->length + COF_TAG * cof_frame_chunks(f->length))
		return -EINVAL;
	if (f->length && f->mount != log->mount) /* sealed for another mount's salt */
		return -EINVAL;
	if ((uint64_t)COF_FRAME_HEADER + f->stored > log->conf.segment_size - log->reserve)
		return -EMSGSIZE;
	return 0;
}

int cof_log_append(struct cof_log *log, struct cof_append *a)
{
	struct pending p;
	int r = check(log, a);

	if (r < 0)
		return r;
	pthread_mutex_lock(&log->chain);
	for (;;) {
		if (atomic_load(&log->failed)) {
			r = -EROFS;
			break;
		}
		if (log->size - log->ring_start >= COF_LEAF_RING) {
			pthread_mutex_unlock(&log->chain);
			cof_tiles_drain(log, NULL);
			pthread_mutex_lock(&log->chain);
			continue;
		}
		r = cof_segment_place(log, COF_FRAME_HEADER + a->frame.stored, a->system);
		if (r != -EAGAIN)
			break;
	}
	if (r < 0) {
		pthread_mutex_unlock(&log->chain);
		return r;
	}
	number(log, a, &p);
	return write_out(log, &p);
}

int cof_log_append_public(struct cof_log *log, const struct cof_frame *f, const void *public_part,
			  uint32_t public_len, uint8_t *ret_seal_key, uint64_t *ret_sequence)
{
	struct cof_append a = {.frame = *f, .system = true, .ret_seal_key = ret_seal_key};
	cof_autofree uint8_t *stored = malloc(public_len + 1);
	int r;

	if (!stored)
		return -ENOMEM;
	a.frame.version = 1;
	r = cof_payload_seal(&a.frame, NULL, log->conf.id, public_part, public_len, NULL, stored);
	if (r < 0)
		return r;
	a.stored = stored;
	r = cof_log_append(log, &a);
	if (!r && ret_sequence)
		*ret_sequence = a.ret_sequence;
	return r;
}

uint64_t cof_log_counter(struct cof_log *log, uint32_t chunks)
{
	return atomic_fetch_add(&log->counter, chunks);
}

uint32_t cof_log_max_length(const struct cof_log *log)
{
	uint64_t room = (log->conf.segment_size - log->reserve) / 2;

	return (uint32_t)COF_MIN(room & ~(uint64_t)4095, COF_FRAME_LENGTH_MAX);
}
