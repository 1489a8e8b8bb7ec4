/* SPDX-License-Identifier: Apache-2.0 */
/* coffer policy: the policy of a whole archive, shown, compared with a profile, and brought up to one. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/people.h"
#include "tools/policy-rows.h"
#include "tools/profile.h"
#include "tools/shelves.h"
#include "tools/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum { OPT_JSON };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

enum action { SHOW, CHECK, DIFF, APPLY };
static const char *const actions[] = {"show", "check", "diff", "apply", NULL};

struct policing {
	enum action action;
	const char *store, *file;
	bool json;
	struct opener_args opener;
	struct cof_profile_file profile;
	unsigned changed, weaker;
	struct cof_json *rows; /* of diff and apply, with --json */
};

/* ---- showing ---- */

static int ask(struct policing *p, const char *verb, struct cof_json *args, struct cof_json **ret, struct cof_diag *diag)
{
	struct people_asking a = PEOPLE_ASKING_INIT;
	int r;

	a.opener = p->opener;
	r = people_open(&a, p->store, diag);
	if (r == 0)
		r = people_ask_one(&a, verb, args, ret, diag);
	return people_close(&a, r, diag);
}

static int get(struct policing *p, struct cof_json **ret, struct cof_profile *ret_policy, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct cof_profile_file f;
	const char *text;
	int r = ask(p, "policy", args, ret, diag);

	if (r < 0)
		return r;
	text = cof_json_str(*ret, "policy");
	r = text ? cof_profile_parse(text, strlen(text), &f, diag) : cof_fail(diag, -EPROTO, "no policy in the answer");
	if (r < 0)
		return r;
	*ret_policy = f.archive;
	cof_profile_file_done(&f);
	return 0;
}

static int show(struct policing *p, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_profile now;
	const char *digest, *text;
	int r = get(p, &o, &now, diag);

	if (r < 0)
		return r;
	if (p->json)
		return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
	digest = cof_json_str(o, "sha256");
	text = cof_json_str(o, "policy");
	if (!cof_json_bool(o, "set"))
		printf("# No profile was set: these are the defaults.\n");
	printf("# SHA-256 %s\n%s", digest ? digest : "?", text ? text : "");
	return 0;
}

/* ---- checking a file ---- */

static int check(struct policing *p, struct cof_diag *diag COF_UNUSED)
{
	cof_autofree char *file = escaped(p->file);

	if (p->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "profile", p->profile.archive.profile);
		cof_json_set_uint(o, "keys", cof_profile_keys());
		cof_json_set_uint(o, "shelves", p->profile.n_shelves);
		return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
	}
	printf("%s holds together: profile '%s', level %u, %zu shel%s.\n", file ? file : "?", p->profile.archive.profile,
	       p->profile.archive.level, p->profile.n_shelves, p->profile.n_shelves == 1 ? "f" : "ves");
	return 0;
}

/* ---- what is not the same ---- */

static void row(struct policing *p, const char *shelf, const char *key, const char *old, const char *then, bool weaker)
{
	p->changed++;
	p->weaker += weaker;
	if (p->rows) {
		struct cof_json *o = cof_json_object();

		if (shelf)
			cof_json_set_str(o, "shelf", shelf);
		cof_json_set_str(o, "key", key);
		cof_json_set_str(o, "old", old);
		cof_json_set_str(o, "new", then);
		cof_json_set_bool(o, "weaker", weaker);
		cof_json_append(p->rows, o);
		return;
	}
	printf("%s%s%s%-20s %s -> %s%s\n", shelf ? "[shelf " : "", shelf ? shelf : "", shelf ? "] " : "", key,
	       *old ? old : "(none)", *then ? then : "(none)", weaker ? "   weaker: needs approval" : "");
}

static int one_change(void *user, const struct cof_profile_change *c)
{
	row(user, NULL, c->key, c->old_value, c->new_value, c->weaker);
	return 0;
}

struct comparing {
	struct policing *p;
	const char *shelf;
};

static void shelf_row(void *user, const char *key, const char *old, const char *then, bool weaker)
{
	const struct comparing *c = user;

	row(c->p, c->shelf, key, old, then, weaker);
}

static int compare_shelf(struct policing *p, const struct cof_profile_shelf *s, const struct cof_json *have,
			 bool *ret_changed, bool *ret_weaker)
{
	struct comparing c = {.p = p, .shelf = s->name};
	const char *text = cof_json_str(have, "policy");
	cof_autobuf struct cof_buf then = {0};
	int r = cof_policy_text(&s->policy, &then);

	*ret_changed = *ret_weaker = false;
	if (r < 0)
		return r;
	if (!have) {
		*ret_changed = true;
		row(p, s->name, "(shelf)", "", "made", false);
		return 0;
	}
	return policy_rows_shelf(text ? text : "", then.data ? (const char *)then.data : "", shelf_row, &c, ret_changed, ret_weaker);
}

static int apply_archive(struct policing *p, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0};
	int r;

	/* Asked also where it would be weaker: the attempt belongs on record. */
	r = cof_profile_text(&p->profile.archive, &text);
	if (r < 0)
		return r;
	cof_json_set_str(args, "policy", (const char *)text.data);
	return ask(p, "policy-set", args, &o, diag);
}

static int each_shelf(struct policing *p, struct shelves *s, struct cof_diag *diag)
{
	for (size_t i = 0; i < p->profile.n_shelves; i++) {
		const struct cof_profile_shelf *one = &p->profile.shelves[i];
		const struct cof_json *have = shelves_find(s, one->name);
		cof_autobuf struct cof_buf text = {0};
		bool changed, weaker;
		int r = compare_shelf(p, one, have, &changed, &weaker);

		if (r == 0)
			r = cof_policy_text(&one->policy, &text);
		if (r < 0)
			return r;
		if (!changed || weaker || p->action == DIFF)
			continue;
		r = have ? shelves_set(s, one->name, (const char *)text.data, diag)
			 : shelves_add(s, one->name, (const char *)text.data, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int shelves(struct policing *p, struct cof_diag *diag)
{
	struct shelves s = {.direct = false};
	int r = shelves_open(&s, p->store, &p->opener, p->action == APPLY, diag);

	if (r == 0)
		r = shelves_load(&s, diag);
	if (r == 0)
		r = each_shelf(p, &s, diag);
	return shelves_close(&s, r, diag);
}

static int compare(struct policing *p, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_profile now;
	int r = get(p, &o, &now, diag);

	if (r == 0)
		r = cof_profile_compare(&now, &p->profile.archive, one_change, p);
	if (r == 0 && p->action == APPLY)
		r = apply_archive(p, diag);
	if (r == 0)
		r = shelves(p, diag);
	if (r < 0)
		return r;
	if (p->json)
		return print_json(p->rows, true) == -ENOMEM ? -ENOMEM : 0;
	if (!p->changed)
		printf("The archive is as the profile says.\n");
	if (p->action == APPLY && p->weaker)
		printf("%u shel%s left as before: coffer request shelf-set STORE NAME @FILE\n", p->weaker,
		       p->weaker == 1 ? "f was" : "ves were");
	return 0;
}

/* ---- what they became, without keys ---- */

struct became {
	struct policing *p;
	const struct cof_policy_then *then;
	bool told; /* of which frame the rows are */
};

static void tell_frame(struct became *b)
{
	char time[32], request[65];

	if (b->told)
		return;
	b->told = true;
	cof_time_text(b->then->record_time, time);
	printf("frame %" PRIu64 ", %s, ", b->then->sequence, time);
	if (b->then->ino)
		printf("the shelf that is inode %" PRIu64, b->then->ino);
	else
		printf("the archive");
	if (b->then->request) {
		cof_hex(b->then->request, 32, request);
		printf(", by request %s", request);
	}
	printf(":\n");
}

static struct cof_json *frame_row(const struct cof_policy_then *then)
{
	struct cof_json *o = cof_json_object();
	char request[65];

	cof_json_set_uint(o, "sequence", then->sequence);
	cof_json_set_time(o, "time", then->record_time);
	if (then->ino)
		cof_json_set_uint(o, "inode", then->ino);
	if (then->request) {
		cof_hex(then->request, 32, request);
		cof_json_set_str(o, "request", request);
	}
	return o;
}

static void then_row(void *user, const char *key, const char *old, const char *then, bool weaker)
{
	struct became *b = user;
	/* What stands in a log is anybody's text. */
	cof_autofree char *name = escaped(key), *was = escaped(*old ? old : "(none)"), *is = escaped(*then ? then : "(none)");

	b->p->changed++;
	if (b->p->rows) {
		struct cof_json *o = frame_row(b->then);

		cof_json_set_str(o, "key", key);
		cof_json_set_str(o, "old", old);
		cof_json_set_str(o, "new", then);
		cof_json_set_bool(o, "weaker", weaker);
		cof_json_append(b->p->rows, o);
		return;
	}
	tell_frame(b);
	printf("  %-20s %s -> %s%s\n", name ? name : "?", was ? was : "?", is ? is : "?", weaker ? "   weaker" : "");
}

static int one_frame(void *user, const struct cof_policy_then *then)
{
	struct became b = {.p = user, .then = then};
	bool changed, weaker;

	if (then->made)
		return 0;
	if (!then->ino)
		return policy_rows_archive(then->before, then->after, then_row, &b);
	if (then->before)
		return policy_rows_shelf(then->before, then->after, then_row, &b, &changed, &weaker);
	then_row(&b, "(shelf)", "", "made", false);
	return policy_rows_shelf("", then->after, then_row, &b, &changed, &weaker);
}

static int tell_changes(struct policing *p, struct cof_diag *diag)
{
	autostore struct store st = {0};
	int r = store_open(p->store, &st, diag);

	if (r == 0)
		r = cof_store_policies(st.io, one_frame, p, diag);
	if (r < 0)
		return r;
	if (p->json)
		return print_json(p->rows, true) == -ENOMEM ? -ENOMEM : 0;
	if (!p->changed)
		printf("No policy was changed since the archive was made.\n");
	return 0;
}

/* ---- the verb ---- */

static int act(struct policing *p, struct cof_diag *diag)
{
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0 && p->file)
		r = profile_load(p->file, &p->profile, NULL, diag);
	if (r < 0)
		return r;
	if (p->json && p->action >= DIFF)
		p->rows = cof_json_array();
	return p->action == SHOW    ? show(p, diag)
	       : p->action == CHECK ? check(p, diag)
	       : p->file	    ? compare(p, diag)
				    : tell_changes(p, diag);
}

static int take_operands(struct policing *p, const struct verb *self, int argc, char **argv)
{
	const char *word;
	int most, least;

	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	word = argv[optind];
	for (p->action = SHOW; actions[p->action] && strcmp(word, actions[p->action]);)
		p->action++;
	if (!actions[p->action])
		return misuse("'%s' is none of show, check, diff and apply", word);
	most = p->action >= DIFF ? 3 : 2;
	least = p->action == DIFF ? 2 : most;
	if (!operands_within(self, argc, argv, least, most))
		return EXIT_USAGE;
	p->store = p->action == CHECK ? NULL : argv[optind + 1];
	p->file = p->action == SHOW || argc - optind < most ? NULL : argv[optind + most - 1];
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct policing p = {.opener = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			p.json = true;
		else if ((code = opener_take(&p.opener, option)))
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	code = take_operands(&p, self, argc, argv);
	if (code)
		return code;
	if (*opener_conflict(&p.opener))
		return misuse("%s", opener_conflict(&p.opener));
	code = act(&p, &diag) < 0 ? failure(&diag) : EXIT_OK;
	if (!code && p.weaker)
		code = EXIT_FAILED;
	cof_json_free(p.rows);
	cof_profile_file_done(&p.profile);
	return code;
}

const struct verb verb_policy = {
    .name = "policy",
    .args = "show|check|diff|apply [STORE] [PROFILE]",
    .summary = "the policy of a whole archive, by profile",
    .text = "  show STORE           the policy in force, as text, with its digest\n"
	    "  check PROFILE        whether a profile holds together; line and reason if not\n"
	    "  diff STORE PROFILE   what a profile would change\n"
	    "  diff STORE           what was changed since the archive was made, old and\n"
	    "                       new values, frame by frame; takes no key\n"
	    "  apply STORE PROFILE  changes what becomes stronger, and makes missing shelves\n"
	    "\n"
	    "PROFILE is one that ships (gpki-1 to gpki-4, vasp, securities, insurance, plain) or a file. "
	    "A policy of the archive that promises less in any key is refused as a whole; a shelf's is left as it "
	    "is. Both take a request that others approve (coffer request). Each change is an event with old and "
	    "new values.\n"
	    "\n"
	    "Examples:\n"
	    "  coffer policy check my-profile.ini\n"
	    "  coffer policy diff /var/lib/coffer/audit gpki-4\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, or something would become weaker, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "show check diff apply",
};
