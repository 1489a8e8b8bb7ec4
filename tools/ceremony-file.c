/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a ceremony: opened, added to, judged. */
#include "tools/ceremony.h"
#include "tools/file.h"

#include "fs/sshsig/sshsig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

char *ceremony_path(const struct ceremony *w, const char *fmt, ...)
{
	char name[128];
	va_list ap;
	char *path;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return asprintf(&path, "%s/%s", w->dir, name) < 0 ? NULL : path;
}

/* ---- files ---- */

int ceremony_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	cof_autofree char *dir = slash ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
	cof_autoclose int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int ceremony_put(const char *path, const void *p, size_t n, struct cof_diag *diag)
{
	cof_autofree char *next = NULL;
	cof_autoclose int fd = -1;
	int r = asprintf(&next, "%s.next", path) < 0 ? -ENOMEM : 0;

	if (r < 0)
		return r;
	fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	r = fd < 0 ? -errno : cof_write_all(fd, p, n);
	if (r == 0 && (fsync(fd) < 0 || rename(next, path) < 0))
		r = -errno;
	if (r == 0)
		r = ceremony_sync(path);
	return r < 0 ? cof_fail(diag, r, "%s cannot be written: %s", path, strerror(-r)) : 0;
}

int ceremony_digest(const char *path, size_t most, uint8_t ret[COF_HASH], struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};
	int r = file_load(path, most, &b, diag);

	if (r == 0)
		cof_sha256(b.data ? b.data : (uint8_t *)"", b.len, ret);
	return r;
}

int ceremony_epoch(const char *path, struct cof_epoch *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(path, COF_EPOCH_MAX, &text, diag);

	return r == 0 ? cof_epoch_parse(text.data ? (char *)text.data : "", text.len, ret, diag) : r;
}

/* Of an attempt: epoch.json, challenges.json, NAME.age, and what was on its way to be one of them. */
static bool is_attempts(const char *name)
{
	static const char *const ends[] = {".age", ".json", ".json.next"};
	size_t n = strlen(name);

	for (size_t i = 0; i < COF_COUNT(ends); i++)
		if (n > strlen(ends[i]) && !strcmp(name + n - strlen(ends[i]), ends[i]))
			return true;
	return false;
}

int ceremony_remove(const char *dir, struct cof_diag *diag)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0, fd = d ? dirfd(d) : -1;

	if (!d)
		return errno == ENOENT ? 0 : cof_fail(diag, -errno, "%s cannot be opened: %s", dir, strerror(errno));
	if (fd < 0 || (unlinkat(fd, "epoch.json", 0) < 0 && errno != ENOENT))
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	while (r == 0 && (e = readdir(d)) != NULL)
		if (is_attempts(e->d_name) && unlinkat(fd, e->d_name, 0) < 0 && errno != ENOENT)
			r = -errno;
	closedir(d);
	if (r == 0 && rmdir(dir) < 0)
		r = -errno;
	if (r == 0)
		r = ceremony_sync(dir);
	return r < 0 ? cof_fail(diag, r, "%s is of an attempt that did not come to its end, and cannot be removed: %s", dir, strerror(-r)) : 0;
}

/* ---- loading ---- */

static int load_people(struct ceremony *w, const char *path, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	uint8_t digest[COF_HASH];
	int r = file_load(path, COF_PEOPLE_MAX, &text, diag);

	if (r < 0)
		return r;
	cof_sha256(text.data ? text.data : (uint8_t *)"", text.len, digest);
	if (w->c.n_lines && memcmp(digest, w->c.people, sizeof(digest)) != 0)
		return cof_fail(diag, -EPERM, "%s is another people file than the one that the ceremony was begun with", path);
	r = cof_people_parse(text.data ? (char *)text.data : "", text.len, NULL, 0, NULL, &w->people, diag);
	w->has_people = r == 0;
	return r;
}

static int parse(struct ceremony *w, const char *path, struct cof_diag *diag)
{
	struct cof_diag why = {""};
	int r = cof_ceremony_parse(w->text.data ? w->text.data : (uint8_t *)"", w->text.len, &w->c, &why);

	return r < 0 ? cof_fail(diag, r, "%s does not hold together: %s", path, *why.text ? why.text : strerror(-r)) : 0;
}

int ceremony_load(const char *path, const char *people, struct ceremony *ret, struct cof_diag *diag)
{
	cof_autofree char *transcript = NULL, *beside = NULL;
	struct stat st;
	int r;

	*ret = (struct ceremony)CEREMONY_INIT;
	ret->dir = path;
	if (stat(path, &st) < 0)
		return cof_fail(diag, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		transcript = ceremony_path(ret, "transcript");
		beside = ceremony_path(ret, "people");
	} else {
		transcript = strdup(path);
	}
	r = transcript ? file_load(transcript, COF_CEREMONY_MAX, &ret->text, diag) : -ENOMEM;
	if (r == 0)
		r = parse(ret, path, diag);
	if (r == 0 && (people || beside))
		r = load_people(ret, people ? people : beside, diag);
	return r;
}

/* What was not written to its end was not told. */
static int cut_torn(struct ceremony *w, const char *path, struct cof_diag *diag)
{
	size_t n = w->text.len;

	while (n && w->text.data[n - 1] != '\n')
		n--;
	if (n == w->text.len)
		return 0;
	if (ftruncate(w->fd, (off_t)n) < 0 || fsync(w->fd) < 0)
		return cof_fail(diag, -errno, "the torn end of %s cannot be cut off: %s", path, strerror(errno));
	w->text.len = n;
	return 0;
}

int ceremony_open(const char *dir, struct ceremony *ret, struct cof_diag *diag)
{
	cof_autofree char *path = NULL, *people = NULL;
	int r;

	*ret = (struct ceremony)CEREMONY_INIT;
	ret->dir = dir;
	path = ceremony_path(ret, "transcript");
	people = ceremony_path(ret, "people");
	if (!path || !people)
		return -ENOMEM;
	ret->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (ret->fd < 0)
		return cof_fail(diag, -errno, "%s is no ceremony: its transcript cannot be opened: %s", dir, strerror(errno));
	if (flock(ret->fd, LOCK_EX | LOCK_NB) < 0)
		return cof_fail(diag, -EBUSY, "another session goes on with this ceremony");
	r = file_load(path, COF_CEREMONY_MAX, &ret->text, diag);
	if (r == 0)
		r = cut_torn(ret, path, diag);
	if (r == 0)
		r = parse(ret, path, diag);
	if (r == 0)
		r = load_people(ret, people, diag);
	return r == 0 ? ceremony_judge(ret, false, diag) : r;
}

void ceremony_done(struct ceremony *w)
{
	cof_ceremony_done(&w->c);
	cof_buf_done(&w->text);
	if (w->has_people)
		cof_people_done(&w->people);
	if (w->fd >= 0)
		close(w->fd);
	*w = (struct ceremony)CEREMONY_INIT;
}

/* ---- adding ---- */

static int append(struct ceremony *w, const struct cof_buf *line, struct cof_diag *diag)
{
	int r = cof_write_all(w->fd, line->data, line->len);

	if (r == 0 && fsync(w->fd) < 0)
		r = -errno;
	if (r < 0)
		return cof_fail(diag, r, "the transcript cannot be written: %s. What happened last may not be in it: coffer ceremony continue tells",
				strerror(-r));
	cof_buf_add(&w->text, line->data, line->len);
	return w->text.failed ? -ENOMEM : 0;
}

#define PLAIN 600u /* a line without a signature is shorter */

/* Bytes of what has to follow: as long as the signatures of the roll call, since the same keys sign. Nothing that cannot be undone is
 * done where the end could not be signed. */
static size_t still_to_come(const struct ceremony *w)
{
	size_t all = 0, most = 0, steps = 0, at = 0;

	for (size_t i = 0; i < w->c.n_lines; i++) {
		const uint8_t *end = memchr(w->text.data + at, '\n', w->text.len - at);
		size_t n = end ? (size_t)(end - (w->text.data + at)) + 1 : 0;

		if (w->c.line[i].what == COF_CER_PRESENT) {
			all += n;
			most = COF_MAX(most, n);
		}
		at += n;
	}
	while (cof_ceremony_step(w->c.kind, w->c.steps_done + (unsigned)steps) >= 0)
		steps++;
	return all + steps * (2 * most + 3 * PLAIN) + w->c.holders * PLAIN + PLAIN;
}

static int too_long(struct cof_diag *diag)
{
	return cof_fail(diag, -E2BIG, "the transcript would become longer than a frame takes: fewer persons, or smaller keys");
}

int ceremony_line(struct ceremony *w, enum cof_ceremony_what what, struct cof_json *own, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf line = {0};
	size_t later = what == COF_CER_TOLD || what == COF_CER_BEGUN ? still_to_come(w) : 0;
	int r;

	if (w->text.len + later > COF_CEREMONY_MAX) {
		cof_json_free(own);
		return too_long(diag);
	}
	r = cof_ceremony_add(&w->c, what, own, cof_now(CLOCK_REALTIME), &line, diag);
	if (r == 0 && w->text.len + line.len > COF_CEREMONY_MAX)
		return too_long(diag);
	return r == 0 ? append(w, &line, diag) : r;
}

static int judge(const struct ceremony *w, const struct cof_ceremony *c, bool whole, size_t trusted, struct cof_diag *diag)
{
	struct cof_ceremony_judging p = {.people = &w->people, .verify = cof_sshsig_verify, .whole = whole, .trusted = trusted};
	struct cof_judgement said;
	int r;

	if (!w->has_people)
		return cof_fail(diag, -EINVAL, "whose signatures count? --people FILE");
	p.time = c->n_lines ? c->line[c->n_lines - 1].time : 0;
	r = cof_ceremony_judge(c, &p, &said);
	return r == -EPERM ? cof_fail(diag, r, "%s (%s)", said.reason, said.rule)
	       : r < 0	   ? cof_fail(diag, r, "the signatures cannot be judged: %s", *said.reason ? said.reason : strerror(-r))
			   : 0;
}

int ceremony_judge(const struct ceremony *w, bool whole, struct cof_diag *diag)
{
	return judge(w, &w->c, whole, 0, diag);
}

int ceremony_sign(struct ceremony *w, enum cof_ceremony_what what, unsigned person, const struct cof_buf *armored, struct cof_diag *diag)
{
	struct cof_json *own = cof_json_object();
	cof_autobuf struct cof_buf line = {0}, text = {0};
	struct cof_ceremony tried = {.n_lines = 0};
	int r = cof_ceremony_parse(w->text.data, w->text.len, &tried, diag);

	cof_json_set_str(own, "by", w->c.roll[person]);
	cof_json_set_bytes(own, "signature", armored->data, armored->len);
	if (r == 0)
		r = cof_ceremony_add(&tried, what, own, cof_now(CLOCK_REALTIME), &line, diag);
	else
		cof_json_free(own);
	if (r == 0)
		r = judge(w, &tried, false, tried.n_lines - 1, diag);
	if (r == 0 && w->text.len + line.len > COF_CEREMONY_MAX)
		r = too_long(diag);
	if (r == 0)
		r = append(w, &line, diag);
	if (r == 0) {
		cof_ceremony_done(&w->c);
		w->c = tried;
		return 0;
	}
	cof_ceremony_done(&tried);
	return r == -EPERM || r == -EUCLEAN ? -EKEYREJECTED : r;
}
