/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench writer: each of W threads appends to a file of its own with O_APPEND write(2).
 *
 *   bench-writer DIR SIZE WRITERS SECONDS BYTES SYNC [plain|seal]
 *       ends after SECONDS or BYTES in all (0: no bound); SYNC: none, fsync, fdatasync (after each
 *       write), final (one fsync at the end, inside the measured time), dsync (O_DSYNC), disk (O_DIRECT
 *       over a file that is there already, then as final: what the disk takes, and nothing else)
 *       seal: as an application would that encrypts by itself: each write goes through AES-256-GCM
 *       first, and its nonce and tag are written with it
 * Prints one line of JSON: operations, bytes, seconds, p50 and p99 of one operation in ns.
 */
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NONCE 12
#define TAG 16
#define BUCKETS 4096 /* 64 octaves of 64 */

static const char *dir, *sync_mode;
static size_t size;
static double seconds;
static uint64_t byte_limit, writers;
static int sealing;
static _Atomic uint64_t total_ops, hist[BUCKETS];
static _Atomic int failed;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned bucket(uint64_t ns)
{
	int top = 63 - __builtin_clzll(ns | 64);

	return (unsigned)((top << 6) | (int)((ns >> (top - 6)) & 63));
}

static uint64_t bucket_ns(unsigned b)
{
	return (64u + (b & 63)) * (1ull << ((b >> 6) - 6));
}

struct out { /* what goes to the file */
	gcry_cipher_hd_t cipher;
	uint64_t nonce;
	size_t n;
	char *plain, *sealed;
};

static int prepare(struct out *o)
{
	static const uint8_t key[32] = "a key that guards nothing at all";

	o->n = size + (sealing ? NONCE + TAG : 0);
	o->plain = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
	o->sealed = aligned_alloc(4096, (o->n + 4095) & ~(size_t)4095);
	if (!o->plain || !o->sealed)
		return -1;
	for (size_t i = 0; i < size; i++)
		o->plain[i] = (char)(i * 2654435761u >> 13);
	o->plain[size - 1] = '\n';
	if (!sealing)
		return 0;
	if (gcry_cipher_open(&o->cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, 0))
		return -1;
	return gcry_cipher_setkey(o->cipher, key, sizeof(key)) ? -1 : 0;
}

static const char *bytes(struct out *o)
{
	char *tag = o->sealed + NONCE + size;

	if (!sealing)
		return o->plain;
	o->nonce++;
	memset(o->sealed, 0, NONCE);
	memcpy(o->sealed, &o->nonce, sizeof(o->nonce));
	if (gcry_cipher_setiv(o->cipher, o->sealed, NONCE) ||
	    gcry_cipher_encrypt(o->cipher, o->sealed + NONCE, size, o->plain, size) ||
	    gcry_cipher_gettag(o->cipher, tag, TAG))
		failed = 1;
	return o->sealed;
}

static int disk(void)
{
	return !strcmp(sync_mode, "disk");
}

/* What is written over: no block has to be found for it. */
static int lay_out(size_t i)
{
	static char zeros[1 << 20];
	uint64_t want = byte_limit / writers;
	char path[4096];
	int fd, ok;

	snprintf(path, sizeof(path), "%s/bench-%d-%zu", dir, (int)getpid(), i);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	ok = fd >= 0;
	for (uint64_t at = 0; ok && at < want; at += sizeof(zeros))
		ok = write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros);
	ok = ok && fdatasync(fd) == 0;
	if (!ok)
		perror(path);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void *writer(void *arg)
{
	struct out o = {0};
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), ops = 0, at;
	int flags = O_WRONLY | O_CREAT | O_APPEND | (strcmp(sync_mode, "dsync") ? 0 : O_DSYNC), fd;
	char path[4096];

	snprintf(path, sizeof(path), "%s/bench-%d-%zu", dir, (int)getpid(), (size_t)arg);
	fd = open(path, disk() ? O_WRONLY | O_DIRECT : flags, 0644);
	if (fd < 0 || prepare(&o) < 0) {
		perror(path);
		failed = 1;
		return NULL;
	}
	for (at = now_ns(); at < end && (!byte_limit || ops * size * writers < byte_limit);) {
		uint64_t was = at;

		if (write(fd, bytes(&o), o.n) != (ssize_t)o.n ||
		    (!strcmp(sync_mode, "fsync") && fsync(fd) < 0) ||
		    (!strcmp(sync_mode, "fdatasync") && fdatasync(fd) < 0)) {
			perror("write");
			failed = 1;
			break;
		}
		ops++;
		at = now_ns();
		hist[bucket(at - was)]++;
	}
	if ((!strcmp(sync_mode, "final") || disk()) && fsync(fd) < 0)
		failed = 1;
	close(fd);
	gcry_cipher_close(o.cipher);
	free(o.plain);
	free(o.sealed);
	total_ops += ops;
	return NULL;
}

static uint64_t percentile(double p)
{
	uint64_t want = (uint64_t)((double)total_ops * p), seen = 0;

	for (unsigned b = 0; b < BUCKETS; b++) {
		seen += hist[b];
		if (seen > want)
			return bucket_ns(b);
	}
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t t[256];
	uint64_t start;
	double took;

	if (argc < 7 || argc > 8) {
		fprintf(stderr, "bench-writer DIR SIZE WRITERS SECONDS BYTES SYNC [plain|seal]\n");
		return 2;
	}
	dir = argv[1];
	size = strtoull(argv[2], NULL, 10);
	writers = strtoull(argv[3], NULL, 10);
	seconds = atof(argv[4]);
	byte_limit = strtoull(argv[5], NULL, 10);
	sync_mode = argv[6];
	sealing = argc == 8 && !strcmp(argv[7], "seal");
	if (!size || !writers || writers > 256 || (disk() && (!byte_limit || sealing)))
		return 2;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	for (size_t i = 0; disk() && i < writers; i++)
		if (!lay_out(i))
			return 1;
	start = now_ns();
	for (size_t i = 0; i < writers; i++)
		if (pthread_create(&t[i], NULL, writer, (void *)i))
			return 1;
	for (size_t i = 0; i < writers; i++)
		pthread_join(t[i], NULL);
	took = (double)(now_ns() - start) / 1e9;
	printf("{\"ops\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"p50\": %llu, \"p99\": %llu}\n",
	       (unsigned long long)total_ops, (unsigned long long)(total_ops * size), took,
	       (unsigned long long)percentile(0.5), (unsigned long long)percentile(0.99));
	return failed;
}
