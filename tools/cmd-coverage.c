/* SPDX-License-Identifier: Apache-2.0 */
/* coffer coverage: whether each kind of event of a level has a live, tested source or a person who reports it. */
#include "fs/rules/catalogue.h"
#include "tools/coffer.h"
#include "tools/facts.h"
#include "tools/importer.h"
#include "tools/output.h"

#include <stdio.h>
#include <time.h>

#define EXIT_INCOMPLETE 10
#define SOURCES 32
#define KINDS 64

enum { OPT_LEVEL, OPT_TEST, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_LEVEL] = {"level", "N", "of this level, 1 to 4; without it of the policy's key coverage"},
    [OPT_TEST] = {"test", "NAME|FILE", "puts a source's sample lines through its rules, and on record what came out", true},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct source_seen {
	char name[32];
	bool kinds[KINDS]; /* of its last test */
	bool tested;
	int64_t last, next, silence; /* last sign of it; what it promised */
};

struct kind_seen {
	uint64_t count;
	int64_t first, last;
	bool own; /* Coffer itself recorded one */
};

struct covering {
	struct opener_args opener;
	const char *test;
	unsigned level;
	bool json;
	const struct cof_catalogue_kind *kinds;
	size_t n_kinds;
	struct kind_seen seen[KINDS];
	struct source_seen sources[SOURCES];
	size_t n_sources, missing;
};

/* ---- what is on record ---- */

static struct source_seen *source_of(struct covering *c, const char *name)
{
	for (size_t i = 0; i < c->n_sources; i++)
		if (!strcmp(c->sources[i].name, name))
			return &c->sources[i];
	if (c->n_sources == SOURCES)
		return NULL;
	snprintf(c->sources[c->n_sources].name, sizeof(c->sources[0].name), "%s", name);
	return &c->sources[c->n_sources++];
}

static size_t kind_at(const struct covering *c, const char *id)
{
	size_t i = 0;

	while (i < c->n_kinds && strcmp(c->kinds[i].id, id) != 0)
		i++;
	return i;
}

static void take_test(struct covering *c, struct source_seen *s, const struct cof_json *event)
{
	const char *form = cof_json_str(event, "form");
	cof_autojson struct cof_json *o = NULL;
	const struct cof_json *kinds;

	if (!form || cof_json_parse(form, strlen(form), &o) < 0)
		return;
	kinds = cof_json_get(o, "kinds");
	memset(s->kinds, 0, sizeof(s->kinds));
	s->tested = true;
	for (size_t i = 0; kinds && i < cof_json_count(kinds); i++) {
		const char *id = cof_json_value_str(cof_json_at(kinds, i));
		size_t k = id ? kind_at(c, id) : c->n_kinds;

		if (k < c->n_kinds)
			s->kinds[k] = true;
	}
}

static void take_source(struct covering *c, const struct cof_json *event, const char *name, int64_t time)
{
	struct source_seen *s = source_of(c, name);
	const char *type = cof_json_str(event, "event");
	const struct cof_json *due = cof_json_get(event, "due");

	if (!s || !type || !strncmp(type, "silence", 7)) /* what the daemon says of it is no sign of it */
		return;
	if (!strcmp(type, "source-tested")) {
		take_test(c, s, event);
		return;
	}
	s->last = time;
	if (due) {
		(void)cof_json_int(due, "next_ns", &s->next);
		(void)cof_json_int(due, "silence_ns", &s->silence);
	}
}

static int on_event(void *user, struct cof_json *event)
{
	struct covering *c = user;
	const char *id = cof_json_str(event, "catalogue"), *source = cof_json_str(event, "source");
	const char *text = cof_json_str(event, "time");
	size_t k = id ? kind_at(c, id) : c->n_kinds;
	bool own = !source || !strcmp(source, "coffer");
	int64_t time = 0;

	if (text)
		(void)cof_time_parse(text, &time);
	if (!own)
		take_source(c, event, source, time);
	if (k < c->n_kinds) {
		struct kind_seen *s = &c->seen[k];

		s->first = s->count++ ? s->first : time;
		s->last = time;
		s->own |= own;
	}
	return 0;
}

/* ---- judging ---- */

/* A reader that follows, and has reported within twice what it promised. */
static bool live(const struct source_seen *s, int64_t now)
{
	return s->next && now - s->last < 2 * s->next;
}

/* "A.14.3=officer" in the policy's key. */
static bool person_of(const char *list, const char *id, char *ret, size_t cap)
{
	size_t n = strlen(id);

	for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
		if (!strncmp(at, id, n) && at[n] == '=') {
			snprintf(ret, cap, "%.*s", (int)strcspn(at + n + 1, " "), at + n + 1);
			return true;
		}
	return false;
}

static const char *judge(const struct covering *c, size_t k, const char *persons, char *by, size_t cap)
{
	const char *state = "missing";

	if (c->seen[k].own) {
		snprintf(by, cap, "coffer");
		return "source";
	}
	for (size_t i = 0; i < c->n_sources; i++) {
		const struct source_seen *s = &c->sources[i];

		if (!s->tested || !s->kinds[k])
			continue;
		snprintf(by, cap, "%s", s->name);
		if (live(s, cof_now(CLOCK_REALTIME)))
			return "source";
		state = "silent";
	}
	return person_of(persons, c->kinds[k].id, by, cap) ? "person" : state;
}

static int show_kind(struct covering *c, size_t k, const char *state, const char *by)
{
	const struct kind_seen *s = &c->seen[k];
	cof_autojson struct cof_json *o = NULL;
	char last[32] = "never";

	if (s->count)
		cof_time_text(s->last, last);
	if (!c->json) {
		printf("%-8s %-8s %-14s %6llu  %-25s %s\n", c->kinds[k].id, state, *by ? by : "-", (unsigned long long)s->count, last,
		       c->kinds[k].text);
		return 0;
	}
	o = cof_json_object();
	cof_json_set_str(o, "kind", c->kinds[k].id);
	cof_json_set_str(o, "state", state);
	if (*by)
		cof_json_set_str(o, "by", by);
	cof_json_set_uint(o, "count", s->count);
	if (s->count) {
		cof_json_set_time(o, "first", s->first);
		cof_json_set_time(o, "last", s->last);
	}
	return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
}

static int look(struct covering *c, const char *arg, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct facts f = {0};
	int r = facts_gather(arg, &c->opener, &f, diag);

	if (r == 0) {
		cof_json_set_str(request, "verb", "events");
		r = store_ask(&f.store, request, on_event, c, diag);
		if (r == -ENOTCONN)
			(void)cof_fail(diag, r, "%s is not mounted: whether a source is live is asked of its daemon", f.store.path);
	}
	if (!c->level)
		c->level = f.policy.coverage;
	for (size_t k = 0; r == 0 && c->level && k < c->n_kinds; k++) {
		char by[64] = "";
		const char *state;

		if (!c->kinds[k].level[c->level - 1])
			continue;
		state = judge(c, k, f.policy.coverage_by, by, sizeof(by));
		c->missing += !strcmp(state, "missing") || !strcmp(state, "silent");
		r = show_kind(c, k, state, by);
	}
	facts_done(&f);
	return r;
}

/* ---- the verb ---- */

static int test(struct covering *c, const char *arg, struct cof_diag *diag)
{
	struct importer im = {.store_arg = arg, .source_arg = c->test};
	int r = importer_test(&im, diag);

	if (r == 0)
		printf("%s: %llu sample line%s, all as expected; %u kind%s of events. It is on record.\n",
		       import_source_name(im.source), (unsigned long long)im.total.lines, plural(im.total.lines), im.kinds,
		       plural(im.kinds));
	importer_done(&im);
	return r;
}

static int take_option(void *user, int option)
{
	struct covering *c = user;

	switch (option) {
	case OPT_LEVEL:
		if (optarg[0] < '1' || optarg[0] > '4' || optarg[1])
			return misuse("--level takes 1, 2, 3 or 4");
		c->level = (unsigned)(optarg[0] - '0');
		return EXIT_OK;
	case OPT_TEST:
		c->test = optarg;
		return EXIT_OK;
	case OPT_JSON:
		c->json = true;
		return EXIT_OK;
	default:
		return opener_take(&c->opener, option);
	}
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct covering c = {.opener = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take_option, &c, 1);

	if (code >= 0)
		return code;
	c.n_kinds = COF_MIN(cof_catalogue(&c.kinds), (size_t)KINDS);
	if (c.test)
		return test(&c, argv[optind], &diag) < 0 ? failure(&diag) : EXIT_OK;
	if (look(&c, argv[optind], &diag) < 0)
		return failure(&diag);
	if (!c.level)
		return misuse("the policy asks for no level of coverage: --level says which");
	if (!c.json)
		printf("Level %u: %zu kind%s without a live, tested source or a person.\n", c.level, c.missing, plural(c.missing));
	return c.missing ? EXIT_INCOMPLETE : EXIT_OK;
}

const struct verb verb_coverage = {
    .name = "coverage",
    .args = "STORE",
    .summary = "which kinds of events have a live, tested source",
    .text = "Prints for each kind of event that a level asks for who delivers it, how many there were and when the last "
	    "was. A kind is covered by Coffer once it recorded one of it; by a source that was tested (--test) and whose "
	    "reader reports (coffer import-events --follow); or by a person whom the policy's key coverage_by names.\n"
	    "\n"
	    "  coffer coverage /archive --test sshd\n"
	    "  coffer coverage /archive --level 4\n"
	    "\n"
	    "Exit code: 0 each kind is covered, 10 some are not, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
