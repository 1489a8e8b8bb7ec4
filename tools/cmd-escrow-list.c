/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow list and show: which keys an archive keeps, and what happened to one. */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_JSON };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "prints JSON, of a list one object a line"},
    {0},
};

struct listing {
	struct escrow_shelf shelf;
	struct ledger ledger;
	bool json;
};

static int take(void *user, int option)
{
	struct listing *l = user;

	if (option == OPT_JSON)
		l->json = true;
	else
		return opener_take(&l->shelf.ask.opener, option);
	return EXIT_OK;
}

/* ---- one key ---- */

static const char *state_of(const struct listing *l, const struct ledger_key *k)
{
	const struct ledger_epoch *e = escrow_ledger_epoch_of(&l->ledger, k);

	return k->revoked ? "revoked" : !e || e->revoked ? "epoch revoked" : k->released ? "released" : "kept";
}

static void copy(const struct cof_json *from, const char *key, struct cof_json *o)
{
	struct cof_json *value = cof_json_get(from, key);

	if (value)
		cof_json_set(o, key, cof_json_ref(value));
}

/* To whom, the newest first. */
static void set_releases(const struct listing *l, const struct ledger_key *k, struct cof_json *o)
{
	const struct ledger_release *r = escrow_ledger_release(&l->ledger, k, NULL);
	cof_autobuf struct cof_buf to = {0};

	for (const char *between = ""; r; r = escrow_ledger_release_before(&l->ledger, r), between = ", ")
		cof_buf_printf(&to, "%s%s", between, r->to);
	cof_json_set_bytes(o, "released_to", to.data, to.len);
}

static void tell(const struct listing *l, const struct ledger_key *k, struct cof_json *o)
{
	static const char *const keys[] = {"name", "owner", "purpose", "level", "usage", "usage_decided", "wrapped", "rehearsal", "bits", "persons",
					   "public_key", "certificate", "reason"};

	cof_json_set_str(o, "key", k->id);
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		copy(k->o, keys[i], o);
	cof_json_set_str(o, "state", state_of(l, k));
	cof_json_set_uint(o, "epoch", k->epoch);
	cof_json_set_time(o, "created", k->created);
	if (k->rotated)
		cof_json_set_time(o, "rotated", k->rotated);
	cof_json_set_uint(o, "recoveries", k->recoveries);
	if (k->recovered)
		cof_json_set_time(o, "recovered", k->recovered);
	if (k->released)
		set_releases(l, k, o);
}

static int say(const struct listing *l, const struct ledger_key *k)
{
	cof_autojson struct cof_json *o = l->json ? cof_json_object() : NULL;
	cof_autofree char *name = escaped(ledger_text(k->o, "name"));
	char date[32];

	if (l->json) {
		tell(l, k, o);
		return print_json(o, false);
	}
	cof_time_text(k->created, date);
	printf("%.16s  %-10s %-6s %-7s level %d  %5d bits  epoch %-3u %.10s  %s%s%s%s\n", k->id, ledger_text(k->o, "owner"),
	       ledger_text(k->o, "purpose"), ledger_text(k->o, "usage"), (int)ledger_number(k->o, "level"), (int)ledger_number(k->o, "bits"),
	       k->epoch, date, name ? name : "?", cof_json_bool(k->o, "rehearsal") ? " (a rehearsal)" : "",
	       strcmp(state_of(l, k), "kept") != 0 ? "; " : "", strcmp(state_of(l, k), "kept") != 0 ? state_of(l, k) : "");
	return 0;
}

/* ---- its history ---- */

static void line(const struct cof_json *o)
{
	static const char *const keys[] = {"to", "outcome", "reason"};
	cof_autofree char *time = escaped(ledger_text(o, "time"));

	printf("  %.19s  %s", time ? time : "?", ledger_text(o, "what"));
	if (ledger_number(o, "epoch"))
		printf(", epoch %d", (int)ledger_number(o, "epoch"));
	for (size_t i = 0; i < COF_COUNT(keys); i++) {
		cof_autofree char *text = escaped(ledger_text(o, keys[i]));

		if (text && *text)
			printf(", %s %s", keys[i], text);
	}
	printf(" (record %lld)\n", (long long)ledger_number(o, "sequence"));
}

static int show(const struct listing *l, const char *id, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = l->json ? cof_json_object() : NULL, *detail = NULL;
	struct cof_json *history = l->json ? cof_json_array() : NULL;
	struct ledger_key *k = NULL;
	int r = escrow_ledger_find(&l->ledger, id, &k, diag);

	if (r < 0 || !k) {
		cof_json_free(history);
		return r;
	}
	if (!l->json)
		(void)say(l, k);
	else
		tell(l, k, o);
	if (cof_json_parse(ledger_text(k->o, "detail"), strlen(ledger_text(k->o, "detail")), &detail) == 0 && l->json)
		cof_json_set(o, "detail", cof_json_ref(detail));
	for (size_t i = 0; i < l->ledger.n_records; i++) {
		struct cof_json *record = l->ledger.record[i];

		if (strcmp(ledger_text(record, "key"), k->id) != 0)
			continue;
		if (l->json)
			cof_json_append(history, cof_json_ref(record));
		else
			line(record);
	}
	cof_json_set(o, "history", history);
	return l->json ? print_json(o, true) : 0;
}

/* ---- the verbs ---- */

static int list_all(const struct listing *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->ledger.n_keys; i++)
		r = say(l, &l->ledger.key[i]);
	if (!l->json && !l->ledger.n_keys)
		printf("No key is kept here.\n");
	return r == -ENOMEM ? r : 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	bool one = !strcmp(self->name, "escrow show");
	struct listing l = {.shelf = ESCROW_SHELF_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &l, one ? 2 : 1);
	int r;

	if (code >= 0)
		return code;
	if (*opener_conflict(&l.shelf.ask.opener))
		return misuse("%s", opener_conflict(&l.shelf.ask.opener));
	l.shelf.ask.reads = true;
	r = escrow_open(&l.shelf, argv[optind], false, &diag);
	if (r == 0)
		r = escrow_ledger_load(&l.shelf, false, &l.ledger, &diag);
	if (r == 0)
		r = one ? show(&l, argv[optind + 1], &diag) : list_all(&l);
	escrow_ledger_done(&l.ledger);
	r = escrow_close(&l.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_list = {
    .name = "escrow list",
    .args = "STORE[/SHELF]",
    .summary = "the keys that are kept",
    .text = "One line for each key: the beginning of its number, whose it is, what for, level, size, the epoch that it is encrypted to, "
	    "when it came, and what it is called.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_escrow_show = {
    .name = "escrow show",
    .args = "STORE[/SHELF] ID",
    .summary = "one key, and what happened to it",
    .text = "ID is a key's number or the beginning of it. Behind the key comes each record about it, the oldest first.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
