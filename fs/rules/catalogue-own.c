/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kinds of the catalogue Coffer records itself, by which type of event, and when; and of the others, who has to
 * tell. A kind stands here only where an event of it was provoked by a test (tests/e2e/first-year.sh, and what that names).
 */
#include "fs/rules/catalogue.h"

static const struct cof_own_kind own[] = {
    {"A.1.1", "policy-changed", "a shelf's policy is changed"},
    {"A.1.1", "policy-set", "the archive's policy is changed"},
    {"A.1.1", "policy-refused", "a policy that promises less is set without approval"},
    {"A.1.2", "refused", "something is removed, cut or overwritten that may not be"},
    {"A.1.2", "refusal-rate", "very many operations are refused"},
    {"A.2.1", "role-set", "people are enrolled, or have another role"},
    {"A.2.1", "requested", "other people are asked for (other requests are of no kind)"},
    {"A.2.1", "request-refused", "people are enrolled or asked for who may not be"},
    {"A.2.1", "request-failed", "approved people cannot be enrolled"},
    {"A.2.2", "lockout-changed", "the policy's lockout is changed"},
    {"A.2.3", "locked", "the third wrong passphrase or PIN in a row"},
    {"A.2.4", "unlocked", "the lock is lifted: coffer unlock"},
    {"A.2.5", "opener-added", "an opener is added: coffer seal add"},
    {"A.2.5", "opener-removed", "an opener is removed: coffer seal remove"},
    {"A.3.1", "escrow-epoch-valid", "an epoch of escrow, which is a new key, is put in force"},
    {"A.4.1", "key-loaded", "the daemon opens the archive's keys: each mount"},
    {"A.4.2", "escrow-release", "the recovery of a key is approved"},
    {"A.4.2", "escrow-attempt", "a key is recovered: before it is tried"},
    {"A.4.2", "escrow-failed", "a key is not recovered"},
    {"A.4.2", "vault-released", "a vault gives its keys to who restores"},
    {"A.5.1", "trusted-keys", "the people's keys, or revoked keys, are others"},
    {"A.6.1", "escrow-recovered", "a key goes out of escrow"},
    {"A.6.1", "envelope-renewed", "the recovery envelope is made anew: the archive's keys, for custodians"},
    {"A.10.1", "profile-changed", "the policy's keys about persons, roles, ciphers, keys or openers are changed"},
    {"A.10.1", "seal-renewed", "the root key is renewed: coffer seal renew"},
    {"A.10.1", "auditors-renewed", "other auditors: coffer seal auditors"},
    {"A.10.1", "vault-met", "a vault is added: coffer vault add"},
    {"A.10.1", "vault-bucket", "a bucket is added: coffer vault add"},
    {"A.10.1", "vault-enrolled", "a vault is given keys"},
    {"A.11.1", "people-set", "people are enrolled"},
    {"A.11.1", "person-added", "people are enrolled: who is new"},
    {"A.11.1", "person-removed", "people are enrolled: who is gone"},
    {"A.11.1", "escrow-custodian", "a custodian of escrow is enrolled"},
    {"A.11.1", "escrow-custodian-revoked", "a custodian of escrow is revoked"},
    {"A.11.2", "roles-changed", "somebody has other roles"},
    {"A.14.6", "mount", "each mount"},
    {"A.14.7", "opener-failed", "a wrong passphrase or PIN"},
    {"A.14.7", "opener-refused", "a passphrase or PIN while the door is locked"},
    {"A.14.11", "backup", "a copy is reported"},
    {"A.14.11", "vault-transfer", "frames go to a vault or bucket: coffer sync"},
    {"A.14.11", "escrow-key", "a key is taken into escrow or backup"},
    {"A.14.12", "restore", "the first mount behind coffer recover"},
    {"A.14.13", "files-named", "files are made or renamed, where the policy's coverage is 3 or 4"},
    {"A.14.14", "certificate-kept", "a certificate or CRL is committed on a certificate shelf, where the policy's coverage is 3 or 4"},
    {"A.15.2", "changed", "a mount with other programs or options than the one before"},
    {"A.15.5", "unconfined", "a daemon without its confinement"},
    {"A.17.1", "recovery", "a mount behind one that did not end, or behind coffer recover"},
    {"A.17.1", "guard", "the daemon makes a system call that it has no use for"},
    {"A.17.1", "gap", "the daemon was stopped for a while"},
    {"A.17.1", "hook-lost", "the hook program misses events"},
    {"A.17.1", "source-lost", "lines of a log that is imported are gone"},
    {"A.17.2", "integrity-failed", "bytes of the store that are not what was written are read"},
    {"A.17.2", "self-check", "coffer self-check finds something"},
    {"A.17.2", "refusals-damaged", "counts of refusals were damaged"},
    {"A.17.2", "attempts-lost", "the count of wrong passphrases was damaged"},
    {"A.17.2", "vault-alarm", "a vault has something to tell"},
    {"A.17.3", "certificate-malformed", "what cannot be read is committed on a certificate shelf"},
    {"A.17.9", "silence", "nothing comes to a shelf with silence, or from a log that is imported"},
    {"A.17.10", "leak", "a key is appended to a shelf with a leak guard"},
    {"A.17.12", "clock-reset", "the wall clock is set"},
    {"A.17.12", "clock", "a clock is beyond the policy's deviation"},
};

static const struct cof_unseen_kind unseen[] = {
    {"A.7.1", "the CA's log"},
    {"A.8.1", "the CA's log"},
    {"A.9.1", "the CA's log"},
    {"A.12.1", "the CA's log"},
    {"A.13.1", "the CA's log"},
    {"A.14.1", "a person: the host's, before there is an archive"},
    {"A.14.2", "a person"},
    {"A.14.3", "a person"},
    {"A.14.4", "a person"},
    {"A.14.5", "a person"},
    {"A.14.8", "a person"},
    {"A.14.9", "the host's log (auditd)"},
    {"A.14.10", "the host's log (auditd)"},
    {"A.14.15", "the CA's log, or auditd"},
    {"A.14.16", "the CA's log, or a person"},
    {"A.14.17", "the CA's log, or a person"},
    {"A.14.18", "a person"},
    {"A.14.19", "a person"},
    {"A.14.20", "the CA's log, or a person"},
    {"A.15.1", "a person, or coffer change"},
    {"A.15.3", "a person, or coffer change"},
    {"A.15.4", "a person, or coffer change"},
    {"A.16.1", "a person, or the door's log"},
    {"A.16.2", "the host's log (sshd)"},
    {"A.16.3", "a person"},
    {"A.17.4", "the CA's log"},
    {"A.17.5", "the host's log"},
    {"A.17.6", "the host's log, or a person"},
    {"A.17.7", "the host's log, or a person"},
    {"A.17.8", "the host's log, or a person"},
    {"A.17.11", "a person"},
};

size_t cof_own_kinds(const struct cof_own_kind **ret)
{
	*ret = own;
	return COF_COUNT(own);
}

size_t cof_unseen_kinds(const struct cof_unseen_kind **ret)
{
	*ret = unseen;
	return COF_COUNT(unseen);
}
