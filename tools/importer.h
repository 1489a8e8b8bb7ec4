/* SPDX-License-Identifier: Apache-2.0 */
/* What import-events does: lines of a file become batches of events that the archive's daemon records. */
#ifndef COFFER_IMPORTER_H
#define COFFER_IMPORTER_H

#include "tools/import/import.h"
#include "tools/store.h"

#define IMPORT_NAMED 8 /* lines that fit no rule, of which a report says the numbers */

struct import_counts {
	uint64_t lines, events, ignored, unmatched, costly, cut;
};

struct importer { /* zero to begin with; the first of these are the caller's to set */
	const char *store_arg, *source_arg, *path;
	bool follow, trying, json;
	int64_t period; /* ns between reports while a file is followed */
	struct import_source *source;
	struct import_counts total, since; /* since the last batch */
	unsigned kinds;			   /* self test: of events that came out */
	/* the batch under way */
	struct store store;
	char *real_path;
	struct cof_json *events;
	size_t n_events, bytes;
	struct import_place place;   /* behind the last line read */
	struct import_place taken;   /* behind that of the last event of the batch */
	struct import_place recorded; /* what the daemon has */
	const char *lost;	     /* to be recorded: why lines may be missing */
	uint64_t bad[IMPORT_NAMED];  /* numbers of lines that no rule fits, since the last report */
	uint64_t n_bad;
};

/* Runs to the end of the file, or until a signal. 0 or -errno with diag. */
int importer_run(struct importer *im, struct cof_diag *diag);
/* The source's own sample lines instead of a file: all have to become what they should, which goes on record with
 * the kinds of events that came out. */
int importer_test(struct importer *im, struct cof_diag *diag);
void importer_done(struct importer *im);
void import_counts_json(const struct import_counts *c, struct cof_json *into);

/* A source by name (of those that ship) or file. ret_lines (may be NULL): its sample lines. */
int import_load(const char *arg, struct import_source **ret, struct cof_buf *ret_lines, struct cof_diag *diag);

/* ---- to the daemon (import-send.c) ---- */

/* What was read last, into place and recorded. */
int import_ask_place(struct importer *im, struct cof_diag *diag);
/* One more event, of the line before place; sends the batch when it is full. */
int import_add(struct importer *im, const struct import_event *e, struct cof_diag *diag);
/* Sends what there is; with report (taken) always. */
int import_flush(struct importer *im, struct cof_json *report, struct cof_diag *diag);
/* That somebody reads up to here, with what was counted. */
int import_report(struct importer *im, struct cof_diag *diag);

#endif
