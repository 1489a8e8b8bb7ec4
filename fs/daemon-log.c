/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says, to the system's log as "coffer", or to standard error.
 *
 * Not syslog(3): it blocks while the log daemon's socket is full, and that log daemon may itself be
 * waiting for a write to our mount: both would wait for ever. A message that the socket does not
 * take at once is counted, and the count is said with the next one; what matters is on the chain.
 */
#include "fs/daemon.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

void cof_daemon_log_init(struct cof_daemon_log *l, bool to_stderr)
{
	*l = (struct cof_daemon_log){
		.lock = PTHREAD_MUTEX_INITIALIZER, .to_stderr = to_stderr, .fd = -1};
}

void cof_daemon_log_done(struct cof_daemon_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	pthread_mutex_destroy(&l->lock);
}

void cof_daemon_log_to_system(struct cof_daemon_log *l)
{
	pthread_mutex_lock(&l->lock);
	l->to_stderr = false;
	pthread_mutex_unlock(&l->lock);
}

/* Or not: then fd stays as it is. */
static void connect_log(struct cof_daemon_log *l)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		close(fd);
	else
		l->fd = fd;
}

static int send_text(struct cof_daemon_log *l, const char *text)
{
	/* Once more after a new connection: the log daemon may have been restarted. */
	for (int i = 0; i < 2; i++) {
		if (l->fd < 0)
			connect_log(l);
		if (l->fd < 0)
			return -ENOTCONN;
		if (send(l->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -EAGAIN;
		close(l->fd);
		l->fd = -1;
	}
	return -ENOTCONN;
}

static void to_system(struct cof_daemon_log *l, int priority, const char *text)
{
	char when[32] = "", line[1024], lost[64] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	if (l->dropped > 0)
		snprintf(lost, sizeof(lost), " (%u messages before this one were lost)",
			 l->dropped);
	snprintf(line, sizeof(line), "<%d>%s coffer[%d]: %s%s", LOG_DAEMON | priority, when,
		 (int)getpid(), text, lost);
	if (send_text(l, line) == 0)
		l->dropped = 0;
	else
		l->dropped++;
}

void cof_daemon_say(struct cof_daemon_log *l, int priority, const char *fmt, ...)
{
	char text[800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	pthread_mutex_lock(&l->lock);
	if (l->to_stderr)
		dprintf(STDERR_FILENO, "coffer: %s\n", text);
	else
		to_system(l, priority, text);
	pthread_mutex_unlock(&l->lock);
}
