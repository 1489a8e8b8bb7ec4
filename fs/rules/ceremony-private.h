/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files ceremony*.c. */
#ifndef COF_CEREMONY_PRIVATE_H
#define COF_CEREMONY_PRIVATE_H

#include "fs/rules/ceremony.h"

/* ceremony-keys.c: whether the object has the keys of that line, each in its form, and no other. opened: also those of its kind. */
int ceremony_keys(const struct cof_json *o, enum cof_ceremony_what what, struct cof_diag *diag);
int ceremony_what_find(const char *name); /* -ENOENT */
int ceremony_step_find(const char *name);
bool ceremony_plain_name(const char *name);

static inline int ceremony_bad(struct cof_diag *diag, const char *why)
{
	return cof_fail(diag, -EUCLEAN, "%s", why);
}

#endif
