/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a write costs behind FUSE: appends to one file through cof_archive_do, by the caller's own
 * thread. Prints its processor time for each write, the least of ROUNDS: that hardly moves with the
 * machine's load, where writes a second do.
 *
 *   bench-append STORE KEYFILE SIZE WRITES      STORE: made by coffer init with one --shelf
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "crypto/crypto.h"
#include "fs/archive/archive.h"

#define ROUNDS 10
#define SHELF 2 /* inode of the first shelf */

static int64_t spent(void)
{
	return cof_now(CLOCK_THREAD_CPUTIME_ID);
}

static int create(struct cof_archive *a, const struct cof_who *who, uint64_t *ret)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = SHELF,
			    .name = "bench-append",
			    .node_kind = COF_KIND_FILE,
			    .mode = 0644};
	struct cof_reply reply = {0};
	int r = cof_archive_do(a, who, &op, &reply);

	if (r == 0)
		*ret = reply.attr.ino;
	return r;
}

static int measure(struct cof_archive *a, size_t size, unsigned long writes)
{
	struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)syscall(SYS_gettid)};
	cof_autofree uint8_t *data = malloc(size);
	struct cof_op op = {.kind = COF_OP_WRITE, .length = size, .data = data};
	int64_t least = INT64_MAX;
	int r = data ? create(a, &who, &op.ino) : -ENOMEM;

	if (r == 0)
		memset(data, 'x', size);
	for (unsigned round = 0; r == 0 && round < ROUNDS; round++) {
		int64_t began = spent();

		for (unsigned long i = 0; r == 0 && i < writes; i++) {
			struct cof_reply reply = {0};

			r = cof_archive_do(a, &who, &op, &reply);
			op.offset += size;
		}
		least = COF_MIN(least, spent() - began);
	}
	if (r == 0)
		printf("{\"size\": %zu, \"ns\": %.0f}\n", size, (double)least / (double)writes);
	return r;
}

static int run(const char *store, const char *keyfile, size_t size, unsigned long writes,
	       struct cof_diag *diag)
{
	cof_autosecret uint8_t *key = NULL;
	cof_autoclose int fd = open(keyfile, O_RDONLY | O_CLOEXEC);
	struct cof_opener_secret secret = {.kind = COF_OPENER_FILE, .len = 32};
	struct cof_archive_params p = {.secret = &secret};
	struct cof_opened opened = {0};
	struct cof_archive *a;
	int r = cof_crypto_init(1 << 20, diag), closed;

	key = r == 0 ? cof_secret_alloc(32) : NULL;
	if (!key || fd < 0 || read(fd, key, 32) != 32)
		return cof_fail(diag, r < 0 ? r : -EINVAL, "no key file of 32 bytes, or no memory");
	secret.data = key;
	r = cof_io_plain(store, &p.io, diag);
	if (r < 0)
		return r;
	r = cof_archive_open(&p, &a, &opened, diag);
	if (r == 0) {
		r = measure(a, size, writes);
		closed = cof_archive_close(a, diag);
		r = r < 0 ? r : closed;
	}
	cof_io_free(p.io);
	return r;
}

int main(int argc, char **argv)
{
	struct cof_diag diag = {""};
	int r;

	if (argc != 5) {
		fprintf(stderr, "bench-append STORE KEYFILE SIZE WRITES\n");
		return 2;
	}
	r = run(argv[1], argv[2], strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), &diag);
	if (r < 0)
		fprintf(stderr, "bench-append: %s: %s\n", strerror(-r), diag.text);
	return r < 0;
}
