/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of the coffer command's parts, and stands in for its messages and its help. */
#include "test-tools.h"

#include "tools/coffer.h"

#include <stdio.h>

char last_complaint[512];
const char *helped;

void complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_complaint, sizeof(last_complaint), fmt, ap);
	va_end(ap);
}

int misuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_complaint, sizeof(last_complaint), fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

void help_print(const struct verb *v)
{
	helped = v->name;
}

int main(void)
{
	Suite *s = suite_create("tools");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, about_case());
	suite_add_tcase(s, auditor_case());
	suite_add_tcase(s, coverage_case());
	suite_add_tcase(s, entry_case());
	suite_add_tcase(s, event_line_case());
	suite_add_tcase(s, ledger_case());
	suite_add_tcase(s, mountinfo_case());
	suite_add_tcase(s, opener_case());
	suite_add_tcase(s, options_case());
	suite_add_tcase(s, output_case());
	suite_add_tcase(s, pending_case());
	suite_add_tcase(s, progress_case());
	suite_add_tcase(s, when_case());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
