/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes under different accounts try what is refused, quickly, over many files; what was refused is
 * counted in a file that outlives everybody.
 *
 *   flood COUNTS DIR ACTORS PATHS TOTAL
 *       ACTORS processes, uid 20000 and up, each overwrites the first byte of DIR/dNN/fNNNNN in turn (each
 *       starts elsewhere), until TOTAL writes were refused in all with EPERM, and each its share. A daemon
 *       that is gone (ENOTCONN and the like) is waited for: the files are opened anew. COUNTS: for each
 *       process the refusals it was told of, u64 each, and behind them those that ended without an answer.
 *       Ends with 0 when every answer was EPERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ACTORS 256

struct counts {
	_Atomic uint64_t told[MAX_ACTORS], unanswered[MAX_ACTORS];
};

static struct counts *counts;
static const char *dir;
static unsigned long n_actors, n_paths, total;

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

static int is_gone(int err)
{
	return err == ENOTCONN || err == ECONNABORTED || err == EIO || err == ENODEV || err == ENOENT;
}

/* Until something was mounted or unmounted since the last call, a second at most: /proc says so to poll. */
static void await_mount(void)
{
	static int table = -1;

	if (table < 0)
		table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (table < 0)
		die("/proc/self/mountinfo");
	poll(&(struct pollfd){.fd = table, .events = POLLPRI}, 1, 1000);
}

/* The daemon may be away for a while: a minute at most. */
static int open_path(unsigned long i)
{
	time_t end = time(NULL) + 60;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/d%02lu/f%05lu", dir, i % 100, i);
	do {
		fd = open(path, O_WRONLY);
		if (fd >= 0)
			return fd;
		if (!is_gone(errno))
			die(path);
		await_mount();
	} while (time(NULL) < end);
	die(path);
	return -1;
}

static void attack(unsigned long me)
{
	unsigned long share = total / n_actors + (me < total % n_actors);
	unsigned long path = me * (n_paths / n_actors) % n_paths;

	while (counts->told[me] < share) {
		int fd = open_path(path);

		/* Several a file: opening is not what is measured. Then the next one. */
		for (int i = 0; i < 4 && counts->told[me] < share; i++) {
			ssize_t r = pwrite(fd, "x", 1, 0);

			if (r >= 0) {
				fprintf(stderr, "a write was accepted\n");
				_exit(1);
			}
			if (errno == EPERM) {
				counts->told[me]++;
			} else if (is_gone(errno)) {
				counts->unanswered[me]++;
				break;
			} else {
				die("pwrite");
			}
		}
		close(fd);
		path = (path + 1) % n_paths;
	}
}

static void map_counts(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*counts)) < 0)
		die(path);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		die("mmap");
	close(fd);
}

int main(int argc, char **argv)
{
	int failed = 0, status;

	if (argc != 6) {
		fprintf(stderr, "usage: flood COUNTS DIR ACTORS PATHS TOTAL\n");
		return 2;
	}
	dir = argv[2];
	n_actors = strtoul(argv[3], NULL, 10);
	n_paths = strtoul(argv[4], NULL, 10);
	total = strtoul(argv[5], NULL, 10);
	if (!n_actors || n_actors > MAX_ACTORS || n_paths < n_actors || !total) {
		fprintf(stderr, "flood: at most %d actors, as many paths at least\n", MAX_ACTORS);
		return 2;
	}
	map_counts(argv[1]);
	for (unsigned long i = 0; i < n_actors; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		if (setgroups(0, NULL) < 0 || setgid(20000 + (gid_t)i) < 0 || setuid(20000 + (uid_t)i) < 0)
			die("setuid");
		attack(i);
		_exit(0);
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
