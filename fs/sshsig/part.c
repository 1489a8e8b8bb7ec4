/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that runs ssh-keygen for a daemon which may not run anything. It is forked before there are
 * keys, knows none, and what it is asked comes from a daemon that may have been taken over: it takes bytes and
 * gives a code. Who has taken the daemon over could as well have written the frames; what is won by a daemon
 * that cannot exec is that nothing else can be run through it.
 *
 * Wire: SOCK_SEQPACKET, one packet a question, one an answer. A question: its number u32, then time i64,
 * and the six parts, each with its length u32. An answer: number u32, code i32, sentence.
 */
#include "fs/sshsig/internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define QUESTION_MAX                                                                               \
	(4 + 8 + 6 * 4 + COF_PEOPLE_MAX + COF_REVOKED_MAX + COF_REQUEST_MAX + COF_SIGNATURE_MAX + 2 * 64)

struct answer {
	uint32_t number;
	int32_t code;
	char text[sizeof(((struct cof_diag *)0)->text)];
};

struct cof_sshsig {
	pthread_mutex_t lock;
	int fd;
	pid_t pid;
	uint32_t number;
};

/* ---- the part ---- */

static int take(const uint8_t *q, size_t n, size_t *off, const uint8_t **ret, size_t *ret_n)
{
	uint32_t len;

	if (n - *off < 4)
		return -EUCLEAN;
	len = cof_get_le32(q + *off);
	*off += 4;
	if (len > n - *off)
		return -EUCLEAN;
	*ret = q + *off;
	*ret_n = len;
	*off += len;
	return 0;
}

static int answer(const uint8_t *q, size_t n, struct cof_diag *diag)
{
	const uint8_t *part[6] = {0};
	size_t len[6], off = 12;
	char principal[COF_PRINCIPAL] = "", purpose[64] = "";
	struct cof_signature s;

	for (int i = 0; i < 6; i++)
		if (take(q, n, &off, &part[i], &len[i]) < 0)
			return -EUCLEAN;
	if (len[4] >= sizeof(principal) || len[5] >= sizeof(purpose))
		return -EUCLEAN;
	memcpy(principal, part[4], len[4]);
	memcpy(purpose, part[5], len[5]);
	s = (struct cof_signature){.people = (const char *)part[0],
				   .people_len = len[0],
				   .revoked = part[1],
				   .revoked_len = len[1],
				   .document = part[2],
				   .document_len = len[2],
				   .armored = (const char *)part[3],
				   .armored_len = len[3],
				   .principal = principal,
				   .purpose = purpose,
				   .time = (int64_t)cof_get_le64(q + 4)};
	return cof_sshsig_verify(NULL, &s, diag);
}

static void serve(int fd)
{
	uint8_t *q = malloc(QUESTION_MAX);

	while (q) {
		ssize_t n = recv(fd, q, QUESTION_MAX, 0);
		struct cof_diag diag = {""};
		struct answer a = {0};

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 12)
			break; /* the daemon has ended */
		a.number = cof_get_le32(q);
		a.code = answer(q, (size_t)n, &diag);
		memcpy(a.text, diag.text, sizeof(a.text));
		do
			n = send(fd, &a, sizeof(a), MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			break;
	}
	free(q);
}

static _Noreturn void be_part(int fd, cof_sshsig_confine confine, void *user)
{
	struct cof_diag diag;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_NAME, "cofferfs-sign");
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") < 0 ||
	    (confine && confine(user, fd, &diag) < 0))
		_exit(1);
	serve(fd);
	_exit(0);
}

/* ---- who asks ---- */

int cof_sshsig_start(cof_sshsig_confine confine, void *user, struct cof_sshsig **ret, struct cof_diag *diag)
{
	struct timeval limit = {.tv_sec = COF_SSHSIG_SECONDS + 5};
	struct cof_sshsig *s = calloc(1, sizeof(*s));
	int fds[2] = {-1, -1};

	if (!s || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		goto failed;
	if (setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		goto failed;
	s->pid = fork();
	if (s->pid < 0)
		goto failed;
	if (s->pid == 0) {
		close(fds[0]);
		be_part(fds[1], confine, user);
	}
	close(fds[1]);
	s->fd = fds[0];
	s->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	*ret = s;
	return 0;
failed:
	free(s);
	if (fds[0] >= 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return cof_fail(diag, -ENOMEM, "the process that judges signatures cannot be started: %s", strerror(errno));
}

void cof_sshsig_end(struct cof_sshsig *s)
{
	if (!s)
		return;
	close(s->fd);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(s);
}

static void put(struct cof_buf *b, const void *p, size_t n)
{
	uint8_t len[4];

	cof_put_le32(len, (uint32_t)n);
	cof_buf_add(b, len, sizeof(len));
	if (n)
		cof_buf_add(b, p, n);
}

/* By recvmsg, as the part answers in one message. */
static ssize_t take_answer(int fd, struct answer *a)
{
	struct iovec iov = {.iov_base = a, .iov_len = sizeof(*a)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	return recvmsg(fd, &message, 0);
}

static int exchange(struct cof_sshsig *s, struct cof_buf *q, struct answer *a)
{
	ssize_t n;

	cof_put_le32(q->data, ++s->number);
	do
		n = send(s->fd, q->data, q->len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	while (n >= 0) { /* an answer that came too late for its question is passed over */
		n = take_answer(s->fd, a);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n >= 0 && n != (ssize_t)sizeof(*a))
			return -EPIPE;
		else if (n > 0 && a->number == s->number)
			return 0;
	}
	return errno == EAGAIN ? -ETIME : -errno;
}

int cof_sshsig_ask(void *sshsig, const struct cof_signature *sig, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf q = {0};
	struct cof_sshsig *s = sshsig;
	uint8_t head[12] = {0};
	struct answer a = {0};
	int r = cof_sshsig_sane(sig, diag);

	if (r < 0)
		return r;
	cof_put_le64(head + 4, (uint64_t)sig->time);
	cof_buf_add(&q, head, sizeof(head));
	put(&q, sig->people, sig->people_len);
	put(&q, sig->revoked, sig->revoked_len);
	put(&q, sig->document, sig->document_len);
	put(&q, sig->armored, sig->armored_len);
	put(&q, sig->principal, strlen(sig->principal));
	put(&q, sig->purpose, strlen(sig->purpose));
	if (q.failed)
		return -ENOMEM;
	pthread_mutex_lock(&s->lock);
	r = exchange(s, &q, &a);
	pthread_mutex_unlock(&s->lock);
	if (r < 0)
		return cof_fail(diag, r == -ETIME ? r : -ENOTRECOVERABLE,
				"the process that judges signatures does not answer (%s): mount the archive again",
				strerror(-r));
	a.text[sizeof(a.text) - 1] = '\0';
	if (a.code > 0 || a.code < -4095)
		a.code = -EPROTO;
	return a.code < 0 ? cof_fail(diag, a.code, "%s", a.text[0] ? a.text : strerror(-a.code)) : 0;
}
