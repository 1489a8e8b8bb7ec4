/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at for the rules about incidents: R61, R62, R64. */
#include "tools/compliance.h"

#include <stdio.h>

#define SAY compliance_says
#define LIST "coffer incident list STORE"

struct counted {
	size_t incidents; /* of which this rule asks for a report */
	size_t told, late;
	char first[160]; /* what is late */
};

static struct counted count(const struct looked *l, const char *rule)
{
	struct counted c = {0};

	for (size_t i = 0; i < l->f->incidents.n; i++) {
		struct cof_incident_report all[COF_INCIDENT_REPORTS];
		const struct cof_incident *one = &l->f->incidents.incident[i];
		size_t n = cof_incident_reports(one, l->p, all), of = 0;

		for (size_t k = 0; k < n; k++) {
			if (strcmp(all[k].rule, rule) != 0)
				continue;
			of++;
			c.told += all[k].told != INT64_MIN;
			if (!cof_incident_late(&all[k], l->now) && (all[k].told != INT64_MIN || all[k].due != INT64_MAX || !one->closed))
				continue;
			if (!c.late++)
				snprintf(c.first, sizeof(c.first), "%.60s of %.16s (%.31s)", all[k].to, one->id, one->kind);
		}
		c.incidents += of > 0;
	}
	return c;
}

static void judge(struct looked *l, const char *rule, const char *what)
{
	struct counted c = count(l, rule);

	if (c.late)
		SAY(l, FAIL, LIST, "%zu report%s not made, or too late: %s", c.late, c.late == 1 ? " was" : "s were", c.first);
	else if (!c.incidents)
		SAY(l, MANUAL, LIST, "no %s is on record; that there was none is for a person to say", what);
	else
		SAY(l, PASS, LIST, "%zu incident%s on record, %zu report%s made, none too late", c.incidents, c.incidents == 1 ? "" : "s", c.told,
		    c.told == 1 ? "" : "s");
}

void check_incidents(struct looked *l)
{
	if (!l->p->incident_least || !*l->p->incident_to)
		SAY(l, MANUAL, "coffer policy show STORE", "the policy names nobody who is told of incidents (incident_to)");
	else
		judge(l, "R61", "incident");
}

/* Holds and STIX are there; what is handed over with them is not. */
void check_preserved(struct looked *l)
{
	compliance_not_built(l, "evidence bundles to hand over (coffer hold keeps the records of an incident, coffer incident show --stix "
				"describes it)");
}

void check_compromise(struct looked *l)
{
	if (!l->p->compromise_within || !*l->p->compromise_to)
		SAY(l, MANUAL, "coffer policy show STORE", "the policy names no superior CA (compromise_to, compromise_within)");
	else
		judge(l, "R64", "suspicion that others have a CA's key");
}
