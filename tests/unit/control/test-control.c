/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket with a daemon behind it: each verb, hostile clients, and stopping. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "../archive/support.h"
#include "fs/control/control.h"
#include "fs/control/wire.h"

TCase *wire_case(void);

static struct store s;
static struct cof_control *control;
static char run_dir[64];
static atomic_int stops;

static void on_stop(void *user)
{
	(void)user;
	atomic_fetch_add(&stops, 1);
}

static void on_extra(void *user, struct cof_json *status)
{
	(void)user;
	cof_json_set_str(status, "mount_point", "/some/where");
}

static int start(struct cof_control **ret, struct cof_diag *diag)
{
	struct cof_control_params p = {
	    .archive = s.archive,
	    .stop = on_stop,
	    .extra = on_extra,
	};
	int err = cof_control_listen(s.archive_id, &p.listener, diag);

	return err < 0 ? err : cof_control_start(&p, ret, diag);
}

static void stop(void)
{
	if (control)
		cof_control_unlink(s.archive_id);
	cof_control_stop(control);
}

static void setup(void)
{
	struct cof_diag diag = {""};
	int r;

	strcpy(run_dir, "/tmp/coffer-run-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(run_dir));
	ck_assert_int_eq(setenv("COFFER_RUN_DIR", run_dir, 1), 0);
	store_make(&s, STORE_SIM);
	r = start(&control, &diag);
	ck_assert_msg(r == 0, "%s", diag.text);
}

static void teardown(void)
{
	stop();
	control = NULL;
	store_done(&s);
	ck_assert_int_eq(rmdir(run_dir), 0); /* nothing is left in it */
}

/* ---- asking ---- */

struct lines {
	int n;
	struct cof_json *last; /* a copy */
	sem_t *seen;	       /* posted for each, may be NULL */
	atomic_bool late;      /* an entry about audit/late came */
};

static int take(void *user, struct cof_json *entry)
{
	struct lines *l = user;
	const char *text = cof_json_text(entry, false), *path = cof_json_str(entry, "path");

	l->n++;
	if (path && !strcmp(path, "audit/late"))
		atomic_store(&l->late, true);
	cof_json_free(l->last);
	l->last = NULL;
	ck_assert_int_eq(cof_json_parse(text, strlen(text), &l->last), 0);
	if (l->seen)
		sem_post(l->seen);
	return 0;
}

static struct cof_json *request(const char *verb)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "verb", verb);
	return o;
}

static int ask(struct cof_json *r, struct lines *l, struct cof_diag *diag)
{
	int err = cof_control_ask(s.archive_id, r, take, l, diag);

	cof_json_free(r);
	return err;
}

START_TEST(status)
{
	struct lines l = {0};
	struct cof_diag diag = {""};
	char id[33];

	cof_hex(s.archive_id, 16, id);
	ck_assert_int_eq(ask(request("status"), &l, &diag), 0);
	ck_assert_int_eq(l.n, 1);
	ck_assert_str_eq(cof_json_str(l.last, "archive_id"), id);
	ck_assert_str_eq(cof_json_str(l.last, "mount_point"), "/some/where");
	cof_json_free(l.last);
}
END_TEST

START_TEST(log_and_blame)
{
	struct lines l = {0};
	struct cof_diag diag = {""};
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	struct cof_json *r;
	int64_t length = 0;
	int all;

	must_write(&s, ino, 0, "text", 4);
	ck_assert_int_eq(ask(request("log"), &l, &diag), 0);
	ck_assert_int_gt(l.n, 9);
	all = l.n;
	l.n = 0;
	r = request("log");
	cof_json_set_int(r, "from", 5);
	ck_assert_int_eq(ask(r, &l, &diag), 0);
	ck_assert_int_eq(l.n, all - 5);
	l.n = 0;
	r = request("blame");
	cof_json_set_uint(r, "ino", ino);
	ck_assert_int_eq(ask(r, &l, &diag), 0);
	ck_assert_int_eq(l.n, 1);
	ck_assert_int_eq(cof_json_int(l.last, "length", &length), 0);
	ck_assert_int_eq(length, 4);
	cof_json_free(l.last);
}
END_TEST

START_TEST(errors_come_back)
{
	struct lines l = {0};
	struct cof_diag diag = {""};
	struct cof_json *r = request("blame");

	cof_json_set_uint(r, "ino", AUDIT);
	ck_assert_int_eq(ask(r, &l, &diag), -EISDIR);
	ck_assert_uint_gt(strlen(diag.text), 5);
	ck_assert_int_eq(ask(request("dance"), &l, &diag), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "dance"));
	ck_assert_int_eq(ask(request("blame"), &l, &diag), -EINVAL);
	ck_assert_int_eq(l.n, 0);
}
END_TEST

START_TEST(checkpoint_and_stop)
{
	struct cof_json *before = cof_json_object(), *after = cof_json_object();
	struct lines l = {0};
	struct cof_diag diag = {""};
	int64_t a = 0, b = 0;

	ck_assert_int_eq(cof_archive_status(s.archive, before), 0);
	must_create(&s, AUDIT, "f", COF_KIND_FILE);
	ck_assert_int_eq(ask(request("checkpoint"), &l, &diag), 0);
	ck_assert_int_eq(cof_archive_status(s.archive, after), 0);
	ck_assert_int_eq(cof_json_int(cof_json_get(before, "checkpoint"), "size", &a), 0);
	ck_assert_int_eq(cof_json_int(cof_json_get(after, "checkpoint"), "size", &b), 0);
	ck_assert_int_gt(b, a);
	ck_assert_int_eq(atomic_load(&stops), 0);
	ck_assert_int_eq(ask(request("stop"), &l, &diag), 0);
	stop(); /* joins the thread that calls stop */
	control = NULL;
	ck_assert_int_eq(atomic_load(&stops), 1);
	cof_json_free(before);
	cof_json_free(after);
}
END_TEST

/* ---- the socket ---- */

START_TEST(only_for_the_owner)
{
	char path[108];
	struct stat st;

	cof_control_path(s.archive_id, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(run_dir, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(no_daemon)
{
	struct lines l = {0};
	struct cof_diag diag = {""};
	int err;

	stop();
	control = NULL;
	err = ask(request("status"), &l, &diag);
	ck_assert_msg(err == -ENOENT || err == -ECONNREFUSED, "%d", err);
	ck_assert_uint_gt(strlen(diag.text), 10);
}
END_TEST

START_TEST(second_daemon)
{
	struct cof_control *other = NULL;
	struct cof_diag diag = {""};
	struct lines l = {0};

	ck_assert_int_eq(start(&other, &diag), -EADDRINUSE);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(ask(request("status"), &l, &diag), 0); /* the first one is unharmed */
	cof_json_free(l.last);
}
END_TEST

/* A killed daemon leaves its socket behind. */
START_TEST(stale_socket)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct cof_diag diag = {""};
	struct lines l = {0};
	int fd, r;

	stop();
	control = NULL;
	cof_control_path(s.archive_id, addr.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	r = start(&control, &diag);
	ck_assert_msg(r == 0, "%s", diag.text);
	ck_assert_int_eq(ask(request("status"), &l, &diag), 0);
	cof_json_free(l.last);
}
END_TEST

/* A stopped daemon: its socket takes connections until its queue is full, and nobody reads. */
START_TEST(nobody_answers)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cof_autojson struct cof_json *r = request("status");
	struct lines l = {0};
	int fd;

	stop();
	control = NULL;
	cof_control_path(s.archive_id, addr.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	for (int i = 0; i < 2; i++) { /* the first is queued, the second does not get that far */
		struct cof_diag diag = {""};
		int64_t before = cof_now(CLOCK_MONOTONIC);

		ck_assert_int_eq(cof_control_ask_within(s.archive_id, 100, r, take, &l, &diag),
				 -ETIMEDOUT);
		ck_assert_int_ge(cof_now(CLOCK_MONOTONIC) - before, COF_NSEC / 11);
		ck_assert_ptr_nonnull(strstr(diag.text, "does not answer"));
	}
	ck_assert_int_eq(l.n, 0);
	close(fd);
	ck_assert_int_eq(unlink(addr.sun_path), 0);
}
END_TEST

struct queue {
	struct sockaddr_un addr;
	int fd;
};

static void *end_with_who_waits(void *user)
{
	struct queue *q = user;
	struct pollfd p = {.fd = q->fd, .events = POLLIN};

	while (poll(&p, 1, -1) < 0)
		;
	close(q->fd);
	return NULL;
}

/* A killed daemon whose socket outlives it for a moment: who stood in the queue is told that there is none. */
START_TEST(killed_meanwhile)
{
	struct queue q = {.addr = {.sun_family = AF_UNIX}};
	struct cof_diag diag = {""};
	struct lines l = {0};
	pthread_t thread;

	stop();
	control = NULL;
	cof_control_path(s.archive_id, q.addr.sun_path);
	q.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(q.fd, (struct sockaddr *)&q.addr, sizeof(q.addr)), 0);
	ck_assert_int_eq(listen(q.fd, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, end_with_who_waits, &q), 0);
	ck_assert_int_eq(ask(request("status"), &l, &diag), -ECONNREFUSED);
	ck_assert_int_eq(strncmp(diag.text, COF_CONTROL_NOBODY, strlen(COF_CONTROL_NOBODY)), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(unlink(q.addr.sun_path), 0);
}
END_TEST

START_TEST(something_else_in_the_way)
{
	struct cof_diag diag = {""};
	char path[108];
	FILE *f;

	stop();
	control = NULL;
	cof_control_path(s.archive_id, path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_int_eq(start(&control, &diag), -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* ---- hostile clients ---- */

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = 30};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	cof_control_path(s.archive_id, addr.sun_path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/* All that comes until the end, as text. */
static size_t drain(int fd, char *buf, size_t cap)
{
	size_t n = 0;
	ssize_t got;

	while (n < cap - 1 && (got = recv(fd, buf + n, cap - 1 - n, 0)) > 0)
		n += (size_t)got;
	buf[n] = 0;
	return n;
}

static void must_answer(void)
{
	struct lines l = {0};
	struct cof_diag diag = {""};
	int r = ask(request("status"), &l, &diag);

	ck_assert_msg(r == 0, "%d: %s", r, diag.text);
	cof_json_free(l.last);
}

START_TEST(oversized_line)
{
	char *text = malloc(4 * COF_CHUNK), buf[512];
	int fd = dial();

	memset(text, '[', 4 * COF_CHUNK);
	for (size_t at = 0; at < 4 * COF_CHUNK;) {
		ssize_t n = send(fd, text + at, 4 * COF_CHUNK - at, MSG_NOSIGNAL);

		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	ck_assert_int_eq(send(fd, "]", 1, MSG_NOSIGNAL), 1);
	drain(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "262144"));
	close(fd);
	free(text);
	must_answer();
}
END_TEST

static const char *const garbage[] = {
    "\n", "{\n", "\xff\xfe\x01\n", "{\"verb\":\"status\"\n", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
    "{\"verb\":{\"verb\":\"stop\"}}\n", "SSH-2.0-x\r\n",
};

START_TEST(garbage_lines)
{
	char buf[512];
	int fd = dial();

	ck_assert_int_gt(send(fd, garbage[_i], strlen(garbage[_i]), MSG_NOSIGNAL), 0);
	drain(fd, buf, sizeof(buf));
	ck_assert_ptr_nonnull(strstr(buf, "error"));
	close(fd);
	must_answer();
	ck_assert_int_eq(atomic_load(&stops), 0);
}
END_TEST

START_TEST(half_closed)
{
	char buf[512];
	int fd = dial();

	ck_assert_int_eq(send(fd, "{\"verb\":", 8, MSG_NOSIGNAL), 8);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_uint_eq(drain(fd, buf, sizeof(buf)), 0);
	close(fd);
	/* Whole, then half closed: the answer still comes. */
	fd = dial();
	ck_assert_int_eq(send(fd, "{\"verb\":\"checkpoint\"}\n", 22, MSG_NOSIGNAL), 22);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_uint_gt(drain(fd, buf, sizeof(buf)), 0);
	ck_assert_ptr_nonnull(strstr(buf, "\"end\""));
	close(fd);
	must_answer();
}
END_TEST

START_TEST(gone_at_once)
{
	for (int i = 0; i < 50; i++) {
		int fd = dial();

		if (i % 2)
			ck_assert_int_gt(send(fd, "{\"verb\":\"log\"}\n", 15, MSG_NOSIGNAL), 0);
		close(fd);
	}
	must_answer();
}
END_TEST

/* More silent clients than threads: who comes now is told so, and served once there is room. */
START_TEST(many_at_once)
{
	int fd[8];
	struct lines l = {0};
	struct cof_diag diag = {""};

	for (int i = 0; i < 8; i++)
		fd[i] = dial();
	ck_assert_int_eq(ask(request("status"), &l, &diag), -EBUSY);
	ck_assert_ptr_nonnull(strstr(diag.text, "busy"));
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	must_answer();
}
END_TEST

static void *ask_often(void *user)
{
	(void)user;
	for (int i = 0; i < 40; i++)
		must_answer();
	return NULL;
}

START_TEST(several_clients)
{
	pthread_t thread[6];

	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, ask_often, NULL), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(thread[i], NULL);
}
END_TEST

/* ---- following, and stopping meanwhile ---- */

struct follower {
	pthread_t thread;
	sem_t seen;
	int err;
	struct cof_diag diag;
	struct lines lines;
};

static void *follow(void *user)
{
	struct follower *f = user;
	struct cof_json *r = request("log");

	cof_json_set_bool(r, "follow", true);
	f->lines.seen = &f->seen;
	f->err = ask(r, &f->lines, &f->diag);
	sem_post(&f->seen);
	return NULL;
}

static void follower_start(struct follower *f)
{
	sem_init(&f->seen, 0, 0);
	ck_assert_int_eq(pthread_create(&f->thread, NULL, follow, f), 0);
	sem_wait(&f->seen);
}

static void follower_end(struct follower *f)
{
	pthread_join(f->thread, NULL);
	cof_json_free(f->lines.last);
	sem_destroy(&f->seen);
}

START_TEST(following)
{
	static struct follower f;

	follower_start(&f);
	must_create(&s, AUDIT, "late", COF_KIND_FILE);
	do /* ends when it was seen, or by the test's time limit */
		sem_wait(&f.seen);
	while (!atomic_load(&f.lines.late));
	stop();
	control = NULL;
	follower_end(&f);
	ck_assert_msg(f.err == 0 || f.err == -ECONNRESET, "%d", f.err);
}
END_TEST

START_TEST(too_many_followers)
{
	static struct follower f[4];
	struct lines l = {0};
	struct cof_diag diag = {""};
	struct cof_json *r = request("log");

	for (int i = 0; i < 4; i++)
		follower_start(&f[i]);
	cof_json_set_bool(r, "follow", true);
	ck_assert_int_eq(ask(r, &l, &diag), -EBUSY);
	ck_assert_int_eq(l.n, 0);
	must_answer(); /* status still goes */
	stop();
	control = NULL;
	for (int i = 0; i < 4; i++)
		follower_end(&f[i]);
}
END_TEST

/* A client that asks for everything and takes nothing does not hold the daemon. */
START_TEST(stop_beside_a_client_that_reads_nothing)
{
	int fd;
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);
	int64_t before;

	for (int i = 0; i < 3000; i++)
		must_write(&s, ino, (uint64_t)i, "x", 1);
	fd = dial();
	ck_assert_int_eq(send(fd, "{\"verb\":\"log\"}\n", 15, MSG_NOSIGNAL), 15);
	must_answer();
	before = cof_now(CLOCK_MONOTONIC);
	stop();
	control = NULL;
	ck_assert_int_lt(cof_now(CLOCK_MONOTONIC) - before, 10 * COF_NSEC);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("control");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, status);
	tcase_add_test(c, log_and_blame);
	tcase_add_test(c, errors_come_back);
	tcase_add_test(c, checkpoint_and_stop);
	tcase_add_test(c, only_for_the_owner);
	tcase_add_test(c, no_daemon);
	tcase_add_test(c, second_daemon);
	tcase_add_test(c, stale_socket);
	tcase_add_test(c, nobody_answers);
	tcase_add_test(c, killed_meanwhile);
	tcase_add_test(c, something_else_in_the_way);
	tcase_add_test(c, oversized_line);
	tcase_add_loop_test(c, garbage_lines, 0, COF_COUNT(garbage));
	tcase_add_test(c, half_closed);
	tcase_add_test(c, gone_at_once);
	tcase_add_test(c, many_at_once);
	tcase_add_test(c, several_clients);
	tcase_add_test(c, following);
	tcase_add_test(c, too_many_followers);
	tcase_add_test(c, stop_beside_a_client_that_reads_nothing);
	suite_add_tcase(suite, c);
	suite_add_tcase(suite, wire_case());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
