/* SPDX-License-Identifier: Apache-2.0 */
/* coffer escrow sheet: a custodian's share on paper. Needs no archive. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/opener.h"
#include "tools/recovery.h"
#include "tools/share-read.h"
#include "tools/sheet-print.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_EPOCH, OPT_SHARE, OPT_IDENTITY, OPT_SHARE_FD, OPT_NONCE, OPT_LANGUAGE, OPT_FORMAT, OPT_OUTPUT };

static const struct tool_option options[] = {
    [OPT_EPOCH] = {"epoch", "FILE", "the epoch's document", true},
    [OPT_SHARE] = {"share", "FILE", "the custodian's age file, NAME.age; takes --identity", true},
    [OPT_IDENTITY] = {"identity", "FILE", "the age identity that opens it", true},
    [OPT_SHARE_FD] = {"share-fd", "N", "reads the words from the open descriptor N instead of the terminal"},
    [OPT_NONCE] = {"nonce", "TEXT", "what the custodian confirms with (confirm-...), as coffer escrow epoch gave it: printed too"},
    [OPT_LANGUAGE] = {"language", SHEET_LANGUAGES, "of what is printed (en)"},
    [OPT_FORMAT] = {"format", "pdf|html", "pdf takes the program weasyprint (pdf)"},
    [OPT_OUTPUT] = {"output", "FILE", "a new file, mode 0400, with the words in clear: only where that disk may have them", true, 'o'},
    {0},
};

struct sheet {
	const char *epoch_path, *share, *identity, *nonce, *output, *name;
	int share_fd;
	enum cof_language language;
	bool html;
	struct cof_epoch epoch;
	char *words; /* secure memory */
};

static int take(void *user, int option)
{
	struct sheet *s = user;
	int l;

	switch (option) {
	case OPT_SHARE_FD:
		return opener_take_fd("--share-fd", &s->share_fd);
	case OPT_LANGUAGE:
		l = cof_language_find(optarg);
		s->language = l < 0 ? COF_ENGLISH : (enum cof_language)l;
		return l < 0 ? misuse("--language is en, zh-Hant or ko") : EXIT_OK;
	case OPT_FORMAT:
		s->html = !strcmp(optarg, "html");
		return s->html || !strcmp(optarg, "pdf") ? EXIT_OK : misuse("--format is pdf or html");
	default:
		*(option == OPT_EPOCH	   ? &s->epoch_path
		  : option == OPT_SHARE	   ? &s->share
		  : option == OPT_IDENTITY ? &s->identity
		  : option == OPT_NONCE	   ? &s->nonce
					   : &s->output) = optarg;
		return EXIT_OK;
	}
}

static int conflict(const struct sheet *s)
{
	if (!s->epoch_path)
		return misuse("--epoch FILE is wanted");
	if (!s->share != !s->identity)
		return misuse("--share and --identity go together");
	if (s->share && s->share_fd >= 0)
		return misuse("--share and --share-fd exclude one another");
	if (s->nonce && !cof_proof_challenge_ok(s->nonce, COF_PROOF_CONFIRM))
		return misuse("--nonce: that is not what was given: confirm, and six times four letters and digits, with '-' between");
	return EXIT_OK;
}

/* ---- the share ---- */

static int open_share(struct sheet *s, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf file = {0};
	uint8_t(*keys)[COF_AGE_KEY] = NULL;
	void *plain = NULL;
	size_t n_keys = 0, n = 0;
	int r = identities_load(s->identity, NULL, &keys, &n_keys, diag);

	if (r == 0)
		r = file_load(s->share, COF_AGE_FILE_MAX, &file, diag);
	if (r == 0) {
		r = cof_age_decrypt((const uint8_t(*)[COF_AGE_KEY])keys, n_keys, file.data, file.len, &plain, &n);
		if (r < 0)
			(void)cof_fail(diag, r, "%s: %s", s->share,
				       r == -EKEYREJECTED ? "it was not encrypted to this identity" : "it is no whole age file");
	}
	if (r == 0 && n >= SHARE_ROOM)
		r = cof_fail(diag, -EUCLEAN, "%s holds no share", s->share);
	if (r == 0) {
		memcpy(s->words, plain, n);
		s->words[n] = 0;
	}
	cof_secret_free(plain);
	cof_secret_free(keys);
	return r;
}

/* The share, which has to be that of the custodian named; in words whatever way it was typed. */
static int get_share(struct sheet *s, unsigned holder, struct cof_diag *diag)
{
	cof_autosecret struct cof_slip39_share *share = cof_secret_alloc(sizeof(*share));
	struct cof_epoch_session *session = NULL;
	enum cof_slip39_added added;
	unsigned whose = 0;
	int r = share ? 0 : -ENOMEM;

	if (r == 0)
		r = s->share ? open_share(s, diag) : share_read(s->share_fd, "Share", SHARE_IDLE, s->words, diag);
	if (r == 0)
		r = cof_epoch_session_new(&s->epoch, &session);
	if (r == 0)
		r = cof_epoch_session_add(session, s->words, strlen(s->words), &added, &whose, diag);
	cof_epoch_session_free(session);
	if (r == 0 && whose != holder)
		r = cof_fail(diag, -EKEYREJECTED, "it is the share of %s, not of %s", s->epoch.scheme.custodian[whose].name, s->name);
	if (r == 0)
		r = cof_slip39_read(s->words, strlen(s->words), share, diag);
	cof_wipe(s->words, SHARE_ROOM);
	return r == 0 ? cof_slip39_write(share, s->words) : r;
}

/* ---- all of it ---- */

static int print(const struct sheet *s, unsigned holder, struct cof_diag *diag)
{
	struct cof_sheet one = {.holder = holder, .words = s->words, .challenge = s->nonce};
	struct sheet_job job = {.epoch = &s->epoch, .sheets = &one, .n = 1, .language = s->language, .html = s->html, .fd = STDOUT_FILENO};
	cof_autoclose int fd = -1;
	int r;

	if (!s->output)
		return sheet_print(&job, diag);
	r = secret_file_make(s->output, "sheet", &fd, diag);
	if (r < 0)
		return r;
	job.fd = fd;
	r = sheet_print(&job, diag);
	if (r == 0 && secret_file_sync(fd, s->output) < 0)
		r = cof_fail(diag, -EIO, "cannot write %s", s->output);
	if (r < 0)
		unlink(s->output);
	return r;
}

static int act(struct sheet *s, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	int holder, r = s->output ? 0 : sheet_fd_check(STDOUT_FILENO, "standard output", diag);

	if (r == 0)
		r = file_load(s->epoch_path, COF_EPOCH_MAX, &text, diag);
	if (r == 0)
		r = cof_epoch_parse(text.data ? (char *)text.data : "", text.len, &s->epoch, diag);
	if (r < 0)
		return r;
	holder = cof_epoch_find(&s->epoch, s->name);
	if (holder < 0)
		return cof_fail(diag, holder, "no custodian of epoch %u is called %.64s", s->epoch.number, s->name);
	s->words = cof_secret_alloc(SHARE_ROOM);
	if (!s->words)
		return cof_fail(diag, -ENOMEM, "no secure memory is left");
	if (!s->html)
		sheet_warn_swap();
	r = get_share(s, (unsigned)holder, diag);
	return r == 0 ? print(s, (unsigned)holder, diag) : r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct sheet s = {.share_fd = -1};
	struct cof_diag diag = {""};
	int code = options_take(self, argc, argv, take, &s, 1), r;

	if (code >= 0)
		return code;
	code = conflict(&s);
	if (code)
		return code;
	s.name = argv[optind];
	r = cof_crypto_init(SECURE_BYTES, &diag);
	if (r == 0)
		r = act(&s, &diag);
	if (r < 0 && !*diag.text)
		(void)cof_fail(&diag, r, "%s", r == -ECANCELED ? "no share was given" : strerror(-r));
	cof_secret_free(s.words);
	cof_epoch_done(&s.epoch);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_escrow_sheet = {
    .name = "escrow sheet",
    .args = "NAME",
    .summary = "a custodian's share on paper",
    .text = "One page for the custodian NAME: the words with their numbers, the same as a QR code, the share's fingerprint, what to do, "
	    "whom to call. The share comes from the custodian's age file, a descriptor or the terminal, and has to be the one "
	    "that was given to NAME.\n"
	    "\n"
	    "The page goes to standard output, which has to be a pipe: words in clear are not left on a disk unless --output asks for "
	    "it. It is made in a process with locked memory that ends after; weasyprint's memory is not locked, so switch swap "
	    "off, on a host that is offline.\n"
	    "\n"
	    "Example:\n"
	    "  coffer escrow sheet alice --epoch epoch.json --share alice.age \\\n"
	    "      --identity alice.key --language ko | lp\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
};
