/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, spans and policies from the command line. */
#include "test-tools.h"

#include "tools/shelf-policy.h"
#include "tools/sync-watch.h"
#include "tools/when.h"

#include <limits.h>

#define DAY (86400 * COF_NSEC)

START_TEST(dates)
{
	int64_t t = 0, day = 0;
	char text[32];

	ck_assert_int_eq(when_parse("2031-01-02T00:00:00Z", &t), 0);
	ck_assert_int_eq(when_parse("2031-01-02", &day), 0);
	ck_assert_int_eq(t, day);
	ck_assert_int_eq(when_parse("infinite", &t), 0);
	ck_assert_int_eq(t, COF_RETAIN_INFINITE);
	when_text(t, text);
	ck_assert_str_eq(text, "infinite");
	ck_assert_int_eq(when_parse("2031-02-30", &t), -EINVAL);
	ck_assert_int_eq(when_parse("soon", &t), -EINVAL);
	ck_assert_int_eq(when_parse("", &t), -EINVAL);
}
END_TEST

START_TEST(ends)
{
	struct end_args a = {.span = "2d"};

	ck_assert_str_eq(end_conflict(&a), "");
	ck_assert_int_eq(end_of(&a, 5), 5 + 2 * DAY);
	ck_assert_int_eq(end_of(&a, INT64_MAX - 2), INT64_MAX - 1); /* far is not for ever */
	a.infinite = true;
	ck_assert(*end_conflict(&a));
	ck_assert_int_eq(end_of(&(struct end_args){.infinite = true}, 5), COF_RETAIN_INFINITE);
	ck_assert_int_eq(end_of(&(struct end_args){.span = "infinite"}, 5), COF_RETAIN_INFINITE);
	ck_assert_int_eq(end_of(&(struct end_args){.until = NULL}, 5), COF_RETAIN_NONE);
	ck_assert(*end_conflict(&(struct end_args){.until = "soon"}));
	ck_assert(*end_conflict(&(struct end_args){.span = "soon"}));
}
END_TEST

START_TEST(policies)
{
	struct policy_args a = {.value = {[KEY_RETENTION] = "3d", [KEY_STRICT] = "yes"}};
	cof_autobuf struct cof_buf text = {0}, again = {0}, bad = {0};
	struct cof_diag diag = {""};
	struct cof_policy p;

	ck_assert(policy_given(&a));
	ck_assert_int_eq(policy_make(&a, "retention = 1d\nquota = 1M\n", &text, &diag), 0);
	ck_assert_int_eq(cof_policy_parse((char *)text.data, text.len, &p, NULL), 0);
	ck_assert_int_eq(p.retention_default, 3 * DAY);
	ck_assert(p.strict);
	ck_assert_uint_eq(p.quota_bytes, 1 << 20);
	/* canonical: making it from itself changes nothing */
	a = (struct policy_args){.file = NULL};
	ck_assert(!policy_given(&a));
	ck_assert_int_eq(policy_make(&a, (char *)text.data, &again, &diag), 0);
	ck_assert_str_eq((char *)again.data, (char *)text.data);
	a.value[KEY_RETENTION_MIN] = "1d";
	ck_assert_int_lt(policy_make(&a, NULL, &bad, &diag), 0); /* without a default */
	ck_assert(diag.text[0]);
	a = (struct policy_args){.file = "/nonexistent/policy"};
	ck_assert_int_eq(policy_make(&a, NULL, &bad, &diag), -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "/nonexistent/policy"));
}
END_TEST

/* Of rounds of coffer sync --watch. */
START_TEST(rounds)
{
	const int64_t every = 60 * COF_NSEC, began = 5000 * COF_NSEC;
	struct sync_due d = {.began = COF_RETAIN_NONE};

	ck_assert_int_eq(sync_next(&d, every), 0);
	d = (struct sync_due){.began = began};
	ck_assert_int_eq(sync_next(&d, every), began + SYNC_IDLE);
	d.is_new = true;
	ck_assert_int_eq(sync_next(&d, every), began + every);
	d.failures = 1;
	ck_assert_int_eq(sync_next(&d, every), began + every);
	d.failures = 3;
	ck_assert_int_eq(sync_next(&d, every), began + 4 * every);
	d.is_new = false; /* what failed is tried again, though nothing came since */
	ck_assert_int_eq(sync_next(&d, every), began + 4 * every);
	d.failures = UINT_MAX;
	ck_assert_int_eq(sync_next(&d, every), began + SYNC_RETRY_MAX);
	ck_assert_int_eq(sync_next(&d, SYNC_IDLE), began + SYNC_IDLE); /* never more often than was asked for */
}
END_TEST

TCase *when_case(void)
{
	TCase *t = tcase_create("when");

	tcase_add_test(t, dates);
	tcase_add_test(t, ends);
	tcase_add_test(t, policies);
	tcase_add_test(t, rounds);
	return t;
}
