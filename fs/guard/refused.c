/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the list refused. The kernel sends SIGSYS to the thread that made one; the handler
 * lets the call fail with EPERM and counts it. The first of each kind wakes whoever waits for
 * SIGUSR1, so that it comes on record; later ones are only counted, which bounds what a process
 * that was taken over can write by trying.
 */
#include "fs/guard/internal.h"

#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code */
#endif

static atomic_uint times[COF_CALLS_MAX];
static atomic_bool told[COF_CALLS_MAX];

static void fail_call(ucontext_t *c)
{
#if defined(__x86_64__)
	c->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	c->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#elif defined(__riscv)
	c->uc_mcontext.__gregs[REG_A0] = (unsigned long)-EPERM;
#else
#error "where this processor returns the result of a system call"
#endif
}

/* Async-signal-safe: atomics and one system call. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	unsigned number = (unsigned)info->si_syscall;
	int saved = errno;

	(void)sig;
	if (info->si_code != SYS_SECCOMP)
		return;
	fail_call(context);
	if (number >= COF_CALLS_MAX)
		number = COF_CALLS_MAX - 1;
	if (atomic_fetch_add(&times[number], 1) == 0)
		(void)syscall(SYS_kill, getpid(), SIGUSR1);
	errno = saved;
}

int cof_refused_catch(void)
{
	struct sigaction act = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t set;

	sigfillset(&act.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	/* Blocked, it would end the process. */
	if (sigaction(SIGSYS, &act, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	return 0;
}

bool cof_guard_refused(char ret_name[64], uint64_t *ret_times)
{
	for (int i = 0; i < COF_CALLS_MAX; i++) {
		unsigned n = atomic_load(&times[i]);

		if (n && !atomic_exchange(&told[i], true)) {
			cof_calls_name(i, ret_name);
			*ret_times = n;
			return true;
		}
	}
	return false;
}
