/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking: names, attributes, directories, links. The present comes from the objects in memory, which are the
 * truth; an earlier tree size from the index.
 *
 * No callback runs inside the gate: whoever is called may call in again.
 */
#include <limits.h>

#include "fs/archive/show.h"

/* ---- names ---- */

static int attr_of(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_attr *ret)
{
	struct cof_obj *o;
	int r;

	if (at != COF_INDEX_NOW)
		return cof_node_attr_at(a, at, ino, ret);
	r = cof_obj_get(a, ino, &o);
	if (r < 0)
		return r;
	cof_obj_attr(a, o, ret);
	cof_obj_put(a, o);
	return 0;
}

static int parent_of(struct cof_archive *a, uint64_t at, uint64_t ino, uint64_t *ret)
{
	struct cof_node node;
	struct cof_obj *o;
	int r;

	if (ino == COF_ROOT_INO) {
		*ret = COF_ROOT_INO;
		return 0;
	}
	if (at != COF_INDEX_NOW) {
		r = cof_ix(a, cof_index_get_node(a->ix, at, ino, &node));
		if (r == 0)
			*ret = node.parent;
		return r;
	}
	r = cof_obj_get(a, ino, &o);
	if (r < 0)
		return r;
	*ret = o->node.parent;
	cof_obj_put(a, o);
	return 0;
}

/* An entry that leads to nothing, or to what has another name, is the index's fault. */
static int follow(struct cof_archive *a, uint64_t dir, const char *name, uint64_t ino,
		  struct cof_attr *ret)
{
	struct cof_obj *o;
	int r = cof_obj_get(a, ino, &o);

	if (r < 0)
		return r == -ENOENT ? cof_ix(a, -EUCLEAN) : r;
	if (o->node.parent != dir || strcmp(o->node.name, name))
		r = cof_ix(a, -EUCLEAN);
	else
		cof_obj_attr(a, o, ret);
	cof_obj_put(a, o);
	return r;
}

static int find(struct cof_archive *a, uint64_t at, uint64_t dir, const char *name,
		struct cof_attr *ret)
{
	uint64_t ino = dir;
	size_t len = strlen(name);
	int r = 0;

	if (!strcmp(name, ".")) { /* any inode, by number: a handle that was kept */
		r = attr_of(a, at, dir, ret);
		return r == 0 && ret->state == COF_STATE_REMOVED ? -ENOENT : r;
	}
	if (!strcmp(name, "..")) {
		r = parent_of(a, at, dir, &ino);
		return r < 0 ? r : attr_of(a, at, ino, ret);
	}
	if (len > COF_NAME_MAX)
		return -ENAMETOOLONG;
	r = cof_ix(a, cof_index_lookup(a->ix, at, dir, name, len, &ino));
	if (r < 0)
		return r;
	return at == COF_INDEX_NOW ? follow(a, dir, name, ino, ret) : attr_of(a, at, ino, ret);
}

/* Against a rename between the entry and the node. */
static int find_shared(struct cof_archive *a, uint64_t at, uint64_t dir, const char *name,
		       struct cof_attr *ret)
{
	int r;

	pthread_rwlock_rdlock(&a->tree);
	r = find(a, at, dir, name, ret);
	pthread_rwlock_unlock(&a->tree);
	return r;
}

int cof_archive_lookup(struct cof_archive *a, uint64_t at, uint64_t dir, const char *name,
		       struct cof_attr *ret)
{
	int r;

	COF_GATED(a, r, find_shared(a, at, dir, name, ret));
	return r;
}

int cof_archive_getattr(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_attr *ret)
{
	int r;

	COF_GATED(a, r, attr_of(a, at, ino, ret));
	return r;
}

int cof_archive_parent(struct cof_archive *a, uint64_t at, uint64_t ino, uint64_t *ret)
{
	int r;

	COF_GATED(a, r, parent_of(a, at, ino, ret));
	return r;
}

static int path_of(struct cof_archive *a, uint64_t ino, struct cof_buf *ret)
{
	return cof_ix(a, cof_show_index_path(a->ix, COF_INDEX_NOW, ino, ret));
}

int cof_archive_path(struct cof_archive *a, uint64_t ino, struct cof_buf *ret)
{
	int r;

	COF_GATED(a, r, path_of(a, ino, ret));
	return r;
}

int cof_archive_resolve(struct cof_archive *a, const char *path, uint64_t *ret_ino)
{
	struct cof_attr attr = {.ino = COF_ROOT_INO, .kind = COF_KIND_DIR};

	while (*path) {
		char name[COF_NAME_MAX + 1];
		size_t n = strcspn(path, "/");
		int r;

		if (n > COF_NAME_MAX)
			return -ENAMETOOLONG;
		if (n) {
			memcpy(name, path, n);
			name[n] = 0;
			r = attr.kind == COF_KIND_DIR
				? cof_archive_lookup(a, COF_INDEX_NOW, attr.ino, name, &attr)
				: -ENOTDIR;
			if (r < 0)
				return r;
		}
		path += n + (path[n] == '/');
	}
	*ret_ino = attr.ino;
	return 0;
}

static int link_target(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_buf *ret)
{
	struct cof_attr attr;
	int r = attr_of(a, at, ino, &attr);

	if (r < 0)
		return r;
	if (attr.kind != COF_KIND_SYMLINK)
		return -EINVAL;
	ret->len = 0;
	r = cof_ix(a, cof_index_get_value(a->ix, at, ino, "target", ret));
	return r == -ENOENT ? cof_ix(a, -EUCLEAN) : r;
}

int cof_archive_readlink(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_buf *ret)
{
	int r;

	COF_GATED(a, r, link_target(a, at, ino, ret));
	return r;
}

/* ---- directories: some entries at a time ---- */

#define ENTRIES 64

struct entries {
	size_t n;
	struct {
		uint64_t cookie, ino;
		uint16_t len;
		uint8_t kind;
		char name[COF_NAME_MAX + 1];
	} entry[ENTRIES];
};

static int take_entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		      uint8_t kind)
{
	struct entries *e = user;

	if (len > COF_NAME_MAX)
		return -EUCLEAN;
	e->entry[e->n].cookie = cookie;
	e->entry[e->n].ino = ino;
	e->entry[e->n].len = (uint16_t)len;
	e->entry[e->n].kind = kind;
	memcpy(e->entry[e->n].name, name, len);
	e->entry[e->n].name[len] = 0;
	return ++e->n == ENTRIES;
}

static int some_entries(struct cof_archive *a, uint64_t at, uint64_t dir, uint64_t cookie,
			struct entries *e)
{
	int r;

	e->n = 0;
	r = cof_ix(a, cof_index_readdir(a->ix, at, dir, cookie, take_entry, e));
	return r < 0 ? r : 0;
}

int cof_archive_readdir(struct cof_archive *a, uint64_t at, uint64_t dir, uint64_t cookie,
			cof_index_entry_fn fn, void *user)
{
	cof_autofree struct entries *e = malloc(sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	do {
		COF_GATED(a, r, some_entries(a, at, dir, cookie, e));
		for (size_t i = 0; r == 0 && i < e->n; i++) {
			cookie = e->entry[i].cookie;
			r = fn(user, cookie, e->entry[i].name, e->entry[i].len, e->entry[i].ino,
			       e->entry[i].kind);
		}
	} while (r == 0 && e->n == ENTRIES);
	return r < 0 ? r : 0;
}

/* The same with attributes: one gate and one burst of reads for some names, and no object kept for any. */
static int some_attributes(struct cof_archive *a, const struct entries *e, struct cof_attr attr[ENTRIES])
{
	bool mine = cof_index_burst(a->ix);
	int r = 0;

	for (size_t i = 0; i < e->n; i++) {
		r = cof_obj_peek(a, e->entry[i].ino, &attr[i]);
		if (r == -COF_EINDEX)
			break;
		if (r < 0)
			attr[i].ino = 0;
	}
	cof_index_burst_end(a->ix, mine);
	return r == -COF_EINDEX ? r : 0;
}

int cof_archive_readdir_attr(struct cof_archive *a, uint64_t dir, uint64_t cookie,
			     cof_archive_entry_fn fn, void *user)
{
	struct page {
		struct entries e;
		struct cof_attr attr[ENTRIES];
	};
	cof_autofree struct page *p = malloc(sizeof(*p));
	int r, without = 0;

	if (!p)
		return -ENOMEM;
	do {
		COF_GATED(a, r, some_entries(a, COF_INDEX_NOW, dir, cookie, &p->e));
		if (r == 0)
			COF_GATED(a, without, some_attributes(a, &p->e, p->attr));
		for (size_t i = 0; r == 0 && i < p->e.n; i++) {
			bool has = !without && p->attr[i].ino;

			cookie = p->e.entry[i].cookie;
			r = fn(user, cookie, p->e.entry[i].name, p->e.entry[i].ino, p->e.entry[i].kind,
			       has ? &p->attr[i] : NULL);
		}
	} while (r == 0 && p->e.n == ENTRIES);
	return r < 0 ? r : 0;
}

/* ---- figures ---- */

int cof_archive_usage(struct cof_archive *a, struct cof_usage *ret)
{
	struct cof_usage u = {.files = atomic_load(&a->next_ino) - 1};
	struct cof_log_status st;
	int r = cof_io_space(a->io, &u.free_bytes, &u.total_bytes);

	if (r < 0)
		return r;
	if (a->log) {
		cof_log_status(a->log, &st);
		u.bytes = st.bytes;
	}
	*ret = u;
	return 0;
}
