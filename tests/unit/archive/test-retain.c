/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retention in the archive: what the rules grant is on record, shown, and the same after the index was
 * fed, replayed or built anew; quotas are exact; shelves come and grow stronger at run time.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/archive/internal.h"
#include "support.h"

#define DAY (86400 * COF_NSEC)

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
	s.archive->clock.testing = true;
}

static void teardown(void)
{
	store_done(&s);
}

/* Another index, built from the log. The time goes on where it was. */
static void reopen(void)
{
	int64_t ahead = atomic_load(&s.archive->clock.test_ns);

	store_close(&s);
	store_open(&s);
	s.archive->clock.testing = true;
	s.archive->clock.base_boottime += ahead; /* as if the clock had been ahead all along */
	atomic_store(&s.archive->clock.test_ns, ahead);
}

static int64_t now(void)
{
	return cof_clock_retention(&s.archive->clock);
}

static void pass(int64_t ns)
{
	atomic_fetch_add(&s.archive->clock.test_ns, ns);
}

static struct cof_attr attr_of(uint64_t ino)
{
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	return attr;
}

static struct cof_node node_of(uint64_t ino)
{
	struct cof_node n;

	ck_assert_int_eq(cof_index_get_node(s.archive->ix, COF_INDEX_NOW, ino, &n), 0);
	return n;
}

static const char *xattr_of(uint64_t ino, const char *name)
{
	static char text[128];
	struct cof_buf b = {0};
	int r = cof_archive_getxattr(s.archive, ino, name, &b);

	snprintf(text, sizeof(text), "%.*s", (int)b.len, b.data ? (char *)b.data : "");
	cof_buf_done(&b);
	return r == 0 ? text : strerror(-r);
}

static int add_shelf(const struct cof_who *who, const char *name, const char *policy, uint64_t *ret)
{
	struct cof_op op = {.kind = COF_OP_SHELF_ADD,
			    .name = name,
			    .data = policy,
			    .length = strlen(policy)};
	struct cof_reply reply = {0};
	int r = cof_archive_do(s.archive, who, &op, &reply);

	if (r == 0)
		*ret = reply.attr.ino;
	return r;
}

static int set_shelf(const struct cof_who *who, uint64_t ino, const char *policy)
{
	return do_op(&s, who,
		     (struct cof_op){.kind = COF_OP_SHELF_SET,
				     .ino = ino,
				     .data = policy,
				     .length = strlen(policy)});
}

static uint64_t shelf_with(const char *policy)
{
	uint64_t ino = 0;

	ck_assert_int_eq(add_shelf(&root_user, "kept", policy, &ino), 0);
	return ino;
}

static uint64_t file_in(uint64_t dir, const char *name, const char *text)
{
	uint64_t ino = must_create(&s, dir, name, COF_KIND_FILE);

	if (*text)
		must_write(&s, ino, 0, text, strlen(text));
	return ino;
}

static int set_atime(uint64_t ino, int64_t t)
{
	return do_op(&s, &root_user,
		     (struct cof_op){.kind = COF_OP_UTIMES,
				     .ino = ino,
				     .valid = COF_SET_ATIME,
				     .atime = t});
}

static int set_xattr(const struct cof_who *who, uint64_t ino, const char *name, const char *value)
{
	return do_op(&s, who,
		     (struct cof_op){.kind = COF_OP_SETXATTR,
				     .ino = ino,
				     .name = name,
				     .data = value,
				     .length = strlen(value)});
}

START_TEST(asked_granted_kept)
{
	uint64_t shelf = shelf_with("retention = 10d\nretention_min = 2d\nretention_max = 20d\n");
	uint64_t plain = file_in(shelf, "plain", "x"), asked = file_in(shelf, "asked", "x");
	uint64_t more = file_in(shelf, "more", "x"), less = file_in(shelf, "less", "x");
	uint64_t none = file_in(AUDIT, "none", "x");
	int64_t t = now();

	ck_assert_int_eq(set_atime(asked, t + 5 * DAY), 0);
	ck_assert_int_eq(attr_of(asked).atime, t + 5 * DAY);
	ck_assert_int_eq(set_atime(more, t + 50 * DAY), 0);
	ck_assert_int_eq(set_atime(less, t + DAY), 0);
	ck_assert_int_eq(set_atime(plain, t - DAY), 0); /* a past one is not kept */
	ck_assert_int_eq(node_of(plain).asked_until, COF_RETAIN_NONE);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(node_of(asked).asked_until, t + 5 * DAY);
		reopen();
	}
	ck_assert_int_eq(do_chmod(&s, plain, 0444), 0);
	ck_assert_int_eq(do_chmod(&s, asked, 0444), 0);
	ck_assert_int_eq(do_chmod(&s, more, 0444), 0);
	ck_assert_int_eq(do_chmod(&s, less, 0444), 0);
	ck_assert_int_eq(do_chmod(&s, none, 0444), 0);
	for (int again = 0; again < 2; again++) {
		int64_t end = attr_of(plain).atime;

		ck_assert(end >= t + 10 * DAY && end < t + 10 * DAY + 3600 * COF_NSEC);
		ck_assert_int_eq(attr_of(asked).atime, t + 5 * DAY);
		end = attr_of(more).atime;
		ck_assert(end >= t + 20 * DAY && end < t + 21 * DAY);
		ck_assert_int_eq(node_of(more).asked_until, t + 50 * DAY);
		end = attr_of(less).atime;
		ck_assert(end >= t + 2 * DAY && end < t + 3 * DAY);
		ck_assert_int_eq(node_of(none).retain_until, COF_RETAIN_NONE);
		ck_assert_str_eq(xattr_of(none, "user.coffer.retain_until"), "none");
		ck_assert_str_eq(xattr_of(asked, "user.coffer.state"), "committed");
		ck_assert_int_eq(node_of(asked).committed, attr_of(asked).ctime);
		reopen();
	}
}
END_TEST

START_TEST(extended_and_expired)
{
	uint64_t shelf = shelf_with("retention = 10d\n");
	uint64_t ino = file_in(shelf, "f", "x");
	struct cof_attr attr;
	char text[32];
	int64_t end;

	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	attr = attr_of(ino);
	end = attr.atime + 5 * DAY;
	ck_assert_int_eq(set_atime(ino, attr.atime), 0); /* equal */
	ck_assert_int_eq(set_atime(ino, attr.atime - DAY), -EPERM);
	ck_assert_int_eq(attr_of(ino).atime, attr.atime);
	ck_assert_int_eq(set_atime(ino, end), 0);
	ck_assert_int_eq(attr_of(ino).ctime, attr.ctime);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(attr_of(ino).atime, end);
		ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
		reopen();
	}
	pass(16 * DAY);
	for (int again = 0; again < 2; again++) {
		ck_assert_uint_eq(attr_of(ino).state, COF_STATE_EXPIRED);
		ck_assert_uint_eq(node_of(ino).state, COF_STATE_COMMITTED); /* computed, not written */
		ck_assert_str_eq(xattr_of(ino, "user.coffer.state"), "expired");
		ck_assert_int_eq(do_unlink(&s, shelf, "f"), -EPERM);
		ck_assert_int_eq(do_write(&s, ino, 1, "y", 1), -EPERM);
		reopen();
	}
	/* Kept again. */
	cof_time_text(now() + 3 * DAY, text);
	ck_assert_int_eq(set_xattr(&bob, ino, "system.coffer.retain_until", text), -EPERM);
	ck_assert_int_eq(set_xattr(&root_user, ino, "system.coffer.retain_until", text), 0);
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
	ck_assert_str_eq(xattr_of(ino, "user.coffer.retain_until"), text);
	ck_assert_int_eq(set_xattr(&root_user, ino, "user.immutable.until", "infinite"), 0);
	ck_assert_str_eq(xattr_of(ino, "user.coffer.retain_until"), "infinite");
	reopen();
	ck_assert_int_eq(attr_of(ino).atime, COF_RETAIN_INFINITE);
	ck_assert_int_eq(set_atime(ino, COF_RETAIN_INFINITE), 0); /* equal */
	ck_assert_int_eq(set_atime(ino, now() + 1000 * DAY), -EPERM);
}
END_TEST

/* A copied access time of a file that is kept for ever does not lock the copy for ever. */
START_TEST(infinite_is_not_copied)
{
	uint64_t ino = file_in(shelf_with("retention = 10d\n"), "f", "x");

	ck_assert_int_eq(set_atime(ino, COF_RETAIN_INFINITE), 0);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	ck_assert_int_eq(node_of(ino).retain_until, COF_RETAIN_INFINITE - 1);
}
END_TEST

START_TEST(other_doors)
{
	uint64_t shelf = shelf_with("retention = 10d\n");
	uint64_t a = file_in(shelf, "a", "x"), b = file_in(shelf, "b", ""), c = file_in(shelf, "c", "x");

	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_SETFLAGS,
					       .ino = a,
					       .flags = FS_APPEND_FL | FS_IMMUTABLE_FL}),
			 0);
	ck_assert_uint_eq(attr_of(a).state, COF_STATE_COMMITTED);
	ck_assert_uint_eq(attr_of(a).mode, 0444);
	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_SETFLAGS, .ino = a}),
			 -EPERM);
	ck_assert_int_eq(do_chmod(&s, b, 0444), 0); /* empty: not yet */
	ck_assert_uint_eq(attr_of(b).state, COF_STATE_OPEN);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_COMMIT, .ino = b, .retain = COF_RETAIN_NONE}),
			 0);
	ck_assert_uint_eq(attr_of(b).state, COF_STATE_COMMITTED);
	ck_assert_int_eq(set_xattr(&root_user, c, "user.coffer.retain_until", "2200-01-01T00:00:00Z"), 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_str_eq(xattr_of(c, "user.coffer.retain_until"), "2200-01-01T00:00:00.000Z");
		ck_assert_str_eq(xattr_of(c, "user.immutable.until"), "2200-01-01 00:00:00");
		ck_assert_str_eq(xattr_of(c, "user.coffer.holds"), "0");
		ck_assert_str_eq(xattr_of(c, "user.coffer.digest"),
				 "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
		reopen();
	}
	ck_assert_str_eq(xattr_of(file_in(shelf, "d", "x"), "user.coffer.digest"), strerror(ENODATA));
	ck_assert_int_eq(set_xattr(&root_user, c, "user.coffer.state", "open"), -EPERM);
}
END_TEST

static int open_for(uint64_t ino, int flags)
{
	return do_op(&s, &root_user,
		     (struct cof_op){.kind = COF_OP_OPEN, .ino = ino, .flags = (uint32_t)flags});
}

START_TEST(autocommit)
{
	uint64_t shelf = shelf_with("retention = 10d\nautocommit = 1h\n");
	uint64_t busy = file_in(shelf, "busy", "x"), idle = file_in(shelf, "idle", "x");
	uint64_t seen = file_in(shelf, "seen", "x"), empty = file_in(shelf, "empty", "");
	int64_t written = now();

	ck_assert_int_eq(open_for(busy, O_WRONLY), 0);
	pass(3590 * COF_NSEC);
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(attr_of(idle).state, COF_STATE_OPEN);
	pass(20 * COF_NSEC);
	ck_assert_uint_eq(attr_of(seen).state, COF_STATE_COMMITTED); /* counts as such */
	ck_assert_uint_eq(node_of(seen).state, COF_STATE_OPEN);
	ck_assert_int_eq(do_write(&s, seen, 1, "y", 1), -EPERM);
	ck_assert_uint_eq(node_of(seen).state, COF_STATE_COMMITTED); /* its frame came first */
	ck_assert_uint_eq(attr_of(seen).mode & 0222, 0);
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(node_of(idle).state, COF_STATE_COMMITTED); /* by the keeper */
	ck_assert_uint_eq(attr_of(busy).state, COF_STATE_OPEN);
	ck_assert_uint_eq(attr_of(empty).state, COF_STATE_OPEN);
	/* As of when it was due, whoever came when. */
	ck_assert_int_ge(node_of(idle).retain_until, written - COF_NSEC + 10 * DAY + 3600 * COF_NSEC);
	ck_assert_int_le(node_of(idle).retain_until, written + 10 * DAY + 3600 * COF_NSEC);
	/* The last writer leaves: an hour from then on. */
	pass(7200 * COF_NSEC);
	ck_assert_int_eq(do_write(&s, busy, 1, "y", 1), 0);
	pass(7200 * COF_NSEC);
	cof_archive_release(s.archive, busy);
	ck_assert_int_eq(open_for(busy, O_WRONLY), 0);
	cof_archive_release(s.archive, busy);
	cof_archive_tick(s.archive);
	ck_assert_uint_eq(attr_of(busy).state, COF_STATE_OPEN);
	pass(3601 * COF_NSEC);
	ck_assert_int_eq(open_for(busy, O_RDONLY), 0);
	ck_assert_uint_eq(node_of(busy).state, COF_STATE_COMMITTED);
	reopen();
	must_hold(&s, busy, "xy", 2);
	ck_assert_uint_eq(node_of(busy).state, COF_STATE_COMMITTED);
	ck_assert_uint_eq(node_of(idle).state, COF_STATE_COMMITTED);
}
END_TEST

static void use_of(uint64_t shelf, uint64_t bytes, uint64_t files)
{
	struct cof_obj *o;
	uint64_t b, f;

	ck_assert_int_eq(cof_obj_get(s.archive, shelf, &o), 0);
	cof_shelf_use(o->shelf, &b, &f);
	cof_obj_put(s.archive, o);
	ck_assert_msg(b == bytes && f == files, "%llu bytes, %llu files, not %llu, %llu",
		      (unsigned long long)b, (unsigned long long)f, (unsigned long long)bytes,
		      (unsigned long long)files);
}

START_TEST(quotas)
{
	uint64_t shelf = shelf_with("quota = 100\nquota_files = 3\n");
	uint64_t f = file_in(shelf, "f", "0123456789"), g, dir, n;
	static char much[200];

	ck_assert_int_eq(do_write(&s, f, 10, much, 91), -EDQUOT);
	use_of(shelf, 10, 1);
	ck_assert_int_eq(do_write(&s, f, 10, much, 50), 0);
	g = file_in(shelf, "g", "");
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = g, .length = 41}),
			 -EDQUOT);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_TRUNCATE, .ino = g, .length = 39}),
			 0);
	for (int again = 0; again < 2; again++) {
		use_of(shelf, 99, 2);
		ck_assert_int_eq(do_write(&s, g, 39, much, 2), -EDQUOT);
		reopen();
	}
	ck_assert_int_eq(do_write(&s, g, 39, much, 1), 0);
	dir = must_create(&s, shelf, "dir", COF_KIND_DIR);
	ck_assert_int_eq(do_create(&s, dir, "h", COF_KIND_FILE, &n), -EDQUOT);
	ck_assert_int_eq(do_rmdir(&s, shelf, "dir"), 0);
	use_of(shelf, 100, 2);
	n = must_create(&s, shelf, "h", COF_KIND_FILE);
	ck_assert_int_eq(do_rename(&s, shelf, "g", shelf, "h"), 0); /* what was there is gone */
	use_of(shelf, 100, 2);
	ck_assert_int_eq(do_unlink(&s, shelf, "f"), -EPERM);
	/* Killed: the index is behind the log. */
	cof_archive_tick(s.archive);
	must_create(&s, shelf, "i", COF_KIND_FILE);
	cof_archive_abandon(s.archive);
	store_open(&s);
	use_of(shelf, 100, 3);
	ck_assert_int_eq(set_shelf(&root_user, shelf, "quota = 200\nquota_files = 10\n"), 0);
	ck_assert_int_eq(do_write(&s, g, 40, much, 100), 0);
	ck_assert_int_eq(do_write(&s, g, 140, much, 1), -EDQUOT);
	use_of(shelf, 200, 3);
}
END_TEST

/* The same counts when the index is kept on disk and only its tail is replayed. */
START_TEST(quotas_with_a_kept_index)
{
	struct cof_archive_params p = {.io = s.io, .secret = &s.secret, .no_threads = true};
	char dir[] = "/tmp/coffer-test-index-XXXXXX", command[64];
	uint64_t shelf, f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	p.index_dir = dir;
	store_close(&s);
	ck_assert_int_eq(cof_archive_open(&p, &s.archive, NULL, NULL), 0);
	shelf = shelf_with("quota = 100\n");
	f = file_in(shelf, "f", "12345");
	for (int i = 1; i <= 6; i++) {
		if (i % 2)
			cof_archive_tick(s.archive); /* fed up to here */
		must_write(&s, f, 5u * (unsigned)i, "12345", 5);
		if (i % 3)
			cof_archive_abandon(s.archive);
		else
			store_close(&s);
		ck_assert_int_eq(cof_archive_open(&p, &s.archive, NULL, NULL), 0);
		use_of(shelf, 5u * (unsigned)(i + 1), 1);
	}
	/* What the index missed is counted once. */
	cof_stale(s.archive, cof_index_fed(s.archive->ix));
	must_write(&s, f, 35, "12345", 5);
	use_of(shelf, 40, 1);
	store_close(&s);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
	store_open(&s);
	use_of(shelf, 40, 1);
}
END_TEST

static int count_shelf(void *user, struct cof_json *entry)
{
	ck_assert_ptr_nonnull(cof_json_str(entry, "policy"));
	++*(int *)user;
	return 0;
}

START_TEST(shelves)
{
	struct cof_policy p = {0};
	uint64_t ino, again;
	int n = 0;

	ck_assert_int_eq(add_shelf(&alice, "mine", "", &ino), -EPERM);
	ck_assert_int_eq(add_shelf(&root_user, "bad", "colour = red\n", &ino), -EINVAL);
	ck_assert_int_eq(add_shelf(&root_user, "audit", "", &ino), -EEXIST);
	ino = shelf_with("retention = 10d\nretention_min = 1d\n");
	ck_assert_int_eq(add_shelf(&root_user, "kept", "", &again), -EEXIST);
	ck_assert_int_eq(set_shelf(&root_user, ino, "retention = 9d\nretention_min = 1d\n"), -EPERM);
	ck_assert_int_eq(set_shelf(&alice, ino, "retention = 11d\nretention_min = 1d\n"), -EPERM);
	ck_assert_int_eq(set_shelf(&root_user, ino, "retention = 11d\nretention_min = 2d\n"), 0);
	for (int i = 0; i < 2; i++) {
		struct cof_obj *o;

		ck_assert_int_eq(cof_obj_get(s.archive, ino, &o), 0);
		p = *cof_obj_policy(o);
		cof_obj_put(s.archive, o);
		ck_assert(p.retention && p.retention_default == 11 * DAY && p.retention_min == 2 * DAY);
		ck_assert_int_eq(set_shelf(&root_user, ino, "retention = 11d\nretention_min = 1d\n"), -EPERM);
		reopen();
	}
	ck_assert_int_eq(cof_archive_shelves(s.archive, count_shelf, &n), 0);
	ck_assert_int_eq(n, 3);
}
END_TEST

START_TEST(explained)
{
	uint64_t shelf = shelf_with("retention = 10d\n"), ino = file_in(shelf, "f", "x");
	struct cof_op op = {.kind = COF_OP_CHMOD, .ino = ino, .mode = 0444};
	uint64_t size = atomic_load(&s.archive->size);
	struct cof_ruling rl;
	struct cof_object view;

	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, &view), 0);
	ck_assert(rl.effect == COF_EFFECT_COMMIT && rl.retain_until > now() + 9 * DAY);
	op = (struct cof_op){.kind = COF_OP_UNLINK, .ino = ino};
	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, &view), 0);
	ck_assert(rl.error == -EPERM && view.state == COF_STATE_OPEN);
	op = (struct cof_op){.kind = COF_OP_RENAME, .parent = shelf, .name = "f", .new_parent = AUDIT,
			     .new_name = "g"};
	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, NULL), 0);
	ck_assert_int_eq(rl.error, -EXDEV);
	op.ino = 4711;
	ck_assert_int_eq(cof_archive_explain(s.archive, &root_user, &op, &rl, NULL), -ENOENT);
	ck_assert_uint_eq(atomic_load(&s.archive->size), size); /* no effect, no event */
}
END_TEST

START_TEST(by_number)
{
	uint64_t f = file_in(AUDIT, "f", "x"), gone = file_in(AUDIT, "gone", "");
	struct cof_attr attr;

	ck_assert_int_eq(do_unlink(&s, AUDIT, "gone"), 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, f, ".", &attr), 0);
		ck_assert_uint_eq(attr.ino, f);
		ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, f, "..", &attr), 0);
		ck_assert_uint_eq(attr.ino, AUDIT);
		ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, gone, ".", &attr), -ENOENT);
		ck_assert_int_eq(cof_archive_lookup(s.archive, COF_INDEX_NOW, 99, ".", &attr), -ENOENT);
		reopen();
	}
}
END_TEST

START_TEST(test_clock_is_refused)
{
	struct cof_conf conf = {.flags = COF_ARCHIVE_TEST_CLOCK};
	struct cof_diag diag = {""};
	struct cof_clock clock = {0};
	int r = cof_clock_check(&conf, &clock, &diag);

#ifdef COFFER_TEST_CLOCK
	ck_assert(r == 0 && clock.testing);
#else
	ck_assert(r == -EOPNOTSUPP && diag.text[0] && !clock.testing);
#endif
	conf.flags = 0;
	clock.testing = false;
	ck_assert_int_eq(cof_clock_check(&conf, &clock, &diag), 0);
	ck_assert(!clock.testing);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-retain");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("retain");
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, asked_granted_kept);
	tcase_add_test(c, extended_and_expired);
	tcase_add_test(c, infinite_is_not_copied);
	tcase_add_test(c, other_doors);
	tcase_add_test(c, autocommit);
	tcase_add_test(c, quotas);
	tcase_add_test(c, quotas_with_a_kept_index);
	tcase_add_test(c, shelves);
	tcase_add_test(c, explained);
	tcase_add_test(c, by_number);
	tcase_add_test(c, test_clock_is_refused);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
