/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow drill: a nonce for a custodian, and the answer that was made of it and the share elsewhere; or a canary that a
 * quorum recovers, here or on a host of its own. What goes wrong is on record as what goes well.
 */
#include "tools/coffer.h"
#include "tools/escrow-drill.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_CUSTODIAN, OPT_PROOF, OPT_START, OPT_RECOVERED, OPT_OUTPUT, OPT_EPOCH, OPT_REHEARSAL, OPT_SHARES, OPT_JSON = OPT_SHARES + SHARES_COUNT };

static const struct tool_option options[] = {
    [OPT_CUSTODIAN] = {"custodian", "NAME", "a nonce for this custodian; without it a canary for a quorum"},
    [OPT_PROOF] = {"proof", "TEXT", "the custodian's answer, as coffer share prove printed it"},
    [OPT_START] = {"start", NULL, "the canary is made, and time runs from here; no share is read"},
    [OPT_RECOVERED] = {"recovered", "FILE", "what coffer share combine made of the canary on another host", true},
    [OPT_OUTPUT] = {"output", "FILE", "with --start: the canary for another host, an age file", true, 'o'},
    [OPT_EPOCH] = {"epoch", "N", "of this epoch instead of the one in force"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "of the epoch of a rehearsal"},
    SHARE_OPTIONS(OPT_SHARES, "", "the epoch's"),
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

static int take(void *user, int option)
{
	struct drill *d = user;
	char *end;
	unsigned long v;

	if (share_is_option(option, OPT_SHARES))
		return share_take_option(&d->shares, (enum share_option)(option - OPT_SHARES));
	switch (option) {
	case OPT_EPOCH:
		v = strtoul(optarg, &end, 10);
		if (*optarg < '1' || *optarg > '9' || *end || v > INT32_MAX)
			return misuse("--epoch is a number from 1 on");
		d->number = (uint32_t)v;
		return EXIT_OK;
	case OPT_START:
	case OPT_REHEARSAL:
	case OPT_JSON:
		*(option == OPT_START ? &d->start : option == OPT_JSON ? &d->json : &d->rehearsal) = true;
		return EXIT_OK;
	case OPT_CUSTODIAN:
	case OPT_PROOF:
	case OPT_RECOVERED:
	case OPT_OUTPUT:
		*(option == OPT_CUSTODIAN   ? &d->custodian
		  : option == OPT_PROOF	    ? &d->proof
		  : option == OPT_RECOVERED ? &d->recovered
					    : &d->output) = optarg;
		return EXIT_OK;
	default:
		return opener_take(&d->shelf.ask.opener, option);
	}
}

/* EXIT_OK, or what is wrong with the options. */
static int conflict(const struct drill *d)
{
	bool shares = d->shares.n_fds || d->shares.passphrase_fd >= 0;

	if (d->custodian && (d->start || d->recovered || d->output || shares))
		return misuse("with --custodian go --proof, --epoch and --rehearsal");
	if (d->proof && !d->custodian)
		return misuse("--proof goes with --custodian NAME");
	if (d->output && !d->start)
		return misuse("--output goes with --start");
	if (d->start + (d->recovered != NULL) + shares > 1)
		return misuse("one of --start, --recovered FILE and shares");
	if (*opener_conflict(&d->shelf.ask.opener))
		return misuse("%s", opener_conflict(&d->shelf.ask.opener));
	return EXIT_OK;
}

/* ---- which epoch ---- */

static int choose(struct drill *d, struct cof_diag *diag)
{
	d->epoch = d->number ? NULL : escrow_ledger_current(&d->ledger, d->rehearsal);
	for (size_t i = 0; d->number && i < d->ledger.n_epochs; i++)
		if (d->ledger.epoch[i].number == d->number && d->ledger.epoch[i].valid && d->ledger.epoch[i].rehearsal == d->rehearsal)
			d->epoch = &d->ledger.epoch[i];
	if (!d->epoch && d->number)
		return cof_fail(diag, -ENOENT, "no epoch%s with the number %u was put in force on this shelf", d->rehearsal ? " of a rehearsal" : "",
				d->number);
	if (!d->epoch)
		return cof_fail(diag, -ENOENT, "no epoch%s is in force on this shelf: nothing can be practised", d->rehearsal ? " of a rehearsal" : "");
	return escrow_ledger_document_of(&d->shelf, d->epoch, &d->doc, diag);
}

static int drill(struct drill *d, struct cof_diag *diag)
{
	int r = escrow_ledger_load_few(&d->shelf, &d->ledger, diag);

	if (r == 0)
		r = escrow_policy(&d->shelf, &d->policy, diag);
	if (r == 0)
		r = choose(d, diag);
	if (r < 0)
		return r;
	if (!d->custodian)
		return drill_full(d, diag);
	d->holder = cof_epoch_find(&d->doc, d->custodian);
	if (d->holder < 0)
		return cof_fail(diag, -ENOENT, "no custodian of epoch %u is called %.64s", d->doc.number, d->custodian);
	return d->proof ? drill_answer(d, diag) : drill_ask(d, diag);
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct drill d = {.shelf = ESCROW_SHELF_INIT, .shares = SHARE_SOURCES_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &d, 1);
	int r;

	if (code >= 0)
		return code;
	code = conflict(&d);
	if (code)
		return code;
	r = escrow_open(&d.shelf, argv[optind], true, &diag);
	if (r == 0)
		r = drill(&d, &diag);
	cof_epoch_done(&d.doc);
	escrow_ledger_done(&d.ledger);
	r = escrow_close(&d.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : d.late ? EXIT_LATE : EXIT_OK;
}

const struct verb verb_escrow_drill = {
    .name = "escrow drill",
    .args = "SHELF",
    .summary = "custodians show that they have their shares",
    .text = "With --custodian it puts a nonce on record and prints it. The custodian signs it on a device of their own, offline "
	    "(coffer share prove), and brings the answer back: --proof. Nothing of the share comes here. A wrong, late or second answer, "
	    "and one of another custodian, is refused by name, and on record.\n"
	    "\n"
	    "Without --custodian a quorum recovers a canary, which is made for this one drill and is no key: from shares that are typed "
	    "here, or on another host (--start -o FILE there, coffer share combine, --recovered here). The time from its making is "
	    "held against escrow_time of the policy.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow drill /srv/store/keys --custodian alice\n"
	    "\n"
	    "Exit code: 0 done, 3 done too late, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
