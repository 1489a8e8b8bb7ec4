/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a segment has to stay for, out of a log's public parts: read at once or in steps, it is the
 * same; names of objects and the host's note come back as they went.
 */
#include <stdio.h>

#include "../log/world.h"
#include "tools/s3/items.h"

#define YEAR (INT64_C(31536000) * COF_NSEC)

static struct world w;
static struct s3_copy *copy;

static struct s3_copy *new_copy(void)
{
	struct s3_target t = {.bucket = "b", .prefix = "p"};
	struct s3_copy *c = NULL;

	ck_assert_int_eq(s3_copy_new(&t, &w.conf, &c), 0);
	return c;
}

static void begin(void)
{
	ck_assert_int_eq(world_begin(&w, 8), 0);
	copy = new_copy();
}

static void end(void)
{
	s3_copy_free(copy);
	world_end(&w);
}

/* A frame with this public part. */
static uint64_t put(uint8_t type, uint64_t object, const struct cof_buf *public_part, size_t n)
{
	struct cof_append a = {.frame = {.type = type, .version = 1, .object = object}};
	static uint8_t filler[40000], out[70000];
	const void *p = public_part ? (const void *)public_part->data : filler;

	ck_assert_int_eq(cof_payload_seal(&a.frame, NULL, w.conf.id, p,
					  (uint32_t)(public_part ? public_part->len : n), NULL,
					  out),
			 0);
	a.stored = out;
	ck_assert_int_eq(cof_log_append(w.log, &a), 0);
	return a.ret_sequence;
}

static void content(uint64_t inode)
{
	put(COF_APPEND, inode, NULL, 30000); /* two to a segment */
}

static void rule(uint8_t type, uint64_t inode, uint8_t tag, int64_t v, uint8_t tag2, int64_t v2)
{
	cof_autobuf struct cof_buf b = {0};

	cof_field_put_i64(&b, tag, v);
	if (tag2)
		cof_field_put_i64(&b, tag2, v2);
	put(type, inode, &b, 0);
}

static uint64_t hold(uint8_t what, uint64_t id, uint64_t first, uint64_t count)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t range[16];

	cof_put_le64(range, first);
	cof_put_le64(range + 8, count);
	cof_field_put_u8(&b, COF_T_HOLD_WHAT, what);
	if (what != 1)
		cof_field_put_u64(&b, COF_T_HOLD_ID, id);
	if (what < 3)
		cof_field_put(&b, COF_T_INODES, range, 16);
	return put(COF_HOLD, 0, &b, 0);
}

static void scan(struct s3_copy *c)
{
	struct cof_log_status s;
	struct cof_diag d = {""};
	int r;

	cof_log_status(w.log, &s);
	r = s3_scan(c, w.io, s.size, s.end_address, &d);
	ck_assert_msg(r == 0, "%s", d.text);
}

static void same_needs(const struct s3_copy *a, const struct s3_copy *b)
{
	ck_assert_uint_eq(a->needs, b->needs);
	for (size_t i = 0; i < a->needs; i++) {
		const struct s3_need *x = &a->need[i], *y = &b->need[i];

		ck_assert_msg(x->length == y->length && x->first == y->first &&
				  x->last == y->last && x->until == y->until &&
				  x->follow == y->follow && x->commit == y->commit &&
				  x->wait == y->wait && x->hold == y->hold,
			      "segment %zu", i);
	}
}

/* Everything so far read in steps is what is read at once. */
static void check_at_once(void)
{
	struct s3_copy *once = new_copy();

	scan(once);
	same_needs(copy, once);
	s3_copy_free(once);
}

START_TEST(a_segment_stays_for_the_longest_of_its_files)
{
	for (unsigned i = 0; i < 4; i++)
		content(10); /* segments 0 to 2 */
	content(11);
	scan(copy);
	ck_assert_int_ge((int)copy->needs, 3);
	for (size_t i = 0; i < copy->needs; i++)
		ck_assert_int_eq(copy->need[i].until, INT64_MIN);
	rule(COF_COMMIT, 11, COF_T_RETAIN_UNTIL, 2 * YEAR, 0, 0);
	scan(copy);
	ck_assert_int_eq(copy->need[0].until, INT64_MIN); /* 11 has nothing there */
	ck_assert_int_eq(copy->need[copy->needs - 1].until, 2 * YEAR);
	rule(COF_COMMIT, 10, COF_T_RETAIN_UNTIL, YEAR, COF_T_LEAST_UNTIL, 3 * YEAR);
	scan(copy);
	ck_assert_int_eq(copy->need[0].until, 3 * YEAR);
	ck_assert_int_eq(copy->need[copy->needs - 1].until, 3 * YEAR); /* its COMMIT lies there */
	rule(COF_EXTEND, 11, COF_T_RETAIN_UNTIL, 5 * YEAR, 0, 0);
	rule(COF_EXTEND, 10, COF_T_RETAIN_UNTIL, 2 * YEAR, 0, 0); /* earlier: no effect */
	scan(copy);
	ck_assert_int_eq(copy->need[0].until, 3 * YEAR);
	check_at_once();
}
END_TEST

START_TEST(a_hold_begins_and_ends_where_its_files_lie)
{
	uint64_t first, second;

	for (unsigned i = 0; i < 3; i++)
		content(20);
	content(21);
	scan(copy);
	first = hold(1, 0, 20, 1);
	scan(copy);
	ck_assert(copy->need[0].hold);
	content(20); /* what is appended meanwhile lies in a held segment too */
	content(20);
	scan(copy);
	ck_assert(copy->need[copy->needs - 1].hold);
	second = hold(1, 0, 500, 1);
	hold(2, second, 20, 2);
	scan(copy);
	hold(3, first, 0, 0);
	scan(copy);
	ck_assert(copy->need[0].hold); /* the other one lists it */
	check_at_once();
	hold(3, second, 0, 0);
	scan(copy);
	for (size_t i = 0; i < copy->needs; i++)
		ck_assert(!copy->need[i].hold);
	check_at_once();
}
END_TEST

START_TEST(a_place_gives_its_holds)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t id[8];
	uint64_t h = hold(1, 0, 7, 1); /* a directory */

	cof_put_le64(id, h);
	cof_field_put(&b, COF_T_HOLDS, id, 8);
	put(COF_CREATE, 30, &b, 0);
	for (unsigned i = 0; i < 3; i++)
		content(30);
	scan(copy);
	ck_assert(copy->need[0].hold);
	ck_assert(copy->need[copy->needs - 1].hold);
	hold(3, h, 0, 0);
	scan(copy);
	ck_assert(!copy->need[0].hold);
	check_at_once();
}
END_TEST

static void lock_of(const struct s3_need *n, int64_t base, int64_t now, int64_t least, int64_t want)
{
	int64_t l, x;

	s3_lock_of(copy, n, base, now, &l, &x);
	ck_assert_int_eq(l, least);
	ck_assert_int_eq(x, want);
}

START_TEST(ends_of_locks)
{
	static const int64_t day = 86400 * COF_NSEC, now = 1700000000 * COF_NSEC,
			     base = 30 * 86400 * COF_NSEC;
	struct s3_need n;

	s3_need_clear(&n);
	lock_of(&n, base, now, now + base / 2, now + base);
	n.until = now + YEAR;
	copy->lag = 7 * COF_NSEC + 1; /* the clock of retention is behind */
	lock_of(&n, base, now, now + YEAR + 8 * COF_NSEC, now + YEAR + day + 8 * COF_NSEC);
	copy->lag = 0;
	n.until = now + 60;
	lock_of(&n, base, now, now + base / 2, now + base);
	n.until = INT64_MAX;
	lock_of(&n, base, now, now + S3_FOREVER - 365 * day, now + S3_FOREVER);
	/* certificates: the latest end and the margin, or the commit and the longest validity */
	s3_need_clear(&n);
	n.follow = YEAR;
	n.commit = now;
	copy->latest = now + YEAR;
	copy->longest = 5 * YEAR;
	lock_of(&n, base, now, now + 5 * YEAR, now + 5 * YEAR + day);
	copy->latest = now + 9 * YEAR;
	lock_of(&n, base, now, now + 10 * YEAR, now + 10 * YEAR + day);
	/* an event that may happen now */
	s3_need_clear(&n);
	n.wait = 2 * YEAR;
	copy->now = now;
	lock_of(&n, base, now, now + 2 * YEAR, now + 2 * YEAR + day);
}
END_TEST

START_TEST(names_come_back)
{
	static const struct s3_item items[] = {
	    {.kind = S3_CONF, .sha256 = {1}},
	    {.kind = S3_SEGMENT, .number = 0xabcdef, .sha256 = {2}},
	    {.kind = S3_PIECE, .number = 3, .offset = 4096, .length = 77, .sha256 = {3}},
	    {.kind = S3_HEAD, .frames = 123456789012, .offset = UINT64_MAX, .sha256 = {4}},
	    {.kind = S3_HEAD, .frames = 1, .offset = 9, .sha256 = {6}},
	    {.kind = S3_ENVELOPE, .sha256 = {5}},
	};
	static const char *const wrong[] = {
	    "", "conf/", "conf/12", "segment/0000000g-", "other/x", "head/1-2-3", "recovery/x.age"};
	char key[S3_KEY_MAX + 1];
	struct s3_item back;

	for (unsigned i = 0; i < COF_COUNT(items); i++) {
		s3_item_key("", &items[i], key);
		ck_assert_int_eq(s3_item_parse(key, &back), 0);
		ck_assert_int_eq(s3_item_order(&items[i], &back), 0);
		key[strlen(key) - 1] = 'G';
		ck_assert_int_eq(s3_item_parse(key, &back), -EUCLEAN);
	}
	for (unsigned i = 0; i < COF_COUNT(wrong); i++)
		ck_assert_int_eq(s3_item_parse(wrong[i], &back), -EUCLEAN);
	s3_root(&copy->target, w.conf.id, key);
	ck_assert_int_eq(strncmp(key, "p/", 2), 0);
	ck_assert_uint_eq(strlen(key), 2 + 32 + 1);
}
END_TEST

START_TEST(a_note_comes_back_or_is_none)
{
	struct s3_item i = {.kind = S3_PIECE,
			    .number = 0,
			    .length = 9,
			    .sha256 = {7},
			    .locked = 5 * YEAR,
			    .hold = true};
	cof_autobuf struct cof_buf a = {0}, b = {0};
	struct s3_copy *again = new_copy();

	content(10);
	hold(1, 0, 10, 3);
	rule(COF_COMMIT, 10, COF_T_RETAIN_UNTIL, 2 * YEAR, 0, 0);
	scan(copy);
	ck_assert_int_eq(s3_copy_add(copy, &i, "v.1"), 0);
	ck_assert_int_eq(s3_copy_text(copy, &a), 0);
	ck_assert_int_eq(s3_copy_load(again, a.data, a.len), 0);
	ck_assert_int_eq(s3_copy_text(again, &b), 0);
	ck_assert_str_eq((char *)a.data, (char *)b.data);
	for (size_t n = 0; n + 1 < a.len;
	     n += 7) { /* cut anywhere: whole lines less, or none at all */
		int r = s3_copy_load(again, a.data, n);

		ck_assert(r == 0 || r == -EUCLEAN);
		ck_assert(r == 0 || (!again->items && !again->needs && !again->size));
	}
	ck_assert_int_eq(s3_copy_load(again, "coffer-s3 1\nhead 5 9 x 1\n", 25), -EUCLEAN);
	/* an object of a segment of which nothing is known */
	ck_assert_int_eq(s3_copy_add(again, &i, "v"), 0);
	b.len = 0;
	ck_assert_int_eq(s3_copy_text(again, &b), 0);
	ck_assert_int_eq(s3_copy_load(again, b.data, b.len), -EUCLEAN);
	s3_copy_free(again);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("s3-copy");
	TCase *t = tcase_create("copy");
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_fork_status(runner, CK_NOFORK);
	if (cof_crypto_init(1u << 20, NULL) < 0)
		return 1;
	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, a_segment_stays_for_the_longest_of_its_files);
	tcase_add_test(t, a_hold_begins_and_ends_where_its_files_lie);
	tcase_add_test(t, a_place_gives_its_holds);
	tcase_add_test(t, ends_of_locks);
	tcase_add_test(t, names_come_back);
	tcase_add_test(t, a_note_comes_back_or_is_none);
	suite_add_tcase(suite, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
