/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/mount: .coffer/events, a file that no archive has. Its directory is found by name in the root
 * and is not listed there; both belong to who serves the archive, for reading only, and what would change them the archive refuses. The content is made while it is read: the events,
 * one JSON object a line, as coffer events --json prints them.
 */
#ifndef COF_MOUNT_SPECIAL_H
#define COF_MOUNT_SPECIAL_H

#include "fs/mount/internal.h"

static inline bool cof_is_special(uint64_t ino)
{
	return ino >= COF_VIRTUAL_DIR;
}

/* 0 where it is another file; -EACCES: neither root nor who serves the archive. */
int cof_special_may(fuse_req_t req, fuse_ino_t ino);
/* Who opens the events reads them: on record, where a shelf has read_events. Negative: it could not be recorded. */
int cof_special_opened(fuse_req_t req, fuse_ino_t ino, int flags);
bool cof_special_lookup(fuse_req_t req, fuse_ino_t parent, const char *name); /* false: not one of them */
void cof_special_getattr(fuse_req_t req, fuse_ino_t ino);
void cof_special_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off);
void cof_special_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus);

#endif
