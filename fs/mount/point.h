/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount point, as mount.coffer, umount.fuse.coffer and the daemon see it: mountinfo, options,
 * stale mounts, the guard of the bare directory. Needs neither libfuse nor an archive.
 *
 * Thread-safe: nothing here has state.
 */
#ifndef COF_MOUNT_POINT_H
#define COF_MOUNT_POINT_H

#include "base/base.h"

#include <limits.h>
#include <stdio.h>

#define COF_MOUNT_TYPE "fuse.coffer"

/* ---- /proc/self/mountinfo (mountinfo.c) ---- */

struct cof_mountinfo {
	unsigned major, minor;
	char mountpoint[PATH_MAX], source[PATH_MAX];
	char type[64];
};

/* One line, without its newline; escapes (\040) are undone. -EUCLEAN: not such a line. */
int cof_mountinfo_parse(const char *line, struct cof_mountinfo *ret);
/* What is on top at this path. -ENOENT: nothing is mounted there. */
int cof_mountinfo_top(const char *mountpoint, struct cof_mountinfo *ret);
/* As top, from a stream (tests). */
int cof_mountinfo_find(FILE *f, const char *mountpoint, struct cof_mountinfo *ret);
/* Any mount of ours with this device number. -ENOENT: there is none. */
int cof_mountinfo_device(FILE *f, unsigned major, unsigned minor, struct cof_mountinfo *ret);

/* ---- options (options.c) ---- */

struct cof_mount_options {
	char keyfile[PATH_MAX];    /* "": none */
	char credential[256];      /* "": none; a systemd credential's name */
	int64_t anchor_interval, seal_interval; /* ns; 0: the default */
	int64_t heartbeat; /* ns; 0: the default; negative: none */
	char hook[PATH_MAX], hook_user[64]; /* "": none; nobody */
	char index[PATH_MAX];      /* "": STORE/index */
	int passfd, statusfd;      /* -1: none; passfd of a TPM's seal: its PIN */
	char seal[16];		   /* "": as the secrets say; "tpm2" */
	char tpm[256];		   /* where the TPM is; "": the device */
	unsigned threads;          /* 0: a default */
	unsigned deviation; /* seconds by which the wall clock may be off; 0: the default */
	unsigned long flags;       /* MS_… for mount(2), MS_RDONLY not among them */
	bool read_only, root_only; /* root_only: no allow_other */
	bool keep_mutable;         /* noimmutable: leave the bare mount point as it is */
	bool unconfined;           /* without seccomp and Landlock: for debuggers; goes on record */
	bool uring;                /* transport=uring: over io_uring where the kernel offers it */
};

void cof_mount_options_init(struct cof_mount_options *o); /* nosuid, nodev */
/* The next option of a list, which is cut up as by strsep(3); the comma of tpm=swtpm:host=H,port=P
 * stays. NULL: there is none. */
char *cof_mount_options_next(char **rest);
/* Text of one -o, "a,b=c". Later ones win. With the option named: -EINVAL, or -EOPNOTSUPP where it
 * is not known. */
int cof_mount_options_parse(struct cof_mount_options *o, const char *text, struct cof_diag *diag);
/* Exactly one source of the secret, or none: -EINVAL. *ret_n: how many (0 or 1). With seal=tpm2 it is the PIN's. */
int cof_mount_options_secrets(const struct cof_mount_options *o, unsigned *ret_n,
			      struct cof_diag *diag);

/* ---- the directory (point.c) ---- */

/* Absolute path without symbolic links; the end may be a dead mount. */
int cof_point_resolve(const char *path, char ret[PATH_MAX], struct cof_diag *diag);
/* Whether path is dir, or lies in it; both resolved. */
bool cof_point_inside(const char *path, const char *dir);
/* Looks at what is mounted there. 0: no mount of ours · 1: left by a dead daemon, detached; its
 * source in ret_source · -EBUSY: alive, diag says which. */
int cof_point_clear(const char *mountpoint, char ret_source[PATH_MAX], struct cof_diag *diag);
/* Makes the bare directory immutable, so that nothing is written beneath a missing mount. 1: done;
 * 0: is so already, cannot be, or is the top of a filesystem; -ENOTEMPTY: has entries, left alone.
 */
int cof_point_guard(const char *mountpoint);
/* 1 and the holder's text when a daemon has the store, else 0. */
int cof_point_holder(const char *store, char *ret_holder, size_t cap);

#endif
