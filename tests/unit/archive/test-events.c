/* SPDX-License-Identifier: Apache-2.0 */
/* Events are found by the index of them, the same when it is fed, rebuilt, or not there at all. */
#include <stdio.h>

#include "entries.h"
#include "fs/archive/events.h"
#include "fs/archive/note.h"

static struct store s;
static uint64_t file;

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

static int collect(void *user, struct cof_json *event)
{
	cof_json_append(user, cof_json_ref(event));
	return 0;
}

static struct cof_json *found(struct cof_events_query q)
{
	struct cof_json *list = cof_json_array();
	uint64_t next = 0;

	if (!q.until)
		q.until = INT64_MAX;
	ck_assert_int_eq(cof_archive_events(s.archive, &q, collect, list, &next), 0);
	return list;
}

static size_t count(struct cof_events_query q)
{
	struct cof_json *list = found(q);
	size_t n = cof_json_count(list);

	cof_json_free(list);
	return n;
}

/* What is really there: every frame, and of each what it is as an event. */
struct all {
	struct cof_json *list;
};

static int take_event(void *user, struct cof_json *entry)
{
	struct all *all = user;
	struct cof_json *event = NULL;

	ck_assert_int_eq(cof_event_view(entry, &event), 0);
	if (event)
		cof_json_append(all->list, event);
	return 0;
}

static void must_be_all(void)
{
	struct all all = {cof_json_array()};
	struct cof_json *list = found((struct cof_events_query){.from = 0});
	uint64_t next;

	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, take_event, &all, &next), 0);
	ck_assert_uint_gt(cof_json_count(list), 3);
	ck_assert_str_eq(cof_json_text(list, false), cof_json_text(all.list, false));
	cof_json_free(list);
	cof_json_free(all.list);
}

static void emit(const char *type, const char *path)
{
	const struct cof_event e = {.type = type, .path = path, .who = &alice, .object = file};

	ck_assert_int_eq(cof_event_emit(s.archive, &e, NULL), 0);
}

START_TEST(all_of_them)
{
	for (int i = 0; i < 700; i++) { /* more than a row of the index, than a batch */
		emit(i % 7 ? "read" : "locked", "audit/a.log");
		if (i % 100 == 0)
			must_write(&s, file, 5 + (uint64_t)i / 100, "x", 1);
		if (i % 250 == 0)
			cof_archive_tick(s.archive);
	}
	must_be_all();
	store_close(&s);
	store_open(&s); /* UNMOUNT and MOUNT are the log's own frames */
	must_be_all();
	ck_assert_uint_eq(count((struct cof_events_query){.type = "locked"}), 100);
	ck_assert_uint_eq(count((struct cof_events_query){.type = "unmount"}), 2); /* of init's mount too */
	cof_archive_abandon(s.archive); /* killed: nothing was fed at the end */
	s.archive = NULL;
	store_open(&s);
	emit("locked", "audit/b");
	must_be_all();
}
END_TEST

/* An index that is thrown away and built anew while others write has the same. */
START_TEST(rebuilt)
{
	for (int i = 0; i < 300; i++)
		emit("read", "audit/a.log");
	cof_archive_tick(s.archive);
	emit("locked", NULL);
	atomic_store(&s.archive->damaged, true);
	ck_assert_int_eq(cof_archive_repair(s.archive), 0);
	emit("unlocked", NULL);
	must_be_all();
	ck_assert_uint_eq(count((struct cof_events_query){.type = "read"}), 300);
	cof_stale(s.archive, atomic_load(&s.archive->size) - 2); /* what was missed is fed again */
	emit("unlocked", NULL);
	must_be_all();
	ck_assert_uint_eq(count((struct cof_events_query){.type = "unlocked"}), 2);
}
END_TEST

START_TEST(filters)
{
	struct cof_json *list, *e;
	int64_t now = cof_now(CLOCK_REALTIME);

	emit("read", "audit/a.log");
	emit("locked", "audit/b/c");
	emit("unlocked", "keys");
	ck_assert_uint_eq(count((struct cof_events_query){.catalogue = "A.2.3"}), 1);
	ck_assert_uint_eq(count((struct cof_events_query){.catalogue = "A.2"}), 2);
	ck_assert_uint_eq(count((struct cof_events_query){.catalogue = "A.1"}), 0); /* not A.14.6 */
	ck_assert_uint_eq(count((struct cof_events_query){.severity = "alert"}), 1);
	ck_assert_uint_eq(count((struct cof_events_query){.path = "audit/b"}), 1);
	ck_assert_uint_eq(count((struct cof_events_query){.path = "audit/"}), 3); /* and its SHELF frame */
	ck_assert_uint_eq(count((struct cof_events_query){.path = "aud"}), 0);
	ck_assert_uint_eq(count((struct cof_events_query){.outcome = "failure"}), 1);
	ck_assert_uint_eq(count((struct cof_events_query){.source = "ca"}), 0);
	ck_assert_uint_ge(count((struct cof_events_query){.actor = "1000"}), 3);
	ck_assert_uint_eq(count((struct cof_events_query){.actor = "100"}), 0);
	ck_assert_uint_eq(count((struct cof_events_query){.since = now + 60 * COF_NSEC}), 0);
	ck_assert_uint_eq(count((struct cof_events_query){.until = now - 60 * COF_NSEC}), 0);
	list = found((struct cof_events_query){.type = "unlocked"});
	e = cof_json_at(list, 0);
	ck_assert_str_eq(cof_json_str(e, "catalogue"), "A.2.4");
	ck_assert_str_eq(cof_json_str(e, "shelf"), "keys");
	ck_assert_str_eq(cof_json_str(e, "source"), "coffer");
	/* from: behind it there is nothing */
	ck_assert_uint_eq(count((struct cof_events_query){.from = (uint64_t)number_of(e, "sequence") + 1}), 0);
	ck_assert_uint_eq(count((struct cof_events_query){.from = (uint64_t)number_of(e, "sequence")}), 1);
	cof_json_free(list);
	list = found((struct cof_events_query){.type = "mount"});
	ck_assert_uint_eq(cof_json_count(list), 2);
	ck_assert_str_eq(cof_json_str(cof_json_at(list, 0), "catalogue"), "A.14.6");
	cof_json_free(list);
	ck_assert_int_eq(cof_archive_events(s.archive, &(struct cof_events_query){.severity = "bad"}, collect, NULL,
					    &(uint64_t){0}),
			 -EINVAL);
}
END_TEST

/* Without a daemon the same are found. */
START_TEST(in_the_store)
{
	struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .catalogue = "A.2"};
	struct cof_json *list = cof_json_array(), *live;
	struct cof_diag diag = {""};
	uint64_t next = 0;

	emit("locked", "audit/b/c");
	emit("read", "audit/b/c");
	live = found(q);
	store_close(&s);
	ck_assert_msg(cof_store_events(s.io, &s.secret, &q, collect, list, &next, &diag) == 0, "%s", diag.text);
	ck_assert_uint_eq(cof_json_count(list), 1);
	ck_assert_str_eq(cof_json_text(list, false), cof_json_text(live, false));
	cof_json_free(list);
	cof_json_free(live);
	store_open(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-events");
	TCase *tc = tcase_create("found");
	SRunner *runner;
	int failed;

	if (cof_crypto_init(4u << 20, NULL) < 0)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_of_them);
	tcase_add_test(tc, rebuilt);
	tcase_add_test(tc, filters);
	tcase_add_test(tc, in_the_store);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
