/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few descriptors kept for when no others are left: whatever else the process or the host opened,
 * the writer still gets its next segment, replaces its checkpoint and closes cleanly. Reading does
 * without them: it can close what it keeps open.
 */
#include <fcntl.h>

#include "fs/io/impl.h"

void cof_spare_fill(struct cof_posix *p)
{
	int err = errno;

	pthread_mutex_lock(&p->spare_mutex);
	for (unsigned i = 0; i < COF_COUNT(p->spare); i++) {
		if (p->spare[i] < 0)
			p->spare[i] = fcntl(p->dir, F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_unlock(&p->spare_mutex);
	errno = err;
}

int cof_spare_init(struct cof_posix *p)
{
	for (unsigned i = 0; i < COF_COUNT(p->spare); i++)
		p->spare[i] = -1;
	return -pthread_mutex_init(&p->spare_mutex, NULL);
}

void cof_spare_done(struct cof_posix *p)
{
	for (unsigned i = 0; i < COF_COUNT(p->spare); i++) {
		if (p->spare[i] >= 0)
			close(p->spare[i]);
	}
	pthread_mutex_destroy(&p->spare_mutex);
}

bool cof_spare_use(struct cof_posix *p, int err)
{
	int fd = -1;

	if (err != -EMFILE && err != -ENFILE)
		return false;
	pthread_mutex_lock(&p->spare_mutex);
	for (unsigned i = 0; i < COF_COUNT(p->spare) && fd < 0; i++) {
		fd = p->spare[i];
		p->spare[i] = -1;
	}
	pthread_mutex_unlock(&p->spare_mutex);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int cof_spare_open(struct cof_posix *p, const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = cof_path_open(p->dir, path, flags, mode);
	while (fd < 0 && cof_spare_use(p, fd));
	return fd;
}

int cof_spare_parent(struct cof_posix *p, const char *path, const char **ret_name)
{
	int fd;

	do
		fd = cof_path_parent(p->dir, path, ret_name);
	while (fd < 0 && cof_spare_use(p, fd));
	return fd;
}

void cof_spare_close(struct cof_posix *p, int fd)
{
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	cof_spare_fill(p);
}
