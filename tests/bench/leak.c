/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the leak guard costs: one thread, the least of ROUNDS, by processor time.
 *
 *   bench-leak [KIND]
 *   bench-leak KIND SIZE DIR…   instead: appends of SIZE bytes of that to a file in each DIR, in turn; megabytes a
 *                               second of each, and the ratio to the first: shelves with and without a guard (tests/bench/leak makes them)
 *
 * Logs are those of tests/support/leak-logs.c, in which every second line has what looks like a secret; "system" are
 * lines of its syslog, auditd and web server alone, as these write them. Lines are cut to 128 bytes, each scanned by itself. Beside stands
 * what an append of that size takes in all (docs/performance.md: rows A and E), and the ratio.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "../support/leak-logs.h"
#include "crypto/crypto.h"
#include "fs/leak/leak.h"

#define ROUNDS 15
#define BYTES (16u << 20)
#define LINE 128
#define LINE_NS 12000.0	 /* row A, 83,000 lines a second */
#define LARGE_NS 1138000.0 /* row E, 921 MB/s */

static char *data;

static void fill(bool plain)
{
	struct logs l;

	logs_init(&l, 1);
	l.plain = plain;
	logs_fill(&l, data, BYTES);
}

static void fill_logs(void)
{
	fill(false);
}

static void fill_system(void)
{
	fill(true);
}

/* The same, with a line end each 128 bytes. */
static void fill_lines(void)
{
	fill_logs();
	for (size_t at = 0; at < BYTES; at++)
		if (data[at] == '\n' || at % LINE == LINE - 1)
			data[at] = at % LINE == LINE - 1 ? '\n' : ' ';
}

/* Of the same lines the English ones only. */
static void fill_prose(void)
{
	struct logs l;
	char line[LOGS_LINE];

	logs_init(&l, 3);
	for (size_t at = 0; at < BYTES;) {
		size_t n = logs_line(&l, line);

		if (n < 5 || memcmp(line, "The ", 4))
			continue;
		n = COF_MIN(n, BYTES - at);
		memcpy(data + at, line, n);
		at += n;
	}
}

static void fill_base64(void)
{
	struct logs l;

	logs_init(&l, 4);
	logs_chars(&l, LOGS_BASE64, data, BYTES);
	for (size_t at = 76; at < BYTES; at += 77)
		data[at] = '\n';
}

static void fill_random(void)
{
	struct logs l;

	logs_init(&l, 5);
	for (size_t at = 0; at < BYTES; at += 8) {
		uint64_t r = logs_random(&l);

		memcpy(data + at, &r, 8);
	}
}

/* Nanoseconds for each piece. */
static double measure(const struct cof_leak_db *db, size_t piece, unsigned *found)
{
	int64_t least = INT64_MAX;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct cof_leak_stream *s;
		int64_t began;

		if (cof_leak_stream_new(db, 0, NULL, 0, &s))
			exit(1);
		*found = 0;
		began = cof_now(CLOCK_THREAD_CPUTIME_ID);
		for (size_t at = 0; at + piece <= BYTES; at += piece) {
			*found += cof_leak_scan(db, s, data + at, piece, NULL, NULL);
			cof_leak_accept(s, data + at, piece);
		}
		least = COF_MIN(least, cof_now(CLOCK_THREAD_CPUTIME_ID) - began);
		cof_leak_stream_free(s);
	}
	return (double)least / (double)(BYTES / piece);
}

/* ---- on a mount ---- */

#define TURNS 15
#define DIRS 8

static double append(const char *dir, size_t piece, size_t all)
{
	char path[4096];
	int64_t began;
	int fd;

	snprintf(path, sizeof(path), "%s/bench-leak", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		exit(1);
	began = cof_now(CLOCK_MONOTONIC);
	for (size_t done = 0, at = 0; done < all; done += piece, at = at + 2 * piece > BYTES ? 0 : at + piece)
		if (write(fd, data + at, piece) != (ssize_t)piece)
			exit(1);
	began = cof_now(CLOCK_MONOTONIC) - began;
	if (fsync(fd) < 0) /* what this one leaves to be written would slow down the next */
		exit(1);
	sync();
	close(fd);
	return (double)all * 1000 / (double)began;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int on_mount(size_t piece, char **dirs, int n)
{
	double rate[DIRS][TURNS], ratio[DIRS][TURNS];

	if (!piece || piece > BYTES || n < 1 || n > DIRS)
		return 2;
	for (int turn = 0; turn < TURNS; turn++) {
		for (int k = 0; k < n; k++) { /* who comes first pays for what was there before: each in its turn */
			int d = (k + turn) % n;

			rate[d][turn] = append(dirs[d], piece, piece < 65536 ? 4u << 20 : 64u << 20);
		}
		for (int d = 0; d < n; d++)
			ratio[d][turn] = rate[d][turn] / rate[0][turn];
	}
	for (int d = 0; d < n; d++) {
		qsort(rate[d], TURNS, sizeof(double), by_value);
		qsort(ratio[d], TURNS, sizeof(double), by_value);
		printf("%s: %.1f MB/s, ratio %.3f (%.3f to %.3f)\n", dirs[d], rate[d][TURNS / 2], ratio[d][TURNS / 2],
		       ratio[d][TURNS / 4], ratio[d][TURNS - 1 - TURNS / 4]);
	}
	return 0;
}

static const struct kind {
	const char *name;
	void (*fill)(void);
} kinds[] = {{"logs", fill_logs}, {"system", fill_system}, {"prose", fill_prose}, {"base64", fill_base64},
	     {"random", fill_random}, {"lines", fill_lines}};

static void scan(const struct cof_leak_db *db, const struct kind *k)
{
	unsigned found;
	double line, large;

	k->fill();
	line = measure(db, LINE, &found);
	large = measure(db, 1u << 20, &found);
	printf("%-6s 128 B: %5.0f ns, %4.1f %% of an append; 1 MiB: %5.0f us, %5.2f GB/s, %4.1f %%\n", k->name, line,
	       100 * line / LINE_NS, large / 1000, (1 << 20) / large, 100 * large / LARGE_NS);
}

int main(int argc, char **argv)
{
	struct cof_leak_db *db;
	int r = 2;

	data = malloc(BYTES);
	if (!data || cof_crypto_init(1u << 20, NULL) || cof_leak_db_new(&db))
		return 1;
	for (size_t i = 0; i < COF_COUNT(kinds); i++) {
		if (argc > 1 && strcmp(argv[1], kinds[i].name))
			continue;
		r = 0;
		if (argc > 2) {
			kinds[i].fill();
			r = on_mount(strtoull(argv[2], NULL, 10), argv + 3, argc - 3);
		} else {
			scan(db, &kinds[i]);
		}
	}
	cof_leak_db_free(db);
	free(data);
	return r;
}
