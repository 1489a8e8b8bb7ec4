/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of CAs' keys and CRLs, by the certificates that are archived. */
#include "tools/cas.h"

#include <stdio.h>

/* NULL, and 0 in *ret: no place is left. */
static struct ca *place(struct ca_list *l, const char *name, int *ret)
{
	uint8_t digest[32];
	struct ca *grown;

	*ret = 0;
	cof_sha256(name, strlen(name), digest);
	for (size_t i = 0; i < l->n; i++)
		if (!memcmp(l->ca[i].digest, digest, sizeof(digest)))
			return &l->ca[i];
	if (l->n == CAS_MAX)
		return NULL;
	grown = reallocarray(l->ca, l->n + 1, sizeof(*grown));
	if (!grown) {
		*ret = -ENOMEM;
		return NULL;
	}
	l->ca = grown;
	grown += l->n++;
	*grown = (struct ca){.from = INT64_MIN, .to = INT64_MIN, .due = INT64_MAX};
	memcpy(grown->digest, digest, sizeof(digest));
	snprintf(grown->name, sizeof(grown->name), "%s", name);
	return grown;
}

static int64_t time_of(const struct cof_json *o, const char *key)
{
	const char *text = cof_json_str(o, key);
	int64_t t;

	return text && cof_time_parse(text, &t) == 0 ? t : INT64_MIN;
}

int cas_take(struct cas *c, const struct cof_json *cert)
{
	const char *kind = cof_json_str(cert, "kind"), *name;
	bool crl = kind && !strcmp(kind, "crl");
	int64_t from, to;
	struct ca *ca;
	int r;

	if (!crl && !(kind && !strcmp(kind, "certificate") && cof_json_bool(cert, "ca")))
		return 0;
	name = cof_json_str(cert, crl ? "issuer" : "subject");
	ca = place(crl ? &c->crls : &c->keys, name ? name : "", &r);
	if (!ca) {
		c->left_out += r == 0;
		return r;
	}
	from = time_of(cert, "not_before");
	to = cof_json_bool(cert, "no_end") ? INT64_MAX : time_of(cert, "not_after");
	/* The newest CRL; of a CA's certificates the one that lasts longest. */
	if (crl ? from < ca->from : to < ca->to)
		return 0;
	ca->root = cof_json_bool(cert, "self_issued");
	ca->from = from;
	ca->to = to;
	snprintf(ca->fingerprint, sizeof(ca->fingerprint), "%s", cof_json_str(cert, "fingerprint") ? cof_json_str(cert, "fingerprint") : "");
	return 0;
}

static int64_t sum(int64_t t, int64_t span)
{
	int64_t end;

	return t == INT64_MIN || t == INT64_MAX || __builtin_add_overflow(t, span, &end) ? INT64_MAX
											 : end;
}

static int by_date(const void *a, const void *b)
{
	const struct ca *x = a, *y = b;

	return x->due < y->due ? -1 : x->due > y->due;
}

void cas_judge(struct cas *c, const struct cof_profile *p)
{
	for (size_t i = 0; i < c->keys.n; i++) {
		struct ca *ca = &c->keys.ca[i];
		int64_t life = ca->root ? p->key_life_root : p->key_life_sub,
			end = ca->to == INT64_MIN ? INT64_MAX : ca->to;

		ca->ahead = ca->root ? p->rekey_root : p->rekey_sub;
		if (life)
			end = COF_MIN(end, sum(ca->from, life));
		ca->due = ca->ahead && end != INT64_MAX ? end - ca->ahead : INT64_MAX;
	}
	for (size_t i = 0; i < c->crls.n; i++) {
		struct ca *ca = &c->crls.ca[i];

		ca->ahead = p->crl;
		ca->due = ca->to == INT64_MIN ? INT64_MAX : ca->to;
		if (p->crl)
			ca->due = COF_MIN(ca->due, sum(ca->from, p->crl));
	}
	if (c->keys.n)
		qsort(c->keys.ca, c->keys.n, sizeof(struct ca), by_date);
	if (c->crls.n)
		qsort(c->crls.ca, c->crls.n, sizeof(struct ca), by_date);
}

bool ca_overdue(const struct ca *c, int64_t now)
{
	return c->due < now && c->to >= now;
}

bool crl_ended(const struct cas *c, const struct ca *crl, int64_t at)
{
	for (size_t i = 0; i < c->keys.n; i++)
		if (!memcmp(c->keys.ca[i].digest, crl->digest, sizeof(crl->digest)))
			return c->keys.ca[i].to < at;
	return false;
}

bool crl_overdue(const struct cas *c, const struct ca *crl, int64_t now)
{
	return crl->due < now && !crl_ended(c, crl, now);
}

static int take(void *user, struct cof_json *certificate)
{
	return cas_take(user, certificate);
}

int cas_gather(struct source *s, struct cas *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();

	return source_certs(s, args, take, ret, diag);
}

void cas_done(struct cas *c)
{
	free(c->keys.ca);
	free(c->crls.ca);
	*c = (struct cas){0};
}
