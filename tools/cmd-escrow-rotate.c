/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow rotate: keys of an earlier epoch, encrypted to the one in force, by the earlier one's shares. And revoke:
 * a key, an epoch or a custodian that is of no use any more, with the list of what old shares still open.
 */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/escrow-request.h"
#include "tools/output.h"
#include "tools/share-options.h"

#include "crypto/age.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_EPOCH, OPT_REHEARSAL, OPT_SHARES, OPT_JSON = OPT_SHARES + SHARES_COUNT };

static const struct tool_option options[] = {
    [OPT_EPOCH] = {"epoch", "N", "the earlier epoch, whose shares come; without it the only one that has keys"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "between epochs of rehearsals"},
    SHARE_OPTIONS(OPT_SHARES, "", "the earlier epoch's"),
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct rotating {
	struct escrow_shelf shelf;
	struct ledger ledger;
	const struct ledger_epoch *to;
	char from[65];	/* epoch key */
	uint32_t number; /* 0: not said */
	struct share_sources shares;
	bool rehearsal, json;
	uint64_t done;
};

static int take(void *user, int option)
{
	struct rotating *w = user;
	char *end;
	unsigned long v;

	if (share_is_option(option, OPT_SHARES))
		return share_take_option(&w->shares, (enum share_option)(option - OPT_SHARES));
	switch (option) {
	case OPT_EPOCH:
		v = strtoul(optarg, &end, 10);
		if (*optarg < '1' || *optarg > '9' || *end || v > INT32_MAX)
			return misuse("--epoch is a number from 1 on");
		w->number = (uint32_t)v;
		return EXIT_OK;
	case OPT_REHEARSAL:
	case OPT_JSON:
		*(option == OPT_JSON ? &w->json : &w->rehearsal) = true;
		return EXIT_OK;
	default:
		return opener_take(&w->shelf.ask.opener, option);
	}
}

static bool is_old(const struct rotating *w, const struct ledger_key *k)
{
	return !k->revoked && strcmp(k->epoch_key, w->to->epoch_key) != 0 && cof_json_bool(k->o, "rehearsal") == w->rehearsal &&
	       (!w->number || k->epoch == w->number);
}

/* From where: one secret at a time. */
static int choose(struct rotating *w, struct cof_diag *diag)
{
	w->to = escrow_ledger_current(&w->ledger, w->rehearsal);
	if (!w->to)
		return cof_fail(diag, -EPERM, "no epoch is in force on this shelf to which the keys could go");
	for (size_t i = 0; i < w->ledger.n_keys; i++) {
		const struct ledger_key *k = &w->ledger.key[i];

		if (!is_old(w, k))
			continue;
		if (*w->from && strcmp(w->from, k->epoch_key) != 0)
			return cof_fail(diag, -ENOTUNIQ, "keys of several epochs are here: say which, by --epoch N, one after the other");
		snprintf(w->from, sizeof(w->from), "%s", k->epoch_key);
	}
	return *w->from ? 0 : cof_fail(diag, -ENOENT, "no key is encrypted to an earlier epoch%s", w->number ? " of that number" : "");
}

static int one(struct rotating *w, const uint8_t (*identity)[COF_AGE_KEY], const struct ledger_key *k, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf file = {0}, anew = {0};
	uint8_t recipient[1][COF_AGE_KEY];
	void *plain = NULL;
	size_t n = 0;
	int r = escrow_read(&w->shelf, k->file, &file, diag);

	if (r == 0)
		r = cof_unhex(w->to->epoch_key, 2 * COF_AGE_KEY, recipient[0]);
	if (r == 0)
		r = cof_age_decrypt(identity, 1, file.data, file.len, &plain, &n);
	if (r == 0)
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, plain, n, NULL, &anew);
	cof_secret_free(plain);
	if (r < 0)
		return cof_fail(diag, r, "key %.16s: %s", k->id, strerror(-r));
	cof_json_set_str(record, "what", "rotated");
	cof_json_set_str(record, "key", k->id);
	cof_json_set_uint(record, "epoch", w->to->number);
	cof_json_set_str(record, "epoch_key", w->to->epoch_key);
	cof_json_set_bool(record, "rehearsal", w->rehearsal);
	r = escrow_put(&w->shelf, k->id, "age", anew.data, anew.len, record, &o, diag);
	w->done += r == 0;
	return r;
}

/* What is rotated stays readable by the old shares, wherever there is a copy of the old file. */
static void say(const struct rotating *w, const struct cof_epoch *e)
{
	printf("%llu key%s went from epoch %u to epoch %u.\n", (unsigned long long)w->done, plural(w->done), e->number, w->to->number);
	printf("The shares of epoch %u still open the files of before, which lie in the archive and in each copy of it: until", e->number);
	for (unsigned i = 0; i < e->scheme.n_custodians; i++)
		printf("%s %s", i ? "," : "", e->scheme.custodian[i].name);
	printf(" have destroyed theirs, or so many that the rest does not suffice, or the files are destroyed.\n");
}

static int rotate(struct rotating *w, struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(sizeof(*identity));
	struct share_gathering g = {.title = "To encrypt keys to another epoch", SHARES_OF(&w->shares),
				    .shut_out = escrow_ledger_shuts_out};
	struct ledger_shut_out revoked = {.ledger = &w->ledger};
	struct cof_epoch e = {0};
	int r = identity ? escrow_ledger_load(&w->shelf, false, &w->ledger, diag) : cof_fail(diag, -ENOMEM, "no secure memory is left");

	if (r == 0)
		r = choose(w, diag);
	if (r == 0)
		r = escrow_ledger_document(&w->shelf, &w->ledger, w->from, &e, diag);
	if (r < 0)
		return r;
	g.epoch = &e;
	revoked.epoch = escrow_ledger_epoch_with(&w->ledger, w->from);
	g.user = &revoked;
	r = share_gather(&g, *identity, diag);
	for (size_t i = 0; r == 0 && i < w->ledger.n_keys; i++)
		if (is_old(w, &w->ledger.key[i]) && !strcmp(w->ledger.key[i].epoch_key, w->from))
			r = one(w, (const uint8_t(*)[COF_AGE_KEY])identity, &w->ledger.key[i], diag);
	if (r == 0 && w->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_uint(o, "keys", w->done);
		cof_json_set_uint(o, "from", e.number);
		cof_json_set_uint(o, "to", w->to->number);
		r = print_json(o, true);
	} else if (r == 0) {
		say(w, &e);
	} else if (w->done) {
		complain("%llu keys went to epoch %u before", (unsigned long long)w->done, w->to->number);
	}
	cof_epoch_done(&e);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct rotating w = {.shelf = ESCROW_SHELF_INIT, .shares = SHARE_SOURCES_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &w, 1);
	int r;

	if (code >= 0)
		return code;
	if (*opener_conflict(&w.shelf.ask.opener))
		return misuse("%s", opener_conflict(&w.shelf.ask.opener));
	r = escrow_open(&w.shelf, argv[optind], true, &diag);
	if (r == 0)
		r = rotate(&w, &diag);
	escrow_ledger_done(&w.ledger);
	r = escrow_close(&w.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_rotate = {
    .name = "escrow rotate",
    .args = "SHELF",
    .summary = "keys of an earlier epoch, to the one in force",
    .text = "Takes shares of the earlier epoch, in any order, until they suffice, and encrypts each of its keys to the epoch in force: "
	    "another file, and a record. No plaintext and no share is written or kept. The files of before stay, as everything in "
	    "an archive does: what the old shares still open is said.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
