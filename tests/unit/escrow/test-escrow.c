/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     test-escrow FOREIGN
 *     test-escrow --official FILE    the official vectors of SLIP-39 alone
 */
#include "test-escrow.h"

#include "crypto/crypto.h"

const char *escrow_official, *escrow_foreign;

int main(int argc, char **argv)
{
	SRunner *r;
	Suite *s;
	int failed;

	if (argc < 2 || cof_crypto_init(1u << 20, NULL))
		return 2;
	escrow_foreign = argv[1];
	escrow_official = argc == 3 ? argv[2] : NULL;
	s = suite_create("escrow");
	suite_add_tcase(s, escrow_official ? slip39_official_case() : slip39_case());
	if (!escrow_official) {
		suite_add_tcase(s, scheme_case());
		suite_add_tcase(s, survive_case());
		suite_add_tcase(s, epoch_case());
		suite_add_tcase(s, intake_case());
	}
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK); /* secure memory does not survive a fork */
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
