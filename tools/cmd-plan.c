/* SPDX-License-Identifier: Apache-2.0 */
/* coffer plan: what a profile, or another policy of a shelf, would lock, and until when, before
 * anybody commits to it. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/plan.h"
#include "tools/profile.h"
#include "tools/shelf-policy.h"
#include "tools/when.h"

#include <stdio.h>

#define EXIT_WEAKER 3

enum { OPT_SHELF, OPT_SET, OPT_POLICY, OPT_AT, OPT_FILES, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_SHELF] = {"shelf", "NAME", "only this shelf"},
    [OPT_SET] = {"set", "KEY=VALUE",
		 "with --shelf: as if its policy said this; may be given for several keys"},
    [OPT_POLICY] = {"policy", "FILE", "with --shelf: as if this were its policy", true},
    [OPT_AT] = {"at", "DATE", "as if the files were committed on this date instead of now"},
    [OPT_FILES] = {"files", NULL, "a line for each open file too"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct planning {
	struct plan plan;
	const char *profile, *shelf;
	struct policy_args args;
	bool files, json;
};

/* ---- what is planned ---- */

static int plan_profile(struct planning *g, struct cof_diag *diag)
{
	struct cof_profile_file file;
	int r = profile_load(g->profile, &file, NULL, diag);

	if (r < 0)
		return r;
	for (size_t i = 0; i < file.n_shelves && r == 0; i++) {
		struct planned *s = plan_shelf(&g->plan, file.shelves[i].name, true);

		r = s ? 0 : -ENOMEM;
		if (s) {
			s->policy = file.shelves[i].policy;
			s->named = true;
		}
	}
	cof_profile_file_done(&file);
	return r;
}

static int plan_policy(struct planning *g, struct cof_diag *diag)
{
	struct planned *s = plan_shelf(&g->plan, g->shelf, true);
	cof_autobuf struct cof_buf was = {0}, text = {0};
	int r = s ? cof_policy_text(&s->policy, &was) : -ENOMEM;

	if (r == 0)
		r = policy_make(&g->args, was.data ? (const char *)was.data : "", &text, diag);
	if (r == 0)
		r = cof_policy_parse(text.data ? (const char *)text.data : "", text.len, &s->policy,
				     diag);
	if (r == 0)
		s->named = true;
	return r;
}

static int gather(struct planning *g, const char *arg, struct cof_diag *diag)
{
	struct plan *p = &g->plan;
	int r = source_open(&p->source, arg, diag);

	if (r == 0)
		r = plan_shelves(p, diag);
	if (r == 0 && g->profile)
		r = plan_profile(g, diag);
	if (r == 0 && policy_given(&g->args))
		r = plan_policy(g, diag);
	if (r == 0 && g->shelf && !plan_shelf(p, g->shelf, false))
		return cof_fail(diag, -ENOENT, "there is no shelf '%s'%s", g->shelf,
				g->profile ? ", nor has the profile one" : "");
	if (r < 0)
		return diag->text[0] ? r : cof_fail(diag, r, "%s", strerror(-r));
	for (size_t i = 0; i < p->n; i++) {
		struct planned *s = &p->shelf[i];
		const char *why = NULL;

		if (s->exists && s->named && !cof_policy_is_stronger(&s->old, &s->policy, &why))
			s->weaker = why;
	}
	if (p->at == COF_RETAIN_NONE)
		p->at = store_retention_now(&p->source.store);
	return plan_files(p, diag);
}

/* ---- text ---- */

static void day(int64_t t, char out[32])
{
	cof_time_text(t, out);
	out[10] = '\0';
}

static void span(int64_t v, char out[32])
{
	if (v == COF_RETAIN_INFINITE)
		snprintf(out, 32, "for ever");
	else
		cof_span_text(v, out);
}

static void say_promise(const struct cof_policy *p)
{
	char kept[32], least[32], most[32], cooling[32];

	printf("  promises   ");
	if (!p->retention) {
		printf("what is committed is kept for ever\n");
		return;
	}
	span(p->retention_default, kept);
	span(p->retention_min, least);
	span(p->retention_max, most);
	span(p->cooling_off, cooling);
	printf("kept %s from the commit", kept);
	if (p->retain_event[0])
		printf(", once '%s' is declared from then", p->retain_event);
	printf("; at least %s, at most %s", least, most);
	if (p->retain_certificates)
		printf("; as long as certificates are valid");
	if (p->mode == COF_GOVERNANCE)
		printf("; %s may end it early\n", cof_policy_approve(p, COF_APPROVE_RETENTION_END));
	else if (p->cooling_off)
		printf("; nobody ends it early after %s\n", cooling);
	else
		printf("; nobody ends it early\n");
}

static void say_range(const char *name, const struct range *g)
{
	char size[24], from[32], to[32];

	cof_size_text(g->bytes, size);
	printf("  %-10s %llu file%s, %s", name, (unsigned long long)g->files, plural(g->files),
	       size);
	if (g->from <= g->to) {
		day(g->from, from);
		day(g->to, to);
		printf("; locked until %s", from);
		if (strcmp(from, to) != 0)
			printf(" to %s", to);
	}
	if (g->for_ever)
		printf("; %llu for ever", (unsigned long long)g->for_ever);
	if (g->waiting)
		printf("; %llu until an event is declared, and its span",
		       (unsigned long long)g->waiting);
}

static void say_shelf(const struct planned *s)
{
	cof_autofree char *name = escaped(s->name);
	char to[32];

	printf("Shelf %s%s\n", name ? name : "?", !s->exists ? ", which would be made" : "");
	say_promise(&s->policy);
	if (s->weaker)
		printf("  %sweaker%s     %s: refused without an approved request\n", colour(RED),
		       colour(PLAIN), s->weaker);
	if (s->open.files || s->refused)
		say_range("open", &s->open);
	if (s->refused)
		printf("; %llu asked for an end that is refused", (unsigned long long)s->refused);
	if (s->unread)
		printf("; in %llu there may be certificates that ask for more",
		       (unsigned long long)s->unread);
	if (s->open.files || s->refused)
		printf("\n");
	if (s->committed.files) {
		say_range("committed", &s->committed);
		if (s->longer) {
			day(s->longer_to, to);
			printf("; %llu of them longer then, at most until %s",
			       (unsigned long long)s->longer, to);
		}
		printf("\n");
	}
	if (s->expired)
		printf("  %-10s %llu file%s\n", "expired", (unsigned long long)s->expired,
		       plural(s->expired));
}

/* ---- JSON ---- */

static void set_end(struct cof_json *o, const char *key, int64_t t)
{
	if (t == COF_RETAIN_INFINITE)
		cof_json_set_str(o, key, "infinite");
	else if (t == COF_RETAIN_NONE)
		cof_json_set_str(o, key, "none");
	else
		cof_json_set_time(o, key, t);
}

static struct cof_json *range_json(const struct range *g)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_uint(o, "files", g->files);
	cof_json_set_uint(o, "bytes", g->bytes);
	cof_json_set_uint(o, "for_ever", g->for_ever);
	cof_json_set_uint(o, "by_event", g->waiting);
	if (g->from <= g->to) {
		cof_json_set_time(o, "from", g->from);
		cof_json_set_time(o, "to", g->to);
	}
	return o;
}

static int shelf_json(const struct planned *s)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf text = {0};
	struct cof_json *open = range_json(&s->open), *committed = range_json(&s->committed);

	cof_json_set_str(o, "shelf", s->name);
	cof_json_set_bool(o, "exists", s->exists);
	cof_json_set_bool(o, "planned", s->named);
	if (cof_policy_text(&s->policy, &text) == 0)
		cof_json_set_bytes(o, "policy", text.data ? (char *)text.data : "", text.len);
	if (s->weaker)
		cof_json_set_str(o, "weaker", s->weaker);
	cof_json_set_uint(open, "refused", s->refused);
	cof_json_set_uint(open, "unread", s->unread);
	cof_json_set(o, "open", open);
	cof_json_set_uint(committed, "longer", s->longer);
	if (s->longer)
		set_end(committed, "longer_to", s->longer_to);
	cof_json_set(o, "committed", committed);
	cof_json_set_uint(o, "expired", s->expired);
	return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
}

/* ---- files ---- */

static int show_file(void *user, const char *path, const struct cof_ruling *rl)
{
	const struct planning *g = user;
	cof_autojson struct cof_json *o = NULL;
	cof_autofree char *shown = NULL;
	char until[32] = "for ever";

	if (g->shelf &&
	    (strncmp(path, g->shelf, strlen(g->shelf)) != 0 || path[strlen(g->shelf)] != '/'))
		return 0;
	if (g->json) {
		o = cof_json_object();
		cof_json_set_str(o, "path", path);
		cof_json_set_bool(o, "allowed", !rl->error);
		cof_json_set_str(o, "rule", rl->rule ? rl->rule : "");
		if (!rl->error)
			set_end(o, "until", rl->retain_until);
		if (rl->event)
			cof_json_set_str(o, "event", rl->event);
		return print_json(o, false) == -ENOMEM ? -ENOMEM : output_broken();
	}
	shown = escaped(path);
	if (rl->retain_until != COF_RETAIN_NONE && rl->retain_until != COF_RETAIN_INFINITE)
		day(rl->retain_until, until);
	printf("%s: %s%s\n", shown ? shown : "?",
	       rl->error   ? "the end it asks for is refused"
	       : rl->event ? "until an event, then "
			   : "",
	       rl->error ? "" : until);
	return output_broken();
}

/* ---- the verb ---- */

static int tell(struct planning *g, bool *ret_weaker)
{
	int r = 0;

	for (size_t i = 0; i < g->plan.n && r == 0; i++) {
		const struct planned *s = &g->plan.shelf[i];

		if (g->shelf && strcmp(g->shelf, s->name) != 0)
			continue;
		*ret_weaker |= s->weaker != NULL;
		if (g->json)
			r = shelf_json(s);
		else
			say_shelf(s);
	}
	return r;
}

static int take_set(struct planning *g)
{
	size_t n = strcspn(optarg, "=");

	for (int k = 0; optarg[n] && k < KEY_COUNT; k++)
		if (strlen(policy_keys[k]) == n && !memcmp(policy_keys[k], optarg, n)) {
			g->args.value[k] = optarg + n + 1;
			return EXIT_OK;
		}
	return misuse("--set takes a key of a shelf's policy and its value, such as retention=10y");
}

static int take_option(void *user, int option)
{
	struct planning *g = user;

	switch (option) {
	case OPT_SHELF:
		g->shelf = optarg;
		return EXIT_OK;
	case OPT_SET:
		return take_set(g);
	case OPT_POLICY:
		g->args.file = optarg;
		return EXIT_OK;
	case OPT_AT:
		if (when_parse(optarg, &g->plan.at) < 0 || g->plan.at == COF_RETAIN_INFINITE)
			return misuse(
			    "--at takes a date such as 2031-01-02, or 2031-01-02T03:04:05Z");
		return EXIT_OK;
	case OPT_FILES:
		g->files = true;
		return EXIT_OK;
	case OPT_JSON:
		g->json = true;
		return EXIT_OK;
	default:
		return opener_take(&g->plan.source.opener, option);
	}
}

static int plan_and_tell(struct planning *g, const char *arg, bool *ret_weaker)
{
	struct cof_diag diag = {""};

	if (g->files) {
		g->plan.file = show_file;
		g->plan.user = g;
	}
	if (gather(g, arg, &diag) < 0)
		return failure(&diag);
	return tell(g, ret_weaker) < 0 ? EXIT_FAILED : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct planning g = {.plan = {.source = SOURCE_INIT, .at = COF_RETAIN_NONE}};
	bool weaker = false;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&g, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 1, 2))
		return EXIT_USAGE;
	g.profile = argv[optind + 1];
	if (policy_given(&g.args) && (!g.shelf || g.profile))
		return misuse("--set and --policy are for one --shelf, without a PROFILE");
	if (*opener_conflict(&g.plan.source.opener))
		return misuse("%s", opener_conflict(&g.plan.source.opener));
	code = plan_and_tell(&g, argv[optind], &weaker);
	plan_done(&g.plan);
	return code ? code : weaker ? EXIT_WEAKER : EXIT_OK;
}

const struct verb verb_plan = {
    .name = "plan",
    .args = "STORE [PROFILE]",
    .summary = "what a policy would lock, before you commit to it",
    .text = "Prints for each shelf what its policy promises and what would be locked by it until "
	    "when: open files if they "
	    "were committed now, and what is committed already. With PROFILE, a name or a file, by "
	    "the policies that it has "
	    "for shelves; with --shelf and --set or --policy by another policy of one shelf; else "
	    "by those in force. "
	    "Nothing is changed. Certificates in open files count, and what follows certificates; "
	    "holds are not looked at.\n"
	    "\n"
	    "A mounted archive is asked through its daemon (root only), and open files of "
	    "certificate shelves are read for "
	    "it unless that would be on record; one that is not mounted is opened with its key.\n"
	    "\n"
	    "Examples:\n"
	    "  coffer plan STORE gpki-4\n"
	    "  coffer plan STORE --shelf invoices --set retention=12y --files\n"
	    "\n"
	    "Exit code: 0 planned, 3 a policy would be weaker than now, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
