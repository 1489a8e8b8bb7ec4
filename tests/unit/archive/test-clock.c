/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks under a machine's clocks that the test moves (cof_now is wrapped at link time), and a TPM's
 * clock that it sets: retention never runs ahead of the time that passed, whatever is set.
 */
#include <time.h>

#include "entries.h"
#include "fs/archive/grant.h"
#include "fs/archive/internal.h"
#include "support.h"

#define YEAR (INT64_C(365) * 86400 * COF_NSEC)
#define BEGIN (INT64_C(1767225600) * COF_NSEC)

int64_t __wrap_cof_now(clockid_t clock);
extern const struct cof_action cof_act_clock_catch_up;

static int64_t wall, boot, monotonic; /* the machine's */
static struct cof_tpm_clock tpm;
static bool tpm_gone;
static struct store s;
static const struct cof_clock_source *source;

int64_t __wrap_cof_now(clockid_t clock)
{
	return clock == CLOCK_REALTIME ? wall : clock == CLOCK_BOOTTIME ? boot : (monotonic += 1000);
}

static int read_tpm(void *user COF_UNUSED, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	if (tpm_gone)
		return cof_fail(diag, -ENODEV, "nobody answers");
	*ret = tpm;
	return 0;
}
static const struct cof_clock_source fake = {read_tpm, NULL};

static void pass(int64_t ns)
{
	wall += ns;
	boot += ns;
	tpm.clock_ms += (uint64_t)(ns / 1000000);
	tpm.time_ms += (uint64_t)(ns / 1000000);
}

static void mount_it(void)
{
	struct cof_archive_params p = {.io = s.io,
				       .secret = &s.secret,
				       .index_dir = "",
				       .tpm_clock = source,
				       .no_threads = true};
	struct cof_diag diag = {""};
	int r = cof_archive_open(&p, &s.archive, &s.opened, &diag);

	ck_assert_msg(r == 0, "%s", diag.text);
}

static void setup(const struct cof_clock_source *with)
{
	struct cof_diag diag;

	wall = BEGIN;
	boot = 1000 * COF_NSEC;
	tpm = (struct cof_tpm_clock){.clock_ms = 5000000, .time_ms = 1000000, .resets = 3, .safe = true};
	tpm_gone = false;
	source = with;
	store_new(&s, STORE_SIM);
	ck_assert_int_eq(store_init(&s, &diag), 0);
	mount_it();
}

static int64_t tick(void)
{
	cof_archive_tick(s.archive);
	return cof_clock_retention(&s.archive->clock);
}

static bool has_fault(const char *words)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const struct cof_json *list;
	bool found = false;

	ck_assert_int_eq(cof_archive_status(s.archive, o), 0);
	list = cof_json_get(o, "faults");
	for (size_t i = 0; i < cof_json_count(list); i++)
		found |= strstr(cof_json_str(cof_json_at(list, i), "text"), words) != NULL;
	return found;
}

/* ---- the arithmetic ---- */

START_TEST(least_of_both)
{
	struct cof_pace p = {0};
	struct cof_tpm_clock c = {.clock_ms = 1000, .time_ms = 1000};
	enum cof_pace_event event;

	ck_assert_int_eq(cof_pace_take(&p, &c, 50, &event), 0);
	c.clock_ms += 1000;
	c.time_ms += 1000;
	ck_assert_int_eq(cof_pace_take(&p, &c, 50 + 900 * 1000000, &event), 900 * 1000000);
	/* jitter is made good for */
	c.clock_ms += 900;
	c.time_ms += 900;
	ck_assert_int_eq(cof_pace_take(&p, &c, 50 + 1900 * 1000000LL, &event), 1000 * 1000000);
	ck_assert_int_eq(event, COF_PACE_GOES_ON);
	/* a clock that goes back */
	c.clock_ms -= 1;
	ck_assert_int_eq(cof_pace_take(&p, &c, 50 + 2900 * 1000000LL, &event), 0);
	ck_assert_int_eq(event, COF_PACE_ANEW);
}
END_TEST

START_TEST(no_more_is_saved_up)
{
	struct cof_pace p = {0};
	struct cof_tpm_clock c = {.clock_ms = 1000, .time_ms = 1000};
	enum cof_pace_event event;
	int64_t sum = 0, at = COF_NSEC;

	(void)cof_pace_take(&p, &c, at, &event);
	/* both counters, as no real TPM's would: ten years, in no time */
	c.clock_ms += (uint64_t)(10 * YEAR / 1000000);
	c.time_ms += (uint64_t)(10 * YEAR / 1000000);
	sum += cof_pace_take(&p, &c, at += COF_NSEC, &event);
	ck_assert_int_eq(sum, COF_NSEC);
	/* then it stands, and the boot-time clock alone goes on */
	for (int i = 0; i < 10; i++)
		sum += cof_pace_take(&p, &c, at += COF_NSEC, &event);
	ck_assert_int_le(sum, COF_NSEC + COF_PACE_CREDIT);
	/* the other way round */
	at += 10 * YEAR;
	sum = cof_pace_take(&p, &c, at, &event);
	ck_assert_int_eq(sum, 0);
	for (int i = 0; i < 10; i++) {
		c.clock_ms += 1000;
		c.time_ms += 1000;
		sum += cof_pace_take(&p, &c, at, &event);
	}
	ck_assert_int_le(sum, COF_PACE_CREDIT);
}
END_TEST

START_TEST(what_readings_tell)
{
	struct cof_tpm_clock a = {.clock_ms = 9000, .time_ms = 4000, .resets = 2, .restarts = 1}, b = a;
	enum cof_pace_event event;

	b.clock_ms += 500;
	b.time_ms += 400;
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 400 * 1000000);
	ck_assert_int_eq(event, COF_PACE_GOES_ON);
	b.time_ms += 700; /* the other one is slower */
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 500 * 1000000);
	b.time_ms -= 700;
	b.clock_ms = UINT64_MAX; /* set forward as far as it goes */
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 400 * 1000000);
	ck_assert_int_eq(event, COF_PACE_FORWARD);
	b.resets++;
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 0);
	ck_assert_int_eq(event, COF_PACE_RESET);
	b.resets = 2;
	b.restarts = 2;
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 0);
	ck_assert_int_eq(event, COF_PACE_RESET);
	b.restarts = 0;
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 0);
	ck_assert_int_eq(event, COF_PACE_ANEW);
	b = (struct cof_tpm_clock){.clock_ms = 20000, .time_ms = 20000}; /* cleared */
	ck_assert_int_eq(cof_pace_passed(&a, &b, &event), 0);
	ck_assert_int_eq(event, COF_PACE_ANEW);
}
END_TEST

START_TEST(reading_in_bytes)
{
	struct cof_tpm_clock a = {.clock_ms = 0x0102030405060708, .time_ms = 9, .resets = 0xa0b0c0d0,
				  .restarts = 7, .safe = true},
			     b;
	uint8_t bytes[COF_TPM_CLOCK_SIZE];

	cof_tpm_clock_encode(&a, bytes);
	ck_assert_uint_eq(bytes[0], 8);
	ck_assert_uint_eq(bytes[16], 0xd0);
	cof_tpm_clock_decode(bytes, &b);
	ck_assert_uint_eq(b.clock_ms, a.clock_ms);
	ck_assert_uint_eq(b.time_ms, 9);
	ck_assert_uint_eq(b.resets, a.resets);
	ck_assert_uint_eq(b.restarts, 7);
	ck_assert(b.safe);
}
END_TEST

/* ---- an archive ---- */

START_TEST(wall_clock_set)
{
	int64_t from;
	struct cof_json *list;

	setup(NULL);
	from = tick();
	for (int i = 0; i < 4; i++) { /* ten years forward, twenty back, and forward again */
		wall += i & 1 ? -20 * YEAR : 10 * YEAR;
		pass(COF_NSEC);
		ck_assert_int_eq(tick(), from + (i + 1) * COF_NSEC);
		if (i == 1) /* from one side to the other at once */
			ck_assert(has_fault("ahead") && has_fault("behind"));
	}
	list = entries_of(&s, "clock");
	ck_assert_uint_eq(cof_json_count(list), 4);
	cof_json_free(list);
	/* a boot later, set forward meanwhile: nothing passed */
	store_close(&s);
	wall += 10 * YEAR;
	boot -= 500 * COF_NSEC;
	mount_it();
	ck_assert_int_eq(tick(), from + 4 * COF_NSEC);
	store_done(&s);
}
END_TEST

START_TEST(small_steps_add_up)
{
	struct cof_json *list;

	setup(NULL);
	for (int i = 0; i < 20; i++) {
		wall -= COF_NSEC * 9 / 10;
		tick();
	}
	list = entries_of(&s, "clock");
	ck_assert_uint_eq(cof_json_count(list), 10);
	cof_json_free(list);
	ck_assert(has_fault("behind"));
	store_done(&s);
}
END_TEST

START_TEST(tpm_slows)
{
	int64_t from;

	setup(&fake);
	from = tick();
	pass(60 * COF_NSEC);
	ck_assert_int_eq(tick(), from + 60 * COF_NSEC);
	boot += YEAR; /* a boot-time clock that lies */
	ck_assert_int_eq(tick(), from + 60 * COF_NSEC);
	pass(10 * COF_NSEC);
	ck_assert_int_le(tick(), from + 70 * COF_NSEC + COF_PACE_CREDIT);
	ck_assert(!has_fault("TPM"));
	store_done(&s);
}
END_TEST

START_TEST(tpm_set_forward)
{
	int64_t from;

	setup(&fake);
	from = tick();
	tpm.clock_ms += (uint64_t)(10 * YEAR / 1000000);
	pass(COF_NSEC);
	ck_assert_int_eq(tick(), from + COF_NSEC);
	ck_assert(has_fault("set forward"));
	/* over a remount in the same boot */
	store_close(&s);
	tpm.clock_ms += (uint64_t)(10 * YEAR / 1000000);
	pass(100 * COF_NSEC);
	mount_it();
	ck_assert_int_eq(tick(), from + 101 * COF_NSEC);
	store_done(&s);
}
END_TEST

START_TEST(tpm_power_cut_and_clear)
{
	int64_t from;

	setup(&fake);
	from = tick();
	pass(100 * COF_NSEC);
	tpm.resets++;
	tpm.clock_ms -= 4000;
	tpm.time_ms = 10;
	tpm.safe = false;
	ck_assert_int_eq(tick(), from);
	ck_assert(has_fault("was reset"));
	pass(5 * COF_NSEC);
	ck_assert_int_eq(tick(), from + 5 * COF_NSEC);
	pass(100 * COF_NSEC);
	tpm = (struct cof_tpm_clock){.clock_ms = 10};
	ck_assert_int_eq(tick(), from + 5 * COF_NSEC);
	ck_assert(has_fault("went back")); /* a TPM that was cleared is told apart by a proof, which a reading alone is not */
	pass(5 * COF_NSEC);
	ck_assert_int_eq(tick(), from + 10 * COF_NSEC);
	store_done(&s);
}
END_TEST

START_TEST(tpm_gone_and_back)
{
	int64_t from;

	setup(&fake);
	from = tick();
	tpm_gone = true;
	for (int i = 0; i < 3; i++) {
		ck_assert(!has_fault("stands still"));
		pass(100 * COF_NSEC);
		ck_assert_int_eq(tick(), from);
	}
	ck_assert(has_fault("stands still"));
	tpm_gone = false; /* it ran on: what passed is known now */
	ck_assert_int_eq(tick(), from + 300 * COF_NSEC);
	store_close(&s);
	/* gone when the archive is opened: nothing of the time in between, not later either */
	tpm_gone = true;
	pass(100 * COF_NSEC);
	mount_it();
	ck_assert_int_eq(tick(), from + 300 * COF_NSEC);
	tpm_gone = false;
	pass(100 * COF_NSEC);
	ck_assert_int_eq(tick(), from + 300 * COF_NSEC);
	pass(7 * COF_NSEC);
	ck_assert_int_eq(tick(), from + 307 * COF_NSEC);
	store_done(&s);
}
END_TEST

/* An opener added since the last mount: what passed before it is nobody's word but the boot-time clock's. */
START_TEST(tpm_comes_later)
{
	int64_t from;

	setup(NULL);
	from = tick();
	store_close(&s);
	source = &fake;
	pass(50 * COF_NSEC);
	mount_it();
	ck_assert_int_eq(tick(), from);
	store_close(&s);
	source = NULL;
	pass(50 * COF_NSEC);
	mount_it();
	ck_assert_int_eq(tick(), from + 50 * COF_NSEC);
	store_done(&s);
}
END_TEST

START_TEST(deviation_by_proof)
{
	struct cof_clock *c;

	setup(NULL);
	c = &s.archive->clock;
	ck_assert_int_eq(cof_clock_deviation(c), 0);
	wall += 3 * COF_NSEC;
	ck_assert_int_eq(cof_clock_deviation(c), 3 * COF_NSEC);
	/* proven just now: the wall clock is 2 s ahead of the latest that it can be */
	cof_clock_proven(c, wall - 4 * COF_NSEC, wall - 2 * COF_NSEC, boot, boot);
	ck_assert_int_eq(cof_clock_deviation(c), 2 * COF_NSEC);
	pass(YEAR);
	ck_assert_int_eq(cof_clock_deviation(c), 2 * COF_NSEC);
	wall -= 7 * COF_NSEC;
	ck_assert_int_eq(cof_clock_deviation(c), -3 * COF_NSEC);
	/* not known when it was made: it bounds from below alone */
	cof_clock_proven(c, wall + 100 * COF_NSEC, wall + 102 * COF_NSEC, INT64_MIN, 0);
	ck_assert_int_eq(cof_clock_deviation(c), -100 * COF_NSEC);
	tick();
	ck_assert(has_fault("behind"));
	store_done(&s);
}
END_TEST

/* What two officers approved: retention time goes on to there, and no further than the wall clock. */
static void catch_up(const struct cof_clock_source *with)
{
	static const struct cof_who daemon = {.daemon = true};
	struct cof_grant g = {.who = &daemon};
	cof_autojson struct cof_json *doc = cof_json_object();
	struct cof_diag diag = {""};
	int64_t from;
	char text[32];

	setup(with);
	from = tick();
	wall += 30 * 86400 * COF_NSEC; /* the host was off, as far as it knows */
	ck_assert_int_lt(tick(), from + COF_NSEC);
	cof_time_text(wall + 86400 * COF_NSEC, text);
	cof_json_set_str(doc, "to", text);
	ck_assert_int_eq(cof_act_clock_catch_up.check(s.archive, doc, &diag), -EPERM);
	ck_assert_ptr_nonnull(strstr(diag.text, "ahead of the wall clock"));
	cof_time_text(wall, text);
	cof_json_set_str(doc, "to", text);
	ck_assert_msg(cof_act_clock_catch_up.check(s.archive, doc, &diag) == 0, "%s", diag.text);
	ck_assert_msg(cof_act_clock_catch_up.apply(s.archive, doc, &g, &diag) == 0, "%s", diag.text);
	ck_assert_int_ge(tick(), wall);
	ck_assert_int_lt(tick(), wall + COF_NSEC);
	cof_clock_catch_up(&s.archive->clock, from); /* to what was: no way back */
	ck_assert_int_ge(tick(), wall);
	/* once more, as after a crash: nothing more */
	ck_assert_int_eq(cof_act_clock_catch_up.apply(s.archive, doc, &g, &diag), 0);
	ck_assert_int_lt(tick(), wall + COF_NSEC);
	ck_assert_int_eq(cof_act_clock_catch_up.check(s.archive, doc, &diag), -EPERM);
	/* and over a remount */
	store_close(&s);
	pass(5 * COF_NSEC);
	mount_it();
	ck_assert_int_ge(tick(), wall - 5 * COF_NSEC);
	ck_assert_int_lt(tick(), wall + COF_NSEC);
	store_done(&s);
}

START_TEST(caught_up)
{
	catch_up(_i ? &fake : NULL);
}
END_TEST

START_TEST(durations)
{
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {{0, "0.000 s"},
		    {1250000000, "1.250 s"},
		    {-1250000000, "-1.250 s"},
		    {250 * COF_NSEC, "4 min 10 s"},
		    {12000 * COF_NSEC, "3 h 20 min"},
		    {100 * 3600 * COF_NSEC, "4 d 4 h"},
		    {INT64_MIN, "-106751 d 23 h"}};
	char text[32];

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		cof_duration_text(rows[i].ns, text);
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *c = tcase_create("all");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, c);
	tcase_add_test(c, least_of_both);
	tcase_add_test(c, no_more_is_saved_up);
	tcase_add_test(c, what_readings_tell);
	tcase_add_test(c, reading_in_bytes);
	tcase_add_test(c, wall_clock_set);
	tcase_add_test(c, small_steps_add_up);
	tcase_add_test(c, tpm_slows);
	tcase_add_test(c, tpm_set_forward);
	tcase_add_test(c, tpm_power_cut_and_clear);
	tcase_add_test(c, tpm_gone_and_back);
	tcase_add_test(c, tpm_comes_later);
	tcase_add_test(c, deviation_by_proof);
	tcase_add_loop_test(c, caught_up, 0, 2);
	tcase_add_test(c, durations);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
