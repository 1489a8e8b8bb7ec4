/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, twice: by directory and name (which inode, with versions), and by directory in the order
 * in which they came (the listing).
 *
 *   IX_NAME   version: ino u64 ‖ kind u8, or nothing: no such name
 *   IX_ENTRY  key = prefix of the directory ‖ sequence that linked it (the cookie);
 *             until u64 (the sequence that unlinked it) ‖ ino u64 ‖ kind u8 ‖ name
 *
 * One frame links at most one name in a directory, so the sequence tells entries apart.
 */
#include "fs/index/internal.h"

#define TARGET 9

struct target {
	uint64_t sequence, ino;
	uint8_t kind;
};

/* What the name means at `at`. -ENOENT: nothing; ret->sequence then says since when, 0: ever. */
static int target_at(struct cof_index *ix, const struct ix_key *prefix, uint64_t at,
		     struct target *ret)
{
	struct ix_version v = {0};
	*ret = (struct target){0};
	int r = ix_version_get(ix, prefix, at, &v);
	if (!r) {
		ret->sequence = v.sequence;
		if (v.value.len == TARGET) {
			ret->ino = cof_get_le64(v.value.data);
			ret->kind = v.value.data[8];
		} else {
			r = v.value.len ? -EBADMSG : -ENOENT;
		}
	}
	cof_buf_done(&v.value);
	return r;
}

static void name_prefix(struct cof_index *ix, uint64_t dir, const char *name, size_t len,
			struct ix_key *ret)
{
	ix_row_prefix(ix, IX_NAME, dir, name, len, ret);
}

static int put_entry(struct cof_index *ix, uint64_t dir, const struct target *t, uint64_t until,
		     const char *name, size_t len)
{
	uint8_t plain[TARGET + COF_NAME_MAX];
	struct ix_key key;
	ix_row_prefix(ix, IX_ENTRY, dir, NULL, 0, &key);
	ix_key_add(&key, t->sequence);
	cof_put_le64(plain, t->ino);
	plain[8] = t->kind;
	memcpy(plain + TARGET, name, len);
	return ix_version_store(ix, &key, until, plain, TARGET + len);
}

/* put_lock held. */
static int unlink_locked(struct cof_index *ix, const struct ix_key *prefix, uint64_t sequence,
			 uint64_t dir, const char *name, size_t len)
{
	struct target before, now;
	int r = target_at(ix, prefix, sequence, &before);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if ((r = put_entry(ix, dir, &before, sequence, name, len)) < 0)
		return r;
	r = target_at(ix, prefix, sequence + 1, &now);
	if (r < 0 && r != -ENOENT)
		return r;
	/* With the same sequence something may stand at this name again: a rename over it. */
	if (now.sequence == sequence)
		return 0;
	return ix_version_put(ix, prefix, sequence, IX_PUT_LAST, NULL, 0);
}

/* When the entry that a link makes ends: it may be fed again behind later frames. */
static int until_of(struct cof_index *ix, const struct ix_key *prefix, uint64_t sequence,
		    uint64_t *ret)
{
	struct ix_version v = {0};
	int r = ix_version_get(ix, prefix, sequence + 1, &v);
	if (!r)
		*ret = v.until;
	cof_buf_done(&v.value);
	return r;
}

static bool bad_name(size_t len)
{
	return !len || len > COF_NAME_MAX;
}

int cof_index_link(struct cof_index *ix, uint64_t sequence, uint64_t dir, const char *name,
		   size_t len, uint64_t ino, uint8_t kind)
{
	uint8_t plain[TARGET];
	struct ix_key prefix;
	struct target t = {sequence, ino, kind};
	uint64_t until = IX_FOREVER;
	if (bad_name(len) || !sequence)
		return -EINVAL;
	cof_put_le64(plain, ino);
	plain[8] = kind;
	name_prefix(ix, dir, name, len, &prefix);
	ix_lock(&ix->put_lock);
	/* What had the name before has it no longer. */
	int r = unlink_locked(ix, &prefix, sequence, dir, name, len);
	if (!r)
		r = ix_version_put(ix, &prefix, sequence, IX_PUT_LAST, plain, sizeof(plain));
	if (!r)
		r = until_of(ix, &prefix, sequence, &until);
	if (!r)
		r = put_entry(ix, dir, &t, until, name, len);
	ix_unlock(&ix->put_lock);
	return r;
}

int cof_index_unlink(struct cof_index *ix, uint64_t sequence, uint64_t dir, const char *name,
		     size_t len)
{
	struct ix_key prefix;
	if (bad_name(len))
		return -EINVAL;
	name_prefix(ix, dir, name, len, &prefix);
	ix_lock(&ix->put_lock);
	int r = unlink_locked(ix, &prefix, sequence, dir, name, len);
	ix_unlock(&ix->put_lock);
	return r;
}

int cof_index_lookup(struct cof_index *ix, uint64_t at, uint64_t dir, const char *name, size_t len,
		     uint64_t *ret_ino)
{
	struct ix_key prefix;
	struct target t;
	if (bad_name(len))
		return -ENOENT;
	name_prefix(ix, dir, name, len, &prefix);
	int r = target_at(ix, &prefix, at, &t);
	if (!r)
		*ret_ino = t.ino;
	return r;
}

/* ---- listing ---- */

struct showing {
	uint64_t at;
	cof_index_entry_fn fn;
	void *user;
};

static int show(void *user, const struct ix_row *row)
{
	const struct showing *s = user;
	const uint8_t *p;
	size_t n;
	uint64_t until;
	int r = row->key.len == IX_PREFIX + 8
		    ? ix_version_parse(row->value.data, row->value.len, &until, &p, &n)
		    : -EBADMSG;
	if (r < 0)
		return r;
	if (n <= TARGET || n > TARGET + COF_NAME_MAX)
		return -EBADMSG;
	uint64_t sequence = ix_key_sequence(&row->key);
	if (sequence >= s->at || until < s->at)
		return 0;
	return s->fn(s->user, sequence, (const char *)p + TARGET, n - TARGET, cof_get_le64(p), p[8]);
}

int cof_index_readdir(struct cof_index *ix, uint64_t at, uint64_t dir, uint64_t cookie,
		      cof_index_entry_fn fn, void *user)
{
	struct showing s = {at, fn, user};
	struct ix_key key;
	ix_row_prefix(ix, IX_ENTRY, dir, NULL, 0, &key);
	ix_key_add(&key, cookie);
	int r = ix_walk(ix, &key, show, &s);
	return r < 0 ? r : 0;
}
