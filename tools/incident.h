/* SPDX-License-Identifier: Apache-2.0 */
/* Incidents for people and programs: in lines, as JSON, as a STIX 2.1 bundle. */
#ifndef COFFER_INCIDENT_H
#define COFFER_INCIDENT_H

#include "fs/rules/incident.h"

/* It is not closed, or somebody is still to be told. */
bool incident_is_open(const struct cof_incident *i, const struct cof_profile *p);
bool incident_has(const struct cof_incident *i, const struct cof_json *event); /* it is one of its steps */
void incident_say(const struct cof_incident *i, const struct cof_profile *p, int64_t now);
struct cof_json *incident_json(const struct cof_incident *i, const struct cof_profile *p, int64_t now); /* the caller's */

/* An `incident` with what its forms say as an extension, and an `observed-data` for each step. */
struct incident_stix {
	struct cof_json *bundle, *objects, *refs; /* objects and refs: of the bundle */
	const struct cof_incident *incident;
	char time[40], last[40];
};
void incident_stix_begin(struct incident_stix *s, const struct cof_incident *i); /* i outlives it */
int incident_stix_add(struct incident_stix *s, const struct cof_json *event); /* a step */
int incident_stix_end(struct incident_stix *s, int r); /* prints it where r is 0; frees */
int incident_stix_text(struct incident_stix *s, int r, struct cof_buf *ret); /* the same into a buffer */

#endif
