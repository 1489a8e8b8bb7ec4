/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer escrow recover: asks for the release of a key, and once it was approved delivers the key to the recipient of the
 * request, by the custodians' shares. The attempt is on record before the first share is read, and how it ended after.
 */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/escrow-request.h"
#include "tools/escrow-tpm.h"
#include "tools/file.h"
#include "tools/handover.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/share-options.h"
#include "tools/tpm-road.h"

#include "crypto/age.h"
#include "crypto/cms.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_TO, OPT_REASON, OPT_AS, OPT_KEY, OPT_DIR, OPT_OUTPUT, OPT_SHARES, OPT_TPM_KEY = OPT_SHARES + SHARES_COUNT, OPT_SECONDS, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_TO] = {"to", "RECIPIENT", "whose it is to be: an age recipient (age1...), or the file of an X.509 certificate for encryption", true},
    [OPT_REASON] = {"reason", "TEXT", "request: why; stands in the sheet"},
    [OPT_AS] = {"as", "NAME", "request: who makes it, as in the people file"},
    [OPT_KEY] = {"key", "FILE", "request: signs and submits it with this key of ssh", true},
    [OPT_DIR] = {"dir", "DIR", "where what is to be signed goes: the request and its sheet, or what the TPM asks for (here)", true},
    [OPT_OUTPUT] = {"output", "FILE", "delivers: the file for the recipient, a new one, mode 0400", true, 'o'},
    SHARE_OPTIONS(OPT_SHARES, "delivers: ", "the epoch's"),
    [OPT_TPM_KEY] = {"tpm-key", "FILE", "delivers by the TPM instead of shares: the key's file of coffer escrow put --tpm-key", true},
    [OPT_SECONDS] = {"seconds", "N", "the TPM waits so long for signatures (600)"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object of what was delivered"},
    {0},
};

struct recovering {
	struct escrow_shelf shelf;
	struct escrow_asking ask;
	struct ledger ledger;
	struct cof_cms_recipient certificate; /* where --to names one */
	const struct ledger_release *release; /* by which it is delivered; NULL: there is none */
	const char *to, *output;	      /* to: as in requests, once it was looked at */
	struct share_sources shares;
	unsigned seconds;
	const char *tpm_key;
	struct tpm_road road;
	bool json;
};

static int take(struct recovering *w, int option)
{
	char *end;

	if (share_is_option(option, OPT_SHARES))
		return share_take_option(&w->shares, (enum share_option)(option - OPT_SHARES));
	switch (option) {
	case OPT_TPM_KEY:
		w->tpm_key = optarg;
		return EXIT_OK;
	case OPT_SECONDS:
		w->seconds = (unsigned)strtoul(optarg, &end, 10);
		return *optarg < '1' || *optarg > '9' || *end || strlen(optarg) > 5 ? misuse("--seconds is a number from 1 on") : EXIT_OK;
	case OPT_JSON:
		w->json = true;
		return EXIT_OK;
	default:
		*(option == OPT_TO	 ? &w->to
		  : option == OPT_REASON ? &w->ask.reason
		  : option == OPT_AS	 ? &w->ask.as
		  : option == OPT_KEY	 ? &w->ask.key
		  : option == OPT_DIR	 ? &w->ask.dir
					 : &w->output) = optarg;
		return EXIT_OK;
	}
}

/* ---- to whom ---- */

/* A certificate's file becomes the name that requests have for it. */
static int look_at_recipient(struct recovering *w, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	uint8_t recipient[COF_AGE_KEY];
	struct cof_diag why = {""};
	int r;

	if (!w->to || cof_age_recipient_parse(w->to, strlen(w->to), recipient) == 0)
		return 0;
	if (!strncmp(w->to, "age1", 4) && access(w->to, F_OK) < 0)
		return cof_fail(diag, -EINVAL, "%.80s is no age recipient", w->to);
	r = file_load(w->to, COF_CMS_CERT_MAX, &file, diag);
	if (r < 0)
		return r;
	r = cof_cms_recipient_read(file.data ? (void *)file.data : "", file.len, cof_now(CLOCK_REALTIME), &w->certificate, &why);
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", w->to, why.text);
	w->to = w->certificate.name;
	return 0;
}

/* Of several that were not used yet the one to --to; where nobody says, they all have to be to the same. */
static int choose_release(struct recovering *w, const struct ledger_key *k, struct cof_diag *diag)
{
	const struct ledger_release *newest = escrow_ledger_release(&w->ledger, k, NULL), *r = newest;

	w->release = escrow_ledger_release(&w->ledger, k, w->to);
	if (!newest)
		return cof_fail(diag, -EPERM, "this key was not released");
	if (!w->release)
		return cof_fail(diag, -EPERM, "the key was released to %s, not to %s", newest->to, w->to);
	while (r && !w->to && !strcmp(r->to, newest->to))
		r = escrow_ledger_release_before(&w->ledger, r);
	if (r && !w->to)
		return cof_fail(diag, -EINVAL, "the key was released to %s and to %s: --to says for whom it is now", newest->to, r->to);
	return 0;
}

/* What was approved is what is done: the certificate is given again, since of it the request has the fingerprint only. */
static int check_recipient(const struct recovering *w, const struct ledger_key *k, struct cof_diag *diag)
{
	if (w->tpm_key && strcmp(w->road.key, k->id) != 0)
		return cof_fail(diag, -EINVAL, "%s is of the key %.16s, and %.16s was released", w->tpm_key, w->road.key, k->id);
	if (w->tpm_key && escrow_tpm_ended(&w->ledger, &w->road.quorum))
		return cof_fail(diag, -EPERM, "%s is of an epoch of its TPM that was ended, by approval: the shares are the answer, and a new file "
					      "(coffer escrow put)", w->tpm_key);
	if (!w->to && cof_cms_name_ok(w->release->to))
		return cof_fail(diag, -EINVAL, "the key was released to the owner of the certificate %s: name its file, --to FILE", w->release->to);
	return 0;
}

/* ---- asking ---- */

static int request(struct recovering *w, const struct ledger_key *k, struct cof_diag *diag)
{
	const struct cof_buf *der = &w->certificate.der;
	cof_autofree char *text = calloc(1, cof_base64_len(der->len) + 1);
	const char *words[4] = {w->shelf.name, k->id, w->to, text};
	cof_autojson struct cof_json *made = NULL;

	if (!text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (der->len)
		cof_base64(der->data, der->len, text);
	return escrow_request(&w->shelf, &w->ask, "escrow-release", words, der->len ? 4 : 3, &made, diag);
}

/* ---- delivering ---- */

/* Before and after: of, key and epoch are the same. */
static int put_record(struct recovering *w, const struct ledger_key *k, const char *what, const char *reason, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", what);
	cof_json_set_str(o, "key", k->id);
	cof_json_set_uint(o, "of", w->release ? w->release->sequence : 0);
	cof_json_set_uint(o, "epoch", k->epoch);
	cof_json_set_str(o, "epoch_key", k->epoch_key);
	if (w->tpm_key)
		cof_json_set_str(o, "detail", LEDGER_BY_TPM);
	if (w->release && !strcmp(what, "recovered"))
		cof_json_set_str(o, "to", w->release->to);
	if (reason && *reason)
		cof_json_set_str(o, "reason", reason);
	return escrow_record_to(&w->shelf, o, &w->certificate.der, diag);
}

/* The plaintext is in secure memory, between one decryption and one encryption. */
static int encrypt_anew(const struct recovering *w, const uint8_t (*identity)[COF_AGE_KEY], const struct cof_buf *file, const char *to,
			struct cof_buf *ret, struct cof_diag *diag)
{
	uint8_t recipient[1][COF_AGE_KEY];
	bool certificate = cof_cms_name_ok(to);
	void *plain = NULL;
	size_t n = 0;
	int r = certificate ? 0 : cof_age_recipient_parse(to, strlen(to), recipient[0]);

	if (r == 0)
		r = cof_age_decrypt(identity, 1, file->data, file->len, &plain, &n);
	if (r == 0 && certificate)
		r = cof_cms_encrypt(&w->certificate, plain, n, ret, diag);
	else if (r == 0)
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, plain, n, NULL, ret);
	cof_secret_free(plain);
	return r < 0 ? cof_fail(diag, r, "the key could not be encrypted for its recipient: %s", strerror(-r)) : 0;
}

/* The other road: identity and file of it. */
static int ask_tpm(struct recovering *w, uint8_t identity[COF_AGE_KEY], struct cof_buf *ret_file, struct cof_diag *diag)
{
	const struct tpm_road_asking a = {.where = w->shelf.ask.opener.tpm ? w->shelf.ask.opener.tpm : secure_getenv("COFFER_TPM"),
					  .dir = w->ask.dir ? w->ask.dir : ".",
					  .to = w->release->to,
					  .release = w->release->sequence,
					  .seconds = w->seconds,
					  .ledger = &w->ledger};
	int r = tpm_road_open(&w->road, &a, identity, diag);

	cof_buf_add(ret_file, w->road.file.data, w->road.file.len);
	return r == 0 && ret_file->failed ? -ENOMEM : r;
}

/* The key, encrypted anew. */
static int open_key(struct recovering *w, const struct ledger_key *k, const struct cof_epoch *e, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autosecret uint8_t(*identity)[COF_AGE_KEY] = cof_secret_alloc(sizeof(*identity));
	cof_autobuf struct cof_buf file = {0};
	struct ledger_shut_out revoked = {&w->ledger, escrow_ledger_epoch_with(&w->ledger, k->epoch_key)};
	const struct share_gathering g = {.epoch = e, .title = "To recover one key", SHARES_OF(&w->shares),
					  .shut_out = escrow_ledger_shuts_out, .user = &revoked};
	int r = !identity	? cof_fail(diag, -ENOMEM, "no secure memory is left")
		: w->tpm_key ? 0
			     : escrow_read(&w->shelf, k->file, &file, diag);

	if (r == 0)
		r = w->tpm_key ? ask_tpm(w, *identity, &file, diag) : share_gather(&g, *identity, diag);
	return r == 0 ? encrypt_anew(w, (const uint8_t(*)[COF_AGE_KEY])identity, &file, w->release->to, ret, diag) : r;
}

/* Nobody has the key before that is on record, or one release would serve twice; and whoever crashes between has used it. */
static int hand_over(struct recovering *w, const struct ledger_key *k, const struct cof_buf *anew, struct cof_diag *diag)
{
	struct handover h = HANDOVER_INIT;
	struct cof_diag why = {""};
	int r = handover_begin(&h, w->output, anew->data, anew->len, diag);

	if (r == 0) {
		r = put_record(w, k, "recovered", NULL, &why);
		if (r < 0)
			cof_fail(diag, r, "the key was not delivered, since that cannot be recorded: %s", why.text);
	}
	if (r == 0) {
		r = handover_give(&h, &why);
		if (r < 0)
			cof_fail(diag, r, "the key was not delivered, and its release is used: %s; a new request is needed", why.text);
	}
	handover_done(&h);
	return r;
}

static void say(const struct recovering *w, const struct ledger_key *k)
{
	printf("%s has %.16s, encrypted to %s.\n", w->output, k->id, w->release->to);
	if (!cof_json_bool(k->o, "rehearsal") && !w->tpm_key)
		printf("This was a recovery: a new epoch and new shares are due now, and the keys that the old shares open go to it\n"
		       "(coffer escrow epoch, accept, rotate; coffer due tells until it is done).\n");
}

static int open_and_hand_over(struct recovering *w, const struct ledger_key *k, const struct cof_epoch *e, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf anew = {0};
	struct cof_diag why = {""}, said;
	int r = open_key(w, k, e, &anew, diag);

	if (r == 0)
		r = hand_over(w, k, &anew, diag);
	if (r == 0 || put_record(w, k, "failed", diag->text, &why) == 0)
		return r;
	said = *diag;
	return cof_fail(diag, r, "%s (and that is not on record: %s)", said.text, why.text);
}

static int deliver(struct recovering *w, const struct ledger_key *k, struct cof_diag *diag)
{
	struct cof_epoch e = {0};
	int r = escrow_ledger_document(&w->shelf, &w->ledger, k->epoch_key, &e, diag);

	if (r < 0)
		return r;
	r = choose_release(w, k, diag);
	if (r == 0)
		r = check_recipient(w, k, diag);
	if (r == 0)
		r = put_record(w, k, "attempt", NULL, diag);
	if (r == 0)
		r = open_and_hand_over(w, k, &e, diag);
	cof_epoch_done(&e);
	if (r == 0 && w->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "key", k->id);
		cof_json_set_str(o, "to", w->release->to);
		cof_json_set_str(o, "output", w->output);
		return print_json(o, true);
	}
	if (r == 0)
		say(w, k);
	return r;
}

static int recover(struct recovering *w, const char *id, struct cof_diag *diag)
{
	struct ledger_key *k = NULL;
	int r = escrow_ledger_load(&w->shelf, false, &w->ledger, diag);

	if (r == 0)
		r = escrow_ledger_find(&w->ledger, id, &k, diag);
	if (r < 0 || !k)
		return r;
	if (!w->output)
		return request(w, k, diag);
	if (!k->released) {
		r = put_record(w, k, "attempt", NULL, diag); /* refused, and on record */
		return r < 0 ? r : cof_fail(diag, -EPERM, "this key was not released");
	}
	return deliver(w, k, diag);
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct recovering w = {.shelf = ESCROW_SHELF_INIT, .shares = SHARE_SOURCES_INIT, .seconds = 600};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = option < OPTION_MORE ? take(&w, option) : opener_take(&w.shelf.ask.opener, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 2))
		return EXIT_USAGE;
	if (w.output ? w.ask.as || w.ask.reason || w.ask.key || (w.ask.dir && !w.tpm_key) : !w.to || !w.ask.as || !w.ask.reason)
		return misuse("either --to, --reason and --as, which ask for the release, or --output, which delivers what was released");
	if (w.tpm_key && (!w.output || w.shares.n_fds))
		return misuse("--tpm-key goes with --output, instead of shares");
	if (*opener_conflict(&w.shelf.ask.opener))
		return misuse("%s", opener_conflict(&w.shelf.ask.opener));
	r = escrow_open(&w.shelf, argv[optind], true, &diag);
	if (r == 0)
		r = look_at_recipient(&w, &diag);
	if (r == 0 && w.tpm_key)
		r = tpm_road_load(w.tpm_key, &w.road, &diag);
	if (r == 0)
		r = recover(&w, argv[optind + 1], &diag);
	escrow_ledger_done(&w.ledger);
	cof_cms_recipient_done(&w.certificate);
	tpm_road_done(&w.road);
	r = escrow_close(&w.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_recover = {
    .name = "escrow recover",
    .args = "SHELF ID",
    .summary = "a key, by approval and shares, for its recipient",
    .text = "With --to, --reason and --as: a request for the release of the key ID to that recipient, which others approve "
	    "(coffer approve), by the shelf's rule approve_escrow.\n"
	    "\n"
	    "With --output, once it was approved: takes custodians' shares, in any order, until they suffice, and writes the key, "
	    "encrypted to the recipient of the request. No plaintext and no share is written or kept. A release is for one "
	    "recovery, which is on record before FILE has its name: a crash just behind it takes a new request. Where it is for the owner of a certificate, --to names the same file "
	    "again, and what is written is CMS: openssl cms -decrypt -inform DER -inkey KEY -in FILE.\n"
	    "\n"
	    "With --tpm-key the TPM of this machine gives the key to custodians who sign instead of bringing shares: statement.json and "
	    "message go to DIR, NAME.sig are looked for there whenever the return key is pressed (coffer escrow statement).\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow recover /srv/store/keys 05e5838659de --to age1... \\\n"
	    "      --reason \"case 17\" --as alice\n"
	    "  coffer escrow recover /srv/store/keys 05e5838659de -o key.age\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
