/* SPDX-License-Identifier: Apache-2.0 */
/* coffer request, approve, refuse, requests: what weakens protection, asked for and signed. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/people.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define WORD_MAX 65536

enum { OPT_AS, OPT_REASON, OPT_CASE, OPT_EXPIRES, OPT_DIR, OPT_SIGNATURE, OPT_KEY, OPT_ASKED, OPT_EXPIRED, OPT_JSON };

static const struct tool_option request_options[] = {
    [OPT_AS] = {"as", "NAME", "who requests it, as in the people file"},
    [OPT_REASON] = {"reason", "TEXT", "why; stands in the sheet"},
    [OPT_CASE] = {"case", "NAME", "which matter it belongs to; stands in the sheet"},
    [OPT_EXPIRES] = {"expires", "SPAN", "until when it may be approved: 7d (the default), at most 90d"},
    [OPT_DIR] = {"output", "DIR", "where ID.request and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the author's signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_ASKED] = {"asked", NULL, "remove: all that rm asked for on shelves with remove = rm"},
    [OPT_EXPIRED] = {"expired", NULL, "destroy: of what is named only files whose retention is over"},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

static const struct tool_option vote_options[] = {
    {"as", "NAME", "who signs, where the key does not tell (an authority that stands for several)"},
    {"signature", "FILE", "the signature (default: what ssh-keygen makes, FILE.sig)", true},
    {"key", "FILE", "signs with this key by ssh-keygen", true},
    {"json", NULL, "JSON instead of text"},
    {0},
};

static const struct tool_option list_options[] = {
    [0] = {"output", "DIR", "writes the documents there, as ID.request", true, .letter = 'o'},
    [1] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct asking {
	struct people_asking ask;
	const char *as, *reason, *cause, *expires, *dir, *signature, *key;
	bool json, exporting, asked, expired;
};

static int say(const struct asking *a, struct cof_json *o)
{
	if (a->json)
		return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	people_say_request(o);
	return 0;
}

/* ---- submitting ---- */

static int get_signature(const struct asking *a, const char *document, const char *purpose, struct cof_buf *ret,
			 struct cof_diag *diag)
{
	cof_autofree char *beside = NULL;

	if (a->key)
		return people_sign(document, purpose, a->key, ret, diag);
	if (!a->signature && asprintf(&beside, "%s.sig", document) < 0)
		return -ENOMEM;
	return file_load(a->signature ? a->signature : beside, COF_SIGNATURE_MAX, ret, diag);
}

static int submit(struct asking *a, const char *document, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0}, sheet = {0}, signature = {0};
	cof_autofree char *beside = people_sheet_of(document);
	int r = beside ? file_load(document, COF_REQUEST_MAX, &text, diag) : -ENOMEM;

	if (r == 0)
		r = file_load(beside, COF_REQUEST_MAX, &sheet, diag);
	if (r == 0)
		r = get_signature(a, document, COF_SIGN_REQUEST, &signature, diag);
	if (r < 0)
		return r;
	people_set_bytes(args, "document", &text);
	people_set_bytes(args, "sheet", &sheet);
	people_set_bytes(args, "signature", &signature);
	if (a->as)
		cof_json_set_str(args, "principal", a->as);
	r = people_ask_one(&a->ask, "request", args, &o, diag);
	return r == 0 ? say(a, o) : r;
}

/* ---- making ---- */

static void say_next(const char *path)
{
	printf("%s is written, with its sheet. Its author signs:\n"
	       "  ssh-keygen -Y sign -n " COF_SIGN_REQUEST " -f KEY %s\n"
	       "Then: coffer request submit STORE %s\n",
	       path, path, path);
}

static int add_word(struct cof_json *words, const char *word, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int r = word[0] == '@' ? file_load(word + 1, WORD_MAX, &text, diag) : 0;

	if (r == 0 && word[0] == '@' && text.len && memchr(text.data, 0, text.len))
		r = cof_fail(diag, -EUCLEAN, "%s is no text", word + 1);
	if (r == 0)
		cof_json_append(words, cof_json_new_str(word[0] != '@' ? word : text.data ? (const char *)text.data : ""));
	return r;
}

/* A path on the mounted archive, or as it is called in it. */
static const char *in_archive(const struct asking *a, const char *word)
{
	size_t n = a->ask.store.mount ? strlen(a->ask.store.mount) : 0;

	if (n && !strncmp(word, a->ask.store.mount, n) && word[n] == '/')
		return word + n + 1;
	return word;
}

static int make(struct asking *a, const char *action, char **words, int n, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	struct cof_json *list = cof_json_array();
	cof_autofree char *path = NULL;
	int64_t life;
	int r = 0;

	for (int i = 0; i < n && r == 0; i++)
		r = add_word(list, in_archive(a, words[i]), diag);
	cof_json_set(args, "words", list);
	cof_json_set_str(args, "action", action);
	cof_json_set_str(args, "author", a->as ? a->as : "");
	if (a->asked)
		cof_json_set_bool(args, "asked", true);
	if (a->expired)
		cof_json_set_bool(args, "expired", true);
	if (a->reason)
		cof_json_set_str(args, "reason", a->reason);
	if (a->cause)
		cof_json_set_str(args, "case", a->cause);
	if (r == 0 && a->expires) {
		if (cof_span_parse(a->expires, &life) < 0)
			return cof_fail(diag, -EINVAL, "%s is no span, such as 7d", a->expires);
		cof_json_set_int(args, "expires", life);
	}
	if (r == 0)
		r = people_ask_one(&a->ask, "request-make", args, &o, diag);
	if (r == 0)
		r = people_save(o, a->dir, &path, diag);
	if (r < 0)
		return r;
	if (a->key) {
		return submit(a, path, diag);
	}
	if (a->json)
		return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	say_next(path);
	return 0;
}

/* ---- an event that retentions wait for: what coffer retain declare does ---- */

static int add_declared(const struct mount_line *of, const char *path, struct cof_json *words, struct cof_diag *diag)
{
	struct mount_line m = {0};
	cof_autofree char *within = NULL;
	int r = archive_of(path, &m, NULL, diag);

	if (r == 0 && strcmp(m.source, of->source))
		r = cof_fail(diag, -EXDEV, "%s lies in another archive: a request is one archive's", path);
	if (r == 0)
		r = mount_within(&m, path, &within, diag);
	if (r == 0)
		cof_json_append(words, cof_json_new_str(within));
	mount_line_done(&m);
	return r;
}

/* What the document that was written names and leaves out. */
static int tell_declared(const struct declaring *d, const char *path, uint64_t failed, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	cof_autojson struct cof_json *doc = NULL, *o = cof_json_object();
	uint64_t processed = 0, first, count;
	int64_t skipped = 0;
	int r = file_load(path, COF_REQUEST_MAX, &text, diag);

	if (r == 0 && cof_json_parse((const char *)text.data, text.len, &doc) < 0)
		r = cof_fail(diag, -EPROTO, "%s is no request", path);
	if (r < 0)
		return r;
	for (size_t i = 0; cof_request_range(doc, i, &first, &count) == 0; i++)
		processed += count;
	(void)cof_json_int(doc, "skipped", &skipped);
	if (!d->json) {
		printf("event %s: %" PRIu64 " file%s named, %" PRId64 " skipped, %" PRIu64 " failed\n", d->event, processed,
		       plural(processed), skipped, failed);
		return 0;
	}
	cof_json_set_str(o, "event", d->event);
	cof_json_set_str(o, "request", path);
	cof_json_set_uint(o, "processed", processed);
	cof_json_set_int(o, "skipped", skipped);
	cof_json_set_uint(o, "failed", failed);
	return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
}

static int ask_declared(struct asking *a, const struct declaring *d, const char *store, struct cof_json *words, uint64_t failed,
			struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autofree char *path = NULL;
	int r;

	cof_json_set(args, "words", words);
	cof_json_set_str(args, "action", "event-declare");
	cof_json_set_str(args, "author", d->as);
	cof_json_set_bool(args, "waiting", true);
	if (d->reason)
		cof_json_set_str(args, "reason", d->reason);
	r = people_open(&a->ask, store, diag);
	if (r == 0)
		r = people_ask_one(&a->ask, "request-make", args, &o, diag);
	if (r == 0)
		r = people_save(o, a->dir, &path, diag);
	if (r == 0)
		r = tell_declared(d, path, failed, diag);
	if (r == 0 && a->key)
		r = submit(a, path, diag);
	else if (r == 0 && !a->json)
		say_next(path);
	return people_close(&a->ask, r, diag);
}

int request_declare(const struct declaring *d, uint64_t *ret_failed, struct cof_diag *diag)
{
	struct asking a = {.ask = PEOPLE_ASKING_INIT, .as = d->as, .key = d->key, .dir = d->dir ? d->dir : ".", .json = d->json};
	struct cof_json *words = cof_json_array();
	struct mount_line m = {0};
	int r = 0;

	*ret_failed = 0;
	cof_json_append(words, cof_json_new_str(d->event));
	cof_json_append(words, cof_json_new_str(d->happened ? d->happened : "now"));
	for (size_t i = 0; i < d->n_paths; i++) {
		r = m.source ? 0 : archive_of(d->paths[i], &m, NULL, diag);
		if (r == 0)
			r = add_declared(&m, d->paths[i], words, diag);
		if (r < 0) { /* one that is not there hinders no other */
			(void)failure(diag);
			++*ret_failed;
		}
	}
	if (*ret_failed == d->n_paths) {
		cof_json_free(words);
		r = cof_fail(diag, r, "for nothing of it can the event be declared");
	} else {
		r = ask_declared(&a, d, m.source, words, *ret_failed, diag);
	}
	mount_line_done(&m);
	return r;
}

/* ---- approving ---- */

static int vote(struct asking *a, const char *verdict, const char *document, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0}, signature = {0};
	bool approves = !strcmp(verdict, "approve");
	int r = file_load(document, COF_REQUEST_MAX, &text, diag);

	if (r == 0)
		r = get_signature(a, document, approves ? COF_SIGN_APPROVE : COF_SIGN_REFUSE, &signature, diag);
	if (r < 0)
		return r;
	people_set_bytes(args, "document", &text);
	people_set_bytes(args, "signature", &signature);
	cof_json_set_str(args, "verdict", verdict);
	if (a->as)
		cof_json_set_str(args, "principal", a->as);
	r = people_ask_one(&a->ask, "approve", args, &o, diag);
	return r == 0 ? say(a, o) : r;
}

/* ---- listing ---- */

static int list_one(void *user, struct cof_json *o)
{
	struct asking *a = user;
	struct cof_diag diag = {""};
	cof_autofree char *path = NULL;
	const char *id = cof_json_str(o, "id"), *text = cof_json_str(o, "document");
	size_t n = 0, len = text ? strlen(text) : 0;

	if (a->exporting && id && text) {
		cof_autofree uint8_t *data = malloc(len + 1);
		FILE *f;

		if (!data || asprintf(&path, "%s/%.16s.request", a->dir, id) < 0 || cof_unbase64(text, len, data, len, &n) < 0)
			return -ENOMEM;
		f = fopen(path, "we");
		if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
			return cof_fail(&diag, -EIO, "cannot write %s", path);
	}
	return say(a, o);
}

static int list(struct asking *a, const char *id, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();

	if (id)
		cof_json_set_str(args, "id", id);
	cof_json_set_bool(args, "documents", a->exporting);
	return people_ask(&a->ask, "requests", args, list_one, a, diag);
}

/* ---- the verbs ---- */

static int done(struct asking *a, int r, struct cof_diag *diag)
{
	return people_close(&a->ask, r, diag) < 0 ? failure(diag) : EXIT_OK;
}

static int run_request(const struct verb *self, int argc, char **argv)
{
	struct asking a = {.ask = PEOPLE_ASKING_INIT, .dir = "."};
	const char **to[] = {&a.as, &a.reason, &a.cause, &a.expires, &a.dir, &a.signature, &a.key}; /* in the options' order */
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = EXIT_OK;
		if (option == OPT_JSON)
			a.json = true;
		else if (option == OPT_ASKED)
			a.asked = true;
		else if (option == OPT_EXPIRED)
			a.expired = true;
		else if (option < OPT_ASKED)
			*to[option] = optarg;
		else
			code = opener_take(&a.ask.opener, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, -1))
		return EXIT_USAGE;
	if (!strcmp(argv[optind], "submit") && !operands_are(self, argc, argv, 3))
		return EXIT_USAGE;
	if (a.asked && strcmp(argv[optind], "remove") != 0)
		return misuse("--asked goes with remove");
	if (a.expired && strcmp(argv[optind], "destroy") != 0)
		return misuse("--expired goes with destroy");
	if (strcmp(argv[optind], "submit") != 0 && !a.as)
		return misuse("who requests it? --as NAME, as in the people file");
	if (*opener_conflict(&a.ask.opener))
		return misuse("%s", opener_conflict(&a.ask.opener));
	r = people_open(&a.ask, argv[optind + 1], &diag);
	if (r == 0)
		r = !strcmp(argv[optind], "submit")
			? submit(&a, argv[optind + 2], &diag)
			: make(&a, argv[optind], argv + optind + 2, argc - optind - 2, &diag);
	return done(&a, r, &diag);
}

static int run_vote(const struct verb *self, int argc, char **argv)
{
	struct asking a = {.ask = PEOPLE_ASKING_INIT, .dir = "."};
	const char **to[] = {&a.as, &a.signature, &a.key};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = EXIT_OK;
		if (option < (int)COF_COUNT(to))
			*to[option] = optarg;
		else if (option == (int)COF_COUNT(to))
			a.json = true;
		else
			code = opener_take(&a.ask.opener, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 2))
		return EXIT_USAGE;
	if (a.key && a.signature)
		return misuse("--key and --signature exclude one another");
	if (*opener_conflict(&a.ask.opener))
		return misuse("%s", opener_conflict(&a.ask.opener));
	r = people_open(&a.ask, argv[optind], &diag);
	if (r == 0)
		r = vote(&a, self->name, argv[optind + 1], &diag);
	return done(&a, r, &diag);
}

static int run_list(const struct verb *self, int argc, char **argv)
{
	struct asking a = {.ask = PEOPLE_ASKING_INIT, .dir = "."};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = EXIT_OK;
		if (option == 0) {
			a.dir = optarg;
			a.exporting = true;
		} else if (option == 1)
			a.json = true;
		else
			code = opener_take(&a.ask.opener, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 1, 2))
		return EXIT_USAGE;
	if (*opener_conflict(&a.ask.opener))
		return misuse("%s", opener_conflict(&a.ask.opener));
	r = people_open(&a.ask, argv[optind], &diag);
	if (r == 0)
		r = list(&a, argc - optind > 1 ? argv[optind + 1] : NULL, &diag);
	return done(&a, r, &diag);
}

const struct verb verb_request = {
    .name = "request",
    .args = "ACTION|submit STORE [WORD...]",
    .summary = "asks for what weakens protection, for others to approve",
    .text = "Writes ID.request, the document that is signed, and ID.sheet, which says in words what it is about; the "
	    "document has the sheet's SHA-256. The author signs it with ssh-keygen -Y sign -n coffer-request, and submit "
	    "STORE ID.request puts it into the chain. With --key both are done at once.\n"
	    "\n"
	    "Actions:\n"
	    "  shelf-set STORE SHELF KEY=VALUE...   another policy for a shelf\n"
	    "  people-set STORE @FILE [@REVOKED]    other people\n"
	    "  profile-set STORE @FILE              another policy of the archive\n"
	    "  hold-end STORE CASE                  ends a legal hold\n"
	    "  remove STORE PATH...                 takes away what has expired\n"
	    "  destroy STORE PATH...                ends the content of such files for good\n"
	    "  retention-end STORE TIME|now PATH... an earlier end, where the shelf lets it\n"
	    "  event-declare STORE EVENT TIME|now PATH...\n"
	    "                                       what a retention waits for happened\n"
	    "  clock-catch-up STORE [TIME]          retention time up to the wall clock\n"
	    "  escrow-accept STORE SHELF RECORD     what a record of escrow proposes\n"
	    "  escrow-release STORE SHELF KEY RECIPIENT\n"
	    "                                       a key may be recovered, once\n"
	    "A word @FILE stands for the file's content.\n"
	    "\n"
	    "Example:\n"
	    "  coffer request shelf-set STORE audit retention=5y --as alice\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = request_options,
    .more = opener_options,
    .run = run_request,
    .takes_files = true,
    .actions = "submit shelf-set people-set clock-catch-up hold-end remove destroy retention-end event-declare profile-set escrow-accept escrow-release",
};

const struct verb verb_approve = {
    .name = "approve",
    .args = "STORE ID.request",
    .summary = "approves a request; done once its rule is met",
    .text = "Takes the signature of somebody other than the author over the request's document, made with ssh-keygen -Y "
	    "sign -n coffer-approve on any host, or made now with --key. Read the sheet before: sha256sum ID.sheet is the "
	    "document's \"sheet\". When as many persons and such roles as the rule asks for have signed, it is done at once.\n"
	    "\n"
	    "Example:\n"
	    "  ssh-keygen -Y sign -n coffer-approve -f KEY ID.request\n"
	    "  coffer approve STORE ID.request\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = vote_options,
    .more = opener_options,
    .run = run_vote,
    .takes_files = true,
};

const struct verb verb_refuse = {
    .name = "refuse",
    .args = "STORE ID.request",
    .summary = "refuses a request, for good",
    .text = "Takes the signature of somebody in the people file, the author too, over the request's document, made with "
	    "ssh-keygen -Y sign -n coffer-refuse on any host, or made now with --key.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = vote_options,
    .more = opener_options,
    .run = run_vote,
    .takes_files = true,
};

const struct verb verb_requests = {
    .name = "requests",
    .args = "STORE [ID]",
    .summary = "requests: which are open, who signed, what became of them",
    .text = "Lists all requests of the chain, the oldest first, or one. With --output DIR their documents are written there, "
	    "for those who approve elsewhere.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = list_options,
    .more = opener_options,
    .run = run_list,
    .takes_files = true,
};
