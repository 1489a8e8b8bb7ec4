/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over a byte stream: a head of eight bytes and a body. Nothing that comes is trusted: a length is judged
 * before memory is taken for it, and who sends nothing, or byte by byte, is waited for no longer than was agreed.
 */
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "tools/vault/internal.h"

#define HEAD 8
#define OTHER_VERSION ": the programs at the two ends differ, and the older one has to be brought up to the other (coffer version here, " \
		      "coffer-vault --version there)"

const char *vault_refusal_name(unsigned code)
{
	static const char *const name[] = {
	    [VAULT_R_MALFORMED] = "malformed", [VAULT_R_VERSION] = "version", [VAULT_R_UNKNOWN] = "unknown archive",
	    [VAULT_R_BUSY] = "busy",	       [VAULT_R_STALE] = "stale",     [VAULT_R_FORK] = "fork",
	    [VAULT_R_DATA] = "wrong data",     [VAULT_R_QUOTA] = "quota",     [VAULT_R_FAILED] = "failed",
	    [VAULT_R_DAMAGED] = "damaged",     [VAULT_R_RULES] = "not permitted",
	};

	return code < COF_COUNT(name) && name[code] ? name[code] : "refused";
}

/* A message waits until the limit allows all of it. A second in which nothing was due is no credit for what follows. */
static void hold_back(struct vault_wire *w, size_t n)
{
	int64_t now = cof_now(CLOCK_MONOTONIC), due;

	if (!w->limit)
		return;
	if (!w->pause_from || now - w->pause_from > COF_NSEC) {
		w->pause_from = now;
		w->since_pause = 0;
	}
	w->since_pause += n;
	due = w->pause_from + (int64_t)((double)w->since_pause / (double)w->limit * (double)COF_NSEC);
	if (due > now) {
		struct timespec until = {.tv_sec = due / COF_NSEC, .tv_nsec = due % COF_NSEC};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
		w->pause_from = due;
		w->since_pause = 0;
	}
}

/* When n bytes have to be there at last; 0: never. */
static int64_t due_for(const struct vault_wire *w, size_t n)
{
	return w->timeout_ms < 0 ? 0 : cof_now(CLOCK_MONOTONIC) + (int64_t)w->timeout_ms * (COF_NSEC / 1000) * (int64_t)(1 + n / VAULT_PACE);
}

static int wait_for(const struct vault_wire *w, int fd, short what, int64_t due)
{
	struct pollfd p = {.fd = fd, .events = what};
	int n, most;

	do {
		int64_t left = due ? (due - cof_now(CLOCK_MONOTONIC) + COF_NSEC / 1000 - 1) / (COF_NSEC / 1000) : 0;

		if (due && left <= 0)
			return -ETIMEDOUT;
		most = w->timeout_ms < 0 ? -1 : (int)COF_MIN(left, (int64_t)w->timeout_ms);
		n = poll(&p, 1, most);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int write_whole(struct vault_wire *w, struct iovec *iov, int count, int64_t due)
{
	while (count) {
		ssize_t n;
		int r = wait_for(w, w->out, POLLOUT, due);

		if (r < 0)
			return r;
		n = writev(w->out, iov, count);
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return errno == ECONNRESET ? -EPIPE : -errno;
		}
		w->sent += (uint64_t)n;
		while (count && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int vault_send(struct vault_wire *w, enum vault_message type, const struct iovec *iov, int count)
{
	uint8_t head[HEAD] = {0};
	struct iovec all[8];
	size_t n = 0;

	if (count < 0 || count > 7)
		return -EINVAL;
	all[0] = (struct iovec){.iov_base = head, .iov_len = HEAD};
	for (int i = 0; i < count; i++) {
		all[i + 1] = iov[i];
		n += iov[i].iov_len;
	}
	if (n > VAULT_BODY_MAX)
		return -EMSGSIZE;
	cof_put_le32(head, (uint32_t)n);
	head[4] = (uint8_t)type;
	hold_back(w, n + HEAD);
	return write_whole(w, all, count + 1, due_for(w, n));
}

/* *ret_n less than n: the other side ended. */
static int read_whole(struct vault_wire *w, uint8_t *p, size_t n, size_t *ret_n)
{
	int64_t due = due_for(w, n);
	size_t have = 0;

	while (have < n) {
		ssize_t got;
		int r = wait_for(w, w->in, POLLIN, due);

		if (r < 0)
			return r;
		got = read(w->in, p + have, n - have);
		if (got < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			if (errno != ECONNRESET)
				return -errno;
			got = 0;
		}
		if (!got)
			break;
		have += (size_t)got;
		w->received += (uint64_t)got;
	}
	*ret_n = have;
	return 0;
}

static int gone(struct cof_diag *diag, size_t had)
{
	return had ? cof_fail(diag, -EPIPE, "the other side ended in the middle of a message: the connection was cut")
		   : cof_fail(diag, -ENOTCONN, "the other side ended: the connection was cut, or its program said on "
					       "standard error why");
}

int vault_receive(struct vault_wire *w, uint8_t *ret_type, struct cof_buf *body, struct cof_diag *diag)
{
	uint8_t head[HEAD];
	size_t n = 0, got = 0;
	int r = read_whole(w, head, HEAD, &got);

	body->len = 0;
	if (r == -ETIMEDOUT)
		return cof_fail(diag, r, "the other side sent nothing for %d seconds", w->timeout_ms / 1000);
	if (r < 0)
		return cof_fail(diag, r, "reading from the other side: %s", strerror(-r));
	if (got < HEAD)
		return gone(diag, got);
	n = cof_get_le32(head);
	if (head[5] || head[6] || head[7] || n > VAULT_BODY_MAX || !head[4])
		return cof_fail(diag, -EPROTO, "what came is no message of a vault: is there a login banner or "
					       "something else that writes to standard output?");
	if (n >= body->cap) {
		cof_buf_done(body);
		body->data = malloc(n + 1);
		if (!body->data)
			return cof_fail(diag, -ENOMEM, "out of memory");
		body->cap = n + 1;
	}
	r = read_whole(w, body->data, n, &got);
	if (r == -ETIMEDOUT)
		return cof_fail(diag, r, "the other side stopped in the middle of a message, or sends it too slowly");
	if (r < 0)
		return cof_fail(diag, r, "reading from the other side: %s", strerror(-r));
	body->len = got;
	body->data[got] = 0;
	*ret_type = head[4];
	return got < n ? gone(diag, 1) : 0;
}

int vault_was_refused(const struct cof_buf *body, struct cof_diag *diag)
{
	unsigned code = cof_get_le16(body->data);
	const char *more = code == VAULT_R_VERSION ? OTHER_VERSION : "";

	if (body->len == 2 || !body->data[2])
		return cof_fail(diag, -ECONNABORTED, "the other side refused it (%s), and does not say why%s", vault_refusal_name(code), more);
	return cof_fail(diag, -ECONNABORTED, "%.*s%s", (int)COF_MIN(body->len - 2, 700), (const char *)body->data + 2, more);
}

int vault_expect(struct vault_wire *w, enum vault_message type, struct cof_buf *body, unsigned *ret_code,
		 struct cof_diag *diag)
{
	uint8_t is = 0;
	int r = vault_receive(w, &is, body, diag);

	if (r < 0)
		return r;
	if (is == type)
		return 0;
	if (is != VAULT_REFUSED || body->len < 2)
		return cof_fail(diag, -EPROTO, "message %u came where %u belongs" OTHER_VERSION, is, type);
	if (ret_code)
		*ret_code = cof_get_le16(body->data);
	return vault_was_refused(body, diag);
}

int vault_refuse(struct vault_wire *w, enum vault_refusal code, const char *text)
{
	uint8_t number[2];

	cof_put_le16(number, (uint16_t)code);
	return vault_send(w, VAULT_REFUSED,
			  (struct iovec[]){{.iov_base = number, .iov_len = 2},
					   {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)}},
			  2);
}
