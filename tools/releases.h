/* SPDX-License-Identifier: Apache-2.0 */
/* Releases of escrow that wait for a veto, by the events of an archive. Pure. */
#ifndef COFFER_RELEASES_H
#define COFFER_RELEASES_H

#include "base/json.h"

struct release {
	char request[65];
	int64_t until;	/* retention time */
	char what[160]; /* for people: which key, for whom */
};
struct releases { /* those that wait still */
	struct release *release;
	size_t n;
};
int releases_add(struct releases *r, const struct cof_json *event); /* the next one, of any type; -ENOMEM */
void releases_done(struct releases *r);

#endif
