/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small workload over the simulated disk, crashed at every operation of the store, with what was
 * not synced kept, lost, or torn and reordered; and crashed once more at every operation of the
 * recovery. Each time: everything acknowledged is there byte for byte, nothing is there that was
 * not asked for, the chain verifies, and the recovery is on record. No single crash is left out;
 * COFFER_LONG=1 leaves out no double one and tears in more ways. The sanitizers, which look for
 * another kind of error, get fewer of the double ones.
 */
#include <stdio.h>

#include "world.h"

static bool is_long(void)
{
	const char *v = getenv("COFFER_LONG");

	return v && !strcmp(v, "1");
}

/* Ends early once something fails. Two mounts, so that a crash finds frames of an earlier one too.
 */
static void workload(struct world *w)
{
	world_init(w);
	world_open(w);
	world_create(w, "audit/small", COF_KIND_FILE);
	world_append(w, "audit/small", 130);
	world_fsync(w, "audit/small");
	world_create(w, "keys/k", COF_KIND_FILE); /* durable at once: the shelf says so */
	world_append(w, "keys/k", 40);
	world_append(w, "audit/small", 70);
	world_overwrite(w, "audit/small");
	world_close(w);
	world_open(w);
	world_create(w, "audit/dir", COF_KIND_DIR);
	world_create(w, "audit/dir/large", COF_KIND_FILE);
	world_append(w, "audit/dir/large", 60000); /* several frames, over a segment's end */
	world_tick(w);                             /* checkpoint */
	world_write_far(w, "audit/dir/large", 5000, 300);
	world_append(w, "audit/dir/large", 30000);
	world_rename(w, "audit/small", "audit/dir/renamed");
	world_fsync(w, NULL);
	world_create(w, "audit/empty", COF_KIND_FILE);
	world_remove(w, "audit/empty");
	world_hole(w, "audit/dir/renamed", 1000);
	world_commit(w, "audit/dir/renamed");
	world_overwrite(w, "audit/dir/renamed");
	world_overwrite(w, "audit/dir/renamed");
	world_tick(w);
	world_append(w, "audit/dir/large", 10);
	world_close(w);
}

#define REMINDER 6 /* operations at most that replace a small file */

static uint64_t operations; /* of the store, by the whole workload */

static void count_operations(void)
{
	struct world w;

	snprintf(world_doing, sizeof(world_doing), "without a crash");
	world_new(&w, 1, NULL);
	workload(&w);
	ck_assert(!w.down);
	operations = cof_sim_ops(w.sim);
	world_verify(&w, false);
	world_reopen(&w, COF_SIM_LOSE);
	ck_assert(w.opened.recovered.clean);
	ck_assert_int_eq(world_close(&w), 0);
	world_free(&w);
}

/* Goes on after recovery: the archive takes appends, closes cleanly and verifies. */
static void live_on(struct world *w)
{
	struct node *n = world_node(w, "audit/dir/large");

	if (n)
		ck_assert_int_eq(world_append(w, n->path, 17), 0);
	ck_assert_int_eq(world_create(w, "audit/later", COF_KIND_FILE), 0);
	ck_assert_int_eq(world_fsync(w, NULL), 0);
	ck_assert_int_eq(world_close(w), 0);
	world_verify(w, false);
	world_reopen(w, COF_SIM_KEEP);
	ck_assert_msg(w->opened.recovered.clean, "%s", world_doing);
}

static const char *const loss_name[] = {"kept", "lost", "torn"};

/* The store before init came to its end: nothing was promised, and nothing may crash. */
static void half_made(struct world *w)
{
	struct cof_opener_secret secret = {COF_OPENER_FILE, w->key, 48};
	struct cof_archive_params p = {
	    .io = w->io, .secret = &secret, .index_dir = "", .no_threads = true};
	struct cof_archive *a = NULL;
	struct cof_diag diag = {""};

	if (cof_archive_open(&p, &a, NULL, &diag) == 0)
		ck_assert_int_eq(cof_archive_close(a, &diag), 0);
	else
		ck_assert_msg(diag.text[0], "%s: refused without a sentence", world_doing);
}

static uint64_t crash_at(uint64_t seed, uint64_t operation, enum cof_sim_loss loss)
{
	struct world w;
	uint64_t before, used = 0;

	snprintf(world_doing, sizeof(world_doing), "seed %llu, crash at operation %llu, %s",
		 (unsigned long long)seed, (unsigned long long)operation, loss_name[loss]);
	world_new(&w, seed, NULL);
	cof_sim_plan(w.sim, COF_SIM_CRASH, operation);
	workload(&w);
	ck_assert_msg(w.down, "%s: nothing failed", world_doing);
	world_crash(&w, loss);
	if (!w.made) {
		half_made(&w);
	} else {
		world_verify(&w, true);
		before = cof_sim_ops(w.sim);
		world_reopen(&w, loss);
		used = cof_sim_ops(w.sim) - before;
		live_on(&w);
	}
	world_free(&w);
	return used;
}

/* Crashes during the recovery too, at its operation `second`, then opens for good. */
static void crash_twice(uint64_t seed, uint64_t operation, enum cof_sim_loss loss, uint64_t second,
			enum cof_sim_loss then)
{
	struct cof_archive_params p = {.index_dir = "", .no_threads = true};
	struct cof_opener_secret secret;
	struct cof_archive *a = NULL;
	struct world w;
	uint64_t before;
	int r;

	snprintf(world_doing, sizeof(world_doing),
		 "seed %llu, crash at operation %llu, %s, again at %llu of the recovery, %s",
		 (unsigned long long)seed, (unsigned long long)operation, loss_name[loss],
		 (unsigned long long)second, loss_name[then]);
	world_new(&w, seed, NULL);
	cof_sim_plan(w.sim, COF_SIM_CRASH, operation);
	workload(&w);
	world_crash(&w, loss);
	if (w.made) {
		secret = (struct cof_opener_secret){COF_OPENER_FILE, w.key, 48};
		p.io = w.io;
		p.secret = &secret;
		cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + second);
		before = cof_sim_ops(w.sim);
		r = cof_archive_open(&p, &a, NULL, NULL);
		/* Behind all that an opening waits for comes only the reminder, STORE/faults. */
		ck_assert_msg(r < 0 || cof_sim_ops(w.sim) - before <= second + REMINDER,
			      "%s: opened", world_doing);
		if (r == 0)
			cof_archive_abandon(a);
		world_crash(&w, then);
		world_verify(&w, true);
		/* Nothing was acknowledged in between: a power cut takes what a kill had left. */
		world_reopen(&w, loss == COF_SIM_KEEP ? then : loss);
		live_on(&w);
	}
	world_free(&w);
}

/* ---- the tests: one for each way to lose, in pieces that run side by side ---- */

START_TEST(once_kept)
{
	for (uint64_t n = 1; n <= operations; n++)
		crash_at(1, n, COF_SIM_KEEP);
}
END_TEST

START_TEST(once_lost)
{
	for (uint64_t n = 1; n <= operations; n++)
		crash_at(1, n, COF_SIM_LOSE);
}
END_TEST

START_TEST(once_torn)
{
	uint64_t seeds = is_long() ? 40 : 3;

	for (uint64_t seed = 1; seed <= seeds; seed++)
		for (uint64_t n = 1; n <= operations; n++)
			crash_at(seed, n, COF_SIM_TEAR);
}
END_TEST

static uint64_t every(uint64_t n)
{
#ifdef __SANITIZE_ADDRESS__
	n = 3 * n + 1;
#endif
	return is_long() ? 1 : n;
}

static void twice(enum cof_sim_loss loss, enum cof_sim_loss then, uint64_t seed, uint64_t step)
{
	for (uint64_t n = 1; n <= operations; n += step) {
		uint64_t used = crash_at(seed, n, loss);

		for (uint64_t second = 1; second <= used; second++)
			crash_twice(seed, n, loss, second, then);
	}
}

START_TEST(twice_kept)
{
	twice(COF_SIM_KEEP, COF_SIM_TEAR, 1, every(7));
}
END_TEST

START_TEST(twice_torn)
{
	uint64_t seeds = is_long() ? 4 : 1;

	for (uint64_t seed = 1; seed <= seeds; seed++)
		twice(COF_SIM_TEAR, seed % 2 ? COF_SIM_TEAR : COF_SIM_LOSE, seed, every(5));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim-crash");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("crash");
	int failed;

	tcase_set_timeout(c, is_long() ? 7200 : 240);
	tcase_add_checked_fixture(c, count_operations, NULL);
	tcase_add_test(c, once_kept);
	tcase_add_test(c, once_lost);
	tcase_add_test(c, once_torn);
	tcase_add_test(c, twice_kept);
	tcase_add_test(c, twice_torn);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
