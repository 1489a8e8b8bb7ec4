/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/mount: the session, its workers, parked replies, the queue of caches to drop.
 *
 * No handle and no node carries state: a node id is an inode number, fh is 0, lookup counts are not
 * kept. Whatever a request needs it brings along. The archive counts who can write to a file, by the
 * flags that OPEN, CREATE and RELEASE bring.
 *
 * Lock order: each lock here is a leaf; nothing of fs/archive is called under one.
 */
#ifndef COF_MOUNT_INTERNAL_H
#define COF_MOUNT_INTERNAL_H

#include "fs/mount/mount.h"

#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

/* Nothing changes behind the kernel's back without an invalidation, so what it knows may last. */
#define COF_CACHE_SECONDS (30.0 * 86400)
#define COF_FOREVER_SECOND 253402300799LL /* 9999-12-31T23:59:59Z stands for an infinite retention */
#define COF_MAX_WRITE (1u << 20) /* bytes of one request; whole pages */
#define COF_BLOCK 65536 /* st_blksize: one chunk of a frame, so that stdio fills whole ones */

/* ---- cookies of directory entries ---- */

/* off 0: the start; 1: behind "."; 2: behind ".."; else the archive's cookie (>= 1) + 2. */
static inline int64_t cof_cookie_out(uint64_t archive_cookie)
{
	return (int64_t)(archive_cookie + 2);
}
static inline uint64_t cof_cookie_in(int64_t off)
{
	return off > 2 ? (uint64_t)off - 2 : 0;
}

/* ---- kernel caches to drop (invalidate.c) ---- */

struct cof_task;

struct cof_inval_node {
	struct cof_inval_node *next;      /* in the queue */
	struct cof_inval_node *next_hash; /* in its bucket */
	struct cof_task *waiting;         /* replies that wait for it */
	uint64_t ino;
	bool again; /* asked for once more while it was being dropped */
	bool busy;
};

#define COF_INVAL_BUCKETS 1024

struct cof_inval {
	pthread_mutex_t lock; /* guards everything here but the atomic ones */
	pthread_cond_t more;
	struct cof_inval_node *head, **tail;
	struct cof_inval_node *buckets[COF_INVAL_BUCKETS];
	pthread_t thread;
	bool running, stop;
	atomic_uint count;      /* nodes queued or being dropped */
	atomic_uint committing; /* requests under way that may commit a file */
	atomic_bool lost;       /* one could not be queued: nothing may be cached from now on */
};

struct cof_mount;

int cof_inval_init(struct cof_inval *q);
void cof_inval_done(struct cof_inval *q);
int cof_inval_start(struct cof_mount *m);
void cof_inval_stop(struct cof_mount *m); /* what is queued is still dropped, replies are sent */
/* Never blocks on a request. task (may be NULL) is replied to once the caches were dropped. */
void cof_inval_queue(struct cof_mount *m, uint64_t ino, struct cof_task *task);
/* Whether caches of this inode are yet to be dropped: an open must not keep them. */
bool cof_inval_pending(struct cof_mount *m, uint64_t ino);

/* ---- session ---- */

struct cof_worker {
	struct cof_mount *mount;
	pthread_t thread;
	bool started;
	bool resent; /* the request being handled was sent by the kernel before */
	struct fuse_buf buf;
	uint8_t *scratch; /* for read and readdir replies */
	size_t scratch_size;
	uint8_t *lent; /* where such a reply need not be copied from, while a request is handled */
	size_t lent_size;
};

/* Who syncs in the place of a ring's threads (syncer.c). */
struct cof_syncer {
	pthread_mutex_t lock; /* guards head, tail and stop */
	pthread_cond_t more;
	struct cof_task *head, **tail;
	bool running, stop; /* running: set before there are requests, cleared after the last */
	pthread_t thread;
};

struct cof_uring;

struct cof_mount {
	struct cof_archive *archive;
	struct fuse_session *session;
	struct cof_mount_root root;
	pthread_key_t worker_key;
	struct cof_worker *workers;
	unsigned n_workers;
	struct cof_inval inval;
	atomic_bool init_seen;
	struct cof_uring *uring;         /* NULL: all goes through /dev/fuse */
	struct cof_worker *ring_workers; /* one for each of its queues */
	atomic_bool over_uring;          /* requests come that way */
	struct cof_syncer syncer;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping; /* cof_mount_stop, or a worker saw the end of the connection */
	/* Not changed: the thread that waits for the end would be woken with each request. */
	pthread_cond_t drained;
	atomic_ullong parked; /* tasks; taken to 0 under the lock, by whoever then signals drained */
};

struct cof_worker *cof_worker_self(fuse_req_t req);
/* The worker's own buffer, at least n bytes; NULL: out of memory. It may overlie names and data that
 * the request brought. */
uint8_t *cof_worker_scratch(fuse_req_t req, size_t n);

/* ---- replies (reply.c) ---- */

enum cof_shape {
	COF_SHAPE_ERROR,
	COF_SHAPE_ENTRY,
	COF_SHAPE_CREATE,
	COF_SHAPE_OPEN,
	COF_SHAPE_ATTR,
	COF_SHAPE_WRITE,
	COF_SHAPE_IOCTL
};

/* A request on its way: made before anything is done, so that no reply fails for want of memory. */
struct cof_task {
	struct cof_task *next; /* waiting for the syncer, or later for an invalidation */
	struct cof_mount *mount;
	fuse_req_t req;
	enum cof_shape shape;
	struct fuse_file_info fi; /* CREATE */
	struct cof_reply reply;
	int error;
	bool may_commit; /* counted in inval.committing until it is freed */
	bool committed;  /* the kernel's pages go before the reply */
};

static inline bool cof_opens_for_writing(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}
static inline struct cof_mount *cof_mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}
/* The one place where -errno becomes a FUSE error. */
void cof_reply_error(fuse_req_t req, int err);
void cof_fill_stat(const struct cof_attr *a, struct stat *ret);
void cof_fill_entry(struct cof_mount *m, const struct cof_attr *a, struct fuse_entry_param *ret);
double cof_cache_seconds(struct cof_mount *m);
struct cof_who cof_who_of(fuse_req_t req);

/* One mutating request: the archive is asked once, and exactly one reply is sent, at once or, when
 * it has to be durable first, from whoever completes the sync. fi: CREATE only. */
void cof_act(fuse_req_t req, const struct cof_op *op, enum cof_shape shape,
	     const struct fuse_file_info *fi);
/* As act for up to n operations on one object, in order, until one fails; the reply shows the last.
 */
void cof_act_all(fuse_req_t req, const struct cof_op *ops, size_t n, enum cof_shape shape);
/* Replies 0 once everything up to the sequence is durable. */
void cof_reply_synced(fuse_req_t req, uint64_t sequence);
void cof_task_send(struct cof_task *t); /* replies and frees */
/* Asks that everything up to the task's sequence becomes durable; task_synced follows (syncer.c). */
void cof_sync_task(struct cof_task *t);
void cof_task_synced(void *task, int err);

/* ---- handlers (ops-*.c) ---- */

void cof_ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void cof_ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void cof_ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		     struct fuse_file_info *fi);
void cof_ops_readlink(fuse_req_t req, fuse_ino_t ino);
void cof_ops_statfs(fuse_req_t req, fuse_ino_t ino);

void cof_ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void cof_ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void cof_ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		    struct fuse_file_info *fi);
void cof_ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void cof_ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void cof_ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void cof_ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void cof_ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		    const char *new_name, unsigned flags);

void cof_ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     struct fuse_file_info *fi);
void cof_ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi);
void cof_ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

void cof_ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void cof_ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void cof_ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  struct fuse_file_info *fi);
void cof_ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		   struct fuse_file_info *fi);
void cof_ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void cof_ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		       struct fuse_file_info *fi);

void cof_ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void cof_ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void cof_ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		      size_t size, int flags);
void cof_ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void cof_ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
		   struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		   size_t out_size);

#endif
