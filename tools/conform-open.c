/* SPDX-License-Identifier: Apache-2.0 */
/* coffer conform: an open file grows, and keeps what it holds. */
#include "tools/conform.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

/* ---- growing ---- */

static bool size_is(int fd, off_t want)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == want;
}

static int append_once(struct conform *c, const char *name, int flags)
{
	cof_autoclose int fd = openat(c->dir, name, O_WRONLY | O_CLOEXEC | flags, 0644);

	if (fd < 0)
		return -1;
	if (!(flags & O_APPEND) && lseek(fd, 0, SEEK_END) < 0)
		return -1;
	return write(fd, "more\n", 5) == 5 ? 0 : -1;
}

static void holes(struct conform *c)
{
	cof_autoclose int fd = conform_open(c, "holes", O_RDWR | O_CREAT | O_EXCL);
	char buf[16] = "";

	if (c->err)
		return;
	ALLOWS(c, "a write beyond the end leaves a hole", pwrite(fd, "x", 1, 5000));
	conform_report(c, "a hole reads as zeros",
		       pread(fd, buf, 16, 100) == 16 && !memcmp(buf, (char[16]){0}, 16) &&
			   size_is(fd, 5001),
		       "other bytes, or another length");
	ALLOWS(c, "ftruncate upwards is a hole", ftruncate(fd, 9000));
	conform_report(c, "its length is what was asked for", size_is(fd, 9000), "another length");
}

static void sequential(struct conform *c)
{
	cof_autoclose int fd = conform_open(c, "sequential", O_WRONLY | O_CREAT | O_EXCL);

	if (c->err)
		return;
	if (c->chattr)
		(void)conform_flags(c, "sequential", FS_APPEND_FL, 0, NULL);
	ALLOWS(c, "plain writes one after the other, without O_APPEND",
	       write(fd, "one\n", 4) == 4 && write(fd, "two\n", 4) == 4 ? 0 : -1);
	ALLOWS(c, "fsync and fdatasync", fsync(fd) < 0 || fdatasync(fd) < 0 ? -1 : 0);
	ALLOWS(c, "O_APPEND on it later", append_once(c, "sequential", O_APPEND));
	ALLOWS(c, "O_APPEND | O_SYNC", append_once(c, "sequential", O_APPEND | O_SYNC));
	ALLOWS(c, "opened again without O_APPEND, written at its end",
	       append_once(c, "sequential", 0));
	conform_report(c, "all of it is there, in order", size_is(fd, 8 + 15), "another length");
}

/* git and install open with 0444 and write then; an appliance's recipe makes it read-only empty. */
static void read_only_modes(struct conform *c)
{
	cof_autoclose int fd =
	    openat(c->dir, "created-0444", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	ALLOWS(c, "a file created with 0444 takes what its creator writes",
	       fd < 0 ? -1 : write(fd, "content", 7));
	if (conform_try(c, "made-empty", O_WRONLY | O_CREAT | O_EXCL) < 0)
		conform_fail(c, -errno, "making", "made-empty");
	ALLOWS(c, "chmod a-w of an empty file, and back: it is still open",
	       fchmodat(c->dir, "made-empty", 0444, 0) < 0 ||
		       fchmodat(c->dir, "made-empty", 0644, 0) < 0
		   ? -1
		   : append_once(c, "made-empty", O_APPEND));
}

void conform_append(struct conform *c)
{
	cof_autoclose int dir = -1;

	sequential(c);
	if (c->err)
		return;
	holes(c);
	read_only_modes(c);
	dir = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ALLOWS(c, "fsync of a directory", dir < 0 ? -1 : fsync(dir));
	if (conform_try(c, "empty-again", O_WRONLY | O_CREAT | O_EXCL) < 0)
		conform_fail(c, -errno, "making", "empty-again");
	ALLOWS(c, "O_TRUNC of an empty file", conform_try(c, "empty-again", O_WRONLY | O_TRUNC));
}

/* ---- what is refused ---- */

static void no_append(struct conform *c, int append)
{
	struct iovec iov = {.iov_base = (char *)"abc", .iov_len = 3};
	long r;

	errno = 0;
	r = pwritev2(append, &iov, 1, 0, RWF_NOAPPEND);
	if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		conform_skip(c, "RWF_NOAPPEND into what is there", "this kernel does not have it");
	else
		conform_judge(c, "RWF_NOAPPEND into what is there", r, errno, EPERM);
}

static void copies(struct conform *c, int fd, int in)
{
	loff_t from = 0, to = 0;

	REFUSES(c, "copy_file_range into what is there", EPERM,
		copy_file_range(in, &from, fd, &to, 100, 0));
	REFUSES(c, "FICLONE", EOPNOTSUPP, ioctl(fd, FICLONE, in));
}

static void writes(struct conform *c)
{
	cof_autoclose int in = conform_open(c, "other", O_RDONLY), append = -1;
	cof_autoclose int fd = openat(c->dir, "open", O_RDWR | O_CLOEXEC);
	void *p;

	conform_judge(c, "opening a file with content for writing", fd, errno, 0);
	append = conform_open(c, "open", O_WRONLY | O_APPEND);
	if (c->err)
		return;
	if (fd >= 0 && pwrite(fd, "x", 1, 0) < 0 && errno == EROFS)
		c->refusal = EROFS; /* this mount says it that way, throughout */
	no_append(c, append);
	if (fd < 0) {
		conform_skip(c, "writes into what is there", "it cannot be opened for that here");
		return;
	}
	REFUSES(c, "a write at offset 0", EPERM, pwrite(fd, "x", 1, 0));
	REFUSES(c, "a write in the middle", EPERM, pwrite(fd, "x", 1, CONFORM_CONTENT / 2));
	REFUSES(c, "a write over the last byte and beyond", EPERM,
		pwrite(fd, "xy", 2, CONFORM_CONTENT - 1));
	copies(c, fd, in);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	conform_judge(c, "a shared writable mapping", p == MAP_FAILED ? -1 : 0, errno, ENODEV);
	if (p != MAP_FAILED)
		munmap(p, 4096);
}

static void old_descriptor(struct conform *c)
{
	cof_autoclose int early = conform_open(c, "grown", O_WRONLY | O_CREAT | O_EXCL);
	cof_autoclose int now = conform_open(c, "grown", O_WRONLY | O_APPEND);
	cof_autoclose int from = -1;
	char buf[64];

	if (c->err)
		return;
	memset(buf, 'g', sizeof(buf));
	if (write(now, buf, sizeof(buf)) != sizeof(buf))
		return conform_fail(c, -errno, "writing", "grown");
	if (c->chattr)
		(void)conform_flags(c, "grown", FS_APPEND_FL, 0, NULL);
	REFUSES(c, "a descriptor opened while the file was empty, at offset 0", EPERM,
		pwrite(early, "x", 1, 0));
	REFUSES(c, "ftruncate to 0 on it", EPERM, ftruncate(early, 0));
	from = openat(c->dir, "grown", O_RDONLY | O_CLOEXEC);
	memset(buf, 0, sizeof(buf));
	conform_report(c, "its content is what was written first",
		       from >= 0 && pread(from, buf, sizeof(buf), 0) == sizeof(buf) &&
			   buf[0] == 'g' && buf[sizeof(buf) - 1] == 'g',
		       "other bytes");
}

/* On descriptors of their own: the file may have been made anew since the last check. */
static int write_end(struct conform *c)
{
	int fd = openat(c->dir, "open", O_WRONLY | O_CLOEXEC);

	return fd >= 0 ? fd : openat(c->dir, "open", O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int resize(struct conform *c, off_t length)
{
	cof_autoclose int fd = write_end(c);

	return fd < 0 ? -1 : ftruncate(fd, length);
}

static int allocate(struct conform *c, int mode, off_t offset, off_t length)
{
	cof_autoclose int fd = write_end(c);

	return fd < 0 ? -1 : fallocate(fd, mode, offset, length);
}

static void lengths(struct conform *c)
{
	REFUSES(c, "ftruncate to 0", EPERM, resize(c, 0));
	REFUSES(c, "ftruncate to one byte less", EPERM, resize(c, CONFORM_CONTENT - 1));
	REFUSES(c, "O_WRONLY | O_TRUNC", EPERM, conform_try(c, "open", O_WRONLY | O_TRUNC));
	REFUSES(c, "O_RDONLY | O_TRUNC", EPERM, conform_try(c, "open", O_RDONLY | O_TRUNC));
	REFUSES(c, "O_CREAT | O_TRUNC", EPERM,
		conform_try(c, "open", O_WRONLY | O_CREAT | O_TRUNC));
	ALLOWS(c, "ftruncate to its length changes nothing", resize(c, CONFORM_CONTENT));
	ALLOWS(c, "fallocate with KEEP_SIZE changes nothing",
	       allocate(c, FALLOC_FL_KEEP_SIZE, 0, 2 * CONFORM_CONTENT));
	REFUSES(c, "fallocate that grows the file", EPERM, allocate(c, 0, CONFORM_CONTENT, 4096));
	REFUSES(c, "punching a hole", EPERM,
		allocate(c, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSES(c, "zeroing a range", EPERM, allocate(c, FALLOC_FL_ZERO_RANGE, 0, 4096));
	REFUSES(c, "collapsing a range", EOPNOTSUPP,
		allocate(c, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	REFUSES(c, "inserting a range", EOPNOTSUPP, allocate(c, FALLOC_FL_INSERT_RANGE, 0, 4096));
}

void conform_overwrite(struct conform *c)
{
	conform_watch(c, "open", CONFORM_OPEN);
	conform_watch(c, "other", CONFORM_OPEN);
	if (!c->err)
		writes(c);
	if (!c->err)
		lengths(c);
	conform_forget(c);
	if (!c->err)
		old_descriptor(c);
}
