/* SPDX-License-Identifier: Apache-2.0 */
/* When an issuer had no CRL in force. The newest one says nothing of the past, so all of them are kept here. */
#include "tools/crl-gaps.h"
#include "tools/cas.h"

struct crl {
	char *issuer;
	int64_t from, to; /* in force */
};

struct crls {
	struct cas cas; /* which CAs have ended */
	struct cof_profile policy;
	struct crl *crl;
	size_t n, room;
};

static void done(struct crls *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->crl[i].issuer);
	free(c->crl);
	cas_done(&c->cas);
}

static int64_t time_of(const struct cof_json *o, const char *key)
{
	const char *text = cof_json_str(o, key);
	int64_t t;

	return text && cof_time_parse(text, &t) == 0 ? t : INT64_MIN;
}

/* A CRL that does not say when the next one comes is in force for the policy's span, or for ever. */
static int64_t end_of(const struct crls *c, int64_t from, int64_t to)
{
	int64_t by_policy = INT64_MAX;

	if (c->policy.crl && __builtin_add_overflow(from, c->policy.crl, &by_policy))
		by_policy = INT64_MAX;
	return to == INT64_MIN ? by_policy : COF_MIN(to, by_policy);
}

static int take(void *user, struct cof_json *certificate)
{
	const char *kind = cof_json_str(certificate, "kind"), *issuer = cof_json_str(certificate, "issuer");
	int64_t from = time_of(certificate, "not_before");
	struct crls *c = user;

	if (!kind || strcmp(kind, "crl") != 0)
		return cas_take(&c->cas, certificate);
	if (from == INT64_MIN)
		return 0;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct crl *grown = reallocarray(c->crl, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->crl = grown;
		c->room = room;
	}
	c->crl[c->n] = (struct crl){strdup(issuer ? issuer : ""), from, end_of(c, from, time_of(certificate, "not_after"))};
	return c->crl[c->n].issuer ? (c->n++, 0) : -ENOMEM;
}

static int by_issuer(const void *a, const void *b)
{
	const struct crl *x = a, *y = b;
	int r = strcmp(x->issuer, y->issuer);

	return r ? r : (x->from > y->from) - (x->from < y->from);
}

/* Until when the CA of this name has a certificate, if one is archived. */
static int64_t life_of(const struct crls *c, const char *issuer)
{
	uint8_t digest[32];

	cof_sha256(issuer, strlen(issuer), digest);
	for (size_t i = 0; i < c->cas.keys.n; i++)
		if (!memcmp(c->cas.keys.ca[i].digest, digest, sizeof(digest)))
			return c->cas.keys.ca[i].to;
	return INT64_MAX;
}

/* Those of one issuer, in order of their times. Returns how many. */
static size_t of_issuer(const struct crls *c, size_t first, int64_t now, crl_gap_fn fn, void *user, int *ret)
{
	int64_t covered = c->crl[first].to, life;
	size_t i = first + 1;

	for (; i < c->n && !strcmp(c->crl[i].issuer, c->crl[first].issuer) && *ret == 0; i++) {
		if (c->crl[i].from > covered)
			*ret = fn(user, c->crl[first].issuer, covered, c->crl[i].from);
		covered = COF_MAX(covered, c->crl[i].to);
	}
	life = life_of(c, c->crl[first].issuer);
	if (*ret == 0 && covered < now && covered < life)
		*ret = fn(user, c->crl[first].issuer, covered, life < now ? life : COF_GAP_OPEN);
	return i - first;
}

int crl_gaps(const char *arg, const struct opener_args *opener, int64_t now, crl_gap_fn fn, void *user, struct cof_diag *diag)
{
	struct source s COF_CLEANUP(source_close) = {.opener = *opener};
	cof_autojson struct cof_json *args = cof_json_object();
	struct crls c = {.n = 0};
	bool set;
	int r = source_open(&s, arg, diag);

	if (r == 0)
		r = source_policy(&s, &c.policy, &set, diag);
	if (r == 0)
		r = source_certs(&s, args, take, &c, diag);
	if (c.n)
		qsort(c.crl, c.n, sizeof(*c.crl), by_issuer);
	for (size_t i = 0; i < c.n && r == 0;)
		i += of_issuer(&c, i, now, fn, user, &r);
	done(&c);
	return r;
}
