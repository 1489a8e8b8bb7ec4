/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to a process that was confined: each test confines a child of its own and has it try.
 * Needs no root, but for becoming another user.
 */
#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "place.h"

/* ---- the child: exit codes say what came out ---- */

enum { NOT_CONFINED = 100 };

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

/* Refused by the list, whatever else refuses it too. */
static int by_list(const char *name, long r)
{
	char told[64] = "";
	uint64_t times = 0;

	return r < 0 && errno == EPERM && cof_guard_refused(told, &times) && !strcmp(told, name) ? EPERM : ENOTRECOVERABLE;
}

static int try_kill(void)
{
	return by_list("kill", kill(getppid(), 0));
}

static int try_tgkill(void)
{
	return by_list("tgkill", syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int try_limits(void)
{
	struct rlimit less = {16, 16};

	return by_list("prlimit64", setrlimit(RLIMIT_NOFILE, &less));
}

static int try_ioctl(void)
{
	return by_list("ioctl", ioctl(0, TIOCSTI, "x"));
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

static int try_start_after_seal(void)
{
	static const int start[] = {SYS_memfd_secret, SYS_chdir, SYS_seccomp, SYS_io_uring_setup};

	if (cof_guard_seal() < 0)
		return EIO;
	for (size_t i = 0; i < COF_COUNT(start); i++)
		if (syscall(start[i], 0, 0, 0) >= 0 || errno != EPERM)
			return ENOTRECOVERABLE;
	return EPERM;
}

/* The list once more: what is to be let through, and what only on conditions, which have tests of their own. */
static const char allowed[] =
    " read write writev readv pread64 pwrite64 preadv pwritev pwritev2 fdatasync fsync"
    " sync_file_range fadvise64 futex clock_gettime close openat openat2 open fstat newfstatat"
    " lseek stat lstat statx access faccessat faccessat2 readlink readlinkat getcwd getdents64"
    " statfs fstatfs ftruncate fallocate flock fcntl mkdir mkdirat unlink unlinkat rmdir"
    " rename renameat renameat2 fchmod fchown utimes utimensat umask munmap mremap madvise brk"
    " mlock mlock2 munlock msync memfd_secret membarrier set_robust_list rseq set_tid_address"
    " gettid exit exit_group sched_yield sched_getaffinity sched_setaffinity getcpu nanosleep"
    " clock_nanosleep clock_getres gettimeofday time restart_syscall rt_sigaction"
    " rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend sigaltstack"
    " getpid getppid getuid geteuid getgid getegid uname sysinfo getrusage times getrandom"
    " getrlimit dup dup2 dup3 pipe2 eventfd2 poll ppoll select pselect6 connect accept4"
    " shutdown getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg"
    " wait4 chdir seccomp mmap mprotect clone tgkill kill prlimit64 prctl ioctl socket"
    " ";
static const int deadly[] = {SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
			     SYS_pidfd_getfd,
#ifdef SYS_fork
			     SYS_fork, SYS_vfork
#endif
};

static bool in_list(int number)
{
	char name[64], word[72];

	if (!cof_calls_name(number, name))
		return true; /* no call */
	snprintf(word, sizeof(word), " %s ", name);
	for (size_t i = 0; i < COF_COUNT(deadly); i++)
		if (deadly[i] == number)
			return true;
	return number == SYS_clone3 || strstr(allowed, word) != NULL;
}

/* Whether this one was refused, and nothing else. */
static bool is_refused(int number)
{
	char name[64], told[64] = "";
	uint64_t times = 0;

	cof_calls_name(number, name);
	return syscall(number, -1, -1, -1, -1, -1, -1) < 0 && errno == EPERM && cof_guard_refused(told, &times) &&
	       !strcmp(told, name) && times == 1;
}

static int try_all_others(void)
{
	unsigned n = 0;

	for (int number = 0; number < 512; number++) {
		if (in_list(number))
			continue;
		if (!is_refused(number))
			return number > 255 ? 256 - number : number; /* of an exit code the low byte alone is seen */
		n++;
	}
	return n > 150 ? DONE : EIO;
}

START_TEST(test_calls_are_refused)
{
	/* LeakSanitizer needs some of them. */
	if (!COF_SANITIZED) {
		EXITS(try_map_code, EPERM);
		EXITS(try_make_code, EPERM);
		EXITS(try_fork, EPERM);
		EXITS(try_kill, EPERM);
		EXITS(try_tgkill, EPERM);
		EXITS(try_dumpable, EPERM);
	}
	EXITS(try_limits, EPERM);
	EXITS(try_ioctl, EPERM);
	EXITS(try_inet, EPERM);
	EXITS(try_mount, EPERM);
	EXITS(try_unshare, EPERM);
	EXITS(try_ring, EPERM);
	EXITS(try_start_after_seal, EPERM);
}
END_TEST

START_TEST(test_every_other_call_is_refused)
{
	if (!COF_SANITIZED)
		EXITS(try_all_others, DONE);
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

static int deadly_one; /* of deadly */

static int try_deadly(void)
{
	return failed(syscall(deadly_one, 0, 0, 0, 0, 0, 0));
}

START_TEST(test_taking_over_ends_it)
{
	for (size_t i = 0; i < (COF_SANITIZED ? 2 : COF_COUNT(deadly)); i++) {
		int status;

		deadly_one = deadly[i];
		status = in_child(try_deadly, NULL, false);
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "call %d: status %#x", deadly_one,
			      (unsigned)status);
	}
}
END_TEST

/* ---- files ---- */

static int try_places(void)
{
	static const char *const places[] = {"/", "/etc", "/etc/passwd", "/root", "/home", "/tmp", "/usr/bin", "/usr/bin/env",
					     "/boot", "/dev", "/dev/zero", "/dev/kmsg", "/sys", "/sys/kernel", "/run", "/var/log"};

	for (size_t i = 0; i < COF_COUNT(places); i++)
		if (open(places[i], O_RDONLY | O_NONBLOCK | O_NOCTTY) >= 0 || (errno != EACCES && errno != ENOENT))
			return (int)(200 + i);
	return DONE;
}

/* Reading it is one thing. */
static int try_to_write_proc(void)
{
	return failed(open("/proc/self/oom_score_adj", O_WRONLY));
}

static int try_out_of_it(void)
{
	char path[128], out[128];

	snprintf(path, sizeof(path), "%s/mine", inside);
	snprintf(out, sizeof(out), "%s/taken", dir);
	if (close(open(path, O_CREAT | O_WRONLY, 0600)) < 0)
		return EIO;
	int r = failed(rename(path, out));
	unlink(path);
	return r;
}

static int try_device(void)
{
	return failed(open("/dev/zero", O_RDWR));
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
	EXITS(try_places, DONE);
	EXITS(try_to_write_proc, EACCES);
	EXITS(try_out_of_it, abi >= 2 ? EACCES : EXDEV);
	EXITS(try_device, EACCES);
	ck_assert_int_eq(WEXITSTATUS(in_child(try_device, "device:/dev/zero", false)), DONE); /* the TPM's */
}
END_TEST

/* ---- where the TPM is, and the transport, widen it ---- */

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

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *c = tcase_create("guard");
	SRunner *r = srunner_create(s);
	int bad;

	tcase_add_checked_fixture(c, place_make, place_remove);
	tcase_add_test(c, test_its_work_goes_on);
	tcase_add_test(c, test_calls_are_refused);
	tcase_add_test(c, test_every_other_call_is_refused);
	tcase_add_test(c, test_they_would_work);
	tcase_add_test(c, test_taking_over_ends_it);
	tcase_add_test(c, test_files_outside_are_refused);
	tcase_add_test(c, test_what_widens_it);
	tcase_add_test(c, test_first_refusal_of_a_kind_is_told);
	tcase_add_test(c, test_status_is_the_kernels);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_NORMAL);
	bad = srunner_ntests_failed(r);
	srunner_free(r);
	return bad != 0;
}
