/* SPDX-License-Identifier: Apache-2.0 */
/* The coffer command: finds the verb and runs it. */
#include "tools/coffer.h"
#include "tools/output.h"

#include <signal.h>
#include <stdio.h>

const struct verb *const verbs[] = {
    &verb_init,       &verb_status,  &verb_verify,     &verb_log,     &verb_events, &verb_event, &verb_review, &verb_change, &verb_incident, &verb_evidence, &verb_gaps, &verb_import_events, &verb_coverage, &verb_blame, &verb_ls,
    &verb_find_files, &verb_commit,  &verb_retain,     &verb_explain, &verb_shelf, &verb_hold, &verb_clock, &verb_policy, &verb_plan, &verb_calendar, &verb_due, &verb_compliance, &verb_people, &verb_request, &verb_approve, &verb_refuse, &verb_requests, &verb_seal, &verb_escrow, &verb_ceremony, &verb_share,
    &verb_escrow_epoch, &verb_escrow_confirm,
    &verb_escrow_init, &verb_escrow_accept, &verb_escrow_put, &verb_escrow_list, &verb_escrow_show,
    &verb_escrow_recover, &verb_escrow_rotate, &verb_escrow_reshare, &verb_escrow_status, &verb_escrow_inventory, &verb_escrow_revoke, &verb_escrow_enroll, &verb_escrow_destroyed,
    &verb_escrow_sheet, &verb_escrow_kit, &verb_escrow_statement, &verb_escrow_drill, &verb_escrow_schedule, &verb_escrow_due, &verb_escrow_medium, &verb_escrow_token, &verb_escrow_tpm_end,
    &verb_unlock,     &verb_recover,    &verb_vault, &verb_sync, &verb_restore, &verb_runbook, &verb_handover, &verb_self_check,   &verb_conform,    &verb_destroy, &verb_help,       &verb_version, &verb_completion, NULL,
};

static const char *arg_verb; /* for messages */

static void complain_v(const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "coffer%s%s: ", arg_verb ? " " : "", arg_verb ? arg_verb : "");
	print_disarmed(stderr, fmt, ap);
	fputc('\n', stderr);
}

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain_v(fmt, ap);
	va_end(ap);
}

int misuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain_v(fmt, ap);
	va_end(ap);
	fprintf(stderr, "See: coffer%s%s --help\n", arg_verb ? " " : "", arg_verb ? arg_verb : "");
	return EXIT_USAGE;
}

int failure(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return EXIT_FAILED;
}

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *v = verbs; *v; v++) {
		if (!strcmp((*v)->name, name))
			return *v;
	}
	return NULL;
}

const char *nearest_verb(const char *word)
{
	const char *names[COF_COUNT(verbs)];

	for (size_t i = 0; i < COF_COUNT(verbs); i++)
		names[i] = verbs[i] ? verbs[i]->name : NULL;
	return nearest(word, names);
}

static int unknown(const char *word)
{
	const char *near = nearest_verb(word);
	cof_autofree char *shown = escaped(word);

	if (near)
		return misuse("unknown verb '%s'; did you mean '%s'?", shown ? shown : "?", near);
	return misuse("unknown verb '%s'", shown ? shown : "?");
}

/* Options where a verb is expected. */
static int before_verb(const char *option)
{
	if (!strcmp(option, "--help") || !strcmp(option, "-h")) {
		help_overview();
		return EXIT_OK;
	}
	if (!strcmp(option, "--version") || !strcmp(option, "-V"))
		return verb_version.run(&verb_version, 1, (char *[]){(char *)"version", NULL});
	return misuse("the verb comes first, options behind it: coffer VERB %s",
		      !strncmp(option, "--", 2) ? option : "[OPTION]");
}

/* "escrow" and "sheet": a verb of two words has its own options, help and page. NULL: there is none. */
static const struct verb *verb_find_two(const char *first, const char *second)
{
	char name[32];
	int n = snprintf(name, sizeof(name), "%s %s", first, second);

	return n > 0 && n < (int)sizeof(name) ? verb_find(name) : NULL;
}

static int run(int argc, char **argv)
{
	const struct verb *v, *two;

	if (argc < 2) {
		help_overview();
		return EXIT_OK;
	}
	if (argv[1][0] == '-')
		return before_verb(argv[1]);
	two = argc > 2 ? verb_find_two(argv[1], argv[2]) : NULL;
	if (two) {
		arg_verb = two->name;
		return two->run(two, argc - 2, argv + 2);
	}
	v = verb_find(argv[1]);
	if (!v)
		return unknown(argv[1]);
	arg_verb = v->name;
	return v->run(v, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int code;

	/* a reader that went away shows as an error of the write, and ends us in order */
	signal(SIGPIPE, SIG_IGN);
	code = run(argc, argv);
	if (output_finish() < 0 && code == EXIT_OK)
		code = EXIT_FAILED;
	return code;
}
