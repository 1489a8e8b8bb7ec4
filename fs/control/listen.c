/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket's name: made and taken away by the daemon's privileged part, in whose directory it is. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

static int make_dir(struct cof_diag *diag)
{
	const char *dir = cof_control_dir();
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cof_fail(diag, -errno, "%s could not be made: %s", dir, strerror(errno));
	if (lstat(dir, &st) < 0)
		return cof_fail(diag, -errno, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return cof_fail(diag, -ENOTDIR,
				"%s has to be a directory of the daemon's own user", dir);
	if ((st.st_mode & 077) && chmod(dir, 0700) < 0)
		return cof_fail(diag, -errno, "%s could not be closed to others: %s", dir,
				strerror(errno));
	return 0;
}

/* 0: what was there is gone. A socket on which somebody listens stays. */
static int remove_stale(const struct sockaddr_un *addr, struct cof_diag *diag)
{
	cof_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(addr->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return cof_fail(diag, -EEXIST, "%s is in the way and no socket", addr->sun_path);
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return cof_fail(diag, -EADDRINUSE,
				"another daemon serves this archive (or a copy of it) at %s",
				addr->sun_path);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return cof_fail(diag, -errno, "%s: %s", addr->sun_path, strerror(errno));
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return cof_fail(diag, -errno, "%s could not be removed: %s", addr->sun_path,
				strerror(errno));
	return 0;
}

int cof_control_listen(const uint8_t archive_id[16], int *ret, struct cof_diag *diag)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cof_autoclose int fd = -1;
	int err;

	cof_control_path(archive_id, addr.sun_path);
	if (!addr.sun_path[0])
		return cof_fail(diag, -ENAMETOOLONG, "COFFER_RUN_DIR is too long for a socket");
	err = make_dir(diag);
	if (!err)
		err = remove_stale(&addr, diag);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode set before bind is the one the name is made with: no moment in between. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return cof_fail(diag, -errno, "%s: %s", addr.sun_path, strerror(errno));
	if (listen(fd, 64) < 0) {
		err = -errno;
		unlink(addr.sun_path);
		return cof_fail(diag, err, "%s: %s", addr.sun_path, strerror(-err));
	}
	*ret = fd;
	fd = -1;
	return 0;
}

void cof_control_unlink(const uint8_t archive_id[16])
{
	char path[COF_CONTROL_PATH];

	cof_control_path(archive_id, path);
	if (path[0])
		unlink(path);
}
