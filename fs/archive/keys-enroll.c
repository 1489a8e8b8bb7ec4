/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of R that vaults have (docs/format.md 7.12). Its plaintext, before age seals it to a vault, or a vault to who
 * restores:
 *
 *    0  8  "COFVAUR1"
 *    8  8  the inode number from which on it is R
 *   16 16  archive id
 *   32     fields: entries of R at any depth (2), none of them below that number
 *
 * Nothing follows. Plaintext is in secure memory only.
 */
#include "fs/archive/archive.h"
#include "fs/archive/keys-box.h"

#define MAGIC "COFVAUR1"
#define HEAD 32
#define FIELD 3
#define ENTRY_LEN (1 + 8 + COF_KEY)
enum { TAG_ENTRY_R = 2 };

uint64_t cof_keys_enrolled(const struct cof_keys *k)
{
	return k->enrolled;
}

bool cof_keys_envelope_behind(const struct cof_keys *k)
{
	return k->enrolled != k->enveloped;
}

static uint64_t first_below(const struct cof_keytree_entry *e)
{
	return e->prefix << (COF_KEYTREE_BITS - 4 * e->depth);
}

/* ---- enrolling ---- */

/* To come in the place of R: whoever derives has the old one or the new one, which agree below `from`. */
static int other_tree(const struct cof_keys *k, uint64_t from, struct cof_keytree **ret)
{
	struct cof_keytree *t = cof_keytree_copy(k->tree[1]);
	int r = t ? cof_keytree_fresh(t, from) : -ENOMEM;

	if (r < 0) {
		cof_keytree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static void swap(struct cof_keys *k, struct cof_keytree **tree, uint64_t enrolled)
{
	struct cof_keytree *old = k->tree[1];

	pthread_rwlock_wrlock(k->lock);
	k->tree[1] = *tree;
	k->enrolled = enrolled;
	pthread_rwlock_unlock(k->lock);
	*tree = old;
}

int cof_keys_enroll(struct cof_keys *k, struct cof_io *io, uint64_t next, struct cof_diag *diag)
{
	uint64_t from = (next + COF_KEYTREE_CUT - 1) / COF_KEYTREE_CUT * COF_KEYTREE_CUT;
	struct cof_keytree *tree = NULL;
	int r;

	if (k->enrolled)
		return 0;
	if (k->top_next)
		return cof_fail(diag, -EAGAIN, "a renewal of the seal was not finished: coffer seal renew finishes it, then vaults can be enrolled");
	r = other_tree(k, from, &tree);
	if (r < 0)
		return cof_fail(diag, r, "the tree R for vaults cannot be made: %s", r == -ENOMEM ? "no secure memory left" : strerror(-r));
	swap(k, &tree, from);
	r = cof_keys_write_top(k, io, false, diag);
	if (r < 0)
		swap(k, &tree, 0);
	cof_keytree_free(tree);
	return r;
}

/* ---- what a vault gets ---- */

struct part {
	uint64_t from;
	size_t count;
	uint8_t *at; /* NULL: they are counted */
};

static int put_entry(void *user, const struct cof_keytree_entry *e)
{
	struct part *p = user;

	if (first_below(e) < p->from)
		return 0;
	p->count++;
	if (!p->at)
		return 0;
	p->at[0] = TAG_ENTRY_R;
	cof_put_le16(p->at + 1, ENTRY_LEN);
	p->at[FIELD] = e->depth;
	cof_put_le64(p->at + FIELD + 1, e->prefix);
	memcpy(p->at + FIELD + 9, e->seed, COF_KEY);
	p->at += FIELD + ENTRY_LEN;
	return 0;
}

static int plain_of(const struct cof_keytree *tree, const uint8_t archive_id[16], uint64_t from, void **ret, size_t *ret_n)
{
	struct part p = {.from = from};
	uint8_t *plain;
	size_t n;

	(void)cof_keytree_each(tree, put_entry, &p);
	n = HEAD + p.count * (FIELD + ENTRY_LEN);
	plain = cof_secret_alloc(n);
	if (!plain)
		return -ENOMEM;
	memcpy(plain, MAGIC, 8);
	cof_put_le64(plain + 8, from);
	memcpy(plain + 16, archive_id, 16);
	p.at = plain + HEAD;
	(void)cof_keytree_each(tree, put_entry, &p);
	*ret = plain;
	*ret_n = n;
	return 0;
}

int cof_keys_vault_plain(const struct cof_keys *k, void **ret, size_t *ret_n)
{
	return k->enrolled ? plain_of(k->tree[1], k->archive_id, k->enrolled, ret, ret_n) : -ENODATA;
}

/* ---- reading it ---- */

static int take_entry(struct cof_keytree *tree, const struct cof_field *f, uint64_t from)
{
	cof_autosecret struct cof_keytree_entry *e = cof_secret_alloc(sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	if (f->tag != TAG_ENTRY_R || f->len != ENTRY_LEN)
		return -EUCLEAN;
	e->depth = f->value[0];
	e->prefix = cof_get_le64(f->value + 1);
	memcpy(e->seed, f->value + 9, COF_KEY);
	if (e->depth > COF_KEYTREE_LEVELS || first_below(e) < from)
		return -EUCLEAN;
	r = cof_keytree_add(tree, e);
	return r == -EEXIST ? -EUCLEAN : r;
}

static int take_entries(struct cof_keytree *tree, const uint8_t *p, size_t n, uint64_t from)
{
	struct cof_field f;
	size_t off = 0;
	int more, r = 0;

	while (r == 0 && (more = cof_field_next(p, n, &off, &f)) != 0)
		r = more < 0 ? -EUCLEAN : take_entry(tree, &f, from);
	return r;
}

static int head_of(const uint8_t archive_id[16], const uint8_t *p, size_t n, uint64_t *ret_from)
{
	if (n < HEAD || memcmp(p, MAGIC, 8) != 0)
		return -EUCLEAN;
	if (memcmp(p + 16, archive_id, 16) != 0)
		return -EXDEV;
	*ret_from = cof_get_le64(p + 8);
	return *ret_from && *ret_from < UINT64_C(1) << COF_KEYTREE_BITS && *ret_from % COF_KEYTREE_CUT == 0 ? 0 : -EUCLEAN;
}

static int read_part(const uint8_t archive_id[16], const void *plain, size_t n, struct cof_keytree **ret, uint64_t *ret_from)
{
	struct cof_keytree *t = cof_keytree_new();
	int r = t ? head_of(archive_id, plain, n, ret_from) : -ENOMEM;

	if (r == 0)
		r = take_entries(t, (const uint8_t *)plain + HEAD, n - HEAD, *ret_from);
	if (r < 0) {
		cof_keytree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

int cof_keys_vault_check(const uint8_t archive_id[16], const void *plain, size_t n, uint64_t *ret_from)
{
	struct cof_keytree *t = NULL;
	int r = read_part(archive_id, plain, n, &t, ret_from);

	cof_keytree_free(t);
	return r;
}

/* ---- what was destroyed ---- */

int cof_keys_vault_puncture(const uint8_t archive_id[16], const void *plain, size_t n, const struct cof_inode_range *range, size_t n_ranges,
			    void **ret, size_t *ret_n)
{
	struct cof_keytree *t = NULL;
	uint64_t from = 0;
	int r = read_part(archive_id, plain, n, &t, &from);

	for (size_t i = 0; r == 0 && i < n_ranges; i++)
		for (uint64_t k = 0; r == 0 && k < range[i].count; k++) {
			r = range[i].first + k >= from ? cof_keytree_puncture(t, range[i].first + k) : -ENOKEY;
			if (r == -ENOKEY) /* of the generation before, or gone already */
				r = 0;
		}
	if (r == 0)
		r = plain_of(t, archive_id, from, ret, ret_n);
	cof_keytree_free(t);
	return r;
}

int cof_keys_vault_leads(const uint8_t archive_id[16], const void *plain, size_t n, const struct cof_inode_range *range, size_t n_ranges,
			 uint64_t *ret)
{
	cof_autosecret uint8_t *leaf = cof_secret_alloc(COF_KEY);
	struct cof_keytree *t = NULL;
	uint64_t from = 0, count = 0;
	int r = leaf ? read_part(archive_id, plain, n, &t, &from) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n_ranges; i++)
		for (uint64_t k = 0; k < range[i].count; k++)
			count += cof_keytree_derive(t, range[i].first + k, leaf) == 0;
	cof_keytree_free(t);
	if (r == 0)
		*ret = count;
	return r;
}

int cof_keys_vault_take(struct cof_keys *k, const void *plain, size_t n)
{
	uint64_t from = 0;
	int r = cof_keys_vault_check(k->archive_id, plain, n, &from);

	if (r == 0 && k->enrolled && k->enrolled != from)
		r = -ERANGE;
	if (r == 0)
		r = cof_keytree_cut(k->tree[1], from);
	if (r == 0)
		r = take_entries(k->tree[1], (const uint8_t *)plain + HEAD, n - HEAD, from);
	if (r == 0)
		k->enrolled = from;
	return r;
}
