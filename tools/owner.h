/* SPDX-License-Identifier: Apache-2.0 */
/* Acting as the owner of a store, where root changes one that is another user's. */
#ifndef COFFER_OWNER_H
#define COFFER_OWNER_H

#include "base/base.h"

/* From here on what is made in STORE is its owner's. Nothing, unless this is root and the owner is
 * not. What only root may read (key files, a terminal) is read before. */
int owner_take(const char *store, struct cof_diag *diag);
int owner_leave(void); /* root again, if it was */
/* Gives the (empty) directory to this user. */
int owner_give(const char *user, const char *store, struct cof_diag *diag);

#endif
