/* SPDX-License-Identifier: Apache-2.0 */
/* coffer find: files of a mounted archive by state, retention, time, name and size; certificates by what they say. */
#include "tools/coffer.h"
#include "tools/find-certs.h"
#include "tools/item.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/when.h"

#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>

enum {
	OPT_STATE,
	OPT_EXPIRES_BEFORE,
	OPT_EXPIRES_AFTER,
	OPT_COMMITTED_BEFORE,
	OPT_COMMITTED_AFTER,
	OPT_NAME,
	OPT_LARGER,
	OPT_SMALLER,
	OPT_CERTIFICATES,
	OPT_SERIAL,
	OPT_SUBJECT,
	OPT_ISSUER,
	OPT_FINGERPRINT,
	OPT_KIND,
	OPT_AT,
	OPT_ZERO,
	OPT_JSON,
};

static const struct tool_option options[] = {
    [OPT_STATE] = {"state", "STATE", "open, committed or expired", .choices = "open,committed,expired"},
    [OPT_EXPIRES_BEFORE] =
	{"expires-before", "DATE",
	 "committed, and kept until a time before DATE (never those that are kept "
	 "for ever)"},
    [OPT_EXPIRES_AFTER] = {"expires-after", "DATE",
			   "committed, and kept until DATE or later, or for ever"},
    [OPT_COMMITTED_BEFORE] = {"committed-before", "DATE", "committed before DATE"},
    [OPT_COMMITTED_AFTER] = {"committed-after", "DATE", "committed at DATE or later"},
    [OPT_NAME] = {"name", "GLOB", "the last part of the name matches, as in *.log"},
    [OPT_LARGER] = {"larger", "N", "more than N bytes (64M, 1G)"},
    [OPT_SMALLER] = {"smaller", "N", "less than N bytes"},
    [OPT_CERTIFICATES] = {"certificates", NULL,
			  "look for certificates, CRLs and requests; with it, or one of those below, the dates of --expires-before and "
			  "--expires-after are those when they end, and PATH may be a STORE that is not mounted"},
    [OPT_SERIAL] = {"serial", "HEX", "with this serial number, or of a CRL this number"},
    [OPT_SUBJECT] = {"subject", "TEXT", "TEXT is a part of the subject's name; case does not count"},
    [OPT_ISSUER] = {"issuer", "TEXT", "TEXT is a part of the issuer's name"},
    [OPT_FINGERPRINT] = {"fingerprint", "HEX", "the SHA-256 of the certificate"},
    [OPT_KIND] = {"kind", "KIND", "certificate, crl or request", .choices = "certificate,crl,request"},
    [OPT_AT] = {"at", "SIZE", "as it was when the log had SIZE frames"},
    [OPT_ZERO] = {"zero", NULL, "names unescaped, each ended by a zero byte, for xargs -0",
		  .letter = '0'},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of names"},
    {0},
};

struct finding {
	const char *state, *glob;
	int64_t date[OPT_COMMITTED_AFTER + 1]; /* by option; COF_RETAIN_NONE: not asked */
	uint64_t larger, smaller;
	bool has_larger, has_smaller, zero, json;
	bool of_files, of_certs; /* something was asked that only these have */
	struct cert_finding certs;
	int failed;
};

static bool in_time(const struct finding *f, int before, int after, const char *text)
{
	int64_t t;

	if (f->date[before] == COF_RETAIN_NONE && f->date[after] == COF_RETAIN_NONE)
		return true;
	if (!*text || cof_retain_parse(text, strlen(text), &t) < 0)
		return false; /* "none": it does not end */
	return (f->date[before] == COF_RETAIN_NONE || t < f->date[before]) &&
	       (f->date[after] == COF_RETAIN_NONE || t >= f->date[after]);
}

static bool matches(const struct finding *f, const struct item *i)
{
	char committed[ITEM_ATTR] = "";
	uint64_t size = (uint64_t)i->st.st_size;

	if (!S_ISREG(i->st.st_mode))
		return false;
	if ((f->state && strcmp(f->state, i->state)) ||
	    (f->glob && fnmatch(f->glob, item_base(i), 0)) ||
	    (f->has_larger && size <= f->larger) || (f->has_smaller && size >= f->smaller) ||
	    !in_time(f, OPT_EXPIRES_BEFORE, OPT_EXPIRES_AFTER, i->until))
		return false;
	if (f->date[OPT_COMMITTED_BEFORE] != COF_RETAIN_NONE ||
	    f->date[OPT_COMMITTED_AFTER] != COF_RETAIN_NONE)
		item_attr(i, "committed_at", committed);
	return in_time(f, OPT_COMMITTED_BEFORE, OPT_COMMITTED_AFTER, committed);
}

static int show(void *user, const struct item *i)
{
	struct finding *f = user;

	if (!matches(f, i))
		return 0;
	if (f->json) {
		cof_autojson struct cof_json *o = item_json(i, false);

		if (print_json(o, false) == -ENOMEM)
			return -ENOMEM;
	} else if (f->zero) {
		fwrite(i->path, 1, strlen(i->path) + 1, stdout);
	} else {
		cof_autofree char *shown = escaped(i->path);

		if (!shown)
			return -ENOMEM;
		puts(shown);
	}
	return output_broken();
}

static void failed(void *user, const char *path, int err)
{
	struct finding *f = user;
	cof_autofree char *shown = escaped(path);

	complain("cannot read %s: %s", shown ? shown : "?", strerror(-err));
	f->failed = err;
}

/* ---- the verb ---- */

static int take_cert(struct finding *f, int option)
{
	char *end;

	f->of_certs = true;
	if (option == OPT_CERTIFICATES)
		return EXIT_OK;
	if (option != OPT_AT) {
		cof_json_set_str(f->certs.args, options[option].name, optarg);
		return EXIT_OK;
	}
	errno = 0;
	if (*optarg < '1' || *optarg > '9' || strtoll(optarg, &end, 10) < 1 || errno || *end)
		return misuse("--at takes a number of frames, from 1 on");
	cof_json_set_uint(f->certs.args, "at", (uint64_t)strtoll(optarg, NULL, 10));
	return EXIT_OK;
}

static int take_option(struct finding *f, int option)
{
	if (option >= OPTION_MORE)
		return opener_take(&f->certs.source.opener, option);
	if (option >= OPT_CERTIFICATES && option <= OPT_AT)
		return take_cert(f, option);
	f->of_files |= option != OPT_ZERO && option != OPT_JSON && option != OPT_EXPIRES_BEFORE && option != OPT_EXPIRES_AFTER;
	switch (option) {
	case OPT_STATE:
		if (strcmp(optarg, "open") && strcmp(optarg, "committed") &&
		    strcmp(optarg, "expired"))
			return misuse("--state takes open, committed or expired");
		f->state = optarg;
		break;
	case OPT_NAME:
		f->glob = optarg;
		break;
	case OPT_LARGER:
		if (cof_size_parse(optarg, &f->larger) < 0)
			return misuse("--larger takes a size such as 64M");
		f->has_larger = true;
		break;
	case OPT_SMALLER:
		if (cof_size_parse(optarg, &f->smaller) < 0)
			return misuse("--smaller takes a size such as 64M");
		f->has_smaller = true;
		break;
	case OPT_ZERO:
		f->zero = true;
		break;
	case OPT_JSON:
		f->json = true;
		break;
	default:
		if (when_parse(optarg, &f->date[option]) < 0)
			return misuse(
			    "--%s takes a date: 2031-01-02, or 2031-01-02T03:04:05Z (UTC)",
			    options[option].name);
		break;
	}
	return EXIT_OK;
}

static int find(struct finding *f, const char *path, struct cof_diag *diag)
{
	const struct walk w = {.recursive = true, .fn = show, .failed = failed, .user = f};
	struct mount_line m = {0};
	int r = archive_of(path, &m, NULL, diag);

	mount_line_done(&m);
	if (r == 0)
		r = walk_path(&w, path, false);
	return r == -ENOMEM ? cof_fail(diag, r, "out of memory") : r;
}

static void set_end(struct finding *f, int option, const char *key)
{
	char text[32];

	if (f->date[option] == COF_RETAIN_NONE)
		return;
	when_text(f->date[option], text);
	cof_json_set_str(f->certs.args, key, text);
}

static int find_by_certs(struct finding *f, const char *path, struct cof_diag *diag)
{
	if (f->of_files)
		return misuse("certificates are looked for by what they say, not by --state, --name, --larger, --smaller "
			      "or the time of the commit");
	f->certs.zero = f->zero;
	f->certs.json = f->json;
	set_end(f, OPT_EXPIRES_BEFORE, "ends_before");
	set_end(f, OPT_EXPIRES_AFTER, "ends_from");
	return find_certs(&f->certs, path, diag) < 0 ? failure(diag) : EXIT_OK;
}

static int search(struct finding *f, const char *path)
{
	const char *conflict = opener_conflict(&f->certs.source.opener);
	struct cof_diag diag = {""};

	if (*conflict)
		return misuse("%s", conflict);
	if (f->of_certs)
		return find_by_certs(f, path, &diag);
	if (find(f, path, &diag) < 0)
		return failure(&diag);
	return f->failed ? EXIT_FAILED : EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct finding f = {.certs = {.source = SOURCE_INIT, .args = cof_json_object()}};
	int option, code = EXIT_OK;

	for (size_t i = 0; i < COF_COUNT(f.date); i++)
		f.date[i] = COF_RETAIN_NONE;
	while (code == EXIT_OK && (option = option_next(self, argc, argv)) >= 0)
		code = take_option(&f, option);
	if (code == EXIT_OK && option != OPTION_END)
		code = option_exit(option);
	else if (code == EXIT_OK && !operands_within(self, argc, argv, 0, 1))
		code = EXIT_USAGE;
	else if (code == EXIT_OK)
		code = search(&f, optind < argc ? argv[optind] : ".");
	source_close(&f.certs.source);
	cof_json_free(f.certs.args);
	return code;
}

const struct verb verb_find_files = {
    .name = "find",
    .args = "[PATH]",
    .summary = "files by state, time and size; certificates",
    .text =
	"Names the files in PATH, a directory on a mounted archive, and in all directories below "
	"for which everything holds that is asked for. Dates are UTC: 2031-01-02 (its beginning) "
	"or 2031-01-02T03:04:05Z.\n"
	"\n"
	"Certificates, CRLs and requests on certificate shelves are found by what they say. A mounted "
	"archive's daemon is asked (root only); a STORE that is not mounted is opened with its key, and "
	"stays as it is.\n"
	"\n"
	"Examples:\n"
	"  coffer find /mnt/store --state open --name '*.log'\n"
	"  coffer find /mnt/store/audit --expires-before 2031-01-01 --larger 1G\n"
	"  coffer find /mnt/store --subject 'CN=alice'\n"
	"  coffer find /mnt/store --kind certificate --expires-before 2031-01-01\n"
	"\n"
	"Exit code: 0 searched, 1 failed, or something could not be read, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
