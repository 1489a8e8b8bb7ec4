/* SPDX-License-Identifier: Apache-2.0 */
/* coffer ceremony: keys made, shared anew, recovered and destroyed by several, with a transcript that all sign. */
#include "tools/ceremony-show.h"
#include "tools/ceremony.h"
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/share-read.h"
#include "tools/sheet-print.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)
#define LOOK_BYTES (256u << 10) /* signatures are checked; each page costs time at the start */
#define EXIT_STOPPED 3

enum { OPT_OUTPUT, OPT_PEOPLE, OPT_ARCHIVE, OPT_SCHEME, OPT_EPOCH, OPT_DECRYPT, OPT_TO, OPT_REASON, OPT_PLACE, OPT_WITH, OPT_CUSTODIAN, OPT_NUMBER,
       OPT_REHEARSAL, OPT_LANGUAGE, OPT_SHEETS, OPT_FORMAT, OPT_SHARE_FD, OPT_EPOCH_FD, OPT_IDLE, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_OUTPUT] = {"output", "DIR", "new: the ceremony's directory, which is made", true, 'o'},
    [OPT_PEOPLE] = {"people", "FILE", "new, verify: whose signatures count: the people file of the archive", true},
    [OPT_ARCHIVE] = {"archive", "ID", "new: the archive's id (coffer status), or none: a creation before there is an archive"},
    [OPT_SCHEME] = {"scheme", "FILE", "creation, resharing: groups, thresholds and custodians (docs/escrow.md)", true},
    [OPT_EPOCH] = {"epoch", "FILE", "resharing, recovery, destruction: the epoch's document", true},
    [OPT_DECRYPT] = {"decrypt", "FILE", "recovery: an age file that was encrypted to the epoch", true},
    [OPT_TO] = {"to", "RECIPIENT", "recovery: for whom it is encrypted again (age1...)"},
    [OPT_REASON] = {"reason", "TEXT", "new: why; in the sheet, not in the transcript"},
    [OPT_PLACE] = {"place", "TEXT", "new: where; in the sheet, not in the transcript"},
    [OPT_WITH] = {"with", "NAME", "new: who is expected, several; without it all of the people file but vaults"},
    [OPT_CUSTODIAN] = {"custodian", "NAME", "destruction: whose share, several; without it all"},
    [OPT_NUMBER] = {"number", "N", "creation, resharing: the number of the epoch that is made (1)"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "new: to practise; it says so in everything that is signed, and never counts as real"},
    [OPT_LANGUAGE] = {"language", SHEET_LANGUAGES, "of what is said, and of sheets (en)"},
    [OPT_SHEETS] = {"sheets-fd", "N", "the sheets of custodians on paper go to the open descriptor N, a pipe, as one document"},
    [OPT_FORMAT] = {"format", "pdf|html", "of the sheets; pdf takes the program weasyprint (pdf)"},
    [OPT_SHARE_FD] = {"share-fd", "N", "reads a share's words from descriptor N instead of the terminal; several"},
    [OPT_EPOCH_FD] = {"epoch-passphrase-fd", "N", "the epoch's passphrase, where it has one, from descriptor N"},
    [OPT_IDLE] = {"idle", "SECONDS", "ends the typing of shares when nobody typed for so long; 0: never (900)"},
    [OPT_JSON] = {"json", NULL, "show, list, verify, submit: prints JSON"},
    {0},
};

struct holding {
	struct ceremony_asked asked;
	struct ceremony_session session;
	struct people_asking ask;
	bool json, numbered;
};

/* ---- options ---- */

static int take_number(struct holding *h)
{
	char *end;
	unsigned long v = strtoul(optarg, &end, 10);

	if (*optarg < '1' || *optarg > '9' || *end || v > INT32_MAX)
		return misuse("--number is a number from 1 on");
	h->asked.number = (uint32_t)v;
	h->numbered = true;
	return EXIT_OK;
}

static int take_name(const char *option, const char **list, unsigned *n, unsigned most)
{
	if (*n == most)
		return misuse("--%s: at most %u", option, most);
	list[(*n)++] = optarg;
	return EXIT_OK;
}

static int take_language(struct holding *h)
{
	int l = cof_language_find(optarg);

	if (l < 0)
		return misuse("--language is en, zh-Hant or ko");
	h->session.language = (enum cof_language)l;
	return EXIT_OK;
}

static int take_session(struct holding *h, int option)
{
	struct ceremony_session *s = &h->session;

	switch (option) {
	case OPT_LANGUAGE:
		return take_language(h);
	case OPT_SHEETS:
		return opener_take_fd("--sheets-fd", &s->sheets_fd);
	case OPT_FORMAT:
		s->html = !strcmp(optarg, "html");
		return s->html || !strcmp(optarg, "pdf") ? EXIT_OK : misuse("--format is pdf or html");
	case OPT_SHARE_FD:
		if (s->n_fds == COF_COUNT(s->fds))
			return misuse("--share-fd: at most %zu", COF_COUNT(s->fds));
		return opener_take_fd("--share-fd", &s->fds[s->n_fds++]);
	case OPT_EPOCH_FD:
		return opener_take_fd("--epoch-passphrase-fd", &s->passphrase_fd);
	case OPT_IDLE:
		return share_take_idle(&s->idle);
	default:
		h->json = true;
		return EXIT_OK;
	}
}

static int take(void *user, int option)
{
	struct holding *h = user;
	struct ceremony_asked *a = &h->asked;
	const char **const words[] = {&a->dir, &a->people, &a->archive, &a->scheme, &a->document, &a->input, &a->to, &a->reason, &a->place};

	if (option >= OPTION_MORE)
		return opener_take(&h->ask.opener, option);
	if (option < (int)COF_COUNT(words)) {
		*words[option] = optarg;
		return EXIT_OK;
	}
	switch (option) {
	case OPT_WITH:
		return take_name("with", a->with, &a->n_with, COF_CEREMONY_ROLL);
	case OPT_CUSTODIAN:
		return take_name("custodian", a->custodian, &a->n_custodians, COF_CEREMONY_HOLDERS);
	case OPT_NUMBER:
		return take_number(h);
	case OPT_REHEARSAL:
		a->rehearsal = true;
		return EXIT_OK;
	default:
		return take_session(h, option);
	}
}

/* ---- new, continue ---- */

static int go_on(struct holding *h, const char *dir, struct cof_diag *diag)
{
	struct ceremony w;
	int r;

	if (h->session.sheets_fd >= 0 && !h->session.html)
		sheet_warn_swap();
	r = cof_crypto_init(SECURE_BYTES, diag);
	if (r == 0)
		r = ceremony_open(dir, &w, diag);
	else
		w = (struct ceremony)CEREMONY_INIT;
	h->session.w = &w;
	if (r == 0)
		r = ceremony_run(&h->session, diag);
	ceremony_done(&w);
	h->session.w = NULL;
	return r;
}

static const char *what_misses(const struct ceremony_asked *a)
{
	bool makes = a->kind == COF_CEREMONY_CREATION || a->kind == COF_CEREMONY_RESHARING, opens = a->kind != COF_CEREMONY_CREATION;

	if (!a->dir || !a->people || !a->archive)
		return "new takes --output DIR, --people FILE and --archive ID";
	if (makes != (a->scheme != NULL))
		return "--scheme FILE goes with creation and resharing, and they need it";
	if (opens != (a->document != NULL))
		return "--epoch FILE goes with resharing, recovery and destruction, and they need it";
	if ((a->kind == COF_CEREMONY_RECOVERY) != (a->input != NULL) || (a->input != NULL) != (a->to != NULL))
		return "--decrypt FILE and --to RECIPIENT go with recovery, and it needs both";
	if (a->n_custodians && a->kind != COF_CEREMONY_DESTRUCTION)
		return "--custodian NAME goes with destruction";
	return "";
}

static int check_new(struct holding *h)
{
	struct ceremony_asked *a = &h->asked;
	uint8_t key[COF_AGE_KEY], id[16];

	if (!a->archive || *what_misses(a))
		return misuse("%s", what_misses(a));
	if (strcmp(a->archive, "none") != 0 && (strlen(a->archive) != 32 || cof_unhex(a->archive, 32, id) < 0))
		return misuse("--archive is 32 hex digits, as coffer status says them, or none");
	if (!strcmp(a->archive, "none") && a->kind != COF_CEREMONY_CREATION)
		return misuse("--archive none: only what is made may be for no archive that there is");
	if (a->to && cof_age_recipient_parse(a->to, strlen(a->to), key) < 0)
		return misuse("--to: not an age recipient (age1...)");
	if (h->numbered && a->kind != COF_CEREMONY_CREATION && a->kind != COF_CEREMONY_RESHARING)
		return misuse("--number goes with creation and resharing");
	return EXIT_OK;
}

static int begin(struct holding *h, const char *kind, struct cof_diag *diag)
{
	int code, r;

	r = cof_ceremony_kind_find(kind);
	if (r < 0)
		return misuse("the kinds are creation, resharing, recovery and destruction");
	h->asked.kind = (enum cof_ceremony_kind)r;
	code = check_new(h);
	if (code)
		return code;
	r = cof_crypto_init(SECURE_BYTES, diag);
	if (r == 0)
		r = ceremony_new(&h->asked, diag);
	if (r == 0)
		r = go_on(h, h->asked.dir, diag);
	return r == -ECANCELED ? EXIT_STOPPED : r < 0 ? failure(diag) : EXIT_OK;
}

/* ---- the others ---- */

static int in_archive(struct holding *h, char **words, struct cof_diag *diag)
{
	bool lists = !strcmp(words[0], "list");
	int r;

	if (*opener_conflict(&h->ask.opener))
		return misuse("%s", opener_conflict(&h->ask.opener));
	h->ask.reads = lists;
	r = people_open(&h->ask, words[1], diag);
	if (r == 0)
		r = lists ? ceremony_list(&h->ask, h->json, diag) : ceremony_submit(&h->ask, words[2], h->json, diag);
	r = people_close(&h->ask, r, diag);
	return r < 0 ? failure(diag) : EXIT_OK;
}

static int act(struct holding *h, char **words, struct cof_diag *diag)
{
	int r;

	if (!strcmp(words[0], "new"))
		return begin(h, words[1], diag);
	if (!strcmp(words[0], "list") || !strcmp(words[0], "submit"))
		return in_archive(h, words, diag);
	if (!strcmp(words[0], "continue")) {
		r = go_on(h, words[1], diag);
		return r == -ECANCELED ? EXIT_STOPPED : r < 0 ? failure(diag) : EXIT_OK;
	}
	r = cof_crypto_init(LOOK_BYTES, diag);
	if (r == 0)
		r = !strcmp(words[0], "show") ? ceremony_show(words[1], h->json, diag)
					      : ceremony_verify(words[1], h->asked.people, h->json, diag);
	return r < 0 ? failure(diag) : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	static const char *const actions[] = {"new", "continue", "show", "list", "verify", "submit"};
	struct holding h = {.asked = {.number = 1}, .session = {.sheets_fd = -1, .passphrase_fd = -1, .idle = SHARE_IDLE}, .ask = PEOPLE_ASKING_INIT};
	struct cof_diag diag = {""};
	size_t i = 0;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take(&h, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	while (i < COF_COUNT(actions) && strcmp(actions[i], argv[optind]) != 0)
		i++;
	if (i == COF_COUNT(actions))
		return misuse("'%s' is none of new, continue, show, list, verify, submit", argv[optind]);
	if (!operands_are(self, argc, argv, i == 5 ? 3 : 2))
		return EXIT_USAGE;
	return act(&h, argv + optind, &diag);
}

const struct verb verb_ceremony = {
    .name = "ceremony",
    .args = "ACTION KIND|DIR|STORE [DIR]",
    .summary = "keys made, shared, recovered by several, on record",
    .text = "A ceremony is held on any host, best an offline one; no archive is needed. new KIND begins one: creation of an epoch, "
	    "resharing, recovery of one key, destruction of shares. continue DIR goes on with it, whatever ended it before.\n"
	    "\n"
	    "Each of those present signs that they are there, two confirm each step before it happens, and all sign the end, each with "
	    "plain ssh-keygen -Y sign, on this host or another. What counts is what the transcript tells: lines that are chained by "
	    "their hashes, without a share, a secret or free text.\n"
	    "\n"
	    "verify DIR judges the transcript by a people file; submit STORE DIR puts it on record in the archive, once; list STORE "
	    "tells those that are there. show DIR prints one.\n"
	    "\n"
	    "Example:\n"
	    "  coffer ceremony new creation -o held --people people \\\n"
	    "      --archive none --scheme scheme.ini --rehearsal\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage, 3 stopped before its end.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "new continue show list verify submit",
};
