/* SPDX-License-Identifier: Apache-2.0 */
/* coffer seal clean: what the archive left in the TPM (fs/archive/seal-clean.c). */
#ifndef TOOLS_SEAL_CLEAN_H
#define TOOLS_SEAL_CLEAN_H

#include "tools/opener.h"
#include "tools/store.h"

/* indices: numbers as text, up to NULL; without one they are shown. */
int seal_clean(struct store *s, struct opener *opener, char **indices, bool json, struct cof_diag *diag);

#endif
