/* SPDX-License-Identifier: Apache-2.0 */
/* The reader over a written archive: by address, by sequence, beside a writer, over damage. */
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

#include "test-log.h"
#include "world.h"

static void make(struct world *w, struct cof_reader **r)
{
	ck_assert_int_eq(world_begin(w, 31), 0);
	for (uint64_t i = 0; i < 300; i++)
		ck_assert_int_eq(world_put(w, i, (uint32_t)(i * 53 % 1800), false, NULL), 0);
	ck_assert_int_eq(cof_reader_new(w->io, &w->conf, r), 0);
}

START_TEST(walks_to_the_end)
{
	uint64_t at = 0, next;
	struct cof_reader *r;
	struct cof_frame f;
	uint8_t payload[2000];
	struct world w;
	uint64_t n = 0;

	make(&w, &r);
	while (cof_reader_header(r, at, &f, NULL, NULL) == 0) {
		ck_assert_uint_eq(f.sequence, n);
		if (f.stored <= sizeof(payload)) {
			ck_assert_int_eq(cof_reader_payload(r, at, &f, 0, payload, f.stored), 0);
			ck_assert_int_eq(cof_payload_check(&f, payload), 0);
		}
		ck_assert_int_eq(cof_reader_next(r, at, &f, &next), 0);
		ck_assert_uint_gt(next, at);
		at = next;
		n++;
	}
	ck_assert_uint_eq(n, 302);
	ck_assert_uint_gt(at, 3 * WORLD_SEGMENT);
	ck_assert_int_eq(cof_reader_header(r, at, &f, NULL, NULL), -ENODATA);
	/* what is appended is seen by the same reader */
	ck_assert_int_eq(world_put(&w, 9, 10, false, NULL), 0);
	ck_assert_int_eq(cof_reader_header(r, at, &f, NULL, NULL), 0);
	ck_assert_uint_eq(f.sequence, 302);
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

/* The descriptors run out: what is kept open goes, and what is read is right. */
START_TEST(no_descriptors)
{
	char dir[] = "/tmp/coffer-test-XXXXXX", path[64];
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
	struct cof_conf conf = {.segment_size = WORLD_SEGMENT};
	struct cof_diag diag = {""};
	struct cof_reader *r;
	struct cof_io *io;
	int taken[128], n = 0;
	uint8_t mark[4];
	size_t got;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(cof_io_plain(dir, &io, &diag), 0);
	ck_assert_int_eq(cof_io_mkdir(io, "log"), 0);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "log/%08x.seg", i);
		cof_put_le32(mark, i);
		ck_assert_int_eq(cof_io_replace(io, path, mark, 4), 0);
	}
	ck_assert_int_eq(cof_reader_new(io, &conf, &r), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int round = 0; round < 2; round++) { /* with some of its segments open, with none */
		if (round) {
			cof_reader_free(r);
			ck_assert_int_eq(cof_reader_new(io, &conf, &r), 0);
		}
		while ((taken[n] = dup(0)) >= 0)
			n++;
		for (uint32_t i = 0; i < 60; i++) {
			ck_assert_int_eq(cof_reader_bytes(r, i * 7 % 20 * (uint64_t)WORLD_SEGMENT,
							  mark, 4, &got),
					 0);
			ck_assert_uint_eq(got, 4);
			ck_assert_uint_eq(cof_get_le32(mark), i * 7 % 20);
		}
		if (!round) { /* room for a few */
			for (int k = 0; k < 5; k++)
				close(taken[--n]);
			for (uint32_t i = 0; i < 20; i++)
				ck_assert_int_eq(cof_reader_bytes(r, i * (uint64_t)WORLD_SEGMENT,
								  mark, 4, &got),
						 0);
		}
	}
	cof_reader_free(r);
	while (n)
		close(taken[--n]);
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "log/%08x.seg", i);
		ck_assert_int_eq(cof_io_unlink(io, path), 0);
	}
	ck_assert_int_eq(cof_io_rmdir(io, "log"), 0);
	cof_io_free(io);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(finds_by_sequence)
{
	struct cof_reader *r;
	struct cof_frame f;
	struct world w;
	uint64_t at;

	make(&w, &r);
	for (uint64_t i = 0; i < 302; i++) {
		ck_assert_int_eq(cof_reader_find(r, i, &at, NULL), 0);
		ck_assert_int_eq(cof_reader_header(r, at, &f, NULL, NULL), 0);
		ck_assert_uint_eq(f.sequence, i);
	}
	ck_assert_int_eq(cof_reader_find(r, 302, &at, NULL), -ENOENT);
	ck_assert_int_eq(cof_reader_find(r, UINT64_MAX, &at, NULL), -ENOENT);
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

START_TEST(parts_of_a_payload)
{
	struct cof_reader *r;
	struct cof_frame f;
	uint8_t buf[600];
	struct world w;
	uint64_t at;

	make(&w, &r);
	ck_assert_int_eq(world_put(&w, 3, 500, false, NULL), 0);
	ck_assert_int_eq(cof_reader_find(r, 302, &at, NULL), 0);
	ck_assert_int_eq(cof_reader_header(r, at, &f, NULL, NULL), 0);
	ck_assert_int_eq(cof_reader_payload(r, at, &f, 100, buf, 400), 0);
	for (unsigned i = 0; i < 400; i++)
		ck_assert_uint_eq(buf[i], (uint8_t)(3 * 131 + 100 + i));
	ck_assert_int_eq(cof_reader_payload(r, at, &f, 500, buf, 0), 0);
	ck_assert_int_eq(cof_reader_payload(r, at, &f, 400, buf, 101), -EINVAL);
	ck_assert_int_eq(cof_reader_payload(r, at, &f, 501, buf, 0), -EINVAL);
	ck_assert_int_eq(cof_reader_payload(r, at, &f, UINT32_MAX, buf, 2), -EINVAL);
	/* a length that does not fit the segment is not followed */
	f.stored = 2 * WORLD_SEGMENT;
	ck_assert_int_eq(cof_reader_payload(r, at, &f, 0, buf, 600), -EUCLEAN);
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

START_TEST(nothing_where_nothing_is)
{
	struct cof_diag d = {{0}};
	struct cof_reader *r;
	struct cof_frame f;
	struct world w;
	uint8_t buf[64];
	size_t n = 99;

	make(&w, &r);
	ck_assert_int_eq(cof_reader_header(r, 900 * (uint64_t)WORLD_SEGMENT, &f, NULL, &d),
			 -ENODATA);
	ck_assert_int_eq(cof_reader_header(r, UINT64_MAX - 5, &f, NULL, &d), -ENODATA);
	ck_assert_int_eq(cof_reader_bytes(r, 900 * (uint64_t)WORLD_SEGMENT, buf, 64, &n), -ENODATA);
	ck_assert_uint_eq(n, 99);
	ck_assert_int_eq(cof_reader_header(r, 1, &f, NULL, &d), -EUCLEAN); /* within a frame */
	ck_assert_str_ne(d.text, "");
	/* bytes end with the segment */
	ck_assert_int_eq(cof_reader_bytes(r, 4 * (uint64_t)WORLD_SEGMENT - 10, buf, 64, &n), 0);
	ck_assert_uint_le(n, 10);
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

START_TEST(damage_is_said)
{
	struct cof_reader *r;
	struct cof_frame f;
	struct world w;
	uint64_t at, next, got;

	make(&w, &r);
	ck_assert_int_eq(cof_reader_find(r, 20, &at, NULL), 0);
	ck_assert_int_eq(cof_sim_flip(w.sim, "log/00000000.seg", at + 50, 2), 0);
	ck_assert_int_eq(cof_reader_header(r, at, &f, NULL, NULL), -EUCLEAN);
	ck_assert_int_eq(cof_reader_find(r, 19, &got, NULL), 0); /* before it all is well */
	ck_assert_int_eq(cof_reader_header(r, got, &f, NULL, NULL), 0);
	ck_assert_int_eq(cof_reader_next(r, got, &f, &next), 0);
	ck_assert_uint_eq(next, at); /* not skipped silently */
	ck_assert_int_eq(cof_reader_find(r, 21, &got, NULL), -EUCLEAN);
	ck_assert_int_eq(cof_reader_find(r, 290, &got, NULL), 0); /* another segment */
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

/* ---- many at once, more segments than the reader keeps open ---- */

struct reading {
	struct cof_reader *r;
	uint64_t seed, frames;
	pthread_t thread;
	_Atomic unsigned *bad;
};

static void *read_about(void *arg)
{
	struct reading *g = arg;
	uint8_t payload[2000];

	for (unsigned i = 0; i < 150; i++) {
		struct cof_frame f;
		uint64_t at, want;

		g->seed = g->seed * 6364136223846793005u + 1442695040888963407u;
		want = (g->seed >> 33) % g->frames;
		if (cof_reader_find(g->r, want, &at, NULL) ||
		    cof_reader_header(g->r, at, &f, NULL, NULL) || f.sequence != want ||
		    f.stored > sizeof(payload) ||
		    cof_reader_payload(g->r, at, &f, 0, payload, f.stored) ||
		    cof_payload_check(&f, payload))
			++*g->bad;
	}
	return NULL;
}

START_TEST(many_readers_beside_a_writer)
{
	_Atomic unsigned bad = 0;
	struct reading g[6];
	struct cof_reader *r;
	struct world w;

	ck_assert_int_eq(world_begin(&w, 32), 0);
	for (uint64_t i = 0; i < 1000; i++) /* some 24 segments */
		ck_assert_int_eq(world_put(&w, i, 1400, false, NULL), 0);
	ck_assert_int_eq(cof_io_exists(w.io, "log/00000014.seg"), 1);
	ck_assert_int_eq(cof_reader_new(w.io, &w.conf, &r), 0);
	for (unsigned i = 0; i < 6; i++) {
		g[i] = (struct reading){.r = r, .seed = i, .frames = 1002, .bad = &bad};
		ck_assert_int_eq(pthread_create(&g[i].thread, NULL, read_about, &g[i]), 0);
	}
	for (uint64_t i = 0; i < 200; i++)
		ck_assert_int_eq(world_put(&w, i, 1400, false, NULL), 0);
	for (unsigned i = 0; i < 6; i++)
		pthread_join(g[i].thread, NULL);
	ck_assert_uint_eq(bad, 0);
	cof_reader_free(r);
	world_end(&w);
}
END_TEST

TCase *reader_case(void)
{
	TCase *t = tcase_create("reader");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, walks_to_the_end);
	tcase_add_test(t, no_descriptors);
	tcase_add_test(t, finds_by_sequence);
	tcase_add_test(t, parts_of_a_payload);
	tcase_add_test(t, nothing_where_nothing_is);
	tcase_add_test(t, damage_is_said);
	tcase_add_test(t, many_readers_beside_a_writer);
	return t;
}
