/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other auditors: what the present file holds passed on with an identity that opens it, with the power failing
 * at each operation; a later lineage's secret for the new ones; and it is on record. Half a second.
 */
#include "crypto/age.h"
#include "support.h"

static struct store s;
static uint8_t (*identity)[32]; /* 0, 1: auditors before; 2: the new one; 3: nobody's */
static uint8_t recipient[4][32];
static struct cof_auditor *opened;

static int init_with(size_t auditors)
{
	struct cof_shelf_spec shelf = {.name = "audit"};
	struct cof_init_params p = {.origin = "log.example/auditors",
				    .segment_size = 1u << 20,
				    .secret = &s.secret,
				    .shelves = &shelf,
				    .n_shelves = 1,
				    .auditors = (const uint8_t(*)[32])recipient,
				    .n_auditors = auditors,
				    .ret_auditor_secret = s.auditor,
				    .ret_archive_id = s.archive_id};
	struct cof_diag diag = {""};

	cof_policy_default(&shelf.policy);
	return cof_archive_init(s.io, &p, &diag);
}

static void setup(void)
{
	store_new(&s, STORE_SIM);
	identity = cof_secret_alloc(sizeof(recipient));
	opened = cof_secret_alloc(COF_AUDITORS_MAX * sizeof(*opened));
	for (int i = 0; i < 4; i++) {
		cof_random(identity[i], 32);
		ck_assert_int_eq(cof_x25519_public(identity[i], recipient[i]), 0);
	}
	ck_assert_int_eq(init_with(2), 0);
}

static void teardown(void)
{
	cof_secret_free(identity);
	cof_secret_free(opened);
	store_done(&s);
}

static int renew(int by, struct cof_auditors_renewed *ret)
{
	struct cof_auditor_renewal p = {.auditors = (const uint8_t(*)[32])recipient + 2,
					.n_auditors = 1,
					.identities = (const uint8_t(*)[32])identity + (by < 0 ? 0 : by),
					.n_identities = by < 0 ? 0 : 1};
	struct cof_auditors_renewed done = {0};
	struct cof_diag diag = {""};
	int r = cof_store_seal_auditors(s.io, &s.secret, &p, &done, &diag);

	ck_assert(r == 0 || diag.text[0]);
	if (ret)
		*ret = done;
	return r;
}

/* How many files open for it; each has its own lineage's secret, the first the one of init. */
static size_t opens(int who)
{
	size_t n = 0;
	int r = cof_store_auditors(s.io, (const uint8_t(*)[32])identity + who, 1, opened, &n, NULL);

	if (r < 0) {
		ck_assert_int_eq(r, -EKEYREJECTED);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (opened[i].lineage == 1)
			ck_assert_mem_eq(opened[i].secret, s.auditor, 32);
	return n;
}

struct told {
	unsigned finished, not_finished;
};

static int tell(void *user, struct cof_json *entry)
{
	const char *event = cof_json_str(entry, "event"), *reason = cof_json_str(entry, "reason");
	struct told *t = user;

	if (event && !strcmp(event, "auditors-renewed")) {
		t->not_finished += reason && strstr(reason, "not finished");
		t->finished += !reason;
	}
	return 0;
}

static struct told told(void)
{
	struct told t = {0};
	uint64_t next = 0;

	store_open(&s);
	ck_assert(!s.opened.read_only);
	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, tell, &t, &next), 0);
	store_close(&s);
	return t;
}

START_TEST(passed_on)
{
	struct cof_auditors_renewed done;
	struct told t;

	ck_assert_int_eq(renew(1, &done), 0);
	ck_assert_uint_eq(done.passed, 1);
	ck_assert_uint_eq(done.left, 0);
	ck_assert_uint_eq(opens(0), 0);
	ck_assert_uint_eq(opens(1), 0);
	ck_assert_uint_eq(opens(2), 1);
	t = told();
	ck_assert(t.finished == 1 && !t.not_finished);
}
END_TEST

static void begin_lineage(void)
{
	struct cof_new_lineage l = {0};
	struct cof_diag diag = {""};

	ck_assert_msg(cof_store_seal_lineage(s.io, &s.secret, false, &l, &diag) == 0, "%s", diag.text);
	ck_assert_uint_eq(l.auditors, 1);
}

/* The first file stays with those before; what is begun later is the new one's alone. */
START_TEST(without_an_identity)
{
	struct cof_auditors_renewed done;

	ck_assert_int_eq(renew(-1, &done), 0);
	ck_assert_uint_eq(done.passed, 0);
	ck_assert_uint_eq(done.left, 1);
	ck_assert_uint_eq(opens(0), 1);
	ck_assert_uint_eq(opens(2), 0);
	begin_lineage();
	ck_assert_uint_eq(opens(0), 1);
	ck_assert_uint_eq(opens(2), 1);
	ck_assert_uint_eq(opened[0].lineage, 2);
	(void)told();
	/* now those before pass the first on, and the second, which they do not open, stays */
	ck_assert_int_eq(renew(0, &done), 0);
	ck_assert_uint_eq(done.passed, 1);
	ck_assert_uint_eq(done.left, 1);
	ck_assert_uint_eq(opens(0), 0);
	ck_assert_uint_eq(opens(2), 2);
}
END_TEST

START_TEST(by_nobody)
{
	struct told t;

	ck_assert_int_eq(renew(3, NULL), -EKEYREJECTED);
	ck_assert_uint_eq(opens(0), 1);
	ck_assert_uint_eq(opens(2), 0);
	ck_assert_int_eq(cof_io_unlink(s.io, "seal/auditor.age"), 0);
	ck_assert_int_eq(renew(0, NULL), -ENOENT);
	t = told();
	ck_assert(!t.finished && !t.not_finished);
	ck_assert_int_eq(renew(-1, NULL), 0); /* nothing to pass on */
	begin_lineage();
	ck_assert_uint_eq(opens(2), 1);
}
END_TEST

/* Cut at each step: the file is the old one or the new one, and the record says which. */
START_TEST(power_cut)
{
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, COF_SIM_KEEP);
	for (uint64_t at = 1;; at++) {
		struct cof_sim *all = s.sim;
		struct told t;
		size_t now;
		int r;

		s.sim = cof_sim_clone(all);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = renew(0, NULL);
		if (r == 0)
			cof_sim_plan(s.sim, COF_SIM_CRASH, 0);
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, _i);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		now = opens(2);
		ck_assert_uint_eq(opens(0) + now, 1);
		t = told();
		ck_assert_uint_le(t.finished + t.not_finished, 1);
		ck_assert(!now || t.finished == 1);
		ck_assert(now || !t.finished);
		if (at & 1) { /* another one, which does not need what was left */
			ck_assert_int_eq(renew(-1, NULL), 0);
			t.finished++;
			ck_assert_uint_eq(told().finished, t.finished);
		}
		ck_assert_int_eq(renew(now ? 2 : 0, NULL), 0); /* again, to the end */
		ck_assert_uint_eq(opens(2), 1);
		ck_assert_int_eq(cof_io_exists(s.io, "seal/auditor.age.next"), 0);
		ck_assert_uint_eq(told().finished, t.finished + 1);
		cof_io_free(s.io);
		cof_sim_free(s.sim);
		s.sim = all;
		if (r == 0) {
			ck_assert_uint_gt(at, 8);
			break;
		}
	}
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("auditors");
	TCase *c = tcase_create("auditors");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, passed_on);
	tcase_add_test(c, without_an_identity);
	tcase_add_test(c, by_nobody);
	tcase_add_loop_test(c, power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	suite_add_tcase(suite, c);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
