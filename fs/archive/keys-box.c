/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the boxes in keys/ hold, coded and decoded (docs/format.md 7.2 and 7.3).
 *
 * keys/top   H and R entries of depth <= 8 · the list of pages · index, signing, state and wrap keys
 * keys/h-…   entries of H deeper than 8 below one 32-bit prefix; keys/r-… the same for R
 * keys/epoch the epoch, its lineage, its secret, and what it is mixed with
 *
 * Plaintext is written into and read from secure memory only, in one piece of exactly the size
 * needed: a growing buffer would leave copies behind.
 */
#include <stdio.h>

#include "fs/archive/keys-box.h"

enum { /* tags, their own space */
	TAG_ENTRY_H = 1, TAG_ENTRY_R, TAG_PAGE_H, TAG_PAGE_R, TAG_INDEX, TAG_SIGNING, TAG_STATE,
	TAG_NV = 8, TAG_WRAP, TAG_EVENT, TAG_ANCHOR, TAG_AUDITOR, TAG_ENROLLED, TAG_ENVELOPED, TAG_EPOCH = 16,
};

#define FIELD 3 /* bytes of tag and length */
#define ENTRY_LEN (1 + 8 + COF_KEY)
#define PAGE_LEN (8 + 8 + COF_KEY)
#define WRAP_LEN (1 + 4 + COF_KEY)
#define NV_LEN (4 + COF_TPM_AUTH)
#define ANCHOR_LEN (4 + 8 + 8)
#define ENROLLED_LEN 8
#define EPOCH_LEN (8 + 4 + COF_KEY + 8 + COF_KEY)
#define EVENT_MOST (COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND)

#define TOP_FILE COF_KEYS_TOP
#define TOP_NEXT "keys/top.next"
#define EPOCH_FILE COF_KEYS_EPOCH

/* ---- writing ---- */

struct plain { /* secure memory that fills up */
	uint8_t *data;
	size_t len, cap;
};

/* Room for a field's value, after its tag and length. NULL: the sum of sizes was wrong. */
static uint8_t *plain_field(struct plain *p, uint8_t tag, uint16_t len)
{
	uint8_t *at = p->data + p->len;

	if (p->cap - p->len < (size_t)FIELD + len)
		return NULL;
	at[0] = tag;
	cof_put_le16(at + 1, len);
	p->len += (size_t)FIELD + len;
	return at + FIELD;
}

static int plain_key(struct plain *p, uint8_t tag, const uint8_t key[COF_KEY])
{
	uint8_t *at = plain_field(p, tag, COF_KEY);

	if (!at)
		return -EOVERFLOW;
	memcpy(at, key, COF_KEY);
	return 0;
}

struct entry_writer {
	struct plain *plain;
	uint8_t tag;
	bool deep;     /* of a page: those below this prefix of 32 bits; else those of the top */
	uint64_t page;
	size_t count; /* of a page, without plain: how many there are */
};

static uint64_t page_of(const struct cof_keytree_entry *e)
{
	return e->prefix >> 4 * (e->depth - COF_KEYTREE_TOP);
}

static int write_entry(void *user, const struct cof_keytree_entry *e)
{
	struct entry_writer *w = user;
	uint8_t *at;

	if ((e->depth > COF_KEYTREE_TOP) != w->deep || (w->deep && page_of(e) != w->page))
		return 0;
	w->count++;
	if (!w->plain)
		return 0;
	at = plain_field(w->plain, w->tag, ENTRY_LEN);
	if (!at)
		return -EOVERFLOW;
	at[0] = e->depth;
	cof_put_le64(at + 1, e->prefix);
	memcpy(at + 9, e->seed, COF_KEY);
	return 0;
}

static int encode_nv(const struct cof_keys *k, struct plain *p)
{
	uint8_t *nv, *anchor;

	if (!k->nv.here)
		return 0;
	nv = plain_field(p, TAG_NV, NV_LEN);
	anchor = nv ? plain_field(p, TAG_ANCHOR, ANCHOR_LEN) : NULL;
	if (!anchor)
		return -EOVERFLOW;
	cof_put_le32(nv, k->nv.seal);
	memcpy(nv + 4, k->nv.auth, COF_TPM_AUTH);
	cof_put_le32(anchor, k->nv.anchor);
	cof_put_le64(anchor + 4, k->nv.anchor_base);
	memcpy(anchor + 12, k->nv.anchor_id, 8);
	return 0;
}

static int encode_u64(struct plain *p, uint8_t tag, uint64_t v)
{
	uint8_t *at = v ? plain_field(p, tag, ENROLLED_LEN) : NULL;

	if (at)
		cof_put_le64(at, v);
	return at || !v ? 0 : -EOVERFLOW;
}

static int encode_enrolled(const struct cof_keys *k, struct plain *p)
{
	int err = encode_u64(p, TAG_ENROLLED, k->enrolled);

	return err ? err : encode_u64(p, TAG_ENVELOPED, k->enveloped);
}

static int encode_top(const struct cof_keys *k, struct plain *p)
{
	int err = 0;

	for (int t = 0; t < 2 && !err; t++) {
		struct entry_writer w = {.plain = p, .tag = (uint8_t)(TAG_ENTRY_H + t)};

		err = cof_keytree_each(k->tree[t], write_entry, &w);
	}
	for (int t = 0; t < 2 && !err; t++) {
		for (size_t i = 0; i < k->n_pages[t]; i++) {
			uint8_t *at = plain_field(p, (uint8_t)(TAG_PAGE_H + t), PAGE_LEN);

			if (!at)
				return -EOVERFLOW;
			cof_put_le64(at, k->pages[t][i].number);
			cof_put_le64(at + 8, k->pages[t][i].generation);
			memcpy(at + 16, k->pages[t][i].key, COF_KEY);
		}
	}
	if (!err)
		err = plain_key(p, TAG_INDEX, k->index);
	if (!err)
		err = plain_key(p, TAG_SIGNING, k->signing);
	if (!err)
		err = plain_key(p, TAG_STATE, k->state);
	for (size_t i = 0; i < k->n_wraps && !err; i++) {
		uint8_t *at = plain_field(p, TAG_WRAP, WRAP_LEN);

		if (!at)
			return -EOVERFLOW;
		at[0] = k->wraps[i].kind;
		cof_put_le32(at + 1, k->wraps[i].n);
		memcpy(at + 5, k->wraps[i].key, COF_KEY);
	}
	if (!err)
		err = encode_nv(k, p);
	if (!err)
		err = encode_enrolled(k, p);
	for (size_t i = 0; i < k->n_auditors && !err; i++)
		err = plain_key(p, TAG_AUDITOR, k->auditors[i]);
	for (size_t i = 0; i < k->events.n && !err; i++) {
		uint8_t event[EVENT_MOST];
		size_t n = cof_opener_event_store(&k->events.event[i], event);
		uint8_t *at = plain_field(p, TAG_EVENT, (uint16_t)n);

		if (!at)
			return -EOVERFLOW;
		memcpy(at, event, n);
	}
	return err;
}

static int write_box(struct cof_io *io, const char *path, const struct cof_buf *box,
		     struct cof_diag *diag)
{
	int err = box->failed ? -ENOMEM : cof_io_replace(io, path, box->data, box->len);

	return err ? cof_fail(diag, err, "%s/%s could not be written: %s", cof_io_where(io), path,
			      strerror(-err))
		   : 0;
}

int cof_keys_write_top(const struct cof_keys *k, struct cof_io *io, bool next, struct cof_diag *diag)
{
	size_t entries = cof_keytree_count(k->tree[0]) + cof_keytree_count(k->tree[1]);
	size_t pages = k->n_pages[0] + k->n_pages[1];
	size_t cap = entries * (FIELD + ENTRY_LEN) + pages * (FIELD + PAGE_LEN) +
		     (3 + k->n_auditors) * (FIELD + COF_KEY) + k->n_wraps * (FIELD + WRAP_LEN) +
		     k->events.n * (FIELD + EVENT_MOST) + 4 * FIELD + NV_LEN + ANCHOR_LEN + 2 * ENROLLED_LEN;
	cof_autosecret uint8_t *plain = cof_secret_alloc(cap);
	struct plain p = {plain, 0, cap};
	cof_autobuf struct cof_buf box = {0};
	int err;

	if (!plain)
		return cof_fail(diag, -ENOMEM, "no secure memory left for %s", TOP_FILE);
	err = encode_top(k, &p);
	if (!err)
		err = cof_box_seal(COF_BOX_TOP, k->root, k->archive_id, k->generation, 0, plain,
				   p.len, &box);
	if (err)
		return cof_fail(diag, err, "%s could not be sealed: %s", TOP_FILE, strerror(-err));
	if (k->staged)
		return write_box(io, TOP_FILE COF_KEYS_STAGED, &box, diag);
	return write_box(io, next ? TOP_NEXT : TOP_FILE, &box, diag);
}

static void page_path(int tree, uint64_t number, const char *end, char out[48])
{
	snprintf(out, 48, "keys/%c-%08x%s", "hr"[tree], (unsigned)number, end);
}

int cof_keys_write_page(const struct cof_keys *k, struct cof_io *io, int tree, const struct cof_keys_page *p, bool next,
			struct cof_diag *diag)
{
	struct entry_writer w = {.tag = (uint8_t)(TAG_ENTRY_H + tree), .deep = true, .page = p->number};
	cof_autosecret uint8_t *plain = NULL;
	cof_autobuf struct cof_buf box = {0};
	struct plain into = {0};
	char path[48];
	int err;

	page_path(tree, p->number, k->staged ? COF_KEYS_STAGED : next ? COF_KEYS_NEXT : "", path);
	(void)cof_keytree_each(k->tree[tree], write_entry, &w);
	into.cap = w.count * (FIELD + ENTRY_LEN);
	into.data = plain = cof_secret_alloc(COF_MAX(into.cap, (size_t)1));
	if (!plain)
		return cof_fail(diag, -ENOMEM, "no secure memory left for %s", path);
	w.plain = &into;
	err = cof_keytree_each(k->tree[tree], write_entry, &w);
	if (!err)
		err = cof_box_seal(tree ? COF_BOX_PAGE_R : COF_BOX_PAGE_H, p->key, k->archive_id, p->generation, p->number,
				   plain, into.len, &box);
	if (err)
		return cof_fail(diag, err, "%s could not be sealed: %s", path, strerror(-err));
	return write_box(io, path, &box, diag);
}

int cof_keys_write_epoch(const struct cof_keys *k, struct cof_io *io, const struct cof_keys_epoch *e,
			 struct cof_diag *diag)
{
	cof_autosecret uint8_t *plain = cof_secret_alloc(FIELD + EPOCH_LEN);
	struct plain p = {plain, 0, FIELD + EPOCH_LEN};
	cof_autobuf struct cof_buf box = {0};
	uint8_t *at;
	int err;

	if (!plain)
		return cof_fail(diag, -ENOMEM, "no secure memory left for %s", EPOCH_FILE);
	at = plain_field(&p, TAG_EPOCH, EPOCH_LEN);
	if (!at)
		return -EOVERFLOW;
	cof_put_le64(at, e->epoch);
	cof_put_le32(at + 8, e->lineage);
	memcpy(at + 12, e->secret, COF_KEY);
	cof_put_le64(at + 44, e->mixed_at);
	memcpy(at + 52, e->mix, COF_KEY);
	err = cof_box_seal(COF_BOX_EPOCH, k->state, k->archive_id, e->epoch, 0, plain, p.len, &box);
	if (err)
		return cof_fail(diag, err, "%s could not be sealed: %s", EPOCH_FILE,
				strerror(-err));
	return write_box(io, k->staged ? EPOCH_FILE COF_KEYS_STAGED : EPOCH_FILE, &box, diag);
}

/* ---- reading ---- */

static int damaged(struct cof_io *io, const char *path, const char *how, struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN, "%s/%s is damaged: %s; restore it from a copy",
			cof_io_where(io), path, how);
}

static int open_box(struct cof_io *io, const char *path, enum cof_box_kind kind,
		    const uint8_t key[COF_KEY], const uint8_t archive_id[16], uint64_t page,
		    uint64_t *ret_generation, void **ret_plain, size_t *ret_n,
		    struct cof_diag *diag)
{
	cof_autofree uint8_t *box = NULL;
	size_t len = 0;
	int err = cof_io_load(io, path, COF_BOX_MAX, &box, &len);

	if (err == -ENOENT)
		return cof_fail(diag, err, "%s/%s is missing: restore it from a copy",
				cof_io_where(io), path);
	if (err == -EFBIG)
		return damaged(io, path, "longer than it can be", diag);
	if (err)
		return cof_fail(diag, err, "%s/%s could not be read: %s", cof_io_where(io), path,
				strerror(-err));
	err = cof_box_open(kind, key, archive_id, page, box, len, ret_generation, ret_plain, ret_n);
	if (err == -EXDEV)
		return cof_fail(diag, err,
				"%s/%s belongs to another archive than archive.conf names: put back this "
				"archive's own file, or its archive.conf",
				cof_io_where(io), path);
	if (err == -EBADMSG)
		return cof_fail(diag, err,
				"%s/%s does not open with this archive's keys: it is damaged, or "
				"from another time than the rest; restore keys/ and seal/ together",
				cof_io_where(io), path);
	if (err == -EUCLEAN)
		return damaged(io, path, "not the form of a key box", diag);
	return err ? cof_fail(diag, err, "%s/%s could not be opened: %s", cof_io_where(io), path,
			      strerror(-err))
		   : 0;
}

static int add_entry(struct cof_keytree *tree, const struct cof_field *f, bool top, uint64_t page)
{
	cof_autosecret struct cof_keytree_entry *e = cof_secret_alloc(sizeof(*e));

	if (!e)
		return -ENOMEM;
	if (f->len != ENTRY_LEN)
		return -EUCLEAN;
	e->depth = f->value[0];
	e->prefix = cof_get_le64(f->value + 1);
	memcpy(e->seed, f->value + 9, COF_KEY);
	if (e->depth > COF_KEYTREE_LEVELS || (e->depth > COF_KEYTREE_TOP) == top)
		return -EUCLEAN;
	if (!top && e->prefix >> 4 * (e->depth - COF_KEYTREE_TOP) != page)
		return -EUCLEAN;
	return cof_keytree_add(tree, e);
}

/* How many fields with this tag, so that one allocation suffices. */
static size_t count_tag(const void *plain, size_t n, uint8_t tag)
{
	struct cof_field f;
	size_t off = 0, count = 0;

	while (cof_field_next(plain, n, &off, &f) > 0)
		count += f.tag == tag;
	return count;
}

static int top_lists_new(struct cof_keys *k, const void *plain, size_t n)
{
	size_t wraps = count_tag(plain, n, TAG_WRAP), auditors = count_tag(plain, n, TAG_AUDITOR);

	for (int t = 0; t < 2; t++) {
		size_t pages = count_tag(plain, n, (uint8_t)(TAG_PAGE_H + t));

		if (!pages)
			continue;
		k->pages[t] = cof_secret_alloc(pages * sizeof(*k->pages[t]));
		if (!k->pages[t])
			return -ENOMEM;
	}
	if (wraps) {
		k->wraps = cof_secret_alloc(wraps * sizeof(*k->wraps));
		if (!k->wraps)
			return -ENOMEM;
	}
	if (auditors) {
		k->auditors = calloc(auditors, COF_KEY);
		if (!k->auditors)
			return -ENOMEM;
	}
	return 0;
}

/* Both or none. */
static int take_nv(struct cof_keys *k, const void *plain, size_t n)
{
	struct cof_field nv, anchor;
	bool has = cof_field_find(plain, n, TAG_NV, &nv) == 0;

	if (has != (cof_field_find(plain, n, TAG_ANCHOR, &anchor) == 0))
		return -EUCLEAN;
	if (!has)
		return 0;
	if (nv.len != NV_LEN || anchor.len != ANCHOR_LEN)
		return -EUCLEAN;
	k->nv.here = true;
	k->nv.seal = cof_get_le32(nv.value);
	memcpy(k->nv.auth, nv.value + 4, COF_TPM_AUTH);
	k->nv.anchor = cof_get_le32(anchor.value);
	k->nv.anchor_base = cof_get_le64(anchor.value + 4);
	memcpy(k->nv.anchor_id, anchor.value + 12, 8);
	return 0;
}

static int take_auditor(struct cof_keys *k, const struct cof_field *f)
{
	if (f->len != COF_KEY)
		return -EUCLEAN;
	memcpy(k->auditors[k->n_auditors++], f->value, COF_KEY);
	return 0;
}

static int take_page(struct cof_keys *k, int t, const struct cof_field *f)
{
	struct cof_keys_page *p = &k->pages[t][k->n_pages[t]];

	if (f->len != PAGE_LEN)
		return -EUCLEAN;
	p->number = cof_get_le64(f->value);
	p->generation = cof_get_le64(f->value + 8);
	memcpy(p->key, f->value + 16, COF_KEY);
	if (p->number > UINT32_MAX)
		return -EUCLEAN;
	k->n_pages[t]++;
	return 0;
}

static int take_wrap(struct cof_keys *k, const struct cof_field *f)
{
	struct cof_keys_wrap *w = &k->wraps[k->n_wraps];

	if (f->len != WRAP_LEN)
		return -EUCLEAN;
	w->kind = f->value[0];
	w->n = cof_get_le32(f->value + 1);
	memcpy(w->key, f->value + 5, COF_KEY);
	k->n_wraps++;
	return 0;
}

static int take_event(struct cof_keys *k, const struct cof_field *f)
{
	struct cof_opener_event e;
	int err = cof_opener_event_load(f->value, f->len, &e);

	if (!err)
		cof_opener_events_add(&k->events, &e);
	return err;
}

static int take_top(struct cof_keys *k, const struct cof_field *f)
{
	switch (f->tag) {
	case TAG_ENTRY_H:
	case TAG_ENTRY_R:
		return add_entry(k->tree[f->tag - TAG_ENTRY_H], f, true, 0);
	case TAG_PAGE_H:
	case TAG_PAGE_R:
		return take_page(k, f->tag - TAG_PAGE_H, f);
	case TAG_WRAP:
		return take_wrap(k, f);
	case TAG_AUDITOR:
		return take_auditor(k, f);
	case TAG_ENROLLED:
		if (f->len != ENROLLED_LEN)
			return -EUCLEAN;
		k->enrolled = cof_get_le64(f->value);
		return k->enrolled && k->enrolled % COF_KEYTREE_CUT == 0 ? 0 : -EUCLEAN;
	case TAG_ENVELOPED:
		if (f->len != ENROLLED_LEN)
			return -EUCLEAN;
		k->enveloped = cof_get_le64(f->value);
		return 0;
	case TAG_EVENT:
		return take_event(k, f);
	default:
		return 0;
	}
}

static int decode_top(struct cof_keys *k, const void *plain, size_t n)
{
	struct cof_field f;
	size_t off = 0;
	int more, err = top_lists_new(k, plain, n);

	while (!err && (more = cof_field_next(plain, n, &off, &f)) != 0)
		err = more < 0 ? more : take_top(k, &f);
	if (!err)
		err = cof_field_bytes(plain, n, TAG_INDEX, k->index, COF_KEY);
	if (!err)
		err = cof_field_bytes(plain, n, TAG_SIGNING, k->signing, COF_KEY);
	if (!err)
		err = cof_field_bytes(plain, n, TAG_STATE, k->state, COF_KEY);
	return err ? err : take_nv(k, plain, n);
}

/* What is authentic but makes no sense was written by something else than Coffer 1. */
static int nonsense(int err)
{
	return err == -ENOMEM ? err : -EUCLEAN;
}

int cof_keys_top_generation(struct cof_io *io, bool next, uint64_t *ret)
{
	cof_autofile struct cof_file *f = NULL;
	uint8_t head[COF_BOX_OVERHEAD];
	size_t n = 0;
	int err = cof_io_open(io, next ? TOP_NEXT : TOP_FILE, COF_IO_RDONLY, &f);

	if (err == 0)
		err = cof_io_read(f, head, sizeof(head), 0, &n);
	if (err == 0 && n < sizeof(head))
		err = -EUCLEAN;
	if (err == 0)
		*ret = cof_get_le64(head + 32);
	return err;
}

int cof_keys_read_top(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag)
{
	const char *path = k->top_next ? TOP_NEXT : TOP_FILE;
	void *opened = NULL;
	cof_autosecret void *plain = NULL;
	uint64_t generation = 0;
	size_t n = 0;
	int err = open_box(io, path, COF_BOX_TOP, k->root, k->archive_id, 0, &generation, &opened, &n,
			   diag);

	plain = opened;
	if (err)
		return err;
	if (generation != k->generation)
		return damaged(io, path, "its generation is not the root key's", diag);
	err = decode_top(k, plain, n);
	if (err && nonsense(err) == -ENOMEM)
		return cof_fail(diag, -ENOMEM, "no secure memory left for %s", path);
	return err ? damaged(io, path, "its content makes no sense", diag) : 0;
}

/* Which file has the page of this generation: while a renewal or a recovery is not finished it may be the one that
 * comes, or its name may have it already. Unproven; the box is what proves it. */
static void find_page(struct cof_io *io, int t, const struct cof_keys_page *p, char path[48])
{
	static const char *const ends[] = {"", COF_KEYS_NEXT, COF_KEYS_STAGED};

	for (size_t i = 0; i < COF_COUNT(ends); i++) {
		cof_autofile struct cof_file *f = NULL;
		uint8_t head[COF_BOX_OVERHEAD];
		size_t n = 0;

		page_path(t, p->number, ends[i], path);
		if (cof_io_open(io, path, COF_IO_RDONLY, &f) == 0 && cof_io_read(f, head, sizeof(head), 0, &n) == 0 &&
		    n == sizeof(head) && cof_get_le64(head + 32) == p->generation)
			return;
	}
	page_path(t, p->number, "", path);
}

static int read_page(struct cof_keys *k, struct cof_io *io, int t, const struct cof_keys_page *p,
		     struct cof_diag *diag)
{
	void *opened = NULL;
	cof_autosecret void *plain = NULL;
	struct cof_field f;
	uint64_t generation = 0;
	size_t n = 0, off = 0;
	char path[48];
	int err, more;

	find_page(io, t, p, path);
	err = open_box(io, path, t ? COF_BOX_PAGE_R : COF_BOX_PAGE_H, p->key, k->archive_id,
		       p->number, &generation, &opened, &n, diag);
	plain = opened;
	if (err)
		return err;
	if (generation != p->generation)
		return damaged(io, path, "its generation is not the one that keys/top lists", diag);
	while (!err && (more = cof_field_next(plain, n, &off, &f)) != 0) {
		if (more < 0)
			err = more;
		else if (f.tag == TAG_ENTRY_H + t)
			err = add_entry(k->tree[t], &f, false, p->number);
	}
	if (err && nonsense(err) == -ENOMEM)
		return cof_fail(diag, -ENOMEM, "no secure memory left for %s", path);
	return err ? damaged(io, path, "its content makes no sense", diag) : 0;
}

int cof_keys_read_pages(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag)
{
	for (int t = 0; t < 2; t++) {
		for (size_t i = 0; i < k->n_pages[t]; i++) {
			int err = read_page(k, io, t, &k->pages[t][i], diag);

			if (err)
				return err;
		}
	}
	return 0;
}

int cof_keys_read_epoch(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag)
{
	void *opened = NULL;
	cof_autosecret void *plain = NULL;
	struct cof_field f;
	uint64_t generation = 0;
	size_t n = 0;
	int err = open_box(io, EPOCH_FILE, COF_BOX_EPOCH, k->state, k->archive_id, 0, &generation,
			   &opened, &n, diag);

	plain = opened;
	if (err)
		return err;
	if (cof_field_find(plain, n, TAG_EPOCH, &f) || f.len != EPOCH_LEN ||
	    cof_get_le64(f.value) != generation || !generation)
		return damaged(io, EPOCH_FILE, "its content makes no sense", diag);
	k->next.epoch = generation;
	k->next.lineage = cof_get_le32(f.value + 8);
	memcpy(k->next.secret, f.value + 12, COF_KEY);
	k->next.mixed_at = cof_get_le64(f.value + 44);
	memcpy(k->next.mix, f.value + 52, COF_KEY);
	k->next.writes = 0;
	return 0;
}
