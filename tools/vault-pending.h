/* SPDX-License-Identifier: Apache-2.0 */
/* STORE/vaults/pending: what happened with vaults while nobody had the archive open, a line of JSON each, until a mount chains it. */
#ifndef COFFER_VAULT_PENDING_H
#define COFFER_VAULT_PENDING_H

#include "base/base.h"
#include "base/json.h"

#define PENDING_MAX (1u << 20)
#define PENDING_RECEIPTS_MAX (PENDING_MAX / 2) /* beyond it no text that a vault signed is added, which sends it again: other records have room */

/* The file with one more record. 1: its document waits there already, of that vault · -ENOBUFS: no more documents are kept ·
 * -EDQUOT: nothing more is · -ENOMEM. */
int pending_join(const void *there, size_t n, struct cof_json *record, struct cof_buf *ret);

#endif
