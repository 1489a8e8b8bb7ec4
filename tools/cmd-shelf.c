/* SPDX-License-Identifier: Apache-2.0 */
/* coffer shelf: shelves and their policies, through the daemon or in a store that is not mounted.
 */
#include "tools/coffer.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/shelf-policy.h"
#include "tools/shelves.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum {
	OPT_POLICY,
	OPT_KEYS, /* one for each policy_key */
	OPT_JSON = OPT_KEYS + KEY_COUNT,
};

static const struct tool_option options[] = {
    [OPT_POLICY] = {"policy", "FILE",
		    "takes the policy from FILE, lines of \"key = value\"; what other options say "
		    "comes before it",
		    true},
    [OPT_KEYS + KEY_RETENTION] = {"retention", "SPAN",
				  "how long a file is kept from its commit on if nobody asks for "
				  "something else: 10y, 90d, or infinite"},
    [OPT_KEYS +
	KEY_RETENTION_MIN] = {"retention-min", "SPAN", "at least so long, whatever is asked for"},
    [OPT_KEYS + KEY_RETENTION_MAX] = {"retention-max", "SPAN", "at most so long"},
    [OPT_KEYS +
	KEY_STRICT] = {"strict", "yes|no",
		       "refuses what is outside minimum and maximum instead of clamping it"},
    [OPT_KEYS + KEY_AUTOCOMMIT] = {"autocommit", "SPAN",
				   "commits files that nobody has written to for so long"},
    [OPT_KEYS +
	KEY_DURABILITY] = {"durability", "sync|write",
			   "what is durable: what was synced, or each write before it returns"},
    [OPT_KEYS + KEY_REFUSE] = {"refuse", "perm|rofs", "refuses with EPERM, or EROFS as filers do"},
    [OPT_KEYS + KEY_QUOTA] = {"quota", "N", "bytes that the shelf may hold: 500G"},
    [OPT_KEYS + KEY_QUOTA_FILES] = {"quota-files", "N", "files that it may hold"},
    [OPT_KEYS + KEY_STAGING] = {"staging", "yes|no",
				"whether what was never committed may be withdrawn (recorded for a "
				"later version; it changes nothing yet)"},
    [OPT_KEYS + KEY_RECORD_KIND] = {"record-kind", "TEXT", "what lies there, in a word: log"},
    [OPT_KEYS + KEY_MODE] = {"mode", "compliance|governance",
			     "whether nobody ends a retention early, or a quorum may"},
    [OPT_KEYS +
	KEY_COOLING_OFF] = {"cooling-off", "SPAN",
			    "so long after a commit a compliance retention can still be ended"},
    [OPT_KEYS +
	KEY_RETAIN_EVENT] = {"retain-event", "NAME",
			     "retention counts from when this event is declared for a file"},
    [OPT_KEYS + KEY_RETAIN_FOLLOWS] = {"retain-follows", "none|certificates",
				       "what lies there is kept as long as certificates are valid"},
    [OPT_KEYS +
	KEY_CERTIFICATES] = {"certificates", "yes|no", "what is committed is read as certificates"},
    [OPT_KEYS + KEY_RETAIN_MARGIN] = {"retain-margin", "SPAN",
				      "kept so long after the latest end of a certificate in it"},
    [OPT_KEYS + KEY_READ_EVENTS] = {"read-events", "yes|no",
				    "whether each opening for reading is an event"},
    [OPT_KEYS + KEY_SILENCE] = {"silence", "SPAN", "alarm when nothing was appended for so long"},
    [OPT_KEYS + KEY_LEAK_GUARD] = {"leak-guard", "off|report|refuse",
				   "what happens to keys and secrets in what is appended"},
    [OPT_KEYS + KEY_APPROVE_HOLD_END] = {"approve-hold-end", "RULE",
					 "who ends a hold: \"2\", or \"3 officer\""},
    [OPT_KEYS + KEY_APPROVE_REMOVE] = {"approve-remove", "RULE", "who removes what has expired"},
    [OPT_KEYS + KEY_APPROVE_RETENTION_END] = {"approve-retention-end", "RULE",
					      "who ends a retention early, or declares its event"},
    [OPT_KEYS + KEY_APPROVE_POLICY] = {"approve-policy", "RULE", "who makes the policy weaker"},
    [OPT_KEYS + KEY_APPROVE_ESCROW] = {"approve-escrow", "RULE", "who releases an escrowed key"},
    [OPT_KEYS +
	KEY_REMOVE] = {"remove", "request|rm", "whether rm of what has expired files a request"},
    [OPT_KEYS + KEY_RELEASE_DELAY] = {"release-delay", "SPAN", "an escrowed key goes out so long after its approval, unless vetoed"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    {0},
};

enum action { ADD, SET, SHOW, LIST };
static const char *const actions[] = {"add", "set", "show", "list", NULL};

struct shelving {
	enum action action;
	const char *name; /* NULL: list */
	bool json;
	struct opener_args opener_args;
	struct policy_args policy;
	struct shelves shelves;
};

/* ---- telling ---- */

static const char *use(const struct cof_json *s, const char *key, char out[32], bool size)
{
	int64_t v;

	if (cof_json_int(s, key, &v) < 0)
		return "-";
	if (size)
		cof_size_text((uint64_t)v, out);
	else
		snprintf(out, 32, "%" PRId64, v);
	return out;
}

static void span(int64_t v, char out[32])
{
	if (v == COF_RETAIN_INFINITE)
		snprintf(out, 32, "for ever");
	else
		cof_span_text(v, out);
}

static void tell_row(const struct cof_json *s, bool first)
{
	const char *name = cof_json_str(s, "name"), *text = cof_json_str(s, "policy");
	cof_autofree char *shown = escaped(name ? name : "?");
	char kept[32] = "for ever", commits[32] = "-", bytes[32], files[32];
	struct cof_policy p;

	if (first)
		printf("%-12s %-12s %10s %12s  %s\n", "KEPT", "AUTOCOMMIT", "FILES", "BYTES",
		       "NAME");
	cof_policy_default(&p);
	if (text && cof_policy_parse(text, strlen(text), &p, NULL) == 0) {
		if (p.retention)
			span(p.retention_default, kept);
		if (p.autocommit)
			span(p.autocommit, commits);
	}
	printf("%-12s %-12s %10s %12s  %s\n", kept, commits, use(s, "files", files, false),
	       use(s, "bytes", bytes, true), shown ? shown : "?");
}

static void tell_shelf(const struct cof_json *s)
{
	const char *name = cof_json_str(s, "name"), *text = cof_json_str(s, "policy");
	cof_autofree char *shown = escaped(name ? name : "?");
	char bytes[32], files[32];

	printf("# shelf %s", shown ? shown : "?");
	if (cof_json_get(s, "files"))
		printf(": %s files, %s", use(s, "files", files, false),
		       use(s, "bytes", bytes, true));
	putchar('\n');
	for (const char *line = text ? text : ""; *line;) {
		size_t n = strcspn(line, "\n");
		cof_autofree char *copy = strndup(line, n);
		cof_autofree char *safe = copy ? escaped(copy) : NULL;

		printf("%s\n", safe ? safe : "?");
		line += n + (line[n] != '\0');
	}
}

static int tell(struct shelving *s, struct cof_diag *diag)
{
	struct cof_json *all = s->shelves.all;
	bool first = true;

	for (size_t i = 0; i < cof_json_count(all); i++) {
		struct cof_json *shelf = cof_json_at(all, i);
		const char *name = cof_json_str(shelf, "name");

		if (s->name && (!name || strcmp(name, s->name)))
			continue;
		if (s->json) {
			if (print_json(shelf, false) == -ENOMEM)
				return cof_fail(diag, -ENOMEM, "out of memory");
		} else if (s->action == LIST) {
			tell_row(shelf, first);
		} else {
			tell_shelf(shelf);
		}
		first = false;
	}
	return 0;
}

/* ---- doing ---- */

static int change(struct shelving *s, struct cof_diag *diag)
{
	struct cof_json *shelf = shelves_find(&s->shelves, s->name);
	cof_autobuf struct cof_buf text = {0};
	int r;

	if (s->action == SET && !shelf)
		return cof_fail(diag, -ENOENT, "there is no shelf '%s'; coffer shelf add makes one",
				s->name);
	if (s->action == ADD && shelf)
		return cof_fail(diag, -EEXIST,
				"there is a shelf '%s' already; coffer shelf set makes its policy "
				"stronger",
				s->name);
	r = policy_make(&s->policy, shelf ? cof_json_str(shelf, "policy") : NULL, &text, diag);
	if (r < 0)
		return r;
	cof_buf_add(&text, "", 0);
	if (text.failed)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (s->action == ADD)
		r = shelves_add(&s->shelves, s->name, (const char *)text.data, diag);
	else
		r = shelves_set(&s->shelves, s->name, (const char *)text.data, diag);
	return r < 0 ? r : shelves_load(&s->shelves, diag);
}

static int work(struct shelving *s, const char *arg, struct cof_diag *diag)
{
	bool changes = s->action == ADD || s->action == SET;
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = shelves_open(&s->shelves, arg, &s->opener_args, changes, diag);
	if (r == 0)
		r = shelves_load(&s->shelves, diag);
	if (r == 0 && changes)
		r = change(s, diag);
	if (r == 0 && s->action == SHOW && !shelves_find(&s->shelves, s->name))
		r = cof_fail(diag, -ENOENT, "there is no shelf '%s'", s->name);
	if (r == 0)
		r = tell(s, diag);
	return shelves_close(&s->shelves, r, diag);
}

/* ---- the verb ---- */

static int take_option(struct shelving *s, int option)
{
	if (option >= OPTION_MORE)
		return opener_take(&s->opener_args, option);
	switch (option) {
	case OPT_POLICY:
		s->policy.file = optarg;
		break;
	case OPT_JSON:
		s->json = true;
		break;
	default:
		s->policy.value[option - OPT_KEYS] = optarg;
		break;
	}
	return EXIT_OK;
}

static int take_operands(struct shelving *s, const struct verb *self, int argc, char **argv)
{
	const char *word;

	if (!operands_within(self, argc, argv, 2, 3))
		return EXIT_USAGE;
	word = argv[optind];
	for (s->action = ADD; actions[s->action] && strcmp(word, actions[s->action]);)
		s->action++;
	if (!actions[s->action]) {
		const char *near = nearest(word, actions);
		cof_autofree char *shown = escaped(word);

		if (near)
			return misuse("'%s' is none of add, set, show and list; did you mean '%s'?",
				      shown ? shown : "?", near);
		return misuse("'%s' is none of add, set, show and list", shown ? shown : "?");
	}
	if (!operands_within(self, argc, argv, s->action == LIST ? 2 : 3,
			     s->action == LIST ? 2 : 3))
		return EXIT_USAGE;
	s->name = s->action == LIST ? NULL : argv[optind + 2];
	if (s->action >= SHOW && policy_given(&s->policy))
		return misuse("%s takes no policy", word);
	if (s->action == SET && !policy_given(&s->policy))
		return misuse(
		    "say what becomes stronger: --policy FILE, or options such as --retention");
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct shelving s = {.opener_args = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	const char *conflict;
	int option, code;

	while ((option = option_next(self, argc, argv)) >= 0) {
		code = take_option(&s, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	code = take_operands(&s, self, argc, argv);
	if (code)
		return code;
	conflict = opener_conflict(&s.opener_args);
	if (*conflict)
		return misuse("%s", conflict);
	return work(&s, argv[optind + 1], &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_shelf = {
    .name = "shelf",
    .args = "add|set|show|list STORE [NAME]",
    .summary = "shelves and what their policies promise",
    .text = "  add STORE NAME    makes a shelf, with a policy\n"
	    "  set STORE NAME    makes the policy of a shelf stronger: what is not said\n"
	    "                    stays, and what would become weaker is refused, by anybody\n"
	    "  show STORE NAME   its policy, as text that --policy takes\n"
	    "  list STORE        all shelves\n"
	    "\n"
	    "STORE may also be the mount point, or anything on the mounted archive: then its "
	    "daemon is asked "
	    "(root only). One that is not mounted is opened with its key.\n"
	    "\n"
	    "Without --retention what is committed is kept for ever. A RULE is a number of\n"
	    "persons, at least 2, and roles that have to be among them: \"3 officer\".\n"
	    "\n"
	    "Examples:\n"
	    "  coffer shelf add /mnt/store invoices --retention 10y --retention-min 10y\n"
	    "  coffer shelf set /mnt/store invoices --retention-min 12y --retention 12y\n"
	    "\n"
	    "Exit code: 0 done, 1 failed or refused, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "add set show list",
};
