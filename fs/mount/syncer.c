/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Over io_uring a queue's thread serves all that its processor asks, so it must not be the one who
 * syncs for a group commit: requests that have to be durable first are handed to a thread of their
 * own. While that one syncs the next gather, and its next sync covers them all.
 */
#include "fs/mount/worker.h"

void cof_syncer_init(struct cof_syncer *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	s->tail = &s->head;
}

void cof_syncer_done(struct cof_syncer *s)
{
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
}

static void *serve(void *user)
{
	struct cof_mount *m = user;
	struct cof_syncer *s = &m->syncer;

	pthread_mutex_lock(&s->lock);
	while (s->head || !s->stop) {
		struct cof_task *t = s->head;

		if (!t) {
			pthread_cond_wait(&s->more, &s->lock);
			continue;
		}
		s->head = NULL;
		s->tail = &s->head;
		pthread_mutex_unlock(&s->lock);
		while (t) {
			struct cof_task *next = t->next;

			cof_archive_sync_async(m->archive, t->reply.sequence, cof_task_synced, t);
			t = next;
		}
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

void cof_syncer_start(struct cof_mount *m)
{
	m->syncer.running = pthread_create(&m->syncer.thread, NULL, serve, m) == 0;
}

void cof_syncer_stop(struct cof_mount *m)
{
	struct cof_syncer *s = &m->syncer;

	if (!s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	s->running = false;
}

void cof_sync_task(struct cof_task *t)
{
	struct cof_mount *m = t->mount;
	struct cof_syncer *s = &m->syncer;

	if (!s->running) {
		cof_archive_sync_async(m->archive, t->reply.sequence, cof_task_synced, t);
		return;
	}
	t->next = NULL;
	pthread_mutex_lock(&s->lock);
	if (!s->head)
		pthread_cond_signal(&s->more);
	*s->tail = t;
	s->tail = &t->next;
	pthread_mutex_unlock(&s->lock);
}
