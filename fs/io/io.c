/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store interface: checks arguments, continues short writes, makes first errors final and lets
 * one sync of a file run at a time. What moves the bytes is behind struct cof_io_ops.
 */
#include <assert.h>
#include <limits.h>

#include "fs/io/impl.h"

#define IOV_COUNT 1024

/* Short enough for every buffer here. */
int cof_path_check(const char *path)
{
	size_t n = strlen(path);
	if (n >= PATH_MAX - 8)
		return -ENAMETOOLONG;
	for (const char *p = path;;) {
		size_t len = strcspn(p, "/");
		if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (!p[len])
			return 0;
		p += len + 1;
	}
}

void cof_io_free(struct cof_io *io)
{
	if (!io)
		return;
	io->ops->free(io);
	free(io->where);
	free(io);
}

const char *cof_io_name(const struct cof_io *io)
{
	return io->ops->name;
}

const char *cof_io_where(const struct cof_io *io)
{
	return io->where;
}

/* ---- files ---- */

static int open_file(struct cof_io *io, const char *path, int mode, struct cof_file **ret)
{
	struct cof_file *f = NULL;
	int r = cof_path_check(path);
	if (r)
		return r;
	r = io->ops->open(io, path, mode, &f);
	if (r)
		return r;
	f->io = io;
	f->writable = mode & COF_IO_RDWR;
	atomic_init(&f->failed, 0);
	f->settles = false;
	r = -pthread_mutex_init(&f->sync_lock, NULL);
	if (r) {
		io->ops->close(f);
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

int cof_io_create(struct cof_io *io, const char *path, struct cof_file **ret)
{
	return open_file(io, path, COF_IO_RDWR | COF_IO_CREATE, ret);
}

int cof_io_open(struct cof_io *io, const char *path, int mode, struct cof_file **ret)
{
	if (mode != COF_IO_RDONLY && mode != COF_IO_RDWR && mode != COF_IO_VITAL)
		return -EINVAL;
	return open_file(io, path, mode, ret);
}

void cof_io_close(struct cof_file *f)
{
	if (!f)
		return;
	cof_io_settle_end(f);
	f->io->ops->close(f);
	pthread_mutex_destroy(&f->sync_lock);
	free(f);
}

void cof_io_closep(struct cof_file **f)
{
	cof_io_close(*f);
}

/* Keeps the first error: whoever comes later, or lost the race, reports that one. */
static int failed(struct cof_file *f, int err)
{
	int first = 0;
	if (atomic_compare_exchange_strong(&f->failed, &first, err))
		return err;
	return first;
}

/* What is left of iov after done bytes; the copies are few, since short writes are rare. */
static int continue_write(struct cof_file *f, const struct iovec *iov, int count, uint64_t off,
			  uint64_t done, uint64_t total)
{
	struct iovec rest[IOV_COUNT];

	while (done < total) {
		uint64_t skip = done;
		int from = 0, n = 0;
		ssize_t r;

		while (skip >= iov[from].iov_len)
			skip -= iov[from++].iov_len;
		for (int i = from; i < count; i++)
			rest[n++] = iov[i];
		assert(n > 0); /* done < total: some part is left */
		rest[0].iov_base = (uint8_t *)rest[0].iov_base + skip;
		rest[0].iov_len -= skip;
		r = f->io->ops->writev(f, rest, n, off + done);
		if (r <= 0)
			return r ? (int)r : -EIO;
		done += (uint64_t)r;
	}
	return 0;
}

int cof_io_writev(struct cof_file *f, const struct iovec *iov, int count, uint64_t off)
{
	uint64_t total = 0;
	ssize_t r;
	int err;

	if (count < 0 || count > IOV_COUNT)
		return -EINVAL;
	if (!f->writable)
		return -EBADF;
	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(total, iov[i].iov_len, &total))
			return -EINVAL;
	if (off > INT64_MAX || total > INT64_MAX - off)
		return -EFBIG;
	err = atomic_load(&f->failed);
	if (err)
		return err;
	if (!total)
		return 0;
	r = f->io->ops->writev(f, iov, count, off);
	if (r <= 0)
		return failed(f, r ? (int)r : -EIO);
	if ((uint64_t)r == total)
		return 0;
	err = continue_write(f, iov, count, off, (uint64_t)r, total);
	return err ? failed(f, err) : 0;
}

int cof_io_write(struct cof_file *f, const void *p, size_t n, uint64_t off)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	return cof_io_writev(f, &iov, 1, off);
}

int cof_io_read(struct cof_file *f, void *p, size_t n, uint64_t off, size_t *ret_n)
{
	size_t done = 0;

	if (off > INT64_MAX || n > INT64_MAX - off)
		return -EINVAL;
	while (done < n) {
		ssize_t r = f->io->ops->read(f, (uint8_t *)p + done, n - done, off + done);
		if (r < 0)
			return (int)r;
		if (!r)
			break;
		done += (size_t)r;
	}
	*ret_n = done;
	return 0;
}

int cof_io_sync(struct cof_file *f)
{
	int err;

	pthread_mutex_lock(&f->sync_lock);
	err = atomic_load(&f->failed);
	if (!err) {
		err = f->io->ops->sync(f);
		if (err)
			err = failed(f, err);
		else
			err = atomic_load(&f->failed); /* a write that failed meanwhile counts */
	}
	pthread_mutex_unlock(&f->sync_lock);
	return err;
}

void cof_io_push(struct cof_file *f, uint64_t off, uint64_t n)
{
	if (f->io->ops->push && off <= INT64_MAX && n <= INT64_MAX - off)
		f->io->ops->push(f, off, n);
}

int cof_io_allocate(struct cof_file *f, uint64_t off, uint64_t n)
{
	if (!f->writable)
		return -EBADF;
	if (off > INT64_MAX || n > INT64_MAX - off)
		return -EFBIG;
	return n ? f->io->ops->allocate(f, off, n) : 0;
}

int cof_io_truncate(struct cof_file *f, uint64_t size)
{
	if (!f->writable)
		return -EBADF;
	return size > INT64_MAX ? -EFBIG : f->io->ops->truncate(f, size);
}

int cof_io_punch(struct cof_file *f, uint64_t off, uint64_t n)
{
	if (!f->writable)
		return -EBADF;
	if (off > INT64_MAX || n > INT64_MAX - off)
		return -EFBIG;
	if (!f->io->ops->punch)
		return -EOPNOTSUPP;
	return n ? f->io->ops->punch(f, off, n) : 0;
}

int cof_io_size(struct cof_file *f, uint64_t *ret)
{
	return f->io->ops->size(f, ret);
}

void cof_io_forget(struct cof_file *f, uint64_t off, uint64_t n)
{
	if (f->io->ops->forget)
		f->io->ops->forget(f, off, n);
}

void cof_io_expect(struct cof_file *f, uint64_t off, uint64_t n)
{
	if (f->io->ops->expect)
		f->io->ops->expect(f, off, n);
}

void cof_io_map(struct cof_file *f)
{
	if (f->writable && f->io->ops->map)
		f->io->ops->map(f);
}

/* ---- names ---- */

int cof_io_mkdir(struct cof_io *io, const char *path)
{
	int r = cof_path_check(path);
	return r ? r : io->ops->mkdir(io, path);
}

int cof_io_rename(struct cof_io *io, const char *from, const char *to)
{
	int r = cof_path_check(from);
	if (!r)
		r = cof_path_check(to);
	return r ? r : io->ops->rename(io, from, to);
}

int cof_io_unlink(struct cof_io *io, const char *path)
{
	int r = cof_path_check(path);
	return r ? r : io->ops->unlink(io, path);
}

int cof_io_rmdir(struct cof_io *io, const char *path)
{
	int r = cof_path_check(path);
	return r ? r : io->ops->rmdir(io, path);
}

int cof_io_sync_dir(struct cof_io *io, const char *path)
{
	int r = *path ? cof_path_check(path) : 0;
	return r ? r : io->ops->sync_dir(io, path);
}

int cof_io_exists(struct cof_io *io, const char *path)
{
	int r = cof_path_check(path);
	return r ? r : io->ops->exists(io, path);
}

int cof_names_add(struct cof_names *names, const char *name)
{
	if (names->len == names->cap) {
		size_t cap = names->cap ? 2 * names->cap : 64;
		char **p = reallocarray(names->name, cap, sizeof(*p));
		if (!p)
			return -ENOMEM;
		names->name = p;
		names->cap = cap;
	}
	names->name[names->len] = strdup(name);
	if (!names->name[names->len])
		return -ENOMEM;
	names->len++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int cof_io_list(struct cof_io *io, const char *path, cof_io_list_fn fn, void *user)
{
	struct cof_names names = {0};
	int r = *path ? cof_path_check(path) : 0;

	if (!r)
		r = io->ops->list(io, path, &names);
	if (!r && names.len)
		qsort(names.name, names.len, sizeof(*names.name), compare_names);
	for (size_t i = 0; i < names.len; i++) {
		if (!r)
			r = fn(user, names.name[i]);
		free(names.name[i]);
	}
	free(names.name);
	return r;
}

/* ---- lock and space ---- */

int cof_io_lock(struct cof_io *io, const char *holder, struct cof_diag *diag)
{
	char other[256] = "";
	int r = io->ops->lock(io, holder, other, sizeof(other));

	if (r == -EBUSY)
		return cof_fail(diag, r, "%s is in use by %s: stop it first", io->where,
				*other ? other : "another process");
	if (r)
		return cof_fail(diag, r, "cannot lock %s: %s", io->where, strerror(-r));
	return 0;
}

int cof_io_lock_shared(struct cof_io *io, struct cof_diag *diag)
{
	char other[256] = "";
	int r = io->ops->lock(io, NULL, other, sizeof(other));

	if (r == -EBUSY)
		return cof_fail(diag, r, "%s is in use by %s: stop it first", io->where,
				*other ? other : "another process");
	return r ? cof_fail(diag, r, "cannot lock %s: %s", io->where, strerror(-r)) : 0;
}

void cof_io_unlock(struct cof_io *io)
{
	io->ops->unlock(io);
}

int cof_io_locked(struct cof_io *io, char *ret_holder, size_t cap)
{
	return io->ops->locked(io, ret_holder, cap);
}

int cof_io_guard(struct cof_io *io, const char *dir, int *ret)
{
	int r = cof_path_check(dir);

	if (r)
		return r;
	*ret = -1;
	return io->ops->guard ? io->ops->guard(io, dir, ret) : 0;
}

void cof_io_unguard(int guard)
{
	if (guard >= 0)
		close(guard);
}

int cof_io_space(struct cof_io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	return io->ops->space(io, ret_free, ret_total);
}
