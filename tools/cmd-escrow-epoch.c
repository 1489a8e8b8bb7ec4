/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow epoch, coffer escrow confirm: an epoch made, and confirmed by its custodians. Needs no archive. */
#include "tools/coffer.h"
#include "tools/escrow-epoch.h"
#include "tools/opener.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

static void say_names(const struct cof_json *list)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		printf("%s %s", i ? "," : "", cof_json_value_str(cof_json_at(list, i)));
}

/* ---- epoch ---- */

enum { OPT_SCHEME, OPT_OUTPUT, OPT_NUMBER, OPT_REHEARSAL, OPT_SHEETS, OPT_LANGUAGE, OPT_FORMAT, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_SCHEME] = {"scheme", "FILE", "groups, thresholds and custodians (docs/escrow.md)", true},
    [OPT_OUTPUT] = {"output", "DIR", "the directory that is made", true, 'o'},
    [OPT_NUMBER] = {"number", "N", "its number (1)"},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "made to practise, and says so everywhere"},
    [OPT_SHEETS] = {"sheets-fd", "N", "the sheets of custodians on paper go to the open descriptor N, a pipe, as one document"},
    [OPT_LANGUAGE] = {"language", SHEET_LANGUAGES, "of the sheets (en)"},
    [OPT_FORMAT] = {"format", "pdf|html", "of the sheets; pdf takes the program weasyprint (pdf)"},
    [OPT_JSON] = {"json", NULL, "prints one JSON object"},
    {0},
};

struct making {
	struct epoch_asked asked;
	bool json;
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
	case OPT_REHEARSAL:
		m->asked.rehearsal = true;
		break;
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

static int make(const struct making *m, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const struct epoch_asked *a = &m->asked;
	int r = escrow_epoch_make(a, o, diag);

	if (r < 0 || m->json)
		return r < 0 ? r : print_json(o, true);
	printf("Epoch %u%s is made, in %s: %s\n", a->number, a->rehearsal ? ", a rehearsal," : "", a->dir, cof_json_str(o, "recipient"));
	cof_json_each(cof_json_get(o, "challenges"), say_challenge, (void *)(uintptr_t)a->dir);
	if (!cof_json_bool(o, "dispersed"))
		printf("It is not dispersed: one person, organisation, place or medium has shares that suffice (--json names it).\n");
	printf("It is valid once each of them has confirmed: coffer escrow confirm --epoch %s/epoch.json NAME NONCE PROOF\n", a->dir);
	return 0;
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
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0 || confirm(&c, argv + optind, &diag) < 0)
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
