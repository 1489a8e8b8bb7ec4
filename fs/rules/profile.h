/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of a whole archive: every number or choice of the rules that is not a single shelf's. As text it
 * is the part [archive] of a profile, a readable INI; the parts [shelf NAME] beside it are policies as
 * fs/rules/rules.h has them. Pure, as the rest of this folder.
 */
#ifndef COF_PROFILE_H
#define COF_PROFILE_H

#include "fs/rules/rules.h"

#define COF_PROFILE_TEXT 256 /* bytes of a text key, terminator included */
#define COF_PROFILE_MAX 65000 /* bytes of a profile's text: what a field of a frame holds */

/*
 * Spans are ns. "each SPAN": so long after the last one it is due again; 0: never. Lists are words with one
 * blank between, rules are "N [role...]" as approve_remove of a shelf.
 */
struct cof_profile {
	/* What it is */
	char profile[COF_PROFILE_TEXT]; /* its name, "gpki-4" */
	char sources[COF_PROFILE_TEXT]; /* whose clauses compliance looks at: gpki vasp sec ins cert */
	uint32_t level;			/* of assurance, 1 to 4; 0: the sources have none */

	/* Recording */
	uint32_t coverage;	  /* R2: the level whose event kinds have to have a source; 0: none */
	char coverage_by[2048];	  /* R2: kinds that persons report, by name or role: "A.14.3=officer" */
	int64_t coverage_within;  /* R2: what Coffer recorded, and a source's test, count for so long; 0: for ever */
	int64_t heartbeat;	  /* R4: a sign of life each SPAN while mounted */
	int64_t silence;	  /* R4: a source that imported nothing for so long is an alarm; 0: none */
	bool immutable_point;	  /* R4: nothing may be written beneath a missing mount */
	bool changes;		  /* R6: changes of ledgers are recorded as forms */
	char change_signers[COF_PROFILE_TEXT]; /* R6: roles that sign one */
	int64_t change_open;	  /* R6: an open change is due for its end after so long */
	char approve_redact[64];  /* R7 */
	int64_t deviation;	  /* R8: of the wall clock, before it is a fault */
	int64_t proof;		  /* R8: a proof of time (stamp, cosignature) each SPAN */
	char approve_clock[64];	  /* R8: catching up of the retention clock */

	/* Keeping */
	int64_t archived_within;  /* R10: not yet in a second place after so long is an alarm; 0: none */
	uint32_t vault_grade;	  /* R10: level that a vault has to state, at least */
	int64_t on_site;	  /* R11: audit logs stay here at least so long */
	uint32_t record_kinds;	  /* R12: the level whose kinds of records have to have a shelf; 0: none */
	uint32_t persons;	  /* R14: distinct persons of anything sensitive, at least 2 */
	char exclusive[COF_PROFILE_TEXT]; /* R14: pairs of roles that one person may not have: "auditor+operator" */
	char approve_people[64], approve_profile[64]; /* R14: a change of the people, of this */
	uint32_t aes_bits, rsa_bits, ecc_bits, hash_bits; /* R15: at least */
	uint32_t tls;		  /* R15: the least version, 12 or 13 */
	bool auditor_secret;	  /* R16: an auditor holds the secret of the seal */
	int64_t self_check;	  /* R17: integrity of software and configuration each SPAN */
	bool measured_boot;	  /* R17: the seal is bound to measured boot */
	int64_t review, failed_logins, access_review; /* R18: each SPAN */
	int64_t report, report_yearly, audit;	      /* R18: each SPAN */
	bool disclosure_basis;	  /* R19: evidence leaves only with recipient and basis named */

	/* Keys */
	bool ca_key_backup;	  /* R21: the CA's key has to have one */
	bool subscriber_backup;	  /* R21: a subscriber may back up their own signing key */
	uint32_t key_persons;	  /* R22: of n-of-m control, at least 2 */
	bool plaintext_keys;	  /* R23: software keys may be taken in plaintext */
	uint32_t share_places;	  /* R24: places that shares lie in, at least */
	int64_t fire_rating;	  /* R24: of the safes; 0: none asked for */
	bool physical_backup;	  /* R24: paper or metal beside what a provider holds */
	bool ceremony_auditor;	  /* R25: an auditor is present */
	bool escrow_ceremony;	  /* R25: an epoch of escrow is in force only with the transcript of its making */
	uint32_t survive;	  /* R26: losses of persons that have to be survivable */
	int64_t escrow_drill, restore_drill; /* R27: each SPAN; the first: each custodian's share */
	int64_t escrow_full_drill; /* R27: each SPAN: a canary is recovered by a quorum */
	int64_t escrow_answer;	  /* R27: so long a custodian's nonce may be answered */
	int64_t escrow_time, restore_time; /* R27: promised; 0: none */
	uint32_t lockout;	  /* R30: wrong secrets in a row; the door of this version locks at 3 */
	char openers[COF_PROFILE_TEXT]; /* R31: kinds that may open the archive: tpm2 passphrase file */
	bool hardware_officers;	  /* R31: officers sign with keys of hardware that verify the person each time */
	uint32_t module_root, module_sub; /* R31: level of the modules; 0: none asked for */
	int64_t key_life_root, key_life_sub, key_life_subscriber; /* R32: 0: by the practice statement */
	int64_t rekey_root, rekey_sub; /* R32: so long ahead of the end */
	int64_t crl;		  /* R32: a CRL each SPAN */

	/* Away from the host */
	int64_t backup_local, backup_offsite; /* R40: each SPAN */
	uint32_t places;	  /* R41: beside the host's, at least */
	uint32_t distance;	  /* R41: km between any two, at least */
	char jurisdictions[COF_PROFILE_TEXT]; /* R42: allowed; "": any */
	char forbidden_jurisdictions[COF_PROFILE_TEXT]; /* R42: nothing goes there, whatever is allowed; "": none */
	bool transfer_basis;	  /* R42: a transfer names what it rests on */
	bool retirement_statement; /* R43: a provider signs that everything is deleted */
	bool network, remote_access; /* R45: the host may have */
	char successor[COF_PROFILE_TEXT]; /* R46: who takes over */

	/* Ending */
	char approve_destroy[64]; /* R50 */
	bool destroy_agreement;	  /* R50: third parties are bound to secrecy */

	/* When something happens */
	int64_t alarm_within;	  /* R60 */
	uint32_t incident_least;  /* R61: impact from which it is reported */
	uint32_t incident_pass_on; /* R61: impact from which the team passes it on; 0: nothing */
	char incident_to[COF_PROFILE_TEXT];	/* R61: recipients of each */
	char incident_pass_to[COF_PROFILE_TEXT]; /* R61: of what is passed on */
	int64_t incident_within[4]; /* R61: after the discovery, by impact 1 to 4; 0: no limit given */
	bool incident_hold;	  /* R62: an incident begins a hold over its records */
	char evidence_exchange[COF_PROFILE_TEXT]; /* R62: formats */
	int64_t drill_emergency, drill_compromise, drill_resources, drill_continuity, drill_revocation; /* R63 */
	char restore_first[COF_PROFILE_TEXT]; /* R63: shelves, in their order */
	int64_t compromise_within; /* R64: the superior CA is told; 0: there is none */
	char compromise_to[COF_PROFILE_TEXT];	/* R64 */
};

/* What an archive without a profile has: each rule at what this version does anyway, no dates. */
void cof_profile_default(struct cof_profile *ret);

/* ---- its text ---- */

struct cof_profile_shelf {
	char name[44];
	struct cof_policy policy;
};
struct cof_profile_file {
	struct cof_profile archive;
	struct cof_profile_shelf *shelves; /* in the order of the file */
	size_t n_shelves;
};
#define COF_PROFILE_SHELVES 64

/* A whole profile: the part [archive], at most once, and any number of parts [shelf NAME]. Keys that are not
 * given are as cof_profile_default has them. -EUCLEAN with the line and what is wrong; ret is untouched then. */
int cof_profile_parse(const char *text, size_t n, struct cof_profile_file *ret, struct cof_diag *diag);
void cof_profile_file_done(struct cof_profile_file *f);
/* Canonical: [archive] with every key. What a POLICY frame holds; parse reads it back. */
int cof_profile_text(const struct cof_profile *p, struct cof_buf *ret);

/* ---- single keys ---- */

size_t cof_profile_keys(void);
const char *cof_profile_key(size_t i);	    /* "self_check" */
const char *cof_profile_key_rule(size_t i); /* "R17"; "" */
int cof_profile_value(const struct cof_profile *p, const char *key, struct cof_buf *ret); /* as text; -ENOENT */

struct cof_profile_change {
	const char *key, *rule, *old_value, *new_value;
	bool weaker; /* needs approval */
};
/* fn for each key that is not the same; a result of its own below 0 ends it. */
int cof_profile_compare(const struct cof_profile *old, const struct cof_profile *new_one,
			int (*fn)(void *user, const struct cof_profile_change *change), void *user);
/* True when new_one promises everything that old does. Otherwise *ret_key is a key that promises less; may be NULL. */
bool cof_profile_is_stronger(const struct cof_profile *old, const struct cof_profile *new_one,
			     const char **ret_key);

/* ---- questions ---- */

/* The two roles may not be one person's. */
bool cof_profile_excludes(const struct cof_profile *p, const char *role, const char *other);
/* Whether a list has the word. */
bool cof_profile_has(const char *list, const char *word);
bool cof_profile_word(const char *list, const char *word, size_t n);

#endif
