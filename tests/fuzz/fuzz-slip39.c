/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a share: what is accepted says the same when it is written and read again. */
#include "fuzz.h"

#include "crypto/crypto.h"
#include "escrow/slip39.h"

const unsigned fuzz_runs = 60000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool ready;
	struct cof_slip39_share share, again;
	struct cof_diag d = {""};
	char text[COF_SLIP39_TEXT];
	int r;

	if (!ready)
		fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	ready = true;
	r = cof_slip39_read((const char *)data, n, &share, &d);
	fuzz_check(r == 0 || r == -EUCLEAN || r == -E2BIG);
	if (r < 0) {
		fuzz_check(d.text[0]);
		return 0;
	}
	fuzz_check(cof_slip39_write(&share, text) == 0);
	fuzz_check(cof_slip39_read(text, strlen(text), &again, &d) == 0);
	fuzz_check(memcmp(&share, &again, sizeof(share)) == 0);
	return 0;
}

void fuzz_seeds(void)
{
	/* The first case of the official vectors, and two of others with a word changed. */
	fuzz_seed_text("duckling enlarge academic academic agency result length solution fridge kidney coal piece deal husband "
		       "erode duke ajar critical decision keyboard");
	fuzz_seed_text("duckling enlarge academic academic agency result length solution fridge kidney coal piece deal husband "
		       "erode duke ajar critical decision kidney");
	fuzz_seed_text("1. DUCK\n2. ENLA\n3. ACAD\n");
}
