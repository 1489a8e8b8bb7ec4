/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of an incident: its steps as a STIX bundle, and what a hold keeps that is named by it. */
#include "tools/evidence-make.h"
#include "tools/incident.h"

static int add_one(void *user, struct cof_json *event)
{
	return cof_incidents_add(user, event);
}

static int add_step(void *user, struct cof_json *event)
{
	struct incident_stix *s = user;

	return incident_has(s->incident, event) ? incident_stix_add(s, event) : 0;
}

static int put_stix(struct making *m, const struct cof_incident *i, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .source = "person"};
	struct incident_stix stix = {0};
	cof_autobuf struct cof_buf text = {0};
	int r;

	incident_stix_begin(&stix, i);
	r = people_events(&m->ask, &q, add_step, &stix, diag);
	r = incident_stix_text(&stix, r, &text);
	if (r == 0)
		m->stix = strdup((const char *)text.data);
	return r == 0 && !m->stix ? -ENOMEM : r;
}

int evidence_incident(struct making *m, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .source = "person"};
	const struct cof_incident *i = NULL;
	struct cof_incidents all = {0};
	int r = people_events(&m->ask, &q, add_one, &all, diag);

	if (r == 0)
		r = cof_incidents_find(&all, m->incident, &i);
	if (r == -ENOENT || r == -EEXIST)
		r = cof_fail(diag, -ESRCH, "%s incident begins with %s (8 digits at least): coffer incident list tells those there are",
			     r == -EEXIST ? "more than one" : "no", m->incident);
	if (r == 0 && i) {
		m->incident_id = strdup(i->id);
		r = m->incident_id ? put_stix(m, i, diag) : -ENOMEM;
	}
	cof_incidents_done(&all);
	return r;
}
