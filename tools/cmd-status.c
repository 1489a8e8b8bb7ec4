/* SPDX-License-Identifier: Apache-2.0 */
/* coffer status: who an archive is, how far it is, what it lacks. With and without its daemon. */
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/recovery.h"
#include "tools/store.h"
#include "tools/placement.h"
#include "tools/vaults.h"
#include "tools/buckets.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES 65536

enum { OPT_JSON, OPT_ACKNOWLEDGE };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    [OPT_ACKNOWLEDGE] = {"acknowledge", NULL, "puts on record that the faults shown are known"},
    {0},
};

/* ---- asking ---- */

/* The daemon's entry is borrowed: it is read anew from its text. */
static int ask(const struct store *s, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_json *status = NULL;
	int r;

	cof_json_set_str(request, "verb", "status");
	r = store_ask(s, request, store_keep_last, &status, diag);
	if (r == 0 && !status)
		r = cof_fail(diag, -EPROTO, "the daemon said nothing of its status");
	if (r < 0)
		cof_json_free(status);
	else
		*ret = status;
	return r;
}

/* ---- acknowledging ---- */

static int acknowledge(const char *arg, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	autostore struct store s = {0};
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_open(arg, &s, diag);
	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "acknowledge");
	r = store_ask(&s, request, store_keep_last, ret, diag);
	if (r == -ENOTCONN)
		return cof_fail(diag, r,
				"%s is not mounted: an acknowledgement is recorded in the archive, so "
				"mount it first",
				s.path);
	return r;
}

/* What cannot be read of them is told in their place: the rest of the status stands. */
static void add_vaults(const struct store *s, struct cof_json *status)
{
	struct cof_json *vaults = cof_json_array(), *buckets = cof_json_array();
	struct cof_json *alarms;
	struct cof_profile policy;
	struct cof_diag diag = {""};

	if (vault_entries_json(s, vaults, &diag) < 0)
		cof_json_set_str(status, "vaults_error", diag.text);
	else if (bucket_entries_json(s, buckets, &diag) < 0)
		cof_json_set_str(status, "vaults_error", diag.text);
	cof_json_set(status, "vaults", vaults);
	cof_json_set(status, "buckets", buckets);
	alarms = cof_json_array();
	if (cof_store_policy(s->io, &s->conf, &policy) == 0 && placement_judge(s, &policy, alarms, &diag) < 0)
		cof_json_set_str(status, "vaults_error", diag.text);
	cof_json_set(status, "vault_alarms", alarms);
}

static int get_status(const char *arg, struct cof_json **ret, struct cof_diag *diag)
{
	autostore struct store s = {0};
	struct cof_json *status = NULL;
	bool dead, mute;
	int r = cof_crypto_init(SECURE_BYTES, diag); /* signatures are checked */

	if (r == 0)
		r = store_open(arg, &s, diag);
	if (r < 0)
		return r;
	r = ask(&s, &status, diag);
	/* the kernel may still answer for such a mount, from what it remembers */
	dead = r == -ENOTCONN && s.mount;
	mute = r == -ETIMEDOUT; /* stopped, or hangs: then what the store itself says */
	/* -EBUSY: somebody holds it who cannot be asked, an init or a daemon that is just starting
	 */
	if (r == -ENOTCONN || r == -EBUSY || mute) {
		status = cof_json_object();
		r = cof_store_status(s.io, status, diag);
	}
	if (r < 0) {
		cof_json_free(status);
		return r;
	}
	cof_json_set_str(status, "store", s.path);
	add_vaults(&s, status);
	recovery_tell_shares(s.io, cof_json_get(status, "recovery"));
	if (dead)
		cof_json_set_str(status, "dead_mount", s.mount);
	if (mute)
		cof_json_set_bool(status, "no_answer", true);
	*ret = status;
	return 0;
}

/* ---- text ---- */

static void line(const char *name, const char *value)
{
	cof_autofree char *shown = value ? escaped(value) : NULL;

	if (shown)
		printf("%-12s %s\n", name, shown);
}

static void warn(const char *text)
{
	cof_autofree char *shown = escaped(text);

	printf("%sWarning: %s%s\n", colour(YELLOW), shown ? shown : "?", colour(PLAIN));
}

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return cof_json_int(o, key, &v) == 0 ? (uint64_t)v : 0;
}

static void say_mounted(const struct cof_json *o)
{
	const char *point = cof_json_str(o, "mountpoint"), *holder = cof_json_str(o, "held_by");
	const char *transport = cof_json_str(o, "transport");
	cof_autofree char *shown = NULL;

	if (cof_json_bool(o, "mounted")) {
		shown = escaped(point ? point : "?");
		printf("%-12s on %s, by process %" PRIu64 "%s%s\n", "Mounted",
		       shown ? shown : "?", number(o, "pid"),
		       transport && !strcmp(transport, "uring") ? ", over io_uring" : "",
		       cof_json_bool(o, "read_only") ? ", read-only" : "");
	} else if (holder) {
		shown = escaped(holder);
		printf("%-12s no answer, but it is held by %s\n", "Mounted", shown ? shown : "?");
	} else {
		printf("%-12s no%s\n", "Mounted",
		       cof_json_bool(o, "clean") ? "" : "; it was not cleanly unmounted");
	}
}

static void say_log(const struct cof_json *o)
{
	const struct cof_json *cp = cof_json_get(o, "checkpoint");
	const char *root = cof_json_str(cp, "root");
	char size[24], free_text[24], total[24];

	cof_size_text(number(o, "bytes"), size);
	printf("%-12s %" PRIu64 " frames, %s, in %" PRIu64 " segment%s\n", "Log",
	       number(o, "frames"), size, number(o, "segments"), plural(number(o, "segments")));
	if (!cp)
		printf("%-12s none\n", "Checkpoint");
	else if (!root)
		printf("%-12s its signature is not this archive's\n", "Checkpoint");
	else
		printf("%-12s of %" PRIu64 " frames, root %s\n", "Checkpoint", number(cp, "size"),
		       root);
	if (number(o, "total_bytes")) {
		cof_size_text(number(o, "free_bytes"), free_text);
		cof_size_text(number(o, "total_bytes"), total);
		printf("%-12s %s of %s\n", "Free", free_text, total);
	}
}

/* A string as it stands in an array: the wrapper gives an array's strings as JSON text only. */
static void add_text(struct cof_buf *b, struct cof_json *string)
{
	const char *text = cof_json_text(string, false);
	size_t n = text ? strlen(text) : 0;

	if (n >= 2)
		cof_buf_add(b, text + 1, n - 2);
}

static void say_openers(const struct cof_json *o)
{
	const struct cof_json *list = cof_json_get(o, "openers");
	cof_autobuf struct cof_buf b = {0};
	char recovery[RECOVERY_SAID], lockout[OPENER_LOCKOUT_SAID];

	for (size_t i = 0; i < cof_json_count(list); i++) {
		if (i)
			cof_buf_add(&b, ", ", 2);
		add_text(&b, cof_json_at(list, i));
	}
	line("Openers", b.len ? (const char *)b.data : "none");
	recovery_said(cof_json_get(o, "recovery"), recovery);
	line("Recovery", recovery);
	opener_lockout_said(cof_json_get(o, "lockout"), lockout);
	if (*lockout)
		line("Lockout", lockout);
}

/* Up to where the end of this mount cannot be cut off and hidden. */
static void say_mixed(const struct cof_json *m)
{
	const char *time = cof_json_str(m, "time"), *error = cof_json_str(m, "error");
	cof_autofree char *shown = error ? escaped(error) : NULL;

	if (time)
		printf("%-12s last at %s; what was written since can be cut off, unseen, by who takes the host (mixed "
		       "again after %" PRIu64 " s,\n%-12s and at the unmount)\n",
		       "Seal mixed", time, number(m, "interval_ms") / 1000, "");
	if (shown)
		printf("%sWarning: the seal is not mixed: %s%s\n", colour(YELLOW), shown, colour(PLAIN));
}

/* Where the seal's secret lies, and what proves the log's end. */
static void say_seal(const struct cof_json *o)
{
	const struct cof_json *a = cof_json_get(o, "anchor"), *who = cof_json_get(o, "auditor");
	const char *index = cof_json_str(a, "index"), *error = cof_json_str(a, "error");
	cof_autofree char *shown = error ? escaped(error) : NULL;

	if (!cof_json_bool(o, "seal_in_tpm"))
		printf("%-12s its secret is in keys/epoch: whoever copies the store and has an opener can go on "
		       "with it,\n%-12s and nothing proves that the newest frames are there (no anchor)\n",
		       "Seal", "");
	else if (!a)
		printf("%-12s its secret and the anchor are in the TPM\n", "Seal");
	else
		printf("%-12s in the TPM, NV index %s: epoch %" PRIu64 ", lineage %" PRIu64 "\n", "Seal",
		       cof_json_str(a, "seal_index"), number(a, "epoch"), number(a, "lineage"));
	if (index)
		printf("%-12s counter %s at %" PRIu64 "%s; about %" PRIu64 " writes to the TPM's flash so far, "
		       "%s%" PRIu64 " years at this rate\n",
		       "Anchor", index, number(a, "value"), cof_json_bool(a, "pending") ? ", one to come" : "",
		       number(a, "nv_writes"), number(a, "nv_years") >= 1000 ? "more than " : "",
		       number(a, "nv_years"));
	say_mixed(cof_json_get(o, "mixed"));
	if (shown)
		printf("%sWarning: the anchor is not raised: %s%s\n", colour(YELLOW), shown, colour(PLAIN));
	if (!who)
		printf("%-12s nobody holds the secret in seal/auditor.age (coffer seal auditor-renew)\n", "Auditor");
	else if (cof_json_str(who, "error"))
		printf("%-12s the newest seal/auditor file is damaged: put a copy there\n", "Auditor");
	else
		printf("%-12s %" PRIu64 " recipient%s of the secret, newest for lineage %" PRIu64 "\n", "Auditor",
		       number(who, "recipients"), plural(number(who, "recipients")), number(who, "lineage"));
}

static void say_vaults(const struct cof_json *o)
{
	const struct cof_json *list = cof_json_get(o, "vaults");

	for (size_t i = 0; i < cof_json_count(list); i++) {
		const struct cof_json *v = cof_json_at(list, i);
		const char *when = cof_json_str(v, "confirmed"), *place = cof_json_str(v, "place");
		cof_autofree char *shown = escaped(place ? place : "");

		printf("%-12s %s%s%s: ", "Vault", cof_json_str(v, "vault"), shown && *shown ? " at " : "", shown ? shown : "");
		if (cof_json_str(v, "retiring"))
			printf("being retired since %s, and no receipt yet that it destroyed what it had; ", cof_json_str(v, "retiring"));
		if (when)
			printf("confirmed %" PRIu64 " frames at %s, %" PRIu64 " behind", number(v, "size"), when, number(v, "behind"));
		else
			printf("nothing confirmed yet (coffer sync)");
		vault_say_more(v);
	}
	bucket_say(cof_json_get(o, "buckets"));
	if (!cof_json_count(list) && !cof_json_count(cof_json_get(o, "buckets")))
		line("Vaults", "none: no copy elsewhere is known (coffer vault add)");
	line("Vaults", cof_json_str(o, "vaults_error"));
	list = cof_json_get(o, "vault_alarms");
	for (size_t i = 0; i < cof_json_count(list); i++)
		line("Vaults", cof_json_str(cof_json_at(list, i), "text"));
}

/* What no vault in another place has confirmed yet (R10); known of a mounted archive. */
static void say_archived(const struct cof_json *o)
{
	const struct cof_json *a = cof_json_get(o, "archived");
	const char *when = a ? cof_json_str(a, "confirmed") : NULL, *vault = a ? cof_json_str(a, "vault") : NULL;
	cof_autofree char *shown = escaped(vault ? vault : "");

	if (when)
		printf("%-12s the first %" PRIu64 " frames, by %s at %s; %" PRIu64 " wait\n", "Archived", number(a, "frames"), shown ? shown : "?",
		       when, number(a, "waiting"));
	else if (a)
		printf("%-12s nothing: no vault in another place has confirmed any of the %" PRIu64 " frames\n", "Archived", number(a, "waiting"));
}

static void warn_dead(const char *point, const char *store)
{
	cof_autofree char *text = NULL;

	if (asprintf(&text, "the daemon behind %s is gone; mount it again: mount -t coffer %s %s",
		     point, store ? store : "STORE", point) < 0) {
		text = NULL;
		return;
	}
	warn(text);
}

/* What happened, until somebody has said that they know. */
static void say_faults(const struct cof_json *o)
{
	const struct cof_json *list = cof_json_get(o, "faults");
	uint64_t more = number(o, "more_faults");
	size_t n = cof_json_count(list);

	for (size_t i = 0; i < n; i++) {
		const struct cof_json *f = cof_json_at(list, i);
		const char *time = cof_json_str(f, "time"), *text = cof_json_str(f, "text");
		cof_autofree char *shown = escaped(text ? text : "?");

		printf("%sFault%s        %s%s%s\n", colour(YELLOW), colour(PLAIN), time ? time : "",
		       time ? ": " : "", shown ? shown : "?");
	}
	if (more)
		printf("%sFault%s        and %" PRIu64 " more: coffer log tells\n", colour(YELLOW),
		       colour(PLAIN), more);
	if (n || more)
		printf("%-12s coffer status --acknowledge, once you know of %s\n", "",
		       n + more == 1 ? "it" : "them");
}

static void say_warnings(const struct cof_json *o)
{
	const struct cof_json *cp = cof_json_get(o, "checkpoint");
	const char *dead = cof_json_str(o, "dead_mount");

	if (dead)
		warn_dead(dead, cof_json_str(o, "store"));
	if (cof_json_bool(o, "no_answer"))
		warn("its daemon does not answer: it was stopped, or hangs; this is what the store "
		     "on the disk says");
	if (cof_json_get(o, "guard") && !cof_json_bool(cof_json_get(o, "guard"), "seccomp"))
		warn("its daemon runs unconfined: mount it without -o unconfined");
	if (cof_json_bool(o, "weak_opener"))
		warn("a key file opens this archive: whoever copies it can read everything. Keep "
		     "it on "
		     "another medium than the store");
	if (cof_json_str(o, "failure"))
		warn("writing failed, and the archive takes nothing any more until it is mounted "
		     "anew");
	/* The same as a fault tells, unless nothing can be recorded. */
	if (cof_json_bool(o, "mounted") && cof_json_str(o, "opened") &&
	    (cof_json_bool(o, "clean") || cof_json_bool(o, "read_only")))
		warn(cof_json_str(o, "opened"));
	if (cof_json_bool(o, "out_of_space"))
		warn("the disk is full: only refusals and the unmount are still recorded");
	if (number(o, "damaged_reads"))
		warn("reads met damaged frames: run coffer verify");
	if (!cp || !cof_json_bool(cp, "signed"))
		warn("there is no checkpoint with this archive's signature: run coffer verify");
	if (cof_json_bool(o, "trial"))
		warn("this is an archive for trials");
	if (cof_json_bool(o, "test_clock"))
		warn("this archive runs on a clock for tests: its times mean nothing");
}

static void say(const struct cof_json *o)
{
	line("Archive", cof_json_str(o, "store"));
	line("Id", cof_json_str(o, "archive_id"));
	line("Created", cof_json_str(o, "created"));
	say_mounted(o);
	say_log(o);
	if (cof_json_bool(o, "mounted")) {
		printf("%-12s %" PRIu64 " since it was mounted\n", "Refused", number(o, "refused"));
		line("Retention", cof_json_str(o, "retention_time"));
	}
	say_openers(o);
	say_seal(o);
	say_vaults(o);
	say_archived(o);
	line("vkey", cof_json_str(o, "vkey"));
	say_faults(o);
	say_warnings(o);
}

static int run_acknowledge(const char *arg, bool json)
{
	cof_autojson struct cof_json *done = NULL;
	struct cof_diag diag = {""};
	uint64_t faults;

	if (acknowledge(arg, &done, &diag) < 0)
		return failure(&diag);
	faults = number(done, "faults");
	if (json && print_json(done, true) == -ENOMEM) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	if (!json && faults)
		printf("%" PRIu64 " fault%s acknowledged, which is on record now.\n", faults,
		       plural(faults));
	else if (!json)
		printf("There was no fault to acknowledge.\n");
	return EXIT_OK;
}

/* ---- the verb ---- */

static int run(const struct verb *self, int argc, char **argv)
{
	cof_autojson struct cof_json *status = NULL;
	struct cof_diag diag = {""};
	bool json = false, known = false;
	int option;

	while ((option = option_next(self, argc, argv)) >= 0) {
		json |= option == OPT_JSON;
		known |= option == OPT_ACKNOWLEDGE;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	if (known)
		return run_acknowledge(argv[optind], json);
	if (get_status(argv[optind], &status, &diag) < 0)
		return failure(&diag);
	if (!json) {
		say(status);
	} else if (print_json(status, true) == -ENOMEM) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

const struct verb verb_status = {
    .name = "status",
    .args = "STORE|PATH",
    .summary = "what state an archive is in",
    .text =
	"Says who an archive is, whether it is mounted, how far its log is, what opens it, and "
	"what "
	"deserves attention. STORE is the archive's directory; PATH may be anything on a mounted "
	"one. Works with and without a daemon and needs no key.\n"
	"\n"
	"Faults (an end that was no unmount, a failed write, damage that a read met) are shown, "
	"over "
	"remounts, until somebody acknowledges them, which is recorded.\n"
	"\n"
	"Exit code: 0 told, 1 failed, 2 wrong usage. That the archive is sound is for coffer "
	"verify "
	"to say.",
    .options = options,
    .run = run,
    .takes_files = true,
};
