/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A torn tail: kept in aside/, durable there before a byte of the log is cleared, so that a crash
 * in between repeats the cut. Then the writer's position.
 */
#include <stdio.h>

#include "fs/log/cut.h"

#define PIECE (1u << 20)
#define JUNK_MAX ((uint64_t)1 << 30) /* bytes of one file that recovery sets aside */
#define JUNK_FILES 256u		     /* segments behind a gap */

struct copy {
	struct scan *s;
	struct cof_recovered *rec;
	struct cof_sha256 *hash;
	uint8_t *buf;
};

static int fresh_aside(struct cof_io *io, uint64_t segment, uint64_t offset, struct cof_file **ret)
{
	char path[64];
	int r = -EEXIST;

	for (unsigned n = 0; n < 10000 && r == -EEXIST; n++) {
		snprintf(path, sizeof(path), "aside/%08llx-%llx-%u", (unsigned long long)segment,
			 (unsigned long long)offset, n);
		r = cof_io_create(io, path, ret);
	}
	return r;
}

static int copy_bytes(struct copy *c, struct cof_file *to, uint64_t address, uint64_t n)
{
	for (uint64_t done = 0; done < n;) {
		size_t got;
		int r = cof_reader_bytes(c->s->log->reader, address + done, c->buf,
					 COF_MIN(PIECE, n - done), &got);

		if (!r && !got)
			r = -EIO;
		if (!r)
			r = cof_io_write(to, c->buf, got, done);
		if (r < 0)
			return r;
		cof_sha256_update(c->hash, c->buf, got);
		done += got;
	}
	return cof_io_sync(to);
}

/* One segment's part of the tail. */
static int set_aside(struct copy *c, uint64_t address)
{
	struct cof_log *log = c->s->log;
	uint64_t size = log->conf.segment_size, n;
	struct cof_file *to;
	int r = cof_scan_rest(log, address, &n);

	if (r < 0 || !n)
		return r;
	r = fresh_aside(log->p.io, address / size, address % size, &to);
	if (r < 0)
		return r;
	r = copy_bytes(c, to, address, n);
	cof_io_close(to);
	if (r < 0)
		return r;
	c->rec->bytes += n;
	c->rec->torn_segments++;
	return 0;
}

static bool segment_exists(struct cof_log *log, uint64_t number)
{
	char path[32];

	cof_segment_path((uint32_t)number, path);
	return cof_io_exists(log->p.io, path) == 1;
}

static int remove_segment(struct cof_log *log, uint64_t number)
{
	char path[32];

	cof_segment_path((uint32_t)number, path);
	return cof_io_unlink(log->p.io, path);
}

static int set_all_aside(struct copy *c, uint64_t *ret_behind)
{
	struct cof_log *log = c->s->log;
	uint64_t size = log->conf.segment_size, seg = c->s->address / size;
	int r = set_aside(c, c->s->address);

	for (seg++; !r && seg <= UINT32_MAX && segment_exists(log, seg); seg++)
		r = set_aside(c, seg * size);
	if (!r)
		r = cof_io_sync_dir(log->p.io, "aside");
	*ret_behind = seg;
	return r;
}

/* Later segments go first: a crash in between leaves a shorter torn tail, never a gap. */
static int clear(struct scan *s, uint64_t behind)
{
	struct cof_log *log = s->log;
	uint64_t size = log->conf.segment_size, seg = s->address / size;
	cof_autofile struct cof_file *f = NULL;
	char path[32];
	int r = 0;

	while (!r && --behind > seg)
		r = remove_segment(log, behind);
	cof_segment_path((uint32_t)seg, path);
	if (!r)
		r = cof_io_sync_dir(log->p.io, "log");
	if (!r)
		r = cof_io_open(log->p.io, path, COF_IO_RDWR, &f);
	if (!r)
		r = cof_io_truncate(f, s->address % size);
	return r < 0 ? r : cof_io_sync(f);
}

/* Readers opened before the cut may remember a size; the writer starts with a new one. */
static int renew_reader(struct cof_log *log)
{
	struct cof_reader *r;
	int err = cof_reader_new(log->p.io, &log->conf, &r);

	if (err < 0)
		return err;
	cof_reader_free(log->reader);
	log->reader = r;
	return 0;
}

/* ---- what no reader of frames ever sees: bytes behind a segment's end, segments behind a gap ---- */

/* The segment that the next frame goes to. */
static uint64_t current_segment(struct scan *s)
{
	uint64_t size = s->log->conf.segment_size, seg = s->address / size;

	return s->address % size == 0 && seg && !segment_exists(s->log, seg) ? seg - 1 : seg;
}

struct junk {
	struct cof_log *log;
	uint64_t next;	       /* the first number that is missing */
	uint64_t first, bytes; /* the first segment from the current one on that is too long; by how much */
	uint64_t from;	       /* the current one */
	uint32_t behind[JUNK_FILES];
	unsigned n;
};

static int look_at_segment(void *user, const char *name)
{
	struct junk *j = user;
	uint64_t size = 0;
	unsigned number;
	char path[32];
	struct cof_file *f;
	int end = 0, r;

	if (sscanf(name, "%8x.seg%n", &number, &end) != 1 || end != 12 || name[12])
		return 0;
	if (number != j->next) {
		if (j->n == JUNK_FILES)
			return -EFBIG;
		j->behind[j->n++] = number;
		return 0;
	}
	j->next++;
	if (number < j->from || j->bytes)
		return 0;
	cof_segment_path(number, path);
	r = cof_io_open(j->log->p.io, path, COF_IO_RDONLY, &f);
	if (r < 0)
		return r;
	r = cof_io_size(f, &size);
	cof_io_close(f);
	if (!r && size > j->log->conf.segment_size) {
		j->first = number;
		j->bytes = size - j->log->conf.segment_size;
	}
	return r;
}

static int find_junk(struct scan *s, struct junk *j)
{
	*j = (struct junk){.log = s->log, .from = current_segment(s)};
	return cof_io_list(s->log->p.io, "log", look_at_segment, j);
}

int cof_cut_wanted(struct scan *s, struct cof_diag *diag)
{
	struct junk j;
	int r = find_junk(s, &j);

	if (r == -ENOMEM || r == -EIO || r == -EMFILE || r == -ENFILE)
		return r;
	if (r < 0 || j.bytes > JUNK_MAX)
		return cof_fail(diag, -EUCLEAN,
				"%s/log holds what recovery does not set aside: more than %u "
				"segments behind a gap, more than 1 GiB behind the end of a "
				"segment, or no regular file; nothing will be written to this "
				"archive. Run: coffer verify %s",
				cof_io_where(s->log->p.io), JUNK_FILES, cof_io_where(s->log->p.io));
	/* Behind a gap lie frames that the scan found: it is those in the gap that are gone. */
	if (j.next <= j.from && j.n)
		return cof_fail(diag, -EUCLEAN,
				"%s: log/%08llx.seg at offset 0: the segment is missing; nothing will "
				"be written to this archive. Run: coffer verify %s",
				cof_io_where(s->log->p.io), (unsigned long long)j.next,
				cof_io_where(s->log->p.io));
	return s->torn || j.bytes || j.n;
}

/* Bytes of a segment's file from an offset to its last one that is not zero. */
static int junk_bytes(struct copy *c, struct cof_file *f, uint64_t from, uint64_t *ret)
{
	uint64_t have, last = from;
	int r = cof_io_size(f, &have);

	if (!r && have > from && have - from > JUNK_MAX)
		return -EFBIG;
	for (uint64_t at = from; !r && at < have;) {
		size_t n;

		r = cof_io_read(f, c->buf, (size_t)COF_MIN(PIECE, have - at), at, &n);
		if (r < 0 || !n)
			break;
		for (size_t i = n; i > 0; i--) {
			if (c->buf[i - 1]) {
				last = at + i;
				break;
			}
		}
		at += n;
	}
	*ret = last - from;
	return r;
}

static int junk_aside(struct copy *c, uint64_t number, uint64_t from)
{
	cof_autofile struct cof_file *f = NULL, *to = NULL;
	uint64_t n = 0;
	char path[32];
	int r;

	cof_segment_path((uint32_t)number, path);
	r = cof_io_open(c->s->log->p.io, path, COF_IO_RDONLY, &f);
	if (!r)
		r = junk_bytes(c, f, from, &n);
	if (r < 0 || !n)
		return r;
	r = fresh_aside(c->s->log->p.io, number, from, &to);
	for (uint64_t done = 0; !r && done < n;) {
		size_t got;

		r = cof_io_read(f, c->buf, (size_t)COF_MIN(PIECE, n - done), from + done, &got);
		if (!r && !got)
			r = -EIO;
		if (!r)
			r = cof_io_write(to, c->buf, got, done);
		if (!r)
			cof_sha256_update(c->hash, c->buf, got);
		done += got;
	}
	if (!r)
		r = cof_io_sync(to);
	if (!r && !c->rec->torn_segments++) {
		c->rec->segment = (uint32_t)number;
		c->rec->offset = from;
	}
	c->rec->bytes += r ? 0 : n;
	return r;
}

static int all_junk_aside(struct copy *c, const struct junk *j)
{
	uint64_t size = c->s->log->conf.segment_size;
	int r = 0;

	for (uint64_t seg = j->first; !r && j->bytes && seg < j->next; seg++)
		r = junk_aside(c, seg, size);
	for (unsigned i = 0; !r && i < j->n; i++)
		r = junk_aside(c, j->behind[i], 0);
	return r ? r : cof_io_sync_dir(c->s->log->p.io, "aside");
}

/* The current segment's end is where it belongs; segments behind it that are too long go later. */
static int clear_junk(struct copy *c, const struct junk *j)
{
	struct cof_log *log = c->s->log;
	cof_autofile struct cof_file *f = NULL;
	uint64_t have = 0;
	char path[32];
	int r = 0;

	for (unsigned i = j->n; !r && i > 0; i--)
		r = remove_segment(log, j->behind[i - 1]);
	cof_segment_path((uint32_t)j->from, path);
	if (!r)
		r = cof_io_sync_dir(log->p.io, "log");
	if (!r)
		r = cof_io_open(log->p.io, path, COF_IO_RDWR, &f);
	if (!r)
		r = cof_io_size(f, &have);
	if (r < 0 || have <= log->conf.segment_size)
		return r;
	r = cof_io_truncate(f, log->conf.segment_size);
	return r < 0 ? r : cof_io_sync(f);
}

int cof_cut_tail(struct scan *s, struct cof_recovered *rec, struct cof_diag *diag)
{
	struct copy c = {.s = s, .rec = rec, .hash = cof_sha256_new(), .buf = malloc(PIECE)};
	struct cof_log *log = s->log;
	struct junk junk = {0};
	uint64_t behind = 0;
	int r = c.hash && c.buf ? find_junk(s, &junk) : -ENOMEM;

	if (!r && s->torn) {
		rec->segment = (uint32_t)(s->address / log->conf.segment_size);
		rec->offset = s->address % log->conf.segment_size;
		r = set_all_aside(&c, &behind);
	}
	if (!r)
		r = all_junk_aside(&c, &junk);
	if (!r) {
		cof_sha256_final(c.hash, rec->digest);
		r = clear_junk(&c, &junk);
	}
	if (!r && s->torn)
		r = clear(s, behind);
	if (!r)
		r = renew_reader(log);
	cof_sha256_free(c.hash);
	free(c.buf);
	if (r < 0)
		return cof_fail(diag, r, "the torn tail of %s/log cannot be set aside: %s",
				cof_io_where(log->p.io), strerror(-r));
	return 0;
}

/* The empty segment behind the current one serves as the next; anything further is removed. */
static int adopt_next(struct cof_log *log, uint64_t number)
{
	uint64_t have, extra = number + 1;
	int r;

	if (!segment_exists(log, number))
		return 0;
	while (segment_exists(log, extra))
		extra++;
	while (--extra > number) {
		r = remove_segment(log, extra);
		if (r < 0)
			return r;
	}
	r = cof_segment_open(log, (uint32_t)number, &log->prepared_next);
	if (!r)
		r = cof_io_size(log->prepared_next->file, &have);
	if (!r && have == log->conf.segment_size)
		return cof_io_sync(log->prepared_next->file);
	cof_segment_free(log->prepared_next);
	log->prepared_next = NULL;
	if (r < 0)
		return r;
	r = remove_segment(log, number);
	return r < 0 ? r : cof_io_sync_dir(log->p.io, "log");
}

/*
 * Writes what is there again, in place. The cached pages go first: after a failed write ext4 keeps them
 * as mapped, writes them a second time to blocks that it still has for unwritten, and never says that
 * they are written now; once the pages go, zeros are read. A stretch holds whole cached pieces, so
 * that none goes of which there is no copy here.
 */
int cof_write_again(struct cof_file *f, uint64_t from, uint64_t to, uint8_t *buf)
{
	int r = 0;

	while (!r && from < to) {
		uint64_t start = from - from % COF_STRETCH;
		size_t n = (size_t)COF_MIN(start + COF_STRETCH - from, to - from);

		r = cof_io_read(f, buf, n, from, &n);
		if (!r && !n)
			break; /* the file is shorter: zeros follow */
		if (!r)
			cof_io_forget(f, start, COF_STRETCH);
		if (!r)
			r = cof_io_write(f, buf, n, from);
		from += n;
	}
	return r < 0 ? r : cof_io_sync(f);
}

/*
 * What a killed writer left in memory counts as durable from here on. A sync alone does not make it
 * so: if one failed before, the kernel holds those pages for clean, returns 0 and never writes them.
 * So they are written again; the same bytes, so that a crash in between changes nothing.
 */
static int make_durable(struct scan *s, uint64_t segment, uint64_t used)
{
	struct cof_log *log = s->log;
	uint64_t size = log->conf.segment_size, from = s->unsure % size;
	cof_autofree uint8_t *buf = malloc(COF_STRETCH);
	int r = buf ? cof_io_sync_dir(log->p.io, "log") : -ENOMEM;

	for (uint64_t seg = s->unsure / size; !r && seg < segment; seg++, from = 0) {
		cof_autofile struct cof_file *f = NULL;
		uint64_t have = 0;
		char path[32];

		cof_segment_path((uint32_t)seg, path);
		r = cof_io_open(log->p.io, path, COF_IO_RDWR, &f);
		if (!r)
			r = cof_io_size(f, &have);
		if (!r)
			r = cof_write_again(f, from, have, buf);
	}
	if (s->unsure / size < segment)
		from = 0;
	return r < 0 ? r : cof_write_again(log->current->file, from, used, buf);
}

int cof_cut_position(struct scan *s, struct cof_diag *diag)
{
	struct cof_log *log = s->log;
	uint64_t size = log->conf.segment_size, seg = s->address / size, used = s->address % size;
	struct cof_frame first;
	uint64_t have;
	int r;

	if (!used && seg && !segment_exists(log, seg)) {
		seg--;
		used = size;
	}
	r = cof_segment_open(log, (uint32_t)seg, &log->current);
	if (!r)
		r = cof_io_size(log->current->file, &have);
	if (!r && have < size)
		r = cof_io_allocate(log->current->file, have, size - have);
	if (!r)
		r = make_durable(s, seg, used);
	if (!r)
		r = adopt_next(log, seg + 1);
	if (!r && used)
		r = cof_reader_header(log->reader, seg * size, &first, NULL, diag);
	if (r)
		return cof_fail(diag, r, "%s/log/%08llx.seg cannot be made ready: %s",
				cof_io_where(log->p.io), (unsigned long long)seg, strerror(-r));
	log->current->first = used ? first.sequence : s->sequence;
	log->current->used = used;
	return 0;
}
