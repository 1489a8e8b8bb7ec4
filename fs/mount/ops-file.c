/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers about files' contents. Handles of open files are direct I/O, read handles too: a cached
 * page at the growing end was seen to give zeros for acknowledged bytes. A committed file is cached
 * for ever.
 */
#include "fs/mount/special.h"

#include <fcntl.h>

void cof_ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct cof_op op = {.kind = COF_OP_OPEN, .ino = ino, .flags = (uint32_t)fi->flags};
	int err = cof_special_may(req, ino);

	if (err == 0 && cof_is_special(ino))
		err = cof_special_opened(req, ino, fi->flags);
	if (err < 0)
		cof_reply_error(req, err);
	else
		cof_act(req, &op, COF_SHAPE_OPEN, fi);
}

/* The archive wants to know whether anybody can still write; nothing else hangs on a handle. */
void cof_ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (cof_opens_for_writing(fi))
		cof_archive_release(cof_mount_of(req)->archive, ino);
	(void)fuse_reply_err(req, 0);
}

void cof_ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	uint8_t *buf;
	size_t n = 0;
	int err = -ENOMEM;

	(void)fi;
	if (cof_is_special(ino)) {
		cof_special_read(req, ino, size, off);
		return;
	}
	buf = cof_worker_scratch(req, size);
	if (buf && off >= 0)
		err = cof_archive_read(cof_mount_of(req)->archive, COF_INDEX_NOW, ino, buf, size,
				       (uint64_t)off, &n);
	else if (buf)
		err = -EINVAL;
	if (err < 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_buf(req, (const char *)buf, n);
}

/* O_SYNC and O_DSYNC, RWF_DSYNC too, come with the write; no FSYNC follows. */
void cof_ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		   struct fuse_file_info *fi)
{
	struct cof_op op = {.kind = COF_OP_WRITE,
			    .ino = ino,
			    .flags = (uint32_t)fi->flags,
			    .offset = (uint64_t)off,
			    .length = size,
			    .data = data,
			    .durable = (fi->flags & (O_SYNC | O_DSYNC)) != 0};

	if (off < 0)
		cof_reply_error(req, -EINVAL);
	else
		cof_act(req, &op, COF_SHAPE_WRITE, NULL);
}

void cof_ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	uint64_t sequence;
	int err = cof_archive_fsync_sequence(cof_mount_of(req)->archive, cof_is_special(ino) ? 0 : ino, &sequence);

	(void)datasync;
	(void)fi;
	if (err < 0)
		cof_reply_error(req, err);
	else
		cof_reply_synced(req, sequence);
}

void cof_ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		       struct fuse_file_info *fi)
{
	struct cof_op op = {.kind = COF_OP_FALLOCATE,
			    .ino = ino,
			    .flags = (uint32_t)mode,
			    .offset = (uint64_t)offset,
			    .length = (uint64_t)length};

	(void)fi;
	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}
