/* SPDX-License-Identifier: Apache-2.0 */
/* What is carried by hand between people: receipts of bundles, statements of what is handed over. */
#ifndef COFFER_PAPERS_H
#define COFFER_PAPERS_H

#include "base/json.h"
#include "crypto/note.h"

/* What coffer-vault receive wrote: has archive and note. -EUCLEAN */
int receipt_parse(const char *text, size_t n, struct cof_json **ret);

#define HANDOVER_FIRST "coffer-handover/1\n"
struct handover_said {
	char archive[40], size[24], root[2 * COF_HASH + 1], envelope[2 * COF_HASH + 1], time[40], to[512];
	const char *note; /* within the text: the signed head */
};
/* text: NUL-terminated. -EUCLEAN. What it says is not compared with anything. */
int handover_parse(const char *text, struct handover_said *ret);

#endif
