/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bare.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "crypto/crypto.h"
#include "crypto/leaves.h"
#include "crypto/merkle.h"
#include "fs/index/index.h"
#include "fs/io/io.h"
#include "fs/log/log.h"
#include "fs/rules/rules.h"

#define SMALL 8192u
#define OBJECTS 65536u
#define SPAN (2u << 20)  /* of the log, read at once */
#define KNOWN 64u /* writers that a thread remembers */
#define TURNS 200u
#define LEAVES (1u << 20) /* that wait for the tree */
#define AHEAD (64u << 20) /* of zeros, in the log */
#define TRACKED 4096u /* frames between the first that is not written and the last that is */

struct writer {
	uint32_t tid;
	int comm;
	char name[64];
};

static struct {
	struct cof_file *file;
	struct cof_leaves *leaves;
	uint64_t bytes;
	_Atomic uint64_t counter;
	_Atomic uint64_t in[TRACKED]; /* number + 1 of the frame that is with the kernel, by its number */
	_Atomic uint64_t written; /* all frames before it are with the kernel */
	pthread_mutex_t chain; /* guards the rest */
	uint64_t sequence, used;
	uint8_t previous[COF_HASH], key[COF_KEY];
	uint8_t (*leaf)[COF_HASH];
} it = {.chain = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP};

/* Each second what came is made durable and its leaves go into the tree, as a checkpoint needs it; it is not signed. */
static void *checkpoints(void *arg)
{
	struct cof_frontier tree;
	uint64_t done = 0;

	(void)arg;
	cof_frontier_init(&tree);
	for (;;) {
		(void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		for (uint64_t to = atomic_load(&it.written); done < to; done++)
			cof_frontier_add(&tree, it.leaf[done % LEAVES], NULL, NULL);
		if (cof_io_sync(it.file) < 0)
			abort();
	}
	return NULL;
}

/* Of each file: what a rule has to know, and where its frames are, in order. */
static struct {
	pthread_mutex_t lock; /* all zero: as PTHREAD_MUTEX_INITIALIZER */
	uint64_t size;
	struct piece {
		uint64_t position, address, end;
	} * piece;
	size_t n, room;
} objects[OBJECTS];
static struct cof_policy policy;

/* Of each thread, so that nothing is locked for them. */
static __thread struct writer writers[KNOWN];
static __thread struct cof_aead *aead;
static __thread uint8_t *large, *span;

int bare_sync(void)
{
	return cof_io_sync(it.file);
}

/* Zeros where small writes will go, as Coffer has them: a sync then changes no extents. */
static int write_ahead(void)
{
	static const uint8_t zeros[4096];
	int r = 0;

	for (uint64_t at = 0; r == 0 && at < COF_MIN(it.bytes, AHEAD); at += sizeof(zeros))
		r = cof_io_write(it.file, zeros, sizeof(zeros), at);
	return r;
}

int bare_open(const char *dir, uint64_t bytes)
{
	struct cof_diag diag = {""};
	struct cof_io *io;
	pthread_t thread;
	int r = cof_crypto_init(1 << 20, &diag);

	it.bytes = bytes;
	cof_policy_default(&policy);
	if (r == 0)
		r = cof_leaves_new((unsigned)COF_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), &it.leaves);
	if (r == 0)
		r = cof_io_plain(dir, &io, &diag);
	if (r == 0)
		r = cof_io_create(io, "log", &it.file);
	if (r == 0)
		r = cof_io_allocate(it.file, 0, bytes);
	if (r == 0)
		r = write_ahead();
	if (r == 0)
		r = cof_io_sync(it.file);
	it.leaf = calloc(LEAVES, sizeof(*it.leaf));
	if (r == 0 && !it.leaf)
		r = -ENOMEM;
	if (r == 0)
		cof_io_map(it.file);
	if (r == 0)
		r = -pthread_create(&thread, NULL, checkpoints, NULL);
	if (r < 0)
		fprintf(stderr, "%s: %s %s\n", dir, strerror(-r), diag.text);
	return r;
}

/* The name of the writer's task, as it is now. */
static bool who(uint32_t tid)
{
	struct writer *w = &writers[tid % KNOWN];
	char path[64], name[64];
	ssize_t n;

	if (w->tid != tid) {
		if (w->tid)
			close(w->comm);
		snprintf(path, sizeof(path), "/proc/%u/comm", tid);
		*w = (struct writer){.tid = tid, .comm = open(path, O_RDONLY | O_CLOEXEC)};
		n = pread(w->comm, w->name, sizeof(w->name) - 1, 0);
		return n > 0;
	}
	n = pread(w->comm, name, sizeof(name) - 1, 0);
	return n > 0 && memcmp(name, w->name, (size_t)n) == 0;
}

static uint8_t *room(size_t n, uint8_t small[SMALL])
{
	static const uint8_t key[COF_KEY] = "a key that guards nothing at all";

	if (!aead && cof_aead_new(key, &aead) < 0)
		return NULL;
	if (n <= SMALL)
		return small;
	if (!large)
		large = malloc(COF_FRAME_LENGTH_MAX + COF_TAG * cof_frame_chunks(COF_FRAME_LENGTH_MAX));
	return large;
}

/* Where its bytes go. */
static uint64_t link_frame(struct cof_frame *f, uint8_t header[COF_FRAME_HEADER])
{
	uint64_t at;

	pthread_mutex_lock(&it.chain);
	f->record_time = cof_now(CLOCK_REALTIME);
	f->sequence = it.sequence++;
	cof_frame_encode(f, header);
	cof_seal_tag(it.key, header, it.previous, f->seal_tag);
	cof_frame_encode(f, header);
	cof_frame_leaf(header, it.previous, it.previous);
	memcpy(it.leaf[f->sequence % LEAVES], it.previous, COF_HASH);
	if (it.used + COF_FRAME_HEADER + f->stored > it.bytes)
		it.used = 0;
	at = it.used;
	it.used += COF_FRAME_HEADER + f->stored;
	pthread_mutex_unlock(&it.chain);
	return at;
}

/* A frame counts once those before it are with the kernel: without them a killed daemon would lose it. */
static void await_order(uint64_t sequence)
{
	unsigned turns = 0;
	uint64_t at;

	atomic_store_explicit(&it.in[sequence % TRACKED], sequence + 1, memory_order_release);
	while ((at = atomic_load(&it.written)) <= sequence) {
		if (atomic_load_explicit(&it.in[at % TRACKED], memory_order_acquire) == at + 1)
			(void)atomic_compare_exchange_strong(&it.written, &at, at + 1);
		else if (++turns > TURNS)
			sched_yield();
#ifdef __x86_64__
		else
			__builtin_ia32_pause();
#endif
	}
}

static bool learn(uint64_t object, uint64_t position, uint64_t n, uint64_t address)
{
	if (objects[object % OBJECTS].n == objects[object % OBJECTS].room) {
		size_t more = objects[object % OBJECTS].room * 2 + 64;
		void *p = realloc(objects[object % OBJECTS].piece, more * sizeof(struct piece));

		if (!p)
			return false;
		objects[object % OBJECTS].piece = p;
		objects[object % OBJECTS].room = more;
	}
	objects[object % OBJECTS].piece[objects[object % OBJECTS].n++] = (struct piece){position, address, position + n};
	return true;
}

/* Its lock is held. Anything but an append is refused. */
static bool may(uint64_t object, uint64_t position, size_t n, uint32_t tid)
{
	const struct cof_object view = {.kind = COF_KIND_FILE,
					.state = COF_STATE_OPEN,
					.ino = object,
					.parent = 2,
					.size = objects[object % OBJECTS].size,
					.mode = 0644,
					.retain_until = COF_RETAIN_NONE,
					.asked_until = COF_RETAIN_NONE,
					.has_writers = true};
	const struct cof_op op = {.kind = COF_OP_WRITE, .ino = object, .offset = position, .length = n};
	const struct cof_who who_asks = {.pid = tid};
	struct cof_ruling ruling;

	cof_rule(&policy, &view, &op, &who_asks, cof_now(CLOCK_BOOTTIME), &ruling);
	return ruling.effect == COF_EFFECT_APPEND;
}

static int seal_and_write(uint64_t object, uint64_t position, const void *p, size_t n)
{
	static const uint8_t id[16];
	uint8_t small[SMALL], header[COF_FRAME_HEADER];
	uint32_t chunks = cof_frame_chunks((uint32_t)n);
	uint8_t *out = room(n + COF_TAG * chunks, small);
	uint64_t at;
	int r;
	struct cof_frame f = {.type = COF_APPEND,
			      .version = 1,
			      .object = object,
			      .position = position,
			      .length = (uint32_t)n,
			      .mount = 1,
			      .counter = atomic_fetch_add(&it.counter, chunks)};

	if (!out || n > COF_FRAME_LENGTH_MAX || cof_payload_seal_shared(&f, aead, id, NULL, 0, p, out, it.leaves, NULL) < 0)
		return EIO;
	const struct iovec v[] = {{header, sizeof(header)}, {out, f.stored}};
	at = link_frame(&f, header);
	r = cof_io_writev(it.file, v, 2, at);
	await_order(f.sequence);
	return r < 0 ? -r : learn(object, position, n, at) ? 0 : ENOMEM;
}

int bare_keep(uint64_t object, uint64_t position, const void *p, size_t n, uint32_t tid)
{
	int err = EPERM;

	pthread_mutex_lock(&objects[object % OBJECTS].lock);
	if (may(object, position, n, tid))
		err = who(tid) ? seal_and_write(object, position, p, n) : EIO;
	if (!err)
		objects[object % OBJECTS].size += n;
	pthread_mutex_unlock(&objects[object % OBJECTS].lock);
	return err;
}

/* What of a frame, whose bytes lie at raw, is wanted: from *position to end. Other chunks are not opened. */
static int open_frame(const uint8_t *raw, uint64_t *position, uint64_t end, uint8_t **out)
{
	static const uint8_t id[16];
	uint8_t none[COF_HASH];
	struct cof_frame f;
	int r = cof_frame_decode(raw, &f, NULL);

	cof_sha256(NULL, 0, none);
	for (uint32_t k = 0; r == 0 && k < cof_frame_chunks(f.length) && *position < end; k++) {
		uint64_t at = f.position + (uint64_t)k * COF_CHUNK, to = COF_MIN(at + COF_CHUNK, f.position + f.length);
		bool whole = *position == at && end >= to;
		size_t n = (size_t)(COF_MIN(to, end) - *position);

		if (*position >= to)
			continue;
		r = cof_payload_open_chunk(&f, aead, id, none, k, raw + COF_FRAME_HEADER + (size_t)k * (COF_CHUNK + COF_TAG),
					   whole ? *out : large);
		if (!whole)
			memcpy(*out, large + (*position - at), n);
		*position += n;
		*out += n;
	}
	return r;
}

int bare_fetch(uint64_t object, uint64_t position, void *p, size_t n)
{
	const struct piece *piece = objects[object % OBJECTS].piece;
	size_t i = 0, have = 0, wanted, last = objects[object % OBJECTS].n;
	uint64_t end = position + n, base = 0;
	uint8_t *out = p, small[SMALL];

	if (!room(SMALL + 1, small) || (!span && !(span = malloc(SPAN))))
		return ENOMEM;
	while (i < last && piece[i].end <= position)
		i++;
	for (; i < last && position < end; i++) {
		uint64_t length = piece[i].end - piece[i].position;
		uint64_t size = COF_FRAME_HEADER + length + COF_TAG * cof_frame_chunks((uint32_t)length);

		if (piece[i].address < base || piece[i].address + size > base + have) {
			base = piece[i].address;
			/* All that is wanted, with the headers and tags between. */
			wanted = (size_t)COF_MIN((uint64_t)SPAN, (end - position) / 64 * 65 + 4096 + size);
			if (cof_io_read(it.file, span, wanted, base, &have) < 0 || have < size)
				return EIO;
		}
		if (open_frame(span + (piece[i].address - base), &position, end, &out) < 0)
			return EIO;
	}
	return position < end ? EIO : 0;
}
