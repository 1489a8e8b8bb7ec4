/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way requests come: all through /dev/fuse (classic), or over io_uring with one worker left
 * there. What handles them is the same; a thread of a ring's queue is a worker like any other.
 *
 * Whatever io_uring lacks (the kernel, its switch enable_uring, memory), the mount is classic.
 */
#include "fs/mount/uring.h"
#include "fs/mount/worker.h"

static void handle(void *user, const struct cof_uring_request *r)
{
	struct cof_mount *m = user;
	struct cof_worker *w = &m->ring_workers[r->queue];

	if (pthread_getspecific(m->worker_key) != w)
		(void)pthread_setspecific(m->worker_key, w); /* the key's place is there by now */
	w->lent = r->room;
	w->lent_size = r->room_size;
	fuse_session_process_buf(m->session, &r->buf);
	w->lent_size = 0;
}

static void lost(void *user)
{
	cof_mount_stopping(user);
}

static ssize_t read_device(int fd, void *buf, size_t n, void *user)
{
	return cof_uring_read(((struct cof_mount *)user)->uring, fd, buf, n);
}

static ssize_t write_device(int fd, struct iovec *iov, int count, void *user)
{
	return cof_uring_writev(((struct cof_mount *)user)->uring, fd, iov, count);
}

static const struct fuse_custom_io device = {.read = read_device, .writev = write_device};

void cof_transport_prepare(struct cof_mount *m)
{
	struct cof_uring_params p = {.session = m->session,
				     .payload = COF_MAX_WRITE,
				     .handle = handle,
				     .lost = lost,
				     .user = m};

	if (cof_uring_new(&p, &m->uring) < 0)
		return;
	m->ring_workers = calloc(cof_uring_queues(m->uring), sizeof(*m->ring_workers));
	if (m->ring_workers)
		for (unsigned i = 0; i < cof_uring_queues(m->uring); i++)
			m->ring_workers[i].mount = m;
	if (!m->ring_workers ||
	    fuse_session_custom_io(m->session, &device, fuse_session_fd(m->session)) != 0)
		cof_transport_end(m);
}

int cof_transport_start(struct cof_mount *m)
{
	int err = -EOPNOTSUPP;

	if (m->uring && cof_uring_agreed(m->uring)) {
		cof_syncer_start(m);
		err = cof_uring_start(m->uring);
	}
	if (err < 0) {
		cof_transport_end(m);
		return err == -EOPNOTSUPP ? 0 : err;
	}
	m->n_workers = 1; /* for what still comes through /dev/fuse */
	atomic_store(&m->over_uring, true);
	return 0;
}

void cof_transport_drain(struct cof_mount *m)
{
	if (m->uring)
		cof_uring_drain(m->uring);
}

void cof_transport_end(struct cof_mount *m)
{
	unsigned n = m->uring && m->ring_workers ? cof_uring_queues(m->uring) : 0;

	cof_syncer_stop(m);
	cof_uring_free(m->uring);
	m->uring = NULL;
	for (unsigned i = 0; i < n; i++)
		free(m->ring_workers[i].scratch);
	free(m->ring_workers);
	m->ring_workers = NULL;
}

const char *cof_mount_transport(struct cof_mount *m)
{
	return atomic_load(&m->over_uring) ? "uring" : "classic";
}
