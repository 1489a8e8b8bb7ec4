/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dates of a policy: one table of what is to be done again and again, and which event says that it was; new keys
 * and CRLs of CAs by the certificates that are archived.
 */
#include "tools/obligations.h"
#include "tools/escrow-drills.h"
#include "tools/escrow-due.h"

#include <stdio.h>

#define EPOCH_NAME 96

static const struct {
	const char *name, *rule, *what;
	size_t each; /* in struct cof_profile */
} table[] = {
#define EACH(name, rule, what) {#name, rule, what, offsetof(struct cof_profile, name)}
    EACH(proof, "R8", "a proof of time: coffer clock STORE --stamp"),
    EACH(self_check, "R17", "integrity of software and configuration"),
    EACH(review, "R18", "review of significant events: coffer review"),
    EACH(failed_logins, "R18", "review of failed logins: coffer review --logins"),
    EACH(access_review, "R18", "review of access rights"),
    EACH(report, "R18", "report to the head"),
    EACH(report_yearly, "R18", "yearly report to the head"),
    EACH(audit, "R18", "audit"),
    EACH(escrow_drill, "R27", "custodians' shares tried: coffer escrow drill --custodian"),
    EACH(escrow_full_drill, "R27", "a key's recovery tried: coffer escrow drill"),
    EACH(restore_drill, "R27", "a restore on another host tried"),
    EACH(crl, "R32", "a CRL issued"),
    EACH(backup_local, "R40", "local backup"),
    EACH(backup_offsite, "R40", "backup away from here: coffer sync STORE"),
    EACH(drill_emergency, "R63", "drill: emergency"),
    EACH(drill_compromise, "R63", "drill: key compromise"),
    EACH(drill_resources, "R63", "drill: damage to resources"),
    EACH(drill_continuity, "R63", "drill: continuity"),
    EACH(drill_revocation, "R63", "drill: revocation of the CA's certificate"),
};

static int by_date(const void *a, const void *b)
{
	const struct obligation *x = a, *y = b;

	return x->due < y->due ? -1 : x->due > y->due;
}

/* An event's type is the key with '-' for '_'. */
static int64_t last_of(const struct facts *f, const char *name)
{
	const struct done *d;
	char type[32];
	size_t i;

	if (!strcmp(name, "proof"))
		return f->last_proof;
	if (!strcmp(name, "backup_offsite") && f->last_offsite != INT64_MIN)
		return f->last_offsite;
	for (i = 0; name[i] && i + 1 < sizeof(type); i++)
		type[i] = name[i] == '_' ? '-' : name[i];
	type[i] = '\0';
	d = facts_last(f, type);
	return d ? d->time : INT64_MIN;
}

/* The issuer whose next CRL is due first, where CRLs are archived: they say more than an event does. */
static void take_crl(const struct facts *f, struct obligation *o)
{
	for (size_t i = 0; i < f->cas.crls.n; i++) {
		const struct ca *crl = &f->cas.crls.ca[i];

		if (crl_ended(&f->cas, crl, crl->due))
			continue;
		o->last = crl->from;
		o->due = crl->due;
		memcpy(o->of, crl->name, sizeof(o->of));
		return;
	}
}

static size_t add_rekeys(const struct facts *f, int64_t now, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->cas.keys.n && n < OBLIGATIONS_MAX; i++) {
		const struct ca *ca = &f->cas.keys.ca[i];

		if (ca->due == INT64_MAX || ca->to < now)
			continue;
		ret[n] = (struct obligation){.name = "rekey", .rule = "R32", .what = "a new key", .each = ca->ahead,
					     .last = ca->from, .due = ca->due};
		memcpy(ret[n++].of, ca->name, sizeof(ret->of));
	}
	return n;
}

/* From level 3 on a CA's key has a backup; elsewhere where an archive keeps keys at all. */
static size_t add_backups(const struct facts *f, int64_t now, struct obligation *ret, size_t n)
{
	bool wanted = !strcmp(f->policy.profile, "gpki-3") || !strcmp(f->policy.profile, "gpki-4") || f->escrow.scheme;

	for (size_t i = 0; wanted && i < f->cas.keys.n && n < OBLIGATIONS_MAX; i++) {
		const struct ca *ca = &f->cas.keys.ca[i];

		if (ca->to < now || escrow_has_backup(&f->escrow, ca->fingerprint))
			continue;
		ret[n] = (struct obligation){.name = "ca_backup", .rule = "R21", .what = "a backup of the CA's key", .last = INT64_MIN, .due = ca->from};
		memcpy(ret[n++].of, ca->name, sizeof(ret->of));
	}
	return n;
}

static size_t add_epochs(const struct facts *f, struct obligation *ret, size_t n)
{
	char of[EPOCH_NAME];

	for (size_t i = 0; i < f->escrow.n_epochs && n < OBLIGATIONS_MAX; i++) {
		const struct ledger_epoch *e = &f->escrow.epoch[i];

		if (!e->recovered_at || !escrow_renewal_due(&f->escrow, e))
			continue;
		ret[n] = (struct obligation){.name = "escrow_epoch", .rule = "R24", .what = "a new epoch of escrow, and its keys to it",
					     .last = INT64_MIN, .due = e->recovered};
		facts_epoch_name(f, e, of, sizeof(of));
		snprintf(ret[n++].of, sizeof(ret->of), "a key of %s was recovered", of);
	}
	return n;
}

/* Of an archive with an epoch in use the dates of its drills are by what its records prove. */
static bool has_epoch(const struct facts *f)
{
	for (size_t i = 0; i < f->escrow.n_epochs; i++)
		if (escrow_drills_wanted(&f->escrow, &f->escrow.epoch[i]))
			return true;
	return false;
}

static size_t add_drill(const struct facts *f, const struct escrow_drills *d, int64_t now, struct obligation *ret, size_t n)
{
	char who[sizeof(ret->of) - EPOCH_NAME - 8], of[EPOCH_NAME];

	facts_epoch_name(f, d->epoch, of, sizeof(of));
	if (d->shares_due != INT64_MAX && n < OBLIGATIONS_MAX) {
		escrow_drills_who(d, now, who, sizeof(who));
		ret[n] = (struct obligation){.name = "escrow_drill", .rule = "R27", .what = "a custodian's share tried: coffer escrow drill --custodian",
					     .each = f->policy.escrow_drill, .last = d->shares_last, .due = d->shares_due};
		snprintf(ret[n++].of, sizeof(ret->of), "%s of %s", who, of);
	}
	if (d->full_due != INT64_MAX && n < OBLIGATIONS_MAX) {
		ret[n] = (struct obligation){.name = "escrow_full_drill", .rule = "R27", .what = "a key's recovery tried: coffer escrow drill",
					     .each = f->policy.escrow_full_drill, .last = d->full, .due = d->full_due};
		snprintf(ret[n++].of, sizeof(ret->of), "%s", of);
	}
	return n;
}

static size_t add_drills(const struct facts *f, int64_t now, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->escrow.n_epochs; i++) {
		struct escrow_drills d;

		if (!escrow_drills_wanted(&f->escrow, &f->escrow.epoch[i]))
			continue;
		/* Without memory nothing is known of them: as if nobody had practised. */
		(void)escrow_drills_of(&f->escrow, &f->escrow.epoch[i], &f->policy, &d);
		n = add_drill(f, &d, now, ret, n);
		escrow_drills_done(&d);
	}
	return n;
}

/* Keys that go out unless somebody vetoes it: the date is the end of that time, as it comes while the archive is mounted. */
static size_t add_releases(const struct facts *f, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->releases.n && n < OBLIGATIONS_MAX; i++) {
		const struct release *one = &f->releases.release[i];

		ret[n] = (struct obligation){.name = "escrow_release", .rule = "R22", .what = "a key goes out then, unless it is vetoed: coffer refuse",
					     .last = INT64_MIN, .due = one->until};
		(void)__builtin_add_overflow(one->until, f->lag, &ret[n].due);
		snprintf(ret[n++].of, sizeof(ret->of), "%s", one->what);
	}
	return n;
}

/* What a vault has that was left, until it signs that it destroyed it. */
static size_t add_retirements(const struct facts *f, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->n_retirements && n < OBLIGATIONS_MAX; i++) {
		if (!f->retirements[i].open)
			continue;
		ret[n] = (struct obligation){.name = "vault_receipt", .rule = "R43", .what = "a receipt that a vault destroyed what it had: coffer vault "
											  "retire STORE NAME --receipt FILE",
					     .last = INT64_MIN, .due = f->retirements[i].since};
		snprintf(ret[n++].of, sizeof(ret->of), "vault %s", f->retirements[i].name);
	}
	return n;
}

/* The one from before the first vault was enrolled names a tree R that is no more. */
static size_t add_envelope(const struct facts *f, struct obligation *ret, size_t n)
{
	const struct done *renewed = facts_last(f, "envelope-renewed");

	if (!f->first_enrolled || (renewed && renewed->sequence > f->first_enrolled) || n == OBLIGATIONS_MAX ||
	    cof_io_exists(f->store.io, "seal/recovery.age") <= 0)
		return n;
	ret[n++] = (struct obligation){.name = "envelope", .rule = "R29", .what = "a recovery envelope of since vaults were enrolled: coffer seal "
									   "recovery-renew", .last = INT64_MIN, .due = f->enrolled_at};
	return n;
}

/* What a certificate of destruction is wanting: itself, or somebody's answer for a copy. */
static size_t add_destructions(const struct facts *f, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->n_destructions && n < OBLIGATIONS_MAX; i++) {
		const struct destroyed *d = &f->destructions[i];

		if (d->certified && !d->open && !d->failed)
			continue;
		ret[n] = (struct obligation){.name = "destruction", .rule = d->keys ? "R29" : "R50",
					     .what = d->certified ? "copies of what was destroyed are to be answered for: coffer destroy certificate"
								  : "a certificate of what was destroyed: coffer destroy certificate",
					     .last = INT64_MIN, .due = d->since};
		snprintf(ret[n++].of, sizeof(ret->of), "%.16s%s%.200s", d->request, d->open ? ": " : "", d->names);
	}
	return n;
}

/* Who is to be told of an incident, and was not yet; where there is no limit, at once. */
static size_t add_incidents(const struct facts *f, struct obligation *ret, size_t n)
{
	for (size_t i = 0; i < f->incidents.n; i++) {
		struct cof_incident_report all[COF_INCIDENT_REPORTS];
		const struct cof_incident *one = &f->incidents.incident[i];
		size_t reports = cof_incident_reports(one, &f->policy, all);

		for (size_t k = 0; k < reports && n < OBLIGATIONS_MAX; k++) {
			if (all[k].told != INT64_MIN)
				continue;
			ret[n] = (struct obligation){.name = "incident", .rule = all[k].rule, .what = "somebody is to be told of an incident",
						     .last = INT64_MIN, .due = all[k].due == INT64_MAX ? one->found : all[k].due};
			snprintf(ret[n++].of, sizeof(ret->of), "%.63s of %.16s, %.31s", all[k].to, one->id, one->kind);
		}
	}
	return n;
}

/* The end of what somebody asked to change: by change_signers whoever has to sign it. */
static size_t add_changes(const struct facts *f, struct obligation *ret, size_t n)
{
	int64_t each = f->policy.change_open;

	for (size_t i = 0; each && i < f->changes.n && n < OBLIGATIONS_MAX; i++) {
		const struct change *c = &f->changes.change[i];

		if (!change_is_owed(c, f->policy.change_signers))
			continue;
		ret[n] = (struct obligation){.name = "change_open", .rule = "R6", .what = "the end of a change: coffer change show", .each = each,
					     .last = c->requested, .due = INT64_MAX};
		(void)__builtin_add_overflow(c->requested == INT64_MIN ? f->created : c->requested, each, &ret[n].due);
		snprintf(ret[n++].of, sizeof(ret->of), "%.16s, which is %s", c->id, cof_change_type(c->state) + strlen("change-"));
	}
	return n;
}

size_t obligations_of(const struct facts *f, int64_t now, struct obligation ret[OBLIGATIONS_MAX])
{
	bool drills = has_epoch(f);
	size_t n = 0;

	for (size_t i = 0; i < COF_COUNT(table); i++) {
		int64_t each = *(const int64_t *)(const void *)((const char *)&f->policy + table[i].each), from;
		struct obligation *o = &ret[n];

		if (!each || (drills && !strncmp(table[i].name, "escrow_", 7)))
			continue;
		*o = (struct obligation){.name = table[i].name, .rule = table[i].rule, .what = table[i].what, .each = each};
		o->last = last_of(f, table[i].name);
		from = o->last == INT64_MIN ? f->created : o->last;
		if (__builtin_add_overflow(from, each, &o->due))
			o->due = INT64_MAX;
		if (!strcmp(o->name, "crl"))
			take_crl(f, o);
		n++;
	}
	n = add_rekeys(f, now, ret, n);
	n = add_backups(f, now, ret, n);
	n = add_epochs(f, ret, n);
	n = add_drills(f, now, ret, n);
	n = add_releases(f, ret, n);
	n = add_retirements(f, ret, n);
	n = add_envelope(f, ret, n);
	n = add_destructions(f, ret, n);
	n = add_incidents(f, ret, n);
	n = add_changes(f, ret, n);
	qsort(ret, n, sizeof(*ret), by_date);
	return n;
}
