/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret memory: one pool, used by cof_secret_alloc and by libgcrypt alike.
 *
 * libgcrypt's own secure memory only warns when it cannot lock, and grows into ordinary heap once
 * it is full. So it is replaced, through gcry_set_allocation_handler, by this pool: memfd_secret(2)
 * where the kernel has it (not even /proc/PID/mem or another process's direct map shows it), else
 * private memory that is locked and left out of core dumps. It is between two guard pages, never
 * grows, and is not inherited by a child: a forked child that touches a secret of its parent
 * faults, and gets a new pool with its first allocation.
 *
 * The pool is cut into granules of 32 bytes. What each granule is lies outside the pool, in an
 * array of bytes, so that a secret that is overrun cannot mislead the allocator. Allocation is
 * next-fit.
 */
#include <assert.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "crypto/private.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define GRANULE 32u

enum { FREE = 0, MID = 1, LAST = 2 }; /* MID: used, and the same allocation goes on behind it */

static struct {
	pthread_mutex_t lock;
	uint8_t *base;  /* NULL in a forked child until its first allocation */
	uint8_t *state; /* one byte for each granule */
	size_t bytes;   /* 0 until cof_pool_init */
	size_t granules, used, rover;
	size_t at_once, touched; /* bytes that are there from the beginning; that are there now */
	bool secret; /* memfd_secret */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The large allocation of this thread: see cof_pool_arm_large. */
static __thread struct {
	size_t want; /* not 0: armed */
	void *p;
	size_t bytes;
} large;

/* ---- mapping ---- */

static size_t page_size(void)
{
	long n = sysconf(_SC_PAGESIZE);

	return n > 0 ? (size_t)n : 4096;
}

/* Puts memfd_secret memory at a place that is reserved. False where the kernel has none. */
static bool map_memfd_secret(void *at, size_t bytes)
{
	cof_autoclose int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	if (fd < 0)
		return false;
	if (ftruncate(fd, (off_t)bytes) < 0)
		return false;
	return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
}

static bool map_locked(void *at, size_t bytes)
{
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		return false;
	return mlock(at, bytes) == 0 && madvise(at, bytes, MADV_DONTDUMP) == 0;
}

/* A new pool of pool.bytes. 0 or -errno. */
static int map_pool(void)
{
	size_t page = page_size();
	size_t whole = pool.bytes + 2 * page;
	uint8_t *area = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	uint8_t *base = area + page;
	pool.secret = map_memfd_secret(base, pool.bytes);
	if ((!pool.secret && !map_locked(base, pool.bytes)) ||
	    madvise(base, pool.bytes, MADV_DONTFORK) < 0) {
		int err = errno ? -errno : -EPERM;
		munmap(area, whole);
		return err;
	}
	pool.touched = COF_MIN(pool.at_once, pool.bytes);
	memset(base, 0, pool.touched); /* these pages are there now, not at the moment they are needed */
	memset(pool.state, FREE, pool.granules);
	pool.used = 0;
	pool.rover = 0;
	pool.base = base;
	return 0;
}

/* ---- fork ---- */

static void before_fork(void)
{
	pthread_mutex_lock(&pool.lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&pool.lock);
}

static void after_fork_child(void)
{
	pool.base = NULL; /* the mapping was not inherited */
	large.p = NULL;
	pthread_mutex_unlock(&pool.lock);
}

/* ---- allocation ---- */

/* n granules in a row from granule "from" on, before "to"; to when there are none. */
static size_t find_run(size_t from, size_t to, size_t n)
{
	size_t run = 0;

	for (size_t i = from; i < to; i++) {
		run = pool.state[i] == FREE ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return to;
}

/* lock held. The pages below `end`: those that no secret was on before. */
static void touch(size_t end)
{
	size_t page = page_size(), to = COF_MIN((end + page - 1) / page * page, pool.bytes);

	if (!pool.base || to <= pool.touched)
		return;
	memset(pool.base + pool.touched, 0, to - pool.touched);
	pool.touched = to;
}

/* keep: granules that must stay free. */
static void *pool_take(size_t bytes, size_t keep)
{
	size_t n = bytes / GRANULE + (bytes % GRANULE != 0 || bytes == 0);
	void *ret = NULL;

	pthread_mutex_lock(&pool.lock);
	if (!pool.bytes || (!pool.base && map_pool() < 0))
		goto out;
	size_t avail = pool.granules - pool.used;
	if (n > avail || avail - n < keep)
		goto out;
	size_t at = find_run(pool.rover, pool.granules, n);
	if (at == pool.granules)
		at = find_run(0, pool.granules, n);
	if (at == pool.granules)
		goto out;
	memset(pool.state + at, MID, n - 1);
	pool.state[at + n - 1] = LAST;
	pool.used += n;
	pool.rover = at + n;
	touch((at + n) * GRANULE);
	ret = pool.base + at * GRANULE;
out:
	pthread_mutex_unlock(&pool.lock);
	if (!ret)
		errno = ENOMEM;
	return ret;
}

static bool in_pool(const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)pool.base;

	return base && at >= base && at - base < pool.bytes;
}

/* First granule and number of granules of an allocation. A pointer that is none is a bug: assert.
 */
static size_t measure(const void *p, size_t *ret_first)
{
	size_t off = (size_t)((const uint8_t *)p - pool.base);
	size_t first = off / GRANULE, n = 1;

	assert(off % GRANULE == 0);
	assert(pool.state[first] != FREE && (first == 0 || pool.state[first - 1] != MID));
	while (pool.state[first + n - 1] == MID)
		n++;
	*ret_first = first;
	return n;
}

static void pool_give(void *p)
{
	size_t first;

	pthread_mutex_lock(&pool.lock);
	size_t n = measure(p, &first);
	explicit_bzero(p, n * GRANULE);
	memset(pool.state + first, FREE, n);
	pool.used -= n;
	if (first < pool.rover)
		pool.rover = first; /* fill low places again, so that the high ones stay whole */
	pthread_mutex_unlock(&pool.lock);
}

void *cof_secret_alloc(size_t n)
{
	return pool_take(n, COF_POOL_RESERVE / GRANULE);
}

void cof_secret_free(void *p)
{
	if (!p)
		return;
	assert(in_pool(p));
	pool_give(p);
}

void cof_secret_freep(void *p)
{
	cof_secret_free(*(void **)p);
}

bool cof_pool_room(size_t n)
{
	pthread_mutex_lock(&pool.lock);
	bool ret =
	    pool.bytes && (pool.granules - pool.used) * GRANULE >= COF_POOL_RESERVE + n + GRANULE;
	pthread_mutex_unlock(&pool.lock);
	return ret;
}

/* ---- what libgcrypt calls ---- */

/* The working memory of Argon2id: too large for the pool. */
static void *large_take(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		errno = ENOMEM;
		return NULL;
	}
	if (madvise(p, n, MADV_DONTDUMP) < 0 || madvise(p, n, MADV_DONTFORK) < 0) {
		munmap(p, n);
		errno = ENOMEM;
		return NULL;
	}
	/*
	 * Its last blocks give the key away to whoever reads them, for the moment until it is
	 * unmapped. A process with CAP_IPC_LOCK, as the daemon of root is, always locks it. Without
	 * that the usual limit is far below what Argon2 takes by default, and lowering its cost
	 * would be worse than that moment: so it goes on unlocked.
	 */
	if (mlock(p, n) < 0)
		errno = 0;
	large.p = p;
	large.bytes = n;
	large.want = 0;
	return p;
}

/* libgcrypt's arithmetic does not look whether it got memory: the reserve stands in, half of it. */
static void *spare(size_t n)
{
	return pool_take(n ? n : 1, COF_POOL_RESERVE / 2 / GRANULE);
}

/* This thread computes with a key whose parts libgcrypt copies where it should not. */
static __thread bool confidential;

static void *handle_alloc(size_t n)
{
	void *p;

	if (confidential && (p = pool_take(n, 0)))
		return p;
	if (large.want && n >= large.want)
		return large_take(n);
	p = malloc(n ? n : 1);
	return p ? p : spare(n);
}

static void *handle_alloc_secure(size_t n)
{
	return pool_take(n, 0);
}

static int handle_is_secure(const void *p)
{
	return in_pool(p);
}

/* It wipes what it knows to be secret; of a key's expression it makes copies that it does not. */
static void free_wiped(void *p)
{
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void handle_free(void *p)
{
	if (!p)
		return;
	if (in_pool(p)) {
		pool_give(p);
	} else if (p == large.p) {
		munmap(p, large.bytes); /* the kernel clears it */
		large.p = NULL;
	} else {
		free_wiped(p);
	}
}

static void *handle_realloc(void *p, size_t n)
{
	size_t first, have;

	if (!p)
		return handle_alloc(n);
	if (!in_pool(p)) {
		void *more = handle_alloc(n); /* not realloc, which leaves the old bytes behind */

		if (more) {
			memcpy(more, p, COF_MIN(n, malloc_usable_size(p)));
			free_wiped(p);
		}
		return more;
	}
	pthread_mutex_lock(&pool.lock);
	have = measure(p, &first) * GRANULE;
	pthread_mutex_unlock(&pool.lock);
	if (n <= have)
		return p;
	void *q = pool_take(n, 0);
	if (q) {
		memcpy(q, p, have);
		pool_give(p);
	}
	return q;
}

void cof_pool_confidential(bool on)
{
	confidential = on;
}

void cof_pool_arm_large(size_t n)
{
	large.want = n;
}

bool cof_pool_disarm_large(void)
{
	bool made = large.want == 0;

	large.want = 0;
	return made;
}

int cof_pool_init(size_t bytes, size_t at_once, struct cof_diag *diag)
{
	size_t page = page_size();

	if (bytes > (SIZE_MAX >> 2) ||
	    pthread_atfork(before_fork, after_fork_parent, after_fork_child))
		return cof_fail(diag, -ENOMEM, "no memory for a pool of secrets of %zu bytes",
				bytes);
	pool.bytes = (bytes + COF_POOL_RESERVE + page - 1) / page * page;
	pool.granules = pool.bytes / GRANULE;
	pool.at_once = at_once;
	pool.state = calloc(pool.granules, 1);
	if (!pool.state) {
		pool.bytes = 0;
		return cof_fail(diag, -ENOMEM, "no memory for a pool of secrets of %zu bytes",
				bytes);
	}
	int err = map_pool();
	if (err < 0) {
		size_t kib = pool.bytes >> 10;
		free(pool.state);
		pool.state = NULL;
		pool.bytes = 0;
		return cof_fail(
		    diag, -EPERM,
		    "cannot lock %zu KiB of memory for keys (%s): keys could reach the swap. "
		    "Run as root or raise the limit (ulimit -l, LimitMEMLOCK=)",
		    kib, strerror(-err));
	}
	gcry_set_allocation_handler(handle_alloc, handle_alloc_secure, handle_is_secure,
				    handle_realloc, handle_free);
	return 0;
}

const char *cof_secret_memory(void)
{
	return pool.secret ? "memfd_secret" : "locked";
}

long cof_pool_locked_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld kB", &kib) == 1)
			break;
	fclose(f);
	return kib;
}
