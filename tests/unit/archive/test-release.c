/* SPDX-License-Identifier: Apache-2.0 */
/* Releases of escrow: to whom, and those that wait for a veto where the outcome of one cannot be written. */
#include <stdio.h>
#include <time.h>

#include "fs/archive/escrow.h"
#include "signed.h"
#include "support.h"

#define DAY (INT64_C(86400) * COF_NSEC)
#define SHEET "made by hand"
#define KEY "0102030405060708090a0b0c0d0e0f10"
#define TO "age14nrmcy9z5599tp6aheqt5jk36k88rxp2v805wsswcpxn6qk2hfwq4c3mkh"

int64_t __real_cof_now(clockid_t clock);
int64_t __wrap_cof_now(clockid_t clock);
int __real_cof_archive_put(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on, struct cof_append *ret);
int __wrap_cof_archive_put(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on, struct cof_append *ret);

static struct store s;
static int64_t ahead;  /* of all clocks */
static int no_outcome; /* with which an APPROVAL frame that tells one fails */
static uint8_t request[32];

int64_t __wrap_cof_now(clockid_t clock)
{
	return __real_cof_now(clock) + ahead;
}

int __wrap_cof_archive_put(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on, struct cof_append *ret)
{
	uint8_t verdict = 0;

	if (d->type == COF_APPROVAL)
		(void)cof_field_u8(d->public_part, d->public_len, COF_T_VERDICT, &verdict);
	return no_outcome && verdict >= COF_VERDICT_DONE ? no_outcome : __real_cof_archive_put(a, d, on, ret);
}

/* ---- what is in the chain ---- */

static void escrow(uint8_t what, const uint8_t *by)
{
	cof_autobuf struct cof_buf fields = {0};
	uint8_t key[16];

	ck_assert_int_eq(cof_unhex(KEY, 32, key), 0);
	cof_field_put_u8(&fields, COF_T_ESCROW, what);
	cof_field_put_u64(&fields, COF_T_ESCROW_SHELF, KEYS);
	cof_field_put(&fields, COF_T_ESCROW_KEY, key, sizeof(key));
	if (by) {
		cof_field_put_str(&fields, COF_T_ESCROW_TO, TO);
		cof_field_put(&fields, COF_T_REQUEST, by, 32);
	}
	signed_put(&s, COF_ESCROW, &fields);
}

static void release_to(const char *to, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = signed_document(&s, "escrow-release");
	struct cof_json *shelves = cof_json_array();
	uint8_t sheet[COF_HASH];

	cof_json_append(shelves, cof_json_new_uint(KEYS));
	cof_json_set(o, "shelves", shelves);
	cof_json_set_str(o, "key", KEY);
	if (to)
		cof_json_set_str(o, "recipient", to);
	cof_sha256(SHEET, strlen(SHEET), sheet);
	set_hex(o, "sheet", sheet, sizeof(sheet));
	ck_assert_int_eq(cof_json_canonical(o, ret), 0);
}

static void ask_and_approve(void)
{
	cof_autobuf struct cof_buf doc = {0}, asked = {0}, approved = {0};

	release_to(TO, &doc);
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

/* A key whose release was approved, and waits for two days. */
static void setup(void)
{
	static const char policy[] = "durability = write\nrelease_delay = 2d\n";

	ahead = no_outcome = 0;
	store_make(&s, STORE_SIM);
	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_SHELF_SET, .ino = KEYS, .data = policy, .length = sizeof(policy) - 1}), 0);
	signed_enroll(&s);
	escrow(COF_ESC_KEY, NULL);
	ask_and_approve();
	signed_reopen(&s);
}

static void teardown(void)
{
	store_done(&s);
}

/* ---- what is asked of it ---- */

static enum cof_request_state state(void)
{
	struct cof_request_view v;

	ck_assert_int_eq(cof_judge_request(cof_people_judge(s.archive), request, &v), 0);
	return v.state;
}

static int count(void *user, const struct cof_escrow_record *r)
{
	*(unsigned *)user += cof_escrow_what(r) == COF_ESC_RELEASE;
	return 0;
}

static unsigned releases(void)
{
	unsigned n = 0;

	ck_assert_int_eq(cof_escrow_each(s.archive, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, count, &n), 0);
	return n;
}

static int shown(void *user, struct cof_json *o)
{
	(void)user;
	(void)o;
	return 0;
}

static int veto(struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	cof_autobuf struct cof_buf armored = {0};

	diag->text[0] = '\0';
	put_armored(&armored, signed_bobs, COF_SIGN_REFUSE);
	set_hex(args, "id", request, 32);
	cof_json_set_str(args, "verdict", "refuse");
	cof_json_set_str(args, "principal", "bob");
	cof_people_base64(args, "signature", armored.data, armored.len);
	return cof_archive_people(s.archive, &root_user, "approve", args, shown, NULL, diag);
}

START_TEST(no_veto_behind_the_release)
{
	struct cof_diag diag;

	ck_assert_int_eq(state(), COF_REQUEST_MET);
	ahead += 2 * DAY + COF_NSEC;
	no_outcome = -ENOSPC;
	cof_release_tick(s.archive);
	ck_assert_uint_eq(releases(), 1);
	ck_assert_int_eq(state(), COF_REQUEST_MET); /* as far as the requests tell */
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(veto(&diag), -EPERM);
		ck_assert_msg(strstr(diag.text, "too late for a veto"), "%s", diag.text);
		ck_assert_int_eq(state(), COF_REQUEST_MET);
		signed_reopen(&s);
	}
	no_outcome = 0;
	signed_reopen(&s);
	ck_assert_int_eq(state(), COF_REQUEST_DONE);
	ck_assert_uint_eq(releases(), 1);
}
END_TEST

static int asks(const char *to, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	cof_autobuf struct cof_buf armored = {0}, doc = {0};

	diag->text[0] = '\0';
	release_to(to, &doc);
	put_armored(&armored, signed_alices, COF_SIGN_REQUEST);
	cof_json_set_str(args, "principal", "alice");
	cof_people_base64(args, "document", doc.data, doc.len);
	cof_people_base64(args, "sheet", SHEET, strlen(SHEET));
	cof_people_base64(args, "signature", armored.data, armored.len);
	return cof_archive_people(s.archive, &root_user, "request", args, shown, NULL, diag);
}

/* A document that the archive did not make is looked at as one that it did. */
START_TEST(to_a_recipient)
{
	static const char *const none[] = {NULL, "", "carol", "age1recipient", TO "q", "x509-sha256:", "x509-sha256:00", "x509-sha256:" KEY KEY "0"};
	struct cof_diag diag;

	for (size_t i = 0; i < COF_COUNT(none); i++) {
		ck_assert_int_eq(asks(none[i], &diag), -EPERM);
		ck_assert_msg(strstr(diag.text, "to whom?"), "%s", diag.text);
	}
	ck_assert_msg(asks("age1jtmkmpwezf9ywacrksup0h7w5kmtykxwm40a8egvs8k874kcwewqaqdq6d", &diag) == 0, "%s", diag.text);
	ck_assert_msg(asks("x509-sha256:" KEY KEY, &diag) == 0, "%s", diag.text);
}
END_TEST

static int newest(void *user, const struct cof_escrow_record *r)
{
	if (cof_escrow_what(r) == COF_ESC_RELEASE)
		*(uint64_t *)user = r->sequence;
	return 0;
}

static int recovered(const char *to, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct cof_json *o = cof_json_object();
	uint64_t of = 0;

	diag->text[0] = '\0';
	ck_assert_int_eq(cof_escrow_each(s.archive, cof_escrow_list(COF_ESCROW_ALL, NULL, 0), 0, newest, &of), 0);
	cof_json_set_str(o, "what", "recovered");
	cof_json_set_str(o, "key", KEY);
	cof_json_set_uint(o, "of", of);
	if (to)
		cof_json_set_str(o, "to", to);
	cof_json_set_str(args, "shelf", "keys");
	cof_json_set(args, "record", o);
	return cof_archive_people(s.archive, &root_user, "escrow-record", args, shown, NULL, diag);
}

/* What was delivered went to whom it was released to, and is not on record otherwise. */
START_TEST(to_whom_it_was_released)
{
	static const char *const others[] = {NULL, "age1jtmkmpwezf9ywacrksup0h7w5kmtykxwm40a8egvs8k874kcwewqaqdq6d"};
	struct cof_diag diag;

	ahead += 2 * DAY + COF_NSEC;
	cof_release_tick(s.archive);
	ck_assert_int_eq(state(), COF_REQUEST_DONE);
	for (size_t i = 0; i < COF_COUNT(others); i++) {
		ck_assert_int_eq(recovered(others[i], &diag), -EPERM);
		ck_assert_msg(strstr(diag.text, "for somebody else"), "%s", diag.text);
	}
	ck_assert_msg(recovered(TO, &diag) == 0, "%s", diag.text);
}
END_TEST

/* Who judges the chain does not count a record from before the end of the delay. */
START_TEST(a_veto_of_what_is_out_too_early)
{
	struct cof_diag diag;

	escrow(COF_ESC_RELEASE, request);
	ck_assert_uint_eq(releases(), 1);
	ck_assert_msg(veto(&diag) == 0, "%s", diag.text);
	ck_assert_int_eq(state(), COF_REQUEST_REFUSED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-release");
	TCase *c = tcase_create("release");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, to_a_recipient);
	tcase_add_test(c, to_whom_it_was_released);
	tcase_add_test(c, no_veto_behind_the_release);
	tcase_add_test(c, a_veto_of_what_is_out_too_early);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
