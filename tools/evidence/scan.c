/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle from its first byte to its last: entries in order, of which each byte is looked at. */
#include "tools/evidence/internal.h"

#include <unistd.h>

static int read_all(struct scan *s, void *buf, size_t n, struct cof_diag *diag)
{
	size_t done = 0;

	if (n > s->size - s->at)
		return cof_fail(diag, -EUCLEAN, "it ends at byte %llu, in the middle of something", (unsigned long long)s->size);
	while (done < n) {
		ssize_t got = pread(s->fd, (uint8_t *)buf + done, n - done, (off_t)(s->at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return cof_fail(diag, got < 0 ? -errno : -EIO, "it cannot be read: %s", got < 0 ? strerror(errno) : "it became shorter");
		done += (size_t)got;
	}
	s->at += n;
	return 0;
}

int scan_peek(struct scan *s, struct tar_entry *ret, struct cof_diag *diag)
{
	uint8_t block[TAR_BLOCK];
	uint64_t at = s->at;
	int r = read_all(s, block, sizeof(block), diag);

	s->at = at;
	if (r < 0)
		return r;
	r = tar_decode(block, ret);
	if (r == -EUCLEAN)
		return cof_fail(diag, r, "byte %llu: no header of the one form that they have here", (unsigned long long)at);
	if (r == 0 && (strncmp(ret->name, BAG, strlen(BAG)) != 0 || (s->mtime >= 0 && s->mtime != ret->mtime)))
		return cof_fail(diag, -EUCLEAN, "byte %llu: an entry outside of the bag, or of another date", (unsigned long long)at);
	if (r == 0 && tar_padded(ret->size) > s->size - at - TAR_BLOCK)
		return cof_fail(diag, -EUCLEAN, "%s: it is cut off", ret->name);
	return r;
}

int scan_next(struct scan *s, const char *name, struct cof_diag *diag)
{
	int r = scan_peek(s, &s->entry, diag);

	if (r == -ENODATA)
		return cof_fail(diag, r, "%s is missing", name ? name : "an entry");
	if (r == 0 && name && strcmp(s->entry.name + strlen(BAG), name) != 0)
		return cof_fail(diag, -EUCLEAN, "%s is missing: %s is in its place", name, s->entry.name);
	if (r < 0)
		return r;
	s->at += TAR_BLOCK;
	s->mtime = s->entry.mtime;
	s->left = s->entry.size;
	cof_sha256_reset(s->hash);
	return 0;
}

int scan_read(struct scan *s, void *buf, size_t n, struct cof_diag *diag)
{
	int r = n > s->left ? cof_fail(diag, -EUCLEAN, "%s: it is too short", s->entry.name) : read_all(s, buf, n, diag);

	if (r < 0)
		return r;
	cof_sha256_update(s->hash, buf, n);
	s->left -= n;
	return 0;
}

int scan_text(struct scan *s, uint64_t most, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autofree uint8_t *p = s->left <= most ? malloc((size_t)s->left + 1) : NULL;
	size_t n = (size_t)s->left;
	int r;

	if (s->left > most)
		return cof_fail(diag, -EUCLEAN, "%s: it is too long", s->entry.name);
	r = p ? scan_read(s, p, n, diag) : -ENOMEM;
	ret->len = 0;
	if (r == 0)
		cof_buf_add(ret, p, n);
	if (r == 0 && !n)
		cof_buf_add(ret, "", 0);
	if (r == 0 && memchr(p, 0, n))
		return cof_fail(diag, -EUCLEAN, "%s: it is no text", s->entry.name);
	return r < 0 || !ret->failed ? r : -ENOMEM;
}

int scan_end(struct scan *s, struct cof_diag *diag)
{
	uint8_t buf[TAR_BLOCK];
	size_t pad = (size_t)(tar_padded(s->entry.size) - s->entry.size);
	int r = 0;

	if (s->left) {
		cof_autofree uint8_t *big = malloc(COF_CHUNK);

		r = big ? 0 : -ENOMEM;
		while (r == 0 && s->left)
			r = scan_read(s, big, (size_t)COF_MIN(s->left, (uint64_t)COF_CHUNK), diag);
	}
	if (r == 0)
		r = read_all(s, buf, pad, diag);
	for (size_t i = 0; r == 0 && i < pad; i++)
		if (buf[i])
			r = cof_fail(diag, -EUCLEAN, "%s: bytes stand behind it", s->entry.name);
	if (r == 0)
		cof_sha256_final(s->hash, s->digest);
	return r;
}

int scan_finish(struct scan *s, struct cof_diag *diag)
{
	uint64_t want = (s->at + 2 * TAR_BLOCK + TAR_RECORD - 1) / TAR_RECORD * TAR_RECORD;
	uint8_t buf[TAR_BLOCK] = {0};
	int r = s->size == want ? 0 : cof_fail(diag, -EUCLEAN, "it is not as long as it has to be: %llu bytes, not %llu",
					       (unsigned long long)s->size, (unsigned long long)want);

	while (r == 0 && s->at < s->size) {
		r = read_all(s, buf, sizeof(buf), diag);
		for (size_t i = 0; r == 0 && i < sizeof(buf); i++)
			if (buf[i])
				r = cof_fail(diag, -EUCLEAN, "bytes stand behind its end");
	}
	return r;
}
