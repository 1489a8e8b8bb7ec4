/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sender reads: a store or a copy as it lies there, up to its newest checkpoint. Stored hashes that are not
 * written yet are computed from the log; those that are there have to give the checkpoint's root.
 */
#include <stdio.h>

#include "tools/vault/internal.h"

#define KEPT_TILES (2 * LEVELS)
struct kept_tile {
	bool there;
	unsigned level;
	uint64_t tile;
	uint8_t hash[COF_TILE][COF_HASH];
};

struct vault_source {
	struct cof_io *io;
	struct cof_conf conf;
	char *conf_text, *note;
	struct cof_checkpoint head;
	struct cof_reader *reader;
	uint64_t end;
	struct cof_file *tile[LEVELS];
	uint64_t stored[LEVELS]; /* hashes that count */
	uint8_t (*leaves)[COF_HASH]; /* from stored[0] on */
	struct kept_tile *kept;	     /* NULL: none yet */
	/* reading */
	uint64_t at, sequence; /* the next byte; the frame that it is of */
	uint64_t left;	       /* of that frame, when it was begun; else 0 */
};

static int get(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct vault_source *s = user;
	size_t n = 0;
	int r;

	if (level >= LEVELS)
		return -ERANGE;
	if (index < s->stored[level]) {
		r = cof_io_read(s->tile[level], out, COF_HASH, index * COF_HASH, &n);
		return r == 0 && n != COF_HASH ? -EUCLEAN : r;
	}
	if (!level) {
		if (index >= s->head.size)
			return -ERANGE;
		memcpy(out, s->leaves[index - s->stored[0]], COF_HASH);
		return 0;
	}
	{
		struct cof_frontier f;
		uint8_t hash[COF_HASH];

		/* a subtree's root is that of its children, as leaves of a tree of their own */
		cof_frontier_init(&f);
		for (uint64_t i = 0; i < COF_TILE; i++) {
			r = get(s, level - 1, index * COF_TILE + i, hash);
			if (r < 0)
				return r;
			cof_frontier_add(&f, hash, NULL, NULL);
		}
		cof_frontier_root(&f, out);
	}
	return 0;
}

/* Whoever proves something needs neighbours, and one frame after another the same again: a few tiles are kept. */
static int get_kept(void *user, unsigned level, uint64_t index, uint8_t out[COF_HASH])
{
	struct vault_source *s = user;
	uint64_t tile = index / COF_TILE;
	struct kept_tile *k;
	size_t n = 0, want;
	int r;

	if (level >= LEVELS || index >= s->stored[level])
		return get(s, level, index, out);
	want = (size_t)COF_MIN((uint64_t)COF_TILE, s->stored[level] - tile * COF_TILE) * COF_HASH;
	if (!s->kept)
		s->kept = calloc(KEPT_TILES, sizeof(*s->kept));
	if (!s->kept)
		return -ENOMEM;
	k = &s->kept[(2 * level + tile % 2) % KEPT_TILES];
	if (!k->there || k->level != level || k->tile != tile) {
		k->there = false;
		r = cof_io_read(s->tile[level], k->hash, want, tile * sizeof(k->hash), &n);
		if (r < 0 || n != want)
			return r < 0 ? r : -EUCLEAN;
		k->there = true;
		k->level = level;
		k->tile = tile;
	}
	memcpy(out, k->hash[index % COF_TILE], COF_HASH);
	return 0;
}

static int damaged(const struct vault_source *s, struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN, "%s: log and stored hashes do not give its checkpoint: coffer verify %s tells "
					"what is wrong",
			cof_io_where(s->io), cof_io_where(s->io));
}

/* Leaves that are not stored. */
static int compute_leaves(struct vault_source *s, struct cof_diag *diag)
{
	uint64_t n = s->head.size - s->stored[0], at = 0;
	uint8_t previous[COF_HASH] = {0}, raw[COF_FRAME_HEADER];
	struct cof_frame f;
	int r = 0;

	if (!n)
		return 0;
	s->leaves = n < SIZE_MAX / COF_HASH ? malloc((size_t)n * COF_HASH) : NULL;
	if (!s->leaves)
		return cof_fail(diag, -ENOMEM, "out of memory for %llu hashes", (unsigned long long)n);
	if (s->stored[0])
		r = get(s, 0, s->stored[0] - 1, previous);
	if (r == 0)
		r = cof_reader_find(s->reader, s->stored[0], &at, diag);
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		r = cof_reader_header(s->reader, at, &f, raw, diag);
		if (r == 0 && f.sequence != s->stored[0] + i)
			r = -EUCLEAN;
		if (r < 0)
			break;
		cof_frame_leaf(raw, previous, s->leaves[i]);
		memcpy(previous, s->leaves[i], COF_HASH);
		if (i + 1 < n)
			r = cof_reader_next(s->reader, at, &f, &at);
	}
	return r < 0 ? damaged(s, diag) : 0;
}

static int open_tiles(struct vault_source *s, struct cof_diag *diag)
{
	uint64_t n = s->head.size;

	for (unsigned l = 0; l < LEVELS; l++, n /= COF_TILE) {
		char path[16];
		uint64_t bytes = 0;
		int r;

		snprintf(path, sizeof(path), "tile/%u", l);
		r = cof_io_open(s->io, path, COF_IO_RDONLY, &s->tile[l]);
		if (r == 0)
			r = cof_io_size(s->tile[l], &bytes);
		if (r < 0 && r != -ENOENT)
			return cof_fail(diag, r, "%s/%s cannot be read: %s", cof_io_where(s->io), path, strerror(-r));
		s->stored[l] = COF_MIN(n, bytes / COF_HASH);
	}
	return 0;
}

static int last_segment(void *user, const char *name)
{
	uint64_t *most = user;
	char *end = NULL;
	unsigned long long number = strtoull(name, &end, 16);

	if (end == name + 8 && !strcmp(end, ".seg") && number > *most)
		*most = number;
	return 0;
}

/* Where the last frame begins, as it was found before: if the hashes say that it is that one. */
static bool last_is_known(struct vault_source *s, struct cof_frame *f, uint64_t *ret)
{
	uint8_t raw[COF_FRAME_HEADER], previous[COF_HASH] = {0}, leaf[COF_HASH], is[COF_HASH];
	struct cof_known known = {.size = 0};
	uint64_t size = s->head.size;

	if (cof_known_load(s->io, &s->conf, &known) < 0 || known.size != size ||
	    cof_reader_header(s->reader, known.last, f, raw, NULL) < 0 || get(s, 0, size - 1, is) < 0 ||
	    (size > 1 && get(s, 0, size - 2, previous) < 0))
		return false;
	cof_frame_leaf(raw, previous, leaf);
	*ret = known.last;
	return cof_equal(leaf, is, COF_HASH);
}

/* Where the last frame ends; where damage is in the way of it, where the log's files do. */
static int find_end(struct vault_source *s, struct cof_diag *diag)
{
	cof_autofile struct cof_file *f = NULL;
	struct cof_frame frame;
	uint64_t at = 0, last = 0, bytes = 0;
	char path[32];
	int r;

	if (last_is_known(s, &frame, &at) ||
	    (cof_reader_find(s->reader, s->head.size - 1, &at, NULL) == 0 &&
	     cof_reader_header(s->reader, at, &frame, NULL, NULL) == 0 && frame.sequence == s->head.size - 1)) {
		s->end = at + COF_FRAME_HEADER + frame.stored;
		return 0;
	}
	r = cof_io_list(s->io, "log", last_segment, &last);
	copy_segment_path(last, path);
	if (r == 0)
		r = cof_io_open(s->io, path, COF_IO_RDONLY, &f);
	if (r == 0)
		r = cof_io_size(f, &bytes);
	s->end = last * s->conf.segment_size + bytes;
	return r < 0 ? damaged(s, diag) : 0;
}

static int load(struct vault_source *s, struct cof_diag *diag)
{
	size_t n = 0;
	uint8_t *text = NULL;
	int r = cof_conf_load(s->io, &s->conf, diag);

	if (r < 0)
		return r;
	r = cof_io_load(s->io, "archive.conf", 65536, &text, &n);
	s->conf_text = (char *)text;
	text = NULL;
	if (r == 0)
		r = cof_io_load(s->io, "checkpoint", COF_NOTE_MAX, &text, &n);
	s->note = (char *)text;
	if (r == -ENOENT)
		return cof_fail(diag, r, "%s has no checkpoint yet: it is made a second after the first frame, or by "
					 "coffer verify of what is damaged",
				cof_io_where(s->io));
	if (r == 0)
		r = cof_checkpoint_open(s->note, n, &s->conf.vkey, &s->head);
	if (r == 0 && !s->head.size)
		r = -EUCLEAN;
	if (r < 0)
		return cof_fail(diag, r, "%s/checkpoint is damaged: coffer verify %s tells more", cof_io_where(s->io),
				cof_io_where(s->io));
	return 0;
}

int vault_source_open(struct cof_io *io, struct vault_source **ret, struct cof_diag *diag)
{
	struct vault_source *s = calloc(1, sizeof(*s));
	uint8_t root[COF_HASH];
	int r;

	if (!s)
		return cof_fail(diag, -ENOMEM, "out of memory");
	s->io = io;
	r = load(s, diag);
	if (r == 0)
		r = cof_reader_new(io, &s->conf, &s->reader);
	if (r == 0)
		r = open_tiles(s, diag);
	if (r == 0)
		r = compute_leaves(s, diag);
	if (r == 0) {
		r = vault_source_root(s, s->head.size, root, diag);
		if (r == 0 && !cof_equal(root, s->head.root, COF_HASH))
			r = damaged(s, diag);
	}
	if (r == 0)
		r = find_end(s, diag);
	if (r < 0) {
		vault_source_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void vault_source_free(struct vault_source *s)
{
	if (!s)
		return;
	for (unsigned l = 0; l < LEVELS; l++)
		cof_io_close(s->tile[l]);
	cof_reader_free(s->reader);
	free(s->leaves);
	free(s->kept);
	free(s->conf_text);
	free(s->note);
	free(s);
}

const struct cof_conf *vault_source_conf(const struct vault_source *s)
{
	return &s->conf;
}

const char *vault_source_conf_text(const struct vault_source *s)
{
	return s->conf_text;
}

const char *vault_source_note(const struct vault_source *s, struct cof_checkpoint *ret)
{
	if (ret)
		*ret = s->head;
	return s->note;
}

uint64_t vault_source_end(const struct vault_source *s)
{
	return s->end;
}

int vault_source_proof(struct vault_source *s, uint64_t older, struct vault_proof *proof, struct cof_diag *diag)
{
	int r;

	proof->n = 0;
	if (older > s->head.size)
		return cof_fail(diag, -ERANGE, "%llu frames are more than the newest checkpoint has",
				(unsigned long long)older);
	if (!older)
		return 0;
	r = cof_merkle_consistency(older, s->head.size, get_kept, s, proof->hash, &proof->n);
	return r < 0 ? damaged(s, diag) : 0;
}

int vault_source_leaf(struct vault_source *s, uint64_t sequence, uint8_t ret[COF_HASH], struct cof_diag *diag)
{
	int r = sequence < s->head.size ? get(s, 0, sequence, ret) : -ERANGE;

	return r < 0 ? damaged(s, diag) : 0;
}

int vault_source_inclusion(struct vault_source *s, uint64_t sequence, uint64_t size, struct vault_proof *proof, struct cof_diag *diag)
{
	int r = sequence < size && size <= s->head.size ? cof_merkle_inclusion(sequence, size, get_kept, s, proof->hash, &proof->n)
							: -ERANGE;

	return r < 0 ? damaged(s, diag) : 0;
}

int vault_source_root(struct vault_source *s, uint64_t size, uint8_t ret[COF_HASH], struct cof_diag *diag)
{
	struct cof_frontier f;
	int r = size > s->head.size ? -ERANGE : cof_frontier_load(&f, size, get_kept, s);

	if (r < 0)
		return damaged(s, diag);
	cof_frontier_root(&f, ret);
	return 0;
}

/* ---- reading ---- */

int vault_source_address(struct vault_source *s, uint64_t size, uint64_t *ret, struct cof_diag *diag)
{
	*ret = size ? s->end : 0;
	if (!size || size == s->head.size)
		return 0;
	if (size > s->head.size || cof_reader_find(s->reader, size, ret, NULL) < 0)
		return cof_fail(diag, -ERANGE, "frame %llu is not in the log", (unsigned long long)size);
	return 0;
}

int vault_source_seek(struct vault_source *s, uint64_t size, uint64_t address, struct cof_diag *diag)
{
	uint64_t at = 0, segment = s->conf.segment_size;
	struct cof_frame f;

	s->sequence = size;
	s->left = 0;
	s->at = address;
	if (size == s->head.size && address == s->end)
		return 0;
	/* also where a damaged frame before it is in the way of a search */
	for (at = address; size < s->head.size && at <= address + segment; at += segment - at % segment)
		if (cof_reader_header(s->reader, at, &f, NULL, NULL) == 0 && f.sequence == size) {
			s->at = at;
			return 0;
		}
	at = 0;
	if (size >= s->head.size || cof_reader_find(s->reader, size, &at, NULL) < 0 ||
	    cof_reader_header(s->reader, at, &f, NULL, NULL) < 0)
		return cof_fail(diag, -ERANGE, "frame %llu is not in the log", (unsigned long long)size);
	if (address < at && at % segment == 0 && address / segment + 1 == at / segment)
		s->at = address = at; /* it did not fit where the one before ended */
	if (address < at || address >= at + COF_FRAME_HEADER + f.stored)
		return cof_fail(diag, -ERANGE, "address %llu does not lie in frame %llu", (unsigned long long)address,
				(unsigned long long)size);
	if (address > at)
		s->left = at + COF_FRAME_HEADER + f.stored - address;
	return 0;
}

int vault_source_segment(struct vault_source *s, uint64_t number, struct cof_diag *diag)
{
	struct cof_frame f;

	if (cof_reader_header(s->reader, number * s->conf.segment_size, &f, NULL, NULL) < 0 || f.sequence >= s->head.size)
		return cof_fail(diag, -ERANGE, "segment %llu is not in this log", (unsigned long long)number);
	s->sequence = f.sequence;
	s->left = 0;
	s->at = number * s->conf.segment_size;
	return 0;
}

/* How many of the bytes belong to frames of the checkpoint; moves on over them. */
static int count(struct vault_source *s, const uint8_t *p, size_t n, size_t *ret_n, struct cof_diag *diag)
{
	size_t used = 0;

	while (used < n && s->sequence < s->head.size) {
		struct cof_frame f;
		size_t k;

		if (!s->left) {
			int r = n - used < COF_FRAME_HEADER ? -ENODATA : cof_frame_decode(p + used, &f, diag);

			if (r == -ENODATA)
				break;
			if (r < 0 || f.sequence != s->sequence)
				return damaged(s, diag);
			s->left = COF_FRAME_HEADER + (uint64_t)f.stored;
		}
		k = (size_t)COF_MIN(s->left, (uint64_t)(n - used));
		used += k;
		s->left -= k;
		if (!s->left)
			s->sequence++;
	}
	s->at += used;
	*ret_n = used;
	return 0;
}

int vault_source_read(struct vault_source *s, void *buf, size_t n, struct vault_piece *ret, struct cof_diag *diag)
{
	uint64_t segment = s->conf.segment_size;
	bool moved = false;

	ret->n = 0;
	while (!ret->n && s->sequence < s->head.size) {
		size_t got = 0;
		int r;

		ret->address = s->at;
		r = cof_reader_bytes(s->reader, s->at, buf, n, &got);
		if (r < 0 && r != -ENODATA)
			return cof_fail(diag, r, "%s: the log cannot be read: %s", cof_io_where(s->io), strerror(-r));
		r = count(s, buf, got, &ret->n, diag);
		if (r < 0)
			return r;
		if (ret->n)
			break;
		if (moved || s->left)
			return damaged(s, diag);
		s->at = s->at - s->at % segment + segment;
		moved = true;
	}
	ret->whole = s->sequence;
	return 0;
}
