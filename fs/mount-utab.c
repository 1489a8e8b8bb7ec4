/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry in util-linux's table of mounts (/run/mount/utab). Without one, umount(8) takes a short
 * way: it asks statfs for the type, is told "fuse", finds no helper for that and calls the kernel,
 * which is done before the daemon is. With one it looks at the mount's real type and runs
 * umount.fuse.coffer, which waits.
 *
 * The table's form is util-linux's own affair, so its mount(8) writes the entry: -i (no helper, or
 * it would run us again) and -f (no system call). Its umount(8) takes the entry away.
 */
#include "fs/mount-helper.h"
#include "fs/mount/point.h"

#include <sys/wait.h>

static int run(const char *path, char *const argv[])
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execv(path, argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int cof_helper_register(const char *store, const char *mountpoint)
{
	char *forget[] = {"umount", "-i", "--fake", "--", (char *)mountpoint, NULL};
	char *add[] = {"mount",
		       "-i",
		       "-f",
		       "-t",
		       COF_MOUNT_TYPE,
		       "-o",
		       "helper=" COF_MOUNT_TYPE,
		       "--",
		       (char *)store,
		       (char *)mountpoint,
		       NULL};

	/* A daemon that ended by itself has left its entry. */
	(void)run("/bin/umount", forget);
	return run("/bin/mount", add);
}
