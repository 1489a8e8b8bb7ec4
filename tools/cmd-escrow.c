/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow: whether a key may be taken in, and the age file of it. Needs no archive. */
#include "tools/coffer.h"
#include "tools/escrow-take.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_EPOCH = TAKE_COUNT, OPT_OUTPUT };

static const struct tool_option options[] = {
    TAKE_OPTIONS("passphrase-fd", "seal: overwrites KEY and removes it, once the age file was tried"),
    [OPT_EPOCH] = {"epoch", "FILE", "the epoch's document, for seal; check tells by it how few persons suffice", true},
    [OPT_OUTPUT] = {"output", "PATH", "seal: the age file, a new one, mode 0400", true, 'o'},
    {0},
};

struct sealing {
	struct taking take;
	const char *epoch_path, *output;
	bool sealing;
	struct cof_epoch epoch;
};

static int read_epoch(struct sealing *s, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(s->epoch_path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &s->epoch, diag);
	if (r < 0)
		return r;
	s->take.in.persons = cof_scheme_fewest(&s->epoch.scheme);
	if (s->sealing && !s->epoch.rehearsal && !cof_epoch_valid(&s->epoch))
		return cof_fail(diag, -EPERM, "epoch %u is not valid yet: not every custodian has confirmed to have the share", s->epoch.number);
	return 0;
}

/* The age file as it lies there now, opened by its file key: what is on the disk gives the key again. */
static int try_file(const struct sealing *s, const uint8_t *file_key, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf again = {0};
	int r = file_load(s->output, COF_AGE_FILE_MAX, &again, diag);

	if (r == 0)
		r = escrow_take_try(&s->take, file_key, again.data, again.len);
	return r < 0 ? cof_fail(diag, r, "%s was written and does not open again: it is not to be trusted", s->output) : 0;
}

static int seal(const struct sealing *s, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autosecret uint8_t *file_key = cof_secret_alloc(COF_AGE_FILE_KEY);
	cof_autoclose int fd = -1;
	int r = file_key ? escrow_take_encrypt(&s->take, s->epoch.recipient, file_key, ret, diag) : -ENOMEM;

	if (r == 0)
		r = secret_file_make(s->output, "age file", &fd, diag);
	if (r < 0)
		return r;
	r = cof_write_all(fd, ret->data, ret->len);
	if (r == 0)
		r = secret_file_sync(fd, s->output);
	if (r < 0) {
		unlink(s->output);
		return cof_fail(diag, r, "cannot write %s: %s", s->output, strerror(-r));
	}
	r = try_file(s, file_key, diag);
	return r == 0 && s->take.wipe ? escrow_take_wipe(&s->take, diag) : r;
}

/* ---- telling ---- */

static void tell_sealed(const struct sealing *s, const struct cof_buf *age, struct cof_json *o)
{
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];

	cof_sha256(age->data, age->len, digest);
	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(o, "sha256", hex);
	cof_json_set_uint(o, "epoch", s->epoch.number);
	cof_json_set_str(o, "recipient", s->epoch.recipient);
	cof_json_set_bool(o, "rehearsal", s->epoch.rehearsal);
	cof_json_set_bool(o, "wiped", s->take.wipe);
}

static void say(const struct sealing *s)
{
	escrow_take_say(&s->take);
	if (!s->sealing)
		return;
	printf("%s is an age file to epoch %u%s: %u persons at the fewest open it.\n", s->output, s->epoch.number,
	       s->epoch.rehearsal ? ", a rehearsal" : "", s->take.in.persons);
	if (s->take.wipe)
		escrow_take_say_wiped(&s->take);
}

static int act(struct sealing *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf age = {0};
	int r = s->epoch_path ? read_epoch(s, diag) : 0;

	if (r == 0)
		r = escrow_take_load(&s->take, diag);
	if (r < 0)
		return r;
	r = escrow_take_judge(&s->take, diag);
	escrow_take_tell(&s->take, o);
	if (s->epoch_path)
		cof_json_set_uint(o, "persons", s->take.in.persons);
	if (r < 0 && s->take.json)
		(void)print_json(o, true);
	if (r == 0 && s->sealing) {
		r = seal(s, &age, diag);
		tell_sealed(s, &age, o);
	}
	if (r < 0 || s->take.json)
		return r < 0 ? r : print_json(o, true);
	say(s);
	return 0;
}

/* ---- the verb ---- */

/* EXIT_OK and what to do is clear; else the exit code. */
static int choose(struct sealing *s, const struct verb *self, int argc, char **argv)
{
	const char *action = optind < argc ? argv[optind] : "";
	int code;

	s->sealing = !strcmp(action, "seal");
	if (!s->sealing && strcmp(action, "check") != 0)
		return misuse("the actions are check and seal, and those of which coffer escrow --help tells at its end");
	if (!operands_are(self, argc, argv, 2))
		return EXIT_USAGE;
	code = escrow_take_conflict(&s->take);
	if (code)
		return code;
	if (s->sealing && (!s->epoch_path || !s->output))
		return misuse("seal needs --epoch FILE and --output FILE");
	if (!s->sealing && (s->output || s->take.wipe))
		return misuse("--output and --wipe go with seal");
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct sealing s = {.take = TAKING_INIT};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = EXIT_OK;
		if (option < TAKE_COUNT)
			code = escrow_take_option(&s.take, option);
		else
			*(option == OPT_EPOCH ? &s.epoch_path : &s.output) = optarg;
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	code = choose(&s, self, argc, argv);
	if (code)
		return code;
	s.take.path = argv[optind + 1];
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = act(&s, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	escrow_take_done(&s.take);
	cof_epoch_done(&s.epoch);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow = {
    .name = "escrow",
    .args = "check|seal KEY",
    .summary = "keys for custodians: checked, sealed, kept in an archive",
    .text = "check tells whether KEY may be kept for escrow or backup, by owner, level, form, strength, certificate and use; a "
	    "refusal names its rule and clause. KEY is PKCS#8, PKCS#1, SEC1, PKCS#12, OpenSSH's own form without a passphrase, "
	    "raw bytes (--raw) or what a module wrapped (--wrapped). It is read by a process of its own without rights.\n"
	    "\n"
	    "seal does the same, and encrypts KEY to an epoch: an age file, which a quorum's shares open (coffer share combine). A key "
	    "with a passphrase of its own is kept without it.\n"
	    "\n"
	    "Of these two no archive is asked, and none records it: keep what --json prints, or use put.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow seal key.pem --cert key.crt --owner subscriber \\\n"
	    "      --level 2 --epoch epoch.json -o key.age\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "epoch confirm sheet kit statement check seal init accept put list show status inventory recover rotate reshare revoke enroll "
	       "destroyed drill schedule due medium token tpm-end",
};
