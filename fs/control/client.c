/* SPDX-License-Identifier: Apache-2.0 */
/* The asking end of the control socket: one request, the lines of its answer, one connection. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

#define SEND_MS 30000
#define READ_AT_ONCE 65536

static int dial(const uint8_t archive_id[16], int *ret_fd, struct cof_diag *diag)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cof_autoclose int fd = -1;
	int err;

	cof_control_path(archive_id, addr.sun_path);
	if (!addr.sun_path[0])
		return cof_fail(diag, -ENAMETOOLONG, "COFFER_RUN_DIR is too long for a socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cof_fail(diag, -errno, "no socket could be made: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		return cof_fail(diag, err, "no daemon answers at %s: %s", addr.sun_path,
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

static int read_answer(int fd, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	cof_autofree char *chunk = malloc(READ_AT_ONCE);
	cof_autobuf struct cof_buf b = {0};
	int end = 0;

	if (!chunk)
		return -ENOMEM;
	for (;;) {
		ssize_t n = recv(fd, chunk, READ_AT_ONCE, 0);
		int done;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cof_fail(diag, -errno, "the daemon's answer broke off: %s",
					strerror(errno));
		if (n == 0)
			return cof_fail(diag, -ECONNRESET,
					"the daemon ended before its answer was complete");
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

int cof_control_ask(const uint8_t archive_id[16], struct cof_json *request, cof_show_fn fn,
		    void *user, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int err = dial(archive_id, &fd, diag);

	if (err)
		return err;
	err = cof_control_send(fd, request, SEND_MS);
	/* A daemon that refuses at once has closed already, but its reason can still be read. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		return cof_fail(diag, err, "the daemon did not take the request: %s",
				strerror(-err));
	return read_answer(fd, fn, user, diag);
}
