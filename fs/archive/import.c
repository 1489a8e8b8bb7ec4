/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of a reader's events. One reader of a file at a time: a batch names the place that it goes on from, and
 * one that does not go on from what is on record is refused.
 */
#include "fs/archive/import.h"
#include "fs/archive/note.h"

#include <stdio.h>

#define BATCH_MAX 256
#define COUNTS 6
#define REMEMBERED 4096 /* events that a mount looks through for sources of before */

/* What the counts of lines are called, in the order of tag 151. */
static const char *const counts[COUNTS] = {"lines", "events", "ignored", "unmatched", "costly", "cut"};

struct batch {
	struct cof_archive *a;
	const struct cof_who *who;
	const struct cof_json *args;
	const char *source, *path;
	struct cof_imported *file; /* NULL: of no file (a test) */
	uint64_t sequence;	   /* of the last event */
	struct cof_diag *diag;
};

static int wrong(struct batch *b, const char *what)
{
	return cof_fail(b->diag, -EINVAL, "import: \"%s\" is missing or not as it has to be", what);
}

/* ---- values ---- */

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return o && cof_json_int(o, key, &v) == 0 && v > 0 ? (uint64_t)v : 0;
}

/* None at all is the beginning of a file. */
static bool read_place(const struct cof_json *o, struct cof_import_place *ret)
{
	const char *hex = o ? cof_json_str(o, "digest") : NULL;

	*ret = (struct cof_import_place){.end = number(o, "end"), .line = number(o, "line")};
	if (!ret->end)
		return true;
	return hex && strlen(hex) == 64 && cof_unhex(hex, 64, ret->digest) == 0;
}

static void write_place(const struct cof_import_place *p, struct cof_json *o)
{
	char hex[65];

	cof_hex(p->digest, sizeof(p->digest), hex);
	cof_json_set_uint(o, "end", p->end);
	cof_json_set_uint(o, "line", p->line);
	cof_json_set_str(o, "digest", hex);
}

static void put_counts(const struct cof_json *o, struct cof_buf *fields)
{
	uint8_t value[8 * COUNTS];

	if (!o)
		return;
	for (size_t i = 0; i < COUNTS; i++)
		cof_put_le64(value + 8 * i, number(o, counts[i]));
	cof_field_put(fields, COF_T_READ_COUNTS, value, sizeof(value));
}

static int64_t time_of(const struct cof_json *o)
{
	const char *text = cof_json_str(o, "time");
	int64_t ns;

	return text && cof_time_parse(text, &ns) == 0 ? ns : 0;
}

/* ---- one event ---- */

static int emit(struct batch *b, struct cof_event *e, const struct cof_buf *fields)
{
	int r;

	if (fields->failed)
		return -ENOMEM;
	e->source = b->source;
	e->who = b->who;
	e->fields = fields->data;
	e->fields_len = fields->len;
	cof_gate_enter(b->a);
	r = cof_event_emit(b->a, e, &b->sequence);
	cof_gate_leave(b->a);
	return r < 0 ? cof_fail(b->diag, r, "the event cannot be recorded: %s", strerror(-r)) : 0;
}

/* Whose meaning a rule gives, never the table's for a type of the same name. */
static int add(struct batch *b, const struct cof_json *o, bool last)
{
	cof_autobuf struct cof_buf fields = {0};
	const char *about = cof_json_str(o, "object");
	struct cof_import_place place;
	struct cof_event e = {.type = cof_json_str(o, "type"), .catalogue = cof_json_str(o, "catalogue"),
			      .outcome = cof_json_str(o, "outcome"), .severity = cof_json_str(o, "severity"),
			      .actor_name = cof_json_str(o, "actor"), .place = cof_json_str(o, "place"),
			      .detail = cof_json_str(o, "detail"), .time = time_of(o)};
	int r;

	if (!e.type || !cof_event_type_valid(e.type))
		return wrong(b, "type");
	if (e.catalogue && !cof_catalogue_find(e.catalogue))
		return wrong(b, "catalogue");
	if (!e.outcome || !cof_outcome_valid(e.outcome) || !e.severity || cof_severity(e.severity) < 0)
		return wrong(b, "outcome or severity");
	if (!read_place(o, &place) || !place.end)
		return wrong(b, "end, line and digest");
	e.alarm = cof_severity(e.severity) <= cof_severity("alert");
	e.quiet = !e.alarm;
	cof_import_put(&fields, &place, b->path);
	if (about)
		cof_field_put_str(&fields, COF_T_ABOUT, about);
	if (last)
		put_counts(cof_json_get(b->args, "counts"), &fields);
	r = emit(b, &e, &fields);
	if (r == 0)
		b->file->place = place;
	return r;
}

static int add_all(struct batch *b)
{
	const struct cof_json *events = cof_json_get(b->args, "events");
	size_t n = events ? cof_json_count(events) : 0;
	bool report = cof_json_get(b->args, "report");
	int r = n > BATCH_MAX || (n && !b->file) ? wrong(b, "events") : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(b, cof_json_at(events, i), i + 1 == n && !report);
	return r;
}

/* ---- reports ---- */

static void put_due(const struct cof_json *o, struct cof_buf *fields)
{
	uint8_t value[16];

	cof_put_le64(value, number(o, "next_ns"));
	cof_put_le64(value + 8, number(o, "silence_ns"));
	cof_field_put(fields, COF_T_READ_DUE, value, sizeof(value));
}

/* A reader is there, and so many lines came; or its rules were tried. */
static int report(struct batch *b, const struct cof_json *o)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_event e = {.type = cof_json_bool(o, "test") ? "source-tested" : "source-read",
			      .detail = cof_json_str(o, "detail")};
	struct cof_import_place place = {0};
	const char *form = cof_json_str(o, "form");
	int r;

	if (b->file && !read_place(cof_json_get(o, "place"), &place))
		return wrong(b, "place");
	if (b->file)
		cof_import_put(&fields, &place, b->path);
	put_due(o, &fields);
	put_counts(cof_json_get(b->args, "counts"), &fields);
	if (form)
		cof_field_put_str(&fields, COF_T_FORM, form);
	r = emit(b, &e, &fields);
	if (r == 0 && b->file)
		b->file->place = place;
	/* Who reads once does not end what a reader promised. */
	if (r == 0 && b->file && (number(o, "next_ns") || number(o, "silence_ns"))) {
		b->file->next = (int64_t)number(o, "next_ns");
		b->file->silence = (int64_t)number(o, "silence_ns");
		b->file->due_known = true;
	}
	return r;
}

/* Lines are gone that nobody read. */
static int lost(struct batch *b, const char *what)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_event e = {.type = "source-lost", .detail = what};

	return emit(b, &e, &fields);
}

/* ---- who writes again ---- */

static void tell(struct cof_archive *a, struct cof_imported *f, int what, int64_t since)
{
	static const char *const words[] = {[COF_HEARD] = "it is heard of again, after", [COF_NO_LINES] = "no line came for",
					    [COF_NO_READER] = "its reader reported nothing for"};
	int64_t wall = cof_now(CLOCK_REALTIME);
	char text[512], span[32];
	struct cof_event e = {.type = what == COF_HEARD ? COF_EV_SILENCE_ENDED : COF_EV_SILENCE, .source = f->source,
			      .detail = text, .count = 1, .first = wall - since, .last = wall};

	cof_duration_text(since, span);
	snprintf(text, sizeof(text), "%s %s: %.300s", words[what], span, f->path);
	(void)cof_event_emit(a, &e, NULL); /* told also when it cannot be recorded */
	f->told = what;
}

static void heard(struct batch *b)
{
	bool lines = number(cof_json_get(b->args, "counts"), "lines") > 0;
	int64_t now = cof_now(CLOCK_BOOTTIME);
	struct cof_imported *f = b->file;

	if (f->told && (lines || f->told == COF_NO_READER)) {
		cof_gate_enter(b->a);
		tell(b->a, f, COF_HEARD, now - (f->told == COF_NO_READER ? f->reported_at : f->lines_at));
		cof_gate_leave(b->a);
	}
	f->reported_at = now;
	if (lines || !f->lines_at)
		f->lines_at = now;
}

/* ---- what is on record ---- */

static int is_it(void *user, const struct cof_read_event *e)
{
	struct cof_imported *f = user;

	if (strcmp(e->source, f->source) || strcmp(e->path, f->path))
		return 0;
	f->place = e->place;
	return 1;
}

/* The file as the chain knows it; found once in a mount. With lock. */
static int find(struct cof_archive *a, const char *source, const char *path, struct cof_imported **ret,
		struct cof_diag *diag)
{
	struct cof_imported *f = cof_imported(a->imports, source, path, false);
	int r = 0;

	if (!f) {
		f = cof_imported(a->imports, source, path, true);
		if (!f)
			return cof_fail(diag, -EUSERS, "at most %d files are read at a time", COF_IMPORTS);
		COF_GATED(a, r, cof_import_back(a, UINT64_MAX, is_it, f));
		if (r < 0) {
			free(f->path);
			*f = a->imports->all[--a->imports->n];
			return cof_fail(diag, r, "where reading goes on cannot be found: %s", strerror(-r));
		}
	}
	*ret = f;
	return 0;
}

static int names(struct batch *b)
{
	b->source = cof_json_str(b->args, "source");
	b->path = cof_json_str(b->args, "path");
	if (!b->source || !cof_event_type_valid(b->source) || !strcmp(b->source, "coffer") ||
	    !strcmp(b->source, "person")) /* what Coffer saw, and what somebody signed */
		return wrong(b, "source");
	if (!b->path || strlen(b->path) >= 4096 || (*b->path && *b->path != '/'))
		return wrong(b, "path");
	return 0;
}

int cof_archive_import_state(struct cof_archive *a, const struct cof_json *args, struct cof_json *into,
			     struct cof_diag *diag)
{
	struct batch b = {.a = a, .args = args, .diag = diag};
	struct cof_imported *f = NULL;
	int r = names(&b);

	if (r == 0 && !*b.path)
		r = wrong(&b, "path");
	if (r < 0)
		return r;
	pthread_mutex_lock(&a->imports->lock);
	r = find(a, b.source, b.path, &f, diag);
	if (r == 0 && f)
		write_place(&f->place, into);
	pthread_mutex_unlock(&a->imports->lock);
	return r;
}

static int goes_on(struct batch *b)
{
	struct cof_import_place after;

	if (!b->file || !read_place(cof_json_get(b->args, "after"), &after))
		return wrong(b, "after");
	if (after.end != b->file->place.end || (after.end && memcmp(after.digest, b->file->place.digest, 32) != 0))
		return cof_fail(b->diag, -ESTALE, "%.300s is read by somebody else as %s at the same time", b->path, b->source);
	return 0;
}

static int take(struct batch *b)
{
	const struct cof_json *o = cof_json_get(b->args, "report");
	const char *what = cof_json_str(b->args, "lost");
	int r = 0;

	if (*b->path) {
		r = find(b->a, b->source, b->path, &b->file, b->diag);
		if (r == 0)
			r = goes_on(b);
	} else if (!o) {
		r = wrong(b, "path");
	}
	if (r == 0 && what)
		r = lost(b, what);
	if (r == 0)
		r = add_all(b);
	if (r == 0 && o)
		r = report(b, o);
	if (r == 0 && b->file)
		heard(b);
	return r;
}

int cof_archive_import(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args,
		       uint64_t *ret_sequence, struct cof_diag *diag)
{
	struct batch b = {.a = a, .who = who, .args = args, .diag = diag};
	int r = names(&b);

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->imports->lock);
	r = take(&b);
	pthread_mutex_unlock(&a->imports->lock);
	*ret_sequence = b.sequence;
	return r;
}

/* ---- silence ---- */

/* The newest first: where it was read to is what comes first, what it promised is in its newest report. */
static int remember(void *user, const struct cof_read_event *e)
{
	struct cof_archive *a = user;
	struct cof_imported *f = cof_imported(a->imports, e->source, e->path, false);

	if (!f) {
		f = cof_imported(a->imports, e->source, e->path, true);
		if (!f)
			return 1;
		f->place = e->place;
		f->lines_at = f->reported_at = cof_now(CLOCK_BOOTTIME);
	}
	if ((e->next || e->silence) && !f->due_known) {
		f->next = e->next;
		f->silence = e->silence;
		f->due_known = true;
	}
	return 0;
}

/* limit: what the archive's policy allows; 0: anything. A log that promises no lines at all may be quiet. */
static void listen_to(struct cof_archive *a, struct cof_imported *f, int64_t limit, int64_t now)
{
	int64_t silence = limit && limit < f->silence ? limit : f->silence;

	if (f->told)
		return;
	if (f->next && now - f->reported_at >= 2 * f->next)
		tell(a, f, COF_NO_READER, now - f->reported_at);
	else if (silence && now - f->lines_at >= silence)
		tell(a, f, COF_NO_LINES, now - f->lines_at);
}

void cof_imports_listen(struct cof_archive *a, int64_t now)
{
	struct cof_imports *s = a->imports;
	int64_t limit;

	if (pthread_mutex_trylock(&s->lock))
		return; /* a reader is heard of right now */
	pthread_mutex_lock(&a->profile_lock);
	limit = a->profile.silence;
	pthread_mutex_unlock(&a->profile_lock);
	if (!s->remembered)
		s->remembered = cof_import_back(a, REMEMBERED, remember, a) == 0;
	for (size_t i = 0; i < s->n; i++)
		listen_to(a, &s->all[i], limit, now);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the table ---- */

int cof_imports_new(struct cof_imports **ret)
{
	struct cof_imports *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void cof_imports_free(struct cof_imports *s)
{
	if (!s)
		return;
	while (s->n)
		free(s->all[--s->n].path);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct cof_imported *cof_imported(struct cof_imports *s, const char *source, const char *path, bool make)
{
	struct cof_imported *f;
	char *copy;

	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->all[i].source, source) && !strcmp(s->all[i].path, path))
			return &s->all[i];
	copy = make && s->n < COF_IMPORTS ? strdup(path) : NULL;
	if (!copy)
		return NULL;
	f = &s->all[s->n++];
	*f = (struct cof_imported){.path = copy};
	snprintf(f->source, sizeof(f->source), "%s", source);
	return f;
}
