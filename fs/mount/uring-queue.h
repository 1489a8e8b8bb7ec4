/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the two files of uring.h: one queue, its thread, its entries. */
#ifndef COF_MOUNT_URING_QUEUE_H
#define COF_MOUNT_URING_QUEUE_H

#include "fs/mount/uring.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * The kernel's part of an entry: how a request lies in memory. linux/fuse.h has it from 7.42 on
 * (fuse_uring_req_header); Debian 12's does not.
 */
struct cof_uring_header {
	uint8_t in_out[128]; /* fuse_in_header, then of the reply fuse_out_header */
	uint8_t op_in[128];  /* the operation's own header: fuse_write_in and the like */
	uint64_t flags;
	uint64_t commit_id;
	uint32_t payload_size;
	uint32_t padding;
	uint64_t reserved;
};
_Static_assert(sizeof(struct cof_uring_header) == 288, "as the kernel has it");

struct cof_uring_entry {
	struct cof_uring_entry *next; /* replied to by another thread */
	struct cof_uring_queue *queue;
	struct cof_uring_header *header; /* in the page before the payload */
	uint8_t *payload;
	struct iovec iov[2]; /* header and payload, for the kernel */
	uint64_t unique;     /* the kernel's number of the request that it carries */
};

struct cof_uring_queue;

/* Makes the queue's memory and ring and starts its thread, which waits for cof_uring_queue_go.
 * Everything belongs to that thread, so that its end is the ring's end. */
int cof_uring_queue_new(const struct cof_uring_params *p, unsigned number, unsigned depth,
			struct cof_uring_queue **ret);
/* Has the thread register the entries. How many the kernel took; 0: it refused all; -errno: it was
 * not asked. */
int cof_uring_queue_go(struct cof_uring_queue *q);
void cof_uring_queue_drain(struct cof_uring_queue *q);	     /* asks */
void cof_uring_queue_wait_drained(struct cof_uring_queue *q); /* and waits */
void cof_uring_queue_stop(struct cof_uring_queue *q);	     /* asks */
void cof_uring_queue_free(struct cof_uring_queue *q);	     /* and waits; NULL is fine */

/* The entry that a request was given as its number; NULL: it is no number of ours. */
struct cof_uring_entry *cof_uring_queue_entry(struct cof_uring_queue *q, uint32_t index);
/* A reply lies in the entry: it goes to the kernel. From any thread. */
void cof_uring_queue_reply(struct cof_uring_entry *e);

/* The number under which libfuse knows a request: bit 62 (the kernel counts from 2 and never gets
 * there), the queue, the entry. So a reply finds its entry without a table. */
#define COF_URING_TAG (1ULL << 62)
static inline uint64_t cof_uring_tag(unsigned queue, uint32_t index)
{
	return COF_URING_TAG | (uint64_t)queue << 32 | index;
}

#endif
