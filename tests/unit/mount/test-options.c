/* SPDX-License-Identifier: Apache-2.0 */
/* The text behind -o. */
#include "test-mount.h"

#include "fs/mount/point.h"

#include <sys/mount.h>

static struct cof_mount_options parsed(const char *text)
{
	struct cof_mount_options o;
	struct cof_diag diag = {0};

	cof_mount_options_init(&o);
	ck_assert_msg(cof_mount_options_parse(&o, text, &diag) == 0, "%s: %s", text, diag.text);
	return o;
}

static void expect_error(const char *text, int err, const char *named)
{
	struct cof_mount_options o, before;
	struct cof_diag diag = {0};

	cof_mount_options_init(&o);
	before = o;
	ck_assert_int_eq(cof_mount_options_parse(&o, text, &diag), err);
	ck_assert_msg(strstr(diag.text, named) != NULL, "'%s' does not name %s", diag.text, named);
	ck_assert_msg(memcmp(&o, &before, sizeof(o)) == 0, "%s: changed in part", text);
}

START_TEST(defaults)
{
	struct cof_mount_options o = parsed("");

	ck_assert_uint_eq(o.flags, MS_NOSUID | MS_NODEV);
	ck_assert_int_eq(o.passfd, -1);
	ck_assert_int_eq(o.statusfd, -1);
	ck_assert_str_eq(o.keyfile, "");
	ck_assert(!o.read_only && !o.root_only && !o.keep_mutable && !o.uring);
	ck_assert_uint_eq(o.threads, 0);
}
END_TEST

START_TEST(values)
{
	struct cof_mount_options o =
	    parsed("key-file=/etc/coffer/a=b.key,index=/var/idx,threads=7,passfd=9,statusfd=11,"
		   "rootonly,noimmutable,ro,transport=uring");

	ck_assert_str_eq(o.keyfile, "/etc/coffer/a=b.key");
	ck_assert_str_eq(o.index, "/var/idx");
	ck_assert_uint_eq(o.threads, 7);
	ck_assert_int_eq(o.passfd, 9);
	ck_assert_int_eq(o.statusfd, 11);
	ck_assert(o.read_only && o.root_only && o.keep_mutable && o.uring);
	ck_assert_str_eq(parsed("credential=audit.key").credential, "audit.key");
}
END_TEST

/* The same words as with --tpm, in spite of the comma. */
START_TEST(tpm_behind_tcp)
{
	struct cof_mount_options o = parsed("tpm=swtpm:host=127.0.0.1,port=2321,threads=7,seal=tpm2");

	ck_assert_str_eq(o.tpm, "swtpm:host=127.0.0.1,port=2321");
	ck_assert_uint_eq(o.threads, 7);
	ck_assert_str_eq(o.seal, "tpm2");
	ck_assert_str_eq(parsed("ro,tpm=swtpm:port=2321,host=::1").tpm, "swtpm:port=2321,host=::1");
	ck_assert_str_eq(parsed("tpm=swtpm:port=2321,ro").tpm, "swtpm:port=2321");
	expect_error("tpm=swtpm:host=127.0.0.1,ro,port=2321", -EOPNOTSUPP, "port=");
	expect_error("tpm=device:/dev/tpm0,port=2321", -EOPNOTSUPP, "port=");
}
END_TEST

START_TEST(later_ones_win)
{
	ck_assert(!parsed("ro,rw").read_only);
	ck_assert(parsed("rw,ro").read_only);
	ck_assert_uint_eq(parsed("dev,suid").flags, 0);
	ck_assert_uint_eq(parsed("dev,nodev,noexec,exec").flags, MS_NOSUID | MS_NODEV);
	ck_assert_str_eq(parsed("keyfile=/a,keyfile=/b").keyfile, "/b");
	ck_assert_int_eq(parsed("statusfd=3,statusfd=4").statusfd, 4);
	ck_assert(!parsed("transport=uring,transport=classic").uring);
}
END_TEST

START_TEST(flags)
{
	ck_assert_uint_eq(parsed("noexec,noatime,sync,dirsync").flags,
			  MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_SYNCHRONOUS |
			      MS_DIRSYNC);
	ck_assert_uint_eq(parsed("noatime,atime").flags, MS_NOSUID | MS_NODEV);
}
END_TEST

/* What mount(8), fstab and systemd put in as well. */
START_TEST(strangers_options)
{
	struct cof_mount_options o =
	    parsed("defaults,auto,noauto,nofail,_netdev,user=root,comment=x,x-systemd.automount,"
		   "X-mount.mkdir=0700,x-gvfs-hide,,allow_other");

	ck_assert_uint_eq(o.flags, MS_NOSUID | MS_NODEV);
}
END_TEST

START_TEST(errors)
{
	char text[PATH_MAX + 32] = "keyfile=/";

	expect_error("ro,bogus", -EOPNOTSUPP, "bogus");
	expect_error("bogus=1", -EOPNOTSUPP, "bogus");
	expect_error("noexec,passphrase=secret", -EOPNOTSUPP, "passphrase");
	expect_error("threads=257", -EINVAL, "threads");
	expect_error("threads=", -EINVAL, "threads");
	expect_error("threads=-1", -EINVAL, "threads");
	expect_error("threads=1x", -EINVAL, "threads");
	expect_error("threads=99999999999999999999999", -EINVAL, "threads");
	expect_error("passfd= 3", -EINVAL, "passfd");
	expect_error("transport=", -EINVAL, "transport");
	expect_error("transport=uringer", -EINVAL, "transport");
	expect_error("transport", -EOPNOTSUPP, "transport");
	expect_error("key-file=", -EINVAL, "key-file");
	expect_error("remount,ro", -EINVAL, "remounted");
	memset(text + 9, 'k', PATH_MAX);
	expect_error(text, -EINVAL, "key-file");
}
END_TEST

START_TEST(one_secret)
{
	struct cof_mount_options o;
	struct cof_diag diag = {0};
	unsigned n = 99;

	o = parsed("ro");
	ck_assert_int_eq(cof_mount_options_secrets(&o, &n, &diag), 0);
	ck_assert_uint_eq(n, 0);
	o = parsed("passfd=0");
	ck_assert_int_eq(cof_mount_options_secrets(&o, &n, &diag), 0);
	ck_assert_uint_eq(n, 1);
	n = 99;
	o = parsed("keyfile=/k,credential=c");
	ck_assert_int_eq(cof_mount_options_secrets(&o, &n, &diag), -EINVAL);
	ck_assert_uint_eq(n, 99);
	o = parsed("keyfile=/k,passfd=3");
	ck_assert_int_eq(cof_mount_options_secrets(&o, &n, &diag), -EINVAL);
}
END_TEST

TCase *options_case(void)
{
	TCase *c = tcase_create("options");

	tcase_add_test(c, defaults);
	tcase_add_test(c, values);
	tcase_add_test(c, tpm_behind_tcp);
	tcase_add_test(c, later_ones_win);
	tcase_add_test(c, flags);
	tcase_add_test(c, strangers_options);
	tcase_add_test(c, errors);
	tcase_add_test(c, one_secret);
	return c;
}
