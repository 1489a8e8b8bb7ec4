/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policies of an archive and of its shelves have been, from the frames of a store as it lies there and without
 * keys: POLICY and SHELF frames have them in clear. That the frames are those of the chain is coffer verify's to say.
 */
#include "fs/archive/internal.h"

#define MADE 1u /* the mount that coffer init is */

struct place { /* of a shelf; inode 0: of the archive itself */
	uint64_t ino;
	char *text; /* in force */
};

struct telling {
	struct cof_reader *reader;
	struct cof_conf conf;
	cof_policy_then_fn *fn;
	void *user;
	struct place *place;
	size_t n;
};

static struct place *place_of(struct telling *t, uint64_t ino)
{
	struct place *more;

	for (size_t i = 0; i < t->n; i++)
		if (t->place[i].ino == ino)
			return &t->place[i];
	more = reallocarray(t->place, t->n + 1, sizeof(*more));
	if (!more)
		return NULL;
	t->place = more;
	more[t->n] = (struct place){.ino = ino};
	return &more[t->n++];
}

static int tell(struct telling *t, const struct cof_frame *f, const uint8_t *fields, size_t n)
{
	struct cof_policy_then then = {
	    .sequence = f->sequence, .ino = f->type == COF_SHELF ? f->object : 0, .record_time = f->record_time, .made = f->mount <= MADE};
	struct place *p = place_of(t, then.ino);
	struct cof_field text, request;
	char *after;
	int r;

	if (cof_field_find(fields, n, COF_T_POLICY, &text) < 0)
		return 0;
	after = p ? strndup((const char *)text.value, text.len) : NULL;
	if (!p || !after)
		return -ENOMEM;
	if (cof_field_find(fields, n, COF_T_REQUEST, &request) == 0 && request.len == 32)
		then.request = request.value;
	then.before = p->text;
	then.after = after;
	r = t->fn(t->user, &then);
	free(p->text);
	p->text = after;
	return r;
}

static int one(struct telling *t, const struct cof_frame *f, uint64_t address)
{
	size_t skip = f->flags & COF_FRAME_COMMITMENT ? COF_HASH : 0;
	cof_autobuf struct cof_buf fields = {0};
	int r;

	if (f->type != COF_POLICY && f->type != COF_SHELF)
		return 0;
	r = cof_frame_read(t->reader, NULL, t->conf.id, address, f, &fields, NULL);
	return r < 0 ? r : fields.len > skip ? tell(t, f, fields.data + skip, fields.len - skip) : 0;
}

/* covered: as many frames there are at least. */
static int each(struct telling *t, uint64_t covered)
{
	uint64_t at = 0, met = 0;
	struct cof_frame f;
	int r = 0;

	cof_reader_walk(t->reader, true);
	while (r == 0) {
		r = cof_reader_header(t->reader, at, &f, NULL, NULL);
		if (r == -ENODATA && at % t->conf.segment_size) { /* the rest of a segment is unused */
			at = (at / t->conf.segment_size + 1) * t->conf.segment_size;
			r = cof_reader_header(t->reader, at, &f, NULL, NULL);
		}
		if (r == 0)
			r = f.sequence == met++ ? one(t, &f, at) : -EUCLEAN;
		if (r == 0)
			r = cof_reader_next(t->reader, at, &f, &at);
	}
	if (r == -ENODATA || r == -ENOENT)
		r = met < covered ? -EUCLEAN : 0;
	return r;
}

int cof_store_policies(struct cof_io *io, cof_policy_then_fn *fn, void *user, struct cof_diag *diag)
{
	struct telling t = {.fn = fn, .user = user};
	uint64_t covered = 0;
	int r = cof_conf_load(io, &t.conf, diag);

	if (r < 0)
		return r;
	r = cof_store_covered(io, &t.conf, &covered);
	if (r == 0)
		r = cof_reader_new(io, &t.conf, &t.reader);
	if (r == 0)
		r = each(&t, covered);
	cof_reader_free(t.reader);
	for (size_t i = 0; i < t.n; i++)
		free(t.place[i].text);
	free(t.place);
	return r < 0 ? cof_fail(diag, r, "%s: the log cannot be read further (coffer verify says where): %s", cof_io_where(io), strerror(-r))
		     : 0;
}
