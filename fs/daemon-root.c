/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's privileged part: a process of its own, forked off before there are keys or threads,
 * which keeps root and does five things when asked: mount, set the read-ahead, unmount, make the
 * control socket, take its name away. The daemon itself goes on as the owner of STORE, without a
 * capability.
 *
 * What it is asked comes from the daemon, which reads hostile bytes and may have been taken over:
 * so requests have no arguments but the archive's id (in hex) and a flag; where to mount what was settled
 * before. It knows one mount, and mounts once. It ends when the daemon does, whose end it sees by
 * its socket; what a killed daemon leaves (a dead mount, a socket) stays for the next start.
 *
 * Wire: SOCK_SEQPACKET, one packet a request, one packet an answer with at most one descriptor.
 */
#include "fs/daemon-root.h"

#include "fs/control/control.h"
#include "fs/guard/guard.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum what { MOUNT = 'm', SERVED = 'a', DETACH = 'd', SOCKET = 's', UNLINK = 'x' };

struct request {
	uint8_t what, flag; /* MOUNT: read-only; DETACH: lazily */
	uint8_t id[16];
};

struct answer {
	int32_t err;
	char text[sizeof(((struct cof_diag *)0)->text)];
};

/* ---- the privileged part ---- */

struct part {
	int fd;
	struct cof_attachment mount;
	uint8_t id[16];
	bool listens;
};

static int act(struct part *p, const struct request *r, int *ret_fd, struct cof_diag *diag)
{
	int err;

	switch (r->what) {
	case MOUNT:
		if (p->mount.mounted)
			return -EBUSY;
		return cof_attach(&p->mount, r->flag, ret_fd, diag);
	case SERVED:
		if (p->mount.mounted)
			cof_attach_read_ahead(&p->mount);
		return 0;
	case DETACH:
		cof_detach(&p->mount, r->flag);
		return 0;
	case SOCKET:
		if (p->listens)
			return -EBUSY;
		err = cof_control_listen(r->id, ret_fd, diag);
		p->listens = err == 0;
		memcpy(p->id, r->id, sizeof(p->id));
		return err;
	case UNLINK:
		if (p->listens)
			cof_control_unlink(p->id);
		return 0;
	}
	return -EINVAL;
}

static int send_answer(int to, const struct answer *a, int fd)
{
	struct iovec iov = {(void *)a, sizeof(*a)};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		n = sendmsg(to, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void serve(struct part *p)
{
	struct request r;

	for (;;) {
		ssize_t n = recv(p->fd, &r, sizeof(r), 0);
		struct answer a = {0};
		struct cof_diag diag = {""};
		int fd = -1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(r))
			return; /* the daemon has ended */
		a.err = act(p, &r, &fd, &diag);
		memcpy(a.text, diag.text, sizeof(a.text));
		n = send_answer(p->fd, &a, fd);
		/* Not kept: /dev/fuse has to end with the daemon. */
		if (fd >= 0)
			close(fd);
		if (n < 0)
			return;
	}
}

/* Only what it is for: mounting, and the way to a mount point in somebody's closed directory. */
static _Noreturn void be_root_part(struct part *p)
{
	struct cof_diag diag;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_NAME, "cofferfs-root");
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || chdir("/") < 0 ||
	    cof_guard_only(&p->fd, 1, &diag) < 0 || cof_guard_root_part(&diag) < 0)
		_exit(1);
	serve(p);
	_exit(0);
}

/* ---- the daemon's end ---- */

static int receive(struct cof_daemon_root *r, struct answer *a, int *ret_fd)
{
	struct iovec iov = {a, sizeof(*a)};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(r->fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*a))
		return n < 0 ? -errno : -EPIPE;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

static int ask(struct cof_daemon_root *r, const struct request *q, int *ret_fd, struct cof_diag *diag)
{
	struct answer a = {0};
	int fd = -1, err = 0;

	pthread_mutex_lock(&r->lock);
	if (send(r->fd, q, sizeof(*q), MSG_NOSIGNAL) < 0)
		err = -errno;
	if (err == 0)
		err = receive(r, &a, &fd);
	pthread_mutex_unlock(&r->lock);
	if (err < 0)
		return cof_fail(diag, err, "the daemon's privileged part is gone: %s", strerror(-err));
	a.text[sizeof(a.text) - 1] = '\0';
	if (a.err < 0)
		return cof_fail(diag, a.err, "%s", a.text[0] ? a.text : strerror(-a.err));
	if (ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return ret_fd && fd < 0 ? cof_fail(diag, -EPROTO, "no descriptor came") : 0;
}

static int on_attach(void *user, bool read_only, int *ret_fd, struct cof_diag *diag)
{
	return ask(user, &(struct request){.what = MOUNT, .flag = read_only}, ret_fd, diag);
}

static void on_served(void *user)
{
	(void)ask(user, &(struct request){.what = SERVED}, NULL, NULL);
}

static void on_detach(void *user, bool lazy)
{
	(void)ask(user, &(struct request){.what = DETACH, .flag = lazy}, NULL, NULL);
}

struct cof_mount_root cof_daemon_root_mount(struct cof_daemon_root *r)
{
	return (struct cof_mount_root){
	    .attach = on_attach, .served = on_served, .detach = on_detach, .user = r};
}

int cof_daemon_root_listen(struct cof_daemon_root *r, const uint8_t id[16], int *ret, struct cof_diag *diag)
{
	struct request q = {.what = SOCKET};

	memcpy(q.id, id, sizeof(q.id));
	return ask(r, &q, ret, diag);
}

void cof_daemon_root_unlink(struct cof_daemon_root *r)
{
	(void)ask(r, &(struct request){.what = UNLINK}, NULL, NULL);
}

int cof_daemon_root_start(const struct cof_attachment *mount, struct cof_daemon_root *ret,
			  struct cof_diag *diag)
{
	struct part p = {.mount = *mount};
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return cof_fail(diag, -errno, "no sockets: %s", strerror(errno));
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return cof_fail(diag, -errno, "the privileged part cannot be started: %s", strerror(errno));
	}
	if (pid == 0) {
		p.fd = fds[1];
		be_root_part(&p);
	}
	close(fds[1]);
	*ret = (struct cof_daemon_root){.lock = PTHREAD_MUTEX_INITIALIZER, .fd = fds[0], .pid = pid};
	return 0;
}

void cof_daemon_root_end(struct cof_daemon_root *r)
{
	if (r->pid <= 0)
		return;
	close(r->fd);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	r->pid = 0;
}
