/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seal's secret in a TPM: the power fails at each step of a mount, and of moving the secret into
 * the TPM and out of it; what is there mounts again, and no epoch is left out or used twice. Indices
 * removed, defined anew, another TPM. Each cut of the TPM; of the disk each third, with COFFER_LONG=1 each.
 * Skipped (77) without swtpm.
 */
#include <stdio.h>

#include "../../support/swtpm.h"
#include "../../support/tpm-proxy.h"
#include "fs/archive/keys-nv.h"
#include "support.h"

static struct store s;
static struct swtpm sw;
static struct tpm_proxy proxy;
static struct cof_diag diag;
static struct cof_opener_secret by_tpm, by_file;
static uint64_t file;
static const char content[] = "what has to be there";
static uint64_t more, size; /* another file, which grows */

#define PCRS (1u << 7)

static void cut_disk(void *user)
{
	(void)user;
	cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + 1);
}

static void must_be(int r, int expected)
{
	ck_assert_msg(r == expected, "%d, not %d: %s", r, expected, diag.text);
}

static void setup(void)
{
	uint32_t n = 0;

	swtpm_new(&sw);
	tpm_proxy_start(&proxy, sw.socket);
	proxy.on_cut = cut_disk;
	store_new(&s, STORE_SIM);
	by_file = s.secret;
	by_file.tpm = proxy.socket;
	by_tpm = (struct cof_opener_secret){.kind = COF_OPENER_TPM2, .tpm = proxy.socket};
	s.pcrs = PCRS;
	s.secret = by_tpm;
	must_be(store_init(&s, &diag), 0);
	must_be(cof_store_seal_add(s.io, &by_tpm, &by_file, 0, &n, &diag), 0);
	s.secret = by_file; /* quicker, and the TPM is needed all the same */
	store_open(&s);
	file = must_create(&s, AUDIT, "file", COF_KIND_FILE);
	must_write(&s, file, 0, content, sizeof(content));
	more = must_create(&s, AUDIT, "more", COF_KIND_FILE);
	size = 0;
	store_close(&s);
}

static void teardown(void)
{
	s.secret.tpm = NULL;
	if (s.archive)
		cof_archive_abandon(s.archive);
	s.archive = NULL;
	store_done(&s);
	tpm_proxy_stop(&proxy);
	swtpm_remove(&sw);
}

static void reboot(enum cof_sim_loss loss)
{
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, loss);
	must_be(cof_sim_open(s.sim, &s.io), 0);
	tpm_proxy_plan(&proxy, 0, false);
}

/* Which step of the disk is cut next: each third, beginning in each loop at another one. */
static unsigned step(unsigned at, int loop)
{
	if (getenv("COFFER_LONG") || !at)
		return at + 1;
	return at == 1 ? 2 + (unsigned)loop % 3 : at + 3;
}

static int try_mount(const struct cof_opener_secret *secret)
{
	struct cof_archive_params p = {
	    .io = s.io, .secret = secret, .index_dir = "", .no_threads = true};
	int r;

	diag.text[0] = '\0';
	r = cof_archive_open(&p, &s.archive, &s.opened, &diag);
	if (r < 0)
		s.archive = NULL;
	return r;
}

/* All of it holds under the auditor's secret. */
static void must_verify(void)
{
	struct cof_verified v = {0};
	struct cof_verify_params p = {.io = s.io,
				      .auditor_secret = s.auditor,
				      .auditor_archive_id = s.archive_id,
				      .threads = 1};

	must_be(cof_log_verify(&p, &v, &diag), 0);
	ck_assert_int_eq(v.verdict, COF_INTACT);
	ck_assert(v.seal_checked && v.seal_since == 0);
}

static void must_mount(void)
{
	must_be(try_mount(&by_file), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	must_hold(&s, file, content, sizeof(content));
	store_close(&s);
	ck_assert_int_eq(cof_io_exists(s.io, "keys/epoch"), 0);
}

static void abandon_mount(void)
{
	if (s.archive)
		cof_archive_abandon(s.archive);
	s.archive = NULL;
}

START_TEST(in_the_tpm)
{
	ck_assert_int_eq(cof_io_exists(s.io, "keys/epoch"), 0);
	must_be(try_mount(&by_tpm), 0);
	ck_assert(!s.opened.read_only);
	must_hold(&s, file, content, sizeof(content));
	store_close(&s);
	must_mount();
	must_verify();
}
END_TEST

/* Every operation on the disk fails once, and the power with it. */
START_TEST(power_cut_disk)
{
	for (unsigned at = step(0, _i);; at = step(at, _i)) {
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		if (try_mount(&by_file) == 0 && !s.opened.read_only) {
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + 1);
			abandon_mount();
			reboot(_i);
			must_mount();
			ck_assert_uint_gt(at, 8);
			break;
		}
		abandon_mount();
		reboot(_i);
		must_mount();
	}
	must_verify();
}
END_TEST

/* Before and after every command that changes the TPM. */
START_TEST(power_cut_tpm)
{
	unsigned n = 0;

	for (;;) {
		int r;

		tpm_proxy_plan(&proxy, ++n, _i & 1);
		r = try_mount(&by_file);
		if (r == 0)
			store_close(&s);
		if (!atomic_load(&proxy.dead))
			break;
		abandon_mount();
		if (_i & 2 || n % 2 == 0) /* what was cut off keeps its place in the TPM until then */
			swtpm_reset(&sw);
		reboot(COF_SIM_LOSE);
		must_mount();
	}
	ck_assert_uint_gt(n, 1);
	must_verify();
}
END_TEST

/* ---- mixing ---- */

/* A mount that mixes with each tick, and has something to mix. */
static void mount_mixing(void)
{
	struct cof_archive_params p = {.io = s.io, .secret = &by_file, .index_dir = "", .no_threads = true,
				       .seal_interval = 1, .anchor_interval = 3600 * COF_NSEC};

	must_be(cof_archive_open(&p, &s.archive, &s.opened, &diag), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	must_write(&s, more, size, "x", 1);
	size++;
}

static uint64_t mixings(uint64_t *ret_writes, bool *ret_error)
{
	struct cof_json *o = cof_json_object();
	int64_t n = 0, writes = 0;

	must_be(cof_archive_status(s.archive, o), 0);
	must_be(cof_json_int(cof_json_get(o, "mixed"), "mixings", &n), 0);
	(void)cof_json_int(cof_json_get(o, "anchor"), "nv_writes", &writes);
	*ret_error = cof_json_str(cof_json_get(o, "mixed"), "error") != NULL;
	*ret_writes = (uint64_t)writes;
	cof_json_free(o);
	return (uint64_t)n;
}

START_TEST(mixed_when_frames_came)
{
	uint64_t before, after;
	bool error;

	mount_mixing();
	ck_assert_uint_eq(mixings(&before, &error), 0);
	for (int i = 0; i < 3; i++)
		cof_archive_tick(s.archive);
	ck_assert_uint_eq(mixings(&after, &error), 1);
	ck_assert_uint_eq(after, before + 1);
	must_write(&s, more, size++, "x", 1);
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(mixings(&after, &error), 2);
	ck_assert(!error);
	abandon_mount();
	must_mount();
	must_verify();
}
END_TEST

/* At each step of a mixing, of the disk and of the TPM; then mounted again, and the same once more. */
START_TEST(power_cut_mixing)
{
	bool tpm = _i & 1;
	uint64_t planned = 0;
	unsigned at = 1;

	for (;; at = tpm ? at + 1 : step(at, _i)) {
		mount_mixing();
		planned = cof_sim_ops(s.sim) + at;
		if (tpm)
			tpm_proxy_plan(&proxy, at, _i & 2);
		else
			cof_sim_plan(s.sim, COF_SIM_CRASH, planned);
		cof_archive_tick(s.archive);
		if (tpm ? !atomic_load(&proxy.dead) : cof_sim_ops(s.sim) < planned)
			break;
		abandon_mount();
		if (tpm)
			swtpm_reset(&sw);
		reboot(COF_SIM_LOSE);
		must_mount();
	}
	ck_assert_uint_gt(at, tpm ? 1 : 5);
	abandon_mount();
	reboot(COF_SIM_LOSE);
	must_mount();
	must_verify();
}
END_TEST

/* The TPM does not answer, and comes back: said, and mixed then, from where it is. */
START_TEST(mixed_late)
{
	uint64_t writes;
	bool error;

	for (int after = 0; after < 2; after++) {
		mount_mixing();
		tpm_proxy_plan(&proxy, 1, after);
		proxy.on_cut = NULL;
		cof_archive_tick(s.archive);
		ck_assert_uint_eq(mixings(&writes, &error), 0);
		ck_assert(error);
		proxy.on_cut = cut_disk;
		tpm_proxy_plan(&proxy, 0, false);
		for (int i = 0; i < 3; i++) {
			must_write(&s, more, size++, "x", 1);
			cof_archive_tick(s.archive);
		}
		ck_assert_uint_ge(mixings(&writes, &error), 2);
		ck_assert(!error);
		abandon_mount();
		must_mount();
	}
	must_verify();
}
END_TEST

/* Moving in and out: cut at each step of disk and TPM, then finished or done again. */
static int move_out(void)
{
	return cof_store_seal_remove(s.io, &by_file, COF_OPENER_TPM2, 1, &diag);
}

static int move_in(void)
{
	uint32_t n = 0;

	return cof_store_seal_add(s.io, &by_file, &by_tpm, PCRS, &n, &diag);
}

static bool has_tpm(void)
{
	struct cof_json *all = cof_json_array();
	bool has = false;

	must_be(cof_store_seal_show(s.io, all, &diag), 0);
	for (size_t i = 0; i < cof_json_count(all); i++)
		has |= !strcmp(cof_json_str(cof_json_at(all, i), "kind"), "tpm2");
	cof_json_free(all);
	return has;
}

/* Whatever was cut: it mounts, and the same can be asked for until it is done. */
static void must_go_on(int (*move)(void), bool want)
{
	int r;

	must_be(try_mount(&by_file), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	store_close(&s);
	r = move();
	if (r == -EEXIST && want && !has_tpm()) { /* its place in the top is taken, its file is not there */
		must_be(move_out(), 0);
		r = move();
	}
	ck_assert_msg(r == 0 || (r == -EEXIST && want) || (r == -ENOENT && !want), "%d: %s", r, diag.text);
	ck_assert(has_tpm() == want);
	must_be(try_mount(&by_file), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	store_close(&s);
	ck_assert_int_eq(cof_io_exists(s.io, "keys/epoch"), !want);
}

START_TEST(power_cut_moving)
{
	bool tpm = _i & 1, out = _i & 2;

	for (unsigned at = step(0, _i);; at = tpm ? at + 1 : step(at, _i)) {
		int r;

		if (has_tpm() != out)
			must_be(out ? move_in() : move_out(), 0);
		if (tpm)
			tpm_proxy_plan(&proxy, at, at & 1);
		else
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = out ? move_out() : move_in();
		if (tpm ? !atomic_load(&proxy.dead) : r == 0) {
			cof_sim_plan(s.sim, COF_SIM_CRASH, 0);
			reboot(COF_SIM_KEEP);
			ck_assert_uint_gt(at, 2);
			break;
		}
		swtpm_reset(&sw);
		reboot(COF_SIM_LOSE);
		must_go_on(out ? move_out : move_in, !out);
	}
	must_verify();
}
END_TEST

static void nv_of(struct cof_keys_nv *ret)
{
	struct cof_keys *k = NULL;

	must_be(cof_keys_open(s.io, s.archive_id, &by_file, &k, &diag), 0);
	*ret = k->nv;
	cof_keys_free(k);
}

static void must_be_read_only(const char *says)
{
	must_be(try_mount(&by_file), 0);
	ck_assert(s.opened.read_only);
	ck_assert_msg(strstr(s.opened.text, says) != NULL, "%s", s.opened.text);
	must_hold(&s, file, content, sizeof(content));
	ck_assert_int_eq(do_write(&s, file, sizeof(content), "x", 1), -EROFS);
	store_close(&s);
}

START_TEST(index_removed)
{
	struct cof_keys_nv nv;
	char command[160];

	nv_of(&nv);
	snprintf(command, sizeof(command), "nvundefine 0x%08x", nv.seal);
	swtpm_tool(&sw, command);
	must_be_read_only("no NV index");
	/* and another in its place, of the same form */
	snprintf(command, sizeof(command), "nvdefine 0x%08x -s 60 -a 'authread|authwrite|no_da'", nv.seal);
	swtpm_tool(&sw, command);
	must_be_read_only("coffer seal new-lineage");
	snprintf(command, sizeof(command), "nvundefine 0x%08x", nv.seal);
	swtpm_tool(&sw, command);
	snprintf(command, sizeof(command), "nvdefine 0x%08x -s 32 -a 'authread|authwrite|no_da'", nv.seal);
	swtpm_tool(&sw, command);
	must_be_read_only("not what was defined");
}
END_TEST

/* The TPM's state of before this mount is put back under it: its secret is of another epoch, and nothing is written over it,
 * or the chain's own epoch would be lost. Said; what is written goes on; the next mount says that the state is old. */
START_TEST(rolled_back_under_a_mount)
{
	char command[256];
	uint64_t writes;
	bool error;

	swtpm_stop(&sw);
	snprintf(command, sizeof(command), "cp %s/tpm2-00.permall %s/old", sw.dir, sw.dir);
	must_be(system(command), 0);
	swtpm_start(&sw);
	mount_mixing();
	swtpm_stop(&sw);
	snprintf(command, sizeof(command), "cp %s/old %s/tpm2-00.permall", sw.dir, sw.dir);
	must_be(system(command), 0);
	swtpm_start(&sw);
	for (int i = 0; i < 2; i++) {
		must_write(&s, more, size++, "x", 1);
		cof_archive_tick(s.archive);
	}
	ck_assert_uint_eq(mixings(&writes, &error), 0);
	ck_assert(error);
	abandon_mount();
	must_be_read_only("an old copy");
}
END_TEST

START_TEST(another_tpm)
{
	struct swtpm second;

	swtpm_new(&second);
	by_file.tpm = second.socket;
	must_be_read_only("no NV index");
	by_file.tpm = proxy.socket;
	swtpm_remove(&second);
	swtpm_tool(&sw, "clear -c p");
	must_be_read_only("no NV index");
}
END_TEST

/* It may be back in a moment: nothing is decided. To be read it is open. */
START_TEST(tpm_gone)
{
	struct cof_archive_params p = {
	    .io = s.io, .secret = &by_file, .index_dir = "", .no_threads = true, .read_only = true};

	swtpm_stop(&sw);
	must_be(try_mount(&by_file), -ENODEV);
	ck_assert(strstr(diag.text, "-o ro") && strstr(diag.text, "--without-tpm"));
	must_be(cof_archive_open(&p, &s.archive, &s.opened, &diag), 0);
	ck_assert(s.opened.read_only);
	must_hold(&s, file, content, sizeof(content));
	store_close(&s);
	swtpm_start(&sw);
	must_mount();
	must_verify();
}
END_TEST

static int begin_anew(bool without)
{
	struct cof_new_lineage done = {0};

	diag.text[0] = '\0';
	return cof_store_seal_lineage(s.io, &by_file, without, &done, &diag);
}

struct told {
	unsigned records;
	uint32_t lineage;
};

static int tell(void *user, struct cof_json *entry)
{
	const char *type = cof_json_str(entry, "type"), *reason = cof_json_str(entry, "reason");
	struct told *t = user;
	int64_t lineage;

	t->records += type && !strcmp(type, "recovery") && reason && strstr(reason, "begun anew");
	if (type && !strcmp(type, "mount") && cof_json_int(entry, "lineage", &lineage) == 0)
		t->lineage = (uint32_t)lineage;
	return 0;
}

static struct told told(void)
{
	struct told t = {0};
	uint64_t next;

	must_be(cof_store_show_log(s.io, &by_file, 0, tell, &t, &next, &diag), 0);
	return t;
}

static void remove_index(void)
{
	struct cof_keys_nv nv;
	char command[160];

	nv_of(&nv);
	snprintf(command, sizeof(command), "nvundefine 0x%08x", nv.seal);
	swtpm_tool(&sw, command);
}

START_TEST(begun_anew)
{
	remove_index();
	must_be(begin_anew(false), 0);
	must_mount();
	ck_assert_uint_eq(told().records, 1);
	ck_assert_uint_eq(told().lineage, 2);
	must_mount();
	ck_assert_uint_eq(told().records, 1);
	must_be(try_mount(&by_tpm), 0); /* the other opener as before */
	store_close(&s);
	/* and the TPM gone for good */
	swtpm_stop(&sw);
	must_be(begin_anew(false), -ENODEV);
	must_be(begin_anew(true), 0);
	must_be(try_mount(&by_file), 0);
	ck_assert(!s.opened.read_only);
	store_close(&s);
	ck_assert_int_eq(cof_io_exists(s.io, "keys/epoch"), 1);
	ck_assert_uint_eq(told().records, 2);
	ck_assert_uint_eq(told().lineage, 3);
	must_be(cof_store_seal_remove(s.io, &by_file, COF_OPENER_TPM2, 1, &diag), 0);
	swtpm_start(&sw);
	must_be(move_in(), 0);
	must_mount();
}
END_TEST

/* A renewal cut at this step. 1: only the TPM can say whether it is in force */
static int cut_renewal(uint64_t at)
{
	struct cof_renewal renewal = {.tpm = proxy.socket};

	cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
	if (cof_store_seal_renew(s.io, &by_file, &renewal, &diag) == 0)
		return 0;
	reboot(COF_SIM_KEEP);
	return cof_io_exists(s.io, "keys/top.next") == 1 && cof_io_exists(s.io, "seal/tpm2-1.next") == 1 ? 1 : -1;
}

static void settle(void)
{
	struct cof_keys *k = NULL;

	must_be(cof_keys_open_settled(s.io, s.archive_id, &by_file, &k, &diag), 0);
	cof_keys_free(k);
}

/* In force by the counter, and the TPM gone: who begins anew without it has decided, also when it comes back. */
START_TEST(begun_anew_over_a_renewal)
{
	uint64_t last = 0;
	int r;

	for (uint64_t at = 1; (r = cut_renewal(at)) != 0; at++) {
		if (r > 0)
			last = at;
		settle();
	}
	reboot(COF_SIM_KEEP); /* the cut that did not come */
	for (; cut_renewal(last) < 0; last--)
		settle();
	swtpm_stop(&sw);
	must_be(cof_store_seal_remove(s.io, &by_file, COF_OPENER_TPM2, 1, &diag), -EAGAIN);
	ck_assert(strstr(diag.text, "--without-tpm"));
	must_be(begin_anew(true), 0);
	must_be(try_mount(&by_file), 0);
	ck_assert(!s.opened.read_only);
	store_close(&s);
	swtpm_start(&sw);
	must_be(try_mount(&by_file), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	must_hold(&s, file, content, sizeof(content));
	store_close(&s);
	swtpm_stop(&sw);
	must_be(cof_store_seal_remove(s.io, &by_file, COF_OPENER_TPM2, 1, &diag), 0);
	swtpm_start(&sw);
}
END_TEST

/* Cut at each step, and begun again: it is on record in the end, as what it is. */
START_TEST(power_cut_anew)
{
	bool tpm = _i & 1, without = _i & 2;

	remove_index();
	for (unsigned at = step(0, _i);; at = tpm ? at + 1 : step(at, _i)) {
		unsigned before = told().records;
		int r;

		if (tpm)
			tpm_proxy_plan(&proxy, at, at & 1);
		else
			cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = begin_anew(without);
		if (r == 0) {
			cof_sim_plan(s.sim, COF_SIM_CRASH, 0);
			reboot(COF_SIM_KEEP);
			break;
		}
		swtpm_reset(&sw);
		reboot(COF_SIM_LOSE);
		must_be(try_mount(&by_file), 0); /* in force, or to be read */
		if (!s.opened.read_only) {
			store_close(&s);
			ck_assert_uint_eq(told().records, before + 1);
			if (cof_io_exists(s.io, "keys/epoch") == 0)
				remove_index();
		} else {
			store_close(&s);
			ck_assert_uint_eq(told().records, before);
		}
	}
	must_be(try_mount(&by_file), 0);
	ck_assert(!s.opened.read_only);
	store_close(&s);
	ck_assert_uint_gt(told().records, 0);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("seal-nv");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, in_the_tpm);
	tcase_add_loop_test(c, power_cut_disk, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_loop_test(c, power_cut_tpm, 0, 4);
	tcase_add_test(c, mixed_when_frames_came);
	tcase_add_loop_test(c, power_cut_mixing, 1, 4);
	tcase_add_test(c, mixed_late);
	tcase_add_loop_test(c, power_cut_moving, 0, 4);
	tcase_add_test(c, index_removed);
	tcase_add_test(c, rolled_back_under_a_mount);
	tcase_add_test(c, another_tpm);
	tcase_add_test(c, tpm_gone);
	tcase_add_test(c, begun_anew);
		tcase_add_test(c, begun_anew_over_a_renewal);
	tcase_add_loop_test(c, power_cut_anew, 0, 3);
	return swtpm_main("seal-nv", c);
}
