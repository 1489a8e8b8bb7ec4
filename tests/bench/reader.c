/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench reader.
 *
 *   bench-reader FILE SIZE PATTERN BYTES      PATTERN: seq or rand (seeded); BYTES 0: the whole file once
 * Prints one line of JSON: bytes, seconds.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t size, bytes, done = 0, seed = 88172645463325252u;
	struct stat st;
	double start;
	char *buf;
	int fd, random;

	if (argc != 5) {
		fprintf(stderr, "bench-reader FILE SIZE seq|rand BYTES\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	size = strtoull(argv[2], NULL, 10);
	random = !strcmp(argv[3], "rand");
	bytes = strtoull(argv[4], NULL, 10);
	if (fd < 0 || fstat(fd, &st) < 0 || !size || (uint64_t)st.st_size < size) {
		perror(argv[1]);
		return 1;
	}
	if (!bytes)
		bytes = (uint64_t)st.st_size;
	buf = aligned_alloc(4096, (size + 4095) & ~(uint64_t)4095);
	if (!buf)
		return 1;
	start = now();
	while (done < bytes) {
		uint64_t off = done % ((uint64_t)st.st_size - size + 1);
		ssize_t n;

		if (random) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			off = seed % ((uint64_t)st.st_size / size) * size;
		}
		n = pread(fd, buf, size, (off_t)off);
		if (n <= 0) {
			perror("pread");
			return 1;
		}
		done += (uint64_t)n;
	}
	printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)done, now() - start);
	return 0;
}
