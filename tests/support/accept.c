/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive accepts beyond the ordinary, by real system calls, with what was written read
 * back.
 *
 *   accept append FILE         O_APPEND, plain sequential, vectors of 1000, offsets at the end
 *   accept holes FILE          writes beyond the end, ftruncate upwards: zeros
 *   accept sync FILE           O_SYNC, O_DSYNC, RWF_DSYNC, fsync, fdatasync, fsync of the directory
 *   accept aio FILE ROUNDS     8 MiB by one asynchronous append, through libaio's system calls
 *   accept uring FILE ROUNDS   the same through io_uring, and eight linked ones of 1 MiB
 *   accept list DIR COUNT      COUNT names, each once; telldir and seekdir; small buffers
 *
 * Exit code 0 when all of it is as it should be, 77 when the kernel lacks what is to be tested.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB (1u << 20)
#define BIG (8 * MIB)

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "accept: line %d: %s (%s)\n", __LINE__, #condition,        \
				strerror(errno));                                                  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static unsigned char byte_at(uint64_t offset)
{
	return (unsigned char)((offset * 2654435761u) >> 13 | 1); /* never 0, as a hole is */
}

static void fill(unsigned char *buf, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(offset + i);
}

static unsigned char *aligned(size_t n)
{
	void *p = NULL;

	MUST(posix_memalign(&p, 4096, n) == 0);
	return p;
}

/* The whole file is as byte_at says, but for a hole. */
static void verify(const char *name, uint64_t size, uint64_t hole, uint64_t hole_end)
{
	unsigned char *buf = aligned(MIB);
	int fd = open(name, O_RDONLY);
	uint64_t at = 0;
	struct stat st;
	ssize_t n;

	MUST(fd >= 0 && fstat(fd, &st) == 0);
	MUST((uint64_t)st.st_size == size);
	while ((n = read(fd, buf, MIB)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			MUST(buf[i] == (at >= hole && at < hole_end ? 0 : byte_at(at)));
	MUST(n == 0 && at == size);
	close(fd);
	free(buf);
}

static int create(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | flags, 0644);

	MUST(fd >= 0);
	return fd;
}

static int do_append(const char *name)
{
	static unsigned char buf[3000];
	struct iovec iov[1000];
	uint64_t at = 0;
	int app = create(name, O_APPEND), plain = open(name, O_WRONLY);

	MUST(plain >= 0);
	for (int i = 0; i < 100; i++, at += 131) {
		fill(buf, 131, at);
		MUST(write(plain, buf, 131) == 131); /* in sequence from the start */
	}
	for (int i = 0; i < 100; i++, at += 77) {
		fill(buf, 77, at);
		MUST(write(app, buf, 77) == 77);
	}
	fill(buf, sizeof(buf), at);
	for (size_t i = 0; i < 1000; i++)
		iov[i] = (struct iovec){.iov_base = buf + 3 * i, .iov_len = 3};
	MUST(writev(app, iov, 1000) == 3000);
	at += 3000;
	fill(buf, 50, at);
	MUST(pwrite(plain, buf, 50, (off_t)at) == 50);
	at += 50;
	fill(buf, 50, at);
	MUST(lseek(plain, 0, SEEK_END) == (off_t)at && write(plain, buf, 50) == 50);
	at += 50;
	/* An offset means nothing on an O_APPEND descriptor, as on any Linux filesystem. */
	fill(buf, 50, at);
	MUST(pwrite(app, buf, 50, 0) == 50);
	at += 50;
	MUST(write(app, buf, 0) == 0);
	verify(name, at, at, at);
	close(app);
	close(plain);
	return 0;
}

static int do_holes(const char *name)
{
	static unsigned char buf[100];
	int fd = create(name, 0);
	struct stat st;

	fill(buf, 100, 0);
	MUST(pwrite(fd, buf, 100, 0) == 100);
	fill(buf, 100, 300000);
	MUST(pwrite(fd, buf, 100, 300000) == 100);
	verify(name, 300100, 100, 300000);
	MUST(ftruncate(fd, 500000) == 0);
	MUST(fstat(fd, &st) == 0 && st.st_size == 500000);
	MUST(truncate(name, 500001) == 0);
	memset(buf, 1, sizeof(buf));
	MUST(pread(fd, buf, 100, 499990) == 11);
	for (int i = 0; i < 11; i++)
		MUST(buf[i] == 0);
	close(fd);
	return 0;
}

static int do_sync(const char *name)
{
	static const int flags[] = {O_SYNC, O_DSYNC};
	unsigned char buf[64];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	uint64_t at = 0;
	int fd = create(name, 0), dir;

	for (int i = 0; i < 2; i++) {
		int s = open(name, O_WRONLY | O_APPEND | flags[i]);

		MUST(s >= 0);
		fill(buf, sizeof(buf), at);
		MUST(write(s, buf, sizeof(buf)) == sizeof(buf));
		at += sizeof(buf);
		MUST(close(s) == 0);
	}
	fill(buf, sizeof(buf), at);
	MUST(pwritev2(fd, &iov, 1, (off_t)at, RWF_DSYNC) == sizeof(buf));
	at += sizeof(buf);
	MUST(fsync(fd) == 0 && fdatasync(fd) == 0);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	MUST(dir >= 0 && fsync(dir) == 0 && fdatasync(dir) == 0);
	close(dir);
	close(fd);
	verify(name, at, at, at);
	return 0;
}

/* ---- asynchronous ---- */

static void aio_append(aio_context_t context, int fd, unsigned char *buf, uint64_t at)
{
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			  .aio_fildes = (uint32_t)fd,
			  .aio_buf = (uint64_t)(uintptr_t)buf,
			  .aio_nbytes = BIG,
			  .aio_offset = (int64_t)at};
	struct iocb *list[] = {&cb};
	struct io_event event;

	fill(buf, BIG, at);
	MUST(syscall(SYS_io_submit, context, 1, list) == 1);
	MUST(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1);
	MUST(event.res == BIG);
}

static int do_aio(const char *name, int rounds)
{
	unsigned char *buf = aligned(BIG);
	aio_context_t context = 0;
	int fd = create(name, 0), direct = open(name, O_WRONLY | O_DIRECT);
	uint64_t at = 0;

	if (syscall(SYS_io_setup, 8, &context) < 0 && errno == ENOSYS)
		return 77;
	MUST(direct >= 0);
	for (int i = 0; i < rounds; i++, at += BIG)
		aio_append(context, i % 2 ? fd : direct, buf, at);
	verify(name, at, at, at);
	MUST(syscall(SYS_io_destroy, context) == 0);
	close(direct);
	close(fd);
	free(buf);
	return 0;
}

static void uring_queue(struct io_uring *ring, int fd, const unsigned char *buf, unsigned n,
			uint64_t at, unsigned flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	MUST(sqe != NULL);
	io_uring_prep_write(sqe, fd, buf, n, at);
	sqe->flags |= flags;
}

static void uring_wait(struct io_uring *ring, int count, int want)
{
	struct io_uring_cqe *cqe;

	for (int i = 0; i < count; i++) {
		MUST(io_uring_wait_cqe(ring, &cqe) == 0);
		MUST(cqe->res == want);
		io_uring_cqe_seen(ring, cqe);
	}
}

static int do_uring(const char *name, int rounds)
{
	unsigned char *buf = aligned(BIG);
	struct io_uring ring;
	int fd = create(name, 0), direct = open(name, O_WRONLY | O_DIRECT);
	uint64_t at = 0;

	if (io_uring_queue_init(16, &ring, 0) < 0)
		return 77;
	MUST(direct >= 0);
	for (int i = 0; i < rounds; i++) {
		fill(buf, BIG, at);
		uring_queue(&ring, i % 2 ? fd : direct, buf, BIG, at, 0);
		MUST(io_uring_submit(&ring) == 1);
		uring_wait(&ring, 1, BIG);
		at += BIG;
		fill(buf, BIG, at);
		for (unsigned k = 0; k < 8; k++)
			uring_queue(&ring, i % 2 ? fd : direct, buf + k * MIB, MIB, at + k * MIB,
				    k < 7 ? IOSQE_IO_LINK : 0);
		MUST(io_uring_submit(&ring) == 8);
		uring_wait(&ring, 8, MIB);
		at += BIG;
	}
	verify(name, at, at, at);
	io_uring_queue_exit(&ring);
	close(direct);
	close(fd);
	free(buf);
	return 0;
}

/* ---- directories ---- */

struct place {
	long at;
	char name[256];
};

static void each_once(DIR *d, int count, struct place *places)
{
	unsigned char *seen = calloc(1, (size_t)count);
	struct dirent *e;
	int n = 0, dots = 0;
	long at;

	MUST(seen != NULL);
	while ((at = telldir(d), errno = 0, e = readdir(d)) != NULL) {
		char *end;
		long i = e->d_name[0] == 'n' ? strtol(e->d_name + 1, &end, 10) : -1;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
			dots++;
			continue;
		}
		MUST(i >= 0 && i < count && !*end && !seen[i]);
		seen[i] = 1;
		if (places) {
			places[n].at = at;
			strcpy(places[n].name, e->d_name);
		}
		n++;
	}
	MUST(errno == 0 && n == count && dots == 2);
	free(seen);
}

/* One entry or few a call: each call begins where the last one ended. */
static void small_buffers(const char *dir, int count)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY), n = 0;
	char buf[64];
	long got;

	MUST(fd >= 0);
	while ((got = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < got; n++) {
			unsigned short length;

			memcpy(&length, buf + at + 16, sizeof(length));
			at += length;
		}
	MUST(got == 0 && n == count + 2);
	close(fd);
}

static int do_list(const char *dir, int count)
{
	struct place *places = calloc((size_t)count, sizeof(*places));
	DIR *d = opendir(dir), *other = opendir(dir);
	struct dirent *e;

	MUST(places && d && other);
	each_once(d, count, places);
	for (int i = 0; i < count; i += 97) {
		int k = (int)((unsigned)i * 7919u % (unsigned)count);

		seekdir(d, places[k].at);
		MUST((e = readdir(d)) != NULL && !strcmp(e->d_name, places[k].name));
		/* A place holds in another handle too. */
		seekdir(other, places[k].at);
		MUST((e = readdir(other)) != NULL && !strcmp(e->d_name, places[k].name));
	}
	rewinddir(d);
	each_once(d, count, NULL);
	small_buffers(dir, count);
	closedir(d);
	closedir(other);
	free(places);
	return 0;
}

int main(int argc, char **argv)
{
	int number = argc > 3 ? atoi(argv[3]) : 0;

	if (argc == 3 && !strcmp(argv[1], "append"))
		return do_append(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "holes"))
		return do_holes(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "sync"))
		return do_sync(argv[2]);
	if (argc == 4 && number > 0 && !strcmp(argv[1], "aio"))
		return do_aio(argv[2], number);
	if (argc == 4 && number > 0 && !strcmp(argv[1], "uring"))
		return do_uring(argv[2], number);
	if (argc == 4 && number > 0 && !strcmp(argv[1], "list"))
		return do_list(argv[2], number);
	fprintf(stderr,
		"usage: accept append|holes|sync FILE, aio|uring FILE ROUNDS, list DIR COUNT\n");
	return 2;
}
