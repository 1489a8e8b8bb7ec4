/* SPDX-License-Identifier: Apache-2.0 */
/* Random frames against the model: at every version, fed or not, fed twice, reopened, begun anew.
 */
#include "model.h"

static struct cof_index *reopen(struct cof_index *ix, const struct model *m)
{
	bool fresh = true;
	uint64_t fed = cof_index_fed(ix), last = cof_index_last_ino(ix);
	cof_index_close(ix);
	ix = open_here(&fresh);
	ck_assert(!fresh);
	ck_assert_uint_eq(cof_index_fed(ix), fed);
	ck_assert_uint_le(cof_index_last_ino(ix), last);
	model_catch_up(ix, m);
	ck_assert_uint_eq(cof_index_last_ino(ix), last);
	return ix;
}

static struct cof_index *step(struct cof_index *ix, struct model *m, struct dice *d)
{
	uint64_t from;
	switch (roll(d, 60)) {
	case 0:
		return reopen(ix, m);
	case 1:
		ck_assert(!cof_index_reset(ix));
		ck_assert_uint_eq(cof_index_fed(ix), 0);
		model_catch_up(ix, m);
		return ix;
	case 2: /* some of it twice, in order */
		for (from = roll(d, m->n); from < m->n; from++)
			SURE(!model_put(ix, m, from));
		return ix;
	case 3:
		cof_index_bulk(ix, roll(d, 2));
		return ix;
	case 4:
	case 5:
	case 6:
	case 7:
		feed(ix, m->n);
		return ix;
	case 8:
	case 9:
		model_check(ix, m, roll(d, 3) ? roll(d, m->n + 2) : COF_INDEX_NOW, false);
		return ix;
	default:
		from = m->n;
		model_grow(m, d);
		for (; from < m->n; from++)
			SURE(!model_put(ix, m, from));
		return ix;
	}
}

START_TEST(random_frames)
{
	struct dice d = {1000 + (uint64_t)_i};
	struct model m = {0};
	struct cof_index *ix = open_here(NULL);
	model_grow(&m, &d);
	for (int i = 0; i < 700; i++)
		ix = step(ix, &m, &d);
	for (int i = 0; i < 12; i++)
		model_check(ix, &m, roll(&d, m.n + 1), false);
	cof_index_bulk(ix, false);
	feed(ix, m.n);
	ix = reopen(ix, &m);
	model_check(ix, &m, COF_INDEX_NOW, false);
	for (int i = 0; i < 12; i++)
		model_check(ix, &m, roll(&d, m.n + 1), false);
	cof_index_close(ix);
	model_done(&m);
}
END_TEST

/* The same in memory: what a snapshot uses. */
START_TEST(in_memory)
{
	struct dice d = {5};
	struct model m = {0};
	bool fresh = false;
	struct cof_index *ix = open_at("", 0, &fresh);
	ck_assert(fresh);
	for (int i = 0; i < 300; i++)
		model_grow(&m, &d);
	model_catch_up(ix, &m);
	feed(ix, m.n);
	ck_assert_uint_eq(cof_index_fed(ix), m.n);
	for (int i = 0; i < 20; i++)
		model_check(ix, &m, roll(&d, m.n + 1), false);
	ck_assert(!cof_index_reset(ix));
	ck_assert_uint_eq(cof_index_fed(ix), 0);
	uint64_t ino;
	ck_assert_int_eq(cof_index_lookup(ix, COF_INDEX_NOW, 1, "name 1", 6, &ino), -ENOENT);
	cof_index_close(ix);
	model_done(&m);
}
END_TEST

TCase *model_case(void)
{
	TCase *c = index_case("model");
	tcase_add_loop_test(c, random_frames, 0, slow_tests() ? 200 : 12);
	tcase_add_test(c, in_memory);
	return c;
}
