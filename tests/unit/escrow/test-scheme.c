/* SPDX-License-Identifier: Apache-2.0 */
/* Schemes: what is refused, and what one that is taken is worth. */
#include "test-escrow.h"

#include "escrow/scheme.h"

#include <stdio.h>

#define C(name, person, place, medium)                                                                                 \
	"[custodian " name "]\nperson = " person "\nplace = " place "\nmedium = " medium "\nrecipient = paper\n"

static const char two_of_three[] = "[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = a, b, c\n" C(
    "a", "A", "north", "paper") C("b", "B", "south", "steel") C("c", "C", "south", "paper");

static const char *refusal(const char *text)
{
	static struct cof_diag diag;
	struct cof_scheme s;

	diag.text[0] = 0;
	ck_assert_msg(cof_scheme_parse(text, strlen(text), &s, &diag) == -EUCLEAN, "%s", text);
	return diag.text;
}

static struct cof_json *report_of(const char *text)
{
	struct cof_scheme s;
	struct cof_diag diag = {""};
	struct cof_json *o = cof_json_object();

	ck_assert_msg(cof_scheme_parse(text, strlen(text), &s, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_scheme_report(&s, o), 0);
	cof_scheme_done(&s);
	return o;
}

static const char *part(struct cof_json *o, const char *key)
{
	return cof_json_text(cof_json_get(o, key), false);
}

START_TEST(worth)
{
	struct cof_json *o = report_of(two_of_three);

	ck_assert_str_eq(part(o, "persons_needed"), "2");
	ck_assert(!cof_json_bool(o, "dispersed"));
	/* Two shares lie in the south, two are on paper: each of these suffices, and each is missed by the other one. */
	ck_assert_str_eq(part(o, "alone"), "[{\"kind\":\"place\",\"value\":\"south\"},{\"kind\":\"medium\",\"value\":\"paper\"}]");
	ck_assert_str_eq(part(o, "lost_alone"),
			 "[{\"kind\":\"place\",\"value\":\"south\"},{\"kind\":\"medium\",\"value\":\"paper\"}]");
	ck_assert_ptr_nonnull(strstr(part(o, "lost_pairs"), "[{\"kind\":\"person\",\"value\":\"A\"},{\"kind\":\"person\",\"value\":\"B\"}]"));
	cof_json_free(o);
}
END_TEST

START_TEST(dispersed)
{
	struct cof_json *o = report_of("[scheme]\nname = root\ngroups = 2\n[group x]\nthreshold = 1\nmembers = a\n[group y]\nthreshold = 2\n"
				       "members = b c d\n" C("a", "A", "p1", "m1") C("b", "B", "p2", "m2") C("c", "C", "p3", "m3")
					   C("d", "D", "p4", "m4"));

	ck_assert_str_eq(part(o, "persons_needed"), "3");
	ck_assert(cof_json_bool(o, "dispersed"));
	ck_assert_str_eq(part(o, "alone"), "[]");
	ck_assert_str_eq(part(o, "lost_alone"), "[{\"kind\":\"person\",\"value\":\"A\"},{\"kind\":\"place\",\"value\":\"p1\"},"
						"{\"kind\":\"medium\",\"value\":\"m1\"}]");
	cof_json_free(o);
}
END_TEST

/* Whoever holds two shares counts once. */
START_TEST(one_person_twice)
{
	struct cof_json *o = report_of("[scheme]\nname = root\ngroups = 1\n[group x]\nthreshold = 3\nmembers = a b c d\n" C("a", "A", "p1", "m")
					   C("b", "A", "p2", "m") C("c", "C", "p3", "m") C("d", "D", "p4", "m"));

	ck_assert_str_eq(part(o, "persons_needed"), "2");
	cof_json_free(o);
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = root\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n" C("a", "A", "p1", "m")
						 C("b", "A", "p2", "m")), "one person"));
}
END_TEST

START_TEST(many_persons)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_json *o;

	cof_buf_printf(&b, "[scheme]\nname = big\ngroups = 1\n[group x]\nthreshold = 7\nmembers =");
	for (int i = 0; i < 16; i++)
		cof_buf_printf(&b, " c%d", i);
	for (int i = 0; i < 16; i++)
		cof_buf_printf(&b, "\n[custodian c%d]\nperson = P%d\nplace = L%d\nmedium = M%d\nrecipient = paper", i, i, i, i);
	cof_buf_printf(&b, "\n");
	o = report_of((char *)b.data);
	ck_assert_str_eq(part(o, "persons_needed"), "7");
	ck_assert(cof_json_bool(o, "dispersed"));
	cof_json_free(o);
}
END_TEST

START_TEST(refused)
{
	ck_assert_ptr_nonnull(strstr(refusal(""), "are needed"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = A\n"), "line 2"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\ngroups = 17\n"), "line 2"));
	ck_assert_ptr_nonnull(strstr(refusal("[other]\nx = y\n"), "[other]"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 1\n"), "no members"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n"), "[custodian a]"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a a\n" C("a", "A", "p", "m")),
				     "twice"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 2\n[group x]\nthreshold = 2\nmembers = a b\n" C("a", "A", "p", "m")
						 C("b", "B", "p", "m")), "2 of 1 groups"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 1\nmembers = a b\n" C("a", "A", "p", "m")
						 C("b", "B", "p", "m")), "1 of 2"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n" C("a", "A", "p", "m")
						 C("b", "B", "p", "m") C("c", "C", "p", "m")), "c is in no group"));
	ck_assert_ptr_nonnull(strstr(refusal("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a b\n[custodian a]\nperson = A\n" C(
					 "b", "B", "p", "m")), "needs person"));
}
END_TEST

TCase *scheme_case(void)
{
	TCase *t = tcase_create("scheme");

	tcase_add_test(t, worth);
	tcase_add_test(t, dispersed);
	tcase_add_test(t, one_person_twice);
	tcase_add_test(t, many_persons);
	tcase_add_test(t, refused);
	return t;
}
