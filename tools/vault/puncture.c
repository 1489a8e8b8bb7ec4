/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault carries out what people of an archive destroyed and it permitted by its own copy, people and clock (ending.c,
 * judged.c): what leads to the keys goes out of every tree R that it was given, then the sealed bytes are overwritten, synced, given
 * back and read again, and for each request a receipt is signed. A receipt says that all of it is gone, or there is none. After
 * a crash all of it is done once more; what is done already changes nothing.
 */
#include <stdio.h>
#include <time.h>

#include "fs/rules/receipt.h"
#include "tools/vault/internal.h"

#define FIELDS_MAX 4096u

struct carrying {
	const struct vault_place *v;
	struct cof_io *io;
	struct cof_conf conf;
	struct vault_ending e;	    /* in order of inodes */
	struct cof_reader *reader;
	struct cof_eraser *eraser;
	uint64_t from;		    /* of R here; 0: it has none */
	int64_t begun;
	unsigned receipts;
	struct cof_diag *diag;
};

static int by_inode(const void *x, const void *y)
{
	const struct vault_ended *a = x, *b = y;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* What one receipt is about stands together. */
static int by_request(const void *x, const void *y)
{
	const struct vault_ended *a = x, *b = y;
	int c = memcmp(a->request, b->request, sizeof(a->request));

	if (!c && a->size != b->size)
		c = a->size < b->size ? -1 : 1;
	return c ? c : by_inode(x, y);
}

/* ---- what is to be done ---- */

/* Only what lies under a head that this vault has signed: another session may have brought another history instead. */
static int keep_signed(struct carrying *c)
{
	struct vault_source *source = NULL;
	struct cof_checkpoint head = {.size = 0};
	uint8_t root[COF_HASH];
	uint64_t known = 0;
	size_t n = 0;
	int r = vault_source_open(c->io, &source, c->diag);

	if (r < 0)
		return r;
	vault_source_note(source, &head);
	for (size_t i = 0; r == 0 && i < c->e.n; i++) {
		const struct vault_ended *one = &c->e.at[i];

		if (!one->size || one->size > head.size || one->sequence >= one->size)
			continue;
		if (one->size != known)
			r = vault_source_root(source, one->size, root, c->diag);
		known = one->size;
		if (r == 0 && cof_equal(root, one->root, COF_HASH))
			c->e.at[n++] = *one;
	}
	c->e.n = n;
	vault_source_free(source);
	return r;
}

/* ---- bytes ---- */

static struct vault_ended *of_inode(struct carrying *c, uint64_t inode)
{
	const struct vault_ended key = {.inode = inode};

	return inode ? bsearch(&key, c->e.at, c->e.n, sizeof(key), by_inode) : NULL;
}

static void read_count(struct carrying *c, const struct cof_frame *f, uint64_t at, struct vault_ended *one)
{
	uint8_t fields[FIELDS_MAX];
	size_t n = 0;

	if (f->public_length <= sizeof(fields) && cof_reader_bytes(c->reader, at + COF_FRAME_HEADER, fields, f->public_length, &n) == 0 &&
	    n == f->public_length)
		one->found = cof_field_u64(fields, n, COF_T_DESTROYED_FRAMES, &one->expected) == 0;
}

static int one_frame(struct carrying *c, const struct cof_frame *f, uint64_t at)
{
	struct vault_ended *one = f->type == COF_APPEND || f->type == COF_DESTROY ? of_inode(c, f->object) : NULL;

	if (!one)
		return 0;
	if (f->type == COF_DESTROY) {
		if (f->sequence == one->sequence)
			read_count(c, f, at, one);
		return 0;
	}
	if (f->sequence >= one->sequence)
		return 0;
	one->frames++;
	one->bytes += f->stored - f->public_length;
	return cof_eraser_frame(c->eraser, &c->conf, at, f);
}

/* All headers, once: a vault has no index. What cannot be read is passed over, and then counted as missing. */
static int walk(struct carrying *c, uint64_t end)
{
	uint64_t address = 0;
	int r = 0;

	while (r == 0 && address < end) {
		struct cof_frame f;

		r = cof_reader_header(c->reader, address, &f, NULL, NULL);
		if (r == 0)
			r = one_frame(c, &f, address);
		else if (r == -ENODATA || r == -EUCLEAN) {
			address = (address / c->conf.segment_size + 1) * c->conf.segment_size;
			r = 0;
			continue;
		}
		if (r == 0 && cof_reader_next(c->reader, address, &f, &address) < 0)
			address = (address / c->conf.segment_size + 1) * c->conf.segment_size;
	}
	return r;
}

static int erase(struct carrying *c)
{
	struct vault_source *source = NULL;
	uint64_t erased = 0, punched = 0, frames = 0;
	uint64_t end = 0;
	int r = vault_source_open(c->io, &source, c->diag);

	if (r == 0)
		end = vault_source_end(source);
	vault_source_free(source);
	if (r == 0)
		r = cof_reader_new(c->io, &c->conf, &c->reader);
	if (r == 0)
		r = cof_eraser_new(c->io, c->diag, &c->eraser);
	if (r == 0) {
		cof_reader_walk(c->reader, true);
		r = walk(c, end);
	}
	if (r == 0)
		r = cof_eraser_finish(c->eraser, &erased, &punched);
	for (size_t i = 0; i < c->e.n; i++)
		frames += c->e.at[i].frames;
	if (r == 0 && erased != frames)
		r = -EIO;
	for (size_t i = 0; r == 0 && i < c->e.n; i++)
		if (!c->e.at[i].found || c->e.at[i].frames < c->e.at[i].expected)
			r = cof_fail(c->diag, -EUCLEAN, "of the %llu frames of inode %llu, which was destroyed, only %llu are found: coffer-vault scrub",
				     (unsigned long long)c->e.at[i].expected, (unsigned long long)c->e.at[i].inode,
				     (unsigned long long)c->e.at[i].frames);
	return r;
}

/* ---- receipts ---- */

/* From i on, as many as one receipt holds; *ret: behind them. */
static int fill(const struct carrying *c, size_t i, struct cof_receipt *r, size_t *ret)
{
	const struct vault_ended *first = &c->e.at[i];
	int e = 0;

	memcpy(r->archive, c->conf.id, sizeof(r->archive));
	memcpy(r->request, first->request, sizeof(r->request));
	memcpy(r->root, first->root, COF_HASH);
	r->vkey = c->v->vkey;
	r->size = first->size;
	r->first = r->last = first->sequence;
	r->from = c->from;
	r->key = !c->from ? COF_RECEIPT_NONE : *c->v->tpm ? COF_RECEIPT_TPM2 : COF_RECEIPT_FILE;
	r->begun = c->begun;
	r->ended = COF_MAX(cof_now(CLOCK_REALTIME), c->begun);
	for (; e == 0 && i < c->e.n; i++) {
		const struct vault_ended *one = &c->e.at[i];

		if (one->size != first->size || memcmp(one->request, first->request, sizeof(one->request)) != 0)
			break;
		e = cof_receipt_add(r, one->inode);
		if (e == -E2BIG)
			break;
		r->first = COF_MIN(r->first, one->sequence);
		r->last = COF_MAX(r->last, one->sequence);
		r->leaves += c->from && one->inode >= c->from;
		r->frames += one->frames;
		r->bytes += one->bytes;
	}
	*ret = i;
	return e == -E2BIG ? 0 : e;
}

/* What a try before this one signed stays what was signed: with other times it would count twice for whoever adds up. */
static int sign_all(struct carrying *c)
{
	cof_autobuf struct cof_buf before = {0};
	int e = vault_receipts_signed(c->io, &before);

	for (size_t i = 0; e == 0 && i < c->e.n;) {
		struct cof_receipt r = {.size = 0};
		cof_autobuf struct cof_buf text = {0};

		e = fill(c, i, &r, &i);
		if (e == 0)
			e = cof_receipt_sign(&r, c->v->seed, &text);
		cof_receipt_done(&r);
		if (e == 0 && !vault_receipt_is_signed(&before, text.data, text.len))
			e = vault_receipt_keep(c->io, text.data, text.len, c->diag);
		c->receipts += e == 0;
	}
	return e;
}

/* ---- all of it ---- */

/* The same inodes as ranges, in order. */
static int ranges_of(const struct vault_ending *e, struct vault_ranges *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->n; i++)
		r = vault_range_add(ret, e->at[i].inode, 1);
	return r;
}

static int carry_out(struct carrying *c)
{
	struct vault_ranges gone = {.n = 0};
	int r = 0;

	if (c->e.n)
		qsort(c->e.at, c->e.n, sizeof(*c->e.at), by_inode);
	r = vault_destroyed_add(c->io, &c->e);
	if (r == 0)
		r = ranges_of(&c->e, &gone);
	if (r == 0)
		r = vault_keys_puncture(c->v, c->io, c->conf.id, &gone, &c->from, c->diag);
	vault_ranges_done(&gone);
	if (r == 0)
		r = vault_mending_drop(c->io);
	if (r == 0)
		r = erase(c);
	if (r == 0) {
		qsort(c->e.at, c->e.n, sizeof(*c->e.at), by_request);
		r = sign_all(c);
	}
	return r;
}

int vault_carry_out(const struct vault_place *v, struct cof_io *io, unsigned *ret_receipts, struct cof_diag *diag)
{
	struct cof_diag why = {""};
	struct carrying c = {.v = v, .io = io, .begun = cof_now(CLOCK_REALTIME), .diag = &why};
	int r = vault_ending_load(io, &c.e);
	bool any = c.e.n;

	if (r == 0 && any)
		r = cof_conf_load(io, &c.conf, c.diag);
	if (r == 0 && any)
		r = keep_signed(&c);
	if (r == 0 && c.e.n)
		r = carry_out(&c);
	if (r == 0 && any)
		r = vault_ending_save(io, &(struct vault_ending){.n = 0});
	cof_reader_free(c.reader);
	cof_eraser_free(c.eraser);
	vault_ending_done(&c.e);
	*ret_receipts = r == 0 ? c.receipts : 0;
	return r < 0 ? cof_fail(diag, r, "what the archive destroyed is not gone here yet: %s", *why.text ? why.text : strerror(-r)) : 0;
}
