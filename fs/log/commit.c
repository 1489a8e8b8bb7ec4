/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one sync answers everybody whose frame it covers. Syncing is a role too: who finds
 * nobody at it does it, for two rounds at most, and then leaves it to a syncer thread, so that no
 * worker is held by the others' requests. Two syncs may be under way at a time: the disk takes them
 * side by side, and while one's waiters are answered the other goes on.
 */
#include "fs/log/internal.h"

#define SPARE_WAITERS 1024
#define SMALL (64u << 10) /* bytes of a small sync */
#define SMALL_SYNCS 16 /* in a row: space is then written ahead */

/* What has to be synced for everything written so far. */
struct work {
	struct segment *closed, *current;
	uint64_t target;
	uint64_t zeroed; /* of current, when it began */
	uint32_t full_from, full_to; /* numbers of segments of a stream that are closed now */
	bool alone;
};

static bool small_bytes(struct cof_log *log)
{
	uint64_t at = (uint64_t)log->current->number * log->conf.segment_size + log->current->used;
	bool small = at - log->synced_address <= SMALL;

	log->synced_address = at;
	return small;
}

/* sync and chain are held. */
static void take_work(struct cof_log *log, struct work *w)
{
	*w = (struct work){.target = atomic_load(&log->written)};
	log->small_syncs = small_bytes(log) ? log->small_syncs + 1 : 0;
	atomic_store(&log->ahead, log->small_syncs >= SMALL_SYNCS);
	if (log->closing && log->closing->end <= w->target) {
		struct segment **p = &log->closing;

		w->closed = log->closing;
		while (*p && (*p)->end <= w->target)
			p = &(*p)->next;
		log->closing = *p;
		*p = NULL;
		if (!log->closing)
			log->closing_tail = &log->closing;
	}
	if (log->closing) /* written in part only: its first bytes count already */
		w->current = log->closing;
	else if (log->current->first < w->target)
		w->current = log->current;
	if (w->current)
		w->zeroed = atomic_load(&w->current->zeroed);
}

/* Through the descriptor with this number. The names of new segments follow what is in them. */
static int sync_work(struct cof_log *log, struct work *w, unsigned slot)
{
	bool unnamed = false;
	int r = 0;

	while (w->closed) {
		struct segment *s = w->closed;

		w->closed = s->next;
		unnamed |= !atomic_load(&s->settled);
		if (s->pushed) {
			w->full_from = w->full_to ? w->full_from : s->number;
			w->full_to = s->number + 1;
		}
		if (!r)
			r = cof_io_truncate(s->file, s->used);
		if (!r)
			r = cof_io_sync(s->file);
		cof_segment_free(s);
	}
	if (!r && w->current)
		r = cof_io_sync(w->current->sync[slot]);
	if (!r && w->current && !atomic_load(&w->current->settled)) {
		r = cof_segment_settle(log, w->current);
		unnamed = false; /* one sync of the directory is for all names in it */
	}
	if (!r && unnamed)
		r = cof_io_sync_dir(log->p.io, "log");
	return r < 0 ? cof_log_fail(log, r, "syncing the log") : 0;
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

/*
 * Two syncs may overlap where each proves by itself what it covers: through a descriptor of its own (the kernel
 * tells each of an error), in one segment, in space whose zeros are durable. Elsewhere a sync has metadata to
 * bring along too (a new segment its name), and one that finds them on their way, with another, may return before they are there.
 */
static bool may_overlap(const struct cof_log *log, unsigned slot)
{
	const struct segment *s = log->current;

	return slot < COF_SYNCS && s->sync[slot] && !log->closing && atomic_load(&s->settled) && s->used <= s->zero_durable &&
	       atomic_load(&s->zeroed) == s->zero_durable;
}

/* The descriptor for the next sync, or -1: it would have to overlap with another, and must not. */
static int take_slot(struct cof_log *log, struct work *w)
{
	unsigned slot = 0;
	bool alone;

	if (log->alone)
		return -1;
	while (log->flights & 1u << slot)
		slot++;
	pthread_mutex_lock(&log->chain);
	alone = !may_overlap(log, slot);
	if (alone && log->flights) {
		pthread_mutex_unlock(&log->chain);
		return -1;
	}
	take_work(log, w);
	pthread_mutex_unlock(&log->chain);
	w->alone = log->alone = alone;
	log->flights |= 1u << slot;
	return (int)slot;
}

/* sync is held. A segment that was synced alone is still there: only the next such sync closes it. */
static void land(struct cof_log *log, const struct work *w, unsigned slot, int err)
{
	log->flights &= ~(1u << slot);
	log->alone = false;
	if (err)
		return;
	if (w->alone && w->current)
		w->current->zero_durable = w->zeroed;
	if (w->target > atomic_load(&log->durable))
		atomic_store(&log->durable, w->target);
}

/* One sync and its answers; false: it had to overlap, and nothing was done. sync is held on entry and on
 * return, not meanwhile. */
static bool round_of(struct cof_log *log)
{
	struct waiter *list, *w;
	struct work work;
	unsigned n = 0;
	int slot, r;

	slot = take_slot(log, &work);
	if (slot < 0)
		return false;
	log->flying = work.target;
	log->uncovered = 0; /* nobody waits for what was not written */
	pthread_mutex_unlock(&log->sync);
	r = sync_work(log, &work, (unsigned)slot);
	pthread_mutex_lock(&log->sync);
	if (atomic_load(&log->failed))
		r = -EIO; /* of one sync or write: final for all */
	land(log, &work, (unsigned)slot, r);
	list = take_answered(log, atomic_load(&log->durable), r < 0);
	for (w = list; w; w = w->next)
		n++;
	log->last_batch = n;
	pthread_mutex_unlock(&log->sync);
	for (w = list; w; w = w->next)
		w->done(w->user, r);
	for (uint32_t i = work.full_from; !r && i < work.full_to; i++)
		cof_segment_forget(log, i);
	pthread_mutex_lock(&log->sync);
	while (list) {
		w = list;
		list = w->next;
		give_back(log, w);
	}
	return true;
}

/* Alone: at once. Beside another sync: once it pays. */
static bool worth(const struct cof_log *log)
{
	if (log->alone)
		return false;
	return log->uncovered && (!log->flights || 2 * log->uncovered >= log->last_batch);
}

/* sync is held, and a role is ours. */
static void serve(struct cof_log *log, bool syncer)
{
	for (int n = 0; worth(log); n++) {
		if (n == 2 && !syncer && log->has_syncer) {
			log->handed_over++;
			pthread_cond_signal(&log->syncer_wake);
			return;
		}
		if (!round_of(log))
			break; /* whoever is under way goes on */
	}
	log->roles--;
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
		log->handed_over--;
		serve(log, true);
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
	if (sequence < atomic_load(&log->durable)) { /* meanwhile; no sync to come would answer it */
		pthread_mutex_unlock(&log->sync);
		done(user, 0);
		return;
	}
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
	if (sequence >= log->flying)
		log->uncovered++;
	if (log->roles < COF_SYNCS && worth(log)) {
		log->roles++;
		serve(log, false);
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
