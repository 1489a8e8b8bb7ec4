/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of a program that soon ends: all of it is locked, little of it is there before it is used. */
#include <check.h>
#include <stdio.h>

#include "crypto/crypto.h"

#define POOL (2u << 20)

/* Of the mapping that p lies in: bytes of it, and KiB of it that are there. */
static void look(const void *p, size_t *ret_bytes, long *ret_there)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	char line[512];
	bool in = false;
	long kib;

	*ret_bytes = 0;
	*ret_there = -1;
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
			in = (uintptr_t)p >= from && (uintptr_t)p < to;
			*ret_bytes = in ? to - from : *ret_bytes;
		}
		if (in && sscanf(line, "Rss: %ld kB", &kib) == 1)
			*ret_there = kib;
	}
	fclose(f);
}

static long locked(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

START_TEST(little_at_once)
{
	uint8_t *small = cof_secret_alloc(64), *large;
	size_t bytes;
	long there;

	ck_assert_ptr_nonnull(small);
	look(small, &bytes, &there);
	ck_assert_uint_ge(bytes, POOL);
	ck_assert_int_ge(locked(), POOL >> 10);
	if (!strcmp(cof_secret_memory(), "memfd_secret")) /* mlock(2) takes all pages by itself */
		ck_assert_int_le(there, 256);
	large = cof_secret_alloc(POOL - (64u << 10));
	ck_assert_ptr_nonnull(large);
	for (size_t i = 0; i < POOL - (64u << 10); i++)
		ck_assert_msg(large[i] == 0, "byte %zu", i);
	look(small, &bytes, &there);
	ck_assert_int_ge(there, (POOL - (64u << 10)) >> 10);
	memset(large, 0xa5, POOL - (64u << 10));
	ck_assert_ptr_null(cof_secret_alloc(1u << 20)); /* it does not grow */
	cof_secret_free(large);
	ck_assert_uint_eq(large[POOL / 2], 0);
	cof_secret_free(small);
}
END_TEST

int main(void)
{
	struct cof_diag d = {""};
	Suite *s = suite_create("brief");
	TCase *c = tcase_create("brief");
	SRunner *r;
	int failed;

	tcase_add_test(c, little_at_once);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK); /* a child would have a pool of its own */
	if (cof_crypto_init_brief(POOL, &d) < 0) {
		fprintf(stderr, "%s\n", d.text);
		return 1;
	}
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
