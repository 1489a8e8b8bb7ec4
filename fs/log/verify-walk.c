/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through the segments, byte by byte. Where no frame stands that should, everything up to the next
 * valid header is damage; the walk goes on there.
 */
#include <stdio.h>

#include "fs/log/verify.h"

struct walk { /* a segment */
	struct verify *v;
	struct cof_file *file;
	uint32_t number;
	uint64_t size; /* bytes that may hold frames */
	uint64_t extra; /* bytes behind them */
	uint64_t off;
	struct window *w; /* NULL: none yet */
	uint64_t frames;
	int err; /* reading failed */
};

static struct place here(const struct walk *s, int64_t sequence, uint64_t object)
{
	return (struct place){
	    .segment = s->number, .offset = s->off, .sequence = sequence, .object = object};
}

/* Reads on, until the window has that many bytes or the file ends. */
static void fill_window(struct walk *s, size_t want)
{
	struct verify *v = s->v;
	struct window *w = s->w;
	size_t n = 0;

	if (w->len < want)
		s->err = cof_io_read(s->file, w->data + w->len, want - w->len, w->base + w->len, &n);
	if (s->err)
		return;
	w->len += n;
	v->bytes_done += n;
	if (v->p->progress)
		v->p->progress(v->p->user, COF_MIN(v->bytes_done, v->bytes_total), v->bytes_total);
}

/* A window that begins at off, with n bytes. What the last one has of it is copied, the rest is read. */
static void move_window(struct walk *s, uint64_t off, size_t n)
{
	struct verify *v = s->v;
	struct window *old = s->w, *w = cof_pool_take(v);
	uint64_t want = COF_MIN(COF_MAX(n, (size_t)VERIFY_FILL), v->pool.size);

	want = COF_MIN(want, s->size - off);

	w->segment = s->number;
	w->base = off;
	if (old) {
		if (off >= old->base && off - old->base < old->len) {
			w->len = (size_t)COF_MIN(old->len - (off - old->base), want);
			memcpy(w->data, old->data + (off - old->base), w->len);
		}
		cof_pool_submit(v, old);
	}
	s->w = w;
	fill_window(s, (size_t)want);
}

/* Its first bytes are in the window, and all of them have room there. */
static bool may_grow(const struct walk *s, uint64_t off, size_t n)
{
	return n > VERIFY_WHOLE && s->w && off >= s->w->base && off - s->w->base < s->w->len &&
	       n <= s->v->pool.size - (off - s->w->base);
}

/* n bytes at off, all in one window; NULL when the file does not have them. */
static const uint8_t *bytes(struct walk *s, uint64_t off, size_t n)
{
	if (off > s->size || n > s->size - off || n > s->v->pool.size)
		return NULL;
	if (!s->w || off < s->w->base || off - s->w->base + n > s->w->len) {
		if (may_grow(s, off, n))
			fill_window(s, (size_t)(off - s->w->base) + n);
		else
			move_window(s, off, n);
	}
	if (s->err || off - s->w->base + n > s->w->len)
		return NULL;
	return s->w->data + (off - s->w->base);
}

/* The first byte of p that is not zero; n when there is none. */
static size_t first_set(const uint8_t *p, size_t n)
{
	if (!n || (!p[0] && !memcmp(p, p + 1, n - 1)))
		return n; /* each is as the one before it */
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return i;
	return n;
}

/* The first byte from `off` on that is not zero; the size when there is none. */
static uint64_t skip_zeros(struct walk *s, uint64_t off)
{
	while (off < s->size) {
		size_t n = (size_t)COF_MIN(4096, s->size - off), at;
		const uint8_t *p = bytes(s, off, n);

		if (!p)
			return s->size;
		at = first_set(p, n);
		if (at < n)
			return off + at;
		off += n;
	}
	return s->size;
}

/* A header that may go on from here: valid, whole, and not of a frame that was passed already. */
static bool resumes(struct walk *s, uint64_t off)
{
	const uint8_t *raw = bytes(s, off, COF_FRAME_HEADER);
	struct cof_frame f;

	return raw && cof_frame_decode(raw, &f, NULL) == 0 && f.sequence >= s->v->sequence &&
	       f.stored <= s->size - off - COF_FRAME_HEADER;
}

static uint64_t next_frame(struct walk *s, uint64_t off)
{
	static const uint8_t magic[] = {0x43, 0x4f, 0x46, 0x52};

	while (off < s->size) {
		size_t n = (size_t)COF_MIN(65536, s->size - off);
		const uint8_t *p = bytes(s, off, n), *hit;

		if (!p || n < sizeof(magic))
			return s->size;
		hit = memmem(p, n, magic, sizeof(magic));
		if (!hit) {
			off += n - sizeof(magic) + 1;
			continue;
		}
		off += (uint64_t)(hit - p);
		if (resumes(s, off))
			return off;
		off++;
	}
	return s->size;
}

/* No frame stands here. Zeros up to the end are how a segment ends; anything else is damage. */
static void damage(struct walk *s, bool zeros, const char *why)
{
	struct verify *v = s->v;
	uint64_t first = zeros ? skip_zeros(s, s->off) : s->off, next = s->size;
	bool covered = v->sequence < v->covered;

	if (v->p->live && !covered) {
		v->stopped = true;
		return;
	}
	if (first < s->size) {
		s->off = first;
		next = next_frame(s, zeros ? first : first + 1);
		if (covered || !v->torn)
			cof_verify_say(v, cof_verify_weigh(v, v->sequence),
				       here(s, (int64_t)v->sequence, 0),
				       "%llu bytes that are no frame: %s",
				       (unsigned long long)(next - first), why);
		v->torn |= !covered;
	}
	s->off = next;
}

/* The header is valid; is it this frame's turn? */
static bool in_turn(struct walk *s, const struct cof_frame *f)
{
	struct verify *v = s->v;

	if (f->sequence == v->sequence)
		return true;
	if (v->p->live && v->sequence >= v->covered) {
		v->stopped = true;
		return false;
	}
	if (f->sequence < v->sequence) {
		cof_verify_say(v, cof_verify_weigh(v, v->sequence),
			       here(s, (int64_t)f->sequence, f->object),
			       "frame %llu stands where frame %llu belongs",
			       (unsigned long long)f->sequence, (unsigned long long)v->sequence);
		v->torn |= v->sequence >= v->covered;
		s->off += COF_FRAME_HEADER + f->stored;
		return false;
	}
	cof_verify_say(v, cof_verify_weigh(v, v->sequence), here(s, (int64_t)v->sequence, 0),
		       "frames %llu to %llu are missing before this place",
		       (unsigned long long)v->sequence, (unsigned long long)(f->sequence - 1));
	v->torn |= v->sequence >= v->covered;
	cof_verify_resume(v, f);
	return true;
}

static void take(struct walk *s, const struct cof_frame *f, const uint8_t *raw)
{
	struct verify *v = s->v;
	struct window *w = s->w;

	if (v->empty_before)
		cof_verify_say(v, cof_verify_weigh(v, f->sequence),
			       here(s, (int64_t)f->sequence, f->object),
			       "frames in a segment behind one that has none");
	v->empty_before = false;
	cof_verify_frame(v, f, raw, here(s, (int64_t)f->sequence, f->object));
	if (v->stopped) {
		v->stopped_at = s->number * v->out.conf.segment_size + s->off;
		return;
	}
	if (v->p->frame)
		v->p->frame(v->p->user, f, s->number * v->out.conf.segment_size + s->off);
	w->at[w->n] = (uint32_t)(raw - w->data);
	w->judged[w->n++] = FRAME_RIGHT;
	s->frames++;
	s->off += COF_FRAME_HEADER + f->stored;
	v->out.bytes += COF_FRAME_HEADER + f->stored;
	v->end_segment = s->number;
	v->end_offset = s->off;
}

static void one_place(struct walk *s)
{
	struct cof_diag why; /* of this place only: to clear all of it costs a twentieth of a line's time */
	const uint8_t *raw;
	struct cof_frame f;
	uint64_t left = s->size - s->off;
	int r;

	if (left < COF_FRAME_HEADER) {
		damage(s, true, "the end of the segment is too short for a frame");
		return;
	}
	raw = bytes(s, s->off, COF_FRAME_HEADER);
	if (!raw) {
		s->off = s->size;
		return;
	}
	why.text[0] = 0;
	r = cof_frame_decode(raw, &f, &why);
	if (r == -ENODATA) {
		damage(s, true, "behind the last frame of a segment all is zero");
	} else if (r < 0) {
		damage(s, false, why.text);
	} else if (f.stored > left - COF_FRAME_HEADER) {
		damage(s, false, "a frame's header, and the file ends within its payload");
	} else if (in_turn(s, &f)) {
		raw = bytes(s, s->off, COF_FRAME_HEADER + (size_t)f.stored);
		if (raw)
			take(s, &f, raw);
		else
			s->off = s->size;
	}
}

static int open_segment(struct walk *s)
{
	struct verify *v = s->v;
	uint64_t have = 0;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "log/%08x.seg", s->number);
	r = cof_io_open(v->p->io, path, COF_IO_RDONLY, &s->file);
	if (!r)
		r = cof_io_size(s->file, &have);
	if (r < 0)
		return r;
	s->size = COF_MIN(have, v->out.conf.segment_size);
	s->extra = have - s->size;
	return 0;
}

/* -ENOMEM, or no descriptor; everything else is a finding. */
static int walk_segment(struct verify *v, uint32_t number)
{
	struct walk s = {.v = v, .number = number};
	int r = open_segment(&s);
	bool inside = number == v->since.segment && v->since.offset;

	if (inside)
		s.off = COF_MIN(v->since.offset, s.size);
	while (!r && s.off < s.size && !v->stopped && !s.err)
		one_place(&s);
	if (s.w)
		cof_pool_submit(v, s.w);
	cof_io_close(s.file);
	if (r == -ENOMEM || s.err == -ENOMEM)
		return -ENOMEM;
	if (r == -EMFILE || r == -ENFILE) /* says nothing of the archive */
		return cof_fail(v->diag, r, "log/%08x.seg cannot be opened: %s", number,
				strerror(-r));
	if (r < 0 || s.err < 0)
		cof_verify_say(v, COF_TRUNCATED, here(&s, (int64_t)v->sequence, 0),
			       "cannot be read from here on: %s", strerror(r < 0 ? -r : -s.err));
	s.off = s.size;
	if (s.extra && !v->stopped) /* behind the last frame recovery sets it aside */
		cof_verify_say(v, cof_verify_weigh(v, v->sequence), here(&s, -1, 0),
			       "the file is %llu bytes longer than a segment",
			       (unsigned long long)s.extra);
	if (!r && !s.frames && !inside)
		v->empty_before = true;
	return 0;
}

/* No frame in this segment and those behind it: what is missing before them is the end. */
static bool nothing_behind(const struct verify *v, size_t i)
{
	static const uint8_t zeros[COF_FRAME_HEADER];

	for (; i < v->segments; i++) {
		uint8_t raw[COF_FRAME_HEADER];
		struct cof_file *f;
		size_t n = 0;
		char path[32];
		int r;

		snprintf(path, sizeof(path), "log/%08x.seg", v->segment[i]);
		if (cof_io_open(v->p->io, path, COF_IO_RDONLY, &f) < 0)
			return false;
		r = cof_io_read(f, raw, sizeof(raw), 0, &n);
		cof_io_close(f);
		if (r < 0 || memcmp(raw, zeros, n) != 0)
			return false;
	}
	return true;
}

/* Numbers are missing before segment[i]. Where that is the end, check_end says so. */
static void gap(struct verify *v, size_t i, uint32_t expected)
{
	struct place place = {.segment = expected, .sequence = -1};
	uint32_t n = v->segment[i] - expected;

	if (v->sequence < v->covered && nothing_behind(v, i))
		return;
	cof_verify_say(v, cof_verify_weigh(v, v->sequence), place, "%u segment%s missing here", n,
		       n == 1 ? " is" : "s are");
}

int cof_verify_walk(struct verify *v)
{
	uint32_t expected = v->since.segment;
	int r = 0;

	for (size_t i = 0; i < v->segments && !r && !v->stopped; i++) {
		uint32_t n = v->segment[i];

		if (n != expected)
			gap(v, i, expected);
		r = walk_segment(v, n);
		expected = n + 1;
	}
	cof_pool_drain(v);
	cof_tree_settle(v, NULL);
	cof_verify_covered(v);
	cof_since_covered(v);
	return r ? r : v->ended_error;
}
