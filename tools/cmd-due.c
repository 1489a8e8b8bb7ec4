/* SPDX-License-Identifier: Apache-2.0 */
/* coffer due: every obligation of an archive's policy with its date. */
#include "tools/coffer.h"
#include "tools/obligations.h"
#include "tools/placement.h"
#include "tools/output.h"
#include "tools/when.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)
#define EXIT_OVERDUE 3

enum { OPT_AT, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_AT] = {"at", "DATE", "as of this date (2031-01-02, or with a time, UTC) instead of now"},
    [OPT_JSON] = {"json", NULL, "one JSON array instead of text"},
    {0},
};

static void set(struct cof_json *all, const struct obligation *o, int64_t now)
{
	struct cof_json *row = cof_json_object();
	char each[32];

	cof_span_text(o->each, each);
	cof_json_set_str(row, "obligation", o->name);
	cof_json_set_str(row, "rule", o->rule);
	cof_json_set_str(row, "what", o->what);
	if (*o->of)
		cof_json_set_str(row, "of", o->of);
	cof_json_set_str(row, "each", each);
	cof_json_set_time(row, "last", o->last);
	cof_json_set_time(row, "due", o->due);
	cof_json_set_bool(row, "overdue", o->due < now);
	cof_json_append(all, row);
}

static void say(const struct obligation *o, int64_t now)
{
	char due[32], last[32], each[32], span[32];
	cof_autofree char *of = escaped(o->of);
	bool late = o->due < now, rekey = !strcmp(o->name, "rekey");

	cof_time_text(o->due, due);
	cof_time_text(o->last, last);
	cof_span_text(o->each, each);
	cof_duration_text(late ? now - o->due : o->due - now, span);
	due[10] = last[10] = '\0';
	if (!o->each) { /* once, and it is owed already */
		printf("%s%-8s%s %s  %-16s %-4s %s: %s (%s%s)\n", colour(late ? RED : PLAIN), late ? "OVERDUE" : "due", colour(PLAIN), due, o->name,
		       o->rule, o->what, of ? of : "?", late ? "since " : "in ", span);
		return;
	}
	printf("%s%-8s%s %s  %-16s %-4s %s%s%s, %s %s; %s%s (%s%s)\n", colour(late ? RED : PLAIN), late ? "OVERDUE" : "due",
	       colour(PLAIN), due, o->name, o->rule, o->what, of && *of ? ": " : "", of ? of : "?", rekey ? "ahead" : "each", each,
	       rekey ? "valid from " : o->last == INT64_MIN ? "never done" : "last ", o->last == INT64_MIN ? "" : last,
	       late ? "since " : "in ", span);
}

/* What is not as the policy has it of places and vaults is due at once. */
static int tell_vaults(const struct facts *f, struct cof_json *all, bool *ret_late, struct cof_diag *diag)
{
	cof_autojson struct cof_json *alarms = cof_json_array();
	int r = placement_judge(&f->store, &f->policy, alarms, diag);

	for (size_t i = 0; r == 0 && i < cof_json_count(alarms); i++) {
		const char *text = cof_json_str(cof_json_at(alarms, i), "text");
		struct cof_json *row;

		*ret_late = true;
		if (!all) {
			printf("%sOVERDUE%s  vaults: %s\n", colour(RED), colour(PLAIN), text ? text : "?");
			continue;
		}
		row = cof_json_object();
		cof_json_set_str(row, "obligation", "vaults");
		cof_json_set_str(row, "what", text ? text : "?");
		cof_json_set_bool(row, "overdue", true);
		cof_json_append(all, row);
	}
	return r;
}

static int tell(const struct facts *f, int64_t now, bool json, bool *ret_late, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = json ? cof_json_array() : NULL;
	struct obligation o[OBLIGATIONS_MAX];
	size_t n = obligations_of(f, now, o);
	int r;

	for (size_t i = 0; i < n; i++) {
		*ret_late |= o[i].due < now;
		if (json)
			set(all, &o[i], now);
		else
			say(&o[i], now);
	}
	r = tell_vaults(f, all, ret_late, diag);
	if (r < 0)
		return r;
	if (json)
		return print_json(all, true) == -ENOMEM ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
	if (!n)
		printf("Nothing is ever due by this policy (%s).\n",
		       f->policy_sequence ? f->policy.profile : "no profile was set: coffer policy apply");
	return 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct opener_args opener = OPENER_ARGS_INIT;
	struct facts f = {.mounted = false};
	struct cof_diag diag = {""};
	int64_t now = cof_now(CLOCK_REALTIME);
	bool json = false, late = false;
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		if (option == OPT_AT && when_parse(optarg, &now) < 0)
			return misuse("--at takes a date such as 2031-01-02, or 2031-01-02T03:04:05Z");
		if (option == OPT_JSON)
			json = true;
		else if (option != OPT_AT && (code = opener_take(&opener, option)))
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	if (*opener_conflict(&opener))
		return misuse("%s", opener_conflict(&opener));
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = facts_gather(argv[optind], &opener, &f, &diag);
	if (r == 0)
		r = tell(&f, now, json, &late, &diag);
	facts_done(&f);
	return r < 0 ? failure(&diag) : late ? EXIT_OVERDUE : EXIT_OK;
}

const struct verb verb_due = {
    .name = "due",
    .args = "STORE",
    .summary = "what is to be done, and until when",
    .text = "Prints every obligation of the archive's policy with its date, overdue ones first: reviews, reports, audits, "
	    "self-checks, backups, drills, proofs of time, CRLs, new keys of CAs, backups of CAs' keys, a new epoch of escrow after a recovery, keys that go out unless it is vetoed. When it was done last the chain tells, by "
	    "an event of that name that Coffer recorded or a person signed, or by the certificates and CRLs that are archived; "
	    "what was never done counts from the making of the archive. A mounted archive is asked through its "
	    "daemon (root only); one that is not mounted is read with its key.\n"
	    "\n"
	    "Example: what comes in the next year\n"
	    "  coffer due STORE --at 2027-12-31\n"
	    "\n"
	    "Exit code: 0 nothing is overdue, 3 something is, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
