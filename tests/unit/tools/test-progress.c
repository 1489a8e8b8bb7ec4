/* SPDX-License-Identifier: Apache-2.0 */
/* The line that tells how far verify is: pure. */
#include "test-tools.h"

#include "tools/output.h"
#include "tools/sync-screen.h"

static const char *line(uint64_t done, uint64_t total, int64_t seconds, int width)
{
	static char out[192];

	progress_line(done, total, seconds * COF_NSEC, width, out, sizeof(out));
	return out;
}

START_TEST(half_way)
{
	const char *s = line(512ull << 20, 1ull << 30, 4, 80);

	ck_assert_ptr_nonnull(strstr(s, " 50 % of 1.0 GiB"));
	ck_assert_ptr_nonnull(strstr(s, "128.0 MiB/s"));
	ck_assert_ptr_nonnull(strstr(s, "4 s left"));
	ck_assert_int_eq(s[0], '[');
	ck_assert_ptr_nonnull(strstr(s, "#."));
}
END_TEST

START_TEST(ends)
{
	ck_assert_ptr_nonnull(strstr(line(0, 1000, 2, 80), "  0 % of"));
	ck_assert_ptr_null(strchr(line(0, 1000, 2, 80), '#'));
	ck_assert_ptr_null(strstr(line(0, 1000, 2, 80), "left")); /* no rate, no guess */
	ck_assert_ptr_nonnull(strstr(line(1000, 1000, 2, 80), "100 %"));
	ck_assert_ptr_null(strstr(line(1000, 1000, 2, 80), "#."));
	ck_assert_ptr_null(strstr(line(1000, 1000, 2, 80), "left"));
}
END_TEST

START_TEST(what_cannot_be_divided)
{
	ck_assert_ptr_nonnull(strstr(line(0, 0, 0, 80), "  0 %"));
	ck_assert_ptr_nonnull(strstr(line(5, 0, 1, 80), "  0 %"));
	ck_assert_ptr_nonnull(
	    strstr(line(3000, 1000, 1, 80), "100 %")); /* the log grew meanwhile */
	ck_assert_ptr_nonnull(strstr(line(UINT64_MAX, UINT64_MAX, 1, 80), "100 %"));
	ck_assert_ptr_nonnull(strstr(line(1, UINT64_MAX, 1, 80), "days left"));
}
END_TEST

START_TEST(units_of_time)
{
	ck_assert_ptr_nonnull(strstr(line(1, 121, 1, 120), "2 min left"));
	ck_assert_ptr_nonnull(strstr(line(1, 7201, 1, 120), "2.0 h left"));
	ck_assert_ptr_nonnull(strstr(line(1, 864001, 1, 120), "10 days left"));
}
END_TEST

START_TEST(never_wider_than_the_terminal)
{
	for (int width = 1; width < 200; width++)
		for (uint64_t done = 0; done <= 1u << 30; done += 1u << 27)
			ck_assert_int_lt((int)strlen(line(done, 1u << 30, 3, width)),
					 COF_MAX(width, 2));
}
END_TEST

/* Of rounds that run at once: each by its name, never wider than the terminal. */
START_TEST(several_at_once)
{
	const struct sync_round none = {.total = 0}, half = {.done = 50, .total = 100}, whole = {.done = 300, .total = 200};
	const struct sync_round *const three[] = {&half, &none, &whole}, *const one[] = {&none, &half, &none};
	const char *const name[] = {"a", "quiet", "b"};
	char out[512];

	sync_screen_line(name, three, 3, COF_NSEC, 80, out, sizeof(out));
	ck_assert_str_eq(out, "a 50 %  b 100 %  350 B/s");
	sync_screen_line(name, one, 3, COF_NSEC, 80, out, sizeof(out));
	ck_assert(!strncmp(out, "quiet [", 7));
	ck_assert_ptr_nonnull(strstr(out, " 50 % of 100 B"));
	for (int width = 2; width < 100; width++) {
		sync_screen_line(name, three, 3, COF_NSEC, width, out, sizeof(out));
		ck_assert_int_lt((int)strlen(out), width);
		sync_screen_line(name, one, 3, COF_NSEC, width, out, sizeof(out));
		ck_assert_int_lt((int)strlen(out), COF_MAX(width, 8));
	}
	sync_screen_line(name, one, 1, COF_NSEC, 80, out, sizeof(out));
	ck_assert_str_eq(out, "");
}
END_TEST

TCase *progress_case(void)
{
	TCase *t = tcase_create("progress");

	tcase_add_test(t, half_way);
	tcase_add_test(t, ends);
	tcase_add_test(t, what_cannot_be_divided);
	tcase_add_test(t, units_of_time);
	tcase_add_test(t, never_wider_than_the_terminal);
	tcase_add_test(t, several_at_once);
	return t;
}
