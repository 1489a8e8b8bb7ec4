/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index follows the log: one built from the log tells the same, at every tree size, as one that
 * was fed while the frames were written; and what it missed or got wrong is mended while the
 * archive runs.
 */
#include <stdio.h>

#include "entries.h"
#include "fs/archive/internal.h"

static struct store s;

static void teardown(void)
{
	store_done(&s);
}

/* A bit of everything that touches names and files. */
static void fill(void)
{
	uint64_t dir = must_create(&s, AUDIT, "dir", COF_KIND_DIR), a, b, e;

	a = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, a, 0, "one", 3);
	must_write(&s, a, 10, "two", 3);
	b = must_create(&s, dir, "b", COF_KIND_FILE);
	for (unsigned i = 0; i < 300; i++)
		must_write(&s, b, 2 * i, "xy", 2);
	e = must_create(&s, dir, "empty", COF_KIND_FILE);
	ck_assert_uint_gt(e, b);
	ck_assert_int_eq(do_rename(&s, AUDIT, "a", dir, "empty"), 0); /* over it */
	must_create(&s, KEYS, "link", COF_KIND_SYMLINK);
	must_create(&s, KEYS, "gone", COF_KIND_FILE);
	ck_assert_int_eq(do_unlink(&s, KEYS, "gone"), 0);
	must_create(&s, dir, "sub", COF_KIND_DIR);
	ck_assert_int_eq(do_rename(&s, dir, "sub", AUDIT, "sub"), 0);
	ck_assert_int_eq(do_rmdir(&s, AUDIT, "sub"), 0);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_UTIMES,
					       .ino = b,
					       .valid = COF_SET_MTIME,
					       .mtime = 1600000000 * COF_NSEC}),
			 0);
	ck_assert_int_eq(do_chmod(&s, b, 0444), 0);
}

struct listing {
	struct cof_buf *text;
	uint64_t at;
	unsigned depth;
};

static void list(struct listing *l, uint64_t dir);

static int entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		 uint8_t kind)
{
	struct listing *l = user;
	struct cof_attr attr;
	int r = cof_archive_getattr(s.archive, l->at, ino, &attr);
	uint8_t buf[1024], hash[32] = {0};
	size_t n = 0;

	ck_assert_int_eq(r, 0);
	if (kind == COF_KIND_FILE) {
		ck_assert_int_eq(cof_archive_read(s.archive, l->at, ino, buf, sizeof(buf), 0, &n),
				 0);
		ck_assert_uint_eq(n, attr.size);
		cof_sha256(buf, n, hash);
	}
	cof_buf_printf(l->text,
		       "%u %llu %.*s %llu kind %u state %u mode %o size %llu mtime %lld ctime %lld "
		       "hash %02x%02x%02x\n",
		       l->depth, (unsigned long long)cookie, (int)len, name,
		       (unsigned long long)ino, attr.kind, attr.state, attr.mode,
		       (unsigned long long)attr.size, (long long)attr.mtime, (long long)attr.ctime,
		       hash[0], hash[1], hash[2]);
	if (kind == COF_KIND_DIR) {
		struct listing below = {l->text, l->at, l->depth + 1};

		list(&below, ino);
	}
	return 0;
}

static void list(struct listing *l, uint64_t dir)
{
	ck_assert_int_eq(cof_archive_readdir(s.archive, l->at, dir, 0, entry, l), 0);
}

/* The whole tree as it was at each tree size, and as it is. */
static char *history(uint64_t size)
{
	struct cof_buf text = {0};

	for (uint64_t at = 1; at <= size + 1; at += at < 20 || at > size - 20 ? 1 : 17) {
		struct listing l = {&text, at > size ? COF_INDEX_NOW : at, 0};

		cof_buf_printf(&text, "at %llu\n", (unsigned long long)at);
		list(&l, COF_ROOT_INO);
	}
	return (char *)text.data;
}

/* In memory the index is gone with each closing: opening builds all of it from the log. */
START_TEST(same_as_fed)
{
	uint64_t size;
	char *fed, *built;

	store_make(&s, _i);
	fill();
	size = atomic_load(&s.archive->size);
	cof_obj_clear(s.archive); /* the rows answer, not the cache */
	fed = history(size);
	ck_assert_int_eq(cof_archive_feed(s.archive), 0);
	built = history(size); /* out of the database instead of what is pending */
	ck_assert_str_eq(fed, built);
	free(built);
	store_close(&s);
	store_open(&s);
	built = history(size);
	ck_assert_str_eq(fed, built);
	free(built);
	free(fed);
}
END_TEST

/* A frame is accepted but the index missed it: asked anew from the log before anything goes on. */
START_TEST(missed)
{
	uint64_t ino, from;
	struct cof_attr attr;

	store_make(&s, STORE_SIM);
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, ino, 0, "abc", 3);
	ck_assert_int_eq(cof_archive_feed(s.archive), 0);
	from = atomic_load(&s.archive->size);
	must_write(&s, ino, 3, "def", 3);
	cof_stale(s.archive, from);
	ck_assert_uint_eq(cof_archive_size(s.archive), from); /* not fed past it */
	must_hold(&s, ino, "abcdef", 6);
	ck_assert_uint_eq(atomic_load(&s.archive->rebuilds), 1);
	ck_assert(!atomic_load(&s.archive->stale));
	must_write(&s, ino, 6, "ghi", 3);
	must_hold(&s, ino, "abcdefghi", 9);
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "a", &attr), 0);
	ck_assert_uint_eq(atomic_load(&s.archive->rebuilds), 1);
}
END_TEST

START_TEST(damaged)
{
	uint64_t ino;

	store_make(&s, STORE_SIM);
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, ino, 0, "abc", 3);
	ck_assert_int_eq(cof_ix(s.archive, -EBADMSG), -COF_EINDEX);
	ck_assert_int_eq(cof_ix(s.archive, -ENOENT), -ENOENT);
	ck_assert_int_eq(cof_archive_repair(s.archive), 0);
	ck_assert_ptr_nonnull(strstr(s.alarm, "index was damaged and has been rebuilt"));
	ck_assert_uint_eq(atomic_load(&s.archive->rebuilds), 1);
	must_hold(&s, ino, "abc", 3);
	ck_assert_uint_gt(must_create(&s, AUDIT, "b", COF_KIND_FILE), ino);
	/* a place that stays wrong does not have it built again at once */
	ck_assert_int_eq(cof_ix(s.archive, -EBADMSG), -COF_EINDEX);
	ck_assert_int_eq(cof_archive_repair(s.archive), 0);
	ck_assert_uint_eq(atomic_load(&s.archive->rebuilds), 1);
}
END_TEST

static uint64_t address_of(unsigned type, uint64_t object)
{
	uint64_t at = 0;
	struct cof_frame f;

	while (cof_reader_header(s.archive->reader, at, &f, NULL, NULL) == 0) {
		if (f.type == type && f.object == object)
			return at;
		if (cof_reader_next(s.archive->reader, at, &f, &at) < 0)
			break;
	}
	ck_abort_msg("no such frame");
}

static void rot(uint64_t at)
{
	store_close(&s);
	ck_assert_int_eq(cof_sim_flip(s.sim, "log/00000000.seg", at, 1), 0);
	s.alarm[0] = 0;
	store_open(&s);
}

/* What a damaged place would have told, a later request could contradict: nothing is added any
 * more. */
static void must_be_read_only(void)
{
	ck_assert(s.opened.read_only);
	ck_assert_ptr_nonnull(strstr(s.opened.text, "log/00000000.seg at offset"));
	ck_assert_ptr_nonnull(strstr(s.opened.text, "coffer verify"));
	ck_assert_int_eq(do_create(&s, AUDIT, "last", COF_KIND_FILE, NULL), -EROFS);
}

/* One frame's payload is rotten: told of, passed over, the rest is there; its number is not given
 * again. */
START_TEST(rotten_frame)
{
	uint64_t first, rotten, at;
	struct cof_attr attr;

	store_make(&s, STORE_SIM);
	first = must_create(&s, AUDIT, "first", COF_KIND_FILE);
	must_write(&s, first, 0, "abc", 3);
	rotten = must_create(&s, AUDIT, "rotten", COF_KIND_FILE);
	at = address_of(COF_CREATE, rotten);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	rot(at + COF_FRAME_HEADER + 3);
	must_be_read_only();
	ck_assert_ptr_nonnull(strstr(s.opened.text, "create frame"));
	must_hold(&s, first, "abc", 3);
	ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "rotten", &attr),
			 -ENOENT);
	ck_assert_uint_gt(atomic_load(&s.archive->next_ino), rotten);
}
END_TEST

/* The mount's salt is lost with its frame: no index can help, and none is built again and again. */
START_TEST(rebuilt_once)
{
	uint64_t at = 0, ino;
	struct cof_frame f;
	char buf[3];
	size_t n;

	store_make(&s, STORE_SIM);
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	store_close(&s);
	store_open(&s); /* the file is of the mount before */
	must_write(&s, ino, 0, "abc", 3);
	while (cof_reader_header(s.archive->reader, at, &f, NULL, NULL) == 0 &&
	       (f.type != COF_MOUNT || f.mount != s.archive->mount))
		ck_assert_int_eq(cof_reader_next(s.archive->reader, at, &f, &at), 0);
	ck_assert_int_eq(f.type, COF_MOUNT);
	ck_assert_int_eq(cof_archive_checkpoint(s.archive), 0);
	rot(at + COF_FRAME_HEADER + 3);
	ck_assert_msg(s.opened.read_only, "%s", s.opened.text);
	for (unsigned i = 0; i < 3; i++) {
		cof_ix(s.archive, -EBADMSG);
		cof_archive_repair(s.archive);
		ck_assert_int_eq(
		    cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, 3, 0, &n), -EIO);
		ck_assert_uint_eq(atomic_load(&s.archive->rebuilds), 1);
		s.archive->repaired_at -= 60 * COF_NSEC;
	}
}
END_TEST

/* The frames of a segment that cannot be found: what lies behind them in a file stays in its place.
 */
START_TEST(lost_frames)
{
	static char much[30000];
	uint8_t buf[8];
	struct cof_attr attr;
	uint64_t ino, other, done;
	size_t n;

	store_new(&s, STORE_SIM);
	s.segment_size = 65536;
	ck_assert_int_eq(store_init(&s, NULL), 0);
	store_open(&s);
	ino = must_create(&s, AUDIT, "a", COF_KIND_FILE);
	must_write(&s, ino, 0, "abc", 3);
	done = must_create(&s, AUDIT, "c", COF_KIND_FILE);
	must_write(&s, done, 0, "abc", 3);
	other = must_create(&s, AUDIT, "b", COF_KIND_FILE);
	must_write(&s, other, 0, "lost", 4); /* with all that follows in its segment */
	must_write(&s, ino, 3, "def", 3);
	must_write(&s, done, 3, "def", 3);
	for (uint64_t at = 4; at < 4 + 3 * sizeof(much); at += sizeof(much))
		must_write(&s, other, at, much, sizeof(much)); /* into the next segment */
	must_write(&s, ino, 6, "ghi", 3);
	ck_assert_int_eq(do_chmod(&s, done, 0444), 0);
	rot(address_of(COF_APPEND, other) + 20);
	must_be_read_only();
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	ck_assert_uint_eq(attr.size, 9);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, 3, 0, &n), 0);
	ck_assert(!memcmp(buf, "abc", 3));
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, 3, 3, &n), -EIO);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, 3, 6, &n), 0);
	ck_assert(!memcmp(buf, "ghi", 3));
	/* its last frames may be gone too: nobody knows that it ends there */
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, 3, 9, &n), -EIO);
	/* the commit says where that one ends */
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, done, &attr), 0);
	ck_assert_uint_eq(attr.size, 6);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, done, buf, 3, 0, &n), 0);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, done, buf, 3, 3, &n), -EIO);
	ck_assert_int_eq(cof_archive_read(s.archive, COF_INDEX_NOW, done, buf, 3, 6, &n), 0);
	ck_assert_uint_eq(n, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-replay");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("replay");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_loop_test(c, same_as_fed, 0, STORE_KINDS);
	tcase_add_test(c, missed);
	tcase_add_test(c, damaged);
	tcase_add_test(c, rotten_frame);
	tcase_add_test(c, rebuilt_once);
	tcase_add_test(c, lost_frames);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
