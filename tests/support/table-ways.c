/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each row of the rules' table is tried: by every call that leads to it. What has to come out
 * of it is nowhere here but in the table; a row or cell that nothing here tries fails the test.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "table.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#define B(field) (1u << (field))
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define RETAIN "system.coffer.retain_until"
#define FILES "empty open committed expired"

#define UP(key_, call_, act_, ...) {key_, call_, act_, .tail = "xy", __VA_ARGS__}
/* A commit or an end as people other than root ask for it: the attribute that the kernel passes. */
#define BY_ATTR(key_, end_, ...)                                                                   \
	{key_, "setxattr " RETAIN, act_setxattr, .name = RETAIN, .end = (end_),                    \
	 .operation = "setxattr", .other_words = true, __VA_ARGS__}
#define CHMOD(key_, mode_, ...)                                                                    \
	{key_, "chmod", act_chmod, .a = (mode_), __VA_ARGS__},                                     \
	{                                                                                          \
		key_, "fchmod", act_fchmod, .a = (mode_), .states = FILES, __VA_ARGS__             \
	}
/* The kernel opens first, and truncates what could be opened. */
#define OPEN_TRUNC(call_, flags_)                                                                  \
	{"open-trunc", call_, act_open, .a = (flags_) | O_TRUNC, .states = "empty open",           \
	 .operation = "truncate", .other_words = true},                                            \
	{                                                                                          \
		"open-trunc", call_, act_open, .a = (flags_) | O_TRUNC,                            \
		    .states = "committed expired"                                                  \
	}
#define TIMES(key_, ...)                                                                           \
	{key_, "utimensat", act_utimens, __VA_ARGS__},                                             \
	{                                                                                          \
		key_, "futimens", act_futimens, .states = FILES, __VA_ARGS__                       \
	}
#define RENAME(key_, flags_) {key_, "rename", act_rename, .a = (flags_)}
#define RENAME2(key_, flags_)                                                                      \
	RENAME(key_, 0),                                                                           \
	{                                                                                          \
		key_, "renameat2", act_rename, .a = (flags_)                                       \
	}

const struct way ways[] = {
    UP("append", "pwrite", act_write),
    UP("append", "write, O_APPEND", act_append),
    UP("append", "lseek and write", act_seek_write),
    UP("append", "pwritev", act_writev),
    UP("append", "pwritev2, RWF_DSYNC", act_writev2, .b = RWF_DSYNC),
    UP("append", "pwritev2, RWF_APPEND", act_writev2, .b = RWF_APPEND),
    {"append", "sendfile", act_sendfile, .tail = "so"},
    {"append", "copy_file_range", act_copy_range, .tail = "so"},
    UP("write-below", "pwrite of the last byte", act_write, .a = -1),
    UP("write-below", "pwrite of the first byte", act_write, .a = -CONTENT),
    UP("write-below", "lseek and write", act_seek_write, .a = -CONTENT),
    UP("write-below", "pwritev", act_writev, .a = -50),
    UP("write-below", "pwritev2, RWF_NOAPPEND", act_writev2, .a = -CONTENT, .b = RWF_NOAPPEND,
       .name = "on O_APPEND", .may_be_old = true),
    {"write-below", "pwrite of the same bytes", act_write, .a = -CONTENT, .tail = "bcd"},
    {"write-below", "sendfile", act_sendfile, .a = -1, .tail = "so"},
    {"write-below", "copy_file_range", act_copy_range, .a = -2, .tail = "so"},
    UP("write-beyond", "pwrite", act_write, .a = 100),
    UP("write-beyond", "lseek and write", act_seek_write, .a = 1),
    UP("write-beyond", "pwritev", act_writev, .a = 7),
    {"ftruncate-up", "ftruncate", act_ftruncate, .a = 200, .tail = ""},
    {"ftruncate-down", "ftruncate to 1", act_ftruncate, .a = 1},
    {"ftruncate-down", "ftruncate to 0", act_ftruncate, .a = 0},
    {"ftruncate-down", "ftruncate to one less", act_ftruncate, .a = CONTENT - 1},
    {"truncate-down", "truncate", act_truncate, .a = 0},
    {"truncate-up", "truncate", act_truncate, .a = 200, .tail = ""},
    {"fallocate-keep", "fallocate", act_fallocate, .a = FALLOC_FL_KEEP_SIZE, .b = 10},
    {"fallocate-keep", "fallocate beyond the end", act_fallocate, .a = FALLOC_FL_KEEP_SIZE,
     .b = 1 << 20, .name = "end"},
    {"fallocate-grow", "fallocate", act_fallocate, .b = 200},
    {"fallocate-grow", "fallocate within", act_fallocate, .b = 10},
    {"fallocate-punch", "fallocate", act_fallocate, .a = PUNCH, .b = 10},
    {"fallocate-punch", "fallocate over all", act_fallocate, .a = PUNCH, .b = 1 << 20},
    {"fallocate-punch-end", "fallocate", act_fallocate, .a = PUNCH, .b = 10, .name = "end"},
    {"fallocate-zero", "fallocate", act_fallocate, .a = FALLOC_FL_ZERO_RANGE, .b = 10},
    {"fallocate-zero", "fallocate, KEEP_SIZE", act_fallocate,
     .a = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, .b = 10},
    {"fallocate-collapse", "COLLAPSE_RANGE", act_fallocate, .a = FALLOC_FL_COLLAPSE_RANGE, .b = 10},
    {"fallocate-collapse", "INSERT_RANGE", act_fallocate, .a = FALLOC_FL_INSERT_RANGE, .b = 10},
    {"fallocate-collapse", "UNSHARE_RANGE", act_fallocate, .a = FALLOC_FL_UNSHARE_RANGE, .b = 10},
    {"mmap-write", "mmap", act_mmap, .a = MAP_SHARED, .b = PROT_READ | PROT_WRITE},
    {"mmap-write", "mmap, write only", act_mmap, .a = MAP_SHARED, .b = PROT_WRITE},
    {"mmap-write", "mmap, SHARED_VALIDATE", act_mmap, .a = MAP_SHARED_VALIDATE,
     .b = PROT_READ | PROT_WRITE},
    {"reflink", "FICLONE", act_clone},
    {"reflink", "FICLONERANGE", act_clone_range},

    {"open-read", "open", act_open, .a = O_RDONLY},
    {"open-write", "O_WRONLY | O_APPEND", act_open, .a = O_WRONLY | O_APPEND},
    {"open-write", "O_WRONLY", act_open, .a = O_WRONLY},
    {"open-write", "O_RDWR", act_open, .a = O_RDWR},
    {"open-write", "O_RDWR | O_SYNC", act_open, .a = O_RDWR | O_SYNC},
    {"open-write", "O_WRONLY | O_DIRECT", act_open, .a = O_WRONLY | O_DIRECT},
    {"open-write", "O_WRONLY | O_CREAT", act_open, .a = O_WRONLY | O_CREAT, .states = FILES},
    OPEN_TRUNC("O_WRONLY | O_TRUNC", O_WRONLY),
    OPEN_TRUNC("O_RDWR | O_TRUNC", O_RDWR),
    {"open-trunc", "O_RDONLY | O_TRUNC", act_open, .a = O_RDONLY | O_TRUNC,
     .operation = "truncate", .other_words = true},
    OPEN_TRUNC("O_WRONLY | O_CREAT | O_TRUNC", O_WRONLY | O_CREAT),
    {"open-write-dir", "O_WRONLY", act_open, .a = O_WRONLY},
    {"open-write-dir", "O_RDWR", act_open, .a = O_RDWR},
    {"tmpfile", "O_RDWR", act_tmpfile, .a = O_RDWR},
    {"tmpfile", "O_WRONLY | O_EXCL", act_tmpfile, .a = O_WRONLY | O_EXCL},

    CHMOD("chmod-no-write", 0444, .changes = B(F_MODE), .value = "0444"),
    CHMOD("chmod-less", 0400, .changes = B(F_MODE), .value = "0400"),
    {"commit", "the daemon's verb", act_verb, .name = "commit", .people = "root"},
    {"commit", "chmod", act_chmod, .a = 0444, .states = "open committed expired",
     .people = "owner", .operation = "chmod"},
    BY_ATTR("commit-later", END_LATER),
    BY_ATTR("commit-below", END_BELOW),
    BY_ATTR("commit-above", END_ABOVE),
    BY_ATTR("commit-past", END_PAST),
    {"chattr-add-i", "FS_IOC_SETFLAGS", act_setflags, .a = FS_IMMUTABLE_FL | FS_APPEND_FL},
    {"chattr-add-i", "FS_IOC_FSSETXATTR", act_fssetxattr,
     .a = FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND},
    {"chattr-none", "FS_IOC_SETFLAGS", act_setflags},
    {"chattr-none", "FS_IOC_FSSETXATTR", act_fssetxattr},
    {"chattr-other", "FS_IOC_SETFLAGS", act_setflags,
     .a = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NOATIME_FL},
    {"chattr-other", "FS_IOC_FSSETXATTR", act_fssetxattr,
     .a = FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND | FS_XFLAG_NOATIME},

    TIMES("atime-later", .end = END_LATER, .a = UTIME_OMIT),
    TIMES("atime-earlier", .end = END_EARLIER, .a = UTIME_OMIT),
    TIMES("atime-withdraw", .end = END_PAST, .a = UTIME_OMIT),
    TIMES("atime-above", .end = END_ABOVE, .a = UTIME_OMIT),
    TIMES("atime-now", .a = UTIME_OMIT, .b = UTIME_NOW),
    {"times-now", "utimensat, NULL", act_touch, .changes = B(F_MTIME)},
    {"times-now", "utimensat, UTIME_NOW", act_touch, .a = 1, .changes = B(F_MTIME)},
    TIMES("times-both", .end = END_LATER, .a = 1000, .changes = B(F_MTIME),
	  .value = "1000.000000000"),
    {"retain-later", "the daemon's verb", act_verb, .name = "retain", .end = END_LATER,
     .people = "root"},
    BY_ATTR("retain-later", END_LATER, .states = "committed expired dir", .people = "owner other"),
    BY_ATTR("retain-later", END_LATER, .states = "empty open", .people = "other"),
    {"retain-later", "user.immutable.until", act_setxattr, .name = "user.immutable.until",
     .end = END_LATER, .states = "empty open", .people = "owner", .operation = "setxattr"},
    {"retain-earlier", "the daemon's verb", act_verb, .name = "retain", .end = END_EARLIER,
     .people = "root"},
    BY_ATTR("retain-earlier", END_EARLIER, .states = "committed expired", .people = "owner other"),
    BY_ATTR("retain-earlier", END_EARLIER, .states = "empty open", .people = "other"),
    {"retain-earlier", "user.immutable.until", act_setxattr, .name = "user.immutable.until",
     .end = END_EARLIER, .states = "empty open", .people = "owner", .operation = "setxattr"},
    {"retain-infinite", "the daemon's verb", act_verb, .name = "retain", .end = END_INFINITE,
     .people = "root"},
    BY_ATTR("retain-infinite", END_INFINITE, .states = "committed expired",
	    .people = "owner other"),
    BY_ATTR("retain-infinite", END_INFINITE, .states = "empty open", .people = "other"),
    {"retain-infinite", "user.immutable.until", act_setxattr, .name = "user.immutable.until",
     .end = END_INFINITE, .states = "empty open", .people = "owner", .operation = "setxattr"},
    {"xattr-retain", "setxattr", act_setxattr, .name = "user.coffer.retain_until",
     .end = END_LATER},
    {"xattr-retain", "fsetxattr", act_fsetxattr, .name = "user.coffer.retain_until",
     .end = END_LATER},
    {"xattr-retain-system", "setxattr", act_setxattr, .name = RETAIN, .end = END_LATER},
    {"xattr-retain-system", "fsetxattr", act_fsetxattr, .name = RETAIN, .end = END_LATER},
    {"xattr-retain-earlier", "setxattr", act_setxattr, .name = RETAIN, .end = END_EARLIER},
    {"xattr-immutable", "setxattr", act_setxattr, .name = "user.immutable.until",
     .end = END_LATER},
    {"xattr-retain-remove", "removexattr", act_removexattr, .name = RETAIN},

    {"chmod-write", "chmod", act_chmod, .a = 0664, .changes = B(F_MODE), .value = "0664",
     .states = FILES " dir empty-dir shelf root missing"},
    {"chmod-write", "fchmod", act_fchmod, .a = 0664, .changes = B(F_MODE), .value = "0664",
     .states = FILES},
    {"chmod-write", "fchmodat, SYMLINK_NOFOLLOW", act_chmod_link, .a = 0664, .states = "symlink"},
    {"chmod-same", "chmod", act_chmod, .a = 0644, .states = "empty open"},
    {"chmod-same", "chmod", act_chmod, .a = 0444, .states = "committed expired"},
    {"chown", "lchown", act_chown, .a = 12, .b = -1, .changes = B(F_OWNER), .value = "12"},
    {"chown", "fchown", act_fchown, .a = 12, .b = -1, .changes = B(F_OWNER), .value = "12",
     .states = FILES},
    {"chgrp", "lchown", act_chown, .a = -1, .b = 12, .changes = B(F_GROUP), .value = "12"},
    {"mtime", "utimensat", act_utimens, .a = 1000, .changes = B(F_MTIME),
     .value = "1000.000000000"},
    {"mtime", "futimens", act_futimens, .a = 1000, .changes = B(F_MTIME),
     .value = "1000.000000000", .states = FILES},
    {"xattr-user", "lsetxattr", act_setxattr, .name = "user.note", .changes = B(F_NAMES),
     .value = "user.note=x "},
    {"xattr-user", "fsetxattr", act_fsetxattr, .name = "user.note", .changes = B(F_NAMES),
     .value = "user.note=x ", .states = FILES},
    {"xattr-user-remove", "removexattr", act_removexattr, .name = "user.note",
     .changes = B(F_NAMES), .value = ""},
    {"xattr-coffer", "setxattr state", act_setxattr, .name = "user.coffer.state"},
    {"xattr-coffer", "setxattr digest", act_setxattr, .name = "user.coffer.digest"},
    {"xattr-coffer", "setxattr of a new name", act_setxattr, .name = "user.coffer.new"},
    {"xattr-coffer", "removexattr state", act_removexattr, .name = "user.coffer.state",
     .operation = "removexattr"},
    {"xattr-security", "setxattr", act_setxattr, .name = "security.note"},
    {"xattr-trusted", "setxattr", act_setxattr, .name = "trusted.note"},
    {"xattr-system", "setxattr", act_setxattr, .name = "system.note"},
    {"xattr-unknown", "setxattr", act_setxattr, .name = "note.note"},
    {"xattr-acl", "setxattr", act_set_acl, .name = "system.posix_acl_access"},

    {"unlink", "unlink", act_unlink},
    {"rmdir", "rmdir", act_rmdir},
    {"rmdir", "unlinkat, REMOVEDIR", act_unlink, .a = AT_REMOVEDIR, .states = "dir empty-dir"},
    RENAME2("rename", RENAME_NOREPLACE),
    RENAME("rename-once", 0),
    RENAME("rename-over-empty", 0),
    RENAME("rename-over", 0),
    RENAME("rename-over-committed", 0),
    RENAME("rename-over-dir", 0),
    RENAME("rename-over-full-dir", 0),
    {"rename-noreplace", "renameat2", act_rename, .a = RENAME_NOREPLACE},
    {"rename-exchange", "renameat2", act_rename, .a = RENAME_EXCHANGE},
    {"rename-whiteout", "renameat2", act_rename, .a = RENAME_WHITEOUT},
    RENAME2("rename-root", RENAME_NOREPLACE),
    RENAME2("rename-shelf", RENAME_NOREPLACE),
    {"link", "link", act_link},

    {"create", "open, O_EXCL", act_create, .a = O_WRONLY | O_EXCL},
    {"create", "creat", act_create, .a = O_WRONLY | O_TRUNC},
    {"create", "mkdir", act_mkdir},
    {"create", "symlink", act_symlink},
    {"create", "mknod, S_IFREG", act_mknod, .a = S_IFREG},
    {"create-taken", "open, O_EXCL", act_create, .a = O_WRONLY | O_EXCL},
    {"create-taken", "mkdir", act_mkdir},
    {"create-taken", "symlink", act_symlink},
    {"create-taken", "mknod, S_IFREG", act_mknod, .a = S_IFREG},
    {"mkfifo", "mknod, S_IFIFO", act_mknod, .a = S_IFIFO},
    {"mkfifo", "mknod, S_IFSOCK", act_mknod, .a = S_IFSOCK},
    {"mkfifo", "bind", act_bind},
    {"mknod", "mknod, S_IFCHR", act_mknod, .a = S_IFCHR, .b = 1 << 8 | 3},
    {"mknod", "mknod, S_IFBLK", act_mknod, .a = S_IFBLK, .b = 7 << 8},

    {"shelf-add", "the daemon's verb", act_verb, .name = "shelf-add", .value = ""},
    {"shelf-set-stronger", "the daemon's verb", act_verb, .name = "shelf-set",
     .value = "retention = 15y\nretention_min = 1y\nretention_max = 20y\n"},
    {"shelf-set-weaker", "the daemon's verb", act_verb, .name = "shelf-set",
     .value = "retention = 10y\nretention_min = 29d\nretention_max = 20y\n"},

    BY_ATTR("strict-below", END_BELOW),
    {"strict-above", "the daemon's verb", act_verb, .name = "retain", .end = END_ABOVE,
     .people = "root"},
    BY_ATTR("strict-above", END_ABOVE, .people = "owner other"),
    BY_ATTR("no-retention-commit", END_BELOW),
    UP("quota", "pwrite", act_write),
    UP("quota", "write, O_APPEND", act_append),
    {"quota-files", "creat", act_create, .a = O_WRONLY},
    {"quota-files", "mkdir", act_mkdir},
    UP("rofs", "pwrite", act_write, .a = -1),
    {"staging", "unlink", act_unlink},
    {"autocommit", "O_WRONLY | O_APPEND", act_open, .a = O_WRONLY | O_APPEND},
};
const unsigned ways_count = sizeof(ways) / sizeof(ways[0]);

#define SOCKET "the daemon's socket is root's alone, and "
const struct unreachable unreachable[] = {
    {"commit", FILES " dir", "other",
     SOCKET "chmod, by which coffer commit works, is refused by the kernel (chmod-no-write)"},
    {"commit", "empty dir", "owner", SOCKET "chmod commits neither an empty file nor a directory"},
    {"shelf-add", "root", "other owner", SOCKET "there is no other way"},
    {"shelf-set-stronger", "shelf dir", "other owner", SOCKET "there is no other way"},
    {"shelf-set-weaker", "shelf", "other owner", SOCKET "there is no other way"},
    {"autocommit", "open", "owner",
     "where the daemon commits it before the attempt, its mode is the kernel's reason"},
    {"rmdir", "root", NULL, "its name is one of the filesystem around it"},
    {"rename", "root", NULL, "its name is one of the filesystem around it"},
};
const unsigned unreachable_count = sizeof(unreachable) / sizeof(unreachable[0]);
