/* SPDX-License-Identifier: Apache-2.0 */
/* coffer event: what a person did, signed, into the chain. */
#include "fs/rules/catalogue.h"
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/people.h"
#include "tools/when.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define FORM_MAX 4096
#define SHEET_MAX 32768

enum {
	OPT_TYPE, OPT_CATALOGUE, OPT_TIME, OPT_OUTCOME, OPT_OBJECT, OPT_PLACE, OPT_TEXT, OPT_AS, OPT_DIR, OPT_SIGNATURE,
	OPT_KEY, OPT_JSON
};

static const struct tool_option options[] = {
    [OPT_TYPE] = {"type", "NAME", "add: what it is, such as audit, report or drill-emergency (default: human-act)"},
    [OPT_CATALOGUE] = {"catalogue", "ID", "add: its kind of the catalogue, such as A.9.1"},
    [OPT_TIME] = {"time", "TIME", "add: when it happened (default: now)"},
    [OPT_OUTCOME] = {"outcome", "NAME", "add: success (the default), failure or attempt", .choices = "success,failure,attempt"},
    [OPT_OBJECT] = {"object", "TEXT", "add: what it was done to; stands in the sheet"},
    [OPT_PLACE] = {"place", "TEXT", "add: where; stands in the sheet"},
    [OPT_TEXT] = {"text", "TEXT", "add: what happened, in words; stands in the sheet"},
    [OPT_AS] = {"as", "NAME", "add: who signs it, as in the people file"},
    [OPT_DIR] = {"output", "DIR", "add: where ID.event and ID.sheet are written (default: here)", true, .letter = 'o'},
    [OPT_SIGNATURE] = {"signature", "FILE", "submit: the signature (default: what ssh-keygen makes, FILE.sig)", true},
    [OPT_KEY] = {"key", "FILE", "signs with this key by ssh-keygen, and submits at once", true},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct adding {
	struct people_asking ask;
	const char *word[OPT_JSON]; /* by option */
	int64_t time;
	bool json;
};

static void set(struct cof_json *o, const char *key, const char *value)
{
	if (value)
		cof_json_set_str(o, key, value);
}

static void set_random(struct cof_json *o, const char *key)
{
	uint8_t bytes[16];
	char hex[33];

	cof_random(bytes, sizeof(bytes));
	cof_hex(bytes, sizeof(bytes), hex);
	cof_json_set_str(o, key, hex);
}

static void set_second(struct cof_json *o, const char *key, int64_t time)
{
	cof_json_set_time(o, key, time - time % COF_NSEC);
}

static int text_of(const struct cof_json *o, struct cof_buf *ret)
{
	int r = cof_json_canonical(o, ret);

	if (r == 0 && (!ret->len || ret->data[ret->len - 1] != '\n'))
		cof_buf_add(ret, "\n", 1);
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}

static int make_sheet(const struct adding *a, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();

	set(o, "object", a->word[OPT_OBJECT]);
	set(o, "place", a->word[OPT_PLACE]);
	set(o, "text", a->word[OPT_TEXT]);
	set_random(o, "salt");
	return text_of(o, ret);
}

static int make_form(const struct adding *a, const struct cof_buf *sheet, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	uint8_t digest[COF_HASH];
	char hex[65];

	cof_sha256(sheet->data, sheet->len, digest);
	cof_hex(digest, sizeof(digest), hex);
	cof_json_set_str(o, "sheet", hex);
	cof_hex(a->ask.store.conf.id, sizeof(a->ask.store.conf.id), hex);
	cof_json_set_str(o, "archive", hex);
	cof_json_set_str(o, "event", a->word[OPT_TYPE]);
	set(o, "catalogue", a->word[OPT_CATALOGUE]);
	cof_json_set_str(o, "outcome", a->word[OPT_OUTCOME]);
	cof_json_set_str(o, "signer", a->word[OPT_AS]);
	set_second(o, "time", a->time);
	set_second(o, "created", cof_now(CLOCK_REALTIME));
	set_random(o, "nonce");
	cof_json_set_int(o, "version", 1);
	return text_of(o, ret);
}

static int save(const char *dir, const char *id, const char *end, const struct cof_buf *b, char **ret, struct cof_diag *diag)
{
	cof_autoclose int fd = -1;
	int r;

	if (asprintf(ret, "%s/%.16s.%s", dir, id, end) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	fd = open(*ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
	r = fd < 0 ? -errno : cof_write_all(fd, b->data, b->len);
	return r < 0 ? cof_fail(diag, r, "cannot write %s: %s", *ret, strerror(-r)) : 0;
}

/* "…/ID.event" has its sheet beside it, as "…/ID.sheet". */
static char *sheet_of(const char *form)
{
	size_t n = strlen(form), tail = strlen(".event");
	char *path;

	if (n > tail && !strcmp(form + n - tail, ".event"))
		n -= tail;
	return asprintf(&path, "%.*s.sheet", (int)n, form) < 0 ? NULL : path;
}

static int get_signature(const struct adding *a, const char *form, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autofree char *beside = NULL;

	if (a->word[OPT_KEY])
		return people_sign(form, COF_SIGN_EVENT, a->word[OPT_KEY], ret, diag);
	if (!a->word[OPT_SIGNATURE] && asprintf(&beside, "%s.sig", form) < 0)
		return -ENOMEM;
	return file_load(a->word[OPT_SIGNATURE] ? a->word[OPT_SIGNATURE] : beside, COF_SIGNATURE_MAX, ret, diag);
}

static int submit(struct adding *a, const char *form, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0}, sheet = {0}, signature = {0};
	cof_autofree char *beside = sheet_of(form);
	const char *event, *signer;
	int64_t sequence = -1;
	int r = beside ? file_load(form, FORM_MAX, &text, diag) : -ENOMEM;

	if (r == 0)
		r = file_load(beside, SHEET_MAX, &sheet, diag);
	if (r == 0)
		r = get_signature(a, form, &signature, diag);
	if (r < 0)
		return r;
	people_set_bytes(args, "document", &text);
	people_set_bytes(args, "sheet", &sheet);
	people_set_bytes(args, "signature", &signature);
	r = people_ask_one(&a->ask, "event-put", args, &o, diag);
	if (r < 0)
		return r;
	if (a->json)
		return print_json(o, false) == -ENOMEM ? -ENOMEM : 0;
	event = cof_json_str(o, "event");
	signer = cof_json_str(o, "signer");
	(void)cof_json_int(o, "sequence", &sequence);
	printf("%s is on record, signed by %s, as frame %" PRId64 "\n", event ? event : "?", signer ? signer : "?", sequence);
	return 0;
}

static int add(struct adding *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf form = {0}, sheet = {0};
	cof_autofree char *form_path = NULL, *sheet_path = NULL;
	uint8_t id[COF_HASH];
	char hex[65];
	int r = make_sheet(a, &sheet);

	if (r == 0)
		r = make_form(a, &sheet, &form);
	if (r < 0)
		return cof_fail(diag, r, "the form cannot be made: %s", strerror(-r));
	if (form.len > FORM_MAX || sheet.len > SHEET_MAX)
		return cof_fail(diag, -E2BIG, "that is too much text: 32 KiB at most");
	cof_sha256(form.data, form.len, id);
	cof_hex(id, sizeof(id), hex);
	r = save(a->word[OPT_DIR], hex, "event", &form, &form_path, diag);
	if (r == 0)
		r = save(a->word[OPT_DIR], hex, "sheet", &sheet, &sheet_path, diag);
	if (r < 0)
		return r;
	if (a->word[OPT_KEY])
		return submit(a, form_path, diag);
	printf("%s is written, with its sheet. %s signs:\n"
	       "  ssh-keygen -Y sign -n " COF_SIGN_EVENT " -f KEY %s\n"
	       "Then: coffer event submit STORE %s\n",
	       form_path, a->word[OPT_AS], form_path, form_path);
	return 0;
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct adding *a = user;

	if (option == OPT_JSON)
		a->json = true;
	else if (option > OPT_JSON)
		return opener_take(&a->ask.opener, option);
	else
		a->word[option] = optarg;
	if (option == OPT_TIME && when_parse(optarg, &a->time) < 0)
		return misuse("--time takes a time such as 2031-01-02T03:04:05Z");
	if (option == OPT_CATALOGUE && !cof_catalogue_find(optarg))
		return misuse("'%s' is no kind of the catalogue: A.1.1 to A.17.12", optarg);
	if (option == OPT_OUTCOME && !cof_outcome_valid(optarg))
		return misuse("'%s' is no outcome: success, failure, attempt", optarg);
	if (option == OPT_TYPE && !cof_event_type_valid(optarg))
		return misuse("'%s' is no type of event: a-z, 0-9 and -", optarg);
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct adding a = {.ask = PEOPLE_ASKING_INIT,
			   .word = {[OPT_DIR] = ".", [OPT_OUTCOME] = "success", [OPT_TYPE] = "human-act"},
			   .time = cof_now(CLOCK_REALTIME)};
	struct cof_diag diag = {""};
	bool adds;
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&a, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	adds = !strcmp(argv[optind], "add");
	if (!adds && strcmp(argv[optind], "submit") != 0)
		return misuse("'%s' is neither add nor submit", argv[optind]);
	if (!operands_are(self, argc, argv, adds ? 2 : 3))
		return EXIT_USAGE;
	if (adds && (!a.word[OPT_AS] || !a.word[OPT_TEXT]))
		return misuse("who says what? --as NAME, as in the people file, and --text");
	if (*opener_conflict(&a.ask.opener))
		return misuse("%s", opener_conflict(&a.ask.opener));
	r = people_open(&a.ask, argv[optind + 1], &diag);
	if (r == 0)
		r = adds ? add(&a, &diag) : submit(&a, argv[optind + 2], &diag);
	return people_close(&a.ask, r, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_event = {
    .name = "event",
    .args = "add|submit STORE [FILE.event]",
    .summary = "puts what a person did on record, signed",
    .text = "add writes ID.event, the form that is signed, and ID.sheet with object, place and words; the form has the "
	    "sheet's SHA-256. Somebody in the people file signs the form with ssh-keygen -Y sign -n coffer-event, on any "
	    "host, and submit puts it into the chain, once. With --key all is done at once. Types such as audit, report or "
	    "drill-emergency are what coffer due takes as done.\n"
	    "\n"
	    "Example:\n"
	    "  coffer event add STORE --type audit --as carol --text 'yearly audit'\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "add submit",
};
