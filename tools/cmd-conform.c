/* SPDX-License-Identifier: Apache-2.0 */
/* coffer conform: does a mount keep what it was given? A run of checks, in TAP, on any filesystem.
 */
#include "tools/coffer.h"
#include "tools/conform.h"
#include "tools/output.h"
#include "tools/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

#define EXIT_LACKING 3

enum { OPT_CHATTR, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_CHATTR] = {"chattr", NULL,
		    "sets the attributes a (append only) and i (immutable) itself, as chattr does: "
		    "shows how far those go on another filesystem. Takes root"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of TAP"},
    {0},
};

/* ---- where ---- */

static int first_directory(const char *path, char **ret)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort), r = -ENOENT;

	for (int i = 0; i < n; i++) {
		if (r == -ENOENT && names[i]->d_name[0] != '.') {
			cof_autoclose int fd = -1;
			cof_autofree char *full = NULL;

			if (asprintf(&full, "%s/%s", path, names[i]->d_name) < 0) {
				full = NULL;
				r = -ENOMEM;
			} else {
				fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
				if (fd >= 0) {
					*ret = full;
					full = NULL;
					r = 0;
				}
			}
		}
		free(names[i]);
	}
	free(names);
	return n < 0 ? -errno : r;
}

/* Only shelves lie at the top of an archive: there the first one is taken. */
static int make_directory(const char *arg, char **ret, struct cof_diag *diag)
{
	cof_autofree char *base = strdup(arg), *full = NULL;
	struct mount_line m = {0};
	char *point = NULL;
	int r = 0;

	if (!base)
		return cof_fail(diag, -ENOMEM, "out of memory");
	point = realpath(arg, NULL);
	if (!point)
		return cof_fail(diag, -errno, "cannot look at %s: %s", arg, strerror(errno));
	if (mount_of(arg, &m, NULL, NULL) == 0 && !strcmp(m.point, point)) {
		free(base);
		base = NULL;
		r = first_directory(arg, &base);
	}
	mount_line_done(&m);
	free(point);
	if (r < 0)
		return cof_fail(diag, r, "%s has no shelf to run in: %s", arg, strerror(-r));
	if (asprintf(&full, "%s/coffer-conform-XXXXXX", base) < 0) {
		full = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	if (!mkdtemp(full))
		return cof_fail(diag, -errno, "cannot make a directory in %s: %s", base,
				strerror(errno));
	*ret = full;
	full = NULL;
	return 0;
}

/* ---- afterwards ---- */

static void tell_left(struct conform *c, const char *path)
{
	cof_autofree char *shown = escaped(path);

	if (c->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "left", path);
		(void)print_json(o, false); /* out of memory shows in the end's count */
	} else {
		printf("# left: %s\n", shown ? shown : "?");
	}
}

static void clean(struct conform *c, int dir, const char *path, unsigned *left)
{
	int copy = dup(dir);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d && copy >= 0)
		close(copy);

	while (d && (e = readdir(d))) {
		cof_autofree char *full = NULL;
		bool there;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (asprintf(&full, "%s/%s", path, e->d_name) < 0) {
			full = NULL;
			break;
		}
		if (e->d_type == DT_DIR) {
			cof_autoclose int sub =
			    openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (sub >= 0)
				clean(c, sub, full, left);
			there = unlinkat(dir, e->d_name, AT_REMOVEDIR) < 0;
		} else {
			there = unlinkat(dir, e->d_name, 0) < 0;
			if (there && c->chattr) {
				struct conform here = {.dir = dir};

				(void)conform_flags(&here, e->d_name, 0,
						    FS_APPEND_FL | FS_IMMUTABLE_FL, NULL);
				there = unlinkat(dir, e->d_name, 0) < 0;
			}
		}
		if (there) {
			++*left;
			tell_left(c, full);
		}
	}
	if (d)
		closedir(d);
}

static int finish(struct conform *c, const char *path)
{
	unsigned left = 0;

	clean(c, c->dir, path, &left);
	if (rmdir(path) < 0)
		tell_left(c, path);
	if (c->json) {
		cof_autojson struct cof_json *o = cof_json_object();

		cof_json_set_uint(o, "passed", c->passed);
		cof_json_set_uint(o, "failed", c->failed);
		cof_json_set_uint(o, "skipped", c->skipped);
		cof_json_set_uint(o, "left_files", left);
		cof_json_set_bool(o, "conforms", !c->failed && !c->err);
		(void)print_json(o, false); /* output_finish tells what was not written */
	} else {
		printf("1..%u\n# %u ok, %u not ok, %u skipped\n", c->number, c->passed, c->failed,
		       c->skipped);
	}
	if (c->err)
		return failure(c->diag);
	return c->failed ? EXIT_LACKING : EXIT_OK;
}

/* ---- the run ---- */

static const struct {
	const char *title;
	void (*run)(struct conform *c);
} parts[] = {
    {"an open file grows", conform_append},
    {"what it holds stays", conform_overwrite},
    {"names", conform_names},
    {"attributes", conform_attributes},
    {"committed files", conform_committed},
    {"retention", conform_retention},
};

static int conform(const char *arg, struct conform *c)
{
	cof_autofree char *path = NULL, *shown = NULL;
	int r = make_directory(arg, &path, c->diag), code;

	if (r < 0)
		return failure(c->diag);
	c->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0) {
		cof_fail(c->diag, -errno, "cannot open %s: %s", path, strerror(errno));
		rmdir(path);
		return failure(c->diag);
	}
	umask(022);
	c->root = geteuid() == 0;
	c->refusal = EPERM;
	shown = escaped(path);
	if (!c->json)
		printf("TAP version 13\n# in %s\n", shown ? shown : "?");
	for (size_t i = 0; i < COF_COUNT(parts) && !c->err && !output_broken(); i++) {
		if (!c->json)
			printf("# %s\n", parts[i].title);
		parts[i].run(c);
	}
	code = finish(c, path);
	close(c->dir);
	return code;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct cof_diag diag = {""};
	struct conform c = {.diag = &diag};
	int option;

	while ((option = option_next(self, argc, argv)) >= 0) {
		c.chattr |= option == OPT_CHATTR;
		c.json |= option == OPT_JSON;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	return conform(argv[optind], &c);
}

const struct verb verb_conform = {
    .name = "conform",
    .args = "MOUNT",
    .summary = "whether a mount keeps what it was given: a run of checks",
    .text =
	"Makes files in a new directory in MOUNT and tries everything that would change, shorten, "
	"rename or remove them, and what has to work nevertheless. Each try is one line of TAP. It "
	"runs on any filesystem, and shows there what is missing. At the top of an archive the "
	"first shelf is used.\n"
	"\n"
	"What it makes on a mount that keeps its promise cannot be removed again: it is named at "
	"the end. Use a shelf for tests, with a short retention.\n"
	"\n"
	"Examples:\n"
	"  coffer conform /mnt/store/test\n"
	"  coffer conform /tmp --chattr\n"
	"\n"
	"Exit code: 0 it keeps all of them, 3 it lacks some, 1 could not run, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};
