/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one sync answers everybody whose frame it covers. Syncing is a role too: who finds
 * nobody at it does it, for two rounds at most, and then leaves it to the syncer thread, so that no
 * worker is held by the others' requests.
 */
#include "fs/log/internal.h"

#define SPARE_WAITERS 1024

/* What has to be synced for everything written so far. */
struct work {
	struct segment *closed, *current;
	uint64_t target;
};

static struct work take_work(struct cof_log *log)
{
	struct work w = {0};

	pthread_mutex_lock(&log->chain);
	w.target = atomic_load(&log->written);
	if (log->closing && log->closing->end <= w.target) {
		struct segment **p = &log->closing;

		w.closed = log->closing;
		while (*p && (*p)->end <= w.target)
			p = &(*p)->next;
		log->closing = *p;
		*p = NULL;
		if (!log->closing)
			log->closing_tail = &log->closing;
	}
	if (log->closing) /* written in part only: its first bytes count already */
		w.current = log->closing;
	else if (log->current->first < w.target)
		w.current = log->current;
	pthread_mutex_unlock(&log->chain);
	return w;
}

int cof_commit_disk(struct cof_log *log, uint64_t *ret_durable)
{
	struct work w = take_work(log);
	int r = 0;

	while (w.closed) {
		struct segment *s = w.closed;

		w.closed = s->next;
		if (!r)
			r = cof_io_truncate(s->file, s->used);
		if (!r)
			r = cof_io_sync(s->file);
		cof_segment_free(s);
	}
	if (!r && w.current)
		r = cof_io_sync(w.current->file);
	if (r < 0)
		return cof_log_fail(log, r, "syncing the log");
	*ret_durable = w.target;
	return 0;
}

static void give_back(struct cof_log *log, struct waiter *w)
{
	if (log->spares < SPARE_WAITERS) {
		w->next = log->spare;
		log->spare = w;
		log->spares++;
	} else {
		free(w);
	}
}

/* Takes out those who are answered. sync is held. */
static struct waiter *take_answered(struct cof_log *log, uint64_t durable, bool all)
{
	struct waiter *out = NULL, **tail = &out, **p = &log->waiters;

	while (*p) {
		struct waiter *w = *p;

		if (!all && w->sequence >= durable) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->next = NULL;
		*tail = w;
		tail = &w->next;
	}
	return out;
}

/* One sync and its answers. sync is held on entry and on return, not meanwhile. */
static void round_of(struct cof_log *log)
{
	struct waiter *list, *w;
	uint64_t durable = 0;
	int r;

	pthread_mutex_unlock(&log->sync);
	r = atomic_load(&log->failed) ? -EIO : cof_commit_disk(log, &durable);
	pthread_mutex_lock(&log->sync);
	if (!r && durable > atomic_load(&log->durable))
		atomic_store(&log->durable, durable);
	list = take_answered(log, durable, r < 0);
	pthread_mutex_unlock(&log->sync);
	for (w = list; w; w = w->next)
		w->done(w->user, r);
	pthread_mutex_lock(&log->sync);
	while (list) {
		w = list;
		list = w->next;
		give_back(log, w);
	}
}

/* sync is held, and the role is ours. */
static void serve(struct cof_log *log)
{
	for (int n = 0; log->waiters; n++) {
		if (n == 2 && log->has_syncer) {
			log->handed_over = true;
			pthread_cond_signal(&log->syncer_wake);
			return;
		}
		round_of(log);
	}
	log->syncing = false;
}

void *cof_log_syncer(void *arg)
{
	struct cof_log *log = arg;

	pthread_mutex_lock(&log->sync);
	for (;;) {
		while (!log->handed_over && !log->syncer_stop)
			pthread_cond_wait(&log->syncer_wake, &log->sync);
		if (!log->handed_over)
			break;
		log->handed_over = false;
		while (log->waiters)
			round_of(log);
		log->syncing = false;
	}
	pthread_mutex_unlock(&log->sync);
	return NULL;
}

void cof_log_sync_async(struct cof_log *log, uint64_t sequence, cof_log_done done, void *user)
{
	struct waiter *w;

	if (sequence < atomic_load(&log->durable)) {
		done(user, 0);
		return;
	}
	pthread_mutex_lock(&log->sync);
	w = log->spare;
	if (w) {
		log->spare = w->next;
		log->spares--;
	} else {
		w = malloc(sizeof(*w));
	}
	if (!w || atomic_load(&log->failed) || sequence >= atomic_load(&log->written)) {
		int err = !w ? -ENOMEM : atomic_load(&log->failed) ? -EIO : -EINVAL;

		if (w)
			give_back(log, w);
		pthread_mutex_unlock(&log->sync);
		done(user, err);
		return;
	}
	*w =
	    (struct waiter){.next = log->waiters, .sequence = sequence, .done = done, .user = user};
	log->waiters = w;
	if (!log->syncing) {
		log->syncing = true;
		serve(log);
	}
	pthread_mutex_unlock(&log->sync);
}

struct blocked {
	sem_t wake;
	int err;
};

static void unblock(void *user, int err)
{
	struct blocked *b = user;

	b->err = err;
	sem_post(&b->wake);
}

int cof_log_sync(struct cof_log *log, uint64_t sequence)
{
	struct blocked b;

	sem_init(&b.wake, 0, 0);
	cof_log_sync_async(log, sequence, unblock, &b);
	while (sem_wait(&b.wake) < 0)
		;
	sem_destroy(&b.wake);
	return b.err;
}
