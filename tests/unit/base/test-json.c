/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what is written, what is read, and what is refused. */
#include "base/json.h"
#include "test-base.h"

START_TEST(written)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *a = cof_json_array(), *one = cof_json_object();

	cof_json_set_str(o, "s", "a/b \"c\"\n\x01");
	cof_json_set_int(o, "i", INT64_MIN);
	cof_json_set_uint(o, "u", UINT64_MAX);
	cof_json_set_bool(o, "b", true);
	cof_json_set_time(o, "t", 1767323045678000000);
	cof_json_set_time(o, "never", INT64_MIN);
	cof_json_set_time(o, "ever", INT64_MAX);
	cof_json_set_int(one, "k", 1);
	cof_json_append(a, one);
	cof_json_set(o, "a", a);
	ck_assert_str_eq(cof_json_text(o, false),
			 "{\"s\":\"a/b \\\"c\\\"\\n\\u0001\",\"i\":-9223372036854775808,"
			 "\"u\":18446744073709551615,\"b\":true,\"t\":\"2026-01-02T03:04:05.678Z\","
			 "\"never\":null,\"ever\":null,\"a\":[{\"k\":1}]}");
	ck_assert_ptr_nonnull(strstr(cof_json_text(o, true), "\n"));
	ck_assert_ptr_null(strchr(cof_json_text(o, false), '\n'));
}
END_TEST

START_TEST(not_utf8)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *text;
	} cases[] = {
	    {"ok \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14,
	     "ok \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {"\xff", 1, "\xef\xbf\xbd"},
	    {"a\xc3", 2, "a\xef\xbf\xbd"},
	    {"\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
	    {"\xe0\x80\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
	    {"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
	    {"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xe2\x82z", 3, "\xef\xbf\xbd\xef\xbf\xbdz"},
	    {"", 0, ""},
	};

	for (size_t i = 0; i < COF_COUNT(cases); i++) {
		cof_autojson struct cof_json *o = cof_json_object(), *back = NULL;
		const char *text;

		cof_json_set_bytes(o, "k", cases[i].bytes, cases[i].n);
		ck_assert_str_eq(cof_json_str(o, "k"), cases[i].text);
		text = cof_json_text(o, false);
		ck_assert_int_eq(cof_json_parse(text, strlen(text), &back), 0);
		ck_assert_str_eq(cof_json_str(back, "k"), cases[i].text);
	}
}
END_TEST

START_TEST(nul_inside)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_bytes(o, "k", "a\0b", 3);
	ck_assert_str_eq(cof_json_text(o, false), "{\"k\":\"a\\u0000b\"}");
	ck_assert_ptr_null(cof_json_str(o, "k")); /* "a" would be a lie */
}
END_TEST

START_TEST(read_back)
{
	static const char text[] =
	    " {\"s\": \"x\", \"i\": -5, \"b\": true, \"n\": null, \"f\": 1.5,"
	    " \"big\": 18446744073709551615, \"a\": [1, {\"z\": \"y\"}]} ";
	cof_autojson struct cof_json *o = NULL;
	int64_t i = 77;

	ck_assert_int_eq(cof_json_parse(text, strlen(text), &o), 0);
	ck_assert_str_eq(cof_json_str(o, "s"), "x");
	ck_assert_int_eq(cof_json_int(o, "s", &i), -ENOENT);
	ck_assert_int_eq(cof_json_int(o, "f", &i), -ENOENT);
	ck_assert_int_eq(cof_json_int(o, "big", &i), -ENOENT); /* never a smaller number instead */
	ck_assert_int_eq(cof_json_int(o, "gone", &i), -ENOENT);
	ck_assert_int_eq(i, 77);
	ck_assert_int_eq(cof_json_int(o, "i", &i), 0);
	ck_assert_int_eq(i, -5);
	ck_assert(cof_json_bool(o, "b"));
	ck_assert(!cof_json_bool(o, "i"));
	ck_assert_ptr_null(cof_json_str(o, "i"));
	ck_assert_ptr_null(cof_json_get(o, "n"));
	ck_assert_uint_eq(cof_json_count(cof_json_get(o, "a")), 2);
	ck_assert_str_eq(cof_json_str(cof_json_at(cof_json_get(o, "a"), 1), "z"), "y");
	ck_assert_ptr_null(cof_json_at(cof_json_get(o, "a"), 2));
	ck_assert_uint_eq(cof_json_count(o), 0);
}
END_TEST

START_TEST(not_one_value)
{
	static const char *const bad[] = {
	    "",           " ",        "{",         "{}{}",       "{} x",  "[1,]",
	    "{\"a\":1,}", "{'a':1}",  "['a']",     "[\"a\nb\"]", "[\"\\", "nonsense",
	    "\"open",     "[1] // c", "{\"a\" 1}", "\"\xff\"",   "01x",   "{\"a\":1}\n{",
	};
	struct cof_json *o = NULL;

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_json_parse(bad[i], strlen(bad[i]), &o) == -EUCLEAN,
			      "accepted: %s", bad[i]);
	ck_assert_int_eq(cof_json_parse("{}\0{}", 5, &o), -EUCLEAN);
	ck_assert_ptr_null(o);
}
END_TEST

START_TEST(scalars)
{
	static const char *const good[] = {"1", "-17", "true", "\"x\"", "[]", "null", " {} \n"};

	for (size_t i = 0; i < COF_COUNT(good); i++) {
		cof_autojson struct cof_json *o = NULL;

		ck_assert_msg(cof_json_parse(good[i], strlen(good[i]), &o) == 0, "refused: %s",
			      good[i]);
	}
}
END_TEST

START_TEST(depth)
{
	for (int d = 1; d <= 40; d++) {
		cof_autojson struct cof_json *o = NULL;
		char text[96] = "";

		memset(text, '[', (size_t)d);
		text[d] = '1';
		memset(text + d + 1, ']', (size_t)d);
		ck_assert_int_eq(cof_json_parse(text, strlen(text), &o), d <= 16 ? 0 : -EUCLEAN);
	}
}
END_TEST

/* What lost something gives no text, and neither does what holds it. */
START_TEST(incomplete)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *a = cof_json_array();

	ck_assert_ptr_null(cof_json_text(NULL, false));
	cof_json_set_str(NULL, "k", "v");
	cof_json_append(NULL, cof_json_object());
	cof_json_append(a, NULL);
	ck_assert_ptr_null(cof_json_text(a, false));
	ck_assert_str_eq(cof_json_text(o, false), "{}");
	cof_json_set(o, "a", a);
	ck_assert_ptr_null(cof_json_text(o, false));
}
END_TEST

TCase *json_case(void)
{
	TCase *t = tcase_create("json");

	tcase_add_test(t, written);
	tcase_add_test(t, not_utf8);
	tcase_add_test(t, nul_inside);
	tcase_add_test(t, read_back);
	tcase_add_test(t, not_one_value);
	tcase_add_test(t, scalars);
	tcase_add_test(t, depth);
	tcase_add_test(t, incomplete);
	return t;
}
