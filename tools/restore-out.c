/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files out of a restored archive into an ordinary directory. Each is written under a name of its
 * own first and renamed once it is whole. While it goes on, DIR has a mark with the archive's id: a
 * file that is there and is another one is replaced only where that says that a run before was cut
 * off (a power cut may leave a name without its content); else it is an error.
 */
#include "tools/restore.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define MARK ".coffer-restoring"
#define PART ".coffer-part"
#define PIECE (1u << 20)

struct copying {
	struct restoring *r;
	struct cof_archive *a;
	const struct restore_wanted *w;
	struct restore_counts *count;
	struct cof_diag *diag;
	int dir;
	bool again; /* a run before was cut off */
	uint64_t lost_from; /* from this inode number on no content can be read; 0: none is so */
	uint8_t *buf, *other;
	uint64_t total;
};

static int fail(const struct copying *c, const char *path, int err)
{
	cof_autofree char *shown = escaped(path);

	return cof_fail(c->diag, err, "%s/%s cannot be written: %s", c->w->to, shown ? shown : "?",
			strerror(-err));
}

/* The directory of path, and its last name. Nothing follows a link. */
static int open_parent(const struct copying *c, const char *path, int *ret_fd,
		       const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	cof_autofree char *copy = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	char *rest = copy, *word;
	int fd = dup(c->dir);

	*ret_name = slash ? slash + 1 : path;
	if (slash && !copy) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	while (fd >= 0 && rest && (word = strsep(&rest, "/"))) {
		int next = openat(fd, word, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int err = errno;

		close(fd);
		fd = next;
		errno = err;
	}
	*ret_fd = fd;
	return fd < 0 ? -errno : 0;
}

static void set_times(int fd, const struct cof_attr *attr)
{
	struct timespec t[2] = {
	    {.tv_nsec = UTIME_OMIT},
	    {.tv_sec = attr->mtime / COF_NSEC, .tv_nsec = attr->mtime % COF_NSEC}};

	if (attr->mtime < 0 || futimens(fd, t) < 0)
		return; /* a filesystem without such times: the bytes are what matters */
}

/* As far as this user may. */
static int set_attributes(int fd, const struct cof_attr *attr)
{
	if (geteuid() == 0 && fchown(fd, attr->uid, attr->gid) < 0)
		return -errno;
	return fchmod(fd, attr->mode & 07777) < 0 ? -errno : 0;
}

/* ---- one file ---- */

static int read_piece(const struct copying *c, const struct cof_attr *attr, uint64_t at,
		      size_t *ret)
{
	size_t n = 0, want = (size_t)COF_MIN((uint64_t)PIECE, attr->size - at);
	int err = cof_archive_read(c->a, c->w->size, attr->ino, c->buf, want, at, &n);

	*ret = n;
	return err == 0 && n != want ? -EIO : err;
}

/* 1: it is there and the same; 0: it is not there, or another. */
static int is_there(struct copying *c, int dir, const char *name, const struct cof_attr *attr,
		    bool *ret_other)
{
	cof_autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	*ret_other = fd >= 0 || errno != ENOENT;
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != attr->size)
		return 0;
	for (uint64_t at = 0; err == 0 && at < attr->size;) {
		size_t n = 0;

		err = read_piece(c, attr, at, &n);
		if (err == 0 && (pread(fd, c->other, n, (off_t)at) != (ssize_t)n ||
				 memcmp(c->other, c->buf, n) != 0))
			return 0;
		at += n;
	}
	return err < 0 ? err : 1;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int write_content(struct copying *c, int fd, const struct cof_attr *attr)
{
	int err = 0;

	for (uint64_t at = 0; err == 0 && at < attr->size;) {
		size_t n = 0;

		err = read_piece(c, attr, at, &n);
		if (err == 0)
			err = write_all(fd, c->buf, n);
		at += n;
		progress_update(&c->r->progress, c->count->bytes + at, c->total);
	}
	return err;
}

/* -ENODATA: its content was destroyed; nothing is left in its place. */
static int copy_file(struct copying *c, int dir, const char *name, const char *path,
		     const struct cof_attr *attr)
{
	bool other = false;
	int err = is_there(c, dir, name, attr, &other), fd;

	if (err > 0) {
		c->count->there++;
		return 0;
	}
	if (err < 0)
		return err == -ENODATA ? err : fail(c, path, err);
	if (other && !c->again)
		return fail(c, path, -EEXIST);
	(void)unlinkat(dir, PART, 0);
	fd = openat(dir, PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(c, path, -errno);
	err = write_content(c, fd, attr);
	if (err == 0)
		err = set_attributes(fd, attr);
	if (err == 0)
		set_times(fd, attr);
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err == 0 && renameat(dir, PART, dir, name) < 0)
		err = -errno;
	if (err < 0)
		(void)unlinkat(dir, PART, 0);
	return err == -ENODATA || err == 0 ? err : fail(c, path, err);
}

static int copy_link(struct copying *c, int dir, const char *name, const char *path,
		     const struct cof_attr *attr)
{
	cof_autobuf struct cof_buf target = {0};
	char there[4096];
	ssize_t n;
	int err = cof_archive_readlink(c->a, c->w->size, attr->ino, &target);

	if (err < 0)
		return fail(c, path, err);
	cof_buf_add(&target, "", 1);
	if (target.failed)
		return -ENOMEM;
	if (symlinkat((const char *)target.data, dir, name) == 0)
		return 0;
	err = -errno;
	n = readlinkat(dir, name, there, sizeof(there));
	return err == -EEXIST && n == (ssize_t)target.len - 1 &&
		       !memcmp(there, target.data, (size_t)n)
		   ? 0
		   : fail(c, path, err);
}

static int copy_dir(struct copying *c, int dir, const char *name, const char *path,
		    const struct cof_attr *attr)
{
	cof_autoclose int fd = -1;
	int err = mkdirat(dir, name, 0700) < 0 ? -errno : 0;

	if (err == -EEXIST)
		err = 0;
	fd = err ? -1 : openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (err == 0 && fd < 0)
		err = -errno;
	if (err == 0)
		err = set_attributes(fd, &(struct cof_attr){.uid = attr->uid,
							    .gid = attr->gid,
							    .mode = attr->mode | 0700});
	return err < 0 ? fail(c, path, err) : 0;
}

static int copy_one(void *user, const char *path, const struct cof_attr *attr)
{
	struct copying *c = user;
	cof_autoclose int dir = -1;
	const char *name;
	int err = open_parent(c, path, &dir, &name);

	if (err < 0)
		return fail(c, path, err);
	if (attr->kind == COF_KIND_DIR)
		return copy_dir(c, dir, name, path, attr);
	if (attr->kind == COF_KIND_FILE && attr->size && c->lost_from && attr->ino >= c->lost_from) {
		c->count->unopened++;
		return 0;
	}
	err = attr->kind == COF_KIND_SYMLINK ? copy_link(c, dir, name, path, attr)
					     : copy_file(c, dir, name, path, attr);
	if (err == -ENODATA && attr->kind == COF_KIND_FILE) {
		c->count->destroyed++;
		return 0;
	}
	if (err == 0) {
		c->count->files++;
		c->count->bytes += attr->kind == COF_KIND_FILE ? attr->size : 0;
		progress_update(&c->r->progress, c->count->bytes, c->total);
	}
	return err;
}

static int add_size(void *user, const char *path COF_UNUSED, const struct cof_attr *attr)
{
	*(uint64_t *)user += attr->kind == COF_KIND_FILE ? attr->size : 0;
	return 0;
}

/* ---- all of them ---- */

static int begin(struct copying *c)
{
	char hex[34], there[34];
	cof_autoclose int fd = -1;
	ssize_t n;

	if (mkdir(c->w->to, 0700) < 0 && errno != EEXIST)
		return cof_fail(c->diag, -errno, "cannot make %s: %s", c->w->to, strerror(errno));
	c->dir = open(c->w->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0)
		return cof_fail(c->diag, -errno, "cannot open %s: %s", c->w->to, strerror(errno));
	cof_hex(c->r->id, 16, hex);
	fd = openat(c->dir, MARK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	n = fd < 0 ? -1 : pread(fd, there, 32, 0);
	if (n < 0)
		return fail(c, MARK, -errno);
	c->again = n == 32 && !memcmp(hex, there, 32);
	if (n && !c->again)
		return cof_fail(c->diag, -EEXIST,
				"another archive was being restored to %s, or " MARK
				" there is damaged: choose another directory",
				c->w->to);
	if (!n &&
	    (write_all(fd, (const uint8_t *)hex, 32) < 0 || fsync(fd) < 0 || fsync(c->dir) < 0))
		return fail(c, MARK, -errno);
	return 0;
}

static int finish(struct copying *c)
{
	if (syncfs(c->dir) < 0 || unlinkat(c->dir, MARK, 0) < 0 || fsync(c->dir) < 0)
		return fail(c, MARK, -errno);
	return 0;
}

/* What the policy has first, where nobody said otherwise. */
static void first_of_policy(const struct cof_profile *p, struct restore_wanted *w, char *text,
			    size_t cap)
{
	char *rest = text, *word;

	snprintf(text, cap, "%s", p->restore_first);
	while (w->n_first < RESTORE_NAMES && (word = strsep(&rest, " ,")))
		if (*word)
			w->first[w->n_first++] = word;
}

int restore_out(struct restoring *r, struct restored *s, const struct restore_wanted *wanted,
		struct restore_counts *ret, struct cof_diag *diag)
{
	struct restore_wanted w = *wanted;
	struct copying c = {
	    .r = r, .a = s->archive, .w = &w, .count = ret, .diag = diag, .dir = -1, .lost_from = s->keys.lost_from};
	char first[COF_PROFILE_TEXT];
	struct cof_profile policy;
	int err;

	*ret = (struct restore_counts){.files = 0};
	if (!w.n_first && cof_archive_policy(s->archive, &policy) == 0)
		first_of_policy(&policy, &w, first, sizeof(first));
	c.buf = malloc(PIECE);
	c.other = malloc(PIECE);
	err = c.buf && c.other ? begin(&c) : cof_fail(diag, -ENOMEM, "out of memory");
	if (err == 0)
		err = restore_walk(s->archive, &w, add_size, &c.total, diag);
	if (err == 0)
		err = restore_walk(s->archive, &w, copy_one, &c, diag);
	if (err == 0)
		err = finish(&c);
	progress_clear(&r->progress);
	if (c.dir >= 0)
		close(c.dir);
	free(c.buf);
	free(c.other);
	return err;
}
