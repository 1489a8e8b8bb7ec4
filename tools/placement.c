/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/placement.h"

#include "fs/rules/place.h"
#include "tools/output.h"

#include <stdio.h>
#include <time.h>

#define COPIES 64

static const char *kind(const struct placed *c)
{
	return c->bucket ? "copy" : "vault";
}

static int near(const struct store *s, uint32_t least, const struct placed *c, struct cof_diag *diag)
{
	struct cof_place here, there;
	struct vault_host host;
	double km;
	int r = vault_host_load(s, &host, diag);

	if (r < 0)
		return r;
	if (cof_place_parse(host.place, &here, NULL) < 0)
		return cof_fail(diag, -EPERM,
				"the policy asks for %u km between copies (R41), and where this host stands is not known: coffer "
				"vault place %s LAT,LON,NAME. Nothing was sent",
				least, s->path);
	if (cof_place_parse(c->place, &there, NULL) < 0)
		return cof_fail(diag, -EPERM,
				"the policy asks for %u km between copies (R41), and where this %s stands is not said. Nothing was sent",
				least, kind(c));
	km = cof_place_distance(&here, &there);
	if (km < least)
		return cof_fail(diag, -EPERM,
				"the policy asks for %u km between copies (R41), and this %s is %.0f km away. Nothing was sent", least,
				kind(c), km);
	return 0;
}

/* A copy in a bucket states nothing: what its server keeps it from is in its abilities. */
static bool grade_is_short(const struct cof_profile *p, const struct placed *c)
{
	return !c->bucket && c->grade < p->vault_grade;
}

static void grade_text(const struct placed *c, char ret[32])
{
	if (c->grade)
		snprintf(ret, 32, "grade %u", c->grade);
	else
		snprintf(ret, 32, "none");
}

int placement_check(const struct store *s, const struct cof_profile *p, const struct placed *c, struct cof_diag *diag)
{
	char grade[32];

	if (!cof_jurisdiction_allowed(p->jurisdictions, c->jurisdiction))
		return cof_fail(diag, -EPERM,
				"the policy lets copies go to %s, and this %s stands in %s (R42). Nothing was sent",
				p->jurisdictions, kind(c), *c->jurisdiction ? c->jurisdiction : "no jurisdiction that is said");
	if (cof_jurisdiction_forbidden(p->forbidden_jurisdictions, c->jurisdiction))
		return cof_fail(diag, -EPERM,
				"the policy lets no copies go to %s (forbidden_jurisdictions), and this %s stands in %s (R42). Nothing was sent",
				p->forbidden_jurisdictions, kind(c), *c->jurisdiction ? c->jurisdiction : "no jurisdiction that is said");
	if (p->transfer_basis && !*c->basis)
		return cof_fail(diag, -EPERM,
				"the policy asks what copies rest on (transfer_basis, R42), and nothing is said of this %s: coffer vault "
				"add ... --basis TEXT. Nothing was sent",
				kind(c));
	if (grade_is_short(p, c)) {
		grade_text(c, grade);
		return cof_fail(diag, -EPERM,
				"the policy asks for vaults of grade %u at least (vault_grade, R10), and this vault states %s: its operator says "
				"it there, as grade = N in vault.conf, or of one that is reached by hand here (coffer vault add ... --grade N). Nothing "
				"was sent",
				p->vault_grade, grade);
	}
	return p->distance ? near(s, p->distance, c, diag) : 0;
}

int placement_may_leave(const struct store *s, const struct placed *c, struct cof_diag *diag)
{
	struct cof_profile policy;
	int r = cof_store_policy(s->io, &s->conf, &policy);

	if (r < 0)
		return cof_fail(diag, r, "the archive's policy cannot be read: %s", strerror(-r));
	return placement_check(s, &policy, c, diag);
}

struct placed placed_vault(const struct vault_entry *e)
{
	return (struct placed){.name = e->name,
			       .place = e->place,
			       .jurisdiction = e->jurisdiction,
			       .administration = e->administration,
			       .basis = e->basis,
			       .grade = e->grade,
			       .confirmed = e->time ? (int64_t)e->time * COF_NSEC : INT64_MIN};
}

struct placed placed_bucket(const struct bucket *b)
{
	return (struct placed){.name = b->name,
			       .place = b->place,
			       .jurisdiction = b->jurisdiction,
			       .administration = "",
			       .basis = b->basis,
			       .bucket = true,
			       .confirmed = INT64_MIN};
}

/* ---- how far all of it is as the policy asks ---- */

struct seen {
	char name[64], kind[8];
	char text[128], administration[64];
	struct cof_place place;
	bool known, bucket;
};

struct judging {
	const struct store *s;
	const struct cof_profile *p;
	struct cof_json *array;
	struct vault_host host;
	struct seen of[COPIES];
	unsigned n, vaults, administrations, places;
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

static void judge_one(struct judging *j, const struct placed *c)
{
	struct seen *at = &j->of[j->n];
	int64_t now = cof_now(CLOCK_REALTIME);
	bool fresh = true;
	char span[32];

	if (!cof_jurisdiction_allowed(j->p->jurisdictions, c->jurisdiction))
		say(j, "%s %s stands in %s, which the policy does not allow (R42)", kind(c), c->name,
		    *c->jurisdiction ? c->jurisdiction : "no jurisdiction");
	else if (cof_jurisdiction_forbidden(j->p->forbidden_jurisdictions, c->jurisdiction))
		say(j, "%s %s stands in %s, which the policy forbids (R42)", kind(c), c->name,
		    *c->jurisdiction ? c->jurisdiction : "no jurisdiction that is said");
	if (j->p->transfer_basis && !*c->basis)
		say(j, "%s %s has no basis, which the policy asks for (R42)", kind(c), c->name);
	if (grade_is_short(j->p, c)) {
		grade_text(c, span);
		say(j, "%s %s states %s, and the policy asks for grade %u (R10)", kind(c), c->name, span, j->p->vault_grade);
	}
	if (j->p->backup_offsite && (c->confirmed == INT64_MIN || now - c->confirmed > j->p->backup_offsite)) {
		cof_duration_text(j->p->backup_offsite, span);
		say(j, "%s %s is overdue: %s for longer than %s (R40)", kind(c), c->name,
		    c->bucket ? "nothing was sent there" : "it confirmed nothing", span);
	}
	if (j->n == COPIES)
		return;
	snprintf(at->name, sizeof(at->name), "%s", c->name);
	snprintf(at->kind, sizeof(at->kind), "%s", kind(c));
	snprintf(at->text, sizeof(at->text), "%s", c->place);
	snprintf(at->administration, sizeof(at->administration), "%s", c->administration);
	at->known = cof_place_parse(at->text, &at->place, NULL) == 0;
	at->bucket = c->bucket;
	for (unsigned i = 0; i < j->n; i++)
		fresh &= strcmp(j->of[i].administration, c->administration) != 0;
	j->administrations += fresh && *c->administration;
	j->vaults += !c->bucket;
	j->n++;
}

static int one_vault(void *user, struct vault_entry *e)
{
	struct placed c = placed_vault(e);

	if (*e->retiring || !strncmp(e->url, "http", 4)) /* a witness holds no copy */
		return 0;
	judge_one(user, &c);
	return 0;
}

static int one_bucket(void *user, const struct bucket *b)
{
	struct judging *j = user;
	struct placed c = placed_bucket(b);
	int r;

	if (*b->retiring)
		return 0;
	r = bucket_sent(j->s, b, &c.confirmed, NULL);
	if (r == 0)
		judge_one(j, &c);
	return r;
}

/* The host's place is one of those that shall lie apart. */
static void judge_distances(struct judging *j)
{
	struct cof_place here;
	bool host = cof_place_parse(j->host.place, &here, NULL) == 0;
	unsigned least = j->p->distance;

	for (unsigned i = 0; i < j->n; i++) {
		const struct seen *c = &j->of[i];
		bool apart = true;

		for (unsigned k = 0; k < i && c->known; k++) {
			const struct seen *d = &j->of[k];
			double km = d->known ? cof_place_distance(&c->place, &d->place) : least;

			apart &= km >= (least ? least : 1);
			if (least && km < least)
				say(j, "%s %s and %s %s are %.0f km apart, and the policy asks for %u (R41)", d->kind, d->name, c->kind, c->name,
				    km, least);
		}
		if (least && host && c->known && cof_place_distance(&here, &c->place) < least) {
			apart = false;
			say(j, "%s %s is %.0f km away, and the policy asks for %u (R41)", c->kind, c->name,
			    cof_place_distance(&here, &c->place), least);
		}
		j->places += apart && c->known;
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
	j->s = s;
	j->p = p;
	j->array = array;
	r = vault_entries(s, one_vault, j, diag);
	if (r == 0)
		r = bucket_entries(s, one_bucket, j, diag);
	if (r < 0)
		return r;
	judge_distances(j);
	if (p->backup_offsite && !j->n)
		say(j, "the policy asks for a copy away from here, and there is no vault: coffer vault add (R40)");
	if (j->vaults > 1 && j->administrations < 2)
		say(j, "the vaults are of fewer than two administrations that are named (coffer vault add --administration)");
	return 0;
}

void placement_say(const struct store *s)
{
	cof_autojson struct cof_json *all = cof_json_array();
	struct cof_profile policy;
	struct cof_diag diag = {""};

	if (cof_store_policy(s->io, &s->conf, &policy) < 0 || placement_judge(s, &policy, all, &diag) < 0)
		return; /* whoever sends something asks again, and says why not */
	for (size_t i = 0; i < cof_json_count(all); i++) {
		const char *text = cof_json_str(cof_json_at(all, i), "text");

		if (text && strstr(text, "(R41)"))
			complain("%s", text);
	}
}
