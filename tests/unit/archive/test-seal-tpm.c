/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal of an archive under a TPM: made, opened, renewed with the power failing at each step, and
 * old copies dead afterwards. A simulated disk and a software TPM. Skipped (77) without swtpm.
 */
#include <stdio.h>

#include "../../support/swtpm.h"
#include "fs/archive/keys-seal.h"
#include "support.h"

static struct store s;
static struct swtpm sw;
static struct cof_diag diag;
static const uint8_t id[16] = {0x5a, 0x5b, 0x5c};
static struct cof_opener_secret by_tpm, by_file;
static uint8_t index_key[COF_KEY];

#define PCRS (1u << 7 | 1u << 11)

static void must_be(int r, int expected)
{
	ck_assert_msg(r == expected, "%d, not %d: %s", r, expected, diag.text);
}

static void setup(void)
{
	uint8_t auditor[32], public_key[32];
	struct cof_keys *k = NULL;

	swtpm_new(&sw);
	store_new(&s, STORE_SIM);
	by_file = s.secret;
	by_file.tpm = sw.socket; /* where an unfinished renewal is asked about */
	by_tpm = (struct cof_opener_secret){.kind = COF_OPENER_TPM2, .tpm = sw.socket};
	must_be(cof_io_mkdir(s.io, "keys"), 0);
	must_be(cof_io_mkdir(s.io, "seal"), 0);
	must_be(cof_io_sync_dir(s.io, ""), 0);
	must_be(cof_keys_make(s.io, id, &by_tpm, NULL, PCRS, auditor, public_key, &k, &diag), 0);
	memcpy(index_key, cof_keys_index(k), COF_KEY);
	cof_keys_free(k);
}

static void teardown(void)
{
	store_done(&s);
	swtpm_remove(&sw);
}

static int open_with(struct cof_io *io, const struct cof_opener_secret *secret)
{
	struct cof_keys *k = NULL;
	int r;

	diag.text[0] = '\0';
	r = cof_keys_open_settled(io, id, secret, &k, &diag);
	if (r == 0)
		ck_assert_mem_eq(cof_keys_index(k), index_key, COF_KEY);
	else
		ck_assert(diag.text[0] && !k);
	cof_keys_free(k);
	return r;
}

static int renew(struct cof_io *io, const struct cof_opener_secret *secret)
{
	const struct cof_renewal renewal = {.tpm = sw.socket};
	struct cof_keys *k = NULL;
	int r = cof_keys_open_settled(io, id, secret, &k, &diag);

	if (r == 0)
		r = cof_keys_renew(k, io, &renewal, &diag);
	cof_keys_free(k);
	return r;
}

static void add_file(void)
{
	struct cof_keys *k = NULL;
	uint32_t n = 0;

	must_be(cof_keys_open_settled(s.io, id, &by_tpm, &k, &diag), 0);
	must_be(cof_keys_add_opener(k, s.io, &by_file, NULL, 0, &n, &diag), 0);
	ck_assert_uint_eq(n, 1);
	cof_keys_free(k);
}

static unsigned pending(struct cof_io *io)
{
	struct cof_seal_files files;
	unsigned n = cof_io_exists(io, "keys/top.next") > 0;

	must_be(cof_seal_list(io, &files), 0);
	for (size_t i = 0; i < files.n; i++)
		n += files.file[i].next;
	return n;
}

START_TEST(opens_and_renews)
{
	struct cof_sim *before;
	struct cof_io *old = NULL;

	must_be(open_with(s.io, &by_tpm), 0);
	add_file();
	must_be(open_with(s.io, &by_file), 0);
	before = cof_sim_clone(s.sim);
	must_be(renew(s.io, &by_tpm), 0);
	ck_assert_uint_eq(pending(s.io), 0);
	must_be(open_with(s.io, &by_tpm), 0);
	must_be(open_with(s.io, &by_file), 0);
	must_be(renew(s.io, &by_file), 0); /* whoever opens it can renew all of it */
	must_be(open_with(s.io, &by_tpm), 0);
	must_be(open_with(s.io, &by_file), 0);
	/* the copy from before: dead on this TPM; the key file opens it, which is why status names it */
	must_be(cof_sim_open(before, &old), 0);
	must_be(open_with(old, &by_tpm), -ESTALE);
	ck_assert(strstr(diag.text, "old copy") != NULL);
	must_be(open_with(old, &by_file), 0);
	cof_io_free(old);
	cof_sim_free(before);
}
END_TEST

/* Old top and old file together with today's keys lead nowhere: nothing that is kept opens them. */
START_TEST(old_pair_is_dead)
{
	struct cof_sim *copy = cof_sim_clone(s.sim);
	const uint8_t *blob = NULL, *top = NULL;
	struct cof_io *io = NULL;
	size_t n = 0, m = 0;

	must_be(renew(s.io, &by_tpm), 0);
	must_be(cof_sim_peek(copy, "seal/tpm2-1", &blob, &n), 0);
	must_be(cof_sim_peek(copy, "keys/top", &top, &m), 0);
	must_be(cof_sim_open(copy, &io), 0);
	must_be(open_with(io, &by_tpm), -ESTALE);
	cof_io_free(io);
	/* the old file beside the new top */
	must_be(cof_io_replace(s.io, "seal/tpm2-1", blob, n), 0);
	must_be(open_with(s.io, &by_tpm), -ESTALE);
	cof_sim_free(copy);
}
END_TEST

static void reopen(enum cof_sim_loss loss)
{
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, loss);
	must_be(cof_sim_open(s.sim, &s.io), 0);
}

/* Every operation of a renewal fails once, and the power with it. */
static void cut_at_each_step(enum cof_sim_loss loss, const struct cof_opener_secret *opens)
{
	for (uint64_t at = 1;; at++) {
		uint64_t begin;
		int r;

		must_be(open_with(s.io, &by_tpm), 0);
		begin = cof_sim_ops(s.sim);
		cof_sim_plan(s.sim, COF_SIM_CRASH, begin + at);
		r = renew(s.io, &by_tpm);
		if (r == 0) {
			ck_assert_uint_gt(at, 8);
			reopen(COF_SIM_KEEP);
			return;
		}
		reopen(loss);
		must_be(open_with(s.io, opens), 0);
		ck_assert_msg(pending(s.io) == 0, "step %u is not settled", (unsigned)at);
	}
}

START_TEST(power_cut)
{
	add_file();
	cut_at_each_step(_i, _i == COF_SIM_TEAR ? &by_file : &by_tpm);
}
END_TEST

/* The settling of a renewal is cut as well, at each of its steps. */
START_TEST(power_cut_twice)
{
	for (uint64_t first = 1; first < 40; first++) {
		uint64_t second = 1;
		int r;

		must_be(open_with(s.io, &by_tpm), 0);
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + first);
		r = renew(s.io, &by_tpm);
		reopen(COF_SIM_LOSE);
		if (r == 0)
			return;
		for (;; second++) {
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + second);
			r = open_with(s.io, &by_tpm);
			reopen(COF_SIM_LOSE);
			if (r == 0)
				break;
			ck_assert_uint_lt(second, 40);
		}
		must_be(open_with(s.io, &by_tpm), 0);
		ck_assert_uint_eq(pending(s.io), 0);
	}
	ck_abort_msg("a renewal never ends");
}
END_TEST

static void state(const char *how)
{
	char command[256];

	swtpm_stop(&sw);
	if (!strcmp(how, "keep"))
		snprintf(command, sizeof(command), "rm -rf %s.kept && cp -a %s %s.kept", sw.dir, sw.dir, sw.dir);
	else
		snprintf(command, sizeof(command), "cp -a %s.kept/tpm2* %s/ && rm -rf %s.kept", sw.dir, sw.dir, sw.dir);
	ck_assert_int_eq(system(command), 0);
	swtpm_start(&sw);
}

/* All of the new is durable and the power goes just before the increment: the TPM is put back to where
 * it was then. With the tests above each store operation is met before and after it. */
START_TEST(power_cut_before_the_increment)
{
	bool met = false;
	int r = 1;

	add_file();
	for (uint64_t at = 1; at < 60 && r; at++) {
		must_be(open_with(s.io, &by_tpm), 0);
		state("keep");
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = renew(s.io, &by_tpm);
		reopen(COF_SIM_LOSE);
		if (r && pending(s.io) == 3) { /* the top and two openers: raised, nothing renamed */
			state("back");
			met = true;
		}
		must_be(open_with(s.io, &by_tpm), 0);
		must_be(open_with(s.io, &by_file), 0);
		ck_assert_uint_eq(pending(s.io), 0);
	}
	must_be(r, 0);
	ck_assert(met);
	state("keep");
	state("back");
}
END_TEST

/* Raised, nothing renamed, and the TPM gone: the key file opens the old pair, and nothing is decided. */
START_TEST(undecided_without_its_tpm)
{
	unsigned left;
	int r = 0;

	add_file();
	for (uint64_t at = 1; at < 60; at++) {
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = renew(s.io, &by_tpm);
		reopen(COF_SIM_LOSE);
		if (r == 0)
			break;
		left = pending(s.io);
		swtpm_stop(&sw);
		must_be(open_with(s.io, &by_file), 0);
		if (cof_io_exists(s.io, "keys/top.next") > 0 && left == 3)
			ck_assert_uint_eq(pending(s.io), left);
		swtpm_start(&sw);
		must_be(open_with(s.io, &by_tpm), 0);
		ck_assert_uint_eq(pending(s.io), 0);
		must_be(open_with(s.io, &by_file), 0);
	}
	must_be(r, 0);
}
END_TEST

/* A hostile root raised the counter: the TPM's seal is dead, another opener heals it. */
START_TEST(hostile_increment)
{
	struct cof_tpm_sealed sealed;
	const struct cof_seal_file f = {.kind = COF_OPENER_TPM2, .n = 1};
	uint64_t generation = 0;
	char command[64];

	add_file();
	must_be(cof_seal_tpm2_load(s.io, id, &f, &sealed, &generation), 0);
	snprintf(command, sizeof(command), "nvincrement 0x%08x", sealed.index);
	swtpm_tool(&sw, command);
	must_be(open_with(s.io, &by_tpm), -ESTALE);
	ck_assert(strstr(diag.text, "coffer recover") != NULL);
	must_be(renew(s.io, &by_file), 0);
	must_be(open_with(s.io, &by_tpm), 0);
}
END_TEST

START_TEST(pcrs_and_openers)
{
	static const char extend[] =
	    "pcrextend 11:sha256=3333333333333333333333333333333333333333333333333333333333333333";
	struct cof_tpm_pcrs also = {.mask = 1u << 11};
	struct cof_renewal renewal = {.tpm = sw.socket, .also = &also};
	uint8_t both[2 * COF_HASH] = {0};
	struct cof_keys *k = NULL;

	/* what PCR 11 will be after the update */
	memset(both + COF_HASH, 0x33, COF_HASH);
	cof_sha256(both, sizeof(both), also.value[11]);
	must_be(cof_keys_open_settled(s.io, id, &by_tpm, &k, &diag), 0);
	must_be(cof_keys_renew(k, s.io, &renewal, &diag), 0);
	must_be(open_with(s.io, &by_tpm), 0);
	swtpm_tool(&sw, extend);
	must_be(open_with(s.io, &by_tpm), 0);
	swtpm_tool(&sw, extend);
	must_be(open_with(s.io, &by_tpm), -EKEYREJECTED);
	ck_assert(strstr(diag.text, "PCR 11 changed") != NULL);
	/* one TPM; the last opener stays; with another the first one can go, and come anew */
	must_be(cof_keys_add_opener(k, s.io, &by_tpm, NULL, PCRS, NULL, &diag), -EEXIST);
	must_be(cof_keys_remove_opener(k, s.io, COF_OPENER_TPM2, 1, sw.socket, &diag), -EBUSY);
	must_be(cof_keys_remove_opener(k, s.io, COF_OPENER_FILE, 1, sw.socket, &diag), -ENOENT);
	must_be(cof_keys_add_opener(k, s.io, &by_file, NULL, 0, NULL, &diag), 0);
	must_be(cof_keys_remove_opener(k, s.io, COF_OPENER_TPM2, 1, sw.socket, &diag), 0);
	must_be(open_with(s.io, &by_tpm), -ENOKEY);
	must_be(cof_keys_add_opener(k, s.io, &by_tpm, NULL, PCRS, NULL, &diag), 0);
	must_be(open_with(s.io, &by_tpm), 0);
	must_be(open_with(s.io, &by_file), 0);
	cof_keys_free(k);
}
END_TEST

START_TEST(pin)
{
	cof_autosecret char *digits = cof_secret_alloc(8);
	struct cof_opener_secret with_pin = by_tpm, wrong = by_tpm;
	struct cof_keys *k = NULL;

	memcpy(digits, "48151623", 8);
	with_pin.data = digits;
	with_pin.len = 8;
	wrong.data = digits;
	wrong.len = 7;
	add_file();
	must_be(cof_keys_open_settled(s.io, id, &by_file, &k, &diag), 0);
	must_be(cof_keys_remove_opener(k, s.io, COF_OPENER_TPM2, 1, sw.socket, &diag), 0);
	must_be(cof_keys_add_opener(k, s.io, &with_pin, NULL, PCRS, NULL, &diag), 0);
	cof_keys_free(k);
	must_be(open_with(s.io, &with_pin), 0);
	must_be(open_with(s.io, &by_tpm), -EINVAL);
	must_be(open_with(s.io, &wrong), -EKEYREJECTED);
	ck_assert(strstr(diag.text, "wrong PIN: 1 of") != NULL);
	must_be(renew(s.io, &by_file), 0); /* the PIN is kept without being asked */
	must_be(open_with(s.io, &with_pin), 0);
	must_be(open_with(s.io, &by_tpm), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("seal-tpm");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 250);
	tcase_add_test(c, opens_and_renews);
	tcase_add_test(c, old_pair_is_dead);
	tcase_add_loop_test(c, power_cut, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(c, power_cut_twice);
	tcase_add_test(c, power_cut_before_the_increment);
	tcase_add_test(c, undecided_without_its_tpm);
	tcase_add_test(c, hostile_increment);
	tcase_add_test(c, pcrs_and_openers);
	tcase_add_test(c, pin);
	return swtpm_main("seal-tpm", c);
}
