/* SPDX-License-Identifier: Apache-2.0 */
/* coffer log: the frames of an archive in order. Through the daemon when mounted, else read-only
 * with the key. */
#include "tools/coffer.h"
#include "tools/entry.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/store.h"

#include <getopt.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum {
	OPT_FOLLOW,
	OPT_EVENTS,
	OPT_FROM,
	OPT_LIMIT,
	OPT_JSON,
};

static const struct tool_option options[] = {
    [OPT_FOLLOW] = {"follow", NULL,
		    "goes on with new frames as they come, until the archive is unmounted"},
    [OPT_EVENTS] = {"events", NULL,
		    "only events: what was refused, and what happened to the archive"},
    [OPT_FROM] = {"from", "N", "begins at frame N instead of 0"},
    [OPT_LIMIT] = {"limit", "N", "ends after N entries"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

struct showing {
	struct opener_args opener_args;
	uint64_t from, limit; /* limit 0: none */
	bool follow, events, json;
	uint64_t shown;
	bool full; /* the limit was reached */
};

/* ---- entries ---- */

static int print_entry(const struct showing *s, struct cof_json *entry)
{
	cof_autobuf struct cof_buf line = {0};

	if (s->json)
		return print_json(entry, false) == -ENOMEM ? -ENOMEM : 0;
	entry_line(entry, &line);
	if (line.failed)
		return -ENOMEM;
	fwrite(line.data, 1, line.len, stdout);
	return 0;
}

static int show(void *user, struct cof_json *entry)
{
	struct showing *s = user;
	const char *type = cof_json_str(entry, "type");
	int r;

	if (s->events && (!type || strcmp(type, "event")))
		return 0;
	r = print_entry(s, entry);
	if (r < 0)
		return r;
	if (s->follow)
		fflush(stdout);
	s->shown++;
	s->full = s->limit && s->shown >= s->limit;
	return s->full || output_broken();
}

/* ---- where they come from ---- */

static int from_daemon(const struct store *st, struct showing *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();

	cof_json_set_str(request, "verb", "log");
	cof_json_set_uint(request, "from", s->from);
	cof_json_set_bool(request, "follow", s->follow);
	return store_ask(st, request, show, s, diag);
}

static int from_store(const struct store *st, struct showing *s, struct cof_diag *diag)
{
	struct opener opener = {0};
	uint64_t next;
	int r;

	if (s->follow)
		return cof_fail(diag, -ENOTCONN,
				"%s is not mounted, so nothing new can come: leave out --follow",
				st->path);
	r = opener_find_as_owner(&s->opener_args, st->io, st->path, &opener, diag);
	if (r == 0)
		r = cof_store_show_log(st->io, &opener.secret, s->from, show, s, &next, diag);
	opener_done(&opener);
	return r;
}

static int show_all(const char *arg, struct showing *s, struct cof_diag *diag)
{
	autostore struct store st = {0};
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_open(arg, &st, diag);
	if (r < 0)
		return r;
	r = from_daemon(&st, s, diag);
	if (r == -ENOTCONN)
		return from_store(&st, s, diag);
	if (r == 0 && s->follow && !s->full && !output_broken())
		complain("the archive was unmounted");
	return r;
}

/* ---- the verb ---- */

static int take_number(const char *name, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(optarg, &end, 10);
	if (errno || *end || *optarg < '0' || *optarg > '9' || v > INT64_MAX)
		return misuse("--%s takes a number, from 0 on", name);
	*ret = v;
	return EXIT_OK;
}

static int take_option(void *user, int option)
{
	struct showing *s = user;

	switch (option) {
	case OPT_FOLLOW:
		s->follow = true;
		break;
	case OPT_EVENTS:
		s->events = true;
		break;
	case OPT_FROM:
		return take_number("from", &s->from);
	case OPT_LIMIT:
		if (take_number("limit", &s->limit))
			return EXIT_USAGE;
		return s->limit ? EXIT_OK : misuse("--limit takes a number, from 1 on");
	case OPT_JSON:
		s->json = true;
		break;
	default:
		return opener_take(&s->opener_args, option);
	}
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct showing s = {.opener_args = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	const char *conflict;
	int code;

	code = options_take(self, argc, argv, take_option, &s, 1);
	if (code >= 0)
		return code;
	conflict = opener_conflict(&s.opener_args);
	if (*conflict)
		return misuse("%s", conflict);
	return show_all(argv[optind], &s, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_log = {
    .name = "log",
    .args = "STORE",
    .summary = "what happened in an archive, in order",
    .text = "Prints the frames of an archive in order: when, what, to which file, by whom. What "
	    "was written "
	    "into files is not shown. A mounted archive is asked through its daemon (root only); "
	    "one that "
	    "is not mounted is read with its key, and nothing in it is changed.\n"
	    "\n"
	    "Exit code: 0 all was shown, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
