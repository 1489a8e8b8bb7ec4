/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A torn tail: kept in aside/, durable there before a byte of the log is cleared, so that a crash
 * in between repeats the cut. Then the writer's position.
 */
#include <stdio.h>

#include "fs/log/cut.h"

#define PIECE (1u << 20)

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

int cof_cut_tail(struct scan *s, struct cof_recovered *rec, struct cof_diag *diag)
{
	struct copy c = {.s = s, .rec = rec, .hash = cof_sha256_new(), .buf = malloc(PIECE)};
	struct cof_log *log = s->log;
	uint64_t behind;
	int r = c.hash && c.buf ? 0 : -ENOMEM;

	if (!r)
		r = set_all_aside(&c, &behind);
	if (!r) {
		cof_sha256_final(c.hash, rec->digest);
		rec->segment = (uint32_t)(s->address / log->conf.segment_size);
		rec->offset = s->address % log->conf.segment_size;
		r = clear(s, behind);
	}
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

/* Writes what is there again, in place. */
static int write_again(struct cof_file *f, uint64_t from, uint64_t to, uint8_t *buf)
{
	int r = 0;

	while (!r && from < to) {
		size_t n = (size_t)COF_MIN(PIECE, to - from);

		r = cof_io_read(f, buf, n, from, &n);
		if (!r && !n)
			break; /* the file is shorter: zeros follow */
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
	cof_autofree uint8_t *buf = malloc(PIECE);
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
			r = write_again(f, from, have, buf);
	}
	if (s->unsure / size < segment)
		from = 0;
	return r < 0 ? r : write_again(log->current->file, from, used, buf);
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
