/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys in all forms, with the passphrase of the corpus and without; and certificates and requests. */
#include "fuzz.h"

#include <stdbool.h>

#include "crypto/private-key.h"

const unsigned fuzz_runs = 600; /* a passphrase takes thousands of steps */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t out[COF_PRIVATE_KEY_MAX];

	for (int with = 0; with < 2; with++) {
		struct cof_private_key k = {.form = 0};
		struct cof_diag d = {""};
		size_t m = 0;
		int r = cof_private_key_read(data, n, with ? "secret" : NULL, &k, out, &m, &d);

		fuzz_check(r == 0 || r == -EUCLEAN || r == -ENOKEY || r == -EKEYREJECTED || r == -EOPNOTSUPP || r == -E2BIG);
		fuzz_check(r == 0 ? m > 0 && m <= sizeof(out) && k.form >= COF_FORM_PKCS8 && k.form <= COF_FORM_PKCS12 : d.text[0] != 0);
		fuzz_check(memchr(k.algorithm, 0, sizeof(k.algorithm)) && k.use <= COF_USE_ENCRYPT);
	}
	struct cof_public_use u;
	struct cof_diag d = {""};
	int r = cof_public_use_read(data, n, &u, &d);

	fuzz_check(r == 0 ? u.use <= (COF_USE_SIGN | COF_USE_ENCRYPT) : r == -EUCLEAN && d.text[0]);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n");
	fuzz_seed("\x30\x80\x00\x00", 4);
}
