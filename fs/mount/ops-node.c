/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers about nodes: lookup, attributes, symbolic links' targets, the filesystem's figures. */
#include "fs/mount/special.h"

#include <sys/statvfs.h>

void cof_ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct cof_mount *m = cof_mount_of(req);
	struct fuse_entry_param entry;
	struct cof_attr attr;
	int err;

	if (cof_special_lookup(req, parent, name))
		return;
	err = cof_archive_lookup(m->archive, COF_INDEX_NOW, parent, name, &attr);
	if (err < 0) { /* negative entries are not cached: ENOENT, not inode 0 */
		cof_reply_error(req, err);
		return;
	}
	cof_fill_entry(m, &attr, &entry);
	(void)fuse_reply_entry(req, &entry);
}

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
	struct cof_mount *m = cof_mount_of(req);
	struct cof_attr attr;
	struct stat st;
	int err = cof_archive_getattr(m->archive, COF_INDEX_NOW, ino, &attr);

	if (err < 0) {
		cof_reply_error(req, err);
		return;
	}
	cof_fill_stat(&attr, &st);
	(void)fuse_reply_attr(req, &st, cof_cache_seconds(m));
}

void cof_ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	if (cof_is_special(ino))
		cof_special_getattr(req, ino);
	else
		reply_attr(req, ino);
}

/* ---- setattr: one request may carry several changes ---- */

#define SET_OWNER (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)
#define SET_TIMES                                                                                  \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |                     \
	 FUSE_SET_ATTR_MTIME_NOW)

static int64_t from_timespec(struct timespec t)
{
	if (t.tv_sec == COF_FOREVER_SECOND)
		return COF_RETAIN_INFINITE;
	if (t.tv_sec > INT64_MAX / COF_NSEC - 1)
		return INT64_MAX - 1; /* as far as our time goes, and not infinite */
	if (t.tv_sec < INT64_MIN / COF_NSEC + 1)
		return INT64_MIN;
	return (int64_t)t.tv_sec * COF_NSEC + t.tv_nsec;
}

static uint32_t valid_times(int to_set)
{
	uint32_t valid = 0;

	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		valid |= COF_SET_ATIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		valid |= COF_SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		valid |= COF_SET_MTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		valid |= COF_SET_MTIME;
	return valid;
}

/* Length first, mode last: a refused length leaves nothing changed, and a mode may commit the file,
 * behind which nothing else would be allowed. */
static size_t decode_setattr(uint64_t ino, const struct stat *st, int to_set, struct cof_op ops[4])
{
	size_t n = 0;

	if (to_set & FUSE_SET_ATTR_SIZE)
		ops[n++] = (struct cof_op){
		    .kind = COF_OP_TRUNCATE, .ino = ino, .length = (uint64_t)st->st_size};
	if (to_set & SET_OWNER)
		ops[n++] = (struct cof_op){
		    .kind = COF_OP_CHOWN,
		    .ino = ino,
		    .uid = st->st_uid,
		    .gid = st->st_gid,
		    .valid = (to_set & FUSE_SET_ATTR_UID ? (uint32_t)COF_SET_UID : 0) |
			     (to_set & FUSE_SET_ATTR_GID ? (uint32_t)COF_SET_GID : 0)};
	/* A truncate comes with "mtime now", which the frame says by itself. */
	if ((to_set & SET_TIMES) && !(to_set & FUSE_SET_ATTR_SIZE))
		ops[n++] = (struct cof_op){.kind = COF_OP_UTIMES,
					   .ino = ino,
					   .atime = from_timespec(st->st_atim),
					   .mtime = from_timespec(st->st_mtim),
					   .valid = valid_times(to_set)};
	if (to_set & FUSE_SET_ATTR_MODE)
		ops[n++] =
		    (struct cof_op){.kind = COF_OP_CHMOD, .ino = ino, .mode = st->st_mode & 07777};
	return n;
}

void cof_ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		     struct fuse_file_info *fi)
{
	struct cof_op ops[4];
	size_t n = decode_setattr(ino, st, to_set, ops);

	(void)fi;
	if (n > 0)
		cof_act_all(req, ops, n, COF_SHAPE_ATTR);
	else if (cof_is_special(ino))
		cof_special_getattr(req, ino);
	else
		reply_attr(req, ino); /* ctime alone: ours */
}

void cof_ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct cof_buf target COF_CLEANUP(cof_buf_done) = {0};
	int err = cof_archive_readlink(cof_mount_of(req)->archive, COF_INDEX_NOW, ino, &target);

	cof_buf_add(&target, "", 1);
	if (err >= 0 && target.failed)
		err = -ENOMEM;
	if (err < 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_readlink(req, (const char *)target.data);
}

void cof_ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const uint64_t block = 4096, smallest_frame = 512; /* a new file takes about that much */
	struct cof_usage usage;
	int err = cof_archive_usage(cof_mount_of(req)->archive, &usage);

	(void)ino;
	if (err < 0) {
		cof_reply_error(req, err);
		return;
	}
	(void)fuse_reply_statfs(req, &(struct statvfs){
					 .f_bsize = block,
					 .f_frsize = block,
					 .f_blocks = usage.total_bytes / block,
					 .f_bfree = usage.free_bytes / block,
					 .f_bavail = usage.free_bytes / block,
					 .f_files = usage.files + usage.free_bytes / smallest_frame,
					 .f_ffree = usage.free_bytes / smallest_frame,
					 .f_favail = usage.free_bytes / smallest_frame,
					 .f_namemax = COF_NAME_MAX,
				     });
}
