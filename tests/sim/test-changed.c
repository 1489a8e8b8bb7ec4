/* SPDX-License-Identifier: Apache-2.0 */
/* A request whose file was on hold in between, and looks as before, is refused, by the archive as by the judge. */
#include "tests/sim/rules-world.h"
#include "tests/sim/seeds.h"

static void agree(struct rules_world *w, struct rm_request *q, bool by_other)
{
	unsigned draft = w->drafts;

	rules_make(w, q, 30 * RM_DAY, false);
	ck_assert_uint_eq(w->drafts, draft + 1);
	rules_submit(w, draft, 0, true);
	if (by_other)
		rules_vote(w, draft, 1, true, true, false);
}

static void play(uint64_t seed)
{
	static struct rules_world w;
	struct rm_request end = {.act = RM_RETENTION_END, .n = 1, .object = {RM_SHELVES}};
	struct rm_request hold_end = {.act = RM_HOLD_END, .n = 1};

	rules_new(&w, seed);
	rules_create(&w, 1, false);
	rules_write(&w, RM_SHELVES);
	rules_commit(&w, RM_SHELVES, RM_NONE);
	end.time = w.m.now;
	agree(&w, &end, false);
	rules_hold(&w, &(uint8_t){RM_SHELVES}, 1);
	agree(&w, &hold_end, true);
	ck_assert_uint_eq(w.done[RM_HOLD_END], 1);
	rules_vote(&w, 0, 1, true, true, false);
	ck_assert_uint_eq(w.done[RM_RETENTION_END], 0);
	rules_close(&w);
	rules_judge(&w, true);
	rules_free(&w);
}

int main(int argc COF_UNUSED, char **argv)
{
	return seeds_main(&(struct seeds){"sim-changed", play, 1, 1, NULL}, argv);
}
