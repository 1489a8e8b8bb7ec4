/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each operation on each state by each person under each policy: the promises that hold over the
 * whole table, whatever the single rows say; and the model of what the kernel answers.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/fs.h>

#include "rules-rows.h"

#include "fs/index/index.h" /* its numbers of kinds and states alone */

TCase *rows_case(void);

static const char *const policies[] = {
    "",
    "refuse = rofs\n",
    "durability = write\nretention = 10y\n",
    "retention = 10y\nretention_min = 30d\nretention_max = 20y\nstrict = yes\n",
    "retention = infinite\nretention_min = infinite\n",
    "quota = 1\nquota_files = 1\nautocommit = 1s\n",
    "staging = yes\nrecord_kind = log\n",
};

static void check_promises(const struct row_attempt *a, enum row_state state, enum row_who who)
{
	bool fixed = state == ROW_COMMITTED || state == ROW_EXPIRED;
	struct cof_ruling rl;
	bool kernel = row_judge(a, state, who, &rl);
	bool rofs = a->policy && strstr(a->policy, "rofs");

	ck_assert(rl.rule && *rl.rule && rl.reason && *rl.reason);
	ck_assert_msg(rl.error <= 0, "%s", a->key);
	if (rl.error) {
		ck_assert_msg(rl.effect == COF_EFFECT_NONE ||
				  (rl.effect == COF_EFFECT_ASK_REMOVE && state == ROW_EXPIRED && a->policy &&
				   strstr(a->policy, "remove = rm")),
			      "%s: refused with an effect", a->key);
		ck_assert(rl.retain_until == COF_RETAIN_NONE && rl.asked_until == COF_RETAIN_NONE);
		ck_assert_msg(rl.reason[strlen(rl.reason) - 1] == '.', "%s", rl.reason);
	}
	if (rl.error == -EPERM || rl.error == -EROFS)
		ck_assert_msg(rl.record != kernel, "%s, %s: a refusal of ours without an event",
			      a->key, row_state_keys[state]);
	if (rofs && !kernel)
		ck_assert_msg(rl.error != -EPERM, "%s: EPERM on a shelf with rofs", a->key);
	/* A fixed file: nothing but a later end, and one rename of a fresh one. */
	if (fixed && !rl.error && rl.effect != COF_EFFECT_NONE && rl.effect != COF_EFFECT_EXTEND && !a->by_request)
		ck_assert_msg(rl.effect == COF_EFFECT_RENAME && a->more.rename_once, "%s, %s",
			      a->key, row_state_keys[state]);
	/* An open one with content: it grows, changes attributes or names, or is committed; it
	 * never goes. */
	if (state == ROW_OPEN)
		ck_assert_msg(rl.effect != COF_EFFECT_REMOVE, "%s", a->key);
	/* Who is not the owner extends and commits nothing. */
	if (who == ROW_OTHER)
		ck_assert_msg(rl.effect != COF_EFFECT_EXTEND && rl.effect != COF_EFFECT_COMMIT &&
				  rl.effect != COF_EFFECT_SHELF,
			      "%s by others", a->key);
	if (rl.effect == COF_EFFECT_SHELF)
		ck_assert_int_eq(who, ROW_BY_ROOT);
}

START_TEST(promises)
{
	for (size_t i = 0; i < row_attempts_count; i++)
		for (int s = 0; s < ROW_STATES_; s++)
			for (int w = 0; w < ROW_WHO_; w++)
				for (size_t p = 0; p <= COF_COUNT(policies); p++) {
					struct row_attempt a = row_attempts[i];

					if (!(a.states >> s & 1))
						continue;
					if (p)
						a.policy = policies[p - 1];
					check_promises(&a, (enum row_state)s, (enum row_who)w);
				}
}
END_TEST

/* Root passes nothing that the owner does not, but what the kernel keeps for root, and shelves. */
START_TEST(root_is_not_exempt)
{
	for (size_t i = 0; i < row_attempts_count; i++)
		for (int s = 0; s < ROW_STATES_; s++) {
			struct cof_ruling owner, root;
			bool kernel =
			    row_judge(&row_attempts[i], (enum row_state)s, ROW_OWNER, &owner);

			row_judge(&row_attempts[i], (enum row_state)s, ROW_BY_ROOT, &root);
			if (!kernel && strcmp(owner.rule, "root-only") && s != ROW_ROOT)
				ck_assert_msg(owner.error == root.error &&
						  owner.effect == root.effect,
					      "%s, %s", row_attempts[i].key, row_state_keys[s]);
		}
}
END_TEST

START_TEST(page_lists_each_operation)
{
	bool seen[COF_OP_COUNT_] = {false};

	for (size_t i = 0; i < row_attempts_count; i++) {
		seen[row_attempts[i].op.kind] = true;
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(row_attempts[i].key, row_attempts[j].key);
		ck_assert(row_attempts[i].states && !(row_attempts[i].states & ~ROW_ALL));
	}
	for (int k = 0; k < COF_OP_COUNT_; k++)
		ck_assert_msg(seen[k], "%s is not on the page", cof_op_name((enum cof_op_kind)k));
}
END_TEST

START_TEST(kernel_answers)
{
	static const struct cof_who owner = {7, 7, 1, false}, group = {8, 6, 1, false},
				    other = {9, 9, 1, false}, root = {0, 0, 1, false};
	static const struct {
		uint32_t mode;
		uint8_t state;
		struct cof_op op;
		int owner, group, other, root; /* 0: Coffer is asked */
	} answers[] = {
	    {0640, 0, {COF_OP_OPEN, .flags = O_RDONLY}, 0, 0, -EACCES, 0},
	    {0640, 0, {COF_OP_OPEN, .flags = O_WRONLY}, 0, -EACCES, -EACCES, 0},
	    {0640, 0, {COF_OP_OPEN, .flags = O_RDONLY | O_TRUNC}, 0, -EACCES, -EACCES, 0},
	    {0444, 1, {COF_OP_OPEN, .flags = O_RDWR}, -EACCES, -EACCES, -EACCES, 0},
	    {0246, 0, {COF_OP_OPEN, .flags = O_RDWR}, -EACCES, -EACCES, 0, 0}, /* the first class
										  counts */
	    {0664, 0, {COF_OP_TRUNCATE}, 0, 0, -EACCES, 0},
	    {0666, 0, {COF_OP_CHMOD, .mode = 0444}, 0, -EPERM, -EPERM, 0},
	    {0666, 0, {COF_OP_CHOWN, .uid = 9, .valid = COF_SET_UID}, -EPERM, -EPERM, -EPERM, 0},
	    {0666, 0, {COF_OP_CHOWN, .gid = 7, .valid = COF_SET_GID}, 0, -EPERM, -EPERM, 0},
	    {0666, 0, {COF_OP_CHOWN, .gid = 9, .valid = COF_SET_GID}, -EPERM, -EPERM, -EPERM, 0},
	    {0660,
	     0,
	     {COF_OP_UTIMES, .valid = COF_SET_ATIME_NOW | COF_SET_MTIME_NOW},
	     0,
	     0,
	     -EACCES,
	     0},
	    {0660, 0, {COF_OP_UTIMES, .valid = COF_SET_ATIME}, 0, -EPERM, -EPERM, 0},
	    {0660, 0, {COF_OP_SETXATTR, .name = "user.x"}, 0, 0, -EACCES, 0},
	    {0440, 1, {COF_OP_SETXATTR, .name = "user.x"}, -EACCES, -EACCES, -EACCES, 0},
	    {0440, 1, {COF_OP_SETXATTR, .name = "system.coffer.retain_until"}, 0, 0, 0, 0},
	    {0666, 0, {COF_OP_SETXATTR, .name = "trusted.x"}, -EPERM, -EPERM, -EPERM, 0},
	    {0666, 0, {COF_OP_SETFLAGS, .flags = FS_APPEND_FL}, 0, -EPERM, -EPERM, 0},
	    {0666, 0, {COF_OP_SETFLAGS, .flags = FS_IMMUTABLE_FL}, -EPERM, -EPERM, -EPERM, 0},
	    {0444, 1, {COF_OP_SETFLAGS}, -EPERM, -EPERM, -EPERM, 0},
	    {0444, 1, {COF_OP_UNLINK}, 0, 0, 0, 0},
	    {0444, 1, {COF_OP_RETAIN}, 0, 0, 0, 0},
	    {0644, 0, {COF_OP_WRITE}, 0, 0, 0, 0},
	    {0664, 0, {COF_OP_LINK}, 0, 0, -EPERM, 0},
	};

	for (size_t i = 0; i < COF_COUNT(answers); i++) {
		const struct cof_who *const who[] = {&owner, &group, &other, &root};
		const int expected[] = {answers[i].owner, answers[i].group, answers[i].other,
					answers[i].root};
		struct cof_object o = {.kind = COF_KIND_FILE,
				       .uid = 7,
				       .gid = 6,
				       .size = 10,
				       .mode = answers[i].mode,
				       .state = answers[i].state};

		for (int w = 0; w < 4; w++) {
			struct cof_ruling rl = {.error = 0};
			bool kernel = cof_rule_kernel(&o, &answers[i].op, who[w], &rl);

			ck_assert_msg(rl.error == expected[w] && kernel == (expected[w] != 0),
				      "%zu, person %d: %d", i, w, rl.error);
			ck_assert(!kernel || (!rl.record && !strcmp(rl.rule, "linux")));
		}
	}
}
END_TEST

TCase *rows_case(void)
{
	TCase *c = tcase_create("rows");

	tcase_add_test(c, promises);
	tcase_add_test(c, root_is_not_exempt);
	tcase_add_test(c, page_lists_each_operation);
	tcase_add_test(c, kernel_answers);
	return c;
}
