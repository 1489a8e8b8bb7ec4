/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That somebody records is on record too: a HEARTBEAT frame whenever nothing else was written for a period, so
 * that a longer interval between two frames of a mount is one without a recorder. The daemon that finds out
 * that it was stopped, or slept with its host, says so; and shelves whose source has fallen silent are told of.
 */
#include <stdio.h>

#include "fs/archive/import.h"
#include "fs/archive/note.h"
#include "fs/archive/show.h"

#define PERIOD (60 * COF_NSEC)

int64_t cof_heartbeat_period(const struct cof_archive *a)
{
	if (a->p.heartbeat)
		return COF_MAX(a->p.heartbeat, (int64_t)0);
	return a->p.no_threads ? 0 : PERIOD;
}

/* ---- silent sources ---- */

static int meet(void *archive, uint64_t cookie COF_UNUSED, const char *name COF_UNUSED, size_t len COF_UNUSED,
		uint64_t ino, uint8_t kind COF_UNUSED)
{
	struct cof_shelf *s;

	return cof_shelf_get(archive, ino, &s);
}

void cof_silence(struct cof_archive *a, uint64_t ino, bool ended, int64_t span, int64_t length)
{
	cof_autobuf struct cof_buf path = {0};
	int64_t now = cof_now(CLOCK_REALTIME);
	char text[128], limit[32], was[32];
	struct cof_event e = {.type = ended ? COF_EV_SILENCE_ENDED : COF_EV_SILENCE,
			      .object = ino,
			      .detail = text,
			      .count = 1,
			      .first = now - length,
			      .last = now};

	cof_duration_text(length, was);
	cof_span_text(span, limit);
	snprintf(text, sizeof(text), ended ? "something was appended again, after %s" : "nothing was appended for %s; its policy says silence = %s",
		 was, limit);
	if (cof_show_index_path(a->ix, COF_INDEX_NOW, ino, &path) == 0)
		e.path = (const char *)path.data;
	(void)cof_event_emit(a, &e, NULL); /* told also when it cannot be recorded */
}

static void listen_to_all(struct cof_archive *a, int64_t now)
{
	/* In the table is who was met; what cannot be read now is met the next time. */
	if (!a->beat.all_shelves)
		a->beat.all_shelves = cof_index_readdir(a->ix, COF_INDEX_NOW, COF_ROOT_INO, 0, meet, a) == 0;
	cof_shelves_listen(a, now);
	cof_imports_listen(a, now);
}

/* ---- the recorder itself ---- */

/* It looks twice a second: who was away for two periods may have missed anything. */
static void tell_gap(struct cof_archive *a, int64_t now, int64_t period)
{
	int64_t away = a->beat.ticked ? now - a->beat.ticked : 0, wall = cof_now(CLOCK_REALTIME);
	char text[128], was[32];
	const struct cof_event e = {
	    .type = COF_EV_GAP, .detail = text, .count = 1, .first = wall - away, .last = wall};

	if (away < 2 * period)
		return;
	cof_duration_text(away, was);
	snprintf(text, sizeof(text), "the daemon did not run for %s: it was stopped, or the host slept", was);
	(void)cof_event_emit(a, &e, NULL);
}

static void beat(struct cof_archive *a, int64_t now, int64_t period)
{
	struct cof_draft d = {.type = COF_HEARTBEAT, .system = true};
	struct cof_log_status st;

	cof_log_status(a->log, &st);
	if (st.size == a->beat.size && now - a->beat.at < period)
		return;
	/* Where there is no room for it nothing else is recorded either, and that is told already. */
	if (st.size == a->beat.size && cof_events_room(a) && cof_archive_put(a, &d, NULL, NULL) == 0)
		st.size++;
	a->beat.size = st.size;
	a->beat.at = now;
}

void cof_heartbeat_tick(struct cof_archive *a, int64_t now)
{
	int64_t period = cof_heartbeat_period(a);

	if (period) {
		tell_gap(a, now, period);
		beat(a, now, period);
	}
	a->beat.ticked = now;
	listen_to_all(a, now);
}
