/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a bundle: its parts are put in order, and each is read through before anything of it is used. */
#include "tools/vault/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

#define JSON_MAX 65536u
#define BLOCK 65536u

struct part {
	char *path;
	bool last;
};

struct bundle_in {
	struct bundle_about about;
	char id[33];
	struct part of[BUNDLE_PARTS]; /* by number */
	unsigned n, at;		      /* at: that is read next */
	struct archive *tar;
	bool in_stream;
};

/* ---- one part ---- */

struct seen { /* of a part */
	char id[33];
	struct bundle_about about;
	uint64_t part;
	uint8_t said[COF_HASH], is[COF_HASH];
	bool begun, ended, last;
};

static struct archive *open_tar(const char *path, struct cof_diag *diag)
{
	struct archive *a = archive_read_new();

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK || archive_read_open_filename(a, path, BLOCK) != ARCHIVE_OK) {
		cof_fail(diag, -EBADMSG, "%s cannot be read as a part of a bundle: %s", path, a ? archive_error_string(a) : "out of memory");
		if (a)
			archive_read_free(a);
		return NULL;
	}
	return a;
}

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = -1;

	return cof_json_int(o, key, &v) == 0 && v >= 0 ? (uint64_t)v : UINT64_MAX;
}

static int take_begin(const struct cof_json *o, struct seen *s)
{
	const char *id = cof_json_str(o, "bundle"), *archive = cof_json_str(o, "archive"), *vault = cof_json_str(o, "vault");

	s->part = number(o, "part");
	s->about.from = number(o, "from");
	s->about.to = number(o, "to");
	if (number(o, "format") != 1 || !id || strlen(id) != 32 || !archive || strlen(archive) != 32 ||
	    cof_unhex(archive, 32, s->about.archive) < 0 || !vault || strlen(vault) >= sizeof(s->about.vault) || !s->part ||
	    s->part >= BUNDLE_PARTS || s->about.from == UINT64_MAX || s->about.to == UINT64_MAX || s->about.from > s->about.to)
		return -EBADMSG;
	memcpy(s->id, id, 33);
	memcpy(s->about.vault, vault, strlen(vault) + 1);
	s->begun = true;
	return 0;
}

static int take_end(const struct cof_json *o, struct seen *s)
{
	const char *hex = cof_json_str(o, "sha256");

	if (!hex || strlen(hex) != 2 * COF_HASH || cof_unhex(hex, 2 * COF_HASH, s->said) < 0)
		return -EBADMSG;
	s->last = cof_json_bool(o, "last");
	s->ended = true;
	return 0;
}

static int take_json(struct archive *a, int64_t size, bool end, struct seen *s)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autofree char *text = size > 0 && size <= JSON_MAX ? malloc((size_t)size) : NULL;

	if (!text || archive_read_data(a, text, (size_t)size) != size || cof_json_parse(text, (size_t)size, &o) < 0)
		return -EBADMSG;
	return end ? take_end(o, s) : take_begin(o, s);
}

static int take_stream(struct archive *a, struct cof_sha256 *h)
{
	uint8_t buf[BLOCK];
	la_ssize_t n;

	while ((n = archive_read_data(a, buf, sizeof(buf))) > 0)
		cof_sha256_update(h, buf, (size_t)n);
	return n < 0 ? -EBADMSG : 0;
}

static int read_part(const char *path, struct seen *s, struct cof_diag *diag)
{
	struct archive *a = open_tar(path, diag);
	struct cof_sha256 *h = a ? cof_sha256_new() : NULL;
	struct archive_entry *e;
	int r = h ? 0 : a ? -ENOMEM : -EBADMSG, next = ARCHIVE_OK;

	if (!a)
		return r;
	while (r == 0 && !s->ended && (next = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e);

		if (!s->begun)
			r = name && !strcmp(name, "bundle.json") ? take_json(a, archive_entry_size(e), false, s) : -EBADMSG;
		else if (name && !strcmp(name, "end.json"))
			r = take_json(a, archive_entry_size(e), true, s);
		else
			r = name && !strncmp(name, "stream/", 7) ? take_stream(a, h) : -EBADMSG;
	}
	if (h)
		cof_sha256_final(h, s->is);
	cof_sha256_free(h);
	archive_read_free(a);
	if (r == -ENOMEM)
		return cof_fail(diag, r, "out of memory");
	if (!s->begun)
		return cof_fail(diag, -EBADMSG, "%s is no part of a bundle", path);
	if (!s->ended)
		return cof_fail(diag, -EBADMSG, "part %llu of the bundle, %s, is cut short%s", (unsigned long long)s->part, path,
				next == ARCHIVE_EOF || r < 0 ? "" : ": it cannot be read to its end");
	if (!cof_equal(s->said, s->is, COF_HASH))
		return cof_fail(diag, -EBADMSG, "part %llu of the bundle, %s, was altered: its digest is not the one at its end",
				(unsigned long long)s->part, path);
	return 0;
}

/* ---- all of them ---- */

static int take_part(struct bundle_in *b, const char *path, struct cof_diag *diag)
{
	struct seen s = {.part = 0};
	int r = read_part(path, &s, diag);
	struct part *p = &b->of[s.part < BUNDLE_PARTS ? s.part : 0];

	if (r < 0)
		return r;
	if (!*b->id) {
		memcpy(b->id, s.id, sizeof(b->id));
		b->about = s.about;
	}
	if (strcmp(b->id, s.id))
		return cof_fail(diag, -EXDEV, "%s is of another bundle than the parts before it", path);
	if (p->path)
		return cof_fail(diag, -EEXIST, "part %llu of the bundle was given twice: %s and %s", (unsigned long long)s.part, p->path, path);
	p->path = strdup(path);
	p->last = s.last;
	b->n = COF_MAX(b->n, (unsigned)s.part);
	return p->path ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

static int take_path(struct bundle_in *b, const char *path, struct cof_diag *diag)
{
	char numbered[4096];
	int r = 0;

	if (access(path, F_OK) == 0)
		return take_part(b, path, diag);
	for (unsigned i = 1; r == 0 && i < BUNDLE_PARTS; i++) {
		snprintf(numbered, sizeof(numbered), "%s.%03u", path, i);
		if (access(numbered, F_OK) == 0)
			r = take_part(b, numbered, diag);
		else if (i == 1)
			return cof_fail(diag, -ENOENT, "%s: %s", path, strerror(ENOENT));
		else if (b->of[i - 1].path && b->of[i - 1].last)
			break;
	}
	return r;
}

int bundle_open(const char *const *paths, unsigned n, struct bundle_in **ret, struct cof_diag *diag)
{
	struct bundle_in *b = calloc(1, sizeof(*b));
	int r = 0;

	if (!b)
		return cof_fail(diag, -ENOMEM, "out of memory");

	for (unsigned i = 0; r == 0 && i < n; i++)
		r = take_path(b, paths[i], diag);
	for (unsigned i = 1; r == 0 && i <= b->n; i++)
		if (!b->of[i].path)
			r = cof_fail(diag, -ENOENT, "part %u of the bundle is missing", i);
	if (r == 0 && !b->of[b->n].last)
		r = cof_fail(diag, -ENOENT, "part %u of the bundle is missing: %s is not the last one", b->n + 1, b->of[b->n].path);
	if (r < 0) {
		bundle_close(b);
		return r;
	}
	b->at = 1;
	*ret = b;
	return 0;
}

const struct bundle_about *bundle_about(const struct bundle_in *b)
{
	return &b->about;
}

/* To the next piece of the stream: 1, or 0 at the end of all. */
static int next_piece(struct bundle_in *b, struct cof_diag *diag)
{
	struct archive_entry *e;

	while (b->at <= b->n) {
		if (!b->tar)
			b->tar = open_tar(b->of[b->at].path, diag);
		if (!b->tar)
			return -EBADMSG;
		while (archive_read_next_header(b->tar, &e) == ARCHIVE_OK)
			if (archive_entry_pathname(e) && !strncmp(archive_entry_pathname(e), "stream/", 7))
				return 1;
		archive_read_free(b->tar);
		b->tar = NULL;
		b->at++;
	}
	return 0;
}

ssize_t bundle_read(struct bundle_in *b, void *buf, size_t n, struct cof_diag *diag)
{
	for (;;) {
		la_ssize_t got = b->in_stream ? archive_read_data(b->tar, buf, n) : 0;
		int r;

		if (got < 0)
			return cof_fail(diag, -EIO, "%s cannot be read: %s", b->of[b->at].path, archive_error_string(b->tar));
		if (got)
			return got;
		r = next_piece(b, diag);
		if (r <= 0)
			return r;
		b->in_stream = true;
	}
}

void bundle_close(struct bundle_in *b)
{
	if (!b)
		return;
	if (b->tar)
		archive_read_free(b->tar);
	for (unsigned i = 0; i < BUNDLE_PARTS; i++)
		free(b->of[i].path);
	free(b);
}
