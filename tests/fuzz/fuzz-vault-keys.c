/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree R as a vault gets it and gives it back (docs/format.md 7.12), opened: what another program sealed. What is taken
 * begins where it says, derives nothing below, and goes into keys as it was.
 */
#include "fuzz.h"

#include "fs/archive/archive.h"
#include "fs/archive/keys-box.h"

const unsigned fuzz_runs = 20000;

static const uint8_t archive[16] = "an archive's id";

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(8u << 20, NULL) == 0);
	done = true;
}

static int below(void *user, const struct cof_keytree_entry *e)
{
	fuzz_check(e->prefix << (COF_KEYTREE_BITS - 4 * e->depth) >= *(const uint64_t *)user);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t from = 0;
	struct cof_keys *k;
	int r, taken;

	init();
	r = cof_keys_vault_check(archive, data, n, &from);
	fuzz_check(r == 0 || r == -EUCLEAN || r == -EXDEV);
	k = cof_keys_new(archive);
	fuzz_check(k);
	taken = cof_keys_vault_take(k, data, n);
	fuzz_check(taken == r);
	if (r == 0) {
		fuzz_check(from && from % COF_KEYTREE_CUT == 0 && cof_keys_enrolled(k) == from);
		fuzz_check(cof_keytree_each(k->tree[1], below, &from) == 0);
	}
	cof_keys_free(k);
	return 0;
}

/* What the first vault gets, and what one gets once something was destroyed. */
void fuzz_seeds(void)
{
	static const uint8_t seed[COF_KEY] = {1, 2, 3};

	init();
	for (int destroyed = 0; destroyed < 2; destroyed++) {
		struct cof_keys *k = cof_keys_new(archive);
		void *plain = NULL;
		size_t n = 0;

		fuzz_check(k && cof_keytree_add_root(k->tree[1], seed) == 0);
		k->enrolled = 3 * COF_KEYTREE_CUT;
		fuzz_check(cof_keytree_cut(k->tree[1], k->enrolled) == 0 && cof_keytree_fresh(k->tree[1], k->enrolled) == 0);
		fuzz_check(!destroyed || cof_keytree_puncture(k->tree[1], k->enrolled + 5) == 0);
		fuzz_check(cof_keys_vault_plain(k, &plain, &n) == 0);
		fuzz_seed(plain, n);
		cof_secret_free(plain);
		cof_keys_free(k);
	}
}
