/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/archive: files, shelves, events, people, clocks. Applies rulings, writes frames, feeds the
 * index. Knows nothing of FUSE. Thread-safe: all functions on an open archive.
 *
 * Lock order: directory tree lock (names) -> object lock -> index enter/leave -> log's own locks.
 */
#ifndef COF_ARCHIVE_H
#define COF_ARCHIVE_H

#include "base/json.h"
#include "crypto/seal.h"
#include "crypto/stamp.h"
#include "fs/index/index.h"
#include "fs/io/io.h"
#include "fs/log/log.h"
#include "fs/rules/profile.h"
#include "fs/rules/approve.h"
#include "fs/rules/inodes.h"
#include "fs/rules/rules.h"

#define COF_ROOT_INO 1

struct cof_archive;

/* ---- making one ---- */

struct cof_shelf_spec {
	const char *name;
	struct cof_policy policy;
};

struct cof_recovery { /* to whom the recovery envelope is sealed: 32-byte keys of age */
	const uint8_t (*recipients)[32];
	size_t n_recipients;
	const uint8_t (*identities)[32]; /* one of which has to open it; secure memory, may be NULL */
	size_t n_identities;
};

/* ---- auditor secrets (docs/format.md 7.5) ---- */

#define COF_AUDITOR_LINE (22 + 2 + 33 + 9 + 17 + 64 + 1) /* bytes of the longer line, newline included */
#define COF_AUDITORS_MAX 64
/* out: secure memory, not terminated; returns its length. */
size_t cof_auditor_line(const uint8_t archive_id[16], const struct cof_auditor *a, char out[COF_AUDITOR_LINE]);
/* n bytes of a file; the newline may be missing. ret: secure memory. -EUCLEAN */
int cof_auditor_parse(const char *line, size_t n, uint8_t ret_archive_id[16], struct cof_auditor *ret);
/* Those that a store holds for one of these age identities. ret: COF_AUDITORS_MAX, secure memory.
 * -ENOENT: the store has none · -EKEYREJECTED: none for these. Each said in diag. */
int cof_store_auditors(struct cof_io *io, const uint8_t (*identities)[32], size_t n,
		       struct cof_auditor *ret, size_t *ret_n, struct cof_diag *diag);

struct cof_init_params {
	const char *origin;
	uint64_t segment_size; /* 0: 64 MiB */
	uint32_t flags;	       /* COF_ARCHIVE_… */
	const struct cof_opener_secret *secret;
	const struct cof_argon2_cost *cost; /* NULL: default */
	uint32_t pcrs;			    /* of tpm2: what its seal measures, as bits */
	const struct cof_shelf_spec *shelves;
	const struct cof_profile *profile; /* the policy of the whole archive, as a POLICY frame; NULL: none */
	size_t n_shelves; /* at least 1; names: 1 to 255 bytes, no '/', not "." or ".." */
	const struct cof_recovery *recovery; /* NULL: no recovery envelope */
	const uint8_t (*auditors)[32];	     /* age keys to which the auditor secrets are sealed; NULL: none */
	size_t n_auditors;
	uint8_t *ret_auditor_secret; /* 32 bytes for the caller to hand out and wipe, or NULL: discarded */
	uint8_t *ret_archive_id;     /* 16 bytes, or NULL */
};
/* io: an empty directory (-EEXIST otherwise). Everything durable when it returns 0; after an error what was
 * made is removed again. Ends cleanly unmounted. */
int cof_archive_init(struct cof_io *io, const struct cof_init_params *p, struct cof_diag *diag);

/* ---- opening one ---- */

struct cof_alarm_info { /* what the text is about, for programs that read the system's log */
	const char *event, *operation, *path, *rule; /* NULL: does not apply */
	const struct cof_who *who;		      /* NULL: as these */
	/* As docs/format.md 4.1; NULL: what the table of types says of event. */
	const char *catalogue, *outcome, *severity, *source, *signer, *detail;
	uint64_t object, sequence; /* sequence: of its frame; 0: has none (yet) */
};

struct cof_clock_source { /* where a TPM's clock is read; -errno with a sentence when it does not answer */
	int (*read)(void *user, struct cof_tpm_clock *ret, struct cof_diag *diag);
	void *user;
};

struct cof_archive_params {
	struct cof_io *io;
	const struct cof_opener_secret *secret;
	const char *index_dir;	/* NULL: STORE/index; "": in memory */
	uint64_t cache_objects; /* bound of objects kept in memory; 0: 16384 */
	/* Something that people should see at once (a refusal of a new kind, a fault). May be NULL. */
	void (*alarm)(void *user, const char *text);
	/* The same for what has more to say than its text: instead of alarm where it is set. */
	void (*alarm_event)(void *user, const char *text, const struct cof_alarm_info *info);
	/* Kernel caches to drop: attributes and data of an inode. Called without locks. May be NULL. */
	void (*changed)(void *user, uint64_t ino);
	/* A name went that nobody asked the kernel to remove. As changed. */
	void (*removed)(void *user, uint64_t parent, const char *name);
	void *user;
	/* Bounds retention as the archive's own TPM does, in its place. NULL: that one, if an opener is one. */
	const struct cof_clock_source *tpm_clock;
	int64_t deviation; /* ns by which the wall clock may be off before it is a fault; 0: 5 s */
	/* Only to be read: then the store may lie on a read-only filesystem. Nothing is written there, the index
	 * is in memory, frames behind the checkpoint count as far as they are whole. */
	bool read_only;
	/* Not NULL: why nothing may be written, wherever it lies: read as above. For who looks at a copy. */
	const char *passive;
	/* What the program is made of, as fields 80 to 83 of docs/format.md: its MOUNT frame carries them, and what
	 * differs from the mount before is an EVENT. Stays the caller's, who keeps it while the archive is open. */
	const void *self;
	size_t self_len;
	const struct cof_who *mounter; /* whom the MOUNT frame names; NULL: this process */
	int64_t seal_interval; /* ns between two mixings of the seal, at least; 0: 1 h */
	int64_t anchor_interval; /* ns between two raises of the TPM's counter, at least; 0: 10 s */
	/* Judges signatures of people (fs/sshsig). NULL: nothing can be requested or approved. */
	cof_verify_signature verify_signature;
	void *verify_user;
	int64_t heartbeat; /* ns without a frame after which a HEARTBEAT is written; 0: 60 s; negative: none */
	bool no_threads; /* tests: no keeper; the caller drives cof_archive_tick */
};

struct cof_opened { /* for the sentence at mount */
	struct cof_recovered recovered;
	uint64_t unproven; /* checkpoints that the TPM's counter allows for and nothing proves */
	bool index_rebuilt, read_only; /* read_only: tampered below the checkpoint; reading goes on */
	char text[512];
};

/* Takes the lock, opens the keys, recovers, mounts (MOUNT durable, epoch advanced), feeds the index
 * from the tail, starts the keeper. Damage below the checkpoint does not fail: read-only, said in ret_opened. */
int cof_archive_open(const struct cof_archive_params *p, struct cof_archive **ret,
		     struct cof_opened *ret_opened, struct cof_diag *diag);
/* Events flushed, UNMOUNT, last checkpoint, index fed, everything on disk, lock released. */
int cof_archive_close(struct cof_archive *a, struct cof_diag *diag);
void cof_archive_abandon(struct cof_archive *a); /* as if killed (tests) */
void cof_archive_tick(struct cof_archive *a);	 /* what the keeper does twice a second: flush events, feed, checkpoint */

/* ---- acting: each mutating request is one call ---- */

struct cof_attr {
	uint64_t ino, size;
	uint8_t kind, state;
	uint32_t mode, uid, gid, nlink; /* mode: permission bits only */
	int64_t mtime, ctime, atime, created; /* ns */
};

struct cof_reply {
	struct cof_attr attr; /* of the object after the operation (CREATE: of the new one) */
	uint64_t sequence;    /* of the last frame written for it; wait for this to be durable */
	uint64_t length;      /* WRITE: how much of it is in */
	bool wrote;	      /* there was such a frame */
	bool durable;	      /* it has to be durable before the reply: cof_archive_sync_async first */
	bool committed;	      /* the file was committed by it, or before it since it was idle: also with an error */
	bool changed;	      /* attributes that the kernel may have kept are others now */
};

/* Rules, frames, index, events. 0 or -errno for the caller; a refusal is recorded before it returns. A write
 * larger than a frame takes several: when a later one fails (ENOSPC) it is a short write, and an error only when
 * nothing of it was accepted. Ordinary permissions are the kernel's (default_permissions). */
int cof_archive_do(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		   struct cof_reply *ret);

/* An OPEN or CREATE with write access that was accepted has to be followed by this when it is closed: a file
 * that somebody has open for writing is not committed for being idle. */
void cof_archive_release(struct cof_archive *a, uint64_t ino);

/* What the rules would say, and about what: no effect, no event. Of UNLINK, RMDIR and RENAME either ino or
 * parent and name. An error only when the object cannot be found or read; a refusal is in *ret. ret_view may be
 * NULL; its state is the one by now. */
int cof_archive_explain(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			struct cof_ruling *ret, struct cof_object *ret_view);

/* done once everything written to the archive so far (ino 0) or to this inode is durable. */
void cof_archive_sync_async(struct cof_archive *a, uint64_t sequence, cof_log_done done, void *user);
int cof_archive_fsync_sequence(struct cof_archive *a, uint64_t ino, uint64_t *ret_sequence); /* what to wait for */
int cof_archive_checkpoint(struct cof_archive *a);

/* The policy of the whole archive that is in force: that of the newest POLICY frame, or the defaults. */
int cof_archive_policy(struct cof_archive *a, struct cof_profile *ret);

/* What was found in a store's log up to a size (known.c): STORE/known, derived, looked at without keys and unverified. */
#define COF_KNOWN_NONE UINT64_MAX
struct cof_known {
	uint64_t size;		  /* frames; 0: nothing is known */
	uint64_t last;		  /* where the last of them begins */
	uint64_t policy;	  /* where the newest POLICY frame of them does, or COF_KNOWN_NONE */
	uint8_t header[COF_HASH]; /* SHA-256 of the last one's header */
};
int cof_known_load(struct cof_io *io, const struct cof_conf *conf, struct cof_known *ret); /* -ENOENT: nothing that fits */
/* From what is kept on, or from the first frame, to a size. -ENODATA: the log does not go so far. */
int cof_known_up_to(struct cof_io *io, const struct cof_conf *conf, uint64_t size, struct cof_known *ret);
int cof_known_save(struct cof_io *io, const struct cof_known *k);
/* By who meets frames anyway: the one behind those that are known, and in the end the header of the last of them. */
void cof_known_add(struct cof_known *k, const struct cof_frame *f, uint64_t address);
void cof_known_end(struct cof_known *k, const uint8_t raw[COF_FRAME_HEADER]);

/* The same of a store that nobody has open: read from its log's end, without keys and unverified; not beyond what is known. */
int cof_store_policy(struct cof_io *io, const struct cof_conf *conf, struct cof_profile *ret);

/* What each policy of a store became, frame by frame, without keys and unverified: texts, in clear. */
struct cof_policy_then {
	uint64_t sequence, ino; /* ino: of a shelf; 0: of the archive itself */
	int64_t record_time;
	const uint8_t *request; /* 32 bytes: what permitted it; NULL: it names none */
	const char *before;	/* NULL: there was none */
	const char *after;
	bool made; /* by coffer init, with the archive */
};
typedef int cof_policy_then_fn(void *user, const struct cof_policy_then *then); /* a result of its own that is not 0 ends it */
int cof_store_policies(struct cof_io *io, cof_policy_then_fn *fn, void *user, struct cof_diag *diag);

/* ---- reading; at: a tree size or COF_INDEX_NOW ---- */

int cof_archive_lookup(struct cof_archive *a, uint64_t at, uint64_t dir, const char *name,
		       struct cof_attr *ret); /* "." and ".." too */
int cof_archive_getattr(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_attr *ret);
int cof_archive_readlink(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_buf *ret);
/* Right bytes or -EIO; *ret_n short only at the end. Each chunk is authenticated before its first byte is given. */
int cof_archive_read(struct cof_archive *a, uint64_t at, uint64_t ino, void *buf, size_t n,
		     uint64_t off, size_t *ret_n);
int cof_archive_readdir(struct cof_archive *a, uint64_t at, uint64_t dir, uint64_t cookie,
			cof_index_entry_fn fn, void *user); /* without "." and ".." */
/* The same now, with what cof_archive_getattr says of each, but for the state: that is the stored one. attr NULL: removed
 * meanwhile, or unreadable. Cheaper than asking for each: nothing is kept in memory for it. */
typedef int (*cof_archive_entry_fn)(void *user, uint64_t cookie, const char *name, uint64_t ino,
				    uint8_t kind, const struct cof_attr *attr);
int cof_archive_readdir_attr(struct cof_archive *a, uint64_t dir, uint64_t cookie,
			     cof_archive_entry_fn fn, void *user);
int cof_archive_parent(struct cof_archive *a, uint64_t at, uint64_t ino, uint64_t *ret);
int cof_archive_path(struct cof_archive *a, uint64_t ino, struct cof_buf *ret); /* "audit/a.log" */
int cof_archive_resolve(struct cof_archive *a, const char *path, uint64_t *ret_ino);

/* user.coffer.* values as text, and what people set; -ENODATA. names: NUL-separated list, without user.coffer.*,
 * which tools that copy attributes would try to set. */
int cof_archive_getxattr(struct cof_archive *a, uint64_t ino, const char *name, struct cof_buf *ret);
int cof_archive_listxattr(struct cof_archive *a, uint64_t ino, struct cof_buf *ret);

/* Everything that is known of one object: ino, path, shelf, kind, mode, uid, gid, size, created, mtime, time, index
 * (a leaf); of files state, committed_at, archived_at (both once they are), retain_until and asked_until ("infinite", "none") too. */
int cof_archive_info(struct cof_archive *a, uint64_t ino, struct cof_json *into);
/* SHA-256 of a committed file: all of it is read. -ENODATA: it is none. */
int cof_archive_digest(struct cof_archive *a, uint64_t ino, uint8_t ret[COF_HASH]);
const char *cof_state_name(uint8_t state); /* "open", "committed", "expired", … */

struct cof_usage {
	uint64_t bytes, free_bytes, total_bytes; /* of frames; of the disk */
	uint64_t files; /* inodes ever made */
};
int cof_archive_usage(struct cof_archive *a, struct cof_usage *ret);

/* ---- time ---- */

/* Between which times a frame was made, as far as proofs in the chain tell: not before the newest one chained
 * before it, not after the first that covers it. */
struct cof_span {
	int64_t from, to; /* ns; INT64_MIN, INT64_MAX: no proof bounds it on that side */
};
int cof_archive_span(struct cof_archive *a, uint64_t sequence, struct cof_span *ret);

/* The two clocks and what bounds them: wall_clock, boot_time_ms, boot_id, retention_time, lag_ms, deviation_ms,
 * deviation_limit_ms, not_before (of a record made now), proof and claimed (the newest tokens), tpm. */
int cof_archive_clock(struct cof_archive *a, struct cof_json *into);
/* As far as a store tells without its keys and its daemon: as of the last frame. */
int cof_store_clock(struct cof_io *io, struct cof_json *into, struct cof_diag *diag);

/* A query (RFC 3161, DER) for a checkpoint over all that is there; the archive remembers it until the answer
 * comes, over remounts too. */
int cof_archive_stamp_query(struct cof_archive *a, struct cof_buf *ret, struct cof_diag *diag);
struct cof_stamped {
	uint64_t sequence, covers; /* of the STAMP frame; frames that it proves to have been there */
	struct cof_stamp stamp;
};
/* Takes the answer to a query (or the bare token), checks it, and chains it; durable when it returns 0. With ca
 * (PEM) it is a proof, and refused when it does not lead there; without, it is only what its signer claims.
 * Refused too, each with its reason: for another archive's checkpoint, another nonce, dated before an earlier
 * proof, and what cof_stamp_token and cof_stamp_open refuse. */
int cof_archive_stamp(struct cof_archive *a, const struct cof_who *who, const void *answer, size_t n,
		      const void *ca, size_t ca_len, struct cof_stamped *ret, struct cof_diag *diag);

struct cof_cosigned {
	uint64_t sequence, covers; /* of the COSIGN frame, 0: nothing new was said; frames that the vault has */
	int64_t time;		   /* ns, by the vault's clock */
	bool elsewhere;		   /* what it covers counts as archived */
	int64_t caught_up;	   /* ns by which retention time went on, since vaults agree */
};
/* Takes the note that a vault signed (STORE/vaults/NAME.conf says which key that is), judges and chains it; durable when
 * it returns 0. began: CLOCK_BOOTTIME when the session began, INT64_MIN: not known. Refused, each with its reason:
 * -ENOENT no such vault · -EKEYREJECTED not signed by both the log and that vault · -EXDEV for a tree that is not this
 * log's · -ESTALE the vault said something newer before. */
int cof_archive_cosign(struct cof_archive *a, const char *vault, const void *note, size_t n,
		       int64_t began, struct cof_cosigned *ret, struct cof_diag *diag);
/* A vault shows a head that this archive's key signed and that is not in this log: nothing is appended any more, and an alarm
 * says why. -EKEYREJECTED: not signed so · -EEXIST: the log has it. */
int cof_archive_newer(struct cof_archive *a, const char *vault, const void *note, size_t n, struct cof_diag *diag);
/* What whoever syncs or restores has to say of a vault goes on record: type vault-mended, vault-alarm, vault-unreachable,
 * restore-drill or restore-drill-failed. -EINVAL */
int cof_archive_vault_told(struct cof_archive *a, const struct cof_who *who, const char *type, const char *vault, const char *detail,
			   struct cof_diag *diag);
/* What happened with a vault or copy goes on record as a VAULT frame: the fields of docs/format.md 4.2 by name; durable
 * when it returns 0. who NULL: the daemon. ret_sequence may be NULL. -EINVAL */
int cof_archive_vault_record(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record,
			     uint64_t *ret_sequence, struct cof_diag *diag);
/* Beside STORE/vaults/NAME.keys: for whom that was made, to make it anew. */
#define COF_VAULT_WAITS ".waits"
/* Behind STORE/vaults/NAME.keys: what was there before, until it is overwritten. */
#define COF_VAULT_BEFORE ".before"
/* NAME.keys is this from now on, or goes with NAME.waits (-ENOENT: nothing waited); what was there before is overwritten, also what
 * was left by whoever was cut off. */
int cof_vault_waiting_put(struct cof_io *io, const char *name, const void *p, size_t n);
int cof_vault_waiting_drop(struct cof_io *io, const char *name);
/* A vault gets the tree R from the next file on (docs/format.md 7.12): what it gets lies in STORE/vaults/NAME.keys, sealed to
 * recipient, an age key of the vault, until a sync has brought it there. about: name, vault, place… of the record that
 * is made of it. Once more, for the same or another vault: what there is of R by then. */
int cof_archive_vault_enroll(struct cof_archive *a, const struct cof_who *who, const struct cof_json *about, const char *recipient,
			     struct cof_diag *diag);
/* Whether it is that, opened, of this archive, and from which inode number on. -EUCLEAN · -EXDEV */
int cof_keys_vault_check(const uint8_t archive_id[16], const void *plain, size_t n, uint64_t *ret_from);
/* The same without what leads to the keys of these inodes. Secure memory, for cof_secret_free. */
int cof_keys_vault_puncture(const uint8_t archive_id[16], const void *plain, size_t n, const struct cof_inode_range *range, size_t n_ranges,
			    void **ret, size_t *ret_n);
/* To how many of them it leads. */
int cof_keys_vault_leads(const uint8_t archive_id[16], const void *plain, size_t n, const struct cof_inode_range *range, size_t n_ranges,
			 uint64_t *ret);
void cof_cosigned_json(const struct cof_cosigned *c, struct cof_json *into);

void cof_stamped_json(const struct cof_stamped *s, struct cof_json *into);

/* ---- showing ---- */

/* One object for each frame from sequence `from` on (decoded, private parts too), in order, up to the end as
 * it was at the call; fn returns 0 to go on. *ret_next: where to go on. */
typedef int (*cof_show_fn)(void *user, struct cof_json *entry); /* borrowed */
int cof_archive_show_log(struct cof_archive *a, uint64_t from, cof_show_fn fn, void *user, uint64_t *ret_next);
/* One for each run of a file by one actor at one time: offset, length, time, uid, login_uid, pid, command, unit, sequence. */
int cof_archive_blame(struct cof_archive *a, uint64_t ino, cof_show_fn fn, void *user);
int cof_archive_status(struct cof_archive *a, struct cof_json *into);
/* Somebody knows of the faults that status shows: an EVENT, durable when it returns 0, and they are shown no
 * more. *ret_faults: so many. -EROFS: nothing can be recorded. */
int cof_archive_acknowledge(struct cof_archive *a, const struct cof_who *who, uint64_t *ret_faults,
			    struct cof_diag *diag);
/* ---- certificates that were committed on shelves that keep them ---- */

struct cof_cert_query { /* everything that is set has to hold */
	const uint8_t *serial; /* as DER has it, with or without leading zeros; NULL: any */
	size_t serial_len;
	const uint8_t *fingerprint;	   /* SHA-256, 32 bytes; NULL */
	const char *subject, *issuer;	   /* a part of the name, ASCII in either case; NULL */
	int64_t ends_before, ends_from;	   /* wall clock; INT64_MAX, INT64_MIN: any */
	unsigned kinds;			   /* bits of enum cof_cert_kind; 0: all */
	uint64_t at;			   /* tree size, or COF_INDEX_NOW */
	uint64_t below;			   /* inode of a directory; 0: everywhere */
};
/* One object for each certificate, CRL and request, in the order of commits: what it says (kind, serial, subject, issuer,
 * not_before, not_after, fingerprint, ca, self_issued, no_end) and where it is: ino, path, state, index (the
 * COMMIT frame). What was removed by `at` is left out. fn runs without any lock; what it returns ends it. */
int cof_archive_find_certs(struct cof_archive *a, const struct cof_cert_query *q, cof_show_fn fn, void *user);
/* The same by a request: {serial, fingerprint (hexadecimal), subject, issuer, ends_before, ends_from (times), kind
 * (certificate, crl, request), at, below (numbers)}, each of which may be missing. -EINVAL, said in diag. */
int cof_archive_certs(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user,
		      struct cof_diag *diag);

/* ---- legal holds ---- */

struct cof_hold_params {
	const char *name; /* of the case */
	const char *const *paths; /* in the archive */
	size_t n_paths;
	const char *reason; /* NULL: none */
	/* Told now and then, outside all locks; not 0 ends it, and the next mount goes on. Both may be NULL. */
	int (*progress)(void *user, uint64_t processed);
	void (*failed)(void *user, const char *path, const char *why);
	void *user;
};
struct cof_hold_begun {
	uint64_t id;	   /* its number, the sequence of its first frame; 0: it did not begin */
	uint64_t sequence; /* of the last frame written: wait for this to be durable */
	uint64_t processed, skipped, failed; /* files covered; named twice or gone meanwhile; paths that cannot be held */
};
/* In force over all that lies below what it names with the first frame; listed one by one until it returns.
 * -EEXIST: that case has a hold. */
int cof_archive_hold_begin(struct cof_archive *a, const struct cof_who *who,
			   const struct cof_hold_params *p, struct cof_hold_begun *ret,
			   struct cof_diag *diag);
/* The first of what the hold in force of that case (or number) names. -ENOENT */
int cof_archive_hold_object(struct cof_archive *a, const char *name, uint64_t *ret_ino);
/* One object each, the newest first: hold, case, paths, reason, state, begun, ended, processed, skipped, failed.
 * all: those that have ended too. */
int cof_archive_holds(struct cof_archive *a, bool all, cof_show_fn fn, void *user);

/* An EVENT of the daemon's own, which alarm_event is told of too. What cannot be recorded is told all the same. */
void cof_archive_record(struct cof_archive *a, const char *event, const char *text);
/*
 * A batch of events that a reader made of another program's log: {source, path, after {end, line, digest}, events [{type,
 * catalogue?, outcome, severity, actor?, place?, object?, detail?, time?, end, line, digest}], counts?, lost?, report?
 * {place, next_ns, silence_ns, detail?, test?, form?}}; each event says behind which line it came. *ret_sequence: of the last
 * event, to wait for until it is durable; 0: none. -ESTALE: `after` is not what was read last.
 */
int cof_archive_import(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args,
		       uint64_t *ret_sequence, struct cof_diag *diag);
/* {source, path} → end, line, digest of the last line that is on record as read; end 0: none. */
int cof_archive_import_state(struct cof_archive *a, const struct cof_json *args, struct cof_json *into,
			     struct cof_diag *diag);
/*
 * What a tool beside the daemon did: {type: "self-check" or "backup", outcome: "success" or "failure", detail?, form?: an
 * object}. An EVENT; *ret_sequence: to wait for until it is durable.
 */
int cof_archive_note(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, uint64_t *ret_sequence,
		     struct cof_diag *diag);
/* What is looked for among events; what is NULL or 0 is not. */
struct cof_events_query {
	const char *type, *outcome, *source;
	const char *catalogue; /* "A.1.2", or "A.1" for all below */
	const char *severity;  /* at least so bad */
	const char *actor;     /* uid, login uid, command or signer */
	const char *path;      /* and all below */
	int64_t since, until;  /* record time; until: INT64_MAX for no end, itself not in */
	uint64_t from;	       /* sequence */
};
/* One object for each event (docs/format.md 4.1) that is looked for, in order, up to the end as it was at the call,
 * by the index: time and memory do not grow with the frames between. *ret_next: where to go on. */
int cof_archive_events(struct cof_archive *a, const struct cof_events_query *q, cof_show_fn fn, void *user,
		       uint64_t *ret_next);

/* ---- .coffer/events: what no frame made, at the root of each mount (events-file.c) ---- */

#define COF_VIRTUAL_DIR_NAME ".coffer"
#define COF_VIRTUAL_EVENTS_NAME "events"
#define COF_VIRTUAL_DIR (1ull << 49) /* node numbers: those of the archive are below */
#define COF_VIRTUAL_EVENTS (COF_VIRTUAL_DIR + 1)

/* All events as text, one JSON object a line: n bytes from off on, less only at the end. Bounded memory,
 * whatever there is; the way to a place is at most a 2048th of the whole, or 64 lines. */
int cof_archive_events_read(struct cof_archive *a, void *buf, size_t n, uint64_t off, size_t *ret_n);
/* How long the text is as far as it was looked at: each call looks some thousand events further, until it is
 * all of it. Never shorter than before, nor than what was read. */
int cof_archive_events_size(struct cof_archive *a, uint64_t *ret_size, int64_t *ret_changed);

/* One for each shelf: ino, name, policy (text), bytes and files that it holds, quotas, created. */
int cof_archive_shelves(struct cof_archive *a, cof_show_fn fn, void *user);
/* Somebody asks for what: on record, where a shelf has read_events. To be called before the answer. */
int cof_archive_queried(struct cof_archive *a, const struct cof_who *who, const char *what);
/* The same two without a daemon: read-only, no lock, nothing written. */
int cof_store_show_log(struct cof_io *io, const struct cof_opener_secret *secret, uint64_t from,
		       cof_show_fn fn, void *user, uint64_t *ret_next, struct cof_diag *diag);
int cof_store_events(struct cof_io *io, const struct cof_opener_secret *secret, const struct cof_events_query *q,
		     cof_show_fn fn, void *user, uint64_t *ret_next, struct cof_diag *diag);
/* Intervals in which nobody recorded, in order, from headers and public parts: no key, no lock. */
enum cof_gap_kind {
	COF_GAP_UNMOUNTED, /* between an unmount and the next mount */
	COF_GAP_KILLED,	   /* from the last frame of a daemon that did not unmount */
	COF_GAP_STOPPED,   /* inside a mount: heartbeats are missing */
};
#define COF_GAP_OPEN INT64_MAX
struct cof_gap {
	enum cof_gap_kind kind;
	int64_t from, to; /* record time; to: COF_GAP_OPEN while it goes on */
	uint64_t after;	  /* sequence of the last frame before it */
	uint32_t mount;	  /* of that frame */
};
typedef int (*cof_gap_fn)(void *user, const struct cof_gap *gap); /* 0 to go on */
int cof_store_gaps(struct cof_io *io, cof_gap_fn fn, void *user, struct cof_diag *diag);
int cof_store_status(struct cof_io *io, struct cof_json *into, struct cof_diag *diag); /* needs no key */

/* ---- people, requests, approvals (docs/format.md 9) ---- */

/*
 * One call for each of these verbs; args and answers are JSON, as the control socket has them. Bytes are base64.
 *   people         → people, revoked, persons [{name, roles, keys}], sequence; -ENOENT: none yet
 *   people-set     people, revoked, author, reason, expires → as request-make, of action people-first or people-set
 *   people-first   document, signatures [{signature, principal}] → sequence
 *   request-make   action, author, words [..], reason, case, expires (ns from now) → document, sheet, id. Nothing
 *                  is written; what cannot be granted is refused here already
 *   request        document, sheet, signature, principal → id, state
 *   approve        document or id, signature, verdict "approve" or "refuse", principal → id, state, outcome
 *   requests       id, documents (bool) → one line each
 *   policy         → profile, set (bool), sequence, sha256, policy (text of the archive's policy in force)
 *   policy-set     policy → as policy; only what promises no less, else -EPERM
 * -EPERM: refused, and recorded. Without cof_archive_params.verify_signature: -EOPNOTSUPP.
 */
int cof_archive_people(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		       cof_show_fn fn, void *user, struct cof_diag *diag);
bool cof_archive_people_verb(const char *verb);

/* Where the frames are that a judge looks at: for who goes through all of them anyway (cof_verify_params.frame). */
struct cof_judge_places;
int cof_judge_places_new(struct cof_judge_places **ret);
void cof_judge_places_free(struct cof_judge_places *places); /* NULL is fine */
/* Every frame from the first on, in order. */
void cof_judge_places_add(struct cof_judge_places *places, const struct cof_frame *f, uint64_t address);
/* On to the log's end as it lies there, by the headers of what was added since. */
int cof_judge_places_follow(struct cof_io *io, struct cof_judge_places *places, struct cof_diag *diag);
/* As bytes for whoever keeps them beside the log: -EUCLEAN. What they say is only where to look. */
int cof_judge_places_pack(const struct cof_judge_places *places, struct cof_buf *ret);
int cof_judge_places_unpack(const void *data, size_t n, struct cof_judge_places **ret);

struct cof_judge_store {
	const struct cof_judge_places *places; /* NULL: the headers of all frames are read, twice */
	cof_verify_signature verify;
	void *verify_user;
	/* The judge's own clock (ns): what ends by time has not ended before. 0: the frames' retention time alone counts. */
	int64_t now;
	void (*finding)(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason);
	void *user;
	/* Once everything was judged: the judge may be asked what would be if other frames followed. May be NULL. */
	int (*behind)(void *user, struct cof_judge *j);
};
struct cof_judged {
	int64_t last_retention; /* of the last frame that was judged; INT64_MIN: none */
	uint64_t frames, not_permitted, requests; /* frames: that rules are about */
	uint64_t unreadable; /* frames of that kind whose place is known and that are damaged: judged without them */
	uint64_t end;	     /* behind the last frame that was met; damage ends the walk where the next header cannot be found */
	bool people;
};
/* Judges every frame of a store that people's rules are about, from public parts alone: no key, no lock. */
int cof_store_judge(struct cof_io *io, const struct cof_judge_store *p, struct cof_judged *ret, struct cof_diag *diag);

/* ---- the seal, of an archive that is not mounted (-EBUSY): takes the lock ---- */

/* One object for each opener: name ("tpm2-1"), kind; of tpm2 pin, pcrs ("7,11"), index, value (of the
 * counter), sets (of PCR values). Read from the files, without a key or the TPM; unproven. No lock. */
int cof_store_seal_show(struct cof_io *io, struct cof_json *array, struct cof_diag *diag);

struct cof_renewal {
	const char *tpm;		 /* where the TPM is; NULL: the device */
	uint32_t pcrs;			 /* other PCRs than before; 0: the same */
	const struct cof_tpm_pcrs *also; /* values after an update, which open too; NULL: none */
	struct cof_tpm *open;		 /* a connection that there is already; NULL: one is made */
};
/* A new root key: with a TPM's opener, every older copy of seal/ and keys/ is dead on it afterwards. Safe
 * against power cuts at any step. */
int cof_store_seal_renew(struct cof_io *io, const struct cof_opener_secret *secret,
			 const struct cof_renewal *r, struct cof_diag *diag);
int cof_store_seal_add(struct cof_io *io, const struct cof_opener_secret *secret,
		       const struct cof_opener_secret *added, uint32_t pcrs, uint32_t *ret_n,
		       struct cof_diag *diag); /* -EEXIST: a second TPM · -EPERM: of a kind that the policy does not allow */
int cof_store_seal_remove(struct cof_io *io, const struct cof_opener_secret *secret,
			  enum cof_opener_kind kind, uint32_t n, struct cof_diag *diag); /* -EBUSY: the last */
struct cof_new_lineage {
	uint32_t lineage;
	size_t auditors; /* to whom its secret is sealed */
	bool in_tpm; /* its secret and the anchor; else in keys/epoch, which promises less */
};
/* The seal begun anew, since what held its secret is gone or does not fit the log: recorded by the next
 * mount. With a TPM's opener, or where a TPM held it before, in the TPM that secret->tpm names, unless
 * without_tpm says that it may be weaker. */
int cof_store_seal_lineage(struct cof_io *io, const struct cof_opener_secret *secret, bool without_tpm,
			   struct cof_new_lineage *ret, struct cof_diag *diag);
/*
 * NV indices of the TPM in this archive's range and form, into the array: index, kind, and used: what names it ("tpm2-1",
 * "seal", "anchor"), absent where nothing does. Then removes those of the n; -EPERM, and nothing is removed, if one of them
 * is used or not in the array.
 */
int cof_store_seal_clean(struct cof_io *io, const struct cof_opener_secret *secret, const uint32_t *remove, size_t n,
			 struct cof_json *array, struct cof_diag *diag);
struct cof_unlock { /* what shows that it may be: one of the two */
	const struct cof_opener_secret *secret; /* a passphrase or PIN only once the wait is over */
	const uint8_t (*identities)[32];	/* of the recovery envelope; secure memory */
	size_t n_identities;
};
/* Lifts the lock that three wrong passphrases or PINs in a row put on the archive. 1: it was locked, and the next
 * mount puts the unlocking on record · 0: it was not. Mounted or not. */
int cof_store_unlock(struct cof_io *io, const struct cof_unlock *u, struct cof_diag *diag);

struct cof_recover_params {
	const uint8_t (*identities)[32]; /* of age; secure memory */
	size_t n_identities;
	const void *envelope; /* and what it is called; envelope_name NULL: that in the store */
	size_t envelope_len;
	const char *envelope_name;
	const struct cof_opener_secret *secret; /* of the opener that is made */
	const struct cof_argon2_cost *cost;	/* NULL: default */
	uint32_t pcrs;				/* of tpm2 */
	const uint8_t (*auditors)[32];		/* as at init, for the new lineage */
	size_t n_auditors;
	/* Of an archive that has given R to vaults: what one of them released, an age file for `identities` or these. */
	const void *vault_keys;
	size_t vault_keys_len;
	const uint8_t (*vault_identities)[32];
	size_t n_vault_identities;
	bool without_vaults; /* instead: what was written since the first vault was enrolled stays unreadable for ever */
	cof_verify_signature verify; /* of people (fs/sshsig), for what they destroyed */
	void *verify_user;
};
struct cof_ended_again { /* what people had destroyed, in a log that still had its bytes */
	uint64_t files, frames, bytes; /* by DESTROY frames that count; frames overwritten and read back, what they had */
	uint64_t left;	 /* DESTROY frames that do not count: the bytes of those files stay */
	uint64_t behind; /* frames that count, behind the checkpoint: their files keep their bytes until the next mount */
	bool unread;	 /* nothing was overwritten: not all frames that rules are about could be read and proven */
};
struct cof_recovered_keys {
	uint32_t mounts;	/* MOUNT frames of the log, all of them written under these keys */
	uint64_t files, unlike; /* first writes to files that were, and that were not (damage) */
	uint32_t lineage;	/* of the seal from the next mount on */
	uint64_t lost_from;	/* without_vaults: from this inode number on; 0: nothing is lost */
	struct cof_ended_again ended;
};
/* keys/ and seal/ anew from the recovery envelope, with one opener; the log stays as it is, but that sealed bytes of what people
 * destroyed are overwritten where they still lie there. Safe against power cuts: what is there is as before, or the next opening
 * finishes it. May be repeated. */
int cof_store_recover(struct cof_io *io, const struct cof_recover_params *p,
		      struct cof_recovered_keys *ret, struct cof_diag *diag);
/* A log that was fetched (coffer restore) has where it came from in this file, a line of text, until the mount behind
 * coffer recover has put it on record. */
#define COF_RESTORED "restored"
#define COF_RESTORED_MAX 1024
struct cof_auditor_renewal {
	const uint8_t (*auditors)[32]; /* to whom the auditor secrets are sealed from here on */
	size_t n_auditors;
	const uint8_t (*identities)[32]; /* of an auditor before; secure memory. NULL: those files stay */
	size_t n_identities;
};
struct cof_auditors_renewed {
	size_t passed, left; /* files sealed anew, and files that these identities do not open */
};
/* Other auditors. A lineage's secret is not kept at the host: what the present files hold is passed on with an
 * identity that opens them; a later lineage's is sealed to the new auditors in any case. Safe against power
 * cuts: each file is as before or new. -EKEYREJECTED: these identities open none. */
int cof_store_seal_auditors(struct cof_io *io, const struct cof_opener_secret *secret,
			    const struct cof_auditor_renewal *renewal, struct cof_auditors_renewed *ret,
			    struct cof_diag *diag);
/* Another recovery envelope in the place of the old one, which stays as good as it was wherever there are
 * copies of it. */
int cof_store_seal_recovery(struct cof_io *io, const struct cof_opener_secret *secret,
			    const struct cof_recovery *recovery, struct cof_diag *diag);

#endif
