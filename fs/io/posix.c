/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in a directory of the host: one system call for each operation.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs/io/impl.h"

static struct cof_posix *store(struct cof_io *io)
{
	return (struct cof_posix *)io;
}

static int fd_of(struct cof_file *f)
{
	return ((struct cof_posix_file *)f)->fd;
}

/* Beyond RLIMIT_FSIZE a write is to return EFBIG, not to end the process. A handler that somebody
 * installed stays. */
static int ignore_sigxfsz(void)
{
	struct sigaction now;
	if (sigaction(SIGXFSZ, NULL, &now))
		return -errno;
	if (now.sa_handler != SIG_DFL)
		return 0;
	now = (struct sigaction){.sa_handler = SIG_IGN};
	return sigaction(SIGXFSZ, &now, NULL) ? -errno : 0;
}

int cof_posix_init(struct cof_posix *io, const struct cof_io_ops *ops, const char *dir,
		   struct cof_diag *diag)
{
	cof_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cof_fail(diag, -errno, "cannot open the store %s: %s", dir, strerror(errno));
	io->owner = st.st_uid;
	io->group = st.st_gid;
	r = ignore_sigxfsz();
	if (!r)
		r = -pthread_mutex_init(&io->lock_mutex, NULL);
	if (r)
		return cof_fail(diag, r, "cannot open the store %s: %s", dir, strerror(-r));
	r = cof_spare_init(io);
	if (!r)
		io->base.where = strdup(dir);
	if (!io->base.where) {
		if (!r)
			cof_spare_done(io);
		pthread_mutex_destroy(&io->lock_mutex);
		return cof_fail(diag, -ENOMEM, "cannot open the store %s: out of memory", dir);
	}
	io->base.ops = ops;
	io->dir = fd;
	io->lock_fd = -1;
	fd = -1;
	cof_spare_fill(io);
	return 0;
}

void cof_posix_free(struct cof_io *io)
{
	struct cof_posix *p = store(io);
	cof_posix_unlock(io);
	pthread_mutex_destroy(&p->lock_mutex);
	cof_spare_done(p);
	close(p->dir);
}

int cof_posix_give(const struct cof_posix *p, int fd)
{
	if (geteuid() != 0 || p->owner == 0)
		return 0;
	/* EPERM: of a filesystem on which all files are one user's */
	return fchown(fd, p->owner, p->group) && errno != EPERM ? -errno : 0;
}

/* ---- files ---- */

int cof_posix_open(struct cof_io *io, const char *path, int mode, struct cof_file **ret)
{
	int flags = mode & COF_IO_RDWR ? O_RDWR : O_RDONLY;
	cof_autofree void *memory = calloc(1, sizeof(struct cof_posix_file)); /* first: a file that is made stays */
	struct cof_posix_file *f = memory;
	cof_autoclose int fd = -1;
	struct stat st;

	if (!f)
		return -ENOMEM;
	if (mode & COF_IO_CREATE)
		flags |= O_CREAT | O_EXCL;
	/* O_NONBLOCK: a pipe or device put there by somebody must not stop us. */
	if (mode == COF_IO_RDONLY)
		fd = cof_path_open(store(io)->dir, path, flags | O_NONBLOCK | O_NOCTTY, 0);
	else
		fd = cof_spare_open(store(io), path, flags | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (mode & COF_IO_CREATE) {
		int r = cof_posix_give(store(io), fd);

		if (r)
			return r;
	}
	if (fcntl(fd, F_SETFL, 0)) /* was for the opening alone */
		return -errno;
	f->fd = fd;
	fd = -1;
	memory = NULL;
	*ret = &f->base;
	return 0;
}

void cof_posix_close(struct cof_file *f)
{
	cof_posix_unmap((struct cof_posix_file *)f);
	if (f->writable)
		cof_spare_close((struct cof_posix *)f->io, fd_of(f));
	else
		close(fd_of(f)); /* whoever closes to make room must find it */
}

ssize_t cof_posix_writev(struct cof_file *f, const struct iovec *iov, int count, uint64_t off)
{
	ssize_t r = cof_map_write((struct cof_posix_file *)f, iov, count, off);

	if (r > 0)
		return r;
	do
		r = pwritev(fd_of(f), iov, count, (off_t)off);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

ssize_t cof_posix_read(struct cof_file *f, void *p, size_t n, uint64_t off)
{
	ssize_t r;
	do
		r = pread(fd_of(f), p, n, (off_t)off);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int cof_posix_sync(struct cof_file *f)
{
	int r;

	cof_map_settle((struct cof_posix_file *)f);
	do
		r = fdatasync(fd_of(f));
	while (r && errno == EINTR);
	return r ? -errno : 0;
}

/* Its result tells nothing of the disk: an error stays with the file until fdatasync reports it. */
void cof_posix_push(struct cof_file *f, uint64_t off, uint64_t n)
{
	(void)sync_file_range(fd_of(f), (off_t)off, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

/* Where blocks cannot be reserved: at least not more than the filesystem says it has. */
static int grow(int fd, uint64_t off, uint64_t n)
{
	struct statvfs fs;
	struct stat st;

	if (fstatvfs(fd, &fs) || fstat(fd, &st))
		return -errno;
	if (fs.f_blocks && n / (fs.f_frsize ? fs.f_frsize : 1) >= fs.f_bavail)
		return -ENOSPC;
	if ((uint64_t)st.st_size >= off + n)
		return 0;
	return ftruncate(fd, (off_t)(off + n)) ? -errno : 0;
}

int cof_posix_allocate(struct cof_file *f, uint64_t off, uint64_t n)
{
	int r;
	do
		r = fallocate(fd_of(f), 0, (off_t)off, (off_t)n);
	while (r && errno == EINTR);
	if (!r)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	return grow(fd_of(f), off, n);
}

int cof_posix_truncate(struct cof_file *f, uint64_t size)
{
	int r;
	do
		r = ftruncate(fd_of(f), (off_t)size);
	while (r && errno == EINTR);
	return r ? -errno : 0;
}

int cof_posix_punch(struct cof_file *f, uint64_t off, uint64_t n)
{
	int r;
	do
		r = fallocate(fd_of(f), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n);
	while (r && errno == EINTR);
	if (!r)
		return 0;
	return errno == ENOSYS || errno == ENOTTY ? -EOPNOTSUPP : -errno;
}

int cof_posix_size(struct cof_file *f, uint64_t *ret)
{
	struct stat st;
	if (fstat(fd_of(f), &st))
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

void cof_posix_forget(struct cof_file *f, uint64_t off, uint64_t n)
{
	(void)posix_fadvise(fd_of(f), (off_t)off, (off_t)n, POSIX_FADV_DONTNEED); /* advice */
}

void cof_posix_expect(struct cof_file *f, uint64_t off, uint64_t n)
{
	(void)posix_fadvise(fd_of(f), (off_t)off, (off_t)n, POSIX_FADV_WILLNEED); /* advice */
}

/* ---- names ---- */

int cof_posix_mkdir(struct cof_io *io, const char *path)
{
	const char *name;
	int at = cof_spare_parent(store(io), path, &name), r;
	if (at < 0)
		return at;
	r = mkdirat(at, name, 0700) ? -errno : 0;
	if (!r && geteuid() == 0 && store(io)->owner != 0)
		r = fchownat(at, name, store(io)->owner, store(io)->group, AT_SYMLINK_NOFOLLOW) && errno != EPERM
			? -errno
			: 0;
	cof_spare_close(store(io), at);
	return r;
}

int cof_posix_rename(struct cof_io *io, const char *from, const char *to)
{
	const char *from_name, *to_name;
	int from_at = cof_spare_parent(store(io), from, &from_name);
	int to_at = cof_spare_parent(store(io), to, &to_name);
	int r = COF_MIN(COF_MIN(from_at, to_at), 0);

	if (!r)
		r = renameat(from_at, from_name, to_at, to_name) ? -errno : 0;
	cof_spare_close(store(io), from_at);
	cof_spare_close(store(io), to_at);
	return r;
}

int cof_posix_unlink(struct cof_io *io, const char *path)
{
	const char *name;
	int at = cof_spare_parent(store(io), path, &name), r;
	if (at < 0)
		return at;
	r = unlinkat(at, name, 0) ? -errno : 0;
	cof_spare_close(store(io), at);
	return r;
}

int cof_posix_rmdir(struct cof_io *io, const char *path)
{
	const char *name;
	int at = cof_spare_parent(store(io), path, &name), r;
	if (at < 0)
		return at;
	r = unlinkat(at, name, AT_REMOVEDIR) ? -errno : 0;
	cof_spare_close(store(io), at);
	return r;
}

/* "" is the store: "." through our own descriptor, so that nothing is looked up by name again. */
static int open_dir(struct cof_io *io, const char *path)
{
	return cof_spare_open(store(io), *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
}

int cof_posix_sync_dir(struct cof_io *io, const char *path)
{
	int fd = open_dir(io, path), r;

	if (fd < 0)
		return fd;
	do
		r = fsync(fd);
	while (r && errno == EINTR);
	r = r ? -errno : 0;
	cof_spare_close(store(io), fd);
	return r;
}

int cof_posix_exists(struct cof_io *io, const char *path)
{
	const char *name;
	int at = cof_spare_parent(store(io), path, &name), r = 1;
	struct stat st;

	if (at < 0)
		return at == -ENOENT ? 0 : at;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		r = errno == ENOENT ? 0 : -errno;
	cof_spare_close(store(io), at);
	return r;
}

int cof_posix_list(struct cof_io *io, const char *path, struct cof_names *names)
{
	int fd = open_dir(io, path);
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	while (!r) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = cof_names_add(names, e->d_name);
	}
	closedir(dir);
	cof_spare_fill(store(io));
	return r;
}

int cof_posix_space(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs fs;
	if (fstatvfs(store(io)->dir, &fs))
		return -errno;
	if (__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_frsize, ret_free))
		*ret_free = UINT64_MAX;
	if (__builtin_mul_overflow((uint64_t)fs.f_blocks, (uint64_t)fs.f_frsize, ret_total))
		*ret_total = UINT64_MAX;
	return 0;
}
