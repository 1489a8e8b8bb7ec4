/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to openers: kept in short, and written as EVENT frames by the next mount. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "fs/archive/auditor.h"
#include "fs/archive/door.h"
#include "fs/archive/envelope.h"
#include "fs/archive/note.h"
#include "fs/archive/keys-seal.h"

#define UNKNOWN UINT32_MAX

/* ---- one ---- */

static uint32_t login_uid(void)
{
	cof_autoclose int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	char text[16] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned long long v;
	char *end;

	if (n <= 0)
		return UNKNOWN;
	v = strtoull(text, &end, 10);
	return end == text || v > UINT32_MAX ? UNKNOWN : (uint32_t)v;
}

struct cof_opener_event cof_opener_event_now(enum cof_opener_what what)
{
	int64_t now = cof_now(CLOCK_REALTIME);
	struct cof_opener_event e = {.what = (uint8_t)what,
				     .count = 1,
				     .uid = getuid(),
				     .login = login_uid(),
				     .first = now,
				     .last = now};

	snprintf(e.command, sizeof(e.command), "%s", program_invocation_short_name);
	return e;
}

size_t cof_opener_event_store(const struct cof_opener_event *e,
			      uint8_t out[COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND])
{
	size_t n = strnlen(e->command, COF_OPENER_COMMAND);

	out[0] = e->what;
	out[1] = e->how;
	out[2] = e->kind;
	out[3] = e->sets;
	cof_put_le32(out + 4, e->n);
	cof_put_le32(out + 8, e->count);
	cof_put_le32(out + 12, e->uid);
	cof_put_le32(out + 16, e->login);
	cof_put_le32(out + 20, e->pcrs);
	cof_put_le64(out + 24, (uint64_t)e->first);
	cof_put_le64(out + 32, (uint64_t)e->last);
	memcpy(out + COF_OPENER_EVENT_LEN, e->command, n);
	return COF_OPENER_EVENT_LEN + n;
}

int cof_opener_event_load(const uint8_t *p, size_t n, struct cof_opener_event *ret)
{
	struct cof_opener_event e = {0};

	if (n < COF_OPENER_EVENT_LEN || n > COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND ||
	    memchr(p + COF_OPENER_EVENT_LEN, 0, n - COF_OPENER_EVENT_LEN))
		return -EUCLEAN;
	e.what = p[0];
	e.how = p[1];
	e.kind = p[2];
	e.sets = p[3];
	e.n = cof_get_le32(p + 4);
	e.count = cof_get_le32(p + 8);
	e.uid = cof_get_le32(p + 12);
	e.login = cof_get_le32(p + 16);
	e.pcrs = cof_get_le32(p + 20);
	e.first = (int64_t)cof_get_le64(p + 24);
	e.last = (int64_t)cof_get_le64(p + 32);
	memcpy(e.command, p + COF_OPENER_EVENT_LEN, n - COF_OPENER_EVENT_LEN);
	*ret = e;
	return 0;
}

/* ---- a list of them ---- */

static bool repeats(const struct cof_opener_event *a, const struct cof_opener_event *b)
{
	return a->what == b->what && (a->what == COF_OPENER_FAILED || a->what == COF_OPENER_REFUSED) &&
	       a->how == b->how && a->kind == b->kind && a->uid == b->uid && a->login == b->login &&
	       !strcmp(a->command, b->command);
}

static void merge(struct cof_opener_event *into, const struct cof_opener_event *e)
{
	into->count = into->count > UINT32_MAX - e->count ? UINT32_MAX : into->count + e->count;
	into->first = COF_MIN(into->first, e->first);
	into->last = COF_MAX(into->last, e->last);
}

/* Of all sorts: how many there were, and between when and when, is what stays. */
static void merge_all(struct cof_opener_event *into, const struct cof_opener_event *e)
{
	bool same = into->what == e->what;

	merge(into, e);
	into->uid = into->login = UNKNOWN;
	into->command[0] = '\0';
	into->how = same && into->how == e->how ? into->how : COF_HOW_PLAIN;
	if (same && into->kind == e->kind && into->n == e->n)
		return;
	into->kind = into->sets = 0;
	into->n = into->pcrs = 0;
	into->what = same ? into->what : COF_OPENER_MORE;
}

void cof_opener_events_add(struct cof_opener_events *l, const struct cof_opener_event *e)
{
	struct cof_opener_event *last = l->n ? &l->event[l->n - 1] : NULL;

	if (last && repeats(last, e)) {
		merge(last, e);
		return;
	}
	if (l->n < COF_OPENER_EVENTS) {
		l->event[l->n++] = *e;
		return;
	}
	for (size_t i = l->n; i-- > 0;) {
		if (l->event[i].what == e->what) {
			merge_all(&l->event[i], e);
			return;
		}
	}
	merge_all(last, e);
}

/* ---- on record ---- */

static const char *name_of(uint8_t what)
{
	switch (what) {
	case COF_OPENER_FAILED:
		return "opener-failed";
	case COF_OPENER_LOCKED:
		return "locked";
	case COF_OPENER_REFUSED:
		return "opener-refused";
	case COF_OPENER_UNLOCKED:
		return "unlocked";
	case COF_OPENER_LOST:
		return "attempts-lost";
	case COF_OPENER_ADDED:
		return "opener-added";
	case COF_OPENER_REMOVED:
		return "opener-removed";
	case COF_OPENER_RENEWED:
		return "seal-renewed";
	case COF_OPENER_ENVELOPE:
		return "envelope-renewed";
	case COF_OPENER_AUDITORS:
		return "auditors-renewed";
	default:
		return "opener-events";
	}
}

/* That the change which a note announced did not come to its end: what is in the store says so. */
static const char *unfinished(struct cof_archive *a, const struct cof_opener_events *l, size_t at)
{
	const struct cof_opener_event *e = &l->event[at];
	struct cof_seal_file f = {.kind = e->kind, .n = e->n};
	char path[64];
	int here;

	if (e->what == COF_OPENER_ENVELOPE)
		return cof_io_exists(a->io, COF_ENVELOPE_NEXT) > 0
			   ? "not finished: the envelope before is in its place"
			   : NULL;
	if (e->what == COF_OPENER_AUDITORS)
		return cof_auditors_unfinished(a->io) ? "not finished: some files are still those before" : NULL;
	if (!e->n || !cof_opener_name(e->kind) ||
	    (e->what != COF_OPENER_ADDED && e->what != COF_OPENER_REMOVED))
		return NULL;
	for (size_t i = at + 1; i < l->n; i++) /* a later change of the same opener */
		if (l->event[i].kind == e->kind && l->event[i].n == e->n)
			return NULL;
	cof_seal_path(&f, path);
	here = cof_io_exists(a->io, path);
	if (e->what == COF_OPENER_ADDED)
		return here == 0 ? "not finished: its file is not there" : NULL;
	return here > 0 ? "not finished: its file is still there" : NULL;
}

static const char *reason_of(const struct cof_opener_event *e)
{
	if (e->what == COF_OPENER_FAILED)
		return e->how == COF_HOW_UNJUDGED ? "ended before it was judged" : "wrong";
	if (e->what == COF_OPENER_LOCKED)
		return "too many wrong ones in a row";
	if (e->what == COF_OPENER_REFUSED)
		return "locked";
	if (e->what == COF_OPENER_LOST)
		return "seal/attempts was damaged, the count begins anew";
	if (e->what == COF_OPENER_MORE)
		return "more than are kept one by one";
	if (e->what != COF_OPENER_UNLOCKED)
		return NULL;
	return e->how == COF_HOW_IDENTITY    ? "by an identity of the recovery envelope"
	       : e->how == COF_HOW_RECOVERED ? "by a recovery"
	       : e->how == COF_HOW_WAITED    ? "by the right one after the wait"
					     : "by another opener";
}

static void detail_of(const struct cof_opener_event *e, struct cof_buf *b)
{
	const char *kind = cof_opener_name(e->kind), *gap;
	char pcrs[80];

	if (kind && e->n)
		cof_buf_printf(b, "%s-%u", kind, e->n);
	else if (kind)
		cof_buf_printf(b, "%s", e->kind == COF_OPENER_TPM2 && e->what <= COF_OPENER_REFUSED ? "PIN" : kind);
	gap = b->len ? ", " : "";
	if (e->pcrs) {
		cof_tpm_pcrs_text(e->pcrs, pcrs);
		cof_buf_printf(b, "%sPCR %s%s", gap, pcrs, e->sets > 1 ? " or the values after an update" : "");
		gap = ", ";
	}
	if (e->uid == UNKNOWN)
		return;
	cof_buf_printf(b, "%sby uid %u", gap, e->uid);
	if (e->login != UNKNOWN)
		cof_buf_printf(b, " (login %u)", e->login);
	cof_buf_printf(b, " %s", e->command);
}

static int put(struct cof_archive *a, const struct cof_opener_event *e, const char *unfinished_text)
{
	const char *reason = unfinished_text ? unfinished_text : reason_of(e);
	cof_autobuf struct cof_buf detail = {0};
	struct cof_event event = {.type = name_of(e->what),
				  .outcome = unfinished_text ? "failure" : NULL,
				  .reason = reason,
				  .count = e->count,
				  .first = e->first,
				  .last = e->last,
				  .quiet = true}; /* told below, with how often */
	const struct cof_event_type *type = cof_event_type(event.type);
	struct cof_alarm_info info = {.event = event.type, .outcome = event.outcome};
	int r;

	detail_of(e, &detail);
	if (detail.failed)
		return -ENOMEM;
	info.detail = event.detail = detail.len ? (const char *)detail.data : NULL;
	r = cof_event_emit(a, &event, &info.sequence);
	if (type && cof_event_alarms(type, event.outcome))
		cof_alarm_event(a, &info, "%s: %s%s%.*s, %u time%s, before this mount.", event.type,
				reason ? reason : "", reason && detail.len ? ", " : "", (int)detail.len,
				detail.len ? (const char *)detail.data : "", e->count,
				e->count == 1 ? "" : "s");
	return r;
}

static int put_all(struct cof_archive *a, const struct cof_opener_events *l)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++)
		r = put(a, &l->event[i], unfinished(a, l, i));
	if (r == 0 && l->n)
		r = cof_log_sync(a->log, atomic_load(&a->size) - 1);
	return r;
}

static int record(struct cof_archive *a)
{
	struct cof_door door;
	int r = cof_door_hold(a->io, a->conf.id, &door);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = put_all(a, &door.events);
	if (r == 0 && door.events.n) {
		door.events.n = 0;
		r = cof_door_write(&door);
	}
	cof_door_release(&door);
	return r;
}

int cof_opener_events_record(struct cof_archive *a, struct cof_diag *diag)
{
	int r = record(a);

	if (r == 0 && !cof_keys_pending(a->keys)) /* else the next mount, when it is known which top counts */
		r = put_all(a, cof_keys_events(a->keys));
	if (r == 0 && !cof_keys_pending(a->keys))
		r = cof_keys_events_drop(a->keys, a->io);
	return r < 0 ? cof_fail(diag, r, "%s: what happened to its openers cannot be recorded: %s",
				cof_io_where(a->io), strerror(-r))
		     : 0;
}
