/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow status and inventory: of each epoch that keys are encrypted to, which losses still let it be recovered and
 * whose hands suffice to steal it; and every key, token and who can reach it.
 */
#include "tools/coffer.h"
#include "tools/escrow-drills.h"
#include "tools/escrow-due.h"
#include "tools/escrow-things.h"
#include "tools/escrow-tpm.h"
#include "tools/escrow-ledger.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define EXIT_ALARM 3

enum { OPT_JSON };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct telling {
	struct escrow_shelf shelf;
	struct ledger ledger;
	struct cof_profile policy;
	struct escrow_drills *drills; /* of each epoch */
	bool json, alarm;
	struct cof_json *out; /* json: the object */
};

static int take(void *user, int option)
{
	struct telling *t = user;

	if (option == OPT_JSON)
		t->json = true;
	else
		return opener_take(&t->shelf.ask.opener, option);
	return EXIT_OK;
}

/* ---- one epoch ---- */

/* Shares that are no more, by what custodians said; and whether the others suffice that count. */
static bool still_suffices(const struct telling *t, const struct ledger_epoch *e, const struct cof_scheme *s, unsigned *ret_gone)
{
	bool lost[COF_CUSTODIANS_MAX] = {false};

	*ret_gone = 0;
	for (unsigned i = 0; i < s->n_custodians; i++) {
		lost[i] = escrow_ledger_destroyed(&t->ledger, e, s->custodian[i].name);
		*ret_gone += lost[i];
		lost[i] |= escrow_ledger_shut_out(&t->ledger, e, s->custodian[i].name);
	}
	return cof_scheme_suffices(s, lost);
}

static void say_one(const struct cof_json *o)
{
	cof_autofree char *value = escaped(ledger_text(o, "value"));

	printf("%s %s", ledger_text(o, "kind"), value ? value : "?");
}

static void say_list(const struct cof_json *list, const char *before, const char *after, enum colour in)
{
	for (size_t i = 0; i < cof_json_count(list); i++) {
		const struct cof_json *one = cof_json_at(list, i);

		printf("  %s%s", colour(in), before);
		if (cof_json_count(one)) {
			say_one(cof_json_at(one, 0));
			printf(" and ");
			one = cof_json_at(one, 1);
		}
		say_one(one);
		printf("%s%s\n", after, colour(PLAIN));
	}
}

static void say_epoch(const struct telling *t, const struct ledger_epoch *e, const struct cof_json *report)
{
	unsigned keys = escrow_ledger_keys(&t->ledger, e->epoch_key);
	char date[32];

	cof_time_text(e->valid ? e->valid : e->begun, date);
	printf("%sepoch %u%s%s, %s since %.10s: %u key%s; %d persons at the fewest open them%s\n", colour(BOLD), e->number, colour(PLAIN),
	       e->rehearsal ? ", a rehearsal" : "", ledger_text(report, "state"), date, keys, plural(keys),
	       (int)ledger_number(report, "persons_needed"), cof_json_bool(report, "dispersed") ? "; dispersed" : "; NOT dispersed");
	say_list(cof_json_get(report, "alone"), "whoever has ", " has shares that suffice: theft needs nothing else", RED);
	say_list(cof_json_get(report, "theft_pairs"), "whoever has ", " has shares that suffice", PLAIN);
	say_list(cof_json_get(report, "lost_alone"), "if ", " is lost, the keys are lost", RED);
	say_list(cof_json_get(report, "lost_pairs"), "if ", " are lost, the keys are lost", RED);
	if (!cof_json_bool(report, "recoverable"))
		printf("  %sthe shares that are left do not suffice: the keys are lost%s\n", colour(RED), colour(PLAIN));
	for (size_t i = 0; i < cof_json_count(cof_json_get(report, "revoked_with_share")); i++)
		printf("  %s was revoked and still has a share, as far as anybody said\n",
		       cof_json_value_str(cof_json_at(cof_json_get(report, "revoked_with_share"), i)));
	printf("  a recovery was tried %.10s, all shares were shown %.10s\n", *ledger_text(report, "last_drill") ? ledger_text(report, "last_drill") : "never",
	       *ledger_text(report, "shares_proven") ? ledger_text(report, "shares_proven") : "when it was made");
	if (cof_json_bool(report, "drill_overdue") || cof_json_bool(report, "drill_late"))
		printf("  %s%s: coffer escrow due%s\n", colour(RED), cof_json_bool(report, "drill_overdue") ? "a drill is overdue" : "the last recovery took longer than was promised", colour(PLAIN));
	if (escrow_renewal_due(&t->ledger, e))
		printf("  %sa key was recovered: its secret was in one place then. A new epoch is due, and the keys go to it%s\n", colour(RED),
		       colour(PLAIN));
}

/* One of each epoch of the ledger. */
static int judge_drills(struct telling *t)
{
	int r = 0;

	t->drills = calloc(t->ledger.n_epochs + 1, sizeof(*t->drills));
	if (!t->drills)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < t->ledger.n_epochs; i++)
		r = escrow_drills_of(&t->ledger, &t->ledger.epoch[i], &t->policy, &t->drills[i]);
	return r;
}

/* When a quorum recovered a canary of its epoch, and since when all its custodians showed to have their shares. */
static void set_drills(const struct telling *t, const struct ledger_epoch *e, struct cof_json *o)
{
	const struct escrow_drills *d;
	bool due;

	if (!e)
		return;
	d = &t->drills[e - t->ledger.epoch];
	due = escrow_drills_wanted(&t->ledger, e);
	if (d->full != INT64_MIN)
		cof_json_set_time(o, "last_drill", d->full);
	if (d->shares_last != INT64_MIN)
		cof_json_set_time(o, "shares_proven", d->shares_last);
	cof_json_set_bool(o, "drill_overdue", due && COF_MIN(d->shares_due, d->full_due) < cof_now(CLOCK_REALTIME));
	cof_json_set_bool(o, "drill_late", due && escrow_drills_late(d));
}

static int report_on(struct telling *t, const struct ledger_epoch *e, struct cof_json *report, struct cof_diag *diag)
{
	struct cof_json *revoked = cof_json_array();
	struct cof_epoch doc = {0};
	unsigned gone = 0;
	int r = escrow_ledger_document_of(&t->shelf, e, &doc, diag);

	if (r == 0)
		r = cof_scheme_report(&doc.scheme, report);
	cof_json_set_uint(report, "epoch", e->number);
	cof_json_set_str(report, "state", e->revoked ? "revoked" : e->valid ? "in force" : "begun");
	cof_json_set_uint(report, "keys", escrow_ledger_keys(&t->ledger, e->epoch_key));
	cof_json_set_bool(report, "rehearsal", e->rehearsal);
	for (unsigned i = 0; r == 0 && i < doc.scheme.n_custodians; i++)
		if (escrow_ledger_revoked(&t->ledger, e->shelf, doc.scheme.custodian[i].name) &&
		    !escrow_ledger_destroyed(&t->ledger, e, doc.scheme.custodian[i].name))
			cof_json_append(revoked, cof_json_new_str(doc.scheme.custodian[i].name));
	cof_json_set(report, "revoked_with_share", revoked);
	if (r == 0)
		cof_json_set_bool(report, "recoverable", still_suffices(t, e, &doc.scheme, &gone));
	cof_json_set_uint(report, "shares_destroyed", gone);
	cof_json_set_bool(report, "renewal_due", escrow_renewal_due(&t->ledger, e));
	set_drills(t, e, report);
	t->alarm |= r == 0 && !e->rehearsal && escrow_ledger_keys(&t->ledger, e->epoch_key) && (!cof_json_bool(report, "dispersed") || !cof_json_bool(report, "recoverable") ||
							    escrow_renewal_due(&t->ledger, e));
	t->alarm |= cof_json_bool(report, "drill_overdue") || cof_json_bool(report, "drill_late");
	cof_epoch_done(&doc);
	return r;
}

/* ---- status ---- */

static int status(struct telling *t, struct cof_diag *diag)
{
	struct cof_json *epochs = cof_json_array();
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->ledger.n_epochs; i++) {
		const struct ledger_epoch *e = &t->ledger.epoch[i];
		struct cof_json *report;

		if (e->revoked && !escrow_ledger_keys(&t->ledger, e->epoch_key))
			continue;
		report = cof_json_object();
		r = report_on(t, e, report, diag);
		if (r == 0 && !t->json)
			say_epoch(t, e, report);
		cof_json_append(epochs, report);
		n++;
	}
	cof_json_set(t->out, "epochs", epochs);
	cof_json_set_uint(t->out, "keys", t->ledger.n_keys);
	if (r == 0 && !t->json && !n)
		printf("No epoch is on this shelf: nothing can be kept here yet.\n");
	return r;
}

/* ---- inventory ---- */

static unsigned files_of(const struct telling *t, const struct ledger_key *k)
{
	unsigned n = 1;

	for (size_t i = 0; i < t->ledger.n_records; i++)
		n += !strcmp(ledger_text(t->ledger.record[i], "what"), "rotated") && !strcmp(ledger_text(t->ledger.record[i], "key"), k->id);
	return n;
}

static void tell_key(const struct telling *t, const struct ledger_key *k, struct cof_json *o)
{
	static const char *const keys[] = {"name", "owner", "purpose", "level", "usage", "bits", "persons", "rehearsal", "wrapped", "public_key"};
	cof_autojson struct cof_json *detail = NULL;

	cof_json_set_str(o, "kind", "key");
	cof_json_set_str(o, "key", k->id);
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (cof_json_get(k->o, keys[i]))
			cof_json_set(o, keys[i], cof_json_ref(cof_json_get(k->o, keys[i])));
	if (cof_json_parse(ledger_text(k->o, "detail"), strlen(ledger_text(k->o, "detail")), &detail) == 0) {
		cof_json_set_str(o, "algorithm", ledger_text(detail, "algorithm"));
		if (cof_json_str(detail, "token"))
			cof_json_set_str(o, "token", cof_json_str(detail, "token"));
	}
	cof_json_set_time(o, "created", k->created);
	cof_json_set_uint(o, "epoch", k->epoch);
	cof_json_set_bool(o, "revoked", k->revoked);
	if (cof_json_str(k->o, "retain_until"))
		cof_json_set_str(o, "retain_until", cof_json_str(k->o, "retain_until"));
	set_drills(t, escrow_ledger_epoch_of(&t->ledger, k), o);
	cof_json_set_uint(o, "files", files_of(t, k));
}

static void say_key(const struct cof_json *o)
{
	cof_autofree char *name = escaped(ledger_text(o, "name"));

	printf("key %.16s  %s: %s, level %d, to %s, %s %d bits; since %.10s, kept until %.10s; %d persons of epoch %d reach it; "
	       "tried %.10s; %d file%s%s\n",
	       ledger_text(o, "key"), name ? name : "?", ledger_text(o, "owner"), (int)ledger_number(o, "level"), ledger_text(o, "usage"),
	       ledger_text(o, "algorithm"), (int)ledger_number(o, "bits"), ledger_text(o, "created"),
	       *ledger_text(o, "retain_until") ? ledger_text(o, "retain_until") : "none", (int)ledger_number(o, "persons"),
	       (int)ledger_number(o, "epoch"), *ledger_text(o, "last_drill") ? ledger_text(o, "last_drill") : "never",
	       (int)ledger_number(o, "files"), plural((uint64_t)ledger_number(o, "files")), cof_json_bool(o, "revoked") ? "; revoked" : "");
}

/* Modules that are written down, and those of before that keys name. */
static int tell_tokens(const struct telling *t, struct cof_json *list)
{
	int r = escrow_things(&t->ledger, "token", list);

	for (size_t i = 0; r == 0 && i < t->ledger.n_keys; i++) {
		const struct cof_json *o = t->ledger.key[i].o;
		cof_autojson struct cof_json *detail = NULL;
		const char *text = ledger_text(o, "detail"), *name = NULL;
		struct cof_json *one;

		if (cof_json_bool(o, "wrapped") && cof_json_parse(text, strlen(text), &detail) == 0)
			name = cof_json_str(detail, "token");
		for (size_t k = 0; name && k < cof_json_count(list); k++)
			if (!strcmp(ledger_text(cof_json_at(list, k), "name"), name))
				name = NULL;
		if (!name)
			continue;
		one = cof_json_object();
		cof_json_set_str(one, "kind", "token");
		cof_json_set_str(one, "name", name);
		cof_json_set_str(one, "since", ledger_text(o, "time"));
		cof_json_set_str(one, "state", "not written down");
		cof_json_append(list, one);
	}
	return r;
}

static void say_things(const struct cof_json *list)
{
	static const struct {
		const char *key, *before;
	} all[] = {{"model", ""}, {"serial", "serial "}, {"level", "level "}, {"type", ""}, {"place", "place "}, {"fire_rating", "fire rating "},
		   {"custodian", "share of "}, {"by", "by "}, {"reason", ""}};

	for (size_t i = 0; i < cof_json_count(list); i++) {
		const struct cof_json *o = cof_json_at(list, i);
		cof_autofree char *name = escaped(ledger_text(o, "name"));

		printf("%s %s, %s since %.10s", ledger_text(o, "kind"), name ? name : "?",
		       *ledger_text(o, "state") ? ledger_text(o, "state") : ledger_text(o, "move"), ledger_text(o, "since"));
		for (size_t k = 0; k < COF_COUNT(all); k++) {
			cof_autofree char *value = escaped(ledger_text(o, all[k].key));

			if (value && *value)
				printf(", %s%s", all[k].before, value);
		}
		if (cof_json_get(o, "keys"))
			printf("; wrapped %d key%s that %s kept", (int)ledger_number(o, "keys"), plural((uint64_t)ledger_number(o, "keys")),
			       ledger_number(o, "keys") == 1 ? "is" : "are");
		printf("\n");
	}
}

static int inventory(struct telling *t)
{
	struct cof_json *keys = cof_json_array(), *tokens = cof_json_array(), *media = cof_json_array(), *tpm = cof_json_array();
	int r;

	for (size_t i = 0; i < t->ledger.n_keys; i++) {
		struct cof_json *o = cof_json_object();

		tell_key(t, &t->ledger.key[i], o);
		if (!t->json)
			say_key(o);
		cof_json_append(keys, o);
	}
	r = tell_tokens(t, tokens);
	if (r == 0)
		r = escrow_things(&t->ledger, "medium", media);
	if (r == 0)
		r = escrow_tpm_list(&t->ledger, tpm);
	if (r == 0 && !t->json) {
		say_things(tokens);
		say_things(media);
		say_things(tpm);
	}
	cof_json_set(t->out, "keys", keys);
	cof_json_set(t->out, "tokens", tokens);
	cof_json_set(t->out, "media", media);
	cof_json_set(t->out, "tpm_keys", tpm);
	return r;
}

/* ---- the verbs ---- */

static int run(const struct verb *self, int argc, char **argv)
{
	struct telling t = {.shelf = ESCROW_SHELF_INIT};
	bool lists = !strcmp(self->name, "escrow inventory");
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &t, 1);
	int r;

	if (code >= 0)
		return code;
	if (*opener_conflict(&t.shelf.ask.opener))
		return misuse("%s", opener_conflict(&t.shelf.ask.opener));
	t.out = cof_json_object();
	t.shelf.ask.reads = true;
	r = escrow_open(&t.shelf, argv[optind], false, &diag);
	if (r == 0)
		r = escrow_ledger_load(&t.shelf, lists, &t.ledger, &diag);
	if (r == 0)
		r = escrow_policy(&t.shelf, &t.policy, &diag);
	if (r == 0)
		r = judge_drills(&t);
	if (r == 0)
		r = lists ? inventory(&t) : status(&t, &diag);
	if (r == 0 && t.json)
		r = print_json(t.out, true);
	cof_json_free(t.out);
	for (size_t i = 0; t.drills && i < t.ledger.n_epochs; i++)
		escrow_drills_done(&t.drills[i]);
	free(t.drills);
	escrow_ledger_done(&t.ledger);
	r = escrow_close(&t.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : t.alarm ? EXIT_ALARM : EXIT_OK;
}

const struct verb verb_escrow_status = {
    .name = "escrow status",
    .args = "STORE[/SHELF]",
    .summary = "which losses are survived, and whose hands suffice",
    .text = "Of each epoch: how many keys are encrypted to it, how few persons open them, whether one person, organisation, place or "
	    "medium has shares that suffice (then it is not dispersed), and what must not be lost: alone, and in pairs. Told too: "
	    "revoked custodians who still have a share, shares that were destroyed, and that a new epoch is due.\n"
	    "\n"
	    "Exit code: 0 all is well, 3 something is not, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_inventory = {
    .name = "escrow inventory",
    .args = "STORE[/SHELF]",
    .summary = "every key and token, and who can reach it",
    .text = "Of each key: what it is, whose, what for, its strength, since when, until when its file is kept, how few persons reach it, "
	    "when a recovery by the shares of its epoch was tried last, and in how many files it lies. Behind them the hardware modules "
	    "(coffer escrow token), with how many keys they wrapped, and where the media are (coffer escrow medium).\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
