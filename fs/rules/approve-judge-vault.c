/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on records of vaults: what left went where the policy in force let it go (R41, R42). */
#include "fs/rules/approve-judge.h"
#include "fs/rules/place.h"

enum { T_WHAT = 220, T_BASIS = 225, T_JURISDICTION = 212, T_DISTANCE = 215 };
enum { TRANSFER = 2 };

int judge_vault(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	char jurisdiction[COF_JURISDICTION_MAX] = "";
	struct cof_field said;
	uint32_t km = 0;
	uint8_t what;
	int r;

	if (cof_field_u8(f->fields, f->n, T_WHAT, &what) < 0)
		return judge_no(ret, "malformed", "a record of a vault that does not say what it is");
	if (what != TRANSFER)
		return 0;
	if (cof_field_find(f->fields, f->n, T_JURISDICTION, &said) == 0 && said.len < sizeof(jurisdiction))
		memcpy(jurisdiction, said.value, said.len);
	if (!cof_jurisdiction_allowed(j->profile.jurisdictions, jurisdiction))
		return judge_no(ret, "jurisdiction", "the policy lets copies go to %s, and this went to %s", j->profile.jurisdictions,
				*jurisdiction ? jurisdiction : "no jurisdiction that is known");
	r = cof_field_u32(f->fields, f->n, T_DISTANCE, &km);
	if (j->profile.distance && (r < 0 || km < j->profile.distance))
		return judge_no(ret, "distance", "the policy asks for %u km between copies, and this went %u km away", j->profile.distance, km);
	if (j->profile.transfer_basis && cof_field_find(f->fields, f->n, T_BASIS, &said) < 0)
		return judge_no(ret, "no-basis", "the policy asks that a transfer names what it rests on, and this does not");
	return 0;
}
