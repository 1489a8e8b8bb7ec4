/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incidents, as the events that people sign about them tell (docs/format.md 4.1): opened, graded, reported, closed; and
 * the reports that a policy asks for (R61, R64), each with its time. Pure.
 */
#ifndef COF_RULES_INCIDENT_H
#define COF_RULES_INCIDENT_H

#include "base/json.h"
#include "fs/rules/profile.h"

enum cof_incident_step { COF_INCIDENT_OPENED, COF_INCIDENT_GRADED, COF_INCIDENT_REPORTED, COF_INCIDENT_CLOSED };
const char *cof_incident_type(enum cof_incident_step step); /* "incident-opened" */
int cof_incident_find(const char *type, enum cof_incident_step *ret); /* -ENOENT */

/* Kinds; the first one is a CA key of which it is suspected that others have it. NULL ends. */
extern const char *const cof_incident_kinds[];

#define COF_INCIDENT_NAME 64	/* bytes of a recipient's name, with its end */
#define COF_INCIDENT_REPORTS 32 /* recipients told apart */
#define COF_INCIDENTS_MAX 100000

struct cof_incident_told {
	char to[COF_INCIDENT_NAME];
	int64_t time; /* ns: as its signer says */
	uint64_t sequence;
};
struct cof_incident {
	char id[65]; /* SHA-256 of the form that opened it, in hex */
	char kind[32];
	unsigned impact[3]; /* confidentiality, integrity, availability: 0 to 4 */
	bool cross_sector;
	int64_t found;	    /* ns: when it was noticed, as its signer says */
	uint64_t opened;    /* frames */
	uint64_t graded;    /* the last one that gave the impact */
	uint64_t closed;    /* 0: it is not */
	struct cof_incident_told told[COF_INCIDENT_REPORTS];
	size_t n_told;
};
struct cof_incidents { /* zero to begin with */
	struct cof_incident *incident;
	size_t n;
};

/* A form that is on record, of any type, in order; what is of no incident, or of none that was opened, changes nothing.
 * -ENOMEM, -E2BIG */
int cof_incidents_take(struct cof_incidents *all, const char *form, uint64_t sequence);
int cof_incidents_add(struct cof_incidents *all, const struct cof_json *event); /* as docs/format.md 4.1 has it */
void cof_incidents_done(struct cof_incidents *all);
/* By the first digits of its id, 8 at least. -ENOENT, -EEXIST: several begin so. */
int cof_incidents_find(const struct cof_incidents *all, const char *digits, const struct cof_incident **ret);

unsigned cof_incident_grade(const struct cof_incident *i); /* the worst of the three */

struct cof_incident_report {
	char to[COF_INCIDENT_NAME];
	const char *rule; /* "R61", "R64" */
	int64_t within;	  /* ns from the discovery; 0: no limit is given */
	int64_t due;	  /* INT64_MAX: no limit */
	int64_t told;	  /* INT64_MIN: not yet */
};
/* All that the policy asks for, told or not. Returns their number. */
size_t cof_incident_reports(const struct cof_incident *i, const struct cof_profile *p,
			    struct cof_incident_report ret[COF_INCIDENT_REPORTS]);
/* Told too late, or not yet though it is time. */
bool cof_incident_late(const struct cof_incident_report *r, int64_t now);

#endif
