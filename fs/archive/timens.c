/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In which time namespace this process is. In another one than the system's CLOCK_BOOTTIME has an
 * offset that its maker chose, and every clock that could tell it (/proc/uptime too) has the same. So
 * it is refused, not corrected: the offset that /proc shows is that of children, and a MOUNT frame
 * with a clock that was set back would let retention jump at the next mount outside.
 */
#include <sys/stat.h>

#include "fs/archive/clock.h"

#define INITIAL 0xEFFFFFFAu /* inode of the system's own, in every kernel that has them (nsfs.h) */

int cof_time_namespace(struct cof_diag *diag)
{
	struct stat own;

	if (stat("/proc/self/ns/time", &own) < 0) {
		/* Kernels before 5.6 have none. Without /proc nothing can be told. */
		if (errno == ENOENT && access("/proc/self/ns/mnt", F_OK) == 0)
			return 0;
		return cof_fail(diag, -errno,
				"/proc/self/ns/time cannot be looked at (%s), so whether the boot-time "
				"clock is the system's is not known: /proc has to be mounted",
				strerror(errno));
	}
	if (own.st_ino == INITIAL)
		return 0;
	return cof_fail(diag, -EPERM,
			"this process is in a time namespace of its own (time:[%llu]), where the clock "
			"that retention goes by is not the system's: start it outside, for instance with "
			"nsenter --target 1 --time",
			(unsigned long long)own.st_ino);
}
