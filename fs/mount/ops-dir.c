/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers about directories: reading them, making them durable. A cookie says where to go on by
 * itself, so an open directory has no state; "." and ".." have the two lowest cookies.
 */
#include "fs/mount/internal.h"

#include <sys/stat.h>

struct listing {
	fuse_req_t req;
	struct cof_mount *mount;
	char *buf;
	size_t size, used;
	bool plus;
};

static mode_t type_bits(uint8_t kind)
{
	return kind == COF_KIND_DIR ? S_IFDIR : kind == COF_KIND_SYMLINK ? S_IFLNK : S_IFREG;
}

/* 0: it is in; 1: it does not fit any more. */
static int put(struct listing *l, const char *name, uint64_t ino, mode_t type, int64_t off)
{
	struct stat st = {.st_ino = ino, .st_mode = type};
	size_t n = fuse_add_direntry(l->req, l->buf + l->used, l->size - l->used, name, &st, off);

	if (n > l->size - l->used)
		return 1;
	l->used += n;
	return 0;
}

static int put_plus(struct listing *l, const char *name, uint64_t ino, mode_t type, int64_t off)
{
	struct fuse_entry_param entry = {0}; /* node id 0: a name without attributes */
	struct cof_attr attr;
	size_t n;

	/* Removed meanwhile, or unreadable: the name alone, and the kernel asks when it needs more.
	 */
	if (type == 0 || cof_archive_getattr(l->mount->archive, COF_INDEX_NOW, ino, &attr) < 0) {
		entry.attr.st_ino = ino;
		entry.attr.st_mode = type == 0 ? S_IFDIR : type;
	} else {
		cof_fill_entry(l->mount, &attr, &entry);
	}
	n = fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, name, &entry, off);
	if (n > l->size - l->used)
		return 1;
	l->used += n;
	return 0;
}

static int put_entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		     uint8_t kind)
{
	struct listing *l = user;
	int64_t off = cof_cookie_out(cookie);
	char text[COF_NAME_MAX + 1];

	if (len > COF_NAME_MAX)
		return -EUCLEAN;
	memcpy(text, name, len);
	text[len] = '\0';
	if (l->plus)
		return put_plus(l, text, ino, type_bits(kind), off);
	return put(l, text, ino, type_bits(kind), off);
}

/* "." and ".." are never looked up through a listing: type 0 asks for the name alone. */
static int put_dot(struct listing *l, const char *name, uint64_t ino, int64_t off)
{
	return l->plus ? put_plus(l, name, ino, 0, off) : put(l, name, ino, S_IFDIR, off);
}

static int list(struct listing *l, uint64_t dir, int64_t off)
{
	uint64_t parent = dir;
	int err = 0;

	if (off < 0)
		return -EINVAL;
	if (off < 1 && (err = put_dot(l, ".", dir, 1)) != 0)
		return err;
	if (off < 2) {
		if (dir != COF_ROOT_INO)
			err = cof_archive_parent(l->mount->archive, COF_INDEX_NOW, dir, &parent);
		if (err < 0)
			return err;
		if ((err = put_dot(l, "..", parent, 2)) != 0)
			return err;
	}
	return cof_archive_readdir(l->mount->archive, COF_INDEX_NOW, dir, cof_cookie_in(off),
				   put_entry, l);
}

static void reply_listing(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l = {.req = req,
			    .mount = cof_mount_of(req),
			    .buf = (char *)cof_worker_scratch(req, size),
			    .size = size,
			    .plus = plus};
	int err = l.buf ? list(&l, ino, off) : -ENOMEM;

	/* What came before the damage is still shown; the next call starts there and says EIO. */
	if (err < 0 && l.used == 0)
		cof_reply_error(req, err);
	else
		(void)fuse_reply_buf(req, l.buf, l.used);
}

void cof_ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)fi;
	reply_listing(req, ino, size, off, false);
}

void cof_ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	(void)fi;
	reply_listing(req, ino, size, off, true);
}

/* Names live in frames of many objects: a directory is durable once everything so far is. */
void cof_ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	uint64_t sequence;
	int err = cof_archive_fsync_sequence(cof_mount_of(req)->archive, 0, &sequence);

	(void)ino;
	(void)datasync;
	(void)fi;
	if (err < 0)
		cof_reply_error(req, err);
	else
		cof_reply_synced(req, sequence);
}
