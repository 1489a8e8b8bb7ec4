/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/index: where each stretch of each file is, what is called what, who is which actor. Derived
 * from the log, may be deleted at any time; fed behind the log, never on the acknowledge path.
 * SQLite is included in this folder only.
 *
 * One table of rows key -> value. Keys hold MACs under the index key instead of names and inode
 * numbers; values are sealed (AES-256-GCM, random nonce, key as associated data). A row that does
 * not open is damage: -EBADMSG, and the caller rebuilds. What a row says of a frame is checked
 * against the frame by who reads it.
 *
 * Rows carry the sequence of the frame that made them, so that the state at any earlier tree size
 * can be asked for: "at" is a tree size, COF_INDEX_NOW the present. Feeding is idempotent: the same
 * frame fed twice changes nothing. So after a crash the frames from cof_index_fed on are fed again.
 *
 * Thread-safety: all functions. Writers of frames bracket append and feeding with
 * cof_index_enter/leave (a shared lock, so that "everything below S is fed" can be known);
 * not recursive; never wait for a disk or another operation inside.
 */
#ifndef COF_INDEX_H
#define COF_INDEX_H

#include "crypto/crypto.h"

#define COF_INDEX_NOW UINT64_MAX
#define COF_NAME_MAX 255

struct cof_index;

struct cof_index_params {
	const char *dir; /* made if missing; "" keeps the index in memory (tests, snapshots) */
	const uint8_t *key;	   /* 32 bytes */
	const uint8_t *archive_id; /* 16 bytes */
	uint32_t pending_max;	   /* stretches held in memory before who adds has to wait; 0: 65536 */
	/* Asked by feed before it writes: makes frames below size durable, so that the index never knows of
	 * one that a power cut takes away. Outside all locks but the feeder's. May be NULL. */
	int (*durable)(void *user, uint64_t size);
	void *user;
};

/* A database that is damaged, of another archive or another version is deleted and begun anew:
 * *ret_fresh, cof_index_fed gives 0. WAL, synchronous=NORMAL, no mmap, cell_size_check, quick_check
 * at open. */
int cof_index_open(const struct cof_index_params *p, struct cof_index **ret, bool *ret_fresh,
		   struct cof_diag *diag);
void cof_index_close(struct cof_index *ix); /* without feeding: call cof_index_feed first */
/* Empties it (damage was seen while running): fed is 0 again. */
int cof_index_reset(struct cof_index *ix);

uint64_t cof_index_fed(struct cof_index *ix); /* frames below this are all in; durable in the database */

void cof_index_enter(struct cof_index *ix);
void cof_index_leave(struct cof_index *ix);

/* Writes out what is pending and commits, with fed = size(user), asked while nobody is inside
 * enter/leave; what it puts then is written with the rest. -ENOSPC, -EIO: nothing is lost, what is pending stays (bounded), and the next call tries again. */
int cof_index_feed(struct cof_index *ix, uint64_t (*size)(void *user), void *user);
/* Stretches that wait in memory; who feeds may use it to feed early. */
uint32_t cof_index_pending(struct cof_index *ix);
/* For a rebuild: larger transactions, no pending limit to wait for. */
void cof_index_bulk(struct cof_index *ix, bool on);

/* Around many reads that follow each other soon: they share one transaction. One burst at a time, which is told by
 * true; whoever gets false does without. It lasts milliseconds, since the database's own log cannot shrink meanwhile. */
bool cof_index_burst(struct cof_index *ix);
void cof_index_burst_end(struct cof_index *ix, bool mine);

/* ---- nodes ---- */

enum cof_kind { COF_KIND_FILE = 1, COF_KIND_DIR = 2, COF_KIND_SYMLINK = 3 };
enum cof_state { COF_STATE_OPEN = 0, COF_STATE_COMMITTED = 1, COF_STATE_EXPIRED = 2, COF_STATE_DESTROYED = 3, COF_STATE_REMOVED = 4 };

struct cof_node {
	uint64_t ino, parent;
	uint8_t kind, state;
	uint32_t mode, uid, gid; /* mode: permission bits */
	uint64_t size;		 /* of a committed file, a symlink's target; open files: cof_index_end */
	int64_t created, mtime, ctime; /* ns */
	bool mtime_claimed;	 /* else mtime follows the appends */
	int64_t retain_until;	 /* INT64_MIN: none, INT64_MAX: infinite */
	int64_t asked_until;	 /* what was asked for, while open or at the commit; INT64_MIN: nothing */
	int64_t committed;	 /* record time of the commit; 0 when not */
	/* The next are told in fs/rules/rules.h (struct cof_object). */
	bool held;		 /* the value "holds" says by which */
	bool event_due;		 /* the value "event" is its name */
	uint8_t mode_kept;	 /* 0 or 1 */
	int64_t binds_from, least_until, event_span; /* INT64_MIN, INT64_MIN, 0: nothing */
	/* Of a committed file that follows certificates: since when it counts, and the margin. INT64_MIN: it does not. */
	int64_t follow_from, follow_margin;
	uint64_t created_sequence, commit_sequence; /* commit: 0 when not */
	uint64_t shelf;		 /* inode of the shelf it lies in; 0 for the root */
	uint16_t name_len;
	char name[COF_NAME_MAX + 1]; /* bytes, one NUL behind */
};

int cof_index_put_node(struct cof_index *ix, uint64_t sequence, const struct cof_node *n);
int cof_index_get_node(struct cof_index *ix, uint64_t at, uint64_t ino, struct cof_node *ret); /* -ENOENT */
/* Of the frame that its newest row as of `at` is from. -ENOENT */
int cof_index_node_since(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t *ret);
uint64_t cof_index_last_ino(struct cof_index *ix); /* highest inode number ever put; at least 1 */

/* Other values that hang on an inode: symlink targets, shelf policies, extended attributes. */
int cof_index_put_value(struct cof_index *ix, uint64_t sequence, uint64_t ino, const char *key,
			const void *p, size_t n); /* n 0: removed; at most 65536 */
int cof_index_get_value(struct cof_index *ix, uint64_t at, uint64_t ino, const char *key,
			struct cof_buf *ret); /* -ENOENT */
/* The sequence it was put with. */
int cof_index_value_since(struct cof_index *ix, uint64_t at, uint64_t ino, const char *key, uint64_t *ret);

/* What a shelf holds, as of all frames below `below`. One row, replaced: there is no history of it. */
struct cof_index_use {
	uint64_t bytes, files, below;
};
int cof_index_put_use(struct cof_index *ix, uint64_t shelf, const struct cof_index_use *u);
int cof_index_get_use(struct cof_index *ix, uint64_t shelf, struct cof_index_use *ret); /* -ENOENT */

/* ---- names ---- */

int cof_index_link(struct cof_index *ix, uint64_t sequence, uint64_t dir, const char *name,
		   size_t len, uint64_t ino, uint8_t kind);
int cof_index_unlink(struct cof_index *ix, uint64_t sequence, uint64_t dir, const char *name,
		     size_t len); /* -ENOENT is not an error here: idempotent */
int cof_index_lookup(struct cof_index *ix, uint64_t at, uint64_t dir, const char *name, size_t len,
		     uint64_t *ret_ino); /* -ENOENT */
/* Entries behind cookie (0: from the start), in the order they came, until fn returns non-zero
 * (which is returned when negative). The cookie of an entry is the sequence that linked it. No lock is held while fn runs. */
typedef int (*cof_index_entry_fn)(void *user, uint64_t cookie, const char *name, size_t len,
				  uint64_t ino, uint8_t kind);
int cof_index_readdir(struct cof_index *ix, uint64_t at, uint64_t dir, uint64_t cookie,
		      cof_index_entry_fn fn, void *user);

/* ---- stretches: one APPEND or HOLE frame each ---- */

struct cof_stretch {
	uint64_t position, length;
	uint64_t address;  /* of the frame in the log */
	uint64_t sequence; /* of the frame */
	bool hole;
};

/* In order of position for one inode. Memory only; waits when too many are pending. */
int cof_index_add_stretch(struct cof_index *ix, uint64_t ino, const struct cof_stretch *s);
/* The stretches from the one that holds position on, up to max, in order; *ret_n 0 behind the end.
 * -EUCLEAN when there is a gap. */
int cof_index_stretches(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t position,
			struct cof_stretch *ret, size_t max, size_t *ret_n);
int cof_index_end(struct cof_index *ix, uint64_t at, uint64_t ino, uint64_t *ret_size); /* 0 without stretches */

/* ---- items: what frames brought that is looked for by its content ---- */

#define COF_INDEX_ITEM_MAX 4096 /* bytes */
#define COF_INDEX_TERMS 2

struct cof_index_term { /* an exact one; kind keeps different sorts apart */
	uint64_t kind;
	const void *p;
	size_t n;
};
struct cof_index_item {
	uint64_t sequence; /* when reading: of the frame */
	const void *p;
	size_t n;
	struct cof_index_term term[COF_INDEX_TERMS]; /* when adding: at least one */
	size_t n_terms;
};
/* All items of a frame, at once. The same frame again changes nothing. */
int cof_index_add_items(struct cof_index *ix, uint64_t sequence, const struct cof_index_item *items, size_t n);
/* In the order they came, until fn returns non-zero (returned when negative). The item is there during the call. */
typedef int (*cof_index_item_fn)(void *user, const struct cof_index_item *item);
int cof_index_items(struct cof_index *ix, uint64_t at, cof_index_item_fn fn, void *user);
/* Those of frames in which an item has this term, in order of frames: others of the same frame too. */
int cof_index_items_with(struct cof_index *ix, uint64_t at, const struct cof_index_term *term,
			 cof_index_item_fn fn, void *user);

/* ---- mounts and actors ---- */

struct cof_index_mount {
	uint64_t sequence, address;
	uint8_t salt[32];
};
int cof_index_put_mount(struct cof_index *ix, uint32_t mount, const struct cof_index_mount *m);
int cof_index_get_mount(struct cof_index *ix, uint32_t mount, struct cof_index_mount *ret);
int cof_index_put_actor(struct cof_index *ix, uint64_t sequence, uint32_t mount, uint32_t actor,
			uint64_t address);
int cof_index_get_actor(struct cof_index *ix, uint32_t mount, uint32_t actor, uint64_t *ret_address);

#endif
