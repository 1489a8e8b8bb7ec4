/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes, and the other values that hang on them.
 *
 * Plaintext of a node, little-endian, behind the version's `until`: parent u64, kind u8, state u8,
 * flags u8 (1 mtime claimed, 2 held, 4 governance, 8 event due, 16: three more fields, 32: two more behind them), mode u32, uid u32, gid u32, size u64, created i64, mtime i64,
 * ctime i64, retain until i64, created sequence u64, commit sequence u64, shelf u64, asked until i64,
 * committed i64, if flag 16 binds from i64, least until i64, event span i64, if flag 32 follows from i64, margin i64, name. A value that was removed is an empty one. What a shelf holds is a row with
 * sequence 0, replaced each time: bytes u64, files u64, below u64.
 */
#include "fs/index/internal.h"

#define NODE_FIXED 103
#define NODE_MORE 24
#define NODE_FOLLOWS 16
enum { CLAIMED = 1, HELD = 2, GOVERNANCE = 4, EVENT_DUE = 8, MORE = 16, FOLLOWS = 32, FLAGS = 63 };
#define VALUE_MAX 65536
#define USE_SIZE 24

#define NODE_MAX (NODE_FIXED + NODE_MORE + NODE_FOLLOWS + COF_NAME_MAX)

static uint8_t flags_of(const struct cof_node *n)
{
	bool more = n->binds_from != INT64_MIN || n->least_until != INT64_MIN || n->event_span;

	return (uint8_t)((n->mtime_claimed ? CLAIMED : 0) | (n->held ? HELD : 0) |
			 (n->mode_kept ? GOVERNANCE : 0) | (n->event_due ? EVENT_DUE : 0) |
			 (more ? MORE : 0) | (n->follow_from != INT64_MIN ? FOLLOWS : 0));
}

static size_t encode(const struct cof_node *n, uint8_t out[NODE_MAX])
{
	size_t len = NODE_FIXED;

	cof_put_le64(out, n->parent);
	out[8] = n->kind;
	out[9] = n->state;
	out[10] = flags_of(n);
	cof_put_le32(out + 11, n->mode);
	cof_put_le32(out + 15, n->uid);
	cof_put_le32(out + 19, n->gid);
	cof_put_le64(out + 23, n->size);
	cof_put_le64(out + 31, (uint64_t)n->created);
	cof_put_le64(out + 39, (uint64_t)n->mtime);
	cof_put_le64(out + 47, (uint64_t)n->ctime);
	cof_put_le64(out + 55, (uint64_t)n->retain_until);
	cof_put_le64(out + 63, n->created_sequence);
	cof_put_le64(out + 71, n->commit_sequence);
	cof_put_le64(out + 79, n->shelf);
	cof_put_le64(out + 87, (uint64_t)n->asked_until);
	cof_put_le64(out + 95, (uint64_t)n->committed);
	if (out[10] & MORE) {
		cof_put_le64(out + len, (uint64_t)n->binds_from);
		cof_put_le64(out + len + 8, (uint64_t)n->least_until);
		cof_put_le64(out + len + 16, (uint64_t)n->event_span);
		len += NODE_MORE;
	}
	if (out[10] & FOLLOWS) {
		cof_put_le64(out + len, (uint64_t)n->follow_from);
		cof_put_le64(out + len + 8, (uint64_t)n->follow_margin);
		len += NODE_FOLLOWS;
	}
	memcpy(out + len, n->name, n->name_len);
	return len + n->name_len;
}

static int decode(const struct cof_buf *b, uint64_t ino, struct cof_node *ret)
{
	const uint8_t *p = b->data;
	size_t fixed = NODE_FIXED;
	if (b->len < NODE_FIXED || p[8] < COF_KIND_FILE || p[8] > COF_KIND_SYMLINK ||
	    p[9] > COF_STATE_REMOVED || (p[10] & ~FLAGS))
		return -EBADMSG;
	if (p[10] & MORE)
		fixed += NODE_MORE;
	if (p[10] & FOLLOWS)
		fixed += NODE_FOLLOWS;
	if (b->len < fixed || b->len > fixed + COF_NAME_MAX)
		return -EBADMSG;
	*ret = (struct cof_node){
	    .ino = ino,
	    .parent = cof_get_le64(p),
	    .kind = p[8],
	    .state = p[9],
	    .mtime_claimed = p[10] & CLAIMED,
	    .held = p[10] & HELD,
	    .mode_kept = p[10] & GOVERNANCE ? 1 : 0,
	    .event_due = p[10] & EVENT_DUE,
	    .binds_from = INT64_MIN,
	    .least_until = INT64_MIN,
	    .follow_from = INT64_MIN,
	    .mode = cof_get_le32(p + 11),
	    .uid = cof_get_le32(p + 15),
	    .gid = cof_get_le32(p + 19),
	    .size = cof_get_le64(p + 23),
	    .created = (int64_t)cof_get_le64(p + 31),
	    .mtime = (int64_t)cof_get_le64(p + 39),
	    .ctime = (int64_t)cof_get_le64(p + 47),
	    .retain_until = (int64_t)cof_get_le64(p + 55),
	    .created_sequence = cof_get_le64(p + 63),
	    .commit_sequence = cof_get_le64(p + 71),
	    .shelf = cof_get_le64(p + 79),
	    .asked_until = (int64_t)cof_get_le64(p + 87),
	    .committed = (int64_t)cof_get_le64(p + 95),
	    .name_len = (uint16_t)(b->len - fixed),
	};
	if (p[10] & MORE) {
		ret->binds_from = (int64_t)cof_get_le64(p + NODE_FIXED);
		ret->least_until = (int64_t)cof_get_le64(p + NODE_FIXED + 8);
		ret->event_span = (int64_t)cof_get_le64(p + NODE_FIXED + 16);
	}
	if (p[10] & FOLLOWS) {
		ret->follow_from = (int64_t)cof_get_le64(p + fixed - 16);
		ret->follow_margin = (int64_t)cof_get_le64(p + fixed - 8);
	}
	memcpy(ret->name, p + fixed, ret->name_len);
	return 0;
}

static void raise_last(struct cof_index *ix, uint64_t ino)
{
	uint_fast64_t seen = atomic_load(&ix->last_ino);
	while (seen < ino && !atomic_compare_exchange_weak(&ix->last_ino, &seen, ino))
		;
}

int cof_index_put_node(struct cof_index *ix, uint64_t sequence, const struct cof_node *n)
{
	uint8_t plain[NODE_MAX];
	struct ix_key prefix;
	if (n->kind < COF_KIND_FILE || n->kind > COF_KIND_SYMLINK || n->state > COF_STATE_REMOVED ||
	    n->name_len > COF_NAME_MAX)
		return -EINVAL;
	size_t len = encode(n, plain);
	ix_row_prefix(ix, IX_NODE, n->ino, NULL, 0, &prefix);
	ix_lock(&ix->put_lock);
	int r = ix_version_put(ix, &prefix, sequence, IX_PUT_LAST, plain, len);
	ix_unlock(&ix->put_lock);
	if (!r)
		raise_last(ix, n->ino);
	return r;
}

int cof_index_get_node(struct cof_index *ix, uint64_t at, uint64_t ino, struct cof_node *ret)
{
	struct ix_key prefix;
	struct ix_version v = {0};
	ix_row_prefix(ix, IX_NODE, ino, NULL, 0, &prefix);
	int r = ix_version_get(ix, &prefix, at, &v);
	if (!r)
		r = decode(&v.value, ino, ret);
	cof_buf_done(&v.value);
	return r;
}

int cof_index_node_since(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t *ret)
{
	struct ix_key prefix;
	struct ix_version v = {0};
	ix_row_prefix(ix, IX_NODE, ino, NULL, 0, &prefix);
	int r = ix_version_get(ix, &prefix, at, &v);
	if (!r)
		*ret = v.sequence;
	cof_buf_done(&v.value);
	return r;
}

uint64_t cof_index_last_ino(struct cof_index *ix)
{
	return atomic_load(&ix->last_ino);
}

int cof_index_put_value(struct cof_index *ix, uint64_t sequence, uint64_t ino, const char *key,
			const void *p, size_t n)
{
	struct ix_key prefix;
	if (n > VALUE_MAX)
		return -EINVAL;
	ix_row_prefix(ix, IX_VALUE, ino, key, strlen(key), &prefix);
	ix_lock(&ix->put_lock);
	int r = ix_version_put(ix, &prefix, sequence, IX_PUT_LAST, p, n);
	ix_unlock(&ix->put_lock);
	return r;
}

static int value_at(struct cof_index *ix, uint64_t at, uint64_t ino, const char *key, struct ix_version *ret)
{
	struct ix_key prefix;
	ix_row_prefix(ix, IX_VALUE, ino, key, strlen(key), &prefix);
	int r = ix_version_get(ix, &prefix, at, ret);
	return !r && !ret->value.len ? -ENOENT : r;
}

int cof_index_get_value(struct cof_index *ix, uint64_t at, uint64_t ino, const char *key,
			struct cof_buf *ret)
{
	struct ix_version v = {0};
	int r = value_at(ix, at, ino, key, &v);
	if (!r) {
		cof_buf_add(ret, v.value.data, v.value.len);
		r = ret->failed ? -ENOMEM : 0;
	}
	cof_buf_done(&v.value);
	return r;
}

int cof_index_value_since(struct cof_index *ix, uint64_t at, uint64_t ino, const char *key, uint64_t *ret)
{
	struct ix_version v = {0};
	int r = value_at(ix, at, ino, key, &v);
	if (!r)
		*ret = v.sequence;
	cof_buf_done(&v.value);
	return r;
}

int cof_index_put_use(struct cof_index *ix, uint64_t shelf, const struct cof_index_use *u)
{
	uint8_t plain[USE_SIZE];
	struct ix_key prefix;
	cof_put_le64(plain, u->bytes);
	cof_put_le64(plain + 8, u->files);
	cof_put_le64(plain + 16, u->below);
	ix_row_prefix(ix, IX_USE, shelf, NULL, 0, &prefix);
	ix_lock(&ix->put_lock);
	int r = ix_version_put(ix, &prefix, 0, IX_PUT_LAST, plain, sizeof(plain));
	ix_unlock(&ix->put_lock);
	return r;
}

int cof_index_get_use(struct cof_index *ix, uint64_t shelf, struct cof_index_use *ret)
{
	struct ix_key prefix;
	struct ix_version v = {0};
	ix_row_prefix(ix, IX_USE, shelf, NULL, 0, &prefix);
	int r = ix_version_get(ix, &prefix, COF_INDEX_NOW, &v);
	if (!r && v.value.len != USE_SIZE)
		r = -EBADMSG;
	if (!r)
		*ret = (struct cof_index_use){.bytes = cof_get_le64(v.value.data),
					      .files = cof_get_le64(v.value.data + 8),
					      .below = cof_get_le64(v.value.data + 16)};
	cof_buf_done(&v.value);
	return r;
}
