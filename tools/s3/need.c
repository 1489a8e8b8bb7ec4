/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a segment has to stay: as long as any file that has frames in it. Read from the public
 * parts of the log's rule frames, without a key, in memory that does not grow with the archive:
 * what new frames say of inodes is gathered, sorted, and brought to the segments whose range of
 * inodes can hold them, whose headers are looked at again.
 *
 * A file's end only moves to later here: what an approval shortens in the archive stays as long in
 * the bucket.
 */
#include <stdio.h>

#include "tools/s3/items.h"

#define GATHER 200000u /* what is said of inodes, at most, before it is brought to the segments */
#define HELD_MAX (1u << 20)

struct said { /* of an inode */
	uint64_t inode;
	int64_t until, follow, commit, wait;
};

struct scan {
	struct s3_copy *c;
	struct cof_reader *reader;
	struct said *said;
	size_t n;
	uint64_t sequence, at; /* the next frame, and where it lies or would */
	bool holds;            /* began or ended: all segments are looked at for them */
	struct s3_held *joined;
	size_t joins;
	uint8_t *public_part;
	struct cof_diag *diag;
};

static int out_of_memory(struct scan *s)
{
	return cof_fail(s->diag, -ENOMEM, "out of memory");
}

/* ---- holds ---- */

static int by_first(const void *a, const void *b)
{
	const struct s3_held *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The ranges of all holds as one list without overlaps, to search in. */
static int join_holds(struct scan *s)
{
	size_t n = 0;

	free(s->joined);
	s->joined = NULL;
	s->joins = 0;
	if (!s->c->helds)
		return 0;
	s->joined = malloc(s->c->helds * sizeof(*s->joined));
	if (!s->joined)
		return out_of_memory(s);
	memcpy(s->joined, s->c->held, s->c->helds * sizeof(*s->joined));
	qsort(s->joined, s->c->helds, sizeof(*s->joined), by_first);
	for (size_t i = 1; i < s->c->helds; i++) {
		if (s->joined[i].first > s->joined[n].last)
			s->joined[++n] = s->joined[i];
		else
			s->joined[n].last = COF_MAX(s->joined[n].last, s->joined[i].last);
	}
	s->joins = n + 1;
	return 0;
}

/* Is any of these inodes under a hold? */
static bool is_held(const struct scan *s, uint64_t first, uint64_t last)
{
	size_t low = 0, high = s->joins;

	while (low < high) { /* the first range that does not end before */
		size_t mid = low + (high - low) / 2;

		if (s->joined[mid].last < first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->joins && s->joined[low].first <= last;
}

static int hold_add(struct scan *s, uint64_t hold, uint64_t first, uint64_t last)
{
	struct s3_copy *c = s->c;

	s->holds = true;
	for (size_t i = c->helds; i-- > 0 && i + 64 > c->helds;) { /* most come in order */
		struct s3_held *h = &c->held[i];

		if (h->hold != hold || first > h->last + 1 || last + 1 < h->first)
			continue;
		h->first = COF_MIN(h->first, first);
		h->last = COF_MAX(h->last, last);
		return 0;
	}
	if (c->helds == c->held_room) {
		size_t want = c->held_room ? c->held_room * 2 : 64;
		void *grown = want > HELD_MAX ? NULL : realloc(c->held, want * sizeof(*c->held));

		if (!grown)
			return out_of_memory(s);
		c->held = grown;
		c->held_room = want;
	}
	c->held[c->helds++] = (struct s3_held){hold, first, last};
	return 0;
}

static void hold_end(struct scan *s, uint64_t hold)
{
	size_t n = 0;

	for (size_t i = 0; i < s->c->helds; i++)
		if (s->c->held[i].hold != hold)
			s->c->held[n++] = s->c->held[i];
	s->holds = s->holds || n != s->c->helds;
	s->c->helds = n;
}

static int take_hold(struct scan *s, const struct cof_frame *f, const uint8_t *p, size_t n)
{
	uint64_t id = f->sequence;
	struct cof_field inodes;
	uint8_t what = 0;
	int r = 0;

	if (cof_field_u8(p, n, COF_T_HOLD_WHAT, &what) < 0)
		return 0;
	if (what != 1 && cof_field_u64(p, n, COF_T_HOLD_ID, &id) < 0)
		return 0;
	if (what == 3)
		hold_end(s, id);
	if (what > 2 || cof_field_find(p, n, COF_T_INODES, &inodes) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i + 16 <= inodes.len; i += 16) {
		uint64_t first = cof_get_le64(inodes.value + i),
			 count = cof_get_le64(inodes.value + i + 8);

		if (count && first + count - 1 >= first)
			r = hold_add(s, id, first, first + count - 1);
	}
	return r;
}

/* The holds that a CREATE or RENAME says its inode gets with its place. */
static int take_place(struct scan *s, const struct cof_frame *f, const uint8_t *p, size_t n)
{
	struct cof_field holds;
	int r = 0;

	if (cof_field_find(p, n, COF_T_HOLDS, &holds) < 0)
		return 0;
	for (size_t i = 0; r == 0 && i + 8 <= holds.len; i += 8)
		r = hold_add(s, cof_get_le64(holds.value + i), f->object, f->object);
	return r;
}

/* ---- what is said of files ---- */

static int by_inode(const void *a, const void *b)
{
	const struct said *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void apply(struct s3_need *n, const struct said *s)
{
	n->until = COF_MAX(n->until, s->until);
	n->follow = COF_MAX(n->follow, s->follow);
	n->commit = COF_MAX(n->commit, s->commit);
	n->wait = COF_MAX(n->wait, s->wait);
}

/* Are there any of these between first and last? */
static bool touches(const struct scan *s, const struct s3_need *n)
{
	size_t low = 0, high = s->n;

	if (!n->last)
		return false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->said[mid].inode < n->first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->said[low].inode <= n->last;
}

static bool of_file(uint8_t type)
{
	return type == COF_CREATE || type == COF_APPEND || type == COF_HOLE || type == COF_COMMIT ||
	       type == COF_EXTEND;
}

/* The headers of one segment again, up to what was read of it. */
static int look_again(struct scan *s, uint64_t number)
{
	struct s3_need *n = &s->c->need[number];
	uint64_t at = number * s->c->conf.segment_size, end = at + n->length, last = 0;
	bool said = touches(s, n), holds = s->holds, held = false;

	if (holds && !is_held(s, n->first, n->last))
		n->hold = holds = false;
	if (!said && (!holds || !n->last))
		return 0;
	while (at < end) {
		struct cof_frame f;
		int r = cof_reader_header(s->reader, at, &f, NULL, s->diag);

		if (r < 0)
			return cof_fail(s->diag, r, "segment %llu of the log cannot be read again",
					(unsigned long long)number);
		at += COF_FRAME_HEADER + (uint64_t)f.stored;
		if (!of_file(f.type) || f.object == last)
			continue;
		last = f.object; /* many frames of one file lie side by side */
		if (said) {
			struct said key = {.inode = f.object},
				    *found =
					bsearch(&key, s->said, s->n, sizeof(*s->said), by_inode);

			if (found)
				apply(n, found);
		}
		held = held || (holds && is_held(s, f.object, f.object));
	}
	if (holds)
		n->hold = held;
	return 0;
}

static int bring(struct scan *s)
{
	size_t n = 0;
	int r = 0;

	qsort(s->said, s->n, sizeof(*s->said), by_inode);
	for (size_t i = 0; i < s->n; i++) {
		if (n && s->said[n - 1].inode == s->said[i].inode) {
			s->said[n - 1].until = COF_MAX(s->said[n - 1].until, s->said[i].until);
			s->said[n - 1].follow = COF_MAX(s->said[n - 1].follow, s->said[i].follow);
			s->said[n - 1].commit = COF_MAX(s->said[n - 1].commit, s->said[i].commit);
			s->said[n - 1].wait = COF_MAX(s->said[n - 1].wait, s->said[i].wait);
		} else {
			s->said[n++] = s->said[i];
		}
	}
	s->n = n;
	if (s->holds)
		r = join_holds(s);
	for (uint64_t i = 0; r == 0 && i < s->c->needs; i++)
		r = look_again(s, i);
	s->n = 0;
	s->holds = false;
	return r;
}

static int take_end(struct scan *s, const struct cof_frame *f, const uint8_t *p, size_t n)
{
	struct said *e;
	int64_t least = INT64_MIN, span = INT64_MIN, when, v;
	struct cof_field name;

	if (s->n == GATHER) {
		int r = bring(s);

		if (r < 0)
			return r;
	}
	e = &s->said[s->n++];
	*e = (struct said){f->object, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
	(void)cof_field_i64(p, n, COF_T_RETAIN_UNTIL, &e->until);
	(void)cof_field_i64(p, n, COF_T_LEAST_UNTIL, &least);
	e->until = COF_MAX(e->until, least);
	if (cof_field_find(p, n, COF_T_EVENT_NAME, &name) == 0 &&
	    cof_field_i64(p, n, COF_T_EVENT_TIME, &when) < 0) {
		(void)cof_field_i64(p, n, COF_T_EVENT_SPAN, &span);
		e->wait = span;
		/* that it waits for ever is told as an end without end: here it is the span that
		 * counts, again and again */
		if (e->until == INT64_MAX && span != INT64_MIN && span != INT64_MAX)
			e->until = least;
	}
	if (f->type != COF_COMMIT)
		return 0;
	if (cof_field_i64(p, n, COF_T_FOLLOWS, &e->follow) == 0)
		e->commit = f->retention_time;
	if (cof_field_i64(p, n, COF_T_CERT_NOT_AFTER, &v) == 0)
		s->c->latest = COF_MAX(s->c->latest, v);
	if (cof_field_i64(p, n, COF_T_CERT_LONGEST, &v) == 0)
		s->c->longest = COF_MAX(s->c->longest, v);
	return 0;
}

/* ---- frames ---- */

static int take_public(struct scan *s, uint64_t at, const struct cof_frame *f)
{
	const uint8_t *p = s->public_part;
	size_t n = f->public_length, skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	int r;

	if (n <= skip)
		return 0;
	r = cof_reader_payload(s->reader, at, f, 0, s->public_part, f->public_length);
	if (r < 0)
		return cof_fail(s->diag, r, "frame %llu of the log cannot be read",
				(unsigned long long)f->sequence);
	p += skip;
	n -= skip;
	if (f->type == COF_HOLD)
		return take_hold(s, f, p, n);
	if (f->type == COF_CREATE || f->type == COF_RENAME)
		return take_place(s, f, p, n);
	return take_end(s, f, p, n);
}

static int take_frame(struct scan *s, uint64_t at, const struct cof_frame *f)
{
	struct s3_need *n = s3_copy_need(s->c, at / s->c->conf.segment_size);

	if (!n)
		return out_of_memory(s);
	n->length = at % s->c->conf.segment_size + COF_FRAME_HEADER + f->stored;
	if (of_file(f->type) && f->object) {
		n->first = n->last ? COF_MIN(n->first, f->object) : f->object;
		n->last = COF_MAX(n->last, f->object);
		/* one that changes meanwhile is brought to all segments at the end */
		n->hold = n->hold || (!s->holds && is_held(s, f->object, f->object));
	}
	s->c->now = f->retention_time;
	s->c->lag = COF_MAX(0, f->record_time - f->retention_time);
	if (f->type == COF_COMMIT || f->type == COF_EXTEND || f->type == COF_HOLD ||
	    f->type == COF_CREATE || f->type == COF_RENAME)
		return take_public(s, at, f);
	return 0;
}

static int walk(struct scan *s, uint64_t size)
{
	uint64_t at = 0;
	int r = cof_reader_find(s->reader, s->sequence, &at, s->diag);

	while (r == 0 && s->sequence < size) {
		struct cof_frame f;

		r = cof_reader_header(s->reader, at, &f, NULL, s->diag);
		if (r == -ENODATA || (r == 0 && f.sequence != s->sequence))
			r = cof_fail(
			    s->diag, -EUCLEAN,
			    "frame %llu is not where it belongs: coffer verify tells what is wrong",
			    (unsigned long long)s->sequence);
		if (r == 0)
			r = take_frame(s, at, &f);
		s->at = at + COF_FRAME_HEADER + f.stored;
		s->sequence++;
		if (r == 0 && s->sequence < size)
			r = cof_reader_next(s->reader, at, &f, &at);
	}
	return r;
}

int s3_scan(struct s3_copy *c, struct cof_io *io, uint64_t size, uint64_t end,
	    struct cof_diag *diag)
{
	struct scan s = {.c = c, .sequence = c->scanned, .diag = diag};
	int r;

	if (size <= c->scanned)
		return 0;
	s.said = malloc(GATHER * sizeof(*s.said));
	s.public_part = malloc(COF_FRAME_LENGTH_MAX);
	r = s.said && s.public_part ? cof_reader_new(io, &c->conf, &s.reader) : -ENOMEM;
	if (r < 0)
		cof_fail(diag, r, "out of memory");
	if (r == 0) {
		cof_reader_walk(s.reader, true);
		r = join_holds(&s);
	}
	if (r == 0) {
		r = walk(&s, size);
	}
	if (r == 0)
		r = bring(&s);
	if (r == 0 && s.at != end)
		r = cof_fail(
		    diag, -EUCLEAN,
		    "the log ends elsewhere than its head: coffer verify tells what is wrong");
	if (r == 0) {
		c->scanned = size;
		c->scanned_end = end;
	}
	cof_reader_free(s.reader);
	free(s.said);
	free(s.joined);
	free(s.public_part);
	return r;
}

/* ---- locks ---- */

static int64_t sum(int64_t a, int64_t b)
{
	int64_t v;

	if (a == INT64_MIN || b == INT64_MIN)
		return INT64_MIN;
	if (a == INT64_MAX || b == INT64_MAX || __builtin_add_overflow(a, b, &v))
		return INT64_MAX;
	return v;
}

/*
 * An end in retention time is over no earlier than the wall clock shows end + lag. A day more is
 * asked for, so that a lag that grows does not change every lock each time.
 */
void s3_lock_of(const struct s3_copy *c, const struct s3_need *n, int64_t base, int64_t now,
		int64_t *ret_least, int64_t *ret_want)
{
	static const int64_t day = 86400 * COF_NSEC;
	int64_t end = n->until, least = now + base / 2, want = now + base, most = now + S3_FOREVER;

	if (n->follow != INT64_MIN) {
		end = COF_MAX(end, sum(c->latest, n->follow));
		end = COF_MAX(end, sum(n->commit, c->longest));
	}
	end = COF_MAX(end, sum(n->wait, c->now));
	end = sum(end, c->lag);
	if (end != INT64_MIN) {
		least = COF_MAX(least, COF_MIN(end, most - 365 * day));
		want = COF_MAX(want, COF_MIN(sum(end, day), most));
	}
	*ret_least = (least + COF_NSEC - 1) / COF_NSEC * COF_NSEC;
	*ret_want = (want + COF_NSEC - 1) / COF_NSEC * COF_NSEC;
}
