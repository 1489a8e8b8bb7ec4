/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a verb by getopt_long, with messages that name the option and the nearest one. */
#include "tools/coffer.h"
#include "tools/output.h"

#include <getopt.h>
#include <stdio.h>

#define OPTIONS_MAX 40
#define FIRST 256 /* what getopt returns for the first option of the table */

/* Distance in edits (insert, delete, replace, swap of neighbours), at most 9. */
static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned row[3][24];

	if (n > 22 || m > 22)
		return 9;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned same = last[j - 1] + (a[i - 1] != b[j - 1]);

			now[j] = COF_MIN(same, COF_MIN(last[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = COF_MIN(now[j], before[j - 2] + 1);
		}
	}
	return COF_MIN(row[n % 3][m], 9u);
}

const char *nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned least = strlen(word) < 5 ? 2 : 3; /* this far is too far */

	for (; *names; names++) {
		unsigned d = distance(word, *names);

		if (strlen(word) >= 3 && !strncmp(word, *names, strlen(word)))
			d = COF_MIN(d, 1u);
		if (d < least) {
			least = d;
			best = *names;
		}
	}
	return best;
}

static size_t count(const struct tool_option *o)
{
	size_t n = 0;

	while (o && o[n].name)
		n++;
	return n;
}

const struct tool_option *option_at(const struct verb *v, size_t n)
{
	size_t own = count(v->options);

	if (n < own)
		return &v->options[n];
	return n - own < count(v->more) ? &v->more[n - own] : NULL;
}

/* What getopt gave, as option_next tells it. */
static int number(const struct verb *v, int n)
{
	int own = (int)count(v->options);

	return n < own ? n : OPTION_MORE + n - own;
}

static size_t long_options(const struct verb *v, struct option *out)
{
	const struct tool_option *o;
	size_t n = 0;

	for (; (o = option_at(v, n)) != NULL && n < OPTIONS_MAX - 2; n++)
		out[n] = (struct option){.name = o->name,
					 .has_arg = o->arg ? required_argument : no_argument,
					 .val = FIRST + (int)n};
	out[n] = (struct option){.name = "help", .val = 'h'};
	memset(&out[n + 1], 0, sizeof(out[0]));
	return n + 1;
}

static void short_options(const struct verb *v, char *out)
{
	*out++ = ':';
	*out++ = 'h';
	for (const struct tool_option *o = v->options; o && o->name; o++) {
		if (o->letter) {
			*out++ = o->letter;
			if (o->arg)
				*out++ = ':';
		}
	}
	*out = '\0';
}

/* The index of the option with this letter: getopt gave it, so there is one. */
static int lettered(const struct verb *v, int letter)
{
	int n = 0;

	while (v->options[n].letter != letter)
		n++;
	return n;
}

static void bad_option(const struct verb *v, const char *word, const struct option *options,
		       size_t n)
{
	const char *names[OPTIONS_MAX + 1], *near;
	cof_autofree char *shown = escaped(word);
	size_t len = strcspn(word, "=");
	char bare[32] = "";

	(void)v;
	for (size_t i = 0; i < n; i++)
		names[i] = options[i].name;
	names[n] = NULL;
	if (len > 2 && len - 2 < sizeof(bare) && !strncmp(word, "--", 2))
		memcpy(bare, word + 2, len - 2);
	near = bare[0] ? nearest(bare, names) : NULL;
	if (near)
		misuse("unknown option '%s'; did you mean '--%s'?", shown ? shown : "?", near);
	else
		misuse("unknown option '%s'", shown ? shown : "?");
}

int option_next(const struct verb *v, int argc, char **argv)
{
	struct option options[OPTIONS_MAX];
	size_t n = long_options(v, options);
	char letters[2 * OPTIONS_MAX + 3];
	int at = optind ? optind : 1, c;

	opterr = 0;
	short_options(v, letters);
	c = getopt_long(argc, argv, letters, options, NULL);
	if (c == -1)
		return OPTION_END;
	if (c == 'h') {
		help_print(v);
		return OPTION_HELP;
	}
	if (c == ':') {
		misuse("option '%s' needs a value", argv[optind - 1]);
		return OPTION_BAD;
	}
	if (c >= FIRST)
		return number(v, c - FIRST);
	if (c != '?')
		return lettered(v, c);
	if (optopt >= FIRST) {
		misuse("option '--%s' takes no value", options[optopt - FIRST].name);
		return OPTION_BAD;
	}
	/* a word of short options stays in place until its last letter was read */
	bad_option(v, argv[optind > at ? optind - 1 : optind], options, n);
	return OPTION_BAD;
}

bool operands_within(const struct verb *v, int argc, char **argv, int least, int most)
{
	int have = argc - optind;

	if (have >= least && (most < 0 || have <= most))
		return true;
	if (have < least)
		misuse("%s is missing", v->args);
	else {
		cof_autofree char *shown = escaped(argv[optind + most]);

		misuse("too many arguments: '%s'", shown ? shown : "?");
	}
	return false;
}

bool operands_are(const struct verb *v, int argc, char **argv, int count)
{
	return operands_within(v, argc, argv, count, count);
}

int options_take(const struct verb *v, int argc, char **argv, int (*take)(void *user, int option), void *user,
		 int operands)
{
	int option, code;

	while ((option = option_next(v, argc, argv)) >= 0) {
		code = take(user, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	return operands_are(v, argc, argv, operands) ? -1 : EXIT_USAGE;
}
