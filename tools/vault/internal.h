/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/vault. */
#ifndef COFFER_VAULT_INTERNAL_H
#define COFFER_VAULT_INTERNAL_H

#include "tools/vault/vault.h"

#define FRAME_MAX (COF_FRAME_HEADER + 2 * COF_FRAME_LENGTH_MAX + 16 * 16) /* bytes of the largest frame */
#define LEVELS 8u
#define LEVEL_BUFFER 512u /* hashes of a level that are written at once */

#define VAULT_STATE_FIXED (8 + 8 + 8 + COF_HASH + 2) /* STATE: bytes before about ‖ note */
#define VAULT_ABOUT_MAX 1024u
#define VAULT_NOTICE_MAX 4096u

/* ---- the tree of a copy (copy-tree.c): the frontier, and tile/0 to tile/7 ---- */

struct copy_tree {
	struct cof_io *io;
	struct cof_frontier frontier;
	struct cof_file *file[LEVELS];
	uint8_t (*buffer)[LEVEL_BUFFER][COF_HASH];
	uint64_t start[LEVELS]; /* hashes in the file */
	unsigned count[LEVELS];
	int err;
};
int copy_tree_open(struct copy_tree *t, struct cof_io *io, struct cof_diag *diag);
void copy_tree_done(struct copy_tree *t);
/* As it was with so many leaves: what is behind goes. -ERANGE: not so many are stored. */
int copy_tree_back(struct copy_tree *t, uint64_t size);
int copy_tree_add(struct copy_tree *t, const uint8_t leaf[COF_HASH]);
int copy_tree_leaf(struct copy_tree *t, uint64_t index, uint8_t ret[COF_HASH]);
int copy_tree_sync(struct copy_tree *t);

/* ---- the copy (copy.c, copy-open.c) ---- */

struct vault_copy {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_reader *reader;
	struct copy_tree tree;
	struct cof_checkpoint head, coming; /* size 0: none */
	char *note;			    /* of head; NULL: none */
	uint64_t head_end;		    /* address behind its frames */
	uint64_t boundary;		    /* where the next frame begins, or the next segment does */
	uint8_t previous[COF_HASH];	    /* leaf of the last whole frame */
	uint64_t unproven;
	uint64_t weakening;		    /* frames behind the head that may take away what was promised */
	uint64_t proven;		    /* frames that a proof covers, the head's among them */
	uint64_t proven_end;
	bool blind; /* no proof comes before the end: `proven` is what is kept when something behind it is wrong */
	uint8_t *part; /* of the next frame; FRAME_MAX bytes */
	size_t part_len, part_want; /* want: of the whole frame, 0: not known */
	struct cof_file *segment; /* that is written to */
	struct cof_file *before;  /* the one before it: on its way to the disk, and not known to be there */
	uint64_t pushed;	  /* bytes of `segment` that are on their way */
	uint64_t segment_number;
};
/* To where so many frames end: what is behind goes. */
int copy_back_to(struct vault_copy *c, uint64_t size, uint64_t address);
void copy_close_segments(struct vault_copy *c);
/* A whole frame in its place: its leaf. -EUCLEAN, -EBADMSG */
int copy_take_frame(struct vault_copy *c, const uint8_t *raw, struct cof_diag *diag);
/* Header of the frame that comes next: checked against its place. */
int copy_judge_header(const struct vault_copy *c, const uint8_t *raw, struct cof_frame *ret, struct cof_diag *diag);
void copy_segment_path(uint64_t number, char ret[32]);
int copy_proof_check(uint64_t older, const uint8_t older_root[COF_HASH], const struct cof_checkpoint *newer,
		     const struct vault_proof *proof);

#endif
