/* SPDX-License-Identifier: Apache-2.0 */
/* Media and hardware modules by their records: the newest record of each says how it is. Pure. */
#ifndef COFFER_ESCROW_THINGS_H
#define COFFER_ESCROW_THINGS_H

#include "tools/escrow-ledger.h"

#define ESCROW_TOKEN_USED "used"

/* what: "medium" or "token". The newest record of that name, borrowed, and its detail, the caller's; NULL: there is none. */
const struct cof_json *escrow_thing(const struct ledger *l, const char *what, const char *name, struct cof_json **ret_detail);
/* One object for each, in the order in which they were first written down: name, kind ("medium", "token"), time of the newest
 * record and what that says; of tokens also how many keys it wrapped. */
int escrow_things(const struct ledger *l, const char *what, struct cof_json *ret_list);

#endif
