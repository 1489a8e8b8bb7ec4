/* SPDX-License-Identifier: Apache-2.0 */
/* Whole small files: replaced so that a crash leaves the old or the new one, loaded, and overwritten. */
#include <limits.h>
#include <stdio.h>

#include "fs/io/impl.h"

static int write_new(struct cof_io *io, const char *path, const void *p, size_t n, struct cof_file *other)
{
	cof_autofile struct cof_file *f = NULL;
	int r = cof_io_create(io, path, &f);
	if (r == -EEXIST) { /* left by a crash: no part of the store */
		r = cof_io_unlink(io, path);
		if (!r)
			r = cof_io_create(io, path, &f);
	}
	if (!r)
		r = cof_io_write(f, p, n, 0);
	return r ? r : cof_io_sync_together(io, (struct cof_file *[]){f, other}, 2, NULL);
}

int cof_io_replace(struct cof_io *io, const char *path, const void *p, size_t n)
{
	return cof_io_replace_behind(io, path, p, n, NULL);
}

int cof_io_replace_behind(struct cof_io *io, const char *path, const void *p, size_t n, struct cof_file *other)
{
	char new[PATH_MAX], dir[PATH_MAX] = "";
	const char *slash = strrchr(path, '/');
	int r = cof_path_check(path); /* of path itself: with ".new" behind it ".." is a name */

	if (r)
		return r;
	if ((size_t)snprintf(new, sizeof(new), "%s.new", path) >= sizeof(new))
		return -ENAMETOOLONG;
	if (slash)
		memcpy(dir, path, (size_t)(slash - path)); /* zeros behind it from above */
	r = write_new(io, new, p, n, other);
	if (!r)
		r = cof_io_rename(io, new, path);
	if (r) {
		/* The error is what counts; a .new that stays behind is ignored by all. */
		(void)cof_io_unlink(io, new);
		return r;
	}
	return cof_io_sync_dir(io, dir);
}

int cof_io_load(struct cof_io *io, const char *path, size_t cap, uint8_t **ret, size_t *ret_n)
{
	cof_autofile struct cof_file *f = NULL;
	cof_autofree uint8_t *data = NULL;
	uint64_t size;
	size_t n;
	int r = cof_io_open(io, path, COF_IO_VITAL, &f);

	if (!r)
		r = cof_io_size(f, &size);
	if (r)
		return r;
	if (size > cap || size > SIZE_MAX - 2)
		return -EFBIG;
	data = malloc((size_t)size + 2);
	if (!data)
		return -ENOMEM;
	/* One byte more than the size: a file that grew meanwhile must not pass as whole. */
	r = cof_io_read(f, data, (size_t)size + 1, 0, &n);
	if (r)
		return r;
	if (n > size)
		return size == cap ? -EFBIG : -EAGAIN;
	data[n] = 0;
	*ret = data;
	*ret_n = n;
	data = NULL;
	return 0;
}

int cof_io_wipe(struct cof_io *io, const char *path)
{
	static const uint8_t zeros[65536];
	cof_autofile struct cof_file *f = NULL;
	uint64_t size = 0;
	int r = cof_io_open(io, path, COF_IO_RDWR, &f);

	if (r == 0)
		r = cof_io_size(f, &size);
	for (uint64_t at = 0; r == 0 && at < size; at += sizeof(zeros))
		r = cof_io_write(f, zeros, (size_t)COF_MIN(size - at, (uint64_t)sizeof(zeros)), at);
	if (r == 0)
		r = cof_io_sync(f);
	return r < 0 ? r : cof_io_unlink(io, path);
}
