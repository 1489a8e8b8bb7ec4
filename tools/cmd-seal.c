/* SPDX-License-Identifier: Apache-2.0 */
/* coffer seal: what guards an archive's root key. Of an archive that is not mounted. */
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/pcrs.h"
#include "tools/recovery.h"
#include "tools/seal-clean.h"
#include "tools/store.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)
#define ACTIONS "show, renew, add, remove, recovery-renew, auditor-renew, new-lineage or clean"

enum {
	OPT_PCRS,
	OPT_NEXT,
	OPT_ADD,
	OPT_ADD_FILE,
	OPT_ADD_FD,
	OPT_PIN,
	OPT_RECOVERY,
	OPT_RECOVERY_TEST,
	OPT_AUDITOR,
	OPT_IDENTITY,
	OPT_WITHOUT_TPM,
	OPT_JSON,
};

static const struct tool_option options[] = {
    [OPT_PCRS] = {"pcrs", "LIST", "renew, add: the PCRs that the TPM's seal measures"},
    [OPT_NEXT] = {"next-pcrs", "FILE",
		  "renew: opens with these values too, for an update that changes them. Lines of a PCR's "
		  "number and 64 hexadecimal digits",
		  true},
    [OPT_ADD] = {"new", "KIND", "add: tpm2, passphrase or file", .choices = "tpm2,passphrase,file"},
    [OPT_ADD_FILE] = {"new-key-file", "FILE", "add: of file; the file is made", true},
    [OPT_ADD_FD] = {"new-passphrase-fd", "N", "add: the new passphrase or PIN from descriptor N"},
    [OPT_PIN] = {"pin", NULL, "add: the TPM's seal takes a PIN too"},
    [OPT_RECOVERY] = {"recovery", "RECIPIENT",
		      "recovery-renew: an age recipient (age1...) who opens the envelope; several times: each "
		      "alone. Or the document of an epoch of escrow (a file): a quorum of its custodians opens it", true},
    [OPT_RECOVERY_TEST] = {"recovery-test", "FILE",
			   "recovery-renew: tries the new envelope with this identity file too", true},
    [OPT_AUDITOR] = {"auditor", "RECIPIENT",
		     "auditor-renew: an age recipient (age1...) who reads the auditor secrets; several times: "
		     "all of them, from here on"},
    [OPT_IDENTITY] = {"identity", "FILE",
		      "auditor-renew: passes on what seal/auditor.age holds, opened with this identity of an "
		      "auditor before. Without it the new ones get only what begins later",
		      true},
    [OPT_WITHOUT_TPM] = {"without-tpm", NULL,
			 "new-lineage: the seal's secret goes to keys/epoch, and there is no anchor; for when "
			 "the TPM is gone"},
    [OPT_JSON] = {"json", NULL, "show, clean: JSON instead of text"},
    {0},
};

struct sealing {
	struct opener_args open, add;
	const char *next;
	struct recovery recovery;
	struct recovery auditors;
	const char *identity; /* file of an auditor's, or NULL */
	bool json, without_tpm;
	struct store store;
	struct opener opener, added;
};

static int take_option(struct sealing *s, int option)
{
	switch (option) {
	case OPT_PCRS:
		return opener_take_pcrs(&s->add.pcrs);
	case OPT_NEXT:
		s->next = optarg;
		break;
	case OPT_ADD:
		s->add.seal = optarg;
		break;
	case OPT_ADD_FILE:
		s->add.new_key_file = optarg;
		break;
	case OPT_ADD_FD:
		return opener_take_fd("--new-passphrase-fd", &s->add.passphrase_fd);
	case OPT_PIN:
		s->add.pin = true;
		break;
	case OPT_RECOVERY:
		return recovery_add_or_epoch(&s->recovery, "--recovery", optarg);
	case OPT_RECOVERY_TEST:
		s->recovery.test = optarg;
		break;
	case OPT_AUDITOR:
		return recovery_add(&s->auditors, "--auditor", optarg);
	case OPT_IDENTITY:
		s->identity = optarg;
		break;
	case OPT_WITHOUT_TPM:
		s->without_tpm = true;
		break;
	case OPT_JSON:
		s->json = true;
		break;
	default:
		return opener_take(&s->open, option);
	}
	return EXIT_OK;
}

/* ---- show ---- */

static int64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	(void)cof_json_int(o, key, &v);
	return v;
}

static void show_one(const struct cof_json *o)
{
	const char *error = cof_json_str(o, "error"), *kind = cof_json_str(o, "kind");

	printf("%s", cof_json_str(o, "name"));
	if (error)
		printf(": %s", error);
	else if (kind && !strcmp(kind, "tpm2"))
		printf(": PCR %s%s%s, counter %s at %lld", cof_json_str(o, "pcrs"),
		       number(o, "sets") > 1 ? " (or the values after an update)" : "",
		       cof_json_bool(o, "pin") ? ", PIN" : "", cof_json_str(o, "index"),
		       (long long)number(o, "value"));
	else if (kind && !strcmp(kind, "file"))
		printf(": weak, whoever copies the key file has the archive");
	printf("%s\n", cof_json_bool(o, "pending") ? " (a renewal was not finished)" : "");
}

/* What the TPM counts of wrong PINs, and what its counter says. */
static void ask_tpm(const struct sealing *s, const struct cof_anchored *a, struct cof_json *all)
{
	const char *where = s->open.tpm ? s->open.tpm : secure_getenv("COFFER_TPM");
	struct cof_json *o = cof_json_object();
	cof_autotpm struct cof_tpm *t = NULL;
	struct cof_tpm_lockout l;
	struct cof_diag diag = {""};
	uint64_t value = 0;

	if (cof_tpm_open(where, &t, &diag) < 0 || cof_tpm_lockout_read(t, &l, &diag) < 0) {
		cof_json_set_str(o, "error", diag.text);
	} else {
		cof_json_set_uint(o, "failures", l.failures);
		cof_json_set_uint(o, "max", l.max);
		cof_json_set_uint(o, "interval_s", l.interval_s);
		cof_json_set_bool(o, "locked", l.locked);
		if (a->there &&
		    cof_tpm_counter_read(t, cof_get_le32(a->counter), COF_TPM_ORDERLY, &value, NULL) == 0)
			cof_json_set_uint(cof_json_get(all, "anchor"), "tpm_value", value);
	}
	cof_json_set(all, "tpm", o);
}

static void show_tpm(const struct cof_json *all)
{
	const struct cof_json *o = cof_json_get(all, "tpm"), *a = cof_json_get(all, "anchor");
	const char *error = cof_json_str(o, "error");
	cof_autofree char *shown = error ? escaped(error) : NULL;
	int64_t value;

	if (error)
		printf("TPM: %s\n", shown ? shown : "?");
	else if (o)
		printf("TPM: %lld of %lld wrong PINs counted, one is forgotten every %lld seconds%s\n",
		       (long long)number(o, "failures"), (long long)number(o, "max"),
		       (long long)number(o, "interval_s"), cof_json_bool(o, "locked") ? "; it is locked out" : "");
	if (!a)
		return;
	printf("Anchor: counter %s at %lld in the log", cof_json_str(a, "counter"), (long long)number(a, "value"));
	if (cof_json_int(a, "tpm_value", &value) == 0)
		printf(", at %lld in the TPM", (long long)value);
	printf("\n");
}

/* As the log has it. */
static void look_at_anchor(const struct sealing *s, struct cof_anchored *a, struct cof_json *all)
{
	struct cof_json *o;
	char index[16];

	if (cof_anchored_last(s->store.io, &s->store.conf, a) < 0 || !a->there) {
		a->there = false;
		return;
	}
	o = cof_json_object();
	snprintf(index, sizeof(index), "0x%08x", cof_get_le32(a->counter));
	cof_json_set_str(o, "counter", index);
	cof_json_set_uint(o, "value", a->value);
	cof_json_set(all, "anchor", o);
}

static int look(const struct sealing *s, struct cof_json *all, struct cof_diag *diag)
{
	struct cof_json *openers = cof_json_array();
	struct cof_anchored anchor = {0};
	bool tpm2 = false;
	int r = cof_store_seal_show(s->store.io, openers, diag);

	cof_json_set(all, "openers", openers);
	for (size_t i = 0; r == 0 && i < cof_json_count(openers); i++) {
		const char *kind = cof_json_str(cof_json_at(openers, i), "kind");

		tpm2 |= kind && !strcmp(kind, "tpm2");
	}
	if (r == 0) {
		look_at_anchor(s, &anchor, all);
		if (tpm2 || anchor.there)
			ask_tpm(s, &anchor, all);
	}
	return r;
}

static void copy_to(struct cof_json *to, const struct cof_json *from, const char *key)
{
	struct cof_json *value = cof_json_get(from, key), *copy = NULL;
	const char *text = value ? cof_json_text(value, false) : NULL;

	if (text && cof_json_parse(text, strlen(text), &copy) == 0)
		cof_json_set(to, key, copy);
}

static int seal_show(struct sealing *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = cof_json_object(), *status = cof_json_object();
	const struct cof_json *openers;
	char text[RECOVERY_SAID], lockout[OPENER_LOCKOUT_SAID];
	int r = look(s, all, diag);

	if (r == 0)
		r = cof_store_status(s->store.io, status, diag);
	recovery_tell_shares(s->store.io, cof_json_get(status, "recovery"));
	if (r < 0)
		return r;
	if (s->json) {
		copy_to(all, status, "recovery");
		copy_to(all, status, "lockout");
		return print_json(all, true);
	}
	openers = cof_json_get(all, "openers");
	for (size_t i = 0; i < cof_json_count(openers); i++)
		show_one(cof_json_at(openers, i));
	show_tpm(all);
	recovery_said(cof_json_get(status, "recovery"), text);
	printf("Recovery envelope: %s\n", text);
	opener_lockout_said(cof_json_get(status, "lockout"), lockout);
	if (*lockout)
		printf("Lockout: %s\n", lockout);
	return 0;
}

/* ---- renew ---- */

static int seal_renew(struct sealing *s, struct cof_diag *diag)
{
	struct cof_tpm_pcrs also = {.mask = 0};
	struct cof_renewal renewal = {.tpm = s->opener.secret.tpm, .pcrs = s->add.pcrs};
	int r = s->next ? pcrs_load(s->next, &also, diag) : 0;

	if (r == 0 && s->next)
		renewal.also = &also;
	if (r == 0)
		r = owner_take(s->store.path, diag);
	if (r == 0)
		r = cof_store_seal_renew(s->store.io, &s->opener.secret, &renewal, diag);
	if (r == 0)
		printf("The root key is a new one, and each opener opens it.\n");
	return r;
}

/* ---- add, remove ---- */

static int seal_add(struct sealing *s, struct cof_diag *diag)
{
	uint32_t n = 0;
	int r = opener_get(&s->add, s->store.path, true, &s->added, diag);

	if (r == 0)
		r = owner_take(s->store.path, diag);
	if (r == 0)
		r = cof_store_seal_add(s->store.io, &s->opener.secret, &s->added.secret,
				       opener_pcrs(&s->add), &n, diag);
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "the opener was added, but this is no longer root's process");
	if (r < 0)
		opener_unmake(&s->added);
	else
		printf("Added the opener %s-%u.\n", s->add.seal, n);
	return r;
}

static int seal_recovery(struct sealing *s, struct cof_diag *diag)
{
	struct cof_recovery recovery;
	int r = recovery_load(&s->recovery, s->store.path, diag);

	recovery = recovery_params(&s->recovery);
	if (r == 0)
		r = owner_take(s->store.path, diag);
	if (r == 0)
		r = cof_store_seal_recovery(s->store.io, &s->opener.secret, &recovery, diag);
	if (r == 0)
		r = recovery_note(&s->recovery, s->store.io, diag);
	if (r == 0)
		printf("The recovery envelope is a new one. Whoever opened the old one still does, wherever a "
		       "copy of it is.\n");
	return r;
}

static void say_auditors(const struct cof_auditors_renewed *done, bool identity)
{
	printf("Of a new lineage the auditor secret will be sealed to the new auditors.\n");
	if (done->passed)
		printf("Sealed to them too: %zu file%s of seal/. Whoever opened those before still does, wherever "
		       "copies are.\n",
		       done->passed, plural(done->passed));
	if (done->left)
		printf("Warning: %zu file%s of seal/ stay%s sealed to the auditors before%s.\n", done->left,
		       plural(done->left), done->left == 1 ? "s" : "",
		       identity ? ": this identity does not open them"
				: " (--identity of one of them passes them on)");
}

static int seal_auditors(struct sealing *s, struct cof_diag *diag)
{
	struct cof_auditors_renewed done = {.passed = 0};
	struct cof_auditor_renewal p = {.auditors = (const uint8_t(*)[COF_AGE_KEY])s->auditors.recipients,
					.n_auditors = s->auditors.n};
	uint8_t(*keys)[COF_AGE_KEY] = NULL;
	int r = s->identity ? identities_load(s->identity, s->store.path, &keys, &p.n_identities, diag) : 0;

	p.identities = (const uint8_t(*)[COF_AGE_KEY])keys;
	if (r == 0)
		r = owner_take(s->store.path, diag);
	if (r == 0)
		r = cof_store_seal_auditors(s->store.io, &s->opener.secret, &p, &done, diag);
	cof_secret_free(keys);
	if (r == 0)
		say_auditors(&done, s->identity != NULL);
	return r;
}

static int seal_lineage(struct sealing *s, struct cof_diag *diag)
{
	struct cof_new_lineage done = {.lineage = 0};
	int r = cof_store_seal_lineage(s->store.io, &s->opener.secret, s->without_tpm, &done, diag);

	if (r == 0)
		printf("The seal begins anew with the next mount (lineage %u), which puts that on record: an "
		       "auditor\nsecret from before checks it up to there. Its secret lies in %s.\n",
		       done.lineage,
		       done.in_tpm ? "the TPM"
				   : "keys/epoch, where\nwhoever copies the store with an opener has it; there is "
				     "no anchor");
	if (r == 0 && !done.auditors)
		printf("Warning: nobody holds the new auditor secret: the archive names no auditor.\n");
	return r;
}

static int seal_remove(struct sealing *s, const char *name, struct cof_diag *diag)
{
	const char *dash = strrchr(name, '-');
	char *end = NULL;
	unsigned long n = dash ? strtoul(dash + 1, &end, 10) : 0;
	int r;

	for (unsigned kind = COF_OPENER_PASSPHRASE; dash && kind <= COF_OPENER_TPM2; kind++) {
		const char *word = cof_opener_name(kind);

		if (!n || *end || strlen(word) != (size_t)(dash - name) || strncmp(word, name, strlen(word)) != 0)
			continue;
		r = owner_take(s->store.path, diag);
		if (r == 0)
			r = cof_store_seal_remove(s->store.io, &s->opener.secret, kind, (uint32_t)n, diag);
		if (r == 0)
			printf("Removed the opener %s. Copies of it still open copies of keys/ from before; "
			       "coffer seal renew\nmakes a new root key.\n",
			       name);
		return r;
	}
	return cof_fail(diag, -EINVAL, "'%s' is no opener's name: it has a number, as in passphrase-1; coffer seal show %s names them", name,
			s->store.path);
}

/* ---- all of it ---- */

static int not_mounted(struct sealing *s, struct cof_diag *diag)
{
	char holder[256] = "";

	if (s->store.mount)
		return cof_fail(diag, -EBUSY, "%s is mounted on %s: unmount it first", s->store.path,
				s->store.mount);
	if (cof_io_locked(s->store.io, holder, sizeof(holder)) > 0)
		return cof_fail(diag, -EBUSY, "%s is in use by %s: unmount it, or wait for that", s->store.path, holder);
	return 0;
}

static int act(struct sealing *s, const char *what, char **rest, struct cof_diag *diag)
{
	int r = cof_crypto_init(SECURE_BYTES, diag); /* before anything is hashed */

	if (r == 0)
		r = store_open(rest[0], &s->store, diag);
	if (r == 0 && !strcmp(what, "show"))
		return seal_show(s, diag);
	if (r == 0)
		r = not_mounted(s, diag);
	if (r == 0)
		r = opener_choose(&s->open, s->store.io, diag);
	if (r == 0)
		r = opener_get(&s->open, s->store.path, false, &s->opener, diag);
	if (r < 0)
		return r;
	if (!strcmp(what, "renew"))
		return seal_renew(s, diag);
	if (!strcmp(what, "recovery-renew"))
		return seal_recovery(s, diag);
	if (!strcmp(what, "auditor-renew"))
		return seal_auditors(s, diag);
	if (!strcmp(what, "new-lineage"))
		return seal_lineage(s, diag);
	if (!strcmp(what, "clean"))
		return seal_clean(&s->store, &s->opener, rest + 1, s->json, diag);
	return !strcmp(what, "add") ? seal_add(s, diag) : seal_remove(s, rest[1], diag);
}

static int check_new(const struct opener_args *a)
{
	bool file = !strcmp(a->seal, "file");

	if (!file && !opener_is_tpm2(a) && strcmp(a->seal, "passphrase") != 0)
		return misuse("--new takes tpm2, passphrase or file");
	if (file != !!a->new_key_file)
		return misuse("--new file wants --new-key-file FILE, and nothing else takes it");
	if (file && a->passphrase_fd >= 0)
		return misuse("--new-passphrase-fd goes with --new passphrase, or --new tpm2 with --pin");
	return EXIT_OK;
}

static int check(struct sealing *s, const char *what, int n)
{
	static const char *const words[] = {"show", "renew", "add", "remove", "recovery-renew",
					    "auditor-renew", "new-lineage", "clean", NULL};
	const char *conflict = opener_conflict(&s->open);
	bool known = false;

	for (int i = 0; words[i]; i++)
		known |= !strcmp(what, words[i]);
	if (!known)
		return misuse("%s is wanted first, not '%s'", ACTIONS, what);
	if (!strcmp(what, "clean") ? n < 2 : n != (!strcmp(what, "remove") ? 3 : 2))
		return misuse("%s takes STORE%s", what, !strcmp(what, "remove") ? " and an opener's name" : "");
	if (*conflict)
		return misuse("%s", conflict);
	s->add.tpm = s->open.tpm;
	if (!strcmp(what, "add") != !!s->add.seal)
		return misuse("--new KIND goes with add, and add with it");
	if (!strcmp(what, "recovery-renew") != recovery_given(&s->recovery))
		return misuse("--recovery RECIPIENT goes with recovery-renew, and recovery-renew with it");
	if (s->recovery.test && !s->recovery.n)
		return misuse("--recovery-test goes with recovery-renew");
	if (!strcmp(what, "auditor-renew") != (s->auditors.n > 0))
		return misuse("--auditor RECIPIENT goes with auditor-renew, and auditor-renew with it");
	if (s->identity && !s->auditors.n)
		return misuse("--identity goes with auditor-renew");
	if (s->without_tpm && strcmp(what, "new-lineage") != 0)
		return misuse("--without-tpm goes with new-lineage");
	return s->add.seal ? check_new(&s->add) : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct sealing s = {.open = OPENER_ARGS_INIT, .add = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&s, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (optind == argc)
		return misuse("%s is wanted, and STORE", ACTIONS);
	code = check(&s, argv[optind], argc - optind);
	if (code)
		return code;
	code = act(&s, argv[optind], argv + optind + 1, &diag) < 0 ? failure(&diag) : EXIT_OK;
	opener_done(&s.opener);
	opener_done(&s.added);
	recovery_done(&s.recovery);
	recovery_done(&s.auditors);
	store_close(&s.store);
	return code;
}

const struct verb verb_seal = {
    .name = "seal",
    .args = "ACTION STORE [OPENER|INDEX...]",
    .summary = "what opens an archive, and changes to it",
    .text = "ACTION is " ACTIONS ". show names the openers of an "
	    "archive. renew makes a new root key: with a TPM's opener every "
	    "older copy of seal/ and keys/ is dead afterwards. add makes another opener (--new), remove takes "
	    "one away; the last one stays. recovery-renew makes another recovery envelope (--recovery). "
	    "auditor-renew seals the auditor secrets to other auditors (--auditor, --identity). "
	    "new-lineage begins the seal anew, when what held its secret and the anchor is gone or does not fit "
	    "the log; the break stays on record. clean shows what the archive's range of the TPM's NV holds, and removes "
	    "those that are named, if nothing uses them. The archive may not be mounted.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "show renew add remove recovery-renew auditor-renew new-lineage clean",
};
