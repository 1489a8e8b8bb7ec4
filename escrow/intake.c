/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a process of its own what a private key is, and takes nothing of its answer unchecked. */
#include "escrow/intake-private.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static int send_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n) {
		ssize_t r = send(fd, at, n, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

static int receive_all(int fd, void *p, size_t n, int64_t deadline)
{
	uint8_t *at = p;

	while (n) {
		struct pollfd one = {.fd = fd, .events = POLLIN};
		int64_t left = (deadline - cof_now(CLOCK_MONOTONIC)) / 1000000;
		int ready = left <= 0 ? 0 : poll(&one, 1, (int)left);
		ssize_t r;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? -errno : -ETIMEDOUT;
		r = recv(fd, at, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

static int ask(const struct cof_intake_question *q, struct cof_intake_answer *a, bool probe)
{
	int fds[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		cof_intake_part(fds[1], probe);
	r = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (r == 0)
		r = send_all(fds[0], q, sizeof(*q));
	if (r == 0)
		r = receive_all(fds[0], a, sizeof(*a), cof_now(CLOCK_MONOTONIC) + COF_INTAKE_SECONDS * COF_NSEC);
	close(fds[0]);
	if (r < 0 && pid > 0)
		(void)kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* It was made of what anybody may have written. */
static int check(struct cof_intake_answer *a, bool wants_key, struct cof_diag *diag)
{
	a->text[sizeof(a->text) - 1] = '\0';
	a->key.algorithm[sizeof(a->key.algorithm) - 1] = '\0';
	if (a->err < 0 && a->err > -4096)
		return cof_fail(diag, a->err, "%s", a->text);
	if (a->err || a->n > sizeof(a->pkcs8) || !a->n != !wants_key || a->key.form < COF_FORM_PKCS8 || a->key.form > COF_FORM_PKCS12 ||
	    a->key.use > COF_USE_ENCRYPT)
		return cof_fail(diag, -EIO, "the process that reads keys answered what cannot be");
	return 0;
}

int cof_intake_read(const void *p, size_t n, const char *passphrase, struct cof_private_key *ret, uint8_t *pkcs8,
		    size_t *ret_n, struct cof_diag *diag)
{
	cof_autosecret struct cof_intake_question *q = cof_secret_alloc(sizeof(*q));
	cof_autosecret struct cof_intake_answer *a = cof_secret_alloc(sizeof(*a));
	int r;

	if (!q || !a)
		return cof_fail(diag, -ENOMEM, "no secure memory");
	if (n > sizeof(q->file))
		return cof_fail(diag, -E2BIG, "it is larger than any key");
	if (passphrase && strlen(passphrase) >= sizeof(q->passphrase))
		return cof_fail(diag, -E2BIG, "the passphrase is too long");
	memcpy(q->file, p, n);
	q->n = (uint32_t)n;
	q->wants_key = pkcs8 != NULL;
	q->has_passphrase = passphrase != NULL;
	if (passphrase)
		memcpy(q->passphrase, passphrase, strlen(passphrase));
	r = ask(q, a, false);
	if (r < 0)
		return cof_fail(diag, r, r == -ETIMEDOUT ? "the process that reads keys took too long" : "the process that reads keys ended (%s)",
				strerror(-r));
	r = check(a, pkcs8 != NULL, diag);
	if (r < 0)
		return r;
	*ret = a->key;
	*ret_n = a->n;
	if (pkcs8)
		memcpy(pkcs8, a->pkcs8, a->n);
	return 0;
}

int cof_intake_probe(char ret_text[768], struct cof_diag *diag)
{
	cof_autosecret struct cof_intake_question *q = cof_secret_alloc(sizeof(*q));
	cof_autosecret struct cof_intake_answer *a = cof_secret_alloc(sizeof(*a));
	int r = q && a ? ask(q, a, true) : -ENOMEM;

	if (r == 0)
		memcpy(ret_text, a->text, sizeof(a->text));
	return r == 0 ? a->err : cof_fail(diag, r, "%s", strerror(-r));
}
