/* SPDX-License-Identifier: Apache-2.0 */
/* coffer compliance: the rules of a profile by their original clauses, what was looked at for each, and what it shows. */
#include "tools/coffer.h"
#include "tools/compliance.h"
#include "tools/output.h"
#include "tools/people.h"
#include "tools/profile.h"

#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECURE_BYTES (4u << 20)
#define EXIT_FAILS 3
#define PURPOSE "coffer-compliance"

enum { OPT_PROFILE, OPT_OUTPUT, OPT_SIGN, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_PROFILE] = {"profile", "PROFILE", "by this profile instead of the policy in force", true},
    [OPT_OUTPUT] = {"output", "FILE", "writes the report to FILE (new) instead of standard output", true, .letter = 'o'},
    [OPT_SIGN] = {"sign", "KEY",
		  "with --output: signs it with this SSH key (ssh-keygen -Y sign -n " PURPOSE "), to FILE.sig", true},
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

struct reporting {
	struct opener_args opener;
	const char *profile, *output, *key;
	bool json;
	struct facts facts;
	struct cof_profile policy;
	int64_t now;
	unsigned count[4]; /* by finding */
	struct cof_buf text;
	struct cof_json *rows;
};

static const char *const names[] = {[NOT_APPLICABLE] = "n/a", [PASS] = "PASS", [MANUAL] = "MANUAL", [FAIL] = "FAIL"};

/* ---- one line for each clause ---- */

struct line {
	char source[8], clause[40];
	const struct compliance_row *row;
	const struct looked *looked;
};

/* As people count: 5.4.10 behind 5.4.9. */
static int by_clause(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int r = strcmp(x->source, y->source);

	return r ? r : strverscmp(x->clause, y->clause);
}

static void add(struct reporting *r, const struct line *l)
{
	const struct looked *k = l->looked;
	char source[8] = "";

	for (size_t i = 0; l->source[i] && i + 1 < sizeof(source); i++)
		source[i] = (char)toupper((unsigned char)l->source[i]);
	r->count[k->finding]++;
	cof_buf_printf(&r->text, "%-6s %-4s %-10s %-4s %s\n       %s%s%s%s\n", names[k->finding], source, l->clause, l->row->rule,
		       l->row->text, k->evidence, k->command ? " [" : "", k->command ? k->command : "", k->command ? "]" : "");
	if (r->rows) {
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "source", source);
		cof_json_set_str(o, "clause", l->clause);
		cof_json_set_str(o, "rule", l->row->rule);
		cof_json_set_str(o, "text", l->row->text);
		cof_json_set_str(o, "finding", names[k->finding]);
		cof_json_set_str(o, "evidence", k->evidence);
		if (k->command)
			cof_json_set_str(o, "command", k->command);
		cof_json_append(r->rows, o);
	}
}

/* "gpki 5.4.1, ins 22": those of the policy's sources. */
static size_t split(const struct reporting *r, const struct compliance_row *row, const struct looked *looked, struct line *ret)
{
	size_t n = 0;

	for (const char *at = row->clauses; *at;) {
		size_t len = strcspn(at, ","), source = strcspn(at, " ");
		struct line *l = &ret[n];

		snprintf(l->source, sizeof(l->source), "%.*s", (int)source, at);
		snprintf(l->clause, sizeof(l->clause), "%.*s", (int)(len - source - 1), at + source + 1);
		l->row = row;
		l->looked = looked;
		n += cof_profile_has(r->policy.sources, l->source);
		at += len;
		at += strspn(at, ", ");
	}
	return n;
}

#define ROWS_MAX 64
#define LINES_MAX 256

static int look(struct reporting *r)
{
	struct looked *looked = calloc(ROWS_MAX, sizeof(*looked));
	struct line *lines = calloc(LINES_MAX, sizeof(*lines));
	size_t n = 0;

	if (!looked || !lines) {
		free(looked);
		free(lines);
		return -ENOMEM;
	}
	for (size_t i = 0; compliance_rows[i].rule && i < ROWS_MAX && n + 16 < LINES_MAX; i++) {
		looked[i] = (struct looked){.f = &r->facts, .p = &r->policy, .now = r->now};
		compliance_rows[i].check(&looked[i]);
		n += split(r, &compliance_rows[i], &looked[i], lines + n);
	}
	qsort(lines, n, sizeof(*lines), by_clause);
	for (size_t i = 0; i < n; i++)
		add(r, &lines[i]);
	free(looked);
	free(lines);
	return 0;
}

/* ---- the report ---- */

static void head(struct reporting *r, struct cof_buf *ret)
{
	cof_autofree char *store = escaped(r->facts.store.path);
	char date[32], id[33], created[32];

	cof_time_text(r->now, date);
	cof_time_text(r->facts.created, created);
	cof_hex(r->facts.store.conf.id, sizeof(r->facts.store.conf.id), id);
	cof_buf_printf(ret, "Compliance of the archive %s (%s) with %s\nOn %s, by coffer %s, over %llu frames since %s%s\n\n", id,
		       store ? store : "?", r->policy.profile[0] ? r->policy.profile : "no profile", date, COF_VERSION,
		       (unsigned long long)r->facts.frames, created,
		       r->facts.store.conf.flags & COF_ARCHIVE_TRIAL ? "\nThis is an archive for trials, to be thrown away." : "");
}

static int as_json(struct reporting *r, struct cof_buf *ret)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *text;
	char id[33];

	cof_hex(r->facts.store.conf.id, sizeof(r->facts.store.conf.id), id);
	cof_json_set_str(o, "archive_id", id);
	cof_json_set_str(o, "profile", r->policy.profile);
	cof_json_set_time(o, "date", r->now);
	cof_json_set_str(o, "version", COF_VERSION);
	cof_json_set_uint(o, "frames", r->facts.frames);
	cof_json_set_bool(o, "trial", r->facts.store.conf.flags & COF_ARCHIVE_TRIAL);
	cof_json_set_uint(o, "pass", r->count[PASS]);
	cof_json_set_uint(o, "fail", r->count[FAIL]);
	cof_json_set_uint(o, "manual", r->count[MANUAL]);
	cof_json_set_uint(o, "not_applicable", r->count[NOT_APPLICABLE]);
	cof_json_set(o, "rows", r->rows);
	r->rows = NULL;
	text = cof_json_text(o, true);
	cof_buf_printf(ret, "%s\n", text ? text : "");
	return text && !ret->failed ? 0 : -ENOMEM;
}

static int as_text(struct reporting *r, struct cof_buf *ret)
{
	head(r, ret);
	if (r->text.len)
		cof_buf_add(ret, r->text.data, r->text.len);
	else
		cof_buf_printf(ret, "The policy names no sources: no clause applies. --profile names one.\n");
	cof_buf_printf(ret, "\n%u PASS, %u FAIL, %u MANUAL, %u not applicable. PASS is said of what this command saw itself.\n",
		       r->count[PASS], r->count[FAIL], r->count[MANUAL], r->count[NOT_APPLICABLE]);
	return r->text.failed || ret->failed ? -ENOMEM : 0;
}

static int write_new(const char *path, const struct cof_buf *b, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
	int r = fd < 0 ? -errno : cof_write_all(fd, b->data, b->len);

	return r < 0 ? cof_fail(diag, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int hand_out(struct reporting *r, const struct cof_buf *report, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf signature = {0};
	cof_autofree char *sig = NULL;
	int err;

	if (!r->output) {
		fwrite(report->data, 1, report->len, stdout);
		return 0;
	}
	err = write_new(r->output, report, diag);
	if (err < 0 || !r->key)
		return err;
	if (asprintf(&sig, "%s.sig", r->output) < 0) {
		sig = NULL;
		return cof_fail(diag, -ENOMEM, "out of memory");
	}
	err = people_sign(r->output, PURPOSE, r->key, &signature, diag);
	return err < 0 ? err : write_new(sig, &signature, diag);
}

static int report(struct reporting *r, const char *arg, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct cof_profile_file file;
	int err = cof_crypto_init(SECURE_BYTES, diag);

	if (err == 0)
		err = facts_gather(arg, &r->opener, &r->facts, diag);
	if (err < 0)
		return err;
	r->policy = r->facts.policy;
	if (r->profile) {
		err = profile_load(r->profile, &file, NULL, diag);
		if (err < 0)
			return err;
		r->policy = file.archive;
		cof_profile_file_done(&file);
	}
	r->rows = r->json ? cof_json_array() : NULL;
	err = look(r);
	if (err == 0)
		err = r->json ? as_json(r, &text) : as_text(r, &text);
	return err < 0 ? cof_fail(diag, err, "out of memory") : hand_out(r, &text, diag);
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct reporting *r = user;

	switch (option) {
	case OPT_PROFILE:
		r->profile = optarg;
		break;
	case OPT_OUTPUT:
		r->output = optarg;
		break;
	case OPT_SIGN:
		r->key = optarg;
		break;
	case OPT_JSON:
		r->json = true;
		break;
	default:
		return opener_take(&r->opener, option);
	}
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct reporting r = {.opener = OPENER_ARGS_INIT, .now = cof_now(CLOCK_REALTIME)};
	struct cof_diag diag = {""};
	int code;

	code = options_take(self, argc, argv, take_option, &r, 1);
	if (code >= 0)
		return code;
	if (*opener_conflict(&r.opener))
		return misuse("%s", opener_conflict(&r.opener));
	if (r.key && !r.output)
		return misuse("--sign signs a file: name it with --output");
	code = report(&r, argv[optind], &diag) < 0 ? failure(&diag) : r.count[FAIL] ? EXIT_FAILS : EXIT_OK;
	facts_done(&r.facts);
	cof_buf_done(&r.text);
	cof_json_free(r.rows);
	return code;
}

const struct verb verb_compliance = {
    .name = "compliance",
    .args = "STORE",
    .summary = "the rules by their clauses, and what shows that they hold",
    .text = "Prints for each clause of the sources that the policy names PASS, FAIL, MANUAL or n/a, the fact that was "
	    "looked at, and the command that shows it. PASS is said of what this command saw in the chain, the store or the "
	    "system; MANUAL is for a person; what this version cannot do is FAIL. A mounted archive is asked through its "
	    "daemon (root only); one that is not mounted is read with its key.\n"
	    "\n"
	    "Example: a dated report, signed, and how somebody checks it\n"
	    "  coffer compliance STORE -o report.txt --sign auditor_key\n"
	    "  ssh-keygen -Y verify -f people -I carol -n coffer-compliance\n"
	    "             -s report.txt.sig < report.txt\n"
	    "\n"
	    "Exit code: 0 no clause is FAIL, 3 some are, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
