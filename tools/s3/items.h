/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/s3: the objects of a copy, and what has to stay how long. */
#ifndef COFFER_S3_ITEMS_H
#define COFFER_S3_ITEMS_H

#include "tools/s3/copy.h"
#include "tools/s3/internal.h"

/* ---- names of objects (names.c) ---- */

enum s3_kind {
	S3_CONF = 'c',
	S3_SEGMENT = 's',
	S3_PIECE = 'p',
	S3_HEAD = 'h',
	S3_ENVELOPE = 'e',
	S3_PROBE = 'x'
};

struct s3_item {
	enum s3_kind kind;
	bool past;       /* nothing depends on it any more: a merged piece, an older head */
	uint32_t number; /* of the segment */
	uint64_t offset; /* of a piece in its segment; of a head: where its frames end */
	uint64_t length; /* bytes; of a head: its frames are `frames` */
	uint64_t frames;
	uint8_t sha256[COF_HASH];
	char etag[44];
	char *version; /* malloc'ed */
	int64_t locked;
	bool hold;
	int64_t modified; /* found: when it was put there, as the server says */
};
/* PREFIX/ID/ with a slash behind, or nothing in front when there is no prefix. */
void s3_root(const struct s3_target *t, const uint8_t id[16], char ret[S3_KEY_MAX]);
void s3_item_key(const char *root, const struct s3_item *i, char ret[S3_KEY_MAX + 1]);
/* Of a name behind the root. -EUCLEAN: none of ours. length is not in the names of all kinds. */
int s3_item_parse(const char *name, struct s3_item *ret);
/* As they lie in a bucket. */
int s3_item_order(const void *a, const void *b);

/* ---- what a segment has to stay for (need.c) ---- */

struct s3_need {              /* times of retention, ns; INT64_MIN: nothing */
	uint64_t length;      /* bytes of frames in the segment; 0: nothing is known of it yet */
	uint64_t first, last; /* least and greatest inode that frames are of; last 0: none */
	int64_t until;        /* of any file */
	int64_t follow,
	    commit;   /* of files that follow certificates: greatest margin, latest commit */
	int64_t wait; /* of files that wait for an event: the longest span from then on */
	bool hold;
};
struct s3_held { /* inodes under a hold that has not ended */
	uint64_t hold, first, last;
};

struct s3_copy {
	struct s3_target target;
	struct cof_conf conf;
	char root[S3_KEY_MAX];
	struct s3_item *item;
	size_t items, item_room;
	struct s3_need *need; /* by segment */
	size_t needs, need_room;
	struct s3_held *held; /* as the log told of them */
	size_t helds, held_room;
	uint64_t size, end;            /* of the newest head that is there */
	uint64_t scanned, scanned_end; /* frames whose rules are in `need`, and where they end */
	uint8_t root_hash[COF_HASH];
	int64_t time, checked;
	uint64_t findings;
	int64_t latest, longest; /* of certificates; INT64_MIN, 0 */
	int64_t lag; /* of the clock of retention behind the wall clock, at the newest frame */
	int64_t now; /* retention time of the newest frame */
};
#define S3_ITEMS_MAX (1u << 20)
/* -E2BIG: there are S3_ITEMS_MAX of them. */
int s3_copy_add(struct s3_copy *c, const struct s3_item *i,
		const char *version);                              /* copies the version */
struct s3_need *s3_copy_need(struct s3_copy *c, uint64_t segment); /* grows; NULL: no memory */
void s3_need_clear(struct s3_need *n);

/* Reads the frames behind `scanned` up to size: what they ask of which segment. */
int s3_scan(struct s3_copy *c, struct cof_io *io, uint64_t size, uint64_t end,
	    struct cof_diag *diag);
/* When a lock has to end at least (below it is made longer), and until when it is asked for. Wall
 * clock. */
void s3_lock_of(const struct s3_copy *c, const struct s3_need *n, int64_t base, int64_t now,
		int64_t *ret_least, int64_t *ret_want);

#endif
