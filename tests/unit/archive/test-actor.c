/* SPDX-License-Identifier: Apache-2.0 */
/* Who wrote: real processes and threads, written once, told apart, and never mistaken for another.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	store_done(&s);
}

static uint32_t use(uint32_t uid, uint32_t tid)
{
	struct cof_who who = {uid, uid, tid, false};
	uint32_t ordinal = 0;

	ck_assert_int_eq(cof_actor_use(s.archive, &who, false, &ordinal), 0);
	return ordinal;
}

static struct cof_json *actor_entry(struct cof_json *list, uint32_t ordinal)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		if (number_of(cof_json_at(list, i), "position") == ordinal)
			return cof_json_at(list, i);
	return NULL;
}

static size_t count_actors(void)
{
	struct cof_json *list = entries_of(&s, "actor");
	size_t n = cof_json_count(list);

	cof_json_free(list);
	return n;
}

START_TEST(once)
{
	uint32_t me = (uint32_t)getpid();
	struct cof_json *list, *e;
	char comm[32] = "";

	ck_assert_uint_eq(use(1000, me), 1);
	ck_assert_uint_eq(use(1000, me), 1);
	ck_assert_uint_eq(use(1001, me), 2);
	ck_assert_uint_eq(use(1000, me), 1);
	prctl(PR_GET_NAME, comm);
	list = entries_of(&s, "actor");
	ck_assert_uint_eq(cof_json_count(list), 2);
	e = actor_entry(list, 1);
	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(number_of(e, "uid"), 1000);
	ck_assert_int_eq(number_of(e, "gid"), 1000);
	ck_assert_int_eq(number_of(e, "pid"), me);
	ck_assert_str_eq(cof_json_str(e, "command"), comm);
	ck_assert_int_gt(number_of(e, "start_time"), 0);
	cof_json_free(list);
}
END_TEST

START_TEST(nobody)
{
	struct cof_who daemon = {0, 0, 0, true}, unknown = {7, 8, 0, false};
	struct cof_json *list, *e;
	uint32_t ordinal = 99;

	ck_assert_int_eq(cof_actor_use(s.archive, &daemon, false, &ordinal), 0);
	ck_assert_uint_eq(ordinal, 0);
	ck_assert_uint_eq(count_actors(), 0);
	ck_assert_int_eq(cof_actor_known(s.archive, &unknown, &ordinal), -ENOENT);
	ck_assert_int_eq(cof_actor_use(s.archive, &unknown, false, &ordinal), 0);
	ck_assert_uint_eq(ordinal, 1);
	ck_assert_int_eq(cof_actor_known(s.archive, &unknown, &ordinal), 0);
	ck_assert_uint_eq(use(7, 0x7ffffff0), 2); /* no such process */
	list = entries_of(&s, "actor");
	e = actor_entry(list, 1);
	ck_assert_int_eq(number_of(e, "uid"), 7);
	ck_assert_int_eq(number_of(e, "gid"), 8);
	ck_assert_ptr_null(cof_json_get(e, "command")); /* what was not seen is not said */
	ck_assert_ptr_null(cof_json_get(e, "start_time"));
	cof_json_free(list);
}
END_TEST

struct helper { /* a process that waits for a byte */
	pid_t pid;
	int to;
};

static struct helper spawn(const char *name)
{
	struct helper h;
	int fd[2], ready[2];
	char c;

	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(pipe(ready), 0);
	h.pid = fork();
	ck_assert_int_ge(h.pid, 0);
	if (h.pid == 0) {
		close(fd[1]);
		prctl(PR_SET_NAME, name);
		if (write(ready[1], "x", 1) != 1 || read(fd[0], &c, 1) < 0)
			_exit(1);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(fd[0]);
	close(ready[0]);
	close(ready[1]);
	h.to = fd[1];
	return h;
}

static void end(struct helper *h)
{
	int status;

	close(h->to);
	kill(h->pid, SIGKILL); /* a later one has a copy of the pipe */
	ck_assert_int_eq(waitpid(h->pid, &status, 0), h->pid);
}

START_TEST(processes)
{
	struct helper a = spawn("first"), b = spawn("second");
	struct cof_json *list;

	ck_assert_uint_eq(use(5, (uint32_t)a.pid), 1);
	ck_assert_uint_eq(use(5, (uint32_t)b.pid), 2);
	ck_assert_uint_eq(use(5, (uint32_t)a.pid), 1);
	list = entries_of(&s, "actor");
	ck_assert_str_eq(cof_json_str(actor_entry(list, 1), "command"), "first");
	ck_assert_str_eq(cof_json_str(actor_entry(list, 2), "command"), "second");
	cof_json_free(list);
	end(&a);
	end(&b);
}
END_TEST

/* The number comes back with another process behind it: the kept descriptor knows that the first
 * one is gone. */
START_TEST(reused_number)
{
	struct helper a = spawn("victim"), b;
	uint32_t number = (uint32_t)a.pid, first, second;
	FILE *f;

	first = use(5, number);
	end(&a);
	/* gone: not the same any more, whoever may have the number */
	second = use(5, number);
	ck_assert_uint_ne(second, first);

	f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	if (f) { /* needs a privilege; elsewhere the part above is all */
		fprintf(f, "%u", number - 1);
		if (fclose(f) == 0) {
			b = spawn("other");
			if ((uint32_t)b.pid == number) {
				struct cof_json *list, *e;
				uint32_t third = use(5, number);

				ck_assert_uint_ne(third, first);
				ck_assert_uint_ne(third, second);
				list = entries_of(&s, "actor");
				e = actor_entry(list, third);
				ck_assert_str_eq(cof_json_str(e, "command"), "other");
				cof_json_free(list);
			}
			end(&b);
		}
	}
}
END_TEST

struct thread {
	pthread_t id;
	uint32_t tid;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	int stage; /* 1: tid known, 2: has to end */
};

static void *wait_in_thread(void *arg)
{
	struct thread *t = arg;

	prctl(PR_SET_NAME, "a-worker");
	pthread_mutex_lock(&t->lock);
	t->tid = (uint32_t)syscall(SYS_gettid);
	t->stage = 1;
	pthread_cond_broadcast(&t->cond);
	while (t->stage < 2)
		pthread_cond_wait(&t->cond, &t->lock);
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Threads of one process are one actor, under the process's number and name. */
START_TEST(threads)
{
	struct thread t = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	uint32_t tgid = 0;
	uint64_t start = 0;
	struct cof_json *list;

	ck_assert_int_eq(pthread_create(&t.id, NULL, wait_in_thread, &t), 0);
	pthread_mutex_lock(&t.lock);
	while (t.stage < 1)
		pthread_cond_wait(&t.cond, &t.lock);
	pthread_mutex_unlock(&t.lock);
	ck_assert_uint_ne(t.tid, (uint32_t)getpid());
	ck_assert_int_eq(cof_actor_process(t.tid, &tgid, &start), 0);
	ck_assert_uint_eq(tgid, (uint32_t)getpid());
	ck_assert_uint_eq(use(5, t.tid), 1);
	ck_assert_uint_eq(use(5, (uint32_t)getpid()), 1);
	ck_assert_uint_eq(use(5, t.tid), 1);
	list = entries_of(&s, "actor");
	ck_assert_uint_eq(cof_json_count(list), 1);
	ck_assert_int_eq(number_of(cof_json_at(list, 0), "pid"), getpid());
	ck_assert_str_ne(cof_json_str(cof_json_at(list, 0), "command"), "a-worker");
	cof_json_free(list);
	pthread_mutex_lock(&t.lock);
	t.stage = 2;
	pthread_cond_broadcast(&t.cond);
	pthread_mutex_unlock(&t.lock);
	pthread_join(t.id, NULL);
	ck_assert_int_eq(cof_actor_process(0x7ffffff0, &tgid, &start), -ESRCH);
	ck_assert_int_eq(cof_actor_process(0, &tgid, &start), -ESRCH);
}
END_TEST

/* Another program in the same process is another actor. */
START_TEST(executed)
{
	char old[32] = "";
	uint32_t first, second;

	prctl(PR_GET_NAME, old);
	first = use(5, (uint32_t)getpid());
	prctl(PR_SET_NAME, "changed");
	second = use(5, (uint32_t)getpid());
	ck_assert_uint_ne(first, second);
	prctl(PR_SET_NAME, old);
	ck_assert_uint_eq(use(5, (uint32_t)getpid()), first);
}
END_TEST

/* Far more than the caches hold: descriptors stay bounded, everybody gets an ordinal that has a
 * frame. */
START_TEST(bounded)
{
	uint32_t n = 3000, last = 0;
	int before, after;

	use(0, (uint32_t)getpid());
	before = dup(0);
	for (uint32_t uid = 1; uid <= n; uid++)
		last = use(uid, (uint32_t)getpid());
	after = dup(0);
	ck_assert_uint_eq(last, n + 1);
	ck_assert_int_le(after - before, 16 * COF_ACTOR_SHARDS);
	ck_assert_uint_eq(count_actors(), n + 1);
	close(before);
	close(after);
}
END_TEST

/* Each mount begins anew. */
START_TEST(per_mount)
{
	ck_assert_uint_eq(use(5, (uint32_t)getpid()), 1);
	store_close(&s);
	store_open(&s);
	ck_assert_uint_eq(use(6, (uint32_t)getpid()), 1);
	ck_assert_uint_eq(count_actors(), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-actor");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("actor");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, once);
	tcase_add_test(c, nobody);
	tcase_add_test(c, processes);
	tcase_add_test(c, reused_number);
	tcase_add_test(c, threads);
	tcase_add_test(c, executed);
	tcase_add_test(c, bounded);
	tcase_add_test(c, per_mount);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
