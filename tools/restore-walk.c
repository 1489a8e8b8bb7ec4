/* SPDX-License-Identifier: Apache-2.0 */
/* Which objects of an archive are wanted, and in which order: shelves that come first, then the
 * others. */
#include "tools/restore.h"

#include <stdio.h>

#define DEPTH_MAX 128u

struct name {
	uint64_t ino;
	char text[256];
};

struct walking {
	struct cof_archive *a;
	const struct restore_wanted *w;
	restore_visit_fn fn;
	void *user;
	struct cof_diag *diag;
	struct cof_buf path;
};

struct listing { /* names of one directory: it is left alone while it is listed */
	struct cof_buf names;
};

static int take_name(void *user, uint64_t cookie COF_UNUSED, const char *text, size_t len,
		     uint64_t ino, uint8_t kind COF_UNUSED)
{
	struct listing *l = user;
	struct name n = {.ino = ino};

	if (!len || len >= sizeof(n.text) || memchr(text, '/', len) ||
	    (len <= 2 && !strncmp(text, "..", len)))
		return -EUCLEAN;
	memcpy(n.text, text, len);
	cof_buf_add(&l->names, &n, sizeof(n));
	return l->names.failed ? -ENOMEM : 0;
}

static int fail(const struct walking *t, int err)
{
	cof_autofree char *shown = escaped(t->path.len ? (const char *)t->path.data : "/");

	return t->diag->text[0] ? err
				: cof_fail(t->diag, err, "%s in the archive cannot be read: %s",
					   shown ? shown : "?", strerror(-err));
}

static int visit(struct walking *t, uint64_t ino, unsigned depth);

static int go_into(struct walking *t, const char *name, uint64_t ino, unsigned depth)
{
	size_t before = t->path.len;
	int err;

	cof_buf_printf(&t->path, "%s%s", before ? "/" : "", name);
	err = t->path.failed ? -ENOMEM : visit(t, ino, depth);
	t->path.len = before;
	if (t->path.data)
		t->path.data[before] = 0;
	return err;
}

static int list(struct walking *t, uint64_t ino, unsigned depth)
{
	struct listing l = {{0}};
	int err = depth > DEPTH_MAX ? -ELOOP
				    : cof_archive_readdir(t->a, t->w->size, ino, 0, take_name, &l);

	if (err < 0)
		err = fail(t, err);
	for (size_t i = 0; err == 0 && i < l.names.len / sizeof(struct name); i++) {
		struct name n;

		memcpy(&n, l.names.data + i * sizeof(n), sizeof(n));
		err = go_into(t, n.text, n.ino, depth + 1);
	}
	cof_buf_done(&l.names);
	return err;
}

static int visit(struct walking *t, uint64_t ino, unsigned depth)
{
	struct cof_attr attr;
	int err = cof_archive_getattr(t->a, t->w->size, ino, &attr);

	if (err < 0)
		return fail(t, err);
	err = t->fn(t->user, (const char *)t->path.data, &attr);
	return err == 0 && attr.kind == COF_KIND_DIR ? list(t, ino, depth) : err;
}

/* A path of the archive: what is above it is visited too. */
static int one_path(struct walking *t, const char *path)
{
	cof_autofree char *copy = strdup(path);
	char *rest = copy, *word;
	uint64_t ino = COF_ROOT_INO;
	struct cof_attr attr;
	int err = copy ? 0 : -ENOMEM;

	t->path.len = 0;
	while (err == 0 && (word = strsep(&rest, "/"))) {
		if (!*word)
			continue;
		err = cof_archive_lookup(t->a, t->w->size, ino, word, &attr);
		if (err < 0)
			break;
		ino = attr.ino;
		cof_buf_printf(&t->path, "%s%s", t->path.len ? "/" : "", word);
		if (rest && *rest)
			err = t->path.failed ? -ENOMEM
					     : t->fn(t->user, (const char *)t->path.data, &attr);
	}
	if (err == -ENOENT && !t->diag->text[0]) {
		cof_autofree char *shown = escaped(path);

		return cof_fail(t->diag, err, "%s is not in the archive, as it was at that size",
				shown ? shown : "?");
	}
	if (err < 0)
		return fail(t, err);
	err = ino == COF_ROOT_INO ? list(t, ino, 0) : visit(t, ino, 1);
	t->path.len = 0;
	return err;
}

static bool among(const char *const *list, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

static int shelf(struct walking *t, const struct name *n)
{
	t->path.len = 0;
	return go_into(t, n->text, n->ino, 1);
}

static int all_shelves(struct walking *t)
{
	const struct restore_wanted *w = t->w;
	struct listing l = {{0}};
	size_t count;
	int err = cof_archive_readdir(t->a, w->size, COF_ROOT_INO, 0, take_name, &l);

	count = l.names.len / sizeof(struct name);
	if (err < 0)
		err = fail(t, err);
	for (unsigned k = 0; err == 0 && k <= w->n_first; k++)
		for (size_t i = 0; err == 0 && i < count; i++) {
			struct name n;

			memcpy(&n, l.names.data + i * sizeof(n), sizeof(n));
			if (k < w->n_first ? !strcmp(n.text, w->first[k])
					   : !among(w->first, w->n_first, n.text))
				err = shelf(t, &n);
		}
	cof_buf_done(&l.names);
	return err;
}

int restore_walk(struct cof_archive *a, const struct restore_wanted *w, restore_visit_fn fn,
		 void *user, struct cof_diag *diag)
{
	struct walking t = {.a = a, .w = w, .fn = fn, .user = user, .diag = diag};
	int err = 0;

	for (unsigned k = 0; err == 0 && k <= w->n_first; k++)
		for (unsigned i = 0; err == 0 && i < w->n_shelves; i++)
			if (k < w->n_first ? !strcmp(w->shelf[i], w->first[k])
					   : !among(w->first, w->n_first, w->shelf[i]))
				err = one_path(&t, w->shelf[i]);
	for (unsigned i = 0; err == 0 && i < w->n_files; i++)
		err = one_path(&t, w->file[i]);
	if (err == 0 && !w->n_shelves && !w->n_files)
		err = all_shelves(&t);
	cof_buf_done(&t.path);
	return err;
}
