/* SPDX-License-Identifier: Apache-2.0 */
/* The plain store: one system call for each operation. */
#include "fs/io/impl.h"

static const struct cof_io_ops plain_ops = {
    .name = "plain",
    .side_by_side = true,
    .free = cof_posix_free,
    .open = cof_posix_open,
    .close = cof_posix_close,
    .writev = cof_posix_writev,
    .read = cof_posix_read,
    .sync = cof_posix_sync,
    .push = cof_posix_push,
    .allocate = cof_posix_allocate,
    .punch = cof_posix_punch,
    .truncate = cof_posix_truncate,
    .size = cof_posix_size,
    .forget = cof_posix_forget,
    .expect = cof_posix_expect,
    .map = cof_posix_map,
    .mkdir = cof_posix_mkdir,
    .rename = cof_posix_rename,
    .unlink = cof_posix_unlink,
    .rmdir = cof_posix_rmdir,
    .sync_dir = cof_posix_sync_dir,
    .exists = cof_posix_exists,
    .list = cof_posix_list,
    .lock = cof_posix_lock,
    .unlock = cof_posix_unlock,
    .locked = cof_posix_locked,
    .guard = cof_posix_guard,
    .space = cof_posix_space,
};

int cof_io_plain(const char *dir, struct cof_io **ret, struct cof_diag *diag)
{
	struct cof_posix *io = calloc(1, sizeof(*io));
	int r;

	if (!io)
		return cof_fail(diag, -ENOMEM, "cannot open the store %s: out of memory", dir);
	r = cof_posix_init(io, &plain_ops, dir, diag);
	if (r) {
		free(io);
		return r;
	}
	*ret = &io->base;
	return 0;
}
