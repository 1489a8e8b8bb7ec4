/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and lines, without a daemon. */
#include <check.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

TCase *wire_case(void);

static const struct {
	const char *line;
	int error;
	enum cof_control_verb verb;
	uint64_t number;
	bool follow;
} requests[] = {
    {"{\"verb\":\"status\"}", 0, COF_VERB_STATUS, 0, false},
    {" { \"verb\" : \"status\", \"more\" : [1,2] } ", 0, COF_VERB_STATUS, 0, false},
    {"{\"verb\":\"log\"}", 0, COF_VERB_LOG, 0, false},
    {"{\"verb\":\"log\",\"from\":17,\"follow\":true}", 0, COF_VERB_LOG, 17, true},
    {"{\"verb\":\"log\",\"from\":-1}", -EINVAL, 0, 0, false},
    {"{\"verb\":\"log\",\"from\":\"x\"}", -EINVAL, 0, 0, false},
    {"{\"verb\":\"blame\",\"ino\":5}", 0, COF_VERB_BLAME, 5, false},
    {"{\"verb\":\"blame\"}", -EINVAL, 0, 0, false},
    {"{\"verb\":\"blame\",\"ino\":0}", -EINVAL, 0, 0, false},
    {"{\"verb\":\"checkpoint\"}", 0, COF_VERB_CHECKPOINT, 0, false},
    {"{\"verb\":\"stop\"}", 0, COF_VERB_STOP, 0, false},
    {"{\"verb\":\"Stop\"}", -EOPNOTSUPP, 0, 0, false},
    {"{\"verb\":\"\"}", -EOPNOTSUPP, 0, 0, false},
    {"{\"verb\":7}", -EUCLEAN, 0, 0, false},
    {"{}", -EUCLEAN, 0, 0, false},
    {"[]", -EUCLEAN, 0, 0, false},
    {"\"status\"", -EUCLEAN, 0, 0, false},
    {"null", -EUCLEAN, 0, 0, false},
    {"", -EUCLEAN, 0, 0, false},
    {"{\"verb\":\"stop\"", -EUCLEAN, 0, 0, false},
    {"{\"verb\":\"stop\"} x", -EUCLEAN, 0, 0, false},
    {"GET / HTTP/1.1", -EUCLEAN, 0, 0, false},
};

START_TEST(parsing)
{
	struct cof_control_request r = {.verb = COF_VERB_STOP, .from = 99};
	struct cof_diag diag = {""};
	const char *line = requests[_i].line;
	int err = cof_control_parse(line, strlen(line), &r, &diag);

	ck_assert_msg(err == requests[_i].error, "%s: %d", line, err);
	if (err) {
		ck_assert_uint_gt(strlen(diag.text), 10);
		ck_assert_uint_eq(r.from, 99);
		return;
	}
	ck_assert_int_eq(r.verb, requests[_i].verb);
	ck_assert_int_eq(r.follow, requests[_i].follow);
	ck_assert_uint_eq(r.verb == COF_VERB_BLAME ? r.ino : r.from, requests[_i].number);
}
END_TEST

static int ends[2];

static void pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
}

static void unpair(void)
{
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

static void give(const char *text)
{
	ck_assert_int_eq(send(ends[1], text, strlen(text), 0), (int)strlen(text));
}

START_TEST(a_line)
{
	char buf[64];
	size_t n = 0;

	give("status\nmore");
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 1000, &n), 0);
	ck_assert_uint_eq(n, 6);
	ck_assert_mem_eq(buf, "status", 6);
}
END_TEST

START_TEST(line_of_the_largest_size)
{
	char buf[8];
	size_t n = 0;

	give("1234567\n");
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, 8, 1000, &n), 0);
	ck_assert_uint_eq(n, 7);
	give("12345678\n");
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, 8, 1000, &n), -EMSGSIZE);
	ck_assert_uint_eq(n, 7);
}
END_TEST

START_TEST(half_a_line)
{
	char buf[64];
	size_t n = 99;

	give("half");
	shutdown(ends[1], SHUT_WR);
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 1000, &n), -ENODATA);
	ck_assert_uint_eq(n, 99);
}
END_TEST

START_TEST(silence)
{
	char buf[64];
	int64_t before = cof_now(CLOCK_MONOTONIC);
	size_t n;

	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 30, &n), -ETIMEDOUT);
	ck_assert_int_ge(cof_now(CLOCK_MONOTONIC) - before, 29 * 1000000);
}
END_TEST

static atomic_bool drip_enough;

/* A byte, and the next one once that was taken. */
static void *drip(void *user)
{
	int waiting = 0;

	(void)user;
	while (send(ends[1], "x", 1, MSG_NOSIGNAL) == 1)
		while (ioctl(ends[1], SIOCOUTQ, &waiting) == 0 && waiting && !atomic_load(&drip_enough))
			sched_yield();
	return NULL;
}

/* Single bytes do not extend the time for a line. */
START_TEST(dripping)
{
	static char buf[4u << 20]; /* more than can drip in that time */
	int64_t before = cof_now(CLOCK_MONOTONIC);
	pthread_t thread;
	size_t n;

	ck_assert_int_eq(pthread_create(&thread, NULL, drip, NULL), 0);
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 100, &n), -ETIMEDOUT);
	ck_assert_int_lt(cof_now(CLOCK_MONOTONIC) - before, 5 * COF_NSEC);
	atomic_store(&drip_enough, true);
	shutdown(ends[0], SHUT_RDWR);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(nobody_takes_the_answer)
{
	struct cof_json *o = cof_json_object();
	char *text = calloc(1, 100001);
	int err = 0;

	memset(text, 'a', 100000);
	cof_json_set_str(o, "text", text);
	for (int i = 0; i < 1000 && !err; i++)
		err = cof_control_send(ends[0], o, 20);
	ck_assert_int_eq(err, -ETIMEDOUT);
	close(ends[1]);
	ends[1] = -1;
	err = cof_control_send(ends[0], o, 20);
	ck_assert_int_eq(err, -EPIPE); /* and no signal */
	cof_json_free(o);
	free(text);
}
END_TEST

START_TEST(last_lines)
{
	char buf[256];
	size_t n;

	ck_assert_int_eq(cof_control_send_end(ends[1], 0, NULL, 100), 0);
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 1000, &n), 0);
	buf[n] = 0;
	ck_assert_ptr_nonnull(strstr(buf, "true"));
	ck_assert_ptr_null(strstr(buf, "error"));
	ck_assert_int_eq(cof_control_send_end(ends[1], -EIO, "a \"sentence\"", 100), 0);
	ck_assert_int_eq(cof_control_read_line(ends[0], buf, sizeof(buf), 1000, &n), 0);
	buf[n] = 0;
	ck_assert_ptr_nonnull(strstr(buf, "a \\\"sentence\\\""));
	ck_assert_ptr_nonnull(strstr(buf, "5"));
}
END_TEST

START_TEST(socket_path)
{
	static const uint8_t id[16] = {0xab, 1};
	char path[108], text[120];

	ck_assert_int_eq(unsetenv("COFFER_RUN_DIR"), 0);
	cof_control_path(id, path);
	ck_assert_str_eq(path, "/run/coffer/ab010000000000000000000000000000.sock");
	ck_assert_int_eq(setenv("COFFER_RUN_DIR", "/there", 1), 0);
	cof_control_path(id, path);
	ck_assert_str_eq(path, "/there/ab010000000000000000000000000000.sock");
	memset(text, 'd', sizeof(text));
	text[0] = '/';
	text[119] = 0;
	ck_assert_int_eq(setenv("COFFER_RUN_DIR", text, 1), 0);
	cof_control_path(id, path);
	ck_assert_str_eq(path, "");
}
END_TEST

TCase *wire_case(void)
{
	TCase *c = tcase_create("wire");

	tcase_add_checked_fixture(c, pair, unpair);
	tcase_add_loop_test(c, parsing, 0, COF_COUNT(requests));
	tcase_add_test(c, a_line);
	tcase_add_test(c, line_of_the_largest_size);
	tcase_add_test(c, half_a_line);
	tcase_add_test(c, silence);
	tcase_add_test(c, dripping);
	tcase_add_test(c, nobody_takes_the_answer);
	tcase_add_test(c, last_lines);
	tcase_add_test(c, socket_path);
	return c;
}
