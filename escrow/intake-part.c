/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that reads private keys. It is forked for one key. GnuTLS keeps what it reads in ordinary memory: so all
 * of it is locked, and none of it outlives the answer. Whatever a key could make of it, it can do nothing but
 * compute and answer: what is not on the list of calls fails.
 */
#include "escrow/intake-private.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NOBODY 65534
#define SOCKET 3
#define STACK (512u << 10)

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0 /* no call would pass */
#endif

#define ALLOW(call)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int filter_calls(void)
{
	static struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    ALLOW(read), ALLOW(write), ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
	    ALLOW(futex), ALLOW(getrandom), ALLOW(clock_gettime), ALLOW(getpid), ALLOW(getrusage), ALLOW(gettimeofday),
	    ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(exit), ALLOW(exit_group),
	    ALLOW(sigaltstack), /* asked for by AddressSanitizer before a process ends */
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	struct sock_fprog all = {COF_COUNT(program), program};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) < 0 ? -errno : 0;
}

/* Locked memory counts against a limit, which a stack that grows would die of: it has its size before. */
static int lock_memory(struct cof_diag *diag)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	volatile uint8_t stack[STACK];

	for (size_t i = 0; i < sizeof(stack); i += 512)
		stack[i] = 0;
	if (geteuid() == 0)
		(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return cof_fail(diag, -EPERM, "memory cannot be locked (%s): a private key is not read so. Be root, or raise the limit of "
					      "locked memory (ulimit -l)", strerror(errno));
	return 0;
}

static int give_up(int *fd, struct cof_diag *diag)
{
	struct rlimit none = {0, 0}, seconds = {COF_INTAKE_SECONDS / 2, COF_INTAKE_SECONDS / 2};
	sigset_t signals;

	sigemptyset(&signals);
	(void)sigprocmask(SIG_SETMASK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	if (*fd != SOCKET && dup2(*fd, SOCKET) < 0)
		return cof_fail(diag, -EIO, "no descriptor: %s", strerror(errno));
	*fd = SOCKET;
	close(0);
	close(1);
	close(2);
	if (syscall(SYS_close_range, SOCKET + 1, ~0u, 0) < 0)
		return cof_fail(diag, -EIO, "descriptors cannot be closed: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    setrlimit(RLIMIT_CPU, &seconds) < 0)
		return cof_fail(diag, -EIO, "limits cannot be set: %s", strerror(errno));
	if (lock_memory(diag) < 0)
		return -EPERM;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return cof_fail(diag, -EIO, "rights cannot be given up: %s", strerror(errno));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* another user: it may have come back */
		return cof_fail(diag, -EIO, "it stays dumpable: %s", strerror(errno));
	if (filter_calls() < 0)
		return cof_fail(diag, -ENOSYS, "system calls cannot be filtered: %s", strerror(errno));
	return 0;
}

static bool get(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n) {
		ssize_t r = read(fd, at, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

/* What it could still do, as text; empty when nothing. */
static void try_all(char text[sizeof(((struct cof_diag *)NULL)->text)])
{
	int fds[2];

	snprintf(text, 256, "%s%s%s%s%s%s%s", open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? "open " : "",
		 socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? "socket " : "", pipe(fds) == 0 ? "pipe " : "",
		 fcntl(SOCKET, F_DUPFD_CLOEXEC, 0) >= 0 ? "dup " : "", kill(0, 0) == 0 ? "kill " : "",
		 write(1, "", 1) == 1 ? "stdout " : "", syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? "dumpable " : "");
}

static void answer(const struct cof_intake_question *q, struct cof_intake_answer *a)
{
	struct cof_diag diag = {""};
	size_t n = 0;

	a->err = cof_private_key_read(q->file, q->n, q->has_passphrase ? q->passphrase : NULL, &a->key,
				      q->wants_key ? a->pkcs8 : NULL, &n, &diag);
	a->n = (uint32_t)n;
	memcpy(a->text, diag.text, sizeof(a->text));
}

_Noreturn void cof_intake_part(int fd, bool probe)
{
	struct cof_intake_question *q = mmap(NULL, sizeof(*q), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cof_intake_answer *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cof_diag diag = {""};
	int r;

	if (q == MAP_FAILED || a == MAP_FAILED)
		_exit(1);
	r = give_up(&fd, &diag);
	if (!get(fd, q, sizeof(*q)) || q->n > sizeof(q->file) || q->passphrase[sizeof(q->passphrase) - 1])
		_exit(1);
	if (r < 0) {
		a->err = r;
		memcpy(a->text, diag.text, sizeof(a->text));
	} else if (probe) {
		try_all(a->text);
	} else {
		answer(q, a);
	}
	cof_wipe(q, sizeof(*q));
	r = cof_write_all(fd, a, sizeof(*a));
	cof_wipe(a, sizeof(*a));
	_exit(r < 0);
}
