/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a mount needs root: mount(2), the read-ahead, umount(2). The daemon's privileged part
 * calls this (fs/daemon-root.c); it knows one mount and does nothing about any other.
 */
#include "fs/mount/attach.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>

#define READAHEAD_KIB 2048 /* two requests of the largest size: one on each of two processors */

/* Remembers the mount's device number, by which it is known again among mounts on one another. */
static int remember(struct cof_attachment *a)
{
	struct cof_mountinfo info;
	int err = cof_mountinfo_top(a->mountpoint, &info);

	if (err < 0)
		return err;
	a->major = info.major;
	a->minor = info.minor;
	a->mounted = true;
	return 0;
}

int cof_attach(struct cof_attachment *a, bool read_only, int *ret_fd, struct cof_diag *diag)
{
	unsigned long flags = a->flags | (read_only ? MS_RDONLY : 0);
	cof_autoclose int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];
	int err;

	if (fd < 0)
		return cof_fail(diag, -errno,
				"/dev/fuse cannot be opened: %s (is the fuse module loaded?)",
				strerror(errno));
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fd, getuid(),
		 getgid(), a->allow_other ? ",allow_other" : "");
	if (mount(a->source, a->mountpoint, COF_MOUNT_TYPE, flags, options) < 0)
		return cof_fail(diag, -errno, "%s cannot be mounted on: %s", a->mountpoint,
				strerror(errno));
	err = remember(a);
	if (err < 0) {
		(void)umount2(a->mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW);
		return cof_fail(diag, err, "%s is not in /proc/self/mountinfo", a->mountpoint);
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* What INIT agrees on is at most 128 KiB; root may ask for more here. Without it reading committed
 * files in order is slower, and nothing else. */
void cof_attach_read_ahead(const struct cof_attachment *a)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", a->major, a->minor);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)dprintf(fd, "%d\n", READAHEAD_KIB);
	close(fd);
}

static bool still_mounted(const struct cof_attachment *a)
{
	struct cof_mountinfo info;

	return a->mounted && cof_mountinfo_top(a->mountpoint, &info) == 0 &&
	       info.major == a->major && info.minor == a->minor;
}

void cof_detach(const struct cof_attachment *a, bool lazy)
{
	if (!still_mounted(a))
		return;
	if (lazy || umount2(a->mountpoint, UMOUNT_NOFOLLOW) < 0)
		(void)umount2(a->mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW);
}
