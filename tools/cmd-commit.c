/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer commit and coffer retain: through the mount, so that the archive sees and records who
 * asks, and everybody may who could do it with chmod and touch. The daemon is asked only for what
 * has no other way: committing an empty file, and the clock that spans count from.
 */
#include "tools/coffer.h"
#include "tools/item.h"
#include "tools/output.h"
#include "tools/people.h"
#include "tools/store.h"
#include "tools/when.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/xattr.h>

enum {
	OPT_UNTIL,
	OPT_FOR,
	OPT_INFINITE,
	OPT_JSON,
	OPT_EVENT,
	OPT_AS, /* from here on declare's */
	OPT_HAPPENED,
	OPT_REASON,
	OPT_KEY,
	OPT_DIR
};

static const struct tool_option options[] = {
    [OPT_UNTIL] = {"until", "DATE",
		   "keeps it until then: 2031-01-02, or 2031-01-02T03:04:05Z (UTC)"},
    [OPT_FOR] = {"for", "SPAN", "keeps it that long from now on: 10y, 90d, 12h"},
    [OPT_INFINITE] = {"infinite", NULL, "keeps it for ever"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};
#define RETAIN_MORE                                                                                \
	"keeps it until this event is declared, and as long again from then on as the shelf keeps " \
	"(root, through the daemon)"
static const struct tool_option retain_options[] = {
    [OPT_UNTIL] = {"until", "DATE",
		   "keeps it until then: 2031-01-02, or 2031-01-02T03:04:05Z (UTC)"},
    [OPT_FOR] = {"for", "SPAN", "keeps it that long from now on: 10y, 90d, 12h"},
    [OPT_INFINITE] = {"infinite", NULL, "keeps it for ever"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    [OPT_EVENT] = {"event", "NAME", RETAIN_MORE},
    [OPT_AS] = {"as", "NAME", "declare: who requests it, as in the people file"},
    [OPT_HAPPENED] = {"happened", "TIME", "declare: when the event happened (RFC 3339, retention time); else now"},
    [OPT_REASON] = {"reason", "TEXT", "declare: why; stands in the sheet"},
    [OPT_KEY] = {"key", "FILE", "declare: signs with this key by ssh-keygen, and submits at once", true},
    [OPT_DIR] = {"output", "DIR", "declare: where ID.request and ID.sheet are written (default: here)", true, .letter = 'o'},
    {0},
};

struct committing {
	bool extend, json; /* extend: coffer retain */
	const char *event; /* NULL: none */
	struct end_args end;
	struct declaring declare; /* coffer retain declare */
};

/* ---- one file ---- */

static int ask_daemon(const struct mount_line *m, uint64_t ino, const char *event, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	autostore struct store s = {0};
	int r = store_open(m->source, &s, diag);

	cof_json_set_str(request, "verb", event ? "retain-event" : "commit");
	if (event)
		cof_json_set_str(request, "event", event);
	cof_json_set_uint(request, "ino", ino);
	return r < 0 ? r : store_ask(&s, request, NULL, NULL, diag);
}

static int64_t span_begin(const struct mount_line *m)
{
	autostore struct store s = {0};

	if (store_open(m->source, &s, NULL) < 0)
		return cof_now(CLOCK_REALTIME);
	return store_retention_now(&s);
}

static int set_end(const char *path, int64_t end)
{
	char text[32];

	when_text(end, text);
	return setxattr(path, "system.coffer.retain_until", text, strlen(text), 0) < 0 ? -errno : 0;
}

/* What the rules say, where it is plain from here. False: the daemon knows. */
static bool plain_reason(const struct committing *c, const struct item *i, int64_t end, int r,
			 struct cof_diag *diag)
{
	int64_t kept;

	if (geteuid() && geteuid() != i->st.st_uid)
		cof_fail(diag, r, "%s: refused: only its owner and root may %s", i->path,
			 c->extend ? "keep it longer" : "commit it");
	else if (c->extend && item_has_no_end(i))
		cof_fail(diag, r, "%s: refused: it is kept for ever, and an end would take from that",
			 i->path);
	else if (c->extend && when_parse(i->until, &kept) == 0 && end < kept)
		cof_fail(diag, r,
			 "%s: refused: it is kept until %s, and a retention is never shortened; ask "
			 "for a later end",
			 i->path, i->until);
	else
		return false;
	return true;
}

static int refused(const struct committing *c, const struct item *i, int64_t end, int r,
		   struct cof_diag *diag)
{
	const char *path = i->path;

	if ((r == -EPERM || r == -EROFS) && plain_reason(c, i, end, r, diag))
		return r;
	if (r == -EPERM || r == -EROFS)
		return cof_fail(diag, r, "%s: refused; for the reason: coffer explain %s %s", path,
				c->extend ? "retain" : "commit", path);
	return cof_fail(diag, r, "%s: %s", path, strerror(-r));
}

static int apply(const struct committing *c, const struct item *i, const struct mount_line *m,
		 struct cof_diag *diag)
{
	int64_t end = end_of(&c->end, c->end.span ? span_begin(m) : 0);
	int r;

	if (c->event)
		return ask_daemon(m, i->st.st_ino, c->event, diag);
	if (end != COF_RETAIN_NONE)
		r = set_end(i->path, end);
	else if (i->st.st_size)
		r = chmod(i->path, i->st.st_mode & 07555) < 0 ? -errno : 0;
	else
		return ask_daemon(m, i->st.st_ino, NULL, diag); /* chmod commits no empty file */
	return r < 0 ? refused(c, i, end, r, diag) : 0;
}

static int look(const char *path, struct item *ret, struct cof_diag *diag)
{
	*ret = (struct item){.path = path, .name = path, .dir = AT_FDCWD};
	if (stat(path, &ret->st) < 0)
		return cof_fail(diag, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (!S_ISREG(ret->st.st_mode))
		return cof_fail(diag, -EINVAL, "%s is no regular file: only those are committed",
				path);
	item_attrs(ret);
	return 0;
}

static int one_file(const struct committing *c, const char *path, struct item *ret,
		    struct cof_diag *diag)
{
	struct mount_line m = {0};
	int r = archive_of(path, &m, NULL, diag);

	if (r == 0)
		r = look(path, ret, diag);
	if (r == 0 && !c->extend && strcmp(ret->state, "open"))
		r = cof_fail(diag, -EEXIST, "%s is %s already; coffer retain keeps it longer", path,
			     ret->state);
	if (r == 0 && c->extend && !strcmp(ret->state, "open"))
		r = cof_fail(diag, -EINVAL, "%s is open: coffer commit commits it", path);
	if (r == 0)
		r = apply(c, ret, &m, diag);
	if (r == 0)
		r = look(path, ret, diag);
	if (r == 0 && !strcmp(ret->state, "open"))
		r = cof_fail(diag, -EIO, "%s is still open", path);
	mount_line_done(&m);
	return r;
}

/* ---- telling ---- */

/* Asked and granted differ by more than the digits that are not shown. */
static bool was_clamped(const char *asked, const char *until)
{
	return *asked && strcmp(asked, "none") && strncmp(asked, until, 19) != 0;
}

static void tell(const struct committing *c, const struct item *i)
{
	cof_autofree char *shown = escaped(i->path), *until = escaped(i->until);
	char asked[ITEM_ATTR];
	const char *word = c->extend ? "extended" : "committed";

	item_attr(i, "asked_until", asked);
	if (c->json) {
		cof_autojson struct cof_json *o = item_json(i, false);

		cof_json_set_bool(o, "ok", true);
		if (print_json(o, false) == -ENOMEM)
			complain("out of memory");
		return;
	}
	printf("%s %s", word, shown ? shown : "?");
	if (c->event)
		printf(", kept until %s is declared, and from then on", c->event);
	else if (item_has_no_end(i))
		printf(", kept for ever");
	else if (until && *until)
		printf(", kept until %s", until);
	if (was_clamped(asked, i->until))
		printf(" (%s was asked for; the shelf's policy allows this)", asked);
	putchar('\n');
}

static void tell_failure(const struct committing *c, const char *path, int r,
			 const struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;

	if (!c->json) {
		(void)failure(diag);
		return;
	}
	o = cof_json_object();
	cof_json_set_str(o, "path", path);
	cof_json_set_bool(o, "ok", false);
	cof_json_set_str(o, "errno", strerrorname_np(-r));
	cof_json_set_str(o, "error", diag->text);
	if (print_json(o, false) == -ENOMEM)
		complain("out of memory");
}

/* ---- the verbs ---- */

/* coffer retain declare EVENT PATH... -1: it is not asked for. */
static int declare_asked(struct committing *c, const struct verb *self, int argc, char **argv)
{
	struct declaring *d = &c->declare;
	struct cof_diag diag = {""};
	uint64_t failed;

	if (!c->extend || strcmp(argv[optind], "declare"))
		return d->as || d->happened || d->reason || d->key || d->dir
			   ? misuse("--as, --happened, --reason, --key and --output are declare's")
			   : -1;
	if (!operands_within(self, argc, argv, 3, -1))
		return EXIT_USAGE;
	if (c->event || c->end.until || c->end.span || c->end.infinite)
		return misuse("declare takes no end: the shelf's policy counts from the event");
	if (!d->as)
		return misuse("who requests it? --as NAME, as in the people file");
	d->event = argv[optind + 1];
	d->paths = argv + optind + 2;
	d->n_paths = (size_t)(argc - optind - 2);
	d->json = c->json;
	if (request_declare(d, &failed, &diag) < 0)
		return failure(&diag);
	return failed ? EXIT_FAILED : EXIT_OK;
}

static int take_options(const struct verb *self, int argc, char **argv, struct committing *c)
{
	const char *conflict;
	const char **to[] = {&c->declare.as, &c->declare.happened, &c->declare.reason, &c->declare.key, &c->declare.dir};
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		if (option >= OPT_AS)
			*to[option - OPT_AS] = optarg; /* in the options' order */
		else if (option == OPT_UNTIL)
			c->end.until = optarg;
		else if (option == OPT_FOR)
			c->end.span = optarg;
		else if (option == OPT_INFINITE)
			c->end.infinite = true;
		else if (option == OPT_EVENT)
			c->event = optarg;
		else
			c->json = true;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 1, -1))
		return EXIT_USAGE;
	code = declare_asked(c, self, argc, argv);
	if (code >= 0)
		return code;
	conflict = end_conflict(&c->end);
	if (*conflict)
		return misuse("%s", conflict);
	if (c->event && (c->end.until || c->end.span || c->end.infinite))
		return misuse("--event stands alone: the event says when");
	if (c->extend && !c->end.until && !c->end.span && !c->end.infinite && !c->event)
		return misuse("say until when: --until, --for, --infinite or --event");
	return -1;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct committing c = {.extend = self == &verb_retain};
	int code = take_options(self, argc, argv, &c);

	if (code >= 0)
		return code;
	code = EXIT_OK;
	for (int k = optind; k < argc && !output_broken(); k++) {
		struct cof_diag diag = {""};
		struct item i = {0};
		int r = one_file(&c, argv[k], &i, &diag);

		if (r < 0) {
			tell_failure(&c, argv[k], r, &diag);
			code = EXIT_FAILED;
		} else {
			tell(&c, &i);
		}
	}
	return code;
}

const struct verb verb_commit = {
    .name = "commit",
    .args = "FILE...",
    .summary = "makes files immutable, with a retention",
    .text =
	"Commits each FILE, which lies on a mounted archive: from then on nothing in it changes, "
	"and it "
	"is kept until its retention ends. Without a date the retention is what the access time "
	"asks "
	"for, if it lies in the future, or else the shelf's default; what is asked for is clamped "
	"to "
	"what the shelf's policy allows, or refused where that is strict. What was asked for and "
	"what "
	"was granted are both recorded.\n"
	"\n"
	"Owner and root may; it is the same as chmod a-w, which an empty file needs this command "
	"instead of (as root).\n"
	"\n"
	"Examples:\n"
	"  coffer commit /mnt/store/audit/2026-11.log\n"
	"  coffer commit --for 10y /mnt/store/audit/*.pdf\n"
	"\n"
	"Exit code: 0 all are committed, 1 at least one is not, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
};

const struct verb verb_retain = {
    .name = "retain",
    .args = "FILE... | declare EVENT PATH...",
    .summary = "keeps committed files longer",
    .text =
	"Extends the retention of each FILE, which is committed and lies on a mounted archive. A "
	"retention is never shortened: an earlier end is refused, and the attempt recorded.\n"
	"\n"
	"Examples:\n"
	"  coffer retain --until 2040-01-01 /mnt/store/audit/2026-11.log\n"
	"  coffer retain --infinite /mnt/store/audit/charter.pdf\n"
	"  coffer retain --event contract-end /mnt/store/contracts/0815.pdf\n"
	"\n"
	"declare EVENT PATH... requests that an event counts as happened for all files of each PATH, a file or a "
	"directory with all below it, that wait for it: from then on their retention runs, so others approve it "
	"(coffer approve). It tells how many files were named, skipped because they do not wait for it, and failed.\n"
	"  coffer retain declare contract-end /mnt/store/contracts/0815 --as alice\n"
	"\n"
	"Exit code: 0 all are kept so or requested, 1 at least one is not, 2 wrong usage.",
    .options = retain_options,
    .run = run,
    .takes_files = true,
    .actions = "declare",
};
