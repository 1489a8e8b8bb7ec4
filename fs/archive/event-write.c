/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of refusals: sums of kinds, and lists of names. A sum moves from count to flight, the
 * ledger is synced, the frame is written, flight is emptied: wherever that is cut, the next mount
 * finds out what was written.
 */
#include "fs/archive/event.h"
#include "fs/archive/note.h"

#define WAIT_MOST (640 * COF_NSEC)
#define NAMES_WAIT (60 * COF_NSEC)
#define NAMES_OF_FRAME 49152
#define FRAME_COST 290 /* of a sum without names */

void cof_names_free(struct cof_name *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i].path);
	free(names);
}

/* ---- frames ---- */

/* On a full disk the end of the reserve belongs to the last events, UNMOUNT and its checkpoint. */
bool cof_events_room(struct cof_archive *a)
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

static int put(struct cof_archive *a, uint64_t object, uint32_t actor, const struct cof_buf *fields)
{
	struct cof_draft d = {.type = COF_EVENT,
			      .object = object,
			      .actor = actor,
			      .system = true,
			      .plain = fields->data,
			      .length = (uint32_t)fields->len};

	if (fields->failed)
		return -ENOMEM;
	return cof_events_room(a) ? cof_archive_put(a, &d, NULL, NULL) : -ENOSPC;
}

int cof_event_put_fields(struct cof_archive *a, uint64_t object, uint32_t actor, const struct cof_buf *fields)
{
	return put(a, object, actor, fields);
}

static void put_detail(struct cof_buf *fields, const struct cof_refused *k)
{
	cof_autobuf struct cof_buf text = {0};

	switch (k->key.scope) {
	case COF_SCOPE_EXACT:
		cof_buf_printf(&text, "rule %s", k->key.rule);
		if (!k->key.actor)
			cof_buf_printf(&text, ", uid %u", k->key.uid);
		break;
	case COF_SCOPE_UID:
		cof_buf_printf(&text, "rule %s, uid %u; too many different ones to tell apart",
			       k->key.rule, k->key.uid);
		break;
	case COF_SCOPE_RULE:
		cof_buf_printf(&text, "rule %s; too many different ones to tell apart, by too many",
			       k->key.rule);
		break;
	default:
		cof_buf_printf(&text, "too many different ones to tell apart, under several rules");
	}
	if (k->unlisted)
		cof_buf_printf(&text, "; %llu names were too many to list",
			       (unsigned long long)k->unlisted);
	if (text.failed)
		fields->failed = true;
	else
		cof_field_put(fields, COF_T_DETAIL, text.data, text.len);
}

/* object u64, time i64, shared u16: bytes that are those of the name before, rest of the name */
static void put_name(struct cof_buf *fields, const struct cof_name *n, const char *before)
{
	uint8_t value[18 + COF_REFUSED_NAME];
	size_t shared = 0, rest;

	while (before && before[shared] && before[shared] == n->path[shared])
		shared++;
	rest = strlen(n->path + shared);
	cof_put_le64(value, n->object);
	cof_put_le64(value + 8, (uint64_t)n->time);
	cof_put_le16(value + 16, (uint16_t)shared);
	memcpy(value + 18, n->path + shared, COF_MIN(rest, COF_REFUSED_NAME));
	cof_field_put(fields, COF_T_NAMES, value, 18 + COF_MIN(rest, COF_REFUSED_NAME));
}

/* The sum (of flight, as it was copied) and the names from *at on that are of kind number i; as
 * many as fit. */
int cof_kind_write(struct cof_archive *a, const struct cof_refused *k, bool first, uint16_t number,
		   const struct cof_name *names, size_t n, size_t *at)
{
	cof_autobuf struct cof_buf fields = {0};
	size_t most = COF_MIN((size_t)NAMES_OF_FRAME, cof_log_max_length(a->log) / 2), i;
	const char *before = NULL;

	/* What the leak guard reported and let through is counted here too, beyond what it tells one by one. */
	cof_field_put_str(&fields, COF_T_EVENT, k->error ? "refused" : "leak");
	if (k->key.operation[0])
		cof_field_put_str(&fields, COF_T_OPERATION, k->key.operation);
	if (k->error)
		cof_field_put_u32(&fields, COF_T_ERRNO, (uint32_t)-k->error);
	if (k->path)
		cof_field_put_str(&fields, COF_T_PATH, k->path);
	if (first && k->reason)
		cof_field_put_str(&fields, COF_T_REASON, k->reason);
	cof_field_put_u64(&fields, COF_T_COUNT, k->flight.n);
	if (k->flight.n) {
		cof_field_put_i64(&fields, COF_T_FIRST, k->flight.first);
		cof_field_put_i64(&fields, COF_T_LAST, k->flight.last);
	}
	put_detail(&fields, k);
	cof_event_put_meaning(&fields, "refused");
	for (i = *at; i < n && fields.len < most; i++) {
		if (names[i].kind != number)
			continue;
		put_name(&fields, &names[i], before);
		before = names[i].path;
	}
	*at = i;
	return put(a, k->object, k->mount == a->mount ? k->key.actor : 0, &fields);
}

/* ---- flushing ---- */

/* Lock held. What could not be written counts again. */
void cof_kind_settle(struct cof_archive *a, struct cof_refused *k, int err)
{
	struct cof_tally none = {0};

	k->busy = false;
	if (err < 0)
		cof_tally_add(&k->count, k->flight.n, k->flight.first, k->flight.last);
	k->flight = none;
	cof_ledger_kind(a, cof_kind_number(a->events, k));
}

/* A copy to write from, without the lock. Lock held. */
struct cof_refused cof_kind_copy(const struct cof_refused *k)
{
	struct cof_refused copy = *k;

	copy.path = k->path ? strdup(k->path) : NULL;
	return copy;
}

struct round { /* of one flush */
	struct cof_name *names;
	size_t n, bytes;
	unsigned half;
	int64_t now;
	bool all, with_names, sums;
	struct cof_refused copy[COF_KINDS];
	bool chosen[COF_KINDS];
};

static bool chosen(struct cof_archive *a, struct round *r, struct cof_refused *k)
{
	bool names = r->with_names && k->waiting;

	if (!k->used || k->busy)
		return false;
	if (!names && !r->all && k->due > r->now)
		return false;
	if (!names && !k->count.n) {
		/* Quiet for a while: the next one is a first again. */
		if (!k->pins && !k->waiting) {
			uint16_t i = cof_kind_number(a->events, k);

			cof_kind_free(a->events, k);
			cof_ledger_kind(a, i);
		}
		return false;
	}
	return cof_budget_take(a->events, FRAME_COST, 0) || a->closing || names;
}

/* Lock held. */
static void begin(struct cof_archive *a, struct round *r)
{
	struct cof_events *e = a->events;

	r->with_names = e->n_names && (r->all || r->now - e->names_since >= NAMES_WAIT);
	for (unsigned i = 0; i < COF_KINDS; i++) {
		struct cof_refused *k = &e->kind[i];

		r->chosen[i] = chosen(a, r, k);
		if (!r->chosen[i])
			continue;
		k->busy = true;
		k->flight = k->count;
		k->count = (struct cof_tally){0};
		k->flight_from = atomic_load(&a->size);
		cof_ledger_kind(a, (uint16_t)i);
		r->sums = r->sums || k->flight.n;
		r->copy[i] = cof_kind_copy(k);
		k->unlisted = 0;
	}
	if (!r->with_names)
		return;
	for (unsigned i = 0; i < COF_KINDS; i++) {
		e->kind[i].waiting = e->kind[i].last = 0;
		if (!r->chosen[i] &&
		    e->kind[i].used) /* its first is being written: without a sum */
			r->copy[i] = (struct cof_refused){.used = true,
							  .mount = e->kind[i].mount,
							  .key = e->kind[i].key,
							  .error = e->kind[i].error};
	}
	r->names = e->names;
	r->n = e->n_names;
	r->bytes = e->names_bytes;
	r->half = e->half;
	e->names = NULL;
	e->n_names = e->max_names = e->names_bytes = 0;
	e->half = !e->half;
}

/* One kind's sum with its names, in as many frames as it takes; the sum is in the first. */
static int write_kind(struct cof_archive *a, struct round *r, uint16_t i)
{
	struct cof_refused *k = &r->copy[i];
	size_t at = 0;
	int err;

	while (at < r->n && r->names[at].kind != i)
		at++;
	if (!r->chosen[i] && at == r->n)
		return 0;
	err = cof_kind_write(a, k, false, i, r->names, r->n, &at);
	k->flight = (struct cof_tally){0};
	k->unlisted = 0;
	while (err == 0) {
		while (at < r->n && r->names[at].kind != i)
			at++;
		if (at == r->n || cof_kind_write(a, k, false, i, r->names, r->n, &at) < 0)
			break; /* names only: the sum is on record */
	}
	return err;
}

/* Lock held. Names whose frame could not be written wait again. */
static void keep_names(struct cof_archive *a, struct round *r, uint16_t i)
{
	struct cof_events *e = a->events;

	for (size_t n = 0; n < r->n; n++) {
		size_t at = e->names_bytes;
		struct cof_name *name = &r->names[n];

		if (name->kind != i || !e->kind[i].used ||
		    !cof_name_wait(e, &e->kind[i], name->object, name->time, name->path))
			continue;
		name->path = NULL;
		name->kind = COF_KIND_NONE;
		cof_ledger_name(a, e->half, at, &e->names[e->n_names - 1]);
	}
}

static void end_kind(struct cof_archive *a, struct round *r, uint16_t i, int err)
{
	struct cof_refused *k = &a->events->kind[i];

	pthread_mutex_lock(&a->events->lock);
	if (r->chosen[i]) {
		cof_kind_settle(a, k, err);
		k->wait = k->wait ? COF_MIN(2 * k->wait, WAIT_MOST) : COF_WAIT_FIRST;
		k->due = r->now + k->wait;
	}
	if (err < 0)
		keep_names(a, r, i);
	pthread_mutex_unlock(&a->events->lock);
	free(r->copy[i].path);
}

void cof_events_write(struct cof_archive *a, bool all)
{
	struct cof_events *e = a->events;
	struct round *r = calloc(1, sizeof(*r));

	if (!r)
		return; /* it all waits for the next time */
	r->all = all;
	pthread_mutex_lock(&e->flush_lock);
	r->now = cof_now(CLOCK_BOOTTIME);
	pthread_mutex_lock(&e->lock);
	begin(a, r);
	pthread_mutex_unlock(&e->lock);
	if (r->sums)
		cof_ledger_sync(a);
	for (uint16_t i = 0; i < COF_KINDS; i++)
		if (r->copy[i].used)
			end_kind(a, r, i, write_kind(a, r, i));
	pthread_mutex_lock(&e->lock);
	if (r->with_names)
		cof_ledger_clear_names(a, r->half);
	if (r->sums || r->with_names)
		cof_ledger_head(a);
	pthread_mutex_unlock(&e->lock);
	pthread_mutex_unlock(&e->flush_lock);
	cof_names_free(r->names, r->n);
	free(r);
}

void cof_events_due(struct cof_archive *a)
{
	cof_events_write(a, false);
}

void cof_events_flush(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	uint64_t lost = 0;

	cof_events_write(a, true);
	if (!a->closing)
		return; /* what could not be written is tried again */
	pthread_mutex_lock(&e->lock);
	for (uint16_t i = 0; i < COF_KINDS; i++) {
		if (!e->kind[i].used)
			continue;
		lost += e->kind[i].count.n;
		if (e->kind[i].count.n)
			continue;
		cof_kind_free(e, &e->kind[i]);
		cof_ledger_kind(a, i);
	}
	pthread_mutex_unlock(&e->lock);
	if (lost)
		cof_alarm(a, "%llu refusals could not be recorded before the end%s.",
			  (unsigned long long)lost,
			  e->ledger ? "; the next mount records them" : "");
}
