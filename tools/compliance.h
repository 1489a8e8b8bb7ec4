/* SPDX-License-Identifier: Apache-2.0 */
/* Private to coffer compliance: the rows of the rules, and what each finds. */
#ifndef COFFER_COMPLIANCE_H
#define COFFER_COMPLIANCE_H

#include "tools/facts.h"

enum finding { NOT_APPLICABLE, PASS, MANUAL, FAIL };

struct looked {
	const struct facts *f;
	const struct cof_profile *p; /* the profile asked about */
	int64_t now;
	enum finding finding;
	char evidence[512]; /* the fact that was looked at, a sentence */
	const char *command; /* that shows it; NULL: none */
};

struct compliance_row {
	const char *rule;    /* "R18" */
	const char *clauses; /* "gpki 5.4.2, gpki 8.1, sec 37.7" */
	const char *text;
	void (*check)(struct looked *l);
};
extern const struct compliance_row compliance_rows[]; /* rule NULL behind the last */

/* One check for each row (compliance-checks.c); a capability that does not exist yet never passes. */
void compliance_says(struct looked *l, enum finding finding, const char *command, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void compliance_not_built(struct looked *l, const char *what);

/* compliance-recording.c */
void check_incidents(struct looked *l); /* compliance-incidents.c */
void check_preserved(struct looked *l);
void check_disclosure(struct looked *l);
void check_compromise(struct looked *l);
void check_events(struct looked *l);
void check_coverage(struct looked *l);
void check_attempts(struct looked *l);
void check_gaps(struct looked *l);
void check_reads(struct looked *l);
void check_changes(struct looked *l);
void check_leaks(struct looked *l);
void check_clock(struct looked *l);

/* compliance-keys.c */
void check_signing_keys(struct looked *l);
void check_backups_of_keys(struct looked *l);
void check_quorum(struct looked *l);
void check_ciphertext(struct looked *l);
void check_dispersal(struct looked *l);
void check_ceremonies(struct looked *l);
void check_inventory(struct looked *l);
void check_single_use(struct looked *l);
/* R27: the last drill of something went wrong, or took longer than was promised: said, and true. Dates are not its affair. */
bool drills_failed(struct looked *l);

/* compliance-elsewhere.c */
void check_archived(struct looked *l);
void check_apart(struct looked *l);
void check_borders(struct looked *l);
void check_retired(struct looked *l);
void check_successor(struct looked *l);
void check_replay(struct looked *l);

/* compliance-destruction.c */
void check_destroyed_keys(struct looked *l);
void check_disposal(struct looked *l);

#endif
