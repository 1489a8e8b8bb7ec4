/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal, base64, times and sizes as text. */
#include "base/base.h"
#include "test-base.h"

START_TEST(hex)
{
	char out[9];
	uint8_t back[4] = {9, 9, 9, 9};

	cof_hex("\x00\x7f\x80\xff", 4, out);
	ck_assert_str_eq(out, "007f80ff");
	ck_assert_int_eq(cof_unhex("007F80ff", 8, back), 0);
	ck_assert_mem_eq(back, "\x00\x7f\x80\xff", 4);
	ck_assert_int_eq(cof_unhex("0011223", 7, back), -EUCLEAN);
	ck_assert_int_eq(cof_unhex("001122g3", 8, back), -EUCLEAN);
	ck_assert_int_eq(cof_unhex("00 12233", 8, back), -EUCLEAN);
	ck_assert_mem_eq(back, "\x00\x7f\x80\xff", 4); /* untouched by failures */
}
END_TEST

/* RFC 4648, section 10 */
START_TEST(base64_vectors)
{
	static const char *const texts[][2] = {
	    {"", ""},
	    {"f", "Zg=="},
	    {"fo", "Zm8="},
	    {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"},
	    {"\xfb\xff", "+/8="},
	};
	char out[16];
	uint8_t back[8];
	size_t n;

	for (size_t i = 0; i < COF_COUNT(texts); i++) {
		size_t len = strlen(texts[i][0]);

		cof_base64(texts[i][0], len, out);
		ck_assert_str_eq(out, texts[i][1]);
		ck_assert_uint_eq(cof_base64_len(len), strlen(out));
		ck_assert_int_eq(cof_unbase64(out, strlen(out), back, len, &n), 0);
		ck_assert_uint_eq(n, len);
		ck_assert_mem_eq(back, texts[i][0], len);
	}
}
END_TEST

START_TEST(base64_refused)
{
	static const char *const bad[] = {
	    "Zg=",          "Zg",       "Z===", "====", "Zh==", "Zm9=",
	    "Zm9v\n\n\n\n", "Zg==Zg==", "Zm 9", "-_8=", "Zm=v", "=",
	};
	uint8_t back[16] = "untouched";
	size_t n = 77;

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_int_eq(cof_unbase64(bad[i], strlen(bad[i]), back, sizeof(back), &n),
				 -EUCLEAN);
	ck_assert_int_eq(cof_unbase64("Zm9v", 4, back, 2, &n), -EUCLEAN); /* no room */
	ck_assert_str_eq((char *)back, "untouched");
	ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(time_text)
{
	char out[32];

	cof_time_text(0, out);
	ck_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
	cof_time_text(1767323045678999999, out);
	ck_assert_str_eq(out, "2026-01-02T03:04:05.678Z");
	cof_time_text(-1, out);
	ck_assert_str_eq(out, "1969-12-31T23:59:59.999Z");
	cof_time_text(INT64_MIN, out);
	ck_assert_str_eq(out, "1677-09-21T00:12:43.145Z");
	cof_time_text(INT64_MAX, out);
	ck_assert_str_eq(out, "2262-04-11T23:47:16.854Z");
}
END_TEST

START_TEST(time_parsed)
{
	int64_t ns;

	ck_assert_int_eq(cof_time_parse("2026-01-02T03:04:05.678Z", &ns), 0);
	ck_assert(ns == 1767323045678000000);
	ck_assert_int_eq(cof_time_parse("2026-01-02T03:04:05Z", &ns), 0);
	ck_assert(ns == 1767323045000000000);
	ck_assert_int_eq(cof_time_parse("2024-02-29T23:59:59.000000001Z", &ns), 0);
	ck_assert(ns == 1709251199000000001);
	ck_assert_int_eq(cof_time_parse("1969-12-31T23:59:59.999Z", &ns), 0);
	ck_assert(ns == -1000000);
}
END_TEST

START_TEST(time_refused)
{
	static const char *const bad[] = {
	    "",
	    "2026",
	    "2026-01-02",
	    "2026-01-02T03:04:05",
	    "2026-01-02T03:04:05.Z",
	    "2026-01-02T03:04:05.1234567890Z",
	    "2026-01-02T03:04:05ZZ",
	    "2026-01-02 03:04:05Z",
	    "2026-01-02T03:04:05+00:00",
	    "2026-13-02T03:04:05Z",
	    "2026-00-02T03:04:05Z",
	    "2026-02-29T03:04:05Z",
	    "2100-02-29T03:04:05Z",
	    "2026-04-31T03:04:05Z",
	    "2026-01-00T03:04:05Z",
	    "2026-01-02T24:04:05Z",
	    "2026-01-02T03:60:05Z",
	    "2026-01-02T03:04:60Z",
	    "2026-1-02T03:04:05Z",
	    "+026-01-02T03:04:05Z",
	    "9999-01-02T03:04:05Z",
	    "1500-01-02T03:04:05Z",
	};
	int64_t ns = 77;

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_time_parse(bad[i], &ns) == -EUCLEAN, "accepted: %s", bad[i]);
	ck_assert_int_eq(ns, 77);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
	    {"0", 0},
	    {"4096", 4096},
	    {"1K", 1024},
	    {"64M", 64u << 20},
	    {"1g", 1u << 30},
	    {"3T", 3ull << 40},
	    {"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {
	    "",
	    "M",
	    "-1",
	    "+1",
	    " 1",
	    "1 M",
	    "1MB",
	    "1X",
	    "0x10",
	    "1.5G",
	    "18446744073709551616",
	    "16384P",
	};
	uint64_t v = 77;

	for (size_t i = 0; i < COF_COUNT(good); i++) {
		ck_assert_int_eq(cof_size_parse(good[i].text, &v), 0);
		ck_assert(v == good[i].value);
	}
	v = 77;
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_size_parse(bad[i], &v) == -EINVAL, "accepted: %s", bad[i]);
	ck_assert_uint_eq(v, 77);
}
END_TEST

START_TEST(size_text)
{
	char out[24];

	cof_size_text(0, out);
	ck_assert_str_eq(out, "0 B");
	cof_size_text(1023, out);
	ck_assert_str_eq(out, "1023 B");
	cof_size_text(64u << 20, out);
	ck_assert_str_eq(out, "64.0 MiB");
	cof_size_text((1u << 20) - 1, out);
	ck_assert_str_eq(out, "1.0 MiB");
	cof_size_text(UINT64_MAX, out);
	ck_assert_str_eq(out, "16.0 EiB");
}
END_TEST

TCase *text_case(void)
{
	TCase *t = tcase_create("text");

	tcase_add_test(t, hex);
	tcase_add_test(t, base64_vectors);
	tcase_add_test(t, base64_refused);
	tcase_add_test(t, time_text);
	tcase_add_test(t, time_parsed);
	tcase_add_test(t, time_refused);
	tcase_add_test(t, sizes);
	tcase_add_test(t, size_text);
	return t;
}
