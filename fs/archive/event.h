/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to event.c, event-write.c, event-table.c, event-ledger.c and event-resume.c: refusals
 * that are counted.
 *
 * Where a refusal is, at any moment: in a kind's `count` (in no frame), in its `flight` (being
 * written; in a frame of the log or not, which the log itself tells), or in a frame. The ledger
 * file holds the first two, so that a killed daemon loses none and invents none.
 *
 * Lock order: gate -> flush_lock -> what writes a frame takes. lock is a leaf, but for the ledger's
 * pwrite.
 */
#ifndef COF_ARCHIVE_EVENT_H
#define COF_ARCHIVE_EVENT_H

#include "fs/archive/internal.h"

enum cof_scope { COF_SCOPE_EXACT, COF_SCOPE_UID, COF_SCOPE_RULE, COF_SCOPE_ALL, COF_SCOPES };

#define COF_KINDS_EXACT 1024 /* (actor, operation, rule) told apart */
#define COF_KINDS_OF_UID 256 /* of which the processes of one account may take so many */
#define COF_KINDS_UID 64     /* beyond that by (account, rule) */
#define COF_KINDS_RULE 32    /* beyond that by rule */
#define COF_KINDS (COF_KINDS_EXACT + COF_KINDS_UID + COF_KINDS_RULE + 1)
#define COF_KIND_NONE 0xffff

/* What refusals may add to the log: so many bytes at once, and so many a second. Names stop at a
 * quarter of it, new kinds at a twentieth: the sums are what has to go on. */
#define COF_BUDGET ((int64_t)768 << 10)
#define COF_BUDGET_SECOND 128
#define COF_BUDGET_NAMES (COF_BUDGET / 4)
#define COF_BUDGET_KINDS (COF_BUDGET / 20)

#define COF_KNOWN_SETS 4096 /* names that were listed already: hashes, eight a set */
#define COF_KNOWN_WAYS 8
#define COF_NAMES_BYTES                                                                            \
	((size_t)512 << 10)   /* names that wait, as the ledger has them; two of these */
#define COF_REFUSED_NAME 1024 /* bytes of a name that are kept */

struct cof_tally {
	uint64_t n;
	int64_t first, last; /* record time */
};

struct cof_key { /* "" and 0 for what the scope does not tell apart */
	uint8_t scope;
	uint32_t actor, uid;
	char operation[12], rule[32];
};

struct cof_refused {
	bool used, busy; /* busy: a frame of it is being written */
	uint16_t next;   /* of the same hash */
	uint16_t pins;   /* threads that will use it again */
	uint32_t mount;  /* whose ordinal the actor is */
	struct cof_key key;
	int error;
	const char *reason;    /* static text; NULL: not known any more */
	uint64_t object, name; /* name: a hash. Both while all were about one; 0: several */
	char *path;            /* as these */
	struct cof_tally count, flight;
	uint64_t flight_from; /* the frame of flight, if there is one, has at least this sequence */
	uint64_t waiting;     /* names of it that wait */
	uint32_t last;        /* one more than the newest of these; 0: none */
	uint64_t unlisted;    /* names for which there was no room, since the last frame */
	int64_t due, wait;    /* boot time: when its sum is written next; grows while it goes on */
};

struct cof_name { /* a name that is refused for the first time: waits for a frame */
	uint16_t kind;
	uint64_t object;
	int64_t time;
	char *path;
};

struct cof_ledger; /* event-ledger.c */

struct cof_events {
	pthread_mutex_t flush_lock; /* who writes what waits */
	pthread_mutex_t lock;       /* what follows */
	struct cof_refused kind[COF_KINDS];
	uint16_t heads[2048];
	uint64_t seed; /* of the hashes */
	unsigned used[COF_SCOPES];
	int64_t budget, refilled_at; /* boot time */
	uint64_t known[COF_KNOWN_SETS][COF_KNOWN_WAYS];
	uint8_t known_next[COF_KNOWN_SETS];
	int64_t known_since; /* forgotten after an hour: boot time */
	struct cof_name *names;
	size_t n_names, max_names, names_bytes;
	int64_t names_since;
	unsigned half;  /* of the ledger, that takes new names */
	int64_t window; /* rate: since when, how many, what was said */
	uint64_t in_window, said;
	unsigned alarms, alarms_kept_back;
	int64_t unlisted_said;
	struct cof_ledger *ledger; /* NULL: counts are in memory only */
};

/* ---- the table (event-table.c); all with lock held ---- */

void cof_tally_add(struct cof_tally *t, uint64_t n, int64_t first, int64_t last);
/* Finds the kind, or makes it; when there is no room, one of a wider scope. */
struct cof_refused *cof_kind_place(struct cof_archive *a, uint32_t actor, const struct cof_who *who,
				   const struct cof_op *op, const struct cof_ruling *rl,
				   bool *ret_new);
struct cof_refused *cof_kind_put(struct cof_events *e, uint16_t at, const struct cof_key *key);
void cof_kind_free(struct cof_events *e, struct cof_refused *k);
uint16_t cof_kind_number(const struct cof_events *e, const struct cof_refused *k);
bool cof_op_by_name(enum cof_op_kind kind);
uint64_t cof_name_hash(const struct cof_events *e, const struct cof_op *op, const char *rule);
/* True when it was not known; it is from then on. */
bool cof_name_new(struct cof_events *e, uint64_t hash, int64_t now);
/* False, and nothing taken, when less than floor would be left. */
bool cof_budget_take(struct cof_events *e, int64_t bytes, int64_t floor);
/* Bytes of a frame beside NAME_COST: what differs from the name before. */
int64_t cof_name_cost(const struct cof_events *e, const struct cof_refused *k, const char *path);
/* False when it does not fit; takes path when true. */
bool cof_name_wait(struct cof_events *e, struct cof_refused *k, uint64_t object, int64_t time,
		   char *path);

/* ---- the ledger: STORE/refusals (event-ledger.c) ---- */

/* NULL when there is none to be had (simulated disk). *ret_fresh: it had to be made or was not one.
 */
int cof_ledger_open(struct cof_archive *a, struct cof_ledger **ret, bool *ret_fresh);
void cof_ledger_close(struct cof_ledger *l);
/* All take NULL. Without an error code: the first failure is alarmed, and ends the ledger. */
void cof_ledger_kind(struct cof_archive *a, uint16_t i); /* event lock */
void cof_ledger_known(struct cof_archive *a, unsigned set, unsigned way);
void cof_ledger_all_known(struct cof_archive *a);
void cof_ledger_name(struct cof_archive *a, unsigned half, size_t at, const struct cof_name *n);
void cof_ledger_clear_names(struct cof_archive *a, unsigned half);
void cof_ledger_head(struct cof_archive *a);
void cof_ledger_sync(struct cof_archive *a); /* without the event lock */
size_t cof_ledger_name_bytes(const struct cof_name *n);
/* What the file has, into e. Kinds keep their numbers. *ret_damaged: parts that were not
 * understood. */
int cof_ledger_load(struct cof_archive *a, unsigned *ret_damaged);

/* ---- frames (event-write.c) ---- */

#define COF_WAIT_FIRST (10 * COF_NSEC)

/* The sum that is in flight of k, a copy, and the names from *at on that are of kind `number`; as
 * many as fit, *at is behind them. first: with the reason. */
int cof_kind_write(struct cof_archive *a, const struct cof_refused *k, bool first, uint16_t number,
		   const struct cof_name *names, size_t n, size_t *at);
/* With lock held: what was in flight is on record, or (err < 0) counts again. */
void cof_kind_settle(struct cof_archive *a, struct cof_refused *k, int err);
struct cof_refused cof_kind_copy(const struct cof_refused *k); /* path is the caller's to free */
void cof_names_free(struct cof_name *names, size_t n);
/* All that waits, or what is due. */
void cof_events_write(struct cof_archive *a, bool all);

#endif
