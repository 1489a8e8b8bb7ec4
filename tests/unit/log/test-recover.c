/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a log after a crash, a power cut, or somebody's hand in the store. */
#include <stdio.h>

#include "world.h"

/* Some frames, a checkpoint, `tail` frames behind it that are durable; then the process is gone. */
static void make_crashed(struct world *w, unsigned covered, unsigned tail)
{
	uint64_t s = 0;

	ck_assert_int_eq(world_begin(w, 21), 0);
	for (unsigned i = 0; i < covered; i++)
		ck_assert_int_eq(world_put(w, i, 500, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(w->log), 0);
	for (unsigned i = 0; i < tail; i++)
		ck_assert_int_eq(world_put(w, 1000 + i, 500, false, &s), 0);
	if (tail)
		ck_assert_int_eq(cof_log_sync(w->log, s), 0);
	cof_log_abandon(w->log);
	w->log = NULL;
}

static void write_at(struct world *w, const char *path, uint64_t off, const void *p, size_t n)
{
	struct cof_file *f;

	ck_assert_int_eq(cof_io_open(w->io, path, COF_IO_RDWR, &f), 0);
	ck_assert_int_eq(cof_io_write(f, p, n, off), 0);
	cof_io_close(f);
}

/* Everything in the store as one hash: nothing was written where nothing may be. */
static int hash_name(void *user, const char *name)
{
	cof_buf_add(user, name, strlen(name) + 1);
	return 0;
}

static void fingerprint(struct world *w, uint8_t out[COF_HASH])
{
	static const char *const dirs[] = {"", "log", "tile", "aside"};
	struct cof_buf all COF_CLEANUP(cof_buf_done) = {0};

	for (size_t d = 0; d < COF_COUNT(dirs); d++) {
		struct cof_buf names COF_CLEANUP(cof_buf_done) = {0};

		ck_assert_int_eq(cof_io_list(w->io, dirs[d], hash_name, &names), 0);
		cof_buf_add(&all, names.data, names.len);
		for (size_t at = 0; at < names.len; at += strlen((char *)names.data + at) + 1) {
			char path[300];
			const uint8_t *p;
			size_t n;

			snprintf(path, sizeof(path), "%s%s%s", dirs[d], *dirs[d] ? "/" : "",
				 (char *)names.data + at);
			if (cof_sim_peek(w->sim, path, &p, &n) == 0)
				cof_buf_add(&all, p, n);
		}
	}
	cof_sha256(all.data, all.len, out);
}

static void refused(struct world *w, const char *expect)
{
	struct cof_log_params p = world_params(w);
	uint8_t before[COF_HASH], after[COF_HASH];
	struct cof_diag d = {{0}};

	fingerprint(w, before);
	ck_assert_int_eq(cof_log_open(&p, &w->secrets, &w->log, &w->rec, &d), -EUCLEAN);
	ck_assert_ptr_null(w->log);
	ck_assert_msg(strstr(d.text, expect) != NULL, "%s", d.text);
	ck_assert_ptr_nonnull(strstr(d.text, "coffer verify"));
	fingerprint(w, after);
	ck_assert_mem_eq(before, after, COF_HASH);
}

/* It goes on from here, and all of it holds. */
static void goes_on(struct world *w)
{
	uint64_t s;

	ck_assert_int_eq(world_mount(w), 0);
	ck_assert_int_eq(world_put(w, 5, 100, false, &s), 0);
	ck_assert_uint_eq(s, w->rec.size + 1);
	world_close(w);
	ck_assert_msg(world_verify(w, NULL) == COF_INTACT, "%s: %s", w->worst.file, w->worst.text);
}

START_TEST(a_torn_tail_is_set_aside)
{
	cof_autofree uint8_t *kept = NULL;
	uint8_t junk[3000], digest[COF_HASH];
	struct world w;
	char path[64];
	size_t n;

	memset(junk, 0xa5, sizeof(junk));
	memset(junk + 900, 0, 300); /* zeros within it are part of it */
	make_crashed(&w, 10, 4);
	ck_assert_int_eq(world_reopen(&w), 0);
	uint64_t end = w.rec.end_address;

	cof_log_abandon(w.log);
	w.log = NULL;
	write_at(&w, "log/00000000.seg", end, junk, sizeof(junk));
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert(!w.rec.clean);
	ck_assert_uint_eq(w.rec.kept, 5); /* CHECKPOINT and four */
	ck_assert_uint_eq(w.rec.torn_segments, 1);
	ck_assert_uint_eq(w.rec.segment, 0);
	ck_assert_uint_eq(w.rec.offset, end);
	ck_assert_uint_eq(w.rec.bytes, sizeof(junk));
	cof_sha256(junk, sizeof(junk), digest);
	ck_assert_mem_eq(w.rec.digest, digest, COF_HASH);
	snprintf(path, sizeof(path), "aside/00000000-%llx-0", (unsigned long long)end);
	ck_assert_int_eq(cof_io_load(w.io, path, 65536, &kept, &n), 0);
	ck_assert_uint_eq(n, sizeof(junk));
	ck_assert_mem_eq(kept, junk, n);
	goes_on(&w);
	world_end(&w);
}
END_TEST

START_TEST(a_damaged_frame_ends_the_tail)
{
	struct world w;

	make_crashed(&w, 10, 20);
	/* 628 bytes a frame; the one in the middle of the tail */
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 17000, 3), 0);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_ge(w.rec.kept, 10);
	ck_assert_uint_lt(w.rec.kept, 21);
	ck_assert_uint_eq(w.rec.torn_segments, 1);
	goes_on(&w);
	world_end(&w);
}
END_TEST

START_TEST(a_tail_over_segments_is_cut_as_a_whole)
{
	struct world w;

	make_crashed(&w, 10, _i ? 300 : 150); /* three segments, or two */
	ck_assert_int_eq(cof_io_exists(w.io, "log/00000002.seg"), _i);
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 40000, 3), 0);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_eq(w.rec.torn_segments, _i ? 3 : 2);
	ck_assert_int_eq(cof_io_exists(w.io, "log/00000002.seg"), 0);
	goes_on(&w);
	world_end(&w);
}
END_TEST

START_TEST(the_last_mount_is_known)
{
	struct cof_reader *r;
	struct cof_frame f;
	struct world w;

	make_crashed(&w, 200, 3);
	for (uint32_t i = 2; i < 5; i++) {
		ck_assert_int_eq(world_reopen(&w), 0);
		ck_assert_uint_eq(w.rec.last_mount, i - 1);
		ck_assert_int_eq(cof_reader_new(w.io, &w.conf, &r), 0);
		ck_assert_int_eq(cof_reader_header(r, w.rec.last_mount_address, &f, NULL, NULL), 0);
		cof_reader_free(r);
		ck_assert_int_eq(f.type, COF_MOUNT);
		ck_assert_uint_eq(f.mount, i - 1);
		ck_assert_int_eq(world_mount(&w), 0);
		ck_assert_uint_eq(w.mount, i);
		for (unsigned k = 0; k < 70; k++)
			ck_assert_int_eq(world_put(&w, k, 900, false, NULL), 0);
		world_close(&w);
	}
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

/* ---- what the checkpoint covers ---- */

START_TEST(a_missing_segment_is_refused)
{
	struct world w;

	make_crashed(&w, 400, 3);
	world_replace(&w, "log/00000001.seg", NULL, 0);
	world_replace(&w, "tile/0", NULL, 0); /* whatever the hashes still say */
	world_replace(&w, "tile/0", "", 0);
	refused(&w, "log/0000000");
	world_end(&w);
}
END_TEST

START_TEST(a_truncated_log_is_refused)
{
	struct cof_file *f;
	struct world w;

	make_crashed(&w, 20, 0);
	ck_assert_int_eq(cof_io_open(w.io, "log/00000000.seg", COF_IO_RDWR, &f), 0);
	ck_assert_int_eq(cof_io_truncate(f, 9000), 0);
	cof_io_close(f);
	refused(&w, "log/00000000.seg");
	world_end(&w);
}
END_TEST

/* The walk finds it only where it has to look: below the checkpoint when the hashes are gone. */
START_TEST(a_damaged_covered_frame_is_refused)
{
	struct world w;

	make_crashed(&w, 20, 2);
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 5000, 3), 0);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", 100, 3), 0);
	refused(&w, "missing or damaged");
	world_end(&w);
}
END_TEST

START_TEST(an_altered_checkpoint_is_refused)
{
	const uint8_t *p;
	struct world w;
	size_t n;

	make_crashed(&w, 10, 2);
	ck_assert_int_eq(cof_sim_peek(w.sim, "checkpoint", &p, &n), 0);
	for (size_t off = 0; off < n; off++) {
		ck_assert_int_eq(cof_sim_flip(w.sim, "checkpoint", off, off % 7), 0);
		refused(&w, "signature");
		ck_assert_int_eq(cof_sim_flip(w.sim, "checkpoint", off, off % 7), 0);
	}
	world_end(&w);
}
END_TEST

/* The chain repeats it, with its signature: that one counts, and the file is there again. */
START_TEST(a_missing_checkpoint_is_in_the_chain)
{
	struct world w;
	int r;

	make_crashed(&w, _i ? 400 : 10, 2);
	world_replace(&w, "checkpoint", NULL, 0);
	if (_i)
		world_replace(&w, "tile/0", "", 0);
	r = world_reopen(&w);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(w.rec.checkpoint, COF_CHECKPOINT_MISSING);
	ck_assert(!w.rec.clean);
	ck_assert_uint_eq(w.rec.kept, 3); /* the CHECKPOINT frame and the tail */
	ck_assert_int_eq(cof_io_exists(w.io, "checkpoint"), 1);
	ck_assert_int_eq(world_mount(&w), 0);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

/* What the newest one in the chain covers must be there. */
START_TEST(a_missing_checkpoint_does_not_hide_damage)
{
	struct world w;

	make_crashed(&w, 20, 2);
	world_replace(&w, "checkpoint", NULL, 0);
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 1000, 3), 0);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", 100, 3), 0);
	refused(&w, "missing"); /* nothing behind the damage is found */
	world_end(&w);
}
END_TEST

START_TEST(an_old_checkpoint_is_not_believed)
{
	cof_autofree uint8_t *old = NULL;
	struct world w;
	size_t n;

	ck_assert_int_eq(world_begin(&w, 21), 0);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(world_put(&w, i, 500, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	ck_assert_int_eq(cof_io_load(w.io, "checkpoint", COF_NOTE_MAX, &old, &n), 0);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(world_put(&w, i, 500, false, NULL), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	cof_log_abandon(w.log);
	w.log = NULL;
	world_replace(&w, "checkpoint", old, n);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_int_eq(w.rec.checkpoint, COF_CHECKPOINT_OLD);
	ck_assert_uint_eq(w.rec.checkpoint_size, 13);
	ck_assert(!w.rec.clean);
	ck_assert_int_eq(world_mount(&w), 0);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

/* Signed, but for frames that are not these. */
START_TEST(a_checkpoint_of_other_frames_is_refused)
{
	struct cof_buf note COF_CLEANUP(cof_buf_done) = {0};
	struct cof_checkpoint cp = {.size = 6, .root = {1, 2, 3}};
	struct world w;

	make_crashed(&w, 10, 2);
	memcpy(cp.origin, w.conf.vkey.name, sizeof(cp.origin));
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &w.conf.vkey, w.secrets.signing_seed, &note), 0);
	world_replace(&w, "checkpoint", note.data, note.len);
	refused(&w, "root");
	note.len = 0;
	cp.size = 5000; /* more than there are */
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &w.conf.vkey, w.secrets.signing_seed, &note), 0);
	world_replace(&w, "checkpoint", note.data, note.len);
	refused(&w, "missing or damaged");
	world_end(&w);
}
END_TEST

/* Where no frame can be: set aside, and gone from the log. */
START_TEST(junk_is_set_aside)
{
	uint8_t digest[COF_HASH];
	struct world w;

	make_crashed(&w, 10, _i == 2 ? 2 : 0);
	if (_i != 1)
		write_at(&w, "log/00000000.seg", WORLD_SEGMENT, "behind", 6);
	if (_i != 0)
		world_replace(&w, "log/00000009.seg", "a gap", 5);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_eq(w.rec.torn_segments, _i == 2 ? 2 : 1);
	ck_assert_uint_eq(w.rec.bytes, _i == 0 ? 6 : _i == 1 ? 5 : 11);
	ck_assert_uint_eq(w.rec.segment, _i == 1 ? 9 : 0);
	ck_assert_uint_eq(w.rec.offset, _i == 1 ? 0 : WORLD_SEGMENT);
	cof_sha256(_i == 0 ? "behind" : _i == 1 ? "a gap" : "behinda gap", w.rec.bytes, digest);
	ck_assert_mem_eq(digest, w.rec.digest, COF_HASH);
	ck_assert_int_eq(cof_io_exists(w.io, "log/00000009.seg"), 0);
	if (_i != 1)
		ck_assert_int_eq(cof_io_exists(w.io, "aside/00000000-10000-0"), 1);
	if (_i != 0)
		ck_assert_int_eq(cof_io_exists(w.io, "aside/00000009-0-0"), 1);
	ck_assert_int_eq(world_mount(&w), 0);
	world_close(&w);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	world_end(&w);
}
END_TEST

START_TEST(other_keys_are_refused)
{
	struct world w;

	make_crashed(&w, 10, 2);
	w.secrets.signing_seed[0] ^= 1;
	refused(&w, "keys/");
	world_end(&w);
}
END_TEST

/* ---- stored hashes ---- */

enum { TILE_GONE, TILE_EMPTY, TILE_SHORT, TILE_ZEROS, TILE_JUNK, TILE_SPOILS };

static void spoil_tile(struct world *w, const char *path, int how)
{
	static const uint8_t zeros[512];
	uint8_t junk[512];

	memset(junk, 0x77, sizeof(junk));
	if (how == TILE_GONE)
		world_replace(w, path, NULL, 0);
	else if (how == TILE_EMPTY)
		world_replace(w, path, "", 0);
	else if (how == TILE_SHORT)
		world_replace(w, path, junk, 96);
	else
		write_at(w, path, 0, how == TILE_ZEROS ? zeros : junk,
			 strcmp(path, "tile/0") ? 32 : 512);
}

/* A power cut may have taken any of them: they are made again, those in the middle too. */
START_TEST(lost_hashes_are_made_again)
{
	static const char *const paths[] = {"tile/0", "tile/1"};

	for (size_t i = 0; i < COF_COUNT(paths); i++) {
		struct world w;

		make_crashed(&w, 1200, 3);
		spoil_tile(&w, paths[i], _i);
		ck_assert_int_eq(world_reopen(&w), 0);
		ck_assert(w.rec.tiles_rebuilt);
		ck_assert_uint_eq(w.rec.kept, 4);
		goes_on(&w);
		world_end(&w);
	}
}
END_TEST

START_TEST(whole_hashes_are_kept)
{
	struct world w;

	make_crashed(&w, 1200, 3);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert(!w.rec.tiles_rebuilt);
	goes_on(&w);
	world_end(&w);
}
END_TEST

/* ---- crashes while it recovers ---- */

/* The whole of what was cut is there, durable before anything was cleared. */
static int longest_aside(void *user, const char *name)
{
	struct world *w = user;
	char path[300];
	const uint8_t *p;
	size_t n;

	snprintf(path, sizeof(path), "aside/%s", name);
	ck_assert_int_eq(cof_sim_peek(w->sim, path, &p, &n), 0);
	if ((int64_t)n > w->clock) /* borrowed */
		w->clock = (int64_t)n;
	return 0;
}

static void has_aside(struct world *w, int64_t bytes)
{
	int64_t clock = w->clock;

	w->clock = 0;
	ck_assert_int_eq(cof_io_list(w->io, "aside", longest_aside, w), 0);
	ck_assert_int_eq(w->clock, bytes);
	w->clock = clock;
}

/* A power cut at each operation of a recovery, up to its MOUNT frame: the next one finds the same.
 */
static bool crash_in_recovery(uint64_t op, enum cof_sim_loss loss)
{
	struct cof_log_secrets before;
	struct world w;
	bool finished;
	int r;

	make_crashed(&w, 10, 150);
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000001.seg", 20000, 3), 0);
	before = w.secrets;
	cof_sim_plan(w.sim, COF_SIM_CRASH, cof_sim_ops(w.sim) + op);
	r = world_reopen(&w);
	if (!r)
		r = world_mount(&w);
	finished = r == 0;
	w.secrets = before; /* keys/epoch was not replaced */
	cof_log_abandon(w.log);
	w.log = NULL;
	cof_io_free(w.io);
	w.io = NULL;
	cof_sim_reboot(w.sim, loss);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_uint_ge(w.rec.size, 110);
	ck_assert_uint_lt(w.rec.size, 163);
	has_aside(&w, 27 * 628); /* frames from the damaged one on */
	goes_on(&w);
	world_end(&w);
	return finished;
}

START_TEST(a_crash_in_recovery_changes_nothing)
{
	for (uint64_t op = 1; !crash_in_recovery(op, (enum cof_sim_loss)_i); op++)
		ck_assert_uint_lt(op, 200);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log recovery");
	TCase *t = tcase_create("recovery");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 300);
	tcase_add_test(t, a_torn_tail_is_set_aside);
	tcase_add_test(t, a_damaged_frame_ends_the_tail);
	tcase_add_loop_test(t, a_tail_over_segments_is_cut_as_a_whole, 0, 2);
	tcase_add_test(t, the_last_mount_is_known);
	tcase_add_test(t, a_missing_segment_is_refused);
	tcase_add_test(t, a_truncated_log_is_refused);
	tcase_add_test(t, a_damaged_covered_frame_is_refused);
	tcase_add_test(t, an_altered_checkpoint_is_refused);
	tcase_add_loop_test(t, a_missing_checkpoint_is_in_the_chain, 0, 2);
	tcase_add_test(t, a_missing_checkpoint_does_not_hide_damage);
	tcase_add_test(t, an_old_checkpoint_is_not_believed);
	tcase_add_test(t, a_checkpoint_of_other_frames_is_refused);
	tcase_add_loop_test(t, junk_is_set_aside, 0, 3);
	tcase_add_test(t, other_keys_are_refused);
	tcase_add_loop_test(t, lost_hashes_are_made_again, 0, TILE_SPOILS);
	tcase_add_test(t, whole_hashes_are_kept);
	tcase_add_loop_test(t, a_crash_in_recovery_changes_nothing, COF_SIM_KEEP, COF_SIM_TEAR + 1);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
