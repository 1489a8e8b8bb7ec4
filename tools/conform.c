/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of coffer conform share: how they report, and the files they work on. */
#include "tools/conform.h"
#include "tools/output.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* ---- reporting ---- */

static void tell(struct conform *c, const char *what, const char *why, bool ok, bool skipped)
{
	cof_autojson struct cof_json *o = NULL;

	if (!c->json) {
		printf("%s %u - %s%s%s\n", ok ? "ok" : "not ok", c->number, what,
		       skipped ? " # SKIP " : "", skipped ? why : "");
		if (!ok)
			printf("  ---\n  message: \"%s\"\n  ...\n", why);
		return;
	}
	o = cof_json_object();
	cof_json_set_uint(o, "number", c->number);
	cof_json_set_str(o, "check", what);
	cof_json_set_bool(o, "ok", ok);
	cof_json_set_bool(o, "skipped", skipped);
	if (why)
		cof_json_set_str(o, "message", why);
	if (print_json(o, false) == -ENOMEM)
		c->err = cof_fail(c->diag, -ENOMEM, "out of memory");
}

void conform_report(struct conform *c, const char *what, bool ok, const char *why)
{
	c->number++;
	c->passed += ok;
	c->failed += !ok;
	tell(c, what, ok ? NULL : why, ok, false);
}

void conform_skip(struct conform *c, const char *what, const char *why)
{
	c->number++;
	c->skipped++;
	tell(c, what, why, true, true);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_gid == b->st_gid && a->st_size == b->st_size &&
	       (S_ISDIR(a->st_mode) ||
		(a->st_nlink == b->st_nlink && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		 a->st_mtim.tv_nsec == b->st_mtim.tv_nsec));
}

/* What can be read of it counts: a file that grows is found by its size. */
static uint32_t sum_of(struct conform *c, const char *name)
{
	cof_autoclose int fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char buf[CONFORM_CONTENT];
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof(buf), 0);

	return n > 0 ? cof_crc32c(0, buf, (size_t)n) : 0;
}

static int look(struct conform *c, struct conform_watched *w)
{
	if (fstatat(c->dir, w->name, &w->st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	w->sum = S_ISREG(w->st.st_mode) ? sum_of(c, w->name) : 0;
	return 0;
}

static void make_watched(struct conform *c, const struct conform_watched *w)
{
	if (w->kind == CONFORM_DIRECTORY) {
		cof_autofree char *inside = NULL;

		if (asprintf(&inside, "%s/l", w->name) < 0) {
			inside = NULL;
			conform_fail(c, -ENOMEM, "making", w->name);
		} else if (mkdirat(c->dir, w->name, 0755) < 0 ||
			   symlinkat("x", c->dir, inside) < 0) {
			conform_fail(c, -errno, "making", w->name);
		}
		return;
	}
	if (w->kind == CONFORM_EMPTY) {
		if (conform_try(c, w->name, O_WRONLY | O_CREAT | O_EXCL) < 0)
			conform_fail(c, -errno, "making", w->name);
		return;
	}
	conform_make(c, w->name);
	if (w->kind == CONFORM_COMMITTED)
		conform_commit(c, w->name);
}

/* Where it cannot be removed, what it is now is what later checks compare with. */
static void restore(struct conform *c, struct conform_watched *w)
{
	if (c->chattr)
		(void)conform_flags(c, w->name, 0, FS_APPEND_FL | FS_IMMUTABLE_FL, NULL);
	if (unlinkat(c->dir, w->name, 0) == 0 || errno == ENOENT)
		make_watched(c, w);
	if (look(c, w) < 0)
		conform_fail(c, -errno, "looking at", w->name);
}

static const char *changed(struct conform *c)
{
	const char *found = NULL;

	for (int i = 0; i < c->n_watched && !c->err; i++) {
		struct conform_watched *w = &c->watched[i], now = *w;

		if (look(c, &now) == 0 && same_file(&now.st, &w->st) && now.sum == w->sum)
			continue;
		found = w->name;
		restore(c, w);
	}
	return found;
}

void conform_judge(struct conform *c, const char *what, long result, int got, int want)
{
	const char *altered = changed(c);
	char why[256];

	if (want == EPERM)
		want = c->refusal;
	if (want == EOPNOTSUPP && got == EPERM)
		want = EPERM; /* refused is refused, where nothing like it exists */
	if (want && result >= 0)
		snprintf(why, sizeof(why), "it was allowed; %s is right%s%s", strerrorname_np(want),
			 altered ? ", and it changed " : "", altered ? altered : "");
	else if (want && got != want)
		snprintf(why, sizeof(why), "%s; %s is right", strerrorname_np(got),
			 strerrorname_np(want));
	else if (!want && result < 0)
		snprintf(why, sizeof(why), "%s; it has to work", strerrorname_np(got));
	else if (altered)
		snprintf(why, sizeof(why), "%s is no longer what it was", altered);
	else
		why[0] = '\0';
	conform_report(c, what, !why[0], why);
}

void conform_fail(struct conform *c, int err, const char *what, const char *name)
{
	if (c->err == 0)
		c->err = cof_fail(c->diag, err, "the run cannot go on: %s %s: %s", what, name,
				  strerror(-err));
}

/* ---- files ---- */

static char content_at(const char *name, size_t i)
{
	return (char)(name[0] * 31 + i * 7 + i / 251);
}

int conform_flags(struct conform *c, const char *name, unsigned set, unsigned clear, unsigned *ret)
{
	cof_autoclose int fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned flags = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	if (ret)
		*ret = flags;
	if (!set && !clear)
		return 0;
	flags = (flags | set) & ~clear;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
}

void conform_make(struct conform *c, const char *name)
{
	cof_autoclose int fd = openat(c->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	char buf[CONFORM_CONTENT];
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = content_at(name, i);
	if (r == 0)
		r = cof_write_all(fd, buf, sizeof(buf));
	if (r == 0 && c->chattr)
		r = conform_flags(c, name, FS_APPEND_FL, 0, NULL);
	if (r < 0)
		conform_fail(c, r, "making", name);
}

int conform_open(struct conform *c, const char *name, int flags)
{
	int fd = openat(c->dir, name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		conform_fail(c, -errno, "opening", name);
	return fd;
}

int conform_try(struct conform *c, const char *name, int flags)
{
	int fd = openat(c->dir, name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

void conform_watch(struct conform *c, const char *name, enum conform_kind kind)
{
	struct conform_watched *w = &c->watched[c->n_watched];

	if (c->err || c->n_watched == CONFORM_WATCHED)
		return;
	*w = (struct conform_watched){.name = name, .kind = kind};
	if (faccessat(c->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		make_watched(c, w);
	if (c->err == 0 && look(c, w) < 0)
		conform_fail(c, -errno, "looking at", name);
	c->n_watched++;
}

void conform_forget(struct conform *c)
{
	c->n_watched = 0;
}

void conform_commit(struct conform *c, const char *name)
{
	int status = 0;
	pid_t pid;

	if (c->err)
		return;
	fflush(stdout); /* or the child would print it once more */
	pid = fork();
	if (pid == 0)
		_exit((c->chattr && conform_flags(c, name, 0, FS_APPEND_FL, NULL) < 0) ||
		      fchmodat(c->dir, name, 0444, 0) < 0 ||
		      (c->chattr && conform_flags(c, name, FS_IMMUTABLE_FL, 0, NULL) < 0));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		conform_fail(c, -errno, "a process to commit", name);
	else if (status)
		conform_fail(c, -EIO, "committing", name);
}

void conform_xattr(struct conform *c, const char *name, const char *attr, char *value, size_t cap)
{
	cof_autoclose int fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, attr, value, cap - 1);

	value[n > 0 ? n : 0] = '\0';
}
