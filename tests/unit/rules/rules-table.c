/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes docs/rules.md from the rules themselves, or compares it.
 *
 *   rules-table            the page, to standard output
 *   rules-table --tsv      one line per attempt, state and person, for programs:
 *                          key, state, who, errno or 0, effect, "kernel" or "coffer",
 *                          "recorded" or "-", rule, operation, reason
 *   rules-table --check F  1 where F is not what the page would be
 */
#include "rules-rows.h"

#include <fcntl.h>
#include <stdio.h>

struct verdict {
	struct cof_ruling rl;
	bool kernel;
};

static const char *error_name(int error)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {{EPERM, "EPERM"},           {EACCES, "EACCES"}, {EINVAL, "EINVAL"},
		     {EROFS, "EROFS"},           {EISDIR, "EISDIR"}, {ENOTDIR, "ENOTDIR"},
		     {ENODEV, "ENODEV"},         {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"},
		     {EDQUOT, "EDQUOT"},         {EFBIG, "EFBIG"},   {ENOTEMPTY, "ENOTEMPTY"},
		     {ENOENT, "ENOENT"},
		     {EOPNOTSUPP, "EOPNOTSUPP"}, {ENOSYS, "ENOSYS"}};

	for (size_t i = 0; i < COF_COUNT(names); i++)
		if (names[i].error == -error)
			return names[i].name;
	return error ? "?" : "0";
}

static const struct {
	const char *key, *text;
} effects[] = {
    [COF_EFFECT_NONE] = {"none", "accepted, changes nothing"},
    [COF_EFFECT_APPEND] = {"append", "the bytes are added at the end"},
    [COF_EFFECT_HOLE] = {"hole", "a hole up to there is recorded, then what is written"},
    [COF_EFFECT_CREATE] = {"create", "it is made"},
    [COF_EFFECT_ATTR] = {"attr", "the change is recorded"},
    [COF_EFFECT_COMMIT] = {"commit", "the file is committed"},
    [COF_EFFECT_RENAME] = {"rename", "the new name is recorded"},
    [COF_EFFECT_REMOVE] = {"remove", "the name goes; that it was there stays on record"},
    [COF_EFFECT_EXTEND] = {"extend", "the retention is extended"},
    [COF_EFFECT_ASK] = {"ask", "the retention is asked for, and granted at the commit"},
    [COF_EFFECT_SHELF] = {"shelf", "the shelf and its policy are recorded"},
    [COF_EFFECT_HOLD] = {"hold", "the hold begins or ends, and that is recorded"},
    [COF_EFFECT_EVENT] = {"event", "recorded: the retention waits for the event, or counts from it"},
    [COF_EFFECT_END] = {"end", "the earlier end is recorded"},
    [COF_EFFECT_DESTROY] = {"destroy", "keys and bytes go; name and history stay"},
    [COF_EFFECT_ASK_REMOVE] = {"asked", "that it shall go is recorded"},
    [COF_EFFECT_ECHO] = {"echo", "acknowledged again where the bytes are equal"},
};

static bool same(const struct verdict *a, const struct verdict *b)
{
	return a->kernel == b->kernel && a->rl.error == b->rl.error &&
	       a->rl.effect == b->rl.effect && a->rl.record == b->rl.record &&
	       a->rl.commit_first == b->rl.commit_first && !strcmp(a->rl.rule, b->rl.rule) &&
	       !strcmp(a->rl.reason, b->rl.reason);
}

static struct verdict judge(const struct row_attempt *a, int state, int who)
{
	struct verdict v;

	v.kernel = row_judge(a, (enum row_state)state, (enum row_who)who, &v.rl);
	return v;
}

/* Between bars nothing may look like one. */
static void put_verdict(struct cof_buf *b, const struct verdict *v)
{
	const struct cof_ruling *rl = &v->rl;
	const char *first = rl->commit_first ? "the file is committed first (autocommit)" : "";

	if (rl->error)
		cof_buf_printf(b, "%s | %s%s | %s | %s | %s |\n", error_name(rl->error),
			       rl->effect == COF_EFFECT_ASK_REMOVE ? "refused, and recorded that it shall go"
			       : rl->record			   ? "refused and recorded" : "refused",
			       rl->commit_first ? "; the file is committed first" : "",
			       v->kernel ? "kernel" : "Coffer", rl->rule, rl->reason);
	else
		cof_buf_printf(b, "– | %s%s%s | Coffer | %s | |\n", first, *first ? "; " : "",
			       rl->effect == COF_EFFECT_ASK && rl->asked_until == COF_RETAIN_NONE
				   ? "what was asked for is withdrawn"
				   : effects[rl->effect].text,
			       strcmp(rl->rule, "allowed") ? rl->rule : "");
}

static void put_people(struct cof_buf *b, unsigned who)
{
	const char *comma = "";

	if (who == (1u << ROW_WHO_) - 1) {
		cof_buf_printf(b, "anybody");
		return;
	}
	for (int w = 0; w < ROW_WHO_; w++)
		if (who >> w & 1) {
			cof_buf_printf(b, "%s%s", comma, row_who_names[w]);
			comma = ", ";
		}
}

static void put_states(struct cof_buf *b, unsigned states)
{
	const char *comma = "";

	for (int s = 0; s < ROW_STATES_; s++)
		if (states >> s & 1) {
			cof_buf_printf(b, "%s%s", comma, row_state_names[s]);
			comma = "; ";
		}
}

/* States whose verdicts are the same for all three become one, and people with the same verdict as
 * well. */
static void put_attempt(struct cof_buf *b, const struct row_attempt *a)
{
	unsigned left = a->states;

	cof_buf_printf(b, "\n### %s\n\n", a->what);
	cof_buf_printf(b, "| State | Who | Errno | Effect | Decided by | Rule | Reason |\n"
			  "|---|---|---|---|---|---|---|\n");
	for (int s = 0; s < ROW_STATES_; s++) {
		struct verdict first[ROW_WHO_];
		unsigned states = 0, people = (1u << ROW_WHO_) - 1;

		if (!(left >> s & 1))
			continue;
		for (int w = 0; w < ROW_WHO_; w++)
			first[w] = judge(a, s, w);
		for (int t = s; t < ROW_STATES_; t++) {
			bool equal = left >> t & 1;

			for (int w = 0; equal && w < ROW_WHO_; w++) {
				struct verdict v = judge(a, t, w);

				equal = same(&v, &first[w]);
			}
			if (equal)
				states |= 1u << t;
		}
		left &= ~states;
		for (int w = 0; w < ROW_WHO_; w++) {
			unsigned who = 0;

			if (!(people >> w & 1))
				continue;
			for (int x = w; x < ROW_WHO_; x++)
				if (same(&first[w], &first[x]))
					who |= 1u << x;
			people &= ~who;
			cof_buf_printf(b, "| ");
			put_states(b, states);
			cof_buf_printf(b, " | ");
			put_people(b, who);
			cof_buf_printf(b, " | ");
			put_verdict(b, &first[w]);
		}
	}
}

static const char head[] =
    "# What is allowed, what is refused, and by what rule\n\n"
    "This page is written by a program from the rules that the mount asks at every request, and a "
    "test\n"
    "compares the two. `coffer explain OP PATH` answers the same for one attempt.\n\n"
    "- **State** is what the attempt is made on. *Open* files grow and never change below their "
    "end;\n"
    "  *committed* ones never change; *expired* ones are committed and their retention is over.\n"
    "  A file that is gone can still be held by a descriptor: *removed while it was open*.\n"
    "- **Who**: *other users* have no write permission by the mode (0644, committed files 0444; "
    "directories\n"
    "  on the way are writable, but for the top directory, whose mode is fixed at 0755), *owner* "
    "is the file's,\n"
    "  *root* is uid 0, to whom the top directory belongs.\n"
    "  Nobody is exempt from the rules.\n"
    "- **Errno** is what the program is told; – where it succeeds. A refusal never has a partial "
    "effect.\n"
    "- **Effect**: *recorded* refusals become an event in the log (who, what, path, rule). "
    "Refusals by the\n"
    "  kernel never reach Coffer and are not in its log; audit rules catch them.\n"
    "- **Decided by** the kernel (before Coffer is asked: permissions of the mode, ownership, what "
    "FUSE\n"
    "  does not pass on) or by Coffer.\n"
    "- **Rule** is the short name of the refusal in events. In COMMIT and EXTEND frames it tells "
    "how the\n"
    "  end was found: *default* (nothing was asked for), *asked*, *clamped-min* and *clamped-max* "
    "(the shelf's\n"
    "  bounds moved what was asked for), *autocommit*, *none* (the shelf has no retention: such "
    "files never\n"
    "  end). What was asked for and what was granted both stand in the frame.\n\n"
    "Ends are judged in retention time, which only goes forward and never follows the wall clock. "
    "A file\n"
    "with `autocommit` due counts as committed from then on, also before the frame that says so is "
    "written.\n"
    "What is *on hold* stays whatever its retention says, and is not over while it is held. *Approved* means that a\n"
    "request has the signatures that the shelf's rule asks for. Withdrawal from staging is not in\n"
    "this version.\n\n"
    "The shelf's policy, where nothing else is said:\n\n";

static void put_page(struct cof_buf *b)
{
	cof_buf_printf(b, "%s```\n%s```\n", head, row_policy);
	for (size_t i = 0; i < row_attempts_count; i++) {
		if (row_attempts[i].section)
			cof_buf_printf(b, "\n## %s\n", row_attempts[i].section);
		put_attempt(b, &row_attempts[i]);
	}
}

static void put_tsv(struct cof_buf *b)
{
	for (size_t i = 0; i < row_attempts_count; i++)
		for (int s = 0; s < ROW_STATES_; s++)
			for (int w = 0; w < ROW_WHO_; w++) {
				struct verdict v = judge(&row_attempts[i], s, w);

				if (row_attempts[i].states >> s & 1 && !row_attempts[i].by_request)
					cof_buf_printf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
						       row_attempts[i].key, row_state_keys[s],
						       row_who_keys[w], error_name(v.rl.error),
						       effects[v.rl.effect].key,
						       v.kernel ? "kernel" : "coffer",
						       v.rl.record ? "recorded" : "-", v.rl.rule,
						       cof_op_name(row_attempts[i].op.kind),
						       v.rl.reason);
			}
}

static int check(const char *path, const struct cof_buf *page)
{
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0, cap = page->len + 1;
	cof_autofree char *there = malloc(cap);
	int r = fd < 0 ? -errno : there ? cof_read_all(fd, there, cap, &n) : -ENOMEM;

	if (r == 0 && n == page->len && !memcmp(there, page->data, n))
		return 0;
	fprintf(stderr,
		"%s is not what the rules say; write it anew with rules-table > docs/rules.md\n",
		path);
	return 1;
}

int main(int argc, char **argv)
{
	cof_autobuf struct cof_buf text = {0};

	if (argc == 2 && !strcmp(argv[1], "--tsv"))
		put_tsv(&text);
	else if (argc == 1 || (argc == 3 && !strcmp(argv[1], "--check")))
		put_page(&text);
	else
		return fprintf(stderr, "rules-table [--tsv | --check FILE]\n"), 2;
	if (text.failed)
		return fprintf(stderr, "rules-table: out of memory\n"), 1;
	if (argc == 3)
		return check(argv[2], &text);
	return fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0 ? 0 : 1;
}
