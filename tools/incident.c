/* SPDX-License-Identifier: Apache-2.0 */
/* Incidents in lines and as JSON. */
#include "tools/incident.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

bool incident_is_open(const struct cof_incident *i, const struct cof_profile *p)
{
	struct cof_incident_report all[COF_INCIDENT_REPORTS];
	size_t n = cof_incident_reports(i, p, all);

	if (!i->closed)
		return true;
	for (size_t k = 0; k < n; k++)
		if (all[k].told == INT64_MIN)
			return true;
	return false;
}

static void say_report(const struct cof_incident_report *r, int64_t now)
{
	bool late = cof_incident_late(r, now), told = r->told != INT64_MIN;
	char due[32] = "", when[32] = "", span[32] = "";

	if (r->due != INT64_MAX)
		cof_time_text(r->due, due);
	if (told)
		cof_time_text(r->told, when);
	if (r->due != INT64_MAX)
		cof_duration_text(told ? (late ? r->told - r->due : r->due - r->told) : late ? now - r->due : r->due - now, span);
	printf("  %s%-7s%s %s (%s)", colour(late ? RED : PLAIN), told ? (late ? "LATE" : "told") : late ? "OVERDUE" : "owed", colour(PLAIN),
	       r->to, r->rule);
	if (told)
		printf(", told %s", when);
	if (*due)
		printf(", until %s, %s %s", due, span, late ? "too late" : told ? "to spare" : "left");
	printf("\n");
}

void incident_say(const struct cof_incident *i, const struct cof_profile *p, int64_t now)
{
	struct cof_incident_report all[COF_INCIDENT_REPORTS];
	size_t n = cof_incident_reports(i, p, all);
	char found[32];

	cof_time_text(i->found, found);
	printf("%.16s  %s, impact %u (confidentiality %u, integrity %u, availability %u)%s, found %s, %s, frame %" PRIu64 "\n", i->id, i->kind,
	       cof_incident_grade(i), i->impact[0], i->impact[1], i->impact[2], i->cross_sector ? ", cross-sector" : "", found,
	       i->closed ? "closed" : "open", i->opened);
	for (size_t k = 0; k < n; k++)
		say_report(&all[k], now);
}

struct cof_json *incident_json(const struct cof_incident *i, const struct cof_profile *p, int64_t now)
{
	struct cof_json *o = cof_json_object(), *reports = cof_json_array();
	struct cof_incident_report all[COF_INCIDENT_REPORTS];
	size_t n = cof_incident_reports(i, p, all);

	cof_json_set_str(o, "incident", i->id);
	cof_json_set_str(o, "kind", i->kind);
	cof_json_set_uint(o, "impact", cof_incident_grade(i));
	cof_json_set_uint(o, "confidentiality", i->impact[0]);
	cof_json_set_uint(o, "integrity", i->impact[1]);
	cof_json_set_uint(o, "availability", i->impact[2]);
	cof_json_set_bool(o, "cross_sector", i->cross_sector);
	cof_json_set_time(o, "found", i->found);
	cof_json_set_uint(o, "sequence", i->opened);
	cof_json_set_bool(o, "closed", i->closed != 0);
	cof_json_set_bool(o, "open", incident_is_open(i, p));
	for (size_t k = 0; k < n; k++) {
		struct cof_json *one = cof_json_object();

		cof_json_set_str(one, "to", all[k].to);
		cof_json_set_str(one, "rule", all[k].rule);
		if (all[k].due != INT64_MAX)
			cof_json_set_time(one, "due", all[k].due);
		if (all[k].told != INT64_MIN)
			cof_json_set_time(one, "told", all[k].told);
		cof_json_set_bool(one, "late", cof_incident_late(&all[k], now));
		cof_json_append(reports, one);
	}
	cof_json_set(o, "reports", reports);
	return o;
}

bool incident_has(const struct cof_incident *i, const struct cof_json *event)
{
	const char *text = cof_json_str(event, "form");
	struct cof_incidents one = {0};
	cof_autojson struct cof_json *form = NULL;
	const char *id;
	bool of;

	if (!text || cof_json_parse(text, strlen(text), &form) < 0)
		return false;
	id = cof_json_str(form, "incident");
	if (id)
		return !strcmp(id, i->id);
	of = cof_incidents_add(&one, event) == 0 && one.n && !strcmp(one.incident[0].id, i->id);
	cof_incidents_done(&one);
	return of;
}
