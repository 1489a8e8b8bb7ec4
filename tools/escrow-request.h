/* SPDX-License-Identifier: Apache-2.0 */
/* A request that coffer escrow makes for its user: written, and where a key is at hand signed and submitted. */
#ifndef COFFER_ESCROW_REQUEST_H
#define COFFER_ESCROW_REQUEST_H

#include "tools/escrow-archive.h"

struct escrow_asking {
	const char *as;	    /* its author, as in the people file */
	const char *reason; /* NULL: none */
	const char *key;    /* a private key of ssh: signs and submits; NULL: only written */
	const char *dir;    /* for ID.request and ID.sheet; NULL: here */
};
/* Says on standard output what was done, or what is next. words: n of them, behind the action's name. */
int escrow_request(struct escrow_shelf *s, const struct escrow_asking *a, const char *action, const char *const *words, size_t n,
		   struct cof_json **ret, struct cof_diag *diag);
/* A record that proposes something (its "proposes" is set), and the request for it; without a->as only the record, and what
 * comes next is said. */
int escrow_propose(struct escrow_shelf *s, const struct escrow_asking *a, struct cof_json *record, struct cof_diag *diag);

#endif
