/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor secrets: a file with a line for each lineage of the seal, or an age identity for which the
 * store holds them (docs/format.md 7.5). With them verify recomputes every seal tag.
 */
#ifndef COFFER_AUDITOR_H
#define COFFER_AUDITOR_H

#include "fs/archive/archive.h"

struct auditors {
	struct cof_auditor *secret; /* secure memory */
	size_t n;
	uint8_t archive_id[16]; /* of the lines; of what the store holds it is the store's own */
	bool has_id;
};

/* store: NULL: only lines will do; else an age identity, which may not lie in it, opens what it holds. */
int auditors_load(const char *path, const char *store, struct cof_io *io, struct auditors *ret,
		  struct cof_diag *diag);
void auditors_done(struct auditors *a); /* wipes */

#endif
