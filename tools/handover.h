/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that nobody may have before it is on record that they have it. It is written and synced without a name, then the
 * caller records, then it gets its name: a crash before the record leaves nothing, one behind it costs what the record says.
 * Where files without names are not known (FAT, some of the network), the name is there at once with zeros for content.
 */
#ifndef COFFER_HANDOVER_H
#define COFFER_HANDOVER_H

#include "base/base.h"

struct handover {
	const char *path;
	const void *p;
	size_t n;
	int fd;
	bool named;
};
#define HANDOVER_INIT {.fd = -1}

/* A new file of mode 0400; room for it is taken. p stays the caller's until handover_done. */
int handover_begin(struct handover *h, const char *path, const void *p, size_t n, struct cof_diag *diag);
/* It is on record: the content under its name, durable. After an error nothing is there. */
int handover_give(struct handover *h, struct cof_diag *diag);
/* What was not given goes. */
void handover_done(struct handover *h);

#endif
