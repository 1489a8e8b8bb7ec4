/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals on record: the first at once, repeats counted, a flood bounded, and the sums exact. */
#include <stdio.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;
static uint64_t file; /* audit/a.log, with a line in it */

static void setup(void)
{
	store_make(&s, STORE_SIM);
	file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, file, 0, "line\n", 5);
}

static void teardown(void)
{
	store_done(&s);
}

static int overwrite(const struct cof_who *who)
{
	return do_op(&s, who,
		     (struct cof_op){.kind = COF_OP_WRITE, .ino = file, .length = 1, .data = "x"});
}

static size_t count_events(void)
{
	struct cof_json *list = entries_of(&s, "event");
	size_t n = cof_json_count(list);

	cof_json_free(list);
	return n;
}

static int64_t sum_of_counts(void)
{
	struct cof_json *list = entries_of(&s, "event");
	int64_t sum = 0;

	for (size_t i = 0; i < cof_json_count(list); i++)
		sum += number_of(cof_json_at(list, i), "count");
	cof_json_free(list);
	return sum;
}

START_TEST(first_at_once)
{
	struct cof_who who = {1000, 100, (uint32_t)getpid(), false};
	struct cof_json *list, *e, *actor;

	ck_assert_int_eq(overwrite(&who), -EPERM);
	list = entries_of(&s, "event");
	ck_assert_uint_eq(cof_json_count(list), 1);
	e = cof_json_at(list, 0);
	ck_assert_str_eq(cof_json_str(e, "event"), "refused");
	ck_assert_str_eq(cof_json_str(e, "operation"), "write");
	ck_assert_str_eq(cof_json_str(e, "errno"), "EPERM");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/a.log");
	ck_assert_str_eq(cof_json_str(e, "detail"), "rule append-only");
	ck_assert_ptr_nonnull(strstr(cof_json_str(e, "reason"), "What is written stays"));
	ck_assert_int_eq(number_of(e, "count"), 1);
	ck_assert_int_eq(number_of(e, "object"), (int64_t)file);
	ck_assert_str_eq(cof_json_str(e, "first_time"), cof_json_str(e, "last_time"));
	actor = cof_json_get(e, "actor");
	ck_assert_ptr_nonnull(actor);
	ck_assert_int_eq(number_of(actor, "uid"), 1000);
	ck_assert_int_eq(number_of(actor, "gid"), 100);
	ck_assert_int_eq(number_of(actor, "pid"), getpid());
	cof_json_free(list);
	ck_assert_ptr_nonnull(strstr(s.alarm, "Refused: write of audit/a.log by uid 1000"));
	ck_assert_uint_eq(atomic_load(&s.archive->refused), 1);
	must_hold(&s, file, "line\n", 5);
}
END_TEST

/* What no one is told of is no event: errors that are no refusals. */
START_TEST(only_refusals)
{
	uint64_t ino;

	ck_assert_int_eq(do_create(&s, AUDIT, "a.log", COF_KIND_FILE, &ino), -EEXIST);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "none"), -ENOENT);
	ck_assert_uint_eq(count_events(), 0);
	ck_assert_uint_eq(atomic_load(&s.archive->refused), 0);
}
END_TEST

START_TEST(repeats)
{
	struct cof_json *list, *e;

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_uint_eq(count_events(), 1);
	cof_events_flush(s.archive);
	list = entries_of(&s, "event");
	ck_assert_uint_eq(cof_json_count(list), 2);
	e = cof_json_at(list, 1);
	ck_assert_int_eq(number_of(e, "count"), 99);
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/a.log");
	ck_assert_str_eq(cof_json_str(e, "operation"), "write");
	cof_json_free(list);
	/* goes on: counted again, until it was quiet for a while; then it is a first again */
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_uint_eq(count_events(), 2);
	cof_events_flush(s.archive);
	ck_assert_uint_eq(count_events(), 3);
	cof_events_flush(s.archive);
	ck_assert_uint_eq(count_events(), 3);
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_uint_eq(count_events(), 4);
	ck_assert_int_eq(sum_of_counts(), 102);
	ck_assert_uint_eq(atomic_load(&s.archive->refused), 102);
}
END_TEST

START_TEST(kinds)
{
	uint64_t other = must_create(&s, AUDIT, "b.log", COF_KIND_FILE);

	must_write(&s, other, 0, "x", 1);
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_int_eq(overwrite(&bob), -EPERM);               /* another actor */
	ck_assert_int_eq(do_unlink(&s, AUDIT, "a.log"), -EPERM); /* another operation */
	ck_assert_int_eq(do_unlink(&s, AUDIT, "b.log"), -EPERM); /* another object */
	ck_assert_int_eq(do_rename(&s, AUDIT, "a.log", AUDIT, "b.log"), -EPERM);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "a.log"), -EPERM); /* a repeat */
	ck_assert_uint_eq(count_events(), 5);
	{
		struct cof_json *list = entries_of(&s, "event");

		ck_assert_ptr_nonnull(entry_with(list, "path", "audit/b.log"));
		ck_assert_ptr_nonnull(entry_with(list, "path", "audit/a.log -> audit/b.log"));
		cof_json_free(list);
	}
	cof_events_flush(s.archive);
	ck_assert_uint_eq(count_events(), 6);
	ck_assert_int_eq(sum_of_counts(), 6);
}
END_TEST

START_TEST(flushed_at_the_end)
{
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(overwrite(&alice), -EPERM);
	store_close(&s);
	store_open(&s);
	ck_assert_uint_eq(count_events(), 2);
	ck_assert_int_eq(sum_of_counts(), 10);
}
END_TEST

/* One actor, very many names: bounded events, and the sum is right. */
START_TEST(flood_of_names)
{
	size_t n = 5000, events;
	uint64_t ino;
	char name[32];

	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "shelf-%zu", i);
		if (i == 30) /* it holds the last ones only */
			s.alarm[0] = 0;
		ck_assert_int_eq(do_create(&s, COF_ROOT_INO, name, COF_KIND_DIR, &ino), -EPERM);
	}
	ck_assert_uint_le(count_events(), 40);
	cof_events_flush(s.archive);
	events = count_events();
	ck_assert_uint_le(events, 80);
	ck_assert_int_eq(sum_of_counts(), (int64_t)n);
	ck_assert_uint_eq(atomic_load(&s.archive->refused), n);
	ck_assert_ptr_nonnull(strstr(s.alarm, "counted together"));
}
END_TEST

/* Very many actors: even their ACTOR frames are bounded. */
START_TEST(flood_of_actors)
{
	size_t n = 5000, actors;
	struct cof_json *list;

	for (uint32_t i = 0; i < n; i++) {
		struct cof_who who = {10000 + i, 1, 0, false};

		ck_assert_int_eq(overwrite(&who), -EPERM);
	}
	cof_events_flush(s.archive);
	ck_assert_uint_le(count_events(), 400);
	list = entries_of(&s, "actor");
	actors = cof_json_count(list);
	cof_json_free(list);
	ck_assert_uint_le(actors, 140);
	ck_assert_int_eq(sum_of_counts(), (int64_t)n);
}
END_TEST

/* A disk that is full: refusals go into the reserve, then wait; the end of it is left for the end.
 */
START_TEST(full_disk)
{
	static uint8_t data[60000];
	uint64_t off = 5, refused;
	struct cof_log_status st;
	int r = 0, rounds = 0;

	cof_sim_limit(s.sim, (3u << 20));
	while ((r = do_write(&s, file, off, data, sizeof(data))) == 0)
		off += sizeof(data);
	ck_assert_int_eq(r, -ENOSPC);
	while ((r = do_write(&s, file, off, data, 100)) == 0)
		off += 100;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_uint_eq(count_events(), 1);
	/* until nothing of the reserve is left for events */
	for (size_t before = 0; count_events() != before && rounds < 5000; rounds++) {
		struct cof_who who = {20000 + (uint32_t)rounds, 1, 0, false};

		before = count_events();
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(overwrite(&who), -EPERM);
		cof_events_flush(s.archive);
	}
	ck_assert_int_lt(rounds, 5000);
	refused = atomic_load(&s.archive->refused);
	ck_assert_int_lt(sum_of_counts(), (int64_t)refused);
	cof_log_status(s.archive->log, &st);
	ck_assert_int_eq(st.failed, 0);
	store_close(&s); /* with what waits: there is room for that */
	store_open(&s);
	ck_assert(s.opened.recovered.clean);
	ck_assert_int_eq(sum_of_counts(), (int64_t)refused);
	/* space returns: it goes on */
	cof_sim_limit(s.sim, 0);
	must_write(&s, file, off, "on", 2);
}
END_TEST

START_TEST(own_events)
{
	struct cof_json *list, *e;

	ck_assert_int_eq(cof_event_put(s.archive, "unmount-asked", "by pid 7"), 0);
	list = entries_of(&s, "event");
	e = entry_with(list, "event", "unmount-asked");
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(cof_json_str(e, "detail"), "by pid 7");
	ck_assert_ptr_null(cof_json_get(e, "actor"));
	cof_json_free(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-event");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("event");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, first_at_once);
	tcase_add_test(c, only_refusals);
	tcase_add_test(c, repeats);
	tcase_add_test(c, kinds);
	tcase_add_test(c, flushed_at_the_end);
	tcase_add_test(c, flood_of_names);
	tcase_add_test(c, flood_of_actors);
	tcase_add_test(c, full_disk);
	tcase_add_test(c, own_events);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
