/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on records of vaults: what left went where the policy in force let it go (R41, R42); and which vaults there are. */
#include "fs/rules/approve-judge.h"
#include "fs/rules/place.h"

#include "crypto/note.h"

enum { T_VAULT = 210, T_WHAT = 220, T_BASIS = 225, T_JURISDICTION = 212, T_DISTANCE = 215 };
enum { TRANSFER = 2 };

/* The key of a vault that a record names; a copy in a bucket has none. */
static int meet(struct cof_judge *j, const struct cof_judge_frame *f)
{
	char text[COF_VKEY_MAX] = "";
	struct cof_field said;
	struct cof_vkey key;
	uint8_t(*more)[32];

	if (cof_field_find(f->fields, f->n, T_VAULT, &said) < 0 || said.len >= sizeof(text))
		return 0;
	memcpy(text, said.value, said.len);
	if (cof_vkey_parse(text, &key) < 0 || key.algorithm != COF_NOTE_COSIG)
		return 0;
	for (size_t i = 0; i < j->n_vaults; i++)
		if (!memcmp(j->vault[i], key.public_key, 32))
			return 0;
	more = realloc(j->vault, (j->n_vaults + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	j->vault = more;
	memcpy(more[j->n_vaults++], key.public_key, 32);
	return 0;
}

int judge_vault(struct cof_judge *j, const struct cof_judge_frame *f, bool apply, struct cof_judgement *ret)
{
	char jurisdiction[COF_JURISDICTION_MAX] = "";
	struct cof_field said;
	uint32_t km = 0;
	uint8_t what;
	int r;

	if (cof_field_u8(f->fields, f->n, T_WHAT, &what) < 0)
		return judge_no(ret, "malformed", "a record of a vault that does not say what it is");
	r = apply ? meet(j, f) : 0;
	if (r < 0)
		return r;
	if (what != TRANSFER)
		return 0;
	if (cof_field_find(f->fields, f->n, T_JURISDICTION, &said) == 0 && said.len < sizeof(jurisdiction))
		memcpy(jurisdiction, said.value, said.len);
	if (!cof_jurisdiction_allowed(j->profile.jurisdictions, jurisdiction))
		return judge_no(ret, "jurisdiction", "the policy lets copies go to %s, and this went to %s", j->profile.jurisdictions,
				*jurisdiction ? jurisdiction : "no jurisdiction that is known");
	if (cof_jurisdiction_forbidden(j->profile.forbidden_jurisdictions, jurisdiction))
		return judge_no(ret, "jurisdiction", "the policy lets no copies go to %s, and this went to %s",
				j->profile.forbidden_jurisdictions, *jurisdiction ? jurisdiction : "no jurisdiction that is known");
	r = cof_field_u32(f->fields, f->n, T_DISTANCE, &km);
	if (j->profile.distance && (r < 0 || km < j->profile.distance))
		return judge_no(ret, "distance", "the policy asks for %u km between copies, and this went %u km away", j->profile.distance, km);
	if (j->profile.transfer_basis && cof_field_find(f->fields, f->n, T_BASIS, &said) < 0)
		return judge_no(ret, "no-basis", "the policy asks that a transfer names what it rests on, and this does not");
	return 0;
}
