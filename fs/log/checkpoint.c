/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints, and the keeper that makes them in time. A checkpoint is signed only for frames that
 * are durable, is durable itself before it is repeated in the chain, and never contradicts an
 * earlier one: the tree only grows.
 */
#include <time.h>

#include "fs/log/internal.h"

#define DUE_NS (COF_NSEC * 3 / 4) /* leaves a quarter of the promised second for the sync */

/* Signs for this frontier and replaces STORE/checkpoint. */
int cof_checkpoint_write(struct cof_log *log, const struct cof_frontier *f, struct cof_buf *note)
{
	struct cof_checkpoint cp = {.size = f->size};
	int r;

	memcpy(cp.origin, log->conf.vkey.name, sizeof(cp.origin));
	cof_frontier_root(f, cp.root);
	r = cof_checkpoint_sign(&cp, &log->conf.vkey, LOG_SEED(log), note);
	if (r < 0)
		return r;
	r = cof_io_replace(log->p.io, "checkpoint", note->data, note->len);
	if ((r == -ENOSPC || r == -EDQUOT) && cof_reserve_give_up(log))
		r = cof_io_replace(log->p.io, "checkpoint", note->data, note->len);
	return r;
}

static int append_checkpoint(struct cof_log *log, uint64_t size, const struct cof_buf *note)
{
	struct cof_buf pub COF_CLEANUP(cof_buf_done) = {0};
	struct cof_frame f = {.type = COF_CHECKPOINT, .position = size};
	struct cof_mixing *m = log->mixing;
	uint64_t sequence = 0;
	int r;

	cof_field_put(&pub, COF_T_NOTE, note->data, note->len);
	if (log->p.anchor)
		log->p.anchor(log->p.user, &pub);
	if (m)
		cof_field_put_u64(&pub, COF_T_MIXING, m->on);
	if (pub.failed)
		return -ENOMEM;
	r = cof_log_append_public(log, &f, pub.data, (uint32_t)pub.len, m ? m->key : NULL, &sequence);
	if (!r && m)
		m->sequence = sequence;
	log->mixing = NULL;
	if (!r && log->p.anchored)
		log->p.anchored(log->p.user, sequence);
	return r;
}

/* What has to be covered; 0 when nothing has. Resets the clock that makes the keeper come back. */
static bool wanted(struct cof_log *log)
{
	bool yes;

	pthread_mutex_lock(&log->chain);
	yes = log->last_significant > log->checkpoint_size;
	log->uncovered_since = 0;
	pthread_mutex_unlock(&log->chain);
	return yes;
}

static int checkpoint(struct cof_log *log)
{
	struct cof_buf note COF_CLEANUP(cof_buf_done) = {0};
	struct cof_frontier f;
	int r;

	cof_tiles_drain(log, &f);
	/* every frame that was drained is numbered, and on its way to the kernel */
	while (atomic_load(&log->written) < f.size) {
		if (atomic_load(&log->failed))
			return -EROFS;
		sched_yield();
	}
	/* So that who mounts after a kill finds them; derived: close reports what failed. Durable so
	 * often that after a power cut only the last ones have to be looked at (cof_tiles_good). */
	(void)cof_tiles_flush(log, f.size - log->tiles.synced >= COF_TILE_UNSYNCED);
	r = cof_log_sync(log, f.size - 1);
	if (!r)
		r = cof_checkpoint_write(log, &f, &note);
	if (r)
		return r;
	pthread_mutex_lock(&log->chain);
	log->checkpoint_size = f.size;
	memset(log->checkpoint_text, 0, sizeof(log->checkpoint_text));
	memcpy(log->checkpoint_text, note.data,
	       COF_MIN(note.len, sizeof(log->checkpoint_text) - 1));
	pthread_mutex_unlock(&log->chain);
	return append_checkpoint(log, f.size, &note);
}

/* m: a mixing, for which one is made in any case, as it is with always. */
static int make(struct cof_log *log, struct cof_mixing *m, bool always)
{
	int r = 0;

	pthread_mutex_lock(&log->checkpoint);
	if (m)
		log->mixing = m;
	if (wanted(log) || m || always) {
		r = checkpoint(log);
		if (!r)
			cof_reserve_renew(log);
	}
	if (m)
		log->mixing = NULL;
	pthread_mutex_unlock(&log->checkpoint);
	if (r < 0) { /* the keeper tries again */
		pthread_mutex_lock(&log->chain);
		if (!log->uncovered_since)
			log->uncovered_since = cof_log_boottime();
		pthread_mutex_unlock(&log->chain);
	}
	return r;
}

int cof_log_checkpoint(struct cof_log *log)
{
	return make(log, NULL, false);
}

int cof_log_checkpoint_again(struct cof_log *log)
{
	return make(log, NULL, true);
}

int cof_log_mix(struct cof_log *log, struct cof_mixing *m)
{
	m->sequence = COF_NOT_MIXED;
	return make(log, m, false);
}

void cof_log_mix_last(struct cof_log *log, struct cof_mixing *m)
{
	m->sequence = COF_NOT_MIXED;
	pthread_mutex_lock(&log->checkpoint);
	log->mixing = m;
	pthread_mutex_unlock(&log->checkpoint);
}

/* Until a checkpoint is due, leaves have to go into the tree, or the end. chain is held. */
static bool keeper_waits(struct cof_log *log)
{
	int64_t now = cof_log_boottime(), until = now + COF_NSEC;
	struct timespec ts;

	if (log->keeper_stop)
		return false;
	if (log->uncovered_since)
		until = log->uncovered_since + DUE_NS;
	if (log->ring_start + COF_LEAF_RING / 2 < log->size || until <= now)
		return true;
	ts.tv_sec = until / COF_NSEC;
	ts.tv_nsec = until % COF_NSEC;
	pthread_cond_timedwait(&log->keeper_wake, &log->chain, &ts);
	return !log->keeper_stop;
}

void *cof_log_keeper(void *arg)
{
	struct cof_log *log = arg;

	for (;;) {
		bool due, drain, go;

		pthread_mutex_lock(&log->chain);
		go = keeper_waits(log);
		due = log->uncovered_since && cof_log_boottime() >= log->uncovered_since + DUE_NS;
		drain = log->ring_start + COF_LEAF_RING / 4 < log->size;
		pthread_mutex_unlock(&log->chain);
		if (!go)
			return NULL;
		if (drain)
			cof_tiles_drain(log, NULL);
		if (due && !atomic_load(&log->failed))
			(void)cof_log_checkpoint(log); /* tried again, and status shows its age */
		else if (due) {
			pthread_mutex_lock(&log->chain);
			log->uncovered_since = 0;
			pthread_mutex_unlock(&log->chain);
		}
	}
}
