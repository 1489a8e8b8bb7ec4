/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy as text. */
#include <check.h>

#include "fs/rules/rules.h"

TCase *policy_case(void);

static const struct {
	const char *text;
	int error;
	enum cof_durability durability;
	bool rofs;
	const char *word; /* in the sentence */
} texts[] = {
    {"", 0, COF_DURABLE_ON_SYNC, false, NULL},
    {"durability = sync\n", 0, COF_DURABLE_ON_SYNC, false, NULL},
    {"durability = write\n", 0, COF_DURABLE_ON_WRITE, false, NULL},
    {"refuse = rofs\ndurability = write\n", 0, COF_DURABLE_ON_WRITE, true, NULL},
    {"refuse=perm", 0, COF_DURABLE_ON_SYNC, false, NULL},
    {"# said\n\nrefuse = rofs\n", 0, COF_DURABLE_ON_SYNC, true, NULL},
    {"durability = never\n", -EUCLEAN, 0, false, "never"},
    {"durability = \n", -EUCLEAN, 0, false, "sync or write"},
    {"refuse = eperm\n", -EUCLEAN, 0, false, "perm or rofs"},
    {"retention = 1y\n", -EUCLEAN, 0, false, "retention"},
    {"Durability = sync\n", -EUCLEAN, 0, false, "Durability"},
    {"\ndurability = sync\ndurability = sync\n", -EUCLEAN, 0, false, "line 3"},
    {"[shelf]\nrefuse = perm\n", -EUCLEAN, 0, false, "sections"},
    {"no sense\n", -EUCLEAN, 0, false, "line 1"},
};

START_TEST(parsing)
{
	struct cof_policy p = {.durability = COF_DURABLE_ON_WRITE, .refuse_rofs = true};
	struct cof_diag diag = {""};
	int r = cof_policy_parse(texts[_i].text, strlen(texts[_i].text), &p, &diag);

	ck_assert_msg(r == texts[_i].error, "'%s': %d, %s", texts[_i].text, r, diag.text);
	if (r < 0) {
		ck_assert_msg(strstr(diag.text, texts[_i].word) != NULL, "no '%s' in: %s",
			      texts[_i].word, diag.text);
		ck_assert(p.durability == COF_DURABLE_ON_WRITE && p.refuse_rofs);
	} else {
		ck_assert_int_eq(p.durability, texts[_i].durability);
		ck_assert_int_eq(p.refuse_rofs, texts[_i].rofs);
	}
}
END_TEST

START_TEST(there_and_back)
{
	for (int i = 0; i < 4; i++) {
		struct cof_policy p = {
		    .durability = i & 1 ? COF_DURABLE_ON_WRITE : COF_DURABLE_ON_SYNC,
		    .refuse_rofs = i & 2};
		struct cof_policy q;
		cof_autobuf struct cof_buf text = {0}, again = {0};

		ck_assert_int_eq(cof_policy_text(&p, &text), 0);
		ck_assert_int_eq(
		    cof_policy_parse((const char *)text.data, text.len, &q, NULL), 0);
		ck_assert_int_eq(q.durability, p.durability);
		ck_assert_int_eq(q.refuse_rofs, p.refuse_rofs);
		ck_assert_int_eq(cof_policy_text(&q, &again), 0);
		ck_assert_str_eq((char *)again.data, (char *)text.data);
	}
}
END_TEST

/* Any bytes are taken or refused, never more. */
START_TEST(any_bytes)
{
	static const char base[] = "durability = write\nrefuse = rofs\n";
	uint64_t state = 1;

	for (int i = 0; i < 20000; i++) {
		char text[sizeof(base)];
		struct cof_policy p;
		struct cof_diag diag = {""};
		size_t n = sizeof(base) - 1;

		memcpy(text, base, sizeof(base));
		for (int k = 0; k < 1 + i % 3; k++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			text[(state >> 33) % n] = (char)(state >> 50);
		}
		if (cof_policy_parse(text, n, &p, &diag) < 0)
			ck_assert_uint_gt(strlen(diag.text), 5);
	}
}
END_TEST

TCase *policy_case(void)
{
	TCase *c = tcase_create("policy");

	tcase_add_loop_test(c, parsing, 0, COF_COUNT(texts));
	tcase_add_test(c, there_and_back);
	tcase_add_test(c, any_bytes);
	return c;
}
