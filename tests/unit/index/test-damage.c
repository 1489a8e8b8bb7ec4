/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flipped bits in a small database: found at open (and then it is a new one), or when what they hit
 * is asked for. Never a crash, never a wrong answer. Which bits is drawn; COF_TEST_SLOW draws many
 * more.
 */
#include "model.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct image {
	uint8_t *p;
	size_t n;
};

static void path_of(const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", test_dir, name);
}

static struct image load(const char *name)
{
	char path[128];
	struct stat st;
	path_of(name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert(!fstat(fd, &st));
	struct image i = {malloc((size_t)st.st_size), (size_t)st.st_size};
	ck_assert_ptr_nonnull(i.p);
	ck_assert(pread(fd, i.p, i.n, 0) == (ssize_t)i.n);
	close(fd);
	return i;
}

static void store(const char *name, const struct image *i)
{
	char path[128];
	path_of(name, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert(!cof_write_all(fd, i->p, i->n));
	close(fd);
}

/* In place: the file stays the one that is open. */
static void flip(const char *name, uint64_t bit)
{
	char path[128];
	uint8_t b;
	path_of(name, path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert(pread(fd, &b, 1, (off_t)(bit / 8)) == 1);
	b ^= (uint8_t)(1 << bit % 8);
	ck_assert(pwrite(fd, &b, 1, (off_t)(bit / 8)) == 1);
	close(fd);
}

static void remove_one(const char *name)
{
	char path[128];
	path_of(name, path);
	unlink(path);
}

static struct model build(struct dice *d, int steps)
{
	struct model m = {0};
	struct cof_index *ix = open_here(NULL);
	for (int i = 0; i < steps; i++) {
		uint64_t from = m.n;
		model_grow(&m, d);
		for (; from < m.n; from++)
			SURE(!model_put(ix, &m, from));
		if (i % 50 == 49)
			feed(ix, m.n);
	}
	feed(ix, m.n);
	cof_index_close(ix);
	return m;
}

static bool ask_everything(struct cof_index *ix, const struct model *m, struct dice *d)
{
	bool whole = model_check(ix, m, COF_INDEX_NOW, true);
	for (int i = 0; i < 2; i++)
		whole &= model_check(ix, m, roll(d, m->n + 1), true);
	return whole;
}

/* Whether the flip was noticed at all. */
static bool open_and_ask(const struct model *m, struct dice *d)
{
	bool fresh = false;
	struct cof_index *ix = open_here(&fresh);
	bool noticed = fresh || cof_index_fed(ix) != m->n;
	if (!fresh) /* else nothing is in it; catching up is what other tests do */
		noticed |= cof_index_fed(ix) == m->n && !ask_everything(ix, m, d);
	cof_index_close(ix);
	return noticed;
}

START_TEST(bits_at_open)
{
	struct dice d = {40 + (uint64_t)_i};
	struct model m = build(&d, 250);
	struct image whole = load("index.db");
	int tries = slow_tests() ? 20000 : 120, noticed = 0;
	ck_assert(!open_and_ask(&m, &d));
	for (int i = 0; i < tries; i++) {
		remove_one("index.db-wal");
		store("index.db", &whole);
		/* The first pages are the richest in structure. */
		flip("index.db", roll(&d, (i % 4 ? whole.n : COF_MIN(whole.n, 16384)) * 8));
		noticed += open_and_ask(&m, &d);
	}
	ck_assert_int_gt(noticed, tries * 9 / 10);
	free(whole.p);
	model_done(&m);
}
END_TEST

/* What was committed to the write-ahead log, and not moved: an older whole state, or none. */
START_TEST(bits_in_the_write_ahead_log)
{
	struct dice d = {90};
	struct model m = {0};
	struct cof_index *ix = open_here(NULL);
	for (int i = 0; i < 150; i++) {
		uint64_t from = m.n;
		model_grow(&m, &d);
		for (; from < m.n; from++)
			SURE(!model_put(ix, &m, from));
		if (i % 30 == 29)
			feed(ix, m.n);
	}
	feed(ix, m.n);
	struct image wal = load("index.db-wal"), db = load("index.db");
	cof_index_close(ix);
	int older = 0;
	for (int i = 0; i < (slow_tests() ? 5000 : 80); i++) {
		bool fresh;
		store("index.db", &db);
		store("index.db-wal", &wal);
		if (i)
			flip("index.db-wal", roll(&d, wal.n * 8));
		ix = open_here(&fresh);
		ck_assert(i || cof_index_fed(ix) == m.n);
		older += !fresh && cof_index_fed(ix) < m.n;
		model_catch_up(ix, &m);
		model_check(ix, &m, COF_INDEX_NOW, false);
		feed(ix, m.n);
		ck_assert(model_check(ix, &m, roll(&d, m.n + 1), false));
		cof_index_close(ix);
	}
	ck_assert_int_gt(older, 0);
	free(wal.p);
	free(db.p);
	model_done(&m);
}
END_TEST

/* Under a running index whose cache has been given back: answers are right, or say that they cannot
 * be. */
START_TEST(bits_while_running)
{
	struct dice d = {60 + (uint64_t)_i};
	struct model m = build(&d, 250);
	struct image whole = load("index.db");
	int tries = slow_tests() ? 20000 : 120, noticed = 0;
	for (int i = 0; i < tries; i++) {
		bool fresh;
		uint64_t bit = roll(&d, (i % 4 ? whole.n : COF_MIN(whole.n, 16384)) * 8);
		store("index.db", &whole);
		struct cof_index *ix = open_here(&fresh);
		ck_assert(!fresh);
		flip("index.db", bit);
		cof_index_bulk(ix, false); /* gives the cache back */
		bool hurt = !ask_everything(ix, &m, &d);
		noticed += hurt;
		if (hurt && i % 5 == 0) { /* what the caller then does */
			ck_assert(!cof_index_reset(ix));
			model_catch_up(ix, &m);
			feed(ix, m.n);
			ck_assert(model_check(ix, &m, COF_INDEX_NOW, false));
		}
		cof_index_close(ix);
	}
	/* Pages have checksums: all but what is in no page that is read. */
	ck_assert_int_gt(noticed, tries * 9 / 10);
	free(whole.p);
	model_done(&m);
}
END_TEST

/* Each page of the file ends in its checksum. */
START_TEST(pages_have_checksums)
{
	struct dice d = {60};
	struct model m = build(&d, 250);
	struct image whole = load("index.db");
	ck_assert_uint_eq(whole.n % 8192, 0);
	ck_assert_uint_eq(whole.p[20], 8);
	for (size_t page = 0; page < whole.n / 8192; page++) {
		const uint8_t *p = whole.p + page * 8192;
		uint8_t number[8];
		cof_put_le64(number, page);
		uint32_t crc = cof_crc32c(cof_crc32c(0, number, 8), p, 8184);
		ck_assert_uint_eq(cof_get_le32(p + 8184), crc);
		ck_assert_uint_eq(cof_get_le32(p + 8188), ~crc);
	}
	free(whole.p);
	model_done(&m);
}
END_TEST

/* The write-ahead log under a running index, nothing of it moved yet. */
START_TEST(bits_of_the_running_log)
{
	struct dice d = {61};
	struct model m = {0};
	int noticed = 0, tries = slow_tests() ? 3000 : 60;
	for (int i = 0; i < 200; i++)
		model_grow(&m, &d);
	for (int i = 0; i < tries; i++) {
		bool fresh;
		remove_one("index.db-wal");
		remove_one("index.db");
		struct cof_index *ix = open_here(&fresh);
		for (uint64_t q = 0; q < m.n; q++)
			SURE(!model_put(ix, &m, q));
		feed(ix, m.n);
		struct image wal = load("index.db-wal");
		flip("index.db-wal", roll(&d, wal.n * 8));
		free(wal.p);
		cof_index_bulk(ix, false);
		noticed += !ask_everything(ix, &m, &d);
		cof_index_close(ix);
	}
	ck_assert_int_gt(noticed, tries / 3);
	model_done(&m);
}
END_TEST

/* Feeding into a damaged database: an error and nothing lost, or right. */
START_TEST(feeding_into_damage)
{
	struct dice d = {800};
	struct model m = build(&d, 200);
	struct image whole = load("index.db");
	uint64_t before = m.n;
	for (int i = 0; i < 80; i++)
		model_grow(&m, &d);
	for (int i = 0; i < (slow_tests() ? 5000 : 60); i++) {
		bool fresh;
		int r = 0;
		remove_one("index.db-wal");
		store("index.db", &whole);
		struct cof_index *ix = open_here(&fresh);
		flip("index.db", roll(&d, whole.n * 8));
		cof_index_bulk(ix, false);
		for (uint64_t q = before; !r && q < m.n; q++)
			r = model_put(ix, &m, q);
		if (!r)
			r = cof_index_feed(ix, size_is, &m.n);
		ck_assert_msg(!r || r == -EBADMSG || r == -EUCLEAN, "%d", r);
		if (!r)
			ask_everything(ix, &m, &d);
		ck_assert(!cof_index_reset(ix));
		model_catch_up(ix, &m);
		feed(ix, m.n);
		ck_assert(model_check(ix, &m, COF_INDEX_NOW, false));
		cof_index_close(ix);
	}
	free(whole.p);
	model_done(&m);
}
END_TEST

/* Not a bit but all of it: cut short, emptied, foreign. */
START_TEST(torn)
{
	static uint8_t junk[20000];
	struct dice d = {7};
	struct model m = build(&d, 200);
	struct image whole = load("index.db"), cut;
	for (int i = 0; i < 40; i++) {
		cut = whole;
		cut.n = roll(&d, whole.n);
		store("index.db", &cut);
		open_and_ask(&m, &d);
	}
	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)roll(&d, 256);
	cut = (struct image){junk, sizeof(junk)};
	store("index.db", &cut);
	ck_assert(open_and_ask(&m, &d));
	store("index.db", &whole);
	store("index.db-wal", &cut);
	ck_assert(!open_and_ask(&m, &d));
	free(whole.p);
	model_done(&m);
}
END_TEST

TCase *damage_case(void)
{
	TCase *c = index_case("damage");
	tcase_set_timeout(c, slow_tests() ? 3600 : 120);
	tcase_add_loop_test(c, bits_at_open, 0, 2);
	tcase_add_test(c, bits_in_the_write_ahead_log);
	tcase_add_loop_test(c, bits_while_running, 0, 2);
	tcase_add_test(c, pages_have_checksums);
	tcase_add_test(c, bits_of_the_running_log);
	tcase_add_test(c, feeding_into_damage);
	tcase_add_test(c, torn);
	return c;
}
