/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of fs/mount. */
#include "test-mount.h"

#include <stdlib.h>

int main(void)
{
	Suite *s = suite_create("mount");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, options_case());
	suite_add_tcase(s, mountinfo_case());
	suite_add_tcase(s, point_case());
	suite_add_tcase(s, cookie_case());
	suite_add_tcase(s, invalidate_case());
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
