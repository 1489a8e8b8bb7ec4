/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coverage: for each kind of event of a level a live, tested source or a named person; for each kind of record a
 * shelf. Fed with events in order, then asked. Bounded: what it keeps does not grow with the archive.
 */
#ifndef COFFER_COVERAGE_H
#define COFFER_COVERAGE_H

#include "base/json.h"
#include "fs/rules/approve.h"
#include "fs/rules/catalogue.h"
#include "fs/rules/profile.h"

struct coverage; /* what the events said */

struct coverage *coverage_new(void);
void coverage_free(struct coverage *c);
/* An event as cof_archive_events gives it. */
void coverage_take(struct coverage *c, const struct cof_json *event);

enum covered_state {
	COVERED_SOURCE,	 /* a live, tested source, or Coffer itself */
	COVERED_PERSON,	 /* reported by somebody whom the policy names and who is among the people */
	COVERED_SILENT,	 /* a tested source whose reader reports nothing any more */
	COVERED_STALE,	 /* recorded by Coffer, or tested, longer ago than the policy's coverage_within */
	COVERED_NOBODY,	 /* the person or role that is named is nobody's */
	COVERED_MISSING,
};
const char *coverage_state_name(enum covered_state s);
static inline bool is_covered(enum covered_state s)
{
	return s <= COVERED_PERSON;
}

struct covered {
	const char *id, *text;
	enum covered_state state;
	char by[COF_PRINCIPAL]; /* "": nobody */
	uint64_t count;
	int64_t first, last; /* INT64_MIN: never */
};

struct coverage_terms {
	const struct cof_profile *policy;
	const struct cof_people *people; /* NULL: none */
	int64_t now;
};
#define COVERAGE_KINDS 64

/* The kinds of this level (1 to 4), in the order of the table; their number. */
size_t coverage_kinds(const struct coverage *c, unsigned level, const struct coverage_terms *t,
		      struct covered ret[COVERAGE_KINDS]);

#endif
