/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow schedule and due: when each custodian and a quorum practised last, and when they have to again. */
#include "tools/coffer.h"
#include "tools/escrow-drills.h"
#include "tools/escrow-due.h"
#include "tools/output.h"
#include "tools/when.h"

#include <getopt.h>
#include <stdio.h>

#define EXIT_OVERDUE 3

enum { OPT_AT, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_AT] = {"at", "DATE", "as of this date (2031-01-02, or with a time, UTC) instead of now"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct scheduling {
	struct escrow_shelf shelf;
	struct ledger ledger;
	struct cof_profile policy;
	int64_t now;
	bool json, only_due, overdue;
	size_t n;
	struct cof_json *rows;
};

static int take(void *user, int option)
{
	struct scheduling *s = user;

	if (option == OPT_AT)
		return when_parse(optarg, &s->now) < 0 ? misuse("--at takes a date such as 2031-01-02, or 2031-01-02T03:04:05Z") : EXIT_OK;
	if (option != OPT_JSON)
		return opener_take(&s->shelf.ask.opener, option);
	s->json = true;
	return EXIT_OK;
}

/* ---- rows ---- */

struct row {
	const char *what, *who;	  /* who: NULL: a quorum */
	uint32_t epoch;
	int64_t last, due, failed; /* last, failed: INT64_MIN: never; due: INT64_MAX: no date */
	int64_t asked;		   /* INT64_MIN: nothing is on its way */
	const char *reason;	   /* of what failed */
	int64_t took, promised;
};

static void set_time(struct cof_json *o, const char *key, int64_t t)
{
	if (t != INT64_MIN && t != INT64_MAX)
		cof_json_set_time(o, key, t);
}

static void tell(struct scheduling *s, const struct row *v, bool late)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", v->what);
	cof_json_set_uint(o, "epoch", v->epoch);
	if (v->who)
		cof_json_set_str(o, "custodian", v->who);
	set_time(o, "last", v->last);
	set_time(o, "due", v->due);
	set_time(o, "asked", v->asked);
	set_time(o, "failed", v->failed);
	if (v->failed != INT64_MIN && v->reason)
		cof_json_set_str(o, "reason", v->reason);
	if (v->took)
		cof_json_set_uint(o, "took_ns", (uint64_t)v->took);
	if (v->promised)
		cof_json_set_uint(o, "promised_ns", (uint64_t)v->promised);
	cof_json_set_bool(o, "overdue", late);
	cof_json_append(s->rows, o);
}

static void say(const struct row *v, bool late)
{
	cof_autofree char *reason = escaped(v->reason ? v->reason : "");
	char due[32], last[32], asked[32], failed[32], took[32];

	cof_time_text(v->due, due);
	cof_time_text(v->last, last);
	cof_time_text(v->asked, asked);
	cof_time_text(v->failed, failed);
	cof_duration_text(v->took, took);
	printf("%s%-8s%s %.10s  %-11s epoch %-3u %s%slast %.10s", colour(late ? RED : PLAIN), late ? "OVERDUE" : "due", colour(PLAIN),
	       v->due == INT64_MAX ? "no date   " : due, v->what, v->epoch, v->who ? v->who : "", v->who ? ": " : "",
	       v->last == INT64_MIN ? "never" : last);
	if (v->took)
		printf(", in %s%s", took, v->promised && v->took > v->promised ? ", longer than was promised" : "");
	if (v->asked != INT64_MIN)
		printf("; begun %.10s", asked);
	if (v->failed != INT64_MIN)
		printf("; %sfailed %.10s%s: %s", colour(RED), failed, colour(PLAIN), reason ? reason : "?");
	printf("\n");
}

static void row(struct scheduling *s, const struct row *v)
{
	bool late = v->due < s->now || (v->promised && v->took > v->promised);

	s->overdue |= late;
	if (s->only_due && !late)
		return;
	s->n++;
	tell(s, v, late);
	if (!s->json)
		say(v, late);
}

/* ---- all of an epoch ---- */

static int by_due(const void *a, const void *b)
{
	const struct drilled_custodian *x = a, *y = b;

	return x->due < y->due ? -1 : x->due > y->due ? 1 : strcmp(x->name, y->name);
}

static int one_epoch(struct scheduling *s, const struct ledger_epoch *e)
{
	struct escrow_drills d;
	int r = escrow_drills_of(&s->ledger, e, &s->policy, &d);

	if (r < 0)
		return r;
	qsort(d.custodian, d.n, sizeof(*d.custodian), by_due);
	for (unsigned i = 0; i < d.n; i++)
		row(s, &(struct row){.what = "share", .who = d.custodian[i].name, .epoch = e->number, .last = d.custodian[i].last,
				     .due = d.custodian[i].due, .asked = d.custodian[i].asked, .failed = d.custodian[i].failed,
				     .reason = d.custodian[i].reason});
	row(s, &(struct row){.what = "full drill", .epoch = e->number, .last = d.full, .due = d.full_due, .asked = d.canary,
			     .failed = d.full_failed, .reason = d.full_reason, .took = d.took, .promised = d.promised});
	escrow_drills_done(&d);
	return 0;
}

static int schedule(struct scheduling *s, struct cof_diag *diag)
{
	int r = escrow_ledger_load(&s->shelf, false, &s->ledger, diag);

	if (r == 0)
		r = escrow_policy(&s->shelf, &s->policy, diag);
	for (size_t i = 0; r == 0 && i < s->ledger.n_epochs; i++) {
		const struct ledger_epoch *e = &s->ledger.epoch[i];

		if (escrow_drills_wanted(&s->ledger, e))
			r = one_epoch(s, e);
		if (r == 0 && e->recovered_at && escrow_renewal_due(&s->ledger, e))
			row(s, &(struct row){.what = "new epoch", .epoch = e->number, .last = e->recovered, .due = e->recovered, .failed = INT64_MIN,
					     .asked = INT64_MIN});
	}
	if (r == 0 && !s->json && !s->n)
		printf(s->only_due ? "Nothing of escrow is overdue.\n" : "No epoch is in force here: there is nothing to practise.\n");
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct scheduling s = {.shelf = ESCROW_SHELF_INIT, .now = cof_now(CLOCK_REALTIME), .only_due = !strcmp(self->name, "escrow due")};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &s, 1);
	cof_autojson struct cof_json *o = NULL;
	int r;

	if (code >= 0)
		return code;
	if (*opener_conflict(&s.shelf.ask.opener))
		return misuse("%s", opener_conflict(&s.shelf.ask.opener));
	o = cof_json_object();
	s.rows = cof_json_array();
	cof_json_set(o, "rows", s.rows);
	s.shelf.ask.reads = true;
	r = escrow_open(&s.shelf, argv[optind], false, &diag);
	if (r == 0)
		r = schedule(&s, &diag);
	if (r == 0 && s.json)
		r = print_json(o, true);
	escrow_ledger_done(&s.ledger);
	r = escrow_close(&s.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : s.only_due && s.overdue ? EXIT_OVERDUE : EXIT_OK;
}

const struct verb verb_escrow_schedule = {
    .name = "escrow schedule",
    .args = "STORE[/SHELF]",
    .summary = "when shares and a recovery are to be tried again",
    .text = "Of each epoch in use: when each custodian showed last to have the share, when a quorum recovered a canary and how long it "
	    "took, and when either has to be done again by the policy: escrow_drill, escrow_full_drill, escrow_time. What is on its way, "
	    "and what failed since, is said.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_due = {
    .name = "escrow due",
    .args = "STORE[/SHELF]",
    .summary = "of the schedule what is overdue",
    .text = "The lines of coffer escrow schedule that are overdue, or took longer than was promised. coffer due has them among all other "
	    "obligations.\n"
	    "\n"
	    "Exit code: 0 nothing is, 3 something is, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
