/* SPDX-License-Identifier: Apache-2.0 */
/* A line whose other end does not end by itself. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/vault/vault.h"

#define MOST_MS 50 /* what this line waits for an end */

static char dir[] = "/tmp/coffer-line.XXXXXX";

/* ssh, as it is when the program at the other end lives on; it says that it is there, and then how it takes SIGTERM counts. */
static void stand_in(const char *on_term, struct vault_line *l)
{
	struct cof_diag diag = {""};
	char path[64], byte;
	FILE *f;

	snprintf(path, sizeof(path), "%s/ssh", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\ntrap %s TERM\necho\nexec 0<&- 1>&- 2>&-\nwhile :; do read x < %s/never; done\n", on_term, dir);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(setenv("COFFER_SSH", path, 1), 0);
	ck_assert_int_eq(vault_line_open("ssh://host/vault", l, &diag), 0);
	ck_assert_int_eq(read(l->wire.in, &byte, 1), 1);
	l->wire.timeout_ms = MOST_MS;
}

static void gone(pid_t pid)
{
	ck_assert_int_eq(kill(pid, 0), -1);
}

START_TEST(ends_when_told)
{
	struct vault_line l;
	pid_t pid;

	stand_in("'exit 0'", &l);
	pid = l.pid;
	vault_line_close(&l);
	ck_assert_int_eq(l.pid, 0);
	gone(pid);
}
END_TEST

START_TEST(ends_all_the_same)
{
	struct vault_line l;
	pid_t pid;

	stand_in("''", &l);
	pid = l.pid;
	ck_assert_int_eq(vault_line_close(&l), 128);
	gone(pid);
}
END_TEST

/* A byte each 10 ms, until nobody reads any more. */
static void *drip(void *user)
{
	const int *fd = user;
	struct timespec pace = {.tv_nsec = 10000000};

	while (write(*fd, "x", 1) == 1)
		nanosleep(&pace, NULL);
	close(*fd);
	return NULL;
}

START_TEST(ends_where_bytes_come_one_by_one)
{
	static const uint8_t head[8] = {0xff, 0x00, 0, 0, VAULT_HELLO};
	cof_autobuf struct cof_buf body = {0};
	struct cof_diag diag = {""};
	pthread_t thread;
	uint8_t type = 0;
	int fd[2];
	struct vault_wire w;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fd), 0);
	ck_assert_int_eq(write(fd[1], head, sizeof(head)), sizeof(head));
	ck_assert_int_eq(pthread_create(&thread, NULL, drip, &fd[1]), 0);
	w = (struct vault_wire){.in = fd[0], .out = -1, .timeout_ms = 500}; /* for a body of 255 bytes, in 2.5 s */
	ck_assert_int_eq(vault_receive(&w, &type, &body, &diag), -ETIMEDOUT);
	close(fd[0]);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* Half a megabyte, and nobody reads. */
START_TEST(ends_where_nobody_reads)
{
	static uint8_t body[512 << 10];
	struct iovec iov = {.iov_base = body, .iov_len = sizeof(body)};
	struct vault_wire w = {.in = -1, .timeout_ms = 20};
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fd), 0);
	w.out = fd[1];
	vault_wire_prepare(&w);
	ck_assert_int_ge(fcntl(fd[1], F_SETPIPE_SZ, 65536), 65536);
	ck_assert_int_eq(vault_send(&w, VAULT_DATA_IS, &iov, 1), -ETIMEDOUT);
	close(fd[0]);
	close(fd[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("line");
	TCase *t = tcase_create("line");
	SRunner *r = srunner_create(s);
	char never[64], ssh[64];
	int failed;

	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	snprintf(never, sizeof(never), "%s/never", dir);
	snprintf(ssh, sizeof(ssh), "%s/ssh", dir);
	if (mkfifo(never, 0600) < 0) {
		perror(never);
		return 1;
	}
	tcase_set_timeout(t, 30);
	tcase_add_test(t, ends_when_told);
	tcase_add_test(t, ends_all_the_same);
	tcase_add_test(t, ends_where_bytes_come_one_by_one);
	tcase_add_test(t, ends_where_nobody_reads);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	unlink(never);
	unlink(ssh);
	rmdir(dir);
	return failed != 0;
}
