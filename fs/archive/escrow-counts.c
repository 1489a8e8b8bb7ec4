/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which records of escrow count. A daemon that asked nobody may have written any; what verify finds of them (fs/rules, the judge of a
 * whole chain) is asked here too, so that what says and does something by the records passes over the same ones. The judge is told of
 * what people signed as of the records, in order; signatures are not checked again, by verify they are.
 */
#include "fs/archive/escrow.h"

struct counting {
	struct cof_archive *archive;
	struct cof_judge *judge;
	struct cof_people_walk people;
	bool cannot; /* what people signed cannot all be read: nothing is passed over, for keys have to come out all the same */
	cof_escrow_fn fn;
	void *user;
	struct cof_escrow_passed *passed;
};

void cof_escrow_passed_done(struct cof_escrow_passed *p)
{
	free(p->sequence);
	*p = (struct cof_escrow_passed){.n = 0};
}

bool cof_escrow_passed_over(const struct cof_escrow_passed *p, uint64_t sequence)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t i = low + (high - low) / 2;

		if (p->sequence[i] == sequence)
			return true;
		*(p->sequence[i] < sequence ? &low : &high) = p->sequence[i] < sequence ? i + 1 : i;
	}
	return false;
}

static int pass_over(struct cof_escrow_passed *p, uint64_t sequence)
{
	uint64_t *q = p ? realloc(p->sequence, (p->n + 1) * sizeof(*q)) : NULL;

	if (!p)
		return 0;
	if (!q)
		return -ENOMEM;
	p->sequence = q;
	q[p->n++] = sequence;
	return 0;
}

/* What people signed before that frame. */
static int tell_people(struct counting *c, uint64_t before)
{
	int r, more;

	do {
		cof_autobuf struct cof_buf fields = {0};
		struct cof_judgement w;
		struct cof_frame f;

		COF_GATED(c->archive, more, cof_people_next(c->archive, &c->people, before, &f, &fields));
		if (more <= 0)
			return more;
		r = cof_judge_take(c->judge,
				   &(struct cof_judge_frame){.type = f.type, .sequence = f.sequence, .object = f.object, .position = f.position,
							     .record_time = f.record_time, .retention_time = f.retention_time,
							     .proven_from = INT64_MIN, .fields = fields.data, .n = fields.len, .trusted = true},
				   &w);
	} while (r == 0 || r == -EPERM);
	return r;
}

static int count_one(void *user, const struct cof_escrow_record *r)
{
	struct counting *c = user;
	struct cof_judge_frame f = {.type = COF_ESCROW, .sequence = r->sequence, .object = r->object, .record_time = r->time,
				    .retention_time = r->retention, .proven_from = INT64_MIN, .fields = r->public_part.data,
				    .n = r->public_part.len, .trusted = true};
	struct cof_judgement w;
	int e = c->cannot ? 0 : tell_people(c, r->sequence);

	if (e == -ENOMEM)
		return e;
	c->cannot |= e < 0;
	e = c->cannot ? 0 : cof_judge_take(c->judge, &f, &w);
	if (e == -EPERM)
		return pass_over(c->passed, r->sequence);
	return e < 0 ? e : c->fn(c->user, r);
}

int cof_escrow_each_counted(struct cof_archive *a, uint64_t list, cof_escrow_fn fn, void *user, struct cof_escrow_passed *passed)
{
	struct counting c = {.archive = a, .fn = fn, .user = user, .passed = passed};
	struct cof_judge_params p = {.verify = NULL};
	int r;

	memcpy(p.archive_id, a->conf.id, sizeof(p.archive_id));
	r = cof_judge_new(&p, &c.judge);
	if (r == 0)
		r = cof_escrow_each(a, list, 0, count_one, &c);
	cof_judge_free(c.judge);
	return r;
}
