/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the frames: the place where no valid frame follows is the end, and whether anything but
 * zeros lies there says if it is torn.
 */
#include "fs/log/scan.h"

#define WINDOW 65536u

int cof_scan_rest(struct cof_log *log, uint64_t address, uint64_t *ret_bytes)
{
	uint64_t size = log->conf.segment_size, end = (address / size + 1) * size;
	cof_autofree uint8_t *buf = malloc(WINDOW);
	uint64_t last = address;

	if (!buf)
		return -ENOMEM;
	for (uint64_t at = address; at < end;) {
		size_t n;
		int r = cof_reader_bytes(log->reader, at, buf, COF_MIN(WINDOW, end - at), &n);

		if (r < 0 && r != -ENOENT && r != -ENODATA)
			return r;
		if (r < 0 || !n)
			break;
		for (size_t i = n; i > 0; i--) {
			if (buf[i - 1]) {
				last = at + i;
				break;
			}
		}
		at += n;
	}
	*ret_bytes = last - address;
	return 0;
}

/* The log may go on at the start of a segment. If not, whatever lies there is torn. */
static int enter_segment(struct scan *s, uint64_t next, bool *ret_more)
{
	struct cof_frame f;
	uint64_t rest;
	int r;

	*ret_more = false;
	r = cof_reader_header(s->log->reader, next, &f, NULL, &s->why);
	if (!r && f.sequence == s->sequence) {
		s->address = next;
		*ret_more = true;
		return 0;
	}
	if (r < 0 && r != -ENODATA && r != -ENOENT && r != -EUCLEAN && r != -EOPNOTSUPP)
		return r;
	r = cof_scan_rest(s->log, next, &rest);
	if (!r && rest) {
		s->torn = true;
		s->address = next;
	}
	return r;
}

/* The frames of this segment are over. Goes on in the next if the log does. */
static int end_of_segment(struct scan *s, bool *ret_more)
{
	uint64_t size = s->log->conf.segment_size, rest;
	int r = cof_scan_rest(s->log, s->address, &rest);

	*ret_more = false;
	if (r < 0)
		return r;
	if (rest) {
		s->torn = true;
		cof_fail(&s->why, 0, "%llu bytes that are no frame", (unsigned long long)rest);
		return 0;
	}
	return enter_segment(s, (s->address / size + 1) * size, ret_more);
}

/* No frame at the very start of a segment: the end, unless something else lies there. */
static int torn_start(struct scan *s)
{
	uint64_t rest;
	int r = cof_scan_rest(s->log, s->address, &rest);

	if (!r && rest)
		s->torn = true;
	return r;
}

/* Does the frame continue the log? */
static bool follows(struct scan *s, const struct cof_frame *f)
{
	uint32_t mount = f->type == COF_MOUNT ? s->mount + 1 : s->mount;

	if (f->sequence != s->sequence)
		cof_fail(&s->why, 0, "frame %llu stands where %llu belongs",
			 (unsigned long long)f->sequence, (unsigned long long)s->sequence);
	else if (f->mount != mount)
		cof_fail(&s->why, 0, "mount %u where %u belongs", f->mount, mount);
	else if (s->sequence && f->retention_time < s->retention)
		cof_fail(&s->why, 0, "retention time goes back");
	else
		return true;
	return false;
}

int cof_scan_payload(struct cof_log *log, const struct cof_frame *f, const void *payload)
{
	int r = cof_payload_check(f, payload);

	if (r != -EBADMSG || f->type != COF_APPEND)
		return r;
	if (!log->erased)
		r = cof_erased_find(log->p.io, &log->conf, &log->erased);
	else
		r = 0;
	return r < 0 ? r : cof_erased_covers(log->erased, f) ? 0 : -EBADMSG;
}

static int one_frame(struct scan *s, bool *ret_valid)
{
	struct cof_log *log = s->log;
	uint8_t raw[COF_FRAME_HEADER];
	struct cof_frame f;
	int r;

	*ret_valid = false;
	r = cof_reader_header(log->reader, s->address, &f, raw, &s->why);
	if (r < 0)
		return r;
	if (!follows(s, &f))
		return -EUCLEAN;
	r = cof_reader_payload(log->reader, s->address, &f, 0, s->payload, f.stored);
	if (r < 0)
		return r;
	r = cof_scan_payload(log, &f, s->payload);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0) {
		cof_fail(&s->why, 0, "the payload of frame %llu is not what its header says",
			 (unsigned long long)f.sequence);
		return -EUCLEAN;
	}
	(void)cof_anchored_take(&s->anchored, &f, s->payload);
	cof_frame_leaf(raw, s->previous, s->previous);
	cof_tiles_add(log, s->previous);
	s->sequence++;
	s->mount = f.mount;
	s->retention = f.retention_time;
	s->record = f.record_time;
	if (cof_frame_significant(&f))
		s->significant = f.type;
	if (f.type == COF_CHECKPOINT && f.position > log->checkpoint_size)
		s->newer = s->address;
	s->address += COF_FRAME_HEADER + f.stored;
	*ret_valid = true;
	return 0;
}

int cof_scan_run(struct scan *s, uint64_t limit)
{
	while (s->sequence < limit) {
		uint64_t size = s->log->conf.segment_size, into = s->address % size;
		bool valid = false, more;
		int r = -ENODATA;

		if (size - into >= COF_FRAME_HEADER)
			r = one_frame(s, &valid);
		if (valid)
			continue;
		if (r == -EUCLEAN || r == -EOPNOTSUPP) {
			s->torn = true;
			return 0;
		}
		if (r < 0 && r != -ENODATA && r != -ENOENT)
			return r;
		if (!into) /* nothing at the start of a segment: what lies there was looked at */
			return torn_start(s);
		r = end_of_segment(s, &more);
		if (r < 0 || !more)
			return r;
	}
	return 0;
}

int cof_scan_find_mount(struct cof_log *log, uint32_t ordinal, uint32_t last_segment,
			uint64_t *ret_address)
{
	uint64_t size = log->conf.segment_size, address;
	uint32_t lo = 0, hi = last_segment; /* the last segment that starts before the mount */
	struct cof_frame f;
	int r;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo + 1) / 2;

		r = cof_reader_header(log->reader, mid * size, &f, NULL, NULL);
		if (r == -ENODATA) { /* the last one may be empty still */
			hi = mid - 1;
			continue;
		}
		if (r < 0)
			return r;
		if (f.mount < ordinal)
			lo = mid;
		else
			hi = mid - 1;
	}
	for (uint32_t seg = lo; seg <= last_segment && seg <= lo + 1; seg++) {
		for (address = seg * size; address < (seg + 1) * size;) {
			r = cof_reader_header(log->reader, address, &f, NULL, NULL);
			if (r == -ENODATA)
				break;
			if (r < 0)
				return r;
			if (f.type == COF_MOUNT && f.mount == ordinal) {
				*ret_address = address;
				return 0;
			}
			address += COF_FRAME_HEADER + f.stored;
		}
	}
	return -ENOENT;
}
