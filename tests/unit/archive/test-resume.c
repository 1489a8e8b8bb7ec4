/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that were approved, and that only a later mount carries out: over what was promised meanwhile. */
#include <stdio.h>

#include "fs/archive/internal.h"
#include "fs/archive/people.h"
#include "signed.h"
#include "support.h"

#define DAY (INT64_C(86400) * COF_NSEC)

static const uint8_t alices[32] = {101}, bobs[32] = {102};
static struct store s;
static uint8_t request[32];

static int good(void *user, const struct cof_signature *signature, struct cof_diag *why)
{
	(void)user;
	(void)signature;
	(void)why;
	return 0;
}

static void on_alarm(void *user, const char *text)
{
	(void)user;
	snprintf(s.alarm, sizeof(s.alarm), "%s", text);
}

static void reopen(void)
{
	struct cof_archive_params p = {.io = s.io, .secret = &s.secret, .index_dir = "", .alarm = on_alarm, .no_threads = true, .verify_signature = good};
	struct cof_diag diag = {""};

	store_close(&s);
	ck_assert_msg(cof_archive_open(&p, &s.archive, &s.opened, &diag) == 0, "%s", diag.text);
}

static void put(uint8_t type, const struct cof_buf *fields)
{
	static const struct cof_applied nothing;
	struct cof_draft d = {.type = type, .system = true, .public_part = fields->data, .public_len = (uint32_t)fields->len};

	cof_gate_enter(s.archive);
	ck_assert_int_eq(cof_archive_put(s.archive, &d, &nothing, NULL), 0);
	cof_gate_leave(s.archive);
}

static struct cof_json *document(const char *action)
{
	struct cof_json *o = cof_json_object(), *head = cof_json_object();
	int64_t now = cof_now(CLOCK_REALTIME);
	uint8_t zero[32] = {0};
	struct cof_diag diag;

	ck_assert_int_eq(cof_request_head(s.archive, head, &diag), 0);
	cof_json_set_str(o, "action", action);
	set_hex(o, "archive", s.archive->conf.id, 16);
	cof_json_set_str(o, "author", "alice");
	cof_json_set_time(o, "created", now - now % COF_NSEC);
	cof_json_set_time(o, "expires", now - now % COF_NSEC + 10 * DAY);
	cof_json_set(o, "head", head);
	set_hex(o, "nonce", zero, 16);
	set_hex(o, "sheet", zero, 32);
	cof_json_set_int(o, "version", 1);
	return o;
}

static void enroll(void)
{
	cof_autobuf struct cof_buf people = {0}, doc = {0}, fields = {0};
	cof_autojson struct cof_json *o = document("people-first");

	put_person(&people, "alice", alices, "officer");
	put_person(&people, "bob", bobs, "officer");
	cof_json_set_str(o, "people", (char *)people.data);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_field_put(&fields, COF_T_PEOPLE, people.data, people.len);
	cof_field_put(&fields, COF_T_DOCUMENT, doc.data, doc.len);
	put_signature(&fields, "alice", alices, COF_SIGN_PEOPLE);
	put_signature(&fields, "bob", bobs, COF_SIGN_PEOPLE);
	put(COF_PEOPLE, &fields);
}

/* In the log, and not done: as where the disk was full. */
static void approved_end(const uint64_t *ino, size_t n, int64_t until)
{
	cof_autobuf struct cof_buf doc = {0}, asked = {0}, approved = {0};
	cof_autojson struct cof_json *o = document("retention-end");
	struct cof_diag diag = {""};

	cof_json_set_time(o, "until", until);
	ck_assert_msg(cof_action_set_objects(s.archive, ino, n, o, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(cof_json_canonical(o, &doc), 0);
	cof_sha256(doc.data, doc.len, request);
	cof_field_put(&asked, COF_T_REQUEST, request, 32);
	cof_field_put(&asked, COF_T_DOCUMENT, doc.data, doc.len);
	put_signature(&asked, "alice", alices, COF_SIGN_REQUEST);
	put(COF_REQUEST, &asked);
	cof_field_put(&approved, COF_T_REQUEST, request, 32);
	cof_field_put_u8(&approved, COF_T_VERDICT, COF_VERDICT_APPROVE);
	put_signature(&approved, "bob", bobs, COF_SIGN_APPROVE);
	put(COF_APPROVAL, &approved);
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
	enroll();
	approved_end(ino, 2, early);
	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_RETAIN, .ino = ino[1], .retain = later}), 0);
	reopen();
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
