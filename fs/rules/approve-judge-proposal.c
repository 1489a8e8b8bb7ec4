/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on what was accepted, for a whole chain: a record of escrow that counts by a request repeats the public fields of the one
 * that the request names, which lies before it. What two had signed is that one: another key, epoch or digest was approved by nobody.
 */
#include "fs/rules/approve-judge.h"

enum { T_WHAT = 190, T_OF = 199, T_PROPOSES = 205, T_LAST = 255 };
enum { EPOCH = 2, EPOCH_VALID = 3, PROPOSED = 18 };

static const char *name_of(unsigned tag)
{
	static const char *const names[] = {[191] = "shelf",	  [192] = "epoch",   [193] = "epoch key", [194] = "key",
					    [195] = "SHA-256",	  [196] = "public key", [197] = "facts",	  [198] = "certificate",
					    [200] = "outcome",	  [204] = "to",	     [206] = "promised",  [207] = "took",
					    [254] = "TPM epoch"};

	return tag < COF_COUNT(names) && names[tag] ? names[tag] : "unknown";
}

int judge_proposal(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply)
{
	struct judged_proposal v = {.sequence = f->sequence, .what = EPOCH_VALID, .n = f->n}, *q;

	if (!apply || j->p.partial || (what != EPOCH && what != PROPOSED) ||
	    (what == PROPOSED && cof_field_u8(f->fields, f->n, T_PROPOSES, &v.what) < 0))
		return 0;
	q = realloc(j->proposal, (j->n_proposals + 1) * sizeof(*q));
	if (!q)
		return -ENOMEM;
	j->proposal = q;
	v.fields = malloc(f->n);
	if (!v.fields)
		return -ENOMEM;
	memcpy(v.fields, f->fields, f->n);
	q[j->n_proposals++] = v;
	return 0;
}

static const struct judged_proposal *proposal_of(const struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what)
{
	uint64_t of = 0;

	(void)cof_field_u64(f->fields, f->n, T_OF, &of);
	for (size_t i = j->n_proposals; i-- > 0;)
		if (j->proposal[i].sequence == of)
			return j->proposal[i].what == what ? &j->proposal[i] : NULL;
	return NULL;
}

static bool same(const struct cof_judge_frame *f, const struct judged_proposal *v, uint8_t tag)
{
	struct cof_field a, b;
	bool has = cof_field_find(f->fields, f->n, tag, &a) == 0;

	if (has != (cof_field_find(v->fields, v->n, tag, &b) == 0))
		return false;
	return !has || (a.len == b.len && !memcmp(a.value, b.value, a.len));
}

int judge_accepted(const struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, struct cof_judgement *ret)
{
	const struct judged_proposal *v;

	if (j->p.partial) /* whoever writes it copies the fields himself */
		return 0;
	v = proposal_of(j, f, what);
	if (!v)
		return judge_no(ret, "no-proposal", "no record before it, under the number that the request has, proposes what it accepts");
	for (unsigned tag = T_WHAT + 1; tag <= T_LAST; tag++)
		if (tag != T_OF && tag != T_PROPOSES && !same(f, v, (uint8_t)tag))
			return judge_no(ret, "other-fields", "its field %u (%s) is another than that of record %llu, which was accepted", tag,
					name_of(tag), (unsigned long long)v->sequence);
	return 0;
}

void judge_proposals_free(struct cof_judge *j)
{
	for (size_t i = 0; i < j->n_proposals; i++)
		free(j->proposal[i].fields);
	free(j->proposal);
}
