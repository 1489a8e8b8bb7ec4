/* SPDX-License-Identifier: Apache-2.0 */
/* One connection for many threads, that comes back by itself. A software TPM; skipped (77) without. */
#include <pthread.h>
#include <stdio.h>

#include "../../support/swtpm.h"
#include "fs/archive/tpm-link.h"
#include "support.h"

static struct swtpm sw;
static struct cof_tpm_link *l;
static struct cof_diag diag;

static void setup(void)
{
	ck_assert_int_eq(cof_crypto_init(1u << 20, &diag), 0);
	swtpm_new(&sw);
	ck_assert_int_eq(cof_tpm_link_new(sw.socket, &l), 0);
}

static void teardown(void)
{
	cof_tpm_link_free(l);
	swtpm_remove(&sw);
}

START_TEST(comes_back)
{
	struct cof_tpm_clock before = {0}, after = {0};

	ck_assert_str_eq(cof_tpm_link_where(l), sw.socket);
	ck_assert_int_eq(cof_tpm_link_clock(l, &before, &diag), 0);
	ck_assert_int_eq(cof_tpm_link_said(l, &diag), 0);
	swtpm_stop(&sw);
	ck_assert_int_lt(cof_tpm_link_clock(l, &after, &diag), 0);
	ck_assert_int_eq(cof_tpm_link_clock(l, &after, &diag), -ENODEV);
	ck_assert(strstr(diag.text, "no TPM answers") != NULL);
	diag.text[0] = '\0';
	ck_assert_int_eq(cof_tpm_link_said(l, &diag), -ENODEV);
	ck_assert(strstr(diag.text, sw.socket) != NULL);
	swtpm_start(&sw);
	ck_assert_int_eq(cof_tpm_link_clock(l, &after, &diag), 0);
	ck_assert_uint_gt(after.resets, before.resets);
	ck_assert_int_eq(cof_tpm_link_said(l, &diag), 0);
	swtpm_reset(&sw); /* the line holds, and one command is repeated by itself or the next one does */
	if (cof_tpm_link_clock(l, &after, &diag) < 0)
		ck_assert_int_eq(cof_tpm_link_clock(l, &after, &diag), 0);
}
END_TEST

static int inside, most;

static int alone(struct cof_tpm *t, void *arg, struct cof_diag *why)
{
	struct cof_tpm_clock c;
	int r, now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);

	(void)arg;
	most = now > most ? now : most;
	r = cof_tpm_clock_read(t, &c, why);
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	return r;
}

static void *many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		if (cof_tpm_link_use(l, alone, NULL, NULL, NULL) < 0)
			return l;
	return NULL;
}

START_TEST(one_at_a_time)
{
	pthread_t threads[4];

	for (size_t i = 0; i < COF_COUNT(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, many, NULL), 0);
	for (size_t i = 0; i < COF_COUNT(threads); i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(most, 1);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tpm-link");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, comes_back);
	tcase_add_test(c, one_at_a_time);
	return swtpm_main("tpm-link", c);
}
