/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a killed daemon had counted and not yet written: read from the ledger at the next mount,
 * compared with the log, and written before anything else is acknowledged. Actors of the mount
 * before get frames in this one. Where there is no room for the frames the counts go on in memory
 * and ledger, as they were.
 */
#include <stdio.h>

#include "fs/archive/event.h"
#include "fs/archive/note.h"
#include "fs/archive/show.h"

/* ---- what was being written ---- */

static bool is_frame_of(const struct cof_refused *k, const struct cof_buf *fields)
{
	struct cof_field operation = {0};
	uint64_t n = 0;
	int64_t first = 0, last = 0;

	if (cof_field_u64(fields->data, fields->len, COF_T_COUNT, &n) < 0 ||
	    cof_field_i64(fields->data, fields->len, COF_T_FIRST, &first) < 0 ||
	    cof_field_i64(fields->data, fields->len, COF_T_LAST, &last) < 0)
		return false;
	(void)cof_field_find(fields->data, fields->len, COF_T_OPERATION, &operation);
	return n == k->flight.n && first == k->flight.first && last == k->flight.last &&
	       operation.len == strlen(k->key.operation) &&
	       !memcmp(operation.value ? operation.value : (const uint8_t *)"", k->key.operation,
		       operation.len);
}

static void found(struct cof_archive *a, const struct cof_frame *f, const struct cof_buf *fields)
{
	struct cof_events *e = a->events;

	for (unsigned i = 0; i < COF_KINDS; i++) {
		struct cof_refused *k = &e->kind[i];

		if (!k->used || !k->flight.n || f->sequence < k->flight_from ||
		    !is_frame_of(k, fields))
			continue;
		/* The same moment for two actors of one mount: told apart by their number. */
		if (f->mount == k->mount && f->actor != k->key.actor)
			continue;
		k->flight = (struct cof_tally){0};
		return;
	}
}

/* Of what was in flight, what a frame has; the rest counts again. */
static int settle_flights(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	uint64_t from = UINT64_MAX, address, end = atomic_load(&a->size);
	struct cof_frame f;
	int r = 0;

	for (unsigned i = 0; i < COF_KINDS; i++)
		if (e->kind[i].used && e->kind[i].flight.n)
			from = COF_MIN(from, e->kind[i].flight_from);
	if (from < end)
		r = cof_reader_find(a->reader, from, &address, NULL);
	for (; r == 0 && from < end; from++) {
		cof_autobuf struct cof_buf fields = {0};

		r = cof_reader_header(a->reader, address, &f, NULL, NULL);
		if (r == 0 && f.type == COF_EVENT &&
		    cof_frame_read(a->reader, a->ring, a->conf.id, address, &f, NULL, &fields) == 0)
			found(a, &f, &fields);
		if (r == 0 && from + 1 < end)
			r = cof_show_next(a->reader, &a->conf, address, &f, &address);
	}
	for (unsigned i = 0; i < COF_KINDS; i++) {
		struct cof_refused *k = &e->kind[i];

		if (k->used)
			cof_tally_add(&k->count, k->flight.n, k->flight.first, k->flight.last);
		k->flight = (struct cof_tally){0};
	}
	return r;
}

/* ---- whose they were ---- */

/* The kind under the number that its actor has now. It keeps its place. */
static void adopt(struct cof_archive *a, struct cof_refused *k)
{
	struct cof_events *e = a->events;
	uint16_t i = cof_kind_number(e, k);
	struct cof_refused old = *k;
	struct cof_key key = k->key;

	if (old.mount == a->mount)
		return;
	if (key.actor && cof_actor_adopt(a, old.mount, old.key.actor, &key.actor) < 0)
		key.actor = 0; /* the account is told in words */
	cof_kind_free(e, k);
	k = cof_kind_put(e, i, &key);
	k->mount = a->mount;
	k->error = old.error;
	k->count = old.count;
	k->waiting = old.waiting;
	cof_ledger_kind(a, i);
}

/* ---- all of it ---- */

static void start_anew(struct cof_archive *a)
{
	struct cof_events *e = a->events;

	for (uint16_t i = 0; i < COF_KINDS; i++) {
		if (e->kind[i].used)
			cof_kind_free(e, &e->kind[i]);
		cof_ledger_kind(a, i);
	}
	memset(e->known, 0, sizeof(e->known));
	cof_ledger_all_known(a);
	cof_ledger_clear_names(a, 0);
	cof_ledger_clear_names(a, 1);
	cof_ledger_head(a);
}

static uint64_t carried_over(const struct cof_events *e, unsigned *ret_kinds)
{
	uint64_t sum = 0;

	*ret_kinds = 0;
	for (unsigned i = 0; i < COF_KINDS; i++) {
		*ret_kinds += e->kind[i].used;
		sum += e->kind[i].used ? e->kind[i].count.n : 0;
	}
	return sum;
}

/* Names that wait are in both halves; from here on they are in one again. */
static void rewrite_names(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	size_t at = 0;

	cof_ledger_clear_names(a, 0);
	cof_ledger_clear_names(a, 1);
	for (size_t i = 0; i < e->n_names; i++) {
		cof_ledger_name(a, e->half, at, &e->names[i]);
		at += cof_ledger_name_bytes(&e->names[i]);
	}
}

static int resume(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	unsigned damaged = 0, kinds;
	uint64_t sum;
	int r = cof_ledger_load(a, &damaged);

	if (r == 0)
		r = settle_flights(a);
	if (damaged || r < 0) {
		char text[256];

		snprintf(text, sizeof(text),
			 "%.150s/refusals is damaged (%s): refusals before the last kill may be missing.",
			 cof_io_where(a->io), r < 0 ? strerror(-r) : "a check does not fit");
		(void)cof_event_emit(
		    a, &(struct cof_event){.type = "refusals-damaged", .detail = text}, NULL);
		cof_fault_note(a, text);
	}
	sum = carried_over(e, &kinds);
	if (!kinds) { /* it ended as it should */
		start_anew(a);
		return 0;
	}
	for (unsigned i = 0; i < COF_KINDS; i++)
		if (e->kind[i].used)
			adopt(a, &e->kind[i]);
	if (!sum && !e->n_names)
		return 0;
	e->names_since = 0;
	cof_events_write(a, true);
	if (e->n_names)
		rewrite_names(a);
	/* As the recovery itself: nothing is acknowledged before this cannot be lost again. */
	return cof_log_sync(a->log, atomic_load(&a->size) - 1);
}

int cof_events_resume(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	bool fresh = false;
	int r;

	if (!a->log)
		return 0; /* read-only: whoever mounts it writable finds it */
	r = cof_ledger_open(a, &e->ledger, &fresh);
	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0) {
		cof_alarm(a,
			  "%s/refusals cannot be used (%s): a kill would lose refusals that are "
			  "not in the "
			  "log yet.",
			  cof_io_where(a->io), strerror(-r));
		return 0;
	}
	if (!fresh)
		return resume(a);
	start_anew(a);
	return 0;
}
