/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers about names: making, linking, removing, renaming. */
#include "fs/mount/internal.h"

#include <sys/stat.h>

static struct cof_op make_op(fuse_req_t req, uint8_t kind, fuse_ino_t parent, const char *name,
			     mode_t mode)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);

	return (struct cof_op){.kind = COF_OP_CREATE,
			       .node_kind = kind,
			       .parent = parent,
			       .name = name,
			       .mode = mode & 07777,
			       .uid = c->uid,
			       .gid = c->gid};
}

void cof_ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct cof_op op = make_op(req, COF_KIND_FILE, parent, name, mode);

	(void)rdev;
	if (!S_ISREG(mode)) {
		op.kind = COF_OP_MKNOD;
		op.mode = mode;
	}
	cof_act(req, &op, COF_SHAPE_ENTRY, NULL);
}

void cof_ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct cof_op op = make_op(req, COF_KIND_DIR, parent, name, mode);

	cof_act(req, &op, COF_SHAPE_ENTRY, NULL);
}

void cof_ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		    struct fuse_file_info *fi)
{
	struct cof_op op = make_op(req, COF_KIND_FILE, parent, name, mode);

	op.flags = (uint32_t)fi->flags;
	fi->direct_io = 1; /* a new file is open */
	cof_act(req, &op, COF_SHAPE_CREATE, fi);
}

void cof_ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct cof_op op = make_op(req, COF_KIND_SYMLINK, parent, name, 0777);

	op.target = target;
	cof_act(req, &op, COF_SHAPE_ENTRY, NULL);
}

void cof_ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct cof_op op = {.kind = COF_OP_LINK,
			    .ino = ino,
			    .parent = parent,
			    .name = name,
			    .new_parent = parent,
			    .new_name = name};

	cof_act(req, &op, COF_SHAPE_ENTRY, NULL);
}

void cof_ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct cof_op op = {.kind = COF_OP_UNLINK, .parent = parent, .name = name};

	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}

void cof_ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct cof_op op = {.kind = COF_OP_RMDIR, .parent = parent, .name = name};

	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}

void cof_ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		    const char *new_name, unsigned flags)
{
	struct cof_op op = {.kind = COF_OP_RENAME,
			    .parent = parent,
			    .name = name,
			    .new_parent = new_parent,
			    .new_name = new_name,
			    .flags = flags};

	cof_act(req, &op, COF_SHAPE_ERROR, NULL);
}
