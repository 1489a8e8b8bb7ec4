/* SPDX-License-Identifier: Apache-2.0 */
/* coffer import-events: lines of other programs' logs become events, once each, as they come. */
#include "tools/coffer.h"
#include "tools/importer.h"
#include "tools/output.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define PERIOD (300 * COF_NSEC)

enum { OPT_SOURCE, OPT_FOLLOW, OPT_REPORT, OPT_TRY, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_SOURCE] = {"source", "NAME|FILE",
		    "what the lines mean: one that ships (auditd, sshd, sudo, ejbca, step-ca) or a file like those; "
		    "docs/sources.md", true},
    [OPT_FOLLOW] = {"follow", NULL, "goes on as lines come, over rotations, until it is ended by a signal"},
    [OPT_REPORT] = {"report", "SPAN", "with --follow: puts on record each SPAN (5min) that the file is read, and what was "
				      "counted"},
    [OPT_TRY] = {"try", NULL, "says what each line would be and records nothing; needs no archive"},
    [OPT_JSON] = {"json", NULL, "one JSON object, instead of text; with --try one for each line"},
    {0},
};

static int take_option(void *user, int option)
{
	struct importer *im = user;

	switch (option) {
	case OPT_SOURCE:
		im->source_arg = optarg;
		return EXIT_OK;
	case OPT_FOLLOW:
		im->follow = true;
		return EXIT_OK;
	case OPT_REPORT:
		if (cof_span_parse(optarg, &im->period) < 0 || im->period <= 0 || im->period > 86400 * COF_NSEC)
			return misuse("--report takes a span such as 5min, at most 1d");
		return EXIT_OK;
	case OPT_TRY:
		im->trying = true;
		return EXIT_OK;
	default:
		im->json = true;
		return EXIT_OK;
	}
}

/* ---- what is said ---- */

static void say(const struct importer *im)
{
	const struct import_counts *c = &im->total;

	printf("%" PRIu64 " line%s of %s: %" PRIu64 " event%s recorded, %" PRIu64 " passed over, %" PRIu64
	       " that no rule fits.\n",
	       c->lines, plural(c->lines), import_source_name(im->source), c->events, plural(c->events), c->ignored,
	       c->unmatched);
	if (c->cut)
		printf("%" PRIu64 " line%s longer than is looked at (%d bytes).\n", c->cut, plural(c->cut), IMPORT_LINE_MAX);
	if (c->costly)
		printf("%" PRIu64 " times a pattern took too many steps on a line and was taken not to fit.\n", c->costly);
}

static int say_json(const struct importer *im)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "source", import_source_name(im->source));
	import_counts_json(&im->total, o);
	return print_json(o, false);
}

static int act(struct importer *im, struct cof_diag *diag)
{
	int r = importer_run(im, diag);

	if (r < 0)
		return failure(diag);
	if (im->trying)
		return EXIT_OK;
	if (im->json)
		(void)say_json(im);
	else
		say(im);
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct importer im = {.period = PERIOD};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take_option, &im, 2);

	if (code >= 0)
		return code;
	if (!im.source_arg)
		return misuse("--source says what the lines mean: auditd, sshd, sudo, ejbca, step-ca, or a file");
	if (im.trying && im.follow)
		return misuse("--try does not follow");
	im.store_arg = argv[optind];
	im.path = argv[optind + 1];
	code = act(&im, &diag);
	importer_done(&im);
	return code;
}

const struct verb verb_import_events = {
    .name = "import-events",
    .args = "STORE FILE",
    .summary = "turns lines of another program's log into events",
    .text = "Reads the log of another program and records as an event what a rule of the source says of a line: its kind "
	    "of the catalogue, outcome, actor, place, and when it says it was. A line becomes an event once: behind which "
	    "line of which file it came is recorded with it, and reading goes on there, after whatever ended it, also in "
	    "a file that was rotated away meanwhile. What no rule fits is counted and named by file and line. With "
	    "--follow it is a reader that goes on; that it reads is on record too, and coffer gaps shows when it did "
	    "not. The archive has to be mounted; root only.\n"
	    "\n"
	    "  coffer import-events --try --source sshd /archive /var/log/auth.log\n"
	    "  coffer import-events --follow --source auditd /archive /var/log/audit/audit.log\n"
	    "\n"
	    "Exit code: 0 read to the end or ended by a signal, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
