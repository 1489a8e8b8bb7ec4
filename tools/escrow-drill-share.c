/* SPDX-License-Identifier: Apache-2.0 */
/* A nonce for one custodian, and the judging of what comes back. */
#include "tools/escrow-drill.h"
#include "tools/output.h"

#include <stdio.h>

struct cof_json *drill_record(const struct drill *d, uint64_t of, const char *outcome, const char *reason)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", "drill");
	cof_json_set_uint(o, "epoch", d->epoch->number);
	cof_json_set_str(o, "epoch_key", d->epoch->epoch_key);
	cof_json_set_bool(o, "rehearsal", d->epoch->rehearsal);
	if (d->custodian)
		cof_json_set_str(o, "name", d->custodian);
	if (of)
		cof_json_set_uint(o, "of", of);
	if (outcome)
		cof_json_set_str(o, "outcome", outcome);
	if (reason && *reason)
		cof_json_set_str(o, "reason", reason);
	return o;
}

bool drill_is(const struct drill *d, const struct cof_json *o)
{
	return !strcmp(ledger_what(o), "drill") && (uint32_t)ledger_number(o, "epoch") == d->epoch->number &&
	       !strcmp(ledger_text(o, "epoch_key"), d->epoch->epoch_key);
}

bool drill_ended(const struct drill *d, uint64_t begun)
{
	for (size_t i = 0; i < d->ledger.n_records; i++) {
		const struct cof_json *o = d->ledger.record[i];

		if (drill_is(d, o) && (uint64_t)ledger_number(o, "of") == begun && !strcmp(ledger_text(o, "outcome"), "success"))
			return true;
	}
	return false;
}

/* ---- asking ---- */

int drill_ask(struct drill *d, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = drill_record(d, 0, NULL, NULL), *o = NULL;
	char nonce[COF_PROOF_CHALLENGE], until[32], commitment[65];
	int r;

	cof_proof_challenge(COF_PROOF_DRILL, nonce);
	cof_json_set_str(record, "challenge", nonce);
	cof_hex(d->doc.holder[d->holder].commitment, 32, commitment);
	cof_json_set_str(record, "detail", commitment); /* by which the archive and others judge the answer, without the document */
	r = escrow_record_told(&d->shelf, record, &o, diag);
	if (r < 0)
		return r;
	cof_time_text(cof_now(CLOCK_REALTIME) + d->policy.escrow_answer, until);
	if (d->json) {
		cof_json_set_str(o, "custodian", d->custodian);
		cof_json_set_str(o, "nonce", nonce);
		cof_json_set_str(o, "until", until);
		return print_json(o, true);
	}
	printf("For %s, to be answered until %.16s:\n  %s\nOn a device of their own, without a network: coffer share prove --nonce %s\n"
	       "The answer comes back here: coffer escrow drill %s/%s --custodian %s --proof ANSWER\n",
	       d->custodian, until, nonce, nonce, d->shelf.ask.store.path, d->shelf.name, d->custodian);
	return 0;
}

/* ---- the answer ---- */

struct judged {
	uint64_t of;	  /* the nonce that it answers, or the newest of the custodian; 0: there is none */
	int64_t asked;
	const char *reason; /* NULL: it is right */
	char text[160];	  /* for people */
};

static bool answers(const struct drill *d, const struct cof_json *nonce, unsigned holder)
{
	return cof_proof_verify(d->doc.holder[holder].commitment, ledger_text(nonce, "challenge"), d->proof) == 0;
}

static bool is_nonce(const struct drill *d, const struct cof_json *o, const char *name)
{
	return drill_is(d, o) && !cof_json_get(o, "of") && *ledger_text(o, "challenge") && (!name || !strcmp(ledger_text(o, "name"), name));
}

/* It is the custodian's, and the nonce was theirs. */
static void judge_own(const struct drill *d, const struct cof_json *nonce, struct judged *j)
{
	char date[32];

	j->of = (uint64_t)ledger_number(nonce, "sequence");
	(void)cof_time_parse(ledger_text(nonce, "time"), &j->asked);
	cof_time_text(j->asked, date);
	j->reason = drill_ended(d, j->of)					       ? "replayed"
		    : cof_now(CLOCK_REALTIME) - j->asked > d->policy.escrow_answer ? "stale"
										       : NULL;
	if (j->reason)
		snprintf(j->text, sizeof(j->text), "%s: it answers the nonce of %.16s, which %s", j->reason, date,
			 !strcmp(j->reason, "stale") ? "is too old: ask anew" : "was answered then: each is for one answer");
}

/* Whose it is instead, as far as it can be found: a share of another, or a nonce of another. */
static void judge_other(const struct drill *d, struct judged *j)
{
	for (size_t i = d->ledger.n_records; i-- > 0;) {
		const struct cof_json *o = d->ledger.record[i];

		if (!is_nonce(d, o, NULL))
			continue;
		for (unsigned h = 0; h < d->doc.scheme.n_custodians; h++) {
			if (!answers(d, o, h))
				continue;
			j->reason = "of another";
			snprintf(j->text, sizeof(j->text), "of another: it was made with the share of %s, for the nonce of %.32s",
				 d->doc.scheme.custodian[h].name, ledger_text(o, "name"));
			return;
		}
	}
	j->reason = "wrong";
	snprintf(j->text, sizeof(j->text), "wrong: it was made with no share of epoch %u, or for a nonce that was not given here", d->doc.number);
}

static void judge(const struct drill *d, struct judged *j)
{
	*j = (struct judged){.of = 0};
	for (size_t i = d->ledger.n_records; i-- > 0;) { /* the newest first */
		const struct cof_json *o = d->ledger.record[i];

		if (!is_nonce(d, o, d->custodian))
			continue;
		if (!j->of)
			j->of = (uint64_t)ledger_number(o, "sequence");
		if (answers(d, o, (unsigned)d->holder)) {
			judge_own(d, o, j);
			return;
		}
	}
	judge_other(d, j);
}

static int say_right(const struct drill *d, const struct cof_json *o)
{
	char span[32];

	cof_duration_text(ledger_number(o, "took_ns"), span);
	printf("It is on record that %s has the share of epoch %u%s (%s after it was asked).\n", d->custodian, d->doc.number,
	       d->epoch->rehearsal ? ", a rehearsal" : "", span);
	return 0;
}

/* A refusal is on record before it is told. */
static int refuse(struct drill *d, const struct judged *j, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = drill_record(d, j->of, "failure", j->text);
	struct cof_diag why = {""};
	int r;

	if (j->of)
		r = escrow_record(&d->shelf, record, NULL, &why);
	else
		r = escrow_refused(&d->shelf, "drill", "", j->text, NULL, &why);
	if (r < 0)
		complain("the refusal is not on record: %s", why.text);
	return cof_fail(diag, -EPERM, "the answer of %s is refused: %s", d->custodian, j->text);
}

int drill_answer(struct drill *d, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = NULL, *o = NULL;
	struct judged j;
	int r;

	judge(d, &j);
	if (j.reason)
		return refuse(d, &j, diag);
	record = drill_record(d, j.of, "success", NULL);
	cof_json_set_str(record, "proof", d->proof);
	r = escrow_record_told(&d->shelf, record, &o, diag);
	if (r < 0)
		return r;
	if (!d->json)
		return say_right(d, o);
	cof_json_set_str(o, "custodian", d->custodian);
	return print_json(o, true);
}
