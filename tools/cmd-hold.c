/* SPDX-License-Identifier: Apache-2.0 */
/* coffer hold: legal holds of a mounted archive, through its daemon. They end by approval only. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { OPT_CASE, OPT_REASON, OPT_ALL, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_CASE] = {"case", "NAME", "begin, end: the case that it is for, or its number"},
    [OPT_REASON] = {"reason", "TEXT", "begin: why, for those who read it later"},
    [OPT_ALL] = {"all", NULL, "list: those that have ended too"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

enum action { BEGIN, END, LIST };
static const char *const actions[] = {"begin", "end", "list", NULL};

struct holding {
	enum action action;
	const char *name, *reason;
	bool all, json, drawn;
	uint64_t failed;
};

/* ---- telling ---- */

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return cof_json_int(o, key, &v) == 0 && v > 0 ? (uint64_t)v : 0;
}

static void clear(struct holding *h)
{
	if (h->drawn)
		fprintf(stderr, "\r\033[K");
	h->drawn = false;
}

static void tell_begun(struct cof_json *o)
{
	const char *name = cof_json_str(o, "case");
	cof_autofree char *shown = escaped(name ? name : "?");
	uint64_t processed = number(o, "processed");

	printf("hold %" PRIu64 " of case %s: %" PRIu64 " file%s held, %" PRIu64 " skipped, %" PRIu64 " failed\n",
	       number(o, "hold"), shown ? shown : "?", processed, plural(processed), number(o, "skipped"),
	       number(o, "failed"));
}

/* Lines on the way, and the last one. */
static int on_begin(void *user, struct cof_json *o)
{
	struct holding *h = user;
	const char *path = cof_json_str(o, "failed_path"), *why = cof_json_str(o, "why");

	if (path) {
		cof_autofree char *shown = escaped(path);

		clear(h);
		complain("%s: %s", shown ? shown : "?", why ? why : "failed");
		h->failed++;
		return 0;
	}
	if (!cof_json_get(o, "hold") && h->json)
		return print_json(o, false);
	if (!cof_json_get(o, "hold")) {
		if (isatty(STDERR_FILENO)) {
			fprintf(stderr, "\r%" PRIu64 " files", number(o, "processed"));
			h->drawn = true;
		}
		return 0;
	}
	clear(h);
	if (h->json)
		return print_json(o, false);
	tell_begun(o);
	return 0;
}

static int on_list(void *user, struct cof_json *o)
{
	struct holding *h = user;
	const char *name = cof_json_str(o, "case"), *state = cof_json_str(o, "state");
	const char *begun = cof_json_str(o, "begun");
	struct cof_json *paths = cof_json_get(o, "paths");
	cof_autofree char *shown = escaped(name ? name : "?");

	if (h->json)
		return print_json(o, false);
	printf("%" PRIu64 "  %s  %s since %s, %" PRIu64 " files\n", number(o, "hold"), shown ? shown : "?",
	       state ? state : "?", begun ? begun : "?", number(o, "processed"));
	for (size_t i = 0; i < cof_json_count(paths); i++) {
		cof_autofree char *path = escaped(cof_json_value_str(cof_json_at(paths, i)));

		printf("    %s\n", path ? path : "?");
	}
	return 0;
}

/* ---- asking ---- */

static int add_path(const struct mount_line *of, const char *path, struct cof_json *list, struct cof_diag *diag)
{
	struct mount_line m = {0};
	cof_autofree char *within = NULL;
	int r = archive_of(path, &m, NULL, diag);

	if (r == 0 && strcmp(m.source, of->source))
		r = cof_fail(diag, -EXDEV, "%s lies in another archive: a hold is one archive's", path);
	if (r == 0)
		r = mount_within(&m, path, &within, diag);
	if (r == 0)
		cof_json_append(list, cof_json_new_str(within));
	mount_line_done(&m);
	return r;
}

static int begin(struct holding *h, char **paths, size_t n, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct cof_json *list = cof_json_array();
	struct mount_line m = {0};
	autostore struct store s = {0};
	size_t found = 0;
	int r = 0, last = 0;

	for (size_t i = 0; i < n; i++) {
		last = m.source ? 0 : archive_of(paths[i], &m, NULL, diag);
		if (last == 0)
			last = add_path(&m, paths[i], list, diag);
		if (last == 0) {
			found++;
		} else { /* one that is not there hinders no other */
			(void)failure(diag);
			h->failed++;
		}
	}
	if (!found)
		r = cof_fail(diag, last, "nothing of it can be held");
	if (r == 0)
		r = store_open(m.source, &s, diag);
	cof_json_set_str(request, "verb", "hold-begin");
	cof_json_set_str(request, "case", h->name);
	if (h->reason)
		cof_json_set_str(request, "reason", h->reason);
	cof_json_set(request, "paths", list);
	if (r == 0)
		r = store_ask(&s, request, on_begin, h, diag);
	clear(h);
	mount_line_done(&m);
	return r;
}

static int ask(struct holding *h, const char *arg, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	autostore struct store s = {0};
	int r = store_open(arg, &s, diag);

	cof_json_set_str(request, "verb", h->action == LIST ? "holds" : "hold-end");
	if (h->name)
		cof_json_set_str(request, "case", h->name);
	cof_json_set_bool(request, "all", h->all);
	if (r == 0)
		r = store_ask(&s, request, on_list, h, diag);
	return r == -ENOTCONN ? cof_fail(diag, r, "%s is not mounted: mount it first", arg) : r;
}

/* ---- the verb ---- */

static int take_operands(struct holding *h, const struct verb *self, int argc, char **argv)
{
	const char *word;

	if (!operands_within(self, argc, argv, 2, -1))
		return EXIT_USAGE;
	word = argv[optind];
	for (h->action = BEGIN; actions[h->action] && strcmp(word, actions[h->action]);)
		h->action++;
	if (!actions[h->action]) {
		const char *near = nearest(word, actions);
		cof_autofree char *shown = escaped(word);

		if (near)
			return misuse("'%s' is none of begin, end and list; did you mean '%s'?",
				      shown ? shown : "?", near);
		return misuse("'%s' is none of begin, end and list", shown ? shown : "?");
	}
	if (h->action != BEGIN && !operands_within(self, argc, argv, 2, 2))
		return EXIT_USAGE;
	if (h->action != LIST && !h->name)
		return misuse("say which case: --case NAME");
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct holding h = {.action = LIST};
	struct cof_diag diag = {""};
	int option, code, r;

	while ((option = option_next(self, argc, argv)) >= 0) {
		if (option == OPT_CASE)
			h.name = optarg;
		else if (option == OPT_REASON)
			h.reason = optarg;
		else if (option == OPT_ALL)
			h.all = true;
		else
			h.json = true;
	}
	if (option != OPTION_END)
		return option_exit(option);
	code = take_operands(&h, self, argc, argv);
	if (code)
		return code;
	if (h.action == BEGIN)
		r = begin(&h, argv + optind + 1, (size_t)(argc - optind - 1), &diag);
	else
		r = ask(&h, argv[optind + 1], &diag);
	if (r < 0)
		return failure(&diag);
	return h.failed ? EXIT_FAILED : EXIT_OK;
}

const struct verb verb_hold = {
    .name = "hold",
    .args = "begin|end|list PATH...",
    .summary = "legal holds, which are stronger than any end",
    .text =
	"  begin PATH...  holds each PATH, a file or a directory of the mounted archive\n"
	"                 with all that lies below it, now and later\n"
	"  end STORE      refused, and on record: a hold ends by approval, which\n"
	"                 coffer request hold-end asks for\n"
	"  list STORE     the holds in force\n"
	"\n"
	"What is held is neither removed nor replaced, whatever its retention says; it can be appended to "
	"while it is open, and committed. A file that leaves a directory on hold stays held. What a hold names "
	"itself keeps its name. Several holds may cover one file: each has to end.\n"
	"\n"
	"root only, through the daemon. STORE may also be the mount point.\n"
	"\n"
	"Examples:\n"
	"  coffer hold begin --case 2026-17 /mnt/store/audit /mnt/store/mail/board.mbox\n"
	"  coffer hold list /mnt/store\n"
	"\n"
	"Exit code: 0 done, 1 failed, refused, or not all of it could be held, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "begin end list",
};
