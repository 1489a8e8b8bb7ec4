/* SPDX-License-Identifier: Apache-2.0 */
/* Two policies key by key: what each was and is, and which of it promises less. */
#ifndef COFFER_POLICY_ROWS_H
#define COFFER_POLICY_ROWS_H

#include "fs/rules/rules.h"

/* old or then is "" where the key has no value there. */
typedef void policy_row_fn(void *user, const char *key, const char *old, const char *then, bool weaker);

/* A shelf's, compared as a whole: whether it is weaker is the rules' to say. Texts that this version cannot read are
 * compared line by line. */
int policy_rows_shelf(const char *old, const char *then, policy_row_fn *row, void *user, bool *ret_changed, bool *ret_weaker);
/* The archive's; old NULL: the defaults. */
int policy_rows_archive(const char *old, const char *then, policy_row_fn *row, void *user);

#endif
