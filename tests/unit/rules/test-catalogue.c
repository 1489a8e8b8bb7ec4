/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of kinds of events and records: whole, in order, and what Coffer emits is in them. */
#include <check.h>

#include "fs/rules/catalogue.h"

static unsigned at_level(unsigned level)
{
	const struct cof_catalogue_kind *k;
	size_t n = cof_catalogue(&k);
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += k[i].level[level - 1];
	return sum;
}

START_TEST(test_levels)
{
	const struct cof_record_kind *r;
	const struct cof_catalogue_kind *k;

	ck_assert_uint_eq(cof_catalogue(&k), 60);
	ck_assert_uint_eq(at_level(1), 13);
	ck_assert_uint_eq(at_level(2), 44);
	ck_assert_uint_eq(at_level(3), 60);
	ck_assert_uint_eq(at_level(4), 60);
	ck_assert_uint_eq(cof_records(&r), 16);
	ck_assert_str_eq(k[0].id, "A.1.1");
	ck_assert_str_eq(k[59].id, "A.17.12");
	ck_assert_ptr_eq(cof_catalogue_find("A.17.12"), &k[59]);
	ck_assert_ptr_null(cof_catalogue_find("A.17.13"));
	ck_assert_ptr_eq(cof_record_kind_find("all audit records"), &r[13]);
	ck_assert_ptr_eq(cof_record_kind_find("audit records"), &r[13]);
	ck_assert_ptr_eq(cof_record_kind_find("auditors' documents"), &r[15]);
	ck_assert_str_eq(cof_record_kind_name(&r[6]), "revocation applications");
	ck_assert_ptr_null(cof_record_kind_find("records"));
}
END_TEST

/* A name stays on record for decades: it is valid, once, and leads to a kind that there is. */
START_TEST(test_types)
{
	const struct cof_event_type *t;
	size_t n = cof_event_types(&t);

	for (size_t i = 0; i < n; i++) {
		ck_assert_msg(cof_event_type_valid(t[i].name), "%s", t[i].name);
		ck_assert_ptr_eq(cof_event_type(t[i].name), &t[i]);
		ck_assert_msg(!t[i].catalogue || cof_catalogue_find(t[i].catalogue), "%s", t[i].name);
		ck_assert_msg(cof_outcome_valid(t[i].outcome), "%s", t[i].name);
		ck_assert_msg(cof_severity(t[i].severity) >= 0, "%s", t[i].name);
		/* what is told at once is at least a notice */
		ck_assert_msg(t[i].alarm != COF_ALARM_ALWAYS || cof_severity(t[i].severity) <= 5, "%s", t[i].name);
	}
	ck_assert_str_eq(cof_event_type("refused")->catalogue, "A.1.2");
}
END_TEST

static bool owns(const char *type, const char *catalogue)
{
	const struct cof_own_kind *own;
	size_t n = cof_own_kinds(&own), found = 0;

	for (size_t i = 0; i < n; i++)
		found += (!type || !strcmp(own[i].type, type)) && !strcmp(own[i].catalogue, catalogue);
	ck_assert_msg(!type || found <= 1, "%s is there twice", type);
	return found != 0;
}

/* What is claimed of a kind: each type with one is in the table of what Coffer records, which has no other; and each of
 * the 60 kinds is either there or among those that others have to tell of. */
START_TEST(test_own)
{
	const struct cof_catalogue_kind *k;
	const struct cof_event_type *t;
	const struct cof_unseen_kind *u;
	const struct cof_own_kind *own;
	size_t n_types = cof_event_types(&t), n_unseen = cof_unseen_kinds(&u), n_kinds = cof_catalogue(&k);

	for (size_t i = 0; i < n_types; i++)
		ck_assert_msg(!t[i].catalogue || owns(t[i].name, t[i].catalogue), "%s, %s", t[i].name, t[i].catalogue);
	for (size_t i = 0; i < cof_own_kinds(&own); i++)
		ck_assert_msg(cof_catalogue_find(own[i].catalogue) && cof_event_type(own[i].type) && *own[i].when, "%s",
			      own[i].type);
	for (size_t i = 0; i < n_kinds; i++) {
		size_t others = 0;

		for (size_t j = 0; j < n_unseen; j++)
			others += !strcmp(u[j].catalogue, k[i].id) && *u[j].who;
		ck_assert_msg(others + owns(NULL, k[i].id) == 1, "%s", k[i].id);
	}
}
END_TEST

START_TEST(test_words)
{
	ck_assert_int_eq(cof_severity("emerg"), 0);
	ck_assert_int_eq(cof_severity("debug"), 7);
	ck_assert_int_eq(cof_severity("error"), -1);
	ck_assert_str_eq(cof_severity_name(1), "alert");
	ck_assert_ptr_null(cof_severity_name(8));
	ck_assert_ptr_null(cof_severity_name(-1));
	ck_assert(cof_outcome_valid("attempt") && !cof_outcome_valid("ok"));
	ck_assert(cof_event_type_valid("a-1") && !cof_event_type_valid("1a") &&
		  !cof_event_type_valid("") && !cof_event_type_valid("A") &&
		  !cof_event_type_valid("a b") &&
		  !cof_event_type_valid("a2345678901234567890123456789012"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("catalogue");
	TCase *tc = tcase_create("tables");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_levels);
	tcase_add_test(tc, test_types);
	tcase_add_test(tc, test_own);
	tcase_add_test(tc, test_words);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
