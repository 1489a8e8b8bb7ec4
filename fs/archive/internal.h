/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: the open archive and what its files share.
 *
 * Lock order (a lock is only taken while holding locks to its left):
 *   people -> stamp -> gate (shared by every call, exclusive while the index is rebuilt)
 *   -> tree (names: exclusive for create, rename, remove; shared for lookups)
 *   -> object locks (two at a time only under the exclusive tree lock)
 *   -> intern (actor ordinals) -> events -> feed -> index enter/leave -> the log's own
 * Leaves, nothing is taken inside: cache, ring, pool, event table, actor shards, recent, mounts, faults, clock, proofs, holds, sums.
 */
#ifndef COF_ARCHIVE_INTERNAL_H
#define COF_ARCHIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/archive/archive.h"
#include "fs/archive/anchor.h"
#include "fs/archive/clock.h"
#include "fs/archive/keys.h"
#include "fs/archive/mix.h"
#include "fs/archive/sums.h"
#include "fs/archive/tpm-link.h"

/* An index that does not say the truth (a row that does not open, a gap, a row that points elsewhere):
 * the call is repeated once after a rebuild. Never leaves this folder. */
#define COF_EINDEX ESTALE

/* ---- payload key handles (ring.c); needs no archive ---- */

struct cof_ring; /* bounded: the secure pool is */

struct cof_ring_key { /* for one thread between take and give */
	struct cof_aead *aead;
	uint8_t commitment[COF_HASH];
};
/* The salt of a MOUNT frame: 0 or -errno. */
typedef int (*cof_salt_fn)(void *user, uint32_t mount, uint8_t ret[32]);

int cof_ring_new(const struct cof_keys *keys, const uint8_t archive_id[16], size_t capacity,
		 cof_salt_fn salt, void *user, struct cof_ring **ret);
void cof_ring_free(struct cof_ring *r);
/* Waits while all are in use. -ENOKEY: punctured. Never take a second one while holding one. */
int cof_ring_take(struct cof_ring *r, uint64_t object, uint32_t mount, struct cof_ring_key **ret);
void cof_ring_give(struct cof_ring *r, struct cof_ring_key *k);
void cof_ring_forget(struct cof_ring *r, uint64_t object); /* its keys are wiped, those in use when they are given back */

/* Reads a whole frame's payload, checks it against the header's payload hash and opens it. public_part and
 * private_part are emptied first; either may be NULL. -EBADMSG, -EUCLEAN, -EIO, -ENOKEY. */
int cof_frame_read(struct cof_reader *reader, struct cof_ring *ring, const uint8_t archive_id[16],
		   uint64_t address, const struct cof_frame *f, struct cof_buf *public_part,
		   struct cof_buf *private_part);
/* The key that a frame's private part is under: its object for APPEND, else 0 (metadata). */
uint64_t cof_frame_key_object(const struct cof_frame *f);

/* Public part of a MOUNT frame (mount-frame.c and init.c): salt, commitment, boot id, boot time, epoch, lineage, software,
 * and the TPM's clock where it was read.
 * commitment: that of object 0's payload key in this mount. */
int cof_mount_fields(struct cof_buf *ret, const struct cof_keys *keys, const uint8_t archive_id[16],
		     uint32_t mount, const uint8_t salt[32], const struct cof_clock *clock);

/* Writes it, durably, and moves the epoch on; then RECOVERY if the log did not end cleanly (mount-frame.c). */
int cof_mount_put(struct cof_archive *a, struct cof_diag *diag);
int cof_recovery_put(struct cof_archive *a, struct cof_diag *diag);
/* The last MOUNT frame and its public part. -ENOENT: there is none that can be read. */
int cof_last_mount(struct cof_archive *a, struct cof_frame *ret, struct cof_buf *ret_fields);

/* new: locks and nothing else. free: all that is there but the log; unlocks the store (close.c). */
struct cof_archive *cof_archive_new(const struct cof_archive_params *p);
void cof_archive_free(struct cof_archive *a);

/* A RECOVERY frame for keys that coffer recover made anew, or a new lineage, once (recover.c). Behind the MOUNT frame. */
int cof_recovered_record(struct cof_archive *a, struct cof_diag *diag);

/* ---- proofs of time (proof.c), and how they come in (stamp.c) ---- */

struct cof_proof { /* what a STAMP or a COSIGN frame says */
	uint64_t sequence, address, covers;
	int64_t time, accuracy; /* ns */
	bool trusted;		/* else only claimed */
	bool vault, elsewhere;	/* a vault's cosignature; of one in another place */
	uint8_t anchor[COF_HASH];
	uint8_t serial[40];
	size_t serial_len;
	char authority[256]; /* of a vault: the name of its key */
};
#define COF_PROOFS_KEPT 16
struct cof_proofs { /* lock: a leaf */
	pthread_mutex_t lock;
	struct cof_proof newest, claimed, elsewhere; /* sequence 0: none */
	struct cof_proof kept[COF_PROOFS_KEPT];
	unsigned next;
};
/* The fields of a STAMP or COSIGN frame's public part; signatures are not looked at. -EUCLEAN */
int cof_proof_read(const struct cof_frame *f, uint64_t address, const void *fields, size_t n,
		   struct cof_proof *ret);
static inline int64_t cof_proof_from(const struct cof_proof *p)
{
	return p->time < INT64_MIN + p->accuracy ? INT64_MIN : p->time - p->accuracy;
}
static inline int64_t cof_proof_to(const struct cof_proof *p)
{
	return p->time > INT64_MAX - p->accuracy ? INT64_MAX : p->time + p->accuracy;
}
int cof_proof_apply(struct cof_archive *a, const struct cof_proof *p); /* to the index, and newest */
int cof_proofs_load(struct cof_archive *a);			       /* once the index is filled */
/* The newest few proofs, the newest first. */
int cof_proofs_newest(struct cof_archive *a, int (*fn)(void *user, const struct cof_proof *p), void *user);
int cof_proof_span(struct cof_archive *a, uint64_t sequence, struct cof_span *ret); /* inside the gate */
void cof_proof_json(const struct cof_proof *p, struct cof_json *into, const char *key);
/* When a vault in another place first signed a head that covers this frame. INT64_MAX: none did. Inside the gate. */
int cof_archived_at(struct cof_archive *a, uint64_t sequence, int64_t *ret);
/* What is shown for a record time that proofs contradict: the nearest that they allow. */
static inline int64_t cof_span_time(const struct cof_span *s, int64_t record)
{
	return record < s->from ? s->from : record > s->to ? s->to : record;
}
unsigned cof_stamps_pending(struct cof_io *io); /* queries without an answer */

/* ---- cosignatures of vaults (cosign.c, cosign-vaults.c) ---- */

#define COF_VAULTS_KNOWN 16
struct cof_cosigner { /* what a vault said last, of those that were chained since open */
	uint8_t key[32];
	char administration[COF_ADMINISTRATION];
	int64_t time, retention; /* the vault's; retention time when it was chained */
	uint64_t sequence, size;
};
struct cof_cosigners { /* stamp_lock */
	struct cof_cosigner of[COF_VAULTS_KNOWN];
	unsigned n;
	bool waiting_told, pending_done; /* keeper only: archiving is overdue; notes of before were looked at */
	struct cof_vault_due *due; /* keeper only: the vaults that there are, and which of them are overdue, as it was told */
	size_t n_due;
	int64_t due_at; /* when they were looked at last; 0: not yet */
};
struct cof_vault_known {
	char name[64], url[512];
	struct cof_vkey vkey;
	char place[COF_VAULT_PLACE], jurisdiction[8], administration[COF_ADMINISTRATION];
	bool retiring; /* nothing more shall go there */
};
/* STORE/vaults/NAME.conf. -ENOENT */
int cof_vault_load(struct cof_io *io, const char *name, struct cof_vault_known *ret);
/* Whether it stands in another place than the host, and how far away (km; -1: not known): by both places where they are
 * known, else by the way to it. least: km that the policy asks for. */
bool cof_vault_elsewhere(struct cof_io *io, const struct cof_vault_known *v, uint32_t least, int64_t *ret_distance);
int cof_cosigners_load(struct cof_archive *a); /* behind cof_proofs_load */
bool cof_cosigner_is(struct cof_archive *a, const uint8_t key[32]); /* a cosignature by that key is chained, of the newest ones */
void cof_cosign_tick(struct cof_archive *a); /* the keeper, inside the gate */
void cof_overdue_tick(struct cof_archive *a); /* likewise: vaults that confirmed nothing for too long (cosign-overdue.c) */
void cof_overdue_free(struct cof_archive *a);
void cof_cosign_status(struct cof_archive *a, struct cof_json *into);
/* What vaults sent while nobody had the archive open: chained once it is. Not inside the gate. */
void cof_cosign_pending(struct cof_archive *a);

/* ---- shelves: policies, and what each holds (shelf.c) ---- */

#define COF_SHELVES_MAX 1024
#define COF_SHELF_MODE 0755u
#define COF_SHELF_BUCKETS 64
struct cof_obj;
struct cof_shelf; /* lives until the table is cleared, with the gate held exclusively */
/* *ret NULL for inode 0. new: its CREATE frame is being applied. */
int cof_shelf_get(struct cof_archive *a, uint64_t ino, struct cof_shelf **ret);
int cof_shelf_new(struct cof_archive *a, uint64_t ino, struct cof_shelf **ret);
void cof_shelves_clear(struct cof_archive *a);
const struct cof_policy *cof_shelf_policy(const struct cof_shelf *s); /* NULL: the default */
int cof_shelf_set_policy(struct cof_shelf *s, const struct cof_policy *policy);
/* A frame changes what it holds; reserved: of what was set aside for that frame. NULL is fine. */
void cof_shelf_count(struct cof_shelf *s, uint64_t sequence, int64_t bytes, int64_t files,
		     uint64_t reserved);
/* False: the quota (0: none) would be exceeded. */
bool cof_shelf_reserve(struct cof_shelf *s, uint64_t bytes, uint64_t quota);
void cof_shelf_release(struct cof_shelf *s, uint64_t bytes);
void cof_shelf_use(const struct cof_shelf *s, uint64_t *ret_bytes, uint64_t *ret_files);
int cof_shelves_put(struct cof_archive *a, uint64_t below);
/* Of all that were met: those with `silence` in their policy are listened to. Inside the gate; the keeper. */
void cof_shelves_listen(struct cof_archive *a, int64_t now);
/* heartbeat.c: an EVENT that this shelf has been silent for so long, or was until now. */
void cof_silence(struct cof_archive *a, uint64_t ino, bool ended, int64_t span, int64_t length);
/* That it records, each period in which nothing else does; that it could not; and shelves that are silent.
 * Inside the gate, with each tick. */
void cof_heartbeat_tick(struct cof_archive *a, int64_t now);
int64_t cof_heartbeat_period(const struct cof_archive *a); /* ns; 0: none */
/* Told after the frame: what was and is of the two texts (shelf-change.c). */
void cof_shelf_changed(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who, const char *before,
		       const char *after, const uint8_t *request, struct cof_reply *ret);
/* A SHELF frame with the policy that op brings (SHELF_ADD, SHELF_SET); o: its directory; request: 32 bytes, the one
 * that permits it, or NULL. */
int cof_shelf_frame(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
		    const struct cof_op *op, const uint8_t *request, struct cof_reply *ret);

/* ---- who has a file open for writing (writers.c) ---- */

struct cof_writers;
int cof_writers_new(struct cof_writers **ret);
void cof_writers_free(struct cof_writers *w);
void cof_writers_opened(struct cof_writers *w, uint64_t ino);
void cof_writers_closed(struct cof_writers *w, uint64_t ino, int64_t now);
bool cof_writers_any(struct cof_writers *w, uint64_t ino, int64_t *ret_closed);

/* ---- objects (object.c) ---- */

struct cof_obj {
	struct cof_obj *hash_next, *lru_next, *lru_prev; /* cache lock */
	uint32_t refs;					 /* cache lock */
	pthread_mutex_t lock;
	/* all below: lock */
	int loaded; /* 0 not yet, 1 yes, -errno */
	struct cof_node node;	/* size and mtime as the index has them; the next four are the truth */
	uint64_t size;
	int64_t mtime, ctime;
	int64_t put_mtime; /* of directories: mtime of the newest row */
	uint64_t last_sequence; /* last frame written about it in this run; 0: none */
	int64_t written;	/* retention time of the last APPEND or HOLE; INT64_MIN: none */
	uint64_t reserved;	/* bytes of its shelf's quota that the request under way took */
	bool committed_key;	/* an APPEND of this mount carried the commitment */
	struct cof_shelf *shelf; /* NULL: the root */
	uint64_t holds_seen;	 /* generation of the holds that the next two are of; 0: none */
	uint32_t holds;
	bool held_by_name;
};
static inline const struct cof_policy *cof_obj_policy(const struct cof_obj *o)
{
	return cof_shelf_policy(o->shelf);
}

/* Referenced and locked, loaded. -ENOENT, -COF_EINDEX, -ENOMEM. */
int cof_obj_get(struct cof_archive *a, uint64_t ino, struct cof_obj **ret);
/* A new one for CREATE: locked, with node zeroed but for ino. */
int cof_obj_new(struct cof_archive *a, uint64_t ino, struct cof_obj **ret);
/* Unlocks. NULL is fine. One that was never filled (loaded is 0) is dropped. */
void cof_obj_put(struct cof_archive *a, struct cof_obj *o);
void cof_obj_clear(struct cof_archive *a); /* drops all; gate held exclusively */
void cof_obj_attr(struct cof_archive *a, struct cof_obj *o, struct cof_attr *ret);
void cof_obj_rule_view(struct cof_archive *a, struct cof_obj *o, struct cof_object *ret);
uint8_t cof_obj_state(struct cof_archive *a, struct cof_obj *o); /* as it is now */
int cof_cache_init(struct cof_archive *a, uint64_t max);
void cof_cache_done(struct cof_archive *a);
/* Its attributes now, without a place in memory for it. Of one that has none, the state is the stored one, not what
 * time made of it. As cof_obj_get. */
int cof_obj_peek(struct cof_archive *a, uint64_t ino, struct cof_attr *ret);
/* Attributes at an earlier tree size, past the cache. */
int cof_node_attr_at(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_attr *ret);

/* ---- frames (write.c) ---- */

struct cof_guarded; /* leak.h */

struct cof_draft { /* a frame to be: zero what is not used */
	uint8_t type;
	uint64_t object, position;
	uint32_t actor;
	const void *public_part;
	uint32_t public_len;
	const void *plain;
	uint32_t length;
	bool system;	 /* may use the reserve */
	bool commitment; /* the first APPEND of (object, mount) */
	bool alone;	 /* one processor only: others are about */
	struct cof_guarded *guard; /* is scanned beside, and may refuse it (leak.h); NULL: nothing does */
};
/* Who a frame touches, all locked; only what its type needs. dir and new_dir: the old and new parent. */
struct cof_applied {
	struct cof_obj *o, *dir, *new_dir, *target;
	struct cof_obj **many; /* HOLD: those of its inodes, in order; NULL: they are fetched (a replay) */
	size_t n_many;
};
/* Seals outside all global locks, appends (accepted when 0), and applies the frame to objects and index.
 * on: NULL for frames that touch neither. ret may be NULL. */
int cof_archive_put(struct cof_archive *a, const struct cof_draft *d, const struct cof_applied *on,
		    struct cof_append *ret);

/* The parts of cof_archive_do: inside the gate, no other lock. rl: the ruling, when there was one. */
int cof_do_write(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		 struct cof_reply *ret, struct cof_ruling *rl);
int cof_do_name(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret, struct cof_ruling *rl);
int cof_do_attr(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		struct cof_reply *ret, struct cof_ruling *rl);
/* Asks cof_rule about a loaded object as it is; a commit that was due is written first, and view follows it.
 * view: NULL for what the object itself says. reply: NULL: nothing is written, the question is only asked.
 * Returns the ruling's error, or that of writing the commit. */
int cof_judge(struct cof_archive *a, struct cof_obj *o, struct cof_object *view,
	      const struct cof_op *op, const struct cof_who *who, struct cof_reply *reply,
	      struct cof_ruling *rl);
/* Attributes of o into ret, and whether what was written has to be durable. */
void cof_reply_fill(struct cof_archive *a, struct cof_obj *o, const struct cof_op *op,
		    struct cof_reply *ret);
void cof_reply_wrote(struct cof_reply *ret, const struct cof_append *done);

/* ---- legal holds (hold.c) ---- */

#define COF_HOLDS_MAX 1024 /* at once */
#define COF_HOLD_NAMED ((uint64_t)1 << 63) /* in an inode's list: the hold names it itself */
struct cof_holds { /* lock: a leaf. What the index says of them, read when it is needed. */
	pthread_mutex_t lock;
	atomic_uint_fast64_t generation; /* any frame that changes what is held makes it another; from 1 on */
	uint64_t before; /* holds below that an earlier mount did not end laying are gone on with; the keeper's */
	uint64_t loaded;		 /* generation of the rest; 0: none */
	size_t n, laying;		 /* laying: so many do not reach their whole tree yet */
	struct {
		uint64_t id; /* ascending */
		bool laying;
	} at[COF_HOLDS_MAX];
};
struct cof_hold_set {
	size_t n;
	bool named; /* one of them names the inode itself */
	uint64_t id[COF_HOLDS_MAX];
};
/* The holds in force on o, which is locked; inside the gate. */
int cof_holds_of(struct cof_archive *a, struct cof_obj *o, struct cof_hold_set *ret);
bool cof_holds_any(struct cof_archive *a); /* false: there is none in force */
void cof_holds_changed(struct cof_archive *a);
int cof_holds_resume(struct cof_archive *a); /* goes on with trees that a crash left half covered: the keeper */
void cof_holds_status(struct cof_archive *a, struct cof_json *into); /* inside the gate */

/* Commits and extensions (retain.c); o is held. rl: the ruling that grants it; op may be NULL. */
int cof_commit(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
	       const struct cof_op *op, const struct cof_ruling *rl, struct cof_reply *ret);
int cof_extend(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
	       const struct cof_ruling *rl, struct cof_reply *ret);
/* What an approved request does to a retention (RETENTION_END, EVENT_DECLARE): judged anew, an EXTEND frame with
 * its id. Inside the gate, no other lock. met: sequence of the approval that met its rule. 1: it was done before.
 * -ECANCELED: more was promised since. */
int cof_retain_approved(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			const uint8_t request[32], uint64_t met, struct cof_reply *ret, struct cof_ruling *rl);
/* Commits what has been idle for long enough: called when a ruling says that this is due. */
int cof_commit_due(struct cof_archive *a, struct cof_obj *o, struct cof_reply *ret);
void cof_idle_note(struct cof_archive *a, const struct cof_obj *o); /* the keeper looks at it then */
void cof_idle_tick(struct cof_archive *a);			    /* inside the gate */

/* A file whose retention is over goes, as an approved request says: a REMOVE frame with its id. Inside the gate,
 * no other lock. ret_parent, ret_name: where its name was, for the kernel's caches. */
int cof_name_remove(struct cof_archive *a, const struct cof_who *who, uint64_t ino,
		    const uint8_t request[32], struct cof_reply *ret, struct cof_ruling *rl,
		    uint64_t *ret_parent, char ret_name[COF_NAME_MAX + 1]);

int cof_obj_is_empty(struct cof_archive *a, const struct cof_obj *o, bool *ret); /* names.c */

/* Large scratch buffers, a bounded number. */
void *cof_scratch_take(struct cof_archive *a);
void cof_scratch_give(struct cof_archive *a, void *buf);
#define COF_SCRATCH (COF_FRAME_LENGTH_MAX + 65536 + 4096)

/* ---- applying frames to objects and index, live and replayed alike (apply.c); rebuilding (replay.c) ---- */

int cof_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address,
	      const void *public_part, size_t public_len, const void *private_part,
	      size_t private_len, const struct cof_applied *on);
/* Feeds what the index lacks, from the log. Nobody else may use the archive meanwhile. */
int cof_replay(struct cof_archive *a);
/* Empties and rebuilds a damaged index. Takes the gate: call without any lock. */
int cof_archive_repair(struct cof_archive *a);
int cof_archive_feed(struct cof_archive *a);
uint64_t cof_archive_size(void *archive); /* for cof_index_feed: what we wrote is below it */
/* All that can be read. The log makes frames of its own, checkpoints, which a->size comes to know with the next frame that
 * we write: what others say of the log's size is compared with this. */
uint64_t cof_archive_frames(struct cof_archive *a);

/* Runs expr under the gate; repairs the index and repeats once when it is the index's fault. */
void cof_gate_enter(struct cof_archive *a);
void cof_gate_leave(struct cof_archive *a);
#define COF_GATED(a, r, expr)                                                                      \
	do {                                                                                       \
		for (int cof_try_ = 0;; cof_try_++) {                                              \
			cof_gate_enter(a);                                                         \
			(r) = (expr);                                                              \
			cof_gate_leave(a);                                                         \
			if ((r) != -COF_EINDEX)                                                    \
				break;                                                             \
			if (cof_try_ || cof_archive_repair(a) < 0) {                               \
				(r) = -EIO;                                                        \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
	} while (0)
/* Index errors that mean damage become -COF_EINDEX, the rest stays. */
int cof_ix(struct cof_archive *a, int err);
void cof_stale(struct cof_archive *a, uint64_t sequence); /* the index missed this frame */

/* ---- what the log lost (damage.c) ---- */

int cof_incomplete_mark(struct cof_archive *a); /* the index is built over gaps: lasts with it */
bool cof_incomplete_marked(struct cof_archive *a);
/* Whether STORE/vaults has a head that is not in this log: why nothing may be appended. The log was recovered. */
bool cof_newer_found(struct cof_archive *a, struct cof_diag *why);
uint64_t cof_signed_size(struct cof_archive *a); /* of the newest checkpoint whose signature holds; or 0 */
void cof_incomplete_settle(struct cof_archive *a); /* once the index is filled */

/* ---- what the daemon is made of (self.c) ---- */

/* Behind the MOUNT frame: an EVENT for what is not as it was in the mount before. */
int cof_self_compare(struct cof_archive *a);
/* Once the index is filled: an EVENT with the digest of the policies in force (policies.c). */
int cof_policies_record(struct cof_archive *a);

/* ---- the policy of the whole archive (profile.c) ---- */

int cof_profile_load(struct cof_archive *a); /* once the index is filled */
int cof_profile_apply(struct cof_archive *a, const struct cof_frame *f, const void *public_part, size_t public_len);
int64_t cof_policy_deviation(struct cof_archive *a); /* ns; by policy and option */

/* ---- faults that nobody has acknowledged (fault.c) ---- */

struct cof_faults;
int cof_faults_new(struct cof_io *io, struct cof_faults **ret);
void cof_faults_free(struct cof_faults *f);
/* An alarm that status goes on showing, over remounts: what happened, and what to do. note: without the alarm.
 * Both with any lock held. */
void cof_fault(struct cof_archive *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cof_fault_note(struct cof_archive *a, const char *text);
void cof_faults_write(struct cof_archive *a); /* to the disk, when there are new ones: without locks */
void cof_faults_status(struct cof_archive *a, struct cof_json *into);

/* ---- actors (actor.c) ---- */

#define COF_ACTOR_SHARDS 16
struct cof_actors;
int cof_actors_new(struct cof_actors **ret);
void cof_actors_free(struct cof_actors *s);
/* The ordinal to write into frames; writes an ACTOR frame at first use. 0 for the daemon. */
int cof_actor_use(struct cof_archive *a, const struct cof_who *who, bool system, uint32_t *ret);
/* As use, for one that has an ordinal already: -ENOENT otherwise, nothing is written. */
int cof_actor_known(struct cof_archive *a, const struct cof_who *who, uint32_t *ret);
/* One that an earlier mount knew: its ordinal in this one; writes an ACTOR frame with the same fields. */
int cof_actor_adopt(struct cof_archive *a, uint32_t mount, uint32_t ordinal, uint32_t *ret);
/* Fields of who caused a frame that no ACTOR frame can come before; NULL: this process. */
void cof_actor_fields(const struct cof_who *who, struct cof_buf *fields);
/* The process behind a thread id: -ESRCH when unknown. start: clock ticks after boot. */
int cof_actor_process(uint32_t tid, uint32_t *ret_tgid, uint64_t *ret_start);

/* ---- events (event.c) ---- */

struct cof_events;
struct cof_events_file; /* events-file.c */
/* Whether it would change .coffer, what is in it, or its name. Opening events to read is not refused. */
bool cof_virtual_reads(const struct cof_op *op);
bool cof_virtual_refuses(const struct cof_op *op, struct cof_ruling *ret);
static inline bool cof_virtual(uint64_t ino)
{
	return ino >= COF_VIRTUAL_DIR;
}
int cof_events_file_new(struct cof_events_file **ret);
void cof_events_file_free(struct cof_events_file *f);
int cof_events_new(struct cof_events **ret);
void cof_events_free(struct cof_events *e);
/* Records a refusal. Call without object and tree locks, inside the gate. */
void cof_event_refused(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		       const struct cof_ruling *rl);
/* An EVENT frame of these fields, about an object, by an actor. */
int cof_event_put_fields(struct cof_archive *a, uint64_t object, uint32_t actor, const struct cof_buf *fields);
void cof_events_flush(struct cof_archive *a); /* all of them */
void cof_events_due(struct cof_archive *a);   /* those whose time has come */
/* What a killed daemon left, and the ledger from then on. Before anything is acknowledged. */
int cof_events_resume(struct cof_archive *a);
/* Whether there is room for a frame of the system's that is not the last one. */
bool cof_events_room(struct cof_archive *a);
void cof_alarm(struct cof_archive *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cof_alarm_event(struct cof_archive *a, const struct cof_alarm_info *info, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- the keeper, and the log's failure (keeper.c) ---- */

int cof_keeper_start(struct cof_archive *a); /* nothing to do with no_threads */
void cof_keeper_stop(struct cof_archive *a);
void cof_log_stopped(void *archive, int err, const char *what); /* cof_log_params.failed */

/* ---- reading (read.c) ---- */

/* Within the gate, size known (not beyond it): fills all n bytes. */
int cof_read_range(struct cof_archive *a, uint64_t at, uint64_t ino, uint64_t off, void *buf, size_t n);
int cof_archive_salt(void *archive, uint32_t mount, uint8_t ret[32]); /* cof_salt_fn */
/* The times of a stretch's frame. */
int cof_stretch_time(struct cof_archive *a, const struct cof_stretch *s, uint64_t ino,
		     int64_t *ret_record, int64_t *ret_retention);

/* ---- what reads found out last (places.c) ---- */

struct cof_head { /* of a frame: what opening its chunks takes */
	struct cof_frame frame;
	uint8_t public_hash[COF_HASH];
};
struct cof_places;
int cof_places_new(struct cof_places **ret);
void cof_places_free(struct cof_places *p);  /* NULL is fine */
void cof_places_clear(struct cof_places *p); /* the index is built anew; gate held exclusively */
/* The stretches from the one that holds position on, up to end, as they are now. 0: not known. */
size_t cof_places_stretches(struct cof_places *p, uint64_t ino, uint64_t position, uint64_t end,
			    struct cof_stretch *ret, size_t max);
void cof_places_learn(struct cof_places *p, uint64_t ino, const struct cof_stretch *s, size_t n);
bool cof_places_head(struct cof_places *p, uint64_t address, struct cof_head *ret);
void cof_places_learn_head(struct cof_places *p, uint64_t address, const struct cof_head *h);

/* ---- chunks of which parts are read (chunks.c) ---- */

struct cof_chunk_name {
	uint64_t ino, position; /* of its first byte in the file */
	uint64_t sequence;	/* of its frame */
};
struct cof_chunks;
int cof_chunks_new(struct cof_chunks **ret);
void cof_chunks_free(struct cof_chunks *c);  /* NULL is fine; wipes */
void cof_chunks_clear(struct cof_chunks *c); /* as cof_places_clear */
/* n bytes from off on. False: they are not there. */
bool cof_chunks_get(struct cof_chunks *c, const struct cof_chunk_name *name, uint32_t off, void *out,
		    uint32_t n);
/* A part of this chunk was wanted. It authenticated, and has n bytes. */
void cof_chunks_learn(struct cof_chunks *c, const struct cof_chunk_name *name, const void *plain,
		      uint32_t n);

/* ---- what is known of one object (info.c) ---- */

struct cof_facts { /* taken together; node with the retention as it is by now */
	struct cof_node node;
	uint64_t size;
	int64_t mtime, ctime;
	uint64_t last_sequence; /* of the last frame about it; 0: not in this run */
	struct cof_span span;	/* of the frame that its time is of */
	int64_t archived;	/* when a vault elsewhere first confirmed its commit; INT64_MAX: not yet */
	uint8_t state; /* as it is now */
	struct cof_object view; /* holds, mode, event */
};
int cof_facts_get(struct cof_archive *a, uint64_t ino, struct cof_facts *ret);
/* Of the commit, else of the last frame; and the frame that made it what it is. */
static inline int64_t cof_facts_time(const struct cof_facts *f)
{
	return f->node.committed ? f->node.committed : f->ctime;
}
static inline uint64_t cof_facts_leaf(const struct cof_facts *f)
{
	return f->node.commit_sequence ? f->node.commit_sequence : f->node.created_sequence;
}
void cof_until_text(int64_t until, char out[32]); /* RFC 3339, "infinite" or "none" */

/* ---- extended attributes that people set (xattr.c) ---- */

/* Whether it can be done, the object held: -EEXIST, -ENODATA, -E2BIG, -ENOSPC; and the frame's fields. */
int cof_xattr_check(struct cof_archive *a, const struct cof_op *op);
void cof_xattr_fields(const struct cof_op *op, struct cof_buf *fields);
int cof_xattr_apply(struct cof_archive *a, uint64_t sequence, uint64_t ino,
		    const struct cof_field *name, const struct cof_field *value); /* NULL: removed */

/* ---- commits that may still be renamed once (attr.c) ---- */

#define COF_RECENT 256
struct cof_recent {
	uint64_t ino, start;
	uint32_t tgid;
	int64_t deadline; /* CLOCK_BOOTTIME */
};
bool cof_recent_may(struct cof_archive *a, uint64_t ino, const struct cof_who *who);
void cof_recent_add(struct cof_archive *a, uint64_t ino, const struct cof_who *who);
void cof_recent_used(struct cof_archive *a, uint64_t ino);

/* ---- files that may be committed for being idle, for the keeper (retain.c) ---- */

#define COF_IDLE 1024 /* a place is taken over; who is forgotten is committed when somebody asks for it */
struct cof_idle {
	uint64_t ino;
	int64_t due; /* retention time; not before then */
};

/* ---- the archive ---- */

#define COF_MOUNTS_KNOWN 64
#define COF_SHOW_HINTS 8

struct cof_archive {
	struct cof_io *io; /* the caller's */
	struct cof_conf conf;
	struct cof_keys *keys;
	struct cof_log *log;	   /* NULL when tampered: read-only */
	struct cof_reader *reader;
	struct cof_reader *walker; /* of a replay under way; gate */
	struct cof_index *ix;
	struct cof_ring *ring;
	struct cof_places *places;
	struct cof_chunks *chunks;
	struct cof_clock clock;
	struct cof_anchor *anchor; /* NULL: none */
	struct cof_mix *mix;
	struct cof_proofs proofs;
	struct cof_cosigners cosigners;
	struct cof_people_state *people; /* the judge over this chain (people.c) */
	struct cof_incident_watch *incidents; /* NULL: there was none ever (incident.c) */
	pthread_mutex_t profile_lock; /* a leaf */
	struct cof_profile profile; /* in force */
	uint64_t profile_sequence; /* of its POLICY frame; 0: none */
	pthread_mutex_t rules_lock; /* around each SHELF and POLICY frame, and those that people sign; inside the gate, after objects */
	pthread_mutex_t stamp_lock; /* one query or answer at a time; before the gate */
	struct cof_tpm_link *tpm; /* NULL: none holds the seal's secret and the anchor */
	struct cof_archive_params p;
	struct cof_opened opened;
	uint32_t mount; /* ordinal of this mount; 0 when read-only from the start */
	uint8_t salt[32];

	atomic_uint_fast64_t size;     /* one more than the last sequence we wrote or replayed */
	atomic_uint_fast64_t next_ino; /* tree lock held exclusively by who takes one */
	atomic_int failed;	       /* 0, or -errno of what made the archive read-only */
	atomic_bool stale;	       /* the index missed a frame: it is fed again before anything goes on */
	atomic_uint_fast64_t stale_from; /* the first such sequence; UINT64_MAX: none */
	atomic_bool damaged;	       /* the index said something impossible */
	atomic_bool incomplete;	       /* the ends of open files are not known: frames are missing */
	bool keys_recovered, seal_anew; /* this mount put a recovery of the keys, a new lineage on record */
	bool locked;		       /* the store's lock is ours */
	bool passive;		       /* nothing is written to the store, not even an index */
	uint64_t covered;	       /* passive: frames below are signed; behind, the first torn one is the end */
	bool behind, fresh_index;      /* the log is older than keys/epoch; no index was there */
	atomic_uint rebuilds;	       /* since open */
	atomic_uint_fast64_t refused;  /* refusals since open */

	pthread_rwlock_t gate, tree;
	int64_t repaired_at; /* boot time; gate */
	int repair_failed;   /* what the last repair ended with; gate */
	bool from_nothing;   /* the replay under way began with an empty index; gate */
	bool log_damaged;    /* found by the last repair: it would find the same again; gate */
	uint64_t load_at;    /* objects are read as at this size: COF_INDEX_NOW but during a replay */
	uint64_t passed_over; /* frames that the last replay could not use; gate, as load_at */
	struct cof_diag damage; /* the first of the log that a replay met; gate, as load_at */
	pthread_mutex_t feed_lock; /* one feeds, who has to wait for it waits here */
	pthread_mutex_t events_lock; /* who appends a frame that is an event (events.h) */
	uint64_t n_events;	   /* in the index; events_lock, or gate held exclusively */
	bool events_known;	   /* n_events is: the index was filled; as n_events */

	pthread_mutex_t cache_lock;
	struct cof_obj **buckets;
	size_t n_buckets, n_objects, max_objects;
	struct cof_obj lru; /* sentinel */

	struct {
		pthread_mutex_t reading; /* one file at a time; nothing is taken inside */
		pthread_mutex_t lock;	 /* sequence. Behind objects and index enter, before the index's own */
		uint64_t sequence;	 /* of the newest row */
		atomic_int_fast64_t latest, longest; /* end and validity of all certificates; COF_RETAIN_NONE, 0: none */
	} certs;
	struct cof_holds holds;
	pthread_mutex_t shelf_lock;
	struct cof_shelf *shelves[COF_SHELF_BUCKETS];
	struct cof_writers *writers;
	struct cof_idle idle[COF_IDLE]; /* recent_lock */

	pthread_mutex_t mounts_lock;
	struct {
		uint32_t mount;
		uint8_t salt[32];
	} mounts[COF_MOUNTS_KNOWN];

	pthread_mutex_t pool_lock;
	pthread_cond_t pool_cond;
	void *pool[16];
	unsigned pool_made, pool_free;
	struct cof_leaves *leaves; /* NULL: nobody helps with hashes */
	struct cof_leaks *leaks;
	_Atomic uint32_t small_writes, small_seen; /* all of them; before the last large one (write.c) */

	struct cof_actors *actors;
	struct cof_events *events;
	struct cof_events_file *events_file;
	struct cof_sums sums;
	atomic_bool reads_told; /* that they cannot be recorded */
	struct cof_faults *faults;
	struct cof_imports *imports; /* files that readers make events of (import.h) */
	pthread_mutex_t recent_lock;
	struct cof_recent recent[COF_RECENT];
	unsigned recent_next;

	pthread_t keeper, tpm_watch, mixer;
	bool keeper_runs, tpm_watch_runs, mixer_runs;
	pthread_mutex_t keeper_lock;
	pthread_cond_t keeper_cond;
	bool stop, closing; /* closing: nobody else is there; the end of the reserve may be used */
	struct {
		uint64_t size;		/* frames that there were when something last came */
		int64_t at, ticked;	/* boot time of that; of the tick before */
		bool all_shelves;	/* are in the table */
	} beat; /* keeper only */
	struct {
		int64_t next, told; /* boot time: when its records are read again; when it was told; keeper only */
		int64_t span;	    /* by which it reads them */
	} escrow;
	atomic_int_fast64_t release_at; /* retention time: a release that waits may be carried out; 0: none waits (release.c) */
	int64_t flushed_at; /* keeper only, as the next one */
	int feed_error;
	atomic_int alarmed_read;
	atomic_uint_fast64_t show_hints[COF_SHOW_HINTS]; /* show.c: addresses of frames shown last */
};

/* How many frames the file `checkpoint` says, with the log's signature, that there are at least; 0: it cannot be told. Who goes
 * through a log asks before, and did not see all of it where he met fewer. (status.c) */
int cof_store_covered(struct cof_io *io, const struct cof_conf *conf, uint64_t *ret);

#endif
