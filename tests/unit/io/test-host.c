/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only stores in a directory of the host can meet: links, pipes, limits, a full filesystem,
 * other processes.
 */
#include "test-io.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { HOST_KINDS = SIM };

static const char *at(const struct place *p, const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	return path;
}

START_TEST(where_and_name)
{
	struct cof_diag d = {""};
	struct cof_io *io = NULL;
	struct place p;
	struct stat st;

	place_begin(&p, (enum kind)_i);
	ck_assert_str_eq(cof_io_where(p.io), p.dir);
	ck_assert_str_eq(cof_io_name(p.io), "plain");
	put_file(p.io, "a", "x");
	ok(stat(at(&p, "a"), &st));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ok(cof_io_mkdir(p.io, "d"));
	ok(stat(at(&p, "d"), &st));
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(cof_io_plain(at(&p, "no"), &io, &d), -ENOENT);
	ck_assert_ptr_nonnull(strstr(d.text, at(&p, "no")));
	ck_assert_int_eq(cof_io_plain(at(&p, "a"), &io, &d), -ENOTDIR);
	ck_assert_ptr_null(io);
	place_end(&p);
}
END_TEST

/* A link that somebody with access to the store puts there leads nowhere. */
START_TEST(links)
{
	struct cof_file *f = NULL;
	struct place p;
	uint8_t *data = NULL;
	size_t n;

	place_begin(&p, (enum kind)_i);
	put_file(p.io, "real", "real");
	ok(cof_io_mkdir(p.io, "dir"));
	ok(symlink("real", at(&p, "link")));
	ok(symlink("/", at(&p, "root")));
	ok(symlink("dir", at(&p, "dirlink")));
	ok(symlink("nowhere", at(&p, "dangling")));
	ck_assert_int_eq(cof_io_open(p.io, "link", COF_IO_RDWR, &f), -ELOOP);
	ck_assert_int_eq(cof_io_open(p.io, "root/etc/passwd", COF_IO_RDONLY, &f), -ELOOP);
	ck_assert_int_eq(cof_io_load(p.io, "link", 100, &data, &n), -ELOOP);
	ck_assert_int_eq(cof_io_create(p.io, "dirlink/x", &f), -ELOOP);
	ck_assert_int_lt(cof_io_create(p.io, "dangling", &f), 0);
	ck_assert_int_ne(access(at(&p, "nowhere"), F_OK), 0);
	ck_assert_int_lt(cof_io_mkdir(p.io, "dirlink/x"), 0);
	ck_assert_int_lt(cof_io_sync_dir(p.io, "dirlink"), 0);
	ck_assert_int_eq(cof_io_exists(p.io, "dangling"), 1); /* the link is there */
	ok(cof_io_replace(p.io, "link", "new", 3));
	ck_assert(holds(p.io, "link", "new")); /* the link was replaced, not what it names */
	ck_assert(holds(p.io, "real", "real"));
	ok(cof_io_unlink(p.io, "root"));
	ck_assert_ptr_null(f);
	place_end(&p);
}
END_TEST

START_TEST(no_regular_file)
{
	struct cof_file *f = NULL;
	struct cof_diag d;
	struct place p;

	place_begin(&p, (enum kind)_i);
	ok(mkfifo(at(&p, "pipe"), 0600));
	ck_assert_int_lt(cof_io_open(p.io, "pipe", COF_IO_RDONLY, &f), 0); /* and does not wait */
	ck_assert_int_lt(cof_io_open(p.io, "pipe", COF_IO_RDWR, &f), 0);
	ok(mkfifo(at(&p, "lock"), 0600));
	(void)cof_io_lock(p.io, "me", &d); /* does not wait */
	ck_assert_ptr_null(f);
	place_end(&p);
}
END_TEST

/* Beyond a limit a write fails and the file keeps that first error; other files go on. */
START_TEST(limit_is_final)
{
	static uint8_t block[200000];
	const struct rlimit limit = {150000, RLIM_INFINITY};
	struct cof_file *f = NULL, *g = NULL;
	struct place p;
	uint64_t size;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	ok(cof_io_write(f, block, 70000, 0));
	ok(setrlimit(RLIMIT_FSIZE, &limit));
	ck_assert_int_eq(cof_io_write(f, block, sizeof(block), 70000), -EFBIG);
	ok(cof_io_size(f, &size));
	ck_assert_uint_le(size, 150000);
	ck_assert_int_eq(cof_io_write(f, block, 1, 0), -EFBIG);
	ck_assert_int_eq(cof_io_sync(f), -EFBIG);
	ok(cof_io_open(p.io, "a", COF_IO_RDWR, &g)); /* another open file of it can be used */
	ok(cof_io_write(g, block, 70000, 0));
	ok(cof_io_sync(g));
	cof_io_close(f);
	cof_io_close(g);
	place_end(&p);
}
END_TEST

/* Made durable meanwhile: what fails there stays with the file, and is told by the sync that somebody waits for. */
START_TEST(settles_meanwhile)
{
	static uint8_t block[100000];
	const struct rlimit limit = {150000, RLIM_INFINITY};
	struct cof_file *f = NULL, *g = NULL;
	struct place p;

	place_begin(&p, (enum kind)_i);
	ok(cof_io_create(p.io, "a", &f));
	ok(cof_io_create(p.io, "b", &g));
	for (uint64_t i = 0; i < 50; i++) { /* begun while the one before is at it, too */
		ok(cof_io_write(f, "0123456789", 10, i * 10));
		cof_io_settle(f);
	}
	ok(cof_io_sync_together(p.io, (struct cof_file *[]){f, NULL, g}, 3, ""));
	cof_io_settle(f);
	ok(setrlimit(RLIMIT_FSIZE, &limit));
	ck_assert_int_eq(cof_io_write(f, block, sizeof(block), 100000), -EFBIG);
	cof_io_settle(f);
	ck_assert_int_eq(cof_io_sync_together(p.io, (struct cof_file *[]){g, f}, 2, ""), -EFBIG);
	ok(cof_io_sync(g));
	cof_io_settle(g);
	cof_io_close(f);
	cof_io_close(g); /* waits for it */
	place_end(&p);
}
END_TEST

/* A filesystem of 1 MiB, in a mount namespace that ends with this process. */
START_TEST(full_disk)
{
	static uint8_t block[300000];
	struct cof_file *f = NULL, *g = NULL;
	struct place p;
	uint64_t off = 0, size, free_bytes, total;
	int err;

	place_begin(&p, (enum kind)_i);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("coffer-test", p.dir, "tmpfs", 0, "size=1m,mode=0700")) {
		place_end(&p); /* not allowed here: the simulated store has the same test */
		return;
	}
	cof_io_free(p.io);
	p.io = place_open(&p);
	ok(cof_io_space(p.io, &free_bytes, &total));
	ck_assert_uint_eq(total, 1 << 20);
	ok(cof_io_create(p.io, "a", &f));
	ok(cof_io_create(p.io, "b", &g));
	ck_assert_int_eq(cof_io_allocate(f, 0, 2 << 20), -ENOSPC);
	ok(cof_io_size(f, &size));
	ck_assert_uint_eq(size, 0);
	while (!(err = cof_io_write(f, block, sizeof(block), off)))
		off += sizeof(block);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_eq(off, 3 * sizeof(block));
	ck_assert_int_eq(cof_io_write(f, block, 1, 0), -ENOSPC);
	ck_assert_int_eq(cof_io_sync(f), -ENOSPC);
	ok(cof_io_sync(g));
	ck_assert_int_eq(cof_io_replace(p.io, "c", block, sizeof(block)), -ENOSPC);
	ck_assert_int_eq(cof_io_exists(p.io, "c"), 0);
	ck_assert_int_eq(cof_io_exists(p.io, "c.new"), 0);
	ok(cof_io_unlink(p.io, "a"));
	cof_io_close(f);
	ok(cof_io_write(g, block, sizeof(block), 0));
	cof_io_close(g);
	cof_io_free(p.io);
	p.io = NULL;
	ok(umount(p.dir));
	place_end(&p);
}
END_TEST

/* The death of the holder releases the lock, and only its death. */
START_TEST(holder_dies)
{
	struct cof_diag d = {""};
	struct place p;
	int ready[2], go[2];
	char c = 0;
	pid_t pid;

	place_begin(&p, (enum kind)_i);
	ok(pipe2(ready, O_CLOEXEC));
	ok(pipe2(go, O_CLOEXEC));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct cof_io *io = place_open(&p);

		c = cof_io_lock(io, "the child", NULL) ? 'n' : 'y';
		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		_exit(read(go[0], &c, 1) != 1); /* holds it until then */
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(cof_io_lock(p.io, "me", &d), -EBUSY);
	ck_assert_ptr_nonnull(strstr(d.text, "the child"));
	ok(kill(pid, SIGKILL));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ok(cof_io_lock(p.io, "me", &d));
	place_end(&p);
}
END_TEST

/* What stands in the lock's file goes into messages: one line, nothing that moves a cursor. */
START_TEST(holder_is_text)
{
	struct cof_diag d = {""};
	struct cof_io *other;
	char holder[64];
	struct place p;

	place_begin(&p, (enum kind)_i);
	other = place_open(&p);
	ok(cof_io_lock(p.io, "pid\x1b[2J\x7f\nsecond line", &d));
	ck_assert_int_eq(cof_io_locked(other, holder, sizeof(holder)), 1);
	ck_assert_str_eq(holder, "pid?[2J?");
	cof_io_free(other);
	place_end(&p);
}
END_TEST

/* Whoever opened a store that was removed meanwhile, or made anew, gets no lock: it would be one on nothing. */
START_TEST(lock_of_what_is_gone)
{
	struct cof_diag d = {""};
	struct cof_io *before;
	struct place p;
	char aside[300];

	place_begin(&p, (enum kind)_i);
	before = place_open(&p);
	snprintf(aside, sizeof(aside), "%s.aside", p.dir);
	ok(rename(p.dir, aside));
	ck_assert_int_eq(cof_io_lock(before, "me", &d), -ESTALE);
	ok(mkdir(p.dir, 0700));
	ck_assert_int_eq(cof_io_lock(before, "me", &d), -ESTALE);
	ok(rmdir(p.dir));
	ok(rename(aside, p.dir));
	ok(cof_io_lock(before, "me", &d));
	cof_io_free(before);
	place_end(&p);
}
END_TEST

/* Every descriptor of the process is taken: what writes goes on, reading gives up its place. */
START_TEST(no_descriptors)
{
	struct cof_file *f[8] = {NULL}, *reading = NULL;
	int taken[600], n = 0, opened = 0;
	struct rlimit limit = {.rlim_cur = 500, .rlim_max = 500};
	uint8_t *data = NULL;
	size_t len;
	struct place p;

	place_begin(&p, (enum kind)_i);
	put_file(p.io, "a", "old");
	ok(cof_io_mkdir(p.io, "log"));
	ok(setrlimit(RLIMIT_NOFILE, &limit)); /* each test is a process of its own */
	while ((taken[n] = fcntl(0, F_DUPFD, 0)) >= 0)
		n++;
	ck_assert_int_eq(errno, EMFILE);
	for (int i = 0; i < 50; i++) { /* none of the spare ones is lost */
		ck_assert_int_eq(cof_io_open(p.io, "a", COF_IO_RDONLY, &reading), -EMFILE);
		ok(cof_io_replace(p.io, "a", "new", 3));
		ok(cof_io_load(p.io, "a", 10, &data, &len));
		ck_assert_uint_eq(len, 3);
		free(data);
		ok(cof_io_mkdir(p.io, "d"));
		ok(cof_io_rename(p.io, "d", "log/d"));
		ok(cof_io_rmdir(p.io, "log/d"));
		ck_assert_int_eq(cof_io_exists(p.io, "a"), 1);
		ok(cof_io_sync_dir(p.io, ""));
		ok(cof_io_create(p.io, "log/next", &f[0]));
		ok(cof_io_write(f[0], "x", 1, 0));
		ok(cof_io_sync(f[0]));
		cof_io_close(f[0]);
		ok(cof_io_unlink(p.io, "log/next"));
	}
	ok(cof_io_open(p.io, "a", COF_IO_VITAL, &reading));
	ck_assert_int_eq(cof_io_write(reading, "x", 1, 0), -EBADF);
	cof_io_close(reading);
	while (opened < 8 && cof_io_open(p.io, "a", COF_IO_RDWR, &f[opened]) == 0)
		opened++;
	ck_assert_int_ge(opened, 4);
	ck_assert_int_lt(opened, 8);
	close(taken[--n]);
	ok(cof_io_open(p.io, "a", COF_IO_RDONLY, &reading));
	cof_io_close(reading);
	while (opened)
		cof_io_close(f[--opened]);
	while (n)
		close(taken[--n]);
	place_end(&p);
}
END_TEST

TCase *host_case(void)
{
	TCase *t = io_case("host");

	tcase_add_loop_test(t, where_and_name, 0, HOST_KINDS);
	tcase_add_loop_test(t, links, 0, HOST_KINDS);
	tcase_add_loop_test(t, no_regular_file, 0, HOST_KINDS);
	tcase_add_loop_test(t, limit_is_final, 0, HOST_KINDS);
	tcase_add_loop_test(t, settles_meanwhile, 0, HOST_KINDS);
	tcase_add_loop_test(t, full_disk, 0, HOST_KINDS);
	tcase_add_loop_test(t, holder_dies, 0, HOST_KINDS);
	tcase_add_loop_test(t, holder_is_text, 0, HOST_KINDS);
	tcase_add_loop_test(t, lock_of_what_is_gone, 0, HOST_KINDS);
	tcase_add_loop_test(t, no_descriptors, 0, HOST_KINDS);
	return t;
}
