/* SPDX-License-Identifier: Apache-2.0 */
/* A log that grows, is rotated and cut off while it is read: each line once, in order. */
#include "test-import.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static char dir[64], log_path[96];

static void setup(void)
{
	strcpy(dir, "/tmp/coffer-import-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(log_path, sizeof(log_path), "%s/auth.log", dir);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *text)
{
	int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cof_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* As logrotate does with "create". mtime: so that their order is certain. */
static void rotate(const char *suffix, int64_t mtime)
{
	struct timespec times[2] = {{.tv_sec = mtime}, {.tv_sec = mtime}};
	char to[128];

	snprintf(to, sizeof(to), "%s%s", log_path, suffix);
	ck_assert_int_eq(rename(log_path, to), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, to, times, 0), 0);
	put("");
}

static struct import_file *start(const struct import_place *after, enum import_found want)
{
	struct import_file *f = NULL;
	enum import_found found;
	struct cof_diag diag = {""};

	ck_assert_msg(import_file_open(log_path, after, &f, &found, &diag) == 0, "%s", diag.text);
	ck_assert_int_eq(found, want);
	return f;
}

/* The next lines are exactly these, joined by '|'. Returns the place behind the last. */
static struct import_place lines_are(struct import_file *f, const char *want)
{
	cof_autobuf struct cof_buf got = {0};
	struct import_place at = {0};
	const char *line;
	size_t n;
	int r;

	while ((r = import_file_next(f, &line, &n, &at)) == 1) {
		cof_buf_add(&got, line, n);
		cof_buf_add(&got, "|", 1);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(got.data ? (char *)got.data : "", want);
	return at;
}

START_TEST(grows)
{
	struct import_file *f;
	struct import_place at;

	put("one\ntwo\nthr");
	f = start(NULL, IMPORT_FROM_START);
	at = lines_are(f, "one|two|");
	ck_assert_uint_eq(at.end, 8);
	put("ee\n");
	lines_are(f, "three|");
	import_file_close(f);
	f = start(&at, IMPORT_GOES_ON);
	at = lines_are(f, "three|");
	import_file_close(f);
	f = start(&at, IMPORT_GOES_ON);
	lines_are(f, "");
	import_file_close(f);
}
END_TEST

START_TEST(rotated_while_read)
{
	struct import_file *f;

	put("one\n");
	f = start(NULL, IMPORT_FROM_START);
	lines_are(f, "one|");
	put("two\n");
	rotate(".1", 1000);
	put("three\n");
	lines_are(f, "two|three|");
	ck_assert_int_eq(unlink(log_path), 0); /* between renaming and making */
	lines_are(f, "");
	put("four\n");
	lines_are(f, "four|");
	import_file_close(f);
}
END_TEST

START_TEST(rotated_between)
{
	struct import_file *f;
	struct import_place at;

	put("one\ntwo\n");
	f = start(NULL, IMPORT_FROM_START);
	at = lines_are(f, "one|two|");
	import_file_close(f);
	put("three\n");
	rotate(".2", 1000);
	put("four\n");
	rotate(".1", 2000);
	put("five\n");
	f = start(&at, IMPORT_FROM_OLDER);
	at = lines_are(f, "three|four|five|");
	ck_assert_uint_eq(at.end, 5);
	import_file_close(f);
}
END_TEST

/* Another line of the same length at the same place is not the one that was read. */
START_TEST(lost)
{
	struct import_file *f;
	struct import_place at;

	put("one\ntwo\n");
	f = start(NULL, IMPORT_FROM_START);
	at = lines_are(f, "one|two|");
	import_file_close(f);
	ck_assert_int_eq(unlink(log_path), 0);
	put("six\nten\nmore\n");
	f = start(&at, IMPORT_LINES_LOST);
	lines_are(f, "six|ten|more|");
	ck_assert_int_eq(truncate(log_path, 0), 0);
	put("new\n");
	lines_are(f, "new|");
	ck_assert_uint_eq(import_file_truncations(f), 1);
	import_file_close(f);
}
END_TEST

START_TEST(long_lines)
{
	cof_autobuf struct cof_buf b = {0};
	struct import_file *f;
	struct import_place at = {0};
	const char *line;
	size_t n;

	for (unsigned i = 0; i < 200000; i++)
		cof_buf_printf(&b, "%c", 'a' + (int)(i % 26));
	cof_buf_printf(&b, "\nshort\n");
	put((char *)b.data);
	f = start(NULL, IMPORT_FROM_START);
	ck_assert_int_eq(import_file_next(f, &line, &n, &at), 1);
	ck_assert_uint_ge(n, 32768);
	ck_assert_mem_eq(line, b.data + 200000 - n, n);
	ck_assert_uint_eq(at.end, 200001);
	import_file_close(f);
	f = start(&at, IMPORT_GOES_ON);
	lines_are(f, "short|");
	import_file_close(f);
}
END_TEST

START_TEST(waits)
{
	struct import_file *f;
	int stop[2];

	ck_assert_int_eq(pipe(stop), 0);
	put("one\n");
	f = start(NULL, IMPORT_FROM_START);
	lines_are(f, "one|");
	while (import_file_wait(f, 0, stop[0], NULL) == 1)
		;
	put("two\n");
	ck_assert_int_eq(import_file_wait(f, -1, stop[0], NULL), 1);
	lines_are(f, "two|");
	ck_assert_int_eq(write(stop[1], "x", 1), 1);
	ck_assert_int_eq(import_file_wait(f, -1, stop[0], NULL), -ECANCELED);
	import_file_close(f);
	close(stop[0]);
	close(stop[1]);
}
END_TEST

START_TEST(not_a_log)
{
	struct import_file *f = NULL;
	enum import_found found;
	struct cof_diag diag = {""};

	ck_assert_int_eq(import_file_open(log_path, NULL, &f, &found, &diag), -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "auth.log"));
	ck_assert_int_eq(import_file_open(dir, NULL, &f, &found, &diag), -EINVAL);
	ck_assert_ptr_null(f);
}
END_TEST

TCase *file_case(void)
{
	TCase *t = tcase_create("file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, grows);
	tcase_add_test(t, rotated_while_read);
	tcase_add_test(t, rotated_between);
	tcase_add_test(t, lost);
	tcase_add_test(t, long_lines);
	tcase_add_test(t, waits);
	tcase_add_test(t, not_a_log);
	return t;
}
