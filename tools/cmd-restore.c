/* SPDX-License-Identifier: Apache-2.0 */
/* coffer restore: an archive comes back from a vault. */
#include "tools/coffer.h"
#include "tools/buckets.h"
#include "tools/output.h"
#include "tools/vaults.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define SECURE_BYTES (1u << 20)

enum { OPT_ARCHIVE, OPT_VKEY, OPT_LOG_VKEY };

static const struct tool_option options[] = {
    [OPT_ARCHIVE] = {"archive", "ID", "which archive: the 32 hex digits of its id, as coffer-vault status shows them"},
    [OPT_VKEY] = {"vkey", "KEY", "the vault's key: a newest head that it did not sign is refused"},
    [OPT_LOG_VKEY] = {"log-vkey", "KEY", "the archive's own key, as it was written down: another archive is refused"},
    {0},
};

struct restoring {
	const char *archive, *vkey, *log_vkey;
	uint8_t id[16];
	struct cof_vkey vault, log;
	struct vault_line line;
	struct cof_io *io;
	struct vault_copy *copy;
	bool envelope;
	struct progress progress;
	struct bucket_args bucket;
};

static void progressed(void *user, uint64_t done, uint64_t total)
{
	struct restoring *r = user;

	progress_update(&r->progress, done, total);
}

static int keep_envelope(void *user, const void *p, size_t n, struct cof_diag *diag)
{
	struct restoring *r = user;
	int err = cof_io_mkdir(r->io, "seal");

	if (err == 0)
		err = cof_io_sync_dir(r->io, "");
	if (err == 0 || err == -EEXIST)
		err = cof_io_replace(r->io, "seal/recovery.age", p, n);
	r->envelope = err == 0;
	return err < 0 ? cof_fail(diag, err, "seal/recovery.age cannot be written: %s", strerror(-err)) : 0;
}

/* Before anything counts as restored: the vault says so itself, where its key was given. */
static int judge_note(void *user, struct cof_buf *note, struct cof_diag *diag)
{
	const struct restoring *r = user;
	struct cof_note n;

	if (r->vkey && cof_note_open(note->data, note->len, &r->vault, 1, &n) < 0)
		return cof_fail(diag, -EBADMSG, "the newest head is not signed with the vault's key that was given");
	return 0;
}

/* The other side answers with the archive's identity. */
static int get_identity(struct restoring *r, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf body = {0};
	struct vault_hello hello = {.role = 0};
	struct cof_conf conf;
	uint8_t session[16];
	unsigned code;
	int err = vault_hello_send(&r->line.wire, VAULT_FETCHES, r->id, "", session);

	if (err < 0)
		return cof_fail(diag, err, "the vault does not answer: its program, or ssh, said on standard error why");
	err = vault_expect(&r->line.wire, VAULT_HELLO, &body, NULL, diag);
	if (err == 0)
		err = vault_hello_read(&body, &hello, &code, diag);
	if (err == 0)
		err = cof_conf_parse(hello.conf, hello.conf_len, &conf, diag);
	if (err < 0)
		return err;
	if (hello.role != VAULT_SENDS || memcmp(conf.id, r->id, 16))
		return cof_fail(diag, -EPROTO, "the vault sent another archive than was asked for");
	if (r->log_vkey && !cof_equal(conf.vkey.public_key, r->log.public_key, 32))
		return cof_fail(diag, -EKEYREJECTED, "the archive at the vault has another key than --log-vkey says");
	if (cof_io_exists(r->io, "archive.conf") == 1)
		return 0; /* goes on */
	return vault_copy_create(r->io, hello.conf, hello.conf_len, diag);
}

static int is_ours(struct restoring *r, const char *dir, struct cof_diag *diag)
{
	struct cof_conf conf;
	int err = cof_io_exists(r->io, "archive.conf");

	if (err == 1)
		err = cof_conf_load(r->io, &conf, diag);
	else
		return err;
	if (err < 0)
		return err;
	if (memcmp(conf.id, r->id, 16) || cof_io_exists(r->io, "keys") != 0)
		return cof_fail(diag, -EEXIST, "%s is an archive already, and not one whose restoring was cut off", dir);
	return 0;
}

static int fetch(struct restoring *r, const char *url, const char *dir, struct cof_diag *diag)
{
	struct vault_taking t = {.sign = judge_note, .envelope = keep_envelope, .user = r, .progress = {progressed, r}};
	int err;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return cof_fail(diag, -errno, "cannot make %s: %s", dir, strerror(errno));
	err = cof_io_plain(dir, &r->io, diag);
	if (err == 0)
		err = is_ours(r, dir, diag);
	if (err == 0)
		err = vault_line_open(url, &r->line, diag);
	if (err == 0)
		err = get_identity(r, diag);
	if (err == 0)
		err = vault_copy_open(r->io, &r->copy, diag);
	t.io = r->io;
	if (err == 0)
		err = vault_take_log(&r->line.wire, r->copy, &t, diag);
	progress_clear(&r->progress);
	return err;
}

static void say(const struct restoring *r, const char *dir)
{
	cof_autofree char *store = shell_word(dir);
	struct vault_copy_state s;
	char size[24];

	vault_copy_state(r->copy, &s);
	cof_size_text(s.bytes, size);
	printf("Restored to %s: %" PRIu64 " frames, %s of log, each verified against the head that the archive signed.\n"
	       "Freshness is not proven: this vault may be behind. Another vault's newest head tells (coffer-vault status).\n",
	       dir, s.head.size, size);
	if (r->envelope)
		printf("Next: coffer recover %s --identity FILE --new-key-file FILE   # opens the recovery envelope that came along\n",
		       store ? store : "STORE");
	else
		printf("No recovery envelope came along. With a copy of it:\n"
		       "  coffer recover %s --envelope FILE --identity FILE --new-key-file FILE\n",
		       store ? store : "STORE");
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct restoring r = {.progress = PROGRESS_INIT};
	struct cof_diag diag = {""};
	int option, err;

	while ((option = option_next(self, argc, argv)) >= 0)
		if (option >= OPTION_MORE)
			bucket_take(&r.bucket, option - OPTION_MORE);
		else
			*(option == OPT_ARCHIVE ? &r.archive : option == OPT_VKEY ? &r.vkey : &r.log_vkey) = optarg;
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 2))
		return EXIT_USAGE;
	if (!r.archive || strlen(r.archive) != 32 || cof_unhex(r.archive, 32, r.id) < 0)
		return misuse("--archive ID is wanted: 32 hex digits, as coffer-vault status shows them");
	err = cof_crypto_init(SECURE_BYTES, &diag);
	if (err == 0 &&
	    ((r.vkey && cof_vkey_parse(r.vkey, &r.vault) < 0) || (r.log_vkey && cof_vkey_parse(r.log_vkey, &r.log) < 0)))
		return misuse("a key that was given is none: NAME+ID+BASE64");
	if (err == 0 && s3_is_url(argv[optind])) {
		if (r.vkey)
			return misuse("--vkey is of a vault; a bucket signs nothing");
		err = bucket_restore(argv[optind], argv[optind + 1], r.id, r.log_vkey ? &r.log : NULL, &r.bucket, &diag);
	} else if (err == 0) {
		err = fetch(&r, argv[optind], argv[optind + 1], &diag);
		if (err == 0)
			say(&r, argv[optind + 1]);
	}
	vault_copy_free(r.copy);
	cof_io_free(r.io);
	vault_line_close(&r.line);
	return err < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_restore = {
    .name = "restore",
    .args = "URL NEWSTORE",
    .summary = "an archive comes back from a vault",
    .text = "Fetches an archive's log from a vault (URL as of coffer vault add) into a new directory, and verifies every frame on the way: "
	    "nothing counts that is not under a head that the archive's key signed. Cut off, the same command goes on at the byte.\n"
	    "\n"
	    "The store that comes back has no keys: coffer recover opens the recovery envelope, on a host with another TPM as well.\n"
	    "\n"
	    "  coffer restore ssh://vault@b.example/srv/vault /srv/ledger --archive ID\n"
	    "\n"
	    "Out of a bucket (s3://BUCKET[/PREFIX]) objects are read by their versions, so what a delete marker covers comes back too; one that "
	    "is not what its name says is passed over for another of its versions. Without --log-vkey the key that lies there is believed.\n"
	    "\n"
	    "Exit code: 0 restored, 1 failed, 2 wrong usage.",
    .options = options,
    .more = bucket_way_options,
    .run = run,
    .takes_files = true,
};
