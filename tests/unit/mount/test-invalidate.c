/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of kernel caches to drop, with the kernel's side and the replies played by the test: a
 * gate holds the "kernel" until the test opens it, so that each overlap is made on purpose.
 */
#include "test-mount.h"

#include "fs/mount/internal.h"

#define LOG_MAX 8192

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned n_log, entered, passes; /* passes: how often the kernel may go on */
static uint64_t log_entries[LOG_MAX];   /* an inode dropped, or SENT + the task's offset */
static bool no_memory;

#define SENT (1ull << 32)

static struct cof_mount *m;

/* ---- the other sides ---- */

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

static void add_log(uint64_t what)
{
	ck_assert_uint_lt(n_log, LOG_MAX);
	log_entries[n_log++] = what;
	pthread_cond_broadcast(&changed);
}

int fuse_lowlevel_notify_inval_inode(struct fuse_session *se, fuse_ino_t ino, off_t off, off_t len)
{
	(void)se;
	ck_assert_int_eq(off, 0);
	ck_assert_int_eq(len, 0); /* to the end */
	pthread_mutex_lock(&lock);
	entered++;
	pthread_cond_broadcast(&changed);
	while (passes == 0)
		pthread_cond_wait(&changed, &lock);
	passes--;
	add_log(ino);
	pthread_mutex_unlock(&lock);
	return -ENOENT; /* what the kernel says of inodes that it does not know: no fault */
}

void cof_task_send(struct cof_task *t)
{
	pthread_mutex_lock(&lock);
	add_log(SENT + t->reply.sequence);
	pthread_mutex_unlock(&lock);
	free(t);
}

static struct cof_task *task(uint64_t number)
{
	struct cof_task *t = malloc(sizeof(*t));

	ck_assert_ptr_nonnull(t);
	*t = (struct cof_task){.mount = m, .reply.sequence = number};
	return t;
}

static void let_pass(unsigned n)
{
	pthread_mutex_lock(&lock);
	passes += n;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_entered(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (entered < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void setup(void)
{
	m = calloc(1, sizeof(*m));
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(cof_inval_init(&m->inval), 0);
	n_log = entered = passes = 0;
	no_memory = false;
}

static void teardown(void)
{
	cof_inval_done(&m->inval);
	free(m);
}

static void expect_log(const uint64_t *want, unsigned n)
{
	ck_assert_uint_eq(n_log, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_msg(log_entries[i] == want[i], "entry %u is %#llx, not %#llx", i,
			      (unsigned long long)log_entries[i], (unsigned long long)want[i]);
}

/* ---- tests ---- */

START_TEST(once_each_in_order_then_replies)
{
	cof_inval_queue(m, 7, NULL);
	cof_inval_queue(m, 9, task(1));
	cof_inval_queue(m, 7, NULL);
	cof_inval_queue(m, 9, NULL);
	ck_assert(cof_inval_pending(m, 7) && cof_inval_pending(m, 9));
	ck_assert(!cof_inval_pending(m, 8));
	let_pass(LOG_MAX);
	ck_assert_int_eq(cof_inval_start(m), 0);
	cof_inval_stop(m); /* what is queued is still done */
	expect_log((const uint64_t[]){7, 9, SENT + 1}, 3);
	ck_assert(!cof_inval_pending(m, 7) && !cof_inval_pending(m, 9));
}
END_TEST

/* A commit while the pages are being looked at: they have to be looked at again, and only then may
 * its reply go. */
START_TEST(again_while_it_is_dropped)
{
	ck_assert_int_eq(cof_inval_start(m), 0);
	cof_inval_queue(m, 5, task(1));
	wait_entered(1);
	cof_inval_queue(m, 5, task(2));
	ck_assert(cof_inval_pending(m, 5));
	let_pass(1);
	wait_entered(2);
	pthread_mutex_lock(&lock);
	expect_log((const uint64_t[]){5, SENT + 1}, 2);
	pthread_mutex_unlock(&lock);
	ck_assert(cof_inval_pending(m, 5));
	let_pass(1);
	cof_inval_stop(m);
	expect_log((const uint64_t[]){5, SENT + 1, 5, SENT + 2}, 4);
	ck_assert(!cof_inval_pending(m, 5));
}
END_TEST

START_TEST(again_without_a_reply)
{
	ck_assert_int_eq(cof_inval_start(m), 0);
	cof_inval_queue(m, 5, NULL);
	wait_entered(1);
	cof_inval_queue(m, 5, NULL);
	cof_inval_queue(m, 5, NULL);
	let_pass(2);
	cof_inval_stop(m);
	expect_log((const uint64_t[]){5, 5}, 2);
}
END_TEST

START_TEST(many)
{
	enum { N = 5000 };
	uint64_t sum = 0;

	ck_assert_int_eq(cof_inval_start(m), 0);
	let_pass(LOG_MAX);
	for (uint64_t ino = 1; ino <= N; ino++)
		cof_inval_queue(m, ino * 1024, NULL);
	cof_inval_stop(m);
	ck_assert_uint_eq(n_log, N);
	for (unsigned i = 0; i < N; i++)
		sum += log_entries[i] / 1024;
	ck_assert_uint_eq(sum, (uint64_t)N * (N + 1) / 2);
	ck_assert_uint_eq(atomic_load(&m->inval.count), 0);
	for (unsigned i = 0; i < COF_INVAL_BUCKETS; i++)
		ck_assert_ptr_null(m->inval.buckets[i]);
}
END_TEST

START_TEST(commit_under_way_means_pending)
{
	ck_assert(!cof_inval_pending(m, 5));
	atomic_fetch_add(&m->inval.committing, 1);
	ck_assert(cof_inval_pending(m, 5));
	atomic_fetch_sub(&m->inval.committing, 1);
	ck_assert(!cof_inval_pending(m, 5));
}
END_TEST

/* Nothing may be cached from then on, and nobody's reply is lost. */
START_TEST(no_memory_means_no_cache)
{
	struct cof_task *t = task(3);

	no_memory = true;
	cof_inval_queue(m, 5, t);
	no_memory = false;
	expect_log((const uint64_t[]){SENT + 3}, 1);
	ck_assert(cof_inval_pending(m, 5) && cof_inval_pending(m, 6));
	ck_assert(atomic_load(&m->inval.lost));
}
END_TEST

START_TEST(never_started)
{
	cof_inval_queue(m, 5, NULL);
	cof_inval_stop(m); /* returns; done frees what is left */
	ck_assert_uint_eq(n_log, 0);
}
END_TEST

TCase *invalidate_case(void)
{
	TCase *c = tcase_create("invalidate");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, once_each_in_order_then_replies);
	tcase_add_test(c, again_while_it_is_dropped);
	tcase_add_test(c, again_without_a_reply);
	tcase_add_test(c, many);
	tcase_add_test(c, commit_under_way_means_pending);
	tcase_add_test(c, no_memory_means_no_cache);
	tcase_add_test(c, never_started);
	return c;
}
