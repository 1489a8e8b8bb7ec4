/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeding that fails: a file-size limit and a full filesystem stand for a full disk. Nothing is
 * lost, all answers stay right, and the next feeding goes on. And what is deleted, locked or not
 * ours.
 */
#include "model.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void limit_files(rlim_t bytes)
{
	struct rlimit l = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &l) < 0)
		abort();
}

static void grow(struct cof_index *ix, struct model *m, struct dice *d, int n)
{
	while (n--) {
		uint64_t from = m->n;
		model_grow(m, d);
		for (; from < m->n; from++)
			SURE(!model_put(ix, m, from));
	}
}

static int try_feed(struct cof_index *ix, uint64_t size)
{
	return cof_index_feed(ix, size_is, &size);
}

static void check_some(struct cof_index *ix, const struct model *m, struct dice *d)
{
	model_check(ix, m, COF_INDEX_NOW, false);
	for (int i = 0; i < 4; i++)
		model_check(ix, m, roll(d, m->n + 1), false);
}

/* The limit holds for the call only: Check, too, writes to a file. */
static int feed_limited(struct cof_index *ix, uint64_t size, rlim_t bytes)
{
	limit_files(bytes);
	int r = try_feed(ix, size);
	limit_files(RLIM_INFINITY);
	return r;
}

static struct cof_index *reopen_limited(struct cof_index *ix, rlim_t bytes, uint64_t fed)
{
	bool fresh;
	limit_files(bytes);
	cof_index_close(ix); /* moves what it can into the database */
	limit_files(RLIM_INFINITY);
	ix = open_here(&fresh);
	ck_assert(!fresh);
	ck_assert_uint_eq(cof_index_fed(ix), fed);
	return ix;
}

/* At each of many places: after so many bytes no file grows any more. */
START_TEST(no_room)
{
	struct dice d = {300 + (uint64_t)_i};
	struct model m = {0};
	rlim_t bytes = ((rlim_t)_i + 1) * 7000;
	struct cof_index *ix = open_here(NULL);
	grow(ix, &m, &d, 150);
	feed(ix, m.n);
	uint64_t fed = m.n;
	grow(ix, &m, &d, 150);
	int r = feed_limited(ix, m.n, bytes);
	if (r < 0) {
		ck_assert_msg(r == -EIO || r == -ENOSPC, "%d", r);
		ck_assert_uint_eq(cof_index_fed(ix), fed);
		ck_assert_uint_gt(cof_index_pending(ix), 0);
		check_some(ix, &m, &d);
		grow(ix, &m, &d, 100);
		ck_assert_int_eq(feed_limited(ix, m.n, bytes), r);
		check_some(ix, &m, &d);
		if (_i % 2) { /* killed: what the database has is whole, and the log has the rest */
			ix = reopen_limited(ix, bytes, fed);
			model_catch_up(ix, &m);
		}
	}
	feed(ix, m.n);
	ck_assert_uint_eq(cof_index_fed(ix), m.n);
	ck_assert_uint_eq(cof_index_pending(ix), 0);
	check_some(ix, &m, &d);
	ix = reopen_limited(ix, bytes, m.n);
	check_some(ix, &m, &d);
	cof_index_close(ix);
	model_done(&m);
}
END_TEST

/* A real filesystem that is full, where a mount of our own can be had. */
START_TEST(full_disk)
{
	struct dice d = {77};
	struct model m = {0};
	char file[96];
	bool fresh;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", test_dir, "tmpfs", 0, "size=2m") < 0)
		return;
	struct cof_index *ix = open_here(NULL);
	snprintf(file, sizeof(file), "%s/ballast", test_dir);
	int fd = open(file, O_CREAT | O_WRONLY, 0600);
	static const char zero[4096];
	while (write(fd, zero, sizeof(zero)) > 0)
		;
	close(fd);
	uint64_t fed = 0;
	int r = 0;
	while (!r && m.n < 100000) { /* what the write-ahead log had already goes in */
		grow(ix, &m, &d, 60);
		r = try_feed(ix, m.n);
		fed = r ? fed : m.n;
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_eq(cof_index_fed(ix), fed);
	check_some(ix, &m, &d);
	ck_assert(!unlink(file));
	feed(ix, m.n);
	check_some(ix, &m, &d);
	cof_index_close(ix);
	ix = open_here(&fresh);
	ck_assert(!fresh);
	ck_assert_uint_eq(cof_index_fed(ix), m.n);
	check_some(ix, &m, &d);
	cof_index_close(ix);
	model_done(&m);
	umount(test_dir);
}
END_TEST

static void remove_files(void)
{
	static const char *const name[] = {"index.db", "index.db-wal", "index.db-shm"};
	char path[96];
	for (size_t i = 0; i < COF_COUNT(name); i++) {
		snprintf(path, sizeof(path), "%s/%s", test_dir, name[i]);
		unlink(path);
	}
}

/* Its files go, or all of the directory: it goes on, and the next time it is a new one. */
START_TEST(deleted_while_running)
{
	struct dice d = {4 + (uint64_t)_i};
	struct model m = {0};
	bool fresh;
	struct cof_index *ix = open_here(NULL);
	grow(ix, &m, &d, 200);
	if (_i < 2)
		feed(ix, m.n);
	remove_files();
	if (_i % 2)
		ck_assert(!rmdir(test_dir));
	check_some(ix, &m, &d);
	for (int i = 0; i < 3; i++) {
		grow(ix, &m, &d, 100);
		feed(ix, m.n);
		check_some(ix, &m, &d);
	}
	if (_i == 3) { /* begun anew in place */
		ck_assert(!cof_index_reset(ix));
		model_catch_up(ix, &m);
		feed(ix, m.n);
		check_some(ix, &m, &d);
	}
	cof_index_close(ix);
	ix = open_here(&fresh);
	ck_assert(fresh == (_i != 3));
	model_catch_up(ix, &m);
	check_some(ix, &m, &d);
	cof_index_close(ix);
	model_done(&m);
}
END_TEST

/* Much more than one checkpoint's worth: the write-ahead log does not grow for ever. */
START_TEST(log_is_bounded)
{
	char path[96];
	struct stat st;
	static uint8_t value[60000];
	struct cof_index *ix = open_here(NULL);
	for (uint64_t q = 1; q < 600; q++) {
		ck_assert(!cof_index_put_value(ix, q, q, "v", value, sizeof(value)));
		if (q % 10 == 0)
			feed(ix, q + 1);
	}
	snprintf(path, sizeof(path), "%s/index.db-wal", test_dir);
	ck_assert(!stat(path, &st));
	ck_assert_int_lt(st.st_size, 16 << 20);
	cof_index_close(ix);
}
END_TEST

/* Large values count for more: memory stays bounded in bytes. */
START_TEST(weight)
{
	static uint8_t value[65536];
	struct cof_index *ix = open_here(NULL);
	for (uint64_t q = 1; q <= 100; q++)
		ck_assert(!cof_index_put_value(ix, q, 5, "v", value, sizeof(value)));
	ck_assert_uint_ge(cof_index_pending(ix), 100 * (65536 / 512));
	cof_index_close(ix);
}
END_TEST

START_TEST(not_ours)
{
	static const uint8_t key[COF_KEY] = {7, 1, 3}, other_key[COF_KEY] = {8}, id[16] = {9, 9},
			     other_id[16] = {9, 8};
	struct cof_index_params p = {.dir = test_dir, .key = other_key, .archive_id = id};
	struct cof_index *ix = open_here(NULL);
	bool fresh = false;
	feed(ix, 7);
	cof_index_close(ix);
	ck_assert(!cof_index_open(&p, &ix, &fresh, NULL));
	ck_assert(fresh);
	ck_assert_uint_eq(cof_index_fed(ix), 0);
	cof_index_close(ix);
	p.key = key;
	p.archive_id = other_id;
	ck_assert(!cof_index_open(&p, &ix, &fresh, NULL));
	ck_assert(fresh);
	cof_index_close(ix);
}
END_TEST

START_TEST(places_that_cannot_be)
{
	static const uint8_t key[COF_KEY], id[16];
	char path[128];
	struct cof_diag diag = {0};
	struct cof_index *ix = NULL;
	bool fresh;
	struct cof_index_params p = {.dir = path, .key = key, .archive_id = id};
	snprintf(path, sizeof(path), "%s/not/there", test_dir);
	ck_assert_int_eq(cof_index_open(&p, &ix, &fresh, &diag), -ENOENT);
	ck_assert_ptr_null(ix);
	ck_assert(strstr(diag.text, "not/there"));
	snprintf(path, sizeof(path), "%s/file", test_dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_lt(cof_index_open(&p, &ix, &fresh, &diag), 0);
	/* A link where the database should be is not followed. */
	char target[128];
	snprintf(path, sizeof(path), "%s/index.db", test_dir);
	snprintf(target, sizeof(target), "%s/elsewhere", test_dir);
	ck_assert(!symlink(target, path));
	p.dir = test_dir;
	ck_assert(!cof_index_open(&p, &ix, &fresh, &diag));
	ck_assert(fresh);
	ck_assert(access(target, F_OK) < 0);
	cof_index_close(ix);
}
END_TEST

TCase *feed_case(void)
{
	TCase *c = index_case("feed");
	tcase_add_loop_test(c, no_room, 0, slow_tests() ? 60 : 14);
	tcase_add_test(c, full_disk);
	tcase_add_loop_test(c, deleted_while_running, 0, 4);
	tcase_add_test(c, log_is_bounded);
	tcase_add_test(c, weight);
	tcase_add_test(c, not_ours);
	tcase_add_test(c, places_that_cannot_be);
	return c;
}
