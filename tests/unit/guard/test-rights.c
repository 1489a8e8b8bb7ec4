/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon's processes give up before they read a byte of the archive: rights, groups, descriptors, variables. What the
 * part that runs ssh-keygen may, and what the part that stays root does when it is asked. And what a process measures of itself.
 */
#include "place.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "crypto/crypto.h"
#include "fs/daemon-root.h"

/* ---- rights, descriptors, variables ---- */

/* Groups that root had are not kept: 65534 alone, or none. */
static bool groups_are_gone(void)
{
	gid_t g[32];
	int n = getgroups((int)COF_COUNT(g), g);

	for (int i = 0; i < n; i++)
		if (g[i] != 65534)
			return false;
	return n >= 0;
}

static int as_nobody(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const gid_t groups[] = {0, 6};
	struct cof_diag diag;

	if (setgroups(COF_COUNT(groups), groups) < 0 || groups_are_gone())
		return 5;
	if (cof_guard_become(65534, 65534, &diag) < 0)
		return 1;
	if (!groups_are_gone())
		return 4;
	cof_guard_status(o);
	if (geteuid() != 65534 || getegid() != 65534 || cof_json_bool(o, "capabilities") ||
	    cof_json_bool(o, "bounding_set") || cof_json_bool(o, "dumpable"))
		return 2;
	if (setuid(0) == 0 || cof_guard_become(0, 0, &diag) != -EPERM)
		return 3;
	return DONE;
}

/* An owner that has no name. */
static int as_somebody(void)
{
	const gid_t groups[] = {0, 6};
	struct cof_diag diag;

	if (setgroups(COF_COUNT(groups), groups) < 0 || cof_guard_become(61234, 65534, &diag) < 0)
		return 1;
	return geteuid() == 61234 && groups_are_gone() ? DONE : 2;
}

static int as_root(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_diag diag;

	if (cof_guard_become(0, 0, &diag) < 0)
		return 1;
	cof_guard_status(o);
	if (!COF_SANITIZED && (cof_json_bool(o, "capabilities") || cof_json_bool(o, "bounding_set")))
		return 2;
	if (cof_json_bool(o, "dumpable")) /* of its own: not what became of it with the uid */
		return 4;
	return chroot("/") == 0 || errno != EPERM ? 3 : DONE;
}

/* The part that runs ssh-keygen: nobody's, to run programs and to read what they need, and nothing to write. */
static int as_sign_part(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_diag diag;
	int fds[2], status;
	pid_t pid;

	if (chmod(dir, 0777) < 0 || chmod(outside, 0666) < 0 || pipe(fds) < 0 ||
	    cof_guard_sign_part(fds[0], 65534, 65534, &diag) < 0)
		return 1;
	cof_guard_status(o);
	if (geteuid() != 65534 || cof_json_bool(o, "capabilities") || cof_json_bool(o, "dumpable") ||
	    !cof_json_bool(o, "no_new_privs") || fcntl(fds[1], F_GETFD) >= 0)
		return 2;
	if (abi && !COF_SANITIZED &&
	    (try_write_outside() != EACCES || try_read_outside() != EACCES || try_make_outside() != EACCES))
		return 3;
	if (abi >= 4 && !COF_SANITIZED && try_tcp_connect() != EACCES)
		return 4;
	pid = fork();
	if (pid == 0)
		_exit(execl("/bin/true", "true", NULL) < 0 ? 9 : 0);
	return waitpid(pid, &status, 0) == pid && status == 0 ? DONE : 5;
}

START_TEST(test_rights_go_for_good)
{
	int (*const tries[])(void) = {as_nobody, as_somebody, as_root, as_sign_part};

	if (geteuid() != 0)
		return;
	for (size_t i = 0; i < COF_COUNT(tries); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(tries[i]());
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(status == 0, "%zu: %d", i, WEXITSTATUS(status));
	}
}
END_TEST

static int only_this(void)
{
	int kept = dup(0), gone = dup(0), far = fcntl(0, F_DUPFD, 200);
	struct cof_diag diag;

	if (cof_guard_only(&kept, 1, &diag) < 0)
		return 1;
	if (fcntl(kept, F_GETFD) < 0 || fcntl(gone, F_GETFD) >= 0 || fcntl(far, F_GETFD) >= 0)
		return 2;
	return getenv("LD_PRELOAD") || getenv("SECRET") || !getenv("COFFER_RUN_DIR") || !getenv("PATH") ? 3 : DONE;
}

START_TEST(test_what_is_inherited)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("LD_PRELOAD", "/nowhere.so", 1);
		setenv("SECRET", "x", 1);
		setenv("COFFER_RUN_DIR", "/tmp", 1);
		_exit(only_this());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- the part that stays root ---- */

/* As the daemon asks it, and as somebody would who took the daemon over. The answer's error; *fd: what came with it, or -1. */
static int ask_part(int to, const void *request, size_t n, int *fd)
{
	char answer[2048];
	char room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {answer, sizeof(answer)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	struct cmsghdr *c;
	int32_t err;

	*fd = -1;
	if (send(to, request, n, MSG_NOSIGNAL) != (ssize_t)n || recvmsg(to, &m, 0) < (ssize_t)sizeof(err))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&m);
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	memcpy(&err, answer, sizeof(err));
	return err;
}

/* In a mount namespace of its own. Which step went wrong. */
static int use_root_part(void)
{
	struct cof_attachment mount_of = {.mountpoint = inside, .source = "store"};
	uint8_t request[18] = {0};
	struct cof_daemon_root part;
	struct cof_diag diag;
	int fuse, fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	setenv("COFFER_RUN_DIR", dir, 1);
	if (cof_daemon_root_start(&mount_of, &part, &diag) < 0)
		return 2;
	request[0] = 'm';
	if (ask_part(part.fd, request, sizeof(request), &fuse) != 0 || fuse < 0)
		return 3;
	if (ask_part(part.fd, request, sizeof(request), &fd) != -EBUSY || fd >= 0)
		return 4;
	request[0] = 'd';
	request[1] = 1;
	if (ask_part(part.fd, request, sizeof(request), &fd) != 0)
		return 5;
	request[0] = 'm'; /* not after it was unmounted either */
	if (ask_part(part.fd, request, sizeof(request), &fd) != -EBUSY || fd >= 0)
		return 6;
	request[0] = 's';
	if (ask_part(part.fd, request, sizeof(request), &fd) != 0 || fd < 0)
		return 7;
	if (ask_part(part.fd, request, sizeof(request), &fd) != -EBUSY)
		return 8;
	request[0] = 'x';
	if (ask_part(part.fd, request, sizeof(request), &fd) != 0)
		return 9;
	for (int what = 0; what < 256; what++) {
		request[0] = (uint8_t)what;
		if (!strchr("madsx", what) && ask_part(part.fd, request, sizeof(request), &fd) != -EINVAL)
			return 10;
	}
	if (ask_part(part.fd, request, sizeof(request) - 1, &fd) != -EPIPE) /* what is no request ends it */
		return 11;
	cof_daemon_root_end(&part);
	return DONE;
}

START_TEST(test_root_part_mounts_once)
{
	int status;
	pid_t pid;

	if (geteuid() != 0 || access("/dev/fuse", W_OK) < 0)
		return;
	pid = fork();
	if (pid == 0)
		_exit(use_root_part());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "step %d", WEXITSTATUS(status));
}
END_TEST

/* ---- digests ---- */

START_TEST(test_measures_itself)
{
	struct cof_measured *all, one;
	struct cof_diag diag = {""};
	char exe[PATH_MAX] = "";
	size_t n = 0, libc = 0;

	ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	ck_assert_int_eq(cof_crypto_init(65536, &diag), 0);
	ck_assert_int_eq(cof_guard_measure(&all, &n, &diag), 0);
	ck_assert_uint_gt(n, 3);
	ck_assert_str_eq(all[0].path, exe);
	for (size_t i = 1; i < n; i++) {
		ck_assert(!all[i].replaced);
		libc |= !strncmp(all[i].name, "libc.so", 7);
		ck_assert(i < 2 || strcmp(all[i - 1].name, all[i].name) <= 0);
	}
	ck_assert(libc);
	ck_assert_int_eq(cof_guard_measure_file(exe, &one, &diag), 0);
	ck_assert_int_eq(memcmp(one.digest, all[0].digest, 32), 0);
	ck_assert_int_eq(cof_guard_measure_file(outside, &one, &diag), 0); /* empty */
	uint8_t empty[32];
	cof_sha256("", 0, empty);
	ck_assert_int_eq(memcmp(one.digest, empty, 32), 0);
	ck_assert_int_eq(cof_guard_measure_file("/nowhere", &one, &diag), -ENOENT);
	free(all);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rights");
	TCase *c = tcase_create("rights");
	SRunner *r = srunner_create(s);
	int bad;

	tcase_add_checked_fixture(c, place_make, place_remove);
	tcase_add_test(c, test_rights_go_for_good);
	tcase_add_test(c, test_what_is_inherited);
	tcase_add_test(c, test_root_part_mounts_once);
	tcase_add_test(c, test_measures_itself);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
