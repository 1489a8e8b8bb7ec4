/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow tpm-end: what the TPM of this machine opens at one value of its counter ends: asked for and approved, then the
 * counter is raised, and that is on record. From then on the TPM itself refuses every signature, of before and of now.
 */
#include "tools/coffer.h"
#include "tools/escrow-request.h"
#include "tools/escrow-tpm.h"
#include "tools/tpm-road.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum { OPT_REASON, OPT_AS, OPT_KEY, OPT_DIR };

static const struct tool_option options[] = {
    [OPT_REASON] = {"reason", "TEXT", "request: why; in the record, encrypted, and in the sheet"},
    [OPT_AS] = {"as", "NAME", "request: who makes it, as in the people file"},
    [OPT_KEY] = {"key", "FILE", "request: signs and submits it with this key of ssh", true},
    [OPT_DIR] = {"dir", "DIR", "request: where its document and sheet go (here)", true},
    {0},
};

struct ending {
	struct escrow_shelf shelf;
	struct escrow_asking ask;
	struct ledger ledger;
	struct tpm_road road;
};

static int take(void *user, int option)
{
	struct ending *e = user;

	if (option >= OPTION_MORE)
		return opener_take(&e->shelf.ask.opener, option);
	*(option == OPT_REASON ? &e->ask.reason : option == OPT_AS ? &e->ask.as : option == OPT_KEY ? &e->ask.key : &e->ask.dir) = optarg;
	return EXIT_OK;
}

static void set_epoch(const struct ending *e, struct cof_json *record)
{
	uint8_t epoch[COF_HASH];
	char hex[2 * COF_HASH + 1];

	cof_quorum_epoch(&e->road.quorum, epoch);
	cof_hex(epoch, sizeof(epoch), hex);
	cof_json_set_str(record, "tpm_epoch", hex);
}

static int propose(struct ending *e, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = cof_json_object(), *detail = cof_json_object();
	const struct cof_quorum *q = &e->road.quorum;
	char index[16];

	if (escrow_tpm_ended(&e->ledger, q))
		return cof_fail(diag, -EEXIST, "its end was approved already: without --as it is carried out");
	snprintf(index, sizeof(index), "0x%08x", q->object.index);
	cof_json_set_str(detail, "counter", index);
	cof_json_set_uint(detail, "value", q->object.value);
	cof_json_set_str(record, "proposes", "tpm-ended");
	set_epoch(e, record);
	cof_json_set_str(record, "detail", cof_json_text(detail, false));
	return escrow_propose(&e->shelf, &e->ask, record, diag);
}

static int put_raised(struct ending *e, const struct cof_json *ended, const char *reason, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", "tpm-raised");
	cof_json_set_uint(o, "of", (uint64_t)ledger_number(ended, "sequence"));
	cof_json_set_str(o, "outcome", reason ? "failure" : "success");
	set_epoch(e, o);
	if (reason)
		cof_json_set_str(o, "reason", reason);
	return escrow_record(&e->shelf, o, NULL, diag);
}

static int carry_out(struct ending *e, struct cof_diag *diag)
{
	const struct cof_json *ended = escrow_tpm_ended(&e->ledger, &e->road.quorum);
	const char *where = e->shelf.ask.opener.tpm ? e->shelf.ask.opener.tpm : secure_getenv("COFFER_TPM");
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_diag why = {""};
	bool before = false;
	int r;

	if (!ended)
		return cof_fail(diag, -EPERM, "nobody has approved that this ends: ask for it by --as and --reason");
	r = cof_tpm_open(where, &t, diag);
	if (r == 0)
		r = cof_quorum_end(t, &e->road.quorum, &before, diag);
	if (r == 0 && escrow_tpm_raised(&e->ledger, ended)) {
		printf("It was ended before, and that is on record.\n");
		return 0;
	}
	if (put_raised(e, ended, r == 0 ? NULL : diag->text, &why) < 0)
		return r == 0 ? cof_fail(diag, -EIO, "the counter is raised, and that is not on record yet (do it again): %s", why.text) : r;
	if (r == 0)
		printf("The counter 0x%08x of the TPM %s: no signature opens any more what was put for its value %llu.\nThe shares do. Keys that are "
		       "to be on the TPM road again: coffer escrow put.\n",
		       e->road.quorum.object.index, before ? "had been raised before" : "was raised", (unsigned long long)e->road.quorum.object.value);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct ending e = {.shelf = ESCROW_SHELF_INIT};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &e, 2), r;

	if (code >= 0)
		return code;
	if (e.ask.as ? !e.ask.reason : e.ask.reason || e.ask.key || e.ask.dir)
		return misuse("--as and --reason ask for it; without both it is carried out");
	if (*opener_conflict(&e.shelf.ask.opener))
		return misuse("%s", opener_conflict(&e.shelf.ask.opener));
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = tpm_road_load(argv[optind + 1], &e.road, &diag);
	if (r == 0)
		r = escrow_open(&e.shelf, argv[optind], true, &diag);
	if (r == 0)
		r = escrow_ledger_load_few(&e.shelf, &e.ledger, &diag);
	if (r == 0)
		r = e.ask.as ? propose(&e, &diag) : carry_out(&e, &diag);
	escrow_ledger_done(&e.ledger);
	tpm_road_done(&e.road);
	r = escrow_close(&e.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_tpm_end = {
    .name = "escrow tpm-end",
    .args = "SHELF KEY.tpm",
    .summary = "what a TPM opens for a quorum ends",
    .text = "With --as and --reason: a request that everything ends which the TPM opens at the counter value of KEY.tpm: each file that was "
	    "put for the same quorum till then. Others approve it, by the shelf's rule approve_escrow.\n"
	    "\n"
	    "Without: once it was approved, raises the counter, on the machine with that TPM, and puts it on record. The TPM itself refuses "
	    "from then on what was signed for it, and what will be. May be repeated.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow tpm-end /srv/store/keys second.tpm \\\n"
	    "      --reason \"carol left\" --as alice\n"
	    "  coffer escrow tpm-end /srv/store/keys second.tpm\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
