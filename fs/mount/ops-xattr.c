/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers about extended attributes, and about the flags that lsattr shows. */
#include "fs/mount/special.h"

#include <linux/fs.h>

/* The kernel asks for these before many operations; nothing under them is ever stored. */
static bool never_there(const char *name)
{
	return strncmp(name, "security.", 9) == 0 || strncmp(name, "system.posix_acl_", 17) == 0;
}

static void reply_value(fuse_req_t req, int err, const struct cof_buf *b, size_t size)
{
	if (err >= 0 && b->failed)
		err = -ENOMEM;
	else if (err >= 0 && size > 0 && b->len > size)
		err = -ERANGE;
	if (err < 0)
		cof_reply_error(req, err);
	else if (size == 0)
		(void)fuse_reply_xattr(req, b->len);
	else
		(void)fuse_reply_buf(req, (const char *)b->data, b->len);
}

void cof_ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct cof_buf value COF_CLEANUP(cof_buf_done) = {0};
	int err = -ENODATA;

	if (!never_there(name) && !cof_is_special(ino))
		err = cof_archive_getxattr(cof_mount_of(req)->archive, ino, name, &value);
	reply_value(req, err, &value, size);
}

void cof_ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct cof_buf names COF_CLEANUP(cof_buf_done) = {0};
	int err = cof_is_special(ino) ? 0 : cof_archive_listxattr(cof_mount_of(req)->archive, ino, &names);

	reply_value(req, err, &names, size);
}

void cof_ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		      size_t size, int flags)
{
	struct cof_op op = {.kind = COF_OP_SETXATTR,
			    .ino = ino,
			    .name = name,
			    .data = value,
			    .length = size,
			    .flags = (uint32_t)flags};

	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}

void cof_ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct cof_op op = {.kind = COF_OP_REMOVEXATTR, .ino = ino, .name = name};

	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}

/* ---- flags: "a" while a file is open, "i" once it is committed ---- */

/* Of what can be had by ioctl; symbolic links cannot, directories have none. */
static void flags_of(const struct cof_attr *a, uint32_t *ret_flags, struct fsxattr *ret_x)
{
	*ret_flags = 0;
	*ret_x = (struct fsxattr){0};
	if (a->kind != COF_KIND_FILE)
		return;
	*ret_flags = a->state == COF_STATE_OPEN ? FS_APPEND_FL : FS_IMMUTABLE_FL;
	ret_x->fsx_xflags = a->state == COF_STATE_OPEN ? FS_XFLAG_APPEND : FS_XFLAG_IMMUTABLE;
}

/* What is set is all that shall be set from now on; the kernel has asked for what there is. */
static void set_flags(fuse_req_t req, fuse_ino_t ino, unsigned cmd, const void *in, size_t in_size)
{
	struct cof_op op = {.kind = COF_OP_SETFLAGS, .ino = ino};
	struct fsxattr x;

	if (cmd == (unsigned)FS_IOC_SETFLAGS && in_size >= sizeof(op.flags)) {
		memcpy(&op.flags, in, sizeof(op.flags));
	} else if (cmd == (unsigned)FS_IOC_FSSETXATTR && in_size >= sizeof(x)) {
		memcpy(&x, in, sizeof(x));
		if (x.fsx_xflags & FS_XFLAG_APPEND)
			op.flags |= FS_APPEND_FL;
		if (x.fsx_xflags & FS_XFLAG_IMMUTABLE)
			op.flags |= FS_IMMUTABLE_FL;
		if ((x.fsx_xflags & ~(uint32_t)(FS_XFLAG_APPEND | FS_XFLAG_IMMUTABLE)) ||
		    x.fsx_projid || x.fsx_extsize || x.fsx_cowextsize) {
			cof_reply_error(req, -EOPNOTSUPP);
			return;
		}
	} else {
		cof_reply_error(req, -EINVAL);
		return;
	}
	cof_act(req, &op, COF_SHAPE_IOCTL, NULL);
}

void cof_ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
		   struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		   size_t out_size)
{
	struct cof_attr attr;
	struct fsxattr x;
	uint32_t word;
	int err;

	(void)arg;
	(void)fi;
	(void)flags;
	(void)out_size; /* 0 where the kernel asks for itself, which knows what it wants */
	if (cmd == (unsigned)FS_IOC_SETFLAGS || cmd == (unsigned)FS_IOC_FSSETXATTR) {
		set_flags(req, ino, cmd, in, in_size);
		return;
	}
	if (cof_is_special(ino) || (cmd != (unsigned)FS_IOC_GETFLAGS && cmd != (unsigned)FS_IOC_FSGETXATTR)) {
		cof_reply_error(req, -ENOTTY);
		return;
	}
	err = cof_archive_getattr(cof_mount_of(req)->archive, COF_INDEX_NOW, ino, &attr);
	if (err < 0) {
		cof_reply_error(req, err);
		return;
	}
	flags_of(&attr, &word, &x);
	if (cmd == (unsigned)FS_IOC_GETFLAGS)
		(void)fuse_reply_ioctl(req, 0, &word, sizeof(word));
	else
		(void)fuse_reply_ioctl(req, 0, &x, sizeof(x));
}
