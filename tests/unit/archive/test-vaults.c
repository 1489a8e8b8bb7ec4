/* SPDX-License-Identifier: Apache-2.0 */
/* Records of vaults: what is taken and refused, how they come back, what counts as new, what waits while nobody has the
 * archive open; and the judge on transfers. */
#include <stdio.h>

#include "crypto/age.h"
#include "fs/archive/vaults.h"
#include "support.h"

static struct store s;
static struct cof_diag diag;
static struct cof_json *last; /* VAULT frame that was shown */
static unsigned shown;

static void setup(void)
{
	diag = (struct cof_diag){""};
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	cof_json_free(last);
	last = NULL;
	store_done(&s);
}

static int put(const char *text)
{
	cof_autojson struct cof_json *record = NULL;

	diag.text[0] = 0;
	ck_assert_int_eq(cof_json_parse(text, strlen(text), &record), 0);
	return cof_archive_vault_record(s.archive, &alice, record, NULL, &diag);
}

static int see(void *user COF_UNUSED, struct cof_json *entry)
{
	if (strcmp(cof_json_str(entry, "type"), "vault") != 0)
		return 0;
	cof_json_free(last);
	last = cof_json_ref(entry);
	shown++;
	return 0;
}

static void look(void)
{
	uint64_t next;

	shown = 0;
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, see, NULL, &next), 0);
}

static void has_text(const char *key, const char *want)
{
	const char *have = cof_json_str(last, key);

	ck_assert_msg(have && !strcmp(have, want), "%s is %s, not %s", key, have ? have : "missing", want);
}

static void has_number(const char *key, int64_t want)
{
	int64_t have = -1;

	ck_assert_int_eq(cof_json_int(last, key, &have), 0);
	ck_assert_int_eq(have, want);
}

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TRANSFER "{\"what\":\"transfer\",\"name\":\"b\",\"from\":2,\"to\":4,\"bytes\":99,\"outcome\":\"success\"}"

START_TEST(all_fields)
{
	ck_assert_int_eq(put("{\"what\":\"drill\",\"name\":\"b\",\"from\":1,\"to\":4,\"bytes\":77,\"outcome\":\"failure\",\"basis\":\"contract 7\","
			     "\"counted\":[1,2,3],\"document\":\"signed\",\"detail\":\"the disk was full\",\"took_ns\":5,\"promised_ns\":6,"
			     "\"vault\":\"v\",\"vault_place\":\"1,2,X\",\"jurisdiction\":\"TW\",\"administration\":\"north\",\"distance_km\":300,"
			     "\"sha256\":\"" SHA "\",\"claimed_time\":\"2030-01-02T03:04:05Z\"}"), 0);
	look();
	ck_assert_uint_eq(shown, 1);
	has_text("what", "drill");
	has_text("name", "b");
	has_number("from", 1);
	has_number("to", 4);
	has_number("bytes", 77);
	has_text("outcome", "failure");
	has_text("basis", "contract 7");
	ck_assert_uint_eq(cof_json_count(cof_json_get(last, "counted")), 3);
	has_text("document", "signed");
	has_text("detail", "the disk was full");
	has_number("took_ns", 5);
	has_number("promised_ns", 6);
	has_text("vault_place", "1,2,X");
	has_text("jurisdiction", "TW");
	has_number("distance_km", 300);
	has_text("sha256", SHA);
	ck_assert_ptr_nonnull(cof_json_get(last, "actor"));
	has_number("position", 0);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *record, *why;
	} rows[] = {
	    {"{\"name\":\"b\"}", "what"},
	    {"{\"what\":\"met\"}", "name"},
	    {"{\"what\":\"eaten\",\"name\":\"b\"}", "kind of record"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"colour\":\"red\"}", "colour"},
	    {"{\"what\":\"transfer\",\"name\":\"b\"}", "\"to\""},
	    {"{\"what\":\"met\",\"name\":\"b\",\"from\":1}", "\"to\""},
	    {"{\"what\":\"met\",\"name\":\"b\",\"from\":-1,\"to\":2}", "number"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"outcome\":\"perhaps\"}", "outcome"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"sha256\":\"00\"}", "sha256"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"counted\":[]}", "counted"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"counted\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", "counted"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"distance_km\":4294967296}", "distance_km"},
	    {"{\"what\":\"met\",\"name\":\"b\",\"claimed_time\":\"soon\"}", "claimed_time"},
	    {"{\"what\":\"met\",\"name\":\"\"}", "name"},
	};

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		ck_assert_msg(put(rows[i].record) == -EINVAL, "row %zu was taken", i);
		ck_assert_msg(strstr(diag.text, rows[i].why) != NULL, "row %zu: %s", i, diag.text);
	}
	look();
	ck_assert_uint_eq(shown, 0);
}
END_TEST

/* A transfer has nothing that the next one would have to send, nor an actor; anything else has. */
START_TEST(what_is_new)
{
	uint64_t before;

	ck_assert_int_eq(put("{\"what\":\"met\",\"name\":\"b\"}"), 0);
	before = cof_log_significant(s.archive->log);
	ck_assert_int_eq(put(TRANSFER), 0);
	ck_assert_uint_eq(cof_log_significant(s.archive->log), before);
	look();
	has_number("position", 4);
	ck_assert_ptr_null(cof_json_get(last, "actor"));
	ck_assert_int_eq(put("{\"what\":\"met\",\"name\":\"b\"}"), 0);
	ck_assert_uint_gt(cof_log_significant(s.archive->log), before);
}
END_TEST

START_TEST(pending)
{
	static const char lines[] = TRANSFER "\n{\"what\":\"nonsense\",\"name\":\"b\"}\nno JSON\n{\"what\":\"met\",\"name\":\"c\",\"claimed_time\":\"2030-01-02T03:04:05Z\"}\n";

	store_close(&s);
	ck_assert_int_eq(cof_io_mkdir(s.io, "vaults"), 0);
	ck_assert_int_eq(cof_io_replace(s.io, "vaults/pending", lines, sizeof(lines) - 1), 0);
	store_open(&s);
	cof_archive_tick(s.archive);
	look();
	ck_assert_uint_eq(shown, 2);
	has_text("name", "c");
	has_text("claimed_time", "2030-01-02T03:04:05.000Z");
	ck_assert_int_eq(cof_io_exists(s.io, "vaults/pending"), 0);
	ck_assert_ptr_nonnull(strstr(s.alarm, "no kind of record"));
	ck_assert_ptr_nonnull(strstr(s.alarm, "no JSON"));
	store_close(&s);
	store_open(&s);
	cof_archive_tick(s.archive);
	look();
	ck_assert_uint_eq(shown, 2);
}
END_TEST

/* What cannot be put on record is no vault's: nothing waits then, where each destruction would meet it. */
START_TEST(enrolled)
{
	static const struct {
		const char *record;
		int err;
	} rows[] = {
	    {"{\"name\":\"b\",\"colour\":\"red\"}", -EINVAL}, {"{\"name\":\"b\",\"place\":1}", -EINVAL},
	    {"{\"name\":\"B\"}", -EINVAL},			{"{\"name\":\"b\",\"vault\":\"v\"}", 0},
	};
	char recipient[COF_AGE_RECIPIENT];
	uint8_t key[COF_AGE_KEY] = {9};

	cof_age_recipient_text(key, recipient);
	ck_assert_int_eq(cof_io_mkdir(s.io, "vaults"), 0);
	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		cof_autojson struct cof_json *about = NULL;

		ck_assert_int_eq(cof_json_parse(rows[i].record, strlen(rows[i].record), &about), 0);
		ck_assert_int_eq(cof_archive_vault_enroll(s.archive, &alice, about, recipient, &diag), rows[i].err);
		ck_assert_int_eq(cof_io_exists(s.io, "vaults/b" COF_VAULT_WAITS), rows[i].err == 0);
		ck_assert_int_eq(cof_io_exists(s.io, "vaults/b.keys"), rows[i].err == 0);
	}
}
END_TEST

/* ---- the judge ---- */

static const struct row {
	const char *policy, *jurisdiction, *basis, *rule;
	int64_t km;
	uint8_t what;
} rows[] = {
    {"", "", NULL, NULL, -1, COF_VR_TRANSFER},
    {"jurisdictions = TW KR\n", "KR", NULL, NULL, -1, COF_VR_TRANSFER},
    {"jurisdictions = TW KR\n", "JP", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"jurisdictions = TW KR\n", "", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"jurisdictions = US\n", "US-CA", NULL, NULL, -1, COF_VR_TRANSFER},
    {"jurisdictions = US-CA\n", "US", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"jurisdictions = TW KR\n", "JP", NULL, NULL, -1, COF_VR_MET},
    {"forbidden_jurisdictions = JP US-CA\n", "TW", NULL, NULL, -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "JP", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "JP-13", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "US-CA", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "US", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "US-NY", NULL, NULL, -1, COF_VR_TRANSFER},
    {"forbidden_jurisdictions = JP US-CA\n", "", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"jurisdictions = US\nforbidden_jurisdictions = US-CA\n", "US-CA", NULL, "jurisdiction", -1, COF_VR_TRANSFER},
    {"distance = 100\n", "TW", NULL, NULL, 100, COF_VR_TRANSFER},
    {"distance = 100\n", "TW", NULL, "distance", 99, COF_VR_TRANSFER},
    {"distance = 100\n", "TW", NULL, "distance", -1, COF_VR_TRANSFER},
    {"transfer_basis = yes\n", "TW", "contract", NULL, -1, COF_VR_TRANSFER},
    {"transfer_basis = yes\n", "TW", NULL, "no-basis", -1, COF_VR_TRANSFER},
    {"", "", NULL, "malformed", -1, 0},
};

START_TEST(judged)
{
	const struct row *row = &rows[_i];
	struct cof_judge_params p = {.verify = NULL};
	cof_autobuf struct cof_buf policy = {0}, text = {0}, fields = {0};
	struct cof_judge_frame f = {.type = COF_POLICY, .sequence = 1, .trusted = true};
	struct cof_judgement w = {.rule = NULL};
	struct cof_judge *j;
	int r;

	ck_assert_int_eq(cof_judge_new(&p, &j), 0);
	cof_buf_printf(&text, "[archive]\n%s", row->policy);
	cof_field_put(&policy, COF_T_POLICY, text.data, text.len);
	f.fields = policy.data;
	f.n = policy.len;
	ck_assert_int_eq(cof_judge_take(j, &f, &w), 0);
	if (row->what)
		cof_field_put_u8(&fields, COF_T_RECORD, row->what);
	cof_field_put_str(&fields, COF_T_RECORD_NAME, "b");
	if (*row->jurisdiction)
		cof_field_put_str(&fields, COF_T_JURISDICTION, row->jurisdiction);
	if (row->basis)
		cof_field_put_str(&fields, COF_T_RECORD_BASIS, row->basis);
	if (row->km >= 0)
		cof_field_put_u32(&fields, COF_T_DISTANCE, (uint32_t)row->km);
	f = (struct cof_judge_frame){.type = COF_VAULT_RECORD, .sequence = 2, .fields = fields.data, .n = fields.len};
	r = cof_judge_take(j, &f, &w);
	ck_assert_int_eq(r, row->rule ? -EPERM : 0);
	if (row->rule)
		ck_assert_str_eq(w.rule, row->rule);
	cof_judge_free(j);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vaults");
	TCase *t = tcase_create("records"), *judge = tcase_create("judge");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_fields);
	tcase_add_test(t, refused);
	tcase_add_test(t, what_is_new);
	tcase_add_test(t, pending);
	tcase_add_test(t, enrolled);
	tcase_add_loop_test(judge, judged, 0, (int)COF_COUNT(rows));
	suite_add_tcase(suite, t);
	suite_add_tcase(suite, judge);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
