/* SPDX-License-Identifier: Apache-2.0 */
/* The mount point as a directory. What needs a dead mount is in tests/e2e. */
#include "test-mount.h"

#include "fs/io/io.h"
#include "fs/mount/point.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static char dir[PATH_MAX], path[PATH_MAX + 64];

static void setup(void)
{
	char name[] = "/tmp/coffer-point-XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(name));
	ck_assert_ptr_nonnull(realpath(name, dir));
}

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void teardown(void)
{
	static const char *const names[] = {"bare/x", "bare", "link", "lock"};

	for (size_t i = 0; i < COF_COUNT(names); i++)
		(void)remove(in_dir(names[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(inside)
{
	ck_assert(cof_point_inside("/a/b", "/a"));
	ck_assert(cof_point_inside("/a", "/a"));
	ck_assert(!cof_point_inside("/ab", "/a"));
	ck_assert(!cof_point_inside("/a", "/a/b"));
	ck_assert(cof_point_inside("/a", "/"));
}
END_TEST

START_TEST(resolves)
{
	struct cof_diag diag = {0};
	char want[PATH_MAX + 64], got[PATH_MAX] = "before";

	ck_assert_int_eq(cof_point_resolve(in_dir("nowhere"), got, &diag), -ENOENT);
	ck_assert_str_eq(got, "before");
	ck_assert_ptr_nonnull(strstr(diag.text, "nowhere"));
	ck_assert_int_eq(mkdir(in_dir("bare"), 0700), 0);
	ck_assert_int_eq(symlink("bare", in_dir("link")), 0);
	snprintf(want, sizeof(want), "%s/bare", dir);
	ck_assert_int_eq(cof_point_resolve(in_dir("link/.."), got, &diag), 0);
	ck_assert_str_eq(got, dir);
	ck_assert_int_eq(cof_point_resolve(in_dir("link//"), got, &diag), 0);
	ck_assert_str_eq(got, want);
}
END_TEST

START_TEST(nothing_to_clear)
{
	struct cof_diag diag = {0};
	char source[PATH_MAX] = "before";

	ck_assert_int_eq(cof_point_clear(dir, source, &diag), 0);
	ck_assert_int_eq(cof_point_clear("/proc", source, &diag), 0); /* a mount, not ours */
	ck_assert_str_eq(source, "before");
}
END_TEST

START_TEST(names_the_holder)
{
	struct cof_diag diag = {0};
	struct cof_io *io;
	char holder[64] = "";

	ck_assert_int_eq(cof_point_holder(dir, holder, sizeof(holder)), 0);
	ck_assert_int_eq(cof_point_holder(in_dir("nowhere"), holder, sizeof(holder)), 0);
	ck_assert_int_eq(cof_io_plain(dir, &io, &diag), 0);
	ck_assert_int_eq(cof_io_lock(io, "pid 1 on test", &diag), 0);
	ck_assert_int_eq(cof_point_holder(dir, holder, sizeof(holder)), 1);
	ck_assert_str_eq(holder, "pid 1 on test");
	cof_io_unlock(io);
	ck_assert_int_eq(cof_point_holder(dir, holder, sizeof(holder)), 0);
	cof_io_free(io);
}
END_TEST

static int flags_of(const char *name)
{
	int flags = 0, fd = open(name, O_RDONLY | O_DIRECTORY);

	ck_assert_int_ge(fd, 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		flags = -1;
	close(fd);
	return flags;
}

static void make_mutable(const char *name)
{
	int flags = flags_of(name) & ~FS_IMMUTABLE_FL, fd = open(name, O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	close(fd);
}

START_TEST(guards_the_bare_directory)
{
	char bare[sizeof(path)];
	int err;

	ck_assert_int_eq(mkdir(in_dir("bare"), 0700), 0);
	memcpy(bare, path, sizeof(bare));
	ck_assert_int_eq(close(open(in_dir("bare/x"), O_CREAT | O_WRONLY, 0600)), 0);
	err = cof_point_guard(bare);
	if (flags_of(bare) < 0) { /* a filesystem that knows no such flag */
		ck_assert_int_eq(err, 0);
		return;
	}
	ck_assert_int_eq(err, -ENOTEMPTY);
	ck_assert_int_eq(flags_of(bare) & FS_IMMUTABLE_FL, 0);
	ck_assert_int_eq(unlink(in_dir("bare/x")), 0);
	err = cof_point_guard(bare);
	if (err == 0)
		return; /* no right to set it */
	ck_assert_int_eq(err, 1);
	ck_assert_int_ne(flags_of(bare) & FS_IMMUTABLE_FL, 0);
	ck_assert_int_eq(open(in_dir("bare/x"), O_CREAT | O_WRONLY, 0600), -1);
	ck_assert_int_eq(cof_point_guard(bare), 0); /* it is so already */
	make_mutable(bare);
	ck_assert_int_eq(cof_point_guard("/proc"), 0);
	ck_assert_int_eq(cof_point_guard(in_dir("nowhere")), -ENOENT);
}
END_TEST

TCase *point_case(void)
{
	TCase *c = tcase_create("point");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, inside);
	tcase_add_test(c, resolves);
	tcase_add_test(c, nothing_to_clear);
	tcase_add_test(c, names_the_holder);
	tcase_add_test(c, guards_the_bare_directory);
	return c;
}
