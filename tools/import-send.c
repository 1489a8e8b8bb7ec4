/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events in batches to the daemon. Each says behind which line of which file it came, and each batch from where it
 * goes on, so that a reader that was ended anywhere goes on behind the last one that is on record.
 */
#include "tools/importer.h"

#define BATCH_EVENTS 64
#define BATCH_BYTES 100000 /* of texts: a request to the daemon is 256 KiB */

void import_counts_json(const struct import_counts *c, struct cof_json *into)
{
	cof_json_set_uint(into, "lines", c->lines);
	cof_json_set_uint(into, "events", c->events);
	cof_json_set_uint(into, "ignored", c->ignored);
	cof_json_set_uint(into, "unmatched", c->unmatched);
	cof_json_set_uint(into, "costly", c->costly);
	cof_json_set_uint(into, "cut", c->cut);
}

static int ask(struct importer *im, struct cof_json *request, struct cof_json **ret, struct cof_diag *diag)
{
	int r = store_ask(&im->store, request, store_keep_last, ret, diag);

	if (r == -ENOTCONN)
		return cof_fail(diag, r, "%s is not mounted: events are recorded by its daemon. Mount it (mount -t coffer), "
					 "or use --try", im->store.path);
	return r;
}

static void set_place(struct cof_json *o, const struct import_place *p)
{
	char hex[65];

	cof_hex(p->digest, sizeof(p->digest), hex);
	cof_json_set_uint(o, "end", p->end);
	cof_json_set_uint(o, "line", p->line);
	cof_json_set_str(o, "digest", hex);
}

static void add_place(struct cof_json *o, const char *key, const struct import_place *p)
{
	struct cof_json *place;

	if (!p->end)
		return;
	place = cof_json_object();
	set_place(place, p);
	cof_json_set(o, key, place);
}

static struct cof_json *request_of(struct importer *im, const char *verb)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "verb", verb);
	cof_json_set_str(o, "source", import_source_name(im->source));
	cof_json_set_str(o, "path", im->real_path);
	return o;
}

int import_ask_place(struct importer *im, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = request_of(im, "import-state"), *answer = NULL;
	int r = ask(im, request, &answer, diag);
	int64_t end = 0, line = 0;
	const char *digest;

	if (r < 0)
		return r;
	digest = cof_json_str(answer, "digest");
	(void)cof_json_int(answer, "line", &line);
	if (cof_json_int(answer, "end", &end) < 0 || end <= 0 || !digest || strlen(digest) != 64 ||
	    cof_unhex(digest, 64, im->place.digest) < 0)
		return 0; /* nothing yet */
	im->place.end = (uint64_t)end;
	im->place.line = (uint64_t)line;
	im->recorded = im->place;
	return 0;
}

int import_flush(struct importer *im, struct cof_json *report, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = NULL, *answer = NULL;
	struct cof_json *counts;
	int r;

	if (!im->n_events && !report)
		return 0;
	request = request_of(im, "import");
	counts = cof_json_object();
	import_counts_json(&im->since, counts);
	cof_json_set(request, "counts", counts);
	add_place(request, "after", &im->recorded);
	if (im->lost)
		cof_json_set_str(request, "lost", im->lost);
	if (im->n_events)
		cof_json_set(request, "events", im->events);
	im->events = im->n_events ? NULL : im->events;
	if (report)
		cof_json_set(request, "report", report);
	r = ask(im, request, &answer, diag);
	if (r < 0)
		return r;
	if (im->n_events)
		im->recorded = im->taken;
	if (report)
		im->recorded = im->place;
	im->n_events = im->bytes = 0;
	im->since = (struct import_counts){0};
	im->lost = NULL;
	return 0;
}

/* "1 line that no rule fits: /var/log/auth.log:17" */
static void name_bad(struct importer *im, struct cof_json *report)
{
	cof_autobuf struct cof_buf text = {0};
	size_t named = (size_t)COF_MIN(im->n_bad, (uint64_t)IMPORT_NAMED);

	if (!im->n_bad)
		return;
	cof_buf_printf(&text, "%llu line%s that no rule fits or that is cut: %s:", (unsigned long long)im->n_bad,
		       im->n_bad == 1 ? "" : "s", im->real_path);
	for (size_t i = 0; i < named; i++)
		cof_buf_printf(&text, "%s%llu", i ? ", " : "", (unsigned long long)im->bad[i]);
	if (im->n_bad > named)
		cof_buf_printf(&text, " and %llu more", (unsigned long long)(im->n_bad - named));
	if (!text.failed)
		cof_json_set_bytes(report, "detail", text.data, text.len);
	im->n_bad = 0;
}

int import_report(struct importer *im, struct cof_diag *diag)
{
	struct cof_json *o = cof_json_object();

	add_place(o, "place", &im->place);
	if (im->follow) { /* what a reader promises holds on when it is ended: its absence is what is told */
		cof_json_set_int(o, "next_ns", im->period);
		cof_json_set_int(o, "silence_ns", import_source_silence(im->source));
	}
	name_bad(im, o);
	return import_flush(im, o, diag);
}

static size_t set_text(struct cof_json *o, const char *key, const char *text)
{
	if (!*text)
		return 0;
	cof_json_set_str(o, key, text);
	return strlen(text) + strlen(key) + 8;
}

int import_add(struct importer *im, const struct import_event *e, struct cof_diag *diag)
{
	struct cof_json *o = cof_json_object();

	if (!im->events)
		im->events = cof_json_array();
	im->bytes += set_text(o, "type", e->type) + set_text(o, "catalogue", e->catalogue) +
		     set_text(o, "outcome", e->outcome) + set_text(o, "severity", e->severity) +
		     set_text(o, "actor", e->actor) + set_text(o, "place", e->place) +
		     set_text(o, "object", e->object) + set_text(o, "detail", e->detail) + 200;
	if (e->time != INT64_MIN)
		cof_json_set_time(o, "time", e->time);
	set_place(o, &im->place);
	cof_json_append(im->events, o);
	im->n_events++;
	im->taken = im->place;
	return im->n_events >= BATCH_EVENTS || im->bytes >= BATCH_BYTES ? import_flush(im, NULL, diag) : 0;
}
