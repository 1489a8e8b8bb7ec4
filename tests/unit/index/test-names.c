/* SPDX-License-Identifier: Apache-2.0 */
/* Names, one by one: order and cookies of a large directory, replaced names, limits. */
#include "test-index.h"

#include <stdio.h>

#define MANY 1000

struct seen {
	uint64_t cookie, stop, n, first;
};

static int count(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		 uint8_t kind COF_UNUSED)
{
	struct seen *s = user;
	char want[32];
	snprintf(want, sizeof(want), "file %llu", (unsigned long long)ino);
	ck_assert_uint_eq(strlen(want), len);
	ck_assert_mem_eq(want, name, len);
	ck_assert_uint_gt(cookie, s->cookie);
	if (!s->n++)
		s->first = ino;
	s->cookie = cookie;
	return s->n == s->stop;
}

static void link_one(struct cof_index *ix, uint64_t sequence, uint64_t ino)
{
	char name[32];
	snprintf(name, sizeof(name), "file %llu", (unsigned long long)ino);
	ck_assert(!cof_index_link(ix, sequence, 1, name, strlen(name), ino, COF_KIND_FILE));
}

static void unlink_one(struct cof_index *ix, uint64_t sequence, uint64_t ino)
{
	char name[32];
	snprintf(name, sizeof(name), "file %llu", (unsigned long long)ino);
	ck_assert(!cof_index_unlink(ix, sequence, 1, name, strlen(name)));
}

/* Entries in the database, frozen nowhere, in memory, and closed in memory while open in the
 * database. */
START_TEST(order_and_cookies)
{
	struct cof_index *ix = open_here(NULL);
	for (uint64_t i = 1; i <= MANY; i++) {
		link_one(ix, i, MANY + 1 - i); /* against the order of numbers */
		if (i == MANY / 2)
			feed(ix, i + 1);
	}
	for (uint64_t ino = 1; ino <= MANY; ino += 2)
		unlink_one(ix, MANY + ino, ino);
	/* A listing that goes on while names come and go, seven at a time. */
	struct seen s = {0};
	uint64_t calls = 0;
	do {
		s.stop = s.n + 7;
		ck_assert(!cof_index_readdir(ix, COF_INDEX_NOW, 1, s.cookie, count, &s));
		if (++calls == 20)
			feed(ix, 2 * MANY + 1);
	} while (s.n == s.stop);
	ck_assert_uint_eq(s.n, MANY / 2);
	ck_assert_uint_eq(s.first, MANY);
	struct seen all = {0};
	ck_assert(!cof_index_readdir(ix, MANY + 1, 1, 0, count, &all));
	ck_assert_uint_eq(all.n, MANY);
	struct seen behind = {.cookie = s.cookie};
	ck_assert(!cof_index_readdir(ix, COF_INDEX_NOW, 1, s.cookie, count, &behind));
	ck_assert_uint_eq(behind.n, 0);
	cof_index_close(ix);
}
END_TEST

static int give_back(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED,
		     size_t len COF_UNUSED, uint64_t ino COF_UNUSED, uint8_t kind COF_UNUSED)
{
	return *(int *)user;
}

static int ask_inside(void *user, uint64_t cookie COF_UNUSED, const char *name, size_t len,
		      uint64_t ino, uint8_t kind COF_UNUSED)
{
	uint64_t found = 0;
	struct cof_index *ix = user;
	feed(ix, 100);
	ck_assert(!cof_index_lookup(ix, COF_INDEX_NOW, 1, name, len, &found));
	ck_assert_uint_eq(found, ino);
	return 0;
}

START_TEST(what_the_caller_says)
{
	struct cof_index *ix = open_here(NULL);
	int say = -EIO;
	link_one(ix, 1, 5);
	link_one(ix, 2, 6);
	ck_assert_int_eq(cof_index_readdir(ix, COF_INDEX_NOW, 1, 0, give_back, &say), -EIO);
	say = 3;
	ck_assert_int_eq(cof_index_readdir(ix, COF_INDEX_NOW, 1, 0, give_back, &say), 0);
	ck_assert_int_eq(cof_index_readdir(ix, COF_INDEX_NOW, 1, 0, ask_inside, ix), 0);
	cof_index_close(ix);
}
END_TEST

START_TEST(replaced_by_a_link)
{
	struct cof_index *ix = open_here(NULL);
	uint64_t ino = 0;
	struct seen s = {0};
	for (int again = 0; again < 2; again++) {
		ck_assert(!cof_index_link(ix, 3, 1, "file 9", 6, 4, COF_KIND_FILE));
		ck_assert(!cof_index_link(ix, 7, 1, "file 9", 6, 9, COF_KIND_FILE));
	}
	ck_assert(!cof_index_readdir(ix, COF_INDEX_NOW, 1, 0, count, &s));
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.cookie, 7);
	ck_assert(!cof_index_lookup(ix, 7, 1, "file 9", 6, &ino));
	ck_assert_uint_eq(ino, 4);
	ck_assert_int_eq(cof_index_lookup(ix, 3, 1, "file 9", 6, &ino), -ENOENT);
	/* A name in another directory, and one that only begins the same, are others. */
	ck_assert_int_eq(cof_index_lookup(ix, COF_INDEX_NOW, 2, "file 9", 6, &ino), -ENOENT);
	ck_assert_int_eq(cof_index_lookup(ix, COF_INDEX_NOW, 1, "file 9", 5, &ino), -ENOENT);
	cof_index_close(ix);
}
END_TEST

/* A frame whose turn was missed is fed behind later ones, and takes its place. */
START_TEST(a_missed_frame)
{
	struct cof_index *ix = open_here(NULL);
	struct cof_node n = {.ino = 5, .kind = COF_KIND_FILE, .mode = 1}, got;
	uint64_t ino;
	ck_assert(!cof_index_put_node(ix, 1, &n));
	link_one(ix, 2, 5);
	n.mode = 3;
	ck_assert(!cof_index_put_node(ix, 9, &n));
	link_one(ix, 8, 5);
	feed(ix, 3);
	n.mode = 2;
	ck_assert(!cof_index_put_node(ix, 4, &n));
	unlink_one(ix, 6, 5);
	feed(ix, 10);
	for (uint64_t at = 2; at < 12; at++) {
		ck_assert(!cof_index_get_node(ix, at, 5, &got));
		ck_assert_uint_eq(got.mode, at <= 4 ? 1 : at <= 9 ? 2 : 3);
		int r = cof_index_lookup(ix, at, 1, "file 5", 6, &ino);
		ck_assert_int_eq(r, at <= 2 || at == 7 || at == 8 ? -ENOENT : 0);
	}
	cof_index_close(ix);
}
END_TEST

START_TEST(limits)
{
	struct cof_index *ix = open_here(NULL);
	static uint8_t big[65537];
	char name[COF_NAME_MAX + 2];
	cof_autobuf struct cof_buf v = {0};
	uint64_t ino;
	memset(name, 'n', sizeof(name));
	memset(big, 7, sizeof(big));
	ck_assert_int_eq(cof_index_link(ix, 1, 1, name, 256, 5, COF_KIND_FILE), -EINVAL);
	ck_assert_int_eq(cof_index_link(ix, 1, 1, name, 0, 5, COF_KIND_FILE), -EINVAL);
	ck_assert_int_eq(cof_index_lookup(ix, COF_INDEX_NOW, 1, name, 256, &ino), -ENOENT);
	ck_assert_int_eq(cof_index_link(ix, 1, 1, name, 255, 5, COF_KIND_FILE), 0);
	ck_assert_int_eq(cof_index_put_value(ix, 1, 5, "k", big, 65537), -EINVAL);
	ck_assert_int_eq(cof_index_put_value(ix, 1, 5, "k", big, 65536), 0);
	struct cof_stretch s = {.position = INT64_MAX, .length = 1, .sequence = 1};
	ck_assert_int_eq(cof_index_add_stretch(ix, 5, &s), -EINVAL);
	s = (struct cof_stretch){.position = 0, .length = 0, .sequence = 1};
	ck_assert_int_eq(cof_index_add_stretch(ix, 5, &s), -EINVAL);
	feed(ix, 2);
	ck_assert(!cof_index_get_value(ix, COF_INDEX_NOW, 5, "k", &v));
	ck_assert_uint_eq(v.len, 65536);
	ck_assert_mem_eq(v.data, big, 65536);
	ck_assert_uint_eq(cof_index_last_ino(ix), 1); /* a name alone makes no inode */
	cof_index_close(ix);
}
END_TEST

/* What contradicts what is there is refused, pending and stored alike. */
START_TEST(contradictions)
{
	struct cof_index *ix = open_here(NULL);
	struct cof_stretch a = {0, 10, 100, 1, false}, b = {10, 5, 200, 2, false}, c;
	struct cof_index_mount m = {.sequence = 1, .address = 4}, other = m;
	other.salt[3] = 1;
	ck_assert(!cof_index_add_stretch(ix, 5, &a));
	ck_assert(!cof_index_add_stretch(ix, 5, &b));
	ck_assert(!cof_index_put_mount(ix, 1, &m));
	ck_assert(!cof_index_put_actor(ix, 2, 1, 1, 77));
	for (int stored = 0; stored < 2; stored++) {
		c = a;
		c.length = 9;
		ck_assert_int_eq(cof_index_add_stretch(ix, 5, &a), 0);
		ck_assert_int_eq(cof_index_add_stretch(ix, 5, &b), 0);
		if (!stored)
			ck_assert_int_eq(cof_index_add_stretch(ix, 5, &c), -EBADMSG);
		ck_assert_int_eq(cof_index_put_mount(ix, 1, &m), 0);
		ck_assert_int_eq(cof_index_put_mount(ix, 1, &other), -EBADMSG);
		ck_assert_int_eq(cof_index_put_actor(ix, 2, 1, 1, 78), -EBADMSG);
		ck_assert_int_eq(cof_index_put_actor(ix, 3, 1, 1, 77), -EBADMSG);
		feed(ix, 3);
	}
	/* Of a file of which nothing is pending it is seen when it is to be written. */
	c.length = 9;
	int r = cof_index_add_stretch(ix, 5, &c);
	uint64_t size = 4;
	ck_assert(r == -EBADMSG || cof_index_feed(ix, size_is, &size) == -EBADMSG);
	cof_index_close(ix);
}
END_TEST

TCase *names_case(void)
{
	TCase *c = index_case("names");
	tcase_add_test(c, order_and_cookies);
	tcase_add_test(c, what_the_caller_says);
	tcase_add_test(c, replaced_by_a_link);
	tcase_add_test(c, a_missed_frame);
	tcase_add_test(c, limits);
	tcase_add_test(c, contradictions);
	return c;
}
