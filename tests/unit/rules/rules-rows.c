/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts that docs/rules.md lists, in its order. */
#include "rules-rows.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/index/index.h" /* its numbers of kinds and states alone */

const char row_policy[] = "retention = 10y\nretention_min = 30d\nretention_max = 20y\n";
#define STRICT "retention = 10y\nretention_min = 30d\nretention_max = 20y\nstrict = yes\n"
#define QUOTA "quota = 100\nquota_files = 1\n"

#define LATER "2050-01-01T00:00:00Z"
#define EARLIER "2024-11-01T00:00:00Z"
#define VALUE(v) .data = (v), .length = sizeof(v) - 1
#define RENAME(f)                                                                                  \
	{                                                                                          \
		COF_OP_RENAME, .parent = 5, .new_parent = 5, .flags = (f)                          \
	}
#define F ROW_FILES
#define MISSING (1u << ROW_MISSING)
#define REMOVED (1u << ROW_REMOVED)
#define DATA (1u << ROW_OPEN | 1u << ROW_COMMITTED | 1u << ROW_EXPIRED)

const struct row_attempt row_attempts[] = {
    {"Writing",
     "append",
     "write at the end, through a descriptor opened earlier",
     F | REMOVED,
     {COF_OP_WRITE, .offset = 100, .length = 1},
     .by_descriptor = true},
    {NULL,
     "write-below",
     "write below the end, through a descriptor opened earlier",
     DATA,
     {COF_OP_WRITE, .offset = 99, .length = 1},
     .by_descriptor = true},
    {NULL,
     "write-beyond",
     "write beyond the end, through a descriptor opened earlier",
     F | REMOVED,
     {COF_OP_WRITE, .offset = 200, .length = 1},
     .by_descriptor = true},
    {NULL,
     "ftruncate-up",
     "ftruncate to more",
     F | REMOVED,
     {COF_OP_TRUNCATE, .length = 200},
     .by_descriptor = true},
    {NULL,
     "ftruncate-down",
     "ftruncate to less",
     DATA,
     {COF_OP_TRUNCATE, .length = 1},
     .by_descriptor = true},
    {NULL,
     "truncate-down",
     "truncate(2) by name, to nothing",
     F | MISSING,
     {COF_OP_TRUNCATE, .length = 0}},
    {NULL, "truncate-up", "truncate(2) by name, to more", F, {COF_OP_TRUNCATE, .length = 200}},
    {NULL,
     "fallocate-keep",
     "fallocate with KEEP_SIZE alone",
     F | REMOVED,
     {COF_OP_FALLOCATE, .flags = FALLOC_FL_KEEP_SIZE, .length = 10},
     .by_descriptor = true},
    {NULL, "fallocate-grow", "fallocate that grows", F, {COF_OP_FALLOCATE, .length = 200}},
    {NULL,
     "fallocate-punch",
     "fallocate that punches a hole below the end",
     DATA,
     {COF_OP_FALLOCATE, .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, .length = 10}},
    {NULL,
     "fallocate-punch-end",
     "fallocate that punches a hole behind the end",
     F,
     {COF_OP_FALLOCATE,
      .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
      .offset = 100,
      .length = 10}},
    {NULL,
     "fallocate-zero",
     "fallocate that zeroes",
     DATA,
     {COF_OP_FALLOCATE, .flags = FALLOC_FL_ZERO_RANGE, .length = 10}},
    {NULL,
     "fallocate-collapse",
     "fallocate that collapses, inserts or unshares",
     DATA,
     {COF_OP_FALLOCATE, .flags = FALLOC_FL_COLLAPSE_RANGE, .length = 10}},
    {NULL, "mmap-write", "a shared writable mapping", DATA, {COF_OP_MMAP_WRITE}},
    {NULL, "reflink", "FICLONE into the file", DATA, {COF_OP_REFLINK}},

    {"Opening",
     "open-read",
     "open for reading",
     F | MISSING,
     {COF_OP_OPEN, .flags = O_RDONLY}},
    {NULL,
     "open-write",
     "open for writing, also for appending",
     F | MISSING,
     {COF_OP_OPEN, .flags = O_WRONLY | O_APPEND}},
    {NULL,
     "open-trunc",
     "open with O_TRUNC",
     F | MISSING,
     {COF_OP_OPEN, .flags = O_WRONLY | O_TRUNC}},
    {NULL,
     "open-write-dir",
     "open a directory for writing",
     1u << ROW_DIR,
     {COF_OP_OPEN, .flags = O_WRONLY}},
    {NULL,
     "tmpfile",
     "open with O_TMPFILE inside it",
     1u << ROW_DIR | 1u << ROW_EMPTY_DIR,
     {COF_OP_OPEN, .flags = O_TMPFILE | O_RDWR}},

    {"Committing",
     "chmod-no-write",
     "chmod to a mode without write permission (0444)",
     F,
     {COF_OP_CHMOD, .mode = 0444}},
    {NULL,
     "chmod-less",
     "chmod to another mode without write permission (0400)",
     F,
     {COF_OP_CHMOD, .mode = 0400}},
    {NULL, "commit", "coffer commit", F | 1u << ROW_DIR, {COF_OP_COMMIT}},
    {NULL,
     "commit-later",
     "coffer commit with an end within the bounds",
     F,
     {COF_OP_COMMIT, .retain = ROW_NOW + 15 * 365 * ROW_DAY}},
    {NULL,
     "commit-below",
     "coffer commit with an end below the shelf's minimum",
     1u << ROW_OPEN,
     {COF_OP_COMMIT, .retain = ROW_NOW + ROW_DAY}},
    {NULL,
     "commit-above",
     "coffer commit with an end above the shelf's maximum",
     1u << ROW_OPEN,
     {COF_OP_COMMIT, .retain = ROW_NOW + 50 * 365 * ROW_DAY}},
    {NULL,
     "commit-past",
     "coffer commit with an end that is over",
     1u << ROW_OPEN,
     {COF_OP_COMMIT, .retain = ROW_NOW - ROW_DAY}},
    {NULL,
     "chattr-add-i",
     "chattr +i",
     F | 1u << ROW_DIR,
     {COF_OP_SETFLAGS, .flags = FS_IMMUTABLE_FL | FS_APPEND_FL}},
    {NULL, "chattr-none", "chattr that takes a and i away", F, {COF_OP_SETFLAGS}},
    {NULL,
     "chattr-other",
     "chattr that adds another flag",
     F,
     {COF_OP_SETFLAGS, .flags = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NOATIME_FL}},

    {"Retention",
     "atime-later",
     "a later access time alone (touch -a -d), within the bounds",
     F | 1u << ROW_DIR,
     {COF_OP_UTIMES, .atime = ROW_NOW + 15 * 365 * ROW_DAY, .valid = COF_SET_ATIME}},
    {NULL,
     "atime-earlier",
     "an earlier access time alone",
     F,
     {COF_OP_UTIMES, .atime = ROW_NOW - 900 * ROW_DAY, .valid = COF_SET_ATIME}},
    {NULL,
     "atime-withdraw",
     "a past access time, after a later one was asked for",
     1u << ROW_EMPTY | 1u << ROW_OPEN,
     {COF_OP_UTIMES, .atime = ROW_NOW - ROW_DAY, .valid = COF_SET_ATIME},
     .more = {.asked_until = ROW_NOW + 15 * 365 * ROW_DAY}},
    {NULL,
     "atime-above",
     "an access time above the shelf's maximum",
     F,
     {COF_OP_UTIMES, .atime = ROW_NOW + 50 * 365 * ROW_DAY, .valid = COF_SET_ATIME}},
    {NULL,
     "atime-now",
     "the access time alone to now (touch -a)",
     F,
     {COF_OP_UTIMES, .valid = COF_SET_ATIME_NOW}},
    {NULL,
     "times-now",
     "both times to now (touch)",
     F,
     {COF_OP_UTIMES, .valid = COF_SET_ATIME_NOW | COF_SET_MTIME_NOW}},
    {NULL,
     "times-both",
     "a later access time and a modification time together",
     F,
     {COF_OP_UTIMES, .atime = ROW_NOW + 15 * 365 * ROW_DAY, .mtime = 1,
      .valid = COF_SET_ATIME | COF_SET_MTIME}},
    {NULL,
     "retain-later",
     "coffer retain with a later end",
     F | 1u << ROW_DIR,
     {COF_OP_RETAIN, .retain = ROW_NOW + 15 * 365 * ROW_DAY}},
    {NULL,
     "retain-earlier",
     "coffer retain with an earlier end",
     F,
     {COF_OP_RETAIN, .retain = ROW_NOW - 900 * ROW_DAY}},
    {NULL,
     "retain-infinite",
     "coffer retain without end (maximum: 20 years)",
     F,
     {COF_OP_RETAIN, .retain = COF_RETAIN_INFINITE}},
    {NULL,
     "xattr-retain",
     "setfattr user.coffer.retain_until, a later end",
     F,
     {COF_OP_SETXATTR, .name = "user.coffer.retain_until", VALUE("2039-01-01T00:00:00Z")}},
    {NULL,
     "xattr-retain-system",
     "setfattr system.coffer.retain_until, a later end",
     F,
     {COF_OP_SETXATTR, .name = "system.coffer.retain_until", VALUE("2039-01-01T00:00:00Z")}},
    {NULL,
     "xattr-retain-earlier",
     "setfattr system.coffer.retain_until, an earlier end",
     F,
     {COF_OP_SETXATTR, .name = "system.coffer.retain_until", VALUE("2020-01-01T00:00:00Z")}},
    {NULL,
     "xattr-immutable",
     "setfattr user.immutable.until, a later end",
     F,
     {COF_OP_SETXATTR, .name = "user.immutable.until", VALUE("2039-01-01 00:00:00")}},
    {NULL,
     "xattr-retain-remove",
     "setfattr -x system.coffer.retain_until",
     F,
     {COF_OP_REMOVEXATTR, .name = "system.coffer.retain_until"}},

    {"Attributes",
     "chmod-write",
     "chmod to another mode with write permission",
     F | ROW_DIRS | 1u << ROW_SYMLINK | MISSING,
     {COF_OP_CHMOD, .mode = 0664}},
    {NULL, "chmod-same", "chmod to the same mode", F, {COF_OP_CHMOD, .mode = 0}},
    {NULL,
     "chown",
     "chown to another user",
     F | ROW_DIRS | 1u << ROW_SYMLINK | MISSING,
     {COF_OP_CHOWN, .uid = 12, .valid = COF_SET_UID}},
    {NULL,
     "chgrp",
     "chown to a group that its owner is not in",
     F | 1u << ROW_DIR,
     {COF_OP_CHOWN, .gid = 12, .valid = COF_SET_GID}},
    {NULL,
     "mtime",
     "a modification time",
     F | 1u << ROW_DIR | 1u << ROW_ROOT | MISSING,
     {COF_OP_UTIMES, .mtime = 1, .valid = COF_SET_MTIME}},
    {NULL,
     "xattr-user",
     "setfattr user.NAME",
     F | ROW_DIRS | 1u << ROW_SYMLINK | MISSING,
     {COF_OP_SETXATTR, .name = "user.note", VALUE("x")}},
    {NULL,
     "xattr-user-remove",
     "setfattr -x user.NAME",
     F,
     {COF_OP_REMOVEXATTR, .name = "user.note"}},
    {NULL,
     "xattr-coffer",
     "setfattr user.coffer.state, and all others but retain_until",
     F,
     {COF_OP_SETXATTR, .name = "user.coffer.state", VALUE("open")}},
    {NULL,
     "xattr-security",
     "setfattr security.NAME",
     F,
     {COF_OP_SETXATTR, .name = "security.note", VALUE("x")}},
    {NULL,
     "xattr-trusted",
     "setfattr trusted.NAME",
     F,
     {COF_OP_SETXATTR, .name = "trusted.note", VALUE("x")}},
    {NULL,
     "xattr-system",
     "setfattr system.NAME",
     F,
     {COF_OP_SETXATTR, .name = "system.note", VALUE("x")}},
    {NULL,
     "xattr-unknown",
     "setfattr NAMESPACE.NAME, of another namespace",
     F,
     {COF_OP_SETXATTR, .name = "note.note", VALUE("x")}},
    {NULL,
     "xattr-acl",
     "setfacl",
     F | 1u << ROW_DIR,
     {COF_OP_SETXATTR, .name = "system.posix_acl_access", VALUE("x")}},

    {"Names", "unlink", "unlink", F | 1u << ROW_SYMLINK | 1u << ROW_DIR | MISSING, {COF_OP_UNLINK}},
    {NULL, "rmdir", "rmdir", ROW_DIRS | 1u << ROW_OPEN | MISSING, {COF_OP_RMDIR}},
    {NULL, "rename", "rename to a free name", F | ROW_DIRS | 1u << ROW_SYMLINK | MISSING,
     RENAME(0)},
    {NULL, "rename-once",
     "rename to a free name in the same directory, by the process that committed it "
     "less than a minute ago, for the first time",
     1u << ROW_COMMITTED, RENAME(0), .more = {.rename_once = true}},
    {NULL, "rename-over-empty", "rename over an empty open file",
     F | 1u << ROW_SYMLINK | 1u << ROW_EMPTY_DIR, RENAME(0),
     .more = {.target_exists = true, .target_empty = true, .target_kind = COF_KIND_FILE}},
    {NULL, "rename-over", "rename over an open file with content",
     F | 1u << ROW_SYMLINK | 1u << ROW_EMPTY_DIR, RENAME(0),
     .more = {.target_exists = true, .target_kind = COF_KIND_FILE}},
    {NULL, "rename-over-committed", "rename over a committed file", F | 1u << ROW_SYMLINK,
     RENAME(0),
     .more = {.target_exists = true,
	      .target_kind = COF_KIND_FILE,
	      .target_state = COF_STATE_COMMITTED}},
    {NULL, "rename-over-dir", "rename over an empty directory",
     F | 1u << ROW_DIR | 1u << ROW_EMPTY_DIR, RENAME(0),
     .more = {.target_exists = true, .target_empty = true, .target_kind = COF_KIND_DIR}},
    {NULL, "rename-over-full-dir", "rename over a directory in use",
     F | 1u << ROW_DIR | 1u << ROW_EMPTY_DIR, RENAME(0),
     .more = {.target_exists = true, .target_kind = COF_KIND_DIR}},
    {NULL, "rename-noreplace", "rename with NOREPLACE onto a taken name", F,
     RENAME(RENAME_NOREPLACE), .more = {.target_exists = true, .target_kind = COF_KIND_FILE}},
    {NULL, "rename-exchange", "exchange two names", F, RENAME(RENAME_EXCHANGE),
     .more = {.target_exists = true, .target_kind = COF_KIND_FILE}},
    {NULL, "rename-whiteout", "rename with WHITEOUT to a free name", F,
     RENAME(RENAME_WHITEOUT)},
    {NULL, "rename-root", "rename into the top directory", F, RENAME(0),
     .more = {.new_parent_is_root = true}},
    {NULL, "rename-shelf", "rename into another shelf",
     F | 1u << ROW_DIR | 1u << ROW_EMPTY_DIR | 1u << ROW_SYMLINK, RENAME(0),
     .more = {.other_shelf = true}},
    {NULL, "link", "a hard link to it", F | 1u << ROW_SYMLINK | 1u << ROW_DIR | MISSING,
     {COF_OP_LINK}},

    {"Making",
     "create",
     "a new file, directory or symbolic link inside it",
     ROW_DIRS,
     {COF_OP_CREATE, .node_kind = COF_KIND_FILE, .name = "n"}},
    {NULL,
     "create-taken",
     "a new file, directory or symbolic link inside it, under a name that is taken",
     1u << ROW_DIR | 1u << ROW_SHELF,
     {COF_OP_CREATE, .node_kind = COF_KIND_FILE, .name = "n"},
     .more = {.target_exists = true}},
    {NULL,
     "mkfifo",
     "a FIFO or socket inside it",
     ROW_DIRS,
     {COF_OP_MKNOD, .mode = S_IFIFO | 0600}},
    {NULL, "mknod", "a device node inside it", ROW_DIRS, {COF_OP_MKNOD, .mode = S_IFCHR | 0600}},

    {"Shelves",
     "shelf-add",
     "coffer shelf add",
     1u << ROW_ROOT,
     {COF_OP_SHELF_ADD, .name = "n", VALUE("")}},
    {NULL,
     "shelf-set-stronger",
     "coffer shelf set, a stronger policy",
     1u << ROW_SHELF | 1u << ROW_DIR,
     {COF_OP_SHELF_SET, VALUE("retention = 15y\nretention_min = 1y\nretention_max = 20y\n")}},
    {NULL,
     "shelf-set-weaker",
     "coffer shelf set, a weaker policy",
     1u << ROW_SHELF,
     {COF_OP_SHELF_SET, VALUE("retention = 10y\nretention_min = 29d\nretention_max = 20y\n")}},

    {"What a policy changes",
     "strict-below",
     "`strict = yes`: coffer commit with an end below the minimum",
     1u << ROW_OPEN,
     {COF_OP_COMMIT, .retain = ROW_NOW + ROW_DAY},
     .policy = STRICT},
    {NULL,
     "strict-above",
     "`strict = yes`: coffer retain with an end above the maximum",
     1u << ROW_COMMITTED,
     {COF_OP_RETAIN, .retain = ROW_NOW + 50 * 365 * ROW_DAY},
     .policy = STRICT},
    {NULL,
     "no-retention-commit",
     "no `retention`: coffer commit with an end",
     1u << ROW_OPEN,
     {COF_OP_COMMIT, .retain = ROW_NOW + ROW_DAY},
     .policy = ""},
    {NULL,
     "quota",
     "`quota` used up: write at the end, through a descriptor opened earlier",
     1u << ROW_OPEN,
     {COF_OP_WRITE, .offset = 100, .length = 1},
     .by_descriptor = true,
     .policy = QUOTA,
     .more = {.shelf_bytes = 100}},
    {NULL,
     "quota-files",
     "`quota_files` used up: a new file inside it",
     1u << ROW_SHELF,
     {COF_OP_CREATE, .node_kind = COF_KIND_FILE, .name = "n"},
     .policy = QUOTA,
     .more = {.shelf_files = 1}},
    {NULL,
     "rofs",
     "`refuse = rofs`: write below the end, through a descriptor opened earlier",
     1u << ROW_OPEN,
     {COF_OP_WRITE, .offset = 99, .length = 1},
     .by_descriptor = true,
     .policy = "refuse = rofs\n"},
    {NULL,
     "staging",
     "`staging = yes`: unlink (withdrawal is not in this version)",
     1u << ROW_OPEN,
     {COF_OP_UNLINK},
     .policy = "staging = yes\n"},
    {NULL,
     "autocommit",
     "`autocommit` due: write at the end (the descriptor opened now, by root)",
     1u << ROW_OPEN,
     {COF_OP_OPEN, .flags = O_WRONLY | O_APPEND},
     .policy = "retention = 10y\nautocommit = 1d\n"},
};
const size_t row_attempts_count = COF_COUNT(row_attempts);

const char *const row_state_names[ROW_STATES_] = {
    "open, empty",      "open, with content", "committed", "expired",
    "directory in use", "empty directory",    "shelf",     "top",
    "symbolic link",    "missing",            "removed while it was open"};
const char *const row_state_keys[ROW_STATES_] = {
    "empty", "open", "committed", "expired", "dir", "empty-dir", "shelf", "root", "symlink",
    "missing", "removed"};
const char *const row_who_names[ROW_WHO_] = {"other users", "owner", "root"};
const char *const row_who_keys[ROW_WHO_] = {"other", "owner", "root"};

static void make_object(const struct row_attempt *a, enum row_state state, struct cof_object *o)
{
	*o = a->more;
	if (state == ROW_MISSING)
		return;
	o->kind = COF_KIND_FILE;
	o->ino = 9;
	o->parent = 5;
	o->uid = o->gid = 7;
	o->mode = 0644;
	o->retain_until = COF_RETAIN_NONE;
	if (!o->asked_until)
		o->asked_until = COF_RETAIN_NONE;
	o->idle_since = ROW_NOW - 2 * ROW_DAY;
	o->size = state == ROW_EMPTY || state == ROW_REMOVED ? 0 : 100;
	if (state == ROW_REMOVED)
		o->state = COF_STATE_REMOVED;
	if (state == ROW_COMMITTED || state == ROW_EXPIRED) {
		o->state = COF_STATE_COMMITTED;
		o->mode = 0444;
		o->retain_until = ROW_NOW + (state == ROW_COMMITTED ? 3650 : -100) * ROW_DAY;
	}
	if (state == ROW_SYMLINK) {
		o->kind = COF_KIND_SYMLINK;
		o->mode = 0777;
	}
	if (1u << state & ROW_DIRS) {
		o->kind = COF_KIND_DIR;
		o->mode = 0755;
		o->size = 0;
		o->empty_dir = state == ROW_EMPTY_DIR;
		o->is_shelf = state == ROW_SHELF;
		o->is_root = state == ROW_ROOT;
		if (state == ROW_ROOT)
			o->uid = o->gid = 0;
	}
}

bool row_judge(const struct row_attempt *a, enum row_state state, enum row_who who,
	       struct cof_ruling *ret)
{
	static const struct cof_who people[ROW_WHO_] = {
	    {8, 8, 1, false}, {7, 7, 1, false}, {0, 0, 1, false}};
	const char *text = a->policy ? a->policy : row_policy;
	struct cof_policy policy;
	struct cof_object o;
	struct cof_op op = a->op;

	cof_policy_default(&policy);
	if (cof_policy_parse(text, strlen(text), &policy, NULL) < 0)
		abort(); /* the table above is wrong */
	make_object(a, state, &o);
	if (!strcmp(a->key, "append"))
		op.offset = o.size;
	if (!strcmp(a->key, "chmod-same"))
		op.mode = o.mode;
	if (!a->by_descriptor && cof_rule_kernel(&o, &op, &people[who], ret))
		return true;
	/* What is made comes into the directory. */
	if (op.kind == COF_OP_CREATE || op.kind == COF_OP_MKNOD)
		o = (struct cof_object){.in_root = state == ROW_ROOT, .shelf_files = o.shelf_files};
	cof_rule(&policy, &o, &op, &people[who], ROW_NOW, ret);
	return false;
}
