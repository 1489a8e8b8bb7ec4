/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/vault: vaults far away. A vault keeps copies of archives' logs, byte for byte, and says with a key of its
 * own what it has seen and when. docs/vault-protocol.md specifies what is spoken.
 *
 * A copy is a store without keys: archive.conf, log/, tile/, checkpoint (docs/format.md), so everything that verifies a
 * store verifies a copy. Sender and receiver are roles of one session: a host sends to its vault, a vault sends to
 * whoever restores.
 *
 * Not thread-safe: one thread for each object.
 */
#ifndef COFFER_VAULT_H
#define COFFER_VAULT_H

#include "fs/archive/archive.h"
#include "fs/log/log.h"

/* ---- messages over a byte stream (wire.c): docs/vault-protocol.md 2 ---- */

#define VAULT_BODY_MAX (1u << 20) /* bytes of a message behind its head */
#define VAULT_PACE 65536u /* bytes that have to come, or to go, within a timeout, begun ones too */
#define VAULT_DATA 262144u	  /* bytes of the log in one message */
#define VAULT_UNPROVEN (64u << 20) /* bytes that a receiver takes before it asks for a proof */
/* An envelope, and the tree R: the largest that a host makes (COF_KEYS_SEEDS_MAX seeds, 704 KB) fits with its seal. */
#define VAULT_ENVELOPE_MAX VAULT_BODY_MAX
#define VAULT_ENVELOPE_OLD 524288u /* what older programs take of either */
#define VAULT_RECEIPTS 64u /* in one session */

enum vault_message {
	VAULT_HELLO = 1, VAULT_STATE, VAULT_HEAD, VAULT_RESUME, VAULT_DATA_IS, VAULT_PROOF, VAULT_ENVELOPE,
	VAULT_END, VAULT_DONE, VAULT_REFUSED,
	VAULT_NOTICE, /* before DONE: what the sender's operator should know */
	VAULT_DAMAGE, /* of mending: which segments are wanted */
	VAULT_KEYS,   /* before END: the tree R, sealed to the vault */
	VAULT_RECEIPT_IS, /* before NOTICE or DONE: what the receiver signed, to who says that he takes it */
	VAULT_CHALLENGE,  /* of who challenges: a nonce, and ranges of the log */
	VAULT_ANSWER,	  /* to each: hashes of nonce and bytes */
};

enum vault_refusal { /* in REFUSED, and the exit codes of coffer sync are made of it */
	VAULT_R_MALFORMED = 1, /* not what the protocol says */
	VAULT_R_VERSION,       /* of the protocol */
	VAULT_R_UNKNOWN,       /* an archive that this vault, or this key, does not take */
	VAULT_R_BUSY,	       /* another session writes to this copy */
	VAULT_R_STALE,	       /* the head is behind what the vault has: behind or restored from a backup */
	VAULT_R_FORK,	       /* the head does not extend what the vault has: both are kept */
	VAULT_R_DATA,	       /* bytes that are not of the head */
	VAULT_R_QUOTA,
	VAULT_R_FAILED,	       /* of the vault itself: disk full, damage */
	VAULT_R_DAMAGED,       /* segments of the copy are damaged: they are to be mended first */
	VAULT_R_RULES,	       /* the head does what nobody permitted: it is kept, and not signed */
};
const char *vault_refusal_name(unsigned code);

struct vault_wire {
	int in, out;
	int timeout_ms;	 /* for the head of a message, and for each VAULT_PACE of its body: -ETIMEDOUT; negative: for ever */
	uint64_t limit;	 /* bytes a second that are sent; 0: as many as go */
	uint64_t sent, received;
	int64_t pause_from; /* of the limit */
	uint64_t since_pause;
};
/* Before the first message: nothing is written that could wait longer than timeout_ms says, whatever the other side does not read; and
 * pipes get room for more on the way, as much as the kernel allows, so that the two ends take fewer turns. */
void vault_wire_prepare(struct vault_wire *w);
/* Writes head and body; -EPIPE: the other side is gone. */
int vault_send(struct vault_wire *w, enum vault_message type, const struct iovec *iov, int count);
/* The next message. -ENOTCONN: the other side ended between two messages · -EPIPE within one, of which body has what
 * came · -EPROTO with the reason · -ETIMEDOUT. */
int vault_receive(struct vault_wire *w, uint8_t *ret_type, struct cof_buf *body, struct cof_diag *diag);
/* A message of this type. REFUSED instead gives -ECONNABORTED with its text, and *ret_code (may be NULL). */
int vault_expect(struct vault_wire *w, enum vault_message type, struct cof_buf *body, unsigned *ret_code,
		 struct cof_diag *diag);
int vault_refuse(struct vault_wire *w, enum vault_refusal code, const char *text);

/* ---- a copy of a log (copy.c): what a receiver has ---- */

struct vault_copy;

struct vault_copy_state {
	struct cof_conf conf;
	struct cof_checkpoint head; /* the newest that was finished; size 0: none */
	struct cof_checkpoint coming; /* that a session brings; size 0: none */
	bool weakening;		      /* behind the head are frames that may take away what was promised */
	uint64_t size;		    /* frames that are there, those behind the head included */
	uint64_t address;	    /* of the next byte: behind them, and behind what is there of the next frame */
	uint64_t bytes;		    /* of the log */
	uint64_t unproven;	    /* bytes that no proof covers yet */
	uint64_t proven, proven_end; /* frames that are known to be of a head that the archive signed, and where they end */
};

/* Makes it in an empty directory. conf: the text of archive.conf. */
int vault_copy_create(struct cof_io *io, const void *conf, size_t n, struct cof_diag *diag);
/*
 * Opens and recovers it: what is behind the newest head is looked at again, whole frames stay. -ENOENT: there is none ·
 * -EUCLEAN: it is damaged, diag says what (a scrub tells all of it).
 */
int vault_copy_open(struct cof_io *io, struct vault_copy **ret, struct cof_diag *diag);
/* What the log is read by is the same: key, origin, segment size. */
bool vault_conf_alike(const struct cof_conf *a, const struct cof_conf *b);
/* As who restores: makes it, or opens what is there; what was begun by another conf, with no head finished, goes. -EEXIST: it is finished. */
int vault_copy_begin(struct cof_io *io, const struct cof_conf *conf, struct vault_copy **ret, struct cof_diag *diag);
/* All of the coming head is there and proven: archive.conf is what the log's first frame repeats. -EBADMSG: it was read by another one. */
int vault_copy_judge_conf(struct vault_copy *c, struct cof_diag *diag);
/* Stored hashes are made anew from the log. -EUCLEAN: that does not give the newest head either, and nothing was changed. */
int vault_copy_mend_hashes(struct cof_io *io, struct cof_diag *diag);
void vault_copy_free(struct vault_copy *c); /* NULL is fine */
void vault_copy_state(const struct vault_copy *c, struct vault_copy_state *ret);
/* The note of the newest finished head, with its signatures; "" without one. */
const char *vault_copy_note(const struct vault_copy *c);

/*
 * The head that comes: note, signed by the archive's key. from_head proves that it extends the newest finished head,
 * from_here that it extends what is there. -ESTALE: it is behind · -ENOTUNIQ: neither of it and the finished head
 * extends the other, a fork · -EBADMSG: not signed by this archive · -EUCLEAN malformed. What is there but not of this head is dropped.
 */
struct vault_proof {
	uint8_t (*hash)[COF_HASH];
	size_t n;
};
int vault_copy_head(struct vault_copy *c, const void *note, size_t len, const struct vault_proof *from_head,
		    const struct vault_proof *from_here, struct cof_diag *diag);
/* Bytes of the log from the next address on: any number, frames may be cut anywhere. -EUCLEAN, -EBADMSG: not the log;
 * nothing of a wrong frame counts. -EFBIG: more than VAULT_UNPROVEN bytes without a proof. */
int vault_copy_feed(struct vault_copy *c, uint64_t address, const void *p, size_t n, struct cof_diag *diag);
/* All whole frames so far are of the coming head. -EBADMSG: they are not, and are dropped. */
int vault_copy_prove(struct vault_copy *c, const struct vault_proof *proof, struct cof_diag *diag);
/*
 * Before vault_copy_head: whoever gives the bytes can make no proofs (a bucket). Then no limit holds, and what is there already
 * stays. What comes is compared where the archive signed: with the coming head once so many frames are there, of which more are not
 * taken, and with the checkpoints that the log repeats. -EBADMSG of vault_copy_feed: what came behind `proven` is not of this archive,
 * in that frame or one before; whoever has other bytes goes back (no further than `proven`) and gives those.
 */
void vault_copy_blind(struct vault_copy *c);
int vault_copy_whole(const struct vault_copy *c, struct cof_diag *diag); /* -EBADMSG: what came ends within a frame */
/* To where the copy was with so many frames, as vault_copy_state said. */
int vault_copy_back(struct vault_copy *c, uint64_t size, uint64_t address, struct cof_diag *diag);
/* All of it is there: makes it durable. Then the head is finished once the note with more signatures is kept; list: a file that
 * has to be durable before that, where the note is written down (NULL: none). */
int vault_copy_sync(struct vault_copy *c, struct cof_diag *diag);
int vault_copy_finish(struct vault_copy *c, const void *note, size_t len, struct cof_file *list, struct cof_diag *diag);

/* ---- what a sender has (source.c) ---- */

struct vault_source;

/* A store or a copy, as it lies there; its daemon may go on. The newest checkpoint is what will be sent. */
int vault_source_open(struct cof_io *io, struct vault_source **ret, struct cof_diag *diag);
void vault_source_free(struct vault_source *s);
const struct cof_conf *vault_source_conf(const struct vault_source *s);
const char *vault_source_conf_text(const struct vault_source *s);
const char *vault_source_note(const struct vault_source *s, struct cof_checkpoint *ret);
/* What is read next: a segment from its first frame on. */
int vault_source_segment(struct vault_source *s, uint64_t number, struct cof_diag *diag);
/* Where the frames of the newest checkpoint end. */
uint64_t vault_source_end(const struct vault_source *s);
/* -ERANGE: older is no prefix of it by size. proof->hash: COF_PROOF_MAX places, the caller's. */
int vault_source_proof(struct vault_source *s, uint64_t older, struct vault_proof *proof, struct cof_diag *diag);
/* The root that this log had at a size. */
int vault_source_root(struct vault_source *s, uint64_t size, uint8_t ret[COF_HASH], struct cof_diag *diag);
/* The leaf hash of a frame below the newest checkpoint, and its inclusion in the tree of the first `size` of them. */
int vault_source_leaf(struct vault_source *s, uint64_t sequence, uint8_t ret[COF_HASH], struct cof_diag *diag);
int vault_source_inclusion(struct vault_source *s, uint64_t sequence, uint64_t size, struct vault_proof *proof, struct cof_diag *diag);
/* Where the frame behind so many begins. -ERANGE */
int vault_source_address(struct vault_source *s, uint64_t size, uint64_t *ret, struct cof_diag *diag);
/* What is read next: from an address within frame `size`, or where it begins. -ERANGE: it does not lie there. */
int vault_source_seek(struct vault_source *s, uint64_t size, uint64_t address, struct cof_diag *diag);
struct vault_piece {
	uint64_t address;
	size_t n;	/* bytes; 0: the end of the newest checkpoint */
	uint64_t whole; /* frames that are whole with them: all of a smaller sequence */
};
/* The next bytes, of one segment and at most n. */
int vault_source_read(struct vault_source *s, void *buf, size_t n, struct vault_piece *ret, struct cof_diag *diag);

/* ---- sessions (send.c, take.c) ---- */

struct vault_progress {
	void (*fn)(void *user, uint64_t done, uint64_t total); /* bytes of this session; may be NULL */
	void *user;
};

/* What STATE says of who sent it: malloc'ed. -EPROTO */
int vault_state_about(const struct cof_buf *state, char **ret);

struct vault_sent {
	uint64_t size, from;	      /* of the head; frames that the receiver had */
	uint64_t frames, bytes;	      /* that were sent */
	bool nothing;		      /* was missing; known before meet is called, as far as heads tell */
	unsigned refusal;	      /* enum vault_refusal; 0: none */
	char *notices;		      /* lines for the operator; malloc'ed, or NULL */
	char *about;		      /* what the receiver says of itself; malloc'ed, or NULL */
	char *note;		      /* with the vault's cosignature, or of the vault where it refused; malloc'ed, or NULL */
	char **receipt;		      /* texts that it signed, of which nothing was looked at; malloc'ed */
	size_t n_receipts;
};
void vault_sent_done(struct vault_sent *s);
struct vault_sending {
	const void *envelope; /* NULL: none */
	size_t envelope_len;
	const void *keys; /* the tree R, sealed to whoever takes; NULL: none */
	size_t keys_len;
	/* Who takes it, before anything of the archive is sent: an error ends the session. May be NULL. */
	int (*meet)(void *user, const char *about, struct cof_diag *diag);
	void *user;
	struct vault_progress progress;
};
/* As sender, behind HELLO: STATE is what comes next. */
int vault_send_log(struct vault_wire *w, struct vault_source *s, const struct vault_sending *p, struct vault_sent *ret,
		   struct cof_diag *diag);

/* Called once all of a head is durable: adds what the receiver says to the note. 0 or -errno. */
typedef int (*vault_sign_fn)(void *user, struct cof_buf *note, struct cof_diag *diag);
struct vault_taking {
	struct cof_io *io; /* of the copy */
	uint64_t quota;	   /* bytes of the log; 0: none */
	vault_sign_fn sign; /* NULL: nothing is added */
	struct cof_file *const *list; /* what sign wrote down beside the note, to be durable before that is kept. NULL, of NULL: nothing */
	const char *about;  /* for STATE, or NULL: who takes */
	/* An envelope came: kept as the receiver likes. NULL: dropped. */
	int (*envelope)(void *user, const void *p, size_t n, struct cof_diag *diag);
	/* The tree R came. NULL: it does not belong there. */
	int (*keys)(void *user, const void *p, size_t n, struct cof_diag *diag);
	/* All of a head is durable: whether it is signed. -EACCES: it does what the rules do not permit. May be NULL. */
	int (*judge)(void *user, const struct vault_copy_state *s, struct cof_diag *diag);
	/* A head was refused as stale, as a fork, or by the rules. May be NULL. */
	void (*refused)(void *user, unsigned code, const void *note, size_t len);
	/* Once a head is durable and signed, before the other side is told: what is to be done under it. told: SHA-256 of each
	 * document in records of vaults that came. May be NULL. */
	void (*finished)(void *user, const uint8_t (*told)[COF_HASH], size_t n);
	/* Then texts that the receiver signed, one a call. -ENOENT: no more of them. NULL: the other side takes none. */
	int (*receipt)(void *user, size_t i, struct cof_buf *ret);
	/* Once a head is durable and signed, before the other side is told: what its operator should know is added to lines,
	 * a line each. May be NULL. */
	void (*notice)(void *user, struct cof_buf *lines);
	void *user;
	struct vault_progress progress;
	const struct cof_buf *head; /* HEAD came already, to a STATE of nothing: the copy is empty. NULL: STATE is sent first */
};
/* As receiver, from STATE on. The copy is opened before. Tells the other side what is wrong; -errno then. */
int vault_take_log(struct vault_wire *w, struct vault_copy *c, const struct vault_taking *t, struct cof_diag *diag);

/* ---- damaged copies (mend.c) ---- */

#define VAULT_MEND_MAX 1024u
struct vault_damage { /* segments that a scrub found damaged: DIR/archives/ID/damaged */
	uint32_t segment[VAULT_MEND_MAX];
	unsigned n;
};
int vault_damage_load(struct cof_io *io, struct vault_damage *ret); /* none: 0, and n is 0 */
int vault_damage_save(struct cof_io *io, const struct vault_damage *d);
void vault_damage_add(struct vault_damage *d, uint32_t segment);
/* As the vault, behind HELLO of a host that mends: asks for what is damaged, takes it, each frame against the stored
 * hashes, puts it in place. -EBADMSG: it is not what was confirmed. Tells the other side. */
int vault_take_mending(struct vault_wire *w, struct cof_io *io, unsigned *ret_mended, struct cof_diag *diag);
/* As the host. */
int vault_send_mending(struct vault_wire *w, struct vault_source *s, unsigned *ret_segments, uint64_t *ret_bytes,
		       struct cof_diag *diag);

/* ---- whether a vault still has what it confirmed (challenge.c, challenge-ask.c) ---- */

#define VAULT_RANGES 256u	   /* of the log in one challenge */
#define VAULT_RANGES_BYTES (64u << 20) /* in all of them */
#define VAULT_CHALLENGES_MAX (1u << 20) /* in one session */
/* As the vault, behind HELLO of a host that challenges: STATE, then an ANSWER to each CHALLENGE until END. Reads, and writes nothing. */
int vault_take_challenges(struct vault_wire *w, struct cof_io *io, const char *about, struct cof_diag *diag);

#define VAULT_UNLIKE_MAX 1024u /* frames that are named; a check ends there */
struct vault_unlike {
	uint64_t sequence, address;
	bool missing; /* the vault says itself that it has not got it whole */
};
struct vault_challenged {
	uint64_t frames, bytes; /* that were asked for and compared */
	uint64_t size;		/* frames of the newest head that the vault shows */
	struct vault_unlike unlike[VAULT_UNLIKE_MAX];
	unsigned n_unlike;
	bool ended;		/* so many were not alike that the rest was not asked for */
	bool met;		/* it is the vault that was met */
	unsigned refusal;	/* enum vault_refusal; 0: none */
};
struct vault_challenging {
	struct cof_io *io;  /* of the host's store */
	uint64_t confirmed; /* frames that the vault signed */
	uint64_t sample;    /* frames drawn at random, beside the last ones; 0: all are asked for */
	/* The line, on which HELLO was said; a second or third time where something differs: a new session. */
	int (*line)(void *user, struct vault_wire **ret, struct cof_diag *diag);
	/* Who answers, before anything is asked: an error ends the session. May be NULL. */
	int (*meet)(void *user, const char *about, struct cof_diag *diag);
	void *user;
	struct vault_progress progress; /* without sample */
};
/* As the host. What was destroyed here is not asked for, at either side. -EPROTONOSUPPORT: an older vault · -ESTALE: the
 * vault signed more than is here · -ENODATA: it shows less than it signed · -EUCLEAN: the log here is damaged. */
int vault_send_challenges(struct vault_source *s, const struct vault_challenging *p, struct vault_challenged *ret, struct cof_diag *diag);

/* ---- what a vault says of the rules (judged.c) ---- */

struct vault_judged {
	int64_t time;		/* INT64_MIN: never */
	uint64_t not_permitted; /* frames that do what nobody permitted, and that this vault's operator did not follow */
	uint64_t refused;	/* of them, those that take away what was promised: no head with such a one is signed */
	uint64_t end;		/* behind the last such frame */
	char first[512];	/* of them */
};
/* Whether a frame of this type can end a retention, a hold, or what permits that. */
bool vault_may_weaken(unsigned type);
/* Judges all of a copy, by this vault's clock as well, and keeps that in DIR/archives/ID/judged. places: what a
 * verification met, NULL: all headers are read. */
int vault_judge(struct cof_io *io, const struct cof_judge_places *places, struct vault_judged *ret, struct cof_diag *diag);
/* The same at the end of a session, by what is kept in DIR/archives/ID/places of the sessions before. */
int vault_judge_coming(struct cof_io *io, const struct vault_copy_state *s, struct vault_judged *ret, struct cof_diag *diag);
/* Frames could not be read when it was judged last: it is to be judged again with any head that comes. */
bool vault_unjudged(struct cof_io *io);
/* The operator has heard of what was found last, and it stays: sessions go on. -ENOENT: nothing was found. */
int vault_judged_follow(struct cof_io *io, struct vault_judged *ret, struct cof_diag *diag);
int vault_judged_load(struct cof_io *io, struct vault_judged *ret);

/* ---- a vault: a directory of copies (place.c) ---- */

struct vault_place {
	struct cof_io *io;
	struct cof_vkey vkey; /* cosignature/v1; its name is the vault's */
	uint8_t *seed;	      /* secure memory */
	char place[128];      /* "LAT,LON,NAME", or "" */
	char jurisdiction[8]; /* ISO 3166 letters, or "" */
	char tpm[256];	      /* where the TPM is that has the key sealed: as cof_tpm_open; "": the key lies in a file */
	unsigned grade;	      /* of its protection, as its operator states it: 1 to 4; 0: not said */
	int64_t created;
};
struct vault_sealing {
	const char *tpm;  /* as cof_tpm_open; NULL: the device */
	const char *pcrs; /* such as "0,7"; NULL: 7, or those that it is sealed under */
	const struct cof_tpm_pcrs *next; /* these values open too; NULL: none */
	const uint8_t *recovery;	 /* 32 bytes: key.age is sealed to this age recipient; NULL: as it is */
};
/* Makes one in an empty or new directory: -EEXIST. name: as a key's (crypto/note.h). grade 0: not said. seal NULL: the key lies in a
 * file. */
int vault_place_init(const char *dir, const char *name, const char *place, const char *jurisdiction, unsigned grade,
		     const struct vault_sealing *seal, struct cof_diag *diag);
/* Its key is sealed anew, under PCRs as they are now: what the TPM gives out, or a file has that goes then (*ret_filed); or, with
 * n identities, what key.age has. */
int vault_place_reseal(const char *dir, const struct vault_sealing *seal, const uint8_t (*identities)[COF_KEY], size_t n,
		       bool *ret_filed, struct cof_diag *diag);
int vault_place_open(const char *dir, struct vault_place *ret, struct cof_diag *diag); /* -ENOENT: none */
void vault_place_close(struct vault_place *v);
/* "LAT,LON,NAME" in degrees: -EINVAL with the reason. */
int vault_place_check(const char *place, struct cof_diag *diag);
/* The directory of an archive's copy. -ENOENT: there is none. */
int vault_place_archive(const struct vault_place *v, const uint8_t id[16], struct cof_io **ret, struct cof_diag *diag);
/* The same with its lock, which cof_io_free releases too; make: where it is not there it is made, and has nothing in it yet. -EBUSY · -ENOENT ·
 * -EOWNERDEAD: it was destroyed. Who finds it removed by whoever had the lock before begins again. */
int vault_place_lock(const struct vault_place *v, const uint8_t id[16], bool make, const char *holder, struct cof_io **ret,
		     struct cof_diag *diag);
/* The lock is held: a directory with nothing in it goes, and the lock with it. */
void vault_place_forget(const struct vault_place *v, const uint8_t id[16], struct cof_io *io);
typedef int (*vault_place_fn)(void *user, const uint8_t id[16]);
int vault_place_list(const struct vault_place *v, vault_place_fn fn, void *user);
/* "1" to "4". -EINVAL */
int vault_grade_read(const char *text, unsigned *ret);
#define VAULT_SCRUBBED 64 /* bytes of the line of a copy's file `scrubbed`, terminator included */
/* "WHEN VERDICT": RFC 3339, a blank, what the verdict was. */
bool vault_scrubbed_ok(const char *text);
/* What STATE says of a vault: lines of vkey, place, jurisdiction, recipient. */
void vault_place_about(const struct vault_place *v, struct cof_buf *ret);
/* And behind them, for a host that takes them, "key: value": grade, and when the last scrub of this copy ended, and how. */
void vault_place_about_more(const struct vault_place *v, struct cof_io *copy, struct cof_buf *ret);

struct vault_serve {
	const uint8_t *only; /* the one archive of this connection; NULL: any */
	bool no_new;	     /* archives that are not there are refused */
	uint64_t quota;	     /* bytes of each archive's log; 0: none */
	void (*told)(void *user, const char *line); /* what an operator should know; may be NULL */
	void *user;
};
/* One session, as the other side of coffer sync or coffer restore. */
int vault_serve(const struct vault_place *v, struct vault_wire *w, const struct vault_serve *p, struct cof_diag *diag);

/* ---- the tree R (keys.c, release.c): docs/vault-protocol.md 7 ---- */

#define VAULT_RECIPIENT 63 /* characters of an age recipient, with terminator */
/* The line of STATE that says to which age recipient R is sealed for this vault, signed by its key. */
int vault_recipient_line(const struct vault_place *v, struct cof_buf *ret);
/* line: without its end. -EUCLEAN · -EKEYREJECTED: not signed by vkey. */
int vault_recipient_read(const char *line, const struct cof_vkey *vkey, char ret[VAULT_RECIPIENT]);
/* What a receipt says of the tree R that the vault has newest: its SHA-256 and the vault's signature. -ENOENT: it has none. */
int vault_keys_line(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], struct cof_buf *ret);
int vault_keys_line_read(const char *line, const uint8_t id[16], const struct cof_vkey *vkey, char ret[2 * COF_HASH + 1]);
/* What a host sends as KEYS: kept beside those before in archives/ID/keys, at most 16. io: of the copy. -EKEYREJECTED: not
 * sealed to this vault · -EXDEV · -EBADMSG · -EDQUOT. */
int vault_keys_take(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const void *p, size_t n, struct cof_diag *diag);
int vault_keys_newest(struct cof_io *io, char ret[2 * COF_HASH + 1]); /* SHA-256 in hex. -ENOENT */
/* Sealed anew. which: a digest as status names it; NULL: the newest. Judges nothing. */
int vault_keys_give(const struct vault_place *v, struct cof_io *io, const uint8_t id[16], const char *which, const uint8_t to[32],
		    struct cof_buf *ret, struct cof_diag *diag);

/* What the log destroys, as far as this vault permitted it (judged.c) under a head that it signed: keys, bytes, receipts. The
 * copy's lock is held. Cut off, it goes on; with nothing to do, 0. */
int vault_carry_out(const struct vault_place *v, struct cof_io *io, unsigned *ret_receipts, struct cof_diag *diag);

#define VAULT_RELEASE_LIFE (30 * 86400 * COF_NSEC)
struct vault_approval {
	const char *name, *armored; /* who, and the SSH signature */
};
/* The document that people sign, for R to be released by this vault to an age recipient: canonical JSON, as all requests. */
int vault_release_document(const struct vault_place *v, const uint8_t id[16], const char *author, const char *to, const char *reason,
			   struct cof_buf *ret, struct cof_diag *diag);
/* What the vault signs then, in three lines: o has time, request, to, reason, signed; archive and vault are added. */
int vault_released_sign(const struct vault_place *v, const uint8_t id[16], struct cof_json *o, struct cof_buf *ret);
bool vault_released_is(const char *text);
/* *ret: the caller's. -EUCLEAN · -EKEYREJECTED · -EXDEV */
int vault_released_read(const char *text, const uint8_t id[16], const struct cof_vkey *vkey, struct cof_json **ret, struct cof_diag *diag);
/* Judged by the people and rules of the vault's own copy and by its clock, executed once: noted as such, durably, before ret
 * has anything. approval[0]: the author's signature under the request. -EPERM with the reason. */
int vault_release(const struct vault_place *v, const uint8_t id[16], const char *document, const struct vault_approval *approval, size_t n,
		  struct cof_buf *ret, struct cof_diag *diag);

/* ---- the way to a vault (transport.c) ---- */

struct vault_line {
	pid_t pid; /* of the process that carries it; 0: none */
	struct vault_wire wire;
};
int vault_url_check(const char *url, struct cof_diag *diag); /* -EINVAL */
/* url: ssh://[USER@]HOST[:PORT]/DIR, with ssh or what COFFER_SSH names; dir:/DIR. */
int vault_line_open(const char *url, struct vault_line *ret, struct cof_diag *diag);
void vault_line_hang_up(struct vault_line *l); /* nothing more is said or heard; the process may still run */
/* Hangs up, and the process's exit status, once it ended; one that does not end by itself within 20 s, or the wire's timeout if
 * that is less, is ended: 128. */
int vault_line_close(struct vault_line *l);
void vault_line_drop(struct vault_line *l); /* of one on which nothing was said: its process is ended */

/* ---- HELLO ---- */

enum vault_role { VAULT_SENDS = 1, VAULT_FETCHES = 2, VAULT_MENDS = 3, VAULT_CHALLENGES = 4 };
struct vault_hello {
	enum vault_role role; /* of whoever says hello */
	uint8_t id[16], session[16];
	bool receipts; /* it takes RECEIPT */
	bool more;     /* and lines of about behind the fourth */
	const char *conf; /* archive.conf, NUL-terminated, within the body; of VAULT_SENDS */
	size_t conf_len;
};
int vault_hello_send(struct vault_wire *w, enum vault_role role, const uint8_t id[16], const char *conf,
		     uint8_t ret_session[16]);
int vault_hello_read(const struct cof_buf *body, struct vault_hello *ret, unsigned *ret_code, struct cof_diag *diag);


/* ---- what a vault has (ask.c): the way is open, nothing was said yet ---- */

/* As whoever fetches: HELLO, and the archive's identity, the text of archive.conf (malloc'ed). STATE comes next. */
int vault_ask_identity(struct vault_wire *w, const uint8_t id[16], char **ret_conf, struct cof_diag *diag);
/* Behind it: HEAD, and in it the note of the newest head (malloc'ed), of which nothing was looked at. An empty copy may go on from
 * there: vault_taking.head. */
int vault_ask_head(struct vault_wire *w, struct cof_buf *ret_head, char **ret_note, struct cof_diag *diag);

/* ---- retiring (retire.c) ---- */

#define VAULT_RECEIPT_MAX 8192u
struct vault_receipt { /* that a vault destroyed what it had of an archive */
	uint8_t id[16], root[COF_HASH];
	struct cof_vkey vkey; /* as it names it: whose key that is the caller compares */
	uint64_t size, bytes, files; /* of the newest head; what was overwritten */
	bool asked; /* the archive's own log said that the vault is retired */
	int64_t ended;
};
/* text: NUL-terminated. -EUCLEAN · -EKEYREJECTED: not signed with the key that it names. */
int vault_receipt_read(const char *text, struct vault_receipt *ret, struct cof_diag *diag);
/* Overwrites, removes and looks again; adds the receipt to ret, which DIR/retired keeps. Cut off, it goes on; done, it gives
 * the same receipt. -EPERM: the archive did not ask, and unasked is false. */
int vault_destroy(const struct vault_place *v, const uint8_t id[16], bool unasked, struct cof_buf *ret,
		  struct cof_diag *diag);
int vault_retired(const struct vault_place *v, const uint8_t id[16]); /* 1: destroyed, or begun */

/* ---- witnesses (witness.c): c2sp.org/tlog-witness ---- */

struct vault_answer {
	unsigned status; /* of HTTP */
	const char *type;
	struct cof_buf body; /* of 200: the cosignature's line */
};
/* The body of an add-checkpoint request. 0, whatever the answer; ret->body is to be done. */
int vault_witness(const struct vault_place *v, const char *body, size_t n, struct vault_answer *ret);
/* One request over descriptors. -EPIPE: nobody is there. */
int vault_witness_http(const struct vault_place *v, int in, int out);

#endif
