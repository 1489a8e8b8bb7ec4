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
    {"retention = 1m\n", -EUCLEAN, 0, false, "min"},
    {"retention_min = 1y\n", -EUCLEAN, 0, false, "the default"},
    {"retention_max = 1y\n", -EUCLEAN, 0, false, "the default"},
    {"strict = yes\n", -EUCLEAN, 0, false, "strict"},
    {"strict = true\nretention = 1y\n", -EUCLEAN, 0, false, "yes or no"},
    {"retention = 1y\nretention_min = 2y\n", -EUCLEAN, 0, false, "retention_min"},
    {"retention = 1y\nretention_max = 1d\n", -EUCLEAN, 0, false, "retention_max"},
    {"retention = infinite\nretention_max = 1d\n", -EUCLEAN, 0, false, "retention_max"},
    {"retention = 1d\nretention_min = infinite\n", -EUCLEAN, 0, false, "retention_min"},
    {"retention = 300y\n", -EUCLEAN, 0, false, "infinite"},
    {"autocommit = infinite\n", -EUCLEAN, 0, false, "autocommit"},
    {"quota = 1.5G\n", -EUCLEAN, 0, false, "size"},
    {"quota = 9223372036854775808\n", -EUCLEAN, 0, false, "size"},
    {"quota_files = 1K\n", -EUCLEAN, 0, false, "number"},
    {"quota_files = -1\n", -EUCLEAN, 0, false, "number"},
    {"staging = 1\n", -EUCLEAN, 0, false, "yes or no"},
    {"record_kind = a\tb\n", -EUCLEAN, 0, false, "text"},
    {"record_kind = 1234567890123456789012345678901234567890123456789012345678901234\n", -EUCLEAN,
     0, false, "63"},
    {"mode = strict\n", -EUCLEAN, 0, false, "compliance or governance"},
    {"cooling_off = infinite\n", -EUCLEAN, 0, false, "cooling_off"},
    {"retain_event = contract-end\n", -EUCLEAN, 0, false, "needs a retention"},
    {"retention = 1y\nretain_event = Contract\n", -EUCLEAN, 0, false, "a name"},
    {"retention = 1y\nretain_event = \n", -EUCLEAN, 0, false, "a name"},
    {"retention = 1y\nretain_event = abcdefghijklmnopqrstuvwxyz012345\n", -EUCLEAN, 0, false, "31"},
    {"retain_follows = keys\n", -EUCLEAN, 0, false, "none or certificates"},
    {"certificates = 1\n", -EUCLEAN, 0, false, "yes or no"},
    {"retain_margin = infinite\n", -EUCLEAN, 0, false, "retain_margin"},
    {"read_events = on\n", -EUCLEAN, 0, false, "yes or no"},
    {"silence = infinite\n", -EUCLEAN, 0, false, "silence"},
    {"release_delay = infinite\n", -EUCLEAN, 0, false, "release_delay"},
    {"leak_guard = on\n", -EUCLEAN, 0, false, "off, report or refuse"},
    {"approve_policy = 1\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = 02\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = 17\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = officer\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = 2officer\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = 2 officer officer\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = 2 officers\n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_policy = \n", -EUCLEAN, 0, false, "at least 2"},
    {"approve_remove = 3 officer\n", -EUCLEAN, 0, false, "auditor"},
    {"remove = yes\n", -EUCLEAN, 0, false, "request or rm"},
    {"key = 1\n", -EUCLEAN, 0, false, "autocommit"},
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

/* Each key is read into its field. */
START_TEST(all_keys)
{
	static const char text[] =
	    "durability = write\nrefuse = rofs\nretention = 10y\nretention_min = 1d\n"
	    "retention_max = infinite\nstrict = yes\nautocommit = 90min\n"
	    "quota = 500G\nquota_files = 1000\nstaging = yes\n"
	    "record_kind = access log, web\n"
	    "release_delay = 48h\nremove = rm\napprove_escrow = 3 custodian\napprove_policy = 2  officer auditor\napprove_retention_end = 3\n"
	    "approve_remove = 2 auditor\napprove_hold_end = 4 custodian operator\n"
	    "leak_guard = refuse\nsilence = 60min\nread_events = yes\nretain_margin = 1y\n"
	    "certificates = yes\nretain_follows = certificates\nretain_event = contract-end\n"
	    "cooling_off = 7d\nmode = governance\n";
	static const char canonical[] =
	    "durability = write\nrefuse = rofs\nretention = 10y\nretention_min = 1d\nstrict = yes\n"
	    "autocommit = 90min\nquota = 500G\nquota_files = 1000\nstaging = yes\n"
	    "record_kind = access log, web\n"
	    "mode = governance\ncooling_off = 1w\nretain_event = contract-end\n"
	    "retain_follows = certificates\ncertificates = yes\nretain_margin = 1y\n"
	    "read_events = yes\nsilence = 1h\nleak_guard = refuse\n"
	    "approve_hold_end = 4 custodian operator\napprove_retention_end = 3\n"
	    "approve_policy = 2 auditor officer\napprove_escrow = 3 custodian\nremove = rm\nrelease_delay = 2d\n";
	const int64_t day = 86400 * COF_NSEC;
	cof_autobuf struct cof_buf again = {0}, none = {0};
	struct cof_policy p;

	ck_assert_int_eq(cof_policy_parse(text, sizeof(text) - 1, &p, NULL), 0);
	ck_assert(p.durability == COF_DURABLE_ON_WRITE && p.refuse_rofs && p.retention && p.strict);
	ck_assert(p.retention_default == 3650 * day && p.retention_min == day);
	ck_assert(p.retention_max == COF_RETAIN_INFINITE && p.autocommit == day / 16);
	ck_assert(p.quota_bytes == 500ull << 30 && p.quota_files == 1000 && p.staging);
	ck_assert_str_eq(p.record_kind, "access log, web");
	ck_assert(p.mode == COF_GOVERNANCE && p.cooling_off == 7 * day && p.retain_certificates);
	ck_assert(p.certificates && p.retain_margin == 365 * day && p.read_events && p.remove_by_rm && p.release_delay == 2 * day);
	ck_assert(p.silence == day / 24 && p.leak_guard == COF_LEAK_REFUSE);
	ck_assert_str_eq(p.retain_event, "contract-end");
	ck_assert_str_eq(cof_policy_approve(&p, COF_APPROVE_REMOVE), "2 auditor");
	ck_assert_str_eq(cof_policy_approve(&p, COF_APPROVE_RETENTION_END), "3");
	ck_assert_int_eq(cof_policy_text(&p, &again), 0);
	ck_assert_str_eq((char *)again.data, canonical);
	p.retention_min = 2 * p.retention_default; /* nothing that could not be read again */
	ck_assert_int_eq(cof_policy_text(&p, &none), -EINVAL);
}
END_TEST

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static int64_t any_span(uint64_t *s)
{
	static const int64_t units[] = {1, 60, 3600, 86400, 604800, 31536000};
	uint64_t pick = next(s) % 7;

	return pick == 6 ? COF_RETAIN_INFINITE : (int64_t)(next(s) % 100) * units[pick] * COF_NSEC;
}

START_TEST(there_and_back)
{
	uint64_t s = 7;

	for (int i = 0; i < 3000; i++) {
		struct cof_policy p, q;
		cof_autobuf struct cof_buf text = {0}, again = {0};
		int64_t a = any_span(&s), b = any_span(&s), c = any_span(&s);
		struct cof_diag d = {""};

		cof_policy_default(&p);
		p.durability = i & 1 ? COF_DURABLE_ON_WRITE : COF_DURABLE_ON_SYNC;
		p.refuse_rofs = i & 2;
		p.staging = i & 4;
		p.retention = i & 8;
		if (p.retention) {
			p.strict = i & 16;
			p.retention_min = COF_MIN(a, COF_MIN(b, c));
			p.retention_max = COF_MAX(a, COF_MAX(b, c));
			p.retention_default =
			    COF_MAX(COF_MIN(a, b), COF_MIN(COF_MAX(a, b), c)); /* the middle one */
		}
		p.autocommit = (int64_t)(next(&s) % 5000) * COF_NSEC * (i % 3);
		p.quota_bytes = next(&s) << next(&s) % 30;
		p.quota_files = next(&s) % 3;
		if (i & 32)
			strcpy(p.record_kind, "kind of; a = #thing");

		ck_assert_int_eq(cof_policy_text(&p, &text), 0);
		ck_assert_msg(cof_policy_parse((const char *)text.data, text.len, &q, &d) == 0,
			      "%s: %s", d.text, (char *)text.data);
		ck_assert(q.durability == p.durability && q.refuse_rofs == p.refuse_rofs);
		ck_assert(q.retention == p.retention && q.strict == p.strict &&
			  q.staging == p.staging);
		ck_assert_int_eq(q.retention_default, p.retention_default);
		ck_assert_int_eq(q.retention_min, p.retention_min);
		ck_assert_int_eq(q.retention_max, p.retention_max);
		ck_assert_int_eq(q.autocommit, p.autocommit);
		ck_assert_uint_eq(q.quota_bytes, p.quota_bytes);
		ck_assert_uint_eq(q.quota_files, p.quota_files);
		ck_assert_str_eq(q.record_kind, p.record_kind);
		ck_assert_int_eq(cof_policy_text(&q, &again), 0);
		ck_assert_str_eq((char *)again.data, (char *)text.data);
	}
}
END_TEST

/* Any bytes are taken or refused, never more. */
START_TEST(any_bytes)
{
	static const char base[] =
	    "durability = write\nretention = 10y\nretention_min = 5d\nquota = 5G\n";
	uint64_t s = 1;

	for (int i = 0; i < 20000; i++) {
		char text[sizeof(base)];
		struct cof_policy p;
		struct cof_diag diag = {""};
		size_t n = sizeof(base) - 1;

		memcpy(text, base, sizeof(base));
		for (int k = 0; k < 1 + i % 3; k++)
			text[next(&s) % n] = (char)(next(&s) >> 17);
		if (cof_policy_parse(text, n, &p, &diag) < 0)
			ck_assert_uint_gt(strlen(diag.text), 5);
	}
}
END_TEST

TCase *policy_case(void)
{
	TCase *c = tcase_create("policy");

	tcase_add_loop_test(c, parsing, 0, COF_COUNT(texts));
	tcase_add_test(c, all_keys);
	tcase_add_test(c, there_and_back);
	tcase_add_test(c, any_bytes);
	return c;
}
