/* SPDX-License-Identifier: Apache-2.0 */
/* The attempts that docs/rules.md lists, and how they are judged. */
#ifndef COF_RULES_ROWS_H
#define COF_RULES_ROWS_H

#include "fs/rules/rules.h"

#define ROW_DAY (86400 * COF_NSEC)
#define ROW_NOW (20000 * ROW_DAY)

/* What an attempt is made on. */
enum row_state {
	ROW_EMPTY,     /* an open file without content */
	ROW_OPEN,      /* an open file with content */
	ROW_COMMITTED, /* its retention runs */
	ROW_EXPIRED,   /* its retention is over */
	ROW_DIR,       /* a directory that is not empty */
	ROW_EMPTY_DIR,
	ROW_SHELF,
	ROW_ROOT, /* the top directory */
	ROW_SYMLINK,
	ROW_MISSING, /* no such name */
	ROW_REMOVED, /* an empty file that was removed while it was open */
	ROW_STATES_
};
#define ROW_FILES (1u << ROW_EMPTY | 1u << ROW_OPEN | 1u << ROW_COMMITTED | 1u << ROW_EXPIRED)
#define ROW_DIRS (1u << ROW_DIR | 1u << ROW_EMPTY_DIR | 1u << ROW_SHELF | 1u << ROW_ROOT)
#define ROW_ALL ((1u << ROW_STATES_) - 1)

enum row_who { ROW_OTHER, ROW_OWNER, ROW_BY_ROOT, ROW_WHO_ };

struct row_attempt {
	const char *section; /* a heading, where a new one begins */
	const char *key;     /* stable name for programs: the table as text is joined on it */
	const char *what;
	unsigned states; /* bits of enum row_state */
	struct cof_op op;
	bool
	    by_descriptor; /* opened earlier, when it was allowed: permissions do not count again */
	struct cof_object more; /* RENAME: the fields about the new name */
	const char *policy;     /* NULL: row_policy */
	bool by_request; /* no system call: left out of the table for programs */
};
extern const struct row_attempt row_attempts[];
extern const size_t row_attempts_count;
extern const char row_policy[];

extern const char *const row_state_names[ROW_STATES_], *const row_state_keys[ROW_STATES_];
extern const char *const row_who_names[ROW_WHO_], *const row_who_keys[ROW_WHO_];

/* Judges as the mount does: first Linux, then Coffer. True where it was Linux. */
bool row_judge(const struct row_attempt *a, enum row_state state, enum row_who who,
	       struct cof_ruling *ret);

#endif
