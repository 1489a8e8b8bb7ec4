/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small writes through a mapping: a copy instead of a system call (0.3 instead of 1.1 µs for a log
 * line). For what is promised both are the same: the bytes are the kernel's from then on, outlive
 * this process, and the next fdatasync of the descriptor brings them to the disk or says why not.
 *
 * A failure at that moment comes as SIGBUS: the file was cut behind our back, a filesystem that
 * copies on write has no block left, a page cannot be read. The handler leaves the copy, and the
 * same bytes go by pwritev, which tells such things as an errno; the mapping is not used again. A
 * SIGBUS from anywhere else goes to whom it belonged.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/io/impl.h"

/* Pages written since the last sync from which on it pays to take them out of the page tables. */
#define SETTLE (12u * 4096)

/* What fits many times into a page: the first store into each costs 4 µs, more than pwritev does. */
#define MAP_MOST 1024u

struct copying { /* by this thread, now */
	sigjmp_buf env;
	const uint8_t *from, *to; /* where it writes */
};

static __thread struct copying *volatile copying;
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool handled;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct copying *c = copying;
	const uint8_t *at = info->si_addr;

	(void)context;
	if (c && at >= c->from && at < c->to) {
		copying = NULL;
		siglongjmp(c->env, 1);
	}
	(void)sigaction(number, &before, NULL); /* and it comes again, to the one before us */
}

static void handle(void)
{
	/* Not deferred: it is left by a jump. */
	struct sigaction a = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	handled = sigaction(SIGBUS, &a, &before) == 0;
}

void cof_posix_map(struct cof_file *file)
{
	struct cof_posix_file *f = (struct cof_posix_file *)file;
	struct stat st;
	uint64_t size;
	void *p;

	(void)pthread_once(&once, handle);
	if (!handled || f->map || fstat(f->fd, &st))
		return;
	/* Holes: a filesystem that cannot allocate might find no space long after the store. */
	size = (uint64_t)st.st_size;
	if (!size || size > SIZE_MAX || (uint64_t)st.st_blocks < size / 512)
		return;
	p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (p == MAP_FAILED)
		return;
	/* Nothing is read around a page: that would make pieces of up to 2 MiB, of which one store
	 * makes all dirty, and the next sync writes them whole. */
	(void)madvise(p, (size_t)size, MADV_RANDOM);
	f->map = p;
	f->map_size = size;
}

void cof_posix_unmap(struct cof_posix_file *f)
{
	if (f->map)
		(void)munmap(f->map, (size_t)f->map_size);
	f->map = NULL;
}

/* Apart: what it changes is not kept over the jump. */
static __attribute__((noinline)) void gather(uint8_t *to, const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

/* The compiler keeps the copy between the two marks. */
static bool copy(uint8_t *to, const struct iovec *iov, int count, uint64_t total)
{
	struct copying c = {.from = to, .to = to + total};

	if (sigsetjmp(c.env, 0))
		return false;
	copying = &c;
	atomic_signal_fence(memory_order_seq_cst);
	gather(to, iov, count);
	atomic_signal_fence(memory_order_seq_cst);
	copying = NULL;
	return true;
}

ssize_t cof_map_write(struct cof_posix_file *f, const struct iovec *iov, int count, uint64_t off)
{
	uint64_t total = 0;

	if (!f->map || atomic_load_explicit(&f->map_failed, memory_order_relaxed))
		return 0;
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > MAP_MOST || (total += iov[i].iov_len) > MAP_MOST)
			return 0;
	}
	if (off > f->map_size || total > f->map_size - off)
		return 0;
	if (copy(f->map + off, iov, count, total)) {
		atomic_store_explicit(&f->map_end, off + total, memory_order_relaxed);
		return (ssize_t)total;
	}
	atomic_store(&f->map_failed, true);
	return 0;
}

/*
 * A sync protects each mapped page again before it writes it, and interrupts every processor that runs one of our
 * threads for each (some 10 µs a page, 15 lines long). Pages that are full are not written again: taken out of the
 * page tables together they cost one interrupt. Their content is the page cache's, as before; a store that comes
 * nevertheless maps its page again.
 */
void cof_map_settle(struct cof_posix_file *f)
{
	uint64_t to = atomic_load_explicit(&f->map_end, memory_order_relaxed) & ~(uint64_t)4095;

	if (!f->map || to < f->map_settled + SETTLE || to > f->map_size)
		return;
	if (madvise(f->map + f->map_settled, (size_t)(to - f->map_settled), MADV_DONTNEED) == 0)
		f->map_settled = to; /* else the sync does it */
}
