/* SPDX-License-Identifier: Apache-2.0 */
/* The asking end of the control socket: one request, the lines of its answer, one connection. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

#define SEND_MS 30000
/* How long a daemon may say nothing: one that was stopped would keep us for ever. */
#define SILENCE_MS 5000
#define SILENCE_DISK_MS 60000 /* while it waits for its disk on our behalf */
#define READ_AT_ONCE 65536

static int silent(int ms, struct cof_diag *diag)
{
	return cof_fail(diag, -ETIMEDOUT,
			"the daemon does not answer: it said nothing for %d seconds (stopped, or "
			"very busy)",
			(ms + 999) / 1000);
}

/* A listener that takes nobody lets us wait in connect, once its queue is full. */
static int dial(const uint8_t archive_id[16], int silence_ms, int *ret_fd, struct cof_diag *diag)
{
	struct timeval limit = {.tv_sec = silence_ms / 1000, .tv_usec = silence_ms % 1000 * 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cof_autoclose int fd = -1;
	int err;

	cof_control_path(archive_id, addr.sun_path);
	if (!addr.sun_path[0])
		return cof_fail(diag, -ENAMETOOLONG, "COFFER_RUN_DIR is too long for a socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cof_fail(diag, -errno, "no socket could be made: %s", strerror(errno));
	if (silence_ms > 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return cof_fail(diag, -errno, "no socket could be made: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		if (err == -EAGAIN)
			return silent(silence_ms, diag);
		return cof_fail(diag, err, COF_CONTROL_NOBODY " at %s: %s", addr.sun_path,
				strerror(-err));
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* 1: this was the last line, *ret_err says how it ended. 0: go on. Negative: give up. */
static int take_line(const char *line, size_t n, cof_show_fn fn, void *user, int *ret_err,
		     struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	const char *sentence;
	int64_t code = 0;

	if (cof_json_parse(line, n, &o))
		return cof_fail(diag, -EPROTO, "the daemon's answer is not JSON");
	if (!cof_json_bool(o, "end"))
		return fn ? fn(user, o) : 0;
	sentence = cof_json_str(o, "error");
	if (!sentence) {
		*ret_err = 0;
		return 1;
	}
	if (cof_json_int(o, "errno", &code) || code <= 0 || code > 4095)
		code = EPROTO;
	*ret_err = cof_fail(diag, -(int)code, "%s", sentence);
	return 1;
}

/* Every whole line at the front of the buffer; what is left of the last one moves there. */
static int take_lines(struct cof_buf *b, size_t fresh, cof_show_fn fn, void *user, int *ret_err,
		      struct cof_diag *diag)
{
	size_t start = 0, look = b->len - fresh;
	int done = 0;

	while (!done) {
		const uint8_t *newline = memchr(b->data + look, '\n', b->len - look);
		size_t end;

		if (!newline)
			break;
		end = (size_t)(newline - b->data);
		done = take_line((const char *)b->data + start, end - start, fn, user, ret_err,
				 diag);
		start = look = end + 1;
	}
	memmove(b->data, b->data + start, b->len - start);
	b->len -= start;
	return done;
}

/* Until there is something to read. silence_ms 0: as long as it takes. */
static int await_bytes(int fd, int silence_ms, struct cof_diag *diag)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t deadline = cof_now(CLOCK_MONOTONIC) / 1000000 + silence_ms;

	if (silence_ms <= 0)
		return 0;
	for (;;) {
		int64_t left = deadline - cof_now(CLOCK_MONOTONIC) / 1000000;
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return silent(silence_ms, diag);
		if (errno != EINTR)
			return cof_fail(diag, -errno, "the daemon's answer broke off: %s",
					strerror(errno));
	}
}

/* *ret_came: something did. */
static int read_answer(int fd, int silence_ms, cof_show_fn fn, void *user, bool *ret_came, struct cof_diag *diag)
{
	cof_autofree char *chunk = malloc(READ_AT_ONCE);
	cof_autobuf struct cof_buf b = {0};
	int end = 0;

	if (!chunk)
		return -ENOMEM;
	for (;;) {
		int done = await_bytes(fd, silence_ms, diag);
		ssize_t n;

		if (done)
			return done;
		n = recv(fd, chunk, READ_AT_ONCE, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cof_fail(diag, -errno, "the daemon's answer broke off: %s",
					strerror(errno));
		if (n == 0)
			return cof_fail(diag, -ECONNRESET,
					"the daemon ended before its answer was complete");
		*ret_came = true;
		cof_buf_add(&b, chunk, (size_t)n);
		if (b.failed)
			return cof_fail(diag, -ENOMEM, "no memory for the daemon's answer");
		done = take_lines(&b, (size_t)n, fn, user, &end, diag);
		if (done)
			return done < 0 ? done : end;
		if (b.len > COF_CONTROL_ANSWER_MAX)
			return cof_fail(diag, -EPROTO, "the daemon's answer has a line too long");
	}
}

/* A daemon that is killed leaves whoever stands in its queue there until its last process is gone: that was nobody then. */
static int gone_meanwhile(const uint8_t archive_id[16], int silence_ms, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	struct cof_diag why = {""};
	int err = dial(archive_id, silence_ms, &fd, &why);

	if (err != -ECONNREFUSED && err != -ENOENT)
		return -ECONNRESET;
	if (diag)
		*diag = why;
	return err;
}

int cof_control_ask_within(const uint8_t archive_id[16], int silence_ms, struct cof_json *request,
			   cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	bool came = false;
	int err = dial(archive_id, silence_ms, &fd, diag);

	if (err)
		return err;
	err = cof_control_send(fd, request, SEND_MS);
	/* A daemon that refuses at once has closed already, but its reason can still be read. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		return cof_fail(diag, err, "the daemon did not take the request: %s",
				strerror(-err));
	err = read_answer(fd, silence_ms, fn, user, &came, diag);
	return err == -ECONNRESET && !came ? gone_meanwhile(archive_id, silence_ms, diag) : err;
}

/* Who follows the log waits for what has not happened yet; some verbs wait for the disk. */
static int silence_of(struct cof_json *request)
{
	const char *verb = cof_json_str(request, "verb");

	if (cof_json_bool(request, "follow"))
		return 0;
	return verb && (!strcmp(verb, "checkpoint") || !strcmp(verb, "acknowledge") ||
			!strcmp(verb, "hold-begin") || !strncmp(verb, "import", 6) || !strcmp(verb, "stamp") || !strcmp(verb, "stamp-query") || !strcmp(verb, "cosign") || !strncmp(verb, "vault-", 6))
		   ? SILENCE_DISK_MS
		   : SILENCE_MS;
}

int cof_control_ask(const uint8_t archive_id[16], struct cof_json *request, cof_show_fn fn,
		    void *user, struct cof_diag *diag)
{
	return cof_control_ask_within(archive_id, silence_of(request), request, fn, user, diag);
}
