/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log as its writer leaves it: it grows, is renamed and begun anew (logrotate), or is cut off
 * (copytruncate). Lines come once and in order, as far as what holds them is still there.
 */
#include "tools/import/place.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define BUFFER 65536

struct import_file {
	char *path;
	char **older; /* still to be read before path itself; the first is open */
	size_t n_older;
	int fd;
	int watch; /* inotify; -1: none yet */
	uint64_t offset; /* of buffer's end in the file */
	uint64_t line;	 /* the last that was given */
	char buffer[BUFFER];
	size_t from, to; /* what of it was not given yet */
	bool cut;	 /* the line under way began before the buffer */
	unsigned truncations;
};

static int open_log(const char *path, int *ret, struct cof_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return cof_fail(diag, -errno, "cannot read %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return cof_fail(diag, -EINVAL, "%s is no regular file", path);
	}
	*ret = fd;
	return 0;
}

static void begin(struct import_file *f, int fd, uint64_t offset, uint64_t line)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->offset = offset;
	f->line = line;
	f->from = f->to = 0;
	f->cut = false;
}

static int go_on(struct import_file *f, const struct import_place *after, enum import_found *ret, struct cof_diag *diag)
{
	int fd = -1, r;

	if (import_place_is(f->fd, after)) {
		f->offset = after->end;
		f->line = after->line;
		*ret = IMPORT_GOES_ON;
		return 0;
	}
	r = import_older(f->path, after, &f->older, &f->n_older);
	if (r < 0)
		return cof_fail(diag, r, "out of memory");
	*ret = f->n_older ? IMPORT_FROM_OLDER : IMPORT_LINES_LOST;
	if (!f->n_older)
		return 0;
	r = open_log(f->older[0], &fd, diag);
	if (r == 0)
		begin(f, fd, after->end, after->line);
	return r;
}

int import_file_open(const char *path, const struct import_place *after, struct import_file **ret,
		     enum import_found *ret_found, struct cof_diag *diag)
{
	struct import_file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return cof_fail(diag, -ENOMEM, "out of memory");
	f->fd = f->watch = -1;
	f->path = strdup(path);
	*ret_found = IMPORT_FROM_START;
	r = f->path ? open_log(path, &f->fd, diag) : -ENOMEM;
	if (r == 0 && after && after->end)
		r = go_on(f, after, ret_found, diag);
	if (r < 0) {
		import_file_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

static void drop_older(struct import_file *f)
{
	free(f->older[0]);
	memmove(f->older, f->older + 1, --f->n_older * sizeof(*f->older));
}

void import_file_close(struct import_file *f)
{
	if (!f)
		return;
	while (f->n_older)
		drop_older(f);
	free(f->older);
	if (f->fd >= 0)
		close(f->fd);
	if (f->watch >= 0)
		close(f->watch);
	free(f->path);
	free(f);
}

unsigned import_file_truncations(const struct import_file *f)
{
	return f->truncations;
}

/* ---- lines ---- */

/* 1: there is more in the buffer; 0: not now. A line that fills the buffer loses its beginning. */
static int fill(struct import_file *f)
{
	ssize_t n;

	memmove(f->buffer, f->buffer + f->from, f->to - f->from);
	f->to -= f->from;
	f->from = 0;
	if (f->to == BUFFER) {
		memmove(f->buffer, f->buffer + BUFFER / 2, BUFFER / 2);
		f->to = BUFFER / 2;
		f->cut = true;
	}
	n = pread(f->fd, f->buffer + f->to, BUFFER - f->to, (off_t)f->offset);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	f->to += (size_t)n;
	f->offset += (uint64_t)n;
	return n > 0;
}

/* The file that path names by now, when the one that is open was renamed away and is read to its end. 1: another
 * one is open. */
static int next_file(struct import_file *f)
{
	struct stat open_one, named;
	int fd = -1, r;

	if (f->n_older) {
		drop_older(f);
		r = open_log(f->n_older ? f->older[0] : f->path, &fd, NULL);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		begin(f, fd, 0, 0);
		return 1;
	}
	if (fstat(f->fd, &open_one) < 0)
		return -errno;
	if ((uint64_t)open_one.st_size < f->offset) { /* cut off under our eyes */
		f->truncations++;
		begin(f, dup(f->fd), 0, 0);
		return f->fd < 0 ? -EMFILE : 1;
	}
	if (stat(f->path, &named) < 0 ||
	    (named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev))
		return 0; /* between renaming and making, or the same */
	if (open_log(f->path, &fd, NULL) < 0)
		return 0;
	/* What was written between the last read and the renaming. */
	if ((r = fill(f)) != 0) {
		close(fd);
		return r;
	}
	begin(f, fd, 0, 0);
	return 1;
}

int import_file_next(struct import_file *f, const char **ret, size_t *ret_n, struct import_place *ret_place)
{
	int r;

	for (size_t seen = 0;;) {
		char *start = f->buffer + f->from, *nl = memchr(start + seen, '\n', f->to - f->from - seen);

		if (nl) {
			*ret = start;
			*ret_n = (size_t)(nl - start);
			ret_place->end = f->offset - (f->to - (size_t)(nl + 1 - f->buffer));
			ret_place->line = ++f->line;
			import_digest(start, *ret_n, ret_place->digest);
			f->from = (size_t)(nl + 1 - f->buffer);
			f->cut = false;
			return 1;
		}
		seen = f->to - f->from;
		r = fill(f);
		if (r < 0)
			return r;
		if (f->cut)
			seen = 0;
		if (r == 0) {
			r = next_file(f);
			if (r <= 0)
				return r;
			seen = 0;
		}
	}
}

/* ---- waiting ---- */

static int watch(struct import_file *f, struct cof_diag *diag)
{
	const char *slash = strrchr(f->path, '/');
	char dir[4096];

	if (f->watch >= 0)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s/", slash ? (int)(slash - f->path) : 1, slash ? f->path : ".");
	f->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* The directory: for what is written to its files, and for files that are made or renamed. */
	if (f->watch < 0 || inotify_add_watch(f->watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return cof_fail(diag, -errno, "cannot watch %s: %s", dir, strerror(errno));
	return 1;
}

int import_file_wait(struct import_file *f, int timeout_ms, int stop, struct cof_diag *diag)
{
	struct pollfd p[2] = {{.events = POLLIN}, {.fd = stop, .events = POLLIN}};
	char drop[4096];
	int r = watch(f, diag);

	if (r) /* what came before the watch began is not told */
		return r;
	p[0].fd = f->watch;
	r = poll(p, 2, timeout_ms);
	if (r < 0)
		return errno == EINTR ? 1 : cof_fail(diag, -errno, "cannot wait: %s", strerror(errno));
	if (p[1].revents)
		return -ECANCELED;
	while (read(f->watch, drop, sizeof(drop)) > 0)
		;
	return r > 0;
}
