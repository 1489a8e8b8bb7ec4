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

/* ---- evidence ---- */

#define REHEARSE "coffer evidence make STORE PATH --rehearsal --out FILE"
#define YEAR (366 * 86400 * COF_NSEC)

/* A bundle that was made, read back and whole within a year; else FAIL is said. */
static const struct done *made(struct looked *l, const char *more)
{
	const struct done *d = facts_last(l->f, "disclosure-checked");
	char day[32];

	if (d && d->time > l->now - YEAR)
		return d;
	if (!d) {
		SAY(l, FAIL, REHEARSE, "no evidence bundle was ever made and checked here%s: rehearse it", more);
		return NULL;
	}
	cof_time_text(d->time, day);
	SAY(l, FAIL, REHEARSE, "the last evidence bundle that was made and checked here is of %.10s, more than a year ago%s: rehearse it", day,
	    more);
	return NULL;
}

void check_disclosure(struct looked *l)
{
	const struct done *d;
	char day[32];

	if (l->p->disclosure_basis && !l->f->policy.disclosure_basis) {
		SAY(l, FAIL, "coffer policy apply STORE FILE", "the policy in force lets records go without recipient and basis (disclosure_basis)");
		return;
	}
	d = made(l, "");
	if (!d)
		return;
	cof_time_text(d->time, day);
	if (l->f->policy.disclosure_basis)
		SAY(l, PASS, "coffer events STORE --type disclosed", "nothing leaves without recipient and basis; %llu bundle%s on record, the last "
			"that was read back and whole of %.10s", (unsigned long long)facts_count(l->f, "disclosed"),
		    facts_count(l->f, "disclosed") == 1 ? "" : "s", day);
	else
		SAY(l, MANUAL, "coffer events STORE --type disclosed", "a bundle was made and checked on %.10s, but the policy asks for no recipient "
			"and basis: whether each had one is for you to look", day);
}

/* The records of each incident are kept by a hold, or were handed over. */
void check_preserved(struct looked *l)
{
	size_t n = l->f->incidents.n, without = 0, first = 0, handed = 0;
	char day[32];

	for (size_t i = 0; i < n; i++) {
		uint8_t how = i < l->f->n_kept ? l->f->kept[i] : 0;

		handed += (how & KEPT_BUNDLE) != 0;
		if (!how && !without++)
			first = i;
	}
	if (without) {
		SAY(l, FAIL, "coffer hold begin --case NAME PATH", "%zu incident%s without a hold or bundle: %.16s (a hold's case has the first 8 of "
			"these digits in it; then coffer evidence make --incident)", without, without == 1 ? " is" : "s are",
		    l->f->incidents.incident[first].id);
	} else if (n) {
		SAY(l, PASS, "coffer hold list STORE", "the records of %zu incident%s are kept by holds or were handed over, of %zu as a bundle with its "
			"steps in STIX 2.1 (the guide has version 1)", n, n == 1 ? "" : "s", handed);
	} else if (made(l, ", and no incident is on record")) {
		cof_time_text(facts_last(l->f, "disclosure-checked")->time, day);
		SAY(l, PASS, "coffer events STORE --type disclosure-checked", "no incident is on record; handing over was practised: a bundle was made, "
			"read back and whole on %.10s", day);
	}
}

void check_compromise(struct looked *l)
{
	if (!l->p->compromise_within || !*l->p->compromise_to)
		SAY(l, MANUAL, "coffer policy show STORE", "the policy names no superior CA (compromise_to, compromise_within)");
	else
		judge(l, "R64", "suspicion that others have a CA's key");
}
