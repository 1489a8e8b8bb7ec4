/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by a list (Landlock, Linux 5.13): what is not beneath one of these places can be neither
 * opened nor made, whoever asks. Descriptors that are open already stay as they were: /dev/fuse, the
 * sockets, STORE. Sockets are reached by name as before (the system's log, a TPM's); TCP only
 * where the TPM is behind it (Linux 6.7), signals only within the daemon (6.12).
 */
#include "fs/guard/internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* From the kernel's documentation: the headers of Debian 12 end at ABI 2. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define FS(bit) (1ULL << (bit))
enum {
	EXECUTE,
	WRITE_FILE,
	READ_FILE,
	READ_DIR,
	MAKE_SYM = 12, /* the last of ABI 1; 4 to 11: remove and make */
	REFER = 13,    /* ABI 2 */
	TRUNCATE = 14, /* ABI 3 */
	IOCTL_DEV = 15 /* ABI 5 */
};
#define READ (FS(READ_FILE) | FS(READ_DIR))
#define NET_BIND 1ULL
#define NET_CONNECT 2ULL
#define SCOPE_ABSTRACT_UNIX 1ULL
#define SCOPE_SIGNAL 2ULL

struct ruleset { /* struct landlock_ruleset_attr */
	uint64_t fs, net, scoped;
};
struct beneath { /* struct landlock_path_beneath_attr */
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));
enum { RULE_PATH_BENEATH = 1, CREATE_VERSION = 1 };

int cof_paths_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static uint64_t handled(int abi)
{
	uint64_t all = FS(MAKE_SYM + 1) - 1;

	return all | (abi >= 2 ? FS(REFER) : 0) | (abi >= 3 ? FS(TRUNCATE) : 0) |
	       (abi >= 5 ? FS(IOCTL_DEV) : 0);
}

/* Places that do not exist are none. */
static int allow(int ruleset, const char *path, uint64_t rights)
{
	cof_autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	struct beneath rule = {.allowed = rights, .fd = fd};
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) /* of a file only what a file has */
		rule.allowed &= FS(EXECUTE) | FS(WRITE_FILE) | FS(READ_FILE) | FS(TRUNCATE) | FS(IOCTL_DEV);
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static const char *device_of(const char *tpm)
{
	return tpm && !strncmp(tpm, "device:", 7) ? tpm + 7 : NULL;
}

static int allow_all(int ruleset, const struct cof_guard_params *p, uint64_t all)
{
	uint64_t change = all & ~(FS(EXECUTE) | FS(IOCTL_DEV));
	const struct {
		const char *path;
		uint64_t rights;
	} places[] = {
	    {p->store, change},
	    {p->index, change},
	    {"/proc", READ},		       /* who writes; what is mounted where; ourselves */
	    {"/sys/devices/system/cpu", READ}, /* how many processors there are */
	    {"/dev/null", FS(READ_FILE) | FS(WRITE_FILE)},
	    {"/dev/urandom", FS(READ_FILE)},
	    {device_of(p->tpm), all & (FS(READ_FILE) | FS(WRITE_FILE) | FS(IOCTL_DEV))},
	    {cof_guard_tpm_tcp(p->tpm) ? "/etc" : NULL, READ}, /* the name of its host */
#ifdef COFFER_TEST_CLOCK
	    {getenv("COFFER_TEST_CLOCK"), FS(READ_FILE)},
#endif
#if COF_SANITIZED
	    {"/tmp", change}, /* reports */
	    {"/", READ},      /* and whence they have their lines */
#endif
	};
	int err = 0;

	for (size_t i = 0; err == 0 && i < COF_COUNT(places); i++)
		if (places[i].path)
			err = allow(ruleset, places[i].path, places[i].rights & all);
	return err;
}

/* What a process has that runs ssh-keygen and does nothing else: programs and libraries to read and run, nothing
 * to write, no network. Memory files lie on no mount, and stay open to who has their descriptors. */
int cof_paths_sign(struct cof_diag *diag)
{
	static const char *const places[] = {"/usr", "/bin", "/lib", "/lib64", "/etc", "/proc"};
	int abi = cof_paths_abi(), err = 0;
	struct ruleset attr = {.fs = handled(abi), .net = NET_BIND | NET_CONNECT};
	cof_autoclose int fd = -1;

	if (abi == 0 || COF_SANITIZED)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof(attr.fs), 0);
	if (fd < 0)
		err = -errno;
	for (size_t i = 0; err == 0 && i < COF_COUNT(places); i++)
		err = allow(fd, places[i], READ | FS(EXECUTE));
	if (err == 0)
		err = allow(fd, "/dev/null", FS(READ_FILE) | FS(WRITE_FILE));
	if (err == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	return err < 0 ? cof_fail(diag, err, "files cannot be confined (Landlock): %s", strerror(-err)) : 0;
}

/* The ABI in force, or 0 where the kernel has none. */
int cof_paths_allow(const struct cof_guard_params *p, struct cof_diag *diag)
{
	int abi = cof_paths_abi(), err;
	struct ruleset attr = {.fs = handled(abi)};
	size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof(attr.fs);
	cof_autoclose int fd = -1;

	if (abi == 0)
		return 0;
	if (abi >= 4)
		attr.net = NET_BIND | (cof_guard_tpm_tcp(p->tpm) ? 0 : NET_CONNECT);
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT_UNIX | (COF_SANITIZED ? 0 : SCOPE_SIGNAL);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	err = fd < 0 ? -errno : allow_all(fd, p, attr.fs);
	if (err == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	return err < 0 ? cof_fail(diag, err, "files cannot be confined (Landlock): %s", strerror(-err)) : abi;
}
