/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writers whose lines can be checked afterwards, a checker, and a reader that polls the end.
 *
 *   stress write ACKS DIR WRITERS SHARED LINES SYNC [PAD]
 *       WRITERS processes append LINES lines each (0: until an error), to DIR/f0 if SHARED is 1,
 *       else to DIR/fN; every SYNC-th line is followed by fdatasync (0: never). ACKS is a file
 *       outside the mount that counts acknowledged and synced lines per writer. PAD bytes make a
 *       line longer. Ends with 0 when all lines were written, 3 when a write failed.
 *   stress check ACKS DIR WRITERS SHARED
 *       every line whole; per writer in order, none missing, none twice, as many as acknowledged
 *   stress poll FILE READS
 *       reads the last 4096 bytes READS times while others write: no byte that was not written
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WRITERS 256
#define MAX_LINE 8192

struct acks {
	_Atomic uint64_t acked[MAX_WRITERS], synced[MAX_WRITERS];
};

static struct acks *map_acks(const char *path, int create)
{
	int fd = open(path, O_RDWR | (create ? O_CREAT | O_TRUNC : 0), 0600);
	struct acks *a;

	if (fd < 0 || (create && ftruncate(fd, sizeof(*a)) < 0)) {
		perror(path);
		exit(1);
	}
	a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	close(fd);
	return a;
}

/* FNV-1a, so that a line proves itself. */
static uint32_t digest(const char *p, size_t n)
{
	uint32_t h = 2166136261u;

	while (n--)
		h = (h ^ (uint8_t)*p++) * 16777619u;
	return h;
}

/* "w003 00000042 xxxx…x 1a2b3c4d\n" */
static int make_line(char *out, unsigned writer, uint64_t n, unsigned pad)
{
	int len = snprintf(out, MAX_LINE, "w%03u %08llu ", writer, (unsigned long long)n);

	for (unsigned i = 0; i < pad; i++)
		out[len++] = (char)('a' + (n + i) % 26);
	return len + snprintf(out + len, (size_t)(MAX_LINE - len), " %08x\n",
			      digest(out, (size_t)len));
}

static int one_writer(struct acks *a, const char *dir, unsigned w, int shared, uint64_t lines,
		      unsigned sync, unsigned pad)
{
	char path[4096], line[MAX_LINE];
	int fd;

	snprintf(path, sizeof(path), "%s/f%u", dir, shared ? 0 : w);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd < 0)
		return 3;
	for (uint64_t i = 0; !lines || i < lines; i++) {
		int n = make_line(line, w, i, pad);

		if (write(fd, line, (size_t)n) != n)
			return 3;
		a->acked[w] = i + 1;
		if (sync && i % sync == sync - 1) {
			if (fdatasync(fd) < 0)
				return 3;
			a->synced[w] = i + 1;
		}
	}
	return close(fd) < 0 ? 3 : 0;
}

static int cmd_write(char **v)
{
	struct acks *a = map_acks(v[0], 1);
	unsigned writers = (unsigned)atoi(v[2]), pad = v[6] ? (unsigned)atoi(v[6]) : 40;
	int worst = 0, status;

	if (!writers || writers > MAX_WRITERS || pad > MAX_LINE - 64)
		return 2;
	for (unsigned w = 0; w < writers; w++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (!pid)
			_exit(one_writer(a, v[1], w, atoi(v[3]), strtoull(v[4], NULL, 10),
					 (unsigned)atoi(v[5]), pad));
	}
	while (wait(&status) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 4;

		if (code > worst)
			worst = code;
	}
	return worst;
}

/* 0: a whole and right line; its writer and number. */
static int parse_line(const char *line, size_t n, unsigned *w, unsigned long long *i)
{
	char sum[16];

	if (n < 24 || sscanf(line, "w%3u %8llu ", w, i) != 2 || *w >= MAX_WRITERS)
		return -1;
	snprintf(sum, sizeof(sum), "%08x", digest(line, n - 9));
	return line[n - 9] == ' ' && !memcmp(line + n - 8, sum, 8) ? 0 : -1;
}

static int check_file(const char *path, uint64_t *next)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int bad = 0;

	if (!f) {
		perror(path);
		return 1;
	}
	for (unsigned long long at = 0; (n = getline(&line, &cap, f)) > 0; at++) {
		unsigned long long i = 0;
		unsigned w = 0;

		if (line[n - 1] != '\n' || parse_line(line, (size_t)n - 1, &w, &i) < 0) {
			fprintf(stderr, "%s: line %llu is not whole: %.60s\n", path, at, line);
			bad = 1;
			break;
		}
		if (i != next[w]) {
			fprintf(stderr, "%s: line %llu: writer %u has %llu where %llu belongs\n", path, at,
				w, i, (unsigned long long)next[w]);
			bad = 1;
			break;
		}
		next[w]++;
	}
	if (ferror(f)) {
		perror(path);
		bad = 1;
	}
	free(line);
	fclose(f);
	return bad;
}

static int cmd_check(char **v)
{
	struct acks *a = map_acks(v[0], 0);
	unsigned writers = (unsigned)atoi(v[2]);
	uint64_t next[MAX_WRITERS] = {0}, total = 0;
	int shared = atoi(v[3]), bad = 0;
	char path[4096];

	for (unsigned w = 0; w < (shared ? 1 : writers) && !bad; w++) {
		snprintf(path, sizeof(path), "%s/f%u", v[1], w);
		if (access(path, F_OK) < 0 && !a->acked[w])
			continue;
		bad = check_file(path, next);
	}
	for (unsigned w = 0; w < writers && !bad; w++) {
		total += next[w];
		if (next[w] < a->acked[w]) {
			fprintf(stderr, "writer %u: %llu lines there, %llu acknowledged\n", w,
				(unsigned long long)next[w], (unsigned long long)a->acked[w]);
			bad = 1;
		}
	}
	if (!bad)
		printf("%llu lines, each whole and in order\n", (unsigned long long)total);
	return bad;
}

static int cmd_poll(char **v)
{
	unsigned long long reads = strtoull(v[1], NULL, 10);
	int fd = open(v[0], O_RDONLY);
	char buf[4096];

	if (fd < 0) {
		perror(v[0]);
		return 1;
	}
	for (unsigned long long i = 0; i < reads; i++) {
		struct stat st;
		off_t from;
		ssize_t n;

		if (fstat(fd, &st) < 0)
			return 1;
		from = st.st_size > (off_t)sizeof(buf) ? st.st_size - (off_t)sizeof(buf) : 0;
		n = pread(fd, buf, sizeof(buf), from);
		if (n < 0) {
			perror("pread");
			return 1;
		}
		if (n < st.st_size - from || memchr(buf, 0, (size_t)n)) {
			fprintf(stderr, "read %llu at %lld: %zd bytes of %lld, or a byte that was not written\n",
				i, (long long)from, n, (long long)(st.st_size - from));
			return 1;
		}
		for (char *p = memchr(buf, '\n', (size_t)n), *q; p; p = q) { /* whole lines */
			unsigned long long k;
			unsigned w;

			q = memchr(p + 1, '\n', (size_t)(buf + n - p - 1));
			if (q && parse_line(p + 1, (size_t)(q - p - 1), &w, &k) < 0) {
				fprintf(stderr, "read %llu: a line that nobody wrote: %.60s\n", i, p + 1);
				return 1;
			}
		}
	}
	printf("%llu reads\n", reads);
	return 0;
}

int main(int argc, char **argv)
{
	char *args[8] = {0};

	for (int i = 2; i < argc && i < 9; i++)
		args[i - 2] = argv[i];
	if (argc >= 8 && !strcmp(argv[1], "write"))
		return cmd_write(args);
	if (argc == 6 && !strcmp(argv[1], "check"))
		return cmd_check(args);
	if (argc == 4 && !strcmp(argv[1], "poll"))
		return cmd_poll(args);
	fprintf(stderr, "stress write|check|poll …: see the head of tests/support/stress.c\n");
	return 2;
}
