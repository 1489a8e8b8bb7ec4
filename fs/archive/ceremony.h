/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: transcripts of ceremonies, CEREMONY frames (docs/format.md 4 and 10.2). */
#ifndef COF_ARCHIVE_CEREMONY_H
#define COF_ARCHIVE_CEREMONY_H

#include "fs/archive/people.h"

/* A field of a CEREMONY frame into the object. False: its length is not the field's. */
bool cof_ceremony_show(struct cof_json *o, const struct cof_field *f);

/* The verbs, with the people lock held. "ceremony-put": transcript and sheet in base64; judged, on record. "ceremonies": one object for
 * each that is on record, in order. */
int cof_ceremony_put(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		     struct cof_diag *diag);
int cof_ceremony_list(struct cof_archive *a, cof_show_fn fn, void *user, struct cof_diag *diag);

#endif
