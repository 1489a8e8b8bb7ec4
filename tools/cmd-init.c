/* SPDX-License-Identifier: Apache-2.0 */
/* coffer init: makes an archive in an empty directory. What failed leaves nothing behind. */
#include "tools/auditor.h"
#include "tools/coffer.h"
#include "tools/init.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/profile.h"
#include "tools/shelf-policy.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECURE_BYTES (4u << 20)

enum {
	OPT_SHELF,
	OPT_RECOVERY,
	OPT_RECOVERY_TEST,
	OPT_NO_RECOVERY,
	OPT_ORIGIN,
	OPT_AUDITOR,
	OPT_AUDITOR_KEY,
	OPT_SEGMENT,
	OPT_POLICY,
	OPT_OWNER,
	OPT_PROFILE,
	OPT_TRIAL,
#ifdef COFFER_TEST_CLOCK
	OPT_TEST_CLOCK,
#endif
};

static const struct tool_option options[] = {
    [OPT_SHELF] =
	{"shelf", "NAME",
	 "a shelf of the archive: a directory at its top that files go into. May be given "
	 "several times; at least one is needed. NAME:FILE takes its policy from FILE"},
    [OPT_RECOVERY] = {"recovery", "RECIPIENT",
		      "seals a recovery envelope to this age recipient (age1...), which coffer recover opens "
		      "with the identity, whatever became of the opener. May be given several times: each "
		      "of them opens it alone. Or the document of an epoch of escrow (a file): then a quorum of its "
		      "custodians opens it (coffer recover --shares)", true},
    [OPT_RECOVERY_TEST] = {"recovery-test", "FILE",
			   "tries the envelope with this identity file too, before the archive counts as made",
			   true},
    [OPT_NO_RECOVERY] = {"no-recovery", NULL,
			 "no recovery envelope, and no word about it: with every opener lost, all is lost. "
			 "With --seal tpm2 this or --recovery has to be said"},
    [OPT_ORIGIN] = {"origin", "NAME",
		    "the name of the log in checkpoints and in the verifier key, such as "
		    "logs.example.org/audit; without it HOST/STORE"},
    [OPT_AUDITOR] = {"auditor-secret", "FILE",
		     "writes the secret with which an auditor recomputes every "
		     "seal to FILE (new, mode 0400, outside STORE). Without this "
		     "option the secret is discarded",
		     true},
    [OPT_AUDITOR_KEY] = {"auditor", "RECIPIENT",
			 "seals the auditor secret to this age recipient (age1...), in seal/auditor.age, which "
			 "coffer verify --auditor-key opens with the identity; later lineages of the seal too. May "
			 "be given several times"},
    [OPT_SEGMENT] = {"segment-size", "N",
		     "bytes of one segment of the log, 64K to 1G; default 64M"},
    [OPT_POLICY] = {"policy", "SHELF=FILE",
		    "the shelf's policy, as lines of \"key = value\" (retention, autocommit, "
		    "durability, quota and others; see coffer-shelf(1))",
		    true},
    [OPT_OWNER] = {"owner", "USER",
		   "gives STORE to this user, who is what the daemon runs as (root only); without it "
		   "the archive is that of whom the directory STORE belongs to"},
    [OPT_PROFILE] = {"profile", "PROFILE",
		     "makes the shelves of this profile, and puts its policy into the chain: gpki-1 to gpki-4, vasp, "
		     "securities, insurance, plain, or a file. What programs have to be told is printed",
		     true},
    [OPT_TRIAL] = {"trial", NULL,
		   "an archive to be thrown away: it says so in every status, and an opener or auditor that the "
		   "profile asks for may be missing"},
#ifdef COFFER_TEST_CLOCK
    [OPT_TEST_CLOCK] =
	{"test-clock", NULL,
	 "an archive whose retention clock can be moved: for tests only, and it says so "
	 "for ever"},
#endif
    {0},
};

/* ---- options ---- */

static int add_policy(struct init *in, const char *shelf, const char *file)
{
	if (in->n_policies == COF_COUNT(in->policies))
		return misuse("at most %zu policies can be given", COF_COUNT(in->policies));
	in->policies[in->n_policies].shelf = shelf;
	in->policies[in->n_policies++].file = file;
	return EXIT_OK;
}

/* NAME, or NAME:POLICYFILE; the argument is ours to cut. */
static int add_shelf(struct init *in, char *name)
{
	char *colon = strchr(name, ':');

	if (in->n_shelves == SHELVES_MAX)
		return misuse("at most %d shelves can be made at once", SHELVES_MAX);
	in->shelves[in->n_shelves].name = name;
	cof_policy_default(&in->shelves[in->n_shelves].policy);
	in->n_shelves++;
	if (!colon)
		return EXIT_OK;
	*colon = '\0';
	return add_policy(in, name, colon + 1);
}

static int take_policy(struct init *in, char *arg)
{
	char *equals = strchr(arg, '=');

	if (!equals)
		return misuse("--policy takes SHELF=FILE");
	*equals = '\0';
	return add_policy(in, arg, equals + 1);
}

static int take_option(void *user, int option)
{
	struct init *in = user;

	switch (option) {
	case OPT_SHELF:
		return add_shelf(in, optarg);
	case OPT_RECOVERY:
		return recovery_add_or_epoch(&in->recovery, "--recovery", optarg);
	case OPT_RECOVERY_TEST:
		in->recovery.test = optarg;
		break;
	case OPT_NO_RECOVERY:
		in->no_recovery = true;
		break;
	case OPT_ORIGIN:
		in->origin = optarg;
		break;
	case OPT_AUDITOR:
		in->auditor = optarg;
		break;
	case OPT_AUDITOR_KEY:
		return recovery_add(&in->auditors, "--auditor", optarg);
	case OPT_SEGMENT:
		if (cof_size_parse(optarg, &in->segment_size) < 0)
			return misuse("--segment-size takes a size such as 64M");
		break;
	case OPT_POLICY:
		return take_policy(in, optarg);
	case OPT_OWNER:
		in->owner = optarg;
		break;
	case OPT_PROFILE:
		in->profile_name = optarg;
		break;
	case OPT_TRIAL:
		in->flags |= COF_ARCHIVE_TRIAL;
		break;
#ifdef COFFER_TEST_CLOCK
	case OPT_TEST_CLOCK:
		in->flags |= COF_ARCHIVE_TEST_CLOCK;
		break;
#endif
	default:
		return opener_take(&in->opener_args, option);
	}
	return EXIT_OK;
}

static int check_options(struct init *in)
{
	const char *conflict = opener_new_conflict(&in->opener_args);
	const struct opener_args *a = &in->opener_args;

	if (*conflict)
		return misuse("%s", conflict);
	in->tpm2 = opener_is_tpm2(a);
	conflict = recovery_conflict(&in->recovery, in->no_recovery);
	if (*conflict)
		return misuse("%s", conflict);
	if (in->tpm2 && !in->no_recovery && !recovery_given(&in->recovery))
		return misuse("an archive that this machine's TPM alone opens is lost with it: name who "
			      "can recover it (--recovery age1...), or say --no-recovery if that is meant");
	if (!in->n_shelves && !in->profile_name)
		return misuse("an archive has at least one shelf: name one with --shelf, or a --profile");
	/* mount options are separated by commas and know no escape */
	if ((a->key_file && strchr(a->key_file, ',')) ||
	    (a->new_key_file && strchr(a->new_key_file, ',')))
		return misuse("a key file whose name holds a comma cannot be named to mount");
	return EXIT_OK;
}

/* ---- policies ---- */

static struct cof_shelf_spec *shelf_named(struct init *in, const char *name)
{
	for (size_t i = 0; i < in->n_shelves; i++) {
		if (!strcmp(in->shelves[i].name, name))
			return &in->shelves[i];
	}
	return NULL;
}

static int load_policy(struct init *in, const char *name, const char *file, struct cof_diag *diag)
{
	struct cof_shelf_spec *shelf = shelf_named(in, name);
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag why = {""};
	int r;

	if (!shelf)
		return cof_fail(diag, -EINVAL, "--policy %s=%s: no --shelf has that name", name,
				file);
	r = policy_load(file, &text, diag);
	if (r < 0)
		return r;
	r = cof_policy_parse(text.data ? (const char *)text.data : "", text.len, &shelf->policy,
			     &why);
	return r < 0 ? cof_fail(diag, r, "%s: %s", file, why.text) : 0;
}

/* ---- the profile ---- */

static int add_profile_shelves(struct init *in, struct cof_diag *diag)
{
	size_t own = in->n_shelves;

	for (size_t i = 0; i < in->profile.n_shelves; i++) {
		const struct cof_profile_shelf *s = &in->profile.shelves[i];

		for (size_t k = 0; k < own; k++)
			if (!strcmp(in->shelves[k].name, s->name))
				return cof_fail(diag, -EINVAL, "the profile has a shelf '%s' too: leave out --shelf %s", s->name,
						s->name);
		if (in->n_shelves == SHELVES_MAX)
			return cof_fail(diag, -E2BIG, "at most %d shelves can be made at once", SHELVES_MAX);
		in->shelves[in->n_shelves].name = s->name;
		in->shelves[in->n_shelves++].policy = s->policy;
	}
	return 0;
}

/* What the profile asks of an archive before there is one. A trial may lack it. */
static int check_profile(const struct init *in, struct cof_diag *diag)
{
	const struct cof_profile *p = &in->profile.archive;
	const char *opener = in->tpm2 ? "tpm2" : in->opener_args.key_file || in->opener_args.new_key_file ? "file" : "passphrase";

	if (in->flags & COF_ARCHIVE_TRIAL)
		return 0;
	if (!cof_profile_has(p->openers, opener))
		return cof_fail(diag, -EINVAL,
				"the profile %s allows these openers: %s; this would be one of kind %s (--trial makes an archive "
				"to be thrown away without it)",
				in->profile_name, p->openers, opener);
	if (p->auditor_secret && !in->auditor && !in->auditors.n)
		return cof_fail(diag, -EINVAL,
				"the profile %s asks for an auditor who can check the seal: --auditor age1..., or --auditor-secret "
				"FILE",
				in->profile_name);
	return 0;
}

static int take_profile(struct init *in, struct cof_diag *diag)
{
	int r;

	if (!in->profile_name)
		return 0;
	r = profile_load(in->profile_name, &in->profile, NULL, diag);
	if (r == 0)
		r = add_profile_shelves(in, diag);
	return r == 0 ? check_profile(in, diag) : r;
}

/* ---- the directory ---- */

static int one_entry(void *user, const char *name)
{
	*(bool *)user |= !strcmp(name, "archive.conf");
	return 0;
}

static int any_entry(void *user COF_UNUSED, const char *name COF_UNUSED)
{
	return -ENOTEMPTY;
}

/* Before anybody is asked for a passphrase; cof_archive_init looks again, under the lock. */
static int check_empty(struct init *in, struct cof_diag *diag)
{
	bool archive = false;
	int r = cof_io_list(in->io, "", any_entry, NULL);

	if (r == -ENOTEMPTY && cof_io_list(in->io, "", one_entry, &archive) == 0 && archive)
		return cof_fail(diag, r,
				"%s holds an archive already; look at it with: coffer status %s",
				in->store, in->store);
	if (r == -ENOTEMPTY)
		return cof_fail(
		    diag, r, "%s is not empty; an archive is made in an empty or a new directory",
		    in->store);
	return r < 0 ? cof_fail(diag, r, "cannot read %s: %s", in->store, strerror(-r)) : 0;
}

static int open_store(struct init *in, const char *arg, struct cof_diag *diag)
{
	int r;

	if (mkdir(arg, 0700) == 0)
		in->made_store = true;
	else if (errno != EEXIST)
		return cof_fail(diag, -errno, "cannot make the directory %s: %s%s", arg,
				strerror(errno),
				errno == ENOENT ? "; make the one above it first" : "");
	in->store = realpath(arg, NULL);
	if (!in->store)
		return cof_fail(diag, -errno, "cannot find %s: %s", arg, strerror(errno));
	r = cof_io_plain(in->store, &in->io, diag);
	if (r == 0)
		r = check_empty(in, diag);
	return r == 0 && in->owner ? owner_give(in->owner, in->store, diag) : r;
}

/* ---- the auditor secret ---- */

static size_t auditor_length(void)
{
	static const struct cof_auditor first = {.lineage = 1, .epoch = 1};
	static const uint8_t id[16];
	char line[COF_AUDITOR_LINE];

	return cof_auditor_line(id, &first, line);
}

/* Its file is there, with its whole length, before the archive is: afterwards nothing can hinder
 * it. */
static int make_auditor(struct init *in, struct cof_diag *diag)
{
	static const char blank[COF_AUDITOR_LINE] = "";
	int r;

	if (!in->auditor)
		return 0;
	r = path_inside(in->auditor, in->store);
	if (r < 0)
		return cof_fail(diag, r, "cannot make the auditor secret %s: %s", in->auditor,
				strerror(-r));
	if (r > 0)
		return cof_fail(
		    diag, -EINVAL,
		    "the auditor secret %s may not lie in the store: whoever takes the store "
		    "could forge it",
		    in->auditor);
	in->auditor_secret = cof_secret_alloc(sizeof(*in->auditor_secret));
	if (!in->auditor_secret)
		return cof_fail(diag, -ENOMEM, "no locked memory left for the auditor secret");
	r = secret_file_make(in->auditor, "auditor secret", &in->auditor_fd, diag);
	if (r < 0)
		return r;
	in->made_auditor = true;
	r = cof_write_all(in->auditor_fd, blank, auditor_length());
	if (r == 0)
		r = secret_file_sync(in->auditor_fd, in->auditor);
	return r < 0 ? cof_fail(diag, r, "cannot write the auditor secret %s: %s", in->auditor,
				strerror(-r))
		     : 0;
}

static int write_auditor(struct init *in, const uint8_t archive_id[16], struct cof_diag *diag)
{
	cof_autosecret char *line = NULL;
	size_t n = 0;
	int r;

	if (!in->auditor)
		return 0;
	line = cof_secret_alloc(COF_AUDITOR_LINE);
	r = line ? 0 : -ENOMEM;
	in->auditor_secret->lineage = 1;
	in->auditor_secret->epoch = 1;
	if (line)
		n = cof_auditor_line(archive_id, in->auditor_secret, line);
	if (r == 0 && lseek(in->auditor_fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = cof_write_all(in->auditor_fd, line, n);
	if (r == 0 && fsync(in->auditor_fd) < 0)
		r = -errno;
	if (r < 0)
		return cof_fail(
		    diag, r,
		    "the archive was made, but its auditor secret could not be written to "
		    "%s (%s): if it is needed, remove %s and make the archive anew",
		    in->auditor, strerror(-r), in->store);
	return 0;
}

/* ---- all of it ---- */

static void init_done(struct init *in)
{
	if (in->auditor_fd >= 0)
		close(in->auditor_fd);
	cof_io_free(in->io);
	opener_done(&in->opener);
	cof_secret_free(in->auditor_secret);
	recovery_done(&in->recovery);
	cof_profile_file_done(&in->profile);
	free(in->store);
}

static void undo(struct init *in)
{
	opener_unmake(&in->opener);
	if (in->made_auditor)
		unlink(in->auditor);
	if (in->made_store && in->store)
		rmdir(in->store);
}

static int make_archive(struct init *in, struct cof_diag *diag)
{
	char host[256] = "";
	cof_autofree char *named = NULL;
	uint8_t id[16];
	struct cof_recovery recovery = recovery_params(&in->recovery);
	struct cof_init_params p = {
	    .origin = in->origin,
	    .segment_size = in->segment_size,
	    .flags = in->flags,
	    .secret = &in->opener.secret,
	    .pcrs = opener_pcrs(&in->opener_args),
	    .shelves = in->shelves,
	    .n_shelves = in->n_shelves,
	    .profile = in->profile_name ? &in->profile.archive : NULL,
	    .recovery = in->recovery.n ? &recovery : NULL,
	    .auditors = (const uint8_t(*)[COF_AGE_KEY])in->auditors.recipients,
	    .n_auditors = in->auditors.n,
	    .ret_auditor_secret = in->auditor ? in->auditor_secret->secret : NULL,
	    .ret_archive_id = id,
	};
	int r, noted = 0;

	if (!in->origin) {
		if (gethostname(host, sizeof(host) - 1) < 0)
			host[0] = '\0'; /* then it says localhost */
		named = default_origin(host, in->store);
		if (!named)
			return cof_fail(diag, -ENOMEM, "out of memory");
		p.origin = named;
	}
	r = owner_take(in->store, diag);
	if (r == 0)
		r = cof_archive_init(in->io, &p, diag);
	if (r == 0)
		noted = recovery_note(&in->recovery, in->io, diag);
	if (owner_leave() < 0 && r == 0)
		r = cof_fail(diag, -EPERM, "the archive was made, but this is no longer root's process");
	if (r < 0)
		return r;
	in->made_store = false; /* it holds an archive now: nothing is undone any more */
	in->made_auditor = false;
	free(in->opener.made);
	in->opener.made = NULL;
	r = write_auditor(in, id, diag);
	return r < 0 ? r : noted;
}

static int open_secret(struct init *in, struct cof_diag *diag)
{
	int r = opener_get(&in->opener_args, in->store, true, &in->opener, diag);

	if (r == -ENOENT && in->opener_args.key_file)
		return cof_fail(diag, r, "%s; --new-key-file %s makes it", diag->text,
				in->opener_args.key_file);
	return r;
}

/* From here to the end of the process: an archive half made could be taken for a damaged one. A
 * prompt on the terminal lets them through nevertheless, and reports them. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int make(struct init *in, const char *arg, struct cof_diag *diag)
{
	struct cof_conf conf;
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = take_profile(in, diag);
	for (size_t i = 0; i < in->n_policies && r == 0; i++)
		r = load_policy(in, in->policies[i].shelf, in->policies[i].file, diag);
	/* who writes to the descriptor may take long, and Ctrl-C has to work until then */
	if (r == 0 && in->opener_args.passphrase_fd < 0)
		hold_signals();
	if (r == 0)
		r = open_store(in, arg, diag);
	if (r == 0)
		r = recovery_load(&in->recovery, in->store, diag);
	if (r == 0)
		r = make_auditor(in, diag);
	if (r == 0)
		r = open_secret(in, diag);
	if (r == 0) {
		hold_signals();
		r = make_archive(in, diag);
	}
	if (r == 0)
		r = cof_conf_load(in->io, &conf, diag);
	if (r == 0)
		init_say(in, &conf);
	else
		undo(in);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct init in = {.opener_args = OPENER_ARGS_INIT, .auditor_fd = -1};
	struct cof_diag diag = {""};
	int code;

	code = options_take(self, argc, argv, take_option, &in, 1);
	if (code >= 0)
		return code;
	code = check_options(&in);
	if (code)
		return code;
	if (make(&in, argv[optind], &diag) < 0)
		code = failure(&diag);
	init_done(&in);
	return code;
}

const struct verb verb_init = {
    .name = "init",
    .args = "STORE",
    .summary = "makes an archive",
    .text = "Makes an archive in STORE, an empty directory or a new one. The archive has its "
	    "shelves and "
	    "is ready to be mounted; the commands for that are printed, and the verifier key that "
	    "others "
	    "need to check it.\n"
	    "\n"
	    "It is opened by a key file, by a passphrase or by this machine's TPM. Without an option "
	    "that says which, a passphrase is asked for, twice.\n"
	    "\n"
	    "Exit code: 0 made, 1 failed (nothing is left behind), 2 wrong usage.",
    .options = options,
    .more = opener_new_options,
    .run = run,
    .takes_files = true,
};
