/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file: the right bytes or an error. The index says where a stretch lies; what it says is
 * checked against the frame's header, and each chunk is authenticated before a byte of it is given.
 *
 * Whose fault something is decides what follows. A frame that is well formed but another one than
 * the index says: the index is wrong, it is rebuilt and the read repeated. A frame that is no
 * frame, or a chunk that does not authenticate: the log was damaged, the reader gets -EIO and an
 * alarm says where.
 *
 * Small frames that lie near each other are read through one window: a log of short lines would
 * cost a system call for each line otherwise.
 */
#include <stdio.h>

#include "fs/archive/note.h"

#define STRETCHES 256
#define WINDOW (512u << 10) /* bytes of log read at once */
#define GAP 8192u           /* to skip inside a window is cheaper than another system call */
#define KEEP_FROM 16384u    /* bytes of a chunk that is kept for further reads of its parts */
#define ALARMS 16           /* of damaged places, in one run */

_Static_assert(COF_CHUNK + COF_TAG + WINDOW <= COF_SCRATCH, "a scratch buffer holds both");

/* ---- salts ---- */

int cof_archive_salt(void *archive, uint32_t mount, uint8_t ret[32])
{
	struct cof_archive *a = archive;
	unsigned slot = mount % COF_MOUNTS_KNOWN;
	struct cof_index_mount m;
	bool known = false;
	int r;

	pthread_mutex_lock(&a->mounts_lock);
	if (a->mounts[slot].mount == mount && mount) {
		memcpy(ret, a->mounts[slot].salt, 32);
		known = true;
	}
	pthread_mutex_unlock(&a->mounts_lock);
	if (known)
		return 0;
	if (mount && mount == a->mount) {
		memcpy(ret, a->salt, 32);
		return 0;
	}
	r = cof_ix(a, cof_index_get_mount(a->ix, mount, &m));
	if (r < 0)
		return r == -ENOENT ? cof_ix(a, -EUCLEAN) : r;
	memcpy(ret, m.salt, 32);
	pthread_mutex_lock(&a->mounts_lock);
	a->mounts[slot].mount = mount;
	memcpy(a->mounts[slot].salt, m.salt, 32);
	pthread_mutex_unlock(&a->mounts_lock);
	return 0;
}

/* ---- one frame against what the index says of it ---- */

static bool is_it(const struct cof_frame *f, const struct cof_stretch *s, uint64_t ino)
{
	return f->type == (s->hole ? COF_HOLE : COF_APPEND) && f->object == ino &&
	       f->position == s->position && f->sequence == s->sequence &&
	       (s->hole || f->length == s->length);
}

static int damaged(struct cof_archive *a, const struct cof_stretch *s, uint64_t ino, int err)
{
	if (err == -ENOMEM || err == -ENOKEY || err == -COF_EINDEX || err == -EMFILE ||
	    err == -ENFILE) /* nothing is wrong with the log */
		return err;
	if (atomic_fetch_add(&a->alarmed_read, 1) < ALARMS) {
		char text[160];

		snprintf(text, sizeof(text), "offset %llu, %llu bytes, in segment %08llx at offset %llu: %s",
			 (unsigned long long)s->position, (unsigned long long)s->length,
			 (unsigned long long)(s->address / a->conf.segment_size),
			 (unsigned long long)(s->address % a->conf.segment_size),
			 err == -EBADMSG ? "it does not authenticate" : strerror(-err));
		(void)cof_event_emit(a,
				     &(struct cof_event){.type = COF_EV_INTEGRITY_FAILED, .object = ino, .detail = text},
				     NULL); /* told in any case */
		cof_fault(
		    a,
		    "A part of a file cannot be read: inode %llu, offset %llu, %llu bytes, in "
		    "segment %08llx at offset %llu: %s. Run coffer verify.",
		    (unsigned long long)ino, (unsigned long long)s->position,
		    (unsigned long long)s->length,
		    (unsigned long long)(s->address / a->conf.segment_size),
		    (unsigned long long)(s->address % a->conf.segment_size),
		    err == -EBADMSG ? "it does not authenticate" : strerror(-err));
	}
	return -EIO;
}

static int header_of(struct cof_archive *a, const struct cof_stretch *s, uint64_t ino,
		     struct cof_frame *ret)
{
	int r = cof_reader_header(a->reader, s->address, ret, NULL, NULL);

	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	return is_it(ret, s, ino) ? 0 : cof_ix(a, -EUCLEAN);
}

int cof_stretch_time(struct cof_archive *a, const struct cof_stretch *s, uint64_t ino,
		     int64_t *ret_record, int64_t *ret_retention)
{
	struct cof_frame f;
	int r = header_of(a, s, ino, &f);

	if (r == 0) {
		*ret_record = f.record_time;
		*ret_retention = f.retention_time;
	}
	return r < 0 ? damaged(a, s, ino, r) : 0;
}

/* ---- a read under way ---- */

struct reading {
	struct cof_archive *a;
	uint64_t ino;
	uint64_t pos, end;        /* what is still wanted of the file */
	uint8_t *out;             /* where pos goes */
	struct cof_ring_key *key; /* of key_mount, kept from frame to frame */
	uint32_t key_mount;
	uint8_t *chunk, *window; /* parts of one scratch buffer */
	uint64_t window_at;      /* address of its first byte */
	size_t window_len;
};

static int take_key(struct reading *rd, uint32_t mount)
{
	int r;

	if (rd->key && rd->key_mount == mount)
		return 0;
	cof_ring_give(rd->a->ring, rd->key);
	rd->key = NULL;
	r = cof_ring_take(rd->a->ring, rd->ino, mount, &rd->key);
	rd->key_mount = mount;
	return r;
}

/* How much of the log a stretch's frame takes at most. */
static uint64_t extent(const struct cof_stretch *s)
{
	return COF_FRAME_HEADER + COF_HASH + s->length +
	       (uint64_t)COF_TAG * cof_frame_chunks((uint32_t)s->length);
}

static bool is_small(const struct cof_stretch *s)
{
	return !s->hole && s->length <= COF_CHUNK;
}

/* Fills the window from this stretch on, as far as the next ones that are wanted lie near. */
static int fill_window(struct reading *rd, const struct cof_stretch *s, size_t n)
{
	uint64_t from = s->address, to = from + extent(s);
	int r;

	for (size_t i = 1; i < n && s[i].position < rd->end && is_small(&s[i]); i++) {
		uint64_t next = s[i].address + extent(&s[i]);

		if (s[i].address < to - COF_HASH || s[i].address > to + GAP || next - from > WINDOW)
			break;
		to = COF_MAX(to, next);
	}
	rd->window_len = 0;
	r = cof_reader_bytes(rd->a->reader, from, rd->window, (size_t)(to - from), &rd->window_len);
	rd->window_at = from;
	return r == -ENODATA ? -EUCLEAN : r;
}

/* The part of a chunk that is wanted, from its sealed bytes. at: the chunk's place in the file. */
static int give_chunk(struct reading *rd, const struct cof_frame *f,
		      const uint8_t public_hash[COF_HASH], uint32_t k, const uint8_t *sealed)
{
	uint64_t at = f->position + (uint64_t)k * COF_CHUNK;
	uint32_t n = COF_MIN(f->length - k * COF_CHUNK, COF_CHUNK);
	bool whole = rd->pos == at && rd->end - at >= n;
	uint64_t upto = COF_MIN(at + n, rd->end);
	int r;

	if (rd->pos < at || rd->pos >= upto)
		return -EUCLEAN;
	r = cof_payload_open_chunk(f, rd->key->aead, rd->a->conf.id, public_hash, k, sealed,
				   whole ? rd->out : rd->chunk);
	if (r < 0)
		return r;
	if (!whole) {
		memcpy(rd->out, rd->chunk + (rd->pos - at), (size_t)(upto - rd->pos));
		if (n >= KEEP_FROM)
			cof_chunks_learn(rd->a->chunks,
					 &(struct cof_chunk_name){rd->ino, at, f->sequence},
					 rd->chunk, n);
	}
	rd->out += upto - rd->pos;
	rd->pos = upto;
	return 0;
}

/* A part of a chunk that was opened before. */
static void give_kept(struct reading *rd, const struct cof_stretch *s)
{
	uint32_t k = (uint32_t)((rd->pos - s->position) / COF_CHUNK);
	uint64_t at = s->position + (uint64_t)k * COF_CHUNK;
	uint64_t n = COF_MIN(s->length - (uint64_t)k * COF_CHUNK, COF_CHUNK);
	uint64_t upto = COF_MIN(at + n, rd->end);

	if (n < KEEP_FROM || upto - rd->pos == n ||
	    !cof_chunks_get(rd->a->chunks, &(struct cof_chunk_name){rd->ino, at, s->sequence},
			    (uint32_t)(rd->pos - at), rd->out, (uint32_t)(upto - rd->pos)))
		return;
	rd->out += upto - rd->pos;
	rd->pos = upto;
}

/* What opening the frame's chunks takes, from the bytes of the frame that lie in the window, or
 * else from the log. */
static int head_of(struct reading *rd, const struct cof_stretch *s, size_t have,
		   struct cof_head *ret)
{
	const uint8_t *public_part = rd->window + COF_FRAME_HEADER;
	int r = have < COF_FRAME_HEADER ? -EUCLEAN
					: cof_frame_decode(rd->window, &ret->frame, NULL);

	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	if (!is_it(&ret->frame, s, rd->ino))
		return cof_ix(rd->a, -EUCLEAN);
	if (ret->frame.public_length > have - COF_FRAME_HEADER) { /* longer than ours are */
		if (ret->frame.public_length > WINDOW)
			return -EUCLEAN;
		public_part = rd->window;
		r = cof_reader_payload(rd->a->reader, s->address, &ret->frame, 0, rd->window,
				       ret->frame.public_length);
		if (r < 0)
			return r;
	}
	cof_sha256(public_part, ret->frame.public_length, ret->public_hash);
	cof_places_learn_head(rd->a->places, s->address, ret);
	return 0;
}

/* Chunks from k on, n of them, whose sealed bytes lie there. */
static int give_chunks(struct reading *rd, const struct cof_head *h, uint32_t k, uint32_t n,
		       const uint8_t *sealed)
{
	int r = take_key(rd, h->frame.mount);

	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = give_chunk(rd, &h->frame, h->public_hash, k + i,
			       sealed + (size_t)i * (COF_CHUNK + COF_TAG));
	return r;
}

/* Header, public part and the first chunks, in one read: two that follow each other would have the
 * kernel read ahead. *ret_n: how many chunks were given. */
static int give_from_start(struct reading *rd, const struct cof_stretch *s, uint32_t chunks,
			   struct cof_head *ret, uint32_t *ret_n)
{
	const uint32_t sealed = COF_CHUNK + COF_TAG, most = WINDOW / sealed - 1;
	uint32_t n = COF_MIN(chunks, most), front;
	size_t have = 0, want = COF_FRAME_HEADER + COF_HASH + (size_t)n * sealed;
	int r;

	want = (size_t)COF_MIN((uint64_t)want, extent(s));
	r = cof_reader_bytes(rd->a->reader, s->address, rd->window, want, &have);
	if (r == 0)
		r = head_of(rd, s, have, ret);
	*ret_n = 0;
	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	front = COF_FRAME_HEADER + ret->frame.public_length;
	if (ret->frame.public_length > COF_HASH)
		return 0; /* the window holds something else now */
	want = front + COF_MIN((size_t)n * sealed, (size_t)(ret->frame.stored - front + COF_FRAME_HEADER));
	if (have < want)
		return -EUCLEAN; /* the file ends within the frame */
	*ret_n = n;
	return give_chunks(rd, ret, 0, n, rd->window + front);
}

/* The header alone. On a disk it is another place than the chunks from k on: they are fetched meanwhile. */
static int give_head(struct reading *rd, const struct cof_stretch *s, uint32_t k, uint32_t chunks,
		     struct cof_head *ret)
{
	const uint32_t sealed = COF_CHUNK + COF_TAG;
	uint64_t from = COF_FRAME_HEADER + (uint64_t)k * sealed;
	size_t have = 0, n = COF_MIN(COF_MIN(chunks - k, WINDOW / sealed) * sealed + COF_HASH, WINDOW);
	int r;

	cof_reader_expect(rd->a->reader, s->address + from, COF_MIN(n, (size_t)(extent(s) - from)));
	r = cof_reader_bytes(rd->a->reader, s->address, rd->window, COF_FRAME_HEADER + COF_HASH,
				 &have);

	return r == 0 ? head_of(rd, s, have, ret) : r == -ENODATA ? -EUCLEAN : r;
}

/* A frame of several chunks: those that are wanted, as many at once as the window holds. */
static int give_large(struct reading *rd, const struct cof_stretch *s)
{
	const uint32_t sealed = COF_CHUNK + COF_TAG, most = WINDOW / (COF_CHUNK + COF_TAG);
	uint64_t wanted = COF_MIN(rd->end - s->position, s->length);
	uint32_t k = (uint32_t)((rd->pos - s->position) / COF_CHUNK), n = 0;
	uint32_t chunks = (uint32_t)((wanted + COF_CHUNK - 1) / COF_CHUNK);
	struct cof_head h;
	int r = 0;

	rd->window_len = 0;
	if (cof_places_head(rd->a->places, s->address, &h)) {
		if (!is_it(&h.frame, s, rd->ino))
			return cof_ix(rd->a, -EUCLEAN);
	} else if (k == 0) {
		r = give_from_start(rd, s, chunks, &h, &k);
	} else {
		r = give_head(rd, s, k, chunks, &h);
	}
	for (; r == 0 && k < chunks; k += n) {
		uint32_t from = h.frame.public_length + k * sealed;

		n = COF_MIN(chunks - k, most);
		r = cof_reader_payload(rd->a->reader, s->address, &h.frame, from, rd->window,
				       COF_MIN(n * sealed, h.frame.stored - from));
		if (r == 0)
			r = give_chunks(rd, &h, k, n, rd->window);
	}
	return r;
}

/* A frame of one chunk, out of the window. */
static int give_small(struct reading *rd, const struct cof_stretch *s, size_t n)
{
	uint8_t public_hash[COF_HASH];
	const uint8_t *at;
	struct cof_frame f;
	uint64_t off;
	int r;

	if (s->address < rd->window_at || s->address + extent(s) > rd->window_at + rd->window_len) {
		r = fill_window(rd, s, n);
		if (r < 0)
			return r;
	}
	off = s->address - rd->window_at;
	if (rd->window_len - off < COF_FRAME_HEADER)
		return -EUCLEAN;
	at = rd->window + off;
	r = cof_frame_decode(at, &f, NULL);
	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	if (!is_it(&f, s, rd->ino))
		return cof_ix(rd->a, -EUCLEAN);
	if (rd->window_len - off - COF_FRAME_HEADER < f.stored)
		return give_large(rd, s); /* a longer public part than ours */
	at += COF_FRAME_HEADER;
	r = take_key(rd, f.mount);
	if (r < 0)
		return r;
	cof_sha256(at, f.public_length, public_hash);
	return give_chunk(rd, &f, public_hash, 0, at + f.public_length);
}

static int give_hole(struct reading *rd, const struct cof_stretch *s)
{
	uint64_t upto = COF_MIN(s->position + s->length, rd->end);
	uint8_t text[8];
	struct cof_frame f;
	int r = header_of(rd->a, s, rd->ino, &f);

	if (r < 0)
		return r;
	if (f.stored != sizeof(text) || f.public_length != sizeof(text))
		return -EUCLEAN;
	r = cof_reader_payload(rd->a->reader, s->address, &f, 0, text, sizeof(text));
	if (r == 0)
		r = cof_payload_check(&f, text);
	if (r < 0)
		return r;
	if (cof_get_le64(text) != s->length)
		return cof_ix(rd->a, -EUCLEAN);
	memset(rd->out, 0, (size_t)(upto - rd->pos));
	rd->out += upto - rd->pos;
	rd->pos = upto;
	return 0;
}

/* A batch of stretches, the first of which holds pos. */
static int give_stretches(struct reading *rd, const struct cof_stretch *s, size_t n)
{
	for (size_t i = 0; i < n && rd->pos < rd->end; i++) {
		int r;

		if (rd->pos < s[i].position || rd->pos - s[i].position >= s[i].length)
			return cof_ix(rd->a, -EUCLEAN);
		if (!s[i].hole)
			give_kept(rd, &s[i]);
		if (rd->pos >= rd->end || rd->pos - s[i].position >= s[i].length)
			continue;
		if (s[i].hole)
			r = give_hole(rd, &s[i]);
		else if (is_small(&s[i]))
			r = give_small(rd, &s[i], n - i);
		else
			r = give_large(rd, &s[i]);
		if (r < 0)
			return damaged(rd->a, &s[i], rd->ino, r);
	}
	return 0;
}

/* From pos on. Those of the present are kept for the next read. */
static int stretches(struct reading *rd, uint64_t at, struct cof_stretch *s, size_t *ret_n)
{
	struct cof_archive *a = rd->a;
	int r;

	if (at == COF_INDEX_NOW) {
		*ret_n = cof_places_stretches(a->places, rd->ino, rd->pos, rd->end, s, STRETCHES);
		if (*ret_n)
			return 0;
	}
	r = cof_ix(a, cof_index_stretches(a->ix, at, rd->ino, rd->pos, s, STRETCHES, ret_n));
	if (r == 0 && at == COF_INDEX_NOW)
		cof_places_learn(a->places, rd->ino, s, *ret_n);
	return r;
}

int cof_read_range(struct cof_archive *a, uint64_t at, uint64_t ino, uint64_t off, void *buf,
		   size_t n)
{
	cof_autofree struct cof_stretch *s = malloc(STRETCHES * sizeof(*s));
	struct reading rd = {.a = a, .ino = ino, .pos = off, .end = off + n, .out = buf};
	uint8_t *scratch = s ? cof_scratch_take(a) : NULL;
	int r = 0;

	if (!scratch)
		return -ENOMEM;
	rd.chunk = scratch;
	rd.window = scratch + COF_CHUNK + COF_TAG;
	while (r == 0 && rd.pos < rd.end) {
		size_t found = 0;

		r = stretches(&rd, at, s, &found);
		if (r == 0 && !found)
			r = cof_ix(a, -EUCLEAN);
		if (r == 0)
			r = give_stretches(&rd, s, found);
		/* Not held across the index: a ring is small, and others wait. */
		cof_ring_give(a->ring, rd.key);
		rd.key = NULL;
	}
	cof_scratch_give(a, scratch);
	return r;
}

static int read_some(struct cof_archive *a, uint64_t at, uint64_t ino, void *buf, size_t n,
		     uint64_t off, size_t *ret_n)
{
	struct cof_attr attr;
	struct cof_obj *o;
	int r;

	if (at == COF_INDEX_NOW) {
		r = cof_obj_get(a, ino, &o);
		if (r == 0) {
			cof_obj_attr(a, o, &attr);
			/* As the log has it: while its autocommit is only due, no frame says the length. */
			attr.state = o->node.state;
			cof_obj_put(a, o); /* what is below the end stays as it is */
		}
	} else {
		r = cof_node_attr_at(a, at, ino, &attr);
	}
	if (r)
		return r;
	if (attr.kind != COF_KIND_FILE)
		return attr.kind == COF_KIND_DIR ? -EISDIR : -EINVAL;
	if (attr.state == COF_STATE_DESTROYED)
		return -ENODATA;
	if (n && off >= attr.size && attr.state != COF_STATE_COMMITTED &&
	    attr.state != COF_STATE_EXPIRED && atomic_load(&a->incomplete))
		return -EIO; /* there may have been more */
	n = off < attr.size ? (size_t)COF_MIN((uint64_t)n, attr.size - off) : 0;
	r = n ? cof_read_range(a, at, ino, off, buf, n) : 0;
	if (r == -ENOKEY) /* as of a time when it was there: its content is gone all the same */
		r = -ENODATA;
	if (r == 0)
		*ret_n = n;
	return r;
}

int cof_archive_read(struct cof_archive *a, uint64_t at, uint64_t ino, void *buf, size_t n,
		     uint64_t off, size_t *ret_n)
{
	int r;

	COF_GATED(a, r, read_some(a, at, ino, buf, n, off, ret_n));
	return r;
}
