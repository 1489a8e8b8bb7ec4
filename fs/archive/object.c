/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects in memory: a bounded cache, one lock each. An object in the cache is the truth about its file;
 * all of it can be had again from the index, so what nobody holds may be dropped at any time, and memory
 * does not grow with the archive.
 */
#include "fs/archive/certs.h"

int cof_cache_init(struct cof_archive *a, uint64_t max)
{
	a->max_objects = max ? (size_t)COF_MIN(max, (uint64_t)1 << 24) : 16384;
	a->n_buckets = 64;
	while (a->n_buckets < a->max_objects)
		a->n_buckets *= 2;
	a->buckets = calloc(a->n_buckets, sizeof(struct cof_obj *));
	if (!a->buckets)
		return -ENOMEM;
	a->lru.lru_next = a->lru.lru_prev = &a->lru;
	return 0;
}

static struct cof_obj **bucket_of(struct cof_archive *a, uint64_t ino)
{
	return &a->buckets[(size_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) & (a->n_buckets - 1)];
}

static void lru_remove(struct cof_obj *o)
{
	o->lru_next->lru_prev = o->lru_prev;
	o->lru_prev->lru_next = o->lru_next;
}

static struct cof_obj *lru_take_oldest(struct cof_archive *a)
{
	struct cof_obj *o = a->lru.lru_prev;

	if (o == &a->lru)
		return NULL;
	a->lru.lru_prev = o->lru_prev;
	o->lru_prev->lru_next = &a->lru;
	return o;
}

static void lru_add(struct cof_archive *a, struct cof_obj *o) /* as the newest */
{
	o->lru_next = a->lru.lru_next;
	o->lru_prev = &a->lru;
	o->lru_next->lru_prev = o;
	a->lru.lru_next = o;
}

/* Cache lock held; nobody references o. */
static void drop(struct cof_archive *a, struct cof_obj *o)
{
	struct cof_obj **at = bucket_of(a, o->node.ino);

	while (*at && *at != o)
		at = &(*at)->hash_next;
	if (*at)
		*at = o->hash_next;
	a->n_objects--;
	pthread_mutex_destroy(&o->lock);
	free(o);
}

void cof_obj_clear(struct cof_archive *a)
{
	pthread_mutex_lock(&a->cache_lock);
	while (a->lru.lru_next && a->lru.lru_next != &a->lru) {
		struct cof_obj *o = a->lru.lru_next;

		lru_remove(o);
		drop(a, o);
	}
	pthread_mutex_unlock(&a->cache_lock);
	cof_shelves_clear(a);
	cof_holds_changed(a);
	cof_places_clear(a->places);
	cof_chunks_clear(a->chunks);
}

void cof_cache_done(struct cof_archive *a)
{
	if (a->buckets)
		cof_obj_clear(a);
	free(a->buckets);
	a->buckets = NULL;
}

/* Referenced, found or new, not locked. */
static struct cof_obj *reference(struct cof_archive *a, uint64_t ino)
{
	struct cof_obj **bucket = bucket_of(a, ino), *o;

	pthread_mutex_lock(&a->cache_lock);
	for (o = *bucket; o && o->node.ino != ino; o = o->hash_next)
		;
	if (o) {
		if (o->refs++ == 0)
			lru_remove(o);
	} else {
		o = calloc(1, sizeof(*o));
		if (o) {
			pthread_mutex_init(&o->lock, NULL);
			o->node.ino = ino;
			o->refs = 1;
			o->hash_next = *bucket;
			*bucket = o;
			a->n_objects++;
		}
	}
	pthread_mutex_unlock(&a->cache_lock);
	return o;
}

static void unreference(struct cof_archive *a, struct cof_obj *o, bool keep)
{
	struct cof_obj *old;

	pthread_mutex_lock(&a->cache_lock);
	if (--o->refs == 0) {
		if (keep)
			lru_add(a, o);
		else
			drop(a, o);
		while (a->n_objects > a->max_objects && (old = lru_take_oldest(a)))
			drop(a, old);
	}
	pthread_mutex_unlock(&a->cache_lock);
}

/* The root exists without a CREATE frame. */
static void root_node(struct cof_archive *a, struct cof_node *n)
{
	memset(n, 0, sizeof(*n));
	n->ino = n->parent = COF_ROOT_INO;
	n->kind = COF_KIND_DIR;
	n->mode = 0755;
	n->created = n->mtime = n->ctime = a->conf.created;
	n->retain_until = n->asked_until = n->binds_from = n->least_until = n->follow_from = INT64_MIN;
}

static int node_at(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_node *ret)
{
	int r = cof_ix(a, cof_index_get_node(a->ix, at, ino, ret));

	if (r == -ENOENT && ino == COF_ROOT_INO) {
		root_node(a, ret);
		return 0;
	}
	return r;
}

struct followed { /* what follows the appends of an open file, which write no row of their own */
	uint64_t size;
	int64_t mtime, ctime, written;
};

static int follow_appends(struct cof_archive *a, uint64_t at, const struct cof_node *n,
			  struct followed *ret)
{
	struct cof_stretch last;
	int64_t time = 0, written = 0;
	size_t found = 0;
	int r;

	*ret = (struct followed){n->size, n->mtime, n->ctime, INT64_MIN};
	if (n->kind != COF_KIND_FILE || n->state != COF_STATE_OPEN)
		return 0;
	r = cof_ix(a, cof_index_end(a->ix, at, n->ino, &ret->size));
	if (r < 0 || !ret->size)
		return r;
	r = cof_ix(a, cof_index_stretches(a->ix, at, n->ino, ret->size - 1, &last, 1, &found));
	if (r < 0)
		return r;
	if (!found)
		return -COF_EINDEX;
	r = cof_stretch_time(a, &last, n->ino, &time, &written);
	if (r < 0)
		return r == -COF_EINDEX ? r : 0; /* a damaged frame spoils its bytes, not its name */
	ret->written = written;
	if (n->mtime_claimed)
		return 0;
	ret->mtime = time;
	if (last.sequence > n->created_sequence && time > n->ctime)
		ret->ctime = time;
	return 0;
}

static int load(struct cof_archive *a, struct cof_obj *o)
{
	struct followed now;
	struct cof_node node;
	int r = node_at(a, a->load_at, o->node.ino, &node);

	if (r < 0)
		return r;
	if (node.ino != o->node.ino)
		return -COF_EINDEX;
	r = follow_appends(a, a->load_at, &node, &now);
	if (r == 0)
		r = cof_shelf_get(a, node.shelf, &o->shelf);
	if (r < 0)
		return r;
	o->node = node;
	o->size = now.size;
	o->mtime = now.mtime;
	o->ctime = now.ctime;
	o->written = now.written;
	o->put_mtime = node.mtime;
	o->loaded = 1;
	return 0;
}

int cof_obj_get(struct cof_archive *a, uint64_t ino, struct cof_obj **ret)
{
	struct cof_obj *o = reference(a, ino);
	int r = 0;

	if (!o)
		return -ENOMEM;
	pthread_mutex_lock(&o->lock);
	if (o->loaded != 1)
		r = load(a, o);
	if (r < 0) {
		pthread_mutex_unlock(&o->lock);
		unreference(a, o, false);
		return r;
	}
	*ret = o;
	return 0;
}

/* Referenced if it is there, not locked. */
static struct cof_obj *reference_old(struct cof_archive *a, uint64_t ino)
{
	struct cof_obj *o;

	pthread_mutex_lock(&a->cache_lock);
	for (o = *bucket_of(a, ino); o && o->node.ino != ino; o = o->hash_next)
		;
	if (o && o->refs++ == 0)
		lru_remove(o);
	pthread_mutex_unlock(&a->cache_lock);
	return o;
}

int cof_obj_peek(struct cof_archive *a, uint64_t ino, struct cof_attr *ret)
{
	struct cof_obj *o = reference_old(a, ino);
	bool loaded;

	if (!o) /* then the index has all there is to know */
		return cof_node_attr_at(a, COF_INDEX_NOW, ino, ret);
	pthread_mutex_lock(&o->lock);
	loaded = o->loaded == 1;
	if (loaded)
		cof_obj_attr(a, o, ret);
	cof_obj_put(a, o);
	return loaded ? 0 : cof_node_attr_at(a, COF_INDEX_NOW, ino, ret);
}

int cof_obj_new(struct cof_archive *a, uint64_t ino, struct cof_obj **ret)
{
	struct cof_obj *o = reference(a, ino);

	if (!o)
		return -ENOMEM;
	pthread_mutex_lock(&o->lock);
	*ret = o;
	return 0;
}

void cof_obj_put(struct cof_archive *a, struct cof_obj *o)
{
	bool keep;

	if (!o)
		return;
	keep = o->loaded == 1;
	pthread_mutex_unlock(&o->lock);
	unreference(a, o, keep);
}

/* An open file shows as access time what was asked for, a committed one what is kept. */
static int64_t access_time(const struct cof_node *n, int64_t mtime)
{
	if (n->kind != COF_KIND_FILE)
		return mtime;
	if (n->state == COF_STATE_OPEN)
		return n->asked_until != COF_RETAIN_NONE ? n->asked_until : mtime;
	if (n->retain_until == COF_RETAIN_NONE)
		return mtime;
	return n->event_due ? COF_RETAIN_INFINITE : COF_MAX(n->retain_until, n->least_until);
}

static void fill_attr(const struct cof_node *n, uint64_t size, int64_t mtime, int64_t ctime,
		      struct cof_attr *ret)
{
	*ret = (struct cof_attr){
	    .ino = n->ino,
	    .size = size,
	    .kind = n->kind,
	    .state = n->state,
	    .mode = n->mode,
	    .uid = n->uid,
	    .gid = n->gid,
	    /* One for directories too: "not counted", which tools understand. */
	    .nlink = n->state == COF_STATE_REMOVED ? 0 : 1,
	    .mtime = mtime,
	    .ctime = ctime,
	    .atime = access_time(n, mtime),
	    .created = n->created,
	};
}

/* State follows from time: whether that has to be looked at. */
static bool depends_on_time(const struct cof_obj *o)
{
	if (o->node.kind != COF_KIND_FILE)
		return false;
	if (o->node.state == COF_STATE_OPEN)
		return cof_obj_policy(o)->autocommit != 0;
	return o->node.state == COF_STATE_COMMITTED && !o->node.event_due &&
	       o->node.retain_until != COF_RETAIN_INFINITE;
}

uint8_t cof_obj_state(struct cof_archive *a, struct cof_obj *o)
{
	struct cof_object view;

	if (!depends_on_time(o))
		return o->node.state;
	cof_obj_rule_view(a, o, &view);
	return cof_state_now(cof_obj_policy(o), &view, cof_clock_retention(&a->clock));
}

void cof_obj_attr(struct cof_archive *a, struct cof_obj *o, struct cof_attr *ret)
{
	const struct cof_node *n = &o->node;

	fill_attr(n, o->size, o->mtime, o->ctime, ret);
	if (n->state != COF_STATE_OPEN && n->retain_until != COF_RETAIN_NONE)
		ret->atime = COF_MAX(ret->atime, cof_certs_follow(a, o));
	ret->state = cof_obj_state(a, o);
}

int cof_node_attr_at(struct cof_archive *a, uint64_t at, uint64_t ino, struct cof_attr *ret)
{
	struct followed then;
	struct cof_node n;
	int r = node_at(a, at, ino, &n);

	if (r == 0)
		r = follow_appends(a, at, &n, &then);
	if (r == 0)
		fill_attr(&n, then.size, then.mtime, then.ctime, ret);
	return r;
}

/* What cannot be read counts as held: a hold that is overlooked is the worse mistake. */
static void look_holds(struct cof_archive *a, struct cof_obj *o)
{
	uint64_t now = atomic_load(&a->holds.generation);
	struct cof_hold_set *set;

	if (o->holds_seen == now)
		return;
	if (!cof_holds_any(a)) {
		o->holds = 0;
		o->held_by_name = false;
		o->holds_seen = now;
		return;
	}
	set = malloc(sizeof(*set));
	if (!set || cof_holds_of(a, o, set) < 0) {
		o->holds = 1;
		o->held_by_name = false;
		o->holds_seen = 0;
	} else {
		o->holds = (uint32_t)set->n;
		o->held_by_name = set->named;
		o->holds_seen = now;
	}
	free(set);
}

static void fill_event(struct cof_archive *a, const struct cof_node *n, struct cof_object *ret)
{
	cof_autobuf struct cof_buf name = {0};

	ret->event_due = true;
	if (cof_ix(a, cof_index_get_value(a->ix, a->load_at, n->ino, "event", &name)) == 0 &&
	    name.len < sizeof(ret->event))
		memcpy(ret->event, name.data, name.len);
}

void cof_obj_rule_view(struct cof_archive *a, struct cof_obj *o, struct cof_object *ret)
{
	const struct cof_node *n = &o->node;
	int64_t closed = INT64_MIN;

	*ret = (struct cof_object){
	    .kind = n->kind,
	    .state = n->state,
	    .ino = n->ino,
	    .size = o->size,
	    .parent = n->parent,
	    .mode = n->mode,
	    .uid = n->uid,
	    .gid = n->gid,
	    .is_root = n->ino == COF_ROOT_INO,
	    .is_shelf = n->ino != COF_ROOT_INO && n->parent == COF_ROOT_INO,
	    .in_root = n->parent == COF_ROOT_INO,
	    .retain_until = n->state == COF_STATE_OPEN ? COF_RETAIN_NONE : n->retain_until,
	    .asked_until = n->state == COF_STATE_OPEN ? n->asked_until : COF_RETAIN_NONE,
	};
	if (n->kind == COF_KIND_FILE && n->state == COF_STATE_OPEN)
		ret->has_writers = cof_writers_any(a->writers, n->ino, &closed);
	/* The idle time begins with the last byte, or when the last writer left. */
	ret->idle_since = COF_MAX(o->written, closed);
	cof_shelf_use(o->shelf, &ret->shelf_bytes, &ret->shelf_files);
	look_holds(a, o);
	ret->holds = o->holds;
	ret->held_by_name = o->held_by_name;
	/* An open file's is known when it is committed. */
	ret->least_until = n->state == COF_STATE_OPEN ? COF_RETAIN_NONE : COF_MAX(n->least_until, cof_certs_follow(a, o));
	ret->mode_kept = n->mode_kept;
	ret->binds_from = n->binds_from;
	ret->event_span = n->event_span;
	if (n->event_due)
		fill_event(a, n, ret);
}
