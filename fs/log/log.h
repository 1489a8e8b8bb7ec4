/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/log: frames, segments, chain, group commit, checkpoints, recovery, verification. Every byte is
 * specified in docs/format.md. Knows nothing of files; "object" is a number to it.
 */
#ifndef COF_LOG_H
#define COF_LOG_H

#include "crypto/leaves.h"
#include "crypto/merkle.h"
#include "crypto/note.h"
#include "fs/io/io.h"

/* ---- frames (frame.c) ---- */

#define COF_FRAME_MAGIC 0x52464f43u
#define COF_FRAME_HEADER 128
#define COF_FRAME_LENGTH_MAX (1u << 20) /* plaintext, and public part */
#define COF_CHUNK 65536u
#define COF_FRAME_COMMITMENT 0x0001 /* flag */

enum cof_frame_type {
	COF_ARCHIVE = 1, COF_MOUNT, COF_UNMOUNT, COF_RECOVERY, COF_ACTOR, COF_CREATE, COF_APPEND,
	COF_HOLE, COF_PAD, COF_COMMIT, COF_EXTEND, COF_RENAME, COF_REMOVE, COF_ATTR, COF_EVENT,
	COF_CHECKPOINT, COF_HEARTBEAT, COF_POLICY, COF_PEOPLE, COF_REQUEST, COF_APPROVAL, COF_HOLD,
	COF_DESTROY, COF_RECEIPT, COF_COSIGN, COF_CLOCK, COF_STAMP, COF_LINEAGE, COF_SHELF,
	COF_ESCROW, COF_VAULT_RECORD, COF_CEREMONY, COF_REDACT,
};
const char *cof_frame_type_name(unsigned type); /* "append"; "opaque" when not known */

/* Field tags (docs/format.md section 4). */
enum cof_tag {
	COF_T_PARENT = 1, COF_T_NAME, COF_T_KIND, COF_T_MODE, COF_T_UID, COF_T_GID, COF_T_TARGET,
	COF_T_MTIME, COF_T_NEW_PARENT, COF_T_NEW_NAME, COF_T_XATTR_NAME, COF_T_XATTR_VALUE,
	COF_T_PID = 16, COF_T_LOGIN_UID, COF_T_COMMAND, COF_T_UNIT, COF_T_START_TIME,
	COF_T_RETAIN_UNTIL = 24, COF_T_ASKED_UNTIL, COF_T_RULE, COF_T_POLICY,
	COF_T_EVENT = 32, COF_T_OPERATION, COF_T_ERRNO, COF_T_PATH, COF_T_REASON, COF_T_COUNT,
	COF_T_FIRST, COF_T_LAST, COF_T_DETAIL, COF_T_NAMES,
	COF_T_SALT = 48, COF_T_COMMITMENT, COF_T_BOOT_ID, COF_T_BOOT_TIME, COF_T_EPOCH,
	COF_T_LINEAGE, COF_T_SOFTWARE,
	COF_T_SEGMENT = 56, COF_T_OFFSET, COF_T_BYTES, COF_T_DIGEST,
	COF_T_NOTE = 64, COF_T_ANCHOR, COF_T_WALL_BEFORE, COF_T_WALL_AFTER,
	COF_T_COUNTER, COF_T_TPM_RESETS, COF_T_MIXING, COF_T_UNPROVEN,
	COF_T_TOKEN = 72, COF_T_PROOF_TIME, COF_T_ACCURACY, COF_T_SERIAL, COF_T_AUTHORITY,
	COF_T_TRUSTED, COF_T_TPM_CLOCK = 79,
	COF_T_LEAK_KIND = 172, COF_T_LEAK_OFFSET, COF_T_LEAK_LENGTH, COF_T_LEAK_BEFORE,
	COF_T_MEASURED = 80, COF_T_MODULE, COF_T_GUARD, COF_T_OPTIONS, COF_T_POLICIES,
	COF_T_CERTIFICATE = 160, COF_T_CERT_NOT_AFTER, COF_T_CERT_LONGEST, COF_T_FOLLOWS,
	COF_T_PROFILE_DIGEST = 180,
	COF_T_ESCROW = 190, COF_T_ESCROW_SHELF, COF_T_ESCROW_EPOCH, COF_T_ESCROW_EPOCH_KEY, COF_T_ESCROW_KEY,
	COF_T_ESCROW_SHA256, COF_T_ESCROW_PUBLIC_KEY, COF_T_ESCROW_FACTS, COF_T_ESCROW_CERTIFICATE, COF_T_ESCROW_OF,
	COF_T_ESCROW_OUTCOME, COF_T_ESCROW_NAME, COF_T_ESCROW_REASON, COF_T_ESCROW_DETAIL, COF_T_ESCROW_TO,
	COF_T_ESCROW_PROPOSES, COF_T_ESCROW_PROMISED, COF_T_ESCROW_TOOK, COF_T_ESCROW_CHALLENGE, COF_T_ESCROW_PROOF,
	COF_T_CATALOGUE = 140, COF_T_EVENT_OUTCOME, COF_T_SEVERITY, COF_T_SOURCE, COF_T_SIGNER, COF_T_PLACE,
	COF_T_CLAIMED_TIME, COF_T_EVENT_SIGNATURE, COF_T_FORM, COF_T_REVIEWED,
	COF_T_READ, COF_T_READ_COUNTS, COF_T_ABOUT, COF_T_READ_DUE,
	COF_T_HEARTBEAT = 154, COF_T_CHANGE,
	COF_T_HOLD_WHAT = 96, COF_T_HOLD_ID, COF_T_INODES, COF_T_CASE, COF_T_HOLDS, COF_T_EVENT_NAME,
	COF_T_EVENT_TIME, COF_T_LEAST_UNTIL, COF_T_RETAIN_MODE, COF_T_BINDS_FROM, COF_T_EVENT_SPAN,
	COF_T_PROCESSED, COF_T_SKIPPED, COF_T_FAILED, COF_T_WAS_UNTIL,
	COF_T_VAULT = 210, COF_T_VAULT_PLACE, COF_T_JURISDICTION, COF_T_ADMINISTRATION, COF_T_ELSEWHERE,
	COF_T_DISTANCE, COF_T_COSIGNED,
	COF_T_ESCROW_TPM = 254, /* of escrow too: the others have all numbers behind theirs */
	COF_T_DESTROYED_FRAMES = 234, COF_T_DESTROYED_BYTES, COF_T_RECEIPT = 245,
	COF_T_RECORD = 220, COF_T_RECORD_NAME, COF_T_RECORD_RANGE, COF_T_RECORD_BYTES, COF_T_RECORD_OUTCOME,
	COF_T_RECORD_BASIS, COF_T_RECORD_COUNTS, COF_T_RECORD_DOCUMENT, COF_T_RECORD_DETAIL, COF_T_RECORD_TIMES,
};

struct cof_frame { /* a header, decoded */
	uint8_t type, version;
	uint16_t flags;
	uint64_t sequence, object, position;
	uint32_t length, stored, public_length;
	uint64_t counter;
	uint32_t mount, actor;
	int64_t retention_time, record_time;
	uint8_t payload_hash[COF_HASH];
	uint8_t seal_tag[16];
};

/* False of frames that only tell how far others know the log: checkpoints, cosignatures, transfers. A log that ends with
 * such ones has nothing new that a checkpoint or vault would have to be asked for. */
static inline bool cof_frame_significant(const struct cof_frame *f)
{
	return f->type != COF_CHECKPOINT && f->type != COF_COSIGN && (f->type != COF_VAULT_RECORD || !f->position);
}

void cof_frame_encode(const struct cof_frame *f, uint8_t out[COF_FRAME_HEADER]); /* with check */
/* -ENODATA: four zero bytes instead of the magic · -EUCLEAN with what is wrong in diag: magic,
 * check, lengths that do not fit each other or the limits. An unknown type is fine. */
int cof_frame_decode(const uint8_t in[COF_FRAME_HEADER], struct cof_frame *ret,
		     struct cof_diag *diag);
/* Of a header that cof_frame_decode took before. */
void cof_frame_fields(const uint8_t in[COF_FRAME_HEADER], struct cof_frame *ret);
void cof_frame_leaf(const uint8_t header[COF_FRAME_HEADER], const uint8_t previous[COF_HASH],
		    uint8_t out[COF_HASH]);
static inline uint32_t cof_frame_chunks(uint32_t length)
{
	return (length + COF_CHUNK - 1) / COF_CHUNK;
}

/* ---- payloads (payload.c): seal and open, outside any lock ---- */

/* Fills stored, public_length and payload_hash of f, which has type, version, flags, object,
 * position, length, counter and mount set, and writes public part ‖ sealed chunks to out
 * (public_len + length + 16 * chunks bytes). aead may be NULL when length is 0. */
int cof_payload_seal(struct cof_frame *f, struct cof_aead *aead, const uint8_t archive_id[16],
		     const void *public_part, uint32_t public_len, const void *plain, void *out);
/* The same, with helpers for the hashes of a large payload, and for what it takes beside (crypto/leaves.h: run
 * before this returns, also by an error of the cipher); both may be NULL. beside needs a length. */
int cof_payload_seal_shared(struct cof_frame *f, struct cof_aead *aead,
			    const uint8_t archive_id[16], const void *public_part,
			    uint32_t public_len, const void *plain, void *out,
			    struct cof_leaves *leaves, const struct cof_beside *beside);
/* Checks the payload hash over the whole stored payload: -EBADMSG. */
int cof_payload_check(const struct cof_frame *f, const void *stored);
/* Authenticates and opens chunk k from its sealed bytes (len + 16). public_hash: SHA256(public part). -EBADMSG */
int cof_payload_open_chunk(const struct cof_frame *f, struct cof_aead *aead,
			   const uint8_t archive_id[16], const uint8_t public_hash[COF_HASH],
			   uint32_t k, const void *sealed, void *out);

/* File, payload and seal keys (keys.c): docs/format.md 7.4 and 7.5. Outputs are secrets. */
int cof_key_object(const uint8_t h[COF_KEY], const uint8_t r[COF_KEY], uint64_t object, uint8_t ret[COF_KEY]);
int cof_key_payload(const uint8_t object_key[COF_KEY], const uint8_t salt[32],
		    const uint8_t archive_id[16], uint64_t object, uint32_t mount, uint8_t ret[COF_KEY]);
void cof_key_commitment(const uint8_t payload_key[COF_KEY], const uint8_t archive_id[16],
			uint64_t object, uint32_t mount, uint8_t ret[COF_HASH]);
int cof_seal_epoch_next(const uint8_t epoch_secret[COF_KEY], uint8_t ret[COF_KEY]);
int cof_seal_mount_key(const uint8_t epoch_secret[COF_KEY], const uint8_t salt[32],
		       const uint8_t archive_id[16], uint8_t ret[COF_KEY]);
/* What the seal of the epoch that comes next is mixed with: from the key behind the MOUNT frame, then behind each
 * frame that says so. A MOUNT frame proves that it knows the result. */
#define COF_MIX_PROOF 16
#define COF_MIX_FIELD (8 + COF_MIX_PROOF) /* of a MOUNT frame: which frame was the last ‖ proof */
int cof_seal_mix_start(const uint8_t k[COF_KEY], uint8_t ret[COF_KEY]);
int cof_seal_mix(const uint8_t k[COF_KEY], const uint8_t mixed[COF_KEY], uint8_t ret[COF_KEY]);
void cof_seal_mix_proof(const uint8_t mixed[COF_KEY], const uint8_t archive_id[16], const uint8_t salt[32],
			uint64_t mixed_at, uint8_t ret[COF_MIX_PROOF]);
void cof_seal_ratchet(uint8_t k[COF_KEY]);
/* Tag over a header whose tag and check are ignored, then ratchets k in place. */
void cof_seal_tag(uint8_t k[COF_KEY], const uint8_t header[COF_FRAME_HEADER],
		  const uint8_t previous[COF_HASH], uint8_t ret_tag[16]);

/* ---- identity (conf.c) ---- */

enum { COF_ARCHIVE_TRIAL = 1, COF_ARCHIVE_TEST_CLOCK = 2 };

struct cof_conf { /* archive.conf, docs/format.md section 2 */
	uint8_t id[16];
	struct cof_vkey vkey; /* vkey.name is the origin */
	uint64_t segment_size;
	int64_t created;
	uint32_t flags;
};
int cof_conf_text(const struct cof_conf *conf, struct cof_buf *ret);
int cof_conf_parse(const char *text, size_t n, struct cof_conf *ret, struct cof_diag *diag);
int cof_conf_load(struct cof_io *io, struct cof_conf *ret, struct cof_diag *diag); /* -ENOENT: not an archive */

/* ---- reading (reader.c): needs no key, runs beside a live daemon ---- */

/* The address of a frame: segment * segment_size + offset. */
struct cof_reader; /* open segments in a small cache; thread-safe */

int cof_reader_new(struct cof_io *io, const struct cof_conf *conf, struct cof_reader **ret);
void cof_reader_free(struct cof_reader *r);
/* on: what follows is one thread going through the frames in order. It is given them out of a window
 * of the log instead of a system call for each; what is not there is looked for again in the file.
 * Without memory for it nothing changes. */
void cof_reader_walk(struct cof_reader *r, bool on);
/* Header at an address. -ENODATA: no frame there (zeros or the end) · -EUCLEAN · -EIO. raw may be NULL. */
int cof_reader_header(struct cof_reader *r, uint64_t address, struct cof_frame *ret,
		      uint8_t raw[COF_FRAME_HEADER], struct cof_diag *diag);
/* n bytes of the stored payload from off. -EUCLEAN when they are not there. */
int cof_reader_payload(struct cof_reader *r, uint64_t address, const struct cof_frame *f,
		       uint32_t off, void *buf, uint32_t n);
/* n bytes at an address, within one segment (for windows over several frames); *ret_n may be less. */
int cof_reader_bytes(struct cof_reader *r, uint64_t address, void *buf, size_t n, size_t *ret_n);
/* n bytes at an address are read next, after others: the disk may begin with them. */
void cof_reader_expect(struct cof_reader *r, uint64_t address, size_t n);
/* The address of the frame behind this one: in this segment, or the next one's start. */
int cof_reader_next(struct cof_reader *r, uint64_t address, const struct cof_frame *f,
		    uint64_t *ret_address);
/* Address of a frame by sequence: binary search over segments, then a scan of one. -ENOENT */
int cof_reader_find(struct cof_reader *r, uint64_t sequence, uint64_t *ret_address,
		    struct cof_diag *diag);

/* ---- what was destroyed (erased.c), docs/format.md 4.4 ---- */

/* The objects of DESTROY frames. That their payloads are no more is right only where such a frame is permitted, which
 * who judges people's frames says (fs/rules); here it is only whether there is one. */
struct cof_erased;
int cof_erased_new(struct cof_erased **ret); /* empty */
void cof_erased_free(struct cof_erased *e);  /* NULL is fine */
void cof_erased_freep(struct cof_erased **e);
int cof_erased_add(struct cof_erased *e, const struct cof_frame *f); /* of other types it is nothing */
/* Of the whole log as it lies there, by headers alone. */
int cof_erased_find(struct cof_io *io, const struct cof_conf *conf, struct cof_erased **ret);
/* An APPEND frame whose chunks need not be what its header says. e may be NULL. */
bool cof_erased_covers(const struct cof_erased *e, const struct cof_frame *f);

/* Sealed bytes overwritten, synced, given back and read again (erase.c). Once more, for the same frame, it changes nothing. */
struct cof_eraser;
int cof_eraser_new(struct cof_io *io, struct cof_diag *diag, struct cof_eraser **ret);
void cof_eraser_free(struct cof_eraser *e); /* NULL is fine */
void cof_eraser_freep(struct cof_eraser **e);
/* f: the APPEND frame that lies at this address. */
int cof_eraser_frame(struct cof_eraser *e, const struct cof_conf *conf, uint64_t address, const struct cof_frame *f);
/* Everything is gone by then: frames that read back as zeros, bytes that went back to the filesystem. */
int cof_eraser_finish(struct cof_eraser *e, uint64_t *ret_erased, uint64_t *ret_punched);

/* ---- the anchor (anchor.c): what frames say of a TPM's counter, docs/format.md 7.10 ---- */

struct cof_anchored {
	bool there;
	uint64_t value, sequence; /* and of which frame */
	uint8_t counter[12];	  /* which one: NV index u32 ‖ what was drawn when it was defined */
	uint32_t resets, restarts; /* of the TPM, when the frame was made */
};
void cof_anchor_put(struct cof_buf *fields, const struct cof_anchored *a);
/* Of a frame whose payload is in memory. False: it says nothing of an anchor, and *a stays. */
bool cof_anchored_take(struct cof_anchored *a, const struct cof_frame *f, const void *payload);
/* The newest between two addresses, looked for from the end; ret->there stays false without one. */
int cof_anchored_find(struct cof_reader *r, const struct cof_conf *conf, uint64_t from, uint64_t end,
		      struct cof_anchored *ret);

/* The newest of a log as it lies there, unverified. */
int cof_anchored_last(struct cof_io *io, const struct cof_conf *conf, struct cof_anchored *ret);

enum cof_anchor_state {
	COF_ANCHOR_EQUAL,
	COF_ANCHOR_NEXT,      /* the chain is one ahead: an end between frame and counter */
	COF_ANCHOR_UNPROVEN,  /* the counter is ahead, and the TPM was reset: as after a power cut */
	COF_ANCHOR_TRUNCATED, /* it is ahead: checkpoints are missing */
	COF_ANCHOR_WENT_BACK, /* it is behind: no counter does that */
};
/* ret_n: how far they are apart. reset: since the chain's value was written the TPM was, or may have been. */
enum cof_anchor_state cof_anchor_judge(uint64_t chain, uint64_t counter, bool reset, uint64_t *ret_n);

/* ---- writing (log.c, commit.c, recover.c) ---- */

struct cof_log;

struct cof_log_times { /* asked for each frame under the chain lock: must be quick and never fail */
	void (*now)(void *user, int64_t *ret_record, int64_t *ret_retention);
	void *user; /* the log itself makes retention never go back */
};

struct cof_log_secrets { /* copied into secure memory by open */
	uint8_t signing_seed[COF_KEY];
	uint64_t epoch; /* of this mount */
	uint8_t epoch_secret[COF_KEY];
};

enum cof_recovered_checkpoint {
	COF_CHECKPOINT_THERE, COF_CHECKPOINT_MISSING, COF_CHECKPOINT_OLD,
};

struct cof_recovered { /* what open found behind the checkpoint */
	bool clean;		  /* ended with UNMOUNT, or is new */
	uint64_t checkpoint_size, kept, size; /* frames covered; frames behind; sum */
	uint32_t torn_segments;	  /* of which something was cut and set aside */
	uint32_t segment;	  /* the first torn place */
	uint64_t offset, bytes;	  /* bytes set aside */
	uint8_t digest[COF_HASH]; /* of them */
	uint32_t last_mount;	  /* ordinal of the last MOUNT frame, 0: none */
	uint64_t last_mount_address, end_address;
	int64_t last_retention, last_record;
	bool tiles_rebuilt;
	/* The file was missing, or older than one that the chain repeats: that one counts, proves, and
	 * was written again. Not clean then. */
	enum cof_recovered_checkpoint checkpoint;
	struct cof_anchored anchored; /* the newest that was met behind the checkpoint */
};

struct cof_log_params {
	struct cof_io *io;
	const struct cof_conf *conf;
	struct cof_log_times times;
	/* What else a CHECKPOINT frame says in public, and that it was appended. Called in this order by whoever
	 * makes the checkpoint, one at a time; quick, without calling the log. May be NULL. */
	void (*anchor)(void *user, struct cof_buf *fields);
	void (*anchored)(void *user, uint64_t sequence);
	/* Called once the log has failed for good (write, sync): from the thread that saw it. */
	void (*failed)(void *user, int err, const char *what);
	void *user;
};

/* Makes directories, archive.conf and frame 0; then as open. Secrets have epoch 1. */
int cof_log_create(const struct cof_log_params *p, const struct cof_log_secrets *s,
		   struct cof_log **ret, struct cof_diag *diag);
/* Scans behind the checkpoint, cuts a torn tail, sets it aside. Nothing is appended yet: the next
 * thing has to be cof_log_mount. -EUCLEAN: tampered or truncated below the checkpoint, diag says
 * where; nothing was written. */
int cof_log_open(const struct cof_log_params *p, const struct cof_log_secrets *s,
		 struct cof_log **ret, struct cof_recovered *ret_recovered, struct cof_diag *diag);
#define COF_NOT_MIXED UINT64_MAX
struct cof_mixing { /* a frame at which the seal is mixed (docs/format.md 7.5) */
	uint64_t on;	   /* the sequence of the one before, in the same mount */
	uint8_t *key;	   /* secure memory: the seal's key behind this frame */
	uint64_t sequence; /* of this frame; COF_NOT_MIXED: it was not appended */
};

/* Appends MOUNT (ordinal = last + 1, fields of public_part, salt among them) and makes it durable.
 * The caller then replaces keys/epoch; only then may it acknowledge. mixing (may be NULL): that of this frame. */
int cof_log_mount(struct cof_log *log, const uint8_t salt[32], const void *public_part,
		  uint32_t public_len, uint32_t *ret_mount, struct cof_mixing *mixing);

uint64_t cof_log_counter(struct cof_log *log, uint32_t chunks); /* takes nonce values; first of them */
uint32_t cof_log_max_length(const struct cof_log *log); /* plaintext of one frame here */

struct cof_append {
	struct cof_frame frame; /* type, flags, object, position, actor and what payload_seal filled */
	const void *stored;	/* frame.stored bytes */
	bool system;		/* may use the space reserve: refusals, alarms, checkpoints, unmount */
	uint8_t *ret_seal_key;	/* of a CHECKPOINT: the seal's key behind it; may be NULL */
	uint64_t ret_sequence, ret_address;
	int64_t ret_record_time, ret_retention_time;
};
/* Numbers, links, tags and writes: accepted when it returns 0 (handed to the kernel). -ENOSPC before
 * anything was chained. -EROFS after a failure. */
int cof_log_append(struct cof_log *log, struct cof_append *a);

/* done(user, 0 or -errno) once the frame with this sequence is durable: at once, or later from
 * another thread. done must be quick; it runs without the log's locks. Whoever finds no sync under
 * way does it itself, for at most two rounds; the keeper thread goes on. */
typedef void (*cof_log_done)(void *user, int err);
void cof_log_sync_async(struct cof_log *log, uint64_t sequence, cof_log_done done, void *user);
int cof_log_sync(struct cof_log *log, uint64_t sequence); /* waits */

/* Syncs, signs, replaces `checkpoint`, appends CHECKPOINT. No-op when nothing needs covering. */
int cof_log_checkpoint(struct cof_log *log);
int cof_log_checkpoint_again(struct cof_log *log); /* also where nothing is new: the anchor has to have one of its own */
/* A checkpoint whose CHECKPOINT frame is one that the seal is mixed at, also when nothing else needs covering. That
 * frame is accepted, not durable. */
int cof_log_mix(struct cof_log *log, struct cof_mixing *m);
/* The same for the last one, which close makes; m stays until then. */
void cof_log_mix_last(struct cof_log *log, struct cof_mixing *m);
/* One more than the sequence of the newest frame that is no CHECKPOINT or COSIGN. */
uint64_t cof_log_significant(struct cof_log *log);

struct cof_log_status {
	uint64_t size, durable, checkpoint_size; /* frames */
	uint64_t end_address, bytes;		 /* bytes: of frames, payload included */
	uint32_t mount, segments;
	int failed;	  /* 0 or -errno of the first failure */
	bool out_of_space; /* only the reserve is left */
	uint64_t free_bytes;
	char checkpoint[512]; /* newest note's text */
	uint8_t last_leaf[COF_HASH];
};
void cof_log_status(struct cof_log *log, struct cof_log_status *ret);

/* Starts the keeper thread (checkpoints at most a second after the oldest uncovered frame, and tiles) and the one
 * that makes the next segment. Without them (tests) the caller drives cof_log_checkpoint. */
int cof_log_start(struct cof_log *log);
/* UNMOUNT, last checkpoint, tiles, everything durable; frees. Also frees after an error. */
int cof_log_close(struct cof_log *log, struct cof_diag *diag);
void cof_log_abandon(struct cof_log *log); /* frees without writing anything (tests, failed opens) */

/* ---- verification (verify.c): public keys alone ---- */

enum cof_verdict { /* also the exit codes of coffer verify */
	COF_INTACT = 0, COF_UNSEALED = 10, COF_INCOMPLETE = 11, COF_TRUNCATED = 12, COF_TAMPERED = 13,
	COF_WRONG_KEY = 14, COF_NOT_AN_ARCHIVE = 15, COF_COULD_NOT_RUN = 1,
};
const char *cof_verdict_name(enum cof_verdict v); /* "intact", "unsealed tail", … */

struct cof_finding {
	enum cof_verdict verdict;
	int64_t segment; /* -1: not about a segment */
	uint64_t offset;
	int64_t sequence; /* -1: not known */
	uint64_t object;  /* 0: not known */
	char file[64];	  /* in STORE */
	char text[512];
};

struct cof_auditor { /* the secret of one lineage, from its first epoch on; secure memory */
	uint32_t lineage;
	uint64_t epoch;
	uint8_t secret[COF_KEY];
};

struct cof_when { /* ns */
	int64_t from, to;
};

/* ---- cosignatures of vaults in the chain (cosign.c) ---- */

#define COF_VAULT_PLACE 128	 /* bytes of "LAT,LON,NAME", terminator included */
#define COF_ADMINISTRATION 64	 /* of a name, likewise */
#define COF_COSIGN_ACCURACY COF_NSEC /* a cosignature's time is in whole seconds */

struct cof_cosign { /* what a COSIGN frame says */
	struct cof_vkey vkey; /* the vault's */
	uint64_t size;	      /* of the tree that it signed */
	uint8_t root[COF_HASH];
	int64_t time; /* ns */
	char place[COF_VAULT_PLACE], jurisdiction[8], administration[COF_ADMINISTRATION]; /* "": not said */
	bool elsewhere;	   /* in another place than the archive, as its host was told */
	int64_t distance;  /* km from there; -1: not known */
};
/* The fields of a COSIGN frame's public part, both signatures under its note checked: -EUCLEAN malformed, -EBADMSG
 * not signed by this log or not by that vault. size: the frame's position. */
int cof_cosign_read(const void *fields, size_t n, uint64_t size, const struct cof_vkey *log, struct cof_cosign *ret,
		    struct cof_diag *diag);
/* The public part of such a frame; note: with both signatures. -ENOMEM */
int cof_cosign_fields(const struct cof_cosign *c, const void *note, size_t n, struct cof_buf *ret);

struct cof_verify_params {
	struct cof_io *io;
	const struct cof_vkey *vkey;	   /* NULL: the one in archive.conf, which is only claimed */
	const uint8_t *auditor_secret;	   /* of lineage 1: 32 bytes or NULL */
	const struct cof_auditor *auditors; /* of other lineages, or of all; NULL */
	size_t n_auditors;
	const uint8_t *auditor_archive_id; /* 16 bytes, of the auditor's file */
	bool live;			   /* a daemon is writing: the tail is a note */
	/* A checkpoint of this archive (a note) that was kept: proven to be under the newest one by the
	 * stored hashes, then only the frames behind it are verified. NULL: all. No checkpoint: -EUCLEAN, or
	 * -EBADMSG. Where the stored hashes do not prove it all frames are verified, and the root compared. */
	const void *since;
	size_t since_len;
	unsigned threads;		   /* 0: one per core */
	/* A STAMP frame's public fields, its note being a checkpoint of this log: 1 it is a proof, and *ret
	 * when it was made: what is chained behind it is not older, what it covers not younger; 0 it is none, or (diag says why)
	 * cannot be checked; -EBADMSG or -EUCLEAN: it is
	 * not what it says, and diag why. NULL: they are counted only. */
	int (*stamp)(void *user, const struct cof_frame *f, const void *fields, size_t n, struct cof_when *ret,
		     struct cof_diag *diag);
	/* A COSIGN frame whose signatures hold and whose root is the one of the frames: true: it is a proof, since whoever
	 * verifies knows the vault's key. NULL: they are counted only. */
	bool (*cosign)(void *user, const struct cof_cosign *c);
	void (*progress)(void *user, uint64_t done, uint64_t total); /* bytes; may be NULL */
	void (*finding)(void *user, const struct cof_finding *f);
	/* Each frame in its place, and where: for who looks at some of them again. May be NULL. */
	void (*frame)(void *user, const struct cof_frame *f, uint64_t address);
	void *user;
};

struct cof_verified {
	enum cof_verdict verdict;
	uint64_t frames, bytes, checkpoint_size;
	/* DESTROY frames, the frames whose payloads they say to have ended, and those that have none any more. */
	uint64_t destroyed, destroyed_frames, erased;
	uint8_t root[COF_HASH];
	struct cof_conf conf;
	uint64_t tail;	       /* frames behind the checkpoint that are not CHECKPOINT or COSIGN */
	bool seal_checked;
	uint32_t mounts, recoveries;
	uint64_t stamps, stamps_proven; /* STAMP frames; those of them that are proofs */
	uint64_t cosigns, cosigns_proven; /* COSIGN frames that hold; those of them that are proofs */
	uint64_t proven_frames;		/* covered by one */
	int64_t proven_from;		/* the newest: what comes behind it is not older; INT64_MIN: none */
	uint64_t too_early;		/* frames that say that they are older than a proof before them */
	uint64_t too_late;		/* at least so many say that they are younger than a proof that covers them */
	uint64_t seal_since;   /* first sequence from which all tags hold */
	int64_t seal_since_time; /* its record time; 0: no such frame */
	bool seal_broken;      /* a tag does not hold, of this frame first: */
	uint64_t seal_false;
	struct cof_anchored anchored; /* the newest that the chain has */
	uint64_t unproven;	      /* checkpoints, of all recoveries */
	uint64_t since_size;   /* of the checkpoint to go on from; 0: none was given */
	uint64_t since;	       /* first sequence that was verified */
};
int cof_log_verify(const struct cof_verify_params *p, struct cof_verified *ret, struct cof_diag *diag);

#endif
