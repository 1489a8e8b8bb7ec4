/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery envelope and a recovery from it, with the power failing at each operation: what is there
 * opens with the old opener or the new one, or is finished by whoever opens it next, and the recovery is
 * on record.
 */
#include <stdio.h>

#include "crypto/age.h"
#include "fs/archive/envelope.h"
#include "support.h"

static struct store s;
static uint8_t (*identity)[32];
static uint8_t recipient[1][32];
static struct cof_recovery recovery;
static uint8_t *other_key; /* of the new opener */
static struct cof_opener_secret old_opener, new_opener;
static struct cof_sim *made; /* the disk as it is before each recovery */
static uint64_t file;
static const char content[] = "what has to be there";

static void setup(void)
{
	struct cof_diag diag = {""};

	store_new(&s, STORE_SIM);
	identity = cof_secret_alloc(32);
	other_key = cof_secret_alloc(32);
	cof_random(identity[0], 32);
	cof_random(other_key, 32);
	ck_assert_int_eq(cof_x25519_public(identity[0], recipient[0]), 0);
	recovery = (struct cof_recovery){.recipients = (const uint8_t(*)[32])recipient, .n_recipients = 1};
	s.recovery = &recovery;
	ck_assert_msg(store_init(&s, &diag) == 0, "%s", diag.text);
	old_opener = s.secret;
	new_opener = (struct cof_opener_secret){COF_OPENER_FILE, other_key, 32, NULL};
	store_open(&s);
	file = must_create(&s, AUDIT, "file", COF_KIND_FILE);
	must_write(&s, file, 0, content, sizeof(content));
	store_close(&s);
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, COF_SIM_KEEP);
	made = s.sim;
	s.sim = cof_sim_clone(made);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
}

static void teardown(void)
{
	s.secret = old_opener;
	cof_secret_free(identity);
	cof_secret_free(other_key);
	store_done(&s);
	cof_sim_free(made);
}

static void start_over(void)
{
	cof_io_free(s.io);
	cof_sim_free(s.sim);
	s.sim = cof_sim_clone(made);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
}

static void reboot(enum cof_sim_loss loss)
{
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, loss);
	ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
}

static int recover(struct cof_recovered_keys *ret)
{
	struct cof_recovered_keys done = {.mounts = 0};
	struct cof_recover_params p = {
	    .identities = (const uint8_t(*)[32])identity,
	    .n_identities = 1,
	    .auditors = (const uint8_t(*)[32])recipient,
	    .n_auditors = 1,
	    .secret = &new_opener};
	struct cof_diag diag = {""};
	int r = cof_store_recover(s.io, &p, &done, &diag);

	ck_assert(r == 0 || diag.text[0]);
	if (ret)
		*ret = done;
	return r;
}

static int count_one(void *user, struct cof_json *entry)
{
	const char *type = cof_json_str(entry, "type"), *reason = cof_json_str(entry, "reason");

	*(unsigned *)user += type && !strcmp(type, "recovery") && reason && strstr(reason, "keys recovered");
	return 0;
}

static unsigned on_record(void)
{
	unsigned n = 0;
	uint64_t next = 0;

	ck_assert_int_eq(cof_archive_show_log(s.archive, 0, count_one, &n, &next), 0);
	return n;
}

/* Opens with this opener; all is there, nothing of a recovery is left behind. */
static unsigned must_open(const struct cof_opener_secret *opener)
{
	unsigned n;

	s.secret = *opener;
	store_open(&s);
	ck_assert(!s.opened.read_only);
	must_hold(&s, file, content, sizeof(content));
	n = on_record();
	store_close(&s);
	ck_assert_int_eq(cof_io_exists(s.io, "keys/recovered"), 0);
	return n;
}

static int opens(const struct cof_opener_secret *opener)
{
	struct cof_keys *k = NULL;
	struct cof_conf conf;
	int r = cof_conf_load(s.io, &conf, NULL);

	if (r == 0)
		r = cof_keys_open(s.io, conf.id, opener, &k, NULL);
	cof_keys_free(k);
	return r;
}

/* The auditor secret of the newest lineage is the one that its seals were made with. */
static void must_verify(void)
{
	cof_autosecret struct cof_auditor *a = cof_secret_alloc(COF_AUDITORS_MAX * sizeof(*a));
	struct cof_verify_params p = {.io = s.io, .auditors = a};
	struct cof_verified v = {.verdict = COF_TAMPERED};
	struct cof_diag diag = {""};

	ck_assert_int_eq(cof_store_auditors(s.io, (const uint8_t(*)[32])identity, 1, a, &p.n_auditors, &diag), 0);
	ck_assert_int_eq(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_int_eq(v.verdict, COF_INTACT);
	ck_assert(!v.seal_broken);
	ck_assert_uint_lt(v.seal_since, v.frames);
}

/* Whether it opens once what was begun is finished. */
static bool settles(const struct cof_opener_secret *opener)
{
	struct cof_keys *k = NULL;
	struct cof_conf conf;
	int r = cof_conf_load(s.io, &conf, NULL);

	if (r == 0)
		r = cof_keys_open_settled(s.io, conf.id, opener, &k, NULL);
	cof_keys_free(k);
	return r == 0;
}

static unsigned staged(void)
{
	static const char *const files[] = {"keys/top.recovered", "keys/epoch.recovered",
					    "seal/file-1.recovered"};
	unsigned n = 0;

	for (size_t i = 0; i < COF_COUNT(files); i++)
		n += cof_io_exists(s.io, files[i]) == 1;
	return n;
}

START_TEST(recovered)
{
	struct cof_recovered_keys done;

	ck_assert_int_eq(recover(&done), 0);
	ck_assert_uint_eq(done.mounts, 2);
	ck_assert_uint_eq(done.files, 1);
	ck_assert_uint_eq(done.unlike, 0);
	ck_assert_uint_eq(done.lineage, 2);
	ck_assert_int_eq(opens(&old_opener), -EKEYREJECTED);
	ck_assert_uint_eq(must_open(&new_opener), 1);
	ck_assert_uint_eq(must_open(&new_opener), 1);
	ck_assert_uint_eq(staged(), 0);
	ck_assert_int_eq(recover(&done), 0); /* and once more */
	ck_assert_uint_eq(done.lineage, 3);
	ck_assert_uint_eq(must_open(&new_opener), 2);
}
END_TEST

/* Cut at each operation: until it is in force nothing has happened; then the next opening finishes it. */
START_TEST(power_cut)
{
	unsigned before = 0, after = 0;

	for (uint64_t at = 1;; at++) {
		int r;

		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = recover(NULL);
		reboot(_i);
		if (r == 0)
			break;
		if (cof_io_exists(s.io, "keys/recovered") == 1) {
			after++;
			ck_assert_uint_eq(must_open(&new_opener), 1);
			ck_assert_uint_eq(staged(), 0);
		} else {
			before++;
			ck_assert_uint_eq(must_open(&old_opener), 0);
		}
		start_over();
	}
	ck_assert_uint_ge(before, 8);
	ck_assert_uint_ge(after, 6);
}
END_TEST

/* After a cut it is repeated, and cut again. */
START_TEST(repeated)
{
	for (uint64_t at = 1;; at++) {
		int r;

		for (uint64_t again = 1;; again += 3) {
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
			r = recover(NULL);
			reboot(COF_SIM_TEAR);
			if (r == 0)
				return;
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + again);
			r = recover(NULL);
			reboot(COF_SIM_TEAR);
			ck_assert_int_eq(recover(NULL), 0);
			ck_assert_uint_eq(must_open(&new_opener), 1);
			ck_assert_uint_eq(staged(), 0);
			start_over();
			if (r == 0)
				break;
		}
	}
}
END_TEST

/* A second recovery before any mount, cut at each operation: one of the two is in force, whole. */
START_TEST(twice_over_a_power_cut)
{
	cof_autosecret uint8_t *third_key = cof_secret_alloc(32);
	struct cof_opener_secret first = new_opener, third = {COF_OPENER_FILE, third_key, 32, NULL};
	unsigned kept = 0, replaced = 0;

	cof_random(third_key, 32);
	for (uint64_t at = 1;; at++) {
		int r;

		new_opener = first;
		ck_assert_int_eq(recover(NULL), 0);
		new_opener = third;
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = recover(NULL);
		reboot(_i);
		if (settles(&third)) {
			replaced++;
			ck_assert_uint_ge(must_open(&third), 1);
		} else {
			kept++;
			ck_assert_msg(must_open(&first) >= 1, "cut at %u", (unsigned)at);
		}
		must_verify();
		if (r == 0)
			break;
		start_over();
	}
	ck_assert_uint_ge(kept, 8);
	ck_assert_uint_ge(replaced, 6);
	new_opener = first;
}
END_TEST

/* The mount that puts it on record is cut: it is on record in the end, once or twice. */
START_TEST(recorded_over_a_power_cut)
{
	for (uint64_t at = 1;; at++) {
		struct cof_archive_params p = {
		    .io = s.io, .secret = &new_opener, .index_dir = "", .no_threads = true};
		struct cof_diag diag = {""};
		unsigned n;
		int r;

		ck_assert_int_eq(recover(NULL), 0);
		p.io = s.io;
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = cof_archive_open(&p, &s.archive, &s.opened, &diag);
		if (r == 0)
			cof_archive_abandon(s.archive);
		s.archive = NULL;
		reboot(_i);
		n = must_open(&new_opener);
		ck_assert_msg(n >= 1 && n <= 2, "cut at %u: %u times on record", (unsigned)at, n);
		if (r == 0)
			break;
		start_over();
	}
}
END_TEST

/* One that is in force and not finished is said to who may not finish it. */
START_TEST(unfinished_is_said)
{
	unsigned said = 0;

	for (uint64_t at = 1;; at++) {
		int r;

		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = recover(NULL);
		reboot(COF_SIM_KEEP);
		if (r == 0)
			break;
		if (cof_io_exists(s.io, "keys/recovered") == 1 &&
		    cof_io_exists(s.io, "keys/top.recovered") == 1) {
			ck_assert_int_eq(opens(&new_opener), -EAGAIN);
			said++;
		}
		start_over();
	}
	ck_assert_uint_ge(said, 4);
}
END_TEST

/* ---- the envelope ---- */

static int open_envelope(void)
{
	cof_autofree uint8_t *data = NULL;
	struct cof_keys *k = NULL;
	struct cof_diag diag = {""};
	struct cof_conf conf;
	size_t n = 0;
	int r = cof_conf_load(s.io, &conf, NULL);

	if (r == 0)
		r = cof_io_load(s.io, COF_ENVELOPE_FILE, COF_AGE_FILE_MAX, &data, &n);
	if (r == 0)
		r = cof_envelope_open(&conf, "the envelope", data, n, (const uint8_t(*)[32])identity, 1, &k, &diag);
	if (r == 0)
		r = cof_keys_check(k, s.io, &conf, false, NULL, &diag);
	cof_keys_free(k);
	return r;
}

START_TEST(renewed_over_a_power_cut)
{
	for (uint64_t at = 1;; at++) {
		struct cof_diag diag = {""};
		int r;

		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = cof_store_seal_recovery(s.io, &old_opener, &recovery, &diag);
		reboot(_i);
		ck_assert_int_eq(open_envelope(), 0);
		if (r == 0)
			break;
	}
}
END_TEST

START_TEST(tried)
{
	cof_autosecret uint8_t(*stranger)[32] = cof_secret_alloc(32);
	struct cof_recovery r = recovery;
	struct cof_diag diag = {""};

	cof_random(stranger[0], 32);
	r.identities = (const uint8_t(*)[32])stranger;
	r.n_identities = 1;
	ck_assert_int_eq(cof_store_seal_recovery(s.io, &old_opener, &r, &diag), -EKEYREJECTED);
	ck_assert(strstr(diag.text, "none of its recipients"));
	ck_assert_int_eq(cof_io_exists(s.io, COF_ENVELOPE_NEXT), 0);
	ck_assert_int_eq(open_envelope(), 0); /* the old one */
	r.identities = (const uint8_t(*)[32])identity;
	ck_assert_int_eq(cof_store_seal_recovery(s.io, &old_opener, &r, &diag), 0);
	memset(recipient[0], 0, 32);
	ck_assert_int_eq(cof_store_seal_recovery(s.io, &old_opener, &r, &diag), -EINVAL);
}
END_TEST

/* Plaintexts that are no keys: cut, longer, another archive's, entries that overlap. */
START_TEST(malformed)
{
	struct cof_keys *k = NULL, *none = NULL;
	uint8_t id[16] = {1}, other[16] = {2};
	void *plain = NULL;
	uint8_t *copy;
	size_t n = 0;

	k = cof_keys_new(id);
	ck_assert_int_eq(cof_keytree_add_root(k->tree[0], recipient[0]), 0);
	ck_assert_int_eq(cof_envelope_plain(k, &plain, &n), 0);
	ck_assert_int_eq(cof_envelope_take(other, plain, n, &none), -EXDEV);
	copy = calloc(1, n + 50);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(cof_envelope_take(id, plain, i, &none), -EUCLEAN);
	memcpy(copy, plain, n);
	ck_assert_int_eq(cof_envelope_take(id, copy, n + 1, &none), -EUCLEAN);
	cof_put_le32(copy + 12, (uint32_t)(n + 44 - 32));
	memcpy(copy + n, copy + 32, 44); /* the entry of depth 0 twice */
	ck_assert_int_eq(cof_envelope_take(id, copy, n + 44, &none), -EUCLEAN);
	for (size_t i = 0; i < 12; i++) {
		memcpy(copy, plain, n);
		copy[i] ^= 1;
		ck_assert_int_eq(cof_envelope_take(id, copy, n, &none), -EUCLEAN);
	}
	ck_assert_ptr_null(none);
	free(copy);
	cof_secret_free(plain);
	cof_keys_free(k);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recover");
	TCase *c = tcase_create("recover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 200);
	tcase_add_test(c, recovered);
	tcase_add_loop_test(c, power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(c, repeated);
	tcase_add_loop_test(c, twice_over_a_power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_loop_test(c, recorded_over_a_power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(c, unfinished_is_said);
	tcase_add_loop_test(c, renewed_over_a_power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(c, tried);
	tcase_add_test(c, malformed);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
