/* SPDX-License-Identifier: Apache-2.0 */
/* Where a secret may come from, and from where not. */
#include "test-tools.h"

#include "tools/opener.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static char dir[64], store[80];

static void setup(void)
{
	struct cof_diag diag = {""};

	ck_assert_msg(cof_crypto_init(65536, &diag) == 0, "%s", diag.text);
	snprintf(dir, sizeof(dir), "/tmp/test-opener-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(store, sizeof(store), "%s/store", dir);
	ck_assert_int_eq(mkdir(store, 0700), 0);
	ck_assert_int_eq(chdir(dir), 0);
}

static void teardown(void)
{
	static const char *const names[] = {"key",  "short", "long",      "link",
					    "fifo", "new",   "store/key", "pass"};

	for (size_t i = 0; i < COF_COUNT(names); i++)
		unlink(names[i]);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(store), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *name, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	char block[8192];

	ck_assert_int_ge(fd, 0);
	memset(block, 'k', sizeof(block));
	ck_assert_int_eq(cof_write_all(fd, block, n), 0);
	close(fd);
}

static void refused(const struct opener_args *a, int err, const char *part)
{
	struct opener o = {0};
	struct cof_diag diag = {""};

	ck_assert_int_eq(opener_get(a, store, false, &o, &diag), err);
	ck_assert_msg(strstr(diag.text, part) != NULL, "'%s' does not say '%s'", diag.text, part);
	ck_assert_ptr_null(o.secret.data);
}

static void refused_file(const char *name, int err, const char *part)
{
	struct opener_args a = OPENER_ARGS_INIT;

	a.key_file = name;
	refused(&a, err, part);
}

START_TEST(inside_or_not)
{
	put("key", 32);
	put("store/key", 32);
	ck_assert_int_eq(symlink("store/key", "link"), 0);
	ck_assert_int_eq(path_inside("key", "store"), 0);
	ck_assert_int_eq(path_inside("store/key", store), 1);
	ck_assert_int_eq(path_inside("link", store), 1); /* by what it names */
	ck_assert_int_eq(path_inside("store/missing", store), 1);
	ck_assert_int_eq(path_inside("store/../missing", store), 0);
	ck_assert_int_eq(path_inside("./missing", store), 0);
	ck_assert_int_eq(path_inside("missing", store), 0);
	ck_assert_int_eq(path_inside(store, store), 1);
	ck_assert_int_eq(path_inside("/", store), 0);
	ck_assert_int_eq(path_inside("no/such/dir", store), -ENOENT);
	ck_assert_int_eq(path_inside("key", "no-store"), -ENOENT);
}
END_TEST

START_TEST(key_files)
{
	struct opener_args a = OPENER_ARGS_INIT;
	struct opener o = {0};
	struct cof_diag diag = {""};

	put("key", 4096);
	a.key_file = "key";
	ck_assert_int_eq(opener_get(&a, store, false, &o, &diag), 0);
	ck_assert_int_eq(o.secret.kind, COF_OPENER_FILE);
	ck_assert_uint_eq(o.secret.len, 4096);
	ck_assert_ptr_null(o.made);
	opener_done(&o);
	ck_assert_ptr_null(o.secret.data);
}
END_TEST

START_TEST(key_files_that_are_none)
{
	put("short", 31);
	put("long", 4097);
	put("store/key", 32);
	ck_assert_int_eq(symlink("store/key", "link"), 0);
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	refused_file("short", -EINVAL, "31 bytes");
	refused_file("long", -EFBIG, "too long");
	refused_file("missing", -ENOENT, "missing");
	refused_file("store/key", -EINVAL, "lies in the store");
	refused_file("link", -EINVAL, "lies in the store");
	refused_file("fifo", -EINVAL, "no regular file"); /* and does not wait for a writer */
	refused_file("/dev/zero", -EINVAL, "no regular file");
}
END_TEST

START_TEST(new_key_files)
{
	struct opener_args a = OPENER_ARGS_INIT;
	struct opener o = {0}, again = {0};
	struct cof_diag diag = {""};
	struct stat st;

	a.new_key_file = "new";
	ck_assert_msg(opener_get(&a, store, false, &o, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(o.secret.kind, COF_OPENER_FILE);
	ck_assert_uint_eq(o.secret.len, 32);
	ck_assert_int_eq(stat("new", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0400);
	ck_assert_int_eq(st.st_size, 32);
	refused(&a, -EEXIST, "exists already");
	a.new_key_file = NULL;
	a.key_file = "new"; /* what stands in it opens the same */
	ck_assert_int_eq(opener_get(&a, store, false, &again, &diag), 0);
	ck_assert_mem_eq(again.secret.data, o.secret.data, 32);
	opener_unmake(&again);
	ck_assert_int_eq(access("new", F_OK), 0); /* was not made by that one */
	opener_unmake(&o);
	ck_assert_int_lt(access("new", F_OK), 0);
	opener_done(&o);
	opener_done(&again);
	a.key_file = NULL;
	a.new_key_file = "store/key";
	refused(&a, -EINVAL, "lies in the store");
	ck_assert_int_lt(access("store/key", F_OK), 0);
	a.new_key_file = "no/dir/key";
	refused(&a, -ENOENT, "no/dir/key");
}
END_TEST

/* text through a pipe; n bytes of it are the passphrase, 0: refused */
static void passphrase(const char *text, size_t len, size_t n)
{
	struct opener_args a = OPENER_ARGS_INIT;
	struct opener o = {0};
	struct cof_diag diag = {""};
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(cof_write_all(fds[1], text, len), 0);
	close(fds[1]);
	a.passphrase_fd = fds[0];
	if (n) {
		ck_assert_msg(opener_get(&a, store, false, &o, &diag) == 0, "%s", diag.text);
		ck_assert_int_eq(o.secret.kind, COF_OPENER_PASSPHRASE);
		ck_assert_uint_eq(o.secret.len, n);
		ck_assert_mem_eq(o.secret.data, text, n);
		opener_done(&o);
	} else {
		ck_assert_int_lt(opener_get(&a, store, false, &o, &diag), 0);
		ck_assert_str_ne(diag.text, "");
	}
	close(fds[0]);
}

START_TEST(passphrases)
{
	char text[COF_PASSPHRASE_MAX + 2];

	passphrase("secret", 6, 6);
	passphrase("secret\n", 7, 6);
	passphrase("secret\n\n", 8,
		   7); /* one newline belongs to the line, more to the passphrase */
	passphrase("\n", 1, 0);
	passphrase("", 0, 0);
	memset(text, 'p', sizeof(text));
	passphrase(text, COF_PASSPHRASE_MAX, COF_PASSPHRASE_MAX);
	passphrase(text, COF_PASSPHRASE_MAX + 1, 0);
	passphrase(text, COF_PASSPHRASE_MAX + 2, 0);
	text[COF_PASSPHRASE_MAX] = '\n';
	passphrase(text, COF_PASSPHRASE_MAX + 1, COF_PASSPHRASE_MAX);
}
END_TEST

START_TEST(credentials)
{
	struct opener_args a = OPENER_ARGS_INIT;
	struct opener o = {0};
	struct cof_diag diag = {""};

	put("pass", 9);
	a.credential = "pass";
	unsetenv("CREDENTIALS_DIRECTORY");
	refused(&a, -ENOENT, "CREDENTIALS_DIRECTORY");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	ck_assert_int_eq(opener_get(&a, store, false, &o, &diag), 0);
	ck_assert_uint_eq(o.secret.len, 9);
	opener_done(&o);
	a.credential = "../pass";
	refused(&a, -EINVAL, "not a credential's name");
	a.credential = "";
	refused(&a, -EINVAL, "not a credential's name");
	a.credential = "other";
	refused(&a, -ENOENT, "other");
}
END_TEST

START_TEST(descriptors_and_conflicts)
{
	struct opener_args a = OPENER_ARGS_INIT;
	int fd = -7;

	ck_assert_int_eq(opener_fd("0", &fd), 0);
	ck_assert_int_eq(fd, 0);
	ck_assert_int_eq(opener_fd("17", &fd), 0);
	ck_assert_int_eq(fd, 17);
	ck_assert_int_eq(opener_fd("-1", &fd), -EINVAL);
	ck_assert_int_eq(opener_fd("", &fd), -EINVAL);
	ck_assert_int_eq(opener_fd("3x", &fd), -EINVAL);
	ck_assert_int_eq(opener_fd(" 3", &fd), -EINVAL);
	ck_assert_int_eq(opener_fd("99999999999999999999", &fd), -EINVAL);
	ck_assert_int_eq(fd, 17);
	ck_assert_str_eq(opener_conflict(&a), "");
	a.key_file = "a";
	ck_assert_str_eq(opener_conflict(&a), "");
	a.passphrase_fd = 0;
	ck_assert_str_ne(opener_conflict(&a), "");
	a.passphrase_fd = -1;
	a.new_key_file = "b";
	ck_assert_str_ne(opener_conflict(&a), "");
}
END_TEST

TCase *opener_case(void)
{
	TCase *t = tcase_create("opener");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, inside_or_not);
	tcase_add_test(t, key_files);
	tcase_add_test(t, key_files_that_are_none);
	tcase_add_test(t, new_key_files);
	tcase_add_test(t, passphrases);
	tcase_add_test(t, credentials);
	tcase_add_test(t, descriptors_and_conflicts);
	return t;
}
