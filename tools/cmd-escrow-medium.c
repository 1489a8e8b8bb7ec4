/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow medium and token: what shares and backups lie on, in and out of which place; and hardware modules. Records of
 * what people say: an inventory, which coffer escrow inventory prints.
 */
#include "tools/coffer.h"
#include "tools/escrow-things.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_PLACE, OPT_REASON, OPT_KIND, OPT_BY, OPT_CUSTODIAN, OPT_FIRE, OPT_COUNT }; /* of a medium */
enum { OPT_MODEL = OPT_REASON + 1, OPT_SERIAL, OPT_LEVEL, OPT_STATE };		   /* of a token, behind the first two */

static const struct tool_option medium_options[] = {
    [OPT_PLACE] = {"place", "TEXT", "in: where it lies from now on"},
    [OPT_REASON] = {"reason", "TEXT", "why"},
    [OPT_KIND] = {"kind", "TEXT", "in: what it is: paper, metal, card, a disk"},
    [OPT_BY] = {"by", "TEXT", "who puts it there or takes it out"},
    [OPT_CUSTODIAN] = {"custodian", "NAME", "in: whose share is on it, of the epoch in force"},
    [OPT_FIRE] = {"fire-rating", "TEXT", "in: of the safe"},
    {0},
};
static const struct tool_option token_options[] = {
    [OPT_PLACE] = {"place", "TEXT", "where it is"},
    [OPT_REASON] = {"reason", "TEXT", "why it is written down, or not used any more"},
    [OPT_MODEL] = {"model", "TEXT", "its maker and model"},
    [OPT_SERIAL] = {"serial", "TEXT", "its serial number"},
    [OPT_LEVEL] = {"level", "N", "what it was validated for: 1 to 4"},
    [OPT_STATE] = {"state", "TEXT", "used (as without it), retired, zeroized or destroyed"},
    {0},
};

struct noting {
	struct escrow_shelf shelf;
	struct ledger ledger;
	const char *text[OPT_COUNT];
};

static int take(void *user, int option)
{
	struct noting *n = user;

	if (option >= OPTION_MORE)
		return opener_take(&n->shelf.ask.opener, option);
	n->text[option] = optarg;
	return EXIT_OK;
}

/* ---- the record ---- */

static int put(struct noting *n, const char *what, const char *name, struct cof_json *detail, const struct ledger_epoch *e,
	       struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object();

	cof_json_set_str(record, "what", what);
	cof_json_set_str(record, "name", name);
	cof_json_set_str(record, "detail", cof_json_text(detail, false));
	if (n->text[OPT_REASON])
		cof_json_set_str(record, "reason", n->text[OPT_REASON]);
	if (e) {
		cof_json_set_uint(record, "epoch", e->number);
		cof_json_set_str(record, "epoch_key", e->epoch_key);
	}
	return escrow_record(&n->shelf, record, NULL, diag);
}

static void set(const struct noting *n, int option, const char *key, struct cof_json *o)
{
	if (n->text[option])
		cof_json_set_str(o, key, n->text[option]);
}

/* ---- medium ---- */

/* Of the epoch in force, whose document has to have that custodian. */
static int find_share(struct noting *n, const struct ledger_epoch **ret, struct cof_diag *diag)
{
	struct cof_epoch doc = {0};
	int r;

	*ret = escrow_ledger_current(&n->ledger, false);
	if (!*ret)
		return cof_fail(diag, -ENOENT, "no epoch is in force on this shelf: nobody has a share");
	r = escrow_ledger_document_of(&n->shelf, *ret, &doc, diag);
	if (r == 0 && cof_epoch_find(&doc, n->text[OPT_CUSTODIAN]) < 0)
		r = cof_fail(diag, -ENOENT, "no custodian of epoch %u is called %.64s", doc.number, n->text[OPT_CUSTODIAN]);
	cof_epoch_done(&doc);
	return r;
}

static int medium(struct noting *n, const char *name, bool in, struct cof_diag *diag)
{
	cof_autojson struct cof_json *detail = cof_json_object(), *last = NULL;
	const struct cof_json *before = escrow_thing(&n->ledger, "medium", name, &last);
	const struct ledger_epoch *e = NULL;
	bool is_in = before && !strcmp(ledger_text(last, "move"), "in");
	int r = 0;

	if (!in && !is_in)
		return cof_fail(diag, -EPERM, "%.64s is not in any place by this inventory: it cannot be taken out", name);
	if (in && is_in)
		return cof_fail(diag, -EPERM, "%.64s is in %.100s by this inventory: it is taken out first", name, ledger_text(last, "place"));
	if (n->text[OPT_CUSTODIAN])
		r = find_share(n, &e, diag);
	if (r < 0)
		return r;
	cof_json_set_str(detail, "move", in ? "in" : "out");
	set(n, OPT_KIND, "type", detail);
	set(n, OPT_PLACE, "place", detail);
	set(n, OPT_BY, "by", detail);
	set(n, OPT_CUSTODIAN, "custodian", detail);
	set(n, OPT_FIRE, "fire_rating", detail);
	if (!in && *ledger_text(last, "place")) /* out of there */
		cof_json_set_str(detail, "place", ledger_text(last, "place"));
	r = put(n, "medium", name, detail, e, diag);
	if (r == 0)
		printf("It is on record that %s %s %s.\n", name, in ? "went into" : "was taken out of", ledger_text(detail, "place"));
	return r;
}

/* ---- token ---- */

static int token(struct noting *n, const char *name, struct cof_diag *diag)
{
	cof_autojson struct cof_json *detail = cof_json_object(), *last = NULL;
	static const struct {
		int option;
		const char *key;
	} all[] = {{OPT_MODEL, "model"}, {OPT_SERIAL, "serial"}, {OPT_LEVEL, "level"}, {OPT_PLACE, "place"}, {OPT_STATE, "state"}};
	const struct cof_json *before = escrow_thing(&n->ledger, "token", name, &last);
	int r;

	for (size_t i = 0; i < COF_COUNT(all); i++) { /* what is not said is as it was */
		if (!n->text[all[i].option] && before && *ledger_text(last, all[i].key))
			cof_json_set_str(detail, all[i].key, ledger_text(last, all[i].key));
		set(n, all[i].option, all[i].key, detail);
	}
	if (!*ledger_text(detail, "model") || !*ledger_text(detail, "serial"))
		return cof_fail(diag, -EINVAL, "a token is written down with --model and --serial");
	if (!*ledger_text(detail, "state"))
		cof_json_set_str(detail, "state", ESCROW_TOKEN_USED);
	r = put(n, "token", name, detail, NULL, diag);
	if (r == 0)
		printf("The token %s (%s, serial %s) is in the inventory: %s.\n", name, ledger_text(detail, "model"), ledger_text(detail, "serial"),
		       ledger_text(detail, "state"));
	return r;
}

/* ---- the verbs ---- */

static int token_conflict(const struct noting *n)
{
	static const char *const states[] = {ESCROW_TOKEN_USED, "retired", "zeroized", "destroyed"};
	const char *level = n->text[OPT_LEVEL];
	bool known = !n->text[OPT_STATE];

	for (size_t i = 0; !known && i < COF_COUNT(states); i++)
		known = !strcmp(states[i], n->text[OPT_STATE]);
	if (!known)
		return misuse("--state is used, retired, zeroized or destroyed");
	return level && (level[0] < '1' || level[0] > '4' || level[1]) ? misuse("--level is a number from 1 to 4") : EXIT_OK;
}

static int medium_conflict(const struct noting *n, const char *move)
{
	bool in = !strcmp(move, "in");

	if (!in && strcmp(move, "out") != 0)
		return misuse("in or out?");
	if (in != (n->text[OPT_PLACE] != NULL) || (!in && (n->text[OPT_CUSTODIAN] || n->text[OPT_FIRE] || n->text[OPT_KIND])))
		return misuse("--place, --kind, --custodian and --fire-rating go with in, which needs the first");
	return n->text[OPT_REASON] && n->text[OPT_BY] ? EXIT_OK : misuse("--by TEXT and --reason TEXT are wanted");
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct noting n = {.shelf = ESCROW_SHELF_INIT};
	bool is_medium = !strcmp(self->name, "escrow medium");
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &n, is_medium ? 3 : 2);
	int r;

	if (code >= 0)
		return code;
	argv += optind;
	code = is_medium ? medium_conflict(&n, argv[2]) : token_conflict(&n);
	if (code)
		return code;
	if (*opener_conflict(&n.shelf.ask.opener))
		return misuse("%s", opener_conflict(&n.shelf.ask.opener));
	r = escrow_open(&n.shelf, argv[0], true, &diag);
	if (r == 0)
		r = escrow_ledger_load_few(&n.shelf, &n.ledger, &diag);
	if (r == 0)
		r = is_medium ? medium(&n, argv[1], !strcmp(argv[2], "in"), &diag) : token(&n, argv[1], &diag);
	escrow_ledger_done(&n.ledger);
	r = escrow_close(&n.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_medium = {
    .name = "escrow medium",
    .args = "SHELF NAME in|out",
    .summary = "a medium went into a place, or out of it",
    .text = "Puts on record that the medium NAME (a label, a serial number) went into a place, or was taken out of it, by whom and why. "
	    "Media carry shares, backups of keys, an archive's envelope. What is not in cannot be taken out, and what is in goes into no other "
	    "place before. coffer escrow inventory tells where each is.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow medium /srv/store/keys card-17 in --place 'safe 2' \\\n"
	    "      --by 'two officers' --reason 'after the ceremony'\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = medium_options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_token = {
    .name = "escrow token",
    .args = "SHELF NAME",
    .summary = "a hardware module, for the inventory",
    .text = "Writes the hardware module NAME down: what keys that it wrapped are kept with (coffer escrow put --wrapped --token NAME). Said "
	    "again it changes what is said, and what is not said stays: --state retired, when it is not used any more.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = token_options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
