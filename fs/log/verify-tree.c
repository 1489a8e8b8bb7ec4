/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a log that is verified, and tile/0 … tile/7 beside it.
 *
 * The tree stays some leaves behind the chain, so that the root of a size that has just gone by can
 * still be had: a CHECKPOINT frame comes later than the size that it is for. The stored hashes are
 * derived, but they help to say what exactly is wrong: where a frame's leaf is not the stored one,
 * the frame behind it links to one of the two, and so tells which was altered.
 */
#include <stdio.h>

#include "fs/log/verify.h"

static bool is_zero(const uint8_t hash[COF_HASH])
{
	static const uint8_t none[COF_HASH];

	return memcmp(hash, none, COF_HASH) == 0;
}

/* Parts of the right hash and zeros: a write that a crash cut to pieces. Nothing that says
 * something else than the frames. */
static bool cut_short(const uint8_t stored[COF_HASH], const uint8_t right[COF_HASH])
{
	for (size_t i = 0; i < COF_HASH; i++)
		if (stored[i] && stored[i] != right[i])
			return false;
	return true;
}

int cof_tree_start(struct verify *v)
{
	struct tree *t = &v->tree;

	cof_frontier_init(&t->frontier);
	t->ring = malloc((size_t)VERIFY_LEAVES * COF_HASH);
	t->significant = calloc(VERIFY_LEAVES, 1);
	t->tile = calloc(VERIFY_TILES, sizeof(*t->tile));
	if (!t->ring || !t->significant || !t->tile)
		return -ENOMEM;
	for (unsigned l = 0; l < VERIFY_LEVELS; l++) {
		struct level *level = &t->level[l];
		uint64_t bytes = 0;
		char path[16];
		int r;

		snprintf(path, sizeof(path), "tile/%u", l);
		level->buf = malloc((size_t)VERIFY_TILE * COF_HASH);
		if (!level->buf)
			return -ENOMEM;
		r = cof_io_open(v->p->io, path, COF_IO_RDONLY, &level->file);
		if (!r)
			r = cof_io_size(level->file, &bytes);
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
			return r; /* says nothing of the archive */
		if (r < 0 && r != -ENOENT)
			cof_verify_say(v, COF_INCOMPLETE, NOWHERE(path), "cannot be read: %s",
				       strerror(-r));
		level->stored = bytes / COF_HASH;
	}
	return 0;
}

void cof_tree_stop(struct verify *v)
{
	struct tree *t = &v->tree;

	for (unsigned l = 0; l < VERIFY_LEVELS; l++) {
		cof_io_close(t->level[l].file);
		free(t->level[l].buf);
	}
	free(t->ring);
	free(t->significant);
	free(t->tile);
}

/* A hash that the disk does not have, or has lost (zeros), is not stored. */
bool cof_tree_stored(struct verify *v, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct level *l = &v->tree.level[level];

	if (index >= l->stored)
		return false;
	if (index < l->start || index - l->start >= l->have) {
		size_t n = 0;

		l->have = 0;
		if (cof_io_read(l->file, l->buf, (size_t)VERIFY_TILE * COF_HASH, index * COF_HASH,
				&n) < 0)
			return false; /* counts as missing */
		l->start = index;
		l->have = n / COF_HASH;
		if (!l->have)
			return false;
	}
	memcpy(out, l->buf[index - l->start], COF_HASH);
	return !is_zero(out);
}

/* Apart from the buffers, which the walk fills in order. */
int cof_tree_get(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct verify *v = user;
	struct level *l;
	size_t n = 0;
	int r;

	if (level >= VERIFY_LEVELS || index >= v->tree.level[level].stored)
		return -ERANGE;
	l = &v->tree.level[level];
	r = cof_io_read(l->file, out, COF_HASH, index * COF_HASH, &n);
	if (r < 0)
		return r;
	return n == COF_HASH && !is_zero(out) ? 0 : -ENODATA;
}

/* Only what the checkpoint covers has to be there. */
static void missing(struct verify *v, unsigned level, uint64_t index)
{
	struct level *l = &v->tree.level[level];

	if (index >= v->covered >> (8 * level))
		return;
	if (!l->missing++)
		l->first_missing = index;
}

/* Of a hash that is there in part; also behind the checkpoint that is none of a closed archive. */
static void in_part(struct verify *v, unsigned level, uint64_t index)
{
	if (index >= v->covered >> (8 * level))
		v->tree.level[level].behind = true;
	else
		missing(v, level, index);
}

static void wrong_hash(struct verify *v, unsigned level, uint64_t index)
{
	bool covered = index < v->covered >> (8 * level);
	struct place place = NOWHERE(NULL);
	char path[16];

	snprintf(path, sizeof(path), "tile/%u", level);
	place.file = path;
	place.offset = index * COF_HASH;
	if (level == 0)
		place.sequence = (int64_t)index;
	v->tree.level[level].wrong++;
	if (covered)
		cof_verify_say(v, COF_TAMPERED, place,
			       "hash %llu is not the one that the frames give",
			       (unsigned long long)index);
	else
		v->tree.level[level].behind = true; /* finish_level weighs it */
}

/* A subtree is complete. Level 0 was looked at when its leaf was made. */
static void completed(void *user, unsigned level, uint64_t index, const uint8_t hash[COF_HASH])
{
	struct verify *v = user;
	uint8_t stored[COF_HASH];

	if (!level || level >= VERIFY_LEVELS)
		return;
	if (!cof_tree_stored(v, level, index, stored))
		missing(v, level, index);
	else if (memcmp(stored, hash, COF_HASH) != 0 && cut_short(stored, hash))
		in_part(v, level, index);
	else if (memcmp(stored, hash, COF_HASH) != 0 && !v->tree.level[level].wrong)
		wrong_hash(v, level, index); /* one a level: what is above and behind follows */
}

/* Nobody reads leaves below the frontier any more: a tile that a worker has is waited for, whether its
 * root is of use or not. */
static void advance(struct verify *v, uint64_t to)
{
	struct tree *t = &v->tree;
	struct cof_frontier *f = &t->frontier;

	while (f->size < to) {
		uint64_t n = f->size / COF_TILE;
		const struct tile *tile = &t->tile[n % VERIFY_TILES];
		bool known = n < t->tiled && tile->window;

		if (known)
			cof_pool_wait(v, tile->window);
		if (known && f->size % COF_TILE == 0 && to - f->size >= COF_TILE)
			cof_frontier_add_tile(f, tile->root, completed, v);
		else
			cof_frontier_add(f, t->ring[f->size % VERIFY_LEAVES], completed, v);
	}
}

/* Not with the last leaf: cof_tree_settle may still put another in its place. */
void cof_tree_share(struct verify *v, struct window *w, uint64_t n)
{
	struct tree *t = &v->tree;
	uint64_t whole = t->size ? (t->size - 1) / COF_TILE : 0;

	w->tile = w->tiles = 0;
	if (t->broken)
		return;
	/* Of those that the frontier is in or behind, the leaves may be gone. */
	t->tiled = COF_MAX(t->tiled, (t->frontier.size + COF_TILE - 1) / COF_TILE);
	if (t->tiled >= whole)
		return;
	w->tile = t->tiled;
	w->tiles = whole - t->tiled;
	for (; t->tiled < whole; t->tiled++)
		t->tile[t->tiled % VERIFY_TILES].window = n;
}

void cof_tree_tiles(struct verify *v, const struct window *w)
{
	struct tree *t = &v->tree;

	for (uint64_t n = w->tile; n < w->tile + w->tiles; n++)
		cof_merkle_root((const uint8_t(*)[COF_HASH])t->ring + n % VERIFY_TILES * COF_TILE,
				COF_TILE, t->tile[n % VERIFY_TILES].root);
}

static void push(struct verify *v, const uint8_t leaf[COF_HASH], bool significant)
{
	struct tree *t = &v->tree;

	if (!t->broken) {
		if (t->size - t->frontier.size == VERIFY_LEAVES)
			advance(v, t->size - VERIFY_LEAVES / 4 * 3);
		memcpy(t->ring[t->size % VERIFY_LEAVES], leaf, COF_HASH);
	}
	t->significant[t->size % VERIFY_LEAVES] = significant;
	memcpy(v->previous, leaf, COF_HASH);
	t->size++;
}

/* Neither can be shown to be the right one. */
static void both_differ(struct verify *v, struct place place)
{
	uint64_t n = v->tree.size - 1;

	if (n >= v->covered)
		v->tree.level[0].behind = true;
	else
		cof_verify_say(v, COF_TAMPERED, place,
			       "frame %llu and the hash that tile/0 has for it differ",
			       (unsigned long long)n);
}

void cof_tree_settle(struct verify *v, const uint8_t *raw)
{
	struct tree *t = &v->tree;
	uint8_t leaf[COF_HASH], stored[COF_HASH];

	if (!t->suspect.open)
		return;
	t->suspect.open = false;
	if (!raw || !cof_tree_stored(v, 0, t->size, stored)) {
		both_differ(v, t->suspect.place);
		return;
	}
	cof_frame_leaf(raw, v->previous, leaf);
	if (memcmp(leaf, stored, COF_HASH) == 0) {
		wrong_hash(v, 0, t->size - 1);
		return;
	}
	cof_frame_leaf(raw, t->suspect.stored, leaf);
	if (memcmp(leaf, stored, COF_HASH) == 0) {
		cof_verify_say(v, cof_verify_weigh(v, t->size - 1), t->suspect.place,
			       "this is not the frame that was written here: its header was "
			       "altered, as the frame behind it and tile/0 show");
		memcpy(v->previous, t->suspect.stored, COF_HASH);
		memcpy(t->ring[(t->size - 1) % VERIFY_LEAVES], t->suspect.stored, COF_HASH);
		return;
	}
	t->blind = true;
	both_differ(v, t->suspect.place);
}

void cof_tree_link(struct verify *v, const uint8_t *raw, struct place place, bool significant)
{
	struct tree *t = &v->tree;
	uint8_t leaf[COF_HASH], stored[COF_HASH];

	cof_frame_leaf(raw, v->previous, leaf);
	if (!t->blind) {
		if (!cof_tree_stored(v, 0, t->size, stored)) {
			missing(v, 0, t->size);
		} else if (memcmp(leaf, stored, COF_HASH) != 0 && cut_short(stored, leaf)) {
			in_part(v, 0, t->size);
		} else if (memcmp(leaf, stored, COF_HASH) != 0) {
			t->suspect.open = !t->broken;
			t->suspect.place = place;
			memcpy(t->suspect.stored, stored, COF_HASH);
		}
	}
	push(v, leaf, significant);
}

bool cof_tree_bridge(struct verify *v, uint64_t to)
{
	struct tree *t = &v->tree;
	uint8_t stored[COF_HASH];

	cof_tree_settle(v, NULL);
	while (t->size < to) {
		if (t->broken || t->blind || !cof_tree_stored(v, 0, t->size, stored)) {
			t->broken = true;
			t->size = to;
			return false;
		}
		push(v, stored, true);
	}
	return true;
}

int cof_tree_root_at(struct verify *v, uint64_t size, uint8_t out[COF_HASH])
{
	struct tree *t = &v->tree;
	struct cof_frontier f;

	if (t->broken || size > t->size)
		return -ENODATA;
	if (size >= t->frontier.size) {
		advance(v, size);
		cof_frontier_root(&t->frontier, out);
		return 0;
	}
	if (cof_frontier_load(&f, size, cof_tree_get, v) < 0)
		return -ERANGE;
	cof_frontier_root(&f, out);
	return 0;
}

uint64_t cof_tree_significant(struct verify *v, uint64_t from)
{
	struct tree *t = &v->tree;
	uint64_t n = 0;

	if (t->size > VERIFY_LEAVES && from < t->size - VERIFY_LEAVES) {
		n = t->size - VERIFY_LEAVES - from; /* older than what is remembered: most are */
		from = t->size - VERIFY_LEAVES;
	}
	for (; from < t->size; from++)
		n += t->significant[from % VERIFY_LEAVES];
	return n;
}

static void finish_level(struct verify *v, unsigned l, bool closed)
{
	const struct level *level = &v->tree.level[l];
	uint64_t most = v->tree.size >> (8 * l), bytes = 0;
	enum cof_verdict verdict = closed ? COF_INCOMPLETE : COF_INTACT;
	struct place place = NOWHERE(NULL);
	char path[16];

	snprintf(path, sizeof(path), "tile/%u", l);
	place.file = path;
	if (level->missing) {
		place.offset = level->first_missing * COF_HASH;
		cof_verify_say(v, verdict, place,
			       "%llu hashes below the checkpoint are missing, the first is %llu%s",
			       (unsigned long long)level->missing,
			       (unsigned long long)level->first_missing,
			       closed ? "" : "; the next mount makes them");
	}
	if (level->behind)
		cof_verify_say(v, verdict, place,
			       "hashes behind the checkpoint are not those that the frames give");
	if (v->p->live || v->tree.broken || !level->file ||
	    cof_io_size(level->file, &bytes) < 0 || bytes <= most * COF_HASH)
		return;
	place.offset = most * COF_HASH;
	cof_verify_say(v, verdict, place, "%llu bytes more than %llu frames make",
		       (unsigned long long)(bytes - most * COF_HASH),
		       (unsigned long long)v->tree.size);
}

void cof_tree_finish(struct verify *v, bool closed)
{
	cof_tree_settle(v, NULL);
	if (!v->tree.broken)
		advance(v, v->tree.size);
	for (unsigned l = 0; l < VERIFY_LEVELS; l++)
		finish_level(v, l, closed);
}
