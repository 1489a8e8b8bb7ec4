/* SPDX-License-Identifier: Apache-2.0 */
/* Names: what can be made, removed and renamed, what cannot, and what stays after a new start. */
#include "support.h"

#include <linux/fs.h>
#include <stdio.h>

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	store_done(&s);
}

static uint64_t ino_of(uint64_t dir, const char *name)
{
	struct cof_attr attr;
	int r = cof_archive_lookup(s.archive, COF_INDEX_NOW, dir, name, &attr);

	if (r == -ENOENT)
		return 0;
	ck_assert_int_eq(r, 0);
	return attr.ino;
}

static void reopen(void)
{
	store_close(&s);
	store_open(&s);
}

/* ---- making ---- */

START_TEST(create_file)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = AUDIT,
			    .name = "a.log",
			    .node_kind = COF_KIND_FILE,
			    .mode = 0100640,
			    .uid = 1000,
			    .gid = 1001};
	struct cof_reply reply = {0};
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_do(s.archive, &alice, &op, &reply), 0);
	ck_assert(reply.wrote);
	ck_assert(!reply.durable);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(
		    cof_archive_lookup(s.archive, COF_INDEX_NOW, AUDIT, "a.log", &attr), 0);
		ck_assert_uint_eq(attr.ino, reply.attr.ino);
		ck_assert_uint_eq(attr.kind, COF_KIND_FILE);
		ck_assert_uint_eq(attr.state, COF_STATE_OPEN);
		ck_assert_uint_eq(attr.mode, 0640);
		ck_assert_uint_eq(attr.uid, 1000);
		ck_assert_uint_eq(attr.gid, 1001);
		ck_assert_uint_eq(attr.nlink, 1);
		ck_assert_uint_eq(attr.size, 0);
		ck_assert_int_eq(attr.mtime, reply.attr.mtime);
		reopen();
	}
}
END_TEST

START_TEST(create_is_durable_where_the_shelf_says_so)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = KEYS,
			    .name = "k",
			    .node_kind = COF_KIND_FILE};
	struct cof_reply reply = {0};

	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
	ck_assert(reply.durable);
}
END_TEST

static const struct {
	uint64_t dir;
	const char *name;
	uint8_t kind;
	int error;
} creations[] = {
    {COF_ROOT_INO, "new", COF_KIND_FILE, -EPERM}, {COF_ROOT_INO, "new", COF_KIND_DIR, -EPERM},
    {COF_ROOT_INO, "audit", COF_KIND_DIR, -EEXIST}, {AUDIT, "there", COF_KIND_FILE, -EEXIST},
    {AUDIT, "there", COF_KIND_DIR, -EEXIST},	    {AUDIT, "", COF_KIND_FILE, -EINVAL},
    {AUDIT, ".", COF_KIND_FILE, -EINVAL},	    {AUDIT, "..", COF_KIND_FILE, -EINVAL},
    {AUDIT, "a/b", COF_KIND_FILE, -EINVAL},	    {AUDIT, "dev", 7, -EINVAL},
    {99, "x", COF_KIND_FILE, -ENOENT},
};

START_TEST(creations_refused)
{
	uint64_t ino = 77;

	must_create(&s, AUDIT, "there", COF_KIND_FILE);
	ck_assert_int_eq(do_create(&s, creations[_i].dir, creations[_i].name, creations[_i].kind,
				   &ino),
			 creations[_i].error);
	ck_assert_uint_eq(ino, 77);
}
END_TEST

START_TEST(create_below_a_file)
{
	uint64_t file = must_create(&s, AUDIT, "f", COF_KIND_FILE), ino;

	ck_assert_int_eq(do_create(&s, file, "x", COF_KIND_FILE, &ino), -ENOTDIR);
}
END_TEST

START_TEST(long_names)
{
	char name[COF_NAME_MAX + 2];
	uint64_t ino;

	memset(name, 'n', sizeof(name));
	name[COF_NAME_MAX + 1] = 0;
	ck_assert_int_eq(do_create(&s, AUDIT, name, COF_KIND_FILE, &ino), -ENAMETOOLONG);
	name[COF_NAME_MAX] = 0;
	ck_assert_int_eq(do_create(&s, AUDIT, name, COF_KIND_FILE, &ino), 0);
	reopen();
	ck_assert_uint_eq(ino_of(AUDIT, name), ino);
}
END_TEST

START_TEST(names_are_bytes)
{
	static const char *const names[] = {"\x01\x02", "\xff\xfe", "a b", "\n", "ä", "-rf"};
	uint64_t ino[COF_COUNT(names)];

	for (size_t i = 0; i < COF_COUNT(names); i++)
		ino[i] = must_create(&s, AUDIT, names[i], COF_KIND_FILE);
	reopen();
	for (size_t i = 0; i < COF_COUNT(names); i++)
		ck_assert_uint_eq(ino_of(AUDIT, names[i]), ino[i]);
}
END_TEST

START_TEST(symlinks)
{
	cof_autobuf struct cof_buf target = {0};
	char long_target[4097];
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = AUDIT,
			    .name = "link",
			    .node_kind = COF_KIND_SYMLINK,
			    .mode = 0777,
			    .target = "../keys/k"};
	struct cof_reply reply;

	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
	ck_assert_uint_eq(reply.attr.size, 9);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(
		    cof_archive_readlink(s.archive, COF_INDEX_NOW, reply.attr.ino, &target), 0);
		ck_assert_uint_eq(target.len, 9);
		ck_assert_mem_eq(target.data, "../keys/k", 9);
		reopen();
	}
	ck_assert_int_eq(cof_archive_readlink(s.archive, COF_INDEX_NOW, AUDIT, &target), -EINVAL);
	ck_assert_int_eq(do_write(&s, reply.attr.ino, 0, "x", 1), -EINVAL);
	op.name = "two";
	op.target = "";
	ck_assert_int_eq(do_op(&s, &root_user, op), -ENOENT);
	memset(long_target, 't', 4096);
	long_target[4096] = 0;
	op.target = long_target;
	ck_assert_int_eq(do_op(&s, &root_user, op), -ENAMETOOLONG);
	long_target[4095] = 0;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "link"), 0);
	ck_assert_uint_eq(ino_of(AUDIT, "link"), 0);
}
END_TEST

START_TEST(setgid_directories)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = AUDIT,
			    .name = "d",
			    .node_kind = COF_KIND_DIR,
			    .mode = 02775,
			    .gid = 50};
	struct cof_reply dir, file, sub;

	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &dir), 0);
	op.parent = dir.attr.ino;
	op.gid = 7;
	op.mode = 0755;
	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &sub), 0);
	ck_assert_uint_eq(sub.attr.gid, 50);
	ck_assert_uint_eq(sub.attr.mode, 02755);
	op.node_kind = COF_KIND_FILE;
	op.name = "f";
	op.mode = 0644;
	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &file), 0);
	ck_assert_uint_eq(file.attr.gid, 50);
	ck_assert_uint_eq(file.attr.mode, 0644);
}
END_TEST

/* ---- removing ---- */

START_TEST(unlink_empty)
{
	uint64_t ino = must_create(&s, AUDIT, "e", COF_KIND_FILE), again;
	struct cof_attr attr;

	ck_assert_int_eq(do_unlink(&s, AUDIT, "e"), 0);
	ck_assert_uint_eq(ino_of(AUDIT, "e"), 0);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "e"), -ENOENT);
	/* Who still has it open sees that it is gone, and cannot write. */
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	ck_assert_uint_eq(attr.nlink, 0);
	ck_assert_int_eq(do_write(&s, ino, 0, "x", 1), -ENOENT);
	again = must_create(&s, AUDIT, "e", COF_KIND_FILE);
	ck_assert_uint_ne(again, ino);
	reopen();
	ck_assert_uint_eq(ino_of(AUDIT, "e"), again);
}
END_TEST

START_TEST(unlink_refused)
{
	uint64_t open = must_create(&s, AUDIT, "open", COF_KIND_FILE);
	uint64_t committed = must_create(&s, AUDIT, "committed", COF_KIND_FILE);

	must_create(&s, AUDIT, "dir", COF_KIND_DIR);
	must_write(&s, open, 0, "1", 1);
	must_write(&s, committed, 0, "2", 1);
	ck_assert_int_eq(do_chmod(&s, committed, 0444), 0);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "open"), -EPERM);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "committed"), -EPERM);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "dir"), -EISDIR);
	ck_assert_int_eq(do_unlink(&s, COF_ROOT_INO, "audit"), -EISDIR);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "none"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(s.alarm, "audit/open"));
	ck_assert_ptr_nonnull(strstr(s.alarm, "audit/committed"));
	reopen();
	must_hold(&s, open, "1", 1);
	must_hold(&s, committed, "2", 1);
	ck_assert_uint_eq(ino_of(AUDIT, "open"), open);
	ck_assert_uint_eq(ino_of(AUDIT, "committed"), committed);
}
END_TEST

START_TEST(rmdir_cases)
{
	uint64_t dir = must_create(&s, AUDIT, "dir", COF_KIND_DIR), ino;

	must_create(&s, dir, "f", COF_KIND_FILE);
	ck_assert_int_eq(do_rmdir(&s, AUDIT, "dir"), -ENOTEMPTY);
	ck_assert_int_eq(do_rmdir(&s, dir, "f"), -ENOTDIR);
	ck_assert_int_eq(do_rmdir(&s, COF_ROOT_INO, "keys"), -EPERM);
	ck_assert_int_eq(do_unlink(&s, dir, "f"), 0);
	ck_assert_int_eq(do_rmdir(&s, AUDIT, "dir"), 0);
	ck_assert_int_eq(do_rmdir(&s, AUDIT, "dir"), -ENOENT);
	ck_assert_int_eq(do_create(&s, dir, "late", COF_KIND_FILE, &ino), -ENOENT);
	reopen();
	ck_assert_uint_eq(ino_of(AUDIT, "dir"), 0);
}
END_TEST

/* ---- renaming ---- */

START_TEST(rotation)
{
	uint64_t old = must_create(&s, AUDIT, "log", COF_KIND_FILE), new;

	must_write(&s, old, 0, "first\n", 6);
	ck_assert_int_eq(do_rename(&s, AUDIT, "log", AUDIT, "log.1"), 0);
	ck_assert_uint_eq(ino_of(AUDIT, "log"), 0);
	ck_assert_uint_eq(ino_of(AUDIT, "log.1"), old);
	must_write(&s, old, 6, "late\n", 5); /* on the old descriptor, before the signal */
	new = must_create(&s, AUDIT, "log", COF_KIND_FILE);
	must_write(&s, new, 0, "second\n", 7);
	reopen();
	must_hold(&s, ino_of(AUDIT, "log.1"), "first\nlate\n", 11);
	must_hold(&s, ino_of(AUDIT, "log"), "second\n", 7);
}
END_TEST

/* What stands in AUDIT before each: an open file "full", an empty one "none", a committed one "fixed", directories
 * "dir" (empty) and "used" (with "in"), a link "link". */
static const struct {
	uint64_t dir;
	const char *name;
	uint64_t new_dir;
	const char *new_name;
	uint32_t flags;
	int error;
} renames[] = {
    {AUDIT, "full", AUDIT, "free", 0, 0},
    {AUDIT, "full", AUDIT, "free", RENAME_NOREPLACE, 0},
    {AUDIT, "full", KEYS, "free", 0, -EXDEV},
    {AUDIT, "full", AUDIT, "none", 0, 0},
    {AUDIT, "full", AUDIT, "none", RENAME_NOREPLACE, -EEXIST},
    {AUDIT, "full", AUDIT, "full", 0, 0},
    {AUDIT, "full", AUDIT, "full", RENAME_NOREPLACE, -EEXIST},
    {AUDIT, "none", AUDIT, "full", 0, -EPERM},
    {AUDIT, "none", AUDIT, "fixed", 0, -EPERM},
    {AUDIT, "none", AUDIT, "link", 0, -EPERM},
    {AUDIT, "link", AUDIT, "other", 0, 0},
    {AUDIT, "full", AUDIT, "fixed", 0, -EPERM},
    {AUDIT, "full", AUDIT, "none", RENAME_EXCHANGE, -EPERM},
    {AUDIT, "full", AUDIT, "free", RENAME_WHITEOUT, -EPERM},
    {AUDIT, "full", AUDIT, "free", 64, -EINVAL},
    {AUDIT, "fixed", AUDIT, "free", 0, -EPERM},
    {AUDIT, "fixed", KEYS, "free", 0, -EPERM},
    {AUDIT, "full", AUDIT, "dir", 0, -EISDIR},
    {AUDIT, "dir", AUDIT, "full", 0, -ENOTDIR},
    {AUDIT, "dir", AUDIT, "free", 0, 0},
    {AUDIT, "dir", AUDIT, "used", 0, -ENOTEMPTY},
    {AUDIT, "used", AUDIT, "free", 0, -EPERM},
    {AUDIT, "used", AUDIT, "dir", 0, -EPERM},
    {AUDIT, "full", COF_ROOT_INO, "free", 0, -EPERM},
    {AUDIT, "dir", COF_ROOT_INO, "free", 0, -EPERM},
    {COF_ROOT_INO, "audit", COF_ROOT_INO, "free", 0, -EPERM},
    {COF_ROOT_INO, "keys", AUDIT, "free", 0, -EPERM},
    {AUDIT, "missing", AUDIT, "free", 0, -ENOENT},
    {AUDIT, "full", 99, "free", 0, -ENOENT},
    {AUDIT, "full", AUDIT, "..", 0, -EINVAL},
    {AUDIT, "full", AUDIT, "", 0, -EINVAL},
};

static void fill_audit(void)
{
	uint64_t full = must_create(&s, AUDIT, "full", COF_KIND_FILE);
	uint64_t fixed = must_create(&s, AUDIT, "fixed", COF_KIND_FILE), used;

	must_create(&s, AUDIT, "none", COF_KIND_FILE);
	must_create(&s, AUDIT, "link", COF_KIND_SYMLINK);
	must_create(&s, AUDIT, "dir", COF_KIND_DIR);
	used = must_create(&s, AUDIT, "used", COF_KIND_DIR);
	must_create(&s, used, "in", COF_KIND_FILE);
	must_write(&s, full, 0, "full", 4);
	must_write(&s, fixed, 0, "fixed", 5);
	ck_assert_int_eq(do_chmod(&s, fixed, 0444), 0);
}

static int count(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		 uint8_t kind)
{
	(void)cookie;
	(void)name;
	(void)len;
	(void)ino;
	(void)kind;
	++*(int *)user;
	return 0;
}

static int entries(uint64_t dir)
{
	int n = 0;

	ck_assert_int_eq(cof_archive_readdir(s.archive, COF_INDEX_NOW, dir, 0, count, &n), 0);
	return n;
}

START_TEST(renaming)
{
	struct cof_op op = {.kind = COF_OP_RENAME,
			    .parent = renames[_i].dir,
			    .name = renames[_i].name,
			    .new_parent = renames[_i].new_dir,
			    .new_name = renames[_i].new_name,
			    .flags = renames[_i].flags};
	bool same = op.parent == op.new_parent && !strcmp(op.name, op.new_name);
	uint64_t before, there;
	int names, r;

	fill_audit();
	before = ino_of(op.parent, op.name);
	there = ino_of(op.new_parent, op.new_name);
	names = entries(AUDIT) + entries(KEYS);
	r = do_op(&s, &root_user, op);
	ck_assert_msg(r == renames[_i].error, "%s to %s: %d", op.name, op.new_name, r);
	for (int again = 0; again < 2; again++) {
		if (r == 0) {
			ck_assert_uint_eq(ino_of(op.new_parent, op.new_name), before);
			ck_assert(same || ino_of(op.parent, op.name) == 0);
			ck_assert_int_eq(entries(AUDIT) + entries(KEYS),
					 names - (there && !same));
		} else {
			ck_assert_uint_eq(ino_of(op.parent, op.name), before);
			ck_assert_int_eq(entries(AUDIT) + entries(KEYS), names);
		}
		reopen();
	}
}
END_TEST

START_TEST(rename_into_itself)
{
	uint64_t dir = must_create(&s, AUDIT, "dir", COF_KIND_DIR), sub;

	ck_assert_int_eq(do_rename(&s, AUDIT, "dir", dir, "in"), -EINVAL);
	sub = must_create(&s, dir, "sub", COF_KIND_DIR);
	/* Over what holds it. */
	ck_assert_int_eq(do_rename(&s, dir, "sub", AUDIT, "dir"), -ENOTEMPTY);
	ck_assert_uint_eq(ino_of(dir, "sub"), sub);
}
END_TEST

/* Each file is under the policy of the shelf that it was made in, for good. */
START_TEST(stays_in_its_shelf)
{
	static const uint64_t shelf[] = {AUDIT, KEYS};

	for (int i = 0; i < 2; i++) {
		struct cof_reply reply = {0};
		uint64_t ino = must_create(&s, shelf[i], "f", COF_KIND_FILE);
		struct cof_op op = {.kind = COF_OP_WRITE, .ino = ino, .length = 1, .data = "x"};

		for (int again = 0; again < 2; again++) {
			op.offset = (uint64_t)again;
			ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
			ck_assert(reply.durable == (shelf[i] == KEYS));
			ck_assert_int_eq(do_rename(&s, shelf[i], "f", shelf[1 - i], "g"), -EXDEV);
			reopen();
		}
	}
}
END_TEST

/* ---- what never exists here ---- */

START_TEST(links_and_nodes)
{
	uint64_t ino = must_create(&s, AUDIT, "f", COF_KIND_FILE);

	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_LINK,
					       .ino = ino,
					       .parent = AUDIT,
					       .name = "g"}),
			 -EPERM);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_MKNOD,
					       .parent = AUDIT,
					       .name = "fifo",
					       .mode = 010644}),
			 -EPERM);
	ck_assert_uint_eq(ino_of(AUDIT, "g"), 0);
	ck_assert_uint_eq(ino_of(AUDIT, "fifo"), 0);
}
END_TEST

/* ---- listing ---- */

struct listing {
	int n, limit;
	uint64_t last;
	char names[4096];
};

static int list_one(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		    uint8_t kind)
{
	struct listing *l = user;
	struct cof_attr attr;

	/* Calling in again must be possible: readdirplus does. */
	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	ck_assert_uint_eq(attr.kind, kind);
	ck_assert_uint_eq(strlen(name), len);
	ck_assert_uint_gt(cookie, l->last);
	l->last = cookie;
	l->n++;
	return l->n == l->limit;
}

START_TEST(many_entries)
{
	struct listing l = {.limit = 37};
	int total = 0;

	for (int i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		must_create(&s, AUDIT, name, i % 3 ? COF_KIND_FILE : COF_KIND_DIR);
	}
	reopen();
	do { /* in pieces, as the kernel asks */
		l.n = 0;
		ck_assert_int_eq(cof_archive_readdir(s.archive, COF_INDEX_NOW, AUDIT, l.last,
						     list_one, &l),
				 0);
		total += l.n;
	} while (l.n == l.limit);
	ck_assert_int_eq(total, 300);
	l = (struct listing){.limit = -1};
	ck_assert_int_eq(
	    cof_archive_readdir(s.archive, COF_INDEX_NOW, COF_ROOT_INO, 0, list_one, &l), 0);
	ck_assert_int_eq(l.n, 2);
}
END_TEST

START_TEST(paths)
{
	uint64_t dir = must_create(&s, AUDIT, "2026", COF_KIND_DIR), parent, found;
	uint64_t ino = must_create(&s, dir, "a.log", COF_KIND_FILE);
	cof_autobuf struct cof_buf path = {0};
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_path(s.archive, ino, &path), 0);
	ck_assert_str_eq((char *)path.data, "audit/2026/a.log");
	ck_assert_int_eq(cof_archive_resolve(s.archive, "/audit//2026/./a.log", &found), 0);
	ck_assert_uint_eq(found, ino);
	ck_assert_int_eq(cof_archive_resolve(s.archive, "audit/2026/..", &found), 0);
	ck_assert_uint_eq(found, AUDIT);
	ck_assert_int_eq(cof_archive_resolve(s.archive, "", &found), 0);
	ck_assert_uint_eq(found, COF_ROOT_INO);
	ck_assert_int_eq(cof_archive_resolve(s.archive, "audit/none", &found), -ENOENT);
	ck_assert_int_eq(cof_archive_resolve(s.archive, "audit/2026/a.log/x", &found), -ENOTDIR);
	ck_assert_int_eq(cof_archive_parent(s.archive, COF_INDEX_NOW, dir, &parent), 0);
	ck_assert_uint_eq(parent, AUDIT);
	ck_assert_int_eq(
	    cof_archive_lookup(s.archive, COF_INDEX_NOW, COF_ROOT_INO, "..", &attr), 0);
	ck_assert_uint_eq(attr.ino, COF_ROOT_INO);
}
END_TEST

/* As it was before: each tree size has its own names. */
START_TEST(earlier)
{
	struct cof_json *status = cof_json_object();
	uint64_t ino = must_create(&s, AUDIT, "old", COF_KIND_FILE);
	struct cof_attr attr;
	int64_t size;

	ck_assert_int_eq(cof_archive_status(s.archive, status), 0);
	ck_assert_int_eq(cof_json_int(status, "frames", &size), 0);
	must_write(&s, ino, 0, "abc", 3);
	ck_assert_int_eq(do_rename(&s, AUDIT, "old", AUDIT, "new"), 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(
		    cof_archive_lookup(s.archive, (uint64_t)size, AUDIT, "old", &attr), 0);
		ck_assert_uint_eq(attr.ino, ino);
		ck_assert_uint_eq(attr.size, 0);
		ck_assert_int_eq(cof_archive_lookup(s.archive, (uint64_t)size, AUDIT, "new", &attr),
				 -ENOENT);
		ck_assert_int_eq(
		    cof_archive_lookup(s.archive, (uint64_t)size - 1, AUDIT, "old", &attr),
		    -ENOENT);
		ck_assert_uint_eq(ino_of(AUDIT, "old"), 0);
		reopen();
	}
	cof_json_free(status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-names");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("names");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, create_file);
	tcase_add_test(c, create_is_durable_where_the_shelf_says_so);
	tcase_add_loop_test(c, creations_refused, 0, COF_COUNT(creations));
	tcase_add_test(c, create_below_a_file);
	tcase_add_test(c, long_names);
	tcase_add_test(c, names_are_bytes);
	tcase_add_test(c, symlinks);
	tcase_add_test(c, setgid_directories);
	tcase_add_test(c, unlink_empty);
	tcase_add_test(c, unlink_refused);
	tcase_add_test(c, rmdir_cases);
	tcase_add_test(c, rotation);
	tcase_add_loop_test(c, renaming, 0, COF_COUNT(renames));
	tcase_add_test(c, rename_into_itself);
	tcase_add_test(c, stays_in_its_shelf);
	tcase_add_test(c, links_and_nodes);
	tcase_add_test(c, many_entries);
	tcase_add_test(c, paths);
	tcase_add_test(c, earlier);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
