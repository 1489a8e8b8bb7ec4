/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/mount: the FUSE binding: decode, one call into fs/archive, one reply. No rule lives here.
 * libfuse is included in this folder only.
 */
#ifndef COF_MOUNT_H
#define COF_MOUNT_H

#include "fs/archive/archive.h"

struct cof_mount;

/* What needs root, done by whoever has it: see fs/mount/attach.h. From any thread. */
struct cof_mount_root {
	int (*attach)(void *user, bool read_only, int *ret_fd, struct cof_diag *diag);
	void (*served)(void *user);	       /* INIT was answered */
	void (*detach)(void *user, bool lazy); /* nothing, if it is unmounted already */
	void *user;
};

struct cof_mount_params {
	struct cof_archive *archive;
	struct cof_mount_root root;
	unsigned threads; /* workers; 0: a default */
	bool read_only;
	bool uring; /* requests over io_uring, where the kernel offers it */
};

/* Mounts. The kernel may send requests from here on; none is answered before cof_mount_run. */
int cof_mount_new(const struct cof_mount_params *p, struct cof_mount **ret, struct cof_diag *diag);
/* Serves until umount or cof_mount_stop. ready is called once INIT was answered. */
int cof_mount_run(struct cof_mount *m, void (*ready)(void *user), void *user);
void cof_mount_stop(struct cof_mount *m); /* from any thread: unmounts, run returns */
/* "uring" or "classic" (/dev/fuse), as it is now; from any thread. */
const char *cof_mount_transport(struct cof_mount *m);
/* For fs/archive's hook: drops kernel caches of an inode. Thread-safe, never blocks on a request.
 */
void cof_mount_changed(struct cof_mount *m, uint64_t ino);
/* A name is gone: not from a worker, and without locks, since the kernel may ask something first. */
void cof_mount_removed(struct cof_mount *m, uint64_t parent, const char *name);
void cof_mount_free(struct cof_mount *m);

#endif
