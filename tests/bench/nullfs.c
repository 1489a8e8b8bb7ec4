/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FUSE filesystem that keeps nothing: files have a name and a size, writes are taken and dropped,
 * reads give zeros. It is the floor that every FUSE filesystem stands on, and the peer that our
 * ratios are against. Flat, at most MAX_FILES files.
 *
 *   nullfs MOUNTPOINT [cached|uring|sync FILE|bare DIR|bare-uring DIR|bare-cached DIR]      in the foreground until unmounted
 *
 * With "sync" what is written goes to the disk, to one file that was written before, and nothing is
 * done besides: an fsync or an O_DSYNC write is answered once an fdatasync of that file covers it, and
 * one such answers all that wait. What group commit through FUSE reaches at best.
 *
 * With "bare" what is written is sealed, chained and given to the kernel, as bare.h says.
 *
 * With "uring" requests come over io_uring, by the same code as the archive's; it ends when the
 * kernel does not offer that, so that nothing else is measured.
 */
#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include "fs/mount/uring.h"
#include "tests/bench/bare.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 65536
#define TIMEOUT 3600.0
#define BARE_LOG (UINT64_C(4) << 30)

static struct {
	char name[64];
	_Atomic off_t size;
} files[MAX_FILES];
static _Atomic unsigned count;
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;
static int cached, bare;
static char zeros[1 << 20];

/* ---- group commit ---- */

#define LOG_SIZE (64u << 20)
#define PARKED 256

struct parked {
	fuse_req_t req;
	size_t n; /* of a write; 0: an fsync */
};

static struct {
	int fd; /* -1: nothing is kept */
	_Atomic uint64_t at;
	pthread_mutex_t lock; /* guards the rest */
	struct parked waiting[PARKED];
	unsigned count;
	int syncing;
} disk = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static int open_disk(const char *path)
{
	disk.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (size_t at = 0; disk.fd >= 0 && at < LOG_SIZE; at += sizeof(zeros))
		if (pwrite(disk.fd, zeros, sizeof(zeros), (off_t)at) != sizeof(zeros))
			return -1;
	return disk.fd < 0 ? -1 : fdatasync(disk.fd);
}

/* Null-sync's one file, or bare's log. */
static int to_disk(void)
{
	if (bare)
		return -bare_sync();
	return fdatasync(disk.fd) ? EIO : 0;
}

static void answer(const struct parked *p, int err)
{
	if (err || !p->n)
		fuse_reply_err(p->req, err);
	else
		fuse_reply_write(p->req, p->n);
}

/* Whoever finds no sync under way does it, for all that wait, until nobody does. */
static void park(fuse_req_t req, size_t n)
{
	struct parked mine[PARKED];
	unsigned k;
	int err;

	pthread_mutex_lock(&disk.lock);
	if (disk.count == PARKED)
		fuse_reply_err(req, ENOBUFS);
	else
		disk.waiting[disk.count++] = (struct parked){req, n};
	while (!disk.syncing && disk.count) {
		k = disk.count;
		memcpy(mine, disk.waiting, k * sizeof(mine[0]));
		disk.count = 0;
		disk.syncing = 1;
		pthread_mutex_unlock(&disk.lock);
		err = to_disk();
		pthread_mutex_lock(&disk.lock);
		disk.syncing = 0;
		pthread_mutex_unlock(&disk.lock);
		for (unsigned i = 0; i < k; i++)
			answer(&mine[i], err);
		pthread_mutex_lock(&disk.lock);
	}
	pthread_mutex_unlock(&disk.lock);
}

static int keep(const char *buf, size_t n)
{
	uint64_t at = disk.at;

	while (!atomic_compare_exchange_weak(&disk.at, &at, at % LOG_SIZE + n > LOG_SIZE ? n : at + n))
		;
	return pwrite(disk.fd, buf, n, (off_t)(at % LOG_SIZE + n > LOG_SIZE ? 0 : at % LOG_SIZE)) == (ssize_t)n ? 0 : EIO;
}

static void fill(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = ino == 1 ? S_IFDIR | 0777 : S_IFREG | 0666;
	st->st_nlink = ino == 1 ? 2 : 1;
	st->st_size = ino == 1 ? 0 : files[ino - 2].size;
}

static void null_init(void *user, struct fuse_conn_info *conn)
{
	(void)user;
	conn->max_write = 1 << 20;
	conn->want &= ~(unsigned)(FUSE_CAP_ASYNC_DIO | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
}

static long find(const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(files[i].name, name))
			return i;
	return -1;
}

static void entry(fuse_ino_t ino, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = ino;
	e->attr_timeout = e->entry_timeout = TIMEOUT;
	fill(ino, &e->attr);
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	long i;

	(void)parent;
	pthread_mutex_lock(&names);
	i = find(name);
	pthread_mutex_unlock(&names);
	if (i < 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry((fuse_ino_t)i + 2, &e);
	fuse_reply_entry(req, &e);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	fill(ino, &st);
	fuse_reply_attr(req, &st, TIMEOUT);
}

static void null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
			 struct fuse_file_info *fi)
{
	if (set & FUSE_SET_ATTR_SIZE)
		files[ino - 2].size = attr->st_size;
	null_getattr(req, ino, fi);
}

static void null_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	long i;

	(void)parent;
	(void)mode;
	pthread_mutex_lock(&names);
	i = find(name);
	if (i < 0 && count < MAX_FILES) {
		i = (long)count;
		snprintf(files[i].name, sizeof(files[i].name), "%s", name);
		files[i].size = 0;
		count++;
	}
	pthread_mutex_unlock(&names);
	if (i < 0) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	fi->direct_io = !cached;
	fi->keep_cache = cached;
	entry((fuse_ino_t)i + 2, &e);
	fuse_reply_create(req, &e, fi);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = !cached;
	fi->keep_cache = cached;
	fuse_reply_open(req, fi);
}

static void null_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t n, off_t off,
		       struct fuse_file_info *fi)
{
	if (off + (off_t)n > files[ino - 2].size)
		files[ino - 2].size = off + (off_t)n;
	if ((bare && bare_keep(ino, (uint64_t)off, buf, n, (uint32_t)fuse_req_ctx(req)->pid)) || (disk.fd >= 0 && keep(buf, n)))
		fuse_reply_err(req, EIO);
	else if ((bare || disk.fd >= 0) && fi->flags & O_DSYNC)
		park(req, n);
	else
		fuse_reply_write(req, n);
}

/* Into memory that the thread keeps. */
static void read_bare(fuse_req_t req, fuse_ino_t ino, size_t n, off_t off)
{
	static __thread char *buf;
	int err;

	if (!buf)
		buf = aligned_alloc(4096, sizeof(zeros));
	err = buf ? bare_fetch(ino, (uint64_t)off, buf, n) : ENOMEM;
	if (err)
		fuse_reply_err(req, err);
	else
		fuse_reply_buf(req, buf, n);
}

static void null_read(fuse_req_t req, fuse_ino_t ino, size_t n, off_t off, struct fuse_file_info *fi)
{
	off_t left = files[ino - 2].size - off;

	(void)fi;
	if (left < 0)
		left = 0;
	if (n > sizeof(zeros))
		n = sizeof(zeros);
	if (bare && cached) {
		read_bare(req, ino, (off_t)n < left ? n : (size_t)left, off);
		return;
	}
	fuse_reply_buf(req, zeros, (off_t)n < left ? n : (size_t)left);
}

static void null_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	if (bare || disk.fd >= 0)
		park(req, 0);
	else
		fuse_reply_err(req, 0);
}

static void null_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	long i;

	(void)parent;
	pthread_mutex_lock(&names);
	i = find(name);
	if (i >= 0)
		files[i].name[0] = 0;
	pthread_mutex_unlock(&names);
	fuse_reply_err(req, i < 0 ? ENOENT : 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.create = null_create,
	.open = null_open,
	.write = null_write,
	.read = null_read,
	.fsync = null_fsync,
	.unlink = null_unlink,
};

/* ---- over io_uring ---- */

static struct fuse_session *session;
static struct cof_uring *uring;

static void ring_handle(void *user, const struct cof_uring_request *r)
{
	(void)user;
	fuse_session_process_buf(session, &r->buf);
}

static void ring_lost(void *user)
{
	(void)user;
	fuse_session_exit(session);
}

static ssize_t ring_read(int fd, void *buf, size_t n, void *user)
{
	(void)user;
	return cof_uring_read(uring, fd, buf, n);
}

static ssize_t ring_writev(int fd, struct iovec *iov, int parts, void *user)
{
	(void)user;
	return cof_uring_writev(uring, fd, iov, parts);
}

static const struct fuse_custom_io ring_io = {.read = ring_read, .writev = ring_writev};

static int loop_uring(void)
{
	struct cof_uring_params p = {.session = session,
				     .payload = 1 << 20,
				     .handle = ring_handle,
				     .lost = ring_lost};
	struct fuse_buf buf = {0};
	int r = -1;

	if (cof_uring_new(&p, &uring) < 0 ||
	    fuse_session_custom_io(session, &ring_io, fuse_session_fd(session)) != 0)
		return -1;
	if (fuse_session_receive_buf(session, &buf) > 0) {
		fuse_session_process_buf(session, &buf); /* INIT */
		if (cof_uring_agreed(uring) && cof_uring_start(uring) == 0)
			r = fuse_session_loop(session); /* what still comes through /dev/fuse */
	}
	free(buf.mem);
	cof_uring_drain(uring);
	cof_uring_free(uring);
	uring = NULL;
	return r;
}

int main(int argc, char **argv)
{
	char *fuse_argv[] = {argv[0], "-oallow_other,fsname=nullfs,subtype=nullfs", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, fuse_argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *s;
	int r = 1, over_uring;

	if (argc < 2) {
		fprintf(stderr, "nullfs MOUNTPOINT [cached|uring|sync FILE|bare DIR|bare-uring DIR|bare-cached DIR]\n");
		return 2;
	}
	over_uring = argc > 2 && (!strcmp(argv[2], "uring") || !strcmp(argv[2], "bare-uring"));
	bare = argc > 3 && !strncmp(argv[2], "bare", 4);
	if (bare && bare_open(argv[3], BARE_LOG))
		return 1;
	cached = argc > 2 && (!strcmp(argv[2], "cached") || !strcmp(argv[2], "bare-cached"));
	if (argc > 3 && !strcmp(argv[2], "sync") && open_disk(argv[3])) {
		perror(argv[3]);
		return 1;
	}
	session = s = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (s && !fuse_set_signal_handlers(s) && !fuse_session_mount(s, argv[1])) {
		fuse_loop_cfg_set_clone_fd(config, 0);
		r = (over_uring ? loop_uring() : fuse_session_loop_mt(s, config)) != 0;
		fuse_session_unmount(s);
	}
	if (s)
		fuse_session_destroy(s);
	fuse_loop_cfg_destroy(config);
	return r;
}
