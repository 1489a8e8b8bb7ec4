/* SPDX-License-Identifier: Apache-2.0 */
/* coffer destroy: what would be destroyed and what else leads to it, doing what was approved, and the certificate of it. */
#include "tools/coffer.h"
#include "tools/destroy-copies.h"
#include "tools/output.h"
#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { OPT_EXPIRED, OPT_AGREEMENT, OPT_MEDIUM, OPT_TPM_PHYSICAL, OPT_NO_RECORD, OPT_OUTPUT, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_EXPIRED] = {"expired", NULL, "plan: of what is named only files whose retention is over"},
    [OPT_AGREEMENT] = {"agreement", "TEXT", "certificate: where the agreement of secrecy with a third party that takes part is found"},
    [OPT_MEDIUM] = {"medium", "TEXT", "certificate: manufacturer, model, serial and property number of the medium, as they are known"},
    [OPT_TPM_PHYSICAL] = {"tpm-physical", NULL, "says that the TPM is a physical one, which nothing here can see"},
    [OPT_NO_RECORD] = {"no-record", NULL, "certificate: only shown, not put on record"},
    [OPT_OUTPUT] = {"output", "FILE", "certificate: written there too, as JSON", true, .letter = 'o'},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct destroying {
	struct destruction d;
	const char *agreement, *medium, *output;
	bool expired, no_record, json;
	struct cof_json *certificate;
	uint64_t refused;
	struct cof_json *files;
	struct cof_json *spared; /* certificate: of what the request names, the files that are not destroyed */
	struct cof_json *others; /* and those that another request destroyed */
	const char *outcome;	 /* of a request that failed, as it is on record; NULL: all is done */
};

/* ---- plan ---- */

static int plan_one(void *user, struct cof_json *o)
{
	struct destroying *w = user;
	cof_autofree char *path = escaped(ledger_text(o, "path"));
	bool allowed = cof_json_bool(o, "allowed");
	int r = destruction_add_ino(&w->d, (uint64_t)ledger_number(o, "ino"));

	w->refused += !allowed;
	cof_json_append(w->files, cof_json_ref(o));
	if (r < 0 || w->json)
		return r;
	printf("inode %" PRId64 "  %s  %s, %" PRId64 " bytes in %" PRId64 " frames: %s%s%s\n", ledger_number(o, "ino"), path ? path : "",
	       ledger_text(o, "state"), ledger_number(o, "size"), ledger_number(o, "frames"), allowed ? "may be destroyed" : "may not: ",
	       allowed && cof_json_bool(o, "escrow") ? ", an escrowed key" : "", allowed ? "" : ledger_text(o, "reason"));
	return output_broken();
}

static void say_copies(const struct cof_json *copies)
{
	printf("\nWhat else may lead to it:\n");
	for (size_t i = 0; i < cof_json_count(copies); i++) {
		const struct cof_json *o = cof_json_at(copies, i);
		cof_autofree char *name = escaped(ledger_text(o, "name"));

		printf("  %-8s %-9s %s%s\n           %s\n", ledger_text(o, "verdict"), ledger_text(o, "kind"), name ? name : "?",
		       cof_json_bool(o, "open") ? "  (open)" : "", ledger_text(o, "why"));
	}
}

static int plan(struct destroying *w, char **words, int n, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = cof_json_object();
	struct cof_json *list = cof_json_array();
	size_t m = w->d.ask.store.mount ? strlen(w->d.ask.store.mount) : 0;
	int r;

	for (int i = 0; i < n; i++) {
		bool within = m && !strncmp(words[i], w->d.ask.store.mount, m) && words[i][m] == '/';

		cof_json_append(list, cof_json_new_str(within ? words[i] + m + 1 : words[i]));
	}
	cof_json_set(args, "words", list);
	cof_json_set_bool(args, "expired", w->expired);
	r = people_ask(&w->d.ask, "destroy-plan", args, plan_one, w, diag);
	if (r == 0)
		r = destruction_look(&w->d, diag);
	if (r == 0)
		r = destruction_list(&w->d, diag);
	if (r < 0)
		return r;
	if (!w->json) {
		say_copies(w->d.copies);
		printf("\n%s\n", w->refused ? "Some of it may not be destroyed."
					    : "Ask for it: coffer request destroy STORE PATH... --as NAME; two persons, the auditor among them, sign.");
		return 0;
	}
	cof_json_set(o, "files", cof_json_ref(w->files));
	cof_json_set(o, "copies", cof_json_ref(w->d.copies));
	return print_json(o, true);
}

/* ---- run ---- */

static int run_request(struct destroying *w, const char *id, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	int r;

	cof_json_set_str(args, "id", id);
	r = people_ask_one(&w->d.ask, "destroy-run", args, &o, diag);
	if (r < 0)
		return r;
	if (w->json)
		return print_json(o, true);
	printf("The request is %s.%s\n", ledger_text(o, "state"),
	       !strcmp(ledger_text(o, "state"), "done") ? " Its certificate: coffer destroy certificate STORE REQUEST" : "");
	return 0;
}

/* ---- certificate ---- */

static const char *const not_claimed[] = {
	"that a medium was cleared, purged or destroyed: this is partial sanitization, of files",
	"that blocks which were given back hold nothing of before on a medium that does not overwrite in place",
	"anything about copies, openers and shares that are not listed as PASS",
	"anything about plaintext that somebody read or copied before",
};

/* All that it names. */
static int take_named(struct destroying *w, const struct cof_json *doc)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cof_json_count(cof_json_get(doc, "objects")); i++) {
		const struct cof_json *range = cof_json_at(cof_json_get(doc, "objects"), i);
		uint64_t first = 0, count = 0;

		(void)cof_json_value_uint(cof_json_at(range, 0), &first);
		(void)cof_json_value_uint(cof_json_at(range, 1), &count);
		for (uint64_t k = 0; r == 0 && k < count && k < 100000; k++)
			r = destruction_add_ino(&w->d, first + k);
	}
	return r;
}

static int take_one(void *user, struct cof_json *o)
{
	struct destroying *w = user;
	const char *by = ledger_text(o, "destroyed_by");
	struct cof_json *other;

	if (!strcmp(by, w->d.request))
		return destruction_add_ino(&w->d, (uint64_t)ledger_number(o, "ino"));
	other = cof_json_object();
	cof_json_set_uint(other, "inode", (uint64_t)ledger_number(o, "ino"));
	cof_json_set_str(other, *by ? "request" : "state", *by ? by : ledger_text(o, "state"));
	cof_json_append(*by ? w->others : w->spared, other);
	return 0;
}

/* It failed for one of its files: others may be destroyed by it, for good. */
static int take_destroyed(struct destroying *w, const struct cof_json *request, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	int r;

	w->outcome = ledger_text(request, "outcome");
	cof_json_set_str(args, "id", w->d.request);
	r = people_ask(&w->d.ask, "destroy-plan", args, take_one, w, diag);
	if (r == 0 && !w->d.n)
		r = cof_fail(diag, -ENOENT,
			     "the request failed (%s) and nothing was destroyed by it: there is nothing to certify. Where its files shall still go, a new "
			     "request is wanted (coffer request destroy)", w->outcome);
	return r;
}

/* The request as it is on record: whose signatures it has, and which inodes it names. */
static int look_request(struct destroying *w, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *doc = NULL;
	cof_autofree uint8_t *raw = NULL;
	const char *text;
	size_t n = 0;
	int r;

	cof_json_set_str(args, "id", w->d.request);
	cof_json_set_bool(args, "documents", true);
	r = people_ask_one(&w->d.ask, "requests", args, ret, diag);
	text = r == 0 ? ledger_text(*ret, "document") : "";
	if (r < 0)
		return r;
	if (!strcmp(ledger_text(*ret, "action"), "destroy") && !strcmp(ledger_text(*ret, "state"), "failed"))
		return take_destroyed(w, *ret, diag);
	if (strcmp(ledger_text(*ret, "action"), "destroy") || strcmp(ledger_text(*ret, "state"), "done"))
		return cof_fail(diag, -EINVAL, "that request is for %s, and is %s: a certificate is of a destruction that is done, or failed for one of "
					       "its files", ledger_text(*ret, "action"), ledger_text(*ret, "state"));
	raw = malloc(strlen(text) + 1);
	if (!raw || cof_unbase64(text, strlen(text), raw, strlen(text), &n) < 0 || cof_json_parse((char *)raw, n, &doc) < 0)
		return cof_fail(diag, -EPROTO, "the request's document cannot be read");
	return take_named(w, doc);
}

static struct cof_json *verification(const struct destroying *w)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_str(o, "by", "the archive's daemon: what was overwritten was read back");
	cof_json_set_str(o, "date", ledger_text(w->d.done, "time"));
	cof_json_set_str(o, "result", ledger_text(w->d.done, "detail"));
	cof_json_set_uint(o, "frame", w->d.sequence);
	return o;
}

static struct cof_json *fields(const struct destroying *w, const struct cof_json *request)
{
	struct cof_json *o = cof_json_object(), *medium = cof_json_object(), *list = cof_json_array();
	char id[33];

	cof_hex(w->d.ask.store.conf.id, 16, id);
	cof_json_set_str(o, "format", "coffer-destruction/1");
	cof_json_set_str(o, "archive", id);
	cof_json_set_str(o, "request", w->d.request);
	cof_json_set_str(medium, "as_stated", w->medium ? w->medium : "not stated");
	cof_json_set_str(medium, "source", w->d.ask.store.path);
	cof_json_set(o, "medium", medium);
	cof_json_set_str(o, "method", "partial sanitization: cryptographic erase of files, their sealed bytes overwritten");
	cof_json_set_str(o, "technique", "AES-256-GCM; what leads to the keys out of two puncturable trees, root key renewed; zeros written, synced, "
					 "deallocated, read back");
	cof_json_set_str(o, "tool", "coffer " COF_VERSION);
	cof_json_set(o, "verification", verification(w));
	cof_json_set(o, "validation", cof_json_ref(cof_json_get(request, "signed"))); /* author first, then who concurred */
	cof_json_set_str(o, "agreement", w->agreement ? w->agreement : "no third party took part, or none was named");
	for (size_t i = 0; i < w->d.n; i++)
		cof_json_append(list, cof_json_new_uint(w->d.ino[i]));
	cof_json_set(o, "files", list);
	cof_json_set_str(o, "outcome", w->outcome ? "failed" : "done");
	if (w->outcome) {
		cof_json_set_str(o, "reason", w->outcome);
		cof_json_set(o, "not_destroyed", cof_json_ref(w->spared));
		cof_json_set(o, "destroyed_by_others", cof_json_ref(w->others));
	}
	cof_json_set_uint(o, "escrowed_keys", w->d.keys);
	cof_json_set(o, "copies", cof_json_ref(w->d.copies));
	list = cof_json_array();
	for (size_t i = 0; i < COF_COUNT(not_claimed); i++)
		cof_json_append(list, cof_json_new_str(not_claimed[i]));
	cof_json_set(o, "not_claimed", list);
	return o;
}

/* What goes on record beside the digest: enough to see what is open without the file. */
static struct cof_json *summary(const struct destroying *w, const char *digest)
{
	struct cof_json *o = cof_json_object(), *open = cof_json_array();
	size_t unknown = 0, failed = 0;

	for (size_t i = 0; i < cof_json_count(w->d.copies); i++) {
		const struct cof_json *c = cof_json_at(w->d.copies, i);
		char name[300];

		unknown += !strcmp(ledger_text(c, "verdict"), "UNKNOWN");
		failed += !strcmp(ledger_text(c, "verdict"), "FAILED");
		snprintf(name, sizeof(name), "%s %.200s", ledger_text(c, "kind"), ledger_text(c, "name"));
		if (cof_json_bool(c, "open") && cof_json_count(open) < 100)
			cof_json_append(open, cof_json_new_str(name));
	}
	cof_json_set_str(o, "sha256", digest);
	cof_json_set_uint(o, "files", w->d.n);
	if (w->outcome)
		cof_json_set_uint(o, "not_destroyed", cof_json_count(w->spared));
	cof_json_set_uint(o, "escrowed_keys", w->d.keys);
	cof_json_set_uint(o, "unknown", unknown);
	cof_json_set_uint(o, "failed", failed);
	cof_json_set(o, "open", open);
	cof_json_set_bool(o, "agreement", w->agreement != NULL);
	return o;
}

static int put_on_record(struct destroying *w, const char *digest, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *form = summary(w, digest), *o = NULL;
	cof_autobuf struct cof_buf text = {0};
	int r = cof_json_canonical(form, &text);

	cof_buf_add(&text, "", 1);
	if (r == 0 && text.failed)
		r = -ENOMEM;
	cof_json_set_str(args, "id", w->d.request);
	cof_json_set_str(args, "sha256", digest);
	cof_json_set_str(args, "form", r == 0 ? (const char *)text.data : "");
	return r < 0 ? r : people_ask_one(&w->d.ask, "destroy-certificate", args, &o, diag);
}

static int write_file(const char *path, const struct cof_buf *text, struct cof_diag *diag)
{
	FILE *f = fopen(path, "wxe");
	bool ok = f && fwrite(text->data, 1, text->len, f) == text->len;

	if (f && fclose(f) != 0)
		ok = false;
	return ok ? 0 : cof_fail(diag, -EIO, "cannot write %s: %s", path, strerror(errno));
}

static void say_some(const struct cof_json *list, const char *word)
{
	size_t n = cof_json_count(list);

	printf("\n ");
	for (size_t i = 0; i < n && i < 20; i++)
		printf(" inode %" PRId64 " (%.64s)%s", ledger_number(cof_json_at(list, i), "inode"), ledger_text(cof_json_at(list, i), word),
		       i + 1 < n ? "," : "");
	printf("%s\n", n > 20 ? " ..." : "");
}

static void say_spared(const struct destroying *w)
{
	cof_autofree char *why = escaped(w->outcome);
	size_t n = cof_json_count(w->spared), others = cof_json_count(w->others);

	printf("  the request failed: %s\n", why ? why : "?");
	if (n) {
		printf("  NOT DESTROYED: %zu of the %zu files that it names:", n, w->d.n + n + others);
		say_some(w->spared, "state");
	}
	if (others) {
		printf("  destroyed by another request, and certified with that: %zu of the files that it names:", others);
		say_some(w->others, "request");
	}
}

static void say_certificate(const struct destroying *w, const char *digest)
{
	const struct cof_json *all = cof_json_get(w->certificate, "validation");

	printf("Certificate of destruction of %zu files, request %s\n", w->d.n, w->d.request);
	if (w->outcome)
		say_spared(w);
	printf("  what was done: %s\n  when: %s, frame %" PRIu64 "\n", ledger_text(w->d.done, "detail"), ledger_text(w->d.done, "time"),
	       w->d.sequence);
	printf("  method: %s\n  asked for and concurred:", ledger_text(w->certificate, "method"));
	for (size_t i = 0; i < cof_json_count(all); i++)
		printf("%s %s (%s)", i ? "," : "", ledger_text(cof_json_at(all, i), "name"), ledger_text(cof_json_at(all, i), "roles"));
	printf("\n  agreement: %s\n", ledger_text(w->certificate, "agreement"));
	say_copies(w->d.copies);
	printf("\nNot claimed:\n");
	for (size_t i = 0; i < COF_COUNT(not_claimed); i++)
		printf("  %s\n", not_claimed[i]);
	printf("\nSHA-256 %s%s\n", digest, w->no_record ? ", not on record" : ", on record");
}

static int certificate(struct destroying *w, const char *id, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = NULL;
	cof_autobuf struct cof_buf text = {0};
	uint8_t hash[COF_HASH];
	char digest[65];
	int r;

	w->d.request = id;
	r = look_request(w, &request, diag);
	if (r == 0)
		r = destruction_look(&w->d, diag);
	if (r == 0 && !w->d.done)
		r = cof_fail(diag, -ENOENT, "that the request's files were destroyed is not on record");
	if (r == 0)
		r = destruction_list(&w->d, diag);
	if (r < 0)
		return r;
	w->certificate = fields(w, request);
	r = cof_json_canonical(w->certificate, &text);
	if (r < 0)
		return cof_fail(diag, r, "the certificate cannot be written: %s", strerror(-r));
	cof_sha256(text.data, text.len, hash);
	cof_hex(hash, sizeof(hash), digest);
	if (w->output)
		r = write_file(w->output, &text, diag);
	if (r == 0 && !w->no_record)
		r = put_on_record(w, digest, diag);
	if (r < 0)
		return r;
	if (w->json)
		fwrite(text.data, 1, text.len, stdout);
	else
		say_certificate(w, digest);
	return output_broken();
}

/* ---- the verb ---- */

static int take(void *user, int option)
{
	struct destroying *w = user;

	switch (option) {
	case OPT_EXPIRED:
		w->expired = true;
		break;
	case OPT_AGREEMENT:
		w->agreement = optarg;
		break;
	case OPT_MEDIUM:
		w->medium = optarg;
		break;
	case OPT_TPM_PHYSICAL:
		w->d.tpm_physical = true;
		break;
	case OPT_NO_RECORD:
		w->no_record = true;
		break;
	case OPT_OUTPUT:
		w->output = optarg;
		break;
	case OPT_JSON:
		w->json = true;
		break;
	default:
		return opener_take(&w->d.ask.opener, option);
	}
	return EXIT_OK;
}

static int act(struct destroying *w, const char *action, char **words, int n, struct cof_diag *diag)
{
	int r;

	w->files = cof_json_array();
	w->spared = cof_json_array();
	w->others = cof_json_array();
	w->d.ask.reads = !strcmp(action, "plan") || (!strcmp(action, "certificate") && w->no_record);
	r = people_open(&w->d.ask, words[0], diag);
	if (r == 0)
		r = !strcmp(action, "plan")  ? plan(w, words + 1, n - 1, diag)
		    : !strcmp(action, "run") ? run_request(w, words[1], diag)
					     : certificate(w, words[1], diag);
	r = people_close(&w->d.ask, r, diag);
	cof_json_free(w->certificate);
	cof_json_free(w->files);
	cof_json_free(w->spared);
	cof_json_free(w->others);
	destruction_done(&w->d);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct destroying w = {.d = {.ask = PEOPLE_ASKING_INIT}};
	struct cof_diag diag = {""};
	const char *action;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take(&w, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 3, -1))
		return EXIT_USAGE;
	action = argv[optind];
	if (strcmp(action, "plan") && strcmp(action, "run") && strcmp(action, "certificate"))
		return misuse("the action is plan, run or certificate");
	if (strcmp(action, "plan") && !operands_are(self, argc, argv, 3))
		return EXIT_USAGE;
	if (*opener_conflict(&w.d.ask.opener))
		return misuse("%s", opener_conflict(&w.d.ask.opener));
	return act(&w, action, argv + optind + 1, argc - optind - 1, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_destroy = {
    .name = "destroy",
    .args = "ACTION STORE PATH...|REQUEST",
    .summary = "content destroyed for good: plan, run, certificate",
    .text = "plan says of each file whether it may be destroyed and why not, and lists what else may lead to its content: openers of the "
	    "root key, the recovery envelope, vaults, buckets, and of escrowed keys the shares of custodians. Nothing happens. What is asked "
	    "for by coffer request destroy and approved is done at once; run goes on with a REQUEST that was cut short, as the next mount "
	    "does. certificate is that of a REQUEST that is done, or failed for one of its files and destroyed others, which it says: what was done and verified, who asked for it and concurred, each copy and "
	    "opener with PASS, FAILED or UNKNOWN, and what is not claimed; its SHA-256 goes on record with what is open.\n"
	    "\n"
	    "Example:\n"
	    "  coffer destroy plan STORE audit/2019 --expired\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "plan run certificate",
};
