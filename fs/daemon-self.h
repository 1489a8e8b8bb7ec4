/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/cofferfs.c: what the daemon says of itself, on record and to who asks. */
#ifndef COF_DAEMON_SELF_H
#define COF_DAEMON_SELF_H

#include "fs/guard/guard.h"
#include "fs/mount/point.h"

struct cof_daemon_self {
	struct cof_measured *files;
	size_t n;
	struct cof_buf fields; /* 80 to 83 of docs/format.md */
};

/* Hashes program and libraries: while the files can still be opened. */
int cof_daemon_self_measure(struct cof_daemon_self *s, struct cof_diag *diag);
/* For the MOUNT frame, as it is now. */
int cof_daemon_self_fields(struct cof_daemon_self *s, const struct cof_mount_options *o, struct cof_diag *diag);
void cof_daemon_self_status(const struct cof_daemon_self *s, struct cof_json *status);
void cof_daemon_self_done(struct cof_daemon_self *s);

#endif
