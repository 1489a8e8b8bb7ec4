/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in request documents: which they are, in which shelves they lie, and the digest of how they are. */
#include "fs/archive/people.h"

#include <inttypes.h>
#include <stdio.h>

#define OBJECTS_MAX COF_REQUEST_OBJECTS

const char *cof_action_word(const struct cof_json *args, size_t i)
{
	const struct cof_json *words = cof_json_get(args, "words");

	return i < cof_json_count(words) ? cof_json_value_str(cof_json_at(words, i)) : NULL;
}

int cof_action_each_object(const struct cof_json *doc, cof_action_object_fn fn, void *user)
{
	uint64_t first, count, all = 0;
	int r = 0;

	for (size_t i = 0; r == 0; i++) {
		r = cof_request_range(doc, i, &first, &count);
		if (r == -ENOENT)
			return 0;
		if (r == 0 && (count > OBJECTS_MAX || (all += count) > OBJECTS_MAX))
			r = -E2BIG;
		for (uint64_t k = 0; r == 0 && k < count; k++)
			r = fn(user, first + k);
	}
	return r;
}

/* ---- their state ---- */

struct digesting {
	struct cof_archive *a;
	struct cof_sha256 *h;
};

static int look(struct cof_archive *a, uint64_t ino, struct cof_object *view, struct cof_node *node)
{
	struct cof_obj *o;
	int r;

	cof_gate_enter(a);
	r = cof_obj_get(a, ino, &o);
	if (r == 0) {
		cof_obj_rule_view(a, o, view);
		*node = o->node;
		cof_obj_put(a, o);
	}
	cof_gate_leave(a);
	return r;
}

static int digest_one(void *user, uint64_t ino)
{
	struct digesting *d = user;
	struct cof_object view = {.holds = 0};
	struct cof_node n = {.state = 0};
	uint8_t b[8 + 1 + 8 + 8 + 4];
	int r;

	COF_GATED(d->a, r, 0); /* an index that was repaired, once */
	if (r == 0)
		r = look(d->a, ino, &view, &n);
	if (r < 0)
		return r;
	cof_put_le64(b, ino);
	b[8] = n.state;
	cof_put_le64(b + 9, (uint64_t)n.retain_until);
	cof_put_le64(b + 17, n.commit_sequence);
	cof_put_le32(b + 25, view.holds);
	cof_sha256_update(d->h, b, sizeof(b));
	return 0;
}

int cof_action_objects_state(struct cof_archive *a, const struct cof_json *doc, uint8_t ret[32], struct cof_diag *diag)
{
	struct digesting d = {.a = a, .h = cof_sha256_new()};
	int r = d.h ? cof_action_each_object(doc, digest_one, &d) : -ENOMEM;

	if (r == 0)
		cof_sha256_final(d.h, ret);
	cof_sha256_free(d.h);
	return r == -ENOENT ? cof_fail(diag, -ESTALE, "an object of the request is not there any more")
	       : r < 0	    ? cof_fail(diag, r, "the objects of the request cannot be looked at: %s", strerror(-r))
			    : 0;
}

/* ---- their shelves ---- */

bool cof_action_has_shelf(const struct cof_json *doc, uint64_t shelf)
{
	uint64_t one;

	for (size_t i = 0; cof_request_shelf(doc, i, &one) == 0; i++)
		if (one == shelf)
			return true;
	return false;
}

struct shelving {
	struct cof_archive *a;
	const struct cof_json *doc;
	uint64_t last; /* that was listed */
};

static int is_listed(void *user, uint64_t ino)
{
	struct shelving *s = user;
	struct cof_object view;
	struct cof_node node = {.state = 0};
	int r = look(s->a, ino, &view, &node);

	if (r < 0 || !node.shelf || node.shelf == s->last)
		return r;
	s->last = node.shelf;
	return cof_action_has_shelf(s->doc, node.shelf) ? 0 : -EBADE;
}

int cof_action_check_shelves(struct cof_archive *a, const struct cof_json *doc, struct cof_diag *diag)
{
	struct shelving s = {a, doc, 0};
	int r = cof_action_each_object(doc, is_listed, &s);

	return r == -EBADE  ? cof_fail(diag, -EINVAL, "an object of the request lies in shelf %llu, which it does not name: its rule would not "
						      "be asked",
				       (unsigned long long)s.last)
	       : r == -ENOENT ? cof_fail(diag, -ESTALE, "an object of the request is not there any more")
	       : r < 0	      ? cof_fail(diag, r, "the objects of the request cannot be looked at: %s", strerror(-r))
			      : 0;
}

/* ---- naming them ---- */

static int by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static size_t unique(uint64_t *v, size_t n)
{
	size_t to = 0;

	qsort(v, n, sizeof(*v), by_number);
	for (size_t i = 0; i < n; i++)
		if (!to || v[to - 1] != v[i])
			v[to++] = v[i];
	return to;
}

static struct cof_json *ranges_of(const uint64_t *ino, size_t n)
{
	struct cof_json *all = cof_json_array();

	for (size_t i = 0; i < n;) {
		struct cof_json *one = cof_json_array();
		size_t k = i + 1;

		while (k < n && ino[k] == ino[i] + (k - i))
			k++;
		cof_json_append(one, cof_json_new_uint(ino[i]));
		cof_json_append(one, cof_json_new_uint(k - i));
		cof_json_append(all, one);
		i = k;
	}
	return all;
}

static int shelves_of(struct cof_archive *a, const uint64_t *ino, size_t n, struct cof_json **ret)
{
	cof_autofree uint64_t *shelf = calloc(n + 1, sizeof(*shelf));
	struct cof_object view;
	struct cof_node node;
	size_t count = 0;
	int r = shelf ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = look(a, ino[i], &view, &node);
		if (r == 0 && node.shelf && (!count || shelf[count - 1] != node.shelf))
			shelf[count++] = node.shelf;
	}
	if (r < 0)
		return r;
	count = unique(shelf, count);
	*ret = cof_json_array();
	for (size_t i = 0; i < count; i++)
		cof_json_append(*ret, cof_json_new_uint(shelf[i]));
	return 0;
}

int cof_action_set_objects(struct cof_archive *a, const uint64_t *ino, size_t n, struct cof_json *doc, struct cof_diag *diag)
{
	cof_autofree uint64_t *sorted = malloc((n + 1) * sizeof(*sorted));
	struct cof_json *shelves = NULL;
	uint8_t state[32];
	char hex[65];
	int r;

	if (!n || n > OBJECTS_MAX)
		return cof_fail(diag, n ? -E2BIG : -EINVAL, n ? "more than %d objects: make several requests" : "no object is named",
				OBJECTS_MAX);
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, ino, n * sizeof(*sorted));
	n = unique(sorted, n);
	r = shelves_of(a, sorted, n, &shelves);
	if (r < 0)
		return cof_fail(diag, r, "an object cannot be looked at: %s", strerror(-r));
	cof_json_set(doc, "objects", ranges_of(sorted, n));
	cof_json_set(doc, "shelves", shelves);
	r = cof_action_objects_state(a, doc, state, diag);
	cof_hex(state, sizeof(state), hex);
	if (r == 0)
		cof_json_set_str(doc, "before", hex);
	return r;
}

/* ---- paths ---- */

struct naming {
	struct cof_archive *a;
	uint64_t *ino;
	size_t n, cap;
	uint64_t *dir; /* still to be looked into */
	size_t n_dirs;
	struct cof_buf *sheet;
	const char *event; /* only committed files that wait for it; NULL: any */
	bool expired;	   /* only those whose retention is over */
	uint64_t skipped;
};

static int add(uint64_t **list, size_t *n, uint64_t v)
{
	uint64_t *q;

	if (*n >= OBJECTS_MAX)
		return -E2BIG;
	if ((*n & (*n - 1)) == 0) { /* at each power of two room for the next */
		q = realloc(*list, (*n ? 2 * *n : 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		*list = q;
	}
	(*list)[(*n)++] = v;
	return 0;
}

static int is_wanted(struct naming *w, uint64_t ino, bool *ret)
{
	struct cof_object view;
	struct cof_node node;
	int r;

	*ret = true;
	if (!w->event && !w->expired)
		return 0;
	r = look(w->a, ino, &view, &node);
	if (w->expired) { /* a shelf's policy only tells what is committed for being idle, which has not expired */
		*ret = r == 0 && cof_state_now(NULL, &view, cof_clock_retention(&w->a->clock)) == COF_STATE_EXPIRED;
		return r;
	}
	*ret = r == 0 && view.event_due && !strcmp(view.event, w->event);
	w->skipped += r == 0 && !*ret;
	return r;
}

static int add_file(struct naming *w, uint64_t ino)
{
	cof_autobuf struct cof_buf path = {0};
	bool wanted;
	int r = is_wanted(w, ino, &wanted);

	if (r < 0 || !wanted)
		return r;
	r = cof_archive_path(w->a, ino, &path);
	if (r == -ENOENT) { /* removed: its number is all that is left */
		cof_buf_printf(w->sheet, "inode %llu  (removed)\n", (unsigned long long)ino);
		return add(&w->ino, &w->n, ino);
	}
	if (r == 0)
		cof_buf_printf(w->sheet, "inode %llu  %s\n", (unsigned long long)ino, path.data ? (const char *)path.data : "");
	return r == 0 ? add(&w->ino, &w->n, ino) : r;
}

static int entry(void *user, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED, uint64_t ino,
		 uint8_t kind)
{
	struct naming *w = user;

	return kind == COF_KIND_DIR ? add(&w->dir, &w->n_dirs, ino) : kind == COF_KIND_FILE ? add_file(w, ino) : 0;
}

static int add_path(struct naming *w, const char *path, struct cof_diag *diag)
{
	struct cof_attr attr;
	uint64_t ino;
	int r, end = 0;

	if (sscanf(path, "inode:%" SCNu64 "%n", &ino, &end) == 1 && !path[end]) {
		r = add_file(w, ino);
		return r < 0 ? cof_fail(diag, r, "%s: %s", path, strerror(-r)) : 0;
	}
	r = cof_archive_resolve(w->a, path, &ino);
	if (r == 0)
		r = cof_archive_getattr(w->a, COF_INDEX_NOW, ino, &attr);
	if (r == 0)
		r = attr.kind == COF_KIND_DIR ? add(&w->dir, &w->n_dirs, ino) : add_file(w, ino);
	for (size_t i = 0; r == 0 && i < w->n_dirs; i++)
		r = cof_archive_readdir(w->a, COF_INDEX_NOW, w->dir[i], 0, entry, w);
	w->n_dirs = 0;
	return r < 0 ? cof_fail(diag, r, "%s: %s", path, strerror(-r)) : 0;
}

static int add_all(struct naming *w, const struct cof_json *args, size_t first_word, struct cof_json *doc, struct cof_diag *diag)
{
	const char *path;
	int r = 0;

	for (size_t i = first_word; r == 0 && (path = cof_action_word(args, i)) != NULL; i++)
		r = add_path(w, path, diag);
	if (r == 0 && !w->n)
		r = w->event	 ? cof_fail(diag, -EINVAL, "none of these waits for the event %s", w->event)
		    : w->expired ? cof_fail(diag, -EINVAL, "of none of these the retention is over")
				 : cof_fail(diag, -EINVAL, "no file is named");
	if (r == 0)
		r = cof_action_set_objects(w->a, w->ino, w->n, doc, diag);
	free(w->ino);
	free(w->dir);
	return r;
}

int cof_action_add_paths(struct cof_archive *a, const struct cof_json *args, size_t first_word, struct cof_json *doc,
			 struct cof_buf *sheet, struct cof_diag *diag)
{
	struct naming w = {.a = a, .sheet = sheet};

	return add_all(&w, args, first_word, doc, diag);
}

int cof_action_add_waiting(struct cof_archive *a, const struct cof_json *args, size_t first_word, const char *event,
			   struct cof_json *doc, struct cof_buf *sheet, struct cof_diag *diag)
{
	struct naming w = {.a = a, .sheet = sheet, .event = event};
	int r = add_all(&w, args, first_word, doc, diag);

	if (r == 0) {
		cof_json_set_uint(doc, "skipped", w.skipped);
		cof_buf_printf(sheet, "files beside these that do not wait for it: %llu\n", (unsigned long long)w.skipped);
	}
	return r == 0 && sheet->failed ? -ENOMEM : r;
}

int cof_action_add_expired(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
			   struct cof_diag *diag)
{
	struct naming w = {.a = a, .sheet = sheet, .expired = true};

	return add_all(&w, args, 0, doc, diag);
}
