/* SPDX-License-Identifier: Apache-2.0 */
/* The growth of a log by the times of its segments' first frames. */
#include "tools/space.h"

#include <sys/statvfs.h>

#define DAY (86400 * COF_NSEC)

void space_judge(struct space *s, int64_t now)
{
	int64_t span = s->since > now ? 0 : now - s->since;

	s->bytes_a_day = 0;
	s->days = INT64_MAX;
	if (span < DAY)
		return;
	s->bytes_a_day = (int64_t)((double)s->recent / ((double)span / (double)DAY));
	if (s->bytes_a_day > 0)
		s->days = (int64_t)(s->free_bytes / (uint64_t)s->bytes_a_day);
}

/* Bytes of the segment that begins at address. Beside a daemon its last frame may be half there: up
 * to it. */
static int used(struct cof_reader *reader, uint64_t address, uint64_t segment, uint64_t *ret)
{
	uint64_t at = address, next = address;
	struct cof_frame f;
	int r = 0;

	while (r == 0 && at / segment == address / segment) {
		next = at;
		r = cof_reader_header(reader, at, &f, NULL, NULL);
		if (r == 0)
			r = cof_reader_next(reader, at, &f, &at);
	}
	*ret = r == 0 ? segment : next - address;
	return r == -ENODATA || r == -EUCLEAN || r == -ENOENT ? 0 : r;
}

static int go_through(struct cof_reader *reader, uint64_t segment, int64_t now,
		      void (*fn)(void *user, int64_t time, uint64_t bytes), void *user,
		      struct space *ret)
{
	for (uint64_t n = 0;; n++) {
		uint64_t bytes = segment;
		struct cof_frame f, next;
		int r = cof_reader_header(reader, n * segment, &f, NULL, NULL);

		if (r == -ENODATA || r == -ENOENT || (r == -EUCLEAN && n))
			return 0;
		if (r == 0 && cof_reader_header(reader, (n + 1) * segment, &next, NULL, NULL) < 0)
			r = used(reader, n * segment, segment, &bytes);
		if (r < 0)
			return r;
		/* The newest alone counts for slow ones, whose segment began long ago. */
		if (f.record_time < now - SPACE_WINDOW || ret->since == INT64_MAX) {
			ret->since = f.record_time;
			ret->recent = 0;
		}
		ret->recent += bytes;
		ret->bytes += bytes;
		fn(user, f.record_time, bytes);
	}
}

int space_look(const struct store *s, int64_t now,
	       void (*fn)(void *user, int64_t time, uint64_t bytes), void *user, struct space *ret,
	       struct cof_diag *diag)
{
	struct cof_reader *reader = NULL;
	struct statvfs disk;
	int r = cof_reader_new(s->io, &s->conf, &reader);

	*ret = (struct space){.since = INT64_MAX};
	if (r == 0) {
		cof_reader_walk(reader, true);
		r = go_through(reader, s->conf.segment_size, now, fn, user, ret);
	}
	cof_reader_free(reader);
	if (r < 0)
		return cof_fail(diag, r, "%s/log cannot be read: %s. Run: coffer verify %s",
				s->path, strerror(-r), s->path);
	if (statvfs(s->path, &disk) == 0)
		ret->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	space_judge(ret, now);
	return 0;
}
