/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a mount that needs root (attach.c), without libfuse and without an archive. One
 * thread at a time.
 */
#ifndef COF_MOUNT_ATTACH_H
#define COF_MOUNT_ATTACH_H

#include "fs/mount/point.h"

struct cof_attachment {
	const char *mountpoint; /* absolute */
	const char *source;     /* absolute path of STORE, shown as the mount's source */
	unsigned long flags;    /* MS_NOSUID … of mount(2), MS_RDONLY not among them */
	bool allow_other;
	/* by cof_attach: */
	bool mounted;
	unsigned major, minor;
};

/* Mounts. *ret_fd: /dev/fuse of this mount, the caller's to close. */
int cof_attach(struct cof_attachment *a, bool read_only, int *ret_fd, struct cof_diag *diag);
void cof_attach_read_ahead(const struct cof_attachment *a);
/* Unmounts, if it is still there: as umount does, and where it is in use or lazy, its name only. */
void cof_detach(const struct cof_attachment *a, bool lazy);

#endif
