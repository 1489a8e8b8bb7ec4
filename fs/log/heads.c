/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At open, besides the checkpoint's own frame: does each segment begin with a frame that belongs
 * there? A segment that is missing, exchanged, doubled or of another archive is found without
 * reading it all: the first headers ascend, and each gives the leaf that tile/0 has. The newest
 * HEADS segments only, so that opening takes no longer for a longer log; verify reads all.
 */
#include <stdio.h>

#include "fs/log/heads.h"

#define HEADS 256u

static int wrong(struct cof_log *log, uint64_t segment, const char *what, struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN,
			"%s: log/%08llx.seg at offset 0: %.400s; nothing will be written to this "
			"archive. Run: coffer verify %s",
			cof_io_where(log->p.io), (unsigned long long)segment, what,
			cof_io_where(log->p.io));
}

/* What a disk cannot read now is no proof of anything: reading it later is an error of its own. */
static bool unreadable(int r)
{
	return r == -EIO || r == -EMFILE || r == -ENFILE;
}

/* The number of the frame behind the last one of a segment, as far as its headers lead. */
static uint64_t behind(struct cof_log *log, uint64_t segment)
{
	uint64_t size = log->conf.segment_size, at = segment * size, sequence = 0;
	struct cof_frame f;

	while (at < (segment + 1) * size &&
	       cof_reader_header(log->reader, at, &f, NULL, NULL) == 0) {
		sequence = f.sequence + 1;
		at += COF_FRAME_HEADER + f.stored;
	}
	return sequence;
}

/* Two segments do not ascend: the second is wrong if the first goes on from the one before it. */
static int disorder(struct cof_log *log, uint64_t segment, uint64_t first, uint64_t second,
		    struct cof_diag *diag)
{
	uint64_t expected = segment ? behind(log, segment - 1) : 0;
	char what[160];

	if (first == expected) {
		segment++;
		first = second;
		expected = behind(log, segment - 1);
	}
	snprintf(what, sizeof(what), "frame %llu stands where frame %llu belongs",
		 (unsigned long long)first, (unsigned long long)expected);
	return wrong(log, segment, what, diag);
}

/* The stored hash of a leaf, proven against the newest signed root. */
static bool proven_leaf(struct cof_log *log, uint64_t sequence, uint8_t leaf[COF_HASH])
{
	uint8_t proof[COF_PROOF_MAX][COF_HASH];
	struct cof_checkpoint cp;
	size_t n;

	if (cof_checkpoint_open(log->checkpoint_text, strlen(log->checkpoint_text), &log->conf.vkey,
				&cp) < 0 ||
	    sequence >= cp.size || cof_tiles_get(log, 0, sequence, leaf) < 0 ||
	    cof_merkle_inclusion(sequence, cp.size, cof_tiles_get, log, proof, &n) < 0)
		return false;
	return !cof_merkle_verify_inclusion(sequence, cp.size, leaf, (const void *)proof, n,
					    cp.root);
}

/* A hash in tile/0 may be the damaged one: only one that is proven speaks against a frame. */
static bool foreign(struct cof_log *log, const struct cof_frame *f,
		    const uint8_t raw[COF_FRAME_HEADER])
{
	uint8_t before[COF_HASH] = {0}, leaf[COF_HASH], got[COF_HASH];

	if (f->sequence >= log->checkpoint_size ||
	    (f->sequence && cof_tiles_get(log, 0, f->sequence - 1, before) < 0) ||
	    cof_tiles_get(log, 0, f->sequence, leaf) < 0)
		return false;
	cof_frame_leaf(raw, before, got);
	if (cof_equal(got, leaf, COF_HASH))
		return false;
	return proven_leaf(log, f->sequence, leaf) &&
	       (!f->sequence || proven_leaf(log, f->sequence - 1, before));
}

static int no_frame(struct cof_log *log, uint64_t segment, const char *why, struct cof_diag *diag)
{
	char path[32], what[400];

	cof_segment_path((uint32_t)segment, path);
	if (cof_io_exists(log->p.io, path) == 0)
		return wrong(log, segment, "the segment is missing", diag);
	snprintf(what, sizeof(what), "no frame stands here%s%.300s", why[0] ? ": " : "", why);
	return wrong(log, segment, what, diag);
}

int cof_heads_check(struct scan *s, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	uint64_t size = log->conf.segment_size, next = s->sequence;
	uint64_t segments = s->address / size + (s->address % size != 0), n = 0;

	for (uint64_t seg = segments; seg-- > 0 && n < HEADS; n++) {
		uint8_t raw[COF_FRAME_HEADER];
		struct cof_diag why = {""};
		struct cof_frame f;
		int r = cof_reader_header(log->reader, seg * size, &f, raw, &why);

		if (r == -ENOMEM)
			return r;
		if (unreadable(r))
			continue;
		if (r < 0)
			return no_frame(log, seg, why.text, diag);
		if (f.sequence >= next)
			return disorder(log, seg, f.sequence, next, diag);
		if (foreign(log, &f, raw))
			return wrong(log, seg,
				     "this is not the frame that was written here, as tile/0 and the "
				     "checkpoint show",
				     diag);
		next = f.sequence;
	}
	return 0;
}
