/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of the auditor secrets, byte by byte as docs/format.md has them. */
#include "test-tools.h"

#include "tools/auditor.h"

#include <stdio.h>

#define ID "000102030405060708090a0b0c0d0e0f "
#define SECRET "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n"

static const struct {
	uint32_t lineage;
	uint64_t epoch;
	const char *text;
} lines[] = {
    {1, 1, "coffer-auditor-secret-1 " ID SECRET},
    {3, 0x1122334455667788, "coffer-auditor-secret-2 " ID "00000003 1122334455667788 " SECRET},
};

static uint8_t id[16];
static struct cof_auditor secret;

static void setup(void)
{
	for (unsigned i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	for (unsigned i = 0; i < COF_KEY; i++)
		secret.secret[i] = (uint8_t)(0xa0 + i);
}

START_TEST(written)
{
	char out[COF_AUDITOR_LINE + 1] = "";
	size_t n;

	secret.lineage = lines[_i].lineage;
	secret.epoch = lines[_i].epoch;
	n = cof_auditor_line(id, &secret, out);
	ck_assert_uint_eq(n, strlen(lines[_i].text));
	out[n] = '\0';
	ck_assert_str_eq(out, lines[_i].text);
}
END_TEST

START_TEST(read_back)
{
	struct cof_auditor got = {0};
	uint8_t got_id[16] = {0};
	size_t n = strlen(lines[_i].text);

	for (size_t less = 0; less < 2; less++) { /* without a newline too */
		memset(&got, 0, sizeof(got));
		ck_assert_int_eq(cof_auditor_parse(lines[_i].text, n - less, got_id, &got), 0);
		ck_assert_mem_eq(got_id, id, 16);
		ck_assert_mem_eq(got.secret, secret.secret, COF_KEY);
		ck_assert_uint_eq(got.lineage, lines[_i].lineage);
		ck_assert_uint_eq(got.epoch, lines[_i].epoch);
	}
}
END_TEST

START_TEST(anything_else_is_refused)
{
	size_t length = strlen(lines[_i].text);
	struct cof_auditor got;
	uint8_t got_id[16];
	char line[COF_AUDITOR_LINE + 2];

	for (size_t n = 0; n < length - 1; n++)
		ck_assert_int_eq(cof_auditor_parse(lines[_i].text, n, got_id, &got), -EUCLEAN);
	for (size_t i = 0; i < length; i++) { /* 'x' is no hex digit, no blank, and not in its place */
		memcpy(line, lines[_i].text, length + 1);
		line[i] = 'x';
		ck_assert_msg(cof_auditor_parse(line, length, got_id, &got) == -EUCLEAN, "byte %zu", i);
	}
	snprintf(line, sizeof(line), "%sx", lines[_i].text);
	ck_assert_int_eq(cof_auditor_parse(line, length + 1, got_id, &got), -EUCLEAN);
}
END_TEST

TCase *auditor_case(void)
{
	TCase *t = tcase_create("auditor");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, written, 0, COF_COUNT(lines));
	tcase_add_loop_test(t, read_back, 0, COF_COUNT(lines));
	tcase_add_loop_test(t, anything_else_is_refused, 0, COF_COUNT(lines));
	return t;
}
