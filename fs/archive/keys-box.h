/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to keys*.c: the keys in memory, and their coding in sealed boxes
 * (docs/format.md 7.2).
 *
 * Thread-safety: deriving reads the trees, under `lock`; while an archive is open only cof_keys_destroy puts others in
 * their place.
 */
#ifndef COF_ARCHIVE_KEYS_BOX_H
#define COF_ARCHIVE_KEYS_BOX_H

#include <pthread.h>

#include "fs/archive/keys.h"
#include "fs/archive/opener-event.h"

#define COF_KEYS_TOP "keys/top"
#define COF_KEYS_EPOCH "keys/epoch"
#define COF_KEYS_STAGED ".recovered"
#define COF_KEYS_RECOVERED "keys/recovered" /* a recovery is in force, and not on record yet */
#define COF_KEYS_ENDED "keys/ended" /* what was destroyed is to be overwritten here, or was, and is not on record yet */

struct cof_keys_page { /* a page of a tree, as the top lists it */
	uint64_t number, generation;
	uint8_t key[COF_KEY];
};

struct cof_keys_wrap { /* what lets the root key be renewed without the opener's secret */
	uint8_t kind;
	uint32_t n;
	uint8_t key[COF_KEY]; /* wrap key; of tpm2 what the PIN is to the TPM, or zeros */
};

struct cof_keys_nv { /* what lies in a TPM (keys-nv.h) */
	bool here;
	uint32_t seal; /* NV index of epoch and secret */
	uint8_t auth[COF_TPM_AUTH];
	uint32_t anchor; /* NV index of the anchor; its number with which it began */
	uint64_t anchor_base;
	uint8_t anchor_id[8]; /* drawn with it: another TPM's may have the same index */
};

struct cof_keys_epoch { /* what a MOUNT frame is sealed with: in the TPM, or in keys/epoch */
	uint64_t epoch;
	uint32_t lineage;
	uint8_t secret[COF_KEY];
	uint64_t mixed_at; /* COF_NOT_MIXED: the first of its lineage, which follows on nothing */
	uint8_t mix[COF_KEY];
	uint64_t writes; /* of the TPM's index; 0 without one */
};

struct cof_keys { /* secure memory, as all it points to */
	uint8_t archive_id[16];
	uint8_t root[COF_KEY];
	uint64_t generation; /* of the root key */
	bool top_next;	     /* its top is keys/top.next: a renewal was not finished */
	bool staged;	     /* of a recovery: files are written with COF_KEYS_STAGED behind their names */
	uint8_t index[COF_KEY], signing[COF_KEY], state[COF_KEY];
	struct cof_keys_nv nv;
	struct cof_keys_epoch next; /* of the next MOUNT frame; epoch 0: in the TPM, and not asked for yet */
	pthread_rwlock_t *lock;	     /* around the two trees: shared to derive */
	struct cof_keytree *tree[2]; /* H, R */
	uint64_t enrolled; /* vaults have R from this inode number on, and no envelope has; 0: none was enrolled */
	uint64_t enveloped; /* the same when the recovery envelope was made last; 0: it was none then, or none was made */
	struct cof_keys_page *pages[2];
	size_t n_pages[2];
	struct cof_keys_wrap *wraps;
	size_t n_wraps;
	uint8_t (*auditors)[COF_KEY]; /* age recipients of the auditor secrets; not secret */
	size_t n_auditors;
	struct cof_opener_events events; /* that no frame tells of yet */
	bool making;			 /* an archive is made: no event */
	bool waited;			 /* opened by coffer unlock (door.h) */
};

struct cof_keys *cof_keys_new(const uint8_t archive_id[16]); /* empty; NULL: no secure memory left */

/* keys/top, or keys/top.next: the top of a root key that is not in force yet. */
int cof_keys_write_top(const struct cof_keys *k, struct cof_io *io, bool next, struct cof_diag *diag);
/* What the file's header says, unproven. -ENOENT · -EUCLEAN */
int cof_keys_top_generation(struct cof_io *io, bool next, uint64_t *ret);
/* e apart from k, which changes only once it is durable. */
int cof_keys_write_epoch(const struct cof_keys *k, struct cof_io *io, const struct cof_keys_epoch *e,
			 struct cof_diag *diag);
/* The first of a lineage, with a secret drawn for it. */
void cof_keys_draw_epoch(struct cof_keys *k, uint64_t epoch, uint32_t lineage);

/* keys/h-XXXXXXXX or r-…, staged ones of a recovery with COF_KEYS_STAGED behind: what p lists, under its key. next: with
 * COF_KEYS_NEXT behind, of a top that is not in force yet. */
#define COF_KEYS_NEXT ".next"
#define COF_KEYS_PAGE_BITS 16 /* of an inode's number, below that of its page */
int cof_keys_write_page(const struct cof_keys *k, struct cof_io *io, int tree, const struct cof_keys_page *p, bool next,
			struct cof_diag *diag);
/* Of the pages that end so in keys/: `end` goes from their names, or they go. */
int cof_keys_pages_forward(struct cof_io *io, const char *end);
int cof_keys_pages_drop(struct cof_io *io, const char *end);

/* Each fills its part of k (the top: of keys/top or keys/top.next, as k says); -EUCLEAN, -EBADMSG, -EXDEV, -ENOENT with the file named in diag. */
int cof_keys_read_top(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag);
int cof_keys_read_pages(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag);
int cof_keys_read_epoch(struct cof_keys *k, struct cof_io *io, struct cof_diag *diag);

#endif
