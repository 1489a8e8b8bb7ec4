/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is looked at for each rule. A check says PASS only of what it saw in the chain, the store or the system;
 * where a person has to look it says MANUAL and how; what Coffer cannot do yet is FAIL, whoever wants it.
 */
#include "tools/compliance.h"
#include "tools/obligations.h"

#include "fs/rules/approve.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

void compliance_says(struct looked *l, enum finding finding, const char *command, const char *fmt, ...)
{
	va_list ap;

	l->finding = finding;
	l->command = command;
	va_start(ap, fmt);
	(void)vsnprintf(l->evidence, sizeof(l->evidence), fmt, ap);
	va_end(ap);
}
#define SAY compliance_says
#define not_built compliance_not_built

void compliance_not_built(struct looked *l, const char *what)
{
	SAY(l, FAIL, NULL, "this version has no %s", what);
}

/* ---- keeping ---- */

static bool keeps(const struct cof_policy *p, int64_t span)
{
	return !p->retention || p->retention_min >= span; /* without retention files never end */
}

/* R29: a key has to be able to end with its backups, so a shelf of escrow has no floor. */
static bool is_of_keys(const struct facts *f, const struct facts_shelf *s)
{
	for (size_t i = 0; i < f->escrow.n_records; i++)
		if (ledger_shelf(f->escrow.record[i]) == (uint64_t)s->ino)
			return true;
	return false;
}

static void check_retention(struct looked *l)
{
	const struct facts *f = l->f;

	for (size_t i = 0; i < f->n_shelves; i++)
		if (!is_of_keys(f, &f->shelves[i]) && !keeps(&f->shelves[i].policy, l->p->on_site)) {
			SAY(l, FAIL, "coffer shelf list STORE", "the shelf %.200s may keep less than the policy's on_site",
			    f->shelves[i].name);
			return;
		}
	if (!l->p->level) {
		SAY(l, f->n_shelves ? PASS : MANUAL, "coffer shelf list STORE", "each of %zu shelves keeps at least as long as on_site, by retention_min",
		    f->n_shelves);
		return;
	}
	for (size_t i = 0; i < f->n_shelves; i++)
		if (!is_of_keys(f, &f->shelves[i]) && !f->shelves[i].policy.retain_certificates && !f->shelves[i].policy.certificates &&
		    f->shelves[i].policy.retention) {
			SAY(l, FAIL, "coffer shelf list STORE",
			    "the shelf %.200s does not follow the certificates (retain_follows): it may end before they do",
			    f->shelves[i].name);
			return;
		}
	SAY(l, MANUAL, "coffer shelf list STORE",
	    "on_site is kept by retention_min; whether each end is behind the certificates' last day is for you to compare (coffer ls)");
}

/* The kinds of the level without a shelf, and how many there are. */
static size_t kinds_without(const struct looked *l, unsigned level, struct cof_buf *ret)
{
	const struct cof_record_kind *kinds;
	size_t n = cof_records(&kinds), wanted = 0;

	for (size_t k = 0; k < n; k++) {
		bool found = false;

		if (!kinds[k].level[level - 1])
			continue;
		wanted++;
		for (size_t i = 0; i < l->f->n_shelves; i++)
			found |= cof_record_kind_find(l->f->shelves[i].policy.record_kind) == &kinds[k];
		if (!found)
			cof_buf_printf(ret, "%s%s", ret->len ? ", " : "", cof_record_kind_name(&kinds[k]));
	}
	return wanted;
}

static void check_kinds(struct looked *l)
{
	cof_autobuf struct cof_buf without = {0};
	size_t n = 0;

	for (size_t i = 0; i < l->f->n_shelves; i++)
		n += l->f->shelves[i].policy.record_kind[0] != '\0';
	if (!l->p->record_kinds) {
		SAY(l, n ? MANUAL : FAIL, "coffer shelf list STORE", "%zu of %zu shelves name a kind of record; the sources have no "
			"list of kinds: whether all have a shelf is for you to look", n, l->f->n_shelves);
		return;
	}
	n = kinds_without(l, l->p->record_kinds, &without);
	if (without.len)
		SAY(l, FAIL, "coffer coverage STORE --records", "without a shelf: %.400s", (char *)without.data);
	else
		SAY(l, MANUAL, "coffer coverage STORE --records", "each of %zu kinds has a shelf; format document and readers of this "
			"release are in the archive only if you have put them there", n);
}

static bool asks_auditor(const struct cof_policy *p)
{
	struct cof_approval_rule rule;

	return cof_approval_rule_parse(cof_policy_approve(p, COF_APPROVE_REMOVE), &rule) == 0 && (rule.roles & COF_ROLE_AUDITOR);
}

static void check_removal(struct looked *l)
{
	struct cof_people people;
	size_t auditors;

	for (size_t i = 0; i < l->f->n_shelves; i++)
		if (!asks_auditor(&l->f->shelves[i].policy)) {
			SAY(l, FAIL, "coffer shelf list STORE", "removal from the shelf %.200s asks for no auditor",
			    l->f->shelves[i].name);
			return;
		}
	if (!facts_people(l->f, &people)) {
		SAY(l, FAIL, "coffer people show STORE", "the archive has no people: nobody is auditor");
		return;
	}
	auditors = cof_people_count(&people, COF_ROLE_AUDITOR);
	cof_people_done(&people);
	if (!auditors)
		SAY(l, FAIL, "coffer people show STORE", "nobody is auditor");
	else if (!cof_profile_excludes(&l->f->policy, "auditor", "operator"))
		SAY(l, FAIL, "coffer policy show STORE", "an operator may be auditor too");
	else
		SAY(l, l->f->n_shelves ? PASS : MANUAL, "coffer people show STORE",
		    "removal asks for the auditor on each of %zu shelves; %zu of the people are, and none of them an operator",
		    l->f->n_shelves, auditors);
}

/* A shelf one of whose rules fewer persons meet, or NULL. */
static const char *met_by_fewer(const struct looked *l)
{
	struct cof_approval_rule rule;

	for (size_t i = 0; i < l->f->n_shelves; i++)
		for (int what = 0; what < COF_APPROVE_COUNT_; what++)
			if (cof_approval_rule_parse(cof_policy_approve(&l->f->shelves[i].policy, what), &rule) < 0 ||
			    COF_MAX(rule.persons, 2u) < l->p->persons)
				return l->f->shelves[i].name;
	return NULL;
}

static void check_persons(struct looked *l)
{
	const char *shelf = met_by_fewer(l);
	struct cof_people people;

	if (!facts_people(l->f, &people)) {
		SAY(l, FAIL, "coffer people set STORE FILE", "the archive has no people");
		return;
	}
	if (people.n_persons < l->p->persons)
		SAY(l, FAIL, "coffer people show STORE", "%zu persons, and %u are wanted for anything sensitive", people.n_persons,
		    l->p->persons);
	else if (shelf)
		SAY(l, FAIL, "coffer shelf list STORE", "on the shelf %.200s a rule is met by fewer than %u (approve_...)", shelf, l->p->persons);
	else
		SAY(l, PASS, "coffer people show STORE", "%zu persons; no rule is met by fewer than %u; roles that exclude each other: %s",
		    people.n_persons, l->f->policy.persons, l->f->policy.exclusive);
	cof_people_done(&people);
}

static void check_ciphers(struct looked *l)
{
	bool enough = l->p->aes_bits <= 256 && l->p->hash_bits <= 256; /* there is nothing else */

	SAY(l, enough ? PASS : FAIL, "docs/format.md 3 and 7",
	    "AES-256-GCM and SHA-256 at rest (asked: %u and %u bits); what goes to a vault is the same ciphertext, by ssh", l->p->aes_bits,
	    l->p->hash_bits);
}

static void check_integrity(struct looked *l)
{
	const struct cof_json *cp = cof_json_get(l->f->status, "checkpoint");

	if (!cof_json_bool(cp, "signed"))
		SAY(l, FAIL, "coffer verify STORE", "the newest checkpoint's signature does not hold, or there is none");
	else
		SAY(l, MANUAL, "coffer verify STORE --vkey KEY --auditor-key FILE",
		    "the newest checkpoint is signed; the frames under it, and the seal, are for verify with keys kept elsewhere. No "
		    "vault cosigns");
}

/* ---- dates ---- */

/* FAIL where one of these is overdue, else what comes next. */
static void check_dates(struct looked *l, const char *names)
{
	struct facts as = *l->f;
	struct obligation o[OBLIGATIONS_MAX];
	const struct obligation *next = NULL;
	char due[32];
	bool done = true;
	size_t n;

	as.policy = *l->p;
	n = obligations_of(&as, l->now, o);
	for (size_t i = 0; i < n; i++) {
		if (!cof_profile_has(names, o[i].name))
			continue;
		if (!next)
			next = &o[i];
		done = done && o[i].last != INT64_MIN;
	}
	if (!next) {
		SAY(l, NOT_APPLICABLE, "coffer due STORE", "the policy asks for none of these");
		return;
	}
	cof_time_text(next->due, due);
	due[10] = '\0';
	if (next->due < l->now)
		SAY(l, FAIL, "coffer due STORE", "%s is overdue since %s", next->name, due);
	else if (!done)
		SAY(l, MANUAL, "coffer due STORE", "nothing is overdue, but not everything was done once yet; next: %s on %s", next->name,
		    due);
	else
		SAY(l, PASS, "coffer due STORE", "all was done in time; next: %s on %s", next->name, due);
}

static void check_self(struct looked *l)
{
	if (!l->f->measured.len)
		SAY(l, FAIL, "coffer log STORE", "the newest mount has no digests of what runs");
	else
		check_dates(l, "self_check");
	if (l->finding == NOT_APPLICABLE)
		SAY(l, MANUAL, "coffer self-check", "the newest mount has the digests of what ran; no date is set for checking them");
}

static void check_reviews(struct looked *l)
{
	check_dates(l, "review failed_logins access_review report report_yearly audit");
}

static void check_offsite(struct looked *l)
{
	check_dates(l, "backup_local backup_offsite");
}

/* ---- keys ---- */

static void check_owners(struct looked *l)
{
	if (!l->f->people)
		SAY(l, FAIL, "coffer people set STORE FILE", "three failures lock the door, but no people are enrolled");
	else
		SAY(l, PASS, "coffer people show STORE", "people are enrolled (%llu files so far); three wrong secrets lock the door, and "
							 "unlocking is an event",
		    (unsigned long long)facts_count(l->f, "people-set"));
}

static void check_activation(struct looked *l)
{
	const struct cof_json *openers = cof_json_get(l->f->status, "openers");
	struct cof_people people;

	for (size_t i = 0; i < cof_json_count(openers); i++) {
		const char *text = cof_json_text(cof_json_at(openers, i), false);
		const char *kind = !text ? "?" : strstr(text, "tpm2") ? "tpm2" : strstr(text, "passphrase") ? "passphrase" : "file";

		if (cof_profile_has(l->p->openers, kind))
			continue;
		SAY(l, FAIL, "coffer seal show STORE", "an opener of kind %s is there; allowed are: %s", kind, l->p->openers);
		return;
	}
	if (l->p->hardware_officers) {
		bool bad = false;

		if (!facts_people(l->f, &people)) {
			SAY(l, FAIL, "coffer people show STORE", "no officers are enrolled");
			return;
		}
		for (size_t k = 0; k < people.n_keys; k++)
			bad |= (people.person[people.key[k].person].roles & COF_ROLE_OFFICER) &&
			       !(people.key[k].hardware && people.key[k].verify_required);
		cof_people_done(&people);
		if (bad) {
			SAY(l, FAIL, "coffer people show STORE", "an officer signs with a key that is not in hardware that verifies each time");
			return;
		}
	}
	if (l->p->module_root || l->p->module_sub)
		SAY(l, MANUAL, "coffer self-check", "openers and officers' keys are as the policy says; the level of the CA's modules is in "
						    "their certificates");
	else
		SAY(l, PASS, "coffer seal show STORE", "openers are of the kinds allowed: %s", l->p->openers);
}

static void check_calendar(struct looked *l)
{
	const struct cas *c = &l->f->cas;
	struct looked crl = *l;
	char due[32];

	for (size_t i = 0; i < c->keys.n; i++) {
		if (!ca_overdue(&c->keys.ca[i], l->now))
			continue;
		cof_time_text(c->keys.ca[i].due, due);
		SAY(l, FAIL, "coffer calendar STORE", "%.200s should have had a new key by %.10s", c->keys.ca[i].name, due);
		return;
	}
	check_dates(&crl, "crl");
	if (crl.finding == FAIL)
		*l = crl;
	else if (!c->keys.n)
		SAY(l, MANUAL, "coffer calendar STORE --crl", "no CA's certificate is archived: its dates are for you to compare");
	else if (!c->crls.n)
		SAY(l, MANUAL, "coffer calendar STORE --crl", "no new key is overdue, by the certificates of %zu CAs that are archived; no CRL is: "
			"their dates are for you to compare", c->keys.n);
	else
		SAY(l, PASS, "coffer calendar STORE --crl", "no new key and no CRL is overdue, by the certificates of %zu CAs and the CRLs "
			"of %zu that are archived", c->keys.n, c->crls.n);
}

/* ---- away from the host ---- */

/* Set up, whatever its cable says. */
static bool is_up(const char *name)
{
	cof_autofree char *path = NULL;
	cof_autoclose int fd = -1;
	char text[16] = "";
	size_t n = 0;

	if (asprintf(&path, "/sys/class/net/%s/flags", name) < 0) {
		path = NULL;
		return true;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || cof_read_all(fd, text, sizeof(text) - 1, &n) < 0 || strtoul(text, NULL, 0) & 1;
}

static void check_network(struct looked *l)
{
	DIR *d = opendir("/sys/class/net");
	char up[64] = "";
	struct dirent *e;

	if (l->p->network && l->p->remote_access) {
		if (d)
			closedir(d);
		SAY(l, NOT_APPLICABLE, NULL, "the policy allows both");
		return;
	}
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "lo") != 0 && !up[0] && is_up(e->d_name))
			snprintf(up, sizeof(up), "%.60s", e->d_name);
	if (d)
		closedir(d);
	if (!l->p->network && up[0])
		SAY(l, FAIL, "ip link", "the host has a network interface that is up: %s", up);
	else if (!d)
		SAY(l, MANUAL, "ip link", "the host's interfaces could not be read");
	else if (l->p->network)
		SAY(l, MANUAL, "ss -lntu", "no remote access is for you to look at: what listens, and what the network lets through");
	else
		SAY(l, PASS, "ip link", "no network interface but loopback is up");
}

static void check_alarms(struct looked *l)
{
	if (l->f->mounted)
		SAY(l, MANUAL, "journalctl -t cofferfs", "alarms go to the journal; that somebody hears them within the second is for you to try");
	else
		SAY(l, FAIL, "coffer status STORE", "it is not mounted: nothing raises an alarm");
}

static void check_drills(struct looked *l)
{
	check_dates(l, "drill_emergency drill_compromise drill_resources drill_continuity drill_revocation");
}

/* The last one that was tried. */
static bool restore_failed(struct looked *l)
{
	const struct done *well = facts_last(l->f, "restore-drill"), *failed = facts_last(l->f, "restore-drill-failed");
	char took[32], promised[32];

	if (failed && (!well || failed->sequence > well->sequence)) {
		SAY(l, FAIL, "coffer events STORE --type restore-drill-failed", "the last restore that was tried failed");
		return true;
	}
	if (!well || !l->f->restore_promised || l->f->restore_took <= l->f->restore_promised)
		return false;
	cof_duration_text(l->f->restore_took, took);
	cof_duration_text(l->f->restore_promised, promised);
	SAY(l, FAIL, "coffer events STORE --type vault-drill", "the last restore that was tried took %s, and %s was promised", took, promised);
	return true;
}

static void check_restore(struct looked *l)
{
	if (!drills_failed(l) && !restore_failed(l))
		check_dates(l, "escrow_drill escrow_full_drill restore_drill");
}

/* ---- the rows, with the clauses of each source ---- */

const struct compliance_row compliance_rows[] = {
    {"R1", "gpki 5.4.1, ins 22", "each event says type, who, where, when, success or failure", check_events},
    {"R2", "gpki table 5-1", "every kind of event has a live source", check_coverage},
    {"R3", "gpki A.1.2", "attempts to delete or modify the log are events", check_attempts},
    {"R4", "gpki 5.4.6", "recording without gaps", check_gaps},
    {"R5", "vasp 2.9.4, sec 38", "reads leave a trail", check_reads},
    {"R6", "vasp 2.9.1", "ledger changes with before, after and a check", check_changes},
    {"R7", "vasp 2.9.4, vasp 2.9.5", "no key lies in a log", check_leaks},
    {"R8", "ins 24, ins 25, gpki A.17.12", "the clock is right, and each reset an event", check_clock},
    {"R10", "gpki 5.5.3, gpki 5.1.8", "archived: apart, unalterable, same grade", check_archived},
    {"R11", "gpki 5.4.3, gpki 5.5.2, vasp 2.9.4, vasp 2.10.4", "kept long enough", check_retention},
    {"R12", "gpki table 5-4, sec 7, sec 8, sec 9, sec 20, sec 38, sec 41, ins 7, ins 22, ins 28, ins 34, vasp 2.9",
     "every kind of record has its shelf, and what verifies it is archived", check_kinds},
    {"R13", "gpki 5.4.3", "only the auditor removes", check_removal},
    {"R14", "gpki 5.2.1, gpki 5.2.2, vasp 2.9.5", "two persons, roles not combined", check_persons},
    {"R15", "gpki 5.4.4, vasp 2.9.5, sec 6.1, sec 35", "encrypted, strong enough", check_ciphers},
    {"R16", "ins 19, sec 35", "integrity and non-repudiation", check_integrity},
    {"R17", "gpki 6.6.2", "software and configuration checked", check_self},
    {"R18", "gpki 5.4.2, gpki 8.1, sec 37.7, vasp 1.4.1, vasp 1.4.2, vasp 2.4.2", "reviews, reports, audits", check_reviews},
    {"R19", "gpki 5.5.7, gpki 5.5.3(3), gpki 9.4.6", "records obtained and verified; disclosure with basis", check_disclosure},
    {"R20", "gpki 4.12.1, gpki 6.2.3, gpki 6.2.5", "signing keys neither escrowed nor archived", check_signing_keys},
    {"R21", "gpki 6.2.4, gpki 6.1.1(4)", "the CA's key is backed up, others' are not", check_backups_of_keys},
    {"R22", "gpki 6.2.2, vasp 2.7.2", "n-of-m control", check_quorum},
    {"R23", "gpki 6.2.6", "never in plaintext outside the module", check_ciphertext},
    {"R24", "vasp 2.4.1, vasp 2.7.2, vasp 2.9.3", "split, in fireproof safes, in different places", check_dispersal},
    {"R25", "vasp 2.4.5, gpki 6.1", "ceremonies with an auditor and a transcript", check_ceremonies},
    {"R26", "vasp 1.2.1, vasp 1.2.3", "inventory; loss planned for", check_inventory},
    {"R27", "ins 27, gpki 5.7, sec 4.2", "backups tried, recovery drilled", check_restore},
    {"R28", "gpki 6.3", "no key pair for both signing and encryption", check_single_use},
    {"R29", "gpki 6.2.10", "destroying a key destroys its backups", check_destroyed_keys},
    {"R30", "ins 27, sec 37.5, gpki A.2.4", "owners authorised; lockout after three; unlocking an event", check_owners},
    {"R31", "gpki 6.4.1(2), gpki table 6-1", "activation and modules by level", check_activation},
    {"R32", "gpki 5.6.1, gpki 6.3.2, gpki table 4-1", "lifetimes, rekey ahead, CRLs", check_calendar},
    {"R40", "gpki 5.4.5", "backups monthly", check_offsite},
    {"R41", "vasp 2.9.3, ins 27", "backups geographically separate", check_apart},
    {"R42", "sec 8, ins 4", "across borders only as allowed", check_borders},
    {"R43", "sec 7.2, sec 9.2, sec 9.3", "portability, and proof of deletion", check_retired},
    {"R44", "sec 35", "messages cannot be replayed", check_replay},
    {"R45", "gpki 6.7, vasp 2.6.6", "no network, no remote access", check_network},
    {"R46", "gpki 5.8", "a successor takes over", check_successor},
    {"R50", "ins 28, sec 7.2, sec 9.3", "disposal unrecoverable, on record", check_disposal},
    {"R60", "vasp 2.11.3", "alarms in real time", check_alarms},
    {"R61", "cert 3.2.3, cert annex 1, cert annex 2, ins 31, gpki 8.5", "incidents graded and reported", check_incidents},
    {"R62", "cert annex 2, cert annex 4, cert annex 5", "logs preserved and handed over", check_preserved},
    {"R63", "gpki 5.7, gpki 5.7.1, gpki 5.7.2, gpki 5.7.3, gpki 5.7.4, gpki 5.7.5", "yearly drills", check_drills},
    {"R64", "gpki 4.9.4", "a suspected key goes to the superior CA within the hour", check_compromise},
    {0},
};
