/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge on the TPM road of escrow, for a whole chain: that a TPM's counter was raised is said of an end that was approved
 * before it, of the same shelf and epoch, and as done once.
 */
#include "fs/rules/approve-judge.h"

enum { T_SHELF = 191, T_OF = 199, T_OUTCOME = 200, T_TPM = 254 };
enum { ENDED = 22, RAISED = 23, SUCCESS = 1, FAILURE = 2 };

static bool read_tpm(const struct cof_judge_frame *f, struct judged_tpm *ret)
{
	*ret = (struct judged_tpm){.sequence = f->sequence};
	return cof_field_u64(f->fields, f->n, T_SHELF, &ret->shelf) == 0 &&
	       cof_field_bytes(f->fields, f->n, T_TPM, ret->epoch, sizeof(ret->epoch)) == 0;
}

static int keep(struct cof_judge *j, const struct judged_tpm *t)
{
	struct judged_tpm *q = realloc(j->tpm, (j->n_tpms + 1) * sizeof(*q));

	if (!q)
		return -ENOMEM;
	j->tpm = q;
	q[j->n_tpms++] = *t;
	return 0;
}

int judge_tpm(struct cof_judge *j, const struct cof_judge_frame *f, uint8_t what, bool apply, struct cof_judgement *ret)
{
	struct judged_tpm said, *of = NULL;
	uint64_t sequence = 0;
	uint8_t outcome = 0;

	if (j->p.partial || (what != ENDED && what != RAISED)) /* whoever writes it looks himself */
		return 0;
	if (!read_tpm(f, &said))
		return judge_no(ret, "malformed", "a record of a TPM that does not say what it opened");
	if (what == ENDED)
		return apply ? keep(j, &said) : 0;
	(void)cof_field_u64(f->fields, f->n, T_OF, &sequence);
	(void)cof_field_u8(f->fields, f->n, T_OUTCOME, &outcome);
	for (size_t i = j->n_tpms; i-- > 0 && !of;)
		if (j->tpm[i].sequence == sequence && j->tpm[i].shelf == said.shelf && !memcmp(j->tpm[i].epoch, said.epoch, sizeof(said.epoch)))
			of = &j->tpm[i];
	if (!of || (outcome != SUCCESS && outcome != FAILURE))
		return judge_no(ret, "not-approved", "the counter of a TPM was raised, and no approved end of what it opened is before it");
	if (of->raised && outcome == SUCCESS)
		return judge_no(ret, "finished", "that end was carried out before");
	of->raised |= apply && outcome == SUCCESS;
	return 0;
}
