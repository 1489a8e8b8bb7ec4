/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault signs of content that it destroyed (docs/vault-protocol.md 8), as a host and whoever has the chain reads it. What is
 * taken is signed by the key that it names, and is byte for byte what signing it gives.
 */
#include "fuzz.h"

#include "fs/rules/receipt.h"

const unsigned fuzz_runs = 20000;

static const uint8_t seed[32] = {7};

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	done = true;
}

static void again(const struct cof_receipt *r, const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t key[32];

	fuzz_check(cof_ed25519_public(seed, key) == 0);
	if (memcmp(key, r->vkey.public_key, sizeof(key)) != 0)
		return;
	fuzz_check(cof_receipt_sign(r, seed, &b) == 0 && b.len == n && !memcmp(b.data, data, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_receipt r = {.size = 0};
	struct cof_diag diag = {""};
	uint64_t end = 0;
	int e;

	init();
	e = cof_receipt_read(data, n, &r, &diag);
	fuzz_check(e == 0 || ((e == -EUCLEAN || e == -EKEYREJECTED) && *diag.text));
	if (e < 0)
		return 0;
	fuzz_check(r.n && r.first <= r.last && r.last < r.size);
	for (size_t i = 0; i < r.n; i++) {
		fuzz_check(r.range[i].first > end && r.range[i].count);
		end = r.range[i].first + r.range[i].count;
		fuzz_check(cof_receipt_names(&r, end - 1) && !cof_receipt_names(&r, end));
	}
	again(&r, data, n);
	cof_receipt_done(&r);
	return 0;
}

void fuzz_seeds(void)
{
	struct cof_receipt r = {.size = 900, .first = 10, .last = 40, .from = 65536, .leaves = 3, .frames = 12, .bytes = 4711, .key = COF_RECEIPT_FILE,
				.begun = 1700000000 * COF_NSEC, .ended = 1700000001 * COF_NSEC};
	static const uint64_t inodes[] = {5, 6, 65536, 65537, 65540};
	uint8_t key[32];

	init();
	fuzz_check(cof_ed25519_public(seed, key) == 0 && cof_vkey_make("vault.example/b", COF_NOTE_COSIG, key, &r.vkey) == 0);
	for (size_t i = 0; i < COF_COUNT(inodes); i++) {
		cof_autobuf struct cof_buf b = {0};

		fuzz_check(cof_receipt_add(&r, inodes[i]) == 0 && cof_receipt_sign(&r, seed, &b) == 0);
		fuzz_seed(b.data, b.len);
	}
	cof_receipt_done(&r);
}
