/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's process: limits, signals, streams. */
#include "fs/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Whoever is short of memory should not lose the archive first. Not essential: no failure. */
static void spare_from_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)cof_write_all(fd, "-500", 4);
	close(fd);
}

static void raise_limit(int what)
{
	struct rlimit r;

	if (getrlimit(what, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(what, &r);
	}
}

int cof_daemon_prepare(struct cof_diag *diag)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	umask(077);
	raise_limit(RLIMIT_NOFILE);
	raise_limit(RLIMIT_MEMLOCK);
	spare_from_oom();
	/* A file-size limit or a closed socket is an error code, never an end. */
	if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGXFSZ, &ignore, NULL) < 0)
		return cof_fail(diag, -errno, "signals: %s", strerror(errno));
	/* One thread waits for these (cofferfs.c); all others inherit that they are blocked. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return cof_fail(diag, -EINVAL, "signals cannot be blocked");
	return 0;
}

void cof_daemon_detach(bool keep_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Until now mount.coffer's end was ours too. */
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (fd < 0)
		return;
	(void)dup2(fd, STDIN_FILENO);
	if (!keep_stderr) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	if (fd > STDERR_FILENO)
		close(fd);
}
