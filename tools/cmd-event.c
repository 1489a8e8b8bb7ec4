/* SPDX-License-Identifier: Apache-2.0 */
/* coffer event: what a person did, signed, into the chain. */
#include "fs/rules/catalogue.h"
#include "tools/coffer.h"
#include "tools/form.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	OPT_TYPE, OPT_CATALOGUE, OPT_TIME, OPT_OUTCOME, OPT_OBJECT, OPT_PLACE, OPT_TEXT, OPT_AS, OPT_DIR, OPT_SIGNATURE,
	OPT_KEY, OPT_JSON
};

static const struct tool_option options[] = {
    [OPT_TYPE] = {"type", "NAME", "add: what it is, such as audit, report or drill-emergency (default: human-act)"},
    [OPT_CATALOGUE] = {"catalogue", "ID", "add: its kind of the catalogue, such as A.9.1"},
    [OPT_TIME] = {"time", "TIME", "add: when it happened (default: now)"},
    [OPT_OUTCOME] = {"outcome", "NAME", "add: success (the default), failure or attempt", .choices = "success,failure,attempt"},
    [OPT_OBJECT] = {"object", "TEXT", "add: what it was done to; stands in the sheet"},
    [OPT_PLACE] = {"place", "TEXT", "add: where; stands in the sheet"},
    [OPT_TEXT] = {"text", "TEXT", "add: what happened, in words; stands in the sheet"},
    [OPT_AS] = {"as", "NAME", "add: who signs it, as in the people file"},
    [OPT_DIR] = {"output", "DIR", "add: where ID.event and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct adding {
	struct forming form;
	const char *word[OPT_JSON]; /* by option */
	int64_t time;
	bool json;
};

static int submit(struct adding *a, const char *form, struct cof_diag *diag)
{
	return form_submit(&a->form, form, a->json, diag);
}

static int add(struct adding *a, struct cof_diag *diag)
{
	cof_autojson struct cof_json *form = form_new(&a->form, a->word[OPT_TYPE], a->word[OPT_OUTCOME], a->time);
	cof_autojson struct cof_json *sheet = cof_json_object();
	cof_autofree char *path = NULL;
	int r;

	form_set(form, "catalogue", a->word[OPT_CATALOGUE]);
	form_set(sheet, "object", a->word[OPT_OBJECT]);
	form_set(sheet, "place", a->word[OPT_PLACE]);
	form_set(sheet, "text", a->word[OPT_TEXT]);
	r = form_write(&a->form, form, sheet, &path, diag);
	if (r < 0)
		return r;
	return form_made(&a->form, path, a->json, diag);
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct adding *a = user;

	if (option == OPT_JSON)
		a->json = true;
	else if (option > OPT_JSON)
		return opener_take(&a->form.ask.opener, option);
	else
		a->word[option] = optarg;
	if (option == OPT_TIME)
		return form_take_time(options[option].name, optarg, &a->time);
	if (option == OPT_CATALOGUE)
		return form_take_catalogue(optarg);
	if (option == OPT_OUTCOME && !cof_outcome_valid(optarg))
		return misuse("'%s' is no outcome: success, failure, attempt", optarg);
	if (option == OPT_TYPE && !cof_event_type_valid(optarg))
		return misuse("'%s' is no type of event: a-z, 0-9 and -", optarg);
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct adding a = {.form = {.ask = PEOPLE_ASKING_INIT, .end = "event", .purpose = COF_SIGN_EVENT, .verb = "event submit"},
			   .word = {[OPT_DIR] = ".", [OPT_OUTCOME] = "success", [OPT_TYPE] = "human-act"},
			   .time = cof_now(CLOCK_REALTIME)};
	struct cof_diag diag = {""};
	bool adds;
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&a, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	adds = !strcmp(argv[optind], "add");
	if (!adds && strcmp(argv[optind], "submit") != 0)
		return misuse("'%s' is neither add nor submit", argv[optind]);
	if (!operands_are(self, argc, argv, adds ? 2 : 3))
		return EXIT_USAGE;
	if (adds && (!a.word[OPT_AS] || !a.word[OPT_TEXT]))
		return misuse("who says what? --as NAME, as in the people file, and --text");
	if (*opener_conflict(&a.form.ask.opener))
		return misuse("%s", opener_conflict(&a.form.ask.opener));
	form_words(&a.form, a.word[OPT_AS], a.word[OPT_DIR], a.word[OPT_SIGNATURE], a.word[OPT_KEY]);
	r = people_open(&a.form.ask, argv[optind + 1], &diag);
	if (r == 0)
		r = adds ? add(&a, &diag) : submit(&a, argv[optind + 2], &diag);
	return people_close(&a.form.ask, r, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_event = {
    .name = "event",
    .args = "add|submit STORE [FILE.event]",
    .summary = "puts what a person did on record, signed",
    .text = "add writes ID.event, the form that is signed, and ID.sheet with object, place and words; the form has the "
	    "sheet's SHA-256. Somebody in the people file signs the form with ssh-keygen -Y sign -n coffer-event, on any "
	    "host, and submit puts it into the chain, once. With --key all is done at once. Types such as audit, report or "
	    "drill-emergency are what coffer due takes as done; reviews are made by coffer review.\n"
	    "\n"
	    "Example:\n"
	    "  coffer event add STORE --type audit --as carol --text 'yearly audit'\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "add submit",
};
