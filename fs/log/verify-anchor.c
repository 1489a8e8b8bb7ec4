/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the chain says of the anchor (docs/format.md 7.10): values of one counter that never go back, and
 * what recoveries found unproven. Whether the counter says the same is for who can ask it.
 */
#include "fs/log/verify.h"

static void check_next(struct verify *v, const struct cof_anchored *next, uint8_t type, struct place place)
{
	const struct cof_anchored *last = &v->out.anchored;

	if (!last->there)
		return;
	if (memcmp(last->counter, next->counter, sizeof(next->counter)) != 0)
		cof_verify_say(v, COF_INTACT, place,
			       "the anchor is another counter from here on: what was cut off right before this "
			       "would not show by it");
	else if (next->value < last->value)
		cof_verify_say(v, cof_verify_weigh(v, next->sequence), place,
			       "the anchor is %llu here, and was %llu in frame %llu: a counter does not go back",
			       (unsigned long long)next->value, (unsigned long long)last->value,
			       (unsigned long long)last->sequence);
	else if (next->value > last->value + 1 && type != COF_RECOVERY)
		cof_verify_say(v, COF_INTACT, place,
			       "the anchor is %llu here, and was %llu in frame %llu: the TPM was reset under the mount, somebody "
			       "else raised its counter, or checkpoints in between are left out",
			       (unsigned long long)next->value, (unsigned long long)last->value,
			       (unsigned long long)last->sequence);
}

void cof_verify_anchor(struct verify *v, const struct cof_frame *f, const uint8_t *payload,
		       struct place place)
{
	struct cof_anchored next = {0};
	const uint8_t *fields;
	uint64_t unproven = 0;
	size_t n;

	if (f->type != COF_MOUNT && f->type != COF_CHECKPOINT && f->type != COF_RECOVERY)
		return;
	if (cof_payload_check(f, payload) < 0 || !cof_anchored_take(&next, f, payload))
		return;
	check_next(v, &next, f->type, place);
	v->out.anchored = next;
	fields = cof_verify_fields(f, payload, &n);
	if (f->type != COF_RECOVERY || cof_field_u64(fields, n, COF_T_UNPROVEN, &unproven) < 0 || !unproven)
		return;
	v->out.unproven += unproven;
	cof_verify_say(v, COF_INTACT, place,
		       "the mount before ended unclean, %llu checkpoints unproven: the TPM had lost power, and its "
		       "counter allows for so many more than the log has",
		       (unsigned long long)unproven);
}
