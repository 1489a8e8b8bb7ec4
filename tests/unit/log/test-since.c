/* SPDX-License-Identifier: Apache-2.0 */
/* Verification that goes on from a checkpoint that was kept. */
#include <stdio.h>

#include "forge.h"

static const uint8_t auditor[32] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
				    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

struct kept { /* checkpoints as they were, oldest first */
	uint8_t *note[64];
	size_t len[64];
	uint64_t size[64];
	unsigned n;
};

static void keep(struct world *w, struct kept *k)
{
	struct cof_checkpoint cp;

	ck_assert_uint_lt(k->n, COF_COUNT(k->note));
	ck_assert_int_eq(
	    cof_io_load(w->io, "checkpoint", COF_NOTE_MAX, &k->note[k->n], &k->len[k->n]), 0);
	ck_assert_int_eq(cof_checkpoint_open(k->note[k->n], k->len[k->n], &w->conf.vkey, &cp), 0);
	k->size[k->n++] = cp.size;
}

static void kept_done(struct kept *k)
{
	for (unsigned i = 0; i < k->n; i++)
		free(k->note[i]);
}

/* Two mounts over several segments; the checkpoints on the way. Closed. */
static void make(struct world *w, struct kept *k)
{
	ck_assert_int_eq(world_begin(w, 21), 0);
	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < 300; i++) {
			ck_assert_int_eq(world_seal(w, 10 + i, i * 97 % 2500, NULL), 0);
			w->clock += COF_NSEC;
			if (i % 23 == 22) {
				ck_assert_int_eq(cof_log_checkpoint(w->log), 0);
				keep(w, k);
			}
		}
		world_close(w);
		keep(w, k);
		if (half == 0) {
			ck_assert_int_eq(world_reopen(w), 0);
			ck_assert_int_eq(world_mount(w), 0);
		}
	}
}

static enum cof_verdict since(struct world *w, const struct kept *k, unsigned i,
			      const uint8_t *secret)
{
	struct cof_verify_params p = {
	    .threads = 2, .since = k->note[i], .since_len = k->len[i], .auditor_secret = secret};

	return world_verify_with(w, &p);
}

static void segment_of(struct world *w, uint64_t sequence, char path[32], uint64_t *ret_off)
{
	struct cof_reader *r;
	uint64_t at;

	ck_assert_int_eq(cof_reader_new(w->io, &w->conf, &r), 0);
	ck_assert_int_eq(cof_reader_find(r, sequence, &at, NULL), 0);
	cof_reader_free(r);
	snprintf(path, 32, "log/%08x.seg", (unsigned)(at / WORLD_SEGMENT));
	*ret_off = at % WORLD_SEGMENT;
}

START_TEST(only_what_came_later_is_read)
{
	struct kept k = {.n = 0};
	struct world w;
	uint64_t all;

	make(&w, &k);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	all = w.found.frames;
	for (unsigned i = 0; i < k.n; i++) {
		ck_assert_int_eq(since(&w, &k, i, NULL), COF_INTACT);
		ck_assert_msg(w.findings == 0, "%s", w.worst.text);
		ck_assert_uint_eq(w.found.since, k.size[i]);
		ck_assert_uint_eq(w.found.since_size, k.size[i]);
		ck_assert_uint_eq(w.found.frames, all - k.size[i]);
		ck_assert_uint_eq(w.found.checkpoint_size, k.size[k.n - 1]);
		ck_assert_uint_eq(w.found.tail, 0);
	}
	kept_done(&k);
	world_end(&w);
}
END_TEST

/* Damage behind it is found as ever, damage before it is not looked for. */
START_TEST(damage_behind_is_found)
{
	struct kept k = {.n = 0};
	struct world w;
	char path[32];
	uint64_t off;

	make(&w, &k);
	for (unsigned i = 1; i + 2 < k.n; i += 5) {
		segment_of(&w, k.size[i] + 2, path, &off);
		ck_assert_int_eq(cof_sim_flip(w.sim, path, off + COF_FRAME_HEADER + 2, 3), 0);
		ck_assert_int_eq(since(&w, &k, i, NULL), COF_TAMPERED);
		ck_assert_int_eq(w.worst.sequence, (int64_t)k.size[i] + 2);
		ck_assert_str_eq(w.worst.file, path);
		ck_assert_uint_eq(w.worst.offset, off);
		ck_assert_int_eq(since(&w, &k, i + 1, NULL), COF_INTACT);
		ck_assert_int_eq(cof_sim_flip(w.sim, path, off + COF_FRAME_HEADER + 2, 3), 0);
	}
	kept_done(&k);
	world_end(&w);
}
END_TEST

/* Stored hashes that are gone or altered prove nothing: everything is read, and still compared. */
START_TEST(without_stored_hashes_all_is_read)
{
	struct kept k = {.n = 0};
	struct world w;

	make(&w, &k);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", (k.size[4] - 1) * COF_HASH + 3, 1), 0);
	ck_assert_int_eq(since(&w, &k, 4, NULL), COF_TAMPERED);
	ck_assert_uint_eq(w.found.since, 0);
	ck_assert_str_eq(w.worst.file, "tile/0");
	world_replace(&w, "tile/0", NULL, 0);
	ck_assert_int_eq(since(&w, &k, 4, NULL), COF_INCOMPLETE);
	ck_assert_uint_eq(w.found.since, 0);
	ck_assert_uint_eq(w.found.since_size, k.size[4]);
	kept_done(&k);
	world_end(&w);
}
END_TEST

static void change_one(struct forged *frame, void *user)
{
	(void)user;
	if (frame->f.sequence == 5)
		frame->f.record_time += COF_NSEC;
}

/* Whoever has the signing key can write another history, but not under what was signed before. */
START_TEST(another_history_shows)
{
	struct kept k = {.n = 0};
	struct world w;

	ck_assert_int_eq(world_begin(&w, 12), 0);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(world_seal(&w, 10 + i, 100 + i, NULL), 0);
		w.clock += COF_NSEC;
	}
	world_close(&w);
	keep(&w, &k);
	forge(&w, change_one, NULL, FORGE_ALL);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	ck_assert_int_eq(since(&w, &k, 0, NULL), COF_TAMPERED);
	ck_assert_ptr_nonnull(strstr(w.worst.text, "another history"));
	ck_assert_uint_eq(w.found.since, 0);
	kept_done(&k);
	world_end(&w);
}
END_TEST

/* The newest checkpoint of the store is older than the one that was kept. */
START_TEST(a_store_put_back_shows)
{
	struct kept k = {.n = 0};
	struct cof_sim *old;
	struct world w;

	ck_assert_int_eq(world_begin(&w, 31), 0);
	ck_assert_int_eq(world_put(&w, 1, 50, false, NULL), 0);
	world_close(&w);
	keep(&w, &k);
	old = cof_sim_clone(w.sim);
	ck_assert_ptr_nonnull(old);
	ck_assert_int_eq(world_reopen(&w), 0);
	ck_assert_int_eq(world_mount(&w), 0);
	for (unsigned i = 0; i < 9; i++)
		ck_assert_int_eq(world_put(&w, 2 + i, 50, false, NULL), 0);
	world_close(&w);
	keep(&w, &k);
	/* the checkpoint alone: all frames are there */
	world_replace(&w, "checkpoint", k.note[0], k.len[0]);
	ck_assert_int_eq(since(&w, &k, 1, NULL), COF_INCOMPLETE);
	ck_assert_uint_eq(w.found.checkpoint_size, k.size[1]);
	/* all of it */
	cof_io_free(w.io);
	cof_sim_free(w.sim);
	w.sim = old;
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	ck_assert_int_eq(since(&w, &k, 1, NULL), COF_TRUNCATED);
	kept_done(&k);
	world_end(&w);
}
END_TEST

START_TEST(what_is_no_checkpoint_of_this_archive)
{
	struct cof_verify_params p = {.threads = 1};
	struct kept k = {.n = 0};
	struct cof_checkpoint cp = {.size = 5};
	cof_autobuf struct cof_buf note = {0};
	uint8_t seed[COF_KEY] = {9}, public_key[32];
	struct cof_vkey key;
	struct cof_verified out;
	struct cof_diag diag = {""};
	struct world w;

	make(&w, &k);
	p.io = w.io;
	p.since = "nothing\n";
	p.since_len = 8;
	ck_assert_int_eq(cof_log_verify(&p, &out, &diag), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(diag.text, "is no checkpoint"));
	/* signed by somebody else */
	ck_assert_int_eq(cof_ed25519_public(seed, public_key), 0);
	ck_assert_int_eq(cof_vkey_make(w.conf.vkey.name, COF_NOTE_ED25519, public_key, &key), 0);
	memcpy(cp.origin, key.name, sizeof(cp.origin));
	ck_assert_int_eq(cof_checkpoint_sign(&cp, &key, seed, &note), 0);
	p.since = note.data;
	p.since_len = note.len;
	ck_assert_int_eq(world_verify_with(&w, &p), COF_WRONG_KEY);
	/* altered */
	*(uint8_t *)memchr(k.note[0], '\n', k.len[0]) = ' ';
	p.since = k.note[0];
	p.since_len = k.len[0];
	ck_assert_int_lt(cof_log_verify(&p, &out, &diag), 0);
	kept_done(&k);
	world_end(&w);
}
END_TEST

/* Seals are followed up to the checkpoint, and hold from there on. */
START_TEST(seals_of_later_mounts)
{
	struct kept k = {.n = 0};
	struct world w;
	char path[32];
	uint64_t off;

	make(&w, &k);
	ck_assert_int_eq(since(&w, &k, 3, auditor), COF_INTACT);
	ck_assert(w.found.seal_checked && !w.found.seal_broken);
	ck_assert_uint_eq(w.found.seal_since, w.found.since);
	segment_of(&w, k.size[k.n - 3] + 2, path, &off);
	ck_assert_int_eq(cof_sim_flip(w.sim, path, off + 100, 0), 0);
	ck_assert_int_eq(since(&w, &k, 3, auditor), COF_TAMPERED);
	kept_done(&k);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log since");
	TCase *t = tcase_create("since");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 120);
	tcase_add_test(t, only_what_came_later_is_read);
	tcase_add_test(t, damage_behind_is_found);
	tcase_add_test(t, without_stored_hashes_all_is_read);
	tcase_add_test(t, another_history_shows);
	tcase_add_test(t, a_store_put_back_shows);
	tcase_add_test(t, what_is_no_checkpoint_of_this_archive);
	tcase_add_test(t, seals_of_later_mounts);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
