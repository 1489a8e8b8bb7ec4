/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock on an archive's door: three wrong passphrases, counted whatever happens to the disk and whoever
 * tries at the same time; and what happened to openers, on record with the next mount, whatever happens then.
 */
#include <pthread.h>
#include <stdio.h>

#include "fs/archive/door.h"
#include "fs/archive/keys.h"
#include "support.h"

static const struct cof_argon2_cost cheap = {64, 1, 1};
static const uint8_t id[16] = {0x1d, 0x0e};
static struct store s;
static struct cof_diag diag;
static char *words; /* secure: "right", "wrong" */
static struct cof_opener_secret right, wrong;

static void begin(enum store_kind kind)
{
	uint8_t public_key[32];
	struct cof_keys *k = NULL;

	store_new(&s, kind);
	words = cof_secret_alloc(16);
	memcpy(words, "rightwrong", 10);
	right = (struct cof_opener_secret){COF_OPENER_PASSPHRASE, words, 5};
	wrong = (struct cof_opener_secret){COF_OPENER_PASSPHRASE, words + 5, 5};
	ck_assert_int_eq(cof_io_mkdir(s.io, "keys"), 0);
	ck_assert_int_eq(cof_io_mkdir(s.io, "seal"), 0);
	ck_assert_int_eq(cof_io_sync_dir(s.io, ""), 0);
	ck_assert_int_eq(cof_keys_make(s.io, id, &right, &cheap, 0, NULL, public_key, &k, &diag), 0);
	ck_assert_int_eq(cof_keys_add_opener(k, s.io, &s.secret, NULL, 0, NULL, &diag), 0);
	cof_keys_free(k);
}

static void setup(void)
{
	begin(STORE_SIM);
}

static void setup_plain(void)
{
	begin(STORE_PLAIN);
}

static void teardown(void)
{
	cof_secret_free(words);
	store_done(&s);
}

static int try_in(struct cof_io *io, const struct cof_opener_secret *secret, struct cof_diag *said)
{
	struct cof_keys *k = NULL;
	int r = cof_keys_open(io, id, secret, &k, said);

	cof_keys_free(k);
	return r;
}

static int try_with(const struct cof_opener_secret *secret)
{
	diag.text[0] = '\0';
	return try_in(s.io, secret, &diag);
}

static void said(const char *word)
{
	ck_assert_msg(strstr(diag.text, word) != NULL, "no '%s' in: %s", word, diag.text);
}

/* As the next one who tries sees it: a try that nobody judged counts. */
static uint32_t counted(void)
{
	struct cof_door d;
	int r = cof_door_read(s.io, id, &d);

	ck_assert(r == 0 || r == -ENOENT);
	return d.failures + d.trying;
}

START_TEST(three_lock)
{
	ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	said("after 2 more wrong ones");
	ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	said("after 1 more wrong one in a row");
	ck_assert_int_eq(try_with(&right), 0);
	ck_assert_uint_eq(counted(), 0);
	for (int i = 0; i < COF_DOOR_TRIES; i++)
		ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	said("locked for passphrases and PINs now");
	ck_assert_int_eq(try_with(&right), -EACCES);
	said("coffer unlock");
	ck_assert_int_eq(try_with(&s.secret), 0); /* the key file */
	ck_assert_int_eq(try_with(&right), -EACCES);
	ck_assert_int_eq(cof_door_lift(s.io, id, COF_HOW_OPENER, COF_OPENER_FILE, &diag), 1);
	ck_assert_int_eq(try_with(&right), 0);
	ck_assert_int_eq(cof_door_lift(s.io, id, COF_HOW_OPENER, COF_OPENER_FILE, &diag), 0);
}
END_TEST

/* A wrong key file cannot be a guess, a missing top is nobody's fault; too short a one is never tried. */
START_TEST(what_counts)
{
	uint8_t *key = s.key;

	key[0] ^= 1;
	ck_assert_int_eq(try_with(&s.secret), -EKEYREJECTED);
	key[0] ^= 1;
	right.len = 0;
	ck_assert_int_eq(try_with(&right), -EKEYREJECTED);
	right.len = 5;
	ck_assert_int_eq(cof_io_rename(s.io, "keys/top", "keys/away"), 0);
	ck_assert_int_eq(try_with(&right), -ENOENT);
	ck_assert_uint_eq(counted(), 0);
	ck_assert_int_eq(cof_io_rename(s.io, "keys/away", "keys/top"), 0);
	ck_assert_int_eq(try_with(&right), 0);
}
END_TEST

/* Power fails at each operation of a try: who was told "wrong" has used it up. */
START_TEST(cut_at_each_step)
{
	bool judged = false;

	for (uint64_t at = 1; at < 40; at++) {
		int r;

		ck_assert_int_eq(try_with(&right), 0);
		ck_assert_uint_eq(counted(), 0);
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = try_with(&wrong);
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, _i);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		if (r == -EKEYREJECTED)
			ck_assert_msg(counted() >= 1, "a try for nothing at operation %u", (unsigned)at);
		judged |= r == -EKEYREJECTED;
		if (at > 20 && r == -EKEYREJECTED)
			return;
	}
	ck_assert(judged);
}
END_TEST

START_TEST(full_disk)
{
	uint64_t at = cof_sim_ops(s.sim);

	for (int i = 0; i < COF_DOOR_TRIES; i++)
		ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	cof_sim_limit(s.sim, 1); /* nothing can be written: a lock holds all the same */
	ck_assert_int_eq(try_with(&right), -EACCES);
	cof_sim_limit(s.sim, 0);
	ck_assert_int_eq(cof_door_lift(s.io, id, COF_HOW_OPENER, COF_OPENER_FILE, &diag), 1);
	cof_sim_limit(s.sim, 1); /* and what is there can be read */
	ck_assert_int_eq(try_with(&right), 0);
	cof_sim_limit(s.sim, 0);
	/* a disk that fails otherwise: nothing is tried that is not counted */
	cof_sim_plan(s.sim, COF_SIM_EIO, cof_sim_ops(s.sim) + 1);
	ck_assert_int_eq(try_with(&right), -EIO);
	said("not counted");
	ck_assert_uint_gt(cof_sim_ops(s.sim), at);
}
END_TEST

/* Whoever ends the program before it judged has used up a try. */
START_TEST(ended_before_it_was_judged)
{
	struct cof_door d;

	for (int i = 0; i < COF_DOOR_TRIES; i++) {
		ck_assert_int_eq(cof_door_begin(s.io, id, COF_OPENER_PASSPHRASE, false, &d, &diag), 0);
		cof_door_release(&d);
	}
	ck_assert_int_eq(try_with(&right), -EACCES);
	said("is locked");
	ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0);
	ck_assert_uint_eq(d.failures, COF_DOOR_TRIES);
	cof_door_release(&d);
	ck_assert_int_eq(cof_door_lift(s.io, id, COF_HOW_WAITED, COF_OPENER_PASSPHRASE, &diag), 1);
	ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0);
	ck_assert_uint_gt(d.events.n, 0);
	ck_assert_int_eq(d.events.event[d.events.n - 1].what, COF_OPENER_UNLOCKED); /* to be put on record */
	cof_door_release(&d);
}
END_TEST

START_TEST(waits_longer_each_time)
{
	struct cof_door d;

	for (int locking = 1; locking <= 9; locking++) {
		int64_t minutes = COF_MIN(15ll << (locking - 1), 24ll * 60);
		char text[32];

		for (int i = 0; locking == 1 && i < COF_DOOR_TRIES; i++)
			ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
		ck_assert_int_eq(cof_keys_try(s.io, id, &right, &diag), -EACCES);
		snprintf(text, sizeof(text), "in %lld minutes", (long long)minutes);
		said(text);
		/* its time comes */
		ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0);
		ck_assert_uint_eq(d.lockings, (unsigned)locking);
		d.locked -= minutes * 60 * COF_NSEC + 1;
		ck_assert_int_eq(cof_door_write(&d), 0);
		cof_door_release(&d);
		ck_assert_int_eq(try_with(&right), -EACCES); /* by coffer unlock only */
		ck_assert_int_eq(cof_keys_try(s.io, id, &wrong, &diag), -EKEYREJECTED);
	}
	ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0);
	d.locked = INT64_MAX; /* the wall clock was set back: as long as it was, and it ends */
	ck_assert_int_eq(cof_door_write(&d), 0);
	cof_door_release(&d);
	ck_assert_int_eq(cof_keys_try(s.io, id, &right, &diag), -EACCES);
	said("in 1440 minutes");
	ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0);
	d.locked = 1;
	ck_assert_int_eq(cof_door_write(&d), 0);
	cof_door_release(&d);
	ck_assert_int_eq(cof_keys_try(s.io, id, &right, &diag), 0);
	ck_assert_int_eq(cof_door_hold(s.io, id, &d), 0); /* killed now: locked as it was, and as often */
	ck_assert(d.locked && d.lockings > 9 && d.failures >= COF_DOOR_TRIES);
	cof_door_release(&d);
	ck_assert_int_eq(cof_door_lift(s.io, id, COF_HOW_WAITED, COF_OPENER_PASSPHRASE, &diag), 1);
	ck_assert_int_eq(try_with(&right), 0);
}
END_TEST

/* Whatever byte is another: empty, with a word about it, never locked, never a crash. */
START_TEST(damaged)
{
	const uint8_t *p = NULL;
	uint8_t copy[1024];
	size_t n = 0;
	struct cof_door d;

	for (int i = 0; i < COF_DOOR_TRIES; i++)
		ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	ck_assert_int_eq(cof_sim_peek(s.sim, COF_DOOR_FILE, &p, &n), 0);
	ck_assert_uint_le(n, sizeof(copy));
	memcpy(copy, p, n);
	ck_assert_int_eq(cof_door_load(id, copy, n, &d), 0);
	ck_assert_uint_eq(d.failures, COF_DOOR_TRIES);
	for (size_t i = 0; i < n; i++) {
		copy[i] ^= 1u << (i % 8);
		ck_assert_int_lt(cof_door_load(id, copy, n, &d), 0);
		ck_assert_int_lt(cof_door_load(id, copy, i, &d), 0);
		copy[i] ^= 1u << (i % 8);
	}
	ck_assert_int_eq(cof_door_load((const uint8_t[16]){1}, copy, n, &d), -EXDEV);
	copy[40] ^= 1;
	ck_assert_int_eq(cof_io_replace(s.io, COF_DOOR_FILE, copy, n), 0);
	ck_assert_int_eq(try_with(&wrong), -EKEYREJECTED);
	ck_assert_int_eq(cof_door_read(s.io, id, &d), 0);
	ck_assert_uint_eq(d.failures, 1);
	ck_assert_uint_eq(d.events.event[0].what, COF_OPENER_LOST);
}
END_TEST

/* ---- at the same time ---- */

static void *one_try(void *arg)
{
	struct cof_io *io = NULL;
	struct cof_diag mine = {""};
	int *r = arg;

	*r = cof_io_plain(s.dir, &io, &mine);
	if (*r == 0)
		*r = try_in(io, &wrong, &mine);
	cof_io_free(io);
	return NULL;
}

START_TEST(at_the_same_time)
{
	pthread_t threads[8];
	int result[8], judged = 0, refused = 0;

	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, one_try, &result[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		judged += result[i] == -EKEYREJECTED;
		refused += result[i] == -EACCES;
	}
	ck_assert_int_eq(judged, COF_DOOR_TRIES);
	ck_assert_int_eq(refused, 8 - COF_DOOR_TRIES);
}
END_TEST

/* ---- the list ---- */

START_TEST(bounded)
{
	struct cof_opener_events l = {.n = 0};
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct cof_opener_event e = {.what = (uint8_t)(i % 20),
					     .kind = (uint8_t)(i % 3),
					     .n = i,
					     .count = 1 + i % 2,
					     .first = 1000 - i,
					     .last = i};

		snprintf(e.command, sizeof(e.command), "program%u", i % 7);
		cof_opener_events_add(&l, &e);
		sum += e.count;
	}
	ck_assert_uint_eq(l.n, COF_OPENER_EVENTS);
	for (size_t i = 0; i < l.n; i++)
		sum -= l.event[i].count;
	ck_assert_uint_eq(sum, 0);
}
END_TEST

/* ---- on record ---- */

struct seen {
	unsigned added, failed, removed, renewed;
};

static int see(void *user, struct cof_json *entry)
{
	const char *event = cof_json_str(entry, "event");
	struct seen *seen = user;

	if (!event)
		return 0;
	seen->added += !strcmp(event, "opener-added");
	seen->removed += !strcmp(event, "opener-removed");
	seen->renewed += !strcmp(event, "seal-renewed");
	seen->failed += !strcmp(event, "opener-failed");
	return 0;
}

static struct seen look(struct cof_io *io)
{
	struct seen seen = {0};
	uint64_t next;

	ck_assert_int_eq(cof_store_show_log(io, &s.secret, 0, see, &seen, &next, &diag), 0);
	return seen;
}

/* A mount by which the power fails at each operation, and one after it: each event once or twice. */
START_TEST(recorded_over_power_cuts)
{
	const struct cof_renewal renewal = {.tpm = NULL};
	struct cof_sim *before;
	struct seen seen;
	uint32_t n = 0;

	teardown();
	store_new(&s, STORE_SIM);
	words = cof_secret_alloc(16);
	memcpy(words, "rightwrong", 10);
	ck_assert_int_eq(store_init(&s, &diag), 0);
	right = (struct cof_opener_secret){COF_OPENER_FILE, s.key, 40};
	ck_assert_int_eq(cof_store_seal_add(s.io, &s.secret, &right, 0, &n, &diag), 0);
	ck_assert_int_eq(cof_store_seal_renew(s.io, &s.secret, &renewal, &diag), 0);
	ck_assert_int_eq(cof_store_seal_remove(s.io, &s.secret, COF_OPENER_FILE, n, &diag), 0);
	{
		struct cof_door d = {.io = s.io, .guard = -1, .failures = 1};

		memcpy(d.archive_id, s.archive_id, 16);
		d.events.event[d.events.n++] = cof_opener_event_now(COF_OPENER_FAILED);
		ck_assert_int_eq(cof_door_write(&d), 0);
	}
	cof_io_free(s.io);
	before = cof_sim_clone(s.sim);
	for (uint64_t at = 1;; at++) {
		struct cof_archive_params p = {.secret = &s.secret, .index_dir = "", .no_threads = true};
		int r;

		cof_sim_free(s.sim);
		s.sim = cof_sim_clone(before);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		p.io = s.io;
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = cof_archive_open(&p, &s.archive, NULL, &diag);
		if (r == 0)
			cof_archive_abandon(s.archive);
		s.archive = NULL;
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, _i);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		store_open(&s);
		store_close(&s);
		seen = look(s.io);
		ck_assert_msg(seen.added >= 1 && seen.added <= 2 && seen.removed >= 1 && seen.removed <= 2 &&
				  seen.renewed >= 1 && seen.renewed <= 2 && seen.failed >= 1 && seen.failed <= 2,
			      "operation %u: %u added, %u removed, %u renewed, %u failed", (unsigned)at,
			      seen.added, seen.removed, seen.renewed, seen.failed);
		store_open(&s);
		store_close(&s);
		ck_assert_uint_eq(look(s.io).added, seen.added);
		if (r == 0)
			break;
		ck_assert_uint_lt(at, 200);
		cof_io_free(s.io);
	}
	cof_sim_free(before);
}
END_TEST

/* The power fails at each operation of a change: if it happened, it is noted. */
START_TEST(noted_over_power_cuts)
{
	struct cof_sim *before;

	teardown();
	store_new(&s, STORE_SIM);
	words = cof_secret_alloc(16);
	memcpy(words, "rightwrong", 10);
	ck_assert_int_eq(store_init(&s, &diag), 0);
	right = (struct cof_opener_secret){COF_OPENER_FILE, s.key, 40};
	ck_assert_int_eq(cof_store_seal_add(s.io, &s.secret, &right, 0, NULL, &diag), 0);
	store_open(&s);
	store_close(&s);
	cof_io_free(s.io);
	before = cof_sim_clone(s.sim);
	for (uint64_t at = 1;; at++) {
		bool gone;
		int r;

		cof_sim_free(s.sim);
		s.sim = cof_sim_clone(before);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		cof_sim_plan(s.sim, COF_SIM_CRASH, cof_sim_ops(s.sim) + at);
		r = cof_store_seal_remove(s.io, &s.secret, COF_OPENER_FILE, 2, &diag);
		cof_io_free(s.io);
		cof_sim_reboot(s.sim, _i);
		ck_assert_int_eq(cof_sim_open(s.sim, &s.io), 0);
		gone = cof_io_exists(s.io, "seal/file-2") == 0;
		store_open(&s);
		store_close(&s);
		ck_assert_msg(!gone || look(s.io).removed == 1, "operation %u", (unsigned)at);
		if (r == 0)
			break;
		ck_assert_uint_lt(at, 60);
		cof_io_free(s.io);
	}
	cof_sim_free(before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("door");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("simulated"), *p = tcase_create("plain");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, three_lock);
	tcase_add_test(c, what_counts);
	tcase_add_loop_test(c, cut_at_each_step, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_test(c, full_disk);
	tcase_add_test(c, ended_before_it_was_judged);
	tcase_add_test(c, waits_longer_each_time);
	tcase_add_test(c, damaged);
	tcase_add_test(c, bounded);
	tcase_add_loop_test(c, recorded_over_power_cuts, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	tcase_add_loop_test(c, noted_over_power_cuts, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	suite_add_tcase(suite, c);
	tcase_add_checked_fixture(p, setup_plain, teardown);
	tcase_set_timeout(p, 60);
	tcase_add_test(p, at_the_same_time);
	suite_add_tcase(suite, p);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
