/* SPDX-License-Identifier: Apache-2.0 */
/* coffer blame: who wrote which stretch of a file, and when. The daemon behind the mount knows. */
#include "tools/coffer.h"
#include "tools/entry.h"
#include "tools/output.h"
#include "tools/store.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPT_JSON };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct blame {
	bool json;
	uint64_t runs;
};

static int show(void *user, struct cof_json *run)
{
	struct blame *b = user;
	cof_autobuf struct cof_buf line = {0};

	if (b->json) {
		if (print_json(run, false) == -ENOMEM)
			return -ENOMEM;
		return output_broken();
	}
	if (!b->runs++)
		blame_head(&line);
	blame_line(run, &line);
	if (line.failed)
		return -ENOMEM;
	fwrite(line.data, 1, line.len, stdout);
	return output_broken();
}

static int find_file(const char *path, struct mount_line *m, uint64_t *ret_ino,
		     struct cof_diag *diag)
{
	struct stat st;
	int r = archive_of(path, m, ret_ino, diag);

	if (r < 0)
		return r;
	if (stat(path, &st) < 0)
		return cof_fail(diag, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cof_fail(diag, -EINVAL,
				"%s is no regular file: only those are written piece by piece",
				path);
	return 0;
}

static int ask(const char *path, const struct mount_line *m, uint64_t ino, struct blame *b,
	       struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	autostore struct store s = {0};
	struct cof_diag why = {""};
	int r = store_open(m->source, &s, diag);

	if (r < 0)
		return r;
	cof_json_set_str(request, "verb", "blame");
	cof_json_set_uint(request, "ino", ino);
	r = store_ask(&s, request, show, b, &why);
	if (r == -ENOTCONN)
		return cof_fail(
		    diag, r, "the daemon behind %s is gone; mount it again: mount -t coffer %s %s",
		    m->point, s.path, m->point);
	return r < 0 ? cof_fail(diag, r, "%s: %s", path, why.text[0] ? why.text : strerror(-r)) : 0;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct mount_line m = {0};
	struct cof_diag diag = {""};
	struct blame b = {0};
	uint64_t ino = 0;
	int option, r;

	while ((option = option_next(self, argc, argv)) >= 0)
		b.json |= option == OPT_JSON;
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	r = find_file(argv[optind], &m, &ino, &diag);
	if (r == 0)
		r = ask(argv[optind], &m, ino, &b, &diag);
	mount_line_done(&m);
	if (r < 0) {
		fflush(stdout);
		return failure(&diag);
	}
	return EXIT_OK;
}

const struct verb verb_blame = {
    .name = "blame",
    .args = "FILE",
    .summary = "who wrote which stretch of a file, and when",
    .text = "For each stretch of FILE, which lies on a mounted archive: its offset and length, "
	    "when it was "
	    "written, and by which uid, login uid (who logged in before becoming that user), "
	    "process and "
	    "command, as the daemon observed them. Only root may ask.\n"
	    "\n"
	    "A stretch is what one process wrote in a row; the time is that of its first byte, and "
	    "the JSON "
	    "tells the last one too.\n"
	    "\n"
	    "Exit code: 0 told, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
