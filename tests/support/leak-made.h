/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets, made up, in the places where they slip into logs. The same for the same state of the logs. */
#ifndef LEAK_MADE_H
#define LEAK_MADE_H

#include "base/base.h"
#include "fs/leak/leak.h"
#include "leak-logs.h"

struct made {
	struct cof_buf text; /* what surrounds it, too; ends with a line end */
	size_t at, len;	     /* the secret in it */
	const char *how;     /* which form of its kind */
};

/* variant: any number; the forms of the kind in turn, the rest by chance. */
void made_leak(struct logs *l, enum cof_leak_kind kind, unsigned variant, struct made *ret);
void made_done(struct made *m);

#endif
