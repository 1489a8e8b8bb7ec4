/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins of each day by who, from where and through which source; and what is conspicuous: a success behind
 * failures of the same name (guessed?), many failures from one place, one place that tries many names, a lock.
 */
#include "tools/review-private.h"

#include <inttypes.h>
#include <stdio.h>

#define GUESSED 3 /* failures before a success */
#define MANY 10	  /* failures from one place */
#define NAMES 5	  /* that one place tried */
#define TABLE_MAX 200 /* rows told, those with failures before others; the rest is counted */
#define FINDINGS_MAX 50

struct row {
	char day[11], who[96], place[128], source[64];
	uint64_t failed, succeeded, first, last;
};

struct name { /* of the whole range */
	char who[96];
	uint64_t streak;  /* failures since the last success */
	uint64_t guessed; /* the most of them before a success */
	uint64_t at;	  /* that success */
};

struct place {
	char place[128];
	uint64_t failed, names; /* names: rows of different who, counted once a name */
	uint64_t last;
};

struct login_table {
	struct row *row;
	struct name *name;
	struct place *place;
	size_t n_rows, n_names, n_places;
	uint64_t locked, locked_at, logins;
};

struct login_table *logins_new(void)
{
	return calloc(1, sizeof(struct login_table));
}

void logins_free(struct login_table *t)
{
	if (!t)
		return;
	free(t->row);
	free(t->name);
	free(t->place);
	free(t);
}

static bool of_kind(const struct cof_json *e, const char *kind)
{
	const char *catalogue = cof_json_str(e, "catalogue");

	return catalogue && !strcmp(catalogue, kind);
}

/* The kinds of the catalogue that are about getting in. */
static bool is_login(const struct cof_json *e)
{
	return of_kind(e, "A.14.7") || of_kind(e, "A.16.2") || of_kind(e, "A.2.3") || of_kind(e, "A.2.4");
}

static void *grown(void **table, size_t *n, size_t size)
{
	/* In steps of powers of two: full when n is one. */
	if (!(*n & (*n - 1))) {
		void *q = realloc(*table, (*n ? 2 * *n : 1) * size);

		if (!q)
			return NULL;
		*table = q;
	}
	memset((char *)*table + *n * size, 0, size);
	return (char *)*table + (*n)++ * size;
}

static struct row *row_of(struct login_table *t, const char *day, const char *who, const char *place, const char *source)
{
	struct row *r;

	/* The newest ones lie behind: events come in order. */
	for (size_t i = t->n_rows; i--;) {
		r = &t->row[i];
		if (!strcmp(r->day, day) && !strcmp(r->who, who) && !strcmp(r->place, place) && !strcmp(r->source, source))
			return r;
	}
	r = grown((void **)&t->row, &t->n_rows, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->day, sizeof(r->day), "%s", day);
	snprintf(r->who, sizeof(r->who), "%s", who);
	snprintf(r->place, sizeof(r->place), "%s", place);
	snprintf(r->source, sizeof(r->source), "%s", source);
	return r;
}

static struct name *name_of(struct login_table *t, const char *who)
{
	struct name *n;

	for (size_t i = 0; i < t->n_names; i++)
		if (!strcmp(t->name[i].who, who))
			return &t->name[i];
	n = grown((void **)&t->name, &t->n_names, sizeof(*n));
	if (n)
		snprintf(n->who, sizeof(n->who), "%s", who);
	return n;
}

static struct place *place_of(struct login_table *t, const char *place)
{
	struct place *p;

	for (size_t i = 0; i < t->n_places; i++)
		if (!strcmp(t->place[i].place, place))
			return &t->place[i];
	p = grown((void **)&t->place, &t->n_places, sizeof(*p));
	if (p)
		snprintf(p->place, sizeof(p->place), "%s", place);
	return p;
}

static bool tried_before(const struct login_table *t, const char *who, const char *place)
{
	for (size_t i = 0; i < t->n_rows; i++)
		if (t->row[i].failed && !strcmp(t->row[i].who, who) && !strcmp(t->row[i].place, place))
			return true;
	return false;
}

static void count_name(struct name *n, bool failed, uint64_t times, uint64_t sequence)
{
	if (failed) {
		n->streak += times;
		return;
	}
	if (n->streak >= GUESSED && n->streak > n->guessed) {
		n->guessed = n->streak;
		n->at = sequence;
	}
	n->streak = 0;
}

int logins_add(struct login_table *t, const struct cof_json *e)
{
	const char *outcome = cof_json_str(e, "outcome"), *place = cof_json_str(e, "place"), *source = cof_json_str(e, "source");
	bool failed = outcome && strcmp(outcome, "success");
	int64_t count = review_number(e, "count");
	uint64_t times = count > 0 ? (uint64_t)count : 1, sequence = review_sequence(e);
	char day[11], who[96], at[128];
	struct name *n;
	struct place *p;
	struct row *r;

	if (!is_login(e))
		return 0;
	t->logins += times;
	if (of_kind(e, "A.2.3")) {
		t->locked++;
		t->locked_at = sequence;
	}
	snprintf(day, sizeof(day), "%.10s", review_time(e));
	review_who(e, who, sizeof(who));
	snprintf(at, sizeof(at), "%s", place && *place ? place : "here");
	n = name_of(t, who);
	p = place_of(t, at);
	if (!n || !p)
		return -ENOMEM;
	count_name(n, failed, times, sequence);
	if (failed) {
		p->names += !tried_before(t, who, at);
		p->failed += times;
		p->last = sequence;
	}
	r = row_of(t, day, who, at, source ? source : "coffer");
	if (!r)
		return -ENOMEM;
	r->first = r->failed + r->succeeded ? r->first : sequence;
	r->last = sequence;
	*(failed ? &r->failed : &r->succeeded) += times;
	return 0;
}

/* ---- told ---- */

static struct cof_json *finding(struct cof_json *all, const char *what, const char *means, uint64_t count, uint64_t frame)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "finding", what);
	cof_json_set_str(o, "means", means);
	cof_json_set_uint(o, "count", count);
	cof_json_set_uint(o, "frame", frame);
	cof_json_append(all, o);
	return o;
}

static void tell_findings(const struct login_table *t, struct cof_json *all)
{
	for (size_t i = 0; i < t->n_names && cof_json_count(all) < FINDINGS_MAX; i++)
		if (t->name[i].guessed)
			cof_json_set_str(finding(all, "success-after-failures", "somebody got in after failing: was it guessed?",
						 t->name[i].guessed, t->name[i].at),
					 "who", t->name[i].who);
	for (size_t i = 0; i < t->n_places && cof_json_count(all) < 2 * FINDINGS_MAX; i++) {
		const struct place *p = &t->place[i];

		if (p->failed >= MANY)
			cof_json_set_str(finding(all, "many-failures", "one place fails again and again", p->failed, p->last), "place",
					 p->place);
		if (p->names >= NAMES)
			cof_json_set_str(finding(all, "many-names", "one place tries names", p->names, p->last), "place", p->place);
	}
	if (t->locked)
		(void)finding(all, "locked", "so many wrong secrets that it was locked", t->locked, t->locked_at);
}

static int by_failures(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->failed != y->failed)
		return x->failed > y->failed ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_day(const void *a, const void *b)
{
	int day = strcmp(((const struct row *)a)->day, ((const struct row *)b)->day);

	return day ? day : by_failures(a, b);
}

int logins_tell(const struct login_table *t, struct cof_json *into)
{
	struct cof_json *rows = cof_json_array(), *findings = cof_json_array();

	if (t->n_rows > TABLE_MAX)
		qsort(t->row, t->n_rows, sizeof(*t->row), by_failures);
	if (t->n_rows)
		qsort(t->row, COF_MIN(t->n_rows, (size_t)TABLE_MAX), sizeof(*t->row), by_day);
	for (size_t i = 0; i < t->n_rows && i < TABLE_MAX; i++) {
		const struct row *r = &t->row[i];
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "day", r->day);
		cof_json_set_str(o, "who", r->who);
		cof_json_set_str(o, "place", r->place);
		cof_json_set_str(o, "source", r->source);
		cof_json_set_uint(o, "failed", r->failed);
		cof_json_set_uint(o, "succeeded", r->succeeded);
		cof_json_set_uint(o, "first", r->first);
		cof_json_set_uint(o, "last", r->last);
		cof_json_append(rows, o);
	}
	tell_findings(t, findings);
	cof_json_set_uint(into, "attempts", t->logins);
	cof_json_set_uint(into, "rows", t->n_rows);
	cof_json_set(into, "logins", rows);
	cof_json_set(into, "findings", findings);
	return rows && findings ? 0 : -ENOMEM;
}

void logins_say(const struct cof_json *told, struct cof_buf *b)
{
	const struct cof_json *rows = cof_json_get(told, "logins"), *findings = cof_json_get(told, "findings");
	size_t n = rows ? cof_json_count(rows) : 0;
	int64_t all = review_number(told, "rows");

	for (size_t i = 0; findings && i < cof_json_count(findings); i++) {
		const struct cof_json *f = cof_json_at(findings, i);

		review_add_text(b, "FINDING ", cof_json_str(f, "finding"));
		review_add_text(b, " ", cof_json_str(f, "who"));
		review_add_text(b, " from ", cof_json_str(f, "place"));
		cof_buf_printf(b, ", %" PRId64, review_number(f, "count"));
		review_add_text(b, ": ", cof_json_str(f, "means"));
		cof_buf_printf(b, " (frame %" PRId64 ")\n", review_number(f, "frame"));
	}
	for (size_t i = 0; i < n; i++) {
		const struct cof_json *r = cof_json_at(rows, i);

		review_add_text(b, "", cof_json_str(r, "day"));
		cof_buf_printf(b, "  %6" PRId64 " failed %6" PRId64 " got in", review_number(r, "failed"), review_number(r, "succeeded"));
		review_add_text(b, "  ", cof_json_str(r, "who"));
		review_add_text(b, " from ", cof_json_str(r, "place"));
		review_add_text(b, ", ", cof_json_str(r, "source"));
		cof_buf_printf(b, "\n");
	}
	if ((uint64_t)all > n)
		cof_buf_printf(b, "and %" PRId64 " rows more\n", all - (int64_t)n);
	cof_buf_printf(b, "%" PRId64 " attempts among %" PRId64 " events\n", review_number(told, "attempts"), review_number(told, "events"));
}
