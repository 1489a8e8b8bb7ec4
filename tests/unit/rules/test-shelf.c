/* SPDX-License-Identifier: Apache-2.0 */
/* Shelves: who makes and changes them, what is weaker, quotas; spans as text. */
#include <check.h>

#include "fs/index/index.h" /* its numbers of kinds and states alone */
#include "fs/rules/rules.h"

TCase *shelf_case(void);

static const struct cof_who root = {0, 0, 1, false}, user = {7, 7, 1, false};

static struct cof_policy policy_of(const char *text)
{
	struct cof_policy p;
	struct cof_diag d = {""};

	ck_assert_msg(cof_policy_parse(text, strlen(text), &p, &d) == 0, "%s", d.text);
	return p;
}

#define KEPT "retention = 10d\nretention_min = 5d\nretention_max = 20d\n"

/* From the one to the other; what is told, or NULL where it is no weaker. */
static const struct {
	const char *from, *to, *why;
} changes[] = {
    {"", "", NULL},
    {KEPT, KEPT, NULL},
    {"", "durability = write\n", NULL},
    {"durability = write\n", "", "durability"},
    {"refuse = rofs\n", "", NULL},
    {"", "refuse = rofs\n", NULL},
    {"", "retention = 10y\n", "never end"},
    {"", "retention = infinite\n", "never end"},
    {"", "retention = infinite\nretention_min = infinite\n", NULL},
    {"retention = infinite\n", "", "taken away"},
    {KEPT, "retention = 11d\nretention_min = 5d\nretention_max = 20d\n", NULL},
    {KEPT, "retention = 9d\nretention_min = 5d\nretention_max = 20d\n",
     "retention would be shorter"},
    {KEPT, "retention = 10d\nretention_min = 6d\nretention_max = 20d\n", NULL},
    {KEPT, "retention = 10d\nretention_min = 4d\nretention_max = 20d\n", "retention_min"},
    {KEPT, "retention = 10d\nretention_max = 20d\n", "retention_min"},
    {KEPT, "retention = 10d\nretention_min = 5d\nretention_max = 21d\n", NULL},
    {KEPT, "retention = 10d\nretention_min = 5d\n", NULL},
    {KEPT, "retention = 10d\nretention_min = 5d\nretention_max = 19d\n", "retention_max"},
    {"retention = 10d\n", KEPT, "retention_max"},
    {KEPT, KEPT "strict = yes\n", NULL},
    {KEPT "strict = yes\n", KEPT, "strict"},
    {"", "autocommit = 1d\n", NULL},
    {"autocommit = 1d\n", "autocommit = 1h\n", NULL},
    {"autocommit = 1d\n", "autocommit = 2d\n", "later"},
    {"autocommit = 1d\n", "", "autocommit would be taken away"},
    {"quota = 1G\n", "quota = 2G\n", NULL},
    {"quota = 1G\n", "", NULL},
    {"quota = 1G\n", "quota = 1M\n", "quota would"},
    {"", "quota = 1G\n", "quota would"},
    {"quota_files = 10\n", "quota_files = 11\n", NULL},
    {"quota_files = 10\n", "quota_files = 9\n", "quota_files"},
    {"", "staging = yes\n", "staging"},
    {"staging = yes\n", "", NULL},
    {"", "record_kind = log\n", NULL},
    {"record_kind = certificate\n", "record_kind = log\n", "record_kind"},
    {"record_kind = certificate\n", "", "record_kind"},
    {"mode = governance\n", "", NULL},
    {"", "mode = governance\n", "mode would"},
    {"cooling_off = 2d\n", "cooling_off = 1d\n", NULL},
    {"cooling_off = 1d\n", "cooling_off = 2d\n", "cooling_off"},
    {"", "cooling_off = 1s\n", "cooling_off"},
    {KEPT, KEPT "retain_event = contract-end\n", NULL},
    {KEPT "retain_event = contract-end\n", KEPT "retain_event = death\n", "retain_event"},
    {KEPT "retain_event = contract-end\n", KEPT, "retain_event"},
    {"", "retain_follows = certificates\n", NULL},
    {"retain_follows = certificates\n", "", "retain_follows"},
    {"", "certificates = yes\n", NULL},
    {"certificates = yes\n", "", "certificates would"},
    {"retain_margin = 1y\n", "retain_margin = 2y\n", NULL},
    {"retain_margin = 1y\n", "retain_margin = 364d\n", "retain_margin"},
    {"", "read_events = yes\n", NULL},
    {"read_events = yes\n", "", "read_events"},
    {"", "silence = 1d\n", NULL},
    {"silence = 1d\n", "silence = 1h\n", NULL},
    {"silence = 1h\n", "silence = 1d\n", "silence"},
    {"silence = 1h\n", "", "silence"},
    {"", "leak_guard = report\n", NULL},
    {"leak_guard = report\n", "leak_guard = refuse\n", NULL},
    {"leak_guard = refuse\n", "leak_guard = report\n", "leak_guard"},
    {"leak_guard = report\n", "", "leak_guard"},
    {"", "approve_hold_end = 3\n", NULL},
    {"", "approve_hold_end = 2 officer\n", NULL},
    {"approve_hold_end = 2 officer\n", "approve_hold_end = 2 custodian\n", "approve_hold_end"},
    {"approve_hold_end = 3\n", "approve_hold_end = 2 officer\n", "approve_hold_end"},
    {"approve_hold_end = 3\n", "", "approve_hold_end"},
    {"", "approve_remove = 3 auditor\n", NULL},
    {"approve_remove = 2 auditor officer\n", "", "approve_remove"},
    {"approve_retention_end = 3\n", "approve_retention_end = 2\n", "approve_retention_end"},
    {"approve_policy = 2 officer\n", "", "approve_policy"},
    {"approve_escrow = 3\n", "approve_escrow = 2\n", "approve_escrow"},
    {"remove = rm\n", "", NULL},
    {"", "remove = rm\n", "remove would"},
    {"", "release_delay = 1d\n", NULL},
    {"release_delay = 2d\n", "release_delay = 1d\n", "release_delay"},
    {"release_delay = 2d\n", "", "release_delay"},
};

START_TEST(stronger_only)
{
	struct cof_policy from = policy_of(changes[_i].from), to = policy_of(changes[_i].to);
	struct cof_object shelf = {.kind = COF_KIND_DIR, .is_shelf = true, .in_root = true};
	struct cof_op op = {COF_OP_SHELF_SET, .data = changes[_i].to,
			    .length = strlen(changes[_i].to)};
	const char *why = "unset";
	struct cof_ruling rl;
	bool stronger = cof_policy_is_stronger(&from, &to, &why);

	ck_assert_msg(stronger == !changes[_i].why, "%d: '%s' to '%s': %s", _i, changes[_i].from,
		      changes[_i].to, why);
	ck_assert_msg(strstr(why, changes[_i].why ? changes[_i].why : "unset") != NULL, "%d: %s",
		      _i, why);
	(void)cof_policy_is_stronger(&from, &to, NULL);

	cof_rule(&from, &shelf, &op, &root, 0, &rl);
	if (stronger) {
		ck_assert(!rl.error && rl.effect == COF_EFFECT_SHELF);
	} else {
		ck_assert(rl.error == (from.refuse_rofs ? -EROFS : -EPERM) && rl.record);
		ck_assert_str_eq(rl.rule, "weaker");
		ck_assert_msg(strstr(rl.reason, why) != NULL, "%s", rl.reason);
	}
	cof_rule(&from, &shelf, &op, &user, 0, &rl);
	ck_assert(rl.error && rl.record && !strcmp(rl.rule, "root-only"));
}
END_TEST

/* What is stronger than the second is stronger than the first: no two steps lead to a weaker one.
 */
START_TEST(no_way_round)
{
	struct cof_policy all[2 * COF_COUNT(changes)];
	size_t n = COF_COUNT(all);

	for (size_t i = 0; i < n; i++)
		all[i] = policy_of(i & 1 ? changes[i / 2].to : changes[i / 2].from);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			for (size_t k = 0; k < n; k++)
				if (cof_policy_is_stronger(&all[i], &all[j], NULL) &&
				    cof_policy_is_stronger(&all[j], &all[k], NULL))
					ck_assert_msg(
					    cof_policy_is_stronger(&all[i], &all[k], NULL),
					    "%zu, %zu, %zu", i, j, k);
}
END_TEST

START_TEST(adding)
{
	static char long_name[300];
	memset(long_name, 'n', sizeof(long_name) - 1);
	const struct {
		const char *name, *text;
		const struct cof_who *who;
		bool taken;
		int error;
	} adds[] = {
	    {"logs", "", &root, false, 0},
	    {"logs", KEPT, &root, false, 0},
	    {"logs", NULL, &root, false, 0},
	    {"logs", KEPT, &user, false, -EPERM},
	    {"logs", "", &root, true, -EEXIST},
	    {"logs", "retention_min = 5d\n", &root, false, -EINVAL},
	    {"", "", &root, false, -EINVAL},
	    {NULL, "", &root, false, -EINVAL},
	    {".", "", &root, false, -EINVAL},
	    {"..", "", &root, false, -EINVAL},
	    {"a/b", "", &root, false, -EINVAL},
	    {"...", "", &root, false, 0},
	    {long_name, "", &root, false, -ENAMETOOLONG},
	    {long_name + sizeof(long_name) - 256, "", &root, false, 0},
	};

	for (size_t i = 0; i < COF_COUNT(adds); i++) {
		struct cof_object top = {
		    .kind = COF_KIND_DIR, .is_root = true, .target_exists = adds[i].taken};
		struct cof_op op = {COF_OP_SHELF_ADD, .name = adds[i].name, .data = adds[i].text,
				    .length = adds[i].text ? strlen(adds[i].text) : 0};
		struct cof_ruling rl;

		cof_rule(NULL, &top, &op, adds[i].who, 0, &rl);
		ck_assert_msg(rl.error == adds[i].error, "%zu: %d, %s", i, rl.error, rl.reason);
		ck_assert_int_eq(rl.effect, rl.error ? COF_EFFECT_NONE : COF_EFFECT_SHELF);
		ck_assert_int_eq(rl.record, rl.error == -EPERM);
	}
}
END_TEST

START_TEST(setting_what_is_no_shelf)
{
	struct cof_object dir = {.kind = COF_KIND_DIR},
			  shelf = {.kind = COF_KIND_DIR, .is_shelf = true};
	struct cof_op op = {COF_OP_SHELF_SET, .data = "nonsense", .length = 8};
	struct cof_ruling rl;

	cof_rule(NULL, &shelf, &op, &root, 0, &rl);
	ck_assert(rl.error == -EINVAL && !strcmp(rl.rule, "policy-text"));
	op.length = 0;
	cof_rule(NULL, &dir, &op, &root, 0, &rl);
	ck_assert(rl.error == -EINVAL && !strcmp(rl.rule, "kind"));
}
END_TEST

START_TEST(quotas)
{
	static const struct {
		uint64_t used, offset, length;
		int error;
	} writes[] = {
	    {0, 100, 1, 0},
	    {1023, 100, 1, 0},
	    {1024, 100, 1, -EDQUOT},
	    {1000, 100, 24, 0},
	    {1000, 100, 25, -EDQUOT},
	    {1000, 120, 4, 0}, /* the hole counts as well */
	    {1000, 120, 5, -EDQUOT},
	    {5000, 100, 1, -EDQUOT}, /* over already */
	    {5000, 100, 0, 0},
	    {UINT64_MAX, 100, 1, -EDQUOT},
	    {0, INT64_MAX - 1, 1, -EDQUOT},
	};
	struct cof_policy p = policy_of("quota = 1K\nquota_files = 3\n");
	struct cof_ruling rl;

	for (size_t i = 0; i < COF_COUNT(writes); i++) {
		struct cof_object o = {
		    .kind = COF_KIND_FILE, .size = 100, .shelf_bytes = writes[i].used};
		struct cof_op w = {COF_OP_WRITE, .offset = writes[i].offset,
				   .length = writes[i].length};
		struct cof_op t = {COF_OP_TRUNCATE, .length = writes[i].offset + writes[i].length};

		cof_rule(&p, &o, &w, &user, 0, &rl);
		ck_assert_msg(rl.error == writes[i].error && !rl.record, "%zu: %d", i, rl.error);
		if (t.length == o.size)
			continue;
		cof_rule(&p, &o, &t, &user, 0, &rl);
		ck_assert_msg(rl.error == writes[i].error, "%zu: truncate %d", i, rl.error);
		cof_rule(NULL, &o, &t, &user, 0, &rl);
		ck_assert_int_eq(rl.error, 0);
	}
	for (uint64_t files = 0; files < 6; files++)
		for (uint8_t kind = COF_KIND_FILE; kind <= COF_KIND_SYMLINK; kind++) {
			struct cof_object o = {.shelf_files = files};
			struct cof_op op = {COF_OP_CREATE, .node_kind = kind, .name = "n"};

			cof_rule(&p, &o, &op, &user, 0, &rl);
			ck_assert_int_eq(rl.error, files < 3 ? 0 : -EDQUOT);
		}
}
END_TEST

START_TEST(spans)
{
	static const struct {
		const char *text;
		int error;
		int64_t seconds;
		const char *again;
	} texts[] = {
	    {"0s", 0, 0, "0s"},
	    {"0y", 0, 0, "0s"},
	    {"59s", 0, 59, "59s"},
	    {"60s", 0, 60, "1min"},
	    {"90min", 0, 5400, "90min"},
	    {"24h", 0, 86400, "1d"},
	    {"7d", 0, 604800, "1w"},
	    {"8d", 0, 691200, "8d"},
	    {"365d", 0, 31536000, "1y"},
	    {"10y", 0, 315360000, "10y"},
	    {"292y", 0, 9208512000, "292y"},
	    {"293y", -EINVAL, 0, NULL},
	    {"9223372036854775808s", -EINVAL, 0, NULL},
	    {"99999999999999999999d", -EINVAL, 0, NULL},
	    {"", -EINVAL, 0, NULL},
	    {"s", -EINVAL, 0, NULL},
	    {"10", -EINVAL, 0, NULL},
	    {"-1d", -EINVAL, 0, NULL},
	    {"+1d", -EINVAL, 0, NULL},
	    {" 1d", -EINVAL, 0, NULL},
	    {"1 d", -EINVAL, 0, NULL},
	    {"1d ", -EINVAL, 0, NULL},
	    {"1m", -EINVAL, 0, NULL},
	    {"1.5y", -EINVAL, 0, NULL},
	    {"1D", -EINVAL, 0, NULL},
	    {"infinity", -EINVAL, 0, NULL},
	};
	char out[32];
	int64_t v;

	for (size_t i = 0; i < COF_COUNT(texts); i++) {
		v = -5;
		ck_assert_msg(cof_span_parse(texts[i].text, &v) == texts[i].error, "%s",
			      texts[i].text);
		ck_assert_int_eq(v, texts[i].error ? -5 : texts[i].seconds * COF_NSEC);
		if (texts[i].error)
			continue;
		cof_span_text(v, out);
		ck_assert_str_eq(out, texts[i].again);
	}
	ck_assert(cof_span_parse("infinite", &v) == 0 && v == COF_RETAIN_INFINITE);
	cof_span_text(v, out);
	ck_assert_str_eq(out, "infinite");
}
END_TEST

TCase *shelf_case(void)
{
	TCase *c = tcase_create("shelf");

	tcase_add_loop_test(c, stronger_only, 0, COF_COUNT(changes));
	tcase_add_test(c, no_way_round);
	tcase_add_test(c, adding);
	tcase_add_test(c, setting_what_is_no_shelf);
	tcase_add_test(c, quotas);
	tcase_add_test(c, spans);
	return c;
}
