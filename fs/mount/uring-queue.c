/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue of FUSE over io_uring: the thread of a processor with its ring and its entries.
 *
 * An entry is with the kernel until a request completes its command, then with us until the command
 * that takes the reply also asks for the next request. Only the queue's thread hands commands over.
 * A reply that another thread gives (one that had to wait for the disk) goes on a list, and an
 * eventfd, which the ring reads, wakes the thread; it finds all that came together.
 *
 * The thread is pinned, for the kernel sends it what callers on its processor ask: unpinned, a
 * small write took three times as long.
 */
#include "fs/mount/uring-queue.h"

#include <liburing.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Of linux/fuse.h from 7.42 on. */
#define CMD_REGISTER 1
#define CMD_COMMIT_AND_FETCH 2
struct command {
	uint64_t flags;
	uint64_t commit_id;
	uint16_t qid;
	uint8_t padding[6];
};
_Static_assert(sizeof(struct command) == 24, "as the kernel has it");

#define FRONT 4096u	    /* the page before a payload: our headers */
#define LARGE (64u << 10)   /* requests and replies of this size do not wait for a batch */
#define FILE_FUSE 0	    /* of the ring's registered files */
#define FILE_WAKE 1

enum state { STARTING, WAITING, GOING, DRAINED, ENDED };

struct cof_uring_queue {
	struct cof_uring_params params;
	unsigned number, depth;
	struct cof_uring_entry *entries;
	uint8_t *memory;
	size_t memory_size;
	int wake; /* eventfd */

	/* Of the thread alone: */
	struct io_uring ring;
	uint64_t woken; /* the eventfd's value */
	unsigned with_kernel;
	bool large; /* a reply that is not handed over yet is */

	_Atomic(struct cof_uring_entry *) replied; /* by other threads */
	atomic_bool drain, stop;

	pthread_t thread;
	pthread_t self; /* the thread, as it knows itself; set before it registers entries */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum state state;
	bool go;
	int error;	     /* of the start */
	int registered;	     /* entries that the kernel took, or -errno */
};

static void set_state(struct cof_uring_queue *q, enum state state)
{
	pthread_mutex_lock(&q->lock);
	q->state = state;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

static void wait_past(struct cof_uring_queue *q, enum state state)
{
	while (q->state <= state)
		pthread_cond_wait(&q->changed, &q->lock);
}

/* ---- commands ---- */

/* There is room for one command of each entry and the wake: none is ever under way twice. */
static void prepare(struct cof_uring_queue *q, struct cof_uring_entry *e, uint32_t op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);
	struct command c = {.commit_id = e->header->commit_id, .qid = (uint16_t)q->number};

	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, FILE_FUSE, e->iov, 2, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->cmd_op = op;
	memcpy(sqe->cmd, &c, sizeof(c));
	io_uring_sqe_set_data(sqe, e);
	q->with_kernel++;
	q->large |= e->header->payload_size >= LARGE;
}

static void prepare_wake(struct cof_uring_queue *q)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	io_uring_prep_read(sqe, FILE_WAKE, &q->woken, sizeof(q->woken), 0);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, NULL);
}

static void wake(struct cof_uring_queue *q)
{
	static const uint64_t one = 1;
	ssize_t r;

	/* Fails only when it is as good as full, and then the thread is awake. */
	do
		r = write(q->wake, &one, sizeof(one));
	while (r < 0 && errno == EINTR);
}

struct cof_uring_entry *cof_uring_queue_entry(struct cof_uring_queue *q, uint32_t index)
{
	return index < q->depth ? &q->entries[index] : NULL;
}

void cof_uring_queue_reply(struct cof_uring_entry *e)
{
	struct cof_uring_queue *q = e->queue;
	struct cof_uring_entry *head;

	if (pthread_equal(pthread_self(), q->self)) {
		prepare(q, e, CMD_COMMIT_AND_FETCH);
		return;
	}
	head = atomic_load(&q->replied);
	do
		e->next = head;
	while (!atomic_compare_exchange_weak(&q->replied, &head, e));
	/* Whoever made it more than empty woke the thread, and it takes the whole list. */
	if (!head)
		wake(q);
}

static void take_replied(struct cof_uring_queue *q)
{
	struct cof_uring_entry *e = NULL;

	if (atomic_load_explicit(&q->replied, memory_order_relaxed))
		e = atomic_exchange(&q->replied, NULL);
	while (e) {
		struct cof_uring_entry *next = e->next;

		prepare(q, e, CMD_COMMIT_AND_FETCH);
		e = next;
	}
}

/* ---- requests ---- */

/* libfuse wants a request in one piece: its two headers are copied to just before the payload, and
 * the payload stays where it is. */
static size_t join(struct cof_uring_entry *e, uint8_t **ret_start)
{
	struct fuse_in_header h;
	size_t payload = e->header->payload_size, op;

	memcpy(&h, e->header->in_out, sizeof(h));
	if (payload > e->iov[1].iov_len || h.len < sizeof(h) + payload)
		return 0;
	op = h.len - sizeof(h) - payload;
	if (op > sizeof(e->header->op_in))
		return 0;
	e->unique = h.unique;
	h.unique = cof_uring_tag(e->queue->number, (uint32_t)(e - e->queue->entries));
	*ret_start = e->payload - op - sizeof(h);
	memcpy(*ret_start, &h, sizeof(h));
	memcpy(e->payload - op, e->header->op_in, op);
	return h.len;
}

/* A request that is none (the kernel does not make such): EIO for whoever asked. */
static void refuse(struct cof_uring_entry *e)
{
	struct fuse_out_header h = {.len = sizeof(h), .error = -EIO, .unique = e->header->commit_id};

	memcpy(e->header->in_out, &h, sizeof(h));
	e->header->payload_size = 0;
	cof_uring_queue_reply(e);
}

/* Returns how many bytes it carried. */
static size_t handle(struct cof_uring_queue *q, struct cof_uring_entry *e)
{
	struct cof_uring_request r = {
	    .queue = q->number, .room = e->payload, .room_size = e->iov[1].iov_len};
	uint8_t *start = NULL;
	size_t n = join(e, &start);

	if (n == 0) {
		refuse(e);
		return 0;
	}
	r.buf = (struct fuse_buf){.size = n, .mem = start};
	q->params.handle(q->params.user, &r);
	return n;
}

/* 0: goes on. */
static int completed(struct cof_uring_queue *q, struct cof_uring_entry *e, int result)
{
	if (!e) {
		if (result < 0 && result != -EINTR && result != -EAGAIN)
			return result;
		prepare_wake(q);
		return 0;
	}
	q->with_kernel--;
	if (result < 0) /* the connection has ended, or the kernel did not want this entry */
		return q->with_kernel == 0 ? result : 0;
	/* While draining it is kept: the connection's end answers it. */
	if (atomic_load_explicit(&q->drain, memory_order_relaxed))
		return 0;
	q->large = false;
	if (handle(q, e) >= LARGE || q->large)
		(void)io_uring_submit(&q->ring); /* what fails is handed over with the next */
	return 0;
}

static int take_completions(struct cof_uring_queue *q)
{
	struct io_uring_cqe *cqe;
	int err = 0;

	while (err == 0 && io_uring_peek_cqe(&q->ring, &cqe) == 0) {
		struct cof_uring_entry *e = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&q->ring, cqe);
		err = completed(q, e, result);
	}
	return err;
}

/* Whether the ring is still good for something. */
static bool is_passing(int err)
{
	return err >= 0 || err == -EINTR || err == -EAGAIN || err == -EBUSY || err == -ETIME;
}

static void serve(struct cof_uring_queue *q)
{
	int err = 0;

	while (err == 0 && !atomic_load(&q->stop)) {
		if (atomic_load(&q->drain) && q->state < DRAINED)
			set_state(q, DRAINED);
		take_replied(q);
		err = io_uring_submit_and_wait(&q->ring, 1);
		err = is_passing(err) ? take_completions(q) : err;
	}
	/* What was replied last is handed over; these commands are carried out at once. */
	take_replied(q);
	while (io_uring_sq_ready(&q->ring) > 0 && io_uring_submit(&q->ring) > 0)
		;
	if (err < 0)
		q->params.lost(q->params.user);
}

/* ---- the thread ---- */

/* Two operations on the two descriptors that are registered, and no others for ever: what is done over a
 * ring is seen by no filter on system calls. */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction only[] = {
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_URING_CMD},
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE},
	    {.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS},
	    {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS},
	};

	/* Debian's liburing 2.3 declares functions for these two and has none. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, only,
		    COF_COUNT(only)) < 0 ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}

static int make_ring(struct cof_uring_queue *q)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
					     IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED};
	int files[] = {[FILE_FUSE] = fuse_session_fd(q->params.session), [FILE_WAKE] = q->wake};
	int err = io_uring_queue_init_params(q->depth + 1, &q->ring, &p);

	if (err < 0)
		return err;
	err = io_uring_register_files(&q->ring, files, COF_COUNT(files));
	if (err == 0)
		err = restrict_ring(&q->ring);
	if (err < 0)
		io_uring_queue_exit(&q->ring);
	else
		(void)io_uring_register_ring_fd(&q->ring); /* saves a look-up for each call */
	return err;
}

/* Where whoever started us allows this processor, and it is there. */
static void pin(struct cof_uring_queue *q)
{
	size_t size = CPU_ALLOC_SIZE(q->number + 1);
	cpu_set_t allowed, *one = CPU_ALLOC(q->number + 1);

	if (one && sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
	    CPU_ISSET_S(q->number, sizeof(allowed), &allowed)) {
		CPU_ZERO_S(size, one);
		CPU_SET_S(q->number, size, one);
		(void)sched_setaffinity(0, size, one);
	}
	if (one)
		CPU_FREE(one);
}

/* How many entries the kernel took; a command that it refuses completes before submit returns. */
static int register_entries(struct cof_uring_queue *q)
{
	struct io_uring_cqe *cqe;
	int r = 0;

	for (unsigned i = 0; i < q->depth; i++)
		prepare(q, &q->entries[i], CMD_REGISTER);
	prepare_wake(q);
	for (unsigned done = 0; done < q->depth + 1 && is_passing(r); done += r > 0 ? (unsigned)r : 0)
		r = io_uring_submit(&q->ring);
	if (!is_passing(r))
		return r;
	while (io_uring_peek_cqe(&q->ring, &cqe) == 0 && cqe->res < 0) {
		if (!io_uring_cqe_get_data(cqe))
			return -EIO; /* nobody could wake us */
		q->with_kernel--;
		io_uring_cqe_seen(&q->ring, cqe);
	}
	return (int)q->with_kernel;
}

static void *run(void *user)
{
	struct cof_uring_queue *q = user;
	int err = make_ring(q);
	int n = 0;

	q->self = pthread_self();
	if (err == 0)
		pin(q);
	pthread_mutex_lock(&q->lock);
	q->error = err;
	q->state = WAITING;
	pthread_cond_broadcast(&q->changed);
	while (!q->go && !atomic_load(&q->stop))
		pthread_cond_wait(&q->changed, &q->lock);
	pthread_mutex_unlock(&q->lock);
	if (err == 0 && !atomic_load(&q->stop)) {
		n = register_entries(q);
		pthread_mutex_lock(&q->lock);
		q->registered = n;
		pthread_mutex_unlock(&q->lock);
		set_state(q, GOING);
	}
	if (n > 0)
		serve(q);
	if (err == 0)
		io_uring_queue_exit(&q->ring);
	set_state(q, ENDED);
	return NULL;
}

/* ---- for uring.c ---- */

static int make_entries(struct cof_uring_queue *q)
{
	size_t one = FRONT + q->params.payload;

	q->memory_size = one * q->depth;
	q->memory = mmap(NULL, q->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (q->memory == MAP_FAILED) {
		q->memory = NULL;
		return -errno;
	}
	q->entries = calloc(q->depth, sizeof(*q->entries));
	if (!q->entries)
		return -ENOMEM;
	for (unsigned i = 0; i < q->depth; i++) {
		struct cof_uring_entry *e = &q->entries[i];

		e->queue = q;
		e->header = (struct cof_uring_header *)(q->memory + one * i);
		e->payload = q->memory + one * i + FRONT;
		e->iov[0] = (struct iovec){.iov_base = e->header, .iov_len = sizeof(*e->header)};
		e->iov[1] = (struct iovec){.iov_base = e->payload, .iov_len = q->params.payload};
	}
	return 0;
}

static void release(struct cof_uring_queue *q)
{
	if (q->wake >= 0)
		close(q->wake);
	if (q->memory)
		(void)munmap(q->memory, q->memory_size);
	free(q->entries);
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static int start_thread(struct cof_uring_queue *q)
{
	int err = -pthread_create(&q->thread, NULL, run, q);

	if (err < 0)
		return err;
	pthread_mutex_lock(&q->lock);
	wait_past(q, STARTING);
	err = q->error;
	pthread_mutex_unlock(&q->lock);
	if (err < 0) {
		cof_uring_queue_stop(q);
		(void)pthread_join(q->thread, NULL);
	}
	return err;
}

int cof_uring_queue_new(const struct cof_uring_params *p, unsigned number, unsigned depth,
			struct cof_uring_queue **ret)
{
	struct cof_uring_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	q->params = *p;
	q->number = number;
	q->depth = depth;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	q->wake = eventfd(0, EFD_CLOEXEC); /* blocking: the ring would not wait on another */
	err = q->wake < 0 ? -errno : make_entries(q);
	if (err == 0)
		err = start_thread(q);
	if (err < 0)
		release(q);
	else
		*ret = q;
	return err;
}

int cof_uring_queue_go(struct cof_uring_queue *q)
{
	int n;

	pthread_mutex_lock(&q->lock);
	q->go = true;
	pthread_cond_broadcast(&q->changed);
	wait_past(q, WAITING);
	n = q->registered;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void cof_uring_queue_drain(struct cof_uring_queue *q)
{
	atomic_store(&q->drain, true);
	wake(q);
}

void cof_uring_queue_wait_drained(struct cof_uring_queue *q)
{
	pthread_mutex_lock(&q->lock);
	if (q->go)
		wait_past(q, GOING);
	pthread_mutex_unlock(&q->lock);
}

void cof_uring_queue_stop(struct cof_uring_queue *q)
{
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->stop, true);
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
	wake(q);
}

void cof_uring_queue_free(struct cof_uring_queue *q)
{
	if (!q)
		return;
	(void)pthread_join(q->thread, NULL);
	release(q);
}
