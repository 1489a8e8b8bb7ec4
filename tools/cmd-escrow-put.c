/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow put: a key, judged and encrypted to the shelf's epoch, into the archive. Of a refusal the archive has an event. */
#include "tools/coffer.h"
#include "tools/escrow-ledger.h"
#include "tools/escrow-take.h"
#include "tools/escrow-things.h"
#include "tools/output.h"
#include "tools/tpm-road.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_NAME = TAKE_COUNT, OPT_REHEARSAL, OPT_QUORUM, OPT_TPM_KEY };

static const struct tool_option options[] = {
    TAKE_OPTIONS("key-passphrase-fd", "overwrites KEY and removes it, once it is in the archive"),
    [OPT_NAME] = {"name", "TEXT", "what the key is called, for people; without it the file's name"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "to the shelf's epoch of a rehearsal, as a key that is none"},
    [OPT_QUORUM] = {"tpm-quorum", "FILE", "the TPM road besides: whose signatures this machine's TPM wants (docs/escrow.md)", true},
    [OPT_TPM_KEY] = {"tpm-key", "FILE", "the TPM road: a new file that the TPM opens for them", true},
    {0},
};

struct putting {
	struct taking take;
	struct escrow_shelf shelf;
	struct cof_epoch epoch;
	const char *name, *quorum_path, *tpm_key;
	struct cof_quorum quorum;
	bool rehearsal;
};

/* What a module wrapped is opaque here: by which one is in the inventory, or nobody knows where it can be unwrapped. */
static int find_token(struct putting *p, const struct ledger *l, struct cof_diag *diag)
{
	cof_autojson struct cof_json *detail = NULL;

	if (!p->take.wrapped || !p->take.in.token)
		return 0;
	if (!escrow_thing(l, "token", p->take.in.token, &detail))
		return cof_fail(diag, -ENOENT, "no token %.64s is in the inventory: coffer escrow token comes first", p->take.in.token);
	if (strcmp(ledger_text(detail, "state"), ESCROW_TOKEN_USED) != 0)
		return cof_fail(diag, -EPERM, "the token %.64s is %.32s by the inventory", p->take.in.token, ledger_text(detail, "state"));
	return 0;
}

/* The document of the epoch in force, as it lies on the shelf: its proofs are checked once more. */
static int load_epoch(struct putting *p, struct cof_diag *diag)
{
	struct ledger_epoch *e;
	struct ledger l = {0};
	int r = escrow_ledger_load_few(&p->shelf, &l, diag);

	e = escrow_ledger_current(&l, p->rehearsal);
	if (r == 0 && !e)
		r = cof_fail(diag, -EPERM, "no epoch%s is in force on the shelf %s: coffer escrow epoch, accept, and the approvals come first",
			     p->rehearsal ? " of a rehearsal" : "", p->shelf.name);
	if (r == 0)
		r = find_token(p, &l, diag);
	if (r == 0 && p->quorum_path)
		r = tpm_road_quorum(p->quorum_path, &l, &p->quorum, diag);
	if (r == 0)
		r = escrow_ledger_document_of(&p->shelf, e, &p->epoch, diag);
	if (r == 0 && (!cof_epoch_valid(&p->epoch) || p->epoch.rehearsal != p->rehearsal))
		r = cof_fail(diag, -EBADMSG, "the epoch's document on the shelf is not valid, or not the one that is in force");
	escrow_ledger_done(&l);
	if (r == 0)
		p->take.in.persons = cof_scheme_fewest(&p->epoch.scheme);
	return r;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What people look for later, and no field of its own says. */
static void set_detail(const struct cof_json *told, struct cof_json *record)
{
	static const char *const keys[] = {"form", "algorithm", "token", "why"};
	cof_autojson struct cof_json *detail = cof_json_object();

	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (cof_json_str(told, keys[i]))
			cof_json_set_str(detail, keys[i], cof_json_str(told, keys[i]));
	cof_json_set_bool(detail, "request", cof_json_get(told, "request") != NULL);
	cof_json_set_str(record, "detail", cof_json_text(detail, false));
}

static void fill_record(const struct putting *p, const struct cof_json *told, struct cof_json *record)
{
	static const char *const texts[] = {"owner", "purpose", "usage", "public_key"};
	uint8_t recipient[COF_AGE_KEY];
	char hex[2 * COF_AGE_KEY + 1] = "";

	cof_json_set_str(record, "what", "key");
	for (size_t i = 0; i < COF_COUNT(texts); i++)
		if (cof_json_str(told, texts[i]))
			cof_json_set_str(record, texts[i], cof_json_str(told, texts[i]));
	if (p->take.in.public)
		cof_json_set_str(record, "certificate", cof_json_str(told, p->take.in.public->request ? "request" : "certificate"));
	cof_json_set_uint(record, "level", p->take.in.level);
	cof_json_set_uint(record, "bits", p->take.in.key ? p->take.key.bits : p->take.raw ? 8 * COF_MIN(p->take.file_n, (size_t)8191) : 0);
	cof_json_set_uint(record, "persons", COF_MIN(p->take.in.persons, 255u));
	cof_json_set_bool(record, "usage_decided", p->take.ruling.decided);
	cof_json_set_bool(record, "rehearsal", p->rehearsal);
	cof_json_set_bool(record, "wrapped", p->take.wrapped);
	cof_json_set_uint(record, "epoch", p->epoch.number);
	if (cof_age_recipient_parse(p->epoch.recipient, strlen(p->epoch.recipient), recipient) == 0)
		cof_hex(recipient, sizeof(recipient), hex);
	cof_json_set_str(record, "epoch_key", hex);
	cof_json_set_str(record, "name", p->name ? p->name : base_of(p->take.path));
	if (p->take.in.reason)
		cof_json_set_str(record, "reason", p->take.in.reason);
	set_detail(told, record);
}

/* The other road, of this machine. The one by shares does not depend on it. */
static int seal_to_tpm(struct putting *p, const char *key, struct cof_diag *diag)
{
	const char *where = p->shelf.ask.opener.tpm ? p->shelf.ask.opener.tpm : secure_getenv("COFFER_TPM");
	struct cof_diag why = {""};
	int r = tpm_road_make(where, &p->quorum, &p->take, key, p->tpm_key, &why);

	return r < 0 ? cof_fail(diag, r, "the key is on the shelf, as %.16s, and not on the TPM road: %s", key, why.text) : 0;
}

static int store(struct putting *p, const struct cof_json *told, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autosecret uint8_t *file_key = cof_secret_alloc(COF_AGE_FILE_KEY);
	cof_autojson struct cof_json *record = cof_json_object();
	cof_autobuf struct cof_buf age = {0};
	int r = file_key ? escrow_take_encrypt(&p->take, p->epoch.recipient, file_key, &age, diag) : -ENOMEM;

	if (r == 0)
		r = escrow_take_try(&p->take, file_key, age.data, age.len);
	if (r < 0)
		return cof_fail(diag, r, "%s", *diag->text ? diag->text : "what was encrypted does not open again");
	fill_record(p, told, record);
	r = escrow_put(&p->shelf, NULL, "age", age.data, age.len, record, ret, diag);
	if (r == 0 && p->tpm_key)
		r = seal_to_tpm(p, ledger_text(*ret, "key"), diag);
	return r == 0 && p->take.wipe ? escrow_take_wipe(&p->take, diag) : r;
}

static void say(const struct putting *p, const struct cof_json *o)
{
	escrow_take_say(&p->take);
	printf("It is %.16s on the shelf %s, encrypted to epoch %u%s: %u persons at the fewest open it.\n", ledger_text(o, "key"), p->shelf.name,
	       p->epoch.number, p->rehearsal ? ", a rehearsal" : "", p->take.in.persons);
	if (p->tpm_key)
		printf("The TPM opens %s for %u sets of %u persons, while its counter 0x%08x has the value %llu: raising that ends it.\n", p->tpm_key,
		       p->quorum.n_sets, p->quorum.n_persons, p->quorum.object.index, (unsigned long long)p->quorum.object.value);
	if (p->take.wipe)
		escrow_take_say_wiped(&p->take);
}

static int put(struct putting *p, const char *shelf, struct cof_diag *diag)
{
	cof_autojson struct cof_json *told = cof_json_object(), *o = NULL;
	int r = escrow_take_load(&p->take, diag); /* forks: before an archive is opened */

	if (r == 0)
		r = escrow_open(&p->shelf, shelf, true, diag);
	if (r == 0)
		r = load_epoch(p, diag);
	if (r < 0)
		return r;
	r = escrow_take_judge(&p->take, diag);
	escrow_take_tell(&p->take, told);
	if (r < 0) {
		struct cof_diag unrecorded = {""};

		if (escrow_refused(&p->shelf, p->take.ruling.rule, p->take.ruling.clause, p->take.ruling.reason, NULL, &unrecorded) < 0)
			complain("the refusal is not on record: %s", unrecorded.text);
		if (p->take.json)
			(void)print_json(told, true);
		return r;
	}
	r = store(p, told, &o, diag);
	if (r < 0)
		return r;
	if (!p->take.json) {
		say(p, o);
		return 0;
	}
	cof_json_set_uint(o, "epoch", p->epoch.number);
	cof_json_set_str(o, "usage", cof_json_str(told, "usage"));
	cof_json_set_bool(o, "wiped", p->take.wipe);
	return print_json(o, true);
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct putting p = {.take = TAKING_INIT, .shelf = ESCROW_SHELF_INIT};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = EXIT_OK;
		if (option < TAKE_COUNT)
			code = escrow_take_option(&p.take, option);
		else if (option == OPT_NAME)
			p.name = optarg;
		else if (option == OPT_REHEARSAL)
			p.rehearsal = true;
		else if (option == OPT_QUORUM || option == OPT_TPM_KEY)
			*(option == OPT_QUORUM ? &p.quorum_path : &p.tpm_key) = optarg;
		else
			code = opener_take(&p.shelf.ask.opener, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 2))
		return EXIT_USAGE;
	code = escrow_take_conflict(&p.take);
	if (code)
		return code;
	if (!p.quorum_path != !p.tpm_key)
		return misuse("--tpm-quorum and --tpm-key go together");
	if (*opener_conflict(&p.shelf.ask.opener))
		return misuse("%s", opener_conflict(&p.shelf.ask.opener));
	p.take.path = argv[optind + 1];
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = put(&p, argv[optind], &diag);
	r = escrow_close(&p.shelf, r, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	escrow_take_done(&p.take);
	cof_epoch_done(&p.epoch);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_put = {
    .name = "escrow put",
    .args = "SHELF KEY",
    .summary = "a key, judged, encrypted, onto the shelf",
    .text = "Judges KEY as coffer escrow check does, encrypts it to the epoch in force on SHELF, and puts the age file there, with a "
	    "record of what it is. A refusal names its rule and clause, and is an event; nothing of the key is in it. The key is read "
	    "by a process of its own, and is never in the daemon.\n"
	    "\n"
	    "A CA's key is kept by --backup only. A key that is kept already is refused.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow put /srv/store/keys key.pem --cert key.crt \\\n"
	    "      --owner subscriber --level 2\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
