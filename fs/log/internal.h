/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/log: the writer.
 *
 * Lock order, written once: checkpoint -> tree -> sync -> chain. Nothing that may block on a disk
 * runs under chain, except the allocation of a segment that nobody prepared in time (segment.c
 * drops the lock for it). Callbacks run without any of these locks.
 *
 * Life of a frame: numbered, linked and tagged under chain (chain.c), queued, written by whoever
 * holds the leader's role (accepted), synced by whoever holds the sync role (durable, commit.c),
 * its leaf moved from the ring into the frontier and the tiles (tiles.c), covered by a checkpoint
 * (checkpoint.c).
 */
#ifndef COF_LOG_INTERNAL_H
#define COF_LOG_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "fs/log/log.h"

#define COF_LEAF_RING 65536u /* leaves that wait for the tree; 2 MiB */
/* Turns of who waits for the leader before it sleeps, some 6 µs: a leader that writes lines is through in one or
 * two, and to sleep and be woken costs ten, more where a processor went idle meanwhile. */
#define COF_TURNS 300
#define COF_SYNCS 2 /* of one segment under way at a time */
#define COF_TILE_LEVELS 8
#define COF_TILE_BUFFER 4096u /* hashes of one level that wait for its file */
#define COF_TILE_UNSYNCED 65536u /* leaves below a checkpoint whose hashes may not be durable */

struct segment { /* an open log segment, writable */
	struct segment *next;
	struct cof_file *file;
	/* Opened for syncs that overlap: the kernel tells each descriptor of an error, but one only
	 * once. [0] is file; NULL: no descriptor was left, syncs take turns. */
	struct cof_file *sync[COF_SYNCS];
	uint32_t number;
	uint64_t first;	   /* sequence of its first frame */
	uint64_t end;	   /* sequence behind its last frame; set when it is closed */
	uint64_t used;	   /* bytes of frames; final when it is closed */
	/* Zeros were written up to here, by the leader; and durably, guarded by sync: below, a sync
	 * has no metadata to bring along. */
	_Atomic uint64_t zeroed;
	uint64_t zero_durable;
	uint64_t pushed;   /* bytes that were sent to the disk ahead of a sync; guarded by chain */
	/* Its name and its allocation are durable. Until then whatever makes its frames durable does that too. */
	_Atomic bool settled;
	_Atomic uint32_t refs;
};

struct pending { /* a frame between numbering and writing; on its appender's stack */
	struct pending *next;
	struct segment *segment;
	uint64_t offset, sequence;
	uint8_t header[COF_FRAME_HEADER];
	const void *stored;
	uint32_t stored_len;
	int err;
	bool lead; /* told to take the leader's role, its own frame still in the queue */
	/* How its appender is told, once: written, failed, or to lead. Whoever tells it looks at
	 * nothing of this afterwards, but where the appender sleeps: then it waits for wake. */
	_Atomic int told;
	sem_t wake;
};

struct waiter { /* somebody who wants a sequence durable */
	struct waiter *next;
	uint64_t sequence;
	cof_log_done done;
	void *user;
};

struct tiles { /* guarded by tree */
	struct cof_frontier frontier;
	struct cof_file *file[COF_TILE_LEVELS];
	uint8_t (*buffer[COF_TILE_LEVELS])[COF_HASH];
	uint64_t start[COF_TILE_LEVELS]; /* index of buffer[0] in the level */
	uint32_t count[COF_TILE_LEVELS];
	uint64_t synced; /* leaves whose stored hashes are durable */
	uint64_t found;	 /* leaves whose stored hashes were there when recovery began to add to them */
	int err; /* first failure: the files are behind, the next mount rebuilds them */
	bool unsynced; /* a sync failed: they may have holes */
	/* Nothing is written: recovery does not know yet whether the log was tampered with, and then the
	 * stored hashes are evidence. dropped: what was held did not fit and has to be made again. */
	bool held, dropped;
};

struct cof_log {
	struct cof_log_params p;
	struct cof_conf conf;
	struct cof_reader *reader;
	struct cof_erased *erased; /* while it is opened, once a payload is not what its header says; else NULL */
	uint8_t *secrets; /* secure: signing seed 32, epoch secret 32, seal key 32 */
	uint64_t reserve; /* bytes at a segment's end that only system frames may use */
	_Atomic uint64_t counter;
	_Atomic int failed;	  /* first fatal error, 0: none */
	_Atomic uint64_t written; /* frames handed to the kernel */
	_Atomic uint64_t durable;
	_Atomic bool ahead; /* syncs are small: zeros are written ahead of the frames */

	/* chain: guards from here */
	pthread_mutex_t chain;
	pthread_cond_t prepared; /* preparing became false */
	uint64_t size;		 /* frames numbered */
	uint8_t previous[COF_HASH];
	uint32_t mount;
	int64_t last_retention;
	struct segment *current, *prepared_next;
	struct segment *closing, **closing_tail; /* full, not yet cut and synced; in order */
	bool preparing, out_of_space;
	bool asked;		/* the preparer was woken for this segment */
	bool streaming;		/* the segment before was full within STREAM_NS: the next is made at once */
	int64_t rolled_at;	/* boot-time */
	pthread_cond_t prepare_wake, push_wake;
	struct push {
		struct segment *segment; /* NULL: there is nothing to be pushed */
		uint64_t off, n;
	} push;
	int64_t prepare_again; /* boot-time before which no new attempt is made after ENOSPC */
	struct pending *queue, **queue_tail;
	bool leading;
	unsigned turns; /* of who waits for the leader before it sleeps; 0 with one processor */
	bool was_clean; /* the last mount ended with a sync of everything; set by recovery */
	uint8_t (*ring)[COF_HASH]; /* leaves ring_start .. size - 1, at sequence % COF_LEAF_RING */
	uint64_t ring_start;
	int64_t uncovered_since; /* boot-time of the oldest frame that wants a checkpoint; 0: none */
	uint64_t last_significant; /* sequence + 1 of the last frame that is no CHECKPOINT or COSIGN */
	pthread_cond_t keeper_wake;
	bool keeper_stop;

	/* sync: guards from here */
	pthread_mutex_t sync;
	pthread_cond_t syncer_wake;
	struct waiter *waiters, *spare;
	uint32_t spares;
	unsigned roles;		/* taken; who has one syncs, or answers */
	unsigned handed_over;	/* of them, those that wait for a syncer thread */
	unsigned flights;	/* bit mask: syncs under way, by descriptor */
	bool alone;		/* the one under way must not overlap with others */
	uint64_t flying;	/* frames below are covered by syncs that are through or under way */
	unsigned uncovered;	/* waiters at or above that */
	unsigned last_batch;	/* answered by the last sync */
	uint64_t synced_address; /* where the log ended when the last sync began */
	unsigned small_syncs;	 /* in a row */
	bool syncer_stop, has_syncer;

	/* tree */
	pthread_mutex_t tree;
	struct tiles tiles;

	/* checkpoint */
	pthread_mutex_t checkpoint;
	uint64_t checkpoint_size; /* written under checkpoint and chain; read under either */
	char checkpoint_text[512];
	bool reserve_given_up;
	struct cof_mixing *mixing; /* of the next CHECKPOINT frame; NULL: none */

	pthread_t keeper, preparer, pusher, syncer[COF_SYNCS];
	unsigned syncers;
	bool has_keeper, has_preparer, has_pusher;
};

#define LOG_SEED(log) ((log)->secrets)
#define LOG_EPOCH(log) ((log)->secrets + COF_KEY)
#define LOG_SEAL(log) ((log)->secrets + 2 * COF_KEY)

/* chain.c: a frame that has a public part only; of f: type, object, position. */
int cof_log_append_public(struct cof_log *log, const struct cof_frame *f, const void *public_part,
			  uint32_t public_len, uint8_t *ret_seal_key, uint64_t *ret_sequence);

/* log.c: the first failure is final; tells the owner once. Returns -EIO. Call without locks. */
int cof_log_fail(struct cof_log *log, int err, const char *what);
struct cof_log *cof_log_alloc(const struct cof_log_params *p, const struct cof_log_secrets *s,
			      struct cof_diag *diag);
int64_t cof_log_boottime(void);

/* segment.c */
void cof_segment_path(uint32_t number, char out[32]);
int cof_segment_new(struct cof_log *log, uint32_t number, struct segment **ret); /* settled */
/* Of one whose frames were made durable just now, by the descriptors that they were written through: its name. */
int cof_segment_settle(struct cof_log *log, struct segment *s);
int cof_segment_open(struct cof_log *log, uint32_t number, struct segment **ret);
void cof_segment_free(struct segment *s); /* gives up one reference; NULL is fine */
/* What of the current segment is to begin on its way to the disk: the pusher is told. chain is held. */
void cof_segment_due(struct cof_log *log);
void *cof_log_pusher(void *log);
/* A segment of a stream is durable and full: one that lies further back leaves the page cache, so that the stream
 * goes on in memory that is there already. */
void cof_segment_forget(struct cof_log *log, uint32_t full);
/* Writes zeros behind the frames that end at `used`. The leader's; nothing beyond was written yet. */
int cof_segment_zero(struct segment *s, uint64_t used, uint64_t size);
/* Where a frame of need bytes goes; chain is held, and dropped while a segment is made. */
int cof_segment_place(struct cof_log *log, uint64_t need, bool system);
void *cof_log_preparer(void *log); /* makes the next one ahead of time */
/* Gives up STORE/reserve so that small files can still be written. True if there was one. */
bool cof_reserve_give_up(struct cof_log *log);
void cof_reserve_renew(struct cof_log *log);

/* commit.c */
void *cof_log_syncer(void *log);

/* tiles.c */
int cof_tiles_open(struct cof_log *log, struct cof_diag *diag); /* opens or makes tile/N */
void cof_tiles_done(struct cof_log *log);
/* Moves leaves from the ring into the tree; ret (may be NULL) is the frontier afterwards. */
void cof_tiles_drain(struct cof_log *log, struct cof_frontier *ret);
void cof_tiles_add(struct cof_log *log, const uint8_t leaf[COF_HASH]); /* tree held */
int cof_tiles_flush(struct cof_log *log, bool sync);
int cof_tiles_get(void *log, unsigned level, uint64_t index, uint8_t out[COF_HASH]);
/* Forgets what is stored from this tree size on (recovery). */
int cof_tiles_reset(struct cof_log *log, uint64_t size);
/* No longer held; cuts what cof_tiles_reset left, durably: what was cut never comes back. again: the last mount
 * did not end, so what it may not have brought to the disk is written once more (as make_durable in cut.c). */
int cof_tiles_release(struct cof_log *log, bool again);
/* Writes what is there again, in place, and syncs; what lies before from is durable. buf: COF_STRETCH
 * bytes. (cut.c) */
#define COF_STRETCH (4u << 20)
int cof_write_again(struct cof_file *f, uint64_t from, uint64_t to, uint8_t *buf);
/* The largest size up to `size` whose last stored hashes fit each other: a power cut may have lost
 * some of the last COF_TILE_UNSYNCED leaves. */
int cof_tiles_good(struct cof_log *log, uint64_t size, uint64_t *ret);

/* checkpoint.c */
void *cof_log_keeper(void *log);
int cof_checkpoint_write(struct cof_log *log, const struct cof_frontier *f, struct cof_buf *note);

#endif
