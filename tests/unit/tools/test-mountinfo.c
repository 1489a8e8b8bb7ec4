/* SPDX-License-Identifier: Apache-2.0 */
/* Which archive lies behind a path: lines of /proc/self/mountinfo. */
#include "test-tools.h"

#include "tools/store.h"

static const char text[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "50 22 0:47 / /mnt/a rw,nosuid,nodev shared:9 master:3 - fuse.coffer /srv/a rw,user_id=0\n"
    "51 22 0:48 / /mnt/b\\040c\\134d rw - fuse.coffer /srv/b\\011x rw\n"
    "52 22 0:49 / /mnt/other rw - fuse.sshfs host: rw\n"
    "53 22 0:50 / /mnt/a rw - fuse.coffer /srv/over rw\n"
    "54 22 0:47 / /mnt/bind rw - fuse.coffer /srv/a rw\n"
    "short line\n"
    "55 22 0:51 / /mnt/nodash rw fuse.coffer /srv/n rw\n"
    "56 22 x:y / /mnt/nodev rw - fuse.coffer /srv/n rw\n"
    "57 22 0:52 / /mnt/last rw - fuse.coffer /srv/last rw";

START_TEST(by_device)
{
	struct mount_line m = {0};

	ck_assert_int_eq(mount_find(text, 0, 48, &m), 0);
	ck_assert_str_eq(m.source, "/srv/b\tx");
	ck_assert_str_eq(m.point, "/mnt/b c\\d");
	mount_line_done(&m);
	ck_assert_ptr_null(m.source);
	ck_assert_int_eq(mount_find(text, 0, 47, &m), 0);
	ck_assert_str_eq(m.point, "/mnt/bind"); /* the last one covers the others */
	mount_line_done(&m);
	ck_assert_int_eq(mount_find(text, 0, 52, &m), 0); /* without a newline at the end */
	ck_assert_str_eq(m.source, "/srv/last");
	mount_line_done(&m);
}
END_TEST

START_TEST(only_ours)
{
	struct mount_line m = {0};

	ck_assert_int_eq(mount_find(text, 8, 1, &m), -ENOENT);
	ck_assert_int_eq(mount_find(text, 0, 49, &m), -ENOENT);
	ck_assert_int_eq(mount_find(text, 0, 51, &m), -ENOENT);
	ck_assert_int_eq(mount_find(text, 1, 47, &m), -ENOENT);
	ck_assert_int_eq(mount_find("", 0, 47, &m), -ENOENT);
	ck_assert_int_eq(mount_find("\n\n", 0, 47, &m), -ENOENT);
	ck_assert_ptr_null(m.source); /* untouched on failure */
	ck_assert_ptr_null(m.point);
}
END_TEST

START_TEST(by_mount_point)
{
	struct mount_line m = {0};

	ck_assert_int_eq(mount_find_at(text, "/mnt/a", &m), 0);
	ck_assert_str_eq(m.source, "/srv/over");
	mount_line_done(&m);
	ck_assert_int_eq(mount_find_at(text, "/mnt/b c\\d", &m), 0);
	mount_line_done(&m);
	ck_assert_int_eq(mount_find_at(text, "/mnt/nodev", &m), -ENOENT);
	ck_assert_int_eq(mount_find_at(text, "/mnt/other", &m), -ENOENT);
	ck_assert_int_eq(mount_find_at(text, "/", &m), -ENOENT);
}
END_TEST

START_TEST(escapes_that_are_none)
{
	struct mount_line m = {0};

	ck_assert_int_eq(mount_find("1 1 0:9 / /a\\04 rw - fuse.coffer /s\\999\\ rw\n", 0, 9, &m),
			 0);
	ck_assert_str_eq(m.point, "/a\\04");
	ck_assert_str_eq(m.source, "/s\\999\\");
	mount_line_done(&m);
}
END_TEST

START_TEST(what_is_not_on_an_archive)
{
	struct mount_line m = {0};
	struct cof_diag diag = {""};
	uint64_t ino = 7;

	ck_assert_int_eq(mount_of("/", &m, &ino, &diag), -ENOENT);
	ck_assert_str_eq(diag.text, "/ is not on a mounted archive");
	ck_assert_int_eq(mount_of("/nonexistent/x", &m, &ino, &diag), -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "cannot look at /nonexistent/x"));
	ck_assert_uint_eq(ino, 7);
	ck_assert_ptr_null(m.source);
}
END_TEST

TCase *mountinfo_case(void)
{
	TCase *t = tcase_create("mountinfo");

	tcase_add_test(t, by_device);
	tcase_add_test(t, only_ours);
	tcase_add_test(t, by_mount_point);
	tcase_add_test(t, escapes_that_are_none);
	tcase_add_test(t, what_is_not_on_an_archive);
	return t;
}
