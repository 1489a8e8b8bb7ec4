/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the coffer command share: the table, options, exit codes, messages. */
#ifndef COFFER_H
#define COFFER_H

#include "base/base.h"

enum { /* exit codes; verify adds those of enum cof_verdict */
       EXIT_OK = 0,
       EXIT_FAILED = 1,
       EXIT_USAGE = 2,
};

/* One option of a verb. Help, completion and the parser all come from this. */
struct tool_option {
	const char *name; /* long name without dashes; NULL ends a table */
	const char *arg;  /* what stands for the value, or NULL */
	const char *help; /* one paragraph, wrapped by who prints it */
	bool files;       /* completion offers file names */
	char letter;      /* the same in one letter, or 0 */
	const char *choices; /* completion offers these, with commas; an arg such as "yes|no" needs none */
};

struct verb {
	const char *name;    /* one word, or two: "escrow sheet" */
	const char *args;    /* what follows the options: "STORE" */
	const char *summary; /* one line, at most 58 characters; of two words 50 */
	const char *text;    /* paragraphs for --help; an indented line is kept as it is */
	const struct tool_option *options;
	const struct tool_option *more; /* options that it shares with others, or NULL */
	int (*run)(const struct verb *self, int argc, char **argv); /* an exit code */
	bool takes_files;                                           /* for completion */
	const char *actions; /* for completion: what the first operand may be, with blanks; or NULL */
};

extern const struct verb *const verbs[]; /* NULL-terminated */
extern const struct verb verb_init, verb_status, verb_verify, verb_log, verb_events, verb_event, verb_review, verb_change, verb_incident, verb_evidence, verb_gaps, verb_import_events, verb_coverage, verb_blame, verb_ls,
    verb_find_files, verb_commit, verb_retain, verb_explain, verb_shelf, verb_hold, verb_clock, verb_policy, verb_plan, verb_calendar, verb_due, verb_compliance, verb_people, verb_request, verb_approve, verb_refuse, verb_requests, verb_seal, verb_escrow, verb_ceremony, verb_share, verb_unlock, verb_recover, verb_vault, verb_sync, verb_restore, verb_runbook, verb_handover, verb_self_check, verb_conform, verb_help,
    verb_escrow_epoch, verb_escrow_confirm,
    verb_escrow_init, verb_escrow_accept, verb_escrow_put, verb_escrow_list, verb_escrow_show,
    verb_escrow_recover, verb_escrow_rotate, verb_escrow_reshare, verb_escrow_status, verb_escrow_inventory, verb_escrow_revoke, verb_escrow_enroll, verb_escrow_destroyed,
    verb_escrow_sheet, verb_escrow_kit, verb_escrow_statement, verb_escrow_drill, verb_escrow_schedule, verb_escrow_due, verb_escrow_medium, verb_escrow_token, verb_escrow_tpm_end,
    verb_version, verb_completion;
extern const struct verb verb_destroy;

const struct verb *verb_find(const char *name);
/* The verb or option (out of names, NULL-terminated) that was probably meant; NULL: none is near.
 */
const char *nearest(const char *word, const char *const *names);
const char *nearest_verb(const char *word);

/* ---- options (options.c) ---- */

enum { OPTION_END = -1, OPTION_HELP = -2, OPTION_BAD = -3 };

#define OPTION_MORE 64 /* of v->more the index and this */

/* The option with this number, own ones from 0 on and then shared ones without a gap; NULL behind the
 * last. */
const struct tool_option *option_at(const struct verb *v, size_t n);
/* The index in v->options of the next option (its value is optarg); OPTION_END when only operands
 * are left (from optind on). OPTION_HELP: help was printed; OPTION_BAD: the error was. */
int option_next(const struct verb *v, int argc, char **argv);
/* Exactly this many operands, or a message naming what is missing or too much. */
bool operands_are(const struct verb *v, int argc, char **argv, int count);
/* As operands_are, for any number between these; most < 0: no upper bound. */
bool operands_within(const struct verb *v, int argc, char **argv, int least, int most);
/* What most verbs begin with: each option given to take (EXIT_OK, or what misuse gives), then exactly so many
 * operands. The exit code to end with, or -1: go on, from optind. */
int options_take(const struct verb *v, int argc, char **argv, int (*take)(void *user, int option), void *user,
		 int operands);
/* The exit code for OPTION_HELP and OPTION_BAD. */
static inline int option_exit(int option)
{
	return option == OPTION_HELP ? EXIT_OK : EXIT_USAGE;
}

/* ---- help (cmd-help.c) ---- */

void help_print(const struct verb *v);
void help_overview(void);

/* ---- messages: "coffer verb: ..." on standard error ---- */

void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A usage error: the message, and where help is. Returns EXIT_USAGE. */
int misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What diag says, escaped. Returns EXIT_FAILED. */
int failure(const struct cof_diag *diag);

#endif
