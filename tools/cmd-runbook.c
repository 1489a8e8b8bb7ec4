/* SPDX-License-Identifier: Apache-2.0 */
/* coffer runbook: what somebody who has never seen this host needs to bring the archive back, on paper. */
#include "tools/buckets.h"
#include "tools/bundles.h"
#include "tools/coffer.h"
#include "tools/facts.h"
#include "tools/output.h"
#include "tools/recovery.h"
#include "tools/vaults.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define SECURE_BYTES (4u << 20)
#define SLOW (12500000.0)  /* bytes a second: 100 Mbit/s */
#define FAST (125000000.0) /* 1 Gbit/s */

static const struct tool_option options[] = {{0}};

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t n = 0;

	return cof_json_int(o, key, &n) == 0 && n > 0 ? (uint64_t)n : 0;
}

static const char *text_of(const struct cof_json *o, const char *key)
{
	const char *text = cof_json_str(o, key);

	return text ? text : "";
}

/* ---- what must be in the safe ---- */

/* A witness has no log to give, and what is left is being destroyed. */
static bool gives(const struct cof_json *vault)
{
	return strncmp(text_of(vault, "url"), "http", 4) != 0 && !cof_json_str(vault, "retiring");
}

static bool by_hand(const struct cof_json *vault)
{
	return !strcmp(text_of(vault, "url"), BUNDLE_URL);
}

static size_t copies_of(const struct cof_json *vaults)
{
	size_t n = 0;

	for (size_t i = 0; i < cof_json_count(vaults); i++)
		n += gives(cof_json_at(vaults, i));
	return n;
}

static void say_vault(const struct cof_json *v)
{
	cof_autofree char *url = escaped(text_of(v, "url"));
	const char *kind = strncmp(text_of(v, "url"), "http", 4) ? "vault" : "witness";

	printf("[ ] %s %-12s %s\n    its key            %s\n", kind, text_of(v, "vault"), by_hand(v) ? "reached by hand" : url ? url : "?",
	       text_of(v, "vkey"));
	if (by_hand(v))
		printf("    and who brings what it has: ........................\n");
	else if (gives(v))
		printf("    and what lets you in there: an SSH key, or whom to call: ........................\n");
}

static void say_safe(const struct facts *f, const struct cof_json *vaults, const struct cof_json *buckets)
{
	const struct cof_json *openers = cof_json_get(f->status, "openers");
	char said[RECOVERY_SAID];

	recovery_said(cof_json_get(f->status, "recovery"), said);
	printf("IN THE SAFE, AND NOT ON THIS HOST\n\n"
	       "[ ] this paper, printed again when vaults, openers or custodians change\n"
	       "[ ] the archive's id     %s\n"
	       "[ ] the archive's key    %s\n",
	       text_of(f->status, "archive_id"), text_of(f->status, "vkey"));
	printf("[ ] what opens the recovery envelope: %s\n"
	       "[ ] a copy of seal/recovery.age (each vault has one too)\n"
	       "[ ] the auditor's secret: it alone tells whether the seal of every frame holds\n",
	       said);
	if (f->first_enrolled)
		printf("[ ] who may sign that a vault releases its part of the keys, two persons, an officer among them: .........\n");
	for (size_t i = 0; i < cof_json_count(vaults); i++)
		say_vault(cof_json_at(vaults, i));
	for (size_t i = 0; i < cof_json_count(buckets); i++) {
		const struct cof_json *b = cof_json_at(buckets, i);

		printf("[ ] copy  %-12s %s at %s\n    and credentials that may read there%s: ........................\n", text_of(b, "bucket"), text_of(b, "url"),
		       text_of(b, "endpoint"), *text_of(b, "ca") ? ", and the certificates that its server's lead to" : "");
	}
	if (!copies_of(vaults) && !cof_json_count(buckets))
		printf("THERE IS NO VAULT AND NO COPY: if this host burns, all is lost (coffer vault add)\n");
	printf("[ ] this version of Coffer, or its source: " COF_VERSION "\n\n"
	       "What opens the archive on this host, and is of no use elsewhere or after a recovery:\n");
	for (size_t i = 0; i < cof_json_count(openers); i++) {
		const char *name = cof_json_value_str(cof_json_at(openers, i));

		printf("    %s\n", name ? name : "?");
	}
	puts("");
}

/* ---- the steps ---- */

/* From all vaults at once; one that no line leads to is brought as a directory. */
static void say_fetch(const struct facts *f, const struct cof_json *vaults, const char *path)
{
	const char *id = text_of(f->status, "archive_id");

	printf("   coffer restore \\\n");
	for (size_t i = 0; i < cof_json_count(vaults); i++) {
		const struct cof_json *v = cof_json_at(vaults, i);
		cof_autofree char *url = shell_word(text_of(v, "url"));

		if (by_hand(v) && gives(v))
			printf("       dir:/srv/brought-%s --vkey %s \\\n", text_of(v, "vault"), text_of(v, "vkey"));
		else if (gives(v))
			printf("       %s --vkey %s \\\n", url ? url : "URL", text_of(v, "vkey"));
	}
	if (!copies_of(vaults))
		printf("       URL-OF-A-VAULT \\\n");
	printf("       %s --archive %s \\\n       --log-vkey %s\n\n", path, id, text_of(f->status, "vkey"));
	for (size_t i = 0; i < cof_json_count(vaults); i++) {
		const char *name = text_of(cof_json_at(vaults, i), "vault");

		if (by_hand(cof_json_at(vaults, i)) && gives(cof_json_at(vaults, i)))
			printf("   %s is reached by hand: its operator copies the directory archives/%s to a medium. Before the command above:\n\n"
			       "   coffer-vault init /srv/brought-%s --name brought/%s\n"
			       "   cp -a MEDIUM/%s /srv/brought-%s/archives/\n\n",
			       name, id, name, name, id, name);
	}
}

static void say_buckets(const struct facts *f, const struct cof_json *vaults, const struct cof_json *buckets, const char *path)
{
	for (size_t i = 0; i < cof_json_count(buckets); i++) {
		const struct cof_json *b = cof_json_at(buckets, i);
		cof_autofree char *url = shell_word(text_of(b, "url")), *endpoint = shell_word(text_of(b, "endpoint")), *region = shell_word(text_of(b, "region"));

		printf("   %s%s, a copy in a bucket, which is restored by itself:\n\n"
		       "   coffer restore %s %s --archive %s \\\n       --log-vkey %s \\\n       --endpoint %s --region %s --credentials FILE%s%s\n\n",
		       copies_of(vaults) || i ? "Or from " : "From ", text_of(b, "bucket"), url ? url : "URL", path, text_of(f->status, "archive_id"),
		       text_of(f->status, "vkey"), endpoint ? endpoint : "URL", region ? region : "REGION", *text_of(b, "ca") ? " --ca FILE" : "",
		       cof_json_bool(b, "bare") ? " --insecure-http" : "");
	}
}

/* What one vault has to give before anything that was written since it was enrolled can be read. */
static void say_release(const struct facts *f)
{
	const char *id = text_of(f->status, "archive_id");

	if (!f->first_enrolled)
		return;
	printf("   Vaults have a part of the keys (the tree R), without which the envelope does not suffice. One of them releases it once two\n"
	       "   persons have signed, an officer among them, to a recipient that is made for this (age-keygen -o RESTORER). At the vault:\n\n"
	       "   coffer-vault release DIR --archive %s --author NAME --to age1... --reason TEXT > DOCUMENT\n"
	       "   ssh-keygen -Y sign -n coffer-request -f KEY DOCUMENT     # NAME; the others -n coffer-approve, each a copy of it\n"
	       "   coffer-vault release DIR --archive %s --request DOCUMENT --signed NAME=SIGNATURE ... > RELEASED\n\n"
	       "   The commands below take it. It is good for all of the log, with the envelope's key: once all is back, destroy RELEASED and\n"
	       "   RESTORER.\n\n",
	       id, id);
}

static void say_steps(const struct facts *f, const struct cof_json *vaults, const struct cof_json *buckets)
{
	cof_autofree char *store = shell_word(f->store.path);
	const char *path = store ? store : "STORE", *released = f->first_enrolled ? " --vault-keys RELEASED --vault-identity RESTORER" : "";

	printf("BRINGING IT BACK, ON A HOST THAT HAS NOTHING\n\n"
	       "1. Install Coffer. Nothing of the old host is needed.\n"
	       "2. Fetch the log. Each vault gives what the others lost; cut off, the same command goes on:\n\n");
	if (copies_of(vaults) || !cof_json_count(buckets))
		say_fetch(f, vaults, path);
	say_buckets(f, vaults, buckets, path);
	printf("   It says whether what came is the newest: with one vault alone that is not proven (--head FILE).\n"
	       "   FORK or NOT THE NEWEST: stop, write nothing, ask whoever runs the other vaults.\n"
	       "3. What is needed first can be had now, before anything else goes on:\n\n");
	say_release(f);
	printf("   coffer restore ... --to /srv/out --identity FILE%s%s%s\n\n", released,
	       *f->policy.restore_first ? "     # the policy has first: " : "", f->policy.restore_first);
	if (f->first_enrolled)
		printf("   With --without-vaults instead it gives what is older than the first vault's enrolment, without waiting for a release.\n\n");
	printf("4. New keys for the archive. The old openers are dead then.\n\n"
	       "   coffer recover %s --identity FILE%s --new-key-file FILE     # or --shares, or --seal tpm2\n\n"
	       "5. Look at all of it, and mount it:\n\n"
	       "   coffer verify %s --auditor-secret FILE\n"
	       "   mount -t coffer %s /mnt\n\n"
	       "6. Behind every recovery: coffer seal recovery-renew %s, since the envelope has been opened; then\n"
	       "   coffer vault add and coffer sync, so that there are copies again.\n\n",
	       path, released, path, path, path);
}

/* ---- how long ---- */

static void say_at(double bytes, double rate, const char *what)
{
	char span[32];

	cof_duration_text((int64_t)(bytes / rate * (double)COF_NSEC) + COF_NSEC, span);
	printf("   %-46s %s\n", what, span);
}

static void say_time(const struct facts *f)
{
	double bytes = (double)number(f->status, "bytes");
	char size[32], took[32], promised[32];

	cof_size_text((uint64_t)bytes, size);
	printf("HOW LONG IT TAKES: %" PRIu64 " frames, %s of log\n\n", number(f->status, "frames"), size);
	if (f->restore_took && f->restore_bytes) {
		cof_duration_text(f->restore_took, took);
		cof_size_text(f->restore_bytes, size);
		printf("   The last drill that went well brought %s back and compared it in %s.\n", size, took);
		say_at(bytes, (double)f->restore_bytes * (double)COF_NSEC / (double)f->restore_took, "At that rate all of it takes");
	} else {
		printf("   No restore was tried yet (coffer restore --drill), so this is arithmetic and no measurement:\n");
		say_at(bytes, SLOW, "over a line of 100 Mbit/s");
		say_at(bytes, FAST, "over a line of 1 Gbit/s");
	}
	if (f->first_enrolled)
		printf("   A drill wants what a vault released, as step 3 does.\n");
	if (f->policy.restore_time) {
		cof_duration_text(f->policy.restore_time, promised);
		printf("   The policy promises %s.\n", promised);
	}
	puts("");
}

/* ---- the verb ---- */

static int add_vkey(void *user, struct vault_entry *e)
{
	struct cof_json *o = cof_json_object();
	char vkey[COF_VKEY_MAX];

	cof_vkey_text(&e->vkey, vkey);
	cof_json_set_str(o, "vault", e->name);
	cof_json_set_str(o, "url", e->url);
	cof_json_set_str(o, "vkey", vkey);
	if (*e->retiring)
		cof_json_set_str(o, "retiring", e->retiring);
	cof_json_append(user, o);
	return 0;
}

static int add_bucket(void *user, const struct bucket *b)
{
	struct cof_json *o;

	if (*b->retiring)
		return 0;
	o = cof_json_object();
	cof_json_set_str(o, "bucket", b->name);
	cof_json_set_str(o, "url", b->url);
	cof_json_set_str(o, "endpoint", b->target.endpoint);
	cof_json_set_str(o, "region", b->target.region);
	cof_json_set_str(o, "ca", b->target.ca);
	cof_json_set_bool(o, "bare", b->target.insecure_http);
	cof_json_append(user, o);
	return 0;
}

static int tell(struct facts *f, struct cof_diag *diag)
{
	cof_autojson struct cof_json *vaults = cof_json_array(), *buckets = cof_json_array();
	cof_autofree char *origin = escaped(text_of(f->status, "origin"));
	char now[32];
	int r = vault_entries(&f->store, add_vkey, vaults, diag);

	if (r == 0)
		r = bucket_entries(&f->store, add_bucket, buckets, diag);
	if (r < 0)
		return r;
	recovery_tell_shares(f->store.io, cof_json_get(f->status, "recovery"));
	cof_time_text(cof_now(CLOCK_REALTIME), now);
	printf("RUNBOOK of the archive %s\nas of %s, at frame %" PRIu64 "; its store was %s\n\n", origin ? origin : "?", now,
	       number(f->status, "frames"), f->store.path);
	say_safe(f, vaults, buckets);
	say_steps(f, vaults, buckets);
	say_time(f);
	printf("Tried by ........................  on ..............  signature ........................\n");
	return 0;
}

static int take_option(void *user, int option)
{
	return opener_take(user, option);
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct opener_args opener = OPENER_ARGS_INIT;
	struct facts f = {.mounted = false};
	struct cof_diag diag = {""};
	int r, code = options_take(self, argc, argv, take_option, &opener, 1);

	if (code >= 0)
		return code;
	if (*opener_conflict(&opener))
		return misuse("%s", opener_conflict(&opener));
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = facts_gather(argv[optind], &opener, &f, &diag);
	if (r == 0)
		r = tell(&f, &diag);
	facts_done(&f);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_runbook = {
    .name = "runbook",
    .args = "STORE",
    .summary = "on paper: what is in the safe, how it comes back",
    .text = "Prints what somebody needs who has to bring the archive back without this host: what must lie in the safe (ids, keys, "
	    "vaults and copies, what opens the recovery envelope), the steps with their commands, and how long it takes, by the last drill that "
	    "went well (coffer restore --drill) or else by arithmetic, which is said. No secret is in it. A mounted archive is asked "
	    "through its daemon (root only); one that is not mounted is read with its key.\n"
	    "\n"
	    "  coffer runbook /srv/ledger | lpr\n"
	    "\n"
	    "Exit code: 0 printed, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
