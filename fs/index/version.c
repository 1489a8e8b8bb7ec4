/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that have versions: key = prefix ‖ sequence, plaintext = until u64 ‖ value. A new version
 * is a new row, and the one before it is rewritten with the sequence that superseded it: `until`
 * (IX_FOREVER for the newest). At tree size `at` the version stands for which sequence < at and
 * until >= at. When the greatest row below `at` does not stand, the one that superseded it is
 * missing: damage, and not an older answer.
 */
#include "fs/index/internal.h"

#define ATTEMPTS 8

static void key_at(const struct ix_key *prefix, uint64_t sequence, struct ix_key *ret)
{
	*ret = *prefix;
	ix_key_add(ret, sequence);
}

int ix_version_parse(const void *row, size_t n, uint64_t *ret_until, const uint8_t **ret_p,
		     size_t *ret_n)
{
	if (n < 8)
		return -EBADMSG;
	*ret_until = cof_get_le64(row);
	*ret_p = (const uint8_t *)row + 8;
	*ret_n = n - 8;
	return 0;
}

/* Greatest pending row of key's prefix at or below key, active before frozen. mem_lock held. */
static const struct ix_cell *pending_at_most(struct cof_index *ix, const struct ix_key *key)
{
	const struct ix_cell *a = ix_overlay_at_most(&ix->active->rows, key);
	const struct ix_cell *f = ix->frozen ? ix_overlay_at_most(&ix->frozen->rows, key) : NULL;
	if (a && !ix_key_same_prefix(&a->key, key))
		a = NULL;
	if (f && !ix_key_same_prefix(&f->key, key))
		f = NULL;
	if (a && f)
		return ix_key_compare(&a->key, &f->key) >= 0 ? a : f;
	return a ? a : f;
}

/* As pending_at_most, copied. *ret_found */
static int copy_pending(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret,
			bool *ret_found)
{
	int r = 0;
	ix_lock(&ix->mem_lock);
	const struct ix_cell *c = pending_at_most(ix, key);
	if (c) {
		ret->key = c->key;
		cof_buf_add(&ret->value, c->value, c->n);
		r = ret->value.failed ? -ENOMEM : 0;
	}
	*ret_found = c != NULL;
	ix_unlock(&ix->mem_lock);
	return r;
}

static bool stands(const struct ix_row *row, uint64_t at)
{
	return row->value.len >= 8 && cof_get_le64(row->value.data) >= at;
}

/* One attempt: the greatest row of either place. -EBADMSG when it does not stand at `at`. */
static int look(struct cof_index *ix, const struct ix_key *key, uint64_t at, struct ix_row *ret)
{
	struct ix_row mem = {0}, row = {0};
	bool found = false;
	int r = copy_pending(ix, key, &mem, &found);
	if (!r && !(found && stands(&mem, at))) {
		r = ix_row_at_most(ix, key, &row);
		if (!r && (!found || ix_key_compare(&row.key, &mem.key) > 0)) {
			cof_buf_done(&mem.value);
			mem = row;
			row = (struct ix_row){0};
			found = true;
		} else if (r == -ENOENT && found) {
			r = 0;
		}
		if (!r && !stands(&mem, at))
			r = -EBADMSG;
	}
	cof_buf_done(&row.value);
	if (r) {
		cof_buf_done(&mem.value);
		return r;
	}
	*ret = mem;
	return 0;
}

int ix_version_get(struct cof_index *ix, const struct ix_key *prefix, uint64_t at,
		   struct ix_version *ret)
{
	struct ix_key key;
	struct ix_row row = {0};
	int r = -EBADMSG;
	if (!at)
		return -ENOENT;
	key_at(prefix, at - 1, &key);
	/* A row that is superseded between the look into memory and the one into the database
	 * seems damaged, once: the next look finds what superseded it in memory. */
	for (int i = 0; r == -EBADMSG && i < ATTEMPTS; i++)
		r = look(ix, &key, at, &row);
	if (r)
		return r;
	ret->sequence = ix_key_sequence(&row.key);
	ret->until = cof_get_le64(row.value.data);
	ret->value = row.value;
	memmove(ret->value.data, ret->value.data + 8, ret->value.len - 8);
	ret->value.len -= 8;
	return 0;
}

int ix_version_store(struct cof_index *ix, const struct ix_key *key, uint64_t until, const void *p,
		     size_t n)
{
	uint8_t head[8];
	bool fresh = false;
	cof_put_le64(head, until);
	ix_lock(&ix->mem_lock);
	int r = ix_overlay_put(&ix->active->rows, key, head, sizeof(head), p, n, &fresh);
	if (!r)
		atomic_fetch_add(&ix->waiting, (fresh ? 1 : 0) + n / IX_UNIT);
	ix_unlock(&ix->mem_lock);
	return r;
}

static bool same(const struct ix_version *v, const void *p, size_t n)
{
	return v->value.len == n && (!n || !memcmp(v->value.data, p, n));
}

/* A sequence behind which there are later ones already: fed again, and then it must say what it
 * said, or missed when it came, and then it takes its place. */
static int put_behind(struct cof_index *ix, const struct ix_key *prefix, uint64_t sequence,
		      const void *p, size_t n)
{
	struct ix_version old = {0};
	struct ix_key key, before;
	int r = ix_version_get(ix, prefix, sequence + 1, &old);
	if (!r && old.sequence == sequence) {
		r = same(&old, p, n) ? 0 : -EBADMSG;
	} else if (!r) {
		key_at(prefix, sequence, &key);
		key_at(prefix, old.sequence, &before);
		r = ix_version_store(ix, &key, old.until, p, n);
		if (!r)
			r = ix_version_store(ix, &before, sequence, old.value.data, old.value.len);
	}
	cof_buf_done(&old.value);
	return r == -ENOENT ? -EBADMSG : r;
}

int ix_version_put(struct cof_index *ix, const struct ix_key *prefix, uint64_t sequence,
		   enum ix_put how, const void *p, size_t n)
{
	struct ix_version now = {0};
	struct ix_key key;
	if (sequence >= IX_FOREVER - 1)
		return -EINVAL;
	key_at(prefix, sequence, &key);
	int r = ix_version_get(ix, prefix, COF_INDEX_NOW, &now);
	if (r == -ENOENT) {
		r = ix_version_store(ix, &key, IX_FOREVER, p, n);
	} else if (!r && how == IX_PUT_ONCE) {
		r = now.sequence == sequence && same(&now, p, n) ? 0 : -EBADMSG;
	} else if (!r && now.sequence > sequence) {
		r = put_behind(ix, prefix, sequence, p, n);
	} else if (!r && now.sequence == sequence) {
		if (!same(&now, p, n))
			r = ix_version_store(ix, &key, IX_FOREVER, p, n);
	} else if (!r) {
		/* The new row first: should the second store fail, nothing is missing. */
		struct ix_key before;
		key_at(prefix, now.sequence, &before);
		r = ix_version_store(ix, &key, IX_FOREVER, p, n);
		if (!r)
			r = ix_version_store(ix, &before, sequence, now.value.data, now.value.len);
	}
	cof_buf_done(&now.value);
	return r;
}
