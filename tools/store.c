/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the store that an argument names, directly or by its mount point. */
#include "tools/store.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

void store_close(struct store *s)
{
	cof_io_free(s->io);
	free(s->path);
	free(s->mount);
	memset(s, 0, sizeof(*s));
}

static bool holds_conf(const char *dir)
{
	cof_autofree char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/archive.conf", dir) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The store's directory: the argument itself, or what is mounted there. */
static int resolve(const char *arg, struct store *s, struct cof_diag *diag)
{
	struct mount_line m = {0};
	const char *dir = arg;
	/* A mount point by its name alone: whoever looks at one whose daemon was stopped never
	 * comes back. */
	int r = mount_named(arg, &m, diag);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		dir = m.source;
		s->mount = m.point;
		m.point = NULL;
	} else if (!holds_conf(arg)) {
		r = mount_of(arg, &m, NULL, diag);
		if (!m.source && r != -ENOENT)
			return r;
		if (!m.source && access(arg, F_OK) < 0)
			return cof_fail(diag, -ENOENT, "%s does not exist", arg);
		/* neither: opening it says what is wrong */
		dir = m.source ? m.source : arg;
		s->mount = m.point;
		m.point = NULL;
	}
	s->path = realpath(dir, NULL);
	r = s->path ? 0 : cof_fail(diag, -errno, "cannot find %s: %s", dir, strerror(errno));
	mount_line_done(&m);
	return r;
}

int store_find(const char *arg, struct store *ret, struct cof_diag *diag)
{
	autostore struct store s = {0};
	int r = resolve(arg, &s, diag);

	if (r == 0)
		r = cof_io_plain(s.path, &s.io, diag);
	if (r < 0)
		return r;
	*ret = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

int store_load(struct store *s, struct cof_diag *diag)
{
	int r = cof_conf_load(s->io, &s->conf, diag);

	if (r == -ENOENT)
		return cof_fail(
		    diag, r,
		    "%s is neither an archive (it has no archive.conf) nor a mounted one; "
		    "coffer init makes one",
		    s->path);
	return r;
}

int store_open(const char *arg, struct store *ret, struct cof_diag *diag)
{
	autostore struct store s = {0};
	int r = store_find(arg, &s, diag);

	if (r == 0)
		r = store_load(&s, diag);
	if (r < 0)
		return r;
	*ret = s;
	memset(&s, 0, sizeof(s));
	return 0;
}

int store_ask(const struct store *s, struct cof_json *request, cof_show_fn fn, void *user,
	      struct cof_diag *diag)
{
	struct cof_diag own = {""};
	char holder[256] = "";
	int r = cof_control_ask(s->conf.id, request, fn, user, &own);

	if ((r == -ECONNREFUSED || r == -ENOENT) && !strncmp(own.text, COF_CONTROL_NOBODY, strlen(COF_CONTROL_NOBODY))) {
		/* no socket but a lock: somebody holds the store whom we cannot ask */
		if (cof_io_locked(s->io, holder, sizeof(holder)) > 0)
			return cof_fail(diag, -EBUSY,
					"%s is in use by %s, which answers no questions", s->path,
					holder);
		return -ENOTCONN;
	}
	if ((r == -EACCES || r == -EPERM) && geteuid() != 0) /* to root the daemon has said what it refuses, and why */
		return cof_fail(diag, r,
				"the archive is mounted, and only root may ask its daemon: %s",
				own.text);
	return r < 0 ? cof_fail(diag, r, "%s", own.text[0] ? own.text : strerror(-r)) : 0;
}

int archive_of(const char *path, struct mount_line *ret, uint64_t *ret_ino, struct cof_diag *diag)
{
	int r = mount_of(path, ret, ret_ino, diag);

	if (r == -ENOENT && access(path, F_OK) == 0)
		return cof_fail(
		    diag, r,
		    "%s is not on a mounted archive; mount it first: mount -t coffer STORE "
		    "MOUNTPOINT",
		    path);
	return r;
}

static int keep_retention(void *user, struct cof_json *entry)
{
	const char *text = cof_json_str(entry, "retention_time");
	int64_t *ret = user;

	if (text)
		(void)cof_time_parse(text, ret); /* else it stays what it was */
	return 0;
}

int64_t store_retention_now(const struct store *s)
{
	cof_autojson struct cof_json *request = cof_json_object();
	int64_t now = 0;

	cof_json_set_str(request, "verb", "status");
	if (store_ask(s, request, keep_retention, &now, NULL) < 0 || !now)
		return cof_now(CLOCK_REALTIME);
	return now;
}

int store_keep_last(void *user, struct cof_json *entry)
{
	struct cof_json **ret = user;
	const char *text = cof_json_text(entry, false);

	cof_json_free(*ret);
	*ret = NULL;
	return text ? cof_json_parse(text, strlen(text), ret) : -ENOMEM;
}

int mount_within(const struct mount_line *m, const char *path, char **ret, struct cof_diag *diag)
{
	cof_autofree char *real = realpath(path, NULL);
	size_t n = strlen(m->point);

	if (!real)
		return cof_fail(diag, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (strncmp(real, m->point, n) || (real[n] && real[n] != '/'))
		return cof_fail(diag, -EXDEV, "%s is not below %s", path, m->point);
	*ret = strdup(real[n] ? real + n + 1 : "");
	return *ret ? 0 : -ENOMEM;
}
