/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The anchor: a tail that was cut, an old copy that was put back, a power cut and a killed daemon are told
 * apart as far as a counter can. A simulated disk and a software TPM. Skipped (77) without swtpm.
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
static uint64_t file, length;
static char alarm_text[4096];
static int64_t interval;

static void must_be(int r, int expected)
{
	ck_assert_msg(r == expected, "%d, not %d: %s", r, expected, diag.text);
}

static void setup(void)
{
	uint32_t n = 0;

	swtpm_new(&sw);
	tpm_proxy_start(&proxy, sw.socket);
	store_new(&s, STORE_SIM);
	by_file = s.secret;
	by_file.tpm = proxy.socket;
	by_tpm = (struct cof_opener_secret){.kind = COF_OPENER_TPM2, .tpm = proxy.socket};
	s.pcrs = 1u << 7;
	s.secret = by_tpm;
	must_be(store_init(&s, &diag), 0);
	must_be(cof_store_seal_add(s.io, &by_tpm, &by_file, 0, &n, &diag), 0);
	s.secret = by_file;
	interval = 1;
	length = 0;
}

static void teardown(void)
{
	if (s.archive)
		cof_archive_abandon(s.archive);
	s.archive = NULL;
	store_done(&s);
	tpm_proxy_stop(&proxy);
	swtpm_remove(&sw);
}

static void on_alarm(void *user, const char *text)
{
	size_t n = strlen(alarm_text);

	(void)user;
	snprintf(alarm_text + n, sizeof(alarm_text) - n, "%s\n", text);
}

static int try_mount(void)
{
	struct cof_archive_params p = {.io = s.io,
				       .secret = &by_file,
				       .index_dir = "",
				       .alarm = on_alarm,
				       .anchor_interval = interval,
				       .no_threads = true};
	int r;

	diag.text[0] = alarm_text[0] = '\0';
	r = cof_archive_open(&p, &s.archive, &s.opened, &diag);
	if (r < 0)
		s.archive = NULL;
	return r;
}

static void must_mount(void)
{
	must_be(try_mount(), 0);
	ck_assert_msg(!s.opened.read_only, "%s", s.opened.text);
	if (!file)
		file = must_create(&s, AUDIT, "file", COF_KIND_FILE);
}

static void write_line(void)
{
	must_write(&s, file, length, "a line\n", 7);
	length += 7;
	cof_archive_tick(s.archive);
}

static void begin(void)
{
	file = 0;
	must_mount();
	write_line();
}

/* The power goes, or the daemon is killed: with the TPM on. */
static void killed(void)
{
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	cof_io_free(s.io);
	cof_sim_reboot(s.sim, COF_SIM_KEEP);
	must_be(cof_sim_open(s.sim, &s.io), 0);
}

/* What the disk had before is put back. */
static void put_back(struct cof_sim *old)
{
	if (s.archive)
		cof_archive_abandon(s.archive);
	s.archive = NULL;
	cof_io_free(s.io);
	cof_sim_free(s.sim);
	s.sim = old;
	cof_sim_reboot(s.sim, COF_SIM_KEEP);
	must_be(cof_sim_open(s.sim, &s.io), 0);
}

static void nv_of(struct cof_keys_nv *ret)
{
	struct cof_keys *k = NULL;

	must_be(cof_keys_open(s.io, s.archive_id, &by_file, &k, &diag), 0);
	*ret = k->nv;
	cof_keys_free(k);
}

static uint64_t counter(void)
{
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_keys_nv nv;
	uint64_t value = 0;

	nv_of(&nv);
	must_be(cof_tpm_open(sw.socket, &t, &diag), 0);
	must_be(cof_tpm_counter_read(t, nv.anchor, COF_TPM_ORDERLY, &value, &diag), 0);
	return value;
}

static void must_be_read_only(const char *says)
{
	must_be(try_mount(), 0);
	ck_assert(s.opened.read_only);
	ck_assert_msg(strstr(s.opened.text, says) != NULL, "%s", s.opened.text);
	ck_assert(strstr(alarm_text, says) != NULL);
	ck_assert_int_eq(do_write(&s, file, 0, "x", 1), -EROFS);
	store_close(&s);
}

static void on_finding(void *user, const struct cof_finding *f)
{
	(void)user;
	(void)f;
}

static enum cof_verdict verify(struct cof_verified *ret)
{
	struct cof_verify_params p = {.io = s.io,
				      .auditor_secret = s.auditor,
				      .auditor_archive_id = s.archive_id,
				      .finding = on_finding,
				      .threads = 1};

	must_be(cof_log_verify(&p, ret, &diag), 0);
	return ret->verdict;
}

struct said {
	unsigned recoveries, with; /* with: so many that say of something unproven */
	int64_t unproven;	   /* of the last one; -1: it says nothing */
};

static int say(void *user, struct cof_json *entry)
{
	const char *type = cof_json_str(entry, "type");
	struct said *t = user;

	if (type && !strcmp(type, "recovery")) {
		t->recoveries++;
		t->unproven = -1;
		(void)cof_json_int(entry, "unproven", &t->unproven);
		t->with += t->unproven > 0;
	}
	return 0;
}

static struct said said(void)
{
	struct said t = {0};
	uint64_t next;

	must_be(cof_store_show_log(s.io, &by_file, 0, say, &t, &next, &diag), 0);
	return t;
}

START_TEST(judged)
{
	static const struct {
		uint64_t chain, counter;
		bool reset;
		enum cof_anchor_state state;
		uint64_t n;
	} rows[] = {
	    {7, 7, false, COF_ANCHOR_EQUAL, 0},	       {7, 7, true, COF_ANCHOR_EQUAL, 0},
	    {8, 7, false, COF_ANCHOR_NEXT, 1},	       {9, 7, false, COF_ANCHOR_WENT_BACK, 2},
	    {9, 7, true, COF_ANCHOR_WENT_BACK, 2},     {7, 8, false, COF_ANCHOR_TRUNCATED, 1},
	    {7, 8, true, COF_ANCHOR_UNPROVEN, 1},      {7, 262, true, COF_ANCHOR_UNPROVEN, 255},
	    {7, 263, true, COF_ANCHOR_TRUNCATED, 256}, {0, UINT64_MAX, true, COF_ANCHOR_TRUNCATED, UINT64_MAX},
	};

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		uint64_t n = 99;

		ck_assert_int_eq(cof_anchor_judge(rows[i].chain, rows[i].counter, rows[i].reset, &n),
				 rows[i].state);
		ck_assert_uint_eq(n, rows[i].n);
	}
}
END_TEST

/* Closed: the log names the counter's value, and nothing is left to be raised. */
START_TEST(closed)
{
	struct cof_verified v = {0};
	uint64_t before;

	begin();
	before = counter();
	write_line();
	ck_assert_uint_eq(counter(), before + 1);
	store_close(&s);
	ck_assert_uint_eq(counter(), before + 2);
	ck_assert_int_eq(verify(&v), COF_INTACT);
	ck_assert(v.anchored.there);
	ck_assert_uint_eq(v.anchored.value, before + 2);
	must_mount();
	store_close(&s);
	ck_assert_uint_eq(said().recoveries, 0);
}
END_TEST

/* Not more often than the interval says: checkpoints in between repeat the value. */
START_TEST(within_the_interval)
{
	uint64_t first;

	interval = 3600 * COF_NSEC;
	begin();
	first = counter(); /* the first one of a mount is anchored at once */
	for (int i = 0; i < 3; i++)
		write_line();
	ck_assert_uint_eq(counter(), first);
	killed();
	must_mount();
	ck_assert_uint_eq(s.opened.unproven, 0);
	ck_assert_uint_eq(counter(), first);
	write_line();
	ck_assert_uint_eq(counter(), first + 1);
	store_close(&s); /* the last one has a value of its own, however soon it comes */
	ck_assert_uint_eq(counter(), first + 2);
	ck_assert_int_eq(said().unproven, 0);
}
END_TEST

/* Ticks until the counter has this value, and at most half a minute. */
static void tick_until(uint64_t value)
{
	int64_t end = cof_now(CLOCK_MONOTONIC) + 30 * COF_NSEC;

	while (counter() != value && cof_now(CLOCK_MONOTONIC) < end)
		cof_archive_tick(s.archive);
	ck_assert_uint_eq(counter(), value);
}

/* What came within the interval gets a value of its own when the interval is over, though nothing is written any more:
 * else the end of a burst could be cut off unseen for as long as there is silence. And then there is silence. */
START_TEST(tail_before_silence)
{
	int64_t begun = cof_now(CLOCK_MONOTONIC);
	struct cof_sim *old;
	uint64_t first;

	interval = COF_NSEC;
	begin();
	first = counter();
	old = cof_sim_clone(s.sim);
	write_line();
	if (counter() != first) /* a machine that is so slow that the interval was over already */
		ck_assert(cof_now(CLOCK_MONOTONIC) - begun >= interval);
	tick_until(first + 1);
	begun = cof_now(CLOCK_MONOTONIC);
	while (cof_now(CLOCK_MONOTONIC) - begun <= interval)
		cof_archive_tick(s.archive);
	ck_assert_uint_eq(counter(), first + 1);
	put_back(old);
	must_be_read_only("at least 1 later checkpoints are missing");
}
END_TEST

/* The counter is raised behind what is durable: whatever the disk forgets, the log is not behind it. */
START_TEST(raised_when_durable)
{
	begin();
	for (int i = 0; i < 3; i++) {
		uint64_t before = counter();

		write_line();
		ck_assert_uint_eq(counter(), before + 1);
		cof_archive_abandon(s.archive);
		s.archive = NULL;
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, COF_SIM_LOSE);
		must_be(cof_sim_open(s.sim, &s.io), 0);
		must_mount();
		ck_assert_uint_eq(s.opened.unproven, 0);
	}
	store_close(&s);
}
END_TEST

/* The daemon killed, and the tail cut to an earlier checkpoint: the TPM was not reset, so nothing excuses it. */
START_TEST(tail_cut)
{
	struct cof_sim *old;
	struct cof_new_lineage done;

	begin();
	write_line();
	old = cof_sim_clone(s.sim);
	write_line();
	write_line();
	put_back(old);
	must_be_read_only("at least 2 later checkpoints are missing");
	must_be_read_only("coffer seal new-lineage"); /* and it stays so */
	must_be(cof_store_seal_lineage(s.io, &by_file, false, &done, &diag), 0);
	length = 14;
	must_mount();
	write_line();
	store_close(&s);
	must_mount();
	store_close(&s);
}
END_TEST

/* The same, and the machine's power with it: as a power cut leaves it, reported and on record. */
START_TEST(tail_cut_and_power)
{
	struct cof_verified v = {0};
	struct cof_sim *old;
	uint64_t value, n;

	begin();
	write_line();
	old = cof_sim_clone(s.sim);
	write_line();
	write_line();
	value = counter();
	put_back(old);
	swtpm_reset(&sw);
	length = 14;
	must_mount();
	n = s.opened.unproven;
	ck_assert_uint_ge(n, 2);
	ck_assert_uint_eq(counter() | 255, counter());
	ck_assert_uint_eq(counter() - n, value - 2);
	ck_assert(strstr(s.opened.text, "unproven") != NULL);
	write_line();
	store_close(&s);
	ck_assert_uint_eq(said().recoveries, 1);
	ck_assert_int_eq(said().unproven, (int64_t)n);
	must_mount();
	ck_assert_uint_eq(s.opened.unproven, 0);
	store_close(&s);
	ck_assert_uint_eq(said().recoveries, 1);
	ck_assert_int_eq(verify(&v), COF_INTACT);
}
END_TEST

/* A true power cut: the tail is there as far as it was durable, whatever the counter did. */
START_TEST(power_cut)
{
	begin();
	write_line();
	killed();
	swtpm_reset(&sw);
	must_mount();
	ck_assert_uint_le(s.opened.unproven, 255);
	write_line();
	store_close(&s);
	swtpm_reset(&sw); /* closed, and then power lost */
	must_mount();
	write_line();
	store_close(&s);
}
END_TEST

/* More than a block is no power cut. */
START_TEST(beyond_a_block)
{
	struct cof_keys_nv nv;
	char command[64];

	begin();
	store_close(&s);
	swtpm_reset(&sw);
	swtpm_tool(&sw, "startup -c");
	nv_of(&nv);
	snprintf(command, sizeof(command), "nvincrement 0x%08x", nv.anchor);
	for (int i = 0; i < 8; i++)
		swtpm_tool(&sw, command);
	must_be_read_only("Truncated");
}
END_TEST

/* A mount that was cut before its RECOVERY frame: the next one finds and records the same. */
START_TEST(unproven_over_a_cut)
{
	begin();
	store_close(&s);
	for (uint64_t at = 1;; at++) {
		unsigned before = said().with;
		struct cof_sim *old;
		bool through;

		must_mount();
		write_line();
		old = cof_sim_clone(s.sim);
		write_line();
		length -= 7;
		put_back(old);
		swtpm_reset(&sw);
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		through = try_mount() == 0 && !s.opened.read_only;
		if (s.archive)
			cof_archive_abandon(s.archive);
		s.archive = NULL;
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, COF_SIM_LOSE);
		must_be(cof_sim_open(s.sim, &s.io), 0);
		must_mount();
		store_close(&s);
		ck_assert_uint_gt(said().with, before);
		if (through) {
			ck_assert_uint_gt(at, 8);
			break;
		}
	}
}
END_TEST

/* All of an old store: the TPM is at another epoch. */
START_TEST(old_store)
{
	struct cof_sim *old;

	begin();
	store_close(&s);
	old = cof_sim_clone(s.sim);
	must_mount();
	write_line();
	store_close(&s);
	put_back(old);
	must_be_read_only("an old copy of the log was put back");
}
END_TEST

START_TEST(index_gone_or_foreign)
{
	struct cof_keys_nv nv;
	char command[160];

	begin();
	store_close(&s);
	nv_of(&nv);
	snprintf(command, sizeof(command), "nvundefine 0x%08x", nv.anchor);
	swtpm_tool(&sw, command);
	must_be_read_only("no NV index");
	snprintf(command, sizeof(command), "nvdefine 0x%08x -s 8 -a 'authread|authwrite|ownerread|ownerwrite|no_da'",
		 nv.anchor);
	swtpm_tool(&sw, command);
	must_be_read_only("not what was defined");
	/* a true counter in its place starts above all there were */
	snprintf(command, sizeof(command), "nvundefine 0x%08x", nv.anchor);
	swtpm_tool(&sw, command);
	snprintf(command, sizeof(command),
		 "nvdefine 0x%08x -s 8 -a 'nt=1|authread|authwrite|ownerread|ownerwrite|no_da|orderly'", nv.anchor);
	swtpm_tool(&sw, command);
	snprintf(command, sizeof(command), "nvincrement 0x%08x", nv.anchor);
	swtpm_tool(&sw, command);
	must_be_read_only("Truncated");
}
END_TEST

/* The TPM goes and comes while the archive is mounted: it runs on, says so, and is anchored again. */
START_TEST(gone_and_back)
{
	begin();
	swtpm_stop(&sw);
	write_line();
	ck_assert_msg(strstr(alarm_text, "The anchor cannot be raised") != NULL, "%s", alarm_text);
	alarm_text[0] = '\0';
	write_line();
	ck_assert_str_eq(alarm_text, ""); /* said once */
	swtpm_start(&sw);
	write_line();
	ck_assert_msg(strstr(alarm_text, "was reset while the archive was mounted") != NULL, "%s", alarm_text);
	write_line();
	store_close(&s);
	must_mount();
	ck_assert_uint_eq(s.opened.unproven, 0);
	store_close(&s);
}
END_TEST

/* A reset under the mount excuses nothing that is cut off behind the raises that came after it. */
START_TEST(tail_cut_after_a_reset)
{
	struct cof_sim *old;

	begin();
	swtpm_stop(&sw);
	swtpm_start(&sw);
	for (int i = 0; i < 3; i++)
		write_line();
	old = cof_sim_clone(s.sim);
	write_line();
	write_line();
	put_back(old);
	must_be_read_only("at least 2 later checkpoints are missing");
}
END_TEST

START_TEST(raised_by_another)
{
	struct cof_keys_nv nv;
	char command[64];

	begin();
	nv_of(&nv);
	snprintf(command, sizeof(command), "nvincrement 0x%08x", nv.anchor);
	for (int i = 0; i < 3; i++)
		swtpm_tool(&sw, command);
	write_line();
	ck_assert_msg(strstr(alarm_text, "Somebody else raised") != NULL, "%s", alarm_text);
	if (_i) /* the chain names the new value even where nothing is written any more */
		cof_archive_tick(s.archive);
	else
		write_line();
	killed();
	must_mount();
	ck_assert_uint_eq(s.opened.unproven, 0);
	store_close(&s);
}
END_TEST

/* The power fails before the counter is raised, or right after. */
START_TEST(cut_at_the_raise)
{
	uint64_t before;

	begin();
	before = counter();
	tpm_proxy_plan(&proxy, 1, _i);
	write_line();
	ck_assert(atomic_load(&proxy.dead));
	killed();
	tpm_proxy_plan(&proxy, 0, false);
	must_mount();
	ck_assert_uint_eq(counter(), before + 1); /* what the log names already */
	ck_assert_uint_eq(s.opened.unproven, 0);
	store_close(&s);
	must_mount();
	store_close(&s);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("anchor");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, judged);
	tcase_add_test(c, closed);
	tcase_add_test(c, within_the_interval);
	tcase_add_test(c, tail_before_silence);
	tcase_add_test(c, raised_when_durable);
	tcase_add_test(c, tail_cut);
	tcase_add_test(c, tail_cut_and_power);
	tcase_add_test(c, power_cut);
	tcase_add_test(c, beyond_a_block);
	tcase_add_test(c, unproven_over_a_cut);
	tcase_add_test(c, old_store);
	tcase_add_test(c, index_gone_or_foreign);
	tcase_add_test(c, gone_and_back);
	tcase_add_test(c, tail_cut_after_a_reset);
	tcase_add_loop_test(c, raised_by_another, 0, 2);
	tcase_add_loop_test(c, cut_at_the_raise, 0, 2);
	return swtpm_main("anchor", c);
}
