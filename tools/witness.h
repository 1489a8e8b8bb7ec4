/* SPDX-License-Identifier: Apache-2.0 */
/* Witnesses over HTTPS: any that speaks c2sp.org/tlog-witness. They hold no copy, and sign what they have seen. */
#ifndef COFFER_WITNESS_H
#define COFFER_WITNESS_H

#include "tools/vaults.h"

bool witness_is_url(const char *url); /* https://, or http:// */
/* http:// is of this host only: the way to another has to be TLS. -EINVAL */
int witness_url_check(const char *url, struct cof_diag *diag);
/* Asks it to cosign the newest checkpoint of the store, and keeps what it signed. ret->refusal: stale or fork. */
int witness_ask(const struct store *s, struct vault_entry *e, struct vault_sent *ret, struct cof_diag *diag);

#endif
