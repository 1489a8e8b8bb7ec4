/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scheme is worth, over schemes drawn by lot in which persons, places, media and organisations have several shares,
 * against all subsets counted out: who suffices alone, in pairs, who must not be lost, how few persons it takes, that it is
 * called dispersed only where nothing suffices alone, and refused where one person does. The counting is another one
 * than the product's: by bits.
 */
#include "test-escrow.h"

#include "escrow/scheme.h"

#include <stdio.h>

#define HOLDERS 12
#define KINDS 4

struct drawn {
	unsigned groups, threshold, need[4], n;
	unsigned group[HOLDERS];
	int value[KINDS][HOLDERS]; /* person, organisation, place, medium; -1: not said */
};
static const char *const kinds[KINDS] = {"person", "organisation", "place", "medium"};
static const char *const letters[KINDS] = {"P", "O", "L", "M"};
static uint64_t state;

static unsigned dice(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static void draw(struct drawn *d, unsigned seed)
{
	unsigned pool[KINDS];

	*d = (struct drawn){.n = 0};
	state = seed * 0x9e3779b97f4a7c15u;
	d->groups = 1 + dice(3);
	d->threshold = 1 + dice(d->groups);
	for (unsigned k = 0; k < KINDS; k++)
		pool[k] = 2 + dice(9);
	for (unsigned g = 0; g < d->groups; g++) {
		unsigned members = 1 + dice(g ? 4 : 6);

		d->need[g] = members == 1 ? 1 : 2 + dice(members - 1);
		for (unsigned i = 0; i < members && d->n < HOLDERS; i++, d->n++) {
			d->group[d->n] = g;
			for (unsigned k = 0; k < KINDS; k++)
				d->value[k][d->n] = k == 1 && !dice(3) ? -1 : (int)dice(pool[k]);
		}
		if (d->n == HOLDERS)
			d->groups = g + 1;
	}
	if (d->threshold > d->groups)
		d->threshold = d->groups;
	for (unsigned g = 0; g < d->groups; g++) { /* the last one may have been cut */
		unsigned members = 0;

		for (unsigned i = 0; i < d->n; i++)
			members += d->group[i] == g;
		d->need[g] = COF_MIN(d->need[g], members);
		if (d->need[g] == 1 && members > 1)
			d->need[g] = 2;
	}
}

static void text_of(const struct drawn *d, struct cof_buf *b)
{
	cof_buf_printf(b, "[scheme]\nname = drawn\ngroups = %u\n", d->threshold);
	for (unsigned g = 0; g < d->groups; g++) {
		cof_buf_printf(b, "[group g%u]\nthreshold = %u\nmembers =", g, d->need[g]);
		for (unsigned i = 0; i < d->n; i++)
			if (d->group[i] == g)
				cof_buf_printf(b, " c%u", i);
		cof_buf_printf(b, "\n");
	}
	for (unsigned i = 0; i < d->n; i++) {
		cof_buf_printf(b, "[custodian c%u]\nrecipient = paper\n", i);
		for (unsigned k = 0; k < KINDS; k++)
			if (d->value[k][i] >= 0)
				cof_buf_printf(b, "%s = %s%d\n", kinds[k], letters[k], d->value[k][i]);
	}
}

/* ---- counted out ---- */

static bool opens(const struct drawn *d, unsigned set)
{
	unsigned complete = 0;

	for (unsigned g = 0; g < d->groups; g++) {
		unsigned of = 0;

		for (unsigned i = 0; i < d->n; i++)
			of |= d->group[i] == g ? 1u << i : 0;
		complete += (unsigned)__builtin_popcount(of & set) >= d->need[g];
	}
	return complete >= d->threshold;
}

static unsigned shares_of(const struct drawn *d, unsigned kind, int value)
{
	unsigned set = 0;

	for (unsigned i = 0; i < d->n; i++)
		set |= d->value[kind][i] == value ? 1u << i : 0;
	return set;
}

static unsigned fewest(const struct drawn *d, bool *ret_twice)
{
	unsigned best = UINT32_MAX;

	*ret_twice = false;
	for (unsigned set = 0; set < 1u << HOLDERS; set++) { /* of persons, by their numbers */
		unsigned shares = 0, persons = (unsigned)__builtin_popcount(set);

		for (unsigned p = 0; p < HOLDERS; p++) {
			unsigned s = shares_of(d, 0, (int)p);

			*ret_twice |= __builtin_popcount(s) > 1;
			shares |= set >> p & 1 ? s : 0;
		}
		if (persons < best && opens(d, shares))
			best = persons;
	}
	return best;
}

/* How often the list has this one, or this pair, in either order. */
static unsigned listed(const struct cof_json *list, const char *a, const char *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < cof_json_count(list); i++) {
		const struct cof_json *o = cof_json_at(list, i);
		char text[2][64] = {"", ""};

		for (size_t k = 0; k < (b ? 2u : 1u); k++) {
			const struct cof_json *one = b ? cof_json_at(o, k) : o;

			(void)snprintf(text[k], sizeof(text[k]), "%s %s", cof_json_str(one, "kind"), cof_json_str(one, "value"));
		}
		n += b ? (!strcmp(text[0], a) && !strcmp(text[1], b)) || (!strcmp(text[0], b) && !strcmp(text[1], a)) : !strcmp(text[0], a);
	}
	return n;
}

struct factor {
	unsigned set;
	char name[64];
};

static unsigned factors(const struct drawn *d, bool organisations, struct factor *ret)
{
	unsigned n = 0;

	for (unsigned k = 0; k < KINDS; k++)
		for (int v = 0; v < HOLDERS; v++) {
			ret[n].set = shares_of(d, k, v);
			(void)snprintf(ret[n].name, sizeof(ret[n].name), "%s %s%d", kinds[k], letters[k], v);
			n += ret[n].set && (k != 1 || organisations);
		}
	return n;
}

static unsigned pairs_seen, thefts_seen, alone_seen, dispersed_seen, refused_seen, bounded_seen;

static void check_alone(const struct drawn *d, const struct cof_json *o)
{
	unsigned all = (1u << d->n) - 1, n, suffice = 0, needed = 0;
	struct factor f[KINDS * HOLDERS];

	n = factors(d, true, f);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(listed(cof_json_get(o, "alone"), f[i].name, NULL), opens(d, f[i].set));
		ck_assert_uint_eq(listed(cof_json_get(o, "lost_alone"), f[i].name, NULL), !opens(d, all & ~f[i].set));
		suffice += opens(d, f[i].set);
		needed += !opens(d, all & ~f[i].set);
	}
	ck_assert_uint_eq(cof_json_count(cof_json_get(o, "alone")), suffice);
	ck_assert_uint_eq(cof_json_count(cof_json_get(o, "lost_alone")), needed);
	ck_assert_int_eq(cof_json_bool(o, "dispersed"), suffice == 0);
	alone_seen += suffice;
	dispersed_seen += !suffice;
}

static void check_pairs(const struct drawn *d, const struct cof_json *o)
{
	unsigned all = (1u << d->n) - 1, n, lost = 0, stolen = 0;
	const struct cof_json *both = cof_json_get(o, "lost_pairs"), *theft = cof_json_get(o, "theft_pairs");
	struct factor f[KINDS * HOLDERS];

	n = factors(d, false, f);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = i + 1; k < n; k++) {
			bool l = !opens(d, all & ~(f[i].set | f[k].set)) && opens(d, all & ~f[i].set) && opens(d, all & ~f[k].set);
			bool s = opens(d, f[i].set | f[k].set) && !opens(d, f[i].set) && !opens(d, f[k].set);

			lost += l;
			stolen += s;
			ck_assert_uint_le(listed(both, f[i].name, f[k].name), l);
			ck_assert_uint_le(listed(theft, f[i].name, f[k].name), s);
		}
	ck_assert_uint_eq(cof_json_count(both), COF_MIN(lost, 64u));
	ck_assert_uint_eq(cof_json_count(theft), COF_MIN(stolen, 64u));
	pairs_seen += lost;
	thefts_seen += stolen;
}

static bool has_person(const struct cof_json *list)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		if (!strcmp(cof_json_str(cof_json_at(list, i), "kind"), "person"))
			return true;
	return false;
}

/* Any one, and any number. */
static void check_persons(const struct cof_scheme *s, const struct cof_json *o)
{
	unsigned n = 0;

	while (cof_scheme_survives(s, n))
		n++;
	ck_assert_uint_ge(n, 1);
	ck_assert_int_eq(n > 1, !has_person(cof_json_get(o, "lost_alone")));
	ck_assert_uint_lt(n, s->n_custodians);
	ck_assert(!cof_scheme_survives(s, n + 1));
	ck_assert_uint_ge(cof_scheme_places(s), 1);
}

START_TEST(counted_out)
{
	static struct drawn d;

	for (unsigned seed = 1; seed <= 400; seed++) {
		cof_autobuf struct cof_buf text = {0};
		cof_autojson struct cof_json *o = cof_json_object();
		struct cof_scheme s;
		struct cof_diag diag = {""};
		bool twice;
		unsigned best, said;
		int r;

		draw(&d, seed);
		text_of(&d, &text);
		best = fewest(&d, &twice);
		r = cof_scheme_parse((char *)text.data, text.len, &s, &diag);
		ck_assert_msg((r == 0) == (best >= 2), "seed %u: %d %s\n%s", seed, r, diag.text, (char *)text.data);
		if (r < 0) {
			ck_assert_ptr_nonnull(strstr(diag.text, "one person"));
			refused_seen++;
			continue;
		}
		for (unsigned i = 0; i < 64; i++) {
			bool lost[COF_CUSTODIANS_MAX];
			unsigned set = dice(1u << d.n);

			for (unsigned k = 0; k < d.n; k++) /* custodians stand in order of their groups, as they were drawn */
				lost[k] = !(set >> k & 1);
			ck_assert_int_eq(cof_scheme_suffices(&s, lost), opens(&d, set));
		}
		ck_assert_int_eq(cof_scheme_report(&s, o), 0);
		check_persons(&s, o);
		cof_scheme_done(&s);
		said = (unsigned)strtoul(cof_json_text(cof_json_get(o, "persons_needed"), false), NULL, 10);
		ck_assert_msg(said <= best && (said == best || (best > 4 && twice)), "seed %u: %u persons, not %u\n%s", seed, said, best,
			      (char *)text.data);
		bounded_seen += best > 4;
		check_alone(&d, o);
		check_pairs(&d, o);
	}
	/* What was drawn had all of it in it. */
	ck_assert_uint_gt(pairs_seen, 500);
	ck_assert_uint_gt(thefts_seen, 500);
	ck_assert_uint_gt(alone_seen, 50);
	ck_assert_uint_gt(dispersed_seen, 20);
	ck_assert_uint_gt(refused_seen, 20);
	ck_assert_uint_gt(bounded_seen, 10);
}
END_TEST

TCase *survive_case(void)
{
	TCase *t = tcase_create("survive");

	tcase_add_test(t, counted_out);
	tcase_set_timeout(t, 60);
	return t;
}
