/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE/lock: flock(2) decides, the text only names the holder. flock belongs to the open file, so
 * a second store object in the same process is refused like a stranger, and the death of the holder
 * releases it. The directory is locked too, since somebody will remove a "stale" lock file one day.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/io/impl.h"

/* Somebody who only asks (cof_posix_locked) holds the lock for microseconds, or for as long as a busy
 * machine leaves it without a processor. */
#define TRIES 250
#define PAUSE_NS 1000000L
/* Who guards a directory tries a passphrase meanwhile, which takes a second on a busy machine. */
#define GUARD_TRIES 60000

static int try_for(int fd, int how, int tries)
{
	for (int i = 0; i < tries; i++) {
		struct timespec pause = {.tv_nsec = PAUSE_NS};
		if (!flock(fd, how | LOCK_NB))
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (nanosleep(&pause, NULL) && errno != EINTR)
			return -errno;
	}
	return -EBUSY;
}

static int try_lock(int fd, int how)
{
	return try_for(fd, how, TRIES);
}

/* Where directories cannot be locked (NFS), the file has to do. */
static int lock_dir_for(int dir, int how, int tries)
{
	int r = try_for(dir, how, tries);

	return r == -EBADF || r == -EINVAL || r == -ENOLCK || r == -EOPNOTSUPP ? 0 : r;
}

static int lock_dir(int dir, int how)
{
	return lock_dir_for(dir, how, TRIES);
}

static void unlock_dir(int dir)
{
	if (flock(dir, LOCK_UN)) /* where it was not locked either */
		errno = 0;
}

/* Whoever removes an empty store holds its lock: who waited for it meanwhile has a lock on nothing then. 1: the directory is the one
 * that has its name, and the file is its lock. Where that cannot be seen it is believed. */
static bool stands(const struct cof_posix *p, int fd)
{
	struct stat named, open;

	if (stat(p->base.where, &named))
		return errno != ENOENT && errno != ENOTDIR;
	if (fstat(p->dir, &open) || open.st_dev != named.st_dev || open.st_ino != named.st_ino)
		return false;
	if (fstatat(p->dir, "lock", &named, AT_SYMLINK_NOFOLLOW))
		return errno != ENOENT;
	return !fstat(fd, &open) && open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

/* The first line, printable bytes only: it goes into messages. */
static void read_holder(int fd, char *ret, size_t cap)
{
	ssize_t n = cap > 1 ? pread(fd, ret, cap - 1, 0) : 0;
	size_t len = n > 0 ? (size_t)n : 0, i;

	for (i = 0; i < len && ret[i] != '\n'; i++)
		if ((unsigned char)ret[i] < 32 || ret[i] == 127)
			ret[i] = '?';
	if (cap)
		ret[i] = 0;
}

static int write_holder(int fd, const char *holder)
{
	size_t n = strlen(holder), done = 0;

	if (ftruncate(fd, 0))
		return -errno;
	while (done < n) {
		ssize_t r = pwrite(fd, holder + done, n - done, (off_t)done);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EIO;
		done += (size_t)r;
	}
	return 0;
}

/* The directory alone, which takes no writing. Whoever writes holds it exclusively. */
static int take_shared(struct cof_posix *p, char *ret_holder, size_t cap)
{
	int r = lock_dir(p->dir, LOCK_SH);

	if (r == -EBUSY) {
		cof_autoclose int fd = cof_path_open(p->dir, "lock", O_RDONLY | O_NONBLOCK, 0);

		if (fd >= 0)
			read_holder(fd, ret_holder, cap);
	}
	p->lock_shared = !r;
	return r;
}

static int take(struct cof_posix *p, const char *holder, char *ret_holder, size_t cap)
{
	cof_autoclose int fd = -1;
	int r;

	if (p->lock_fd >= 0 || p->lock_shared)
		return -EALREADY;
	if (!holder)
		return take_shared(p, ret_holder, cap);
	fd = cof_path_open(p->dir, "lock", O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return fd;
	r = cof_posix_give(p, fd);
	if (r)
		return r;
	r = try_lock(fd, LOCK_EX);
	if (r == -EBUSY)
		read_holder(fd, ret_holder, cap);
	if (r)
		return r;
	r = lock_dir(p->dir, LOCK_EX);
	if (r)
		return r;
	if (!stands(p, fd)) {
		unlock_dir(p->dir);
		return -ESTALE;
	}
	r = write_holder(fd, holder);
	/* On a full disk the lock still holds: only its text is missing. */
	if (r && r != -ENOSPC && r != -EDQUOT) {
		unlock_dir(p->dir);
		return r;
	}
	p->lock_fd = fd;
	fd = -1;
	return 0;
}

int cof_posix_lock(struct cof_io *io, const char *holder, char *ret_holder, size_t cap)
{
	struct cof_posix *p = (struct cof_posix *)io;
	int r;

	pthread_mutex_lock(&p->lock_mutex);
	r = take(p, holder, ret_holder, cap);
	pthread_mutex_unlock(&p->lock_mutex);
	return r;
}

void cof_posix_unlock(struct cof_io *io)
{
	struct cof_posix *p = (struct cof_posix *)io;

	pthread_mutex_lock(&p->lock_mutex);
	if (p->lock_shared)
		unlock_dir(p->dir);
	p->lock_shared = false;
	if (p->lock_fd >= 0) {
		/* If it fails an old name stays in the text; nobody reads it without a holder. */
		if (ftruncate(p->lock_fd, 0))
			errno = 0;
		unlock_dir(p->dir);
		close(p->lock_fd);
		p->lock_fd = -1;
	}
	pthread_mutex_unlock(&p->lock_mutex);
}

int cof_posix_locked(struct cof_io *io, char *ret_holder, size_t cap)
{
	struct cof_posix *p = (struct cof_posix *)io;
	cof_autoclose int fd = -1;
	bool ours;
	int r;

	pthread_mutex_lock(&p->lock_mutex);
	ours = p->lock_fd >= 0 || p->lock_shared;
	pthread_mutex_unlock(&p->lock_mutex);
	if (ours)
		return 0;
	r = lock_dir(p->dir, LOCK_SH);
	if (!r)
		unlock_dir(p->dir);
	else if (r != -EBUSY)
		return r;
	fd = cof_path_open(p->dir, "lock", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 && (!r || fd != -ENOENT))
		return fd == -ENOENT ? 0 : fd;
	if (!r) {
		do
			r = flock(fd, LOCK_SH | LOCK_NB);
		while (r && errno == EINTR);
		if (!r)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
	}
	if (fd >= 0)
		read_holder(fd, ret_holder, cap);
	else if (cap)
		ret_holder[0] = 0;
	return 1;
}

int cof_posix_guard(struct cof_io *io, const char *dir, int *ret)
{
	struct cof_posix *p = (struct cof_posix *)io;
	int fd = cof_path_open(p->dir, dir, O_RDONLY | O_DIRECTORY, 0);
	int r = fd < 0 ? fd : lock_dir_for(fd, LOCK_EX, GUARD_TRIES);

	if (r) {
		if (fd >= 0)
			close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}
