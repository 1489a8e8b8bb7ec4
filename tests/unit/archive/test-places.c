/* SPDX-License-Identifier: Apache-2.0 */
/* What reads keep: runs of stretches, headers of frames, chunks. Bounded, and gone once the index is built anew. */
#include <check.h>

#include "fs/archive/internal.h"

#define MANY 5000 /* more than is kept of anything */

static struct cof_stretch stretch(uint64_t position, uint64_t length)
{
	return (struct cof_stretch){.position = position, .length = length, .address = position + 77};
}

START_TEST(runs)
{
	struct cof_stretch got[8];
	const struct cof_stretch run[] = {stretch(100, 50), stretch(150, 10), stretch(160, 40)};
	struct cof_places *p;

	ck_assert_int_eq(cof_places_new(&p), 0);
	cof_places_learn(p, 5, run, 0); /* nothing */
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 8), 0);
	cof_places_learn(p, 5, run, 3);
	ck_assert_uint_eq(cof_places_stretches(p, 6, 100, 200, got, 8), 0); /* another file */
	ck_assert_uint_eq(cof_places_stretches(p, 5, 99, 200, got, 8), 0);  /* before it, behind it */
	ck_assert_uint_eq(cof_places_stretches(p, 5, 200, 300, got, 8), 0);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 8), 3);
	ck_assert_mem_eq(got, run, sizeof(run));
	ck_assert_uint_eq(cof_places_stretches(p, 5, 149, 150, got, 8), 1);
	ck_assert_uint_eq(got[0].position, 100);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 150, 161, got, 8), 2);
	ck_assert_uint_eq(got[0].position, 150);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 199, 999, got, 8), 1);
	ck_assert_uint_eq(got[0].position, 160);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 2), 2);
	for (uint64_t ino = 100; ino < 150; ino++) /* what is used stays longest */
		cof_places_learn(p, ino, run, 3);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 8), 3);
	for (uint64_t ino = 200; ino < 250; ino++)
		cof_places_learn(p, ino, run, 3);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 8), 3);
	ck_assert_uint_eq(cof_places_stretches(p, 100, 100, 200, got, 8), 0);
	ck_assert_uint_eq(cof_places_stretches(p, 249, 100, 200, got, 8), 3);
	cof_places_clear(p);
	ck_assert_uint_eq(cof_places_stretches(p, 5, 100, 200, got, 8), 0);
	cof_places_free(p);
}
END_TEST

START_TEST(heads)
{
	struct cof_places *p;
	struct cof_head h = {0}, got;
	unsigned there = 0;

	ck_assert_int_eq(cof_places_new(&p), 0);
	ck_assert(!cof_places_head(p, 0, &got)); /* empty is not address 0 */
	for (uint64_t i = 0; i < MANY; i++) {
		h.frame.sequence = i;
		cof_places_learn_head(p, i * 4096, &h);
		ck_assert(cof_places_head(p, i * 4096, &got));
		ck_assert_uint_eq(got.frame.sequence, i);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		if (!cof_places_head(p, i * 4096, &got))
			continue;
		ck_assert_uint_eq(got.frame.sequence, i); /* never another's */
		there++;
	}
	ck_assert_uint_gt(there, 1000);
	ck_assert_uint_lt(there, MANY);
	cof_places_clear(p);
	ck_assert(!cof_places_head(p, (MANY - 1) * 4096, &got));
	cof_places_free(p);
}
END_TEST

START_TEST(chunks)
{
	static uint8_t plain[COF_CHUNK], out[COF_CHUNK];
	struct cof_chunk_name a = {5, 65536, 9}, other;
	struct cof_chunks *c;

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + i / 256);
	ck_assert_int_eq(cof_chunks_new(&c), 0);
	ck_assert(!cof_chunks_get(c, &a, 0, out, 0));
	cof_chunks_learn(c, &a, plain, 40000);
	ck_assert(!cof_chunks_get(c, &a, 0, out, 10)); /* asked for once */
	ck_assert(!cof_chunks_get(c, &a, 0, out, 0));
	cof_chunks_learn(c, &a, plain, 40000);
	ck_assert(cof_chunks_get(c, &a, 3000, out, 4096));
	ck_assert_mem_eq(out, plain + 3000, 4096);
	ck_assert(cof_chunks_get(c, &a, 39999, out, 1));
	ck_assert_uint_eq(out[0], plain[39999]);
	ck_assert(!cof_chunks_get(c, &a, 39999, out, 2)); /* beyond it */
	ck_assert(!cof_chunks_get(c, &a, 40001, out, 0));
	for (unsigned i = 0; i < 3; i++) {
		other = (struct cof_chunk_name){5 + (i == 0), 65536 + (i == 1), 9 + (i == 2)};
		ck_assert(!cof_chunks_get(c, &other, 0, out, 1));
	}
	for (uint64_t i = 1; i < 40; i++) { /* what is used stays */
		other = (struct cof_chunk_name){6, i, i};
		cof_chunks_learn(c, &other, plain + i, 20000);
		cof_chunks_learn(c, &other, plain + i, 20000);
		ck_assert(cof_chunks_get(c, &other, 100, out, 50));
		ck_assert_mem_eq(out, plain + i + 100, 50);
		ck_assert(cof_chunks_get(c, &a, 39000, out, 1000));
		ck_assert_mem_eq(out, plain + 39000, 1000);
	}
	other = (struct cof_chunk_name){6, 1, 1};
	ck_assert(!cof_chunks_get(c, &other, 0, out, 1));
	cof_chunks_learn(c, &other, plain, COF_CHUNK + 1); /* there is no such chunk */
	cof_chunks_learn(c, &other, plain, COF_CHUNK + 1);
	ck_assert(!cof_chunks_get(c, &other, 0, out, 1));
	cof_chunks_clear(c);
	ck_assert(!cof_chunks_get(c, &a, 0, out, 1));
	cof_chunks_learn(c, &a, plain, 100); /* and once again from the beginning */
	ck_assert(!cof_chunks_get(c, &a, 0, out, 1));
	cof_chunks_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("places");
	TCase *t = tcase_create("places");
	SRunner *r;
	int failed;

	tcase_add_test(t, runs);
	tcase_add_test(t, heads);
	tcase_add_test(t, chunks);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
