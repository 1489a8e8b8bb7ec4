/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow epoch, coffer escrow confirm: an epoch made, and confirmed by its custodians. Needs no archive. */
#include "tools/coffer.h"
#include "tools/escrow-epoch.h"
#include "tools/opener.h"
#include "tools/file.h"
#include "tools/output.h"
#include "tools/share-gather.h"
#include "tools/share-read.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)
#define CONFIRM_BYTES (256u << 10) /* no secret comes here; each page costs time at the start */

static void say_names(const struct cof_json *list)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		printf("%s %s", i ? "," : "", cof_json_value_str(cof_json_at(list, i)));
}

/* ---- epoch ---- */

enum { OPT_SCHEME, OPT_OUTPUT, OPT_NUMBER, OPT_SHEETS, OPT_LANGUAGE, OPT_FORMAT, OPT_JSON, OPT_REHEARSAL, OPT_SHARE_FD = OPT_REHEARSAL, OPT_EPOCH_FD,
       OPT_IDLE };

static const struct tool_option options[] = {
    [OPT_SCHEME] = {"scheme", "FILE", "groups, thresholds and custodians (docs/escrow.md)", true},
    [OPT_OUTPUT] = {"output", "DIR", "the directory that is made", true, 'o'},
    [OPT_NUMBER] = {"number", "N", "its number (1)"},
    [OPT_SHEETS] = {"sheets-fd", "N", "the sheets of custodians on paper go to the open descriptor N, a pipe, as one document"},
    [OPT_LANGUAGE] = {"language", SHEET_LANGUAGES, "of the sheets (en)"},
    [OPT_FORMAT] = {"format", "pdf|html", "of the sheets; pdf takes the program weasyprint (pdf)"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "made to practise, and says so everywhere"},
    {0},
};

struct making {
	struct epoch_asked asked;
	int fds[COF_CUSTODIANS_MAX], passphrase_fd; /* reshare: of the epoch before */
	unsigned n_fds, idle;
	bool json, reshares;
};

static int take_number(struct making *m)
{
	char *end;
	unsigned long v = strtoul(optarg, &end, 10);

	if (*optarg < '1' || *optarg > '9' || *end || v > INT32_MAX)
		return misuse("--number is a number from 1 on");
	m->asked.number = (uint32_t)v;
	return EXIT_OK;
}

static int take(void *user, int option)
{
	struct making *m = user;
	int l;

	switch (option) {
	case OPT_SHEETS:
		return opener_take_fd("--sheets-fd", &m->asked.sheets_fd);
	case OPT_LANGUAGE:
		l = cof_language_find(optarg);
		m->asked.language = l < 0 ? COF_ENGLISH : (enum cof_language)l;
		return l < 0 ? misuse("--language is en, zh-Hant or ko") : EXIT_OK;
	case OPT_FORMAT:
		m->asked.html = !strcmp(optarg, "html");
		return m->asked.html || !strcmp(optarg, "pdf") ? EXIT_OK : misuse("--format is pdf or html");
	case OPT_NUMBER:
		return take_number(m);
	case OPT_REHEARSAL: /* reshare: OPT_SHARE_FD */
		if (!m->reshares) {
			m->asked.rehearsal = true;
			break;
		}
		if (m->n_fds == COF_COUNT(m->fds))
			return misuse("--share-fd: at most %zu", COF_COUNT(m->fds));
		return opener_take_fd("--share-fd", &m->fds[m->n_fds++]);
	case OPT_EPOCH_FD:
		return opener_take_fd("--epoch-passphrase-fd", &m->passphrase_fd);
	case OPT_IDLE:
		return share_take_idle(&m->idle);
	case OPT_JSON:
		m->json = true;
		break;
	default:
		*(option == OPT_SCHEME ? &m->asked.scheme : &m->asked.dir) = optarg;
	}
	return EXIT_OK;
}

static void say_challenge(void *user, const char *name, const char *text)
{
	const char *dir = user;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.age", dir, name);
	printf("  %s: %s%s, and to confirm: coffer share prove --nonce %s\n", name, access(path, F_OK) == 0 ? name : "a sheet",
	       access(path, F_OK) == 0 ? ".age" : "", text);
}

static int tell(const struct making *m, struct cof_json *o)
{
	const struct epoch_asked *a = &m->asked;

	if (m->json)
		return print_json(o, true);
	printf("Epoch %u%s is made, in %s: %s\n", a->number, a->rehearsal ? ", a rehearsal," : "", a->dir, cof_json_str(o, "recipient"));
	cof_json_each(cof_json_get(o, "challenges"), say_challenge, (void *)(uintptr_t)a->dir);
	if (!cof_json_bool(o, "dispersed"))
		printf("It is not dispersed: one person, organisation, place or medium has shares that suffice (--json names it).\n");
	printf("It is valid once each of them has confirmed: coffer escrow confirm --epoch %s/epoch.json NAME NONCE PROOF\n", a->dir);
	return 0;
}

static int make(const struct making *m, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int r = escrow_epoch_make(&m->asked, o, diag);

	return r < 0 ? r : tell(m, o);
}

static int run_epoch(const struct verb *self, int argc, char **argv)
{
	struct making m = {.asked = {.number = 1, .sheets_fd = -1}};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &m, 0);

	if (code >= 0)
		return code;
	if (!m.asked.scheme || !m.asked.dir)
		return misuse("--scheme FILE and --output DIR are wanted");
	if (m.asked.sheets_fd >= 0 && !m.asked.html)
		sheet_warn_swap();
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0 || make(&m, &diag) < 0)
		return failure(&diag);
	return EXIT_OK;
}

const struct verb verb_escrow_epoch = {
    .name = "escrow epoch",
    .args = "",
    .summary = "a new epoch: a key pair in custodians' shares",
    .text = "Makes a key pair whose secret exists as shares only, one for each custodian of the scheme, tried in every minimal "
	    "subset before anything is written. DIR gets NAME.age for each custodian with an age recipient, and last epoch.json, "
	    "which is public; those on paper get sheets (--sheets-fd). The secret and all shares are in this process for that moment: do it on a host that is offline.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow epoch --scheme scheme.ini -o kit --sheets-fd 3 3> >(lp)\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .run = run_epoch,
};

/* ---- reshare ---- */

static const struct tool_option reshare_options[] = {
    [OPT_SCHEME] = {"scheme", "FILE", "the groups, thresholds and custodians of the new shares", true},
    [OPT_OUTPUT] = {"output", "DIR", "the directory that is made", true, 'o'},
    [OPT_NUMBER] = {"number", "N", "its number, another one than before"},
    [OPT_SHEETS] = {"sheets-fd", "N", "the sheets of custodians on paper go to the open descriptor N, a pipe, as one document"},
    [OPT_LANGUAGE] = {"language", SHEET_LANGUAGES, "of the sheets (en)"},
    [OPT_FORMAT] = {"format", "pdf|html", "of the sheets; pdf takes the program weasyprint (pdf)"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    [OPT_SHARE_FD] = {"share-fd", "N", "reads an old share's words from descriptor N instead of the terminal; several"},
    [OPT_EPOCH_FD] = {"epoch-passphrase-fd", "N", "the old epoch's passphrase, where it has one, from descriptor N"},
    [OPT_IDLE] = {"idle", "SECONDS", "ends when nobody typed on the terminal for so long; 0: never (900)"},
    {0},
};

static int reshare(struct making *m, const char *path, struct cof_diag *diag)
{
	struct share_gathering g = {.title = "To make other shares of the same secret", .fds = m->fds, .n_fds = m->n_fds,
				    .passphrase_fd = m->passphrase_fd, .idle = m->idle};
	cof_autobuf struct cof_buf text = {0};
	struct cof_epoch old = {0};
	cof_autojson struct cof_json *o = cof_json_object();
	int r = file_load(path, COF_EPOCH_MAX, &text, diag);

	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &old, diag);
	if (r < 0)
		return r;
	g.epoch = &old;
	r = escrow_epoch_reshare(&m->asked, &g, o, diag);
	if (r == 0)
		r = tell(m, o);
	if (r == 0 && !m->json) {
		printf("The shares of epoch %u still open everything that these do, until", old.number);
		for (unsigned i = 0; i < old.scheme.n_custodians; i++)
			printf("%s %s", i ? "," : "", old.scheme.custodian[i].name);
		printf(" have destroyed theirs.\nWhoever must not open the keys any more is shut out by a new epoch only, and rotation to it.\n");
	}
	cof_epoch_done(&old);
	return r;
}

static int run_reshare(const struct verb *self, int argc, char **argv)
{
	struct making m = {.asked = {.number = 1, .sheets_fd = -1}, .passphrase_fd = -1, .idle = SHARE_IDLE, .reshares = true};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &m, 1);

	if (code >= 0)
		return code;
	if (!m.asked.scheme || !m.asked.dir)
		return misuse("--scheme FILE and --output DIR are wanted");
	if (m.asked.sheets_fd >= 0 && !m.asked.html)
		sheet_warn_swap();
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0 || reshare(&m, argv[optind], &diag) < 0)
		return failure(&diag);
	return EXIT_OK;
}

const struct verb verb_escrow_reshare = {
    .name = "escrow reshare",
    .args = "EPOCH",
    .summary = "other shares of an epoch's secret",
    .text = "For other custodians, places or thresholds, while the keys stay as they are: takes shares of the epoch whose document is "
	    "EPOCH until they suffice, and makes new ones of the same secret for another scheme, as coffer escrow epoch does, with "
	    "a document of their own. Do it on a host that is offline.\n"
	    "\n"
	    "The old shares lose nothing by it: who holds them is shut out only by a new epoch, to which the keys are rotated.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow reshare kit/epoch.json --scheme new.ini --number 2 -o kit2\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = reshare_options,
    .run = run_reshare,
    .takes_files = true,
};

/* ---- confirm ---- */

enum { CONFIRM_EPOCH, CONFIRM_JSON };

static const struct tool_option confirm_options[] = {
    [CONFIRM_EPOCH] = {"epoch", "FILE", "the epoch's document, which gets the proof", true},
    [CONFIRM_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct confirming {
	const char *epoch;
	bool json;
};

static int take_confirm(void *user, int option)
{
	struct confirming *c = user;

	if (option == CONFIRM_EPOCH)
		c->epoch = optarg;
	else
		c->json = true;
	return EXIT_OK;
}

static int confirm(const struct confirming *c, char **words, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int r = escrow_epoch_confirm(c->epoch, words[0], words[1], words[2], o, diag);

	if (r < 0 || c->json)
		return r < 0 ? r : print_json(o, true);
	printf("%s has shown to have the share.", words[0]);
	if (cof_json_bool(o, "valid"))
		printf(" All have: the epoch is valid");
	else
		printf(" Still missing:");
	say_names(cof_json_get(o, "missing"));
	printf(".\n");
	return 0;
}

static int run_confirm(const struct verb *self, int argc, char **argv)
{
	struct confirming c = {.epoch = NULL};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take_confirm, &c, 3);

	if (code >= 0)
		return code;
	if (!c.epoch)
		return misuse("--epoch FILE is wanted");
	if (cof_crypto_init(CONFIRM_BYTES, &diag) < 0 || confirm(&c, argv + optind, &diag) < 0)
		return failure(&diag);
	return EXIT_OK;
}

const struct verb verb_escrow_confirm = {
    .name = "escrow confirm",
    .args = "NAME NONCE PROOF",
    .summary = "a custodian has shown to have the share",
    .text = "Takes into the epoch's document that the custodian NAME has the share: NONCE is what coffer escrow epoch printed for "
	    "that custodian, PROOF what coffer share prove made of it. A proof that does not hold changes nothing. Once all have "
	    "confirmed, the epoch is valid.\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = confirm_options,
    .run = run_confirm,
};
