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

/* ---- io_uring in the place of most of them (transport.c) ---- */

/* Before INIT: takes what it needs, or leaves the mount to /dev/fuse. */
void cof_transport_prepare(struct cof_mount *m);
/* After INIT: from here on requests come through the rings, if the kernel agreed. -EIO: neither
 * these nor /dev/fuse will do. */
int cof_transport_start(struct cof_mount *m);
void cof_transport_drain(struct cof_mount *m); /* each queue finishes its request */
void cof_transport_end(struct cof_mount *m);   /* all replies are handed over */

void cof_syncer_init(struct cof_syncer *s);
void cof_syncer_done(struct cof_syncer *s);
void cof_syncer_start(struct cof_mount *m); /* without a thread whoever asks syncs */
void cof_syncer_stop(struct cof_mount *m);  /* once nothing is parked */

void cof_mount_stopping(struct cof_mount *m); /* mount.c: wakes cof_mount_run */

#endif
