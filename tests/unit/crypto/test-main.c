/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the suite of one test program of crypto. */
#include "test-crypto.h"

#include <stdio.h>
#include <stdlib.h>

static void init(void)
{
	struct cof_diag d = {""};

	ck_assert_msg(cof_crypto_init(1 << 20, &d) == 0, "%s", d.text);
}

TCase *crypto_case(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, init, NULL);
	tcase_set_timeout(t, 120);
	return t;
}

size_t from_hex(const char *hex, void *out, size_t cap)
{
	size_t n = strlen(hex) / 2;

	ck_assert_uint_le(n, cap);
	ck_assert_int_eq(cof_unhex(hex, strlen(hex), out), 0);
	return n;
}

void assert_hex(const void *p, size_t n, const char *hex)
{
	cof_autofree char *text = malloc(2 * n + 1);

	ck_assert_ptr_nonnull(text);
	cof_hex(p, n, text);
	ck_assert_str_eq(text, hex);
}

uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

size_t load_data(const char *name, char *out, size_t cap)
{
	const char *dir = getenv("COFFER_TEST_DATA");
	char path[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/data", name);
	f = fopen(path, "re");
	ck_assert_msg(f, "%s is not there", path);
	n = fread(out, 1, cap, f);
	ck_assert_msg(feof(f) && !ferror(f), "%s has more than %zu bytes", path, cap);
	fclose(f);
	return n;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
