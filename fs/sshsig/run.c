/* SPDX-License-Identifier: Apache-2.0 */
/* One run of ssh-keygen: forked, with nothing but what it needs, awaited for a bounded time. */
#include "fs/sshsig/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum { PEOPLE = 10, SIGNATURE, REVOKED, OUT, IN, FIRST_FREE };

/* Above the places, so that none is overwritten by another. */
static int move(int fd, int to)
{
	return fd < 0 || dup2(fd, to) < 0 ? -1 : 0;
}

static _Noreturn void be_ssh_keygen(const struct cof_sshsig_run *run, int out)
{
	static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC0", NULL};
	struct rlimit no_core = {0, 0}, seconds = {COF_SSHSIG_SECONDS, COF_SSHSIG_SECONDS};
	char at[64];
	const char *argv[20];
	int n = 0;
	int high[5] = {run->people, run->signature, run->revoked, out, run->document};
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)setrlimit(RLIMIT_CPU, &seconds);
	for (int i = 0; i < 5; i++)
		if (high[i] >= 0 && (high[i] = fcntl(high[i], F_DUPFD_CLOEXEC, FIRST_FREE)) < 0)
			_exit(127);
	if (move(high[4], 0) < 0 || move(high[3], 1) < 0 || move(high[3], 2) < 0 ||
	    move(high[0], PEOPLE) < 0 || move(high[1], SIGNATURE) < 0 ||
	    (high[2] >= 0 && move(high[2], REVOKED) < 0))
		_exit(127);
	snprintf(at, sizeof(at), "verify-time=%s", run->time);
	argv[n++] = "ssh-keygen";
	argv[n++] = "-Y";
	argv[n++] = "verify";
	argv[n++] = "-f";
	argv[n++] = "/proc/self/fd/10";
	argv[n++] = "-s";
	argv[n++] = "/proc/self/fd/11";
	argv[n++] = "-n";
	argv[n++] = run->purpose;
	argv[n++] = "-I";
	argv[n++] = run->principal;
	argv[n++] = "-O";
	argv[n++] = at;
	if (high[2] >= 0) {
		argv[n++] = "-r";
		argv[n++] = "/proc/self/fd/12";
	}
	argv[n] = NULL;
	execve(COF_SSH_KEYGEN, (char *const *)argv, environment);
	_exit(errno == ENOENT ? 126 : 127);
}

/* Everything that comes until the other end closes; what is more than cap is dropped. */
static int drain(int fd, int64_t deadline, char *out, size_t cap)
{
	size_t have = 0;
	char rest[512];

	out[0] = '\0';
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = (deadline - cof_now(CLOCK_MONOTONIC)) / 1000000;
		int n = left <= 0 ? 0 : poll(&p, 1, (int)left);
		ssize_t got;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ETIMEDOUT;
		got = read(fd, rest, sizeof(rest));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		got = (ssize_t)COF_MIN((size_t)got, cap - 1 - have);
		memcpy(out + have, rest, (size_t)got);
		have += (size_t)got;
		out[have] = '\0';
	}
}

int cof_sshsig_run(const struct cof_sshsig_run *run, char *out, size_t cap, int *ret_code)
{
	int64_t deadline = cof_now(CLOCK_MONOTONIC) + COF_SSHSIG_SECONDS * COF_NSEC;
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid == 0)
		be_ssh_keygen(run, fds[1]);
	close(fds[1]);
	r = drain(fds[0], deadline, out, cap);
	close(fds[0]);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 126)
		return -ENOENT;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) /* killed, or not started: that says nothing of a signature */
		return -EIO;
	*ret_code = WEXITSTATUS(status);
	return 0;
}
