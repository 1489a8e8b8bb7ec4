/* SPDX-License-Identifier: Apache-2.0 */
/* coffer conform: names and attributes of open files, directories, and what there may not be. */
#include "tools/conform.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static int rename_to(struct conform *c, const char *from, const char *to, unsigned flags)
{
	return renameat2(c->dir, from, c->dir, to, flags);
}

/* A socket's name is short: by the descriptor, not by a path. */
static int bind_socket(struct conform *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	cof_autoclose int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/socket", c->dir);
	return bind(s, (struct sockaddr *)&a, sizeof(a));
}

static int make_empty(struct conform *c, const char *name)
{
	return conform_try(c, name, O_WRONLY | O_CREAT | O_EXCL);
}

static void what_must_stay(struct conform *c)
{
	REFUSES(c, "unlink of an open file with content", EPERM, unlinkat(c->dir, "open", 0));
	REFUSES(c, "rename over it, of a file with content", EPERM,
		rename_to(c, "other", "open", 0));
	REFUSES(c, "rename over it, of an empty file", EPERM, rename_to(c, "empty", "open", 0));
	REFUSES(c, "exchanging two files", EPERM, rename_to(c, "other", "open", RENAME_EXCHANGE));
	REFUSES(c, "rename that leaves a whiteout", EPERM,
		rename_to(c, "other", "away", RENAME_WHITEOUT));
	REFUSES(c, "RENAME_NOREPLACE onto a name", EEXIST,
		rename_to(c, "other", "open", RENAME_NOREPLACE));
	REFUSES(c, "a hard link", EPERM, linkat(c->dir, "open", c->dir, "second", 0));
	REFUSES(c, "rename of a directory that is not empty", EPERM,
		rename_to(c, "full", "moved", 0));
	REFUSES(c, "rmdir of a directory that is not empty", ENOTEMPTY,
		unlinkat(c->dir, "full", AT_REMOVEDIR));
}

static void what_there_may_not_be(struct conform *c)
{
	REFUSES(c, "a FIFO", EPERM, mkfifoat(c->dir, "fifo", 0600));
	REFUSES(c, "a socket", EPERM, bind_socket(c));
	REFUSES(c, "a device", EPERM, mknodat(c->dir, "null", S_IFCHR | 0600, makedev(1, 3)));
	REFUSES(c, "O_TMPFILE", EOPNOTSUPP, conform_try(c, ".", O_TMPFILE | O_RDWR));
}

static void what_works(struct conform *c)
{
	cof_autoclose int fd = -1;

	conform_make(c, "log");
	fd = openat(c->dir, "log", O_WRONLY | O_APPEND | O_CLOEXEC);
	ALLOWS(c, "rotation: an open file is renamed to a free name",
	       rename_to(c, "log", "log.1", 0));
	ALLOWS(c, "who has it open writes on", fd < 0 ? -1 : write(fd, "late\n", 5));
	ALLOWS(c, "an empty file is removed",
	       make_empty(c, "nothing") < 0 ? -1 : unlinkat(c->dir, "nothing", 0));
	ALLOWS(c, "a file is renamed over an empty one",
	       make_empty(c, "nothing") < 0 ? -1 : rename_to(c, "log.1", "nothing", 0));
	ALLOWS(c, "an empty directory is made, renamed and removed",
	       mkdirat(c->dir, "d1", 0755) < 0 || rename_to(c, "d1", "d2", 0) < 0
		   ? -1
		   : unlinkat(c->dir, "d2", AT_REMOVEDIR));
	ALLOWS(c, "a symbolic link", symlinkat("open", c->dir, "link"));
}

void conform_names(struct conform *c)
{
	conform_watch(c, "open", CONFORM_OPEN);
	conform_watch(c, "other", CONFORM_OPEN);
	conform_watch(c, "empty", CONFORM_EMPTY);
	conform_watch(c, "full", CONFORM_DIRECTORY);
	if (c->err)
		return;
	what_must_stay(c);
	what_there_may_not_be(c);
	what_works(c);
	conform_forget(c);
}

/* ---- attributes ---- */

static void flags_of_open(struct conform *c)
{
	unsigned flags = 0;
	int r = conform_flags(c, "open", 0, 0, &flags);

	conform_report(c, "lsattr of an open file shows a", r == 0 && flags & FS_APPEND_FL,
		       r < 0 ? strerrorname_np(-r) : "it does not");
	if (!c->root) {
		conform_skip(c, "chattr -a of an open file", "it takes root");
		return;
	}
	r = conform_flags(c, "open", 0, FS_APPEND_FL, NULL);
	errno = -r;
	conform_judge(c, "chattr -a of an open file", r, -r, EPERM);
	if (r == 0 && c->chattr)
		(void)conform_flags(c, "open", FS_APPEND_FL, 0, NULL);
}

void conform_attributes(struct conform *c)
{
	struct timespec claimed[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
	char path[64], value[64];
	struct stat st = {0};

	snprintf(path, sizeof(path), "/proc/self/fd/%d/open", c->dir);
	ALLOWS(c, "the mtime of an open file may be claimed",
	       utimensat(c->dir, "open", claimed, 0));
	ALLOWS(c, "the mode of an open file may change while it can be written",
	       fchmodat(c->dir, "open", 0640, 0));
	ALLOWS(c, "attributes of one's own (user.*) on an open file",
	       setxattr(path, "user.note", "1", 1, 0));
	conform_report(c, "mode and mtime are what was set",
		       fstatat(c->dir, "open", &st, 0) == 0 && (st.st_mode & 0777) == 0640 &&
			   st.st_mtim.tv_sec == 1000000000,
		       "they are not");
	conform_watch(c, "open", CONFORM_OPEN);
	conform_xattr(c, "open", "user.coffer.state", value, sizeof(value));
	conform_report(c, "user.coffer.state says open", !strcmp(value, "open"),
		       *value ? value : "there is no such attribute");
	REFUSES(c, "user.coffer.state cannot be set", EPERM,
		setxattr(path, "user.coffer.state", "committed", 9, 0));
	flags_of_open(c);
	conform_forget(c);
}
