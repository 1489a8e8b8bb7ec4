/* SPDX-License-Identifier: Apache-2.0 */
/* Whose process it is, and which of root's powers it keeps: none. */
#include "fs/guard/internal.h"

#include <cap-ng.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>

/* LeakSanitizer looks at the process from a clone of it, by ptrace; it is not dumpable. */
static const int kept_in_tests[] = {CAP_SYS_PTRACE};

static int keep_only(const int *caps, size_t n)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < n; i++)
		if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				 (unsigned)caps[i]) != 0)
			return -EINVAL;
	/* The bounding set first, and while it still may. */
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0 || capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	(void)capng_apply(CAPNG_SELECT_AMBIENT); /* empty with the permitted ones; older kernels have none */
	return 0;
}

static int take_groups(uid_t uid, gid_t gid)
{
	struct passwd *who = getpwuid(uid);

	if (who)
		return initgroups(who->pw_name, gid) < 0 ? -errno : 0;
	return setgroups(0, NULL) < 0 ? -errno : 0;
}

int cof_guard_become(uid_t uid, gid_t gid, struct cof_diag *diag)
{
	uid_t before = geteuid();
	int err = 0;

	if (before != 0 && before != uid)
		return cof_fail(diag, -EPERM, "only root can become the archive's owner (uid %u)", uid);
	if (before == 0 && uid != 0) {
		/* Before the last capability goes: the bounding set; with the uid all others go. */
		capng_clear(CAPNG_SELECT_ALL);
		if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
			err = -EPERM;
		if (err == 0)
			err = take_groups(uid, gid);
		if (err == 0 && (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
			err = -errno;
		if (err == 0 && setuid(0) == 0)
			err = -EPERM; /* it must not be able to go back */
	} else if (before == 0) {
		err = keep_only(kept_in_tests, COF_SANITIZED ? COF_COUNT(kept_in_tests) : 0);
	}
	/* With the uid it became what fs.suid_dumpable says, which may be more. */
	if (err == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		err = -errno;
	return err < 0 ? cof_fail(diag, err, "the rights of root cannot be given up: %s", strerror(-err))
		       : 0;
}

int cof_guard_sign_part(int fd, uid_t uid, gid_t gid, struct cof_diag *diag)
{
	int err = cof_guard_only(&fd, 1, diag);

	if (err == 0)
		err = cof_guard_become(uid, gid, diag);
	return err == 0 ? cof_paths_sign(diag) : err;
}

int cof_guard_root_part(struct cof_diag *diag)
{
	/* mount(2) and umount(2); and the way to a mount point that lies in a closed directory. */
	static const int caps[] = {CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH};
	int err = geteuid() == 0 ? keep_only(caps, COF_COUNT(caps)) : 0;

	return err < 0 ? cof_fail(diag, err, "the rights of root cannot be given up: %s", strerror(-err))
		       : 0;
}
