/* SPDX-License-Identifier: Apache-2.0 */
/* What escrow owes: a new epoch after a recovery, and a backup for each CA's key. Pure. */
#ifndef COFFER_ESCROW_DUE_H
#define COFFER_ESCROW_DUE_H

#include "tools/escrow-ledger.h"

/* A key of it was recovered: its secret was in one place. Until no key is encrypted to it any more. */
bool escrow_renewal_due(const struct ledger *l, const struct ledger_epoch *e);
/* Whether a backup of the key with this certificate is kept (SHA-256 of the certificate, in hexadecimal). */
bool escrow_has_backup(const struct ledger *l, const char *certificate);

#endif
