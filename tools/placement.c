/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/placement.h"

#include "fs/rules/place.h"

#include <stdio.h>
#include <time.h>

#define VAULTS 64

/* "TW", or "US" for US-CA. */
static bool allowed(const char *list, const char *jurisdiction)
{
	size_t n = strcspn(jurisdiction, "-");

	return !*list || cof_profile_has(list, jurisdiction) || (n && cof_profile_word(list, jurisdiction, n));
}

int placement_check(const struct store *s, const struct cof_profile *p, const struct vault_entry *e, struct cof_diag *diag)
{
	struct cof_place here, there;
	struct vault_host host;
	double km;
	int r = vault_host_load(s, &host, diag);

	if (r < 0)
		return r;
	if (!allowed(p->jurisdictions, e->jurisdiction))
		return cof_fail(diag, -EPERM, "the policy lets copies go to %s, and this vault says that it stands in %s (R42). Nothing was sent",
				p->jurisdictions, *e->jurisdiction ? e->jurisdiction : "no jurisdiction at all");
	if (!p->distance)
		return 0;
	if (cof_place_parse(host.place, &here, NULL) < 0)
		return cof_fail(diag, -EPERM, "the policy asks for %u km between copies (R41), and where this host stands is not known: coffer "
					      "vault place %s LAT,LON,NAME. Nothing was sent",
				p->distance, s->path);
	if (cof_place_parse(e->place, &there, NULL) < 0)
		return cof_fail(diag, -EPERM, "the policy asks for %u km between copies (R41), and this vault does not say where it stands. Nothing "
					      "was sent",
				p->distance);
	km = cof_place_distance(&here, &there);
	if (km < p->distance)
		return cof_fail(diag, -EPERM, "the policy asks for %u km between copies (R41), and this vault is %.0f km away. Nothing was sent",
				p->distance, km);
	return 0;
}

struct judging {
	const struct cof_profile *p;
	struct cof_json *array;
	struct vault_host host;
	char name[VAULTS][64];
	struct cof_place place[VAULTS];
	char text[VAULTS][128];
	bool known[VAULTS];
	char administration[VAULTS][64];
	unsigned n, administrations, places;
	int64_t newest; /* confirmed; INT64_MIN: never */
};

static void say(struct judging *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct judging *j, const char *fmt, ...)
{
	struct cof_json *o;
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	o = cof_json_object();
	cof_json_set_str(o, "text", line);
	cof_json_append(j->array, o);
}

static int one(void *user, struct vault_entry *e)
{
	struct judging *j = user;
	int64_t now = cof_now(CLOCK_REALTIME), at = e->time ? (int64_t)e->time * COF_NSEC : INT64_MIN;
	char span[32];
	bool fresh = true;

	if (!allowed(j->p->jurisdictions, e->jurisdiction))
		say(j, "vault %s stands in %s, which the policy does not allow (R42)", e->name, *e->jurisdiction ? e->jurisdiction : "no jurisdiction");
	if (j->p->backup_offsite && (at == INT64_MIN || now - at > j->p->backup_offsite)) {
		cof_duration_text(j->p->backup_offsite, span);
		say(j, "vault %s is overdue: it confirmed nothing for longer than %s (R40)", e->name, span);
	}
	j->newest = COF_MAX(j->newest, at);
	if (j->n == VAULTS)
		return 0;
	snprintf(j->name[j->n], sizeof(j->name[0]), "%s", e->name);
	snprintf(j->text[j->n], sizeof(j->text[0]), "%s", e->place);
	snprintf(j->administration[j->n], sizeof(j->administration[0]), "%s", e->administration);
	j->known[j->n] = cof_place_parse(j->text[j->n], &j->place[j->n], NULL) == 0;
	for (unsigned i = 0; i < j->n; i++)
		fresh &= strcmp(j->administration[i], e->administration) != 0;
	j->administrations += fresh && *e->administration;
	j->n++;
	return 0;
}

/* The host's place is one of those that shall lie apart. */
static void judge_distances(struct judging *j)
{
	struct cof_place here;
	bool host = cof_place_parse(j->host.place, &here, NULL) == 0;
	unsigned least = j->p->distance;

	for (unsigned i = 0; i < j->n; i++) {
		bool apart = true;

		for (unsigned k = 0; k < i && j->known[i]; k++) {
			double km = j->known[k] ? cof_place_distance(&j->place[i], &j->place[k]) : least;

			apart &= km >= (least ? least : 1);
			if (least && km < least)
				say(j, "vaults %s and %s are %.0f km apart, and the policy asks for %u (R41)", j->name[k], j->name[i], km, least);
		}
		if (least && host && j->known[i] && cof_place_distance(&here, &j->place[i]) < least) {
			apart = false;
			say(j, "vault %s is %.0f km away, and the policy asks for %u (R41)", j->name[i], cof_place_distance(&here, &j->place[i]), least);
		}
		j->places += apart && j->known[i];
	}
	if (j->p->places && j->places < j->p->places)
		say(j, "copies are in %u place%s beside this one that lie%s apart, and the policy asks for %u (R41)", j->places,
		    j->places == 1 ? "" : "s", j->places == 1 ? "s" : "", j->p->places);
}

int placement_judge(const struct store *s, const struct cof_profile *p, struct cof_json *array, struct cof_diag *diag)
{
	cof_autofree struct judging *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = vault_host_load(s, &j->host, diag);
	if (r < 0)
		return r;
	j->p = p;
	j->array = array;
	j->newest = INT64_MIN;
	r = vault_entries(s, one, j, diag);
	if (r < 0)
		return r;
	judge_distances(j);
	if (p->backup_offsite && !j->n)
		say(j, "the policy asks for a copy away from here, and there is no vault: coffer vault add (R40)");
	if (j->n > 1 && j->administrations < 2)
		say(j, "the vaults are of fewer than two administrations that are named (coffer vault add --administration)");
	return 0;
}
