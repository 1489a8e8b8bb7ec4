/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keys may be taken in: R15, R20 to R23 and R28 of docs/compliance.md. Pure. Each refusal names its rule and
 * the clause it comes from; the first that applies is told, those of the order before those of the key.
 */
#include "escrow/intake.h"

#include <stdio.h>

#define RAW_LEAST 16 /* bytes: AES-128 */

static void refuse(struct cof_intake_ruling *r, const char *rule, const char *clause, const char *reason)
{
	r->rule = rule;
	r->clause = clause;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

/* ---- who, how, and in which form ---- */

static bool judge_order(const struct cof_intake *in, struct cof_intake_ruling *r)
{
	if (in->level < 1 || in->level > 4)
		refuse(r, "level", "GPKI 1.4", "an assurance level is 1, 2, 3 or 4");
	else if (in->persons < 2)
		refuse(r, "one-person", "GPKI 6.2.2 (R22)", "one person's shares would suffice: a key is under the control of two at least");
	else if (in->owner == COF_OWNER_CA && !in->backup)
		refuse(r, "ca-escrow", "GPKI 4.12.1, 6.2.3 (R20)",
		       "a CA's key is never escrowed: it is backed up, under the control of several persons (--backup)");
	else if (in->owner == COF_OWNER_SUBSCRIBER && in->backup && in->level == 4)
		refuse(r, "subscriber-backup", "GPKI 6.2.4 (R21)", "at level 4 nobody backs up a subscriber's key");
	else if (in->owner == COF_OWNER_SUBSCRIBER && in->backup)
		refuse(r, "subscriber-backup", "GPKI 6.2.4, 6.1.1 (R21)",
		       "a subscriber's key is backed up by the subscriber, and an operator keeps no copy of it");
	return r->rule == NULL;
}

static bool is_reason(const char *text)
{
	return text && (!strcmp(text, "recovery") || !strcmp(text, "rekey") || !strcmp(text, "replacement"));
}

static bool judge_form(const struct cof_intake *in, struct cof_intake_ruling *r)
{
	if (in->material == COF_MATERIAL_WRAPPED) {
		if (!in->token || !*in->token)
			refuse(r, "no-token", "GPKI 6.2.6 (R23)",
			       "what a module wrapped is worth nothing without it: name its entry in the inventory of tokens");
		else if (!is_reason(in->reason))
			refuse(r, "no-reason", "GPKI 6.2.6 (R23)",
			       "a key leaves its module for recovery, rekey or replacement of the module only: say for which");
	} else if (in->owner == COF_OWNER_CA && in->level > 1) {
		refuse(r, "ca-plaintext", "GPKI 6.2.6, table 6-1 (R23, R31)",
		       "from level 2 on a CA's key is never in plaintext outside its module: give it as the module wraps it");
	} else if (in->level == 4) {
		refuse(r, "plaintext", "GPKI 6.4.1, table 6-1 (R31)", "at level 4 a key is used in a module only: give it as the module wraps it");
	} else if (in->material == COF_MATERIAL_RAW && in->level > 1) {
		refuse(r, "raw", "GPKI 6.2.6 (R23)", "bytes that do not say what key they are, are taken at level 1 only");
	}
	return r->rule == NULL;
}

/* ---- the key ---- */

static bool judge_strength(const struct cof_intake *in, struct cof_intake_ruling *r)
{
	if (in->material == COF_MATERIAL_RAW && in->bytes < RAW_LEAST)
		refuse(r, "weak", "GPKI 5.4.4, SEC 6.1 (R15)", "a key of less than 128 bits is too weak");
	else if (in->material == COF_MATERIAL_KEY && in->key->weak)
		refuse(r, "weak", "GPKI 5.4.4, SEC 6.1 (R15)",
		       "the key is too weak, or of a kind that is: RSA takes 2048 bits, a curve 256, and nothing else is taken");
	else if (in->material == COF_MATERIAL_KEY && in->public &&
		 memcmp(in->public->public_id, in->key->public_id, COF_HASH) != 0)
		refuse(r, "mismatch", "GPKI 6.2.6 (R23)", "the certificate or request is of another key");
	return r->rule == NULL;
}

static bool judge_use(const struct cof_intake *in, struct cof_intake_ruling *r)
{
	unsigned able = in->key && in->key->use ? in->key->use : COF_USE_SIGN | COF_USE_ENCRYPT;
	unsigned said = in->public && in->public->has_usage ? in->public->use
			: in->material == COF_MATERIAL_RAW  ? (unsigned)COF_USE_ENCRYPT
			: in->key			    ? in->key->use
							    : 0;
	bool document = in->public && in->public->has_usage;

	if (in->public && in->public->ca && in->owner != COF_OWNER_CA) {
		refuse(r, "ca-certificate", "GPKI 4.12.1 (R20)", "the certificate is a CA's: its key is not a subscriber's (--owner ca)");
		return false;
	}
	if (document && !said) {
		refuse(r, "usage", "GPKI 6.3 (R28)", "the certificate's keyUsage names neither signing nor encryption");
		return false;
	}
	if (said && in->decided && in->decided != said) {
		refuse(r, "usage-contradicted", "GPKI 6.3 (R28)", "what was decided about its use is not what the key or its certificate says");
		return false;
	}
	r->use = said ? said : in->decided;
	r->decided = !said && in->decided;
	if (!r->use)
		refuse(r, "usage-unknown", "GPKI 6.3 (R28)",
		       "nothing says what the key is used for: somebody has to decide, on record (--usage sign or encrypt)");
	else if (r->use == (COF_USE_SIGN | COF_USE_ENCRYPT))
		refuse(r, "both-uses", "GPKI 6.3 (R28)", "the pair is used for signing and for encryption, which no pair may be");
	else if (r->use & ~able)
		refuse(r, "usage-impossible", "GPKI 6.3 (R28)", "a key of this algorithm cannot do that");
	else if (r->use == COF_USE_SIGN && !in->backup)
		refuse(r, "signing-key", "GPKI 4.12.1, 6.2.3, 6.2.5 (R20)", "a signing key is never escrowed and never archived");
	return r->rule == NULL;
}

void cof_intake_judge(const struct cof_intake *in, struct cof_intake_ruling *ret)
{
	*ret = (struct cof_intake_ruling){.rule = NULL};
	if (judge_order(in, ret) && judge_form(in, ret) && judge_strength(in, ret) && judge_use(in, ret))
		return;
	ret->use = 0;
	ret->decided = false;
}
