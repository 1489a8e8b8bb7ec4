/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds, events, modes and what ends by approval: each operation on each state by each person under each
 * policy, some hundred thousand cells, against promises that are written down here a second time.
 */
#include <check.h>
#include <fcntl.h>

#include "fs/index/index.h" /* its numbers of kinds and states alone */
#include "fs/rules/rules.h"

TCase *hold_case(void);

#define DAY (86400 * COF_NSEC)
#define NOW (20000 * DAY)
#define EVENT "contract-end"

static const char *const policies[] = {
    "",
    "retention = 10d\n",
    "retention = 10d\nmode = governance\n",
    "retention = 10d\nretention_max = 20d\nstrict = yes\n",
    "retention = 10d\ncooling_off = 2d\nretain_event = " EVENT "\n",
    "refuse = rofs\nretention = 10d\nmode = governance\n",
    "quota = 1\nautocommit = 1s\nretention = 1s\n",
};
static const struct cof_who people[] = {
    {8, 8, 1, false}, {7, 7, 1, false}, {0, 0, 1, false}, {0, 0, 0, true}};

struct cell {
	struct cof_policy policy;
	struct cof_object o;
	struct cof_op op;
	const struct cof_who *who;
};

/* What of the state is kept apart: bits of a number. */
static void make_object(unsigned n, struct cof_object *o)
{
	static const int64_t untils[] = {NOW - DAY, NOW + DAY, COF_RETAIN_NONE, COF_RETAIN_INFINITE};
	static const int64_t binds[] = {COF_RETAIN_NONE, 0, NOW - 1, NOW + DAY};

	*o = (struct cof_object){.kind = COF_KIND_FILE, .ino = 9, .parent = 5, .size = 100, .uid = 7, .gid = 7,
				 .retain_until = COF_RETAIN_NONE, .asked_until = COF_RETAIN_NONE,
				 .least_until = COF_RETAIN_NONE, .binds_from = COF_RETAIN_NONE};
	o->holds = n & 1 ? 2 : 0;
	o->held_by_name = (n & 3) == 3;
	o->mode = 0644;
	if (n >> 2 & 1) {
		o->size = 0;
		o->empty_dir = true;
		o->kind = n >> 3 & 1 ? COF_KIND_DIR : COF_KIND_FILE;
		return;
	}
	if (!(n >> 3 & 1))
		return;
	o->state = COF_STATE_COMMITTED;
	o->mode = 0444;
	o->retain_until = untils[n >> 4 & 3];
	o->binds_from = binds[n >> 6 & 3];
	o->event_due = n >> 8 & 1;
	o->event_span = 5 * DAY;
	if (o->event_due)
		strcpy(o->event, EVENT);
	o->mode_kept = n >> 9 & 1 ? COF_GOVERNANCE : COF_COMPLIANCE;
	o->least_until = n >> 10 & 1 ? NOW + 2 * DAY : COF_RETAIN_NONE;
}
#define STATES 2048u

static const struct cof_op ops[] = {
    {COF_OP_WRITE, .offset = 100, .length = 1},
    {COF_OP_WRITE, .offset = 0, .length = 1},
    {COF_OP_TRUNCATE, .length = 0},
    {COF_OP_OPEN, .flags = O_WRONLY | O_TRUNC},
    {COF_OP_CHMOD, .mode = 0444},
    {COF_OP_CHMOD, .mode = 0600},
    {COF_OP_CHOWN, .uid = 3, .valid = COF_SET_UID},
    {COF_OP_UTIMES, .atime = NOW + DAY / 2, .valid = COF_SET_ATIME},
    {COF_OP_UTIMES, .atime = NOW + 15 * DAY, .valid = COF_SET_ATIME},
    {COF_OP_UNLINK, .name = "n"},
    {COF_OP_RMDIR, .name = "n"},
    {COF_OP_RENAME, .parent = 5, .new_parent = 5},
    {COF_OP_RENAME, .parent = 5, .new_parent = 6},
    {COF_OP_COMMIT},
    {COF_OP_RETAIN, .retain = NOW + 15 * DAY},
    {COF_OP_RETAIN, .retain = NOW - 15 * DAY},
    {COF_OP_RETAIN_EVENT, .name = EVENT},
    {COF_OP_RETAIN_EVENT, .name = "other"},
    {COF_OP_HOLD_BEGIN},
    {COF_OP_HOLD_END},
    {COF_OP_RETENTION_END, .retain = NOW},
    {COF_OP_RETENTION_END, .retain = NOW + DAY / 2},
    {COF_OP_RETENTION_END, .retain = NOW + 3000 * DAY},
    {COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW},
    {COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW - 7 * DAY},
    {COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW + 1},
    {COF_OP_EVENT_DECLARE, .name = "other", .retain = NOW},
    {COF_OP_REMOVE},
    {COF_OP_DESTROY},
};

/* ---- the promises, a second time ---- */

static bool over(const struct cof_object *o)
{
	return o->state == COF_STATE_COMMITTED && !o->holds && !o->event_due &&
	       o->retain_until != COF_RETAIN_NONE && o->retain_until <= NOW && o->least_until <= NOW;
}

static bool endable(const struct cell *c)
{
	return (c->o.binds_from > 0 && NOW < c->o.binds_from) ||
	       (c->o.mode_kept == COF_GOVERNANCE && c->policy.mode == COF_GOVERNANCE);
}

static int64_t end_of(const struct cof_object *o)
{
	if (o->event_due || o->retain_until == COF_RETAIN_NONE)
		return COF_RETAIN_INFINITE;
	return COF_MAX(o->retain_until, o->least_until);
}

/* Check notes each assertion in a file, which is too slow for so many. */
#define PROMISE(holds)                                                                             \
	do {                                                                                       \
		if (!(holds))                                                                      \
			ck_abort_msg("state %u, %s by %u, approved %d, error %d: not so: " #holds, \
				     at_cell.state, cof_op_name((enum cof_op_kind)at_cell.op),     \
				     at_cell.uid, at_cell.approved, at_cell.error);               \
	} while (0)
static struct at {
	unsigned state, op, uid;
	bool approved;
	int error;
} at_cell; /* that is looked at */

static void check_held(const struct cell *c, const struct cof_ruling *rl)
{
	if (!c->o.holds)
		return;
	PROMISE(rl->effect != COF_EFFECT_REMOVE && rl->effect != COF_EFFECT_DESTROY);
	if (c->o.held_by_name)
		PROMISE(rl->effect != COF_EFFECT_RENAME);
	if (c->op.kind == COF_OP_UNLINK && c->o.kind == COF_KIND_FILE)
		PROMISE(!strcmp(rl->rule, "held"));
}

static void check_ends(const struct cell *c, const struct cof_ruling *rl)
{
	bool fixed = c->o.state == COF_STATE_COMMITTED;

	if (fixed && rl->effect == COF_EFFECT_REMOVE)
		PROMISE(c->op.kind == COF_OP_REMOVE && c->op.approved && over(&c->o));
	if (c->op.kind == COF_OP_REMOVE && c->op.approved && over(&c->o))
		PROMISE(rl->effect == COF_EFFECT_REMOVE);
	if (rl->effect == COF_EFFECT_DESTROY)
		PROMISE(c->op.kind == COF_OP_DESTROY && c->op.approved && c->o.kind == COF_KIND_FILE && over(&c->o));
	if (c->op.kind == COF_OP_DESTROY && c->op.approved && c->o.kind == COF_KIND_FILE && over(&c->o))
		PROMISE(rl->effect == COF_EFFECT_DESTROY);
	if (c->op.kind == COF_OP_RETENTION_END && fixed) {
		bool fits = endable(c) && c->op.approved && c->op.retain < end_of(&c->o) &&
			    c->o.least_until <= c->op.retain;

		PROMISE((rl->effect == COF_EFFECT_END) == (fits));
		if (!endable(c))
			PROMISE(!strcmp(rl->rule, "compliance"));
	}
	if (rl->effect == COF_EFFECT_END)
		PROMISE(c->op.kind == COF_OP_RETENTION_END && rl->retain_until == c->op.retain);
	if (rl->effect == COF_EFFECT_HOLD)
		PROMISE(c->op.kind == COF_OP_HOLD_BEGIN ? c->who->uid == 0
							   : c->op.kind == COF_OP_HOLD_END && c->op.approved && c->o.holds);
	if (rl->effect == COF_EFFECT_EXTEND && c->o.retain_until != COF_RETAIN_NONE)
		PROMISE(rl->retain_until > c->o.retain_until);
}

static void check_events(const struct cell *c, const struct cof_ruling *rl)
{
	if (c->op.kind == COF_OP_EVENT_DECLARE && c->o.state == COF_STATE_COMMITTED) {
		bool fits = c->op.approved && c->o.event_due && !strcmp(c->op.name, EVENT) && c->op.retain <= NOW;

		PROMISE((rl->effect == COF_EFFECT_EVENT) == (fits));
	}
	if (rl->effect != COF_EFFECT_EVENT)
		return;
	if (c->op.kind == COF_OP_EVENT_DECLARE) {
		PROMISE(rl->retain_until == COF_MAX(c->op.retain + c->o.event_span, c->o.retain_until));
	} else {
		PROMISE(c->op.kind == COF_OP_RETAIN_EVENT && !c->o.event_due && c->who->uid != 8);
		PROMISE(!strcmp(rl->event, c->op.name));
		PROMISE(rl->retain_until == c->o.retain_until);
	}
}

static void check_sentence(const struct cof_ruling *rl)
{
	PROMISE(rl->rule && *rl->rule && rl->reason && *rl->reason);
	if (!rl->error)
		return;
	PROMISE(rl->effect == COF_EFFECT_NONE);
	PROMISE(rl->reason[strlen(rl->reason) - 1] == '.');
	if (!strcmp(rl->rule, "needs-approval") || !strcmp(rl->rule, "held"))
		PROMISE(rl->record && strstr(rl->reason, "coffer request"));
}

/* Numbers alone: who looks for a cell finds it by them. */
static void tell(const struct cell *c, unsigned state, const struct cof_ruling *rl)
{
	at_cell = (struct at){state, c->op.kind, c->who->uid, c->op.approved, rl->error};
}

START_TEST(each_cell)
{
	struct cell c = {.who = NULL};
	struct cof_ruling rl;
	unsigned cells = 0;

	unsigned step = getenv("COFFER_LONG") ? 1 : 7; /* 7 and 2048 have no divisor in common */

	ck_assert_int_eq(cof_policy_parse(policies[_i], strlen(policies[_i]), &c.policy, NULL), 0);
	for (unsigned s = (unsigned)_i % step; s < STATES; s += step)
		for (size_t k = 0; k < COF_COUNT(ops); k++)
			for (size_t w = 0; w < COF_COUNT(people); w++)
				for (int approved = 0; approved < 2; approved++) {
					make_object(s, &c.o);
					c.op = ops[k];
					c.op.approved = approved;
					c.who = &people[w];
					c.o.idle_since = NOW; /* not due for being idle */
					cof_rule(&c.policy, &c.o, &c.op, c.who, NOW, &rl);
					tell(&c, s, &rl);
					check_sentence(&rl);
					check_held(&c, &rl);
					check_ends(&c, &rl);
					check_events(&c, &rl);
					PROMISE((cof_state_now(&c.policy, &c.o, NOW) == COF_STATE_EXPIRED) == (over(&c.o)));
					cells++;
				}
	ck_assert_uint_gt(cells, 60000);
}
END_TEST

START_TEST(replacing_what_is_held)
{
	struct cof_object o = {.kind = COF_KIND_FILE, .size = 1, .target_exists = true, .target_empty = true,
			       .target_kind = COF_KIND_FILE};
	struct cof_op op = {COF_OP_RENAME, .parent = 5, .new_parent = 5};
	struct cof_ruling rl;

	cof_rule(NULL, &o, &op, &people[1], NOW, &rl);
	ck_assert_int_eq(rl.error, 0);
	o.target_held = true;
	cof_rule(NULL, &o, &op, &people[1], NOW, &rl);
	ck_assert(rl.error == -EPERM && rl.record && !strcmp(rl.rule, "held"));
}
END_TEST

/* Reasons that few operations have: the word, and whether it goes on record. */
START_TEST(seldom)
{
	enum { OPEN, FIXED, WAITS };
#define END(text) .name = "user.coffer.retain_until", .data = text, .length = sizeof(text) - 1
	static const struct {
		struct cof_op op;
		uint8_t state;
		int error;
		const char *rule;
		bool record;
	} rows[] = {
	    {{COF_OP_HOLD_END, .approved = true}, FIXED, -EINVAL, "not-held", false},
	    {{COF_OP_RETAIN_EVENT, .name = "Contract end"}, FIXED, -EINVAL, "event-name", false},
	    {{COF_OP_RETAIN_EVENT}, FIXED, -EINVAL, "event-name", false},
	    {{COF_OP_RETAIN_EVENT, .name = "other"}, WAITS, -EPERM, "event", true},
	    {{COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW, .approved = true}, FIXED, -EINVAL, "event-none", false},
	    {{COF_OP_EVENT_DECLARE, .name = "other", .retain = NOW, .approved = true}, WAITS, -EINVAL, "event-none", false},
	    {{COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW + 1, .approved = true}, WAITS, -EINVAL, "event-time", false},
	    {{COF_OP_EVENT_DECLARE, .name = EVENT, .retain = -1, .approved = true}, WAITS, -EINVAL, "event-time", false},
	    {{COF_OP_EVENT_DECLARE, .name = EVENT, .retain = NOW}, WAITS, -EPERM, "needs-approval", true},
	    {{COF_OP_SETXATTR, END("soon")}, FIXED, -EINVAL, "retention-text", false},
	    {{COF_OP_SETXATTR, END("")}, OPEN, -EINVAL, "retention-text", false},
	    {{COF_OP_RETAIN, .retain = COF_RETAIN_NONE}, FIXED, -EINVAL, "retention-text", false},
	    {{COF_OP_MMAP_WRITE}, OPEN, -ENODEV, "no-shared-mapping", true},
	    {{COF_OP_REFLINK}, OPEN, -EOPNOTSUPP, "no-reflink", false},
	    {{COF_OP_DESTROY, .approved = true}, OPEN, -EPERM, "not-committed", true},
	    {{COF_OP_DESTROY}, OPEN, -EPERM, "not-committed", true},
	};
#undef END

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		struct cof_object o = {.kind = COF_KIND_FILE, .size = 1, .uid = 7, .mode = 0444, .retain_until = NOW + DAY,
				       .asked_until = COF_RETAIN_NONE, .binds_from = COF_RETAIN_NONE, .event_span = DAY};
		struct cof_policy p;
		struct cof_ruling rl;

		ck_assert_int_eq(cof_policy_parse(policies[1], strlen(policies[1]), &p, NULL), 0);
		o.state = rows[i].state == OPEN ? COF_STATE_OPEN : COF_STATE_COMMITTED;
		o.event_due = rows[i].state == WAITS;
		if (o.event_due)
			strcpy(o.event, EVENT);
		cof_rule(&p, &o, &rows[i].op, &people[1], NOW, &rl);
		ck_assert_msg(rl.error == rows[i].error && !strcmp(rl.rule, rows[i].rule) && rl.record == rows[i].record,
			      "row %zu: %d %s%s", i, rl.error, rl.rule, rl.record ? ", recorded" : "");
		ck_assert_int_eq(rl.effect, COF_EFFECT_NONE);
	}
}
END_TEST

/* What a commit grants, and what its frame says beside. */
START_TEST(committing)
{
	static const struct {
		const char *policy;
		int64_t asked, least, until, binds, span;
		const char *rule, *event;
		uint8_t mode;
	} rows[] = {
	    {"retention = 10d\n", 0, 0, NOW + 10 * DAY, COF_RETAIN_NONE, 0, "default", NULL, 0},
	    {"retention = 10d\nmode = governance\ncooling_off = 1d\n", 0, 0, NOW + 10 * DAY, COF_RETAIN_NONE, 0,
	     "default", NULL, 1},
	    {"retention = 10d\ncooling_off = 1d\n", 0, 0, NOW + 10 * DAY, NOW + DAY, 0, "default", NULL, 0},
	    {"retention = 10d\nretain_event = " EVENT "\n", 0, 0, NOW + 10 * DAY, COF_RETAIN_NONE, 10 * DAY, "default",
	     EVENT, 0},
	    {"retention = 10d\nretain_event = " EVENT "\n", NOW + 15 * DAY, 0, NOW + 15 * DAY, COF_RETAIN_NONE, 15 * DAY,
	     "asked", EVENT, 0},
	    {"retention = 10d\nretention_max = 20d\n", 0, NOW + 30 * DAY, NOW + 30 * DAY, COF_RETAIN_NONE, 0, "least",
	     NULL, 0},
	    {"retention = 10d\n", 0, NOW + 5 * DAY, NOW + 10 * DAY, COF_RETAIN_NONE, 0, "default", NULL, 0},
	    {"", 0, NOW + 5 * DAY, COF_RETAIN_NONE, COF_RETAIN_NONE, 0, "none", NULL, 0},
	};

	for (size_t i = 0; i < COF_COUNT(rows); i++) {
		struct cof_object o = {.kind = COF_KIND_FILE, .size = 1, .uid = 7, .asked_until = COF_RETAIN_NONE,
				       .least_until = rows[i].least};
		struct cof_op op = {COF_OP_COMMIT, .retain = rows[i].asked};
		struct cof_policy p;
		struct cof_ruling rl;

		ck_assert_int_eq(cof_policy_parse(rows[i].policy, strlen(rows[i].policy), &p, NULL), 0);
		cof_rule(&p, &o, &op, &people[1], NOW, &rl);
		ck_assert_msg(rl.effect == COF_EFFECT_COMMIT && !strcmp(rl.rule, rows[i].rule), "%zu: %s", i, rl.rule);
		ck_assert_int_eq(rl.retain_until, rows[i].until);
		ck_assert_int_eq(rl.binds_from, rows[i].binds);
		ck_assert_int_eq(rl.mode, rows[i].mode);
		ck_assert_int_eq(rl.event_span, rows[i].span);
		ck_assert(rows[i].event ? rl.event && !strcmp(rl.event, rows[i].event) : !rl.event);
	}
}
END_TEST

TCase *hold_case(void)
{
	TCase *c = tcase_create("hold");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, each_cell, 0, COF_COUNT(policies));
	tcase_add_test(c, replacing_what_is_held);
	tcase_add_test(c, seldom);
	tcase_add_test(c, committing);
	return c;
}
