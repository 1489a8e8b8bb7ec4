/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring store. Rings are pooled and belong to one call at a time: so completions are always
 * the caller's own, and a sync never stands in line behind another thread's bulk write. A call that
 * finds no ring left does its work by plain system calls, which is only slower.
 */
#include <liburing.h>
#include <sched.h>

#include "fs/io/impl.h"

#define RINGS 16
#define DEPTH 16u                /* pieces of one write under way at a time */
#define PIECE (1u << 20)         /* bytes of a piece */
#define BULK (64u << 10)         /* smaller writes are one pwritev */
#define PIECE_IOV (1024 + DEPTH) /* a piece's border may cut an element in two */

struct ring {
	struct io_uring uring;
	bool broken; /* has entries that were never handed over */
	struct iovec iov[PIECE_IOV];
	struct {
		unsigned from, count; /* of iov */
		size_t len;
		int32_t res;
	} piece[DEPTH];
};

struct uring_store {
	struct cof_posix posix;
	pthread_mutex_t mutex; /* guards the rest */
	struct ring *idle[RINGS];
	unsigned n_idle, n_rings;
};

static int fd_of(struct cof_file *f)
{
	return ((struct cof_posix_file *)f)->fd;
}

/* ---- the pool ---- */

static int ring_new(struct ring **ret)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	r = io_uring_queue_init(DEPTH, &ring->uring, 0);
	if (r) {
		free(ring);
		return r;
	}
	*ret = ring;
	return 0;
}

static void ring_free(struct ring *ring)
{
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

/* NULL when all are in use or the kernel gives no more. */
static struct ring *ring_take(struct uring_store *s)
{
	struct ring *ring = NULL;

	pthread_mutex_lock(&s->mutex);
	if (s->n_idle)
		ring = s->idle[--s->n_idle];
	else if (s->n_rings < RINGS && !ring_new(&ring))
		s->n_rings++;
	pthread_mutex_unlock(&s->mutex);
	return ring;
}

static void ring_give(struct uring_store *s, struct ring *ring)
{
	pthread_mutex_lock(&s->mutex);
	if (ring->broken)
		s->n_rings--;
	else
		s->idle[s->n_idle++] = ring;
	pthread_mutex_unlock(&s->mutex);
	if (ring->broken)
		ring_free(ring);
}

/*
 * Hands n prepared entries over and collects their results. The kernel uses the caller's buffers
 * until the last one is complete, so this returns no earlier, whatever happens. An entry that could
 * not be handed over keeps the result it was prepared with, and the ring is then not to be used
 * again: the entry is still in it.
 */
static void run(struct ring *ring, unsigned n)
{
	unsigned submitted = 0, complete = 0;

	while (submitted < n && !ring->broken) {
		int r = io_uring_submit(&ring->uring);
		if (r > 0)
			submitted += (unsigned)r;
		else if (r == -EINTR || r == -EAGAIN || r == -EBUSY)
			sched_yield(); /* short of memory for requests: it comes back */
		else
			ring->broken = true;
	}
	while (complete < submitted) {
		struct io_uring_cqe *cqe;
		if (io_uring_wait_cqe(&ring->uring, &cqe)) {
			sched_yield();
			continue;
		}
		ring->piece[io_uring_cqe_get_data64(cqe) % DEPTH].res = cqe->res;
		io_uring_cqe_seen(&ring->uring, cqe);
		complete++;
	}
}

/* ---- writes ---- */

/* Cuts the next DEPTH pieces at most out of iov from byte skip of it. Returns their number. */
static unsigned cut(struct ring *ring, const struct iovec *iov, int count, uint64_t skip)
{
	unsigned n = 0, used = 0;
	int i = 0;

	while (i < count && skip >= iov[i].iov_len)
		skip -= iov[i++].iov_len;
	while (i < count && n < DEPTH) {
		size_t len = 0;
		ring->piece[n].from = used;
		while (i < count && len < PIECE) {
			size_t part = COF_MIN(iov[i].iov_len - skip, PIECE - len);
			if (part)
				ring->iov[used++] = (struct iovec){
				    .iov_base = (uint8_t *)iov[i].iov_base + skip,
				    .iov_len = part,
				};
			len += part;
			skip += part;
			if (skip == iov[i].iov_len) {
				skip = 0;
				i++;
			}
		}
		ring->piece[n].count = used - ring->piece[n].from;
		ring->piece[n].len = len;
		ring->piece[n].res = -ECANCELED;
		if (len)
			n++;
	}
	return n;
}

/* Bytes written without a gap from off, or the first error; *ret_whole tells whether that is all.
 */
static ssize_t write_pieces(struct ring *ring, int fd, unsigned n, uint64_t off, bool *ret_whole)
{
	uint64_t at = off;
	size_t done = 0;
	bool gap = false;

	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
		io_uring_prep_writev(sqe, fd, ring->iov + ring->piece[i].from, ring->piece[i].count,
				     at);
		io_uring_sqe_set_data64(sqe, i);
		at += ring->piece[i].len;
	}
	run(ring, n);
	for (unsigned i = 0; i < n; i++) {
		int32_t res = ring->piece[i].res;
		if (res == -EINTR || res == -EAGAIN)
			res = 0; /* nothing happened: the rest is written again */
		if (res < 0)
			return res;
		if (gap)
			continue;
		done += (size_t)res;
		gap = (size_t)res < ring->piece[i].len;
	}
	*ret_whole = !gap;
	return (ssize_t)done;
}

static ssize_t bulk_write(struct ring *ring, int fd, const struct iovec *iov, int count,
			  uint64_t off)
{
	uint64_t done = 0;

	for (;;) {
		unsigned n = cut(ring, iov, count, done);
		bool whole = true;
		ssize_t r;

		if (!n)
			return (ssize_t)done;
		r = write_pieces(ring, fd, n, off + done, &whole);
		if (r < 0)
			return r;
		done += (uint64_t)r;
		if (!whole)
			return (ssize_t)done;
	}
}

static ssize_t uring_writev(struct cof_file *f, const struct iovec *iov, int count, uint64_t off)
{
	struct uring_store *s = (struct uring_store *)f->io;
	struct ring *ring = NULL;
	uint64_t total = 0;
	ssize_t r;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	if (total >= BULK)
		ring = ring_take(s);
	if (!ring)
		return cof_posix_writev(f, iov, count, off);
	r = bulk_write(ring, fd_of(f), iov, count, off);
	ring_give(s, ring);
	return r ? r : cof_posix_writev(f, iov, count, off);
}

static int uring_sync(struct cof_file *f)
{
	struct uring_store *s = (struct uring_store *)f->io;
	struct ring *ring = ring_take(s);
	struct io_uring_sqe *sqe;
	int32_t res;

	if (!ring)
		return cof_posix_sync(f);
	sqe = io_uring_get_sqe(&ring->uring);
	io_uring_prep_fsync(sqe, fd_of(f), IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(sqe, 0);
	ring->piece[0].res = -ECANCELED;
	run(ring, 1);
	res = ring->piece[0].res;
	ring_give(s, ring);
	return res == -EINTR || res == -EAGAIN ? cof_posix_sync(f) : COF_MIN(res, 0);
}

static void uring_free(struct cof_io *io)
{
	struct uring_store *s = (struct uring_store *)io;

	for (unsigned i = 0; i < s->n_idle; i++)
		ring_free(s->idle[i]);
	pthread_mutex_destroy(&s->mutex);
	cof_posix_free(io);
}

static const struct cof_io_ops uring_ops = {
    .name = "io_uring",
    .free = uring_free,
    .open = cof_posix_open,
    .close = cof_posix_close,
    .writev = uring_writev,
    .read = cof_posix_read,
    .sync = uring_sync,
    .allocate = cof_posix_allocate,
    .truncate = cof_posix_truncate,
    .size = cof_posix_size,
    .forget = cof_posix_forget,
    .map = cof_posix_map,
    .mkdir = cof_posix_mkdir,
    .rename = cof_posix_rename,
    .unlink = cof_posix_unlink,
    .rmdir = cof_posix_rmdir,
    .sync_dir = cof_posix_sync_dir,
    .exists = cof_posix_exists,
    .list = cof_posix_list,
    .lock = cof_posix_lock,
    .unlock = cof_posix_unlock,
    .locked = cof_posix_locked,
    .space = cof_posix_space,
};

int cof_io_uring(const char *dir, struct cof_io **ret, struct cof_diag *diag)
{
	struct uring_store *s;
	struct ring *ring;
	int r;

	if (ring_new(&ring))
		return cof_io_plain(dir, ret, diag);
	s = calloc(1, sizeof(*s));
	r = s ? -pthread_mutex_init(&s->mutex, NULL) : -ENOMEM;
	if (r) {
		free(s);
		ring_free(ring);
		return cof_fail(diag, r, "cannot open the store %s: %s", dir, strerror(-r));
	}
	r = cof_posix_init(&s->posix, &uring_ops, dir, diag);
	if (r) {
		pthread_mutex_destroy(&s->mutex);
		free(s);
		ring_free(ring);
		return r;
	}
	s->idle[s->n_idle++] = ring;
	s->n_rings = 1;
	*ret = &s->posix.base;
	return 0;
}
