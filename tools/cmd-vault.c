/* SPDX-License-Identifier: Apache-2.0 */
/* coffer vault: which vaults an archive has. */
#include "tools/coffer.h"
#include "tools/buckets.h"
#include "tools/output.h"
#include "tools/bundles.h"
#include "tools/witness.h"

#include "fs/rules/place.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (1u << 20)

#define SAMPLE 64u
#define SAMPLE_MAX 65536u

enum { OPT_VKEY, OPT_ADMINISTRATION, OPT_BASIS, OPT_GRADE, OPT_JSON, OPT_ALL, OPT_SAMPLE, OPT_RECEIPT };
enum { EXIT_FOUND = 3 };

static const struct tool_option options[] = {
    [OPT_VKEY] = {"vkey", "KEY", "of add: the vault's key as its operator tells it; another one is refused. Without this the key that is met "
				 "is taken, and shown"},
    [OPT_ADMINISTRATION] = {"administration", "NAME", "of add: who runs the vault; status tells where all are of one. It moves no clock: for "
						      "that the archive's people name the vault (role vault)"},
    [OPT_BASIS] = {"basis", "TEXT", "of add: what copies there rest on, a contract or the consent of those whom they are about; each transfer's "
				   "record has it, and a policy may ask for it"},
    [OPT_GRADE] = {"grade", "N", "of add, where a vault is reached by hand: how well it is protected, 1 to 4, as its operator states it. Others say "
				 "it themselves", .choices = "1,2,3,4"},
    [OPT_JSON] = {"json", NULL, "one JSON value instead of text"},
    [OPT_ALL] = {"all", NULL, "of check: all bytes are read back, not a sample"},
    [OPT_SAMPLE] = {"sample", "N", "of check, of a vault: so many frames, drawn at random, and the last 16; 64 if not said, at most 65536"},
    [OPT_RECEIPT] = {"receipt", "FILE", "of retire: what the vault signed, that it destroyed what it had; of enroll: what came back from a vault that is reached by hand", true},
    {0},
};

struct args {
	const char *vkey, *administration, *basis, *receipt, *sample, *grade;
	bool json, all;
	struct bucket_args bucket;
	struct store store;
	uint64_t findings;
};

static void take_option(struct args *a, int option)
{
	if (option >= OPTION_MORE)
		bucket_take(&a->bucket, option - OPTION_MORE);
	else if (option == OPT_VKEY)
		a->vkey = optarg;
	else if (option == OPT_RECEIPT)
		a->receipt = optarg;
	else if (option == OPT_ALL)
		a->all = true;
	else if (option == OPT_SAMPLE)
		a->sample = optarg;
	else if (option == OPT_BASIS)
		a->bucket.basis = a->basis = optarg;
	else if (option == OPT_GRADE)
		a->grade = optarg;
	else if (option == OPT_ADMINISTRATION)
		a->administration = optarg;
	else
		a->json = true;
}

/* ---- add ---- */

static int meet(struct args *a, struct vault_entry *e, struct cof_diag *diag)
{
	struct vault_line line = {.pid = 0};
	cof_autobuf struct cof_buf body = {0};
	int r = vault_hello_to(&a->store, VAULT_SENDS, e->url, &line, diag);

	if (r < 0)
		return r;
	r = vault_expect(&line.wire, VAULT_STATE, &body, NULL, diag);
	if (r == 0)
		r = vault_state_about(&body, &e->note);
	vault_line_close(&line);
	if (r == -EPROTO || (r == 0 && vault_about_read(e->note, e) < 0))
		r = cof_fail(diag, -EPROTO, "%s does not say which vault it is", e->url);
	free(e->note);
	e->note = NULL;
	return r;
}

/* Nobody answers: its operator's word is what there is. */
static int by_hand(const struct args *a, struct vault_entry *e, const struct cof_vkey *key, struct cof_diag *diag)
{
	const char *place = a->bucket.place ? a->bucket.place : "", *where = a->bucket.jurisdiction ? a->bucket.jurisdiction : "";
	int r;

	if (!a->vkey || key->algorithm != COF_NOTE_COSIG)
		return cof_fail(diag, -EINVAL, "of a vault that is reached by hand the key is wanted: --vkey, as coffer-vault status prints it");
	r = vault_place_check(place, diag);
	if (r == 0)
		r = cof_jurisdiction_check(where, diag);
	if (r < 0)
		return r;
	e->vkey = *key;
	if (a->grade && vault_grade_read(a->grade, &e->grade) < 0)
		return cof_fail(diag, -EINVAL, "--grade takes 1 to 4, as the policy's vault_grade");
	snprintf(e->place, sizeof(e->place), "%s", place);
	snprintf(e->jurisdiction, sizeof(e->jurisdiction), "%s", where);
	return 0;
}

static int record_met(struct args *a, const struct vault_entry *e, struct cof_diag *diag)
{
	struct vault_recording recording = {.store = &a->store};
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "what", "met");
	vault_entry_record(&a->store, e, o);
	cof_json_set_str(o, "detail", e->url);
	return vault_recorded(&recording, o, diag);
}

/* Whom nobody meets: its key has to be known before. It holds no copy, so where it stands is nothing to us. */
static int witness_of(struct args *a, struct vault_entry *e, struct cof_diag *diag)
{
	int r = witness_url_check(e->url, diag);

	if (r < 0)
		return r;
	if (!a->vkey || cof_vkey_parse(a->vkey, &e->vkey) < 0 || e->vkey.algorithm != COF_NOTE_COSIG)
		return cof_fail(diag, -EINVAL, "a witness is added with its key, of kind cosignature/v1: --vkey KEY, as it is published");
	if (a->bucket.place || a->bucket.jurisdiction)
		return cof_fail(diag, -EINVAL, "a witness holds no copy: --place and --jurisdiction are of copies");
	if (a->bucket.ca && (*a->bucket.ca != '/' || strlen(a->bucket.ca) >= sizeof(e->ca) || strpbrk(a->bucket.ca, "\n\r;#\"")))
		return cof_fail(diag, -EINVAL, "--ca wants a path from / on, of at most 255 bytes");
	snprintf(e->ca, sizeof(e->ca), "%s", a->bucket.ca ? a->bucket.ca : "");
	return 0;
}

static int add(struct args *a, char **operand, struct cof_diag *diag)
{
	struct vault_entry e = {.time = 0}, there, said = {.time = 0};
	struct cof_vkey wanted;
	char vkey[COF_VKEY_MAX];
	int r;

	if (!vault_name_ok(operand[1]))
		return cof_fail(diag, -EINVAL, "'%s' is no name for a vault: letters a to z, digits and -", operand[1]);
	if (s3_is_url(operand[2]))
		return bucket_add(&a->store, operand[1], operand[2], &a->bucket, diag);
	if (bucket_exists(&a->store, operand[1]))
		return cof_fail(diag, -EEXIST, "%s has a copy '%s' in a bucket: choose another name", a->store.path, operand[1]);
	if (a->vkey && cof_vkey_parse(a->vkey, &wanted) < 0)
		return cof_fail(diag, -EINVAL, "--vkey wants a key as coffer-vault status prints it");
	if (a->administration && !vault_administration_ok(a->administration))
		return cof_fail(diag, -EINVAL, "--administration wants a name of at most 59 bytes without line ends, ; # and quotes");
	if (strlen(operand[2]) >= sizeof(e.url) || strpbrk(operand[2], "\n\r"))
		return cof_fail(diag, -EINVAL, "the way to the vault is too long");
	snprintf(e.name, sizeof(e.name), "%s", operand[1]);
	snprintf(e.url, sizeof(e.url), "%s", operand[2]);
	if (a->basis && !vault_basis_ok(a->basis))
		return cof_fail(diag, -EINVAL, "--basis wants a text of at most 255 bytes without line ends, ; # and quotes");
	snprintf(e.basis, sizeof(e.basis), "%s", a->basis ? a->basis : "");
	snprintf(e.administration, sizeof(e.administration), "%s", a->administration ? a->administration : "");
	if (a->grade && strcmp(e.url, BUNDLE_URL) != 0)
		return cof_fail(diag, -EINVAL, "--grade is of a vault that is reached by hand (bundle:): others state it themselves");
	if (!strcmp(e.url, BUNDLE_URL))
		r = by_hand(a, &e, &wanted, diag);
	else if (witness_is_url(e.url))
		r = witness_of(a, &e, diag);
	else
		r = vault_url_check(e.url, diag);
	if (r == 0 && strcmp(e.url, BUNDLE_URL) && !witness_is_url(e.url))
		r = meet(a, &e, diag);
	if (r < 0)
		return r;
	cof_vkey_text(&e.vkey, vkey);
	if (a->vkey && strcmp(vkey, a->vkey))
		return cof_fail(diag, -EKEYREJECTED, "the vault's key is %s, not the one that was given", vkey);
	if (vault_entry_load(&a->store, e.name, &there, NULL) == 0) {
		bool same = cof_equal(there.vkey.public_key, e.vkey.public_key, 32), retiring = *there.retiring;

		said.grade = there.grade;
		memcpy(said.scrubbed, there.scrubbed, sizeof(said.scrubbed));
		vault_entry_done(&there);
		if (retiring)
			return cof_fail(diag, -EEXIST, "vault %s is being retired: choose another name", e.name);
		if (!same)
			return cof_fail(diag, -EEXIST, "%s has a vault '%s' with another key: choose another name", a->store.path, e.name);
	}
	r = vault_entry_save(&a->store, &e, diag);
	memcpy(said.name, e.name, sizeof(said.name));
	if (r == 0)
		r = vault_entry_says(&a->store, &said, &e, diag);
	if (r == 0)
		r = record_met(a, &e, diag);
	if (r == 0)
		printf("Vault %s is added. Its key%s:\n  %s\n%s%s%sNext: coffer sync %s %s\n", e.name,
		       a->vkey ? "" : ", which its operator should confirm (coffer-vault status DIR)", vkey,
		       *e.place ? "It says that it stands at " : "", e.place, *e.place ? ".\n" : "", a->store.path, e.name);
	return r;
}

/* ---- enroll ---- */

static int ask_enroll(struct args *a, const struct vault_entry *e, const char *recipient, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	struct cof_json *record = cof_json_object();
	int r;

	vault_entry_record(&a->store, e, record);
	cof_json_set_str(request, "verb", "vault-record");
	cof_json_set_str(request, "recipient", recipient);
	cof_json_set(request, "record", record);
	r = store_ask(&a->store, request, store_keep_last, &answer, diag);
	return r == -ENOTCONN ? cof_fail(diag, r, "%s is not mounted, and vaults are enrolled by its daemon: mount -t coffer %s DIR", a->store.path,
					 a->store.path)
			      : r;
}

/* One that answers says it by itself, with its key; one that is reached by hand has said it in a receipt. */
static int find_recipient(struct args *a, const struct vault_entry *e, char ret[VAULT_RECIPIENT], struct cof_diag *diag)
{
	struct vault_entry is = {.time = 0};
	int r;

	if (witness_is_url(e->url))
		return cof_fail(diag, -ENOTSUP, "%s is a witness, which holds no copy", e->name);
	if (a->receipt)
		return bundles_recipient(&a->store, e, a->receipt, ret, diag);
	if (!strcmp(e->url, BUNDLE_URL))
		return cof_fail(diag, -ENOTSUP, "%s is reached by hand: --receipt FILE, one that came back from there (coffer sync --bundle), says to "
						"whom its keys are sealed",
				e->name);
	snprintf(is.url, sizeof(is.url), "%s", e->url);
	r = meet(a, &is, diag);
	if (r == 0 && !cof_equal(is.vkey.public_key, e->vkey.public_key, 32))
		return cof_fail(diag, -EKEYREJECTED, "another vault answers there than the one that was added: its key is not the same");
	if (r == 0 && !*is.recipient)
		return cof_fail(diag, -ENOTSUP, "vault %s takes no keys: its coffer-vault is older than this program", e->name);
	if (r == 0)
		memcpy(ret, is.recipient, sizeof(is.recipient));
	return r;
}

static int enroll(struct args *a, char **operand, struct cof_diag *diag)
{
	struct vault_entry e = {.time = 0};
	char recipient[VAULT_RECIPIENT];
	bool by_hand;
	int r = bucket_exists(&a->store, operand[1])
		    ? cof_fail(diag, -ENOTSUP, "%s is a copy in a bucket, which holds no key", operand[1])
		    : vault_entry_load(&a->store, operand[1], &e, diag);

	if (r < 0)
		return r;
	by_hand = !strcmp(e.url, BUNDLE_URL);
	r = find_recipient(a, &e, recipient, diag);
	if (r == 0)
		r = ask_enroll(a, &e, recipient, diag);
	if (r == 0)
		printf("Vault %s is enrolled: what is written from now on can be read only with what it gets %s, and what the recovery\n"
		       "envelope holds is no longer enough. Next:\n"
		       "  coffer sync %s %s%s\n"
		       "  coffer seal recovery-renew %s --recovery age1...   # the envelope from before holds what vaults have now\n",
		       e.name, by_hand ? "by the next bundle" : "at the next sync", a->store.path, e.name, by_hand ? " --bundle FILE" : "",
		       a->store.path);
	vault_entry_done(&e);
	return r;
}

/* ---- place ---- */

static int place(struct args *a, char **operand, struct cof_diag *diag)
{
	struct vault_host h = {.place = ""};
	struct cof_place p;
	int r = cof_place_parse(operand[1], &p, diag);

	if (r == 0)
		r = cof_jurisdiction_check(a->bucket.jurisdiction ? a->bucket.jurisdiction : "", diag);
	if (r < 0)
		return r;
	snprintf(h.place, sizeof(h.place), "%s", operand[1]);
	snprintf(h.jurisdiction, sizeof(h.jurisdiction), "%s", a->bucket.jurisdiction ? a->bucket.jurisdiction : "");
	r = vault_host_save(&a->store, &h, diag);
	if (r == 0)
		printf("%s stands at %s%s%s: how far away its vaults are is told from there.\n", a->store.path, h.place,
		       *h.jurisdiction ? ", " : "", h.jurisdiction);
	return r;
}

/* ---- list ---- */

static void say(const struct store *s, const struct cof_json *v)
{
	const char *name = cof_json_str(v, "vault"), *url = cof_json_str(v, "url"), *place = cof_json_str(v, "place"),
		   *when = cof_json_str(v, "confirmed");
	int64_t size = 0, behind = 0;

	printf("%-12s %s%s%s\n", name, url, place && *place ? "  at " : "", place ? place : "");
	if (cof_json_str(v, "retiring"))
		printf("%-12s being retired since %s: no receipt yet that it destroyed what it had\n", "", cof_json_str(v, "retiring"));
	if (when && cof_json_int(v, "size", &size) == 0 && cof_json_int(v, "behind", &behind) == 0)
		printf("%-12s confirmed %" PRId64 " frames at %s; %" PRId64 " behind", "", size, when, behind);
	else
		printf("%-12s nothing confirmed yet: coffer sync %s %s", "", s->path, name);
	vault_say_more(v);
}

static int list(struct args *a, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = cof_json_array(), *buckets = cof_json_array();
	int r = vault_entries_json(&a->store, all, diag);

	if (r == 0)
		r = bucket_entries_json(&a->store, a->json ? all : buckets, diag);
	if (r < 0)
		return r;
	if (a->json)
		return print_json(all, true) == -ENOMEM ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
	for (size_t i = 0; i < cof_json_count(all); i++)
		say(&a->store, cof_json_at(all, i));
	bucket_say(buckets);
	if (!cof_json_count(all) && !cof_json_count(buckets))
		printf("%s has no vault: coffer vault add %s NAME URL\n", a->store.path, a->store.path);
	return 0;
}

/* ---- retire ---- */

static int retire(struct args *a, char **operand, struct cof_diag *diag)
{
	if (bucket_exists(&a->store, operand[1]))
		return !a->receipt ? bucket_retire(&a->store, operand[1], diag)
				   : cof_fail(diag, -ENOTSUP, "%s is a copy in a bucket, which signs no receipt: what is locked there ends with its locks",
					      operand[1]);
	return vault_retire(&a->store, operand[1], a->receipt, diag);
}

/* ---- check ---- */

/* 0: all. */
static int sample_of(const struct args *a, uint64_t *ret, struct cof_diag *diag)
{
	unsigned long long n;
	char *end;

	if (a->sample && a->all)
		return cof_fail(diag, -EINVAL, "--sample and --all exclude each other");
	*ret = a->all ? 0 : SAMPLE;
	if (!a->sample)
		return 0;
	n = strtoull(a->sample, &end, 10);
	if (*a->sample < '0' || *a->sample > '9' || *end || !n || n > SAMPLE_MAX)
		return cof_fail(diag, -EINVAL, "--sample wants a number from 1 to %u", SAMPLE_MAX);
	*ret = n;
	return 0;
}

static int check(struct args *a, char **operand, struct cof_diag *diag)
{
	struct vault_entry e;
	uint64_t sample = 0;
	int r = sample_of(a, &sample, diag);

	if (r < 0)
		return r;
	if (bucket_exists(&a->store, operand[1]) && a->sample)
		return cof_fail(diag, -EINVAL, "%s is a copy in a bucket, of which check reads some bytes back, or --all", operand[1]);
	if (bucket_exists(&a->store, operand[1]) || vault_entry_load(&a->store, operand[1], &e, NULL) < 0)
		return bucket_check(&a->store, operand[1], a->all, a->json, &a->findings, diag);
	r = vault_check(&a->store, &e, sample, a->json, &a->findings, diag);
	vault_entry_done(&e);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct args a = {.vkey = NULL};
	struct cof_diag diag = {""};
	char **operand;
	const char *what;
	int option, r, wanted;

	while ((option = option_next(self, argc, argv)) >= 0)
		take_option(&a, option);
	if (option != OPTION_END)
		return option_exit(option);
	operand = argv + optind + 1;
	what = argc > optind ? argv[optind] : "";
	wanted = !strcmp(what, "add") ? 4 : !strcmp(what, "check") || !strcmp(what, "enroll") || !strcmp(what, "retire") || !strcmp(what, "place") ? 3 : !strcmp(what, "list") ? 2 : 0;
	if (!wanted)
		return misuse("add, check, enroll, list, place or retire comes first");
	if (argc - optind != wanted)
		return misuse(wanted == 4 ? "add wants STORE NAME URL" : wanted == 3 ? "check, enroll and retire want STORE NAME, place STORE LAT,LON,NAME" : "list wants STORE");
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = store_open(operand[0], &a.store, &diag);
	if (r == 0)
		r = wanted == 4 ? add(&a, operand, &diag) : !strcmp(what, "place") ? place(&a, operand, &diag) : !strcmp(what, "retire") ? retire(&a, operand, &diag) : !strcmp(what, "enroll") ? enroll(&a, operand, &diag) : wanted == 3 ? check(&a, operand, &diag) : list(&a, &diag);
	store_close(&a.store);
	return r < 0 ? failure(&diag) : a.findings ? EXIT_FOUND : EXIT_OK;
}

const struct verb verb_vault = {
    .name = "vault",
    .args = "add|check|enroll|list|... STORE [NAME [URL]]",
    .summary = "the vaults far away that keep copies of an archive",
    .text = "A vault is a directory on another host (coffer-vault init) that takes this archive's log, verifies it without any key, keeps "
	    "what it has seen, and signs with a key of its own what that was and when. URL is ssh://[USER@]HOST[:PORT]/DIR, or dir:/DIR for "
	    "one on other disks of this host. COFFER_SSH names another ssh with its options.\n"
	    "\n"
	    "add meets the vault and keeps its key: from then on nothing else counts as its word. list shows for each what it confirmed "
	    "last, and how far it is behind. place says where this host stands (NAME is LAT,LON,NAME): what a vault in another place has confirmed counts as archived "
	    "(user.coffer.archived_at). Without it a vault reached over ssh counts as another place, and dir: does not.\n"
	    "\n"
	    "URL may also be https://HOST[/PATH], a witness (c2sp.org/tlog-witness): it takes no copy, and coffer sync has it cosign the "
	    "newest checkpoint. Its key is given by --vkey.\n"
	    "\n"
	    "retire says in the archive's chain that the vault is left; from then on nothing goes there unless it is named, and it is an open "
	    "item of status and due until retire --receipt puts on record what the vault signed (coffer-vault destroy, by its operator). "
	    "Of a copy in a bucket nobody signs one, and it stays open; a witness has nothing to destroy.\n"
	    "\n"
	    "enroll gives the vault the tree R of the keys, of all files that are made from then on (the archive has to be mounted). A vault reads "
	    "nothing by it, and the recovery envelope nothing without it: custodians together with any one vault give everything back, and "
	    "what all vaults have destroyed stays destroyed. A vault that is reached by hand says in each receipt to whom its keys are sealed "
	    "(enroll --receipt FILE); the next bundle brings them, and the receipt for it that they are there.\n"
	    "\n"
	    "  coffer vault add /srv/ledger kaohsiung ssh://vault@vault.example/srv/vault\n"
	    "\n"
	    "URL may also be s3://BUCKET[/PREFIX] on a server that --endpoint names, a bucket with Object Lock: a copy that locks what is put "
	    "there for as long as retention says, and judges and signs nothing. add tries what the bucket can do, and refuses one that does "
	    "not lock. check compares what is there with what was put there: objects, versions, locks, holds, and bytes.\n"
	    "\n"
	    "  coffer vault add /srv/ledger far s3://records/ledger \\\n"
	    "      --endpoint https://s3.example --credentials /etc/coffer/s3\n"
	    "\n"
	    "check of a vault asks it for hashes over a random number and what it confirmed, of some frames or (--all) of all: only who has the "
	    "bytes can answer, and they are read there anew. What people destroyed is not asked for. Frames that it has not as they were are "
	    "named, and an alarm in the archive's events; coffer-vault scrub there finds the rest, and coffer sync mends it.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage, 3 check found something.",
    .options = options,
    .more = bucket_options,
    .run = run,
    .takes_files = true,
    .actions = "add check enroll list place retire",
};
