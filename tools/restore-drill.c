/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restore is tried: what came back is compared with the live archive, which is mounted. The log
 * has to be the same history, by the root at the size that came; and what files hold, decrypted
 * with the recovered keys, has to be what the live archive gives, for as many bytes as a file had
 * then. Then the scratch place goes, and the live archive has it on record.
 */
#include "tools/restore.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define PIECE (1u << 20)

struct comparing {
	struct restoring *r;
	struct cof_archive *a;
	struct restore_drilled *d;
	struct cof_diag *diag;
	int mount;
	uint8_t *mine, *live;
	uint64_t total;
};

static bool same_history(struct restoring *r, struct cof_io *live, struct cof_diag *diag)
{
	struct vault_source *source = NULL;
	struct vault_copy_state s;
	struct cof_checkpoint head;
	uint8_t root[COF_HASH];
	int err = vault_source_open(live, &source, diag);

	vault_copy_state(r->copy, &s);
	if (err == 0) {
		vault_source_note(source, &head);
		if (head.size < s.head.size)
			err = cof_fail(diag, -ESTALE,
				       "the vault has %" PRIu64
				       " frames, and the live archive %" PRIu64
				       ": it was put back to an older state",
				       s.head.size, head.size);
	}
	if (err == 0)
		err = vault_source_root(source, s.head.size, root, diag);
	vault_source_free(source);
	if (err == 0 && !cof_equal(root, s.head.root, COF_HASH))
		err = cof_fail(diag, -ENOTUNIQ,
			       "FORK: what came is not the history of the live archive");
	return err == 0;
}

/* The live file of this inode at this path; -1: it was moved or removed since. */
static int open_live(const struct comparing *c, const char *path, const struct cof_attr *attr)
{
	int fd = openat(c->mount, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != attr->ino || !S_ISREG(st.st_mode) ||
			(uint64_t)st.st_size < attr->size)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int read_live(int fd, uint8_t *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t k = pread(fd, p, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k ? -errno : -EIO;
		p += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static int differs(struct comparing *c, const char *path, const char *what)
{
	cof_autofree char *shown = escaped(path);

	if (!c->d->differ++)
		snprintf(c->d->first, sizeof(c->d->first), "%.200s: %s", shown ? shown : "?", what);
	return 0;
}

/* 1: its content was destroyed, here and there. */
static int compare(struct comparing *c, int fd, const char *path, const struct cof_attr *attr)
{
	for (uint64_t at = 0; at < attr->size;) {
		size_t n = 0, want = (size_t)COF_MIN((uint64_t)PIECE, attr->size - at);
		int err = cof_archive_read(c->a, COF_INDEX_NOW, attr->ino, c->mine, want, at, &n);

		if (err == -ENODATA && read_live(fd, c->live, want, at) == -ENODATA)
			return 1;
		if (err < 0 || n != want)
			return differs(c, path, "what came back cannot be decrypted");
		if (read_live(fd, c->live, n, at) < 0)
			return differs(c, path, "the live archive cannot read it");
		if (memcmp(c->mine, c->live, n) != 0)
			return differs(c, path, "what came back is not what the live archive has");
		at += n;
		progress_update(&c->r->progress, c->d->bytes + at, c->total);
	}
	return 0;
}

static int one(void *user, const char *path, const struct cof_attr *attr)
{
	struct comparing *c = user;
	cof_autoclose int fd = -1;
	int err;

	if (attr->kind != COF_KIND_FILE)
		return 0;
	fd = open_live(c, path, attr);
	if (fd < 0) {
		c->d->elsewhere++;
		return 0;
	}
	err = compare(c, fd, path, attr);
	if (err > 0) {
		c->d->destroyed++;
		return 0;
	}
	c->d->files++;
	c->d->bytes += attr->size;
	return err;
}

static int add_size(void *user, const char *path COF_UNUSED, const struct cof_attr *attr)
{
	*(uint64_t *)user += attr->kind == COF_KIND_FILE ? attr->size : 0;
	return 0;
}

int restore_compare(struct restoring *r, struct restored *s, struct cof_io *live, const char *mount,
		    struct restore_drilled *ret, struct cof_diag *diag)
{
	static const struct restore_wanted all = {.size = COF_INDEX_NOW};
	struct comparing c = {.r = r, .a = s->archive, .d = ret, .diag = diag, .mount = -1};
	int err = same_history(r, live, diag) ? 0 : -EBADMSG;

	if (err < 0)
		return err;
	c.mount = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.mount < 0)
		return cof_fail(diag, -errno, "%s cannot be read: %s", mount, strerror(errno));
	c.mine = malloc(PIECE);
	c.live = malloc(PIECE);
	err = c.mine && c.live ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
	if (err == 0)
		err = restore_walk(s->archive, &all, add_size, &c.total, diag);
	if (err == 0)
		err = restore_walk(s->archive, &all, one, &c, diag);
	if (err == 0)
		err = restore_taken(s, &all, diag);
	progress_clear(&r->progress);
	close(c.mount);
	free(c.mine);
	free(c.live);
	return err;
}
