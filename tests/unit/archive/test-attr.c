/* SPDX-License-Identifier: Apache-2.0 */
/* Modes, owners, times, committing, opening, and what extended attributes tell. */
#include "support.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#include "entries.h"

static struct store s;

static void setup(void)
{
	store_make(&s, STORE_SIM);
}

static void teardown(void)
{
	store_done(&s);
}

static struct cof_attr attr_of(uint64_t ino)
{
	struct cof_attr attr;

	ck_assert_int_eq(cof_archive_getattr(s.archive, COF_INDEX_NOW, ino, &attr), 0);
	return attr;
}

static void reopen(void)
{
	store_close(&s);
	store_open(&s);
}

static uint64_t file_with(const char *name, const char *text)
{
	uint64_t ino = must_create(&s, AUDIT, name, COF_KIND_FILE);

	if (*text)
		must_write(&s, ino, 0, text, strlen(text));
	return ino;
}

static size_t frames_of(const char *type)
{
	struct cof_json *all = entries_of(&s, type);
	size_t n = cof_json_count(all);

	cof_json_free(all);
	return n;
}

/* ---- chmod ---- */

static const struct {
	const char *text;
	uint32_t mode; /* 0644 before */
	uint8_t state;
} modes[] = {
    {"x", 0600, COF_STATE_OPEN},      {"x", 0200, COF_STATE_OPEN},
    {"x", 0222, COF_STATE_OPEN},      {"x", 0464, COF_STATE_OPEN},
    {"x", 07777, COF_STATE_OPEN},     {"x", 0444, COF_STATE_COMMITTED},
    {"x", 0400, COF_STATE_COMMITTED}, {"x", 0, COF_STATE_COMMITTED},
    {"x", 0555, COF_STATE_COMMITTED}, {"", 0444, COF_STATE_OPEN},
    {"", 0, COF_STATE_OPEN},
};

START_TEST(chmod_modes)
{
	uint64_t ino = file_with("f", modes[_i].text);
	struct cof_attr attr;

	ck_assert_int_eq(do_chmod(&s, ino, modes[_i].mode), 0);
	for (int again = 0; again < 2; again++) {
		attr = attr_of(ino);
		ck_assert_uint_eq(attr.mode, modes[_i].mode);
		ck_assert_uint_eq(attr.state, modes[_i].state);
		ck_assert_uint_eq(attr.size, strlen(modes[_i].text));
		reopen();
	}
}
END_TEST

START_TEST(chmod_again_changes_nothing)
{
	uint64_t ino = file_with("f", "x");
	int64_t ctime;
	size_t commits;

	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	ctime = attr_of(ino).ctime;
	commits = frames_of("commit");
	ck_assert_uint_eq(commits, 1);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	ck_assert_int_eq(attr_of(ino).ctime, ctime);
	ck_assert_uint_eq(frames_of("commit"), 1);
	ck_assert_uint_eq(frames_of("attr"), 0);
}
END_TEST

/* SnapLock's recipe: an empty file, chmod 444, chmod u+w, append. */
START_TEST(appendable_recipe)
{
	uint64_t ino = file_with("f", "");

	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	ck_assert_int_eq(do_chmod(&s, ino, 0644), 0);
	must_write(&s, ino, 0, "one", 3);
	must_write(&s, ino, 3, "two", 3);
	reopen();
	must_hold(&s, ino, "onetwo", 6);
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_OPEN);
}
END_TEST

/* A file made with 0444 is open until the first chmod whose result has no write bit (cp -p, tar -x). */
START_TEST(created_without_write_permission)
{
	struct cof_op op = {.kind = COF_OP_CREATE,
			    .parent = AUDIT,
			    .name = "f",
			    .node_kind = COF_KIND_FILE,
			    .mode = 0444};
	struct cof_reply reply;

	ck_assert_int_eq(cof_archive_do(s.archive, &root_user, &op, &reply), 0);
	ck_assert_int_eq(do_chmod(&s, reply.attr.ino, 0444), 0);
	ck_assert_uint_eq(attr_of(reply.attr.ino).state, COF_STATE_OPEN);
	must_write(&s, reply.attr.ino, 0, "x", 1);
	ck_assert_uint_eq(attr_of(reply.attr.ino).state, COF_STATE_OPEN);
	ck_assert_int_eq(do_chmod(&s, reply.attr.ino, 0444), 0);
	ck_assert_uint_eq(attr_of(reply.attr.ino).state, COF_STATE_COMMITTED);
}
END_TEST

/* ---- after the commit ---- */

static const struct {
	struct cof_op op;
	int error;
} after[] = {
    {{.kind = COF_OP_WRITE, .offset = 4, .length = 1, .data = "x"}, -EPERM},
    {{.kind = COF_OP_WRITE, .offset = 0, .length = 1, .data = "x"}, -EPERM},
    {{.kind = COF_OP_TRUNCATE, .length = 0}, -EPERM},
    {{.kind = COF_OP_TRUNCATE, .length = 4}, -EPERM},
    {{.kind = COF_OP_TRUNCATE, .length = 9}, -EPERM},
    {{.kind = COF_OP_FALLOCATE, .flags = FALLOC_FL_KEEP_SIZE, .length = 9}, -EPERM},
    {{.kind = COF_OP_CHMOD, .mode = 0644}, -EPERM},
    {{.kind = COF_OP_CHMOD, .mode = 0400}, -EPERM},
    {{.kind = COF_OP_CHMOD, .mode = 0444}, 0},
    {{.kind = COF_OP_CHOWN, .uid = 5, .valid = COF_SET_UID}, -EPERM},
    {{.kind = COF_OP_CHOWN, .uid = 0, .valid = COF_SET_UID}, 0},
    {{.kind = COF_OP_UTIMES, .mtime = 1, .valid = COF_SET_MTIME}, -EPERM},
    {{.kind = COF_OP_UTIMES, .valid = COF_SET_MTIME_NOW}, -EPERM},
    {{.kind = COF_OP_UTIMES, .atime = 1, .valid = COF_SET_ATIME}, -EPERM},
    {{.kind = COF_OP_OPEN, .flags = O_RDONLY}, 0},
    {{.kind = COF_OP_OPEN, .flags = O_WRONLY}, -EPERM},
    {{.kind = COF_OP_OPEN, .flags = O_RDWR}, -EPERM},
    {{.kind = COF_OP_OPEN, .flags = O_WRONLY | O_APPEND}, -EPERM},
    {{.kind = COF_OP_OPEN, .flags = O_RDONLY | O_TRUNC}, -EPERM},
    {{.kind = COF_OP_COMMIT}, 0},
    {{.kind = COF_OP_SETXATTR, .name = "user.x", .data = "v", .length = 1}, -EPERM},
    {{.kind = COF_OP_REMOVEXATTR, .name = "user.x"}, -EPERM},
    {{.kind = COF_OP_UNLINK, .parent = AUDIT, .name = "f"}, -EPERM},
    {{.kind = COF_OP_MMAP_WRITE}, -ENODEV},
    {{.kind = COF_OP_REFLINK}, -EOPNOTSUPP},
};

static bool same(const struct cof_attr *a, const struct cof_attr *b)
{
	return a->ino == b->ino && a->size == b->size && a->kind == b->kind &&
	       a->state == b->state && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->nlink == b->nlink && a->mtime == b->mtime && a->ctime == b->ctime &&
	       a->atime == b->atime && a->created == b->created;
}

START_TEST(committed)
{
	uint64_t ino = file_with("f", "text");
	struct cof_op op = after[_i].op;
	const struct cof_who *who = _i % 2 ? &root_user : &alice;
	struct cof_attr before, now;
	size_t events;
	int r;

	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	before = attr_of(ino);
	events = frames_of("event");
	if (op.kind != COF_OP_UNLINK)
		op.ino = ino;
	r = do_op(&s, who, op);
	ck_assert_msg(r == after[_i].error, "%s: %d", cof_op_name(op.kind), r);
	/* Each refusal is on record, what is merely impossible is not. */
	ck_assert_uint_eq(frames_of("event"), events + (r == -EPERM || r == -ENODEV));
	for (int again = 0; again < 2; again++) {
		now = attr_of(ino);
		ck_assert(same(&now, &before));
		must_hold(&s, ino, "text", 4);
		reopen();
	}
}
END_TEST

START_TEST(refusal_says_who_and_what)
{
	uint64_t ino = file_with("f", "text");
	struct cof_who who = {1000, 1000, (uint32_t)getpid(), false};
	struct cof_json *all, *e, *actor;

	ck_assert_int_eq(do_op(&s, &who,
			       (struct cof_op){.kind = COF_OP_WRITE,
					       .ino = ino,
					       .offset = 1,
					       .length = 1,
					       .data = "x"}),
			 -EPERM);
	all = entries_of(&s, "event");
	e = entry_with(all, "operation", "write");
	ck_assert_ptr_nonnull(e);
	ck_assert_str_eq(cof_json_str(e, "path"), "audit/f");
	ck_assert_str_eq(cof_json_str(e, "errno"), "EPERM");
	ck_assert_int_eq(number_of(e, "object"), (int64_t)ino);
	actor = cof_json_get(e, "actor");
	ck_assert_int_eq(number_of(actor, "uid"), 1000);
	ck_assert_int_eq(number_of(actor, "pid"), getpid());
	ck_assert_ptr_nonnull(cof_json_str(actor, "command"));
	cof_json_free(all);
}
END_TEST

START_TEST(commit_operation)
{
	uint64_t ino = file_with("f", "x"), empty = file_with("e", "");

	ck_assert_int_eq(do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_COMMIT, .ino = ino}),
			 0);
	ck_assert_uint_eq(attr_of(ino).mode, 0444);
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
	ck_assert_int_eq(
	    do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_COMMIT, .ino = empty}), 0);
	ck_assert_uint_eq(attr_of(empty).state, COF_STATE_COMMITTED);
	ck_assert_int_eq(do_unlink(&s, AUDIT, "e"), -EPERM);
	ck_assert_int_eq(
	    do_op(&s, &root_user, (struct cof_op){.kind = COF_OP_COMMIT, .ino = AUDIT}), -EINVAL);
}
END_TEST

/* ---- the one rename ---- */

static int rename_as(uint32_t pid, const char *from, uint64_t dir, const char *to)
{
	struct cof_who who = {0, 0, pid, false};

	return do_op(&s, &who,
		     (struct cof_op){.kind = COF_OP_RENAME,
				     .parent = AUDIT,
				     .name = from,
				     .new_parent = dir,
				     .new_name = to});
}

static void commit_as(uint32_t pid, uint64_t ino)
{
	struct cof_who who = {0, 0, pid, false};

	ck_assert_int_eq(
	    do_op(&s, &who, (struct cof_op){.kind = COF_OP_CHMOD, .ino = ino, .mode = 0444}), 0);
}

static pid_t child;

static void child_start(void)
{
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		for (;;)
			pause();
}

static void child_end(void)
{
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(renamed_once)
{
	uint32_t own = (uint32_t)getpid();
	uint64_t ino = file_with("f", "x"), taken = file_with("taken", "");

	child_start();
	commit_as(own, ino);
	ck_assert_int_eq(rename_as((uint32_t)child, "f", AUDIT, "g"), -EPERM); /* another process */
	ck_assert_int_eq(rename_as(0, "f", AUDIT, "g"), -EPERM);		 /* nobody known */
	ck_assert_int_eq(rename_as(own, "f", KEYS, "g"), -EPERM);		 /* another shelf */
	ck_assert_int_eq(rename_as(own, "f", AUDIT, "taken"), -EPERM);	 /* a name in use */
	ck_assert_int_eq(rename_as(own, "f", AUDIT, "g"), 0);
	ck_assert_int_eq(rename_as(own, "g", AUDIT, "h"), -EPERM); /* once */
	ck_assert_uint_eq(attr_of(ino).state, COF_STATE_COMMITTED);
	ck_assert_uint_eq(attr_of(taken).state, COF_STATE_OPEN);
	child_end();
	reopen();
	must_hold(&s, ino, "x", 1);
	ck_assert_int_eq(rename_as(own, "g", AUDIT, "h"), -EPERM);
}
END_TEST

START_TEST(no_rename_after_the_process_ended)
{
	uint64_t ino = file_with("f", "x");
	uint32_t pid;

	child_start();
	pid = (uint32_t)child;
	commit_as(pid, ino);
	child_end();
	ck_assert_int_eq(rename_as(pid, "f", AUDIT, "g"), -EPERM);
}
END_TEST

START_TEST(no_rename_after_many_commits)
{
	uint32_t own = (uint32_t)getpid();
	char name[16];

	for (int i = 0; i <= 256; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		commit_as(own, file_with(name, "x"));
	}
	ck_assert_int_eq(rename_as(own, "f0", AUDIT, "g"), -EPERM);
	ck_assert_int_eq(rename_as(own, "f1", AUDIT, "g"), 0);
}
END_TEST

/* ---- owners and times ---- */

START_TEST(owners)
{
	uint64_t ino = file_with("f", "x");
	struct cof_op op = {.kind = COF_OP_CHOWN, .ino = ino, .uid = 7, .gid = 8};

	op.valid = COF_SET_UID;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
	ck_assert_uint_eq(attr_of(ino).uid, 7);
	ck_assert_uint_eq(attr_of(ino).gid, 0);
	op.valid = COF_SET_GID;
	op.uid = 99;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_uint_eq(attr_of(ino).uid, 7);
		ck_assert_uint_eq(attr_of(ino).gid, 8);
		reopen();
	}
}
END_TEST

START_TEST(claimed_mtime)
{
	const int64_t claim = 1234567890123456789ll;
	uint64_t ino = file_with("f", "x");
	int64_t before = cof_now(CLOCK_REALTIME);

	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_UTIMES,
					       .ino = ino,
					       .mtime = claim,
					       .valid = COF_SET_MTIME}),
			 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(attr_of(ino).mtime, claim);
		ck_assert_int_ge(attr_of(ino).ctime, before);
		reopen();
	}
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0); /* the commit keeps it */
	reopen();
	ck_assert_int_eq(attr_of(ino).mtime, claim);
}
END_TEST

START_TEST(times_now)
{
	uint64_t ino = file_with("f", "x");
	struct cof_op op = {.kind = COF_OP_UTIMES, .ino = ino, .mtime = 5, .atime = 5};
	int64_t before, mtime = attr_of(ino).mtime;
	size_t attrs = frames_of("attr");

	op.valid = COF_SET_ATIME;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0); /* no access time is kept */
	ck_assert_int_eq(attr_of(ino).mtime, mtime);
	ck_assert_uint_eq(frames_of("attr"), attrs);
	before = cof_now(CLOCK_REALTIME);
	op.valid = COF_SET_ATIME_NOW | COF_SET_MTIME_NOW;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
	ck_assert_int_ge(attr_of(ino).mtime, before);
	/* The claim ends with the next byte. */
	op.valid = COF_SET_MTIME;
	ck_assert_int_eq(do_op(&s, &root_user, op), 0);
	ck_assert_int_eq(attr_of(ino).mtime, 5);
	must_write(&s, ino, 1, "y", 1);
	ck_assert_int_ge(attr_of(ino).mtime, before);
	reopen();
	ck_assert_int_ge(attr_of(ino).mtime, before);
}
END_TEST

START_TEST(root_and_shelves)
{
	ck_assert_int_eq(do_chmod(&s, COF_ROOT_INO, 0777), -EPERM);
	ck_assert_int_eq(do_op(&s, &root_user,
			       (struct cof_op){.kind = COF_OP_CHOWN,
					       .ino = COF_ROOT_INO,
					       .uid = 7,
					       .valid = COF_SET_UID}),
			 -EPERM);
	ck_assert_int_eq(do_chmod(&s, AUDIT, 01777), 0);
	reopen();
	ck_assert_uint_eq(attr_of(AUDIT).mode, 01777);
	ck_assert_uint_eq(attr_of(COF_ROOT_INO).mode, 0755);
}
END_TEST

/* ---- opening ---- */

START_TEST(opening)
{
	uint64_t full = file_with("f", "x"), empty = file_with("e", "");
	struct cof_op op = {.kind = COF_OP_OPEN, .ino = full, .flags = O_RDWR};

	ck_assert_int_eq(do_op(&s, &alice, op), 0);
	op.flags = O_WRONLY | O_TRUNC;
	ck_assert_int_eq(do_op(&s, &alice, op), -EPERM);
	op.ino = empty;
	ck_assert_int_eq(do_op(&s, &alice, op), 0);
	op.ino = AUDIT;
	ck_assert_int_eq(do_op(&s, &alice, op), -EISDIR);
	op.ino = 999;
	ck_assert_int_eq(do_op(&s, &alice, op), -ENOENT);
}
END_TEST

static const struct {
	uint32_t mode;
	int error;
} fallocates[] = {
    {FALLOC_FL_KEEP_SIZE, 0},
    {0, -EPERM},
    {FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, -EPERM},
    {FALLOC_FL_ZERO_RANGE, -EPERM},
    {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, -EPERM},
    {FALLOC_FL_COLLAPSE_RANGE, -EPERM},
    {FALLOC_FL_INSERT_RANGE, -EPERM},
};

START_TEST(fallocating)
{
	uint64_t ino = file_with("f", "text");

	ck_assert_int_eq(do_op(&s, &alice,
			       (struct cof_op){.kind = COF_OP_FALLOCATE,
					       .ino = ino,
					       .flags = fallocates[_i].mode,
					       .offset = 0,
					       .length = 100}),
			 fallocates[_i].error);
	must_hold(&s, ino, "text", 4);
}
END_TEST

/* ---- extended attributes ---- */

static int get(uint64_t ino, const char *name, char out[128])
{
	cof_autobuf struct cof_buf b = {0};
	int r = cof_archive_getxattr(s.archive, ino, name, &b);

	if (r == 0) {
		ck_assert_uint_lt(b.len, 128);
		memcpy(out, b.data, b.len);
		out[b.len] = 0;
	}
	return r;
}

START_TEST(own_attributes)
{
	uint64_t ino = file_with("f", "x");
	cof_autobuf struct cof_buf names = {0};
	char text[128], want[32];

	ck_assert_int_eq(get(ino, "user.coffer.state", text), 0);
	ck_assert_str_eq(text, "open");
	ck_assert_int_eq(get(ino, "user.coffer.committed_at", text), -ENODATA);
	ck_assert_int_eq(get(ino, "user.coffer.nothing", text), -ENODATA);
	ck_assert_int_eq(get(ino, "user.other", text), -ENODATA);
	ck_assert_int_eq(get(AUDIT, "user.coffer.state", text), -ENODATA);
	cof_time_text(attr_of(ino).created, want);
	ck_assert_int_eq(get(ino, "user.coffer.created", text), 0);
	ck_assert_str_eq(text, want);
	ck_assert_int_eq(do_chmod(&s, ino, 0444), 0);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(get(ino, "user.coffer.state", text), 0);
		ck_assert_str_eq(text, "committed");
		cof_time_text(attr_of(ino).ctime, want);
		ck_assert_int_eq(get(ino, "user.coffer.archived_at", text), -ENODATA); /* no vault has it */
		ck_assert_int_eq(get(ino, "user.coffer.committed_at", text), 0);
		ck_assert_str_eq(text, want);
		ck_assert_int_eq(get(ino, "user.coffer.index", text), 0);
		ck_assert_int_gt(atoi(text), 8);
		reopen();
	}
	/* Not listed: copying tools would try to set them. */
	ck_assert_int_eq(cof_archive_listxattr(s.archive, ino, &names), 0);
	ck_assert_uint_eq(names.len, 0);
	ck_assert_int_eq(cof_archive_listxattr(s.archive, 999, &names), -ENOENT);
	ck_assert_int_eq(cof_archive_listxattr(s.archive, AUDIT, &names), 0);
	ck_assert_uint_eq(names.len, 0);
}
END_TEST

START_TEST(own_attributes_cannot_be_set)
{
	uint64_t ino = file_with("f", "x");
	struct cof_op op = {.kind = COF_OP_SETXATTR,
			    .ino = ino,
			    .name = "user.coffer.state",
			    .data = "open",
			    .length = 4};

	ck_assert_int_eq(do_op(&s, &root_user, op), -EPERM);
	op.kind = COF_OP_REMOVEXATTR;
	ck_assert_int_eq(do_op(&s, &root_user, op), -EPERM);
}
END_TEST

static int set(uint64_t ino, const char *name, const void *value, size_t n, uint32_t flags)
{
	return do_op(&s, &alice,
		     (struct cof_op){.kind = COF_OP_SETXATTR,
				     .ino = ino,
				     .name = name,
				     .data = value,
				     .length = n,
				     .flags = flags});
}

static int unset(uint64_t ino, const char *name)
{
	return do_op(&s, &alice,
		     (struct cof_op){.kind = COF_OP_REMOVEXATTR, .ino = ino, .name = name});
}

static void must_list(uint64_t ino, const char *names, size_t n)
{
	cof_autobuf struct cof_buf b = {0};

	ck_assert_int_eq(cof_archive_listxattr(s.archive, ino, &b), 0);
	ck_assert_uint_eq(b.len, n);
	if (n)
		ck_assert_mem_eq(b.data, names, n);
}

START_TEST(peoples_attributes)
{
	uint64_t file = file_with("f", "x"), dir = must_create(&s, AUDIT, "d", COF_KIND_DIR);
	char text[128];

	ck_assert_int_eq(set(dir, "user.a", "one", 3, 0), 0);
	ck_assert_int_eq(set(dir, "user.b", "", 0, XATTR_CREATE), 0);
	ck_assert_int_eq(set(dir, "user.c", "\0\1", 2, 0), 0);
	ck_assert_int_eq(set(dir, "user.a", "x", 1, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(set(dir, "user.z", "x", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(set(dir, "user.a", "two", 3, XATTR_REPLACE), 0);
	ck_assert_int_eq(unset(dir, "user.z"), -ENODATA);
	for (int again = 0; again < 2; again++) {
		must_list(dir, "user.a\0user.b\0user.c", 21);
		ck_assert_int_eq(get(dir, "user.a", text), 0);
		ck_assert_str_eq(text, "two");
		ck_assert_int_eq(get(dir, "user.b", text), 0);
		ck_assert_str_eq(text, "");
		ck_assert_int_eq(get(dir, "user.z", text), -ENODATA);
		reopen();
	}
	ck_assert_int_eq(unset(dir, "user.b"), 0);
	for (int again = 0; again < 2; again++) {
		must_list(dir, "user.a\0user.c", 14);
		ck_assert_int_eq(get(dir, "user.b", text), -ENODATA);
		reopen();
	}
	ck_assert_int_eq(unset(dir, "user.a"), 0);
	ck_assert_int_eq(unset(dir, "user.c"), 0);
	must_list(dir, "", 0);
	/* Of a file they stay with the commit. */
	ck_assert_int_eq(set(file, "user.a", "mine", 4, 0), 0);
	ck_assert_int_eq(do_chmod(&s, file, 0444), 0);
	ck_assert_int_eq(set(file, "user.a", "other", 5, 0), -EPERM);
	ck_assert_int_eq(unset(file, "user.a"), -EPERM);
	reopen();
	ck_assert_int_eq(get(file, "user.a", text), 0);
	ck_assert_str_eq(text, "mine");
	must_hold(&s, file, "x", 1);
}
END_TEST

START_TEST(large_attributes)
{
	uint64_t dir = must_create(&s, AUDIT, "d", COF_KIND_DIR);
	uint8_t *value = calloc(1, 65536);
	cof_autobuf struct cof_buf b = {0};
	char name[300];
	int r = 0, n;

	ck_assert_int_eq(set(dir, "user.big", value, 65536, 0), -E2BIG);
	value[65534] = 7;
	ck_assert_int_eq(set(dir, "user.big", value, 65535, 0), 0);
	reopen();
	ck_assert_int_eq(cof_archive_getxattr(s.archive, dir, "user.big", &b), 0);
	ck_assert_uint_eq(b.len, 65535);
	ck_assert_mem_eq(b.data, value, 65535);
	free(value);
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[256] = 0;
	ck_assert_int_eq(set(dir, name, "x", 1, 0), -ERANGE);
	/* As many as a list can hold. */
	for (n = 0; r == 0 && n < 400; n++) {
		snprintf(name + 240, 60, "%015d", n);
		r = set(dir, name, "x", 1, 0);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(n, (65536 - 9) / 256 + 1);
	ck_assert_int_eq(cof_archive_listxattr(s.archive, dir, &b), 0);
	ck_assert_uint_le(b.len, 65536);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("archive-attr");
	SRunner *runner = srunner_create(suite);
	TCase *c = tcase_create("attr");
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, chmod_modes, 0, COF_COUNT(modes));
	tcase_add_test(c, chmod_again_changes_nothing);
	tcase_add_test(c, appendable_recipe);
	tcase_add_test(c, created_without_write_permission);
	tcase_add_loop_test(c, committed, 0, COF_COUNT(after));
	tcase_add_test(c, refusal_says_who_and_what);
	tcase_add_test(c, commit_operation);
	tcase_add_test(c, renamed_once);
	tcase_add_test(c, no_rename_after_the_process_ended);
	tcase_add_test(c, no_rename_after_many_commits);
	tcase_add_test(c, owners);
	tcase_add_test(c, claimed_mtime);
	tcase_add_test(c, times_now);
	tcase_add_test(c, root_and_shelves);
	tcase_add_test(c, opening);
	tcase_add_loop_test(c, fallocating, 0, COF_COUNT(fallocates));
	tcase_add_test(c, own_attributes);
	tcase_add_test(c, own_attributes_cannot_be_set);
	tcase_add_test(c, peoples_attributes);
	tcase_add_test(c, large_attributes);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
