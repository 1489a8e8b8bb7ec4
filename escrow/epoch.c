/* SPDX-License-Identifier: Apache-2.0 */
/* The document of an epoch, read and written. */
#include "escrow/epoch.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#define FORMAT "coffer-epoch/1"

bool cof_epoch_valid(const struct cof_epoch *e)
{
	for (unsigned i = 0; i < e->scheme.n_custodians; i++)
		if (!*e->holder[i].challenge)
			return false;
	return e->tried;
}

int cof_epoch_find(const struct cof_epoch *e, const char *custodian)
{
	for (unsigned i = 0; i < e->scheme.n_custodians; i++)
		if (!strcmp(e->scheme.custodian[i].name, custodian))
			return (int)i;
	return -ENOENT;
}

/* The first share of a group. */
static unsigned first_of(const struct cof_scheme *s, unsigned group)
{
	unsigned at = 0;

	for (unsigned g = 0; g < group; g++)
		at += s->group[g].members;
	return at;
}

int cof_epoch_holder_of(const struct cof_epoch *e, unsigned group, unsigned member)
{
	if (group >= e->scheme.n_groups || member >= e->scheme.group[group].members)
		return -ENOENT;
	return (int)(first_of(&e->scheme, group) + member);
}

int cof_epoch_confirm(struct cof_epoch *e, unsigned holder, const char *challenge, const char *proof, struct cof_diag *diag)
{
	struct cof_epoch_holder *h = &e->holder[holder];
	const char *name = e->scheme.custodian[holder].name;
	int r;

	if (!cof_proof_challenge_ok(challenge, COF_PROOF_CONFIRM))
		return cof_fail(diag, -EINVAL, "%s: what was signed is no challenge that begins with \"confirm-\"", name);
	r = cof_proof_verify(h->commitment, challenge, proof);
	if (r == -EBADMSG)
		return cof_fail(diag, r, "%s: the proof was not made with the share that was given to them, or for another challenge", name);
	if (r < 0)
		return cof_fail(diag, r, "%s: that is no proof: it has %d characters of base64", name, COF_PROOF_TEXT - 1);
	strcpy(h->challenge, challenge);
	strcpy(h->proof, proof);
	return 0;
}

void cof_epoch_done(struct cof_epoch *e)
{
	free(e->scheme_text);
	free(e->holder);
	cof_scheme_done(&e->scheme);
	e->scheme_text = NULL;
	e->holder = NULL;
}

/* ---- writing ---- */

static struct cof_json *custodian_json(const struct cof_epoch *e, unsigned i)
{
	const struct cof_custodian *c = &e->scheme.custodian[i];
	const struct cof_epoch_holder *h = &e->holder[i];
	struct cof_json *o = cof_json_object();
	char hex[65];

	cof_hex(h->commitment, sizeof(h->commitment), hex);
	cof_json_set_str(o, "name", c->name);
	cof_json_set_str(o, "group", e->scheme.group[c->group].name);
	cof_json_set_uint(o, "index", c->group + 1);
	cof_json_set_uint(o, "member", i - first_of(&e->scheme, c->group) + 1);
	cof_json_set_str(o, "commitment", hex);
	if (*h->challenge) {
		cof_json_set_str(o, "challenge", h->challenge);
		cof_json_set_str(o, "proof", h->proof);
	}
	return o;
}

int cof_epoch_write(const struct cof_epoch *e, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *list = cof_json_array();

	for (unsigned i = 0; i < e->scheme.n_custodians; i++)
		cof_json_append(list, custodian_json(e, i));
	cof_json_set_str(o, "format", FORMAT);
	cof_json_set_uint(o, "epoch", e->number);
	cof_json_set_time(o, "created", e->created);
	cof_json_set_bool(o, "rehearsal", e->rehearsal);
	cof_json_set_bool(o, "passphrase", e->passphrase);
	cof_json_set_bool(o, "tried", e->tried);
	cof_json_set_bool(o, "valid", cof_epoch_valid(e));
	cof_json_set_uint(o, "set", e->set);
	cof_json_set_uint(o, "exponent", e->exponent);
	cof_json_set_str(o, "recipient", e->recipient);
	cof_json_set_str(o, "scheme", e->scheme_text);
	cof_json_set(o, "custodians", list);
	return o ? cof_json_canonical(o, ret) : -ENOMEM;
}

/* ---- reading ---- */

static int wrong(struct cof_diag *diag, const char *what)
{
	return cof_fail(diag, -EUCLEAN, "epoch document: %s", what);
}

static int number_of(const struct cof_json *o, const char *key, uint64_t least, uint64_t most, uint64_t *ret)
{
	int64_t v = -1;

	if (cof_json_int(o, key, &v) < 0 || v < 0 || (uint64_t)v < least || (uint64_t)v > most)
		return -EUCLEAN;
	*ret = (uint64_t)v;
	return 0;
}

static int read_head(const struct cof_json *o, struct cof_epoch *e, struct cof_diag *diag)
{
	const char *format = cof_json_str(o, "format"), *created = cof_json_str(o, "created"),
		   *recipient = cof_json_str(o, "recipient"), *scheme = cof_json_str(o, "scheme");
	uint64_t number = 0, set = 0, exponent = 0;
	uint8_t key[COF_AGE_KEY];

	if (!format || strcmp(format, FORMAT) != 0)
		return wrong(diag, "its format is not " FORMAT);
	if (number_of(o, "epoch", 1, UINT32_MAX, &number) < 0 || number_of(o, "set", 0, 0x7fff, &set) < 0 ||
	    number_of(o, "exponent", 0, COF_SLIP39_EXPONENT_MAX, &exponent) < 0)
		return wrong(diag, "epoch, set or exponent is missing or out of its range");
	if (!created || cof_time_parse(created, &e->created) < 0)
		return wrong(diag, "created is no time");
	if (!recipient || strlen(recipient) >= sizeof(e->recipient) || cof_age_recipient_parse(recipient, strlen(recipient), key) < 0)
		return wrong(diag, "recipient is no age recipient");
	if (!scheme)
		return wrong(diag, "there is no scheme");
	strcpy(e->recipient, recipient);
	e->number = (uint32_t)number;
	e->set = (uint16_t)set;
	e->exponent = (uint8_t)exponent;
	e->rehearsal = cof_json_bool(o, "rehearsal");
	e->passphrase = cof_json_bool(o, "passphrase");
	e->tried = cof_json_bool(o, "tried");
	e->scheme_text = strdup(scheme);
	if (!e->scheme_text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	return cof_scheme_parse(scheme, strlen(scheme), &e->scheme, diag);
}

static int read_holder(const struct cof_json *o, struct cof_epoch *e, unsigned i, struct cof_diag *diag)
{
	const char *hex = cof_json_str(o, "commitment"), *challenge = cof_json_str(o, "challenge"), *proof = cof_json_str(o, "proof");

	if (!hex || strlen(hex) != 64 || cof_unhex(hex, 64, e->holder[i].commitment) < 0)
		return wrong(diag, "a custodian has no commitment");
	if (!challenge && !proof)
		return 0;
	if (!challenge || !proof)
		return wrong(diag, "a custodian has a challenge without its proof, or a proof without its challenge");
	return cof_epoch_confirm(e, i, challenge, proof, diag) < 0 ? -EUCLEAN : 0;
}

static int read_all(const void *text, size_t n, struct cof_epoch *e, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autobuf struct cof_buf again = {0};
	const struct cof_json *list;
	int r = n > COF_EPOCH_MAX ? -EUCLEAN : cof_json_parse(text, n, &o);

	if (r < 0)
		return wrong(diag, n > COF_EPOCH_MAX ? "it is too long" : "it is no JSON");
	r = read_head(o, e, diag);
	if (r < 0)
		return r;
	list = cof_json_get(o, "custodians");
	if (cof_json_count(list) != e->scheme.n_custodians)
		return wrong(diag, "its custodians are not those of its scheme");
	e->holder = calloc(e->scheme.n_custodians, sizeof(*e->holder));
	if (!e->holder)
		return cof_fail(diag, -ENOMEM, "out of memory");
	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++)
		r = read_holder(cof_json_at(list, i), e, i, diag);
	if (r == 0)
		r = cof_epoch_write(e, &again);
	if (r < 0)
		return r;
	/* So that names, groups, numbers, "valid", and every byte besides are checked at once. */
	if (again.len != n || !again.data || memcmp(again.data, text, n) != 0)
		return wrong(diag, "it is not as Coffer writes it: something in it is more, less, or contradicts the rest");
	return 0;
}

int cof_epoch_parse(const void *text, size_t n, struct cof_epoch *ret, struct cof_diag *diag)
{
	struct cof_epoch e = {.number = 0};
	int r = read_all(text, n, &e, diag);

	if (r < 0)
		cof_epoch_done(&e);
	else
		*ret = e;
	return r;
}
