/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: incidents that people signed, and the alarms of their countdown (R61, R64): when one is opened or
 * graded anew, when half of the time to tell somebody of it is over, and when all of it is. Said once in each mount.
 */
#ifndef COF_ARCHIVE_INCIDENT_H
#define COF_ARCHIVE_INCIDENT_H

#include "fs/archive/internal.h"

/* Of an EVENT frame, by its public part: it is a form about an incident. */
bool cof_incident_form(const void *public_part, size_t public_len);
/* One that is on record, in order of frames; at the mount those of before. Others change nothing. */
int cof_incident_meet(struct cof_archive *a, uint64_t sequence, const void *public_part, size_t public_len);
void cof_incident_tick(struct cof_archive *a); /* once a second, without the gate */
void cof_incident_free(struct cof_archive *a);

#endif
