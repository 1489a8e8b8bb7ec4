/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel caches to drop, from a thread of their own: dropping pages waits for page locks, which are
 * held by reads that a worker has to answer, so no worker and nobody under a lock may do it.
 *
 * An inode is queued once however often it is asked for; while it is queued or being dropped, an
 * open of it does not keep the cache. When memory is short nothing is queued but "lost" is set:
 * from then on nothing is cached, which is slow and right.
 */
#include "fs/mount/internal.h"

int cof_inval_init(struct cof_inval *q)
{
	int err = -pthread_mutex_init(&q->lock, NULL);

	if (err < 0)
		return err;
	err = -pthread_cond_init(&q->more, NULL);
	if (err < 0) {
		pthread_mutex_destroy(&q->lock);
		return err;
	}
	q->tail = &q->head;
	return 0;
}

void cof_inval_done(struct cof_inval *q)
{
	while (q->head) {
		struct cof_inval_node *n = q->head;

		q->head = n->next;
		free(n);
	}
	pthread_cond_destroy(&q->more);
	pthread_mutex_destroy(&q->lock);
}

static struct cof_inval_node **bucket(struct cof_inval *q, uint64_t ino)
{
	return &q->buckets[(ino * 0x9e3779b97f4a7c15u) >> 54 & (COF_INVAL_BUCKETS - 1)];
}

static struct cof_inval_node *find(struct cof_inval *q, uint64_t ino)
{
	struct cof_inval_node *n = *bucket(q, ino);

	while (n && n->ino != ino)
		n = n->next_hash;
	return n;
}

static void push(struct cof_inval *q, struct cof_inval_node *n)
{
	n->next = NULL;
	*q->tail = n;
	q->tail = &n->next;
	pthread_cond_signal(&q->more);
}

static struct cof_inval_node *add(struct cof_inval *q, uint64_t ino)
{
	struct cof_inval_node *n = calloc(1, sizeof(*n)), **b = bucket(q, ino);

	if (!n)
		return NULL;
	n->ino = ino;
	n->next_hash = *b;
	*b = n;
	atomic_fetch_add(&q->count, 1);
	push(q, n);
	return n;
}

static void forget(struct cof_inval *q, struct cof_inval_node *n)
{
	struct cof_inval_node **at = bucket(q, n->ino);

	while (*at != n)
		at = &(*at)->next_hash;
	*at = n->next_hash;
	atomic_fetch_sub(&q->count, 1);
	free(n);
}

void cof_inval_queue(struct cof_mount *m, uint64_t ino, struct cof_task *task)
{
	struct cof_inval *q = &m->inval;
	struct cof_inval_node *n;

	pthread_mutex_lock(&q->lock);
	n = find(q, ino);
	if (!n)
		n = add(q, ino);
	else if (n->busy)
		n->again = true;
	if (n && task) {
		task->next = n->waiting;
		n->waiting = task;
	}
	pthread_mutex_unlock(&q->lock);
	if (n)
		return;
	atomic_store(&q->lost, true);
	if (task)
		cof_task_send(task);
}

bool cof_inval_pending(struct cof_mount *m, uint64_t ino)
{
	struct cof_inval *q = &m->inval;
	bool pending;

	if (atomic_load(&q->lost) || atomic_load(&q->committing) > 0)
		return true;
	if (atomic_load(&q->count) == 0)
		return false;
	pthread_mutex_lock(&q->lock);
	pending = find(q, ino) != NULL;
	pthread_mutex_unlock(&q->lock);
	return pending;
}

static void send_all(struct cof_task *t)
{
	while (t) {
		struct cof_task *next = t->next;

		cof_task_send(t);
		t = next;
	}
}

/* One inode, without the lock while the kernel works. Replies that joined while it worked wait for
 * the next round: what they wait for may have happened after the pages were looked at. */
static void drop(struct cof_mount *m, struct cof_inval_node *n)
{
	struct cof_inval *q = &m->inval;
	struct cof_task *waiting = n->waiting;

	n->waiting = NULL;
	n->busy = true;
	pthread_mutex_unlock(&q->lock);
	/* ENOENT: the kernel does not know the inode. Any other failure: the connection is gone. */
	(void)fuse_lowlevel_notify_inval_inode(m->session, n->ino, 0, 0);
	send_all(waiting);
	pthread_mutex_lock(&q->lock);
	n->busy = false;
	if (n->again || n->waiting) {
		n->again = false;
		push(q, n);
	} else {
		forget(q, n);
	}
}

static void *serve(void *user)
{
	struct cof_mount *m = user;
	struct cof_inval *q = &m->inval;

	pthread_mutex_lock(&q->lock);
	while (q->head || !q->stop) {
		struct cof_inval_node *n = q->head;

		if (!n) {
			pthread_cond_wait(&q->more, &q->lock);
			continue;
		}
		q->head = n->next;
		if (!q->head)
			q->tail = &q->head;
		drop(m, n);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

int cof_inval_start(struct cof_mount *m)
{
	int err = -pthread_create(&m->inval.thread, NULL, serve, m);

	m->inval.running = err == 0;
	return err;
}

void cof_inval_stop(struct cof_mount *m)
{
	struct cof_inval *q = &m->inval;

	if (!q->running)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	(void)pthread_join(q->thread, NULL);
	q->running = false;
}
