/* SPDX-License-Identifier: Apache-2.0 */
/* coffer unlock: lifts the lock that wrong passphrases or PINs put on an archive. */
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/owner.h"
#include "tools/recovery.h"
#include "tools/store.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_IDENTITY };

static const struct tool_option options[] = {
    [OPT_IDENTITY] = {"identity", "FILE",
		      "instead of an opener the age identity (AGE-SECRET-KEY-1...) of a recipient of the recovery "
		      "envelope",
		      true},
    {0},
};

struct unlocking {
	const char *identity;
	struct opener_args open;
	struct store store;
	struct opener opener;
	uint8_t (*identities)[COF_AGE_KEY];
};

/* Nobody is asked for a passphrase for nothing. 1: locked. */
static int is_locked(struct unlocking *u, struct cof_diag *diag)
{
	cof_autojson struct cof_json *status = cof_json_object();
	int r = cof_store_status(u->store.io, status, diag);

	return r < 0 ? r : cof_json_bool(cof_json_get(status, "lockout"), "locked");
}

static int get_secret(struct unlocking *u, struct cof_unlock *ret, struct cof_diag *diag)
{
	int r;

	if (u->identity) {
		r = identities_load(u->identity, u->store.path, &u->identities, &ret->n_identities, diag);
		ret->identities = (const uint8_t(*)[COF_AGE_KEY])u->identities;
		return r;
	}
	r = opener_choose(&u->open, u->store.io, diag);
	if (r == 0)
		r = opener_get(&u->open, u->store.path, false, &u->opener, diag);
	ret->secret = &u->opener.secret;
	return r;
}

static int act(struct unlocking *u, const char *arg, struct cof_diag *diag)
{
	struct cof_unlock unlock = {.secret = NULL};
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_open(arg, &u->store, diag);
	if (r == 0)
		r = is_locked(u, diag);
	if (r == 0)
		printf("%s is not locked.\n", u->store.path);
	if (r <= 0)
		return r;
	r = get_secret(u, &unlock, diag);
	if (r == 0)
		r = owner_take(u->store.path, diag);
	if (r == 0)
		r = cof_store_unlock(u->store.io, &unlock, diag);
	if (r >= 0)
		printf("%s is unlocked. The next mount puts that, and the failures before it, on record.\n",
		       u->store.path);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct unlocking u = {.open = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	const char *conflict;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = option == OPT_IDENTITY ? EXIT_OK : opener_take(&u.open, option);
		if (option == OPT_IDENTITY)
			u.identity = optarg;
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	conflict = opener_conflict(&u.open);
	if (*conflict)
		return misuse("%s", conflict);
	if (u.identity && (u.open.seal || u.open.key_file || u.open.credential || u.open.passphrase_fd >= 0))
		return misuse("either an opener or --identity");
	code = act(&u, argv[optind], &diag) < 0 ? failure(&diag) : EXIT_OK;
	opener_done(&u.opener);
	cof_secret_free(u.identities);
	store_close(&u.store);
	return code;
}

const struct verb verb_unlock = {
    .name = "unlock",
    .args = "STORE",
    .summary = "lifts the lock that wrong passphrases put on an archive",
    .text = "Three wrong passphrases or PINs in a row lock an archive for passphrases and PINs, over restarts. "
	    "This lifts the lock, and is on record with the next mount, as the failures are. It takes another "
	    "opener that works (a key file, a TPM without PIN), an identity of the recovery envelope, or, once a "
	    "time has passed, the right passphrase or PIN: 15 minutes after the first locking, and twice as long "
	    "after each further one, up to a day. coffer status tells how long it is.\n"
	    "\n"
	    "A TPM that locked itself after wrong PINs is unlocked by its own rules, not by this.\n"
	    "\n"
	    "Exit code: 0 not locked (any more), 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
