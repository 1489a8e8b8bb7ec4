/* SPDX-License-Identifier: Apache-2.0 */
/* coffer completion: a script for bash, made from the table of verbs. Installed with the program.
 */
#include "tools/coffer.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

static const char head[] =
    "# Completion of coffer for bash; made by: coffer completion bash\n"
    "_coffer_files() {\n"
    "    local IFS=$'\\n'\n"
    "    compopt -o filenames 2> /dev/null\n"
    "    COMPREPLY=($(compgen -f -- \"$1\"))\n"
    "}\n"
    "_coffer() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local verbs options= valued= filed= choices= actions= operands= choice\n"
    "    COMPREPLY=()\n";

static const char tail[] =
    "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
    "        COMPREPLY=($(compgen -W \"$verbs --help --version\" -- \"$cur\"))\n"
    "    elif [[ \" $filed \" == *\" $prev \"* ]]; then\n"
    "        _coffer_files \"$cur\"\n"
    "    elif [[ \" $valued \" == *\" $prev \"* ]]; then\n"
    "        for choice in $choices; do\n"
    "            [[ $choice != \"$prev=\"* ]] ||\n"
    "                COMPREPLY=($(compgen -W \"$(tr , ' ' <<< \"${choice#*=}\")\" -- \"$cur\"))\n"
    "        done\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options --help\" -- \"$cur\"))\n"
    "    elif [ \"$COMP_CWORD\" = 2 ] && [ -n \"$actions\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$actions\" -- \"$cur\"))\n"
    "    elif [ \"$operands\" = files ]; then\n"
    "        _coffer_files \"$cur\"\n"
    "    elif [ -n \"$operands\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$operands\" -- \"$cur\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _coffer coffer\n";

enum which { ALL, VALUED, FILES };

static void words(const char *variable, const struct verb *v, enum which which)
{
	const struct tool_option *o;
	const char *gap = "";

	printf(" %s=\"", variable);
	for (size_t i = 0; (o = option_at(v, i)) != NULL; i++) {
		if ((which == VALUED && !o->arg) || (which == FILES && !(o->arg && o->files)))
			continue;
		printf("%s--%s", gap, o->name);
		gap = " ";
	}
	putchar('"');
}

/* "--strict=yes,no --seal=…" */
static void choices(const struct verb *v)
{
	const struct tool_option *o;

	printf(" choices=\"");
	for (size_t i = 0; (o = option_at(v, i)) != NULL; i++) {
		const char *list = o->choices ? o->choices : o->arg && !o->files && strchr(o->arg, '|') ? o->arg : NULL;

		if (!list)
			continue;
		printf(" --%s=", o->name);
		for (; *list; list++)
			putchar(*list == '|' ? ',' : *list);
	}
	putchar('"');
}

static void verb_line(const struct verb *v)
{
	bool two = strchr(v->name, ' ') != NULL;

	printf(two ? "    \"%s\")" : "    %s)", v->name);
	words("options", v, ALL);
	words("valued", v, VALUED);
	words("filed", v, FILES);
	choices(v);
	if (v->actions)
		printf(" actions=\"%s\"", v->actions);
	if (v == &verb_help)
		printf(" operands=$verbs");
	else if (v == &verb_completion)
		printf(" operands=bash");
	else if (v->takes_files)
		printf(" operands=files");
	printf(" ;;\n");
}

static void print_bash(void)
{
	fputs(head, stdout);
	printf("    verbs=\"");
	for (const struct verb *const *v = verbs; *v; v++)
		if (!strchr((*v)->name, ' '))
			printf("%s%s", v == verbs ? "" : " ", (*v)->name);
	printf("\"\n    case ${COMP_WORDS[1]} in\n");
	for (const struct verb *const *v = verbs; *v; v++)
		if (!strchr((*v)->name, ' '))
			verb_line(*v);
	printf("    esac\n    [ \"$COMP_CWORD\" -lt 3 ] || case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
	for (const struct verb *const *v = verbs; *v; v++)
		if (strchr((*v)->name, ' '))
			verb_line(*v);
	printf("    esac\n");
	fputs(tail, stdout);
}

static int run(const struct verb *self, int argc, char **argv)
{
	int option = option_next(self, argc, argv);
	cof_autofree char *shown = NULL;

	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 1))
		return EXIT_USAGE;
	if (strcmp(argv[optind], "bash")) {
		shown = escaped(argv[optind]);
		return misuse("no completion for '%s'; there is one for bash", shown ? shown : "?");
	}
	print_bash();
	return EXIT_OK;
}

static const struct tool_option options[] = {{0}};

const struct verb verb_completion = {
    .name = "completion",
    .args = "bash",
    .summary = "a completion script for the shell",
    .text = "Prints a script that completes verbs, options and file names in bash. It is installed "
	    "with the program; to try it in a running shell:\n"
	    "  source <(coffer completion bash)",
    .options = options,
    .run = run,
};
