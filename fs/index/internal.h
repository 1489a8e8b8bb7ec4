/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of fs/index share.
 *
 * Layers, each using those below it only:
 *   node.c names.c actors.c items.c   what callers ask for, coded into rows
 *   walk.c                    rows in order, wherever they are
 *   version.c                 rows with a sequence and the sequence that superseded them
 *   stretch.c                 rows of up to 256 stretches
 *   index.c                   open, close, reset
 *   feed.c                    enter/leave, and moving what is pending into the database
 *   overlay.c pending.c       what is pending: rows by key, stretches by inode
 *   row.c                     keys (MACs) and sealed values
 *   db.c                      SQLite: one table of blobs
 *   db-check.c                checksums of its pages
 *
 * What was put is pending in `active` until cof_index_feed makes it `frozen`, writes it out and,
 * once that is committed, drops it. So a failed transaction loses nothing: the frozen part stays
 * and shadows the database. Readers look at active, then frozen, then the database, in this
 * order: what moves meanwhile moves in the same direction and is met at least once.
 *
 * A row that vanished must not look like one that never was (a flipped bit in a stored key does
 * that, and the sealing of the row does not help): a version says which sequence superseded it, a
 * run of stretches says that another follows, and where nothing is found, the rows on both sides
 * must open. Checksums of the pages answer for their structure, quick_check at open for the order.
 *
 * Lock order: feed_lock -> gate (exclusive) -> put_lock -> db_lock -> mem_lock. The gate's shared
 * side is taken by callers (cof_index_enter) before any of the others but feed_lock.
 */
#ifndef COF_INDEX_INTERNAL_H
#define COF_INDEX_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/index/index.h"

/* ---- keys of rows ---- */

#define IX_PREFIX 17 /* tag u8, MAC 16 */
#define IX_KEY_MAX 33

enum ix_tag {
	IX_META = 0, /* the only key of one byte */
	IX_NODE = 'n',
	IX_VALUE = 'v',
	IX_NAME = 'l',  /* by directory and name: which inode */
	IX_ENTRY = 'd', /* by directory, in order: the listing */
	IX_STRETCH = 's',
	IX_MOUNT = 'm',
	IX_ACTOR = 'a',
	IX_USE = 'u', /* what a shelf holds */
	IX_PAGES = 'p', /* items */
	IX_LAST = 'q',
	IX_TERM = 't',
};

struct ix_key {
	uint8_t len;
	uint8_t b[IX_KEY_MAX];
};

int ix_key_compare(const struct ix_key *a, const struct ix_key *b);
static inline bool ix_key_same_prefix(const struct ix_key *a, const struct ix_key *b)
{
	return a->len >= IX_PREFIX && b->len >= IX_PREFIX && !memcmp(a->b, b->b, IX_PREFIX);
}
static inline uint64_t ix_key_sequence(const struct ix_key *k) /* the last eight bytes */
{
	return cof_get_be64(k->b + k->len - 8);
}

/* ---- db-check.c: a VFS for one database ---- */

#define IX_PAGE 8192
#define IX_PAGE_RESERVED 8

struct ix_check;

int ix_check_new(struct ix_check **ret);
const char *ix_check_name(const struct ix_check *c); /* of the VFS */
void ix_check_free(struct ix_check *c);              /* behind the last connection; NULL is fine */

/* ---- db.c ---- */

struct ix_db;

/* dir "": in memory. -EBADMSG: damaged or not ours, to be removed and opened again. */
int ix_db_open(const char *dir, struct ix_db **ret, bool *ret_fresh, struct cof_diag *diag);
void ix_db_close(struct ix_db *db);
int ix_db_remove(const char *dir);

/* Gets a row; the value, as it is stored, is there during the call only. */
typedef int (*ix_db_fn)(void *user, const struct ix_key *key, const void *value, size_t n);
/* The greatest key that is not above key: what fn returns. -ENOENT. */
int ix_db_at_most(struct ix_db *db, const struct ix_key *key, ix_db_fn fn, void *user);
/* Rows above key in order while fn returns 0; its other values are returned. */
int ix_db_above(struct ix_db *db, const struct ix_key *key, ix_db_fn fn, void *user);

void ix_db_hold(struct ix_db *db, bool on); /* many reads follow each other: faster, nothing else changes */
int ix_db_begin(struct ix_db *db);
int ix_db_put(struct ix_db *db, const struct ix_key *key, const void *value, size_t n);
int ix_db_commit(struct ix_db *db);
void ix_db_rollback(struct ix_db *db);
void ix_db_shrink(struct ix_db *db); /* gives the page cache back; NULL is fine */
/* Moves the write-ahead log into the database once it is long. Beside all others, without a lock.
 */
int ix_db_checkpoint(struct ix_db *db);

/* ---- overlay.c: rows in memory, ordered by key (a skip list) ---- */

#define IX_LEVELS 16

struct ix_cell {
	struct ix_key key;
	uint32_t n;
	uint8_t *value;
	struct ix_cell *next[]; /* as many as the cell is high */
};

struct ix_overlay {
	struct ix_cell *head[IX_LEVELS];
	uint32_t count;
	uint64_t dice;
};

void ix_overlay_done(struct ix_overlay *o);
/* Inserts or replaces. *ret_new: it was not there. -ENOMEM */
int ix_overlay_put(struct ix_overlay *o, const struct ix_key *key, const void *a, size_t a_len,
		   const void *b, size_t b_len, bool *ret_new);
const struct ix_cell *ix_overlay_at_most(const struct ix_overlay *o, const struct ix_key *key);
const struct ix_cell *ix_overlay_above(const struct ix_overlay *o, const struct ix_key *key);
static inline const struct ix_cell *ix_overlay_first(const struct ix_overlay *o)
{
	return o->head[0];
}

/* ---- pending.c: stretches in memory, by inode ---- */

struct ix_file {
	struct ix_file *chain;
	uint64_t ino;
	uint32_t n, cap;
	struct cof_stretch *s; /* in order, without gaps */
};

struct ix_pending {
	struct ix_file **bucket;
	uint32_t buckets, files, stretches;
};

void ix_pending_done(struct ix_pending *p);
struct ix_file *ix_pending_find(const struct ix_pending *p, uint64_t ino);
int ix_pending_add(struct ix_pending *p, uint64_t ino, const struct cof_stretch *s);
/* Index of the first stretch that ends above position. */
uint32_t ix_file_find(const struct ix_file *f, uint64_t position);
/* How many stretches, from the first on, have a sequence below at. */
uint32_t ix_file_below(const struct ix_file *f, uint64_t at);

/* ---- the index ---- */

struct ix_part { /* what is pending */
	struct ix_overlay rows;
	struct ix_pending files;
	uint64_t size; /* frozen: frames below this are all in */
};

struct ix_secret { /* in secure memory */
	uint8_t index_key[COF_KEY];
	uint8_t mac_key[COF_KEY];
};

#define IX_NONCES 64

struct cof_index {
	char *dir; /* absolute, or "" */
	uint8_t archive_id[16];
	int (*durable)(void *user, uint64_t size);
	void *user;
	uint64_t limit; /* of what waits in active, in units */

	pthread_rwlock_t gate;     /* shared: cof_index_enter */
	pthread_mutex_t feed_lock; /* one feeder at a time; replaces frozen */
	pthread_mutex_t put_lock;  /* reading and then changing versions */
	pthread_mutex_t db_lock;   /* db, aead, salt, nonce, burst */
	pthread_mutex_t mem_lock;  /* active, frozen, the fields behind them */
	pthread_cond_t room;       /* with mem_lock: active became smaller, or feeding failed */

	struct ix_db *db; /* NULL: a reset failed half way */
	bool burst;	  /* somebody has one */
	struct cof_aead *aead;
	struct ix_secret *secret;
	uint8_t salt[16];
	uint8_t nonce[IX_NONCES][COF_NONCE];
	unsigned nonces; /* left */

	struct ix_part *active;
	struct ix_part *frozen; /* NULL: nothing; its content is constant */

	/* Units: a stretch, a row, and each further half kibibyte of a row. */
	atomic_uint_fast64_t fed, last_ino, waiting; /* waiting: units of active */
	atomic_uint_fast64_t held;                   /* units of frozen */
	atomic_bool bulk, failed;                    /* failed: the last feeding did */
};

void ix_lock(pthread_mutex_t *m);
void ix_unlock(pthread_mutex_t *m);

/* ---- row.c ---- */

int ix_row_mac_key(struct cof_index *ix); /* once, at open */
/* Takes the salt and derives the seal key. db_lock held or nobody else there. */
int ix_row_keys(struct cof_index *ix, const uint8_t salt[16]);
/* tag and the MAC of a and b: the first IX_PREFIX bytes of a key. */
void ix_row_prefix(struct cof_index *ix, enum ix_tag tag, uint64_t a, const void *b, size_t b_len,
		   struct ix_key *ret);
void ix_key_add(struct ix_key *k, uint64_t big_endian);

struct ix_row {
	struct ix_key key;
	struct cof_buf value; /* plaintext */
};

/* The greatest row of key's prefix that is not above key, from the database. -ENOENT only after
 * the rows on both sides were seen to be whole; -EBADMSG. Takes db_lock. */
int ix_row_at_most(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret);
/* Rows of key's prefix above key, in order, at most max: *ret_n of them. Takes db_lock. */
int ix_row_above(struct cof_index *ix, const struct ix_key *key, struct ix_row *ret, size_t max,
		 size_t *ret_n);
int ix_row_write(struct cof_index *ix, const struct ix_key *key, const void *p,
		 size_t n); /* db_lock held */

int ix_meta_read(struct cof_index *ix); /* salt, keys, fed, last_ino; -EBADMSG */
int ix_meta_write(struct cof_index *ix, uint64_t fed, uint64_t last_ino); /* db_lock held */

/* ---- walk.c ---- */

/* 0: go on; else ends the walk and is returned. The row stays whose it is. No lock is held. */
typedef int (*ix_walk_fn)(void *user, const struct ix_row *row);
int ix_walk(struct cof_index *ix, const struct ix_key *above, ix_walk_fn fn, void *user);
/* The row with this very key, its plaintext added to ret. -ENOENT */
int ix_row_get(struct cof_index *ix, const struct ix_key *key, struct cof_buf *ret);

/* ---- version.c ---- */

#define IX_FOREVER UINT64_MAX
#define IX_UNIT 512 /* bytes of a row that weigh as much as one stretch */

struct ix_version {
	uint64_t sequence; /* since */
	uint64_t until;    /* the sequence that superseded it */
	struct cof_buf value;
};

/* The version under prefix that stands at tree size `at`. -ENOENT; -EBADMSG. */
int ix_version_get(struct cof_index *ix, const struct ix_key *prefix, uint64_t at,
		   struct ix_version *ret);

enum ix_put {
	IX_PUT_LAST, /* the same sequence again: the later value stands */
	IX_PUT_ONCE, /* another value than the one that is there: -EBADMSG */
};
/* A new version from sequence on. put_lock held. */
int ix_version_put(struct cof_index *ix, const struct ix_key *prefix, uint64_t sequence,
		   enum ix_put how, const void *p, size_t n);
/* Puts one row as it is (until and value) into active. Takes mem_lock. */
int ix_version_store(struct cof_index *ix, const struct ix_key *key, uint64_t until, const void *p,
		     size_t n);
int ix_version_parse(const void *row, size_t n, uint64_t *ret_until, const uint8_t **ret_p,
		     size_t *ret_n);

/* ---- feed.c ---- */

void ix_part_free(struct ix_part *part); /* NULL is fine */

/* ---- stretch.c ---- */

/* Adds what is pending of one file to its rows. Takes db_lock for each row. */
int ix_stretch_write(struct cof_index *ix, const struct ix_key *prefix, const struct ix_file *f);

#endif
