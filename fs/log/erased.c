/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which payloads were ended (docs/format.md 4.4): a table of objects with the sequence of their newest DESTROY frame, made
 * of headers alone. Open addressing; it holds one entry for each object that was destroyed, whatever there is besides.
 */
#include "fs/log/log.h"

struct cof_erased {
	struct ended {
		uint64_t object; /* 0: a free place */
		uint64_t sequence;
	} *at;
	size_t n, places;
};

void cof_erased_free(struct cof_erased *e)
{
	if (!e)
		return;
	free(e->at);
	free(e);
}

void cof_erased_freep(struct cof_erased **e)
{
	cof_erased_free(*e);
}

static struct ended *place_of(const struct cof_erased *e, uint64_t object)
{
	size_t at = (size_t)(object * 0x9e3779b97f4a7c15u >> 20) & (e->places - 1);

	while (e->at[at].object && e->at[at].object != object)
		at = (at + 1) & (e->places - 1);
	return &e->at[at];
}

static int grow(struct cof_erased *e)
{
	struct cof_erased more = {.places = e->places ? 2 * e->places : 64, .n = e->n};

	if (e->n < e->places / 2)
		return 0;
	more.at = calloc(more.places, sizeof(*more.at));
	if (!more.at)
		return -ENOMEM;
	for (size_t i = 0; i < e->places; i++)
		if (e->at[i].object)
			*place_of(&more, e->at[i].object) = e->at[i];
	free(e->at);
	*e = more;
	return 0;
}

int cof_erased_new(struct cof_erased **ret)
{
	struct cof_erased *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	*ret = e;
	return 0;
}

int cof_erased_add(struct cof_erased *e, const struct cof_frame *f)
{
	struct ended *at;
	int r = f->type == COF_DESTROY && f->object ? grow(e) : 1;

	if (r)
		return COF_MIN(r, 0);
	at = place_of(e, f->object);
	e->n += !at->object;
	at->object = f->object;
	at->sequence = COF_MAX(at->sequence, f->sequence);
	return 0;
}

bool cof_erased_covers(const struct cof_erased *e, const struct cof_frame *f)
{
	return e && e->places && f->type == COF_APPEND && f->object && place_of(e, f->object)->sequence > f->sequence;
}

/* The greatest number of a segment's file. */
static int last_of(void *user, const char *name)
{
	uint64_t *last = user;
	char *end;
	unsigned long n = strtoul(name, &end, 16);

	if (end == name + 8 && !strcmp(end, ".seg"))
		*last = COF_MAX(*last, (uint64_t)n);
	return 0;
}

static int walk(struct cof_erased *e, struct cof_reader *reader, const struct cof_conf *conf, uint64_t last)
{
	uint64_t address = 0;
	int r = 0;

	while (r == 0 && address / conf->segment_size <= last) {
		struct cof_frame f;

		r = cof_reader_header(reader, address, &f, NULL, NULL);
		if (r == 0)
			r = cof_erased_add(e, &f);
		if (r == 0)
			r = cof_reader_next(reader, address, &f, &address);
		if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
			return r;
		if (r < 0) { /* the end, or damage, which is for others to tell */
			address = (address / conf->segment_size + 1) * conf->segment_size;
			r = 0;
		}
	}
	return r;
}

int cof_erased_find(struct cof_io *io, const struct cof_conf *conf, struct cof_erased **ret)
{
	COF_CLEANUP(cof_erased_freep) struct cof_erased *e = NULL;
	struct cof_reader *reader = NULL;
	uint64_t last = 0;
	int r = cof_erased_new(&e);

	if (r == 0)
		r = cof_io_list(io, "log", last_of, &last);
	if (r == 0)
		r = cof_reader_new(io, conf, &reader);
	if (r < 0)
		return r;
	cof_reader_walk(reader, true);
	r = walk(e, reader, conf, last);
	cof_reader_free(reader);
	if (r < 0)
		return r;
	*ret = e;
	e = NULL;
	return 0;
}
