/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on DESTROY frames: the content of a file ends only by an approved request that names it, once, on no hold, and
 * where its retention is over; of one that was removed that was judged then. A file that a record of escrow is about ends
 * whenever its quorum says so, where no end was promised or a quorum may end its retention anyway (docs/format.md 9.3).
 */
#include "fs/rules/approve-judge.h"

static int may(const struct cof_judge *j, const struct judged_object *o, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	unsigned long long ino = f->object;
	int64_t until = judge_end_of(j, o);

	if (o->destroyed)
		return judge_no(ret, "finished", "inode %llu was destroyed before", ino);
	if (o->holds)
		return judge_no(ret, "held", "inode %llu is on legal hold", ino);
	if (o->removed)
		return 0;
	if (!o->committed)
		return judge_no(ret, "not-committed", "inode %llu was neither committed nor removed", ino);
	if (o->escrow && !o->waits && o->least <= f->retention_time && (o->until == COF_RETAIN_NONE || judge_can_end(j, o, f)))
		return 0;
	if (until == COF_RETAIN_NONE || until > f->retention_time || o->waits)
		return judge_no(ret, "retained", "the retention of inode %llu is not over", ino);
	return 0;
}

int judge_destroy(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_object *o = judge_object(j, f->object);
	struct judged_request *q;
	int r = judge_act(j, f, "destroy", NULL, &q, ret);

	if (r == 0 && !q)
		r = judge_no(ret, "not-approved", "inode %llu was destroyed, and no approved request is named",
			     (unsigned long long)f->object);
	if (r == 0 && !judge_names_object(q, f->object))
		r = judge_no(ret, "wrong-document", "the request does not name inode %llu", (unsigned long long)f->object);
	if (r == 0 && o)
		r = may(j, o, f, ret);
	if (r == 0 && o && apply) {
		o->destroyed = true;
		o->ended = f->sequence;
		o->by = q;
		o->last = f->sequence;
	}
	return r;
}

int cof_judge_destroyed(const struct cof_judge *j, cof_destroyed_fn fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->object_places; i++)
		if (j->object[i].ino && j->object[i].destroyed && j->object[i].by)
			r = fn(user, j->object[i].ino, j->object[i].ended, j->object[i].by->q.id);
	return r;
}
