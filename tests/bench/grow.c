/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes an archive larger, through the library: lines of 128 bytes into one file, or names into one
 * directory. What is measured of it is measured by tests/bench/growth.
 *
 *   grow STORE KEYFILE lines|files|blocks N close|abandon
 *       blocks: of 1 MiB, into one file
 *       abandon: ends as a killed daemon would, with what it wrote accepted and nothing else
 * Prints one line of JSON: seconds to open; operations, their seconds, and those of the first and
 * the last tenth; anonymous memory in KiB at the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/archive/archive.h"

#define LINE 128
#define BLOCK (1u << 20)
#define KEY_MAX 4096
#define POOL (4u << 20)

static const struct cof_who writer = {.uid = 1000, .gid = 1000};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(const char *what, int r, const char *why)
{
	if (r >= 0)
		return;
	fprintf(stderr, "grow: %s: %s %s\n", what, strerror(-r), why);
	exit(1);
}

static unsigned long anonymous(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "RssAnon: %lu", &kib);
	if (f)
		fclose(f);
	return kib;
}

static uint64_t create(struct cof_archive *a, uint64_t parent, const char *name, uint8_t kind)
{
	struct cof_reply reply = {0};
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = parent,
			    .name = name,
			    .node_kind = kind,
			    .uid = writer.uid,
			    .gid = writer.gid,
			    .mode = kind == COF_KIND_DIR ? 0755 : 0644};

	must(name, cof_archive_do(a, &writer, &op, &reply), "");
	return reply.attr.ino;
}

/* A file or a directory of its own for each run, so that nothing has to be found again. */
static uint64_t new_object(struct cof_archive *a, const char *kind)
{
	char name[64];
	uint64_t shelf = 0;

	must("shelf", cof_archive_resolve(a, "bench", &shelf), "");
	snprintf(name, sizeof(name), "%s-%ld-%d", kind, (long)time(NULL), (int)getpid());
	return create(a, shelf, name, !strcmp(kind, "files") ? COF_KIND_DIR : COF_KIND_FILE);
}

/* Different each, and nothing that a compressor could make smaller. */
static void one_block(struct cof_archive *a, uint64_t ino, unsigned long i)
{
	static uint64_t block[BLOCK / 8];
	struct cof_reply reply = {0};
	struct cof_op op = {
	    .kind = COF_OP_WRITE, .ino = ino, .offset = i * BLOCK, .length = BLOCK, .data = block};
	uint64_t x = i + 1;

	for (size_t k = 0; k < COF_COUNT(block); k++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		block[k] = x;
	}
	must("write", cof_archive_do(a, &writer, &op, &reply), "");
}

static void one(struct cof_archive *a, uint64_t ino, const char *kind, unsigned long i)
{
	char text[LINE + 1];
	struct cof_reply reply = {0};
	struct cof_op op = {
	    .kind = COF_OP_WRITE, .ino = ino, .offset = i * LINE, .length = LINE, .data = text};

	if (!strcmp(kind, "blocks")) {
		one_block(a, ino, i);
		return;
	}
	if (strcmp(kind, "lines") != 0) {
		snprintf(text, sizeof(text), "file-%lu", i);
		create(a, ino, text, COF_KIND_FILE);
		return;
	}
	snprintf(text, sizeof(text), "%0*lu\n", LINE - 1, i);
	must("write", cof_archive_do(a, &writer, &op, &reply), "");
}

int main(int argc, char **argv)
{
	struct cof_archive_params p = {0};
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE};
	struct cof_io *io;
	struct cof_opened opened;
	struct cof_diag diag = {0};
	struct cof_archive *a;
	uint8_t *key;
	double start, opening, tenth[2] = {0};
	unsigned long n;
	uint64_t ino;
	FILE *f;

	if (argc != 6) {
		fprintf(stderr, "grow STORE KEYFILE lines|files|blocks N close|abandon\n");
		return 2;
	}
	must("crypto", cof_crypto_init(POOL, &diag), diag.text);
	key = cof_secret_alloc(KEY_MAX);
	f = fopen(argv[2], "re");
	if (!key || !f)
		must(argv[2], -EIO, "");
	secret.data = key;
	secret.len = fread(key, 1, KEY_MAX, f);
	fclose(f);
	must(argv[1], cof_io_plain(argv[1], &io, &diag), diag.text);
	p.io = io;
	p.secret = &secret;
	start = now();
	must("open", cof_archive_open(&p, &a, &opened, &diag), diag.text);
	opening = now() - start;
	ino = new_object(a, argv[3]);
	n = strtoul(argv[4], NULL, 10);
	start = now();
	for (unsigned long i = 0; i < n; i++) {
		one(a, ino, argv[3], i);
		if (i + 1 == n / 10)
			tenth[0] = now() - start;
		if (i + 1 == n - n / 10)
			tenth[1] = now();
	}
	tenth[1] = now() - tenth[1];
	printf("{\"open\": %.4f, \"ops\": %lu, \"seconds\": %.4f, \"first_tenth\": %.4f, "
	       "\"last_tenth\": %.4f, \"anonymous_kib\": %lu}\n",
	       opening, n, now() - start, tenth[0], tenth[1], anonymous());
	fflush(stdout);
	if (!strcmp(argv[5], "abandon"))
		_exit(0);
	must("close", cof_archive_close(a, &diag), diag.text);
	cof_io_free(io);
	cof_secret_free(key);
	return 0;
}
