/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the three stores: files. */
#include "test-io.h"

#include <pthread.h>
#include <stdlib.h>

START_TEST(open_and_create)
{
	struct cof_file *f = NULL, *g = NULL;
	struct place p;
	uint64_t size = 77;
	char c;
	size_t n;

	place_begin(&p, (enum kind)_i);
	ck_assert_int_eq(cof_io_open(p.io, "a", COF_IO_RDWR, &f), -ENOENT);
	ck_assert_ptr_null(f);
	ok(cof_io_create(p.io, "a", &f));
	ck_assert_int_eq(cof_io_create(p.io, "a", &g), -EEXIST);
	ck_assert_int_eq(cof_io_create(p.io, "no/a", &g), -ENOENT);
	ck_assert_int_eq(cof_io_open(p.io, "a", 2, &g), -EINVAL);
	ck_assert_int_eq(cof_io_open(p.io, "a", -1, &g), -EINVAL);
	ok(cof_io_mkdir(p.io, "d"));
	ck_assert_int_eq(cof_io_open(p.io, "d", COF_IO_RDONLY, &g), -EISDIR);
	ck_assert_int_eq(cof_io_create(p.io, "d", &g), -EEXIST);
	ck_assert_ptr_null(g);
	ok(cof_io_size(f, &size));
	ck_assert_uint_eq(size, 0);

	ok(cof_io_open(p.io, "a", COF_IO_RDONLY, &g));
	ck_assert_int_eq(cof_io_write(g, "x", 1, 0), -EBADF);
	ck_assert_int_eq(cof_io_truncate(g, 0), -EBADF);
	ck_assert_int_eq(cof_io_allocate(g, 0, 1), -EBADF);
	ok(cof_io_write(f, "y", 1, 0));
	ok(cof_io_read(g, &c, 1, 0, &n)); /* every open file sees it at once */
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(c, 'y');
	ok(cof_io_unlink(p.io, "a")); /* a name gone is not a file gone */
	ok(cof_io_write(f, "z", 1, 1));
	ok(cof_io_size(g, &size));
	ck_assert_uint_eq(size, 2);
	ok(cof_io_sync(f));
	cof_io_close(f);
	cof_io_close(g);
	cof_io_close(NULL);
	place_end(&p);
	cof_io_free(NULL);
}
END_TEST

START_TEST(bounds)
{
	static struct iovec v[1025];
	struct cof_file *f = NULL;
	struct place p;
	uint8_t b[8];
	size_t n = 77;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	ck_assert_int_eq(cof_io_write(f, "xy", 2, INT64_MAX), -EFBIG);
	ck_assert_int_eq(cof_io_write(f, "xy", 2, UINT64_MAX), -EFBIG);
	ck_assert_int_eq(cof_io_write(f, "xy", 2, (uint64_t)INT64_MAX - 1), -EFBIG);
	ck_assert_int_eq(cof_io_allocate(f, UINT64_MAX, 2), -EFBIG);
	ck_assert_int_eq(cof_io_allocate(f, 2, UINT64_MAX), -EFBIG);
	ck_assert_int_eq(cof_io_truncate(f, UINT64_MAX), -EFBIG);
	ck_assert_int_eq(cof_io_read(f, b, 8, UINT64_MAX - 3, &n), -EINVAL);
	ck_assert_int_eq(cof_io_writev(f, v, 1025, 0), -EINVAL);
	ck_assert_int_eq(cof_io_writev(f, v, -1, 0), -EINVAL);
	v[0] = (struct iovec){b, SIZE_MAX};
	v[1] = (struct iovec){b, 2};
	ck_assert_int_eq(cof_io_writev(f, v, 2, 0), -EINVAL);
	ck_assert_uint_eq(n, 77);
	ok(cof_io_write(f, "xy", 2, 0)); /* nothing was moved: the file is not lost by these */
	cof_io_close(f);
	place_end(&p);
}
END_TEST

START_TEST(nothing_is_something)
{
	struct cof_file *f = NULL;
	struct place p;
	uint64_t size;
	uint8_t b[8];
	size_t n = 77;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	ok(cof_io_write(f, NULL, 0, 5));
	ok(cof_io_writev(f, NULL, 0, 5));
	ok(cof_io_allocate(f, 5, 0));
	ok(cof_io_size(f, &size));
	ck_assert_uint_eq(size, 0);
	ok(cof_io_read(f, b, 8, 0, &n));
	ck_assert_uint_eq(n, 0);
	ok(cof_io_read(f, b, 8, 1000, &n));
	ck_assert_uint_eq(n, 0);
	ok(cof_io_read(f, b, 0, 0, &n));
	ok(cof_io_write(f, "abc", 3, 4)); /* a hole before it */
	ok(cof_io_read(f, b, 8, 0, &n));
	ck_assert_uint_eq(n, 7);
	ck_assert_mem_eq(b, "\0\0\0\0abc", 7);
	ok(cof_io_read(f, b, 2, 5, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_mem_eq(b, "bc", 2);
	ok(cof_io_sync(f));
	cof_io_close(f);
	place_end(&p);
}
END_TEST

START_TEST(grow_and_shrink)
{
	struct cof_file *f = NULL;
	struct place p;
	uint8_t b[64], zero[64] = {0};
	uint64_t size;
	size_t n;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	ok(cof_io_write(f, "content", 7, 0));
	ok(cof_io_allocate(f, 10, 20));
	ok(cof_io_size(f, &size));
	ck_assert_uint_eq(size, 30);
	ok(cof_io_allocate(f, 0, 20)); /* never shrinks, never clears */
	ok(cof_io_size(f, &size));
	ck_assert_uint_eq(size, 30);
	ok(cof_io_read(f, b, 64, 0, &n));
	ck_assert_uint_eq(n, 30);
	ck_assert_mem_eq(b, "content", 7);
	ck_assert_mem_eq(b + 7, zero, 23);
	ok(cof_io_truncate(f, 3));
	ok(cof_io_truncate(f, 50)); /* what was cut off does not come back */
	ok(cof_io_read(f, b, 64, 0, &n));
	ck_assert_uint_eq(n, 50);
	ck_assert_mem_eq(b, "con", 3);
	ck_assert_mem_eq(b + 3, zero, 47);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

/* ---- against a model in memory ---- */

enum { ROOM = 48u << 20 };

static uint8_t *model_pattern(void)
{
	uint8_t *p = malloc(ROOM);
	uint64_t state = 1;

	ck_assert_ptr_nonnull(p);
	for (size_t i = 0; i < ROOM; i += 8) {
		uint64_t x = draw(&state);
		memcpy(p + i, &x, 8);
	}
	return p;
}

/* Sizes on both sides of what goes through a ring (64 KiB), of its pieces (1 MiB) and of its depth
 * (16 pieces), in one part, in some, and in many with empty ones between. */
START_TEST(large_writes)
{
	static const size_t sizes[] = {1,       65535,   65536,    65537,    1048575, 1048576,
				       1048577, 3000001, 16777216, 16777217, 33554433};
	cof_autofree uint8_t *pattern = model_pattern(), *back = malloc(ROOM);
	struct cof_file *f = NULL;
	struct place p;
	size_t n;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	for (size_t i = 0; i < COF_COUNT(sizes); i++)
		for (int parts = 1; parts <= 1024; parts *= 32) {
			struct iovec v[1024];
			uint64_t off = 12345 + i;
			size_t at = 0, whole = sizes[i];

			for (int k = 0; k < parts; k++) {
				bool some = parts < 1024 || k % 3;
				size_t len =
				    k == parts - 1 ? whole - at : some * (whole / (size_t)parts);
				v[k] = (struct iovec){pattern + at, len};
				at += len;
			}
			ok(cof_io_truncate(f, 0));
			ok(cof_io_writev(f, v, parts, off));
			ok(cof_io_read(f, back, ROOM, off, &n));
			ck_assert_uint_eq(n, whole);
			ck_assert(memcmp(back, pattern, whole) == 0);
		}
	ok(cof_io_sync(f));
	cof_io_close(f);
	place_end(&p);
}
END_TEST

START_TEST(random_use)
{
	enum { MOST = 1u << 20, ROUNDS = 1500 };
	cof_autofree uint8_t *pattern = model_pattern(), *model = calloc(1, MOST),
			     *back = malloc(MOST);
	struct cof_file *f = NULL;
	struct place p;
	uint64_t state = 9, size = 0, got;
	size_t n;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t off = draw(&state) % (MOST / 2);
		size_t len = draw(&state) % (round % 10 ? 5000 : MOST / 2);
		size_t from = draw(&state) % (ROOM - MOST);

		switch (draw(&state) % 8) {
		case 0:
			must(cof_io_truncate(f, off) == 0);
			if (off < size)
				memset(model + off, 0, size - off);
			size = off;
			break;
		case 1:
			must(cof_io_allocate(f, off, len) == 0);
			size = len ? COF_MAX(size, off + len) : size;
			break;
		case 2:
			must(cof_io_read(f, back, len, off, &n) == 0);
			must(n == (off < size ? COF_MIN(len, size - off) : 0));
			must(memcmp(back, model + off, n) == 0);
			break;
		default:
			must(cof_io_write(f, pattern + from, len, off) == 0);
			memcpy(model + off, pattern + from, len);
			size = len ? COF_MAX(size, off + len) : size;
		}
		must(cof_io_size(f, &got) == 0);
		must(got == size);
	}
	ok(cof_io_read(f, back, MOST, 0, &n));
	ck_assert_uint_eq(n, size);
	ck_assert(memcmp(back, model, n) == 0);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

/* ---- many threads ---- */

enum { THREADS = 20, EACH = 12, BLOCK = 100000 }; /* more threads than there are rings */

struct writer {
	struct cof_file *f;
	unsigned id;
	int err;
};

static void *write_blocks(void *arg)
{
	struct writer *w = arg;
	cof_autofree uint8_t *block = malloc(BLOCK);

	for (unsigned i = 0; block && !w->err && i < EACH; i++) {
		memset(block, (int)(1 + (w->id * EACH + i) % 255), BLOCK);
		w->err = cof_io_write(w->f, block, BLOCK, (uint64_t)(w->id * EACH + i) * BLOCK);
		if (!w->err && i % 4 == 3)
			w->err = cof_io_sync(w->f);
	}
	return NULL;
}

START_TEST(many_threads)
{
	pthread_t thread[THREADS];
	struct writer w[THREADS];
	cof_autofree uint8_t *back = malloc(BLOCK), *want = malloc(BLOCK);
	struct cof_file *f = NULL;
	struct place p;
	size_t n;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct writer){f, i, 0};
		ok(pthread_create(&thread[i], NULL, write_blocks, &w[i]));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		ok(pthread_join(thread[i], NULL));
		ok(w[i].err);
	}
	for (unsigned i = 0; i < THREADS * EACH; i++) {
		memset(want, (int)(1 + i % 255), BLOCK);
		must(cof_io_read(f, back, BLOCK, (uint64_t)i * BLOCK, &n) == 0 && n == BLOCK);
		must(memcmp(back, want, BLOCK) == 0);
	}
	cof_io_close(f);
	place_end(&p);
}
END_TEST

TCase *files_case(void)
{
	TCase *t = io_case("files");

	tcase_add_loop_test(t, open_and_create, 0, KINDS);
	tcase_add_loop_test(t, bounds, 0, KINDS);
	tcase_add_loop_test(t, nothing_is_something, 0, KINDS);
	tcase_add_loop_test(t, grow_and_shrink, 0, KINDS);
	tcase_add_loop_test(t, large_writes, 0, KINDS);
	tcase_add_loop_test(t, random_use, 0, KINDS);
	tcase_add_loop_test(t, many_threads, 0, KINDS);
	return t;
}
