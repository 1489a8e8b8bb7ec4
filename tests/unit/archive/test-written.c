/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every write that the disk saw, from init on over mounts, a crash and a renewal of the root key, holds no
 * part of a key: not for a moment, not in a file that was replaced or removed since.
 */
#include <stdio.h>

#include "fs/archive/keys-box.h"
#include "fs/archive/keys.h"
#include "support.h"

static struct store s;
static struct cof_buf seen;

/* Any ten bytes in a row at three places of it. */
static bool was_written(const void *key, size_t n)
{
	for (size_t i = 0; i + 10 <= n; i += 11)
		if (memmem(seen.data, seen.len, (const uint8_t *)key + i, 10))
			return true;
	return false;
}

static void check_keys(const struct cof_keys *k, const char *when)
{
	ck_assert_msg(!was_written(k->root, COF_KEY), "%s: the root key", when);
	ck_assert_msg(!was_written(k->index, COF_KEY), "%s: the index key", when);
	ck_assert_msg(!was_written(k->signing, COF_KEY), "%s: the signing seed", when);
	ck_assert_msg(!was_written(k->state, COF_KEY), "%s: the state key", when);
	ck_assert_msg(!was_written(k->next.secret, COF_KEY), "%s: the epoch secret", when);
}

static void check_now(const char *when)
{
	cof_autosecret uint8_t *payload = cof_secret_alloc(COF_KEY);
	struct cof_diag diag = {""};
	struct cof_keys *k;
	uint8_t salt[32] = {0};

	ck_assert_msg(cof_keys_open(s.io, s.archive_id, &s.secret, &k, &diag) == 0, "%s", diag.text);
	check_keys(k, when);
	/* The leaf keys' own: of the metadata object, under a salt that is none. */
	ck_assert_int_eq(cof_keys_payload(k, 0, 1, salt, payload), 0);
	ck_assert(!was_written(payload, COF_KEY));
	cof_keys_free(k);
}

static void work(const char *name)
{
	static uint8_t content[300000];
	uint64_t file = must_create(&s, AUDIT, name, COF_KIND_FILE);

	must_write(&s, file, 0, "line\n", 5);
	must_write(&s, file, 5, content, sizeof(content));
	ck_assert_int_eq(do_unlink(&s, AUDIT, name), -EPERM);
	ck_assert_int_eq(do_chmod(&s, file, 0400), 0);
}

START_TEST(test_no_write_holds_a_key)
{
	struct cof_renewal renewal = {.tpm = NULL};
	struct cof_diag diag = {""};

	store_new(&s, STORE_SIM);
	cof_sim_watch(s.sim, &seen);
	ck_assert_msg(store_init(&s, &diag) == 0, "%s", diag.text);
	check_now("after init");
	store_open(&s);
	work("first");
	store_close(&s);
	check_now("after a mount");
	store_open(&s);
	work("second");
	cof_archive_abandon(s.archive);
	s.archive = NULL;
	store_open(&s);
	store_close(&s);
	check_now("after a killed mount");
	ck_assert_msg(cof_store_seal_renew(s.io, &s.secret, &renewal, &diag) == 0, "%s", diag.text);
	check_now("after a renewal");
	ck_assert(!was_written(s.key, 32));
	ck_assert(!was_written(s.auditor, 32));
	/* The search sees what is there: the archive's id is in clear in archive.conf and the boxes. */
	ck_assert(!seen.failed && seen.len > 100000);
	ck_assert(was_written(s.archive_id, 16));
	cof_sim_watch(s.sim, NULL);
	cof_buf_done(&seen);
	store_done(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-written");
	TCase *c = tcase_create("written");
	SRunner *r = srunner_create(suite);
	int bad;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_no_write_holds_a_key);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
