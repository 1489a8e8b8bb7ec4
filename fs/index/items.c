/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items: small values in the order in which they came, packed into pages, so that all of them can be looked
 * through at the speed of opening a few megabytes; and terms, which lead to some of them at once.
 *
 *   IX_PAGE  key = prefix ‖ page u64; until ‖ items: sequence u64 ‖ length u16 ‖ value. Filled up to PAGE bytes
 *   IX_LAST  sequence 0, replaced: the last page u64
 *   IX_TERM  key = prefix of kind and term ‖ sequence u64; until ‖ page u64 where that frame's items begin
 *
 * The items of one frame are put at once and lie together, over several pages if need be. What a frame's first
 * item's first term leads to with that frame's sequence is that frame: so it is known when it comes again.
 */
#include "fs/index/internal.h"

#define PAGE 7168
#define HEAD 10

/* ---- keys ---- */

static void page_key(struct cof_index *ix, uint64_t page, struct ix_key *ret)
{
	ix_row_prefix(ix, IX_PAGES, 0, NULL, 0, ret);
	ix_key_add(ret, page);
}

static void term_prefix(struct cof_index *ix, const struct cof_index_term *t, struct ix_key *ret)
{
	ix_row_prefix(ix, IX_TERM, t->kind, t->p, t->n, ret);
}

/* ---- reading pages ---- */

/* Steps through a page's plaintext behind `until`. 1: one more, 0: the end, -EBADMSG. */
static int next_item(const struct cof_buf *page, size_t *off, struct cof_index_item *ret)
{
	const uint8_t *p = page->data + *off;
	size_t left = page->len - *off;
	if (!left)
		return 0;
	if (left < HEAD || cof_get_le16(p + 8) > left - HEAD)
		return -EBADMSG;
	*ret = (struct cof_index_item){
	    .sequence = cof_get_le64(p), .p = p + HEAD, .n = cof_get_le16(p + 8)};
	*off += HEAD + ret->n;
	return 1;
}

static int get_page(struct cof_index *ix, uint64_t page, struct cof_buf *ret)
{
	struct ix_key key;
	page_key(ix, page, &key);
	int r = ix_row_get(ix, &key, ret);
	return !r && ret->len < 8 ? -EBADMSG : r;
}

struct looking {
	uint64_t at;
	cof_index_item_fn fn;
	void *user;
};

static int show_page(void *user, const struct ix_row *row)
{
	const struct looking *l = user;
	struct cof_index_item item;
	size_t off = 8;
	int r = row->value.len < 8 ? -EBADMSG : 1;
	while (r > 0 && (r = next_item(&row->value, &off, &item)) > 0) {
		int stop = item.sequence < l->at ? l->fn(l->user, &item) : 0;
		if (stop)
			return stop;
	}
	return r;
}

int cof_index_items(struct cof_index *ix, uint64_t at, cof_index_item_fn fn, void *user)
{
	struct looking l = {at, fn, user};
	struct ix_key key;
	page_key(ix, 0, &key); /* pages begin with 1 */
	int r = ix_walk(ix, &key, show_page, &l);
	return r < 0 ? r : 0;
}

struct by_term {
	struct cof_index *ix;
	struct looking l;
};

/* The items of that frame in one page. *ret_more: it ends with one, so the next may have more. */
static int show_part(struct by_term *b, uint64_t sequence, const struct cof_buf *page, bool *ret_more)
{
	struct cof_index_item item;
	size_t off = 8;
	int r;
	*ret_more = false;
	while ((r = next_item(page, &off, &item)) > 0) {
		*ret_more = item.sequence == sequence;
		r = *ret_more ? b->l.fn(b->l.user, &item) : 0;
		if (r)
			return r;
	}
	return r;
}

static int show_frame(struct by_term *b, uint64_t sequence, uint64_t page)
{
	bool more = true;
	int r = 0;
	for (uint64_t at = page; !r && more; at++) {
		cof_autobuf struct cof_buf buf = {0};
		r = get_page(b->ix, at, &buf);
		if (r == -ENOENT && at > page)
			return 0;
		if (r == -ENOENT)
			return -EBADMSG;
		if (!r)
			r = show_part(b, sequence, &buf, &more);
	}
	return r;
}

static int show_term(void *user, const struct ix_row *row)
{
	struct by_term *b = user;
	uint64_t sequence = ix_key_sequence(&row->key);
	if (row->value.len != 16 || row->key.len != IX_PREFIX + 8)
		return -EBADMSG;
	return sequence < b->l.at ? show_frame(b, sequence, cof_get_le64(row->value.data + 8)) : 0;
}

int cof_index_items_with(struct cof_index *ix, uint64_t at, const struct cof_index_term *term,
			 cof_index_item_fn fn, void *user)
{
	struct by_term b = {ix, {at, fn, user}};
	struct ix_key key;
	term_prefix(ix, term, &key);
	ix_key_add(&key, 0); /* frame 0 has no items */
	int r = ix_walk(ix, &key, show_term, &b);
	return r < 0 ? r : 0;
}

/* ---- adding ---- */

struct adding { /* put_lock held */
	struct cof_index *ix;
	uint64_t sequence, page;
	struct cof_buf buf; /* the page's plaintext without `until` */
};

static int store_page(struct adding *a)
{
	struct ix_key key;
	page_key(a->ix, a->page, &key);
	return a->buf.failed ? -ENOMEM
			     : ix_version_store(a->ix, &key, IX_FOREVER, a->buf.data, a->buf.len);
}

static void last_prefix(struct cof_index *ix, struct ix_key *ret)
{
	ix_row_prefix(ix, IX_LAST, 0, NULL, 0, ret);
}

static int set_last(struct adding *a)
{
	uint8_t number[8];
	struct ix_key prefix;
	cof_put_le64(number, a->page);
	last_prefix(a->ix, &prefix);
	return ix_version_put(a->ix, &prefix, 0, IX_PUT_LAST, number, sizeof(number));
}

static int load_last(struct adding *a)
{
	cof_autobuf struct cof_buf whole = {0};
	struct ix_version v = {0};
	struct ix_key prefix;
	last_prefix(a->ix, &prefix);
	int r = ix_version_get(a->ix, &prefix, COF_INDEX_NOW, &v);
	if (r == -ENOENT) {
		a->page = 1;
		return set_last(a);
	}
	if (!r && v.value.len != 8)
		r = -EBADMSG;
	if (!r)
		a->page = cof_get_le64(v.value.data);
	cof_buf_done(&v.value);
	if (!r)
		r = get_page(a->ix, a->page, &whole);
	if (r == -ENOENT) /* begun, and nothing came */
		return 0;
	if (!r)
		cof_buf_add(&a->buf, whole.data + 8, whole.len - 8);
	return r;
}

/* A term that several items of a frame have leads to the first page of them all, the same for each. */
static int add_terms(struct adding *a, const struct cof_index_item *item, uint64_t page)
{
	int r = 0;
	for (size_t i = 0; !r && i < item->n_terms; i++) {
		uint8_t number[8];
		struct ix_key key;
		term_prefix(a->ix, &item->term[i], &key);
		ix_key_add(&key, a->sequence);
		cof_put_le64(number, page);
		r = ix_version_store(a->ix, &key, IX_FOREVER, number, sizeof(number));
	}
	return r;
}

static int add_one(struct adding *a, const struct cof_index_item *item)
{
	uint8_t head[HEAD];
	int r = 0;
	if (a->buf.len && a->buf.len + HEAD + item->n > PAGE) {
		r = store_page(a);
		a->buf.len = 0;
		a->page++;
		if (!r)
			r = set_last(a);
	}
	cof_put_le64(head, a->sequence);
	cof_put_le16(head + 8, (uint16_t)item->n);
	cof_buf_add(&a->buf, head, sizeof(head));
	cof_buf_add(&a->buf, item->p, item->n);
	return r;
}

/* 1: these items are in, from a time before a crash. */
static int known(struct adding *a, const struct cof_index_item *item)
{
	cof_autobuf struct cof_buf there = {0};
	struct ix_key key;
	term_prefix(a->ix, &item->term[0], &key);
	ix_key_add(&key, a->sequence);
	int r = ix_row_get(a->ix, &key, &there);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int add_all(struct adding *a, const struct cof_index_item *items, size_t n)
{
	uint64_t first;
	int r = known(a, items);
	if (r)
		return r < 0 ? r : 0;
	r = load_last(a);
	/* Where the first one goes the terms lead. */
	first = a->page + (a->buf.len && a->buf.len + HEAD + items[0].n > PAGE ? 1 : 0);
	for (size_t i = 0; !r && i < n; i++)
		r = add_one(a, &items[i]);
	if (!r)
		r = store_page(a);
	/* The term that says that it is known comes last. */
	for (size_t i = n; !r && i > 0; i--)
		r = add_terms(a, &items[i - 1], first);
	return r;
}

int cof_index_add_items(struct cof_index *ix, uint64_t sequence, const struct cof_index_item *items,
			size_t n)
{
	struct adding a = {.ix = ix, .sequence = sequence};
	for (size_t i = 0; i < n; i++)
		if (items[i].n > COF_INDEX_ITEM_MAX || !items[i].n_terms ||
		    items[i].n_terms > COF_INDEX_TERMS)
			return -EINVAL;
	if (!n)
		return 0;
	ix_lock(&ix->put_lock);
	int r = add_all(&a, items, n);
	ix_unlock(&ix->put_lock);
	cof_buf_done(&a.buf);
	return r;
}
