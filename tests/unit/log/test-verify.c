/* SPDX-License-Identifier: Apache-2.0 */
/* Verification: each verdict provoked, where the damage is said to be, any flipped bit found. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "world.h"

static const uint8_t auditor[32] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
				    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

static uint64_t rng(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Two mounts over a few segments, sealed and public frames, several checkpoints. Closed. */
static void make(struct world *w, unsigned frames)
{
	ck_assert_int_eq(world_begin(w, 11), 0);
	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < frames; i++) {
			if (i % 3)
				ck_assert_int_eq(world_seal(w, 10 + i, i * 97 % 2500, NULL), 0);
			else
				ck_assert_int_eq(world_put(w, 10 + i, i * 31 % 900, false, NULL),
						 0);
			w->clock += COF_NSEC;
			if (i % 40 == 39)
				ck_assert_int_eq(cof_log_checkpoint(w->log), 0);
		}
		world_close(w);
		if (half == 0) {
			ck_assert_int_eq(world_reopen(w), 0);
			ck_assert_int_eq(world_mount(w), 0);
		}
	}
}

/* One segment, one mount, closed. */
static void make_small(struct world *w)
{
	ck_assert_int_eq(world_begin(w, 12), 0);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(world_seal(w, 10 + i, 100 + i, NULL), 0);
		w->clock += COF_NSEC;
	}
	world_close(w);
}

/* The same disk once more, to be spoilt. */
static void copy(struct world *to, const struct world *from)
{
	*to = *from;
	to->sim = cof_sim_clone(from->sim);
	ck_assert_ptr_nonnull(to->sim);
	to->log = NULL;
	ck_assert_int_eq(cof_sim_open(to->sim, &to->io), 0);
}

static uint64_t size_of(struct world *w, const char *path)
{
	const uint8_t *p;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(w->sim, path, &p, &n), 0);
	return n;
}

static void cut(struct world *w, const char *path, uint64_t size)
{
	struct cof_file *f;

	ck_assert_int_eq(cof_io_open(w->io, path, COF_IO_RDWR, &f), 0);
	ck_assert_int_eq(cof_io_truncate(f, size), 0);
	cof_io_close(f);
}

START_TEST(intact)
{
	struct world w;

	make(&w, 150);
	ck_assert_int_eq(world_verify(&w, auditor), COF_INTACT);
	ck_assert_uint_eq(w.findings, 0);
	ck_assert(w.found.seal_checked);
	ck_assert_uint_eq(w.found.seal_since, 0);
	ck_assert_uint_eq(w.found.mounts, 2);
	ck_assert_uint_eq(w.found.tail, 0);
	ck_assert_uint_eq(w.found.frames, w.found.checkpoint_size + 1);
	ck_assert_mem_eq(w.found.conf.id, w.conf.id, 16);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INTACT);
	ck_assert(!w.found.seal_checked);
	world_end(&w);
}
END_TEST

/* ---- any bit ---- */

static const char *any_file(struct world *w, uint64_t *seed, char path[32])
{
	static const char *const fixed[] = {"archive.conf", "checkpoint", "tile/0", "tile/1"};
	uint64_t pick = rng(seed) % 10;

	if (pick < COF_COUNT(fixed))
		return fixed[pick];
	do
		snprintf(path, 32, "log/%08x.seg", (unsigned)(rng(seed) % 16));
	while (cof_io_exists(w->io, path) != 1 || !size_of(w, path));
	return path;
}

START_TEST(a_flipped_bit_is_found)
{
	uint64_t seed = 88172645463325252u + (unsigned)_i;
	struct world base;

	make(&base, 150);
	for (int n = 0; n < 150; n++) {
		enum cof_verdict v;
		struct world w;
		char buf[32];
		const char *path = any_file(&base, &seed, buf);
		uint64_t off = rng(&seed) % size_of(&base, path);
		unsigned bit = rng(&seed) % 8;

		copy(&w, &base);
		ck_assert_int_eq(cof_sim_flip(w.sim, path, off, bit), 0);
		v = world_verify(&w, n % 2 ? auditor : NULL);
		ck_assert_msg(v != COF_INTACT, "%s at %llu bit %u", path, (unsigned long long)off,
			      bit);
		world_end(&w);
	}
	world_end(&base);
}
END_TEST

/* The frame that a byte belongs to, from the undamaged copy. */
static void frame_at(struct world *w, const char *path, uint64_t off, uint64_t *ret_start,
		     struct cof_frame *ret)
{
	const uint8_t *p;
	uint64_t at = 0;
	size_t n;

	ck_assert_int_eq(cof_sim_peek(w->sim, path, &p, &n), 0);
	for (;;) {
		ck_assert_int_eq(cof_frame_decode(p + at, ret, NULL), 0);
		if (off < at + COF_FRAME_HEADER + ret->stored)
			break;
		at += COF_FRAME_HEADER + ret->stored;
	}
	*ret_start = at;
}

/* One damaged frame is named, and nothing else is. */
START_TEST(damage_is_placed_exactly)
{
	uint64_t seed = 4242;
	struct world base;

	make(&base, 150);
	for (int n = 0; n < 120; n++) {
		struct world w;
		struct cof_frame f;
		uint64_t start, off;
		char path[32];
		uint32_t seg = (uint32_t)(rng(&seed) % 4);

		snprintf(path, sizeof(path), "log/%08x.seg", seg);
		off = rng(&seed) % size_of(&base, path);
		frame_at(&base, path, off, &start, &f);
		if (n % 2)
			off = start + rng(&seed) % COF_FRAME_HEADER; /* headers are rare else */
		copy(&w, &base);
		ck_assert_int_eq(cof_sim_flip(w.sim, path, off, rng(&seed) % 8), 0);
		ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
		ck_assert_int_eq(w.worst.segment, seg);
		ck_assert_uint_eq(w.worst.offset, start);
		ck_assert_int_eq(w.worst.sequence, (int64_t)f.sequence);
		ck_assert_str_eq(w.worst.file, path);
		/* a damaged header: its bytes, and the frame that is missing there */
		ck_assert_uint_le(w.findings, off < start + COF_FRAME_HEADER ? 2 : 1);
		world_end(&w);
	}
	world_end(&base);
}
END_TEST

/* A header that was altered with skill, its check made right. */
START_TEST(an_altered_header_is_named)
{
	struct world w;
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_file *file;
	struct cof_frame f;
	size_t n;

	make_small(&w);
	ck_assert_int_eq(cof_io_open(w.io, "log/00000000.seg", COF_IO_RDWR, &file), 0);
	uint64_t start;

	frame_at(&w, "log/00000000.seg", 2000, &start, &f);
	ck_assert_int_eq(cof_io_read(file, raw, sizeof(raw), start, &n), 0);
	f.record_time -= 3600 * COF_NSEC;
	cof_frame_encode(&f, raw);
	ck_assert_int_eq(cof_io_write(file, raw, sizeof(raw), start), 0);
	cof_io_close(file);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	ck_assert_int_eq(w.worst.sequence, (int64_t)f.sequence);
	ck_assert_uint_eq(w.worst.offset, start);
	ck_assert_uint_eq(w.findings, 1); /* the signed root holds with the stored hash */
	ck_assert_int_eq(world_verify(&w, auditor), COF_TAMPERED);
	ck_assert_uint_eq(w.found.seal_since, f.sequence + 1);
	/* with no stored hashes, the signed root tells */
	world_replace(&w, "tile/0", "", 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	world_end(&w);
}
END_TEST

START_TEST(a_changed_stored_hash_is_named)
{
	struct world w;

	make_small(&w);
	ck_assert_int_eq(cof_sim_flip(w.sim, "tile/0", 7 * 32 + 3, 1), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TAMPERED);
	ck_assert_str_eq(w.worst.file, "tile/0");
	ck_assert_uint_eq(w.worst.offset, 7 * 32);
	ck_assert_uint_eq(w.findings, 1);
	world_end(&w);
}
END_TEST

/* ---- the other verdicts ---- */

START_TEST(truncated)
{
	struct world base, w;
	char path[32], last[32] = "";

	make(&base, 150);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "log/%08x.seg", i);
		if (cof_io_exists(base.io, path) == 1 && size_of(&base, path))
			snprintf(last, sizeof(last), "%.31s", path);
	}
	copy(&w, &base);
	world_replace(&w, last, NULL, 0);
	ck_assert_int_eq(world_verify(&w, auditor), COF_TRUNCATED);
	world_end(&w);
	copy(&w, &base);
	cut(&w, last, 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_TRUNCATED);
	world_end(&w);
	copy(&w, &base); /* a segment in the middle: what is missing is not the end */
	world_replace(&w, "log/00000001.seg", NULL, 0);
	ck_assert_int_eq(world_verify(&w, auditor), COF_TAMPERED);
	ck_assert_int_eq(w.worst.segment, 1);
	world_end(&w);
	copy(&w, &base);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "log/%08x.seg", i);
		world_replace(&w, path, NULL, 0);
	}
	ck_assert_int_eq(world_verify(&w, NULL), COF_TRUNCATED);
	world_end(&w);
	world_end(&base);
}
END_TEST

START_TEST(incomplete)
{
	static const char *const derived[] = {"tile/0", "tile/1", "checkpoint", "archive.conf"};
	struct world base, w;

	make(&base, 150);
	for (size_t i = 0; i < COF_COUNT(derived); i++) {
		copy(&w, &base);
		world_replace(&w, derived[i], NULL, 0);
		ck_assert_msg(world_verify(&w, auditor) == COF_INCOMPLETE, "%s: %d", derived[i],
			      w.found.verdict);
		ck_assert_str_eq(w.worst.file, derived[i]);
		world_end(&w);
	}
	copy(&w, &base);
	cut(&w, "tile/0", 320);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INCOMPLETE);
	ck_assert_uint_eq(w.worst.offset, 320);
	world_end(&w);
	copy(&w, &base);
	cut(&w, "tile/0", size_of(&w, "tile/0") + 64);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INCOMPLETE);
	world_end(&w);
	world_end(&base);
}
END_TEST

START_TEST(an_old_checkpoint_put_back)
{
	cof_autofree uint8_t *old = NULL;
	struct world w;
	size_t n;

	ck_assert_int_eq(world_begin(&w, 3), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	ck_assert_int_eq(cof_io_load(w.io, "checkpoint", 4096, &old, &n), 0);
	ck_assert_int_eq(world_put(&w, 1, 100, false, NULL), 0);
	world_close(&w);
	world_replace(&w, "checkpoint", old, n);
	ck_assert_int_eq(world_verify(&w, NULL), COF_INCOMPLETE);
	ck_assert_str_eq(w.worst.file, "checkpoint");
	ck_assert_uint_eq(w.found.checkpoint_size, 5); /* the chain's own */
	world_end(&w);
}
END_TEST

START_TEST(unsealed)
{
	struct world w;
	uint64_t s;

	ck_assert_int_eq(world_begin(&w, 4), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	for (unsigned i = 0; i < 7; i++)
		ck_assert_int_eq(world_put(&w, i, 50, false, &s), 0);
	ck_assert_int_eq(cof_log_sync(w.log, s), 0);
	cof_log_abandon(w.log);
	w.log = NULL;
	ck_assert_int_eq(world_verify(&w, auditor), COF_UNSEALED);
	ck_assert_uint_eq(w.found.tail, 7);
	/* damage in it is no tampering that could be shown */
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 2100, 1), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_UNSEALED);
	world_end(&w);
}
END_TEST

START_TEST(wrong_key)
{
	struct cof_verify_params p = {.threads = 1};
	struct cof_vkey other;
	uint8_t pub[32], seed[32] = {1}, id[16] = {2};
	struct world w;

	make_small(&w);
	p.vkey = &w.conf.vkey;
	ck_assert_int_eq(world_verify_with(&w, &p), COF_INTACT);
	ck_assert_int_eq(cof_ed25519_public(seed, pub), 0);
	ck_assert_int_eq(cof_vkey_make("test.example/log", COF_NOTE_ED25519, pub, &other), 0);
	p.vkey = &other;
	ck_assert_int_eq(world_verify_with(&w, &p), COF_WRONG_KEY);
	p.vkey = &w.conf.vkey;
	p.auditor_secret = auditor;
	p.auditor_archive_id = id;
	ck_assert_int_eq(world_verify_with(&w, &p), COF_WRONG_KEY);
	world_end(&w);
}
END_TEST

START_TEST(not_an_archive)
{
	struct world w = {0};

	w.sim = cof_sim_new(1);
	ck_assert_int_eq(cof_sim_open(w.sim, &w.io), 0);
	ck_assert_int_eq(world_verify(&w, NULL), COF_NOT_AN_ARCHIVE);
	world_replace(&w, "archive.conf", "[archive]\nformat = 1\n", 21);
	ck_assert_int_eq(world_verify(&w, NULL), COF_NOT_AN_ARCHIVE);
	world_end(&w);
}
END_TEST

/* ---- how it runs ---- */

struct list {
	struct cof_finding f[1200];
	unsigned n;
};

static void collect(void *user, const struct cof_finding *f)
{
	struct list *l = user;

	ck_assert_uint_lt(l->n, COF_COUNT(l->f));
	l->f[l->n++] = *f;
}

START_TEST(threads_change_nothing)
{
	struct list *one = calloc(1, sizeof(*one)), *many = calloc(1, sizeof(*many));
	struct cof_verified a, b;
	uint64_t seed = 99;
	struct world w;

	make(&w, 150);
	for (int i = 0; i < 30; i++) {
		char buf[32];
		const char *path = any_file(&w, &seed, buf);

		if (strncmp(path, "log/", 4) == 0)
			cof_sim_flip(w.sim, path, rng(&seed) % size_of(&w, path), rng(&seed) % 8);
	}
	struct cof_verify_params p = {
	    .io = w.io, .threads = 1, .finding = collect, .user = one, .auditor_secret = auditor};

	ck_assert_int_eq(cof_log_verify(&p, &a, NULL), 0);
	p.threads = 5;
	p.user = many;
	ck_assert_int_eq(cof_log_verify(&p, &b, NULL), 0);
	ck_assert_int_eq(a.verdict, COF_TAMPERED);
	ck_assert_uint_gt(one->n, 5);
	ck_assert_uint_eq(one->n, many->n);
	ck_assert_uint_eq(a.frames, b.frames);
	ck_assert_uint_eq(a.seal_since, b.seal_since);
	free(one);
	free(many);
	world_end(&w);
}
END_TEST

/* Whole tiles are hashed by workers and single leaves by the walker; checkpoints come within a tile, at its
 * end, and some of them in one. */
START_TEST(tiles_of_a_long_log)
{
	static const unsigned each[] = {1000, 7, 256, 300, 40};
	struct world w, spoilt;
	unsigned n = 0;

	ck_assert_int_eq(world_begin(&w, 6), 0);
	for (unsigned i = 0; i < 6000; i++) {
		ck_assert_int_eq(world_put(&w, i, 16, false, NULL), 0);
		if (++n < each[i / 1200])
			continue;
		n = 0;
		w.clock += COF_NSEC;
		ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	}
	world_close(&w);
	copy(&spoilt, &w);
	ck_assert_int_eq(cof_sim_flip(spoilt.sim, "tile/1", 9 * 32 + 5, 1), 0);
	for (unsigned threads = 1; threads < 6; threads++) {
		struct cof_verify_params p = {.threads = threads, .auditor_secret = auditor};

		ck_assert_int_eq(world_verify_with(&w, &p), COF_INTACT);
		ck_assert_uint_eq(w.findings, 0);
		ck_assert_uint_gt(w.found.frames, 6000);
		ck_assert_int_eq(world_verify_with(&spoilt, &p), COF_TAMPERED);
		ck_assert_uint_eq(spoilt.findings, 1);
		ck_assert_str_eq(spoilt.worst.file, "tile/1");
		ck_assert_uint_eq(spoilt.worst.offset, 9 * 32);
	}
	world_end(&spoilt);
	world_end(&w);
}
END_TEST

START_TEST(findings_are_bounded)
{
	struct list *l = calloc(1, sizeof(*l));
	struct world w;
	struct cof_verified v;

	ck_assert_int_eq(world_begin(&w, 5), 0);
	for (unsigned i = 0; i < 1500; i++)
		ck_assert_int_eq(world_put(&w, i, 16, false, NULL), 0);
	world_close(&w);
	struct cof_verify_params p = {.io = w.io, .threads = 2, .finding = collect, .user = l};

	for (uint32_t seg = 0; seg < 3; seg++) { /* in the payload of each frame */
		struct cof_frame f;
		uint64_t at;
		char path[32];

		snprintf(path, sizeof(path), "log/%08x.seg", seg);
		frame_at(&w, path, 2000, &at, &f);
		for (at += 130; at < size_of(&w, path); at += 144)
			ck_assert_int_eq(cof_sim_flip(w.sim, path, at, 0), 0);
	}
	ck_assert_int_eq(cof_log_verify(&p, &v, NULL), 0);
	ck_assert_int_eq(v.verdict, COF_TAMPERED);
	ck_assert_uint_eq(l->n, 1001);
	ck_assert_ptr_nonnull(strstr(l->f[1000].text, "more findings"));
	free(l);
	world_end(&w);
}
END_TEST

/* Bytes of any kind in any file: a verdict, no crash. */
START_TEST(garbage_gives_a_verdict)
{
	uint64_t seed = 777 + (unsigned)_i;
	struct world base, w;

	make(&base, 60);
	for (int n = 0; n < 60; n++) {
		copy(&w, &base);
		for (unsigned k = 0; k < 4; k++) {
			char buf[32];
			const char *path = any_file(&w, &seed, buf);
			uint8_t junk[300];
			size_t len = 1 + rng(&seed) % sizeof(junk);
			struct cof_file *f;

			for (size_t i = 0; i < len; i++)
				junk[i] = (uint8_t)(rng(&seed) & (k % 2 ? 0xff : 0x00));
			ck_assert_int_eq(cof_io_open(w.io, path, COF_IO_RDWR, &f), 0);
			if (rng(&seed) % 4 == 0)
				(void)cof_io_truncate(f, rng(&seed) % (2 * WORLD_SEGMENT));
			else
				(void)cof_io_write(f, junk, len,
						   rng(&seed) % (size_of(&w, path) + 1));
			cof_io_close(f);
		}
		(void)world_verify(&w, n % 2 ? auditor : NULL);
		world_end(&w);
	}
	world_end(&base);
}
END_TEST

/* ---- beside a daemon ---- */

struct daemon {
	struct world *w;
	_Atomic bool stop;
	unsigned appended;
};

static void *append_on(void *arg)
{
	struct daemon *d = arg;

	while (!atomic_load(&d->stop) && d->appended < 4000) {
		ck_assert_int_eq(world_put(d->w, 5, 700, false, NULL), 0);
		if (d->appended++ % 50 == 0)
			ck_assert_int_eq(cof_log_checkpoint(d->w->log), 0);
	}
	return NULL;
}

START_TEST(beside_a_daemon)
{
	struct cof_verify_params p = {.threads = 2, .live = true};
	struct daemon d = {0};
	pthread_t thread;
	struct world w, seen;

	ck_assert_int_eq(world_begin(&w, 6), 0);
	ck_assert_int_eq(cof_log_checkpoint(w.log), 0);
	d.w = &w;
	seen = w;
	ck_assert_int_eq(cof_sim_open(w.sim, &seen.io), 0);
	p.auditor_secret = auditor;
	ck_assert_int_eq(pthread_create(&thread, NULL, append_on, &d), 0);
	for (int i = 0; i < 12; i++) {
		ck_assert_msg(world_verify_with(&seen, &p) == COF_INTACT, "%s %s", seen.worst.file,
			      seen.worst.text);
		ck_assert_uint_eq(seen.found.frames, seen.found.checkpoint_size);
	}
	atomic_store(&d.stop, true);
	pthread_join(thread, NULL);
	/* what is covered is judged as strictly as ever */
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", 700, 1), 0);
	ck_assert_int_eq(world_verify_with(&seen, &p), COF_TAMPERED);
	cof_io_free(seen.io);
	world_end(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log verify");
	TCase *t = tcase_create("verify");
	SRunner *r;
	int bad;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 300);
	tcase_add_test(t, intact);
	tcase_add_loop_test(t, a_flipped_bit_is_found, 0, 2);
	tcase_add_test(t, damage_is_placed_exactly);
	tcase_add_test(t, an_altered_header_is_named);
	tcase_add_test(t, a_changed_stored_hash_is_named);
	tcase_add_test(t, truncated);
	tcase_add_test(t, incomplete);
	tcase_add_test(t, an_old_checkpoint_put_back);
	tcase_add_test(t, unsealed);
	tcase_add_test(t, wrong_key);
	tcase_add_test(t, not_an_archive);
	tcase_add_test(t, threads_change_nothing);
	tcase_add_test(t, tiles_of_a_long_log);
	tcase_add_test(t, findings_are_bounded);
	tcase_add_loop_test(t, garbage_gives_a_verdict, 0, 2);
	tcase_add_test(t, beside_a_daemon);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
