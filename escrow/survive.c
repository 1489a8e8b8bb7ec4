/* SPDX-License-Identifier: Apache-2.0 */
/* What a scheme is worth: whose hands suffice, and whose loss cannot be borne. */
#include "escrow/scheme.h"

#define PAIRS_MAX 64
#define EXACT_PERSONS 4

enum factor { PERSON, ORGANISATION, PLACE, MEDIUM, FACTORS };
static const char *const names[FACTORS] = {"person", "organisation", "place", "medium"};

static const char *value_of(const struct cof_custodian *c, enum factor f)
{
	switch (f) {
	case PERSON:
		return c->person;
	case ORGANISATION:
		return c->organisation;
	case PLACE:
		return c->place;
	default:
		return c->medium;
	}
}

bool cof_scheme_suffices(const struct cof_scheme *s, const bool *lost)
{
	unsigned have[COF_SLIP39_GROUPS] = {0}, complete = 0;

	for (unsigned i = 0; i < s->n_custodians; i++)
		have[s->custodian[i].group] += !lost[i];
	for (unsigned g = 0; g < s->n_groups; g++)
		complete += have[g] >= s->group[g].threshold;
	return complete >= s->threshold;
}

/* ---- distinct values of a factor ---- */

struct values {
	const char *value[COF_CUSTODIANS_MAX];
	enum factor factor[COF_CUSTODIANS_MAX];
	unsigned n;
};

static void collect(const struct cof_scheme *s, enum factor f, struct values *ret)
{
	for (unsigned i = 0; i < s->n_custodians; i++) {
		const char *v = value_of(&s->custodian[i], f);
		bool known = !*v;

		for (unsigned k = 0; k < ret->n && !known; k++)
			known = ret->factor[k] == f && !strcmp(ret->value[k], v);
		if (known || ret->n == COF_CUSTODIANS_MAX)
			continue;
		ret->value[ret->n] = v;
		ret->factor[ret->n++] = f;
	}
}

static void mark(const struct cof_scheme *s, const struct values *v, unsigned k, bool *flags, bool to)
{
	for (unsigned i = 0; i < s->n_custodians; i++)
		if (!strcmp(value_of(&s->custodian[i], v->factor[k]), v->value[k]))
			flags[i] = to;
}

static void set_all(const struct cof_scheme *s, bool *flags, bool to)
{
	for (unsigned i = 0; i < s->n_custodians; i++)
		flags[i] = to;
}

static bool survives(const struct cof_scheme *s, const struct values *v, unsigned a, unsigned b)
{
	bool lost[COF_CUSTODIANS_MAX];

	set_all(s, lost, false);
	mark(s, v, a, lost, true);
	mark(s, v, b, lost, true);
	return cof_scheme_suffices(s, lost);
}

static bool alone(const struct cof_scheme *s, const struct values *v, unsigned k)
{
	bool lost[COF_CUSTODIANS_MAX];

	set_all(s, lost, true);
	mark(s, v, k, lost, false);
	return cof_scheme_suffices(s, lost);
}

/* ---- persons ---- */

/* Whether some `more` persons from `from` on suffice, besides those whose shares are there. gone: whether they are missed so that
 * the others do not, besides those whose shares are lost. */
static bool some(const struct cof_scheme *s, const struct values *persons, unsigned from, unsigned more, const bool *lost, bool gone)
{
	bool now[COF_CUSTODIANS_MAX];

	if (!more)
		return cof_scheme_suffices(s, lost) != gone;
	for (unsigned k = from; k + more <= persons->n; k++) {
		memcpy(now, lost, sizeof(now));
		mark(s, persons, k, now, gone);
		if (some(s, persons, k + 1, more - 1, now, gone))
			return true;
	}
	return false;
}

unsigned cof_scheme_places(const struct cof_scheme *s)
{
	struct values places = {.n = 0};

	collect(s, PLACE, &places);
	return places.n;
}

bool cof_scheme_survives(const struct cof_scheme *s, unsigned losses)
{
	struct values persons = {.n = 0};
	bool lost[COF_CUSTODIANS_MAX] = {false};

	collect(s, PERSON, &persons);
	return losses <= persons.n && !some(s, &persons, 0, losses, lost, true);
}

static int by_number(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* No fewer can have so many shares: those who hold the most come first. */
static unsigned bound(const struct cof_scheme *s, const struct values *persons, unsigned shares)
{
	unsigned held[COF_CUSTODIANS_MAX] = {0}, n = 0;

	for (unsigned k = 0; k < persons->n; k++)
		for (unsigned i = 0; i < s->n_custodians; i++)
			held[k] += !strcmp(s->custodian[i].person, persons->value[k]);
	qsort(held, persons->n, sizeof(*held), by_number);
	for (unsigned k = persons->n; k-- > 0 && shares; n++)
		shares -= COF_MIN(held[k], shares);
	return n;
}

unsigned cof_scheme_fewest(const struct cof_scheme *s)
{
	struct values persons = {.n = 0};
	bool lost[COF_CUSTODIANS_MAX] = {false};
	unsigned thresholds[COF_SLIP39_GROUPS], sum = 0;

	collect(s, PERSON, &persons);
	set_all(s, lost, true);
	for (unsigned n = 1; n <= EXACT_PERSONS && n <= persons.n; n++)
		if (some(s, &persons, 0, n, lost, false))
			return n;
	for (unsigned g = 0; g < s->n_groups; g++)
		thresholds[g] = s->group[g].threshold;
	qsort(thresholds, s->n_groups, sizeof(*thresholds), by_number);
	for (unsigned g = 0; g < s->threshold && g < s->n_groups; g++)
		sum += thresholds[g];
	return COF_MAX(bound(s, &persons, sum), (unsigned)EXACT_PERSONS + 1);
}

/* ---- the report ---- */

static struct cof_json *one(const struct values *v, unsigned k)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "kind", names[v->factor[k]]);
	cof_json_set_str(o, "value", v->value[k]);
	return o;
}

static bool both_suffice(const struct cof_scheme *s, const struct values *v, unsigned a, unsigned b)
{
	bool lost[COF_CUSTODIANS_MAX];

	set_all(s, lost, true);
	mark(s, v, a, lost, false);
	mark(s, v, b, lost, false);
	return cof_scheme_suffices(s, lost);
}

static void add_pair(const struct values *v, unsigned a, unsigned b, struct cof_json *into)
{
	struct cof_json *pair;

	if (cof_json_count(into) >= PAIRS_MAX)
		return;
	pair = cof_json_array();
	cof_json_append(pair, one(v, a));
	cof_json_append(pair, one(v, b));
	cof_json_append(into, pair);
}

/* Of what people lose and thieves find: those of which neither does it alone. */
static void pairs(const struct cof_scheme *s, struct cof_json *lost, struct cof_json *stolen)
{
	struct values v = {.n = 0};

	collect(s, PERSON, &v);
	collect(s, PLACE, &v);
	collect(s, MEDIUM, &v);
	for (unsigned a = 0; a < v.n; a++)
		for (unsigned b = a + 1; b < v.n; b++) {
			if (survives(s, &v, a, a) && survives(s, &v, b, b) && !survives(s, &v, a, b))
				add_pair(&v, a, b, lost);
			if (!alone(s, &v, a) && !alone(s, &v, b) && both_suffice(s, &v, a, b))
				add_pair(&v, a, b, stolen);
		}
}

int cof_scheme_report(const struct cof_scheme *s, struct cof_json *into)
{
	struct cof_json *suffice = cof_json_array(), *needed = cof_json_array(), *both = cof_json_array(),
			*stolen = cof_json_array();
	unsigned fewest = cof_scheme_fewest(s);
	bool dispersed = fewest >= 2;

	for (enum factor f = PERSON; f < FACTORS; f++) {
		struct values v = {.n = 0};

		collect(s, f, &v);
		for (unsigned k = 0; k < v.n; k++) {
			if (alone(s, &v, k)) {
				cof_json_append(suffice, one(&v, k));
				dispersed = false;
			}
			if (!survives(s, &v, k, k))
				cof_json_append(needed, one(&v, k));
		}
	}
	pairs(s, both, stolen);
	cof_json_set_uint(into, "persons_needed", fewest);
	cof_json_set_bool(into, "dispersed", dispersed);
	cof_json_set(into, "alone", suffice);
	cof_json_set(into, "lost_alone", needed);
	cof_json_set(into, "lost_pairs", both);
	cof_json_set(into, "theft_pairs", stolen);
	return cof_json_text(into, false) ? 0 : -ENOMEM;
}
