/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/mount: the threads that read requests. */
#ifndef COF_MOUNT_WORKER_H
#define COF_MOUNT_WORKER_H

#include "fs/mount/internal.h"

/* In the calling thread: reads and answers until INIT was answered. -ENOTCONN: unmounted before. */
int cof_worker_first(struct cof_mount *m);
int cof_workers_start(struct cof_mount *m);
void cof_workers_end(
    struct cof_mount *m); /* each finishes its request; joins, frees their buffers */

void cof_mount_stopping(struct cof_mount *m); /* mount.c: wakes cof_mount_run */

#endif
