/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/log: verification. One thread (the walker) reads windows, checks headers, chain,
 * tree and seal in order; workers hash the payloads of whole windows, and the roots of the tree's
 * tiles (256 leaves) that are complete by then. Findings are made by the
 * walker alone, those of workers when their window comes back, so their order does not depend on
 * timing. Nothing here trusts a byte that it reads: memory is bounded by what is allocated at the
 * start, and the list of segment names that really exist.
 */
#ifndef COF_LOG_VERIFY_H
#define COF_LOG_VERIFY_H

#include <pthread.h>

#include "crypto/merkle.h"
#include "fs/log/log.h"

#define VERIFY_WINDOW (4u << 20) /* holds the largest frame and more */
#define VERIFY_FILL (512u << 10) /* what is read of one, unless a frame is larger: stays in the caches */
#define VERIFY_WHOLE (32u << 10) /* frames above it are read to their end, not copied to the next window */
#define VERIFY_THREADS 16u
#define VERIFY_FINDINGS 1000u
#define VERIFY_LEAVES (1u << 18) /* leaves that the tree may lag behind the chain */
#define VERIFY_LEVELS 8u
#define VERIFY_TILE 4096u /* hashes of one level in memory */
#define VERIFY_GAPS 4096u

struct place { /* what a finding is about */
	const char *file; /* NULL: the segment */
	int64_t segment;  /* -1: none */
	uint64_t offset;
	int64_t sequence; /* -1: not known */
	uint64_t object;
};
#define NOWHERE(name) ((struct place){.file = (name), .segment = -1, .sequence = -1})

/* ---- windows (verify-pool.c) ---- */

enum { FRAME_RIGHT, FRAME_PAYLOAD, FRAME_NOTE };

struct window {
	uint8_t *data;
	uint32_t segment;
	uint64_t base; /* offset of data[0] in the segment */
	size_t len;
	uint32_t n;	/* frames to hash */
	uint32_t *at;	/* their offsets in data */
	uint8_t *judged; /* FRAME_... of each */
	uint64_t tile, tiles; /* of the tree: those from tile on whose roots are computed with it */
	bool done;
};

struct pool {
	struct window *window;
	unsigned count, threads;
	size_t size; /* of each window */
	uint64_t taken, reaped; /* walker only */
	pthread_t thread[VERIFY_THREADS];
	pthread_mutex_t lock; /* guards what follows, and window.done */
	pthread_cond_t work, finished;
	uint64_t submitted, started;
	bool stop;
};

#define VERIFY_TILES (VERIFY_LEAVES / COF_TILE)

/* ---- tree (verify-tree.c) ---- */

struct level { /* a tile file, read in order */
	struct cof_file *file;
	uint8_t (*buf)[COF_HASH];
	uint64_t start, have; /* what buf holds */
	uint64_t stored;      /* hashes in the file */
	uint64_t missing, first_missing, wrong;
	bool behind; /* one behind the checkpoint differs */
};

struct suspect { /* a leaf that differs from the stored one: the next frame tells who is right */
	bool open;
	struct place place;
	uint8_t stored[COF_HASH];
};

struct tile { /* of COF_TILE leaves */
	uint64_t window; /* whose worker computes the root; 0: nobody does */
	uint8_t root[COF_HASH];
};

struct tree {
	struct cof_frontier frontier; /* behind: the last leaves are in the ring */
	uint8_t (*ring)[COF_HASH];
	uint8_t *significant; /* of the same frames: no CHECKPOINT, no COSIGN */
	struct tile *tile;    /* of the same leaves */
	uint64_t tiled;	      /* tiles before it were given to workers, or never will be */
	uint64_t size;	      /* leaves pushed */
	bool broken;	      /* leaves are missing that nothing replaces */
	bool blind;	      /* tile/0 is of another log: not compared any more */
	struct suspect suspect;
	struct level level[VERIFY_LEVELS];
};

/* ---- seal and counters (verify-seal.c) ---- */

struct seal {
	uint8_t *secret; /* secure: epoch secret 32, tag key 32, and 3 of mix; NULL: no auditor */
	uint64_t secret_epoch, epoch; /* of the secret; of the last MOUNT frame */
	uint32_t lineage; /* of the last MOUNT frame */
	uint32_t secret_lineage;
	bool lost, failing;
	bool anew; /* the keys were recovered: the auditor's secret leads no further */
};

struct mix { /* sequences: COF_NOT_MIXED: none, or not known (verify-mix.c) */
	uint64_t base, newest, before;
	uint64_t epoch; /* of the last MOUNT frame; 0: not known */
	uint64_t first_epoch, told;
	uint32_t lineage;
	bool first_known, gap; /* gap: frames of this mount are missing, or its key is */
};

struct gap {
	uint64_t from, to;
};

struct counters { /* nonce values of this mount that were not seen yet, below next */
	uint64_t next;
	uint32_t n;
	struct gap gap[VERIFY_GAPS]; /* in ascending order */
};

/* ---- record times (verify-stamp.c) ---- */

#define VERIFY_HIGHS 4096u

/* The latest record time of each stretch of 2^shift frames, of those that no proof covers so far. */
struct highs {
	uint64_t from; /* sequence of the first stretch's first frame */
	unsigned shift;
	uint32_t n;
	struct high {
		int64_t time;
		uint64_t sequence;
	} at[VERIFY_HIGHS];
};

/* ---- cosignatures (verify-cosign.c) ---- */

#define VERIFY_VAULTS 64u

struct cosigner { /* the newest of each vault: none goes back */
	uint8_t key[32];
	int64_t time;
	uint64_t size;
};

struct since { /* where the walk begins, when not at frame 0 */
	struct cof_checkpoint checkpoint; /* size 0: none was given */
	bool compared;	    /* its root, with what the frames give */
	bool epoch_unknown; /* no MOUNT frame was seen yet */
	uint32_t segment;
	uint64_t offset; /* in that segment */
};

struct verify {
	const struct cof_verify_params *p;
	struct cof_verified out;
	struct cof_diag *diag;
	struct cof_checkpoint checkpoint; /* STORE/checkpoint; size 0: none */
	uint64_t covered; /* the newest checkpoint that was proven, here or in the chain */
	uint64_t loose;	  /* first sequence where something was wrong behind the checkpoint */
	unsigned findings;
	uint64_t unlisted;

	/* the chain */
	uint64_t sequence; /* the next frame's */
	uint8_t previous[COF_HASH];
	uint32_t mount;
	int64_t retention;
	uint8_t last_type, significant_type;
	uint64_t chained_checkpoint; /* position of the last CHECKPOINT frame */
	uint64_t first_early;	     /* sequence of the first of out.too_early */
	uint64_t first_late;	     /* and of out.too_late */
	struct highs highs;
	struct cosigner cosigner[VERIFY_VAULTS];
	unsigned cosigners;
	bool resumed;		     /* frames are missing before this one */
	bool root_wrong, root_compared, stopped;
	bool empty_before; /* a segment without frames was met */
	bool torn;
	uint32_t end_segment; /* where the last frame ended */
	uint64_t end_offset;
	uint64_t stopped_at; /* address where a live log's covered part ended */

	uint32_t *segment; /* numbers of those that exist */
	size_t segments, segments_cap;
	uint64_t bytes_total, bytes_done;

	struct cof_erased *ended; /* once a payload is not what its header says; NULL: not looked for yet */
	int ended_error;	  /* that could not be found out */
	uint8_t *archive_conf; /* the file's bytes; NULL: missing */
	size_t archive_conf_len;

	struct pool pool;
	struct tree tree;
	struct seal seal;
	struct mix mix;
	struct counters counters;
	struct since since;
};

/* verify.c */
void cof_verify_say(struct verify *v, enum cof_verdict verdict, struct place place, const char *fmt,
		    ...) __attribute__((format(printf, 4, 5)));
/* Something is wrong with this sequence: tampered when covered, else part of the unsealed tail. */
enum cof_verdict cof_verify_weigh(struct verify *v, uint64_t sequence);

/* verify-start.c: identity, keys, checkpoint, list of segments. 1: the verdict stands already. */
int cof_verify_start(struct verify *v);

/* verify-pool.c */
int cof_pool_start(struct verify *v);
void cof_pool_stop(struct verify *v);
struct window *cof_pool_take(struct verify *v);
void cof_pool_submit(struct verify *v, struct window *w);
void cof_pool_drain(struct verify *v);
/* Until the window that was the n-th to be taken (from 1 on) is done; it was submitted. */
void cof_pool_wait(struct verify *v, uint64_t n);

/* verify-walk.c */
int cof_verify_walk(struct verify *v);

/* verify-chain.c: one frame, whole in memory, in its place. */
void cof_verify_frame(struct verify *v, const struct cof_frame *f, const uint8_t *raw,
		      struct place place);
/* Frames are missing before this one. */
void cof_verify_resume(struct verify *v, const struct cof_frame *f);
/* Compares the checkpoint's own root once the chain has come to its size. */
void cof_verify_covered(struct verify *v);
/* The public fields of a frame, behind a key commitment if there is one. */
const uint8_t *cof_verify_fields(const struct cof_frame *f, const uint8_t *payload, size_t *ret_n);
int cof_verify_root(struct verify *v, uint64_t size, const uint8_t root[COF_HASH]);

/* verify-stamp.c */
void cof_verify_stamp(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place);
void cof_verify_time(struct verify *v, const struct cof_frame *f); /* its record time against the proofs before it */
void cof_verify_times(struct verify *v);			   /* at the end: what is to be said of that */
/* That the frames below size give this root; else says so, of what that is. */
bool cof_verify_stamped(struct verify *v, uint64_t size, const uint8_t root[COF_HASH], const char *what, struct place place);
void cof_verify_proven(struct verify *v, uint64_t size, int64_t from, int64_t to);

/* verify-cosign.c */
void cof_verify_cosign(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place);

/* verify-tree.c */
int cof_tree_start(struct verify *v);
void cof_tree_stop(struct verify *v);
bool cof_tree_stored(struct verify *v, unsigned level, uint64_t index, uint8_t out[COF_HASH]);
/* Decides about the frame before this one, if its leaf was not the stored one. raw may be NULL. */
void cof_tree_settle(struct verify *v, const uint8_t *raw);
/* Links a header to the chain and adds its leaf. */
void cof_tree_link(struct verify *v, const uint8_t *raw, struct place place, bool significant);
/* Gives the tiles that are complete to the window, which is the n-th (from 1 on) and submitted next. */
void cof_tree_share(struct verify *v, struct window *w, uint64_t n);
/* A worker: their roots. */
void cof_tree_tiles(struct verify *v, const struct window *w);
/* Leaves of missing frames, from the stored ones. False: the tree is broken from here. */
bool cof_tree_bridge(struct verify *v, uint64_t to);
/* -ERANGE: the tree is beyond this size already, and the stored hashes do not reach it. */
int cof_tree_root_at(struct verify *v, uint64_t size, uint8_t out[COF_HASH]);
void cof_tree_finish(struct verify *v, bool closed);
uint64_t cof_tree_significant(struct verify *v, uint64_t from); /* frames from there on */

/* For proofs: 0 or -errno. */
int cof_tree_get(void *verify, unsigned level, uint64_t index, uint8_t out[COF_HASH]);

/* verify-since.c: after tree and seal are there. 1: the verdict stands already. */
int cof_since_start(struct verify *v);
/* Compares its root once the chain has come to its size. */
void cof_since_covered(struct verify *v);

/* verify-anchor.c */
void cof_verify_anchor(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		       struct place place);

/* verify-seal.c */
int cof_seal_start(struct verify *v);
void cof_seal_mount(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		    struct place place);
void cof_seal_check(struct verify *v, const struct cof_frame *f, const uint8_t *raw,
		    struct place place);
/* The key of a mount as it begins. False: the secrets do not lead there. */
bool cof_seal_enter(struct verify *v, uint64_t epoch, uint32_t lineage, const uint8_t salt[32]);
/* verify-reach.c: from a frame before the first that is verified: of the mount that it is of all frames up to `size` are counted, and
 * looked at for the seal's mixing. False: the key is not known there. */
bool cof_seal_reach(struct verify *v, struct cof_reader *reader, uint32_t mount, uint64_t size);
/* The key of what follows is not known, up to the next MOUNT frame. */
void cof_seal_lose(struct verify *v);
/* Behind cof_seal_check: what the seal of the next epoch is mixed with. */
void cof_seal_mixing(struct verify *v, const struct cof_frame *f, const uint8_t *payload, struct place place);
void cof_seal_skip(struct verify *v, uint64_t frames, bool mounts);

/* verify-mix.c */
void cof_mix_mount(struct verify *v, const void *fields, size_t n, uint64_t epoch, uint32_t lineage,
		   const uint8_t salt[32], struct place place);
/* Of MOUNT and CHECKPOINT frames, whole: k is the seal's key behind it. */
void cof_mix_frame(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		   const uint8_t k[COF_KEY], struct place place);
void cof_mix_gap(struct verify *v);  /* frames of this mount are missing */
void cof_mix_lose(struct verify *v); /* nothing is known up to the next MOUNT frame */

void cof_counters_check(struct verify *v, const struct cof_frame *f, struct place place);

#endif
