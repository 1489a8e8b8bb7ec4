/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: something happened, and goes on record as an EVENT frame of one shape
 * (docs/format.md 4.1). What the event does not say, catalogue id, outcome, severity and whether people
 * are told at once, the table of types says (fs/rules/catalogue.h).
 */
#ifndef COF_ARCHIVE_NOTE_H
#define COF_ARCHIVE_NOTE_H

#include "fs/archive/internal.h"
#include "fs/rules/catalogue.h"

struct cof_event { /* what is NULL or 0 does not apply, or is the type's */
	const char *type;     /* "refused", "leak", "hold-begin"; of the table, or a new one */
	const char *catalogue, *outcome, *severity;
	const char *source;   /* who saw it; NULL: "coffer" */
	const char *actor_name; /* who signed it, or is said to have done it */
	const char *operation, *path, *reason, *detail;
	const char *place;    /* NULL: this host */
	const struct cof_who *who; /* the process that did it; NULL: the daemon */
	uint64_t object;      /* inode */
	int64_t time;	      /* when it happened, as claimed; 0: now */
	uint64_t count;	      /* that often, between first and last; 0: once, now */
	int64_t first, last;
	const uint8_t *request; /* 32 bytes: of which approved request it is the effect (tag 112) */
	const void *public_fields; /* of the public part, beside the request */
	size_t public_len;
	const void *fields;   /* further fields of the private part, as cof_field_put makes them */
	size_t fields_len;
	struct cof_append *done; /* filled, when it is accepted */
	bool alarm;	      /* people are told at once, whatever the type says */
	bool ordinary;	      /* the disk's reserve is not for it */
	bool quiet;	      /* they are not, whatever the type says: somebody has told them */
};

/*
 * Accepted when it returns 0; durable only after a sync, as any frame. May use the reserve of the disk.
 * Inside the gate, or before others have the archive; object and tree locks may be held. An alarm is
 * told also when the frame could not be written, and says so then. ret_sequence may be NULL.
 */
int cof_event_emit(struct cof_archive *a, const struct cof_event *e, uint64_t *ret_sequence);

/* A frame of another type is on record that is an event of this type: people are told, as the table says. */
void cof_event_told(struct cof_archive *a, const struct cof_event *e, uint64_t sequence);

/* Fields 140 to 142 as the table has them for this type: for who makes a frame of its own. */
void cof_event_put_meaning(struct cof_buf *fields, const char *type);

#endif
