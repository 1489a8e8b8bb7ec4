/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a checkpoint on that somebody kept. The stored hashes give the tree as it was at its size:
 * if the root is the signed one, whatever was below it then is below the newest checkpoint now, and
 * the frames behind it are walked with the chain and the tree going on from there. None of these
 * hashes is trusted: each is under the signed root, or nothing is skipped and the walk begins at
 * frame 0, which compares the root when it comes to that size.
 */
#include <stdio.h>

#include "fs/log/verify.h"

/* The frame before the first one to be walked, proven to be under the signed root. */
struct before {
	struct cof_frame frame;
	uint8_t leaf[COF_HASH];
	uint64_t next; /* address of the first one to be walked */
};

static int load(struct verify *v)
{
	struct cof_checkpoint *since = &v->since.checkpoint;
	int r = cof_checkpoint_open(v->p->since, v->p->since_len, &v->out.conf.vkey, since);

	if (r == -ENOKEY) {
		cof_verify_say(v, COF_WRONG_KEY, NOWHERE(NULL),
			       "the checkpoint to go on from is not signed by this archive's key");
		return 1;
	}
	if (r < 0 || !since->size) {
		memset(since, 0, sizeof(*since));
		return cof_fail(v->diag, r < 0 ? r : -EUCLEAN, "the checkpoint to go on from %s",
				r == -EBADMSG ? "carries a signature that does not hold"
					      : "is no checkpoint");
	}
	v->out.since_size = since->size;
	if (since->size > v->checkpoint.size)
		cof_verify_say(
		    v, COF_INCOMPLETE, NOWHERE("checkpoint"),
		    "is for %llu frames, the one to go on from for %llu: an old copy was "
		    "put back",
		    (unsigned long long)v->checkpoint.size, (unsigned long long)since->size);
	v->covered = COF_MAX(v->covered, since->size);
	return 0;
}

/* The newer checkpoint holds the older one: a proof from the stored hashes, checked like a
 * stranger's. */
static bool consistent(struct verify *v)
{
	const struct cof_checkpoint *old = &v->since.checkpoint, *now = &v->checkpoint;
	uint8_t proof[COF_PROOF_MAX][COF_HASH];
	size_t n = 0;

	if (now->size <= old->size)
		return now->size < old->size || !memcmp(now->root, old->root, COF_HASH);
	return cof_merkle_consistency(old->size, now->size, cof_tree_get, v, proof, &n) == 0 &&
	       cof_merkle_verify_consistency(old->size, now->size,
					     (const uint8_t(*)[COF_HASH])proof, n, old->root,
					     now->root) == 0;
}

static bool proven_leaf(struct verify *v, uint64_t index, uint8_t ret[COF_HASH])
{
	const struct cof_checkpoint *cp = &v->since.checkpoint;
	uint8_t proof[COF_PROOF_MAX][COF_HASH];
	size_t n = 0;

	return cof_tree_get(v, 0, index, ret) == 0 &&
	       cof_merkle_inclusion(index, cp->size, cof_tree_get, v, proof, &n) == 0 &&
	       cof_merkle_verify_inclusion(index, cp->size, ret, (const uint8_t(*)[COF_HASH])proof,
					   n, cp->root) == 0;
}

static bool find_before(struct verify *v, struct cof_reader *reader, struct before *ret)
{
	uint64_t last = v->since.checkpoint.size - 1, at;
	uint8_t raw[COF_FRAME_HEADER], previous[COF_HASH] = {0}, leaf[COF_HASH];

	if (!proven_leaf(v, last, ret->leaf) || (last && !proven_leaf(v, last - 1, previous)))
		return false;
	if (cof_reader_find(reader, last, &at, NULL) < 0 ||
	    cof_reader_header(reader, at, &ret->frame, raw, NULL) < 0)
		return false;
	cof_frame_leaf(raw, previous, leaf);
	return !memcmp(leaf, ret->leaf, COF_HASH) &&
	       cof_reader_next(reader, at, &ret->frame, &ret->next) == 0;
}

/* The walk begins behind that frame, knowing what it would have known there. */
static void skip(struct verify *v, struct cof_reader *reader, const struct cof_frontier *frontier,
		 const struct before *b)
{
	uint64_t size = v->out.conf.segment_size, off = b->next % size;
	uint32_t first = (uint32_t)(b->next / size);
	size_t drop = 0;

	while (drop < v->segments && v->segment[drop] < first)
		drop++;
	memmove(v->segment, v->segment + drop, (v->segments - drop) * sizeof(*v->segment));
	v->segments -= drop;
	v->since.segment = first;
	v->since.offset = off;
	v->bytes_total -= COF_MIN(v->bytes_total, b->next);
	v->tree.frontier = *frontier;
	v->tree.size = v->sequence = frontier->size;
	memcpy(v->previous, b->leaf, COF_HASH);
	v->mount = b->frame.mount;
	v->retention = b->frame.retention_time;
	v->last_type = b->frame.type;
	if (cof_frame_significant(&b->frame))
		v->significant_type = b->frame.type;
	v->out.since = frontier->size;
	v->since.epoch_unknown = !cof_seal_reach(v, reader, b->frame.mount, frontier->size);
	if (v->seal.secret)
		v->out.seal_since = frontier->size;
}

int cof_since_start(struct verify *v)
{
	struct cof_frontier frontier;
	struct cof_reader *reader = NULL;
	struct before before = {.next = 0};
	uint8_t root[COF_HASH];
	bool known;
	int r;

	if (!v->p->since)
		return 0;
	r = load(v);
	if (r)
		return r;
	known = cof_frontier_load(&frontier, v->since.checkpoint.size, cof_tree_get, v) == 0;
	if (known) {
		cof_frontier_root(&frontier, root);
		known = !memcmp(root, v->since.checkpoint.root, COF_HASH) && consistent(v);
	}
	if (known) {
		r = cof_reader_new(v->p->io, &v->out.conf, &reader);
		if (r < 0)
			return r;
		known = find_before(v, reader, &before);
	}
	if (known)
		skip(v, reader, &frontier, &before);
	else
		cof_verify_say(v, COF_INTACT, NOWHERE("tile"),
			       "the stored hashes do not lead from the checkpoint to go on from to "
			       "the newest one: all frames are verified instead");
	cof_reader_free(reader);
	return 0;
}

void cof_since_covered(struct verify *v)
{
	const struct cof_checkpoint *since = &v->since.checkpoint;
	int r;

	if (!since->size || v->since.compared || v->sequence < since->size)
		return;
	v->since.compared = true;
	r = cof_verify_root(v, since->size, since->root);
	if (r == -EBADMSG)
		cof_verify_say(v, COF_TAMPERED, NOWHERE("log"),
			       "the first %llu frames do not give the root of the checkpoint to go "
			       "on from: another history was written in their place",
			       (unsigned long long)since->size);
	else if (r < 0)
		cof_verify_say(v, COF_INTACT, NOWHERE("log"),
			       "the checkpoint to go on from cannot be compared, since frames are "
			       "missing");
}
