/* SPDX-License-Identifier: Apache-2.0 */
/* A scheme as text. */
#include "escrow/scheme.h"

#include <limits.h>
#include <stdio.h>

#define NO_GROUP UINT_MAX

struct reading {
	struct cof_scheme scheme;
	char *members[COF_SLIP39_GROUPS]; /* as listed */
	unsigned lines[COF_SLIP39_GROUPS];
	unsigned *custodian_line;
	struct cof_diag *diag;
};

static int wrong(struct reading *r, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int wrong(struct reading *r, unsigned line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cof_fail(r->diag, -EUCLEAN, "scheme, line %u: %s", line, text);
}

static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < 32 && !s[n];
}

static int number(struct reading *r, const char *key, const char *value, unsigned *ret, unsigned line)
{
	char *end;
	unsigned long v = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end || !v || v > COF_SLIP39_MEMBERS)
		return wrong(r, line, "%s is a number from 1 to %d, not '%s'", key, COF_SLIP39_MEMBERS, value);
	*ret = (unsigned)v;
	return 0;
}

static int text(struct reading *r, const char *key, const char *value, char *at, size_t cap, unsigned line)
{
	if (!at || *at)
		return wrong(r, line, "%s is given twice", key);
	if (!*value || strlen(value) >= cap)
		return wrong(r, line, "%s has 1 to %zu bytes", key, cap - 1);
	strcpy(at, value);
	return 0;
}

/* ---- sections ---- */

static int scheme_key(struct reading *r, const char *key, const char *value, unsigned line)
{
	if (!strcmp(key, "name"))
		return is_name(value) ? text(r, key, value, r->scheme.name, sizeof(r->scheme.name), line)
				      : wrong(r, line, "a name is 1 to 31 of a-z, 0-9 and '-'");
	if (!strcmp(key, "groups"))
		return number(r, key, value, &r->scheme.threshold, line);
	if (!strcmp(key, "call"))
		return text(r, key, value, r->scheme.call, sizeof(r->scheme.call), line);
	return wrong(r, line, "no key '%s' in [scheme]; known are name, groups and call", key);
}

static int group_key(struct reading *r, unsigned g, const char *key, const char *value, unsigned line)
{
	if (!strcmp(key, "threshold"))
		return number(r, key, value, &r->scheme.group[g].threshold, line);
	if (strcmp(key, "members") != 0)
		return wrong(r, line, "no key '%s' in a group; known are threshold and members", key);
	if (r->members[g])
		return wrong(r, line, "members is given twice");
	r->members[g] = strdup(value);
	return r->members[g] ? 0 : -ENOMEM;
}

static int custodian_key(struct reading *r, struct cof_custodian *c, const char *key, const char *value, unsigned line)
{
	const struct {
		const char *key;
		char *at;
		size_t cap;
	} keys[] = {
	    {"person", c->person, sizeof(c->person)},	      {"organisation", c->organisation, sizeof(c->organisation)},
	    {"place", c->place, sizeof(c->place)},	      {"medium", c->medium, sizeof(c->medium)},
	    {"contact", c->contact, sizeof(c->contact)},      {"fire_rating", c->fire_rating, sizeof(c->fire_rating)},
	    {"recipient", c->recipient, sizeof(c->recipient)},
	};

	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (!strcmp(key, keys[i].key))
			return text(r, key, value, keys[i].at, keys[i].cap, line);
	return wrong(r, line, "no key '%s' of a custodian; known are person, organisation, place, medium, contact, "
			      "fire_rating and recipient", key);
}

static int find_group(struct reading *r, const char *name, unsigned line, unsigned *ret)
{
	struct cof_scheme *s = &r->scheme;

	for (unsigned i = 0; i < s->n_groups; i++)
		if (!strcmp(s->group[i].name, name)) {
			*ret = i;
			return 0;
		}
	if (!is_name(name))
		return wrong(r, line, "'%s' is no name of a group: 1 to 31 of a-z, 0-9 and '-'", name);
	if (s->n_groups == COF_SLIP39_GROUPS)
		return wrong(r, line, "more than %d groups", COF_SLIP39_GROUPS);
	strcpy(s->group[s->n_groups].name, name);
	r->lines[s->n_groups] = line;
	*ret = s->n_groups++;
	return 0;
}

static int find_custodian(struct reading *r, const char *name, unsigned line, struct cof_custodian **ret)
{
	struct cof_scheme *s = &r->scheme;

	for (unsigned i = 0; i < s->n_custodians; i++)
		if (!strcmp(s->custodian[i].name, name)) {
			*ret = &s->custodian[i];
			return 0;
		}
	if (!is_name(name))
		return wrong(r, line, "'%s' is no name of a custodian: 1 to 31 of a-z, 0-9 and '-'", name);
	if (s->n_custodians == COF_CUSTODIANS_MAX)
		return wrong(r, line, "more than %d custodians", COF_CUSTODIANS_MAX);
	r->custodian_line[s->n_custodians] = line;
	*ret = &s->custodian[s->n_custodians++];
	strcpy((*ret)->name, name);
	(*ret)->group = NO_GROUP;
	return 0;
}

static int one_key(void *user, const char *section, const char *key, const char *value, int at)
{
	struct reading *r = user;
	struct cof_custodian *c = NULL;
	unsigned line = (unsigned)at, g = 0;
	int err;

	if (section && !strcmp(section, "scheme"))
		return scheme_key(r, key, value, line);
	if (section && !strncmp(section, "group ", 6)) {
		err = find_group(r, section + 6, line, &g);
		return err ? err : group_key(r, g, key, value, line);
	}
	if (section && !strncmp(section, "custodian ", 10)) {
		err = find_custodian(r, section + 10, line, &c);
		return err ? err : custodian_key(r, c, key, value, line);
	}
	return wrong(r, line, "no section [%s]; there are [scheme], [group NAME] and [custodian NAME]", section ? section : "");
}

/* ---- as a whole ---- */

static int by_group(const void *a, const void *b)
{
	const struct cof_custodian *x = a, *y = b;

	return x->group < y->group ? -1 : x->group > y->group;
}

/* The members of one group, by name, get its number. */
static int assign(struct reading *r, unsigned g, struct cof_custodian *sorted, unsigned *n)
{
	struct cof_scheme *s = &r->scheme;

	for (char *save = NULL, *name = strtok_r(r->members[g], ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
		struct cof_custodian *c = NULL;

		for (unsigned i = 0; i < s->n_custodians; i++)
			if (!strcmp(s->custodian[i].name, name))
				c = &s->custodian[i];
		if (!c)
			return wrong(r, r->lines[g], "group %s has a member %s that there is no [custodian %s] of", s->group[g].name, name,
				     name);
		if (c->group != NO_GROUP)
			return wrong(r, r->lines[g], "custodian %s is a member twice", name);
		c->group = g;
		sorted[(*n)++] = *c;
		s->group[g].members++;
	}
	return 0;
}

static int complete(struct reading *r, const struct cof_custodian *c, unsigned line)
{
	if (c->group == NO_GROUP)
		return wrong(r, line, "custodian %s is in no group", c->name);
	if (!*c->person || !*c->place || !*c->medium || !*c->recipient)
		return wrong(r, line, "custodian %s needs person, place, medium and recipient", c->name);
	return 0;
}

static int check(struct reading *r)
{
	struct cof_scheme *s = &r->scheme;
	struct cof_custodian *sorted = calloc(COF_CUSTODIANS_MAX, sizeof(*sorted));
	struct cof_slip39_scheme plain;
	unsigned n = 0;
	int err = sorted ? 0 : -ENOMEM;

	if (!err && (!*s->name || !s->threshold || !s->n_groups))
		err = cof_fail(r->diag, -EUCLEAN, "scheme: [scheme] with name and groups, and at least one [group NAME], are needed");
	for (unsigned g = 0; !err && g < s->n_groups; g++)
		err = r->members[g] ? assign(r, g, sorted, &n) : wrong(r, r->lines[g], "group %s has no members", s->group[g].name);
	for (unsigned i = 0; !err && i < s->n_custodians; i++)
		err = complete(r, &s->custodian[i], r->custodian_line[i]);
	if (!err) {
		qsort(sorted, n, sizeof(*sorted), by_group); /* in order already: members were taken group by group */
		memcpy(s->custodian, sorted, n * sizeof(*sorted));
		cof_scheme_slip39(s, &plain);
		err = cof_slip39_scheme_check(&plain, r->diag) < 0 ? -EUCLEAN : 0;
	}
	if (!err && cof_scheme_fewest(s) < 2)
		err = cof_fail(r->diag, -EUCLEAN, "scheme %s: one person could open it alone; at least two have to be needed", s->name);
	free(sorted);
	return err;
}

int cof_scheme_parse(const char *input, size_t n, struct cof_scheme *ret, struct cof_diag *diag)
{
	struct reading r = {.diag = diag};
	int err;

	r.scheme.custodian = calloc(COF_CUSTODIANS_MAX, sizeof(*r.scheme.custodian));
	r.custodian_line = calloc(COF_CUSTODIANS_MAX, sizeof(*r.custodian_line));
	err = r.scheme.custodian && r.custodian_line ? cof_ini_parse(input, n, one_key, &r, diag) : -ENOMEM;
	if (!err)
		err = check(&r);
	if (err == -ENOMEM)
		(void)cof_fail(diag, err, "out of memory");
	for (unsigned g = 0; g < COF_SLIP39_GROUPS; g++)
		free(r.members[g]);
	free(r.custodian_line);
	if (err)
		cof_scheme_done(&r.scheme);
	else
		*ret = r.scheme;
	return err;
}

void cof_scheme_done(struct cof_scheme *s)
{
	free(s->custodian);
	s->custodian = NULL;
}

void cof_scheme_slip39(const struct cof_scheme *s, struct cof_slip39_scheme *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->threshold = (uint8_t)s->threshold;
	ret->n_groups = (uint8_t)s->n_groups;
	for (unsigned g = 0; g < s->n_groups; g++)
		ret->group[g] = (struct cof_slip39_group){(uint8_t)s->group[g].threshold, (uint8_t)s->group[g].members};
}
