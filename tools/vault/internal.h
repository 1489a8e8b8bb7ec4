/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/vault. */
#ifndef COFFER_VAULT_INTERNAL_H
#define COFFER_VAULT_INTERNAL_H

#include "crypto/seal.h"
#include "tools/vault/vault.h"

#define FRAME_MAX (COF_FRAME_HEADER + 2 * COF_FRAME_LENGTH_MAX + 16 * 16) /* bytes of the largest frame */
#define LEVELS 8u
#define LEVEL_BUFFER 512u /* hashes of a level that are written at once */

#define VAULT_STATE_FIXED (8 + 8 + 8 + COF_HASH + 2) /* STATE: bytes before about ‖ note */
#define VAULT_ABOUT_MAX 1024u
#define VAULT_NOTICE_MAX 4096u

/* Of REFUSED, of at least two bytes: -ECONNABORTED with what it says. */
int vault_was_refused(const struct cof_buf *body, struct cof_diag *diag);

/* ---- challenges (challenge.c) ---- */

#define CHALLENGE_NONCE 32
#define CHALLENGE_RANGE 12 /* address u64 ‖ length u32 */
#define ANSWER_ONE (1 + COF_HASH)
/* What the hash of a range begins with: the bytes follow. */
void challenge_begin(struct cof_sha256 *h, const uint8_t nonce[CHALLENGE_NONCE], uint64_t address, uint32_t length);

/* ---- a vault's key in a TPM (place-seal.c): DIR/key.tpm2 ---- */

int place_seal(struct cof_io *io, const struct cof_vkey *vkey, const uint8_t *seed, const struct vault_sealing *s,
	       struct cof_diag *diag);
/* seed: secure memory. */
#define PLACE_KEPT "key.age"
int place_open(const char *dir, struct vault_place *ret, struct cof_diag *diag); /* without its key */
int place_load_key(struct vault_place *v, struct cof_diag *diag);
int place_write_conf(struct cof_io *io, const struct vault_place *v);
int place_unseal(struct cof_io *io, const struct cof_vkey *vkey, const char *tpm, uint8_t *seed, struct cof_diag *diag);

/* ---- what is to be destroyed, and what was (ending.c) ---- */

struct vault_ended {
	uint64_t size; /* of the head under which it is permitted, with that root */
	uint8_t root[COF_HASH], request[32];
	uint64_t sequence, inode;	 /* of the DESTROY frame; what it destroys */
	uint64_t frames, bytes, expected; /* filled when it is carried out */
	bool found;
};
struct vault_ending {
	struct vault_ended *at;
	size_t n;
};
struct vault_ranges {
	struct cof_inode_range *at;
	size_t n;
};
int vault_ending_add(struct vault_ending *e, const struct vault_ended *one);
int vault_ending_load(struct cof_io *io, struct vault_ending *ret); /* none: 0 */
int vault_ending_save(struct cof_io *io, const struct vault_ending *e); /* none: it goes */
void vault_ending_done(struct vault_ending *e);
int vault_range_add(struct vault_ranges *r, uint64_t first, uint64_t count);
void vault_ranges_done(struct vault_ranges *r);
bool vault_ranges_has(const struct vault_ranges *r, uint64_t inode); /* as they are loaded: in order */
int vault_destroyed_load(struct cof_io *io, struct vault_ranges *ret); /* -ENOENT: nothing ever was */
int vault_destroyed_add(struct cof_io *io, const struct vault_ending *e);
bool vault_destroyed_any(struct cof_io *io);
int vault_mending_drop(struct cof_io *io); /* what a session that mended and was cut off left (mend.c) */

/* ---- what was signed (receipts.c) ---- */

int vault_receipt_keep(struct cof_io *io, const void *text, size_t n, struct cof_diag *diag);
/* What was signed of destructions until now, without its times: SHA-256, one behind the other. */
int vault_receipts_signed(struct cof_io *io, struct cof_buf *ret);
bool vault_receipt_is_signed(const struct cof_buf *signed_ones, const void *text, size_t n);
/* The host has these on record. */
int vault_receipts_told(struct cof_io *io, const uint8_t (*digest)[COF_HASH], size_t n);
/* Of more than one session takes, those that were sent with the one before come last: one that is refused keeps no other back. */
int vault_receipts_turn(struct cof_io *io);
int vault_receipt_untold(struct cof_io *io, size_t i, struct cof_buf *ret); /* -ENOENT: so many there are not */

/* ---- the tree R (keys.c) ---- */

/* Out of every tree that was given; *ret_from: from which inode number on one of them leads anywhere, 0: there is none. */
int vault_keys_puncture(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const struct vault_ranges *gone,
			uint64_t *ret_from, struct cof_diag *diag);

/* ---- the tree of a copy (copy-tree.c): the frontier, and tile/0 to tile/7 ---- */

struct copy_tree {
	struct cof_io *io;
	struct cof_frontier frontier;
	struct cof_file *file[LEVELS];
	uint8_t (*buffer)[LEVEL_BUFFER][COF_HASH];
	uint64_t start[LEVELS]; /* hashes in the file */
	unsigned count[LEVELS];
	int err;
	bool changed[LEVELS]; /* since it was made durable */
	uint64_t pushed;      /* leaves that are on their way to the disk */
	bool dry; /* leaves enter the frontier, and nothing is written */
};
int copy_tree_open(struct copy_tree *t, struct cof_io *io, struct cof_diag *diag);
void copy_tree_done(struct copy_tree *t);
/* To the beginning, writing nothing until copy_tree_back. */
void copy_tree_dry(struct copy_tree *t);
/* As it was with so many leaves: what is behind goes. -ERANGE: not so many are stored. */
int copy_tree_back(struct copy_tree *t, uint64_t size);
int copy_tree_add(struct copy_tree *t, const uint8_t leaf[COF_HASH]);
int copy_tree_leaf(struct copy_tree *t, uint64_t index, uint8_t ret[COF_HASH]);
int copy_tree_root(struct copy_tree *t, uint64_t size, uint8_t ret[COF_HASH]); /* of its first frames */
/* All hashes are in the files; ret: those that are to be made durable, LEVELS at most, NULL in the place of others. */
int copy_tree_write(struct copy_tree *t, struct cof_file *ret[LEVELS]);
void copy_tree_durable(struct copy_tree *t); /* they are */
void copy_tree_push(struct copy_tree *t);    /* leaves that are in their file are to go to the disk by now */
int copy_tree_sync(struct copy_tree *t);

/* ---- the copy (copy.c, copy-open.c) ---- */

#define COPY_ENDS 256u
struct copy_end {
	uint64_t size, address;
};
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
	bool anew; /* stored hashes are made from the log, whatever they say */
	bool blind; /* no proof comes: `proven` is what the archive's own signatures in the log and the coming head cover */
	struct copy_end ends[COPY_ENDS]; /* blind: of the newest frames, by size modulo COPY_ENDS */
	uint8_t *part; /* of the next frame; FRAME_MAX bytes */
	size_t part_len, part_want; /* want: of the whole frame, 0: not known */
	struct cof_file *segment; /* that is written to */
	struct cof_file *before;  /* the one before it: on its way to the disk, and not known to be there */
	uint64_t pushed;	  /* bytes of `segment` that are on their way */
	uint64_t segment_number, before_number;
	uint64_t settled_from, settled_to; /* segments that this session made durable and closed */
	struct cof_erased *ended; /* by what is under the head, once it was asked for; NULL: not yet */
	bool erased;		  /* behind the head a payload came that is not what its header says */
	/* Once all of a coming head was there, and a payload was wrong that no frame of it ends: what its frames end, and how many
	 * those are. The next one that is wrong and not ended is refused as it comes. */
	struct cof_erased *coming_ended;
	uint64_t judged;
	struct cof_buf told;	  /* SHA-256 of each document in records of vaults that came in this session */
	struct cof_known known;	  /* of the whole frames, where its size is theirs; its header counts with vault_copy_known */
	uint8_t last[COF_FRAME_HEADER]; /* of the frame that came last */
	bool came;			/* one did */
};
/* What is known of the head's frames, found as they came. False: it has to be looked for in the log. */
bool vault_copy_known(struct vault_copy *c, struct cof_known *ret);
/* To where so many frames end: what is behind goes. */
int copy_back_to(struct vault_copy *c, uint64_t size, uint64_t address);
void copy_close_segments(struct vault_copy *c);
/* A whole frame in its place: its leaf. -EUCLEAN, -EBADMSG */
int copy_take_frame(struct vault_copy *c, const uint8_t *raw, struct cof_diag *diag);
/* Header of the frame that comes next: checked against its place. */
int copy_judge_header(const struct vault_copy *c, const uint8_t *raw, struct cof_frame *ret, struct cof_diag *diag);
/* copy-blind.c: of the frame that was taken last, whose payload this is. -EBADMSG: the archive signed another history. */
int copy_blind_frame(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload, struct cof_diag *diag);
int copy_blind_head(struct vault_copy *c, struct cof_diag *diag); /* a head comes */
bool copy_blind_full(const struct vault_copy *c);	/* all frames of the coming head are there */
/* copy-erased.c: -EBADMSG. Of a frame behind the head it may be right only by what comes: before that is confirmed all are judged. */
int copy_judge_payload(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload);
int copy_judge_erased(struct vault_copy *c, struct cof_diag *diag);
/* SHA-256 of each document that records behind the head have, what this vault signed among them. */
void copy_note_told(struct vault_copy *c, const struct cof_frame *f, const uint8_t *payload);
void copy_segment_path(uint64_t number, char ret[32]);
int copy_proof_check(uint64_t older, const uint8_t older_root[COF_HASH], const struct cof_checkpoint *newer,
		     const struct vault_proof *proof);

#endif
