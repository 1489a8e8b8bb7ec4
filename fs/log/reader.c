/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading frames by address, without any key, beside a writer or not.
 *
 * At most CACHE segments are kept open, each counted while somebody reads from it; whoever finds
 * all of them in use opens one for itself. The lock guards the table only; no read of a frame runs
 * under it. A segment's file may be replaced by a recovery while we hold it open: where an address
 * has nothing, the name is opened again before that is believed.
 */
#include <pthread.h>
#include <stdio.h>

#include "fs/log/log.h"

#define CACHE 16u
#define WINDOW 65536u
#define WALK (256u << 10) /* bytes of the window of who walks */
#define WALK_SMALL 4096u   /* larger pieces are read for themselves */

struct slot {
	struct cof_file *file; /* NULL: free */
	uint32_t segment;
	uint32_t users;
	uint64_t used; /* tick of the last use */
	bool stale;    /* closed by its last user */
};

struct cof_reader {
	struct cof_io *io;
	uint64_t segment_size;
	pthread_mutex_t lock; /* guards what follows */
	uint64_t tick;
	struct slot slot[CACHE];

	uint8_t *walk; /* who walks: a window of the log; NULL: nobody does */
	uint64_t walk_at;
	size_t walk_len, walk_want; /* filled; to fill next */
};

struct lease { /* a segment while it is read from */
	struct cof_file *file;
	struct slot *slot; /* NULL: the file is ours alone */
	bool fresh;        /* opened just now */
};

int cof_reader_new(struct cof_io *io, const struct cof_conf *conf, struct cof_reader **ret)
{
	struct cof_reader *r;

	if (conf->segment_size < COF_FRAME_HEADER)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	if (pthread_mutex_init(&r->lock, NULL)) {
		free(r);
		return -ENOMEM;
	}
	r->io = io;
	r->segment_size = conf->segment_size;
	*ret = r;
	return 0;
}

void cof_reader_free(struct cof_reader *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < CACHE; i++)
		cof_io_close(r->slot[i].file);
	pthread_mutex_destroy(&r->lock);
	free(r->walk);
	free(r);
}

void cof_reader_walk(struct cof_reader *r, bool on)
{
	free(r->walk);
	r->walk = on ? malloc(WALK) : NULL;
	r->walk_len = 0;
	r->walk_want = WALK_SMALL;
}

/* ---- the cache ---- */

/* lock held. The slot of this segment, if it is open. */
static struct slot *lookup(struct cof_reader *r, uint32_t segment)
{
	for (uint32_t i = 0; i < CACHE; i++) {
		struct slot *s = &r->slot[i];

		if (s->file && !s->stale && s->segment == segment)
			return s;
	}
	return NULL;
}

/* lock held. The slot used longest ago that nobody uses now. NULL: none. */
static struct slot *idle(struct cof_reader *r)
{
	struct slot *oldest = NULL;

	for (uint32_t i = 0; i < CACHE; i++) {
		struct slot *s = &r->slot[i];

		if (s->file && !s->users && (!oldest || s->used < oldest->used))
			oldest = s;
	}
	return oldest;
}

/* lock held. One descriptor less; false: all are in use. */
static bool evict(struct cof_reader *r)
{
	struct slot *s = idle(r);

	if (!s)
		return false;
	cof_io_close(s->file);
	*s = (struct slot){0};
	return true;
}

/* lock held. An empty slot; NULL when all are in use. */
static struct slot *vacate(struct cof_reader *r)
{
	for (int again = 0; again < 2; again++) {
		for (uint32_t i = 0; i < CACHE; i++) {
			if (!r->slot[i].file)
				return &r->slot[i];
		}
		if (!evict(r))
			break;
	}
	return NULL;
}

/* lock held. No descriptor left: ours go first, then one of those kept back. */
static int open_segment(struct cof_reader *r, uint32_t segment, struct cof_file **ret)
{
	char path[32];
	int err;

	snprintf(path, sizeof(path), "log/%08x.seg", segment);
	err = cof_io_open(r->io, path, COF_IO_RDONLY, ret);

	while ((err == -EMFILE || err == -ENFILE) && evict(r))
		err = cof_io_open(r->io, path, COF_IO_RDONLY, ret);
	if (err == -EMFILE || err == -ENFILE)
		err = cof_io_open(r->io, path, COF_IO_VITAL, ret);
	return err;
}

static int acquire(struct cof_reader *r, uint64_t segment, struct lease *ret)
{
	struct slot *s;
	int err = 0;

	if (segment > UINT32_MAX)
		return -ENODATA;
	*ret = (struct lease){0};
	pthread_mutex_lock(&r->lock);
	s = lookup(r, (uint32_t)segment);
	if (!s) {
		struct cof_file *file;

		err = open_segment(r, (uint32_t)segment, &file);
		if (!err) {
			ret->fresh = true;
			ret->file = file;
			s = vacate(r);
			if (s)
				*s = (struct slot){.file = file, .segment = (uint32_t)segment};
		}
	}
	if (s) {
		s->users++;
		s->used = ++r->tick;
		ret->file = s->file;
		ret->slot = s;
	}
	pthread_mutex_unlock(&r->lock);
	return err == -ENOENT ? -ENODATA : err;
}

/* forget: the next one who wants this segment opens it anew. */
static void release(struct cof_reader *r, struct lease *l, bool forget)
{
	struct cof_file *close = NULL;

	if (!l->slot) {
		cof_io_close(l->file);
		return;
	}
	pthread_mutex_lock(&r->lock);
	l->slot->users--;
	if (forget)
		l->slot->stale = true;
	if (l->slot->stale && !l->slot->users) {
		close = l->slot->file;
		*l->slot = (struct slot){0};
	}
	pthread_mutex_unlock(&r->lock);
	cof_io_close(close);
}

/* n bytes at an address, fewer at the end of the file. -ENODATA: there is no such segment. */
static int read_file(struct cof_reader *r, uint64_t address, void *buf, size_t n, size_t *ret_n,
		   bool *ret_fresh, bool forget)
{
	struct lease l;
	int err = acquire(r, address / r->segment_size, &l);

	if (err < 0) {
		*ret_fresh = true;
		return err;
	}
	*ret_fresh = l.fresh;
	if (forget && !l.fresh) {
		release(r, &l, true);
		return read_file(r, address, buf, n, ret_n, ret_fresh, false);
	}
	err = cof_io_read(l.file, buf, n, address % r->segment_size, ret_n);
	release(r, &l, false);
	return err;
}

/* The next window: wide where one piece follows the other, small where large frames are stepped over. */
static int move_window(struct cof_reader *r, uint64_t address, bool *ret_fresh)
{
	uint64_t left = r->segment_size - address % r->segment_size;
	bool follows = address >= r->walk_at && address - r->walk_at <= r->walk_len + WALK_SMALL; /* the end of a small payload is not read */

	r->walk_want = follows ? COF_MIN(2 * r->walk_want, (size_t)WALK) : WALK_SMALL;
	r->walk_len = 0;
	r->walk_at = address;
	return read_file(r, address, r->walk, (size_t)COF_MIN(left, (uint64_t)r->walk_want),
			 &r->walk_len, ret_fresh, false);
}

/* As read_file, out of the window where somebody walks. Never fresh: the file may have more by now. */
static int read_at(struct cof_reader *r, uint64_t address, void *buf, size_t n, size_t *ret_n,
		   bool *ret_fresh, bool forget)
{
	int err;

	if (forget)
		r->walk_len = 0;
	if (!r->walk || n > WALK_SMALL || forget)
		return read_file(r, address, buf, n, ret_n, ret_fresh, forget);
	if (address < r->walk_at || address - r->walk_at + n > r->walk_len) {
		err = move_window(r, address, ret_fresh);
		if (err < 0)
			return err;
	}
	*ret_fresh = false;
	*ret_n = COF_MIN(n, r->walk_len - (size_t)(address - r->walk_at));
	memcpy(buf, r->walk + (address - r->walk_at), *ret_n);
	return 0;
}

/* ---- frames ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* A header from the bytes that are there, of which there may be too few. */
static int decode(const struct cof_reader *r, uint64_t address, const uint8_t *raw, size_t n,
		  struct cof_frame *ret, struct cof_diag *diag)
{
	uint64_t left = r->segment_size - address % r->segment_size;
	struct cof_frame f;
	int err;

	if (n < COF_FRAME_HEADER) {
		if (all_zero(raw, n))
			return -ENODATA;
		return cof_fail(diag, -EUCLEAN, "the file ends within a frame's header");
	}
	err = cof_frame_decode(raw, &f, diag);
	if (err < 0)
		return err;
	if (left < COF_FRAME_HEADER || f.stored > left - COF_FRAME_HEADER)
		return cof_fail(diag, -EUCLEAN,
				"frame %llu would reach beyond the end of its segment",
				(unsigned long long)f.sequence);
	*ret = f;
	return 0;
}

int cof_reader_header(struct cof_reader *r, uint64_t address, struct cof_frame *ret,
		      uint8_t raw[COF_FRAME_HEADER], struct cof_diag *diag)
{
	uint64_t left = r->segment_size - address % r->segment_size;
	size_t want = (size_t)COF_MIN(left, COF_FRAME_HEADER), n;
	uint8_t buf[COF_FRAME_HEADER];
	struct cof_frame f;
	bool fresh;
	int err;

	for (bool again = false;; again = true) {
		n = 0;
		err = read_at(r, address, buf, want, &n, &fresh, again);
		if (!err)
			err = decode(r, address, buf, n, &f, diag);
		/* A window may end in what was just being written. */
		if ((err != -ENODATA && !(err == -EUCLEAN && r->walk)) || fresh || again)
			break;
	}
	if (err < 0)
		return err;
	*ret = f;
	if (raw)
		memcpy(raw, buf, COF_FRAME_HEADER);
	return 0;
}

int cof_reader_payload(struct cof_reader *r, uint64_t address, const struct cof_frame *f,
		       uint32_t off, void *buf, uint32_t n)
{
	uint64_t left = r->segment_size - address % r->segment_size;
	size_t got = 0;
	bool fresh;
	int err;

	if (off > f->stored || n > f->stored - off)
		return -EINVAL;
	if (left < COF_FRAME_HEADER || f->stored > left - COF_FRAME_HEADER)
		return -EUCLEAN;
	if (!n)
		return 0;
	err = read_at(r, address + COF_FRAME_HEADER + off, buf, n, &got, &fresh, false);
	if (err == -ENODATA || (!err && got < n))
		return -EUCLEAN;
	return err;
}

int cof_reader_bytes(struct cof_reader *r, uint64_t address, void *buf, size_t n, size_t *ret_n)
{
	uint64_t left = r->segment_size - address % r->segment_size;
	size_t got = 0;
	bool fresh;
	int err = read_at(r, address, buf, (size_t)COF_MIN(n, left), &got, &fresh, false);

	if (err < 0)
		return err;
	*ret_n = got;
	return 0;
}

void cof_reader_expect(struct cof_reader *r, uint64_t address, size_t n)
{
	struct lease l;

	if (acquire(r, address / r->segment_size, &l) < 0)
		return; /* who reads there is told why */
	cof_io_expect(l.file, address % r->segment_size, n);
	release(r, &l, false);
}

int cof_reader_next(struct cof_reader *r, uint64_t address, const struct cof_frame *f,
		    uint64_t *ret_address)
{
	uint64_t size = r->segment_size, base = address - address % size;
	uint64_t next = address + COF_FRAME_HEADER + f->stored;
	struct cof_frame here;
	int err;

	if (f->stored > size || next - base > size)
		return -EUCLEAN;
	if (base + size - next >= COF_FRAME_HEADER) {
		err = cof_reader_header(r, next, &here, NULL, NULL);
		if (!err || err == -EUCLEAN || err == -EOPNOTSUPP) {
			*ret_address = next; /* what is wrong there shows when it is read */
			return 0;
		}
		if (err != -ENODATA)
			return err;
	}
	err = cof_reader_header(r, base + size, &here, NULL, NULL);
	if (err == -ENODATA) { /* the end: here is where the log goes on, if it does */
		*ret_address = next;
		return 0;
	}
	if (err < 0 && err != -EUCLEAN && err != -EOPNOTSUPP)
		return err;
	*ret_address = base + size;
	return 0;
}

/* ---- finding ---- */

static int first_of(struct cof_reader *r, uint64_t segment, uint64_t *ret, struct cof_diag *diag)
{
	struct cof_frame f;
	int err = cof_reader_header(r, segment * r->segment_size, &f, NULL, diag);

	if (!err)
		*ret = f.sequence;
	return err;
}

/* The last segment that begins at or before the sequence. */
static int find_segment(struct cof_reader *r, uint64_t sequence, uint64_t *ret,
			struct cof_diag *diag)
{
	uint64_t lo = 0, hi = 1, first = 0, before = 0;
	int err = first_of(r, 0, &first, diag);

	if (err < 0)
		return err == -ENODATA ? -ENOENT : err;
	if (first > sequence)
		return -ENOENT;
	for (; hi <= UINT32_MAX; hi *= 2) { /* how far does the log go? */
		err = first_of(r, hi, &first, diag);
		if (err == -ENODATA || (!err && first > sequence))
			break;
		if (err < 0)
			return err;
		lo = hi;
	}
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		err = first_of(r, mid, &first, diag);
		if (err < 0 && err != -ENODATA)
			return err;
		if (err == -ENODATA || first > sequence)
			hi = mid;
		else
			lo = mid;
	}
	/* A copy of a segment behind it begins alike: the first one is the log's. */
	while (lo > 0 && first_of(r, lo, &first, NULL) == 0 &&
	       first_of(r, lo - 1, &before, NULL) == 0 && before == first)
		lo--;
	*ret = lo;
	return 0;
}

/* Steps through one segment by its headers. Small frames come from one window. */
static int find_within(struct cof_reader *r, uint64_t segment, uint64_t sequence,
		       uint64_t *ret_address, struct cof_diag *diag)
{
	cof_autofree uint8_t *window = malloc(WINDOW);
	uint64_t at = segment * r->segment_size, end = at + r->segment_size, start = at;
	size_t have = 0;

	if (!window)
		return -ENOMEM;
	while (end - at >= COF_FRAME_HEADER) {
		struct cof_frame f = {0};
		int err;

		if (at < start || at - start + COF_FRAME_HEADER > have) {
			start = at;
			err = cof_reader_bytes(r, at, window, WINDOW, &have);
			if (err < 0)
				return err == -ENODATA ? -ENOENT : err;
		}
		err = decode(r, at, window + (at - start),
			     COF_MIN(have - (at - start), (size_t)COF_FRAME_HEADER), &f, diag);
		if (err)
			return err == -ENODATA ? -ENOENT : err;
		if (f.sequence == sequence) {
			*ret_address = at;
			return 0;
		}
		if (f.sequence > sequence)
			return cof_fail(
			    diag, -EUCLEAN, "frame %llu stands before frame %llu was met",
			    (unsigned long long)f.sequence, (unsigned long long)sequence);
		at += COF_FRAME_HEADER + f.stored;
	}
	return -ENOENT;
}

int cof_reader_find(struct cof_reader *r, uint64_t sequence, uint64_t *ret_address,
		    struct cof_diag *diag)
{
	uint64_t segment;
	int err = find_segment(r, sequence, &segment, diag);

	if (err < 0)
		return err;
	return find_within(r, segment, sequence, ret_address, diag);
}
