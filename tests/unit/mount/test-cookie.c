/* SPDX-License-Identifier: Apache-2.0 */
/* Places in a directory: they lead back, grow, and never collide with "." and "..". */
#include "test-mount.h"

#include "fs/mount/internal.h"

START_TEST(lead_back)
{
	static const uint64_t cookies[] = {1, 2, 3, 255, 256, 1u << 31, 1ull << 40, INT64_MAX - 2};

	for (size_t i = 0; i < COF_COUNT(cookies); i++) {
		int64_t off = cof_cookie_out(cookies[i]);

		ck_assert_int_gt(off, 2);
		ck_assert(cof_cookie_in(off) == cookies[i]);
	}
}
END_TEST

START_TEST(start_with_the_dots)
{
	/* At the start, behind "." and behind "..": the archive lists from its first entry on. */
	for (int64_t off = 0; off <= 2; off++)
		ck_assert_uint_eq(cof_cookie_in(off), 0);
	ck_assert_uint_eq(cof_cookie_in(3), 1);
}
END_TEST

TCase *cookie_case(void)
{
	TCase *c = tcase_create("cookies");

	tcase_add_test(c, lead_back);
	tcase_add_test(c, start_with_the_dots);
	return c;
}
