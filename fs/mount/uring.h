/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/mount (and the null filesystem of tests/bench): FUSE over io_uring.
 *
 * The kernel keeps a queue for each processor, and sends a request to that of the processor the
 * caller runs on. Each queue has a thread here with a ring of its own; an entry of the ring carries
 * one request to us and its reply back. A reply may be given by any thread: it is laid into the
 * entry, and the queue's thread hands the entry to the kernel, for only that thread may.
 *
 * FORGET and INTERRUPT still come through /dev/fuse, and notifications leave through it: somebody
 * has to go on reading there.
 *
 * libfuse 3.14 knows nothing of this. Whoever uses it installs read and writev of fuse_custom_io
 * that call cof_uring_read and cof_uring_writev; with them the feature is agreed in INIT, and the
 * replies that belong to a ring find their way.
 *
 * Lifecycle: new, then INIT through /dev/fuse, then start where it was agreed, drain, free.
 */
#ifndef COF_MOUNT_URING_H
#define COF_MOUNT_URING_H

#include "base/base.h"

#include <fuse3/fuse_lowlevel.h>
#include <sys/uio.h>

struct cof_uring;

struct cof_uring_request {
	unsigned queue;
	struct fuse_buf buf; /* for fuse_session_process_buf; valid until the reply */
	/* A reply's data that lies at room is not copied. It overlies what follows the operation's
	 * own header (names, data): READ and READDIR have nothing there. */
	uint8_t *room;
	size_t room_size;
};

struct cof_uring_params {
	struct fuse_session *session; /* mounted */
	size_t payload;		      /* the most that one request carries; whole pages */
	/* In the queue's thread: gets the request a reply, at once or later. */
	void (*handle)(void *user, const struct cof_uring_request *r);
	/* A queue will serve nobody any more: the connection ended, or its ring failed. */
	void (*lost)(void *user);
	void *user;
};

/* Takes everything that is needed, so that nothing can be lacking once the kernel was told yes.
 * Without a message, for it is no error to do without: -errno. */
int cof_uring_new(const struct cof_uring_params *p, struct cof_uring **ret);
unsigned cof_uring_queues(const struct cof_uring *u);
/* Whether the kernel offered it and got yes for an answer. */
bool cof_uring_agreed(const struct cof_uring *u);
/* Requests come from here on. -EOPNOTSUPP: the kernel did not take the rings after all, and sends
 * everything through /dev/fuse. -EIO: it still waits for them, and the mount is of no use. */
int cof_uring_start(struct cof_uring *u);
/* Returns when no thread handles a request any more; what comes from now on is left to the end of
 * the connection. Replies are still taken. */
void cof_uring_drain(struct cof_uring *u);
/* Hands over what was replied and ends the threads. NULL is fine. */
void cof_uring_free(struct cof_uring *u);

/* As read(2) and writev(2), of /dev/fuse. u may be NULL. */
ssize_t cof_uring_read(struct cof_uring *u, int fd, void *buf, size_t n);
ssize_t cof_uring_writev(struct cof_uring *u, int fd, struct iovec *iov, int count);

#endif
