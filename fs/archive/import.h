/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: lines of other programs' logs that a reader has made events of. Each such event says
 * behind which line of which file it came (tag 150), so where reading goes on is known from the chain alone: no
 * crash, of reader, daemon or host, can lose or double one.
 */
#ifndef COF_ARCHIVE_IMPORT_H
#define COF_ARCHIVE_IMPORT_H

#include "fs/archive/internal.h"

#define COF_IMPORTS 64 /* files that are read */

struct cof_import_place { /* behind a line; end 0: nothing was read */
	uint64_t end, line;
	uint8_t digest[32]; /* of that line */
};

struct cof_imported { /* one file of one source */
	char source[32];
	char *path;
	struct cof_import_place place;
	int64_t lines_at, reported_at; /* boot time: a line came; the reader was there */
	int64_t silence, next;	       /* a line comes, the reader reports, within; ns, 0: not promised */
	bool due_known;		       /* these two are the newest report's */
	enum { COF_HEARD, COF_NO_LINES, COF_NO_READER } told; /* that it is silent, and of what */
};

struct cof_imports {
	pthread_mutex_t lock; /* before the gate: who has the gate only tries */
	bool remembered;      /* what was read before this mount is here, as far as it promised something */
	size_t n;
	struct cof_imported all[COF_IMPORTS];
};

int cof_imports_new(struct cof_imports **ret);
void cof_imports_free(struct cof_imports *s); /* NULL is fine */
/* Who has fallen silent is told of. By the keeper, inside the gate; now: boot time. */
void cof_imports_listen(struct cof_archive *a, int64_t now);

/* The same file of the same source; made where make says so. NULL: none, or too many. With lock. */
struct cof_imported *cof_imported(struct cof_imports *s, const char *source, const char *path, bool make);

/* ---- the chain (import-find.c) ---- */

void cof_import_put(struct cof_buf *fields, const struct cof_import_place *place, const char *path);
struct cof_read_event { /* an event of a reader, out of its fields */
	char source[32], path[4096];
	struct cof_import_place place;
	int64_t next, silence; /* a report: what it promised; else 0 */
	bool report;
};
/* The newest events of readers first, at most so many events looked at, until fn gives 1. Inside the gate. */
int cof_import_back(struct cof_archive *a, uint64_t most, int (*fn)(void *user, const struct cof_read_event *e),
		    void *user);

#endif
