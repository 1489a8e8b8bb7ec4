/* SPDX-License-Identifier: Apache-2.0 */
/* The countdown of incidents: by the forms on record and the policy in force. */
#include "fs/archive/incident.h"
#include "fs/rules/incident.h"

struct cof_incident_watch {
	pthread_mutex_t lock; /* a leaf */
	struct cof_incidents all;
	uint64_t seen;	/* frames up to here were met by an earlier look */
	uint64_t newest;
	int64_t looked; /* ns: the last look; INT64_MIN: none yet */
};

/* The form as a text, or NULL. Free it. */
static char *form_of(const void *public_part, size_t public_len)
{
	struct cof_field field;

	if (cof_field_find(public_part, public_len, COF_T_FORM, &field) < 0)
		return NULL;
	return strndup((const char *)field.value, field.len);
}

bool cof_incident_form(const void *public_part, size_t public_len)
{
	cof_autofree char *text = form_of(public_part, public_len);
	cof_autojson struct cof_json *form = NULL;
	enum cof_incident_step step;
	const char *type;

	if (!text || cof_json_parse(text, strlen(text), &form) < 0)
		return false;
	type = cof_json_str(form, "event");
	return type && cof_incident_find(type, &step) == 0;
}

static struct cof_incident_watch *watch_of(struct cof_archive *a)
{
	struct cof_incident_watch *w = a->incidents;

	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	w->looked = INT64_MIN;
	__atomic_store_n(&a->incidents, w, __ATOMIC_RELEASE);
	return w;
}

/* The first comes while nothing else runs, or under the people lock. */
int cof_incident_meet(struct cof_archive *a, uint64_t sequence, const void *public_part, size_t public_len)
{
	cof_autofree char *text = cof_incident_form(public_part, public_len) ? form_of(public_part, public_len) : NULL;
	struct cof_incident_watch *w;
	int r;

	if (!text)
		return 0;
	w = watch_of(a);
	if (!w)
		return -ENOMEM;
	pthread_mutex_lock(&w->lock);
	r = cof_incidents_take(&w->all, text, sequence);
	w->newest = COF_MAX(w->newest, sequence);
	pthread_mutex_unlock(&w->lock);
	return r;
}

void cof_incident_free(struct cof_archive *a)
{
	struct cof_incident_watch *w = a->incidents;

	a->incidents = NULL;
	if (!w)
		return;
	cof_incidents_done(&w->all);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- the countdown ---- */

static void say(struct cof_archive *a, const struct cof_incident *i, const struct cof_incident_report *r, int64_t now)
{
	bool late = r->due <= now;
	struct cof_alarm_info info = {.event = "incident-due", .rule = r->rule, .severity = late ? "crit" : "warning",
				      .source = "coffer", .sequence = i->opened};
	char left[32], due[32];

	cof_time_text(r->due, due);
	cof_duration_text(late ? now - r->due : r->due - now, left);
	if (late)
		cof_alarm_event(a, &info, "Incident %.16s (%s, impact %u): %s was to be told by %s, %s ago (%s). Tell them now, then: "
					  "coffer incident report", i->id, i->kind, cof_incident_grade(i), r->to, due, left, r->rule);
	else
		cof_alarm_event(a, &info, "Incident %.16s (%s, impact %u): %s is to be told by %s, in %s (%s). Tell them, then: coffer "
					  "incident report", i->id, i->kind, cof_incident_grade(i), r->to, due, left, r->rule);
}

/* Since the last look: it came, it was graded anew, half of the time went by, or all of it. */
static bool is_time(const struct cof_incident_watch *w, const struct cof_incident *i, const struct cof_incident_report *r,
		    int64_t now)
{
	int64_t half = r->due - r->within / 2;

	if (r->told != INT64_MIN || r->due == INT64_MAX)
		return false;
	return i->graded > w->seen || (now >= half && w->looked < half) || (now >= r->due && w->looked < r->due);
}

static void look(struct cof_archive *a, struct cof_incident_watch *w, int64_t now)
{
	struct cof_profile policy;

	(void)cof_archive_policy(a, &policy);
	for (size_t k = 0; k < w->all.n; k++) {
		struct cof_incident_report all[COF_INCIDENT_REPORTS];
		const struct cof_incident *i = &w->all.incident[k];
		size_t n = cof_incident_reports(i, &policy, all);

		for (size_t at = 0; at < n; at++)
			if (is_time(w, i, &all[at], now))
				say(a, i, &all[at], now);
	}
}

/* By the wall clock, or by the record time where somebody set the clock back: whichever is later. */
void cof_incident_tick(struct cof_archive *a)
{
	struct cof_incident_watch *w = __atomic_load_n(&a->incidents, __ATOMIC_ACQUIRE);
	int64_t record, retention, now;

	if (!w)
		return;
	cof_clock_now(&a->clock, &record, &retention);
	now = COF_MAX(cof_now(CLOCK_REALTIME), record);
	pthread_mutex_lock(&w->lock);
	look(a, w, now);
	w->seen = w->newest;
	w->looked = now;
	pthread_mutex_unlock(&w->lock);
}
