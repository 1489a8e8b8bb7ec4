/* SPDX-License-Identifier: Apache-2.0 */
/* What a process inherits and does not need: variables, descriptors, ways to more rights. */
#include "fs/guard/internal.h"

#include <linux/close_range.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;

/* Names that stay; a * at the end stands for any rest. */
static const char *const kept[] = {
    "PATH", /* nothing is looked up by it here; what reads it expects one */
    "TZ",   /* times in messages */
    "COFFER_RUN_DIR", "COFFER_TPM", "CREDENTIALS_DIRECTORY",
#ifdef COFFER_TEST_CLOCK
    "COFFER_TEST_CLOCK",
#endif
#if COF_SANITIZED
    "ASAN_*", "UBSAN_*", "LSAN_*", "TSAN_*",
#endif
};

static bool is_kept(const char *entry)
{
	for (size_t i = 0; i < COF_COUNT(kept); i++) {
		size_t n = strcspn(kept[i], "*");

		if (strncmp(entry, kept[i], n) == 0 && (kept[i][n] == '*' || entry[n] == '='))
			return true;
	}
	return false;
}

/* In place: the strings are the process's own from its start. */
static void clean_environment(void)
{
	size_t to = 0;

	for (size_t i = 0; environ && environ[i]; i++) {
		if (is_kept(environ[i]))
			environ[to++] = environ[i];
		else
			explicit_bzero(environ[i], strlen(environ[i])); /* /proc/PID/environ shows it */
	}
	if (environ)
		environ[to] = NULL;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

static int close_others(const int *keep, size_t n)
{
	cof_autofree int *sorted = malloc((n + 1) * sizeof(*sorted));
	unsigned from = STDERR_FILENO + 1;

	if (!sorted)
		return -ENOMEM;
	if (n)
		memcpy(sorted, keep, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_number);
	for (size_t i = 0; i < n; i++) {
		if (sorted[i] < (int)from)
			continue;
		if (sorted[i] > (int)from &&
		    syscall(SYS_close_range, from, (unsigned)sorted[i] - 1, 0) < 0)
			return -errno;
		from = (unsigned)sorted[i] + 1;
	}
	return syscall(SYS_close_range, from, ~0U, 0) < 0 ? -errno : 0;
}

int cof_guard_only(const int *keep, size_t n, struct cof_diag *diag)
{
	struct rlimit none = {0, 0};
	int err;

	clean_environment();
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return cof_fail(diag, -errno, "core dumps cannot be switched off: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cof_fail(diag, -errno, "no_new_privs cannot be set: %s", strerror(errno));
	err = close_others(keep, n);
	if (err == -ENOSYS) /* before Linux 5.9: then they stay, all close-on-exec or inherited */
		err = 0;
	return err < 0 ? cof_fail(diag, err, "descriptors that are not needed cannot be closed: %s",
				  strerror(-err))
		       : 0;
}
