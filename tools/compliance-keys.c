/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at for the rules about keys that are kept for others, R20 to R28, by the records of escrow. */
#include "tools/compliance.h"
#include "tools/escrow-drills.h"
#include "tools/escrow-due.h"

#include <stdio.h>

#define SAY compliance_says

#define INVENTORY "coffer escrow inventory STORE"
#define CEREMONIES "coffer ceremony list STORE"

/* True, and said, where nothing is kept. */
static bool nothing_kept(struct looked *l)
{
	if (l->f->escrow.n_keys)
		return false;
	SAY(l, MANUAL, INVENTORY, "no key is kept in this archive: what is done with keys elsewhere is for you to look at");
	return true;
}

static size_t keys_with(const struct ledger *e, const char *what, const char *value)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_keys; i++)
		n += !strcmp(ledger_text(e->key[i].o, what), value);
	return n;
}

/* Refused at the door: a record that says otherwise would be one that nobody judged. */
void check_signing_keys(struct looked *l)
{
	const struct ledger *e = &l->f->escrow;
	size_t wrong = 0;

	if (nothing_kept(l))
		return;
	for (size_t i = 0; i < e->n_keys; i++)
		wrong += !strcmp(ledger_text(e->key[i].o, "purpose"), "escrow") && !strcmp(ledger_text(e->key[i].o, "usage"), "sign");
	if (wrong)
		SAY(l, FAIL, INVENTORY, "%zu keys for signing are kept in escrow", wrong);
	else
		SAY(l, MANUAL, INVENTORY, "of %zu keys on record %zu are backups; one for signing is refused in escrow; those that their module "
					  "wrapped are opaque, and for you to look at",
		    e->n_keys, keys_with(e, "purpose", "backup"));
}

void check_backups_of_keys(struct looked *l)
{
	const struct ledger *e = &l->f->escrow;
	size_t cas = 0;

	if (!l->p->ca_key_backup) {
		SAY(l, NOT_APPLICABLE, NULL, "the policy asks for no backup of a CA's key");
		return;
	}
	for (size_t i = 0; i < l->f->cas.keys.n; i++) {
		const struct ca *ca = &l->f->cas.keys.ca[i];

		if (ca->to < l->now)
			continue;
		cas++;
		if (!escrow_has_backup(e, ca->fingerprint)) {
			SAY(l, FAIL, "coffer escrow put STORE SHELF KEY --cert CERT --owner ca --backup",
			    "the key of %.200s has no backup on record", ca->name);
			return;
		}
	}
	if (!cas)
		SAY(l, MANUAL, "coffer find STORE --certificates",
		    "no certificate of a CA that is valid now is in the archive: which keys have backups is for you to look at");
	else
		SAY(l, PASS, INVENTORY, "each of %zu CAs whose certificates are archived has a backup of its key on record", cas);
}

/* A shelf where keys are kept and no epoch is in force any more; NULL: there is none. */
static const char *without_epoch(const struct facts *f)
{
	for (size_t i = 0; i < f->escrow.n_keys; i++) {
		const struct ledger_key *k = &f->escrow.key[i];

		if (!k->revoked && !cof_json_bool(k->o, "rehearsal") && !escrow_ledger_current_on(&f->escrow, k->shelf, false))
			return facts_shelf_name(f, k->shelf);
	}
	return NULL;
}

void check_quorum(struct looked *l)
{
	const char *shelf = without_epoch(l->f);

	if (nothing_kept(l))
		return;
	if (!escrow_ledger_current(&l->f->escrow, false))
		SAY(l, FAIL, "coffer escrow status STORE", "%zu keys are kept, and no epoch of escrow is in force", l->f->escrow.n_keys);
	else if (shelf)
		SAY(l, FAIL, "coffer escrow status STORE", "keys are kept on the shelf %.200s, and no epoch of escrow is in force there", shelf);
	else
		SAY(l, PASS, INVENTORY, "%zu keys are kept for an epoch's custodians: a scheme that fewer than two persons meet is refused, and a key "
					"goes out by an approved release alone",
		    l->f->escrow.n_keys);
}

void check_ciphertext(struct looked *l)
{
	const struct ledger *e = &l->f->escrow;
	size_t wrapped = 0;

	if (nothing_kept(l))
		return;
	for (size_t i = 0; i < e->n_keys; i++)
		wrapped += cof_json_bool(e->key[i].o, "wrapped");
	SAY(l, MANUAL, INVENTORY, "all %zu keys are kept encrypted to an epoch's recipient, %zu of them wrapped by their module before; what "
				  "files they came from, and were wiped, is for you to look at",
	    e->n_keys, wrapped);
}

void check_dispersal(struct looked *l)
{
	const char *shelf = without_epoch(l->f);

	if (!escrow_ledger_current(&l->f->escrow, false))
		SAY(l, FAIL, "coffer escrow accept STORE SHELF EPOCH", "no epoch of escrow is in force: nobody holds shares");
	else if (shelf)
		SAY(l, FAIL, "coffer escrow accept STORE SHELF EPOCH", "no epoch of escrow is in force on the shelf %.200s: nobody holds shares of one",
		    shelf);
	else
		SAY(l, MANUAL, "coffer escrow status STORE", "an epoch is in force; its status names what one person, place or medium opens, and "
							     "which losses it survives: whether the shares lie where it says is for you to look at");
}

/* Of this very document: whoever had the secret could have shared it among others. */
static bool has_ceremony(const struct facts *f, const struct ledger_epoch *e)
{
	const char *document = "";
	char name[FACTS_MADE];

	for (size_t i = 0; i < f->escrow.n_records; i++)
		if (ledger_number(f->escrow.record[i], "sequence") == (int64_t)e->valid_at)
			document = ledger_text(f->escrow.record[i], "sha256");
	facts_made_name(e->number, e->epoch_key, document, name);
	for (size_t i = 0; i < cof_json_count(f->ceremonies); i++)
		if (!strcmp(cof_json_value_str(cof_json_at(f->ceremonies, i)), name))
			return true;
	return false;
}

void check_ceremonies(struct looked *l)
{
	const struct ledger *e = &l->f->escrow;
	size_t epochs = 0;

	for (size_t i = 0; i < e->n_epochs; i++) {
		const struct ledger_epoch *one = &e->epoch[i];

		if (!one->valid || one->rehearsal || one->revoked)
			continue;
		epochs++;
		if (!has_ceremony(l->f, one)) {
			char of[96];

			facts_epoch_name(l->f, one, of, sizeof(of));
			SAY(l, FAIL, CEREMONIES, "%s is in force, and no transcript of a ceremony that made it is on record%s", of,
			    l->p->escrow_ceremony ? "" : "; the policy does not ask for one either (escrow_ceremony)");
			return;
		}
	}
	if (!epochs && !l->p->escrow_ceremony)
		SAY(l, NOT_APPLICABLE, NULL, "no epoch of escrow is in force, and the policy asks for no ceremonies (escrow_ceremony)");
	else if (!epochs)
		SAY(l, FAIL, CEREMONIES, "no epoch of escrow is in force: %zu transcripts of a making are on record", cof_json_count(l->f->ceremonies));
	else
		SAY(l, PASS, CEREMONIES, "of each of %zu epochs in force the making is on record: an auditor was present, two confirmed each step, all signed",
		    epochs);
}

void check_inventory(struct looked *l)
{
	if (!l->f->escrow.n_keys)
		SAY(l, FAIL, INVENTORY, "the inventory is empty");
	else
		SAY(l, MANUAL, INVENTORY, "%zu keys are listed with use, strength, who reaches them and the last drill; whether it is all is for "
					  "you to look at",
		    l->f->escrow.n_keys);
}

void check_single_use(struct looked *l)
{
	if (!nothing_kept(l))
		SAY(l, MANUAL, INVENTORY, "a key that is for both uses is refused, and what somebody decided is in the record; of %zu keys those that "
					  "their module wrapped are opaque, and for you to look at",
		    l->f->escrow.n_keys);
}

/* ---- drills ---- */

#define SCHEDULE "coffer escrow schedule STORE"

static bool one_failed(struct looked *l, const struct escrow_drills *d)
{
	int64_t promised = d->promised ? d->promised : l->p->escrow_time;
	char took[32], wanted[32], of[96];

	facts_epoch_name(l->f, d->epoch, of, sizeof(of));
	for (unsigned i = 0; i < d->n; i++)
		if (d->custodian[i].failed != INT64_MIN) {
			SAY(l, FAIL, SCHEDULE, "the last answer of %s for %s was refused: %.200s", d->custodian[i].name, of,
			    d->custodian[i].reason);
			return true;
		}
	if (d->full_failed != INT64_MIN) {
		SAY(l, FAIL, SCHEDULE, "the last full drill of %s failed: %.200s", of, d->full_reason);
		return true;
	}
	if (d->full == INT64_MIN || !promised || d->took <= promised)
		return false;
	cof_duration_text(d->took, took);
	cof_duration_text(promised, wanted);
	SAY(l, FAIL, SCHEDULE, "the last full drill of %s took %s; promised are %s", of, took, wanted);
	return true;
}

bool drills_failed(struct looked *l)
{
	const struct ledger *e = &l->f->escrow;
	bool failed = false;

	for (size_t i = 0; !failed && i < e->n_epochs; i++) {
		struct escrow_drills d;

		if (!escrow_drills_wanted(e, &e->epoch[i]))
			continue;
		if (escrow_drills_of(e, &e->epoch[i], l->p, &d) == 0)
			failed = one_failed(l, &d);
		escrow_drills_done(&d);
	}
	return failed;
}
