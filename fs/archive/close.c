/* SPDX-License-Identifier: Apache-2.0 */
/* The open archive as memory, and closing it: what is written last, and what is given back. */
#include "fs/archive/import.h"
#include "fs/archive/incident.h"
#include "fs/archive/leak.h"
#include "fs/archive/people.h"

/* Who makes or renames goes first: many who look up would keep them out for ever. Nobody takes it
 * twice. */
static void init_tree_lock(pthread_rwlock_t *tree)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(tree, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static int init_locks(struct cof_archive *a)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	if (r)
		return -r;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_rwlock_init(&a->gate, NULL);
	init_tree_lock(&a->tree);
	pthread_mutex_init(&a->feed_lock, NULL);
	pthread_mutex_init(&a->events_lock, NULL);
	pthread_mutex_init(&a->cache_lock, NULL);
	pthread_mutex_init(&a->shelf_lock, NULL);
	pthread_mutex_init(&a->holds.lock, NULL);
	pthread_mutex_init(&a->certs.reading, NULL);
	pthread_mutex_init(&a->certs.lock, NULL);
	atomic_init(&a->certs.latest, COF_RETAIN_NONE);
	atomic_init(&a->holds.generation, 1);
	pthread_mutex_init(&a->mounts_lock, NULL);
	pthread_mutex_init(&a->pool_lock, NULL);
	pthread_mutex_init(&a->recent_lock, NULL);
	pthread_mutex_init(&a->keeper_lock, NULL);
	pthread_mutex_init(&a->clock.lock, NULL);
	pthread_mutex_init(&a->proofs.lock, NULL);
	pthread_mutex_init(&a->stamp_lock, NULL);
	pthread_mutex_init(&a->profile_lock, NULL);
	cof_profile_default(&a->profile);
	pthread_mutex_init(&a->rules_lock, NULL);
	pthread_mutex_init(&a->sums.lock, NULL);
	pthread_cond_init(&a->pool_cond, NULL);
	r = pthread_cond_init(&a->keeper_cond, &attr);
	pthread_condattr_destroy(&attr);
	return -r;
}

static void done_locks(struct cof_archive *a)
{
	pthread_rwlock_destroy(&a->gate);
	pthread_rwlock_destroy(&a->tree);
	pthread_mutex_destroy(&a->feed_lock);
	pthread_mutex_destroy(&a->events_lock);
	pthread_mutex_destroy(&a->cache_lock);
	pthread_mutex_destroy(&a->shelf_lock);
	pthread_mutex_destroy(&a->holds.lock);
	pthread_mutex_destroy(&a->mounts_lock);
	pthread_mutex_destroy(&a->pool_lock);
	pthread_mutex_destroy(&a->recent_lock);
	pthread_mutex_destroy(&a->keeper_lock);
	pthread_mutex_destroy(&a->clock.lock);
	pthread_mutex_destroy(&a->proofs.lock);
	cof_people_free(a);
	cof_incident_free(a);
	pthread_mutex_destroy(&a->profile_lock);
	pthread_mutex_destroy(&a->rules_lock);
	pthread_mutex_destroy(&a->sums.lock);
	pthread_mutex_destroy(&a->certs.lock);
	pthread_mutex_destroy(&a->certs.reading);
	pthread_mutex_destroy(&a->stamp_lock);
	pthread_cond_destroy(&a->pool_cond);
	pthread_cond_destroy(&a->keeper_cond);
}

struct cof_archive *cof_archive_new(const struct cof_archive_params *p)
{
	struct cof_archive *a = calloc(1, sizeof(*a));

	if (!a || init_locks(a) < 0) {
		free(a);
		return NULL;
	}
	a->p = *p;
	a->io = p->io;
	a->load_at = COF_INDEX_NOW;
	atomic_init(&a->stale_from, UINT64_MAX);
	atomic_init(&a->next_ino, COF_ROOT_INO + 1);
	return a;
}

/* What does not write: everything but the log. */
void cof_archive_free(struct cof_archive *a)
{
	cof_events_free(a->events);
	cof_events_file_free(a->events_file);
	cof_faults_free(a->faults);
	cof_overdue_free(a);
	cof_imports_free(a->imports);
	cof_actors_free(a->actors);
	cof_writers_free(a->writers);
	cof_cache_done(a);
	cof_places_free(a->places);
	cof_chunks_free(a->chunks);
	if (a->ix)
		cof_index_close(a->ix);
	cof_leaves_free(a->leaves);
	cof_leaks_free(a->leaks); /* behind the events, which have texts of it */
	cof_ring_free(a->ring);
	cof_reader_free(a->reader);
	cof_keys_free(a->keys);
	cof_anchor_free(a->anchor);
	cof_mix_free(a->mix);
	cof_tpm_link_free(a->tpm);
	while (a->pool_free)
		free(a->pool[--a->pool_free]);
	if (a->locked)
		cof_io_unlock(a->io);
	done_locks(a);
	cof_wipe(a->salt, sizeof(a->salt));
	free(a);
}

int cof_archive_close(struct cof_archive *a, struct cof_diag *diag)
{
	struct cof_diag why = {""};
	int r = 0, err;

	cof_keeper_stop(a);
	a->closing = true;
	if (a->log) {
		cof_events_flush(a);
		cof_sums_tell(a, true);
		err = cof_archive_feed(a);
		cof_faults_write(a);
		cof_anchor_closing(a->anchor);
		cof_mix_closing(a->mix);
		r = cof_log_close(a->log, &why);
		a->log = NULL;
		if (r == 0)
			cof_anchor_closed(a->anchor);
		if (r == 0)
			r = cof_mix_closed(a->mix, &why);
		cof_faults_write(a);
		if (r == 0 && err < 0)
			r = cof_fail(
			    &why, err,
			    "the index of %s could not be brought up to date (%s); the next "
			    "mount does it",
			    cof_io_where(a->io), strerror(-err));
	}
	cof_archive_free(a);
	return r < 0 ? cof_fail(diag, r, "%s", why.text) : 0;
}

void cof_archive_abandon(struct cof_archive *a)
{
	cof_keeper_stop(a);
	cof_anchor_abandon(a->anchor);
	cof_log_abandon(a->log);
	a->log = NULL;
	cof_archive_free(a);
}
