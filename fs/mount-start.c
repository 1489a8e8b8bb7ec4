/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the daemon: cofferfs beside this program (a build directory), else where it is
 * installed. Its status pipe says "N note", then "R" once requests are answered, or "E<exit code>
 * sentence".
 *
 * Until it serves the daemon ends with us; from then on it belongs to nobody's terminal.
 */
#include "fs/mount-helper.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define DAEMON "cofferfs"

static bool beside_us(char *out, size_t cap)
{
	ssize_t n = readlink("/proc/self/exe", out, cap - 1);
	char *slash;

	if (n <= 0)
		return false;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash + 1 - out) + sizeof(DAEMON) > cap)
		return false;
	memcpy(slash + 1, DAEMON, sizeof(DAEMON));
	return access(out, X_OK) == 0;
}

static int find_daemon(char out[PATH_MAX], struct cof_diag *diag)
{
	static const char installed[] = COFFER_LIBEXEC "/" DAEMON;

	if (beside_us(out, PATH_MAX))
		return 0;
	if (access(installed, X_OK) < 0)
		return cof_fail(diag, -ENOENT, "the daemon %s: %s", installed, strerror(errno));
	memcpy(out, installed, sizeof(installed));
	return 0;
}

/* In the child, of which exec is the next thing: nothing but system calls. */
static void become(const char *path, char *const argv[], const int *keep, size_t n, pid_t parent)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] >= 0 && fcntl(keep[i], F_SETFD, 0) < 0)
			_exit(126);
	/* Ctrl-C in the terminal that mounted must not unmount later. */
	(void)setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(126);
	execv(path, argv);
	_exit(127);
}

/* How a daemon that said nothing ended. */
static void describe_end(int status, struct cof_diag *diag)
{
	if (WIFSIGNALED(status))
		cof_fail(diag, -EIO, "the daemon was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		cof_fail(diag, -EIO, "the daemon could not be started");
	else
		cof_fail(diag, -EIO, "the daemon ended with code %d and no reason",
			 WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static int told_error(const char *line, struct cof_diag *diag)
{
	char *text;
	long code = strtol(line + 1, &text, 10);

	cof_fail(diag, -EIO, "%s", *text == ' ' ? text + 1 : text);
	return code > 0 && code < 256 ? (int)code : EXIT_MOUNT;
}

static int take_lines(FILE *status, char **buf, pid_t pid, void (*fn)(const char *note),
		      struct cof_diag *diag)
{
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(buf, &cap, status)) > 0) {
		char *line = *buf;

		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (line[0] == 'R')
			return EXIT_MOUNTED;
		if (line[0] == 'N' && line[1] == ' ')
			fn(line + 2);
		if (line[0] == 'E') {
			int code = told_error(line, diag);

			(void)wait_for(pid); /* it has closed the archive when we return */
			return code;
		}
	}
	describe_end(wait_for(pid), diag);
	return EXIT_MOUNT;
}

static int listen_to(FILE *status, pid_t pid, void (*fn)(const char *note), struct cof_diag *diag)
{
	char *buf = NULL;
	int code = take_lines(status, &buf, pid, fn, diag);

	free(buf);
	return code;
}

static int options_of(const struct cof_start *s, int status_fd, char **ret)
{
	char pass[32] = "";

	if (s->passfd >= 0)
		snprintf(pass, sizeof(pass), ",passfd=%d", s->passfd);
	return asprintf(ret, "%s%sstatusfd=%d%s", s->options, *s->options ? "," : "", status_fd,
			pass) < 0
		   ? -ENOMEM
		   : 0;
}

static int spawn(const struct cof_start *s, const char *path, const int pipe_fds[2], pid_t *ret_pid,
		 struct cof_diag *diag)
{
	cof_autofree char *options = NULL;
	int keep[] = {pipe_fds[1], s->passfd};
	pid_t parent = getpid(), pid;

	if (options_of(s, pipe_fds[1], &options) < 0)
		return cof_fail(diag, -ENOMEM, "out of memory");
	char *argv[] = {(char *)DAEMON, (char *)s->store, (char *)s->mountpoint,
			(char *)"-o",   options,          NULL};

	pid = fork();
	if (pid < 0)
		return cof_fail(diag, -errno, "the daemon cannot be started: %s", strerror(errno));
	if (pid == 0)
		become(path, argv, keep, COF_COUNT(keep), parent);
	*ret_pid = pid;
	return 0;
}

int cof_helper_start(const struct cof_start *s, void (*fn)(const char *note), pid_t *ret_pid,
		     struct cof_diag *diag)
{
	char path[PATH_MAX];
	int fds[2], code;
	FILE *status;
	pid_t pid = 0;

	if (find_daemon(path, diag) < 0)
		return EXIT_SYSTEM;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		cof_fail(diag, -errno, "no pipe: %s", strerror(errno));
		return EXIT_SYSTEM;
	}
	status = fdopen(fds[0], "r");
	if (!status || spawn(s, path, fds, &pid, diag) < 0) {
		if (!status) {
			cof_fail(diag, -ENOMEM, "out of memory");
			close(fds[0]);
		} else {
			(void)fclose(status);
		}
		close(fds[1]);
		return EXIT_SYSTEM;
	}
	close(fds[1]);
	code = listen_to(status, pid, fn, diag);
	(void)fclose(status);
	*ret_pid = pid;
	return code;
}
