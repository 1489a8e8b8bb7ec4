/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that read requests, each with its own buffer, all from one descriptor. A worker can
 * be cancelled only while it waits for a request, never while it has one.
 */
#include "fs/mount/worker.h"

#include <linux/fuse.h>

/* Set by kernels from 6.9 on in the number of a request that was sent before (linux/fuse.h calls it
 * FUSE_UNIQUE_RESEND; older headers lack it). */
#define RESENT_BIT (1ULL << 63)

struct cof_worker *cof_worker_self(fuse_req_t req)
{
	return pthread_getspecific(cof_mount_of(req)->worker_key);
}

uint8_t *cof_worker_scratch(fuse_req_t req, size_t n)
{
	struct cof_worker *w = cof_worker_self(req);
	uint8_t *bigger;

	if (n == 0)
		n = 1;
	if (n <= w->lent_size)
		return w->lent;
	if (n <= w->scratch_size)
		return w->scratch;
	bigger = realloc(w->scratch, n);
	if (!bigger)
		return NULL;
	w->scratch = bigger;
	w->scratch_size = n;
	return bigger;
}

static bool was_sent_before(const struct fuse_buf *buf, size_t n)
{
	struct fuse_in_header h;

	if (n < sizeof(h) || !buf->mem || (buf->flags & FUSE_BUF_IS_FD))
		return false;
	memcpy(&h, buf->mem, sizeof(h));
	return (h.unique & RESENT_BIT) != 0;
}

/* 1: one request was handled; 0: nothing this time; -errno: the end. */
static int serve_one(struct cof_worker *w)
{
	struct fuse_session *se = w->mount->session;
	int old, n;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	n = fuse_session_receive_buf(se, &w->buf);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (n == -EINTR || n == -EAGAIN)
		return 0;
	/* No memory for its buffer: nothing was read yet, another worker takes the request. */
	if (n == -ENOMEM && !w->buf.mem) {
		(void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		return 0;
	}
	if (n <= 0)
		return n < 0 ? n : -ENOTCONN;
	w->resent = was_sent_before(&w->buf, (size_t)n);
	fuse_session_process_buf(se, &w->buf);
	return 1;
}

static void *serve(void *user)
{
	struct cof_worker *w = user;
	int old, err = -pthread_setspecific(w->mount->worker_key, w);

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	while (err >= 0)
		err = serve_one(w);
	cof_mount_stopping(w->mount);
	return NULL;
}

int cof_worker_first(struct cof_mount *m)
{
	struct cof_worker *w = &m->workers[0];
	int old, err;

	w->mount = m;
	err = -pthread_setspecific(m->worker_key, w);
	while (err >= 0 && !atomic_load(&m->init_seen))
		err = serve_one(w);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	(void)pthread_setspecific(m->worker_key, NULL);
	return err < 0 ? err : 0;
}

int cof_workers_start(struct cof_mount *m)
{
	for (unsigned i = 0; i < m->n_workers; i++) {
		struct cof_worker *w = &m->workers[i];
		int err;

		w->mount = m;
		err = -pthread_create(&w->thread, NULL, serve, w);
		if (err < 0 && i == 0)
			return err;
		w->started = err == 0; /* fewer than asked for will do */
	}
	return 0;
}

void cof_workers_end(struct cof_mount *m)
{
	for (unsigned i = 0; i < m->n_workers; i++)
		if (m->workers[i].started)
			(void)pthread_cancel(m->workers[i].thread);
	for (unsigned i = 0; i < m->n_workers; i++) {
		struct cof_worker *w = &m->workers[i];

		if (w->started)
			(void)pthread_join(w->thread, NULL);
		w->started = false;
		free(w->buf.mem);
		free(w->scratch);
		*w = (struct cof_worker){.mount = m};
	}
}
