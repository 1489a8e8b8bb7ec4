/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls by a list (seccomp): what is not here fails with EPERM and is told of (refused.c);
 * what only somebody who took the daemon over would try ends it (docs/decisions.md says why not
 * both the same). The list is what the daemon's own code and its libraries' are known to use:
 * the end-to-end tests all run under it.
 *
 * Calls of the hot path have no conditions: the kernel then keeps them in a bitmap and runs no
 * program for them at all.
 */
#include "fs/guard/internal.h"

#include "crypto/crypto.h"

#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef __NR_openat2
#define __NR_openat2 437
#endif

enum condition {
	ANY,
	NOT_EXEC,   /* third argument: no PROT_EXEC */
	THREAD,	    /* first: a thread of this process, nothing else */
	LOCAL,	    /* first: AF_UNIX */
	INET,	    /* first: AF_INET, AF_INET6; AF_NETLINK, by which getaddrinfo learns of addresses */
	OWN,	    /* first: this process */
	NO_NEW,	    /* third: none, so that limits are only read */
	OWN_NAME,   /* first: PR_SET_NAME, PR_GET_… */
	TERMINAL    /* second: whether it is a terminal */
};

struct row {
	int call;
	unsigned when;
	enum condition condition;
};

#define ALWAYS COF_CALLS_ALWAYS
#define START COF_CALLS_START
#define URING COF_CALLS_URING
#define NET COF_CALLS_NET
#define CHECKED COF_CALLS_CHECKED
#define C(name) SCMP_SYS(name)

static const struct row table[] = {
    /* requests, frames, replies: the hot path */
    {C(read), ALWAYS, ANY},
    {C(write), ALWAYS, ANY},
    {C(writev), ALWAYS, ANY},
    {C(readv), ALWAYS, ANY},
    {C(pread64), ALWAYS, ANY}, /* frames; who writes */
    {C(pwrite64), ALWAYS, ANY},
    {C(preadv), ALWAYS, ANY},
    {C(pwritev), ALWAYS, ANY},
    {C(pwritev2), ALWAYS, ANY},
    {C(fdatasync), ALWAYS, ANY},
    {C(fsync), ALWAYS, ANY},
    {C(sync_file_range), ALWAYS, ANY},
    {C(fadvise64), ALWAYS, ANY},
    {C(futex), ALWAYS, ANY},
    {C(clock_gettime), ALWAYS, ANY}, /* where the vDSO cannot */
    {C(io_uring_enter), URING, ANY},
    {C(close), ALWAYS, ANY},
    {C(openat), ALWAYS, ANY}, /* Landlock says which */
    {C(openat2), ALWAYS, ANY},
    {C(open), ALWAYS, ANY},
    {C(fstat), ALWAYS, ANY},
    {C(newfstatat), ALWAYS, ANY},
    {C(lseek), ALWAYS, ANY},
    /* the store's files and the index's */
    {C(stat), ALWAYS, ANY},
    {C(lstat), ALWAYS, ANY},
    {C(statx), ALWAYS, ANY},
    {C(access), ALWAYS, ANY},
    {C(faccessat), ALWAYS, ANY},
    {C(faccessat2), ALWAYS, ANY},
    {C(readlink), ALWAYS, ANY}, /* realpath */
    {C(readlinkat), ALWAYS, ANY},
    {C(getcwd), ALWAYS, ANY},
    {C(getdents64), ALWAYS, ANY},
    {C(statfs), ALWAYS, ANY},
    {C(fstatfs), ALWAYS, ANY},
    {C(ftruncate), ALWAYS, ANY},
    {C(fallocate), ALWAYS, ANY},
    {C(flock), ALWAYS, ANY},
    {C(fcntl), ALWAYS, ANY},
    {C(mkdir), ALWAYS, ANY},
    {C(mkdirat), ALWAYS, ANY},
    {C(unlink), ALWAYS, ANY},
    {C(unlinkat), ALWAYS, ANY},
    {C(rmdir), ALWAYS, ANY}, /* SQLite */
    {C(rename), ALWAYS, ANY},
    {C(renameat), ALWAYS, ANY},
    {C(renameat2), ALWAYS, ANY},
    {C(fchmod), ALWAYS, ANY},
    {C(fchown), ALWAYS, ANY}, /* SQLite, of root: its own new files */
    {C(utimes), ALWAYS, ANY},
    {C(utimensat), ALWAYS, ANY},
    {C(umask), ALWAYS, ANY},
    /* memory: none of it may be executed */
    {C(mmap), ALWAYS, NOT_EXEC},
    {C(mprotect), ALWAYS, NOT_EXEC},
    {C(munmap), ALWAYS, ANY},
    {C(mremap), ALWAYS, ANY},
    {C(madvise), ALWAYS, ANY},
    {C(brk), ALWAYS, ANY},
    {C(mlock), ALWAYS, ANY},
    {C(mlock2), ALWAYS, ANY},
    {C(munlock), ALWAYS, ANY},
    {C(msync), ALWAYS, ANY}, /* lines go into a mapping */
    {C(memfd_secret), START, ANY},
    {C(membarrier), ALWAYS, ANY},
    /* threads, and nothing else; without clone3, whose flags cannot be looked at, glibc takes clone */
    {C(clone), ALWAYS, THREAD},
    {C(set_robust_list), ALWAYS, ANY},
    {C(rseq), ALWAYS, ANY},
    {C(set_tid_address), ALWAYS, ANY},
    {C(gettid), ALWAYS, ANY},
    {C(exit), ALWAYS, ANY},
    {C(exit_group), ALWAYS, ANY},
    {C(sched_yield), ALWAYS, ANY},
    {C(sched_getaffinity), ALWAYS, ANY},
    {C(sched_setaffinity), ALWAYS, ANY}, /* a queue's thread and its processor */
    {C(getcpu), ALWAYS, ANY},
    {C(nanosleep), ALWAYS, ANY},
    {C(clock_nanosleep), ALWAYS, ANY},
    {C(clock_getres), ALWAYS, ANY},
    {C(gettimeofday), ALWAYS, ANY},
    {C(time), ALWAYS, ANY},
    {C(restart_syscall), ALWAYS, ANY},
    /* signals within the process */
    {C(rt_sigaction), ALWAYS, ANY},
    {C(rt_sigprocmask), ALWAYS, ANY},
    {C(rt_sigreturn), ALWAYS, ANY},
    {C(rt_sigtimedwait), ALWAYS, ANY},
    {C(rt_sigpending), ALWAYS, ANY},
    {C(rt_sigsuspend), ALWAYS, ANY},
    {C(sigaltstack), ALWAYS, ANY},
    {C(tgkill), ALWAYS, OWN},
    {C(kill), ALWAYS, OWN},
    /* what it is told of itself and of the machine */
    {C(getpid), ALWAYS, ANY},
    {C(getppid), ALWAYS, ANY},
    {C(getuid), ALWAYS, ANY},
    {C(geteuid), ALWAYS, ANY},
    {C(getgid), ALWAYS, ANY},
    {C(getegid), ALWAYS, ANY},
    {C(uname), ALWAYS, ANY},
    {C(sysinfo), ALWAYS, ANY},
    {C(getrusage), ALWAYS, ANY}, /* libgcrypt's entropy, beside getrandom */
    {C(times), ALWAYS, ANY},
    {C(getrandom), ALWAYS, ANY},
    {C(prlimit64), ALWAYS, NO_NEW},
    {C(getrlimit), ALWAYS, ANY},
    {C(prctl), ALWAYS, OWN_NAME},
    {C(ioctl), ALWAYS, TERMINAL},
    {C(dup), ALWAYS, ANY},
    {C(dup2), ALWAYS, ANY},
    {C(dup3), ALWAYS, ANY},
    {C(pipe2), ALWAYS, ANY},
    {C(eventfd2), ALWAYS, ANY},
    {C(poll), ALWAYS, ANY},
    {C(ppoll), ALWAYS, ANY},
    {C(select), ALWAYS, ANY},
    {C(pselect6), ALWAYS, ANY},
    /* the control socket, the system's log, the privileged part, a TPM behind a socket */
    {C(socket), ALWAYS, LOCAL},
    {C(connect), ALWAYS, ANY},
    {C(accept4), ALWAYS, ANY},
    {C(shutdown), ALWAYS, ANY},
    {C(getsockopt), ALWAYS, ANY},
    {C(setsockopt), ALWAYS, ANY},
    {C(getsockname), ALWAYS, ANY},
    {C(getpeername), ALWAYS, ANY},
    {C(sendto), ALWAYS, ANY},
    {C(sendmsg), ALWAYS, ANY},
    {C(recvfrom), ALWAYS, ANY},
    {C(recvmsg), ALWAYS, ANY},
    {C(wait4), ALWAYS, ANY}, /* the privileged part's end */
    {C(socket), NET, INET},
    {C(bind), NET, ANY}, /* of getaddrinfo's netlink socket; Landlock refuses TCP ports */
    {C(sendmmsg), NET, ANY},
    /* until it serves */
    {C(chdir), START, ANY},
    {C(seccomp), START, ANY}, /* to take away what is only for the start */
    {C(io_uring_setup), START | URING, ANY},
    {C(io_uring_register), URING, ANY},
    {C(eventfd), URING, ANY},
    /* what sanitizers do: a leak is looked for from a clone, by ptrace */
    {C(clone), CHECKED, ANY},
    {C(ptrace), CHECKED, ANY},
    {C(getdents), CHECKED, ANY},
    {C(mmap), CHECKED, ANY},
    {C(mprotect), CHECKED, ANY},
    {C(prctl), CHECKED, ANY},
    {C(arch_prctl), CHECKED, ANY},
    {C(waitid), CHECKED, ANY},
    {C(tkill), CHECKED, ANY},
    {C(socketpair), CHECKED, ANY},
    {C(process_vm_readv), CHECKED, ANY},
    {C(kill), CHECKED, ANY},
    {C(tgkill), CHECKED, ANY},
};

/* There is no honest way to these: the process ends, at once, and the kernel's log says why. */
static const int deadly[] = {C(execve), C(execveat), C(fork), C(vfork), C(ptrace), C(process_vm_readv),
			     C(process_vm_writev), C(pidfd_getfd)};

static int add(scmp_filter_ctx f, int call, unsigned n, const struct scmp_arg_cmp *args)
{
	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, n, args);
}

/* One rule for each value that the first or second argument may have. */
static int add_values(scmp_filter_ctx f, int call, unsigned arg, const unsigned *values, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(f, call, 1, (struct scmp_arg_cmp[]){{arg, SCMP_CMP_EQ, values[i], 0}});
	return r;
}

static int add_row(scmp_filter_ctx f, const struct row *r)
{
	static const unsigned inet[] = {AF_INET, AF_INET6, AF_NETLINK}, local[] = {AF_UNIX};
	static const unsigned names[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
					 PR_GET_SECCOMP, PR_SET_PDEATHSIG, PR_CAPBSET_READ};
	static const unsigned terminal[] = {TCGETS};
	const unsigned own[] = {(unsigned)getpid()};

	switch (r->condition) {
	case ANY:
		return add(f, r->call, 0, NULL);
	case NOT_EXEC:
		return add(f, r->call, 1,
			   (struct scmp_arg_cmp[]){{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}});
	case THREAD:
		return add(f, r->call, 1,
			   (struct scmp_arg_cmp[]){{0, SCMP_CMP_MASKED_EQ, CLONE_VM | CLONE_THREAD,
						    CLONE_VM | CLONE_THREAD}});
	case NO_NEW:
		return add(f, r->call, 1, (struct scmp_arg_cmp[]){{2, SCMP_CMP_EQ, 0, 0}});
	case LOCAL:
		return add_values(f, r->call, 0, local, COF_COUNT(local));
	case INET:
		return add_values(f, r->call, 0, inet, COF_COUNT(inet));
	case OWN:
		return add_values(f, r->call, 0, own, COF_COUNT(own));
	case OWN_NAME:
		return add_values(f, r->call, 0, names, COF_COUNT(names));
	case TERMINAL:
		return add_values(f, r->call, 1, terminal, COF_COUNT(terminal));
	}
	return -EINVAL;
}

/* A row holds when all that it is for does. */
static bool holds(const struct row *r, unsigned which)
{
	return (r->when & ~which) == 0;
}

static bool allowed_at_all(int call, unsigned which)
{
	for (size_t i = 0; i < COF_COUNT(table); i++)
		if (table[i].call == call && holds(&table[i], which))
			return true;
	return false;
}

/* Of several rows for one call a later one without a condition takes in the others. */
static bool taken_in(size_t at, unsigned which)
{
	for (size_t i = at + 1; i < COF_COUNT(table); i++)
		if (table[i].call == table[at].call && table[i].condition == ANY && holds(&table[i], which))
			return true;
	return false;
}

static int fill(scmp_filter_ctx f, unsigned which)
{
	int r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), C(clone3), 0);

	for (size_t i = 0; r == 0 && i < COF_COUNT(table); i++)
		if (holds(&table[i], which) && !taken_in(i, which))
			r = add_row(f, &table[i]);
	for (size_t i = 0; r == 0 && i < COF_COUNT(deadly); i++)
		if (!allowed_at_all(deadly[i], which))
			r = seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	return r;
}

bool cof_calls_name(int number, char ret[64])
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

	snprintf(ret, 64, "%s", name ? name : "");
	if (!name)
		snprintf(ret, 64, "number %d", number);
	free(name);
	return name != NULL;
}

/* Of the list as it was meant, without what differs from process to process (its own number). */
static int digest_of(unsigned which, uint8_t ret[32])
{
	cof_autobuf struct cof_buf text = {0};
	char name[64];

	for (size_t i = 0; i < COF_COUNT(table); i++)
		if (holds(&table[i], which) && cof_calls_name(table[i].call, name))
			cof_buf_printf(&text, "%s %d %u\n", name, table[i].condition, table[i].when);
	if (text.failed)
		return -ENOMEM;
	cof_sha256(text.data, text.len, ret);
	return 0;
}

int cof_calls_allow(unsigned which, uint8_t ret_digest[32], struct cof_diag *diag)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_TRAP);
	int r = f ? seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 1);
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree, not a chain */
	if (r == 0)
		r = fill(f, which);
	if (r == 0)
		r = digest_of(which, ret_digest);
	if (r == 0)
		r = seccomp_load(f);
	if (f)
		seccomp_release(f);
	return r < 0 ? cof_fail(diag, r,
				"system calls cannot be confined (seccomp): %s; does the kernel have it?",
				strerror(-r))
		     : 0;
}

/* A second list on top of the first: all but what is for the start. */
int cof_calls_seal(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	/* no_new_privs is set; to set it again would take a call that is not on the list */
	int r = f ? seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; r == 0 && i < COF_COUNT(table); i++)
		if (table[i].when & START)
			r = seccomp_rule_add(f, SCMP_ACT_TRAP, table[i].call, 0);
	if (r == 0)
		r = seccomp_load(f);
	if (f)
		seccomp_release(f);
	return r;
}
