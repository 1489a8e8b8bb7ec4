/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The people file: what ssh-keygen takes as allowed_signers, read more strictly than it does.
 *
 *     # anything
 *     alice ssh-ed25519 AAAA… roles=officer
 *     bob valid-before="20300101Z" sk-ssh-ed25519@openssh.com AAAA… roles=auditor verify-required
 *     carol cert-authority ssh-ed25519 AAAA… roles=custodian
 *
 * A line that ssh-keygen would read otherwise than this does is refused: quotes and blanks only where they are
 * expected, one principal, no pattern.
 */
#include "fs/rules/approve-private.h"

#include "crypto/crypto.h"

#include <stdio.h>

struct reading {
	struct cof_people *people;
	const char *exclusive;
	unsigned line;
	struct cof_diag *diag;
};

struct line {
	struct ssh_bytes principal, options, type, key, comment;
};

static int bad(const struct reading *r, const char *what)
{
	return cof_fail(r->diag, -EUCLEAN, "line %u: %s", r->line, what);
}

/* ---- the text ---- */

static size_t utf8(const uint8_t *p, size_t n)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

static bool is_text(const char *text, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		uint8_t c = (uint8_t)text[i];

		len = utf8((const uint8_t *)text + i, n - i);
		if (!len || (c < 0x20 && c != '\n') || c == 0x7f)
			return false;
	}
	return true;
}

/* ---- one line ---- */

static struct ssh_bytes word(struct ssh_bytes *rest, bool quotes)
{
	struct ssh_bytes w = {rest->p, 0};
	bool inside = false;

	while (w.n < rest->n && (inside || rest->p[w.n] != ' ')) {
		if (rest->p[w.n] == '"' && quotes)
			inside = !inside;
		w.n++;
	}
	rest->p += w.n;
	rest->n -= w.n;
	while (rest->n && rest->p[0] == ' ') {
		rest->p++;
		rest->n--;
	}
	return w;
}

static int split(const struct reading *r, struct ssh_bytes rest, struct line *ret)
{
	*ret = (struct line){0};
	ret->principal = word(&rest, false);
	for (size_t i = 0; i < ret->principal.n; i++) {
		char c = (char)ret->principal.p[i];

		if (strchr("*?!,", c))
			return bad(r, "one principal a line, by its full name: no list and no pattern");
		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strchr("._@+-", c))
			return bad(r, "a principal is made of letters, digits and . _ @ + -");
	}
	if (!ret->principal.n || ret->principal.n >= COF_PRINCIPAL || ret->principal.p[0] == '-')
		return bad(r, "begins with no principal (1 to 63 characters)");
	ret->type = word(&rest, true);
	if (!ssh_key_type_known((const char *)ret->type.p, ret->type.n)) {
		ret->options = ret->type;
		ret->type = word(&rest, false);
	}
	if (!ssh_key_type_known((const char *)ret->type.p, ret->type.n))
		return bad(r, "behind principal and options a public key is wanted (ssh-ed25519, ecdsa, ssh-rsa or sk-)");
	ret->key = word(&rest, false);
	ret->comment = rest;
	return 0;
}

static bool option(struct ssh_bytes o, struct cof_person_key *k)
{
	static const char *const valued[] = {"namespaces=", "valid-after=", "valid-before="};

	if (ssh_is(&o, "cert-authority")) {
		k->authority = true;
		return true;
	}
	for (size_t i = 0; i < COF_COUNT(valued); i++) {
		size_t n = strlen(valued[i]);

		if (o.n > n + 2 && !memcmp(o.p, valued[i], n) && o.p[n] == '"' && o.p[o.n - 1] == '"' &&
		    !memchr(o.p + n + 1, '"', o.n - n - 2) && !memchr(o.p, '\\', o.n))
			return true;
	}
	return false;
}

static int read_options(const struct reading *r, struct ssh_bytes all, struct cof_person_key *k)
{
	while (all.n) {
		struct ssh_bytes one = {all.p, 0};
		bool inside = false;

		while (one.n < all.n && (inside || all.p[one.n] != ',')) {
			if (all.p[one.n] == '"')
				inside = !inside;
			one.n++;
		}
		if (inside || !option(one, k))
			return bad(r, "options are cert-authority, namespaces=\"…\", valid-after=\"…\", valid-before=\"…\"");
		all.p += one.n;
		all.n -= one.n;
		if (all.n == 1)
			return bad(r, "nothing follows a comma");
		if (all.n) {
			all.p++;
			all.n--;
		}
	}
	return 0;
}

static int read_comment(const struct reading *r, struct ssh_bytes all, struct cof_person_key *k, unsigned *ret_roles)
{
	bool seen = false;

	while (all.n) {
		struct ssh_bytes w = word(&all, false);

		if (ssh_is(&w, "verify-required"))
			k->verify_required = true;
		if (w.n < 6 || memcmp(w.p, "roles=", 6) != 0)
			continue;
		if (seen)
			return bad(r, "roles= twice");
		seen = true;
		for (size_t at = 6; at <= w.n;) {
			const uint8_t *comma = memchr(w.p + at, ',', w.n - at);
			size_t n = comma ? (size_t)(comma - w.p) - at : w.n - at;
			unsigned role = approve_role((const char *)w.p + at, n);

			if (!role || (*ret_roles & role))
				return bad(r, "roles are auditor, custodian, officer, operator, vault, each once");
			*ret_roles |= role;
			at += n + 1;
		}
	}
	return seen ? 0 : bad(r, "behind the key roles=… is wanted, as roles=officer,custodian");
}

static int read_key(const struct reading *r, const struct line *l, struct cof_person_key *k)
{
	cof_autofree uint8_t *blob = malloc(l->key.n + 1);
	char type[64] = "";
	struct ssh_key key;
	size_t n = 0;

	if (!blob)
		return -ENOMEM;
	if (l->type.n)
		memcpy(type, l->type.p, COF_MIN(l->type.n, sizeof(type) - 1));
	if (cof_unbase64((const char *)l->key.p, l->key.n, blob, l->key.n, &n) < 0 ||
	    ssh_key_read(blob, n, type, &key) < 0)
		return bad(r, "the public key is damaged, or an RSA key of less than 2048 bits");
	if (k->verify_required && !key.hardware)
		return bad(r, "verify-required is for hardware keys (sk-)");
	memcpy(k->key, key.key, sizeof(k->key));
	k->hardware = key.hardware;
	return 0;
}

/* ---- roles that exclude each other ---- */

static int excluded(const struct reading *r, unsigned roles)
{
	const char *at = r->exclusive;

	if ((roles & COF_ROLE_VAULT) && roles != COF_ROLE_VAULT)
		return bad(r, "a vault has no other role");
	while (*(at += strspn(at, " "))) {
		size_t n = strcspn(at, " ");
		const char *plus = memchr(at, '+', n);
		unsigned one = plus ? approve_role(at, (size_t)(plus - at)) : 0;
		unsigned two = plus ? approve_role(plus + 1, n - (size_t)(plus - at) - 1) : 0;

		if ((roles & one) && (roles & two))
			return cof_fail(r->diag, -EUCLEAN, "line %u: one person may not have the roles %.*s", r->line, (int)n, at);
		at += n;
	}
	return 0;
}

/* ---- the whole ---- */

static int add_person(const struct reading *r, const struct line *l, unsigned roles, size_t *ret)
{
	struct cof_people *p = r->people;
	struct cof_person *q;
	char name[COF_PRINCIPAL] = "";

	memcpy(name, l->principal.p, l->principal.n);
	for (*ret = 0; *ret < p->n_persons; (*ret)++)
		if (!strcmp(p->person[*ret].name, name))
			return p->person[*ret].roles == roles
				       ? 0
				       : bad(r, "this principal has other roles in a line above: they have to be the same");
	if (p->n_persons == COF_PERSONS_MAX)
		return bad(r, "too many persons");
	q = realloc(p->person, (p->n_persons + 1) * sizeof(*q));
	if (!q)
		return -ENOMEM;
	p->person = q;
	q[p->n_persons] = (struct cof_person){.roles = roles, .line = r->line};
	memcpy(q[p->n_persons++].name, name, sizeof(name));
	return excluded(r, roles);
}

static int add_key(const struct reading *r, const struct cof_person_key *k)
{
	struct cof_people *p = r->people;
	struct cof_person_key *q;

	for (size_t i = 0; i < p->n_keys; i++) {
		if (memcmp(p->key[i].key, k->key, sizeof(k->key)) != 0)
			continue;
		if (!p->key[i].authority || !k->authority || p->key[i].person == k->person)
			return cof_fail(r->diag, -EUCLEAN, "line %u: the key of line %u once more: each person has a key of "
							   "their own, in one line",
					r->line, p->key[i].line);
	}
	if (p->n_keys == 4 * COF_PERSONS_MAX)
		return bad(r, "too many keys");
	q = realloc(p->key, (p->n_keys + 1) * sizeof(*q));
	if (!q)
		return -ENOMEM;
	p->key = q;
	q[p->n_keys++] = *k;
	return 0;
}

static int read_line(const struct reading *r, struct ssh_bytes text)
{
	struct cof_person_key k = {.line = r->line};
	unsigned roles = 0;
	struct line l;
	int e;

	if (!text.n || text.p[0] == '#')
		return 0;
	if (text.p[0] == ' ')
		return bad(r, "begins with a blank");
	if ((e = split(r, text, &l)) < 0 || (e = read_options(r, l.options, &k)) < 0 ||
	    (e = read_comment(r, l.comment, &k, &roles)) < 0 || (e = read_key(r, &l, &k)) < 0 ||
	    (e = add_person(r, &l, roles, &k.person)) < 0)
		return e;
	return add_key(r, &k);
}

static int keep(struct cof_people *p, const char *text, size_t n, const void *revoked, size_t revoked_len)
{
	p->text = malloc(n + 1);
	p->revoked = malloc(revoked_len + 1);
	if (!p->text || !p->revoked)
		return -ENOMEM;
	memcpy(p->text, text, n);
	p->text[n] = '\0';
	if (revoked_len)
		memcpy(p->revoked, revoked, revoked_len);
	p->text_len = n;
	p->revoked_len = revoked_len;
	return 0;
}

int cof_people_parse(const char *text, size_t n, const void *revoked, size_t revoked_len,
		     const char *exclusive, struct cof_people *ret, struct cof_diag *diag)
{
	struct cof_people p = {0};
	struct reading r = {.people = &p, .diag = diag, .exclusive = exclusive ? exclusive : COF_EXCLUSIVE_DEFAULT};
	int e = 0;

	if (n > COF_PEOPLE_MAX || revoked_len > COF_REVOKED_MAX)
		return cof_fail(diag, -EUCLEAN, "the people file may have %d bytes, the revoked keys %d", COF_PEOPLE_MAX,
				COF_REVOKED_MAX);
	if (!is_text(text, n) || (n && text[n - 1] != '\n'))
		return cof_fail(diag, -EUCLEAN, "not lines of UTF-8 text without tabs, each with a newline behind");
	for (size_t at = 0; at < n && e == 0;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = (size_t)(end - text) - at;

		r.line++;
		e = read_line(&r, (struct ssh_bytes){(const uint8_t *)text + at, len});
		at += len + 1;
	}
	if (e == 0 && !p.n_persons)
		e = cof_fail(diag, -EUCLEAN, "there is nobody in it");
	if (e == 0)
		e = keep(&p, text, n, revoked, revoked_len);
	if (e < 0) {
		cof_people_done(&p);
		return e;
	}
	*ret = p;
	return 0;
}

void cof_people_done(struct cof_people *p)
{
	free(p->text);
	free(p->revoked);
	free(p->person);
	free(p->key);
	*p = (struct cof_people){0};
}

const struct cof_person *cof_people_find(const struct cof_people *p, const char *name)
{
	for (size_t i = 0; p && i < p->n_persons; i++)
		if (!strcmp(p->person[i].name, name))
			return &p->person[i];
	return NULL;
}

const struct cof_person *cof_people_vault(const struct cof_people *p, const uint8_t key[32])
{
	uint8_t digest[32];

	ssh_ed25519_digest(key, digest);
	for (size_t i = 0; i < p->n_keys; i++) {
		const struct cof_person *person = &p->person[p->key[i].person];

		if (!p->key[i].authority && !p->key[i].hardware && person->roles == COF_ROLE_VAULT &&
		    cof_equal(p->key[i].key, digest, sizeof(digest)))
			return person;
	}
	return NULL;
}

const char *cof_vault_administration(const struct cof_person *vault)
{
	const char *at = strrchr(vault->name, '@');

	return at && at[1] ? at + 1 : vault->name;
}

size_t cof_people_count(const struct cof_people *p, unsigned role)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_persons; i++)
		n += (p->person[i].roles & role) != 0;
	return n;
}

const struct cof_person *cof_people_signer(const struct cof_people *p, const struct cof_signature_info *s)
{
	const struct cof_person *found = NULL;

	for (size_t i = 0; i < p->n_keys; i++) {
		const struct cof_person_key *k = &p->key[i];
		bool his = k->authority ? s->certificate && !memcmp(k->key, s->authority, 32)
					: !memcmp(k->key, s->key, 32);

		if (!his)
			continue;
		if (found && found != &p->person[k->person])
			return NULL;
		found = &p->person[k->person];
	}
	return found;
}
