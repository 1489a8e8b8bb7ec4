/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt each: a system call and nothing around it, so that what is answered is the kernel's
 * and the archive's answer. Run by the person that the cell names. 0 or -errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "table.h"

static int answer(long r)
{
	return r < 0 ? -errno : 0;
}

/* Of a descriptor that was a means only. */
static int answer_close(int fd)
{
	int r = answer(fd);

	if (fd >= 0)
		close(fd);
	return r;
}

/* Where a write begins: a counts from the end. */
static off_t at(const struct place *p, const struct way *w)
{
	return (off_t)p->size + (off_t)w->a;
}

/* ---- content ---- */

int act_write(const struct place *p, const struct way *w)
{
	return answer(pwrite(p->fd, w->tail, strlen(w->tail), at(p, w)));
}

int act_append(const struct place *p, const struct way *w)
{
	return answer(write(p->fd_append, w->tail, strlen(w->tail)));
}

int act_seek_write(const struct place *p, const struct way *w)
{
	if (lseek(p->fd, at(p, w), SEEK_SET) < 0)
		return -ENOTRECOVERABLE;
	return answer(write(p->fd, w->tail, strlen(w->tail)));
}

static void split(const struct way *w, struct iovec iov[2])
{
	iov[0] = (struct iovec){.iov_base = (void *)w->tail, .iov_len = 1};
	iov[1] = (struct iovec){.iov_base = (void *)(w->tail + 1), .iov_len = strlen(w->tail) - 1};
}

int act_writev(const struct place *p, const struct way *w)
{
	struct iovec iov[2];

	split(w, iov);
	return answer(pwritev(p->fd, iov, 2, at(p, w)));
}

int act_writev2(const struct place *p, const struct way *w)
{
	off_t from = w->b & RWF_APPEND ? 0 : at(p, w);
	struct iovec iov[2];

	split(w, iov);
	return answer(pwritev2(w->name ? p->fd_append : p->fd, iov, 2, from, (int)w->b));
}

/* A file of the test's own, beside the object, with the bytes of tail at its beginning. */
static int source_of(const struct place *p)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/source", p->dir);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int act_sendfile(const struct place *p, const struct way *w)
{
	off_t from = 0;
	int in = source_of(p), r;

	if (in < 0 || lseek(p->fd, at(p, w), SEEK_SET) < 0)
		return -ENOTRECOVERABLE;
	r = answer(sendfile(p->fd, in, &from, strlen(w->tail)));
	close(in);
	return r;
}

int act_copy_range(const struct place *p, const struct way *w)
{
	loff_t from = 0, to = at(p, w);
	int in = source_of(p), r;

	if (in < 0)
		return -ENOTRECOVERABLE;
	r = answer(copy_file_range(in, &from, p->fd, &to, strlen(w->tail), 0));
	close(in);
	return r;
}

int act_ftruncate(const struct place *p, const struct way *w)
{
	return answer(ftruncate(p->fd, w->a));
}

int act_truncate(const struct place *p, const struct way *w)
{
	return answer(truncate(p->object, w->a));
}

int act_fallocate(const struct place *p, const struct way *w)
{
	off_t from = w->name ? (off_t)p->size : 0; /* "end" */

	return answer(fallocate(p->fd, (int)w->a, from, (off_t)w->b));
}

int act_mmap(const struct place *p, const struct way *w)
{
	void *m = mmap(NULL, 4096, (int)w->b, (int)w->a, p->fd, 0);

	if (m == MAP_FAILED)
		return -errno;
	munmap(m, 4096);
	return 0;
}

int act_clone(const struct place *p, const struct way *w)
{
	int in = source_of(p), r;

	(void)w;
	if (in < 0)
		return -ENOTRECOVERABLE;
	r = answer(ioctl(p->fd, FICLONE, in));
	close(in);
	return r;
}

int act_clone_range(const struct place *p, const struct way *w)
{
	struct file_clone_range range = {.src_fd = source_of(p)};
	int r;

	(void)w;
	if (range.src_fd < 0)
		return -ENOTRECOVERABLE;
	r = answer(ioctl(p->fd, FICLONERANGE, &range));
	close((int)range.src_fd);
	return r;
}

/* ---- opening ---- */

int act_open(const struct place *p, const struct way *w)
{
	return answer_close(open(p->object, (int)w->a | O_CLOEXEC, 0644));
}

int act_tmpfile(const struct place *p, const struct way *w)
{
	return answer_close(open(p->object, O_TMPFILE | (int)w->a | O_CLOEXEC, 0600));
}

/* ---- attributes ---- */

int act_chmod(const struct place *p, const struct way *w)
{
	return answer(chmod(p->object, (mode_t)w->a));
}

int act_fchmod(const struct place *p, const struct way *w)
{
	return answer(fchmod(p->fd, (mode_t)w->a));
}

int act_chmod_link(const struct place *p, const struct way *w)
{
	/* fchmodat2, where there is one; the C library's own emulation answers the same. */
	return answer(fchmodat(AT_FDCWD, p->object, (mode_t)w->a, AT_SYMLINK_NOFOLLOW));
}

int act_chown(const struct place *p, const struct way *w)
{
	return answer(lchown(p->object, (uid_t)w->a, (gid_t)w->b));
}

int act_fchown(const struct place *p, const struct way *w)
{
	return answer(fchown(p->fd, (uid_t)w->a, (gid_t)w->b));
}

int act_setflags(const struct place *p, const struct way *w)
{
	int fd = open(p->object, O_RDONLY | O_CLOEXEC), flags = (int)w->a, r;

	if (fd < 0)
		return -ENOTRECOVERABLE;
	r = answer(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	close(fd);
	return r;
}

int act_fssetxattr(const struct place *p, const struct way *w)
{
	struct fsxattr x = {.fsx_xflags = (uint32_t)w->a};
	int fd = open(p->object, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -ENOTRECOVERABLE;
	r = answer(ioctl(fd, FS_IOC_FSSETXATTR, &x));
	close(fd);
	return r;
}

/* end: the access time. a: that of modification in seconds, or UTIME_OMIT. */
static void times_of(const struct way *w, struct timespec t[2])
{
	t[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	t[1] = (struct timespec){.tv_sec = w->a};
	if (w->end != END_NONE)
		t[0] = (struct timespec){.tv_sec = end_seconds(w->end)};
	if (w->b)
		t[0].tv_nsec = w->b;
	if (w->a == UTIME_OMIT)
		t[1] = (struct timespec){.tv_nsec = UTIME_OMIT};
}

int act_utimens(const struct place *p, const struct way *w)
{
	struct timespec t[2];

	times_of(w, t);
	return answer(utimensat(AT_FDCWD, p->object, t, AT_SYMLINK_NOFOLLOW));
}

int act_futimens(const struct place *p, const struct way *w)
{
	struct timespec t[2];

	times_of(w, t);
	return answer(futimens(p->fd, t));
}

int act_touch(const struct place *p, const struct way *w)
{
	const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	return answer(utimensat(AT_FDCWD, p->object, w->a ? now : NULL, 0));
}

static void value_of(const struct way *w, char out[32])
{
	if (w->end == END_NONE)
		strcpy(out, "x");
	else
		end_text(w->end, out);
}

int act_setxattr(const struct place *p, const struct way *w)
{
	char value[32];

	value_of(w, value);
	return answer(lsetxattr(p->object, w->name, value, strlen(value), (int)w->a));
}

int act_fsetxattr(const struct place *p, const struct way *w)
{
	char value[32];

	value_of(w, value);
	return answer(fsetxattr(p->fd, w->name, value, strlen(value), (int)w->a));
}

/* What setfacl -m u::rw,g::r,o::r would set. */
int act_set_acl(const struct place *p, const struct way *w)
{
	static const unsigned char acl[] = {2, 0, 0, 0,					 /* version */
					    1,	  0, 6, 0, 0xff, 0xff, 0xff, 0xff,	 /* owner */
					    4,	  0, 4, 0, 0xff, 0xff, 0xff, 0xff,	 /* group */
					    0x20, 0, 4, 0, 0xff, 0xff, 0xff, 0xff};	 /* others */

	return answer(setxattr(p->object, w->name, acl, sizeof(acl), 0));
}

int act_removexattr(const struct place *p, const struct way *w)
{
	return answer(lremovexattr(p->object, w->name));
}

/* ---- names ---- */

int act_unlink(const struct place *p, const struct way *w)
{
	return answer(unlinkat(AT_FDCWD, p->object, (int)w->a));
}

int act_rmdir(const struct place *p, const struct way *w)
{
	(void)w;
	return answer(rmdir(p->object));
}

int act_rename(const struct place *p, const struct way *w)
{
	if (!w->a)
		return answer(rename(p->object, p->target));
	return answer(renameat2(AT_FDCWD, p->object, AT_FDCWD, p->target, (unsigned)w->a));
}

int act_link(const struct place *p, const struct way *w)
{
	(void)w;
	return answer(link(p->object, p->target));
}

int act_create(const struct place *p, const struct way *w)
{
	return answer_close(open(p->target, O_CREAT | (int)w->a | O_CLOEXEC, 0644));
}

int act_mkdir(const struct place *p, const struct way *w)
{
	(void)w;
	return answer(mkdir(p->target, 0755));
}

int act_symlink(const struct place *p, const struct way *w)
{
	(void)w;
	return answer(symlink("elsewhere", p->target));
}

int act_mknod(const struct place *p, const struct way *w)
{
	return answer(mknod(p->target, (mode_t)w->a | 0644, (dev_t)w->b));
}

int act_bind(const struct place *p, const struct way *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	(void)w;
	if (s < 0 || strlen(p->target) >= sizeof(a.sun_path))
		return -ENOTRECOVERABLE;
	strcpy(a.sun_path, p->target);
	r = answer(bind(s, (struct sockaddr *)&a, sizeof(a)));
	close(s);
	return r;
}

/* ---- the daemon's socket ---- */

int act_verb(const struct place *p, const struct way *w)
{
	const char *slash = strrchr(p->target, '/');
	char end[32];

	if (w->end != END_NONE) {
		end_text(w->end, end);
		return ask_daemon(w->name, p->ino, "retain", end, NULL);
	}
	return ask_daemon(w->name, p->ino, w->value ? "policy" : NULL, w->value,
			  !strcmp(w->name, "shelf-add") ? slash + 1 : NULL);
}
