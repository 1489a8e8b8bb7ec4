/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of one prefix in order, from all places where they may be: what is pending shadows the database. Of rows
 * with the same key the newest counts. And one row by its whole key.
 */
#include "fs/index/internal.h"

#define BATCH 64

/* Rows of one place, in order; full: there may be more behind them. */
struct page {
	struct ix_row row[BATCH];
	size_t n, at;
	bool full;
};

struct listing {
	struct page place[3]; /* active, frozen, database */
};

static void listing_done(struct listing *l)
{
	for (size_t p = 0; p < COF_COUNT(l->place); p++) {
		for (size_t i = 0; i < l->place[p].n; i++)
			cof_buf_done(&l->place[p].row[i].value);
		l->place[p].n = l->place[p].at = 0;
	}
}

/* mem_lock held. */
static int copy_page(const struct ix_overlay *o, const struct ix_key *key, struct page *page)
{
	const struct ix_cell *c = ix_overlay_above(o, key);
	for (; c && ix_key_same_prefix(&c->key, key) && page->n < BATCH; c = c->next[0]) {
		struct ix_row *row = &page->row[page->n++];
		*row = (struct ix_row){.key = c->key};
		cof_buf_add(&row->value, c->value, c->n);
		if (row->value.failed)
			return -ENOMEM;
	}
	page->full = page->n == BATCH;
	return 0;
}

static int load(struct cof_index *ix, const struct ix_key *key, struct listing *l)
{
	struct page *db = &l->place[2];
	listing_done(l);
	for (size_t p = 0; p < COF_COUNT(l->place); p++)
		l->place[p].full = false;
	ix_lock(&ix->mem_lock);
	int r = copy_page(&ix->active->rows, key, &l->place[0]);
	if (!r && ix->frozen)
		r = copy_page(&ix->frozen->rows, key, &l->place[1]);
	ix_unlock(&ix->mem_lock);
	if (!r) {
		memset(db->row, 0, sizeof(db->row));
		r = ix_row_above(ix, key, db->row, BATCH, &db->n);
	}
	db->full = db->n == BATCH;
	return r;
}

/* The next row of all places, the newest of those with the same key. NULL: load again, or the end.
 */
static const struct ix_row *next_row(struct listing *l, bool *ret_more)
{
	const struct ix_row *best = NULL;
	*ret_more = false;
	for (size_t i = 0; i < COF_COUNT(l->place); i++) {
		struct page *p = &l->place[i];
		if (p->at == p->n && p->full) {
			*ret_more = true; /* what comes next there may be less than the others' */
			return NULL;
		}
		if (p->at < p->n && (!best || ix_key_compare(&p->row[p->at].key, &best->key) < 0))
			best = &p->row[p->at];
	}
	for (size_t i = 0; best && i < COF_COUNT(l->place); i++) {
		struct page *p = &l->place[i];
		if (p->at < p->n && !ix_key_compare(&p->row[p->at].key, &best->key))
			p->at++;
	}
	return best;
}

int ix_walk(struct cof_index *ix, const struct ix_key *above, ix_walk_fn fn, void *user)
{
	struct ix_key key = *above;
	bool more = true;
	int r = 0;
	struct listing *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	while (!r && more) {
		const struct ix_row *row;
		if ((r = load(ix, &key, l)) < 0)
			break;
		while (!r && (row = next_row(l, &more))) {
			key = row->key;
			r = fn(user, row);
		}
	}
	listing_done(l);
	free(l);
	return r;
}

/* mem_lock held. */
static const struct ix_cell *pending(const struct ix_part *part, const struct ix_key *key)
{
	const struct ix_cell *c = part ? ix_overlay_at_most(&part->rows, key) : NULL;
	return c && !ix_key_compare(&c->key, key) ? c : NULL;
}

int ix_row_get(struct cof_index *ix, const struct ix_key *key, struct cof_buf *ret)
{
	struct ix_row row = {0};
	ix_lock(&ix->mem_lock);
	const struct ix_cell *c = pending(ix->active, key);
	if (!c)
		c = pending(ix->frozen, key);
	if (c)
		cof_buf_add(ret, c->value, c->n);
	bool found = c != NULL;
	ix_unlock(&ix->mem_lock);
	if (found)
		return ret->failed ? -ENOMEM : 0;
	int r = ix_row_at_most(ix, key, &row);
	if (!r && ix_key_compare(&row.key, key))
		r = -ENOENT;
	if (!r)
		cof_buf_add(ret, row.value.data, row.value.len);
	cof_buf_done(&row.value);
	return r ? r : ret->failed ? -ENOMEM : 0;
}
