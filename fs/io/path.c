/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names below the store's directory, resolved so that nothing leaves it: openat2 where the kernel
 * has it (5.6) and no filter forbids it, else one component after the other.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "fs/io/impl.h"

static int walk(int dir, const char *path, int flags, mode_t mode)
{
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (at < 0)
		return -errno;
	for (;;) {
		char component[NAME_MAX + 1];
		const char *slash = strchr(path, '/');
		size_t n = slash ? (size_t)(slash - path) : strlen(path);
		int next, err;

		if (n > NAME_MAX) {
			close(at);
			return -ENAMETOOLONG;
		}
		memcpy(component, path, n);
		component[n] = 0;
		if (slash)
			next = openat(at, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else
			next = openat(at, component, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		err = next < 0 ? -errno : 0;
		close(at);
		if (err || !slash)
			return err ? err : next;
		at = next;
		path = slash + 1;
	}
}

int cof_path_open(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
	    .flags = (unsigned)(flags | O_CLOEXEC),
	    .mode = flags & O_CREAT ? mode : 0,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	/* EPERM is what some container filters answer to calls they do not know. */
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	return walk(dir, path, flags, mode);
}

int cof_path_parent(int dir, const char *path, const char **ret_name)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;

	if (!slash) {
		fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		*ret_name = path;
		return fd;
	}
	memcpy(parent, path, (size_t)(slash - path)); /* io.c: shorter than PATH_MAX */
	parent[slash - path] = 0;
	fd = cof_path_open(dir, parent, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0)
		*ret_name = slash + 1;
	return fd;
}
