/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of mountinfo: real shapes, escapes, damage. */
#include "test-mount.h"

#include "fs/mount/point.h"

static const char table[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "60 27 0:50 / /mnt/a rw,nosuid,nodev shared:7 master:2 - fuse.coffer /srv/old rw,user_id=0\n"
    "61 27 0:51 / /mnt/with\\040blank rw - fuse.coffer /srv/a\\011b\\134c rw\n"
    "not a line\n"
    "62 60 0:52 / /mnt/a rw,nosuid,nodev - fuse.coffer /srv/new rw,user_id=0\n"
    "63 27 0:52 / /mnt/again rw - fuse.coffer /srv/new rw\n"
    "64 27 0:53 / /mnt/other rw - fuse.sshfs host: rw\n";

static FILE *open_table(void)
{
	FILE *f = fmemopen((void *)table, sizeof(table) - 1, "r");

	ck_assert_ptr_nonnull(f);
	return f;
}

START_TEST(parses)
{
	struct cof_mountinfo info;

	ck_assert_int_eq(cof_mountinfo_parse("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 "
					     "propagate_from:3 - ext3 /dev/root rw,errors=continue",
					     &info),
			 0);
	ck_assert_uint_eq(info.major, 98);
	ck_assert_uint_eq(info.minor, 0);
	ck_assert_str_eq(info.mountpoint, "/mnt2");
	ck_assert_str_eq(info.type, "ext3");
	ck_assert_str_eq(info.source, "/dev/root");
}
END_TEST

START_TEST(undoes_escapes)
{
	struct cof_mountinfo info;

	ck_assert_int_eq(
	    cof_mountinfo_parse("1 2 0:3 / /a\\040b\\012c\\134d\\9 rw - t \\011s rw", &info), 0);
	ck_assert_str_eq(info.mountpoint, "/a b\nc\\d\\9");
	ck_assert_str_eq(info.source, "\ts");
}
END_TEST

START_TEST(refuses_damage)
{
	static const char *const bad[] = {
	    "",
	    "36",
	    "36 35",
	    "36 35 98 /mnt1 /mnt2 rw - ext3 /dev/root rw",
	    "36 35 98:0x /mnt1 /mnt2 rw - ext3 /dev/root rw",
	    "36 35 98:0 /mnt1 /mnt2 rw",
	    "36 35 98:0 /mnt1 /mnt2 rw shared:1",
	    "36 35 98:0 /mnt1 /mnt2 rw -",
	    "36 35 98:0 /mnt1 /mnt2 rw - ext3",
	};
	char line[PATH_MAX + 128];
	struct cof_mountinfo info = {.major = 77};

	for (size_t i = 0; i < COF_COUNT(bad); i++)
		ck_assert_msg(cof_mountinfo_parse(bad[i], &info) == -EUCLEAN, "%s", bad[i]);
	/* Longer than any path: no overflow. */
	memset(line, 'x', sizeof(line));
	memcpy(line, "1 2 0:3 / ", 10);
	memcpy(line + sizeof(line) - 16, " rw - t s rw\0\0\0", 16);
	ck_assert_int_eq(cof_mountinfo_parse(line, &info), -ENAMETOOLONG);
	ck_assert_uint_eq(info.major, 77);
}
END_TEST

START_TEST(finds_the_top)
{
	struct cof_mountinfo info;
	FILE *f = open_table();

	ck_assert_int_eq(cof_mountinfo_find(f, "/mnt/a", &info), 0);
	ck_assert_str_eq(info.source, "/srv/new");
	ck_assert_uint_eq(info.minor, 52);
	rewind(f);
	ck_assert_int_eq(cof_mountinfo_find(f, "/mnt/with blank", &info), 0);
	ck_assert_str_eq(info.source, "/srv/a\tb\\c");
	rewind(f);
	ck_assert_int_eq(cof_mountinfo_find(f, "/mnt", &info), -ENOENT);
	rewind(f);
	ck_assert_int_eq(cof_mountinfo_find(f, "/mnt/other", &info), 0);
	ck_assert_str_eq(info.type, "fuse.sshfs");
	fclose(f);
}
END_TEST

START_TEST(finds_by_device)
{
	struct cof_mountinfo info;
	FILE *f = open_table();

	ck_assert_int_eq(cof_mountinfo_device(f, 0, 52, &info), 0);
	ck_assert_str_eq(info.mountpoint, "/mnt/again");
	rewind(f);
	ck_assert_int_eq(cof_mountinfo_device(f, 0, 53, &info), -ENOENT); /* not one of ours */
	rewind(f);
	ck_assert_int_eq(cof_mountinfo_device(f, 1, 52, &info), -ENOENT);
	fclose(f);
}
END_TEST

START_TEST(reads_the_real_one)
{
	struct cof_mountinfo info;

	ck_assert_int_eq(cof_mountinfo_top("/proc", &info), 0);
	ck_assert_str_eq(info.type, "proc");
	ck_assert_int_eq(cof_mountinfo_top("/proc/self", &info), -ENOENT);
}
END_TEST

TCase *mountinfo_case(void)
{
	TCase *c = tcase_create("mountinfo");

	tcase_add_test(c, parses);
	tcase_add_test(c, undoes_escapes);
	tcase_add_test(c, refuses_damage);
	tcase_add_test(c, finds_the_top);
	tcase_add_test(c, finds_by_device);
	tcase_add_test(c, reads_the_real_one);
	return c;
}
