/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of events: the 60 that an audit policy names (GPKI table 5-1), the 16 kinds of records that it
 * has archived, and the types of events that Coffer itself puts on record, each with its place in the
 * catalogue, its outcome and its severity. Pure tables; data/ has the first two, as they are built in.
 */
#ifndef COF_CATALOGUE_H
#define COF_CATALOGUE_H

#include "base/base.h"

#define COF_LEVELS 4

struct cof_catalogue_kind {
	const char *id, *text; /* "A.1.2" */
	bool level[COF_LEVELS]; /* whether level 1, 2, 3, 4 has to have it */
};
struct cof_record_kind {
	const char *text; /* as the table has it; a shelf's record_kind says this or the name */
	bool level[COF_LEVELS];
};

/* All of them, in the order of the table; how many. */
size_t cof_catalogue(const struct cof_catalogue_kind **ret);
size_t cof_records(const struct cof_record_kind **ret);
const struct cof_catalogue_kind *cof_catalogue_find(const char *id);	/* NULL: none */
const struct cof_record_kind *cof_record_kind_find(const char *text); /* by text or name; NULL: none */
const char *cof_record_kind_name(const struct cof_record_kind *k); /* short, as the profiles' shelves have it: "audit records" */

enum cof_alarm {
	COF_ALARM_NEVER,
	COF_ALARM_FAILED, /* where its outcome is a failure */
	COF_ALARM_ALWAYS,
};

/* What a type of event stands for where the event itself does not say otherwise. */
struct cof_event_type {
	const char *name;
	const char *catalogue; /* NULL: the catalogue has no such kind */
	const char *outcome, *severity;
	enum cof_alarm alarm; /* people are told at once (tests/e2e/alarms.sh provokes each) */
	const char *text; /* what it is, for people */
};

/* Which kinds Coffer records itself, and when (catalogue-own.c): each type that has a kind. */
struct cof_own_kind {
	const char *catalogue, *type, *when;
};
/* The kinds that it cannot see, and who tells of them. */
struct cof_unseen_kind {
	const char *catalogue, *who;
};
size_t cof_own_kinds(const struct cof_own_kind **ret);
size_t cof_unseen_kinds(const struct cof_unseen_kind **ret);

/* Whether people are told of this event. outcome: NULL: the type's own. */
bool cof_event_alarms(const struct cof_event_type *t, const char *outcome);
size_t cof_event_types(const struct cof_event_type **ret);
const struct cof_event_type *cof_event_type(const char *name); /* NULL: not one of Coffer's */

/* The names of RFC 5424, "emerg" (0) to "debug" (7). -1, NULL: none. */
int cof_severity(const char *name);
const char *cof_severity_name(int severity);
bool cof_outcome_valid(const char *name); /* "success", "failure", "attempt" */
/* A name for a type of event: 1 to 31 of a-z, 0-9 and -, a letter first. */
bool cof_event_type_valid(const char *name);

/* ---- types that others emit; the names are what stays on record ---- */

#define COF_EV_POLICY_CHANGED "policy-changed" /* A.1.1 */
#define COF_EV_REFUSED "refused"	       /* A.1.2 */
#define COF_EV_KEY_LOADED "key-loaded"	       /* A.4.1 */
#define COF_EV_PROFILE_CHANGED "profile-changed" /* A.10.1 */
#define COF_EV_PERSON_ADDED "person-added"     /* A.11.1, as the next */
#define COF_EV_PERSON_REMOVED "person-removed"
#define COF_EV_ROLES_CHANGED "roles-changed" /* A.11.2 */
#define COF_EV_ROLE_SET "role-set"	     /* A.2.1 */
#define COF_EV_TRUSTED_KEYS "trusted-keys"   /* A.5.1 */
#define COF_EV_LOCKOUT_CHANGED "lockout-changed" /* A.2.2 */
#define COF_EV_FILES_NAMED "files-named"	  /* A.14.13 */
#define COF_EV_REQUESTED "requested"
#define COF_EV_APPROVED "approved"
#define COF_EV_DECLINED "declined"		   /* a person refused a request */
#define COF_EV_ESCROW_OVERDUE "escrow-overdue"     /* a drill, or a new epoch after a recovery */
#define COF_EV_ESCROW_DELAYED "escrow-delayed"     /* a release waits for a veto */
#define COF_EV_ESCROW_VETOED "escrow-vetoed"
#define COF_EV_ESCROW_REFUSED "escrow-refused"     /* a key that was not taken in, or a recovery */
#define COF_EV_REQUEST_REFUSED "request-refused"   /* Coffer did: not permitted */
#define COF_EV_REQUEST_DONE "request-done"
#define COF_EV_DESTROYED "destroyed"
#define COF_EV_DESTRUCTION_CERTIFICATE "destruction-certificate"
#define COF_EV_REQUEST_FAILED "request-failed"
#define COF_EV_REMOVAL_ASKED "removal-asked"
#define COF_EV_HOLD_BEGIN "hold-begin"
#define COF_EV_HOLD_END "hold-end"
#define COF_EV_RETENTION_ENDED "retention-ended"
#define COF_EV_EVENT_DECLARED "event-declared"
#define COF_EV_LEAK "leak"			 /* A.17.10 */
#define COF_EV_CERT_MALFORMED "certificate-malformed" /* A.17.3 */
#define COF_EV_CERT_KEPT "certificate-kept" /* A.14.14 */
#define COF_EV_INTEGRITY_FAILED "integrity-failed" /* A.17.2 */
#define COF_EV_BACKUP "backup"			   /* A.14.11 */
#define COF_EV_RESTORE "restore"		   /* A.14.12 */
#define COF_EV_SELF_CHECK "self-check"		   /* A.17.2 where it found something */
#define COF_EV_READ "read"
#define COF_EV_QUERIED "queried"
#define COF_EV_SILENCE "silence"
#define COF_EV_SILENCE_ENDED "silence-ended"
#define COF_EV_GAP "gap"

#endif
