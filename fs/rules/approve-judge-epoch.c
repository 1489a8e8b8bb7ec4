/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on epochs of escrow, for a whole chain: a key goes to an epoch that was approved before it and not revoked, and a
 * drill is of such an epoch, ends what began, and ends it rightly once. Whether an answer is right keys show, which he has not.
 */
#include "fs/rules/approve-judge.h"

enum { T_SHELF = 191, T_EPOCH = 192, T_EPOCH_KEY = 193, T_KEY = 194, T_SHA256 = 195, T_FACTS = 197, T_OF = 199, T_OUTCOME = 200 };
enum { EPOCH_VALID = 3, KEY = 6, ROTATED = 11, REVOKED = 12, DRILL = 13 };
enum { FACTS_FLAGS = 4, FACTS_SIZE = 8, REHEARSAL = 2, SUCCESS = 1, FAILURE = 2 };

/* ---- epochs ---- */

static bool read_epoch(const struct cof_judge_frame *f, struct judged_epoch *ret)
{
	uint8_t facts[FACTS_SIZE] = {0};

	*ret = (struct judged_epoch){.number = 0};
	(void)cof_field_bytes(f->fields, f->n, T_FACTS, facts, sizeof(facts));
	ret->rehearsal = facts[FACTS_FLAGS] & REHEARSAL;
	return cof_field_u64(f->fields, f->n, T_SHELF, &ret->shelf) == 0 && cof_field_u32(f->fields, f->n, T_EPOCH, &ret->number) == 0 &&
	       cof_field_bytes(f->fields, f->n, T_EPOCH_KEY, ret->key, sizeof(ret->key)) == 0;
}

/* The one that a frame names: on its shelf, by number and key. */
static struct judged_epoch *epoch_of(const struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_epoch want;

	if (!read_epoch(f, &want))
		return NULL;
	for (size_t i = j->n_epochs; i-- > 0;)
		if (j->epoch[i].shelf == want.shelf && j->epoch[i].number == want.number && j->epoch[i].rehearsal == want.rehearsal &&
		    !memcmp(j->epoch[i].key, want.key, sizeof(want.key)))
			return &j->epoch[i];
	return NULL;
}

static int keep_epoch(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_epoch e, *q;

	if (!read_epoch(f, &e) || epoch_of(j, f))
		return 0;
	q = realloc(j->epoch, (j->n_epochs + 1) * sizeof(*q));
	if (!q)
		return -ENOMEM;
	j->epoch = q;
	q[j->n_epochs++] = e;
	return 0;
}

/* A revocation is of whatever was called so, with or without the flag of a rehearsal. */
static void end_epoch(struct cof_judge *j, const struct cof_judge_frame *f)
{
	struct judged_epoch want;
	struct cof_field key;

	if (!read_epoch(f, &want) || cof_field_find(f->fields, f->n, T_KEY, &key) == 0)
		return;
	for (size_t i = 0; i < j->n_epochs; i++)
		if (j->epoch[i].shelf == want.shelf && j->epoch[i].number == want.number && !memcmp(j->epoch[i].key, want.key, sizeof(want.key)))
			j->epoch[i].revoked = true;
}

/* ---- what a ceremony made ---- */

int judge_epoch_made(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct judged_epoch e;
	uint8_t document[32] = {0}; /* no transcript has zeros */

	if (!j->profile.escrow_ceremony)
		return 0;
	if (!read_epoch(f, &e))
		return judge_no(ret, "malformed", "an epoch that is put in force without its number or its key");
	if (e.rehearsal)
		return 0;
	(void)cof_field_bytes(f->fields, f->n, T_SHA256, document, sizeof(document));
	return cof_judge_made(j, e.number, e.key, document, ret);
}

/* ---- drills ---- */

static int begins(struct cof_judge *j, const struct cof_judge_frame *f, const struct judged_epoch *e, bool apply)
{
	struct judged_drill *q = apply ? realloc(j->drill, (j->n_drills + 1) * sizeof(*q)) : NULL;

	if (!apply)
		return 0;
	if (!q)
		return -ENOMEM;
	j->drill = q;
	q[j->n_drills++] = (struct judged_drill){.sequence = f->sequence, .epoch = (size_t)(e - j->epoch)};
	return 0;
}

static int ends(struct cof_judge *j, uint64_t of, uint8_t outcome, const struct judged_epoch *e, bool apply, struct cof_judgement *ret)
{
	struct judged_drill *d = NULL;

	for (size_t i = j->n_drills; i-- > 0 && !d;)
		if (j->drill[i].sequence == of && j->drill[i].epoch == (size_t)(e - j->epoch))
			d = &j->drill[i];
	if (!d || (outcome != SUCCESS && outcome != FAILURE))
		return judge_no(ret, "no-drill", "the end of a drill that did not begin, of this epoch");
	if (outcome == FAILURE)
		return 0;
	if (d->answered)
		return judge_no(ret, "finished", "the drill %llu ended rightly before: each is for one answer", (unsigned long long)of);
	d->answered |= apply;
	return 0;
}

/* ---- all ---- */

int judge_epoch(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply, struct cof_judgement *ret)
{
	const struct judged_epoch *e;
	uint8_t outcome = 0;
	uint64_t of = 0;
	bool has_of;

	if (j->p.partial) /* whoever writes it looks himself */
		return 0;
	if (what == EPOCH_VALID)
		return apply ? keep_epoch(j, f) : 0;
	if (what == REVOKED && apply) {
		end_epoch(j, f);
		return judge_kept_revoke(j, f);
	}
	if (what != KEY && what != ROTATED && what != DRILL)
		return 0;
	e = epoch_of(j, f);
	if (!e)
		return judge_no(ret, "no-epoch", "it is of an epoch that was not put in force before it, by an approved request");
	if (e->revoked && (what != DRILL || f->object))
		return judge_no(ret, "no-epoch", "it goes to an epoch that was revoked before it");
	if (what != DRILL)
		return judge_kept(j, f, what, e, apply, ret);
	has_of = cof_field_u64(f->fields, f->n, T_OF, &of) == 0;
	(void)cof_field_u8(f->fields, f->n, T_OUTCOME, &outcome);
	if (has_of != (outcome != 0))
		return judge_no(ret, "malformed", "a record of a drill that neither begins nor ends one");
	return has_of ? ends(j, of, outcome, e, apply, ret) : begins(j, f, e, apply);
}
