/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow: whether a key may be taken in, and the age file of it. Needs no archive. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/output.h"

#include "base/json.h"
#include "crypto/passphrase.h"
#include "escrow/epoch.h"
#include "escrow/intake.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_OWNER, OPT_LEVEL, OPT_BACKUP, OPT_CERT, OPT_USAGE, OPT_RAW, OPT_WRAPPED, OPT_TOKEN, OPT_REASON, OPT_EPOCH, OPT_OUTPUT,
       OPT_WIPE, OPT_PASSPHRASE_FD, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_OWNER] = {"owner", "ca|subscriber", "whose key it is"},
    [OPT_LEVEL] = {"level", "N", "the assurance level that it is used at, 1 to 4"},
    [OPT_BACKUP] = {"backup", NULL, "kept for its owner's own recovery: the only way for a CA's key"},
    [OPT_CERT] = {"cert", "FILE", "its certificate, or its request (PKCS#10): has to be of the same key, and says its use", true},
    [OPT_USAGE] = {"usage", "sign|encrypt", "somebody's decision on its use, where neither certificate nor algorithm says it"},
    [OPT_RAW] = {"raw", NULL, "KEY is the bytes of a secret key (level 1 only)"},
    [OPT_WRAPPED] = {"wrapped", NULL, "KEY is what a hardware module wrapped: kept as it is. Takes --token and --reason"},
    [OPT_TOKEN] = {"token", "NAME", "wrapped: the module's entry in the inventory"},
    [OPT_REASON] = {"reason", "recovery|rekey|replacement", "wrapped: why it left its module"},
    [OPT_EPOCH] = {"epoch", "FILE", "the epoch's document, for seal; check tells by it how few persons suffice", true},
    [OPT_OUTPUT] = {"output", "PATH", "seal: the age file, a new one, mode 0400", true, 'o'},
    [OPT_WIPE] = {"wipe", NULL, "seal: overwrites KEY and removes it, once the age file was tried"},
    [OPT_PASSPHRASE_FD] = {"passphrase-fd", "N", "reads KEY's own passphrase from descriptor N instead of the terminal"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct taking {
	const char *path, *cert_path, *epoch_path, *output;
	int passphrase_fd;
	bool raw, wrapped, wipe, json, sealing;
	struct cof_intake in;
	struct cof_private_key key;
	struct cof_public_use public;
	struct cof_epoch epoch;
	struct cof_intake_ruling ruling;
	uint8_t *file, *pkcs8; /* secure memory */
	size_t file_n, pkcs8_n;
	const uint8_t *content; /* what is sealed */
	size_t content_n;
};

/* ---- reading ---- */

/* Into secure memory only. */
static int load_secret(struct taking *t, struct cof_diag *diag)
{
	cof_autoclose int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st = {0};
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && !S_ISREG(st.st_mode))
		return cof_fail(diag, -EINVAL, "%s is no regular file", t->path);
	if (r == 0)
		r = cof_read_all(fd, t->file, COF_PRIVATE_KEY_MAX, &t->file_n);
	if (r == 0 && !t->file_n)
		r = -ENODATA;
	return r < 0 ? cof_fail(diag, r, "%s: %s", t->path,
				r == -EFBIG ? "larger than any key" : r == -ENODATA ? "it is empty" : strerror(-r))
		     : 0;
}

static int get_passphrase(const struct taking *t, char *out, struct cof_diag *diag)
{
	size_t n = 0;
	int r;

	if (t->passphrase_fd < 0)
		return cof_passphrase_ask(t->path, false, out, &n, diag);
	r = cof_read_all(t->passphrase_fd, out, COF_PASSPHRASE_MAX, &n);
	if (r < 0)
		return cof_fail(diag, r, "the passphrase's descriptor: %s", strerror(-r));
	out[n] = '\0';
	if (n && out[n - 1] == '\n')
		out[n - 1] = '\0';
	return 0;
}

/* A key with a passphrase is kept without it: nobody will know it when the shares come together. */
static int read_key(struct taking *t, struct cof_diag *diag)
{
	cof_autosecret char *passphrase = cof_secret_alloc(COF_PASSPHRASE_ROOM);
	struct cof_diag why = {""};
	int r = passphrase ? 0 : -ENOMEM;

	if (r == 0)
		r = cof_intake_read(t->file, t->file_n, NULL, &t->key, t->pkcs8, &t->pkcs8_n, &why);
	if (r == -ENOKEY) {
		r = get_passphrase(t, passphrase, diag);
		if (r < 0)
			return r;
		r = cof_intake_read(t->file, t->file_n, passphrase, &t->key, t->pkcs8, &t->pkcs8_n, &why);
		t->content = t->pkcs8;
		t->content_n = t->pkcs8_n;
	}
	if (r < 0)
		return cof_fail(diag, r, "%s: %s", t->path, *why.text ? why.text : strerror(-r));
	t->in.key = &t->key;
	return 0;
}

static int read_epoch(struct taking *t, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = file_load(t->epoch_path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &t->epoch, diag);
	if (r < 0)
		return r;
	t->in.persons = cof_scheme_fewest(&t->epoch.scheme);
	if (t->sealing && !t->epoch.rehearsal && !cof_epoch_valid(&t->epoch))
		return cof_fail(diag, -EPERM, "epoch %u is not valid yet: not every custodian has confirmed to have the share", t->epoch.number);
	return 0;
}

static int read_certificate(struct taking *t, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	struct cof_diag why = {""};
	int r = file_load(t->cert_path, COF_PRIVATE_KEY_MAX, &file, diag);

	if (r < 0)
		return r;
	r = cof_public_use_read(file.data ? (void *)file.data : "", file.len, &t->public, &why);
	t->in.public = &t->public;
	return r < 0 ? cof_fail(diag, r, "%s: %s", t->cert_path, why.text) : 0;
}

static int gather(struct taking *t, struct cof_diag *diag)
{
	int r = 0;

	t->in.persons = 2;
	if (t->epoch_path)
		r = read_epoch(t, diag);
	if (r == 0 && t->cert_path)
		r = read_certificate(t, diag);
	t->file = cof_secret_alloc(COF_PRIVATE_KEY_MAX);
	t->pkcs8 = cof_secret_alloc(COF_PRIVATE_KEY_MAX);
	if (r == 0 && (!t->file || !t->pkcs8))
		r = cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (r == 0)
		r = load_secret(t, diag);
	t->content = t->file;
	t->content_n = t->in.bytes = t->file_n;
	t->in.material = t->raw ? COF_MATERIAL_RAW : t->wrapped ? COF_MATERIAL_WRAPPED : COF_MATERIAL_KEY;
	return r == 0 && t->in.material == COF_MATERIAL_KEY ? read_key(t, diag) : r;
}

/* ---- sealing ---- */

/* The age file as it lies there now, opened by its file key: what is on the disk gives the key again. */
static int try_file(const struct taking *t, const uint8_t *file_key, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf again = {0};
	void *plain = NULL;
	size_t n = 0;
	int r = file_load(t->output, COF_AGE_FILE_MAX, &again, diag);

	if (r == 0)
		r = cof_age_decrypt_by_key(file_key, again.data, again.len, &plain, &n);
	if (r == 0 && (n != t->content_n || !cof_equal(plain, t->content, n)))
		r = -EIO;
	cof_secret_free(plain);
	return r < 0 ? cof_fail(diag, r, "%s was written and does not open again: it is not to be trusted", t->output) : 0;
}

static int wipe_input(const struct taking *t, struct cof_diag *diag)
{
	static const uint8_t zeros[4096];
	cof_autoclose int fd = open(t->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	int r = fd < 0 ? -errno : 0;

	for (size_t left = t->file_n; r == 0 && left;) {
		size_t n = COF_MIN(left, sizeof(zeros));

		r = cof_write_all(fd, zeros, n);
		left -= n;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && unlink(t->path) < 0)
		r = -errno;
	return r < 0 ? cof_fail(diag, r, "the key is sealed, but %s is still there: %s", t->path, strerror(-r)) : 0;
}

static int seal(const struct taking *t, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autosecret uint8_t *file_key = cof_secret_alloc(COF_AGE_FILE_KEY);
	uint8_t recipient[1][COF_AGE_KEY];
	cof_autoclose int fd = -1;
	int r = !t->output ? -EINVAL
		: file_key ? cof_age_recipient_parse(t->epoch.recipient, strlen(t->epoch.recipient), recipient[0])
			   : -ENOMEM;

	if (r == 0)
		r = cof_age_encrypt((const uint8_t(*)[COF_AGE_KEY])recipient, 1, t->content, t->content_n, file_key, ret);
	if (r < 0)
		return cof_fail(diag, r, "it cannot be encrypted: %s", strerror(-r));
	r = secret_file_make(t->output, "age file", &fd, diag);
	if (r < 0)
		return r;
	r = cof_write_all(fd, ret->data, ret->len);
	if (r == 0)
		r = secret_file_sync(fd, t->output);
	if (r < 0) {
		unlink(t->output);
		return cof_fail(diag, r, "cannot write %s: %s", t->output, strerror(-r));
	}
	r = try_file(t, file_key, diag);
	return r == 0 && t->wipe ? wipe_input(t, diag) : r;
}

/* ---- telling ---- */

static const char *use_text(unsigned use)
{
	return use == COF_USE_SIGN ? "sign" : use == COF_USE_ENCRYPT ? "encrypt" : "";
}

static void set_digest(struct cof_json *o, const char *key, const uint8_t digest[COF_HASH])
{
	char hex[2 * COF_HASH + 1];

	cof_hex(digest, COF_HASH, hex);
	cof_json_set_str(o, key, hex);
}

static void tell(const struct taking *t, struct cof_json *o)
{
	const struct cof_intake *in = &t->in;

	cof_json_set_bool(o, "permitted", !t->ruling.rule);
	if (t->ruling.rule) {
		cof_json_set_str(o, "rule", t->ruling.rule);
		cof_json_set_str(o, "clause", t->ruling.clause);
		cof_json_set_str(o, "reason", t->ruling.reason);
	}
	cof_json_set_str(o, "owner", in->owner == COF_OWNER_CA ? "ca" : "subscriber");
	cof_json_set_uint(o, "level", in->level);
	cof_json_set_str(o, "purpose", in->backup ? "backup" : "escrow");
	if (in->key) {
		cof_json_set_str(o, "form", cof_key_form_name(in->key->form));
		cof_json_set_str(o, "algorithm", in->key->algorithm);
		cof_json_set_uint(o, "bits", in->key->bits);
		set_digest(o, "public_key", in->key->public_id);
	} else {
		cof_json_set_str(o, "form", t->wrapped ? "wrapped" : "raw");
	}
	if (in->public)
		set_digest(o, in->public->request ? "request" : "certificate", in->public->fingerprint);
	if (t->wrapped) {
		cof_json_set_str(o, "token", in->token ? in->token : "");
		cof_json_set_str(o, "why", in->reason ? in->reason : "");
	}
	if (t->ruling.use)
		cof_json_set_str(o, "usage", use_text(t->ruling.use));
	cof_json_set_bool(o, "usage_decided", t->ruling.decided);
	if (t->epoch_path)
		cof_json_set_uint(o, "persons", in->persons);
}

static void say(const struct taking *t)
{
	cof_autofree char *path = escaped(t->path);

	printf("%s: ", path ? path : "?");
	if (t->in.key)
		printf("%s, %s, %u bits", cof_key_form_name(t->key.form), t->key.algorithm, t->key.bits);
	else
		printf("%s, %zu bytes", t->wrapped ? "wrapped by its module" : "raw", t->file_n);
	printf("; may be kept for %s, to %s%s\n", t->in.backup ? "backup" : "escrow", use_text(t->ruling.use),
	       t->ruling.decided ? " (as was decided, not as a document says)" : "");
	if (!t->sealing)
		return;
	printf("%s is an age file to epoch %u%s: %u persons at the fewest open it.\n", t->output, t->epoch.number,
	       t->epoch.rehearsal ? ", a rehearsal" : "", t->in.persons);
	if (t->wipe)
		printf("%s was overwritten and removed. On an SSD, on a filesystem with a journal or snapshots, and in backups, older copies "
		       "of its blocks may still be there: a key that must not survive was never to be on that disk.\n",
		       path ? path : "?");
}

static int act(struct taking *t, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf age = {0};
	uint8_t digest[COF_HASH];
	int r = gather(t, diag);

	if (r < 0)
		return r;
	cof_intake_judge(&t->in, &t->ruling);
	tell(t, o);
	if (t->ruling.rule) {
		if (t->json)
			(void)print_json(o, true);
		return cof_fail(diag, -EPERM, "refused (%s): %s [%s]", t->ruling.rule, t->ruling.reason, t->ruling.clause);
	}
	if (t->sealing) {
		r = seal(t, &age, diag);
		if (r < 0)
			return r;
		cof_sha256(age.data, age.len, digest);
		set_digest(o, "sha256", digest);
		cof_json_set_uint(o, "epoch", t->epoch.number);
		cof_json_set_str(o, "recipient", t->epoch.recipient);
		cof_json_set_bool(o, "rehearsal", t->epoch.rehearsal);
		cof_json_set_bool(o, "wiped", t->wipe);
	}
	if (t->json)
		return print_json(o, true);
	say(t);
	return 0;
}

/* ---- the verb ---- */

static int take_word(struct taking *t, int option)
{
	if (option == OPT_OWNER) {
		t->in.owner = !strcmp(optarg, "ca") ? COF_OWNER_CA : !strcmp(optarg, "subscriber") ? COF_OWNER_SUBSCRIBER : 0;
		return t->in.owner ? EXIT_OK : misuse("--owner is ca or subscriber");
	}
	if (option == OPT_LEVEL) {
		t->in.level = optarg[0] >= '1' && optarg[0] <= '4' && !optarg[1] ? (unsigned)(optarg[0] - '0') : 0;
		return t->in.level ? EXIT_OK : misuse("--level is 1, 2, 3 or 4");
	}
	t->in.decided = !strcmp(optarg, "sign") ? COF_USE_SIGN : !strcmp(optarg, "encrypt") ? COF_USE_ENCRYPT : 0;
	return t->in.decided ? EXIT_OK : misuse("--usage is sign or encrypt");
}

static int take(void *user, int option)
{
	struct taking *t = user;

	switch (option) {
	case OPT_OWNER:
	case OPT_LEVEL:
	case OPT_USAGE:
		return take_word(t, option);
	case OPT_PASSPHRASE_FD:
		return opener_take_fd("--passphrase-fd", &t->passphrase_fd);
	case OPT_BACKUP:
	case OPT_RAW:
	case OPT_WRAPPED:
	case OPT_WIPE:
	case OPT_JSON:
		*(option == OPT_BACKUP	  ? &t->in.backup
		  : option == OPT_RAW	  ? &t->raw
		  : option == OPT_WRAPPED ? &t->wrapped
		  : option == OPT_WIPE	  ? &t->wipe
					  : &t->json) = true;
		return EXIT_OK;
	default:
		*(option == OPT_CERT	? &t->cert_path
		  : option == OPT_TOKEN ? &t->in.token
		  : option == OPT_EPOCH ? &t->epoch_path
		  : option == OPT_REASON ? &t->in.reason
					 : &t->output) = optarg;
		return EXIT_OK;
	}
}

static int conflict(const struct taking *t)
{
	if (!t->in.owner || !t->in.level)
		return misuse("whose key is it, and at which level? --owner ca|subscriber --level N");
	if (t->raw && t->wrapped)
		return misuse("--raw and --wrapped exclude one another");
	if (!t->wrapped && (t->in.token || t->in.reason))
		return misuse("--token and --reason go with --wrapped");
	if (t->sealing && (!t->epoch_path || !t->output))
		return misuse("seal needs --epoch FILE and --output FILE");
	if (!t->sealing && (t->output || t->wipe))
		return misuse("--output and --wipe go with seal");
	return EXIT_OK;
}

/* ---- which action ---- */

/* EXIT_OK and what to do is clear; else the exit code. */
static int choose(struct taking *t, const struct verb *self, int argc, char **argv)
{
	const char *action = optind < argc ? argv[optind] : "";

	t->sealing = !strcmp(action, "seal");
	if (!t->sealing && strcmp(action, "check") != 0)
		return misuse("the actions are check and seal, and those of which coffer escrow --help tells at its end");
	return operands_are(self, argc, argv, 2) ? conflict(t) : EXIT_USAGE;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct taking t = {.passphrase_fd = -1};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take(&t, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	code = choose(&t, self, argc, argv);
	if (code)
		return code;
	t.path = argv[optind + 1];
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = act(&t, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", strerror(-r));
	cof_secret_free(t.file);
	cof_secret_free(t.pkcs8);
	cof_epoch_done(&t.epoch);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow = {
    .name = "escrow",
    .args = "check|seal KEY",
    .summary = "keys checked, and sealed for custodians; epochs",
    .text = "check tells whether KEY may be kept for escrow or backup, by owner, level, form, strength, certificate and use; a "
	    "refusal names its rule and clause. KEY is PKCS#8, PKCS#1, SEC1, PKCS#12, OpenSSH's own form without a passphrase, "
	    "raw bytes (--raw) or what a module wrapped (--wrapped). It is read by a process of its own without rights.\n"
	    "\n"
	    "seal does the same, and encrypts KEY to an epoch: an age file, which a quorum's shares open (coffer share combine). A key "
	    "with a passphrase of its own is kept without it.\n"
	    "\n"
	    "No archive is asked, and none records it: keep what --json prints.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow seal key.pem --cert key.crt --owner subscriber \\\n"
	    "      --level 2 --epoch epoch.json -o key.age\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "epoch confirm check seal",
};
