/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log as its owner sees it: allocation, mount, status, threads, failure, close.
 */
#include <time.h>

#include "fs/log/internal.h"

int64_t cof_log_boottime(void)
{
	return cof_now(CLOCK_MONOTONIC); /* the clock of the condition variables */
}

int cof_log_fail(struct cof_log *log, int err, const char *what)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&log->failed, &none, err) && log->p.failed)
		log->p.failed(log->p.user, err, what);
	return -EIO;
}

/* Held for less than a microsecond: who finds it taken turns a little before it sleeps, which costs
 * twenty times as much. */
static int init_chain(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;
	int r = pthread_mutexattr_init(&attr);

	if (r)
		return -r;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	r = pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
	return -r;
}

static int init_locks(struct cof_log *log)
{
	pthread_condattr_t attr;
	int r = init_chain(&log->chain);

	if (r < 0)
		return r;
	r = pthread_condattr_init(&attr);
	if (r)
		return -r;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&log->sync, NULL);
	pthread_mutex_init(&log->tree, NULL);
	pthread_mutex_init(&log->checkpoint, NULL);
	pthread_cond_init(&log->prepared, NULL);
	pthread_cond_init(&log->syncer_wake, NULL);
	pthread_cond_init(&log->push_wake, NULL);
	pthread_cond_init(&log->prepare_wake, &attr);
	r = pthread_cond_init(&log->keeper_wake, &attr);
	pthread_condattr_destroy(&attr);
	return -r;
}

struct cof_log *cof_log_alloc(const struct cof_log_params *p, const struct cof_log_secrets *s,
			      struct cof_diag *diag)
{
	struct cof_log *log = calloc(1, sizeof(*log));

	if (!log || init_locks(log) < 0) {
		free(log);
		cof_fail(diag, -ENOMEM, "out of memory");
		return NULL;
	}
	log->p = *p;
	log->conf = *p->conf;
	log->reserve = COF_MIN((uint64_t)256 << 10, log->conf.segment_size / 8);
	log->queue_tail = &log->queue;
	log->closing_tail = &log->closing;
	log->counter = 1;
	log->turns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? COF_TURNS : 0;
	log->ring = calloc(COF_LEAF_RING, COF_HASH);
	log->secrets = cof_secret_alloc(3 * COF_KEY);
	if (!log->ring || !log->secrets || cof_reader_new(p->io, p->conf, &log->reader) < 0) {
		cof_log_abandon(log);
		cof_fail(diag, -ENOMEM, "out of memory, or of memory that can be locked");
		return NULL;
	}
	memcpy(LOG_SEED(log), s->signing_seed, COF_KEY);
	memcpy(LOG_EPOCH(log), s->epoch_secret, COF_KEY);
	return log;
}

int cof_log_mount(struct cof_log *log, const uint8_t salt[32], const void *public_part,
		  uint32_t public_len, uint32_t *ret_mount, struct cof_mixing *mixing)
{
	struct cof_frame f = {.type = COF_MOUNT};
	uint64_t sequence;
	int r;

	r = cof_seal_mount_key(LOG_EPOCH(log), salt, log->conf.id, LOG_SEAL(log));
	if (r < 0)
		return r;
	cof_wipe(LOG_EPOCH(log), COF_KEY); /* only what the ratchet leaves is needed from here */
	log->mount++;
	r = cof_log_append_public(log, &f, public_part, public_len, NULL, &sequence);
	if (!r)
		r = cof_log_sync(log, sequence);
	if (r < 0)
		return r;
	*ret_mount = log->mount;
	if (mixing) { /* nobody else appends yet */
		memcpy(mixing->key, LOG_SEAL(log), COF_KEY);
		mixing->sequence = sequence;
	}
	/* Recovery read it to its end and left cached pieces of up to 2 MiB; a small write into one of
	 * those looks at each of its blocks. Only when all of it is known to be on the disk: after a
	 * failed sync the cache may be the only place where frames still are. */
	if (log->was_clean)
		cof_io_forget(log->current->file, 0, 0);
	cof_io_map(log->current->file);
	if (log->prepared_next)
		cof_io_map(log->prepared_next->file);
	log->reserve_given_up =
	    cof_io_exists(log->p.io, "reserve") == 0; /* a checkpoint makes it */
	return 0;
}

uint64_t cof_log_significant(struct cof_log *log)
{
	uint64_t n;

	pthread_mutex_lock(&log->chain);
	n = log->last_significant;
	pthread_mutex_unlock(&log->chain);
	return n;
}

void cof_log_status(struct cof_log *log, struct cof_log_status *ret)
{
	uint64_t total;

	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&log->chain);
	ret->size = atomic_load(&log->written);
	ret->durable = atomic_load(&log->durable);
	ret->checkpoint_size = log->checkpoint_size;
	ret->end_address =
	    (uint64_t)log->current->number * log->conf.segment_size + log->current->used;
	ret->bytes = ret->end_address;
	ret->mount = log->mount;
	ret->segments = log->current->number + 1;
	ret->failed = atomic_load(&log->failed);
	ret->out_of_space = log->out_of_space && !log->prepared_next &&
			    log->current->used + log->reserve > log->conf.segment_size - 4096;
	memcpy(ret->checkpoint, log->checkpoint_text, sizeof(ret->checkpoint));
	memcpy(ret->last_leaf, log->previous, COF_HASH);
	pthread_mutex_unlock(&log->chain);
	if (cof_io_space(log->p.io, &ret->free_bytes, &total) < 0)
		ret->free_bytes = 0;
}

int cof_log_start(struct cof_log *log)
{
	int r;

	while (log->syncers < COF_SYNCS) {
		r = pthread_create(&log->syncer[log->syncers], NULL, cof_log_syncer, log);
		if (r)
			return -r;
		log->syncers++;
	}
	pthread_mutex_lock(&log->sync);
	log->has_syncer = true;
	pthread_mutex_unlock(&log->sync);
	r = pthread_create(&log->keeper, NULL, cof_log_keeper, log);
	if (r)
		return -r;
	log->has_keeper = true;
	r = pthread_create(&log->preparer, NULL, cof_log_preparer, log);
	if (r)
		return -r;
	log->has_preparer = true;
	r = pthread_create(&log->pusher, NULL, cof_log_pusher, log);
	if (r)
		return -r;
	pthread_mutex_lock(&log->chain);
	log->has_pusher = true;
	pthread_mutex_unlock(&log->chain);
	return 0;
}

static void stop_threads(struct cof_log *log)
{
	if (log->has_keeper) {
		pthread_mutex_lock(&log->chain);
		log->keeper_stop = true;
		pthread_cond_signal(&log->keeper_wake);
		pthread_cond_signal(&log->prepare_wake);
		pthread_cond_signal(&log->push_wake);
		pthread_mutex_unlock(&log->chain);
		pthread_join(log->keeper, NULL);
		log->has_keeper = false;
	}
	if (log->has_preparer)
		pthread_join(log->preparer, NULL);
	log->has_preparer = false;
	if (log->has_pusher)
		pthread_join(log->pusher, NULL);
	log->has_pusher = false;
	cof_segment_free(log->push.segment);
	log->push = (struct push){.segment = NULL};
	pthread_mutex_lock(&log->sync);
	log->syncer_stop = true;
	log->has_syncer = false; /* nobody hands over any more */
	pthread_cond_broadcast(&log->syncer_wake);
	pthread_mutex_unlock(&log->sync);
	while (log->syncers)
		pthread_join(log->syncer[--log->syncers], NULL);
}

void cof_log_abandon(struct cof_log *log)
{
	if (!log)
		return;
	stop_threads(log);
	cof_tiles_done(log);
	while (log->closing) {
		struct segment *s = log->closing;

		log->closing = s->next;
		cof_segment_free(s);
	}
	cof_segment_free(log->current);
	cof_segment_free(log->prepared_next);
	while (log->spare) {
		struct waiter *w = log->spare;

		log->spare = w->next;
		free(w);
	}
	cof_reader_free(log->reader);
	cof_secret_free(log->secrets);
	free(log->ring);
	pthread_mutex_destroy(&log->chain);
	pthread_mutex_destroy(&log->sync);
	pthread_mutex_destroy(&log->tree);
	pthread_mutex_destroy(&log->checkpoint);
	pthread_cond_destroy(&log->prepared);
	pthread_cond_destroy(&log->syncer_wake);
	pthread_cond_destroy(&log->keeper_wake);
	pthread_cond_destroy(&log->prepare_wake);
	pthread_cond_destroy(&log->push_wake);
	free(log);
}

int cof_log_close(struct cof_log *log, struct cof_diag *diag)
{
	const char *where = cof_io_where(log->p.io);
	struct cof_frame unmount = {.type = COF_UNMOUNT};
	int r, err;

	stop_threads(log);
	err = cof_log_append_public(log, &unmount, NULL, 0, NULL, NULL);
	/* Hashes first: below a checkpoint that ends with UNMOUNT the next mount takes them for whole.
	 * A file that is short it sees; one that may have holes it has to look for. */
	cof_tiles_drain(log, NULL);
	r = cof_tiles_flush(log, true);
	if (!err && log->tiles.unsynced)
		err = r;
	if (!err)
		err = cof_log_checkpoint(log);
	if (!err) /* the CHECKPOINT frame itself */
		err = cof_log_sync(log, atomic_load(&log->written) - 1);
	if (err < 0)
		cof_fail(diag, err,
			 "%s was not closed cleanly (%s); the next mount recovers what was "
			 "acknowledged: run coffer verify afterwards",
			 where, strerror(-err));
	cof_tiles_drain(log, NULL);
	if (!r) /* of the CHECKPOINT frame, which no checkpoint covers; a closed store has nothing to lose */
		r = cof_tiles_flush(log, true);
	if (r < 0 && !err)
		err = cof_fail(diag, r,
			       "%s/tile could not be written (%s); the next mount makes it again",
			       where, strerror(-r));
	cof_log_abandon(log);
	return err;
}
