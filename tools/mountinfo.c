/* SPDX-License-Identifier: Apache-2.0 */
/* Which archive lies behind a path: /proc/self/mountinfo. */
#include "tools/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MOUNTINFO "/proc/self/mountinfo"
#define MOUNTINFO_MAX (16u << 20)
#define FSTYPE "fuse.coffer"

/* One word, with \040 and its like undone. */
static char *unescape(const char *s, size_t n)
{
	char *out = malloc(n + 1), *o = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && n - i > 3 && s[i + 1] >= '0' && s[i + 1] <= '3' &&
		    s[i + 2] >= '0' && s[i + 2] <= '7' && s[i + 3] >= '0' && s[i + 3] <= '7') {
			*o++ = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 |
				      (s[i + 3] - '0'));
			i += 3;
		} else {
			*o++ = s[i];
		}
	}
	*o = '\0';
	return out;
}

void mount_line_done(struct mount_line *m)
{
	free(m->source);
	free(m->point);
	memset(m, 0, sizeof(*m));
}

struct words {
	const char *at[32];
	size_t len[32];
	int n;
};

static void split(const char *line, size_t n, struct words *w)
{
	w->n = 0;
	while (n && w->n < (int)COF_COUNT(w->at)) {
		size_t len = 0;

		while (len < n && line[len] != ' ')
			len++;
		w->at[w->n] = line;
		w->len[w->n++] = len;
		line += len;
		n -= len;
		if (n) {
			line++;
			n--;
		}
	}
}

static bool word_is(const struct words *w, int i, const char *s)
{
	return i < w->n && w->len[i] == strlen(s) && !memcmp(w->at[i], s, w->len[i]);
}

/* id parent major:minor root point options [optional ...] - type source superoptions */
static bool parse_line(const char *line, size_t n, unsigned *ret_major, unsigned *ret_minor,
		       struct mount_line *ret)
{
	struct words w;
	int dash = 6;

	split(line, n, &w);
	while (dash < w.n && !word_is(&w, dash, "-"))
		dash++;
	if (dash + 2 >= w.n || !word_is(&w, dash + 1, FSTYPE))
		return false;
	if (sscanf(w.at[2], "%u:%u", ret_major, ret_minor) != 2)
		return false;
	ret->point = unescape(w.at[4], w.len[4]);
	ret->source = unescape(w.at[dash + 2], w.len[dash + 2]);
	if (ret->point && ret->source)
		return true;
	mount_line_done(ret);
	return false;
}

/* point NULL: by device. The last one wins, as it covers the others. */
static int find(const char *text, unsigned major, unsigned minor, const char *point,
		struct mount_line *ret)
{
	struct mount_line best = {0}, m = {0};
	unsigned have_major, have_minor;

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (parse_line(line, n, &have_major, &have_minor, &m)) {
			bool hit = point ? !strcmp(point, m.point)
					 : have_major == major && have_minor == minor;

			mount_line_done(hit ? &best : &m);
			if (hit)
				best = m;
			memset(&m, 0, sizeof(m));
		}
		line += n + (line[n] != '\0');
	}
	if (!best.point)
		return -ENOENT;
	*ret = best;
	return 0;
}

int mount_find(const char *text, unsigned major, unsigned minor, struct mount_line *ret)
{
	return find(text, major, minor, NULL, ret);
}

int mount_find_at(const char *text, const char *point, struct mount_line *ret)
{
	return find(text, 0, 0, point, ret);
}

/* NULL: *ret_err and diag say why. */
static char *read_mountinfo(int *ret_err, struct cof_diag *diag)
{
	cof_autoclose int fd = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
	char *text = malloc(MOUNTINFO_MAX + 1);
	size_t n = 0;
	int r = fd < 0 ? -errno : 0;

	if (!text)
		r = -ENOMEM;
	if (r == 0)
		r = cof_read_all(fd, text, MOUNTINFO_MAX, &n);
	if (r < 0) {
		free(text);
		*ret_err = cof_fail(diag, r, "cannot read " MOUNTINFO ": %s", strerror(-r));
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* Absolute, without a slash at the end. */
static char *plain_name(const char *path)
{
	cof_autofree char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	char *out = NULL;
	size_t n;

	if (asprintf(&out, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", path) < 0)
		return NULL;
	for (n = strlen(out); n > 1 && out[n - 1] == '/'; n--)
		out[n - 1] = '\0';
	return out;
}

/* A dead mount answers nothing, so names have to do: the path's, then those of the directories
 * above it. */
static int find_dead(const char *text, const char *path, struct mount_line *ret)
{
	cof_autofree char *name = plain_name(path);
	char *slash;

	if (!name)
		return -ENOMEM;
	while (mount_find_at(text, name, ret) < 0) {
		slash = strrchr(name, '/');
		if (!slash || slash == name)
			return -ENOENT;
		*slash = '\0';
	}
	return 0;
}

int mount_named(const char *path, struct mount_line *ret, struct cof_diag *diag)
{
	cof_autofree char *name = plain_name(path);
	cof_autofree char *text = NULL;
	int r = -ENOMEM;

	if (!name)
		return cof_fail(diag, r, "out of memory");
	text = read_mountinfo(&r, diag);
	return text ? mount_find_at(text, name, ret) : r;
}

int mount_of(const char *path, struct mount_line *ret, uint64_t *ret_ino, struct cof_diag *diag)
{
	cof_autofree char *text = NULL;
	struct stat st;
	int r = 0, err = 0;

	if (stat(path, &st) < 0) {
		err = -errno;
		if (err != -ENOTCONN)
			return cof_fail(diag, err, "cannot look at %s: %s", path, strerror(-err));
	}
	text = read_mountinfo(&r, diag);
	if (!text)
		return r;
	if (!err) {
		r = mount_find(text, major(st.st_dev), minor(st.st_dev), ret);
		if (r < 0)
			return cof_fail(diag, r, "%s is not on a mounted archive", path);
		if (ret_ino)
			*ret_ino = st.st_ino;
		return 0;
	}
	r = find_dead(text, path, ret);
	if (r < 0)
		return cof_fail(diag, r == -ENOMEM ? r : err, "cannot look at %s: %s", path,
				strerror(r == -ENOMEM ? -r : -err));
	return cof_fail(diag, -ENOTCONN,
			"the daemon behind %s is gone; mount it again: mount -t coffer %s %s",
			ret->point, ret->source, ret->point);
}
