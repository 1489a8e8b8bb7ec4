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

struct cof_keytree *cof_keytree_copy(const struct cof_keytree *t)
{
	struct cof_keytree *c = cof_keytree_new();

	if (!c || reserve(c, t->count) < 0) {
		cof_keytree_free(c);
		return NULL;
	}
	for (; c->count < t->count; c->count++) {
		struct entry *e = &c->entries[c->count];

		*e = t->entries[c->count];
		e->seed = cof_secret_alloc(COF_KEY);
		if (!e->seed) {
			cof_keytree_free(c);
			return NULL;
		}
		memcpy(e->seed, t->entries[c->count].seed, COF_KEY);
	}
	return c;
}

/* Of the entry that begins before `from` and reaches over it: what is left of it, into into. n: of the siblings. */
static void make_left(const struct entry *e, uint64_t from, struct entry *into, size_t n)
{
	uint8_t seed[COF_KEY];
	size_t left = 0;

	memcpy(seed, e->seed, COF_KEY);
	for (unsigned depth = e->depth; left < n; depth++) {
		uint8_t way = branch(from, depth);

		for (unsigned b = 0; b < way; b++) {
			struct entry *s = &into[left++];

			s->depth = (uint8_t)(depth + 1);
			s->first = (from & ~(span(depth) - 1)) + b * span(depth + 1);
			child(seed, (uint8_t)b, s->seed);
		}
		child(seed, way, seed);
	}
	cof_wipe(seed, sizeof(seed));
}

/* Memory for the seeds of n entries, or none. */
static int seeds_for(struct entry *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		e[i].seed = cof_secret_alloc(COF_KEY);
		if (e[i].seed)
			continue;
		while (i-- > 0)
			cof_secret_free(e[i].seed);
		return -ENOMEM;
	}
	return 0;
}

/* How many entries cover [from, the end) with none deeper than the top's; into: which, without seeds, or NULL. */
static size_t cover(uint64_t from, struct entry *into)
{
	size_t n = 0;

	while (from < INODES) {
		unsigned depth = 0;

		while (from & (span(depth) - 1))
			depth++;
		if (into)
			into[n] = (struct entry){.first = from, .depth = (uint8_t)depth};
		n++;
		from += span(depth);
	}
	return n;
}

static int cut(struct cof_keytree *t, uint64_t from, bool fresh)
{
	struct entry left[COF_KEYTREE_TOP * (BRANCHES - 1)] = {0}, right[COF_KEYTREE_TOP * (BRANCHES - 1) + 1] = {0};
	size_t at, n = 0, more, first;

	if (!from || from >= INODES || from % COF_KEYTREE_CUT)
		return -EINVAL;
	first = upper(t, from - 1); /* entries behind it begin at from or later */
	more = fresh ? cover(from, right) : 0;
	at = first;
	if (at > 0 && covers(&t->entries[at - 1], from)) {
		at--;
		for (unsigned depth = t->entries[at].depth; depth < COF_KEYTREE_TOP; depth++)
			n += branch(from, depth);
	}
	if (reserve(t, n + more) < 0 || seeds_for(left, n) < 0)
		return -ENOMEM;
	if (seeds_for(right, more) < 0) {
		for (size_t i = 0; i < n; i++)
			cof_secret_free(left[i].seed);
		return -ENOMEM;
	}
	if (n)
		make_left(&t->entries[at], from, left, n);
	for (size_t i = at; i < t->count; i++)
		cof_secret_free(t->entries[i].seed);
	for (size_t i = 0; i < more; i++)
		cof_random(right[i].seed, COF_KEY);
	if (n) /* a tree without entries has nowhere to copy nothing to */
		memcpy(t->entries + at, left, n * sizeof(left[0]));
	if (more)
		memcpy(t->entries + at + n, right, more * sizeof(right[0]));
	t->count = at + n + more;
	return 0;
}

int cof_keytree_cut(struct cof_keytree *t, uint64_t from)
{
	return cut(t, from, false);
}

int cof_keytree_fresh(struct cof_keytree *t, uint64_t from)
{
	return cut(t, from, true);
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
