/* SPDX-License-Identifier: Apache-2.0 */
/* coffer recover: an archive whose opener is lost gets another one, from its recovery envelope. */
#include "tools/coffer.h"
#include "tools/mount-say.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/file.h"
#include "tools/recovery.h"
#include "tools/share-gather.h"
#include "tools/share-read.h"
#include "tools/store.h"

#include "fs/sshsig/sshsig.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum {
	OPT_IDENTITY,
	OPT_ENVELOPE,
	OPT_AUDITOR,
	OPT_SHARES,
	OPT_EPOCH,
	OPT_SHARE_FD,
	OPT_IDLE,
	OPT_VAULT_KEYS,
	OPT_VAULT_IDENTITY,
	OPT_WITHOUT_VAULTS,
};

static const struct tool_option options[] = {
    [OPT_IDENTITY] = {"identity", "FILE",
		      "the age identity (AGE-SECRET-KEY-1...) of a recipient of the envelope, as age-keygen "
		      "writes it",
		      true},
    [OPT_ENVELOPE] = {"envelope", "FILE", "a copy of the envelope; without it STORE/seal/recovery.age", true},
    [OPT_AUDITOR] = {"auditor", "RECIPIENT",
		     "seals the auditor secret of the new lineage to this age recipient (age1...), in "
		     "seal/auditor-N.age. May be given several times"},
    [OPT_SHARES] = {"shares", NULL, "instead of --identity: a quorum types its shares, of the epoch that the envelope is sealed to"},
    [OPT_EPOCH] = {"epoch", "FILE", "with --shares: that epoch's document; without it STORE/seal/recovery-epoch.json", true},
    [OPT_SHARE_FD] = {"share-fd", "N", "with --shares: reads one share from the open descriptor N instead of the terminal; several times"},
    [OPT_IDLE] = {"idle", "SECONDS", "with --shares: ends when nobody typed on the terminal for so long; 0: never (900)"},
    [OPT_VAULT_KEYS] = {"vault-keys", "FILE", "what a vault released (coffer-vault release), of an archive that enrolled vaults", true},
    [OPT_VAULT_IDENTITY] = {"vault-identity", "FILE", "the age identity to which it is sealed; without it, that of the envelope", true},
    [OPT_WITHOUT_VAULTS] = {"without-vaults", NULL, "no vault is left: what was written since the first one was enrolled is lost for ever"},
    {0},
};

struct recovery_run {
	const char *identity, *envelope, *epoch_path;
	bool shares;
	int fds[COF_CUSTODIANS_MAX];
	unsigned n_fds, idle;
	struct cof_epoch epoch;
	struct opener_args open;
	struct store store;
	struct opener opener;
	uint8_t (*identities)[COF_AGE_KEY];
	uint8_t *file; /* the envelope's copy */
	struct released released;
	struct recovery auditors;
};

static int take_option(void *user, int option)
{
	struct recovery_run *r = user;

	switch (option) {
	case OPT_IDENTITY:
		r->identity = optarg;
		break;
	case OPT_ENVELOPE:
		r->envelope = optarg;
		break;
	case OPT_VAULT_KEYS:
		r->released.path = optarg;
		break;
	case OPT_VAULT_IDENTITY:
		r->released.identity = optarg;
		break;
	case OPT_WITHOUT_VAULTS:
		r->released.without = true;
		break;
	case OPT_AUDITOR:
		return recovery_add(&r->auditors, "--auditor", optarg);
	case OPT_SHARES:
		r->shares = true;
		break;
	case OPT_EPOCH:
		r->epoch_path = optarg;
		break;
	case OPT_SHARE_FD:
		if (r->n_fds == COF_COUNT(r->fds))
			return misuse("--share-fd: at most %zu", COF_COUNT(r->fds));
		return opener_take_fd("--share-fd", &r->fds[r->n_fds++]);
	case OPT_IDLE:
		return share_take_idle(&r->idle);
	default:
		return opener_take(&r->open, option);
	}
	return EXIT_OK;
}

static int check(const struct recovery_run *r)
{
	const char *conflict = opener_new_conflict(&r->open);

	if (*conflict)
		return misuse("%s", conflict);
	if (!r->identity == !r->shares)
		return misuse("--identity FILE is wanted, that of a recipient of the envelope, or --shares");
	if (*released_conflict(&r->released))
		return misuse("%s", released_conflict(&r->released));
	if (!r->shares && (r->epoch_path || r->n_fds))
		return misuse("--epoch and --share-fd go with --shares");
	return EXIT_OK;
}

static int load_envelope(struct recovery_run *r, struct cof_recover_params *p, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int err;

	if (!r->envelope)
		return 0;
	fd = open(r->envelope, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cof_fail(diag, -errno, "cannot open the envelope %s: %s", r->envelope, strerror(errno));
	r->file = malloc(COF_AGE_FILE_MAX);
	if (!r->file)
		return cof_fail(diag, -ENOMEM, "out of memory");
	err = cof_read_all(fd, r->file, COF_AGE_FILE_MAX, &p->envelope_len);
	if (err < 0)
		return cof_fail(diag, err, "cannot read the envelope %s: %s", r->envelope,
				err == -EFBIG ? "it is larger than one can be" : strerror(-err));
	p->envelope = r->file;
	p->envelope_name = r->envelope;
	return 0;
}

static int not_mounted(const struct recovery_run *r, struct cof_diag *diag)
{
	char holder[256] = "";

	if (r->store.mount)
		return cof_fail(diag, -EBUSY, "%s is mounted on %s: what is open needs no recovery. If it has to be: umount %s, then "
				"this command again",
				r->store.path, r->store.mount, r->store.mount);
	if (cof_io_locked(r->store.io, holder, sizeof(holder)) > 0)
		return cof_fail(diag, -EBUSY, "%s is in use by %s: end that, or wait for it, then this command again",
				r->store.path, holder);
	return 0;
}

/* ---- shares ---- */

static int find_epoch(struct recovery_run *r, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_diag why = {""};
	int err;

	if (!r->epoch_path) {
		err = recovery_find_epoch(r->store.io, &r->epoch, &why);
		return err < 0 ? cof_fail(diag, err, "to which epoch is the envelope sealed? %s: give its document (--epoch FILE)", why.text) : 0;
	}
	err = file_load(r->epoch_path, COF_EPOCH_MAX, &text, diag);
	return err == 0 ? cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &r->epoch, diag) : err;
}

/* One identity, of the shares. */
static int gather(struct recovery_run *r, struct cof_recover_params *p, struct cof_diag *diag)
{
	cof_autofree char *store = escaped(r->store.path);
	char title[300];
	struct share_gathering g = {
	    .epoch = &r->epoch, .title = title, .fds = r->fds, .n_fds = r->n_fds, .passphrase_fd = -1, .idle = r->idle};
	int err = find_epoch(r, diag);

	if (err < 0)
		return err;
	snprintf(title, sizeof(title), "To recover the archive %.240s", store ? store : "?");
	r->identities = cof_secret_alloc(COF_AGE_KEY);
	if (!r->identities)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	p->n_identities = 1;
	return share_gather(&g, r->identities[0], diag);
}

static void say(const struct recovery_run *r, const struct cof_recovered_keys *k)
{
	cof_autofree char *store = shell_word(r->store.path), *mount = mount_command(&r->open, r->store.path);

	printf("The keys of %s are recovered: %s%" PRIu32 " mount%s of its log %s written under them",
	       r->store.path, k->mounts == 1 ? "the " : "all ", k->mounts, plural(k->mounts), k->mounts == 1 ? "was" : "were");
	printf(k->files ? ", and\n%" PRIu64 " first writes to files.\n" : ".\n", k->files);
	if (k->lost_from)
		printf("Lost for ever: what files hold whose inode number is %" PRIu64 " or above, written since vaults had the tree R.\n", k->lost_from);
	recovery_say_unlike(k, &r->released, r->store.path);
	recovery_say_ended(&k->ended);
	printf("It has one opener now, the new one. Older openers, and copies of keys/, are of no use with this\n"
	       "store; with an older copy of all of it they still are.\n"
	       "\n"
	       "The seal begins anew with the next mount (lineage %" PRIu32 "): an auditor secret from before "
	       "checks it\nup to there. Next:\n"
	       "  %s   # the mount puts the recovery on record\n"
	       "  coffer verify %s\n"
	       "  coffer seal recovery-renew %s --recovery %s   # this envelope has been opened\n",
	       k->lineage, mount ? mount : "mount -t coffer STORE DIR", store ? store : "STORE", store ? store : "STORE",
	       r->shares ? "NEW-EPOCH.json" : "age1...");
	if (r->shares)
		printf("Warning: the epoch's secret was in this host's memory. A new epoch and new shares are due (coffer escrow epoch), and\n"
		       "all that is sealed to the old one is to be sealed to the new one.\n");
	if (!r->auditors.n)
		printf("Warning: nobody holds the auditor secret of the new lineage (--auditor age1...).\n");
}

static int act(struct recovery_run *r, const char *arg, struct cof_diag *diag)
{
	struct cof_recover_params p = {.secret = &r->opener.secret,
				       .verify = cof_sshsig_verify,
				       .pcrs = opener_pcrs(&r->open)};
	struct cof_recovered_keys done = {.mounts = 0};
	int err = cof_crypto_init(SECURE_BYTES, diag);

	if (!err)
		err = store_open(arg, &r->store, diag);
	if (!err)
		err = not_mounted(r, diag);
	if (!err)
		err = load_envelope(r, &p, diag);
	if (!err)
		err = released_load(&r->released, r->store.path, &p, diag);
	if (!err)
		err = r->shares ? gather(r, &p, diag)
				: identities_load(r->identity, r->store.path, &r->identities, &p.n_identities, diag);
	if (!err)
		err = opener_get(&r->open, r->store.path, true, &r->opener, diag);
	if (err)
		return err;
	p.auditors = (const uint8_t(*)[COF_AGE_KEY])r->auditors.recipients;
	p.n_auditors = r->auditors.n;
	p.identities = (const uint8_t(*)[COF_AGE_KEY])r->identities;
	err = owner_take(r->store.path, diag);
	if (err == 0)
		err = cof_store_recover(r->store.io, &p, &done, diag);
	if (owner_leave() < 0 && err == 0)
		err = cof_fail(diag, -EPERM, "the keys are recovered, but this is no longer root's process");
	if (err) {
		/* a key file stays where the archive may be sealed to it by now */
		if (cof_io_exists(r->store.io, "keys/recovered") == 0)
			opener_unmake(&r->opener);
		return err;
	}
	say(r, &done);
	return 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct recovery_run r = {.open = OPENER_ARGS_INIT, .idle = SHARE_IDLE};
	struct cof_diag diag = {""};
	int code;

	code = options_take(self, argc, argv, take_option, &r, 1);
	if (code >= 0)
		return code;
	code = check(&r);
	if (code)
		return code;
	code = act(&r, argv[optind], &diag) < 0 ? failure(&diag) : EXIT_OK;
	opener_done(&r.opener);
	cof_secret_free(r.identities);
	released_done(&r.released);
	free(r.file);
	cof_epoch_done(&r.epoch);
	store_close(&r.store);
	return code;
}

const struct verb verb_recover = {
    .name = "recover",
    .args = "STORE",
    .summary = "a new opener for an archive, from its envelope",
    .text = "For an archive whose opener is lost: on a new host, with a new TPM, without the passphrase. "
	    "Opens the recovery envelope with the identity of one of its recipients, or with the shares of the "
	    "epoch it is sealed to (--shares: one at a time, in any order; what is missing is shown, a wrong one named), proves on the log that "
	    "the keys in it are this archive's, and makes keys/ and seal/ anew with one opener. The log is "
	    "not touched, but for what people destroyed: where this copy still has the sealed bytes of that, they are overwritten. "
	    "Interrupted, it may be run again.\n"
	    "\n"
	    "Exit code: 0 recovered, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_new_options,
    .run = run,
    .takes_files = true,
};
