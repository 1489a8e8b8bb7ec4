/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puncturable key trees against a model that derives each leaf from the root seed and remembers
 * which inodes are gone.
 */
#include "test-crypto.h"

#include "crypto/keytree.h"

static uint8_t root[COF_KEY];

static void set_root(void)
{
	for (int i = 0; i < COF_KEY; i++)
		root[i] = (uint8_t)i;
}

/* The seed of the first levels of the way to the inode; 12 of them lead to its leaf. */
static void model_seed(uint64_t inode, unsigned levels, uint8_t *out)
{
	memcpy(out, root, COF_KEY);
	for (unsigned d = 0; d < levels; d++) {
		uint8_t label[] = "coffer/1 tree?";
		struct iovec v = {label, 14};

		label[13] = (uint8_t)(inode >> (44 - 4 * d) & 15);
		cof_hmac(out, COF_KEY, &v, 1, out);
	}
}

static struct cof_keytree *whole_tree(void)
{
	struct cof_keytree *t = cof_keytree_new();

	set_root();
	ck_assert_ptr_nonnull(t);
	ck_assert_int_eq(cof_keytree_add_root(t, root), 0);
	return t;
}

static bool derives(const struct cof_keytree *t, uint64_t inode)
{
	uint8_t want[COF_KEY], got[COF_KEY] = {0x77};
	int err = cof_keytree_derive(t, inode, got);

	if (err) {
		must(err == -ENOKEY);
		must(got[0] == 0x77);
		return false;
	}
	model_seed(inode, COF_KEYTREE_LEVELS, want);
	must(memcmp(got, want, COF_KEY) == 0);
	return true;
}

/* Computed with another implementation from docs/format.md 7.3. */
START_TEST(known_leaves)
{
	static const struct {
		uint64_t inode;
		const char *leaf;
	} known[] = {
	    {0, "287b7f99adcb1086e6f84069d4544fb41b3fb2f232d960ee003b113fe0fabb70"},
	    {1, "9f7c974bfad3f84712c9d066918956d150da50da8b11531b5ac93fde2bec7946"},
	    {2, "11906b9daca24847cab185a853f16c36d0c0f8513bb30223a835b663aff6dff4"},
	    {UINT64_C(0x123456789abc),
	     "c440b3524609ad6dbf943d41fc00377e2d0d3133fe9591fb81eb4f90caaa17e8"},
	    {(UINT64_C(1) << 48) - 1,
	     "ca9cfef334a963b3ee16e0b4661bdbcbb92aea7650ebfdb0841f662339cc434d"},
	};
	struct cof_keytree *t = whole_tree();
	uint8_t leaf[COF_KEY];

	for (size_t i = 0; i < COF_COUNT(known); i++) {
		ck_assert_int_eq(cof_keytree_derive(t, known[i].inode, leaf), 0);
		assert_hex(leaf, COF_KEY, known[i].leaf);
	}
	ck_assert_int_eq(cof_keytree_derive(t, UINT64_C(1) << 48, leaf), -EINVAL);
	ck_assert_int_eq(cof_keytree_derive(t, UINT64_MAX, leaf), -EINVAL);
	ck_assert_int_eq(cof_keytree_puncture(t, UINT64_C(1) << 48), -EINVAL);
	cof_keytree_free(t);
	cof_keytree_free(NULL);
}
END_TEST

/* ---- what the entries are ---- */

struct check {
	uint64_t next; /* the first inode number that the following entry may begin at */
	size_t count;
	const uint64_t *gone;
	size_t n_gone;
};

static int check_entry(void *user, const struct cof_keytree_entry *e)
{
	struct check *c = user;
	uint64_t span = UINT64_C(1) << (48 - 4 * e->depth);
	uint64_t first = e->prefix * span;
	uint8_t seed[COF_KEY];

	must(e->depth <= COF_KEYTREE_LEVELS);
	must(e->prefix < UINT64_C(1) << 4 * e->depth);
	must(first >= c->next);                /* ascending, and no two overlap */
	for (size_t i = 0; i < c->n_gone; i++) /* none leads to what is gone */
		must(c->gone[i] < first || c->gone[i] >= first + span);
	model_seed(first, e->depth, seed);
	must(memcmp(seed, e->seed, COF_KEY) == 0);
	c->next = first + span;
	c->count++;
	return 0;
}

static void check_entries(const struct cof_keytree *t, const uint64_t *gone, size_t n)
{
	struct check c = {.gone = gone, .n_gone = n};

	ck_assert_int_eq(cof_keytree_each(t, check_entry, &c), 0);
	ck_assert_uint_eq(c.count, cof_keytree_count(t));
}

/* ---- puncturing ---- */

/* All 256 inodes below one entry, in several orders: after each step exactly the rest derives. */
static void exhaust(uint64_t base, const uint8_t *order)
{
	struct cof_keytree *t = cof_keytree_new();
	struct cof_keytree_entry e = {.depth = 10, .prefix = base >> 8};
	uint64_t gone[256];
	bool is_gone[256] = {false};

	set_root();
	model_seed(base, 10, e.seed);
	ck_assert_int_eq(cof_keytree_add(t, &e), 0);
	for (size_t n = 0; n < 256; n++) {
		gone[n] = base + order[n];
		is_gone[order[n]] = true;
		must(cof_keytree_puncture(t, gone[n]) == 0);
		must(cof_keytree_puncture(t, gone[n]) == -ENOKEY);
		for (unsigned i = 0; i < 256; i++)
			must(derives(t, base + i) == !is_gone[i]);
		must(cof_keytree_count(t) <= 30 * (n + 1));
		check_entries(t, gone, n + 1);
	}
	ck_assert_uint_eq(cof_keytree_count(t), 0);
	must(!derives(t, base ? base - 1 : base + 256));
	must(!derives(t, base + 256));
	cof_keytree_free(t);
}

START_TEST(exhausted)
{
	uint64_t state = 0;
	uint8_t order[256];

	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 256; i++)
			order[i] = (uint8_t)(round == 1 ? 255 - i : i);
		for (int i = 255; round > 1 && i > 0; i--) {
			int j = (int)(draw(&state) % (uint64_t)(i + 1));
			uint8_t x = order[i];

			order[i] = order[j];
			order[j] = x;
		}
		exhaust(round == 3 ? (UINT64_C(1) << 48) - 512 : (uint64_t)round << 20, order);
	}
}
END_TEST

/* A new generation: the same below, others from there on, and none without them. */
START_TEST(generations)
{
	static const uint64_t froms[] = {COF_KEYTREE_CUT, 3 * COF_KEYTREE_CUT, UINT64_C(0x123456780000), (UINT64_C(1) << 48) - COF_KEYTREE_CUT};
	uint64_t from = froms[_i / 2], probe[] = {0, 1, 5, from - 2, from - 1, from, from + 1, from + COF_KEYTREE_CUT - 1, (UINT64_C(1) << 48) - 1};
	bool fresh = _i % 2;
	struct cof_keytree *t = whole_tree(), *whole = whole_tree();
	uint8_t was[COF_KEY], is[COF_KEY];

	ck_assert_int_eq(cof_keytree_puncture(t, 5), 0);
	ck_assert_int_eq(fresh ? cof_keytree_fresh(t, from) : cof_keytree_cut(t, from), 0);
	for (size_t i = 0; i < COF_COUNT(probe); i++) {
		int r = cof_keytree_derive(t, probe[i], is);

		ck_assert_int_eq(cof_keytree_derive(whole, probe[i], was), 0);
		if (probe[i] == 5 || (probe[i] >= from && !fresh)) {
			ck_assert_int_eq(r, -ENOKEY);
			continue;
		}
		ck_assert_int_eq(r, 0);
		ck_assert_int_eq(memcmp(was, is, COF_KEY) == 0, probe[i] < from);
	}
	ck_assert_int_eq(cof_keytree_cut(t, from), 0); /* of a fresh one too: what is below it stays */
	ck_assert_int_eq(cof_keytree_derive(t, from - 1, is), 0);
	ck_assert_int_eq(cof_keytree_derive(t, from, is), -ENOKEY);
	ck_assert_int_eq(cof_keytree_cut(t, from + 1), -EINVAL);
	ck_assert_int_eq(cof_keytree_cut(t, 0), -EINVAL);
	ck_assert_int_eq(cof_keytree_fresh(t, UINT64_C(1) << 48), -EINVAL);
	cof_keytree_free(whole);
	cof_keytree_free(t);
}
END_TEST

START_TEST(without_entries)
{
	struct cof_keytree *t = cof_keytree_new();

	ck_assert_int_eq(cof_keytree_cut(t, COF_KEYTREE_CUT), 0);
	ck_assert_uint_eq(cof_keytree_count(t), 0);
	ck_assert(!derives(t, 0));
	cof_keytree_free(t);
}
END_TEST

/* From the root: what lies beside a punctured inode, at every level, still derives. */
START_TEST(scattered)
{
	enum { N = 60 };
	struct cof_keytree *t = whole_tree();
	uint64_t gone[N], state = 7;

	ck_assert_int_eq(cof_keytree_puncture(t, 5), 0);
	ck_assert_uint_eq(cof_keytree_count(t), 12 * 15);
	ck_assert_int_eq(cof_keytree_puncture(t, 6), 0); /* a neighbour costs nothing */
	ck_assert_uint_eq(cof_keytree_count(t), 12 * 15 - 1);
	gone[0] = 5;
	gone[1] = 6;
	for (size_t n = 2; n < N; n++) {
		uint64_t mask = (UINT64_C(1) << (8 + draw(&state) % 41)) - 1;

		do
			gone[n] = draw(&state) & mask;
		while (!derives(t, gone[n]));
		must(cof_keytree_puncture(t, gone[n]) == 0);
		for (size_t i = 0; i <= n; i++)
			must(!derives(t, gone[i]));
		for (unsigned d = 0; d < 12; d++) {
			uint64_t beside = gone[n] ^ UINT64_C(1) << (4 * d + draw(&state) % 4);
			bool is_gone = false;

			for (size_t i = 0; i <= n; i++)
				is_gone |= gone[i] == beside;
			must(derives(t, beside) == !is_gone);
		}
	}
	check_entries(t, gone, N);
	cof_keytree_free(t);
}
END_TEST

/* ---- adding, pages ---- */

struct copy {
	struct cof_keytree_entry e[2000];
	size_t n;
};

static int copy_entry(void *user, const struct cof_keytree_entry *e)
{
	struct copy *c = user;

	must(c->n < COF_COUNT(c->e));
	c->e[c->n++] = *e;
	return 0;
}

static int stop_at_third(void *user, const struct cof_keytree_entry *e)
{
	(void)e;
	return ++*(int *)user == 3 ? -EDOM : 0;
}

/* Written out and added again, in any order, a tree is the same tree. */
START_TEST(written_and_read)
{
	static struct copy a, b;
	struct cof_keytree *t = whole_tree(), *u = cof_keytree_new();
	uint64_t state = 3;
	int calls = 0;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(cof_keytree_puncture(t, draw(&state) >> 16), 0);
	ck_assert_int_eq(cof_keytree_each(t, copy_entry, &a), 0);
	for (size_t i = 0; i < a.n; i++) /* 7 and n have no common divisor */
		ck_assert_int_eq(cof_keytree_add(u, &a.e[i * 7 % a.n]), 0);
	ck_assert_uint_ne(a.n % 7, 0);
	ck_assert_int_eq(cof_keytree_each(u, copy_entry, &b), 0);
	ck_assert_uint_eq(a.n, b.n);
	for (size_t i = 0; i < a.n; i++) {
		must(a.e[i].depth == b.e[i].depth && a.e[i].prefix == b.e[i].prefix);
		must(memcmp(a.e[i].seed, b.e[i].seed, COF_KEY) == 0);
		must(cof_keytree_add(u, &a.e[i]) == -EEXIST);
	}
	ck_assert_int_eq(cof_keytree_each(u, stop_at_third, &calls), -EDOM);
	ck_assert_int_eq(calls, 3);
	cof_keytree_free(t);
	cof_keytree_free(u);
}
END_TEST

START_TEST(add_refuses)
{
	static const struct {
		uint8_t depth;
		uint64_t prefix;
		int err;
	} cases[] = {
	    {13, 0, -EUCLEAN},
	    {255, 0, -EUCLEAN},
	    {0, 1, -EUCLEAN},
	    {1, 16, -EUCLEAN},
	    {12, UINT64_C(1) << 48, -EUCLEAN},
	    {11, UINT64_MAX, -EUCLEAN},
	    {2, 0x12, 0},
	    {2, 0x12, -EEXIST},
	    {1, 0x1, -EEXIST},
	    {0, 0, -EEXIST},
	    {3, 0x120, -EEXIST},
	    {3, 0x12f, -EEXIST},
	    {12, UINT64_C(0x12ffffffffff), -EEXIST},
	    {12, UINT64_C(0x130000000000), 0},
	    {3, 0x11f, 0},
	    {1, 0x1, -EEXIST},
	    {1, 0x0, 0},
	    {1, 0xf, 0},
	};
	struct cof_keytree *t = cof_keytree_new();
	size_t good = 0;

	for (size_t i = 0; i < COF_COUNT(cases); i++) {
		struct cof_keytree_entry e = {.depth = cases[i].depth, .prefix = cases[i].prefix};

		ck_assert_msg(cof_keytree_add(t, &e) == cases[i].err, "case %zu", i);
		good += cases[i].err == 0;
		ck_assert_uint_eq(cof_keytree_count(t), good);
	}
	cof_keytree_free(t);
}
END_TEST

/* A puncture changes the top and the one page of the inode's top 32 bits: see docs/format.md 7.3.
 */
START_TEST(touches_one_page)
{
	static struct copy before, after;
	struct cof_keytree *t = whole_tree();
	static const uint64_t inodes[] = {1, 2, 65536, 70000, UINT64_C(0xabcdef012345), 3};

	for (size_t k = 0; k < COF_COUNT(inodes); k++) {
		size_t j = 0;

		before.n = after.n = 0;
		ck_assert_int_eq(cof_keytree_each(t, copy_entry, &before), 0);
		ck_assert_int_eq(cof_keytree_puncture(t, inodes[k]), 0);
		ck_assert_int_eq(cof_keytree_each(t, copy_entry, &after), 0);
		for (size_t i = 0; i < after.n; i++) {
			const struct cof_keytree_entry *e = &after.e[i];

			if (e->depth <= COF_KEYTREE_TOP ||
			    e->prefix >> 4 * (e->depth - COF_KEYTREE_TOP) == inodes[k] >> 16)
				continue;
			while (j < before.n &&
			       (before.e[j].depth != e->depth || before.e[j].prefix != e->prefix))
				j++;
			must(j < before.n); /* in another page only what was there */
		}
	}
	cof_keytree_free(t);
}
END_TEST

/* ---- memory ---- */

/* Without memory for all siblings nothing changes; with it, it works. */
START_TEST(all_or_nothing)
{
	enum { MOST = 40000 };
	static void *taken[MOST];
	struct cof_keytree *t = whole_tree();
	size_t n = 0;

	while (n < MOST && (taken[n] = cof_secret_alloc(32)))
		n++;
	ck_assert_uint_lt(n, MOST);
	for (int room = 0; room < 180; room++) { /* one place more each time */
		must(cof_keytree_puncture(t, 99) == -ENOMEM);
		must(cof_keytree_count(t) == 1);
		must(derives(t, 99));
		cof_secret_free(taken[--n]);
	}
	ck_assert_int_eq(cof_keytree_puncture(t, 99), 0);
	must(!derives(t, 99));
	must(derives(t, 98));
	cof_keytree_free(t);
	while (n > 0)
		cof_secret_free(taken[--n]);
}
END_TEST

/* What led to the inode is nowhere in the pool any more: neither the root's seed nor any below. */
START_TEST(removed_is_wiped)
{
	enum { AREA = 400 * 32 };
	uint8_t *area = cof_secret_alloc(32), seed[COF_KEY];
	struct cof_keytree *t;

	ck_assert_ptr_nonnull(area);
	cof_secret_free(area); /* the next allocations begin here */
	t = whole_tree();
	ck_assert_mem_eq(area, root, COF_KEY);
	ck_assert_int_eq(cof_keytree_puncture(t, UINT64_C(0x123456789abc)), 0);
	for (unsigned d = 0; d <= COF_KEYTREE_LEVELS; d++) {
		model_seed(UINT64_C(0x123456789abc), d, seed);
		ck_assert_ptr_null(memmem(area, AREA, seed, COF_KEY));
	}
	model_seed(UINT64_C(0x123456789abd), COF_KEYTREE_LEVELS, seed);
	ck_assert_ptr_nonnull(memmem(area, AREA, seed, COF_KEY)); /* this is where they are */
	cof_keytree_free(t);
	ck_assert_ptr_null(memmem(area, AREA, seed, COF_KEY));
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("keytree");
	TCase *t = crypto_case("keytree");

	tcase_add_test(t, known_leaves);
	tcase_add_test(t, exhausted);
	tcase_add_test(t, scattered);
	tcase_add_loop_test(t, generations, 0, 8);
	tcase_add_test(t, without_entries);
	tcase_add_test(t, written_and_read);
	tcase_add_test(t, add_refuses);
	tcase_add_test(t, touches_one_page);
	tcase_add_test(t, all_or_nothing);
	tcase_add_test(t, removed_is_wiped);
	suite_add_tcase(s, t);
	return s;
}
