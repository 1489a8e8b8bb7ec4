/* SPDX-License-Identifier: Apache-2.0 */
/* The auditor secret's line, byte by byte as docs/format.md has it. */
#include "test-tools.h"

#include "tools/auditor.h"

#include <stdio.h>

static const char want[] = "coffer-auditor-secret-1 000102030405060708090a0b0c0d0e0f "
			   "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n";

static uint8_t id[16], secret[COF_KEY];

static void setup(void)
{
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	for (unsigned i = 0; i < COF_KEY; i++)
		secret[i] = (uint8_t)(0xa0 + i);
}

START_TEST(written)
{
	char out[AUDITOR_LINE + 1] = "";

	auditor_line(id, secret, out);
	ck_assert_uint_eq(sizeof(want) - 1, AUDITOR_LINE);
	ck_assert_str_eq(out, want);
}
END_TEST

START_TEST(read_back)
{
	uint8_t got_id[16] = {0}, got[COF_KEY] = {0};

	ck_assert_int_eq(auditor_parse(want, AUDITOR_LINE, got_id, got), 0);
	ck_assert_mem_eq(got_id, id, 16);
	ck_assert_mem_eq(got, secret, COF_KEY);
	memset(got, 0, sizeof(got));
	ck_assert_int_eq(auditor_parse(want, AUDITOR_LINE - 1, got_id, got), 0); /* no newline */
	ck_assert_mem_eq(got, secret, COF_KEY);
}
END_TEST

START_TEST(anything_else_is_refused)
{
	uint8_t got_id[16], got[COF_KEY];
	char line[sizeof(want) + 1];

	for (size_t n = 0; n < AUDITOR_LINE - 1; n++)
		ck_assert_int_eq(auditor_parse(want, n, got_id, got), -EUCLEAN);
	for (size_t i = 0; i < AUDITOR_LINE;
	     i++) { /* 'x' is no hex digit, no blank, and not in its place */
		memcpy(line, want, sizeof(want));
		line[i] = 'x';
		ck_assert_msg(auditor_parse(line, AUDITOR_LINE, got_id, got) == -EUCLEAN,
			      "byte %zu", i);
	}
	snprintf(line, sizeof(line), "%sx", want);
	ck_assert_int_eq(auditor_parse(line, AUDITOR_LINE + 1, got_id, got), -EUCLEAN);
}
END_TEST

TCase *auditor_case(void)
{
	TCase *t = tcase_create("auditor");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, written);
	tcase_add_test(t, read_back);
	tcase_add_test(t, anything_else_is_refused);
	return t;
}
