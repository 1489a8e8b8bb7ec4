/* SPDX-License-Identifier: Apache-2.0 */
/* Events in groups: of one type, kind of the catalogue, outcome and source, with what that means. */
#include "fs/rules/catalogue.h"
#include "tools/output.h"
#include "tools/review-private.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMES 4 /* of those who did it that a group lists */
#define NOTICE 5

struct group {
	char event[32], catalogue[16], outcome[16], source[64];
	int severity; /* the worst */
	uint64_t events, count, first, last; /* count: what each event counts */
	char first_time[40], last_time[40];
	char by[NAMES][96];
	unsigned n_by;
	uint64_t more_by; /* events of others */
};

struct review {
	struct group *group;
	size_t n;
	uint64_t events, others;
	struct login_table *logins; /* NULL: groups */
};

struct review *review_new(bool logins)
{
	struct review *r = calloc(1, sizeof(*r));

	if (r && logins) {
		r->logins = logins_new();
		if (!r->logins) {
			free(r);
			return NULL;
		}
	}
	return r;
}

void review_free(struct review *r)
{
	if (!r)
		return;
	logins_free(r->logins);
	free(r->group);
	free(r);
}

/* ---- fields of an event ---- */

int64_t review_number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	(void)cof_json_int(o, key, &v);
	return v;
}

uint64_t review_sequence(const struct cof_json *event)
{
	return (uint64_t)review_number(event, "sequence");
}

const char *review_time(const struct cof_json *event)
{
	const char *claimed = cof_json_str(event, "claimed_time"), *time = cof_json_str(event, "time");

	return claimed ? claimed : time ? time : "?";
}

void review_who(const struct cof_json *event, char *out, size_t size)
{
	const struct cof_json *actor = cof_json_get(event, "actor");
	const char *signer = cof_json_str(event, "signer"), *command = actor ? cof_json_str(actor, "command") : NULL;
	int64_t uid;

	if (signer)
		snprintf(out, size, "%s", signer);
	else if (actor && cof_json_int(actor, "uid", &uid) == 0)
		snprintf(out, size, "uid %" PRId64 "%s%s", uid, command ? " " : "", command ? command : "");
	else
		snprintf(out, size, "?");
}

void review_add_text(struct cof_buf *b, const char *before, const char *text)
{
	cof_autofree char *shown = text ? escaped(text) : NULL;

	if (!text)
		return;
	b->failed |= !shown;
	if (shown)
		cof_buf_printf(b, "%s%s", before, shown);
}

/* ---- groups ---- */

/* What is worth a person's look: what failed or was tried, what the catalogue names, what is said to matter. */
static bool is_significant(const struct cof_json *e, int severity)
{
	const char *outcome = cof_json_str(e, "outcome");

	return severity <= NOTICE || cof_json_str(e, "catalogue") || (outcome && strcmp(outcome, "success"));
}

static bool is(const char *has, const char *want)
{
	return !strcmp(has, want ? want : "");
}

static struct group *find(struct review *r, const struct cof_json *e)
{
	const char *event = cof_json_str(e, "event"), *catalogue = cof_json_str(e, "catalogue");
	const char *outcome = cof_json_str(e, "outcome"), *source = cof_json_str(e, "source");
	struct group *g;

	for (size_t i = 0; i < r->n; i++) {
		g = &r->group[i];
		if (is(g->event, event) && is(g->catalogue, catalogue) && is(g->outcome, outcome) && is(g->source, source))
			return g;
	}
	g = realloc(r->group, (r->n + 1) * sizeof(*g));
	if (!g)
		return NULL;
	r->group = g;
	g = &r->group[r->n++];
	memset(g, 0, sizeof(*g));
	g->severity = NOTICE + 3;
	snprintf(g->event, sizeof(g->event), "%s", event ? event : "");
	snprintf(g->catalogue, sizeof(g->catalogue), "%s", catalogue ? catalogue : "");
	snprintf(g->outcome, sizeof(g->outcome), "%s", outcome ? outcome : "");
	snprintf(g->source, sizeof(g->source), "%s", source ? source : "");
	return g;
}

static void add_who(struct group *g, const struct cof_json *e)
{
	char who[sizeof(g->by[0])];

	review_who(e, who, sizeof(who));
	for (unsigned i = 0; i < g->n_by; i++)
		if (!strcmp(g->by[i], who))
			return;
	if (g->n_by < NAMES)
		memcpy(g->by[g->n_by++], who, sizeof(who));
	else
		g->more_by++;
}

int review_add(struct review *r, const struct cof_json *e)
{
	const char *severity = cof_json_str(e, "severity");
	int level = severity ? cof_severity(severity) : -1;
	int64_t count = review_number(e, "count");
	struct group *g;

	r->events++;
	if (r->logins)
		return logins_add(r->logins, e);
	level = level < 0 ? NOTICE : level;
	if (!is_significant(e, level)) {
		r->others++;
		return 0;
	}
	g = find(r, e);
	if (!g)
		return -ENOMEM;
	g->severity = COF_MIN(g->severity, level);
	g->last = review_sequence(e);
	snprintf(g->last_time, sizeof(g->last_time), "%s", review_time(e));
	if (!g->events++) {
		g->first = g->last;
		memcpy(g->first_time, g->last_time, sizeof(g->first_time));
	}
	g->count += count > 0 ? (uint64_t)count : 1;
	add_who(g, e);
	return 0;
}

static int by_weight(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->severity != y->severity)
		return x->severity - y->severity;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* ---- told ---- */

static struct cof_json *tell_group(const struct group *g, bool few)
{
	const struct cof_event_type *type = cof_event_type(g->event);
	const struct cof_catalogue_kind *kind = cof_catalogue_find(g->catalogue);
	struct cof_json *o = cof_json_object(), *by = few ? NULL : cof_json_array();

	cof_json_set_str(o, "event", g->event);
	cof_json_set_str(o, "means", type ? type->text : !strcmp(g->source, "person") ? "what a person did, and signed"
							: "what another program's log says");
	if (kind) {
		cof_json_set_str(o, "catalogue", kind->id);
		cof_json_set_str(o, "kind", kind->text);
	}
	cof_json_set_str(o, "severity", cof_severity_name(g->severity));
	cof_json_set_str(o, "outcome", g->outcome);
	cof_json_set_str(o, "source", g->source);
	cof_json_set_uint(o, "events", g->events);
	cof_json_set_uint(o, "count", g->count);
	cof_json_set_uint(o, "first", g->first);
	cof_json_set_uint(o, "last", g->last);
	cof_json_set_str(o, "first_time", g->first_time);
	cof_json_set_str(o, "last_time", g->last_time);
	for (unsigned i = 0; by && i < g->n_by; i++)
		cof_json_append(by, cof_json_new_str(g->by[i]));
	if (by)
		cof_json_set(o, "by", by);
	if (by && g->more_by)
		cof_json_set_uint(o, "by_others", g->more_by);
	return o;
}

int review_tell(const struct review *r, bool few, struct cof_json *into)
{
	struct cof_json *all;

	cof_json_set_uint(into, "events", r->events);
	if (r->logins)
		return logins_tell(r->logins, into);
	all = cof_json_array();
	if (r->n)
		qsort(r->group, r->n, sizeof(*r->group), by_weight);
	for (size_t i = 0; i < r->n; i++)
		cof_json_append(all, tell_group(&r->group[i], few));
	cof_json_set(into, "groups", all);
	cof_json_set_uint(into, "others", r->others);
	return all ? 0 : -ENOMEM;
}

static void say_group(const struct cof_json *g, struct cof_buf *b)
{
	const struct cof_json *by = cof_json_get(g, "by");
	int64_t events = review_number(g, "events"), count = review_number(g, "count"), more = review_number(g, "by_others");
	const char *source = cof_json_str(g, "source"), *severity = cof_json_str(g, "severity");

	cof_buf_printf(b, "%-7s %6" PRId64 "  ", severity ? severity : "?", events);
	review_add_text(b, "", cof_json_str(g, "event"));
	review_add_text(b, " ", cof_json_str(g, "outcome"));
	if (count != events)
		cof_buf_printf(b, ", %" PRId64 " times in all", count);
	if (source && strcmp(source, "coffer"))
		review_add_text(b, ", from ", source);
	review_add_text(b, "\n                ", cof_json_str(g, "means"));
	review_add_text(b, "\n                ", cof_json_str(g, "catalogue"));
	review_add_text(b, " ", cof_json_str(g, "kind"));
	cof_buf_printf(b, "\n                frames %" PRId64 " to %" PRId64, review_number(g, "first"), review_number(g, "last"));
	review_add_text(b, ", ", cof_json_str(g, "first_time"));
	review_add_text(b, " to ", cof_json_str(g, "last_time"));
	for (size_t i = 0; by && i < cof_json_count(by); i++)
		review_add_text(b, i ? ", " : "\n                by ", cof_json_value_str(cof_json_at(by, i)));
	if (more)
		cof_buf_printf(b, " and others (%" PRId64 " events)", more);
	cof_buf_printf(b, "\n");
}

void review_say(const struct cof_json *told, struct cof_buf *b)
{
	const struct cof_json *groups = cof_json_get(told, "groups");
	int64_t others = review_number(told, "others");

	if (!groups) {
		logins_say(told, b);
		return;
	}
	for (size_t i = 0; i < cof_json_count(groups); i++)
		say_group(cof_json_at(groups, i), b);
	cof_buf_printf(b, "%" PRId64 " events, %" PRId64 " of them not significant (info or debug, success, of no kind of the catalogue)\n",
		       review_number(told, "events"), others);
}
