/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked at for the rules about copies in other places: R10 and R40 to R46. */
#include "tools/compliance.h"
#include "tools/placement.h"

#include <stdio.h>

#define SAY compliance_says
#define VAULTS "coffer vault list STORE"

/* The sentences of this rule, or of all; the first is kept. */
static size_t findings_of(const struct looked *l, const char *rule, char first[400], struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = cof_json_array();
	size_t n = 0;

	if (placement_judge(&l->f->store, l->p, all, diag) < 0)
		return SIZE_MAX;
	for (size_t i = 0; i < cof_json_count(all); i++) {
		const char *text = cof_json_str(cof_json_at(all, i), "text");

		if (!text || !strstr(text, rule))
			continue;
		if (!n++)
			snprintf(first, 400, "%.390s", text);
	}
	return n;
}

/* FAIL by what placement says of this rule; true: said. */
static bool misplaced(struct looked *l, const char *rule)
{
	struct cof_diag diag = {""};
	char first[400];
	size_t n = findings_of(l, rule, first, &diag);

	if (n == SIZE_MAX)
		SAY(l, FAIL, VAULTS, "what is noted of the vaults cannot be read: %.300s", diag.text);
	else if (n)
		SAY(l, FAIL, VAULTS, "%s", first);
	return n != 0;
}

void check_archived(struct looked *l)
{
	const struct cof_json *a = l->f->mounted ? cof_json_get(l->f->status, "archived") : NULL;
	char when[32];

	if (!l->f->mounted) {
		SAY(l, MANUAL, "coffer status STORE", "what a vault in another place has confirmed is known of a mounted archive");
		return;
	}
	if (!a || l->f->last_offsite == INT64_MIN) {
		SAY(l, FAIL, "coffer sync STORE", "no vault in another place has confirmed anything");
		return;
	}
	cof_time_text(l->f->last_offsite, when);
	when[10] = '\0';
	if (l->p->archived_within && l->now - l->f->last_offsite > l->p->archived_within)
		SAY(l, FAIL, "coffer sync STORE", "a vault in another place confirmed last on %s: longer ago than archived_within", when);
	else if (misplaced(l, "(R10)"))
		return;
	else if (l->p->vault_grade)
		SAY(l, PASS, VAULTS, "a vault in another place confirmed on %s, and its signature is in the chain; each vault states the grade that "
				     "the policy asks for (%u) or a higher one",
		    when, l->p->vault_grade);
	else
		SAY(l, PASS, "coffer verify STORE --vault-key KEY", "a vault in another place confirmed on %s, and its signature is in the chain; "
								    "what came since waits",
		    when);
}

void check_apart(struct looked *l)
{
	if (!l->p->places && !l->p->distance)
		SAY(l, NOT_APPLICABLE, NULL, "the policy asks for no number of places and no distance");
	else if (!misplaced(l, "(R41)"))
		SAY(l, MANUAL, VAULTS, "by what the vaults say there are %u places, %u km apart at the least; whether they stand there is for you to "
				       "look at",
		    l->p->places, l->p->distance);
}

void check_borders(struct looked *l)
{
	if (!misplaced(l, "(R42)"))
		SAY(l, MANUAL, VAULTS, "all vaults say that they stand where copies may go (%s%s%s), and that is asked before anything is sent; what else "
				       "copies the store is for you to look at",
		    *l->p->jurisdictions ? l->p->jurisdictions : "any", *l->p->forbidden_jurisdictions ? ", not " : "",
		    l->p->forbidden_jurisdictions);
}

void check_retired(struct looked *l)
{
	size_t open = 0;

	for (size_t i = 0; i < l->f->n_retirements; i++)
		open += l->f->retirements[i].open;
	if (open)
		SAY(l, FAIL, "coffer due STORE", "%zu of %zu vaults that were left signed no receipt that they destroyed what they had", open,
		    l->f->n_retirements);
	else if (l->f->n_retirements)
		SAY(l, PASS, "coffer events STORE --type vault-retired", "each of %zu vaults that were left signed that it destroyed what it had; backups "
									 "that its provider made are not covered by that",
		    l->f->n_retirements);
	else
		SAY(l, NOT_APPLICABLE, "coffer vault retire STORE NAME", "no vault was left yet; any vault restores to any host, and one that is left is an open "
								    "item until its receipt comes");
}

void check_successor(struct looked *l)
{
	SAY(l, MANUAL, "coffer handover take STORE STATEMENT", "whether the service ends is for you to know; a successor's keys, people and envelope, and that "
							       "all of it is there, are judged then");
}

void check_replay(struct looked *l)
{
	SAY(l, PASS, "docs/vault-protocol.md, docs/format.md 9",
	    "a request names archive, head and a nonce and counts once; a vault takes only what extends what it has");
}
