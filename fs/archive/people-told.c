/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a PEOPLE frame changed, as events: who came and went (A.11.1), whose roles are others (A.11.2), who has a role
 * that they did not have (A.2.1), and whose keys are trusted now (A.5.1). One event of each kind, which names them all.
 */
#include "fs/archive/people.h"

#include <stdio.h>

#define DETAIL_MAX 2000 /* who else it was is in the frame */

struct telling {
	struct cof_archive *a;
	const struct cof_who *who;
	const uint8_t *request;
	const struct cof_people *before, *after; /* before NULL: these are the first */
};

struct list {
	struct cof_buf text;
	size_t n, left_out;
};

static void name(struct list *l, const char *text)
{
	l->n++;
	if (l->text.len + strlen(text) + 2 > DETAIL_MAX)
		l->left_out++;
	else
		cof_buf_printf(&l->text, "%s%s", l->text.len ? ", " : "", text);
}

static void emit(const struct telling *t, const char *type, struct list *l)
{
	struct cof_event e = {.type = type, .who = t->who, .request = t->request};

	if (l->left_out)
		cof_buf_printf(&l->text, " and %zu more", l->left_out);
	e.detail = l->text.failed ? NULL : (const char *)l->text.data;
	if (l->n)
		(void)cof_event_emit(t->a, &e, NULL); /* the frame itself is on record */
	cof_buf_done(&l->text);
}

static const struct cof_person *of(const struct cof_people *p, const char *who)
{
	return p ? cof_people_find(p, who) : NULL;
}

/* Those of one file that the other does not have. */
static void tell_who(const struct telling *t, const char *type, const struct cof_people *these, const struct cof_people *others)
{
	struct list l = {.n = 0};
	char roles[64], text[COF_PRINCIPAL + 80];

	for (size_t i = 0; these && i < these->n_persons; i++) {
		if (of(others, these->person[i].name))
			continue;
		cof_roles_text(these->person[i].roles, roles);
		snprintf(text, sizeof(text), "%s (%s)", these->person[i].name, *roles ? roles : "no role");
		name(&l, text);
	}
	emit(t, type, &l);
}

static void tell_roles(const struct telling *t)
{
	struct list changed = {.n = 0}, set = {.n = 0};
	char was[64], is[64], more[64], text[COF_PRINCIPAL + 160];

	for (size_t i = 0; i < t->after->n_persons; i++) {
		const struct cof_person *p = &t->after->person[i], *b = of(t->before, p->name);
		unsigned roles = b ? b->roles : 0;

		cof_roles_text(roles, was);
		cof_roles_text(p->roles, is);
		cof_roles_text(p->roles & ~roles, more);
		snprintf(text, sizeof(text), "%s: was '%s', is '%s'", p->name, was, is);
		if (b && p->roles != roles)
			name(&changed, text);
		snprintf(text, sizeof(text), "%s: %s", p->name, more);
		if (p->roles & ~roles)
			name(&set, text);
	}
	emit(t, COF_EV_ROLES_CHANGED, &changed);
	emit(t, COF_EV_ROLE_SET, &set);
}

static bool has_key(const struct cof_people *p, const char *who, const struct cof_person_key *key)
{
	for (size_t i = 0; p && i < p->n_keys; i++)
		if (!memcmp(p->key[i].key, key->key, sizeof(key->key)) && p->key[i].authority == key->authority &&
		    !strcmp(p->person[p->key[i].person].name, who))
			return true;
	return false;
}

static void tell_keys_of(struct list *l, const struct cof_people *these, const struct cof_people *others, const char *how)
{
	char text[COF_PRINCIPAL + 48];

	for (size_t i = 0; these && i < these->n_keys; i++) {
		const char *who = these->person[these->key[i].person].name;

		if (has_key(others, who, &these->key[i]))
			continue;
		snprintf(text, sizeof(text), "%s %s's", how, who);
		name(l, text);
	}
}

static void tell_keys(const struct telling *t)
{
	const struct cof_people *b = t->before, *p = t->after;
	struct list l = {.n = 0};

	tell_keys_of(&l, p, b, "added");
	tell_keys_of(&l, b, p, "removed");
	if ((b ? b->revoked_len : 0) != p->revoked_len ||
	    (p->revoked_len && memcmp(b->revoked, p->revoked, p->revoked_len) != 0))
		name(&l, "other keys are revoked");
	emit(t, COF_EV_TRUSTED_KEYS, &l);
}

void cof_people_told(struct cof_archive *a, const struct cof_who *who, const uint8_t *request, const struct cof_people *before,
		     const struct cof_people *after, uint64_t sequence)
{
	const struct telling t = {.a = a, .who = who, .request = request, .before = before, .after = after};

	cof_event_told(a, &(struct cof_event){.type = "people-set", .who = who}, sequence);
	cof_gate_enter(a);
	tell_who(&t, COF_EV_PERSON_ADDED, after, before);
	tell_who(&t, COF_EV_PERSON_REMOVED, before, after);
	tell_roles(&t);
	tell_keys(&t);
	cof_gate_leave(a);
}
