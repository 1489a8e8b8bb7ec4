/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what is allowed and what is refused, row by row, as a user and as root: nobody is
 * exempt.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "fs/index/index.h" /* its numbers of kinds and states alone: nothing of it is linked */
#include "fs/rules/rules.h"

TCase *policy_case(void);
TCase *profile_case(void);
TCase *retain_case(void);
TCase *shelf_case(void);
TCase *rows_case(void), *hold_case(void);

/* ---- objects ---- */

#define FILE_MODE(m) .kind = COF_KIND_FILE, .ino = 9, .parent = 5, .mode = (m)
#define FILE_ FILE_MODE(0644), .asked_until = COF_RETAIN_NONE
#define FIXED FILE_MODE(0444), .size = 100, .retain_until = COF_RETAIN_NONE
#define DIR_ .kind = COF_KIND_DIR, .ino = 9, .parent = 5, .mode = 0755
#define LINK_ .kind = COF_KIND_SYMLINK, .ino = 9, .parent = 5, .mode = 0777, .size = 4
#define EMPTY                                                                                      \
	{                                                                                          \
		FILE_                                                                              \
	}
#define OPEN                                                                                       \
	{                                                                                          \
		FILE_, .size = 100                                                                 \
	}
#define COMMITTED                                                                                  \
	{                                                                                          \
		FIXED, .state = COF_STATE_COMMITTED                                                \
	}
#define EXPIRED                                                                                    \
	{                                                                                          \
		FIXED, .state = COF_STATE_EXPIRED                                                  \
	}
#define DESTROYED                                                                                  \
	{                                                                                          \
		FIXED, .state = COF_STATE_DESTROYED                                                \
	}
#define REMOVED                                                                                    \
	{                                                                                          \
		FILE_, .state = COF_STATE_REMOVED                                                  \
	}
#define SYMLINK                                                                                    \
	{                                                                                          \
		LINK_                                                                              \
	}
#define EMPTY_DIR                                                                                  \
	{                                                                                          \
		DIR_, .empty_dir = true                                                            \
	}
#define USED_DIR                                                                                   \
	{                                                                                          \
		DIR_                                                                               \
	}
#define SHELF                                                                                      \
	{                                                                                          \
		DIR_, .is_shelf = true, .in_root = true, .empty_dir = true                         \
	}
#define ROOT                                                                                       \
	{                                                                                          \
		DIR_, .is_root = true                                                              \
	}
#define NONE                                                                                       \
	{                                                                                          \
		0                                                                                  \
	}
#define IN_ROOT                                                                                    \
	{                                                                                          \
		.in_root = true                                                                    \
	}

/* ---- operations ---- */

#define WRITE_AT(o, n)                                                                             \
	{                                                                                          \
		COF_OP_WRITE, .offset = (o), .length = (n)                                         \
	}
#define RESENT_AT(o, n)                                                                            \
	{                                                                                          \
		COF_OP_WRITE, .offset = (o), .length = (n), .resent = true                         \
	}
#define TRUNC(n)                                                                                   \
	{                                                                                          \
		COF_OP_TRUNCATE, .length = (n)                                                     \
	}
#define OPEN_WITH(f)                                                                               \
	{                                                                                          \
		COF_OP_OPEN, .flags = (f)                                                          \
	}
#define ALLOC(m)                                                                                   \
	{                                                                                          \
		COF_OP_FALLOCATE, .flags = (m), .length = 10                                       \
	}
#define MODE(m)                                                                                    \
	{                                                                                          \
		COF_OP_CHMOD, .mode = (m)                                                          \
	}
#define OWNER(u)                                                                                   \
	{                                                                                          \
		COF_OP_CHOWN, .uid = (u), .valid = COF_SET_UID                                     \
	}
#define GROUP(g)                                                                                   \
	{                                                                                          \
		COF_OP_CHOWN, .gid = (g), .valid = COF_SET_GID                                     \
	}
#define TIMES(v)                                                                                   \
	{                                                                                          \
		COF_OP_UTIMES, .mtime = 1, .atime = 1, .valid = (v)                                \
	}
#define CREATE(k)                                                                                  \
	{                                                                                          \
		COF_OP_CREATE, .node_kind = (k), .name = "n"                                       \
	}
#define UNLINK                                                                                     \
	{                                                                                          \
		COF_OP_UNLINK, .name = "n"                                                         \
	}
#define RMDIR                                                                                      \
	{                                                                                          \
		COF_OP_RMDIR, .name = "n"                                                          \
	}
#define RENAME(f)                                                                                  \
	{                                                                                          \
		COF_OP_RENAME, .parent = 5, .new_parent = 5, .name = "n", .new_name = "m",         \
			       .flags = (f)                                                        \
	}
#define MOVE(f)                                                                                    \
	{                                                                                          \
		COF_OP_RENAME, .parent = 5, .new_parent = 6, .name = "n", .new_name = "m",         \
			       .flags = (f)                                                        \
	}
#define XATTR(n)                                                                                   \
	{                                                                                          \
		COF_OP_SETXATTR, .name = (n)                                                       \
	}
#define FLAGS(f)                                                                                   \
	{                                                                                          \
		COF_OP_SETFLAGS, .flags = (f)                                                      \
	}
#define UNXATTR(n)                                                                                 \
	{                                                                                          \
		COF_OP_REMOVEXATTR, .name = (n)                                                    \
	}

/* ---- verdicts: error, effect, on record ---- */

#define OK(effect) 0, COF_EFFECT_##effect, false
#define REFUSED(e) -(e), COF_EFFECT_NONE, true /* against what the archive promises */
#define ERROR(e) -(e), COF_EFFECT_NONE, false  /* makes no sense here */

struct row {
	const char *what;
	struct cof_object object;
	struct cof_op op;
	int error;
	enum cof_effect effect;
	bool record;
};

static const struct row rows[] = {
    /* writing */
    {"the first byte", EMPTY, WRITE_AT(0, 1), OK(APPEND)},
    {"at the end", OPEN, WRITE_AT(100, 1), OK(APPEND)},
    {"beyond the end", OPEN, WRITE_AT(101, 1), OK(HOLE)},
    {"far beyond", EMPTY, WRITE_AT(1ull << 40, 1), OK(HOLE)},
    {"one byte below", OPEN, WRITE_AT(99, 1), REFUSED(EPERM)},
    {"over the end from below", OPEN, WRITE_AT(50, 500), REFUSED(EPERM)},
    {"at the start", OPEN, WRITE_AT(0, 1), REFUSED(EPERM)},
    {"nothing, below", OPEN, WRITE_AT(0, 0), OK(NONE)},
    {"past the last possible byte", EMPTY, WRITE_AT(INT64_MAX, 1), ERROR(EFBIG)},
    {"up to the last possible byte", EMPTY, WRITE_AT((uint64_t)INT64_MAX - 1, 1), OK(HOLE)},
    {"an offset without sense", EMPTY, WRITE_AT(1ull << 63, 1), ERROR(EFBIG)},
    {"to a committed file", COMMITTED, WRITE_AT(100, 1), REFUSED(EPERM)},
    {"nothing to a committed file", COMMITTED, WRITE_AT(100, 0), REFUSED(EPERM)},
    {"to an expired file", EXPIRED, WRITE_AT(100, 1), REFUSED(EPERM)},
    {"to a destroyed file", DESTROYED, WRITE_AT(100, 1), REFUSED(EPERM)},
    {"to a removed file", REMOVED, WRITE_AT(0, 1), ERROR(ENOENT)},
    {"to a directory", USED_DIR, WRITE_AT(0, 1), ERROR(EISDIR)},
    {"to a link", SYMLINK, WRITE_AT(4, 1), ERROR(EINVAL)},
    {"again, what is there", OPEN, RESENT_AT(50, 50), OK(ECHO)},
    {"again, partly there", OPEN, RESENT_AT(50, 500), OK(ECHO)},
    {"again, not there yet", OPEN, RESENT_AT(100, 5), OK(APPEND)},
    {"again, after the commit", COMMITTED, RESENT_AT(50, 50), OK(ECHO)},
    {"again, new, after the commit", COMMITTED, RESENT_AT(100, 1), REFUSED(EPERM)},
    /* truncating */
    {"to the same size", OPEN, TRUNC(100), OK(NONE)},
    {"up", OPEN, TRUNC(101), OK(HOLE)},
    {"down", OPEN, TRUNC(99), REFUSED(EPERM)},
    {"to nothing", OPEN, TRUNC(0), REFUSED(EPERM)},
    {"an empty file to nothing", EMPTY, TRUNC(0), OK(NONE)},
    {"a committed file to its size", COMMITTED, TRUNC(100), REFUSED(EPERM)},
    {"a committed file up", COMMITTED, TRUNC(101), REFUSED(EPERM)},
    {"a directory", USED_DIR, TRUNC(0), ERROR(EISDIR)},
    {"a link", SYMLINK, TRUNC(0), ERROR(EINVAL)},
    {"too far", OPEN, TRUNC(1ull << 63), ERROR(EFBIG)},
    /* opening */
    {"for reading", OPEN, OPEN_WITH(O_RDONLY), OK(NONE)},
    {"for writing", OPEN, OPEN_WITH(O_WRONLY), OK(NONE)},
    {"for both", OPEN, OPEN_WITH(O_RDWR), OK(NONE)},
    {"for appending", OPEN, OPEN_WITH(O_WRONLY | O_APPEND), OK(NONE)},
    {"emptying", OPEN, OPEN_WITH(O_WRONLY | O_TRUNC), REFUSED(EPERM)},
    {"emptying by a reader", OPEN, OPEN_WITH(O_RDONLY | O_TRUNC), REFUSED(EPERM)},
    {"emptying what is empty", EMPTY, OPEN_WITH(O_WRONLY | O_TRUNC), OK(NONE)},
    {"a committed file for reading", COMMITTED, OPEN_WITH(O_RDONLY), OK(NONE)},
    {"a committed file for writing", COMMITTED, OPEN_WITH(O_WRONLY), REFUSED(EPERM)},
    {"a committed file for both", COMMITTED, OPEN_WITH(O_RDWR), REFUSED(EPERM)},
    {"a committed file emptied", COMMITTED, OPEN_WITH(O_RDONLY | O_TRUNC), REFUSED(EPERM)},
    {"an expired file for writing", EXPIRED, OPEN_WITH(O_WRONLY), REFUSED(EPERM)},
    {"a directory", USED_DIR, OPEN_WITH(O_RDONLY), OK(NONE)},
    {"a directory for writing", USED_DIR, OPEN_WITH(O_WRONLY), ERROR(EISDIR)},
    /* allocating */
    {"keep size", OPEN, ALLOC(FALLOC_FL_KEEP_SIZE), OK(NONE)},
    {"grow", OPEN, ALLOC(0), REFUSED(EPERM)},
    {"punch", OPEN, ALLOC(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), REFUSED(EPERM)},
    {"zero", OPEN, ALLOC(FALLOC_FL_ZERO_RANGE), REFUSED(EPERM)},
    {"zero, keep size", OPEN, ALLOC(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE), REFUSED(EPERM)},
    {"collapse", OPEN, ALLOC(FALLOC_FL_COLLAPSE_RANGE), REFUSED(EPERM)},
    {"insert", OPEN, ALLOC(FALLOC_FL_INSERT_RANGE), REFUSED(EPERM)},
    {"unshare", OPEN, ALLOC(FALLOC_FL_UNSHARE_RANGE), REFUSED(EPERM)},
    {"keep size, committed", COMMITTED, ALLOC(FALLOC_FL_KEEP_SIZE), REFUSED(EPERM)},
    {"of a directory", USED_DIR, ALLOC(FALLOC_FL_KEEP_SIZE), ERROR(ENODEV)},
    /* modes: taking the last write bit commits */
    {"take all write bits", OPEN, MODE(0444), OK(COMMIT)},
    {"take everything", OPEN, MODE(0), OK(COMMIT)},
    {"keep one write bit", OPEN, MODE(0464), OK(ATTR)},
    {"keep the owner's", OPEN, MODE(0600), OK(ATTR)},
    {"the same mode", OPEN, MODE(0644), OK(NONE)},
    {"of an empty file", EMPTY, MODE(0444), OK(ATTR)},
    {"of a file without write bits", {FILE_MODE(0444), .size = 1}, MODE(0400), OK(COMMIT)},
    {"the same, without write bits", {FILE_MODE(0444), .size = 1}, MODE(0444), OK(COMMIT)},
    {"the same, without write bits, empty", {FILE_MODE(0444)}, MODE(0444), OK(NONE)},
    {"giving write bits", {FILE_MODE(0444), .size = 1}, MODE(0644), OK(ATTR)},
    {"repeated on a committed file", COMMITTED, MODE(0444), OK(NONE)},
    {"other on a committed file", COMMITTED, MODE(0400), REFUSED(EPERM)},
    {"write bits back", COMMITTED, MODE(0644), REFUSED(EPERM)},
    {"of an expired file", EXPIRED, MODE(0644), REFUSED(EPERM)},
    {"of a directory", USED_DIR, MODE(0555), OK(ATTR)},
    {"of a shelf", SHELF, MODE(0700), OK(ATTR)},
    {"of the root", ROOT, MODE(0700), REFUSED(EPERM)},
    {"of a link", SYMLINK, MODE(0700), ERROR(EOPNOTSUPP)},
    /* owners */
    {"another owner", OPEN, OWNER(5), OK(ATTR)},
    {"the same owner", OPEN, OWNER(0), OK(NONE)},
    {"another group", OPEN, GROUP(5), OK(ATTR)},
    {"owner of a committed file", COMMITTED, OWNER(5), REFUSED(EPERM)},
    {"group of a committed file", COMMITTED, GROUP(5), REFUSED(EPERM)},
    {"same owner, committed", COMMITTED, OWNER(0), OK(NONE)},
    {"owner of the root", ROOT, OWNER(5), REFUSED(EPERM)},
    {"owner of a link", SYMLINK, OWNER(5), OK(ATTR)},
    /* times */
    {"mtime", OPEN, TIMES(COF_SET_MTIME), OK(ATTR)},
    {"mtime now", OPEN, TIMES(COF_SET_MTIME_NOW), OK(ATTR)},
    {"atime", OPEN, TIMES(COF_SET_ATIME), OK(ASK)},
    {"atime now", OPEN, TIMES(COF_SET_ATIME_NOW), OK(NONE)},
    {"both", OPEN, TIMES(COF_SET_ATIME | COF_SET_MTIME), OK(ASK)},
    {"both now", OPEN, TIMES(COF_SET_ATIME_NOW | COF_SET_MTIME_NOW), OK(ATTR)},
    {"mtime of a committed file", COMMITTED, TIMES(COF_SET_MTIME), REFUSED(EPERM)},
    {"atime of a committed file", COMMITTED, TIMES(COF_SET_ATIME), REFUSED(EPERM)},
    {"now of a committed file", COMMITTED, TIMES(COF_SET_ATIME_NOW | COF_SET_MTIME_NOW),
     REFUSED(EPERM)},
    {"mtime of the root", ROOT, TIMES(COF_SET_MTIME), REFUSED(EPERM)},
    {"mtime of a directory", USED_DIR, TIMES(COF_SET_MTIME), OK(ATTR)},
    /* committing by name */
    {"commit", OPEN, {COF_OP_COMMIT}, OK(COMMIT)},
    {"commit an empty file", EMPTY, {COF_OP_COMMIT}, OK(COMMIT)},
    {"commit again", COMMITTED, {COF_OP_COMMIT}, OK(NONE)},
    {"commit a directory", USED_DIR, {COF_OP_COMMIT}, ERROR(EINVAL)},
    {"commit a link", SYMLINK, {COF_OP_COMMIT}, ERROR(EINVAL)},
    /* making */
    {"a file", NONE, CREATE(COF_KIND_FILE), OK(CREATE)},
    {"a directory", NONE, CREATE(COF_KIND_DIR), OK(CREATE)},
    {"a link", NONE, CREATE(COF_KIND_SYMLINK), OK(CREATE)},
    {"another kind", NONE, CREATE(4), ERROR(EINVAL)},
    {"no kind", NONE, CREATE(0), ERROR(EINVAL)},
    {"a file in the root", IN_ROOT, CREATE(COF_KIND_FILE), REFUSED(EPERM)},
    {"a directory in the root", IN_ROOT, CREATE(COF_KIND_DIR), REFUSED(EPERM)},
    {"a hard link", OPEN, {COF_OP_LINK}, REFUSED(EPERM)},
    {"a hard link to a committed file", COMMITTED, {COF_OP_LINK}, REFUSED(EPERM)},
    {"a node", NONE, {COF_OP_MKNOD}, REFUSED(EPERM)},
    /* removing */
    {"an empty file", EMPTY, UNLINK, OK(REMOVE)},
    {"a file with content", OPEN, UNLINK, REFUSED(EPERM)},
    {"a committed file", COMMITTED, UNLINK, REFUSED(EPERM)},
    {"a committed empty file", {FILE_, .state = COF_STATE_COMMITTED}, UNLINK, REFUSED(EPERM)},
    {"an expired file", EXPIRED, UNLINK, REFUSED(EPERM)},
    {"a link", SYMLINK, UNLINK, OK(REMOVE)},
    {"a directory by unlink", EMPTY_DIR, UNLINK, ERROR(EISDIR)},
    {"a removed file", REMOVED, UNLINK, ERROR(ENOENT)},
    {"an empty directory", EMPTY_DIR, RMDIR, OK(REMOVE)},
    {"a directory in use", USED_DIR, RMDIR, ERROR(ENOTEMPTY)},
    {"a shelf", SHELF, RMDIR, REFUSED(EPERM)},
    {"the root", ROOT, RMDIR, REFUSED(EPERM)},
    {"a file by rmdir", EMPTY, RMDIR, ERROR(ENOTDIR)},
    /* renaming */
    {"an open file", OPEN, RENAME(0), OK(RENAME)},
    {"an open file, elsewhere", OPEN, MOVE(0), OK(RENAME)},
    {"an open file, if free", OPEN, RENAME(RENAME_NOREPLACE), OK(RENAME)},
    {"if free, but taken",
     {FILE_, .size = 1, .target_exists = true, .target_empty = true, .target_kind = COF_KIND_FILE},
     RENAME(RENAME_NOREPLACE),
     ERROR(EEXIST)},
    {"over an empty file",
     {FILE_, .size = 1, .target_exists = true, .target_empty = true, .target_kind = COF_KIND_FILE},
     RENAME(0),
     OK(RENAME)},
    {"over a file with content",
     {FILE_, .size = 1, .target_exists = true, .target_kind = COF_KIND_FILE},
     RENAME(0),
     REFUSED(EPERM)},
    {"over a committed file",
     {FILE_, .size = 1, .target_exists = true, .target_empty = true, .target_kind = COF_KIND_FILE,
      .target_state = COF_STATE_COMMITTED},
     RENAME(0),
     REFUSED(EPERM)},
    {"over a link",
     {FILE_, .size = 1, .target_exists = true, .target_empty = true,
      .target_kind = COF_KIND_SYMLINK},
     RENAME(0),
     REFUSED(EPERM)},
    {"a file over a directory",
     {FILE_, .target_exists = true, .target_empty = true, .target_kind = COF_KIND_DIR},
     RENAME(0),
     ERROR(EISDIR)},
    {"a directory over a file",
     {DIR_, .empty_dir = true, .target_exists = true, .target_empty = true,
      .target_kind = COF_KIND_FILE},
     RENAME(0),
     ERROR(ENOTDIR)},
    {"over an empty directory",
     {DIR_, .empty_dir = true, .target_exists = true, .target_empty = true,
      .target_kind = COF_KIND_DIR},
     RENAME(0),
     OK(RENAME)},
    {"over a directory in use",
     {DIR_, .empty_dir = true, .target_exists = true, .target_kind = COF_KIND_DIR},
     RENAME(0),
     ERROR(ENOTEMPTY)},
    {"exchange", OPEN, RENAME(RENAME_EXCHANGE), REFUSED(EPERM)},
    {"whiteout", OPEN, RENAME(RENAME_WHITEOUT), REFUSED(EPERM)},
    {"unknown flags", OPEN, RENAME(0x40), ERROR(EINVAL)},
    {"an empty directory", EMPTY_DIR, MOVE(0), OK(RENAME)},
    {"a directory in use", USED_DIR, RENAME(0), REFUSED(EPERM)},
    {"a shelf", SHELF, RENAME(0), REFUSED(EPERM)},
    {"into the root", {FILE_, .new_parent_is_root = true}, MOVE(0), REFUSED(EPERM)},
    {"a link", SYMLINK, MOVE(0), OK(RENAME)},
    {"to another shelf", {FILE_, .size = 1, .other_shelf = true}, MOVE(0), ERROR(EXDEV)},
    {"a committed file", COMMITTED, RENAME(0), REFUSED(EPERM)},
    {"an expired file", EXPIRED, RENAME(0), REFUSED(EPERM)},
    {"committed just now",
     {FILE_, .size = 1, .state = COF_STATE_COMMITTED, .rename_once = true},
     RENAME(0),
     OK(RENAME)},
    {"committed just now, elsewhere",
     {FILE_, .size = 1, .state = COF_STATE_COMMITTED, .rename_once = true},
     MOVE(0),
     REFUSED(EPERM)},
    {"committed just now, over an empty file",
     {FILE_, .size = 1, .state = COF_STATE_COMMITTED, .rename_once = true, .target_exists = true,
      .target_empty = true, .target_kind = COF_KIND_FILE},
     RENAME(0),
     REFUSED(EPERM)},
    {"once, but open", {FILE_, .size = 1, .rename_once = true}, MOVE(0), OK(RENAME)},
    /* extended attributes */
    {"our own", OPEN, XATTR("user.coffer.state"), REFUSED(EPERM)},
    {"our own, removed", OPEN, UNXATTR("user.coffer.state"), REFUSED(EPERM)},
    {"of a committed file", COMMITTED, XATTR("user.x"), REFUSED(EPERM)},
    {"of a committed file, removed", COMMITTED, UNXATTR("user.x"), REFUSED(EPERM)},
    {"of an open file", OPEN, XATTR("user.x"), OK(ATTR)},
    {"of an open file, removed", OPEN, UNXATTR("user.x"), OK(ATTR)},
    {"of a directory", USED_DIR, XATTR("user.x"), OK(ATTR)},
    {"of a shelf", SHELF, XATTR("user.x"), OK(ATTR)},
    {"of the root", ROOT, XATTR("user.x"), REFUSED(EPERM)},
    {"of a link", SYMLINK, XATTR("user.x"), ERROR(EOPNOTSUPP)},
    {"near our own", OPEN, XATTR("user.coffers"), OK(ATTR)},
    {"an end without a value", OPEN, XATTR("user.immutable.until"), ERROR(EINVAL)},
    {"trusted", OPEN, XATTR("trusted.x"), ERROR(EOPNOTSUPP)},
    {"security", OPEN, XATTR("security.capability"), ERROR(EOPNOTSUPP)},
    {"access lists", OPEN, XATTR("system.posix_acl_access"), ERROR(EOPNOTSUPP)},
    {"without a name", OPEN, XATTR("user."), ERROR(EOPNOTSUPP)},
    {"an unknown one under system.coffer", OPEN, XATTR("system.coffer.x"), ERROR(EOPNOTSUPP)},
    {"an end removed", COMMITTED, UNXATTR("user.coffer.retain_until"), REFUSED(EPERM)},
    {"an end removed, by its other name", COMMITTED, UNXATTR("system.coffer.retain_until"),
     REFUSED(EPERM)},
    /* flags */
    {"append to an open file", OPEN, FLAGS(FS_APPEND_FL), OK(NONE)},
    {"append taken away", OPEN, FLAGS(0), REFUSED(EPERM)},
    {"immutable alone", OPEN, FLAGS(FS_IMMUTABLE_FL), OK(COMMIT)},
    {"immutable and append", OPEN, FLAGS(FS_IMMUTABLE_FL | FS_APPEND_FL), OK(COMMIT)},
    {"immutable, empty", EMPTY, FLAGS(FS_IMMUTABLE_FL | FS_APPEND_FL), OK(COMMIT)},
    {"another flag", OPEN, FLAGS(FS_APPEND_FL | FS_NOATIME_FL), ERROR(EOPNOTSUPP)},
    {"immutable and another", OPEN, FLAGS(FS_IMMUTABLE_FL | FS_NOATIME_FL), ERROR(EOPNOTSUPP)},
    {"another flag alone", OPEN, FLAGS(FS_NOATIME_FL), REFUSED(EPERM)},
    {"immutable again", COMMITTED, FLAGS(FS_IMMUTABLE_FL), OK(NONE)},
    {"immutable taken away", COMMITTED, FLAGS(0), REFUSED(EPERM)},
    {"append instead of immutable", COMMITTED, FLAGS(FS_APPEND_FL), REFUSED(EPERM)},
    {"none, of a directory", USED_DIR, FLAGS(0), OK(NONE)},
    {"append, of a directory", USED_DIR, FLAGS(FS_APPEND_FL), ERROR(EOPNOTSUPP)},
    {"immutable, of a link", SYMLINK, FLAGS(FS_IMMUTABLE_FL), ERROR(EOPNOTSUPP)},
    /* mapping, sharing */
    {"a shared mapping", OPEN, {COF_OP_MMAP_WRITE}, REFUSED(ENODEV)},
    {"a reflink", OPEN, {COF_OP_REFLINK}, ERROR(EOPNOTSUPP)},
    {"no operation", OPEN, {COF_OP_COUNT_}, ERROR(ENOSYS)},
};

/* Owner and root in one, others, the daemon. Who may commit and extend is in test-retain.c. */
static const struct cof_who people[] = {
    {0, 0, 1, false}, {1000, 1000, 99, false}, {65534, 65534, 0, false}, {0, 0, 0, true}};

static bool only_owners(const struct row *r)
{
	return r->op.kind == COF_OP_COMMIT || r->op.kind == COF_OP_SETFLAGS;
}

START_TEST(table)
{
	const struct row *r = &rows[_i];
	struct cof_policy perm, rofs;

	cof_policy_default(&perm);
	cof_policy_default(&rofs);
	rofs.refuse_rofs = true;
	for (size_t i = 0; i < COF_COUNT(people); i++) {
		struct cof_ruling rl;

		if (only_owners(r) && people[i].uid)
			continue;
		memset(&rl, 0xff, sizeof(rl));
		cof_rule(&perm, &r->object, &r->op, &people[i], 0, &rl);
		ck_assert_msg(rl.error == r->error, "%s: %s as %u: error %d, not %d", r->what,
			      cof_op_name(r->op.kind), people[i].uid, rl.error, r->error);
		ck_assert_msg(rl.effect == r->effect, "%s: effect %d", r->what, rl.effect);
		ck_assert_msg(rl.record == r->record, "%s: record %d", r->what, rl.record);
		ck_assert_msg(rl.rule && *rl.rule && rl.reason && *rl.reason, "%s: no reason",
			      r->what);
		if (rl.error) /* a sentence */
			ck_assert_msg(rl.reason[strlen(rl.reason) - 1] == '.' &&
					  strlen(rl.reason) > 15,
				      "%s: '%s'", r->what, rl.reason);
		/* With refuse = rofs, EPERM and nothing else becomes EROFS. */
		cof_rule(&rofs, &r->object, &r->op, &people[i], 0, &rl);
		ck_assert_int_eq(rl.error, r->error == -EPERM ? -EROFS : r->error);
		ck_assert_int_eq(rl.record, r->record);
		cof_rule(NULL, &r->object, &r->op, &people[i], 0, &rl);
		ck_assert_int_eq(rl.error, r->error);
	}
}
END_TEST

/* The rows cover each operation at least once. */
START_TEST(whole_table)
{
	bool seen[COF_OP_COUNT_ + 1] = {false};

	for (size_t i = 0; i < COF_COUNT(rows); i++)
		seen[rows[i].op.kind] = true;
	for (int k = 0; k < COF_OP_COUNT_; k++) {
		/* Those of test-retain.c, test-shelf.c and test-hold.c. */
		if (k != COF_OP_RETAIN && k != COF_OP_SHELF_ADD && k != COF_OP_SHELF_SET &&
		    k < COF_OP_RETAIN_EVENT)
			ck_assert_msg(seen[k], "no row for %s", cof_op_name((enum cof_op_kind)k));
		ck_assert_str_ne(cof_op_name((enum cof_op_kind)k), "unknown");
	}
	ck_assert_str_eq(cof_op_name(COF_OP_COUNT_), "unknown");
}
END_TEST

/* Whatever the arguments, a fixed file is never changed, but for a later end; a ruling is complete.
 */
START_TEST(nothing_changes_a_fixed_file)
{
	static const char *const names[] = {"user.x", "user.coffer.retain_until",
					    "system.coffer.retain_until", "user.immutable.until"};
	static const char end[] = "1970-01-01T00:00:05Z";
	uint64_t state = 12345;
	unsigned extended = 0;

	for (int i = 0; i < 200000; i++) {
		struct cof_object o = {FILE_, .size = 100};
		struct cof_op op = {.data = end};
		struct cof_policy p;
		struct cof_ruling rl;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		cof_policy_default(&p);
		p.retention = state >> 13 & 1;
		p.retention_default = 2 * COF_NSEC;
		p.retention_max = state >> 14 & 1 ? 4 * COF_NSEC : COF_RETAIN_INFINITE;
		p.strict = state >> 15 & 1;
		o.state = 1 + (state >> 20) % 3;
		o.mode = (uint32_t)(state >> 24) & 07777;
		o.retain_until =
		    state >> 36 & 1 ? (int64_t)(state >> 18 & 7) * COF_NSEC : COF_RETAIN_NONE;
		o.empty_dir = state >> 37 & 1;
		o.target_empty = state >> 38 & 1;
		o.target_exists = state >> 39 & 1;
		op.kind = (enum cof_op_kind)((state >> 40) % COF_OP_COUNT_);
		op.name = names[(state >> 34) % 4];
		op.offset = (state >> 33) % 200;
		op.length = op.kind == COF_OP_SETXATTR ? sizeof(end) - 1 : (state >> 45) % 200;
		op.mode = (uint32_t)(state >> 30) & 07777;
		op.flags = (uint32_t)(state >> 50) & 7;
		op.valid = (uint32_t)(state >> 52) & 63;
		op.atime = op.retain = (int64_t)(state >> 56 & 7) * COF_NSEC;
		op.uid = op.gid = (uint32_t)(state >> 60);
		op.resent = state >> 59 & 1;
		op.node_kind = 1;
		if (op.kind == COF_OP_CREATE || op.kind == COF_OP_SHELF_ADD ||
		    op.kind >= COF_OP_RETAIN_EVENT) /* those of test-hold.c */
			continue;
		cof_rule(&p, &o, &op, &people[i % 4], COF_NSEC, &rl);
		ck_assert_ptr_nonnull(rl.reason);
		if (rl.effect == COF_EFFECT_EXTEND) {
			ck_assert(rl.error == 0 && o.state != COF_STATE_DESTROYED);
			ck_assert_int_gt(rl.retain_until, o.retain_until);
			ck_assert_int_gt(rl.retain_until, COF_NSEC);
			/* Without an end there is only one that is later. */
			ck_assert(o.retain_until != COF_RETAIN_NONE ||
				  rl.retain_until == COF_RETAIN_INFINITE);
			extended++;
			continue;
		}
		ck_assert_msg(rl.error < 0 || rl.effect == COF_EFFECT_NONE ||
				  rl.effect == COF_EFFECT_ECHO,
			      "%s in state %u", cof_op_name(op.kind), o.state);
	}
	ck_assert_uint_gt(extended, 500);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("table");
	int failed;

	tcase_add_loop_test(c, table, 0, COF_COUNT(rows));
	tcase_add_test(c, whole_table);
	tcase_add_test(c, nothing_changes_a_fixed_file);
	suite_add_tcase(suite, c);
	suite_add_tcase(suite, policy_case());
	suite_add_tcase(suite, profile_case());
	suite_add_tcase(suite, retain_case());
	suite_add_tcase(suite, shelf_case());
	suite_add_tcase(suite, rows_case());
	suite_add_tcase(suite, hold_case());
	srunner_set_fork_status(runner, CK_NOFORK); /* hundreds of rows, each a moment */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
