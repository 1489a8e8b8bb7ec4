/* SPDX-License-Identifier: Apache-2.0 */
/* Who covers a kind of event, judged by what sources and Coffer itself put on record. */
#include "tools/coverage.h"

#include <stdio.h>

#define SOURCES 64

struct source_seen {
	char name[32];
	bool kinds[COVERAGE_KINDS]; /* of its last test */
	int64_t tested;		    /* INT64_MIN: never */
	int64_t last, next;	    /* the last sign of its reader; when it promised another */
};

struct kind_seen {
	uint64_t count;
	int64_t first, last, own; /* own: the last that Coffer itself recorded */
};

struct coverage {
	const struct cof_catalogue_kind *kinds;
	size_t n_kinds;
	struct kind_seen seen[COVERAGE_KINDS];
	struct source_seen sources[SOURCES];
	size_t n_sources;
};

struct coverage *coverage_new(void)
{
	struct coverage *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->n_kinds = COF_MIN(cof_catalogue(&c->kinds), (size_t)COVERAGE_KINDS);
	for (size_t i = 0; i < COVERAGE_KINDS; i++)
		c->seen[i] = (struct kind_seen){.first = INT64_MIN, .last = INT64_MIN, .own = INT64_MIN};
	return c;
}

void coverage_free(struct coverage *c)
{
	free(c);
}

const char *coverage_state_name(enum covered_state s)
{
	static const char *const names[] = {"source", "person", "silent", "stale", "nobody", "missing"};

	return names[s];
}

/* ---- what is on record ---- */

static struct source_seen *source_of(struct coverage *c, const char *name)
{
	struct source_seen *s;

	for (size_t i = 0; i < c->n_sources; i++)
		if (!strcmp(c->sources[i].name, name))
			return &c->sources[i];
	if (c->n_sources == SOURCES || strlen(name) >= sizeof(s->name))
		return NULL;
	s = &c->sources[c->n_sources++];
	s->tested = s->last = INT64_MIN;
	memcpy(s->name, name, strlen(name) + 1);
	return s;
}

static size_t kind_at(const struct coverage *c, const char *id)
{
	size_t i = 0;

	while (i < c->n_kinds && strcmp(c->kinds[i].id, id) != 0)
		i++;
	return i;
}

static void take_test(struct coverage *c, struct source_seen *s, const struct cof_json *event, int64_t time)
{
	const char *form = cof_json_str(event, "form");
	cof_autojson struct cof_json *o = NULL;
	const struct cof_json *kinds;

	if (!form || cof_json_parse(form, strlen(form), &o) < 0)
		return;
	kinds = cof_json_get(o, "kinds");
	memset(s->kinds, 0, sizeof(s->kinds));
	s->tested = time;
	for (size_t i = 0; kinds && i < cof_json_count(kinds); i++) {
		const char *id = cof_json_value_str(cof_json_at(kinds, i));
		size_t k = id ? kind_at(c, id) : c->n_kinds;

		if (k < c->n_kinds)
			s->kinds[k] = true;
	}
}

static void take_source(struct coverage *c, const struct cof_json *event, const char *name, int64_t time)
{
	const char *type = cof_json_str(event, "event");
	const struct cof_json *due = cof_json_get(event, "due");
	struct source_seen *s;

	/* What the daemon says of it is no sign of it. */
	if (!type || !strncmp(type, "silence", 7) || !(s = source_of(c, name)))
		return;
	if (!strcmp(type, "source-tested")) {
		take_test(c, s, event, time);
		return;
	}
	s->last = time;
	if (due)
		(void)cof_json_int(due, "next_ns", &s->next);
}

void coverage_take(struct coverage *c, const struct cof_json *event)
{
	const char *id = cof_json_str(event, "catalogue"), *source = cof_json_str(event, "source");
	const char *text = cof_json_str(event, "time");
	size_t k = id ? kind_at(c, id) : c->n_kinds;
	bool own = !source || !strcmp(source, "coffer");
	struct kind_seen *s;
	int64_t time = 0;

	if (text)
		(void)cof_time_parse(text, &time);
	if (!own)
		take_source(c, event, source, time);
	if (k == c->n_kinds)
		return;
	s = &c->seen[k];
	s->first = s->count++ ? s->first : time;
	s->last = time;
	if (own)
		s->own = time;
}

/* ---- judging ---- */

/* A reader that follows, and has reported within twice what it promised. */
static bool live(const struct source_seen *s, int64_t now)
{
	return s->next && s->last != INT64_MIN && now - s->last < 2 * s->next;
}

static bool fresh(int64_t time, const struct coverage_terms *t)
{
	return !t->policy->coverage_within || t->now - time <= t->policy->coverage_within;
}

static bool is_somebody(const struct cof_people *people, const char *name)
{
	if (!people)
		return false;
	if (cof_people_find(people, name))
		return true;
	for (unsigned i = 0; cof_role_names[i]; i++)
		if (!strcmp(cof_role_names[i], name))
			return cof_people_count(people, 1u << i) != 0;
	return false;
}

/* "A.14.3=officer" in the policy's key: a person by name, or a role that somebody has. */
static enum covered_state by_person(const struct coverage_terms *t, const char *id, struct covered *ret)
{
	enum covered_state state = COVERED_MISSING;
	size_t n = strlen(id);

	for (const char *at = t->policy->coverage_by; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		char name[COF_PRINCIPAL];

		if (strncmp(at, id, n) != 0 || at[n] != '=')
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + n + 1, " "), at + n + 1);
		memcpy(ret->by, name, sizeof(name));
		if (is_somebody(t->people, name))
			return COVERED_PERSON;
		state = COVERED_NOBODY;
	}
	return state;
}

static enum covered_state by_source(const struct coverage *c, size_t k, const struct coverage_terms *t,
				    struct covered *ret)
{
	enum covered_state state = COVERED_MISSING;

	if (c->seen[k].own != INT64_MIN) {
		snprintf(ret->by, sizeof(ret->by), "coffer");
		if (fresh(c->seen[k].own, t))
			return COVERED_SOURCE;
		state = COVERED_STALE;
	}
	for (size_t i = 0; i < c->n_sources; i++) {
		const struct source_seen *s = &c->sources[i];

		if (s->tested == INT64_MIN || !s->kinds[k])
			continue;
		snprintf(ret->by, sizeof(ret->by), "%s", s->name);
		if (live(s, t->now) && fresh(s->tested, t))
			return COVERED_SOURCE;
		state = live(s, t->now) ? COVERED_STALE : COVERED_SILENT;
	}
	return state;
}

static void judge(const struct coverage *c, size_t k, const struct coverage_terms *t, struct covered *ret)
{
	struct covered person = {.by = ""};
	enum covered_state state;

	*ret = (struct covered){.id = c->kinds[k].id,
				.text = c->kinds[k].text,
				.count = c->seen[k].count,
				.first = c->seen[k].first,
				.last = c->seen[k].last};
	ret->state = by_source(c, k, t, ret);
	if (ret->state == COVERED_SOURCE)
		return;
	state = by_person(t, ret->id, &person);
	/* A person counts; one who is nobody is told only where there is no source at all. */
	if (state == COVERED_PERSON || (state == COVERED_NOBODY && ret->state == COVERED_MISSING)) {
		ret->state = state;
		memcpy(ret->by, person.by, sizeof(ret->by));
	}
}

size_t coverage_kinds(const struct coverage *c, unsigned level, const struct coverage_terms *t,
		      struct covered ret[COVERAGE_KINDS])
{
	size_t n = 0;

	for (size_t k = 0; k < c->n_kinds; k++)
		if (level >= 1 && level <= COF_LEVELS && c->kinds[k].level[level - 1])
			judge(c, k, t, &ret[n++]);
	return n;
}
