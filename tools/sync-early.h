/* SPDX-License-Identifier: Apache-2.0 */
/* Private to sync: ssh, and the program at the vault, take longest to begin. They do while this one looks at keys and store. */
#ifndef COFFER_SYNC_EARLY_H
#define COFFER_SYNC_EARLY_H

#include "tools/vaults.h"

/* Opens the line to the vault that a sync begins with: this one, or the first (NULL). Nothing is said on it, and nothing of the
 * entry is believed: who speaks there looks at it once more. Needs no cof_crypto_init; without one nothing is lost, and whoever
 * opens it then says why. */
int sync_early(const struct store *s, const char *vault, char ret_url[512], struct vault_line *ret);

#endif
