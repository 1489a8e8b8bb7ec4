/* SPDX-License-Identifier: Apache-2.0 */
/* coffer gaps: when nobody recorded, and when a source was silent. */
#include "tools/coffer.h"
#include "tools/crl-gaps.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/when.h"

#include <stdio.h>

#define SECURE_BYTES (4u << 20)
#define EXIT_GAPS 10
#define SOURCES 64 /* shelves and readers that are silent at one time */

enum {
	OPT_SINCE,
	OPT_LEAST,
	OPT_CRL,
	OPT_JSON,
};

static const struct tool_option options[] = {
    [OPT_SINCE] = {"since", "TIME", "that lasted until this time or longer: 2031-01-02, or a span such as 7d before now"},
    [OPT_LEAST] = {"least", "SPAN", "at least so long, such as 5min; a remount is a gap too"},
    [OPT_CRL] = {"crl", NULL, "instead: when an issuer had no CRL in force, by those that are archived"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct silence {
	int64_t object, from;
	bool of_source; /* another program's log that is read; else of a shelf */
	char name[256];
};

struct looking {
	struct opener_args opener_args;
	int64_t since, least, now;
	bool crl, json, with_key;
	uint64_t found;
	struct silence open[SOURCES];
	size_t n_open;
};

/* ---- one interval ---- */

struct whose { /* "shelf", "source" or "issuer", and its name */
	const char *what, *name;
};

static int print(struct looking *l, const char *kind, const struct whose *of, int64_t from, int64_t to, uint64_t after)
{
	bool goes_on = to == COF_GAP_OPEN;
	int64_t end = goes_on ? l->now : to, length = COF_MAX(end - from, (int64_t)0);
	cof_autojson struct cof_json *o = NULL;
	char a[32], b[32], span[32];

	if (end < l->since || length < l->least)
		return 0;
	l->found++;
	cof_time_text(from, a);
	cof_time_text(end, b);
	cof_duration_text(length, span);
	if (!l->json) {
		cof_autofree char *name = of ? escaped_word(of->name) : NULL;

		printf("%s  %-25s  %-10s %s%s%s\n", a, goes_on ? "(goes on)" : b, kind, span, name ? "  " : "", name ? name : "");
		return output_broken() ? -EPIPE : 0;
	}
	o = cof_json_object();
	cof_json_set_str(o, "kind", kind);
	if (of)
		cof_json_set_str(o, of->what, of->name);
	cof_json_set_time(o, "from", from);
	if (!goes_on)
		cof_json_set_time(o, "to", to);
	cof_json_set_int(o, "seconds", length / COF_NSEC);
	if (!of)
		cof_json_set_uint(o, "after", after);
	return print_json(o, false);
}

static int on_gap(void *user, const struct cof_gap *g)
{
	static const char *const kinds[] = {
	    [COF_GAP_UNMOUNTED] = "unmounted", [COF_GAP_KILLED] = "killed", [COF_GAP_STOPPED] = "stopped"};

	return print(user, kinds[g->kind], NULL, g->from, g->to, g->after);
}

/* ---- sources, by what the daemon recorded of them ---- */

static int64_t time_in(const struct cof_json *event, const char *key)
{
	const char *text = cof_json_str(event, key);
	int64_t ns = 0;

	return text && cof_time_parse(text, &ns) == 0 ? ns : 0;
}

static int close_silence(struct looking *l, size_t i, int64_t to)
{
	struct silence s = l->open[i];

	l->open[i] = l->open[--l->n_open];
	return print(l, "silent", &(struct whose){s.of_source ? "source" : "shelf", s.name}, s.from, to, 0);
}

static int on_event(void *user, struct cof_json *event)
{
	struct looking *l = user;
	const char *type = cof_json_str(event, "event"), *path = cof_json_str(event, "path");
	const char *source = cof_json_str(event, "source"), *name;
	bool of_source = source && strcmp(source, "coffer") != 0;
	int64_t object = 0;
	int r = 0;

	(void)cof_json_int(event, "object", &object);
	name = of_source ? source : path ? path : "?";
	if (!strcmp(type, "silence") && l->n_open < SOURCES) {
		struct silence *s = &l->open[l->n_open++];

		s->object = object;
		s->from = time_in(event, "first_time");
		s->of_source = of_source;
		snprintf(s->name, sizeof(s->name), "%s", name);
	} else if (!strcmp(type, "silence-ended") || !strcmp(type, "mount")) {
		/* A mount listens anew: what was before it ends with it. */
		for (size_t i = l->n_open; i-- > 0 && r == 0;)
			if (*type == 'm' || (l->open[i].object == object && l->open[i].of_source == of_source &&
					     (!of_source || !strcmp(l->open[i].name, name))))
				r = close_silence(l, i, time_in(event, *type == 'm' ? "time" : "last_time"));
	}
	return r;
}

static int events_of(const struct store *st, struct looking *l, struct cof_diag *diag)
{
	struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX};
	cof_autojson struct cof_json *request = cof_json_object();
	struct opener opener = {0};
	uint64_t next;
	int r;

	cof_json_set_str(request, "verb", "events");
	r = store_ask(st, request, on_event, l, diag);
	if (r != -ENOTCONN)
		return r;
	if (!l->with_key) {
		complain("silent sources are not looked for: that takes the daemon, or the archive's key");
		return 0;
	}
	r = opener_find_as_owner(&l->opener_args, st->io, st->path, &opener, diag);
	if (r == 0)
		r = cof_store_events(st->io, &opener.secret, &q, on_event, l, &next, diag);
	opener_done(&opener);
	return r;
}

static int on_crl(void *user, const char *issuer, int64_t from, int64_t to)
{
	return print(user, "no-crl", &(struct whose){"issuer", issuer}, from, to, 0);
}

static int look(const char *arg, struct looking *l, struct cof_diag *diag)
{
	autostore struct store st = {0};
	int r = cof_crypto_init(SECURE_BYTES, diag);

	l->now = cof_now(CLOCK_REALTIME);
	if (r == 0 && l->crl)
		return crl_gaps(arg, &l->opener_args, l->now, on_crl, l, diag);
	if (r == 0)
		r = store_open(arg, &st, diag);
	if (r < 0)
		return r;
	r = cof_store_gaps(st.io, on_gap, l, diag);
	if (r == 0)
		r = events_of(&st, l, diag);
	while (r == 0 && l->n_open)
		r = close_silence(l, l->n_open - 1, COF_GAP_OPEN);
	return r;
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct looking *l = user;
	int64_t span;

	switch (option) {
	case OPT_SINCE:
		if (when_parse(optarg, &l->since) == 0)
			return EXIT_OK;
		if (cof_span_parse(optarg, &span) < 0 || span == COF_RETAIN_INFINITE)
			return misuse("--since takes a time such as 2031-01-02, or a span such as 7d before now");
		l->since = cof_now(CLOCK_REALTIME) - span;
		return EXIT_OK;
	case OPT_LEAST:
		if (cof_span_parse(optarg, &l->least) < 0 || l->least == COF_RETAIN_INFINITE)
			return misuse("--least takes a span such as 5min");
		return EXIT_OK;
	case OPT_CRL:
		l->crl = true;
		return EXIT_OK;
	case OPT_JSON:
		l->json = true;
		return EXIT_OK;
	default:
		l->with_key = true;
		return opener_take(&l->opener_args, option);
	}
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct looking l = {.opener_args = OPENER_ARGS_INIT, .since = INT64_MIN};
	struct cof_diag diag = {""};
	const char *conflict;
	int code;

	code = options_take(self, argc, argv, take_option, &l, 1);
	if (code >= 0)
		return code;
	conflict = opener_conflict(&l.opener_args);
	if (*conflict)
		return misuse("%s", conflict);
	if (look(argv[optind], &l, &diag) < 0)
		return failure(&diag);
	if (!l.found && !l.json)
		printf("No gaps.\n");
	return l.found ? EXIT_GAPS : EXIT_OK;
}

const struct verb verb_gaps = {
    .name = "gaps",
    .args = "STORE",
    .summary = "when nobody recorded, and when a source was silent",
    .text = "Prints the intervals in which nothing could be recorded: unmounted, killed (from the last frame of a "
	    "daemon that did not unmount), stopped (inside a mount, where heartbeats are missing). They are read from "
	    "the log itself, without a key. And those in which a shelf with a policy of silence had no writer, or a reader "
	    "of another program's log had no line or did not report, for too long, as the daemon recorded it: "
	    "of an archive that is not mounted that takes its key.\n"
	    "\n"
	    "With --crl, instead, those in which an issuer had no CRL in force, by the CRLs that are archived: from the end of "
	    "one, by itself or by the policy's key crl, to the next.\n"
	    "\n"
	    "  coffer gaps /archive --since 30d --least 5min\n"
	    "\n"
	    "Exit code: 0 there are none, 10 there are, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
