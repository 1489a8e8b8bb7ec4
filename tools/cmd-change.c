/* SPDX-License-Identifier: Apache-2.0 */
/* coffer change: changes of ledgers and systems: asked for, approved, done, their result checked; each step signed. */
#include "tools/changes.h"
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/form.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

#define ATTACHED_MAX 16
#define ATTACHED_BYTES (64u << 20)
#define NAMED_MAX 32

enum {
	OPT_AS, OPT_BUSINESS, OPT_REASON, OPT_BEFORE, OPT_AFTER, OPT_TEXT, OPT_CATALOGUE, OPT_DIR, OPT_SIGNATURE, OPT_KEY, OPT_ATTACH,
	OPT_BATCH, OPT_FAILED, OPT_OPEN, OPT_JSON
};

static const struct tool_option options[] = {
    [OPT_AS] = {"as", "NAME", "who signs the step, as in the people file"},
    [OPT_BUSINESS] = {"business", "TEXT", "request: what is changed; stands in the sheet, as the next four do"},
    [OPT_REASON] = {"reason", "TEXT", "request: why"},
    [OPT_BEFORE] = {"before", "TEXT", "request, done: how it is, or was"},
    [OPT_AFTER] = {"after", "TEXT", "request, done: how it shall be, or is"},
    [OPT_TEXT] = {"text", "TEXT", "any step: what there is to say"},
    [OPT_CATALOGUE] = {"catalogue", "ID", "its kind of the catalogue, such as A.15.2"},
    [OPT_DIR] = {"output", "DIR", "where ID.change and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_ATTACH] = {"attach", "FILE", "a version of what is changed: its name, size and SHA-256 stand in the sheet; up to 16", true},
    [OPT_BATCH] = {"batch", NULL, "request: a batch job, which is supervised in the same way"},
    [OPT_FAILED] = {"failed", NULL, "done, check: the result is not as asked"},
    [OPT_OPEN] = {"open", NULL, "list: only those that are neither declined nor checked"},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct changing {
	struct forming form;
	const char *word[OPT_ATTACH]; /* by option */
	const char *attached[ATTACHED_MAX];
	size_t n_attached;
	bool batch, failed, only_open, json;
	struct changes all;
};

/* ---- those there are ---- */

static int add_one(void *user, struct cof_json *event)
{
	return changes_add(user, event);
}

static int gather(struct changing *c, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX};

	return people_events(&c->form.ask, &q, add_one, &c->all, diag);
}

static int find(struct changing *c, const char *digits, const struct change **ret, struct cof_diag *diag)
{
	int r = gather(c, diag);

	if (r == 0)
		r = changes_find(&c->all, digits, ret);
	return r == -EEXIST ? cof_fail(diag, r, "several changes begin with %s: give more digits", digits)
	       : r == -ENOENT
		       ? cof_fail(diag, r, "no change begins with %s (8 digits at least): coffer change list tells those there are", digits)
		       : r;
}

static struct cof_json *tell(const struct change *c)
{
	struct cof_json *o = cof_json_object(), *steps = cof_json_array();

	cof_json_set_str(o, "change", c->id);
	cof_json_set_str(o, "kind", c->batch ? "batch" : "change");
	cof_json_set_str(o, "state", cof_change_type(c->state) + strlen("change-"));
	cof_json_set_bool(o, "open", change_is_open(c));
	form_set(o, "business", c->business);
	for (unsigned i = 0; i < COF_COUNT(c->at); i++) {
		struct cof_json *one;

		if (!c->at[i].sequence)
			continue;
		one = cof_json_object();
		cof_json_set_str(one, "step", cof_change_type(i) + strlen("change-"));
		cof_json_set_uint(one, "sequence", c->at[i].sequence);
		cof_json_set_str(one, "time", c->at[i].time);
		cof_json_set_str(one, "signer", c->at[i].signer);
		cof_json_append(steps, one);
	}
	cof_json_set(o, "steps", steps);
	return o;
}

static void say(const struct change *c)
{
	cof_autofree char *business = escaped(c->business ? c->business : "?");

	printf("%.16s  %-9s %s%s\n", c->id, cof_change_type(c->state) + strlen("change-"), c->batch ? "batch job: " : "",
	       business ? business : "?");
	for (unsigned i = 0; i < COF_COUNT(c->at); i++)
		if (c->at[i].sequence)
			printf("  %-9s %s by %s, frame %" PRIu64 "\n", cof_change_type(i) + strlen("change-"), c->at[i].time, c->at[i].signer,
			       c->at[i].sequence);
}

/* What was measured to have changed, and no change says so. */
static int list_unnamed(const struct changing *c)
{
	for (size_t i = 0; i < c->all.n_measured; i++) {
		cof_autojson struct cof_json *o = c->json ? cof_json_object() : NULL;

		if (changes_is_named(&c->all, c->all.measured[i]))
			continue;
		if (!c->json) {
			printf("frame %" PRIu64 " says that something is another than it was, and no change names it\n", c->all.measured[i]);
			continue;
		}
		cof_json_set_uint(o, "unnamed", c->all.measured[i]);
		if (print_json(o, false) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int list(struct changing *c, const char *what COF_UNUSED, struct cof_diag *diag)
{
	int r = gather(c, diag);

	for (size_t i = 0; r == 0 && i < c->all.n; i++) {
		cof_autojson struct cof_json *o = NULL;

		if (c->only_open && !change_is_open(&c->all.change[i]))
			continue;
		if (!c->json) {
			say(&c->all.change[i]);
			continue;
		}
		o = tell(&c->all.change[i]);
		r = print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	}
	return r == 0 ? list_unnamed(c) : r;
}

struct showing {
	const struct change *change;
	bool json;
};

static int show_step(void *user, struct cof_json *event)
{
	const struct showing *s = user;
	const char *id = cof_json_str(event, "change"), *type = cof_json_str(event, "event"), *time = cof_json_str(event, "time");
	const char *signer = cof_json_str(event, "signer"), *outcome = cof_json_str(event, "outcome"), *text = cof_json_str(event, "detail");
	cof_autofree char *shown = NULL;
	int64_t sequence = -1;

	if (!id || strcmp(id, s->change->id) != 0)
		return 0;
	if (s->json)
		return print_json(event, false) == -ENOMEM ? -ENOMEM : output_broken();
	(void)cof_json_int(event, "sequence", &sequence);
	printf("%" PRId64 "  %s  %s %s by %s\n", sequence, time ? time : "?", type ? type : "?", outcome ? outcome : "", signer ? signer : "?");
	for (const char *line = text; line && *line;) { /* a line each, none of which can steer a terminal */
		size_t n = strcspn(line, "\n");
		cof_autofree char *one = strndup(line, n);

		free(shown);
		shown = one ? escaped(one) : NULL;
		printf("  %s\n", shown ? shown : "?");
		line += n + (line[n] == '\n');
	}
	return output_broken();
}

static int show(struct changing *c, const char *what, struct cof_diag *diag)
{
	const struct cof_events_query q = {.since = INT64_MIN, .until = INT64_MAX, .source = "person"};
	struct showing s = {.json = c->json};
	int r = find(c, what, &s.change, diag);

	return r == 0 ? people_events(&c->form.ask, &q, show_step, &s, diag) : r;
}

/* ---- a step ---- */

static int attach(const struct changing *c, struct cof_json *sheet, struct cof_buf *text, struct cof_diag *diag)
{
	struct cof_json *all = c->n_attached ? cof_json_array() : NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_attached; i++) {
		cof_autobuf struct cof_buf b = {0};
		const char *name = strrchr(c->attached[i], '/');
		struct cof_json *one;
		uint8_t digest[COF_HASH];
		char hex[65];

		r = file_load(c->attached[i], ATTACHED_BYTES, &b, diag);
		if (r < 0)
			break;
		name = name ? name + 1 : c->attached[i];
		cof_sha256(b.data ? b.data : (const uint8_t *)"", b.len, digest);
		cof_hex(digest, sizeof(digest), hex);
		one = cof_json_object();
		cof_json_set_str(one, "name", name);
		cof_json_set_uint(one, "size", b.len);
		cof_json_set_str(one, "sha256", hex);
		cof_json_append(all, one);
		cof_buf_printf(text, "attached: %s, %zu bytes, SHA-256 %s\n", name, b.len, hex);
	}
	if (all && r == 0)
		cof_json_set(sheet, "attached", all);
	else
		cof_json_free(all);
	return r;
}

/* What the chain itself noticed since the change was approved, and no change names yet. */
static void name_measured(const struct changing *c, const struct change *of, struct cof_json *form, struct cof_buf *text)
{
	struct cof_json *all = cof_json_array();
	size_t n = 0;

	for (size_t i = 0; i < c->all.n_measured && n < NAMED_MAX; i++) {
		uint64_t frame = c->all.measured[i];

		if (frame < of->at[COF_CHANGE_APPROVED].sequence || changes_is_named(&c->all, frame))
			continue;
		cof_json_append(all, cof_json_new_uint(frame));
		cof_buf_printf(text, "measured: frame %" PRIu64 "\n", frame);
		n++;
	}
	if (n)
		cof_json_set(form, "changed", all);
	else
		cof_json_free(all);
}

static int fill_sheet(const struct changing *c, struct cof_json *sheet, struct cof_buf *text, struct cof_diag *diag)
{
	static const struct {
		int option;
		const char *key;
	} lines[] = {{OPT_REASON, "reason"}, {OPT_BEFORE, "before"}, {OPT_AFTER, "after"}, {OPT_TEXT, "note"}};
	int r;

	form_set(sheet, "object", c->word[OPT_BUSINESS]);
	for (size_t i = 0; i < COF_COUNT(lines); i++) {
		const char *word = c->word[lines[i].option];

		form_set(sheet, lines[i].key, word);
		if (word)
			cof_buf_printf(text, "%s: %s\n", lines[i].key, word);
	}
	r = attach(c, sheet, text, diag);
	if (r == 0 && text->failed)
		r = -ENOMEM;
	return r;
}

static int submit(struct changing *c, const char *path, struct cof_diag *diag)
{
	return form_submit(&c->form, path, c->json, diag);
}

static int step(struct changing *c, enum cof_change_step which, const char *digits, struct cof_diag *diag)
{
	const char *outcome = which == COF_CHANGE_REQUESTED ? "attempt" : which == COF_CHANGE_DECLINED || c->failed ? "failure" : "success";
	cof_autojson struct cof_json *form = form_new(&c->form, cof_change_type(which), outcome, cof_now(CLOCK_REALTIME));
	cof_autojson struct cof_json *sheet = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	cof_autofree char *path = NULL;
	const struct change *of = NULL;
	int r = which == COF_CHANGE_REQUESTED ? 0 : find(c, digits, &of, diag);

	if (r == 0)
		r = fill_sheet(c, sheet, &text, diag);
	if (r < 0)
		return r;
	form_set(form, "catalogue", c->word[OPT_CATALOGUE]);
	if (of)
		cof_json_set_str(form, "change", of->id);
	else
		cof_json_set_str(form, "kind", c->batch ? "batch" : "change");
	if (of && which == COF_CHANGE_DONE)
		name_measured(c, of, form, &text);
	if (text.len)
		cof_json_set_str(sheet, "text", (const char *)text.data);
	r = text.failed ? -ENOMEM : form_write(&c->form, form, sheet, &path, diag);
	if (r < 0)
		return r;
	return form_made(&c->form, path, c->json, diag);
}

static int request(struct changing *c, const char *what COF_UNUSED, struct cof_diag *diag)
{
	return step(c, COF_CHANGE_REQUESTED, NULL, diag);
}

static int approve(struct changing *c, const char *what, struct cof_diag *diag)
{
	return step(c, COF_CHANGE_APPROVED, what, diag);
}

static int decline(struct changing *c, const char *what, struct cof_diag *diag)
{
	return step(c, COF_CHANGE_DECLINED, what, diag);
}

static int done(struct changing *c, const char *what, struct cof_diag *diag)
{
	return step(c, COF_CHANGE_DONE, what, diag);
}

static int check(struct changing *c, const char *what, struct cof_diag *diag)
{
	return step(c, COF_CHANGE_CHECKED, what, diag);
}

/* ---- the verb ---- */

static const struct action {
	const char *name;
	int operands; /* STORE and what */
	bool signs;
	int (*run)(struct changing *c, const char *what, struct cof_diag *diag);
} actions[] = {
    {"request", 1, true, request}, {"approve", 2, true, approve}, {"decline", 2, true, decline}, {"done", 2, true, done},
    {"check", 2, true, check},	   {"submit", 2, false, submit},  {"list", 1, false, list},	 {"show", 2, false, show},
};

static int take_option(void *user, int option)
{
	struct changing *c = user;

	if (option > OPT_JSON)
		return opener_take(&c->form.ask.opener, option);
	if (option < OPT_ATTACH)
		c->word[option] = optarg;
	else if (option == OPT_ATTACH && c->n_attached == ATTACHED_MAX)
		return misuse("--attach is taken %d times at most", ATTACHED_MAX);
	else if (option == OPT_ATTACH)
		c->attached[c->n_attached++] = optarg;
	else
		*(option == OPT_BATCH ? &c->batch : option == OPT_FAILED ? &c->failed : option == OPT_OPEN ? &c->only_open : &c->json) = true;
	return option == OPT_CATALOGUE ? form_take_catalogue(optarg) : EXIT_OK;
}

static const struct action *action_of(const char *name)
{
	for (size_t i = 0; i < COF_COUNT(actions); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

static int act(struct changing *c, const struct action *a, char **operands)
{
	struct cof_diag diag = {""};
	int r;

	form_words(&c->form, c->word[OPT_AS], c->word[OPT_DIR], c->word[OPT_SIGNATURE], c->word[OPT_KEY]);
	r = people_open(&c->form.ask, operands[0], &diag);
	if (r == 0)
		r = a->run(c, a->operands > 1 ? operands[1] : NULL, &diag);
	changes_done(&c->all);
	return people_close(&c->form.ask, r, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct changing c = {
	    .form = {.ask = PEOPLE_ASKING_INIT, .end = "change", .purpose = COF_SIGN_CHANGE, .verb = "change submit"}};
	const struct action *a;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&c, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	a = action_of(argv[optind]);
	if (!a)
		return misuse("'%s' is none of request, approve, decline, done, check, submit, list, show", argv[optind]);
	if (!operands_are(self, argc, argv, 1 + a->operands))
		return EXIT_USAGE;
	if (a->signs && !c.word[OPT_AS])
		return misuse("who signs it? --as NAME, as in the people file");
	if (a->run == request && (!c.word[OPT_BUSINESS] || !c.word[OPT_REASON]))
		return misuse("what is changed, and why? --business and --reason");
	if (*opener_conflict(&c.form.ask.opener))
		return misuse("%s", opener_conflict(&c.form.ask.opener));
	return act(&c, a, argv + optind + 1);
}

const struct verb verb_change = {
    .name = "change",
    .args = "ACTION STORE [CHANGE|ID.change]",
    .summary = "a change: asked for, approved, done, its result checked",
    .text = "Each step is a form that its person signs with ssh-keygen -Y sign -n coffer-change, on any host, and submit puts into "
	    "the chain; with --key at once. request STORE says what, why, how it is and shall be; approve or decline STORE CHANGE is "
	    "for an officer who did not ask; done is the result, and names what the archive itself noticed meanwhile (programs, "
	    "libraries, policies that are others); check is for an officer or auditor who took no part. A check that --failed has it "
	    "done again. list tells the changes, and what was noticed that none of them names; show tells one, step by step. CHANGE "
	    "is the first digits of its id.\n"
	    "\n"
	    "Example:\n"
	    "  coffer change request STORE --as dan --business ledger --reason 'new rates'\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "request approve decline done check submit list show",
};
