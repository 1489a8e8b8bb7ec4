/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store without its daemon: what its log says, and how far it is. Read-only: no lock is taken, nothing is
 * written, not even an index. Names, actors and salts are gathered on the way from the first frame on, in an
 * index in memory under a key of its own.
 */
#include <stdio.h>

#include "fs/archive/door.h"
#include "fs/archive/events.h"

#define FEED_EVERY 8192u
#define HOLDER_MAX 128

/* ---- what is gathered ---- */

struct gathered {
	struct cof_io *io;
	struct cof_conf conf;
	struct cof_keys *keys;
	struct cof_reader *reader;
	struct cof_index *ix;
	struct cof_ring *ring;
	uint64_t size; /* frames gathered */
};

static int known_salt(void *user, uint32_t mount, uint8_t ret[32])
{
	struct gathered *g = user;
	struct cof_index_mount m;
	int r = cof_index_get_mount(g->ix, mount, &m);

	if (r == 0)
		memcpy(ret, m.salt, 32);
	return r;
}

static int known_actor(void *user, uint32_t mount, uint32_t ordinal, uint64_t *ret_address)
{
	struct gathered *g = user;

	return cof_index_get_actor(g->ix, mount, ordinal, ret_address);
}

static int known_path(void *user, uint64_t at, uint64_t ino, struct cof_buf *ret)
{
	struct gathered *g = user;

	return cof_show_index_path(g->ix, at, ino, ret);
}

static uint64_t gathered_size(void *user)
{
	return ((struct gathered *)user)->size;
}

static int gather_mount(struct gathered *g, const struct cof_frame *f, uint64_t address,
			const struct cof_buf *public_part)
{
	struct cof_index_mount m = {.sequence = f->sequence, .address = address};
	int r = cof_field_bytes(public_part->data, public_part->len, COF_T_SALT, m.salt, 32);

	return r < 0 ? r : cof_index_put_mount(g->ix, f->mount, &m);
}

static int put_name(struct gathered *g, const struct cof_frame *f, struct cof_node *n,
		    uint64_t parent, const struct cof_field *name)
{
	if (!name->len || name->len > COF_NAME_MAX)
		return -EUCLEAN;
	n->parent = parent;
	n->name_len = name->len;
	memcpy(n->name, name->value, name->len);
	n->name[name->len] = 0;
	return cof_index_put_node(g->ix, f->sequence, n);
}

static int gather_create(struct gathered *g, const struct cof_frame *f, const struct cof_buf *b)
{
	struct cof_node n = {.ino = f->object, .created_sequence = f->sequence};
	struct cof_field name;
	uint64_t parent;

	if (cof_field_u64(b->data, b->len, COF_T_PARENT, &parent) < 0 ||
	    cof_field_u8(b->data, b->len, COF_T_KIND, &n.kind) < 0 ||
	    cof_field_find(b->data, b->len, COF_T_NAME, &name) < 0)
		return -EUCLEAN;
	return put_name(g, f, &n, parent, &name);
}

static int gather_rename(struct gathered *g, const struct cof_frame *f, const struct cof_buf *b)
{
	struct cof_field name;
	struct cof_node n;
	uint64_t parent;
	int r;

	if (cof_field_u64(b->data, b->len, COF_T_NEW_PARENT, &parent) < 0 ||
	    cof_field_find(b->data, b->len, COF_T_NEW_NAME, &name) < 0)
		return -EUCLEAN;
	r = cof_index_get_node(g->ix, COF_INDEX_NOW, f->object, &n);
	return r < 0 ? r : put_name(g, f, &n, parent, &name);
}

static int gather_payload(struct gathered *g, const struct cof_frame *f, uint64_t address)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	int r = cof_frame_read(g->reader, g->ring, g->conf.id, address, f, &public_part,
			       &private_part);

	if (r < 0)
		return r;
	switch (f->type) {
	case COF_MOUNT:
		return gather_mount(g, f, address, &public_part);
	case COF_CREATE:
		return gather_create(g, f, &private_part);
	default:
		return gather_rename(g, f, &private_part);
	}
}

static int gather(struct gathered *g, const struct cof_frame *f, uint64_t address)
{
	int r = 0;

	switch (f->type) {
	case COF_ACTOR:
		if (f->position && f->position <= UINT32_MAX)
			r = cof_index_put_actor(g->ix, f->sequence, f->mount,
						(uint32_t)f->position, address);
		break;
	case COF_MOUNT:
	case COF_CREATE:
	case COF_RENAME:
		r = gather_payload(g, f, address);
		break;
	default:
		break;
	}
	/* What is damaged is shown as damaged; what it would have told is not known then. */
	if (r == -EBADMSG || r == -EUCLEAN || r == -ENOENT || r == -ENOKEY)
		r = 0;
	g->size = f->sequence + 1;
	if (r == 0 && g->size % FEED_EVERY == 0)
		r = cof_index_feed(g->ix, gathered_size, g);
	return r;
}

/* ---- showing ---- */

static int broken_at(struct gathered *g, uint64_t address, uint64_t sequence, const char *how,
		     struct cof_diag *diag)
{
	return cof_fail(diag, -EUCLEAN,
			"%s/log/%08llx.seg at offset %llu: frame %llu cannot be read: %s. Run: coffer "
			"verify %s",
			cof_io_where(g->io), (unsigned long long)(address / g->conf.segment_size),
			(unsigned long long)(address % g->conf.segment_size),
			(unsigned long long)sequence, how[0] ? how : "another frame is there",
			cof_io_where(g->io));
}

/* q: NULL for every frame. */
static bool is_wanted(const struct cof_events_query *q, uint64_t from, const struct cof_frame *f)
{
	return f->sequence >= from && (!q || (cof_event_frame(f->type) && cof_event_may_match(q, f)));
}

static int show_one(struct cof_show *show, const struct cof_events_query *q, uint64_t address,
		    const struct cof_frame *f, cof_show_fn fn, void *user, int *stop)
{
	cof_autojson struct cof_json *entry = NULL, *event = NULL;
	int r = cof_show_frame(show, address, f, &entry);

	if (r == 0 && q)
		r = cof_event_view(entry, &event);
	if (r == 0 && !q)
		*stop = fn(user, entry);
	else if (r == 0 && event && cof_event_matches(q, event))
		*stop = fn(user, event);
	return r;
}

static int walk(struct gathered *g, const struct cof_events_query *q, uint64_t from, cof_show_fn fn, void *user,
		uint64_t *next, struct cof_diag *diag)
{
	struct cof_show show = {
	    .reader = g->reader,
	    .conf = &g->conf,
	    .ring = g->ring,
	    .actor = known_actor,
	    .path = known_path,
	    .user = g,
	};
	struct cof_diag how = {""};
	uint64_t address = 0;
	struct cof_frame f;
	int r, stop = 0;

	while ((r = cof_reader_header(g->reader, address, &f, NULL, &how)) == 0 && !stop) {
		if (f.sequence != g->size) {
			r = -EUCLEAN;
			how.text[0] = 0;
			break;
		}
		r = gather(g, &f, address);
		if (r == 0 && is_wanted(q, from, &f))
			r = show_one(&show, q, address, &f, fn, user, &stop);
		if (r == 0)
			*next = COF_MAX(from, f.sequence + 1);
		if (r == 0)
			r = cof_show_next(g->reader, &g->conf, address, &f, &address);
		if (r < 0)
			break;
	}
	cof_show_done(&show);
	if (stop < 0)
		return stop;
	if (r == -EUCLEAN)
		return broken_at(g, address, g->size, how.text, diag);
	if (r == -ENODATA || r == 0)
		return 0;
	return cof_fail(diag, r, "%s/log cannot be read: %s", cof_io_where(g->io), strerror(-r));
}

static int open_parts(struct gathered *g, const struct cof_opener_secret *secret,
		      struct cof_diag *diag)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	struct cof_index_params ip = {.dir = "", .key = key, .archive_id = g->conf.id};
	bool fresh;
	int r = key ? cof_conf_load(g->io, &g->conf, diag) : -ENOMEM;

	if (r == 0)
		r = cof_keys_open(g->io, g->conf.id, secret, &g->keys, diag);
	if (r < 0)
		return r;
	cof_random(key, COF_KEY);
	r = cof_reader_new(g->io, &g->conf, &g->reader);
	if (r == 0)
		r = cof_ring_new(g->keys, g->conf.id, 64, known_salt, g, &g->ring);
	return r < 0 ? r : cof_index_open(&ip, &g->ix, &fresh, diag);
}

static int show_all(struct cof_io *io, const struct cof_opener_secret *secret, const struct cof_events_query *q,
		    uint64_t from, cof_show_fn fn, void *user, uint64_t *ret_next, struct cof_diag *diag)
{
	struct gathered g = {.io = io};
	struct cof_diag why = {""};
	uint64_t next = from;
	int r = open_parts(&g, secret, &why);

	if (r == 0)
		r = walk(&g, q, from, fn, user, &next, &why);
	cof_ring_free(g.ring);
	if (g.ix)
		cof_index_close(g.ix);
	cof_reader_free(g.reader);
	cof_keys_free(g.keys);
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text[0] ? why.text : strerror(-r));
	*ret_next = next;
	return 0;
}

int cof_store_show_log(struct cof_io *io, const struct cof_opener_secret *secret, uint64_t from,
		       cof_show_fn fn, void *user, uint64_t *ret_next, struct cof_diag *diag)
{
	return show_all(io, secret, NULL, from, fn, user, ret_next, diag);
}

int cof_store_events(struct cof_io *io, const struct cof_opener_secret *secret, const struct cof_events_query *q,
		     cof_show_fn fn, void *user, uint64_t *ret_next, struct cof_diag *diag)
{
	return show_all(io, secret, q, q->from, fn, user, ret_next, diag);
}

/* ---- status ---- */

struct segments { /* of log/ */
	uint64_t n, last;
};

static int take_segment(void *user, const char *name)
{
	struct segments *s = user;
	unsigned number;
	int end = 0;

	if (sscanf(name, "%8x.seg%n", &number, &end) == 1 && end == 12 && !name[12]) {
		s->n++;
		s->last = COF_MAX(s->last, number);
	}
	return 0;
}

/* Frames and bytes, from the last segment that has any: what stands behind the end of the file is not looked
 * at, that is verify's business. */
static int count_frames(struct cof_io *io, const struct cof_conf *conf, struct cof_json *into)
{
	struct cof_reader *reader = NULL;
	struct segments s = {0};
	uint64_t address, frames = 0, end = 0, number;
	struct cof_frame f = {0};
	bool unmounted = false;
	int r = cof_io_list(io, "log", take_segment, &s);

	if (r == 0)
		r = cof_reader_new(io, conf, &reader);
	if (r < 0)
		return r;
	/* Segments prepared ahead are all zero. */
	for (number = s.last;
	     number && cof_reader_header(reader, number * conf->segment_size, &f, NULL, NULL) ==
			   -ENODATA;
	     number--)
		;
	address = number * conf->segment_size;
	while ((r = cof_reader_header(reader, address, &f, NULL, NULL)) == 0) {
		frames = f.sequence + 1;
		if (cof_frame_significant(&f))
			unmounted = f.type == COF_UNMOUNT;
		end = address + COF_FRAME_HEADER + f.stored;
		if (end / conf->segment_size != number)
			break;
		address = end;
	}
	cof_reader_free(reader);
	if (r < 0 && r != -ENODATA && r != -EUCLEAN)
		return r;
	cof_json_set_uint(into, "frames", frames);
	cof_json_set_uint(into, "bytes", end);
	cof_json_set_uint(into, "segments", number + 1);
	cof_json_set_uint(into, "mount", f.mount);
	cof_json_set_bool(into, "clean", unmounted && r != -EUCLEAN);
	return 0;
}

static int set_checkpoint(struct cof_io *io, const struct cof_conf *conf, struct cof_json *into)
{
	cof_autofree uint8_t *note = NULL;
	size_t n = 0;
	int r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);

	if (r == -ENOENT || r == -EFBIG)
		return 0; /* that it is missing shows */
	if (r == 0)
		cof_status_checkpoint(conf, note, n, into);
	return r;
}

int cof_store_status(struct cof_io *io, struct cof_json *into, struct cof_diag *diag)
{
	char holder[HOLDER_MAX] = "";
	struct cof_conf conf;
	uint64_t free_bytes, total;
	int locked, r = cof_conf_load(io, &conf, diag);

	if (r < 0)
		return r;
	cof_status_identity(&conf, into);
	r = cof_status_openers(io, into);
	if (r == 0)
		r = cof_door_status(io, conf.id, into);
	if (r == 0)
		r = cof_status_faults(io, into);
	if (r == 0)
		r = count_frames(io, &conf, into);
	if (r == 0)
		r = set_checkpoint(io, &conf, into);
	if (r < 0)
		return cof_fail(diag, r, "%s cannot be read: %s", cof_io_where(io), strerror(-r));
	locked = cof_io_locked(io, holder, sizeof(holder));
	cof_json_set_bool(into, "mounted", false);
	if (locked > 0)
		cof_json_set_str(into, "held_by", holder);
	if (cof_io_space(io, &free_bytes, &total) == 0) { /* else nothing is said of it */
		cof_json_set_uint(into, "free_bytes", free_bytes);
		cof_json_set_uint(into, "total_bytes", total);
	}
	return 0;
}
