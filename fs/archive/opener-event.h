/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: what happened to an archive's openers while nobody had it mounted, kept until the
 * next mount puts it on record as EVENT frames (docs/format.md 7.11). Two lists: in the top, of who had the
 * keys; and in seal/attempts, of who tried and had not (door.c).
 */
#ifndef COF_ARCHIVE_OPENER_EVENT_H
#define COF_ARCHIVE_OPENER_EVENT_H

#include "base/json.h"
#include "fs/io/io.h"

enum cof_opener_what {
	COF_OPENER_MORE = 0, /* more than are kept one by one */
	COF_OPENER_FAILED = 1, COF_OPENER_LOCKED, COF_OPENER_REFUSED, COF_OPENER_UNLOCKED,
	COF_OPENER_LOST, /* seal/attempts was damaged */
	COF_OPENER_ADDED = 16, COF_OPENER_REMOVED, COF_OPENER_RENEWED, COF_OPENER_ENVELOPE, COF_OPENER_AUDITORS,
};
enum cof_opener_how {
	COF_HOW_PLAIN = 0,
	COF_HOW_UNJUDGED, /* FAILED: the program ended before it was told wrong or right */
	COF_HOW_OPENER,	  /* UNLOCKED: by an opener that no lock keeps out */
	COF_HOW_IDENTITY, /* an identity of the recovery envelope */
	COF_HOW_WAITED,	  /* the right passphrase or PIN after the wait */
	COF_HOW_RECOVERED /* all openers are new */
};

#define COF_OPENER_COMMAND 15
struct cof_opener_event {
	uint8_t what, how, kind, sets; /* kind: of the opener, or 0; sets: of PCR values */
	uint32_t n, count, uid, login, pcrs; /* n: the opener's number; uid, login: UINT32_MAX unknown */
	int64_t first, last; /* record time */
	char command[COF_OPENER_COMMAND + 1];
};
#define COF_OPENER_EVENT_LEN 40 /* bytes without the command */

#define COF_OPENER_EVENTS 24
struct cof_opener_events {
	size_t n;
	struct cof_opener_event event[COF_OPENER_EVENTS];
};

/* Now, once, by this process. */
struct cof_opener_event cof_opener_event_now(enum cof_opener_what what);
/* Adds it, into the last one where it is a repetition. What finds no room is added to one of its kind, or to
 * one that only counts: no more is lost than who and when. */
void cof_opener_events_add(struct cof_opener_events *l, const struct cof_opener_event *e);

/* COF_OPENER_EVENT_LEN and the command's bytes into out; how many. */
size_t cof_opener_event_store(const struct cof_opener_event *e, uint8_t out[COF_OPENER_EVENT_LEN + COF_OPENER_COMMAND]);
int cof_opener_event_load(const uint8_t *p, size_t n, struct cof_opener_event *ret); /* -EUCLEAN */

struct cof_archive;
/* Writes both lists as EVENT frames behind the MOUNT frame, makes them durable, and empties the lists. After a
 * crash in between they are on record twice. */
int cof_opener_events_record(struct cof_archive *a, struct cof_diag *diag);

#endif
