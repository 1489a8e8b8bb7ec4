/* SPDX-License-Identifier: Apache-2.0 */
/* coffer help: what there is, and what one verb takes. All of it comes from the table of verbs. */
#include "tools/coffer.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define WIDTH 79
#define OPTION_COLUMN 26

static void print(struct cof_buf *b)
{
	if (b->failed)
		complain("out of memory");
	else
		fwrite(b->data, 1, b->len, stdout);
	cof_buf_done(b);
}

static void option_help(struct cof_buf *b, const char *name, const char *arg, const char *help)
{
	size_t before = b->len;
	int column;

	cof_buf_printf(b, "  --%s%s%s", name, arg ? " " : "", arg ? arg : "");
	column = (int)(b->len - before);
	if (column > OPTION_COLUMN - 2) {
		cof_buf_add(b, "\n", 1);
		column = 0;
	}
	wrap(b, help, column, OPTION_COLUMN, WIDTH);
}

/* Verbs of two words whose first this is. */
static void more_help(struct cof_buf *b, const char *first)
{
	size_t n = strlen(first), listed = 0;

	for (const struct verb *const *v = verbs; *v; v++) {
		if (strncmp((*v)->name, first, n) != 0 || (*v)->name[n] != ' ')
			continue;
		if (!listed++)
			cof_buf_printf(b, "\nMore, each with its own --help and page:\n");
		cof_buf_printf(b, "  coffer %-18s %s\n", (*v)->name, (*v)->summary);
	}
}

void help_print(const struct verb *v)
{
	const struct tool_option *o;
	struct cof_buf b = {0};

	cof_buf_printf(&b, "usage: coffer %s", v->name);
	if (option_at(v, 0))
		cof_buf_printf(&b, " [OPTION]...");
	cof_buf_printf(&b, "%s%s\n\n", *v->args ? " " : "", v->args);
	wrap(&b, v->text, 0, 0, WIDTH);
	cof_buf_printf(&b, "\nOptions:\n");
	for (size_t i = 0; (o = option_at(v, i)) != NULL; i++)
		option_help(&b, o->name, o->arg, o->help);
	option_help(&b, "help", NULL, "print this and end");
	more_help(&b, v->name);
	print(&b);
}

void help_overview(void)
{
	struct cof_buf b = {0};

	cof_buf_printf(&b,
		       "coffer %s: archives that only grow, encrypted, chained and verifiable\n\n",
		       COF_VERSION);
	for (const struct verb *const *v = verbs; *v; v++)
		if (!strchr((*v)->name, ' '))
			cof_buf_printf(&b, "  coffer %-11s %s\n", (*v)->name, (*v)->summary);
	cof_buf_printf(&b,
		       "\nA first archive:\n"
		       "  coffer init /srv/store --shelf audit --new-key-file /root/store.key\n"
		       "  mount -t coffer /srv/store /mnt/store -o key-file=/root/store.key\n"
		       "  coffer verify /srv/store\n"
		       "\nEach verb explains itself: coffer VERB --help, and man coffer-VERB.\n");
	print(&b);
}

static int run(const struct verb *self, int argc, char **argv)
{
	const struct verb *v;
	char two[32];
	int option = option_next(self, argc, argv);

	if (option != OPTION_END)
		return option_exit(option);
	if (optind == argc) {
		help_overview();
		return EXIT_OK;
	}
	if (argc - optind > 1) {
		(void)snprintf(two, sizeof(two), "%.15s %.15s", argv[optind], argv[optind + 1]);
		v = verb_find(two);
		if (argc - optind > 2 || !v)
			return operands_are(self, argc, argv, 1) ? EXIT_OK : EXIT_USAGE;
		help_print(v);
		return EXIT_OK;
	}
	v = verb_find(argv[optind]);
	if (!v) {
		const char *near = nearest_verb(argv[optind]);
		cof_autofree char *shown = escaped(argv[optind]);

		return near ? misuse("no verb '%s'; did you mean '%s'?", shown ? shown : "?", near)
			    : misuse("no verb '%s'", shown ? shown : "?");
	}
	help_print(v);
	return EXIT_OK;
}

static const struct tool_option options[] = {{0}};

const struct verb verb_help = {
    .name = "help",
    .args = "[VERB]",
    .summary = "what there is, or what a verb takes",
    .text = "Lists the verbs, or explains one of them.",
    .options = options,
    .run = run,
};
