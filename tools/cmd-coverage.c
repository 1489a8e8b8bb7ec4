/* SPDX-License-Identifier: Apache-2.0 */
/* coffer coverage: whether each kind of event has a live, tested source or a person, and each kind of record a shelf. */
#include "tools/coffer.h"
#include "tools/facts.h"
#include "tools/importer.h"
#include "tools/output.h"

#include <stdio.h>

#define EXIT_INCOMPLETE 10

enum { OPT_LEVEL, OPT_RECORDS, OPT_TEST, OPT_OWN, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_LEVEL] = {"level", "N", "of this level, 1 to 4; without it of the policy's key coverage or record_kinds"},
    [OPT_RECORDS] = {"records", NULL, "of kinds of archive records instead of events"},
    [OPT_TEST] = {"test", "NAME|FILE", "puts a source's sample lines through its rules, and on record what came out", true},
    [OPT_OWN] = {"own", NULL, "which kinds Coffer records itself, and when; and who has to tell of the others"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct covering {
	struct opener_args opener;
	const char *test;
	unsigned level;
	bool records, own, json;
	size_t missing;
};

/* ---- one line ---- */

static int show(const struct covering *c, const struct covered *k, const char *state)
{
	cof_autojson struct cof_json *o = NULL;
	char first[32] = "-", last[32] = "never";

	if (k->last != INT64_MIN) {
		cof_time_text(k->first, first);
		cof_time_text(k->last, last);
	}
	if (!c->json) {
		cof_autofree char *by = escaped(*k->by ? k->by : "-");

		printf("%-8s %-8s %-14s %6llu  %-10.10s  %-25s %s\n", k->id, state, by ? by : "?", (unsigned long long)k->count, first,
		       last, k->text);
		return output_broken();
	}
	o = cof_json_object();
	cof_json_set_str(o, "kind", c->records ? k->text : k->id);
	cof_json_set_str(o, "state", state);
	if (*k->by)
		cof_json_set_str(o, "by", k->by);
	cof_json_set_uint(o, "count", k->count);
	if (k->last != INT64_MIN) {
		cof_json_set_time(o, "first", k->first);
		cof_json_set_time(o, "last", k->last);
	}
	return print_json(o, false) == -ENOMEM ? -ENOMEM : output_broken();
}

/* ---- events ---- */

static int of_events(struct covering *c, const struct facts *f, struct cof_diag *diag)
{
	struct cof_people people = {0};
	bool any = facts_people(f, &people);
	const struct coverage_terms t = {
	    .policy = &f->policy, .people = any ? &people : NULL, .now = cof_now(CLOCK_REALTIME)};
	cof_autofree struct covered *k = calloc(COVERAGE_KINDS, sizeof(*k));
	size_t n;
	int r = 0;

	if (!f->mounted)
		r = cof_fail(diag, -ENOTCONN, "%s is not mounted: whether a source is live is asked of its daemon",
			     f->store.path);
	if (r == 0 && !k)
		r = cof_fail(diag, -ENOMEM, "out of memory");
	if (!c->level)
		c->level = f->policy.coverage;
	n = r == 0 && k && c->level ? coverage_kinds(f->coverage, c->level, &t, k) : 0;
	for (size_t i = 0; k && i < n && r == 0; i++) {
		c->missing += !is_covered(k[i].state);
		r = show(c, &k[i], coverage_state_name(k[i].state));
	}
	if (any)
		cof_people_done(&people);
	return r;
}

/* ---- what Coffer records itself ---- */

static int show_kind(const struct covering *c, const char *kind, const char *type, const char *text)
{
	cof_autojson struct cof_json *o = NULL;

	if (!c->json) {
		printf("%-8s %-25s %s\n", kind, type ? type : "-", text);
		return output_broken();
	}
	o = cof_json_object();
	cof_json_set_str(o, "kind", kind);
	if (type)
		cof_json_set_str(o, "event", type);
	cof_json_set_str(o, type ? "when" : "told_by", text);
	return print_json(o, false) == -ENOMEM ? -ENOMEM : output_broken();
}

static int show_own(const struct covering *c)
{
	const struct cof_own_kind *own;
	const struct cof_unseen_kind *unseen;
	size_t n = cof_own_kinds(&own), others = cof_unseen_kinds(&unseen);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = show_kind(c, own[i].catalogue, own[i].type, own[i].when);
	for (size_t i = 0; i < others && r == 0; i++)
		r = show_kind(c, unseen[i].catalogue, NULL, unseen[i].who);
	return r;
}

/* ---- records ---- */

struct record_seen {
	struct covered covered;
	bool shelf;
};

struct recording {
	const struct facts *facts;
	const struct cof_record_kind *kinds;
	struct record_seen *seen;
};

static const struct cof_record_kind *kind_of(const struct facts *f, const char *shelf)
{
	for (size_t i = 0; shelf && i < f->n_shelves; i++)
		if (!strcmp(f->shelves[i].name, shelf))
			return cof_record_kind_find(f->shelves[i].policy.record_kind);
	return NULL;
}

/* What is committed is archived. */
static int take_object(void *user, struct cof_json *o)
{
	struct recording *rec = user;
	const struct cof_record_kind *kind = kind_of(rec->facts, cof_json_str(o, "shelf"));
	const char *state = cof_json_str(o, "state"), *text = cof_json_str(o, "committed_at");
	struct covered *k = kind ? &rec->seen[kind - rec->kinds].covered : NULL;
	int64_t t = INT64_MIN;

	if (!k || !state || (strcmp(state, "committed") != 0 && strcmp(state, "expired") != 0))
		return 0;
	if (text)
		(void)cof_time_parse(text, &t);
	k->count++;
	if (t != INT64_MIN) {
		k->first = k->first == INT64_MIN ? t : COF_MIN(k->first, t);
		k->last = COF_MAX(k->last, t);
	}
	return 0;
}

static void take_shelves(struct recording *rec, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rec->seen[i].covered = (struct covered){
		    .id = "", .text = cof_record_kind_name(&rec->kinds[i]), .first = INT64_MIN, .last = INT64_MIN};
	for (size_t i = 0; i < rec->facts->n_shelves; i++) {
		const struct facts_shelf *s = &rec->facts->shelves[i];
		const struct cof_record_kind *kind = cof_record_kind_find(s->policy.record_kind);
		struct record_seen *seen = kind ? &rec->seen[kind - rec->kinds] : NULL;

		if (!seen || seen->shelf)
			continue;
		seen->shelf = true;
		snprintf(seen->covered.by, sizeof(seen->covered.by), "%.*s", (int)sizeof(seen->covered.by) - 1, s->name);
	}
}

static int of_records(struct covering *c, const char *arg, const struct facts *f, struct cof_diag *diag)
{
	struct source s COF_CLEANUP(source_close) = {.opener = c->opener};
	struct recording rec = {.facts = f};
	size_t n = cof_records(&rec.kinds);
	cof_autofree struct record_seen *seen = calloc(n, sizeof(*seen));
	int r;

	if (!seen)
		return cof_fail(diag, -ENOMEM, "out of memory");
	r = source_open(&s, arg, diag);
	if (r < 0)
		return r;
	rec.seen = seen;
	take_shelves(&rec, n);
	r = source_objects(&s, take_object, &rec, diag);
	if (!c->level)
		c->level = f->policy.record_kinds;
	for (size_t i = 0; i < n && c->level && r == 0; i++) {
		if (!rec.kinds[i].level[c->level - 1])
			continue;
		c->missing += !seen[i].shelf;
		r = show(c, &seen[i].covered, !seen[i].shelf ? "missing" : seen[i].covered.count ? "shelf" : "empty");
	}
	return r;
}

/* ---- the verb ---- */

static int look(struct covering *c, const char *arg, struct cof_diag *diag)
{
	struct facts f = {.mounted = false};
	int r = cof_crypto_init(4u << 20, diag);

	if (r == 0)
		r = facts_gather(arg, &c->opener, &f, diag);
	if (r == 0)
		r = c->records ? of_records(c, arg, &f, diag) : of_events(c, &f, diag);
	facts_done(&f);
	return r;
}

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
	case OPT_RECORDS:
		c->records = true;
		return EXIT_OK;
	case OPT_TEST:
		c->test = optarg;
		return EXIT_OK;
	case OPT_OWN:
		c->own = true;
		return EXIT_OK;
	case OPT_JSON:
		c->json = true;
		return EXIT_OK;
	default:
		return opener_take(&c->opener, option);
	}
}

static void say_sum(const struct covering *c)
{
	if (c->records)
		printf("Level %u: %zu kind%s of records without a shelf.\n", c->level, c->missing, plural(c->missing));
	else
		printf("Level %u: %zu kind%s without a live, tested source or a person.\n", c->level, c->missing,
		       plural(c->missing));
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct covering c = {.opener = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	int option, code = EXIT_OK;

	while (code == EXIT_OK && (option = option_next(self, argc, argv)) >= 0)
		code = take_option(&c, option);
	if (code != EXIT_OK)
		return code;
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, !c.own))
		return EXIT_USAGE;
	if (c.own)
		return show_own(&c) < 0 ? EXIT_FAILED : EXIT_OK;
	if (*opener_conflict(&c.opener))
		return misuse("%s", opener_conflict(&c.opener));
	if (c.test)
		return test(&c, argv[optind], &diag) < 0 ? failure(&diag) : EXIT_OK;
	if (look(&c, argv[optind], &diag) < 0)
		return failure(&diag);
	if (!c.level)
		return misuse("the policy asks for no level of %s: --level says which", c.records ? "record kinds" : "coverage");
	if (!c.json)
		say_sum(&c);
	return c.missing ? EXIT_INCOMPLETE : EXIT_OK;
}

const struct verb verb_coverage = {
    .name = "coverage",
    .args = "STORE|--own",
    .summary = "which kinds of events have a live, tested source",
    .text = "Prints for each kind of event that a level asks for who delivers it, how many there were, since which day and "
	    "when the last was. A kind is covered by Coffer once it recorded one of it; by a source that was tested (--test) and whose "
	    "reader reports (coffer import-events --follow); or by a person or role that the policy's key coverage_by names "
	    "and that is among the people. A record or test counts as long as the policy's coverage_within says.\n"
	    "\n"
	    "With --records, for each kind of archive record the shelf whose record_kind it is, and what is committed there.\n"
	    "\n"
	    "With --own, without STORE: which kinds Coffer records itself, by which type of event and when; and who has to tell "
	    "of each of the others.\n"
	    "\n"
	    "  coffer coverage --own\n"
	    "  coffer coverage /archive --test sshd\n"
	    "  coffer coverage /archive --level 4\n"
	    "\n"
	    "Exit code: 0 each kind is covered, 10 some are not, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
