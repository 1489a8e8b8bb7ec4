/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit under many threads: what was answered as durable is, each is answered once. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "fs/log/internal.h"
#include "world.h"

#define THREADS 6u
#define ROUNDS 60u

struct party {
	struct world *w;
	unsigned number;
	_Atomic uint64_t *highest; /* sequence that was answered as durable, plus one */
	_Atomic unsigned *answers, *errors;
	sem_t *answered;
	pthread_t thread;
};

static void raise_to(_Atomic uint64_t *highest, uint64_t value)
{
	uint64_t seen = atomic_load(highest);

	while (seen < value && !atomic_compare_exchange_weak(highest, &seen, value))
		;
}

static void *append_and_sync(void *arg)
{
	struct party *p = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t s;

		ck_assert_int_eq(world_put(p->w, p->number * 1000 + i, 700, false, &s), 0);
		if (i % 3 == p->number % 3) {
			struct cof_log_status st;

			ck_assert_int_eq(cof_log_sync(p->w->log, s), 0);
			cof_log_status(p->w->log, &st);
			ck_assert_uint_gt(st.durable, s);
			raise_to(p->highest, s + 1);
		}
	}
	return NULL;
}

static void run(struct world *w, struct party *p, void *(*fn)(void *), const struct party *with)
{
	for (unsigned i = 0; i < THREADS; i++) {
		p[i] = *with;
		p[i].w = w;
		p[i].number = i;
		ck_assert_int_eq(pthread_create(&p[i].thread, NULL, fn, &p[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(p[i].thread, NULL);
}

/* With the log's own threads and without them; then the power goes. */
START_TEST(what_was_answered_survives)
{
	_Atomic uint64_t highest = 0;
	struct party p[THREADS], with = {.highest = &highest};
	struct world w;

	ck_assert_int_eq(world_begin(&w, 41), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	if (_i % 2)
		ck_assert_int_eq(cof_log_start(w.log), 0);
	run(&w, p, append_and_sync, &with);
	cof_log_abandon(w.log);
	w.log = NULL;
	cof_io_free(w.io);
	w.io = NULL;
	cof_sim_reboot(w.sim, _i / 2 ? COF_SIM_TEAR : COF_SIM_LOSE);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_gt(highest, 0);
	ck_assert_uint_ge(w.rec.size, highest);
	ck_assert_int_eq(world_mount(&w), 0);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

static void answered(void *user, int err)
{
	struct party *p = user;

	atomic_fetch_add(p->answers, 1);
	if (err)
		atomic_fetch_add(p->errors, 1);
	sem_post(p->answered);
}

/* Nobody waits in between: answers come from whichever thread did the sync. */
static void *append_and_ask(void *arg)
{
	struct party *p = arg;
	uint64_t s;

	for (unsigned i = 0; i < ROUNDS; i++) {
		int r = world_put(p->w, p->number, 200, false, &s);

		if (r < 0) { /* the disk failed meanwhile: nothing was promised */
			answered(p, r);
			continue;
		}
		cof_log_sync_async(p->w->log, s, answered, p);
	}
	return NULL;
}

START_TEST(each_is_answered_once)
{
	_Atomic unsigned answers = 0, errors = 0;
	struct party p[THREADS], with = {.answers = &answers, .errors = &errors};
	struct world w;
	sem_t sem;

	sem_init(&sem, 0, 0);
	with.answered = &sem;
	ck_assert_int_eq(world_begin(&w, 42), 0);
	ck_assert_int_eq(cof_log_start(w.log), 0);
	if (_i) /* one operation fails somewhere among them: final for all that follow */
		cof_sim_plan(w.sim, COF_SIM_EIO, cof_sim_ops(w.sim) + 40 + (unsigned)_i);
	run(&w, p, append_and_ask, &with);
	for (unsigned i = 0; i < THREADS * ROUNDS; i++)
		while (sem_wait(&sem) < 0)
			;
	ck_assert_uint_eq(answers, THREADS * ROUNDS);
	if (_i) {
		ck_assert_uint_gt(errors, 0);
		ck_assert_int_eq(w.failed, -EIO);
		ck_assert_int_lt(cof_log_close(w.log, NULL), 0);
	} else {
		ck_assert_uint_eq(errors, 0);
		ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	}
	w.log = NULL;
	ck_assert_uint_eq(answers, THREADS * ROUNDS); /* and none comes later */
	sem_destroy(&sem);
	world_end(&w);
}
END_TEST

START_TEST(what_does_not_exist_is_refused)
{
	struct world w;

	ck_assert_int_eq(world_begin(&w, 43), 0);
	ck_assert_int_eq(cof_log_sync(w.log, 2), -EINVAL);
	ck_assert_int_eq(cof_log_sync(w.log, 1), 0);
	world_end(&w);
}
END_TEST

/* Nonce values are taken once, whoever asks. */
static void *take_counters(void *arg)
{
	struct party *p = arg;

	for (unsigned i = 0; i < ROUNDS; i++)
		ck_assert_int_eq(world_seal(p->w, p->number, 10, NULL), 0);
	return NULL;
}

START_TEST(counters_do_not_meet)
{
	struct party p[THREADS], with = {0};
	struct world w;

	ck_assert_int_eq(world_begin(&w, 44), 0);
	ck_assert_int_eq(cof_log_start(w.log), 0);
	run(&w, p, take_counters, &with);
	ck_assert_uint_eq(cof_log_counter(w.log, 1), THREADS * ROUNDS + 1);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT); /* which looks for it */
	world_end(&w);
}
END_TEST

static uint64_t put_and_sync(struct world *w, uint32_t n)
{
	uint64_t s;

	ck_assert_int_eq(world_put(w, 7, n, false, &s), 0);
	ck_assert_int_eq(cof_log_sync(w->log, s), 0);
	return w->log->current->number;
}

/* After some small syncs space is written ahead, durably before syncs may overlap in it; nothing of a frame is
 * lost by it, and a large one ends it. */
START_TEST(zeros_go_ahead)
{
	const struct segment *s;
	const uint8_t *bytes;
	struct world w;
	size_t n;

	ck_assert_int_eq(world_begin(&w, 45), 0);
	s = w.log->current;
	for (unsigned i = 0; i < 14; i++)
		put_and_sync(&w, 100 + i);
	ck_assert_uint_eq(s->zeroed, 0);
	ck_assert_uint_eq(s->zero_durable, 0);
	for (unsigned i = 0; i < 4; i++)
		put_and_sync(&w, 100 + i);
	ck_assert_uint_eq(s->zeroed, WORLD_SEGMENT); /* smaller than a stretch */
	ck_assert_uint_eq(s->zero_durable, s->zeroed);
	ck_assert_int_eq(cof_sim_peek(w.sim, "log/00000000.seg", &bytes, &n), 0);
	for (size_t at = s->used; at < n; at++)
		ck_assert_msg(bytes[at] == 0, "byte %zu", at);
	for (unsigned i = 0; put_and_sync(&w, 3000) == 0; i++)
		ck_assert_uint_lt(i, WORLD_SEGMENT / 3000 + 1);
	ck_assert(w.log->ahead); /* goes on in the next segment */
	put_and_sync(&w, 10);
	ck_assert_uint_eq(w.log->current->zeroed, WORLD_SEGMENT);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(world_put(&w, 8, 30000, false, NULL), 0);
	put_and_sync(&w, 10);
	ck_assert(!w.log->ahead);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log commit");
	TCase *t = tcase_create("commit");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, what_was_answered_survives, 0, 4);
	tcase_add_loop_test(t, each_is_answered_once, 0, 5);
	tcase_add_test(t, what_does_not_exist_is_refused);
	tcase_add_test(t, counters_do_not_meet);
	tcase_add_test(t, zeros_go_ahead);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
