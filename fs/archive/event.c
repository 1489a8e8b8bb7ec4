/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals on record. The first of a kind (actor, operation, object or name, rule) is written at
 * once; repeats are counted and written every ten seconds and at the end, with their number and the
 * first and last time.
 *
 * A flood costs bounded memory and bounded log: what finds no place among the exact kinds is
 * counted by actor and rule, what finds none there by rule, and what finds none there in one place.
 * The sum of all counts on record, and of those that still wait, is the number of refusals.
 */
#include <stdio.h>

#include "fs/archive/show.h"

#define EXACT 128   /* kinds told apart; as many new ones between two flushes */
#define EXACT_BY 32 /* of which one actor may take so many */
#define BY_ACTOR 64
#define BY_RULE 32
#define PLACES (EXACT + BY_ACTOR + BY_RULE + 1)
#define PATH_KEPT 1024 /* bytes of a path that are kept for the repeats */

enum scope { SCOPE_EXACT, SCOPE_ACTOR, SCOPE_RULE, SCOPE_ALL };
static const struct {
	unsigned first, n;
} scopes[] = {
    [SCOPE_EXACT] = {0, EXACT},
    [SCOPE_ACTOR] = {EXACT, BY_ACTOR},
    [SCOPE_RULE] = {EXACT + BY_ACTOR, BY_RULE},
    [SCOPE_ALL] = {EXACT + BY_ACTOR + BY_RULE, 1},
};

struct key { /* zero what the scope does not tell apart */
	uint32_t actor, uid;
	uint32_t operation;
	uint64_t object, parent, name; /* name: a hash */
	const char *rule;              /* static text */
};

struct kind {
	bool used, busy; /* busy: its frame is being written; it stays where it is */
	struct key key;
	int error;
	const char *reason; /* static text; NULL: several */
	char *path;         /* NULL: several, or not known */
	uint64_t count;     /* not yet on record */
	int64_t first, last;
};

struct cof_events {
	pthread_mutex_t lock; /* a leaf: nothing is called while it is held */
	unsigned admitted;    /* exact kinds since the last flush */
	struct kind kind[PLACES];
};

int cof_events_new(struct cof_events **ret)
{
	struct cof_events *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	*ret = e;
	return 0;
}

void cof_events_free(struct cof_events *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < PLACES; i++)
		free(e->kind[i].path);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* ---- frames ---- */

struct event { /* strings may be NULL, numbers 0: not written */
	const char *event, *operation, *path, *reason, *detail;
	int error;
	uint64_t object, count;
	uint32_t actor;
	int64_t first, last;
};

/* On a full disk the end of the reserve belongs to the last events, UNMOUNT and its checkpoint. */
static bool has_room(struct cof_archive *a)
{
	struct cof_log_status st;
	uint64_t left;

	if (!a->log || atomic_load(&a->failed))
		return false;
	if (a->closing)
		return true;
	cof_log_status(a->log, &st);
	left = a->conf.segment_size - st.end_address % a->conf.segment_size;
	return !st.out_of_space || left > COF_MIN((uint64_t)128 << 10, a->conf.segment_size / 16);
}

static int put(struct cof_archive *a, const struct event *e)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {
	    .type = COF_EVENT, .object = e->object, .actor = e->actor, .system = true};

	if (!has_room(a))
		return -ENOSPC;
	cof_field_put_str(&fields, COF_T_EVENT, e->event);
	if (e->operation)
		cof_field_put_str(&fields, COF_T_OPERATION, e->operation);
	if (e->error)
		cof_field_put_u32(&fields, COF_T_ERRNO, (uint32_t)-e->error);
	if (e->path)
		cof_field_put_str(&fields, COF_T_PATH, e->path);
	if (e->reason)
		cof_field_put_str(&fields, COF_T_REASON, e->reason);
	if (e->count) {
		cof_field_put_u64(&fields, COF_T_COUNT, e->count);
		cof_field_put_i64(&fields, COF_T_FIRST, e->first);
		cof_field_put_i64(&fields, COF_T_LAST, e->last);
	}
	if (e->detail)
		cof_field_put_str(&fields, COF_T_DETAIL, e->detail);
	d.plain = fields.data;
	d.length = (uint32_t)fields.len;
	return fields.failed ? -ENOMEM : cof_archive_put(a, &d, NULL, NULL);
}

int cof_event_put(struct cof_archive *a, const char *event, const char *detail)
{
	struct event e = {.event = event, .detail = detail};

	return put(a, &e);
}

/* One kind as it is at the moment; of the object, only what the kind tells apart. */
static int put_kind(struct cof_archive *a, const struct kind *k, enum scope scope)
{
	char detail[128];
	struct event e = {
	    .event = "refused",
	    .operation = scope == SCOPE_EXACT ? cof_op_name(k->key.operation) : NULL,
	    .error = k->error,
	    .path = k->path,
	    .reason = k->reason,
	    .detail = detail,
	    .object = k->key.object,
	    .actor = k->key.actor,
	    .count = k->count,
	    .first = k->first,
	    .last = k->last,
	};

	switch (scope) {
	case SCOPE_EXACT:
		snprintf(detail, sizeof(detail), "rule %s", k->key.rule);
		break;
	case SCOPE_ACTOR:
		snprintf(detail, sizeof(detail),
			 "rule %s, uid %u; too many different ones to tell apart", k->key.rule,
			 k->key.uid);
		break;
	case SCOPE_RULE:
		snprintf(detail, sizeof(detail),
			 "rule %s; too many different ones to tell apart, by too many",
			 k->key.rule);
		break;
	default:
		snprintf(detail, sizeof(detail),
			 "too many different ones to tell apart, under several rules");
	}
	return put(a, &e);
}

/* ---- what was refused ---- */

static uint64_t hash_name(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; s && *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
	return h;
}

static bool by_name(enum cof_op_kind kind)
{
	switch (kind) {
	case COF_OP_CREATE:
	case COF_OP_UNLINK:
	case COF_OP_RMDIR:
	case COF_OP_RENAME:
	case COF_OP_LINK:
	case COF_OP_MKNOD:
		return true;
	default:
		return false;
	}
}

/* "audit/a.log", for a rename "audit/a.log -> audit/b.log"; NULL when it cannot be said. */
static char *name_of(struct cof_archive *a, const struct cof_op *op)
{
	cof_autobuf struct cof_buf text = {0}, to = {0};
	uint64_t dir = by_name(op->kind) ? op->parent : op->ino;
	int r = cof_show_index_path(a->ix, COF_INDEX_NOW, dir, &text);
	char *out;

	if (r == 0 && by_name(op->kind) && op->name)
		cof_buf_printf(&text, "%s%s", text.len ? "/" : "", op->name);
	if (r == 0 && op->kind == COF_OP_RENAME && op->new_name) {
		r = cof_show_index_path(a->ix, COF_INDEX_NOW, op->new_parent, &to);
		if (r == 0)
			cof_buf_printf(&text, " -> %s%s%s", to.len ? (char *)to.data : "",
				       to.len ? "/" : "", op->new_name);
		r = 0;
	}
	if (r < 0 || text.failed)
		return NULL;
	out = text.len ? strndup((char *)text.data, PATH_KEPT) : strdup("/");
	return out;
}

static bool same(const struct key *a, const struct key *b)
{
	return a->actor == b->actor && a->uid == b->uid && a->operation == b->operation &&
	       a->object == b->object && a->parent == b->parent && a->name == b->name &&
	       a->rule == b->rule;
}

static struct key key_of(enum scope scope, uint32_t actor, const struct cof_who *who,
			 const struct cof_op *op, const struct cof_ruling *rl)
{
	struct key k = {0};

	if (scope == SCOPE_ALL)
		return k;
	k.rule = rl->rule ? rl->rule : "";
	if (scope == SCOPE_RULE)
		return k;
	k.actor = actor;
	k.uid = who->uid;
	if (scope == SCOPE_ACTOR)
		return k;
	k.operation = op->kind;
	k.object = op->ino;
	if (by_name(op->kind)) {
		k.parent = op->parent;
		k.name = hash_name(op->name);
		/* The path on record names both ends: another target is another kind. */
		if (op->kind == COF_OP_RENAME)
			k.name = (k.name * 31 + hash_name(op->new_name)) * 31 + op->new_parent;
	}
	return k;
}

/* ---- finding a place; lock held ---- */

static struct kind *find(struct cof_events *e, enum scope scope, const struct key *key)
{
	struct kind *k = &e->kind[scopes[scope].first];

	for (unsigned i = 0; i < scopes[scope].n; i++)
		if (k[i].used && same(&k[i].key, key))
			return &k[i];
	return NULL;
}

static struct kind *take(struct cof_events *e, enum scope scope, const struct key *key)
{
	struct kind *k = &e->kind[scopes[scope].first], *place = NULL;
	unsigned of_actor = 0;

	for (unsigned i = 0; i < scopes[scope].n; i++) {
		if (!k[i].used && !place)
			place = &k[i];
		else if (k[i].used && k[i].key.actor == key->actor && k[i].key.uid == key->uid)
			of_actor++;
	}
	if (scope == SCOPE_EXACT && (of_actor >= EXACT_BY || e->admitted >= EXACT))
		return NULL;
	if (place) {
		*place = (struct kind){.used = true, .key = *key};
		e->admitted += scope == SCOPE_EXACT;
	}
	return place;
}

static void count(struct kind *k, uint64_t n, int64_t first, int64_t last)
{
	if (!k->count || first < k->first)
		k->first = first;
	if (!k->count || last > k->last)
		k->last = last;
	k->count += n;
}

/* Counts it where there is room for it. *ret_new: the kind is new; if exact it is busy and to be
 * written. */
static struct kind *place(struct cof_events *e, uint32_t actor, const struct cof_who *who,
			  const struct cof_op *op, const struct cof_ruling *rl, int64_t now,
			  bool *ret_new, enum scope *ret_scope)
{
	for (enum scope scope = SCOPE_EXACT; scope <= SCOPE_ALL; scope++) {
		struct key key = key_of(scope, actor, who, op, rl);
		struct kind *k = find(e, scope, &key);

		*ret_new = !k;
		if (!k)
			k = take(e, scope, &key);
		if (!k)
			continue;
		if (*ret_new) {
			k->error = rl->error;
			k->reason = scope == SCOPE_ALL ? NULL : rl->reason;
			k->busy = scope == SCOPE_EXACT;
		}
		count(k, 1, now, now);
		*ret_scope = scope;
		return k;
	}
	return NULL; /* not reached: the last scope has one place, and one key */
}

/* ---- recording ---- */

/* An actor that is not known yet gets a frame only while there is room to tell it apart. */
static uint32_t actor_of(struct cof_archive *a, const struct cof_who *who)
{
	struct cof_events *e = a->events;
	uint32_t actor = 0;
	bool room;

	if (!a->log || cof_actor_known(a, who, &actor) == 0)
		return actor;
	pthread_mutex_lock(&e->lock);
	room = e->admitted < EXACT;
	pthread_mutex_unlock(&e->lock);
	if (!room || !has_room(a) || cof_actor_use(a, who, true, &actor) < 0)
		return 0;
	return actor;
}

/* Takes what k counts so far and keeps k in its place until settled. Lock held. */
static struct kind begin(struct kind *k)
{
	struct kind copy = *k;

	k->busy = true;
	k->count = 0;
	if (k->path)
		copy.path = strdup(k->path);
	return copy;
}

/* What could not be written counts again. Lock held. */
static void settle(struct kind *k, const struct kind *written, int err)
{
	k->busy = false;
	if (err < 0)
		count(k, written->count, written->first, written->last);
}

static void record_first(struct cof_archive *a, struct kind *k, const struct cof_op *op)
{
	struct cof_events *e = a->events;
	char *path = name_of(a, op); /* before the lock: it asks the index */
	struct kind copy;
	int err;

	pthread_mutex_lock(&e->lock);
	k->path = path;
	copy = begin(k);
	pthread_mutex_unlock(&e->lock);
	err = put_kind(a, &copy, SCOPE_EXACT);
	free(copy.path);
	pthread_mutex_lock(&e->lock);
	settle(k, &copy, err);
	pthread_mutex_unlock(&e->lock);
}

static void alarm_first(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
			const struct cof_ruling *rl, enum scope scope)
{
	cof_autofree char *path = a->p.alarm && scope == SCOPE_EXACT ? name_of(a, op) : NULL;

	if (scope != SCOPE_EXACT)
		cof_alarm(a,
			  "Very many refusals (uid %u, thread %u, rule %s): from here on they are "
			  "counted "
			  "together.",
			  who->uid, who->pid, rl->rule ? rl->rule : "");
	else
		cof_alarm(a, "Refused: %s of %s by uid %u (thread %u). %s", cof_op_name(op->kind),
			  path ? path : "a file", who->uid, who->pid, rl->reason ? rl->reason : "");
}

void cof_event_refused(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op,
		       const struct cof_ruling *rl)
{
	struct cof_events *e = a->events;
	int64_t now = cof_now(CLOCK_REALTIME);
	uint32_t actor = actor_of(a, who);
	enum scope scope = SCOPE_ALL;
	struct kind *k;
	bool is_new;

	atomic_fetch_add(&a->refused, 1);
	pthread_mutex_lock(&e->lock);
	k = place(e, actor, who, op, rl, now, &is_new, &scope);
	pthread_mutex_unlock(&e->lock);
	if (!is_new)
		return;
	if (scope == SCOPE_EXACT)
		record_first(a, k, op);
	alarm_first(a, who, op, rl, scope);
}

static int flush_one(struct cof_archive *a, struct kind *k, enum scope scope)
{
	struct cof_events *e = a->events;
	struct kind copy;
	int err;

	pthread_mutex_lock(&e->lock);
	if (!k->used || k->busy || !k->count) {
		if (k->used &&
		    !k->busy) { /* nothing since the last flush: it would be a first again */
			free(k->path);
			*k = (struct kind){0};
		}
		pthread_mutex_unlock(&e->lock);
		return 0;
	}
	copy = begin(k);
	pthread_mutex_unlock(&e->lock);
	err = put_kind(a, &copy, scope);
	free(copy.path);
	pthread_mutex_lock(&e->lock);
	settle(k, &copy, err);
	pthread_mutex_unlock(&e->lock);
	return err;
}

void cof_events_flush(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	uint64_t lost = 0;

	pthread_mutex_lock(&e->lock);
	e->admitted = 0;
	pthread_mutex_unlock(&e->lock);
	for (enum scope scope = SCOPE_EXACT; scope <= SCOPE_ALL; scope++)
		for (unsigned i = 0; i < scopes[scope].n; i++)
			(void)flush_one(a, &e->kind[scopes[scope].first + i], scope);
	if (!a->closing)
		return; /* what could not be written is tried again */
	pthread_mutex_lock(&e->lock);
	for (unsigned i = 0; i < PLACES; i++)
		lost += e->kind[i].count;
	pthread_mutex_unlock(&e->lock);
	if (lost)
		cof_alarm(a, "%llu refusals could not be recorded before the end.",
			  (unsigned long long)lost);
}
