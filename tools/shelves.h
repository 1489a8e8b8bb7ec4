/* SPDX-License-Identifier: Apache-2.0 */
/* The shelves of an archive: asked of its daemon, or read and made in a store that is not mounted.
 */
#ifndef COFFER_SHELVES_H
#define COFFER_SHELVES_H

#include "tools/opener.h"
#include "tools/store.h"

struct shelves {
	struct store store;
	struct opener opener;        /* of a store that is not mounted */
	bool direct;                 /* no daemon */
	struct cof_archive *archive; /* opened directly, to change something */
	struct cof_json *all; /* array of objects: name, ino, policy; bytes and files when known */
};

/* changes: something will be added or set, so a store that is not mounted is locked and opened for
 * it. */
int shelves_open(struct shelves *s, const char *arg, const struct opener_args *a, bool changes,
		 struct cof_diag *diag);
int shelves_load(struct shelves *s, struct cof_diag *diag);               /* fills all anew */
struct cof_json *shelves_find(const struct shelves *s, const char *name); /* borrowed, or NULL */
int shelves_add(struct shelves *s, const char *name, const char *policy, struct cof_diag *diag);
int shelves_set(struct shelves *s, const char *name, const char *policy, struct cof_diag *diag);
/* Everything durable. r: what happened before, given back if it is an error. */
int shelves_close(struct shelves *s, int r, struct cof_diag *diag);

#endif
