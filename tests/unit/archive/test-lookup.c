/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking beside changing: threads rename, create, remove, write and commit while others look up, list, read
 * and ask for the log. Nobody may see an error that is none, and no index may be found wrong.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "entries.h"

#define ROUNDS 300
#define NAMES 6

static struct store s;
static atomic_bool stop;
static atomic_int changers;
static atomic_uint looks;
static const char *_Atomic wrong;

static void complain(const char *what)
{
	atomic_store(&wrong, what);
	atomic_store(&stop, true);
}

static void changer_done(void)
{
	if (atomic_fetch_sub(&changers, 1) == 1)
		atomic_store(&stop, true);
}

/* ---- who changes ---- */

static uint64_t other; /* a directory */

static void *renames(void *user)
{
	unsigned self = *(unsigned *)user;
	char from[16], to[16];
	uint64_t ino;

	snprintf(from, sizeof(from), "r%u-0", self);
	if (do_create(&s, AUDIT, from, COF_KIND_FILE, &ino) || do_write(&s, ino, 0, "x", 1))
		complain("create");
	for (int i = 1; i <= 5 * ROUNDS && !atomic_load(&stop); i++) {
		snprintf(to, sizeof(to), "r%u-%d", self, i % NAMES);
		if (do_rename(&s, AUDIT, from, i % 3 ? AUDIT : other, to))
			complain("rename there");
		if (i % 3 == 0 && do_rename(&s, other, to, AUDIT, to))
			complain("rename back");
		strcpy(from, to);
	}
	changer_done();
	return NULL;
}

static void *comes_and_goes(void *user)
{
	unsigned self = *(unsigned *)user;
	char name[16];
	uint64_t dir, ino;

	for (int i = 0; i < ROUNDS && !atomic_load(&stop); i++) {
		snprintf(name, sizeof(name), "d%u", self);
		if (do_create(&s, AUDIT, name, COF_KIND_DIR, &dir))
			complain("mkdir");
		if (do_create(&s, dir, "in", COF_KIND_FILE, &ino))
			complain("create in it");
		if (do_rmdir(&s, AUDIT, name) != -ENOTEMPTY)
			complain("rmdir of a full one");
		if (do_unlink(&s, dir, "in") || do_rmdir(&s, AUDIT, name))
			complain("removing");
	}
	changer_done();
	return NULL;
}

static void *commits(void *user)
{
	unsigned self = *(unsigned *)user;
	char name[24];
	uint64_t ino;

	for (int i = 0; i < ROUNDS && !atomic_load(&stop); i++) {
		snprintf(name, sizeof(name), "c%u-%d", self, i);
		if (do_create(&s, AUDIT, name, COF_KIND_FILE, &ino) ||
		    do_write(&s, ino, 0, name, strlen(name)) || do_chmod(&s, ino, 0400))
			complain("committing");
		if (i % 50 == 0 && do_unlink(&s, AUDIT, name) != -EPERM)
			complain("unlink of a committed file");
	}
	changer_done();
	return NULL;
}

/* ---- who looks ---- */

static void *looks_up(void *user)
{
	char name[16];

	(void)user;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		struct cof_attr attr;
		int r;

		snprintf(name, sizeof(name), "r%u-%u", i / NAMES % 2, i % NAMES);
		r = cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, name, &attr);
		if (r && r != -ENOENT)
			complain("lookup");
		if (r == 0 && (attr.kind != COF_KIND_FILE || attr.size > 1))
			complain("another file under this name");
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

static int one_entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		     uint8_t kind)
{
	cof_autobuf struct cof_buf path = {0};
	uint8_t buf[64];
	struct cof_attr attr;
	size_t got = 0;
	int r = cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr);

	(void)user;
	(void)cookie;
	(void)len;
	if (r)
		complain("getattr of an entry");
	if (attr.kind != kind)
		complain("another kind");
	r = cof_archive_path(s.archive, ino, &path);
	if (r && r != -ENOENT)
		complain("path");
	if (kind != COF_KIND_FILE)
		return 0;
	r = cof_archive_read(s.archive, COF_INDEX_NOW, ino, buf, sizeof(buf), 0, &got);
	if (r)
		complain("read");
	/* Committed files hold their first name; they are whole from then on. */
	if (attr.state == COF_STATE_COMMITTED && (got != strlen(name) || memcmp(buf, name, got)))
		complain("content of a committed file");
	return 0;
}

/* No attributes: it was removed meanwhile, or renamed over. */
static int with_attributes(void *user, uint64_t cookie, const char *name, uint64_t ino, uint8_t kind,
			   const struct cof_attr *attr)
{
	(void)user;
	(void)cookie;
	if (attr && (attr->ino != ino || attr->kind != kind))
		complain("attributes of another");
	if (attr && kind == COF_KIND_FILE && attr->state == COF_STATE_COMMITTED && attr->size != strlen(name))
		complain("size of a committed file");
	return 0;
}

static void *lists(void *user)
{
	(void)user;
	while (!atomic_load(&stop)) {
		if (cof_archive_readdir(s.archive, COF_INDEX_NOW, AUDIT, 0, one_entry, NULL))
			complain("readdir");
		if (cof_archive_readdir_attr(s.archive, AUDIT, 0, with_attributes, NULL))
			complain("readdir with attributes");
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

static int nothing(void *user, struct cof_json *entry)
{
	uint64_t *n = user;

	if (number_of(entry, "sequence") != (int64_t)(*n)++)
		complain("sequence in the log");
	if (cof_json_bool(entry, "damaged"))
		complain("damage in the log");
	return 0;
}

static void *follows(void *user)
{
	uint64_t next = 0, n = 0;

	(void)user;
	while (!atomic_load(&stop)) {
		struct cof_json *status = cof_json_object();

		if (cof_archive_show_log(s.archive, next, nothing, &n, &next))
			complain("show_log");
		if (cof_archive_status(s.archive, status))
			complain("status");
		cof_json_free(status);
		cof_archive_tick(s.archive);
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

START_TEST(beside_each_other)
{
	static void *(*const change[])(void *) = {renames, renames, comes_and_goes, commits};
	static void *(*const look[])(void *) = {looks_up, looks_up, lists, follows};
	pthread_t thread[COF_COUNT(change) + COF_COUNT(look)];
	unsigned number[COF_COUNT(change)], n = 0;
	struct cof_json *status = cof_json_object();

	store_make(&s, (enum store_kind)_i);
	other = must_create(&s, AUDIT, "other", COF_KIND_DIR);
	atomic_store(&changers, (int)COF_COUNT(change));
	for (unsigned i = 0; i < COF_COUNT(change); i++) {
		number[i] = i;
		ck_assert_int_eq(pthread_create(&thread[n++], NULL, change[i], &number[i]), 0);
	}
	for (unsigned i = 0; i < COF_COUNT(look); i++)
		ck_assert_int_eq(pthread_create(&thread[n++], NULL, look[i], NULL), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	ck_assert_msg(!atomic_load(&wrong), "%s: %s", atomic_load(&wrong), s.alarm);
	ck_assert_uint_gt(atomic_load(&looks), 3);
	ck_assert_int_eq(cof_archive_status(s.archive, status), 0);
	ck_assert_int_eq(number_of(cof_json_get(status, "index"), "rebuilds"), 0);
	ck_assert(!cof_json_bool(cof_json_get(status, "index"), "damaged"));
	cof_json_free(status);
	/* A new start finds the same. */
	store_close(&s);
	store_open(&s);
	ck_assert_int_eq(
	    cof_archive_readdir(s.archive, COF_INDEX_NOW, AUDIT, 0, one_entry, NULL), 0);
	ck_assert_msg(!atomic_load(&wrong), "%s: %s", atomic_load(&wrong), s.alarm);
	store_done(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-lookup");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("lookup");
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, beside_each_other, 0, STORE_KINDS);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
