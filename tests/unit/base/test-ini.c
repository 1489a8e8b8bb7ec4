/* SPDX-License-Identifier: Apache-2.0 */
/* INI text: order, line numbers, long lines, and what is refused. */
#include "base/base.h"
#include "test-base.h"
#include <stdio.h>

struct seen {
	char text[8192];
	int stop_at, calls;
};

static int note(void *user, const char *section, const char *key, const char *value, int line)
{
	struct seen *s = user;
	char one[6000];

	if (++s->calls == s->stop_at)
		return -EDOM;
	snprintf(one, sizeof(one), "%d %s.%s=%s|", line, section, key, value);
	ck_assert_uint_lt(strlen(s->text) + strlen(one), sizeof(s->text));
	strcat(s->text, one);
	return 0;
}

START_TEST(keys_in_order)
{
	static const char text[] = "# remark\n[archive]\nformat = 1\n\nid=ab cd \n; remark\n"
				   "  indented = a ; b # c\n[other]\r\nk = \r\nlast = end";
	struct seen s = {0};
	struct cof_diag d = {""};

	ck_assert_int_eq(cof_ini_parse(text, strlen(text), note, &s, &d), 0);
	ck_assert_str_eq(s.text, "3 archive.format=1|5 archive.id=ab cd|"
				 "7 archive.indented=a ; b # c|9 other.k=|10 other.last=end|");
}
END_TEST

START_TEST(nothing)
{
	struct seen s = {0};

	ck_assert_int_eq(cof_ini_parse("", 0, note, &s, NULL), 0);
	ck_assert_int_eq(cof_ini_parse("\n\n", 2, note, &s, NULL), 0);
	ck_assert_int_eq(s.calls, 0);
}
END_TEST

START_TEST(handler_ends_it)
{
	struct seen s = {.stop_at = 2};

	ck_assert_int_eq(cof_ini_parse("a=1\nb=2\nc=3\n", 12, note, &s, NULL), -EDOM);
	ck_assert_int_eq(s.calls, 2);
	ck_assert_str_eq(s.text, "1 .a=1|");
}
END_TEST

START_TEST(refused)
{
	static const char *const bad[] = {"a = 1\nnonsense\nb = 2\n", "a = 1\n[open\n"};
	struct cof_diag d = {""};

	for (size_t i = 0; i < COF_COUNT(bad); i++) {
		struct seen s = {0};

		ck_assert_int_eq(cof_ini_parse(bad[i], strlen(bad[i]), note, &s, &d), -EUCLEAN);
		ck_assert_ptr_nonnull(strstr(d.text, "line 2"));
		ck_assert_int_eq(s.calls, 1);
	}
	struct seen s = {0};

	ck_assert_int_eq(cof_ini_parse("a = 1\0b", 7, note, &s, &d), -EUCLEAN);
	ck_assert_int_eq(s.calls, 0);
}
END_TEST

/* A long line is one value or an error, never two keys. The text is not terminated. */
START_TEST(long_lines)
{
	cof_autofree char *text = malloc(6000);
	struct cof_diag d = {""};

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', 6000);
	memcpy(text, "a = ", 4);
	for (size_t n = 150; n <= 4096; n += 263) {
		struct seen s = {0};

		ck_assert_int_eq(cof_ini_parse(text, n, note, &s, &d), 0);
		ck_assert_int_eq(s.calls, 1);
		ck_assert_uint_eq(strlen(s.text), n - 4 + strlen("1 .a=|"));
	}
	for (size_t n = 4097; n <= 6000; n += 317) {
		struct seen s = {0};

		ck_assert_int_eq(cof_ini_parse(text, n, note, &s, &d), -EUCLEAN);
		ck_assert_ptr_nonnull(strstr(d.text, "line 1"));
		ck_assert_int_eq(s.calls, 0);
	}
}
END_TEST

TCase *ini_case(void)
{
	TCase *t = tcase_create("ini");

	tcase_add_test(t, keys_in_order);
	tcase_add_test(t, nothing);
	tcase_add_test(t, handler_ends_it);
	tcase_add_test(t, refused);
	tcase_add_test(t, long_lines);
	return t;
}
