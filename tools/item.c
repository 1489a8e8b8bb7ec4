/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a mounted archive: what is known of each, and walking through them. */
#include "tools/item.h"
#include "tools/output.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/xattr.h>

/* ---- one ---- */

void item_attr(const struct item *i, const char *attr, char out[ITEM_ATTR])
{
	cof_autofree char *path = NULL, *name = NULL;
	ssize_t n = -1;

	if (i->dir == AT_FDCWD)
		path = strdup(i->name);
	else if (asprintf(&path, "/proc/self/fd/%d/%s", i->dir, i->name) < 0)
		path = NULL;
	if (asprintf(&name, "user.coffer.%s", attr) < 0)
		name = NULL;
	if (path && name)
		n = lgetxattr(path, name, out, ITEM_ATTR - 1);
	out[n > 0 ? n : 0] = '\0';
}

/* One side of "[FROM/TO]"; ".." is none. */
static void take_bound(const char *text, size_t n, char out[ITEM_ATTR])
{
	bool none = n == 2 && !strncmp(text, "..", 2);

	snprintf(out, ITEM_ATTR, "%.*s", none ? 0 : (int)n, text);
}

/* "TIME [FROM/TO]" */
static void split_time(struct item *i)
{
	char *open = strstr(i->time, " ["), *slash = open ? strchr(open, '/') : NULL;
	char *end = slash ? strchr(slash, ']') : NULL;

	i->not_before[0] = i->not_after[0] = '\0';
	if (!end)
		return;
	take_bound(open + 2, (size_t)(slash - open - 2), i->not_before);
	take_bound(slash + 1, (size_t)(end - slash - 1), i->not_after);
	*open = '\0';
}

void item_attrs(struct item *i)
{
	item_attr(i, "state", i->state);
	item_attr(i, "retain_until", i->until);
	item_attr(i, "time", i->time);
	split_time(i);
	item_attr(i, "index", i->leaf);
}

static int load(struct item *i)
{
	if (fstatat(i->dir, i->name, &i->st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	i->state[0] = i->until[0] = i->time[0] = i->leaf[0] = i->not_before[0] = i->not_after[0] = '\0';
	if (S_ISREG(i->st.st_mode))
		item_attrs(i);
	return 0;
}

const char *item_base(const struct item *i)
{
	const char *slash = strrchr(i->name, '/');

	return slash && slash[1] ? slash + 1 : i->name;
}

const char *item_kind(const struct item *i)
{
	return S_ISREG(i->st.st_mode)   ? "file"
	       : S_ISDIR(i->st.st_mode) ? "directory"
	       : S_ISLNK(i->st.st_mode) ? "symlink"
					: "other";
}

void item_head(struct cof_buf *b)
{
	cof_buf_printf(b, "%-10s %-20s %-20s %10s %12s  %s\n", "STATE", "KEPT UNTIL", "TIME",
		       "LEAF", "SIZE", "NAME");
}

/* "2026-01-02T03:04:05.678Z" as "2026-01-02 03:04:05" */
static void short_time(const char *text, char out[32])
{
	snprintf(out, 32, "%.19s", *text ? text : "-");
	if (strlen(out) == 19 && out[10] == 'T')
		out[10] = ' ';
}

bool item_has_no_end(const struct item *i)
{
	return strcmp(i->state, "open") && (!strcmp(i->until, "infinite") || !strcmp(i->until, "none"));
}

/* What is open is kept by nothing yet. */
static void short_until(const struct item *i, char out[32])
{
	if (item_has_no_end(i))
		snprintf(out, 32, "for ever");
	else
		short_time(strcmp(i->state, "open") ? i->until : "", out);
}

void item_line(const struct item *i, bool whole_path, struct cof_buf *b)
{
	cof_autofree char *name = escaped(whole_path ? i->path : i->name);
	cof_autofree char *state = escaped(*i->state ? i->state : "-");
	char until[32], when[32];

	if (!name || !state) {
		b->failed = true;
		return;
	}
	short_until(i, until);
	short_time(i->time, when);
	cof_buf_printf(b, "%-10s %-20s %-20s %10.10s ", state, until, when,
		       *i->leaf ? i->leaf : "-");
	if (S_ISREG(i->st.st_mode))
		cof_buf_printf(b, "%12" PRId64 "  %s\n", (int64_t)i->st.st_size, name);
	else
		cof_buf_printf(b, "%12s  %s%s\n", "-", name, S_ISDIR(i->st.st_mode) ? "/" : "");
}

void item_bounds(const struct item *i, struct cof_buf *b)
{
	if (!*i->time)
		return;
	if (!*i->not_before && !*i->not_after)
		cof_buf_printf(b, "%10s no proof bounds its time\n", "");
	else
		cof_buf_printf(b, "%10s %s%s%s%s%s\n", "", *i->not_before ? "not before " : "", i->not_before,
			       *i->not_before && *i->not_after ? ", " : "", *i->not_after ? "not after " : "",
			       i->not_after);
}

static void set_attr(struct cof_json *o, const struct item *i, const char *key, const char *attr)
{
	char text[ITEM_ATTR];

	item_attr(i, attr, text);
	if (*text)
		cof_json_set_str(o, key, text);
}

struct cof_json *item_json(const struct item *i, bool digest)
{
	struct cof_json *o = cof_json_object();
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", i->st.st_mode & 07777);
	cof_json_set_str(o, "path", i->path);
	cof_json_set_str(o, "name", item_base(i));
	cof_json_set_str(o, "kind", item_kind(i));
	cof_json_set_uint(o, "inode", i->st.st_ino);
	cof_json_set_str(o, "mode", mode);
	cof_json_set_uint(o, "uid", i->st.st_uid);
	cof_json_set_uint(o, "gid", i->st.st_gid);
	if (!S_ISREG(i->st.st_mode))
		return o;
	cof_json_set_uint(o, "size", (uint64_t)i->st.st_size);
	if (*i->state)
		cof_json_set_str(o, "state", i->state);
	if (*i->until)
		cof_json_set_str(o, "retain_until", i->until);
	set_attr(o, i, "asked_until", "asked_until");
	if (*i->time)
		cof_json_set_str(o, "time", i->time);
	if (*i->not_before)
		cof_json_set_str(o, "not_before", i->not_before);
	if (*i->not_after)
		cof_json_set_str(o, "not_after", i->not_after);
	set_attr(o, i, "created", "created");
	set_attr(o, i, "committed_at", "committed_at");
	set_attr(o, i, "archived_at", "archived_at");
	set_attr(o, i, "holds", "holds");
	if (*i->leaf)
		cof_json_set_uint(o, "leaf", strtoull(i->leaf, NULL, 10));
	if (digest)
		set_attr(o, i, "digest", "digest");
	return o;
}

/* ---- walking ---- */

static int walk_dir(const struct walk *w, int dir, const char *path);

static int visit(const struct walk *w, int dir, const char *parent, const char *name)
{
	cof_autofree char *path = NULL;
	size_t n = parent ? strlen(parent) : 0;
	cof_autoclose int sub = -1;
	struct item i;
	int r;

	if (asprintf(&path, "%s%s%s", parent ? parent : "", n && parent[n - 1] != '/' ? "/" : "",
		     name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	i = (struct item){.path = path, .name = name, .dir = dir};
	r = load(&i);
	if (r < 0) {
		if (r != -ENOENT) /* gone meanwhile */
			w->failed(w->user, path, r);
		return 0;
	}
	r = w->fn(w->user, &i);
	if (r || !w->recursive || !S_ISDIR(i.st.st_mode))
		return r;
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0) {
		w->failed(w->user, path, -errno);
		return 0;
	}
	return walk_dir(w, sub, path);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int walk_sorted(const struct walk *w, int dir, const char *path)
{
	struct dirent **names = NULL;
	int n = scandirat(dir, ".", &names, NULL, alphasort), r = 0;

	if (n < 0)
		w->failed(w->user, path, -errno);
	for (int k = 0; k < n; k++) {
		if (!r && !is_dots(names[k]->d_name))
			r = visit(w, dir, path, names[k]->d_name);
		free(names[k]);
	}
	free(names);
	return r;
}

static int walk_dir(const struct walk *w, int dir, const char *path)
{
	struct dirent *e;
	DIR *d;
	int r = 0;

	if (w->sorted)
		return walk_sorted(w, dir, path);
	d = fdopendir(fcntl(dir, F_DUPFD_CLOEXEC, 0));
	if (!d) {
		w->failed(w->user, path, -errno);
		return 0;
	}
	while (!r && (errno = 0, e = readdir(d))) {
		if (!is_dots(e->d_name))
			r = visit(w, dir, path, e->d_name);
	}
	if (!r && errno)
		w->failed(w->user, path, -errno);
	closedir(d);
	return r;
}

int walk_path(const struct walk *w, const char *path, bool itself)
{
	cof_autoclose int dir = -1;
	struct stat st;

	if (stat(path, &st) < 0) {
		w->failed(w->user, path, -errno);
		return 0;
	}
	if (itself || !S_ISDIR(st.st_mode)) {
		const struct walk flat = {.fn = w->fn, .failed = w->failed, .user = w->user};
		int r = visit(&flat, AT_FDCWD, NULL, path);

		if (r || !w->recursive || !S_ISDIR(st.st_mode))
			return r;
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		w->failed(w->user, path, -errno);
		return 0;
	}
	return walk_dir(w, dir, path);
}
