/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to a process that was confined: each test confines a child of its own and has it try.
 * Needs no root, but for becoming another user.
 */
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "crypto/crypto.h"
#include "fs/guard/internal.h"

static char dir[] = "/tmp/coffer-guard-XXXXXX", inside[64], outside[64];

static int abi; /* of Landlock: a confined child cannot ask any more */

static void setup(void)
{
	abi = cof_paths_abi();
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(inside, sizeof(inside), "%s/store", dir);
	snprintf(outside, sizeof(outside), "%s/other", dir);
	ck_assert_int_eq(mkdir(inside, 0700), 0);
	int fd = open(outside, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void teardown(void)
{
	unlink(outside);
	rmdir(inside);
	rmdir(dir);
}

/* ---- the child: exit codes say what came out ---- */

enum { DONE = 0, NOT_CONFINED = 100 };

static int confine(const char *tpm, bool uring)
{
	struct cof_guard_params p = {.store = inside, .tpm = tpm, .uring = uring};
	struct cof_diag diag = {""};

	return cof_guard_only(NULL, 0, &diag) < 0 || cof_guard_confine(&p, &diag) < 0 ? -1 : 0;
}

/* The wait status of a confined child that ran this. */
static int in_child(int (*try)(void), const char *tpm, bool uring)
{
	int status = 0;
	sigset_t set;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1); /* sent for the first refusal: the daemon waits for it */
		sigprocmask(SIG_BLOCK, &set, NULL);
		_exit(confine(tpm, uring) < 0 ? NOT_CONFINED : try());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

#define EXITS(try, code)                                                                           \
	do {                                                                                       \
		int exits_ = in_child(try, NULL, false);                                           \
		ck_assert_msg(WIFEXITED(exits_), #try ": ended by signal %d", WTERMSIG(exits_));   \
		ck_assert_msg(WEXITSTATUS(exits_) == (code), #try ": %s",                          \
			      strerror(WEXITSTATUS(exits_)));                                      \
	} while (0)

static int failed(long r)
{
	return r < 0 ? errno : DONE;
}

/* ---- what it may ---- */

static void *nothing(void *arg)
{
	return arg;
}

static int try_its_work(void)
{
	char path[128];
	pthread_t t;
	int fd, sum = 0;

	snprintf(path, sizeof(path), "%s/file", inside);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	sum |= fd < 0 || write(fd, "x", 1) != 1 || fdatasync(fd) < 0 || close(fd) < 0;
	sum |= unlink(path) < 0;
	fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	sum |= fd < 0 || close(fd) < 0;
	sum |= pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	sum |= fd < 0 || close(fd) < 0;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sum |= p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0 || munmap(p, 4096) < 0;
	sum |= cof_guard_refused((char[64]){""}, &(uint64_t){0});
	return sum ? EIO : DONE;
}

START_TEST(test_its_work_goes_on)
{
	EXITS(try_its_work, DONE);
}
END_TEST

/* ---- what it may not ---- */

static int try_inet(void)
{
	return failed(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_map_code(void)
{
	return failed((long)(intptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int try_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? EIO : failed(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int try_fork(void)
{
	return failed(fork());
}

static int try_kill_parent(void)
{
	return failed(kill(getppid(), 0));
}

static int try_mount(void)
{
	return failed(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
}

static int try_unshare(void)
{
	return failed(unshare(CLONE_NEWUSER));
}

static int try_dumpable(void)
{
	return failed(prctl(PR_SET_DUMPABLE, 1));
}

static int try_ring(void)
{
	char params[256] = {0};

	return failed(syscall(SYS_io_uring_setup, 1, params));
}

static int try_secret_after_seal(void)
{
	int fd;

	if (cof_guard_seal() < 0)
		return EIO;
	fd = (int)syscall(SYS_memfd_secret, 0);
	return failed(fd);
}

START_TEST(test_calls_are_refused)
{
	/* LeakSanitizer needs some of them. */
	if (!COF_SANITIZED) {
		EXITS(try_map_code, EPERM);
		EXITS(try_make_code, EPERM);
		EXITS(try_fork, EPERM);
		EXITS(try_kill_parent, EPERM);
		EXITS(try_dumpable, EPERM);
	}
	EXITS(try_inet, EPERM);
	EXITS(try_mount, EPERM);
	EXITS(try_unshare, EPERM);
	EXITS(try_ring, EPERM);
	EXITS(try_secret_after_seal, EPERM);
}
END_TEST

/* What the test itself would see if nothing were refused. */
START_TEST(test_they_would_work)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(try_make_code(), DONE);
	ck_assert_int_eq(try_kill_parent(), DONE);
}
END_TEST

static int try_exec(void)
{
	execl("/bin/true", "true", NULL);
	return errno;
}

static int try_ptrace(void)
{
	return failed(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_peek(void)
{
	char c, d;
	struct iovec a = {&c, 1}, b = {&d, 1};

	return failed(process_vm_readv(getppid(), &a, 1, &b, 1, 0));
}

START_TEST(test_taking_over_ends_it)
{
	int (*const tries[])(void) = {try_exec, try_ptrace, try_peek};

	for (size_t i = 0; i < (COF_SANITIZED ? 1 : COF_COUNT(tries)); i++) {
		int status = in_child(tries[i], NULL, false);

		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%zu: status %#x", i,
			      (unsigned)status);
	}
}
END_TEST

/* ---- files ---- */

static int try_read_outside(void)
{
	return failed(open(outside, O_RDONLY));
}

static int try_write_outside(void)
{
	return failed(open(outside, O_WRONLY));
}

static int try_make_outside(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/new", dir);
	return failed(open(path, O_CREAT | O_WRONLY, 0600));
}

static int try_other_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	return failed(open(path, O_RDONLY));
}

START_TEST(test_files_outside_are_refused)
{
	if (!abi || COF_SANITIZED)
		return; /* no Landlock; or reports have to get out */
	EXITS(try_read_outside, EACCES);
	EXITS(try_write_outside, EACCES);
	EXITS(try_make_outside, EACCES);
	EXITS(try_other_memory, EACCES);
}
END_TEST

/* ---- where the TPM is, and the transport, widen it ---- */

static int try_tcp_connect(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return errno;
	return failed(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

START_TEST(test_what_widens_it)
{
	int status = in_child(try_tcp_connect, "swtpm:host=127.0.0.1,port=9", false);

	ck_assert_int_eq(WEXITSTATUS(status), ECONNREFUSED); /* it was let through */
	ck_assert_int_eq(WEXITSTATUS(in_child(try_inet, "swtpm:path=/run/x", false)), EPERM);
	ck_assert_int_eq(WEXITSTATUS(in_child(try_inet, "device:/dev/tpmrm0", false)), EPERM);
	status = in_child(try_ring, NULL, true);
	ck_assert_int_ne(WEXITSTATUS(status), EPERM);
}
END_TEST

/* ---- being told ---- */

static int try_to_be_told(void)
{
	struct timespec at_once = {0};
	uint64_t times = 0;
	char name[64] = "";
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (int i = 0; i < 3; i++)
		if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
			return 1;
	if (sigtimedwait(&set, NULL, &at_once) != SIGUSR1)
		return 2;
	if (!cof_guard_refused(name, &times) || strcmp(name, "socket") != 0 || times != 3)
		return 3;
	if (cof_guard_refused(name, &times)) /* once */
		return 4;
	(void)socket(AF_INET, SOCK_STREAM, 0);
	if (sigtimedwait(&set, NULL, &at_once) == SIGUSR1 || cof_guard_refused(name, &times))
		return 5;
	return DONE;
}

START_TEST(test_first_refusal_of_a_kind_is_told)
{
	EXITS(try_to_be_told, DONE);
}
END_TEST

static int try_status(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	int64_t landlock = -1;

	cof_guard_status(o);
	if (!cof_json_bool(o, "seccomp") || !cof_json_bool(o, "no_new_privs") || cof_json_bool(o, "dumpable"))
		return 1;
	if (cof_json_int(o, "landlock", &landlock) < 0 || landlock != abi)
		return 2;
	return cof_guard_refused((char[64]){""}, &(uint64_t){0}) ? 3 : DONE;
}

START_TEST(test_status_is_the_kernels)
{
	cof_autojson struct cof_json *o = cof_json_object();

	EXITS(try_status, DONE);
	cof_guard_status(o); /* and of the test itself */
	ck_assert(!cof_json_bool(o, "seccomp"));
}
END_TEST

/* ---- rights, descriptors, variables ---- */

static int as_nobody(void)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_diag diag;

	if (cof_guard_become(65534, 65534, &diag) < 0)
		return 1;
	cof_guard_status(o);
	if (geteuid() != 65534 || getegid() != 65534 || cof_json_bool(o, "capabilities") ||
	    cof_json_bool(o, "bounding_set") || cof_json_bool(o, "dumpable"))
		return 2;
	if (setuid(0) == 0 || cof_guard_become(0, 0, &diag) != -EPERM)
		return 3;
	return DONE;
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
	return chroot("/") == 0 || errno != EPERM ? 3 : DONE;
}

START_TEST(test_rights_go_for_good)
{
	int (*const tries[])(void) = {as_nobody, as_root};

	if (geteuid() != 0)
		return;
	for (size_t i = 0; i < COF_COUNT(tries); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(tries[i]());
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
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
	Suite *s = suite_create("guard");
	TCase *c = tcase_create("guard");
	SRunner *r = srunner_create(s);
	int bad;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_its_work_goes_on);
	tcase_add_test(c, test_calls_are_refused);
	tcase_add_test(c, test_they_would_work);
	tcase_add_test(c, test_taking_over_ends_it);
	tcase_add_test(c, test_files_outside_are_refused);
	tcase_add_test(c, test_what_widens_it);
	tcase_add_test(c, test_first_refusal_of_a_kind_is_told);
	tcase_add_test(c, test_status_is_the_kernels);
	tcase_add_test(c, test_rights_go_for_good);
	tcase_add_test(c, test_what_is_inherited);
	tcase_add_test(c, test_measures_itself);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
