/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full drill: a canary, encrypted to the epoch as a key is, and recovered by a quorum. Each is for one drill: only its digest
 * is kept, so that nobody who saw an earlier one has this one.
 */
#include "tools/coffer.h"
#include "tools/escrow-drill.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/output.h"

#include "crypto/age.h"

#include <stdio.h>

#define RANDOM 32
#define CANARY_BYTES (sizeof(COF_CANARY) - 1 + 2 * RANDOM + 1)

/* ---- canaries ---- */

struct canary {
	uint64_t sequence; /* 0: none */
	char digest[2 * COF_HASH + 1];
};

static void digest_of(const void *p, size_t n, char out[2 * COF_HASH + 1])
{
	uint8_t digest[COF_HASH];

	cof_sha256(p, n, digest);
	cof_hex(digest, COF_HASH, out);
}

static bool is_canary(const struct drill *d, const struct cof_json *o)
{
	return drill_is(d, o) && !cof_json_get(o, "of") && !*ledger_text(o, "name");
}

/* The newest that was not recovered. */
static void find_open(const struct drill *d, struct canary *ret)
{
	*ret = (struct canary){.sequence = 0};
	for (size_t i = d->ledger.n_records; !ret->sequence && i-- > 0;) {
		const struct cof_json *o = d->ledger.record[i];

		if (!is_canary(d, o) || drill_ended(d, (uint64_t)ledger_number(o, "sequence")))
			continue;
		ret->sequence = (uint64_t)ledger_number(o, "sequence");
		snprintf(ret->digest, sizeof(ret->digest), "%s", ledger_text(o, "detail"));
	}
}

static int encrypt(const struct drill *d, struct cof_buf *ret, char digest[2 * COF_HASH + 1], struct cof_diag *diag)
{
	cof_autosecret char *plain = cof_secret_alloc(CANARY_BYTES + 1);
	uint8_t recipient[1][COF_AGE_KEY], random[RANDOM];
	int r = plain ? cof_age_recipient_parse(d->doc.recipient, strlen(d->doc.recipient), recipient[0]) : -ENOMEM;

	if (r == 0) {
		cof_random(random, sizeof(random));
		memcpy(plain, COF_CANARY, sizeof(COF_CANARY) - 1);
		cof_hex(random, sizeof(random), plain + sizeof(COF_CANARY) - 1);
		explicit_bzero(random, sizeof(random));
		plain[CANARY_BYTES - 1] = '\n';
		digest_of(plain, CANARY_BYTES, digest);
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, plain, CANARY_BYTES, NULL, ret);
	}
	return r < 0 ? cof_fail(diag, r, "no canary can be made: %s", strerror(-r)) : 0;
}

static int make(struct drill *d, struct canary *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = drill_record(d, 0, NULL, NULL), *o = NULL;
	cof_autobuf struct cof_buf age = {0};
	char name[32];
	int r = encrypt(d, &age, ret->digest, diag);

	snprintf(name, sizeof(name), "canary-%u", d->epoch->number);
	cof_json_set_str(record, "detail", ret->digest);
	if (r == 0)
		r = escrow_put(&d->shelf, name, "age", age.data, age.len, record, &o, diag);
	if (r < 0)
		return r;
	ret->sequence = (uint64_t)ledger_number(o, "sequence");
	return d->output ? secret_file_write(d->output, "canary", age.data, age.len, diag) : 0;
}

static int start(struct drill *d, struct canary *c, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	int r = make(d, c, diag);

	if (r < 0)
		return r;
	if (d->json) {
		o = cof_json_object();
		cof_json_set_uint(o, "sequence", c->sequence);
		cof_json_set_uint(o, "epoch", d->epoch->number);
		if (d->policy.escrow_time)
			cof_json_set_uint(o, "promised_ns", (uint64_t)d->policy.escrow_time);
		return print_json(o, true);
	}
	printf("A canary of epoch %u is on the shelf %s, and the time runs. Shares here: coffer escrow drill %s/%s\n", d->epoch->number, d->shelf.name,
	       d->shelf.ask.store.path, d->shelf.name);
	if (d->output)
		printf("On a host of its own: coffer share combine --epoch EPOCH --decrypt %s -o canary.txt\n"
		       "Then here: coffer escrow drill %s/%s --recovered canary.txt\n",
		       d->output, d->shelf.ask.store.path, d->shelf.name);
	return 0;
}

/* ---- its recovery ---- */

static int by_shares(struct drill *d, const struct canary *c, struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(sizeof(*identity));
	cof_autobuf struct cof_buf file = {0};
	struct ledger_shut_out revoked = {&d->ledger, d->epoch};
	const struct share_gathering g = {.epoch = &d->doc, .title = "To recover a canary: a drill", SHARES_OF(&d->shares),
					  .shut_out = escrow_ledger_shuts_out, .user = &revoked};
	char digest[2 * COF_HASH + 1] = "";
	void *plain = NULL;
	size_t n = 0;
	int r = identity ? escrow_read(&d->shelf, c->sequence, &file, diag) : cof_fail(diag, -ENOMEM, "no secure memory is left");

	if (r == 0)
		r = share_gather(&g, *identity, diag);
	if (r < 0)
		return r;
	r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])identity, 1, file.data, file.len, &plain, &n);
	if (r == 0)
		digest_of(plain, n, digest);
	cof_secret_free(plain);
	if (r < 0)
		return cof_fail(diag, r, "the canary does not open with these shares: %s", strerror(-r));
	return strcmp(digest, c->digest) ? cof_fail(diag, -EBADMSG, "what the canary's file holds is not what was put there") : 0;
}

/* Of an earlier one it would show that somebody had it then. */
static int by_file(struct drill *d, const struct canary *c, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	char digest[2 * COF_HASH + 1];
	int r = file_load(d->recovered, CANARY_BYTES + 64, &text, diag);

	if (r < 0)
		return r;
	digest_of(text.data ? text.data : (const void *)"", text.len, digest);
	if (!strcmp(digest, c->digest))
		return 0;
	for (size_t i = 0; i < d->ledger.n_records; i++)
		if (is_canary(d, d->ledger.record[i]) && !strcmp(ledger_text(d->ledger.record[i], "detail"), digest))
			return cof_fail(diag, -EPERM, "replayed: it is what was in an earlier canary, of %.16s", ledger_text(d->ledger.record[i], "time"));
	return cof_fail(diag, -EPERM, "wrong: it is not what was in the canary");
}

static int say(struct drill *d, const struct cof_json *o)
{
	char took[32], promised[32];

	cof_duration_text(ledger_number(o, "took_ns"), took);
	cof_span_text(ledger_number(o, "promised_ns"), promised);
	printf("The canary of epoch %u was recovered, %s after it was made; %s%s.\n", d->epoch->number, took,
	       !ledger_number(o, "promised_ns") ? "nothing was promised (escrow_time of the policy)"
	       : d->late			? "that is longer than what was promised, "
						: "promised was ",
	       ledger_number(o, "promised_ns") ? promised : "");
	return 0;
}

static int finish(struct drill *d, const struct canary *c, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = NULL, *o = NULL;
	struct cof_diag why = {""};
	int r = d->recovered ? by_file(d, c, diag) : by_shares(d, c, diag), r2;

	record = drill_record(d, c->sequence, r == 0 ? "success" : "failure", r == 0 ? NULL : diag->text);
	r2 = escrow_record_told(&d->shelf, record, &o, &why);
	if (r2 < 0 && r < 0)
		complain("the failure is not on record: %s", why.text);
	if (r2 < 0 && r == 0)
		r = cof_fail(diag, r2, "%s", why.text);
	if (r < 0)
		return r;
	d->late = ledger_number(o, "promised_ns") && ledger_number(o, "took_ns") > ledger_number(o, "promised_ns");
	return d->json ? print_json(o, true) : say(d, o);
}

int drill_full(struct drill *d, struct cof_diag *diag)
{
	struct canary c;
	int r = 0;

	find_open(d, &c);
	if (d->start)
		return start(d, &c, diag);
	if (!c.sequence && d->recovered)
		return cof_fail(diag, -ENOENT, "no canary of epoch %u waits to be recovered: coffer escrow drill --start", d->epoch->number);
	if (!c.sequence)
		r = make(d, &c, diag);
	return r == 0 ? finish(d, &c, diag) : r;
}
