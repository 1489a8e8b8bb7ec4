/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/cofferfs.c: what it has its privileged part do (daemon-root.c). */
#ifndef COF_DAEMON_ROOT_H
#define COF_DAEMON_ROOT_H

#include "fs/mount/attach.h"
#include "fs/mount/mount.h"

#include <pthread.h>

struct cof_daemon_root {
	pthread_mutex_t lock; /* one request at a time */
	int fd;
	pid_t pid; /* 0: none */
};

/* Forks: before any thread and any key. What mount points to has to stay as it is in this process. */
int cof_daemon_root_start(const struct cof_attachment *mount, struct cof_daemon_root *ret,
			  struct cof_diag *diag);
void cof_daemon_root_end(struct cof_daemon_root *r); /* and waits until it has ended */

struct cof_mount_root cof_daemon_root_mount(struct cof_daemon_root *r);
int cof_daemon_root_listen(struct cof_daemon_root *r, const uint8_t id[16], int *ret, struct cof_diag *diag);
void cof_daemon_root_unlink(struct cof_daemon_root *r);

#endif
