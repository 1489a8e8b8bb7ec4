/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heartbeats, intervals without a recorder and silent shelves, under a machine's clocks that the test moves
 * (cof_now is wrapped at link time).
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "entries.h"
#include "fs/archive/internal.h"

#define SECOND COF_NSEC
#define BEGIN (INT64_C(1767225600) * COF_NSEC)

int64_t __wrap_cof_now(clockid_t clock);

static int64_t wall, boot, monotonic;
static struct store s;
static uint64_t file;
static int64_t period;

int64_t __wrap_cof_now(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? wall : clock == CLOCK_BOOTTIME ? boot : (monotonic += 1000);
}

static void on_alarm(void *user COF_UNUSED, const char *text)
{
	strncat(s.alarm, text, sizeof(s.alarm) - strlen(s.alarm) - 2);
	strcat(s.alarm, "\n");
}

static void mount_it(void)
{
	struct cof_archive_params p = {.io = s.io,
				       .secret = &s.secret,
				       .index_dir = "",
				       .alarm = on_alarm,
				       .heartbeat = period,
				       .no_threads = true};
	struct cof_diag diag = {""};

	ck_assert_msg(cof_archive_open(&p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
}

static void setup(void)
{
	struct cof_diag diag;

	wall = BEGIN;
	boot = 1000 * SECOND;
	period = 60 * SECOND;
	store_new(&s, STORE_PLAIN); /* its lock tells whether a daemon is there */
	ck_assert_int_eq(store_init(&s, &diag), 0);
	wall += 3600 * SECOND;
	boot += 3600 * SECOND;
	mount_it();
	file = must_create(&s, AUDIT, "a.log", COF_KIND_FILE);
	must_write(&s, file, 0, "line\n", 5);
}

static void teardown(void)
{
	store_done(&s);
}

static void pass(int64_t ns)
{
	wall += ns;
	boot += ns;
}

/* The keeper looks each second. */
static void live(int64_t seconds)
{
	for (int64_t i = 0; i < seconds; i++) {
		pass(SECOND);
		cof_archive_tick(s.archive);
	}
}

static size_t frames(const char *type)
{
	struct cof_json *list = entries_of(&s, type);
	size_t n = cof_json_count(list);

	cof_json_free(list);
	return n;
}

static size_t events(const char *event)
{
	struct cof_json *list = entries_of(&s, "event");
	size_t n = 0;

	for (size_t i = 0; i < cof_json_count(list); i++)
		n += !strcmp(cof_json_str(cof_json_at(list, i), "event"), event);
	cof_json_free(list);
	return n;
}

struct gaps {
	size_t n;
	struct cof_gap gap[16];
};

static int take(void *user, const struct cof_gap *g)
{
	struct gaps *all = user;

	ck_assert_uint_lt(all->n, 16);
	all->gap[all->n++] = *g;
	return 0;
}

static struct gaps gaps(void)
{
	struct cof_diag diag = {""};
	struct gaps all = {0};
	struct cof_io *io; /* as another program has it */

	ck_assert_int_eq(cof_io_plain(s.dir, &io, &diag), 0);
	ck_assert_msg(cof_store_gaps(io, take, &all, &diag) == 0, "%s", diag.text);
	cof_io_free(io);
	return all;
}

START_TEST(beats)
{
	uint64_t size;

	live(600);
	/* one each period in which nothing else came; its checkpoint is a frame too */
	ck_assert_uint_ge(frames("heartbeat"), 9);
	ck_assert_uint_le(frames("heartbeat"), 10);
	size = frames("heartbeat");
	for (int i = 0; i < 20; i++) {
		must_write(&s, file, 5 + (uint64_t)i, "x", 1);
		live(30);
	}
	ck_assert_uint_eq(frames("heartbeat"), size); /* what is written says it as well */
	ck_assert_uint_eq(gaps().n, 1);		      /* between init and the mount */
}
END_TEST

START_TEST(none_wanted)
{
	store_close(&s);
	period = -1;
	mount_it();
	live(600);
	ck_assert_uint_eq(frames("heartbeat"), 0);
	ck_assert_uint_eq(events("gap"), 0);
	must_write(&s, file, 5, "x", 1);
	cof_archive_tick(s.archive);
	for (size_t i = 0; i < gaps().n; i++) /* it promised nothing */
		ck_assert_int_ne(gaps().gap[i].kind, COF_GAP_STOPPED);
}
END_TEST

START_TEST(between_mounts)
{
	struct gaps all;
	int64_t at;

	live(100);
	store_close(&s);
	at = wall;
	pass(500 * SECOND);
	all = gaps();
	ck_assert_uint_eq(all.n, 2);
	ck_assert_int_eq(all.gap[1].kind, COF_GAP_UNMOUNTED);
	ck_assert_int_eq(all.gap[1].from, at);
	ck_assert_int_eq(all.gap[1].to, COF_GAP_OPEN);
	mount_it();
	all = gaps();
	ck_assert_uint_eq(all.n, 2);
	ck_assert_int_eq(all.gap[1].to - all.gap[1].from, 500 * SECOND);
	live(10);
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	pass(70 * SECOND);
	mount_it();
	all = gaps();
	ck_assert_uint_eq(all.n, 3);
	ck_assert_int_eq(all.gap[2].kind, COF_GAP_KILLED);
	ck_assert_int_ge(all.gap[2].to - all.gap[2].from, 70 * SECOND);
	ck_assert_int_le(all.gap[2].to - all.gap[2].from, 80 * SECOND);
}
END_TEST

static int no_policy(void *user COF_UNUSED, const struct cof_policy_then *then COF_UNUSED)
{
	return 0;
}

/* What lies behind a damaged frame was not looked at: nobody says then that there is nothing, also not beside a daemon, whose
 * last frame may be half there. */
START_TEST(behind_damage)
{
	struct cof_diag diag = {""};
	struct gaps all = {0};
	struct cof_json *list;
	struct cof_io *io;
	char path[256];
	off_t at;
	int fd;

	live(100);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	list = entries_of(&s, "append");
	at = (off_t)number_of(cof_json_at(list, 0), "offset");
	cof_json_free(list);
	snprintf(path, sizeof(path), "%s/log/00000000.seg", s.dir);
	fd = open(path, O_WRONLY);
	ck_assert_int_ge(fd, 0);
	for (unsigned zeros = 0; zeros < 2; zeros++) { /* damaged, and as if nothing came behind */
		static const char bytes[2][128] = {"XXXX"};

		ck_assert_int_eq(pwrite(fd, bytes[zeros], sizeof(bytes[zeros]), at), sizeof(bytes[zeros]));
		ck_assert_int_eq(cof_io_plain(s.dir, &io, &diag), 0);
		ck_assert_int_eq(cof_store_gaps(io, take, &all, &diag), -EUCLEAN);
		ck_assert_int_eq(cof_store_policies(io, no_policy, NULL, &diag), -EUCLEAN);
		cof_io_free(io);
	}
	close(fd);
}
END_TEST

/* A daemon that was stopped and goes on: it says so itself, and the log shows it. */
START_TEST(inside_a_mount)
{
	struct gaps all;

	live(100);
	s.alarm[0] = '\0';
	pass(1000 * SECOND);
	ck_assert_int_eq(gaps().gap[gaps().n - 1].kind, COF_GAP_STOPPED); /* while it lasts */
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(events("gap"), 1);
	ck_assert_ptr_nonnull(strstr(s.alarm, "did not run"));
	live(100);
	ck_assert_uint_eq(events("gap"), 1);
	all = gaps();
	ck_assert_uint_eq(all.n, 2);
	ck_assert_int_eq(all.gap[1].kind, COF_GAP_STOPPED);
	ck_assert_int_ge(all.gap[1].to - all.gap[1].from, 1000 * SECOND);
	ck_assert_int_le(all.gap[1].to - all.gap[1].from, 1070 * SECOND);
	wall -= 400 * SECOND; /* a clock that is set makes no gap */
	live(100);
	wall += 4000 * SECOND;
	live(100);
	ck_assert_uint_eq(gaps().n, 2);
}
END_TEST

START_TEST(silence)
{
	static const char policy[] = "silence = 10min\n";
	struct cof_json *list, *e;

	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_SHELF_SET, .ino = AUDIT, .data = policy, .length = sizeof(policy) - 1}),
			 0);
	live(300);
	must_write(&s, file, 5, "x", 1);
	live(590);
	ck_assert_uint_eq(events("silence"), 0);
	s.alarm[0] = '\0';
	live(20);
	ck_assert_uint_eq(events("silence"), 1);
	ck_assert_ptr_nonnull(strstr(s.alarm, "nothing was appended"));
	live(1200);
	ck_assert_uint_eq(events("silence"), 1); /* once */
	must_write(&s, file, 6, "y", 1);
	live(2);
	ck_assert_uint_eq(events("silence-ended"), 1);
	live(700);
	ck_assert_uint_eq(events("silence"), 2);
	list = entries_of(&s, "event");
	e = entry_with(list, "event", "silence");
	ck_assert_str_eq(cof_json_str(e, "path"), "audit");
	ck_assert_str_eq(cof_json_str(e, "catalogue"), "A.17.9");
	ck_assert_int_eq(number_of(e, "object"), AUDIT);
	cof_json_free(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-gaps");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("gaps");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, beats);
	tcase_add_test(c, none_wanted);
	tcase_add_test(c, between_mounts);
	tcase_add_test(c, inside_a_mount);
	tcase_add_test(c, behind_damage);
	tcase_add_test(c, silence);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
