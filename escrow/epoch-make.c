/* SPDX-License-Identifier: Apache-2.0 */
/* A new epoch: made, split, and every minimal subset of its shares tried, from their words. */
#include "escrow/epoch.h"

#include "crypto/crypto.h"
#include "escrow/slip39-private.h"

#include <stdio.h>

#define PROGRESS_EVERY 512 /* subsets */
#define MS 1000000LL

struct cof_epoch_shares { /* secure memory */
	unsigned n;
	char words[][COF_SLIP39_TEXT];
};

void cof_epoch_shares_free(struct cof_epoch_shares *s)
{
	cof_secret_free(s);
}

const char *cof_epoch_words(const struct cof_epoch_shares *s, unsigned holder)
{
	return holder < s->n && *s->words[holder] ? s->words[holder] : NULL;
}

void cof_epoch_forget(struct cof_epoch_shares *s, unsigned holder)
{
	if (holder < s->n)
		cof_wipe(s->words[holder], sizeof(s->words[holder]));
}

int cof_epoch_seal_share(const struct cof_epoch *e, const struct cof_epoch_shares *s, unsigned holder, struct cof_buf *ret)
{
	const char *recipient = e->scheme.custodian[holder].recipient, *words = cof_epoch_words(s, holder);
	cof_autosecret char *plain = NULL;
	uint8_t key[1][COF_AGE_KEY];
	size_t n;

	if (!words || !strcmp(recipient, "paper"))
		return -ENOENT;
	if (cof_age_recipient_parse(recipient, strlen(recipient), key[0]) < 0)
		return -EINVAL;
	n = strlen(words);
	plain = cof_secret_alloc(n + 1);
	if (!plain)
		return -ENOMEM;
	memcpy(plain, words, n);
	plain[n] = '\n';
	return cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])key, 1, plain, n + 1, NULL, ret);
}

/* ---- every minimal subset ---- */

static uint64_t choose(unsigned n, unsigned k)
{
	uint64_t c = 1;

	for (unsigned i = 1; i <= k; i++)
		c = c * (n - k + i) / i;
	return c;
}

uint64_t cof_epoch_subsets(const struct cof_slip39_scheme *s)
{
	uint64_t n = choose(s->n_groups, s->threshold);

	for (unsigned g = 0; g < s->n_groups; g++)
		n += choose(s->group[g].members, s->group[g].threshold);
	return n;
}

struct trial {
	const struct cof_epoch_order *order;
	uint64_t done, total;
	size_t n; /* bytes of the secret */
};

static void tick(struct trial *t)
{
	t->done++;
	if (t->order->progress && (t->done % PROGRESS_EVERY == 0 || t->done == t->total))
		t->order->progress(t->order->user, t->done, t->total);
}

/*
 * Each `threshold` of the points has to give the same n bytes, into ret. Since each subset of a group gives the group's
 * part, and each subset of parts the secret, every minimal subset of the whole has been tried with these.
 */
static int try_each(struct trial *t, unsigned threshold, unsigned count, const struct cof_slip39_point *all, uint8_t *ret)
{
	cof_autosecret uint8_t *got = cof_secret_alloc(t->n);
	struct cof_slip39_point p[COF_SLIP39_MEMBERS];
	bool first = true;

	if (!got)
		return -ENOMEM;
	for (uint32_t set = 1; set < 1u << count; set++) {
		unsigned n = 0;
		int r;

		if ((unsigned)__builtin_popcount(set) != threshold)
			continue;
		for (unsigned i = 0; i < count; i++)
			if (set >> i & 1)
				p[n++] = all[i];
		r = cof_slip39_bring_together(threshold, p, t->n, first ? ret : got);
		if (r == 0 && !first && !cof_equal(ret, got, t->n))
			r = -EBADMSG;
		if (r < 0)
			return r;
		first = false;
		tick(t);
	}
	return 0;
}

/* shares: read back from their words. */
static int try_shares(struct trial *t, const struct cof_slip39_scheme *s, const struct cof_slip39_share *shares,
		      const uint8_t *secret, const char *passphrase)
{
	size_t n = t->n;
	cof_autosecret uint8_t *parts = cof_secret_alloc((COF_SLIP39_GROUPS + 1) * n);
	struct cof_slip39_point p[COF_SLIP39_MEMBERS];
	uint8_t *whole;
	int r = parts ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	whole = parts + COF_SLIP39_GROUPS * n;
	for (unsigned g = 0, at = 0; r == 0 && g < s->n_groups; at += s->group[g++].members) {
		for (unsigned i = 0; i < s->group[g].members; i++)
			p[i] = (struct cof_slip39_point){shares[at + i].member, shares[at + i].value};
		r = try_each(t, s->group[g].threshold, s->group[g].members, p, parts + g * n);
	}
	for (unsigned g = 0; g < s->n_groups; g++)
		p[g] = (struct cof_slip39_point){(uint8_t)g, parts + g * n};
	if (r == 0)
		r = try_each(t, s->threshold, s->n_groups, p, whole);
	if (r == 0)
		r = cof_slip39_decrypt(&shares[0], passphrase, whole, n);
	return r == 0 && !cof_equal(whole, secret, n) ? -EBADMSG : r;
}

/* ---- making ---- */

static int check_recipients(const struct cof_scheme *s, struct cof_diag *diag)
{
	uint8_t key[COF_AGE_KEY];

	for (unsigned i = 0; i < s->n_custodians; i++) {
		const char *recipient = s->custodian[i].recipient;

		if (strcmp(recipient, "paper") != 0 && cof_age_recipient_parse(recipient, strlen(recipient), key) < 0)
			return cof_fail(diag, -EINVAL, "custodian %s: the recipient is neither \"paper\" nor an age recipient (age1…)",
					s->custodian[i].name);
	}
	return 0;
}

/* Fills what a splitting tells; the words too. */
static int put_down(struct cof_epoch *e, const struct cof_slip39_share *share, struct cof_epoch_shares *words)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < e->scheme.n_custodians; i++) {
		r = cof_slip39_write(&share[i], words->words[i]);
		if (r == 0)
			r = cof_slip39_commitment(&share[i], e->holder[i].commitment);
	}
	e->set = share[0].id;
	return r;
}

/* From the words, as whoever recovers will have them. */
static int read_back(const struct cof_epoch_shares *words, struct cof_slip39_share *share)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < words->n; i++)
		r = cof_slip39_read(words->words[i], strlen(words->words[i]), &share[i], NULL);
	return r;
}

static int split(struct cof_epoch *e, const struct cof_epoch_order *order, struct cof_epoch_shares *words, struct cof_diag *diag)
{
	unsigned n = e->scheme.n_custodians;
	const char *passphrase = order->passphrase ? order->passphrase : "";
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(n * sizeof(*share));
	cof_autosecret uint8_t *secret = cof_secret_alloc(COF_AGE_KEY);
	struct cof_slip39_scheme plain;
	uint8_t public_key[COF_AGE_KEY];
	struct trial t = {.order = order, .n = COF_AGE_KEY};
	int r;

	if (!share || !secret)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	cof_scheme_slip39(&e->scheme, &plain);
	plain.exponent = order->exponent;
	if (order->secret)
		memcpy(secret, order->secret, COF_AGE_KEY);
	else
		cof_random(secret, COF_AGE_KEY);
	r = cof_x25519_public(secret, public_key);
	if (r < 0)
		return cof_fail(diag, r, "the key pair could not be made: %s", strerror(-r));
	cof_age_recipient_text(public_key, e->recipient);
	r = cof_slip39_split(&plain, secret, COF_AGE_KEY, passphrase, share, diag);
	if (r < 0)
		return r;
	t.total = cof_epoch_subsets(&plain);
	r = put_down(e, share, words);
	if (r == 0)
		r = read_back(words, share);
	if (r == 0)
		r = try_shares(&t, &plain, share, secret, passphrase);
	e->tried = r == 0 && t.done == t.total;
	return e->tried ? 0 : cof_fail(diag, r == -ENOMEM ? r : -EIO, "a subset of the new shares did not give the secret; nothing was made. "
								      "This machine's memory or processor is not to be trusted");
}

static int make(const char *scheme, size_t n, const struct cof_epoch_order *order, struct cof_epoch *e,
		struct cof_epoch_shares **ret_shares, struct cof_diag *diag)
{
	int r = order->number && order->exponent <= COF_SLIP39_EXPONENT_MAX
		    ? cof_scheme_parse(scheme, n, &e->scheme, diag)
		    : cof_fail(diag, -EINVAL, "epochs count from 1, and the exponent is at most %d", COF_SLIP39_EXPONENT_MAX);

	if (r == 0)
		r = check_recipients(&e->scheme, diag);
	if (r < 0)
		return r;
	e->number = order->number;
	e->created = order->created - order->created % MS;
	e->rehearsal = order->rehearsal;
	e->passphrase = order->passphrase && *order->passphrase;
	e->exponent = order->exponent;
	e->scheme_text = strndup(scheme, n);
	e->holder = calloc(e->scheme.n_custodians, sizeof(*e->holder));
	*ret_shares = cof_secret_alloc(sizeof(**ret_shares) + e->scheme.n_custodians * sizeof((*ret_shares)->words[0]));
	if (!e->scheme_text || !e->holder || !*ret_shares)
		return cof_fail(diag, -ENOMEM, "no memory is left");
	(*ret_shares)->n = e->scheme.n_custodians;
	return split(e, order, *ret_shares, diag);
}

/* The document has to be read back as it is, which a scheme that is no UTF-8, or holds a NUL, would not. */
static int check_document(const struct cof_epoch *e, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf b = {0};
	struct cof_epoch again = {.number = 0};
	struct cof_diag why = {""};
	int r = cof_epoch_write(e, &b);

	if (r == 0)
		r = cof_epoch_parse(b.data, b.len, &again, &why);
	cof_epoch_done(&again);
	if (r == -EUCLEAN)
		return cof_fail(diag, r, "this scheme does not fit into a document: it is to be UTF-8 without control characters, and short");
	return r;
}

int cof_epoch_make(const char *scheme, size_t n, const struct cof_epoch_order *order, struct cof_epoch *ret,
		   struct cof_epoch_shares **ret_shares, struct cof_diag *diag)
{
	struct cof_epoch e = {.number = 0};
	struct cof_epoch_shares *shares = NULL;
	int r = make(scheme, n, order, &e, &shares, diag);

	if (r == 0)
		r = check_document(&e, diag);
	if (r < 0) {
		cof_epoch_done(&e);
		cof_epoch_shares_free(shares);
		return r;
	}
	*ret = e;
	*ret_shares = shares;
	return 0;
}
