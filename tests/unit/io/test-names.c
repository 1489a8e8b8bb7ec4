/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance of the three stores: names and directories. */
#include "test-io.h"

#include <stdio.h>

static int join(void *user, const char *name)
{
	char *s = user;

	ck_assert_uint_lt(strlen(s) + strlen(name), 4000);
	strcat(strcat(s, name), "|");
	return 0;
}

static int stop(void *user, const char *name)
{
	(void)name;
	return ++*(int *)user == 2 ? -EDOM : 0;
}

START_TEST(directories)
{
	char names[4096] = "";
	struct cof_file *f = NULL;
	struct place p;
	int calls = 0;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_list(p.io, "", join, names));
	ck_assert_str_eq(names, "");
	ok(cof_io_mkdir(p.io, "d"));
	ck_assert_int_eq(cof_io_mkdir(p.io, "d"), -EEXIST);
	ck_assert_int_eq(cof_io_mkdir(p.io, "no/d"), -ENOENT);
	ok(cof_io_mkdir(p.io, "d/sub"));
	put_file(p.io, "d/b", "");
	put_file(p.io, "d/a.x", "");
	put_file(p.io, "d/a", "");
	put_file(p.io, "d/sub/deep", "");
	put_file(p.io, "d/\xff", "");
	put_file(p.io, "d/Z", "");
	ok(cof_io_list(p.io, "d", join, names));
	ck_assert_str_eq(names, "Z|a|a.x|b|sub|\xff|");
	names[0] = 0;
	ok(cof_io_list(p.io, "d/sub", join, names));
	ck_assert_str_eq(names, "deep|");
	ck_assert_int_eq(cof_io_list(p.io, "d", stop, &calls), -EDOM);
	ck_assert_int_eq(calls, 2);
	ck_assert_int_eq(cof_io_list(p.io, "no", join, names), -ENOENT);
	ck_assert_int_eq(cof_io_list(p.io, "d/a", join, names), -ENOTDIR);

	ck_assert_int_eq(cof_io_rmdir(p.io, "d/sub"), -ENOTEMPTY);
	ck_assert_int_eq(cof_io_rmdir(p.io, "d/a"), -ENOTDIR);
	ck_assert_int_eq(cof_io_rmdir(p.io, "no"), -ENOENT);
	ck_assert_int_eq(cof_io_unlink(p.io, "d/sub"), -EISDIR);
	ck_assert_int_eq(cof_io_unlink(p.io, "no"), -ENOENT);
	ok(cof_io_unlink(p.io, "d/sub/deep"));
	ok(cof_io_rmdir(p.io, "d/sub"));
	ck_assert_int_eq(cof_io_open(p.io, "d/sub/deep", COF_IO_RDONLY, &f), -ENOENT);
	ok(cof_io_sync_dir(p.io, ""));
	ok(cof_io_sync_dir(p.io, "d"));
	ck_assert_int_eq(cof_io_sync_dir(p.io, "no"), -ENOENT);
	place_end(&p);
}
END_TEST

START_TEST(renames)
{
	struct cof_file *f = NULL;
	struct place p;
	char b[8];
	size_t n;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_mkdir(p.io, "d"));
	put_file(p.io, "a", "A");
	put_file(p.io, "d/b", "B");
	ok(cof_io_open(p.io, "d/b", COF_IO_RDONLY, &f));
	ok(cof_io_rename(p.io, "a", "d/b")); /* replaces, and moves between directories */
	ck_assert(holds(p.io, "d/b", "A"));
	ck_assert(holds(p.io, "a", NULL));
	ok(cof_io_read(f, b, sizeof(b), 0, &n)); /* what was replaced is still open */
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(b[0], 'B');
	ok(cof_io_rename(p.io, "d/b", "d/b"));
	ck_assert(holds(p.io, "d/b", "A"));
	ck_assert_int_eq(cof_io_rename(p.io, "a", "x"), -ENOENT);
	ck_assert_int_eq(cof_io_rename(p.io, "d/b", "no/x"), -ENOENT);
	ok(cof_io_mkdir(p.io, "e"));
	ck_assert_int_eq(cof_io_rename(p.io, "d/b", "e"), -EISDIR);
	ck_assert_int_eq(cof_io_exists(p.io, "d/b"), 1);
	ck_assert_int_eq(cof_io_exists(p.io, "d"), 1);
	ck_assert_int_eq(cof_io_exists(p.io, "x"), 0);
	ck_assert_int_eq(cof_io_exists(p.io, "no/x"), 0);
	cof_io_close(f);
	place_end(&p);
}
END_TEST

/* What every function that takes a path answers to this one. */
static void refused(struct cof_io *io, const char *path, int err)
{
	struct cof_file *f = NULL;
	uint8_t *data = NULL;
	char names[16] = "";
	size_t n;

	ck_assert_int_eq(cof_io_create(io, path, &f), err);
	ck_assert_int_eq(cof_io_open(io, path, COF_IO_RDONLY, &f), err);
	ck_assert_int_eq(cof_io_mkdir(io, path), err);
	ck_assert_int_eq(cof_io_rename(io, path, "there"), err);
	ck_assert_int_eq(cof_io_rename(io, "here", path), err);
	ck_assert_int_eq(cof_io_unlink(io, path), err);
	ck_assert_int_eq(cof_io_rmdir(io, path), err);
	ck_assert_int_eq(cof_io_exists(io, path), err);
	ck_assert_int_eq(cof_io_replace(io, path, "x", 1), err);
	ck_assert_int_eq(cof_io_load(io, path, 9, &data, &n), err);
	if (*path) { /* "" is the store itself */
		ck_assert_int_eq(cof_io_sync_dir(io, path), err);
		ck_assert_int_eq(cof_io_list(io, path, join, names), err);
	}
	ck_assert_ptr_null(f);
	ck_assert_ptr_null(data);
}

START_TEST(paths_refused)
{
	static const char *const bad[] = {"",     "/", "/etc/passwd", "..",  "../x", "a/../b",
					  "a/..", ".", "./a",         "a/.", "a//b", "a/"};
	char longest[300], deep[5000] = "d";
	struct place p;

	place_begin(&p, (enum kind)_i);
	put_file(p.io, "here", "");
	for (size_t i = 0; i < COF_COUNT(bad); i++)
		refused(p.io, bad[i], -EINVAL);
	memset(longest, 'n', sizeof(longest));
	longest[256] = 0;
	refused(p.io, longest, -ENAMETOOLONG);
	while (strlen(deep) < 4096)
		strcat(deep, "/d");
	refused(p.io, deep, -ENAMETOOLONG);
	longest[255] = 0;
	put_file(p.io, longest, "long");
	ck_assert(holds(p.io, longest, "long"));
	put_file(p.io, "..a", "dots"); /* names that only look like it */
	put_file(p.io, "...", "dots");
	ck_assert(holds(p.io, "...", "dots"));
	place_end(&p);
}
END_TEST

TCase *names_case(void)
{
	TCase *t = io_case("names");

	tcase_add_loop_test(t, directories, 0, KINDS);
	tcase_add_loop_test(t, renames, 0, KINDS);
	tcase_add_loop_test(t, paths_refused, 0, KINDS);
	return t;
}
