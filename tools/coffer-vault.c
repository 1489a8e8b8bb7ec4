/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault: the far side. Keeps copies of archives' logs for hosts that come over ssh, and gives them back. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vault-bundle.h"
#include "tools/vault-look.h"
#include "tools/vault/vault.h"

#include "crypto/age.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#define SECURE_BYTES (4u << 20)
#define IDLE_MS 120000

static const char usage[] =
    "coffer-vault keeps copies of archives for hosts far away, and says with its own key what it has seen and when.\n"
    "\n"
    "  coffer-vault init DIR --name NAME [--place LAT,LON,NAME] [--jurisdiction XX] [--grade N]\n"
    "                   [--seal tpm2 [--tpm TPM] [--pcrs LIST] [--recovery AGE]]\n"
    "      makes a vault; NAME is its key's, such as vault.example/b, and N (1 to 4) how well it is protected, as hosts are told.\n"
    "      With --seal only this machine's TPM gives the key out, while these PCRs (7) are as they are now; TPM is the path of a\n"
    "      device or socket. No copy of the key is anywhere else, but for key.age where --recovery names who can open it: that\n"
    "      identity is the vault's key, and belongs far away from it\n"
    "  coffer-vault reseal DIR [--tpm TPM] [--pcrs LIST] [--next-pcrs FILE] [--identity FILE] [--recovery AGE]\n"
    "      seals the key anew, under PCRs as they are now: before an update, with the values that will be there (--next-pcrs: lines\n"
    "      of a number and 64 digits); after one that nobody foresaw, or in a new machine, from key.age by its identity\n"
    "  coffer-vault serve DIR [--archive ID] [--quota SIZE] [--no-new]\n"
    "      one session over standard input and output: the forced command of an ssh key, such as\n"
    "        command=\"coffer-vault serve /srv/vault --archive ID\",restrict ssh-ed25519 AAAA... host\n"
    "  coffer-vault receive DIR BUNDLE... --receipt FILE [--archive ID] [--quota SIZE] [--no-new]\n"
    "      takes what was carried here by hand (coffer sync --bundle), and writes what is to be carried back\n"
    "  coffer-vault receive DIR --again --archive ID --receipt FILE\n"
    "      what is to be carried back once more, where it was lost\n"
    "  coffer-vault give BUNDLE...\n"
    "      such files as a vault that an archive is restored from: coffer restore starts it\n"
    "  coffer-vault status DIR [--silence SPAN] [--json]\n"
    "      the vault's key, and of each archive what was received and when\n"
    "  coffer-vault archives DIR [--json]\n"
    "      which archives it has, of how many frames and bytes; it judges nothing, and tells of no alarm\n"
    "  coffer-vault follow DIR --archive ID\n"
    "      signs again what follows frames that nobody permitted and that status names: their operator was asked, and it is right\n"
    "  coffer-vault scrub DIR [--json]\n"
    "      reads every copy and verifies it without any key of the archive\n"
    "  coffer-vault witness DIR\n"
    "      one HTTP request over standard input and output, behind whatever ends TLS: cosigns checkpoints (c2sp.org/tlog-witness) of the\n"
    "      archives that are here, and of logs whose keys DIR/logs names, a line each\n"
    "  coffer-vault release DIR --archive ID --author NAME --to AGE --reason TEXT > DOCUMENT\n"
    "      the document by which people permit that this vault gives out the tree R (coffer vault enroll) to whoever restores:\n"
    "        ssh-keygen -Y sign -n coffer-request -f KEY DOCUMENT      its author\n"
    "        ssh-keygen -Y sign -n coffer-approve -f KEY DOCUMENT      the others, each a copy of it\n"
    "  coffer-vault release DIR --archive ID --request DOCUMENT --signed NAME=SIGNATURE ... > FILE\n"
    "      judges it by the archive's people and this vault's clock, and gives R sealed to AGE, once; the author's signature first.\n"
    "      coffer recover and coffer restore take it: --vault-keys FILE\n"
    "  coffer-vault destroy DIR --archive ID [--unasked]\n"
    "      destroys what the vault has of an archive that retired it (coffer vault retire), and prints the receipt that it signs;\n"
    "      --unasked: also where the archive's own log does not say so\n"
    "\n"
    "Exit code: 0 well, 1 failed, 2 wrong usage; of status and scrub 3: something needs somebody (a fork, a host that is silent for too\n"
    "long, frames that do what nobody permitted); of scrub 13: a copy is damaged, and the next session of its host is to mend it.\n";

struct args {
	const char *name, *place, *jurisdiction, *grade, *archive, *quota, *seal, *tpm, *pcrs, *recovery;
	bool no_new, json, unasked;
	int64_t silence; /* ns; 0: not said */
	const char *dir;
};

void complain(const char *fmt, ...) /* for what is shared with the coffer command */
{
	va_list ap;

	va_start(ap, fmt);
	fputs("coffer-vault: ", stderr);
	print_disarmed(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static int fail_with(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return 1;
}

static int misused(const char *what)
{
	fprintf(stderr, "coffer-vault: %s\nSee: coffer-vault --help\n", what);
	return EXIT_USAGE;
}

/* ---- init and serve ---- */

/* The same key as OpenSSH writes it. */
static void ssh_text(const uint8_t key[32], char out[80])
{
	static const char kind[] = "ssh-ed25519";
	uint8_t blob[4 + sizeof(kind) - 1 + 4 + 32];

	cof_put_be32(blob, sizeof(kind) - 1);
	memcpy(blob + 4, kind, sizeof(kind) - 1);
	cof_put_be32(blob + 4 + sizeof(kind) - 1, 32);
	memcpy(blob + 8 + sizeof(kind) - 1, key, 32);
	cof_base64(blob, sizeof(blob), out);
}

static int init(const struct args *a, struct cof_diag *diag)
{
	struct vault_sealing sealing = {.tpm = a->tpm, .pcrs = a->pcrs};
	struct vault_place v;
	uint8_t recipient[COF_AGE_KEY];
	char text[COF_VKEY_MAX], ssh[80];
	unsigned grade = 0;
	int r;

	if (a->grade && vault_grade_read(a->grade, &grade) < 0)
		return misused("--grade takes 1 to 4, as a policy's vault_grade");
	if (!a->name)
		return misused("init wants --name NAME, such as vault.example/b");
	if (a->seal && strcmp(a->seal, "tpm2") != 0)
		return misused("--seal takes tpm2");
	if (!a->seal && (a->tpm || a->pcrs || a->recovery))
		return misused("--tpm, --pcrs and --recovery go with --seal tpm2");
	if (a->recovery && cof_age_recipient_parse(a->recovery, strlen(a->recovery), recipient) < 0)
		return misused("--recovery takes an age recipient: age1 and 58 characters, as age-keygen -y prints it");
	sealing.recovery = a->recovery ? recipient : NULL;
	r = vault_place_init(a->dir, a->name, a->place ? a->place : "", a->jurisdiction ? a->jurisdiction : "", grade, a->seal ? &sealing : NULL,
			     diag);
	if (r == 0)
		r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	cof_vkey_text(&v.vkey, text);
	ssh_text(v.vkey.public_key, ssh);
	printf("The vault %s is made. Its key, which hosts are to compare:\n  %s\n"
	       "For the archive's people file, if retention shall go by its clock too; NAME@WHO, WHO runs it:\n  NAME@WHO ssh-ed25519 %s roles=vault\n"
	       "Next: for each host a line in ~/.ssh/authorized_keys of the user that owns it,\n"
	       "  command=\"coffer-vault serve %s\",restrict ssh-ed25519 AAAA... host\n",
	       a->dir, text, ssh, a->dir);
	vault_place_close(&v);
	return 0;
}

static void told(void *user, const char *line)
{
	(void)user;
	syslog(strstr(line, "FORK") ? LOG_ALERT : LOG_WARNING, "%s", line);
}

static int serve(const struct args *a, struct cof_diag *diag)
{
	struct vault_wire w = {.in = STDIN_FILENO, .out = STDOUT_FILENO, .timeout_ms = IDLE_MS};
	struct vault_serve p = {.no_new = a->no_new, .told = told};
	struct vault_place v;
	uint8_t only[16];
	int r;

	if (a->archive && (strlen(a->archive) != 32 || cof_unhex(a->archive, 32, only) < 0))
		return misused("--archive wants the 32 hex digits of an archive's id (coffer status tells them)");
	if (a->quota && cof_size_parse(a->quota, &p.quota) < 0)
		return misused("--quota wants a size, such as 500G");
	p.only = a->archive ? only : NULL;
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	vault_wire_prepare(&w);
	r = vault_serve(&v, &w, &p, diag);
	vault_place_close(&v);
	/* a host that only asks which vault this is goes before it says what it has */
	return r < 0 && r != -ENOTCONN ? fail_with(diag) : 0;
}

/* ---- witness ---- */

static int witness(const struct args *a, struct cof_diag *diag)
{
	struct vault_place v;
	int r = vault_place_open(a->dir, &v, diag);

	if (r < 0)
		return fail_with(diag);
	alarm(60); /* who holds the line without saying anything is let go */
	r = vault_witness_http(&v, STDIN_FILENO, STDOUT_FILENO);
	vault_place_close(&v);
	return r < 0;
}

/* ---- destroy ---- */

static int destroy(const struct args *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf receipt = {0};
	struct vault_place v;
	uint8_t id[16];
	int r;

	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, id) < 0)
		return misused("--archive wants the 32 hex digits of an archive's id (coffer-vault status tells them)");
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	r = vault_destroy(&v, id, a->unasked, &receipt, diag);
	vault_place_close(&v);
	if (r < 0)
		return fail_with(diag);
	fwrite(receipt.data, 1, receipt.len, stdout);
	fprintf(stderr, "This is the receipt, for coffer vault retire STORE NAME --receipt FILE; %s/retired keeps it. Whatever backups "
			"were made of %s are not covered by it.\n",
		a->dir, a->dir);
	return 0;
}

/* ---- follow ---- */

static int follow(const struct args *a, struct cof_diag *diag)
{
	struct vault_judged found;
	struct vault_place v;
	struct cof_io *io = NULL;
	uint8_t id[16];
	int r;

	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, id) < 0)
		return misused("follow wants --archive ID, which status shows");
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	r = vault_place_archive(&v, id, &io, diag);
	if (r == 0)
		r = cof_io_lock(io, "coffer-vault follow", diag);
	if (r == 0) {
		r = vault_judged_follow(io, &found, diag);
		cof_io_unlock(io);
	}
	if (r == 0) {
		openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
		syslog(LOG_ALERT, "archive %s: followed behind frame %" PRIu64 ", although %s", a->archive, found.end - 1, found.first);
		printf("Known from now on: %s.\nWhat was found up to frame %" PRIu64 " keeps no head from being signed.\n", found.first,
		       found.end - 1);
	}
	cof_io_free(io);
	vault_place_close(&v);
	return r < 0 ? fail_with(diag) : 0;
}

static int take_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"name", 1, NULL, 'n'},	   {"place", 1, NULL, 'p'}, {"jurisdiction", 1, NULL, 'j'}, {"grade", 1, NULL, 'g'},
						{"silence", 1, NULL, 's'}, {"seal", 1, NULL, 'S'}, {"tpm", 1, NULL, 't'}, {"pcrs", 1, NULL, 'P'}, {"recovery", 1, NULL, 'r'},
						{"archive", 1, NULL, 'a'}, {"quota", 1, NULL, 'q'}, {"no-new", 0, NULL, 'N'},
						{"json", 0, NULL, 'J'},	   {"unasked", 0, NULL, 'U'},	   {"help", 0, NULL, 'h'},  {0}};
	const char **text[] = {['n'] = &a->name, ['p'] = &a->place, ['j'] = &a->jurisdiction, ['g'] = &a->grade, ['a'] = &a->archive, ['q'] = &a->quota,
			       ['S'] = &a->seal, ['t'] = &a->tpm, ['P'] = &a->pcrs, ['r'] = &a->recovery};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (o == 'N')
			a->no_new = true;
		else if (o == 'J')
			a->json = true;
		else if (o == 'U')
			a->unasked = true;
		else if (o == 's' && cof_span_parse(optarg, &a->silence) < 0)
			return misused("--silence wants a span, such as 2d");
		else if (o == 's')
			continue;
		else if (o == 'h')
			return fputs(usage, stdout) < 0;
		else if (o == '?')
			return misused("an option that is not known, or without its value");
		else
			*text[o] = optarg;
	}
	if (argc - optind != 1)
		return misused("one directory is wanted: DIR");
	a->dir = argv[optind];
	return -1;
}

static int run(int argc, char **argv)
{
	static const char *const names[] = {"init", "serve", "status", "scrub", "follow", "destroy", "witness", "archives", NULL};
	struct args a = {.name = NULL};
	struct cof_diag diag = {""};
	int verb = 0, code;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return fputs(usage, stdout) < 0;
	if (!strcmp(argv[1], "--version"))
		return printf("coffer-vault %s\n", COF_VERSION) < 0;
	if (!strcmp(argv[1], "receive"))
		return bundle_receive_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "give"))
		return bundle_give_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "release"))
		return vault_release_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "reseal"))
		return vault_reseal_main(argc - 1, argv + 1);
	while (names[verb] && strcmp(names[verb], argv[1]))
		verb++;
	if (!names[verb])
		return misused("the verb is init, serve, receive, give, status, scrub, archives, follow, release, reseal, destroy or witness");
	code = take_args(argc - 1, argv + 1, &a);
	if (code >= 0)
		return code;
	if (cof_crypto_init_brief(SECURE_BYTES, &diag) < 0)
		return fail_with(&diag);
	switch (verb) {
	case 0:
		return init(&a, &diag);
	case 1:
		return serve(&a, &diag);
	case 4:
		return follow(&a, &diag);
	case 5:
		return destroy(&a, &diag);
	case 6:
		return witness(&a, &diag);
	case 7:
		code = vault_archives(a.dir, a.json, &diag);
		break;
	default:
		code = vault_look(&(struct vault_look){.dir = a.dir, .scrub = verb == 3, .json = a.json, .silence = a.silence}, &diag);
	}
	return code < 0 ? fail_with(&diag) : code;
}

int main(int argc, char **argv)
{
	int code;

	signal(SIGPIPE, SIG_IGN);
	code = run(argc, argv);
	if (output_finish() < 0 && code == 0)
		code = 1;
	return code;
}
