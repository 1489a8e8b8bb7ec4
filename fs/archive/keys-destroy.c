/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destroying what leads to an object's key (docs/format.md 7.3, 7.6): copies of the two trees are punctured, the pages
 * that are touched written beside those in force, under new keys, and then the root key is renewed with a top that
 * lists them. Until that top counts nothing has changed; from then on the old page keys are nowhere any more.
 */
#include "fs/archive/archive.h"
#include "fs/archive/keys-seal.h"

/* Trees and lists of its own. */
static void part(struct cof_keys *next)
{
	for (int t = 0; t < 2; t++) {
		cof_keytree_free(next->tree[t]);
		cof_secret_free(next->pages[t]);
	}
	cof_secret_free(next);
}

static struct cof_keys *copy(const struct cof_keys *k)
{
	struct cof_keys *next = cof_secret_alloc(sizeof(*next));
	bool failed = false;

	if (!next)
		return NULL;
	*next = *k;
	for (int t = 0; t < 2; t++) {
		next->tree[t] = cof_keytree_copy(k->tree[t]);
		next->pages[t] = k->n_pages[t] ? cof_secret_alloc(k->n_pages[t] * sizeof(*k->pages[t])) : NULL;
		failed |= !next->tree[t] || (k->n_pages[t] && !next->pages[t]);
		if (next->pages[t])
			memcpy(next->pages[t], k->pages[t], k->n_pages[t] * sizeof(*k->pages[t]));
	}
	if (!failed)
		return next;
	part(next);
	return NULL;
}

/* The entry of the list for the page that this inode is in, under a key of its own from now on. */
static int touch_page(struct cof_keys *k, int t, uint64_t number)
{
	struct cof_keys_page *more;
	size_t n = k->n_pages[t], i = 0;

	while (i < n && k->pages[t][i].number != number)
		i++;
	if (i == n) {
		more = cof_secret_alloc((n + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		if (n)
			memcpy(more, k->pages[t], n * sizeof(*more));
		cof_secret_free(k->pages[t]);
		k->pages[t] = more;
		more[n] = (struct cof_keys_page){.number = number};
		k->n_pages[t]++;
	}
	k->pages[t][i].generation++;
	cof_random(k->pages[t][i].key, COF_KEY);
	return 0;
}

static bool is_leaf(const struct cof_keytree *t, uint64_t inode)
{
	uint8_t leaf[COF_KEY];
	bool there = cof_keytree_derive(t, inode, leaf) == 0;

	cof_wipe(leaf, sizeof(leaf));
	return there;
}

bool cof_keys_destroyed(const struct cof_keys *k, uint64_t inode)
{
	bool gone;

	pthread_rwlock_rdlock(k->lock);
	gone = !is_leaf(k->tree[0], inode) && !is_leaf(k->tree[1], inode);
	pthread_rwlock_unlock(k->lock);
	return gone;
}

int cof_keys_puncture(struct cof_keys *k, const uint64_t *inodes, size_t n)
{
	uint64_t touched[2] = {UINT64_MAX, UINT64_MAX}; /* of ascending inodes, which the page was last */
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		uint64_t page = inodes[i] >> COF_KEYS_PAGE_BITS;

		for (int t = 0; t < 2 && !err; t++) {
			err = inodes[i] ? cof_keytree_puncture(k->tree[t], inodes[i]) : -EINVAL;
			if (err == -ENOKEY) {
				err = 0;
				continue;
			}
			if (!err && touched[t] != page)
				err = touch_page(k, t, page);
			touched[t] = page;
		}
	}
	return err;
}

int cof_keys_room(const struct cof_keys *k, const uint64_t *inodes, size_t n, size_t *ret)
{
	struct cof_keys *then = copy(k);
	int err = then ? cof_keys_puncture(then, inodes, n) : -ENOMEM;

	*ret = 0;
	for (int t = 0; t < 2 && !err; t++)
		*ret = COF_MAX(*ret, cof_keytree_count(then->tree[t]));
	if (then)
		part(then);
	return err ? err : *ret > COF_KEYS_SEEDS_MAX ? -E2BIG : 0;
}

struct paging {
	struct cof_keys *k;
	int tree;
};

static int list_page(void *user, const struct cof_keytree_entry *e)
{
	struct paging *p = user;
	uint64_t number = e->depth > COF_KEYTREE_TOP ? e->prefix >> 4 * (e->depth - COF_KEYTREE_TOP) : UINT64_MAX;

	for (size_t i = 0; i < p->k->n_pages[p->tree]; i++)
		if (p->k->pages[p->tree][i].number == number)
			return 0;
	return number == UINT64_MAX ? 0 : touch_page(p->k, p->tree, number);
}

int cof_keys_list_pages(struct cof_keys *k)
{
	int err = 0;

	for (int t = 0; t < 2 && !err; t++)
		err = cof_keytree_each(k->tree[t], list_page, &(struct paging){k, t});
	return err;
}

static int write_touched(const struct cof_keys *k, const struct cof_keys *next, struct cof_io *io, struct cof_diag *diag)
{
	int err = 0;

	for (int t = 0; t < 2; t++)
		for (size_t i = 0; i < next->n_pages[t] && !err; i++)
			if (i >= k->n_pages[t] || next->pages[t][i].generation != k->pages[t][i].generation)
				err = cof_keys_write_page(next, io, t, &next->pages[t][i], true, diag);
	return err;
}

/* What was in force is wiped with `next`, which has it from here on. */
static void swap(struct cof_keys *k, struct cof_keys *next)
{
	pthread_rwlock_wrlock(k->lock);
	for (int t = 0; t < 2; t++) {
		struct cof_keytree *tree = k->tree[t];
		struct cof_keys_page *pages = k->pages[t];

		k->tree[t] = next->tree[t];
		k->pages[t] = next->pages[t];
		k->n_pages[t] = next->n_pages[t];
		next->tree[t] = tree;
		next->pages[t] = pages;
	}
	pthread_rwlock_unlock(k->lock);
}

int cof_keys_destroy(struct cof_keys *k, struct cof_io *io, const uint64_t *inodes, size_t n, const struct cof_renewal *r,
		     struct cof_diag *diag)
{
	struct cof_keys *next;
	bool all = true;
	int err = 0;

	for (size_t i = 0; i < n && all; i++)
		all = cof_keys_destroyed(k, inodes[i]);
	if (all)
		return 0;
	err = cof_keys_renew_begin(k, io, r, diag);
	if (err)
		return err;
	next = copy(k);
	if (!next)
		return cof_fail(diag, -ENOMEM, "no secure memory left to take keys out of the trees");
	err = cof_keys_puncture(next, inodes, n);
	if (err)
		cof_fail(diag, err, "the keys could not be taken out of the trees: %s", strerror(-err));
	if (!err)
		err = write_touched(k, next, io, diag);
	if (!err)
		err = cof_keys_renew_to(k, next, io, r, diag);
	if (!err)
		swap(k, next);
	part(next);
	return err;
}
