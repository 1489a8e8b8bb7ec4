/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the tests of fs/index; directories, seeds and opening for all of them. */
#include "test-index.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

char test_dir[64];

static int remove_one(const char *path, const struct stat *st COF_UNUSED, int flag COF_UNUSED,
		      struct FTW *ftw COF_UNUSED)
{
	return remove(path);
}

static void make_dir(void)
{
	struct cof_diag diag = {0};
	/* In memory where it can be: thousands of databases are made, and each would be synced. */
	const char *tmp = getenv("TMPDIR");
	if (!tmp)
		tmp = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	ck_assert_msg(!cof_crypto_init(1 << 20, &diag), "%s", diag.text);
	snprintf(test_dir, sizeof(test_dir), "%s/cof-index-XXXXXX",
		 strlen(tmp) < 40 ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(test_dir));
}

static void remove_dir(void)
{
	nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TCase *index_case(const char *name)
{
	TCase *c = tcase_create(name);
	tcase_add_checked_fixture(c, make_dir, remove_dir);
	tcase_set_timeout(c, 120);
	return c;
}

struct cof_index *open_at(const char *dir, uint32_t pending_max, bool *ret_fresh)
{
	static const uint8_t key[COF_KEY] = {7, 1, 3}, id[16] = {9, 9};
	struct cof_index_params p = {
	    .dir = dir, .key = key, .archive_id = id, .pending_max = pending_max};
	struct cof_index *ix = NULL;
	struct cof_diag diag = {0};
	bool fresh = false;
	int r = cof_index_open(&p, &ix, &fresh, &diag);
	ck_assert_msg(!r, "open: %d %s", r, diag.text);
	if (ret_fresh)
		*ret_fresh = fresh;
	return ix;
}

struct cof_index *open_here(bool *ret_fresh)
{
	return open_at(test_dir, 0, ret_fresh);
}

uint64_t size_is(void *user)
{
	return *(uint64_t *)user;
}

void feed(struct cof_index *ix, uint64_t size)
{
	int r = cof_index_feed(ix, size_is, &size);
	ck_assert_msg(!r, "feed: %d", r);
}

uint64_t roll(struct dice *d, uint64_t below)
{
	d->x ^= d->x << 13;
	d->x ^= d->x >> 7;
	d->x ^= d->x << 17;
	return (d->x * 0x2545f4914f6cdd1du >> 16) % below;
}

bool slow_tests(void)
{
	return getenv("COF_TEST_SLOW") != NULL;
}

int main(void)
{
	Suite *s = suite_create("index");
	suite_add_tcase(s, names_case());
	suite_add_tcase(s, items_case());
	suite_add_tcase(s, model_case());
	suite_add_tcase(s, feed_case());
	suite_add_tcase(s, damage_case());
	suite_add_tcase(s, threads_case());
	suite_add_tcase(s, many_case());
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
