/* SPDX-License-Identifier: Apache-2.0 */
/* coffer find: files of a mounted archive by state, retention, time, name and size. */
#include "tools/coffer.h"
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
	char archived[ITEM_ATTR] = "";
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
		item_attr(i, "archived_at", archived);
	return in_time(f, OPT_COMMITTED_BEFORE, OPT_COMMITTED_AFTER, archived);
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

static int take_option(struct finding *f, int option)
{
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

static int run(const struct verb *self, int argc, char **argv)
{
	struct finding f = {.state = NULL};
	struct cof_diag diag = {""};
	int option, code;

	for (size_t i = 0; i < COF_COUNT(f.date); i++)
		f.date[i] = COF_RETAIN_NONE;
	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&f, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 0, 1))
		return EXIT_USAGE;
	if (find(&f, optind < argc ? argv[optind] : ".", &diag) < 0)
		return failure(&diag);
	return f.failed ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_find_files = {
    .name = "find",
    .args = "[PATH]",
    .summary = "files by state, retention, time, name and size",
    .text =
	"Names the files in PATH, a directory on a mounted archive, and in all directories below "
	"for which everything holds that is asked for. Dates are UTC: 2031-01-02 (its beginning) "
	"or 2031-01-02T03:04:05Z.\n"
	"\n"
	"Examples:\n"
	"  coffer find /mnt/store --state open --name '*.log'\n"
	"  coffer find /mnt/store/audit --expires-before 2031-01-01 --larger 1G\n"
	"\n"
	"Exit code: 0 searched, 1 failed, or something could not be read, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
