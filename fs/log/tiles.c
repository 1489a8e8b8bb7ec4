/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree behind the chain: leaves leave the ring, enter the frontier, and complete subtrees go to
 * tile/0 … tile/7 in batches. Derived from the log: a failure here stops nothing, and the next
 * mount makes the files again.
 */
#include <stdio.h>

#include "fs/log/internal.h"

#define DRAIN 512u /* leaves copied under one hold of the chain lock: 16 KiB */

static void level_path(unsigned level, char out[16])
{
	snprintf(out, 16, "tile/%u", level);
}

int cof_tiles_open(struct cof_log *log, struct cof_diag *diag)
{
	for (unsigned l = 0; l < COF_TILE_LEVELS; l++) {
		char path[16];
		int r;

		level_path(l, path);
		r = cof_io_open(log->p.io, path, COF_IO_RDWR, &log->tiles.file[l]);
		if (r == -ENOENT)
			r = cof_io_create(log->p.io, path, &log->tiles.file[l]);
		if (r < 0)
			return cof_fail(diag, r, "%s/%s cannot be opened: %s",
					cof_io_where(log->p.io), path, strerror(-r));
		log->tiles.buffer[l] = calloc(COF_TILE_BUFFER, COF_HASH);
		if (!log->tiles.buffer[l])
			return -ENOMEM;
	}
	cof_frontier_init(&log->tiles.frontier);
	return cof_io_sync_dir(log->p.io, "tile");
}

void cof_tiles_done(struct cof_log *log)
{
	for (unsigned l = 0; l < COF_TILE_LEVELS; l++) {
		cof_io_close(log->tiles.file[l]);
		free(log->tiles.buffer[l]);
		log->tiles.file[l] = NULL;
		log->tiles.buffer[l] = NULL;
	}
}

static int flush_level(struct cof_log *log, unsigned l)
{
	struct tiles *t = &log->tiles;
	int r;

	if (!t->count[l])
		return 0;
	if (t->held) {
		t->dropped = true;
	} else if (!t->err) {
		r = cof_io_write(t->file[l], t->buffer[l], (size_t)t->count[l] * COF_HASH,
				 t->start[l] * COF_HASH);
		if (r < 0) /* the file is short from here on, never wrong in between */
			t->err = r;
	}
	t->start[l] += t->count[l];
	t->count[l] = 0;
	return t->err;
}

static void completed(void *user, unsigned level, uint64_t index, const uint8_t hash[COF_HASH])
{
	struct cof_log *log = user;
	struct tiles *t = &log->tiles;

	if (level >= COF_TILE_LEVELS)
		return;
	if (index != t->start[level] + t->count[level]) {
		t->err = -EUCLEAN;
		return;
	}
	memcpy(t->buffer[level][t->count[level]++], hash, COF_HASH);
	if (t->count[level] == COF_TILE_BUFFER)
		(void)flush_level(log, level); /* kept in tiles.err */
}

void cof_tiles_add(struct cof_log *log, const uint8_t leaf[COF_HASH])
{
	cof_frontier_add(&log->tiles.frontier, leaf, completed, log);
}

void cof_tiles_drain(struct cof_log *log, struct cof_frontier *ret)
{
	uint8_t leaves[DRAIN][COF_HASH];
	uint64_t n;

	pthread_mutex_lock(&log->tree);
	do {
		pthread_mutex_lock(&log->chain);
		n = COF_MIN(log->size - log->ring_start, DRAIN);
		for (uint64_t i = 0; i < n; i++)
			memcpy(leaves[i], log->ring[(log->ring_start + i) % COF_LEAF_RING],
			       COF_HASH);
		log->ring_start += n;
		pthread_mutex_unlock(&log->chain);
		for (uint64_t i = 0; i < n; i++)
			cof_tiles_add(log, leaves[i]);
	} while (n);
	if (ret)
		*ret = log->tiles.frontier;
	pthread_mutex_unlock(&log->tree);
}

int cof_tiles_flush(struct cof_log *log, bool sync)
{
	int r = 0;

	pthread_mutex_lock(&log->tree);
	for (unsigned l = 0; l < COF_TILE_LEVELS && !r; l++) {
		r = flush_level(log, l);
		if (r || !sync)
			continue;
		r = cof_io_sync(log->tiles.file[l]);
		if (r < 0) { /* anything of it may be missing now; so that the next mount looks */
			log->tiles.unsynced = true;
			log->tiles.err = r;
		}
	}
	if (!r && sync)
		log->tiles.synced = log->tiles.frontier.size;
	pthread_mutex_unlock(&log->tree);
	return r;
}

int cof_tiles_get(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct cof_log *log = user;
	struct tiles *t = &log->tiles;
	size_t n;
	int r;

	if (level >= COF_TILE_LEVELS)
		return -ERANGE;
	if (index >= t->start[level]) {
		if (index - t->start[level] >= t->count[level])
			return -ERANGE;
		memcpy(out, t->buffer[level][index - t->start[level]], COF_HASH);
		return 0;
	}
	r = cof_io_read(t->file[level], out, COF_HASH, index * COF_HASH, &n);
	if (r < 0)
		return r;
	return n == COF_HASH ? 0 : -ENODATA;
}

int cof_tiles_reset(struct cof_log *log, uint64_t size)
{
	struct tiles *t = &log->tiles;

	t->err = 0;
	t->found = size;
	for (unsigned l = 0; l < COF_TILE_LEVELS; l++) {
		uint64_t want = (size >> (8 * l)) * COF_HASH, have;
		int r = cof_io_size(t->file[l], &have);

		if (r < 0)
			return r;
		if (have < want)
			return -ENODATA;
		if (have > want && !t->held) {
			r = cof_io_truncate(t->file[l], want);
			if (r < 0)
				return r;
		}
		t->start[l] = want / COF_HASH;
		t->count[l] = 0;
	}
	return 0;
}

int cof_tiles_release(struct cof_log *log, bool again)
{
	struct tiles *t = &log->tiles;
	uint64_t from = t->found > COF_TILE_UNSYNCED ? t->found - COF_TILE_UNSYNCED : 0;
	cof_autofree uint8_t *buf = again ? malloc(COF_STRETCH) : NULL;

	if (again && !buf)
		return -ENOMEM;
	t->held = false;
	for (unsigned l = 0; l < COF_TILE_LEVELS; l++) {
		uint64_t want = t->start[l] * COF_HASH, have;
		int r = cof_io_size(t->file[l], &have);

		if (r == 0 && have > want)
			r = cof_io_truncate(t->file[l], want);
		if (r == 0 && again)
			r = cof_write_again(t->file[l], (from >> (8 * l)) * COF_HASH,
					    (t->found >> (8 * l)) * COF_HASH, buf);
		else if (r == 0)
			r = cof_io_sync(t->file[l]);
		if (r < 0)
			return r;
	}
	t->synced = t->start[0];
	return 0;
}

/* One stored hash against the 256 below it. 1: it fits, 0: it does not, or they are not there. */
static int fits(struct cof_log *log, unsigned level, uint64_t index, uint8_t (*below)[COF_HASH])
{
	uint8_t stored[COF_HASH], root[COF_HASH];
	size_t n, bytes = 256 * COF_HASH;
	int r = cof_io_read(log->tiles.file[level], stored, COF_HASH, index * COF_HASH, &n);

	if (r < 0 || n < COF_HASH)
		return r;
	r = cof_io_read(log->tiles.file[level - 1], below, bytes, index * bytes, &n);
	if (r < 0 || n < bytes)
		return r;
	cof_merkle_root((const void *)below, 256, root);
	return memcmp(root, stored, COF_HASH) == 0;
}

int cof_tiles_good(struct cof_log *log, uint64_t size, uint64_t *ret)
{
	cof_autofree uint8_t(*below)[COF_HASH] = malloc((size_t)256 * COF_HASH);
	uint64_t from = size > COF_TILE_UNSYNCED ? size - COF_TILE_UNSYNCED : 0, good = size;

	if (!below)
		return -ENOMEM;
	for (unsigned l = 1; l < COF_TILE_LEVELS; l++) {
		for (uint64_t i = from >> (8 * l); i < good >> (8 * l); i++) {
			int r = fits(log, l, i, below);

			if (r < 0)
				return r;
			if (!r)
				good = i << (8 * l);
		}
	}
	*ret = good;
	return 0;
}
