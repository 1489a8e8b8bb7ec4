/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Millions of stretches in bounded memory. With COF_TEST_SLOW ten million, and what it took is
 * printed.
 */
#include "test-index.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#define FILES 50

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

static void add(struct cof_index *ix, uint64_t q)
{
	/* Ninety in a hundred go to one file, as a busy log's do. */
	uint64_t ino = q % 10 ? 10 : 11 + q / 10 % FILES;
	uint64_t k = q % 10 ? q / 10 * 9 + q % 10 - 1 : q / 10 / FILES;
	struct cof_stretch s = {k * 130, 130, q * 300, q, false};
	cof_index_enter(ix);
	SURE(!cof_index_add_stretch(ix, ino, &s));
	cof_index_leave(ix);
}

START_TEST(many_stretches)
{
	uint64_t total = slow_tests() ? 10000000 : 300000;
	struct cof_index *ix = open_here(NULL);
	size_t most = 0;
	double begin = now();
	for (uint64_t q = 0; q < total; q++) {
		add(ix, q);
		if (q % 30000 == 29999) {
			feed(ix, q + 1);
			most = COF_MAX(most, heap());
		}
	}
	double took = now() - begin;
	feed(ix, total);
	ck_assert_uint_lt(most, 40u << 20);
	if (slow_tests())
		printf("%.0f stretches a second, at most %zu KiB of heap\n", (double)total / took,
		       most >> 10);
	uint64_t end = 0;
	size_t n = 0;
	struct cof_stretch s[4];
	ck_assert(!cof_index_end(ix, COF_INDEX_NOW, 10, &end));
	ck_assert_uint_eq(end, total / 10 * 9 * 130);
	struct dice d = {9};
	for (int i = 0; i < 2000; i++) {
		uint64_t k = roll(&d, total / 10 * 9 - 4), q = k / 9 * 10 + k % 9 + 1;
		ck_assert(!cof_index_stretches(ix, COF_INDEX_NOW, 10, k * 130 + 7, s, 4, &n));
		ck_assert_uint_eq(n, 4);
		ck_assert_uint_eq(s[0].sequence, q);
		ck_assert_uint_eq(s[0].position, k * 130);
		SURE(!cof_index_end(ix, q, 10, &end));
		ck_assert_uint_eq(end, k * 130);
	}
	cof_index_close(ix);
}
END_TEST

/* Creating files is the dearest: a node, a name, an entry, and the directory's node. */
START_TEST(many_files)
{
	uint64_t total = slow_tests() ? 1000000 : 15000;
	struct cof_index *ix = open_here(NULL);
	struct cof_node n = {.parent = 2, .kind = COF_KIND_FILE, .mode = 0640, .shelf = 2};
	size_t most = 0;
	double begin = now();
	for (uint64_t q = 1; q <= total; q++) {
		n.ino = q + 10;
		n.name_len = (uint16_t)snprintf(n.name, sizeof(n.name), "record-%llu.log",
						(unsigned long long)q);
		cof_index_enter(ix);
		SURE(!cof_index_link(ix, q, 2, n.name, n.name_len, n.ino, n.kind));
		SURE(!cof_index_put_node(ix, q, &n));
		cof_index_leave(ix);
		if (cof_index_pending(ix) >= 40000) {
			most = COF_MAX(most, heap());
			feed(ix, q + 1);
		}
	}
	feed(ix, total + 1);
	double took = now() - begin;
	ck_assert_uint_lt(most, 60u << 20);
	if (slow_tests())
		printf("%.0f files a second, three rows each, at most %zu KiB of heap\n",
		       (double)total / took, most >> 10);
	struct cof_node got;
	uint64_t ino = 0;
	struct dice d = {3};
	for (int i = 0; i < 1000; i++) {
		uint64_t q = 1 + roll(&d, total);
		char name[32];
		int len = snprintf(name, sizeof(name), "record-%llu.log", (unsigned long long)q);
		ck_assert(!cof_index_lookup(ix, COF_INDEX_NOW, 2, name, (size_t)len, &ino));
		ck_assert_uint_eq(ino, q + 10);
		ck_assert(!cof_index_get_node(ix, COF_INDEX_NOW, ino, &got));
		ck_assert_str_eq(got.name, name);
		ck_assert_int_eq(cof_index_get_node(ix, q, ino, &got), -ENOENT);
	}
	cof_index_close(ix);
}
END_TEST

TCase *many_case(void)
{
	TCase *c = index_case("many");
	tcase_set_timeout(c, slow_tests() ? 3600 : 120);
	tcase_add_test(c, many_stretches);
	tcase_add_test(c, many_files);
	return c;
}
