/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/cofferfs.c: a program of the operator's that is told of alarms (daemon-hook.c), run by a process
 * of its own: the daemon may run nothing.
 */
#ifndef COF_DAEMON_HOOK_H
#define COF_DAEMON_HOOK_H

#include "base/json.h"

#include <pthread.h>

struct cof_daemon_hook {
	pthread_mutex_t lock; /* what follows */
	int fd;
	pid_t pid; /* 0: there is none */
	char path[4096];
	uint64_t given, done, failed, late; /* late: ended for taking too long; failed has them too */
	uint64_t lost, lost_told;	    /* events for which the queue had no room */
};

/* Whether path may be run so: absolute, a file that its user may run and nobody but root and its owner may
 * write. Then forks: before any thread and any key. The part becomes user (a name or number; "": nobody). */
int cof_daemon_hook_start(const char *path, const char *user, struct cof_daemon_hook *ret, struct cof_diag *diag);
/* Never waits. The event's text is one line on the program's standard input. *ret_said: a sentence for the
 * log, when there is something to say of events before; "" else. True: it had no room for this one, and the one
 * before was the last for which it had. */
bool cof_daemon_hook_tell(struct cof_daemon_hook *h, struct cof_json *event, char ret_said[256]);
void cof_daemon_hook_status(struct cof_daemon_hook *h, struct cof_json *into); /* "hook" */
/* What is queued is still told, for a few seconds; then waits until the part has ended. */
void cof_daemon_hook_end(struct cof_daemon_hook *h);

#endif
