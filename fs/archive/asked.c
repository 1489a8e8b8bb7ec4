/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rm asked to be removed, on shelves with remove = rm: an EVENT frame for each file, once, whose public part
 * has the field 125. It permits nothing: people request it (coffer request remove --asked) and approve it.
 *
 * The index has a value on the inode, so that a file is not asked for twice, and the frames as stretches of an
 * object that no inode is, each up to its frame's sequence, so that they are found without going through the log.
 */
#include "fs/archive/asked.h"
#include "fs/archive/note.h"
#include "fs/archive/people.h"
#include "fs/archive/show.h"

#define ASKED_FRAMES ((UINT64_C(1) << 63) + COF_T_ASKED) /* above all inode numbers */
#define KEY "removal-asked"
#define BATCH 256
#define SHEET_ENOUGH 50000 /* bytes: what comes behind waits for another request */

static int emit(struct cof_archive *a, const struct cof_who *who, uint64_t ino)
{
	cof_autobuf struct cof_buf path = {0}, asked = {0};
	struct cof_event e = {.type = COF_EV_REMOVAL_ASKED, .who = who, .object = ino, .ordinary = true};

	if (cof_ix(a, cof_show_index_path(a->ix, COF_INDEX_NOW, ino, &path)) == 0)
		e.path = (const char *)path.data;
	cof_field_put_u8(&asked, COF_T_ASKED, COF_ASKED_REMOVAL);
	if (asked.failed || path.failed)
		return -ENOMEM;
	e.operation = cof_op_name(COF_OP_UNLINK);
	e.public_fields = asked.data;
	e.public_len = asked.len;
	return cof_event_emit(a, &e, NULL);
}

int cof_removal_ask(struct cof_archive *a, const struct cof_who *who, const struct cof_op *op)
{
	cof_autobuf struct cof_buf known = {0};
	int r = op->ino ? cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, op->ino, KEY, &known)) : -EINVAL;

	return r == -ENOENT ? emit(a, who, op->ino) : r;
}

int cof_asked_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part,
		    size_t public_len)
{
	struct cof_stretch s = {.address = address, .sequence = f->sequence};
	uint8_t what, time[8];
	int r;

	if (cof_field_u8(public_part, public_len, COF_T_ASKED, &what) < 0 || !f->object)
		return 0;
	cof_put_le64(time, (uint64_t)f->record_time);
	r = cof_index_put_value(a->ix, f->sequence, f->object, KEY, time, sizeof(time));
	if (r == 0)
		r = cof_index_end(a->ix, COF_INDEX_NOW, ASKED_FRAMES, &s.position);
	if (r < 0 || s.position > f->sequence) /* is there already */
		return r;
	s.length = f->sequence + 1 - s.position;
	return cof_index_add_stretch(a->ix, ASKED_FRAMES, &s);
}

/* ---- asking for it as people do ---- */

struct collecting {
	struct cof_archive *a;
	struct cof_buf *sheet;
	struct cof_buf inos; /* u64 each */
	uint64_t left;	     /* for which there is no room */
	struct cof_stretch stretch[BATCH];
	size_t n;
};

static int add(struct collecting *c, uint64_t ino)
{
	static const struct cof_who daemon = {.daemon = true};
	const struct cof_op op = {COF_OP_REMOVE, .ino = ino, .approved = true};
	cof_autobuf struct cof_buf path = {0};
	struct cof_ruling rl = {0};
	int r = cof_archive_explain(c->a, &daemon, &op, &rl, NULL);

	if (r == -ENOENT || (r == 0 && rl.error)) /* it is gone, or on hold, or kept longer meanwhile */
		return 0;
	if (r == 0 && c->sheet->len > SHEET_ENOUGH) {
		c->left++;
		return 0;
	}
	if (r == 0)
		r = cof_archive_path(c->a, ino, &path);
	if (r < 0)
		return r;
	cof_buf_printf(c->sheet, "inode %llu  %s\n", (unsigned long long)ino, path.data ? (const char *)path.data : "");
	cof_buf_add(&c->inos, &ino, sizeof(ino));
	return c->inos.failed ? -ENOMEM : 0;
}

static int load(struct collecting *c, uint64_t position)
{
	struct cof_archive *a = c->a;

	return cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, ASKED_FRAMES, position, c->stretch, BATCH, &c->n));
}

/* The index says where to look, the frame what is true. */
static int object_of(struct cof_archive *a, const struct cof_stretch *s, uint64_t *ret)
{
	struct cof_frame f;
	int r = cof_reader_header(a->reader, s->address, &f, NULL, NULL);

	if (r == -ENODATA || r == -EUCLEAN || (r == 0 && (f.sequence != s->sequence || f.type != COF_EVENT)))
		return -COF_EINDEX;
	*ret = f.object;
	return r;
}

static int collect(struct collecting *c)
{
	uint64_t position = 0, ino;
	int r;

	for (;;) {
		COF_GATED(c->a, r, load(c, position));
		if (r < 0 || !c->n)
			return r;
		for (size_t i = 0; i < c->n && r == 0; i++) {
			COF_GATED(c->a, r, object_of(c->a, &c->stretch[i], &ino));
			if (r == 0)
				r = add(c, ino);
			position = c->stretch[i].position + c->stretch[i].length;
		}
		if (r < 0)
			return r;
	}
}

int cof_action_add_asked(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
			 struct cof_diag *diag)
{
	cof_autofree struct collecting *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	if (cof_action_word(args, 0))
		return cof_fail(diag, -EINVAL, "--asked takes all that rm asked for, and no paths beside");
	c->a = a;
	c->sheet = sheet;
	r = collect(c);
	if (r == 0 && c->left)
		cof_buf_printf(sheet, "%llu more were asked for, and wait for another request\n", (unsigned long long)c->left);
	if (r < 0)
		r = cof_fail(diag, r, "what rm asked for cannot be looked at: %s", strerror(-r));
	else if (!c->inos.len)
		r = cof_fail(diag, -ENOENT, "rm asked for nothing that could be removed now: shelves with remove = rm let it ask for "
					    "files whose retention is over");
	else
		r = cof_action_set_objects(a, (const uint64_t *)(const void *)c->inos.data, c->inos.len / sizeof(uint64_t), doc, diag);
	cof_buf_done(&c->inos);
	return r;
}
