/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log out of objects. Where several go on at a place, what was there first is tried first; anybody who may write to the bucket
 * may have put others there, with frames that are whole. The copy says where they leave what the archive signed (vault.h): then it
 * goes back to the last turn behind what is proven, and on with the next object there. Nothing is kept of the ways that were wrong
 * but their number, which is bounded; turns that are proven are not taken again.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tools/s3/fetch.h"

#define WRONG_MAX 4096u
#define TURNS_MAX (4u << 20)

/* ---- bytes of one object ---- */

struct feeding {
	struct fetch *f;
	uint64_t address, end, size; /* end: for who waits */
	struct cof_sha256 *hash; /* NULL: only a part of it is read */
	bool all;		 /* of the head is there: what is behind in this object is not read */
	int err;
};

static int feed(void *user, const void *p, size_t n)
{
	struct feeding *d = user;
	struct fetch *f = d->f;
	struct vault_copy_state st;

	if (d->hash)
		cof_sha256_update(d->hash, p, n);
	d->err = vault_copy_feed(f->copy, d->address, p, n, f->diag);
	vault_copy_state(f->copy, &st);
	d->address += n;
	f->ret->bytes += n;
	if (d->err == 0 && f->p->progress && d->address > f->begun)
		f->p->progress(f->p->user, d->address - f->begun, (d->end > d->address ? d->end : d->address) - f->begun);
	d->all = d->err == 0 && st.size == d->size;
	return d->all ? -ECANCELED : d->err;
}

/* From where the copy goes on. */
static int feed_object(struct fetch *f, struct s3_item *i, struct feeding *d)
{
	uint64_t base = (uint64_t)i->number * f->conf.segment_size + i->offset, from;
	struct vault_copy_state st;
	uint8_t hash[COF_HASH];
	char key[S3_KEY_MAX + 1];
	int r;

	vault_copy_state(f->copy, &st);
	from = st.address > base ? st.address - base : 0;
	d->address = base + from;
	if (!from) {
		d->hash = cof_sha256_new();
		if (!d->hash)
			return cof_fail(f->diag, -ENOMEM, "out of memory");
	}
	s3_item_key(f->root, i, key);
	r = s3_get(f->s, key, i->version, from, i->length - from, feed, d, f->diag);
	if (d->all)
		r = 0; /* and its root is the one that was signed */
	else if (r == 0 && d->hash) {
		cof_sha256_final(d->hash, hash);
		i->past = !cof_equal(hash, i->sha256, COF_HASH);
		if (i->past)
			r = cof_fail(f->diag, -EBADMSG, "%s is not what its name says", key);
	}
	cof_sha256_free(d->hash);
	if (r == 0) {
		d->err = vault_copy_whole(f->copy, f->diag);
		return d->err;
	}
	if (d->err == r && (r == -EUCLEAN || r == -EOPNOTSUPP))
		return -EBADMSG; /* no log, or of a format that is not known: as wrong as another digest */
	i->past |= d->err == 0 && fetch_passable(r);
	return r;
}

/* ---- which goes on ---- */

/* Where the objects of a kind and segment begin. */
static size_t first_of(const struct fetch *f, enum s3_kind kind, uint64_t number)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct s3_item *i = &f->item[mid];

		if (i->kind < kind || (i->kind == kind && i->number < number))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool goes_on(const struct fetch *f, const struct s3_item *i, uint64_t at)
{
	uint64_t base = (uint64_t)i->number * f->conf.segment_size + i->offset, size = f->conf.segment_size;

	return !i->past && i->length <= size && i->offset <= size - i->length && at >= base && at - base < i->length;
}

/* Before: those of this segment before those of the next, segments before pieces, what was there first, what goes on for longer. */
static int order(const struct fetch *f, size_t a, size_t b)
{
	const struct s3_item *x = &f->item[a], *y = &f->item[b];

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind == S3_SEGMENT ? -1 : 1;
	if (x->modified != y->modified)
		return x->modified < y->modified ? -1 : 1;
	if (x->offset + x->length != y->offset + y->length)
		return x->offset + x->length > y->offset + y->length ? -1 : 1;
	return a < b ? 1 : a > b ? -1 : 0; /* versions of a name are listed from the newest on */
}

static size_t next_of(const struct fetch *f, enum s3_kind kind, uint64_t at, size_t tried, size_t best)
{
	uint64_t number = at / f->conf.segment_size;

	for (size_t i = first_of(f, kind, number); i < f->n && f->item[i].kind == kind && f->item[i].number == number; i++)
		if (goes_on(f, &f->item[i], at) && (tried == SIZE_MAX || order(f, i, tried) > 0) &&
		    (best == SIZE_MAX || order(f, i, best) < 0))
			best = i;
	return best;
}

/* The one behind the one that was tried last; SIZE_MAX: there are no more. */
static size_t next_object(const struct fetch *f, const struct fetch_turn *t)
{
	uint64_t size = f->conf.segment_size, at = t->address;
	size_t best = SIZE_MAX;

	for (unsigned round = 0; best == SIZE_MAX && round < 2; round++) {
		best = next_of(f, S3_SEGMENT, at, t->tried, best);
		best = next_of(f, S3_PIECE, at, t->tried, best);
		if (t->address % size == 0)
			break;
		at = t->address - t->address % size + size; /* where the next frame did not fit */
	}
	return best;
}

/* ---- there and back ---- */

static int push_turn(struct fetch *f, uint64_t size, uint64_t address)
{
	if (f->turns == f->turn_room) {
		size_t want = f->turn_room ? 2 * f->turn_room : 64;
		void *grown = want > TURNS_MAX ? NULL : realloc(f->turn, want * sizeof(*f->turn));

		if (!grown)
			return cof_fail(f->diag, -ENOMEM, "out of memory");
		f->turn = grown;
		f->turn_room = want;
	}
	f->turn[f->turns++] = (struct fetch_turn){.size = size, .address = address, .tried = SIZE_MAX};
	return 0;
}

/* Where the copy stands. Turns that are proven are not taken again; where something that is proven ended there may be another one,
 * in the middle of the object that led here. */
static int add_turn(struct fetch *f)
{
	struct vault_copy_state st;
	int r = 0;

	vault_copy_state(f->copy, &st);
	if (f->turns && f->turn[f->turns - 1].size < st.proven)
		f->turns = 0;
	if (!f->turns && st.proven < st.size)
		r = push_turn(f, st.proven, st.proven_end);
	return r == 0 ? push_turn(f, st.size, st.address) : r;
}

/* Back behind what an object gave in vain. */
static int go_back(struct fetch *f)
{
	const struct fetch_turn *t = &f->turn[f->turns - 1];
	struct vault_copy_state st;
	int r;

	vault_copy_state(f->copy, &st);
	if (t->size >= st.proven)
		return vault_copy_back(f->copy, t->size, t->address, f->diag);
	r = vault_copy_back(f->copy, st.proven, st.proven_end, f->diag); /* as far as that it was right */
	return r == 0 ? add_turn(f) : r;
}

/* At the newest turn nothing more goes on: back to the newest before, behind what is proven, where something else does. Where nothing
 * does, or where all that would go on cannot be read, what is there stays for who comes again once it can. */
static int other_turn(struct fetch *f)
{
	const struct fetch_turn *last = &f->turn[f->turns - 1];
	bool misled = last->misled || last->tried == SIZE_MAX;
	uint64_t at = last->address;
	struct vault_copy_state st;

	vault_copy_state(f->copy, &st);
	while (misled && --f->turns && f->turn[f->turns - 1].size >= st.proven) {
		const struct fetch_turn *t = &f->turn[f->turns - 1];

		if (next_object(f, t) != SIZE_MAX)
			return vault_copy_back(f->copy, t->size, t->address, f->diag);
	}
	f->turns = 0;
	return cof_fail(f->diag, -EBADMSG, "what follows byte %" PRIu64 " of the log is not in the bucket%s%.500s", at,
			f->wrong ? "; the last that was tried: " : "", f->wrong ? strdupa(f->diag->text) : "");
}

static int one_on(struct fetch *f, const struct cof_checkpoint *head, uint64_t end)
{
	struct feeding d = {.f = f, .end = end, .size = head->size};
	struct fetch_turn *t = &f->turn[f->turns - 1];
	size_t i = next_object(f, t);
	int r;

	if (i == SIZE_MAX)
		return other_turn(f);
	t->tried = i;
	r = feed_object(f, &f->item[i], &d);
	if (r < 0 && !fetch_passable(r))
		return r;
	if (r == 0)
		return add_turn(f);
	t->misled |= d.err < 0;
	if (++f->wrong > WRONG_MAX)
		return cof_fail(f->diag, -E2BIG,
				"%u objects in the bucket were tried in vain: somebody who may write there put too many of them between "
				"those of the archive; who rules the bucket has to remove what is not of the archive",
				WRONG_MAX);
	fetch_tell(f, "passed over: %s", f->diag->text);
	return go_back(f);
}

int fetch_log(struct fetch *f, const struct cof_checkpoint *head, uint64_t end)
{
	struct vault_copy_state st;
	int r;

	f->turns = 0;
	r = add_turn(f); /* what an earlier run left is not proven: if that is wrong, all of it is had anew */
	vault_copy_state(f->copy, &st);
	while (r == 0 && st.size < head->size) {
		r = one_on(f, head, end);
		vault_copy_state(f->copy, &st);
	}
	return r;
}
