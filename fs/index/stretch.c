/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stretches of a file: rows of up to 256, key = prefix ‖ position u64 ‖ sequence u64 of the first.
 *
 * Plaintext: flags u8 (bit 0: another row follows) ‖ count u16, little-endian ‖ for each stretch
 * varint(length × 2 + hole) ‖ varint(sequence − the one before) ‖ varint(address − the one before);
 * before the first stand the key's sequence and address 0. Positions follow from the lengths. Only
 * the last row of a file is ever rewritten. Positions and sequences rise together, so a stretch is
 * found by either.
 */
#include "fs/index/internal.h"

#define RUN_MAX 256
#define FOLLOWED 1
#define ROW_MAX (3 + RUN_MAX * 30)
#define ATTEMPTS 8

struct run {
	uint64_t position, end;
	bool followed;
	unsigned n;
	struct cof_stretch s[RUN_MAX];
};

/* ---- coding ---- */

static int get(const struct cof_buf *b, size_t *off, uint64_t *ret)
{
	int n = cof_varint_get(b->data + *off, b->len - *off, ret);
	if (n < 0)
		return -EBADMSG;
	*off += (size_t)n;
	return 0;
}

static int decode(const struct ix_row *row, struct run *ret)
{
	const struct cof_buf *b = &row->value;
	if (row->key.len != IX_PREFIX + 16 || b->len < 3)
		return -EBADMSG;
	uint64_t position = cof_get_be64(row->key.b + IX_PREFIX), address = 0;
	uint64_t sequence = ix_key_sequence(&row->key), x, y, z;
	unsigned n = cof_get_le16(b->data + 1);
	size_t off = 3;
	if (!n || n > RUN_MAX || (b->data[0] & ~FOLLOWED))
		return -EBADMSG;
	ret->position = position;
	for (unsigned i = 0; i < n; i++) {
		if (get(b, &off, &x) < 0 || get(b, &off, &y) < 0 || get(b, &off, &z) < 0)
			return -EBADMSG;
		if (!(x >> 1) || position > INT64_MAX || x >> 1 > INT64_MAX - position ||
		    y > UINT64_MAX - sequence || z > UINT64_MAX - address || (i && (!y || !z)))
			return -EBADMSG;
		sequence += y;
		address += z;
		ret->s[i] = (struct cof_stretch){position, x >> 1, address, sequence, x & 1};
		position += x >> 1;
	}
	if (off != b->len)
		return -EBADMSG;
	ret->n = n;
	ret->end = position;
	ret->followed = b->data[0] & FOLLOWED;
	return 0;
}

static size_t encode(const struct run *run, uint8_t out[ROW_MAX])
{
	uint64_t sequence = run->s[0].sequence, address = 0;
	size_t off = 3;
	out[0] = run->followed ? FOLLOWED : 0;
	cof_put_le16(out + 1, (uint16_t)run->n);
	for (unsigned i = 0; i < run->n; i++) {
		const struct cof_stretch *s = &run->s[i];
		off += cof_varint_put(out + off, s->length << 1 | s->hole);
		off += cof_varint_put(out + off, s->sequence - sequence);
		off += cof_varint_put(out + off, s->address - address);
		sequence = s->sequence;
		address = s->address;
	}
	return off;
}

/* ---- reading the database ---- */

static int run_at_most(struct cof_index *ix, const struct ix_key *prefix, uint64_t position,
		       struct run *ret)
{
	struct ix_row row = {0};
	struct ix_key key = *prefix;
	ix_key_add(&key, position);
	ix_key_add(&key, UINT64_MAX);
	int r = ix_row_at_most(ix, &key, &row);
	if (!r)
		r = decode(&row, ret);
	cof_buf_done(&row.value);
	return r;
}

/* The run that follows; -ENOENT: none. A gap is -EUCLEAN. */
static int run_next(struct cof_index *ix, const struct ix_key *prefix, struct run *run)
{
	struct ix_row row = {0};
	struct ix_key key = *prefix;
	uint64_t end = run->end;
	size_t n = 0;
	bool followed = run->followed;
	ix_key_add(&key, run->position);
	ix_key_add(&key, UINT64_MAX);
	int r = ix_row_above(ix, &key, &row, 1, &n);
	if (r < 0)
		return r;
	if (!n)
		return followed ? -EUCLEAN : -ENOENT;
	r = decode(&row, run);
	if (!r && run->position != end)
		r = -EUCLEAN;
	cof_buf_done(&row.value);
	return r;
}

/*
 * Stretches from the one that holds position on. *ret_end: where the next one begins, known to the
 * database as far as it was read; *ret_gap: the database says that something is there, and it is
 * not (unless it is pending).
 */
static int read_runs(struct cof_index *ix, const struct ix_key *prefix, uint64_t position,
		     struct cof_stretch *ret, size_t max, size_t *ret_n, uint64_t *ret_end,
		     bool *ret_gap)
{
	cof_autofree struct run *run = malloc(sizeof(*run));
	size_t n = 0;
	uint64_t end = 0;
	bool gap = false;
	if (!run)
		return -ENOMEM;
	int r = run_at_most(ix, prefix, position, run);
	while (!r) {
		for (unsigned i = 0; i < run->n && n < max; i++)
			if (run->s[i].position + run->s[i].length > position)
				ret[n++] = run->s[i];
		end = run->end;
		if (n == max) {
			end = n ? ret[n - 1].position + ret[n - 1].length : end;
			break;
		}
		r = run_next(ix, prefix, run);
		if (r == -EUCLEAN) {
			gap = true;
			r = -ENOENT;
		}
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_n = n;
	*ret_end = end;
	*ret_gap = gap;
	return 0;
}

/* ---- what is pending ---- */

static size_t copy_from(const struct ix_file *f, uint64_t position, struct cof_stretch *out,
			size_t n, size_t max)
{
	if (!f)
		return n;
	for (uint32_t i = ix_file_find(f, position); i < f->n && n < max; i++) {
		/* A stretch that was fed twice may be in both parts. */
		if (n && f->s[i].position < out[n - 1].position + out[n - 1].length)
			continue;
		out[n++] = f->s[i];
	}
	return n;
}

static size_t pending_from(struct cof_index *ix, uint64_t ino, uint64_t position,
			   struct cof_stretch *out, size_t max)
{
	ix_lock(&ix->mem_lock);
	size_t n = 0;
	if (ix->frozen)
		n = copy_from(ix_pending_find(&ix->frozen->files, ino), position, out, n, max);
	n = copy_from(ix_pending_find(&ix->active->files, ino), position, out, n, max);
	ix_unlock(&ix->mem_lock);
	return n;
}

/* One attempt; -EUCLEAN may be the sight of something on its way into the database. */
static int collect(struct cof_index *ix, const struct ix_key *prefix, uint64_t ino,
		   uint64_t position, struct cof_stretch *ret, size_t max, size_t *ret_n)
{
	cof_autofree struct cof_stretch *mem = malloc(max * sizeof(*mem));
	size_t n = 0, m;
	uint64_t end = 0;
	bool gap = false;
	if (!mem)
		return -ENOMEM;
	m = pending_from(ix, ino, position, mem, max);
	if (m && mem[0].position <= position) {
		memcpy(ret, mem, m * sizeof(*mem));
		*ret_n = m;
		return 0;
	}
	int r = read_runs(ix, prefix, position, ret, max, &n, &end, &gap);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m && n < max; i++) {
		if (mem[i].position < end)
			continue;
		if (mem[i].position > end)
			return -EUCLEAN;
		ret[n++] = mem[i];
		end += mem[i].length;
		gap = false;
	}
	if (gap && n < max)
		return -EUCLEAN;
	*ret_n = n;
	return 0;
}

int cof_index_stretches(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t position,
			struct cof_stretch *ret, size_t max, size_t *ret_n)
{
	struct ix_key prefix;
	size_t n = 0;
	int r = -EUCLEAN;
	if (!max || max > 1u << 20)
		return -EINVAL;
	ix_row_prefix(ix, IX_STRETCH, ino, NULL, 0, &prefix);
	for (int i = 0; r == -EUCLEAN && i < ATTEMPTS; i++)
		r = collect(ix, &prefix, ino, position, ret, max, &n);
	if (r)
		return r;
	size_t k = 0;
	while (k < n && ret[k].sequence < at)
		k++;
	*ret_n = k;
	return 0;
}

/* ---- the end of a file ---- */

static uint64_t run_end_at(const struct run *run, uint64_t at)
{
	uint64_t end = run->position;
	for (unsigned i = 0; i < run->n && run->s[i].sequence < at; i++)
		end = run->s[i].position + run->s[i].length;
	return end;
}

static bool is_frozen(struct cof_index *ix, uint64_t ino)
{
	ix_lock(&ix->mem_lock);
	bool is = ix->frozen && ix_pending_find(&ix->frozen->files, ino);
	ix_unlock(&ix->mem_lock);
	return is;
}

/* The database's end at tree size `at`: the last run if it is old enough, else by bisection. */
static int stored_end(struct cof_index *ix, const struct ix_key *prefix, uint64_t ino, uint64_t at,
		      uint64_t *ret)
{
	cof_autofree struct run *run = malloc(sizeof(*run));
	uint64_t lo = 0, hi, end;
	if (!run)
		return -ENOMEM;
	int r = run_at_most(ix, prefix, UINT64_MAX, run);
	/* While its runs are being written the last one is still to come. */
	if (!r && run->followed && !is_frozen(ix, ino))
		r = -EUCLEAN;
	if (r == -ENOENT) {
		*ret = 0;
		return 0;
	}
	if (r)
		return r;
	end = run_end_at(run, at);
	hi = run->position;
	/* Some run below hi holds the end, as long as the run found last begins behind it. */
	while (run->s[0].sequence >= at && lo < hi) {
		uint64_t mid = lo + (hi - 1 - lo) / 2;
		if ((r = run_at_most(ix, prefix, mid, run)) < 0)
			return r == -ENOENT ? -EUCLEAN : r;
		if (mid >= run->end)
			return -EUCLEAN; /* a run between is missing */
		if (run->s[0].sequence >= at) {
			hi = run->position;
			end = run->position;
			continue;
		}
		end = run_end_at(run, at);
		if (end < run->end || run->end >= hi)
			break; /* it ends inside, or the next run is too young */
		lo = run->end;
		run->s[0].sequence = at; /* go on */
	}
	*ret = end;
	return 0;
}

/* *ret_known: something that is pending answers. */
static uint64_t pending_end(struct cof_index *ix, uint64_t ino, uint64_t at, bool *ret_known)
{
	const struct ix_file *f[2];
	uint64_t end = 0;
	ix_lock(&ix->mem_lock);
	f[0] = ix_pending_find(&ix->active->files, ino);
	f[1] = ix->frozen ? ix_pending_find(&ix->frozen->files, ino) : NULL;
	*ret_known = false;
	for (int i = 0; i < 2 && !*ret_known; i++) {
		uint32_t n = f[i] ? ix_file_below(f[i], at) : 0;
		if (n) {
			end = f[i]->s[n - 1].position + f[i]->s[n - 1].length;
			*ret_known = true;
		}
	}
	ix_unlock(&ix->mem_lock);
	return end;
}

int cof_index_end(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t *ret_size)
{
	struct ix_key prefix;
	bool known = false;
	uint64_t end = 0;
	int r = -EUCLEAN;
	ix_row_prefix(ix, IX_STRETCH, ino, NULL, 0, &prefix);
	for (int i = 0; r == -EUCLEAN && i < ATTEMPTS; i++) {
		end = pending_end(ix, ino, at, &known);
		r = known ? 0 : stored_end(ix, &prefix, ino, at, &end);
	}
	if (!r)
		*ret_size = end;
	return r;
}

/* ---- adding ---- */

static bool equal(const struct cof_stretch *a, const struct cof_stretch *b)
{
	return a->position == b->position && a->length == b->length && a->address == b->address &&
	       a->sequence == b->sequence && a->hole == b->hole;
}

/* 0: is in f. -ENOENT: lies before it. -EBADMSG: contradicts it. */
static int in_file(const struct ix_file *f, const struct cof_stretch *s)
{
	if (!f || !f->n || s->position < f->s[0].position)
		return -ENOENT;
	uint32_t i = ix_file_find(f, s->position);
	return i < f->n && equal(&f->s[i], s) ? 0 : -EBADMSG;
}

static bool continues(const struct ix_file *f, const struct cof_stretch *s)
{
	const struct cof_stretch *last = &f->s[f->n - 1];
	return s->position == last->position + last->length && s->sequence > last->sequence &&
	       s->address > last->address;
}

/* 1: what it says is older than what is pending, and the database has to be asked. */
static int add(struct cof_index *ix, uint64_t ino, const struct cof_stretch *s)
{
	const struct ix_file *a = ix_pending_find(&ix->active->files, ino);
	const struct ix_file *f = ix->frozen ? ix_pending_find(&ix->frozen->files, ino) : NULL;
	const struct ix_file *last = a && a->n ? a : f && f->n ? f : NULL;
	if (last && !continues(last, s)) {
		int r = in_file(a, s);
		if (r == -ENOENT)
			r = in_file(f, s);
		return r == -ENOENT ? 1 : r;
	}
	int r = ix_pending_add(&ix->active->files, ino, s);
	if (!r)
		atomic_fetch_add(&ix->waiting, 1);
	return r;
}

int cof_index_add_stretch(struct cof_index *ix, uint64_t ino, const struct cof_stretch *s)
{
	struct cof_stretch there;
	size_t n = 0;
	if (!s->length || s->position > INT64_MAX || s->length > INT64_MAX - s->position)
		return -EINVAL;
	ix_lock(&ix->mem_lock);
	int r = add(ix, ino, s);
	ix_unlock(&ix->mem_lock);
	if (r != 1)
		return r;
	r = cof_index_stretches(ix, COF_INDEX_NOW, ino, s->position, &there, 1, &n);
	return r < 0 ? r : n && equal(&there, s) ? 0 : -EBADMSG;
}

/* ---- writing ---- */

static int write_run(struct cof_index *ix, const struct ix_key *prefix, const struct run *run)
{
	uint8_t plain[ROW_MAX];
	struct ix_key key = *prefix;
	ix_key_add(&key, run->position);
	ix_key_add(&key, run->s[0].sequence);
	size_t n = encode(run, plain);
	ix_lock(&ix->db_lock);
	int r = ix_row_write(ix, &key, plain, n);
	ix_unlock(&ix->db_lock);
	return r;
}

/* How many of f's stretches the database has already, all of which must agree. */
static int skip_known(struct cof_index *ix, const struct ix_key *prefix, const struct ix_file *f,
		      uint64_t end, uint32_t *ret)
{
	uint32_t i = 0;
	cof_autofree struct cof_stretch *there = NULL;
	if (f->s[0].position < end && !(there = malloc(RUN_MAX * sizeof(*there))))
		return -ENOMEM;
	while (i < f->n && f->s[i].position < end) {
		size_t n = 0;
		uint64_t to;
		bool gap;
		int r = read_runs(ix, prefix, f->s[i].position, there, RUN_MAX, &n, &to, &gap);
		if (r < 0 || !n)
			return r < 0 ? r : -EBADMSG;
		for (size_t k = 0; k < n && i < f->n; k++, i++)
			if (!equal(&there[k], &f->s[i]))
				return -EBADMSG;
	}
	*ret = i;
	return 0;
}

int ix_stretch_write(struct cof_index *ix, const struct ix_key *prefix, const struct ix_file *f)
{
	cof_autofree struct run *run = calloc(1, sizeof(*run));
	uint32_t i = 0;
	if (!run)
		return -ENOMEM;
	if (!f->n)
		return 0;
	int r = run_at_most(ix, prefix, UINT64_MAX, run);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!r && run->followed)
		return -EBADMSG;
	if (!r && (r = skip_known(ix, prefix, f, run->end, &i)) < 0)
		return r;
	uint64_t end = run->n ? run->end : 0;
	if (i < f->n && (f->s[i].position != end ||
			 (run->n && (f->s[i].sequence <= run->s[run->n - 1].sequence ||
				     f->s[i].address <= run->s[run->n - 1].address))))
		return -EBADMSG;
	while (i < f->n) {
		if (run->n == RUN_MAX && run->followed) {
			run->n = 0;
			run->position = f->s[i].position;
		}
		while (run->n < RUN_MAX && i < f->n)
			run->s[run->n++] = f->s[i++];
		/* A file's last run that was full already is rewritten, to say that it is followed.
		 */
		run->followed = i < f->n;
		if ((r = write_run(ix, prefix, run)) < 0)
			return r;
	}
	return 0;
}
