/* SPDX-License-Identifier: Apache-2.0 */
/* A source's sample lines through its rules, and on record what came out. */
#include "tools/importer.h"

#include <stdio.h>
#include <time.h>

struct trying {
	struct importer *im;
	struct cof_json *kinds; /* of the catalogue, once each */
};

static bool has(const struct cof_json *list, const char *word)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		if (!strcmp(cof_json_value_str(cof_json_at(list, i)), word))
			return true;
	return false;
}

static int expect(struct trying *t, const char *want, size_t n, enum import_verdict v, const struct import_event *e,
		  unsigned number, struct cof_diag *diag)
{
	static const char *const words[] = {[IMPORT_EVENT] = NULL, [IMPORT_IGNORED] = "=> ignored",
					    [IMPORT_NO_RULE] = "=> no rule", [IMPORT_OTHER] = "=> other program"};
	char text[256];

	if (v == IMPORT_EVENT)
		snprintf(text, sizeof(text), "=> %s.%s %s %s ", import_source_name(t->im->source), e->type,
			 *e->catalogue ? e->catalogue : "-", e->outcome);
	else
		snprintf(text, sizeof(text), "%s", words[v]);
	if (n < strlen(text) || memcmp(want, text, strlen(text)) != 0 || (v != IMPORT_EVENT && n != strlen(text)))
		return cof_fail(diag, -EUCLEAN, "sample line %u gives '%s' instead of '%.*s'", number, text,
				(int)COF_MIN(n, (size_t)200), want);
	if (v == IMPORT_EVENT && *e->catalogue && !has(t->kinds, e->catalogue))
		cof_json_append(t->kinds, cof_json_new_str(e->catalogue));
	return 0;
}

/* A line, and behind it what it has to become. */
static int sample_lines(struct trying *t, const struct cof_buf *lines, struct cof_diag *diag)
{
	const char *at = (const char *)lines->data, *end = at + lines->len;
	struct importer *im = t->im;
	struct import_event e;
	int r = 0;

	for (unsigned number = 1; r == 0 && at < end; number += 2) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *want = nl ? nl + 1 : end,
			   *stop = want < end ? memchr(want, '\n', (size_t)(end - want)) : NULL;
		enum import_verdict v;

		if (!stop)
			return cof_fail(diag, -EUCLEAN, "sample line %u has no expectation behind it", number);
		v = import_match(im->source, at, (size_t)(nl - at), cof_now(CLOCK_REALTIME), &e, &im->since.costly);
		r = expect(t, want, (size_t)(stop - want), v, &e, number, diag);
		im->since.lines++;
		im->since.events += v == IMPORT_EVENT;
		at = stop + 1;
	}
	im->total = im->since;
	return r == 0 && !im->since.events ? cof_fail(diag, -EUCLEAN, "no sample line becomes an event") : r;
}

/* {"kinds": ["A.16.2"]}: what `coffer coverage` counts this source for. */
static int record(struct trying *t, struct cof_diag *diag)
{
	cof_autojson struct cof_json *form = cof_json_object();
	struct cof_json *report = cof_json_object();
	const char *text;

	t->im->kinds = (unsigned)cof_json_count(t->kinds);
	cof_json_set(form, "kinds", cof_json_ref(t->kinds));
	text = cof_json_text(form, false);
	cof_json_set_bool(report, "test", true);
	cof_json_set_int(report, "silence_ns", import_source_silence(t->im->source));
	if (text)
		cof_json_set_str(report, "form", text);
	return import_flush(t->im, report, diag);
}

int importer_test(struct importer *im, struct cof_diag *diag)
{
	cof_autojson struct cof_json *kinds = cof_json_array();
	cof_autobuf struct cof_buf lines = {0};
	struct trying t = {im, kinds};
	int r = import_load(im->source_arg, &im->source, &lines, diag);

	if (r == 0)
		r = store_open(im->store_arg, &im->store, diag);
	if (r == 0)
		r = sample_lines(&t, &lines, diag);
	im->real_path = r == 0 ? strdup("") : NULL;
	if (r == 0)
		r = im->real_path ? record(&t, diag) : -ENOMEM;
	return r;
}
