/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on legal holds: what each covers while it is in force, and that it ends by a request that the rules of all the
 * shelves permit in which something of it lies, whichever of them the document names.
 */
#include "fs/rules/approve-judge.h"

enum { T_HOLD_WHAT = 96, T_HOLD_ID = 97, T_HOLD_RANGES = 98, T_HOLDS = 100 }; /* docs/format.md 4 */
enum { HOLD_BEGIN = 1, HOLD_ADD = 2, HOLD_END = 3, HOLD_LAID = 4 };

static struct judged_hold *hold_of(const struct cof_judge *j, uint64_t id)
{
	for (size_t i = 0; i < j->n_holds; i++)
		if (j->hold[i].id == id)
			return &j->hold[i];
	return NULL;
}

bool judge_holds_on(const struct cof_judge *j, const struct cof_json *doc, const struct judged_shelf *s)
{
	const struct judged_hold *h;
	int64_t id;

	if (cof_json_int(doc, "hold", &id) < 0 || id <= 0)
		return false;
	h = hold_of(j, (uint64_t)id);
	for (size_t i = 0; h && i < h->n; i++)
		if (cof_inodes_any(&s->files, h->range[i].first, h->range[i].count))
			return true;
	return false;
}

static void mark(struct cof_judge *j, const struct cof_judge_frame *f, uint64_t first, uint64_t count, int by)
{
	for (size_t i = 0; i < j->object_places; i++) {
		struct judged_object *o = &j->object[i];

		if (!o->ino || o->ino < first || o->ino - first >= count)
			continue;
		o->holds += (uint32_t)by;
		o->last = f->sequence;
	}
}

static int hold_ranges(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_hold *h, const struct cof_field *all)
{
	size_t n = all->len / 16;
	void *q = realloc(h->range, (h->n + n + 1) * sizeof(*h->range));

	if (!q)
		return -ENOMEM;
	h->range = q;
	for (size_t i = 0; i < n; i++) {
		uint64_t first = cof_get_le64(all->value + 16 * i), count = cof_get_le64(all->value + 16 * i + 8);
		int r = judge_removed_follow(j, first, count);

		if (r < 0)
			return r;
		h->range[h->n].first = first;
		h->range[h->n++].count = count;
		mark(j, f, first, count, 1);
	}
	return 0;
}

static int begin_hold(struct cof_judge *j, const struct cof_judge_frame *f, uint64_t id)
{
	struct cof_field ranges;
	struct judged_hold *h = hold_of(j, id), *q;

	if (!h) {
		q = realloc(j->hold, (j->n_holds + 1) * sizeof(*q));
		if (!q)
			return -ENOMEM;
		j->hold = q;
		h = &q[j->n_holds++];
		*h = (struct judged_hold){.id = id};
	}
	return cof_field_find(f->fields, f->n, T_HOLD_RANGES, &ranges) < 0 ? 0 : hold_ranges(j, f, h, &ranges);
}

/* What is made in a directory on hold, or comes into one, or leaves one. */
int judge_place(struct cof_judge *j, const struct cof_judge_frame *f, bool apply)
{
	struct cof_field ids;
	uint8_t range[16];
	int r = 0;

	if (!apply || cof_field_find(f->fields, f->n, T_HOLDS, &ids) < 0)
		return 0;
	cof_put_le64(range, f->object);
	cof_put_le64(range + 8, 1);
	for (size_t i = 0; r == 0 && i + 8 <= ids.len; i += 8) {
		struct judged_hold *h = hold_of(j, cof_get_le64(ids.value + i));

		if (h)
			r = hold_ranges(j, f, h, &(struct cof_field){T_HOLD_RANGES, sizeof(range), range});
	}
	return r;
}

static bool was_ended(const struct cof_judge *j, uint64_t id)
{
	for (size_t i = 0; i < j->n_ended; i++)
		if (j->ended[i] == id)
			return true;
	return false;
}

/* It was listing while the end was written: nothing is held by it any more, but the frame is there. */
static void add_late(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct cof_field ranges;

	if (cof_field_find(f->fields, f->n, T_HOLD_RANGES, &ranges) == 0)
		for (size_t i = 0; i + 16 <= ranges.len; i += 16)
			mark(j, f, cof_get_le64(ranges.value + i), cof_get_le64(ranges.value + i + 8), 0);
}

static int end_hold(struct cof_judge *j, const struct cof_judge_frame *f, struct judged_hold *h)
{
	uint64_t *q = realloc(j->ended, (j->n_ended + 1) * sizeof(*q));

	if (!q)
		return -ENOMEM;
	j->ended = q;
	q[j->n_ended++] = h->id;
	for (size_t i = 0; i < h->n; i++)
		mark(j, f, h->range[i].first, h->range[i].count, -1);
	free(h->range);
	*h = j->hold[--j->n_holds];
	return 0;
}

int judge_hold(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_request *q;
	struct judged_hold *h;
	int64_t named = -1;
	uint64_t id;
	uint8_t what;
	int r;

	if (cof_field_u8(f->fields, f->n, T_HOLD_WHAT, &what) < 0)
		return judge_no(ret, "malformed", "a hold frame that does not say what it does");
	if (cof_field_u64(f->fields, f->n, T_HOLD_ID, &id) < 0)
		id = f->sequence;
	if (what == HOLD_ADD && was_ended(j, id)) {
		if (apply)
			add_late(j, f);
		return 0;
	}
	if (what == HOLD_BEGIN || what == HOLD_ADD)
		return apply ? begin_hold(j, f, id) : 0;
	if (what == HOLD_LAID) /* all that it covers is listed: nothing is weaker */
		return 0;
	r = judge_act(j, f, "hold-end", NULL, &q, ret);
	if (r < 0)
		return r;
	if (!q)
		return judge_no(ret, "not-approved", "the end of a hold: %s", judge_no_request);
	if (cof_json_int(q->q.doc, "hold", &named) < 0 || named < 0 || (uint64_t)named != id)
		return judge_no(ret, "wrong-document", "the request is about another hold");
	h = hold_of(j, id);
	return apply && h ? end_hold(j, f, h) : 0;
}
