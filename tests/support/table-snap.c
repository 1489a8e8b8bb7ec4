/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an object is, field by field, as text; and whether what changed is what the ruling says. The
 * daemon is asked past the kernel's caches, and what the kernel has cached must be the same.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "table.h"

#define B(field) (1u << (field))
#define ANY (B(FIELDS) - 1)

const char *const field_names[FIELDS] = {
    [F_INODE] = "inode",	 [F_MODE] = "mode",	  [F_OWNER] = "owner",
    [F_GROUP] = "group",	 [F_SIZE] = "size",	  [F_BYTES] = "content",
    [F_MTIME] = "mtime",	 [F_CTIME] = "ctime",	  [F_ATIME] = "atime",
    [F_LINKS] = "links",	 [F_STATE] = "state",	  [F_UNTIL] = "retain_until",
    [F_ASKED] = "asked_until", [F_LEAF] = "index",	  [F_DIGEST] = "digest",
    [F_FLAGS] = "flags",	 [F_NAMES] = "attributes",
};

static void set(struct snap *s, enum field f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void set(struct snap *s, enum field f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s->field[f], fmt, ap) < 0)
		die("memory", "");
	va_end(ap);
}

/* ---- taking one ---- */

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static void take_names(const char *path, struct snap *s)
{
	struct dirent **names;
	int n = scandir(path, &names, not_dots, alphasort);
	size_t len = 1;

	if (n < 0)
		die("scandir", path);
	for (int i = 0; i < n; i++)
		len += strlen(names[i]->d_name) + 1;
	s->field[F_BYTES] = calloc(1, len);
	for (int i = 0; i < n; i++) {
		strcat(strcat(s->field[F_BYTES], names[i]->d_name), "/");
		free(names[i]);
	}
	free(names);
}

static void take_content(const char *path, struct snap *s)
{
	char buf[4096], *text = calloc(1, sizeof(buf) + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (n < 0 || !text)
		die("read", path);
	for (ssize_t i = 0; i < n; i++)
		text[i] = buf[i] ? buf[i] : '.';
	s->field[F_BYTES] = text;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		die("FS_IOC_GETFLAGS", path);
	set(s, F_FLAGS, "%x", (unsigned)flags);
	close(fd);
}

static void take_attributes(const char *path, struct snap *s)
{
	char names[1024], value[128], *text = calloc(1, 4096);
	ssize_t n = llistxattr(path, names, sizeof(names)), v;

	if (n < 0)
		die("llistxattr", path);
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		v = lgetxattr(path, name, value, sizeof(value) - 1);
		if (v < 0)
			die(name, path);
		value[v] = 0;
		snprintf(text + strlen(text), 4096 - strlen(text), "%s=%s ", name, value);
	}
	s->field[F_NAMES] = text;
}

static void take_own(const char *path, struct snap *s)
{
	static const struct {
		enum field field;
		const char *name;
	} own[] = {{F_STATE, "state"},
		   {F_UNTIL, "retain_until"},
		   {F_ASKED, "asked_until"},
		   {F_LEAF, "index"},
		   {F_DIGEST, "digest"}};
	char value[128];

	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (attr_of(path, own[i].name, value) >= 0)
			set(s, own[i].field, "%s", value);
}

static void same_as_cached(const char *path, const struct statx *x, const struct stat *st)
{
	if (x->stx_ino != st->st_ino || x->stx_mode != st->st_mode || x->stx_uid != st->st_uid ||
	    x->stx_gid != st->st_gid || x->stx_size != (uint64_t)st->st_size ||
	    x->stx_mtime.tv_sec != st->st_mtim.tv_sec ||
	    x->stx_atime.tv_sec != st->st_atim.tv_sec)
		printf("FAILED %s: the kernel's cache tells something else than the archive\n",
		       path);
}

void snap_take(const char *path, struct snap *ret)
{
	struct statx x;
	struct stat st;
	bool cached = lstat(path, &st) == 0;

	*ret = (struct snap){0};
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		  &x) < 0) {
		if (errno != ENOENT)
			die("statx", path);
		return;
	}
	if (cached)
		same_as_cached(path, &x, &st);
	set(ret, F_INODE, "%" PRIu64 " %o", (uint64_t)x.stx_ino, x.stx_mode & S_IFMT);
	set(ret, F_MODE, "%04o", x.stx_mode & 07777);
	set(ret, F_OWNER, "%u", x.stx_uid);
	set(ret, F_GROUP, "%u", x.stx_gid);
	set(ret, F_SIZE, "%" PRIu64, (uint64_t)x.stx_size);
	set(ret, F_LINKS, "%u", x.stx_nlink);
	set(ret, F_MTIME, "%" PRIi64 ".%09u", (int64_t)x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec);
	set(ret, F_CTIME, "%" PRIi64 ".%09u", (int64_t)x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec);
	set(ret, F_ATIME, "%" PRIi64 ".%09u", (int64_t)x.stx_atime.tv_sec, x.stx_atime.tv_nsec);
	take_attributes(path, ret);
	if (S_ISDIR(x.stx_mode)) {
		take_names(path, ret);
	} else if (S_ISLNK(x.stx_mode)) {
		ret->field[F_BYTES] = calloc(1, 256);
		if (readlink(path, ret->field[F_BYTES], 255) < 0)
			die("readlink", path);
	} else {
		take_content(path, ret);
		take_own(path, ret);
	}
}

void snap_done(struct snap *s)
{
	for (int f = 0; f < FIELDS; f++)
		free(s->field[f]);
	*s = (struct snap){0};
}

unsigned snap_differ(const struct snap *a, const struct snap *b)
{
	unsigned bits = 0;

	for (int f = 0; f < FIELDS; f++) {
		const char *x = a->field[f], *y = b->field[f];

		if (!x != !y || (x && strcmp(x, y)))
			bits |= B(f);
	}
	return bits;
}

/* ---- what a ruling allows ---- */

static char wrong[1024];

static const char *differ_text(const char *what, unsigned bits, const struct snap *a,
			       const struct snap *b)
{
	int n = snprintf(wrong, sizeof(wrong), "%s", what);

	for (int f = 0; f < FIELDS && n < (int)sizeof(wrong); f++)
		if (bits & B(f))
			n += snprintf(wrong + n, sizeof(wrong) - (size_t)n,
				      "; %s \"%.150s\" before, \"%.150s\" after", field_names[f],
				      a->field[f] ? a->field[f] : "(none)",
				      b->field[f] ? b->field[f] : "(none)");
	return wrong;
}

static const struct {
	const char *effect;
	unsigned must, may;
} effects[] = {
    {"none", 0, 0},
    {"append", B(F_SIZE) | B(F_BYTES), B(F_MTIME) | B(F_CTIME) | B(F_ATIME)},
    {"hole", B(F_SIZE) | B(F_BYTES), B(F_MTIME) | B(F_CTIME) | B(F_ATIME)},
    {"create", B(F_BYTES), B(F_MTIME) | B(F_CTIME) | B(F_ATIME) | B(F_LINKS) | B(F_SIZE)},
    {"attr", 0, B(F_CTIME) | B(F_ATIME)},
    {"commit", B(F_STATE) | B(F_LEAF) | B(F_FLAGS) | B(F_DIGEST),
     B(F_MODE) | B(F_CTIME) | B(F_ATIME) | B(F_UNTIL) | B(F_ASKED)},
    {"extend", B(F_UNTIL), B(F_ATIME) | B(F_CTIME) | B(F_ASKED) | B(F_STATE)},
    {"ask", B(F_ASKED), B(F_ATIME) | B(F_CTIME)},
    {"shelf", 0, 0},
    {"rename", ANY, 0},
    {"remove", ANY, 0},
};

static const char *check_appended(const struct way *w, const struct snap *before,
				  const struct snap *after)
{
	const char *old = before->field[F_BYTES], *new = after->field[F_BYTES];
	size_t n = strlen(old), m = strlen(new), t = strlen(w->tail);

	if (strncmp(old, new, n) || m < n + t || strcmp(new + m - t, w->tail))
		return "the bytes are not the old ones and what was written";
	for (size_t i = n; i < m - t; i++)
		if (new[i] != '.')
			return "the hole does not read as zeros";
	if (strtoul(after->field[F_SIZE], NULL, 10) != m)
		return "the size is not that of the content";
	return NULL;
}

static int64_t seconds_of(const char *text)
{
	struct tm tm = {0};

	if (!strcmp(text, "infinite"))
		return INT64_MAX;
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : 0;
}

/* What the rule of the frame says about the end. */
static const char *check_end(const struct cell *c, const struct way *w, const struct snap *after)
{
	const char *until = after->field[F_UNTIL];
	int64_t now = time(NULL), want, got;

	if (!strcmp(c->rule, "none"))
		return strcmp(until, "none") ? "an end is kept where there is none" : NULL;
	if (!strcmp(c->rule, "default"))
		want = now + 3650LL * DAY;
	else if (!strcmp(c->rule, "clamped-min"))
		want = now + 30LL * DAY;
	else if (!strcmp(c->rule, "clamped-max"))
		want = now + 7300LL * DAY;
	else
		want = end_seconds(w->end);
	got = seconds_of(until);
	if (got > want + 200 || got < want - 200) {
		snprintf(wrong, sizeof(wrong), "it is kept until %s by the rule %s", until,
			 c->rule);
		return wrong;
	}
	return strcmp(after->field[F_STATE], "committed") ? "it is not committed" : NULL;
}

static const char *check_asked(const struct way *w, const struct snap *after)
{
	const char *asked = after->field[F_ASKED];
	int64_t want = end_seconds(w->end), got = seconds_of(asked);

	if (want <= time(NULL))
		return strcmp(asked, "none") ? "what was asked for is still there" : NULL;
	return got < want - 200 || got > want + 200 ? "asked_until is not what was asked for"
						    : NULL;
}

static const char *check_renamed(const struct snap *before, const struct snap *after,
				 const struct snap *target_after)
{
	unsigned bits = snap_differ(before, target_after) & ~B(F_CTIME);

	if (after->field[F_INODE])
		return "the old name is still there";
	return bits ? differ_text("it is not the same under its new name", bits, before,
				  target_after)
		    : NULL;
}

static const char *check_value(const struct way *w, const struct snap *after)
{
	int f = 31 - __builtin_clz(w->changes);

	if (!w->value || !strcmp(w->value, after->field[f]))
		return NULL;
	snprintf(wrong, sizeof(wrong), "%s is \"%s\", not \"%s\"", field_names[f], after->field[f],
		 w->value);
	return wrong;
}

static const char *check_effect(const struct cell *c, const struct way *w,
				const struct snap *before, const struct snap *after,
				const struct snap *target_after)
{
	const char *e = c->effect;

	if (!strcmp(e, "append") || !strcmp(e, "hole"))
		return check_appended(w, before, after);
	if (!strcmp(e, "commit") || !strcmp(e, "extend"))
		return check_end(c, w, after);
	if (!strcmp(e, "ask") && check_asked(w, after))
		return check_asked(w, after);
	if (!strcmp(e, "rename"))
		return check_renamed(before, after, target_after);
	if (!strcmp(e, "remove"))
		return after->field[F_INODE] ? "the name is still there" : NULL;
	if (!strcmp(e, "create"))
		return target_after->field[F_INODE] ? NULL : "it was not made";
	return w->changes ? check_value(w, after) : NULL;
}

const char *judge_change(const struct cell *c, const struct way *w, const struct place *p,
			 const struct snap *before, const struct snap *after,
			 const struct snap *target_before, const struct snap *target_after)
{
	unsigned bits = snap_differ(before, after), other, must = 0, may = 0;
	bool moves = !strcmp(c->effect, "rename") || !strcmp(c->effect, "create");
	bool makes = !strcmp(c->effect, "attr") || !strcmp(c->effect, "ask") ||
		     !strcmp(c->effect, "commit");

	(void)p;
	for (unsigned i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
		if (!strcmp(c->effect, effects[i].effect)) {
			must = effects[i].must;
			may = effects[i].may;
		}
	if (makes && w->changes && strcmp(w->key, "times-now"))
		must |= w->changes;
	may |= must | (makes ? w->changes : 0);
	if (!strcmp(c->effect, "shelf") && !strcmp(c->state, "root")) {
		must = B(F_BYTES);
		may = must | B(F_MTIME) | B(F_CTIME) | B(F_ATIME) | B(F_LINKS) | B(F_SIZE);
		moves = true;
	}
	if (!strcmp(c->key, "autocommit") && !strcmp(c->by, "coffer"))
		may = ANY & ~(B(F_INODE) | B(F_SIZE) | B(F_BYTES) | B(F_OWNER) | B(F_GROUP));
	if (must != ANY && bits & ~may)
		return differ_text("it changed", bits & ~may, before, after);
	if (must != ANY && must & ~bits)
		return differ_text("it did not change", must & ~bits, before, after);
	other = moves ? 0 : snap_differ(target_before, target_after);
	if (other)
		return differ_text("the other name changed", other, target_before, target_after);
	return c->error_number ? NULL : check_effect(c, w, before, after, target_after);
}
