/* SPDX-License-Identifier: Apache-2.0 */
/* Which archive lies behind a path: /proc/self/mountinfo. */
#include "tools/store.h"

#include "fs/mount/point.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MOUNTINFO "/proc/self/mountinfo"
#define MOUNTINFO_MAX (16u << 20)

void mount_line_done(struct mount_line *m)
{
	free(m->source);
	free(m->point);
	memset(m, 0, sizeof(*m));
}

/* A mount of ours. */
static bool parse_line(const char *line, size_t n, struct cof_mountinfo *ret)
{
	cof_autofree char *text = strndup(line, n);

	return text && cof_mountinfo_parse(text, ret) == 0 && !strcmp(ret->type, COF_MOUNT_TYPE);
}

/* point NULL: by device. The last one wins, as it covers the others. */
static int find(const char *text, unsigned major, unsigned minor, const char *point,
		struct mount_line *ret)
{
	struct mount_line best = {0};
	struct cof_mountinfo m, last;
	bool found = false;

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (parse_line(line, n, &m) &&
		    (point ? !strcmp(point, m.mountpoint) : m.major == major && m.minor == minor)) {
			last = m;
			found = true;
		}
		line += n + (line[n] != '\0');
	}
	if (!found)
		return -ENOENT;
	best.point = strdup(last.mountpoint);
	best.source = strdup(last.source);
	if (!best.point || !best.source) {
		mount_line_done(&best);
		return -ENOMEM;
	}
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
	char cwd[PATH_MAX] = "", *out = NULL;
	size_t n;

	if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
		return NULL;
	if (asprintf(&out, "%s%s%s", cwd, *cwd ? "/" : "", path) < 0)
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
