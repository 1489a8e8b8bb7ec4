/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hook: a program that is run for each alarm, with the event as a line of JSON on its standard input. The
 * daemon cannot exec, and must not wait: so a process of its own does it, forked before there are keys, which
 * holds no descriptor but its socket and becomes another user. The socket is the queue: what finds no room in
 * it is counted, and said. One program at a time, each for at most HOOK_SECONDS.
 *
 * Wire: SOCK_SEQPACKET; to the part one event a packet, back one struct result for each program that ended.
 */
#include "fs/daemon-hook.h"

#include "fs/guard/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HOOK_SECONDS 10
#define END_SECONDS 2 /* what is queued at the end has so long */
#define EVENT_MAX 32768
#define QUEUE_BYTES 262144 /* some 200 events */

struct result {
	int32_t code; /* exit code; -1: it could not be run, was killed, or was late */
	uint32_t late;
};

/* ---- the part ---- */

static _Noreturn void run_program(const char *path, int event)
{
	char *const argv[] = {(char *)path, NULL};
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)setsid(); /* what it starts ends with it */
	if (dup2(event, 0) < 0)
		_exit(127);
	execv(path, argv);
	_exit(127);
}

/* The event as a file: a program that does not read it holds nobody up. */
static int file_of(const char *event, size_t n)
{
	int fd = memfd_create("event", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, event, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

struct part {
	const char *path;
	int fd;
	int64_t end; /* boot time by which it has ended: set once the daemon has; 0: it runs */
};

/* Until the program has ended: true. A daemon that ends leaves it END_SECONDS. */
static bool await(struct part *part, int pidfd)
{
	int64_t until = cof_now(CLOCK_BOOTTIME) + HOOK_SECONDS * COF_NSEC;

	for (;;) {
		struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = part->end ? -1 : part->fd}};
		int64_t left = (part->end ? COF_MIN(part->end, until) : until) - cof_now(CLOCK_BOOTTIME);
		int n = poll(p, 2, left > 0 ? (int)(left / 1000000) + 1 : 0);

		if (p[0].revents)
			return true;
		if (n > 0 && (p[1].revents & POLLHUP))
			part->end = cof_now(CLOCK_BOOTTIME) + END_SECONDS * COF_NSEC;
		else if (n == 0 || (n < 0 && errno != EINTR))
			return false;
	}
}

static struct result wait_for(struct part *part, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), status = 0;
	struct result r = {.code = -1};

	r.late = pidfd >= 0 && !await(part, pidfd);
	if (r.late || pidfd < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)kill(-pid, SIGKILL); /* and what it left behind */
	if (pidfd >= 0)
		close(pidfd);
	if (!r.late && WIFEXITED(status))
		r.code = WEXITSTATUS(status);
	return r;
}

static struct result run(struct part *part, const char *event, size_t n)
{
	int fd = file_of(event, n);
	pid_t pid = fd < 0 ? -1 : fork();

	if (pid == 0)
		run_program(part->path, fd);
	if (fd >= 0)
		close(fd);
	return pid < 0 ? (struct result){.code = -1} : wait_for(part, pid);
}

static _Noreturn void be_part(int fd, const char *path, uid_t uid, gid_t gid)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct part part = {.path = path, .fd = fd};
	char *event = malloc(EVENT_MAX);
	struct cof_diag diag;
	ssize_t n;

	(void)prctl(PR_SET_NAME, "cofferfs-hook");
	if (!event || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") < 0 ||
	    cof_guard_only(&fd, 1, &diag) < 0 || cof_guard_become(uid, gid, &diag) < 0)
		_exit(1);
	for (;;) {
		struct result r;

		n = recv(fd, event, EVENT_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || (part.end && cof_now(CLOCK_BOOTTIME) >= part.end))
			_exit(0); /* the daemon has ended, and what it said was told as far as there was time */
		r = run(&part, event, (size_t)n);
		(void)send(fd, &r, sizeof(r), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

/* ---- the daemon's end ---- */

static int user_of(const char *name, uid_t *uid, gid_t *gid, struct cof_diag *diag)
{
	struct passwd *pw;
	char *end;
	unsigned long number;

	if (geteuid() != 0) { /* it cannot become anybody else */
		*uid = geteuid();
		*gid = getegid();
		return *name ? cof_fail(diag, -EPERM, "hook-user= takes root") : 0;
	}
	number = strtoul(name, &end, 10);
	pw = *name && !*end ? getpwuid((uid_t)number) : getpwnam(*name ? name : "nobody");
	if (!pw)
		return cof_fail(diag, -ENOENT, "hook-user=%s: there is no such user", *name ? name : "nobody");
	if (pw->pw_uid == 0)
		return cof_fail(diag, -EPERM, "hook-user=%s: the hook is not run as root", name);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

static int look_at(const char *path, struct cof_diag *diag)
{
	struct stat st;

	if (*path != '/')
		return cof_fail(diag, -EINVAL, "hook=%s: an absolute path is wanted", path);
	if (stat(path, &st) < 0)
		return cof_fail(diag, -errno, "hook=%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return cof_fail(diag, -EACCES, "hook=%s: no program", path);
	if (st.st_mode & 0022)
		return cof_fail(diag, -EACCES, "hook=%s: others than its owner may write it (chmod go-w)", path);
	return 0;
}

int cof_daemon_hook_start(const char *path, const char *user, struct cof_daemon_hook *ret, struct cof_diag *diag)
{
	int fds[2], size = QUEUE_BYTES;
	uid_t uid = 0;
	gid_t gid = 0;
	pid_t pid;
	int err = look_at(path, diag);

	if (err == 0)
		err = user_of(user, &uid, &gid, diag);
	if (err < 0)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return cof_fail(diag, -errno, "no sockets: %s", strerror(errno));
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	pid = fork();
	if (pid == 0)
		be_part(fds[1], path, uid, gid);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return cof_fail(diag, -errno, "the part that runs the hook cannot be started: %s", strerror(errno));
	}
	*ret = (struct cof_daemon_hook){.lock = PTHREAD_MUTEX_INITIALIZER, .fd = fds[0], .pid = pid};
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	return 0;
}

/* Lock held. */
static void take_results(struct cof_daemon_hook *h, char said[256])
{
	struct result r;
	struct iovec iov = {.iov_base = &r, .iov_len = sizeof(r)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	while (recvmsg(h->fd, &message, MSG_DONTWAIT) == (ssize_t)sizeof(r)) {
		h->done++;
		h->late += r.late;
		if (r.code == 0)
			continue;
		h->failed++;
		snprintf(said, 256, "the hook %.150s %s (%d)", h->path,
			 r.late ? "took too long and was ended" : "failed", r.code);
	}
}

bool cof_daemon_hook_tell(struct cof_daemon_hook *h, struct cof_json *event, char ret_said[256])
{
	const char *text;
	bool lost = false;

	*ret_said = '\0';
	if (!h->pid)
		return false;
	pthread_mutex_lock(&h->lock);
	take_results(h, ret_said);
	if (h->lost != h->lost_told)
		cof_json_set_uint(event, "lost_before", h->lost - h->lost_told);
	text = cof_json_text(event, false);
	h->given++;
	if (text && strlen(text) < EVENT_MAX && send(h->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
		if (h->lost != h->lost_told)
			snprintf(ret_said, 256, "%llu events were not told to the hook %.150s: it was too slow",
				 (unsigned long long)(h->lost - h->lost_told), h->path);
		h->lost_told = h->lost;
	} else {
		lost = h->lost == h->lost_told;
		h->lost++;
	}
	pthread_mutex_unlock(&h->lock);
	return lost;
}

void cof_daemon_hook_status(struct cof_daemon_hook *h, struct cof_json *into)
{
	struct cof_json *o;
	char said[256];

	if (!h->pid)
		return;
	o = cof_json_object();
	pthread_mutex_lock(&h->lock);
	take_results(h, said);
	cof_json_set_str(o, "path", h->path);
	cof_json_set_uint(o, "given", h->given);
	cof_json_set_uint(o, "done", h->done);
	cof_json_set_uint(o, "failed", h->failed);
	cof_json_set_uint(o, "late", h->late);
	cof_json_set_uint(o, "lost", h->lost);
	pthread_mutex_unlock(&h->lock);
	cof_json_set(into, "hook", o);
}

void cof_daemon_hook_end(struct cof_daemon_hook *h)
{
	if (!h->pid)
		return;
	close(h->fd);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
}
