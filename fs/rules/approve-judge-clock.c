/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on the clock: retention time goes on faster than time passes only for an approved request, or to what vaults
 * of two administrations say that agree within the policy's deviation, as chained before the frame. Only what the people
 * in force name as vaults counts so: whoever rules the host could add vaults of his own, whose clocks are his.
 */
#include "crypto/crypto.h"
#include "fs/rules/approve-judge.h"

enum { T_COSIGNED = 216 }; /* docs/format.md 4 */
#define QUORUM 2u

/* Where what a vault says is remembered: its own place, a free one, else that of the oldest. */
static struct judged_cosign *place_of(struct cof_judge *j, const uint8_t key[32])
{
	struct judged_cosign *oldest = &j->cosign[0];

	for (unsigned i = 0; i < j->n_cosigns; i++) {
		if (cof_equal(j->cosign[i].said.key, key, 32))
			return &j->cosign[i];
		if (j->cosign[i].sequence < oldest->sequence)
			oldest = &j->cosign[i];
	}
	return j->n_cosigns < JUDGED_VAULTS ? &j->cosign[j->n_cosigns++] : oldest;
}

int judge_cosign(struct cof_judge *j, const struct cof_judge_frame *f, bool apply)
{
	if (f->cosign && apply)
		*place_of(j, f->cosign->key) =
		    (struct judged_cosign){.said = *f->cosign, .sequence = f->sequence, .retention = f->retention_time};
	return 0;
}

static const struct judged_cosign *named(const struct cof_judge *j, uint64_t sequence)
{
	for (unsigned i = 0; i < j->n_cosigns; i++)
		if (j->cosign[i].sequence == sequence)
			return &j->cosign[i];
	return NULL;
}

/* What its clock says at least, once retention time is there: that is never faster than time. */
static int64_t says(const struct judged_cosign *c, int64_t retention)
{
	int64_t passed, sum;

	if (__builtin_sub_overflow(retention, c->retention, &passed) ||
	    __builtin_add_overflow(c->said.time, COF_MAX(passed, 0), &sum))
		return c->said.time;
	return sum;
}

static int by_vaults(const struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	const struct cof_people *people = cof_judge_people(j);
	const struct cof_person *vault[QUORUM];
	const struct judged_cosign *c[QUORUM];
	int64_t before, after, x, y;
	struct cof_field list;

	if (cof_field_find(f->fields, f->n, T_COSIGNED, &list) < 0)
		return judge_no(ret, "not-approved", "retention time goes on, and neither a request nor vaults are named that permit it");
	if (list.len != QUORUM * 8 || cof_field_i64(f->fields, f->n, COF_T_RETENTION_BEFORE, &before) < 0 ||
	    cof_field_i64(f->fields, f->n, COF_T_RETENTION_AFTER, &after) < 0 || before > f->retention_time)
		return judge_no(ret, "malformed", "what it says of vaults and times is malformed");
	for (unsigned i = 0; i < QUORUM; i++) {
		c[i] = named(j, cof_get_le64((const uint8_t *)list.value + (size_t)8 * i));
		if (!c[i])
			return judge_no(ret, "unknown-vault", "it names a frame that is no vault's newest cosignature");
	}
	for (unsigned i = 0; i < QUORUM; i++) {
		vault[i] = people ? cof_people_vault(people, c[i]->said.key) : NULL;
		if (!vault[i])
			return judge_no(ret, "not-enrolled", "it names a vault that the people in force do not");
	}
	if (!strcmp(cof_vault_administration(vault[0]), cof_vault_administration(vault[1])))
		return judge_no(ret, "quorum", "the vaults that it names are not of two administrations");
	x = says(c[0], before);
	y = says(c[1], before);
	if (COF_MAX(x, y) - COF_MIN(x, y) > j->profile.deviation)
		return judge_no(ret, "disagree", "the vaults that it names differ by more than the policy allows");
	if (after > COF_MIN(x, y))
		return judge_no(ret, "ahead", "retention time would be ahead of what the vaults say");
	return 0;
}

int judge_clock(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	struct judged_request *q;
	struct cof_field field;
	int64_t to = 0, after = 0;
	int r = judge_act(j, f, "clock-catch-up", NULL, &q, ret);

	(void)apply;
	if (r == 0 && !q && cof_field_find(f->fields, f->n, COF_T_RETENTION_AFTER, &field) == 0)
		return by_vaults(j, f, ret);
	if (r == 0 && q &&
	    (!cof_json_str(q->q.doc, "to") || cof_time_parse(cof_json_str(q->q.doc, "to"), &to) < 0 ||
	     cof_field_i64(f->fields, f->n, COF_T_RETENTION_AFTER, &after) < 0 || after != to))
		r = judge_no(ret, "wrong-document", "another time was approved");
	return r;
}
