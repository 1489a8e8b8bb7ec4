/* SPDX-License-Identifier: Apache-2.0 */
/* coffer conform: a committed file never changes again; retention is only ever extended. */
#include "tools/conform.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>

/* ---- content ---- */

static void by_descriptor(struct conform *c, int append, int rw)
{
	REFUSES(c, "an append on a descriptor from before", EPERM, write(append, "x", 1));
	REFUSES(c, "a write beyond the end on it", EPERM, pwrite(rw, "x", 1, 2 * CONFORM_CONTENT));
	REFUSES(c, "a write at offset 0 on it", EPERM, pwrite(rw, "x", 1, 0));
	REFUSES(c, "ftruncate to 0 on it", EPERM, ftruncate(rw, 0));
	REFUSES(c, "ftruncate upwards on it", EPERM, ftruncate(rw, 2 * CONFORM_CONTENT));
	REFUSES(c, "fallocate on it", EPERM, fallocate(rw, FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSES(c, "punching a hole on it", EPERM,
		fallocate(rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	REFUSES(c, "fchmod u+w on it", EPERM, fchmod(append, 0644));
	REFUSES(c, "futimens on it", EPERM, futimens(append, NULL));
}

static void by_name(struct conform *c)
{
	int refusal =
	    c->root ? EPERM : EACCES; /* without write permission the kernel asks no further */

	REFUSES(c, "opening a committed file for writing", refusal,
		conform_try(c, "fixed", O_WRONLY));
	REFUSES(c, "opening it for appending", refusal,
		conform_try(c, "fixed", O_WRONLY | O_APPEND));
	REFUSES(c, "O_RDONLY | O_TRUNC on it", refusal,
		conform_try(c, "fixed", O_RDONLY | O_TRUNC));
	REFUSES(c, "unlink of a committed file", EPERM, unlinkat(c->dir, "fixed", 0));
	REFUSES(c, "rename of it", EPERM, renameat(c->dir, "fixed", c->dir, "free"));
	REFUSES(c, "rename over it", EPERM, renameat(c->dir, "other", c->dir, "fixed"));
	REFUSES(c, "exchange with it", EPERM,
		renameat2(c->dir, "fixed", c->dir, "other", RENAME_EXCHANGE));
	REFUSES(c, "a hard link to it", EPERM, linkat(c->dir, "fixed", c->dir, "second-2", 0));
	REFUSES(c, "chmod u+w", EPERM, fchmodat(c->dir, "fixed", 0644, 0));
	REFUSES(c, "chmod to another mode without write bits", EPERM,
		fchmodat(c->dir, "fixed", 0400, 0));
	ALLOWS(c, "chmod to the mode that it has changes nothing",
	       fchmodat(c->dir, "fixed", 0444, 0));
	REFUSES(c, "touch", EPERM, utimensat(c->dir, "fixed", NULL, 0));
}

static void by_root(struct conform *c)
{
	char path[64];
	unsigned flags = 0;
	int r = conform_flags(c, "fixed", 0, 0, &flags);

	conform_report(c, "lsattr of a committed file shows i", r == 0 && flags & FS_IMMUTABLE_FL,
		       r < 0 ? strerrorname_np(-r) : "it does not");
	if (!c->root) {
		conform_skip(c, "chattr -i, chown and attributes of a committed file",
			     "they take root");
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d/fixed", c->dir);
	REFUSES(c, "chown of a committed file", EPERM, fchownat(c->dir, "fixed", 65534, -1, 0));
	REFUSES(c, "an attribute of one's own on it", EPERM,
		setxattr(path, "user.note", "1", 1, 0));
	r = conform_flags(c, "fixed", 0, FS_IMMUTABLE_FL, NULL);
	conform_judge(c, "chattr -i of a committed file", r, -r, EPERM);
	if (r == 0 && c->chattr)
		(void)conform_flags(c, "fixed", FS_IMMUTABLE_FL, 0, NULL);
}

static void reading(struct conform *c)
{
	cof_autoclose int fd = openat(c->dir, "fixed", O_RDONLY | O_CLOEXEC);
	char value[64];
	void *p = mmap(NULL, CONFORM_CONTENT, PROT_READ, MAP_SHARED, fd, 0);

	conform_report(c, "a committed file can be mapped for reading", p != MAP_FAILED,
		       "it cannot");
	if (p != MAP_FAILED)
		munmap(p, CONFORM_CONTENT);
	conform_xattr(c, "fixed", "user.coffer.state", value, sizeof(value));
	conform_report(c, "user.coffer.state says committed", !strcmp(value, "committed"),
		       *value ? value : "there is no such attribute");
}

static int chmod_and_rename(struct conform *c, const char *from, const char *to)
{
	return fchmodat(c->dir, from, 0444, 0) < 0 ? -1 : renameat(c->dir, from, c->dir, to);
}

void conform_committed(struct conform *c)
{
	cof_autoclose int append = -1, rw = -1;

	conform_make(c, "fixed");
	append = conform_open(c, "fixed", O_WRONLY | O_APPEND);
	rw = openat(c->dir, "fixed", O_RDWR | O_CLOEXEC);
	if (rw < 0) /* where that is refused, it was said before */
		rw = conform_open(c, "fixed", O_RDWR | O_APPEND);
	conform_commit(c, "fixed");
	if (c->err)
		return;
	conform_watch(c, "fixed", CONFORM_COMMITTED);
	conform_watch(c, "other", CONFORM_OPEN);
	by_descriptor(c, append, rw);
	by_name(c);
	by_root(c);
	reading(c);
	conform_forget(c);
	conform_make(c, "temporary");
	ALLOWS(c, "who commits a file names it once (rsync -p)",
	       chmod_and_rename(c, "temporary", "named"));
	conform_watch(c, "named", CONFORM_COMMITTED);
	REFUSES(c, "and not twice", EPERM, renameat(c->dir, "named", c->dir, "again"));
	conform_forget(c);
}

/* ---- retention ---- */

static int set_times(struct conform *c, const char *name, time_t atime, bool mtime)
{
	struct timespec t[] = {{.tv_sec = atime}, {.tv_nsec = UTIME_OMIT}};

	if (mtime)
		t[1] = (struct timespec){.tv_sec = 1000000000};
	return utimensat(c->dir, name, t, 0);
}

static time_t atime_of(struct conform *c, const char *name)
{
	struct stat st;

	return fstatat(c->dir, name, &st, 0) < 0 ? 0 : st.st_atim.tv_sec;
}

/* Short: whatever is asked for, the files stay at least as long. */
void conform_retention(struct conform *c)
{
	time_t asked = (time_t)(cof_now(CLOCK_REALTIME) / COF_NSEC) + 60, granted;
	char until[64], shown[64];

	conform_make(c, "retained");
	ALLOWS(c, "an access time in the future asks for a retention",
	       set_times(c, "retained", asked, false));
	conform_commit(c, "retained");
	if (c->err)
		return;
	conform_xattr(c, "retained", "user.coffer.retain_until", until, sizeof(until));
	granted = atime_of(c, "retained");
	conform_report(c, "user.coffer.retain_until says until when it is kept", *until,
		       "there is no such attribute");
	if (*until && (!strcmp(until, "none") || !strcmp(until, "infinite"))) {
		conform_skip(c, "retention is extended, never shortened",
			     "what is committed here is kept for ever");
		return;
	}
	conform_report(c, "the access time shows an end no earlier than asked for",
		       granted >= asked, "it is earlier");
	conform_watch(c, "retained", CONFORM_COMMITTED);
	REFUSES(c, "an earlier end by the access time", EPERM,
		set_times(c, "retained", granted - 30, false));
	REFUSES(c, "an end in the past", EPERM, set_times(c, "retained", 1000000000, false));
	REFUSES(c, "a later end together with an mtime", EPERM,
		set_times(c, "retained", granted + 30, true));
	ALLOWS(c, "a later end by the access time", set_times(c, "retained", granted + 30, false));
	snprintf(shown, sizeof(shown), "it is %lld seconds later",
		 (long long)(atime_of(c, "retained") - granted));
	conform_report(c, "it is extended by that", atime_of(c, "retained") == granted + 30, shown);
	REFUSES(c, "the former end again", EPERM, set_times(c, "retained", granted, false));
	conform_forget(c);
}
