/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What seal/auditor.age holds, once it is opened (docs/format.md 7.5): whoever knows a recipient can seal
 * anything to it. What is taken is written again as the same line, except for the case of its hex digits.
 */
#include "fuzz.h"

#include <ctype.h>

#include "fs/archive/auditor.h"

const unsigned fuzz_runs = 200000;

static const uint8_t archive[16] = "an archive's id";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_auditor a, before;
	char again[COF_AUDITOR_LINE];
	uint8_t id[16];
	size_t len;
	int err;

	memset(&a, 0x77, sizeof(a));
	memset(id, 0x77, sizeof(id));
	before = a;
	err = cof_auditor_parse((const char *)data, n, id, &a);
	fuzz_check(err == 0 || err == -EUCLEAN);
	if (err) { /* who and since when stay as they were; of a secret a part may be there */
		fuzz_check(a.lineage == before.lineage && a.epoch == before.epoch && id[0] == 0x77);
		return 0;
	}
	fuzz_check(a.lineage && a.epoch);
	len = cof_auditor_line(id, &a, again);
	fuzz_check(len <= COF_AUDITOR_LINE && again[len - 1] == '\n');
	if (again[22] != (char)data[22]) /* lineage 1 from epoch 1 in the longer form */
		return 0;
	fuzz_check(n == len || n == len - 1);
	for (size_t i = 0; i < len - 1; i++)
		fuzz_check(again[i] == (i < 24 ? data[i] : tolower(data[i])));
	return 0;
}

void fuzz_seeds(void)
{
	struct cof_auditor a = {.lineage = 1, .epoch = 1};
	char line[COF_AUDITOR_LINE];

	memset(a.secret, 0xa7, sizeof(a.secret));
	fuzz_seed(line, cof_auditor_line(archive, &a, line));
	a.lineage = 4000000000u;
	a.epoch = 1ull << 60;
	fuzz_seed(line, cof_auditor_line(archive, &a, line));
}
