/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shelves: their policy, and how much each holds.
 *
 * All shelves of an archive are few (COF_SHELVES_MAX), so one that was met stays in memory until the
 * table is emptied, and objects point to it. A policy is replaced as a whole and the old one kept as
 * long as its shelf, so that who judges reads one without a lock.
 *
 * What a shelf holds is counted frame by frame, and written into the index as of the same size as
 * everything else there. The row says up to which frame it counts, so that frames that are applied a
 * second time after a crash are not counted twice.
 */
#include "fs/archive/internal.h"

struct shelf_policy {
	struct shelf_policy *older;
	struct cof_policy policy;
};

struct cof_shelf {
	struct cof_shelf *next; /* shelf_lock */
	uint64_t ino;
	uint64_t below; /* frames below it are in the counters that the index had; fixed */
	_Atomic(struct shelf_policy *) policy;
	atomic_uint_fast64_t bytes, files; /* of the frames applied */
	atomic_uint_fast64_t taken;	   /* bytes, and what requests under way are about to add */
	atomic_bool changed;		   /* since the index has it */
	atomic_bool wrote;		   /* something was appended since the keeper looked */
	int64_t heard;			   /* boot time of that, as far as it knows; 0: it has not looked. Keeper only */
	bool silent;			   /* for longer than its policy allows, and told. Keeper only */
};

const struct cof_policy *cof_shelf_policy(const struct cof_shelf *s)
{
	static const struct cof_policy none = {.durability = COF_DURABLE_ON_SYNC};

	return s ? &atomic_load_explicit(&s->policy, memory_order_acquire)->policy : &none;
}

int cof_shelf_set_policy(struct cof_shelf *s, const struct cof_policy *policy)
{
	struct shelf_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->policy = *policy;
	p->older = atomic_load(&s->policy);
	while (!atomic_compare_exchange_weak(&s->policy, &p->older, p))
		;
	return 0;
}

/* ---- the table ---- */

static void shelf_free(struct cof_shelf *s)
{
	struct shelf_policy *p = s ? atomic_load(&s->policy) : NULL;

	while (p) {
		struct shelf_policy *older = p->older;

		free(p);
		p = older;
	}
	free(s);
}

void cof_shelves_clear(struct cof_archive *a)
{
	pthread_mutex_lock(&a->shelf_lock);
	for (unsigned i = 0; i < COF_COUNT(a->shelves); i++)
		while (a->shelves[i]) {
			struct cof_shelf *s = a->shelves[i];

			a->shelves[i] = s->next;
			shelf_free(s);
		}
	a->beat.all_shelves = false;
	pthread_mutex_unlock(&a->shelf_lock);
}

static struct cof_shelf **bucket_of(struct cof_archive *a, uint64_t ino)
{
	return &a->shelves[ino % COF_COUNT(a->shelves)];
}

static struct cof_shelf *find(struct cof_archive *a, uint64_t ino)
{
	struct cof_shelf *s = *bucket_of(a, ino);

	while (s && s->ino != ino)
		s = s->next;
	return s;
}

/* Takes s; gives the one that is in the table. */
static struct cof_shelf *insert(struct cof_archive *a, struct cof_shelf *s)
{
	struct cof_shelf **bucket = bucket_of(a, s->ino), *there;

	pthread_mutex_lock(&a->shelf_lock);
	there = find(a, s->ino);
	if (!there) {
		s->next = *bucket;
		*bucket = s;
	}
	pthread_mutex_unlock(&a->shelf_lock);
	if (there)
		shelf_free(s);
	return there ? there : s;
}

static int load_policy(struct cof_archive *a, struct cof_shelf *s)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_policy policy;
	int r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, s->ino, "policy", &text));

	cof_policy_default(&policy);
	if (r == 0)
		r = cof_policy_parse((const char *)text.data, text.len, &policy, NULL);
	else if (r == -ENOENT)
		r = 0; /* its SHELF frame is still to come */
	return r < 0 ? r : cof_shelf_set_policy(s, &policy);
}

/* A row that is missing where the index knows the shelf is the index's fault. */
static int load_use(struct cof_archive *a, struct cof_shelf *s, bool is_new)
{
	struct cof_index_use use = {0};
	struct cof_node node;
	int r = cof_ix(a, cof_index_get_use(a->ix, s->ino, &use));

	if (r == -ENOENT && !is_new) {
		r = cof_ix(a, cof_index_get_node(a->ix, COF_INDEX_NOW, s->ino, &node));
		if (r == 0 && node.created_sequence < cof_index_fed(a->ix))
			r = cof_ix(a, -EUCLEAN);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	s->below = use.below;
	atomic_init(&s->bytes, use.bytes);
	atomic_init(&s->taken, use.bytes);
	atomic_init(&s->files, use.files);
	atomic_init(&s->changed, r == -ENOENT || is_new);
	return 0;
}

static int get(struct cof_archive *a, uint64_t ino, bool is_new, struct cof_shelf **ret)
{
	struct cof_shelf *s;
	int r;

	*ret = NULL;
	if (!ino)
		return 0;
	pthread_mutex_lock(&a->shelf_lock);
	s = find(a, ino);
	pthread_mutex_unlock(&a->shelf_lock);
	if (s) {
		*ret = s;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ino = ino;
	r = load_use(a, s, is_new);
	if (r == 0)
		r = load_policy(a, s);
	if (r < 0) {
		shelf_free(s);
		return r;
	}
	*ret = insert(a, s);
	return 0;
}

int cof_shelf_get(struct cof_archive *a, uint64_t ino, struct cof_shelf **ret)
{
	return get(a, ino, false, ret);
}

int cof_shelf_new(struct cof_archive *a, uint64_t ino, struct cof_shelf **ret)
{
	return get(a, ino, true, ret);
}

/* ---- how much it holds ---- */

void cof_shelf_count(struct cof_shelf *s, uint64_t sequence, int64_t bytes, int64_t files,
		     uint64_t reserved)
{
	if (!s)
		return;
	if (sequence >= s->below) {
		atomic_fetch_add(&s->bytes, (uint64_t)bytes);
		atomic_fetch_add(&s->files, (uint64_t)files);
		atomic_fetch_add(&s->taken, (uint64_t)bytes - reserved);
		atomic_store(&s->changed, true);
		if (bytes > 0)
			atomic_store_explicit(&s->wrote, true, memory_order_relaxed);
	} else if (reserved) {
		atomic_fetch_sub(&s->taken, reserved);
	}
}

bool cof_shelf_reserve(struct cof_shelf *s, uint64_t bytes, uint64_t quota)
{
	uint_fast64_t taken;

	if (!s)
		return true;
	taken = atomic_load(&s->taken);
	do {
		if (quota && (taken > quota || bytes > quota - taken))
			return false;
	} while (!atomic_compare_exchange_weak(&s->taken, &taken, taken + bytes));
	return true;
}

void cof_shelf_release(struct cof_shelf *s, uint64_t bytes)
{
	if (s && bytes)
		atomic_fetch_sub(&s->taken, bytes);
}

void cof_shelf_use(const struct cof_shelf *s, uint64_t *ret_bytes, uint64_t *ret_files)
{
	*ret_bytes = s ? atomic_load(&s->taken) : 0;
	*ret_files = s ? atomic_load(&s->files) : 0;
}

/* Nobody applies a frame meanwhile: the index is about to be written as of `below`. */
int cof_shelves_put(struct cof_archive *a, uint64_t below)
{
	int r = 0;

	pthread_mutex_lock(&a->shelf_lock);
	for (unsigned i = 0; i < COF_COUNT(a->shelves) && r == 0; i++)
		for (struct cof_shelf *s = a->shelves[i]; s && r == 0; s = s->next) {
			struct cof_index_use use = {atomic_load(&s->bytes), atomic_load(&s->files),
						    COF_MAX(below, s->below)};

			if (!atomic_load(&s->changed))
				continue;
			r = cof_index_put_use(a->ix, s->ino, &use);
			if (r == 0)
				atomic_store(&s->changed, false);
		}
	pthread_mutex_unlock(&a->shelf_lock);
	return r;
}

/* ---- silence ---- */

/* Once when it has been silent for too long, and once when that ends. */
static void listen_to(struct cof_archive *a, struct cof_shelf *s, int64_t now)
{
	int64_t span = cof_shelf_policy(s)->silence, since = s->heard;
	bool wrote = atomic_exchange(&s->wrote, false), ended = s->silent && wrote;

	if (wrote || !s->heard)
		s->heard = now;
	if (ended)
		s->silent = false;
	if (ended || (span && !s->silent && now - s->heard >= span)) {
		s->silent = !ended;
		cof_silence(a, s->ino, ended, span, now - (ended ? since : s->heard));
	}
}

void cof_shelves_listen(struct cof_archive *a, int64_t now)
{
	struct cof_shelf *all[COF_SHELVES_MAX];
	size_t n = 0;

	pthread_mutex_lock(&a->shelf_lock);
	for (unsigned i = 0; i < COF_COUNT(a->shelves); i++)
		for (struct cof_shelf *s = a->shelves[i]; s && n < COF_COUNT(all); s = s->next)
			all[n++] = s;
	pthread_mutex_unlock(&a->shelf_lock);
	for (size_t i = 0; i < n; i++) /* they stay, inside the gate */
		listen_to(a, all[i], now);
}

/* ---- its frame ---- */

int cof_shelf_frame(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
		    const struct cof_op *op, const uint8_t *request, struct cof_reply *ret)
{
	cof_autobuf struct cof_buf text = {0}, before = {0}, public_part = {0}, private_part = {0};
	const struct cof_policy *old = cof_shelf_policy(o->shelf);
	struct cof_draft d = {.type = COF_SHELF, .object = o->node.ino};
	struct cof_applied on = {.o = o};
	struct cof_policy policy;
	struct cof_append done;
	int r = cof_policy_parse(op->data, op->length, &policy, NULL);

	if (r < 0)
		return -EINVAL;
	r = cof_policy_text(&policy, &text);
	if (r == 0 && op->kind == COF_OP_SHELF_SET)
		r = cof_policy_text(old, &before);
	if (r < 0)
		return r;
	cof_field_put(&public_part, COF_T_POLICY, text.data, text.len);
	if (request)
		cof_field_put(&public_part, COF_T_REQUEST, request, 32);
	cof_field_put_str(&private_part, COF_T_NAME, o->node.name);
	if (public_part.failed || private_part.failed)
		return -ENOMEM;
	d.public_part = public_part.data;
	d.public_len = (uint32_t)public_part.len;
	d.plain = private_part.data;
	d.length = (uint32_t)private_part.len;
	r = cof_actor_use(a, who, false, &d.actor);
	pthread_mutex_lock(&a->rules_lock);
	if (r == 0)
		r = cof_archive_put(a, &d, &on, &done);
	pthread_mutex_unlock(&a->rules_lock);
	if (r < 0)
		return r;
	cof_reply_wrote(ret, &done);
	ret->changed = true;
	if (op->kind == COF_OP_SHELF_SET)
		cof_shelf_changed(a, o, who, (const char *)before.data, (const char *)text.data, request, ret);
	return 0;
}
