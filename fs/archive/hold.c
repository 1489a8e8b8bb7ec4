/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which legal holds are in force, and which of them cover an object. The table in memory is read from the
 * index when it is needed and thrown away by every frame that changes it: COF_HOLDS_MAX entries, however
 * many files they cover.
 *
 * A hold is in force with its first frame, over all that lies below what it names: until the frames that list
 * its tree are all written (it is being laid), the directories above a file are asked too.
 */
#include "fs/archive/hold.h"

#include <stdio.h>

#define RECORD_FIXED 49
#define LIST_AT_ONCE 64

void cof_hold_key(uint64_t id, char out[COF_HOLD_KEY])
{
	snprintf(out, COF_HOLD_KEY, "hold:%llu", (unsigned long long)id);
}

void cof_hold_encode(const struct cof_hold_record *h, struct cof_buf *ret)
{
	uint8_t b[RECORD_FIXED];

	cof_put_le64(b, h->previous);
	cof_put_le64(b + 8, (uint64_t)h->begun);
	cof_put_le64(b + 16, (uint64_t)h->ended);
	cof_put_le64(b + 24, h->processed);
	cof_put_le64(b + 32, h->skipped);
	cof_put_le64(b + 40, h->failed);
	b[48] = h->laying;
	cof_buf_add(ret, b, sizeof(b));
	cof_buf_add(ret, h->text, h->text_len);
}

int cof_hold_decode(const struct cof_buf *b, struct cof_hold_record *ret)
{
	const uint8_t *p = b->data;

	if (b->len < RECORD_FIXED || p[48] > 1)
		return -EUCLEAN;
	*ret = (struct cof_hold_record){
	    .previous = cof_get_le64(p),
	    .begun = (int64_t)cof_get_le64(p + 8),
	    .ended = (int64_t)cof_get_le64(p + 16),
	    .processed = cof_get_le64(p + 24),
	    .skipped = cof_get_le64(p + 32),
	    .failed = cof_get_le64(p + 40),
	    .laying = p[48],
	    .text = p + RECORD_FIXED,
	    .text_len = b->len - RECORD_FIXED,
	};
	return 0;
}

int cof_hold_get(struct cof_archive *a, uint64_t id, struct cof_buf *b, struct cof_hold_record *ret)
{
	char key[COF_HOLD_KEY];
	int r;

	b->len = 0;
	cof_hold_key(id, key);
	r = cof_ix(a, cof_index_get_value(a->ix, a->load_at, COF_ROOT_INO, key, b));
	return r < 0 ? r : cof_ix(a, cof_hold_decode(b, ret));
}

/* ---- the table ---- */

void cof_holds_changed(struct cof_archive *a)
{
	atomic_fetch_add(&a->holds.generation, 1);
}

/* Read outside the lock; what is older by then is read again by who comes next. */
static int load(struct cof_archive *a, struct cof_holds *t)
{
	cof_autobuf struct cof_buf ids = {0}, record = {0};
	struct cof_hold_record h = {0};
	int r = cof_ix(a, cof_index_get_value(a->ix, a->load_at, COF_ROOT_INO, "holds", &ids));

	t->n = t->laying = 0;
	if (r == -ENOENT)
		return 0;
	for (size_t i = 0; r == 0 && i + 8 <= ids.len && t->n < COF_HOLDS_MAX; i += 8) {
		t->at[t->n].id = cof_get_le64(ids.data + i);
		r = cof_hold_get(a, t->at[t->n].id, &record, &h);
		t->at[t->n].laying = r == 0 && h.laying;
		t->laying += r == 0 && h.laying;
		t->n++;
	}
	return r == -ENOENT ? cof_ix(a, -EUCLEAN) : r;
}

/* The table as of now, under its lock when it returns 0. */
static int lock_table(struct cof_archive *a)
{
	uint64_t now = atomic_load(&a->holds.generation);
	struct cof_holds *fresh;
	int r;

	pthread_mutex_lock(&a->holds.lock);
	if (a->holds.loaded == now)
		return 0;
	pthread_mutex_unlock(&a->holds.lock);
	fresh = malloc(sizeof(*fresh));
	r = fresh ? load(a, fresh) : -ENOMEM;
	if (r == 0) {
		pthread_mutex_lock(&a->holds.lock);
		a->holds.n = fresh->n;
		a->holds.laying = fresh->laying;
		memcpy(a->holds.at, fresh->at, sizeof(fresh->at));
		a->holds.loaded = now;
	}
	free(fresh);
	return r;
}

bool cof_holds_any(struct cof_archive *a)
{
	bool any = true; /* what cannot be read may be there */

	if (lock_table(a) < 0)
		return any;
	any = a->holds.n != 0;
	pthread_mutex_unlock(&a->holds.lock);
	return any;
}

/* Table locked. */
static bool in_force(const struct cof_archive *a, uint64_t id, bool laying_only)
{
	size_t low = 0, high = a->holds.n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (a->holds.at[mid].id == id)
			return !laying_only || a->holds.at[mid].laying;
		if (a->holds.at[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* Those of the list of an inode that are in force. above: of a directory over the object, whose names do not
 * count for it, and whose holds do while they are being laid. */
static int take_list(struct cof_archive *a, uint64_t ino, bool above, struct cof_hold_set *ret)
{
	cof_autobuf struct cof_buf list = {0};
	int r = cof_ix(a, cof_index_get_value(a->ix, a->load_at, ino, "holds", &list));

	if (r == 0)
		r = lock_table(a);
	if (r < 0)
		return r == -ENOENT ? cof_ix(a, -EUCLEAN) : r;
	for (size_t i = 0; i + 8 <= list.len && ret->n < COF_HOLDS_MAX; i += 8) {
		uint64_t id = cof_get_le64(list.data + i), plain = id & ~COF_HOLD_NAMED;
		bool known = false;

		if (!in_force(a, plain, above))
			continue;
		for (size_t k = 0; k < ret->n; k++)
			known |= ret->id[k] == plain;
		if (!known)
			ret->id[ret->n++] = plain;
		ret->named |= !above && (id & COF_HOLD_NAMED);
	}
	pthread_mutex_unlock(&a->holds.lock);
	return 0;
}

static int take_above(struct cof_archive *a, const struct cof_obj *o, struct cof_hold_set *ret)
{
	uint64_t ino = o->node.ino == COF_ROOT_INO ? 0 : o->node.parent;
	struct cof_node n;
	int r = 0;

	while (r == 0 && ino) {
		r = cof_ix(a, cof_index_get_node(a->ix, a->load_at, ino, &n));
		if (r == -ENOENT && ino == COF_ROOT_INO)
			return 0;
		if (r == 0 && n.held)
			r = take_list(a, ino, true, ret);
		ino = ino == COF_ROOT_INO ? 0 : n.parent;
	}
	return r;
}

int cof_holds_of(struct cof_archive *a, struct cof_obj *o, struct cof_hold_set *ret)
{
	bool any, laying;
	int r = lock_table(a);

	ret->n = 0;
	ret->named = false;
	if (r < 0)
		return r;
	any = a->holds.n != 0;
	laying = a->holds.laying != 0;
	pthread_mutex_unlock(&a->holds.lock);
	if (any && o->node.held)
		r = take_list(a, o->node.ino, false, ret);
	if (r == 0 && laying && o->node.state != COF_STATE_REMOVED) /* one that was removed lies nowhere any more, and is not listed */
		r = take_above(a, o, ret);
	return r;
}

/* ---- finding and telling ---- */

typedef int each_fn(void *user, uint64_t id, const struct cof_hold_record *h); /* 1: enough */

/* From the newest to the oldest. */
static int each(struct cof_archive *a, each_fn *fn, void *user)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	uint64_t id = 0;
	int r = cof_ix(a, cof_index_get_value(a->ix, a->load_at, COF_ROOT_INO, "hold-last", &b));

	if (r == -ENOENT)
		return 0;
	if (r == 0 && b.len == 8)
		id = cof_get_le64(b.data);
	while (r == 0 && id) {
		r = cof_hold_get(a, id, &b, &h);
		if (r == 0)
			r = fn(user, id, &h);
		if (r == 0 && h.previous >= id)
			r = cof_ix(a, -EUCLEAN);
		id = h.previous;
	}
	return r;
}

struct finding {
	const char *name;
	uint64_t id;
};

static int is_it(void *user, uint64_t id, const struct cof_hold_record *h)
{
	struct finding *f = user;
	struct cof_field name;
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
	if (h->ended || cof_field_find(h->text, h->text_len, COF_T_CASE, &name) < 0 ||
	    ((name.len != strlen(f->name) || memcmp(name.value, f->name, name.len)) &&
	     strcmp(number, f->name)))
		return 0;
	f->id = id;
	return 1;
}

int cof_hold_find(struct cof_archive *a, const char *name, uint64_t *ret_id)
{
	struct finding f = {.name = name};
	int r = each(a, is_it, &f);

	if (r < 0)
		return r;
	*ret_id = f.id;
	return f.id ? 0 : -ENOENT;
}

static void append_text(struct cof_json *list, const struct cof_field *f)
{
	cof_autofree char *text = strndup((const char *)f->value, f->len);

	cof_json_append(list, cof_json_new_str(text ? text : ""));
}

void cof_hold_json(uint64_t id, const struct cof_hold_record *h, struct cof_json *into)
{
	struct cof_json *paths = cof_json_array();
	struct cof_field f;
	size_t off = 0;

	cof_json_set_uint(into, "hold", id);
	while (cof_field_next(h->text, h->text_len, &off, &f) > 0) {
		if (f.tag == COF_T_CASE)
			cof_json_set_bytes(into, "case", f.value, f.len);
		else if (f.tag == COF_T_REASON)
			cof_json_set_bytes(into, "reason", f.value, f.len);
		else if (f.tag == COF_T_PATH)
			append_text(paths, &f);
	}
	cof_json_set(into, "paths", paths);
	cof_json_set_str(into, "state", h->ended ? "ended" : h->laying ? "being laid" : "in force");
	cof_json_set_time(into, "begun", h->begun);
	if (h->ended)
		cof_json_set_time(into, "ended", h->ended);
	if (!h->laying || h->ended) {
		cof_json_set_uint(into, "processed", h->processed);
		cof_json_set_uint(into, "skipped", h->skipped);
		cof_json_set_uint(into, "failed", h->failed);
	}
}

static int first_object(struct cof_archive *a, const char *name, uint64_t *ret_ino)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_hold_record h = {0};
	struct cof_field named = {0};
	uint64_t id;
	int r = cof_hold_find(a, name, &id);

	if (r == 0)
		r = cof_hold_get(a, id, &b, &h);
	if (r == 0)
		r = cof_field_find(h.text, h.text_len, COF_T_INODES, &named);
	if (r == 0)
		*ret_ino = named.len >= 8 ? cof_get_le64(named.value) : 0;
	return r;
}

int cof_archive_hold_object(struct cof_archive *a, const char *name, uint64_t *ret_ino)
{
	int r;

	COF_GATED(a, r, first_object(a, name, ret_ino));
	return r;
}

struct listing {
	struct cof_json *some; /* as many as are sent at once: nobody waits for a client inside the gate */
	uint64_t from;	       /* goes on with this one; 0: from the newest */
	bool all;
};

static int list_one(void *user, uint64_t id, const struct cof_hold_record *h)
{
	struct listing *l = user;
	struct cof_json *o;

	if ((h->ended && !l->all) || (l->from && id > l->from))
		return 0;
	if (cof_json_count(l->some) == LIST_AT_ONCE) {
		l->from = id;
		return 1;
	}
	o = cof_json_object();
	if (!o)
		return -ENOMEM;
	cof_hold_json(id, h, o);
	cof_json_append(l->some, o);
	return 0;
}

int cof_archive_holds(struct cof_archive *a, bool all, cof_show_fn fn, void *user)
{
	struct listing l = {.all = all};
	int more = 1, r = 0;

	while (more == 1 && r == 0) {
		cof_autojson struct cof_json *some = cof_json_array();

		l.some = some;
		if (!some)
			return -ENOMEM;
		COF_GATED(a, more, each(a, list_one, &l));
		for (size_t i = 0; r == 0 && more >= 0 && i < cof_json_count(some); i++)
			r = fn(user, cof_json_at(some, i));
	}
	return more < 0 ? more : r;
}

struct counting {
	uint64_t holds, files, laying;
};

static int count_one(void *user, uint64_t id COF_UNUSED, const struct cof_hold_record *h)
{
	struct counting *c = user;

	if (h->ended)
		return 0;
	c->holds++;
	c->files += h->processed;
	c->laying += h->laying;
	return 0;
}

void cof_holds_status(struct cof_archive *a, struct cof_json *into)
{
	struct counting c = {0};

	if (each(a, count_one, &c) < 0)
		return; /* the index is being repaired: said elsewhere */
	cof_json_set_uint(into, "holds", c.holds);
	cof_json_set_uint(into, "held", c.files);
	if (c.laying)
		cof_json_set_uint(into, "holds_being_laid", c.laying);
}
