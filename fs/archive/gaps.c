/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When nobody recorded, from the headers of the log and the public parts of its MOUNT frames alone: no key,
 * no daemon, no lock. Between the end of a mount and the next one; and inside a mount, whose MOUNT frame
 * promises a HEARTBEAT for each period without another frame, where two frames lie two periods apart. By
 * retention time inside a mount, which no step of the wall clock moves.
 */
#include "fs/archive/internal.h"

struct walk {
	const struct cof_conf *conf;
	struct cof_reader *reader;
	cof_gap_fn fn;
	void *user;
	struct cof_frame last; /* the frame before */
	bool any, unmounted;
	int64_t period; /* of the mount under way; 0: it promises nothing */
};

static int tell(struct walk *w, enum cof_gap_kind kind, const struct cof_frame *next)
{
	struct cof_gap g = {.kind = kind,
			    .from = w->last.record_time,
			    .to = next ? next->record_time : COF_GAP_OPEN,
			    .after = w->last.sequence,
			    .mount = w->last.mount};

	if (kind == COF_GAP_STOPPED && next) /* as long as it was, whatever the wall clock said */
		g.to = g.from + (next->retention_time - w->last.retention_time);
	return w->fn(w->user, &g);
}

static int64_t promised(struct walk *w, uint64_t address, const struct cof_frame *f)
{
	cof_autobuf struct cof_buf fields = {0};
	uint64_t period = 0;
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;

	if (cof_frame_read(w->reader, NULL, w->conf->id, address, f, &fields, NULL) < 0 || fields.len < skip ||
	    cof_field_u64(fields.data + skip, fields.len - skip, COF_T_HEARTBEAT, &period) < 0)
		return 0;
	return period > INT64_MAX / 4 ? 0 : (int64_t)period;
}

static int look_at(struct walk *w, uint64_t address, const struct cof_frame *f)
{
	int r = 0;

	if (f->type == COF_MOUNT) {
		if (w->any && w->last.mount)
			r = tell(w, w->unmounted ? COF_GAP_UNMOUNTED : COF_GAP_KILLED, f);
		w->period = promised(w, address, f);
	} else if (w->period && w->any && !w->unmounted && f->retention_time - w->last.retention_time >= 2 * w->period) {
		r = tell(w, COF_GAP_STOPPED, f);
	}
	if (cof_frame_significant(f))
		w->unmounted = f->type == COF_UNMOUNT;
	w->last = *f;
	w->any = true;
	return r;
}

static int go_through(struct walk *w)
{
	uint64_t address = 0;
	struct cof_frame f;
	int r = 0;

	while (r == 0) {
		r = cof_reader_header(w->reader, address, &f, NULL, NULL);
		if (r == -ENODATA && address % w->conf->segment_size) { /* the rest of a segment is unused */
			address = (address / w->conf->segment_size + 1) * w->conf->segment_size;
			r = cof_reader_header(w->reader, address, &f, NULL, NULL);
		}
		if (r == 0 && w->any && f.sequence != w->last.sequence + 1)
			r = -EUCLEAN;
		if (r == 0)
			r = look_at(w, address, &f);
		if (r == 0)
			r = cof_reader_next(w->reader, address, &f, &address);
	}
	return r == -ENODATA || r == -ENOENT ? 0 : r;
}

/* What goes on: of a store that nobody has mounted, or whose daemon does not run. */
static int look_at_the_end(struct walk *w, bool mounted, int64_t now)
{
	if (!w->any || !w->last.mount)
		return 0;
	if (!mounted)
		return tell(w, w->unmounted ? COF_GAP_UNMOUNTED : COF_GAP_KILLED, NULL);
	if (w->period && now - w->last.record_time >= 2 * w->period)
		return tell(w, COF_GAP_STOPPED, NULL);
	return 0;
}

int cof_store_gaps(struct cof_io *io, cof_gap_fn fn, void *user, struct cof_diag *diag)
{
	char holder[128] = "";
	struct cof_conf conf;
	struct walk w = {.conf = &conf, .fn = fn, .user = user};
	int64_t now = cof_now(CLOCK_REALTIME);
	bool mounted = cof_io_locked(io, holder, sizeof(holder)) > 0; /* before its frames: it may end meanwhile */
	uint64_t covered = 0, met;
	int r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	r = cof_store_covered(io, &conf, &covered);
	if (r == 0)
		r = cof_reader_new(io, &conf, &w.reader);
	if (r == 0) {
		cof_reader_walk(w.reader, true);
		r = go_through(&w);
	}
	met = w.any ? w.last.sequence + 1 : 0;
	/* Beside a daemon the last frame may be half there; what a checkpoint covers is not. */
	if (r == -EUCLEAN && mounted && met >= covered)
		r = 0;
	if (r == 0 && met < covered)
		r = -EUCLEAN;
	if (r == 0)
		r = look_at_the_end(&w, mounted, now);
	cof_reader_free(w.reader);
	if (r < 0)
		return cof_fail(diag, r, "%s/log cannot be read behind frame %llu: %s. Run: coffer verify %s",
				cof_io_where(io), (unsigned long long)w.last.sequence, strerror(-r), cof_io_where(io));
	return 0;
}
