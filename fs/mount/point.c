/* SPDX-License-Identifier: Apache-2.0 */
/* The mount point: where it is, what a dead daemon left on it, the guard of the bare directory. */
#include "fs/mount/point.h"
#include "fs/io/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

/* A dead mount cannot be entered, its parent can: the last name is taken as it stands. */
static int resolve_parent(const char *path, char ret[PATH_MAX], struct cof_diag *diag)
{
	char *copy COF_CLEANUP(cof_freep) = strdup(path), *slash;
	char parent[PATH_MAX];
	int n;

	if (!copy)
		return cof_fail(diag, -ENOMEM, "out of memory");
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (!realpath(slash ? (slash == copy ? "/" : copy) : ".", parent))
		return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
	n = snprintf(ret, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "",
		     slash ? slash + 1 : copy);
	return n > 0 && n < PATH_MAX ? 0 : cof_fail(diag, -ENAMETOOLONG, "%s: too long", path);
}

int cof_point_resolve(const char *path, char ret[PATH_MAX], struct cof_diag *diag)
{
	char full[PATH_MAX];

	if (realpath(path, full)) {
		memcpy(ret, full, strlen(full) + 1);
		return 0;
	}
	if (errno == ENOTCONN || errno == ECONNABORTED)
		return resolve_parent(path, ret, diag);
	return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
}

bool cof_point_inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (!strcmp(dir, "/"))
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int cof_point_holder(const char *store, char *ret_holder, size_t cap)
{
	struct cof_io *io;
	int held;

	if (cof_io_plain(store, &io, NULL) < 0)
		return 0; /* no such store any more: nobody holds it */
	held = cof_io_locked(io, ret_holder, cap);
	cof_io_free(io);
	return held > 0;
}

/* Attributes of a dead mount may still be cached, so stat proves nothing; statfs always asks. */
static bool is_dead(const char *mountpoint)
{
	struct statfs fs;

	return statfs(mountpoint, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

int cof_point_clear(const char *mountpoint, char ret_source[PATH_MAX], struct cof_diag *diag)
{
	struct cof_mountinfo info;
	char holder[128] = "";
	int cleared = 0;

	/* A daemon that was killed several times may have left several, one upon the other. */
	for (;;) {
		int err = cof_mountinfo_top(mountpoint, &info);

		if (err == -ENOENT || (err == 0 && strcmp(info.type, COF_MOUNT_TYPE) != 0))
			return cleared;
		if (err < 0)
			return cof_fail(diag, err, "/proc/self/mountinfo: %s", strerror(-err));
		/* Who holds the lock is alive, though it may be stopped: do not wait for it. */
		if (cof_point_holder(info.source, holder, sizeof(holder)) || !is_dead(mountpoint))
			return cof_fail(diag, -EBUSY, "%s is already mounted on %s%s%s",
					info.source, mountpoint, holder[0] ? " by " : "", holder);
		if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return cof_fail(diag, -errno,
					"the dead mount of %s on %s cannot be detached: %s",
					info.source, mountpoint, strerror(errno));
		memcpy(ret_source, info.source, sizeof(info.source));
		cleared = 1;
	}
}

/* Nothing in it, and not itself the top of another filesystem, which would be locked as a whole. */
static int check_bare(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat here, above;
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	if (copy < 0)
		return -errno;
	dir = fdopendir(copy);
	if (!dir) {
		err = -errno;
		close(copy);
		return err;
	}
	if (fstat(dirfd, &here) < 0 || fstatat(dirfd, "..", &above, 0) < 0)
		err = -errno;
	else if (here.st_dev != above.st_dev)
		err = -EXDEV;
	while (err == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = -ENOTEMPTY;
	if (err == 0)
		err = -errno;
	(void)closedir(dir);
	return err;
}

/* What a filesystem without such flags, or a container without the right to set them, answers. */
static bool cannot(int err)
{
	return err == ENOTTY || err == EOPNOTSUPP || err == ENOSYS || err == EPERM;
}

int cof_point_guard(const char *mountpoint)
{
	cof_autoclose int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int flags = 0, err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return cannot(errno) ? 0 : -errno;
	if (flags & FS_IMMUTABLE_FL)
		return 0;
	err = check_bare(fd);
	if (err < 0)
		return err == -EXDEV ? 0 : err;
	flags |= FS_IMMUTABLE_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		return cannot(errno) ? 0 : -errno;
	return 1;
}
