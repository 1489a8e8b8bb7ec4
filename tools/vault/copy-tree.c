/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a copy: leaves enter the frontier, roots of complete subtrees go to tile/0 … tile/7. */
#include <stdio.h>

#include "tools/vault/internal.h"

static int flush_level(struct copy_tree *t, unsigned l)
{
	int r;

	if (!t->count[l])
		return 0;
	t->changed[l] = true;
	r = cof_io_write(t->file[l], t->buffer[l], (size_t)t->count[l] * COF_HASH, t->start[l] * COF_HASH);
	if (r < 0)
		return r;
	t->start[l] += t->count[l];
	t->count[l] = 0;
	return 0;
}

static void completed(void *user, unsigned level, uint64_t index, const uint8_t hash[COF_HASH])
{
	struct copy_tree *t = user;

	if (level >= LEVELS || t->err || t->dry)
		return;
	if (index != t->start[level] + t->count[level]) {
		t->err = -EUCLEAN;
		return;
	}
	memcpy(t->buffer[level][t->count[level]++], hash, COF_HASH);
	if (t->count[level] == LEVEL_BUFFER)
		t->err = flush_level(t, level);
}

int copy_tree_open(struct copy_tree *t, struct cof_io *io, struct cof_diag *diag)
{
	bool made = false;

	t->io = io;
	cof_frontier_init(&t->frontier);
	t->buffer = calloc(LEVELS, sizeof(*t->buffer));
	if (!t->buffer)
		return cof_fail(diag, -ENOMEM, "out of memory");
	for (unsigned l = 0; l < LEVELS; l++) {
		char path[16];
		int r;

		snprintf(path, sizeof(path), "tile/%u", l);
		r = cof_io_open(io, path, COF_IO_RDWR, &t->file[l]);
		if (r == -ENOENT) {
			r = cof_io_create(io, path, &t->file[l]);
			made = true;
		}
		if (r < 0)
			return cof_fail(diag, r, "%s/%s cannot be opened: %s", cof_io_where(io), path, strerror(-r));
	}
	return made ? cof_io_sync_dir(io, "tile") : 0;
}

void copy_tree_done(struct copy_tree *t)
{
	for (unsigned l = 0; l < LEVELS; l++)
		cof_io_close(t->file[l]);
	free(t->buffer);
	memset(t, 0, sizeof(*t));
}

static int get(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct copy_tree *t = user;
	size_t n = 0;
	int r;

	if (level >= LEVELS)
		return -ERANGE;
	if (index >= t->start[level] && index - t->start[level] < t->count[level]) {
		memcpy(out, t->buffer[level][index - t->start[level]], COF_HASH);
		return 0;
	}
	r = cof_io_read(t->file[level], out, COF_HASH, index * COF_HASH, &n);
	return r == 0 && n != COF_HASH ? -ERANGE : r;
}

int copy_tree_leaf(struct copy_tree *t, uint64_t index, uint8_t ret[COF_HASH])
{
	return get(t, 0, index, ret);
}

int copy_tree_root(struct copy_tree *t, uint64_t size, uint8_t ret[COF_HASH])
{
	struct cof_frontier f;
	int r = cof_frontier_load(&f, size, get, t);

	if (r == 0)
		cof_frontier_root(&f, ret);
	return r;
}

void copy_tree_dry(struct copy_tree *t)
{
	t->dry = true;
	cof_frontier_init(&t->frontier);
}

int copy_tree_back(struct copy_tree *t, uint64_t size)
{
	uint64_t n = size;
	int r;

	t->err = 0;
	t->dry = false;
	for (unsigned l = 0; l < LEVELS; l++, n /= COF_TILE) {
		uint64_t bytes;

		r = flush_level(t, l);
		if (r == 0)
			r = cof_io_size(t->file[l], &bytes);
		if (r < 0)
			return r;
		if (bytes / COF_HASH < n)
			return -ERANGE;
		if (bytes != n * COF_HASH) {
			t->changed[l] = true;
			r = cof_io_truncate(t->file[l], n * COF_HASH);
		}
		if (r < 0)
			return r;
		t->start[l] = n;
		t->count[l] = 0;
	}
	t->pushed = size;
	return cof_frontier_load(&t->frontier, size, get, t);
}

int copy_tree_add(struct copy_tree *t, const uint8_t leaf[COF_HASH])
{
	cof_frontier_add(&t->frontier, leaf, completed, t);
	return t->err;
}

int copy_tree_write(struct copy_tree *t, struct cof_file *ret[LEVELS])
{
	int r = t->err;

	for (unsigned l = 0; l < LEVELS && r == 0; l++) {
		r = flush_level(t, l);
		ret[l] = t->changed[l] ? t->file[l] : NULL;
	}
	return r;
}

void copy_tree_durable(struct copy_tree *t)
{
	memset(t->changed, 0, sizeof(t->changed));
}

void copy_tree_push(struct copy_tree *t)
{
	if (t->pushed < t->start[0])
		cof_io_push(t->file[0], t->pushed * COF_HASH, (t->start[0] - t->pushed) * COF_HASH);
	t->pushed = t->start[0];
}

int copy_tree_sync(struct copy_tree *t)
{
	struct cof_file *changed[LEVELS];
	int r = copy_tree_write(t, changed);

	if (r == 0)
		r = cof_io_sync_together(t->io, changed, LEVELS, NULL);
	if (r == 0)
		copy_tree_durable(t);
	return r;
}
