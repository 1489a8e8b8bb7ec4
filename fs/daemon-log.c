/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon says, to the system's log as "coffer", or to standard error. Where journald
 * listens it gets fields beside the text (COFFER_EVENT, COFFER_OPERATION, COFFER_PATH, COFFER_RULE,
 * COFFER_UID, COFFER_PID, COFFER_STORE), else syslog's /dev/log gets the text.
 *
 * Not syslog(3): it blocks while the log daemon's socket is full, and that log daemon may itself be
 * waiting for a write to our mount: both would wait for ever. A message that the socket does not
 * take at once is counted, and the count is said with the next one; what matters is on the chain.
 */
#include "fs/daemon.h"

#include "base/base.h"

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

static const char journal[] = "/run/systemd/journal/socket";

/* Or not: then fd stays as it is. */
static bool connect_to(struct cof_daemon_log *l, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return false;
	}
	l->fd = fd;
	return true;
}

static void connect_log(struct cof_daemon_log *l)
{
	l->to_journal = connect_to(l, journal);
	if (!l->to_journal)
		(void)connect_to(l, "/dev/log");
}

/* ---- the two forms ---- */

/* A value with line breaks goes with its length: a name may hold any byte. */
static void put_field(struct cof_buf *b, const char *name, const char *value)
{
	uint8_t length[8];

	if (!value)
		return;
	if (!strchr(value, '\n')) {
		cof_buf_printf(b, "%s=%s\n", name, value);
		return;
	}
	cof_put_le64(length, strlen(value));
	cof_buf_printf(b, "%s\n", name);
	cof_buf_add(b, length, sizeof(length));
	cof_buf_printf(b, "%s\n", value);
}

static void journal_entry(struct cof_buf *b, int priority, const char *text, const char *lost,
			  const struct cof_said *about)
{
	cof_buf_printf(b,
		       "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=coffer\nSYSLOG_PID=%d\n",
		       priority, LOG_FAC(LOG_DAEMON), (int)getpid());
	cof_buf_printf(b, "MESSAGE=%s%s\n", text, lost);
	if (!about)
		return;
	put_field(b, "COFFER_EVENT", about->event);
	put_field(b, "COFFER_OPERATION", about->operation);
	put_field(b, "COFFER_PATH", about->path);
	put_field(b, "COFFER_RULE", about->rule);
	put_field(b, "COFFER_STORE", about->store);
	if (about->has_who)
		cof_buf_printf(b, "COFFER_UID=%u\nCOFFER_PID=%u\n", about->uid, about->pid);
}

static void syslog_line(struct cof_buf *b, int priority, const char *text, const char *lost)
{
	char when[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	cof_buf_printf(b, "<%d>%s coffer[%d]: %s%s", LOG_DAEMON | priority, when, (int)getpid(),
		       text, lost);
}

static int send_text(struct cof_daemon_log *l, int priority, const char *text, const char *lost,
		     const struct cof_said *about)
{
	/* Once more after a new connection: the log daemon may have been restarted. */
	for (int i = 0; i < 2; i++) {
		cof_autobuf struct cof_buf b = {0};

		if (l->fd < 0)
			connect_log(l);
		if (l->fd < 0)
			return -ENOTCONN;
		if (l->to_journal)
			journal_entry(&b, priority, text, lost, about);
		else
			syslog_line(&b, priority, text, lost);
		if (b.failed)
			return -ENOMEM;
		if (send(l->fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -EAGAIN;
		close(l->fd);
		l->fd = -1;
	}
	return -ENOTCONN;
}

static void to_system(struct cof_daemon_log *l, int priority, const char *text,
		      const struct cof_said *about)
{
	char lost[64] = "";

	if (l->dropped > 0)
		snprintf(lost, sizeof(lost), " (%u messages before this one were lost)",
			 l->dropped);
	if (send_text(l, priority, text, lost, about) == 0)
		l->dropped = 0;
	else
		l->dropped++;
}

static void say(struct cof_daemon_log *l, int priority, const struct cof_said *about, char *text)
{
	for (char *c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	pthread_mutex_lock(&l->lock);
	if (l->to_stderr)
		dprintf(STDERR_FILENO, "coffer: %s\n", text);
	else
		to_system(l, priority, text, about);
	pthread_mutex_unlock(&l->lock);
}

void cof_daemon_say_of(struct cof_daemon_log *l, int priority, const struct cof_said *about,
		       const char *fmt, ...)
{
	char text[1100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(l, priority, about, text);
}

void cof_daemon_say(struct cof_daemon_log *l, int priority, const char *fmt, ...)
{
	char text[1100];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(l, priority, NULL, text);
}
