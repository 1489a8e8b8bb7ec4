/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of fs/log that need no archive. */
#include "test-log.h"

int main(void)
{
	Suite *s = suite_create("log");
	SRunner *r;
	int failed;

	if (cof_crypto_init(1 << 20, NULL) < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, frame_case());
	suite_add_tcase(s, payload_case());
	suite_add_tcase(s, conf_case());
	suite_add_tcase(s, reader_case());
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
