/* SPDX-License-Identifier: Apache-2.0 */
/* Private to mount.coffer: what fs/mount-coffer.c has from the files beside it. */
#ifndef COF_MOUNT_HELPER_H
#define COF_MOUNT_HELPER_H

#include "base/base.h"

/* Exit codes of mount(8). */
enum { EXIT_MOUNTED = 0, EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_INTERRUPTED = 8, EXIT_MOUNT = 32 };

/* Asks on the terminal, without echo, for the passphrase or the PIN. *ret_fd: a pipe that holds it and is at its end
 * behind it. -ENOTTY: there is no terminal; -EINTR: the person gave up. */
int cof_helper_passphrase(const char *store, bool pin, int *ret_fd, struct cof_diag *diag);
/* Whether the archive has a TPM's opener, and whether that asks for a PIN. */
int cof_helper_seal(const char *store, bool *ret_tpm2, bool *ret_pin, struct cof_diag *diag);

struct cof_start {
	const char *store, *mountpoint;
	const char *options; /* text of -o; statusfd= and passfd= are added */
	int passfd;          /* of cof_helper_passphrase, or -1 */
};

/* Starts cofferfs and waits until it serves. Each note is given to fn. 0, or an exit code of
 * mount(8) with its sentence in diag. *ret_pid: the daemon. */
int cof_helper_start(const struct cof_start *s, void (*fn)(const char *note), pid_t *ret_pid,
		     struct cof_diag *diag);

/* Makes umount(8) run umount.fuse.coffer for this mount, whichever way it is called. */
int cof_helper_register(const char *store, const char *mountpoint);

#endif
