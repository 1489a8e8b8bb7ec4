/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive owes by its policy, and until when. Pure. */
#ifndef COFFER_OBLIGATIONS_H
#define COFFER_OBLIGATIONS_H

#include "tools/facts.h"

struct obligation {
	const char *name, *rule; /* "review", "R18" */
	const char *what;	 /* for people */
	int64_t each;		 /* ns; 0: once */
	int64_t last;		 /* when it was done; INT64_MIN: never, and it counts from the archive's creation */
	int64_t due;
	char of[256]; /* rekey, ca_backup: the CA's name, crl: the issuer's, escrow_epoch: why, drills of escrow: whose, change_open: its id; "" */
};
#define OBLIGATIONS_MAX 64 /* of rekeys the first ones */

/* In order of their dates, the most overdue first; those whose span is 0 are left out. Returns their number. */
size_t obligations_of(const struct facts *f, int64_t now, struct obligation ret[OBLIGATIONS_MAX]);

#endif
