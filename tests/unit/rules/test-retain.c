/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: what a commit grants, what extends it, who may, what time does, and how ends are
 * written. */
#include <check.h>
#include <linux/fs.h>

#include "fs/index/index.h" /* its numbers of kinds and states alone */
#include "fs/rules/rules.h"

TCase *retain_case(void);

#define DAY (86400 * COF_NSEC)
#define NOW (20000 * DAY) /* any day; ends are told from it */
#define NONE COF_RETAIN_NONE
#define INF COF_RETAIN_INFINITE
#define MOST (COF_RETAIN_INFINITE - 1)

static const struct cof_who owner = {7, 7, 1, false}, other = {8, 7, 1, false},
			    root = {0, 0, 1, false}, daemon_ = {0, 0, 0, true};

/* ---- policies ---- */

static struct cof_policy policy_of(const char *text)
{
	struct cof_policy p;
	struct cof_diag d = {""};

	ck_assert_msg(cof_policy_parse(text, strlen(text), &p, &d) == 0, "%s", d.text);
	return p;
}

#define PLAIN ""
#define BOUND "retention = 10d\nretention_min = 5d\nretention_max = 20d\n"
#define STRICT BOUND "strict = yes\n"
#define OPEN_END "retention = 10d\n"
#define FOREVER "retention = infinite\n"
#define ONLY_FOREVER "retention = infinite\nretention_min = infinite\n"
#define HUGE_ "retention = 200y\nretention_min = 100y\n"

/* ---- what a commit grants ---- */

static const struct {
	const char *policy;
	int64_t asked; /* an end */
	int error;
	int64_t until;
	const char *rule;
} grants[] = {
    {PLAIN, NONE, 0, NONE, "none"},
    {PLAIN, NOW + DAY, 0, NONE, "none"}, /* it is kept for ever anyway */
    {PLAIN, INF, 0, NONE, "none"},
    {OPEN_END, NONE, 0, NOW + 10 * DAY, "default"},
    {OPEN_END, NOW + 1, 0, NOW + 1, "asked"},
    {OPEN_END, NOW + 9999 * DAY, 0, NOW + 9999 * DAY, "asked"},
    {OPEN_END, INF, 0, INF, "asked"},
    {BOUND, NONE, 0, NOW + 10 * DAY, "default"},
    {BOUND, NOW + 7 * DAY, 0, NOW + 7 * DAY, "asked"},
    {BOUND, NOW + 5 * DAY, 0, NOW + 5 * DAY, "asked"},
    {BOUND, NOW + 5 * DAY - 1, 0, NOW + 5 * DAY, "clamped-min"},
    {BOUND, NOW + 20 * DAY, 0, NOW + 20 * DAY, "asked"},
    {BOUND, NOW + 20 * DAY + 1, 0, NOW + 20 * DAY, "clamped-max"},
    {BOUND, INF, 0, NOW + 20 * DAY, "clamped-max"},
    {STRICT, NONE, 0, NOW + 10 * DAY, "default"},
    {STRICT, NOW + 7 * DAY, 0, NOW + 7 * DAY, "asked"},
    {STRICT, NOW + 5 * DAY, 0, NOW + 5 * DAY, "asked"},
    {STRICT, NOW + 5 * DAY - 1, -EINVAL, 0, "retention-bounds"},
    {STRICT, NOW + 20 * DAY + 1, -EINVAL, 0, "retention-bounds"},
    {STRICT, INF, -EINVAL, 0, "retention-bounds"},
    {FOREVER, NONE, 0, INF, "default"},
    {FOREVER, NOW + DAY, 0, NOW + DAY, "asked"},
    {ONLY_FOREVER, NOW + DAY, 0, INF, "clamped-min"},
    /* No year is too far, and none wraps. */
    {HUGE_, NONE, 0, NOW + 200 * 365 * DAY, "default"},
    {HUGE_, MOST, 0, MOST, "asked"},
    {OPEN_END, 2147483648LL * COF_NSEC, 0, 2147483648LL * COF_NSEC, "asked"},
};

static void check_grant(int i, const struct cof_ruling *rl, const char *by)
{
	ck_assert_msg(rl->error == grants[i].error, "%d by %s: error %d (%s)", i, by, rl->error,
		      rl->rule);
	ck_assert_msg(!strcmp(rl->rule, grants[i].rule), "%d by %s: rule %s", i, by, rl->rule);
	if (rl->error) {
		ck_assert(rl->record && rl->effect == COF_EFFECT_NONE);
		ck_assert(rl->retain_until == NONE && rl->asked_until == NONE);
		return;
	}
	ck_assert_int_eq(rl->effect, COF_EFFECT_COMMIT);
	ck_assert_msg(rl->retain_until == grants[i].until, "%d by %s: %ld", i, by,
		      (long)rl->retain_until);
	ck_assert_msg(rl->asked_until == grants[i].asked, "%d by %s: asked", i, by);
	ck_assert(!rl->commit_first);
}

static struct cof_object open_file(int64_t asked)
{
	return (struct cof_object){.kind = COF_KIND_FILE,
				   .ino = 9,
				   .parent = 5,
				   .size = 100,
				   .mode = 0644,
				   .uid = 7,
				   .gid = 7,
				   .retain_until = NONE,
				   .asked_until = asked,
				   .idle_since = NOW};
}

static struct cof_object committed_file(int64_t until)
{
	struct cof_object o = open_file(NONE);

	o.state = COF_STATE_COMMITTED;
	o.mode = 0444;
	o.retain_until = until;
	return o;
}

/* By each door the same: chmod, chattr and coffer commit after an access time, and by what commit
 * asks. */
START_TEST(granting)
{
	struct cof_policy p = policy_of(grants[_i].policy);
	struct cof_object o = open_file(grants[_i].asked), none = open_file(NOW + 6 * DAY);
	const struct cof_op by_atime[] = {{COF_OP_CHMOD, .mode = 0444},
					  {COF_OP_SETFLAGS, .flags = FS_IMMUTABLE_FL},
					  {COF_OP_COMMIT}};
	struct cof_op commit = {COF_OP_COMMIT, .retain = grants[_i].asked};
	struct cof_ruling rl;

	for (size_t k = 0; k < COF_COUNT(by_atime); k++) {
		cof_rule(&p, &o, &by_atime[k], &owner, NOW, &rl);
		check_grant(_i, &rl, cof_op_name(by_atime[k].kind));
	}
	if (grants[_i].asked == NONE)
		return;
	/* What the request says counts more than the access time. */
	cof_rule(&p, &none, &commit, &owner, NOW, &rl);
	check_grant(_i, &rl, "its argument");
}
END_TEST

/* Nothing is ever granted outside the bounds. */
START_TEST(bounds_hold)
{
	struct cof_policy p = policy_of(BOUND);
	uint64_t s = 99;

	for (int i = 0; i < 50000; i++) {
		struct cof_object o;
		struct cof_op op = {COF_OP_CHMOD, .mode = 0400};
		struct cof_ruling rl;
		int64_t now;

		s = s * 6364136223846793005ull + 1442695040888963407ull;
		o = open_file((int64_t)(s >> (1 + s % 40)));
		now = i % 3 ? (int64_t)(s >> 20) : (int64_t)(s >> 1);
		o.idle_since = now;
		cof_rule(&p, &o, &op, &root, now, &rl);
		ck_assert_int_eq(rl.effect, COF_EFFECT_COMMIT);
		if (now > INF - 20 * DAY) {
			ck_assert(rl.retain_until > now || now >= MOST);
			continue;
		}
		ck_assert_int_ge(rl.retain_until, now + 5 * DAY);
		ck_assert_int_le(rl.retain_until, now + 20 * DAY);
	}
}
END_TEST

/* A finite span never leads to the number that means infinite. */
START_TEST(finite_stays_finite)
{
	struct cof_policy p = policy_of(OPEN_END);
	struct cof_object o = open_file(NONE);
	struct cof_op op = {COF_OP_COMMIT};
	struct cof_ruling rl;

	for (int64_t off = -2; off <= 2; off++) {
		cof_rule(&p, &o, &op, &root, INF - 10 * DAY + off, &rl);
		ck_assert_int_eq(rl.retain_until, COF_MIN(INF + COF_MIN(off, (int64_t)0), MOST));
	}
}
END_TEST

START_TEST(asking_in_the_past)
{
	struct cof_policy p = policy_of(STRICT);
	struct cof_object o = open_file(NOW - DAY);
	struct cof_op chmod_ = {COF_OP_CHMOD, .mode = 0444},
		      commit = {COF_OP_COMMIT, .retain = NOW};
	struct cof_ruling rl;

	/* It was the future when it was asked. */
	cof_rule(&p, &o, &chmod_, &owner, NOW, &rl);
	ck_assert_str_eq(rl.rule, "default");
	ck_assert(rl.asked_until == NONE && rl.retain_until == NOW + 10 * DAY);
	cof_rule(&p, &o, &commit, &owner, NOW, &rl);
	ck_assert_int_eq(rl.error, -EINVAL);
	ck_assert_str_eq(rl.rule, "retention-past");
}
END_TEST

/* ---- extending ---- */

static const struct {
	const char *policy;
	int64_t until, asked;
	int error;
	enum cof_effect effect;
	int64_t granted;
	const char *rule;
} extensions[] = {
    {OPEN_END, NOW + 10 * DAY, NOW + 11 * DAY, 0, COF_EFFECT_EXTEND, NOW + 11 * DAY, "asked"},
    {OPEN_END, NOW + 10 * DAY, NOW + 10 * DAY + 1, 0, COF_EFFECT_EXTEND, NOW + 10 * DAY + 1,
     "asked"},
    {OPEN_END, NOW + 10 * DAY, NOW + 10 * DAY, 0, COF_EFFECT_NONE, NONE, "allowed"},
    {OPEN_END, NOW + 10 * DAY, NOW + 10 * DAY - 1, -EPERM, COF_EFFECT_NONE, NONE, "retention"},
    {OPEN_END, NOW + 10 * DAY, NOW - DAY, -EPERM, COF_EFFECT_NONE, NONE, "retention"},
    {OPEN_END, NOW + 10 * DAY, MOST, 0, COF_EFFECT_EXTEND, MOST, "asked"},
    {OPEN_END, INF, NOW + 99 * DAY, -EPERM, COF_EFFECT_NONE, NONE, "retention"},
    {OPEN_END, NONE, NOW + 99 * DAY, -EPERM, COF_EFFECT_NONE, NONE, "no-end"},
    {PLAIN, NONE, NOW + 99 * DAY, -EPERM, COF_EFFECT_NONE, NONE, "no-end"},
    {PLAIN, NOW + DAY, NOW + 2 * DAY, 0, COF_EFFECT_EXTEND, NOW + 2 * DAY, "asked"},
    /* Digits that a tool lost: the same second, the same millisecond. */
    {OPEN_END, NOW + 999999999, NOW, 0, COF_EFFECT_NONE, NONE, "allowed"},
    {OPEN_END, NOW + 123456789, NOW + 123000000, 0, COF_EFFECT_NONE, NONE, "allowed"},
    {OPEN_END, NOW + 123456789, NOW + 122000000, -EPERM, COF_EFFECT_NONE, NONE, "retention"},
    {OPEN_END, NOW + COF_NSEC, NOW, -EPERM, COF_EFFECT_NONE, NONE, "retention"},
    /* The maximum counts from now on. */
    {BOUND, NOW + 10 * DAY, NOW + 20 * DAY, 0, COF_EFFECT_EXTEND, NOW + 20 * DAY, "asked"},
    {BOUND, NOW + 10 * DAY, NOW + 30 * DAY, 0, COF_EFFECT_EXTEND, NOW + 20 * DAY, "clamped-max"},
    {BOUND, NOW + 20 * DAY, NOW + 30 * DAY, -EINVAL, COF_EFFECT_NONE, NONE, "retention-bounds"},
    {STRICT, NOW + 10 * DAY, NOW + 30 * DAY, -EINVAL, COF_EFFECT_NONE, NONE, "retention-bounds"},
    {STRICT, NOW + 10 * DAY, NOW + 20 * DAY, 0, COF_EFFECT_EXTEND, NOW + 20 * DAY, "asked"},
    /* Expired files can be kept longer, from now on. */
    {OPEN_END, NOW - 5 * DAY, NOW + DAY, 0, COF_EFFECT_EXTEND, NOW + DAY, "asked"},
    {OPEN_END, NOW - 5 * DAY, NOW - DAY, -EINVAL, COF_EFFECT_NONE, NONE, "retention-past"},
    {BOUND, NOW - 5 * DAY, NOW + DAY, 0, COF_EFFECT_EXTEND, NOW + 5 * DAY, "clamped-min"},
};

static void check_extension(int i, const struct cof_ruling *rl, const char *by)
{
	ck_assert_msg(rl->error == extensions[i].error, "%d by %s: error %d (%s)", i, by, rl->error,
		      rl->rule);
	ck_assert_msg(!strcmp(rl->rule, extensions[i].rule), "%d by %s: rule %s", i, by, rl->rule);
	ck_assert_int_eq(rl->effect, extensions[i].effect);
	ck_assert_msg(rl->retain_until == extensions[i].granted, "%d by %s: %ld", i, by,
		      (long)rl->retain_until);
	if (rl->effect == COF_EFFECT_EXTEND)
		ck_assert(rl->asked_until == extensions[i].asked);
}

START_TEST(extending)
{
	struct cof_policy p = policy_of(extensions[_i].policy);
	struct cof_object o = committed_file(extensions[_i].until);
	const struct cof_op ways[] = {
	    {COF_OP_RETAIN, .retain = extensions[_i].asked},
	    {COF_OP_COMMIT, .retain = extensions[_i].asked},
	    {COF_OP_UTIMES, .atime = extensions[_i].asked, .valid = COF_SET_ATIME}};
	struct cof_ruling rl;

	for (size_t k = 0; k < COF_COUNT(ways); k++) {
		cof_rule(&p, &o, &ways[k], &owner, NOW, &rl);
		check_extension(_i, &rl, cof_op_name(ways[k].kind));
		/* It does not matter whether the expired state was written down. */
		if (cof_state_now(&p, &o, NOW) == COF_STATE_EXPIRED) {
			struct cof_object expired = o;

			expired.state = COF_STATE_EXPIRED;
			cof_rule(&p, &expired, &ways[k], &owner, NOW, &rl);
			check_extension(_i, &rl, "an expired one");
		}
	}
}
END_TEST

START_TEST(infinite_extends_all)
{
	static const int64_t ends[] = {NONE, NOW - DAY, NOW + DAY, MOST};
	struct cof_policy p = policy_of(OPEN_END);
	struct cof_policy bound = policy_of(BOUND);
	struct cof_object endless = committed_file(NONE);
	struct cof_op retain = {COF_OP_RETAIN, .retain = INF};
	/* The access time cannot say infinite: the farthest that it says is that of an infinite
	 * file. */
	struct cof_op atime = {COF_OP_UTIMES, .atime = INF, .valid = COF_SET_ATIME};
	struct cof_object forever = committed_file(INF), some = committed_file(NOW + DAY);
	struct cof_ruling rl;

	for (size_t i = 0; i < COF_COUNT(ends); i++) {
		struct cof_object o = committed_file(ends[i]);

		cof_rule(&p, &o, &retain, &root, NOW, &rl);
		ck_assert(!rl.error && rl.effect == COF_EFFECT_EXTEND && rl.retain_until == INF);
	}
	cof_rule(&p, &forever, &retain, &root, NOW, &rl);
	ck_assert(!rl.error && rl.effect == COF_EFFECT_NONE);
	cof_rule(&p, &forever, &atime, &root, NOW, &rl);
	ck_assert(!rl.error && rl.effect == COF_EFFECT_NONE);
	cof_rule(&p, &some, &atime, &root, NOW, &rl);
	ck_assert(rl.effect == COF_EFFECT_EXTEND && rl.retain_until == MOST);
	/* Where there is a maximum it would give an end to what has none. */
	cof_rule(&bound, &endless, &retain, &root, NOW, &rl);
	ck_assert(rl.error == -EINVAL && !strcmp(rl.rule, "retention-bounds"));
}
END_TEST

/* Only a later access time alone. */
START_TEST(times_of_a_committed_file)
{
	struct cof_policy p = policy_of(OPEN_END);
	struct cof_object o = committed_file(NOW + DAY);

	for (uint32_t valid = 0; valid < 64; valid++) {
		struct cof_op op = {COF_OP_UTIMES, .atime = NOW + 5 * DAY, .mtime = NOW,
				    .valid = valid};
		struct cof_ruling rl;

		cof_rule(&p, &o, &op, &root, NOW, &rl);
		if (valid == COF_SET_ATIME)
			ck_assert(!rl.error && rl.effect == COF_EFFECT_EXTEND);
		else
			ck_assert_msg(rl.error == -EPERM && rl.record, "valid %u: %d", valid,
				      rl.error);
	}
}
END_TEST

START_TEST(asking_by_access_time)
{
	static const struct {
		int64_t before, atime;
		uint32_t valid;
		enum cof_effect effect;
		int64_t asked;
	} asks[] = {
	    {NONE, NOW + DAY, COF_SET_ATIME, COF_EFFECT_ASK, NOW + DAY},
	    {NONE, NOW + DAY, COF_SET_ATIME | COF_SET_MTIME, COF_EFFECT_ASK, NOW + DAY},
	    {NONE, INF, COF_SET_ATIME, COF_EFFECT_ASK, MOST},
	    {NONE, NOW, COF_SET_ATIME, COF_EFFECT_NONE, NONE},
	    {NONE, NOW - DAY, COF_SET_ATIME | COF_SET_MTIME, COF_EFFECT_ATTR, NONE},
	    {NONE, INT64_MIN, COF_SET_ATIME, COF_EFFECT_NONE, NONE},
	    {NONE, 0, COF_SET_ATIME_NOW, COF_EFFECT_NONE, NONE},
	    {NONE, NOW + DAY, COF_SET_MTIME, COF_EFFECT_ATTR, NONE},
	    {NOW + DAY, NOW + DAY, COF_SET_ATIME, COF_EFFECT_NONE, NONE},
	    {NOW + DAY, NOW + DAY, COF_SET_ATIME | COF_SET_MTIME, COF_EFFECT_ATTR, NONE},
	    {NOW + DAY, NOW + 9 * DAY, COF_SET_ATIME, COF_EFFECT_ASK, NOW + 9 * DAY},
	    {NOW + DAY, 1, COF_SET_ATIME, COF_EFFECT_ASK, NONE}, /* withdrawn */
	    {NOW + DAY, 0, COF_SET_ATIME_NOW, COF_EFFECT_ASK, NONE},
	    {NOW + DAY, 0, COF_SET_MTIME_NOW, COF_EFFECT_ATTR, NONE},
	};

	for (size_t i = 0; i < COF_COUNT(asks); i++) {
		struct cof_object o = open_file(asks[i].before), dir = o;
		struct cof_op op = {COF_OP_UTIMES, .atime = asks[i].atime, .valid = asks[i].valid};
		struct cof_ruling rl;

		cof_rule(NULL, &o, &op, &owner, NOW, &rl);
		ck_assert_msg(!rl.error && rl.effect == asks[i].effect, "%zu: effect %d", i,
			      rl.effect);
		ck_assert_msg(rl.asked_until == asks[i].asked, "%zu: asked", i);
		dir.kind = COF_KIND_DIR;
		cof_rule(NULL, &dir, &op, &owner, NOW, &rl);
		ck_assert(!rl.error && rl.effect != COF_EFFECT_ASK && rl.asked_until == NONE);
	}
}
END_TEST

/* ---- who ---- */

START_TEST(who_may)
{
	static const char end[] = "2099-01-01T00:00:00Z";
#define SET(n)                                                                                     \
	{                                                                                          \
		COF_OP_SETXATTR, .name = n, .data = end, .length = sizeof(end) - 1                 \
	}
	static const struct cof_op committing[] = {{COF_OP_COMMIT},
						   {COF_OP_SETFLAGS, .flags = FS_IMMUTABLE_FL},
						   SET("user.coffer.retain_until"),
						   SET("system.coffer.retain_until")},
				   extending_[] = {{COF_OP_RETAIN, .retain = INF},
						   SET("user.coffer.retain_until"),
						   SET("system.coffer.retain_until"),
						   SET("user.immutable.until")};
	struct cof_policy p = policy_of(OPEN_END);
	struct cof_object o = open_file(NONE), c = committed_file(NOW + DAY);
	const struct cof_who *const may[] = {&owner, &root, &daemon_};
	struct cof_ruling rl;

	for (size_t k = 0; k < 4; k++) {
		for (size_t i = 0; i < COF_COUNT(may); i++) {
			cof_rule(&p, &o, &committing[k], may[i], NOW, &rl);
			ck_assert_msg(!rl.error && rl.effect == COF_EFFECT_COMMIT, "%zu: %s", k,
				      rl.rule);
			cof_rule(&p, &c, &extending_[k], may[i], NOW, &rl);
			ck_assert_msg(!rl.error && rl.effect == COF_EFFECT_EXTEND, "%zu: %s", k,
				      rl.rule);
		}
		cof_rule(&p, &o, &committing[k], &other, NOW, &rl);
		ck_assert_msg(rl.error == -EPERM && rl.record && !strcmp(rl.rule, "not-owner"),
			      "%zu", k);
		cof_rule(&p, &c, &extending_[k], &other, NOW, &rl);
		ck_assert_msg(rl.error == -EPERM && rl.record && !strcmp(rl.rule, "not-owner"),
			      "%zu", k);
	}
#undef SET
}
END_TEST

START_TEST(ends_by_attribute)
{
	static const struct {
		const char *name, *value;
		bool committed;
		int error;
		enum cof_effect effect;
	} sets[] = {
	    {"user.coffer.retain_until", "2099-01-01T00:00:00Z", false, 0, COF_EFFECT_COMMIT},
	    {"user.coffer.retain_until", "infinite", false, 0, COF_EFFECT_COMMIT},
	    {"user.coffer.retain_until", "1999-01-01T00:00:00Z", false, -EINVAL, 0},
	    {"user.coffer.retain_until", "none", false, -EINVAL, 0},
	    {"user.coffer.retain_until", "", false, -EINVAL, 0},
	    {"user.coffer.retain_until", "1999-01-01T00:00:00Z", true, -EPERM, 0},
	    {"system.coffer.retain_until", "infinite", true, 0, COF_EFFECT_EXTEND},
	    {"user.immutable.until", "2099-01-01 00:00:00", true, 0, COF_EFFECT_EXTEND},
	    {"user.immutable.until", "2000-01-01 00:00:00", true, -EPERM, 0},
	    {"user.immutable.until", "2099-01-01 00:00:00", false, -EINVAL, 0},
	    {"user.coffer.asked_until", "2099-01-01T00:00:00Z", false, -EPERM, 0},
	    {"user.coffer.holds", "0", true, -EPERM, 0},
	};
	struct cof_policy p = policy_of(OPEN_END);

	for (size_t i = 0; i < COF_COUNT(sets); i++) {
		struct cof_object o =
		    sets[i].committed ? committed_file(NOW + DAY) : open_file(NONE);
		struct cof_object dir = {.kind = COF_KIND_DIR, .uid = 7};
		struct cof_op op = {COF_OP_SETXATTR, .name = sets[i].name, .data = sets[i].value,
				    .length = strlen(sets[i].value)};
		struct cof_ruling rl;

		cof_rule(&p, &o, &op, &owner, NOW, &rl);
		ck_assert_msg(rl.error == sets[i].error && rl.effect == sets[i].effect,
			      "%zu: %d, %s", i, rl.error, rl.rule);
		cof_rule(&p, &dir, &op, &owner, NOW, &rl);
		ck_assert_msg(rl.error < 0, "%zu: a directory", i);
	}
}
END_TEST

START_TEST(reading_ends)
{
	static const struct {
		const char *text;
		size_t n; /* 0: all of it */
		int error;
		int64_t end;
	} texts[] = {
	    {"1970-01-01T00:00:01Z", 0, 0, COF_NSEC},
	    {"1970-01-01T00:00:01.5Z\n", 0, 0, COF_NSEC * 3 / 2},
	    {"1970-01-01T00:00:01Z", 21, 0, COF_NSEC}, /* with its zero byte */
	    {"1970-01-01 00:00:01", 0, 0, COF_NSEC},
	    {"infinite", 0, 0, INF},
	    {"infinite\n", 0, 0, INF},
	    {"2262-04-12T00:00:00Z", 0, 0, MOST},
	    {"9999-12-31T23:59:59Z", 0, 0, MOST},
	    {"9999-12-31 23:59:59", 0, 0, MOST},
	    {"9999-13-31T23:59:59Z", 0, -EINVAL, 0},
	    {"3000-01-01", 0, -EINVAL, 0},
	    {"1000-01-01T00:00:00Z", 0, -EINVAL, 0},
	    {"1970-01-01 00:00:0", 0, -EINVAL, 0},
	    {"1970-01-01 00:00:01Z", 0, -EINVAL, 0},
	    {"Infinite", 0, -EINVAL, 0},
	    {"", 0, -EINVAL, 0},
	    {"\n", 0, -EINVAL, 0},
	    {"infinite\0x", 10, -EINVAL, 0},
	    {"1970-01-01T00:00:01.000000000000000000000000000Z", 0, -EINVAL, 0},
	    {"1970-01-01T00:00:01Z 1970-01-01T00:00:01Z 1970-01-01T00:00:01Z", 0, -EINVAL, 0},
	};

	for (size_t i = 0; i < COF_COUNT(texts); i++) {
		size_t n = texts[i].n ? texts[i].n : strlen(texts[i].text);
		int64_t end = 42;
		char *exact = malloc(n + !n); /* for the sanitizer to see the end of it */
		int r;

		memcpy(exact, texts[i].text, n);
		r = cof_retain_parse(exact, n, &end);
		ck_assert_msg(r == texts[i].error, "'%s': %d", texts[i].text, r);
		ck_assert_msg(end == (r ? 42 : texts[i].end), "'%s': %ld", texts[i].text,
			      (long)end);
		free(exact);
	}
}
END_TEST

/* ---- time ---- */

START_TEST(states_by_time)
{
	static const struct {
		uint8_t state;
		int64_t until, now;
		uint8_t then;
	} states[] = {
	    {COF_STATE_COMMITTED, NOW, NOW - 1, COF_STATE_COMMITTED},
	    {COF_STATE_COMMITTED, NOW, NOW, COF_STATE_EXPIRED},
	    {COF_STATE_COMMITTED, NONE, INF, COF_STATE_COMMITTED},
	    {COF_STATE_COMMITTED, INF, INF, COF_STATE_COMMITTED},
	    {COF_STATE_COMMITTED, MOST, INF, COF_STATE_EXPIRED},
	    {COF_STATE_EXPIRED, NOW, NOW - 1, COF_STATE_COMMITTED}, /* extended since */
	    {COF_STATE_EXPIRED, NOW, NOW, COF_STATE_EXPIRED},
	    {COF_STATE_OPEN, NOW, NOW, COF_STATE_OPEN},
	    {COF_STATE_DESTROYED, NOW, NOW, COF_STATE_DESTROYED},
	    {COF_STATE_REMOVED, NOW, NOW, COF_STATE_REMOVED},
	};

	for (size_t i = 0; i < COF_COUNT(states); i++) {
		struct cof_object o = committed_file(states[i].until);

		o.state = states[i].state;
		ck_assert_msg(cof_state_now(NULL, &o, states[i].now) == states[i].then, "%zu", i);
	}
}
END_TEST

START_TEST(autocommit)
{
	struct cof_policy p = policy_of(BOUND "autocommit = 1d\nstrict = yes\n"),
			  never = policy_of(BOUND);
	struct cof_object o = open_file(NONE), x;
	struct cof_op append = {COF_OP_WRITE, .offset = 100, .length = 1}, read = {COF_OP_OPEN};
	struct cof_op extend = {COF_OP_UTIMES, .atime = NOW + 15 * DAY, .valid = COF_SET_ATIME};
	struct cof_ruling rl;

	/* Not yet, and never where there is a writer, nothing in it, no such policy. */
	ck_assert_int_eq(cof_state_now(&p, &o, NOW + DAY - 1), COF_STATE_OPEN);
	cof_rule(&p, &o, &append, &owner, NOW + DAY - 1, &rl);
	ck_assert(!rl.error && !rl.commit_first);
	x = o, x.has_writers = true;
	ck_assert(!cof_rule_autocommit(&p, &x, NOW + 9 * DAY, &rl));
	x = o, x.size = 0;
	ck_assert(!cof_rule_autocommit(&p, &x, NOW + 9 * DAY, &rl));
	x = o, x.kind = COF_KIND_DIR;
	ck_assert(!cof_rule_autocommit(&p, &x, NOW + 9 * DAY, &rl));
	x = o, x.state = COF_STATE_COMMITTED;
	ck_assert(!cof_rule_autocommit(&p, &x, NOW + 9 * DAY, &rl));
	ck_assert(!cof_rule_autocommit(&never, &o, NOW + 9 * DAY, &rl));
	ck_assert(!cof_rule_autocommit(NULL, &o, NOW + 9 * DAY, &rl));
	x = o, x.idle_since = INF - 1; /* does not wrap */
	ck_assert(!cof_rule_autocommit(&p, &x, NOW, &rl));

	/* When it is seen does not matter, but for the state that follows. */
	for (int64_t late = 0; late <= 30; late++) {
		ck_assert(cof_rule_autocommit(&p, &o, NOW + DAY + late * DAY, &rl));
		ck_assert(rl.effect == COF_EFFECT_COMMIT && !strcmp(rl.rule, "autocommit"));
		ck_assert(rl.retain_until == NOW + 11 * DAY && rl.asked_until == NONE);
		ck_assert_int_eq(cof_state_now(&p, &o, NOW + DAY + late * DAY),
				 late < 10 ? COF_STATE_COMMITTED : COF_STATE_EXPIRED);
	}
	/* Strict cannot refuse here: it is clamped. */
	x = o, x.asked_until = NOW + 99 * DAY;
	ck_assert(cof_rule_autocommit(&p, &x, NOW + DAY, &rl));
	ck_assert(rl.retain_until == NOW + 21 * DAY && rl.asked_until == NOW + 99 * DAY);

	/* Every request sees a committed file, and says that the frame comes first. */
	cof_rule(&p, &o, &append, &owner, NOW + DAY, &rl);
	ck_assert(rl.error == -EPERM && rl.commit_first && !strcmp(rl.rule, "committed"));
	cof_rule(&p, &o, &read, &other, NOW + DAY, &rl);
	ck_assert(!rl.error && rl.commit_first);
	cof_rule(&p, &o, &extend, &owner, NOW + DAY, &rl);
	ck_assert(rl.commit_first && rl.effect == COF_EFFECT_EXTEND &&
		  rl.retain_until == NOW + 15 * DAY);
	cof_rule(&p, &o, &(struct cof_op){COF_OP_UNLINK}, &owner, NOW + 12 * DAY, &rl);
	ck_assert(rl.error == -EPERM && rl.commit_first && !strcmp(rl.rule, "needs-approval"));
}
END_TEST

/* What a file says by itself is read last: it raises what the ruling granted, and never what has no end. */
START_TEST(least)
{
	struct cof_ruling rl = {.rule = "default", .retain_until = NOW + DAY};

	cof_rule_least(NONE, &rl);
	cof_rule_least(NOW + DAY, &rl);
	ck_assert_str_eq(rl.rule, "default");
	cof_rule_least(NOW + 2 * DAY, &rl);
	ck_assert_int_eq(rl.retain_until, NOW + 2 * DAY);
	ck_assert_str_eq(rl.rule, "least");
	rl = (struct cof_ruling){.rule = "autocommit", .retain_until = NOW};
	cof_rule_least(NOW + 1, &rl);
	ck_assert_int_eq(rl.retain_until, NOW + 1);
	ck_assert_str_eq(rl.rule, "autocommit"); /* the daemon did it, that is told */
	rl = (struct cof_ruling){.rule = "none", .retain_until = NONE};
	cof_rule_least(NOW, &rl);
	ck_assert_int_eq(rl.retain_until, NONE);
	ck_assert_str_eq(rl.rule, "none");
}
END_TEST

START_TEST(following)
{
	ck_assert_int_eq(cof_rule_follow(NONE, 0, NOW, 5 * DAY), NONE); /* no certificate is known */
	ck_assert_int_eq(cof_rule_follow(NOW + 3 * DAY, 0, NOW, 5 * DAY), NOW + 8 * DAY);
	ck_assert_int_eq(cof_rule_follow(NOW + 3 * DAY, 4 * DAY, NOW, 0), NOW + 4 * DAY);
	ck_assert_int_eq(cof_rule_follow(NOW + 3 * DAY, 2 * DAY, NOW, 0), NOW + 3 * DAY);
	ck_assert_int_eq(cof_rule_follow(NOW + 3 * DAY, 2 * DAY, NOW + 2 * DAY, 0), NOW + 4 * DAY);
	ck_assert_int_eq(cof_rule_follow(NOW - 9 * DAY, 2 * DAY, NOW, DAY), NOW + 2 * DAY);
	ck_assert_int_eq(cof_rule_follow(MOST, MOST, NOW, DAY), MOST); /* finite, however long */
}
END_TEST

TCase *retain_case(void)
{
	TCase *c = tcase_create("retain");

	tcase_add_loop_test(c, granting, 0, COF_COUNT(grants));
	tcase_add_test(c, bounds_hold);
	tcase_add_test(c, finite_stays_finite);
	tcase_add_test(c, asking_in_the_past);
	tcase_add_loop_test(c, extending, 0, COF_COUNT(extensions));
	tcase_add_test(c, infinite_extends_all);
	tcase_add_test(c, times_of_a_committed_file);
	tcase_add_test(c, asking_by_access_time);
	tcase_add_test(c, who_may);
	tcase_add_test(c, ends_by_attribute);
	tcase_add_test(c, least);
	tcase_add_test(c, following);
	tcase_add_test(c, reading_ends);
	tcase_add_test(c, states_by_time);
	tcase_add_test(c, autocommit);
	return c;
}
