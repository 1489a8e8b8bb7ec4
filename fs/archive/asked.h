/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: what rm asks to be removed (asked.c). */
#ifndef COF_ARCHIVE_ASKED_H
#define COF_ARCHIVE_ASKED_H

#include "fs/archive/internal.h"

/* rm asks for the removal of what has expired. 0: that is on record, from now on or already. Inside the gate. */
int cof_removal_ask(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op);
/* Of any EVENT frame: into the index, where it says that somebody asked. */
int cof_asked_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part,
		    size_t public_len);

#endif
