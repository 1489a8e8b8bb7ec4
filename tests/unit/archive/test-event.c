/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals on record: the first at once, repeats counted, a flood bounded, and the sums exact. */
#include <stdio.h>

#include "entries.h"
#include "fs/archive/event.h"
#include "fs/archive/note.h"

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

static struct cof_json *names_of(struct cof_json *entry)
{
	struct cof_json *names = cof_json_get(entry, "names");

	ck_assert_ptr_nonnull(names);
	return names;
}

START_TEST(kinds)
{
	uint64_t other = must_create(&s, AUDIT, "b.log", COF_KIND_FILE);
	struct cof_json *list, *e, *names;

	must_write(&s, other, 0, "x", 1);
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_int_eq(overwrite(&bob), -EPERM);               /* another actor */
	ck_assert_int_eq(do_unlink(&s, AUDIT, "a.log"), -EPERM); /* another operation */
	ck_assert_int_eq(do_rename(&s, AUDIT, "a.log", AUDIT, "b.log"), -EPERM);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "b.log"), -EPERM); /* another name only: is listed */
	ck_assert_int_eq(do_unlink(&s, AUDIT, "a.log"), -EPERM); /* a repeat */
	ck_assert_uint_eq(count_events(), 4);
	list = entries_of(&s, "event");
	ck_assert_ptr_nonnull(entry_with(list, "path", "audit/a.log -> audit/b.log"));
	cof_json_free(list);
	cof_events_flush(s.archive);
	ck_assert_uint_eq(count_events(), 5);
	ck_assert_int_eq(sum_of_counts(), 6);
	list = entries_of(&s, "event");
	e = cof_json_at(list, 4);
	ck_assert_int_eq(number_of(e, "count"), 2);
	ck_assert_ptr_null(cof_json_get(e, "path")); /* several */
	names = names_of(e);
	ck_assert_uint_eq(cof_json_count(names), 1); /* a.log was listed by the first */
	ck_assert_str_eq(cof_json_str(cof_json_at(names, 0), "path"), "audit/b.log");
	ck_assert_int_eq(number_of(cof_json_at(names, 0), "object"), (int64_t)other);
	cof_json_free(list);
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

/* All names that events list, the first ones' own included. */
static size_t count_names(void)
{
	struct cof_json *list = entries_of(&s, "event");
	size_t n = 0;

	for (size_t i = 0; i < cof_json_count(list); i++) {
		struct cof_json *names = cof_json_get(cof_json_at(list, i), "names");

		n += names ? cof_json_count(names) : 0;
	}
	cof_json_free(list);
	return n;
}

/* One actor, very many names: each is listed once, in few frames, and the sum is right. */
START_TEST(flood_of_names)
{
	size_t n = 5000;
	struct cof_json *list, *names;
	uint64_t ino;
	char name[32];

	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "shelf-%zu", i);
			ck_assert_int_eq(do_create(&s, COF_ROOT_INO, name, COF_KIND_DIR, &ino),
					 -EPERM);
		}
	ck_assert_uint_eq(count_events(), 1);
	cof_events_flush(s.archive);
	ck_assert_uint_le(count_events(), 20);
	ck_assert_int_eq(sum_of_counts(), 2 * (int64_t)n);
	ck_assert_uint_eq(atomic_load(&s.archive->refused), 2 * n);
	/* The first stands in its own event; a set of hashes that is full may list a name twice. */
	ck_assert_uint_ge(count_names(), n - 1);
	ck_assert_uint_le(count_names(), n + 20);
	list = entries_of(&s, "event");
	names = names_of(cof_json_at(list, 1));
	for (size_t i = 0; i < cof_json_count(names); i++) {
		snprintf(name, sizeof(name), "shelf-%zu", i + 1);
		ck_assert_str_eq(cof_json_str(cof_json_at(names, i), "path"), name);
	}
	cof_json_free(list);
	ck_assert_ptr_nonnull(strstr(s.alarm, "refusals within ten seconds"));
}
END_TEST

static uint64_t log_bytes(void)
{
	struct cof_log_status st;

	cof_log_status(s.archive->log, &st);
	return st.bytes;
}

/* Endless names: the log grows by the budget and no more. */
START_TEST(endless_names)
{
	uint64_t before = log_bytes(), n = 60000, told = 0, ino;
	char name[256];
	struct cof_json *list;

	for (uint64_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%08x%0200d", (unsigned)(i * 2654435761u), 0);
		ck_assert_int_eq(do_create(&s, COF_ROOT_INO, name, COF_KIND_DIR, &ino), -EPERM);
	}
	cof_events_flush(s.archive);
	ck_assert_uint_lt(log_bytes() - before, 1 << 20);
	ck_assert_int_eq(sum_of_counts(), (int64_t)n);
	list = entries_of(&s, "event");
	for (size_t i = 0; i < cof_json_count(list); i++) {
		const char *detail = cof_json_str(cof_json_at(list, i), "detail");

		told += detail && strstr(detail, "too many to list");
	}
	ck_assert_uint_gt(told, 0);
	cof_json_free(list);
}
END_TEST

/* Very many actors: even their ACTOR frames are bounded. */
START_TEST(flood_of_actors)
{
	size_t n = 5000, actors;
	struct cof_json *list;
	uint64_t before = log_bytes();

	for (uint32_t i = 0; i < n; i++) {
		struct cof_who who = {10000 + i, 1, 0, false};

		ck_assert_int_eq(overwrite(&who), -EPERM);
	}
	cof_events_flush(s.archive);
	ck_assert_uint_lt(log_bytes() - before, 1 << 20);
	list = entries_of(&s, "actor");
	actors = cof_json_count(list);
	cof_json_free(list);
	ck_assert_uint_ge(actors, 1000);
	ck_assert_uint_le(actors, 1200);
	ck_assert_int_eq(sum_of_counts(), (int64_t)n);
}
END_TEST

/* Processes of one account do not take all the places. */
START_TEST(one_account)
{
	struct cof_json *list, *e;

	for (uint32_t i = 0; i < 1000; i++) {
		struct cof_who who = {1000, 1, 4000000 + i, false};

		ck_assert_int_eq(overwrite(&who), -EPERM);
	}
	ck_assert_uint_le(count_events(), 256);
	ck_assert_int_eq(overwrite(&bob), -EPERM);
	list = entries_of(&s, "event");
	e = cof_json_at(list, cof_json_count(list) - 1);
	ck_assert_int_eq(number_of(cof_json_get(e, "actor"), "uid"), bob.uid);
	cof_json_free(list);
	cof_events_flush(s.archive);
	ck_assert_int_eq(sum_of_counts(), 1001);
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

	const struct cof_event one = {.type = "unmount-asked", .detail = "by pid 7"};
	const struct cof_event two = {.type = "locked",
				      .severity = "crit",
				      .source = "ca",
				      .place = "room 2",
				      .actor_name = "alice",
				      .path = "audit/a",
				      .who = &alice,
				      .object = file,
				      .time = 77 * COF_NSEC};
	uint64_t sequence = 0;

	s.alarm[0] = '\0';
	ck_assert_int_eq(cof_event_emit(s.archive, &one, &sequence), 0);
	ck_assert_str_eq(s.alarm, ""); /* of no table: only what asks for it is told */
	ck_assert_int_eq(cof_event_emit(s.archive, &two, NULL), 0);
	ck_assert_ptr_nonnull(strstr(s.alarm, "audit/a"));
	list = entries_of(&s, "event");
	e = entry_with(list, "event", "unmount-asked");
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(cof_json_str(e, "detail"), "by pid 7");
	ck_assert_str_eq(cof_json_str(e, "severity"), "notice");
	ck_assert_str_eq(cof_json_str(e, "outcome"), "success");
	ck_assert_ptr_null(cof_json_get(e, "catalogue"));
	ck_assert_ptr_null(cof_json_get(e, "actor"));
	ck_assert_int_eq(number_of(e, "sequence"), (int64_t)sequence);
	e = entry_with(list, "event", "locked");
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(cof_json_str(e, "catalogue"), "A.2.3");
	ck_assert_str_eq(cof_json_str(e, "outcome"), "failure");
	ck_assert_str_eq(cof_json_str(e, "severity"), "crit");
	ck_assert_str_eq(cof_json_str(e, "source"), "ca");
	ck_assert_str_eq(cof_json_str(e, "place"), "room 2");
	ck_assert_str_eq(cof_json_str(e, "signer"), "alice");
	ck_assert_str_eq(cof_json_str(e, "claimed_time"), "1970-01-01T00:01:17.000Z");
	ck_assert_ptr_nonnull(cof_json_get(e, "actor"));
	cof_json_free(list);
}
END_TEST

/* ---- killed ---- */

static void plain_setup(void)
{
	store_make(&s, STORE_PLAIN);
	file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, file, 0, "line\n", 5);
}

static void kill_and_open(void)
{
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	store_open(&s);
}

/* Counts and names that were in no frame are there after a kill, once, under who it was. */
START_TEST(killed)
{
	struct cof_who who = {1000, 100, (uint32_t)getpid(), false};
	struct cof_json *list, *e, *actor;
	char name[32];
	uint64_t ino;

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(overwrite(&who), -EPERM);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "shelf-%d", i);
		ck_assert_int_eq(do_create(&s, COF_ROOT_INO, name, COF_KIND_DIR, &ino), -EPERM);
	}
	ck_assert_uint_eq(count_events(), 2);
	kill_and_open();
	ck_assert_int_eq(sum_of_counts(), 1100);
	ck_assert_uint_eq(count_names(), 99);
	list = entries_of(&s, "event");
	e = cof_json_at(list, 2);
	ck_assert_int_eq(number_of(e, "count"), 999);
	ck_assert_str_eq(cof_json_str(e, "detail"), "rule append-only");
	actor = cof_json_get(e, "actor");
	ck_assert_int_eq(number_of(actor, "uid"), 1000);
	ck_assert_int_eq(number_of(actor, "pid"), getpid());
	cof_json_free(list);
	/* it is the same actor, not a new first; and a name that was listed is not listed again */
	ck_assert_int_eq(overwrite(&who), -EPERM);
	ck_assert_uint_eq(count_events(), 4);
	ck_assert_int_eq(do_create(&s, COF_ROOT_INO, "shelf-7", COF_KIND_DIR, &ino), -EPERM);
	kill_and_open();
	ck_assert_int_eq(sum_of_counts(), 1102);
	ck_assert_uint_eq(count_names(), 99);
	kill_and_open(); /* again with nothing that waits */
	ck_assert_int_eq(sum_of_counts(), 1102);
	store_close(&s);
	store_open(&s);
	ck_assert_int_eq(sum_of_counts(), 1102);
}
END_TEST

/* Killed between the ledger's note that a sum is being written and the frame, or behind the frame.
 */
START_TEST(killed_while_writing)
{
	struct cof_ledger *l;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(overwrite(&alice), -EPERM);
	atomic_store(&s.archive->failed, -EIO); /* no frame is written any more */
	l = s.archive->events->ledger;
	ck_assert_ptr_nonnull(l);
	cof_events_flush(s.archive);
	kill_and_open();
	ck_assert_int_eq(sum_of_counts(), 10);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(overwrite(&alice), -EPERM);
	/* The ledger as it is before the frame's end is noted: with the sum in flight. */
	for (unsigned i = 0; i < COF_KINDS; i++) {
		struct cof_refused *k = &s.archive->events->kind[i];

		if (!k->used || !k->count.n)
			continue;
		k->flight = k->count;
		k->flight_from = atomic_load(&s.archive->size);
		k->count = (struct cof_tally){0};
		cof_ledger_kind(s.archive, (uint16_t)i);
		ck_assert_int_eq(
		    cof_kind_write(s.archive, k, false, (uint16_t)i, NULL, 0, &(size_t){0}), 0);
	}
	ck_assert_int_eq(sum_of_counts(), 20);
	kill_and_open();
	ck_assert_int_eq(sum_of_counts(), 20);
}
END_TEST

/* Any byte of the ledger may be wrong: the mount goes on, nothing crashes, and damage is on record.
 */
START_TEST(damaged_ledger)
{
	char path[128];
	unsigned seed = (unsigned)_i, told = 0;

	for (int round = 0; round < 20; round++) {
		struct cof_json *list;
		FILE *f;
		long at;
		int c;

		for (int i = 0; i < 10; i++)
			ck_assert_int_eq(overwrite(&alice), -EPERM);
		cof_archive_abandon(s.archive);
		s.archive = NULL;
		snprintf(path, sizeof(path), "%s/refusals", s.dir);
		f = fopen(path, "r+");
		ck_assert_ptr_nonnull(f);
		at = round % 2 ? 4096 + rand_r(&seed) % 124 : rand_r(&seed) % 64;
		ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
		c = fgetc(f);
		ck_assert_int_eq(fseek(f, at, SEEK_SET), 0);
		ck_assert_int_ne(fputc(c ^ 1 << rand_r(&seed) % 8, f), EOF);
		fclose(f);
		store_open(&s);
		list = entries_of(&s, "event");
		told += entry_with(list, "event", "refusals-damaged") != NULL;
		cof_json_free(list);
		ck_assert_int_le(sum_of_counts(), 10 * (round + 1));
	}
	ck_assert_uint_gt(told, 0);
}
END_TEST

/* A file of that name that is none of ours, or a link: it is not followed, and the mount goes on.
 */
START_TEST(foreign_ledger)
{
	char path[128], other[128];

	store_close(&s);
	snprintf(path, sizeof(path), "%s/refusals", s.dir);
	snprintf(other, sizeof(other), "%s/other", s.dir);
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(symlink("other", path), 0);
	store_open(&s);
	ck_assert_ptr_null(s.archive->events->ledger);
	ck_assert_ptr_nonnull(strstr(s.alarm, "refusals cannot be used"));
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	ck_assert_int_eq(overwrite(&alice), -EPERM);
	store_close(&s);
	ck_assert_int_eq(unlink(path), 0);
	store_open(&s);
	ck_assert_ptr_nonnull(s.archive->events->ledger);
	ck_assert_int_eq(sum_of_counts(), 2);
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
	tcase_add_test(c, endless_names);
	tcase_add_test(c, flood_of_actors);
	tcase_add_test(c, one_account);
	tcase_add_test(c, full_disk);
	tcase_add_test(c, own_events);
	suite_add_tcase(suite, c);
	c = tcase_create("killed");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, plain_setup, teardown);
	tcase_add_test(c, killed);
	tcase_add_test(c, killed_while_writing);
	tcase_add_loop_test(c, damaged_ledger, 0, 3);
	tcase_add_test(c, foreign_ledger);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
