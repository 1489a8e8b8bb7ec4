/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy asks of the places of an archive's copies (R40 to R42), and how far it is so. */
#ifndef COFFER_PLACEMENT_H
#define COFFER_PLACEMENT_H

#include "fs/rules/profile.h"
#include "tools/vaults.h"

/* Whether anything may leave to this vault: its jurisdiction is one of the policy's, and it is as far from the host as
 * that asks. -EPERM with the reason; what is not known is not so. */
int placement_check(const struct store *s, const struct cof_profile *p, const struct vault_entry *e, struct cof_diag *diag);
/* Appends {"text": sentence} for each thing that is not as the policy has it: too few places, too near, too long ago, one
 * administration. */
int placement_judge(const struct store *s, const struct cof_profile *p, struct cof_json *array, struct cof_diag *diag);

#endif
