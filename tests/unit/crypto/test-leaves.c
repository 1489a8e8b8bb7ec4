/* SPDX-License-Identifier: Apache-2.0 */
/* Shared leaf hashes: the same as alone, whoever takes which piece, with many callers, and after an error. */
#include "test-crypto.h"

#include <pthread.h>

#include "crypto/leaves.h"

enum { PIECE = 5000, CALLERS = 6, ROUNDS = 400 };

static struct cof_leaves *shared;
static _Atomic int by_helpers; /* rounds in which the message was shared */

static void fill_piece(uint8_t *p, unsigned seed)
{
	for (unsigned i = 0; i < PIECE; i++)
		p[i] = (uint8_t)(i * 31 + seed * 17 + (seed >> 8));
}

static void count_run(void *user)
{
	unsigned *ran = user;

	++*ran;
}

/* One message of n pieces, of which `made` are made, and for two in three something beside, once. */
static void one(struct cof_leaves *l, unsigned seed, unsigned n, unsigned made)
{
	static __thread uint8_t piece[COF_LEAF_PIECES][PIECE];
	uint8_t leaf[COF_LEAF_PIECES + 1][COF_HASH], want[COF_HASH];
	unsigned ran = 0;
	struct cof_beside beside = {count_run, &ran};
	struct cof_leaf_job j;

	memset(leaf, 0xee, sizeof(leaf));
	cof_leaves_begin(l, &j, n, leaf, seed % 3 ? &beside : NULL);
	if (j.shared)
		atomic_fetch_add(&by_helpers, 1);
	for (unsigned k = 0; k < made; k++) {
		fill_piece(piece[k], seed + k);
		cof_leaves_ready(&j, piece[k], PIECE - k);
	}
	cof_leaves_end(l, &j);
	must(ran == (seed % 3 != 0));
	for (unsigned k = 0; k < made; k++) {
		cof_merkle_leaf(piece[k], PIECE - k, want);
		must(!memcmp(leaf[k], want, COF_HASH));
	}
	for (unsigned k = made; k <= COF_LEAF_PIECES; k++) /* nothing else was touched */
		for (unsigned i = 0; i < COF_HASH; i++)
			must(leaf[k][i] == 0xee);
}

START_TEST(as_alone)
{
	struct cof_leaves *l;

	for (unsigned processors = 0; processors < 6; processors++) {
		ck_assert_int_eq(cof_leaves_new(processors, &l), 0);
		by_helpers = 0;
		for (unsigned n = 1; n <= COF_LEAF_PIECES; n++)
			for (unsigned round = 0; round < 20; round++)
				one(l, n * 100 + round, n, n);
		ck_assert_int_eq(by_helpers > 0, processors > 1);
		cof_leaves_free(l);
	}
	one(NULL, 1, COF_LEAF_PIECES, COF_LEAF_PIECES);
	cof_leaves_free(NULL);
}
END_TEST

START_TEST(given_up)
{
	struct cof_leaves *l;

	ck_assert_int_eq(cof_leaves_new(4, &l), 0);
	for (unsigned round = 0; round < 20; round++)
		for (unsigned made = 0; made < COF_LEAF_PIECES; made++)
			one(l, made, COF_LEAF_PIECES, made);
	cof_leaves_free(l);
}
END_TEST

static void *caller(void *user)
{
	unsigned seed = *(unsigned *)user;

	for (unsigned i = 0; i < ROUNDS; i++)
		one(shared, seed * ROUNDS + i, 1 + i % COF_LEAF_PIECES, 1 + i % COF_LEAF_PIECES);
	return NULL;
}

START_TEST(many_callers)
{
	pthread_t t[CALLERS];
	unsigned seed[CALLERS];

	ck_assert_int_eq(cof_leaves_new(CALLERS + 1, &shared), 0);
	by_helpers = 0;
	for (unsigned i = 0; i < CALLERS; i++) {
		seed[i] = i;
		ck_assert_int_eq(pthread_create(&t[i], NULL, caller, &seed[i]), 0);
	}
	for (unsigned i = 0; i < CALLERS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_gt(by_helpers, 0);
	cof_leaves_free(shared);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("leaves");
	TCase *t = crypto_case("leaves");

	tcase_add_test(t, as_alone);
	tcase_add_test(t, given_up);
	tcase_add_test(t, many_callers);
	suite_add_tcase(s, t);
	return s;
}
