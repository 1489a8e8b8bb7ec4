/* SPDX-License-Identifier: Apache-2.0 */
/* .coffer and .coffer/events: see special.h. */
#include "fs/mount/special.h"

#include <fcntl.h>

#include <sys/stat.h>
#include <unistd.h>

/* The length is that of what was looked at so far, so that asking costs a bounded time; who reads to the end,
 * or asks again, gets to the end. */
static int fill_stat(struct cof_mount *m, uint64_t ino, struct stat *ret)
{
	uint64_t size = 0;
	int64_t changed = 0;
	int err = ino == COF_VIRTUAL_EVENTS ? cof_archive_events_size(m->archive, &size, &changed) : 0;

	*ret = (struct stat){.st_ino = ino,
			     .st_mode = ino == COF_VIRTUAL_DIR ? S_IFDIR | 0500 : S_IFREG | 0400,
			     .st_nlink = ino == COF_VIRTUAL_DIR ? 2 : 1,
			     .st_uid = geteuid(),
			     .st_gid = getegid(),
			     .st_size = (off_t)COF_MIN(size, (uint64_t)INT64_MAX),
			     .st_blksize = COF_BLOCK,
			     .st_mtim = {.tv_sec = changed / COF_NSEC, .tv_nsec = changed % COF_NSEC},
			     .st_ctim = {.tv_sec = changed / COF_NSEC, .tv_nsec = changed % COF_NSEC}};
	return err;
}

bool cof_special_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.generation = 1};
	int err;

	if (parent == COF_ROOT_INO && !strcmp(name, COF_VIRTUAL_DIR_NAME))
		entry.ino = COF_VIRTUAL_DIR;
	else if (parent == COF_VIRTUAL_DIR && !strcmp(name, COF_VIRTUAL_EVENTS_NAME))
		entry.ino = COF_VIRTUAL_EVENTS;
	else if (!cof_is_special(parent))
		return false;
	err = entry.ino ? fill_stat(cof_mount_of(req), entry.ino, &entry.attr) : -ENOENT;
	if (err < 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_entry(req, &entry); /* without a time: each question comes here */
	return true;
}

void cof_special_getattr(fuse_req_t req, fuse_ino_t ino)
{
	struct stat st;
	int err = fill_stat(cof_mount_of(req), ino, &st);

	if (err < 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_attr(req, &st, 0);
}

/* The kernel has looked at the mode; this is for kernels and mounts that do not. */
int cof_special_may(fuse_req_t req, fuse_ino_t ino)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return !cof_is_special(ino) || uid == 0 || uid == geteuid() ? 0 : -EACCES;
}

int cof_special_opened(fuse_req_t req, fuse_ino_t ino, int flags)
{
	struct cof_who who = cof_who_of(req);

	return ino == COF_VIRTUAL_EVENTS && (flags & O_ACCMODE) == O_RDONLY
		       ? cof_archive_queried(cof_mount_of(req)->archive, &who, "events-file")
		       : 0;
}

void cof_special_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
	uint8_t *buf = cof_worker_scratch(req, size);
	size_t n = 0;
	int err = !buf ? -ENOMEM : ino != COF_VIRTUAL_EVENTS || off < 0 ? -EINVAL : 0;

	if (err == 0)
		err = cof_archive_events_read(cof_mount_of(req)->archive, buf, size, (uint64_t)off, &n);
	if (err < 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_buf(req, (const char *)buf, n);
}

/* Names without attributes, each with its own number for a cookie. */
void cof_special_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	static const struct {
		const char *name;
		uint64_t ino;
		mode_t type;
	} names[] = {{".", COF_VIRTUAL_DIR, S_IFDIR},
		     {"..", COF_ROOT_INO, S_IFDIR},
		     {COF_VIRTUAL_EVENTS_NAME, COF_VIRTUAL_EVENTS, S_IFREG}};
	char *buf = (char *)cof_worker_scratch(req, size);
	size_t used = 0;

	if (!buf || ino != COF_VIRTUAL_DIR || off < 0) {
		cof_reply_error(req, buf ? -ENOTDIR : -ENOMEM);
		return;
	}
	for (size_t i = (size_t)off; i < COF_COUNT(names); i++) {
		const struct fuse_entry_param entry = {.attr = {.st_ino = names[i].ino, .st_mode = names[i].type}};
		size_t n = plus ? fuse_add_direntry_plus(req, buf + used, size - used, names[i].name, &entry, (off_t)i + 1)
				: fuse_add_direntry(req, buf + used, size - used, names[i].name, &entry.attr, (off_t)i + 1);

		if (n > size - used)
			break;
		used += n;
	}
	(void)fuse_reply_buf(req, buf, used);
}
