/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hashes that verification of a log of equal frames cannot do without, and nothing else: the files are read, and each
 * frame's leaf, its payload in chunks and one node of the tree are hashed, by as many threads as there are processors.
 * No frame is looked at: what is hashed need not stand at a frame's beginning.
 *
 *   bench-hashes PAYLOAD FILE…       PAYLOAD: bytes of each frame's payload, at most 1 MiB
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/merkle.h"

#define CHUNK 65536u	/* of a payload */
#define HEAD 128	/* of a frame */
#define NODE (1 + 2 * COF_HASH)
#define MOST 64
#define WINDOW (1u << 20)

#define FILES 4096

static struct {
	int fd;
	size_t first, windows; /* of all windows */
} files[FILES];
static size_t count, payload, windows;
static _Atomic size_t next_window;
static _Atomic bool failed;

/* A frame of n bytes at p: its leaf is of its header and the payload's root, the node's two halves anything. */
static void one_frame(const uint8_t *p, uint8_t out[COF_HASH])
{
	for (size_t done = 0; done < payload; done += CHUNK)
		cof_merkle_leaf(p + HEAD + done, COF_MIN(payload - done, (size_t)CHUNK) + COF_TAG, out);
	cof_merkle_leaf(p, HEAD + COF_HASH, out);
	cof_sha256(p, NODE, out);
}

static bool one_window(size_t i, uint8_t *buf)
{
	size_t frame = HEAD + payload + COF_TAG * ((payload + CHUNK - 1) / CHUNK), f = 0;
	uint8_t out[COF_HASH];
	ssize_t n;

	while (i >= files[f].first + files[f].windows)
		f++;
	n = pread(files[f].fd, buf, WINDOW + frame, (off_t)((i - files[f].first) * WINDOW));
	for (size_t p = 0; n >= 0 && p < WINDOW && p + frame <= (size_t)n; p += frame)
		one_frame(buf + p, out);
	return n >= 0;
}

static void *work(void *unused)
{
	uint8_t *buf = malloc(3 * WINDOW);

	(void)unused;
	for (size_t i; buf && (i = next_window++) < windows;)
		if (!one_window(i, buf))
			failed = true;
	failed = failed || !buf;
	free(buf);
	return NULL;
}

static bool add(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || count == FILES || fstat(fd, &st) < 0)
		return false;
	files[count].fd = fd;
	files[count].first = windows;
	files[count].windows = (size_t)(st.st_size + WINDOW - 1) / WINDOW;
	windows += files[count++].windows;
	return true;
}

int main(int argc, char **argv)
{
	long threads = COF_MIN(sysconf(_SC_NPROCESSORS_ONLN), (long)MOST);
	struct cof_diag diag = {""};
	pthread_t t[MOST];

	payload = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
	if (!payload || payload > WINDOW || cof_crypto_init(1 << 20, &diag) < 0) {
		fprintf(stderr, "bench-hashes PAYLOAD FILE... %s\n", diag.text);
		return 2;
	}
	for (char **path = argv + 2; *path; path++)
		if (!add(*path)) {
			perror(*path);
			return 1;
		}
	for (long i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, NULL))
			return 1;
	for (long i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	return failed;
}
