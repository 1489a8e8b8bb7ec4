/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The puncturable key tree: an array of the seeds that still lead somewhere, ascending by the first
 * inode number below each. Their ranges never overlap. Child b of a seed is
 * HMAC(seed, "coffer/1 tree" ‖ b); a leaf is a seed of depth 12.
 */
#include "crypto/keytree.h"

#define BRANCHES 16
#define INODES (UINT64_C(1) << COF_KEYTREE_BITS)
#define SIBLINGS_MAX (COF_KEYTREE_LEVELS * (BRANCHES - 1))

struct entry {
	uint64_t first; /* inode number below it */
	uint8_t depth;
	uint8_t *seed; /* 32 bytes of secure memory: one granule of the pool */
};

struct cof_keytree {
	struct entry *entries;
	size_t count, cap;
};

static uint64_t span(unsigned depth)
{
	return UINT64_C(1) << (COF_KEYTREE_BITS - 4 * depth);
}

/* The branch that leads from a seed of this depth towards the inode. */
static uint8_t branch(uint64_t inode, unsigned depth)
{
	return inode >> (COF_KEYTREE_BITS - 4 * (depth + 1)) & (BRANCHES - 1);
}

static void child(const uint8_t seed[COF_KEY], uint8_t b, uint8_t out[COF_KEY])
{
	static const char label[] = "coffer/1 tree";
	const struct iovec v[] = {{(void *)label, sizeof(label) - 1}, {&b, 1}};

	cof_hmac(seed, COF_KEY, v, 2, out);
}

struct cof_keytree *cof_keytree_new(void)
{
	return calloc(1, sizeof(struct cof_keytree));
}

void cof_keytree_free(struct cof_keytree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		cof_secret_free(t->entries[i].seed);
	free(t->entries);
	free(t);
}

/* Number of entries that begin at or below the inode: the last of them is the one that may cover
 * it. */
static size_t upper(const struct cof_keytree *t, uint64_t inode)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (t->entries[mid].first <= inode)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool covers(const struct entry *e, uint64_t inode)
{
	return inode >= e->first && inode - e->first < span(e->depth);
}

static int reserve(struct cof_keytree *t, size_t more)
{
	if (t->cap - t->count >= more)
		return 0;
	size_t cap = COF_MAX(t->cap * 2, t->count + more);
	struct entry *p = reallocarray(t->entries, cap, sizeof(*p));
	if (!p)
		return -ENOMEM;
	t->entries = p;
	t->cap = cap;
	return 0;
}

int cof_keytree_add(struct cof_keytree *t, const struct cof_keytree_entry *e)
{
	if (e->depth > COF_KEYTREE_LEVELS || e->prefix >> 4 * e->depth != 0)
		return -EUCLEAN;
	struct entry new = {e->prefix << (COF_KEYTREE_BITS - 4 * e->depth), e->depth, NULL};
	size_t at = upper(t, new.first);
	if ((at > 0 && covers(&t->entries[at - 1], new.first)) ||
	    (at < t->count && covers(&new, t->entries[at].first)))
		return -EEXIST;
	if (reserve(t, 1) < 0)
		return -ENOMEM;
	new.seed = cof_secret_alloc(COF_KEY);
	if (!new.seed)
		return -ENOMEM;
	memcpy(new.seed, e->seed, COF_KEY);
	memmove(t->entries + at + 1, t->entries + at, (t->count - at) * sizeof(new));
	t->entries[at] = new;
	t->count++;
	return 0;
}

int cof_keytree_add_root(struct cof_keytree *t, const uint8_t seed[COF_KEY])
{
	struct cof_keytree_entry e = {0};

	memcpy(e.seed, seed, COF_KEY);
	int err = cof_keytree_add(t, &e);
	cof_wipe(&e, sizeof(e));
	return err;
}

/* The entry that covers the inode. 0, -EINVAL or -ENOKEY. */
static int find(const struct cof_keytree *t, uint64_t inode, size_t *ret)
{
	if (inode >= INODES)
		return -EINVAL;
	size_t at = upper(t, inode);
	if (at == 0 || !covers(&t->entries[at - 1], inode))
		return -ENOKEY;
	*ret = at - 1;
	return 0;
}

int cof_keytree_derive(const struct cof_keytree *t, uint64_t inode, uint8_t ret_leaf[COF_KEY])
{
	uint8_t seed[COF_KEY];
	size_t at;

	int err = find(t, inode, &at);
	if (err < 0)
		return err;
	const struct entry *e = &t->entries[at];
	memcpy(seed, e->seed, COF_KEY);
	for (unsigned depth = e->depth; depth < COF_KEYTREE_LEVELS; depth++)
		child(seed, branch(inode, depth), seed);
	memcpy(ret_leaf, seed, COF_KEY);
	cof_wipe(seed, sizeof(seed));
	return 0;
}

/*
 * The siblings on the way from an entry to the inode, ascending: those on the left of the way come
 * from the top down, those on its right from the bottom up. siblings have their memory.
 */
static void make_siblings(const struct entry *e, uint64_t inode, struct entry *siblings, size_t n)
{
	uint8_t seed[COF_KEY];
	size_t left = 0, right = n;

	memcpy(seed, e->seed, COF_KEY);
	for (unsigned depth = e->depth; depth < COF_KEYTREE_LEVELS; depth++) {
		uint8_t way = branch(inode, depth);
		uint64_t first = inode & ~(span(depth) - 1);
		for (unsigned b = 0; b < way; b++) {
			struct entry *s = &siblings[left++];
			s->depth = (uint8_t)(depth + 1);
			s->first = first + b * span(depth + 1);
			child(seed, (uint8_t)b, s->seed);
		}
		for (unsigned b = BRANCHES - 1; b > way; b--) {
			struct entry *s = &siblings[--right];
			s->depth = (uint8_t)(depth + 1);
			s->first = first + b * span(depth + 1);
			child(seed, (uint8_t)b, s->seed);
		}
		child(seed, way, seed);
	}
	cof_wipe(seed, sizeof(seed));
}

int cof_keytree_puncture(struct cof_keytree *t, uint64_t inode)
{
	struct entry siblings[SIBLINGS_MAX] = {0};
	size_t at;

	int err = find(t, inode, &at);
	if (err < 0)
		return err;
	size_t n = (size_t)(COF_KEYTREE_LEVELS - t->entries[at].depth) * (BRANCHES - 1);
	if (reserve(t, n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		siblings[i].seed = cof_secret_alloc(COF_KEY);
		if (siblings[i].seed)
			continue;
		while (i-- > 0)
			cof_secret_free(siblings[i].seed);
		return -ENOMEM;
	}
	make_siblings(&t->entries[at], inode, siblings, n);
	cof_secret_free(t->entries[at].seed);
	memmove(t->entries + at + n, t->entries + at + 1,
		(t->count - at - 1) * sizeof(siblings[0]));
	memcpy(t->entries + at, siblings, n * sizeof(siblings[0]));
	t->count = t->count - 1 + n;
	return 0;
}

int cof_keytree_each(const struct cof_keytree *t, cof_keytree_fn fn, void *user)
{
	struct cof_keytree_entry e;
	int err = 0;

	for (size_t i = 0; i < t->count && err == 0; i++) {
		const struct entry *s = &t->entries[i];
		e.depth = s->depth;
		e.prefix = s->first >> (COF_KEYTREE_BITS - 4 * s->depth);
		memcpy(e.seed, s->seed, COF_KEY);
		err = fn(user, &e);
	}
	cof_wipe(&e, sizeof(e));
	return err;
}

size_t cof_keytree_count(const struct cof_keytree *t)
{
	return t->count;
}
