/* SPDX-License-Identifier: Apache-2.0 */
/* coffer version. */
#include "tools/coffer.h"

#include <getopt.h>
#include <stdio.h>

static int run(const struct verb *self, int argc, char **argv)
{
	int option = option_next(self, argc, argv);

	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_are(self, argc, argv, 0))
		return EXIT_USAGE;
	printf("coffer %s (store format 1)\n", COF_VERSION);
	return EXIT_OK;
}

static const struct tool_option options[] = {{0}};

const struct verb verb_version = {
    .name = "version",
    .args = "",
    .summary = "which version this is",
    .text = "Prints the version of the program and of the store's format.",
    .options = options,
    .run = run,
};
