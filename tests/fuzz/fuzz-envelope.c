/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recovery envelope holds, once it is opened (docs/format.md 7.7): whoever knows a recipient can
 * seal anything to it. What is taken is written again as the same keys.
 */
#include "fuzz.h"

#include "crypto/age.h"
#include "fs/archive/envelope.h"

const unsigned fuzz_runs = 20000;

static const uint8_t archive[16] = "an archive's id";

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(8u << 20, NULL) == 0);
	done = true;
}

static void write_again(const struct cof_keys *k)
{
	struct cof_keys *again = NULL;
	void *plain = NULL, *twice = NULL;
	size_t n = 0, m = 0;

	fuzz_check(cof_envelope_plain(k, &plain, &n) == 0);
	fuzz_check(cof_envelope_take(archive, plain, n, &again) == 0);
	fuzz_check(cof_envelope_plain(again, &twice, &m) == 0);
	fuzz_check(n == m && !memcmp(plain, twice, n));
	fuzz_check(!memcmp(again->signing, k->signing, COF_KEY));
	cof_secret_free(plain);
	cof_secret_free(twice);
	cof_keys_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_keys *k = NULL;
	int err;

	init();
	err = cof_envelope_take(archive, data, n, &k);
	fuzz_check(err == 0 || err == -EUCLEAN || err == -EXDEV || err == -ENOMEM);
	fuzz_check(err == 0 || !k);
	if (!err)
		write_again(k);
	cof_keys_free(k);
	return 0;
}

/* A new archive's, and one where something was destroyed in H. */
void fuzz_seeds(void)
{
	static const uint8_t seed[COF_KEY] = {1, 2, 3};

	init();
	for (int destroyed = 0; destroyed < 2; destroyed++) {
		struct cof_keys *k = cof_keys_new(archive);
		void *plain = NULL;
		size_t n = 0;

		fuzz_check(k && cof_keytree_add_root(k->tree[0], seed) == 0 &&
			   cof_keytree_add_root(k->tree[1], seed) == 0);
		memset(k->signing, 7, COF_KEY);
		fuzz_check(!destroyed || cof_keytree_puncture(k->tree[0], 0x123456789abcu) == 0);
		fuzz_check(cof_envelope_plain(k, &plain, &n) == 0);
		fuzz_seed(plain, n);
		cof_secret_free(plain);
		cof_keys_free(k);
	}
}
