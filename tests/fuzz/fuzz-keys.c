/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the boxes in keys/ hold: the top, the pages that it lists, the epoch (docs/format.md 7.2 and
 * 7.3). An input is their plaintexts; here they are sealed with the right keys and read from a
 * store, so that what comes after authentication is reached: an archive whose keys another program
 * wrote, or a key that leaked.
 *
 * An input: length of the top u16 ‖ top ‖ length of a page u16 ‖ page ‖ epoch. The page is given to
 * each of the first pages that the top lists.
 */
#include "fuzz.h"

#include <stdio.h>

#include "fs/archive/keys-box.h"
#include "fs/io/sim.h"

const unsigned fuzz_runs = 10000;

#define PAGES_MADE 4
#define EPOCH 7

static const uint8_t archive[16] = "an archive's id";
static const uint8_t root[COF_KEY] = {1, 2, 3}, state[COF_KEY] = {4, 5, 6};

struct parts {
	const uint8_t *top, *page, *epoch;
	size_t n_top, n_page, n_epoch;
};

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(8u << 20, NULL) == 0);
	done = true;
}

static struct cof_keys *keys_new(void)
{
	struct cof_keys *k = cof_secret_alloc(sizeof(*k));

	fuzz_check(k);
	memcpy(k->archive_id, archive, sizeof(archive));
	memcpy(k->root, root, COF_KEY);
	k->generation = 1;
	for (int t = 0; t < 2; t++) {
		k->tree[t] = cof_keytree_new();
		fuzz_check(k->tree[t]);
	}
	return k;
}

/* The next part of an input, whose length comes first. */
static size_t cut(const uint8_t **data, size_t *n, const uint8_t **ret)
{
	size_t len = 0;

	if (*n >= 2) {
		len = cof_get_le16(*data);
		*data += 2;
		*n -= 2;
	}
	len = COF_MIN(len, *n);
	*ret = *data;
	*data += len;
	*n -= len;
	return len;
}

static void put_box(struct cof_io *io, const char *path, enum cof_box_kind kind,
		    const uint8_t key[COF_KEY], uint64_t generation, uint64_t page,
		    const uint8_t *plain, size_t n)
{
	cof_autobuf struct cof_buf box = {0};

	fuzz_check(cof_box_seal(kind, key, archive, generation, page, plain, n, &box) == 0);
	fuzz_check(!box.failed && cof_io_replace(io, path, box.data, box.len) == 0);
}

static void put_pages(struct cof_io *io, const struct cof_keys *k, const struct parts *in)
{
	for (int t = 0; t < 2; t++) {
		for (size_t i = 0; i < k->n_pages[t] && i < PAGES_MADE; i++) {
			const struct cof_keys_page *p = &k->pages[t][i];
			char path[32];

			fuzz_check(p->number <= UINT32_MAX);
			snprintf(path, sizeof(path), "keys/%c-%08x", "hr"[t], (unsigned)p->number);
			put_box(io, path, t ? COF_BOX_PAGE_R : COF_BOX_PAGE_H, p->key,
				p->generation, p->number, in->page, in->n_page);
		}
	}
}

/* A refusal is one of these, and its sentence names the file. */
static bool answered(int err, const struct cof_diag *d, const char *file)
{
	fuzz_check(err == 0 || err == -EUCLEAN || err == -EBADMSG || err == -ENOENT ||
		   err == -ENOMEM);
	fuzz_check(err == 0 || strstr(d->text, file));
	return err == 0;
}

/* ---- what holds for keys that were taken ---- */

struct walk {
	uint64_t next; /* first inode number that no entry before covers */
	size_t in_top;
	struct cof_keytree_entry one; /* the first of all */
	bool any;
};

static int step(void *user, const struct cof_keytree_entry *e)
{
	struct walk *w = user;
	unsigned below = COF_KEYTREE_BITS - 4u * e->depth;
	uint64_t first;

	fuzz_check(e->depth <= COF_KEYTREE_LEVELS && !(e->prefix >> 4 * e->depth));
	first = e->prefix << below;
	fuzz_check(first >= w->next);
	w->next = first + (UINT64_C(1) << below);
	w->in_top += e->depth <= COF_KEYTREE_TOP;
	if (!w->any)
		w->one = *e;
	w->any = true;
	return 0;
}

/* Ends the first inode that a tree leads to: that one is gone, its neighbour is as it was. */
static void puncture(struct cof_keytree *tree, const struct cof_keytree_entry *e)
{
	uint64_t inode = e->prefix << (COF_KEYTREE_BITS - 4u * e->depth);
	bool neighbour = e->depth < COF_KEYTREE_LEVELS;
	uint8_t before[COF_KEY], leaf[COF_KEY];
	int err;

	fuzz_check(cof_keytree_derive(tree, inode, leaf) == 0);
	fuzz_check(!neighbour || cof_keytree_derive(tree, inode + 1, before) == 0);
	err = cof_keytree_puncture(tree, inode);
	fuzz_check(err == 0 || err == -ENOMEM);
	if (err)
		return;
	fuzz_check(cof_keytree_derive(tree, inode, leaf) == -ENOKEY);
	fuzz_check(cof_keytree_puncture(tree, inode) == -ENOKEY);
	if (!neighbour)
		return;
	fuzz_check(cof_keytree_derive(tree, inode + 1, leaf) == 0);
	fuzz_check(!memcmp(leaf, before, COF_KEY));
}

/* The top written again is read as the same. */
static void write_again(struct cof_io *io, const struct cof_keys *k, const struct walk w[2])
{
	struct cof_keys *again = keys_new();
	struct cof_diag d = {""};

	fuzz_check(cof_keys_write_top(k, io, false, &d) == 0);
	fuzz_check(cof_keys_read_top(again, io, &d) == 0);
	for (int t = 0; t < 2; t++) {
		fuzz_check(cof_keytree_count(again->tree[t]) == w[t].in_top);
		fuzz_check(again->n_pages[t] == k->n_pages[t]);
	}
	fuzz_check(again->n_wraps == k->n_wraps);
	fuzz_check(!memcmp(again->index, k->index, COF_KEY));
	fuzz_check(!memcmp(again->signing, k->signing, COF_KEY));
	fuzz_check(!memcmp(again->state, k->state, COF_KEY));
	cof_keys_free(again);
}

static void check_keys(struct cof_io *io, struct cof_keys *k)
{
	struct walk w[2] = {{0}, {0}};
	uint8_t leaf[COF_KEY];

	for (int t = 0; t < 2; t++) {
		fuzz_check(cof_keytree_each(k->tree[t], step, &w[t]) == 0);
		fuzz_check(cof_keytree_derive(k->tree[t], UINT64_C(1) << COF_KEYTREE_BITS, leaf) ==
			   -EINVAL);
	}
	write_again(io, k, w);
	for (int t = 0; t < 2; t++)
		if (w[t].any)
			puncture(k->tree[t], &w[t].one);
}

static void read_epoch(struct cof_io *io, const struct parts *in)
{
	struct cof_keys *k = keys_new();
	struct cof_diag d = {""};

	memcpy(k->state, state, COF_KEY);
	put_box(io, "keys/epoch", COF_BOX_EPOCH, state, EPOCH, 0, in->epoch, in->n_epoch);
	if (answered(cof_keys_read_epoch(k, io, &d), &d, "keys/epoch"))
		fuzz_check(k->next.epoch == EPOCH);
	else
		fuzz_check(k->next.epoch == 0);
	cof_keys_free(k);
}

static void read_all(struct cof_io *io, const struct parts *in)
{
	struct cof_keys *k = keys_new();
	struct cof_diag d = {""};

	put_box(io, "keys/top", COF_BOX_TOP, root, 1, 0, in->top, in->n_top);
	if (answered(cof_keys_read_top(k, io, &d), &d, "keys/top")) {
		put_pages(io, k, in);
		if (answered(cof_keys_read_pages(k, io, &d), &d, "keys/"))
			check_keys(io, k);
	}
	cof_keys_free(k);
	read_epoch(io, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_sim *sim = cof_sim_new(1);
	struct cof_io *io;
	struct parts in;

	init();
	in.n_top = cut(&data, &n, &in.top);
	in.n_page = cut(&data, &n, &in.page);
	in.epoch = data;
	in.n_epoch = n;
	fuzz_check(sim && cof_sim_open(sim, &io) == 0);
	fuzz_check(cof_io_mkdir(io, "keys") == 0);
	read_all(io, &in);
	cof_io_free(io);
	cof_sim_free(sim);
	return 0;
}

/* ---- seeds ---- */

static void put_entry(struct cof_buf *b, uint8_t tag, uint8_t depth, uint64_t prefix)
{
	uint8_t e[41] = {depth};

	cof_put_le64(e + 1, prefix);
	memset(e + 9, depth + 1, COF_KEY);
	cof_field_put(b, tag, e, sizeof(e));
}

static void put_listed(struct cof_buf *b, uint8_t tag, uint64_t number)
{
	uint8_t p[48];

	cof_put_le64(p, number);
	cof_put_le64(p + 8, 3);
	memset(p + 16, 9, COF_KEY);
	cof_field_put(b, tag, p, sizeof(p));
}

static void put_rest(struct cof_buf *b)
{
	static const uint8_t key[COF_KEY] = {0x11}, wrap[37] = {2, 1};

	for (uint8_t tag = 5; tag <= 7; tag++)
		cof_field_put(b, tag, key, sizeof(key));
	cof_field_put(b, 9, wrap, sizeof(wrap));
}

static void seed(const struct cof_buf *top, const struct cof_buf *page)
{
	cof_autobuf struct cof_buf all = {0};
	uint8_t len[2], epoch[44] = {EPOCH};

	cof_put_le16(len, (uint16_t)top->len);
	cof_buf_add(&all, len, 2);
	cof_buf_add(&all, top->data, top->len);
	cof_put_le16(len, (uint16_t)page->len);
	cof_buf_add(&all, len, 2);
	cof_buf_add(&all, page->data, page->len);
	epoch[8] = 1; /* lineage */
	cof_field_put(&all, 16, epoch, sizeof(epoch));
	fuzz_check(!all.failed);
	fuzz_seed(all.data, all.len);
}

/* A new archive, and one where inode 0x123456789abc was destroyed in both trees. */
void fuzz_seeds(void)
{
	const uint64_t gone = 0x123456789abcu;

	for (int destroyed = 0; destroyed < 2; destroyed++) {
		cof_autobuf struct cof_buf top = {0}, page = {0};

		for (uint8_t t = 1; t <= 2; t++) {
			if (!destroyed)
				put_entry(&top, t, 0, 0);
			for (uint8_t d = 1; destroyed && d <= COF_KEYTREE_LEVELS; d++) {
				uint64_t on_way = gone >> (COF_KEYTREE_BITS - 4u * d);
				struct cof_buf *b = d <= COF_KEYTREE_TOP ? &top : &page;

				for (uint64_t s = 0; s < 16; s++)
					if (s != (on_way & 15))
						put_entry(b, t, d, (on_way & ~UINT64_C(15)) | s);
			}
			if (destroyed)
				put_listed(&top, t + 2, gone >> 16);
		}
		put_rest(&top);
		seed(&top, &page);
	}
}
