/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in each state that the table knows, made as root, and the other names that rows need. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "fs/control/control.h"
#include "table.h"

uint8_t archive_id[16];

void die(const char *what, const char *path)
{
	printf("FAILED: %s: %s: %s\n", what, path, strerror(errno));
	fflush(stdout);
	exit(2);
}

static void must(int r, const char *what, const char *path)
{
	if (r < 0)
		die(what, path);
}

/* ---- ends ---- */

int64_t end_seconds(enum end end)
{
	static const int64_t days[] = {
	    [END_LATER] = 15 * 365, [END_ABOVE] = 50 * 365, [END_BELOW] = 1,
	    [END_PAST] = -1,	    [END_EARLIER] = -900,
	};
	static int64_t begin; /* the same end, whenever it is asked for */

	if (!begin)
		begin = time(NULL);
	return end == END_INFINITE ? INT64_MAX : begin + days[end] * DAY;
}

void end_text(enum end end, char out[32])
{
	time_t t = (time_t)end_seconds(end);
	struct tm tm;

	if (end == END_INFINITE)
		strcpy(out, "infinite");
	else
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

int attr_of(const char *path, const char *name, char out[128])
{
	char full[64];
	ssize_t n;

	snprintf(full, sizeof(full), "user.coffer.%s", name);
	n = lgetxattr(path, full, out, 127);
	out[n > 0 ? n : 0] = 0;
	return n < 0 ? -errno : 0;
}

/* ---- the daemon's verbs ---- */

static int no_line(void *user, struct cof_json *entry)
{
	(void)user;
	(void)entry;
	return 0;
}

int ask_daemon(const char *verb, uint64_t ino, const char *key, const char *value, const char *name)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_diag diag = {""};

	cof_json_set_str(request, "verb", verb);
	cof_json_set_uint(request, "ino", ino);
	if (key)
		cof_json_set_str(request, key, value);
	if (name)
		cof_json_set_str(request, "name", name);
	return cof_control_ask(archive_id, request, no_line, NULL, &diag);
}

/* ---- objects ---- */

static bool is(const char *a, const char *b)
{
	return !strcmp(a, b);
}

static bool has_descriptor(const struct cell *c)
{
	return (is(c->state, "empty") || is(c->state, "open") || is(c->state, "committed") ||
		is(c->state, "expired") || is(c->state, "removed")) &&
	       !is(c->key, "autocommit");
}

void put_file(const char *path, unsigned size)
{
	char buf[CONTENT];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	for (unsigned i = 0; i < size; i++)
		buf[i] = (char)('b' + i % 24);
	must(fd, "open", path);
	if (write(fd, buf, size) != (ssize_t)size || close(fd) < 0)
		die("write", path);
}

static void make_dir(const char *path, mode_t mode)
{
	must(mkdir(path, mode), "mkdir", path);
	must(chmod(path, mode), "chmod", path);
}

static const char *shelf_of(const struct cell *c)
{
	static const struct {
		const char *key, *shelf;
	} own[] = {
	    {"strict-below", "strict"}, {"strict-above", "strict"}, {"no-retention-commit", "plain"},
	    {"quota", "quota"},		{"quota-files", "quota"},   {"rofs", "rofs"},
	    {"staging", "staging"},	{"autocommit", "idle"},	    {"shelf-set-weaker", "weaker"},
	};

	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (is(c->key, own[i].key))
			return own[i].shelf;
	return is(c->state, "shelf") ? "shelf" : "main";
}

/* Into which something shall come: there it is writable to all. */
static bool is_way_in(const struct cell *c)
{
	return is(c->operation, "create") || is(c->operation, "mknod") || is(c->key, "tmpfile");
}

static void make_file(const struct cell *c, struct place *p)
{
	put_file(p->object, is(c->state, "empty") || is(c->state, "removed") ? 0 : CONTENT);
	must(lchown(p->object, OWNER, OWNER), "chown", p->object);
	if (is(c->key, "xattr-user-remove"))
		must(setxattr(p->object, "user.note", "x", 1, 0), "setxattr", p->object);
	if (is(c->key, "atime-withdraw")) {
		const struct timespec t[2] = {{.tv_sec = end_seconds(END_LATER)},
					      {.tv_nsec = UTIME_OMIT}};

		must(utimensat(AT_FDCWD, p->object, t, 0), "utimensat", p->object);
	}
	if (has_descriptor(c)) {
		p->fd = open(p->object, O_RDWR | O_CLOEXEC);
		p->fd_append = open(p->object, O_WRONLY | O_APPEND | O_CLOEXEC);
		must(p->fd, "open", p->object);
		must(p->fd_append, "open", p->object);
	}
	if (is(c->state, "removed"))
		must(unlink(p->object), "unlink", p->object);
	/* The one that may be renamed once is committed by who renames it. */
	if (is(c->state, "expired") || (is(c->state, "committed") && !is(c->key, "rename-once")))
		must(chmod(p->object, 0444), "chmod", p->object);
}

static void make_object(const struct cell *c, struct place *p)
{
	char in[256];

	if (is(c->state, "missing"))
		return;
	if (is(c->state, "symlink")) {
		must(symlink("elsewhere", p->object), "symlink", p->object);
		must(lchown(p->object, OWNER, OWNER), "lchown", p->object);
	} else if (is(c->state, "dir") || is(c->state, "empty-dir")) {
		make_dir(p->object, is_way_in(c) ? 0777 : 0755);
		must(lchown(p->object, OWNER, OWNER), "chown", p->object);
		snprintf(in, sizeof(in), "%s/in", p->object);
		if (is(c->state, "dir"))
			put_file(in, 0);
	} else {
		make_file(c, p);
	}
}

/* What stands at the other name. */
static void make_target(const char *mount, const struct cell *c, unsigned number, struct place *p)
{
	char in[256];

	if (is(c->key, "rename-root"))
		snprintf(p->target, sizeof(p->target), "%s/n%u", mount, number);
	else if (is(c->key, "rename-shelf"))
		snprintf(p->target, sizeof(p->target), "%s/other/n%u", mount, number);
	else if (is(c->key, "create-taken"))
		snprintf(p->target, sizeof(p->target), "%s/in", p->object);
	else if (is_way_in(c) || is(c->operation, "shelf-add"))
		snprintf(p->target, sizeof(p->target), "%s/n%u", p->object, number);
	else
		snprintf(p->target, sizeof(p->target), "%s/new", p->dir);
	if (is(c->key, "rename-over-empty"))
		put_file(p->target, 0);
	else if (is(c->key, "rename-over") || is(c->key, "rename-noreplace") ||
		 is(c->key, "rename-exchange") || is(c->key, "rename-over-committed"))
		put_file(p->target, CONTENT);
	else if (is(c->key, "rename-over-dir") || is(c->key, "rename-over-full-dir"))
		make_dir(p->target, 0755);
	if (is(c->key, "rename-over-committed"))
		must(chmod(p->target, 0444), "chmod", p->target);
	if (is(c->key, "rename-over-full-dir")) {
		snprintf(in, sizeof(in), "%s/in", p->target);
		put_file(in, 0);
	}
}

static void make_source(const struct place *p)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/source", p->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	must(fd, "open", path);
	if (write(fd, "source", 6) != 6 || close(fd) < 0)
		die("write", path);
}

/* Directories and a file that all attempts share: there is one top, and a quota has no room. */
static bool make_shared(const char *mount, const struct cell *c, struct place *p)
{
	bool quota = is(c->key, "quota");

	if (!quota && !is(c->state, "root") && !is(c->state, "shelf"))
		return false;
	p->alone = !quota;
	snprintf(p->dir, sizeof(p->dir), "%s/main", mount);
	snprintf(p->object, sizeof(p->object), "%s%s%s%s", mount, is(c->state, "root") ? "" : "/",
		 is(c->state, "root") ? "" : shelf_of(c), quota ? "/file" : "");
	if (quota) {
		p->fd = open(p->object, O_RDWR | O_CLOEXEC);
		p->fd_append = open(p->object, O_WRONLY | O_APPEND | O_CLOEXEC);
		must(p->fd, "open", p->object);
		must(p->fd_append, "open", p->object);
	}
	return true;
}

void make_place(const char *mount, const struct cell *c, const struct way *w, unsigned number,
		struct place *p)
{
	struct stat st;

	*p = (struct place){.fd = -1, .fd_append = -1};
	if (!make_shared(mount, c, p)) {
		snprintf(p->dir, sizeof(p->dir), "%s/%s/%u", mount, shelf_of(c), number);
		snprintf(p->object, sizeof(p->object), "%s/object", p->dir);
		make_dir(p->dir, 0777);
		make_object(c, p);
	}
	make_target(mount, c, number, p);
	if (w->act == act_sendfile || w->act == act_copy_range || w->act == act_clone ||
	    w->act == act_clone_range)
		make_source(p);
	if (lstat(p->object, &st) == 0) {
		p->ino = st.st_ino;
		p->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	}
}

void reset_place(const struct cell *c, const struct place *p)
{
	if (!p->alone || is(c->state, "root"))
		return;
	must(chmod(p->object, is_way_in(c) ? 0777 : 0755), "chmod", p->object);
	must(chown(p->object, OWNER, OWNER), "chown", p->object);
	if (removexattr(p->object, "user.note") < 0 && errno != ENODATA)
		die("removexattr", p->object);
}
