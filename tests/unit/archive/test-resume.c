/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were approved, and that only a later mount carries out: over what was promised meanwhile. */
#include <stdio.h>

#include "fs/archive/internal.h"
#include "fs/archive/people.h"
#include "signed.h"
#include "support.h"

#define DAY (INT64_C(86400) * COF_NSEC)

static struct store s;
static uint8_t request[32];

/* In the log, and not done: as where the disk was full. */
static void approved_end(const uint64_t *ino, size_t n, int64_t until)
{
	cof_autobuf struct cof_buf doc = {0}, asked = {0}, approved = {0};
	cof_autojson struct cof_json *o = signed_document(&s, "retention-end");
	struct cof_diag diag = {""};

	cof_json_set_time(o, "until", until);
	ck_assert_msg(cof_action_set_objects(s.archive, ino, n, o, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_sha256(doc.data, doc.len, request);
	cof_field_put(&asked, COF_T_REQUEST, request, 32);
	cof_field_put(&asked, COF_T_DOCUMENT, doc.data, doc.len);
	put_signature(&asked, "alice", signed_alices, COF_SIGN_REQUEST);
	signed_put(&s, COF_REQUEST, &asked);
	cof_field_put(&approved, COF_T_REQUEST, request, 32);
	cof_field_put_u8(&approved, COF_T_VERDICT, COF_VERDICT_APPROVE);
	put_signature(&approved, "bob", signed_bobs, COF_SIGN_APPROVE);
	signed_put(&s, COF_APPROVAL, &approved);
}

static int64_t until_of(uint64_t ino)
{
	struct cof_node node = {.ino = 0};

	cof_gate_enter(s.archive);
	ck_assert_int_eq(cof_index_get_node(s.archive->ix, COF_INDEX_NOW, ino, &node), 0);
	cof_gate_leave(s.archive);
	return node.retain_until;
}

START_TEST(not_over_what_was_promised_since)
{
	static const char policy[] = "retention = 10d\nretention_max = 1000d\nmode = governance\n";
	struct cof_request_view v;
	int64_t now = cof_now(CLOCK_REALTIME), early = (now / COF_NSEC + 5 * 86400) * COF_NSEC, later = early + 20 * DAY;
	uint64_t shelf, ino[2];

	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_SHELF_ADD, .ino = COF_ROOT_INO, .parent = COF_ROOT_INO, .name = "soft",
							      .data = policy, .length = sizeof(policy) - 1}), 0);
	ck_assert_int_eq(cof_archive_resolve(s.archive, "soft", &shelf), 0);
	for (int i = 0; i < 2; i++) {
		ino[i] = must_create(&s, shelf, i ? "b" : "a", COF_KIND_FILE);
		ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino[i], .retain = COF_RETAIN_NONE}), 0);
	}
	signed_enroll(&s);
	approved_end(ino, 2, early);
	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_RETAIN, .ino = ino[1], .retain = later}), 0);
	signed_reopen(&s);
	ck_assert_int_eq(until_of(ino[0]), early);
	ck_assert_int_eq(until_of(ino[1]), later);
	ck_assert_int_eq(cof_judge_request(cof_people_judge(s.archive), request, &v), 0);
	ck_assert_msg(v.state == COF_REQUEST_FAILED, "%d %s", v.state, s.alarm);
	ck_assert_msg(strstr(v.outcome, "promised for longer since"), "%s", v.outcome);
}
END_TEST

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	store_done(&s);
}

int main(void)
{
	Suite *suite = suite_create("archive-resume");
	TCase *c = tcase_create("resume");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, not_over_what_was_promised_since);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
