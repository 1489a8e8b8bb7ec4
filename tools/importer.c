/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines become events. A report ends a run, and comes while a file is followed: it says how many lines there were,
 * also when none was an event, and that somebody reads them.
 */
#include "tools/importer.h"

#include "tools/coffer.h"
#include "tools/output.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#define SETTLE_MS 200 /* lines that come one by one wait so long for others */

/* ---- lines ---- */

static int show_try(const struct importer *im, enum import_verdict v, const struct import_event *e, const char *line,
		    size_t n)
{
	static const char *const words[] = {[IMPORT_EVENT] = "event", [IMPORT_IGNORED] = "ignored",
					    [IMPORT_NO_RULE] = "no rule", [IMPORT_OTHER] = "other program"};
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autofree char *text = strndup(line, COF_MIN(n, (size_t)160)), *shown = text ? escaped(text) : NULL;

	if (!im->json) {
		printf("%6llu  %-8s %-20s %s\n", (unsigned long long)im->place.line,
		       v == IMPORT_EVENT && *e->catalogue ? e->catalogue : "-", v == IMPORT_EVENT ? e->type : words[v],
		       shown ? shown : "?");
		return 0;
	}
	cof_json_set_str(o, "verdict", words[v]);
	cof_json_set_uint(o, "line", im->place.line);
	if (v == IMPORT_EVENT) {
		cof_json_set_str(o, "type", e->type);
		cof_json_set_str(o, "catalogue", e->catalogue);
		cof_json_set_str(o, "outcome", e->outcome);
		cof_json_set_str(o, "severity", e->severity);
		cof_json_set_str(o, "actor", e->actor);
		cof_json_set_str(o, "place", e->place);
		cof_json_set_str(o, "object", e->object);
		if (e->time != INT64_MIN)
			cof_json_set_time(o, "time", e->time);
	}
	cof_json_set_bytes(o, "text", line, COF_MIN(n, (size_t)IMPORT_TEXT_MAX));
	return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
}

static void count(struct import_counts *c, enum import_verdict v, uint64_t costly, bool cut)
{
	c->lines++;
	c->events += v == IMPORT_EVENT;
	c->ignored += v == IMPORT_IGNORED || v == IMPORT_OTHER;
	c->unmatched += v == IMPORT_NO_RULE;
	c->costly += costly;
	c->cut += cut;
}

static void note_bad(struct importer *im, const char *what)
{
	if (im->n_bad < IMPORT_NAMED)
		im->bad[im->n_bad] = im->place.line;
	im->n_bad++;
	if (!im->follow && !im->trying && im->n_bad <= IMPORT_NAMED)
		complain("%s:%llu: %s", im->path, (unsigned long long)im->place.line, what);
}

static int take_line(struct importer *im, const char *line, size_t n, struct cof_diag *diag)
{
	struct import_event e;
	uint64_t costly = 0;
	bool cut = n > IMPORT_LINE_MAX;
	enum import_verdict v = import_match(im->source, line, n, cof_now(CLOCK_REALTIME), &e, &costly);

	count(&im->total, v, costly, cut);
	count(&im->since, v, costly, cut);
	if (v == IMPORT_NO_RULE || (cut && v != IMPORT_OTHER))
		note_bad(im, v == IMPORT_NO_RULE ? "no rule fits this line" : "a line longer than is looked at");
	if (im->trying)
		return show_try(im, v, &e, line, n);
	return v == IMPORT_EVENT ? import_add(im, &e, diag) : 0;
}

static int read_all(struct importer *im, struct import_file *f, struct cof_diag *diag)
{
	const char *line;
	size_t n;
	int r;

	while ((r = import_file_next(f, &line, &n, &im->place)) == 1) {
		r = take_line(im, line, n, diag);
		if (r < 0)
			return r;
		if (output_broken())
			return 0;
	}
	return r < 0 ? cof_fail(diag, r, "cannot read %s on: %s", im->path, strerror(-r)) : 0;
}

/* ---- following ---- */

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Events go out once lines stop coming for a moment; reports by the clock, the first at once. */
static int follow(struct importer *im, struct import_file *f, struct cof_diag *diag)
{
	cof_autoclose int stop = signals();
	int r = stop < 0 ? cof_fail(diag, stop, "cannot wait for signals: %s", strerror(-stop)) : 0;
	unsigned cut = 0;

	for (int64_t due = 0; r >= 0;) {
		int64_t left;

		r = read_all(im, f, diag);
		if (r >= 0 && import_file_truncations(f) != cut) {
			cut = import_file_truncations(f);
			im->lost = "the file was cut off while it was read; what was not read by then is gone";
			due = 0;
		}
		left = (due - cof_now(CLOCK_BOOTTIME)) / 1000000;
		if (r >= 0 && left <= 0) {
			r = import_report(im, diag);
			due = cof_now(CLOCK_BOOTTIME) + im->period;
			continue;
		}
		if (r >= 0)
			r = import_file_wait(f, (int)(im->n_events ? COF_MIN(left, (int64_t)SETTLE_MS) : left), stop, diag);
		if (r == 0)
			r = import_flush(im, NULL, diag);
	}
	return r == -ECANCELED ? 0 : r;
}

/* ---- a file ---- */

static int begin(struct importer *im, struct import_file **ret, struct cof_diag *diag)
{
	enum import_found found = IMPORT_GOES_ON;
	int r = im->trying ? 0 : import_ask_place(im, diag);

	if (r == 0)
		r = import_file_open(im->real_path, &im->place, ret, &found, diag);
	if (r < 0)
		return r;
	if (found == IMPORT_LINES_LOST) {
		complain("%s does not have the line any more behind which reading was to go on: what came between is "
			 "not known, and that is on record", im->path);
		im->lost = "the line that was read last is neither in the file nor in those rotated away from it; what came "
			   "between is not known";
	}
	if (found == IMPORT_FROM_START || found == IMPORT_LINES_LOST)
		im->place = (struct import_place){0};
	return 0;
}

int importer_run(struct importer *im, struct cof_diag *diag)
{
	struct import_file *f = NULL;
	int r = import_load(im->source_arg, &im->source, NULL, diag), err;

	if (r == 0 && !im->trying)
		r = store_open(im->store_arg, &im->store, diag);
	if (r < 0)
		return r;
	im->real_path = realpath(im->path, NULL);
	if (!im->real_path)
		return cof_fail(diag, -errno, "cannot read %s: %s", im->path, strerror(errno));
	r = begin(im, &f, diag);
	if (r < 0)
		return r;
	r = im->follow ? follow(im, f, diag) : read_all(im, f, diag);
	if (!im->trying && r == 0) {
		err = import_report(im, diag);
		r = err < 0 ? err : 0;
	}
	import_file_close(f);
	return r;
}

void importer_done(struct importer *im)
{
	import_source_free(im->source);
	cof_json_free(im->events);
	free(im->real_path);
	store_close(&im->store);
}
