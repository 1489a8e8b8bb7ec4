/* SPDX-License-Identifier: Apache-2.0 */
/* coffer incident: opened, graded, reported, closed; each step signed, with a countdown for who has to be told. */
#include "tools/coffer.h"
#include "tools/form.h"
#include "tools/incident.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	OPT_AS, OPT_KIND, OPT_IMPACT, OPT_FOUND, OPT_TIME, OPT_TO, OPT_TEXT, OPT_AFFECTED, OPT_DAMAGE, OPT_MEASURES, OPT_SUPPORT,
	OPT_CONTACT, OPT_CATALOGUE, OPT_DIR, OPT_SIGNATURE, OPT_KEY, OPT_CROSS, OPT_OPEN, OPT_STIX, OPT_JSON
};

static const struct tool_option options[] = {
    [OPT_AS] = {"as", "NAME", "who signs the step, as in the people file"},
    [OPT_KIND] = {"kind", "KIND", "open: key-compromise (a CA's key, suspected is enough), intrusion, malware, leak, tampering, "
		  "outage, misuse or other", .choices = "key-compromise,intrusion,malware,leak,tampering,outage,misuse,other"},
    [OPT_IMPACT] = {"impact", "GRADES", "open, grade: impact on confidentiality, integrity and availability, 0 to 4 each, such as 3,1,0"},
    [OPT_FOUND] = {"found", "TIME", "open: when it was noticed, from which the limits count (default: now)"},
    [OPT_TIME] = {"time", "TIME", "open: when it happened; report: when they were told (default: now)"},
    [OPT_TO] = {"to", "NAME", "report: who was told, as the policy names them, such as sector-team"},
    [OPT_TEXT] = {"text", "TEXT", "any step: what there is to say; stands in the sheet, as the next five do"},
    [OPT_AFFECTED] = {"affected", "TEXT", "systems and services that are affected"},
    [OPT_DAMAGE] = {"damage", "TEXT", "what was lost or disclosed"},
    [OPT_MEASURES] = {"measures", "TEXT", "what was and will be done"},
    [OPT_SUPPORT] = {"support", "TEXT", "what help is asked for"},
    [OPT_CONTACT] = {"contact", "TEXT", "whom to call"},
    [OPT_CATALOGUE] = {"catalogue", "ID", "its kind of the catalogue, such as A.14.16"},
    [OPT_DIR] = {"output", "DIR", "where ID.incident and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_CROSS] = {"cross-sector", NULL, "open, grade: other sectors are affected too, so it is passed on whatever its impact"},
    [OPT_OPEN] = {"open", NULL, "list: only those that are not closed, or of which somebody is still to be told"},
    [OPT_STIX] = {"stix", NULL, "show: as a STIX 2.1 bundle, for who exchanges such things"},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct handling {
	struct forming form;
	const char *word[OPT_CROSS]; /* by option */
	unsigned impact[3];
	int64_t found, time;
	bool cross, only_open, stix, json;
	struct cof_incidents all;
	struct cof_profile policy;
};

/* ---- those there are ---- */

static int add_one(void *user, struct cof_json *event)
{
	return cof_incidents_add(user, event);
}

static int take_policy(void *user, struct cof_json *o)
{
	const char *text = cof_json_str(o, "policy");
	struct cof_profile *p = user;
	struct cof_profile_file f;

	if (!text || cof_profile_parse(text, strlen(text), &f, NULL) < 0)
		return 0;
	*p = f.archive;
	cof_profile_file_done(&f);
	return 0;
}

static int gather(struct handling *h, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .source = "person"};
	cof_autojson struct cof_json *args = cof_json_object();
	int r = people_events(&h->form.ask, &q, add_one, &h->all, diag);

	cof_profile_default(&h->policy);
	return r < 0 ? r : people_ask(&h->form.ask, "policy", args, take_policy, &h->policy, diag);
}

static int find(struct handling *h, const char *digits, const struct cof_incident **ret, struct cof_diag *diag)
{
	int r = gather(h, diag);

	if (r == 0)
		r = cof_incidents_find(&h->all, digits, ret);
	return r == -EEXIST ? cof_fail(diag, r, "several incidents begin with %s: give more digits", digits)
	       : r == -ENOENT ? cof_fail(diag, r, "no incident begins with %s (8 digits at least): coffer incident list tells those "
						  "there are", digits)
			      : r;
}

static int list(struct handling *h, const char *what COF_UNUSED, struct cof_diag *diag)
{
	int64_t now = cof_now(CLOCK_REALTIME);
	int r = gather(h, diag);

	for (size_t i = 0; r == 0 && i < h->all.n; i++) {
		const struct cof_incident *one = &h->all.incident[i];
		cof_autojson struct cof_json *o = NULL;

		if (h->only_open && !incident_is_open(one, &h->policy))
			continue;
		if (!h->json) {
			incident_say(one, &h->policy, now);
			continue;
		}
		o = incident_json(one, &h->policy, now);
		r = print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	}
	if (r == 0 && !h->all.n && !h->json)
		printf("There is no incident on record.\n");
	return r;
}

struct showing {
	const struct cof_incident *of;
	bool json;
	struct incident_stix *stix;
};

static int show_step(void *user, struct cof_json *event)
{
	const struct showing *s = user;
	const char *type = cof_json_str(event, "event"), *time = cof_json_str(event, "time"), *signer = cof_json_str(event, "signer");
	const char *line = cof_json_str(event, "detail");
	int64_t sequence = -1;

	if (!incident_has(s->of, event))
		return 0;
	if (s->stix)
		return incident_stix_add(s->stix, event);
	if (s->json)
		return print_json(event, false) == -ENOMEM ? -ENOMEM : output_broken();
	(void)cof_json_int(event, "sequence", &sequence);
	printf("%" PRId64 "  %s  %s by %s\n", sequence, time ? time : "?", type ? type : "?", signer ? signer : "?");
	while (line && *line) { /* a line each, none of which can steer a terminal */
		size_t n = strcspn(line, "\n");
		cof_autofree char *one = strndup(line, n), *shown = one ? escaped(one) : NULL;

		printf("  %s\n", shown ? shown : "?");
		line += n + (line[n] == '\n');
	}
	return output_broken();
}

static int show(struct handling *h, const char *what, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .source = "person"};
	const struct cof_incident *i = NULL;
	struct incident_stix stix = {0};
	struct showing s = {.json = h->json, .stix = h->stix ? &stix : NULL};
	int r = find(h, what, &i, diag);

	if (r < 0)
		return r;
	s.of = i;
	if (!h->json && !h->stix)
		incident_say(i, &h->policy, cof_now(CLOCK_REALTIME));
	if (h->stix)
		incident_stix_begin(&stix, i);
	r = people_events(&h->form.ask, &q, show_step, &s, diag);
	if (h->stix)
		r = incident_stix_end(&stix, r);
	return r;
}

/* ---- a step ---- */

static int fill_sheet(const struct handling *h, struct cof_json *sheet)
{
	static const struct {
		int option;
		const char *key;
	} lines[] = {{OPT_AFFECTED, "affected"}, {OPT_DAMAGE, "damage"}, {OPT_MEASURES, "measures"}, {OPT_SUPPORT, "support"},
		     {OPT_CONTACT, "contact"}, {OPT_TEXT, "note"}};
	cof_autobuf struct cof_buf text = {0};

	for (size_t i = 0; i < COF_COUNT(lines); i++) {
		const char *word = h->word[lines[i].option];

		form_set(sheet, lines[i].key, word);
		if (word)
			cof_buf_printf(&text, "%s: %s\n", lines[i].key, word);
	}
	if (text.len)
		cof_json_set_str(sheet, "text", (const char *)text.data);
	return text.failed ? -ENOMEM : 0;
}

static void fill_grade(const struct handling *h, struct cof_json *form)
{
	cof_json_set_uint(form, "confidentiality", h->impact[0]);
	cof_json_set_uint(form, "integrity", h->impact[1]);
	cof_json_set_uint(form, "availability", h->impact[2]);
	if (h->cross)
		cof_json_set_bool(form, "cross_sector", true);
}

static int submit(struct handling *h, const char *path, struct cof_diag *diag)
{
	return form_submit(&h->form, path, h->json, diag);
}

static int step(struct handling *h, enum cof_incident_step which, const char *digits, struct cof_diag *diag)
{
	const char *outcome = which == COF_INCIDENT_OPENED ? "attempt" : "success";
	cof_autojson struct cof_json *form = form_new(&h->form, cof_incident_type(which), outcome, h->time);
	cof_autojson struct cof_json *sheet = cof_json_object();
	const struct cof_incident *of = NULL;
	cof_autofree char *path = NULL;
	int r = which == COF_INCIDENT_OPENED ? 0 : find(h, digits, &of, diag);

	if (r == 0)
		r = fill_sheet(h, sheet);
	if (r < 0)
		return r;
	form_set(form, "catalogue", h->word[OPT_CATALOGUE]);
	if (which == COF_INCIDENT_OPENED) {
		cof_json_set_str(form, "kind", h->word[OPT_KIND]);
		cof_json_set_time(form, "found", h->found - h->found % COF_NSEC);
	} else {
		cof_json_set_str(form, "incident", of->id);
	}
	if (which == COF_INCIDENT_OPENED || which == COF_INCIDENT_GRADED)
		fill_grade(h, form);
	if (which == COF_INCIDENT_REPORTED)
		cof_json_set_str(form, "recipient", h->word[OPT_TO]);
	r = form_write(&h->form, form, sheet, &path, diag);
	if (r < 0)
		return r;
	return form_made(&h->form, path, h->json, diag);
}

static int begin(struct handling *h, const char *what COF_UNUSED, struct cof_diag *diag)
{
	return step(h, COF_INCIDENT_OPENED, NULL, diag);
}

static int grade(struct handling *h, const char *what, struct cof_diag *diag)
{
	return step(h, COF_INCIDENT_GRADED, what, diag);
}

static int report(struct handling *h, const char *what, struct cof_diag *diag)
{
	return step(h, COF_INCIDENT_REPORTED, what, diag);
}

static int end(struct handling *h, const char *what, struct cof_diag *diag)
{
	return step(h, COF_INCIDENT_CLOSED, what, diag);
}

/* ---- the verb ---- */

static const struct action {
	const char *name;
	int operands; /* STORE and what */
	bool signs;
	int (*run)(struct handling *h, const char *what, struct cof_diag *diag);
} actions[] = {
    {"open", 1, true, begin}, {"grade", 2, true, grade},    {"report", 2, true, report}, {"close", 2, true, end},
    {"list", 1, false, list}, {"submit", 2, false, submit}, {"show", 2, false, show},
};

static int take_impact(struct handling *h, const char *text)
{
	unsigned v[3];
	char end;

	if (sscanf(text, "%1u,%1u,%1u%c", &v[0], &v[1], &v[2], &end) != 3 || v[0] > 4 || v[1] > 4 || v[2] > 4)
		return misuse("--impact takes three numbers from 0 to 4, such as 3,1,0: confidentiality, integrity, availability");
	memcpy(h->impact, v, sizeof(v));
	return EXIT_OK;
}

static bool is_kind(const char *word)
{
	for (size_t i = 0; cof_incident_kinds[i]; i++)
		if (!strcmp(word, cof_incident_kinds[i]))
			return true;
	return false;
}

static int take_option(struct handling *h, int option)
{
	if (option > OPT_JSON)
		return opener_take(&h->form.ask.opener, option);
	if (option < OPT_CROSS)
		h->word[option] = optarg;
	else
		*(option == OPT_CROSS ? &h->cross : option == OPT_OPEN ? &h->only_open : option == OPT_STIX ? &h->stix : &h->json) = true;
	if (option == OPT_IMPACT)
		return take_impact(h, optarg);
	if (option == OPT_KIND && !is_kind(optarg))
		return misuse("'%s' is no kind of incident: coffer incident --help names them", optarg);
	if (option == OPT_FOUND || option == OPT_TIME)
		return form_take_time(options[option].name, optarg, option == OPT_FOUND ? &h->found : &h->time);
	if (option == OPT_TO && (strlen(optarg) >= COF_INCIDENT_NAME || strchr(optarg, ' ')))
		return misuse("--to takes a name without spaces of at most %d bytes, as the policy has it", COF_INCIDENT_NAME - 1);
	return option == OPT_CATALOGUE ? form_take_catalogue(optarg) : EXIT_OK;
}

static const struct action *action_of(const char *name)
{
	for (size_t i = 0; i < COF_COUNT(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

/* What a step must be told. */
static int check(const struct handling *h, const struct action *a)
{
	if (a->signs && !h->word[OPT_AS])
		return misuse("who signs it? --as NAME, as in the people file");
	if (a->run == begin && (!h->word[OPT_KIND] || !h->word[OPT_IMPACT] || !h->word[OPT_TEXT]))
		return misuse("what happened, and how bad is it? --kind, --impact C,I,A and --text");
	if (a->run == grade && !h->word[OPT_IMPACT])
		return misuse("how bad is it? --impact C,I,A");
	if (a->run == report && !h->word[OPT_TO])
		return misuse("who was told? --to NAME, as the policy names them");
	if (a->run == end && !h->word[OPT_TEXT])
		return misuse("how did it end? --text");
	if (*opener_conflict(&h->form.ask.opener))
		return misuse("%s", opener_conflict(&h->form.ask.opener));
	return EXIT_OK;
}

static int act(struct handling *h, const struct action *a, char **operands)
{
	struct cof_diag diag = {""};
	int r;

	form_words(&h->form, h->word[OPT_AS], h->word[OPT_DIR], h->word[OPT_SIGNATURE], h->word[OPT_KEY]);
	r = people_open(&h->form.ask, operands[0], &diag);
	if (r == 0)
		r = a->run(h, a->operands > 1 ? operands[1] : NULL, &diag);
	cof_incidents_done(&h->all);
	return people_close(&h->form.ask, r, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	int64_t now = cof_now(CLOCK_REALTIME);
	struct handling h = {.found = now, .time = now, .form = {.ask = PEOPLE_ASKING_INIT, .end = "incident",
								 .purpose = COF_SIGN_EVENT, .verb = "incident submit"}};
	const struct action *a;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&h, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	a = action_of(argv[optind]);
	if (!a)
		return misuse("'%s' is none of open, grade, report, close, submit, list, show", argv[optind]);
	if (!operands_are(self, argc, argv, 1 + a->operands))
		return EXIT_USAGE;
	code = check(&h, a);
	return code ? code : act(&h, a, argv + optind + 1);
}

const struct verb verb_incident = {
    .name = "incident",
    .args = "ACTION STORE [INCIDENT|ID.incident]",
    .summary = "an incident: opened, graded, reported in time, closed",
    .text = "Each step is a form that its person signs with ssh-keygen -Y sign -n coffer-event, on any host, and submit puts into the "
	    "chain; with --key at once. open says what it is and how bad, from when its limits count; grade says anew how bad; report "
	    "says that somebody was told, and when; close how it ended. Who has to be told, and within what time, is the policy's: "
	    "incident_to, incident_pass_to, incident_within_1 to _4, and of a suspected CA key compromise_to within "
	    "compromise_within. The daemon raises an alarm when one is opened, at half of the time, and when it is over; coffer due "
	    "lists what is open. INCIDENT is the first digits of its id.\n"
	    "\n"
	    "Example:\n"
	    "  coffer incident open STORE --as ann --kind leak --impact 1,0,0 --text disk\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "open grade report close submit list show",
};
