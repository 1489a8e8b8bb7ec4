/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Releases of escrow that wait for a veto, by their shelf's release_delay. Whether one may go on is the judge's to say
 * (fs/rules/approve-judge-veto.c); here people are told when it begins to wait and when it was vetoed, and it is carried out once
 * its time has come: by the keeper, or by whoever asks for the key before the keeper looks.
 */
#include "fs/archive/escrow.h"
#include "fs/archive/note.h"
#include "fs/archive/people.h"

#include <stdio.h>

#define AGAIN (60 * COF_NSEC) /* after what another try may mend */

/* The earliest time at which one may be carried out; 0: none waits. */
static void remember(struct cof_archive *a, int64_t until)
{
	int64_t at = atomic_load(&a->release_at);

	if (!at || until < at)
		atomic_store(&a->release_at, until);
}

static void emit(struct cof_archive *a, struct cof_event *e, const struct cof_request *q, const char *said)
{
	const char *key = cof_json_str(q->doc, "key"), *to = cof_json_str(q->doc, "recipient");
	char hex[65], detail[512];

	cof_hex(q->id, 32, hex);
	snprintf(detail, sizeof(detail), "%s: the key %.32s for %.120s, request %.16s by %s", said, key ? key : "?", to ? to : "?", hex, q->author);
	e->detail = detail;
	e->request = q->id;
	cof_gate_enter(a);
	(void)cof_event_emit(a, e, NULL);
	cof_gate_leave(a);
}

void cof_release_wait(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, bool told)
{
	cof_autobuf struct cof_buf fields = {0};
	char until[32], said[160];

	remember(a, v->until);
	if (told)
		return;
	cof_time_text(v->until, until);
	snprintf(said, sizeof(said), "approved, and not released before %s by retention time; till then coffer refuse vetoes it", until);
	cof_field_put_i64(&fields, COF_T_RELEASE_AT, v->until);
	emit(a, &(struct cof_event){.type = COF_EV_ESCROW_DELAYED, .who = who, .public_fields = fields.data, .public_len = fields.len},
	     v->request, said);
}

void cof_release_vetoed(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, const char *by)
{
	char said[COF_PRINCIPAL + 16];

	snprintf(said, sizeof(said), "vetoed by %s", by);
	emit(a, &(struct cof_event){.type = COF_EV_ESCROW_VETOED, .who = who, .actor_name = by}, v->request, said);
}

struct out {
	const struct cof_request_view *view;
	bool found;
};

/* One from before the delay was over does not count. */
static int is_out(void *user, const struct cof_escrow_record *r)
{
	struct out *w = user;
	uint8_t id[32];

	w->found = cof_escrow_what(r) == COF_ESC_RELEASE && r->retention >= w->view->until &&
		   cof_field_bytes(r->public_part.data, r->public_part.len, COF_T_REQUEST, id, sizeof(id)) == 0 &&
		   !memcmp(id, w->view->request->id, sizeof(id));
	return w->found;
}

/* Whoever judges the whole chain lets a request permit one record, also where it does not say yet that it is done, for want of
 * room; the judge here is told of requests and not of records, also at the next mount. */
int cof_release_late(struct cof_archive *a, const struct cof_who *who, const struct cof_request_view *v, struct cof_diag *diag)
{
	const char *hex = cof_json_str(v->request->doc, "key");
	struct out w = {.view = v};
	uint8_t key[16];
	int r;

	if (!hex || strlen(hex) != 32 || cof_unhex(hex, 32, key) < 0)
		return 0; /* nothing is released by it */
	r = cof_escrow_each(a, cof_escrow_list(COF_ESCROW_OF_KEY, key, sizeof(key)), 0, is_out, &w);
	if (r < 0)
		return cof_fail(diag, r, "whether the key was released already cannot be read: %s", strerror(-r));
	return w.found ? cof_people_refused(a, who, "approval", "finished", "the key was released already: it is too late for a veto", diag)
		       : 0;
}

/* People lock held. */
void cof_release_due(struct cof_archive *a)
{
	static const struct cof_who daemon = {.daemon = true};
	int64_t now = cof_clock_retention(&a->clock), at = atomic_load(&a->release_at);
	struct cof_request_view v;

	if (!at || now < at)
		return;
	atomic_store(&a->release_at, 0);
	for (size_t i = 0; cof_judge_request_at(cof_people_judge(a), i, &v) == 0; i++) {
		struct cof_diag why = {""};
		uint8_t id[32];

		if (v.until == COF_RETAIN_NONE)
			continue;
		if (now < v.until) {
			remember(a, v.until);
			continue;
		}
		memcpy(id, v.request->id, sizeof(id));
		if (cof_grant_run(a, &daemon, id, false, &why) < 0)
			cof_fault(a, "A release whose delay is over: %s", why.text);
		if (cof_judge_request(cof_people_judge(a), id, &v) == 0 && v.until != COF_RETAIN_NONE)
			remember(a, now + AGAIN);
	}
}

void cof_release_tick(struct cof_archive *a)
{
	int64_t at = atomic_load(&a->release_at);

	if (!at || cof_clock_retention(&a->clock) < at)
		return;
	cof_people_lock(a);
	cof_release_due(a);
	cof_people_unlock(a);
}

/* People lock held. Until when the release of this key waits; COF_RETAIN_NONE: none does. */
int64_t cof_release_until(struct cof_archive *a, uint64_t shelf, const uint8_t key[16])
{
	struct cof_request_view v;
	uint64_t of = 0;
	char hex[33];

	cof_hex(key, 16, hex);
	for (size_t i = 0; cof_judge_request_at(cof_people_judge(a), i, &v) == 0; i++) {
		const char *said = v.until == COF_RETAIN_NONE ? NULL : cof_json_str(v.request->doc, "key");

		if (said && !strcmp(said, hex) && cof_request_shelf(v.request->doc, 0, &of) == 0 && of == shelf)
			return v.until;
	}
	return COF_RETAIN_NONE;
}
