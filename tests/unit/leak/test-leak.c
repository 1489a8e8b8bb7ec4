/* SPDX-License-Identifier: Apache-2.0 */
#include "test-leak.h"

#include "crypto/crypto.h"

struct cof_leak_db *leak_db;

int main(void)
{
	Suite *s = suite_create("leak");
	SRunner *r;
	int failed;

	if (cof_crypto_init(1u << 20, NULL) || cof_leak_db_new(&leak_db))
		return 1;
	suite_add_tcase(s, kinds_case());
	suite_add_tcase(s, stream_case());
	suite_add_tcase(s, corpus_case());
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	cof_leak_db_free(leak_db);
	return failed ? 1 : 0;
}
