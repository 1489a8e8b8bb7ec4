/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a verb, and the word that was probably meant. */
#include "test-tools.h"

#include "tools/coffer.h"

#include <getopt.h>

static const struct tool_option table[] = {
    {"shelf", "NAME", "a shelf", false},
    {"json", NULL, "as JSON", false},
    {"key-file", "FILE", "a key", true},
    {0},
};
static const struct tool_option shared[] = {
    {"seal", "KIND", "what opens it", false},
    {"pin", NULL, "with a PIN", false},
    {0},
};
static const struct verb sharing = {.name = "try", .args = "STORE", .options = table, .more = shared};
static const struct verb verb = {.name = "try", .args = "STORE", .options = table};

static char **words;
static int count;

/* The first option; next() gives the others. */
static int run_with(char **argv)
{
	words = argv;
	for (count = 0; argv[count]; count++)
		;
	optind = 0; /* glibc: begin anew */
	last_complaint[0] = '\0';
	helped = NULL;
	return option_next(&verb, count, words);
}

static int next(void)
{
	return option_next(&verb, count, words);
}

static void complained(const char *part)
{
	ck_assert_msg(strstr(last_complaint, part) != NULL, "'%s' does not say '%s'",
		      last_complaint, part);
}

START_TEST(options_and_operands)
{
	char *argv[] = {(char *)"try",    (char *)"--shelf",      (char *)"a", (char *)"store",
			(char *)"--json", (char *)"--key-file=k", NULL};

	ck_assert_int_eq(run_with(argv), 0);
	ck_assert_str_eq(optarg, "a");
	ck_assert_int_eq(next(), 1);
	ck_assert_int_eq(next(), 2);
	ck_assert_str_eq(optarg, "k");
	ck_assert_int_eq(next(), OPTION_END);
	ck_assert(operands_are(&verb, count, words, 1));
	ck_assert_str_eq(words[optind], "store");
	ck_assert_str_eq(last_complaint, "");
}
END_TEST

/* Own options keep their numbers, shared ones follow from OPTION_MORE on. */
START_TEST(shared_options)
{
	char *argv[] = {(char *)"try", (char *)"--pin", (char *)"--json", (char *)"--seal=tpm2", NULL};
	char *wrong[] = {(char *)"try", (char *)"--sael=tpm2", NULL};

	optind = 0;
	ck_assert_int_eq(option_next(&sharing, 4, argv), OPTION_MORE + 1);
	ck_assert_int_eq(option_next(&sharing, 4, argv), 1);
	ck_assert_int_eq(option_next(&sharing, 4, argv), OPTION_MORE);
	ck_assert_str_eq(optarg, "tpm2");
	ck_assert_int_eq(option_next(&sharing, 4, argv), OPTION_END);
	ck_assert_str_eq(option_at(&sharing, 2)->name, "key-file");
	ck_assert_str_eq(option_at(&sharing, 3)->name, "seal");
	ck_assert_ptr_null(option_at(&sharing, 5));
	ck_assert_ptr_null(option_at(&verb, 3));
	optind = 0;
	ck_assert_int_eq(option_next(&sharing, 2, wrong), OPTION_BAD);
	complained("did you mean '--seal'?");
}
END_TEST

START_TEST(dashes_end_options)
{
	char *argv[] = {(char *)"try", (char *)"--", (char *)"--json", NULL};

	ck_assert_int_eq(run_with(argv), OPTION_END);
	ck_assert(operands_are(&verb, count, words, 1));
	ck_assert_str_eq(words[optind], "--json");
}
END_TEST

START_TEST(operands_missing_or_too_many)
{
	char *none[] = {(char *)"try", NULL};
	char *two[] = {(char *)"try", (char *)"a", (char *)"b\033", NULL};

	ck_assert_int_eq(run_with(none), OPTION_END);
	ck_assert(!operands_are(&verb, count, words, 1));
	complained("STORE is missing");
	ck_assert_int_eq(run_with(two), OPTION_END);
	ck_assert(!operands_are(&verb, count, words, 1));
	complained("too many arguments: 'b\\x1b'");
}
END_TEST

START_TEST(help_is_an_option)
{
	char *argv[] = {(char *)"try", (char *)"--help", NULL};
	char *brief[] = {(char *)"try", (char *)"-h", NULL};

	ck_assert_int_eq(run_with(argv), OPTION_HELP);
	ck_assert_str_eq(helped, "try");
	ck_assert_int_eq(option_exit(OPTION_HELP), EXIT_OK);
	ck_assert_int_eq(run_with(brief), OPTION_HELP);
	ck_assert_int_eq(option_exit(OPTION_BAD), EXIT_USAGE);
}
END_TEST

static void bad(char *word, const char *complaint)
{
	char *argv[] = {(char *)"try", word, NULL};

	ck_assert_int_eq(run_with(argv), OPTION_BAD);
	complained(complaint);
}

START_TEST(bad_options)
{
	bad((char *)"--shelf", "option '--shelf' needs a value");
	bad((char *)"--json=yes", "option '--json' takes no value");
	bad((char *)"--jsno", "unknown option '--jsno'; did you mean '--json'?");
	bad((char *)"--kye-file=x", "did you mean '--key-file'?");
	bad((char *)"--quantum", "unknown option '--quantum'");
	ck_assert(!strstr(last_complaint, "did you mean"));
	bad((char *)"-x", "unknown option '-x'");
	bad((char *)"-xy", "unknown option '-xy'");
	bad((char *)"--\033[2J", "unknown option '--\\x1b[2J'");
}
END_TEST

START_TEST(nearest_word)
{
	static const char *const names[] = {"init", "status", "verify", "log", "blame", NULL};

	ck_assert_str_eq(nearest("verfiy", names), "verify"); /* neighbours swapped: one edit */
	ck_assert_str_eq(nearest("statsu", names), "status");
	ck_assert_str_eq(nearest("inti", names), "init");
	ck_assert_str_eq(nearest("lgo", names), "log");
	ck_assert_str_eq(nearest("stat", names), "status"); /* the beginning of it */
	ck_assert_str_eq(nearest("veri", names), "verify");
	ck_assert_str_eq(nearest("blaame", names), "blame");
	ck_assert_ptr_null(nearest("xyz", names));
	ck_assert_ptr_null(nearest("mount", names));
	ck_assert_ptr_null(nearest("", names));
	ck_assert_ptr_null(nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", names));
}
END_TEST

TCase *options_case(void)
{
	TCase *t = tcase_create("options");

	tcase_add_test(t, options_and_operands);
	tcase_add_test(t, shared_options);
	tcase_add_test(t, dashes_end_options);
	tcase_add_test(t, operands_missing_or_too_many);
	tcase_add_test(t, help_is_an_option);
	tcase_add_test(t, bad_options);
	tcase_add_test(t, nearest_word);
	return t;
}
