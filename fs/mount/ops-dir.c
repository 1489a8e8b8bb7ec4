/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers about directories: reading them, making them durable. A cookie says where to go on by
 * itself, so an open directory has no state; "." and ".." have the two lowest cookies. The kernel gets the
 * attributes with the names: programs that list a directory first and then ask for each name (find -ls, ls -l,
 * rsync) would else cost a request a name.
 */
#include "fs/mount/special.h"

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

/* attr NULL: a name without attributes, node id 0. The kernel asks when it needs more. */
static int put_plus(struct listing *l, const char *name, uint64_t ino, mode_t type, int64_t off,
		    const struct cof_attr *attr)
{
	struct fuse_entry_param entry = {.attr = {.st_ino = ino, .st_mode = type}};
	size_t n;

	if (attr)
		cof_fill_entry(l->mount, attr, &entry);
	n = fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, name, &entry, off);
	if (n > l->size - l->used)
		return 1;
	l->used += n;
	return 0;
}

static int put_entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		     uint8_t kind)
{
	char text[COF_NAME_MAX + 1];

	if (len > COF_NAME_MAX)
		return -EUCLEAN;
	memcpy(text, name, len);
	text[len] = '\0';
	return put(user, text, ino, type_bits(kind), cof_cookie_out(cookie));
}

static int put_entry_plus(void *user, uint64_t cookie, const char *name, uint64_t ino, uint8_t kind,
			  const struct cof_attr *attr)
{
	return put_plus(user, name, ino, type_bits(kind), cof_cookie_out(cookie), attr);
}

/* "." and ".." are never looked up through a listing: the names alone. */
static int put_dot(struct listing *l, const char *name, uint64_t ino, int64_t off)
{
	return l->plus ? put_plus(l, name, ino, S_IFDIR, off, NULL) : put(l, name, ino, S_IFDIR, off);
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
	if (l->plus)
		return cof_archive_readdir_attr(l->mount->archive, dir, cof_cookie_in(off), put_entry_plus, l);
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
	int err;

	if (cof_is_special(ino)) {
		cof_special_readdir(req, ino, size, off, plus);
		return;
	}
	err = l.buf ? list(&l, ino, off) : -ENOMEM;

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
