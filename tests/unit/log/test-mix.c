/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes the host has what the next mount is sealed with. The end of the newest mount cut off before that was
 * mixed last, and a log written on: named. Cut off behind it: not, and that is what the interval bounds.
 */
#include <stdio.h>

#include "forge.h"

static const uint8_t auditor[32] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
				    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

static struct world w;
static uint64_t first_mix, second_mix;
static uint8_t *note; /* the checkpoint before the second mixing */
static size_t note_len;

static void put(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(world_put(&w, i + 1, 50, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
}

static void crash(void)
{
	cof_log_abandon(w.log);
	w.log = NULL;
}

static void mount_again(void)
{
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_int_eq(world_mount(&w), 0);
}

/* A clean mount; one with two mixings, and frames before, between and behind them, and then the host is taken. */
static void setup(void)
{
	ck_assert_int_eq(world_begin(&w, 3), 0);
	put(3);
	world_close(&w);
	mount_again();
	put(5);
	world_mix(&w);
	first_mix = w.mixed_at;
	put(5);
	ck_assert_int_eq(cof_io_load(w.io, "checkpoint", COF_NOTE_MAX, &note, &note_len), 0);
	world_mix(&w);
	second_mix = w.mixed_at;
	put(5);
	crash();
}

static void teardown(void)
{
	world_end(&w);
	free(note);
	note = NULL;
}

static void drop_from(struct forged *g, void *user)
{
	g->drop = g->f.sequence >= *(const uint64_t *)user;
}

static void cut(uint64_t from)
{
	forge(&w, drop_from, &from, FORGE_TILES | FORGE_CHECKPOINT);
}

/* As the archive would: another mount, frames, an end. */
static void write_on(void)
{
	mount_again();
	put(8);
	world_close(&w);
}

static void must_say(enum cof_verdict verdict, const char *text)
{
	ck_assert_msg(w.found.verdict == verdict, "%d: %s", w.found.verdict, w.worst.text);
	ck_assert_msg(strstr(w.worst.text, text) != NULL, "%s", w.worst.text);
}

START_TEST(intact)
{
	write_on();
	mount_again();
	world_mix(&w);
	crash();
	mount_again();
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, auditor), COF_INTACT);
	ck_assert(w.found.seal_checked && !w.found.seal_broken && !w.found.seal_since);
	ck_assert_uint_eq(w.findings, 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
}
END_TEST

START_TEST(cut_and_written_on)
{
	for (uint64_t at = first_mix; at <= second_mix; at++) {
		char text[64];

		teardown();
		setup();
		cut(at);
		write_on();
		(void)world_verify(&w, NULL); /* where it was mixed is for everybody to see */
		must_say(COF_TRUNCATED, "frames are missing before this mount");
		(void)world_verify(&w, auditor);
		snprintf(text, sizeof(text), "at least %u frames are missing", (unsigned)(second_mix - at + 1));
		must_say(COF_TRUNCATED, text);
		ck_assert_uint_eq((uint64_t)w.worst.sequence, at);
	}
}
END_TEST

START_TEST(cut_behind_the_last) /* what the interval bounds */
{
	cut(second_mix + 1);
	write_on();
	ck_assert_int_eq(world_verify(&w, auditor), COF_INTACT);
}
END_TEST

START_TEST(said_to_be_mixed_before) /* with what the first mixing gave, which nobody has any more, but for its frame */
{
	cut(first_mix + 1);
	w.mixed_at = first_mix;
	write_on();
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	(void)world_verify(&w, auditor);
	must_say(COF_TAMPERED, "does not prove that it followed");
	ck_assert(w.found.seal_broken);
	ck_assert_uint_eq(w.found.seal_false, first_mix + 1);
}
END_TEST

START_TEST(said_to_be_mixed_elsewhere)
{
	w.mixed_at = second_mix + 2;
	write_on();
	(void)world_verify(&w, auditor);
	must_say(COF_TAMPERED, "an old copy of the seal's secret");
}
END_TEST

START_TEST(not_said)
{
	cut(first_mix + 1);
	w.mixed_at = COF_NOT_MIXED;
	write_on();
	(void)world_verify(&w, NULL);
	must_say(COF_TAMPERED, "does not say at which frame");
}
END_TEST

START_TEST(power_cut_between) /* the frame is there, and what it is for is not */
{
	struct world taken;

	write_on();
	mount_again();
	put(2);
	for (int i = 0; i < 2; i++) {
		uint8_t key[32];
		struct cof_mixing m = {.on = w.mixed_at, .key = key};

		ck_assert_int_eq(cof_log_mix(w.log, &m), 0);
		put(2);
	}
	crash();
	taken = w;
	mount_again(); /* proves the one before */
	crash();
	w.secrets = taken.secrets; /* which the power cut left there: the same once more */
	w.mixed_at = taken.mixed_at;
	memcpy(w.mix, taken.mix, sizeof(w.mix));
	mount_again();
	put(3);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, auditor), COF_INTACT);
	ck_assert_uint_eq(w.findings, 0);
}
END_TEST

static void accuses(void *user, const struct cof_finding *f)
{
	bool *unchecked = user;

	ck_assert_msg(!strstr(f->text, "does not prove") && !strstr(f->text, "old copy") &&
			  !strstr(f->text, "behind frame"),
		      "%s", f->text);
	*unchecked |= strstr(f->text, "was not checked") != NULL;
}

static void drop_mixings(struct forged *g, void *user)
{
	(void)user;
	g->drop = g->f.sequence == first_mix || g->f.sequence == second_mix;
}

START_TEST(missing_frames) /* what is not there proves nothing, and accuses nobody */
{
	bool unchecked = false;
	struct cof_verify_params p = {.io = w.io, .threads = 1, .auditor_secret = auditor,
				      .auditor_archive_id = w.conf.id, .finding = accuses, .user = &unchecked};

	write_on();
	p.io = w.io;
	forge(&w, drop_mixings, NULL, 0);
	ck_assert_int_eq(cof_log_verify(&p, &w.found, NULL), 0);
	ck_assert_int_eq(w.found.verdict, COF_TAMPERED);
	ck_assert(unchecked);
}
END_TEST

/* ---- going on from a checkpoint ---- */

static enum cof_verdict since(const uint8_t *from, size_t n)
{
	struct cof_verify_params p = {.threads = 1, .auditor_secret = auditor, .since = from, .since_len = n};

	p.auditor_archive_id = w.conf.id;
	return world_verify_with(&w, &p);
}

START_TEST(from_a_checkpoint)
{
	uint64_t size = second_mix; /* covers all frames before */

	write_on();
	ck_assert_int_eq(since(note, note_len), COF_INTACT);
	ck_assert_uint_eq(w.found.since, size - 1);
	ck_assert(w.found.seal_checked && !w.found.seal_broken);
	ck_assert_uint_eq(w.found.seal_since, w.found.since);
	teardown();
	setup();
	cut(second_mix);
	w.mixed_at = first_mix;
	write_on();
	(void)since(note, note_len);
	must_say(COF_TAMPERED, "does not prove that it followed");
	teardown();
	setup();
	cut(second_mix);
	write_on();
	(void)since(note, note_len);
	must_say(COF_TRUNCATED, "at least 1 frames are missing");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log-mix");
	TCase *c = tcase_create("mix");
	SRunner *r;
	int failed;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, intact);
	tcase_add_test(c, cut_and_written_on);
	tcase_add_test(c, cut_behind_the_last);
	tcase_add_test(c, said_to_be_mixed_before);
	tcase_add_test(c, said_to_be_mixed_elsewhere);
	tcase_add_test(c, not_said);
	tcase_add_test(c, power_cut_between);
	tcase_add_test(c, missing_frames);
	tcase_add_test(c, from_a_checkpoint);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
