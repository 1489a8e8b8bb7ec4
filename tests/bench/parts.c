/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a request cost by themselves: the figures that docs/performance.md computes its
 * limits from. Each by one thread, and by one on every processor at once, since two processors need
 * not be twice one.
 *
 *   bench-parts DIR      a directory on the filesystem in question; takes 1.5 GiB of it meanwhile
 * Prints one line of JSON for each part: microseconds of one operation, alone and each beside the others.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "crypto/crypto.h"
#include "crypto/merkle.h"

#define CHUNK 65536u /* of a payload */
#define MIB (1u << 20)
#define KEEP ((size_t)256 * MIB) /* of a thread's file */
#define LARGE ((size_t)1024 * MIB)
#define NAP 150000000 /* ns that a part is measured for */
#define MOST 16
#define HEAD 128 /* of a frame */

struct work { /* of a thread */
	const struct part *part;
	int file, comm, large;
	uint8_t *map, *in, *out;
	struct cof_aead *aead;
	uint64_t at, dice, ops;
	int64_t ns;
	bool failed;
};

struct part {
	const char *name;
	bool (*run)(struct work *w, size_t n);
	size_t n;
	bool alone; /* only by one thread */
};

static pthread_barrier_t together;
static const char *dir;

/* ---- parts ---- */

static bool who(struct work *w, size_t n)
{
	return pread(w->comm, w->out, n, 0) > 0;
}

/* In leaves of a chunk each, as a frame's payload. */
static bool hash(struct work *w, size_t n)
{
	for (size_t done = 0; done < n; done += CHUNK)
		cof_merkle_leaf(w->in + done, COF_MIN(n - done, (size_t)CHUNK) + COF_TAG, w->out);
	return true;
}

/* Chain and seal of a frame: its leaf, its tag, the key's next step. */
static bool chain(struct work *w, size_t n)
{
	const struct iovec v = {w->in, n};
	uint8_t key[COF_HASH] = {1}, tag[COF_HASH];

	cof_sha256(w->in, 1 + n, w->out);
	cof_hmac(key, sizeof(key), &v, 1, tag);
	cof_hmac(key, sizeof(key), NULL, 0, tag);
	return true;
}

static bool encrypt(struct work *w, size_t n)
{
	uint8_t nonce[COF_NONCE] = {0}, aad[88] = {0};

	for (size_t done = 0; done < n; done += CHUNK) {
		cof_put_le64(nonce, ++w->at);
		if (cof_aead_seal(w->aead, nonce, aad, sizeof(aad), w->in + done,
				  COF_MIN(n - done, (size_t)CHUNK), w->out) < 0)
			return false;
	}
	return true;
}

static bool decrypt(struct work *w, size_t n)
{
	uint8_t nonce[COF_NONCE] = {0}, aad[88] = {0};

	/* Not its tag, which costs the same. */
	return cof_aead_open(w->aead, nonce, aad, sizeof(aad), w->in, n, w->out) == -EBADMSG;
}

static uint64_t place(struct work *w, size_t n)
{
	if (w->at + n > KEEP)
		w->at = 0;
	w->at += n;
	return w->at - n;
}

static bool store(struct work *w, size_t n) /* into the page cache */
{
	return pwrite(w->file, w->in, n, (off_t)place(w, n)) == (ssize_t)n;
}

static bool copy(struct work *w, size_t n) /* into the mapped file, faults among it */
{
	memcpy(w->map + place(w, n), w->in, n);
	return true;
}

static bool load(struct work *w, size_t n) /* out of the page cache */
{
	return pread(w->file, w->out, n, (off_t)place(w, n)) == (ssize_t)n;
}

static bool sync_one(struct work *w, size_t n)
{
	return store(w, n) && fdatasync(w->file) == 0;
}

static bool fetch(struct work *w, size_t n) /* from the disk, anywhere */
{
	w->dice ^= w->dice << 13;
	w->dice ^= w->dice >> 7;
	w->dice ^= w->dice << 17;
	return pread(w->large, w->out, n, (off_t)(w->dice % (LARGE / n) * n)) == (ssize_t)n;
}

static const struct part parts[] = {
	{"who writes: pread of comm", who, 64, false},
	{"chain and seal of a frame", chain, HEAD + COF_HASH, false},
	{"SHA-256, 128 B", hash, 128, false},
	{"SHA-256, 4 KiB", hash, 4096, false},
	{"SHA-256, 22,784 B", hash, 22784, false},
	{"SHA-256, 1 MiB", hash, MIB, false},
	{"AES-256-GCM, 128 B", encrypt, 128, false},
	{"AES-256-GCM, 4 KiB", encrypt, 4096, false},
	{"AES-256-GCM, 22,784 B", encrypt, 22784, false},
	{"AES-256-GCM, 1 MiB", encrypt, MIB, false},
	{"AES-256-GCM opened, 64 KiB", decrypt, CHUNK, false},
	{"copy into the mapped file, 272 B", copy, 272, false},
	{"pwrite, 4,240 B", store, 4240, false},
	{"pwrite, 22,928 B", store, 22928, false},
	{"pwrite, 1 MiB", store, MIB, false},
	{"pread from the page cache, 64 KiB", load, CHUNK, false},
	{"pread from the page cache, 1 MiB", load, MIB, false},
	{"pwrite of 272 B and fdatasync", sync_one, 272, true},
	{"read from the disk, 4 KiB anywhere", fetch, 4096, true},
	{"read from the disk, 64 KiB anywhere", fetch, CHUNK, true},
	{"read from the disk, 1 MiB anywhere", fetch, MIB, true},
};

/* ---- threads ---- */

static bool fill(int fd, const uint8_t *from, size_t n)
{
	for (size_t at = 0; at < n; at += MIB)
		if (pwrite(fd, from, MIB, (off_t)at) != MIB)
			return false;
	return fdatasync(fd) == 0;
}

static int file_of(const char *name, unsigned long k, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/bench-parts-%s-%d-%lu", dir, name, (int)getpid(), k);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (flags & O_DIRECT)
		unlink(path);
	return fd;
}

static bool prepare(struct work *w, unsigned long k)
{
	static const uint8_t key[32] = "a key that guards nothing at all";
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)syscall(SYS_gettid));
	w->comm = open(path, O_RDONLY | O_CLOEXEC);
	w->file = file_of("kept", k, O_RDWR | O_CREAT | O_EXCL);
	w->in = aligned_alloc(4096, 2 * MIB);
	w->out = aligned_alloc(4096, 2 * MIB);
	w->dice = 88172645463325252u + k;
	if (w->comm < 0 || w->file < 0 || !w->in || !w->out || cof_aead_new(key, &w->aead) < 0)
		return false;
	for (size_t i = 0; i < 2 * MIB; i++)
		w->in[i] = (uint8_t)(i * 2654435761u >> 13);
	memset(w->out, 0, 2 * MIB);
	if (!fill(w->file, w->in, KEEP))
		return false;
	w->map = mmap(NULL, KEEP, PROT_READ | PROT_WRITE, MAP_SHARED, w->file, 0);
	return w->map != MAP_FAILED && madvise(w->map, KEEP, MADV_RANDOM) == 0;
}

static void *measure(void *arg)
{
	struct work *w = arg;
	int64_t began, now;

	pthread_barrier_wait(&together);
	w->ops = 0;
	w->at = 0;
	began = now = cof_now(CLOCK_MONOTONIC);
	while (now - began < NAP && !w->failed) {
		for (unsigned i = 0; i < 8 && !w->failed; i++, w->ops++)
			w->failed = !w->part->run(w, w->part->n);
		now = cof_now(CLOCK_MONOTONIC);
	}
	w->ns = now - began;
	return NULL;
}

/* Microseconds of one operation of each of so many threads; below 0: failed. */
static double run_together(struct work *w, const struct part *p, unsigned threads)
{
	pthread_t t[MOST];
	double sum = 0;

	pthread_barrier_init(&together, NULL, threads);
	for (unsigned k = 0; k < threads; k++) {
		w[k].part = p;
		if (pthread_create(&t[k], NULL, measure, &w[k]))
			abort();
	}
	for (unsigned k = 0; k < threads; k++) {
		pthread_join(t[k], NULL);
		sum += (double)w[k].ns / 1e3 / (double)w[k].ops;
	}
	pthread_barrier_destroy(&together);
	for (unsigned k = 0; k < threads; k++)
		if (w[k].failed)
			return -1;
	return sum / threads;
}

static bool large_file(struct work *w)
{
	cof_autoclose int fd = file_of("large", 0, O_RDWR | O_CREAT | O_EXCL);

	if (fd < 0 || !fill(fd, w->in, LARGE))
		return false;
	w->large = file_of("large", 0, O_RDONLY | O_DIRECT);
	return w->large >= 0;
}

int main(int argc, char **argv)
{
	unsigned processors = (unsigned)COF_MIN(sysconf(_SC_NPROCESSORS_ONLN), (long)MOST);
	struct work w[MOST] = {{0}};
	struct cof_diag diag = {""};
	bool ok = true;

	if (argc != 2 || cof_crypto_init(1 << 20, &diag) < 0) {
		fprintf(stderr, "bench-parts DIR %s\n", diag.text);
		return 2;
	}
	dir = argv[1];
	for (unsigned k = 0; k < processors && ok; k++) {
		char path[4096];

		ok = prepare(&w[k], k);
		snprintf(path, sizeof(path), "%s/bench-parts-kept-%d-%u", dir, (int)getpid(), k);
		unlink(path);
	}
	ok = ok && large_file(&w[0]);
	for (size_t i = 0; i < COF_COUNT(parts) && ok; i++) {
		const struct part *p = &parts[i];
		double one = run_together(w, p, 1);
		double each = p->alone ? one : run_together(w, p, processors);

		ok = one > 0 && each > 0;
		printf("{\"part\": \"%s\", \"alone\": %.2f, \"beside\": %.2f}\n", p->name, one, each);
		fflush(stdout);
	}
	if (!ok)
		perror("bench-parts");
	return !ok;
}
