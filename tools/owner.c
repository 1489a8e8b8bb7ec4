/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in STORE belongs to STORE's owner, whoever made it: the daemon is that user. */
#include "tools/owner.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static int take_groups(uid_t uid, gid_t gid)
{
	struct passwd *who = getpwuid(uid);

	if (who)
		return initgroups(who->pw_name, gid) < 0 ? -errno : 0;
	return setgroups(0, NULL) < 0 ? -errno : 0;
}

int owner_take(const char *store, struct cof_diag *diag)
{
	struct stat st;
	int r = 0;

	if (stat(store, &st) < 0)
		return cof_fail(diag, -errno, "%s: %s", store, strerror(errno));
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	r = take_groups(st.st_uid, st.st_gid);
	if (r == 0 && (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0))
		r = -errno;
	/* With the uid it became what fs.suid_dumpable says. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	return r < 0 ? cof_fail(diag, r, "cannot act as the owner of %s (uid %u): %s", store, st.st_uid,
				strerror(-r))
		     : 0;
}

int owner_leave(void)
{
	if (getuid() != 0 || geteuid() == 0)
		return 0;
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int owner_give(const char *user, const char *store, struct cof_diag *diag)
{
	struct passwd *who = getpwnam(user);

	if (!who)
		return cof_fail(diag, -ENOENT, "%s: no such user on this host", user);
	if (chown(store, who->pw_uid, who->pw_gid) < 0)
		return cof_fail(diag, -errno, "cannot give %s to %s: %s", store, user, strerror(errno));
	return 0;
}
