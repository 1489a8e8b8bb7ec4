/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention, holds, people, approvals and destruction under random operations and crashes, beside a model of the rules:
 * crashes at any operation of the store, between an approval and its act and while the next mount finishes it
 * too, clocks that are set, machines that boot. At the end of each seed the judge of coffer verify has to find
 * what the model has: as many requests, and not one frame that was not permitted.
 */
#include <stdio.h>

#include "tests/sim/clocks.h"
#include "tests/sim/rules-world.h"
#include "tests/sim/seeds.h"

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 40
#else
#define SEEDS 130 /* some 12 s of processor time */
#endif
#define SEEDS_LONG 5000
#define ROUNDS 4
#define HOUR (3600 * COF_NSEC)

struct play {
	struct rules_world w;
	uint64_t random;
};

static uint64_t dice(struct play *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (p->random >> 8) % n;
}

/* ---- choosing ---- */

enum want { OPEN_FILE, COMMITTED, EXPIRED, DESTROYABLE, WAITING, FILES, DIRECTORY };

static bool fits(const struct rm *m, unsigned i, enum want want)
{
	const struct rm_node *n = &m->node[i];

	if (want == DESTROYABLE)
		return n->ino && rm_destroyable(m, n);
	if (n->removed || n->dir != (want == DIRECTORY))
		return false;
	return want == OPEN_FILE   ? !n->committed
	       : want == COMMITTED ? n->committed
	       : want == EXPIRED   ? rm_expired(m, n)
	       : want == WAITING   ? n->waits
				   : true;
}

static bool some(struct play *p, enum want want, unsigned *ret)
{
	const struct rm *m = &p->w.m;
	unsigned from = (unsigned)dice(p, m->nodes);

	for (unsigned i = 0; i < m->nodes; i++)
		if (fits(m, (from + i) % m->nodes, want)) {
			*ret = (from + i) % m->nodes;
			return true;
		}
	return false;
}

/* About so many days from now, to either side. */
static int64_t about(struct play *p, int64_t days)
{
	return p->w.m.now + (int64_t)dice(p, (uint64_t)days) * RM_DAY + (int64_t)dice(p, 1000000000);
}

static struct rm_policy some_policy(struct play *p, unsigned shelf)
{
	struct rm_policy q = p->w.m.policy[shelf];

	switch (dice(p, 4)) {
	case 0:
		q.governance = !q.governance;
		break;
	case 1:
		q.persons = (uint8_t)(2 + dice(p, 2));
		break;
	case 2:
		q.cooling = (int32_t)dice(p, 8);
		break;
	default:
		q.kept = 1 + (int32_t)dice(p, 30);
	}
	return q;
}

/* ---- steps ---- */

static void make_something(struct play *p)
{
	unsigned dir;

	if (p->w.m.nodes < RM_NODES && some(p, DIRECTORY, &dir) && (dir < RM_SHELVES || p->w.m.node[dir].parent < RM_SHELVES))
		rules_create(&p->w, dir, dice(p, 4) == 0);
}

static void commit_something(struct play *p)
{
	unsigned i;

	if (!some(p, OPEN_FILE, &i))
		return;
	rules_write(&p->w, i);
	if (!p->w.down)
		rules_commit(&p->w, i, dice(p, 2) ? RM_NONE : about(p, 30) - (dice(p, 8) ? 0 : 40 * RM_DAY));
}

static void touch_retention(struct play *p)
{
	unsigned i;

	if (!some(p, dice(p, 8) ? COMMITTED : FILES, &i))
		return;
	if (dice(p, 3) == 0)
		rules_wait(&p->w, i, (uint8_t)dice(p, 2));
	else
		rules_extend(&p->w, i, about(p, 60) - (int64_t)dice(p, 20) * RM_DAY);
}

static void move_something(struct play *p)
{
	unsigned i, dir;

	if (!some(p, dice(p, 5) ? OPEN_FILE : FILES, &i))
		return;
	if (dice(p, 4) == 0)
		rules_unlink(&p->w, i);
	else if (some(p, DIRECTORY, &dir) && dir != p->w.m.node[i].parent)
		rules_rename(&p->w, i, dir);
}

static void hold_something(struct play *p)
{
	uint8_t nodes[RM_OBJECTS];
	unsigned n = 1 + (unsigned)dice(p, 2), i;

	if (p->w.m.n_holds >= RM_HOLDS)
		return;
	for (unsigned k = 0; k < n; k++) {
		if (!some(p, dice(p, 2) ? DIRECTORY : FILES, &i))
			return;
		nodes[k] = (uint8_t)i;
	}
	if (n == 2 && nodes[0] == nodes[1])
		n = 1;
	rules_hold(&p->w, nodes, n);
}

static bool choose_files(struct play *p, struct rm_request *q, enum want want)
{
	unsigned n = 1 + (unsigned)dice(p, 2), i;

	for (unsigned k = 0; k < n; k++) {
		if (!some(p, dice(p, 10) ? want : FILES, &i))
			return false;
		if (k && q->object[0] == i)
			break;
		q->object[q->n++] = (uint8_t)i;
	}
	if (q->n == 2 && q->object[0] > q->object[1]) { /* in order of their inodes */
		uint8_t one = q->object[0];

		q->object[0] = q->object[1];
		q->object[1] = one;
	}
	return true;
}

static bool choose_hold(struct play *p, struct rm_request *q)
{
	for (unsigned k = 0; k < 3 && p->w.m.n_holds; k++) {
		q->object[0] = (uint8_t)dice(p, p->w.m.n_holds);
		q->n = 1;
		if (p->w.m.holds & (1u << q->object[0]))
			return true;
	}
	return p->w.m.n_holds != 0;
}

static void choose_people(struct play *p, struct rm_request *q)
{
	static const uint8_t officers = 1 | 2 | 16;

	q->people = p->w.m.people;
	if (dice(p, 3))
		q->people.present ^= (uint8_t)(2u << dice(p, 6));
	else
		q->people.revoked ^= (uint8_t)(2u << dice(p, 6));
	q->too_few = __builtin_popcount(q->people.present & officers) < 2;
}

static void request_something(struct play *p)
{
	struct rm_request q = {.act = (enum rm_act)dice(p, RM_ACTS), .author = (uint8_t)dice(p, RM_PERSONS)};
	bool chosen = p->w.drafts < RM_REQUESTS && p->w.m.n_requests < RM_REQUESTS;
	unsigned was = p->w.drafts;

	if (q.act >= RM_POLICY && dice(p, 2)) /* files and holds are what it is for */
		q.act = (enum rm_act)dice(p, RM_POLICY);
	if (dice(p, 6) == 0) /* what it comes to in the end */
		q.act = RM_DESTROY;
	switch (q.act) {
	case RM_HOLD_END:
		chosen &= choose_hold(p, &q);
		break;
	case RM_POLICY:
		q.object[0] = (uint8_t)dice(p, RM_SHELVES);
		q.n = 1;
		q.policy = some_policy(p, q.object[0]);
		break;
	case RM_PEOPLE:
		choose_people(p, &q);
		break;
	case RM_CATCH_UP:
		q.time = (dice(p, 4) ? cof_now(CLOCK_REALTIME) : about(p, 40)) / COF_NSEC * COF_NSEC;
		break;
	case RM_EVENT:
		q.event = (uint8_t)(dice(p, 3) == 0);
		q.time = p->w.m.now - (int64_t)dice(p, 5) * RM_DAY + (dice(p, 6) ? 0 : 3 * RM_DAY);
		chosen &= choose_files(p, &q, WAITING);
		break;
	case RM_RETENTION_END:
		q.time = about(p, 20) - (int64_t)dice(p, 20) * RM_DAY;
		chosen &= choose_files(p, &q, COMMITTED);
		break;
	case RM_DESTROY:
		chosen &= choose_files(p, &q, dice(p, 3) ? DESTROYABLE : COMMITTED); /* too early, or on hold */
		break;
	default:
		chosen &= choose_files(p, &q, EXPIRED);
	}
	if (!chosen)
		return;
	rules_make(&p->w, &q, dice(p, 3) ? 30 * RM_DAY : 1 + (int64_t)dice(p, 48) * HOUR + COF_NSEC, dice(p, 12) == 0);
	if (p->w.down || p->w.drafts == was)
		return;
	if (dice(p, 8))
		rules_submit(&p->w, was, dice(p, 10) ? q.author : (unsigned)dice(p, RM_PERSONS), dice(p, 10) != 0);
}

static void vote_on_something(struct play *p)
{
	unsigned draft, tries = 1 + (unsigned)dice(p, 4);

	if (!p->w.drafts)
		return;
	draft = dice(p, 3) ? p->w.drafts - 1 - (unsigned)dice(p, COF_MIN(p->w.drafts, 3u)) : (unsigned)dice(p, p->w.drafts);
	if (dice(p, 8) == 0) /* a second time, or late */
		rules_submit(&p->w, draft, p->w.draft[draft].q.author, true);
	for (unsigned i = 0; i < tries && !p->w.down; i++)
		rules_vote(&p->w, draft, (unsigned)dice(p, RM_PERSONS), dice(p, 20) != 0, dice(p, 20) != 0, dice(p, 30) == 0);
}

static void let_time_pass(struct play *p)
{
	rules_pass(&p->w, (int64_t)dice(p, dice(p, 6) ? HOUR : 12 * RM_DAY));
	if (dice(p, 30) == 0)
		clocks_step(dice(p, 2) ? (int64_t)dice(p, 40) * RM_DAY : -(int64_t)dice(p, 20) * RM_DAY);
	p->w.m.wall = cof_now(CLOCK_REALTIME);
}

static void operate(struct play *p)
{
	uint64_t what = dice(p, 100);
	unsigned shelf;

	let_time_pass(p);
	if (what < 16) {
		make_something(p);
	} else if (what < 26) {
		commit_something(p);
	} else if (what < 33) {
		touch_retention(p);
	} else if (what < 42) {
		move_something(p);
	} else if (what < 47) {
		hold_something(p);
	} else if (what < 50) {
		shelf = (unsigned)dice(p, RM_SHELVES);
		rules_set_policy(&p->w, shelf, &(struct rm_policy[]){some_policy(p, shelf)}[0]);
	} else if (what < 66) {
		request_something(p);
	} else if (what < 92) {
		vote_on_something(p);
	} else if (what < 96) {
		rules_sync(&p->w);
	} else {
		rules_close(&p->w);
		if (!p->w.down)
			rules_open(&p->w);
	}
}

static void play(uint64_t seed)
{
	struct play *p = calloc(1, sizeof(*p));
	struct rules_world *w = &p->w;

	ck_assert_ptr_nonnull(p);
	p->random = seed * 0x9e3779b97f4a7c15ull + 1;
	(void)snprintf(rules_doing, sizeof(rules_doing), "seed %llu", (unsigned long long)seed);
	rules_new(w, seed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = 20 + (unsigned)dice(p, 40);
		enum cof_sim_loss loss = (enum cof_sim_loss)dice(p, 3);

		(void)snprintf(rules_doing, sizeof(rules_doing), "seed %llu, round %u", (unsigned long long)seed, round);
		if (!w->crash_at && dice(p, 5)) { /* one that was planned for the opening may be still to come */
			w->crash_at = cof_sim_ops(w->sim) + 1 + dice(p, 250);
			cof_sim_plan(w->sim, COF_SIM_CRASH, w->crash_at);
		}
		for (unsigned i = 0; i < n && !w->down; i++)
			operate(p);
		rules_crash(w, loss);
		rules_reopen(w, loss, dice(p, 3) ? 0 : 1 + dice(p, 40));
	}
	rules_close(w);
	rules_judge(w, true);
	if (getenv("COF_SHOW"))
		fprintf(stderr, "seed %llu: %u nodes, %u holds, %u requests; done: %u %u %u %u %u %u %u %u; %u refused\n",
			(unsigned long long)seed, w->m.nodes, w->m.n_holds, w->m.n_requests, w->done[0], w->done[1], w->done[2],
			w->done[3], w->done[4], w->done[5], w->done[6], w->done[7], w->refused);
	rules_free(w);
	free(p);
}

int main(int argc COF_UNUSED, char **argv)
{
	return seeds_main(&(struct seeds){"sim-rules", play, SEEDS, SEEDS_LONG, NULL}, argv);
}
