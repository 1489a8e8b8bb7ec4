/* SPDX-License-Identifier: Apache-2.0 */
/* Incidents put together from what was signed about them, and the reports that are owed. */
#include "fs/rules/incident.h"

#include "crypto/crypto.h"

#include <stdio.h>

static const char *const types[] = {"incident-opened", "incident-graded", "incident-reported", "incident-closed"};
const char *const cof_incident_kinds[] = {"key-compromise", "intrusion", "malware", "leak", "tampering", "outage", "misuse", "other", NULL};

const char *cof_incident_type(enum cof_incident_step step)
{
	return types[step];
}

int cof_incident_find(const char *type, enum cof_incident_step *ret)
{
	for (size_t i = 0; i < COF_COUNT(types); i++)
		if (!strcmp(type, types[i])) {
			*ret = (enum cof_incident_step)i;
			return 0;
		}
	return -ENOENT;
}

void cof_incidents_done(struct cof_incidents *all)
{
	free(all->incident);
	*all = (struct cof_incidents){0};
}

static struct cof_incident *by_id(struct cof_incidents *all, const char *id)
{
	for (size_t i = all->n; i--;)
		if (!strcmp(all->incident[i].id, id))
			return &all->incident[i];
	return NULL;
}

/* ---- what was signed ---- */

static void take_grade(struct cof_incident *i, const struct cof_json *form, uint64_t sequence)
{
	static const char *const keys[] = {"confidentiality", "integrity", "availability"};

	for (size_t k = 0; k < COF_COUNT(keys); k++) {
		int64_t v;

		if (cof_json_int(form, keys[k], &v) == 0 && v >= 0 && v <= 4)
			i->impact[k] = (unsigned)v;
		else
			i->impact[k] = 4; /* what cannot be read is not taken for harmless */
	}
	i->cross_sector = cof_json_bool(form, "cross_sector");
	i->graded = sequence;
}

static int begin(struct cof_incidents *all, const char *text, const struct cof_json *form, uint64_t sequence)
{
	const char *kind = cof_json_str(form, "kind"), *found = cof_json_str(form, "found"), *time = cof_json_str(form, "time");
	const char *created = cof_json_str(form, "created");
	struct cof_incident *i;
	int64_t at;
	uint8_t digest[COF_HASH];
	char id[65];

	cof_sha256(text, strlen(text), digest);
	cof_hex(digest, sizeof(digest), id);
	if (by_id(all, id))
		return 0;
	if (all->n == COF_INCIDENTS_MAX)
		return -E2BIG;
	i = reallocarray(all->incident, all->n + 1, sizeof(*i));
	if (!i)
		return -ENOMEM;
	all->incident = i;
	i += all->n++;
	*i = (struct cof_incident){.opened = sequence};
	memcpy(i->id, id, sizeof(id));
	snprintf(i->kind, sizeof(i->kind), "%s", kind ? kind : "other");
	if ((!found || cof_time_parse(found, &i->found) < 0) && (!time || cof_time_parse(time, &i->found) < 0))
		i->found = INT64_MIN;
	/* Nobody puts a limit off by noticing it later than they say so. */
	if (created && cof_time_parse(created, &at) == 0 && i->found > at)
		i->found = at;
	take_grade(i, form, sequence);
	return 0;
}

/* Who was told twice was told the first time. */
static void take_report(struct cof_incident *i, const struct cof_json *form, uint64_t sequence)
{
	const char *to = cof_json_str(form, "recipient"), *time = cof_json_str(form, "time");
	struct cof_incident_told *t = &i->told[i->n_told];
	int64_t at;

	if (!to || strlen(to) >= sizeof(t->to) || !time || cof_time_parse(time, &at) < 0 || i->n_told == COF_INCIDENT_REPORTS)
		return;
	for (size_t k = 0; k < i->n_told; k++)
		if (!strcmp(i->told[k].to, to))
			return;
	*t = (struct cof_incident_told){.time = at, .sequence = sequence};
	snprintf(t->to, sizeof(t->to), "%s", to);
	i->n_told++;
}

static void take_step(struct cof_incidents *all, enum cof_incident_step step, const struct cof_json *form, uint64_t sequence)
{
	const char *id = cof_json_str(form, "incident");
	struct cof_incident *i = id ? by_id(all, id) : NULL;

	if (!i)
		return;
	if (step == COF_INCIDENT_GRADED)
		take_grade(i, form, sequence);
	else if (step == COF_INCIDENT_REPORTED)
		take_report(i, form, sequence);
	else
		i->closed = sequence;
}

int cof_incidents_take(struct cof_incidents *all, const char *text, uint64_t sequence)
{
	cof_autojson struct cof_json *form = NULL;
	int r = cof_json_parse(text, strlen(text), &form);
	const char *type = r == 0 ? cof_json_str(form, "event") : NULL;
	enum cof_incident_step step;

	if (!type || cof_incident_find(type, &step) < 0)
		return r == -ENOMEM ? r : 0;
	if (step == COF_INCIDENT_OPENED)
		return begin(all, text, form, sequence);
	take_step(all, step, form, sequence);
	return 0;
}

int cof_incidents_add(struct cof_incidents *all, const struct cof_json *event)
{
	const char *source = cof_json_str(event, "source"), *text = cof_json_str(event, "form");
	int64_t sequence = 0;

	if (!text || !source || strcmp(source, "person") != 0)
		return 0;
	(void)cof_json_int(event, "sequence", &sequence);
	return cof_incidents_take(all, text, (uint64_t)sequence);
}

int cof_incidents_find(const struct cof_incidents *all, const char *digits, const struct cof_incident **ret)
{
	size_t n = strlen(digits);

	*ret = NULL;
	for (size_t i = 0; n >= 8 && i < all->n; i++)
		if (!strncmp(all->incident[i].id, digits, n)) {
			if (*ret)
				return -EEXIST;
			*ret = &all->incident[i];
		}
	return *ret ? 0 : -ENOENT;
}

/* ---- what is owed ---- */

unsigned cof_incident_grade(const struct cof_incident *i)
{
	return COF_MAX(COF_MAX(i->impact[0], i->impact[1]), i->impact[2]);
}

static int64_t told(const struct cof_incident *i, const char *to)
{
	for (size_t k = 0; k < i->n_told; k++)
		if (!strcmp(i->told[k].to, to))
			return i->told[k].time;
	return INT64_MIN;
}

/* A recipient whom two rules name is told once, by the shorter limit. */
static void owe(const struct cof_incident *i, const char *to, size_t len, const char *rule, int64_t within,
		struct cof_incident_report *all, size_t *n)
{
	struct cof_incident_report r = {.rule = rule, .within = within, .due = INT64_MAX};

	if (!len || len >= sizeof(r.to))
		return;
	memcpy(r.to, to, len);
	if (within && (i->found == INT64_MIN || __builtin_add_overflow(i->found, within, &r.due)))
		r.due = i->found == INT64_MIN ? INT64_MIN / 2 : INT64_MAX; /* long ago; half: spans from it do not overflow */
	r.told = told(i, r.to);
	for (size_t k = 0; k < *n; k++)
		if (!strcmp(all[k].to, r.to)) {
			if (r.due < all[k].due)
				all[k] = r;
			return;
		}
	if (*n < COF_INCIDENT_REPORTS)
		all[(*n)++] = r;
}

static void owe_each(const struct cof_incident *i, const char *list, const char *rule, int64_t within,
		     struct cof_incident_report *all, size_t *n)
{
	while (*list) {
		size_t len = strcspn(list, " ");

		owe(i, list, len, rule, within, all, n);
		list += len;
		list += strspn(list, " ");
	}
}

size_t cof_incident_reports(const struct cof_incident *i, const struct cof_profile *p,
			    struct cof_incident_report ret[COF_INCIDENT_REPORTS])
{
	unsigned grade = cof_incident_grade(i);
	size_t n = 0;

	if (p->compromise_within && !strcmp(i->kind, cof_incident_kinds[0]))
		owe_each(i, p->compromise_to, "R64", p->compromise_within, ret, &n);
	if (grade && p->incident_least && grade >= p->incident_least)
		owe_each(i, p->incident_to, "R61", p->incident_within[grade - 1], ret, &n);
	if (grade && p->incident_pass_on && (grade >= p->incident_pass_on || (i->cross_sector && grade >= p->incident_least)))
		owe_each(i, p->incident_pass_to, "R61", 0, ret, &n);
	return n;
}

bool cof_incident_late(const struct cof_incident_report *r, int64_t now)
{
	return r->told == INT64_MIN ? r->due < now : r->told > r->due;
}
