/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on files that go without a request (REMOVE frames with nothing in clear): whatever was committed, or is on
 * hold, is found among as many as there are that were neither.
 */
#include "fs/rules/approve.h"

#include <check.h>

#define NOW (INT64_C(1900000000) * COF_NSEC)
enum { COMMIT = 10, REMOVE = 13, HOLD = 22, DESTROY = 23 };
enum { T_REQUEST = 112, T_RETAIN_UNTIL = 24, T_HOLD_WHAT = 96, T_HOLD_RANGES = 98 };

static struct cof_judge *judge;
static uint64_t sequence;

static int feed(bool watch, unsigned type, uint64_t ino, const struct cof_buf *fields, const char **ret_rule)
{
	const struct cof_judge_frame f = {.type = type,
					  .sequence = ++sequence,
					  .object = ino,
					  .record_time = NOW,
					  .retention_time = NOW,
					  .proven_from = INT64_MIN,
					  .fields = fields->data ? fields->data : (const uint8_t *)"",
					  .n = fields->len};
	struct cof_judgement said = {.rule = NULL};
	int r = watch ? cof_judge_watch(judge, &f) : cof_judge_take(judge, &f, &said);

	*ret_rule = said.rule;
	return r;
}

static const struct cof_buf nothing;

static void both(const uint64_t *gone, size_t n, const uint64_t *committed, size_t n_committed, uint64_t hold_first,
		 uint64_t hold_count)
{
	cof_autobuf struct cof_buf commit = {0}, hold = {0};
	uint8_t range[16];
	const char *rule;

	sequence = 0;
	cof_field_put_i64(&commit, T_RETAIN_UNTIL, NOW - 1);
	cof_put_le64(range, hold_first);
	cof_put_le64(range + 8, hold_count);
	cof_field_put_u8(&hold, T_HOLD_WHAT, 1);
	cof_field_put(&hold, T_HOLD_RANGES, range, sizeof(range));
	for (int watch = 1; watch >= 0; watch--) {
		for (size_t i = 0; i < n_committed; i++)
			ck_assert_int_eq(feed(watch, COMMIT, committed[i], &commit, &rule), 0);
		if (hold_count)
			ck_assert_int_eq(feed(watch, HOLD, 0, &hold, &rule), 0);
		for (size_t i = 0; i < n; i++) {
			const char *want = NULL;
			int r = feed(watch, REMOVE, gone[i], &nothing, &rule);

			if (gone[i] >= hold_first && gone[i] - hold_first < hold_count)
				want = "held";
			for (size_t k = 0; k < n_committed; k++)
				if (committed[k] == gone[i])
					want = "not-approved";
			ck_assert_msg(r == (watch || !want ? 0 : -EPERM), "%llu: %d", (unsigned long long)gone[i], r);
			ck_assert_msg(watch || (want ? rule && !strcmp(rule, want) : !rule), "%llu: %s", (unsigned long long)gone[i],
				      rule ? rule : "permitted");
		}
	}
}

static void setup(void)
{
	const struct cof_judge_params p = {.verify = NULL};

	ck_assert_int_eq(cof_judge_new(&p, &judge), 0);
}

static void teardown(void)
{
	cof_judge_free(judge);
}

START_TEST(few)
{
	const uint64_t gone[] = {2, 3, 5, 511, 512, 513, 1024}, committed[] = {3, 512, 4000};

	both(gone, COF_COUNT(gone), committed, COF_COUNT(committed), 5, 1);
}
END_TEST

START_TEST(many)
{
	enum { N = 50000 };
	uint64_t *gone = malloc(N * sizeof(*gone));
	const uint64_t committed[] = {2, 77779, 2 + 7 * (N - 1)};

	ck_assert_ptr_nonnull(gone);
	for (size_t i = 0; i < N; i++)
		gone[i] = 2 + 7 * i;
	both(gone, N, committed, COF_COUNT(committed), 100000, 5000);
	free(gone);
}
END_TEST

/* Numbers and ranges that no archive has: each costs no more than its frame. */
START_TEST(hostile)
{
	const uint64_t gone[] = {UINT64_MAX, UINT64_MAX - 1, 1, (uint64_t)1 << 63}, committed[] = {(uint64_t)1 << 63};

	both(gone, COF_COUNT(gone), committed, COF_COUNT(committed), 1, UINT64_MAX);
}
END_TEST

/* Content that ends: never without a request, whatever became of the file. */
START_TEST(destroyed)
{
	cof_autobuf struct cof_buf commit = {0}, named = {0};
	const uint8_t id[32] = {1};
	const char *rule;

	cof_field_put_i64(&commit, T_RETAIN_UNTIL, NOW - 1);
	cof_field_put(&named, T_REQUEST, id, sizeof(id));
	for (int watch = 1; watch >= 0; watch--) {
		ck_assert_int_eq(feed(watch, COMMIT, 7, &commit, &rule), 0);
		ck_assert_int_eq(feed(watch, REMOVE, 9, &nothing, &rule), 0);
		for (uint64_t ino = 6; ino < 11; ino++) {
			ck_assert_int_eq(feed(watch, DESTROY, ino, &nothing, &rule), watch ? 0 : -EPERM);
			ck_assert(watch || !strcmp(rule, "not-approved"));
			ck_assert_int_eq(feed(watch, DESTROY, ino, &named, &rule), watch ? 0 : -EPERM);
			ck_assert(watch || !strcmp(rule, "unknown-request"));
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("judge");
	TCase *c = tcase_create("removals");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, few);
	tcase_add_test(c, many);
	tcase_add_test(c, destroyed);
	tcase_add_test(c, hostile);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
