/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: finding events again. The frames that are events, EVENT frames and those of other
 * types that say what happened to the archive, are the stretches of an object of the index that no inode is,
 * one byte each: so they are found without going through the log.
 */
#ifndef COF_ARCHIVE_EVENTS_H
#define COF_ARCHIVE_EVENTS_H

#include "fs/archive/show.h"

#define COF_EVENTS_INO (1ull << 48) /* inode numbers are below */

bool cof_event_frame(unsigned type);
/* Before the first frame of a replay, when the index has what is below `from`. */
int cof_events_begin(struct cof_archive *a, uint64_t from);
/* One frame that is an event, in order of frames. */
int cof_events_index(struct cof_archive *a, const struct cof_frame *f, uint64_t address);

/* An entry of the log in the shape of docs/format.md 4.1; NULL: it is no event. The caller's to free. */
int cof_event_view(const struct cof_json *entry, struct cof_json **ret);
bool cof_event_matches(const struct cof_events_query *q, const struct cof_json *event);
/* What the frame's header says already: false, it need not be opened. */
bool cof_event_may_match(const struct cof_events_query *q, const struct cof_frame *f);

#endif
