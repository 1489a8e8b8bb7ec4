/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/cofferfs.c and the files beside it: what the daemon says, and where its secret is. */
#ifndef COF_DAEMON_H
#define COF_DAEMON_H

#include "base/base.h"
#include "crypto/seal.h"
#include "fs/mount/point.h"

#include <pthread.h>
#include <syslog.h>

/* ---- what the daemon says (daemon-log.c) ---- */

struct cof_daemon_log {
	pthread_mutex_t lock; /* guards what follows */
	bool to_stderr;	      /* else to the system's log */
	int fd;		      /* journald's socket or /dev/log, or -1 */
	bool to_journal;      /* which of them */
	unsigned dropped;     /* since the log last took one */
};

void cof_daemon_log_init(struct cof_daemon_log *l, bool to_stderr);
void cof_daemon_log_done(struct cof_daemon_log *l);
void cof_daemon_log_to_system(struct cof_daemon_log *l);
/* priority: LOG_CRIT … of syslog.h. Never waits: whoever reads the log may be waiting for us. */
void cof_daemon_say(struct cof_daemon_log *l, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct cof_said { /* what a message is about, as fields for journald; NULL: does not apply */
	const char *event, *operation, *path, *rule, *store;
	bool has_who;
	uint32_t uid, pid;
};
void cof_daemon_say_of(struct cof_daemon_log *l, int priority, const struct cof_said *about,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ---- its secret (daemon-secret.c) ---- */

struct cof_daemon_secret {
	struct cof_opener_secret secret;
	int fd;	    /* what it is read from; -1: nothing is */
	void *data; /* secure memory */
	bool weak;  /* the key file can be read by others than its owner */
};
/* What the options name is opened while this is root, and read into secure memory when it is no more. */
int cof_daemon_secret_open(const struct cof_mount_options *o, const char *store, struct cof_daemon_secret *ret,
			   struct cof_diag *diag);
int cof_daemon_secret_read(struct cof_daemon_secret *s, struct cof_diag *diag);
void cof_daemon_secret_wipe(struct cof_daemon_secret *s);

/* ---- the process itself (daemon-process.c) ---- */

/* Limits, signals that must not end it, out-of-memory score. Before any thread. */
int cof_daemon_prepare(struct cof_diag *diag);
/* Standard streams to /dev/null; no longer ended with the parent. */
void cof_daemon_detach(bool keep_stderr);

#endif
