/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind of the catalogue a type of event is, how it ended, and how bad that is. */
#include "fs/rules/catalogue-data.h"

#define S "success"
#define F "failure"
#define A "attempt"
#define NEVER COF_ALARM_NEVER
#define FAILED COF_ALARM_FAILED
#define ALWAYS COF_ALARM_ALWAYS

/* In groups by what they are about; docs/format.md lists them. */
static const struct cof_event_type types[] = {
    /* what was refused */
    {"refused", "A.1.2", F, "warning", ALWAYS, "an operation was refused"},
    {"refusal-rate", "A.1.2", F, "alert", ALWAYS, "many operations are refused"},
    {"refusals-damaged", "A.17.2", F, "err", ALWAYS, "counts of refusals were damaged"},
    {"leak", "A.17.10", F, "alert", ALWAYS, "a secret was found in what was written"},
    {"alarm", NULL, F, "crit", ALWAYS, "something about the archive needs somebody"},
    /* policies and people */
    {"policy-changed", "A.1.1", S, "notice", ALWAYS, "a shelf's policy was changed"},
    {"policies", NULL, S, "info", NEVER, "the policies in force at a mount"},
    {"policy-set", "A.1.1", S, "notice", ALWAYS, "the archive's policy was changed"},
    {"policy-refused", "A.1.1", F, "warning", ALWAYS, "a change of the archive's policy was refused"},
    {"profile-changed", "A.10.1", S, "notice", NEVER, "security settings of the archive were changed"},
    {"lockout-changed", "A.2.2", S, "notice", NEVER, "how many wrong secrets lock the door was changed"},
    {"people-set", "A.11.1", S, "notice", ALWAYS, "who may approve was set"},
    {"person-added", "A.11.1", S, "notice", ALWAYS, "a person or role was added"},
    {"person-removed", "A.11.1", S, "notice", ALWAYS, "a person or role was removed"},
    {"roles-changed", "A.11.2", S, "notice", ALWAYS, "roles of a person were changed"},
    {"role-set", "A.2.1", S, "notice", NEVER, "somebody was given a role"},
    {"trusted-keys", "A.5.1", S, "notice", NEVER, "keys by which people sign were added or removed"},
    {"requested", NULL, A, "notice", NEVER, "a request was made"},
    {"approved", NULL, S, "notice", NEVER, "a request was approved by a person"},
    {"declined", NULL, F, "notice", NEVER, "a request was refused by a person"},
    {"request-refused", NULL, F, "warning", ALWAYS, "a request or signature was not permitted"},
    {"request-done", NULL, S, "notice", ALWAYS, "an approved request was carried out"},
    {"request-failed", NULL, F, "err", ALWAYS, "an approved request could not be carried out"},
    {"destroyed", NULL, S, "notice", ALWAYS, "content of files was destroyed: keys and bytes"},
    {"destruction-certificate", NULL, S, "notice", NEVER, "a certificate of destruction was made"},
    {"removal-asked", NULL, A, "notice", NEVER, "rm asked for the removal of what has expired"},
    {"hold-begin", NULL, S, "notice", NEVER, "a legal hold began"},
    {"hold-end", NULL, S, "notice", ALWAYS, "a legal hold ended"},
    {"retention-ended", NULL, S, "notice", ALWAYS, "a retention was ended early"},
    {"event-declared", NULL, S, "info", NEVER, "an event was declared from which retention counts"},
    {"certificate-kept", "A.14.14", S, "debug", NEVER, "certificates or CRLs came into the archive"},
    {"files-named", "A.14.13", S, "debug", NEVER, "files were made, renamed or moved"},
    {"certificate-malformed", "A.17.3", F, "warning", NEVER, "a certificate cannot be understood"},
    {"acknowledged", NULL, S, "info", NEVER, "faults were acknowledged"},
    /* openers and keys */
    {"key-loaded", "A.4.1", S, "notice", ALWAYS, "the archive's keys were opened"},
    {"opener-failed", "A.14.7", F, "warning", ALWAYS, "a wrong passphrase or PIN was given"},
    {"locked", "A.2.3", F, "alert", ALWAYS, "too many wrong passphrases or PINs: locked"},
    {"opener-refused", "A.14.7", F, "warning", ALWAYS, "a passphrase or PIN was given while locked"},
    {"unlocked", "A.2.4", S, "notice", ALWAYS, "the lock was lifted"},
    {"attempts-lost", "A.17.2", F, "err", ALWAYS, "the count of wrong passphrases was damaged"},
    {"opener-added", "A.2.5", S, "notice", ALWAYS, "an opener was added"},
    {"opener-removed", "A.2.5", S, "notice", ALWAYS, "an opener was removed"},
    {"seal-renewed", "A.10.1", S, "notice", ALWAYS, "the root key was renewed"},
    {"envelope-renewed", "A.6.1", S, "notice", ALWAYS, "the recovery envelope was renewed"},
    {"auditors-renewed", "A.10.1", S, "notice", ALWAYS, "the auditors' keys were changed"},
    {"opener-events", NULL, A, "warning", ALWAYS, "what happened to openers, counted together"},
    {"incident-due", NULL, A, "warning", ALWAYS, "somebody is to be told of an incident"},
    /* escrow: records of it, and what was refused */
    {"escrow-refused", NULL, F, "warning", ALWAYS, "a key was not taken in, or not recovered"},
    {"escrow-overdue", NULL, F, "alert", ALWAYS, "a drill of escrow, or a new epoch, is overdue"},
    {"escrow-scheme", NULL, S, "notice", NEVER, "who holds shares of escrow was written down"},
    {"escrow-epoch", NULL, A, "notice", NEVER, "an epoch of escrow was begun"},
    {"escrow-epoch-valid", "A.3.1", S, "notice", NEVER, "an epoch of escrow is in force"},
    {"escrow-custodian", "A.11.1", S, "notice", NEVER, "a custodian was enrolled"},
    {"escrow-custodian-revoked", "A.11.1", S, "notice", NEVER, "a custodian was revoked"},
    {"escrow-key", "A.14.11", S, "notice", NEVER, "a key was taken into escrow or backup"},
    {"escrow-release", "A.4.2", S, "warning", ALWAYS, "a key may be recovered once"},
    {"escrow-delayed", NULL, A, "alert", ALWAYS, "a key will go out once a delay is over: it can be vetoed till then"},
    {"escrow-vetoed", NULL, F, "alert", ALWAYS, "the release of a key was vetoed"},
    {"escrow-attempt", "A.4.2", A, "warning", ALWAYS, "the recovery of a key begins"},
    {"escrow-recovered", "A.6.1", S, "warning", ALWAYS, "a key was recovered"},
    {"escrow-failed", "A.4.2", F, "warning", ALWAYS, "the recovery of a key failed"},
    {"escrow-rotated", NULL, S, "notice", NEVER, "a key was encrypted to another epoch"},
    {"escrow-revoked", NULL, S, "notice", NEVER, "a key or an epoch of escrow was revoked"},
    {"escrow-drill", NULL, S, "notice", NEVER, "a recovery was practised"},
    {"escrow-medium", NULL, S, "notice", NEVER, "a medium went in or out"},
    {"escrow-sheet", NULL, S, "notice", NEVER, "a sheet or kit was made"},
    {"escrow-share-destroyed", NULL, S, "notice", NEVER, "a custodian destroyed a share"},
    {"escrow-confirmed", NULL, S, "info", NEVER, "a custodian showed to have a share"},
    {"escrow-proposed", NULL, A, "info", NEVER, "a change of escrow was proposed"},
    {"escrow-token", NULL, S, "info", NEVER, "a hardware module was written down"},
    {"escrow-tpm-key", NULL, S, "notice", NEVER, "a custodian's key for a TPM was enrolled"},
    {"escrow-tpm-key-revoked", NULL, S, "notice", NEVER, "a custodian's key for a TPM was revoked"},
    {"escrow-tpm-ended", NULL, S, "notice", NEVER, "what a TPM opened is to end"},
    {"escrow-tpm-raised", NULL, S, "notice", NEVER, "the counter of a TPM was raised"},
    {"ceremony", NULL, S, "notice", NEVER, "a ceremony was held, and its transcript is here"},
    {"ceremony-rehearsal", NULL, S, "notice", NEVER, "a ceremony was practised"},
    /* vaults */
    {"vault-mended", NULL, S, "notice", ALWAYS, "a damaged copy at a vault was mended from here"},
    {"vault-alarm", "A.17.2", F, "alert", ALWAYS, "a vault tells of something that needs somebody"},
    {"vault-met", "A.10.1", S, "notice", ALWAYS, "a vault was added"},
    {"vault-transfer", "A.14.11", S, "info", NEVER, "frames went to a vault or copy"},
    {"vault-bucket", "A.10.1", S, "notice", ALWAYS, "a copy in a bucket was added"},
    {"vault-checked", NULL, S, "notice", NEVER, "a copy was compared with what was put there"},
    {"vault-drill", NULL, S, "notice", NEVER, "a restore was tried"},
    {"vault-retiring", NULL, A, "notice", ALWAYS, "a vault was asked to destroy what it has"},
    {"vault-retired", NULL, S, "notice", ALWAYS, "a vault signed that it destroyed what it had"},
    {"vault-bundled", NULL, A, "notice", NEVER, "a bundle for a vault was written"},
    {"vault-enrolled", "A.10.1", S, "notice", ALWAYS, "a vault was given its keys"},
    {"vault-released", "A.4.2", S, "warning", ALWAYS, "a vault gave its keys to who restores"},
    {"vault-punctured", NULL, S, "notice", ALWAYS, "a vault destroyed keys"},
    {"vault-handed-over", NULL, S, "notice", ALWAYS, "the archive went to a successor"},
    {"vault-unreachable", NULL, F, "warning", ALWAYS, "a vault did not answer"},
    {"restore-drill", NULL, S, "notice", NEVER, "a restore was tried in a scratch place"},
    {"restore-drill-failed", NULL, F, "alert", ALWAYS, "a restore was tried, and failed"},
    /* the machine */
    {"mount", "A.14.6", S, "notice", NEVER, "the archive was mounted"},
    {"unmount", NULL, S, "notice", NEVER, "the archive was unmounted"},
    {"recovery", "A.17.1", F, "warning", NEVER, "the archive was not unmounted, or is in new keys"},
    {"clock-reset", "A.17.12", S, "warning", ALWAYS, "the wall clock was set"},
    {"clock", "A.17.12", A, "warning", ALWAYS, "a clock is not what it should be"},
    {"changed", "A.15.2", S, "warning", ALWAYS, "the daemon's programs or options are others"},
    {"guard", "A.17.1", F, "alert", ALWAYS, "the daemon made a system call that it has no use for"},
    {"unconfined", "A.15.5", S, "warning", ALWAYS, "the daemon runs without its confinement"},
    {"self-check", NULL, S, "info", FAILED, "programs and configuration were checked"},
    {"integrity-failed", "A.17.2", F, "alert", ALWAYS, "stored bytes are not what was written"},
    {"stamp", NULL, S, "info", NEVER, "a time-stamp token was chained"},
    {"shelf", NULL, S, "info", NEVER, "a shelf was made, or has another policy"},
    {"gap", "A.17.1", F, "alert", ALWAYS, "nothing could be recorded for a while"},
    {"silence", "A.17.9", F, "alert", ALWAYS, "a source has not written for too long"},
    {"silence-ended", NULL, S, "notice", ALWAYS, "a silent source writes again"},
    {"hook-lost", "A.17.1", F, "warning", ALWAYS, "the hook program missed events"},
    {"source-read", NULL, S, "debug", NEVER, "another program's log was read up to here"},
    {"source-tested", NULL, S, "info", NEVER, "a source of events was tried with its sample lines"},
    {"source-lost", "A.17.1", F, "err", ALWAYS, "lines of another program's log are gone that nobody read"},
    {"disclosure-begun", NULL, A, "notice", NEVER, "records are about to be given to somebody"},
    {"disclosed", NULL, S, "notice", ALWAYS, "an evidence bundle was made for somebody"},
    {"disclosure-refused", NULL, F, "warning", ALWAYS, "an evidence bundle was refused"},
    {"disclosure-checked", NULL, S, "info", NEVER, "an evidence bundle was read back and checked"},
    {"read", NULL, S, "info", NEVER, "a file was opened for reading"},
    {"queried", NULL, S, "info", NEVER, "the log, events or certificates were asked for"},
    {"backup", "A.14.11", S, "notice", FAILED, "a copy was made"},
    {"restore", "A.14.12", S, "notice", ALWAYS, "a copy was restored"},
};

static const char *const severities[] = {"emerg",   "alert",  "crit", "err",
					 "warning", "notice", "info", "debug"};

size_t cof_catalogue(const struct cof_catalogue_kind **ret)
{
	*ret = cof_catalogue_data;
	return cof_catalogue_n;
}

size_t cof_records(const struct cof_record_kind **ret)
{
	*ret = cof_records_data;
	return cof_records_n;
}

const struct cof_catalogue_kind *cof_catalogue_find(const char *id)
{
	for (size_t i = 0; i < cof_catalogue_n; i++)
		if (!strcmp(cof_catalogue_data[i].id, id))
			return &cof_catalogue_data[i];
	return NULL;
}

/* In the order of the table. */
static const char *const record_names[] = {
    "examinations",	       "practice statements",	   "contracts",		       "configuration",
    "configuration changes",   "certificate applications", "revocation applications",  "subscriber identity data",
    "receipts and acceptance", "token activation",	   "certificates",	       "CA rekey",
    "CARLs and CRLs",	       "audit records",		   "supporting data",	       "auditors' documents",
};

const char *cof_record_kind_name(const struct cof_record_kind *k)
{
	size_t i = (size_t)(k - cof_records_data);

	return i < COF_COUNT(record_names) ? record_names[i] : k->text;
}

const struct cof_record_kind *cof_record_kind_find(const char *text)
{
	for (size_t i = 0; i < cof_records_n; i++)
		if (!strcmp(cof_records_data[i].text, text) || !strcmp(cof_record_kind_name(&cof_records_data[i]), text))
			return &cof_records_data[i];
	return NULL;
}

bool cof_event_alarms(const struct cof_event_type *t, const char *outcome)
{
	return t->alarm == COF_ALARM_ALWAYS ||
	       (t->alarm == COF_ALARM_FAILED && !strcmp(outcome ? outcome : t->outcome, F));
}

size_t cof_event_types(const struct cof_event_type **ret)
{
	*ret = types;
	return COF_COUNT(types);
}

const struct cof_event_type *cof_event_type(const char *name)
{
	for (size_t i = 0; i < COF_COUNT(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

int cof_severity(const char *name)
{
	for (size_t i = 0; i < COF_COUNT(severities); i++)
		if (!strcmp(severities[i], name))
			return (int)i;
	return -1;
}

const char *cof_severity_name(int severity)
{
	return severity >= 0 && severity < (int)COF_COUNT(severities) ? severities[severity] : NULL;
}

bool cof_outcome_valid(const char *name)
{
	return !strcmp(name, S) || !strcmp(name, F) || !strcmp(name, A);
}

bool cof_event_type_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n && n <= 31 && !name[n] && name[0] >= 'a' && name[0] <= 'z';
}
