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
	COF_OP_COMMIT,
	COF_OP_SETXATTR, COF_OP_REMOVEXATTR,
	COF_OP_MMAP_WRITE, COF_OP_REFLINK,
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
	int64_t atime, mtime; /* ns */
	bool durable;	      /* O_SYNC, O_DSYNC or the shelf's policy */
	bool resent;	      /* the kernel sends it a second time */
};

struct cof_who { /* from the request; 0:0:0 with daemon set for the daemon's own acts */
	uint32_t uid, gid, pid;
	bool daemon;
};

enum cof_durability { COF_DURABLE_ON_SYNC = 0, COF_DURABLE_ON_WRITE = 1 };

struct cof_policy { /* of a shelf; grows with later capabilities */
	enum cof_durability durability;
	bool refuse_rofs; /* EROFS instead of EPERM */
};
void cof_policy_default(struct cof_policy *ret);
/* Readable INI without sections: "durability = sync|write", "refuse = perm|rofs". -EUCLEAN, with key and line */
int cof_policy_parse(const char *text, size_t n, struct cof_policy *ret, struct cof_diag *diag);
int cof_policy_text(const struct cof_policy *p, struct cof_buf *ret); /* canonical; parse reads it back */

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
	/* RENAME of a committed file: this process committed it less than a minute ago and has not renamed
	 * it since (rsync commits its temporary name, then renames). The archive remembers that. */
	bool rename_once;
};

enum cof_effect {
	COF_EFFECT_NONE,   /* accepted, nothing to record (repeated chmod, KEEP_SIZE) */
	COF_EFFECT_APPEND, /* at the end */
	COF_EFFECT_HOLE,   /* a hole up to offset first, then append (ftruncate upwards: the hole alone) */
	COF_EFFECT_CREATE, COF_EFFECT_ATTR, COF_EFFECT_COMMIT, COF_EFFECT_RENAME, COF_EFFECT_REMOVE,
	COF_EFFECT_ECHO,   /* a resent write that is there already: acknowledge if the bytes are equal */
};

struct cof_ruling {
	int error; /* 0 or -errno */
	enum cof_effect effect;
	bool record;	    /* a refusal that becomes an event */
	const char *rule;   /* short stable name: "append-only", "committed", "no-hard-links" … */
	const char *reason; /* a sentence for people; static */
};

void cof_rule(const struct cof_policy *policy, const struct cof_object *object,
	      const struct cof_op *op, const struct cof_who *who, int64_t now,
	      struct cof_ruling *ret);

#endif
