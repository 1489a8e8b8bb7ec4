/* SPDX-License-Identifier: Apache-2.0 */
/* coffer restore: an archive comes back from vaults, all of it or some files; or that is tried. */
#include "tools/buckets.h"
#include "tools/restore.h"
#include "tools/share-read.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECURE_BYTES (8u << 20)

enum {
	OPT_ARCHIVE,
	OPT_VKEY,
	OPT_LOG_VKEY,
	OPT_HEAD,
	OPT_TO,
	OPT_SHELF,
	OPT_FILE,
	OPT_FIRST,
	OPT_SIZE,
	OPT_IDENTITY,
	OPT_ENVELOPE,
	OPT_AUDITOR,
	OPT_DRILL,
	OPT_SHARES,
	OPT_EPOCH,
	OPT_SHARE_FD,
	OPT_IDLE,
	OPT_VAULT_KEYS,
	OPT_VAULT_IDENTITY,
	OPT_WITHOUT_VAULTS,
};
enum { EXIT_BEHIND = 3, EXIT_FORK = 4 };

static const struct tool_option options[] = {
    [OPT_ARCHIVE] =
	{"archive", "ID",
	 "which archive: the 32 hex digits of its id, as coffer-vault status shows them"},
    [OPT_VKEY] =
	{"vkey", "KEY",
	 "a vault's key, up to 16 times: a newest head that none of them signed is refused"},
    [OPT_LOG_VKEY] = {"log-vkey", "KEY",
		      "the archive's own key, as it was written down: another archive is refused"},
    [OPT_HEAD] = {"head", "FILE",
		  "a head that somebody else kept (another vault, a witness, an auditor): tells "
		  "whether what came is the newest",
		  true},
    [OPT_TO] = {"to", "DIR",
		"copies files out to this directory, once all of the log held; with --identity",
		true},
    [OPT_SHELF] = {"shelf", "NAME", "with --to: this shelf. May be given several times"},
    [OPT_FILE] =
	{"file", "PATH",
	 "with --to: this file or directory, as the archive names it. May be given several times"},
    [OPT_FIRST] =
	{"first", "SHELF",
	 "with --to: this shelf before the others, else those of the policy (restore_first)"},
    [OPT_SIZE] = {"size", "N", "with --to: files as they were when the archive had N frames"},
    [OPT_IDENTITY] = {"identity", "FILE",
		      "with --to: the age identity of a recipient of the recovery envelope", true},
    [OPT_ENVELOPE] = {"envelope", "FILE",
		      "with --to: a copy of the envelope; without it the one that came along",
		      true},
    [OPT_AUDITOR] = {"auditor-secret", "FILE", "with --to: the seal of every frame has to hold too",
		     true},
    [OPT_DRILL] =
	{"drill", "STORE",
	 "tries it: restores to NEWSTORE, opens, compares all files with this live archive, "
	 "destroys NEWSTORE, and puts on record how long it took; with --identity or --shares",
	 true},
    [OPT_SHARES] = {"shares", NULL, "with --to and --drill, instead of --identity: a quorum types its shares, of the epoch that the envelope is sealed to"},
    [OPT_EPOCH] = {"epoch", "FILE", "with --shares: that epoch's document; of a drill that of the live archive without it", true},
    [OPT_SHARE_FD] = {"share-fd", "N", "with --shares: reads one share from the open descriptor N instead of the terminal; several times"},
    [OPT_IDLE] = {"idle", "SECONDS", "with --shares: ends when nobody typed on the terminal for so long; 0: never (900)"},
    [OPT_VAULT_KEYS] = {"vault-keys", "FILE", "with --to and --drill: what a vault released (coffer-vault release), of an archive that enrolled vaults", true},
    [OPT_VAULT_IDENTITY] = {"vault-identity", "FILE", "the age identity to which it is sealed; without it, that of the envelope", true},
    [OPT_WITHOUT_VAULTS] = {"without-vaults", NULL, "with --to: what a vault released is not there, and only what is older than the first one's enrolment is copied"},
    {0},
};

struct asked {
	struct restoring r;
	const char *archive, *drill;
	bool shares;
	struct restore_wanted wanted;
	struct restore_keys keys;
	struct bucket_args bucket;
	struct restore_freshness fresh;
};

/* ---- what is said ---- */

static void say_fresh(const struct restore_freshness *f, uint64_t size, bool bucket)
{
	switch (f->verdict) {
	case RESTORE_PROVEN:
		printf("Freshness is proven by %s: the same head, of %" PRIu64 " frames.\n", f->by,
		       size);
		break;
	case RESTORE_CLAIMED:
		printf("Freshness is claimed, not proven: %s has the same head, but which vaults "
		       "these are was not said (--vkey, each one's key).\n",
		       f->by);
		break;
	case RESTORE_BEHIND:
		printf("THIS IS NOT THE NEWEST: %s shows %" PRIu64 " frames, and %" PRIu64
		       " came. Ask another vault for what is missing before "
		       "anything is written.\n",
		       f->by, f->newest, size);
		break;
	default:
		printf("Freshness is not proven: %s. Another vault's newest head tells (%s--head FILE).\n",
		       bucket ? "a bucket may be behind, and signs nothing" : "these vaults may be behind", bucket ? "" : "a further URL, or ");
	}
}

static void say(const struct asked *a)
{
	struct vault_copy_state s;
	char size[24];

	vault_copy_state(a->r.copy, &s);
	cof_size_text(s.bytes, size);
	printf("Restored to %s: %" PRIu64
	       " frames, %s of log, each verified against the head that the archive signed.\n",
	       a->r.dir, s.head.size, size);
	say_fresh(&a->fresh, s.head.size, a->r.from_bucket);
	if (a->wanted.to)
		return;
	restore_say_next(a->r.io, a->r.dir);
}

/* ---- files ---- */

static int copy_out(struct asked *a, struct cof_diag *diag)
{
	struct restored s = {.path = NULL};
	struct restore_counts count = {.files = 0};
	char size[24];
	int err = restore_open(&a->r, &a->keys, &s, diag);

	if (err == 0)
		err = restore_out(&a->r, &s, &a->wanted, &count, diag);
	if (err == 0) {
		cof_size_text(count.bytes, size);
		printf("The whole log holds: chain, tree, %" PRIu64 " cosignature%s%s.\n",
		       s.cosignatures, plural(s.cosignatures),
		       s.seals ? ", all seals" : "; seals were not looked at (--auditor-secret)");
		printf("Copied to %s: %" PRIu64 " file%s, %s", a->wanted.to, count.files,
		       plural(count.files), size);
		if (count.there)
			printf("; %" PRIu64 " of them were there already", count.there);
		if (count.destroyed)
			printf("; of %" PRIu64 " file%s the content was destroyed", count.destroyed, plural(count.destroyed));
		puts(".");
		if (count.unopened)
			printf("Not copied: %" PRIu64 " file%s that only what a vault releases opens, written since the first vault was enrolled (--vault-keys FILE).\n",
			       count.unopened, plural(count.unopened));
		recovery_say_ended(&s.keys.ended);
		err = restore_taken(&s, &a->wanted, diag);
	}
	restore_close(&s);
	return err;
}

static int act(struct asked *a, struct cof_diag *diag)
{
	struct vault_copy_state s;
	int err = restore_fetch(&a->r, diag), partly;

	if (err < 0)
		return err;
	partly = err;
	err = restore_heads(&a->r, &a->fresh, diag);
	if (err == 0 && !a->wanted.to) {
		vault_copy_state(a->r.copy, &s);
		err = restore_note_source(a->r.io, a->r.source[0].url, s.head.size, diag);
	}
	if (err < 0)
		return err;
	say(a);
	fflush(stdout);
	if (a->wanted.to)
		err = copy_out(a, diag);
	return err < 0 ? err : partly || a->fresh.verdict == RESTORE_BEHIND;
}

static void stopped(int sig COF_UNUSED)
{
	static const char text[] =
	    "\ncoffer restore: stopped. The same command goes on where this one was.\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(131);
	_exit(130);
}

/* ---- options ---- */

static int add(const char **list, unsigned *n, const char *what)
{
	if (*n == RESTORE_NAMES)
		return misuse("at most %u of %s", RESTORE_NAMES, what);
	list[(*n)++] = optarg;
	return EXIT_OK;
}

static int take_vkey(struct restoring *r)
{
	if (r->n_vkeys == RESTORE_KEYS || cof_vkey_parse(optarg, &r->vkey[r->n_vkeys]) < 0)
		return misuse("a key that was given is none: NAME+ID+BASE64");
	r->n_vkeys++;
	return EXIT_OK;
}

static int take_log_vkey(struct restoring *r)
{
	if (cof_vkey_parse(optarg, &r->log) < 0)
		return misuse("a key that was given is none: NAME+ID+BASE64");
	r->log_given = true;
	return EXIT_OK;
}

static int take_head(struct restoring *r)
{
	if (r->n_heads == RESTORE_HEADS)
		return misuse("at most %u heads", RESTORE_HEADS);
	r->head[r->n_heads++].url = optarg;
	return EXIT_OK;
}

static int take_size(struct restore_wanted *w)
{
	char *end;

	errno = 0;
	w->size = strtoull(optarg, &end, 10);
	if (*end || end == optarg || errno || !w->size || *optarg == '-')
		return misuse("--size wants a number of frames");
	return EXIT_OK;
}

static int take_option(struct asked *a, int option)
{
	switch (option) {
	case OPT_ARCHIVE:
		a->archive = optarg;
		return EXIT_OK;
	case OPT_VKEY:
		return take_vkey(&a->r);
	case OPT_LOG_VKEY:
		return take_log_vkey(&a->r);
	case OPT_HEAD:
		return take_head(&a->r);
	case OPT_TO:
		a->wanted.to = optarg;
		return EXIT_OK;
	case OPT_SHELF:
		return add(a->wanted.shelf, &a->wanted.n_shelves, "--shelf");
	case OPT_FILE:
		return add(a->wanted.file, &a->wanted.n_files, "--file");
	case OPT_FIRST:
		return add(a->wanted.first, &a->wanted.n_first, "--first");
	case OPT_SIZE:
		return take_size(&a->wanted);
	case OPT_IDENTITY:
		a->keys.identity = optarg;
		return EXIT_OK;
	case OPT_ENVELOPE:
		a->keys.envelope = optarg;
		return EXIT_OK;
	case OPT_DRILL:
		a->drill = optarg;
		return EXIT_OK;
	case OPT_AUDITOR:
		a->keys.auditor = optarg;
		return EXIT_OK;
	case OPT_SHARES:
		a->shares = true;
		return EXIT_OK;
	case OPT_EPOCH:
		a->keys.epoch = optarg;
		return EXIT_OK;
	case OPT_SHARE_FD:
		if (a->keys.n_fds == COF_COUNT(a->keys.fds))
			return misuse("--share-fd: at most %zu", COF_COUNT(a->keys.fds));
		return opener_take_fd("--share-fd", &a->keys.fds[a->keys.n_fds++]);
	case OPT_IDLE:
		return share_take_idle(&a->keys.idle);
	case OPT_VAULT_KEYS:
		a->keys.released.path = optarg;
		return EXIT_OK;
	case OPT_VAULT_IDENTITY:
		a->keys.released.identity = optarg;
		return EXIT_OK;
	case OPT_WITHOUT_VAULTS:
		a->keys.released.without = true;
		return EXIT_OK;
	default:
		bucket_take(&a->bucket, option - OPTION_MORE);
		return EXIT_OK;
	}
}

/* With what what came is decrypted, where it is. */
static int check_keys(const struct asked *a)
{
	bool opens = a->wanted.to || a->drill;

	if (opens && !a->keys.identity == !a->shares)
		return misuse("--to and --drill go with --identity FILE, or --shares: what came is decrypted");
	if (!opens && (a->keys.identity || a->shares || a->keys.envelope || a->keys.auditor))
		return misuse("--identity, --shares, --envelope and --auditor-secret go with --to or --drill");
	if (!opens && (a->keys.released.path || a->keys.released.without))
		return misuse("--vault-keys and --without-vaults go with --to; --vault-keys with --drill too");
	if (a->drill && a->keys.released.without)
		return misuse("--without-vaults goes with --to: a drill compares all files");
	if (*released_conflict(&a->keys.released))
		return misuse("%s", released_conflict(&a->keys.released));
	if (!a->shares && (a->keys.epoch || a->keys.n_fds))
		return misuse("--epoch and --share-fd go with --shares");
	if (a->shares && !a->keys.epoch && !a->drill)
		return misuse("--shares goes with --epoch FILE, the document of the epoch that they are of");
	return EXIT_OK;
}

static int check(const struct asked *a)
{
	const struct restore_wanted *w = &a->wanted;
	int code = check_keys(a);

	if (code != EXIT_OK)
		return code;
	if (a->drill && (w->to || a->archive || a->r.log_given || a->r.n_heads))
		return misuse(
		    "--drill STORE says which archive it is, and what it is compared with; "
		    "--to, --archive, --log-vkey and --head do not go with it");
	if (!w->to && (w->n_shelves || w->n_files || w->n_first || w->size != COF_INDEX_NOW))
		return misuse(
		    "that goes with --to DIR: parts of an archive are files that are copied out");
	return EXIT_OK;
}

/* A bundle's file, or the first of its parts. */
static bool is_bundle(const char *path)
{
	char first[4096];
	struct stat st;

	snprintf(first, sizeof(first), "%s.001", path);
	return (stat(path, &st) == 0 && S_ISREG(st.st_mode)) || (stat(first, &st) == 0 && S_ISREG(st.st_mode));
}

/* For as long as the program runs. */
static const char *bundle_url(const char *path)
{
	static char url[RESTORE_SOURCES][4104];
	static unsigned n;

	if (n == RESTORE_SOURCES)
		return path;
	snprintf(url[n], sizeof(url[n]), "bundle:%s", path);
	return url[n++];
}

static int take_operands(struct asked *a, const struct verb *self, int argc, char **argv)
{
	if (!operands_within(self, argc, argv, 2, RESTORE_SOURCES + 1))
		return EXIT_USAGE;
	a->r.dir = argv[argc - 1];
	for (int i = optind; i < argc - 1; i++) {
		if (s3_is_url(argv[i]) && argc - optind > 2)
			return misuse("a bucket is restored by itself: it signs nothing, and gives "
				      "what it has");
		a->r.source[a->r.n_sources++].url = is_bundle(argv[i]) ? bundle_url(argv[i]) : argv[i];
	}
	if (a->drill)
		return EXIT_OK;
	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, a->r.id) < 0)
		return misuse(
		    "--archive ID is wanted: 32 hex digits, as coffer-vault status shows them");
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct asked a = {.r = {.progress = PROGRESS_INIT}, .wanted = {.size = COF_INDEX_NOW}, .keys = {.idle = SHARE_IDLE}};
	struct cof_diag diag = {""};
	int option, code = EXIT_OK, err = cof_crypto_init_brief(SECURE_BYTES, &diag);

	if (err < 0)
		return failure(&diag);
	while (code == EXIT_OK && (option = option_next(self, argc, argv)) >= 0)
		code = take_option(&a, option);
	if (code == EXIT_OK && option != OPTION_END)
		return option_exit(option);
	if (code == EXIT_OK)
		code = check(&a);
	if (code == EXIT_OK)
		code = take_operands(&a, self, argc, argv);
	if (code != EXIT_OK)
		return code;
	if (s3_is_url(a.r.source[0].url)) {
		if (a.r.n_vkeys && !a.r.n_heads)
			return misuse("--vkey is a vault's, whose head is given with --head; a bucket signs nothing");
		a.r.from_bucket = true;
		a.r.again = a.wanted.to != NULL;
		err = bucket_target(&a.bucket, a.r.source[0].url, &a.r.bucket, &diag);
	}
	if (err == 0) {
		signal(SIGINT, stopped);
		err = a.drill ? restore_try(&a.r, &a.keys, a.drill, &diag) : act(&a, &diag);
	}
	restore_done(&a.r);
	if (err == -ENOTUNIQ) {
		(void)failure(&diag);
		return EXIT_FORK;
	}
	return err < 0 ? failure(&diag) : err ? EXIT_BEHIND : EXIT_OK;
}

const struct verb verb_restore = {
    .name = "restore",
    .args = "URL... NEWSTORE",
    .summary = "an archive comes back from vaults",
    .text =
	"Fetches an archive's log from vaults (URL as of coffer vault add) into a new "
	"directory, and verifies every frame on the way: "
	"nothing counts that is not under a head that the archive's key signed. Of several "
	"vaults each gives what the others lost. "
	"Cut off, the same command goes on at the byte.\n"
	"\n"
	"The store that comes back has no keys: coffer recover opens the recovery envelope, on "
	"a host with another TPM as well.\n"
	"\n"
	"  coffer restore ssh://vault@b.example/srv/vault /srv/ledger --archive ID\n"
	"\n"
	"With --to files are copied out to an ordinary directory: all, a shelf, a file, at any "
	"size that the archive had. Before the first "
	"byte of them the whole log is verified once more: chain, tree, cosignatures, and "
	"seals where an auditor's secret is given. The "
	"keys are in memory only.\n"
	"\n"
	"  coffer restore ssh://vault@b.example/srv/vault /srv/ledger --archive ID \\\n"
	"      --identity officer.age --to /srv/out --file certificates/ca.pem\n"
	"\n"
	"With --drill the same is tried beside the live archive, which is mounted: URL may be the "
	"name of one of its vaults. Everything that came is decrypted and compared; then NEWSTORE "
	"is destroyed, and the archive has on record that it was tried and how long it took, "
	"which coffer due looks for (restore_drill).\n"
	"\n"
	"  coffer restore kaohsiung /var/tmp/drill --drill /srv/ledger \\\n"
	    "      --identity officer.age\n"
	"\n"
	"Where vaults were enrolled (coffer vault enroll), both take what one of them released, --vault-keys, since the "
	"envelope does not open what was written since.\n"
	"\n"
	"Whether it is the newest no vault can prove of itself. A further vault, or a head "
	"that somebody else kept (--head), does; without "
	"that it is said to be unproven.\n"
	"\n"
	"Out of a bucket (s3://BUCKET[/PREFIX]) objects are read by their versions, so what a "
	"delete marker covers comes back too; one that "
	"is not what its name says is passed over for another of its versions. Without "
	"--log-vkey the key that lies there is believed.\n"
	"\n"
	"Exit code: 0 restored, 1 failed, or files are missing that nobody permitted to be taken out, 2 wrong usage, 3 restored, but a newer head is "
	"known, 4 fork: another history is known.",
    .options = options,
    .more = bucket_way_options,
    .run = run,
    .takes_files = true,
};
