/* SPDX-License-Identifier: Apache-2.0 */
/* coffer ls: state, retention, time and leaf of files on a mounted archive. */
#include "tools/coffer.h"
#include "tools/item.h"
#include "tools/output.h"
#include "tools/store.h"

#include <getopt.h>
#include <stdio.h>

enum { OPT_RECURSIVE, OPT_DIRECTORY, OPT_LONG, OPT_DIGEST, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_RECURSIVE] = {"recursive", NULL, "what is in directories below too; also -R",
		       .letter = 'R'},
    [OPT_DIRECTORY] = {"directory", NULL, "a directory itself, not what is in it; also -d",
		       .letter = 'd'},
    [OPT_LONG] = {"long", NULL, "a further line for each file: between which times proofs put it; also -l",
		  .letter = 'l'},
    [OPT_DIGEST] = {"digest", NULL,
		    "with --json: the SHA-256 of committed files, which are read for it"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct listing {
	bool recursive, directory, lengthy, digest, json, whole_path;
	uint64_t shown;
	int failed;
};

static int show(void *user, const struct item *i)
{
	struct listing *l = user;
	cof_autobuf struct cof_buf line = {0};

	if (l->json) {
		cof_autojson struct cof_json *o = item_json(i, l->digest);

		if (print_json(o, false) == -ENOMEM)
			return -ENOMEM;
		return output_broken();
	}
	if (!l->shown++)
		item_head(&line);
	item_line(i, l->whole_path, &line);
	if (l->lengthy)
		item_bounds(i, &line);
	if (line.failed)
		return -ENOMEM;
	fwrite(line.data, 1, line.len, stdout);
	return output_broken();
}

static void failed(void *user, const char *path, int err)
{
	struct listing *l = user;
	cof_autofree char *shown = escaped(path);

	complain("cannot read %s: %s", shown ? shown : "?", strerror(-err));
	l->failed = err;
}

static int list(struct listing *l, const char *path, struct cof_diag *diag)
{
	const struct walk w = {.recursive = l->recursive && !l->directory,
			       .sorted = true,
			       .fn = show,
			       .failed = failed,
			       .user = l};
	struct mount_line m = {0};
	int r = archive_of(path, &m, NULL, diag);

	mount_line_done(&m);
	if (r < 0)
		return r;
	l->whole_path = l->recursive || l->directory;
	if (l->directory) {
		const struct walk one = {.fn = show, .failed = failed, .user = l};

		r = walk_path(&one, path, true);
		return r < 0 ? cof_fail(diag, r, "out of memory") : 0;
	}
	r = walk_path(&w, path, false);
	return r < 0 ? cof_fail(diag, r, "out of memory") : 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct listing l = {.shown = 0};
	struct cof_diag diag = {""};
	int option;

	while ((option = option_next(self, argc, argv)) >= 0) {
		l.recursive |= option == OPT_RECURSIVE;
		l.directory |= option == OPT_DIRECTORY;
		l.lengthy |= option == OPT_LONG;
		l.digest |= option == OPT_DIGEST;
		l.json |= option == OPT_JSON;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 0, 1))
		return EXIT_USAGE;
	if (list(&l, optind < argc ? argv[optind] : ".", &diag) < 0)
		return failure(&diag);
	return l.failed ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_ls = {
    .name = "ls",
    .args = "[PATH]",
    .summary = "files with their state, retention, time and leaf",
    .text =
	"For each file in PATH, a directory on a mounted archive (or a file; the current "
	"directory if none is given): whether it is open, committed or expired, until when it is "
	"kept, the time of its commit or else of its last frame by the host's clock, the number "
	"of the frame that "
	"committed or else made it (its leaf in the tree), its size and its name. Everybody sees "
	"what the modes of the directories let them see.\n"
	"\n"
	"Example:\n"
	"  coffer ls -R /mnt/store/audit\n"
	"\n"
	"Exit code: 0 listed, 1 failed, or something could not be read, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
