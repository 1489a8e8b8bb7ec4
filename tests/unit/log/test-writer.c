/* SPDX-License-Identifier: Apache-2.0 */
/* The writer half of fs/log over the simulated store: append, group commit, rollover, recovery. */
#include <pthread.h>

#include "world.h"

START_TEST(closes_cleanly_and_opens)
{
	struct world w;
	uint8_t first[32];
	uint64_t s;

	memset(first, 5, 32);
	ck_assert_int_eq(world_begin(&w, 1), 0);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(world_put(&w, i, (uint32_t)(i * 37 % 3000), false, &s), 0);
	ck_assert_uint_eq(s, 101);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_verify(&w, first), COF_INTACT);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert(w.rec.clean);
	ck_assert(!w.rec.tiles_rebuilt);
	ck_assert_uint_eq(w.rec.size, 104); /* 0, MOUNT, 100, UNMOUNT, CHECKPOINT */
	ck_assert_uint_eq(w.rec.last_mount, 1);
	ck_assert_uint_ne(w.rec.last_mount_address, 0);
	ck_assert_int_eq(world_mount(&w), 0);
	ck_assert_uint_eq(w.mount, 2);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_verify(&w, first), COF_INTACT);
	w.log = NULL;
	world_end(&w);
}
END_TEST

struct appender {
	struct world *w;
	uint64_t base;
	pthread_t thread;
};

static void *append_many(void *arg)
{
	struct appender *a = arg;
	uint64_t last = 0, s;

	for (uint64_t i = 0; i < 400; i++) {
		ck_assert_int_eq(world_put(a->w, a->base + i, 100, false, &s), 0);
		ck_assert(!i || s > last);
		last = s;
		if (i % 16 == 0)
			ck_assert_int_eq(cof_log_sync(a->w->log, s), 0);
	}
	return NULL;
}

START_TEST(many_threads_one_chain)
{
	struct appender a[8];
	struct world w;
	struct cof_log_status st;

	ck_assert_int_eq(world_begin(&w, 2), 0);
	ck_assert_int_eq(cof_log_start(w.log), 0);
	for (int i = 0; i < 8; i++) {
		a[i].w = &w;
		a[i].base = 1000u * (unsigned)(i + 1);
		ck_assert_int_eq(pthread_create(&a[i].thread, NULL, append_many, &a[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(a[i].thread, NULL);
	cof_log_status(w.log, &st);
	ck_assert_uint_ge(st.size, 3202);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	w.log = NULL;
	world_end(&w);
}
END_TEST

/* Whether there is a file of that name now. */
static bool there(struct world *w, const char *path)
{
	struct cof_file *f;

	if (cof_io_open(w->io, path, COF_IO_RDONLY, &f) < 0)
		return false;
	cof_io_close(f);
	return true;
}

/* A stream finds its next segment made, however little it has written of this one: nobody writes here any more. */
START_TEST(a_streams_next_segment_is_made_at_once)
{
	struct cof_log_status st;
	struct world w;
	uint64_t s;

	ck_assert_int_eq(world_begin(&w, 4), 0);
	ck_assert_int_eq(cof_log_start(w.log), 0);
	for (uint64_t i = 0; !there(&w, "log/00000001.seg") || st.size * 3000 < 2 * WORLD_SEGMENT; i++) {
		ck_assert_int_eq(world_put(&w, i, 3000, false, &s), 0);
		cof_log_status(w.log, &st);
	}
	for (int i = 0; i < 200000 && !there(&w, "log/00000003.seg"); i++)
		sched_yield();
	ck_assert(there(&w, "log/00000003.seg"));
	ck_assert(!there(&w, "log/00000004.seg"));
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	w.log = NULL;
	world_end(&w);
}
END_TEST

/* A workload whose promises can be checked. True when it came to a clean end. */
static bool workload(struct world *w, uint64_t *durable, uint64_t *accepted)
{
	uint64_t s;

	for (uint64_t i = 0; i < 40; i++) {
		if (world_put(w, i, 3000, false, &s) < 0)
			return false;
		*accepted = s + 1;
		if (i % 5 == 4) {
			if (cof_log_sync(w->log, s) < 0)
				return false;
			*durable = s + 1;
		}
		if (i % 13 == 12 && cof_log_checkpoint(w->log) < 0)
			return false;
	}
	if (cof_log_close(w->log, NULL) < 0) {
		w->log = NULL;
		return false;
	}
	w->log = NULL;
	*durable = *accepted + 1; /* UNMOUNT */
	*accepted = *durable;
	return true;
}

static bool crash_at(uint64_t op, enum cof_sim_loss loss)
{
	uint64_t durable = 0, accepted = 0, sequence;
	struct world w;
	enum cof_verdict v;
	bool finished;

	ck_assert_int_eq(world_begin(&w, op), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + op);
	finished = workload(&w, &durable, &accepted);
	cof_log_abandon(w.log);
	w.log = NULL;
	cof_io_free(w.io);
	w.io = NULL;
	cof_sim_reboot(w.sim, loss);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_ge(w.rec.size, durable);
	if (loss == COF_SIM_KEEP)
		ck_assert_uint_ge(w.rec.size, accepted);
	if (finished)
		ck_assert(w.rec.clean);
	ck_assert_int_eq(world_mount(&w), 0);
	ck_assert_int_eq(world_put(&w, 7777, 5000, false, &sequence), 0);
	ck_assert_uint_eq(sequence, w.rec.size + 1);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	v = world_verify(&w, NULL);
	ck_assert_msg(v == COF_INTACT, "crash at %llu, loss %d: %s", (unsigned long long)op, loss,
		      cof_verdict_name(v));
	world_end(&w);
	return finished;
}

START_TEST(a_crash_at_every_operation)
{
	for (uint64_t op = 1; !crash_at(op, (enum cof_sim_loss)_i); op++)
		ck_assert_uint_lt(op, 2000);
}
END_TEST

START_TEST(a_full_disk_refuses_and_goes_on)
{
	struct cof_log_status st;
	struct world w;
	uint64_t s, n = 0;
	int r;

	ck_assert_int_eq(world_begin(&w, 4), 0);
	cof_sim_limit(w.sim, 300000);
	while ((r = world_put(&w, n, 2000, false, &s)) == 0)
		ck_assert_uint_lt(n++, 1000);
	ck_assert_int_eq(r, -ENOSPC);
	cof_log_status(w.log, &st);
	ck_assert_uint_eq(st.size, s + 1); /* nothing was chained for the refused one */
	ck_assert(st.out_of_space);
	ck_assert_int_eq(world_put(&w, n, 2000, true, &s), 0); /* the reserve */
	ck_assert_int_eq(world_put(&w, n, 2000, false, NULL), -ENOSPC);
	ck_assert_int_eq(w.failed, 0);
	cof_sim_limit(w.sim, 0);
	while ((r = world_put(&w, n, 2000, false, &s)) ==
	       -ENOSPC) /* it is not asked at every append */
		;
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	w.log = NULL;
	world_end(&w);
}
END_TEST

START_TEST(a_full_disk_closes_cleanly)
{
	struct world w;
	uint64_t n = 0;

	ck_assert_int_eq(world_begin(&w, 5), 0);
	cof_sim_limit(w.sim, 300000);
	while (world_put(&w, n++, 2000, false, NULL) == 0)
		;
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert(w.rec.clean);
	world_end(&w);
}
END_TEST

START_TEST(the_first_error_is_final)
{
	struct world w;
	uint64_t s;

	ck_assert_int_eq(world_begin(&w, 6), 0);
	ck_assert_int_eq(world_put(&w, 1, 100, false, &s), 0);
	cof_sim_plan(w.sim, COF_SIM_EIO, cof_sim_ops(w.sim) + 1);
	ck_assert_int_eq(cof_log_sync(w.log, s), -EIO);
	ck_assert_int_eq(w.failed, -EIO);
	ck_assert_int_eq(cof_log_sync(w.log, s), -EIO); /* no retry that lies */
	ck_assert_int_eq(world_put(&w, 2, 100, false, &s), -EROFS);
	ck_assert_int_lt(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	world_end(&w);
}
END_TEST

START_TEST(a_failed_write_is_final)
{
	struct world w;
	uint64_t s;

	ck_assert_int_eq(world_begin(&w, 7), 0);
	cof_sim_plan(w.sim, COF_SIM_EIO, cof_sim_ops(w.sim) + 1);
	ck_assert_int_eq(world_put(&w, 1, 100, false, &s), -EIO);
	ck_assert_int_eq(world_put(&w, 2, 100, false, &s), -EROFS);
	world_end(&w);
}
END_TEST

START_TEST(a_missing_covered_frame_is_tampering)
{
	struct cof_diag d = {{0}};
	struct cof_log_params p;
	struct world w;

	ck_assert_int_eq(world_begin(&w, 8), 0);
	for (uint64_t i = 0; i < 20; i++)
		ck_assert_int_eq(world_put(&w, i, 1000, false, NULL), 0);
	ck_assert_int_eq(cof_log_close(w.log, NULL), 0);
	w.log = NULL;
	/* the last covered frame is UNMOUNT; break its payload's neighbour: its own header */
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 3000, 2), 0);
	cof_io_free(w.io);
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	p = world_params(&w);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", 40, 2), 0); /* forces the walk */
	ck_assert_int_eq(cof_log_open(&p, &w.secrets, &w.log, &w.rec, &d), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(d.text, "log/00000000.seg"));
	ck_assert_ptr_nonnull(strstr(d.text, "coffer verify"));
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log writer");
	TCase *t = tcase_create("writer");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 300);
	tcase_add_test(t, closes_cleanly_and_opens);
	tcase_add_test(t, many_threads_one_chain);
	tcase_add_test(t, a_streams_next_segment_is_made_at_once);
	tcase_add_loop_test(t, a_crash_at_every_operation, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(t, a_full_disk_refuses_and_goes_on);
	tcase_add_test(t, a_full_disk_closes_cleanly);
	tcase_add_test(t, the_first_error_is_final);
	tcase_add_test(t, a_failed_write_is_final);
	tcase_add_test(t, a_missing_covered_frame_is_tampering);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
