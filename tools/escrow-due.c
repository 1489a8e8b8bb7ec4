/* SPDX-License-Identifier: Apache-2.0 */
/* What escrow owes. */
#include "tools/escrow-due.h"

bool escrow_renewal_due(const struct ledger *l, const struct ledger_epoch *e)
{
	uint64_t recovered = e->recovered_at;

	for (size_t i = 0; i < l->n_epochs; i++) /* shares of the same secret, made anew, do not change that */
		if (!strcmp(l->epoch[i].epoch_key, e->epoch_key))
			recovered = COF_MAX(recovered, l->epoch[i].recovered_at);
	return recovered && !e->rehearsal && escrow_ledger_keys(l, e->epoch_key);
}

bool escrow_has_backup(const struct ledger *l, const char *certificate)
{
	for (size_t i = 0; i < l->n_keys; i++) {
		const struct ledger_key *k = &l->key[i];

		if (!k->revoked && !strcmp(ledger_text(k->o, "purpose"), "backup") && !cof_json_bool(k->o, "rehearsal") &&
		    !strcmp(ledger_text(k->o, "certificate"), certificate))
			return true;
	}
	return false;
}
