/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/handover.h"
#include "tools/opener.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define OWN_NAME 40

/* Another name of the descriptor: the call that takes descriptors themselves asks for a capability. */
static void name_of(const struct handover *h, char ret[OWN_NAME])
{
	snprintf(ret, OWN_NAME, "/proc/self/fd/%d", h->fd);
}

/* Whole without a name. -EOPNOTSUPP: not here. */
static int without_name(struct handover *h)
{
	cof_autofree char *dir = parent_of(h->path);
	char own[OWN_NAME];
	int r;

	if (!dir)
		return -errno;
	h->fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0400);
	if (h->fd < 0) /* EISDIR: of a kernel or filesystem that takes it for a directory to be written */
		return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
	name_of(h, own);
	if (access(own, F_OK) < 0)
		return -EOPNOTSUPP;
	r = cof_write_all(h->fd, h->p, h->n);
	return r == 0 && fsync(h->fd) < 0 ? -errno : r;
}

static int with_zeros(struct handover *h, struct cof_diag *diag)
{
	static const uint8_t zeros[4096];
	int r;

	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	r = secret_file_make(h->path, "result", &h->fd, diag);
	if (r < 0)
		return r;
	h->named = true;
	for (size_t at = 0; r == 0 && at < h->n; at += sizeof(zeros))
		r = cof_write_all(h->fd, zeros, COF_MIN(h->n - at, sizeof(zeros)));
	return r == 0 ? secret_file_sync(h->fd, h->path) : r;
}

int handover_begin(struct handover *h, const char *path, const void *p, size_t n, struct cof_diag *diag)
{
	struct stat st;
	int r;

	*h = (struct handover){.path = path, .p = p, .n = n, .fd = -1};
	if (lstat(path, &st) == 0) /* said before anything is on record; who makes one behind this is refused below */
		return cof_fail(diag, -EEXIST, "%s exists already; a new result never replaces a file", path);
	r = without_name(h);
	if (r == -EOPNOTSUPP)
		r = with_zeros(h, diag);
	return r < 0 && !*diag->text ? cof_fail(diag, r, "cannot write %s: %s", path, strerror(-r)) : r;
}

static int name_it(struct handover *h)
{
	char own[OWN_NAME];

	name_of(h, own);
	if (linkat(AT_FDCWD, own, AT_FDCWD, h->path, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	h->named = true;
	return 0;
}

int handover_give(struct handover *h, struct cof_diag *diag)
{
	int r = !h->named			       ? name_it(h)
		: lseek(h->fd, 0, SEEK_SET) < 0 ? -errno
						       : cof_write_all(h->fd, h->p, h->n);

	if (r == 0)
		r = secret_file_sync(h->fd, h->path);
	if (r < 0)
		return cof_fail(diag, r, "cannot write %s: %s", h->path, strerror(-r));
	h->named = false; /* it is theirs now */
	return 0;
}

void handover_done(struct handover *h)
{
	if (h->named)
		unlink(h->path);
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct handover)HANDOVER_INIT;
}
