/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles by name or file. */
#ifndef COFFER_PROFILE_H
#define COFFER_PROFILE_H

#include "fs/rules/profile.h"

/* A word without a slash and a dot is one that ships, in COFFER_PROFILES or the installed directory; else a file. ret_text
 * (NULL: not wanted) gets the file's bytes. */
int profile_load(const char *name, struct cof_profile_file *ret, struct cof_buf *ret_text, struct cof_diag *diag);

#endif
