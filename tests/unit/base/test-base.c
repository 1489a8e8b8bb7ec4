/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of base. */
#include "test-base.h"

#include <stdlib.h>

int main(void)
{
	Suite *s = suite_create("base");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, bytes_case());
	suite_add_tcase(s, text_case());
	suite_add_tcase(s, ini_case());
	suite_add_tcase(s, json_case());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
