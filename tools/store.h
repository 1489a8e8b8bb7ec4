/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the store that an argument means, and its daemon. */
#ifndef COFFER_STORE_H
#define COFFER_STORE_H

#include "fs/control/control.h"

struct store {
	char *path;  /* absolute */
	char *mount; /* where it is mounted, when the argument was found that way; else NULL */
	struct cof_io *io;
	struct cof_conf conf;
};

/* The argument is a store directory, or anything on a mounted archive. Opens the directory; whether
 * it is an archive is not looked at (conf stays empty). */
int store_find(const char *arg, struct store *ret, struct cof_diag *diag);
/* What find left out: reads archive.conf. -ENOENT: no archive; the sentence is in diag. */
int store_load(struct store *s, struct cof_diag *diag);
/* As find, and reads archive.conf. -ENOENT: no archive; the sentence is in diag. */
int store_open(const char *arg, struct store *ret, struct cof_diag *diag);
void store_close(struct store *s);
#define autostore COF_CLEANUP(store_close)

/* Asks the daemon: 0, -ENOTCONN when there is none, or its error. */
int store_ask(const struct store *s, struct cof_json *request, cof_show_fn fn, void *user,
	      struct cof_diag *diag);

/* For an answer of one line: *user (struct cof_json *) becomes a copy, the one before is freed. */
int store_keep_last(void *user, struct cof_json *entry);

/* The daemon's clock of retention (ns), or the wall clock where it cannot be asked. */
int64_t store_retention_now(const struct store *s);

/* ---- mountinfo, for store.c and blame ---- */

struct mount_line {
	char *source, *point;
};
void mount_line_done(struct mount_line *m);
/* In text (the form of /proc/self/mountinfo) the last mount of type fuse.coffer with this device.
 * -ENOENT */
int mount_find(const char *text, unsigned major, unsigned minor, struct mount_line *ret);
/* As mount_find, by mount point: for mounts whose daemon is dead, which cannot be asked. */
int mount_find_at(const char *text, const char *point, struct mount_line *ret);
/* The mount whose point has this very name; the path is not looked at, so a stopped daemon behind
 * it does no harm. -ENOENT */
int mount_named(const char *path, struct mount_line *ret, struct cof_diag *diag);
/* The mount that path lies on. -ENOENT: not on an archive; -ENOTCONN: the daemon there is dead
 * (ret is filled all the same). ret_ino may be NULL. */
int mount_of(const char *path, struct mount_line *ret, uint64_t *ret_ino, struct cof_diag *diag);
/* How the archive itself names path, which lies below the mount point; the caller's. -EXDEV */
int mount_within(const struct mount_line *m, const char *path, char **ret, struct cof_diag *diag);
/* As mount_of; what is on no archive is told how it would be mounted. */
int archive_of(const char *path, struct mount_line *ret, uint64_t *ret_ino, struct cof_diag *diag);

#endif
