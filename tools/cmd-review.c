/* SPDX-License-Identifier: Apache-2.0 */
/* coffer review: what happened since the last review, put together, looked at, and signed. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/form.h"
#include "tools/output.h"
#include "tools/review.h"

#include <inttypes.h>
#include <stdio.h>

#define NOTES_MAX 20000

enum { OPT_LOGINS, OPT_AS, OPT_NOTES, OPT_DIR, OPT_SIGNATURE, OPT_KEY, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_LOGINS] = {"logins", NULL, "of logins, by day, instead of all significant events"},
    [OPT_AS] = {"as", "NAME", "make: who signs it, an auditor or officer of the people file"},
    [OPT_NOTES] = {"notes", "TEXT", "make: what was found; @FILE: what is in the file. They stand in the sheet"},
    [OPT_DIR] = {"output", "DIR", "make: where ID.review and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct reviewing {
	struct forming form;
	enum cof_review kind;
	const char *notes;
	bool json;
	uint64_t from, to; /* frames */
	struct review *put; /* together */
};

/* ---- what is looked at ---- */

static int add_one(void *user, struct cof_json *event)
{
	struct reviewing *v = user;
	int64_t sequence;

	/* What came behind the head is the next review's. */
	if (cof_json_int(event, "sequence", &sequence) < 0 || (uint64_t)sequence < v->from || (uint64_t)sequence > v->to)
		return 0;
	return review_add(v->put, event);
}

static int next_frame(struct reviewing *v, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	const struct cof_json *one;
	int64_t from;
	int r = people_ask_one(&v->form.ask, "reviews", args, &o, diag);

	if (r < 0)
		return r;
	one = cof_json_get(o, cof_review_type(v->kind));
	if (!one || cof_json_int(one, "from", &from) < 0)
		return cof_fail(diag, -EPROTO, "the daemon did not say what was reviewed");
	v->from = (uint64_t)from;
	return 0;
}

static int gather(struct reviewing *v, bool few, struct cof_json *into, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .from = v->from};
	int r;

	v->put = review_new(v->kind == COF_REVIEW_LOGINS);
	r = v->put ? people_events(&v->form.ask, &q, add_one, v, diag) : -ENOMEM;
	if (r == 0)
		r = review_tell(v->put, few, into);
	review_free(v->put);
	v->put = NULL;
	return r;
}

static int show(struct reviewing *v, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	int r = next_frame(v, diag);

	v->to = UINT64_MAX;
	cof_json_set_str(o, "review", cof_review_type(v->kind));
	cof_json_set_uint(o, "from", v->from);
	if (r == 0)
		r = gather(v, false, o, diag);
	if (r < 0)
		return r;
	if (v->json)
		return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	cof_buf_printf(&text, "Since frame %" PRIu64 ", which no %s has looked at:\n", v->from, cof_review_type(v->kind));
	review_say(o, &text);
	if (text.failed)
		return -ENOMEM;
	fwrite(text.data, 1, text.len, stdout);
	return 0;
}

/* ---- signed ---- */

static int submit(struct reviewing *v, const char *path, struct cof_diag *diag)
{
	return form_submit(&v->form, path, v->json, diag);
}

/* The newest head: what it covers is what is looked at. */
static int set_range(struct reviewing *v, struct cof_json *form, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct cof_json *head = NULL;
	int64_t size;
	int r = next_frame(v, diag);

	if (r == 0)
		r = people_ask_one(&v->form.ask, "head", args, &head, diag);
	if (r < 0)
		return r;
	if (cof_json_int(head, "size", &size) < 0 || size < 1 || (uint64_t)size <= v->from) {
		cof_json_free(head);
		return cof_fail(diag, -ENODATA, "nothing was recorded since the last review: there is nothing to look at");
	}
	v->to = (uint64_t)size - 1;
	cof_json_set(form, "head", head);
	cof_json_set_uint(form, "from", v->from);
	cof_json_set_uint(form, "to", v->to);
	return 0;
}

static int set_notes(const struct reviewing *v, struct cof_json *sheet, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	const char *notes = v->notes;
	int r;

	if (!notes || notes[0] != '@') {
		form_set(sheet, "text", notes);
		return 0;
	}
	r = file_load(notes + 1, NOTES_MAX, &text, diag);
	if (r == 0 && text.len && memchr(text.data, 0, text.len))
		r = cof_fail(diag, -EUCLEAN, "%s is no text", notes + 1);
	if (r == 0)
		cof_json_set_str(sheet, "text", text.len ? (const char *)text.data : "");
	return r;
}

static int is_long(const struct cof_json *sheet)
{
	cof_autobuf struct cof_buf text = {0};
	int r = cof_json_canonical(sheet, &text);

	return r < 0 ? r : text.len > FORM_SHEET_MAX - 100;
}

static int make(struct reviewing *v, struct cof_diag *diag)
{
	cof_autojson struct cof_json *form = form_new(&v->form, cof_review_type(v->kind), "success", cof_now(CLOCK_REALTIME));
	cof_autojson struct cof_json *sheet = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	cof_autofree char *path = NULL;
	int r = set_range(v, form, diag);

	if (r == 0)
		r = set_notes(v, sheet, diag);
	if (r == 0)
		r = gather(v, false, sheet, diag);
	if (r == 0)
		r = is_long(sheet);
	if (r > 0) /* what is shown names everybody; what is signed says how often */
		r = gather(v, true, sheet, diag);
	if (r == 0)
		r = form_write(&v->form, form, sheet, &path, diag);
	if (r < 0)
		return r;
	if (v->form.key)
		return submit(v, path, diag);
	if (v->json)
		return print_json(sheet, false) == -ENOMEM ? -ENOMEM : 0;
	review_say(sheet, &text);
	if (text.failed)
		return -ENOMEM;
	fwrite(text.data, 1, text.len, stdout);
	form_say_next(&v->form, path);
	return 0;
}

/* ---- those there are ---- */

static int list_one(void *user, struct cof_json *e)
{
	const struct reviewing *v = user;
	const char *text = cof_json_str(e, "form"), *time = cof_json_str(e, "time"), *signer = cof_json_str(e, "signer");
	const char *notes = cof_json_str(e, "detail");
	cof_autojson struct cof_json *form = NULL, *o = cof_json_object();
	cof_autobuf struct cof_buf line = {0};
	int64_t from, to, sequence = -1;

	if (!text || cof_json_parse(text, strlen(text), &form) < 0 || cof_json_int(form, "from", &from) < 0 ||
	    cof_json_int(form, "to", &to) < 0)
		return 0;
	(void)cof_json_int(e, "sequence", &sequence);
	if (v->json) {
		cof_json_set_int(o, "sequence", sequence);
		cof_json_set_str(o, "review", cof_review_type(v->kind));
		form_set(o, "time", time);
		cof_json_set_int(o, "from", from);
		cof_json_set_int(o, "to", to);
		form_set(o, "signer", signer);
		form_set(o, "notes", notes);
		return print_json(o, false) == -ENOMEM ? -ENOMEM : output_broken();
	}
	cof_buf_printf(&line, "%8" PRId64 "  %s  %s  frames %" PRId64 " to %" PRId64, sequence, time ? time : "?", signer ? signer : "?",
		       from, to);
	if (notes) {
		cof_autofree char *shown = escaped(notes);

		cof_buf_printf(&line, ": %s", shown ? shown : "?");
	}
	printf("%s\n", line.data ? (const char *)line.data : "");
	return output_broken();
}

static int list(struct reviewing *v, struct cof_diag *diag)
{
	const struct cof_events_query q = {
	    .since = INT64_MIN, .until = INT64_MAX, .type = cof_review_type(v->kind), .source = "person"};

	return people_events(&v->form.ask, &q, list_one, v, diag);
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct reviewing *v = user;
	const char **to[] = {
	    [OPT_AS] = &v->form.as, [OPT_NOTES] = &v->notes, [OPT_DIR] = &v->form.dir, [OPT_SIGNATURE] = &v->form.signature,
	    [OPT_KEY] = &v->form.key};

	if (option == OPT_LOGINS)
		v->kind = COF_REVIEW_LOGINS;
	else if (option == OPT_JSON)
		v->json = true;
	else if (option > OPT_JSON)
		return opener_take(&v->form.ask.opener, option);
	else
		*to[option] = optarg;
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct reviewing v = {
	    .form = {.ask = PEOPLE_ASKING_INIT, .dir = ".", .end = "review", .purpose = COF_SIGN_REVIEW, .verb = "review submit"}};
	struct cof_diag diag = {""};
	const char *what;
	bool submits;
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&v, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	what = argv[optind];
	submits = !strcmp(what, "submit");
	if (!submits && strcmp(what, "show") && strcmp(what, "make") && strcmp(what, "list"))
		return misuse("'%s' is none of show, make, submit, list", what);
	if (!operands_are(self, argc, argv, submits ? 3 : 2))
		return EXIT_USAGE;
	if (!strcmp(what, "make") && !v.form.as)
		return misuse("who signs it? --as NAME, an auditor or officer of the people file");
	if (*opener_conflict(&v.form.ask.opener))
		return misuse("%s", opener_conflict(&v.form.ask.opener));
	r = people_open(&v.form.ask, argv[optind + 1], &diag);
	if (r == 0)
		r = submits		  ? submit(&v, argv[optind + 2], &diag)
		    : !strcmp(what, "show") ? show(&v, &diag)
		    : !strcmp(what, "make") ? make(&v, &diag)
					    : list(&v, &diag);
	return people_close(&v.form.ask, r, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_review = {
    .name = "review",
    .args = "show|make|submit|list STORE [ID.review]",
    .summary = "what happened since the last review, looked at and signed",
    .text = "show puts together what no review has looked at yet: significant events in groups, the worst first, each with what "
	    "it means; with --logins who got in or failed, by day, and what is conspicuous. make does the same up to the newest "
	    "head of the log, and writes ID.review, the form that is signed, and ID.sheet with groups and notes. An auditor or "
	    "officer signs the form with ssh-keygen -Y sign -n coffer-review, on any host, and submit puts it into the chain. A "
	    "review begins where the one before ended: another one is refused. list tells those there are.\n"
	    "\n"
	    "Example:\n"
	    "  coffer review make STORE --as carol --notes 'two refusals, explained'\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "show make submit list",
};
