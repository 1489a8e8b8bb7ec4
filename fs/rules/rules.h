/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/rules: pure functions (policy, object, operation, actor, time) -> ruling with reason. No I/O, no
 * state; mount, explain, vault and the model test share it. The table is that of docs/semantics.md.
 */
#ifndef COF_RULES_H
#define COF_RULES_H

#include "base/base.h"

enum cof_op_kind {
	COF_OP_CREATE,	 /* a file, directory or symlink under parent/name; kind, mode, target */
	COF_OP_OPEN,	 /* flags: open(2)'s */
	COF_OP_WRITE,	 /* offset, length, data; durable */
	COF_OP_TRUNCATE, /* length: the new size (ftruncate, O_TRUNC) */
	COF_OP_FALLOCATE, /* flags: fallocate(2)'s mode, offset, length */
	COF_OP_CHMOD,	 /* mode */
	COF_OP_CHOWN,	 /* uid, gid; valid says which */
	COF_OP_UTIMES,	 /* atime, mtime; valid says which */
	COF_OP_UNLINK, COF_OP_RMDIR, /* parent, name; ino is what they name */
	COF_OP_RENAME,	 /* parent, name, new_parent, new_name, flags: renameat2(2)'s; target_ino */
	COF_OP_LINK, COF_OP_MKNOD,
	COF_OP_COMMIT,	 /* retain: what is asked, COF_RETAIN_NONE: the shelf's default */
	COF_OP_RETAIN,	 /* retain: a later end for a committed file */
	COF_OP_SHELF_ADD, /* name, policy text in data, length; the object is the root */
	COF_OP_SHELF_SET, /* ino of the shelf, policy text in data, length: stronger only */
	COF_OP_SETXATTR, /* name, value in data and length */
	COF_OP_REMOVEXATTR,
	COF_OP_SETFLAGS, /* flags: FS_IOC_SETFLAGS's, all that shall be set from now on (chattr) */
	COF_OP_MMAP_WRITE, COF_OP_REFLINK,
	COF_OP_RETAIN_EVENT, /* name: the event that a committed file's retention has to wait for from now on */
	COF_OP_HOLD_BEGIN,   /* of a file or a directory */
	/* What weakens: only with approved, which says that the rule of the request is met. */
	COF_OP_HOLD_END,
	COF_OP_RETENTION_END, /* retain: the earlier end */
	COF_OP_EVENT_DECLARE, /* name, and in retain when it happened, in retention time */
	COF_OP_REMOVE,	      /* of a file whose retention is over, as a request and not as rm */
	COF_OP_DESTROY,	      /* its content, for good, of a file that may be removed or was; its name stays as it is */
	COF_OP_COUNT_
};
const char *cof_op_name(enum cof_op_kind kind); /* "write", "unlink", … */

enum { /* valid */
	COF_SET_UID = 1, COF_SET_GID = 2, COF_SET_ATIME = 4, COF_SET_MTIME = 8,
	COF_SET_ATIME_NOW = 16, COF_SET_MTIME_NOW = 32
};

struct cof_op {
	enum cof_op_kind kind;
	uint64_t ino, parent, new_parent, target_ino; /* target_ino: what new_name names now, or 0 */
	const char *name, *new_name, *target; /* bytes with a NUL behind; xattr name in name */
	uint8_t node_kind; /* CREATE: enum cof_kind */
	uint32_t mode, uid, gid, flags, valid;
	uint64_t offset, length;
	const void *data;
	int64_t atime, mtime; /* ns; what is beyond 2262 is INT64_MAX - 1 */
	int64_t retain;	      /* COMMIT, RETAIN: retention time in ns, or COF_RETAIN_... */
	bool durable;	      /* O_SYNC, O_DSYNC or the shelf's policy */
	bool resent;	      /* the kernel sends it a second time */
	bool approved;	      /* a request for it has the approvals that its rule asks for */
};

struct cof_who { /* from the request; 0:0:0 with daemon set for the daemon's own acts */
	uint32_t uid, gid, pid;
	bool daemon;
};

enum cof_durability { COF_DURABLE_ON_SYNC = 0, COF_DURABLE_ON_WRITE = 1 };

/* Whether a retention that runs can be ended: by nobody, or by a quorum. Field 104 of docs/format.md. */
enum cof_retain_mode { COF_COMPLIANCE = 0, COF_GOVERNANCE = 1 };
enum cof_leak_guard { COF_LEAK_OFF = 0, COF_LEAK_REPORT = 1, COF_LEAK_REFUSE = 2 };

/* What needs approval, each with a rule of its own: "N [role...]", N distinct persons in all, the author
 * included, and at least one of each role that is named. */
enum cof_approve {
	COF_APPROVE_HOLD_END,
	COF_APPROVE_REMOVE,
	COF_APPROVE_RETENTION_END, /* and the declaration of an event that a retention waits for */
	COF_APPROVE_POLICY,
	COF_APPROVE_ESCROW, /* a release of an escrowed key, an epoch, a custodian */
	COF_APPROVE_COUNT_
};
#define COF_APPROVE_TEXT 64
#define COF_EVENT_NAME 32 /* of an event that a retention counts from, its NUL included */

/* Retention: ends are retention times in ns, spans are ns. */
#define COF_RETAIN_NONE INT64_MIN	/* no end was asked for, or none is kept */
#define COF_RETAIN_INFINITE INT64_MAX

struct cof_policy { /* of a shelf; grows with later capabilities */
	enum cof_durability durability;
	bool refuse_rofs; /* EROFS instead of EPERM */
	/*
	 * Retention spans from the commit on. Where retention is false (no key retention is given)
	 * committed files are immutable and never end by themselves. Otherwise 0 <= min <= def <= max;
	 * COF_RETAIN_INFINITE is a span too.
	 */
	bool retention, strict; /* strict: what is outside min and max is EINVAL instead of clamped */
	int64_t retention_default, retention_min, retention_max;
	int64_t autocommit;    /* idle span after which an open file with content counts as committed; 0: never */
	uint64_t quota_bytes, quota_files; /* 0: none. EDQUOT */
	bool staging;	       /* withdrawal of what was never committed: a later capability; recorded only */
	char record_kind[64];  /* free text: "log", "certificate" … ; "" */
	enum cof_retain_mode mode;
	int64_t cooling_off;   /* so long after a commit a compliance retention can be ended like the other */
	char retain_event[COF_EVENT_NAME]; /* retention counts from when it is declared; "" : from the commit */
	bool retain_certificates; /* retain_follows = certificates */
	bool certificates;     /* what is committed is read as certificates */
	int64_t retain_margin; /* kept so long after the latest notAfter */
	bool read_events;      /* every opening for reading is an event */
	int64_t silence;       /* alarm when nothing was appended for so long; 0: never */
	enum cof_leak_guard leak_guard;
	char approve[COF_APPROVE_COUNT_][COF_APPROVE_TEXT]; /* canonical; "": the default, as in a zeroed policy */
	bool remove_by_rm;     /* rm of an expired file asks for its removal instead of only being refused */
	int64_t release_delay; /* an escrowed key goes out so long after its release was approved, and may be vetoed till then */
};
void cof_policy_default(struct cof_policy *ret);
/*
 * Readable INI without sections. -EUCLEAN with key and line.
 *   durability = sync | write          refuse = perm | rofs
 *   retention = SPAN | infinite        the default; required as soon as min or max is given
 *   retention_min = SPAN | infinite    0 when not given
 *   retention_max = SPAN | infinite    infinite when not given
 *   strict = yes | no                  autocommit = SPAN
 *   quota = BYTES[K|M|G|T]             quota_files = N
 *   staging = yes | no                 record_kind = TEXT
 *   mode = compliance | governance     cooling_off = SPAN
 *   retain_event = NAME                1 to 31 of a-z, 0-9 and -
 *   retain_follows = none | certificates
 *   certificates = yes | no            retain_margin = SPAN
 *   read_events = yes | no             silence = SPAN
 *   leak_guard = off | report | refuse
 *   approve_hold_end, approve_remove, approve_retention_end, approve_policy, approve_escrow = N [ROLE...]
 *   remove = request | rm              release_delay = SPAN
 * SPAN: a whole number and one of s, min, h, d, w, y (365 d). 0 is "0s".
 */
int cof_policy_parse(const char *text, size_t n, struct cof_policy *ret, struct cof_diag *diag);
int cof_policy_text(const struct cof_policy *p, struct cof_buf *ret); /* canonical; parse reads it back */
/*
 * True when new promises everything that old does. Otherwise *ret_why says what would become weaker
 * ("retention_min would be shorter"), static. A quota promises room: it may grow, never shrink. Without
 * retention files never end, so only an infinite minimum may take its place.
 */
bool cof_policy_is_stronger(const struct cof_policy *old, const struct cof_policy *new_one, const char **ret_why);
/* The rule in force, "2" or "2 auditor" where the policy says nothing. */
const char *cof_policy_approve(const struct cof_policy *p, enum cof_approve what);
/* What a rule says: persons, and which of cof_role_names as bits. -EINVAL. */
int cof_approve_parse(const char *text, unsigned *ret_persons, unsigned *ret_roles);
extern const char *const cof_role_names[]; /* in alphabetic order; NULL behind the last */
bool cof_event_name_ok(const char *name);
int cof_span_parse(const char *text, int64_t *ret); /* "10y", "infinite"; -EINVAL */
void cof_span_text(int64_t span, char out[32]);	    /* the largest unit that says it exactly */
/* An end as people and tools write it: RFC 3339 in UTC, "2031-01-02 03:04:05" (UTC) or "infinite". A zero
 * byte or a line end may follow. -EINVAL; what is beyond 2262 is INT64_MAX - 1, never infinite. */
int cof_retain_parse(const void *text, size_t n, int64_t *ret);

struct cof_object { /* what the ruling is about; zero for CREATE */
	uint8_t kind, state; /* enum cof_kind, enum cof_state (fs/index/index.h's numbers) */
	uint64_t ino, size, parent;
	uint32_t mode, uid, gid;
	bool is_shelf, is_root, empty_dir; /* of directories */
	bool in_root; /* parent is the root: only shelves live there */
	/* RENAME: what stands at the new name */
	bool target_exists, target_empty; /* an open file without content, or an empty directory */
	uint8_t target_kind, target_state;
	bool new_parent_is_root;
	bool other_shelf; /* the new parent lies in another shelf: EXDEV, its policy promises something else */
	/* RENAME of a committed file: this process committed it less than a minute ago and has not renamed
	 * it since (rsync commits its temporary name, then renames). The archive remembers that. */
	bool rename_once;
	int64_t retain_until; /* of a committed file; COF_RETAIN_NONE */
	int64_t asked_until;  /* of an open one: the access time that was set, else COF_RETAIN_NONE */
	int64_t idle_since;   /* retention time of the last write, for autocommit */
	bool has_writers;     /* somebody has it open for writing */
	/* How many legal holds cover it, by its own name or that of a directory above. */
	uint32_t holds;
	bool held_by_name;  /* a hold names it itself: then it keeps its name too */
	bool target_held;   /* RENAME: what stands at the new name is */
	/* What other facts demand at least; COF_RETAIN_NONE: nothing (so does 0). Of a file that is about to be
	 * committed too. */
	int64_t least_until;
	bool event_due;	    /* the event that its retention counts from was not declared yet */
	int64_t event_span; /* of a committed file with an event: kept so long from then on */
	char event[COF_EVENT_NAME]; /* its name; "" : none, or declared */
	bool escrow;	    /* DESTROY: a record of escrow is about this file */
	bool destroyed;	    /* DESTROY: of a file that was removed: its content is gone already */
	uint8_t mode_kept;  /* enum cof_retain_mode, of a committed file */
	int64_t binds_from; /* a compliance retention can be ended before this retention time; NONE or 0: never */
	/* Used, for quotas (CREATE, WRITE, TRUNCATE): the sum of the sizes, and all nodes below the shelf. */
	uint64_t shelf_bytes, shelf_files;
};

/* The state as it is now: an open file whose autocommit is due is committed, a committed one whose
 * retention is over is expired. */
uint8_t cof_state_now(const struct cof_policy *policy, const struct cof_object *object, int64_t now);


enum cof_effect {
	COF_EFFECT_NONE,   /* accepted, nothing to record (repeated chmod, KEEP_SIZE) */
	COF_EFFECT_APPEND, /* at the end */
	COF_EFFECT_HOLE,   /* a hole up to offset first, then append (ftruncate upwards: the hole alone) */
	COF_EFFECT_CREATE, COF_EFFECT_ATTR, COF_EFFECT_COMMIT, COF_EFFECT_RENAME, COF_EFFECT_REMOVE,
	COF_EFFECT_EXTEND, /* a later end: an EXTEND frame */
	COF_EFFECT_ASK,	   /* the access time of an open file: asked_until, recorded in an ATTR frame; where
			    * it is COF_RETAIN_NONE an earlier request is withdrawn. UTIMES: the mtime that
			    * `valid` tells goes into the same frame */
	COF_EFFECT_SHELF,  /* a SHELF frame */
	COF_EFFECT_HOLD,   /* a HOLD frame, begin or end */
	COF_EFFECT_EVENT,  /* an EXTEND frame that names an event to wait for, or its declaration */
	COF_EFFECT_END,	   /* an EXTEND frame with an earlier end, by approval */
	COF_EFFECT_DESTROY, /* a DESTROY frame, by approval */
	COF_EFFECT_ASK_REMOVE, /* refused (error), and that it shall go is put on record: people decide */
	COF_EFFECT_ECHO,   /* a resent write that is there already: acknowledge if the bytes are equal */
};

struct cof_ruling {
	int error; /* 0 or -errno */
	enum cof_effect effect;
	bool record;	    /* a refusal that becomes an event */
	const char *rule;   /* short stable name: "append-only", "committed", "no-hard-links" … */
	const char *reason; /* a sentence for people; static */
	/* COMMIT, EXTEND: granted and asked, and `rule` is what the frame says; ASK: asked. Else NONE. */
	int64_t retain_until, asked_until;
	/* COMMIT: what its frame says beside. event: NULL, or the policy's or the operation's. */
	uint8_t mode;		/* enum cof_retain_mode */
	int64_t binds_from;	/* COF_RETAIN_NONE: from the commit on */
	const char *event;
	int64_t event_span;
	/* Autocommit was due: a COMMIT frame by the daemon, as cof_rule_autocommit says, comes before this,
	 * also before a refusal; the rest of the ruling is already that about the committed file. */
	bool commit_first;
};

/* When it ends: the latest of what was granted and what other facts demand. COF_RETAIN_INFINITE where it never
 * does, or not before an event is declared; holds are not looked at. */
int64_t cof_rule_end(const struct cof_object *object);

/* What a file that is about to be committed demands by its content, which is read only once the ruling says commit:
 * its end is not before least (COF_RETAIN_NONE: nothing is demanded). Of a shelf without retention nothing ends. */
void cof_rule_least(int64_t least, struct cof_ruling *commit);
/* How long a file is kept that follows certificates: until margin behind the latest end that is known (NONE: no
 * certificate is), and as long from its commit as the longest of them was issued for (0). NONE: nothing is asked. */
int64_t cof_rule_follow(int64_t latest, int64_t longest, int64_t committed, int64_t margin);

void cof_rule(const struct cof_policy *policy, const struct cof_object *object,
	      const struct cof_op *op, const struct cof_who *who, int64_t now,
	      struct cof_ruling *ret);

/* Whether autocommit is due, and then the COMMIT ruling for it. For what is found on access, and for who looks
 * through idle files. It never fails: what is out of bounds is clamped, also where the shelf is strict. The end
 * counts from the moment it was due, whenever that is seen. */
bool cof_rule_autocommit(const struct cof_policy *policy, const struct cof_object *object, int64_t now,
			 struct cof_ruling *ret);

/* True where Linux itself refuses before Coffer is asked, with its errno: permissions of the mode, ownership,
 * what FUSE does not pass on. A model for explanations and tests, rule "linux". TRUNCATE is by name, writes are
 * through a descriptor; permissions of directories on the way are left out. */
bool cof_rule_kernel(const struct cof_object *object, const struct cof_op *op, const struct cof_who *who,
		     struct cof_ruling *ret);

#endif
