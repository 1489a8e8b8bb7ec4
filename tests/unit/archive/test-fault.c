/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong is shown, over remounts, until somebody says that they know: that is on record. */
#include "entries.h"

#include <stdio.h>

static struct cof_json *status_of(struct store *s)
{
	struct cof_json *o = cof_json_object();

	ck_assert_int_eq(s->archive ? cof_archive_status(s->archive, o)
				    : cof_store_status(s->io, o, NULL),
			 0);
	return o;
}

static size_t faults(struct store *s)
{
	cof_autojson struct cof_json *o = status_of(s);

	return cof_json_count(cof_json_get(o, "faults"));
}

static void must_say(struct store *s, const char *what)
{
	cof_autojson struct cof_json *o = status_of(s);
	struct cof_json *list = cof_json_get(o, "faults");

	for (size_t i = 0; i < cof_json_count(list); i++) {
		struct cof_json *f = cof_json_at(list, i);

		ck_assert_ptr_nonnull(cof_json_str(f, "text"));
		if (strstr(cof_json_str(f, "text"), what)) {
			ck_assert_ptr_nonnull(cof_json_str(f, "time"));
			return;
		}
	}
	ck_abort_msg("no fault says \"%s\"", what);
}

static void kill_it(struct store *s)
{
	cof_archive_abandon(s->archive);
	s->archive = NULL;
}

static uint64_t acknowledge(struct store *s)
{
	uint64_t n = 77;

	ck_assert_int_eq(cof_archive_acknowledge(s->archive, &root_user, &n, NULL), 0);
	return n;
}

START_TEST(until_acknowledged)
{
	cof_autojson struct cof_json *events = NULL;
	struct cof_json *e;
	struct store s;

	store_make(&s, (enum store_kind)_i);
	ck_assert_uint_eq(faults(&s), 0);
	ck_assert_uint_eq(acknowledge(&s), 0);
	must_create(&s, AUDIT, "f", COF_KIND_FILE);
	kill_it(&s);
	store_open(&s);
	must_say(&s, "not closed cleanly");
	store_close(&s);
	ck_assert_uint_eq(faults(&s), 1); /* without a daemon */
	store_open(&s);
	must_say(&s, "not closed cleanly"); /* a clean end in between changes nothing */
	ck_assert_uint_eq(acknowledge(&s), 1);
	ck_assert_uint_eq(faults(&s), 0);
	events = entries_of(&s, "event");
	e = entry_with(events, "event", "acknowledged");
	ck_assert_ptr_nonnull(e);
	ck_assert(strstr(cof_json_str(e, "detail"), "not closed cleanly") != NULL);
	ck_assert_int_eq(number_of(e, "uid"), 0);
	store_close(&s);
	store_open(&s);
	ck_assert_uint_eq(faults(&s), 0);
	store_done(&s);
}
END_TEST

/* A failed disk takes no acknowledgement; once it is well, the end without an unmount is shown. */
START_TEST(failed_disk)
{
	struct cof_diag diag = {""};
	struct store s;
	uint64_t n = 0, ino;

	store_make(&s, STORE_SIM);
	ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	cof_sim_plan(s.sim, COF_SIM_EIO_WRITE, 1);
	ck_assert_int_lt(do_write(&s, ino, 0, "x", 1), 0);
	must_say(&s, "read-only from now on");
	ck_assert_int_eq(cof_archive_acknowledge(s.archive, &root_user, &n, &diag), -EROFS);
	ck_assert(strstr(diag.text, "mount it again") != NULL);
	must_say(&s, "read-only from now on");
	cof_archive_tick(s.archive);
	kill_it(&s);
	store_open(&s);
	must_say(&s, "read-only from now on"); /* the disk took that much */
	must_say(&s, "not closed cleanly");
	ck_assert_uint_eq(acknowledge(&s), 2);
	store_done(&s);
}
END_TEST

/* Whatever stands in the file: shown, bounded, without control characters. */
START_TEST(hostile_file)
{
	static const char text[] = "2026-01-01T00:00:00Z one\n\033[31mtwo\nmore 5\n\n2026-01-01T00:00:00Z ";
	cof_autobuf struct cof_buf long_text = {0};
	struct store s;

	store_make(&s, STORE_SIM);
	store_close(&s);
	ck_assert_int_eq(cof_io_replace(s.io, "faults", text, sizeof(text) - 1), 0);
	must_say(&s, "one");
	for (int i = 0; i < 40; i++)
		cof_buf_printf(&long_text, "2026-01-01T00:00:%02dZ fault %d %0300d\n", i, i, 0);
	ck_assert_int_eq(cof_io_replace(s.io, "faults", long_text.data, long_text.len), 0);
	ck_assert_uint_eq(faults(&s), 16);
	store_open(&s);
	ck_assert_uint_eq(acknowledge(&s), 40);
	ck_assert_uint_eq(faults(&s), 0);
	store_close(&s);
	cof_buf_printf(&long_text, "%070000d", 0);
	ck_assert_int_eq(cof_io_replace(s.io, "faults", long_text.data, long_text.len), 0);
	must_say(&s, "cannot be read");
	store_open(&s);
	store_done(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-fault");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("fault");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, until_acknowledged, 0, STORE_KINDS);
	tcase_add_test(c, failed_disk);
	tcase_add_test(c, hostile_file);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
