/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an open archive shows of itself: its frames in order, and who wrote which stretch of a file.
 *
 * Callbacks run without any lock of the archive; each frame is decoded inside the gate of its own.
 */
#include "fs/archive/show.h"

/* ---- names and actors from the index ---- */

static int live_actor(void *user, uint32_t mount, uint32_t ordinal, uint64_t *ret_address)
{
	struct cof_archive *a = user;

	return cof_ix(a, cof_index_get_actor(a->ix, mount, ordinal, ret_address));
}

static int live_path(void *user, uint64_t at, uint64_t ino, struct cof_buf *ret)
{
	struct cof_archive *a = user;

	return cof_ix(a, cof_show_index_path(a->ix, at, ino, ret));
}

struct cof_show *cof_show_new(struct cof_archive *a)
{
	struct cof_show *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->reader = a->reader;
	s->conf = &a->conf;
	s->ring = a->ring;
	s->actor = live_actor;
	s->path = live_path;
	s->user = a;
	return s;
}

void cof_show_freep(struct cof_show **s)
{
	if (*s)
		cof_show_done(*s);
	free(*s);
}

/* ---- the log ---- */

/*
 * Where a frame lies. Who follows the log asks again and again for the frame behind the last one shown,
 * and a search goes through a whole segment: so the addresses of some last ones are kept. They are only
 * hints: what the header there says decides.
 */
static int find(struct cof_archive *a, uint64_t sequence, uint64_t *ret_address,
		unsigned *ret_slot)
{
	for (unsigned i = 0; i < COF_SHOW_HINTS && sequence; i++) {
		uint64_t address = atomic_load(&a->show_hints[i]);
		struct cof_frame f;

		if (!address || cof_reader_header(a->reader, address, &f, NULL, NULL) ||
		    f.sequence != sequence - 1)
			continue;
		*ret_slot = i;
		return cof_show_next(a->reader, &a->conf, address, &f, ret_address);
	}
	*ret_slot = (unsigned)(sequence % COF_SHOW_HINTS);
	return cof_reader_find(a->reader, sequence, ret_address, NULL);
}

struct step { /* one frame of the walk */
	struct cof_archive *archive;
	struct cof_show *show;
	uint64_t sequence, address, next;
	struct cof_json *entry;
};

static int take_step(struct step *s)
{
	struct cof_archive *a = s->archive;
	struct cof_frame f;
	int err = cof_reader_header(a->reader, s->address, &f, NULL, NULL);

	if (!err && f.sequence != s->sequence)
		err = -EUCLEAN;
	if (!err)
		err = cof_show_next(a->reader, &a->conf, s->address, &f, &s->next);
	if (!err)
		err = cof_show_frame(s->show, s->address, &f, &s->entry);
	/* A frame that should be there: nothing that a caller could take for the end of the log. */
	return err == -ENODATA ? -EUCLEAN : err;
}

int cof_archive_show_log(struct cof_archive *a, uint64_t from, cof_show_fn fn, void *user,
			 uint64_t *ret_next)
{
	COF_CLEANUP(cof_show_freep) struct cof_show *show = NULL;
	struct step s = {.archive = a, .sequence = from};
	uint64_t end = cof_archive_frames(a), last = 0;
	unsigned slot = 0;
	int err, stop = 0;

	if (from >= end) {
		*ret_next = from;
		return 0;
	}
	show = cof_show_new(a);
	if (!show)
		return -ENOMEM;
	s.show = show;
	err = find(a, from, &s.address, &slot);
	while (!err && !stop && s.sequence < end) {
		COF_GATED(a, err, take_step(&s));
		if (err)
			break;
		stop = fn(user, s.entry);
		cof_json_free(s.entry);
		s.entry = NULL;
		last = s.address;
		s.address = s.next;
		s.sequence++;
	}
	if (last)
		atomic_store(&a->show_hints[slot], last);
	if (err || stop < 0)
		return err ? err : stop;
	*ret_next = s.sequence;
	return 0;
}

/* ---- blame ---- */

#define BATCH 256

struct writer { /* what the frame of a stretch says of it */
	struct cof_stretch stretch;
	uint32_t mount, actor;
	int64_t time;
};

struct batch {
	struct cof_archive *archive;
	uint64_t ino, position;
	size_t n;
	struct cof_stretch stretch[BATCH];
	struct writer writer[BATCH];
};

static int load_batch(struct batch *b)
{
	struct cof_archive *a = b->archive;
	int err = cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, b->ino, b->position,
						b->stretch, BATCH, &b->n));

	if (err)
		return err;
	for (size_t i = 0; i < b->n; i++) {
		const struct cof_stretch *st = &b->stretch[i];
		struct cof_frame f;

		err = cof_reader_header(a->reader, st->address, &f, NULL, NULL);
		if (err && err != -ENODATA && err != -EUCLEAN)
			return err;
		/* The index says where to look, the frame what is true. */
		if (err || f.type != (st->hole ? COF_HOLE : COF_APPEND) || f.object != b->ino ||
		    f.position != st->position || f.sequence != st->sequence)
			return -COF_EINDEX;
		b->writer[i] = (struct writer){*st, f.mount, f.actor, f.record_time};
	}
	return 0;
}

struct run { /* contiguous stretches of one kind by one actor of one mount */
	struct writer first;
	uint64_t length, frames, last_sequence;
	int64_t last_time;
};

static bool joins(const struct run *r, const struct writer *w)
{
	return r->frames && r->first.mount == w->mount && r->first.actor == w->actor &&
	       r->first.stretch.hole == w->stretch.hole &&
	       r->first.stretch.position + r->length == w->stretch.position;
}

static void extend(struct run *r, const struct writer *w)
{
	if (!joins(r, w))
		*r = (struct run){.first = *w};
	r->length += w->stretch.length;
	r->frames++;
	r->last_time = w->time;
	r->last_sequence = w->stretch.sequence;
}

static int emit(struct cof_show *s, const struct run *r, cof_show_fn fn, void *user)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_archive *a = s->user;
	int err;

	if (!r->frames)
		return 0;
	for (int try = 0;; try++) { /* as COF_GATED, the entry begun anew */
		cof_json_free(o);
		o = cof_json_object();
		if (!o)
			return -ENOMEM;
		cof_gate_enter(a);
		err = cof_show_actor_fields(s, r->first.mount, r->first.actor, o);
		cof_gate_leave(a);
		if (err != -COF_EINDEX)
			break;
		if (try || cof_archive_repair(a) < 0)
			return -EIO;
	}
	if (err)
		return err;
	cof_json_set_uint(o, "offset", r->first.stretch.position);
	cof_json_set_uint(o, "length", r->length);
	if (r->first.stretch.hole)
		cof_json_set_bool(o, "hole", true);
	cof_json_set_time(o, "time", r->first.time);
	cof_json_set_time(o, "last_time", r->last_time);
	cof_json_set_uint(o, "frames", r->frames);
	cof_json_set_uint(o, "sequence", r->first.stretch.sequence);
	cof_json_set_uint(o, "last_sequence", r->last_sequence);
	cof_json_set_uint(o, "mount", r->first.mount);
	return fn(user, o);
}

static int blame(struct batch *b, struct cof_show *s, cof_show_fn fn, void *user)
{
	struct run run = {.frames = 0};
	int err = 0;

	for (;;) {
		COF_GATED(b->archive, err, load_batch(b));
		if (err)
			return err;
		if (!b->n)
			return emit(s, &run, fn, user);
		for (size_t i = 0; i < b->n; i++) {
			const struct writer *w = &b->writer[i];

			if (!joins(&run, w)) {
				err = emit(s, &run, fn, user);
				if (err)
					return err;
			}
			extend(&run, w);
		}
		b->position = run.first.stretch.position + run.length;
	}
}

int cof_archive_blame(struct cof_archive *a, uint64_t ino, cof_show_fn fn, void *user)
{
	COF_CLEANUP(cof_show_freep) struct cof_show *show = NULL;
	cof_autofree struct batch *b = NULL;
	struct cof_attr attr;
	int err = cof_archive_getattr(a, COF_INDEX_NOW, ino, &attr);

	if (err)
		return err;
	if (attr.kind != COF_KIND_FILE)
		return attr.kind == COF_KIND_DIR ? -EISDIR : -EINVAL;
	b = calloc(1, sizeof(*b));
	show = cof_show_new(a);
	if (!b || !show)
		return -ENOMEM;
	b->archive = a;
	b->ino = ino;
	err = blame(b, show, fn, user);
	return err < 0 ? err : 0;
}
