/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy: what is accepted has a canonical text that says the same. */
#include "fuzz.h"

#include "fs/rules/rules.h"

const unsigned fuzz_runs = 60000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf text = {0}, again = {0};
	struct cof_policy p = {.refuse_rofs = true}, back;
	struct cof_diag d = {""};
	int err = cof_policy_parse((const char *)data, n, &p, &d);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM);
	if (err) {
		fuzz_check(p.refuse_rofs && p.durability == 0); /* untouched */
		fuzz_check(d.text[0] && memchr(d.text, 0, sizeof(d.text)));
		return 0;
	}
	fuzz_check(p.durability == COF_DURABLE_ON_SYNC || p.durability == COF_DURABLE_ON_WRITE);
	if (cof_policy_text(&p, &text) < 0)
		return 0;
	fuzz_check(cof_policy_parse((char *)text.data, text.len, &back, &d) == 0);
	fuzz_check(back.durability == p.durability && back.refuse_rofs == p.refuse_rofs);
	if (cof_policy_text(&back, &again) == 0)
		fuzz_check(again.len == text.len && !memcmp(again.data, text.data, text.len));
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("");
	fuzz_seed_text("durability = sync\nrefuse = perm\n");
	fuzz_seed_text("durability = write\nrefuse = rofs\n");
	fuzz_seed_text("# why\n\nrefuse=rofs\r\n");
	fuzz_seed_text("[section]\ndurability = write\n");
	fuzz_seed_text("durability = sync\ndurability = write\n");
}
