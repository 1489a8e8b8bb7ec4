/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of the control socket: requests and answers, one line of JSON each, and where
 * the socket lies. See wire.h and control.h.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

const char *cof_control_dir(void)
{
	const char *dir = secure_getenv("COFFER_RUN_DIR");

	return dir && *dir ? dir : "/run/coffer";
}

void cof_control_path(const uint8_t archive_id[16], char out[COF_CONTROL_PATH])
{
	char id[33];
	int n;

	cof_hex(archive_id, 16, id);
	n = snprintf(out, COF_CONTROL_PATH, "%s/%s.sock", cof_control_dir(), id);
	if (n < 0 || n >= COF_CONTROL_PATH)
		out[0] = '\0'; /* too long for a socket: nothing can listen there */
}

/* ---- requests ---- */

static const char *const verbs[] = {
	[COF_VERB_STATUS] = "status",	  [COF_VERB_LOG] = "log",	[COF_VERB_BLAME] = "blame",
	[COF_VERB_CHECKPOINT] = "checkpoint", [COF_VERB_STOP] = "stop",
};

static int parse_arguments(const struct cof_json *o, struct cof_control_request *r,
			   struct cof_diag *diag)
{
	int64_t v = 0;
	int err;

	switch (r->verb) {
	case COF_VERB_LOG:
		err = cof_json_get(o, "from") ? cof_json_int(o, "from", &v) : 0;
		if (err || v < 0)
			return cof_fail(diag, -EINVAL, "log: \"from\" is a sequence, from 0 on");
		r->from = (uint64_t)v;
		r->follow = cof_json_bool(o, "follow");
		return 0;
	case COF_VERB_BLAME:
		if (cof_json_int(o, "ino", &v) || v < 1)
			return cof_fail(diag, -EINVAL, "blame: \"ino\" is an inode number, from 1 on");
		r->ino = (uint64_t)v;
		return 0;
	default:
		return 0;
	}
}

int cof_control_parse(const char *line, size_t n, struct cof_control_request *ret,
		      struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_control_request r = {0};
	const char *verb;
	size_t i;
	int err;

	if (cof_json_parse(line, n, &o))
		return cof_fail(diag, -EUCLEAN, "the request is not one line of JSON");
	verb = cof_json_str(o, "verb");
	if (!verb)
		return cof_fail(diag, -EUCLEAN, "the request has no \"verb\"");
	for (i = 0; i < COF_COUNT(verbs); i++) {
		if (!strcmp(verb, verbs[i]))
			break;
	}
	if (i == COF_COUNT(verbs))
		return cof_fail(diag, -EOPNOTSUPP, "the daemon does not know the verb \"%.40s\"",
				verb);
	r.verb = (enum cof_control_verb)i;
	err = parse_arguments(o, &r, diag);
	if (err)
		return err;
	*ret = r;
	return 0;
}

/* ---- lines ---- */

static int64_t now_ms(void)
{
	return cof_now(CLOCK_MONOTONIC) / 1000000;
}

/* Waits for events until the deadline: 0, or -ETIMEDOUT. Signals do not count. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline - now_ms();
		int n;

		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int cof_control_read_line(int fd, char *buf, size_t cap, int timeout_ms, size_t *ret_n)
{
	int64_t deadline = now_ms() + timeout_ms;
	size_t have = 0;

	while (have < cap) {
		const char *newline;
		ssize_t n = recv(fd, buf + have, cap - have, 0);

		if (n == 0)
			return -ENODATA;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			int err = wait_for(fd, POLLIN, deadline);

			if (err)
				return err;
			continue;
		}
		newline = memchr(buf + have, '\n', (size_t)n);
		if (newline) {
			*ret_n = (size_t)(newline - buf);
			return 0;
		}
		have += (size_t)n;
		if (now_ms() >= deadline) /* a drip of single bytes does not extend it */
			return -ETIMEDOUT;
	}
	return -EMSGSIZE;
}

static int send_all(int fd, const char *p, size_t n, int64_t deadline)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		int err;

		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN)
			return -errno;
		err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

int cof_control_send(int fd, struct cof_json *line, int timeout_ms)
{
	const char *text = cof_json_text(line, false);
	int64_t deadline = now_ms() + timeout_ms;
	int err;

	if (!text)
		return -ENOMEM;
	err = send_all(fd, text, strlen(text), deadline);
	return err ? err : send_all(fd, "\n", 1, deadline);
}

int cof_control_send_end(int fd, int err, const char *sentence, int timeout_ms)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_bool(o, "end", true);
	if (err) {
		cof_json_set_str(o, "error", sentence && *sentence ? sentence : strerror(-err));
		cof_json_set_int(o, "errno", -err);
	}
	return cof_control_send(fd, o, timeout_ms);
}
